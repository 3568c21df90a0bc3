//! Cuts the evidence into pieces of work, in evidence order.
//!
//! An item is about [`ITEM_BYTES`] of evidence: a range of chunk slots of one large log, or many
//! small files. Small files are opened by whoever works on the item, so that a folder of a hundred
//! thousand of them keeps all threads busy; a large one is opened here, because how it is cut depends
//! on what it is.

use super::open::{Opened, Settled, open};
use crate::evidence::{Found, Source};
use crate::ledger::{Aside, SourceEntry, SourceState};
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

    /// The log that was opened and of which nothing was handed out.
    pub(super) fn not_begun(&self) -> Option<SourceEntry> {
        let (log, _) = self.large.as_ref().filter(|(_, from)| *from == 0)?;
        let (name, size) = (log.source.name().to_owned(), log.source.size());
        Some(SourceEntry::unread(name, size, SourceState::Interrupted, String::new()))
    }
}

impl<I: Iterator<Item = Found>> Feed<I> {
    pub(super) fn new(walk: I) -> Feed<I> {
        Feed { walk, next_number: 0, met: 0, large: None, closed: false, ended: false }
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
            let Some(found) = self.walk.next() else { break };
            self.met += 1;
            weight += FILE_COST;
            match found {
                Found::Source(source) if source.size() <= ITEM_BYTES => {
                    weight += source.size();
                    pieces.push(Piece::Whole(source));
                }
                Found::Source(source) => match open(source) {
                    Ok(opened) => self.large = Some((Arc::new(opened), 0)),
                    Err(settled) => pieces.push(Piece::Settled(settled)),
                },
                Found::Unreadable { name, error } => {
                    let state = SourceState::Unreadable;
                    let entry = SourceEntry::unread(name, 0, state, error.to_string());
                    pieces.push(Piece::Settled(Settled::source(entry)));
                }
                Found::Duplicate { .. } => pieces.push(aside(Aside::Duplicate)),
                Found::Link { .. } => pieces.push(aside(Aside::Link)),
                Found::Special { .. } => pieces.push(aside(Aside::Special)),
            }
        }
        pieces
    }

    /// The next slots of the large log that is being cut.
    fn next_slots(&mut self) -> Option<Piece> {
        let (log, from) = self.large.as_mut()?;
        let slots = *from..from.saturating_add(ITEM_BYTES / CHUNK_BYTES).min(log.slots());
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

fn aside(aside: Aside) -> Piece {
    Piece::Settled(Settled::Aside(aside))
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
