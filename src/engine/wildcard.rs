//! Patterns with wildcards, matched against a whole value.
//!
//! A pattern is cut at its `*` into *pieces*, each a run of literals, `?` and dashes. The first piece
//! is bound to the value's start and the last to its end, unless a `*` stands there; those between
//! are taken at their leftmost place, which is enough because a `*` takes up whatever lies between.
//! Time is at most the value's length times the pattern's, and no memory is taken.
//!
//! Text and literals are UTF-8, both folded or both not. `?` and a dash stand for one Unicode scalar.
//!
//! Source of facts: Sigma rules specification, "Wildcard"; `windash` in the modifiers appendix.

use crate::sigma::Part;
use memchr::memmem::Finder;

/// The characters that may introduce a flag, in UTF-8.
const DASHES: [&[u8]; 5] =
    [b"-", b"/", "\u{2013}".as_bytes(), "\u{2014}".as_bytes(), "\u{2015}".as_bytes()];

/// A pattern with wildcards.
#[derive(Debug, Clone)]
pub(crate) struct Wildcard {
    pieces: Box<[Piece]>,
    /// Whether the first piece is bound to the start (no `*` before it).
    at_start: bool,
    /// Whether the last piece is bound to the end.
    at_end: bool,
}

/// What stands between two `*`; never empty.
#[derive(Debug, Clone)]
struct Piece {
    tokens: Box<[Token]>,
    /// Finds the first token's literal, if it is one.
    finder: Option<Finder<'static>>,
}

#[derive(Debug, Clone)]
enum Token {
    Literal(Box<[u8]>),
    AnyChar,
    Dash,
}

impl Wildcard {
    /// The pattern made of `parts`, literals as they are.
    pub(crate) fn new(parts: &[Part]) -> Wildcard {
        let mut pieces = Vec::new();
        let mut tokens = Vec::new();
        for part in parts {
            match part {
                Part::AnyRun => Wildcard::end_piece(&mut tokens, &mut pieces),
                Part::AnyChar => tokens.push(Token::AnyChar),
                Part::Dash => tokens.push(Token::Dash),
                Part::Literal(text) => tokens.push(Token::Literal(text.as_bytes().into())),
            }
        }
        Wildcard::end_piece(&mut tokens, &mut pieces);
        Wildcard {
            pieces: pieces.into(),
            at_start: !matches!(parts.first(), Some(Part::AnyRun)),
            at_end: !matches!(parts.last(), Some(Part::AnyRun)),
        }
    }

    fn end_piece(tokens: &mut Vec<Token>, pieces: &mut Vec<Piece>) {
        let Some(first) = tokens.first() else { return };
        let finder = match first {
            Token::Literal(text) => Some(Finder::new(text).into_owned()),
            _ => None,
        };
        pieces.push(Piece { tokens: std::mem::take(tokens).into(), finder });
    }

    /// Whether all of `text` matches.
    pub(crate) fn is_match(&self, text: &[u8]) -> bool {
        let mut pieces = &*self.pieces;
        let mut text = text;
        if self.at_start {
            let Some((first, rest)) = pieces.split_first() else { return text.is_empty() };
            let Some(len) = first.prefix_of(text) else { return false };
            text = text.get(len..).unwrap_or(&[]);
            pieces = rest;
            if pieces.is_empty() && self.at_end {
                return text.is_empty();
            }
        }
        if self.at_end {
            let Some((last, rest)) = pieces.split_last() else { return true };
            let Some(len) = last.suffix_of(text) else { return false };
            text = text.get(..text.len() - len).unwrap_or(&[]);
            pieces = rest;
        }
        for piece in pieces {
            let Some(end) = piece.find(text) else { return false };
            text = text.get(end..).unwrap_or(&[]);
        }
        true
    }
}

impl Piece {
    /// How many bytes the piece takes at the start of `text`, if it matches there.
    fn prefix_of(&self, text: &[u8]) -> Option<usize> {
        let mut rest = text;
        for token in &self.tokens {
            let len = match token {
                Token::Literal(literal) => rest.starts_with(literal).then_some(literal.len()),
                Token::AnyChar => first_char(rest),
                Token::Dash => DASHES.iter().find(|d| rest.starts_with(d)).map(|d| d.len()),
            }?;
            rest = rest.get(len..)?;
        }
        Some(text.len() - rest.len())
    }

    /// How many bytes the piece takes at the end of `text`, if it matches there.
    fn suffix_of(&self, text: &[u8]) -> Option<usize> {
        let mut rest = text;
        for token in self.tokens.iter().rev() {
            let len = match token {
                Token::Literal(literal) => rest.ends_with(literal).then_some(literal.len()),
                Token::AnyChar => last_char(rest),
                Token::Dash => DASHES.iter().find(|d| rest.ends_with(d)).map(|d| d.len()),
            }?;
            rest = rest.get(..rest.len() - len)?;
        }
        Some(text.len() - rest.len())
    }

    /// Where the piece's leftmost match in `text` ends.
    fn find(&self, text: &[u8]) -> Option<usize> {
        let mut from = 0;
        loop {
            let rest = text.get(from..)?;
            let at = match &self.finder {
                Some(finder) => finder.find(rest)?,
                None => 0,
            };
            if let Some(len) = rest.get(at..).and_then(|rest| self.prefix_of(rest)) {
                return Some(from + at + len);
            }
            from += at + first_char(rest.get(at..)?)?;
        }
    }
}

/// The length of the first scalar of `text`.
fn first_char(text: &[u8]) -> Option<usize> {
    let first = *text.first()?;
    let len = match first {
        0..0xC0 => 1,
        0xC0..0xE0 => 2,
        0xE0..0xF0 => 3,
        _ => 4,
    };
    Some(len.min(text.len()))
}

/// The length of the last scalar of `text`: back over up to three continuation bytes.
fn last_char(text: &[u8]) -> Option<usize> {
    let back = text.iter().rev().take(4).position(|b| b & 0xC0 != 0x80)?;
    Some(back + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `*` and `?` as wildcards, `~` as a dash.
    fn parts(pattern: &str) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        for c in pattern.chars() {
            match (c, parts.last_mut()) {
                ('*', Some(Part::AnyRun)) => {}
                ('*', _) => parts.push(Part::AnyRun),
                ('?', _) => parts.push(Part::AnyChar),
                ('~', _) => parts.push(Part::Dash),
                (c, Some(Part::Literal(text))) => text.push(c),
                (c, _) => parts.push(Part::Literal(c.to_string())),
            }
        }
        parts
    }

    /// The definition, by trying everything.
    fn slow(parts: &[Part], text: &str) -> bool {
        match parts.split_first() {
            None => text.is_empty(),
            Some((Part::Literal(l), rest)) => {
                text.strip_prefix(l.as_str()).is_some_and(|t| slow(rest, t))
            }
            Some((Part::AnyRun, rest)) => text
                .char_indices()
                .map(|(at, _)| at)
                .chain([text.len()])
                .any(|at| slow(rest, &text[at..])),
            Some((one, rest)) => {
                let mut chars = text.chars();
                let ok = chars.next().is_some_and(|c| {
                    *one == Part::AnyChar || "-/\u{2013}\u{2014}\u{2015}".contains(c)
                });
                ok && slow(rest, chars.as_str())
            }
        }
    }

    #[test]
    fn patterns_match_whole_values() {
        for (pattern, text, want) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "ac", true),
            ("a*a", "a", false),
            ("a?c", "aéc", true),
            ("a?c", "ac", false),
            ("*a?c*", "xxabc\nyy", true),
            ("a*c", "a\r\nc", true),
            ("*ab*ab*", "xabab", true),
            ("*ab*ab", "xab", false),
            ("?*", "", false),
            ("*?", "é", true),
            ("*??", "é", false),
            ("* ~enc *", "x \u{2014}enc y", true),
            ("* ~enc *", "x /enc y", true),
            ("* ~enc *", "x +enc y", false),
            ("*\\\u{e9}", "c:\\\u{e9}", true),
            ("*aab*", "aaab", true),
        ] {
            assert_eq!(
                Wildcard::new(&parts(pattern)).is_match(text.as_bytes()),
                want,
                "{pattern} on {text}"
            );
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[abé*?~]{0,8}", text in "[abé/\u{2014}\n]{0,12}") {
            let parts = parts(&pattern);
            prop_assert_eq!(Wildcard::new(&parts).is_match(text.as_bytes()), slow(&parts, &text));
        }
    }
}
