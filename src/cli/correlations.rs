//! What becomes of correlations: in which bin each is.
//!
//! A correlation can find something if the rules that it refers to can: each of them if it wants hits
//! of all, one of them if it counts.

use harrier::{
    engine::{Applicability, RuleSet},
    ledger::{RuleEntry, RuleState},
    sigma::{Correlation, CorrelationKind, Member, RangeBound, RangeTest, Rule},
};

/// Puts correlations whose rules are not about Windows event logs into that bin.
pub fn note_inapplicable(set: &RuleSet, places: &[usize], entries: &mut [RuleEntry]) {
    let rules: Vec<Option<String>> = set
        .rules()
        .map(|(id, rule)| match set.applicability(id) {
            Applicability::Applicable => None,
            Applicability::NotApplicable(reason) | Applicability::UnknownLogSource(reason) => {
                Some(format!("it refers to \"{}\": {reason}", rule.title))
            }
        })
        .collect();
    move_to(RuleState::NotApplicable, obstacles(set, &rules), places, entries);
}

/// Puts correlations whose rules had nothing to look at into that bin; `missing` says what that would
/// have been.
pub fn note_blind(
    set: &RuleSet,
    places: &[usize],
    sighted: &[bool],
    missing: impl Fn(&Rule) -> String,
    entries: &mut [RuleEntry],
) {
    let rules: Vec<Option<String>> =
        set.rules().zip(sighted).map(|((_, rule), seen)| (!seen).then(|| missing(rule))).collect();
    move_to(RuleState::Blind, obstacles(set, &rules), places, entries);
}

/// Puts those for which there is a reason into this bin.
fn move_to(
    state: RuleState,
    why: Vec<Option<String>>,
    places: &[usize],
    entries: &mut [RuleEntry],
) {
    for (why, place) in why.into_iter().zip(places) {
        let entry = entries.get_mut(*place).filter(|entry| entry.state == RuleState::Loaded);
        if let (Some(why), Some(entry)) = (why, entry) {
            (entry.state, entry.reason) = (state, Some(why));
        }
    }
}

/// Why each correlation can find nothing, given why each rule cannot.
fn obstacles(set: &RuleSet, rules: &[Option<String>]) -> Vec<Option<String>> {
    let mut found: Vec<Option<String>> = Vec::new();
    for correlation in set.correlations().all() {
        let of = |member: &Member| match member {
            Member::Rule(rule) => rules.get(*rule).cloned().flatten(),
            Member::Correlation(inner) => found.get(*inner).cloned().flatten(),
        };
        let mut why = correlation.members.iter().map(of);
        let obstacle = if wants_all(correlation) {
            why.find_map(|why| why)
        } else {
            // One that can is enough.
            let first = correlation.members.first().and_then(of);
            why.all(|why| why.is_some()).then_some(first).flatten()
        };
        found.push(obstacle);
    }
    found
}

/// Whether it finds nothing unless all its rules hit.
fn wants_all(correlation: &Correlation) -> bool {
    let all = correlation.members.len();
    matches!(correlation.kind, CorrelationKind::Temporal | CorrelationKind::TemporalOrdered)
        && correlation.range.iter().any(|(test, bound)| {
            *test == RangeTest::GreaterOrEqual
                && matches!(bound, RangeBound::Integer(n) if usize::try_from(*n) == Ok(all))
        })
}
