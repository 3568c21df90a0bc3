//! What became of each rule.

use std::collections::BTreeMap;

/// The bins of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleState {
    /// Evaluated.
    Loaded,
    /// Left out because it was asked for: below the least level, deprecated, unsupported.
    LeftOut,
    /// Understood, and about events that are not in Windows event logs.
    NotApplicable,
    /// Not understood.
    Refused,
}

impl RuleState {
    /// The word in the ledger.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            RuleState::Loaded => "loaded",
            RuleState::LeftOut => "left_out",
            RuleState::NotApplicable => "not_applicable",
            RuleState::Refused => "refused",
        }
    }
}

/// A rule and what became of it.
#[derive(Debug, Clone)]
pub struct RuleEntry {
    /// Where it stands: path, line, column.
    pub origin: String,
    /// Its id.
    pub id: Option<String>,
    /// Its title.
    pub title: Option<String>,
    /// Its level's index, from informational.
    pub level: Option<usize>,
    /// What became of it.
    pub state: RuleState,
    /// Why, if it is not loaded.
    pub reason: Option<String>,
    /// How often it hit.
    pub hits: u64,
}

/// How many rules ended in each bin.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct RuleTotals {
    /// All of them.
    pub met: u64,
    /// Evaluated.
    pub loaded: u64,
    /// Left out.
    pub left_out: u64,
    /// Not about such events.
    pub not_applicable: u64,
    /// Not understood.
    pub refused: u64,
}

impl RuleTotals {
    pub(super) fn of(rules: &[RuleEntry]) -> RuleTotals {
        let mut totals = RuleTotals::default();
        for rule in rules {
            totals.met += 1;
            *match rule.state {
                RuleState::Loaded => &mut totals.loaded,
                RuleState::LeftOut => &mut totals.left_out,
                RuleState::NotApplicable => &mut totals.not_applicable,
                RuleState::Refused => &mut totals.refused,
            } += 1;
        }
        totals
    }
}

/// The reasons of the rules in a bin and how many rules have each, most first.
#[must_use]
pub fn reasons(rules: &[RuleEntry], state: RuleState) -> Vec<(&str, u64)> {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for rule in rules.iter().filter(|rule| rule.state == state) {
        *counts.entry(rule.reason.as_deref().unwrap_or("")).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}
