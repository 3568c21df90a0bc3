//! Reading slots: a thread's state, and what it reports.

use super::Decline;
use super::carve;
use super::chunk::{self, Finding, Header};
use super::file::Log;
use super::instance::FastLane;
use super::intern::Node;
use super::known::Templates;
use super::load::{Loader, Lost};
use super::partial::Outer;
use super::record::{Fast, Meta, Record, Slow};
use super::slow::{SlowLane, Target};
use super::walk::{self, Found, Gap, Span, State};
use crate::bytes::ReadAt;
use crate::event::Event;
use memchr::memmem::Finder;
use std::fmt;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

/// Takes what a [`Reader`] finds: records and damage in the order of the source, and after those of
/// a slot its report.
pub trait Sink {
    /// A record. [`ControlFlow::Break`] ends the reading, without a report of this slot.
    fn record(&mut self, record: &Record<'_>) -> ControlFlow<()>;

    /// All records of the chunk whose bytes these are have come. [`ControlFlow::Break`] ends the
    /// reading, without a report of this slot.
    fn end(&mut self, chunk: &[u8]) -> ControlFlow<()> {
        let _ = chunk;
        ControlFlow::Continue(())
    }

    /// A slot was dealt with.
    fn chunk(&mut self, report: ChunkReport);

    /// Something could not be read.
    fn damage(&mut self, damage: Damage);

    /// A record that stands alone cannot be read, of which there is a [`Damage`], too: this is what is
    /// there of it.
    fn lost(&mut self, lost: &carve::Lost) -> ControlFlow<()> {
        let _ = lost;
        ControlFlow::Continue(())
    }
}

/// What became of a slot: every slot that was asked for is reported once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkReport {
    /// The slot's number in the source.
    pub chunk: u64,
    /// Where it stands in the source.
    pub offset: u64,
    /// The bin that it is in.
    pub bin: Bin,
    /// What is wrong with it, though it was read.
    pub findings: Vec<Finding>,
}

/// The bins of slots: each slot is in exactly one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bin {
    /// Records, or places where records were, were found in it.
    Read(Counts),
    /// It holds nothing: zeros, or a header that never got records.
    Empty,
    /// It is no slot: records that were found in raw bytes, outside of whole chunks.
    Orphans(Counts),
    /// It is neither empty nor are there records in it; why not. There is a [`Damage`] too.
    Unreadable(String),
}

/// What became of the records of a slot.
///
/// `records + unreadable` is how many records were found. Of `records`, which the sink got,
/// `declined` were read by the slow lane (the others by the fast lane), and, whichever lane read them,
/// `recovered` are left over from an earlier round. Each of `unreadable` and of `gaps` is one
/// [`Damage`], [`DamageKind::Record`] or [`DamageKind::LeftOver`], and [`DamageKind::Gap`].
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Records that the sink got.
    pub records: u64,
    /// Of these, those that the fast lane declined and the slow lane read.
    pub declined: u64,
    /// Of these, those that are not [`State::Live`].
    pub recovered: u64,
    /// Records that were found and that neither lane could read.
    pub unreadable: u64,
    /// Spans among the records in which no record could be made out.
    pub gaps: u64,
}

impl Counts {
    /// Counts a record that goes to the sink.
    fn add(&mut self, found: &Found) {
        self.records += 1;
        self.recovered += u64::from(found.state != State::Live);
    }
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Where in the source.
    pub offset: u64,
    /// The slot that it is in.
    pub chunk: u64,
    /// The id of the record, if that can be told.
    pub record_id: Option<u64>,
    /// What could not be read.
    pub kind: DamageKind,
    /// Why not, in a sentence without its full stop.
    pub reason: String,
}

/// What could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DamageKind {
    /// A slot.
    Chunk,
    /// A span of so many bytes among records in which no record could be made out.
    Gap(u32),
    /// A span of so many bytes that the medium did not give. Records that it touches are read as if it
    /// were zeros, or are gaps.
    Medium(u32),
    /// A record.
    Record,
    /// A record in a chunk's slack, of which not enough is left: no loss of the log's own.
    LeftOver,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offset {:#x}, chunk {}", self.offset, self.chunk)?;
        if let Some(id) = self.record_id {
            write!(f, ", record {id}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// What a reader does beyond reading.
#[derive(Debug, Default, Clone, Copy)]
pub struct Options {
    /// Look for records in the slack of chunks, too: what the log has deleted. Costs reading chunks
    /// whole.
    pub recover: bool,
    /// Let the slow lane read every record: it is the reference for the fast lane in tests.
    pub slow_only: bool,
}

/// Reads slots. One thread's state: buffers, plans and layouts, which last from file to file.
pub struct Reader {
    options: Options,
    loader: Loader,
    spans: Vec<Span>,
    finder: Finder<'static>,
    fast: FastLane,
    slow: SlowLane,
}

impl Default for Reader {
    fn default() -> Self {
        Reader::new(Options::default())
    }
}

impl Reader {
    /// A reader.
    #[must_use]
    pub fn new(options: Options) -> Reader {
        Reader {
            options,
            loader: Loader::new(),
            spans: Vec::new(),
            finder: walk::finder(),
            fast: FastLane::new(),
            slow: SlowLane::new(),
        }
    }

    /// Reads these slots of a log, in order, and hands the sink all that is in them.
    pub fn read(
        &mut self,
        source: &dyn ReadAt,
        log: &Log,
        slots: Range<u64>,
        sink: &mut impl Sink,
    ) -> ControlFlow<()> {
        for slot in slots.start..slots.end.min(log.slots) {
            self.slot(source, slot, log.slot_offset(slot), sink)?;
        }
        ControlFlow::Continue(())
    }

    /// The same, with templates for the records whose own are gone.
    #[must_use]
    pub fn with_templates(mut self, templates: Option<Arc<Templates>>) -> Reader {
        self.fast.templates = templates;
        self
    }

    /// The same, keeping what templates it meets.
    #[must_use]
    pub fn collecting(mut self) -> Reader {
        self.fast.interner.met = Some(Templates::default());
        self
    }

    /// The templates that it met, if it keeps them.
    #[must_use]
    pub fn into_templates(self) -> Templates {
        self.fast.interner.met.unwrap_or_default()
    }

    /// Which of these records, which lie in the chunk `data` or what is left of it, can be read.
    pub(super) fn readable(&mut self, data: &[u8], records: &[Found]) -> Vec<bool> {
        self.fast.interner.begin_chunk();
        // By the chunk alone: whether it is theirs is the question.
        let templates = self.fast.templates.take();
        let readable = |found: &Found| {
            let (at, end) = found.content();
            // What the fast lane declines for another reason the slow lane may read.
            self.fast.prepare(data, at, end, true) != Err(Decline::Stale)
        };
        let readable = records.iter().map(readable).collect();
        self.fast.templates = templates;
        readable
    }

    /// Whether the fast lane can read this record, alone in `data`.
    pub(super) fn is_known(&mut self, data: &[u8], found: &Found) -> bool {
        self.fast.interner.begin_chunk();
        let (at, end) = found.content();
        self.fast.templates.is_some() && self.fast.prepare(data, at, end, true).is_ok()
    }

    /// What the System part of this record, alone in `data`, says, if its template is known.
    pub(super) fn outer(&mut self, data: &[u8], found: &Found) -> Option<Outer> {
        self.fast.interner.begin_chunk();
        self.fast.templates.as_ref()?;
        let (at, end) = found.content();
        let node = self.fast.prepare_outer(data, at, end).ok()?;
        let make = self.fast.make(node)?;
        let meta = Meta { slot: 0, slot_offset: 0, found: *found, chunk: data };
        let (instances, slots) = (&*self.fast.instances, &*self.fast.slots);
        let (utf16_only, borrowed) = (self.fast.utf16_only, true);
        let record = Record::Fast(Fast { meta, make, instances, slots, utf16_only, borrowed });
        let text = |leaf| {
            let mut text = Vec::new();
            record.first_text(leaf, &mut text).then_some(())?;
            String::from_utf8(text).ok()
        };
        let system = *record.layout().system();
        Some(Outer {
            provider: text(system.provider)?,
            event_id: text(system.event_id)?,
            channel: text(system.channel).unwrap_or_default(),
            computer: text(system.computer).unwrap_or_default(),
        })
    }

    /// Reads these records, which lie in what is left of a chunk that began at `offset`.
    pub(super) fn orphans(
        &mut self,
        data: &[u8],
        (slot, offset): (u64, u64),
        records: impl Iterator<Item = Found>,
        sink: &mut impl Sink,
    ) -> ControlFlow<()> {
        let Reader { spans, fast, slow, options, .. } = self;
        spans.clear();
        spans.extend(records.map(Span::Record));
        let counts = Counts::default();
        let (slack, options) = (0, *options);
        let mut pass = Pass { slot, offset, data, slack, options, fast, counts };
        pass.run(spans, slow, sink)?;
        sink.end(data)?;
        let bin = Bin::Orphans(pass.counts);
        sink.chunk(ChunkReport { chunk: slot, offset, bin, findings: Vec::new() });
        ControlFlow::Continue(())
    }

    /// Reads the slot at `offset`.
    pub(super) fn slot(
        &mut self,
        source: &dyn ReadAt,
        slot: u64,
        offset: u64,
        sink: &mut impl Sink,
    ) -> ControlFlow<()> {
        let mut findings = Vec::new();
        let Reader { loader, spans, finder, fast, slow, options } = self;
        let header = loader.load(source, offset, options.recover, &mut findings);
        let data = loader.data();
        if walk::is_zero(data) {
            match loader.lost.first() {
                None => sink.chunk(ChunkReport { chunk: slot, offset, bin: Bin::Empty, findings }),
                Some(Lost { error, .. }) => {
                    let reason = format!("the chunk cannot be read: {error}");
                    unreadable(slot, offset, reason, findings, sink);
                }
            }
            return ControlFlow::Continue(());
        }
        for Lost { at, len, error } in &loader.lost {
            sink.damage(Damage {
                offset: offset + u64::from(*at),
                chunk: slot,
                record_id: None,
                kind: DamageKind::Medium(*len),
                reason: format!("{len} bytes cannot be read and count as zeros: {error}"),
            });
        }
        check(&header, data, &mut findings);
        walk::walk(data, &header, options.recover, finder, spans, &mut findings);
        let options = *options;
        let slack = header.records_end().unwrap_or(chunk::SIZE);
        let counts = Counts::default();
        let mut pass = Pass { slot, offset, data, slack, options, fast, counts };
        pass.run(spans, slow, sink)?;
        sink.end(data)?;
        let bin = match pass.counts {
            counts if counts != Counts::default() => Bin::Read(counts),
            // It was never used.
            _ if header.records_end() == Some(chunk::HEADER) => Bin::Empty,
            _ => {
                let reason = "there is no record in the chunk".to_owned();
                unreadable(slot, offset, reason, findings, sink);
                return ControlFlow::Continue(());
            }
        };
        sink.chunk(ChunkReport { chunk: slot, offset, bin, findings });
        ControlFlow::Continue(())
    }
}

/// What the `evtx` crate says of a record, without what it says of every record.
fn bare(why: &str) -> &str {
    let rest = why.strip_prefix("Failed to parse record number ");
    let rest = rest.and_then(|rest| rest.split_once(": ")).map_or(why, |(_, rest)| rest);
    rest.strip_prefix("Failed to create record model, reason: ").unwrap_or(rest)
}

fn unreadable(
    slot: u64,
    offset: u64,
    reason: String,
    findings: Vec<Finding>,
    sink: &mut impl Sink,
) {
    let kind = DamageKind::Chunk;
    sink.damage(Damage { offset, chunk: slot, record_id: None, kind, reason: reason.clone() });
    sink.chunk(ChunkReport { chunk: slot, offset, bin: Bin::Unreadable(reason), findings });
}

/// Checks a chunk's header and checksums.
fn check(header: &Header, data: &[u8], findings: &mut Vec<Finding>) {
    if !header.magic {
        findings.push(Finding::Magic);
        return;
    }
    if !header.checksum_ok {
        findings.push(Finding::HeaderChecksum);
    }
    if header.suspected_end().is_none() {
        findings.push(Finding::FreeSpaceOffset(header.free));
    } else if !header.data_ok(data) {
        findings.push(Finding::DataChecksum);
    }
    if header.checksum_ok && header.ids().is_none() && header.records_end() != Some(chunk::HEADER) {
        findings.push(Finding::RecordIds);
    }
}

/// One chunk's records on their way to the sink.
struct Pass<'p> {
    slot: u64,
    offset: u64,
    data: &'p [u8],
    /// From where on records are left over.
    slack: usize,
    options: Options,
    fast: &'p mut FastLane,
    counts: Counts,
}

impl Pass<'_> {
    fn run(
        &mut self,
        spans: &[Span],
        slow: &mut SlowLane,
        sink: &mut impl Sink,
    ) -> ControlFlow<()> {
        self.fast.interner.begin_chunk();
        for (n, span) in spans.iter().enumerate() {
            match span {
                Span::Gap(gap) => self.gap(gap, sink),
                Span::Record(found) => match self.prepare(found) {
                    Ok(node) => self.fast_record(*found, node, sink)?,
                    // From here on the slow lane goes along.
                    Err(_) => return self.run_both(spans.get(n..).unwrap_or(&[]), slow, sink),
                },
            }
        }
        ControlFlow::Continue(())
    }

    fn prepare(&mut self, found: &Found) -> Result<Node, Decline> {
        if self.options.slow_only {
            return Err(Decline::Asked);
        }
        let (at, end) = found.content();
        self.fast.prepare(self.data, at, end, found.state != State::Live)
    }

    fn meta(&self, found: Found) -> Meta<'_> {
        Meta { slot: self.slot, slot_offset: self.offset, found, chunk: self.data }
    }

    fn fast_record(&mut self, found: Found, node: Node, sink: &mut impl Sink) -> ControlFlow<()> {
        let Some(make) = self.fast.make(node) else {
            // Preparing a record makes its make; were it not there, the record must not go missing.
            self.unreadable(&found, Decline::Limit, None, sink);
            return ControlFlow::Continue(());
        };
        self.counts.add(&found);
        let (instances, slots) = (&*self.fast.instances, &*self.fast.slots);
        let (meta, utf16_only) = (self.meta(found), self.fast.utf16_only);
        let borrowed = self.fast.borrowed;
        sink.record(&Record::Fast(Fast { meta, make, instances, slots, utf16_only, borrowed }))
    }

    /// Goes on with the spans from the first that the fast lane declined. The slow lane has to know
    /// at the start which records will be asked of it, so the fast lane looks at all of them first.
    #[cold]
    fn run_both(
        &mut self,
        spans: &[Span],
        slow: &mut SlowLane,
        sink: &mut impl Sink,
    ) -> ControlFlow<()> {
        let mut targets = Vec::new();
        for span in spans {
            if let Span::Record(found) = span
                && let Err(declined) = self.prepare(found)
                && declined != Decline::Stale
            {
                targets.push(Target { found: *found, declined });
            }
        }
        slow.pass(self.data, &targets, |slow| {
            for span in spans {
                let found = match span {
                    Span::Record(found) => found,
                    Span::Gap(gap) => {
                        self.gap(gap, sink);
                        continue;
                    }
                };
                match slow.next(found) {
                    None => match self.prepare(found) {
                        Ok(node) => self.fast_record(*found, node, sink)?,
                        Err(declined) => self.unreadable(found, declined, None, sink),
                    },
                    Some((declined, Ok(event))) => {
                        self.counts.add(found);
                        self.counts.declined += 1;
                        let meta = self.meta(*found);
                        sink.record(&Record::Slow(Slow { meta, event, declined }))?;
                    }
                    Some((declined, Err(reason))) => {
                        self.unreadable(found, declined, Some(&reason), sink);
                    }
                }
            }
            ControlFlow::Continue(())
        })
    }

    /// Reports a record that neither lane could read; `why` is what the slow lane says, if it was
    /// asked.
    fn unreadable(
        &mut self,
        found: &Found,
        declined: Decline,
        why: Option<&str>,
        sink: &mut impl Sink,
    ) {
        self.counts.unreadable += 1;
        let left_over = match found.state {
            State::Live => false,
            State::Recovered => super::index(found.at) >= self.slack,
            State::Orphan => true,
        };
        sink.damage(Damage {
            // A chunk whose front is lost may begin before its source.
            offset: self.offset.wrapping_add(u64::from(found.at)),
            chunk: self.slot,
            record_id: Some(found.id),
            kind: if left_over { DamageKind::LeftOver } else { DamageKind::Record },
            reason: match why {
                // Why the fast lane did not read it is of no use to who wants the record.
                Some(why) => format!("record {} cannot be read: {}", found.id, bare(why)),
                None => format!("record {} cannot be read: {declined}", found.id),
            },
        });
    }

    fn gap(&mut self, gap: &Gap, sink: &mut impl Sink) {
        self.counts.gaps += 1;
        let len = gap.len;
        let why = match gap.zeros {
            false => "no record begins here",
            true => "there are zeros where records should be",
        };
        sink.damage(Damage {
            offset: self.offset + u64::from(gap.at),
            chunk: self.slot,
            record_id: None,
            kind: DamageKind::Gap(len),
            reason: format!("{why}: {len} bytes up to the next record or the end were passed over"),
        });
    }
}
