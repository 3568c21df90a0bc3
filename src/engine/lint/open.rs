//! Why the prefilter cannot rule a rule out.
//!
//! The same walk as [`atoms::choose`](super::super::atoms::choose) takes, over the rule as it is
//! written, so that what is named has a place: a conjunction is narrowed by any of its parts, a
//! disjunction by all of them. What the event's id and provider decide, the gate decides.

use super::super::atoms::{SHORTEST, of_item};
use crate::sigma::{Condition, Dialect, Item, Node, Origin, Part, Rule, Test};

/// The place and the reason of an open part.
type Why<'r> = (&'r Origin, String);

/// Where and why a rule is open; `None` if it is narrowed.
pub(super) fn why(rule: &Rule) -> Option<Why<'_>> {
    condition(&rule.detection.condition, rule)
}

fn condition<'r>(of: &'r Condition, rule: &'r Rule) -> Option<Why<'r>> {
    let sections = &rule.detection.sections;
    let section = |index: &usize| {
        let section = sections.get(*index)?;
        node(&section.body, rule)
    };
    match of {
        Condition::And(parts) => all(parts.iter().map(|part| condition(part, rule))),
        Condition::Or(parts) => parts.iter().find_map(|part| condition(part, rule)),
        Condition::Not(inner) => {
            let origin = first_section(inner)
                .and_then(|index| sections.get(index))
                .map_or(&rule.origin, |section| &section.origin);
            Some((origin, "it can hit because something is not so".to_owned()))
        }
        Condition::Section(index) => section(index),
        // Of any (all - count + 1) one has to hold.
        Condition::AtLeast { count, sections, .. } => {
            let whys: Vec<Option<Why<'r>>> = sections.iter().map(section).collect();
            let narrowed = whys.iter().filter(|why| why.is_none()).count();
            let needed = (sections.len() + 1).saturating_sub(*count);
            if narrowed >= needed { None } else { whys.into_iter().flatten().next() }
        }
    }
}

/// Open if all parts are; what is said is said of the first.
fn all<'r>(mut parts: impl Iterator<Item = Option<Why<'r>>>) -> Option<Why<'r>> {
    let first = parts.next()??;
    parts.all(|part| part.is_some()).then_some(first)
}

fn first_section(condition: &Condition) -> Option<usize> {
    match condition {
        Condition::And(parts) | Condition::Or(parts) => parts.iter().find_map(first_section),
        Condition::Not(inner) => first_section(inner),
        Condition::Section(index) => Some(*index),
        Condition::AtLeast { sections, .. } => sections.first().copied(),
    }
}

fn node<'r>(of: &'r Node, rule: &'r Rule) -> Option<Why<'r>> {
    match of {
        Node::All(parts) => all(parts.iter().map(|part| node(part, rule))),
        Node::Any(parts) => parts.iter().find_map(|part| node(part, rule)),
        Node::Item(item) => open_item(item, rule),
    }
}

fn open_item<'r>(item: &'r Item, rule: &Rule) -> Option<Why<'r>> {
    let by_gate = match item.field.as_deref() {
        Some("EventID" | "Provider_Name") => true,
        Some("Channel") => rule.dialect == Dialect::Hayabusa,
        _ => false,
    };
    if (by_gate && !item.negated) || of_item(item).is_some() {
        return None;
    }
    let what = item.field.as_ref().map_or("a keyword".to_owned(), |field| format!("`{field}`"));
    let why = if item.negated {
        "is to be something else than what stands there"
    } else {
        item.values.iter().find_map(reason).unwrap_or("gives no text that must be there")
    };
    Some((&item.origin, format!("{what} {why}")))
}

/// Why a test gives no text to look for.
fn reason(test: &Test) -> Option<&'static str> {
    Some(match test {
        Test::Null | Test::Exists(_) => "is to be absent or present, whatever it holds",
        Test::Regex(_) => "is searched with an expression that needs no certain text",
        Test::Cidr(_) => "is to be an address in a network",
        Test::Compare(..) | Test::TimePart(..) => "is compared as a number",
        Test::FieldRef { .. } => "is compared with another field",
        Test::Number(number) if matches!(number.value, crate::sigma::NumberValue::Float(_)) => {
            "is to be a fraction, which can be written in many ways"
        }
        Test::Number(_) => return None,
        Test::AnyOf(tests) => return tests.iter().find_map(reason),
        Test::Text(pattern) => {
            let length = |part: &Part| match part {
                Part::Literal(text) => text.len(),
                _ => 0,
            };
            match pattern.parts.iter().map(length).max() {
                None => "is to be empty",
                Some(0) => "is to be there, whatever it holds",
                Some(length) if length < SHORTEST => "is to hold a single character",
                Some(_) => return None,
            }
        }
    })
}
