//! What a reader keeps of the templates it has met: plans by content, and the layouts of what records
//! make of them.
//!
//! A record is a template instance, and instances of other templates stand in some of its places. Its
//! [`Make`] is which templates stand where; all records of a make have one layout. Makes are the nodes
//! of a tree that is walked with one hash look-up an instance.
//!
//! Invariants:
//! - A plan is found by the whole canonical content of its template (a hash, then all bytes).
//! - Memory is bounded: when a chunk begins and more than [`Caps`] admits is kept, all of it is
//!   dropped; what one chunk can add is bounded too ([`super::template::Budget`],
//!   [`MAKES_PER_CHUNK`]), and a record for which there is no room is declined, never lost.

use super::Decline;
use super::index;
use super::known::Templates;
use super::place::Context;
use super::plan::{Item, Part, Plan, Source};
use super::stencil::{Names, Stencil};
use super::template::{self, Body, Budget};
use crate::bytes;
use crate::event::{Layout, Leaf};
use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;
use std::sync::Arc;

/// How many bytes to keep between chunks.
#[derive(Clone, Copy)]
pub(super) struct Caps {
    /// Of templates and their plans.
    plans: usize,
    /// Of makes and their layouts.
    makes: usize,
}

/// A template and its plan take some 10 KiB, a make as much: room for the events of some thousands of
/// kinds, more than a hunt over all logs of a host meets.
const CAPS: Caps = Caps { plans: 32 << 20, makes: 32 << 20 };
/// How many bytes of makes one chunk may add. The records of a chunk are of some dozens of makes; a
/// crafted chunk can name many templates in many combinations.
const MAKES_PER_CHUNK: usize = 8 << 20;
/// The most leaves of a make: the widest events of Windows have about 200.
const MAX_LEAVES: usize = 4096;
/// About what a node in the tree of makes takes.
const NODE_COST: usize = 128;

/// The index of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct PlanId(u32);

/// The index of a node in the tree of makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Node(u32);

impl Node {
    /// No instance yet.
    pub(super) const ROOT: Node = Node(u32::MAX);
}

/// An instance's place: the instance around it and the substitution there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Nest {
    pub(super) instance: u16,
    pub(super) slot: u16,
}

/// Where the values of a leaf come from. Small, and without what differs between templates that are
/// alike but for a literal, so that their records share one list of places: it is looked at for each
/// value that a rule asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place {
    /// Which of the record's instances has them.
    pub(super) instance: u16,
    pub(super) attribute: bool,
    pub(super) source: PlaceSource,
    pub(super) depends: Depends,
}

/// The source of a value; what takes room stands in the [`Make`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum PlaceSource {
    Empty,
    Slot(u16),
    /// The number of a text in [`Make::literals`].
    Literal(u16),
    /// The number of a list in [`Make::parts`].
    Parts(u16),
}

/// Which substitutions must not be NullType for a leaf to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Depends {
    Never,
    On(u16),
    /// The number of a list in [`Make::dependencies`].
    OnAll(u16),
}

/// The layout of records that are made of the same templates in the same places, with the place of
/// each leaf.
#[derive(Debug)]
pub(super) struct Make {
    pub(super) layout: Arc<Layout>,
    pub(super) places: Arc<[Place]>,
    pub(super) literals: Box<[Box<str>]>,
    pub(super) parts: Box<[Box<[Part]>]>,
    pub(super) dependencies: Box<[Box<[u16]>]>,
    /// Whether no text is put together of pieces.
    pub(super) verbatim: bool,
}

/// A make that is being put together.
#[derive(Default)]
struct Draft {
    leaves: Vec<Leaf>,
    places: Vec<Place>,
    literals: Vec<Box<str>>,
    parts: Vec<Box<[Part]>>,
    dependencies: Vec<Box<[u16]>>,
    cost: usize,
}

impl Draft {
    /// Adds a place of an instance's plan.
    fn push(&mut self, instance: u16, item: &Item, leaf: &Leaf) {
        // There are fewer of each list than leaves.
        let number = |len: usize| u16::try_from(len).unwrap_or(u16::MAX);
        let source = match &item.source {
            Source::Empty => PlaceSource::Empty,
            Source::Slot(id) => PlaceSource::Slot(*id),
            Source::Literal(text) => {
                self.literals.push(text.clone());
                PlaceSource::Literal(number(self.literals.len() - 1))
            }
            Source::Parts(parts) => {
                self.parts.push(parts.clone());
                PlaceSource::Parts(number(self.parts.len() - 1))
            }
        };
        let depends = match &*item.dependencies {
            [] => Depends::Never,
            [one] => Depends::On(*one),
            all => {
                self.dependencies.push(all.into());
                Depends::OnAll(number(self.dependencies.len() - 1))
            }
        };
        // The layout has the name too.
        self.cost += 2 * item.cost();
        self.leaves.push(leaf.clone());
        self.places.push(Place { instance, attribute: item.attribute, source, depends });
    }
}

struct Known {
    canonical: Box<[u8]>,
    plan: Result<Plan, Decline>,
    /// What knows its definitions in other chunks.
    stencil: Option<Stencil>,
}

fn plan_of(id: u32, known: &Known) -> Result<PlanId, Decline> {
    known.plan.as_ref().map(|_| PlanId(id)).map_err(|decline| *decline)
}

/// The GUID of a template as it stands in its definition.
type Guid = [u8; 16];
/// About what it takes to keep one.
const GUID_COST: usize = 64;

/// The GUID of the definition at `offset`, behind the offset of the next definition.
fn guid(data: &[u8], offset: u32) -> Option<Guid> {
    data.get(index(offset).checked_add(4)?..)?.first_chunk().copied()
}

/// One step in the tree of makes.
struct Step {
    from: Node,
    nest: Nest,
    plan: PlanId,
    to: Node,
}

/// See the module.
pub(super) struct Interner {
    caps: Caps,
    hasher: DefaultHashBuilder,
    known: Vec<Known>,
    by_content: HashTable<u32>,
    known_cost: usize,
    /// Which template had the definition with this GUID, in this context, that was read last.
    by_guid: HashTable<(Guid, Context, u32)>,
    names: Names,
    /// The definitions of this chunk.
    here: HashTable<(u32, Context, Result<PlanId, Decline>)>,
    /// The definitions of this chunk that were looked at for damage, and whether they have none.
    sound: HashTable<(u32, bool)>,
    budget: Budget,
    steps: HashTable<Step>,
    /// The make of each node, once a record ended there.
    makes: Vec<Option<Make>>,
    makes_cost: usize,
    makes_cost_here: usize,
    /// The layouts of the makes, each once: templates that differ in a literal alone, such as the
    /// computer's name, have one layout, and whatever is kept for a layout is kept once.
    layouts: HashTable<Arc<Layout>>,
    /// The lists of places of the makes, each once.
    places: HashTable<Arc<[Place]>>,
    canonical: Vec<u8>,
    /// What was met, if that is wanted.
    pub(super) met: Option<Templates>,
}

impl Interner {
    pub(super) fn new() -> Interner {
        Interner {
            caps: CAPS,
            hasher: DefaultHashBuilder::default(),
            known: Vec::new(),
            by_content: HashTable::new(),
            known_cost: 0,
            by_guid: HashTable::new(),
            names: Names::new(),
            here: HashTable::new(),
            sound: HashTable::new(),
            budget: Budget::new(),
            steps: HashTable::new(),
            makes: Vec::new(),
            makes_cost: 0,
            makes_cost_here: 0,
            layouts: HashTable::new(),
            places: HashTable::new(),
            canonical: Vec::new(),
            met: None,
        }
    }

    /// Begins a chunk: what is known of another chunk's offsets is forgotten, and everything when it
    /// has become too much.
    pub(super) fn begin_chunk(&mut self) {
        self.here.clear();
        self.sound.clear();
        self.names.begin_chunk();
        self.budget = Budget::new();
        self.makes_cost_here = 0;
        if self.known_cost > self.caps.plans || self.makes_cost > self.caps.makes {
            self.known.clear();
            self.by_content.clear();
            self.by_guid.clear();
            self.names.clear();
            self.known_cost = 0;
            self.steps.clear();
            self.makes.clear();
            self.layouts.clear();
            self.places.clear();
            self.makes_cost = 0;
        }
    }

    /// The plan of the definition at `offset` of the chunk `data`.
    #[inline]
    pub(super) fn plan_at(
        &mut self,
        data: &[u8],
        offset: u32,
        context: Context,
    ) -> Result<PlanId, Decline> {
        let hash = spread(offset);
        let found = self.here.find(hash, |(at, c, _)| *at == offset && *c == context);
        match found {
            Some((_, _, plan)) => *plan,
            None => self.meet(data, offset, context, hash),
        }
    }

    /// Whether the definition at `offset` of the chunk `data`, which may have been overwritten, is what
    /// it was.
    #[cold]
    pub(super) fn is_sound(&mut self, data: &[u8], offset: u32) -> bool {
        let hash = spread(offset);
        if let Some((_, sound)) = self.sound.find(hash, |(at, _)| *at == offset) {
            return *sound;
        }
        let sound = template::is_sound(data, offset, &mut self.budget, &mut self.canonical);
        self.sound.insert_unique(hash, (offset, sound), |(at, _)| spread(*at));
        sound
    }

    #[cold]
    fn meet(
        &mut self,
        data: &[u8],
        offset: u32,
        context: Context,
        hash: u64,
    ) -> Result<PlanId, Decline> {
        let plan = match self.recognized(data, offset, context) {
            Some(plan) => plan,
            None => self.read(data, offset, context),
        };
        self.here.insert_unique(hash, (offset, context, plan), |(at, ..)| spread(*at));
        plan
    }

    /// The plan of a definition that is one that was read in another chunk.
    fn recognized(
        &mut self,
        data: &[u8],
        offset: u32,
        context: Context,
    ) -> Option<Result<PlanId, Decline>> {
        // What is met is wanted with all its forms.
        if self.met.is_some() || self.budget.is_spent() {
            return None;
        }
        let guid = guid(data, offset)?;
        let hash = self.hasher.hash_one(guid);
        let (.., id) = self.by_guid.find(hash, |(g, c, _)| *g == guid && *c == context)?;
        let known = self.known.get(index(*id))?;
        let body = Body::at(data, offset).ok()?;
        known.stencil.as_ref().filter(|stencil| stencil.fits(body, &mut self.names))?;
        // As if it had been read.
        self.budget.spend(&body, known.canonical.len());
        Some(plan_of(*id, known))
    }

    /// The plan of a definition, which is read.
    fn read(&mut self, data: &[u8], offset: u32, context: Context) -> Result<PlanId, Decline> {
        let read =
            template::canonical(data, offset, context, &mut self.budget, &mut self.canonical);
        let plan = read.and_then(|()| self.intern());
        if let (Some(met), Ok(_)) = (&mut self.met, plan) {
            // The id is the first part of the GUID, behind the offset of the next definition.
            let id = bytes::u32(data, index(offset).saturating_add(4));
            met.meet(id.unwrap_or_default(), context, &self.canonical);
        }
        if let (Ok(plan), Some(guid)) = (plan, guid(data, offset)) {
            self.know(plan, guid, data, offset, context);
        }
        plan
    }

    /// Makes sure that the definition will be known in other chunks.
    fn know(&mut self, plan: PlanId, guid: Guid, data: &[u8], offset: u32, context: Context) {
        let Interner { hasher, by_guid, known, names, known_cost, .. } = self;
        let Some(known) = known.get_mut(index(plan.0)) else { return };
        if known.stencil.is_none()
            && let Ok(body) = Body::at(data, offset)
            && let Ok(stencil) = template::stencil(body, names, &mut self.canonical)
        {
            // The canonical form is as long as all its names, which may be new.
            *known_cost += stencil.cost() + known.canonical.len();
            known.stencil = Some(stencil);
        }
        let entry = by_guid.entry(
            hasher.hash_one(guid),
            |(g, c, _)| *g == guid && *c == context,
            |(g, ..)| hasher.hash_one(g),
        );
        match entry {
            Entry::Occupied(mut last) => last.get_mut().2 = plan.0,
            Entry::Vacant(new) => {
                *known_cost += GUID_COST;
                new.insert((guid, context, plan.0));
            }
        }
    }

    /// The plan of a template that was met elsewhere, for an instance with so many values.
    #[cold]
    pub(super) fn plan_known(
        &mut self,
        templates: &Templates,
        id: u32,
        context: Context,
        values: usize,
    ) -> Result<PlanId, Decline> {
        let mut best: Option<(usize, PlanId)> = None;
        for form in templates.of(id, context) {
            self.canonical.clear();
            self.canonical.extend_from_slice(form);
            let Ok(plan) = self.intern() else { continue };
            let used = self.plan(plan).map_or(0, Plan::slot_count);
            // As many values as it uses is best, fewer used is possible, more is not.
            let misfit = values.checked_sub(used).unwrap_or(usize::MAX);
            if best.is_none_or(|(least, _)| misfit < least) {
                best = Some((misfit, plan));
            }
        }
        best.map(|(_, plan)| plan).ok_or(Decline::Stale)
    }

    /// The plan of the content in `self.canonical`.
    fn intern(&mut self) -> Result<PlanId, Decline> {
        let hash = self.hasher.hash_one(self.canonical.as_slice());
        let known = |id: &u32| self.known.get(index(*id));
        let found = self
            .by_content
            .find(hash, |id| known(id).is_some_and(|k| *k.canonical == *self.canonical))
            .copied();
        let id = match found {
            Some(id) => id,
            None => {
                let id = u32::try_from(self.known.len()).map_err(|_| Decline::Limit)?;
                let plan = Plan::compile(&self.canonical);
                self.known_cost += self.canonical.len() + plan.as_ref().map_or(0, Plan::cost);
                let canonical = self.canonical.as_slice().into();
                self.known.push(Known { canonical, plan, stencil: None });
                let (hasher, known) = (&self.hasher, &self.known);
                self.by_content.insert_unique(hash, id, |id| {
                    known.get(index(*id)).map_or(0, |k| hasher.hash_one(&*k.canonical))
                });
                id
            }
        };
        self.known.get(index(id)).map_or(Err(Decline::Limit), |known| plan_of(id, known))
    }

    /// A plan.
    #[inline]
    pub(super) fn plan(&self, id: PlanId) -> Option<&Plan> {
        self.known.get(index(id.0))?.plan.as_ref().ok()
    }

    /// The node for one instance more.
    #[inline]
    pub(super) fn step(&mut self, from: Node, nest: Nest, plan: PlanId) -> Result<Node, Decline> {
        let hash = step_hash(from, nest, plan);
        let found = self.steps.find(hash, |s| s.from == from && s.nest == nest && s.plan == plan);
        if let Some(step) = found {
            return Ok(step.to);
        }
        if self.makes_cost_here > MAKES_PER_CHUNK {
            return Err(Decline::Limit);
        }
        let to = Node(u32::try_from(self.makes.len()).map_err(|_| Decline::Limit)?);
        self.makes.push(None);
        self.spend(NODE_COST);
        let step = Step { from, nest, plan, to };
        self.steps.insert_unique(hash, step, |s| step_hash(s.from, s.nest, s.plan));
        Ok(to)
    }

    /// The make at a node.
    #[inline]
    pub(super) fn make(&self, node: Node) -> Option<&Make> {
        self.makes.get(index(node.0))?.as_ref()
    }

    /// Makes sure that a node has its make. `instances` are the plans and places of the instances on
    /// the way to it.
    #[inline]
    pub(super) fn ensure_make(
        &mut self,
        node: Node,
        instances: impl Iterator<Item = (Nest, PlanId)>,
    ) -> Result<(), Decline> {
        if self.make(node).is_some() {
            return Ok(());
        }
        if self.makes_cost_here > MAKES_PER_CHUNK {
            return Err(Decline::Limit);
        }
        let mut draft = Draft::default();
        let instances: Vec<_> = instances.collect();
        let built = self.lay_out(&instances, &mut draft);
        // What fails costs as well.
        self.spend(draft.cost);
        built?;
        let make = Make {
            layout: self.layout(draft.leaves),
            places: self.places(draft.places),
            verbatim: draft.parts.is_empty(),
            literals: draft.literals.into(),
            parts: draft.parts.into(),
            dependencies: draft.dependencies.into(),
        };
        let slot = self.makes.get_mut(index(node.0)).ok_or(Decline::Limit)?;
        *slot = Some(make);
        Ok(())
    }

    /// The layout of these leaves.
    fn layout(&mut self, leaves: Vec<Leaf>) -> Arc<Layout> {
        let hasher = &self.hasher;
        let hash = hasher.hash_one(&*leaves);
        let entry = self.layouts.entry(
            hash,
            |known| known.leaves() == leaves,
            |known| hasher.hash_one(known.leaves()),
        );
        match entry {
            Entry::Occupied(known) => Arc::clone(known.get()),
            Entry::Vacant(new) => Arc::clone(new.insert(Layout::new(leaves)).get()),
        }
    }

    /// The list of these places.
    fn places(&mut self, places: Vec<Place>) -> Arc<[Place]> {
        let hasher = &self.hasher;
        let hash = hasher.hash_one(&*places);
        let entry =
            self.places.entry(hash, |known| **known == *places, |known| hasher.hash_one(known));
        match entry {
            Entry::Occupied(known) => Arc::clone(known.get()),
            Entry::Vacant(new) => Arc::clone(new.insert(places.into()).get()),
        }
    }

    fn spend(&mut self, cost: usize) {
        self.makes_cost += cost;
        self.makes_cost_here += cost;
    }

    /// The leaves of these instances in document order.
    #[cold]
    fn lay_out(&self, instances: &[(Nest, PlanId)], draft: &mut Draft) -> Result<(), Decline> {
        // Where to go on: an instance and its next item. Each instance comes up once.
        let mut open = vec![(0u16, 0usize)];
        while let Some((instance, next)) = open.pop() {
            let at = instances.get(usize::from(instance));
            let plan = at.and_then(|(_, plan)| self.plan(*plan)).ok_or(Decline::Limit)?;
            for (n, item) in plan.items.iter().enumerate().skip(next) {
                let inner = item.nest.and_then(|slot| {
                    let nest = Nest { instance, slot };
                    (1u16..).zip(instances.iter().skip(1)).find(|(_, (at, _))| *at == nest)
                });
                if let Some((inner, _)) = inner {
                    open.extend([(instance, n + 1), (inner, 0)]);
                    break;
                }
                if let Some(leaf) = &item.leaf {
                    draft.push(instance, item, leaf);
                }
                if draft.leaves.len() > MAX_LEAVES {
                    return Err(Decline::Limit);
                }
            }
        }
        Ok(())
    }
}

/// Offsets and ids are small and dense: one multiplication spreads them over the table. (FxHash's
/// factor; a crafted chunk can at worst make as many look at one bucket as its templates' budget
/// admits.)
#[inline]
fn spread(n: u32) -> u64 {
    (u64::from(n) + 1).wrapping_mul(0x517c_c1b7_2722_0a95).rotate_left(26)
}

#[inline]
fn step_hash(from: Node, nest: Nest, plan: PlanId) -> u64 {
    let nest = u32::from(nest.instance) << 16 | u32::from(nest.slot);
    let one = spread(from.0) ^ u64::from(nest);
    (one ^ u64::from(plan.0) << 32).wrapping_mul(0x517c_c1b7_2722_0a95).rotate_left(26)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evtx::instance::FastLane;

    /// A chunk with records of several makes, and where their BinXML is.
    fn chunk() -> (Vec<u8>, Vec<(usize, usize)>) {
        let mut log = forge::LogWriter::in_memory(forge::Options::new());
        let mut mix = forge::mix::Mix::new(3);
        for _ in 0..20 {
            log.push(&mix.next_event()).unwrap();
        }
        let log = log.into_bytes().unwrap();
        let size = |at: usize| u32::from_le_bytes(log[at..at + 4].try_into().unwrap()) as usize;
        let contents = forge::damage::record_offsets(&log, 0)
            .into_iter()
            .map(|at| (at + 24, at + size(4096 + at + 4) - 4))
            .collect();
        (log[4096..4096 + 65536].to_vec(), contents)
    }

    #[test]
    fn what_is_too_much_is_dropped_between_chunks_and_met_again() {
        let (data, records) = chunk();
        let mut lane = FastLane::new();
        lane.interner.caps = Caps { plans: 1, makes: usize::MAX };
        let mut before: Vec<Arc<Layout>> = Vec::new();
        for round in 0..3 {
            lane.interner.begin_chunk();
            assert!(lane.interner.known.is_empty() && lane.interner.makes.is_empty());
            let layouts: Vec<Arc<Layout>> = records
                .iter()
                .map(|(at, end)| {
                    let node = lane.prepare(&data, *at, *end, false).unwrap();
                    Arc::clone(&lane.make(node).unwrap().layout)
                })
                .collect();
            assert!(lane.interner.known_cost > 1000);
            if round > 0 {
                assert_eq!(before, layouts);
            }
            before = layouts;
        }
    }

    #[test]
    fn what_is_not_too_much_is_kept() {
        let (data, records) = chunk();
        let mut lane = FastLane::new();
        let mut kept = None;
        for _ in 0..3 {
            lane.interner.begin_chunk();
            for (at, end) in &records {
                lane.prepare(&data, *at, *end, false).unwrap();
            }
            let now = (lane.interner.known.len(), lane.interner.makes.len());
            assert_eq!(*kept.get_or_insert(now), now);
        }
    }

    #[test]
    fn a_make_for_which_there_is_no_room_is_declined() {
        let (data, records) = chunk();
        let mut lane = FastLane::new();
        lane.interner.begin_chunk();
        let (at, end) = records[0];
        lane.prepare(&data, at, end, false).unwrap();
        lane.interner.makes_cost_here = MAKES_PER_CHUNK + 1;
        // What is known stays known.
        lane.prepare(&data, at, end, false).unwrap();
        let other =
            records.iter().find_map(|(at, end)| lane.prepare(&data, *at, *end, false).err());
        assert_eq!(other, Some(Decline::Limit));
    }
}
