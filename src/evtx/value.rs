//! The values that a template instance carries: their types, and how one becomes a [`Value`].
//!
//! An instance is a table of descriptors (size and type) followed by the values themselves. What a
//! type's size may be is checked once, when the table is read ([`TypeInfo`]); whatever the `evtx`
//! crate would read differently from what the table says (a fixed type with another size, an array
//! that does not end where its size does, text in an ANSI code page) is [`Decline`]d there, so that
//! reading a value later cannot fail.
//!
//! Source: [MS-EVEN6] 2.2.12 (types), 3.1.4.7.5 (arrays); what Windows renders, by way of the `evtx`
//! crate, for SizeT (hexadecimal) and for Booleans other than 0 and 1 (numbers).

use super::Decline;
use super::index;
use crate::bytes;
use crate::event::Value;

/// The types that are no plain scalars.
pub(super) const NULL: u8 = 0x00;
const STRING: u8 = 0x01;
const ANSI_STRING: u8 = 0x02;
const BOOL: u8 = 0x0d;
const SIZE_T: u8 = 0x10;
const SID: u8 = 0x13;
pub(super) const BINXML: u8 = 0x21;
/// Marks an array of the type in the other bits.
const ARRAY: u8 = 0x80;

/// One value of an instance: where it stands in the chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) at: u32,
    pub(super) len: u16,
    pub(super) ty: u8,
}

/// What the descriptor of a type has to look like: `size & mask == fixed`.
#[derive(Clone, Copy)]
pub(super) struct TypeInfo {
    pub(super) mask: u16,
    pub(super) fixed: u16,
    /// Whether [`check`] has to look at the value itself, or the value may hold elements. (A wide
    /// flag makes an entry eight bytes, which index fastest.)
    pub(super) look: u32,
}

impl TypeInfo {
    /// No size fits: the type is not known.
    const UNKNOWN: TypeInfo = TypeInfo { mask: 0, fixed: 1, look: 0 };
    const ANY: TypeInfo = TypeInfo { mask: 0, fixed: 0, look: 0 };
    const EVEN: TypeInfo = TypeInfo { mask: 1, fixed: 0, look: 0 };
    const LOOK: TypeInfo = TypeInfo { mask: 0, fixed: 0, look: 1 };

    const fn fixed(size: u16) -> TypeInfo {
        TypeInfo { mask: u16::MAX, fixed: size, look: 0 }
    }
}

/// The descriptors by type. Types that are missing here have no rendering in Windows' XML that the
/// `evtx` crate knows (handles, EvtXml, arrays of binary data and of SizeT).
pub(super) const TYPES: [TypeInfo; 256] = {
    let mut t = [TypeInfo::UNKNOWN; 256];
    t[0x00] = TypeInfo::ANY;
    t[0x01] = TypeInfo::EVEN;
    t[0x02] = TypeInfo::LOOK;
    t[0x03] = TypeInfo::fixed(1);
    t[0x04] = TypeInfo::fixed(1);
    t[0x05] = TypeInfo::fixed(2);
    t[0x06] = TypeInfo::fixed(2);
    t[0x07] = TypeInfo::fixed(4);
    t[0x08] = TypeInfo::fixed(4);
    t[0x09] = TypeInfo::fixed(8);
    t[0x0a] = TypeInfo::fixed(8);
    t[0x0b] = TypeInfo::fixed(4);
    t[0x0c] = TypeInfo::fixed(8);
    t[0x0d] = TypeInfo::fixed(4);
    t[0x0e] = TypeInfo::ANY;
    t[0x0f] = TypeInfo::fixed(16);
    t[0x10] = TypeInfo::LOOK;
    t[0x11] = TypeInfo::fixed(8);
    t[0x12] = TypeInfo::fixed(16);
    t[0x13] = TypeInfo::LOOK;
    t[0x14] = TypeInfo::fixed(4);
    t[0x15] = TypeInfo::fixed(8);
    t[0x21] = TypeInfo::LOOK;
    let mut ty = 0x81;
    while ty <= 0x95 {
        if ty != 0x8e && ty != 0x90 {
            t[ty] = TypeInfo::LOOK;
        }
        ty += 1;
    }
    t
};

/// The size of an array's items, 0 if they have no fixed one.
fn item_size(ty: u8) -> usize {
    let info = TYPES[usize::from(ty & !ARRAY)];
    if info.mask == u16::MAX { usize::from(info.fixed) } else { 0 }
}

/// The size that a SID says it has.
fn sid_len(raw: &[u8]) -> Option<usize> {
    Some(8 + 4 * usize::from(bytes::u8(raw, 1)?))
}

/// Whether the value can be read as what its descriptor says. Only for types with
/// [`TypeInfo::look`] other than [`BINXML`].
pub(super) fn check(data: &[u8], slot: Slot) -> Result<(), Decline> {
    let raw = bytes::slice(data, index(slot.at), usize::from(slot.len)).ok_or(Decline::Size)?;
    let ok = match slot.ty {
        ANSI_STRING => ansi(raw).is_some(),
        SIZE_T => matches!(raw.len(), 4 | 8),
        SID => sid_len(raw) == Some(raw.len()),
        0x81 => raw.is_empty() || (raw.len() % 2 == 0 && raw.ends_with(&[0, 0])),
        0x82 => raw.is_ascii(),
        0x93 => {
            let mut rest = raw;
            while let Some(next) = sid_len(rest).and_then(|len| rest.get(len..)) {
                rest = next;
            }
            rest.is_empty()
        }
        ty if ty & ARRAY != 0 => {
            let size = item_size(ty);
            size != 0 && raw.len() % size == 0
        }
        _ => true,
    };
    if ok { Ok(()) } else { Err(Decline::Value) }
}

/// ANSI text that is the same in every code page: ASCII. The crate drops NULs, so those at the end
/// go and others are not for the fast lane.
fn ansi(raw: &[u8]) -> Option<&str> {
    let end = raw.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
    let text = raw.get(..end)?;
    if !text.is_ascii() || text.contains(&0) {
        return None;
    }
    std::str::from_utf8(text).ok()
}

impl Slot {
    /// NullType.
    pub(super) const NULL: Slot = Slot { at: 0, len: 0, ty: NULL };

    /// Whether it is text in an ANSI code page, or an array of such.
    pub(super) fn is_ansi(self) -> bool {
        self.ty & !ARRAY == ANSI_STRING
    }

    /// Whether it is an array.
    pub(super) fn is_array(self) -> bool {
        self.ty & ARRAY != 0
    }

    /// Whether it is NullType, on which elements can depend: an embedded fragment without bytes is
    /// one too.
    #[inline]
    pub(super) fn is_null(self) -> bool {
        self.ty == NULL || (self.ty == BINXML && self.len == 0)
    }

    /// Whether it renders to nothing.
    #[inline]
    pub(super) fn is_empty(self, data: &[u8]) -> bool {
        self.len == 0
            || self.ty == NULL
            || (self.ty == STRING && bytes::u16(data, index(self.at)) == Some(0))
            || (self.ty == ANSI_STRING
                && bytes::slice(data, index(self.at), usize::from(self.len))
                    .is_some_and(|raw| raw.iter().all(|b| *b == 0)))
    }

    /// The value; of an array, its only item. Arrays with more are [`Slot::items`].
    #[inline(always)]
    pub(super) fn value(self, data: &[u8]) -> Value<'_> {
        let Some(raw) = bytes::slice(data, index(self.at), usize::from(self.len)) else {
            return Value::Empty;
        };
        if self.is_array() {
            let mut first = None;
            self.items(data, |item| first = first.or(Some(item)));
            return first.unwrap_or(Value::Empty);
        }
        scalar(self.ty, raw).unwrap_or(Value::Empty)
    }

    /// Visits the items of an array in order; one empty value if there are none, for the element is
    /// there all the same.
    #[cold]
    pub(super) fn items<'d>(self, data: &'d [u8], mut visit: impl FnMut(Value<'d>)) {
        let raw = bytes::slice(data, index(self.at), usize::from(self.len)).unwrap_or(&[]);
        if raw.is_empty() {
            visit(Value::Empty);
            return;
        }
        match self.ty {
            0x81 => {
                let mut rest = raw;
                while !rest.is_empty() {
                    let end = rest.chunks_exact(2).position(|unit| unit == [0, 0]);
                    let (item, next) = rest
                        .split_at_checked(end.map_or(rest.len(), |n| 2 * n))
                        .unwrap_or((rest, &[]));
                    visit(Value::Utf16(item));
                    rest = next.get(2..).unwrap_or(&[]);
                }
            }
            0x82 => {
                let raw = raw.strip_suffix(&[0]).unwrap_or(raw);
                for item in raw.split(|b| *b == 0) {
                    visit(Value::Text(std::str::from_utf8(item).unwrap_or_default()));
                }
            }
            0x93 => {
                let mut rest = raw;
                while let Some((item, next)) =
                    sid_len(rest).and_then(|len| rest.split_at_checked(len))
                {
                    visit(Value::Sid(item));
                    rest = next;
                }
            }
            // One that is neither 0 nor 1 makes numbers of all of them.
            0x8d => {
                let words = || raw.chunks_exact(4).filter_map(|w| bytes::u32(w, 0));
                let truth = words().all(|w| w <= 1);
                words().for_each(|w| {
                    visit(if truth {
                        Value::Bool(w == 1)
                    } else {
                        Value::Signed(i64::from(w as i32))
                    });
                });
            }
            ty => {
                for item in raw.chunks_exact(item_size(ty).max(1)) {
                    visit(scalar(ty & !ARRAY, item).unwrap_or(Value::Empty));
                }
            }
        }
    }

    /// How many items an array has.
    pub(super) fn item_count(self, data: &[u8]) -> usize {
        let mut count = 0;
        self.items(data, |_| count += 1);
        count
    }
}

/// The value of a scalar type.
#[inline(always)]
fn scalar(ty: u8, raw: &[u8]) -> Option<Value<'_>> {
    Some(match ty {
        STRING => Value::Utf16(raw),
        ANSI_STRING => Value::Text(ansi(raw)?),
        0x03 => Value::Signed(i64::from(i8::from_le_bytes(bytes::array(raw, 0)?))),
        0x04 => Value::Unsigned(u64::from(bytes::u8(raw, 0)?)),
        0x05 => Value::Signed(i64::from(i16::from_le_bytes(bytes::array(raw, 0)?))),
        0x06 => Value::Unsigned(u64::from(bytes::u16(raw, 0)?)),
        0x07 => Value::Signed(i64::from(i32::from_le_bytes(bytes::array(raw, 0)?))),
        0x08 => Value::Unsigned(u64::from(bytes::u32(raw, 0)?)),
        0x09 => Value::Signed(i64::from_le_bytes(bytes::array(raw, 0)?)),
        0x0a => Value::Unsigned(bytes::u64(raw, 0)?),
        0x0b => Value::Float32(f32::from_le_bytes(bytes::array(raw, 0)?)),
        0x0c => Value::Float64(f64::from_le_bytes(bytes::array(raw, 0)?)),
        BOOL => match bytes::u32(raw, 0)? {
            0 => Value::Bool(false),
            1 => Value::Bool(true),
            other => Value::Signed(i64::from(other as i32)),
        },
        0x0e => Value::Binary(raw),
        0x0f => Value::Guid(raw.first_chunk()?),
        SIZE_T if raw.len() == 4 => Value::Hex(u64::from(bytes::u32(raw, 0)?)),
        SIZE_T | 0x15 => Value::Hex(bytes::u64(raw, 0)?),
        0x11 => Value::FileTime(bytes::u64(raw, 0)?),
        0x12 => Value::SystemTime(raw.first_chunk()?),
        SID => Value::Sid(raw),
        0x14 => Value::Hex(u64::from(bytes::u32(raw, 0)?)),
        _ => return None,
    })
}
