//! A record of the file table and its attributes.
//!
//! The last two bytes of every 512 are replaced by a check value when a record is written, whatever
//! the size of the disk's sectors; the originals stand in the update sequence array. Where the check
//! values differ, the record was torn: half of it is older than the rest.
//!
//! Layout as in the Linux NTFS documentation (`FILE record`, `Attribute`).

use crate::bytes;

/// The stride of the check values.
const STRIDE: usize = 512;

/// The end of a record's attributes.
const END: u32 = 0xffff_ffff;

/// How many attributes a record can have: each takes 24 bytes at least, records 64 KiB at most.
const MAX_ATTRIBUTES: usize = 64 * 1024 / 24;

/// Types of attributes.
pub(super) mod kind {
    pub(in super::super) const ATTRIBUTE_LIST: u32 = 0x20;
    pub(in super::super) const FILE_NAME: u32 = 0x30;
    pub(in super::super) const DATA: u32 = 0x80;
    pub(in super::super) const REPARSE_POINT: u32 = 0xc0;
}

/// A file reference: the number of a record, and how often that was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Reference {
    pub(super) record: u64,
    pub(super) sequence: u16,
}

impl Reference {
    pub(super) fn read(data: &[u8], at: usize) -> Option<Reference> {
        let raw = bytes::u64(data, at)?;
        let sequence = bytes::u16(data, at.checked_add(6)?)?;
        Some(Reference { record: raw & 0xffff_ffff_ffff, sequence })
    }
}

/// What the bytes of a record are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fixed {
    /// A record, now as it was before it was written.
    Sound,
    /// Never used.
    Blank,
    /// No whole record.
    Torn,
}

/// Puts the originals in the place of the check values.
pub(super) fn fix_up(record: &mut [u8]) -> Fixed {
    if bytes::slice(record, 0, 4) != Some(b"FILE") {
        let blank = record.iter().all(|b| *b == 0);
        return if blank { Fixed::Blank } else { Fixed::Torn };
    }
    put_back(record).map_or(Fixed::Torn, |()| Fixed::Sound)
}

fn put_back(record: &mut [u8]) -> Option<()> {
    let array = usize::from(bytes::u16(record, 4)?);
    let count = usize::from(bytes::u16(record, 6)?);
    if count != record.len() / STRIDE + 1 || array % 2 != 0 {
        return None;
    }
    let check = bytes::array::<2>(record, array)?;
    for n in 1..count {
        let original = bytes::array::<2>(record, array + 2 * n)?;
        let place = record.get_mut(n * STRIDE - 2..n * STRIDE)?;
        if *place != check {
            return None;
        }
        place.copy_from_slice(&original);
    }
    Some(())
}

/// A sound record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'r> {
    data: &'r [u8],
    pub(super) sequence: u16,
    pub(super) in_use: bool,
    pub(super) is_folder: bool,
    /// The record that this one continues, if it is no file's first.
    pub(super) base: Option<Reference>,
}

impl<'r> Record<'r> {
    pub(super) fn read(data: &'r [u8]) -> Option<Record<'r>> {
        let flags = bytes::u16(data, 22)?;
        let base = Reference::read(data, 32)?;
        Some(Record {
            data,
            sequence: bytes::u16(data, 16)?,
            in_use: flags & 1 != 0,
            is_folder: flags & 2 != 0,
            base: (base.record != 0 || base.sequence != 0).then_some(base),
        })
    }

    /// Its attributes, as far as they are whole.
    pub(super) fn attributes(&self) -> impl Iterator<Item = Attribute<'r>> + use<'r> {
        let data = self.data;
        let mut at = bytes::u16(data, 20).map_or(usize::MAX, usize::from);
        std::iter::from_fn(move || {
            let attribute = Attribute::read(data, at)?;
            at = at.checked_add(attribute.data.len())?;
            Some(attribute)
        })
        .take(MAX_ATTRIBUTES)
    }
}

/// An attribute of a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attribute<'r> {
    data: &'r [u8],
    pub(super) kind: u32,
    /// Whether it is a named one of its kind, as alternate data streams are.
    pub(super) is_named: bool,
    pub(super) flags: u16,
    resident: bool,
}

/// Where an attribute's value stands that is not in the record.
#[derive(Debug, Clone, Copy)]
pub(super) struct NonResident<'r> {
    pub(super) start_vcn: u64,
    /// The list of runs.
    pub(super) runs: &'r [u8],
    /// A unit of compression is two to this power clusters; 0 if there is none.
    pub(super) unit: u16,
    pub(super) size: u64,
    pub(super) valid: u64,
}

/// Flags of an attribute.
const COMPRESSED: u16 = 0x00ff;
pub(super) const ENCRYPTED: u16 = 0x4000;

impl<'r> Attribute<'r> {
    /// Whether its value is compressed.
    pub(super) fn is_compressed(&self) -> bool {
        self.flags & COMPRESSED != 0
    }

    /// Whether its clusters hold something else than its value.
    pub(super) fn is_packed(&self) -> bool {
        self.is_compressed() || self.flags & ENCRYPTED != 0
    }

    fn read(data: &'r [u8], at: usize) -> Option<Attribute<'r>> {
        let kind = bytes::u32(data, at)?;
        let len = usize::try_from(bytes::u32(data, at.checked_add(4)?)?).ok()?;
        if kind == END || kind == 0 || len < 24 {
            return None;
        }
        let data = bytes::slice(data, at, len)?;
        Some(Attribute {
            data,
            kind,
            is_named: bytes::u8(data, 9)? != 0,
            flags: bytes::u16(data, 12)?,
            resident: bytes::u8(data, 8)? == 0,
        })
    }

    /// Its value, if that is in the record.
    pub(super) fn value(&self) -> Option<&'r [u8]> {
        let len = usize::try_from(bytes::u32(self.data, 16)?).ok()?;
        let at = usize::from(bytes::u16(self.data, 20)?);
        bytes::slice(self.data, at, len).filter(|_| self.resident)
    }

    /// Where its value is, if not in the record.
    pub(super) fn non_resident(&self) -> Option<NonResident<'r>> {
        if self.resident {
            return None;
        }
        let runs = usize::from(bytes::u16(self.data, 32)?);
        let start_vcn = bytes::u64(self.data, 16)?;
        Some(NonResident {
            start_vcn,
            runs: self.data.get(runs..)?,
            unit: bytes::u16(self.data, 34)?,
            size: bytes::u64(self.data, 48)?,
            valid: bytes::u64(self.data, 56)?,
        })
    }
}

/// A file's name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileName {
    pub(super) parent: Reference,
    pub(super) name: String,
    /// 0 POSIX, 1 Win32, 2 DOS, 3 Win32 and DOS.
    namespace: u8,
}

impl FileName {
    pub(super) fn read(value: &[u8]) -> Option<FileName> {
        let parent = Reference::read(value, 0)?;
        // Without a name it is no name: nothing could be called by it.
        let units = Some(usize::from(bytes::u8(value, 64)?)).filter(|units| *units > 0)?;
        let namespace = bytes::u8(value, 65)?;
        let units = bytes::slice(value, 66, units.checked_mul(2)?)?;
        let units = units.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
        let name = char::decode_utf16(units)
            .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
            // No name of Windows has them; as parts of a path they would make another path.
            .map(|c| if matches!(c, '/' | '\\' | '\0') { char::REPLACEMENT_CHARACTER } else { c })
            .collect();
        Some(FileName { parent, name, namespace })
    }

    /// Whether it is shown rather than `other`: the short name of DOS comes last.
    pub(super) fn is_better_than(&self, other: &FileName) -> bool {
        self.namespace != 2 && other.namespace == 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_values_are_put_back_or_the_record_is_torn() {
        let mut record = vec![0; 1024];
        assert_eq!(fix_up(&mut record), Fixed::Blank);
        record[..4].copy_from_slice(b"FILE");
        record[4..8].copy_from_slice(&[48, 0, 3, 0]);
        record[48..54].copy_from_slice(&[7, 7, 1, 2, 3, 4]);
        record[510..512].copy_from_slice(&[7, 7]);
        let mut torn = record.clone();
        assert_eq!(fix_up(&mut torn), Fixed::Torn);
        record[1022..].copy_from_slice(&[7, 7]);
        let written = record.clone();
        assert_eq!(fix_up(&mut record), Fixed::Sound);
        assert_eq!((&record[510..512], &record[1022..]), (&[1, 2][..], &[3, 4][..]));
        for at in [4, 5, 6, 7, 48, 510, 1023] {
            let mut broken = written.clone();
            broken[at] ^= 0xff;
            assert_eq!(fix_up(&mut broken), Fixed::Torn, "{at}");
        }
        let mut garbage = vec![1; 1024];
        assert_eq!(fix_up(&mut garbage), Fixed::Torn);
    }

    #[test]
    fn a_name_is_no_path() {
        let mut value = vec![0; 66];
        value[64] = 3;
        value.extend("a/b".encode_utf16().flat_map(u16::to_le_bytes));
        assert_eq!(FileName::read(&value).unwrap().name, "a\u{FFFD}b");
        value.pop();
        assert_eq!(FileName::read(&value), None);
        value[64] = 0;
        assert_eq!(FileName::read(&value), None, "of no letters");
    }
}
