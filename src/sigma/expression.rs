//! Regular expressions: read for what rules mean by them, and proved to compile.
//!
//! Compiling is slow next to everything else that loading does: the 190 expressions of SigmaHQ's
//! Windows rules took 60 of 205 ms (2 cores, 2026-11), and whoever matches compiles them anyway. So
//! an expression is parsed, which finds every error of syntax, and compiled here only if its size
//! *could* exceed the limit. [`bound`] must never be smaller than what the compiled form takes; a
//! test holds it against the compiler.
//!
//! Source of facts: the `regex` crate 1.13, whose own parser this is (`regex-syntax`, with the same
//! settings), and `regex-automata`'s Thompson compiler for the shape of an expression's states.

use std::borrow::Cow;

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};
use regex_syntax::utf8::Utf8Sequences;

use super::fault::{At, Fault};
use super::modifiers::RegexFlags;
use super::rule::Regex;

/// Bytes that a compiled regular expression may take: the `regex` crate's own default. Of the 543
/// expressions in public rules the largest takes 4 MB. Whoever compiles a rule for matching has to
/// allow as much.
pub const REGEX_SIZE_LIMIT: usize = 10 << 20;

/// More than a state takes: 32 bytes for itself, and up to 16 for being the target of another.
const STATE: usize = 96;

/// More than a byte of a class takes: 8 bytes for the way to the next, and 32 for a state, which it
/// mostly shares with others.
const CLASS_BYTE: usize = 48;

/// Reads a rule's regular expression.
pub(super) fn read(text: &str, flags: RegexFlags, at: At) -> Result<Regex, Fault> {
    let regex = Regex {
        pattern: angle_brackets(text).into_owned(),
        ignore_case: flags.ignore_case,
        multi_line: flags.multi_line,
        dot_all: flags.dot_all,
    };
    let parsed = ParserBuilder::new()
        .case_insensitive(regex.ignore_case)
        .multi_line(regex.multi_line)
        .dot_matches_new_line(regex.dot_all)
        .build()
        .parse(&regex.pattern)
        .map_err(|error| invalid(at, &error.to_string()))?;
    if bound(&parsed) > REGEX_SIZE_LIMIT {
        compile(&regex, REGEX_SIZE_LIMIT).map_err(|error| match error {
            regex::Error::CompiledTooBig(limit) => {
                let reason =
                    format!("the regular expression takes more than {limit} bytes when compiled");
                Fault::new(at, reason)
            }
            error => invalid(at, &error.to_string()),
        })?;
    }
    Ok(regex)
}

fn compile(regex: &Regex, limit: usize) -> Result<regex::Regex, regex::Error> {
    regex::RegexBuilder::new(&regex.pattern)
        .case_insensitive(regex.ignore_case)
        .multi_line(regex.multi_line)
        .dot_matches_new_line(regex.dot_all)
        .size_limit(limit)
        .build()
}

/// The parser draws a picture over several lines; its last line says what is wrong.
fn invalid(at: At, error: &str) -> Fault {
    let last = error.lines().last().unwrap_or_default();
    let last = last.strip_prefix("error: ").unwrap_or(last);
    Fault::new(at, format!("invalid regular expression: {last}"))
}

/// Not less than the bytes that the compiled form takes.
fn bound(hir: &Hir) -> usize {
    // Every expression has a few states around it, for searching without an anchor.
    bound_of(hir).saturating_add(16 * STATE)
}

/// The nesting of an expression is limited by its parser, so this cannot recurse for long.
fn bound_of(hir: &Hir) -> usize {
    let states = match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len().saturating_add(1),
        HirKind::Class(Class::Bytes(class)) => class.ranges().len().saturating_add(1),
        HirKind::Class(Class::Unicode(class)) => {
            // As UTF-8: a state for every byte of every sequence of byte ranges at worst, whose first
            // ones are the ways out of one state.
            let sequences =
                class.iter().flat_map(|range| Utf8Sequences::new(range.start(), range.end()));
            let bytes: usize = sequences.map(|sequence| sequence.len()).sum();
            return bytes.saturating_mul(CLASS_BYTE).saturating_add(2 * STATE);
        }
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min.saturating_add(1)).max(1);
            let times = usize::try_from(times).unwrap_or(usize::MAX);
            return bound_of(&repetition.sub)
                .saturating_add(2 * STATE)
                .saturating_mul(times)
                .saturating_add(2 * STATE);
        }
        HirKind::Capture(capture) => return bound_of(&capture.sub).saturating_add(4 * STATE),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            let sum = |sum: usize, part| sum.saturating_add(bound_of(part)).saturating_add(STATE);
            return parts.iter().fold(2 * STATE, sum);
        }
    };
    states.saturating_mul(STATE)
}

/// `\<` and `\>` are the characters themselves for PCRE, for which rules are written, but borders
/// of words for the `regex` crate.
fn angle_brackets(text: &str) -> Cow<'_, str> {
    if !text.contains("\\<") && !text.contains("\\>") {
        return Cow::Borrowed(text);
    }
    let mut result = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            result.push(c);
            continue;
        }
        match characters.next() {
            Some(bracket @ ('<' | '>')) => result.push(bracket),
            Some(other) => result.extend([c, other]),
            None => result.push(c),
        }
    }
    Cow::Owned(result)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with(pattern: &str, ignore_case: bool) -> Regex {
        let pattern = pattern.to_owned();
        Regex { pattern, ignore_case, multi_line: false, dot_all: false }
    }

    /// The compiled form fits into the bound, so whoever compiles it later succeeds.
    fn fits(pattern: &str, ignore_case: bool) -> Result<(), String> {
        let regex = with(pattern, ignore_case);
        let parsed =
            ParserBuilder::new().case_insensitive(ignore_case).build().parse(&regex.pattern);
        let Ok(parsed) = parsed else {
            return match compile(&regex, REGEX_SIZE_LIMIT) {
                Ok(_) => Err(format!("{pattern}: only the parser refuses it")),
                Err(_) => Ok(()),
            };
        };
        let bound = bound(&parsed).min(REGEX_SIZE_LIMIT);
        match compile(&regex, bound) {
            Err(regex::Error::CompiledTooBig(_)) if bound < REGEX_SIZE_LIMIT => {
                Err(format!("{pattern}: takes more than {bound}"))
            }
            _ => Ok(()),
        }
    }

    #[test]
    fn the_bound_holds() {
        let patterns = [
            "",
            "a",
            ".",
            "^$",
            r"\b",
            r"\w",
            r"\W",
            r"\pL",
            r"\PL",
            r"\d\s\S\D",
            "[a-z]",
            "[^a]",
            "[^\u{10000}]",
            r"[\x{0}-\x{10FFFF}]",
            "(a|b|cd)*",
            "(?:ab?c+d*){3,9}",
            "a{1000}",
            r"\w{1,64}",
            r"-k\s\w{1,64}(?:\s?(?:-p|-s))?",
            ".{1000,}",
            "(.){200,}",
            "((((a))))",
            "a|b|c|d|e|f|g|h",
            "(?:a|)(?:|b)(?:)",
            "[a-zA-Z0-9+/=]{16,}",
            "(x{0}|y{0,0}|z{0,1})",
            r"[\w\d.-]{2,128}",
            "[^\\\\]{1,256}$",
            "(?i)straße|ſ|K",
            "\u{1F600}|é",
            "(?s).*(?m)^a$",
            "((a{10}){10}){10}",
            "[[:alpha:]]{50}",
            r"(?-u:\w)",
            "(?:[^a][^b]){99}",
        ];
        for pattern in patterns {
            for ignore_case in [false, true] {
                assert_eq!(fits(pattern, ignore_case), Ok(()));
            }
        }
    }

    proptest! {
        #[test]
        fn the_bound_holds_for_any_expression(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "a", "é", ".", r"\w", r"\s", "[^x]", "[a-f0-9]", "(", "(?:", ")", "|", "*",
                    "+?", "{2,5}", "{7}", "{0,3}", "^", "$", r"\b", "(?i)", "\u{1F600}", r"\pL",
                ]),
                0..14,
            ),
            ignore_case in any::<bool>(),
        ) {
            prop_assert_eq!(fits(&pieces.concat(), ignore_case), Ok(()));
        }
    }

    #[test]
    fn expressions_that_are_too_large_are_found() {
        for pattern in ["a{1000}{1000}", r"\w{900}{90}", "((.{99}){99}){99}"] {
            let error = read(pattern, RegexFlags::default(), At::START).expect_err("too large");
            assert!(error.reason.contains("more than 10485760 bytes"), "{}", error.reason);
        }
    }

    #[test]
    fn angle_brackets_are_characters() {
        let table = [
            (r"\<a\>", "<a>"),
            (r"\\<a", r"\\<a"),
            (r"\\\<", r"\\<"),
            (r"[\<\>]", "[<>]"),
            (r"a\", r"a\"),
            (r"\<\", r"<\"),
            (r"\d\>", r"\d>"),
        ];
        for (text, expected) in table {
            assert_eq!(angle_brackets(text), expected, "{text}");
        }
    }
}
