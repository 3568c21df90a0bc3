//! What is in a disk image: the event logs of its NTFS volumes, live and deleted.
//!
//! All volumes are looked through when the image is opened, before any of their logs is read: what is
//! known to be damaged by then is told of the image, and does not depend on who reads what meanwhile.
//! What is found damaged later is told of the log that it is in.

use super::image::{self, Image, ImageFault, Kind, Ntfs, NtfsFile, Siblings, Volume};
use super::inside::Account;
use super::source::{Source, State};
use super::walk::Found;
use crate::bytes::ReadAt;
use std::{io, sync::Arc};

/// What bytes that may be those of a disk turned out to be.
pub(super) enum Disk {
    /// A disk with volumes.
    Volumes(Members),
    /// Something in parts that is no disk.
    Parts(Arc<dyn ReadAt>),
    /// A part of an image that is read with another file.
    Part,
    /// Nothing that is known.
    None,
}

/// The logs of a disk, and what of it could not be looked at.
pub(super) struct Members {
    found: std::vec::IntoIter<Member>,
    pub(super) account: Account,
}

enum Member {
    File(String, Box<NtfsFile>),
    Unread(String, io::Error),
}

/// Looks for a disk.
pub(super) fn open(
    source: &Source,
    bytes: Arc<dyn ReadAt>,
    siblings: &dyn Siblings,
) -> Result<Disk, ImageFault> {
    let image = match image::open(&bytes, siblings) {
        Ok(image) => image,
        Err(ImageFault::PartOf { .. }) => return Ok(Disk::Part),
        Err(fault) => return Err(fault),
    };
    let whole = image.as_ref().map_or(&bytes, |image| &image.bytes);
    let disk = image::volumes(whole);
    if disk.volumes.is_empty() && disk.faults.is_empty() {
        return Ok(match image {
            Some(image) => Disk::Parts(image.bytes),
            None => Disk::None,
        });
    }
    let mut account = Account::default();
    disk.faults.into_iter().for_each(|fault| account.fault(fault));
    let mut found = Vec::new();
    for volume in disk.volumes {
        let name = volume_name(source.name(), &volume);
        self::volume(volume, &name, &mut found, &mut account);
    }
    account.members = found.len() as u64;
    told_damage(image.as_ref(), &mut account);
    Ok(Disk::Volumes(Members { found: found.into_iter(), account }))
}

/// `DC01.E01#p3`; a disk without a table is its only volume.
fn volume_name(disk: &str, volume: &Volume) -> String {
    if volume.name.is_empty() { disk.to_owned() } else { format!("{disk}#{}", volume.name) }
}

/// What of the image could not be read on the way.
fn told_damage(image: Option<&Image>, account: &mut Account) {
    let Some(image) = image else { return };
    for range in image.damage.ranges() {
        let (len, offset) = (range.len, range.offset);
        account.fault(format!("{len} bytes at {offset} of the disk cannot be read: {}", range.why));
    }
    if image.damage.more() {
        account.fault("and more of the disk".to_owned());
    }
}

/// Looks through a volume.
fn volume(volume: Volume, name: &str, found: &mut Vec<Member>, account: &mut Account) {
    account.shadow_copies += u64::from(volume.shadow_copies);
    let unread = |what: String| {
        Member::Unread(name.to_owned(), io::Error::new(io::ErrorKind::Unsupported, what))
    };
    match volume.kind {
        Kind::Ntfs => {}
        Kind::BitLocker => {
            let what = "it is encrypted with BitLocker: unlock it and hunt in what is then there";
            found.push(unread(format!("not looked into: {what}")));
            return;
        }
        // Windows can keep its logs there, unlike on those below.
        Kind::Other(what) if what.starts_with("ReFS") => {
            found.push(unread(format!("not looked into: it holds {what}: mount it")));
            return;
        }
        Kind::Other(_) | Kind::Unknown => {
            account.note(format!("{name} holds {} and was not looked into", volume.kind.name()));
            return;
        }
    }
    let ntfs = match Ntfs::open(volume.bytes) {
        Ok(ntfs) => ntfs,
        Err(fault) => {
            let error = io::Error::new(io::ErrorKind::InvalidData, fault.to_string());
            found.push(Member::Unread(name.to_owned(), error));
            return;
        }
    };
    let scan = ntfs.scan();
    let at = |what: String| format!("{name}: {what}");
    scan.faults.into_iter().for_each(|fault| account.fault(at(fault)));
    for (n, what) in [(scan.torn, "are torn"), (scan.unreadable, "could not be read")] {
        if n > 0 {
            let all = scan.records;
            account.fault(at(format!("{n} of {all} records of the file table {what}")));
        }
    }
    let slash = if volume.name.is_empty() { '!' } else { '/' };
    let files = scan.files.into_iter().map(|file| {
        let name = format!("{name}{slash}{}", file.path);
        Member::File(name, Box::new(file))
    });
    found.extend(files);
}

impl Members {
    pub(super) fn next(&mut self, source: &Source) -> Option<Found> {
        Some(match self.found.next()? {
            Member::Unread(name, error) => Found::Unreadable { name, error },
            Member::File(name, file) => {
                let state = match file.state {
                    image::State::Live => State::Live,
                    image::State::Deleted => State::Deleted,
                };
                let mut notes = file.faults;
                if file.reused > 0 {
                    let (reused, size) = (file.reused, file.size);
                    notes.push(format!("{reused} of its {size} bytes belong to other files now"));
                }
                Found::Source(source.within(name, file.bytes, state).with_notes(notes))
            }
        })
    }
}
