//! Evaluation without gate and prefilter: the oracle of the scanner, and what shows why a rule
//! matched.
//!
//! Every rule whose source admits the event is asked by its whole condition, as written; nothing is
//! folded, nothing is shared between records, no literal is looked for. It uses the same fields,
//! texts and tests as the scanner, so a difference between the two is a fault of gate, folding,
//! prefilter or sharing.

use super::check::FieldValues;
use super::expr::{Expr, PredicateId};
use super::filters::Filtered;
use super::predicate::FieldId;
use super::program::Slot;
use super::ruleset::{AdmittingSource, Gate, RuleId, RuleSet};
use super::scanner::{FieldTexts, Matched};
use super::tables::{sources_of, with_key};
use crate::event::Event;
use crate::taxonomy::{FieldSource, View};
use hashbrown::HashMap;
use std::sync::Arc;

/// Adds the rules that match `event`, ascending, and says how many conditions were evaluated.
pub(super) fn scan<E: Event>(set: &RuleSet, event: &E, hits: &mut Vec<RuleId>) -> u64 {
    let mut evaluated = 0;
    let mut told = Told::default();
    let mut look = Look { set, event, kind: 0, told: &mut told };
    for (gate, source) in all_admitting(set, event, |_| true) {
        let Some((gate, source)) = source_of(set, gate, source) else { continue };
        if look.holds(&source.conditions, source.source.view) {
            for rule in &gate.rules {
                evaluated += 1;
                if look.holds(&set.compiled[rule.index()].expr, source.source.view) {
                    hits.push(*rule);
                }
            }
        }
    }
    hits.sort_unstable();
    hits.dedup();
    evaluated
}

/// A gate and one of its sources, by index.
type Admission = (usize, usize);

/// What showing why rules matched has found out, in part for kinds of events, in part for one event.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Tells the event from others.
    event: u64,
    texts: FieldTexts,
    slots: HashMap<Slot, Values>,
    sources: HashMap<(u64, Slot), Arc<[FieldSource]>>,
    admitting: HashMap<(u64, RuleId), Arc<[Admission]>>,
}

impl Told {
    /// How much is kept of kinds of events before all of it is dropped: a kind has some dozens of
    /// fields that rules which hit it ask for.
    const MOST: usize = 1 << 14;

    /// The sources through which an event of this kind is admitted to the rule.
    fn admitting<E: Event>(
        &mut self,
        set: &RuleSet,
        event: &E,
        rule: RuleId,
        kind: u64,
    ) -> Arc<[Admission]> {
        let made =
            || all_admitting(set, event, |gate| gate.rules.binary_search(&rule).is_ok()).into();
        Arc::clone(self.admitting.entry((kind, rule)).or_insert_with(made))
    }

    fn begin(&mut self, event: u64) {
        if self.event != event {
            self.event = event;
            self.texts.folded.clear();
            self.texts.original.clear();
            self.slots.clear();
        }
        if self.sources.len() + self.admitting.len() > Told::MOST {
            self.sources.clear();
            self.admitting.clear();
        }
    }
}

/// The fields that make each of `rules` match `event`: those of the tests that are true and not
/// negated. `kind` and `number` tell the event's kind and the event itself from all others that
/// `told` was ever used for.
pub(super) fn matched<E: Event>(
    set: &RuleSet,
    event: &E,
    rules: &[RuleId],
    (kind, number): (u64, u64),
    told: &mut Told,
) -> Vec<Vec<Matched>> {
    told.begin(number);
    rules.iter().map(|rule| matched_by(set, event, *rule, kind, told)).collect()
}

fn matched_by<E: Event>(
    set: &RuleSet,
    event: &E,
    rule: RuleId,
    kind: u64,
    told: &mut Told,
) -> Vec<Matched> {
    let admitting = told.admitting(set, event, rule, kind);
    let mut look = Look { set, event, kind, told };
    let mut matched = Vec::new();
    for (gate, source) in admitting.iter() {
        let Some((_, source)) = source_of(set, *gate, *source) else { continue };
        let expr = &set.compiled[rule.index()].expr;
        let view = source.source.view;
        if look.holds(&source.conditions, view) && look.holds(expr, view) {
            look.collect(expr, view, &mut matched);
            // Another source may admit the event too; what was found by one is enough.
            if !matched.is_empty() {
                break;
            }
        }
    }
    matched
}

/// The view through which `rule`, which matches `event`, sees it: if several do, the first by which
/// it matches. `kind` and `number` are as for [`matched`].
pub(super) fn view<E: Event>(
    set: &RuleSet,
    event: &E,
    rule: RuleId,
    (kind, number): (u64, u64),
    told: &mut Told,
) -> Option<View> {
    told.begin(number);
    let admitting = told.admitting(set, event, rule, kind);
    let mut sources =
        admitting.iter().filter_map(|(gate, source)| Some(source_of(set, *gate, *source)?.1));
    if admitting.len() == 1 {
        return sources.next().map(|source| source.source.view);
    }
    let expr = &set.compiled.get(rule.index())?.expr;
    let mut look = Look { set, event, kind, told };
    let mut matches = |source: &&AdmittingSource| {
        let view = source.source.view;
        look.holds(&source.conditions, view) && look.holds(expr, view)
    };
    sources.find(|source| matches(source)).map(|source| source.source.view)
}

/// Takes away of `hits` those that their rules' filters do, and tells of them in `taken`; `kind` and
/// `number` are as for [`matched`].
///
/// An event may be admitted to a rule through several sources, each with its own view of it. A hit
/// stays if through one of them the rule and all its filters hold.
pub(super) fn filter<E: Event>(
    set: &RuleSet,
    event: &E,
    hits: &mut Vec<RuleId>,
    taken: &mut Vec<Filtered>,
    (kind, number): (u64, u64),
    told: &mut Told,
) {
    told.begin(number);
    hits.retain(|rule| {
        let filters = set.filters.of_rule(*rule);
        if filters.is_empty() {
            return true;
        }
        let Some(compiled) = set.compiled.get(rule.index()) else { return true };
        let admitting = told.admitting(set, event, *rule, kind);
        let mut look = Look { set, event, kind, told };
        let before = taken.len();
        for (gate, source) in admitting.iter() {
            let Some((_, source)) = source_of(set, *gate, *source) else { continue };
            let view = source.source.view;
            if !look.holds(&source.conditions, view) || !look.holds(&compiled.expr, view) {
                continue;
            }
            // What is told is what the first view that the rule holds in says.
            let first = taken.len() == before;
            let mut stays = true;
            for filter in filters {
                let holds = set.filters.expr(*filter).is_none_or(|expr| look.holds(expr, view));
                stays &= holds;
                if !holds && first {
                    taken.push(Filtered { rule: *rule, filter: *filter });
                }
            }
            if stays {
                taken.truncate(before);
                break;
            }
        }
        taken.len() == before
    });
}

/// The sources that admit the event by its key, of the gates that are wanted.
fn all_admitting<E: Event>(
    set: &RuleSet,
    event: &E,
    wanted: impl Fn(&Gate) -> bool,
) -> Vec<Admission> {
    with_key(event, |key| {
        let key = key.event_key();
        let gates = set.gates.iter().enumerate().filter(|(_, gate)| wanted(gate));
        let sources = gates.flat_map(|(n, gate)| {
            gate.sources.iter().enumerate().map(move |(m, source)| ((n, m), source))
        });
        let admitting = sources.filter(|(_, source)| source.source.admits(&key));
        admitting.map(|(at, _)| at).collect()
    })
}

fn source_of(set: &RuleSet, gate: usize, source: usize) -> Option<(&Gate, &AdmittingSource)> {
    let gate = set.gates.get(gate)?;
    Some((gate, gate.sources.get(source)?))
}

/// One event looked at by whole conditions.
struct Look<'a, E> {
    set: &'a RuleSet,
    event: &'a E,
    kind: u64,
    told: &'a mut Told,
}

/// A slot's sources and the places of its texts.
#[derive(Debug, Clone)]
struct Values {
    sources: Arc<[FieldSource]>,
    from: usize,
    to: usize,
    original_from: usize,
}

impl<E: Event> Look<'_, E> {
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
        let Told { texts, slots, sources, .. } = &mut *self.told;
        if slots.contains_key(&slot) {
            return;
        }
        let (set, event) = (self.set, self.event);
        let sources = Arc::clone(sources.entry((self.kind, slot)).or_insert_with(|| {
            with_key(event, |key| sources_of(set, &slot, &key.event_key(), event.layout())).into()
        }));
        let from = texts.folded.len();
        texts.push_folded(event, &sources);
        let to = texts.folded.len();
        let original_from = texts.original.len();
        texts.push_original(event, &sources);
        slots.insert(slot, Values { sources, from, to, original_from });
    }

    fn values(&self, view: View, field: Option<FieldId>) -> FieldValues<'_> {
        let slot = self.told.slots.get(&Slot { view, field });
        let (from, to, original_from) = slot.map_or((0, 0, 0), |v| (v.from, v.to, v.original_from));
        FieldValues {
            folded: &self.told.texts.folded,
            from,
            to,
            original: &self.told.texts.original,
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
        let Some(values) = self.told.slots.get(&Slot { view, field: None }) else {
            return String::new();
        };
        let mut left = nth;
        for source in values.sources.iter() {
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
