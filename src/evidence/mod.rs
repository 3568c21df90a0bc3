//! Evidence: names and bytes.
//!
//! Finds what may be an event log and hands it on as a [`Source`]: a name to report it by and
//! read-only bytes with positioned reads. Nothing here knows what is in a log beyond the eight bytes
//! by which one is recognised.
//!
//! What can hold logs is an enum inside [`Source`]. A member of an archive or a file of a file
//! system in an image is one more arm of it, named like `case.zip!C/Windows/…/Security.evtx`: the
//! part before `!` is the container as it was found, the part after it the path within.
//!
//! Invariants:
//! - Sources come in one order, that of the paths as given and, inside a folder, of the file names'
//!   bytes, on every platform and in every run (invariant 5 of the design).
//! - Whatever is met and not handed on as a source is handed on as the reason why not (invariant 6).
//! - Nothing is opened with write access and no path is ever created (invariant 9).

mod file;
pub mod image;
mod walk;

use crate::bytes::ReadAt;
use std::{
    ffi::OsStr,
    fmt::Write as _,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

pub use walk::{Found, Walk};

/// What an event log begins with ([MS-EVEN6] 2.2.11 writes the file, `ElfFile` with its NUL).
const LOG_MAGIC: &[u8; 8] = b"ElfFile\0";

/// Something that may be an event log: a name and, once opened, bytes.
#[derive(Debug, Clone)]
pub struct Source {
    name: String,
    size: u64,
    named: bool,
    place: Place,
}

/// Where a source's bytes are.
#[derive(Debug, Clone)]
enum Place {
    File(PathBuf),
}

impl Source {
    fn file(path: PathBuf, size: u64, named: bool) -> Source {
        Source { name: display_name(&path), size, named, place: Place::File(path) }
    }

    /// The path as it was found.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its size when it was found.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether whoever made it says that it is an event log, by naming the file to be read or with
    /// the extension `.evtx`. If its content is not one, that is to be reported; any other file that
    /// is no log is only counted.
    #[must_use]
    pub fn claims_to_be_a_log(&self) -> bool {
        let Place::File(path) = &self.place;
        self.named
            || path
                .extension()
                .is_some_and(|extension| extension.as_encoded_bytes().eq_ignore_ascii_case(b"evtx"))
    }

    /// Opens it for reading.
    ///
    /// # Errors
    /// If it cannot be opened or is not a thing with bytes at positions.
    pub fn open(&self) -> io::Result<Arc<dyn ReadAt>> {
        match &self.place {
            Place::File(path) => Ok(Arc::new(file::FileBytes::open(path)?)),
        }
    }
}

/// Whether these bytes begin like an event log.
///
/// # Errors
/// If the first bytes cannot be read.
pub fn begins_like_a_log(bytes: &dyn ReadAt) -> io::Result<bool> {
    let mut start = [0; LOG_MAGIC.len()];
    Ok(bytes.read_at(0, &mut start)? == start.len() && start == *LOG_MAGIC)
}

/// Kinds of files that may hold event logs and that Harrier cannot look into, by the bytes that they
/// have at a place: what they are, and what to do.
const CONTAINERS: &[(u64, &[u8], &str)] = &[
    (0, b"PK\x03\x04", "a zip archive: unpack it and hunt in the folder"),
    (0, b"\x1f\x8b", "compressed with gzip: unpack it and hunt in what comes out"),
    (0, b"\x28\xb5\x2f\xfd", "compressed with zstd: unpack it and hunt in what comes out"),
    (0, b"\xfd7zXZ\0", "compressed with xz: unpack it and hunt in what comes out"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it and hunt in the folder"),
    (0, b"Rar!\x1a\x07", "a RAR archive: unpack it and hunt in the folder"),
    (257, b"ustar", "a tar archive: unpack it and hunt in the folder"),
    (0, b"EVF\x09\x0d\x0a\xff\0", "an E01 image: mount it and hunt in its file system"),
    (0, b"vhdxfile", "a VHDX image: mount it and hunt in its file system"),
    (0, b"conectix", "a VHD image: mount it and hunt in its file system"),
    (0, b"KDMV", "a VMDK image: mount it and hunt in its file system"),
    (0, b"QFI\xfb", "a qcow2 image: mount it and hunt in its file system"),
    (3, b"NTFS    ", "an image of an NTFS volume: mount it and hunt in its file system"),
    (0, b"ElfChnk\0", "a chunk of an event log without the file header: carve it first"),
    (4096, b"ElfChnk\0", "an event log whose file header is gone: restore it from another log"),
];

/// What a file is, and what to do, if it may hold event logs that cannot be read as it stands.
///
/// # Errors
/// If its first bytes cannot be read.
pub fn container(bytes: &dyn ReadAt) -> io::Result<Option<&'static str>> {
    for (at, magic, what) in CONTAINERS {
        let mut start = [0; 8];
        let Some(start) = start.get_mut(..magic.len()) else { continue };
        if bytes.read_at(*at, start)? == magic.len() && start == *magic {
            return Ok(Some(what));
        }
    }
    Ok(None)
}

/// A path as text. What is not UTF-8 is shown byte by byte as `\xNN`, so that two names that differ
/// still differ.
#[must_use]
pub fn display_name(path: &Path) -> String {
    let bytes = OsStr::as_encoded_bytes(path.as_os_str());
    let mut name = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        name.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(name, "\\x{byte:02X}");
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_known_by_its_first_bytes() {
        for (bytes, want) in [
            (&b"ElfFile\0rest"[..], true),
            (b"ElfFile\0", true),
            (b"ElfFile", false),
            (b"", false),
            (b"ElfChnk\0", false),
        ] {
            assert_eq!(begins_like_a_log(&bytes.to_vec()).unwrap(), want, "{bytes:?}");
        }
    }

    #[test]
    fn containers_are_known_by_their_content() {
        for (at, magic, what) in CONTAINERS {
            assert!(magic.len() <= 8, "{what}");
            let mut bytes = vec![0x20; usize::try_from(*at).unwrap()];
            bytes.extend_from_slice(magic);
            assert_eq!(container(&bytes).unwrap(), Some(*what));
            bytes.pop();
            assert_ne!(container(&bytes).unwrap(), Some(*what));
        }
        assert_eq!(container(&b"plain text".to_vec()).unwrap(), None);
    }

    #[test]
    fn the_extension_or_being_named_is_a_claim() {
        for (path, named, want) in [
            ("a/Security.evtx", false, true),
            ("a/SECURITY.EVTX", false, true),
            ("a/evtx", false, false),
            ("a/notes.txt", false, false),
            ("a/notes.txt", true, true),
        ] {
            let source = Source::file(path.into(), 1, named);
            assert_eq!(source.claims_to_be_a_log(), want, "{path}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_not_text_stay_distinct() {
        use std::os::unix::ffi::OsStrExt as _;
        let name = |bytes: &[u8]| display_name(Path::new(OsStr::from_bytes(bytes)));
        assert_eq!(name(b"a/\xFFb.evtx"), "a/\\xFFb.evtx");
        assert_ne!(name(b"\xFE"), name(b"\xFF"));
        assert_eq!(name("ä/日.evtx".as_bytes()), "ä/日.evtx");
    }
}
