//! Evaluation without gate and prefilter: the oracle of the scanner, and what shows why a rule
//! matched.
//!
//! Every rule whose source admits the event is asked by its whole condition, as written; nothing is
//! folded, nothing is shared between records, no literal is looked for. It uses the same fields,
//! texts and tests as the scanner, so a difference between the two is a fault of gate, folding,
//! prefilter or sharing.

use super::check::FieldValues;
use super::expr::{Expr, PredicateId};
use super::predicate::FieldId;
use super::program::Slot;
use super::ruleset::{RuleId, RuleSet};
use super::scanner::{FieldTexts, Matched};
use super::tables::{sources_of, with_key};
use crate::event::Event;
use crate::taxonomy::{EventKey, FieldSource, View};
use hashbrown::HashMap;

/// Adds the rules that match `event`, ascending, and says how many conditions were evaluated.
pub(super) fn scan<E: Event>(set: &RuleSet, event: &E, hits: &mut Vec<RuleId>) -> u64 {
    let mut evaluated = 0;
    with_key(event, |key| {
        let mut look = Look::new(set, event, key.event_key());
        look.admitting(|look, rules, view| {
            for rule in rules {
                evaluated += 1;
                if look.holds(&set.compiled[rule.index()].expr, view) {
                    hits.push(*rule);
                }
            }
        });
    });
    hits.sort_unstable();
    hits.dedup();
    evaluated
}

/// The fields that make `rule` match `event`: those of the tests that are true and not negated.
pub(super) fn matched<E: Event>(set: &RuleSet, event: &E, rule: RuleId) -> Vec<Matched> {
    let mut matched = Vec::new();
    with_key(event, |key| {
        let mut look = Look::new(set, event, key.event_key());
        look.admitting(|look, rules, view| {
            let expr = &set.compiled[rule.index()].expr;
            if matched.is_empty() && rules.binary_search(&rule).is_ok() && look.holds(expr, view) {
                look.collect(expr, view, &mut matched);
            }
        });
    });
    matched
}

/// One event looked at by whole conditions.
struct Look<'a, E> {
    set: &'a RuleSet,
    event: &'a E,
    key: EventKey<'a>,
    texts: FieldTexts,
    slots: HashMap<Slot, Values>,
}

/// A slot's sources and the places of its texts.
#[derive(Debug, Clone)]
struct Values {
    sources: Vec<FieldSource>,
    from: usize,
    to: usize,
    original_from: usize,
}

impl<'a, E: Event> Look<'a, E> {
    fn new(set: &'a RuleSet, event: &'a E, key: EventKey<'a>) -> Look<'a, E> {
        Look { set, event, key, texts: FieldTexts::default(), slots: HashMap::new() }
    }

    /// Calls `visit` with the rules and the view of each source that admits the event.
    fn admitting(&mut self, mut visit: impl FnMut(&mut Self, &[RuleId], View)) {
        let set = self.set;
        for gate in &set.gates {
            for admitting in &gate.sources {
                let view = admitting.source.view;
                if admitting.source.admits(&self.key) && self.holds(&admitting.conditions, view) {
                    visit(self, &gate.rules, view);
                }
            }
        }
    }

    fn holds(&mut self, expr: &Expr, view: View) -> bool {
        expr.evaluate(&mut |id| self.test(id, view))
    }

    fn test(&mut self, id: PredicateId, view: View) -> bool {
        let set = self.set;
        let predicate = set.predicates.get(id);
        self.prepare(view, predicate.field);
        predicate.references.iter().for_each(|field| self.prepare(view, Some(*field)));
        let references: Vec<_> =
            predicate.references.iter().map(|field| self.values(view, Some(*field))).collect();
        predicate.checks().holds(self.values(view, predicate.field), &references)
    }

    fn prepare(&mut self, view: View, field: Option<FieldId>) {
        let slot = Slot { view, field };
        if !self.slots.contains_key(&slot) {
            let sources = sources_of(self.set, &slot, &self.key, self.event.layout());
            let from = self.texts.folded.len();
            self.texts.push_folded(self.event, &sources);
            let to = self.texts.folded.len();
            let original_from = self.texts.original.len();
            self.texts.push_original(self.event, &sources);
            self.slots.insert(slot, Values { sources, from, to, original_from });
        }
    }

    fn values(&self, view: View, field: Option<FieldId>) -> FieldValues<'_> {
        let (from, to, original_from) = self
            .slots
            .get(&Slot { view, field })
            .map_or((0, 0, 0), |v| (v.from, v.to, v.original_from));
        FieldValues {
            folded: &self.texts.folded,
            from,
            to,
            original: &self.texts.original,
            original_from,
        }
    }

    /// Adds what the true, not negated tests of a true expression matched.
    fn collect(&mut self, expr: &Expr, view: View, matched: &mut Vec<Matched>) {
        match expr {
            Expr::Const(_) | Expr::Not(_) => {}
            Expr::Test(id) => self.collect_test(*id, view, matched),
            Expr::And(parts) | Expr::Or(parts) | Expr::AtLeast(_, parts) => {
                for part in parts {
                    if self.holds(part, view) {
                        self.collect(part, view, matched);
                    }
                }
            }
        }
    }

    fn collect_test(&mut self, id: PredicateId, view: View, matched: &mut Vec<Matched>) {
        let set = self.set;
        let predicate = set.predicates.get(id);
        if predicate.item.negated || !self.test(id, view) {
            return;
        }
        let references: Vec<_> =
            predicate.references.iter().map(|field| self.values(view, Some(*field))).collect();
        let values = self.values(view, predicate.field);
        let Some(nth) = predicate.checks().matching_value(values, &references) else { return };
        let text = values.original().nth(nth).unwrap_or_default();
        let field = match predicate.field {
            Some(field) => set.predicates.field_name(field).to_owned(),
            None => self.keyword_field(view, nth),
        };
        let found = Matched { field, value: String::from_utf8_lossy(text).into_owned() };
        if !matched.contains(&found) {
            matched.push(found);
        }
    }

    /// The name of the event's own field that holds the keywords' value with this index.
    fn keyword_field(&self, view: View, nth: usize) -> String {
        let Some(values) = self.slots.get(&Slot { view, field: None }) else {
            return String::new();
        };
        let mut left = nth;
        for source in &values.sources {
            let FieldSource::Leaf(leaf) = source else { continue };
            let mut count = 0;
            self.event.values(*leaf, |_| count += 1);
            if left < count {
                let leaf = self.event.layout().leaves().get(leaf.index());
                return leaf.map_or_else(String::new, |leaf| leaf.name.to_string());
            }
            left -= count;
        }
        String::new()
    }
}
