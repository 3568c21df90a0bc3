//! A chunk: 64 KiB that describe themselves, and what is wrong with them.
//!
//! A chunk's header has two checksums, of itself and of the records. A checksum that does not fit is
//! reported and the chunk is read all the same, record by record: one flipped bit in a log must not
//! hide the other thousand records, and the chunk in use when a live log was copied never has fitting
//! checksums.
//!
//! Source: as for the file header.

use crate::bytes;
use std::fmt;

/// The size of a chunk.
pub(super) const SIZE: usize = 64 * 1024;
/// The size of its header: records follow.
pub(super) const HEADER: usize = 512;
pub(super) const MAGIC: &[u8; 8] = b"ElfChnk\0";
/// The flag of a header that has no checksums.
pub(super) const NO_CRC32: u32 = 4;

/// The most records that fit into a chunk: none is shorter than its header and the copy of its size.
pub(super) const MAX_RECORDS: u64 = (SIZE / super::walk::MIN_RECORD) as u64;

/// What a chunk's header says.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Header {
    pub(super) magic: bool,
    /// Whether the header is what its checksum says, or says that it has none.
    pub(super) checksum_ok: bool,
    first_id: u64,
    last_id: u64,
    pub(super) free: u32,
    data_crc: u32,
    flags: u32,
}

impl Header {
    /// Of a chunk's first [`HEADER`] bytes; what is missing is 0.
    pub(super) fn read(data: &[u8]) -> Header {
        let u32_at = |at| bytes::u32(data, at).unwrap_or_default();
        let u64_at = |at| bytes::u64(data, at).unwrap_or_default();
        let flags = u32_at(120);
        let crc = data.get(..120).zip(data.get(128..HEADER)).map(|(before, after)| {
            let mut crc = crc32fast::Hasher::new();
            crc.update(before);
            crc.update(after);
            crc.finalize()
        });
        Header {
            magic: data.starts_with(MAGIC),
            checksum_ok: crc.is_some_and(|crc| flags & NO_CRC32 != 0 || crc == u32_at(124)),
            first_id: u64_at(24),
            last_id: u64_at(32),
            free: u32_at(48),
            data_crc: u32_at(52),
            flags,
        }
    }

    /// Whether the header's checksum fits, and says so of itself: what claims to have none is not
    /// believed among raw bytes.
    pub(super) fn is_sealed(&self, data: &[u8]) -> bool {
        self.magic && self.flags & NO_CRC32 == 0 && self.checksum_ok && data.len() >= HEADER
    }

    /// Whether the records are there and what their checksum says.
    pub(super) fn holds(&self, data: &[u8]) -> bool {
        self.flags & NO_CRC32 == 0 && self.data_ok(data)
    }

    /// Where the records end, if the header is to be believed.
    pub(super) fn records_end(&self) -> Option<usize> {
        self.suspected_end().filter(|_| self.checksum_ok)
    }

    /// Where the records end by the header, if that can be, even if its checksum does not fit.
    pub(super) fn suspected_end(&self) -> Option<usize> {
        let free = usize::try_from(self.free).ok()?;
        (self.magic && (HEADER..=SIZE).contains(&free)).then_some(free)
    }

    /// The records' ids, if the header is to be believed.
    pub(super) fn ids(&self) -> Option<std::ops::RangeInclusive<u64>> {
        let span = self.last_id.checked_sub(self.first_id)?;
        let believed = self.magic && self.checksum_ok && span < MAX_RECORDS;
        believed.then_some(self.first_id..=self.last_id)
    }

    /// Whether the records are what their checksum says.
    pub(super) fn data_ok(&self, data: &[u8]) -> bool {
        if self.flags & NO_CRC32 != 0 {
            return true;
        }
        let records = self.suspected_end().and_then(|end| data.get(HEADER..end));
        records.is_some_and(|records| crc32fast::hash(records) == self.data_crc)
    }
}

/// Something about a chunk that is not as it should be. The chunk was read all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// It does not begin with `ElfChnk`.
    Magic,
    /// The header is not what its checksum says.
    HeaderChecksum,
    /// The records are not what their checksum says.
    DataChecksum,
    /// The free-space offset lies outside of the chunk.
    FreeSpaceOffset(u32),
    /// The ids of the first and last record in the header cannot be.
    RecordIds,
    /// Records follow the last one that the header knows: the log was in use.
    RecordsAfterLast(u32),
    /// Records that do not end with their size: torn, or damaged there. What is there of them was
    /// read.
    WithoutEnd(u32),
    /// There are fewer records than the header's ids say.
    FewerRecords {
        /// By the header.
        named: u64,
        /// Live records found.
        found: u64,
    },
    /// The records end in zeros before the free space begins.
    ZeroTail {
        /// Where, in the chunk.
        at: u32,
    },
    /// Bytes of the chunk that the medium did not give; there is a [`super::Damage`] for each span.
    Lost {
        /// How many.
        bytes: u32,
    },
    /// It was found in raw bytes, and some of it is overwritten or lies elsewhere.
    Torn,
    /// The source ends within the chunk.
    Truncated {
        /// How many bytes of it are there.
        size: u32,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Magic => f.write_str("the chunk does not begin with ElfChnk"),
            Finding::HeaderChecksum => f.write_str("the chunk header's checksum does not fit"),
            Finding::DataChecksum => f.write_str("the checksum of the records does not fit"),
            Finding::FreeSpaceOffset(at) => write!(f, "the free space cannot begin at {at:#x}"),
            Finding::RecordIds => f.write_str("the record ids in the chunk header cannot be"),
            Finding::RecordsAfterLast(n) => {
                write!(f, "{n} records follow the last one that the chunk header knows")
            }
            Finding::WithoutEnd(1) => f.write_str("1 record does not end with its size"),
            Finding::WithoutEnd(n) => write!(f, "{n} records do not end with their size"),
            Finding::FewerRecords { named, found } => {
                write!(f, "the chunk header names {named} records, {found} were found")
            }
            Finding::ZeroTail { at } => write!(f, "the records end in zeros at {at:#x}"),
            Finding::Lost { bytes } => write!(f, "{bytes} bytes of the chunk cannot be read"),
            Finding::Torn => f.write_str("a chunk of which only a part is there"),
            Finding::Truncated { size } => write!(f, "the chunk is cut off after {size} bytes"),
        }
    }
}
