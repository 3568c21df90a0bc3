//! Finding a chunk's records: the live ones one after the other, and past damage the next that is
//! certainly one.
//!
//! A record is `2a 2a 00 00`, its size, its id, its time, BinXML, and its size once more. A walk goes
//! from one to the next by size. Where that fails, the span up to the next *certain* record (magic,
//! a size that fits, and the same size at its end) is a [`Gap`] and gets reported; a record found
//! behind a gap is live if its id is one that can come there, and else one that an earlier round of
//! the log left behind ([`State::Recovered`]). A record that does not end with its size, torn or with
//! one of the two damaged, is handed on all the same, for what there is of it can be evidence; it ends
//! where the next certain one begins.
//!
//! Where the live records end is what the chunk's header says (free-space offset), if it can be
//! meant and the header's checksum vouches for it; else the whole chunk is walked. A log that was in
//! use can have more of them, which follow without a break and with the next ids. What lies beyond is
//! slack: searched for records only on request.
//!
//! Bounds: each byte is looked at a constant number of times.

use super::chunk::{self, Finding, Header};
use super::index;
use crate::bytes;
use memchr::memmem::Finder;

/// Magic, size, id, time; and the copy of the size.
pub(super) const MIN_RECORD: usize = RECORD_HEADER + 4;
pub(super) const RECORD_HEADER: usize = 24;
/// How much of what follows the records [`goes_on`] needs.
pub(super) const PEEK: usize = 16;
pub(super) const MAGIC: &[u8; 4] = b"\x2a\x2a\0\0";

/// How a record was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It belongs to the log.
    Live,
    /// It is left over from before the chunk was used again, or deleted.
    Recovered,
    /// It was found in raw bytes, outside of the records of any whole chunk.
    Orphan,
}

/// A record: where it is in its chunk, and what its header says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) at: u32,
    pub(super) size: u32,
    pub(super) id: u64,
    pub(super) time: u64,
    pub(super) state: State,
}

impl Found {
    /// Where its BinXML is.
    pub(super) fn content(&self) -> (usize, usize) {
        let at = index(self.at);
        (at + RECORD_HEADER, (at + index(self.size)).saturating_sub(4))
    }
}

/// A span in which no record could be made out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gap {
    pub(super) at: u32,
    pub(super) len: u32,
    /// Whether it is all zeros.
    pub(super) zeros: bool,
}

/// What a chunk holds, in order.
#[derive(Debug, Clone, Copy)]
pub(super) enum Span {
    Record(Found),
    Gap(Gap),
}

/// Finds the magic of records.
pub(super) fn finder() -> Finder<'static> {
    Finder::new(MAGIC)
}

/// Whether the records of a chunk go on where its header says that they end, given what follows them.
pub(super) fn goes_on(header: &Header, following: &[u8]) -> bool {
    let next = header.ids().and_then(|ids| ids.end().checked_add(1));
    following.starts_with(MAGIC) && bytes::u64(following, 8) == next
}

/// Lists what is in a chunk of which `data` is there (all of it, or up to behind the live records).
pub(super) fn walk(
    data: &[u8],
    header: &Header,
    slack: bool,
    finder: &Finder<'_>,
    spans: &mut Vec<Span>,
    findings: &mut Vec<Finding>,
) {
    spans.clear();
    let stated = header.records_end();
    let end = stated.unwrap_or(data.len()).min(data.len());
    let ids = header.ids();
    let mut walk = Walk { data, ids, last: None, live: 0, torn: 0, finder, spans };
    let mut at = walk.records(end, stated.is_some(), header.suspected_end(), findings);
    if header.suspected_end() == Some(at) {
        let mut more = 0u32;
        while let Some(found) = walk.certain(at, data.len()) {
            if walk.last.and_then(|last| last.checked_add(1)) != Some(found.id) {
                break;
            }
            walk.push(found, State::Live);
            at += index(found.size);
            more += 1;
        }
        if more > 0 {
            findings.push(Finding::RecordsAfterLast(more));
        }
    }
    if slack {
        walk.slack(at);
    }
    if walk.torn > 0 {
        findings.push(Finding::WithoutEnd(walk.torn));
    }
    if let Some(ids) = &walk.ids {
        let (named, found) = (ids.end() - ids.start() + 1, walk.live);
        // The header of a chunk that was never written to names record 0, or none.
        if found < named && !(found == 0 && stated == Some(chunk::HEADER)) {
            findings.push(Finding::FewerRecords { named, found });
        }
    }
}

struct Walk<'w> {
    data: &'w [u8],
    /// The ids that the chunk's header names.
    ids: Option<std::ops::RangeInclusive<u64>>,
    /// The id of the last live record.
    last: Option<u64>,
    live: u64,
    /// Records that do not end with their size.
    torn: u32,
    finder: &'w Finder<'w>,
    spans: &'w mut Vec<Span>,
}

impl Walk<'_> {
    /// Walks the records up to `end` and says where they ended: before it, if `suspected` is the end
    /// of one of them, or if nothing follows.
    fn records(
        &mut self,
        end: usize,
        stated: bool,
        suspected: Option<usize>,
        findings: &mut Vec<Finding>,
    ) -> usize {
        let mut at = chunk::HEADER;
        while at < end && suspected != Some(at) {
            if let Some(found) = self.record(at, end) {
                // Behind a gap, and behind what was found there, the id has to speak for it.
                let live = match self.spans.last() {
                    None | Some(Span::Record(Found { state: State::Live, .. })) => true,
                    Some(Span::Record(_) | Span::Gap(_)) => self.plausible(found.id),
                };
                self.push(found, if live { State::Live } else { State::Recovered });
                at += index(found.size);
                continue;
            }
            if is_zero(self.data.get(at..end).unwrap_or(&[])) {
                // Without a stated end this is the free space.
                if stated {
                    self.zero_tail(at, end, findings);
                }
                return at;
            }
            let next = self.next_certain(at + 1, end, end).unwrap_or(end);
            self.gap(at, next, false);
            at = next;
        }
        at
    }

    /// The stated end lies behind zeros. If ids are missing, records are.
    fn zero_tail(&mut self, at: usize, end: usize, findings: &mut Vec<Finding>) {
        findings.push(Finding::ZeroTail { at: u32::try_from(at).unwrap_or(u32::MAX) });
        let missing = self.ids.as_ref().is_some_and(|ids| self.last.is_none_or(|l| l < *ids.end()));
        if missing {
            self.gap(at, end, true);
        }
    }

    /// The record at `at`, where the walk has led. One that does not end with its size, and whose size
    /// leads nowhere, ends where the next certain record begins.
    fn record(&mut self, at: usize, end: usize) -> Option<Found> {
        let mut found = self.header(at)?;
        let next = fitting_end(&found, end);
        let whole = next.is_some_and(|next| self.ends_with_size(&found, next));
        if whole {
            return Some(found);
        }
        let leads_on = next.is_some_and(|next| next == end || self.begins(next, end));
        if !leads_on {
            let cut = self.next_certain(at + MIN_RECORD, next.unwrap_or(end), end);
            let next = cut.or(next).unwrap_or(end);
            found.size = u32::try_from(next - at).ok()?;
            if index(found.size) < MIN_RECORD {
                return None;
            }
        }
        self.torn += 1;
        Some(found)
    }

    /// A record's header.
    fn header(&self, at: usize) -> Option<Found> {
        let raw = bytes::array::<RECORD_HEADER>(self.data, at)?;
        if !raw.starts_with(MAGIC) {
            return None;
        }
        let at = u32::try_from(at).ok()?;
        let (size, id, time) = (bytes::u32(&raw, 4)?, bytes::u64(&raw, 8)?, bytes::u64(&raw, 16)?);
        Some(Found { at, size, id, time, state: State::Live })
    }

    /// Whether a record begins here, by its magic and a size that fits.
    fn begins(&self, at: usize, end: usize) -> bool {
        self.header(at).is_some_and(|found| fitting_end(&found, end).is_some())
    }

    fn ends_with_size(&self, found: &Found, next: usize) -> bool {
        bytes::u32(self.data, next.saturating_sub(4)) == Some(found.size)
    }

    /// The record at `at`, if it is certainly one: it ends with its size, or its size leads to another
    /// record.
    fn certain(&self, at: usize, end: usize) -> Option<Found> {
        let found = self.header(at)?;
        let next = fitting_end(&found, end)?;
        (self.ends_with_size(&found, next) || self.begins(next, end)).then_some(found)
    }

    /// Where the next certain record starts, within `from..until`; it may reach up to `end`.
    fn next_certain(&self, mut from: usize, until: usize, end: usize) -> Option<usize> {
        // Its magic may stand across `until`.
        let until = end.min(until + MAGIC.len() - 1);
        loop {
            let at = from + self.finder.find(self.data.get(from..until)?)?;
            if self.certain(at, end).is_some() {
                return Some(at);
            }
            from = at + 1;
        }
    }

    /// Whether a record behind a gap can be of this round of the log.
    fn plausible(&self, id: u64) -> bool {
        match (&self.ids, self.last) {
            (Some(ids), _) => ids.contains(&id),
            (None, Some(last)) => id > last && id - last <= chunk::MAX_RECORDS,
            (None, None) => true,
        }
    }

    fn push(&mut self, mut found: Found, state: State) {
        found.state = state;
        if state == State::Live {
            self.last = Some(found.id);
            self.live += 1;
        }
        self.spans.push(Span::Record(found));
    }

    fn gap(&mut self, at: usize, next: usize, zeros: bool) {
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.spans.push(Span::Gap(Gap { at: narrow(at), len: narrow(next - at), zeros }));
    }

    /// Finds what records there are in the slack.
    fn slack(&mut self, mut from: usize) {
        let end = self.data.len();
        while let Some(at) = self.next_certain(from, end, end) {
            let Some(found) = self.certain(at, end) else { break };
            self.push(found, State::Recovered);
            from = at + index(found.size);
        }
    }
}

/// Where a record ends by its size, if it can have it.
fn fitting_end(found: &Found, end: usize) -> Option<usize> {
    let size = index(found.size);
    index(found.at).checked_add(size).filter(|next| size >= MIN_RECORD && *next <= end)
}

/// Whether these are all zeros.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    // In blocks, so that many bytes are looked at in one step.
    let (blocks, rest) = bytes.as_chunks::<64>();
    blocks.iter().all(|block| block.iter().fold(0, |all, byte| all | byte) == 0)
        && rest.iter().all(|byte| *byte == 0)
}
