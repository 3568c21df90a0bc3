//! Zip archives.
//!
//! The `zip` crate reads the directory, with its 64-bit sizes and names in any of their encodings,
//! and all that is encrypted or rarely used. The two forms that nearly all members have are read here,
//! because the crate's readers borrow the archive and go forward only: a stored member is a part of
//! the archive's bytes, without a copy, and a deflated one is unpacked as far as it is read
//! ([`Spool`]). Any number of threads read members of one archive.
//!
//! Invariant: what no entry of the directory tells of is looked for by the headers in front of members
//! (`zip_salvage`), in all of an archive whose directory is gone or damaged, and between the members
//! of one that has it.

use super::access::{Access, Locked};
use super::collection::{self, Collected};
use super::image::Siblings;
use super::inside::{Account, admit, most, within};
use super::sniff::{self, Kind, SNIFFED};
use super::source::Source;
use super::spool::{Spool, fill};
use super::stream::Decoded;
use super::walk::Found;
use super::window::{Cursor, Window};
use super::zip_headers::{BY_DESCRIPTOR, ENCRYPTED, Local};
use super::zip_salvage::salvage;
use crate::bytes::ReadAt;
use std::{
    io::{self, Read},
    ops::Range,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};
use zip::{CompressionMethod, ZipArchive, read::ZipFile, result::ZipError};

/// Of a member up to this size all is unpacked to see whether a password fits; of others the start,
/// which shows it but for one in 256 at the worst.
const TRIED_WHOLE: u64 = 4 << 20;

/// See the module.
pub(super) struct Archive {
    zip: ZipArchive<Cursor>,
    bytes: Arc<dyn ReadAt>,
    access: Access,
    name: String,
    passwords: Mutex<Passwords>,
}

/// What is known of the passwords of an archive.
#[derive(Default)]
struct Passwords {
    /// Those that fitted members so far.
    good: Vec<String>,
    /// Whether somebody was asked for one, and none fitted: nobody is asked for each member.
    asked: bool,
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

    /// A member's bytes.
    pub(super) fn open(&self, index: usize) -> io::Result<Arc<dyn ReadAt>> {
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
            return Ok(Arc::new(Stored::new(packed, member.crc32())));
        }
        let inflated = flate2::read::DeflateDecoder::new(Cursor::new(Arc::new(packed)));
        let inflated = Decoded::new(inflated, "what is packed");
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
        start.truncate(n);
        // Nobody knows what something is whose start is lost.
        if n == 0 || sniff::kind(&start) == Kind::Other {
            read?;
        }
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
        let Some(password) = self.password_of(index) else {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, Locked));
        };
        zip.by_index_decrypt(index, password.as_bytes()).map_err(told)
    }
}

impl Archive {
    /// What collections in it say of their files.
    fn collected(&self) -> Collected {
        let names: Vec<String> = (0..self.zip.len())
            .filter_map(|index| Some(self.zip.by_index_data(index).ok()?.name().ok()?.into_owned()))
            .collect();
        Collected::gather(&self.name, names.iter().map(String::as_str), |name| {
            collection::all(self.open(self.zip.index_for_name(name)?).ok()?)
        })
    }
}

impl Archive {
    /// The password of a member. Members of one archive may have different ones: those that fitted
    /// others are tried first.
    fn password_of(&self, index: usize) -> Option<String> {
        let passwords = || self.passwords.lock().unwrap_or_else(PoisonError::into_inner);
        let (good, asked) = {
            let passwords = passwords();
            (passwords.good.clone(), passwords.asked)
        };
        let fits = |password: &str| fits(&self.zip, index, password);
        if let Some(password) = good.into_iter().find(|password| fits(password)) {
            return Some(password);
        }
        let found = match asked {
            true => self.access.known(fits),
            false => self.access.password(&self.name, fits),
        };
        let mut passwords = passwords();
        match &found {
            Some(password) if !passwords.good.contains(password) => {
                passwords.good.push(password.clone());
            }
            Some(_) => {}
            None => passwords.asked = true,
        }
        found
    }

    /// Whether a member is told as locked: only while no password fitted any. Else who reads it sees.
    fn is_locked(&self, index: usize) -> bool {
        let passwords = self.passwords.lock().unwrap_or_else(PoisonError::into_inner);
        if !passwords.good.is_empty() {
            return false;
        }
        drop(passwords);
        self.password_of(index).is_none()
    }

    /// Tries the passwords on the smallest member that is encrypted, which shows soonest whether one
    /// fits.
    fn unlock(&self) {
        let entry = |index: &usize| self.zip.by_index_data(*index).ok();
        let encrypted = (0..self.zip.len())
            .filter(|index| entry(index).is_some_and(|entry| entry.encrypted() && !entry.is_dir()));
        let smallest = encrypted
            .min_by_key(|index| entry(index).map_or(u64::MAX, |entry| entry.compressed_size()));
        if let Some(smallest) = smallest {
            self.password_of(smallest);
        }
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
            return Err(io::Error::new(io::ErrorKind::InvalidData, MISFIT));
        }
        Ok(n)
    }
}

/// A stored member: a part of the archive, of which all bytes are compared with its checksum when
/// somebody asks at the end whether all was well. Who reads parts of it, as of an image, does not.
struct Stored {
    bytes: Window,
    want: u32,
    fits: OnceLock<bool>,
}

/// What is said of a member whose bytes are not those that were packed.
const MISFIT: &str = "its checksum in the archive does not fit";

impl Stored {
    fn new(bytes: Window, want: u32) -> Stored {
        Stored { bytes, want, fits: OnceLock::new() }
    }

    fn check(&self) -> io::Result<()> {
        let fits = match self.fits.get() {
            Some(fits) => *fits,
            None => {
                let fits = self.crc()? == self.want;
                *self.fits.get_or_init(|| fits)
            }
        };
        if fits { Ok(()) } else { Err(io::Error::new(io::ErrorKind::InvalidData, MISFIT)) }
    }

    fn crc(&self) -> io::Result<u32> {
        /// What is read at once.
        const READ: usize = 1 << 20;
        let (mut crc, mut at, mut buffer) = (crc32fast::Hasher::new(), 0u64, vec![0; READ]);
        loop {
            let n = self.bytes.read_at(at, &mut buffer)?;
            let Some(part) = buffer.get(..n).filter(|part| !part.is_empty()) else {
                return Ok(crc.finalize());
            };
            crc.update(part);
            at = at.saturating_add(n as u64);
        }
    }
}

impl ReadAt for Stored {
    fn size(&self) -> u64 {
        self.bytes.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() && offset >= self.size() {
            return self.check().map(|()| 0);
        }
        self.bytes.read_at(offset, buf)
    }

    fn zeros(&self, offset: u64) -> u64 {
        self.bytes.zeros(offset)
    }
}

/// The members of an archive.
pub(super) struct Members {
    /// What its directory tells of, and what it does not.
    archives: Vec<Part>,
    which: usize,
    next: usize,
    /// How many bytes the logs have that are still to come, by the names and sizes of members.
    logs: u64,
}

/// Whether a member of this name says that it is a log.
fn is_log(name: &[u8]) -> bool {
    let end = name.len().checked_sub(5).and_then(|at| name.get(at..));
    end.is_some_and(|end| end.eq_ignore_ascii_case(b".evtx"))
}

struct Part {
    archive: Arc<Archive>,
    collected: Collected,
    salvaged: bool,
}

/// What is said of a member that was found by its header.
const SALVAGED: &str =
    "the archive's directory does not tell of it: found by the header in front of it";

impl Members {
    /// Opens an archive.
    pub(super) fn open(
        source: &Source,
        bytes: Arc<dyn ReadAt>,
        account: &mut Account,
    ) -> io::Result<Members> {
        let open = |bytes| ZipArchive::new(Cursor::new(bytes));
        let (directory, ranges) = match open(Arc::clone(&bytes)) {
            // An archive that is cut off behind one that is stored in it seems to end with that one's.
            Ok(zip) if zip.offset() > 0 => {
                account.fault("its directory is that of something in it".to_owned());
                (None, std::iter::once(0..bytes.size()).collect())
            }
            Ok(zip) => {
                let gaps = gaps(&zip, &bytes, account);
                (Some(zip), gaps)
            }
            Err(ZipError::InvalidArchive(what)) => {
                account.fault(format!(
                    "its directory cannot be read: it is cut off or damaged ({what})"
                ));
                (None, std::iter::once(0..bytes.size()).collect())
            }
            Err(error) => return Err(told(error)),
        };
        let salvaged = salvage(&bytes, &ranges);
        let (found, lost) = (salvaged.members(), directory.is_none());
        let same_names = directory.as_ref().is_some_and(ZipArchive::has_duplicate_names);
        let what = if found == 1 { "member was" } else { "members were" };
        let how = format!("{found} {what} found by the headers in front of them");
        match (lost, found) {
            (true, _) => account.continued(&how),
            (false, 0) if same_names => {
                account.fault("members have the same name: only the last of each is read".into());
            }
            (false, 0) => {}
            (false, _) if same_names => {
                account.note(format!("of members with the same name {how}"));
            }
            (false, _) => account.fault(format!("its directory does not tell of all: {how}")),
        }
        for fault in &salvaged.faults {
            account.fault(fault.clone());
        }
        let mut archives = Vec::new();
        if let Some(zip) = directory {
            archives.push(Part::new(source, zip, Arc::clone(&bytes), false));
        }
        if found > 0 {
            let bytes = salvaged.archive(bytes);
            match open(Arc::clone(&bytes)) {
                Ok(zip) => archives.push(Part::new(source, zip, bytes, true)),
                // What the directory tells of is read all the same.
                Err(error) => account.fault(format!("members without it cannot be read: {error}")),
            }
        }
        let logs = archives.iter().fold(0, |sum: u64, part| sum.saturating_add(part.logs()));
        Ok(Members { archives, which: 0, next: 0, logs })
    }

    /// Whether it is a disk image: AFF4 Standard 1.0, 3: these describe the container.
    pub(super) fn is_aff4(&self) -> bool {
        let has =
            |name| self.archives.iter().any(|part| part.archive.zip.index_for_name(name).is_some());
        has("container.description") && has("information.turtle")
    }

    pub(super) fn next(&mut self, source: &Source, account: &mut Account) -> Option<Found> {
        loop {
            let part = self.archives.get(self.which)?;
            if self.next >= part.archive.zip.len() {
                (self.which, self.next) = (self.which + 1, 0);
                continue;
            }
            self.next += 1;
            if let Some(found) = part.member(self.next - 1, source, account, &mut self.logs) {
                return Some(found);
            }
            if account.ended() {
                return None;
            }
        }
    }
}

impl Part {
    fn new(
        source: &Source,
        zip: ZipArchive<Cursor>,
        bytes: Arc<dyn ReadAt>,
        salvaged: bool,
    ) -> Part {
        let (access, name) = (source.access().clone(), source.name().to_owned());
        let archive = Archive { zip, bytes, access, name, passwords: Mutex::default() };
        archive.unlock();
        let collected = archive.collected();
        Part { archive: Arc::new(archive), collected, salvaged }
    }

    /// How many bytes its logs have.
    fn logs(&self) -> u64 {
        (0..self.archive.zip.len())
            .filter_map(|index| self.archive.zip.by_index_data(index).ok())
            .filter(|entry| is_log(entry.name_raw()))
            .fold(0, |sum: u64, entry| sum.saturating_add(entry.size()))
    }

    /// A member, if it is to be handed on; takes it from the `logs` that are still to come.
    fn member(
        &self,
        index: usize,
        source: &Source,
        account: &mut Account,
        logs: &mut u64,
    ) -> Option<Found> {
        let entry = match self.archive.zip.by_index_data(index) {
            Ok(entry) => entry,
            Err(error) => {
                account.fault(format!("member {index} cannot be read: {error}"));
                return None;
            }
        };
        if is_log(entry.name_raw()) {
            *logs = logs.saturating_sub(entry.size());
        }
        if entry.is_dir() {
            return None;
        }
        let name = entry.name().map_or_else(|_| format!("member {index}"), |n| n.into_owned());
        let told = self.collected.of(&name);
        let name = within(source.name(), &name);
        if entry.is_symlink() {
            account.members += 1;
            return Some(Found::Link { name });
        }
        if entry.encrypted() && self.archive.is_locked(index) {
            account.encrypted += 1;
            return None;
        }
        if !admit(source, entry.size(), account) {
            return None;
        }
        let member = source.zipped(name, entry.size(), &self.archive, index, *logs);
        let notes = self.salvaged.then(|| SALVAGED.to_owned()).into_iter().collect();
        let member = member.with_notes(notes).told(source.name(), &told);
        account.lost_holes(&member, &told);
        Some(Found::Source(member))
    }
}

/// A local header and what may stand between two members: a descriptor (APPNOTE.TXT 4.3.9).
const LEAST: u64 = 30;

/// The parts of an archive that no member of its directory is in, up to the directory; what header and
/// directory say of a member has to be the same.
fn gaps(
    zip: &ZipArchive<Cursor>,
    bytes: &Arc<dyn ReadAt>,
    account: &mut Account,
) -> Vec<Range<u64>> {
    let mut members = Vec::new();
    for index in 0..zip.len() {
        let Ok(entry) = zip.by_index_data(index) else { continue };
        let start = entry.header_start();
        // Who reads the member tells what is wrong with its header.
        let Ok(Some(local)) = Local::read(&**bytes, start, false) else { continue };
        let (packed, size) = (entry.compressed_size(), entry.size());
        let told = (local.packed, local.size, local.crc);
        // Of what is encrypted anew the header may keep no checksum.
        let same = told == (packed, size, local.crc)
            && (local.crc == entry.crc32() || local.flags & ENCRYPTED != 0);
        let stored = entry.compression() == CompressionMethod::Stored && !entry.encrypted();
        if local.flags & BY_DESCRIPTOR == 0 && !same || stored && packed != size {
            let name = entry.name().map_or_else(|_| format!("member {index}"), |n| n.into_owned());
            account.fault(format!("{name}: its header and the directory do not agree"));
        }
        members.push((start, local.content.saturating_add(packed)));
    }
    members.sort_unstable();
    let end = zip.central_directory_start();
    let mut gaps = Vec::new();
    let mut at = 0;
    for (start, next) in members.into_iter().chain([(end, end)]) {
        if start.saturating_sub(at) >= LEAST {
            gaps.push(at..start);
        }
        at = at.max(next);
    }
    gaps
}
