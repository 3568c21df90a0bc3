//! What is in a disk image: the event logs of its NTFS volumes, live and deleted.
//!
//! All volumes are looked through when the image is opened, before any of their logs is read: what is
//! known to be damaged by then is told of the image, and does not depend on who reads what meanwhile.
//! What is found damaged later is told of the log that it is in.

use super::access::Carving;
use super::image::{self, Image, ImageFault, Kind, Ntfs, NtfsFile, Siblings, Volume};
use super::inside::Account;
use super::sniff::begins_like_a_log;
use super::source::{Ranges, Source, State, all_of};
use super::walk::Found;
use crate::bytes::ReadAt;
use std::{io, ops::Range, sync::Arc};

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
    pub(super) layout: Layout,
}

/// How a disk is laid out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// What kind of an image it is in; `raw image` if in none.
    pub image: &'static str,
    /// The size of the disk.
    pub size: u64,
    /// How it is divided: `GPT`, `MBR`; `None` if it is one volume.
    pub scheme: Option<&'static str>,
    /// Its partitions, or the volume that it is.
    pub partitions: Vec<Partition>,
}

/// A partition of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its name, that of the disk included: `DC01.E01#p3`.
    pub name: String,
    /// Where it begins on the disk.
    pub offset: u64,
    /// How long it is.
    pub size: u64,
    /// What is in it: `NTFS`, `BitLocker`.
    pub holds: &'static str,
    /// How many logs were found in it, and how many of them are deleted.
    pub logs: u64,
    /// How many of the logs are deleted.
    pub deleted: u64,
    /// How many snapshots (volume shadow copies) it has, which are not looked into.
    pub shadow_copies: u64,
    /// Why it was not looked into, if it was not.
    pub reason: Option<String>,
}

enum Member {
    File(String, Box<NtfsFile>),
    Unread(String, io::Error),
    Raw(String, Arc<dyn ReadAt>, Ranges, State),
}

/// Looks for a disk.
pub(super) fn open(
    source: &Source,
    bytes: &Arc<dyn ReadAt>,
    siblings: &dyn Siblings,
) -> Result<Disk, ImageFault> {
    let image = match image::open(bytes, siblings) {
        Ok(image) => image,
        Err(ImageFault::PartOf { .. }) => return Ok(Disk::Part),
        Err(fault) => return Err(fault),
    };
    let whole = image.as_ref().map_or(bytes, |image| &image.bytes);
    let disk = image::volumes(whole);
    if disk.volumes.is_empty() && disk.faults.is_empty() {
        return Ok(match image {
            Some(image) => Disk::Parts(image.bytes),
            None => Disk::None,
        });
    }
    let mut account = Account::default();
    // First what is wrong with the image: it may be why the rest is.
    for fault in image.iter().flat_map(|image| &image.faults) {
        // Of what is there twice nothing is missing.
        let whole = fault.contains("its copy is used");
        if whole { account.note(fault.clone()) } else { account.fault(fault.clone()) }
    }
    disk.faults.into_iter().for_each(|fault| account.fault(fault));
    let mut found = Vec::new();
    let carving = source.access().carve();
    let mut logs = Vec::new();
    let windows =
        disk.volumes.iter().any(|volume| matches!(volume.kind, Kind::Ntfs | Kind::BitLocker));
    let kind = image.as_ref().map_or("a raw image", |image| image.kind);
    let mut layout = Layout {
        image: kind.split_once(' ').map_or(kind, |(_, kind)| kind),
        size: whole.size(),
        scheme: match disk.scheme {
            image::Scheme::Gpt => Some("GPT"),
            image::Scheme::Mbr => Some("MBR"),
            image::Scheme::Bare | image::Scheme::None => None,
        },
        partitions: Vec::new(),
    };
    for volume in disk.volumes {
        let name = volume_name(source.name(), &volume);
        let offset = volume.offset;
        let (before, about) = (found.len(), volume.clone());
        let read = self::volume(volume, &name, carving, windows, &mut found, &mut account);
        layout.partitions.push(partition(name, &about, found.get(before..).unwrap_or(&[])));
        logs.extend(
            read.into_iter()
                .map(|range| range.start.saturating_add(offset)..range.end.saturating_add(offset)),
        );
    }
    if carving == Carving::All {
        let ranges = without(&all_of(&**whole), logs);
        let name = format!("{}!(all)", source.name());
        found.push(Member::Raw(name, Arc::clone(whole), ranges.into(), State::Carved));
    }
    account.members = found.len() as u64;
    told_damage(image.as_ref(), &mut account);
    Ok(Disk::Volumes(Members { found: found.into_iter(), account, layout }))
}

/// What there is to say of a volume in which this was found.
fn partition(name: String, volume: &Volume, found: &[Member]) -> Partition {
    let is_deleted = |member: &&Member| matches!(member, Member::File(_, file) if file.state == image::State::Deleted);
    let unread = found.iter().find_map(|member| match member {
        Member::Unread(_, why) => Some(why.to_string()),
        _ => None,
    });
    let searched = found.iter().any(|member| matches!(member, Member::Raw(..)));
    let other = (volume.kind != Kind::Ntfs && !searched).then(|| "not looked into".to_owned());
    Partition {
        name,
        offset: volume.offset,
        size: volume.size,
        holds: volume.kind.name(),
        logs: found.iter().filter(|member| matches!(member, Member::File(..))).count() as u64,
        deleted: found.iter().filter(is_deleted).count() as u64,
        shadow_copies: u64::from(volume.shadow_copies),
        reason: unread.or(other),
    }
}

/// `DC01.E01#p3`; a disk without a table is its only volume.
fn volume_name(disk: &str, volume: &Volume) -> String {
    if volume.name.is_empty() { disk.to_owned() } else { format!("{disk}#{}", volume.name) }
}

/// What of the image could not be read on the way: where first, and how much there is of it.
fn told_damage(image: Option<&Image>, account: &mut Account) {
    let Some(image) = image else { return };
    let ranges = image.damage.ranges();
    let mut reasons: Vec<&str> = Vec::new();
    for range in &ranges {
        if !reasons.contains(&range.why.as_str()) {
            reasons.push(&range.why);
        }
    }
    for why in reasons {
        let of_it = || ranges.iter().filter(|range| range.why == why);
        let Some(first) = of_it().next() else { continue };
        let bytes = of_it().fold(0u64, |sum, range| sum.saturating_add(range.len));
        let (places, offset) = (of_it().count(), first.offset);
        let place = match places {
            1 => format!("at {offset} of the disk"),
            _ => format!("in {places} places of the disk, first at {offset},"),
        };
        account.fault(format!("{bytes} bytes {place} cannot be read: {why}"));
    }
    if image.damage.more() {
        account.fault("and more of the disk".to_owned());
    }
}

/// What a volume holds that cannot be looked into, and what to do.
fn advice(kind: Kind) -> String {
    let what = kind.name();
    match what {
        "FAT12" | "FAT16" | "FAT32" | "exFAT" => {
            format!("{what}: mount it read-only and hunt in the folder, or search it with --carve")
        }
        "LUKS" => format!("{what}, which is encrypted: unlock it and hunt in what is then there"),
        "LVM2" | "a disk of Storage Spaces" => {
            format!("{what}: put the volume together and hunt in what is then there")
        }
        "Linux swap" => format!("{what}: search it with --carve"),
        _ if kind == Kind::Unknown => format!("{what}: search it with --carve"),
        _ => {
            format!("{what}: mount it read-only and hunt in the folder, or search it with --carve")
        }
    }
}

/// Looks through a volume; `windows` says whether there is one on the disk that can be; gives where on it the logs are that can be read as such.
fn volume(
    volume: Volume,
    name: &str,
    carving: Carving,
    windows: bool,
    found: &mut Vec<Member>,
    account: &mut Account,
) -> Vec<Range<u64>> {
    account.shadow_copies += u64::from(volume.shadow_copies);
    let unread = |what: String| {
        Member::Unread(name.to_owned(), io::Error::new(io::ErrorKind::Unsupported, what))
    };
    match volume.kind {
        Kind::Ntfs => {}
        Kind::BitLocker => {
            let what = "it is encrypted with BitLocker: unlock it and hunt in what is then there";
            found.push(unread(format!("not looked into: {what}")));
            return Vec::new();
        }
        // Windows can keep its logs there, unlike on those below.
        Kind::Other(_) | Kind::Unknown if carving == Carving::Free => {
            let all = all_of(&*volume.bytes);
            found.push(Member::Raw(format!("{name}!(all)"), volume.bytes, all, State::Carved));
            return Vec::new();
        }
        Kind::Other(what) if what.starts_with("ReFS") => {
            found.push(unread(format!("not looked into: it holds {what}: mount it")));
            return Vec::new();
        }
        // Beside a volume of Windows it is one that no logs are expected on; alone it is all there is.
        Kind::Other(_) | Kind::Unknown if !windows => {
            found.push(unread(format!("not looked into: it holds {}", advice(volume.kind))));
            return Vec::new();
        }
        Kind::Other(_) | Kind::Unknown => {
            account.note(format!("{name} holds {} and was not looked into", volume.kind.name()));
            return Vec::new();
        }
    }
    let ntfs = match Ntfs::open(Arc::clone(&volume.bytes)) {
        Ok(ntfs) => ntfs,
        Err(fault) => {
            let error = io::Error::new(io::ErrorKind::InvalidData, fault.to_string());
            found.push(Member::Unread(name.to_owned(), error));
            if carving == Carving::Free {
                let all = all_of(&*volume.bytes);
                found.push(Member::Raw(format!("{name}!(all)"), volume.bytes, all, State::Carved));
            }
            return Vec::new();
        }
    };
    let scan = if carving == Carving::Free { ntfs.scan_with_slack() } else { ntfs.scan() };
    let at = |what: String| format!("{name}: {what}");
    scan.faults.into_iter().for_each(|fault| account.fault(at(fault)));
    for (n, what) in [(scan.torn, "are torn"), (scan.unreadable, "could not be read")] {
        if n > 0 {
            let all = scan.records;
            account.fault(at(format!("{n} of {all} records of the file table {what}")));
        }
    }
    let slash = if volume.name.is_empty() { '!' } else { '/' };
    // A deleted file of which the start is lost is no log any more: what is left of it is free space.
    let is_read = |file: &&NtfsFile| begins_like_a_log(&*file.bytes).unwrap_or(false);
    let logs: Vec<Range<u64>> = match carving {
        Carving::No => Vec::new(),
        _ => scan.files.iter().filter(is_read).flat_map(|file| file.held.clone()).collect(),
    };
    let files = scan.files.into_iter().map(|file| {
        let name = format!("{name}{slash}{}", file.path);
        Member::File(name, Box::new(file))
    });
    found.extend(files);
    if carving == Carving::Free {
        let mut searched = logs.clone();
        match ntfs.unallocated() {
            Ok(free) => {
                let ranges = without(&free, logs.clone());
                let name = format!("{name}{slash}(unallocated)");
                let bytes = Arc::clone(&volume.bytes);
                found.push(Member::Raw(name, bytes, ranges.into(), State::Carved));
                searched.extend(free);
            }
            Err(fault) => account.fault(at(format!("its free space was not searched: {fault}"))),
        }
        let ranges = without(&scan.slack, searched);
        if !ranges.is_empty() {
            let name = format!("{name}{slash}(slack)");
            found.push(Member::Raw(name, volume.bytes, ranges.into(), State::Slack));
        }
    }
    logs
}

/// What of these ranges, which are in order, is in none of those.
fn without(ranges: &[Range<u64>], mut those: Vec<Range<u64>>) -> Vec<Range<u64>> {
    those.sort_unstable_by_key(|range| (range.start, range.end));
    let mut left = Vec::new();
    let mut next = 0;
    for range in ranges {
        let mut at = range.start;
        while let Some(that) = those.get(next).filter(|that| that.start < range.end) {
            if that.start > at {
                left.push(at..that.start);
            }
            at = at.max(that.end);
            if that.end > range.end {
                break;
            }
            next += 1;
        }
        if at < range.end {
            left.push(at..range.end);
        }
    }
    left
}

impl Members {
    pub(super) fn next(&mut self, source: &Source) -> Option<Found> {
        Some(match self.found.next()? {
            Member::Unread(name, error) => Found::Unreadable { name, error },
            Member::Raw(name, bytes, ranges, state) => {
                Found::Source(source.raw(name, bytes, ranges, state))
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    // Lists of ranges are what it takes, some of one.
    #[allow(clippy::single_range_in_vec_init)]
    #[test]
    fn ranges_are_cut_out_of_ranges() {
        for (ranges, those, want) in [
            (vec![0..10], vec![], vec![0..10]),
            (vec![0..10], vec![0..10], vec![]),
            (vec![0..10], vec![2..3, 5..7], vec![0..2, 3..5, 7..10]),
            (vec![0..10], vec![5..7, 2..6], vec![0..2, 7..10]),
            (vec![0..10, 20..30], vec![5..25], vec![0..5, 25..30]),
            (vec![0..10, 20..30, 40..50], vec![0..45, 60..70], vec![45..50]),
            (vec![5..10], vec![0..2, 1..6, 3..4], vec![6..10]),
            (vec![], vec![0..2], vec![]),
        ] {
            assert_eq!(without(&ranges, those.clone()), want, "{ranges:?} {those:?}");
        }
    }
}
