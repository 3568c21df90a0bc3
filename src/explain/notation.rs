//! Items and conditions of rules in one uniform notation.
//!
//! A rule says the same in many ways: `Image: '*\cmd.exe'` is `Image|endswith: \cmd.exe`. Here a test is
//! a field, a kind and one value, and what is the same is written the same:
//!
//! | kind | value |
//! |---|---|
//! | `eq`, `contains`, `startswith`, `endswith` | the text as it has to stand there, no wildcards |
//! | `like` | a pattern that is none of these, as Sigma writes it |
//! | `any` | none: the field is there, whatever it holds |
//! | `null`, `exists` | none; `true` or `false` |
//! | `re`, `cidr` | the expression, the network |
//! | `gt`, `gte`, `lt`, `lte`, `hour`, `hour-gte`, … | the number |
//! | `fieldref`, `fieldref-startswith`, … | the other field |
//!
//! Options stand behind it: `eq|cased`, `contains|windash`, `re|i`. Two tests are the same *indicator* if
//! field and kind are and the values are, regardless of case unless it counts.

use crate::report::explain::{Part as Node, Predicate};
use crate::sigma::{
    Comparison, Condition, Item, Part, Pattern, Rule, Section, Test, TextMatch, TimePart, pattern,
};
use crate::utf16::folded;

/// A test of an item, as it is written here.
pub(super) fn predicate(field: Option<&str>, test: &Test) -> Predicate {
    let (kind, value) = match test {
        Test::Null => ("null".to_owned(), None),
        Test::Exists(there) => ("exists".to_owned(), Some(there.to_string())),
        Test::Text(pattern) => text(pattern),
        // A keyword is looked for inside of values, a number too.
        Test::Number(number) if field.is_none() => {
            ("contains".to_owned(), Some(number.text.clone()))
        }
        Test::Number(number) => ("eq".to_owned(), Some(number.text.clone())),
        Test::Regex(regex) => {
            let flags = [(regex.ignore_case, 'i'), (regex.multi_line, 'm'), (regex.dot_all, 's')];
            let flags: String = flags.into_iter().filter(|(on, _)| *on).map(|(_, f)| f).collect();
            let kind = if flags.is_empty() { "re".to_owned() } else { format!("re|{flags}") };
            (kind, Some(regex.pattern.clone()))
        }
        Test::Cidr(net) => ("cidr".to_owned(), Some(net.to_string())),
        Test::Compare(how, number) => (comparison(*how).to_owned(), Some(number.text.clone())),
        Test::TimePart(part, how, n) => {
            let part = time_part(*part);
            let kind = match how {
                Comparison::Equal => part.to_owned(),
                how => format!("{part}-{}", comparison(*how)),
            };
            (kind, Some(n.to_string()))
        }
        Test::FieldRef { field, how, cased } => {
            let how = match how {
                TextMatch::Equals => "fieldref",
                TextMatch::Contains => "fieldref-contains",
                TextMatch::StartsWith => "fieldref-startswith",
                TextMatch::EndsWith => "fieldref-endswith",
            };
            (with_option(how, *cased, "cased"), Some(field.clone()))
        }
        // Whoever lists tests takes these apart first.
        Test::AnyOf(_) => ("any of".to_owned(), None),
    };
    Predicate { field: field.map(str::to_owned), kind, value }
}

/// The predicates of a test: several, if it became several texts.
pub(super) fn predicates(field: Option<&str>, test: &Test) -> Vec<Predicate> {
    match test {
        Test::AnyOf(tests) => tests.iter().flat_map(|test| predicates(field, test)).collect(),
        test => vec![predicate(field, test)],
    }
}

fn text(pattern: &Pattern) -> (String, Option<String>) {
    let (kind, value) = match pattern.parts.as_slice() {
        [] => ("eq", Some(String::new())),
        [Part::AnyRun] => ("any", None),
        [Part::AnyRun, inner @ .., Part::AnyRun] if is_plain(inner) => {
            ("contains", Some(plain(inner)))
        }
        [Part::AnyRun, inner @ ..] if is_plain(inner) => ("endswith", Some(plain(inner))),
        [inner @ .., Part::AnyRun] if is_plain(inner) => ("startswith", Some(plain(inner))),
        all if is_plain(all) => ("eq", Some(plain(all))),
        all => ("like", Some(all.iter().map(as_written).collect())),
    };
    let dashes = pattern.parts.contains(&Part::Dash);
    let kind = with_option(kind, dashes, "windash");
    (with_option(&kind, pattern.cased, "cased"), value)
}

fn is_plain(parts: &[Part]) -> bool {
    !parts.is_empty() && parts.iter().all(|part| matches!(part, Part::Literal(_) | Part::Dash))
}

/// Text without wildcards; a dash that may be another one stands as `-`.
fn plain(parts: &[Part]) -> String {
    let text = |part: &Part| match part {
        Part::Literal(text) => text.clone(),
        _ => "-".to_owned(),
    };
    parts.iter().map(text).collect()
}

fn as_written(part: &Part) -> String {
    match part {
        Part::Literal(text) => pattern::escape(text),
        Part::AnyRun => "*".to_owned(),
        Part::AnyChar => "?".to_owned(),
        Part::Dash => "-".to_owned(),
    }
}

fn with_option(kind: &str, on: bool, option: &str) -> String {
    if on { format!("{kind}|{option}") } else { kind.to_owned() }
}

fn comparison(how: Comparison) -> &'static str {
    match how {
        Comparison::Equal => "eq",
        Comparison::Less => "lt",
        Comparison::LessOrEqual => "lte",
        Comparison::Greater => "gt",
        Comparison::GreaterOrEqual => "gte",
    }
}

fn time_part(part: TimePart) -> &'static str {
    match part {
        TimePart::Minute => "minute",
        TimePart::Hour => "hour",
        TimePart::Day => "day",
        TimePart::Week => "week",
        TimePart::Month => "month",
        TimePart::Year => "year",
    }
}

/// By what indicators are compared: folded where case does not count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct IndicatorKey {
    field: Option<String>,
    kind: String,
    value: Option<String>,
}

impl IndicatorKey {
    pub(super) fn of(predicate: &Predicate) -> IndicatorKey {
        let Predicate { field, kind, value } = predicate;
        // The case of letters counts in regular expressions (`\S` is not `\s`), and where a rule says so.
        let cased = kind.split('|').any(|word| matches!(word, "cased" | "re"));
        let value = value.as_ref().map(|v| if cased { v.clone() } else { folded(v) });
        IndicatorKey { field: field.as_deref().map(folded), kind: kind.clone(), value }
    }
}

/// An item as a tree of predicates.
pub(super) fn item(item: &Item) -> Node {
    let field = item.field.as_deref();
    let tests = item.values.iter().map(|test| {
        let of_test = predicates(field, test).into_iter().map(Node::Test);
        joined(of_test.collect(), false)
    });
    let node = joined(tests.collect(), item.all);
    if item.negated { Node::Not(Box::new(node)) } else { node }
}

/// Nodes under one, a single one as it is.
fn joined(mut nodes: Vec<Node>, all: bool) -> Node {
    match nodes.len() {
        1 => nodes.remove(0),
        _ if all => Node::All(nodes),
        _ => Node::AtLeast(1, nodes),
    }
}

fn node(of: &crate::sigma::Node) -> Node {
    use crate::sigma::Node as Sigma;
    match of {
        Sigma::All(parts) => joined(parts.iter().map(node).collect(), true),
        Sigma::Any(parts) => joined(parts.iter().map(node).collect(), false),
        Sigma::Item(of) => item(of),
    }
}

fn section(section: &Section) -> Node {
    Node::Section(section.name.clone(), Box::new(node(&section.body)))
}

/// A condition as a tree of sections.
pub(super) fn condition(of: &Condition, sections: &[Section]) -> Node {
    let all = |parts: &[Condition]| parts.iter().map(|part| condition(part, sections)).collect();
    match of {
        Condition::And(parts) => joined(all(parts), true),
        Condition::Or(parts) => joined(all(parts), false),
        Condition::Not(inner) => Node::Not(Box::new(condition(inner, sections))),
        Condition::Section(index) => match sections.get(*index) {
            Some(of) => section(of),
            None => Node::AtLeast(1, Vec::new()),
        },
        Condition::AtLeast { count, sections: of, .. } => {
            let chosen: Vec<Node> =
                of.iter().filter_map(|index| sections.get(*index)).map(section).collect();
            match *count {
                1 => joined(chosen, false),
                all if all == chosen.len() => joined(chosen, true),
                count => Node::AtLeast(count, chosen),
            }
        }
    }
}

/// A condition in Sigma's words.
pub(super) fn words(of: &Condition, sections: &[Section]) -> String {
    /// `inner` says whether it stands inside of something that binds closer.
    fn write(of: &Condition, sections: &[Section], inner: u8, out: &mut String) {
        let binds = match of {
            Condition::Or(_) => 0,
            Condition::And(_) => 1,
            Condition::Not(_) => 2,
            Condition::Section(_) | Condition::AtLeast { .. } => 3,
        };
        if binds < inner {
            out.push('(');
        }
        match of {
            Condition::Or(parts) | Condition::And(parts) => {
                let word = if binds == 0 { " or " } else { " and " };
                for (n, part) in parts.iter().enumerate() {
                    out.push_str(if n > 0 { word } else { "" });
                    write(part, sections, binds + 1, out);
                }
            }
            Condition::Not(part) => {
                out.push_str("not ");
                write(part, sections, binds, out);
            }
            Condition::Section(index) => {
                out.push_str(sections.get(*index).map_or("?", |section| &section.name));
            }
            Condition::AtLeast { text, .. } => out.push_str(text),
        }
        if binds < inner {
            out.push(')');
        }
    }
    let mut out = String::new();
    write(of, sections, 0, &mut out);
    out
}

/// Calls `each` with every item of a rule's condition and whether it stands under `not`, an even number
/// of them aside; the section's name comes along. A section that the condition does not use is left out.
pub(super) fn items<'r>(rule: &'r Rule, each: &mut dyn FnMut(&'r Section, &'r Item, bool)) {
    visit(&rule.detection.condition, &rule.detection.sections, false, each);
}

pub(super) fn visit<'r>(
    of: &'r Condition,
    sections: &'r [Section],
    under_not: bool,
    each: &mut dyn FnMut(&'r Section, &'r Item, bool),
) {
    let mut in_section = |index: &usize| {
        if let Some(section) = sections.get(*index) {
            in_node(&section.body, &mut |item| each(section, item, under_not ^ item.negated));
        }
    };
    match of {
        Condition::And(parts) | Condition::Or(parts) => {
            parts.iter().for_each(|part| visit(part, sections, under_not, each));
        }
        Condition::Not(inner) => visit(inner, sections, !under_not, each),
        Condition::Section(index) => in_section(index),
        Condition::AtLeast { sections: of, .. } => of.iter().for_each(in_section),
    }
}

fn in_node<'r>(node: &'r crate::sigma::Node, each: &mut dyn FnMut(&'r Item)) {
    use crate::sigma::Node as Sigma;
    match node {
        Sigma::All(parts) | Sigma::Any(parts) => parts.iter().for_each(|part| in_node(part, each)),
        Sigma::Item(item) => each(item),
    }
}
