//! 7z archives.
//!
//! What the crate decodes comes as calls, block by block, and a block's members one after the other;
//! a solid archive is one block. A thread of its own makes these calls and hands on a member at a
//! time; it ends when nobody wants more.

use super::access::{Access, Locked};
use super::claim;
use super::collection::Collected;
use super::inside::{Account, admit, kept, most, within};
use super::layout::LONGEST;
use super::sniff::SNIFFED;
use super::source::{Source, State};
use super::spool::fill;
use super::stream::Decoded;
use super::walk::Found;
use super::window::Cursor;
use crate::bytes::{self, ReadAt};
use sevenz_rust2::{Archive, ArchiveEntry, BlockDecoder, Error, Password};
use std::{
    collections::{BTreeSet, HashMap},
    io::{self, Read},
    sync::{Arc, mpsc},
};

/// The longest directory that is read: a million members have some 100 MB. The crate takes as much
/// memory as the archive says.
const DIRECTORY: u64 = 256 << 20;

/// The largest block of which the start is decoded to see whether a password fits, when nothing but
/// its checksum tells.
const TRIED: u64 = 4 << 20;

/// The members of an archive, from the thread that decodes it.
pub(super) struct Members {
    from: mpsc::Receiver<Member>,
    collected: Collected,
    ended: bool,
}

enum Member {
    Link(String),
    File {
        name: String,
        size: u64,
        bytes: Arc<dyn ReadAt>,
    },
    /// The rest of a block cannot be decoded.
    Fault(String),
    Locked(u64),
    /// All was decoded. Without this the thread failed: nothing of what comes is known then.
    End,
}

impl Members {
    /// Opens an archive. An encrypted directory needs the password.
    pub(super) fn open(source: &Source, bytes: &Arc<dyn ReadAt>) -> io::Result<Members> {
        let mut start = [0; 32];
        bytes.read_at(0, &mut start)?;
        // 7zFormat.txt, StartHeader: where the directory is, behind these 32 bytes, and how long.
        let (at, length) = (bytes::u64(&start, 12), bytes::u64(&start, 20));
        let (at, length) = at.zip(length).unwrap_or((0, u64::MAX));
        let end = at.saturating_add(32).saturating_add(length);
        if length > DIRECTORY || end > bytes.size() {
            return Err(invalid("its directory is not there: it is cut off or damaged".to_owned()));
        }
        let (archive, password) = directory(source, bytes)?;
        let (to, from) = mpsc::sync_channel(1);
        let (bytes, access) = (Arc::clone(bytes), source.access().clone());
        let limit = most(source.size());
        let collected = collected(source.name(), &archive, &password, &bytes, limit);
        let work = move || decode(&archive, &password, &bytes, limit, &access, &to);
        std::thread::Builder::new().name("7z".to_owned()).spawn(work)?;
        Ok(Members { from, collected, ended: false })
    }

    pub(super) fn next(&mut self, source: &Source, account: &mut Account) -> Option<Found> {
        while !self.ended {
            let member = self.from.recv().unwrap_or_else(|_| {
                self.ended = true;
                Member::Fault("its decoder failed: what comes behind is not known".to_owned())
            });
            let (name, size, bytes) = match member {
                Member::End => {
                    self.ended = true;
                    continue;
                }
                Member::File { name, size, bytes } => (name, size, bytes),
                Member::Link(name) => {
                    account.members += 1;
                    return Some(Found::Link { name: within(source.name(), &name) });
                }
                Member::Fault(what) => {
                    account.fault(what);
                    continue;
                }
                Member::Locked(members) => {
                    account.encrypted += members;
                    continue;
                }
            };
            if !admit(source, size, account) {
                return None;
            }
            let told = self.collected.of(&name);
            let name = within(source.name(), &name);
            let member = source.within(name, bytes, State::Live).told(source.name(), &told);
            account.lost_holes(&member, &told);
            return Some(Found::Source(member));
        }
        None
    }
}

/// The archive's directory, and the password of what is in it.
fn directory(source: &Source, bytes: &Arc<dyn ReadAt>) -> io::Result<(Archive, Password)> {
    let read = |password: &Password| Archive::read(&mut Cursor::new(Arc::clone(bytes)), password);
    let archive = match read(&Password::empty()) {
        Ok(archive) => Some(archive),
        Err(Error::PasswordRequired | Error::MaybeBadPassword(_)) => None,
        Err(error) => return Err(told(error)),
    };
    let Some(archive) = archive else {
        let mut found = None;
        let password = source.access().password(source.name(), |password| {
            found = read(&Password::from(password)).ok();
            found.is_some()
        });
        let Some((archive, password)) = found.zip(password) else {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, Locked));
        };
        return Ok((archive, Password::from(password.as_str())));
    };
    // The directory is plain; blocks may be encrypted nevertheless.
    let encrypted = (0..archive.blocks.len()).filter(|block| is_encrypted(&archive, *block));
    let size =
        |block: &usize| archive.blocks.get(*block).map_or(0, |block| block.get_unpack_size());
    let Some(smallest) = encrypted.min_by_key(size) else {
        return Ok((archive, Password::empty()));
    };
    let fits = |password: &str| fits(&archive, smallest, &Password::from(password), bytes);
    let password = source.access().password(source.name(), fits);
    let password =
        password.map_or_else(Password::empty, |password| Password::from(password.as_str()));
    Ok((archive, password))
}

/// In an archive of more blocks than this all have one password. To make a key of one takes half a
/// million rounds of SHA-256; who adds to an archive with another password makes a block or a few.
const BLOCKS_TRIED: usize = 64;

/// 7zFormat.txt, the method 7zAES.
const AES: &[u8] = &[0x06, 0xf1, 0x07, 0x01];

fn is_encrypted(archive: &Archive, block: usize) -> bool {
    let coders = archive.blocks.get(block).map(|block| block.coders.as_slice());
    coders.unwrap_or(&[]).iter().any(|coder| coder.encoder_method_id() == AES)
}

/// The password of a block. Blocks that were added later may have another than the rest.
fn password_of(
    archive: &Archive,
    block: usize,
    usual: &Password,
    bytes: &Arc<dyn ReadAt>,
    access: &Access,
) -> Option<Password> {
    let usual = || Some(usual.clone()).filter(|usual| !usual.is_empty());
    if !is_encrypted(archive, block) {
        return Some(usual().unwrap_or_else(Password::empty));
    }
    if !(2..=BLOCKS_TRIED).contains(&archive.blocks.len()) {
        return usual();
    }
    if let Some(password) = usual().filter(|password| fits(archive, block, password, bytes)) {
        return Some(password);
    }
    let fits = |password: &str| fits(archive, block, &Password::from(password), bytes);
    let found = access.known(fits).map(|password| Password::from(password.as_str()));
    // It may be damaged: decoding it tells.
    found.or_else(usual)
}

/// Whether a block can be decoded with this password: its first member is, as far as that is short.
fn fits(archive: &Archive, block: usize, password: &Password, bytes: &Arc<dyn ReadAt>) -> bool {
    let mut from = Cursor::new(Arc::clone(bytes));
    let mut good = false;
    let decoded = BlockDecoder::new(1, block, archive, password, &mut from).for_each_entries(
        &mut |entry: &ArchiveEntry, reader: &mut dyn Read| {
            if entry.size == 0 {
                return Ok(true);
            }
            io::copy(&mut reader.take(TRIED), &mut io::sink())?;
            good = true;
            Ok(false)
        },
    );
    decoded.is_ok() && good
}

/// How much is kept of the files that tell of others, all together.
const ALL_TEXT: usize = 64 << 20;

/// What the collections in an archive say of their files. The blocks that such files are in are decoded
/// for it, up to `limit` bytes.
fn collected(
    name: &str,
    archive: &Archive,
    password: &Password,
    bytes: &Arc<dyn ReadAt>,
    limit: u64,
) -> Collected {
    let paths = archive.files.iter().map(|entry| entry.name.as_str());
    let paths: Vec<&str> = paths.filter(|path| Collected::hinted(path)).collect();
    if paths.is_empty() {
        return Collected::default();
    }
    let in_block = archive.files.iter().zip(&archive.stream_map.file_block_index);
    let wanted: BTreeSet<usize> = in_block
        .filter(|(entry, _)| Collected::tells(&entry.name))
        .filter_map(|(_, block)| *block)
        .collect();
    let mut from = Cursor::new(Arc::clone(bytes));
    let (mut left, mut limit) = (ALL_TEXT, limit);
    let mut texts = HashMap::new();
    for block in wanted {
        let decoder = BlockDecoder::new(1, block, archive, password, &mut from);
        // What is damaged is told when the members are read.
        let _ = decoder.for_each_entries(&mut |entry: &ArchiveEntry, reader: &mut dyn Read| {
            let size = usize::try_from(entry.size).unwrap_or(usize::MAX);
            if Collected::tells(&entry.name) && size <= LONGEST.min(left) {
                let mut text = vec![0; size];
                let (n, read) = fill(reader, &mut text);
                if read.is_ok() && n == size {
                    left -= size;
                    texts.insert(entry.name.clone(), text);
                }
            }
            limit = limit.saturating_sub(entry.size);
            Ok(limit > 0)
        });
    }
    Collected::gather(name, paths.into_iter(), |path| texts.get(path).cloned())
}

/// Decodes all blocks and hands on what is in them, until nobody wants more.
fn decode(
    archive: &Archive,
    password: &Password,
    bytes: &Arc<dyn ReadAt>,
    limit: u64,
    access: &Access,
    to: &mpsc::SyncSender<Member>,
) {
    let mut from = Cursor::new(Arc::clone(bytes));
    let mut left = limit;
    for block in 0..archive.blocks.len() {
        let entries = BlockDecoder::new(1, block, archive, password, &mut from).entry_count();
        let Some(password) = password_of(archive, block, password, bytes, access) else {
            if to.send(Member::Locked(entries as u64)).is_err() {
                return;
            }
            continue;
        };
        let decoder = BlockDecoder::new(1, block, archive, &password, &mut from);
        let mut gone = false;
        let mut name = String::new();
        let decoded =
            decoder.for_each_entries(&mut |entry: &ArchiveEntry, reader: &mut dyn Read| {
                name.clone_from(&entry.name);
                let Some(member) = member(entry, reader, &mut left, access)? else {
                    return Ok(true);
                };
                gone = to.send(member).is_err();
                Ok(!gone && left > 0)
            });
        if gone {
            return;
        }
        if left == 0 {
            // Whoever takes the members tells it too if they are more than the limit, not if they are
            // just as much.
            let what = format!("unpacks to {limit} bytes, the limit: what comes behind is left");
            let _ = to.send(Member::Fault(what)).and_then(|()| to.send(Member::End));
            return;
        }
        if let Err(error) = decoded {
            let what = format!("cannot be decoded from {name} on: {}", told(error));
            if to.send(Member::Fault(what)).is_err() {
                return;
            }
        }
    }
    // What has no bytes is in no block.
    for (entry, block) in archive.files.iter().zip(&archive.stream_map.file_block_index) {
        if block.is_none()
            && !entry.is_directory
            && !entry.is_anti_item
            && to.send(file(&entry.name, 0, Arc::new(Vec::new()))).is_err()
        {
            return;
        }
    }
    // Whether anybody still listens does not matter.
    let _ = to.send(Member::End);
}

fn file(name: &str, size: u64, bytes: Arc<dyn ReadAt>) -> Member {
    Member::File { name: name.to_owned(), size, bytes }
}

/// `FILE_ATTRIBUTE_REPARSE_POINT`, and what p7zip puts in the upper half on other systems: the mode,
/// whose type is that of a link.
fn is_link(attributes: u32) -> bool {
    attributes & 0x400 != 0 || (attributes & 0x8000 != 0 && attributes >> 28 == 0o12)
}

/// A member, kept if it is of use.
fn member(
    entry: &ArchiveEntry,
    reader: &mut dyn Read,
    left: &mut u64,
    access: &Access,
) -> Result<Option<Member>, Error> {
    if entry.is_directory || entry.is_anti_item {
        return Ok(None);
    }
    if entry.has_windows_attributes && is_link(entry.windows_attributes) {
        return Ok(Some(Member::Link(entry.name.clone())));
    }
    let mut reader = Decoded::new(reader, "what is packed");
    let mut start = vec![0; SNIFFED];
    let (n, read) = fill(&mut reader, &mut start);
    start.truncate(n);
    *left = left.saturating_sub(entry.size);
    if !claim::is_of_use(&start, &entry.name) {
        read?;
        return Ok(Some(file(&entry.name, entry.size, Arc::new(start))));
    }
    // A fault in it stands at its end.
    let mut all = start.as_slice().chain(reader);
    Ok(Some(file(&entry.name, entry.size, kept(&mut all, entry.size, access))))
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn told(error: Error) -> io::Error {
    match error {
        Error::PasswordRequired => io::Error::new(io::ErrorKind::PermissionDenied, Locked),
        Error::MaybeBadPassword(_) => {
            invalid("it is damaged, or no password that is known fits".to_owned())
        }
        Error::Io(error, _) => error,
        Error::UnsupportedCompressionMethod(method) => {
            io::Error::new(io::ErrorKind::Unsupported, format!("packed with {method}"))
        }
        Error::MaxMemLimited { .. } => invalid("unpacking it takes too much memory".to_owned()),
        Error::ChecksumVerificationFailed | Error::NextHeaderCrcMismatch => {
            invalid("a checksum does not fit: it is damaged".to_owned())
        }
        Error::Other(what) | Error::Unsupported(what) => invalid(what.into_owned()),
        error => invalid(format!("it is damaged ({error:?})")),
    }
}
