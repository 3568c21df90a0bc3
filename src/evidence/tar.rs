//! Tar archives: as they are, and coming out of a decoder.
//!
//! Uncompressed, a member is a part of the archive's bytes. Compressed, members come one after the
//! other, and each that is of use is kept until it was read.
//!
//! The `tar` crate's iterator borrows the archive; here each step makes a new one where the next
//! member's headers begin, which the crate takes for the beginning of an archive.
//!
//! An archive has no directory. Whether it holds a collection, and what that says of its files, is
//! looked for by going through all of it once more, when a path is met that may be of one.

use super::claim;
use super::collection::{Collected, Told};
use super::inside::{Account, admit, kept, most, within};
use super::layout::LONGEST;
use super::sniff::{self, SNIFFED};
use super::source::{Source, State};
use super::spool::fill;
use super::stream::{self, Codec};
use super::walk::Found;
use super::window::{Cursor, Window};
use crate::bytes::{self, ReadAt};
use std::{
    collections::HashMap,
    io::{self, Read, Seek, SeekFrom},
    sync::Arc,
};
use tar::EntryType;

/// Members begin at multiples of this (POSIX.1-2017, pax, ustar Interchange Format).
const BLOCK: u64 = 512;

/// What a member's headers say.
struct Header {
    name: String,
    size: u64,
    kind: Member,
    /// Where the content begins, from where the headers did.
    content: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Member {
    File,
    /// Its content is not in one piece.
    Sparse,
    Link,
    Special,
    Other,
}

fn header<R: Read>(entry: &tar::Entry<'_, R>) -> Header {
    let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    let kind = match entry.header().entry_type() {
        EntryType::Regular | EntryType::Continuous => Member::File,
        EntryType::GNUSparse => Member::Sparse,
        EntryType::Link | EntryType::Symlink => Member::Link,
        EntryType::Char | EntryType::Block | EntryType::Fifo => Member::Special,
        _ => Member::Other,
    };
    Header { name, size: entry.size(), kind, content: entry.raw_file_position() }
}

/// How much is kept of the files that tell of others, all together.
const ALL_TEXT: usize = 64 << 20;

/// What the collections in an archive say of their files.
fn collected<R: Read>(archive: &str, entries: tar::Entries<'_, R>) -> Collected {
    let mut left = ALL_TEXT;
    let mut paths = Vec::new();
    let mut texts = HashMap::new();
    // What is damaged is told when its members are read.
    for mut entry in entries.map_while(Result::ok) {
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if !Collected::hinted(&path) {
            continue;
        }
        let size = usize::try_from(entry.size()).unwrap_or(usize::MAX);
        if Collected::tells(&path) && size <= LONGEST.min(left) {
            let mut text = vec![0; size];
            let (n, read) = fill(&mut entry, &mut text);
            if read.is_ok() && n == size {
                left -= size;
                texts.insert(path.clone(), text);
            }
        }
        paths.push(path);
    }
    let paths = paths.iter().map(String::as_str);
    Collected::gather(archive, paths, |path| texts.get(path).cloned())
}

/// What is known of the collections in an archive, looked for when it is needed.
#[derive(Default)]
struct Known(Option<Collected>);

impl Known {
    fn of(&mut self, path: &str, look: impl FnOnce() -> Collected) -> Told {
        if self.0.is_none() && !Collected::hinted(path) {
            return Told::default();
        }
        self.0.get_or_insert_with(look).of(path)
    }
}

/// The members of an archive that can be read at positions.
pub(super) struct Members {
    bytes: Arc<dyn ReadAt>,
    at: u64,
    /// Whether it ends within a member.
    cut: bool,
    known: Known,
}

impl Members {
    pub(super) fn open(bytes: Arc<dyn ReadAt>) -> io::Result<Members> {
        Ok(Members { bytes, at: 0, cut: false, known: Known::default() })
    }

    fn told(&mut self, path: &str, source: &Source) -> Told {
        let bytes = &self.bytes;
        self.known.of(path, || {
            let mut archive = tar::Archive::new(Cursor::new(Arc::clone(bytes)));
            let entries = archive.entries_with_seek();
            entries.map_or_else(|_| Collected::default(), |all| collected(source.name(), all))
        })
    }

    /// The next place from here on where a member's header is whole.
    fn resume(&self) -> io::Result<Option<u64>> {
        let mut cursor = Cursor::new(Arc::clone(&self.bytes));
        let from = self.at.saturating_add(BLOCK);
        cursor.seek(SeekFrom::Start(from))?;
        Ok(next_header(&mut cursor)?.map(|(skipped, _)| from.saturating_add(skipped)))
    }

    pub(super) fn next(&mut self, source: &Source, account: &mut Account) -> Option<Found> {
        loop {
            let mut cursor = Cursor::new(Arc::clone(&self.bytes));
            let step = cursor.seek(SeekFrom::Start(self.at)).and_then(|_| {
                let mut archive = tar::Archive::new(&mut cursor);
                let Some(entry) = archive.entries()?.next() else { return Ok(None) };
                let mut entry = entry?;
                let header = header(&entry);
                let sparse = (header.kind == Member::Sparse).then(|| {
                    kept(&mut entry, header.size.min(most(source.size())), source.access())
                });
                Ok(Some((header, sparse)))
            });
            let (header, sparse) = match step {
                Ok(Some(step)) => step,
                Ok(None) => match self.resume() {
                    Ok(Some(next)) => {
                        account.fault(format!("ends at offset {} and goes on at {next}", self.at));
                        self.at = next;
                        continue;
                    }
                    Ok(None) => {
                        if !self.cut {
                            ended(self.at, self.bytes.size(), account);
                        }
                        return None;
                    }
                    Err(error) => {
                        let at = self.at;
                        account
                            .fault(format!("what follows its end at {at} cannot be read: {error}"));
                        return None;
                    }
                },
                Err(error) => {
                    // That what follows cannot be read either says nothing more.
                    let next = self.resume().unwrap_or_default();
                    let goes_on = next.map_or_else(String::new, |at| format!("; goes on at {at}"));
                    account.fault(format!("at offset {}: {}{goes_on}", self.at, faulty(&error)));
                    self.at = next?;
                    continue;
                }
            };
            let content = self.at.saturating_add(header.content);
            let end = match sparse {
                // The crate has read it to its end.
                Some(_) => cursor.stream_position().unwrap_or(u64::MAX),
                None => content.saturating_add(header.size),
            };
            let next = end.div_ceil(BLOCK).saturating_mul(BLOCK);
            if next <= self.at {
                account.fault(format!("at offset {}: it leads back", self.at));
                return None;
            }
            self.at = next;
            if header.kind == Member::File && end > self.bytes.size() {
                self.cut = true;
                account.fault(format!("it is cut off within {}", header.name));
            }
            let told = self.told(&header.name, source);
            let plain = || -> Arc<dyn ReadAt> {
                Arc::new(Window::new(Arc::clone(&self.bytes), content, header.size))
            };
            let bytes = || sparse.clone().unwrap_or_else(plain);
            if let Some(found) = found(&header, &told, source, account, bytes) {
                return Some(found);
            }
        }
    }
}

/// Whether a block is a header in the midst of bytes: it says so and its checksum fits.
fn is_header(block: &[u8; 512]) -> bool {
    bytes::slice(block, 257, 5) == Some(b"ustar") && sniff::is_tar_header(block)
}

/// Reads on to the next block that is a header; how much was skipped before it.
fn next_header(from: &mut dyn Read) -> io::Result<Option<(u64, [u8; 512])>> {
    let mut skipped = 0;
    loop {
        let mut block = [0; 512];
        let (n, read) = fill(from, &mut block);
        read?;
        if n < block.len() {
            return Ok(None);
        }
        if is_header(&block) {
            return Ok(Some((skipped, block)));
        }
        skipped += BLOCK;
    }
}

/// What is wrong where a header should be. What the crate says of one is about digits; a decoder and a
/// medium say it otherwise.
fn faulty(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::Other => "a header is damaged".to_owned(),
        _ => error.to_string(),
    }
}

/// What is handed on of a member.
fn found(
    header: &Header,
    told: &Told,
    source: &Source,
    account: &mut Account,
    bytes: impl FnOnce() -> Arc<dyn ReadAt>,
) -> Option<Found> {
    let name = within(source.name(), &header.name);
    match header.kind {
        Member::Other => return None,
        Member::Link | Member::Special => account.members += 1,
        Member::File | Member::Sparse => {}
    }
    match header.kind {
        Member::Link => Some(Found::Link { name }),
        Member::Special => Some(Found::Special { name }),
        _ if !admit(source, header.size, account) => None,
        _ => {
            let member = source.within(name, bytes(), State::Live).told(source.name(), told);
            account.lost_holes(&member, told);
            Some(Found::Source(member))
        }
    }
}

/// An archive ends with blocks of zeros (POSIX.1-2017, pax, ustar Interchange Format). One that does not
/// was cut off, maybe between two members, or whoever wrote it was stopped: how much is missing nobody
/// knows. GNU tar is silent about that; whoever looks for what is not there must not be.
fn ended(at: u64, size: u64, account: &mut Account) {
    if !size.is_multiple_of(BLOCK) {
        account.fault("it is cut off".to_owned());
    } else if at >= size {
        let after = account.members;
        account.fault(format!("it has no end mark: it is cut off after {after} files, or whole"));
    }
}

/// The members of an archive that comes out of a decoder.
pub(super) struct Stream {
    bytes: Arc<dyn ReadAt>,
    codec: Codec,
    from: Counted,
    known: Known,
}

struct Counted {
    from: Box<dyn Read + Send>,
    at: u64,
}

impl Read for Counted {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buf)?;
        self.at = self.at.saturating_add(n as u64);
        Ok(n)
    }
}

impl Stream {
    pub(super) fn open(bytes: Arc<dyn ReadAt>, codec: Codec) -> io::Result<Stream> {
        let from = Counted { from: stream::decoder(Arc::clone(&bytes), codec)?, at: 0 };
        Ok(Stream { bytes, codec, from, known: Known::default() })
    }

    /// Goes on to the next member's headers.
    fn align(&mut self) -> io::Result<()> {
        let over = self.from.at % BLOCK;
        if over > 0 {
            io::copy(&mut (&mut self.from).take(BLOCK - over), &mut io::sink())?;
        }
        Ok(())
    }

    /// Goes on to the next header that is whole, if there is one.
    fn resume(&mut self) -> io::Result<bool> {
        self.align()?;
        let Some((_, block)) = next_header(&mut self.from)? else { return Ok(false) };
        let rest = std::mem::replace(&mut self.from.from, Box::new(io::empty()));
        self.from.from = Box::new(io::Cursor::new(block).chain(rest));
        self.from.at = self.from.at.saturating_sub(BLOCK);
        Ok(true)
    }

    pub(super) fn next(&mut self, source: &Source, account: &mut Account) -> Option<Found> {
        loop {
            match self.step(source, account) {
                Ok(Step::Found(found)) => return Some(found),
                Ok(Step::Skipped) if !account.ended() => {}
                Ok(_) => return None,
                Err(error) => {
                    let at = self.from.at;
                    let goes_on = self.resume().unwrap_or(false);
                    let next = if goes_on { "; goes on behind it" } else { "" };
                    let what = faulty(&error);
                    account.fault(format!("at {at} bytes of what it unpacks to: {what}{next}"));
                    if !goes_on {
                        return None;
                    }
                }
            }
        }
    }

    fn step(&mut self, source: &Source, account: &mut Account) -> io::Result<Step> {
        self.align()?;
        let begun = self.from.at;
        let mut archive = tar::Archive::new(&mut self.from);
        let Some(entry) = archive.entries()?.next() else {
            let ended_at = self.from.at;
            if self.resume()? {
                account
                    .fault(format!("ends at {ended_at} bytes of what it unpacks to, and goes on"));
                return Ok(Step::Skipped);
            }
            // The decoder's checksum stands behind its last byte.
            io::copy(&mut self.from, &mut io::sink())?;
            ended(begun, self.from.at, account);
            return Ok(Step::End);
        };
        let mut entry = entry?;
        let header = header(&entry);
        let (packed, codec) = (&self.bytes, self.codec);
        let told = self.known.of(&header.name, || {
            let decoder = stream::decoder(Arc::clone(packed), codec);
            let mut archive = tar::Archive::new(decoder.unwrap_or_else(|_| Box::new(io::empty())));
            let entries = archive.entries();
            entries.map_or_else(|_| Collected::default(), |all| collected(source.name(), all))
        });
        let mut bytes: Arc<dyn ReadAt> = Arc::new(Vec::new());
        // Of which not all is kept.
        let mut size = None;
        if matches!(header.kind, Member::File | Member::Sparse) {
            let mut start = vec![0; SNIFFED];
            let (n, read) = fill(&mut entry, &mut start);
            start.truncate(n);
            // What is of no use is not kept: its start says as much.
            if read.is_err() || !claim::is_of_use(&start, &header.name) {
                read?;
                io::copy(&mut entry, &mut io::sink())?;
                bytes = Arc::new(start);
                size = Some(header.size);
            } else {
                let mut all = start.as_slice().chain(&mut entry);
                bytes = kept(&mut all, most(source.size()), source.access());
            }
        }
        let found = match (found(&header, &told, source, account, || bytes), size) {
            (Some(Found::Source(member)), Some(size)) => Some(Found::Source(member.sized(size))),
            (found, _) => found,
        };
        Ok(found.map_or(Step::Skipped, Step::Found))
    }
}

enum Step {
    Found(Found),
    Skipped,
    End,
}
