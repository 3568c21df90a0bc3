//! Evaluation without gate and prefilter: the oracle of the scanner, and what shows why a rule
//! matched.
//!
//! Every rule whose source admits the event is asked by its whole condition, as written; nothing is
//! folded, nothing is shared between records, no literal is looked for. It uses the same fields,
//! texts and tests as the scanner, so a difference between the two is a fault of gate, folding,
//! prefilter or sharing.

use super::check::{Checks, FieldValues};
use super::expr::{Expr, PredicateId};
use super::filters::Filtered;
use super::predicate::FieldId;
use super::program::Slot;
use super::ruleset::{AdmittingSource, Gate, RuleId, RuleSet};
use super::scanner::FieldTexts;
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
    /// Which of `values` are a slot's, by the kind of event.
    slots: HashMap<(u64, Slot), usize>,
    values: Vec<Values>,
    admitting: HashMap<(u64, RuleId), Arc<[Admission]>>,
    matches: Matches,
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
        }
        if self.values.len() + self.admitting.len() > Told::MOST {
            self.slots.clear();
            self.values.clear();
            self.admitting.clear();
        }
    }
}

/// What made rules match an event: of each the fields that did, with their values.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Matches {
    /// Names and values.
    text: String,
    /// Where a name begins, and where it and its value end.
    pairs: Vec<[usize; 3]>,
    /// Where each rule's pairs end.
    rules: Vec<usize>,
}

impl Matches {
    /// The fields of the rule with this index among those that were asked for, each with the value
    /// by which the rule matched. The name is the rule's, or, for keywords, the event's own.
    pub fn of(&self, rule: usize) -> impl Iterator<Item = (&str, &str)> {
        let start = rule.checked_sub(1).map_or(Some(&0), |before| self.rules.get(before));
        let range = start.copied().unwrap_or(0)..self.rules.get(rule).copied().unwrap_or(0);
        self.pairs.get(range).unwrap_or(&[]).iter().map(|pair| self.pair(pair))
    }

    fn pair(&self, [start, middle, end]: &[usize; 3]) -> (&str, &str) {
        let text = |from, to| self.text.get(from..to).unwrap_or("");
        (text(*start, *middle), text(*middle, *end))
    }

    fn clear(&mut self) {
        self.text.clear();
        self.pairs.clear();
        self.rules.clear();
    }

    /// Adds a pair for the rule that is not ended, once.
    fn add(&mut self, name: &str, value: &[u8]) {
        let start = self.text.len();
        self.text.push_str(name);
        let middle = self.text.len();
        match std::str::from_utf8(value) {
            Ok(value) => self.text.push_str(value),
            Err(_) => self.text.push_str(&String::from_utf8_lossy(value)),
        }
        let new = [start, middle, self.text.len()];
        let of_rule = self.pairs.get(self.rules.last().copied().unwrap_or(0)..).unwrap_or(&[]);
        if of_rule.iter().any(|pair| self.pair(pair) == self.pair(&new)) {
            self.text.truncate(start);
        } else {
            self.pairs.push(new);
        }
    }

    fn end_rule(&mut self) {
        self.rules.push(self.pairs.len());
    }
}

/// The fields that make each of `rules`, which match it, match `event`: those of the tests that are
/// true and not negated. `kind` and `number` tell the event's kind and the event itself from all
/// others that `told` was ever used for.
pub(super) fn matched<'t, E: Event>(
    set: &RuleSet,
    event: &E,
    rules: &[RuleId],
    (kind, number): (u64, u64),
    told: &'t mut Told,
) -> &'t Matches {
    told.begin(number);
    let mut matches = std::mem::take(&mut told.matches);
    matches.clear();
    for rule in rules {
        matched_by(set, event, *rule, kind, told, &mut matches);
        matches.end_rule();
    }
    told.matches = matches;
    &told.matches
}

/// Without rules, nothing.
pub(super) fn matched_nothing(told: &mut Told) -> &Matches {
    told.matches.clear();
    &told.matches
}

fn matched_by<E: Event>(
    set: &RuleSet,
    event: &E,
    rule: RuleId,
    kind: u64,
    told: &mut Told,
    matches: &mut Matches,
) {
    let admitting = told.admitting(set, event, rule, kind);
    let mut look = Look { set, event, kind, told };
    let before = matches.pairs.len();
    for (gate, source) in admitting.iter() {
        let Some((_, source)) = source_of(set, *gate, *source) else { continue };
        let expr = &set.compiled[rule.index()].expr;
        let view = source.source.view;
        // What matches through one source alone needs not be asked whether it does.
        let one = admitting.len() == 1;
        if one || look.holds(&source.conditions, view) && look.holds(expr, view) {
            look.collect(expr, view, matches);
            // Another source may admit the event too; what was found by one is enough.
            if matches.pairs.len() > before {
                break;
            }
        }
    }
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

/// The number of no event.
const NO_EVENT: u64 = u64::MAX;

/// A slot's sources, and of the event that was looked at last the places of its texts.
#[derive(Debug)]
struct Values {
    sources: Box<[FieldSource]>,
    event: u64,
    from: usize,
    to: usize,
    original_from: usize,
}

impl<E: Event> Look<'_, E> {
    fn holds(&mut self, expr: &Expr, view: View) -> bool {
        expr.evaluate(&mut |id| self.test(id, view))
    }

    fn test(&mut self, id: PredicateId, view: View) -> bool {
        self.ask(id, view, Checks::holds)
    }

    /// Asks something of a predicate's tests, about the values of its field and those that it refers
    /// to.
    fn ask<T>(
        &mut self,
        id: PredicateId,
        view: View,
        ask: impl FnOnce(&Checks, FieldValues<'_>, &[FieldValues<'_>]) -> T,
    ) -> T {
        let own = self.prepare(view, self.set.predicates.get(id).field);
        self.ask_of(own, id, view, ask)
    }

    /// The same, when the field's texts are known to be in this place.
    fn ask_of<T>(
        &mut self,
        own: usize,
        id: PredicateId,
        view: View,
        ask: impl FnOnce(&Checks, FieldValues<'_>, &[FieldValues<'_>]) -> T,
    ) -> T {
        let predicate = self.set.predicates.get(id);
        if predicate.references.is_empty() {
            return ask(predicate.checks(), self.values(own), &[]);
        }
        let of = |field: &FieldId| self.prepare(view, Some(*field));
        let references: Vec<usize> = predicate.references.iter().map(of).collect();
        let references: Vec<_> = references.into_iter().map(|at| self.values(at)).collect();
        ask(predicate.checks(), self.values(own), &references)
    }

    /// Makes sure that a field's texts are there, and says where.
    fn prepare(&mut self, view: View, field: Option<FieldId>) -> usize {
        let slot = Slot { view, field };
        let Told { event: number, texts, slots, values, .. } = &mut *self.told;
        let (set, event) = (self.set, self.event);
        let at = *slots.entry((self.kind, slot)).or_insert_with(|| {
            let sources =
                with_key(event, |key| sources_of(set, &slot, &key.event_key(), event.layout()));
            let sources = sources.into();
            values.push(Values { sources, event: NO_EVENT, from: 0, to: 0, original_from: 0 });
            values.len() - 1
        });
        if let Some(values) = values.get_mut(at).filter(|values| values.event != *number) {
            values.event = *number;
            values.from = texts.folded.len();
            texts.push_folded(event, &values.sources);
            values.to = texts.folded.len();
            values.original_from = texts.original.len();
            texts.push_original(event, &values.sources);
        }
        at
    }

    fn values(&self, at: usize) -> FieldValues<'_> {
        let Told { texts, values, .. } = &*self.told;
        let values = values.get(at);
        let (from, to, original_from) =
            values.map_or((0, 0, 0), |v| (v.from, v.to, v.original_from));
        FieldValues { folded: &texts.folded, from, to, original: &texts.original, original_from }
    }

    /// Adds what the true, not negated tests of a true expression matched.
    fn collect(&mut self, expr: &Expr, view: View, matches: &mut Matches) {
        match expr {
            Expr::Const(_) | Expr::Not(_) => {}
            Expr::Test(id) => self.collect_test(*id, view, matches),
            // Of something true each part is.
            Expr::And(parts) => parts.iter().for_each(|part| self.collect(part, view, matches)),
            Expr::Or(parts) | Expr::AtLeast(_, parts) => {
                for part in parts {
                    if self.holds(part, view) {
                        self.collect(part, view, matches);
                    }
                }
            }
        }
    }

    fn collect_test(&mut self, id: PredicateId, view: View, matches: &mut Matches) {
        let set = self.set;
        let predicate = set.predicates.get(id);
        if predicate.item.negated {
            return;
        }
        let own = self.prepare(view, predicate.field);
        let Some(nth) = self.ask_of(own, id, view, Checks::matching_value) else { return };
        let keyword_field;
        let field = match predicate.field {
            Some(field) => set.predicates.field_name(field),
            None => {
                keyword_field = self.keyword_field(own, nth);
                &keyword_field
            }
        };
        let text = self.values(own).original().nth(nth).unwrap_or_default();
        matches.add(field, text);
    }

    /// The name of the event's own field that holds the keywords' value with this index.
    fn keyword_field(&self, keywords: usize, nth: usize) -> String {
        let Some(values) = self.told.values.get(keywords) else { return String::new() };
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
