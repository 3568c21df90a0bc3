//! The scanner: one thread's way from an event to the rules that match it.
//!
//! For each event, cheapest first:
//! - *gate*: provider, channel and event id give the rules that can speak of it at all, and with the
//!   event's layout the [`Program`] for it. Both are looked up in the scanner's own tables; most
//!   events stop here.
//! - *prefilter*: the fields that have an automaton are folded, each once, and searched; the rules of
//!   which an atom was found, and those that have none, are candidates.
//! - *confirm*: the candidates' conditions are evaluated; each predicate at most once for a record,
//!   whatever the number of rules that ask it.
//!
//! [`Scanner::scan_full`] does without all of this: it asks every rule whose source admits the event,
//! by its whole condition. Both give the same rules for every event (invariant 1); tests compare
//! them.
//!
//! Nothing is allocated for an event that does not match once the tables know its kind.

use super::check::FieldValues;
use super::expr::{Expr, PredicateId};
use super::full;
use super::kinds::Kinds;
use super::predicate::{FieldId, Predicates};
use super::program::{Instance, Program, Slot, SlotAutomaton, SlotId};
use super::ruleset::{Admitted, Key, MAX_KEYS, RuleId, RuleSet};
use crate::event::{Event, Layout, LeafId, LeafKind, Section, Texts};
use crate::taxonomy::{EventKey, FieldSource, Inputs, View};
use hashbrown::HashMap;
use std::ops::AddAssign;
use std::sync::Arc;

/// How many bindings a scanner remembers; each is small, and an event whose binding was forgotten
/// costs one more look at its layout.
const MAX_BINDINGS: usize = 16_384;

/// How many fields an item may refer to without an allocation; no known rule refers to more than one.
const FEW_REFERENCES: usize = 4;

/// Separates the parts of a key; no UTF-8 text has it.
const KEY_SEPARATOR: u8 = 0xFF;
/// Stands for an absent part of a key.
const KEY_ABSENT: u8 = 0xFE;

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
    /// Rules that matched.
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

/// A field of a rule that matched, with the value that did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// The field's name as the rule has it; for keywords the name of the event's own field.
    pub field: String,
    /// The value's text.
    pub value: String,
}

/// One thread's scratch for scanning events with a rule set.
#[derive(Debug)]
pub struct Scanner<'r> {
    set: &'r RuleSet,
    tables: Tables,
    scratch: Scratch,
    hits: Vec<RuleId>,
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
            scratch: Scratch::default(),
            hits: Vec::new(),
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

    /// The rules that match `event`, in ascending order.
    pub fn scan<E: Event>(&mut self, event: &E) -> &[RuleId] {
        self.hits.clear();
        self.stats.events += 1;
        let Scanner { set, tables, scratch, hits, stats, clean } = self;
        let binding = tables.binding(set, event, scratch);
        let clean = *clean && event.is_verbatim();
        let Some(binding) = binding.filter(|binding| !(clean && binding.covered)) else {
            stats.gated += 1;
            return hits;
        };
        scratch.start(&binding.program);
        let mut run = Run { event, predicates: &set.predicates, binding, scratch, clean };
        let candidates = run.scan(hits);
        stats.candidates += candidates;
        stats.filtered += u64::from(candidates == 0);
        stats.matches += hits.len() as u64;
        hits
    }

    /// The rules that match `event`, in ascending order, found without gate and prefilter: every
    /// rule that the event's source admits is evaluated by its whole condition.
    pub fn scan_full<E: Event>(&mut self, event: &E) -> &[RuleId] {
        self.hits.clear();
        self.stats.events += 1;
        with_key(event, |key| self.tables.kinds.note(&key.event_key()));
        let evaluated = full::scan(self.set, event, &mut self.hits);
        self.stats.candidates += evaluated;
        self.stats.matches += self.hits.len() as u64;
        &self.hits
    }

    /// The fields that make `rule` match `event`, for showing.
    #[must_use]
    pub fn matched<E: Event>(&self, event: &E, rule: RuleId) -> Vec<Matched> {
        full::matched(self.set, event, rule)
    }

    /// What was done so far.
    #[must_use]
    pub fn stats(&self) -> ScanStats {
        self.stats
    }

    /// The kinds of events that were looked at.
    #[must_use]
    pub fn kinds(&self) -> &Kinds {
        &self.tables.kinds
    }
}

/// What a scanner has learnt of kinds of events.
#[derive(Debug, Default)]
struct Tables {
    generation: u64,
    keys: HashMap<Box<[u8]>, u32>,
    admitted: Vec<Arc<Admitted>>,
    bindings: HashMap<(u32, usize), Option<Binding>>,
    /// Keeps the layouts whose addresses stand in `bindings`.
    layouts: Vec<Arc<Layout>>,
    /// All kinds of events met; what else is known may be forgotten, this is not.
    kinds: Kinds,
}

/// A program and where an event of one layout holds the values of its slots.
#[derive(Debug)]
pub(super) struct Binding {
    pub(super) program: Arc<Program>,
    pub(super) slots: Box<[Box<[FieldSource]>]>,
    /// Whether no rule can match a verbatim event of a clean block.
    covered: bool,
}

impl Tables {
    /// The binding for `event`, or `None` if no rule can match it.
    fn binding<E: Event>(
        &mut self,
        set: &RuleSet,
        event: &E,
        scratch: &mut Scratch,
    ) -> Option<&Binding> {
        let key = make_key(event, &mut scratch.key);
        let layout = event.layout();
        let address = Arc::as_ptr(layout) as usize;
        let known = self.keys.get(&*scratch.key).copied();
        if known.is_none_or(|key| !self.bindings.contains_key(&(key, address))) {
            self.learn(set, layout, &scratch.key, key);
        }
        let key = *self.keys.get(&*scratch.key)?;
        self.bindings.get(&(key, address))?.as_ref()
    }

    /// Works out the binding for a kind of event that was not met before.
    #[cold]
    fn learn(&mut self, set: &RuleSet, layout: &Arc<Layout>, bytes: &[u8], parts: KeyParts) {
        let generation = set.generation();
        let full = self.keys.len() >= MAX_KEYS || self.bindings.len() >= MAX_BINDINGS;
        if generation != self.generation || full {
            let kinds = std::mem::take(&mut self.kinds);
            *self = Tables { generation, kinds, ..Tables::default() };
        }
        let key = parts.of(bytes);
        let number = match self.keys.get(bytes) {
            Some(number) => *number,
            None => {
                self.kinds.note(&key.event_key());
                let number = u32::try_from(self.admitted.len()).unwrap_or(u32::MAX);
                self.admitted.push(set.admitted(bytes, &key));
                self.keys.insert(bytes.into(), number);
                number
            }
        };
        let binding = if key_is_whole(set, &key.event_key(), layout) {
            let admitted = self.admitted.get(number as usize).map_or(&[][..], |a| &a.instances);
            bind(set, admitted, &key.event_key(), layout)
        } else {
            let admitted = set.admit(&Key { decides: false, ..key });
            bind(set, &admitted.instances, &key.event_key(), layout)
        };
        self.layouts.push(Arc::clone(layout));
        self.bindings.insert((number, Arc::as_ptr(layout) as usize), binding);
    }
}

/// The program for events with this key and layout, bound to the layout; `None` if no rule is left.
fn bind(
    set: &RuleSet,
    admitted: &[Instance],
    key: &EventKey<'_>,
    layout: &Layout,
) -> Option<Binding> {
    let mut resolved: HashMap<Slot, Box<[FieldSource]>> = HashMap::new();
    let mut resolve = |view: View, field: Option<FieldId>| {
        let slot = set.slot(view, field);
        resolved
            .entry(slot)
            .or_insert_with(|| sources_of(set, &slot, key, layout).into())
            .is_empty()
    };
    let mut instances = Vec::new();
    for instance in admitted {
        // Which predicates ask for a field that the layout does not have.
        let mut absent: Vec<PredicateId> = Vec::new();
        instance.residue.visit(&mut |id| {
            if resolve(instance.view, set.predicates.get(id).field) {
                absent.push(id);
            }
        });
        let known = |id| absent.contains(&id).then(|| set.predicates.get(id).when_absent());
        let residue = instance.residue.fold(&known);
        if residue != Expr::Const(false) {
            instances.push(Instance { residue, ..*instance });
        }
    }
    if instances.is_empty() {
        return None;
    }
    let program = set.program(&instances);
    let slots = program
        .slots
        .iter()
        .map(|slot| match resolved.remove(slot) {
            Some(sources) => sources,
            None => sources_of(set, slot, key, layout).into(),
        })
        .collect();
    let covered = program.is_covered();
    Some(Binding { program, slots, covered })
}

/// Where an event of this layout holds the values of a slot.
pub(super) fn sources_of(
    set: &RuleSet,
    slot: &Slot,
    key: &EventKey<'_>,
    layout: &Layout,
) -> Vec<FieldSource> {
    match slot.field {
        Some(field) => {
            set.taxonomy.resolve(slot.view, set.predicates.field_name(field), key, layout)
        }
        None => layout
            .iter()
            .filter(|(_, leaf)| is_searched(leaf))
            .map(|(id, _)| FieldSource::Leaf(id))
            .collect(),
    }
}

/// Whether keywords are looked for in a leaf: everything but what no one reads as text.
fn is_searched(leaf: &crate::event::Leaf) -> bool {
    !(leaf.section == Section::System
        && leaf.kind == LeafKind::Attribute
        && &*leaf.name == "EventID_Qualifiers")
}

/// Where the parts of a key stand in its bytes.
#[derive(Debug, Clone, Copy)]
struct KeyParts {
    provider_end: usize,
    channel_end: usize,
    event_id_end: usize,
}

impl KeyParts {
    fn of(self, bytes: &[u8]) -> Key<'_> {
        fn part(bytes: Option<&[u8]>) -> Option<&str> {
            std::str::from_utf8(bytes?).ok()
        }
        // The mark of absence is no UTF-8, so an absent part is None.
        Key {
            provider: part(bytes.get(..self.provider_end)),
            channel: part(bytes.get(self.provider_end + 1..self.channel_end)),
            event_id: part(bytes.get(self.channel_end + 1..self.event_id_end)),
            decides: bytes.len() == self.event_id_end,
        }
    }
}

/// Writes what the gate asks of an event: provider, channel and event id, folded, each its first
/// value. A mark at the end tells of a part with further values, which rules can see.
fn make_key<E: Event>(event: &E, out: &mut Vec<u8>) -> KeyParts {
    out.clear();
    let system = *event.layout().system();
    let mut several = false;
    let mut part = |leaf: Option<LeafId>, out: &mut Vec<u8>| {
        let mut found = false;
        if let Some(leaf) = leaf {
            event.values(leaf, |value| {
                if !found {
                    value.append_folded(out);
                } else {
                    several = true;
                }
                found = true;
            });
        }
        if !found {
            out.push(KEY_ABSENT);
        }
        out.len()
    };
    let provider_end = part(system.provider, out);
    out.push(KEY_SEPARATOR);
    let channel_end = part(system.channel, out);
    out.push(KEY_SEPARATOR);
    let event_id_end = part(system.event_id, out);
    if several {
        out.push(KEY_SEPARATOR);
    }
    KeyParts { provider_end, channel_end, event_id_end }
}

/// Whether the fields that the gate folds by the key are, in this layout, the leaves that the key is
/// made of. A forged event may have several elements of a name, or only its like in the body.
fn key_is_whole(set: &RuleSet, key: &EventKey<'_>, layout: &Layout) -> bool {
    let system = layout.system();
    [
        ("EventID", View::Plain, system.event_id),
        ("Provider_Name", View::Plain, system.provider),
        ("Channel", View::Hayabusa, system.channel),
    ]
    .into_iter()
    .all(|(name, view, leaf)| {
        let sources = set.taxonomy.resolve(view, name, key, layout);
        sources.iter().eq(leaf.map(FieldSource::Leaf).iter())
    })
}

/// Calls `scan` with the event's key.
pub(super) fn with_key<E: Event, T>(event: &E, scan: impl FnOnce(&Key<'_>) -> T) -> T {
    let mut bytes = Vec::new();
    let parts = make_key(event, &mut bytes);
    scan(&parts.of(&bytes))
}

/// The texts of a record's fields and what was found out about it, reused from record to record.
#[derive(Debug, Default)]
struct Scratch {
    key: Vec<u8>,
    /// Counts records; what is marked with another number is of an earlier record.
    record: u32,
    texts: FieldTexts,
    slots: Vec<SlotState>,
    /// For each local predicate, the record's number times two, plus its truth.
    truths: Vec<u64>,
    candidates: Vec<u64>,
}

/// Which texts of the buffers are a slot's.
#[derive(Debug, Default, Clone, Copy)]
struct SlotState {
    folded_for: u32,
    original_for: u32,
    from: u32,
    to: u32,
    original_from: u32,
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
        self.candidates.clear();
        self.candidates.extend_from_slice(&program.always);
    }
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
    predicates: &'a Predicates,
    binding: &'a Binding,
    scratch: &'a mut Scratch,
    /// Whether the event's texts are known to hold no keyword.
    clean: bool,
}

impl<E: Event> Run<'_, E> {
    /// Adds the rules that match and says how many conditions were evaluated.
    fn scan(&mut self, hits: &mut Vec<RuleId>) -> u64 {
        let binding = self.binding;
        let program = &*binding.program;
        for SlotAutomaton { slot, automaton, covered } in &program.automata {
            if *covered && self.clean {
                continue;
            }
            let state = self.fold(*slot);
            let haystack =
                self.scratch.texts.folded.haystack(state.from as usize, state.to as usize);
            automaton.search(haystack, &mut self.scratch.candidates);
        }
        let mut evaluated = 0;
        for word in 0..self.scratch.candidates.len() {
            let mut bits = self.scratch.candidates[word];
            while bits != 0 {
                let index = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let Some(rule) = program.rules.get(index) else { break };
                evaluated += 1;
                if rule.expr.evaluate(&mut |id| self.test(id)) && hits.last() != Some(&rule.rule) {
                    hits.push(rule.rule);
                }
            }
        }
        evaluated
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
        let checks = self.predicates.get(predicate.id).checks();
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
