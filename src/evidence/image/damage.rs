//! What of an image, or of a file in it, could not be read.
//!
//! Damage shows while an image is read, from any thread and in any order; what is told at the end
//! depends only on which ranges were met. When there are more than are kept, those at the lowest
//! offsets are.

use std::{
    collections::BTreeMap,
    io,
    sync::{Mutex, PoisonError},
};

/// How many ranges are kept: a failing disk has thousands, and nobody reads more.
const MAX_RANGES: usize = 1 << 14;

/// A range of a disk or a file that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedRange {
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub len: u64,
    /// Why.
    pub why: String,
}

/// The damaged ranges met so far.
#[derive(Debug, Default)]
pub struct Damage {
    ranges: Mutex<Ranges>,
}

#[derive(Debug, Default)]
struct Ranges {
    /// By offset: length and why.
    kept: BTreeMap<u64, (u64, String)>,
    more: bool,
}

impl Damage {
    /// Notes a range, and gives the error that reading it is.
    pub(super) fn add(&self, offset: u64, len: u64, why: &str) -> io::Error {
        let error = io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{len} bytes at {offset} of it cannot be read: {why}"),
        );
        let mut ranges = self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        let known = ranges.kept.get(&offset).is_some_and(|(known, _)| *known >= len);
        if !known {
            ranges.kept.insert(offset, (len, why.to_owned()));
        }
        if ranges.kept.len() > MAX_RANGES {
            ranges.kept.pop_last();
            ranges.more = true;
        }
        error
    }

    /// The ranges by offset, neighbours with one reason as one.
    #[must_use]
    pub fn ranges(&self) -> Vec<DamagedRange> {
        let ranges = self.ranges.lock().unwrap_or_else(PoisonError::into_inner);
        let mut merged: Vec<DamagedRange> = Vec::new();
        for (&offset, (len, why)) in &ranges.kept {
            let end = offset.saturating_add(*len);
            match merged.last_mut() {
                Some(last)
                    if last.why == *why && last.offset.saturating_add(last.len) >= offset =>
                {
                    last.len = last.len.max(end - last.offset);
                }
                _ => merged.push(DamagedRange { offset, len: *len, why: why.clone() }),
            }
        }
        merged
    }

    /// Whether there are more ranges than [`Damage::ranges`] gives.
    #[must_use]
    pub fn more(&self) -> bool {
        self.ranges.lock().unwrap_or_else(PoisonError::into_inner).more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_does_not_depend_on_the_order_in_which_it_is_met() {
        let spots: Vec<u64> =
            (0..MAX_RANGES as u64 + 100).map(|n| n * 7919 % 20_011 * 10).collect();
        let told = |spots: &mut dyn Iterator<Item = u64>| {
            let damage = Damage::default();
            for at in spots {
                assert!(damage.add(at, 10, "torn").to_string().contains("torn"));
            }
            assert!(damage.more());
            damage.ranges()
        };
        assert_eq!(told(&mut spots.iter().copied()), told(&mut spots.iter().rev().copied()));
    }

    #[test]
    fn neighbours_are_one_range() {
        let damage = Damage::default();
        for (at, why) in [(20, "a"), (10, "a"), (10, "a"), (30, "b"), (50, "b")] {
            let _ = damage.add(at, 10, why);
        }
        let told: Vec<_> = damage.ranges().iter().map(|r| (r.offset, r.len)).collect();
        assert_eq!(told, [(10, 20), (30, 10), (50, 10)]);
        assert!(!damage.more());
    }
}
