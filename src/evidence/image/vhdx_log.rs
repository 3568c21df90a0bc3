//! The log of a VHDX: changes to its structures that were not in place yet when it was copied.
//!
//! The log is a ring of entries, each with the pages of 4 KiB that it writes or the ranges that it
//! zeroes. The active sequence is the one of the highest number whose entries are all sound, from its
//! tail to its head ([MS-VHDX] 2.3.1 to 2.3.3). It is replayed into pages kept in memory; the file is
//! not touched.

use super::{
    ImageFault,
    read::{self, front},
    vhdx::is_sound,
};
use crate::bytes::{self, ReadAt};
use std::{collections::BTreeMap, io, sync::Arc};

/// What an entry, and the ring, is aligned to, and what a page is.
const PAGE: usize = 4096;

/// The largest log that is replayed: it makes that much memory. Hyper-V's has 1 MiB.
const MAX_LOG: u64 = 64 << 20;

/// How many times its length is summed up of a log at most: entries of an honest one do not overlap.
const MAX_PASSES: usize = 8;

/// Where a descriptor of data says that its page begins; the first 8 and the last 4 bytes of a page
/// stand in the descriptor.
const LEADING: usize = 8;
const TRAILING: usize = 4;

/// Where the log is, and whose it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) id: [u8; 16],
    pub(super) offset: u64,
    pub(super) len: u64,
}

/// A sound entry.
struct Entry {
    sequence: u64,
    /// Where in the ring it begins.
    at: usize,
    /// Where the sequence that it ends begins.
    tail: usize,
    data: Vec<u8>,
    descriptors: u32,
}

/// The disk as it is with the log, `None` if the log is empty.
pub(super) fn replay(
    source: &Arc<dyn ReadAt>,
    place: &Place,
) -> Result<Option<Arc<dyn ReadAt>>, ImageFault> {
    if place.id == [0; 16] || place.len == 0 {
        return Ok(None);
    }
    let ring = read::table(&**source, place.offset, place.len, MAX_LOG, "the log of the VHDX")?;
    let broken = || ImageFault::broken("a VHDX that was in use, and whose log is damaged");
    let entries = active(&ring, &place.id).ok_or_else(broken)?;
    let mut pages = BTreeMap::new();
    for entry in &entries {
        entry.apply(&mut pages).ok_or_else(broken)?;
    }
    Ok(Some(Arc::new(Overlay { source: source.clone(), changes: pages })))
}

/// The entries of the active sequence, in order.
fn active(ring: &[u8], id: &[u8; 16]) -> Option<Vec<Entry>> {
    let mut best: Option<Vec<Entry>> = None;
    let mut at = 0;
    let mut budget = ring.len().saturating_mul(MAX_PASSES);
    let mut read = |at| Entry::read(ring, at, id, &mut budget);
    while at < ring.len() {
        let Some(first) = read(at) else {
            at += PAGE;
            continue;
        };
        let mut sequence = vec![first];
        let mut next = at;
        // It cannot have more entries than pages.
        while let Some(last) = sequence.last().filter(|_| sequence.len() < ring.len() / PAGE) {
            next = (next + last.data.len()) % ring.len();
            let expected = last.sequence.checked_add(1);
            match read(next) {
                Some(entry) if Some(entry.sequence) == expected => sequence.push(entry),
                _ => break,
            }
        }
        let end = at + sequence.iter().map(|entry| entry.data.len()).sum::<usize>();
        // The last entry says where its sequence begins, which has to be among these.
        let tail = sequence.last().map(|last| last.tail);
        let from = sequence.iter().position(|entry| Some(entry.at) == tail);
        if let Some(from) = from {
            sequence.drain(..from);
            let number = |entries: &[Entry]| entries.last().map(|last| last.sequence);
            if best.as_deref().and_then(number) < number(&sequence) {
                best = Some(sequence);
            }
        }
        at = end.max(at + PAGE);
    }
    best
}

impl Entry {
    fn read(ring: &[u8], at: usize, id: &[u8; 16], budget: &mut usize) -> Option<Entry> {
        let header = bytes::slice(ring, at, 64)?;
        if bytes::array(header, 0) != Some(*b"loge") || bytes::array(header, 32) != Some(*id) {
            return None;
        }
        let len = usize::try_from(bytes::u32(header, 8)?).ok()?;
        if len == 0 || len % PAGE != 0 || len > ring.len() {
            return None;
        }
        *budget = budget.checked_sub(len)?;
        // The ring may turn in the middle of an entry.
        let mut data = ring.get(at..ring.len().min(at + len))?.to_vec();
        let rest = len - data.len();
        data.extend_from_slice(ring.get(..rest)?);
        if !is_sound(&data) {
            return None;
        }
        Some(Entry {
            sequence: bytes::u64(&data, 16)?,
            at,
            tail: usize::try_from(bytes::u32(&data, 12)?).ok()?,
            descriptors: bytes::u32(&data, 24)?,
            data,
        })
    }

    /// Makes the changes of the entry.
    fn apply(&self, changes: &mut BTreeMap<u64, Change>) -> Option<()> {
        let count = usize::try_from(self.descriptors).ok()?;
        let space = count.checked_mul(32)?.checked_add(64)?;
        // The pages follow the descriptors, from the next whole page on.
        let mut page = space.div_ceil(PAGE) * PAGE;
        for n in 0..count {
            let descriptor = bytes::slice(&self.data, 64 + n * 32, 32)?;
            let offset = bytes::u64(descriptor, 16)?;
            if bytes::u64(descriptor, 24) != Some(self.sequence) || offset % PAGE as u64 != 0 {
                return None;
            }
            match &bytes::array::<4>(descriptor, 0)? {
                b"zero" => {
                    let len = bytes::u64(descriptor, 8).filter(|len| len % PAGE as u64 == 0)?;
                    put(changes, offset, Change::Zeros(len));
                }
                b"desc" => {
                    let data = bytes::slice(&self.data, page, PAGE)?;
                    page += PAGE;
                    let high = bytes::u32(data, 4).map(u64::from)?;
                    let low = bytes::u32(data, PAGE - TRAILING).map(u64::from)?;
                    if data.get(..4) != Some(b"data") || high << 32 | low != self.sequence {
                        return None;
                    }
                    let mut whole = Vec::with_capacity(PAGE);
                    whole.extend_from_slice(descriptor.get(8..8 + LEADING)?);
                    whole.extend_from_slice(data.get(LEADING..PAGE - TRAILING)?);
                    whole.extend_from_slice(descriptor.get(4..4 + TRAILING)?);
                    put(changes, offset, Change::Page(whole.into()));
                }
                _ => return None,
            }
        }
        Some(())
    }
}

/// What the log has for the file from an offset on.
#[derive(Debug, Clone)]
enum Change {
    Page(Box<[u8]>),
    /// This many zeros.
    Zeros(u64),
}

impl Change {
    fn len(&self) -> u64 {
        match self {
            Change::Page(page) => page.len() as u64,
            Change::Zeros(len) => *len,
        }
    }
}

/// Puts a change over those that it covers: of zeros, what is not covered stays.
fn put(changes: &mut BTreeMap<u64, Change>, offset: u64, change: Change) {
    let end = offset.saturating_add(change.len());
    if offset == end {
        return;
    }
    if let Some((&before, Change::Zeros(len))) = changes.range_mut(..offset).next_back() {
        let old = before.saturating_add(*len);
        if old > offset {
            *len = offset - before;
            if old > end {
                changes.insert(end, Change::Zeros(old - end));
            }
        }
    }
    while let Some((&at, old)) = changes.range(offset..end).next() {
        let old_end = at.saturating_add(old.len());
        changes.remove(&at);
        if old_end > end {
            // Only zeros are longer than a page, and pages are aligned.
            changes.insert(end, Change::Zeros(old_end - end));
        }
    }
    changes.insert(offset, change);
}

/// A file with changes over it.
struct Overlay {
    source: Arc<dyn ReadAt>,
    changes: BTreeMap<u64, Change>,
}

impl ReadAt for Overlay {
    fn size(&self) -> u64 {
        self.source.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        read::spans(self.size(), offset, buf, |at, buf| {
            let change = self.changes.range(..=at).next_back();
            if let Some((&start, change)) = change.filter(|(start, c)| at - **start < c.len()) {
                let buf = front(buf, change.len() - (at - start));
                match change {
                    Change::Zeros(_) => buf.fill(0),
                    Change::Page(page) => {
                        return Ok(super::blocks::copy(page, at - start, buf));
                    }
                }
                return Ok(buf.len());
            }
            let next = self.changes.range(at..).next().map_or(u64::MAX, |(next, _)| *next);
            self.source.read_at(at, front(buf, next - at))
        })
    }

    fn zeros(&self, offset: u64) -> u64 {
        read::zeros(self.size(), offset, |at| {
            let change = self.changes.range(..=at).next_back();
            if let Some((&start, change)) = change.filter(|(start, c)| at - **start < c.len()) {
                return match change {
                    Change::Zeros(_) => change.len() - (at - start),
                    Change::Page(_) => 0,
                };
            }
            let next = self.changes.range(at..).next().map_or(u64::MAX, |(next, _)| *next);
            self.source.zeros(at).min(next - at)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_changes_cover_earlier_ones() {
        let page = |b: u8| Change::Page(vec![b; PAGE].into());
        let mut changes = BTreeMap::new();
        put(&mut changes, 0, Change::Zeros(4 * PAGE as u64));
        put(&mut changes, PAGE as u64, page(7));
        put(&mut changes, 3 * PAGE as u64, page(8));
        put(&mut changes, 3 * PAGE as u64, Change::Zeros(PAGE as u64));
        put(&mut changes, 5 * PAGE as u64, page(9));
        let source: Arc<dyn ReadAt> = Arc::new(vec![1u8; 6 * PAGE]);
        let overlay = Overlay { source, changes };
        let mut all = vec![0xee; 6 * PAGE];
        assert_eq!(overlay.read_at(0, &mut all).unwrap(), all.len());
        let bytes: Vec<u8> = all.chunks(PAGE).map(|page| page[0]).collect();
        assert_eq!(bytes, [0, 7, 0, 0, 1, 9]);
        assert!(all.chunks(PAGE).all(|page| page.iter().all(|b| *b == page[0])));
    }
}
