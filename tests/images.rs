//! Disk images: what is read through every container and from NTFS is what the tools that made them
//! put in.
//!
//! The shipped images are read everywhere; where qemu-img, libewf and The Sleuth Kit are installed,
//! they have to read the same. `HARRIER_IMAGES` may name a folder of larger images of real logs.

use crate::images_support::{
    CONTAINERS, Folder, SET, all, by_path, container, fixture, has_tool, logs, scan, unpacked,
};
use harrier::bytes::ReadAt;
use harrier::evidence::image::{
    self, FolderSiblings, Image, ImageFault, Ntfs, Scan, Scheme, State,
};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// Checks the small volume that all containers hold.
fn check_small(disk: &Arc<dyn ReadAt>) {
    let volumes = image::volumes(disk);
    assert_eq!(volumes.scheme, Scheme::Mbr);
    let places: Vec<_> =
        volumes.volumes.iter().map(|v| (v.name.as_str(), v.offset, v.size)).collect();
    assert_eq!(places, [("p1", 1 << 20, 2 << 20)]);
    let (log, _) = logs();
    let scan = scan(disk);
    let files = by_path(&scan);
    assert_eq!(files.keys().collect::<Vec<_>>(), [&"Logs/Security.evtx", &"Logs/gone.evtx"]);
    assert!(all(&*files["Logs/Security.evtx"].bytes) == log);
    assert!(all(&*files["Logs/gone.evtx"].bytes) == log[..20_000]);
    assert_eq!(files["Logs/gone.evtx"].state, State::Deleted);
}

#[test]
fn every_container_gives_the_disk() {
    let disk = unpacked("disk.raw");
    for (name, kind, others) in CONTAINERS {
        let image = container(name, others).open_image(name).unwrap().unwrap();
        assert_eq!((image.kind, &image.faults), (*kind, &Vec::new()), "{name}");
        assert!(all(&*image.bytes) == disk, "{name}");
        check_small(&image.bytes);
        assert_eq!(image.damage.ranges(), [], "{name}");
        assert_eq!(image.bytes.read_at(disk.len() as u64, &mut [0; 8]).unwrap(), 0);
        assert_eq!(image.bytes.read_at(u64::MAX, &mut [0; 8]).unwrap(), 0);
    }
    let raw: Arc<dyn ReadAt> = Arc::new(disk.clone());
    assert!(Folder::of(&[("disk.raw", disk)]).open_image("disk.raw").unwrap().is_none());
    check_small(&raw);
}

#[test]
fn many_threads_read_one_image() {
    let disk = unpacked("disk.raw");
    for (name, _, others) in CONTAINERS {
        let image = container(name, others).open_image(name).unwrap().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4usize {
                let (image, disk) = (&image, &disk);
                scope.spawn(move || {
                    let mut buf = vec![0; 70_000];
                    for n in 0..40 {
                        let at = (n * 131_071 + thread * 65_537) % (disk.len() - buf.len());
                        let mut done = 0;
                        while done < buf.len() {
                            let place = (at + done) as u64;
                            done += image.bytes.read_at(place, &mut buf[done..]).unwrap();
                        }
                        assert!(buf == disk[at..at + buf.len()], "{name} at {at}");
                    }
                });
            }
        });
    }
}

#[test]
fn parts_belong_to_what_names_them() {
    let disk = unpacked("disk.raw");
    let mut folder = container("stored.E01", &["stored.E02", "stored.E03", "stored.E04"]);
    for (name, others) in [("flat.vmdk", "flat-flat.vmdk"), ("split.vmdk", "split-s001.vmdk")] {
        folder.files.extend(container(name, &[others]).files);
    }
    for (n, part) in (1..).zip(disk.chunks(1 << 20)) {
        folder.files.insert(format!("disk.{n:03}"), Arc::new(part.to_vec()));
        folder.files.insert(format!("zero.{:03}", n - 1), Arc::new(part.to_vec()));
        let letter = char::from(b'a' + n as u8 - 1);
        folder.files.insert(format!("letters.aa{letter}"), Arc::new(part.to_vec()));
        folder.files.insert(format!("rotated.log.{n:03}"), Arc::new(vec![b'x'; 1000]));
    }
    for (part, first) in [
        ("disk.002", "disk.001"),
        ("disk.004", "disk.001"),
        ("zero.001", "zero.000"),
        ("zero.003", "zero.000"),
        ("letters.aac", "letters.aaa"),
        ("stored.E03", "stored.E01"),
        ("flat-flat.vmdk", "flat.vmdk"),
        ("split-s001.vmdk", "split.vmdk"),
    ] {
        match folder.open_image(part) {
            Err(ImageFault::PartOf { first: told }) => assert_eq!(told, first, "{part}"),
            other => panic!("{part}: {other:?}"),
        }
    }
    for first in ["disk.001", "zero.000", "letters.aaa"] {
        let image = folder.open_image(first).unwrap().unwrap();
        assert!(all(&*image.bytes) == disk, "{first}");
        assert_eq!(image.faults, Vec::<String>::new());
    }
    for name in ["rotated.log.001", "rotated.log.002"] {
        assert!(folder.open_image(name).unwrap().is_none(), "{name}");
    }
    for name in ["flat-flat.vmdk", "disk.002"] {
        let alone = Folder::of(&[(name, disk.clone())]);
        assert!(alone.open_image(name).unwrap().is_none(), "{name} alone is what it is");
    }
    let alone = Folder::of(&[("stored.E02", unpacked("stored.E02"))]);
    let fault = alone.open_image("stored.E02").unwrap_err().to_string();
    assert!(fault.contains("segment 2") && fault.contains("first is not here"), "{fault}");
}

#[test]
fn a_volume_with_files_of_every_layout() {
    let volume: Arc<dyn ReadAt> = Arc::new(unpacked("volume.raw"));
    let (log, long) = logs();
    let scan = scan(&volume);
    let files = by_path(&scan);
    let sysmon = "Windows/System32/winevt/Logs/Microsoft-Windows-Sysmon%4Operational.evtx";
    let mut sparse = log[..4096].to_vec();
    sparse.resize(1 << 20, 0);
    sparse.extend_from_slice(&log[4096..]);
    let want: &[(&str, Vec<u8>)] = &[
        ("Lab/attrlist.evtx", long.repeat(13)),
        ("Lab/gone/deleted.evtx", long.clone()),
        ("Lab/packed/compressed.evtx", long.clone()),
        ("Lab/renamed.bin", log.clone()),
        ("Lab/resident.evtx", log[..100].to_vec()),
        ("Lab/sparse.evtx", sparse),
        ("Lab/ÄÖ 日本.EVTX", log.clone()),
        (sysmon, long.clone()),
        ("Windows/System32/winevt/Logs/Security.evtx", log.clone()),
    ];
    assert_eq!(
        files.keys().copied().collect::<Vec<_>>(),
        want.iter().map(|w| w.0).collect::<Vec<_>>()
    );
    for (path, data) in want {
        let file = files[path];
        assert!(all(&*file.bytes) == *data, "{path}");
        assert_eq!((file.size, &file.faults), (data.len() as u64, &Vec::new()), "{path}");
        let deleted = *path == "Lab/gone/deleted.evtx";
        assert_eq!(file.state, if deleted { State::Deleted } else { State::Live }, "{path}");
        assert_eq!(file.reused, 0);
        let mapped: u64 = file.extents.iter().map(|e| e.end - e.start).sum();
        assert_eq!(mapped == 0, *path == "Lab/resident.evtx", "{path}");
    }
    assert!(files["Lab/attrlist.evtx"].extents.len() > 300, "it has to take several records");
    let ntfs = Ntfs::open(volume.clone()).unwrap();
    let free = ntfs.unallocated().unwrap();
    assert!(free.windows(2).all(|pair| pair[0].end < pair[1].start));
    let overlap = |path: &str| {
        let meets =
            |a: &std::ops::Range<u64>| free.iter().any(|b| a.start < b.end && b.start < a.end);
        files[path].extents.iter().filter(|extent| meets(extent)).count()
    };
    assert_eq!(overlap("Lab/attrlist.evtx"), 0);
    assert_eq!(overlap("Lab/gone/deleted.evtx"), files["Lab/gone/deleted.evtx"].extents.len());
}

/// Runs a tool and gives what it prints.
fn run(tool: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(tool).args(arguments).output().unwrap();
    assert!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn other_tools_read_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for (name, _, others) in CONTAINERS {
        for (file, data) in container(name, others).files {
            std::fs::write(at(&file), &*data).unwrap();
        }
    }
    if has_tool("qemu-img", "the comparison of virtual disks") {
        for (name, ..) in CONTAINERS.iter().filter(|c| !c.0.ends_with(".E01")) {
            // It does not know a fixed VHD by itself.
            let format: &[&str] = if name.ends_with(".vhd") { &["-f", "vpc"] } else { &[] };
            let (path, out) = (at(name), at("out"));
            let arguments = [&["convert"], format, &["-O", "raw", &path, &out]].concat();
            run("qemu-img", &arguments);
            let image = open_image(Path::new(&at(name))).unwrap();
            assert!(all(&*image.bytes) == std::fs::read(at("out")).unwrap(), "{name}");
        }
    }
    if has_tool("ewfexport", "the comparison of E01 images") {
        for name in ["disk.E01", "stored.E01"] {
            run("ewfexport", &["-q", "-u", "-t", &at("ewf"), "-f", "raw", &at(name)]);
            let image = open_image(Path::new(&at(name))).unwrap();
            assert!(all(&*image.bytes) == std::fs::read(at("ewf.raw")).unwrap(), "{name}");
            std::fs::remove_file(at("ewf.raw")).unwrap();
        }
    }
    if has_tool("icat", "the comparison of files on NTFS") {
        std::fs::write(at("volume"), unpacked("volume.raw")).unwrap();
        let listed = String::from_utf8(run("fls", &["-r", "-p", &at("volume")])).unwrap();
        let scan = scan(&open_file(Path::new(&at("volume"))));
        assert_eq!(scan.files.len(), 9);
        for file in &scan.files {
            let data = run("icat", &["-r", &at("volume"), &file.record.to_string()]);
            assert!(all(&*file.bytes) == data, "{}", file.path);
            if file.state == State::Live {
                assert!(listed.lines().any(|line| line.ends_with(&file.path)), "{}", file.path);
            }
        }
    }
}

#[test]
fn evidence_is_only_read() {
    let path = fixture("images/disk.raw.zst");
    let before = std::fs::read(&path).unwrap();
    assert!(open_image(&path).is_none());
    assert!(std::fs::read(&path).unwrap() == before);
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

fn images() -> Option<PathBuf> {
    let folder = std::env::var_os("HARRIER_IMAGES").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: HARRIER_IMAGES names no folder of images");
    }
    folder
}

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
    for name in SET {
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
