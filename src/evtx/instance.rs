//! The fast lane: a record's template instances, and where in the chunk their values stand.
//!
//! [`Lane::prepare`] reads the tables of descriptors of a record's instances, outer and nested, adds
//! up the sizes to positions, and finds the record's make. Nothing is decoded and nothing allocated
//! once the templates are known. Everything that could go wrong later is looked at here, before
//! anything of the record is used (invariant 3 of the design): an irregular record is [`Decline`]d as
//! a whole.
//!
//! Bounds: a nested instance lies inside its place in the outer one, and each place is used once, so
//! the work is at most [`MAX_NESTING`] times the record's size.
//!
//! Source: [MS-EVEN6] 2.2.12, `TemplateInstance`; the `evtx` crate's `tokens.rs` for what real logs
//! hold.

use super::Decline;
use super::index;
use super::intern::{Interner, Make, Nest, Node, PlanId};
use super::place::Context;
use super::value::{self, BINXML, Slot, TYPES, TypeInfo};
use crate::bytes;

/// How deep instances nest; those of Windows are 2 deep (the event, and its EventData or UserData).
const MAX_NESTING: u8 = 8;
/// How many instances a record has; see [`MAX_NESTING`].
const MAX_INSTANCES: usize = 16;

/// A template instance of a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Instance {
    nest: Nest,
    plan: PlanId,
    /// Its values in [`Lane::slots`].
    first: usize,
    end: usize,
}

impl Instance {
    /// Its values.
    #[inline]
    pub(super) fn slots<'s>(&self, slots: &'s [Slot]) -> &'s [Slot] {
        slots.get(self.first..self.end).unwrap_or(&[])
    }
}

/// A place in which an instance stands that is still to be read.
#[derive(Clone, Copy)]
struct Pending {
    nest: Nest,
    context: Context,
    depth: u8,
    at: usize,
    end: usize,
}

/// The fast lane's state.
pub(super) struct Lane {
    pub(super) interner: Interner,
    pub(super) slots: Vec<Slot>,
    pub(super) instances: Vec<Instance>,
    pending: Vec<Pending>,
}

impl Lane {
    pub(super) fn new() -> Lane {
        Lane {
            interner: Interner::new(),
            slots: Vec::new(),
            instances: Vec::new(),
            pending: Vec::new(),
        }
    }

    /// Reads the instances of the record whose BinXML is at `at..end` of the chunk.
    pub(super) fn prepare(&mut self, data: &[u8], at: usize, end: usize) -> Result<Node, Decline> {
        self.slots.clear();
        self.instances.clear();
        self.pending.clear();
        let nest = Nest { instance: 0, slot: 0 };
        self.pending.push(Pending { nest, context: Context::Document, depth: 0, at, end });
        let mut node = Node::ROOT;
        let mut next = 0;
        while let Some(pending) = self.pending.get(next).copied() {
            next += 1;
            if pending.depth > 0 && self.is_left_out(pending.nest) {
                continue;
            }
            if self.instances.len() >= MAX_INSTANCES || pending.depth > MAX_NESTING {
                return Err(Decline::Limit);
            }
            let plan = self.instance(data, pending)?;
            node = self.interner.step(node, pending.nest, plan)?;
        }
        let instances = self.instances.iter().map(|i| (i.nest, i.plan));
        self.interner.ensure_make(node, instances)?;
        Ok(node)
    }

    /// The make of a prepared record.
    #[inline]
    pub(super) fn make(&self, node: Node) -> Option<&Make> {
        self.interner.make(node)
    }

    /// Whether an element around the place of a nested instance depends on a value that is NullType.
    fn is_left_out(&self, nest: Nest) -> bool {
        let Some(outer) = self.instances.get(usize::from(nest.instance)) else { return false };
        let Some(plan) = self.interner.plan(outer.plan) else { return false };
        let slots = outer.slots(&self.slots);
        let null = |id: &u16| slots.get(usize::from(*id)).is_some_and(|slot| slot.is_null());
        plan.nest_dependencies(nest.slot).iter().any(null)
    }

    /// Reads one instance.
    fn instance(&mut self, data: &[u8], pending: Pending) -> Result<PlanId, Decline> {
        const FRAGMENT: u8 = 0x0f;
        const INSTANCE: u8 = 0x0c;
        // The token, a byte, the template's id (u32), its definition's offset (u32).
        const DEFINITION_AT: usize = 6;
        const INSTANCE_LEN: usize = 10;
        // A definition that is used for the first time follows: next (u32), GUID, size (u32), body.
        const BODY_SIZE_AT: usize = 20;
        const BODY_AT: usize = 24;

        let Pending { at, end, nest, context, depth } = pending;
        let (chunk, data) = (data, data.get(..end).ok_or(Decline::Size)?);
        let mut at = at;
        if bytes::u8(data, at) == Some(FRAGMENT) {
            at += 4;
        }
        if bytes::u8(data, at) != Some(INSTANCE) {
            return Err(Decline::Stream);
        }
        let definition = bytes::u32(data, at + DEFINITION_AT).ok_or(Decline::Size)?;
        at += INSTANCE_LEN;
        if at == index(definition) {
            let size = bytes::u32(data, at + BODY_SIZE_AT).ok_or(Decline::Size)?;
            at = at.checked_add(BODY_AT + index(size)).ok_or(Decline::Size)?;
        }
        let count = index(bytes::u32(data, at).ok_or(Decline::Size)?);
        let size = count.checked_mul(4).ok_or(Decline::Size)?;
        let table = bytes::slice(data, at + 4, size).ok_or(Decline::Size)?;
        let values = at + 4 + size;

        let plan_id = self.interner.plan_at(chunk, definition, context)?;
        let first = self.slots.len();
        let number = u16::try_from(self.instances.len()).map_err(|_| Decline::Limit)?;
        let rest = self.descriptors(data, table, values, plan_id, number, depth)?;
        if !matches!(data.get(rest..), Some([] | [0, ..])) {
            return Err(Decline::Stream);
        }
        let instance = Instance { nest, plan: plan_id, first, end: self.slots.len() };
        let plan = self.interner.plan(plan_id).ok_or(Decline::Limit)?;
        let slots = instance.slots(&self.slots);
        for id in &plan.between_elements {
            let Some(slot) = slots.get(usize::from(*id)) else { continue };
            if slot.ty != BINXML && !slot.is_empty(data) {
                return Err(Decline::Place);
            }
        }
        self.instances.push(instance);
        Ok(plan_id)
    }

    /// Reads a table of descriptors, and says where the values end.
    #[inline]
    fn descriptors(
        &mut self,
        data: &[u8],
        table: &[u8],
        values: usize,
        plan: PlanId,
        number: u16,
        depth: u8,
    ) -> Result<usize, Decline> {
        let mut at = u32::try_from(values).map_err(|_| Decline::Size)?;
        self.slots.reserve(table.len() / 4);
        let mut id = 0u16;
        for descriptor in table.chunks_exact(4) {
            let &[low, high, ty, _] = descriptor else { continue };
            let len = u16::from_le_bytes([low, high]);
            let info = TYPES[usize::from(ty)];
            let fits = if info.size < TypeInfo::ANY {
                len == u16::from(info.size)
            } else {
                info.size == TypeInfo::ANY && len & u16::from(info.align) == 0
            };
            if !fits {
                return Err(Decline::Value);
            }
            let slot = Slot { at, len, ty };
            if info.look {
                self.look(data, slot, plan, Nest { instance: number, slot: id }, depth)?;
            }
            self.slots.push(slot);
            // At most 16 Ki descriptors of 64 KiB each: this cannot wrap.
            at = at.wrapping_add(u32::from(len));
            id = id.wrapping_add(1);
        }
        Ok(index(at))
    }

    /// Looks at a value that its descriptor alone does not answer for.
    fn look(
        &mut self,
        data: &[u8],
        slot: Slot,
        plan: PlanId,
        nest: Nest,
        depth: u8,
    ) -> Result<(), Decline> {
        let plan = self.interner.plan(plan).ok_or(Decline::Limit)?;
        let used = plan.slot(usize::from(nest.slot));
        if slot.ty == BINXML {
            if slot.len == 0 || used.places == 0 {
                return Ok(());
            }
            let (Some(context), 1) = (used.nest, used.places) else { return Err(Decline::Place) };
            let at = index(slot.at);
            let end = at + usize::from(slot.len);
            if end > data.len() {
                return Err(Decline::Size);
            }
            self.pending.push(Pending { nest, context, depth: depth + 1, at, end });
            return Ok(());
        }
        value::check(data, slot)?;
        if used.no_array && slot.is_array() && slot.item_count(data) > 1 {
            return Err(Decline::Place);
        }
        Ok(())
    }
}
