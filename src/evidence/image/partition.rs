//! Partition tables: GPT with sectors of 512 or 4096 bytes and its copy at the end of the disk, MBR
//! with its chain of logical partitions.
//!
//! Sources: UEFI 2.10 section 5 (GPT, protective MBR); the MBR as every system reads it. A table is
//! believed as far as its checksums hold or nothing better is there, and what was wrong is told.

use super::{Scheme, read, volume};
use crate::bytes::{self, ReadAt};

/// How many entries a GPT is read to have: 128 by the standard, and larger ones are rare.
const MAX_ENTRIES: u64 = 4096;

/// The largest entry: 128 bytes by the standard, which may be any larger power of two.
const MAX_ENTRY: u64 = 4096;

/// How many logical partitions a chain is followed for; drive letters end at 24.
const MAX_LOGICAL: u32 = 256;

/// Sizes of sectors, the usual first.
const SECTORS: [u64; 2] = [512, 4096];

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// From 1; logical partitions from 5.
    pub(super) number: u32,
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// A disk's partitions.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) scheme: Scheme,
    pub(super) parts: Vec<Part>,
    pub(super) faults: Vec<String>,
}

/// Reads whatever table a disk has.
pub(super) fn read(disk: &dyn ReadAt) -> Table {
    let mut faults = Vec::new();
    let mbr = Mbr::read(disk, 0);
    let protective = mbr.as_ref().is_some_and(|mbr| mbr.slots.iter().any(|slot| slot.kind == 0xee));
    let plain = mbr.as_ref().is_some_and(|mbr| mbr.is_plausible(disk.size()));
    // A GPT that an MBR was later written over is stale.
    if (protective || !plain)
        && let Some(parts) = gpt(disk, protective, &mut faults)
    {
        return Table { scheme: Scheme::Gpt, parts, faults };
    }
    if let Some(mbr) = mbr.filter(|_| plain) {
        let parts = mbr.parts(disk, &mut faults);
        return Table { scheme: Scheme::Mbr, parts, faults };
    }
    Table { scheme: Scheme::None, parts: Vec::new(), faults }
}

/// The GPT of a disk, the first of its copies that is sound, or else the first that can be read.
fn gpt(disk: &dyn ReadAt, expected: bool, faults: &mut Vec<String>) -> Option<Vec<Part>> {
    let mut doubtful = None;
    let mut primary = false;
    let last = |sector| disk.size().checked_sub(sector);
    let places = SECTORS.iter().map(|s| (*s, Some(*s), true));
    let places = places.chain(SECTORS.iter().map(|s| (*s, last(*s), false)));
    for (sector, at, first) in places {
        let Some(at) = at.filter(|at| *at >= sector) else { continue };
        let Some(found) = Gpt::read(disk, at, sector) else { continue };
        primary |= first;
        if found.fault.is_none() {
            if !primary {
                faults.push(GPT_LOST.to_owned());
            } else if let Some((_, why)) = doubtful {
                faults.push(format!("{why}: the copy of it at the end of the disk is used"));
            }
            faults.extend(found.lost);
            return Some(found.parts);
        }
        if doubtful.is_none() {
            let Gpt { parts, lost, fault } = found;
            doubtful = fault.map(|why| ((parts, lost), why));
        }
    }
    let Some(((parts, lost), why)) = doubtful else {
        if expected {
            faults.push("the GUID partition table and its copy are gone".to_owned());
        }
        return expected.then(Vec::new);
    };
    faults.push(format!("{why}, and there is no sound copy: it is used as it is"));
    faults.extend(lost);
    Some(parts)
}

const GPT_LOST: &str =
    "the GUID partition table is gone: the copy of it at the end of the disk is used";

struct Gpt {
    parts: Vec<Part>,
    /// What is to be said of partitions that are not there.
    lost: Vec<String>,
    /// What is wrong with the table itself.
    fault: Option<String>,
}

impl Gpt {
    fn read(disk: &dyn ReadAt, at: u64, sector: u64) -> Option<Gpt> {
        let mut header = [0; 512];
        read::exact(disk, at, &mut header).ok()?;
        if bytes::slice(&header, 0, 8) != Some(b"EFI PART") {
            return None;
        }
        let mut fault = None;
        if !Gpt::header_is_sound(&header) {
            fault = Some("the header of the GUID partition table has a wrong checksum".to_owned());
        }
        let table = bytes::u64(&header, 72)?.checked_mul(sector)?;
        let count = u64::from(bytes::u32(&header, 80)?);
        let entry = u64::from(bytes::u32(&header, 84)?);
        if !(128..=MAX_ENTRY).contains(&entry) || count > MAX_ENTRIES {
            let what = format!("the GUID partition table has {count} entries of {entry} bytes");
            return Some(Gpt { parts: Vec::new(), lost: Vec::new(), fault: Some(what) });
        }
        let cap = MAX_ENTRIES * MAX_ENTRY;
        let entries = match read::table(disk, table, count * entry, cap, "the GUID partition table")
        {
            Ok(entries) => entries,
            Err(error) => {
                return Some(Gpt {
                    parts: Vec::new(),
                    lost: Vec::new(),
                    fault: Some(error.to_string()),
                });
            }
        };
        if bytes::u32(&header, 88) != Some(crc32fast::hash(&entries)) {
            fault.get_or_insert_with(|| "the GUID partition table has a wrong checksum".to_owned());
        }
        let entry = usize::try_from(entry).ok()?;
        let parts = (1..).zip(entries.chunks_exact(entry));
        let used = |entry: &[u8]| {
            bytes::slice(entry, 0, 16).is_some_and(|kind| kind.iter().any(|b| *b != 0))
        };
        let place = |entry: &[u8]| {
            let (first, last) = (bytes::u64(entry, 32)?, bytes::u64(entry, 40)?);
            let sectors = last.checked_sub(first)?.checked_add(1)?;
            Some((first.checked_mul(sector)?, sectors.checked_mul(sector)?))
        };
        let mut gpt = Gpt { parts: Vec::new(), lost: Vec::new(), fault };
        for (number, entry) in parts.filter(|(_, entry)| used(entry)) {
            match place(entry) {
                Some((offset, size)) if offset < disk.size() => {
                    gpt.parts.push(Part { number, offset, size });
                }
                beyond => {
                    let what = if beyond.is_some() {
                        "begins beyond the end of the image"
                    } else {
                        "ends before it begins"
                    };
                    gpt.lost.push(format!("partition {number} {what}"));
                }
            }
        }
        Some(gpt)
    }

    fn header_is_sound(header: &[u8; 512]) -> bool {
        let Some(len) = bytes::u32(header, 12).and_then(|len| usize::try_from(len).ok()) else {
            return false;
        };
        let mut covered = *header;
        // The checksum's own field counts as zero.
        covered[16..20].fill(0);
        let covered = covered.get(..len).filter(|covered| covered.len() >= 92);
        covered.is_some_and(|covered| bytes::u32(header, 16) == Some(crc32fast::hash(covered)))
    }
}

/// An entry of an MBR.
struct Slot {
    status: u8,
    kind: u8,
    first: u64,
    sectors: u64,
}

struct Mbr {
    slots: Vec<Slot>,
}

impl Mbr {
    fn read(disk: &dyn ReadAt, at: u64) -> Option<Mbr> {
        let sector = read::array::<512>(disk, at).ok()?;
        if sector[510..] != [0x55, 0xaa] {
            return None;
        }
        let slot = |entry: &[u8]| {
            Some(Slot {
                status: bytes::u8(entry, 0)?,
                kind: bytes::u8(entry, 4)?,
                first: u64::from(bytes::u32(entry, 8)?),
                sectors: u64::from(bytes::u32(entry, 12)?),
            })
        };
        Some(Mbr { slots: sector[446..510].chunks_exact(16).filter_map(slot).collect() })
    }

    fn used(&self) -> impl Iterator<Item = (u32, &Slot)> {
        (1..).zip(&self.slots).filter(|(_, slot)| slot.kind != 0 && slot.sectors != 0)
    }

    /// Whether this can be a partition table and not the code or text that stands there else.
    fn is_plausible(&self, size: u64) -> bool {
        let sound = |slot: &Slot| slot.status & 0x7f == 0;
        let mut used = self.used().map(|(_, slot)| slot).peekable();
        let mut spans: Vec<(u64, u64)> = Vec::new();
        used.peek().is_some()
            && self.slots.iter().all(sound)
            && used.all(|slot| {
                let end = slot.first + slot.sectors;
                let apart = spans.iter().all(|(a, b)| end <= *a || *b <= slot.first);
                spans.push((slot.first, end));
                slot.first != 0 && slot.first < size / 512 && apart && slot.kind != 0xee
            })
    }

    fn parts(&self, disk: &dyn ReadAt, faults: &mut Vec<String>) -> Vec<Part> {
        let unit = self.unit(disk);
        let mut parts = Vec::new();
        let mut logical = 5;
        for (number, slot) in self.used() {
            let offset = slot.first.saturating_mul(unit);
            if offset >= disk.size() {
                faults.push(format!("partition {number} begins beyond the end of the image"));
            } else if is_extended(slot.kind) {
                logical_parts(disk, slot.first, unit, &mut logical, &mut parts, faults);
            } else {
                parts.push(Part { number, offset, size: slot.sectors.saturating_mul(unit) });
            }
        }
        parts
    }

    /// The size of the sectors that the table counts in, by where volumes begin.
    fn unit(&self, disk: &dyn ReadAt) -> u64 {
        let begins = |unit: u64| {
            self.used().any(|(_, slot)| {
                let start = slot.first.saturating_mul(unit);
                let size = slot.sectors.saturating_mul(unit);
                if is_extended(slot.kind) {
                    return Mbr::read(disk, start).is_some();
                }
                volume::is_known(&Borrowed { disk, start, size })
            })
        };
        if !begins(512) && begins(4096) { 4096 } else { 512 }
    }
}

fn is_extended(kind: u8) -> bool {
    matches!(kind, 0x05 | 0x0f | 0x85)
}

/// Follows the chain of logical partitions: each link has one partition, counted from the link, and
/// the next link, counted from the first.
fn logical_parts(
    disk: &dyn ReadAt,
    first: u64,
    unit: u64,
    number: &mut u32,
    parts: &mut Vec<Part>,
    faults: &mut Vec<String>,
) {
    let mut at = first;
    let mut seen = Vec::new();
    for _ in 0..MAX_LOGICAL {
        seen.push(at);
        let Some(link) = Mbr::read(disk, at.saturating_mul(unit)) else {
            faults.push(format!("the chain of logical partitions breaks off at sector {at}"));
            return;
        };
        let mut next = None;
        for (_, slot) in link.used() {
            if is_extended(slot.kind) {
                next = next.or(first.checked_add(slot.first));
                continue;
            }
            let offset = at.saturating_add(slot.first).saturating_mul(unit);
            if offset < disk.size() {
                let size = slot.sectors.saturating_mul(unit);
                parts.push(Part { number: *number, offset, size });
            } else {
                faults.push(format!("partition {number} begins beyond the end of the image"));
            }
            *number = number.saturating_add(1);
        }
        match next {
            Some(next) if !seen.contains(&next) => at = next,
            Some(_) => {
                faults.push("the chain of logical partitions is a ring".to_owned());
                return;
            }
            None => return,
        }
    }
    faults.push(format!("there are more than {MAX_LOGICAL} logical partitions"));
}

/// A window on a disk that is only borrowed.
struct Borrowed<'d> {
    disk: &'d dyn ReadAt,
    start: u64,
    size: u64,
}

impl ReadAt for Borrowed<'_> {
    fn size(&self) -> u64 {
        self.size.min(self.disk.size().saturating_sub(self.start))
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<usize> {
        let buf = read::front(buf, self.size().saturating_sub(offset));
        self.disk.read_at(self.start.saturating_add(offset), buf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk of 64 sectors with a GUID partition table of these first and last sectors.
    fn disk(parts: &[(u64, u64)]) -> Vec<u8> {
        let mut disk = vec![0; 64 * 512];
        let mut entries = vec![0; 128 * parts.len()];
        for (entry, (first, last)) in entries.chunks_exact_mut(128).zip(parts) {
            entry[0] = 1;
            entry[32..40].copy_from_slice(&first.to_le_bytes());
            entry[40..48].copy_from_slice(&last.to_le_bytes());
        }
        disk[1024..1024 + entries.len()].copy_from_slice(&entries);
        let header = &mut disk[512..1024];
        header[..8].copy_from_slice(b"EFI PART");
        header[12..16].copy_from_slice(&92u32.to_le_bytes());
        header[72..80].copy_from_slice(&2u64.to_le_bytes());
        header[80..84].copy_from_slice(&(parts.len() as u32).to_le_bytes());
        header[84..88].copy_from_slice(&128u32.to_le_bytes());
        header[88..92].copy_from_slice(&crc32fast::hash(&entries).to_le_bytes());
        let sum = crc32fast::hash(&header[..92]);
        header[16..20].copy_from_slice(&sum.to_le_bytes());
        disk
    }

    #[test]
    fn a_partition_that_is_not_there_is_told() {
        let table = read(&disk(&[(8, 15), (64, 99), (20, 9)]));
        let parts: Vec<_> = table.parts.iter().map(|part| (part.number, part.offset)).collect();
        assert_eq!(parts, [(1, 8 * 512)]);
        assert_eq!(
            table.faults,
            ["partition 2 begins beyond the end of the image", "partition 3 ends before it begins"]
        );
    }
}
