//! What a thing is, by its content.
//!
//! A file's name says nothing here: what is looked at are the bytes that a format has at its start,
//! [`SNIFFED`] at the most, so that of a packed thing only as much is unpacked.

use crate::bytes::{self, ReadAt};
use std::io;

/// What an event log begins with ([MS-EVEN6] 2.2.11 writes the file, `ElfFile` with its NUL).
pub(super) const LOG_MAGIC: &[u8; 8] = b"ElfFile\0";

/// How many bytes at the start of a thing say what it is.
pub(super) const SNIFFED: usize = 4096 + 8;

/// What a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An event log.
    Log,
    /// Something that has other things in it.
    Container(Format),
    /// Maybe a disk, as an image of it or a container of one, or a volume.
    Disk,
    /// What it is, and what to do: something that may hold event logs and cannot be looked into.
    Unsupported(&'static str),
    /// Anything else.
    Other,
}

/// What can be looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Zip,
    SevenZip,
    Tar,
    Gzip,
    Zstd,
    Xz,
    Bzip2,
    Disk,
}

impl Format {
    /// What it is called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Format::Zip => "zip",
            Format::SevenZip => "7z",
            Format::Tar => "tar",
            Format::Gzip => "gzip",
            Format::Zstd => "zstd",
            Format::Xz => "xz",
            Format::Bzip2 => "bzip2",
            Format::Disk => "disk image",
        }
    }
}

/// Containers by the bytes that they have at a place.
const FORMATS: &[(usize, &[u8], Format)] = &[
    // APPNOTE.TXT 4.3.7; 4.3.16 for an archive without members.
    (0, b"PK\x03\x04", Format::Zip),
    (0, b"PK\x05\x06", Format::Zip),
    // 7zFormat.txt, SignatureHeader.
    (0, b"7z\xbc\xaf\x27\x1c", Format::SevenZip),
    // POSIX.1-1988 and GNU alike.
    (257, b"ustar", Format::Tar),
    // RFC 1952 2.3.1, with deflate, the only method there is.
    (0, b"\x1f\x8b\x08", Format::Gzip),
    // RFC 8878 3.1.1
    (0, b"\x28\xb5\x2f\xfd", Format::Zstd),
    // The .xz File Format 2.1.1.1
    (0, b"\xfd7zXZ\0", Format::Xz),
];

/// Kinds of things that may hold event logs and that cannot be looked into, images aside
/// ([`super::image::unsupported`]).
const UNSUPPORTED: &[(usize, &[u8], &str)] = &[
    (0, b"Rar!\x1a\x07", "a RAR archive: unpack it and hunt in the folder"),
    (0, b"MSCF\0\0\0\0", "a CAB archive: unpack it (expand, cabextract) and hunt in the folder"),
    (7, b"**ACE**", "an ACE archive: unpack it and hunt in the folder"),
    (2, b"-lh5-", "an LHA archive: unpack it and hunt in the folder"),
    (0, b"070701", "a cpio archive: unpack it and hunt in the folder"),
    (0, b"070707", "a cpio archive: unpack it and hunt in the folder"),
    (0, b"\x04\x22\x4d\x18", "packed with LZ4: unpack it (lz4 -d) and hunt in what comes out"),
    (0, b"LZIP\x01", "packed with lzip: unpack it (lzip -d) and hunt in what comes out"),
    (0, b"\x89LZO\0\r\n\x1a\n", "packed with lzop: unpack it (lzop -d) and hunt in what comes out"),
    // APPNOTE.TXT 8.5.4, the mark of an archive in parts.
    (
        0,
        b"PK\x07\x08PK\x03\x04",
        "the first part of a zip archive in parts: join them (zip -s 0 NAME.zip --out WHOLE.zip)",
    ),
    (0, b"ElfChnk\0", "a chunk of an event log without the file header: search it with --carve"),
    (4096, b"ElfChnk\0", "an event log whose file header is gone: search it with --carve"),
    // ELF_LOGFILE_HEADER: its size, then the signature.
    (
        4,
        b"LfLe",
        "an event log of Windows XP or Server 2003 (EVT): convert it with wevtutil epl /lf",
    ),
];

/// Containers of disks.
const IMAGES: &[(usize, &[u8], &str)] = &[
    (0, b"EVF\x09\x0d\x0a\xff\0", "an E01 image"),
    (0, b"vhdxfile", "a VHDX image"),
    (0, b"conectix", "a VHD image"),
    (0, b"KDMV", "a VMDK image"),
    (0, b"# Disk DescriptorFile", "a VMDK image"),
    (0, b"QFI\xfb", "a qcow2 image"),
];

/// How volumes and disks begin: a boot sector or master boot record ends with its mark, and volumes
/// have a name at 3; the header of a GUID partition table stands in the second sector.
const DISKS: &[(usize, &[u8])] = &[
    (510, b"\x55\xaa"),
    (3, b"NTFS    "),
    (3, b"-FVE-FS-"),
    (3, b"ReFS\0\0\0\0"),
    (3, b"EXFAT   "),
    // Those of other systems: they are named, not read.
    (0, b"LUKS\xba\xbe"),
    (0, b"XFSB"),
    (32, b"NXSB"),
    (512, b"LABELONE"),
    (1024, b"H+\0\x04"),
    (1024, b"HX\0\x05"),
    (1080, b"\x53\xef"),
    (0, b"SPACEDB "),
    (4096, b"SPACEDB "),
    (512, b"EFI PART"),
    (4096, b"EFI PART"),
];

/// What kind of an image this begins like, if it is a container of a disk.
pub(super) fn image(start: &[u8]) -> Option<&'static str> {
    let has = |at, magic: &[u8]| bytes::slice(start, at, magic.len()) == Some(magic);
    IMAGES.iter().find(|(at, magic, _)| has(*at, magic)).map(|(.., what)| *what)
}

/// What this is, by what it has further on or at its end: something that may hold event logs and cannot
/// be looked into. Few things are large and of no known kind.
pub(super) fn unsupported_further_on(bytes: &dyn ReadAt) -> io::Result<Option<&'static str>> {
    let size = bytes.size();
    if size < FURTHER_ON {
        return Ok(None);
    }
    for (at, magic, what) in LATER {
        let at = if *at < 0 { size.checked_add_signed(*at) } else { u64::try_from(*at).ok() };
        let mut there = [0; 8];
        let there = there.get_mut(..magic.len()).unwrap_or_default();
        if at.is_some_and(|at| bytes::read_full(bytes, at, there).is_ok()) && there == *magic {
            return Ok(Some(what));
        }
    }
    Ok(None)
}

/// The least that the things below have: the first 16 sectors of a disc, and one more.
const FURTHER_ON: u64 = 17 * 2048;

/// Where, counted from the end if it is below zero; what; what it is.
const LATER: &[(i64, &[u8], &str)] = &[
    // ECMA-119 8.4; ECMA-167 part 2, 9.1.
    (0x8001, b"CD001", "an ISO 9660 image: mount it, or unpack it (7z x), and hunt in the folder"),
    (0x8001, b"BEA01", "a UDF image: mount it, or unpack it (7z x), and hunt in the folder"),
    (0x1_0040, b"_BHRfS_M", "a volume of Btrfs: mount it read-only and hunt in the folder"),
    // The last 512 bytes of an Apple disk image.
    (-512, b"koly", "an Apple disk image (DMG): convert it to raw (hdiutil convert -format UDTO)"),
];

/// Whether chunks of a log are here without the header of its file.
pub(super) fn is_headless(start: &[u8]) -> bool {
    const CHUNK: &[u8] = b"ElfChnk\0";
    [0, 4096].into_iter().any(|at| bytes::slice(start, at, CHUNK.len()) == Some(CHUNK))
}

/// What begins like this.
pub(super) fn kind(start: &[u8]) -> Kind {
    let has = |at, magic: &[u8]| bytes::slice(start, at, magic.len()) == Some(magic);
    if has(0, LOG_MAGIC) {
        return Kind::Log;
    }
    if let Some((.., format)) = FORMATS.iter().find(|(at, magic, _)| has(*at, magic)) {
        return Kind::Container(*format);
    }
    // bzip2: a block size from 1 to 9, then a block's magic or that of the end.
    if has(0, b"BZh") && start.get(3).is_some_and(|size| (b'1'..=b'9').contains(size)) {
        let block = has(4, &[0x31, 0x41, 0x59, 0x26, 0x53, 0x59]);
        if block || has(4, &[0x17, 0x72, 0x45, 0x38, 0x50, 0x90]) {
            return Kind::Container(Format::Bzip2);
        }
    }
    let unsupported = UNSUPPORTED.iter().find(|(at, magic, _)| has(*at, magic));
    match unsupported.map(|(.., what)| *what).or_else(|| super::image::unsupported(start)) {
        Some(what) => Kind::Unsupported(what),
        None if image(start).is_some() || DISKS.iter().any(|(at, magic)| has(*at, magic)) => {
            Kind::Disk
        }
        None => Kind::Other,
    }
}

/// Whether this begins as containers of a format do. (A tar archive of the oldest form has no mark, but
/// the checksum of its first header; one of nothing but zeros is empty.)
pub(super) fn begins_like(start: &[u8], format: Format) -> bool {
    let tar = || start.first_chunk().is_some_and(|block| is_tar_header(block) || is_zero(block));
    kind(start) == Kind::Container(format) || format == Format::Tar && tar()
}

fn is_zero(block: &[u8]) -> bool {
    block.iter().all(|byte| *byte == 0)
}

/// Whether the checksum of a tar header fits (POSIX.1-2017, pax, `chksum`: the sum of all bytes, those
/// of the field as blanks).
pub(super) fn is_tar_header(block: &[u8; 512]) -> bool {
    const FIELD: std::ops::Range<usize> = 148..156;
    let digits = block.get(FIELD).unwrap_or(&[]);
    let text = digits.iter().map(|byte| char::from(*byte)).collect::<String>();
    let told = u32::from_str_radix(text.trim_matches([' ', '\0']), 8);
    let sum = block.iter().enumerate().map(|(at, byte)| match FIELD.contains(&at) {
        true => u32::from(b' '),
        false => u32::from(*byte),
    });
    told == Ok(sum.sum())
}

/// The first bytes of a thing.
pub(super) fn start(bytes: &dyn ReadAt) -> io::Result<Vec<u8>> {
    let mut start = vec![0; SNIFFED];
    let n = bytes.read_at(0, &mut start)?;
    start.truncate(n);
    Ok(start)
}

/// Whether these bytes begin like an event log.
///
/// # Errors
/// If the first bytes cannot be read.
pub fn begins_like_a_log(bytes: &dyn ReadAt) -> io::Result<bool> {
    let mut start = [0; LOG_MAGIC.len()];
    Ok(bytes.read_at(0, &mut start)? == start.len() && start == *LOG_MAGIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_known_by_its_first_bytes() {
        for (bytes, want) in [
            (&b"ElfFile\0rest"[..], true),
            (b"ElfFile\0", true),
            (b"ElfFile", false),
            (b"", false),
            (b"ElfChnk\0", false),
        ] {
            assert_eq!(begins_like_a_log(&bytes.to_vec()).unwrap(), want, "{bytes:?}");
            assert_eq!(kind(bytes) == Kind::Log, want, "{bytes:?}");
        }
    }

    #[test]
    fn containers_are_known_by_their_content() {
        let supported = FORMATS.iter().map(|(at, magic, f)| (*at, *magic, Kind::Container(*f)));
        let others = UNSUPPORTED.iter().map(|(at, magic, w)| (*at, *magic, Kind::Unsupported(w)));
        let images = IMAGES.iter().map(|(at, magic, _)| (*at, *magic, Kind::Disk));
        let disks = DISKS.iter().map(|(at, magic)| (*at, *magic, Kind::Disk));
        for (at, magic, want) in supported.chain(others).chain(images).chain(disks) {
            assert!(at + magic.len() <= SNIFFED, "{want:?}");
            let mut bytes = vec![0x20; at];
            bytes.extend_from_slice(magic);
            assert_eq!(kind(&bytes), want);
            bytes.pop();
            assert_ne!(kind(&bytes), want);
        }
        assert_eq!(kind(b"plain text"), Kind::Other);
        assert_eq!(kind(b"BZh91AY&SY"), Kind::Container(Format::Bzip2));
        assert_eq!(kind(b"BZh0 and so on"), Kind::Other);
    }
}
