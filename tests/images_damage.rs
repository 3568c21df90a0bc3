//! Damaged and hostile disk images: what is sound of them is read as it was, what is not is told, and
//! nothing makes the reader panic or search for ever.

use crate::images_support::{
    CONTAINERS, Folder, all, by_path, container, logs, scan, sectors, unpacked,
};
use harrier::bytes::ReadAt;
use harrier::evidence::image::{self, Image, Kind, NoSiblings, Ntfs, Scheme};
use std::io;
use std::sync::Arc;

/// Bytes of which some are changed.
struct Changed {
    bytes: Arc<Vec<u8>>,
    at: u64,
    mask: u8,
}

impl ReadAt for Changed {
    fn size(&self) -> u64 {
        self.bytes.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.bytes.read_at(offset, buf)?;
        let place = self.at.checked_sub(offset).and_then(|at| usize::try_from(at).ok());
        if let Some(byte) = place.and_then(|at| buf[..n].get_mut(at)) {
            *byte ^= self.mask;
        }
        Ok(n)
    }
}

/// Reads here and there, whatever comes.
fn taste(bytes: &dyn ReadAt) {
    let size = bytes.size();
    let mut buf = vec![0; 70_000];
    for at in [0, 511, size / 3, size / 2, size.saturating_sub(10), size, u64::MAX - 5] {
        if let Ok(n) = bytes.read_at(at, &mut buf) {
            assert!(n <= buf.len());
        }
    }
}

/// Looks at everything in an image.
fn explore(image: &Image) {
    taste(&*image.bytes);
    for volume in image::volumes(&image.bytes).volumes {
        taste(&*volume.bytes);
        if volume.kind == Kind::Ntfs {
            explore_volume(&volume.bytes);
        }
    }
    for range in image.damage.ranges() {
        assert!(range.len > 0 && !range.why.is_empty());
    }
}

fn explore_volume(volume: &Arc<dyn ReadAt>) -> usize {
    let Ok(ntfs) = Ntfs::open(volume.clone()) else { return 0 };
    let scan = ntfs.scan();
    for file in &scan.files {
        assert!(!file.path.is_empty());
        taste(&*file.bytes);
    }
    if let Ok(free) = ntfs.unallocated() {
        assert!(free.windows(2).all(|pair| pair[0].end <= pair[1].start));
    }
    scan.files.len()
}

#[test]
fn a_changed_byte_in_a_containers_structures_does_no_harm() {
    for (name, _, others) in CONTAINERS {
        let folder = container(name, others);
        let bytes = folder.files[*name].clone();
        let len = bytes.len() as u64;
        let own = Folder { own: (*name).to_owned(), ..folder };
        // Headers, the tables that stand at rounded places, the end.
        let places = (0..600).chain((1..=20).flat_map(|n| (n << 16)..(n << 16) + 96));
        let places = places.chain(len.saturating_sub(1100)..len).filter(|at| *at < len);
        let (mut opened, mut refused) = (0, 0);
        for (n, at) in places.step_by(7).enumerate() {
            let mask = [1, 0x80, 0xff][n % 3];
            let changed: Arc<dyn ReadAt> = Arc::new(Changed { bytes: bytes.clone(), at, mask });
            match image::open(&changed, &own) {
                Ok(Some(image)) => {
                    opened += 1;
                    explore(&image);
                }
                Ok(None) => {}
                Err(fault) => {
                    refused += 1;
                    assert!(!fault.to_string().is_empty());
                }
            }
        }
        println!("{name}: {opened} opened, {refused} refused");
        assert!(opened + refused > 0);
    }
}

#[test]
fn an_e01_never_gives_wrong_bytes() {
    let disk = unpacked("disk.raw");
    let want = sectors(&disk);
    for (name, others) in
        [("disk.E01", &[][..]), ("stored.E01", &["stored.E02", "stored.E03", "stored.E04"][..])]
    {
        let folder = container(name, others);
        let (mut whole, mut lost) = (0, 0);
        for file in folder.files.keys() {
            let bytes = &folder.files[file];
            for at in
                (0..bytes.len()).step_by(9973).chain(0..13).chain(bytes.len() - 90..bytes.len())
            {
                let mut changed = folder.clone();
                let mut data = bytes.to_vec();
                data[at] ^= 0x10;
                changed.files.insert(file.clone(), Arc::new(data));
                let Ok(Some(image)) = changed.open_image(name) else { continue };
                let got = sectors(&*image.bytes);
                assert_eq!(got.len(), want.len(), "{file} at {at}");
                let bad = got.iter().filter(|sector| sector.is_none()).count();
                let sound = got.iter().zip(&want).all(|(got, want)| got.is_none() || got == want);
                assert!(sound, "{file} at {at} gives wrong bytes");
                let told: u64 = image.damage.ranges().iter().map(|range| range.len).sum();
                assert_eq!(bad as u64 * 512, told, "{file} at {at}");
                (whole, lost) = (whole + usize::from(bad == 0), lost + usize::from(bad == 64));
            }
        }
        println!("{name}: {whole} whole, {lost} lost a chunk");
        assert!(lost > 5, "most changes are in one chunk");
    }
}

#[test]
fn segments_that_are_missing_or_cut_are_told_and_the_rest_is_read() {
    let disk = unpacked("disk.raw");
    let want = sectors(&disk);
    let whole = container("stored.E01", &["stored.E02", "stored.E03", "stored.E04"]);
    let cut = |name: &str, len: usize| {
        let mut folder = whole.clone();
        let data = folder.files[name][..len].to_vec();
        folder.files.insert(name.to_owned(), Arc::new(data));
        folder
    };
    let without = |name: &str| {
        let mut folder = whole.clone();
        folder.files.remove(name);
        folder
    };
    let mut foreign = whole.clone();
    let mut other = foreign.files["stored.E02"].to_vec();
    other[9] = 3;
    foreign.files.insert("stored.E02".to_owned(), Arc::new(other));
    for (folder, fault, most) in [
        (without("stored.E02"), "stored.E02 is missing", 1 << 20),
        (without("stored.E03"), "stored.E03 is missing", 1 << 20),
        (without("stored.E04"), "stored.E04 is missing", 1 << 20),
        (cut("stored.E04", 60_000), "stored.E04 ends before it should", 1 << 20),
        (cut("stored.E02", 90_000), "stored.E02 ends before it should", 1 << 20),
        (foreign, "stored.E02 is no segment 2", 1 << 20),
    ] {
        let image = folder.open_image("stored.E01").unwrap().unwrap();
        assert!(image.faults.iter().any(|told| told.contains(fault)), "{:?}", image.faults);
        let got = sectors(&*image.bytes);
        assert!(got.iter().zip(&want).all(|(got, want)| got.is_none() || got == want), "{fault}");
        let bad = got.iter().filter(|sector| sector.is_none()).count() * 512;
        assert!(bad > 0 && bad <= most, "{fault}: {bad} bytes are lost");
    }
}

#[test]
fn a_table_of_an_e01_has_a_copy() {
    let disk = unpacked("disk.raw");
    let bytes = unpacked("disk.E01");
    let find = |kind: &[u8]| bytes.windows(16).position(|w| w == kind).unwrap();
    let (first, second) =
        (find(b"table\0\0\0\0\0\0\0\0\0\0\0"), find(b"table2\0\0\0\0\0\0\0\0\0\0"));
    let image = |places: &[usize]| {
        let mut bytes = bytes.clone();
        places.iter().for_each(|at| bytes[at + 76 + 24] ^= 1);
        Folder::of(&[("a.E01", bytes)]).open_image("a.E01").unwrap().unwrap()
    };
    let one = image(&[first]);
    assert!(one.faults[0].contains("its copy is used"), "{:?}", one.faults);
    assert!(all(&*one.bytes) == disk);
    let none = image(&[first, second]);
    assert!(none.faults[0].contains("its copy too"), "{:?}", none.faults);
    assert!(sectors(&*none.bytes).iter().all(Option::is_none));
    let told: Vec<_> = none.damage.ranges().iter().map(|r| (r.offset, r.len)).collect();
    assert_eq!(told, [(0, disk.len() as u64)]);
}

#[test]
fn a_missing_or_short_part_is_a_hole() {
    let disk = unpacked("disk.raw");
    let want = sectors(&disk);
    let mut folder = Folder::default();
    for (n, part) in (1..).zip(disk.chunks(512 << 10)) {
        folder.files.insert(format!("disk.{n:03}"), Arc::new(part.to_vec()));
    }
    folder.files.remove("disk.003");
    folder.files.insert("disk.005".to_owned(), Arc::new(disk[4 << 19..(4 << 19) + 1024].to_vec()));
    let image = folder.open_image("disk.001").unwrap().unwrap();
    assert_eq!(image.faults, ["disk.003 is missing", "disk.005 is too short"]);
    let got = sectors(&*image.bytes);
    assert!(got.iter().zip(&want).all(|(got, want)| got.is_none() || got == want));
    assert_eq!(got.iter().filter(|sector| sector.is_none()).count(), 1024 + 1022);
    let told: Vec<_> = image.damage.ranges().iter().map(|r| (r.offset, r.len)).collect();
    assert_eq!(told, [(1 << 20, 512 << 10), ((2 << 20) + 1024, (512 << 10) - 1024)]);
}

#[test]
fn names_in_an_image_lead_nowhere_else() {
    let mut overlay = unpacked("overlay.qcow2");
    let at = overlay.windows(8).position(|w| w == b"v2.qcow2").unwrap();
    for name in [b"../a.img", b"/etc/pas", b"a\\b.qcow", b"C:a.img\0", b"absent.q"] {
        overlay[at..at + 8].copy_from_slice(name);
        let fault = Folder::of(&[("a.qcow2", overlay.clone())]).open_image("a.qcow2").unwrap_err();
        assert!(fault.to_string().contains("next to"), "{fault}");
    }
    // It stands on itself.
    overlay[at..at + 8].copy_from_slice(b"v2.qcow2");
    let fault = Folder::of(&[("v2.qcow2", overlay)]).open_image("v2.qcow2").unwrap_err();
    assert!(fault.to_string().contains("chain"), "{fault}");
    for name in ["../x.vmdk", "/dev/sda", "sub/x.vmdk"] {
        let text = format!("# Disk DescriptorFile\nRW 8 FLAT \"{name}\" 0\n");
        let folder = Folder::of(&[("a.vmdk", text.into_bytes())]);
        let image = folder.open_image("a.vmdk").unwrap().unwrap();
        assert!(image.faults[0].contains("only files next to"), "{:?}", image.faults);
        assert!(image.bytes.read_at(0, &mut [0; 8]).is_err());
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    for (magic, what) in [
        (&b"EVF2\r\n\x81\0"[..], "Ex01"),
        (b"LVF\x09\x0d\x0a\xff\0", "L01"),
        (b"AFF10\r\n\0", "AFF"),
        (b"COWD", "COWD"),
        (b"\xbe\xba\xfe\xca\0\0\0\0", "seSparse"),
    ] {
        let mut bytes = magic.to_vec();
        bytes.resize(4096, 0);
        let bytes: Arc<dyn ReadAt> = Arc::new(bytes);
        let fault = image::open(&bytes, &NoSiblings).unwrap_err();
        assert!(fault.to_string().contains(what), "{fault}");
    }
    for (at, magic, what) in [
        (3, &b"-FVE-FS-"[..], "BitLocker"),
        (3, b"ReFS\0\0\0\0", "ReFS"),
        (0, b"LUKS\xba\xbe", "LUKS"),
        (1080, b"\x53\xef", "ext2, ext3 or ext4"),
    ] {
        let mut bytes = vec![0u8; 1 << 20];
        bytes[at..at + magic.len()].copy_from_slice(magic);
        bytes[1024] = 1;
        let disk: Arc<dyn ReadAt> = Arc::new(bytes);
        let volumes = image::volumes(&disk);
        assert_eq!((volumes.scheme, volumes.volumes[0].kind.name()), (Scheme::Bare, what));
    }
    for text in [&b"plain text"[..], b"", &[0u8; 5000], &[0x55u8; 4096]] {
        let bytes: Arc<dyn ReadAt> = Arc::new(text.to_vec());
        let volumes = image::volumes(&bytes);
        assert_eq!((volumes.scheme, volumes.volumes.len()), (Scheme::None, 0));
        assert!(image::open(&bytes, &NoSiblings).unwrap().is_none());
    }
}

/// The small NTFS volume.
fn small() -> Vec<u8> {
    unpacked("disk.raw")[1 << 20..3 << 20].to_vec()
}

/// Where in the small volume the file table is.
fn table(volume: &[u8]) -> usize {
    usize::try_from(u64::from_le_bytes(volume[48..56].try_into().unwrap())).unwrap() * 4096
}

/// Where the record of the log is.
fn log_record(volume: &[u8]) -> usize {
    let scan = scan(&(Arc::new(volume.to_vec()) as Arc<dyn ReadAt>));
    table(volume) + 1024 * usize::try_from(by_path(&scan)["Logs/Security.evtx"].record).unwrap()
}

#[test]
fn a_changed_byte_in_a_volumes_structures_does_no_harm() {
    let volume = Arc::new(small());
    let (table, log) = (table(&volume), log_record(&volume));
    let places = (0..90).chain(table..table + 600).chain(table + 6 * 1024..table + 6 * 1024 + 500);
    let places = places.chain(log - 1024..log + 1024);
    let mut found = [0; 4];
    for at in places {
        for mask in [1, 0x80, 0xff] {
            let changed = Changed { bytes: volume.clone(), at: at as u64, mask };
            let changed: Arc<dyn ReadAt> = Arc::new(changed);
            found[explore_volume(&changed).min(3)] += 1;
            assert!(image::volumes(&changed).volumes.len() < 2);
        }
    }
    println!("volumes with 0, 1, 2 and more logs: {found:?}");
    assert!(found[2] > found[0] + found[1] + found[3], "{found:?}");
}

#[test]
fn copies_of_a_volumes_structures_are_used() {
    let log = logs().0;
    let sound = small();
    let (table, record) = (table(&sound), log_record(&sound));
    let open = |volume: &[u8]| Ntfs::open(Arc::new(volume.to_vec())).unwrap().scan();
    let check = |volume: &[u8], fault: &str| {
        let scan = open(volume);
        assert!(scan.faults.iter().any(|told| told.contains(fault)), "{:?}", scan.faults);
        assert!(all(&*by_path(&scan)["Logs/Security.evtx"].bytes) == log, "{fault}");
    };
    let mut volume = sound.clone();
    volume[..512].fill(0);
    check(&volume, "copy at the end of the volume");
    let mut volume = sound.clone();
    volume[table + 510] ^= 1;
    check(&volume, "the file table's first record is damaged");
    // A torn record is counted, and its file is not there.
    let mut volume = sound.clone();
    volume[record + 1022] ^= 1;
    let scan = open(&volume);
    assert_eq!((scan.torn, scan.files.len()), (1, 1));
    let mut volume = sound.clone();
    volume.truncate(volume.len() - 32_768);
    check(&volume, "bytes at the end of the file system are not there");
    let mut volume = sound;
    volume[..512].fill(0);
    volume.truncate(1 << 20);
    assert!(Ntfs::open(Arc::new(volume)).is_err());
}

/// A disk with the small volume in a GUID partition table of this size of sectors.
fn gpt(sector: usize) -> Vec<u8> {
    let volume = small();
    let size = 4 << 20;
    let mut disk = vec![0; size];
    disk[1 << 20..3 << 20].copy_from_slice(&volume);
    disk[446 + 4] = 0xee;
    disk[446 + 8] = 1;
    disk[446 + 12..446 + 16].fill(0xff);
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    let mut entries = vec![0; 128 * 128];
    let last = size / sector - 1;
    for (n, (from, to)) in [(64 << 10, 1 << 20), (1 << 20, 3 << 20)].into_iter().enumerate() {
        let entry = &mut entries[n * 256..][..128];
        entry[..16].fill(7);
        entry[32..40].copy_from_slice(&((from / sector) as u64).to_le_bytes());
        entry[40..48].copy_from_slice(&((to / sector - 1) as u64).to_le_bytes());
    }
    let tail = last - entries.len() / sector;
    for (at, table) in [(1, 2), (last, tail)] {
        let mut header = vec![0; 92];
        header[..8].copy_from_slice(b"EFI PART");
        header[12..16].copy_from_slice(&92u32.to_le_bytes());
        header[24..32].copy_from_slice(&(at as u64).to_le_bytes());
        header[72..80].copy_from_slice(&(table as u64).to_le_bytes());
        header[80..88].copy_from_slice(&[128, 0, 0, 0, 128, 0, 0, 0]);
        header[88..92].copy_from_slice(&crc32fast::hash(&entries).to_le_bytes());
        let crc = crc32fast::hash(&header);
        header[16..20].copy_from_slice(&crc.to_le_bytes());
        disk[at * sector..at * sector + 92].copy_from_slice(&header);
        disk[table * sector..table * sector + entries.len()].copy_from_slice(&entries);
    }
    disk
}

#[test]
fn a_guid_partition_table_has_a_copy() {
    for sector in [512usize, 4096] {
        let sound = gpt(sector);
        let last = sound.len() - sector;
        let look = |changes: &[(usize, u8)]| {
            let mut disk = sound.clone();
            changes.iter().for_each(|(at, mask)| disk[*at] ^= mask);
            let disk: Arc<dyn ReadAt> = Arc::new(disk);
            let volumes = image::volumes(&disk);
            assert_eq!(volumes.scheme, Scheme::Gpt);
            let found: Vec<_> =
                volumes.volumes.iter().map(|v| (v.number, v.offset, v.kind)).collect();
            // Its entries stand at 1 and 3.
            assert_eq!(found, [(1, 64 << 10, Kind::Unknown), (3, 1 << 20, Kind::Ntfs)]);
            volumes.faults.join("; ")
        };
        assert_eq!(look(&[]), "");
        assert!(look(&[(sector + 24, 1)]).contains("copy of it at the end"));
        assert!(look(&[(2 * sector + 60, 1)]).contains("copy of it at the end"));
        assert!(look(&[(sector, 1)]).contains("is gone: the copy"));
        assert!(look(&[(sector + 24, 1), (last + 24, 1)]).contains("used as it is"));
        assert_eq!(look(&[(last + 24, 1)]), "");
        let mut disk = sound.clone();
        disk[sector..sector + 8].fill(0);
        disk[last..last + 8].fill(0);
        let volumes = image::volumes(&(Arc::new(disk) as Arc<dyn ReadAt>));
        assert_eq!(volumes.faults, ["the GUID partition table and its copy are gone"]);
    }
}

#[test]
fn logical_partitions_are_followed_and_rings_are_left() {
    let mut disk = vec![0u8; 6 << 20];
    let slot = |disk: &mut [u8], at: usize, n: usize, kind: u8, first: u32, sectors: u32| {
        let slot = &mut disk[at + 446 + n * 16..][..16];
        slot[4] = kind;
        slot[8..12].copy_from_slice(&first.to_le_bytes());
        slot[12..16].copy_from_slice(&sectors.to_le_bytes());
        disk[at + 510..at + 512].copy_from_slice(&[0x55, 0xaa]);
    };
    // An extended partition from sector 2048; links at 2048 and 8192, each with a partition behind it.
    slot(&mut disk, 0, 1, 0x0f, 2048, 10_240);
    slot(&mut disk, 2048 * 512, 0, 7, 64, 4096);
    slot(&mut disk, 2048 * 512, 1, 5, 6144, 4096);
    slot(&mut disk, 8192 * 512, 0, 7, 8, 1024);
    let small = small();
    disk[2112 * 512..2112 * 512 + small.len()].copy_from_slice(&small);
    let look = |disk: &[u8]| {
        let volumes = image::volumes(&(Arc::new(disk.to_vec()) as Arc<dyn ReadAt>));
        let found: Vec<_> =
            volumes.volumes.iter().map(|v| (v.name.clone(), v.offset / 512, v.kind)).collect();
        (found, volumes.faults)
    };
    let want = vec![("p5".to_owned(), 2112, Kind::Ntfs), ("p6".to_owned(), 8200, Kind::Unknown)];
    assert_eq!(look(&disk), (want.clone(), Vec::new()));
    slot(&mut disk, 8192 * 512, 1, 5, 0, 4096);
    assert_eq!(look(&disk).0, want);
    assert!(look(&disk).1[0].contains("ring"));
    slot(&mut disk, 8192 * 512, 1, 5, 9000, 4096);
    assert!(look(&disk).1[0].contains("breaks off"));
}

/// A VHDX of which the block allocation table's first page stands in the log only.
fn dirty_vhdx() -> (Vec<u8>, usize) {
    let mut file = unpacked("disk.vhdx");
    let id = *b"\x66\x77\xc2\x2d\x23\xf6\x00\x42\x9d\x64\x11\x5e\x9b\xfd\x4a\x08";
    let region = (192 << 10..).step_by(8).find(|at| file[*at..*at + 16] == id).unwrap();
    let number = |file: &[u8], at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap());
    let table = usize::try_from(number(&file, region + 16)).unwrap();
    let log = usize::try_from(number(&file, (64 << 10) + 72)).unwrap();
    let page = file[table..table + 4096].to_vec();
    file[table..table + 4096].fill(0);
    let seal = |bytes: &mut [u8]| {
        bytes[4..8].fill(0);
        let crc = crc32c::crc32c(bytes);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    };
    let size = file.len() as u64;
    // The first is of an older sequence and zeroes what the second writes; both have one descriptor.
    for (n, sequence) in [(0usize, 5u64), (1, 6)] {
        let entry = &mut file[log + n * 8192..][..8192];
        entry.fill(0);
        entry[..4].copy_from_slice(b"loge");
        entry[8..12].copy_from_slice(&8192u32.to_le_bytes());
        entry[12..16].copy_from_slice(&0u32.to_le_bytes());
        entry[16..24].copy_from_slice(&sequence.to_le_bytes());
        entry[24..28].copy_from_slice(&1u32.to_le_bytes());
        entry[32..48].fill(9);
        entry[48..56].copy_from_slice(&size.to_le_bytes());
        entry[56..64].copy_from_slice(&size.to_le_bytes());
        if n == 0 {
            entry[64..68].copy_from_slice(b"zero");
            entry[72..80].copy_from_slice(&4096u64.to_le_bytes());
        } else {
            entry[64..68].copy_from_slice(b"desc");
            entry[68..72].copy_from_slice(&page[4092..]);
            entry[72..80].copy_from_slice(&page[..8]);
            entry[4096..4100].copy_from_slice(b"data");
            entry[4104..8188].copy_from_slice(&page[8..4092]);
            entry[8188..8192].copy_from_slice(&6u32.to_le_bytes());
        }
        entry[80..88].copy_from_slice(&(table as u64).to_le_bytes());
        entry[88..96].copy_from_slice(&sequence.to_le_bytes());
        seal(entry);
    }
    for header in [64 << 10, 128 << 10] {
        file[header + 48..header + 64].fill(9);
        seal(&mut file[header..header + 4096]);
    }
    (file, log)
}

#[test]
fn the_log_of_a_vhdx_is_replayed_in_memory() {
    let (file, log) = dirty_vhdx();
    let open = |file: Vec<u8>| Folder::of(&[("a.vhdx", file)]).open_image("a.vhdx");
    let image = open(file.clone()).unwrap().unwrap();
    assert!(image.faults[0].contains("its log is replayed"), "{:?}", image.faults);
    assert!(all(&*image.bytes) == unpacked("disk.raw"));
    // The second entry is torn: what is left of the log does not have the table.
    let mut torn = file.clone();
    torn[log + 8192 + 5000] ^= 1;
    let image = open(torn).unwrap().unwrap();
    assert!(all(&*image.bytes).iter().all(|b| *b == 0));
    let mut gone = file;
    gone[log..log + 16_384].fill(0);
    let fault = open(gone).unwrap_err().to_string();
    assert!(fault.contains("log is damaged"), "{fault}");
}
