//! A record as the rest of Harrier sees it, whichever lane read it.

use super::Decline;
use super::instance::Instance;
use super::intern::{Depends, Make, PlaceSource};
use super::plan::{MAX_PARTS, Part};
use super::render::{self, Format};
use super::slow::SlowEvent;
use super::value::Slot;
use super::walk::{Found, State};
use crate::event::{Event, Layout, LeafId, Value};
use std::sync::Arc;

/// Which lane read a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Values are read where they stand in the chunk.
    Fast,
    /// The `evtx` crate rendered the record.
    Slow,
}

/// A record. What it borrows lasts for the call of the sink alone.
#[derive(Clone, Copy)]
pub enum Record<'a> {
    /// Read by the fast lane.
    Fast(Fast<'a>),
    /// Read by the slow lane.
    Slow(Slow<'a>),
}

/// Where a record is, and what its header says.
#[derive(Clone, Copy)]
pub(super) struct Meta<'a> {
    pub(super) slot: u64,
    pub(super) slot_offset: u64,
    pub(super) found: Found,
    /// As much of the chunk as was read.
    pub(super) chunk: &'a [u8],
}

/// A record of the fast lane.
#[derive(Clone, Copy)]
pub struct Fast<'a> {
    pub(super) meta: Meta<'a>,
    pub(super) make: &'a Make,
    pub(super) instances: &'a [Instance],
    pub(super) slots: &'a [Slot],
    /// Whether all texts of its values are UTF-16LE.
    pub(super) utf16_only: bool,
    /// Whether a template of it is that of another chunk.
    pub(super) borrowed: bool,
}

/// A record of the slow lane.
#[derive(Clone, Copy)]
pub struct Slow<'a> {
    pub(super) meta: Meta<'a>,
    pub(super) event: &'a SlowEvent,
    pub(super) declined: Decline,
}

impl<'a> Record<'a> {
    fn meta(&self) -> &Meta<'a> {
        match self {
            Record::Fast(record) => &record.meta,
            Record::Slow(record) => &record.meta,
        }
    }

    pub(super) fn found(&self) -> Found {
        self.meta().found
    }

    /// The slot of its chunk in the source.
    #[must_use]
    pub fn chunk(&self) -> u64 {
        self.meta().slot
    }

    /// Where it stands in the source.
    #[must_use]
    pub fn offset(&self) -> u64 {
        // What is left of a chunk may have lost its front, which would lie before its source.
        self.meta().slot_offset.wrapping_add(u64::from(self.meta().found.at))
    }

    /// Its size in bytes.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.meta().found.size
    }

    /// The id in its header; the event's own `EventRecordID` can be another in logs that were
    /// exported or merged.
    #[must_use]
    pub fn header_record_id(&self) -> u64 {
        self.meta().found.id
    }

    /// The time in its header, a FILETIME: when it was written, not when the event was.
    #[must_use]
    pub fn header_time(&self) -> u64 {
        self.meta().found.time
    }

    /// Whether it belongs to the log or was left over.
    #[must_use]
    pub fn state(&self) -> State {
        self.meta().found.state
    }

    /// Which lane read it.
    #[must_use]
    pub fn lane(&self) -> Lane {
        match self {
            Record::Fast(_) => Lane::Fast,
            Record::Slow(_) => Lane::Slow,
        }
    }

    /// Whether it was read with a template of another chunk, its own being gone: it cannot be rendered.
    #[must_use]
    pub fn is_borrowed(&self) -> bool {
        matches!(self, Record::Fast(record) if record.borrowed)
    }

    /// Why the fast lane did not read it.
    #[must_use]
    pub fn declined(&self) -> Option<Decline> {
        match self {
            Record::Fast(_) => None,
            Record::Slow(record) => Some(record.declined),
        }
    }

    /// Its bytes, header included.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        let Meta { found, chunk, .. } = self.meta();
        let at = super::index(found.at);
        crate::bytes::slice(chunk, at, super::index(found.size)).unwrap_or(&[])
    }

    /// Renders it with the `evtx` crate, which takes some tens of microseconds: for hits.
    ///
    /// # Errors
    /// Says why the crate cannot render it.
    pub fn render(&self, format: Format) -> Result<String, String> {
        if self.is_borrowed() {
            return Err("its template is not in its chunk any more".to_owned());
        }
        render::one(self.meta().chunk, self.meta().found, format)
    }

    /// The bytes of its chunk, as far as they were read, which hold the templates that it is made of,
    /// and where in them it stands.
    #[must_use]
    pub fn in_chunk(&self) -> (&'a [u8], u32) {
        (self.meta().chunk, self.meta().found.at)
    }
}

impl Event for Record<'_> {
    fn layout(&self) -> &Arc<Layout> {
        match self {
            Record::Fast(record) => &record.make.layout,
            Record::Slow(record) => record.event.layout(),
        }
    }

    fn is_verbatim(&self) -> bool {
        match self {
            Record::Fast(record) => record.utf16_only && record.make.verbatim,
            Record::Slow(_) => false,
        }
    }

    #[inline]
    fn values<F: FnMut(Value<'_>)>(&self, leaf: LeafId, visit: F) {
        match self {
            Record::Fast(record) => record.values(leaf, visit),
            Record::Slow(record) => record.event.values(leaf, visit),
        }
    }
}

impl Fast<'_> {
    #[inline]
    fn values<F: FnMut(Value<'_>)>(&self, leaf: LeafId, mut visit: F) {
        let Some(place) = self.make.places.get(leaf.index()) else { return };
        let Some(instance) = self.instances.get(usize::from(place.instance)) else { return };
        let slots = instance.slots(self.slots);
        let data = self.meta.chunk;
        let null = |id: u16| slots.get(usize::from(id)).is_some_and(|slot| slot.is_null());
        let absent = match place.depends {
            Depends::Never => false,
            Depends::On(id) => null(id),
            Depends::OnAll(number) => {
                let all = self.make.dependencies.get(usize::from(number));
                all.is_some_and(|all| all.iter().any(|id| null(*id)))
            }
        };
        if absent {
            return;
        }
        // What is rare comes by a way of its own, so that what is done with a value stands in one place
        // for nearly all of them.
        let value = match place.source {
            PlaceSource::Slot(id) => match slots.get(usize::from(id)) {
                Some(slot) if place.attribute && slot.is_empty(data) => return,
                Some(slot) if slot.is_array() => return slot.items(data, visit),
                Some(slot) => slot.value(data),
                None if place.attribute => return,
                // A substitution beyond the values is as good as none.
                None => Value::Empty,
            },
            PlaceSource::Empty => Value::Empty,
            PlaceSource::Literal(number) => {
                let text = self.make.literals.get(usize::from(number));
                text.map_or(Value::Empty, |text| Value::Text(text))
            }
            PlaceSource::Parts(number) => return self.parts(number, slots, place.attribute, visit),
        };
        visit(value);
    }

    /// A value that is put together.
    #[cold]
    fn parts<F: FnMut(Value<'_>)>(
        &self,
        number: u16,
        slots: &[Slot],
        attribute: bool,
        mut visit: F,
    ) {
        let data = self.meta.chunk;
        let parts = self.make.parts.get(usize::from(number)).map_or(&[][..], |parts| parts);
        let mut values = [Value::Empty; MAX_PARTS];
        let mut empty = true;
        for (value, part) in values.iter_mut().zip(parts) {
            *value = match part {
                Part::Literal(text) => Value::Text(text),
                Part::Slot(id) => match slots.get(usize::from(*id)) {
                    Some(slot) if !slot.is_empty(data) => slot.value(data),
                    _ => Value::Empty,
                },
            };
            empty &= *value == Value::Empty;
        }
        if !(empty && attribute) {
            visit(Value::Parts(values.get(..parts.len()).unwrap_or(&values)));
        }
    }
}
