//! Evidence: names and bytes.
//!
//! Finds what may be an event log and hands it on as a [`Source`]: a name to report it by and
//! read-only bytes with positioned reads. Nothing here knows what is in a log beyond the eight bytes
//! by which one is recognised.
//!
//! A file may be a container: an archive, a compressed stream, an image of a disk. What is in one is
//! a [`Source`], too, and may be a container again. [`Source::look`] says what a source is, by its
//! content and never by its name, and gives an iterator over what is in a container ([`Inside`]).
//! [`Walk`] hands on files alone; [`Descend`] goes into containers as well, in place.
//!
//! A source's name is where it was found: `case.zip!C/Windows/…/Security.evtx` is a member of an
//! archive, the part before `!` being the container as it was found and the part after it the path
//! within.
//!
//! Invariants:
//! - Sources come in one order, that of the paths as given, inside a folder of the file names' bytes
//!   and inside a container of the container, on every platform and in every run (invariant 5 of the
//!   design).
//! - Whatever is met and not handed on as a source is handed on as the reason why not (invariant 6).
//! - Evidence is not opened with write access and nothing is unpacked to a path: what has to be kept
//!   outside of memory is in temporary files without a name (invariant 9).
//! - How deep containers lie in each other and how much is unpacked is bounded, by the evidence alone
//!   ([`DEPTH`], [`UNPACKED`]).

mod access;
mod claim;
mod collection;
mod descend;
mod disk;
mod file;
mod given;
pub mod image;
mod inside;
mod layout;
mod sevenz;
mod sniff;
mod source;
mod spool;
mod stream;
mod tar;
mod walk;
mod window;
mod zip;
mod zip_headers;
mod zip_salvage;

use std::{ffi::OsStr, fmt::Write as _, path::Path};

pub use access::{Access, Carving, Locked, Prompt};
pub use descend::Descend;
pub use disk::{Layout, Partition};
pub use given::{Given, Media};
pub use inside::{Container, DEPTH, Inside, Outcome, UNPACKED, UNPACKED_RATIO};
pub use sniff::begins_like_a_log;
pub use source::{Look, Ranges, Source, State};
pub use walk::{Found, Walk};
pub use window::Window;

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
