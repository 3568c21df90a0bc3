//! Damaged and hostile archives: each byte that holds one together is changed in turn, and each is cut
//! off at many places. What is in it comes as it was, or it is told that something is wrong.

use harrier::bytes::read_full;
use harrier::evidence::{Access, Descend, Found, Look, Outcome, Source, State};
use std::io::{Cursor, Write as _};
use std::ops::Range;
use std::sync::Arc;
use zip::write::{SimpleFileOptions, ZipWriter};

/// What came out of an archive.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    /// What begins like a log, as far as it could be read.
    logs: Vec<Vec<u8>>,
    /// What was told.
    told: Vec<String>,
    /// What was noted of logs.
    notes: Vec<String>,
}

/// What an archive of some kilobytes may take, whatever it says of itself: far less than the caps of
/// decoders, which are there for honest archives.
const MOST_MEMORY: u64 = 1 << 24;

/// Goes through an archive as a hunt does.
fn see(bytes: Vec<u8>) -> Seen {
    see_named("case", bytes)
}

/// The same, of an archive of this name.
fn see_named(name: &str, bytes: Vec<u8>) -> Seen {
    let mut seen = Seen::default();
    let memory = allocation_counter::measure(|| seen = seen_in(name, bytes)).bytes_max;
    assert!(memory < MOST_MEMORY, "{memory} bytes are taken: {seen:?}");
    seen
}

fn seen_in(name: &str, bytes: Vec<u8>) -> Seen {
    let root = Source::file("case".into(), 1, true, &Access::default());
    let top = root.within(name.into(), Arc::new(bytes), State::Live);
    let mut seen = Seen::default();
    for found in Descend::new(std::iter::once(Found::Source(top))) {
        match found {
            Found::Source(source) => look(&source, &mut seen),
            Found::Unreadable { name, error } => seen.told.push(format!("{name}: {error}")),
            Found::Container(container) => {
                if container.outcome != Outcome::Read {
                    seen.told.push(container.reason.expect("it says why"));
                }
                // That a tar has no end mark.
                seen.told.extend(container.notes);
            }
            _ => {}
        }
    }
    seen
}

fn look(source: &Source, seen: &mut Seen) {
    match source.look() {
        Err(error) => seen.told.push(error.to_string()),
        Ok(Look::Unsupported(what)) => seen.told.push(what),
        Ok(Look::Log(bytes)) => {
            let mut log = vec![0; usize::try_from(bytes.size()).unwrap().min(1 << 20)];
            let read = read_full(&*bytes, 0, &mut log);
            log.truncate(*read.as_ref().unwrap_or(&0));
            let whole = bytes.read_at(bytes.size(), &mut []);
            seen.told.extend(read.err().into_iter().chain(whole.err()).map(|e| e.to_string()));
            seen.notes.extend_from_slice(source.notes());
            seen.logs.push(log);
        }
        // Somebody named it, or it has the name of a log: it is told that it is none.
        Ok(Look::Other(_)) if source.depth() == 1 || source.claims_to_be_a_log() => {
            seen.told.push("no log".into());
        }
        Ok(_) => {}
    }
}

/// Two logs, one that can be packed and one that cannot, and a text between them.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let log = |content: Vec<u8>| [b"ElfFile\0".to_vec(), content].concat();
    let mut state = 7u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    vec![
        ("a/Security.evtx", log((0..900u32).map(|n| (n / 40) as u8).collect())),
        ("notes.txt", b"hello".to_vec()),
        ("b/System.evtx", log((0..300).map(|_| noise()).collect())),
    ]
}

fn options(method: zip::CompressionMethod) -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(method)
}

fn zipped(options: SimpleFileOptions) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files() {
        zip.start_file(name, options).unwrap();
        zip.write_all(&content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// As tools write that cannot go back: sizes stand behind what they are of.
fn streamed(options: SimpleFileOptions) -> Vec<u8> {
    let mut out = Vec::new();
    let mut zip = ZipWriter::new_stream(&mut out);
    for (name, content) in files() {
        zip.start_file(name, options).unwrap();
        zip.write_all(&content).unwrap();
    }
    zip.finish().unwrap();
    out
}

fn tarred() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in files() {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, content.as_slice()).unwrap();
    }
    tar.into_inner().unwrap()
}

fn gzipped(content: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(content).unwrap();
    gz.finish().unwrap()
}

fn seven() -> Vec<u8> {
    use sevenz_rust2::{ArchiveEntry, ArchiveWriter};
    let mut seven = ArchiveWriter::new(Cursor::new(Vec::new())).unwrap();
    for (name, content) in files() {
        seven.push_archive_entry(ArchiveEntry::new_file(name), Some(content.as_slice())).unwrap();
    }
    seven.finish().unwrap().into_inner()
}

/// A name, an archive, and whether its content has no checksum that is looked at.
fn archives() -> Vec<(&'static str, Vec<u8>, bool)> {
    use zip::CompressionMethod::{Bzip2, Deflated, Stored};
    let aes = options(Deflated).with_aes_encryption(zip::AesMode::Aes256, "infected");
    let tar = tarred();
    let zst = {
        let mut zst = zstd::Encoder::new(Vec::new(), 1).unwrap();
        zst.include_checksum(true).unwrap();
        zst.write_all(&tar).unwrap();
        zst.finish().unwrap()
    };
    let xz = {
        let xz = lzma_rust2::XzOptions::with_preset(0);
        let mut xz = lzma_rust2::XzWriter::new(Vec::new(), xz).unwrap();
        xz.write_all(&tar).unwrap();
        xz.finish().unwrap()
    };
    vec![
        ("deflated.zip", zipped(options(Deflated)), false),
        ("stored.zip", zipped(options(Stored)), false),
        ("large.zip", zipped(options(Deflated).large_file(true)), false),
        ("bzip2.zip", zipped(options(Bzip2)), false),
        ("aes.zip", zipped(aes), false),
        ("streamed.zip", streamed(options(Deflated)), false),
        ("streamed-stored.zip", streamed(options(Stored)), false),
        ("plain.tar", tar.clone(), true),
        ("c.tar.gz", gzipped(&tar), false),
        ("c.tar.zst", zst, false),
        ("c.tar.xz", xz, false),
        ("plain.7z", seven(), false),
        ("log.gz", gzipped(&files()[0].1), false),
    ]
}

/// Where contents stand as they are.
fn contents(archive: &[u8]) -> Vec<Range<usize>> {
    let at = |content: &Vec<u8>| {
        let at = archive.windows(content.len()).position(|window| window == content)?;
        Some(at..at + content.len())
    };
    files().iter().filter_map(|(_, content)| at(content)).collect()
}

#[test]
fn a_changed_byte_of_an_archive_is_told_or_does_no_harm() {
    for (name, archive, unchecked) in archives() {
        let want = see_named(name, archive.clone());
        let all = if name == "log.gz" { 1 } else { 2 };
        assert_eq!((want.logs.len(), want.told.as_slice()), (all, &[][..]), "{name}");
        let spared = if unchecked { contents(&archive) } else { Vec::new() };
        let (mut told, mut same) = (0, 0);
        // To make a key of a password takes a while.
        let step = if name == "aes.zip" { 7 } else { 1 };
        for at in (0..archive.len()).step_by(step) {
            // What fills a tar's blocks, and what ends it, is for nothing.
            if spared.iter().any(|range| range.contains(&at)) {
                continue;
            }
            let mut changed = archive.clone();
            changed[at] ^= [1, 0x80, 0xff][at % 3];
            let seen = see_named(name, changed);
            if seen.told.is_empty() {
                let mut logs = seen.logs.clone();
                logs.sort();
                let mut whole = want.logs.clone();
                whole.sort();
                assert!(logs == whole, "{name}: byte {at} makes a silent difference");
                same += 1;
            } else {
                told += 1;
            }
        }
        println!("{name}: {} bytes, {told} told, {same} without effect", archive.len());
        assert!(told > 0, "{name}");
    }
}

/// What stands before the place where an archive ends is read, and that it ends there is told.
#[test]
fn archives_that_are_cut_off_give_what_is_there() {
    for (name, archive, _) in archives() {
        let want = see_named(name, archive.clone()).logs;
        let mut most = 0;
        let step = if name == "aes.zip" { 29 } else { 3 };
        for end in (8..archive.len()).step_by(step) {
            let seen = see_named(name, archive[..end].to_vec());
            // Of a tar the blocks of zeros at its end may be missing.
            let whole = seen.logs == want;
            assert!(whole || !seen.told.is_empty(), "{name}: {end} is silent");
            for log in &seen.logs {
                // Of a descriptor that is cut off nobody can say that it is no content.
                let is_of = |want: &Vec<u8>| {
                    want.starts_with(log) || (log.starts_with(want) && log.len() < want.len() + 24)
                };
                assert!(want.iter().any(is_of), "{name}: {end}: wrong bytes");
            }
            most = most.max(seen.logs.len());
            if whole && name.ends_with(".zip") {
                assert!(!seen.told.is_empty(), "{name}: {end}: the directory is gone");
            }
        }
        println!("{name}: {most} of {} logs", want.len());
        // The others are packed in blocks, and this is less than one.
        if [".zip", ".tar", ".gz"].iter().any(|end| name.ends_with(end)) {
            assert_eq!(most, want.len(), "{name}");
        }
    }
}

/// Without its directory an archive gives all that is in it, and nothing that is in its members.
#[test]
fn a_zip_without_its_directory_gives_its_members_alone() {
    use zip::CompressionMethod::{Deflated, Stored};
    let inner = zipped(options(Stored));
    let want = see(zipped(options(Deflated))).logs;
    for (outer, stream) in [(Stored, false), (Deflated, false), (Stored, true), (Deflated, true)] {
        let mut archive = Vec::new();
        let put = |zip: &mut dyn FnMut(&str, &[u8])| {
            zip("in.zip", &inner);
            for (name, content) in files() {
                zip(name, &content);
            }
        };
        if stream {
            let mut zip = ZipWriter::new_stream(&mut archive);
            put(&mut |name, content| {
                zip.start_file(name, options(outer)).unwrap();
                zip.write_all(content).unwrap();
            });
            zip.finish().unwrap();
        } else {
            let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
            put(&mut |name, content| {
                zip.start_file(name, options(outer)).unwrap();
                zip.write_all(content).unwrap();
            });
            archive = zip.finish().unwrap().into_inner();
        }
        let whole = see(archive.clone());
        assert!(whole.logs == [want.clone(), want.clone()].concat());
        assert!(whole.told.is_empty() && whole.notes.is_empty());
        let directory = archive.windows(4).rposition(|w| w == b"PK\x05\x06").unwrap();
        let at = u32::from_le_bytes(archive[directory + 16..directory + 20].try_into().unwrap());
        let seen = see(archive[..at as usize].to_vec());
        assert!(seen.logs == whole.logs, "{outer} {stream}: {:?}", seen.told);
        assert!(seen.told[0].contains("4 members were found by the headers"), "{:?}", seen.told);
        // Those of the archive in it come from its own directory.
        assert_eq!(seen.notes.len(), 2, "{:?}", seen.notes);
    }
}

/// A member that the directory does not name, in the gap that it leaves, is found.
#[test]
fn members_that_the_directory_does_not_name_are_found() {
    use zip::CompressionMethod::Deflated;
    let one = zipped(options(Deflated));
    let want = see(one.clone()).logs;
    // Two archives, one behind the other: readers take the directory of the last.
    let seen = see([one.clone(), one.clone()].concat());
    assert!(seen.logs == [want.clone(), want.clone()].concat());
    assert!(seen.told[0].contains("of something in it: 6 members were found"), "{:?}", seen.told);
    // An entry less than there are.
    let mut fewer = one.clone();
    let end = fewer.len() - 22;
    fewer[end + 8] -= 1;
    fewer[end + 10] -= 1;
    let seen = see(fewer);
    assert_eq!(seen.logs.len(), 2, "{:?}", seen.told);
    assert!(seen.told[0].contains("1 member was found"), "{:?}", seen.told);
}

/// Headers without number, and lengths that lead anywhere: it ends soon.
#[test]
fn made_up_headers_end_soon() {
    let header = |method: u8, flags: u8, length: u32| {
        let mut header = b"PK\x03\x04\x14\x00".to_vec();
        header.extend_from_slice(&[flags, 0, method, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        header.extend_from_slice(&length.to_le_bytes());
        header.extend_from_slice(&length.to_le_bytes());
        header.extend_from_slice(&[1, 0, 0, 0, b'x']);
        header
    };
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("empty members", header(0, 0, 0).repeat(3_000)),
        ("deflated, of unknown length", header(8, 8, 0).repeat(3_000)),
        ("stored, of unknown length", header(0, 8, 0).repeat(3_000)),
        ("of great length", header(0, 0, u32::MAX - 1).repeat(3_000)),
        ("of a length that leads to the next but one", header(0, 0, 31).repeat(3_000)),
        ("signatures", [header(0, 8, 0), b"PK\x07\x08".repeat(200_000)].concat()),
        ("letters", [header(0, 8, 0), b"PK".repeat(400_000)].concat()),
        ("entries of a directory", [header(0, 0, 0), b"PK\x01\x02".repeat(200_000)].concat()),
    ];
    for (name, bytes) in rows {
        let begun = std::time::Instant::now();
        let seen = see(bytes);
        println!("{name}: {:?}, {:?}", begun.elapsed(), seen.told.first());
        assert!(!seen.told.is_empty(), "{name}");
        assert!(begun.elapsed().as_secs() < 120, "{name}: {:?}", begun.elapsed());
    }
}
