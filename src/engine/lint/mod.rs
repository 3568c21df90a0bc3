//! What is doubtful about rules, given what they speak of: their log sources, the fields of their
//! events, and what the engine can make of them. What their text alone tells says
//! [`crate::sigma::LoadedRules::findings`].
//!
//! Invariant: nothing is said of an event of which not all fields are known, nor of a rule of Hayabusa's,
//! whose log source is not what it looks at.

mod fields;
mod open;

use super::expr::Expr;
use super::ruleset::{Applicability, Key, RuleId, RuleSet};
use crate::sigma::{
    Code, Dialect, Finding, Item, Node, NumberValue, Origin, Part, Pattern, Rule, Test,
};
use crate::taxonomy::{EventKey, KnownEvents, Mapping, Source};
use rayon::prelude::*;

/// Sysmon's channel and provider, folded.
const SYSMON: EventKey<'_> = EventKey {
    channel: "microsoft-windows-sysmon/operational",
    provider: "microsoft-windows-sysmon",
    event_id: None,
};

/// Fields that Sysmon writes empty where it knows nothing, by event id; elsewhere it writes `-`.
const WRITTEN_EMPTY: [(u32, &[&str]); 4] = [
    (3, &["SourceHostname", "SourcePortName", "DestinationHostname", "DestinationPortName"]),
    (6, &["Signature"]),
    (7, &["Signature"]),
    (8, &["StartModule", "StartFunction"]),
];

/// Events of Sysmon's for which Sigma has categories that its own rules do not use: SigmaHQ writes these
/// with `service: sysmon` and `EventID`.
const BY_SERVICE: [u32; 7] = [4, 16, 24, 27, 28, 29, 255];

/// All that is to be said of these rules, in the order of files and places.
#[must_use]
pub fn lint(set: &RuleSet) -> Vec<Finding> {
    let known = KnownEvents::builtin();
    let rules: Vec<(RuleId, &Rule)> = set.rules().collect();
    let mut findings: Vec<Finding> =
        rules.par_iter().flat_map_iter(|(id, rule)| of_rule(set, *id, rule, &known)).collect();
    findings.sort();
    findings.dedup();
    findings
}

fn of_rule(set: &RuleSet, id: RuleId, rule: &Rule, known: &KnownEvents) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |origin: &Origin, code, text: String| {
        found.push(Finding { origin: origin.clone(), code, text });
    };
    match set.applicability(id) {
        Applicability::Applicable => {}
        Applicability::NotApplicable(why) => {
            add(&rule.origin, Code::NotInEventLogs, format!("not evaluated: {why}"));
            return found;
        }
        Applicability::UnknownLogSource(why) => {
            add(&rule.origin, Code::UnknownLogSource, why.clone());
            return found;
        }
    }
    if let Some((origin, why)) = open::why(rule) {
        add(origin, Code::OpenPrefilter, format!("the prefilter cannot rule this rule out: {why}"));
    }
    let mapping = set.taxonomy().sources(&rule.logsource, rule.dialect);
    let (Dialect::Sigma, Mapping::Sources(sources)) = (rule.dialect, mapping) else { return found };
    if never_matches(set, id, &sources) {
        let text = format!("no event of {} has the event id or provider asked for", rule.logsource);
        add(&rule.origin, Code::NeverMatches, text);
    } else if let Some(events) = fields::events(set, id, rule, &sources, known) {
        for (origin, text) in fields::unknown(set, rule, &events) {
            add(origin, Code::UnknownField, text);
        }
    }
    if rule.logsource.service.as_deref() == Some("sysmon") && rule.logsource.category.is_none() {
        specific(set, rule, &mut add);
    }
    null_where_empty(rule, &sources, &mut add);
    found
}

/// Calls `each` with every item of a rule.
fn items<'r>(rule: &'r Rule, each: &mut impl FnMut(&'r Item)) {
    fn walk<'r>(node: &'r Node, each: &mut impl FnMut(&'r Item)) {
        match node {
            Node::All(nodes) | Node::Any(nodes) => nodes.iter().for_each(|node| walk(node, each)),
            Node::Item(item) => each(item),
        }
    }
    rule.detection.sections.iter().for_each(|section| walk(&section.body, each));
}

/// The event ids that an item asks for; nothing if it asks for something else.
fn event_ids(item: &Item) -> Vec<u32> {
    if item.field.as_deref() != Some("EventID") || item.negated {
        return Vec::new();
    }
    let id = |test: &Test| match test {
        Test::Number(number) => match number.value {
            NumberValue::Integer(id) => u32::try_from(id).ok(),
            NumberValue::Float(_) => None,
        },
        Test::Text(Pattern { parts, .. }) => match parts.as_slice() {
            [Part::Literal(text)] => text.trim().parse().ok(),
            _ => None,
        },
        _ => None,
    };
    item.values.iter().filter_map(id).collect()
}

/// Whether the condition is false for every kind of event that the sources stand for.
fn never_matches(set: &RuleSet, id: RuleId, sources: &[Source]) -> bool {
    let Some(compiled) = set.compiled.get(id.index()) else { return false };
    let is_false = |channel: Option<&str>, provider: Option<&str>, event_id: u32| {
        let event_id = event_id.to_string();
        let key = Key { provider, channel, event_id: Some(&event_id), decides: true };
        let known = |predicate| {
            let field = set.predicates.get(predicate).item.field.as_deref();
            let told = field == Some("EventID") || provider.is_some();
            if told { set.known_by_key(predicate, &key, Dialect::Sigma) } else { None }
        };
        compiled.expr.fold(&known) == Expr::Const(false)
    };
    let some = |list: &[String]| match list {
        [] => vec![None],
        list => list.iter().map(|name| Some(name.clone())).collect(),
    };
    !sources.is_empty()
        && sources.iter().all(|source| {
            source.event_ids.as_ref().is_some_and(|ids| {
                ids.iter().all(|event_id| {
                    some(&source.providers)
                        .iter()
                        .all(|provider| is_false(None, provider.as_deref(), *event_id))
                })
            })
        })
}

/// A rule for Sysmon's log whose event ids have categories of their own.
fn specific(set: &RuleSet, rule: &Rule, add: &mut impl FnMut(&Origin, Code, String)) {
    items(rule, &mut |item| {
        for id in event_ids(item).into_iter().filter(|id| !BY_SERVICE.contains(id)) {
            let key = EventKey { event_id: Some(id), ..SYSMON };
            let mut categories: Vec<&str> = set.taxonomy().categories(&key).collect();
            categories.dedup();
            if !categories.is_empty() {
                let categories = categories.join(" or ");
                let text = format!("event {id} of Sysmon is what the category {categories} is for");
                add(&item.origin, Code::SpecificLogSource, text);
            }
        }
    });
}

/// Tests for the absence of fields that Sysmon writes empty.
fn null_where_empty(rule: &Rule, sources: &[Source], add: &mut impl FnMut(&Origin, Code, String)) {
    let mut fields: Vec<&str> = Vec::new();
    for source in sources {
        let is_sysmon = |id| source.admits(&EventKey { event_id: Some(id), ..SYSMON });
        let mut of_source = WRITTEN_EMPTY
            .iter()
            .filter(|(id, _)| source.event_ids.as_deref() == Some(&[*id]) && is_sysmon(*id));
        // Other events may well lack the field.
        let Some((_, names)) = of_source.next() else { return };
        fields.extend(*names);
    }
    let is_empty = |test: &Test| matches!(test, Test::Text(pattern) if pattern.parts.is_empty());
    for field in fields {
        let (mut nulls, mut empty) = (Vec::new(), false);
        items(rule, &mut |item| {
            if item.field.as_deref() == Some(field) {
                empty |= item.values.iter().any(is_empty);
                if item.values.contains(&Test::Null) {
                    nulls.push(&item.origin);
                }
            }
        });
        for origin in nulls.into_iter().filter(|_| !empty) {
            let text = format!("`{field}` is never absent: Sysmon writes it empty");
            add(origin, Code::NullNeverAbsent, text);
        }
    }
}
