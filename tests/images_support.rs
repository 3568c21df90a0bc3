//! The shipped disk images, unpacked, and ways to read them. `fixtures/images/make.sh` made them.

use harrier::bytes::ReadAt;
use harrier::evidence::image::{self, Image, ImageFault, Kind, Ntfs, NtfsFile, Scan, Siblings};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Images of one disk in the set that `HARRIER_IMAGES` names.
pub const SET: &[&str] = &[
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

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// A shipped image.
pub fn unpacked(name: &str) -> Vec<u8> {
    let path = fixture("images").join(format!("{name}.zst"));
    let packed = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    zstd::decode_all(&packed[..]).unwrap()
}

/// The log that is in most images, and the longer one.
pub fn logs() -> (Vec<u8>, Vec<u8>) {
    let read = |name: &str| std::fs::read(fixture("evidence/WS-0417").join(name)).unwrap();
    (read("Security.evtx"), read("Microsoft-Windows-Sysmon%4Operational.evtx"))
}

/// Files by name, of which one is being opened.
#[derive(Clone, Default)]
pub struct Folder {
    pub files: BTreeMap<String, Arc<Vec<u8>>>,
    pub own: String,
}

impl Folder {
    /// A folder of these files.
    pub fn of(files: &[(&str, Vec<u8>)]) -> Folder {
        let entry = |(name, data): &(&str, Vec<u8>)| ((*name).to_owned(), Arc::new(data.clone()));
        Folder { files: files.iter().map(entry).collect(), own: String::new() }
    }

    pub fn open_image(&self, name: &str) -> Result<Option<Image>, ImageFault> {
        let bytes: Arc<dyn ReadAt> = self.files[name].clone();
        image::open(&bytes, &Folder { own: name.to_owned(), ..self.clone() })
    }
}

impl Siblings for Folder {
    fn own_name(&self) -> &str {
        &self.own
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn ReadAt>> {
        assert!(!name.contains(['/', '\\']) && name != "..", "{name} is asked for");
        match self.files.get(name) {
            Some(file) => Ok(file.clone()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

/// The containers of `disk.raw`: the file to open, what it is called, and the files that there are.
pub const CONTAINERS: &[(&str, &str, &[&str])] = &[
    ("disk.E01", "an E01 image", &[]),
    ("stored.E01", "an E01 image", &["stored.E02", "stored.E03", "stored.E04"]),
    ("dynamic.vhd", "a dynamic VHD image", &[]),
    ("fixed.vhd", "a fixed VHD image", &[]),
    ("disk.vhdx", "a VHDX image", &[]),
    ("sparse.vmdk", "a sparse VMDK image", &[]),
    ("stream.vmdk", "a compressed VMDK image", &[]),
    ("flat.vmdk", "a VMDK image", &["flat-flat.vmdk"]),
    ("split.vmdk", "a VMDK image", &["split-s001.vmdk"]),
    ("v2.qcow2", "a qcow2 image", &[]),
    ("extended.qcow2", "a qcow2 image", &[]),
    ("zlib.qcow2", "a qcow2 image", &[]),
    ("zstd.qcow2", "a qcow2 image", &[]),
    ("overlay.qcow2", "a qcow2 image", &["v2.qcow2"]),
];

/// A container with the files that it needs.
pub fn container(name: &str, others: &[&str]) -> Folder {
    let mut folder = Folder::of(&[(name, unpacked(name))]);
    for other in others {
        // What is the same as another file is shipped once.
        let data = if *other == "flat-flat.vmdk" { unpacked("disk.raw") } else { unpacked(other) };
        folder.files.insert((*other).to_owned(), Arc::new(data));
    }
    folder
}

/// Everything in a source, read in pieces of odd sizes.
pub fn all(bytes: &dyn ReadAt) -> Vec<u8> {
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

/// What can be read of a source, sector by sector, and `None` for what cannot.
pub fn sectors(bytes: &dyn ReadAt) -> Vec<Option<[u8; 512]>> {
    (0..bytes.size() / 512)
        .map(|n| {
            let mut sector = [0; 512];
            (bytes.read_at(n * 512, &mut sector).ok()? == 512).then_some(sector)
        })
        .collect()
}

/// The logs on the NTFS volume of a sound disk.
pub fn scan(disk: &Arc<dyn ReadAt>) -> Scan {
    let volumes = image::volumes(disk);
    assert_eq!(volumes.faults, Vec::<String>::new());
    let ntfs = volumes.volumes.iter().find(|v| v.kind == Kind::Ntfs).expect("an NTFS volume");
    let scan = Ntfs::open(ntfs.bytes.clone()).unwrap().scan();
    assert_eq!((scan.torn, scan.unreadable, &scan.faults), (0, 0, &Vec::new()));
    scan
}

pub fn by_path(scan: &Scan) -> BTreeMap<&str, &NtfsFile> {
    scan.files.iter().map(|file| (file.path.as_str(), file)).collect()
}

/// Whether a program is there; says aloud what is skipped if not.
pub fn has_tool(tool: &str, what: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).any(|folder| folder.join(tool).is_file());
    if !found {
        println!("skipped: {what}: {tool} is not installed");
    }
    found
}
