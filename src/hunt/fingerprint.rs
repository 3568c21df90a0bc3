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
//! Invariants:
//! - What is hashed are the texts of values ([`Value::append_text`](crate::event::Value)), which do not
//!   depend on how a record was read: live, left over or carved, by the fast lane or the slow one.
//! - An event that lacks its record id or its time has no fingerprint: it is never a copy.

use super::time::event_time;
use crate::event::Event;
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

    /// The fingerprint of an event, if it has one. `buffer` is used again.
    pub fn of(&self, event: &impl Event, buffer: &mut Vec<u8>) -> Option<Fingerprint> {
        buffer.clear();
        event_time(event)?;
        if !event.first_text(event.layout().system().record_id, buffer) || buffer.is_empty() {
            return None;
        }
        buffer.clear();
        for (id, leaf) in event.layout().iter() {
            event.values(id, |value| {
                let start = buffer.len();
                value.append_text(buffer);
                // From the end, each can be told from what stands before it.
                let length = buffer.len() - start;
                buffer.extend_from_slice(leaf.name.as_bytes());
                buffer.extend_from_slice(&(length as u64).to_le_bytes());
                buffer.extend_from_slice(&(leaf.name.len() as u64).to_le_bytes());
                buffer.push(leaf.section as u8);
            });
        }
        let mut hasher = SipHasher13::new_with_keys(self.0, self.1);
        hasher.write(buffer);
        let hash = hasher.finish128();
        let (high, low) = (hash.h1, hash.h2);
        // Cut on purpose: see the module.
        Some(Fingerprint([(high >> 32) as u32, high as u32, low as u32]))
    }
}
