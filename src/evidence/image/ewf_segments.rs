//! The segments of an E01 image and the tables in them.
//!
//! What is missing or torn is told, and what is there is read: segments behind a missing one are
//! counted from the end of the image, which the last segment marks.

use super::{
    Digests, ImageFault, Siblings,
    ewf::{self, MAGIC},
    read, sibling,
};
use crate::bytes::{self, ReadAt};
use std::sync::Arc;

/// The most segments: `.E01` to `.ZZZ`.
const MAX_SEGMENTS: u32 = 99 + 22 * 26 * 26;

/// How many segments in a row may be missing: beyond that, what follows is not looked for.
const MAX_MISSING: u32 = 8;

/// How many sections a segment may have: three for each 512 MiB of the disk is usual.
const MAX_SECTIONS: u32 = 1 << 17;

/// The largest chunk: EnCase offers up to 32,768 sectors.
const MAX_CHUNK: u64 = 32 << 20;

/// The most chunks: 2^29 of 32 KiB are 16 TiB, and their tables take 2 GiB.
const MAX_CHUNKS: u64 = 1 << 29;

/// How many ranges that were unreadable at acquisition are told.
const MAX_UNREAD: u32 = 1 << 14;

/// The header of a section.
const SECTION: u64 = 76;

/// The header of a table.
const TABLE: u64 = 24;

/// A segment.
pub(super) struct Part {
    pub(super) bytes: Arc<dyn ReadAt>,
    /// Where its sections begin, in order.
    pub(super) bounds: Vec<u64>,
}

/// A table of chunks.
pub(super) struct Table {
    /// The number of its first chunk.
    pub(super) first: u64,
    /// How many chunks it is of.
    pub(super) count: usize,
    /// In which segment they are, by index.
    pub(super) segment: usize,
    pub(super) base: u64,
    /// Empty if the table is damaged.
    pub(super) entries: Vec<u8>,
    /// Whether the count is what the table says and not what there is room for.
    is_counted: bool,
    /// From which entry on all 32 bits are the offset, and chunks are stored: segments of EnCase 6.7
    /// may be larger than 2 GiB, which 31 bits cannot address.
    pub(super) wide_from: usize,
}

/// An image's segments.
pub(super) struct Segments {
    pub(super) parts: Vec<Part>,
    /// In the order of their chunks.
    pub(super) tables: Vec<Table>,
    pub(super) sector: u64,
    pub(super) chunk: u64,
    pub(super) size: u64,
    /// Sectors that could not be read when the image was made: first and how many.
    pub(super) unread: Vec<(u64, u64)>,
    pub(super) faults: Vec<String>,
    pub(super) digests: Option<Digests>,
}

/// What the volume section says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Geometry {
    chunks: u64,
    chunk: u64,
    sector: u64,
    sectors: u64,
}

/// What is gathered from the segments read so far.
#[derive(Default)]
struct Gather {
    parts: Vec<Part>,
    /// Runs of tables between missing segments.
    groups: Vec<Vec<Table>>,
    geometry: Option<Geometry>,
    set: Option<[u8; 16]>,
    unread: Vec<(u64, u64)>,
    faults: Vec<String>,
    digests: Option<Digests>,
    done: bool,
    /// Whether the segment that was read last is cut off.
    cut: bool,
}

impl Segments {
    pub(super) fn read(
        bytes: &Arc<dyn ReadAt>,
        siblings: &dyn Siblings,
    ) -> Result<Segments, ImageFault> {
        let own = siblings.own_name();
        let number = number(&**bytes)?;
        if number != 1 {
            let first = segment_name(own, 1);
            if let Some(first) = first
                && sibling::find(siblings, &first)?.is_some()
            {
                return Err(ImageFault::PartOf { first });
            }
            let what = format!("segment {number} of an E01 image of which the first is not here");
            return Err(ImageFault::Broken(what));
        }
        let mut gather = Gather { groups: vec![Vec::new()], ..Gather::default() };
        gather.segment(bytes.clone(), own)?;
        gather.further(siblings)?;
        gather.finish()
    }
}

/// The number that a segment says it has.
fn number(bytes: &dyn ReadAt) -> Result<u32, ImageFault> {
    let header: [u8; 13] = read::array(bytes, 0)?;
    Ok(u32::from(bytes::u16(&header, 9).unwrap_or(0)))
}

/// The name of a segment of the image of which `own` is one.
fn segment_name(own: &str, number: u32) -> Option<String> {
    let (stem, extension) = own.rsplit_once('.')?;
    let letters = extension.as_bytes();
    let [kind, second, _] = letters else { return None };
    if !kind.is_ascii_alphabetic() {
        return None;
    }
    let lower = kind.is_ascii_lowercase();
    // Beyond the first hundred, the first letter counts too: the series of E began with E, of S with S.
    let base = if second.is_ascii_digit() { kind.to_ascii_uppercase() } else { b'E' };
    let name = match number {
        0 => return None,
        1..=99 => format!("{}{number:02}", char::from(base)),
        _ => {
            let n = number - 100;
            let letter = |n: u32| u8::try_from(n).map(|n| char::from(b'A' + n));
            let first = base.checked_add(u8::try_from(n / 676).ok()?).filter(|c| *c <= b'Z')?;
            let (second, third) = (letter(n / 26 % 26).ok()?, letter(n % 26).ok()?);
            format!("{}{second}{third}", char::from(first))
        }
    };
    let name = if lower { name.to_ascii_lowercase() } else { name };
    Some(format!("{stem}.{name}"))
}

impl Gather {
    /// Reads the segments behind the first.
    fn further(&mut self, siblings: &dyn Siblings) -> Result<(), ImageFault> {
        let own = siblings.own_name();
        let mut missing = Vec::new();
        for wanted in 2..=MAX_SEGMENTS {
            if self.done || missing.len() > MAX_MISSING as usize {
                break;
            }
            let Some(name) = segment_name(own, wanted) else { break };
            let found = match sibling::find(siblings, &name) {
                Ok(found) => found,
                Err(fault) => {
                    self.faults.push(fault.to_string());
                    None
                }
            };
            let Some(bytes) = found else {
                missing.push(name);
                continue;
            };
            let is_next = {
                let start = read::array::<8>(&*bytes, 0).unwrap_or_default();
                ewf::is(&start) && number(&*bytes).ok() == Some(wanted)
            };
            if !is_next {
                self.faults.push(format!("{name} is no segment {wanted} of an E01 image"));
                missing.push(name);
                continue;
            }
            if !missing.is_empty() {
                self.faults.push(format!("{} is missing", missing.join(", ")));
                missing.clear();
                self.groups.push(Vec::new());
            }
            if !self.segment(bytes, &name)? {
                self.faults.push(format!("{name} is of another image"));
                missing.push(name);
            }
        }
        // That one that is cut off does not say that it is the last tells nothing.
        let cut_off = self.cut && missing.len() > MAX_MISSING as usize;
        if !(self.done || cut_off) {
            let what = match missing.first() {
                Some(name) => format!("the image does not end: {name} is missing"),
                None => "the image does not end: further segments are not here".to_owned(),
            };
            self.faults.push(what);
        }
        Ok(())
    }

    /// Reads the sections of a segment. `false` if it is of another image.
    fn segment(&mut self, bytes: Arc<dyn ReadAt>, name: &str) -> Result<bool, ImageFault> {
        let segment = self.parts.len();
        let mut bounds = Vec::new();
        let mut tables: Vec<Table> = Vec::new();
        let mut at = MAGIC.len() as u64 + 5;
        let mut ends = false;
        let mut failed: Option<Table> = None;
        for _ in 0..MAX_SECTIONS {
            let Ok(header) = read::array::<76>(&*bytes, at) else { break };
            if bytes::u32(&header, 72) != Some(adler2::adler32_slice(&header[..72])) {
                self.faults.push(format!("{name}: the section at {at} is damaged"));
                break;
            }
            bounds.push(at);
            let next = bytes::u64(&header, 16).unwrap_or(0);
            let size = bytes::u64(&header, 24).unwrap_or(0).max(SECTION);
            let kind = header.split(|b| *b == 0).next().unwrap_or_default();
            let (start, len) = (at + SECTION, size - SECTION);
            if kind != b"table2"
                && let Some(table) = failed.take()
            {
                self.faults.push(format!("{name}: a table of chunks is damaged"));
                tables.push(table);
            }
            match kind {
                b"volume" | b"disk" => self.geometry(&*bytes, start, len)?,
                b"data" => {
                    let set = read::array::<16>(&*bytes, start + 64).ok().filter(|_| len >= 1052);
                    if set.is_some() && self.set.is_some() && set != self.set {
                        return Ok(false);
                    }
                }
                b"table" => match Table::read(&*bytes, segment, start, len) {
                    Ok(table) => tables.push(table),
                    Err(table) => failed = Some(table),
                },
                b"table2" => {
                    if let Some(first) = failed.take() {
                        let second = Table::read(&*bytes, segment, start, len);
                        let sound = second.is_ok();
                        let table = second
                            .unwrap_or_else(|second| if first.is_counted { first } else { second });
                        let what = if sound { "its copy is used" } else { "its copy too" };
                        let fault = format!("{name}: a table of chunks is damaged, {what}");
                        self.faults.push(fault);
                        tables.push(table);
                    }
                }
                b"hash" | b"digest" => self.digests(&*bytes, start, len),
                b"error2" => self.unread(&*bytes, start, len),
                b"done" => (self.done, ends) = (true, true),
                b"next" => ends = true,
                _ => {}
            }
            // A chain only goes forward: else it would be a ring.
            if ends || next <= at {
                break;
            }
            at = next;
        }
        tables.extend(failed);
        self.cut = !ends;
        if !ends {
            self.faults.push(format!("{name} ends before it should"));
        }
        self.parts.push(Part { bytes, bounds });
        for table in tables {
            let is_counted = table.is_counted;
            if let Some(group) = self.groups.last_mut() {
                group.push(table);
            }
            if !is_counted {
                self.groups.push(Vec::new());
            }
        }
        if !ends {
            self.groups.push(Vec::new());
        }
        Ok(true)
    }

    fn geometry(&mut self, bytes: &dyn ReadAt, at: u64, len: u64) -> Result<(), ImageFault> {
        if self.geometry.is_some() {
            return Ok(());
        }
        // EnCase writes 1052 bytes, SMART 94; the checksum stands last.
        let (len, wide) = if len >= 1052 { (1052, true) } else { (94, false) };
        let data = read::table(bytes, at, len, 1052, "the description of the disk")?;
        let end = data.len().saturating_sub(4);
        let covered = data.get(..end).unwrap_or_default();
        if bytes::u32(&data, end) != Some(adler2::adler32_slice(covered)) {
            self.faults.push("the description of the disk has a wrong checksum".to_owned());
        }
        let number = |at| bytes::u32(&data, at).map_or(0, u64::from);
        let sectors = if wide { bytes::u64(&data, 16).unwrap_or(0) } else { number(16) };
        let chunk = number(8).saturating_mul(number(12));
        if !(512..=MAX_CHUNK).contains(&chunk) || !(1..=65_536).contains(&number(12)) {
            return Err(ImageFault::broken(format!("its chunks would have {chunk} bytes")));
        }
        self.geometry = Some(Geometry { chunks: number(4), chunk, sector: number(12), sectors });
        self.set = bytes::array(&data, 64).filter(|_| wide);
        Ok(())
    }

    /// Takes what the image says of its disk: MD5, and behind it SHA-1 in the longer of both sections.
    fn digests(&mut self, bytes: &dyn ReadAt, at: u64, len: u64) {
        // A hash section has 36 bytes and a digest section 80, the last four a checksum.
        let size = if len >= 80 { 80 } else { 36 };
        let Ok(data) = read::table(bytes, at, size, 80, "the digests of the disk") else { return };
        let (covered, check) = data.split_at(data.len().saturating_sub(4));
        if bytes::u32(check, 0) != Some(adler2::adler32_slice(covered)) {
            self.faults.push("the digests of the disk have a wrong checksum".to_owned());
            return;
        }
        // One that was not calculated is zeros.
        let md5 = bytes::array(covered, 0).filter(|md5| *md5 != [0; 16]);
        let sha1 = bytes::array(covered, 16).filter(|sha1| size == 80 && *sha1 != [0; 20]);
        let digests = self.digests.get_or_insert_default();
        digests.md5 = digests.md5.or(md5);
        digests.sha1 = digests.sha1.or(sha1);
    }

    /// Takes the sectors that could not be read when the image was made.
    fn unread(&mut self, bytes: &dyn ReadAt, at: u64, len: u64) {
        let count = read::array::<4>(bytes, at).map_or(0, u32::from_le_bytes);
        if u64::from(count) * 8 + 520 > len {
            return;
        }
        for n in 0..count.min(MAX_UNREAD) {
            let Ok(entry) = read::array::<8>(bytes, at + 520 + u64::from(n) * 8) else { return };
            let number = |at| bytes::u32(&entry, at).map_or(0, u64::from);
            self.unread.push((number(0), number(4)));
        }
    }

    /// Numbers the chunks.
    fn finish(mut self) -> Result<Segments, ImageFault> {
        let none = "the image does not say how large the disk is";
        let geometry = self.geometry.ok_or_else(|| ImageFault::broken(none))?;
        let count = |group: &[Table]| group.iter().map(|table| table.count as u64).sum::<u64>();
        let total: u64 = self.groups.iter().map(|group| count(group)).sum();
        let chunks = if geometry.chunks == 0 { total } else { geometry.chunks };
        if chunks > MAX_CHUNKS || total > MAX_CHUNKS {
            return Err(ImageFault::broken(format!("it has {chunks} chunks")));
        }
        let mut tables = Vec::new();
        let last = self.groups.iter().rposition(|group| !group.is_empty()).unwrap_or(0);
        if last == 0 && self.done && total != chunks {
            self.faults.push(format!("it says that it has {chunks} chunks and has {total}"));
        }
        let mut end = 0;
        for (n, group) in self.groups.into_iter().enumerate() {
            let mut first = match n {
                0 => 0,
                _ if group.is_empty() => continue,
                // Behind the last gap, chunks are counted from the end.
                n if n == last && self.done && chunks.saturating_sub(count(&group)) >= end => {
                    chunks.saturating_sub(count(&group))
                }
                _ => {
                    let what = "tables behind missing or damaged ones cannot be placed";
                    self.faults.push(what.to_owned());
                    continue;
                }
            };
            for mut table in group {
                table.first = first;
                first += table.count as u64;
                tables.push(table);
            }
            end = first;
        }
        let mapped = chunks.saturating_mul(geometry.chunk);
        let stated = geometry.sectors.saturating_mul(geometry.sector);
        let size = if stated == 0 || stated > mapped { mapped } else { stated };
        if stated > mapped {
            self.faults.push(format!("its chunks are of {mapped} bytes, its disk of {stated}"));
        }
        Ok(Segments {
            parts: self.parts,
            tables,
            sector: geometry.sector,
            chunk: geometry.chunk,
            size,
            unread: self.unread,
            faults: self.faults,
            digests: self.digests,
        })
    }
}

impl Table {
    /// Reads a table; if it is damaged, one without entries but with their count.
    fn read(bytes: &dyn ReadAt, segment: usize, at: u64, len: u64) -> Result<Table, Table> {
        let room = len.saturating_sub(TABLE) / 4;
        let header = read::array::<24>(bytes, at).unwrap_or_default();
        let sound = bytes::u32(&header, 20) == Some(adler2::adler32_slice(&header[..20]));
        let count = bytes::u32(&header, 0).map_or(0, u64::from);
        // Without a header, by the room that is there; the checksum takes one entry's.
        let count = if sound && count <= room { count } else { room.saturating_sub(1) };
        let count = count.min(MAX_CHUNKS);
        let base = bytes::u64(&header, 8).unwrap_or(0);
        let mut table = Table {
            first: 0,
            count: usize::try_from(count).unwrap_or(0),
            segment,
            base,
            entries: Vec::new(),
            is_counted: sound,
            wide_from: usize::MAX,
        };
        let entries = read::table(bytes, at + TABLE, count * 4, MAX_CHUNKS * 4, "a table");
        let Ok(entries) = entries.map_err(|_| ()) else { return Err(table) };
        let check = read::array::<4>(bytes, at + TABLE + count * 4).map(u32::from_le_bytes);
        // The oldest writers have no checksum behind the entries.
        let checked = room <= count || check.ok() == Some(adler2::adler32_slice(&entries));
        if !sound || !checked {
            return Err(table);
        }
        table.entries = entries;
        table.wide_from = table.find_wide();
        Ok(table)
    }

    /// From which entry on offsets take all 32 bits: the one at which they would pass 31.
    fn find_wide(&self) -> usize {
        let mut before = 0;
        for (at, entry) in self.entries.chunks_exact(4).enumerate() {
            let raw = bytes::u32(entry, 0).unwrap_or(0);
            let offset = raw & 0x7fff_ffff;
            // Offsets rise; one that falls back although its flag is set has passed 31 bits.
            if offset < before && raw >> 31 != 0 && raw > before {
                return at;
            }
            before = offset;
        }
        usize::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_named_from_e01_to_zzz() {
        for (own, number, want) in [
            ("a.E01", 1, Some("a.E01")),
            ("a.E01", 99, Some("a.E99")),
            ("a.E01", 100, Some("a.EAA")),
            ("a.e01", 126, Some("a.eba")),
            ("a.E01", 100 + 676, Some("a.FAA")),
            ("a.E01", MAX_SEGMENTS, Some("a.ZZZ")),
            ("a.E01", MAX_SEGMENTS + 1, None),
            ("a.s01", 2, Some("a.s02")),
            ("a.EAB", 1, Some("a.E01")),
            ("a.b.E07", 1, Some("a.b.E01")),
            ("a.dd", 2, None),
            ("a", 2, None),
            ("a.E01", 0, None),
        ] {
            assert_eq!(segment_name(own, number).as_deref(), want, "{own} {number}");
        }
    }

    #[test]
    fn offsets_beyond_31_bits_are_told_from_compressed_ones() {
        let table = |raw: &[u32]| {
            let entries = raw.iter().flat_map(|n| n.to_le_bytes()).collect();
            let count = raw.len();
            let is_counted = true;
            let table =
                Table { first: 0, count, segment: 0, base: 0, entries, is_counted, wide_from: 0 };
            table.find_wide()
        };
        let packed = 1 << 31;
        assert_eq!(table(&[76, packed | 32_848, packed | 40_000, 48_000]), usize::MAX);
        assert_eq!(table(&[0x7fff_0000, 0x7fff_8004, 0x8000_0008, 0x8000_800c]), 2);
        assert_eq!(table(&[packed | 0x7fff_8000, 0x8000_0004, 0x8000_8008]), 1);
    }
}
