//! The condition of a rule: `selection and not 1 of filter_*`.
//!
//! ```text
//! or   := and ("or" and)*
//! and  := not ("and" not)*
//! not  := "not"* atom
//! atom := "(" or ")" | ("1"|"any"|"all"|N) "of" ("them"|pattern) | name
//! ```
//!
//! Words end at word borders, so `notepad` is a name and not `not epad`. Operators are lower-case;
//! in upper case they count too, unless a section has that very name. Patterns and `them` leave out
//! sections whose names begin with `_`, unless the pattern does too. A name or pattern that selects
//! nothing is an error: any other reading turns a misspelt filter into a rule that means something
//! else.
//!
//! Selectors are expanded here, once; what comes out is a tree of indices into the sections. What
//! stands behind a `|` is an [`Aggregation`] over all that stands before it.
//! Offsets in errors are characters in the condition's text.
//!
//! Source of facts: Sigma rules specification 2.1.0, "Condition".

use std::collections::HashMap;

use super::rule::Condition;

mod aggregation;

pub(super) use aggregation::Aggregation;

/// Parentheses inside parentheses. The deepest public rule has 4.
const MAX_NESTING: usize = 64;

/// Characters of a condition; public rules stay below 700. With the cap on sections this bounds the
/// work that selectors can ask for.
const MAX_LENGTH: usize = 16 * 1024;

/// What is wrong with a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConditionFault {
    /// The character in its text.
    pub character: usize,
    /// Whether it is a valid condition of a kind that is not evaluated.
    pub not_supported: bool,
    /// Whether it names a section, or selects sections, that there are not.
    pub selects_nothing: bool,
    /// What is wrong.
    pub reason: String,
}

impl ConditionFault {
    fn new(character: usize, reason: impl Into<String>) -> ConditionFault {
        let (not_supported, selects_nothing) = (false, false);
        ConditionFault { character, not_supported, selects_nothing, reason: reason.into() }
    }

    fn no_section(character: usize, reason: impl Into<String>) -> ConditionFault {
        ConditionFault { selects_nothing: true, ..ConditionFault::new(character, reason) }
    }
}

/// The names of a rule's sections, in order, ready for looking up.
pub(super) struct Names<'n> {
    names: Vec<&'n str>,
    index: HashMap<&'n str, usize>,
}

impl<'n> Names<'n> {
    /// Takes the names in the order of the sections.
    pub fn new(names: impl IntoIterator<Item = &'n str>) -> Names<'n> {
        let names: Vec<&str> = names.into_iter().collect();
        let index = names.iter().enumerate().map(|(i, name)| (*name, i)).collect();
        Names { names, index }
    }

    fn get(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    fn matching(&self, pattern: &str) -> Vec<usize> {
        let hidden = pattern.starts_with('_');
        let selects = |name: &str| (hidden || !name.starts_with('_')) && glob(pattern, name);
        let all = self.names.iter().enumerate();
        all.filter(|(_, name)| selects(name)).map(|(i, _)| i).collect()
    }
}

/// Whether a pattern with `*` fits a whole name.
fn glob(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    // Taking each piece at its first place leaves the most for those behind it.
    for piece in pieces {
        match rest.split_once(piece) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Reads a condition over these sections, with what is counted of the events for which it holds.
pub(super) fn parse(
    text: &str,
    names: &Names<'_>,
) -> Result<(Condition, Option<Aggregation>), ConditionFault> {
    if text.chars().nth(MAX_LENGTH).is_some() {
        let reason = format!("a condition of more than {MAX_LENGTH} characters");
        return Err(ConditionFault::new(0, reason));
    }
    let (before, aggregation) = match text.split_once('|') {
        None => (text, None),
        Some((before, _)) => {
            let behind = text.get(before.len()..).unwrap_or_default();
            (before, Some(aggregation::parse(behind, before.chars().count())?))
        }
    };
    let tokens = tokens(before)?;
    let end = before.trim_end().chars().count();
    let mut parser = Parser { tokens: &tokens, position: 0, names, end };
    let condition = parser.or(0)?;
    match parser.peek() {
        None => Ok((condition, aggregation)),
        Some(Token { kind: Kind::Close, at }) => {
            Err(ConditionFault::new(*at, "a `)` that closes nothing"))
        }
        Some(token) => {
            let reason = format!("expected `and` or `or` before `{}`", token.kind.text());
            Err(ConditionFault::new(token.at, reason))
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind<'t> {
    Open,
    Close,
    Word(&'t str),
}

impl<'t> Kind<'t> {
    fn text(self) -> &'t str {
        match self {
            Kind::Open => "(",
            Kind::Close => ")",
            Kind::Word(word) => word,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Token<'t> {
    kind: Kind<'t>,
    at: usize,
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '*')
}

fn tokens(text: &str) -> Result<Vec<Token<'_>>, ConditionFault> {
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut at = 0;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            c if c.is_whitespace() => 1,
            '(' | ')' => {
                let kind = if c == '(' { Kind::Open } else { Kind::Close };
                tokens.push(Token { kind, at });
                1
            }
            c if is_name(c) => {
                let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
                let (word, behind) = rest.split_at(end);
                tokens.push(Token { kind: Kind::Word(word), at });
                at += word.chars().count();
                rest = behind;
                continue;
            }
            c => {
                let reason = format!("`{}` cannot stand in a condition", c.escape_debug());
                return Err(ConditionFault::new(at, reason));
            }
        };
        at += length;
        let mut behind = rest.chars();
        behind.next();
        rest = behind.as_str();
    }
    Ok(tokens)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    And,
    Or,
    Not,
}

struct Parser<'p> {
    tokens: &'p [Token<'p>],
    position: usize,
    names: &'p Names<'p>,
    end: usize,
}

impl<'p> Parser<'p> {
    fn peek(&self) -> Option<&'p Token<'p>> {
        self.tokens.get(self.position)
    }

    /// Takes the next token if it is this operator.
    fn take(&mut self, wanted: Operator) -> bool {
        let found = self.peek().and_then(|token| self.operator(token)) == Some(wanted);
        self.position += usize::from(found);
        found
    }

    fn operator(&self, token: &Token<'_>) -> Option<Operator> {
        let Kind::Word(word) = token.kind else { return None };
        let is = |operator: &str| {
            word == operator
                || (word.eq_ignore_ascii_case(operator) && self.names.get(word).is_none())
        };
        match () {
            () if is("and") => Some(Operator::And),
            () if is("or") => Some(Operator::Or),
            () if is("not") => Some(Operator::Not),
            () => None,
        }
    }

    fn or(&mut self, depth: usize) -> Result<Condition, ConditionFault> {
        let mut terms = vec![self.and(depth)?];
        while self.take(Operator::Or) {
            terms.push(self.and(depth)?);
        }
        Ok(joined(terms, Condition::Or))
    }

    fn and(&mut self, depth: usize) -> Result<Condition, ConditionFault> {
        let mut terms = vec![self.not(depth)?];
        while self.take(Operator::And) {
            terms.push(self.not(depth)?);
        }
        Ok(joined(terms, Condition::And))
    }

    /// `not not x` is `x`: matching is two-valued.
    fn not(&mut self, depth: usize) -> Result<Condition, ConditionFault> {
        let mut negated = false;
        while self.take(Operator::Not) {
            negated = !negated;
        }
        let atom = self.atom(depth)?;
        Ok(if negated { Condition::Not(Box::new(atom)) } else { atom })
    }

    fn atom(&mut self, depth: usize) -> Result<Condition, ConditionFault> {
        let Some(token) = self.peek() else {
            return Err(ConditionFault::new(self.end, "the condition ends where a name should be"));
        };
        if self.operator(token).is_some() {
            let reason = format!("expected a name before `{}`", token.kind.text());
            return Err(ConditionFault::new(token.at, reason));
        }
        self.position += 1;
        match token.kind {
            Kind::Open if depth >= MAX_NESTING => {
                let reason = format!("parentheses nested deeper than {MAX_NESTING}");
                Err(ConditionFault::new(token.at, reason))
            }
            Kind::Open => {
                let inner = self.or(depth + 1)?;
                match self.peek() {
                    Some(Token { kind: Kind::Close, .. }) => {
                        self.position += 1;
                        Ok(inner)
                    }
                    Some(other) => {
                        let reason = format!("expected `)` before `{}`", other.kind.text());
                        Err(ConditionFault::new(other.at, reason))
                    }
                    None => Err(ConditionFault::new(token.at, "a `(` that is never closed")),
                }
            }
            Kind::Close => Err(ConditionFault::new(token.at, "expected a name before `)`")),
            Kind::Word(word) => self.word(word, token.at),
        }
    }

    /// A selector if `of` follows, a section's name otherwise.
    fn word(&mut self, word: &'p str, at: usize) -> Result<Condition, ConditionFault> {
        if let Some(Token { kind: Kind::Word(of), .. }) = self.peek()
            && of.eq_ignore_ascii_case("of")
        {
            self.position += 1;
            return self.selector(word, of, at);
        }
        match self.names.get(word) {
            Some(section) => Ok(Condition::Section(section)),
            None if word.contains('*') => {
                let reason = format!("a pattern needs `1 of` or `all of` before it: `{word}`");
                Err(ConditionFault::new(at, reason))
            }
            None => Err(ConditionFault::no_section(at, format!("no section is named `{word}`"))),
        }
    }

    fn selector(
        &mut self,
        quantity: &str,
        of: &str,
        at: usize,
    ) -> Result<Condition, ConditionFault> {
        let all = quantity.eq_ignore_ascii_case("all");
        let count = if quantity.eq_ignore_ascii_case("any") {
            Some(1)
        } else if quantity.bytes().all(|b| b.is_ascii_digit()) {
            quantity.parse().ok()
        } else {
            None
        };
        if !all && count.is_none() {
            let reason =
                format!("expected `1`, `any`, `all` or a number before `of`: `{quantity}`");
            return Err(ConditionFault::new(at, reason));
        }
        let Some(Token { kind: Kind::Word(target), at: target_at }) = self.peek().copied() else {
            let place = self.peek().map_or(self.end, |token| token.at);
            return Err(ConditionFault::new(place, "expected `them` or a name behind `of`"));
        };
        self.position += 1;
        let is_them = target.eq_ignore_ascii_case("them") && self.names.get(target).is_none();
        let sections = self.names.matching(if is_them || target == "them" { "*" } else { target });
        if sections.is_empty() {
            let reason = format!("`{quantity} {of} {target}` selects no section");
            return Err(ConditionFault::no_section(target_at, reason));
        }
        let count = count.unwrap_or(sections.len());
        if count == 0 {
            return Err(ConditionFault::new(at, "`0 of` holds always"));
        }
        if count > sections.len() {
            let found = sections.len();
            let reason = format!("`{quantity} of` can never hold: `{target}` selects {found}");
            return Err(ConditionFault::new(at, reason));
        }
        let text = format!("{quantity} {of} {target}");
        Ok(Condition::AtLeast { count, sections, text })
    }
}

/// Several terms joined, a single one as it is.
pub(super) fn joined(
    mut terms: Vec<Condition>,
    join: impl FnOnce(Vec<Condition>) -> Condition,
) -> Condition {
    match (terms.pop(), terms.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            terms.extend(last);
            join(terms)
        }
    }
}

/// Which sections a condition speaks of, by index.
pub(super) fn mark_used(condition: &Condition, used: &mut [bool]) {
    match condition {
        Condition::And(terms) | Condition::Or(terms) => {
            terms.iter().for_each(|term| mark_used(term, used));
        }
        Condition::Not(term) => mark_used(term, used),
        Condition::Section(section) => mark(used, *section),
        Condition::AtLeast { sections, .. } => sections.iter().for_each(|s| mark(used, *s)),
    }
}

fn mark(used: &mut [bool], section: usize) {
    if let Some(flag) = used.get_mut(section) {
        *flag = true;
    }
}

#[cfg(test)]
mod tests;
