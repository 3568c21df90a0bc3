//! One pass over the file table: which files are event logs, and what they consist of.
//!
//! A file is an event log by its name (`*.evtx`) or by what its data begins with, whatever it is
//! called. The first clusters of all files are looked at for that in the order in which they lie on
//! the disk, in batches, so that memory stays bounded.
//!
//! A file's further records are those that say so themselves, and that its attribute list names if
//! it has one that can be read. Its parts are put together by where they begin in the value.

use super::{
    super::{super::sniff::LOG_MAGIC, Damage, read},
    Ntfs,
    record::{self, Attribute, ENCRYPTED, FileName, Fixed, Record, Reference, kind},
    slack::Slack,
    stream::{Runs, Units},
};
use crate::bytes::{self, ReadAt};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ops::Range,
    sync::Arc,
};

/// How many records are looked at: four times what the largest volumes in use have.
const MAX_RECORDS: u64 = 1 << 28;

/// How many logs are handed on: a server that archives them for years has thousands.
const MAX_LOGS: usize = 1 << 17;

/// How much of the table is read at once.
const BATCH: usize = 1 << 20;

/// How many first clusters are gathered before they are looked at.
const MAX_PROBES: usize = 1 << 20;

/// The longest path, in bytes: the longest of Windows are 32,767 units.
const MAX_PATH: usize = 32_767;

/// The largest file that is read as it says: event logs end at 2 TiB by their own limits, and a hole
/// costs nothing to make.
const MAX_SIZE: u64 = 1 << 40;

/// The number of the root folder.
const ROOT: u64 = 5;

/// The tag of a file that Windows compressed apart from the file system (`compact /exe`).
const WOF: u32 = 0x8000_0017;

/// The tag of a file whose content a server keeps once for all that have the same ([MS-FSCC] 2.1.2.1,
/// IO_REPARSE_TAG_DEDUP).
const DEDUP: u32 = 0x8000_0013;

/// Whether a file is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is.
    Live,
    /// It was deleted; its record is whole, and its clusters may belong to others now.
    Deleted,
}

/// An event log on a volume.
#[derive(Clone)]
pub struct NtfsFile {
    /// Its full path, with `/` and without one in front; it begins with `?/` if a folder above it is
    /// not known any more.
    pub path: String,
    /// The number of its record.
    pub record: u64,
    /// Whether it is there.
    pub state: State,
    /// Its size.
    pub size: u64,
    /// From here to its size it was never written, and reads as zeros.
    pub valid_len: u64,
    /// Its bytes.
    pub bytes: Arc<dyn ReadAt>,
    /// Where on the volume its clusters are, in bytes; empty if it stands in the file table.
    pub extents: Vec<Range<u64>>,
    /// Of these, what holds its bytes: the rest is its slack.
    pub held: Vec<Range<u64>>,
    /// How many bytes of its clusters are in use by others now, if it was deleted.
    pub reused: u64,
    /// What is wrong with it.
    pub faults: Vec<String>,
    /// What of it could not be read so far.
    pub damage: Arc<Damage>,
}

impl std::fmt::Debug for NtfsFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NtfsFile")
            .field("path", &self.path)
            .field("record", &self.record)
            .field("state", &self.state)
            .field("size", &self.size)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

/// What a pass over the file table found.
#[derive(Debug, Default)]
pub struct Scan {
    /// The event logs, by the numbers of their records.
    pub files: Vec<NtfsFile>,
    /// How many records the table has.
    pub records: u64,
    /// How many of them are torn or overwritten: a file in one is not found.
    pub torn: u64,
    /// How many of them could not be read.
    pub unreadable: u64,
    /// What is wrong with the volume.
    pub faults: Vec<String>,
    /// The slack of live files in bytes of the volume, in order and apart, if it was asked for.
    pub slack: Vec<Range<u64>>,
}

struct Folder {
    parent: Reference,
    sequence: u16,
    in_use: bool,
    name: String,
}

struct Pass<'v> {
    ntfs: &'v Ntfs,
    scan: Scan,
    folders: HashMap<u64, Folder>,
    /// By the number of a file's first record, those that continue it.
    continued: BTreeMap<u64, Vec<u64>>,
    /// Names that stand in records that continue others.
    names: HashMap<u64, FileName>,
    /// The first records of what may be event logs.
    logs: BTreeSet<u64>,
    /// First clusters, and whose.
    probes: Vec<(u64, u64)>,
    /// Files of which the first bytes are known only when they are decompressed.
    packed: Vec<u64>,
    too_many: bool,
    /// If it is gathered.
    slack: Option<Slack>,
}

/// Finds the event logs of a volume, and the slack of all files if that is asked for.
pub(super) fn scan(ntfs: &Ntfs, slack: bool) -> Scan {
    let mut pass = Pass {
        ntfs,
        scan: Scan { faults: ntfs.faults.clone(), ..Scan::default() },
        folders: HashMap::new(),
        continued: BTreeMap::new(),
        names: HashMap::new(),
        logs: BTreeSet::new(),
        probes: Vec::new(),
        packed: Vec::new(),
        too_many: false,
        slack: slack.then(Slack::default),
    };
    pass.run();
    pass.finish()
}

impl Pass<'_> {
    fn run(&mut self) {
        let size = self.ntfs.record as u64;
        let table = self.ntfs.table.clone();
        let mapped = table.runs.end().saturating_mul(self.ntfs.cluster);
        if table.valid > mapped {
            self.scan.faults.push("the file table is longer than its parts".to_owned());
        }
        let mut records = table.valid.min(mapped) / size;
        if records > MAX_RECORDS {
            self.scan.faults.push(format!("of {records} files, {MAX_RECORDS} are looked at"));
            records = MAX_RECORDS;
        }
        self.scan.records = records;
        let mut batch = vec![0; BATCH];
        let mut number = 0;
        while number < records {
            let wanted = (records - number).saturating_mul(size);
            let buf = read::front(&mut batch, wanted);
            let len = read::full(&*table, number * size, buf).unwrap_or(0) / self.ntfs.record;
            for record in batch.chunks_exact_mut(self.ntfs.record).take(len) {
                self.record(number, record);
                number += 1;
            }
            if len == 0 {
                self.single(number);
                number += 1;
            }
        }
        self.look_at_probes();
    }

    /// A record that could not be read with its neighbours.
    fn single(&mut self, number: u64) {
        let mut record = vec![0; self.ntfs.record];
        let at = number * self.ntfs.record as u64;
        match read::exact(&*self.ntfs.table.clone(), at, &mut record) {
            Ok(()) => self.record(number, &mut record),
            Err(_) => self.scan.unreadable += 1,
        }
    }

    fn record(&mut self, number: u64, data: &mut [u8]) {
        match record::fix_up(data) {
            Fixed::Sound => {}
            Fixed::Blank => return,
            Fixed::Torn => {
                self.scan.torn += 1;
                return;
            }
        }
        let Some(record) = Record::read(data) else {
            self.scan.torn += 1;
            return;
        };
        let owner = record.base.map_or(number, |base| base.record);
        if record.base.is_some() {
            self.continued.entry(owner).or_default().push(number);
        }
        let mut name: Option<FileName> = None;
        for attribute in record.attributes() {
            if let (true, kind::DATA, Some(slack)) =
                (record.in_use, attribute.kind, &mut self.slack)
            {
                slack.take(owner, &attribute, self.ntfs.clusters, self.ntfs.cluster);
            }
            match attribute.kind {
                kind::FILE_NAME => {
                    let found = attribute.value().and_then(FileName::read);
                    let better = |found: &FileName| {
                        name.as_ref().is_none_or(|name| found.is_better_than(name))
                    };
                    name = found.filter(better).or(name);
                }
                kind::DATA if !attribute.is_named => self.data(owner, &attribute),
                _ => {}
            }
        }
        let Some(name) = name else { return };
        if is_named_as_a_log(&name.name) && !record.is_folder {
            self.add_log(owner);
        }
        if record.base.is_some() {
            let known = self.names.get(&owner);
            if known.is_none_or(|known| name.is_better_than(known)) {
                self.names.insert(owner, name);
            }
        } else if record.is_folder {
            let FileName { parent, name, .. } = name;
            let (sequence, in_use) = (record.sequence, record.in_use);
            self.folders.insert(number, Folder { parent, sequence, in_use, name });
        }
    }

    /// Looks at what a file's data begins with, now or later.
    fn data(&mut self, owner: u64, attribute: &Attribute<'_>) {
        if let Some(value) = attribute.value() {
            if value.starts_with(LOG_MAGIC) {
                self.add_log(owner);
            }
            return;
        }
        let Some(place) = attribute.non_resident() else { return };
        if place.start_vcn != 0 || place.valid.min(place.size) < LOG_MAGIC.len() as u64 {
            return;
        }
        if attribute.is_compressed() {
            self.packed.push(owner);
        } else {
            let mut runs = Runs::default();
            runs.add_first(place.runs, self.ntfs.clusters);
            if let Some(cluster) = runs.first_cluster() {
                self.probes.push((cluster, owner));
            }
        }
        if self.probes.len() + self.packed.len() >= MAX_PROBES {
            self.look_at_probes();
        }
    }

    fn add_log(&mut self, number: u64) {
        if self.logs.len() < MAX_LOGS {
            self.logs.insert(number);
        } else if !self.logs.contains(&number) {
            self.too_many = true;
        }
    }

    /// Looks at first clusters, in the order in which they lie.
    fn look_at_probes(&mut self) {
        let mut probes = std::mem::take(&mut self.probes);
        probes.sort_unstable();
        for (cluster, owner) in probes {
            let at = cluster * self.ntfs.cluster;
            // What cannot be read is told of when the file is read, if it is a log by its name.
            if read::array(&*self.ntfs.volume, at).is_ok_and(|start: [u8; 8]| start == *LOG_MAGIC) {
                self.add_log(owner);
            }
        }
        for owner in std::mem::take(&mut self.packed) {
            let begins = |file: &NtfsFile| {
                read::array(&*file.bytes, 0).is_ok_and(|start: [u8; 8]| start == *LOG_MAGIC)
            };
            if !self.logs.contains(&owner) && self.file(owner).as_ref().is_some_and(begins) {
                self.add_log(owner);
            }
        }
    }

    fn finish(mut self) -> Scan {
        let bitmap = self.ntfs.bitmap().ok();
        // First clusters of logs, and the sizes of the largest there.
        let mut begun: HashMap<u64, u64> = HashMap::new();
        let mut doubtful = Vec::new();
        for number in std::mem::take(&mut self.logs) {
            let Some(mut file) = self.file(number) else { continue };
            let first = file.extents.first().map(|extent| extent.start);
            if file.state == State::Deleted {
                let in_use = |extent| bitmap.as_ref().map_or(0, |map| self.in_use(map, extent));
                file.reused = file.extents.iter().map(in_use).sum();
                if let Some(start) = first.filter(|_| !is_named_as_a_log(&file.path)) {
                    let cluster = start..start.saturating_add(self.ntfs.cluster);
                    doubtful.push((start, in_use(&cluster) > 0, file));
                    continue;
                }
            }
            if let Some(start) = first {
                let size = begun.entry(start).or_default();
                *size = file.size.max(*size);
            }
            self.scan.files.push(file);
        }
        // Deleted and not named as a log, it was found by what is in a cluster that another file may
        // own now, or owned later: what that one gives is not handed on a second time.
        for (start, in_use, file) in doubtful {
            if !in_use && begun.get(&start).is_none_or(|size| *size < file.size) {
                self.scan.files.push(file);
            }
        }
        self.scan.files.sort_by_key(|file| file.record);
        if let Some(slack) = self.slack.take() {
            let (ranges, more) = slack.finish(self.ntfs.clusters, self.ntfs.cluster);
            if more {
                let n = ranges.len();
                self.scan.faults.push(format!("of the slack of its files, {n} ranges are known"));
            }
            self.scan.slack = ranges;
        }
        if self.too_many {
            self.scan.faults.push(format!("of its event logs, {MAX_LOGS} are read"));
        }
        self.scan
    }

    /// How many bytes of a range of the volume are in use.
    fn in_use(&self, bitmap: &dyn ReadAt, extent: &Range<u64>) -> u64 {
        let clusters = extent.start / self.ntfs.cluster..extent.end / self.ntfs.cluster;
        let mut buf = [0; 4096];
        let mut used = 0u64;
        let mut at = clusters.start;
        while at < clusters.end {
            let bits = (buf.len() as u64 * 8).min(clusters.end.div_ceil(8) * 8 - at / 8 * 8);
            let part = read::front(&mut buf, bits.div_ceil(8));
            if read::exact(bitmap, at / 8, part).is_err() {
                return used * self.ntfs.cluster;
            }
            let end = (at / 8 * 8 + bits).min(clusters.end);
            for cluster in at..end {
                let byte = usize::try_from(cluster / 8 - at / 8).ok().and_then(|n| part.get(n));
                used += u64::from(byte.is_some_and(|byte| byte >> (cluster % 8) & 1 != 0));
            }
            at = end;
        }
        used * self.ntfs.cluster
    }

    /// Puts a file together.
    fn file(&self, number: u64) -> Option<NtfsFile> {
        let mut data = vec![0; self.ntfs.record];
        let fixed = self.ntfs.read_record(number, &mut data).ok()?;
        // A record that continues one that is gone.
        if fixed != Fixed::Sound {
            return None;
        }
        let record = Record::read(&data).filter(|record| record.base.is_none())?;
        if record.is_folder {
            return None;
        }
        let mut file = Parts::default();
        file.take(&record, number);
        if let Some(list) = record.attributes().find(|a| a.kind == kind::ATTRIBUTE_LIST) {
            self.take_continued(number, &record, &list, &mut file);
        }
        let name = file.name.clone().or_else(|| self.names.get(&number).cloned());
        let path = match &name {
            Some(name) => self.path(name),
            None => format!("?/{number}"),
        };
        let state = if record.in_use { State::Live } else { State::Deleted };
        Some(self.assemble(number, path, state, file))
    }

    /// Takes the parts of a file that stand in other records.
    fn take_continued(
        &self,
        number: u64,
        base: &Record<'_>,
        list: &Attribute<'_>,
        file: &mut Parts,
    ) {
        let mut named = None;
        match self.ntfs.list(list) {
            Ok((entries, whole)) => {
                if whole {
                    named = Some(entries.iter().map(|entry| entry.record).collect::<HashSet<_>>());
                }
            }
            Err(error) => file.faults.push(error.to_string()),
        }
        let none = Vec::new();
        for &other in self.continued.get(&number).unwrap_or(&none) {
            if named.as_ref().is_some_and(|named| !named.contains(&other)) {
                continue;
            }
            let mut data = vec![0; self.ntfs.record];
            if !matches!(self.ntfs.read_record(other, &mut data), Ok(Fixed::Sound)) {
                continue;
            }
            let Some(record) = Record::read(&data) else { continue };
            if record.base.is_some_and(|of| continues(of, number, base))
                && record.in_use == base.in_use
            {
                file.take(&record, other);
            }
        }
    }

    fn assemble(&self, number: u64, path: String, state: State, mut file: Parts) -> NtfsFile {
        let damage = Arc::new(Damage::default());
        let mut faults = std::mem::take(&mut file.faults);
        faults.extend(match file.kept_by {
            Some(WOF) => Some(
                "Windows keeps it compressed apart from the file system (WOF): copy it out on Windows"
                    .to_owned(),
            ),
            Some(DEDUP) => Some(
                "Windows keeps its content in the store of data deduplication: copy it out on a \
                 Windows server that has that feature"
                    .to_owned(),
            ),
            _ => None,
        });
        let ready = |bytes: Arc<dyn ReadAt>, valid_len, extents, held, faults| NtfsFile {
            path,
            record: number,
            state,
            size: bytes.size(),
            valid_len,
            bytes,
            extents,
            held,
            reused: 0,
            faults,
            damage: damage.clone(),
        };
        if let Some(value) = file.value {
            let len = value.len() as u64;
            return ready(Arc::new(value), len, Vec::new(), Vec::new(), faults);
        }
        file.parts.sort_by_key(|part| part.start_vcn);
        let mut runs = Runs::default();
        let mut whole = true;
        for part in &file.parts {
            whole &= runs.add(part.start_vcn, &part.runs, self.ntfs.clusters);
        }
        let mapped = runs.end().saturating_mul(self.ntfs.cluster);
        let first = file.parts.first().filter(|part| part.start_vcn == 0);
        let (mut size, valid) = first.map_or((mapped, mapped), |part| (part.size, part.valid));
        if file.parts.is_empty() {
            faults.push("its record does not say where its data is".to_owned());
        } else if !whole || runs.is_damaged() || first.is_none() || valid.min(size) > mapped {
            faults.push("parts of it are not found on the volume".to_owned());
        }
        if size > MAX_SIZE {
            faults.push(format!("it says that it has {size} bytes, of which {MAX_SIZE} are read"));
            size = MAX_SIZE;
        }
        let encrypted = first.is_some_and(|part| part.encrypted);
        if encrypted {
            faults.push("it is encrypted (EFS)".to_owned());
        }
        let mut units = None;
        if let Some(part) = first.filter(|part| part.compressed) {
            units = Units::new(part.unit, self.ntfs.cluster);
            if units.is_none() {
                faults.push("it is compressed in a way that is not known".to_owned());
            }
        }
        let extents = runs.extents(self.ntfs.cluster);
        let held = match first {
            Some(part) if part.compressed => extents.clone(),
            _ => runs.extents_of(&(0..valid.min(size)), self.ntfs.cluster),
        };
        let stream = self.ntfs.stream(runs, size, valid, units, &damage);
        let valid = stream.valid;
        ready(Arc::new(stream), valid, extents, held, faults)
    }

    /// The path of a file by its name.
    fn path(&self, name: &FileName) -> String {
        let mut parts = vec![name.name.as_str()];
        let mut len = name.name.len();
        let mut parent = name.parent;
        let mut seen = HashSet::new();
        while parent.record != ROOT {
            let folder = self.folders.get(&parent.record);
            let Some(folder) = folder.filter(|folder| folder.is(parent.sequence)) else {
                parts.push("?");
                break;
            };
            len += folder.name.len() + 1;
            if !seen.insert(parent.record) || len > MAX_PATH {
                parts.push("?");
                break;
            }
            parts.push(&folder.name);
            parent = folder.parent;
        }
        parts.reverse();
        parts.join("/")
    }
}

fn is_named_as_a_log(path: &str) -> bool {
    let end = path.len().checked_sub(5).and_then(|at| path.get(at..));
    end.is_some_and(|end| end.eq_ignore_ascii_case(".evtx"))
}

impl Folder {
    /// Whether it is the folder that a reference was made to: deleting one counts its record's uses
    /// up.
    fn is(&self, sequence: u16) -> bool {
        self.sequence == sequence || (!self.in_use && self.sequence == sequence.wrapping_add(1))
    }
}

/// Whether a reference to a base record is to this use of it.
fn continues(reference: Reference, number: u64, base: &Record<'_>) -> bool {
    reference.record == number
        && (reference.sequence == base.sequence
            || (!base.in_use && base.sequence == reference.sequence.wrapping_add(1)))
}

/// A part of a file's data.
struct Part {
    start_vcn: u64,
    runs: Vec<u8>,
    size: u64,
    valid: u64,
    unit: u16,
    compressed: bool,
    encrypted: bool,
}

/// What is gathered of a file from its records.
#[derive(Default)]
struct Parts {
    name: Option<FileName>,
    value: Option<Vec<u8>>,
    parts: Vec<Part>,
    /// The tag of what keeps its content elsewhere.
    kept_by: Option<u32>,
    faults: Vec<String>,
}

impl Parts {
    fn take(&mut self, record: &Record<'_>, number: u64) {
        for attribute in record.attributes() {
            match attribute.kind {
                kind::FILE_NAME => {
                    let found = attribute.value().and_then(FileName::read);
                    let better = |found: &FileName| {
                        self.name.as_ref().is_none_or(|name| found.is_better_than(name))
                    };
                    if let Some(found) = found.filter(better) {
                        self.name = Some(found);
                    }
                }
                kind::REPARSE_POINT => {
                    let tag = attribute.value().and_then(|value| bytes::u32(value, 0));
                    self.kept_by = tag.or(self.kept_by);
                }
                kind::DATA if !attribute.is_named => self.take_data(&attribute, number),
                _ => {}
            }
        }
    }

    fn take_data(&mut self, attribute: &Attribute<'_>, number: u64) {
        if let Some(value) = attribute.value() {
            self.value.get_or_insert_with(|| value.to_vec());
        } else if let Some(place) = attribute.non_resident() {
            self.parts.push(Part {
                start_vcn: place.start_vcn,
                runs: place.runs.to_vec(),
                size: place.size,
                valid: place.valid,
                unit: place.unit,
                compressed: attribute.is_compressed(),
                encrypted: attribute.flags & ENCRYPTED != 0,
            });
        } else {
            self.faults.push(format!("its data's attribute in record {number} is damaged"));
        }
    }
}
