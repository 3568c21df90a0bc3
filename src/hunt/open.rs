//! From a source to a log, to what is in it, or to the reason why it is neither.

use super::Hunt;
use super::feed::{CHUNK_BYTES, ITEM_BYTES};
use super::work::Note;
use crate::bytes::ReadAt;
use crate::event::format_file_time;
use crate::evidence::{Container, Found, Inside, Locked, Look, Outcome, Ranges, Source};
use crate::evtx::{
    self, Bin, Carver, ChunkReport, Counts, Damage, DamageKind, Log, Lost, OpenError, Reader, Sink,
    Templates,
};
use crate::ledger::{Aside, SourceEntry, SourceState};
use std::{
    io,
    ops::{ControlFlow, Range},
    sync::Arc,
};

/// A log that can be read, or raw bytes that can be searched.
pub(super) struct Opened {
    pub(super) source: Source,
    pub(super) bytes: Arc<dyn ReadAt>,
    pub(super) content: Content,
}

/// What is read.
pub(super) enum Content {
    Log(Log),
    /// What is left of logs in these ranges.
    Raw(Ranges),
}

impl Opened {
    /// How many chunk slots it has; of raw bytes, how many of their size.
    pub(super) fn slots(&self) -> u64 {
        match &self.content {
            Content::Log(log) => log.slots,
            Content::Raw(ranges) => ranges.last().map_or(0, |last| last.end.div_ceil(CHUNK_BYTES)),
        }
    }

    /// How many of them are worked on at once.
    pub(super) fn slots_at_once(&self) -> u64 {
        match &self.content {
            Content::Log(_) => ITEM_BYTES / CHUNK_BYTES,
            // What is around is read, too.
            Content::Raw(_) => RAW_BYTES / CHUNK_BYTES,
        }
    }
}

/// How much of raw bytes is worked on at once.
const RAW_BYTES: u64 = 4 << 20;

/// What reads logs and searches raw bytes, one thread's.
pub(super) struct Readers {
    reader: Reader,
    carver: Carver,
    lost: Vec<Lost>,
    ranges: Vec<Range<u64>>,
}

impl Readers {
    pub(super) fn new(hunt: &Hunt<'_>) -> Readers {
        Readers::with(hunt.recover, hunt.templates.cloned())
    }

    /// Some that look into slack or not, with the templates of the case if they are known.
    pub(super) fn with(recover: bool, templates: Option<Arc<Templates>>) -> Readers {
        let options = evtx::Options { recover, ..evtx::Options::default() };
        Readers {
            reader: Reader::new(options).with_templates(templates.clone()),
            carver: Carver::with_templates(templates),
            lost: Vec::new(),
            ranges: Vec::new(),
        }
    }

    /// Some that keep the templates that they meet.
    pub(super) fn collecting() -> Readers {
        Readers {
            reader: Reader::new(evtx::Options::default()).collecting(),
            carver: Carver::collecting(),
            lost: Vec::new(),
            ranges: Vec::new(),
        }
    }

    /// The templates that they met.
    pub(super) fn into_templates(self) -> Templates {
        let mut templates = self.reader.into_templates();
        templates.merge(self.carver.into_templates());
        templates
    }

    /// Reads these slots.
    pub(super) fn read(
        &mut self,
        opened: &Opened,
        slots: Range<u64>,
        sink: &mut impl Sink,
    ) -> ControlFlow<()> {
        let ranges = match &opened.content {
            Content::Log(log) => return self.reader.read(&*opened.bytes, log, slots, sink),
            Content::Raw(ranges) => ranges,
        };
        // As a large one is cut, so that what is found does not depend on who reads it.
        let mut from = slots.start;
        while from < slots.end {
            let to = slots.end.min(from.saturating_add(opened.slots_at_once()));
            let window = from.saturating_mul(CHUNK_BYTES)..to.saturating_mul(CHUNK_BYTES);
            self.carve(&*opened.bytes, ranges, &window, sink)?;
            from = to;
        }
        ControlFlow::Continue(())
    }

    fn carve(
        &mut self,
        bytes: &dyn ReadAt,
        ranges: &[Range<u64>],
        window: &Range<u64>,
        sink: &mut impl Sink,
    ) -> ControlFlow<()> {
        self.ranges.clear();
        let first = ranges.partition_point(|range| range.end <= window.start);
        let inside = ranges.iter().skip(first).take_while(|range| range.start < window.end);
        self.ranges
            .extend(inside.map(|range| range.start.max(window.start)..range.end.min(window.end)));
        let (stretch, flow) = self.carver.read(bytes, &self.ranges, sink, &mut self.lost);
        flow?;
        let (chunk, offset) = (window.start / CHUNK_BYTES, window.start);
        if stretch.unread > 0 {
            let len = u32::try_from(stretch.unread).unwrap_or(u32::MAX);
            let reason = format!("{len} bytes here or around cannot be read and count as zeros");
            let kind = DamageKind::Medium(len);
            sink.damage(Damage { offset, chunk, record_id: None, kind, reason });
        }
        let counts = Counts { unreadable: self.lost.len() as u64, ..Counts::default() };
        for Lost { offset, size, record_id: id, time } in self.lost.drain(..) {
            let time = format_file_time(time);
            let reason = format!(
                "record {id} of {size} bytes, written {time}, stands alone, and its template is not \
                 known"
            );
            let (kind, record_id) = (DamageKind::LeftOver, Some(id));
            sink.damage(Damage { offset, chunk: offset / CHUNK_BYTES, record_id, kind, reason });
        }
        if counts.unreadable > 0 {
            let (bin, findings) = (Bin::Orphans(counts), Vec::new());
            sink.chunk(ChunkReport { chunk, offset, bin, findings });
        }
        ControlFlow::Continue(())
    }
}

/// What became of something of which there is nothing to read.
pub(super) enum Settled {
    /// A source that is in its bin.
    Source(Box<SourceEntry>),
    /// Something that is no source.
    Aside(Aside),
}

impl Settled {
    /// A source in its bin.
    pub(super) fn source(entry: SourceEntry) -> Settled {
        Settled::Source(Box::new(entry))
    }
}

/// What a source turned out to be.
pub(super) enum Opening {
    Log(Opened),
    Inside(Box<Inside>),
    Settled(Settled),
}

/// Opens a source and looks at what it is.
pub(super) fn open(source: Source) -> Opening {
    let unread = |size, state, reason| {
        let entry = SourceEntry::unread(source.name().to_owned(), size, state, reason);
        Opening::Settled(Settled::source(SourceEntry { found: source.state().as_str(), ..entry }))
    };
    let (bytes, log): (Arc<dyn ReadAt>, _) = match source.look() {
        // Without its content nobody knows whether it is a log: whatever its name, it is one that
        // could not be read.
        Err(error) => return unread(source.size(), state_of(&error), error.to_string()),
        Ok(Look::Inside(inside)) => return Opening::Inside(inside),
        Ok(Look::Raw(bytes, ranges)) => {
            let source = source.carved();
            return Opening::Log(Opened { source, bytes, content: Content::Raw(ranges) });
        }
        // What may hold logs that nobody looked into is no mere other file.
        Ok(Look::Unsupported(what)) => {
            let is = if what.starts_with("it ") { "" } else { "it is " };
            let reason = format!("not looked into: {is}{what}");
            return unread(source.size(), SourceState::Unsupported, reason);
        }
        Ok(Look::Part) => return Opening::Settled(Settled::Aside(Aside::Part)),
        Ok(Look::Other(_)) if !source.claims_to_be_a_log() => {
            return Opening::Settled(Settled::Aside(Aside::OtherFile));
        }
        Ok(Look::Other(start)) => {
            let log = evtx::open(&start);
            (Arc::new(start), log)
        }
        Ok(Look::Log(bytes)) => {
            let log = evtx::open(&*bytes);
            (bytes, log)
        }
    };
    match log {
        Ok(log) => Opening::Log(Opened { source, bytes, content: Content::Log(log) }),
        Err(error) => {
            let state = match error {
                OpenError::Empty => SourceState::Empty,
                OpenError::NotEvtx => SourceState::NotALog,
                _ => SourceState::Unreadable,
            };
            unread(source.size(), state, error.to_string())
        }
    }
}

/// A source that cannot be opened is encrypted, of a kind that nobody here knows, or unreadable.
fn state_of(error: &io::Error) -> SourceState {
    match error.kind() {
        _ if error.get_ref().is_some_and(|inner| inner.is::<Locked>()) => SourceState::Encrypted,
        io::ErrorKind::Unsupported => SourceState::Unsupported,
        _ => SourceState::Unreadable,
    }
}

/// What is to be written down of something that was met and is no source.
pub(super) fn settle(found: Found) -> Result<Source, Settled> {
    Err(match found {
        Found::Source(source) => return Ok(source),
        Found::Unreadable { name, error } => {
            let state = state_of(&error);
            Settled::source(SourceEntry::unread(name, 0, state, error.to_string()))
        }
        Found::Duplicate { .. } => Settled::Aside(Aside::Duplicate),
        Found::Link { .. } => Settled::Aside(Aside::Link),
        Found::Special { .. } => Settled::Aside(Aside::Special),
        Found::Container(container) => Settled::source(closed(container)),
    })
}

/// A container's entry.
fn closed(container: Container) -> SourceEntry {
    let Container { name, size, format, outcome, reason, notes, shadow_copies } = container;
    let state = match outcome {
        Outcome::Read => SourceState::Read,
        Outcome::Damaged => SourceState::Damaged,
        Outcome::Unreadable => SourceState::Unreadable,
        Outcome::Encrypted => SourceState::Encrypted,
    };
    let mut entry = SourceEntry::unread(name, size, state, String::new());
    (entry.container, entry.reason) = (Some(format), reason);
    entry.shadow_copies = shadow_copies;
    notes.into_iter().for_each(|note| entry.findings.push(0, || note));
    entry
}

/// A container that was begun and not read to its end.
pub(super) fn left(inside: &Inside) -> SourceEntry {
    let state = SourceState::Interrupted;
    let entry = SourceEntry::unread(inside.name().to_owned(), inside.size(), state, String::new());
    SourceEntry { container: Some(inside.format()), ..entry }
}

/// A source, or all that is in it if it is a container, one after the other.
pub(super) struct Whole {
    first: Option<Source>,
    within: Vec<Inside>,
    /// How many things were met in it, itself aside.
    pub(super) met: u64,
}

impl Whole {
    pub(super) fn new(source: Source) -> Whole {
        Whole { first: Some(source.by_itself()), within: Vec::new(), met: 0 }
    }

    /// Ends it: what was begun and not read to its end.
    pub(super) fn stop(self) -> impl Iterator<Item = SourceEntry> {
        self.within.into_iter().rev().map(|inside| left(&inside))
    }
}

impl Iterator for Whole {
    type Item = Result<Opened, Settled>;

    fn next(&mut self) -> Option<Result<Opened, Settled>> {
        loop {
            let source = match self.first.take() {
                Some(first) => first,
                None => {
                    let Some(found) = self.within.last_mut()?.next() else {
                        self.within.pop();
                        continue;
                    };
                    match found {
                        Found::Container(_) => drop(self.within.pop()),
                        _ => self.met += 1,
                    }
                    match settle(found) {
                        Ok(source) => source,
                        Err(settled) => return Some(Err(settled)),
                    }
                }
            };
            match open(source) {
                Opening::Log(log) => return Some(Ok(log)),
                Opening::Settled(settled) => return Some(Err(settled)),
                Opening::Inside(inside) => self.within.push(*inside),
            }
        }
    }
}

/// Hands each log of a source to `each`, that is the source itself or all that are in it, and notes
/// what became of everything; gives how many things were met in it, or nothing if `each` does.
pub(super) fn whole(
    hunt: &Hunt<'_>,
    source: Source,
    notes: &mut Vec<Note>,
    mut each: impl FnMut(&Opened) -> Option<Note>,
) -> Option<u64> {
    let mut whole = Whole::new(source);
    for opened in whole.by_ref() {
        notes.push(match opened {
            Ok(log) => each(&log)?,
            Err(settled) => Note::Settled(settled),
        });
        // A small container may have very much in it.
        if hunt.cancelled() {
            break;
        }
    }
    let met = whole.met;
    notes.extend(whole.stop().map(|entry| Note::Settled(Settled::source(entry))));
    Some(met)
}
