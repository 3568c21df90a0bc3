//! Disk images: what is read through every container and from NTFS is what the tools that made them
//! put in.
//!
//! `HARRIER_IMAGES` may name a folder of images of real logs.

use harrier::bytes::ReadAt;
use harrier::evidence::image::{
    self, FolderSiblings, Image, ImageFault, Kind, Ntfs, NtfsFile, Scan, State,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Everything in a source, read in pieces of odd sizes.
fn all(bytes: &dyn ReadAt) -> Vec<u8> {
    let mut data = vec![0; usize::try_from(bytes.size()).unwrap()];
    let (mut at, mut step) = (0, 100_001);
    while at < data.len() {
        let end = data.len().min(at + step);
        let n = bytes.read_at(at as u64, &mut data[at..end]).unwrap();
        assert_ne!(n, 0, "it ends at {at}");
        at += n;
        step = if step == 100_001 { 1 << 20 } else { 100_001 };
    }
    data
}

fn open_file(path: &Path) -> Arc<dyn ReadAt> {
    let source = harrier::evidence::Walk::new(&[path.to_owned()]).next();
    let Some(harrier::evidence::Found::Source(source)) = source else {
        panic!("{} is not found", path.display());
    };
    source.open().unwrap()
}

fn open_image(path: &Path) -> Option<Image> {
    image::open(&open_file(path), &FolderSiblings::of(path)).unwrap()
}

fn scan(disk: &Arc<dyn ReadAt>) -> Scan {
    let volumes = image::volumes(disk);
    assert_eq!(volumes.faults, Vec::<String>::new());
    let ntfs = volumes.volumes.iter().find(|v| v.kind == Kind::Ntfs).expect("an NTFS volume");
    let scan = Ntfs::open(ntfs.bytes.clone()).unwrap().scan();
    assert_eq!((scan.torn, scan.unreadable, &scan.faults), (0, 0, &Vec::new()));
    scan
}

fn by_path(scan: &Scan) -> BTreeMap<&str, &NtfsFile> {
    scan.files.iter().map(|file| (file.path.as_str(), file)).collect()
}

fn images() -> Option<PathBuf> {
    let folder = std::env::var_os("HARRIER_IMAGES").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: HARRIER_IMAGES names no folder of images");
    }
    folder
}

/// Images of one disk in the set that `HARRIER_IMAGES` names.
const CONTAINERS: &[&str] = &[
    "gpt.001",
    "gpt.E01",
    "gptbest.E01",
    "gptnone.E01",
    "dyn.vhd",
    "fixed.vhd",
    "dyn.vhdx",
    "fixed.vhdx",
    "sparse.vmdk",
    "stream.vmdk",
    "flat.vmdk",
    "split.vmdk",
    "plain.qcow2",
    "v2.qcow2",
    "extl2.qcow2",
    "zlib.qcow2",
    "zstd.qcow2",
    "overlay.qcow2",
];

/// Parts of them, and the files that they are read with.
const PARTS: &[(&str, &str)] = &[
    ("gpt.002", "gpt.001"),
    ("gpt.E02", "gpt.E01"),
    ("gpt.E03", "gpt.E01"),
    ("flat-flat.vmdk", "flat.vmdk"),
    ("split-s001.vmdk", "split.vmdk"),
];

const LOGS: &str = "Windows/System32/winevt/Logs/";

/// Checks a volume of the set that `HARRIER_IMAGES` names.
fn check_set(folder: &Path, scan: &Scan) {
    let files = by_path(scan);
    let mut count = 0;
    for entry in std::fs::read_dir(folder.join("stage/Logs")).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{LOGS}{}", entry.file_name().to_str().unwrap());
        let file = files.get(name.as_str()).unwrap_or_else(|| panic!("{name} is not found"));
        assert!(all(&*file.bytes) == std::fs::read(entry.path()).unwrap(), "{name}");
        assert_eq!((file.state, &file.faults), (State::Live, &Vec::new()));
        count += 1;
    }
    let big = std::fs::read(folder.join("stage/big.evtx")).unwrap();
    let mut sparse = big[..69632].to_vec();
    sparse.resize(8 << 20, 0);
    sparse.extend_from_slice(&big[..65536]);
    assert!(all(&*files["Lab/lznt1/compressed.evtx"].bytes) == big);
    assert!(all(&*files["Lab/sparse.evtx"].bytes) == sparse);
    let deleted = files["Lab/deleted.evtx"];
    assert_eq!((deleted.state, deleted.reused), (State::Deleted, 0));
    assert!(all(&*deleted.bytes) == big[..big.len().min(1_118_208)]);
    assert_eq!(scan.files.len(), count + 3);
}

#[test]
fn real_volumes_of_every_layout() {
    let Some(folder) = images() else { return };
    for name in ["ntfs.raw", "gpt.raw", "mbr.raw"] {
        let disk = open_file(&folder.join(name));
        assert!(open_image(&folder.join(name)).is_none());
        check_set(&folder, &scan(&disk));
    }
    let fragmented = scan(&open_file(&folder.join("frag.raw")));
    let files = by_path(&fragmented);
    let big = std::fs::read(folder.join("stage/big.evtx")).unwrap();
    assert!(all(&*files["fragmented.evtx"].bytes) == big);
    let list: Vec<u8> = big.iter().copied().cycle().take((4 * big.len()).min(11 << 20)).collect();
    assert!(all(&*files["attrlist.evtx"].bytes) == list);
    println!("{} runs", files["attrlist.evtx"].extents.len());
}

#[test]
fn real_containers() {
    let Some(folder) = images() else { return };
    let raw = all(&*open_file(&folder.join("gpt.raw")));
    for name in CONTAINERS {
        let image = open_image(&folder.join(name)).unwrap();
        println!("{name}: {}", image.kind);
        assert!(all(&*image.bytes) == raw, "{name}");
        assert!(image.damage.ranges().is_empty());
        assert_eq!(image.faults, Vec::<String>::new());
        check_set(&folder, &scan(&image.bytes));
    }
    for (part, whole) in PARTS {
        let path = folder.join(part);
        match image::open(&open_file(&path), &FolderSiblings::of(&path)) {
            Err(ImageFault::PartOf { first }) => assert_eq!(first, *whole),
            other => panic!("{part}: {other:?}"),
        }
    }
}
