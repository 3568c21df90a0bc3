//! Patterns as typed on a command line: `*` is any text, `?` any one character, case aside.
//!
//! There is no way to write a literal `*` or `?`: none of what is matched here, names of channels and
//! computers, tags and ids of rules, holds one.

use crate::utf16;

/// A pattern for a whole text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    typed: String,
    folded: Box<[u8]>,
}

impl Glob {
    /// The pattern that was typed.
    #[must_use]
    pub fn new(pattern: &str) -> Glob {
        Glob { typed: pattern.to_owned(), folded: utf16::folded(pattern).into_bytes().into() }
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
    ///
    /// Where a `*` took too little, it alone takes one byte more: what was matched before it need not be
    /// looked at again. A `?` takes a byte and all continuation bytes behind it, so that it stands for one
    /// character even where a `*` stopped inside of one.
    pub(super) fn is_match_folded(&self, text: &[u8]) -> bool {
        let pattern = &*self.folded;
        let (mut at, mut p) = (0, 0);
        // The place behind the last `*`, and where in the text what follows it is being tried.
        let mut star: Option<(usize, usize)> = None;
        while at < text.len() {
            let taken = match pattern.get(p) {
                Some(b'*') => {
                    p += 1;
                    star = Some((p, at));
                    continue;
                }
                Some(b'?') => Some(character(text, at)),
                Some(byte) if text.get(at) == Some(byte) => Some(1),
                _ => None,
            };
            match (taken, star) {
                (Some(taken), _) => {
                    at += taken;
                    p += 1;
                }
                (None, Some((behind, tried))) => {
                    at = tried + 1;
                    p = behind;
                    star = Some((behind, at));
                }
                (None, None) => return false,
            }
        }
        pattern.get(p..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
    }
}

/// How many bytes the character at `at` has from there on.
fn character(text: &[u8], at: usize) -> usize {
    let behind = text.get(at + 1..).unwrap_or(&[]);
    1 + behind.iter().take_while(|byte| **byte & 0xC0 == 0x80).count()
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
