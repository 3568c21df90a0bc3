//! Correlations: what is told of several events together.
//!
//! A hit of a rule that correlations refer to gives each of them the event's [`Keys`]: the values of
//! the fields that it groups by, and those that it counts (`keys`). Whoever gathers these hands the
//! events of each group, in the order of their times, to [`Windows`] (`window`), which finds. A finding
//! is an event in its turn to correlations that refer to this one.
//!
//! Nothing here reads or writes anything, or keeps events: what a window holds waits in a [`Queue`] of
//! the caller's.
//!
//! Invariants: a correlation's [rank](Correlations::rank) is greater than those of all correlations
//! that it refers to; what is found depends on the events of each group alone, not on the order in
//! which they were met, if the caller sorts them by time and then by what does not depend on it.
//!
//! Source of facts: Sigma correlation rules specification 2.1.0.

mod decimal;
mod keys;
mod order;
mod ranked;
mod window;

use super::ruleset::RuleId;
use crate::sigma::{Correlation, CorrelationKind, Member};
use hashbrown::HashMap;

pub use decimal::{Decimal, Quantity};
pub use keys::{Join, Keys, read_group};
pub(super) use keys::{Joiner, join};
pub use window::{Findings, Occurrence, Occurs, Queue, Windows};

/// A rule's, or a correlation's, part in a correlation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The correlation's index.
    pub correlation: usize,
    /// Which of its members the rule is.
    pub member: u32,
}

/// The correlations of a rule set, ready to be joined.
#[derive(Debug, Default)]
pub struct Correlations {
    list: Vec<Correlation>,
    ranks: Vec<u32>,
    /// By rule, by correlation.
    of_rules: Vec<Vec<Part>>,
    of_correlations: Vec<Vec<Part>>,
    /// Names of fields.
    names: Vec<String>,
    /// By correlation and member.
    fields: Vec<Vec<Fields>>,
}

/// Which fields a member's events are asked for, by their places in [`Correlations::names`].
#[derive(Debug, Default)]
struct Fields {
    group: Vec<u32>,
    values: Vec<u32>,
}

impl Correlations {
    /// Correlations over so many rules.
    pub(super) fn new(list: Vec<Correlation>, rules: usize) -> Correlations {
        let mut made = Correlations {
            of_rules: vec![Vec::new(); rules],
            of_correlations: vec![Vec::new(); list.len()],
            ..Correlations::default()
        };
        let mut places: HashMap<String, u32> = HashMap::new();
        for (at, correlation) in list.iter().enumerate() {
            let mut rank = 0;
            let mut fields = Vec::with_capacity(correlation.members.len());
            for (place, member) in correlation.members.iter().enumerate() {
                let part = Part { correlation: at, member: u32::try_from(place).unwrap_or(0) };
                let parts = match member {
                    Member::Rule(rule) => made.of_rules.get_mut(*rule),
                    Member::Correlation(inner) => {
                        rank = rank.max(made.ranks.get(*inner).map_or(0, |rank| rank + 1));
                        made.of_correlations.get_mut(*inner)
                    }
                };
                parts.into_iter().for_each(|parts| parts.push(part));
                let mut place_of = |name: &String| {
                    let name = field_of(correlation, name, place);
                    *places.entry(name.to_owned()).or_insert_with(|| {
                        made.names.push(name.to_owned());
                        u32::try_from(made.names.len() - 1).unwrap_or(u32::MAX)
                    })
                };
                fields.push(Fields {
                    group: correlation.group_by.iter().map(&mut place_of).collect(),
                    values: counted(&correlation.kind).iter().map(&mut place_of).collect(),
                });
            }
            made.ranks.push(rank);
            made.fields.push(fields);
        }
        made.list = list;
        made
    }

    /// The rules that are there for their aggregations, by index.
    pub(super) fn aggregated(&self) -> Vec<usize> {
        let members = self.list.iter().filter(|c| c.aggregation).flat_map(|c| &c.members);
        let rule = |member: &Member| match member {
            Member::Rule(rule) => Some(*rule),
            Member::Correlation(_) => None,
        };
        members.filter_map(rule).collect()
    }

    /// The same, all of which report.
    pub(super) fn outspoken(mut self) -> Correlations {
        self.list.iter_mut().for_each(|correlation| correlation.quiet = false);
        self
    }

    /// All of them, by index.
    #[must_use]
    pub fn all(&self) -> &[Correlation] {
        &self.list
    }

    /// The correlation with this index.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&Correlation> {
        self.list.get(index)
    }

    /// How many correlations stand behind a correlation: it needs the findings of those of lesser
    /// rank only.
    #[must_use]
    pub fn rank(&self, index: usize) -> u32 {
        self.ranks.get(index).copied().unwrap_or(0)
    }

    /// The correlations that refer to a rule.
    #[inline]
    #[must_use]
    pub fn of_rule(&self, rule: RuleId) -> &[Part] {
        self.of_rules.get(rule.index()).map_or(&[], Vec::as_slice)
    }

    /// The correlations that refer to a correlation.
    #[must_use]
    pub fn of_correlation(&self, index: usize) -> &[Part] {
        self.of_correlations.get(index).map_or(&[], Vec::as_slice)
    }

    fn fields(&self, part: Part) -> Option<&Fields> {
        self.fields.get(part.correlation)?.get(usize::try_from(part.member).ok()?)
    }

    fn name(&self, place: u32) -> &str {
        usize::try_from(place).ok().and_then(|place| self.names.get(place)).map_or("", |name| name)
    }
}

/// The field that a name stands for with a member.
fn field_of<'c>(correlation: &'c Correlation, name: &'c str, member: usize) -> &'c str {
    let alias = correlation.aliases.iter().find(|alias| alias.name == name);
    let fields = alias.map_or(&[][..], |alias| &alias.fields);
    fields.iter().find(|(place, _)| *place == member).map_or(name, |(_, field)| field)
}

/// The fields whose values are counted, or computed with.
fn counted(kind: &CorrelationKind) -> &[String] {
    match kind {
        CorrelationKind::EventCount
        | CorrelationKind::Temporal
        | CorrelationKind::TemporalOrdered => &[],
        CorrelationKind::ValueCount(fields) => fields,
        CorrelationKind::ValueSum(field)
        | CorrelationKind::ValueAvg(field)
        | CorrelationKind::ValuePercentile(field, _) => std::slice::from_ref(field),
    }
}

#[cfg(test)]
mod tests {
    use crate::sigma::{Correlation, CorrelationKind, LoadOptions, Member, load_str};

    /// A correlation of so many rules.
    pub(super) fn correlation(kind: CorrelationKind, members: usize) -> Correlation {
        let rule = "title: c\nlogsource: {product: windows}\n\
                    detection: {s: {a: b}, condition: s}\n";
        let rule = load_str("c.yml", rule, &LoadOptions::default()).rules.remove(0);
        Correlation {
            about: rule.about,
            kind,
            members: (0..members).map(Member::Rule).collect(),
            group_by: Vec::new(),
            timespan: None,
            timespan_text: None,
            range: Vec::new(),
            aliases: Vec::new(),
            generate: false,
            quiet: false,
            aggregation: false,
        }
    }
}
