//! Custody: which files were given, when they were last touched, and what they hash to.
//!
//! The ledger says what became of everything that is in the evidence; this says which evidence that
//! was, so that somebody else can tell that they have the same. It is apart from the hunt: a walk of
//! its own before it ([`Survey::take`]), reading beside it ([`Survey::hash`]), a look at sizes and
//! times behind it ([`Survey::settle`]). What was written to in between is told.
//!
//! Invariants:
//! - A digest is of all bytes of a file, or there is none and the reason why not.
//! - Files are read as the hunt reads them, through [`ReadAt`](crate::bytes::ReadAt), and never held
//!   whole.
//! - The order is that of the evidence. Times are those of the file system; no clock is asked here.
//! - In memory is a name and some numbers for each file that a hunt looks into, as the list of paths
//!   is; what is told of logs in containers goes to a temporary file.

mod file;
mod hash;
mod survey;

pub use file::ManifestFile;
pub use hash::{Depth, Hashing};
pub use survey::{EvidenceFile, MediaDigests, Survey};

use std::time::SystemTime;

/// What a file system says about when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Times {
    /// When the file was last written to.
    pub modified: Option<SystemTime>,
    /// When it was made, where the file system knows.
    pub created: Option<SystemTime>,
    /// When it was last read. Reading changes it, that of a hunt as well: it is of little worth.
    pub accessed: Option<SystemTime>,
}
