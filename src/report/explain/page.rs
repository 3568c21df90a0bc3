//! What a page says of a rule, a correlation or a filter.

/// A rule taken apart.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RulePage {
    /// What it is: `rule`, `correlation`, `filter`.
    pub kind: &'static str,
    /// `title`
    pub title: String,
    /// `id`
    pub id: Option<String>,
    /// `name`
    pub name: Option<String>,
    /// `level`, in Sigma's word; filters have none.
    pub level: Option<&'static str>,
    /// `status`, in Sigma's word.
    pub status: Option<&'static str>,
    /// `author`
    pub author: Option<String>,
    /// `date`
    pub date: Option<String>,
    /// `modified`
    pub modified: Option<String>,
    /// Where it stands: file, line, column.
    pub file: String,
    /// Its log source.
    pub log_source: Option<String>,
    /// `description`
    pub description: Option<String>,
    /// `references`
    pub references: Vec<String>,
    /// `related`
    pub related: Vec<Related>,
    /// The version of ATT&CK that the names are from.
    pub attack_version: &'static str,
    /// What it covers of ATT&CK.
    pub attack: Vec<AttackRow>,
    /// Its other tags.
    pub other_tags: Vec<String>,
    /// Which events it looks at.
    pub events: Vec<CoveredEvent>,
    /// Why it looks at none, if so.
    pub no_events: Option<String>,
    /// The condition, then its parts.
    pub stages: Vec<Stage>,
    /// What is left out of its matches.
    pub exclusions: Vec<Exclusion>,
    /// All that it compares fields with.
    pub indicators: Vec<Indicator>,
    /// How many rules were looked at for the indicators.
    pub corpus: usize,
    /// What must stand in an event for the rule to be asked at all.
    pub literals: Vec<Literals>,
    /// `falsepositives`
    pub falsepositives: Vec<String>,
    /// `simulation`
    pub simulation: Vec<Simulation>,
    /// `regression_tests_path` and what is there.
    pub regression: Option<Regression>,
    /// What it has to do with other documents: members, rules, filters.
    pub links: Vec<Links>,
    /// The document as it was written.
    pub body: Option<String>,
}

/// Another rule that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// Its id.
    pub id: String,
    /// How it is related, as written.
    pub how: String,
    /// Its title, if it is in the rule set.
    pub title: Option<String>,
}

/// A tactic with the techniques that serve it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttackRow {
    /// Number and name of the tactic: `TA0003`, `Persistence`; none for techniques of which nothing is
    /// known.
    pub tactic: Option<(String, String)>,
    /// Whether a tag names the tactic; otherwise it is that of a technique.
    pub tagged: bool,
    /// Ids and names of techniques.
    pub techniques: Vec<(String, String)>,
}

/// A kind of events that the rule looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CoveredEvent {
    /// Any of these; none: any.
    pub providers: Vec<String>,
    /// Any of these; none: any.
    pub channels: Vec<String>,
    /// The event id; none: any (other).
    pub event_id: Option<u32>,
    /// What such events are.
    pub title: Option<String>,
    /// `default`, `extended` or `optional`.
    pub tier: &'static str,
    /// What the log source asks for besides.
    pub conditions: Vec<String>,
    /// The rule's fields that are called otherwise there, or are made of others.
    pub fields: Vec<FieldMap>,
    /// The rule's fields that such events do not have.
    pub lacks: Vec<String>,
}

/// A field of the rule in a kind of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldMap {
    /// As the rule has it.
    pub field: String,
    /// What it is there.
    pub is: String,
}

/// A part of the condition; the first is the whole of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// As the condition has it: `not 1 of filter_*`.
    pub text: String,
    /// Whether it takes away from what the others give.
    pub excludes: bool,
    /// What it asks for; of the whole condition nothing, its parts follow.
    pub part: Option<Part>,
}

/// A tree of predicates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A named section.
    Section(String, Box<Part>),
    /// All of these.
    All(Vec<Part>),
    /// At least so many of these.
    AtLeast(usize, Vec<Part>),
    /// Not this.
    Not(Box<Part>),
    /// A predicate.
    Test(Predicate),
}

/// A field, how it is compared, and with what.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Predicate {
    /// The field; none for keywords, which any value may hold.
    pub field: Option<String>,
    /// `eq`, `contains`, `startswith`, `endswith`, `like`, `re`, …, with options behind `|`.
    pub kind: String,
    /// The value; none for what has none.
    pub value: Option<String>,
}

/// A field and values under `not`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclusion {
    /// The section that it stands in.
    pub section: String,
    /// The field, as [`Predicate::field`].
    pub field: Option<String>,
    /// As [`Predicate::kind`].
    pub kind: String,
    /// The values.
    pub values: Vec<String>,
}

/// What the rule compares a field with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indicator {
    /// Field, kind and value.
    pub predicate: Predicate,
    /// In how many rules it stands, this one included.
    pub rules: usize,
    /// What it is there for.
    pub role: Use,
}

/// What an indicator is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// To find something.
    Match,
    /// To leave something out.
    Exclusion,
    /// For both.
    Both,
}

impl Use {
    /// In a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Use::Match => "match",
            Use::Exclusion => "exclusion",
            Use::Both => "both",
        }
    }
}

/// What must stand in events of some kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Literals {
    /// Which events.
    pub events: String,
    /// Fields, with pieces of folded text of which one must stand in the field; one field's set is
    /// enough to tell that the rule cannot match.
    pub sets: Vec<(String, Vec<String>)>,
    /// Why there are none, if so.
    pub open: Option<String>,
}

/// A test that does what the rule looks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Simulation {
    /// Whose: `atomic-red-team`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The technique that it is filed under.
    pub technique: Option<String>,
    /// Its id.
    pub guid: Option<String>,
}

/// A rule's regression data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regression {
    /// As the rule names it.
    pub path: String,
    /// Where it was found, or why it was not read.
    pub found: Result<String, String>,
    /// The logs that it names.
    pub logs: Vec<RegressionLog>,
}

/// A log of regression data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegressionLog {
    /// What it tests.
    pub name: String,
    /// `evtx`, …
    pub kind: String,
    /// The log.
    pub path: String,
    /// How many hits there have to be at least; none: there must be none.
    pub expected: Option<u64>,
    /// Whether the log is there.
    pub there: bool,
}

/// Other documents, under a heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Links {
    /// What they are to it: `Members`, `Filters`, `Group by`.
    pub heading: String,
    /// What is said of them.
    pub lines: Vec<String>,
}
