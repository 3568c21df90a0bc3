//! What was found out about values, remembered.
//!
//! Many values of a field are those of an earlier record: images, users and parents come again and
//! again. What the rules of a program have to say of a field depends on its
//! values alone, so it is remembered under the values' raw bytes, and a value that comes again is
//! neither folded nor searched.
//!
//! A [`Memo`] is a table of fixed size over two rings, one of keys and one of verdicts; what is new
//! overwrites what is oldest. Values that come once only would overwrite the others for nothing and
//! drive them out of the processor's caches, so a value is remembered when it comes for the second
//! time. Nothing is allocated once a memo is made, whatever is put in.
//!
//! Invariant: [`Memo::get`] gives what was put under exactly these bytes, or nothing: keys are
//! compared whole, a hash alone decides nothing.

use hashbrown::DefaultHashBuilder;
use std::hash::BuildHasher as _;
use std::ops::Range;

/// How many keys the table has places for, a power of two. Keys have two places to go to. With the
/// rings a memo takes 4.6 MB for each thread; a quarter of that made a log in which every record hits
/// cost half as much again (November 2026).
const PLACES: usize = 1 << 14;
/// How many bytes of keys are remembered: 128 for each place.
const KEY_BYTES: usize = 1 << 21;
/// How many words of verdicts are remembered. Only values of which some rule's literal was found
/// have one that takes room.
const VERDICT_WORDS: usize = 1 << 18;
/// How many values that came once are known, a power of two.
const SEEN: usize = 1 << 15;
/// The longest key that is remembered: half of the longest record. The same script blocks come again
/// and again, and to search one takes as long as hundreds of short values.
const LONGEST_KEY: usize = 1 << 15;

/// The longest verdict that is remembered.
const LONGEST_VERDICT: usize = VERDICT_WORDS / 8;

/// How many counts of new values there are, a power of two.
const HABITS: usize = 1 << 10;
/// Of a slot whose count has got here, values are looked up and remembered only now and then: port
/// numbers and times hardly ever come again.
const RARELY_AGAIN: u8 = 64;
/// Each so many records such a slot gets another try.
const TRY_EACH: u32 = 16;
/// How much a value that was known takes from the count; one that was not adds 1. So the count grows
/// where fewer than a fifth of the values are known.
const KNOWN_COUNTS: u8 = 4;

/// What is remembered of one key. Positions count all bytes and words ever put into the rings.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    hash: u64,
    key: u64,
    verdict: u64,
    key_len: u32,
    verdict_len: u32,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Memo {
    /// How often the values of a slot were new lately; slots may share a count.
    habits: Box<[u8]>,
    /// Parts of the hashes of values that came once.
    seen: Box<[u16]>,
    places: Box<[Place]>,
    keys: Ring<u8>,
    verdicts: Ring<u64>,
    hasher: DefaultHashBuilder,
}

/// A key's hash, for putting in what was not there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hash(u64);

/// Where a key is remembered, for amending its verdict soon after.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    place: usize,
    /// The key's position in its ring, which no other key ever has.
    key: u64,
}

impl Default for Memo {
    fn default() -> Memo {
        Memo {
            habits: vec![0; HABITS].into(),
            seen: vec![0; SEEN].into(),
            places: vec![Place::default(); PLACES].into(),
            keys: Ring::new(KEY_BYTES),
            verdicts: Ring::new(VERDICT_WORDS),
            hasher: DefaultHashBuilder::default(),
        }
    }
}

impl Memo {
    /// The key's hash; `None` if it is too long to be remembered.
    #[inline]
    pub(super) fn hash(&self, key: &[u8]) -> Option<Hash> {
        (key.len() <= LONGEST_KEY).then(|| Hash(self.hasher.hash_one(key)))
    }

    /// What was put under this key; an empty verdict is one.
    #[inline]
    pub(super) fn get(&self, hash: Hash, key: &[u8]) -> Option<(Known, &[u64])> {
        self.places_of(hash).into_iter().find_map(|at| {
            let place = self.places.get(at)?;
            if place.hash != hash.0 || place.key_len as usize != key.len() {
                return None;
            }
            let known = self.keys.get(place.key, place.key_len)?;
            let verdict = self.verdicts.get(place.verdict, place.verdict_len)?;
            (known == key).then_some((Known { place: at, key: place.key }, verdict))
        })
    }

    /// Remembers a verdict, if the key was put before.
    pub(super) fn put(&mut self, hash: Hash, key: &[u8], verdict: &[u64]) -> Option<Known> {
        let [.., low, high] = hash.0.to_le_bytes();
        let mark = u16::from_le_bytes([low, high]) | 1;
        let seen = self.seen.get_mut((hash.0 >> 16) as usize & (SEEN - 1));
        let again = seen.is_some_and(|seen| std::mem::replace(seen, mark) == mark);
        if !again || verdict.len() > LONGEST_VERDICT {
            return None;
        }
        // The older of the two places goes; one that was never used is oldest.
        let [a, b] = self.places_of(hash);
        let age = |at: usize| self.places.get(at).map_or(0, |place| place.key);
        let at = if age(a) <= age(b) { a } else { b };
        let place = self.places.get_mut(at)?;
        *place = Place {
            hash: hash.0,
            key: self.keys.put(key),
            verdict: self.verdicts.put(verdict),
            key_len: u32::try_from(key.len()).unwrap_or(u32::MAX),
            verdict_len: u32::try_from(verdict.len()).unwrap_or(u32::MAX),
        };
        Some(Known { place: at, key: place.key })
    }

    /// Clears a bit of a verdict that is remembered; `empty` is what an empty one stands for.
    pub(super) fn clear_bit(&mut self, known: Known, bit: usize, empty: &[u64]) {
        let Some(place) = self.places.get_mut(known.place).filter(|p| p.key == known.key) else {
            return;
        };
        if place.verdict_len == 0 && empty.len() <= LONGEST_VERDICT / 2 {
            place.verdict = self
                .verdicts
                .put_all(empty.iter().copied().chain(empty.iter().map(|_| 0)), 2 * empty.len());
            place.verdict_len = u32::try_from(2 * empty.len()).unwrap_or(u32::MAX);
        }
        let verdict = self.verdicts.get_mut(place.verdict, place.verdict_len);
        if let Some(word) = verdict.and_then(|verdict| verdict.get_mut(bit / 64)) {
            *word &= !(1 << (bit % 64));
        }
    }

    /// Whether it is worth looking for a value of this slot, told by any number that stands for it.
    #[inline]
    pub(super) fn pays(&self, slot: u64, record: u32) -> bool {
        let count = self.habits.get(slot as usize & (HABITS - 1)).copied().unwrap_or(0);
        count < RARELY_AGAIN || record.is_multiple_of(TRY_EACH)
    }

    /// Notes whether the slot's value was known.
    #[inline]
    pub(super) fn note(&mut self, slot: u64, known: bool) {
        if let Some(count) = self.habits.get_mut(slot as usize & (HABITS - 1)) {
            *count = match known {
                true => count.saturating_sub(KNOWN_COUNTS),
                false => count.saturating_add(1),
            };
        }
    }

    fn places_of(&self, hash: Hash) -> [usize; 2] {
        // The table's own bits; which ones does not matter, for the hash is a good one.
        let at = hash.0 as usize & (PLACES - 1);
        [at, at ^ 1]
    }
}

/// A buffer in which what is new overwrites what is oldest.
#[derive(Debug)]
struct Ring<T> {
    items: Box<[T]>,
    /// How many were ever put in, gaps at the end of a round counted; 0 is no position, so that an
    /// unused place has none.
    end: u64,
}

impl<T: Copy + Default> Ring<T> {
    fn new(len: usize) -> Ring<T> {
        Ring { items: vec![T::default(); len].into(), end: len as u64 }
    }

    /// Puts `items` in, in one piece, and gives their position.
    fn put(&mut self, items: &[T]) -> u64 {
        self.put_all(items.iter().copied(), items.len())
    }

    /// The same, of an iterator that gives `count` items.
    fn put_all(&mut self, items: impl Iterator<Item = T>, count: usize) -> u64 {
        let len = self.items.len() as u64;
        let mut at = self.end % len;
        if at + count as u64 > len {
            self.end += len - at;
            at = 0;
        }
        let position = self.end;
        let room = self.items.get_mut(at as usize..at as usize + count);
        room.into_iter().flatten().zip(items).for_each(|(place, item)| *place = item);
        self.end += count as u64;
        position
    }

    /// What was put in at this position, unless it was overwritten since.
    #[inline]
    fn get(&self, position: u64, len: u32) -> Option<&[T]> {
        if len == 0 {
            return Some(&[]);
        }
        self.items.get(self.range(position, len)?)
    }

    fn get_mut(&mut self, position: u64, len: u32) -> Option<&mut [T]> {
        let range = self.range(position, len)?;
        self.items.get_mut(range)
    }

    #[inline]
    fn range(&self, position: u64, len: u32) -> Option<Range<usize>> {
        let whole = self.items.len() as u64;
        if position == 0 || position + whole < self.end {
            return None;
        }
        let at = (position % whole) as usize;
        Some(at..at + len as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    /// Keys and verdicts come from few, so that they come again, and are long, so that the rings go
    /// round; now and then a bit is cleared.
    fn steps() -> impl Strategy<Value = Vec<(u16, u8, bool)>> {
        prop::collection::vec((0..600u16, any::<u8>(), any::<bool>()), 1..3000)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn what_is_given_is_what_was_put(steps in steps()) {
            const EMPTY: [u64; 40] = [u64::MAX; 40];
            let mut memo = Memo::default();
            let mut put: HashMap<Vec<u8>, Vec<u64>> = HashMap::new();
            for (n, size, clear) in steps {
                let mut key = n.to_le_bytes().to_vec();
                key.resize(2 + usize::from(n) * 7, n as u8);
                let hash = memo.hash(&key).unwrap();
                let found = memo.get(hash, &key).map(|(place, verdict)| (place, verdict.to_vec()));
                let place = match found {
                    Some((place, verdict)) => {
                        prop_assert_eq!(Some(&verdict), put.get(&key));
                        Some(place)
                    }
                    None => {
                        let verdict = vec![u64::from(size); 2 * usize::from(size % 40)];
                        let place = memo.put(hash, &key, &verdict);
                        put.insert(key.clone(), verdict);
                        place
                    }
                };
                if let (true, Some(place)) = (clear, place) {
                    memo.clear_bit(place, usize::from(size), &EMPTY);
                    if memo.get(hash, &key).is_some() {
                        let verdict = put.get_mut(&key).unwrap();
                        if verdict.is_empty() {
                            verdict.extend(EMPTY);
                            verdict.resize(2 * EMPTY.len(), 0);
                        }
                        if let Some(word) = verdict.get_mut(usize::from(size) / 64) {
                            *word &= !(1 << (size % 64));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_value_is_remembered_when_it_comes_again() {
        let mut memo = Memo::default();
        let hash = memo.hash(b"value").unwrap();
        assert!(memo.put(hash, b"value", &[1, 2]).is_none());
        assert!(memo.get(hash, b"value").is_none());
        assert!(memo.put(hash, b"value", &[1, 2]).is_some());
        assert_eq!(memo.get(hash, b"value").unwrap().1, [1, 2]);
        assert!(memo.get(hash, b"other").is_none(), "the same hash is not the same key");
        let long = vec![0; LONGEST_KEY + 1];
        assert!(memo.hash(&long).is_none());
    }

    #[test]
    fn what_is_amended_is_the_verdict_that_was_meant() {
        let mut memo = Memo::default();
        let hash = memo.hash(b"first").unwrap();
        let put = |memo: &mut Memo, key: &[u8]| {
            memo.put(hash, key, &[u64::MAX; 2]);
            memo.put(hash, key, &[u64::MAX; 2]).unwrap()
        };
        // Keys of one hash have two places: the third takes that of the first.
        let first = put(&mut memo, b"first");
        put(&mut memo, b"second");
        let third = put(&mut memo, b"third");
        assert_eq!(first.place, third.place);
        memo.clear_bit(first, 0, &[]);
        assert_eq!(memo.get(hash, b"third").unwrap().1, [u64::MAX; 2]);
        memo.clear_bit(third, 0, &[]);
        assert_eq!(memo.get(hash, b"third").unwrap().1, [u64::MAX - 1, u64::MAX]);
    }
}
