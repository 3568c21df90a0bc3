//! A Sigma rule as its author wrote it, with every modifier already applied.
//!
//! This is the contract between loading and compiling: the loader ([`super`]) knows YAML, modifiers
//! and the condition grammar and nothing of events; the engine knows events and nothing of YAML.
//! What stands here is therefore *meaning*: `contains` has become wildcards at both ends of a
//! [`Pattern`], `base64offset` its three alternatives, `neq` a flag, `1 of sel_*` a threshold over
//! the sections it selects.
//!
//! Invariants: every [`Condition::Section`] and [`Condition::AtLeast`] index is a valid index into
//! [`Detection::sections`]; no section, `All` or `Any` is empty; an [`Item`] has at least one value;
//! sections stand in the order of the file.
//!
//! Source of facts: Sigma rules specification 2.1.0 and its modifiers appendix.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A file of a rule set, by its two names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleFile {
    /// Its name in the rule set, the same wherever that lies: relative to the rule path that was
    /// given, `/` between its parts; inside a zip archive as `rules.zip!dir/rule.yml`.
    pub path: String,
    /// Where it can be opened: beginning with the rule path as it was given. Messages say this, since
    /// two rule paths can hold files of the same name.
    pub shown: String,
}

impl RuleFile {
    /// A file that has one name.
    #[must_use]
    pub fn named(name: &str) -> Arc<RuleFile> {
        Arc::new(RuleFile { path: name.to_owned(), shown: name.to_owned() })
    }
}

/// Where something stands in a rule set: what an error or a hit names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The file.
    pub file: Arc<RuleFile>,
    /// The document's number in its file, from 0.
    pub document: u32,
    /// The line in the file, from 1.
    pub line: u32,
    /// The column in the line, in characters, from 1.
    pub column: u32,
}

impl Origin {
    /// The file's name in the rule set.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.file.path
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.shown, self.line, self.column)
    }
}

/// How severe a rule's author holds a match to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// `informational`: context, not suspicious by itself. Also what a rule without a level has.
    Informational,
    /// `low`
    Low,
    /// `medium`
    Medium,
    /// `high`
    High,
    /// `critical`
    Critical,
}

impl Level {
    /// All levels, from the least to the most severe.
    pub const ALL: [Level; 5] =
        [Level::Informational, Level::Low, Level::Medium, Level::High, Level::Critical];

    /// The word that Sigma uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Informational => "informational",
            Level::Low => "low",
            Level::Medium => "medium",
            Level::High => "high",
            Level::Critical => "critical",
        }
    }
}

/// A rule's maturity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// `stable`
    Stable,
    /// `test`
    Test,
    /// `experimental`
    Experimental,
    /// `deprecated`: replaced by another rule.
    Deprecated,
    /// `unsupported`: cannot be used in its present state.
    Unsupported,
}

impl Status {
    /// The word that Sigma uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Stable => "stable",
            Status::Test => "test",
            Status::Experimental => "experimental",
            Status::Deprecated => "deprecated",
            Status::Unsupported => "unsupported",
        }
    }
}

/// Whose conventions a rule follows where the specification leaves room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Sigma as SigmaHQ writes it: gated by its log source, a body field wins over a System
    /// attribute.
    Sigma,
    /// Hayabusa's own rules (`ruletype: Hayabusa` and a test of `Channel`): gated by that test
    /// alone, `Channel` means System/Channel, and Hayabusa's field aliases hold.
    Hayabusa,
}

/// A rule's log source, lower-cased. An attribute that is not set means any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct LogSource {
    /// For example `windows`.
    pub product: Option<String>,
    /// For example `process_creation`.
    pub category: Option<String>,
    /// For example `security`.
    pub service: Option<String>,
}

impl LogSource {
    /// Whether each attribute that is set here is set to the same in `other`.
    #[must_use]
    pub fn covers(&self, other: &LogSource) -> bool {
        let same = |own: &Option<String>, other: &Option<String>| own.is_none() || own == other;
        same(&self.product, &other.product)
            && same(&self.category, &other.category)
            && same(&self.service, &other.service)
    }
}

impl fmt::Display for LogSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |v: &Option<String>| v.clone().unwrap_or_else(|| "*".into());
        write!(f, "{}/{}/{}", part(&self.product), part(&self.category), part(&self.service))
    }
}

/// What a document says about itself: the same for rules, correlations and filters.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    /// Where the document begins.
    pub origin: Origin,
    /// `title`
    pub title: String,
    /// `id`, usually a UUID, compared as text.
    pub id: Option<String>,
    /// `name`, by which correlations and filters refer to it.
    pub name: Option<String>,
    /// `level`; without one it counts as informational.
    pub level: Level,
    /// `status`
    pub status: Option<Status>,
    /// `description`
    pub description: Option<String>,
    /// `author`
    pub author: Option<String>,
    /// `date`, as written.
    pub date: Option<String>,
    /// `modified`, as written.
    pub modified: Option<String>,
    /// `references`
    pub references: Vec<String>,
    /// `tags`, for example `attack.t1562.001`.
    pub tags: Vec<String>,
    /// `falsepositives`
    pub falsepositives: Vec<String>,
    /// `fields`: what its author advises to show.
    pub fields: Vec<String>,
    /// `related`: id and type as written.
    pub related: Vec<(String, String)>,
    /// `regression_tests_path`, as SigmaHQ writes it.
    pub regression_tests_path: Option<String>,
    /// `license`
    pub license: Option<String>,
    /// `scope`: for which systems it is meant, in words.
    pub scope: Vec<String>,
    /// What else it says at its top level, in the order of the file: keys that are not Sigma's, such
    /// as SigmaHQ's `simulation` or Hayabusa's `details`.
    pub custom: Vec<Custom>,
}

impl About {
    /// The value of a key that is not Sigma's.
    #[must_use]
    pub fn custom(&self, name: &str) -> Option<&Attribute> {
        self.custom.iter().find(|custom| custom.name == name).map(|custom| &custom.value)
    }
}

/// A key at the top level of a document that is not one of Sigma's, and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Custom {
    /// The key.
    pub name: String,
    /// Where it stands.
    pub origin: Origin,
    /// Its value.
    pub value: Attribute,
}

/// The value of a [`Custom`] key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// Nothing, or `null`.
    Null,
    /// A single value, as written: a text, a number, `true`.
    Text(String),
    /// A list.
    List(Vec<Attribute>),
    /// A map, in the order of the file.
    Map(Vec<(String, Attribute)>),
    /// More than is kept of a document's custom keys.
    TooLarge,
}

impl Attribute {
    /// The value of a key, if it is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Attribute> {
        match self {
            Attribute::Map(entries) => {
                entries.iter().find(|(known, _)| known == key).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// Its text, if it is a single value.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Attribute::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Its items; what is no list counts as a list of one, nothing as an empty one.
    #[must_use]
    pub fn items(&self) -> &[Attribute] {
        match self {
            Attribute::List(items) => items,
            Attribute::Null => &[],
            other => std::slice::from_ref(other),
        }
    }
}

/// A detection rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// What it says about itself; a rule dereferences to it.
    pub about: About,
    /// `logsource`
    pub logsource: LogSource,
    /// Whose conventions it follows.
    pub dialect: Dialect,
    /// `detection`
    pub detection: Detection,
    /// Whether its hits are only counted, by a correlation, and not reported: always so for a rule
    /// with an aggregation, for others as [`LoadedRules::select`](super::LoadedRules::select) says.
    pub quiet: bool,
}

impl Deref for Rule {
    type Target = About;

    fn deref(&self) -> &About {
        &self.about
    }
}

/// A rule's `detection` part.
#[derive(Debug, Clone, PartialEq)]
pub struct Detection {
    /// The named sections, in the order of the file.
    pub sections: Vec<Section>,
    /// The condition; a list of conditions has become an `Or`.
    pub condition: Condition,
}

/// A named section of a rule's `detection` (what Sigma calls a search identifier).
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// Its name, for example `selection`.
    pub name: String,
    /// Where its name stands.
    pub origin: Origin,
    /// What it asks for.
    pub body: Node,
}

/// A tree of items inside a section.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// A map: all must hold.
    All(Vec<Node>),
    /// A list: one must hold.
    Any(Vec<Node>),
    /// A leaf.
    Item(Item),
}

/// One test: a field (or, for keywords, any value of the event) against values.
///
/// Meaning, for a field whose values in the event are V: without `all`, true if some value of V
/// satisfies some of `values`; with `all`, true if each of `values` is satisfied by some value of V
/// (not necessarily the same). [`Test::Null`], [`Test::Exists`] and [`Test::FieldRef`] say
/// themselves what they do with an absent field; every other test is false for one. `negated` turns
/// the result of the whole item around.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The field's name as written, without modifiers; `None` for keywords.
    pub field: Option<String>,
    /// The modifiers as written, for showing.
    pub modifiers: Vec<String>,
    /// The values, with every modifier applied.
    pub values: Vec<Test>,
    /// Whether all `values` must hold, not just one (`|all`).
    pub all: bool,
    /// Whether the item is turned around (`|neq`).
    pub negated: bool,
    /// Where it stands.
    pub origin: Origin,
}

/// What one value of a rule asks of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// `null`: the field is absent.
    Null,
    /// `exists: true` or `false`: the element is there, even if empty, or is not.
    Exists(bool),
    /// A text pattern against the field's text, whole value.
    Text(Pattern),
    /// A number without a string modifier: true if the field's text, trimmed, is a decimal number
    /// equal to it, or if the text is the same as the number was written.
    Number(Number),
    /// `re`: a search in the original text.
    Regex(Regex),
    /// `cidr`: the text is an IP address inside the network.
    Cidr(ipnet::IpNet),
    /// `gt`, `gte`, `lt`, `lte`: a decimal comparison.
    Compare(Comparison, Number),
    /// `minute`, `hour`, `day`, `week`, `month`, `year` of a UTC timestamp, compared.
    TimePart(TimePart, Comparison, i64),
    /// `fieldref`: against the other field's values as literal text; false if either is missing.
    FieldRef {
        /// The other field's name.
        field: String,
        /// How the two are compared.
        how: TextMatch,
        /// Whether case counts.
        cased: bool,
    },
    /// One of these must hold: what a single written value became (base64offset, expand).
    AnyOf(Vec<Test>),
}

/// How one text is to stand in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextMatch {
    /// The same text.
    Equals,
    /// Anywhere in it.
    Contains,
    /// At its start.
    StartsWith,
    /// At its end.
    EndsWith,
}

/// Comparison of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// A part of a timestamp in UTC; weeks as ISO 8601 counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimePart {
    /// 0 to 59
    Minute,
    /// 0 to 23
    Hour,
    /// Day of the month, 1 to 31
    Day,
    /// ISO week, 1 to 53
    Week,
    /// 1 to 12
    Month,
    /// For example 2026
    Year,
}

/// A number as a rule gives it: its value, and its text as written.
#[derive(Debug, Clone, PartialEq)]
pub struct Number {
    /// The value.
    pub value: NumberValue,
    /// The scalar's source text.
    pub text: String,
}

/// A number's value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NumberValue {
    /// An integer.
    Integer(i128),
    /// Anything else.
    Float(f64),
}

/// A regular expression as written, with its flags. The loader has proved that it compiles within
/// [`super::REGEX_SIZE_LIMIT`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Regex {
    /// The expression.
    pub pattern: String,
    /// `i`: letters match both cases.
    pub ignore_case: bool,
    /// `m`: `^` and `$` match at line ends.
    pub multi_line: bool,
    /// `s`: `.` matches a newline.
    pub dot_all: bool,
}

/// A text with wildcards, matched against a whole value.
///
/// `contains: x` is `[AnyRun, Literal(x), AnyRun]`, a plain value `[Literal(x)]`. Adjacent literals
/// are joined, runs are never doubled.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    /// Its parts, in order; empty for the empty text, which only an empty value equals.
    pub parts: Vec<Part>,
    /// Whether case counts (`cased`, and base64 text); otherwise both sides are folded.
    pub cased: bool,
}

/// A part of a [`Pattern`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Part {
    /// This text, never empty, wildcards unescaped.
    Literal(String),
    /// `*`: any characters, newlines too, or none.
    AnyRun,
    /// `?`: exactly one character (Unicode scalar).
    AnyChar,
    /// One of `-` `/` U+2013 U+2014 U+2015: a flag's dash under `windash`.
    Dash,
}

/// A condition over sections, selectors expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// All must hold; never empty.
    And(Vec<Condition>),
    /// One must hold; never empty.
    Or(Vec<Condition>),
    /// The opposite.
    Not(Box<Condition>),
    /// The section with this index.
    Section(usize),
    /// At least `count` of these sections (`1 of`, `all of`, `N of`); `text` is what was written.
    AtLeast {
        /// How many.
        count: usize,
        /// Of which.
        sections: Vec<usize>,
        /// The selector as written, for showing.
        text: String,
    },
}
