//! The prefilter: one Aho-Corasick automaton over the atoms of a slot's tests.
//!
//! An automaton runs over the folded text of all values of a field, marks included, and says which
//! tests have one of their atoms in it. It says nothing of whether they hold: it over-approximates.
//!
//! Most places in a text are the start of no atom. [`Starts`] knows that from four bytes: each atom is
//! known by the rarest four of its bytes, and a bitmap of their hashes, small enough for the
//! first-level cache, tells for nearly every place that no atom has its four bytes there. Where it
//! cannot, the automaton is asked, anchored at the place where the atom would start, and gives up
//! within a few bytes if it was something else.
//!
//! Invariants: a test of which some atom occurs in the haystack gets its bit; with and without
//! [`Starts`] the bits are the same (a test compares them).
//!
//! Why so (trials on 25,771 literals of SigmaHQ's rules): a contiguous NFA builds five to ten times
//! faster than a DFA, takes a thirtieth of its memory and searches nearly as fast; an automaton for
//! each field of each kind of event searches less text and reports fewer foreign literals than one
//! for all. What the bitmap brings stands in `benches/RESULTS.md`.

use super::atoms::Four;
use aho_corasick::automaton::{Automaton as _, OverlappingState};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, Input, MatchKind, PatternID};
use hashbrown::HashMap;

/// Finds the tests whose atoms occur in a haystack.
#[derive(Debug)]
pub(super) struct Automaton {
    nfa: NFA,
    /// For pattern `p`, its tests are `tests[starts[p]..starts[p + 1]]`.
    starts: Box<[u32]>,
    tests: Box<[u32]>,
    /// Where atoms may start; `None` if some atom is too short to tell.
    filter: Option<Starts>,
}

impl Automaton {
    /// The automaton for atoms with the tests that need each.
    ///
    /// # Errors
    /// All the tests, if the atoms do not fit into an automaton.
    pub(super) fn new(
        atoms: HashMap<&[u8], (Option<Four>, Vec<u32>)>,
    ) -> Result<Automaton, Vec<u32>> {
        let mut atoms: Vec<_> = atoms.into_iter().collect();
        atoms.sort_unstable_by_key(|(atom, _)| *atom);
        let nfa = NFA::builder()
            .match_kind(MatchKind::Standard)
            .prefilter(false)
            .build(atoms.iter().map(|(atom, _)| atom))
            .map_err(|_| {
                atoms.iter().flat_map(|(_, (_, tests))| tests.clone()).collect::<Vec<_>>()
            })?;
        let filter = Starts::new(atoms.iter().map(|(atom, (four, _))| (*atom, *four)));
        let mut starts = vec![0];
        let mut tests = Vec::new();
        for (_, (_, of_atom)) in atoms {
            tests.extend(of_atom);
            starts.push(u32::try_from(tests.len()).unwrap_or(u32::MAX));
        }
        Ok(Automaton { nfa, starts: starts.into(), tests: tests.into(), filter })
    }

    /// Sets in `bits` the bit of each test of which an atom occurs in `haystack`.
    pub(super) fn search(&self, haystack: &[u8], bits: &mut [u64]) {
        match &self.filter {
            None => self.search_from(&Input::new(haystack), bits),
            Some(filter) => filter.visit(haystack, |at| {
                let input = Input::new(haystack).range(at..).anchored(Anchored::Yes);
                self.search_from(&input, bits);
            }),
        }
    }

    fn search_from(&self, input: &Input<'_>, bits: &mut [u64]) {
        let mut state = OverlappingState::start();
        while self.nfa.try_find_overlapping(input, &mut state).is_ok() {
            let Some(found) = state.get_match() else { break };
            for test in self.tests_of(found.pattern()) {
                let test = *test as usize;
                if let Some(word) = bits.get_mut(test / 64) {
                    *word |= 1 << (test % 64);
                }
            }
        }
    }

    fn tests_of(&self, pattern: PatternID) -> &[u32] {
        let at = |n: usize| self.starts.get(n).map_or(0, |s| *s as usize);
        self.tests.get(at(pattern.as_usize())..at(pattern.as_usize() + 1)).unwrap_or(&[])
    }
}

/// Where in a haystack atoms may start.
#[derive(Debug)]
struct Starts {
    /// The hashes of the four bytes by which atoms of four bytes or more are known.
    fours: Box<[u64]>,
    /// How far a 32-bit hash is shifted to be an index of a bit.
    shift: u32,
    /// The four bytes, with how far from the starts of their atoms they stand: a hash table with
    /// linear probing, of which each entry is looked at up to the first free one.
    offsets: Box<[Offset]>,
    /// The hashes of the first four bytes of the same atoms.
    firsts: Box<[u64]>,
    /// The first two bytes of the atoms that have two or three; empty if there are none.
    pairs: Box<[u64]>,
}

/// Where an atom's four bytes stand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Offset {
    four: u32,
    offset: u32,
}

impl Offset {
    /// No atom is as long as this.
    const FREE: Offset = Offset { four: 0, offset: u32::MAX };
}

/// How many bits the bitmap has for each atom: at 64, two of a hundred other places pass.
const BITS_AN_ATOM: usize = 64;
/// The bitmap's size as a power of two, in bits: at least a cache line, at most 16 KiB, half of the
/// first-level cache of the smallest processors that this runs on.
const MIN_LOG_BITS: u32 = 9;
const MAX_LOG_BITS: u32 = 17;

/// How many places are looked at together.
const PLACES: usize = 8;

impl Starts {
    fn new<'a>(atoms: impl Iterator<Item = (&'a [u8], Option<Four>)> + Clone) -> Option<Starts> {
        let count = atoms.clone().count();
        let log = (count * BITS_AN_ATOM).next_power_of_two().trailing_zeros();
        let log = log.clamp(MIN_LOG_BITS, MAX_LOG_BITS);
        let mut starts = Starts {
            fours: vec![0; 1 << (log - 6)].into(),
            shift: 32 - log,
            offsets: vec![Offset::FREE; (2 * count).next_power_of_two()].into(),
            firsts: vec![0; 1 << (log - 6)].into(),
            pairs: Box::default(),
        };
        for (atom, four) in atoms {
            match (four, atom) {
                (Some(Four { offset, bytes }), _) => {
                    let four = u32::from_le_bytes(bytes);
                    let bit = starts.hash(four);
                    set_bit(&mut starts.fours, bit);
                    if let Some(first) = atom.first_chunk::<4>() {
                        let bit = starts.hash(u32::from_le_bytes(*first));
                        set_bit(&mut starts.firsts, bit);
                    }
                    starts.add(Offset { four, offset: u32::try_from(offset).ok()? });
                }
                (None, [a, b, ..]) => {
                    if starts.pairs.is_empty() {
                        starts.pairs = vec![0; 1 << 10].into();
                    }
                    set_bit(&mut starts.pairs, usize::from(u16::from_le_bytes([*a, *b])));
                }
                _ => return None,
            }
        }
        Some(starts)
    }

    fn add(&mut self, new: Offset) {
        let places = self.offsets.len();
        let from = self.hash(new.four);
        for at in from..from + places {
            let Some(place) = self.offsets.get_mut(at % places) else { return };
            if *place == Offset::FREE {
                *place = new;
            }
            if *place == new {
                return;
            }
        }
    }

    #[inline]
    fn hash(&self, four: u32) -> usize {
        // Multiplication by a large odd number (2^32 over the golden ratio) spreads the bytes into
        // the upper bits.
        (four.wrapping_mul(0x9E37_79B1) >> self.shift) as usize
    }

    /// A bit for each of the first eight places whose four bytes are in the bitmap.
    #[inline]
    fn passing(&self, low: u64, high: u64) -> u32 {
        let bit = |four: u64| u32::from(has_bit(&self.fours, self.hash(four as u32)));
        bit(low)
            | bit(low >> 8) << 1
            | bit(low >> 16) << 2
            | bit(low >> 24) << 3
            | bit(high) << 4
            | bit(high >> 8) << 5
            | bit(high >> 16) << 6
            | bit(high >> 24) << 7
    }

    /// A bit for each of the first eight places whose two bytes begin an atom.
    #[inline]
    fn passing_pairs(&self, low: u64, high: u64) -> u32 {
        let bit = |pair: u64| u32::from(has_bit(&self.pairs, usize::from(pair as u16)));
        bit(low)
            | bit(low >> 8) << 1
            | bit(low >> 16) << 2
            | bit(low >> 24) << 3
            | bit(high) << 4
            | bit(high >> 8) << 5
            | bit(high >> 16) << 6
            | bit(high >> 24) << 7
    }

    /// Calls `visit` with each place at which an atom may start.
    #[inline]
    fn visit(&self, haystack: &[u8], mut visit: impl FnMut(usize)) {
        let mut at = 0;
        while let Some(twelve) = haystack.get(at..).and_then(<[u8]>::first_chunk::<12>) {
            self.eight(haystack, at, twelve, &mut visit);
            at += PLACES;
        }
        // What is left, at most eleven bytes, with zeros behind it. What they seem to be is looked at
        // closer, as everything that passes.
        let rest = haystack.get(at..).unwrap_or(&[]);
        let mut last = [0; PLACES + 12];
        last.iter_mut().zip(rest).for_each(|(last, byte)| *last = *byte);
        for from in [0, PLACES] {
            if let Some(twelve) = last.get(from..).and_then(<[u8]>::first_chunk::<12>)
                && rest.len() > from
            {
                self.eight(haystack, at + from, twelve, &mut visit);
            }
        }
    }

    /// The same for the eight places from `at` on, where these bytes stand.
    #[inline]
    fn eight(&self, haystack: &[u8], at: usize, bytes: &[u8; 12], visit: &mut impl FnMut(usize)) {
        // Twelve bytes have eight places of four after the first; which of these pass is known
        // without a branch, and most often none does.
        let [a, b, c, d, e, f, g, h, i, j, k, l] = *bytes;
        let low = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let high = u64::from_le_bytes([e, f, g, h, i, j, k, l]);
        let mut left = self.passing(low, high);
        while left != 0 {
            self.starts_of(haystack, at + left.trailing_zeros() as usize, visit);
            left &= left - 1;
        }
        if !self.pairs.is_empty() {
            let mut left = self.passing_pairs(low, high);
            while left != 0 {
                let place = at + left.trailing_zeros() as usize;
                if place < haystack.len() {
                    visit(place);
                }
                left &= left - 1;
            }
        }
    }

    /// Calls `visit` with the starts of the atoms that may have their four bytes at `at`.
    #[inline]
    fn starts_of(&self, haystack: &[u8], at: usize, visit: &mut impl FnMut(usize)) {
        let Some(four) = four_at(haystack, at) else { return };
        if !has_bit(&self.fours, self.hash(four)) {
            return;
        }
        // The table is half empty, and its size a power of two.
        let mask = self.offsets.len() - 1;
        let mut place = self.hash(four);
        while let Some(known) = self.offsets.get(place & mask).filter(|o| **o != Offset::FREE) {
            place += 1;
            if known.four != four {
                continue;
            }
            let start = at.checked_sub(known.offset as usize);
            let first = start.and_then(|start| four_at(haystack, start));
            if let (Some(start), Some(first)) = (start, first)
                && has_bit(&self.firsts, self.hash(first))
            {
                visit(start);
            }
        }
    }
}

#[inline]
fn four_at(haystack: &[u8], at: usize) -> Option<u32> {
    haystack.get(at..)?.first_chunk::<4>().map(|four| u32::from_le_bytes(*four))
}

#[inline]
fn has_bit(bits: &[u64], bit: usize) -> bool {
    bits.get(bit / 64).copied().unwrap_or(0) >> (bit % 64) & 1 == 1
}

fn set_bit(bits: &mut [u64], bit: usize) {
    if let Some(word) = bits.get_mut(bit / 64) {
        *word |= 1 << (bit % 64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::atoms::CommonFours;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_each_rule_with_an_atom(
            atoms in prop_oneof![
                prop::collection::vec("[ab\u{1}\u{2}]{1,5}", 1..10),
                prop::collection::vec("[ab\u{1}\u{2}]{2,6}", 1..10),
                prop::collection::vec("[ab\u{1}\u{2}]{4,8}", 1..60),
            ],
            haystack in "[ab\u{1}\u{2}]{0,40}",
        ) {
            let common = CommonFours::default();
            let mut by_atom: HashMap<&[u8], (Option<Four>, Vec<u32>)> = HashMap::new();
            for (rule, atom) in (0u32..).zip(&atoms) {
                let atom = atom.as_bytes();
                by_atom.entry(atom).or_insert((common.rarest(atom), Vec::new())).1.push(rule);
            }
            let mut automaton = Automaton::new(by_atom).unwrap();
            let mut bits = [0];
            automaton.search(haystack.as_bytes(), &mut bits);
            for (rule, atom) in atoms.iter().enumerate() {
                prop_assert_eq!(bits[0] >> rule & 1 == 1, haystack.contains(atom.as_str()));
            }
            automaton.filter = None;
            let mut plain = [0];
            automaton.search(haystack.as_bytes(), &mut plain);
            prop_assert_eq!(bits, plain);
        }
    }
}
