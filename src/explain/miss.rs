//! The nearest miss: the fewest tests that would have had to come out otherwise for a condition to hold.
//!
//! For each node the cheapest way to make it true, and to make it false, follows from those of its parts:
//! of `all of` each part has to become true, of `any of` the cheapest one. A test that stands in two
//! places is counted twice on the way, so that a condition which names a test twice may get a way that is
//! not the very shortest; what is told would always be enough.

use crate::report::explain::{Miss, Truth, TruthKind};

/// Tests to turn, each once.
pub(super) fn nearest(truth: &Truth) -> Vec<Miss> {
    let mut misses: Vec<Miss> = Vec::new();
    for miss in way(truth, true) {
        if !misses.contains(&miss) {
            misses.push(miss);
        }
    }
    misses
}

/// The fewest tests to turn so that a node becomes `wanted`.
fn way(truth: &Truth, wanted: bool) -> Vec<Miss> {
    if truth.holds == wanted {
        return Vec::new();
    }
    let of = truth.parts.len();
    match &truth.kind {
        TruthKind::Test { field, kind, all, negated, values, .. } => {
            let field = field.as_deref().unwrap_or("(any value)");
            let not = if *negated { "not " } else { "" };
            let values = match values.as_slice() {
                [] => String::new(),
                [(only, _)] => format!(" {only}"),
                [(first, _), ..] => {
                    let how = if *all { "all of" } else { "any of" };
                    format!(" {how} {} values, such as {first}", values.len())
                }
            };
            vec![Miss { test: format!("{not}{field} {kind}{values}"), wanted }]
        }
        TruthKind::Not => truth.parts.iter().flat_map(|part| way(part, !wanted)).collect(),
        TruthKind::All | TruthKind::Named(_) | TruthKind::Source | TruthKind::Filter(_) => {
            fewest(&truth.parts, if wanted { of } else { 1 }, wanted)
        }
        // To fail, so many have to be false that too few are left.
        TruthKind::AtLeast(count) if wanted => fewest(&truth.parts, *count, true),
        TruthKind::AtLeast(count) => fewest(&truth.parts, (of + 1).saturating_sub(*count), false),
    }
}

/// The ways of the `count` parts that become `wanted` by the fewest.
fn fewest(parts: &[Truth], count: usize, wanted: bool) -> Vec<Miss> {
    let mut ways: Vec<Vec<Miss>> = parts.iter().map(|part| way(part, wanted)).collect();
    ways.sort_by_key(Vec::len);
    ways.into_iter().take(count).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::explain::Seen;
    use proptest::prelude::*;

    fn test(number: usize, holds: bool) -> Truth {
        let kind = TruthKind::Test {
            field: Some(number.to_string()),
            kind: "eq".to_owned(),
            all: false,
            negated: false,
            values: Vec::new(),
            seen: Seen::default(),
        };
        Truth { holds, kind, parts: Vec::new() }
    }

    /// The truth of a tree in which the tests of these names are turned.
    fn turned(truth: &Truth, turn: &[Miss]) -> bool {
        let mut parts = truth.parts.iter().map(|part| turned(part, turn));
        match &truth.kind {
            TruthKind::Test { field, .. } => {
                let name = format!("{} eq", field.as_deref().unwrap());
                truth.holds != turn.iter().any(|miss| miss.test == name)
            }
            TruthKind::Not => !parts.all(|part| part),
            TruthKind::AtLeast(count) => parts.filter(|part| *part).count() >= *count,
            _ => parts.all(|part| part),
        }
    }

    fn tree() -> impl Strategy<Value = Truth> {
        let leaf = any::<bool>().prop_map(|holds| test(0, holds));
        leaf.prop_recursive(4, 24, 4, |inner| {
            let parts = prop::collection::vec(inner, 1..4);
            (parts, 0usize..4, 1usize..4).prop_map(|(mut parts, kind, count)| {
                let kind = match kind {
                    0 => TruthKind::All,
                    1 => TruthKind::AtLeast(count.min(parts.len())),
                    2 => TruthKind::Named("x".to_owned()),
                    _ => {
                        parts.truncate(1);
                        TruthKind::Not
                    }
                };
                Truth { holds: false, kind, parts }
            })
        })
    }

    /// Numbers the tests and sets what each node comes to.
    fn settle(truth: &mut Truth, next: &mut usize) {
        if let TruthKind::Test { field, .. } = &mut truth.kind {
            *field = Some(next.to_string());
            *next += 1;
        }
        truth.parts.iter_mut().for_each(|part| settle(part, next));
        truth.holds = turned(truth, &[]);
    }

    proptest! {
        #[test]
        fn what_is_told_is_enough_and_nothing_less_is(tree in tree()) {
            let mut tree = tree;
            let mut tests = 0;
            settle(&mut tree, &mut tests);
            let misses = nearest(&tree);
            prop_assert_eq!(misses.is_empty(), tree.holds);
            if misses.is_empty() {
                return Ok(());
            }
            prop_assert!(turned(&tree, &misses));
            // Every smaller set of tests is tried where there are few.
            if tests <= 10 {
                let all = |set: usize| -> Vec<Miss> {
                    let of = (0..tests).filter(|n| set >> n & 1 == 1);
                    of.map(|n| Miss { test: format!("{n} eq"), wanted: true }).collect()
                };
                for set in 0..1usize << tests {
                    if (set.count_ones() as usize) < misses.len() {
                        prop_assert!(!turned(&tree, &all(set)));
                    }
                }
            }
        }
    }
}
