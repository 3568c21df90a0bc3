//! By what an event is known again when it is found in another place.
//!
//! A backup, a shadow copy, an export, an archive, free space: the same event may be in each of them,
//! in another file, at another offset, in another chunk with another template. What it says is the
//! same: the computer, the channel, the record id, the time, and all else. So two events are one if
//! they say the same, names and values, from the first to the last. That is stricter than it need be
//! (an event that a collector received has what it renders added, and is another one) and never takes
//! two events for one. Whatever rules and filters make of an event follows from what it says, so that
//! of copies they make the same.
//!
//! What is compared is a keyed hash (SipHash-1-3). Its key is drawn for each run, so that nobody who
//! writes to a log, which is before that, can make one event pass for another; and nothing but whether
//! two are equal ever depends on it, so that the output does not. Of its 128 bits 96 are kept: among ten
//! million events two that differ are taken for one with a chance of one in 10^15.
//!
//! Hashed are all texts, then for each a word that tells its name and its length, then the length of all
//! texts: from the end on, all can be told from each other. A word is a hash of the name with the same
//! key, made once for all events of its layout, plus the length. Words of one name differ if lengths do;
//! those of two are the same by chance alone, of one in 2^64, and nobody can know which.
//!
//! Invariants:
//! - What is hashed are the texts of values ([`Value::append_text`](crate::event::Value)), which do not
//!   depend on how a record was read: live, left over or carved, by the fast lane or the slow one.
//! - An event that lacks its record id or its time has no fingerprint: it is never a copy.

use super::by_layout::ByLayout;
use super::said::Said;
use super::time::event_time;
use crate::event::{Event, Leaf};
use siphasher::sip128::{Hasher128 as _, SipHasher13};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

/// By what an event is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u32; 3]);

impl Fingerprint {
    /// Bits that are as good as any others.
    pub(super) fn bits(self) -> u64 {
        let [a, b, _] = self.0;
        u64::from(a) << 32 | u64::from(b)
    }

    /// Another one, for events of another sort, which are none of these.
    pub(super) fn other(self) -> Fingerprint {
        let [a, b, c] = self.0;
        Fingerprint([a, b, !c])
    }
}

/// What fingerprints are made with; those of different keys have nothing to do with each other.
#[derive(Debug, Clone, Copy)]
pub struct Key(u64, u64);

impl Key {
    /// A key that nobody knows.
    #[must_use]
    pub fn draw() -> Key {
        // The standard library's own random keys, which are secret, behind its own strong hash.
        let random = RandomState::new();
        Key(random.hash_one(0), random.hash_one(1))
    }

    fn hasher(self) -> SipHasher13 {
        SipHasher13::new_with_keys(self.0, self.1)
    }

    /// What stands for a leaf's name.
    fn name(self, leaf: &Leaf) -> u64 {
        let mut hasher = self.hasher();
        hasher.write_u8(leaf.section as u8);
        hasher.write(leaf.name.as_bytes());
        hasher.finish128().h1
    }
}

/// Makes fingerprints. What it has worked out for a layout it keeps.
#[derive(Debug)]
pub struct Fingerprinter {
    said: Said,
    press: Press,
}

impl Fingerprinter {
    /// One that makes fingerprints of this key.
    #[must_use]
    pub fn new(key: Key) -> Fingerprinter {
        let press = Press { key, names: ByLayout::default() };
        Fingerprinter { said: Said::default(), press }
    }

    /// The fingerprint of an event, if it has one.
    pub fn of(&mut self, event: &impl Event) -> Option<Fingerprint> {
        self.said.read(event, event.layout().iter().map(|(id, _)| id));
        self.press.print(event, &self.said)
    }

    /// The same, of an event of which all leaves were read.
    pub(super) fn of_said(&mut self, event: &impl Event, said: &Said) -> Option<Fingerprint> {
        self.press.print(event, said)
    }
}

/// What makes a fingerprint of texts.
#[derive(Debug)]
struct Press {
    key: Key,
    /// What stands for the names of a layout's leaves.
    names: ByLayout<Vec<u64>>,
}

impl Press {
    fn print(&mut self, event: &impl Event, said: &Said) -> Option<Fingerprint> {
        let Press { key, names } = self;
        let layout = event.layout();
        event_time(event)?;
        said.first(layout.system().record_id?.index()).filter(|id| !id.is_empty())?;
        let names =
            names.of(layout, |layout| layout.leaves().iter().map(|leaf| key.name(leaf)).collect());
        let mut hasher = key.hasher();
        // Whole words take a fourth of the time that as many bytes across them do.
        let padding = said.text().len().next_multiple_of(8) - said.text().len();
        hasher.write(said.text());
        hasher.write([0; 8].get(..padding)?);
        for (name, lengths) in names.iter().zip(said.lengths()) {
            lengths.for_each(|length| hasher.write_u64(name.wrapping_add(length as u64)));
        }
        hasher.write_u64(said.text().len() as u64);
        let hash = hasher.finish128();
        // Cut on purpose: see the module.
        Some(Fingerprint([(hash.h1 >> 32) as u32, hash.h1 as u32, hash.h2 as u32]))
    }
}
