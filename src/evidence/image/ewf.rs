//! E01: the Expert Witness Format, version 1, of EnCase, FTK Imager and libewf.
//!
//! An image is segments (`.E01`, `.E02`, … `.E99`, `.EAA`, …), a segment is a chain of sections. The
//! disk is cut in chunks, each compressed with zlib or stored with an Adler-32, and tables say where
//! in a segment each chunk begins (libyal, "Expert Witness Compression Format").
//!
//! Invariants:
//! - Every chunk's checksum is checked before any of its bytes is given away. A chunk that fails is
//!   damage of its range; the rest of the image reads on.
//! - A table's entry takes 4 bytes in memory as in the file: an image of 1 TB has 32 million.

use super::{
    Damage, Image, ImageFault, Siblings,
    blocks::{self, Cache},
    codec::Inflater,
    ewf_segments::{Segments, Table},
    read::{self, front},
};
use crate::bytes::{self, ReadAt};
use std::{io, sync::Arc};

/// What a segment begins with.
pub(super) const MAGIC: &[u8; 8] = b"EVF\x09\x0d\x0a\xff\0";

/// How much larger than what it gives a compressed chunk may be.
const SLACK: u64 = 4096;

/// Whether a file begins like a segment.
pub(super) fn is(start: &[u8]) -> bool {
    start.starts_with(MAGIC)
}

/// Opens the image of which `bytes` are the first segment.
pub(super) fn open(bytes: &Arc<dyn ReadAt>, siblings: &dyn Siblings) -> Result<Image, ImageFault> {
    let segments = Segments::read(bytes, siblings)?;
    let damage = Arc::new(Damage::default());
    for (first, sectors) in &segments.unread {
        let offset = first.saturating_mul(segments.sector);
        let len = sectors.saturating_mul(segments.sector);
        let _ = damage.add(offset, len, "it could not be read when the image was made");
    }
    let (faults, digests) = (segments.faults.clone(), segments.digests);
    let cache = Cache::new(segments.chunk);
    let inflater = Inflater::zlib();
    let ewf = Ewf { segments, cache, inflater, damage: damage.clone() };
    Ok(Image { bytes: Arc::new(ewf), kind: "an E01 image", damage, faults, digests })
}

struct Ewf {
    segments: Segments,
    cache: Cache,
    inflater: Inflater,
    damage: Arc<Damage>,
}

/// Where a chunk is.
struct Place<'s> {
    segment: &'s dyn ReadAt,
    offset: u64,
    /// No longer than this.
    len: u64,
    is_compressed: bool,
}

impl ReadAt for Ewf {
    fn size(&self) -> u64 {
        self.segments.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let chunk = self.segments.chunk;
        read::spans(self.segments.size, offset, buf, |at, buf| {
            let number = at / chunk;
            let start = number * chunk;
            let len = chunk.min(self.segments.size - start);
            if at == start && buf.len() as u64 >= len {
                let buf = front(buf, len);
                self.decode(number, buf)?;
                return Ok(buf.len());
            }
            let block = self.cache.get(number, || {
                let mut block = vec![0; usize::try_from(len).unwrap_or(0)];
                self.decode(number, &mut block).map(|()| block)
            })?;
            Ok(blocks::copy(&block, at - start, buf))
        })
    }
}

impl Ewf {
    /// Decodes a chunk into `out`, which is as long as it.
    fn decode(&self, number: u64, out: &mut [u8]) -> io::Result<()> {
        let (start, len) = (number * self.segments.chunk, out.len() as u64);
        let damaged = |why: &str| Err(self.damage.add(start, len, why));
        let place = match self.place(number) {
            Ok(place) => place,
            Err(why) => return damaged(why),
        };
        let sound = if place.is_compressed {
            self.decompress(&place, out)
        } else {
            self.stored(&place, out)
        };
        match sound {
            Ok(true) => Ok(()),
            Ok(false) => damaged("its chunk is damaged"),
            Err(error) => damaged(&format!("its chunk cannot be read: {error}")),
        }
    }

    fn stored(&self, place: &Place<'_>, out: &mut [u8]) -> io::Result<bool> {
        let len = out.len() as u64;
        if place.len < len + 4 {
            return Ok(false);
        }
        read::exact(place.segment, place.offset, out)?;
        let check: [u8; 4] = read::array(place.segment, place.offset.saturating_add(len))?;
        Ok(adler2::adler32_slice(out) == u32::from_le_bytes(check))
    }

    fn decompress(&self, place: &Place<'_>, out: &mut [u8]) -> io::Result<bool> {
        let mut packed = vec![0; usize::try_from(place.len).unwrap_or(0)];
        // The last chunk of a truncated segment may still be whole.
        let len = read::full(place.segment, place.offset, &mut packed)?;
        let packed = packed.get(..len).unwrap_or_default();
        if out.len() as u64 == self.segments.chunk {
            return Ok(self.inflater.decode(packed, out) == Some(out.len()));
        }
        // The disk's last chunk may be filled up to a whole one.
        let mut whole = vec![0; usize::try_from(self.segments.chunk).unwrap_or(0)];
        let done = self.inflater.decode(packed, &mut whole);
        match whole.get(..out.len()) {
            Some(front) if done.is_some_and(|done| done >= front.len()) => {
                out.copy_from_slice(front);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn place(&self, number: u64) -> Result<Place<'_>, &str> {
        const MISSING: &str = "no segment that is here has its chunk";
        let tables = &self.segments.tables;
        let after = tables.partition_point(|table| table.first <= number);
        let table = after.checked_sub(1).and_then(|at| tables.get(at)).ok_or(MISSING)?;
        let at = usize::try_from(number - table.first).map_err(|_| MISSING)?;
        if at >= table.count {
            return Err(MISSING);
        }
        let (offset, is_compressed) = table.entry(at).ok_or("the table of its chunk is damaged")?;
        let segment = self.segments.parts.get(table.segment).ok_or(MISSING)?;
        let next = table.entry(at + 1).map(|(next, _)| next).filter(|next| *next > offset);
        // The last of a table ends where a section begins, or the segment ends.
        let bound = segment.bounds.partition_point(|bound| *bound <= offset);
        let bound = segment.bounds.get(bound).copied().unwrap_or_else(|| segment.bytes.size());
        let end = next.unwrap_or(bound);
        let len = end.saturating_sub(offset).min(self.segments.chunk + SLACK);
        let is_compressed = is_compressed.unwrap_or(len < self.segments.chunk + 4);
        Ok(Place { segment: &*segment.bytes, offset, len, is_compressed })
    }
}

impl Table {
    /// Where in its segment a chunk begins, and whether it is compressed, if the entry says so.
    fn entry(&self, at: usize) -> Option<(u64, Option<bool>)> {
        let raw = u32::from_le_bytes(bytes::array(&self.entries, at.checked_mul(4)?)?);
        let (offset, is_compressed) = if at >= self.wide_from {
            (raw, None)
        } else {
            (raw & 0x7fff_ffff, Some(raw >> 31 != 0))
        };
        Some((self.base.checked_add(offset.into())?, is_compressed))
    }
}
