//! Patterns as typed on a command line: `*` is any text, `?` any one character, case aside.
//!
//! There is no way to write a literal `*` or `?`: none of what is matched here, names of channels and
//! computers, tags and ids of rules, holds one.

use crate::engine::Wildcard;
use crate::sigma::Part;
use crate::utf16;

/// A pattern for a whole text.
#[derive(Debug, Clone)]
pub struct Glob {
    typed: String,
    pattern: Wildcard,
}

impl PartialEq for Glob {
    fn eq(&self, other: &Glob) -> bool {
        self.typed == other.typed
    }
}

impl Eq for Glob {}

impl Glob {
    /// The pattern that was typed.
    #[must_use]
    pub fn new(pattern: &str) -> Glob {
        let folded = utf16::folded(pattern);
        let part = |text: &str| match text {
            "*" => Part::AnyRun,
            "?" => Part::AnyChar,
            literal => Part::Literal(literal.to_owned()),
        };
        let texts = folded.split_inclusive(['*', '?']).flat_map(|text| {
            // Whatever ends a text but the last is a wildcard, of one byte.
            let (literal, wildcard) =
                text.split_at(text.len() - usize::from(text.ends_with(['*', '?'])));
            [literal, wildcard]
        });
        let parts: Vec<Part> = texts.filter(|text| !text.is_empty()).map(part).collect();
        Glob { typed: pattern.to_owned(), pattern: Wildcard::new(&parts) }
    }

    /// As it was typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.typed
    }

    /// Whether it has wildcards.
    #[must_use]
    pub fn has_wildcards(&self) -> bool {
        self.typed.contains(['*', '?'])
    }

    /// Whether all of `text` matches.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.is_match_folded(utf16::folded(text).as_bytes())
    }

    /// The same for text that is folded already, in UTF-8.
    pub(super) fn is_match_folded(&self, text: &[u8]) -> bool {
        self.pattern.is_match(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_match_whole_texts() {
        for (pattern, text, want) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything", true),
            ("?", "", false),
            ("security", "Security", true),
            ("security", "Security2", false),
            ("attack.t1562*", "attack.T1562.001", true),
            ("attack.t1562*", "attack.t1563", false),
            ("*sysmon*", "Microsoft-Windows-Sysmon/Operational", true),
            ("ws-??.*", "WS-01.example", true),
            ("ws-??.*", "WS-1.example", false),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbXbX", false),
            ("*aab", "aaab", true),
            ("?", "é", true),
            ("*??", "日", false),
            ("*??", "日本", true),
            ("STRASSE", "strasse", true),
            ("ä*", "Äpfel", true),
        ] {
            assert_eq!(Glob::new(pattern).is_match(text), want, "{pattern:?} {text:?}");
        }
    }

    /// The same by trying everything.
    fn slow(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|n| slow(rest, &text[n..])),
            Some(('?', rest)) => !text.is_empty() && slow(rest, &text[1..]),
            Some((c, rest)) => text.first() == Some(c) && slow(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn it_is_what_trying_everything_gives(pattern in "[ab日é?*]{0,7}", text in "[ab日é]{0,8}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            let want = slow(&chars(&pattern), &chars(&text));
            prop_assert_eq!(Glob::new(&pattern).is_match(&text), want);
        }
    }
}
