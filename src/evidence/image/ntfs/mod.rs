//! NTFS: the event logs of a volume, live and deleted.
//!
//! The file table is read once from end to end, and no folder's index: every log is found wherever it
//! lies, also under a broken index and after it was deleted, and the pass is sequential. Names and
//! parents of folders are kept from it, and paths are put together at the end.
//!
//! Source of facts: the documentation of the Linux NTFS project, checked against ntfs-3g and The
//! Sleuth Kit (`tests/images.rs`).

mod lznt1;
mod record;
mod scan;
mod slack;
mod stream;

use super::{Damage, ImageFault, read};
use crate::bytes::{self, ReadAt};
use record::{Fixed, Record, kind};
use std::{io, ops::Range, sync::Arc};
use stream::{Runs, Stream, Units};

pub use scan::{NtfsFile, Scan, State};

/// The most clusters that NTFS addresses.
const MAX_CLUSTERS: u64 = u32::MAX as u64;

/// The largest cluster: 2 MiB since Windows 10 1709.
const MAX_CLUSTER: u64 = 2 << 20;

/// The largest record; Windows makes them of 1 or 4 KiB.
const MAX_RECORD: u64 = 64 << 10;

/// The longest attribute list: NTFS keeps them to 256 KiB.
const MAX_LIST: u64 = 256 << 10;

/// How many ranges of free clusters are given: with more, neighbours become one.
const MAX_FREE_RANGES: usize = 1 << 20;

/// The number of the record of the free clusters' bitmap.
const BITMAP: u64 = 6;

/// An NTFS volume.
pub struct Ntfs {
    volume: Arc<dyn ReadAt>,
    cluster: u64,
    clusters: u64,
    record: usize,
    table: Arc<Stream>,
    faults: Vec<String>,
}

impl std::fmt::Debug for Ntfs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ntfs")
            .field("cluster", &self.cluster)
            .field("clusters", &self.clusters)
            .field("record", &self.record)
            .finish_non_exhaustive()
    }
}

/// What a boot sector says.
#[derive(Debug, Clone, Copy)]
struct Boot {
    cluster: u64,
    clusters: u64,
    record: u64,
    table: u64,
    mirror: u64,
}

impl Boot {
    fn read(sector: &[u8; 512]) -> Result<Boot, ImageFault> {
        let broken = || ImageFault::broken("the boot sector of NTFS is damaged");
        if sector[3..11] != *b"NTFS    " {
            return Err(broken());
        }
        let sector_size = u64::from(bytes::u16(sector, 11).unwrap_or(0));
        if !sector_size.is_power_of_two() || !(256..=8192).contains(&sector_size) {
            return Err(broken());
        }
        // Above 0x80 it is a negative exponent, since the field is one byte.
        let factor = match sector[13] {
            n @ 0..=0x80 => u64::from(n),
            n => 1u64.checked_shl(u32::from(n.wrapping_neg())).unwrap_or(0),
        };
        let cluster = sector_size.saturating_mul(factor);
        if !cluster.is_power_of_two() || !(512..=MAX_CLUSTER).contains(&cluster) {
            return Err(broken());
        }
        let record = match sector[64] {
            n @ 0..=0x7f => u64::from(n).saturating_mul(cluster),
            n => 1u64.checked_shl(u32::from(n.wrapping_neg())).unwrap_or(0),
        };
        if !record.is_power_of_two() || !(512..=MAX_RECORD).contains(&record) {
            return Err(broken());
        }
        let number = |at| bytes::u64(sector, at).unwrap_or(0);
        let clusters = number(40) / factor;
        if clusters == 0 || clusters > MAX_CLUSTERS {
            return Err(broken());
        }
        Ok(Boot { cluster, clusters, record, table: number(48), mirror: number(56) })
    }
}

impl Ntfs {
    /// Reads what is needed of a volume to find its files.
    ///
    /// # Errors
    /// If both boot sectors, or both copies of the file table's first record, are damaged.
    pub fn open(volume: Arc<dyn ReadAt>) -> Result<Ntfs, ImageFault> {
        let mut faults = Vec::new();
        let boot = match Self::boot(&*volume) {
            Ok(boot) => boot,
            Err(fault) => {
                let copies = [512, 4096].into_iter().filter_map(|n| volume.size().checked_sub(n));
                let read = |at| read::array(&*volume, at).ok().and_then(|s| Boot::read(&s).ok());
                let Some(boot) = copies.filter_map(read).next() else { return Err(fault) };
                faults.push(format!("{fault}: its copy at the end of the volume is used"));
                boot
            }
        };
        let has = boot.clusters.saturating_mul(boot.cluster);
        if has > volume.size() {
            let short = has - volume.size();
            faults.push(format!("{short} bytes at the end of the file system are not there"));
        }
        let record = usize::try_from(boot.record).unwrap_or(0);
        let (first, table) = Self::first_record(&volume, &boot, &mut faults)?;
        let damage = Arc::new(Damage::default());
        let mut ntfs = Ntfs {
            volume: volume.clone(),
            cluster: boot.cluster,
            clusters: boot.clusters,
            record,
            table: Arc::new(Stream { volume, damage, ..table }),
            faults,
        };
        ntfs.extend_table(&first);
        if ntfs.table.runs.has_holes() || ntfs.table.runs.is_damaged() {
            ntfs.faults.push("parts of the file table are not on the volume".to_owned());
        }
        Ok(ntfs)
    }

    fn boot(volume: &dyn ReadAt) -> Result<Boot, ImageFault> {
        Boot::read(&read::array(volume, 0)?)
    }

    /// The file table's own record, which says where the table is, or its copy.
    fn first_record(
        volume: &Arc<dyn ReadAt>,
        boot: &Boot,
        faults: &mut Vec<String>,
    ) -> Result<(Vec<u8>, Stream), ImageFault> {
        let mut why = None;
        for (at, is_copy) in [(boot.table, false), (boot.mirror, true)] {
            let mut record = vec![0; usize::try_from(boot.record).unwrap_or(0)];
            let offset = at.checked_mul(boot.cluster);
            let offset = offset.ok_or_else(|| ImageFault::broken("the file table is nowhere"))?;
            if let Err(error) = read::exact(&**volume, offset, &mut record) {
                why.get_or_insert(ImageFault::Unreadable(error));
                continue;
            }
            if record::fix_up(&mut record) == Fixed::Sound
                && let Some(stream) = Self::table_stream(volume, boot, &record)
            {
                if is_copy {
                    faults
                        .push("the file table's first record is damaged: its copy is used".into());
                }
                return Ok((record, stream));
            }
        }
        let broken = "the first record of the file table and its copy are damaged";
        Err(why.unwrap_or_else(|| ImageFault::broken(broken)))
    }

    fn table_stream(volume: &Arc<dyn ReadAt>, boot: &Boot, record: &[u8]) -> Option<Stream> {
        let record = Record::read(record)?;
        let data = record.attributes().find(|a| a.kind == kind::DATA && !a.is_named)?;
        let data = data.non_resident().filter(|data| data.start_vcn == 0)?;
        let mut runs = Runs::default();
        runs.add(0, data.runs, boot.clusters);
        runs.first_cluster()?;
        Some(Stream {
            volume: volume.clone(),
            cluster: boot.cluster,
            runs,
            size: data.size,
            valid: data.valid.min(data.size),
            units: None,
            damage: Arc::default(),
        })
    }

    /// The table's further runs, which stand in records that the runs known so far lead to.
    fn extend_table(&mut self, first: &[u8]) {
        let Some(base) = Record::read(first) else { return };
        let Some(list) = base.attributes().find(|a| a.kind == kind::ATTRIBUTE_LIST) else { return };
        let mut whole = true;
        match self.list(&list) {
            Ok((mut entries, all)) => {
                whole &= all;
                entries.retain(|entry| entry.start_vcn > 0);
                entries.sort_by_key(|entry| entry.start_vcn);
                for entry in entries {
                    whole &= self.extend_table_by(&entry).is_some();
                }
            }
            Err(_) => whole = false,
        }
        if !whole {
            self.faults.push("the list of the file table's parts is damaged".to_owned());
        }
    }

    fn extend_table_by(&mut self, entry: &ListEntry) -> Option<()> {
        let mut data = vec![0; self.record];
        self.read_record(entry.record, &mut data).ok().filter(|fixed| *fixed == Fixed::Sound)?;
        let record = Record::read(&data)?;
        record.base.filter(|base| base.record == 0)?;
        let mut parts = record
            .attributes()
            .filter(|a| a.kind == kind::DATA && !a.is_named)
            .filter_map(|a| a.non_resident());
        let part = parts.find(|part| part.start_vcn == entry.start_vcn)?;
        let clusters = self.clusters;
        Arc::get_mut(&mut self.table)?.runs.add(part.start_vcn, part.runs, clusters).then_some(())
    }

    /// Reads a record and puts its check values right.
    fn read_record(&self, number: u64, record: &mut [u8]) -> io::Result<Fixed> {
        let at = number.saturating_mul(self.record as u64);
        read::exact(&*self.table, at, record)?;
        Ok(record::fix_up(record))
    }

    /// The entries of an attribute list that are of unnamed data, and whether the list is whole.
    fn list(
        &self,
        attribute: &record::Attribute<'_>,
    ) -> Result<(Vec<ListEntry>, bool), ImageFault> {
        let broken = || ImageFault::broken("a list of attributes is damaged");
        let stored;
        let value = if let Some(value) = attribute.value() {
            value
        } else {
            let place = attribute.non_resident().ok_or_else(broken)?;
            if place.size > MAX_LIST || place.start_vcn != 0 {
                return Err(broken());
            }
            let mut runs = Runs::default();
            runs.add(0, place.runs, self.clusters);
            let stream = self.stream(runs, place.size, place.valid, None, &Arc::default());
            let mut value = vec![0; usize::try_from(place.size).unwrap_or(0)];
            read::exact(&stream, 0, &mut value)?;
            stored = value;
            &stored
        };
        let (mut entries, mut rest) = (Vec::new(), value);
        while !rest.is_empty() {
            let Some(entry) = ListEntry::read(rest) else { return Ok((entries, false)) };
            rest = rest.get(entry.len..).unwrap_or_default();
            if entry.is_unnamed_data {
                entries.push(entry);
            }
        }
        Ok((entries, true))
    }

    fn stream(
        &self,
        runs: Runs,
        size: u64,
        valid: u64,
        units: Option<Units>,
        damage: &Arc<Damage>,
    ) -> Stream {
        let volume = self.volume.clone();
        let damage = damage.clone();
        Stream { volume, cluster: self.cluster, runs, size, valid: valid.min(size), units, damage }
    }

    /// The size of a cluster.
    #[must_use]
    pub fn cluster_size(&self) -> u64 {
        self.cluster
    }

    /// Finds the event logs.
    #[must_use]
    pub fn scan(&self) -> Scan {
        scan::scan(self, false)
    }

    /// Finds the event logs, and the slack of all files.
    #[must_use]
    pub fn scan_with_slack(&self) -> Scan {
        scan::scan(self, true)
    }

    /// The bitmap of clusters in use.
    fn bitmap(&self) -> Result<Stream, ImageFault> {
        let broken = || ImageFault::broken("the bitmap of free clusters cannot be found");
        let mut data = vec![0; self.record];
        if self.read_record(BITMAP, &mut data)? != Fixed::Sound {
            return Err(broken());
        }
        let record = Record::read(&data).ok_or_else(broken)?;
        let value = record.attributes().find(|a| a.kind == kind::DATA && !a.is_named);
        let place = value.and_then(|value| value.non_resident()).ok_or_else(broken)?;
        let mut runs = Runs::default();
        if place.start_vcn != 0 || !runs.add(0, place.runs, self.clusters) {
            return Err(broken());
        }
        let size = place.size.min(self.clusters.div_ceil(8));
        Ok(self.stream(runs, size, place.valid, None, &Arc::default()))
    }

    /// The ranges of bytes of the volume that belong to no live file, in order. If there are very
    /// many, small used clusters between them count as free too.
    ///
    /// # Errors
    /// If the bitmap of free clusters cannot be found. What cannot be read of it counts as free.
    pub fn unallocated(&self) -> Result<Vec<Range<u64>>, ImageFault> {
        let bitmap = self.bitmap()?;
        let mut free = Free::new();
        let mut piece = vec![0; 64 << 10];
        let mut at = 0;
        while at < bitmap.size() {
            let len = match read::full(&bitmap, at, &mut piece) {
                Ok(0) => break,
                Ok(len) => len,
                Err(_) => {
                    let len = usize::try_from(bitmap.size() - at).unwrap_or(usize::MAX);
                    let len = len.min(4096);
                    piece.get_mut(..len).unwrap_or_default().fill(0);
                    len
                }
            };
            for (byte, first) in piece.iter().take(len).zip((at * 8..).step_by(8)) {
                free.take(*byte, first, self.clusters);
            }
            at += len as u64;
        }
        free.push(at * 8, self.clusters);
        let bytes = |range: Range<u64>| range.start * self.cluster..range.end * self.cluster;
        let mut ranges: Vec<_> = free.ranges.into_iter().map(bytes).collect();
        // Behind the last cluster stands the copy of the boot sector, and what was there before.
        let end = self.clusters.saturating_mul(self.cluster);
        if end < self.volume.size() {
            match ranges.last_mut().filter(|last| last.end == end) {
                Some(last) => last.end = self.volume.size(),
                None => ranges.push(end..self.volume.size()),
            }
        }
        Ok(ranges)
    }
}

/// An entry of an attribute list.
#[derive(Debug, Clone, Copy)]
struct ListEntry {
    len: usize,
    is_unnamed_data: bool,
    record: u64,
    start_vcn: u64,
}

impl ListEntry {
    fn read(list: &[u8]) -> Option<ListEntry> {
        let len = bytes::u16(list, 4).map(usize::from).filter(|len| *len >= 26)?;
        let entry = bytes::slice(list, 0, len)?;
        Some(ListEntry {
            len,
            is_unnamed_data: bytes::u8(entry, 6)? == 0 && bytes::u32(entry, 0)? == kind::DATA,
            record: record::Reference::read(entry, 16)?.record,
            start_vcn: bytes::u64(entry, 8)?,
        })
    }
}

/// Ranges of free clusters, gathered.
struct Free {
    ranges: Vec<Range<u64>>,
    /// Gaps up to this many clusters are not kept.
    gap: u64,
}

impl Free {
    fn new() -> Free {
        Free { ranges: Vec::new(), gap: 0 }
    }

    /// Takes eight clusters from `first` on.
    fn take(&mut self, used: u8, first: u64, clusters: u64) {
        match used {
            0xff => {}
            0 => self.push(first, (first + 8).min(clusters)),
            _ => {
                for bit in (0..8).filter(|bit| used >> bit & 1 == 0) {
                    self.push(first + bit, (first + bit + 1).min(clusters));
                }
            }
        }
    }

    fn push(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        match self.ranges.last_mut() {
            Some(last) if start - last.end <= self.gap => last.end = end,
            _ => self.ranges.push(start..end),
        }
        if self.ranges.len() > MAX_FREE_RANGES {
            self.gap = self.gap * 2 + 1;
            for range in std::mem::take(&mut self.ranges) {
                match self.ranges.last_mut() {
                    Some(last) if range.start - last.end <= self.gap => last.end = range.end,
                    _ => self.ranges.push(range),
                }
            }
        }
    }
}
