//! Reading a chunk's bytes from a source: no more of them than can hold records, and as many as the
//! medium gives.
//!
//! A chunk is read in two calls, its header and then its used part, or in one if the chunk before was
//! full. Evidence may stand on a failing disk: when a read fails, it is done again in pieces of a
//! sector, and only those that fail again are [`Lost`]; they read as zeros.

use super::chunk::{self, Finding, Header};
use super::walk;
use crate::bytes::{ReadAt, read_full};
use std::io;

/// From which end of its records on a chunk counts as full. Chunks of a log in use are nearly all
/// fuller than this, those of exported and little used logs are nearly empty. Measured on full chunks
/// in the page cache (2026-11-21): one call of 64 KiB for a chunk takes 6 % less time than one for its
/// header and one for the rest; larger calls gain nothing, and above 1 MiB they lose to the cache.
const FULL: usize = chunk::SIZE / 16 * 15;

/// The pieces in which what cannot be read at once is read: sectors of today's disks.
const SECTOR: u64 = 4096;

/// Bytes that the medium did not give.
#[derive(Debug)]
pub(super) struct Lost {
    /// Where in the chunk.
    pub(super) at: u32,
    pub(super) len: u32,
    pub(super) error: io::Error,
}

/// A chunk's bytes.
pub(super) struct Loader {
    buffer: Vec<u8>,
    len: usize,
    /// Whether the chunk before was full.
    full: bool,
    pub(super) lost: Vec<Lost>,
}

impl Loader {
    pub(super) fn new() -> Loader {
        Loader { buffer: vec![0; chunk::SIZE], len: 0, full: false, lost: Vec::new() }
    }

    /// The bytes of the chunk that was loaded last, as far as they were read.
    pub(super) fn data(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or(&[])
    }

    /// Reads the header of the chunk at `offset` and as much more of it as can hold records; all of
    /// it if `whole`.
    pub(super) fn load(
        &mut self,
        source: &dyn ReadAt,
        offset: u64,
        whole: bool,
        findings: &mut Vec<Finding>,
    ) -> Header {
        self.len = 0;
        self.lost.clear();
        // If this fails, what cannot be read may not be needed.
        if !self.full || self.read(source, offset, chunk::SIZE).is_err() {
            self.fill(source, offset, chunk::HEADER);
        }
        let header = Header::read(self.data());
        let stated = header.records_end().filter(|_| !whole);
        self.full = stated.is_some_and(|end| end >= FULL);
        // The next record's magic and id tell whether the records go on behind their stated end.
        let wanted = stated.map_or(chunk::SIZE, |end| (end + walk::PEEK).min(chunk::SIZE));
        self.fill(source, offset, wanted);
        if let Some(end) = stated
            && walk::goes_on(&header, self.data().get(end..).unwrap_or(&[]))
        {
            self.fill(source, offset, chunk::SIZE);
        } else if self.len < stated.unwrap_or(chunk::SIZE) {
            let size = u32::try_from(self.len).unwrap_or(u32::MAX);
            findings.push(Finding::Truncated { size });
        }
        if !self.lost.is_empty() {
            let bytes = self.lost.iter().fold(0, |sum: u32, lost| sum.saturating_add(lost.len));
            findings.push(Finding::Lost { bytes });
        }
        header
    }

    /// Reads on up to `to`, as far as the source goes.
    fn read(&mut self, source: &dyn ReadAt, offset: u64, to: usize) -> io::Result<()> {
        let at = offset.saturating_add(self.len as u64);
        if let Some(buf) = self.buffer.get_mut(self.len..to) {
            self.len += read_full(source, at, buf)?;
        }
        Ok(())
    }

    /// Reads on up to `to`, around what the medium does not give.
    fn fill(&mut self, source: &dyn ReadAt, offset: u64, to: usize) {
        if self.read(source, offset, to).is_ok() {
            return;
        }
        while self.len < to {
            let at = offset.saturating_add(self.len as u64);
            let piece = usize::try_from(SECTOR - at % SECTOR).unwrap_or(to);
            let (start, end) = (self.len, to.min(self.len.saturating_add(piece)));
            match self.read(source, offset, end) {
                // The source ends here.
                Ok(()) if self.len < end => return,
                Ok(()) => {}
                Err(error) => {
                    let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
                    self.lost.push(Lost { at: narrow(start), len: narrow(end - start), error });
                    self.buffer.get_mut(start..end).unwrap_or(&mut []).fill(0);
                    self.len = end;
                }
            }
        }
    }
}
