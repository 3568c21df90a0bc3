//! What is in a container, one after the other, and what is to be said of the container.
//!
//! Members come in the order of the container: that of an archive's directory or stream. After the
//! last comes the container itself, [`Found::Container`], with what could not be read of it.
//!
//! Invariants:
//! - Nothing is unpacked to a name, so a member's name, whatever it is, is only shown.
//! - How much is unpacked is bounded, and by the container alone ([`Limits`]): what is beyond is said.

use super::access::{Access, Locked};
use super::collection::Told;
use super::layout;
use super::sniff::Format;
use super::source::Source;
use super::stream::Codec;
use super::walk::Found;
use super::{disk, sevenz, stream, tar, zip};
use crate::bytes::ReadAt;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// How many containers may lie one in the other: an encrypted collection of a host's image in an
/// archive has five. More is a trap.
pub const DEPTH: u8 = 8;

/// How much may come out of a container with all that is in it, at least: no real collection that is
/// small unpacks to more, and a trap is over in a minute.
pub const UNPACKED: u64 = 16 << 30;

/// And how many times its size: logs that are half empty are packed to a fiftieth.
pub const UNPACKED_RATIO: u64 = 128;

/// What is said of a container that lies deeper.
pub(super) const TOO_DEEP: &str =
    "a container in more than eight others: unpack it and hunt in the folder";

/// So many faults of one container are told; the rest are counted.
const FAULTS: usize = 4;

/// How much may still be unpacked. The members of a container are counted as they are handed out, one
/// after the other, so what is let through does not depend on threads.
pub(super) struct Limits {
    left: AtomicU64,
}

impl Limits {
    fn new(size: u64) -> Limits {
        Limits { left: AtomicU64::new(most(size)) }
    }

    fn take(&self, bytes: u64) -> bool {
        let left = self.left.load(Ordering::Relaxed);
        let rest = left.checked_sub(bytes);
        if let Some(rest) = rest {
            self.left.store(rest, Ordering::Relaxed);
        }
        rest.is_some()
    }
}

/// How much may come out of something of this size.
pub(super) fn most(size: u64) -> u64 {
    UNPACKED.max(size.saturating_mul(UNPACKED_RATIO))
}

/// What became of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All that is in it was handed on.
    Read,
    /// Some of it was, some is damaged or beyond a limit.
    Damaged,
    /// Nothing of it could be read.
    Unreadable,
    /// Members of it are encrypted, and no password fits.
    Encrypted,
}

/// A container whose members were all handed on.
#[derive(Debug, Clone)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its size.
    pub size: u64,
    /// What it is: `zip`, `tar`.
    pub format: &'static str,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, if it is not `Read`.
    pub reason: Option<String>,
    /// What else is to be known of it.
    pub notes: Vec<String>,
    /// How many snapshots (volume shadow copies) it has, which were not looked into.
    pub shadow_copies: u64,
}

/// What there is to say of a container, while it is read.
#[derive(Default)]
pub(super) struct Account {
    faults: Vec<String>,
    more_faults: u64,
    /// Whether no password fits the whole of it.
    locked: bool,
    /// Members that no password fits.
    pub(super) encrypted: u64,
    /// Members that were handed out.
    pub(super) members: u64,
    notes: Vec<String>,
    /// Snapshots of volumes.
    pub(super) shadow_copies: u64,
    ended: bool,
}

impl Account {
    /// Notes that something of it could not be read. What is there for a reason that is told says
    /// nothing more.
    pub(super) fn fault(&mut self, what: String) {
        let reason = |known: &String| {
            let before = what.strip_suffix(known.as_str());
            before.is_some_and(|before| before.is_empty() || before.ends_with(": "))
        };
        if self.faults.iter().any(reason) {
            return;
        }
        if self.faults.len() < FAULTS { self.faults.push(what) } else { self.more_faults += 1 }
    }

    /// Notes that it does not begin as its name says that it would, before all else.
    fn misbegun(&mut self, format: Format) {
        self.faults.insert(0, format!("it does not begin like a {} archive", format.name()));
    }

    /// Says more of the fault that was noted last.
    pub(super) fn continued(&mut self, what: &str) {
        if let Some(last) = self.faults.last_mut() {
            last.push_str(": ");
            last.push_str(what);
        }
    }

    /// Notes something that is no fault.
    pub(super) fn note(&mut self, what: String) {
        self.notes.push(what);
    }

    /// Notes that nobody knows where the holes of a log were.
    pub(super) fn lost_holes(&mut self, member: &Source, told: &Told) {
        if member.claims_to_be_a_log()
            && let Some(what) = told.fault()
        {
            self.fault(format!("{}: {what}", member.name()));
        }
    }

    /// Nothing more is handed out.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    fn close(&mut self, source: &Source, format: Format) -> Container {
        let mut reasons = std::mem::take(&mut self.faults);
        if self.more_faults > 0 {
            reasons.push(format!("{} more faults", self.more_faults));
        }
        let outcome = match (self.encrypted, reasons.is_empty(), self.members) {
            _ if self.locked => Outcome::Encrypted,
            (1.., ..) => Outcome::Encrypted,
            (0, true, _) => Outcome::Read,
            (0, false, 0) => Outcome::Unreadable,
            (0, false, _) => Outcome::Damaged,
        };
        if self.encrypted > 0 {
            let (n, what) = (self.encrypted, "encrypted and no password that is known fits");
            let many = if n == 1 { "member is" } else { "members are" };
            reasons.insert(0, format!("{n} {many} {what}: give it with --password-file"));
        }
        Container {
            name: source.name().to_owned(),
            size: source.size(),
            format: format.name(),
            outcome,
            reason: (!reasons.is_empty()).then(|| reasons.join("; ")),
            notes: std::mem::take(&mut self.notes),
            shadow_copies: self.shadow_copies,
        }
    }
}

/// What is in a container: an iterator over it.
pub struct Inside {
    source: Source,
    format: Format,
    members: Members,
    account: Account,
    closed: bool,
    /// Its bytes, if they are those of an archive: all of them are read on the way, so that it costs
    /// little to ask at the end whether all was well.
    bytes: Option<Arc<dyn ReadAt>>,
    /// How it is laid out, if it is a disk.
    layout: Option<disk::Layout>,
}

impl std::fmt::Debug for Inside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inside").field("source", &self.source).finish_non_exhaustive()
    }
}

/// By the container's format.
enum Members {
    None,
    One(Option<Source>),
    Zip(zip::Members),
    SevenZip(sevenz::Members),
    Disk(disk::Members),
    Tar(tar::Members),
    TarStream(tar::Stream),
}

impl Inside {
    /// Opens a container; what it is if nothing in it can be looked at.
    pub(super) fn open(
        source: &Source,
        format: Format,
        bytes: Arc<dyn ReadAt>,
    ) -> Result<Inside, &'static str> {
        let limits = source.limits().cloned();
        let limits = limits.unwrap_or_else(|| Arc::new(Limits::new(bytes.size())));
        let host = match source.host() {
            Some(_) => None,
            None => source.name().rsplit(['/', '\\', '!']).next().and_then(layout::host_by_uac),
        };
        let source = source.clone().limited(limits).of_host(host.map(Into::into));
        let mut account = Account::default();
        let all = Some(Arc::clone(&bytes));
        let opened = match format {
            Format::Zip => zip::Members::open(&source, bytes, &mut account).map(Members::Zip),
            Format::Tar => tar::Members::open(bytes).map(Members::Tar),
            Format::Gzip => packed(&source, bytes, Codec::Gzip, &mut account),
            Format::Zstd => packed(&source, bytes, Codec::Zstd, &mut account),
            Format::Xz => packed(&source, bytes, Codec::Xz, &mut account),
            Format::Bzip2 => packed(&source, bytes, Codec::Bzip2, &mut account),
            Format::SevenZip => sevenz::Members::open(&source, &bytes).map(Members::SevenZip),
            // Those come by `Inside::disk`.
            Format::Disk => Ok(Members::None),
        };
        if let Ok(Members::Zip(members)) = &opened
            && members.is_aff4()
        {
            return Err("an AFF4 image: export it as raw or E01");
        }
        let members = opened.unwrap_or_else(|error| {
            account.locked = error.get_ref().is_some_and(|inner| inner.is::<Locked>());
            account.fault(error.to_string());
            Members::None
        });
        Ok(Inside { source, format, members, account, closed: false, bytes: all, layout: None })
    }

    /// What is in a disk.
    pub(super) fn disk(source: &Source, mut disk: disk::Members) -> Inside {
        let account = std::mem::take(&mut disk.account);
        let layout = Some(std::mem::take(&mut disk.layout));
        let (members, source) = (Members::Disk(disk), source.clone());
        Inside {
            source,
            format: Format::Disk,
            members,
            account,
            closed: false,
            bytes: None,
            layout,
        }
    }

    /// The same, of something that does not begin as its name says that it would.
    pub(super) fn misbegun(mut self) -> Inside {
        self.account.misbegun(self.format);
        self
    }

    /// How it is laid out, if it is a disk.
    #[must_use]
    pub fn layout(&self) -> Option<&disk::Layout> {
        self.layout.as_ref()
    }

    /// The container's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.source.name()
    }

    /// The container's size.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.source.size()
    }

    /// What the container is.
    #[must_use]
    pub fn format(&self) -> &'static str {
        self.format.name()
    }

    fn member(&mut self) -> Option<Found> {
        if self.account.ended {
            return None;
        }
        let (source, account) = (&self.source, &mut self.account);
        match &mut self.members {
            Members::None => None,
            Members::One(one) => one.take().map(Found::Source),
            Members::Zip(members) => members.next(source, account),
            Members::SevenZip(members) => members.next(source, account),
            Members::Disk(members) => members.next(source),
            Members::Tar(members) => members.next(source, account),
            Members::TarStream(members) => members.next(source, account),
        }
    }
}

/// What is in a compressed stream: a tar archive's members, or one thing.
fn packed(
    source: &Source,
    bytes: Arc<dyn ReadAt>,
    codec: Codec,
    account: &mut Account,
) -> io::Result<Members> {
    let start = stream::start(&bytes, codec, super::sniff::SNIFFED)?;
    if super::sniff::kind(&start) == super::sniff::Kind::Container(Format::Tar) {
        return tar::Stream::open(bytes, codec).map(Members::TarStream);
    }
    let inner = stream::name_within(source.name(), codec);
    // A start that was changed may look like anything, and what comes behind is not unpacked for that.
    if super::sniff::kind(&start) == super::sniff::Kind::Other && stream::is_tar(source.name()) {
        account
            .fault("it is no tar archive, as its name says that it is: it is damaged".to_owned());
    }
    let name = within(source.name(), &inner);
    Ok(Members::One(Some(source.packed(name, bytes, codec))))
}

/// The name of a member.
pub(super) fn within(container: &str, member: &str) -> String {
    format!("{container}!{member}")
}

/// Whether a member of this size may be handed out; if not, that is told, and nothing more comes.
pub(super) fn admit(source: &Source, size: u64, account: &mut Account) -> bool {
    let admitted = source.limits().is_none_or(|limits| limits.take(size));
    if admitted {
        account.members += 1;
    } else {
        let most = most(source.size());
        account.fault(format!(
            "unpacks to more than {most} bytes, the limit: what comes after the first {} members \
             was not looked at",
            account.members
        ));
        account.end();
    }
    admitted
}

impl Iterator for Inside {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        if self.closed {
            return None;
        }
        let found = self.member();
        Some(found.unwrap_or_else(|| {
            self.closed = true;
            let bytes = self.bytes.take().filter(|_| !self.account.ended());
            if let Some(Err(error)) = bytes.map(|bytes| bytes.read_at(bytes.size(), &mut [])) {
                self.account.fault(error.to_string());
            }
            // An archive may be large and its decoder, too.
            self.members = Members::None;
            Found::Container(self.account.close(&self.source, self.format))
        }))
    }
}

/// Where what cannot be read at positions is kept.
pub(super) fn kept(from: &mut dyn io::Read, size: u64, access: &Access) -> Arc<dyn ReadAt> {
    Arc::new(super::spool::Spool::whole(from, size, access))
}
