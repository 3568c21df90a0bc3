//! Finding a chunk's records: the live ones one after the other, and past damage the next that is
//! certainly one.
//!
//! A record is `2a 2a 00 00`, its size, its id, its time, BinXML, and its size once more. A walk goes
//! from one to the next by size. Where that fails, the span up to the next *certain* record (magic,
//! a size that fits, and the same size at its end) is a [`Gap`] and gets reported; a record found
//! behind a gap is live if its id is one that can come there, and else one that an earlier round of
//! the log left behind ([`State::Recovered`]).
//!
//! Where the live records end is what the chunk's header says (free-space offset), if it can be
//! meant; a log that was in use can have more of them, which follow without a break and with the next
//! ids. What lies beyond is slack: searched for records only on request.
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
const MAGIC: &[u8; 4] = b"\x2a\x2a\0\0";

/// How a record was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It belongs to the log.
    Live,
    /// It is left over from before the chunk was used again, or deleted.
    Recovered,
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
    pub(super) id: Option<u64>,
    pub(super) why: GapReason,
}

/// Why there is a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GapReason {
    NoMagic,
    Size(u32),
    SizeCopy(u32),
    Zeros,
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
    let mut walk = Walk { data, ids: header.ids(), last: None, live: 0, finder, spans };
    let mut at = walk.records(chunk::HEADER, end, stated.is_some(), findings);
    if stated == Some(at) {
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
        walk.slack(at.max(chunk::HEADER));
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
    finder: &'w Finder<'w>,
    spans: &'w mut Vec<Span>,
}

impl Walk<'_> {
    /// Walks `at..end` and says where the records ended.
    fn records(
        &mut self,
        mut at: usize,
        end: usize,
        stated: bool,
        findings: &mut Vec<Finding>,
    ) -> usize {
        while at < end {
            let why = match self.record(at, end) {
                Ok(found) => {
                    // Behind a gap, and behind what was found there, the id has to speak for it.
                    let live = match self.spans.last() {
                        None | Some(Span::Record(Found { state: State::Live, .. })) => true,
                        Some(Span::Record(_) | Span::Gap(_)) => self.plausible(found.id),
                    };
                    self.push(found, if live { State::Live } else { State::Recovered });
                    at += index(found.size);
                    continue;
                }
                Err(why) => why,
            };
            if is_zero(self.data.get(at..end).unwrap_or(&[])) {
                // Without a stated end this is the free space.
                if stated {
                    self.zero_tail(at, end, findings);
                }
                return at;
            }
            let next = self.next_certain(at + 1, end).unwrap_or(end);
            self.gap(at, next, why);
            at = next;
        }
        at
    }

    /// The stated end lies behind zeros. If ids are missing, records are.
    fn zero_tail(&mut self, at: usize, end: usize, findings: &mut Vec<Finding>) {
        findings.push(Finding::ZeroTail { at: u32::try_from(at).unwrap_or(u32::MAX) });
        let missing = self.ids.as_ref().is_some_and(|ids| self.last.is_none_or(|l| l < *ids.end()));
        if missing {
            self.gap(at, end, GapReason::Zeros);
        }
    }

    /// The record at `at`, where the walk has led: whole, and followed by its size, or by another
    /// record or the end (a size that only its copy contradicts is believed if it leads on).
    fn record(&self, at: usize, end: usize) -> Result<Found, GapReason> {
        let found = self.header(at, end)?;
        let next = at + index(found.size);
        let copy = bytes::u32(self.data, next.saturating_sub(4));
        let leads_on = || next == end || self.header(next, end).is_ok();
        if copy == Some(found.size) || leads_on() {
            Ok(found)
        } else {
            Err(GapReason::SizeCopy(found.size))
        }
    }

    /// A record's header, if its size fits.
    fn header(&self, at: usize, end: usize) -> Result<Found, GapReason> {
        let raw = bytes::slice(self.data, at, RECORD_HEADER).ok_or(GapReason::NoMagic)?;
        if !raw.starts_with(MAGIC) {
            return Err(GapReason::NoMagic);
        }
        let size = bytes::u32(raw, 4).unwrap_or_default();
        let fits = at.checked_add(index(size)).is_some_and(|next| next <= end);
        let (Ok(at), true) = (u32::try_from(at), fits && index(size) >= MIN_RECORD) else {
            return Err(GapReason::Size(size));
        };
        let id = bytes::u64(raw, 8).unwrap_or_default();
        let time = bytes::u64(raw, 16).unwrap_or_default();
        Ok(Found { at, size, id, time, state: State::Live })
    }

    /// The record at `at`, if it is certainly one.
    fn certain(&self, at: usize, end: usize) -> Option<Found> {
        let found = self.header(at, end).ok()?;
        let copy = bytes::u32(self.data, at + index(found.size) - 4);
        (copy == Some(found.size)).then_some(found)
    }

    /// Where the next certain record starts.
    fn next_certain(&self, mut from: usize, end: usize) -> Option<usize> {
        loop {
            let at = from + self.finder.find(self.data.get(from..end)?)?;
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

    fn gap(&mut self, at: usize, next: usize, why: GapReason) {
        let id = match why {
            GapReason::Size(_) | GapReason::SizeCopy(_) => bytes::u64(self.data, at + 8),
            GapReason::NoMagic | GapReason::Zeros => None,
        };
        let id = id.filter(|id| self.plausible(*id));
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.spans.push(Span::Gap(Gap { at: narrow(at), len: narrow(next - at), id, why }));
    }

    /// Finds what records there are in the slack.
    fn slack(&mut self, mut from: usize) {
        let end = self.data.len();
        while let Some(at) = self.next_certain(from, end) {
            let Some(found) = self.certain(at, end) else { break };
            self.push(found, State::Recovered);
            from = at + index(found.size);
        }
    }
}

/// Whether these are all zeros.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| *b == 0)
}
