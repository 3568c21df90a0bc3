//! Sections and conditions as they are written.
//!
//! What the loader refuses is passed over: it has been said.

use super::super::fault::At;
use super::super::pattern;
use super::super::rule::Part;
use super::super::yaml::{Key, Kind, Scalar, Style, Typed, Yaml};
use super::{Code, Findings};

/// Modifiers that make a value something else than text.
const NOT_TEXT: [&str; 18] = [
    "re",
    "cidr",
    "gt",
    "gte",
    "lt",
    "lte",
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "year",
    "exists",
    "fieldref",
    "equalsfield",
    "endswithfield",
    "i",
    "regexes",
];

/// Fields that have several values in one event, so that several texts can all be equalled.
const MANY_VALUED: [&str; 2] = ["Data", "Message"];

/// The entries of `detection`, or of `filter`.
pub(super) fn lint(entries: &[(Key<'_>, Yaml<'_>)], is_filter: bool, findings: &mut Findings<'_>) {
    let beside = if is_filter { "rules" } else { "timeframe" };
    let is_section = |key: &Key<'_>| key.text != "condition" && key.text != beside;
    let sections = || entries.iter().filter(|(key, _)| is_section(key));
    for (_, body) in sections() {
        section(body, findings);
    }
    let them = sections().filter(|(key, _)| !key.text.starts_with('_')).count();
    for (_, value) in entries.iter().filter(|(key, _)| key.text == "condition") {
        let several = match &value.kind {
            Kind::List(list) => list.as_slice(),
            _ => std::slice::from_ref(value),
        };
        for one in several {
            if let Some(text) = one.text() {
                condition(text, one.at, them, findings);
            }
        }
    }
}

fn condition(text: &str, at: At, them: usize, findings: &mut Findings<'_>) {
    let (text, aggregation) = match text.split_once('|') {
        Some((text, _)) => (text, true),
        None => (text, false),
    };
    if aggregation {
        let text = "the condition counts with `|`";
        findings.add(at, Code::DeprecatedAggregation, text);
    }
    let lower = text.to_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')')).collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let selectors = || words.windows(3).filter(|w| matches!(w, [_, "of", "them"]));
    if them == 1 && selectors().next().is_some() {
        findings.add(at, Code::ThemSingleSection, "`them` is one section here");
    } else if selectors().any(|words| words.first() == Some(&"all")) {
        findings.add(at, Code::AllOfThem, "the condition asks for `all of them`");
    }
}

/// A section's content, or a part of it.
fn section(node: &Yaml<'_>, findings: &mut Findings<'_>) {
    match &node.kind {
        Kind::Map(entries) => {
            for (key, value) in entries {
                item(key, value, findings);
            }
        }
        Kind::List(elements) => elements.iter().for_each(|one| section(one, findings)),
        Kind::Scalar(scalar) => text_value(scalar, node.at, findings),
    }
}

/// A field with its modifiers, and its values.
fn item(key: &Key<'_>, value: &Yaml<'_>, findings: &mut Findings<'_>) {
    let mut names = key.text.split('|');
    let field = names.next().unwrap_or_default();
    let modifiers: Vec<&str> = names.collect();
    let values = match &value.kind {
        Kind::List(list) => list.as_slice(),
        Kind::Scalar(_) => std::slice::from_ref(value),
        Kind::Map(_) => return,
    };
    if values.is_empty() {
        findings.add(value.at, Code::EmptyList, format!("`{}` has an empty list", key.text));
        return;
    }
    let has = |name: &str| modifiers.contains(&name);
    let scalars: Vec<(&Scalar<'_>, At)> =
        values.iter().filter_map(|one| Some((one.scalar()?, one.at))).collect();
    let is_text = !modifiers.iter().any(|name| NOT_TEXT.contains(name));
    let open = has("contains") || has("startswith") || has("endswith");
    for (scalar, at) in &scalars {
        if is_text {
            text_value(scalar, *at, findings);
        } else {
            control_character(scalar, *at, findings);
        }
        let unmodified = modifiers.iter().all(|name| matches!(*name, "all" | "neq"));
        if unmodified
            && !field.is_empty()
            && scalar.style == Style::Quoted
            && matches!(super::super::yaml::number(&scalar.text), Some(Typed::Integer(_)))
        {
            let text = format!("`{}` of `{field}` is a number in quotes", scalar.text);
            findings.add(*at, Code::NumberAsString, text);
        }
        if scalar.is_null() && values.len() > 1 {
            let text = format!("`null` is one of several values of `{}`", key.text);
            findings.add(*at, Code::NullInList, text);
        }
    }
    if has("all") && values.len() == 1 {
        let text = format!("`{}` has one value", key.text);
        findings.add(key.at, Code::AllWithOneValue, text);
    }
    if has("all") && has("windash") && values.len() > 1 {
        let text = format!("`{}` has `windash` and `all`", key.text);
        findings.add(key.at, Code::WindashWithAll, text);
    }
    if has("base64offset") && !has("contains") {
        let text = format!("`{}` has no `contains`", key.text);
        findings.add(key.at, Code::Base64offsetWithoutContains, text);
    }
    let many_valued = field.is_empty() || MANY_VALUED.contains(&field);
    if has("all") && is_text && !open && !many_valued {
        let exact = scalars.iter().filter(|(scalar, _)| !has_wildcard(&scalar.text)).count();
        if exact > 1 {
            let text = format!("`{field}` is to equal {exact} texts at once");
            findings.add(key.at, Code::AllWithoutContains, text);
        }
    }
    if is_text && !field.is_empty() {
        instead_of_modifier(key, &modifiers, &scalars, findings);
    }
}

fn has_wildcard(text: &str) -> bool {
    pattern::parse(text).iter().any(|part| !matches!(part, Part::Literal(_)))
}

/// A value that is read for wildcards.
fn text_value(scalar: &Scalar<'_>, at: At, findings: &mut Findings<'_>) {
    control_character(scalar, at, findings);
    let (mut escaped, mut double) = (false, false);
    let mut characters = scalar.text.chars().peekable();
    let mut star = false;
    while let Some(c) = characters.next() {
        match (c, characters.peek()) {
            ('\\', Some('*' | '?')) => {
                escaped = true;
                characters.next();
            }
            ('\\', Some('\\')) => {
                characters.next();
            }
            _ => {}
        }
        double |= star && c == '*';
        star = c == '*';
    }
    let text = &scalar.text;
    if escaped {
        let text = format!("`{text}` has a wildcard with a backslash before it");
        findings.add(at, Code::EscapedWildcard, text);
    }
    if double {
        findings.add(at, Code::DoubleWildcard, format!("`{text}` has `**`"));
    }
}

fn control_character(scalar: &Scalar<'_>, at: At, findings: &mut Findings<'_>) {
    // Where lines are written as lines, their ends are meant.
    let meant = |c: char| scalar.style == Style::Block && c == '\n';
    if let Some(c) = scalar.text.chars().find(|c| c.is_control() && !meant(*c)) {
        let text = format!("a value holds the control character U+{:04X}", u32::from(c));
        findings.add(at, Code::ControlCharacter, text);
    }
}

/// Which ends of a value are open.
fn ends(text: &str) -> Option<(bool, bool)> {
    let parts = pattern::parse(text);
    let (leading, rest) = match parts.split_first() {
        Some((Part::AnyRun, rest)) => (true, rest),
        _ => (false, parts.as_slice()),
    };
    let (trailing, inner) = match rest.split_last() {
        Some((Part::AnyRun, inner)) => (true, inner),
        _ => (false, rest),
    };
    matches!(inner, [Part::Literal(_)]).then_some((leading, trailing))
}

fn instead_of_modifier(
    key: &Key<'_>,
    modifiers: &[&str],
    scalars: &[(&Scalar<'_>, At)],
    findings: &mut Findings<'_>,
) {
    if !modifiers.iter().all(|name| matches!(*name, "all" | "neq" | "cased" | "windash")) {
        return;
    }
    let mut forms = scalars.iter().map(|(scalar, _)| ends(&scalar.text));
    let Some(Some(first)) = forms.next() else { return };
    let modifier = match first {
        (true, true) => "contains",
        (false, true) => "startswith",
        (true, false) => "endswith",
        (false, false) => return,
    };
    if forms.all(|form| form == Some(first)) {
        let text = format!("the values of `{}` are written with `*` for `{modifier}`", key.text);
        findings.add(key.at, Code::WildcardInsteadOfModifier, text);
    }
}
