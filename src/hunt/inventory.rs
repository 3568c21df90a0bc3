//! What is there: every log with what it says of itself, chunks that were carved, containers, and what
//! could not be looked at.
//!
//! All threads work on it, a log each, and what they saw is told in evidence order. Records are read
//! for their ids, times, channels and computers alone.
//!
//! Invariant: what is told does not depend on threads. Memory is bounded by them: what waits for its
//! turn is the entries of a window of logs, and the chunks of a window of raw bytes.

use super::collect::INTERRUPTED;
use super::count::{Counted, uncounted};
use super::open::{Content, Opened, Opening, Readers, Settled, Whole, left};
use super::sequence::{Consumer, Flow, Sequencer};
use super::time::written;
use super::work::Note;
use super::{Hunt, StopUnlessDone, WINDOW, open, pool};
use crate::bytes::ReadAt;
use crate::event::{Event, LeafId};
use crate::evidence::{Found, Inside, Layout, Source};
use crate::evtx::{self, Bin, ChunkReport, Damage, DamageKind, Record, State};
use crate::ledger::{Aside, SourceEntry, SourceState, Span};
use std::{
    collections::BTreeMap,
    io,
    ops::{ControlFlow, Range},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// So many names of channels and computers of one log are told apart; a collector's has thousands.
const NAMES: usize = 1024;

/// A log, or raw bytes that were searched.
#[derive(Debug, Clone, Default)]
pub struct LogEntry {
    /// Its path.
    pub path: String,
    /// What it is called where it is stored, if a collection says that its path was another.
    pub stored_as: Option<String>,
    /// The host that it was collected from, if the collection says so.
    pub host: Option<String>,
    /// Its size in bytes.
    pub size: u64,
    /// How it was there: `live`, `deleted`, `carved`, `slack`.
    pub found: &'static str,
    /// Whether it is raw bytes, with chunks and records in them.
    pub raw: bool,
    /// Whether it was open when it was copied, and whether it was full.
    pub dirty: bool,
    /// Whether it was full.
    pub full: bool,
    /// Chunks with records, and those that are damaged or unreadable.
    pub chunks: u64,
    /// Of these, those that are damaged, and those that cannot be read.
    pub chunks_bad: u64,
    /// Records that are the log's own.
    pub records: u64,
    /// Records that are left over, or stand alone.
    pub recovered: u64,
    /// Records that cannot be read.
    pub unreadable: u64,
    /// Records that are left over or stand alone and cannot be read any more: no damage of the log.
    pub unrecoverable: u64,
    /// The first thing that could not be read, where it is and why.
    pub damage: Option<String>,
    /// The ids of the first and last record.
    pub ids: Option<(u64, u64)>,
    /// How many ids between these have no record.
    pub missing_ids: u64,
    /// When the first and the last record were written.
    pub times: Option<Span>,
    /// Channels, by how many records are of them.
    pub channels: BTreeMap<String, u64>,
    /// Computers, by how many records are of them.
    pub computers: BTreeMap<String, u64>,
}

/// A chunk that was found in raw bytes, whole.
#[derive(Debug, Clone, Copy)]
pub struct CarvedChunk<'c> {
    /// The channel and the computer of its first record.
    pub channel: &'c str,
    /// The computer of its first record.
    pub computer: &'c str,
    /// Its bytes up to the end of its records.
    pub bytes: &'c [u8],
    /// Where it stands.
    pub offset: u64,
}

/// A container, before all that is in it.
#[derive(Debug, Clone)]
pub struct Begun {
    /// Its path.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// What it is: `zip`, `disk image`.
    pub format: &'static str,
    /// How it is laid out, if it is a disk.
    pub layout: Option<Layout>,
}

/// What is told of evidence, in its order.
pub trait Inventory: Send {
    /// What is made of each log, by whatever thread is free.
    type Made: Send;

    /// A container, before all that is in it.
    ///
    /// # Errors
    /// Ends everything.
    fn begun(&mut self, begun: &Begun) -> io::Result<()>;

    /// A whole chunk of raw bytes, before their entry.
    ///
    /// # Errors
    /// Ends everything.
    fn chunk(&mut self, path: &str, chunk: CarvedChunk<'_>) -> io::Result<()>;

    /// A log with what was made of it, or raw bytes, of which nothing is; `source` is what the ledger
    /// has of it, without counts if logs are not read.
    ///
    /// # Errors
    /// Ends everything.
    fn log(
        &mut self,
        entry: LogEntry,
        source: SourceEntry,
        made: Option<Self::Made>,
    ) -> io::Result<()>;

    /// A container, after all that is in it, or something that could not be looked at.
    ///
    /// # Errors
    /// Ends everything.
    fn other(&mut self, entry: &SourceEntry) -> io::Result<()>;

    /// Something that is no log.
    fn aside(&mut self, aside: Aside);
}

/// Makes something of a log: its path and bytes.
pub type Maker<'m, M> = &'m (dyn Fn(&str, &Arc<dyn ReadAt>) -> io::Result<M> + Sync);

/// What is known when all was told.
#[derive(Debug, Default)]
pub struct Inventoried {
    /// How many things were met in the evidence.
    pub met: u64,
    /// What was begun when the run was stopped, and not read to its end.
    pub not_ended: Vec<SourceEntry>,
}

impl Hunt<'_> {
    /// Tells of all that `walk` finds, by all threads; `records` says whether logs are read, or only
    /// opened and handed to `maker`.
    ///
    /// # Errors
    /// Those of the inventory and of the maker, and if threads cannot be started.
    pub fn inventory<I: Inventory>(
        &self,
        walk: impl Iterator<Item = Found> + Send,
        records: bool,
        maker: Maker<'_, I::Made>,
        inventory: &mut I,
    ) -> io::Result<Inventoried> {
        let pool = pool(self.threads).map_err(|error| io::Error::other(error.to_string()))?;
        let stream = Mutex::new(Stream { walk, within: Vec::new(), raw: None, number: 0, met: 0 });
        let window = pool.current_num_threads().saturating_mul(WINDOW);
        let teller = Teller { inventory, open: None, error: None };
        let sequencer = Sequencer::new(teller, window as u64);
        let within = AtomicU64::new(0);
        pool.broadcast(|_| {
            let guard = StopUnlessDone(&sequencer);
            let mut readers = Readers::new(self);
            while !sequencer.stopped() {
                let next = {
                    let mut stream = stream.lock().unwrap_or_else(PoisonError::into_inner);
                    if self.cancelled() { None } else { stream.next() }
                };
                let Some((number, item)) = next else { break };
                if sequencer.admit(number) == Flow::Stop {
                    break;
                }
                let (told, met) = tell(self, &mut readers, item, records, maker);
                within.fetch_add(met, Ordering::Relaxed);
                if sequencer.deliver(number, told) == Flow::Stop {
                    break;
                }
            }
            std::mem::forget(guard);
        });
        let stream = stream.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (open, error) = match sequencer.into_consumer() {
            Some(teller) => (teller.open, teller.error),
            None => (None, None),
        };
        let begun = open.map(|seen| seen.account).into_iter();
        let begun = begun.chain(stream.within.iter().rev().map(left));
        let (state, reason) = (SourceState::Interrupted, Some(INTERRUPTED.to_owned()));
        let not_ended =
            begun.map(|entry| SourceEntry { state, reason: reason.clone(), ..entry }).collect();
        let met = stream.met.saturating_add(within.into_inner());
        error.map_or(Ok(Inventoried { met, not_ended }), Err)
    }
}

/// What comes next in the evidence. Containers are gone into here, so that what is in one is work for
/// all threads; whoever gets a log opens it.
struct Stream<W> {
    walk: W,
    within: Vec<Inside>,
    /// Raw bytes that are being cut, and how far.
    raw: Option<(Arc<Opened>, u64)>,
    number: u64,
    /// How many things were met.
    met: u64,
}

/// A piece of work.
enum Item {
    Settled(Settled),
    Begun(Begun),
    /// Not opened yet.
    Source(Source),
    /// These slots of raw bytes, and whether they are the last.
    Raw(Arc<Opened>, Range<u64>, bool),
}

/// What came of one.
enum Told<M> {
    Settled(Settled),
    Begun(Begun),
    Log(Box<Seen>, io::Result<M>),
    Raw { seen: Box<Seen>, last: bool },
}

impl<W: Iterator<Item = Found>> Stream<W> {
    fn next(&mut self) -> Option<(u64, Item)> {
        let item = self.slots().or_else(|| self.item())?;
        let number = self.number;
        self.number += 1;
        Some((number, item))
    }

    /// The next of the raw bytes that are being cut.
    fn slots(&mut self) -> Option<Item> {
        let (raw, from) = self.raw.as_mut()?;
        let slots = *from..from.saturating_add(raw.slots_at_once()).min(raw.slots());
        *from = slots.end;
        let (raw, last) = (Arc::clone(raw), slots.end >= raw.slots());
        if last {
            self.raw = None;
        }
        Some(Item::Raw(raw, slots, last))
    }

    fn item(&mut self) -> Option<Item> {
        let source = match open::settle(self.found()?) {
            Ok(source) => source,
            Err(settled) => return Some(Item::Settled(settled)),
        };
        // Opened here is what has other things in it, and what may turn out to be raw bytes.
        if !source.is_container().unwrap_or(false) && !source.opens_cheaply() {
            return Some(Item::Source(source));
        }
        match open::open(source.clone()) {
            Opening::Settled(settled) => Some(Item::Settled(settled)),
            Opening::Log(opened) if matches!(opened.content, Content::Raw(_)) => {
                self.raw = Some((Arc::from(opened), 0));
                self.slots()
            }
            Opening::Log(_) => Some(Item::Source(source)),
            Opening::Inside(inside) => {
                let begun = Begun {
                    path: inside.name().to_owned(),
                    size: inside.size(),
                    format: inside.format(),
                    layout: inside.layout().cloned(),
                };
                self.within.push(*inside);
                Some(Item::Begun(begun))
            }
        }
    }

    fn found(&mut self) -> Option<Found> {
        while let Some(inside) = self.within.last_mut() {
            match inside.next() {
                // It was met before all that is in it.
                Some(found @ Found::Container(_)) => {
                    self.within.pop();
                    return Some(found);
                }
                Some(found) => {
                    self.met += 1;
                    return Some(found);
                }
                None => drop(self.within.pop()),
            }
        }
        let found = self.walk.next()?;
        self.met += u64::from(!matches!(found, Found::Container(_)));
        Some(found)
    }
}

/// Does a piece of work; of a source that is a container after all, all that is in it, and how many things
/// that were.
fn tell<M>(
    hunt: &Hunt<'_>,
    readers: &mut Readers,
    item: Item,
    records: bool,
    maker: Maker<'_, M>,
) -> (Vec<Told<M>>, u64) {
    let source = match item {
        Item::Settled(settled) => return (vec![Told::Settled(settled)], 0),
        Item::Begun(begun) => return (vec![Told::Begun(begun)], 0),
        Item::Raw(opened, slots, last) => {
            let seen = Box::new(seen(hunt, readers, &opened, slots));
            return (vec![Told::Raw { seen, last }], 0);
        }
        Item::Source(source) => source,
    };
    let mut told = Vec::new();
    let mut whole = Whole::new(source);
    for opened in whole.by_ref() {
        let opened = match opened {
            Ok(opened) => opened,
            Err(settled) => {
                told.push(Told::Settled(settled));
                continue;
            }
        };
        let raw = matches!(opened.content, Content::Raw(_));
        let seen = Box::new(match records || raw {
            true => seen(hunt, readers, &opened, 0..opened.slots()),
            false => Seen::begin(&opened),
        });
        told.push(match raw {
            true => Told::Raw { seen, last: true },
            false => Told::Log(seen, maker(opened.source.name(), &opened.bytes)),
        });
    }
    (told, whole.met)
}

/// What is seen of some slots.
fn seen(hunt: &Hunt<'_>, readers: &mut Readers, opened: &Opened, slots: Range<u64>) -> Seen {
    let mut look = Look::new(opened, &slots);
    // It never breaks off.
    let _ = readers.read(opened, slots.clone(), &mut look);
    let Look { mut seen, counted, .. } = look;
    if let Note::Part { entry, .. } = counted.end(hunt, opened, &slots) {
        seen.account = *entry;
    }
    seen
}

fn entry_of(opened: &Opened) -> LogEntry {
    let mut entry = LogEntry {
        path: opened.source.name().to_owned(),
        stored_as: opened.source.stored_as().map(str::to_owned),
        host: opened.source.host().map(str::to_owned),
        size: opened.bytes.size(),
        found: opened.source.state().as_str(),
        raw: matches!(opened.content, Content::Raw(_)),
        ..LogEntry::default()
    };
    if let Content::Log(log) = &opened.content {
        (entry.dirty, entry.full) = (log.dirty, log.full);
    }
    entry
}

/// Hands on what is told, in order.
struct Teller<'i, I> {
    inventory: &'i mut I,
    /// Raw bytes of which not all are known yet.
    open: Option<Box<Seen>>,
    error: Option<io::Error>,
}

impl<I: Inventory> Teller<'_, I> {
    fn told(&mut self, told: Told<I::Made>) -> io::Result<()> {
        match told {
            Told::Settled(Settled::Source(entry)) => self.inventory.other(&entry),
            Told::Settled(Settled::Aside(aside)) => {
                self.inventory.aside(aside);
                Ok(())
            }
            Told::Begun(begun) => self.inventory.begun(&begun),
            Told::Log(seen, made) => {
                let (entry, source) = seen.finish();
                self.inventory.log(entry, source, Some(made?))
            }
            Told::Raw { mut seen, last } => {
                for chunk in std::mem::take(&mut seen.chunks) {
                    let (channel, computer) = (&chunk.channel, &chunk.computer);
                    let (bytes, offset) = (chunk.bytes.as_slice(), chunk.offset);
                    let chunk = CarvedChunk { channel, computer, bytes, offset };
                    self.inventory.chunk(&seen.entry.path, chunk)?;
                }
                let seen = match self.open.take() {
                    None => seen,
                    Some(mut before) => {
                        before.append(*seen);
                        before
                    }
                };
                if last {
                    let (entry, source) = seen.finish();
                    return self.inventory.log(entry, source, None);
                }
                self.open = Some(seen);
                Ok(())
            }
        }
    }
}

impl<I: Inventory> Consumer for Teller<'_, I> {
    type Part = ();
    type Piece = Vec<Told<I::Made>>;

    fn part(&mut self, (): &()) -> Flow {
        Flow::Go
    }

    fn piece(&mut self, piece: Vec<Told<I::Made>>) -> Flow {
        let told = piece.into_iter().try_for_each(|told| self.told(told));
        self.error = told.err();
        if self.error.is_some() { Flow::Stop } else { Flow::Go }
    }
}

/// What was seen of a log or of raw bytes.
struct Seen {
    entry: LogEntry,
    /// What the ledger has of it.
    account: SourceEntry,
    /// Of each chunk the first and last id, and how many records.
    spans: Vec<(u64, u64, u64)>,
    /// Whole chunks of raw bytes.
    chunks: Vec<Chunk>,
}

/// A chunk that was found in raw bytes.
struct Chunk {
    channel: String,
    computer: String,
    bytes: Vec<u8>,
    offset: u64,
}

impl Seen {
    /// Nothing yet.
    fn begin(opened: &Opened) -> Seen {
        let (entry, account) = (entry_of(opened), uncounted(opened));
        Seen { entry, account, spans: Vec::new(), chunks: Vec::new() }
    }

    /// Adds what was seen behind this.
    fn append(&mut self, later: Seen) {
        self.account.append(later.account);
        let (entry, more) = (&mut self.entry, later.entry);
        entry.chunks += more.chunks;
        entry.chunks_bad += more.chunks_bad;
        entry.records += more.records;
        entry.recovered += more.recovered;
        entry.unreadable += more.unreadable;
        entry.unrecoverable += more.unrecoverable;
        Span::merge(&mut entry.times, more.times);
        for (names, more) in
            [(&mut entry.channels, more.channels), (&mut entry.computers, more.computers)]
        {
            for (name, n) in more {
                count(names, &name, n);
            }
        }
        self.spans.extend(later.spans);
    }

    fn finish(mut self) -> (LogEntry, SourceEntry) {
        let first = self.account.damages.kept.first();
        self.entry.damage = first.map(|at| format!("at offset {}: {}", at.offset, at.reason));
        self.spans.sort_unstable();
        let first = self.spans.first().map(|(first, ..)| *first);
        let last = self.spans.iter().map(|(_, last, _)| *last).max();
        self.entry.ids = first.zip(last);
        let there: u64 = self.spans.iter().map(|(.., n)| n).sum();
        if let Some((first, last)) = self.entry.ids {
            let all = last.saturating_sub(first).saturating_add(1);
            self.entry.missing_ids = all.saturating_sub(there);
        }
        (self.entry, self.account)
    }
}

/// Counts a name, if it is known or there is room.
fn count(names: &mut BTreeMap<String, u64>, name: &str, n: u64) {
    if let Some(count) = names.get_mut(name) {
        *count += n;
    } else if names.len() < NAMES {
        names.insert(name.to_owned(), n);
    }
}

/// Reads a log for its entry.
struct Look {
    seen: Seen,
    counted: Counted,
    here: Option<(u64, u64, u64)>,
    /// The channel and computer of the chunk's first record.
    first: Option<(String, String)>,
    chunk: Vec<u8>,
    damaged: bool,
    text: Vec<u8>,
}

impl Look {
    fn new(opened: &Opened, slots: &Range<u64>) -> Look {
        let (seen, counted) = (Seen::begin(opened), Counted::begin(opened, slots));
        let (chunk, text) = (Vec::new(), Vec::new());
        Look { seen, counted, here: None, first: None, chunk, damaged: false, text }
    }

    fn text(&mut self, event: &impl Event, leaf: Option<LeafId>) -> String {
        self.text.clear();
        event.first_text(leaf, &mut self.text);
        String::from_utf8_lossy(&self.text).into_owned()
    }
}

impl evtx::Sink for Look {
    fn record(&mut self, record: &Record<'_>) -> ControlFlow<()> {
        self.counted.met(record);
        self.counted.read(record.state(), record.lane());
        if record.state() != State::Live {
            self.seen.entry.recovered += 1;
            return ControlFlow::Continue(());
        }
        self.seen.entry.records += 1;
        Span::reach(&mut self.seen.entry.times, written(record));
        let id = record.header_record_id();
        let (first, last, n) = self.here.get_or_insert((id, id, 0));
        (*first, *last, *n) = ((*first).min(id), (*last).max(id), *n + 1);
        let system = *record.layout().system();
        let channel = self.text(record, system.channel);
        let computer = self.text(record, system.computer);
        count(&mut self.seen.entry.channels, &channel, 1);
        count(&mut self.seen.entry.computers, &computer, 1);
        self.first.get_or_insert((channel, computer));
        ControlFlow::Continue(())
    }

    fn end(&mut self, chunk: &[u8]) -> ControlFlow<()> {
        if self.seen.entry.raw {
            self.chunk.clear();
            self.chunk.extend_from_slice(chunk);
        }
        ControlFlow::Continue(())
    }

    fn chunk(&mut self, report: ChunkReport) {
        self.counted.chunk(&report);
        let bad = self.damaged || !report.findings.is_empty();
        self.damaged = false;
        let first = self.first.take();
        let Seen { entry, spans, chunks, .. } = &mut self.seen;
        spans.extend(self.here.take());
        match report.bin {
            Bin::Read(_) => {
                entry.chunks += 1;
                entry.chunks_bad += u64::from(bad);
            }
            Bin::Unreadable(_) => {
                entry.chunks += 1;
                entry.chunks_bad += 1;
            }
            Bin::Empty | Bin::Orphans(_) => return,
        }
        if let (true, Some((channel, computer))) = (entry.raw, first) {
            let (bytes, offset) = (std::mem::take(&mut self.chunk), report.offset);
            chunks.push(Chunk { channel, computer, bytes, offset });
        }
    }

    fn damage(&mut self, damage: Damage) {
        match damage.kind {
            // That it cannot be read any more is no damage of the chunk.
            DamageKind::LeftOver => self.seen.entry.unrecoverable += 1,
            kind => {
                self.damaged = true;
                self.seen.entry.unreadable += u64::from(matches!(kind, DamageKind::Record));
            }
        }
        self.counted.damage(damage);
    }
}
