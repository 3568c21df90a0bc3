//! A part of a thing's bytes, and a cursor over them for decoders that want one.

use crate::bytes::ReadAt;
use std::{
    io::{self, Read, Seek, SeekFrom},
    sync::Arc,
};

/// So many bytes from an offset, without a copy of them.
pub struct Window {
    bytes: Arc<dyn ReadAt>,
    start: u64,
    size: u64,
}

impl std::fmt::Debug for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Window({}, {})", self.start, self.size)
    }
}

impl Window {
    /// The `size` bytes from `start`, fewer if `bytes` ends before.
    #[must_use]
    pub fn new(bytes: Arc<dyn ReadAt>, start: u64, size: u64) -> Window {
        let size = size.min(bytes.size().saturating_sub(start));
        Window { bytes, start, size }
    }
}

impl ReadAt for Window {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = buf.len().min(left);
        let Some((buf, at)) = buf.get_mut(..wanted).zip(self.start.checked_add(offset)) else {
            return Ok(0);
        };
        if buf.is_empty() { Ok(0) } else { self.bytes.read_at(at, buf) }
    }

    fn zeros(&self, offset: u64) -> u64 {
        let left = self.size.saturating_sub(offset);
        self.start.checked_add(offset).map_or(0, |at| self.bytes.zeros(at).min(left))
    }
}

/// How much a cursor reads ahead: decoders ask for a few kilobytes at a time, and what is below may
/// be an image, where each read costs a look into tables.
const AHEAD: usize = 64 << 10;

/// A thing's bytes one after the other.
#[derive(Clone)]
pub(super) struct Cursor {
    bytes: Arc<dyn ReadAt>,
    position: u64,
    /// What was read ahead; it ends at `position + (ahead.len() - used)`.
    ahead: Vec<u8>,
    used: usize,
}

impl Cursor {
    pub(super) fn new(bytes: Arc<dyn ReadAt>) -> Cursor {
        Cursor { bytes, position: 0, ahead: Vec::new(), used: 0 }
    }
}

impl Read for Cursor {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        if self.used >= self.ahead.len() {
            if buf.len() >= AHEAD {
                let n = self.bytes.read_at(self.position, buf)?;
                self.position = self.position.saturating_add(n as u64);
                return Ok(n);
            }
            self.ahead.resize(AHEAD, 0);
            let n = self.bytes.read_at(self.position, &mut self.ahead);
            self.ahead.truncate(*n.as_ref().unwrap_or(&0));
            self.used = 0;
            n?;
        }
        let ready = self.ahead.get(self.used..).unwrap_or(&[]);
        let n = ready.len().min(buf.len());
        if let Some((to, from)) = buf.get_mut(..n).zip(ready.get(..n)) {
            to.copy_from_slice(from);
        }
        self.used += n;
        self.position = self.position.saturating_add(n as u64);
        Ok(n)
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.bytes.size().checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        let to = to.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        // Within what was read ahead, that stays good.
        let used = to.checked_sub(self.position).and_then(|by| usize::try_from(by).ok());
        match used.and_then(|by| self.used.checked_add(by)) {
            Some(used) if used <= self.ahead.len() => self.used = used,
            _ => {
                self.ahead.clear();
                self.used = 0;
            }
        }
        self.position = to;
        Ok(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: u32) -> Arc<dyn ReadAt> {
        Arc::new((0..n).map(|n| (n % 251) as u8).collect::<Vec<u8>>())
    }

    #[test]
    fn a_window_ends_where_it_ends() {
        let window = Window::new(numbers(100), 10, 5);
        let mut buf = [0; 8];
        assert_eq!((window.size(), window.read_at(0, &mut buf).unwrap()), (5, 5));
        assert_eq!(buf, [10, 11, 12, 13, 14, 0, 0, 0]);
        assert_eq!(window.read_at(4, &mut buf).unwrap(), 1);
        for beyond in [5, 6, u64::MAX] {
            assert_eq!(window.read_at(beyond, &mut buf).unwrap(), 0);
        }
        assert_eq!(Window::new(numbers(100), 90, u64::MAX).size(), 10);
        assert_eq!(Window::new(numbers(100), u64::MAX, 1).size(), 0);
    }

    #[test]
    fn a_cursor_reads_what_is_there_wherever_it_is_set() {
        let size = 3 * AHEAD as u32 + 7;
        let mut cursor = Cursor::new(numbers(size));
        let mut at = 0u64;
        for step in [1u64, 5000, 70_000, 3, 200_000, 64] {
            at = (at + step * 31) % u64::from(size);
            assert_eq!(cursor.seek(SeekFrom::Start(at)).unwrap(), at);
            for len in [1usize, 100, AHEAD + 1] {
                let mut buf = vec![0; len];
                let n = cursor.read(&mut buf).unwrap();
                let want = (0..n as u64).map(|n| ((at + n) % 251) as u8);
                assert!(n > 0 && buf[..n].iter().copied().eq(want), "{at} {len}");
                at = cursor.stream_position().unwrap();
                if at >= u64::from(size) {
                    break;
                }
            }
        }
        assert_eq!(cursor.seek(SeekFrom::End(-1)).unwrap(), u64::from(size) - 1);
        assert_eq!(cursor.read(&mut [0; 9]).unwrap(), 1);
        assert_eq!(cursor.read(&mut [0; 9]).unwrap(), 0);
        assert!(cursor.seek(SeekFrom::Current(i64::MIN)).is_err());
    }
}
