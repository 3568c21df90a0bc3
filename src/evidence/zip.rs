//! Zip archives.
//!
//! The `zip` crate reads the directory, with its 64-bit sizes and names in any of their encodings,
//! and all that is encrypted or rarely used. The two forms that nearly all members have are read here,
//! because the crate's readers borrow the archive and go forward only: a stored member is a part of
//! the archive's bytes, without a copy, and a deflated one is unpacked as far as it is read
//! ([`Spool`]). Any number of threads read members of one archive.

use super::access::{Access, Locked};
use super::image::Siblings;
use super::inside::{Account, admit, most, within};
use super::layout;
use super::sniff::SNIFFED;
use super::source::Source;
use super::spool::{Spool, fill};
use super::walk::Found;
use super::window::{Cursor, Window};
use crate::bytes::ReadAt;
use std::{
    io::{self, Read},
    sync::Arc,
};
use zip::{CompressionMethod, ZipArchive, read::ZipFile, result::ZipError};

/// Of a member up to this size all is unpacked to see whether a password fits; of others the start,
/// which shows it but for one in 256 at the worst.
const TRIED_WHOLE: u64 = 4 << 20;

/// The longest that is read of what tells of other members.
const LONGEST: usize = 8 << 20;

/// See the module.
pub(super) struct Archive {
    zip: ZipArchive<Cursor>,
    bytes: Arc<dyn ReadAt>,
    access: Access,
    name: String,
    password: Option<String>,
    /// Whether it is a collection by Velociraptor.
    collection: bool,
}

impl Archive {
    /// Whether a member can be opened without unpacking all of it.
    pub(super) fn opens_cheaply(&self, index: usize) -> bool {
        self.zip.by_index_data(index).is_ok_and(|entry| {
            let plain = matches!(
                entry.compression(),
                CompressionMethod::Stored | CompressionMethod::Deflated
            );
            plain && !entry.encrypted()
        })
    }

    /// Whether a member has to be unpacked.
    pub(super) fn is_packed(&self, index: usize) -> bool {
        let entry = self.zip.by_index_data(index).ok();
        entry.is_some_and(|entry| entry.compression() != CompressionMethod::Stored)
    }

    /// A member's bytes, with its holes if it was stored without them.
    pub(super) fn open(&self, index: usize) -> io::Result<Arc<dyn ReadAt>> {
        let stored = self.stored(index)?;
        let Some(holes) = self.holes(index) else { return Ok(stored) };
        Ok(Arc::new(layout::sparse(stored, &self.start(holes, LONGEST)?)?))
    }

    /// The member that says where the holes of a file of a collection were, if there is one.
    fn holes(&self, index: usize) -> Option<usize> {
        if !self.collection {
            return None;
        }
        let entry = self.zip.by_index_data(index).ok()?;
        self.zip.index_for_name(&format!("{}.idx", entry.name().ok()?))
    }

    /// A member's bytes as they are stored.
    fn stored(&self, index: usize) -> io::Result<Arc<dyn ReadAt>> {
        let mut zip = self.zip.clone();
        if !self.opens_cheaply(index) {
            let mut member = self.decoded(&mut zip, index)?;
            let most = most(member.compressed_size()).min(member.size());
            return Ok(Arc::new(Spool::whole(&mut member, most, &self.access)));
        }
        let member = zip.by_index_raw(index).map_err(told)?;
        let start = member.data_start().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData));
        let packed = Window::new(Arc::clone(&self.bytes), start?, member.compressed_size());
        if packed.size() < member.compressed_size() {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the archive ends within it: it is cut off",
            ));
        }
        if member.compression() == CompressionMethod::Stored {
            return Ok(Arc::new(packed));
        }
        let inflated = flate2::read::DeflateDecoder::new(Cursor::new(Arc::new(packed)));
        let checked = Checked::new(inflated, member.crc32());
        Ok(Arc::new(Spool::lazy(Box::new(checked), member.size(), &self.access)))
    }

    /// A member's first bytes.
    pub(super) fn start(&self, index: usize, most: usize) -> io::Result<Vec<u8>> {
        let mut zip = self.zip.clone();
        let mut member = self.decoded(&mut zip, index)?;
        let size = usize::try_from(member.size()).unwrap_or(usize::MAX);
        let mut start = vec![0; most.min(size)];
        let (n, read) = fill(&mut member, &mut start);
        if n == 0 {
            read?;
        }
        start.truncate(n);
        Ok(start)
    }

    /// A member as the crate reads it.
    fn decoded<'z>(
        &self,
        zip: &'z mut ZipArchive<Cursor>,
        index: usize,
    ) -> io::Result<ZipFile<'z, Cursor>> {
        let encrypted = zip.by_index_data(index).map_err(told)?.encrypted();
        if !encrypted {
            return zip.by_index(index).map_err(told);
        }
        let usual = self.password.clone();
        let password = match usual.filter(|password| fits(&self.zip, index, password)) {
            Some(password) => Some(password),
            // Members of one archive may have different ones.
            None => self.access.password(&self.name, |password| fits(&self.zip, index, password)),
        };
        let Some(password) = password else {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, Locked));
        };
        zip.by_index_decrypt(index, password.as_bytes()).map_err(told)
    }
}

/// The members next to a member: parts of an image, its extents.
pub(super) struct ZipSiblings<'a> {
    archive: &'a Archive,
    /// What names next to it begin with.
    folder: String,
    name: String,
}

impl Archive {
    /// What stands next to a member.
    pub(super) fn siblings(&self, index: usize) -> ZipSiblings<'_> {
        let entry = self.zip.by_index_data(index).ok();
        let name = entry.and_then(|entry| entry.name().ok().map(|name| name.into_owned()));
        let name = name.unwrap_or_default();
        let (folder, name) = name.split_at(name.rfind(['/', '\\']).map_or(0, |at| at + 1));
        ZipSiblings { archive: self, folder: folder.to_owned(), name: name.to_owned() }
    }
}

impl Siblings for ZipSiblings<'_> {
    fn own_name(&self) -> &str {
        &self.name
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn ReadAt>> {
        let index = self.archive.zip.index_for_name(&format!("{}{name}", self.folder));
        self.archive.open(index.ok_or(io::ErrorKind::NotFound)?)
    }
}

/// Whether a member can be decrypted with this password.
fn fits(zip: &ZipArchive<Cursor>, index: usize, password: &str) -> bool {
    let mut zip = zip.clone();
    let Ok(mut member) = zip.by_index_decrypt(index, password.as_bytes()) else { return false };
    if member.size() <= TRIED_WHOLE {
        let size = member.size();
        return io::copy(&mut (&mut member).take(size + 1), &mut io::sink()).is_ok();
    }
    fill(&mut member, &mut [0; SNIFFED]).1.is_ok()
}

/// What is wrong, in our words where the user can do something about it.
fn told(error: ZipError) -> io::Error {
    match error {
        ZipError::Io(error) => error,
        error => io::Error::new(io::ErrorKind::InvalidData, error.to_string()),
    }
}

/// Compares the checksum at the end.
struct Checked<R> {
    from: R,
    crc: crc32fast::Hasher,
    want: u32,
}

impl<R> Checked<R> {
    fn new(from: R, want: u32) -> Checked<R> {
        Checked { from, crc: crc32fast::Hasher::new(), want }
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buf)?;
        self.crc.update(buf.get(..n).unwrap_or(&[]));
        if n == 0 && !buf.is_empty() && self.crc.clone().finalize() != self.want {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "its checksum in the archive does not fit",
            ));
        }
        Ok(n)
    }
}

/// The members of an archive.
pub(super) struct Members {
    archive: Arc<Archive>,
    host: Option<Arc<str>>,
    next: usize,
    /// How many bytes the logs have that are still to come, by the names and sizes of members.
    logs: u64,
}

/// Whether a member of this name says that it is a log.
fn is_log(name: &[u8]) -> bool {
    let end = name.len().checked_sub(5).and_then(|at| name.get(at..));
    end.is_some_and(|end| end.eq_ignore_ascii_case(b".evtx"))
}

impl Members {
    /// Opens an archive.
    pub(super) fn open(
        source: &Source,
        bytes: Arc<dyn ReadAt>,
        account: &mut Account,
    ) -> io::Result<Members> {
        let zip =
            ZipArchive::new(Cursor::new(Arc::clone(&bytes))).map_err(|error| match error {
                ZipError::InvalidArchive(what) => io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("its directory cannot be read: it is cut off or damaged ({what})"),
                ),
                error => told(error),
            })?;
        // The AFF4 Standard 4: every volume has these.
        if zip.index_for_name("container.description").is_some()
            && zip.index_for_name("information.turtle").is_some()
        {
            let what = "an AFF4 image, whose disk is not looked into: convert it to raw or E01";
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        }
        if zip.has_duplicate_names() {
            account.fault("members have the same name: only the last of each is read".to_owned());
        }
        let (access, name) = (source.access().clone(), source.name().to_owned());
        let entry = |index: &usize| zip.by_index_data(*index).ok();
        let encrypted = (0..zip.len())
            .filter(|index| entry(index).is_some_and(|entry| entry.encrypted() && !entry.is_dir()));
        // The smallest shows soonest whether a password fits.
        let smallest = encrypted
            .min_by_key(|index| entry(index).map_or(u64::MAX, |entry| entry.compressed_size()));
        let password = smallest
            .and_then(|index| access.password(&name, |password| fits(&zip, index, password)));
        let client = zip.index_for_name(layout::CLIENT);
        let collection = client.is_some();
        let archive = Archive { zip, bytes, access, name, password, collection };
        let host = client.and_then(|index| layout::host(&archive.start(index, LONGEST).ok()?));
        let logs = (0..archive.zip.len())
            .filter_map(|index| archive.zip.by_index_data(index).ok())
            .filter(|entry| is_log(entry.name_raw()))
            .fold(0, |sum: u64, entry| sum.saturating_add(entry.size()));
        Ok(Members { archive: Arc::new(archive), host: host.map(Into::into), next: 0, logs })
    }

    pub(super) fn next(&mut self, source: &Source, account: &mut Account) -> Option<Found> {
        while self.next < self.archive.zip.len() {
            let index = self.next;
            self.next += 1;
            let entry = match self.archive.zip.by_index_data(index) {
                Ok(entry) => entry,
                Err(error) => {
                    account.fault(format!("member {index} cannot be read: {error}"));
                    continue;
                }
            };
            if is_log(entry.name_raw()) {
                self.logs = self.logs.saturating_sub(entry.size());
            }
            if entry.is_dir() {
                continue;
            }
            let name = entry.name().map_or_else(|_| format!("member {index}"), |n| n.into_owned());
            let decoded = layout::decoded(&name).filter(|_| self.archive.collection);
            let name = within(source.name(), decoded.as_deref().unwrap_or(&name));
            if entry.is_symlink() {
                account.members += 1;
                return Some(Found::Link { name });
            }
            if entry.encrypted() && self.archive.password.is_none() {
                account.encrypted += 1;
                continue;
            }
            if !admit(source, entry.size(), account) {
                return None;
            }
            let member = source.zipped(name, entry.size(), &self.archive, index, self.logs);
            return Some(Found::Source(member.of_host(self.host.clone())));
        }
        None
    }
}
