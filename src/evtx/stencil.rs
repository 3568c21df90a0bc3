//! Knowing a template definition again that was met in another chunk.
//!
//! Every chunk has its own copies of the definitions that its records use: some thirty, and read token
//! by token they cost as much as all that is read of the records themselves. But the copies of a
//! definition are the same bytes, with the same *holes*: the offsets of the names, the sizes of the
//! elements, which count a name where that follows its first reference, and those names. A [`Stencil`]
//! is the bytes between the holes, and what name each hole is to have. Laying it over a definition takes
//! a comparison for each piece; where it does not fit, the definition is read as if it had not been
//! tried.
//!
//! Invariant: a stencil fits only where [`super::template::canonical`] would write what it wrote of the
//! definition that the stencil was made of (a test compares them on damaged definitions).

use super::index;
use super::template::{AROUND_NAME, Body, NAME_HEADER, Trace};
use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher as _;

/// See the module.
#[derive(Debug)]
pub(super) struct Stencil {
    /// The bytes between the holes, one piece after the other.
    same: Box<[u8]>,
    pieces: Box<[Piece]>,
    /// Whether the definition ends with a token, whatever follows it, or with its last byte.
    ends_itself: bool,
}

/// Bytes that are the same, and the hole behind them.
#[derive(Debug, Clone, Copy)]
struct Piece {
    same: u32,
    name: NameId,
    /// How many bytes of no meaning there are before the reference to the name, and behind the name.
    before: u8,
    after: u8,
}

impl Stencil {
    /// About how many bytes it takes.
    pub(super) fn cost(&self) -> usize {
        self.same.len() + size_of::<Piece>() * self.pieces.len()
    }

    /// Whether the definition with this body, in the chunk that `names` was begun for, is the one that
    /// the stencil was made of.
    pub(super) fn fits(&self, body: Body<'_>, names: &mut Names) -> bool {
        self.laid_over(body, names).unwrap_or(false)
    }

    #[inline]
    fn laid_over(&self, Body { data, bytes, end }: Body<'_>, names: &mut Names) -> Option<bool> {
        let (mut rest, mut same) = (bytes, &*self.same);
        for piece in &self.pieces {
            let (want, others) = same.split_at_checked(index(piece.same))?;
            same = others;
            rest = rest.strip_prefix(want)?.get(usize::from(piece.before)..)?;
            let (at, after) = rest.split_first_chunk::<4>()?;
            let at = u32::from_le_bytes(*at);
            let len = names.len_if(data, at, piece.name)?;
            let inline = if index(at) == end - after.len() { len + AROUND_NAME } else { 0 };
            rest = after.get(inline + usize::from(piece.after)..)?;
        }
        let rest = rest.strip_prefix(same)?;
        Some(self.ends_itself || rest.is_empty())
    }
}

/// Makes a stencil of what is read of a definition.
pub(super) struct Maker<'d, 'n> {
    bytes: &'d [u8],
    names: &'n mut Names,
    same: Vec<u8>,
    pieces: Vec<Piece>,
    /// Up to where the body is in pieces or holes.
    done: usize,
    /// What is known of the next piece.
    next: Option<(u32, u8)>,
}

impl<'d, 'n> Maker<'d, 'n> {
    /// One for a definition with this body; its names are kept in `names`.
    pub(super) fn new(body: Body<'d>, names: &'n mut Names) -> Maker<'d, 'n> {
        let (same, pieces) = (Vec::new(), Vec::new());
        Maker { bytes: body.bytes, names, same, pieces, done: 0, next: None }
    }

    /// Takes the bytes up to `at` for those that are the same, and says how many they are.
    fn take(&mut self, at: usize) -> u32 {
        let same = self.bytes.get(self.done..at).unwrap_or_default();
        self.same.extend_from_slice(same);
        u32::try_from(same.len()).unwrap_or(u32::MAX)
    }

    /// The stencil, once all is read but the last so many bytes, which do not matter.
    pub(super) fn finish(mut self, left: usize) -> Stencil {
        self.take(self.bytes.len().saturating_sub(left));
        Stencil { same: self.same.into(), pieces: self.pieces.into(), ends_itself: left > 0 }
    }
}

impl Trace for Maker<'_, '_> {
    fn passed(&mut self, len: u8, left: usize) {
        let end = self.bytes.len().saturating_sub(left);
        let start = end.saturating_sub(usize::from(len));
        match self.pieces.last_mut() {
            Some(piece) if start == self.done => piece.after += len,
            _ => self.next = Some((self.take(start), len)),
        }
        self.done = end;
    }

    fn name(&mut self, units: &[u8], left_before: usize, left: usize) {
        let start = self.bytes.len().saturating_sub(left_before);
        let (same, before) = self.next.take().unwrap_or_else(|| (self.take(start), 0));
        let name = self.names.intern(units);
        self.pieces.push(Piece { same, name, before, after: 0 });
        self.done = self.bytes.len().saturating_sub(left);
    }
}

/// The number of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct NameId(u32);

/// The names of stencils, and where in a chunk some of them stand.
pub(super) struct Names {
    hasher: DefaultHashBuilder,
    /// Their units.
    known: Vec<Box<[u8]>>,
    by_units: HashTable<NameId>,
    /// What was found at offsets of this chunk, each in the place that its offset says.
    here: Box<[(u32, NameId)]>,
}

impl Names {
    /// How many places there are for offsets: a chunk has a hundred names.
    const LOG_PLACES: u32 = 10;
    const NOTHING: (u32, NameId) = (0, NameId(u32::MAX));

    pub(super) fn new() -> Names {
        Names {
            hasher: DefaultHashBuilder::default(),
            known: Vec::new(),
            by_units: HashTable::new(),
            here: vec![Names::NOTHING; 1 << Names::LOG_PLACES].into(),
        }
    }

    /// Begins a chunk: what was found at the offsets of another is forgotten.
    pub(super) fn begin_chunk(&mut self) {
        self.here.fill(Names::NOTHING);
    }

    /// Forgets all names; stencils made with them are of no use any more.
    pub(super) fn clear(&mut self) {
        self.known.clear();
        self.by_units.clear();
        self.begin_chunk();
    }

    fn intern(&mut self, units: &[u8]) -> NameId {
        let Names { hasher, known, by_units, .. } = self;
        let text = |id: &NameId| known.get(index(id.0)).map_or(&[][..], |units| units);
        let entry = by_units.entry(
            hasher.hash_one(units),
            |id| text(id) == units,
            |id| hasher.hash_one(text(id)),
        );
        match entry {
            Entry::Occupied(id) => *id.get(),
            Entry::Vacant(new) => {
                let id = NameId(u32::try_from(known.len()).unwrap_or(u32::MAX));
                new.insert(id);
                known.push(units.into());
                id
            }
        }
    }

    /// How many bytes the units of this name have, if it stands at this offset of the chunk.
    #[inline]
    fn len_if(&mut self, data: &[u8], at: u32, name: NameId) -> Option<usize> {
        // 2^32 over the golden ratio spreads offsets into the upper bits.
        let place = index(at.wrapping_mul(0x9E37_79B1) >> (u32::BITS - Names::LOG_PLACES));
        let place = self.here.get_mut(place)?;
        let units = self.known.get(index(name.0))?;
        if *place != (at, name) {
            let found = data.get(index(at)..)?;
            let ([.., low, high], found) = found.split_first_chunk::<NAME_HEADER>()?;
            let len = 2 * usize::from(u16::from_le_bytes([*low, *high]));
            (len == units.len() && found.starts_with(units)).then_some(())?;
            *place = (at, name);
        }
        Some(units.len())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Decline;
    use super::super::place::Context;
    use super::super::template::{Budget, canonical, stencil};
    use super::*;
    use proptest::prelude::*;

    const CHUNK: usize = 65536;

    /// Chunks of everyday events, and where in each the definitions are that its records name.
    fn chunks() -> Vec<(Vec<u8>, Vec<u32>)> {
        let mut log = forge::LogWriter::in_memory(forge::Options::new());
        let mut mix = forge::mix::Mix::new(5);
        for _ in 0..400 {
            log.push(&mix.next_event()).unwrap();
        }
        let log = log.into_bytes().unwrap();
        let u32_at = |at: usize| u32::from_le_bytes(log[at..at + 4].try_into().unwrap());
        let chunks = log[4096..].as_chunks::<CHUNK>().0;
        let definitions = |number| {
            // Behind a record's header of 24 bytes: the fragment's header, the token, a byte, the id.
            let of = |at: usize| u32_at(4096 + number * CHUNK + at + 24 + 4 + 6);
            let records = forge::damage::record_offsets(&log, number);
            let mut all: Vec<u32> = records.into_iter().map(of).collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        chunks.iter().enumerate().map(|(n, chunk)| (chunk.to_vec(), definitions(n))).collect()
    }

    fn form(data: &[u8], offset: u32) -> Result<Vec<u8>, Decline> {
        let mut out = Vec::new();
        canonical(data, offset, Context::Document, &mut Budget::new(), &mut out).map(|()| out)
    }

    /// The stencils of a chunk, with the forms that they stand for.
    fn stencils((data, definitions): &(Vec<u8>, Vec<u32>), names: &mut Names) -> Vec<Known> {
        let of = |offset: &u32| {
            let body = Body::at(data, *offset).unwrap();
            (form(data, *offset).unwrap(), stencil(body, names, &mut Vec::new()).unwrap())
        };
        definitions.iter().map(of).collect()
    }

    type Known = (Vec<u8>, Stencil);

    #[test]
    fn a_definition_is_known_in_every_chunk() {
        let chunks = chunks();
        assert!(chunks.len() > 3);
        let mut names = Names::new();
        let known: Vec<Known> = chunks.iter().flat_map(|c| stencils(c, &mut names)).collect();
        for (data, definitions) in &chunks {
            names.begin_chunk();
            for offset in definitions {
                let (form, body) = (form(data, *offset).unwrap(), Body::at(data, *offset).unwrap());
                for (of_stencil, stencil) in &known {
                    assert_eq!(stencil.fits(body, &mut names), *of_stencil == form);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn what_fits_has_the_same_form(
            damage in prop::collection::vec((0..CHUNK, any::<u8>(), 0..3u8), 1..200),
            from in 0..3usize,
        ) {
            let chunks = chunks();
            let mut names = Names::new();
            let known = stencils(&chunks[from], &mut names);
            let (mut data, definitions) = chunks[from + 1].clone();
            for (at, byte, near) in damage {
                // Most damage is to hit a definition, its header or what is near it.
                let near = definitions[usize::from(byte) % definitions.len()] as usize
                    + at % 600 * usize::from(near);
                let at = if near.is_multiple_of(2) { near } else { at };
                if let Some(place) = data.get_mut(at) {
                    *place = byte;
                }
            }
            names.begin_chunk();
            for offset in definitions {
                let Ok(body) = Body::at(&data, offset) else { continue };
                for (of_stencil, stencil) in &known {
                    if stencil.fits(body, &mut names) {
                        prop_assert_eq!(&form(&data, offset).unwrap(), of_stencil);
                    }
                }
            }
        }
    }

    #[test]
    fn bytes_behind_the_end_token_do_not_matter_and_those_before_it_do() {
        let (data, definitions) = chunks().swap_remove(0);
        let mut names = Names::new();
        let Body { bytes, end, .. } = Body::at(&data, definitions[0]).unwrap();
        let start = end - bytes.len();
        let of = |end: usize| Body { data: &data, bytes: &data[start..end], end };
        for more in [0, 3] {
            let made = stencil(of(end + more), &mut names, &mut Vec::new()).unwrap();
            assert!(made.fits(of(end + more), &mut names));
            assert!(!made.fits(of(end - 1), &mut names));
            // A stream may also end where its bytes do, so then no more are to follow.
            assert_eq!(made.fits(of(end + 1), &mut names), more > 0);
        }
    }
}
