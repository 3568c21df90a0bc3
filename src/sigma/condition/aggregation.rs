//! What stands behind the `|` of a condition: `count(field) by a, b > 5`.
//!
//! ```text
//! aggregation := "count" "(" [field] ")" ["by" field ("," field)*] ("==" | "<" | "<=" | ">" | ">=") number
//! ```
//!
//! Sigma had this before correlation rules and has deprecated it; old rules still use it. Only
//! counting is understood. The other functions (`sum`, `avg`, `min`, `max`, `near`) are refused by
//! name: no rule in use has them, and what they mean was never written down precisely.
//!
//! Source of facts: Sigma rules specification 1.0, "Aggregation expression"; Hayabusa's rules.

use super::ConditionFault;
use crate::sigma::correlation::{RangeBound, RangeTest};
use crate::sigma::yaml::{Typed, number};

/// Fields to group by. Public rules have up to six.
const MAX_FIELDS: usize = 64;

/// An aggregation.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sigma) struct Aggregation {
    /// The field whose distinct values are counted; events if there is none.
    pub field: Option<String>,
    /// The fields that make groups.
    pub by: Vec<String>,
    /// What the count has to be.
    pub range: (RangeTest, RangeBound),
}

/// Reads what stands behind `|`; `text` is from the `|` on, which is the condition's character `at`.
pub(super) fn parse(text: &str, at: usize) -> Result<Aggregation, ConditionFault> {
    let mut rest = Rest { text, at };
    rest.skip(1);
    rest.blanks();
    let start = rest.at;
    let function = rest.word();
    match function.to_ascii_lowercase().as_str() {
        "count" => {}
        "sum" | "avg" | "min" | "max" | "near" => {
            let reason = format!(
                "the aggregation `{function}` is not supported: write a correlation rule instead"
            );
            return Err(ConditionFault {
                not_supported: true,
                ..ConditionFault::new(start, reason)
            });
        }
        _ => return Err(ConditionFault::new(at, "`|` without an aggregation behind it")),
    }
    rest.blanks();
    if !rest.take("(") {
        return Err(rest.fault("expected `(` behind `count`"));
    }
    let Some((field, _)) = rest.text.split_once(')') else {
        return Err(rest.fault("the `(` of `count` is never closed"));
    };
    rest.skip(field.chars().count() + 1);
    let field = Some(field.trim()).filter(|field| !field.is_empty()).map(str::to_owned);
    rest.blanks();
    let by = by(&mut rest)?;
    let test = test(&mut rest)?;
    rest.blanks();
    let written = rest.text.trim_end();
    let bound = match number(written) {
        Some(Typed::Integer(value)) => RangeBound::Integer(value),
        Some(Typed::Float(value)) => RangeBound::Float(value),
        _ if written.is_empty() => {
            return Err(rest.fault("expected the number that the count is compared with"));
        }
        _ => {
            let reason =
                format!("`{}` is no number to compare a count with", written.escape_debug());
            return Err(rest.fault(&reason));
        }
    };
    Ok(Aggregation { field, by, range: (test, bound) })
}

/// The fields behind `by`, if it is there.
fn by(rest: &mut Rest<'_>) -> Result<Vec<String>, ConditionFault> {
    let mut after = *rest;
    if !after.word().eq_ignore_ascii_case("by") {
        return Ok(Vec::new());
    }
    *rest = after;
    let mut fields = Vec::new();
    loop {
        rest.blanks();
        let end = rest.text.find([',', '<', '>', '=', '!']);
        let (field, _) = rest.text.split_at(end.unwrap_or(rest.text.len()));
        if field.trim().is_empty() {
            return Err(rest.fault("expected the name of a field to group by"));
        }
        if fields.len() >= MAX_FIELDS {
            return Err(rest.fault(&format!("more than {MAX_FIELDS} fields to group by")));
        }
        fields.push(field.trim().to_owned());
        rest.skip(field.chars().count());
        if !rest.take(",") {
            return Ok(fields);
        }
    }
}

/// The comparison.
fn test(rest: &mut Rest<'_>) -> Result<RangeTest, ConditionFault> {
    let start = *rest;
    let length = rest.text.find(|c: char| !matches!(c, '<' | '>' | '=' | '!'));
    let (operator, _) = rest.text.split_at(length.unwrap_or(rest.text.len()));
    rest.skip(operator.chars().count());
    Ok(match operator {
        "==" => RangeTest::Equal,
        "<" => RangeTest::Less,
        "<=" => RangeTest::LessOrEqual,
        ">" => RangeTest::Greater,
        ">=" => RangeTest::GreaterOrEqual,
        _ => return Err(start.fault("expected `by`, or one of `==`, `<`, `<=`, `>` and `>=`")),
    })
}

/// What is left of the text, and where in the condition it begins, in characters.
#[derive(Clone, Copy)]
struct Rest<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Rest<'t> {
    fn skip(&mut self, characters: usize) {
        let mut chars = self.text.chars();
        self.at += chars.by_ref().take(characters).count();
        self.text = chars.as_str();
    }

    fn blanks(&mut self) {
        self.skip(self.text.chars().take_while(|c| c.is_whitespace()).count());
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.text.starts_with(token);
        if found {
            self.skip(token.chars().count());
        }
        found
    }

    fn word(&mut self) -> &'t str {
        let end = self.text.find(|c: char| !c.is_alphanumeric()).unwrap_or(self.text.len());
        let (word, _) = self.text.split_at(end);
        self.skip(word.chars().count());
        word
    }

    fn fault(&self, reason: &str) -> ConditionFault {
        ConditionFault::new(self.at, reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aggregations_are_read() {
        use RangeTest::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
        for (text, field, by, test, bound) in [
            ("| count() > 5", None, &[][..], Greater, 5),
            ("|count()>=5", None, &[], GreaterOrEqual, 5),
            ("| COUNT( ) by IpAddress == 1", None, &["IpAddress"], Equal, 1),
            (
                "|  count (TargetUserName)\n by  a , b.c,d e < 4 ",
                Some("TargetUserName"),
                &["a", "b.c", "d e"],
                Less,
                4,
            ),
            ("| count(é) BY ü<=2", Some("é"), &["ü"], LessOrEqual, 2),
            ("| count(a b) > -1", Some("a b"), &[], Greater, -1),
        ] {
            let by = by.iter().map(|field| (*field).to_owned()).collect();
            let want = Aggregation {
                field: field.map(str::to_owned),
                by,
                range: (test, RangeBound::Integer(bound)),
            };
            assert_eq!(parse(text, 0), Ok(want), "{text}");
        }
        let half = parse("| count() > 1.5", 0).map(|a| a.range.1);
        assert_eq!(half, Ok(RangeBound::Float(1.5)));
    }

    #[test]
    fn faults_have_their_place() {
        for (text, at, reason) in [
            ("|", 0, "without an aggregation"),
            ("| frobnicate(x) > 3", 0, "without an aggregation"),
            ("| count > 3", 8, "expected `(`"),
            ("| count(x > 3", 8, "never closed"),
            ("| count()", 9, "expected `by`"),
            ("| count() frobnicate > 3", 10, "expected `by`"),
            ("| count() by > 3", 13, "name of a field"),
            ("| count() by é, > 3", 16, "name of a field"),
            ("| count() by a", 14, "expected `by`"),
            ("| count() != 3", 10, "expected `by`"),
            ("| count() = 3", 10, "expected `by`"),
            ("| count() >", 11, "expected the number"),
            ("| count() > x", 12, "`x` is no number"),
            ("| count() > 3 and b", 12, "`3 and b` is no number"),
        ] {
            let fault = parse(text, 0).unwrap_err();
            assert!(fault.reason.contains(reason), "{text}: {}", fault.reason);
            assert_eq!((fault.character, fault.not_supported), (at, false), "{text}");
        }
        for function in ["sum", "avg", "min", "MAX", "near"] {
            let fault = parse(&format!("| {function}(x) > 3"), 7).unwrap_err();
            assert!(fault.not_supported && fault.reason.contains(function), "{}", fault.reason);
            assert_eq!(fault.character, 9);
        }
    }
}
