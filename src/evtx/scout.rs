//! Where in raw bytes there may be anything: the first look at them.
//!
//! Nearly all of a disk is no event log. So raw bytes are looked through in pieces that stay in a
//! core's cache, for the two magics alone, and only the pieces in which one begins are carved
//! ([`super::Carver`]), with what is around them. What the container of the bytes knows to be zeros
//! is not even read.
//!
//! Invariant: this only over-approximates. A chunk and a record begin with their magic, so a piece
//! that is left out has the beginning of none; a piece that cannot be read is not left out, so that
//! carving tells of it. [`Carver::read`](super::Carver::read) of everything is the oracle in tests.

use super::carve::{may_be_chunk, may_be_record};
use super::{chunk, walk};
use crate::bytes::{self, ReadAt};
use memchr::memmem::Finder;
use std::ops::Range;

/// How much is looked at as one: it fits into the cache of a core, so that the search finds there
/// what the read has put there (with a megabyte both take half as long again).
pub const PIECE: u64 = 256 << 10;

/// What of a magic may stand before the end of a piece.
const OVERLAP: usize = chunk::MAGIC.len() - 1;

/// Ranges that lie so near to each other are read with what is between them: a read costs more.
const NEAR: u64 = 16 << 10;

/// Where in the buffer a piece stands, behind what is kept of the one before: copying to an aligned
/// place is faster.
const LEAD: usize = 64;

/// Looks at raw bytes. One thread's state.
pub struct Scout {
    buffer: Vec<u8>,
    chunks: Finder<'static>,
    records: Finder<'static>,
}

impl std::fmt::Debug for Scout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scout").finish_non_exhaustive()
    }
}

impl Default for Scout {
    fn default() -> Self {
        Scout::new()
    }
}

impl Scout {
    /// A scout.
    #[must_use]
    pub fn new() -> Scout {
        let (chunks, records) = (Finder::new(chunk::MAGIC), Finder::new(walk::MAGIC));
        Scout { buffer: Vec::new(), chunks, records }
    }

    /// Hands `hot` the number of each piece, counted from the start of the source, in which something
    /// may begin in `ranges`, which are in order and apart. One may come twice.
    pub fn look(
        &mut self,
        source: &dyn ReadAt,
        mut ranges: &[Range<u64>],
        hot: &mut impl FnMut(u64),
    ) {
        let near = |pair: &[Range<u64>]| match pair {
            [a, b] => b.start.saturating_sub(a.end) <= NEAR,
            _ => false,
        };
        while let Some(first) = ranges.first() {
            let together = ranges.windows(2).take_while(|pair| near(pair)).count() + 1;
            let (these, others) = ranges.split_at_checked(together).unwrap_or((ranges, &[]));
            ranges = others;
            let end = these.last().unwrap_or(first).end;
            self.span(source, &(first.start..end), these, hot);
        }
    }

    /// Looks through a span for what begins in the ranges that are in it.
    fn span(
        &mut self,
        source: &dyn ReadAt,
        range: &Range<u64>,
        ranges: &[Range<u64>],
        hot: &mut impl FnMut(u64),
    ) {
        // What begins at the end of the range goes on behind it.
        let stop = range.end.saturating_add(OVERLAP as u64).min(source.size());
        let (mut at, mut kept) = (range.start, 0);
        let mut zeros = range.end.saturating_sub(at) >= PIECE;
        while at < stop {
            // A magic does not begin among zeros, and one that they follow is of nothing.
            let skip = if zeros { source.zeros(at) } else { 0 };
            if skip > 0 {
                at = at.saturating_add(skip);
                (kept, zeros) = (0, false);
                continue;
            }
            let end = stop.min((at / PIECE).saturating_add(1).saturating_mul(PIECE));
            let len = usize::try_from(end - at).unwrap_or(0);
            let start = at - kept as u64;
            zeros = false;
            if self.read(source, at, len) {
                let data = self.buffer.get(LEAD - kept..LEAD + len).unwrap_or(&[]);
                zeros = walk::is_zero(data);
                let begins = |place: &usize| {
                    let place = start + *place as u64;
                    let which = ranges.partition_point(|range| range.end <= place);
                    ranges.get(which).is_some_and(|range| range.contains(&place))
                };
                let mut found = |place: usize| hot((start + place as u64) / PIECE);
                if !zeros {
                    let rest = |place: &usize| data.get(*place..).unwrap_or(&[]);
                    let chunks = self.chunks.find_iter(data);
                    chunks.filter(|at| begins(at) && may_be_chunk(rest(at))).for_each(&mut found);
                    let records = self.records.find_iter(data);
                    records.filter(|at| begins(at) && may_be_record(rest(at))).for_each(&mut found);
                }
                kept = OVERLAP.min(kept + len);
                self.buffer.copy_within(LEAD + len - kept..LEAD + len, LEAD - kept);
            } else {
                // It is for the carver to tell of, and what may begin before it to look at.
                hot(start / PIECE);
                hot(at / PIECE);
                kept = 0;
            }
            at = end;
        }
    }

    /// Reads a piece behind the lead of the buffer; whether all of it is there.
    fn read(&mut self, source: &dyn ReadAt, at: u64, len: usize) -> bool {
        if self.buffer.len() < LEAD + len {
            self.buffer.resize(LEAD + len, 0);
        }
        let piece = self.buffer.get_mut(LEAD..LEAD + len).unwrap_or_default();
        bytes::read_full(source, at, piece).is_ok_and(|n| n == len)
    }
}
