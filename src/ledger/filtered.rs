//! What filters took away.

use std::collections::BTreeMap;

/// Hits that filters took away, by the indexes of rules and filters in the rule set. A hit that several
/// filters take away counts for each of these, and once for its rule.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Taken {
    by_rule: BTreeMap<u32, u64>,
    by_filter: BTreeMap<u32, u64>,
}

impl Taken {
    /// Counts a hit of a rule.
    pub fn hit(&mut self, rule: usize) {
        *self.by_rule.entry(number(rule)).or_default() += 1;
    }

    /// Counts that a filter took a hit away.
    pub fn filter(&mut self, filter: usize) {
        *self.by_filter.entry(number(filter)).or_default() += 1;
    }

    /// Takes back these, which it has.
    pub(super) fn again(&mut self, copies: &Taken) {
        for (own, copied) in
            [(&mut self.by_rule, &copies.by_rule), (&mut self.by_filter, &copies.by_filter)]
        {
            for (index, copied) in copied {
                own.entry(*index).and_modify(|n| *n = n.saturating_sub(*copied));
            }
        }
    }

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Taken) {
        for (own, other) in
            [(&mut self.by_rule, &other.by_rule), (&mut self.by_filter, &other.by_filter)]
        {
            other.iter().for_each(|(index, n)| *own.entry(*index).or_default() += n);
        }
    }

    /// How many hits of a rule were taken away.
    #[must_use]
    pub fn of_rule(&self, rule: usize) -> u64 {
        self.by_rule.get(&number(rule)).copied().unwrap_or(0)
    }

    /// How many hits a filter took away, alone or with others.
    #[must_use]
    pub fn by_filter(&self, filter: usize) -> u64 {
        self.by_filter.get(&number(filter)).copied().unwrap_or(0)
    }

    /// How many hits were taken away.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.by_rule.values().sum()
    }

    /// Whether filters took away as much as rules lost: each hit that is gone was taken by one at
    /// least, and by none twice.
    pub(super) fn is_sound(&self) -> bool {
        let most = self.by_filter.values().max().copied().unwrap_or(0);
        let all: u64 = self.by_filter.values().sum();
        (most..=all).contains(&self.hits())
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// A filter and what it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterEntry {
    /// Where it stands: path, line, column.
    pub origin: String,
    /// Its id.
    pub id: Option<String>,
    /// Its title.
    pub title: String,
    /// How many of the rules that were evaluated it is for.
    pub rules: u64,
    /// How many hits it took away, alone or with others.
    pub hits: u64,
}
