//! Untrusted bytes: positioned reads of evidence, and bounds-checked reads of numbers, little-endian
//! unless the name says otherwise.
//!
//! Every offset and length that comes out of evidence passes through here: a read either lies wholly
//! inside the bytes or is `None`, nothing is indexed and nothing wraps. [`ReadAt`] is the one way in
//! which evidence is read; it takes `&self`, so that many threads read one source, and has no way to
//! write.

use std::io;

/// A named thing's bytes, read at positions, from any thread.
pub trait ReadAt: Send + Sync {
    /// How many bytes there are. It does not change while it is read; bytes that are gone by then
    /// (a file that was cut) are a short read.
    fn size(&self) -> u64;

    /// Reads into `buf` from `offset` and says how many bytes came: fewer than asked for at the end
    /// of the source only, 0 beyond it.
    ///
    /// # Errors
    /// Those of the medium.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// How many bytes from `offset` on are known to be zeros without reading them: what an image does
    /// not store, what a file has no blocks for. 0 if nothing is known; fewer than there are may be told.
    fn zeros(&self, offset: u64) -> u64 {
        let _ = offset;
        0
    }
}

/// Reads until `buf` is full or the source ends, and says how much came.
///
/// # Errors
/// Those of the medium.
pub fn read_full(source: &dyn ReadAt, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let Some(at) = offset.checked_add(done as u64) else { break };
        match source.read_at(at, rest) {
            Ok(0) => break,
            // A source that claims more than it was asked for is not believed.
            Ok(n) => done += n.min(rest.len()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}

/// Bytes as hexadecimal digits, in small letters, as `sha256sum` writes them.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |n: u8| char::from_digit(u32::from(n), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

impl ReadAt for [u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.get(at..)).unwrap_or(&[]);
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }
}

impl ReadAt for Vec<u8> {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.as_slice().read_at(offset, buf)
    }
}

/// The `len` bytes from `at`, if all of them are there.
#[inline]
#[must_use]
pub fn slice(bytes: &[u8], at: usize, len: usize) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(len)?)
}

/// The `N` bytes from `at`.
#[inline]
#[must_use]
pub fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    slice(bytes, at, N)?.try_into().ok()
}

/// The byte at `at`.
#[inline]
#[must_use]
pub fn u8(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

/// The little-endian `u16` at `at`.
#[inline]
#[must_use]
pub fn u16(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

/// The little-endian `u32` at `at`.
#[inline]
#[must_use]
pub fn u32(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

/// The little-endian `u64` at `at`.
#[inline]
#[must_use]
pub fn u64(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

/// The big-endian `u16` at `at`.
#[inline]
#[must_use]
pub fn u16_be(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

/// The big-endian `u32` at `at`.
#[inline]
#[must_use]
pub fn u32_be(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_be_bytes)
}

/// The big-endian `u64` at `at`.
#[inline]
#[must_use]
pub fn u64_be(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lie_inside_the_bytes_or_are_none() {
        let bytes = [1u8, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(u64(&bytes, 0), Some(0x0807_0605_0403_0201));
        assert_eq!(u32(&bytes, 4), Some(0x0807_0605));
        assert_eq!(u32(&bytes, 5), None);
        assert_eq!(u16(&bytes, usize::MAX), None);
        assert_eq!(u16_be(&bytes, 0), Some(0x0102));
        assert_eq!(u32_be(&bytes, 4), Some(0x0506_0708));
        assert_eq!(u64_be(&bytes, 1), None);
        assert_eq!(slice(&bytes, 8, 0), Some(&[][..]));
        assert_eq!(slice(&bytes, 9, 0), None);
        assert_eq!(slice(&bytes, 1, usize::MAX), None);
    }

    #[test]
    fn a_positioned_read_ends_with_the_source() {
        let source = vec![1u8, 2, 3];
        let mut buf = [0u8; 2];
        assert_eq!(source.read_at(0, &mut buf).unwrap(), 2);
        assert_eq!(source.read_at(2, &mut buf).unwrap(), 1);
        assert_eq!(source.read_at(3, &mut buf).unwrap(), 0);
        assert_eq!(source.read_at(u64::MAX, &mut buf).unwrap(), 0);
    }
}
