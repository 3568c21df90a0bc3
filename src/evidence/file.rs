//! A file's bytes by positioned reads: the one place that asks the platform for them.
//!
//! Positioned reads and not a memory map: evidence may sit on a failing disk or a share, and a fault
//! there has to be an error that is written down, not a signal that ends the program. The file is
//! opened for reading only.

use crate::bytes::ReadAt;
use std::{fs::File, io, path::Path};

/// An opened file.
#[derive(Debug)]
pub(super) struct FileBytes {
    file: Positioned,
    size: u64,
}

impl FileBytes {
    pub(super) fn open(path: &Path) -> io::Result<FileBytes> {
        // Looked at before it is opened: opening a pipe that nobody writes to would wait for ever.
        let metadata = std::fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Ok(FileBytes { file: Positioned::new(file), size })
    }
}

impl ReadAt for FileBytes {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = offset.checked_add(done as u64);
            match at.map_or(Ok(0), |at| self.file.read_some(at, rest)) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What came before the fault is good: the next read, from there, tells the fault.
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn zeros(&self, offset: u64) -> u64 {
        if offset >= self.size {
            return 0;
        }
        let data = self.file.data_from(offset);
        data.map_or(0, |data| data.unwrap_or(self.size).min(self.size).saturating_sub(offset))
    }
}

#[cfg(unix)]
#[derive(Debug)]
pub(super) struct Positioned(File);

#[cfg(unix)]
impl Positioned {
    pub(super) fn new(file: File) -> Positioned {
        Positioned(file)
    }

    pub(super) fn read_some(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        // Beyond i64 there is no file offset (the call would fail with EINVAL): nothing is there.
        if i64::try_from(offset).is_err() {
            return Ok(0);
        }
        std::os::unix::fs::FileExt::read_at(&self.0, buf, offset)
    }

    /// Where the file has blocks for its bytes, from `offset` on: `Some(None)` if it has none up to its
    /// end, `None` if the file system does not tell. It moves the file's cursor, which nothing here
    /// looks at.
    #[cfg(target_os = "linux")]
    pub(super) fn data_from(&self, offset: u64) -> Option<Option<u64>> {
        // Beyond i64 there is no file offset.
        i64::try_from(offset).ok()?;
        match rustix::fs::seek(&self.0, rustix::fs::SeekFrom::Data(offset)) {
            Ok(data) => Some(Some(data)),
            Err(rustix::io::Errno::NXIO) => Some(None),
            Err(_) => None,
        }
    }

    /// The file system is not asked.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn data_from(&self, _: u64) -> Option<Option<u64>> {
        None
    }

    /// For temporary files alone: evidence is not opened for writing.
    pub(super) fn write_all_at(&self, offset: u64, buf: &[u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.0, buf, offset)
    }
}

#[cfg(windows)]
#[derive(Debug)]
pub(super) struct Positioned(File);

#[cfg(windows)]
impl Positioned {
    pub(super) fn new(file: File) -> Positioned {
        Positioned(file)
    }

    pub(super) fn read_some(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        // It moves the file's cursor too, which nothing here looks at.
        std::os::windows::fs::FileExt::seek_read(&self.0, buf, offset)
    }

    /// The file system is not asked.
    pub(super) fn data_from(&self, _: u64) -> Option<Option<u64>> {
        None
    }

    /// For temporary files alone: evidence is not opened for writing.
    pub(super) fn write_all_at(&self, mut offset: u64, mut buf: &[u8]) -> io::Result<()> {
        while !buf.is_empty() {
            let n = std::os::windows::fs::FileExt::seek_write(&self.0, buf, offset)?;
            let rest = buf.get(n..).filter(|_| n > 0);
            buf = rest.ok_or_else(|| io::Error::from(io::ErrorKind::WriteZero))?;
            offset += n as u64;
        }
        Ok(())
    }
}

#[cfg(not(any(unix, windows)))]
#[derive(Debug)]
pub(super) struct Positioned(std::sync::Mutex<File>);

#[cfg(not(any(unix, windows)))]
impl Positioned {
    pub(super) fn new(file: File) -> Positioned {
        Positioned(std::sync::Mutex::new(file))
    }

    pub(super) fn read_some(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        use std::io::{Read as _, Seek as _};
        let mut file = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.seek(io::SeekFrom::Start(offset))?;
        file.read(buf)
    }

    /// The file system is not asked.
    pub(super) fn data_from(&self, _: u64) -> Option<Option<u64>> {
        None
    }

    /// For temporary files alone: evidence is not opened for writing.
    pub(super) fn write_all_at(&self, offset: u64, buf: &[u8]) -> io::Result<()> {
        use std::io::{Seek as _, Write as _};
        let mut file = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        file.seek(io::SeekFrom::Start(offset))?;
        file.write_all(buf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn reads_end_with_the_file_and_disturb_no_other() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let content: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
        file.write_all(&content).unwrap();
        let bytes = FileBytes::open(file.path()).unwrap();
        assert_eq!(bytes.size(), 100_000);
        std::thread::scope(|scope| {
            for start in 0..4u64 {
                let (bytes, content) = (&bytes, &content);
                scope.spawn(move || {
                    let mut buf = [0; 1000];
                    for at in (start * 250..100_500).step_by(1000) {
                        let n = bytes.read_at(at, &mut buf).unwrap();
                        let from = content.len().min(at as usize);
                        let want = &content[from..content.len().min(from + 1000)];
                        assert_eq!(&buf[..n], want, "at {at}");
                    }
                });
            }
        });
        assert_eq!(bytes.read_at(u64::MAX, &mut [0; 8]).unwrap(), 0);
        assert_eq!(bytes.read_at(0, &mut []).unwrap(), 0);
    }

    #[test]
    fn a_folder_is_not_a_file() {
        let folder = tempfile::tempdir().unwrap();
        assert!(FileBytes::open(folder.path()).is_err());
        assert!(FileBytes::open(&folder.path().join("absent")).is_err());
    }
}
