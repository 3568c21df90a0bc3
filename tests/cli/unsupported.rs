//! What cannot be looked into is named, with what to do: it is never taken for a file of no interest.

use super::bench::Bench;
use super::containers::hunt;
use serde_json::json;

/// So many bytes with these at their places; a place below zero is counted from the end.
fn bytes(size: usize, parts: &[(i64, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; size];
    for (at, part) in parts {
        let at = if *at < 0 { size as i64 + at } else { *at } as usize;
        bytes[at..at + part.len()].copy_from_slice(part);
    }
    bytes
}

/// A disk with a master boot record and one partition from 1 MiB on, that begins with these.
fn disk(parts: &[(i64, &[u8])]) -> Vec<u8> {
    let slot = [0, 0, 0, 0, 0x07, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0];
    let mut disk = bytes(2 << 20, &[(446, &slot), (510, b"\x55\xaa")]);
    disk[1 << 20..].copy_from_slice(&bytes(1 << 20, parts));
    disk
}

type Parts = &'static [(i64, &'static [u8])];

#[test]
fn what_cannot_be_looked_into_is_named() {
    const BOOT: (i64, &[u8]) = (510, b"\x55\xaa");
    // The size of a block, how many inodes, and the magic.
    const EXT: Parts = &[(1024, b"\x01"), (1024 + 24, b"\x02"), (1080, b"\x53\xef")];
    const KIB: usize = 1 << 10;
    let rows: &[(&str, usize, Parts, &str)] = &[
        (
            "x.Ex01",
            KIB,
            &[(0, b"EVF2\r\n\x81\0")],
            "an Ex01 image (EnCase 7): export it as E01 or raw",
        ),
        ("x.L01", KIB, &[(0, b"LVF\x09\r\n\xff\0")], "an L01 logical image: export the files"),
        ("x.Lx01", KIB, &[(0, b"LEF2\r\n\x81\0")], "an Lx01 logical image: export the files"),
        ("x.aff", KIB, &[(0, b"AFF10\r\n\0")], "an AFF image: convert it to raw"),
        ("x.ad1", KIB, &[(0, b"ADSEGMENTEDFILE\0")], "an AD1 logical image: export the files"),
        ("x.vdi", KIB, &[(64, b"\x7f\x10\xda\xbe")], "a VirtualBox VDI disk: convert it to raw"),
        ("x.hds", KIB, &[(0, b"WithoutFreeSpace")], "a Parallels disk: convert it to raw"),
        ("x.vmdk", KIB, &[(0, b"COWD")], "an ESXi COWD disk: convert it"),
        ("s.vmdk", KIB, &[(0, b"\xbe\xba\xfe\xca\0\0\0\0")], "an ESXi seSparse disk: consolidate"),
        ("x.wim", KIB, &[(0, b"MSWIM\0\0\0")], "a WIM image: extract the files in it"),
        ("x.dmg", 64 * KIB, &[(-512, b"koly")], "an Apple disk image (DMG): convert it to raw"),
        ("e.dmg", KIB, &[(0, b"encrcdsa")], "an encrypted Apple disk image: decrypt it"),
        ("x.iso", 64 * KIB, &[(0x8001, b"CD001")], "an ISO 9660 image: mount it"),
        ("h.iso", 64 * KIB, &[BOOT, (0x8001, b"CD001")], "an ISO 9660 image: mount it"),
        ("x.rar", KIB, &[(0, b"Rar!\x1a\x07\x01\0")], "a RAR archive: unpack it"),
        ("x.cab", KIB, &[(0, b"MSCF\0\0\0\0")], "a CAB archive: unpack it"),
        ("x.ace", KIB, &[(7, b"**ACE**")], "an ACE archive: unpack it"),
        ("x.lz4", KIB, &[(0, b"\x04\x22\x4d\x18")], "packed with LZ4: unpack it"),
        ("x.z01", KIB, &[(0, b"PK\x07\x08PK\x03\x04")], "the first part of a zip archive in parts"),
        (
            "x.evt",
            KIB,
            &[(0, b"\x30\0\0\0LfLe")],
            "an event log of Windows XP or Server 2003 (EVT)",
        ),
        ("ext4", 64 * KIB, EXT, "ext2, ext3 or ext4: mount it read-only"),
        ("xfs", KIB, &[(0, b"XFSB")], "XFS: mount it read-only"),
        ("apfs", KIB, &[(32, b"NXSB")], "APFS: mount it read-only"),
        ("hfs", 4 * KIB, &[(1024, b"H+\0\x04")], "HFS+: mount it read-only"),
        ("btrfs", 128 * KIB, &[(0x1_0040, b"_BHRfS_M")], "Btrfs: mount it read-only"),
        (
            "fat",
            KIB,
            &[(82, b"FAT32   "), BOOT],
            "FAT32: mount it read-only and hunt in the folder, or",
        ),
        ("fat16", KIB, &[(54, b"FAT16   "), BOOT], "FAT16: mount it read-only"),
        ("exfat", KIB, &[(3, b"EXFAT   "), BOOT], "exFAT: mount it read-only"),
        ("refs", KIB, &[(3, b"ReFS\0\0\0\0")], "ReFS: mount it"),
        ("bitlocker", KIB, &[(3, b"-FVE-FS-"), BOOT], "encrypted with BitLocker: unlock it"),
        ("luks", KIB, &[(0, b"LUKS\xba\xbe")], "LUKS, which is encrypted: unlock it"),
        ("lvm", KIB, &[(512, b"LABELONE")], "LVM2: put the volume together"),
        (
            "pool",
            8 * KIB,
            &[(4096, b"SPACEDB ")],
            "a disk of Storage Spaces: put the volume together",
        ),
    ];
    let bench = Bench::new();
    let mut files: Vec<(String, Vec<u8>, &str)> = Vec::new();
    for (name, size, parts, says) in rows {
        files.push(((*name).to_owned(), bytes(*size, parts), says));
        // File systems are found in partitions, too.
        let is_volume = !name.contains('.');
        if is_volume {
            files.push((format!("disk-{name}"), disk(parts), says));
        }
    }
    for (name, content, says) in files {
        bench.file(&format!("case/{name}"), &content);
        for evidence in ["case".to_owned(), format!("case/{name}")] {
            let (code, hits, ledger, err) = hunt(&bench, &evidence);
            assert_eq!((code, hits.len()), (1, 0), "{evidence} {name}: {err}");
            assert!(err.contains(says), "{evidence} {name}: {err}");
            let totals = &ledger["totals"];
            assert_eq!(totals["imbalances"], json!([]), "{name}");
            assert_eq!(totals["sources"]["unsupported"], 1, "{name}: {totals}");
            assert_eq!(totals["complete"], false, "{name}");
        }
        std::fs::remove_file(bench.path(&format!("case/{name}"))).unwrap();
    }
}

/// An image in AFF4 is a zip archive, and its members are no files of a host.
#[test]
fn an_aff4_image_is_named() {
    let bench = Bench::new();
    let files = ["container.description", "information.turtle", "data/00000000"];
    let files = files.map(|name| (name.to_owned(), b"aff4://x".to_vec())).to_vec();
    bench.file("case/x.aff4", &super::containers::zipped(&files, super::containers::stored()));
    let (code, _, ledger, err) = hunt(&bench, "case");
    assert_eq!((code, &ledger["totals"]["sources"]["unsupported"]), (1, &1.into()), "{err}");
    assert!(err.contains("an AFF4 image"), "{err}");
}
