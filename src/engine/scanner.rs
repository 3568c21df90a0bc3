//! The scanner: one thread's way from an event to the rules that match it.
//!
//! For each event, cheapest first:
//! - *gate*: the event's kind gives the rules that can speak of it at all, and with them the
//!   [`Program`] for it (`tables`).
//! - *prefilter*: for each slot, the verdict on its values leaves some of the rules (`slot_tests`).
//!   Values that came before have theirs remembered (`memo`) and are not even folded; others are
//!   folded, once, and searched for literals. A slot that concerns no rule that is left is not looked
//!   at.
//! - *confirm*: the conditions of the rules that are left are evaluated; each predicate at most once
//!   for a record, whatever the number of rules that ask it.
//!
//! [`Scanner::scan_full`] does without all of this: it asks every rule whose source admits the event,
//! by its whole condition. Both give the same rules for every event (invariant 1); tests compare
//! them.
//!
//! Nothing is allocated for an event that does not match once the tables know its kind.

use super::check::FieldValues;
use super::correlate::{Join, Joiner, Part, join};
use super::expr::PredicateId;
use super::filters::Filtered;
use super::full::{self, Matches, Told};
use super::kinds::Kinds;
use super::memo::{Hash, Known, Memo};
use super::program::{Program, SlotId};
use super::ruleset::{RuleId, RuleSet};
use super::slot_tests::SlotTests;
use super::tables::{Binding, Tables};
use crate::event::{Event, Texts};
use crate::taxonomy::{FieldSource, Inputs};
use std::ops::AddAssign;

/// How many fields an item may refer to without an allocation; no known rule refers to more than one.
const FEW_REFERENCES: usize = 4;

/// Stands after the values of each leaf in what identifies a slot's values; no kind of value is this.
const END_OF_LEAF: u8 = 0xFF;

/// What a scanner has done so far.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct ScanStats {
    /// Events looked at.
    pub events: u64,
    /// Of these, stopped by the gate: no rule speaks of such an event.
    pub gated: u64,
    /// Of these, stopped by the prefilter: no candidate.
    pub filtered: u64,
    /// Conditions evaluated.
    pub candidates: u64,
    /// Rules that matched, before their filters were asked.
    pub matches: u64,
}

impl AddAssign for ScanStats {
    fn add_assign(&mut self, other: ScanStats) {
        self.events += other.events;
        self.gated += other.gated;
        self.filtered += other.filtered;
        self.candidates += other.candidates;
        self.matches += other.matches;
    }
}

/// One thread's scratch for scanning events with a rule set.
#[derive(Debug)]
pub struct Scanner<'r> {
    set: &'r RuleSet,
    tables: Tables,
    memo: Memo,
    told: Told,
    told_events: u64,
    joiner: Joiner,
    scratch: Scratch,
    hits: Vec<RuleId>,
    filtered: Vec<Filtered>,
    stats: ScanStats,
    /// Whether events come from a block that is known to hold no keyword.
    clean: bool,
}

impl<'r> Scanner<'r> {
    /// A scanner for these rules.
    #[must_use]
    pub fn new(set: &'r RuleSet) -> Scanner<'r> {
        Scanner {
            set,
            tables: Tables::default(),
            memo: Memo::default(),
            told: Told::default(),
            told_events: 0,
            joiner: Joiner::default(),
            scratch: Scratch::default(),
            hits: Vec::new(),
            filtered: Vec::new(),
            stats: ScanStats::default(),
            clean: false,
        }
    }

    /// Says that the events from here on come from `block`, until [`Scanner::leave_block`]: those
    /// that are [verbatim](Event::is_verbatim) have all their texts in it. One search of its bytes
    /// can then spare searching each of them for the keywords of rules that look at every event.
    pub fn enter_block(&mut self, block: &[u8]) {
        self.clean = self.set.block.as_ref().is_some_and(|filter| filter.is_clean(block));
    }

    /// Says that the block is over.
    pub fn leave_block(&mut self) {
        self.clean = false;
    }

    /// The rules that match `event`, in ascending order, without those whose filters take it away.
    pub fn scan<E: Event>(&mut self, event: &E) -> &[RuleId] {
        self.hits.clear();
        self.filtered.clear();
        self.stats.events += 1;
        let Scanner { set, tables, memo, scratch, hits, stats, clean, .. } = self;
        let clean = *clean && event.is_verbatim();
        let binding = tables.binding(set, event);
        let Some(binding) = binding.filter(|binding| !(clean && binding.covered)) else {
            stats.gated += 1;
            return &[];
        };
        scratch.start(&binding.program);
        let mut run = Run { event, set, binding, memo, scratch, clean };
        let candidates = run.scan(hits);
        stats.candidates += candidates;
        stats.filtered += u64::from(candidates == 0);
        stats.matches += hits.len() as u64;
        let number = binding.number;
        if self.has_filtered_rule() {
            self.told_events += 1;
            let of = (number, self.told_events);
            let Scanner { set, told, hits, filtered, .. } = self;
            full::filter(set, event, hits, filtered, of, told);
        }
        &self.hits
    }

    fn has_filtered_rule(&self) -> bool {
        self.hits.iter().any(|rule| !self.set.filters.of_rule(*rule).is_empty())
    }

    /// What filters took away of the last event that was scanned, by rule, then by filter, in
    /// ascending order.
    #[must_use]
    pub fn filtered(&self) -> &[Filtered] {
        &self.filtered
    }

    /// The rules that match `event`, in ascending order, found without gate and prefilter: every
    /// rule that the event's source admits is evaluated by its whole condition.
    pub fn scan_full<E: Event>(&mut self, event: &E) -> &[RuleId] {
        self.hits.clear();
        self.filtered.clear();
        self.stats.events += 1;
        self.tables.note(event);
        let evaluated = full::scan(self.set, event, &mut self.hits);
        self.stats.candidates += evaluated;
        self.stats.matches += self.hits.len() as u64;
        if self.has_filtered_rule() {
            let Scanner { set, hits, filtered, .. } = self;
            full::filter(set, event, hits, filtered, (0, 1), &mut Told::default());
        }
        &self.hits
    }

    /// The fields that make each of `rules`, which match it, match `event`, for showing.
    pub fn matched<E: Event>(&mut self, event: &E, rules: &[RuleId]) -> &Matches {
        // Without a binding no rule can match it.
        let Some(binding) = self.tables.binding(self.set, event) else {
            return full::matched_nothing(&mut self.told);
        };
        self.told_events += 1;
        let of = (binding.number, self.told_events);
        full::matched(self.set, event, rules, of, &mut self.told)
    }

    /// Hands to `each` what the correlations that refer to one of `rules`, which hit `event`, are to
    /// know of it.
    pub fn join<E: Event>(
        &mut self,
        event: &E,
        rules: &[RuleId],
        each: &mut dyn FnMut(RuleId, Part, Join<'_>),
    ) {
        let Some(binding) = self.tables.binding(self.set, event) else { return };
        self.told_events += 1;
        let of = (binding.number, self.told_events);
        for rule in rules {
            let scratch = (&mut self.told, &mut self.joiner);
            join(self.set, event, *rule, of, scratch, &mut |part, keys| each(*rule, part, keys));
        }
    }

    /// What was done so far.
    #[must_use]
    pub fn stats(&self) -> ScanStats {
        self.stats
    }

    /// The kinds of events that were looked at.
    #[must_use]
    pub fn kinds(&self) -> &Kinds {
        self.tables.kinds()
    }
}

/// The texts of a record's fields and what was found out about it, reused from record to record.
#[derive(Debug, Default)]
struct Scratch {
    /// Counts records; what is marked with another number is of an earlier record.
    record: u32,
    texts: FieldTexts,
    slots: Vec<SlotState>,
    /// For each local predicate, the record's number times two, plus its truth.
    truths: Vec<u64>,
    /// The rules that all slots so far leave, and those that are found or need not be.
    left: Vec<u64>,
    sought: Vec<u64>,
    /// The identity of a slot's values, the tests whose literals they have, and what came of it.
    key: Vec<u8>,
    found: Vec<u64>,
    verdict: Vec<u64>,
}

/// Which texts of the buffers are a slot's.
#[derive(Debug, Default, Clone, Copy)]
struct SlotState {
    folded_for: u32,
    original_for: u32,
    from: u32,
    to: u32,
    original_from: u32,
    /// Where the verdict on its values is remembered, if it is.
    known_for: u32,
    known: Option<Known>,
}

impl Scratch {
    /// Makes ready for the next record.
    fn start(&mut self, program: &Program) {
        self.record = self.record.wrapping_add(1);
        if self.record == 0 {
            // After 2^32 records the marks would be taken for this record's.
            self.slots.fill(SlotState::default());
            self.truths.fill(0);
            self.record = 1;
        }
        if self.slots.len() < program.slots.len() {
            self.slots.resize(program.slots.len(), SlotState::default());
        }
        if self.truths.len() < program.predicates.len() {
            self.truths.resize(program.predicates.len(), 0);
        }
        self.texts.folded.clear();
        self.texts.original.clear();
        self.left.clear();
        self.left.resize(program.words, u64::MAX);
        self.sought.clear();
        self.sought.extend_from_slice(&program.unsought);
    }
}

impl Scratch {
    /// Applies the verdict that was just worked out.
    fn apply(&mut self, tests: &SlotTests) {
        apply(tests, &self.verdict, &mut self.left, &mut self.sought);
    }
}

/// Takes away the rules that the slot does not leave and adds those that it finds. An empty verdict
/// says that no test holds.
#[inline]
fn apply(tests: &SlotTests, verdict: &[u64], left: &mut [u64], sought: &mut [u64]) {
    let (leaves, finds) = verdict.split_at(verdict.len() / 2);
    let leaves = if leaves.is_empty() { &*tests.open } else { leaves };
    left.iter_mut().zip(leaves).for_each(|(have, leaves)| *have &= leaves);
    sought.iter_mut().zip(finds).for_each(|(have, finds)| *have |= finds);
}

/// Buffers for the texts of fields.
#[derive(Debug, Default)]
pub(super) struct FieldTexts {
    pub(super) folded: Texts,
    pub(super) original: Texts,
    inputs: Texts,
    ends: Vec<usize>,
    derived: Texts,
}

impl FieldTexts {
    /// Appends the folded texts of the values that `sources` give for `event`.
    pub(super) fn push_folded<E: Event>(&mut self, event: &E, sources: &[FieldSource]) {
        for source in sources {
            match source {
                FieldSource::Leaf(leaf) => event.values(*leaf, |value| {
                    self.folded.push_with(|out| value.append_folded(out));
                }),
                derived => {
                    self.derive(event, derived);
                    for n in 0..self.derived.len() {
                        let text = String::from_utf8_lossy(self.derived.get(n));
                        self.folded.push_with(|out| crate::utf16::append_folded(&text, out));
                    }
                }
            }
        }
    }

    /// Appends the original texts of the same values, in the same order.
    pub(super) fn push_original<E: Event>(&mut self, event: &E, sources: &[FieldSource]) {
        for source in sources {
            match source {
                FieldSource::Leaf(leaf) => event.values(*leaf, |value| {
                    self.original.push_with(|out| value.append_text(out));
                }),
                derived => {
                    self.derive(event, derived);
                    for n in 0..self.derived.len() {
                        self.original.push(self.derived.get(n));
                    }
                }
            }
        }
    }

    fn derive<E: Event>(&mut self, event: &E, source: &FieldSource) {
        self.derived.clear();
        let FieldSource::Derived { transform, inputs } = source else { return };
        self.inputs.clear();
        self.ends.clear();
        for leaf in inputs {
            event.values(*leaf, |value| self.inputs.push_with(|out| value.append_text(out)));
            self.ends.push(self.inputs.len());
        }
        transform.apply(&Inputs::new(&self.inputs, &self.ends), &mut self.derived);
    }
}

/// The look at one record.
struct Run<'a, E> {
    event: &'a E,
    set: &'a RuleSet,
    binding: &'a Binding,
    memo: &'a mut Memo,
    scratch: &'a mut Scratch,
    /// Whether the event's texts are known to hold no keyword.
    clean: bool,
}

impl<E: Event> Run<'_, E> {
    /// Adds the rules that match and says how many conditions were evaluated.
    fn scan(&mut self, hits: &mut Vec<RuleId>) -> u64 {
        let binding = self.binding;
        let program = &*binding.program;
        for tests in &program.tests {
            let mut both = self.scratch.left.iter().zip(&tests.concerns);
            if both.any(|(left, concerns)| left & concerns != 0) {
                self.narrow(tests);
            }
        }
        let mut evaluated = 0;
        // Taken out, for evaluating needs the rest.
        let (left, sought) =
            (std::mem::take(&mut self.scratch.left), std::mem::take(&mut self.scratch.sought));
        for (word, (left, sought)) in left.iter().zip(&sought).enumerate() {
            let mut bits = left & sought;
            while bits != 0 {
                let index = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let Some(rule) = program.rules.get(index) else { break };
                evaluated += 1;
                let refuted = rule.parts.iter().find(|p| !p.expr.evaluate(&mut |id| self.test(id)));
                match refuted {
                    Some(part) => self.refute(part.slot, index),
                    None if hits.last() != Some(&rule.rule) => hits.push(rule.rule),
                    None => {}
                }
            }
        }
        (self.scratch.left, self.scratch.sought) = (left, sought);
        evaluated
    }

    /// Leaves and finds what the slot's values do.
    fn narrow(&mut self, tests: &SlotTests) {
        if tests.covered && self.clean {
            let scratch = &mut *self.scratch;
            return apply(tests, &[], &mut scratch.left, &mut scratch.sought);
        }
        let number = self.binding.number << 5 ^ u64::from(tests.slot.number());
        // The values of all fields together come again only with the whole event.
        let pays = !tests.keywords && self.memo.pays(number, self.scratch.record);
        let hash = if pays { self.identify(tests.slot) } else { None };
        let Some(hash) = hash else {
            self.judge(tests);
            return self.scratch.apply(tests);
        };
        let scratch = &mut *self.scratch;
        let state = &mut scratch.slots[tests.slot.index()];
        state.known_for = scratch.record;
        let found = self.memo.get(hash, &scratch.key);
        let is_known = found.is_some();
        match found {
            Some((known, verdict)) => {
                state.known = Some(known);
                apply(tests, verdict, &mut scratch.left, &mut scratch.sought);
            }
            None => {
                self.judge(tests);
                let scratch = &mut *self.scratch;
                let known = self.memo.put(hash, &scratch.key, &scratch.verdict);
                scratch.slots[tests.slot.index()].known = known;
                scratch.apply(tests);
            }
        }
        self.memo.note(number, is_known);
    }

    /// Remembers that the slot's values refute the rule.
    fn refute(&mut self, slot: Option<SlotId>, rule: usize) {
        let Some(slot) = slot else { return };
        let state = self.scratch.slots[slot.index()];
        if state.known_for == self.scratch.record
            && let Some(known) = state.known
            && let Some(tests) = self.binding.program.tests.iter().find(|t| t.slot == slot)
        {
            self.memo.clear_bit(known, rule, &tests.open);
        }
    }

    /// Writes down what tells the slot's values from all others; gives the hash, if they are of a
    /// length to be remembered.
    fn identify(&mut self, slot: SlotId) -> Option<Hash> {
        let key = &mut self.scratch.key;
        key.clear();
        let mut of_slot = [0; 12];
        let (number, slot_number) = of_slot.split_at_mut(8);
        number.copy_from_slice(&self.binding.number.to_le_bytes());
        slot_number.copy_from_slice(&slot.number().to_le_bytes());
        key.extend_from_slice(&of_slot);
        let sources = &self.binding.slots[slot.index()];
        if let [FieldSource::Leaf(leaf)] = **sources {
            // Nothing to be told from the values of another leaf.
            self.event.values(leaf, |value| value.append_identity(key));
            return self.memo.hash(key);
        }
        for source in sources {
            let inputs = match source {
                FieldSource::Leaf(leaf) => std::slice::from_ref(leaf),
                FieldSource::Derived { inputs, .. } => inputs,
            };
            for leaf in inputs {
                self.event.values(*leaf, |value| value.append_identity(key));
                key.push(END_OF_LEAF);
            }
        }
        self.memo.hash(key)
    }

    /// Works out the verdict on the slot's values.
    fn judge(&mut self, tests: &SlotTests) {
        if tests.is_empty() {
            // Nothing is asked: the verdict is there only for what evaluation takes out of it.
            return self.scratch.verdict.clear();
        }
        let state = self.fold(tests.slot);
        let mut found = std::mem::take(&mut self.scratch.found);
        let mut verdict = std::mem::take(&mut self.scratch.verdict);
        let haystack = self.scratch.texts.folded.haystack(state.from as usize, state.to as usize);
        tests.search(self.set, haystack, &mut found);
        tests.judge(&found, &mut verdict, &mut |expr| expr.evaluate(&mut |id| self.test(id)));
        self.scratch.found = found;
        self.scratch.verdict = verdict;
    }

    /// Whether the local predicate holds for this record.
    fn test(&mut self, local: PredicateId) -> bool {
        let mark = u64::from(self.scratch.record) << 1;
        let truth = self.scratch.truths[local.index()];
        if truth & !1 == mark {
            return truth & 1 == 1;
        }
        let binding = self.binding;
        let predicate = &binding.program.predicates[local.index()];
        let checks = self.set.predicates.get(predicate.id).checks();
        self.prepare(predicate.slot, checks.original);
        let holds = if predicate.references.is_empty() {
            checks.holds(self.values(predicate.slot), &[])
        } else {
            for slot in &predicate.references {
                self.prepare(*slot, checks.original);
            }
            let own = self.values(predicate.slot);
            let mut references = [own; FEW_REFERENCES];
            match references.get_mut(..predicate.references.len()) {
                Some(few) => {
                    for (values, slot) in few.iter_mut().zip(&predicate.references) {
                        *values = self.values(*slot);
                    }
                    checks.holds(own, few)
                }
                None => {
                    let many: Vec<_> =
                        predicate.references.iter().map(|slot| self.values(*slot)).collect();
                    checks.holds(own, &many)
                }
            }
        };
        self.scratch.truths[local.index()] = mark | u64::from(holds);
        holds
    }

    fn prepare(&mut self, slot: SlotId, original: bool) {
        self.fold(slot);
        let binding = self.binding;
        let scratch = &mut *self.scratch;
        if original && scratch.slots[slot.index()].original_for != scratch.record {
            let from = scratch.texts.original.len();
            scratch.texts.push_original(self.event, &binding.slots[slot.index()]);
            let state = &mut scratch.slots[slot.index()];
            state.original_for = scratch.record;
            state.original_from = count(from);
        }
    }

    /// Makes sure that the slot's folded texts are there.
    fn fold(&mut self, slot: SlotId) -> SlotState {
        let binding = self.binding;
        let scratch = &mut *self.scratch;
        let mut state = scratch.slots[slot.index()];
        if state.folded_for != scratch.record {
            state.from = count(scratch.texts.folded.len());
            scratch.texts.push_folded(self.event, &binding.slots[slot.index()]);
            state.to = count(scratch.texts.folded.len());
            state.folded_for = scratch.record;
            scratch.slots[slot.index()] = state;
        }
        state
    }

    fn values(&self, slot: SlotId) -> FieldValues<'_> {
        let state = self.scratch.slots[slot.index()];
        FieldValues {
            folded: &self.scratch.texts.folded,
            from: state.from as usize,
            to: state.to as usize,
            original: &self.scratch.texts.original,
            original_from: state.original_from as usize,
        }
    }
}

/// A record has fewer values than bytes, and at most 64 KiB of these.
fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
