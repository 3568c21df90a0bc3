//! What became of each rule.

use crate::sigma::TACTICS;
use std::collections::BTreeMap;

/// The bins of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleState {
    /// Evaluated.
    Loaded,
    /// Ready to be evaluated, and none of the events that it speaks of are in this evidence: that it
    /// did not hit says nothing.
    Blind,
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
            RuleState::Blind => "blind",
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
    /// The category or service of its log source.
    pub about: Option<String>,
    /// The ATT&CK tactics that its tags name.
    pub tactics: Vec<&'static str>,
    /// What became of it.
    pub state: RuleState,
    /// Why, if it is not loaded.
    pub reason: Option<String>,
    /// How often it hit.
    pub hits: u64,
    /// How many hits more it would have without filters.
    pub filtered: u64,
}

/// How many rules ended in each bin.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct RuleTotals {
    /// All of them.
    pub met: u64,
    /// Evaluated.
    pub loaded: u64,
    /// Without any of the events that they speak of.
    pub blind: u64,
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
                RuleState::Blind => &mut totals.blind,
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

/// The tactics that a rule's tags name, in the order of [`TACTICS`]. Older rules write them with `_`.
#[must_use]
pub fn tactics(tags: &[String]) -> Vec<&'static str> {
    let named = |tactic: &&str| {
        tags.iter().any(|tag| {
            let name = tag.get(..7).filter(|start| start.eq_ignore_ascii_case("attack."));
            let name = name.and_then(|_| tag.get(7..)).unwrap_or("");
            name.replace('_', "-").eq_ignore_ascii_case(tactic)
        })
    };
    TACTICS.into_iter().filter(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tactics_are_known_however_they_are_written() {
        for (tags, want) in [
            (&["attack.execution", "attack.t1059.001"][..], &["execution"][..]),
            (&["attack.impact", "attack.Defense_Evasion"], &["defense-evasion", "impact"]),
            (&["execution", "attack.", "ätzend.execution", "cve.2021-1"], &[]),
            (&["attack.execution", "attack.execution"], &["execution"]),
        ] {
            let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
            assert_eq!(tactics(&tags), want);
        }
    }
}
