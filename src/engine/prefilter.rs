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
    filter: Option<Filter>,
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
        let filter = Filter::new(atoms.iter().map(|(atom, (four, _))| (*atom, *four)));
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

/// [`Starts`] of a size that suits the atoms: a size that the compiler knows needs no checks of bounds,
/// and those would take as long as all else.
#[derive(Debug)]
enum Filter {
    Small(Starts<32>),
    Medium(Starts<128>),
    Large(Starts<512>),
    Largest(Starts<2048>),
}

/// How many bits the bitmap has for each atom at least: at 64, two of a hundred other places pass. The
/// largest has fewer if there are very many; it takes 16 KiB, half of the first-level cache of the
/// smallest processors that this runs on.
const BITS_AN_ATOM: usize = 64;

impl Filter {
    fn new<'a>(atoms: impl Iterator<Item = (&'a [u8], Option<Four>)> + Clone) -> Option<Filter> {
        Some(match atoms.clone().count() * BITS_AN_ATOM / 64 {
            0..=32 => Filter::Small(Starts::new(atoms)?),
            33..=128 => Filter::Medium(Starts::new(atoms)?),
            129..=512 => Filter::Large(Starts::new(atoms)?),
            _ => Filter::Largest(Starts::new(atoms)?),
        })
    }

    /// Calls `visit` with each place at which an atom may start.
    #[inline]
    fn visit(&self, haystack: &[u8], visit: impl FnMut(usize)) {
        match self {
            Filter::Small(starts) => starts.visit(haystack, visit),
            Filter::Medium(starts) => starts.visit(haystack, visit),
            Filter::Large(starts) => starts.visit(haystack, visit),
            Filter::Largest(starts) => starts.visit(haystack, visit),
        }
    }
}

/// Where in a haystack atoms may start. Bitmaps have `WORDS` words, a power of two.
#[derive(Debug)]
struct Starts<const WORDS: usize> {
    /// The hashes of the four bytes by which atoms of four bytes or more are known.
    fours: Bits<WORDS>,
    /// The four bytes, with how far from the starts of their atoms they stand: a hash table with
    /// linear probing, of which each entry is looked at up to the first free one.
    offsets: Box<[Offset]>,
    /// The hashes of the first four bytes of the same atoms.
    firsts: Bits<WORDS>,
    /// The first two bytes of the atoms that have two or three, if there are such.
    pairs: Option<Bits<{ 1 << (u16::BITS - 6) }>>,
}

/// A bit for each of a power of two of numbers.
#[derive(Debug)]
struct Bits<const WORDS: usize>(Box<[u64; WORDS]>);

impl<const WORDS: usize> Bits<WORDS> {
    /// How many bits of a number tell one from the others.
    const LOG: u32 = WORDS.trailing_zeros() + 6;

    fn new() -> Bits<WORDS> {
        Bits(Box::new([0; WORDS]))
    }

    fn set(&mut self, bit: usize) {
        self.0[bit / 64 % WORDS] |= 1 << (bit % 64);
    }

    /// The bit, with others above it.
    #[inline]
    fn from(&self, bit: usize) -> u64 {
        self.0[bit / 64 % WORDS] >> (bit % 64)
    }

    #[inline]
    fn has(&self, bit: usize) -> bool {
        self.from(bit) & 1 == 1
    }
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

impl<const WORDS: usize> Starts<WORDS> {
    fn new<'a>(
        atoms: impl Iterator<Item = (&'a [u8], Option<Four>)> + Clone,
    ) -> Option<Starts<WORDS>> {
        let count = atoms.clone().count();
        let mut starts = Starts {
            fours: Bits::new(),
            offsets: vec![Offset::FREE; (2 * count).next_power_of_two()].into(),
            firsts: Bits::new(),
            pairs: None,
        };
        for (atom, four) in atoms {
            match (four, atom) {
                (Some(Four { offset, bytes }), _) => {
                    let four = u32::from_le_bytes(bytes);
                    starts.fours.set(Self::hash(four));
                    if let Some(first) = atom.first_chunk::<4>() {
                        starts.firsts.set(Self::hash(u32::from_le_bytes(*first)));
                    }
                    starts.add(Offset { four, offset: u32::try_from(offset).ok()? });
                }
                (None, [a, b, ..]) => {
                    let pairs = starts.pairs.get_or_insert_with(Bits::new);
                    pairs.set(usize::from(u16::from_le_bytes([*a, *b])));
                }
                _ => return None,
            }
        }
        Some(starts)
    }

    fn add(&mut self, new: Offset) {
        let places = self.offsets.len();
        let from = Self::hash(new.four);
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
    fn hash(four: u32) -> usize {
        // Multiplication by a large odd number (2^32 over the golden ratio) spreads the bytes into
        // the upper bits.
        (four.wrapping_mul(0x9E37_79B1) >> (u32::BITS - Bits::<WORDS>::LOG)) as usize
    }

    /// Calls `visit` with each place at which an atom may start.
    #[inline]
    fn visit(&self, haystack: &[u8], mut visit: impl FnMut(usize)) {
        /// How many places are looked at together: twelve bytes have eight of four bytes after the
        /// first. Whether one of them passes is known without a branch, and most often none does.
        const PLACES: usize = 8;
        let mut at = 0;
        while let Some(rest) = haystack.get(at..).filter(|rest| !rest.is_empty()) {
            let twelve = match rest.first_chunk::<12>() {
                Some(twelve) => *twelve,
                // With zeros behind the end; what they seem to be is looked at closer.
                None => {
                    let mut last = [0; 12];
                    last.iter_mut().zip(rest).for_each(|(last, byte)| *last = *byte);
                    last
                }
            };
            let [a, b, c, d, e, f, g, h, i, j, k, l] = twelve;
            let low = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
            let high = u64::from_le_bytes([e, f, g, h, i, j, k, l]);
            let four = |four: u64| self.fours.from(Self::hash(four as u32));
            if any_of_eight(low, high, four) {
                for place in at..at + PLACES {
                    self.starts_of(haystack, place, &mut visit);
                }
            }
            if let Some(pairs) = &self.pairs {
                let pair = |pair: u64| pairs.from(usize::from(pair as u16));
                if any_of_eight(low, high, pair) {
                    let places = (at..).zip(twelve.array_windows::<2>()).take(PLACES);
                    for (place, pair) in places {
                        // Two zeros behind the end are no pair.
                        if place < haystack.len()
                            && pairs.has(usize::from(u16::from_le_bytes(*pair)))
                        {
                            visit(place);
                        }
                    }
                }
            }
            at += PLACES;
        }
    }

    /// Calls `visit` with the starts of the atoms that may have their four bytes at `at`.
    #[inline]
    fn starts_of(&self, haystack: &[u8], at: usize, visit: &mut impl FnMut(usize)) {
        let Some(four) = four_at(haystack, at) else { return };
        if !self.fours.has(Self::hash(four)) {
            return;
        }
        // The table is half empty, and its size a power of two.
        let mask = self.offsets.len() - 1;
        let mut place = Self::hash(four);
        while let Some(known) = self.offsets.get(place & mask).filter(|o| **o != Offset::FREE) {
            place += 1;
            if known.four != four {
                continue;
            }
            let start = at.checked_sub(known.offset as usize);
            let first = start.and_then(|start| four_at(haystack, start));
            if let (Some(start), Some(first)) = (start, first)
                && self.firsts.has(Self::hash(first))
            {
                visit(start);
            }
        }
    }
}

/// Whether the lowest bit is set of what `look` says of one of eight places: these begin at the lowest
/// four bytes of `low` and of `high`.
#[inline]
fn any_of_eight(low: u64, high: u64, look: impl Fn(u64) -> u64) -> bool {
    let low = look(low) | look(low >> 8) | look(low >> 16) | look(low >> 24);
    let high = look(high) | look(high >> 8) | look(high >> 16) | look(high >> 24);
    (low | high) & 1 == 1
}

#[inline]
fn four_at(haystack: &[u8], at: usize) -> Option<u32> {
    haystack.get(at..)?.first_chunk::<4>().map(|four| u32::from_le_bytes(*four))
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
