//! The `detection` part of a rule: sections and condition.
//!
//! A section is a map (all of its items), a list of maps (one of them), a list of plain values
//! (keywords, one of them) or any mixture and nesting of these; see [`Node`]. Sections keep the
//! order of the file. `condition` and `timeframe` are no sections. A filter has the same parts under
//! its key `filter`, and beside them `rules`.
//!
//! Invariants kept here, on which the engine relies: no section, `All` or `Any` is empty, every
//! item has a value, every index in the condition is that of a section.
//!
//! Source of facts: Sigma rules specification 2.1.0, "Detection"; pySigma `rule/detection.py` for
//! mixed lists.

use std::sync::Arc;

use super::condition::{self, Aggregation, Names};
use super::fault::{At, Fault, Note, RefusalKind, WarningCode};
use super::lint::Code;
use super::modifiers::{self, Plan, Target};
use super::rule::{Condition, Detection, Item, Node, RuleFile, Section, Test};
use super::timespan::{self, Timespan};
use super::values::{self, Lists};
use super::yaml::{Key, Kind, Source, Yaml};

/// Sections of a rule. The public rule with the most has about 50. Together with the cap on the
/// condition's length this bounds what its selectors can ask for.
const MAX_SECTIONS: usize = 1024;

/// Characters of a section's name, for the same reason.
const MAX_NAME: usize = 256;

/// What reading a detection needs to know of its surroundings, and where its warnings go.
pub(super) struct Context<'c> {
    /// The file, for places inside conditions.
    pub source: &'c Source<'c>,
    /// The same as origins name it.
    pub file: &'c Arc<RuleFile>,
    /// The document's number.
    pub document: u32,
    /// Lists for `expand`.
    pub lists: &'c Lists,
    /// Warnings.
    pub notes: Vec<Note>,
}

/// What a rule with an aggregation counts, besides the aggregation itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Counting {
    /// What is counted, by what, and how many it has to be.
    pub aggregation: Aggregation,
    /// `timeframe`
    pub timeframe: Option<Timespan>,
}

/// Reads the value of the key `detection`.
pub(super) fn detection(
    node: &Yaml<'_>,
    context: &mut Context<'_>,
) -> Result<(Detection, Option<Counting>), Fault> {
    let (detection, aggregation) = parts(node, "detection", "timeframe", context)?;
    let timeframe = match &node.kind {
        Kind::Map(entries) => entries.iter().find(|(key, _)| key.text == "timeframe"),
        _ => None,
    };
    let Some(aggregation) = aggregation else {
        if let Some((key, _)) = timeframe {
            context.notes.push(Note {
                at: key.at,
                code: WarningCode::IdleTimeframe,
                text: "`timeframe` has no meaning without an aggregation".to_owned(),
            });
        }
        return Ok((detection, None));
    };
    let timeframe = timeframe
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| timespan::read(value, "timeframe", key.at))
        .transpose()?;
    Ok((detection, Some(Counting { aggregation, timeframe })))
}

/// Reads the value of a filter's key `filter`.
pub(super) fn filter(node: &Yaml<'_>, context: &mut Context<'_>) -> Result<Detection, Fault> {
    if let Some(list @ Yaml { kind: Kind::List(_), .. }) = node.get("condition") {
        return Err(Fault::new(list.at, "a filter has one condition, not a list"));
    }
    match parts(node, "filter", "rules", context)? {
        (detection, None) => Ok(detection),
        (_, Some(_)) => Err(Fault::new(
            node.get("condition").map_or(node.at, |condition| condition.at),
            "a filter looks at single events: its condition cannot count them",
        )),
    }
}

/// Reads sections and condition; `beside` is the key beside `condition` that is no section.
fn parts(
    node: &Yaml<'_>,
    name: &str,
    beside: &str,
    context: &mut Context<'_>,
) -> Result<(Detection, Option<Aggregation>), Fault> {
    let Kind::Map(entries) = &node.kind else {
        return Err(Fault::new(node.at, format!("`{name}` is {}, not a map", node.noun())));
    };
    let is_section = |key: &Key<'_>| key.text != "condition" && key.text != beside;
    let count = entries.iter().filter(|(key, _)| is_section(key)).count();
    if count == 0 {
        return Err(Fault::new(node.at, format!("`{name}` has no section to test")));
    }
    if count > MAX_SECTIONS {
        return Err(Fault::new(node.at, format!("more than {MAX_SECTIONS} sections")));
    }
    let Some((condition_key, condition)) = entries.iter().find(|(k, _)| k.text == "condition")
    else {
        return Err(Fault::new(node.at, format!("`{name}` has no `condition`")));
    };
    let mut sections = Vec::with_capacity(count);
    for (key, value) in entries.iter().filter(|(key, _)| is_section(key)) {
        sections.push(section(key, value, context)?);
    }
    let names = Names::new(sections.iter().map(|section| section.name.as_str()));
    let (parsed, aggregation) = conditions(condition, condition_key.at, &names, context)
        .map_err(|fault| fault.about(Code::InvalidCondition))?;
    let mut used = vec![false; sections.len()];
    condition::mark_used(&parsed, &mut used);
    for (section, _) in sections.iter().zip(&used).filter(|(_, used)| !**used) {
        context.notes.push(Note {
            at: At { line: section.origin.line, column: section.origin.column },
            code: WarningCode::UnusedSection,
            text: format!("the condition does not use the section `{}`", section.name),
        });
    }
    Ok((Detection { sections, condition: parsed }, aggregation))
}

fn section(key: &Key<'_>, value: &Yaml<'_>, context: &mut Context<'_>) -> Result<Section, Fault> {
    if key.text.is_empty() {
        return Err(Fault::new(key.at, "a section without a name"));
    }
    if key.text.chars().nth(MAX_NAME).is_some() {
        let reason = format!("a section's name of more than {MAX_NAME} characters");
        return Err(Fault::new(key.at, reason));
    }
    if value.is_null() {
        return Err(Fault::new(key.at, format!("the section `{}` is empty", key.text)));
    }
    Ok(Section {
        name: key.text.clone().into_owned(),
        origin: key.at.origin(context.file, context.document),
        body: body(value, context)?,
    })
}

/// The content of a section, or of a part of it.
fn body(node: &Yaml<'_>, context: &mut Context<'_>) -> Result<Node, Fault> {
    match &node.kind {
        Kind::Scalar(_) => keywords(std::slice::from_ref(node), node.at, context),
        Kind::Map(entries) => {
            let mut items = Vec::with_capacity(entries.len());
            for (key, value) in entries {
                items.push(Node::Item(item(key, value, context)?));
            }
            joined(items, Node::All).ok_or_else(|| Fault::new(node.at, "an empty map"))
        }
        Kind::List(elements) => {
            let mut alternatives = Vec::new();
            // Neighbouring plain values are keywords of one item.
            let same_kind =
                |a: &Yaml<'_>, b: &Yaml<'_>| a.scalar().is_some() && b.scalar().is_some();
            for run in elements.chunk_by(same_kind) {
                match run {
                    [first, ..] if first.scalar().is_some() => {
                        alternatives.push(keywords(run, first.at, context)?);
                    }
                    others => {
                        for other in others {
                            alternatives.push(body(other, context)?);
                        }
                    }
                }
            }
            joined(alternatives, Node::Any).ok_or_else(|| Fault::new(node.at, "an empty list"))
        }
    }
}

/// Several nodes under one, a single one as it is, none as nothing.
fn joined(mut nodes: Vec<Node>, join: impl FnOnce(Vec<Node>) -> Node) -> Option<Node> {
    if nodes.len() > 1 { Some(join(nodes)) } else { nodes.pop() }
}

/// Plain values without a field.
fn keywords(values: &[Yaml<'_>], at: At, context: &mut Context<'_>) -> Result<Node, Fault> {
    let plan = modifiers::plan(&[], at, &mut context.notes)?;
    let values = tests(&plan, None, values, context)?;
    Ok(Node::Item(Item {
        field: None,
        modifiers: Vec::new(),
        values,
        all: false,
        negated: false,
        origin: at.origin(context.file, context.document),
    }))
}

/// A key of a map and its value: field, modifiers, values.
fn item(key: &Key<'_>, value: &Yaml<'_>, context: &mut Context<'_>) -> Result<Item, Fault> {
    let mut names = key.text.split('|');
    let field = names.next().unwrap_or_default();
    let names: Vec<&str> = names.collect();
    let first = key.at.right(usize::from(key.quoted) + field.chars().count() + 1);
    let plan = modifiers::plan(&names, first, &mut context.notes)
        .map_err(|fault| fault.about(Code::InvalidModifier))?;
    let field = (!field.is_empty()).then_some(field);
    let values = match &value.kind {
        Kind::Map(_) => {
            let reason = format!("`{}` has a map where a value or a list belongs", key.text);
            return Err(Fault::new(value.at, reason));
        }
        Kind::List(_) if plan.target == Target::Exists => {
            return Err(Fault::new(value.at, "`exists` takes one value, not a list"));
        }
        // An empty list asks for nothing, as null does.
        Kind::List(list) if list.is_empty() => {
            if plan.target != Target::Text || plan.wants_text() || field.is_none() {
                let reason = format!("`{}` has an empty list", key.text);
                return Err(Fault::new(value.at, reason));
            }
            vec![Test::Null]
        }
        Kind::List(list) => tests(&plan, field, list, context)?,
        Kind::Scalar(_) => tests(&plan, field, std::slice::from_ref(value), context)?,
    };
    Ok(Item {
        field: field.map(str::to_owned),
        modifiers: names.iter().map(|name| (*name).to_owned()).collect(),
        values,
        all: plan.all,
        negated: plan.negated,
        origin: key.at.origin(context.file, context.document),
    })
}

fn tests(
    plan: &Plan,
    field: Option<&str>,
    values: &[Yaml<'_>],
    context: &mut Context<'_>,
) -> Result<Vec<Test>, Fault> {
    let mut tests = Vec::with_capacity(values.len());
    for value in values {
        let Kind::Scalar(scalar) = &value.kind else {
            let reason = format!("{} where a single value belongs", value.noun());
            return Err(Fault::new(value.at, reason));
        };
        let test = values::test(plan, field, scalar, value.at, context.lists, &mut context.notes);
        tests.push(test.map_err(|fault| fault.about(Code::InvalidValue))?);
    }
    Ok(tests)
}

/// The condition, or a list of conditions of which one must hold.
fn conditions(
    node: &Yaml<'_>,
    key: At,
    names: &Names<'_>,
    context: &Context<'_>,
) -> Result<(Condition, Option<Aggregation>), Fault> {
    match &node.kind {
        Kind::Map(_) => Err(Fault::new(node.at, "`condition` is a map, not text")),
        Kind::List(list) => match list.as_slice() {
            [] => Err(Fault::new(node.at, "`condition` is empty")),
            [only] => single_condition(only, only.at, names, context),
            list => {
                let mut terms = Vec::with_capacity(list.len());
                for element in list {
                    match single_condition(element, element.at, names, context)? {
                        (term, None) => terms.push(term),
                        (_, Some(_)) => {
                            let reason = "a condition that counts cannot be one of several";
                            return Err(Fault::new(element.at, reason));
                        }
                    }
                }
                Ok((condition::joined(terms, Condition::Or), None))
            }
        },
        Kind::Scalar(_) => single_condition(node, key, names, context),
    }
}

fn single_condition(
    node: &Yaml<'_>,
    key: At,
    names: &Names<'_>,
    context: &Context<'_>,
) -> Result<(Condition, Option<Aggregation>), Fault> {
    let Some(scalar) = node.scalar() else {
        return Err(Fault::new(node.at, format!("a condition is {}, not text", node.noun())));
    };
    if scalar.is_null() || scalar.text.trim().is_empty() {
        return Err(Fault::new(key, "`condition` is empty"));
    }
    condition::parse(&scalar.text, names).map_err(|fault| {
        let kind = if fault.not_supported { RefusalKind::NotSupported } else { RefusalKind::Error };
        let at = context.source.place_in(scalar, node.at, fault.character);
        let code =
            if fault.selects_nothing { Code::UnknownSection } else { Code::InvalidCondition };
        Fault::of(kind, at, format!("condition: {}", fault.reason)).about(code)
    })
}
