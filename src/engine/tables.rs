//! What a scanner knows of kinds of events: which program decides them, and where their values are.
//!
//! The *kind* of an event is its provider, channel and event id, and its layout. A record's kind is
//! told by comparing raw bytes, first with the record before. What follows from a kind is worked out
//! when it is first met.

use super::expr::{Expr, PredicateId};
use super::kinds::Kinds;
use super::predicate::FieldId;
use super::program::{Instance, Program, Slot};
use super::ruleset::{Admitted, Key, MAX_KEYS, RuleSet};
use crate::event::{Event, Layout, Leaf, LeafId, LeafKind, Section};
use crate::taxonomy::{EventKey, FieldSource, View};
use hashbrown::HashMap;
use std::sync::Arc;

/// How many bindings a scanner remembers; each is small, and an event whose binding was forgotten
/// costs one more look at its layout.
const MAX_BINDINGS: usize = 16_384;

/// Separates the parts of a key; no UTF-8 text has it.
const KEY_SEPARATOR: u8 = 0xFF;
/// Stands for an absent part of a key.
const KEY_ABSENT: u8 = 0xFE;

/// What a scanner has learnt of kinds of events.
#[derive(Debug, Default)]
pub(super) struct Tables {
    generation: u64,
    /// Rules by folded key: kinds that differ in case or layout share them.
    admitted: HashMap<Box<[u8]>, Arc<Admitted>>,
    /// Bindings by the raw bytes of provider, channel and event id and the layout's address.
    by_kind: HashMap<Box<[u8]>, u32>,
    bindings: Vec<Option<Binding>>,
    /// Keeps the layouts whose addresses stand in `by_kind`.
    layouts: Vec<Arc<Layout>>,
    /// The kind of the last record, and that of this one.
    last: Vec<u8>,
    last_binding: u32,
    this: Vec<u8>,
    /// How many bindings were ever made.
    made: u64,
    /// All kinds of events met; what else is known may be forgotten, this is not.
    kinds: Kinds,
}

/// A program and where an event of one layout holds the values of its slots.
#[derive(Debug)]
pub(super) struct Binding {
    pub(super) program: Arc<Program>,
    pub(super) slots: Box<[Box<[FieldSource]>]>,
    /// Whether no rule can match a verbatim event of a clean block.
    pub(super) covered: bool,
    /// Tells it from all other bindings that its scanner ever made.
    pub(super) number: u64,
}

impl Tables {
    /// The binding for `event`, or `None` if no rule can match it.
    #[inline]
    pub(super) fn binding<E: Event>(&mut self, set: &RuleSet, event: &E) -> Option<&Binding> {
        let layout = event.layout();
        self.this.clear();
        self.this.extend_from_slice(&(Arc::as_ptr(layout) as usize).to_le_bytes());
        let system = layout.system();
        for leaf in [system.provider, system.channel, system.event_id] {
            self.this.push(KEY_SEPARATOR);
            if let Some(leaf) = leaf {
                event.values(leaf, |value| value.append_identity(&mut self.this));
            }
        }
        if self.this != self.last {
            self.last_binding = match self.by_kind.get(&*self.this) {
                Some(number) => *number,
                None => self.learn(set, event),
            };
            std::mem::swap(&mut self.this, &mut self.last);
        }
        self.bindings.get(self.last_binding as usize)?.as_ref()
    }

    /// The kinds of events that were met.
    pub(super) fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// Notes the kind of an event of which nothing else is asked.
    pub(super) fn note<E: Event>(&mut self, event: &E) {
        with_key(event, |key| self.kinds.note(&key.event_key()));
    }

    /// Works out the binding for a kind of event that was not met before, and gives its number.
    #[cold]
    fn learn<E: Event>(&mut self, set: &RuleSet, event: &E) -> u32 {
        let generation = set.generation();
        let full = self.admitted.len() >= MAX_KEYS || self.bindings.len() >= MAX_BINDINGS;
        if generation != self.generation || full {
            let this = std::mem::take(&mut self.this);
            let kinds = std::mem::take(&mut self.kinds);
            *self = Tables { generation, this, kinds, made: self.made, ..Tables::default() };
        }
        let layout = event.layout();
        let mut bytes = Vec::new();
        let parts = make_key(event, &mut bytes);
        let key = parts.of(&bytes);
        self.kinds.note(&key.event_key());
        let number = u32::try_from(self.bindings.len()).unwrap_or(u32::MAX);
        let bound = if key_is_whole(set, &key.event_key(), layout) {
            let admitted = match self.admitted.get(&*bytes) {
                Some(known) => known,
                None => {
                    let admitted = set.admitted(&bytes, &key);
                    self.admitted.entry(bytes.as_slice().into()).insert(admitted).into_mut()
                }
            };
            bind(set, &admitted.instances, &key.event_key(), layout)
        } else {
            let admitted = set.admit(&Key { decides: false, ..key });
            bind(set, &admitted.instances, &key.event_key(), layout)
        };
        self.layouts.push(Arc::clone(layout));
        self.by_kind.insert(self.this.as_slice().into(), number);
        self.made += 1;
        self.bindings.push(bound.map(|binding| Binding { number: self.made, ..binding }));
        number
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
    Some(Binding { program, slots, covered, number: 0 })
}

/// Where an event of this layout holds the values of a slot.
pub(super) fn sources_of(
    set: &RuleSet,
    slot: &Slot,
    key: &EventKey<'_>,
    layout: &Layout,
) -> Vec<FieldSource> {
    let name = slot.field.map(|field| set.predicates.field_name(field));
    field_sources(set, slot.view, name, key, layout)
}

/// Where an event of this layout holds the values of a field; no name is that of keywords.
pub(super) fn field_sources(
    set: &RuleSet,
    view: View,
    name: Option<&str>,
    key: &EventKey<'_>,
    layout: &Layout,
) -> Vec<FieldSource> {
    match name {
        Some(name) => set.taxonomy.resolve(view, name, key, layout),
        None => layout
            .iter()
            .filter(|(_, leaf)| is_searched(leaf))
            .map(|(id, _)| FieldSource::Leaf(id))
            .collect(),
    }
}

/// Whether keywords are looked for in a leaf: everything but what no one reads as text.
fn is_searched(leaf: &Leaf) -> bool {
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
