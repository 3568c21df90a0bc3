//! Correlation rules and filters as their authors wrote them, with references resolved.
//!
//! Like [`super::rule`] a contract: loading makes these, the engine uses them and knows nothing of
//! YAML. A rule's deprecated aggregation (`selection | count(field) by a, b > 5`) becomes a
//! [`Correlation`] over that one rule, too, so that there is one machinery for both.
//!
//! Invariants: every [`Member`] index is a valid index into the lists of
//! [`LoadedRules`](super::LoadedRules); chains have no cycle, and a correlation stands behind all
//! correlations that it refers to; `members` is never empty and names nothing twice; `range` has at
//! least one test.
//!
//! Source of facts: Sigma correlation rules specification 2.1.0, Sigma filters specification 2.1.0;
//! pySigma `correlations.py` and `filters.py` where they leave room.

use super::rule::{About, Condition, LogSource, Rule, Section};
use std::ops::Deref;

/// A correlation: something that is told of several events together.
#[derive(Debug, Clone, PartialEq)]
pub struct Correlation {
    /// What it says about itself; a correlation dereferences to it.
    pub about: About,
    /// What is counted.
    pub kind: CorrelationKind,
    /// What it is about, in the order in which it names them.
    pub members: Vec<Member>,
    /// The fields whose values events of one group share; one group for all if there is none.
    pub group_by: Vec<String>,
    /// The length of a window in ticks of 100 ns, both ends included; the whole evidence if not
    /// given, which only an aggregation may leave out.
    pub timespan: Option<u64>,
    /// The timespan as written, for showing.
    pub timespan_text: Option<String>,
    /// What the count, or the number that is computed, has to be; all must hold.
    pub range: Vec<(RangeTest, RangeBound)>,
    /// Names in `group_by` and in the kind's fields that stand for another field with some members.
    pub aliases: Vec<Alias>,
    /// Whether its members' hits are reported, too.
    pub generate: bool,
    /// Whether its own findings are only counted, by another correlation, and not reported: see
    /// [`LoadedRules::select`](super::LoadedRules::select).
    pub quiet: bool,
    /// Whether it is a rule's aggregation: the rule has no hits of its own then, and what is said of
    /// it ([`Correlation::about`]) is what is said of the rule.
    pub aggregation: bool,
}

impl Deref for Correlation {
    type Target = About;

    fn deref(&self) -> &About {
        &self.about
    }
}

/// What a correlation counts or computes in a window.
#[derive(Debug, Clone, PartialEq)]
pub enum CorrelationKind {
    /// Events.
    EventCount,
    /// Distinct tuples of these fields' values, folded; an event that lacks one counts for nothing.
    ValueCount(Vec<String>),
    /// Different members that have hits, in any order.
    Temporal,
    /// All members' hits, in the order of the members.
    TemporalOrdered,
    /// The sum of a field's numbers.
    ValueSum(String),
    /// Their mean.
    ValueAvg(String),
    /// The nearest-rank percentile of them, from 0 to 100.
    ValuePercentile(String, f64),
}

/// What a correlation refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Member {
    /// The detection rule with this index in [`LoadedRules::rules`](super::LoadedRules::rules).
    Rule(usize),
    /// The correlation with this index in
    /// [`LoadedRules::correlations`](super::LoadedRules::correlations).
    Correlation(usize),
}

/// A comparison of a correlation's `condition`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RangeTest {
    /// `gt`
    Greater,
    /// `gte`
    GreaterOrEqual,
    /// `lt`
    Less,
    /// `lte`
    LessOrEqual,
    /// `eq`
    Equal,
    /// `neq`
    NotEqual,
}

/// What is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RangeBound {
    /// A whole number.
    Integer(i128),
    /// Any other.
    Float(f64),
}

/// A name that stands for a field of each member's events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The name.
    pub name: String,
    /// The field, by the member's place in [`Correlation::members`]; a member that is not named here
    /// has a field of the alias's name.
    pub fields: Vec<(usize, String)>,
}

/// A filter: a condition that is added to rules.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// What it says about itself; a filter dereferences to it.
    pub about: About,
    /// Each attribute that is set has to be the rule's.
    pub logsource: LogSource,
    /// Which rules it is for.
    pub rules: FilterRules,
    /// Its named sections; their names are its own, not the rules'.
    pub sections: Vec<Section>,
    /// What must hold, besides the rule's condition; its indexes are into `sections`.
    pub condition: Condition,
}

impl Filter {
    /// Whether it is for `rule`, whose index in the list that its own indexes are into is `index`.
    #[must_use]
    pub fn is_for(&self, index: usize, rule: &Rule) -> bool {
        self.logsource.covers(&rule.logsource)
            && match &self.rules {
                FilterRules::Any => true,
                FilterRules::These(rules) => rules.binary_search(&index).is_ok(),
            }
    }
}

impl Deref for Filter {
    type Target = About;

    fn deref(&self) -> &About {
        &self.about
    }
}

/// Which rules a filter is for, by what it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilterRules {
    /// `any`, or an empty list: all of its log source.
    Any,
    /// Those with these indexes in [`LoadedRules::rules`](super::LoadedRules::rules), which it names
    /// by id or name and whose log source is its own, ascending.
    These(Vec<usize>),
}
