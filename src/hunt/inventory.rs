//! What is there: every log with what it says of itself, chunks that were carved, containers, and what
//! could not be looked at.
//!
//! One thing after the other, in evidence order. Records are read for their ids, times, channels and
//! computers alone.

use super::open::{Content, Opened, Readers, Settled, Whole};
use super::{Hunt, open};
use crate::bytes::ReadAt;
use crate::event::{Event, LeafId};
use crate::evidence::Found;
use crate::evtx::{self, Bin, ChunkReport, Damage, DamageKind, Record, State};
use crate::ledger::{Aside, SourceEntry, Span};
use std::{collections::BTreeMap, ops::ControlFlow, sync::Arc};

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

/// What is told of evidence.
pub trait Inventory {
    /// A whole chunk of raw bytes, before their entry.
    ///
    /// # Errors
    /// Ends everything.
    fn chunk(&mut self, path: &str, chunk: CarvedChunk<'_>) -> std::io::Result<()>;

    /// A log, with its bytes, or raw bytes.
    ///
    /// # Errors
    /// Ends everything.
    fn log(&mut self, entry: LogEntry, bytes: &Arc<dyn ReadAt>) -> std::io::Result<()>;

    /// A container, or something that could not be looked at.
    ///
    /// # Errors
    /// Ends everything.
    fn other(&mut self, entry: &SourceEntry) -> std::io::Result<()>;

    /// Something that is no log.
    fn aside(&mut self, aside: Aside);
}

impl Hunt<'_> {
    /// Tells of all that `walk` finds; `records` says whether logs are read, or only opened.
    ///
    /// # Errors
    /// Those of the inventory.
    pub fn inventory(
        &self,
        walk: impl Iterator<Item = Found>,
        records: bool,
        inventory: &mut impl Inventory,
    ) -> std::io::Result<()> {
        let mut readers = Readers::new(self);
        let settled = |settled, inventory: &mut _| match settled {
            Settled::Source(entry) => Inventory::other(inventory, &entry),
            Settled::Aside(aside) => {
                Inventory::aside(inventory, aside);
                Ok(())
            }
        };
        for found in walk {
            let source = match open::settle(found) {
                Ok(source) => source,
                Err(other) => {
                    settled(other, &mut *inventory)?;
                    continue;
                }
            };
            for opened in Whole::new(source) {
                match opened {
                    Ok(opened) => one(&mut readers, &opened, records, inventory)?,
                    Err(other) => settled(other, &mut *inventory)?,
                }
                if self.cancelled() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn one(
    readers: &mut Readers,
    opened: &Opened,
    records: bool,
    inventory: &mut impl Inventory,
) -> std::io::Result<()> {
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
    if records || entry.raw {
        let mut look = Look::new(entry, inventory);
        let flow = readers.read(opened, 0..opened.slots(), &mut look);
        debug_assert!(flow.is_continue() || look.error.is_some());
        if let Some(error) = look.error {
            return Err(error);
        }
        entry = look.finish();
    }
    inventory.log(entry, &opened.bytes)
}

/// Reads a log for its entry.
struct Look<'l, I> {
    entry: LogEntry,
    inventory: &'l mut I,
    error: Option<std::io::Error>,
    /// Of each chunk the first and last id, and how many records.
    spans: Vec<(u64, u64, u64)>,
    here: Option<(u64, u64, u64)>,
    /// The channel and computer of the chunk's first record.
    first: Option<(String, String)>,
    chunk: Vec<u8>,
    damaged: bool,
    text: Vec<u8>,
}

impl<'l, I: Inventory> Look<'l, I> {
    fn new(entry: LogEntry, inventory: &'l mut I) -> Look<'l, I> {
        Look {
            entry,
            inventory,
            error: None,
            spans: Vec::new(),
            here: None,
            first: None,
            chunk: Vec::new(),
            damaged: false,
            text: Vec::new(),
        }
    }

    fn text(&mut self, event: &impl Event, leaf: Option<LeafId>) -> String {
        self.text.clear();
        event.first_text(leaf, &mut self.text);
        String::from_utf8_lossy(&self.text).into_owned()
    }

    fn finish(mut self) -> LogEntry {
        self.spans.sort_unstable();
        let first = self.spans.first().map(|(first, ..)| *first);
        let last = self.spans.iter().map(|(_, last, _)| *last).max();
        self.entry.ids = first.zip(last);
        let there: u64 = self.spans.iter().map(|(.., n)| n).sum();
        if let Some((first, last)) = self.entry.ids {
            let all = last.saturating_sub(first).saturating_add(1);
            self.entry.missing_ids = all.saturating_sub(there);
        }
        self.entry
    }
}

impl<I: Inventory> evtx::Sink for Look<'_, I> {
    fn record(&mut self, record: &Record<'_>) -> ControlFlow<()> {
        if record.state() != State::Live {
            self.entry.recovered += 1;
            return ControlFlow::Continue(());
        }
        self.entry.records += 1;
        Span::reach(&mut self.entry.times, record.header_time());
        let id = record.header_record_id();
        let (first, last, n) = self.here.get_or_insert((id, id, 0));
        (*first, *last, *n) = ((*first).min(id), (*last).max(id), *n + 1);
        let system = *record.layout().system();
        let channel = self.text(record, system.channel);
        let computer = self.text(record, system.computer);
        for (names, name) in
            [(&mut self.entry.channels, &channel), (&mut self.entry.computers, &computer)]
        {
            if let Some(count) = names.get_mut(name.as_str()) {
                *count += 1;
            } else if names.len() < NAMES {
                names.insert(name.clone(), 1);
            }
        }
        self.first.get_or_insert((channel, computer));
        ControlFlow::Continue(())
    }

    fn end(&mut self, chunk: &[u8]) -> ControlFlow<()> {
        if self.entry.raw {
            self.chunk.clear();
            self.chunk.extend_from_slice(chunk);
        }
        ControlFlow::Continue(())
    }

    fn chunk(&mut self, report: ChunkReport) {
        let bad = self.damaged || !report.findings.is_empty();
        self.damaged = false;
        let first = self.first.take();
        self.spans.extend(self.here.take());
        match report.bin {
            Bin::Read(_) => {
                self.entry.chunks += 1;
                self.entry.chunks_bad += u64::from(bad);
            }
            Bin::Unreadable(_) => {
                self.entry.chunks += 1;
                self.entry.chunks_bad += 1;
            }
            Bin::Empty | Bin::Orphans(_) => return,
        }
        if let (true, Some((channel, computer)), None) = (self.entry.raw, first, &self.error) {
            let (channel, computer) = (channel.as_str(), computer.as_str());
            let (bytes, offset) = (self.chunk.as_slice(), report.offset);
            let chunk = CarvedChunk { channel, computer, bytes, offset };
            self.error = self.inventory.chunk(&self.entry.path, chunk).err();
        }
    }

    fn damage(&mut self, damage: Damage) {
        self.damaged = true;
        if matches!(damage.kind, DamageKind::Record | DamageKind::LeftOver) {
            self.entry.unreadable += 1;
        }
    }
}
