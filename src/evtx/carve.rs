//! Carving: chunks and records in raw bytes, wherever they begin.
//!
//! Raw bytes are free space of a volume, a dump of memory, the rest of a file. A chunk is found by its
//! magic at any offset and believed if both its checksums fit; one of which only the header's fits is
//! *torn*: overwritten in part, or being written when the bytes were copied. Records that lie in no
//! whole chunk are *orphans*: found by their magic and believed if the size stands at their end once
//! more, the time is one, and the BinXML begins as that of Windows' records does.
//!
//! To read an orphan the chunk that it was cut from is needed, for its templates stand there. Where
//! that chunk began, its *base*, is not guessed: the first record to use a template has the
//! definition in it and says where in the chunk that stands, so the base follows exactly. What is left
//! of the chunk is laid out anew behind an empty header, and a record in it is read only if the
//! template that it names is still there, and whole (its GUID, and the hashes of its names). Headers
//! of torn chunks give bases too.
//!
//! Invariants:
//! - What is found does not depend on how the bytes are cut into windows: everything belongs to the
//!   window in which it begins, and is decided by the bytes within [`MARGIN`] of it.
//! - Nothing is lost silently: an orphan that cannot be read is handed over as [`Lost`].
//! - Memory is that of the window and its margins; each byte is looked at a bounded number of times
//!   ([`MAX_BASES`]).
//!
//! Source: the shapes of chunk and record as in `chunk` and `walk`; [MS-EVEN6] 2.2.12 for where a
//! definition stands in an instance. That these tests let nothing false through was tried on 96 MB of
//! random bytes (2026-11).

use super::chunk::{self, Finding, HEADER, Header, SIZE};
use super::index;
use super::known::Templates;
use super::partial::Outer;
use super::reader::{Bin, ChunkReport, Counts, Options, Reader, Sink};
use super::walk::{self, Found, State};
use crate::bytes::{self, ReadAt};
use memchr::memmem::Finder;
use std::io;
use std::ops::{ControlFlow, Range, RangeInclusive};
use std::sync::Arc;

/// How far around a place it is decided what is there: a record's chunk reaches 64 KiB before it,
/// and what stands there can lie in a chunk that begins 64 KiB before that; the same behind it.
pub const MARGIN: u64 = 2 * SIZE as u64;

/// What is read at once.
const READ: usize = 1 << 20;

/// Sizes of records that are believed without a chunk: the shortest goes up to its template's offset.
const SIZES: RangeInclusive<usize> = 0x26..=SIZE - HEADER;

/// FILETIMEs of 2000 and 2108: EVTX came with Windows Vista, and a record of another time is none.
const TIMES: Range<u64> = 125_911_584_000_000_000..159_992_928_000_000_000;

/// What the first bytes of a record's BinXML are: a fragment's header, and a template instance, of
/// which a byte follows.
const BINXML: [u8; 5] = [0x0f, 0x01, 0x01, 0x00, 0x0c];

/// Where a chunk's header says how long its fields are, and what.
const SIZE_FIELD: usize = 0x28;
const FIELDS: u32 = 128;

/// The most bases that are tried for the orphans of a chunk's length: those of real chunks do not
/// overlap, crafted records may each name another.
const MAX_BASES: usize = 32;

/// What was met in a stretch of raw bytes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Whole chunks.
    pub valid: u64,
    /// Chunks of which only the header is whole.
    pub torn: u64,
    /// Records outside of whole chunks; each went to the sink or is [`Lost`].
    pub orphans: u64,
    /// Bytes that the medium did not give.
    pub unread: u64,
}

impl Stretch {
    /// Adds another stretch.
    pub fn add(&mut self, other: Stretch) {
        self.valid += other.valid;
        self.torn += other.torn;
        self.orphans += other.orphans;
        self.unread += other.unread;
    }
}

/// An orphan that cannot be read from what is around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Where it stands.
    pub offset: u64,
    /// Its size.
    pub size: u32,
    /// The id in its header.
    pub record_id: u64,
    /// The time in its header, a FILETIME.
    pub time: u64,
    /// What its System part says, if the template of that is known.
    pub outer: Option<Outer>,
    /// All of it, for [`Partial`](super::Partial).
    pub record: Box<[u8]>,
}

/// A chunk that was found, by its place in the buffer.
#[derive(Debug, Clone, Copy)]
struct Hit {
    at: usize,
    /// Where its records end, if they are what their checksum says.
    whole: Option<usize>,
    /// Whether its header is what its checksum says.
    sealed: bool,
}

/// An orphan, by its place in the buffer.
#[derive(Debug, Clone, Copy)]
struct Orphan {
    at: usize,
    size: usize,
    id: u64,
    time: u64,
    /// Which of the bases it is read with.
    base: Option<usize>,
}

/// Carves raw bytes. One thread's state.
pub struct Carver {
    reader: Reader,
    buffer: Vec<u8>,
    chunk: Vec<u8>,
    chunks: Finder<'static>,
    records: Finder<'static>,
    hits: Vec<Hit>,
    orphans: Vec<Orphan>,
}

impl std::fmt::Debug for Carver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Carver").finish_non_exhaustive()
    }
}

impl Default for Carver {
    fn default() -> Self {
        Carver::new()
    }
}

impl Carver {
    /// A carver.
    #[must_use]
    pub fn new() -> Carver {
        // The slack of whole chunks is looked through for orphans like all else.
        Carver::of(Reader::new(Options { recover: false, slow_only: false }))
    }

    /// One with templates for the orphans whose chunk is gone.
    #[must_use]
    pub fn with_templates(templates: Option<Arc<Templates>>) -> Carver {
        let Carver { reader, .. } = Carver::new();
        Carver::of(reader.with_templates(templates))
    }

    /// One that keeps what templates it meets.
    #[must_use]
    pub fn collecting() -> Carver {
        let Carver { reader, .. } = Carver::new();
        Carver::of(reader.collecting())
    }

    /// The templates that it met, if it keeps them.
    #[must_use]
    pub fn into_templates(self) -> Templates {
        self.reader.into_templates()
    }

    fn of(reader: Reader) -> Carver {
        Carver {
            reader,
            buffer: Vec::new(),
            chunk: Vec::new(),
            chunks: Finder::new(chunk::MAGIC),
            records: Finder::new(walk::MAGIC),
            hits: Vec::new(),
            orphans: Vec::new(),
        }
    }

    /// Reads what begins in `ranges`, which lie in order in one window of the source: hands the sink
    /// the records of whole chunks and those orphans that can be read, in order of where they stand,
    /// and gives the other orphans to `lost`.
    ///
    /// A window has [`MARGIN`] on both sides, which is read with it.
    pub fn read(
        &mut self,
        source: &dyn ReadAt,
        ranges: &[Range<u64>],
        sink: &mut impl Sink,
        lost: &mut Vec<Lost>,
    ) -> (Stretch, ControlFlow<()>) {
        let mut stretch = Stretch::default();
        let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else {
            return (stretch, ControlFlow::Continue(()));
        };
        let start = first.start.saturating_sub(MARGIN);
        let end = last.end.saturating_add(MARGIN).min(source.size());
        stretch.unread = self.load(source, start..end);
        let within = |at: usize| {
            let at = start + at as u64;
            let before = ranges.partition_point(|range| range.end <= at);
            ranges.get(before).is_some_and(|range| range.contains(&at))
        };
        self.find_chunks();
        self.find_orphans();
        let bases = self.bases(&within);
        self.assign(&bases);
        let flow = self.hand_over(start, &bases, &within, &mut stretch, sink, lost);
        (stretch, flow)
    }

    /// Reads bytes into the buffer; says how many are missing, which are zeros there.
    fn load(&mut self, source: &dyn ReadAt, range: Range<u64>) -> u64 {
        let len = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(0);
        self.buffer.clear();
        self.buffer.resize(len, 0);
        let (mut at, mut missing) = (0, 0);
        for piece in self.buffer.chunks_mut(READ) {
            missing += fill(source, range.start + at, piece);
            at += piece.len() as u64;
        }
        missing
    }

    /// Finds chunks, whole and torn, and headers that are none any more.
    fn find_chunks(&mut self) {
        self.hits.clear();
        for at in self.chunks.find_iter(&self.buffer) {
            self.hits.extend(hit(&self.buffer, at));
        }
    }

    /// Finds records outside of those of whole chunks.
    fn find_orphans(&mut self) {
        self.orphans.clear();
        let mut from = 0;
        let mut hits = self.hits.iter().filter_map(|hit| Some((hit.at, hit.whole?))).peekable();
        // Until where the last whole chunk's records reach.
        let mut covered = 0;
        while let Some(found) = self.buffer.get(from..).and_then(|rest| self.records.find(rest)) {
            let at = from + found;
            while let Some((_, end)) = hits.next_if(|(start, _)| *start <= at) {
                covered = covered.max(end);
            }
            if at < covered {
                from = covered;
                continue;
            }
            // A whole chunk is no part of a record.
            let end = hits.peek().map_or(self.buffer.len(), |(start, _)| *start);
            match orphan(self.buffer.get(..end).unwrap_or(&[]), at) {
                Some(orphan) => {
                    from = at + orphan.size;
                    self.orphans.push(orphan);
                }
                None => from = at + 1,
            }
        }
    }

    /// Where chunks of which orphans are left began, by what stands in these and by headers: places
    /// in the buffer, which may lie before it.
    fn bases(&self, within: &impl Fn(usize) -> bool) -> Vec<i64> {
        // Only what an orphan that is wanted can have been cut from matters.
        let wanted: Vec<i64> = self
            .orphans
            .iter()
            .map(|orphan| orphan.at)
            .filter(|at| within(*at))
            .map(place)
            .collect();
        let matters = |base: &i64| {
            let first = wanted.partition_point(|at| *at < base + place(HEADER));
            wanted.get(first).is_some_and(|at| *at < base + place(SIZE))
        };
        let inline = self.orphans.iter().filter_map(|orphan| inline_base(&self.buffer, orphan));
        let headers = self.hits.iter().map(|hit| place(hit.at));
        let mut bases: Vec<i64> = inline.chain(headers).filter(matters).collect();
        bases.sort_unstable();
        bases.dedup();
        bases
    }

    /// Finds the base of each orphan: its own if it names one, else one with which it can be read.
    fn assign(&mut self, bases: &[i64]) {
        let mut chunk = std::mem::take(&mut self.chunk);
        for (number, base) in bases.iter().enumerate() {
            let candidates: Vec<(usize, Found)> = self.candidates(*base, bases).collect();
            if candidates.is_empty() {
                continue;
            }
            lay_out(&self.buffer, *base, &mut chunk);
            let founds: Vec<Found> = candidates.iter().map(|(_, found)| *found).collect();
            let readable = self.reader.readable(&chunk, &founds);
            for ((which, _), _) in candidates.iter().zip(readable).filter(|(_, readable)| *readable)
            {
                if let Some(orphan) = self.orphans.get_mut(*which) {
                    orphan.base = Some(number);
                }
            }
        }
        self.chunk = chunk;
    }

    /// The orphans that may have been cut from a chunk with this base and are not assigned yet.
    fn candidates<'c>(
        &'c self,
        base: i64,
        bases: &'c [i64],
    ) -> impl Iterator<Item = (usize, Found)> + 'c {
        let first = self.orphans.partition_point(|orphan| place(orphan.at) < base + place(HEADER));
        let orphans = self.orphans.iter().enumerate().skip(first);
        let orphans = orphans.take_while(move |(_, orphan)| place(orphan.at) < base + place(SIZE));
        orphans.filter_map(move |(which, orphan)| {
            // The bases before this one that it may have, too.
            let reach = place(orphan.at) - place(SIZE);
            let tried = bases.partition_point(|other| *other < base)
                - bases.partition_point(|other| *other <= reach);
            let own = inline_base(&self.buffer, orphan).is_none_or(|own| own == base);
            let found = orphan.found(base).filter(|_| own && orphan.base.is_none())?;
            (tried < MAX_BASES).then_some((which, found))
        })
    }

    /// Hands over all that begins in the window, in order of where it stands.
    fn hand_over(
        &mut self,
        start: u64,
        bases: &[i64],
        within: &impl Fn(usize) -> bool,
        stretch: &mut Stretch,
        sink: &mut impl Sink,
        lost: &mut Vec<Lost>,
    ) -> ControlFlow<()> {
        let hits = std::mem::take(&mut self.hits);
        let orphans = std::mem::take(&mut self.orphans);
        let mut chunks = hits.iter().filter(|hit| within(hit.at)).peekable();
        let mut rest = orphans.as_slice();
        let mut flow = ControlFlow::Continue(());
        while let (ControlFlow::Continue(()), Some(first)) = (flow, rest.first()) {
            while let Some(hit) = chunks.next_if(|hit| hit.at < first.at) {
                flow = self.chunk(hit, start, stretch, sink);
                if flow.is_break() {
                    break;
                }
            }
            // Those of one chunk, as far as no other comes between them.
            let until = chunks.peek().map_or(usize::MAX, |hit| hit.at);
            let together = |orphan: &&Orphan| orphan.base == first.base && orphan.at < until;
            let group = rest.iter().take_while(together).count().max(1);
            let (group, after) = rest.split_at_checked(group).unwrap_or((rest, &[]));
            rest = after;
            let group = group.iter().filter(|orphan| within(orphan.at));
            if flow.is_continue() {
                flow = self.group(group, start, bases, stretch, sink, lost);
            }
        }
        for hit in chunks {
            if flow.is_continue() {
                flow = self.chunk(hit, start, stretch, sink);
            }
        }
        (self.hits, self.orphans) = (hits, orphans);
        flow
    }

    /// Reads a chunk, if it is whole; counts it.
    fn chunk(
        &mut self,
        hit: &Hit,
        start: u64,
        stretch: &mut Stretch,
        sink: &mut impl Sink,
    ) -> ControlFlow<()> {
        let offset = start + hit.at as u64;
        let Some(end) = hit.whole else {
            if hit.sealed {
                stretch.torn += 1;
                // What is left of its records are orphans.
                let (bin, findings) = (Bin::Orphans(Counts::default()), vec![Finding::Torn]);
                sink.chunk(ChunkReport { chunk: offset / SIZE as u64, offset, bin, findings });
            }
            return ControlFlow::Continue(());
        };
        stretch.valid += 1;
        let data = self.buffer.get(hit.at..end).unwrap_or(&[]);
        self.reader.slot(&Shifted { data, offset }, offset / SIZE as u64, offset, sink)
    }

    /// Reads orphans of one base, or gives them up.
    fn group<'o>(
        &mut self,
        group: impl Iterator<Item = &'o Orphan> + Clone,
        start: u64,
        bases: &[i64],
        stretch: &mut Stretch,
        sink: &mut impl Sink,
        lost: &mut Vec<Lost>,
    ) -> ControlFlow<()> {
        let Some(first) = group.clone().next() else { return ControlFlow::Continue(()) };
        stretch.orphans += group.clone().count() as u64;
        let offset = |at: usize| start + at as u64;
        let Some(base) = first.base.and_then(|base| bases.get(base)) else {
            for orphan in group {
                self.alone(orphan, start, sink, lost)?;
            }
            return ControlFlow::Continue(());
        };
        lay_out(&self.buffer, *base, &mut self.chunk);
        let place = (offset(first.at) / SIZE as u64, start.wrapping_add_signed(*base));
        let records = group.filter_map(|orphan| orphan.found(*base));
        self.reader.orphans(&self.chunk, place, records, sink)
    }
}

impl Carver {
    /// Reads an orphan of whose chunk nothing is left, if its templates are known.
    fn alone(
        &mut self,
        orphan: &Orphan,
        start: u64,
        sink: &mut impl Sink,
        lost: &mut Vec<Lost>,
    ) -> ControlFlow<()> {
        let offset = start + orphan.at as u64;
        // It stands where a chunk's first record does.
        let base = place(orphan.at) - place(HEADER);
        self.chunk.clear();
        self.chunk.resize(HEADER, 0);
        let end = orphan.at.saturating_add(orphan.size);
        self.chunk.extend_from_slice(self.buffer.get(orphan.at..end).unwrap_or(&[]));
        let found = orphan.found(base).filter(|found| self.reader.is_known(&self.chunk, found));
        let Some(found) = found else {
            let outer = orphan.found(base).and_then(|found| self.reader.outer(&self.chunk, &found));
            lost.push(Lost {
                offset,
                size: u32::try_from(orphan.size).unwrap_or(u32::MAX),
                record_id: orphan.id,
                time: orphan.time,
                outer,
                record: self.chunk.get(HEADER..).unwrap_or(&[]).into(),
            });
            return ControlFlow::Continue(());
        };
        let place = (offset / SIZE as u64, start.wrapping_add_signed(base));
        self.reader.orphans(&self.chunk, place, std::iter::once(found), sink)
    }
}

impl Orphan {
    /// As a record of a chunk that begins at `base`, if it can be one.
    fn found(&self, base: i64) -> Option<Found> {
        let at = usize::try_from(place(self.at).checked_sub(base)?).ok()?;
        if at < HEADER || at + self.size > SIZE {
            return None;
        }
        let size = u32::try_from(self.size).ok()?;
        let at = u32::try_from(at).ok()?;
        Some(Found { at, size, id: self.id, time: self.time, state: State::Orphan })
    }
}

/// A place in the buffer, among those that may lie before it.
fn place(at: usize) -> i64 {
    i64::try_from(at).unwrap_or(i64::MAX)
}

/// Reads all of `piece`, around what the medium does not give, and says how much that was.
fn fill(source: &dyn ReadAt, offset: u64, piece: &mut [u8]) -> u64 {
    /// Sectors of today's disks.
    const SECTOR: usize = 4096;
    let whole = bytes::read_full(source, offset, piece);
    if whole.is_ok() {
        return 0;
    }
    let (mut at, mut missing) = (offset, 0);
    for sector in piece.chunks_mut(SECTOR) {
        if bytes::read_full(source, at, sector).is_err() {
            sector.fill(0);
            missing += sector.len() as u64;
        }
        at += sector.len() as u64;
    }
    missing
}

/// What a chunk's magic at `at` stands at the head of, if it is a chunk's header.
fn hit(buffer: &[u8], at: usize) -> Option<Hit> {
    let data = buffer.get(at..)?;
    let data = data.get(..SIZE).unwrap_or(data);
    if bytes::u32(data, SIZE_FIELD) != Some(FIELDS) {
        return None;
    }
    let header = Header::read(data);
    let end = header.suspected_end()?;
    let sealed = header.is_sealed(data);
    let whole = sealed && header.holds(data);
    Some(Hit { at, whole: whole.then_some(at + end), sealed })
}

/// Whether what begins with a chunk's magic may be a chunk, as far as it is there.
pub(super) fn may_be_chunk(data: &[u8]) -> bool {
    bytes::u32(data, SIZE_FIELD).is_none_or(|size| size == FIELDS)
}

/// Whether what begins with a record's magic may be a record, as far as it is there.
pub(super) fn may_be_record(data: &[u8]) -> bool {
    let size = bytes::u32(data, 4).is_none_or(|size| SIZES.contains(&index(size)));
    let time = bytes::u64(data, 16).is_none_or(|time| TIMES.contains(&time));
    let binxml = bytes::array(data, walk::RECORD_HEADER).is_none_or(|start| start == BINXML);
    size && time && binxml
}

/// The record at `at`, if it is one beyond doubt.
fn orphan(buffer: &[u8], at: usize) -> Option<Orphan> {
    let size = index(bytes::u32(buffer, at.checked_add(4)?)?);
    let time = bytes::u64(buffer, at.checked_add(16)?)?;
    let fits = SIZES.contains(&size) && TIMES.contains(&time);
    let end = at.checked_add(size).filter(|end| fits && *end <= buffer.len())?;
    let copy = bytes::u32(buffer, end.checked_sub(4)?)?;
    let binxml: [u8; 5] = bytes::array(buffer, at.checked_add(walk::RECORD_HEADER)?)?;
    let id = bytes::u64(buffer, at.checked_add(8)?)?;
    (index(copy) == size && binxml == BINXML).then_some(Orphan { at, size, id, time, base: None })
}

/// Where the chunk began that this record was cut from, if the definition of its template is in it.
fn inline_base(buffer: &[u8], orphan: &Orphan) -> Option<i64> {
    // From the record's start: the template's id, the definition's offset in the chunk, and, if the
    // definition follows, the offset of the next one and the GUID, which begins with the id.
    const ID: usize = 30;
    const OFFSET: usize = 34;
    const DEFINITION: usize = 38;
    const GUID: usize = 42;
    let field = |at: usize| bytes::u32(buffer, orphan.at + at);
    if orphan.size < GUID + 16 || field(ID) != field(GUID) {
        return None;
    }
    let definition = place(orphan.at + DEFINITION);
    let base = definition - i64::from(field(OFFSET)?);
    orphan.found(base).map(|_| base)
}

/// What is left of the chunk that began at `base`, behind an empty header.
fn lay_out(buffer: &[u8], base: i64, chunk: &mut Vec<u8>) {
    chunk.clear();
    chunk.resize(SIZE, 0);
    // What of the chunk lies before the buffer is lost.
    let skip = usize::try_from(base.saturating_neg()).unwrap_or(0).max(HEADER);
    let from = base.saturating_add(place(skip));
    let rest = usize::try_from(from).ok().and_then(|from| buffer.get(from..)).unwrap_or(&[]);
    let rest = rest.get(..SIZE.saturating_sub(skip)).unwrap_or(rest);
    if let Some(to) = chunk.get_mut(skip..skip.saturating_add(rest.len())) {
        to.copy_from_slice(rest);
    }
}

/// Bytes that stand at an offset of their source.
struct Shifted<'d> {
    data: &'d [u8],
    offset: u64,
}

impl ReadAt for Shifted<'_> {
    fn size(&self) -> u64 {
        self.offset.saturating_add(self.data.len() as u64)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        offset.checked_sub(self.offset).map_or(Ok(0), |at| self.data.read_at(at, buf))
    }
}
