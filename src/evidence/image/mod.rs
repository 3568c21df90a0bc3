//! Disk images: from the bytes of a container to those of the disk, from the disk to its volumes,
//! from an NTFS volume to the event logs in it.
//!
//! Each step takes and gives [`ReadAt`], so that they nest in any way, and is own code for that: what
//! exists is read through a cursor by one thread at a time, or gives stale or missing bytes without
//! an error in cases that occur (tried 2026-11). Codecs are crates.
//!
//! 1. [`open`] knows a container by its content (E01, VHD, VHDX, VMDK, qcow2) or a split raw image by
//!    its parts, and gives the disk's bytes.
//! 2. [`volumes`] finds the volumes of a disk and says what is in each.
//! 3. [`Ntfs`] finds the event logs of a volume, live and deleted, by one pass over its file table.
//!
//! Invariants:
//! - Nothing is written and nothing is opened but the siblings that an image consists of, by plain
//!   names ([`Siblings`]).
//! - An error is that of a range: reading over a damaged spot gives what comes before it, then an
//!   error, and what comes after it can be read. The range is noted in [`Damage`].
//! - No bytes make it panic, loop or take memory beyond the named caps, which are proportional to
//!   what an image of that size can need.

mod blocks;
mod codec;
mod damage;
mod ewf;
mod ewf_segments;
mod fault;
mod ntfs;
mod partition;
mod qcow2;
mod read;
mod shadow;
mod sibling;
mod split;
mod vhd;
mod vhdx;
mod vhdx_log;
mod vmdk;
mod vmdk_sparse;
mod volume;

use crate::bytes::ReadAt;
use std::sync::Arc;

pub use damage::{Damage, DamagedRange};
pub use fault::ImageFault;
pub use ntfs::{Ntfs, NtfsFile, Scan, State};
pub use sibling::{FolderSiblings, NoSiblings, Siblings};
pub use volume::{Kind, Scheme, Volume, Volumes, volumes};

/// How deep images may stand on other images (backing files, parents): real chains of snapshots are
/// shorter, and each link costs a lookup at each read.
const MAX_CHAIN: u32 = 16;

/// The disk inside a container.
#[derive(Clone)]
pub struct Image {
    /// The disk's bytes.
    pub bytes: Arc<dyn ReadAt>,
    /// What the container is, for people.
    pub kind: &'static str,
    /// What of it could not be read so far; it grows while it is read.
    pub damage: Arc<Damage>,
    /// What is wrong with the container itself: missing parts, structures of which copies are used.
    pub faults: Vec<String>,
    /// What it says are the digests of the disk, if it does.
    pub digests: Option<Digests>,
}

/// What whoever made an image noted of the disk's bytes. Nothing here has compared them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Digests {
    /// MD5.
    pub md5: Option<[u8; 16]>,
    /// SHA-1.
    pub sha1: Option<[u8; 20]>,
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Image")
            .field("kind", &self.kind)
            .field("size", &self.bytes.size())
            .finish_non_exhaustive()
    }
}

/// The disk in `bytes`, if they are a container of one: `None` for everything else, a raw image too,
/// which is its own disk.
///
/// # Errors
/// If it is a container that cannot be read or is no whole one: [`ImageFault::PartOf`] for a part
/// that is read with another file.
pub fn open(bytes: &Arc<dyn ReadAt>, siblings: &dyn Siblings) -> Result<Option<Image>, ImageFault> {
    open_at_depth(bytes, siblings, 0)
}

fn open_at_depth(
    bytes: &Arc<dyn ReadAt>,
    siblings: &dyn Siblings,
    depth: u32,
) -> Result<Option<Image>, ImageFault> {
    if depth >= MAX_CHAIN {
        return Err(ImageFault::broken(format!("it stands on a chain of {MAX_CHAIN} images")));
    }
    let mut start = [0; START];
    let len = read::full(&**bytes, 0, &mut start)?;
    let start = start.get(..len).unwrap_or_default();
    if let Some(why) = unsupported(start) {
        return Err(ImageFault::unsupported(why));
    }
    if ewf::is(start) {
        return ewf::open(bytes, siblings).map(Some);
    }
    if vhdx::is(start) {
        return vhdx::open(bytes).map(Some);
    }
    if qcow2::is(start) {
        return qcow2::open(bytes, siblings, depth).map(Some);
    }
    if vmdk::is(start) {
        return vmdk::open(bytes, siblings, depth).map(Some);
    }
    if let Some(descriptor) = vmdk::described_by(siblings)? {
        return Err(ImageFault::PartOf { first: descriptor });
    }
    if let Some(image) = vhd::open(bytes, siblings, depth)? {
        return Ok(Some(image));
    }
    split::open(bytes, siblings)
}

/// Whether this begins like a container that is known and cannot be read: what it is, and what to do.
pub(super) fn unsupported(start: &[u8]) -> Option<&'static str> {
    let is = |(at, magic, _): &&(usize, &[u8], &'static str)| {
        crate::bytes::slice(start, *at, magic.len()) == Some(magic)
    };
    UNSUPPORTED.iter().find(is).map(|(.., why)| *why)
}

/// How much of a file its kind is known by.
const START: usize = 512;

/// Containers that are known and cannot be read, by what they have at a place: why, and what to do.
const UNSUPPORTED: &[(usize, &[u8], &str)] = &[
    (0, b"EVF2\r\n\x81\0", "an Ex01 image (EnCase 7): export it as E01 or raw"),
    (0, b"LVF\x09\x0d\x0a\xff\0", "an L01 logical image: export the files in it"),
    (0, b"LEF2\r\n\x81\0", "an Lx01 logical image: export the files in it"),
    (0, b"AFF10\r\n\0", "an AFF image: convert it to raw (affconvert -r)"),
    (0, b"COWD", "an ESXi COWD disk: convert it to a flat or sparse VMDK"),
    (
        0,
        b"\xbe\xba\xfe\xca\0\0\0\0",
        "an ESXi seSparse disk: consolidate the snapshot and take the flat disk",
    ),
    (64, b"\x7f\x10\xda\xbe", "a VirtualBox VDI disk: convert it to raw (qemu-img convert -O raw)"),
    (0, b"WithoutFreeSpace", "a Parallels disk: convert it to raw (qemu-img convert -O raw)"),
    (0, b"WithouFreSpacExt", "a Parallels disk: convert it to raw (qemu-img convert -O raw)"),
    (0, b"QED\0", "a QED disk: convert it to raw (qemu-img convert -O raw)"),
    (0, b"encrcdsa", "an encrypted Apple disk image: decrypt it and convert it to raw"),
    (0, b"sprs", "an Apple sparse image: convert it to raw"),
    (0, b"ADSEGMENTEDFILE\0", "an AD1 logical image: export the files in it"),
    (0, b"MSWIM\0\0\0", "a WIM image: extract the files in it (7z x, wimlib-imagex apply)"),
];
