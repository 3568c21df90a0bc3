//! What a rule compares fields with, and how many rules of the set do the same.

use super::notation::{self, IndicatorKey};
use crate::report::explain::{Exclusion, Indicator, Predicate, Use};
use crate::sigma::{Condition, Rule, Section};
use hashbrown::{HashMap, HashSet};

/// A rule's indicators, by field, kind and value, each with the number of `corpus` that have it; the
/// rule itself is one of these.
pub(super) fn of_rule<'r>(rule: &Rule, corpus: impl Iterator<Item = &'r Rule>) -> Vec<Indicator> {
    let mut found: Vec<(IndicatorKey, Indicator)> = Vec::new();
    each_predicate(rule, &mut |predicate, excluded| {
        let key = IndicatorKey::of(&predicate);
        let role = if excluded { Use::Exclusion } else { Use::Match };
        match found.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) if known.role != role => known.role = Use::Both,
            Some(_) => {}
            None => found.push((key, Indicator { predicate, rules: 0, role })),
        }
    });
    let mut counts: HashMap<IndicatorKey, usize> =
        found.iter().map(|(key, _)| (key.clone(), 0)).collect();
    let mut seen = HashSet::new();
    for other in corpus {
        seen.clear();
        each_predicate(other, &mut |predicate, _| {
            let key = IndicatorKey::of(&predicate);
            if let Some(count) = counts.get_mut(&key)
                && seen.insert(key)
            {
                *count += 1;
            }
        });
    }
    let counted = found.into_iter().map(|(key, indicator)| Indicator {
        rules: counts.get(&key).copied().unwrap_or(0),
        ..indicator
    });
    let mut indicators: Vec<Indicator> = counted.collect();
    indicators.sort_by(|a, b| a.predicate.cmp(&b.predicate));
    indicators
}

fn each_predicate(rule: &Rule, each: &mut dyn FnMut(Predicate, bool)) {
    notation::items(rule, &mut |_, item, excluded| {
        for test in &item.values {
            for predicate in notation::predicates(item.field.as_deref(), test) {
                each(predicate, excluded);
            }
        }
    });
}

/// What the condition's conjuncts that begin with `not` name, in the order of the rule.
pub(super) fn exclusions(condition: &Condition, sections: &[Section]) -> Vec<Exclusion> {
    let conjuncts = match condition {
        Condition::And(parts) => parts.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut exclusions: Vec<Exclusion> = Vec::new();
    for conjunct in conjuncts.iter().filter(|part| matches!(part, Condition::Not(_))) {
        notation::visit(conjunct, sections, false, &mut |section, item, excluded| {
            // What is turned around twice is no exclusion.
            for test in item.values.iter().filter(|_| excluded) {
                for Predicate { field, kind, value } in
                    notation::predicates(item.field.as_deref(), test)
                {
                    let same = |known: &&mut Exclusion| {
                        known.section == section.name && known.field == field && known.kind == kind
                    };
                    let values = value.into_iter();
                    match exclusions.iter_mut().find(same) {
                        Some(known) => known.values.extend(values),
                        None => exclusions.push(Exclusion {
                            section: section.name.clone(),
                            field,
                            kind,
                            values: values.collect(),
                        }),
                    }
                }
            }
        });
    }
    exclusions
}
