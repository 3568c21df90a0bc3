//! Cuts the evidence into pieces of work, in evidence order.
//!
//! An item is about [`ITEM_BYTES`] of evidence: a range of chunk slots of one large log, or many
//! small files. Small files are opened by whoever works on the item, so that a folder of a hundred
//! thousand of them keeps all threads busy; a large one is opened here, because how it is cut depends
//! on what it is. So are large containers, whose members are files like others: a member that is
//! packed is unpacked by those who work on it. A small container is one file to whoever works on it,
//! and so is a member of which all has to be unpacked to get at any of it.

use super::open::{Opened, Opening, Settled, left, open, settle};
use crate::evidence::{Found, Inside, Source};
use crate::ledger::{SourceEntry, SourceState};
use std::{ops::Range, sync::Arc};

/// How much evidence an item has. Handing one out costs some microseconds and reading it some
/// milliseconds, so that more would gain nothing; less work at a time is left for the last thread to
/// finish, and less output waits for its turn.
pub(super) const ITEM_BYTES: u64 = 2 << 20;

/// What opening a file counts for, in bytes read: it bounds how many files an item has.
const FILE_COST: u64 = 32 << 10;

/// Bytes of a chunk ([MS-EVEN6] 2.2.11).
pub(super) const CHUNK_BYTES: u64 = 64 << 10;

/// A numbered piece of work.
pub(super) struct Item {
    pub(super) number: u64,
    pub(super) pieces: Vec<Piece>,
}

/// A part of an item.
pub(super) enum Piece {
    /// A small file, not opened yet.
    Whole(Source),
    /// Some chunk slots of a log.
    Slots { log: Arc<Opened>, slots: Range<u64> },
    /// Something of which nothing is left to do but to write it down.
    Settled(Settled),
}

/// See the module.
pub(super) struct Feed<I> {
    walk: I,
    next_number: u64,
    met: u64,
    /// The containers that it is in.
    within: Vec<Inside>,
    large: Option<(Arc<Opened>, u64)>,
    /// Whether nothing more is to be handed out.
    closed: bool,
    ended: bool,
}

impl<I> Feed<I> {
    /// How many things were met in the evidence so far.
    pub(super) fn met(&self) -> u64 {
        self.met
    }

    /// Hands out nothing more.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Whether it was closed before its end.
    pub(super) fn closed(&self) -> bool {
        self.closed && !self.ended
    }

    /// What was met and neither handed out nor read to its end: a log that was opened, and the
    /// containers around it.
    pub(super) fn not_ended(&self) -> Vec<SourceEntry> {
        let log = self.large.as_ref().filter(|(_, from)| *from == 0).map(|(log, _)| {
            let (name, size) = (log.source.name().to_owned(), log.source.size());
            SourceEntry::unread(name, size, SourceState::Interrupted, String::new())
        });
        log.into_iter().chain(self.within.iter().rev().map(left)).collect()
    }
}

impl<I: Iterator<Item = Found>> Feed<I> {
    pub(super) fn new(walk: I) -> Feed<I> {
        let within = Vec::new();
        Feed { walk, next_number: 0, met: 0, within, large: None, closed: false, ended: false }
    }

    fn pieces(&mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut weight = 0;
        while weight < ITEM_BYTES {
            // What came before a large log is an item of its own.
            if self.large.is_some() && !pieces.is_empty() {
                break;
            }
            if let Some(piece) = self.next_slots() {
                pieces.push(piece);
                break;
            }
            let Some(found) = self.found() else { break };
            weight += FILE_COST;
            match settle(found) {
                Ok(source) if opened_by_workers(&source) => {
                    weight += source.size();
                    pieces.push(Piece::Whole(source));
                }
                Ok(source) => match open(source) {
                    Opening::Log(opened) => self.large = Some((Arc::from(opened), 0)),
                    Opening::Inside(inside) => self.within.push(*inside),
                    Opening::Settled(settled) => pieces.push(Piece::Settled(settled)),
                },
                Err(settled) => pieces.push(Piece::Settled(settled)),
            }
        }
        pieces
    }

    /// What comes next: in the container that it is in, or behind it.
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

    /// The next slots of the large log that is being cut.
    fn next_slots(&mut self) -> Option<Piece> {
        let (log, from) = self.large.as_mut()?;
        let slots = *from..from.saturating_add(log.slots_at_once()).min(log.slots());
        *from = slots.end;
        let log = Arc::clone(log);
        if slots.end >= log.slots() {
            self.large = None;
        }
        Some(Piece::Slots { log, slots })
    }
}

impl<I: Iterator<Item = Found>> Iterator for Feed<I> {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        if self.closed {
            return None;
        }
        let pieces = self.pieces();
        if pieces.is_empty() {
            self.ended = true;
            return None;
        }
        let number = self.next_number;
        self.next_number += 1;
        Some(Item { number, pieces })
    }
}

/// Whether a source is opened by whoever works on it. A large log that has to be unpacked is, so that
/// others unpack the next one meanwhile; the last large one is work for all, and so is what is in a
/// large container.
fn opened_by_workers(source: &Source) -> bool {
    source.size() <= ITEM_BYTES
        || (!source.opens_cheaply() || source.leaves_work())
            && !source.is_container().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Walk;
    use std::fs;

    /// A log without records of so many chunks: zeros, which are never read here.
    fn log(chunks: usize) -> Vec<u8> {
        let mut bytes = vec![0; 4096 + chunks * 65_536];
        bytes[..8].copy_from_slice(b"ElfFile\0");
        bytes[40..42].copy_from_slice(&4096u16.to_le_bytes());
        bytes
    }

    /// What is in an item: paths of whole files, ranges of large ones, the rest.
    fn told(item: &Item) -> Vec<String> {
        let piece = |piece: &Piece| match piece {
            Piece::Whole(source) => source.name().rsplit(['/', '\\']).next().unwrap().to_owned(),
            Piece::Slots { slots, .. } => format!("{}..{}", slots.start, slots.end),
            Piece::Settled(Settled::Source(entry)) => entry.state.as_str().to_owned(),
            Piece::Settled(Settled::Aside(_)) => "aside".to_owned(),
        };
        item.pieces.iter().map(piece).collect()
    }

    #[test]
    fn large_logs_are_cut_and_small_ones_gathered() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
        for name in ["a", "b"] {
            write(name, &log(1));
        }
        // 33 chunks: an item of 32 and one of 1.
        write("c", &log(33));
        write("d", &log(1));
        write("e-no-log", &vec![0; 3 << 20]);
        write("f-no-log.evtx", &vec![0; 3 << 20]);
        write("g", &log(64));
        let mut feed = Feed::new(Walk::new(&[folder.path().to_owned(), "absent".into()]));
        let items: Vec<Item> = feed.by_ref().collect();
        let told: Vec<_> = items.iter().map(told).collect();
        assert_eq!(
            told,
            [
                vec!["a", "b"],
                vec!["0..32"],
                vec!["32..33"],
                vec!["d", "aside", "not_an_event_log"],
                vec!["0..32"],
                vec!["32..64"],
                vec!["unreadable"],
            ]
        );
        assert!(items.iter().zip(0..).all(|(item, n)| item.number == n));
        assert_eq!(feed.met(), 8);
    }

    /// Of large packed members all but the last are each unpacked by one thread.
    #[test]
    fn large_members_are_unpacked_beside_each_other() {
        use std::io::Write as _;
        let folder = tempfile::tempdir().unwrap();
        let file = fs::File::create(folder.path().join("case.zip")).unwrap();
        let mut zip = zip::ZipWriter::new(file);
        let method = |stored: bool| {
            let (stores, packs) =
                (zip::CompressionMethod::Stored, zip::CompressionMethod::Deflated);
            let method = if stored { stores } else { packs };
            zip::write::SimpleFileOptions::default().compression_method(method)
        };
        for (name, chunks, stored) in [
            ("a.evtx", 40, false),
            ("b.evtx", 64, true),
            ("c.evtx", 150, false),
            ("d.evtx", 40, false),
            ("e.evtx", 40, false),
            ("f", 200, false),
        ] {
            zip.start_file(name, method(stored)).unwrap();
            zip.write_all(&log(chunks)).unwrap();
        }
        zip.finish().unwrap();
        let items: Vec<Item> = Feed::new(Walk::new(&[folder.path().to_owned()])).collect();
        let told: Vec<String> = items.iter().flat_map(told).collect();
        let begun = |name: &str| told.iter().position(|piece| piece == name);
        assert!(begun("case.zip!a.evtx").is_some(), "{told:?}");
        assert!(begun("case.zip!d.evtx").is_some(), "{told:?}");
        for name in ["b", "c", "e"] {
            let name = format!("case.zip!{name}.evtx");
            assert!(begun(&name).is_none(), "{name}: work for all: {told:?}");
        }
        assert!(told.contains(&"128..150".to_owned()), "{told:?}");
        assert_eq!(told.last().map(String::as_str), Some("read"));
    }

    #[test]
    fn an_item_has_not_too_many_files() {
        let folder = tempfile::tempdir().unwrap();
        for n in 0..150 {
            fs::write(folder.path().join(n.to_string()), b"").unwrap();
        }
        let items: Vec<Item> = Feed::new(Walk::new(&[folder.path().to_owned()])).collect();
        let sizes: Vec<usize> = items.iter().map(|item| item.pieces.len()).collect();
        assert_eq!(sizes, [64, 64, 22]);
    }
}
