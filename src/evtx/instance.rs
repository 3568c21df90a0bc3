//! The fast lane: a record's template instances, and where in the chunk their values stand.
//!
//! [`FastLane::prepare`] reads the tables of descriptors of a record's instances, outer and nested, adds
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
use super::known::Templates;
use super::place::Context;
use super::plan::SlotUse;
use super::value::{self, BINXML, Slot, TYPES};
use crate::bytes;
use std::sync::Arc;

/// How deep instances nest; those of Windows are 2 deep (the event, and its EventData or UserData).
const MAX_NESTING: u8 = 8;
/// How many instances a record has; see [`MAX_NESTING`].
const MAX_INSTANCES: usize = 16;

/// A template instance of a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Instance {
    nest: Nest,
    plan: PlanId,
    /// Its values in [`FastLane::slots`].
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
pub(super) struct FastLane {
    pub(super) interner: Interner,
    pub(super) slots: Vec<Slot>,
    pub(super) instances: Vec<Instance>,
    pending: Vec<Pending>,
    /// The values of the instance being read that want a closer look, with their ids.
    looks: Vec<(Slot, u16)>,
    /// Whether all texts of the prepared record's values are UTF-16LE.
    pub(super) utf16_only: bool,
    /// The case's templates, for records whose own are gone.
    pub(super) templates: Option<Arc<Templates>>,
    /// Whether the prepared record was read with one of them.
    pub(super) borrowed: bool,
}

impl FastLane {
    pub(super) fn new() -> FastLane {
        FastLane {
            interner: Interner::new(),
            slots: Vec::new(),
            instances: Vec::new(),
            pending: Vec::new(),
            looks: Vec::new(),
            utf16_only: true,
            templates: None,
            borrowed: false,
        }
    }

    /// Reads the instances of the record whose BinXML is at `at..end` of the chunk. Of a record that
    /// was left over, the definitions may be gone and others in their place: such a one has to be the
    /// definition that the instance names.
    pub(super) fn prepare(
        &mut self,
        data: &[u8],
        at: usize,
        end: usize,
        left_over: bool,
    ) -> Result<Node, Decline> {
        self.prepare_to(data, at, end, left_over, usize::MAX)
    }

    /// The same of a record that was left over, for its outermost instance alone.
    pub(super) fn prepare_outer(
        &mut self,
        data: &[u8],
        at: usize,
        end: usize,
    ) -> Result<Node, Decline> {
        self.prepare_to(data, at, end, true, 1)
    }

    fn prepare_to(
        &mut self,
        data: &[u8],
        at: usize,
        end: usize,
        left_over: bool,
        most: usize,
    ) -> Result<Node, Decline> {
        self.slots.clear();
        self.instances.clear();
        self.pending.clear();
        self.utf16_only = true;
        self.borrowed = false;
        let nest = Nest { instance: 0, slot: 0 };
        self.pending.push(Pending { nest, context: Context::Document, depth: 0, at, end });
        let mut node = Node::ROOT;
        let mut next = 0;
        while let Some(pending) = self.pending.get(next).copied().filter(|_| next < most) {
            next += 1;
            if pending.depth > 0 && self.is_left_out(pending.nest) {
                continue;
            }
            if self.instances.len() >= MAX_INSTANCES || pending.depth > MAX_NESTING {
                return Err(Decline::Limit);
            }
            let plan = self.instance(data, pending, left_over)?;
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
    fn instance(
        &mut self,
        data: &[u8],
        pending: Pending,
        left_over: bool,
    ) -> Result<PlanId, Decline> {
        const FRAGMENT: u8 = 0x0f;
        const INSTANCE: u8 = 0x0c;
        // The token, a byte, the template's id (u32), its definition's offset (u32).
        const ID_AT: usize = 2;
        const DEFINITION_AT: usize = 6;
        const INSTANCE_LEN: usize = 10;
        // A definition that is used for the first time follows: next (u32), GUID, size (u32), body.
        const GUID_AT: usize = 4;
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
        // Windows makes the id of the first four bytes of the GUID.
        let mut gone = None;
        if left_over {
            let id = bytes::u32(data, at + ID_AT).ok_or(Decline::Size)?;
            let guid = |at: usize| bytes::u32(chunk, at.saturating_add(GUID_AT));
            let named = Some(id) == guid(index(definition));
            // Its own definition follows, and not where it says: the chunk began elsewhere.
            let follows = at + INSTANCE_LEN;
            let moved = Some(id) == guid(follows) && follows != index(definition);
            if !named || moved || !self.interner.is_sound(chunk, definition) {
                gone = Some((id, Some(id) == guid(follows)));
            }
        }
        at += INSTANCE_LEN;
        let inline = gone.map_or(at == index(definition), |(_, inline)| inline);
        if inline {
            let size = bytes::u32(data, at + BODY_SIZE_AT).ok_or(Decline::Size)?;
            at = index(size).checked_add(at + BODY_AT).ok_or(Decline::Size)?;
        }
        let count = index(bytes::u32(data, at).ok_or(Decline::Size)?);
        let size = count.checked_mul(4).ok_or(Decline::Size)?;
        let table = bytes::slice(data, at + 4, size).ok_or(Decline::Size)?;
        let values = at + 4 + size;

        let plan_id = match gone {
            None => self.interner.plan_at(chunk, definition, context)?,
            Some((id, _)) => {
                self.borrowed = true;
                let templates = self.templates.as_deref().ok_or(Decline::Stale)?;
                self.interner.plan_known(templates, id, context, count)?
            }
        };
        let first = self.slots.len();
        let rest = self.descriptors(table, values)?;
        if !matches!(data.get(rest..), Some([] | [0, ..])) {
            return Err(Decline::Stream);
        }
        let instance = Instance { nest, plan: plan_id, first, end: self.slots.len() };
        let plan = self.interner.plan(plan_id).ok_or(Decline::Limit)?;
        let number = u16::try_from(self.instances.len()).map_err(|_| Decline::Limit)?;
        for &(slot, id) in &self.looks {
            self.utf16_only &= !slot.is_ansi();
            let nest = Nest { instance: number, slot: id };
            if let Some(context) = look(data, slot, plan.slot(usize::from(id)))? {
                let at = index(slot.at);
                let end = at + usize::from(slot.len);
                self.pending.push(Pending { nest, context, depth: depth + 1, at, end });
            }
        }
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
    fn descriptors(&mut self, table: &[u8], values: usize) -> Result<usize, Decline> {
        let first = self.slots.len();
        self.slots.resize(first + table.len() / 4, Slot::NULL);
        let (Some(slots), Ok(mut at)) = (self.slots.get_mut(first..), u32::try_from(values)) else {
            return Err(Decline::Size);
        };
        self.looks.clear();
        let mut fit = true;
        let descriptors = table.as_chunks::<4>().0;
        for (id, (slot, descriptor)) in slots.iter_mut().zip(descriptors).enumerate() {
            // Size (u16), type (u8), nothing.
            let descriptor = u32::from_le_bytes(*descriptor);
            let (len, ty) = (descriptor as u16, (descriptor >> 16) as u8);
            let info = TYPES[usize::from(ty)];
            fit &= len & info.mask == info.fixed;
            *slot = Slot { at, len, ty };
            if info.look != 0 {
                self.looks.push((*slot, u16::try_from(id).unwrap_or(u16::MAX)));
            }
            // At most 16 Ki descriptors of 64 KiB each: this cannot wrap.
            at = at.wrapping_add(u32::from(len));
        }
        if !fit {
            return Err(Decline::Value);
        }
        Ok(index(at))
    }
}

/// Looks at a value that its descriptor alone does not answer for, and says what surrounds it if it is
/// an instance of another template that is to be read.
fn look(data: &[u8], slot: Slot, used: SlotUse) -> Result<Option<Context>, Decline> {
    if slot.ty == BINXML {
        if slot.len == 0 || used.places == 0 {
            return Ok(None);
        }
        return match used.nest {
            Some(context) if used.places == 1 => Ok(Some(context)),
            _ => Err(Decline::Place),
        };
    }
    value::check(data, slot)?;
    if used.no_array && slot.is_array() && slot.item_count(data) > 1 {
        return Err(Decline::Place);
    }
    Ok(None)
}
