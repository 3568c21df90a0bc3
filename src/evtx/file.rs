//! The header of an EVTX file: what the log says of itself.
//!
//! Only the magic decides whether a source is a log at all. Whatever else is wrong with the header is
//! damage to report, not a reason to refuse: chunks stand at fixed offsets and describe themselves,
//! so a reader needs nothing of the header but where the first of them is. The header of a log that
//! was in use (dirty) is stale as a rule; the slots that the source has are what is read, whatever
//! the header counts.
//!
//! Source: [MS-EVEN6] does not describe the file; the fields are those that Windows writes, as
//! described by the libevtx project's format documentation and read by the `evtx` crate.

use super::chunk;
use crate::bytes::{self, ReadAt};
use std::{fmt, io};

/// The block that the header takes up; chunks follow it.
const BLOCK: u16 = 4096;
/// The part of it that has fields.
const FIELDS: usize = 128;
const MAGIC: &[u8; 8] = b"ElfFile\0";

/// What the header of an EVTX file says, and how many slots for chunks the source has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The version, major and minor: 3.1, 3.2 as of Windows 10.
    pub version: (u16, u16),
    /// The number of the first chunk, by the header.
    pub first_chunk: u64,
    /// The number of the last chunk, by the header.
    pub last_chunk: u64,
    /// How many chunks there are, by the header.
    pub chunk_count: u16,
    /// The id that the next record would get, by the header.
    pub next_record_id: u64,
    /// The log was open when the file was copied: the header's counts are stale.
    pub dirty: bool,
    /// The log was full and overwrote, or did not write, records.
    pub full: bool,
    /// Whether the header's checksum is that of its fields (or it says that it has none).
    pub checksum_ok: bool,
    /// Where the first chunk stands.
    pub first_slot: u64,
    /// How many slots of 64 KiB follow the header, the last of them perhaps cut off.
    pub slots: u64,
}

impl Log {
    /// Where a slot stands in the source.
    #[must_use]
    pub fn slot_offset(&self, slot: u64) -> u64 {
        self.first_slot.saturating_add(slot.saturating_mul(chunk::SIZE as u64))
    }
}

/// Why a source was not opened as an EVTX file.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The source could not be read.
    Io(io::Error),
    /// The source has no bytes.
    Empty,
    /// The source is no EVTX file.
    NotEvtx,
    /// The source ends within the header.
    Truncated {
        /// How many bytes it has.
        size: u64,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Io(e) => write!(f, "the file header cannot be read: {e}"),
            OpenError::Empty => f.write_str("the file is empty"),
            OpenError::NotEvtx => {
                f.write_str("this is no EVTX file (it does not begin with ElfFile)")
            }
            OpenError::Truncated { size } => {
                write!(f, "the file ends within its header, after {size} bytes")
            }
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OpenError::Io(e) => Some(e),
            _ => None,
        }
    }
}

/// Reads the header of an EVTX file.
///
/// # Errors
/// When the source cannot be read or is no EVTX file.
pub fn open(source: &dyn ReadAt) -> Result<Log, OpenError> {
    let mut fields = [0; FIELDS];
    let read = bytes::read_full(source, 0, &mut fields).map_err(OpenError::Io)?;
    if read == 0 {
        return Err(OpenError::Empty);
    }
    let seen = fields.get(..read.min(MAGIC.len())).unwrap_or(&[]);
    if !MAGIC.starts_with(seen) {
        return Err(OpenError::NotEvtx);
    }
    let size = source.size();
    if read < FIELDS || size < u64::from(BLOCK) {
        return Err(OpenError::Truncated { size });
    }
    let u16_at = |at| bytes::u16(&fields, at).unwrap_or_default();
    let u64_at = |at| bytes::u64(&fields, at).unwrap_or_default();
    let flags = bytes::u32(&fields, 120).unwrap_or_default();
    let stored = bytes::u32(&fields, 124);
    let computed = crc32fast::hash(fields.get(..120).unwrap_or(&[]));
    let first_slot = first_slot(source, u16_at(40)).map_err(OpenError::Io)?;
    Ok(Log {
        version: (u16_at(38), u16_at(36)),
        first_chunk: u64_at(8),
        last_chunk: u64_at(16),
        chunk_count: u16_at(42),
        next_record_id: u64_at(24),
        dirty: flags & 1 != 0,
        full: flags & 2 != 0,
        checksum_ok: flags & chunk::NO_CRC32 != 0 || stored == Some(computed),
        first_slot,
        slots: size.saturating_sub(first_slot).div_ceil(chunk::SIZE as u64),
    })
}

/// Where chunks begin: after the block that the header states, if a chunk is there, and else where
/// Windows puts them. No Windows has been seen to state anything but 4096.
fn first_slot(source: &dyn ReadAt, stated: u16) -> io::Result<u64> {
    if stated != BLOCK && usize::from(stated) >= FIELDS {
        let mut magic = [0; chunk::MAGIC.len()];
        let read = bytes::read_full(source, u64::from(stated), &mut magic)?;
        if read == magic.len() && magic == *chunk::MAGIC {
            return Ok(u64::from(stated));
        }
    }
    Ok(u64::from(BLOCK))
}
