//! What one value of a rule asks of a field, compiled.
//!
//! A [`Checks`] is an item of a rule ready to run: its values sorted into the cheapest test that says
//! the same. Long lists become sets: equality a hash set, endings a table over their last bytes,
//! substrings one automaton. Which text a test reads, folded or original, is fixed here.
//!
//! Invariant: for every list of field values, [`Checks::holds`] is what the item means by
//! [`crate::sigma::Item`]; the sets change the time, not the answer (a test compares each set with
//! its values one by one).
//!
//! Source of facts: Sigma rules specification and modifiers appendix, version 2.1.0.

use super::atoms::of_regex;
use super::wildcard::Wildcard;
use crate::event::Texts;
use crate::sigma::{
    Comparison, Item, Number, NumberValue, Part, Pattern, Regex, Test, TextMatch, TimePart,
};
use crate::utf16::folded;
use aho_corasick::packed::Searcher;
use aho_corasick::{AhoCorasick, AhoCorasickKind};
use hashbrown::{HashMap, HashSet};
use memchr::memmem::Finder;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::OnceLock;

/// From how many values on a list becomes a set: below, going through the list is quicker.
const SET_FROM: usize = 6;

/// The largest compiled regular expression, in bytes: half as much again as the loader allows, so
/// that whatever it let pass compiles here, where the machine for bytes may differ a little in size.
const REGEX_SIZE_LIMIT: usize = crate::sigma::REGEX_SIZE_LIMIT / 2 * 3;

/// The values of one field of one event: texts `from..to` of `folded`, and from `original_from` on
/// the same ones in `original`, if the checks asked for them.
#[derive(Clone, Copy)]
pub(super) struct FieldValues<'a> {
    pub(super) folded: &'a Texts,
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) original: &'a Texts,
    pub(super) original_from: usize,
}

impl<'a> FieldValues<'a> {
    pub(super) fn is_absent(&self) -> bool {
        self.from == self.to
    }

    pub(super) fn folded(self) -> impl Iterator<Item = &'a [u8]> {
        self.folded.range(self.from, self.to)
    }

    pub(super) fn original(self) -> impl Iterator<Item = &'a [u8]> {
        self.original.range(self.original_from, self.original_from + (self.to - self.from))
    }

    fn texts(self, cased: bool) -> impl Iterator<Item = &'a [u8]> {
        let (texts, from) =
            if cased { (self.original, self.original_from) } else { (self.folded, self.from) };
        texts.range(from, from + (self.to - self.from))
    }
}

/// An item, compiled.
#[derive(Debug)]
pub(super) struct Checks {
    checks: Box<[Check]>,
    all: bool,
    negated: bool,
    /// Whether [`Checks::holds`] reads original texts.
    pub(super) original: bool,
}

impl Checks {
    /// The item compiled. `reference` numbers the fields of `fieldref` values, in order.
    pub(super) fn new(item: &Item) -> Checks {
        let keywords = item.field.is_none();
        let mut next_reference = 0;
        let mut list: Vec<Check> = item
            .values
            .iter()
            .map(|test| Check::new(test, keywords, &mut next_reference))
            .collect();
        if !item.all {
            list = group(list);
        }
        list.sort_by_key(Check::cost);
        Checks {
            original: list.iter().any(Check::reads_original),
            checks: list.into(),
            all: item.all,
            negated: item.negated,
        }
    }

    /// Whether the item holds for a field with these values; `references` are the values of the
    /// fields that it refers to.
    pub(super) fn holds(&self, values: FieldValues<'_>, references: &[FieldValues<'_>]) -> bool {
        let mut checks = self.checks.iter();
        let one = |check: &Check| check.holds(values, references);
        self.negated ^ if self.all { checks.all(one) } else { checks.any(one) }
    }

    /// The index of the first value that makes one of the tests true by itself, for showing.
    pub(super) fn matching_value(
        &self,
        values: FieldValues<'_>,
        references: &[FieldValues<'_>],
    ) -> Option<usize> {
        (0..values.to - values.from).find(|n| {
            let one = FieldValues {
                from: values.from + n,
                to: values.from + n + 1,
                original_from: values.original_from + n,
                ..values
            };
            self.checks.iter().any(|check| check.holds(one, references))
        })
    }
}

/// One test of a field's values: true if some value passes.
#[derive(Debug)]
enum Check {
    /// The field is absent.
    Absent,
    /// The field is there, or is not.
    Exists(bool),
    Equals {
        text: Box<[u8]>,
        cased: bool,
    },
    EqualsAny(HashSet<Box<[u8]>>),
    StartsWith {
        text: Box<[u8]>,
        cased: bool,
    },
    EndsWith {
        text: Box<[u8]>,
        cased: bool,
    },
    EndsWithAny(Endings),
    Contains {
        finder: Box<Finder<'static>>,
        cased: bool,
    },
    ContainsAny(Substrings),
    /// Any value at all.
    Any,
    Wildcard {
        pattern: Wildcard,
        cased: bool,
    },
    Number {
        value: NumberValue,
        text: Box<[u8]>,
    },
    Compare(Comparison, NumberValue),
    Regex(LazyRegex),
    Cidr(ipnet::IpNet),
    TimePart(TimePart, Comparison, i64),
    Reference {
        index: usize,
        how: TextMatch,
        cased: bool,
    },
    AnyOf(Box<[Check]>),
}

impl Check {
    fn new(test: &Test, keyword: bool, next_reference: &mut usize) -> Check {
        match test {
            Test::Null => Check::Absent,
            Test::Exists(there) => Check::Exists(*there),
            Test::Text(pattern) => Check::text(&pattern.parts, pattern.cased),
            Test::Number(number) if keyword => Check::text(
                &[Part::AnyRun, Part::Literal(number.text.clone()), Part::AnyRun],
                false,
            ),
            Test::Number(Number { value, text }) => {
                Check::Number { value: *value, text: folded(text).into_bytes().into() }
            }
            Test::Compare(how, number) => Check::Compare(*how, number.value),
            Test::Regex(regex) => Check::Regex(LazyRegex::new(regex)),
            Test::Cidr(net) => Check::Cidr(*net),
            Test::TimePart(part, how, n) => Check::TimePart(*part, *how, *n),
            Test::FieldRef { how, cased, .. } => {
                let index = *next_reference;
                *next_reference += 1;
                Check::Reference { index, how: *how, cased: *cased }
            }
            Test::AnyOf(tests) => {
                Check::AnyOf(tests.iter().map(|t| Check::new(t, keyword, next_reference)).collect())
            }
        }
    }

    fn text(parts: &[Part], cased: bool) -> Check {
        let form = |text: &str| if cased { text.to_owned() } else { folded(text) };
        let bytes = |text: &str| -> Box<[u8]> { form(text).into_bytes().into() };
        match parts {
            [] => Check::Equals { text: Box::default(), cased },
            [Part::AnyRun] => Check::Any,
            [Part::Literal(text)] => match other_guid_form(text) {
                Some(other) => {
                    let one = |text: &str| Check::Equals { text: bytes(text), cased };
                    Check::AnyOf([one(text), one(&other)].into())
                }
                None => Check::Equals { text: bytes(text), cased },
            },
            [Part::Literal(text), Part::AnyRun] => Check::StartsWith { text: bytes(text), cased },
            [Part::AnyRun, Part::Literal(text)] => Check::EndsWith { text: bytes(text), cased },
            [Part::AnyRun, Part::Literal(text), Part::AnyRun] => {
                Check::Contains { finder: Box::new(Finder::new(&bytes(text)).into_owned()), cased }
            }
            parts => {
                let parts: Vec<Part> = parts
                    .iter()
                    .map(|part| match part {
                        Part::Literal(text) => Part::Literal(form(text)),
                        other => other.clone(),
                    })
                    .collect();
                Check::Wildcard { pattern: Wildcard::new(&parts), cased }
            }
        }
    }

    fn holds(&self, values: FieldValues<'_>, references: &[FieldValues<'_>]) -> bool {
        match self {
            Check::Absent => values.is_absent(),
            Check::Exists(there) => values.is_absent() != *there,
            Check::Any => !values.is_absent(),
            Check::Equals { text, cased } => values.texts(*cased).any(|v| equals(v, text)),
            Check::EqualsAny(set) => values.folded().any(|v| {
                set.contains(v) || trimmed(v).is_some_and(|v| !v.is_empty() && set.contains(v))
            }),
            Check::StartsWith { text, cased } => values.texts(*cased).any(|v| v.starts_with(text)),
            Check::EndsWith { text, cased } => values.texts(*cased).any(|v| v.ends_with(text)),
            Check::EndsWithAny(endings) => values.folded().any(|v| endings.is_match(v)),
            Check::Contains { finder, cased } => {
                values.texts(*cased).any(|v| finder.find(v).is_some())
            }
            Check::ContainsAny(texts) => values.folded().any(|v| texts.occur_in(v)),
            Check::Wildcard { pattern, cased } => values.texts(*cased).any(|v| pattern.is_match(v)),
            Check::Number { value, text } => values
                .folded()
                .any(|v| v == &**text || parse_number(v).is_some_and(|n| numbers_equal(n, *value))),
            Check::Compare(how, than) => values
                .folded()
                .any(|v| parse_number(v).is_some_and(|n| compare_numbers(n, *how, *than))),
            Check::Regex(regex) => {
                values.folded().zip(values.original()).any(|(f, o)| regex.is_match(f, o))
            }
            Check::Cidr(net) => values.folded().filter_map(parse_ip).any(|ip| net.contains(&ip)),
            Check::TimePart(part, how, than) => values
                .original()
                .any(|v| time_part(v, *part).is_some_and(|n| compare(&n, *how, than))),
            Check::Reference { index, how, cased } => references.get(*index).is_some_and(|other| {
                other.texts(*cased).any(|o| values.texts(*cased).any(|v| relate(v, *how, o)))
            }),
            Check::AnyOf(checks) => checks.iter().any(|check| check.holds(values, references)),
        }
    }

    fn reads_original(&self) -> bool {
        match self {
            Check::Equals { cased, .. }
            | Check::StartsWith { cased, .. }
            | Check::EndsWith { cased, .. }
            | Check::Contains { cased, .. }
            | Check::Wildcard { cased, .. }
            | Check::Reference { cased, .. } => *cased,
            Check::Regex(_) | Check::TimePart(..) => true,
            Check::AnyOf(checks) => checks.iter().any(Check::reads_original),
            _ => false,
        }
    }

    /// Rough nanoseconds for a value of usual length: only the order matters.
    fn cost(&self) -> u32 {
        match self {
            Check::Absent | Check::Exists(_) | Check::Any => 1,
            Check::Equals { .. } | Check::StartsWith { .. } | Check::EndsWith { .. } => 4,
            Check::EndsWithAny(_) => 15,
            Check::Number { .. } | Check::Compare(..) | Check::EqualsAny(_) => 20,
            Check::Contains { .. } => 30,
            Check::Wildcard { .. } | Check::Reference { .. } => 60,
            Check::Cidr(_) => 80,
            Check::ContainsAny(_) | Check::TimePart(..) => 200,
            Check::Regex(_) => 1000,
            Check::AnyOf(checks) => checks.iter().map(Check::cost).sum(),
        }
    }
}

/// Puts what can be tested together into sets.
fn group(list: Vec<Check>) -> Vec<Check> {
    let mut flat = Vec::new();
    for check in list {
        match check {
            Check::AnyOf(inner) => flat.extend(inner),
            other => flat.push(other),
        }
    }
    let count = |is: fn(&Check) -> bool| flat.iter().filter(|c| is(c)).count() >= SET_FROM;
    let equals = count(|c| matches!(c, Check::Equals { cased: false, .. }));
    let endings = count(|c| matches!(c, Check::EndsWith { cased: false, .. }));
    let contains = count(|c| matches!(c, Check::Contains { cased: false, .. }));
    let (mut set, mut ends, mut inside, mut rest) =
        (HashSet::new(), Vec::new(), Vec::new(), vec![]);
    for check in flat {
        match check {
            Check::Equals { text, cased: false } if equals => {
                set.insert(text);
            }
            Check::EndsWith { text, cased: false } if endings => ends.push(text),
            Check::Contains { finder, cased: false } if contains => inside.push(finder),
            other => rest.push(other),
        }
    }
    if !set.is_empty() {
        rest.push(Check::EqualsAny(set));
    }
    if !ends.is_empty() {
        rest.push(Check::EndsWithAny(Endings::new(ends)));
    }
    if !inside.is_empty() {
        match Substrings::new(&inside) {
            Some(substrings) => rest.push(Check::ContainsAny(substrings)),
            // Too large for one automaton: one by one says the same.
            None => {
                let single = |finder| Check::Contains { finder, cased: false };
                rest.extend(inside.into_iter().map(single));
            }
        }
    }
    rest
}

/// Many substrings at once. The packed (SIMD) searcher is made and searches faster than an automaton,
/// and takes few texts, none of them short.
#[derive(Debug)]
enum Substrings {
    Packed(Searcher),
    Automaton(AhoCorasick),
}

impl Substrings {
    /// How many texts the packed searcher does well with.
    const PACKED_MOST: usize = 48;
    /// How long these have to be.
    const PACKED_SHORTEST: usize = 3;

    fn new(finders: &[Box<Finder<'static>>]) -> Option<Substrings> {
        let texts = || finders.iter().map(|f| f.needle());
        let packed = finders.len() <= Substrings::PACKED_MOST
            && texts().all(|t| t.len() >= Substrings::PACKED_SHORTEST);
        if let Some(searcher) = packed.then(|| Searcher::new(texts())).flatten() {
            return Some(Substrings::Packed(searcher));
        }
        let automaton =
            AhoCorasick::builder().kind(Some(AhoCorasickKind::ContiguousNFA)).build(texts());
        automaton.ok().map(Substrings::Automaton)
    }

    fn occur_in(&self, value: &[u8]) -> bool {
        match self {
            Substrings::Packed(searcher) => searcher.find(value).is_some(),
            Substrings::Automaton(automaton) => automaton.is_match(value),
        }
    }
}

/// Many endings at once: those of eight bytes or more are found by their last eight.
#[derive(Debug)]
struct Endings {
    by_tail: HashMap<[u8; 8], Vec<Box<[u8]>>>,
    short: Vec<Box<[u8]>>,
}

impl Endings {
    fn new(texts: Vec<Box<[u8]>>) -> Endings {
        let mut endings = Endings { by_tail: HashMap::new(), short: Vec::new() };
        for text in texts {
            match text.last_chunk::<8>() {
                Some(tail) => endings.by_tail.entry(*tail).or_default().push(text),
                None => endings.short.push(text),
            }
        }
        endings
    }

    fn is_match(&self, value: &[u8]) -> bool {
        let long = value.last_chunk::<8>().and_then(|tail| self.by_tail.get(tail));
        long.is_some_and(|texts| texts.iter().any(|t| value.ends_with(t)))
            || self.short.iter().any(|t| value.ends_with(t))
    }
}

/// Equality of a rule's text and a value, which may have trailing blanks and NULs: `NtLmSsp ` in the
/// Security log is what a rule calls `NtLmSsp`. Empty stays empty.
fn equals(value: &[u8], text: &[u8]) -> bool {
    value == text || (!text.is_empty() && trimmed(value).is_some_and(|v| v == text))
}

/// The value without trailing blanks and NULs, if it has some.
fn trimmed(value: &[u8]) -> Option<&[u8]> {
    let end = value.iter().rposition(|b| !matches!(b, b' ' | 0)).map_or(0, |at| at + 1);
    value.get(..end).filter(|v| v.len() < value.len())
}

/// A rule's text that is wholly a GUID, in its other form: with braces if it has none, and the other
/// way round. Logs show GUIDs in braces, older tools without, and rules are written after either.
pub(super) fn other_guid_form(text: &str) -> Option<String> {
    let (bare, braced) = match text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
        Some(bare) => (bare, true),
        None => (text, false),
    };
    let is_guid = bare.len() == 36
        && bare.bytes().enumerate().all(|(n, b)| match n {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        });
    is_guid.then(|| if braced { bare.to_owned() } else { format!("{{{bare}}}") })
}

fn relate(value: &[u8], how: TextMatch, other: &[u8]) -> bool {
    match how {
        TextMatch::Equals => value == other,
        TextMatch::Contains => memchr::memmem::find(value, other).is_some(),
        TextMatch::StartsWith => value.starts_with(other),
        TextMatch::EndsWith => value.ends_with(other),
    }
}

/// A decimal number, blanks around it ignored; hexadecimal, exponents, `inf` and `nan` are text.
fn parse_number(text: &[u8]) -> Option<NumberValue> {
    let text = text.trim_ascii();
    let digit = text.iter().any(u8::is_ascii_digit);
    let plain = text.iter().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.'));
    if !digit || !plain {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    if let Ok(n) = text.parse() {
        return Some(NumberValue::Integer(n));
    }
    text.parse().ok().map(NumberValue::Float)
}

fn as_float(n: NumberValue) -> f64 {
    match n {
        NumberValue::Integer(n) => n as f64,
        NumberValue::Float(x) => x,
    }
}

#[expect(clippy::float_cmp, reason = "Sigma compares numbers by value; both sides are as written")]
fn numbers_equal(a: NumberValue, b: NumberValue) -> bool {
    match (a, b) {
        (NumberValue::Integer(a), NumberValue::Integer(b)) => a == b,
        (a, b) => as_float(a) == as_float(b),
    }
}

fn compare_numbers(a: NumberValue, how: Comparison, b: NumberValue) -> bool {
    match (a, b) {
        (NumberValue::Integer(a), NumberValue::Integer(b)) => compare(&a, how, &b),
        (a, b) => compare(&as_float(a), how, &as_float(b)),
    }
}

fn compare<T: PartialOrd>(a: &T, how: Comparison, b: &T) -> bool {
    match how {
        Comparison::Equal => a == b,
        Comparison::Less => a < b,
        Comparison::LessOrEqual => a <= b,
        Comparison::Greater => a > b,
        Comparison::GreaterOrEqual => a >= b,
    }
}

/// An IP address as logs write it: in brackets, with a zone, or IPv4 mapped into IPv6.
fn parse_ip(text: &[u8]) -> Option<IpAddr> {
    /// The longest text of an address with a zone that is worth parsing.
    const LONGEST: usize = 128;
    let text = text.trim_ascii();
    if text.len() > LONGEST {
        return None;
    }
    let text = text.strip_prefix(b"[").and_then(|t| t.strip_suffix(b"]")).unwrap_or(text);
    let text = text.split(|b| *b == b'%').next()?;
    match std::str::from_utf8(text).ok()?.parse().ok()? {
        IpAddr::V6(ip) => Some(mapped_v4(&ip.segments()).map_or(IpAddr::V6(ip), IpAddr::V4)),
        v4 => Some(v4),
    }
}

/// `::ffff:a.b.c.d`
fn mapped_v4(segments: &[u16; 8]) -> Option<Ipv4Addr> {
    match segments {
        [0, 0, 0, 0, 0, 0xFFFF, high, low] => {
            Some(Ipv4Addr::from(u32::from(*high) << 16 | u32::from(*low)))
        }
        _ => None,
    }
}

/// The part of an RFC 3339 timestamp, in UTC.
fn time_part(text: &[u8], part: TimePart) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let time: jiff::Timestamp = text.parse().ok()?;
    let time = jiff::tz::Offset::UTC.to_datetime(time);
    Some(match part {
        TimePart::Minute => time.minute().into(),
        TimePart::Hour => time.hour().into(),
        TimePart::Day => time.day().into(),
        TimePart::Week => time.date().iso_week_date().week().into(),
        TimePart::Month => time.month().into(),
        TimePart::Year => time.year().into(),
    })
}

/// A regular expression that is compiled when it is first needed: most never are.
///
/// Most texts are ASCII. For these an expression means the same without its Unicode tables, which
/// make compiling `\\w{64}` and its like ten times as dear; so there are two of each, and the Unicode
/// one is compiled at the first text that is not ASCII. An expression with a character beyond ASCII is
/// not split: regardless of case, U+212A is a `k` for it, but not without those tables.
#[derive(Debug)]
struct LazyRegex {
    source: Regex,
    /// Folded literals of which one stands in every text that matches.
    required: Option<Box<[Finder<'static>]>>,
    /// Whether all its characters are ASCII, in escapes too.
    is_ascii: bool,
    ascii: OnceLock<Option<regex::bytes::Regex>>,
    unicode: OnceLock<Option<regex::bytes::Regex>>,
}

impl LazyRegex {
    /// Up to how many literals are looked for before the expression is.
    const MOST_REQUIRED: usize = 4;

    fn new(source: &Regex) -> LazyRegex {
        let atoms = of_regex(source).filter(|atoms| atoms.len() <= LazyRegex::MOST_REQUIRED);
        LazyRegex {
            source: source.clone(),
            required: atoms
                .map(|atoms| atoms.iter().map(|a| Finder::new(a).into_owned()).collect()),
            is_ascii: source.pattern.is_ascii()
                && !["\\x", "\\u", "\\U"].iter().any(|e| source.pattern.contains(e)),
            ascii: OnceLock::new(),
            unicode: OnceLock::new(),
        }
    }

    fn is_match(&self, folded: &[u8], original: &[u8]) -> bool {
        let possible = |finders: &[Finder<'_>]| finders.iter().any(|f| f.find(folded).is_some());
        if self.required.as_deref().is_some_and(|finders| !possible(finders)) {
            return false;
        }
        if self.is_ascii && original.is_ascii() {
            // An expression that is none without Unicode is compiled with it.
            let regex = self.ascii.get_or_init(|| compile(&self.source, false).ok());
            if let Some(regex) = regex {
                return regex.is_match(original);
            }
        }
        let regex = self.unicode.get_or_init(|| compile(&self.source, true).ok());
        regex.as_ref().is_some_and(|regex| regex.is_match(original))
    }
}

/// The expression compiled as it is matched.
///
/// # Errors
/// If it is no valid expression or larger than [`REGEX_SIZE_LIMIT`].
fn compile(regex: &Regex, unicode: bool) -> Result<regex::bytes::Regex, regex::Error> {
    regex::bytes::RegexBuilder::new(&regex.pattern)
        .unicode(unicode)
        .case_insensitive(regex.ignore_case)
        .multi_line(regex.multi_line)
        .dot_matches_new_line(regex.dot_all)
        .size_limit(REGEX_SIZE_LIMIT)
        .build()
}

/// What an item costs to evaluate, in rough nanoseconds for a value of usual length, told before it is
/// compiled: only the order matters.
pub(super) fn cost(item: &Item) -> u32 {
    fn of(test: &Test) -> u32 {
        match test {
            Test::Null | Test::Exists(_) => 1,
            Test::Text(pattern) => match &*pattern.parts {
                [] | [_] | [Part::Literal(_), Part::AnyRun] | [Part::AnyRun, Part::Literal(_)] => 4,
                [Part::AnyRun, Part::Literal(_), Part::AnyRun] => 30,
                _ => 60,
            },
            Test::Number(_) | Test::Compare(..) => 20,
            Test::FieldRef { .. } => 60,
            Test::Cidr(_) => 80,
            Test::TimePart(..) => 200,
            Test::Regex(_) => 1000,
            Test::AnyOf(tests) => tests.iter().map(of).fold(0, u32::saturating_add),
        }
    }
    /// A long list becomes a set, which costs less than its values one by one.
    const SET: u32 = 300;
    let regex = item.values.iter().any(|test| matches!(test, Test::Regex(_)));
    let sum = item.values.iter().map(of).fold(0, u32::saturating_add);
    if regex { sum } else { sum.min(SET) }
}

/// Whether a pattern is one that [`equals`] decides.
pub(super) fn is_equality(pattern: &Pattern) -> bool {
    matches!(&*pattern.parts, [] | [Part::Literal(_)])
}
