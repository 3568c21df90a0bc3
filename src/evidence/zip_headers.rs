//! The headers of a zip archive: reading those in front of members, and writing a directory of them.
//!
//! Source of facts: PKWARE's APPNOTE.TXT 6.3, the sections named below; the field of WinZip's AES is
//! theirs ("AES Encryption Information", 0x9901).

use crate::bytes::{self, ReadAt};
use std::io;

/// 4.3.7
pub(super) const LOCAL: [u8; 4] = *b"PK\x03\x04";
/// 4.3.9.3
pub(super) const DESCRIPTOR: [u8; 4] = *b"PK\x07\x08";
/// 4.3.12
pub(super) const CENTRAL: [u8; 4] = *b"PK\x01\x02";
/// 4.3.16
pub(super) const END: [u8; 4] = *b"PK\x05\x06";
/// 4.3.14
pub(super) const END_64: [u8; 4] = *b"PK\x06\x06";
/// 4.3.15
pub(super) const LOCATOR_64: [u8; 4] = *b"PK\x06\x07";
/// 4.3.11
const EXTRA_DATA: [u8; 4] = *b"PK\x06\x08";

/// 4.4.5, those that occur, and 99 for WinZip's AES.
const METHODS: &[u16] = &[0, 1, 2, 3, 4, 5, 6, 8, 9, 12, 14, 93, 94, 95, 98, 99];

/// 4.4.4: a descriptor behind the content has the sizes; encrypted; the name is UTF-8.
pub(super) const BY_DESCRIPTOR: u16 = 1 << 3;
pub(super) const ENCRYPTED: u16 = 1;

/// 4.4.5
pub(super) const STORED: u16 = 0;
pub(super) const DEFLATED: u16 = 8;

/// The longest name that is believed where a header stands that nobody expected.
const LONG_NAME: usize = 1024;

/// What stands in front of a member.
#[derive(Debug, Clone)]
pub(super) struct Local {
    /// Where it begins.
    pub(super) at: u64,
    pub(super) flags: u16,
    pub(super) method: u16,
    time: u16,
    date: u16,
    pub(super) crc: u32,
    pub(super) packed: u64,
    pub(super) size: u64,
    pub(super) name: Vec<u8>,
    /// The extra fields that the directory has to have, too.
    extra: Vec<u8>,
    /// Where the content begins.
    pub(super) content: u64,
}

/// The bytes at a place, if they all are there.
pub(super) fn read<const N: usize>(source: &dyn ReadAt, at: u64) -> io::Result<Option<[u8; N]>> {
    let mut buf = [0; N];
    Ok((bytes::read_full(source, at, &mut buf)? == N).then_some(buf))
}

/// Whether a header or a record of an archive begins here.
pub(super) fn is_signature(start: [u8; 4]) -> bool {
    [LOCAL, DESCRIPTOR, CENTRAL, END, END_64, LOCATOR_64, EXTRA_DATA].contains(&start)
}

impl Local {
    /// The header at a place, if one is there. Where nobody expected one (`strict`), it has to make
    /// sense.
    pub(super) fn read(source: &dyn ReadAt, at: u64, strict: bool) -> io::Result<Option<Local>> {
        let Some(fixed) = read::<30>(source, at)? else { return Ok(None) };
        if fixed.first_chunk() != Some(&LOCAL) {
            return Ok(None);
        }
        let short = |at| bytes::u16(&fixed, at).unwrap_or(0);
        let long = |at| bytes::u32(&fixed, at).unwrap_or(0);
        let (version, flags, method) = (short(4), short(6), short(8));
        let (name_length, extra_length) = (usize::from(short(26)), usize::from(short(28)));
        let mut variable = vec![0; name_length + extra_length];
        if bytes::read_full(source, at + 30, &mut variable)? < variable.len() {
            return Ok(None);
        }
        let (name, extra) = variable.split_at(name_length);
        // 4.4.3: 6.3 is the highest version there is. 4.4.4: bits 7 to 10 are unused.
        let sense = version & 0xff <= 63
            && flags & 0x0780 == 0
            && METHODS.contains(&method)
            && (1..=LONG_NAME).contains(&name_length)
            && !name.iter().any(|byte| *byte < 0x20);
        if strict && !sense {
            return Ok(None);
        }
        let mut local = Local {
            at,
            flags,
            method,
            time: short(10),
            date: short(12),
            crc: long(14),
            packed: long(18).into(),
            size: long(22).into(),
            name: name.to_vec(),
            extra: Vec::new(),
            content: at + 30 + variable.len() as u64,
        };
        local.take(extra);
        Ok(Some(local))
    }

    /// Takes what is in extra fields (4.5).
    fn take(&mut self, mut extra: &[u8]) {
        while let (Some(id), Some(size)) = (bytes::u16(extra, 0), bytes::u16(extra, 2)) {
            let Some(field) = bytes::slice(extra, 4, size.into()) else { return };
            match id {
                // 4.5.3: sizes of 64 bits, of those that have none of 32.
                1 => {
                    let mut at = 0;
                    for value in [&mut self.size, &mut self.packed] {
                        if *value == u64::from(u32::MAX)
                            && let Some(long) = bytes::u64(field, at)
                        {
                            *value = long;
                            at += 8;
                        }
                    }
                }
                // WinZip's AES; Info-ZIP's name in UTF-8 (4.6.9).
                0x9901 | 0x7075 => {
                    let whole = bytes::slice(extra, 0, 4 + usize::from(size));
                    self.extra.extend_from_slice(whole.unwrap_or(&[]));
                }
                _ => {}
            }
            extra = extra.get(4 + usize::from(size)..).unwrap_or(&[]);
        }
    }

    /// Whether its sizes stand behind its content.
    pub(super) fn is_open(&self) -> bool {
        self.flags & BY_DESCRIPTOR != 0 && self.packed == 0
    }

    /// Adds an entry for it to a directory (4.3.12). All sizes are of 64 bits (4.5.3).
    pub(super) fn write(&self, directory: &mut Vec<u8>) {
        let mut put = |bytes: &[u8]| directory.extend_from_slice(bytes);
        let short = |value: usize| u16::try_from(value).unwrap_or(u16::MAX).to_le_bytes();
        put(&CENTRAL);
        // Made by and needed: 6.3, and a system that keeps no attributes.
        put(&[63, 0, 63, 0]);
        for value in [self.flags, self.method, self.time, self.date] {
            put(&value.to_le_bytes());
        }
        put(&self.crc.to_le_bytes());
        put(&[0xff; 8]);
        let name = self.name.get(..usize::from(u16::MAX)).unwrap_or(&self.name);
        let extra = Some(&*self.extra).filter(|extra| extra.len() < 1 << 15).unwrap_or(&[]);
        put(&short(name.len()));
        put(&short(extra.len() + 28));
        put(&[0; 10]);
        put(&[0xff; 4]);
        put(name);
        put(&[1, 0, 24, 0]);
        for value in [self.size, self.packed, self.at] {
            put(&value.to_le_bytes());
        }
        put(extra);
    }
}

/// Ends a directory of so many members that begins at `at` (4.3.14 to 4.3.16).
pub(super) fn end(directory: &mut Vec<u8>, at: u64, members: usize) {
    let length = directory.len() as u64;
    let mut put = |bytes: &[u8]| directory.extend_from_slice(bytes);
    put(&END_64);
    put(&44u64.to_le_bytes());
    put(&[63, 0, 63, 0]);
    put(&[0; 8]);
    for value in [members as u64, members as u64, length, at] {
        put(&value.to_le_bytes());
    }
    put(&LOCATOR_64);
    put(&[0; 4]);
    put(&at.saturating_add(length).to_le_bytes());
    put(&[1, 0, 0, 0]);
    put(&END);
    put(&[0; 4]);
    put(&[0xff; 12]);
    put(&[0; 2]);
}
