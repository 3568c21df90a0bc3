//! What a record tells of which a template is nowhere: the values without their names.
//!
//! A record's values stand in it with their types, those of the event's System part in one table, those
//! of its data in a table of their own within. Which is which only the templates say. If that of the
//! System part is known, provider, event id, channel and computer are. If not, one thing can still be
//! made out: Windows numbers the System values alike in the templates of all its providers, and a
//! record bears that out if the values have the types of that order, ten of them ([`ORDER`]). Event
//! id, provider and channel then stand at their numbers; they are told as what they are, a reading by
//! place.
//!
//! Such a record is shown and never hunted through: no rule can be asked of values without names, and
//! what a rule does not find in them it may exclude by.
//!
//! Source: [MS-EVEN6] 2.2.12 for instances and types; the numbers are those of the templates in the
//! logs of Windows 7 to 11 (a test compares, 2026-11).

use super::index;
use super::value::{BINXML, Slot, TYPES};
use super::walk::RECORD_HEADER;
use crate::bytes;

/// How deep instances lie in each other: data in an event, and in some what it wraps.
const MAX_DEPTH: usize = 4;

/// The most values of a record: one takes four bytes.
const MAX_VALUES: usize = 16 << 10;

/// The order of Windows' System values, by number and type: level, opcode, task, event id, keywords,
/// time, process, thread, record id, version. (Those between may be Null.)
const ORDER: [(usize, u8); 10] = [
    (0, 0x04),
    (1, 0x04),
    (2, 0x06),
    (EVENT_ID, 0x06),
    (5, 0x15),
    (6, 0x11),
    (8, 0x08),
    (9, 0x08),
    (10, 0x0a),
    (11, 0x04),
];
const EVENT_ID: usize = 3;
/// Text, if they are values; of some providers they stand in the template.
const PROVIDER: usize = 14;
const CHANNEL: usize = 16;
const STRING: u8 = 0x01;

/// The System part, by its template.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outer {
    /// The provider's name.
    pub provider: String,
    /// The event's id.
    pub event_id: String,
    /// The channel.
    pub channel: String,
    /// The computer.
    pub computer: String,
}

/// A value without a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypedValue {
    /// Its type's name.
    pub kind: &'static str,
    /// Whether there are any number of it.
    pub array: bool,
    /// Its text; of an array, one for each item.
    pub texts: Vec<String>,
}

/// The values of a record, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Partial {
    /// The event's id, made out by its place.
    pub event_id: Option<u16>,
    /// The provider, if the event's id was and it is among the values, too.
    pub provider: Option<String>,
    /// The channel, likewise.
    pub channel: Option<String>,
    /// The values of the System part.
    pub system: Vec<TypedValue>,
    /// Those of the data.
    pub data: Vec<TypedValue>,
}

impl Partial {
    /// Reads the values of a whole record; as many as can be read.
    #[must_use]
    pub fn of(record: &[u8]) -> Partial {
        let mut partial = Partial::default();
        let end = record.len().saturating_sub(4);
        let data = record.get(..end).unwrap_or(&[]);
        let Some(slots) = instance(data, RECORD_HEADER) else { return partial };
        let is = |at: usize, ty: u8| {
            slots.get(at).copied().filter(|slot| slot.ty == ty && fits(data, *slot))
        };
        if ORDER.iter().all(|(at, ty)| is(*at, *ty).is_some()) {
            let event_id = is(EVENT_ID, 0x06).and_then(|slot| bytes::u16(data, index(slot.at)));
            let text = |at| is(at, STRING).map(|slot| slot.value(data).to_text());
            partial.event_id = event_id;
            partial.provider = text(PROVIDER).filter(|text| !text.is_empty());
            partial.channel = text(CHANNEL).filter(|text| !text.is_empty());
        }
        let mut nested = Vec::new();
        let mut left = MAX_VALUES;
        take(data, &slots, &mut partial.system, &mut nested, &mut left);
        for _ in 1..MAX_DEPTH {
            for slot in std::mem::take(&mut nested) {
                let end = index(slot.at).saturating_add(usize::from(slot.len));
                let data = data.get(..end).unwrap_or(&[]);
                let Some(slots) = instance(data, index(slot.at)) else { continue };
                take(data, &slots, &mut partial.data, &mut nested, &mut left);
            }
        }
        partial
    }
}

/// Takes values, and those that are instances apart.
fn take(
    data: &[u8],
    slots: &[Slot],
    to: &mut Vec<TypedValue>,
    nested: &mut Vec<Slot>,
    left: &mut usize,
) {
    for slot in slots {
        if *left == 0 {
            return;
        }
        *left -= 1;
        if slot.ty == BINXML {
            nested.push(*slot);
        } else {
            to.push(value(data, *slot));
        }
    }
}

fn value(data: &[u8], slot: Slot) -> TypedValue {
    let mut value = TypedValue { kind: name(slot.ty), array: slot.is_array(), texts: Vec::new() };
    if !fits(data, slot) {
        return value;
    }
    if slot.is_array() {
        slot.items(data, |item| value.texts.push(item.to_text()));
    } else if !slot.is_empty(data) {
        value.texts.push(slot.value(data).to_text());
    }
    value
}

/// Whether a value is what its descriptor says.
fn fits(data: &[u8], slot: Slot) -> bool {
    let info = TYPES[usize::from(slot.ty)];
    let sized = slot.len & info.mask == info.fixed;
    let there = bytes::slice(data, index(slot.at), usize::from(slot.len)).is_some();
    sized
        && there
        && (info.look == 0 || slot.ty == BINXML || super::value::check(data, slot).is_ok())
}

/// The table of the instance at `at`.
fn instance(data: &[u8], mut at: usize) -> Option<Vec<Slot>> {
    const FRAGMENT: u8 = 0x0f;
    const INSTANCE: u8 = 0x0c;
    // The token, a byte, the template's id and its place; if its definition follows, the place of the
    // next one, the GUID, which begins with the id, the size of the body (u32), and the body.
    const ID: usize = 2;
    const DEFINITION: usize = 10;
    const GUID: usize = DEFINITION + 4;
    const BODY_SIZE: usize = DEFINITION + 20;
    const BODY: usize = DEFINITION + 24;
    if bytes::u8(data, at) == Some(FRAGMENT) {
        at = at.checked_add(4)?;
    }
    if bytes::u8(data, at) != Some(INSTANCE) {
        return None;
    }
    let field = |of: usize| bytes::u32(data, at.checked_add(of)?);
    let table = if field(ID)? == field(GUID)? {
        at.checked_add(BODY)?.checked_add(index(field(BODY_SIZE)?))?
    } else {
        at.checked_add(DEFINITION)?
    };
    let count = index(bytes::u32(data, table)?);
    let descriptors = bytes::slice(data, table.checked_add(4)?, count.checked_mul(4)?)?;
    let mut place = table.checked_add(4)?.checked_add(descriptors.len())?;
    let (descriptors, _) = descriptors.as_chunks::<4>();
    let slots = descriptors.iter().map(|[low, high, ty, _]| {
        let (at, len) = (place, u16::from_le_bytes([*low, *high]));
        place = place.saturating_add(usize::from(len));
        Slot { at: u32::try_from(at).unwrap_or(u32::MAX), len, ty: *ty }
    });
    Some(slots.collect())
}

/// What a type is called ([MS-EVEN6] 2.2.12).
fn name(ty: u8) -> &'static str {
    match ty & 0x7f {
        0x00 => "Null",
        0x01 => "String",
        0x02 => "AnsiString",
        0x03 => "Int8",
        0x04 => "UInt8",
        0x05 => "Int16",
        0x06 => "UInt16",
        0x07 => "Int32",
        0x08 => "UInt32",
        0x09 => "Int64",
        0x0a => "UInt64",
        0x0b => "Real32",
        0x0c => "Real64",
        0x0d => "Bool",
        0x0e => "Binary",
        0x0f => "Guid",
        0x10 => "SizeT",
        0x11 => "FileTime",
        0x12 => "SysTime",
        0x13 => "Sid",
        0x14 => "HexInt32",
        0x15 => "HexInt64",
        _ => "unknown",
    }
}
