//! From a source to a log, to what is in it, or to the reason why it is neither.

use super::Hunt;
use super::feed::{CHUNK_BYTES, ITEM_BYTES};
use super::learn::{Learned, Pieces, Scouted};
use super::work::Note;
use crate::bytes::ReadAt;
use crate::event::format_file_time;
use crate::evidence::{Container, Found, Inside, Locked, Look, Outcome, Ranges, Source};
use crate::evtx::{
    self, Bin, Carver, ChunkReport, Counts, Damage, DamageKind, Log, Lost, MARGIN, OpenError,
    Outer, PIECE, Partial, Reader, Scout, Sink, Templates,
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

/// How much of raw bytes is worked on at once: as many pieces as [`Pieces`] has bits.
const RAW_BYTES: u64 = Pieces::BITS as u64 * PIECE;

/// What reads logs and searches raw bytes, one thread's.
pub(super) struct Readers {
    reader: Reader,
    scout: Scout,
    carver: Carver,
    lost: Vec<Lost>,
    ranges: Vec<Range<u64>>,
    /// What was learned of raw bytes before.
    learned: Option<Arc<Scouted>>,
    /// What is learned of them, if it is kept.
    learning: Option<Scouted>,
}

impl Readers {
    pub(super) fn new(hunt: &Hunt<'_>) -> Readers {
        Readers::with(hunt.recover, hunt.learned)
    }

    /// Some that look into slack or not, with what was learned of the case.
    pub(super) fn with(recover: bool, learned: Option<&Learned>) -> Readers {
        let options = evtx::Options { recover, ..evtx::Options::default() };
        let templates = learned.map(|learned| Arc::clone(&learned.templates));
        let reader = Reader::new(options).with_templates(templates.clone());
        let learned = learned.map(|learned| Arc::clone(&learned.scouted));
        Readers { learned, ..Readers::of(reader, Carver::with_templates(templates)) }
    }

    /// Some that keep what they learn.
    pub(super) fn collecting() -> Readers {
        let reader = Reader::new(evtx::Options::default()).collecting();
        let learning = Some(Scouted::default());
        Readers { learning, ..Readers::of(reader, Carver::collecting()) }
    }

    fn of(reader: Reader, carver: Carver) -> Readers {
        let (scout, lost, ranges) = (Scout::new(), Vec::new(), Vec::new());
        Readers { reader, scout, carver, lost, ranges, learned: None, learning: None }
    }

    /// What they learned.
    pub(super) fn into_learned(self) -> (Templates, Scouted) {
        let mut templates = self.reader.into_templates();
        templates.merge(self.carver.into_templates());
        (templates, self.learning.unwrap_or_default())
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
            self.window(opened, ranges, &window, sink)?;
            from = to;
        }
        ControlFlow::Continue(())
    }

    /// Searches what of the ranges is in a window.
    fn window(
        &mut self,
        opened: &Opened,
        ranges: &[Range<u64>],
        window: &Range<u64>,
        sink: &mut impl Sink,
    ) -> ControlFlow<()> {
        let first = ranges.partition_point(|range| range.end <= window.start);
        let inside = ranges.iter().skip(first).take_while(|range| range.start < window.end);
        self.ranges.clear();
        self.ranges
            .extend(inside.map(|range| range.start.max(window.start)..range.end.min(window.end)));
        let pieces = self.pieces(opened, window);
        if pieces == 0 {
            return ControlFlow::Continue(());
        }
        let mut ranges = std::mem::take(&mut self.ranges);
        keep(&mut ranges, pieces, window.start);
        let mut rest = ranges.as_slice();
        let mut flow = ControlFlow::Continue(());
        while let (ControlFlow::Continue(()), false) = (flow, rest.is_empty()) {
            // What is around those that are read at once is read with them: one goes with another as
            // long as nothing would be read twice or in vain.
            let apart = |pair: &[Range<u64>]| match pair {
                [a, b] => b.start.saturating_sub(a.end) >= 2 * MARGIN,
                _ => false,
            };
            let together = rest.windows(2).position(apart).map_or(rest.len(), |n| n + 1);
            let (group, others) = rest.split_at_checked(together).unwrap_or((rest, &[]));
            rest = others;
            flow = self.carve(&*opened.bytes, group, window.start, sink);
        }
        self.ranges = ranges;
        flow
    }

    /// In which pieces of a window something may begin in the ranges that are in it.
    fn pieces(&mut self, opened: &Opened, window: &Range<u64>) -> Pieces {
        let (source, number) = (opened.source.name(), window.start / RAW_BYTES);
        if let Some(known) = self.learned.as_ref().and_then(|known| known.known(source, number)) {
            return known;
        }
        let mut pieces = 0;
        let first = window.start / PIECE;
        self.scout.look(&*opened.bytes, &self.ranges, &mut |piece| {
            let bit = u32::try_from(piece.saturating_sub(first)).unwrap_or(u32::MAX);
            pieces |= Pieces::checked_shl(1, bit).unwrap_or(0);
        });
        if let Some(learning) = &mut self.learning {
            learning.note(source, number, pieces);
        }
        pieces
    }

    /// Searches ranges, which lie in a window that begins at `offset`.
    fn carve(
        &mut self,
        bytes: &dyn ReadAt,
        ranges: &[Range<u64>],
        offset: u64,
        sink: &mut impl Sink,
    ) -> ControlFlow<()> {
        let (stretch, flow) = self.carver.read(bytes, ranges, sink, &mut self.lost);
        flow?;
        let chunk = offset / CHUNK_BYTES;
        if stretch.unread > 0 {
            let len = u32::try_from(stretch.unread).unwrap_or(u32::MAX);
            let reason = format!("{len} bytes here or around cannot be read and count as zeros");
            let kind = DamageKind::Medium(len);
            sink.damage(Damage { offset, chunk, record_id: None, kind, reason });
        }
        let counts = Counts { unreadable: self.lost.len() as u64, ..Counts::default() };
        for lost in self.lost.drain(..) {
            sink.lost(&lost)?;
            sink.damage(told(&lost));
        }
        if counts.unreadable > 0 {
            let (bin, findings) = (Bin::Orphans(counts), Vec::new());
            sink.chunk(ChunkReport { chunk, offset, bin, findings });
        }
        ControlFlow::Continue(())
    }
}

/// What the ledger says of a record that stands alone and cannot be read.
fn told(lost: &Lost) -> Damage {
    let Lost { offset, size, record_id: id, time, .. } = *lost;
    let time = format_file_time(time);
    let event = match &lost.outer {
        Some(Outer { provider, event_id, .. }) => format!(" (event {event_id} of {provider})"),
        None => {
            let Partial { event_id, provider, .. } = Partial::of(&lost.record);
            let of = provider.map_or_else(String::new, |provider| format!(" of {provider}"));
            let by = "by its place among the values";
            event_id.map_or_else(String::new, |event| format!(" (event {event}{of}, {by})"))
        }
    };
    let reason = format!(
        "record {id} of {size} bytes, written {time}{event}, stands alone, and its template is not known"
    );
    let (kind, record_id) = (DamageKind::LeftOver, Some(id));
    Damage { offset, chunk: offset / CHUNK_BYTES, record_id, kind, reason }
}

/// Keeps of ranges what is in these pieces of the window that begins at `start`.
fn keep(ranges: &mut Vec<Range<u64>>, pieces: Pieces, start: u64) {
    let mut kept: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges.iter() {
        for piece in (0..u64::from(Pieces::BITS)).filter(|piece| pieces >> piece & 1 != 0) {
            let from = start.saturating_add(piece * PIECE);
            let part = range.start.max(from)..range.end.min(from.saturating_add(PIECE));
            if part.is_empty() {
                continue;
            }
            match kept.last_mut() {
                Some(last) if last.end == part.start => last.end = part.end,
                _ => kept.push(part),
            }
        }
    }
    *ranges = kept;
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
    Log(Box<Opened>),
    Inside(Box<Inside>),
    Settled(Settled),
}

/// Opens a source and looks at what it is.
pub(super) fn open(source: Source) -> Opening {
    let unread = |size, state, reason: String| {
        // What is known of it may be why.
        let notes = source.notes().iter().map(String::as_str);
        let reason = std::iter::once(&*reason).chain(notes).collect::<Vec<_>>().join("; ");
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
            let content = Content::Raw(ranges);
            return Opening::Log(Box::new(Opened { source, bytes, content }));
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
        Ok(log) => Opening::Log(Box::new(Opened { source, bytes, content: Content::Log(log) })),
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
                Opening::Log(log) => return Some(Ok(*log)),
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
