//! The one reader of wildcards and escapes in Sigma text.
//!
//! A value of a rule is text in which `*` and `?` are wildcards and a backslash is an escape, but
//! only before `*`, `?` or another backslash. Everything that has to know this is in this file, and
//! it is done once, before any modifier: `startswith: 'C:\Windows\'` appends a wildcard to the
//! *parsed* value; appending `*` to the text would make `\*`, a literal star. Nothing here folds
//! case: that is for whoever matches.
//!
//! The table of escapes is a test below. Sources of facts: Sigma rules specification 2.1.0,
//! "Escape character"; modifiers appendix, `windash` and `expand`.

use super::rule::Part;

/// A piece of a value that may still contain placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// A part of the final pattern.
    Part(Part),
    /// `%name%` under `expand`.
    Placeholder(String),
}

/// The characters that `windash` holds to be the same: the two that programs take for a flag, and
/// the three dashes that Windows takes for a hyphen.
const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];

/// Reads a value's text.
///
/// Adjacent literals are joined and runs are not doubled.
#[must_use]
pub fn parse(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    read(text, false, |piece| match piece {
        Piece::Part(part) => push(&mut parts, part),
        Piece::Placeholder(_) => {}
    });
    parts
}

/// Reads a value's text under `expand`: `%name%` is a placeholder, `\%` a percent sign.
pub(super) fn parse_placeholders(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    read(text, true, |piece| pieces.push(piece));
    pieces
}

/// The text that [`parse`] reads as exactly this literal.
#[must_use]
pub fn escape(literal: &str) -> String {
    let mut text = String::with_capacity(literal.len());
    for c in literal.chars() {
        if matches!(c, '*' | '?' | '\\') {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

/// Appends a part, keeping the form that [`super::rule::Pattern`] promises.
pub(super) fn push(parts: &mut Vec<Part>, part: Part) {
    match (parts.last_mut(), part) {
        (Some(Part::Literal(last)), Part::Literal(more)) => last.push_str(&more),
        (_, Part::Literal(text)) if text.is_empty() => {}
        (Some(Part::AnyRun), Part::AnyRun) => {}
        (_, part) => parts.push(part),
    }
}

/// Adds wildcards at the ends that a modifier leaves open, unless they are there.
pub(super) fn open_ends(parts: &mut Vec<Part>, leading: bool, trailing: bool) {
    if leading && parts.first() != Some(&Part::AnyRun) {
        parts.insert(0, Part::AnyRun);
    }
    if trailing {
        push(parts, Part::AnyRun);
    }
}

fn read(text: &str, placeholders: bool, mut hand_on: impl FnMut(Piece)) {
    let mut literal = String::new();
    let mut rest = text;
    // Every character that means something is ASCII, so bytes of other characters never match.
    while let Some(position) = rest.find(['\\', '*', '?', '%']) {
        let (before, from) = rest.split_at(position);
        literal.push_str(before);
        let mut after = from.chars();
        let found = after.next();
        rest = after.as_str();
        let wildcard = match found {
            Some('*') => Part::AnyRun,
            Some('?') => Part::AnyChar,
            Some('%') if placeholders => {
                if let Some((name, behind)) = placeholder(rest) {
                    let text = std::mem::take(&mut literal);
                    if !text.is_empty() {
                        hand_on(Piece::Part(Part::Literal(text)));
                    }
                    hand_on(Piece::Placeholder(name.to_owned()));
                    rest = behind;
                } else {
                    literal.push('%');
                }
                continue;
            }
            Some('\\') => {
                let escaped = after
                    .next()
                    .filter(|c| matches!(c, '*' | '?' | '\\') || (placeholders && *c == '%'));
                match escaped {
                    Some(c) => {
                        literal.push(c);
                        rest = after.as_str();
                    }
                    None => literal.push('\\'),
                }
                continue;
            }
            Some(c) => {
                literal.push(c);
                continue;
            }
            None => break,
        };
        let text = std::mem::take(&mut literal);
        if !text.is_empty() {
            hand_on(Piece::Part(Part::Literal(text)));
        }
        hand_on(Piece::Part(wildcard));
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        hand_on(Piece::Part(Part::Literal(literal)));
    }
}

/// A placeholder's name and what follows, in the text behind a `%`.
///
/// Names are words with `-` and `.` in them (`%DC-MACHINE-NAME%`); anything else between two
/// percent signs is text.
fn placeholder(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.')))?;
    let (name, rest) = text.split_at(end);
    let behind = rest.strip_prefix('%')?;
    if name.is_empty() { None } else { Some((name, behind)) }
}

/// Replaces each dash that starts a flag by [`Part::Dash`].
///
/// A dash starts a flag if no word character stands before it and one stands behind it (pySigma's
/// `\B[-/]\b`); a wildcard is no word character.
pub(super) fn windash(parts: Vec<Part>) -> Vec<Part> {
    let mut result = Vec::with_capacity(parts.len());
    for part in parts {
        let Part::Literal(text) = part else {
            push(&mut result, part);
            continue;
        };
        let mut literal = String::new();
        let mut before_is_word = false;
        let mut characters = text.chars().peekable();
        while let Some(c) = characters.next() {
            let starts_flag = DASHES.contains(&c)
                && !before_is_word
                && characters.peek().is_some_and(|next| is_word(*next));
            if starts_flag {
                push(&mut result, Part::Literal(std::mem::take(&mut literal)));
                push(&mut result, Part::Dash);
            } else {
                literal.push(c);
            }
            before_is_word = is_word(c);
        }
        push(&mut result, Part::Literal(literal));
    }
    result
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The texts that a value without `*` and `?` stands for: one, or with [`Part::Dash`] one for each
/// choice of dashes. `None` if it has wildcards or stands for more than `most` texts.
pub(super) fn texts(parts: &[Part], most: usize) -> Option<Vec<String>> {
    let mut texts = vec![String::new()];
    for part in parts {
        match part {
            Part::Literal(literal) => texts.iter_mut().for_each(|text| text.push_str(literal)),
            Part::Dash => {
                if texts.len().saturating_mul(DASHES.len()) > most {
                    return None;
                }
                let with = |text: &String, dash| format!("{text}{dash}");
                texts = texts.iter().flat_map(|t| DASHES.map(|dash| with(t, dash))).collect();
            }
            Part::AnyRun | Part::AnyChar => return None,
        }
    }
    Some(texts)
}

#[cfg(test)]
mod tests;
