//! Reading structures and spans: loops over positioned reads, windows and rows of sources.

use super::ImageFault;
use crate::bytes::ReadAt;
pub(super) use crate::bytes::read_full as full;
use std::{io, sync::Arc};

/// Fills `buf`.
pub(super) fn exact(source: &dyn ReadAt, offset: u64, buf: &mut [u8]) -> io::Result<()> {
    if full(source, offset, buf)? == buf.len() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the image ends before this"))
}

/// The `N` bytes at `offset`.
pub(super) fn array<const N: usize>(source: &dyn ReadAt, offset: u64) -> io::Result<[u8; N]> {
    let mut buf = [0; N];
    exact(source, offset, &mut buf)?;
    Ok(buf)
}

/// The `len` bytes at `offset`, `what` of an image, of which there are at most `cap`. Nothing is
/// allocated for bytes that the source does not have.
pub(super) fn table(
    source: &dyn ReadAt,
    offset: u64,
    len: u64,
    cap: u64,
    what: &str,
) -> Result<Vec<u8>, ImageFault> {
    if len > cap {
        return Err(ImageFault::broken(format!("{what} of {len} bytes")));
    }
    if offset.checked_add(len).is_none_or(|end| end > source.size()) {
        return Err(ImageFault::broken(format!("{what} lies beyond the end of the image")));
    }
    let len = usize::try_from(len).map_err(|_| ImageFault::broken(what))?;
    let mut bytes = vec![0; len];
    exact(source, offset, &mut bytes)?;
    Ok(bytes)
}

/// Reads span by span: `one` reads from an offset as far as one span goes, at least a byte. What came
/// before a fault is good: the next read, from there, tells the fault.
pub(super) fn spans(
    size: u64,
    offset: u64,
    buf: &mut [u8],
    mut one: impl FnMut(u64, &mut [u8]) -> io::Result<usize>,
) -> io::Result<usize> {
    let rest = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
    let wanted = buf.len().min(rest);
    let Some(buf) = buf.get_mut(..wanted) else { return Ok(0) };
    let mut done = 0;
    while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match one(offset.saturating_add(done as u64), rest) {
            Ok(0) => break,
            Ok(n) => done += n.min(rest.len()),
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}

/// How many bytes from `offset` on are zeros, put together from spans: `one` says how many are from
/// there to the end of its span at most, 0 if they are not zeros.
pub(super) fn zeros(size: u64, offset: u64, mut one: impl FnMut(u64) -> u64) -> u64 {
    /// Nobody asks for more at once.
    const ENOUGH: u64 = 16 << 20;
    let mut len = 0u64;
    while len < ENOUGH {
        let at = offset.saturating_add(len);
        match size.saturating_sub(at).min(one(at)) {
            0 => break,
            more => len = len.saturating_add(more),
        }
    }
    len
}

/// How many bytes from `offset` on are zeros in what is below an image, `len` at most: there are
/// zeros where that ends.
pub(super) fn zeros_below(below: Option<&Arc<dyn ReadAt>>, offset: u64, len: u64) -> u64 {
    below.filter(|below| offset < below.size()).map_or(len, |below| below.zeros(offset).min(len))
}

/// The front of `buf`, `len` bytes at most.
pub(super) fn front(buf: &mut [u8], len: u64) -> &mut [u8] {
    let len = usize::try_from(len).unwrap_or(usize::MAX).min(buf.len());
    buf.get_mut(..len).unwrap_or_default()
}

/// A part of a source.
pub(super) struct Window {
    pub(super) bytes: Arc<dyn ReadAt>,
    pub(super) start: u64,
    pub(super) size: u64,
}

impl ReadAt for Window {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let buf = front(buf, self.size.saturating_sub(offset));
        match self.start.checked_add(offset) {
            Some(at) if !buf.is_empty() => self.bytes.read_at(at, buf),
            _ => Ok(0),
        }
    }

    fn zeros(&self, offset: u64) -> u64 {
        let left = self.size.saturating_sub(offset);
        self.start.checked_add(offset).map_or(0, |at| self.bytes.zeros(at).min(left))
    }
}

/// Sources one behind the other.
pub(super) struct Row {
    /// Each with where it begins.
    parts: Vec<(u64, Arc<dyn ReadAt>)>,
    size: u64,
}

impl Row {
    pub(super) fn new(sources: Vec<Arc<dyn ReadAt>>) -> Row {
        let mut size: u64 = 0;
        let mut parts = Vec::with_capacity(sources.len());
        for source in sources {
            let len = source.size();
            parts.push((size, source));
            size = size.saturating_add(len);
        }
        Row { parts, size }
    }
}

impl ReadAt for Row {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        spans(self.size, offset, buf, |at, buf| {
            let after = self.parts.partition_point(|(start, _)| *start <= at);
            let Some((start, part)) = after.checked_sub(1).and_then(|n| self.parts.get(n)) else {
                return Ok(0);
            };
            let inside = at - start;
            let buf = front(buf, part.size().saturating_sub(inside));
            part.read_at(inside, buf)
        })
    }

    fn zeros(&self, offset: u64) -> u64 {
        zeros(self.size, offset, |at| {
            let after = self.parts.partition_point(|(start, _)| *start <= at);
            let part = after.checked_sub(1).and_then(|n| self.parts.get(n));
            part.map_or(0, |(start, part)| {
                part.zeros(at - start).min(part.size().saturating_sub(at - start))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_reads_over_its_seams_and_a_window_within_its_bounds() {
        let parts: Vec<Arc<dyn ReadAt>> =
            vec![Arc::new(vec![1u8, 2]), Arc::new(Vec::<u8>::new()), Arc::new(vec![3u8, 4, 5])];
        let row = Row::new(parts);
        let mut buf = [0; 8];
        assert_eq!(row.read_at(1, &mut buf).unwrap(), 4);
        assert_eq!(buf[..4], [2, 3, 4, 5]);
        assert_eq!(row.read_at(5, &mut buf).unwrap(), 0);
        let window = Window { bytes: Arc::new(row), start: 1, size: 3 };
        assert_eq!(window.read_at(1, &mut buf).unwrap(), 2);
        assert_eq!(buf[..2], [3, 4]);
        assert_eq!(window.read_at(3, &mut buf).unwrap(), 0);
        assert_eq!(window.read_at(u64::MAX, &mut buf).unwrap(), 0);
    }

    #[test]
    fn a_table_beyond_the_source_or_its_cap_is_not_allocated() {
        let source = vec![0u8; 16];
        assert!(table(&source, 0, 16, 16, "it").is_ok());
        assert!(table(&source, 1, 16, 16, "it").is_err());
        assert!(table(&source, 0, 16, 15, "it").is_err());
        assert!(table(&source, u64::MAX, 16, 16, "it").is_err());
    }
}
