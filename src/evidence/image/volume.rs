//! The volumes of a disk and what is in each.
//!
//! What a volume holds is told by its own first bytes, never by the type in the partition table,
//! which is often wrong and always the attacker's.

use super::{
    partition,
    read::{self, Window},
    shadow,
};
use crate::bytes::{self, ReadAt};
use std::sync::Arc;

/// How volumes are laid out on a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// A GUID partition table.
    Gpt,
    /// A master boot record.
    Mbr,
    /// No table: the disk is one volume.
    Bare,
    /// None that is known: this may be no disk at all.
    None,
}

/// What a volume holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// NTFS.
    Ntfs,
    /// Encrypted with BitLocker.
    BitLocker,
    /// Something else that is known and cannot be looked into.
    Other(&'static str),
    /// Nothing that is known.
    Unknown,
}

impl Kind {
    /// Its name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Ntfs => "NTFS",
            Kind::BitLocker => "BitLocker",
            Kind::Other(name) => name,
            Kind::Unknown => "nothing that is known",
        }
    }
}

/// A volume of a disk.
#[derive(Clone)]
pub struct Volume {
    /// Its number in the partition table, from 1; 0 if there is no table.
    pub number: u32,
    /// `p1` and so on; empty if there is no table.
    pub name: String,
    /// Where it begins on the disk.
    pub offset: u64,
    /// How long it is.
    pub size: u64,
    /// Its bytes.
    pub bytes: Arc<dyn ReadAt>,
    /// What it holds.
    pub kind: Kind,
    /// How many snapshots (volume shadow copies) it says that it keeps. They are not read.
    pub shadow_copies: u32,
}

impl std::fmt::Debug for Volume {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Volume")
            .field("name", &self.name)
            .field("offset", &self.offset)
            .field("size", &self.size)
            .field("kind", &self.kind)
            .field("shadow_copies", &self.shadow_copies)
            .finish_non_exhaustive()
    }
}

/// What [`volumes`] finds on a disk.
#[derive(Debug, Clone)]
pub struct Volumes {
    /// How they are laid out.
    pub scheme: Scheme,
    /// In the order of their numbers.
    pub volumes: Vec<Volume>,
    /// What is wrong with the tables, or could not be read of them.
    pub faults: Vec<String>,
}

/// The volumes on a disk. Any bytes may be asked: most files have none, and the scheme
/// [`Scheme::None`].
#[must_use]
pub fn volumes(disk: &Arc<dyn ReadAt>) -> Volumes {
    let mut faults = Vec::new();
    let kind = probe(&**disk, &mut faults);
    if kind != Kind::Unknown {
        let volume = volume(disk, 0, 0, disk.size(), kind, &mut faults);
        return Volumes { scheme: Scheme::Bare, volumes: vec![volume], faults };
    }
    let table = partition::read(&**disk);
    // A volume whose first sector is damaged: the last one is a copy of it.
    if table.parts.is_empty() && ends_like_ntfs(&**disk) {
        let volume = volume(disk, 0, 0, disk.size(), Kind::Ntfs, &mut faults);
        return Volumes { scheme: Scheme::Bare, volumes: vec![volume], faults };
    }
    faults.extend(table.faults);
    let mut volumes = Vec::new();
    for part in &table.parts {
        let size = disk.size().saturating_sub(part.offset).min(part.size);
        let (number, end) = (part.number, part.offset.saturating_add(part.size));
        if size < part.size {
            let short = end.saturating_sub(disk.size());
            faults.push(format!("the image ends {short} bytes before its partition {number} does"));
        }
        let bytes: Arc<dyn ReadAt> =
            Arc::new(Window { bytes: disk.clone(), start: part.offset, size });
        let mut kind = probe(&*bytes, &mut faults);
        if kind == Kind::Unknown && ends_like_ntfs(&*bytes) {
            kind = Kind::Ntfs;
        }
        volumes.push(volume(disk, number, part.offset, size, kind, &mut faults));
    }
    volumes.sort_by_key(|volume| volume.number);
    Volumes { scheme: table.scheme, volumes, faults }
}

fn volume(
    disk: &Arc<dyn ReadAt>,
    number: u32,
    offset: u64,
    size: u64,
    kind: Kind,
    faults: &mut Vec<String>,
) -> Volume {
    let name = if number == 0 { String::new() } else { format!("p{number}") };
    let bytes: Arc<dyn ReadAt> = if number == 0 {
        disk.clone()
    } else {
        Arc::new(Window { bytes: disk.clone(), start: offset, size })
    };
    let shadow_copies = match shadow::count(&*bytes) {
        Ok(count) => count,
        Err(why) => {
            let place =
                if number == 0 { "the volume".into() } else { format!("partition {number}") };
            faults.push(format!("{place} may have shadow copies: {why}"));
            0
        }
    };
    Volume { number, name, offset, size, bytes, kind, shadow_copies }
}

/// What file systems and the like have at a place at their start.
const KINDS: &[(usize, &[u8], Kind)] = &[
    (3, b"NTFS    ", Kind::Ntfs),
    (3, b"-FVE-FS-", Kind::BitLocker),
    // BitLocker To Go, whose boot sector is else that of a FAT volume: {4967d63b-2e29-4ad8-8399-f6a339e3d001}
    (424, b"\x3b\xd6\x67\x49\x29\x2e\xd8\x4a\x83\x99\xf6\xa3\x39\xe3\xd0\x01", Kind::BitLocker),
    (3, b"ReFS\0\0\0\0", Kind::Other("ReFS")),
    // Where a disk of a pool has its header.
    (0, b"SPACEDB ", Kind::Other("a disk of Storage Spaces")),
    (4096, b"SPACEDB ", Kind::Other("a disk of Storage Spaces")),
    (3, b"EXFAT   ", Kind::Other("exFAT")),
    (82, b"FAT32   ", Kind::Other("FAT32")),
    (54, b"FAT16   ", Kind::Other("FAT16")),
    (54, b"FAT12   ", Kind::Other("FAT12")),
    (0, b"LUKS\xba\xbe", Kind::Other("LUKS")),
    (0, b"XFSB", Kind::Other("XFS")),
    (32, b"NXSB", Kind::Other("APFS")),
    (512, b"LABELONE", Kind::Other("LVM2")),
    (1024, b"H+\0\x04", Kind::Other("HFS+")),
    (1024, b"HX\0\x05", Kind::Other("HFS+")),
    (1080, b"\x53\xef", Kind::Other("ext2, ext3 or ext4")),
    (4086, b"SWAPSPACE2", Kind::Other("Linux swap")),
];

/// Where Btrfs has its magic.
const BTRFS: (u64, [u8; 8]) = (0x1_0040, *b"_BHRfS_M");

/// The magic of an NTFS boot sector, and where.
const NTFS: (u64, [u8; 8]) = (3, *b"NTFS    ");

/// What the bytes are a volume of.
fn probe(volume: &dyn ReadAt, faults: &mut Vec<String>) -> Kind {
    let mut start = [0; 4096 + 8];
    let start = match read::full(volume, 0, &mut start) {
        Ok(len) => start.get(..len).unwrap_or_default(),
        Err(error) => {
            faults.push(format!("the start of a volume cannot be read: {error}"));
            &[]
        }
    };
    let is = |(at, magic, _): &&(usize, &[u8], Kind)| {
        bytes::slice(start, *at, magic.len()) == Some(magic)
    };
    match KINDS.iter().find(is) {
        // A few bytes of text alone are no file system.
        Some((.., kind @ Kind::Other("FAT32" | "FAT16" | "FAT12" | "exFAT")))
            if bytes::array(start, 510) == Some([0x55, 0xaa]) =>
        {
            return *kind;
        }
        Some((.., Kind::Other("FAT32" | "FAT16" | "FAT12" | "exFAT"))) => {}
        Some((.., kind @ Kind::Other("ext2, ext3 or ext4"))) => {
            // s_log_block_size is at most 6 (64 KiB), s_inodes_count is not 0.
            let block = bytes::u32(start, 1024 + 24).unwrap_or(u32::MAX);
            if block <= 6 && bytes::u32(start, 1024).is_some_and(|inodes| inodes > 0) {
                return *kind;
            }
        }
        Some((.., kind)) => return *kind,
        None => {}
    }
    if volume.size() > BTRFS.0 && read::array(volume, BTRFS.0).is_ok_and(|magic| magic == BTRFS.1) {
        return Kind::Other("Btrfs");
    }
    Kind::Unknown
}

/// Whether a partition ends with the copy of an NTFS boot sector, of which the original is gone.
fn ends_like_ntfs(volume: &dyn ReadAt) -> bool {
    [512, 4096]
        .iter()
        .filter_map(|sector| volume.size().checked_sub(*sector))
        .any(|at| at > 0 && read::array(volume, at + NTFS.0).is_ok_and(|magic| magic == NTFS.1))
}

/// Whether these bytes hold a volume that can be looked into.
pub(super) fn is_known(bytes: &dyn ReadAt) -> bool {
    probe(bytes, &mut Vec::new()) != Kind::Unknown
}
