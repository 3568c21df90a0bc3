//! VHDX, the virtual disk of Hyper-V since Windows 8.
//!
//! Two headers, of which the one with the higher sequence number counts, two copies of a table of
//! regions, and two regions: metadata (sizes) and the block allocation table ([MS-VHDX] 2). A disk
//! that was in use has changes in its log, which are replayed in memory.
//!
//! The payload of a block is anywhere in the file in units of 1 MiB; after each row of blocks, whose
//! number follows from their size, the table has one entry for their sector bitmap, which only
//! differencing disks use.

use super::{
    Damage, Image, ImageFault,
    read::{self, front},
    vhdx_log,
};
use crate::bytes::{self, ReadAt};
use std::{io, sync::Arc};

/// What a file begins with.
const SIGNATURE: &[u8; 8] = b"vhdxfile";

/// Where the headers are.
const HEADERS: [u64; 2] = [64 << 10, 128 << 10];

/// Where the tables of regions are, and how large they are.
const REGIONS: [u64; 2] = [192 << 10, 256 << 10];
const REGION_TABLE: u64 = 64 << 10;

/// How many entries a table of regions, or of metadata, may have ([MS-VHDX] 2.2.3, 2.6).
const MAX_ENTRIES: u16 = 2047;

/// The largest disk ([MS-VHDX] 2.6.2.2).
const MAX_SIZE: u64 = 64 << 40;

/// The largest block ([MS-VHDX] 2.6.2.1).
const MAX_BLOCK: u64 = 256 << 20;

/// The largest block allocation table: of the largest disk in the smallest blocks, 1 MiB.
const MAX_TABLE: u64 = (MAX_SIZE >> 20) * 8 * 2;

/// The unit of places in the table.
const MIB: u64 = 1 << 20;

/// {2DC27766-F623-4200-9D64-115E9BFD4A08}
const TABLE: [u8; 16] = *b"\x66\x77\xc2\x2d\x23\xf6\x00\x42\x9d\x64\x11\x5e\x9b\xfd\x4a\x08";
/// {8B7CA206-4790-4B9A-B8FE-575F050F886E}
const METADATA: [u8; 16] = *b"\x06\xa2\x7c\x8b\x90\x47\x9a\x4b\xb8\xfe\x57\x5f\x05\x0f\x88\x6e";
/// {CAA16737-FA36-4D43-B3B6-33F0AA44E76B}
const PARAMETERS: [u8; 16] = *b"\x37\x67\xa1\xca\x36\xfa\x43\x4d\xb3\xb6\x33\xf0\xaa\x44\xe7\x6b";
/// {2FA54224-CD1B-4876-B211-5DBED83BF4B8}
const DISK_SIZE: [u8; 16] = *b"\x24\x42\xa5\x2f\x1b\xcd\x76\x48\xb2\x11\x5d\xbe\xd8\x3b\xf4\xb8";
/// {8141BF1D-A96F-4709-BA47-F233A8FAAB5F}
const SECTOR_SIZE: [u8; 16] = *b"\x1d\xbf\x41\x81\x6f\xa9\x09\x47\xba\x47\xf2\x33\xa8\xfa\xab\x5f";

/// States of a payload block ([MS-VHDX] 2.5.1.1).
mod state {
    pub(super) const NOT_PRESENT: u64 = 0;
    pub(super) const UNDEFINED: u64 = 1;
    pub(super) const ZERO: u64 = 2;
    pub(super) const UNMAPPED: u64 = 3;
    pub(super) const PRESENT: u64 = 6;
    pub(super) const PARTIAL: u64 = 7;
}

/// Whether a file begins like one.
pub(super) fn is(start: &[u8]) -> bool {
    start.starts_with(SIGNATURE)
}

/// A header.
struct Header {
    sequence: u64,
    log: vhdx_log::Place,
}

impl Header {
    fn read(source: &dyn ReadAt, at: u64) -> Option<Header> {
        let data: [u8; 4096] = read::array(source, at).ok()?;
        if bytes::array(&data, 0) != Some(*b"head") || !is_sound(&data) {
            return None;
        }
        Some(Header {
            sequence: bytes::u64(&data, 8)?,
            log: vhdx_log::Place {
                id: bytes::array(&data, 48)?,
                len: bytes::u32(&data, 68)?.into(),
                offset: bytes::u64(&data, 72)?,
            },
        })
    }
}

/// Whether a CRC-32C at 4, over everything with itself as zero, holds.
pub(super) fn is_sound(data: &[u8]) -> bool {
    let (Some(front), Some(rest)) = (data.get(..4), data.get(8..)) else { return false };
    let crc = crc32c::crc32c_append(crc32c::crc32c(front), &[0; 4]);
    bytes::u32(data, 4) == Some(crc32c::crc32c_append(crc, rest))
}

/// Opens a disk.
pub(super) fn open(source: &Arc<dyn ReadAt>) -> Result<Image, ImageFault> {
    let mut faults = Vec::new();
    let headers = HEADERS.map(|at| Header::read(&**source, at));
    if headers.iter().any(Option::is_none) {
        faults.push("one of its two headers is damaged".to_owned());
    }
    let header = headers.into_iter().flatten().max_by_key(|header| header.sequence);
    let header =
        header.ok_or_else(|| ImageFault::broken("a VHDX of which both headers are damaged"))?;
    let source = match vhdx_log::replay(source, &header.log)? {
        Some(replayed) => {
            faults
                .push("it was in use when it was copied: its log is replayed in memory".to_owned());
            replayed
        }
        None => source.clone(),
    };
    let regions = regions(&*source, &mut faults)?;
    let metadata = Metadata::read(&*source, &regions)?;
    let (at, len) = region(&regions, &TABLE)?;
    let blocks = metadata.size.div_ceil(metadata.block);
    let rows = blocks.div_ceil(metadata.row());
    // The last row has no bitmap entry when the disk has no parent; it is not needed either.
    let needed = (blocks + rows) * 8;
    let table =
        read::table(&*source, at, needed.min(len), MAX_TABLE, "the block allocation table")?;
    let damage = Arc::new(Damage::default());
    let disk = Disk { source, metadata, table, damage: damage.clone() };
    Ok(Image { bytes: Arc::new(disk), kind: "a VHDX image", damage, faults, digests: None })
}

/// A region's identifier, place and length.
type Region = ([u8; 16], u64, u64);

/// The entries of the table of regions.
fn regions(source: &dyn ReadAt, faults: &mut Vec<String>) -> Result<Vec<Region>, ImageFault> {
    for (n, at) in REGIONS.into_iter().enumerate() {
        let sound = read::table(source, at, REGION_TABLE, REGION_TABLE, "the table of regions")
            .ok()
            .filter(|table| bytes::array(table, 0) == Some(*b"regi") && is_sound(table));
        let Some(table) = sound else { continue };
        if n > 0 {
            faults.push("the table of regions is damaged: its copy is used".to_owned());
        }
        let count = bytes::u32(&table, 8).unwrap_or(0).min(MAX_ENTRIES.into());
        let entries = table.get(16..).unwrap_or_default().chunks_exact(32);
        let entry = |entry: &[u8]| {
            let len = bytes::u32(entry, 24)?.into();
            Some((bytes::array(entry, 0)?, bytes::u64(entry, 16)?, len))
        };
        let count = usize::try_from(count).unwrap_or(0);
        return Ok(entries.take(count).filter_map(entry).collect());
    }
    Err(ImageFault::broken("a VHDX of which both tables of regions are damaged"))
}

fn region(regions: &[Region], id: &[u8; 16]) -> Result<(u64, u64), ImageFault> {
    let found = regions.iter().find(|(found, ..)| found == id);
    let (_, at, len) =
        found.ok_or_else(|| ImageFault::broken("a VHDX without a region it needs"))?;
    Ok((*at, *len))
}

struct Metadata {
    size: u64,
    block: u64,
    sector: u64,
}

impl Metadata {
    fn read(source: &dyn ReadAt, regions: &[Region]) -> Result<Metadata, ImageFault> {
        let broken = |what: &str| ImageFault::Broken(format!("a VHDX {what}"));
        let (at, _) = region(regions, &METADATA)?;
        let table =
            read::table(source, at, REGION_TABLE, REGION_TABLE, "the metadata of the VHDX")?;
        if bytes::array(&table, 0) != Some(*b"metadata") {
            return Err(broken("of which the metadata is damaged"));
        }
        let count = usize::from(bytes::u16(&table, 10).unwrap_or(0).min(MAX_ENTRIES));
        let entries = table.get(32..).unwrap_or_default().chunks_exact(32).take(count);
        let (mut parameters, mut size, mut sector) = (None, None, None);
        for entry in entries {
            let offset = bytes::u32(entry, 16).map_or(0, u64::from);
            let item = || read::array::<8>(source, at.saturating_add(offset));
            match bytes::array(entry, 0) {
                Some(PARAMETERS) => parameters = Some(item()?),
                Some(DISK_SIZE) => size = bytes::u64(&item()?, 0),
                Some(SECTOR_SIZE) => sector = bytes::u32(&item()?, 0).map(u64::from),
                _ => {}
            }
        }
        let (Some(parameters), Some(size), Some(sector)) = (parameters, size, sector) else {
            return Err(broken("without its sizes"));
        };
        let block = bytes::u32(&parameters, 0).map_or(0, u64::from);
        if bytes::u32(&parameters, 4).is_some_and(|flags| flags & 2 != 0) {
            let what = "a differencing VHDX: merge it with its parent, or take the parent";
            return Err(ImageFault::unsupported(what));
        }
        if !block.is_power_of_two() || !(MIB..=MAX_BLOCK).contains(&block) {
            return Err(broken(&format!("with blocks of {block} bytes")));
        }
        if !matches!(sector, 512 | 4096) || size > MAX_SIZE {
            return Err(broken(&format!("of {size} bytes in sectors of {sector}")));
        }
        Ok(Metadata { size, block, sector })
    }

    /// How many blocks are in a row of the table.
    fn row(&self) -> u64 {
        ((1 << 23) * self.sector / self.block).max(1)
    }
}

struct Disk {
    source: Arc<dyn ReadAt>,
    metadata: Metadata,
    table: Vec<u8>,
    damage: Arc<Damage>,
}

impl ReadAt for Disk {
    fn size(&self) -> u64 {
        self.metadata.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let block = self.metadata.block;
        read::spans(self.metadata.size, offset, buf, |at, buf| {
            let number = at / block;
            let inside = at % block;
            let buf = front(buf, block - inside);
            let damaged = |why: &str| Err(self.damage.add(number * block, block, why));
            let entry = number + number / self.metadata.row();
            let entry = usize::try_from(entry).ok().and_then(|n| n.checked_mul(8));
            let Some(entry) = entry.and_then(|at| bytes::u64(&self.table, at)) else {
                return damaged("it is not in the block allocation table");
            };
            match entry & 7 {
                state::NOT_PRESENT | state::UNDEFINED | state::ZERO | state::UNMAPPED => {
                    buf.fill(0);
                    Ok(buf.len())
                }
                state::PRESENT => match self.source.read_at((entry >> 20) * MIB + inside, buf) {
                    Ok(0) => {
                        Err(self.damage.add(at, block - inside, "the image ends before this block"))
                    }
                    read => read,
                },
                state::PARTIAL => damaged("it is in part its parent's"),
                _ => damaged("its entry in the block allocation table is damaged"),
            }
        })
    }

    fn zeros(&self, offset: u64) -> u64 {
        let block = self.metadata.block;
        read::zeros(self.metadata.size, offset, |at| {
            let number = at / block;
            let entry = usize::try_from(number + number / self.metadata.row()).ok();
            let entry = entry.and_then(|n| bytes::u64(&self.table, n.checked_mul(8)?));
            match entry.map(|entry| entry & 7) {
                Some(state::NOT_PRESENT | state::UNDEFINED | state::ZERO | state::UNMAPPED) => {
                    block - at % block
                }
                _ => 0,
            }
        })
    }
}
