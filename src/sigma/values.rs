//! The values of an item, with its modifiers applied.
//!
//! One written value becomes one [`Test`]; where it stands for several texts (placeholders,
//! `base64offset`), these are the alternatives of one [`Test::AnyOf`], so that `|all` still means
//! "each of the values as written".
//!
//! Types decide where no modifier does: a number without a text modifier is compared as a number,
//! with one it counts as it was written; null and booleans are tests of their own and take no
//! text modifier. Every expansion is capped.
//!
//! Source of facts: Sigma modifiers appendix 2.1.0; for `base64offset` the arithmetic of base64
//! (RFC 4648, 4).

use std::collections::{BTreeMap, BTreeSet};

use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;

use super::expression;
use super::fault::{At, Fault, Note, RefusalKind, WarningCode};
use super::modifiers::{Base64, Encoding, Plan, Target};
use super::pattern::{self, Piece};
use super::rule::{Comparison, Number, NumberValue, Part, Pattern, Test, TextMatch};
use super::yaml::{Scalar, Typed, number};

/// Texts that the placeholders of one value may expand to (the product of their lists).
const MAX_EXPANSION: usize = 10_000;

/// Texts that `windash` before `base64` may expand to: five flags. Without base64 nothing expands.
const MAX_DASHED_TEXTS: usize = 3_125;

/// Lists for `expand`, by name.
pub(super) type Lists = BTreeMap<String, Vec<String>>;

/// Makes the test that one scalar stands for. `field` is absent for keywords.
pub(super) fn test(
    plan: &Plan,
    field: Option<&str>,
    scalar: &Scalar<'_>,
    at: At,
    lists: &Lists,
    notes: &mut Vec<Note>,
) -> Result<Test, Fault> {
    if field.is_none() && !matches!(plan.target, Target::Text | Target::Regex(_) | Target::Cidr) {
        return Err(Fault::new(at, "this modifier needs a field"));
    }
    let typed = scalar.typed();
    match plan.target {
        Target::Text => text_test(plan, field, scalar, typed, at, lists),
        Target::Regex(flags) => {
            expression::read(text_of("re", scalar, typed, at)?, flags, at).map(Test::Regex)
        }
        Target::Cidr => cidr(text_of("cidr", scalar, typed, at)?, at, notes),
        Target::Compare(comparison) => Ok(Test::Compare(
            comparison,
            number_of(scalar).ok_or_else(|| not_a_number(scalar, at))?,
        )),
        Target::TimePart(part, comparison) => match number_of(scalar).map(|n| n.value) {
            Some(NumberValue::Integer(value)) => {
                let value = i64::try_from(value)
                    .map_err(|_| Fault::new(at, "no part of a time is that large"))?;
                Ok(Test::TimePart(part, comparison.unwrap_or(Comparison::Equal), value))
            }
            _ => Err(not_a_number(scalar, at)),
        },
        Target::Exists => match typed {
            Typed::Bool(wanted) => Ok(Test::Exists(wanted)),
            _ => Err(Fault::new(at, "`exists` takes `true` or `false`, without quotes")),
        },
        Target::FieldRef(how) => {
            field_ref(text_of("fieldref", scalar, typed, at)?, how, plan.cased, at)
        }
    }
}

/// The text of a value that a modifier wants as text.
fn text_of<'s>(
    modifier: &str,
    scalar: &'s Scalar<'_>,
    typed: Typed,
    at: At,
) -> Result<&'s str, Fault> {
    match typed {
        Typed::Null => Err(Fault::new(at, format!("`{modifier}` needs text, not null"))),
        _ => Ok(&scalar.text),
    }
}

fn not_a_number(scalar: &Scalar<'_>, at: At) -> Fault {
    Fault::new(at, format!("`{}` is not a number that this modifier can compare", scalar.text))
}

/// A scalar as a number, quoted or not.
fn number_of(scalar: &Scalar<'_>) -> Option<Number> {
    let text = scalar.text.trim();
    let value = match number(text)? {
        Typed::Integer(value) => NumberValue::Integer(value),
        Typed::Float(value) => NumberValue::Float(value),
        _ => return None,
    };
    Some(Number { value, text: text.to_owned() })
}

fn text_test(
    plan: &Plan,
    field: Option<&str>,
    scalar: &Scalar<'_>,
    typed: Typed,
    at: At,
    lists: &Lists,
) -> Result<Test, Fault> {
    let keyword = field.is_none();
    match typed {
        Typed::Null if keyword => {
            return Err(Fault::new(at, "null needs a field: a keyword cannot be absent"));
        }
        Typed::Null if plan.wants_text() => {
            return Err(Fault::new(at, "null does not go with a text modifier"));
        }
        Typed::Null => return Ok(Test::Null),
        Typed::Integer(value) if !keyword && !plan.wants_text() => {
            let text = scalar.text.clone().into_owned();
            return Ok(Test::Number(Number { value: NumberValue::Integer(value), text }));
        }
        Typed::Float(value) if !keyword && !plan.wants_text() => {
            let text = scalar.text.clone().into_owned();
            return Ok(Test::Number(Number { value: NumberValue::Float(value), text }));
        }
        _ => {}
    }
    let alternatives = if plan.expand {
        expand(&scalar.text, at, lists)?
    } else {
        vec![pattern::parse(&scalar.text)]
    };
    // A keyword is searched for inside values, unless a modifier says at which end it stands.
    let inside = keyword && !plan.leading && !plan.trailing;
    let cased = plan.cased || plan.base64.is_some();
    let mut tests = Vec::with_capacity(alternatives.len());
    for mut parts in alternatives {
        if plan.windash {
            parts = pattern::windash(parts);
        }
        for mut parts in encode(plan, parts, at)? {
            pattern::open_ends(&mut parts, plan.leading || inside, plan.trailing || inside);
            tests.push(Test::Text(Pattern { parts, cased }));
        }
    }
    match (tests.pop(), tests.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            tests.push(last);
            Ok(Test::AnyOf(tests))
        }
        (None, _) => Err(Fault::new(at, "the list of values for this placeholder is empty")),
    }
}

/// Replaces placeholders by the values of their lists, in all combinations.
fn expand(text: &str, at: At, lists: &Lists) -> Result<Vec<Vec<Part>>, Fault> {
    let pieces = pattern::parse_placeholders(text);
    let missing: BTreeSet<&str> = pieces
        .iter()
        .filter_map(|piece| match piece {
            Piece::Placeholder(name) if !lists.contains_key(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    if !missing.is_empty() {
        let names: Vec<String> = missing.iter().map(|name| format!("%{name}%")).collect();
        let reason = format!("no list of values is given for {}", names.join(" and "));
        return Err(Fault::of(RefusalKind::Placeholder, at, reason));
    }
    let mut alternatives = vec![Vec::new()];
    for piece in pieces {
        match piece {
            Piece::Part(part) => {
                alternatives.iter_mut().for_each(|a| pattern::push(a, part.clone()));
            }
            Piece::Placeholder(name) => {
                let values = lists.get(&name).map(Vec::as_slice).unwrap_or_default();
                if alternatives.len().saturating_mul(values.len()) > MAX_EXPANSION {
                    let reason = format!("placeholders make more than {MAX_EXPANSION} values");
                    return Err(Fault::new(at, reason));
                }
                let values: Vec<Vec<Part>> = values.iter().map(|v| pattern::parse(v)).collect();
                let mut longer = Vec::with_capacity(alternatives.len() * values.len());
                for before in &alternatives {
                    for value in &values {
                        let mut parts = before.clone();
                        value.iter().for_each(|part| pattern::push(&mut parts, part.clone()));
                        longer.push(parts);
                    }
                }
                alternatives = longer;
            }
        }
    }
    Ok(alternatives)
}

/// Applies `wide` and `base64` and their like; without them the parts come back as they are.
fn encode(plan: &Plan, parts: Vec<Part>, at: At) -> Result<Vec<Vec<Part>>, Fault> {
    let Some(base64) = plan.base64 else {
        return Ok(vec![match plan.encoding {
            Some(encoding) => parts.into_iter().map(|part| bare(part, encoding)).collect(),
            None => parts,
        }]);
    };
    let Some(texts) = pattern::texts(&parts, MAX_DASHED_TEXTS) else {
        let reason = if parts.iter().any(|p| matches!(p, Part::AnyRun | Part::AnyChar)) {
            "base64 of a value with wildcards: write `\\*` and `\\?` for the characters"
        } else {
            "too many flags for `windash` before base64"
        };
        return Err(Fault::new(at, reason));
    };
    let mut encoded = Vec::new();
    for text in texts {
        let bytes = bytes_of(&text, plan.encoding);
        match base64 {
            Base64::Whole => encoded.push(STANDARD.encode(&bytes)),
            Base64::Offset => {
                for offset in 0..3 {
                    let text = at_offset(&bytes, offset).filter(|t| !t.is_empty());
                    encoded.push(text.ok_or_else(|| {
                        Fault::new(at, "the value is too short for `base64offset`")
                    })?);
                }
            }
        }
    }
    Ok(encoded.into_iter().map(literal).collect())
}

fn literal(text: String) -> Vec<Part> {
    let mut parts = Vec::new();
    pattern::push(&mut parts, Part::Literal(text));
    parts
}

/// The base64 text that stands for these bytes wherever `offset` (modulo 3) bytes stand before
/// them: only the characters that depend on nothing else.
fn at_offset(bytes: &[u8], offset: usize) -> Option<String> {
    let mut padded = vec![b' '; offset];
    padded.extend_from_slice(bytes);
    let text = STANDARD.encode(&padded);
    let first = [0, 2, 3].get(offset)?;
    let last = text.len().checked_sub(*[0, 3, 2].get(padded.len() % 3)?)?;
    text.get(*first..last).map(str::to_owned)
}

fn bytes_of(text: &str, encoding: Option<Encoding>) -> Vec<u8> {
    match encoding {
        None => text.as_bytes().to_vec(),
        Some(Encoding::Utf16Le) => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        Some(Encoding::Utf16Be) => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        Some(Encoding::Utf16) => {
            let units = text.encode_utf16().flat_map(u16::to_le_bytes);
            [0xFF, 0xFE].into_iter().chain(units).collect()
        }
    }
}

/// UTF-16 without base64: the bytes taken for characters, as if a text had been decoded wrongly.
fn bare(part: Part, encoding: Encoding) -> Part {
    match part {
        Part::Literal(text) => {
            Part::Literal(bytes_of(&text, Some(encoding)).into_iter().map(char::from).collect())
        }
        part => part,
    }
}

fn field_ref(text: &str, how: TextMatch, cased: bool, at: At) -> Result<Test, Fault> {
    let mut parts = pattern::parse(text);
    match (parts.pop(), parts.is_empty()) {
        (Some(Part::Literal(field)), true) => Ok(Test::FieldRef { field, how, cased }),
        (None, _) => Err(Fault::new(at, "`fieldref` needs the name of a field")),
        _ => Err(Fault::new(at, "`fieldref` takes the name of one field, without wildcards")),
    }
}

fn cidr(text: &str, at: At, notes: &mut Vec<Note>) -> Result<Test, Fault> {
    let invalid = || Fault::new(at, format!("`{text}` is no network address for `cidr`"));
    let net = match text.parse::<ipnet::IpNet>() {
        Ok(net) => net,
        Err(_) => ipnet::IpNet::from(text.parse::<std::net::IpAddr>().map_err(|_| invalid())?),
    };
    let masked = net.trunc();
    if masked != net {
        notes.push(Note {
            at,
            code: WarningCode::HostBits,
            text: format!("`{text}` has host bits set: read as {masked}"),
        });
    }
    // IPv4 addresses in IPv6 form are compared as IPv4, on both sides.
    if let ipnet::IpNet::V6(v6) = masked
        && let Some(v4) = v6.addr().to_ipv4_mapped()
        && let Some(prefix) = v6.prefix_len().checked_sub(96)
    {
        let v4 = ipnet::Ipv4Net::new(v4, prefix).map_err(|_| invalid())?;
        return Ok(Test::Cidr(ipnet::IpNet::V4(v4)));
    }
    Ok(Test::Cidr(masked))
}

#[cfg(test)]
mod tests;
