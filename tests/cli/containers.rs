//! Evidence as it was collected: what is in an archive is hunted through as if it were a folder.

use super::bench::{Bench, event, log};
use super::words;
use serde_json::{Value, json};
use std::io::{Cursor, Write as _};
use zip::write::{SimpleFileOptions, ZipWriter};

/// Names and content, in the order of an archive.
pub(super) type Files = Vec<(String, Vec<u8>)>;

/// Four logs and a text: one log small, one of several megabytes, one without hits, one by no name.
pub(super) fn files() -> Files {
    let evil = |n: u32| (0..n).map(|n| event(n, r"C:\evil.exe", format!("{n} evil.exe")));
    let large = (0..2600).map(|n| event(n, r"C:\evil.exe", format!("{n} {}", "x".repeat(900))));
    let quiet = (0..5).map(|n| event(n, r"C:\good.exe", "good"));
    vec![
        ("C/Logs/a.evtx".into(), log(evil(3))),
        ("C/Logs/large.evtx".into(), log(large)),
        ("C/Logs/quiet.evtx".into(), log(quiet)),
        ("C/Logs/z.bak".into(), log(evil(2))),
        ("C/notes.txt".into(), b"hello".to_vec()),
    ]
}

pub(super) fn zipped(files: &Files, options: SimpleFileOptions) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

pub(super) fn deflated() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated)
}

pub(super) fn stored() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored)
}

pub(super) fn aes(password: &str) -> Vec<u8> {
    let options = deflated().with_aes_encryption(zip::AesMode::Aes256, password);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files() {
        zip.start_file(name, options).unwrap();
        zip.write_all(&content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

pub(super) fn tarred(files: &Files) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, content.as_slice()).unwrap();
    }
    tar.into_inner().unwrap()
}

pub(super) fn gzipped(content: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(content).unwrap();
    gz.finish().unwrap()
}

pub(super) fn seven(files: &Files, password: Option<&str>) -> Vec<u8> {
    use sevenz_rust2::{
        ArchiveEntry, ArchiveWriter, EncoderMethod, encoder_options::AesEncoderOptions,
    };
    let mut seven = ArchiveWriter::new(Cursor::new(Vec::new())).unwrap();
    if let Some(password) = password {
        let aes = AesEncoderOptions::new(password.into());
        seven.set_content_methods(vec![aes.into(), EncoderMethod::LZMA2.into()]);
        seven.set_encrypt_header(true);
    }
    for (name, content) in files {
        let entry = ArchiveEntry::new_file(name);
        seven.push_archive_entry(entry, Some(content.as_slice())).unwrap();
    }
    seven.finish().unwrap().into_inner()
}

/// Hits without their place, and of each the path behind the last `!` or `evidence/`.
fn told(hits: &[Value]) -> Vec<Value> {
    let told = |hit: &Value| {
        let mut hit = hit.clone();
        let path = hit["evidence"]["path"].as_str().unwrap().replace('\\', "/");
        let path = path.rsplit(['!']).next().unwrap().trim_start_matches("folder/").to_owned();
        hit["evidence"]["path"] = path.into();
        hit
    };
    hits.iter().map(told).collect()
}

fn folder(bench: &Bench) {
    for (name, content) in files() {
        bench.file(&format!("folder/{name}"), &content);
    }
}

pub(super) fn hunt(bench: &Bench, args: &str) -> (i32, Vec<Value>, Value, String) {
    let line = format!("hunt {args} -r rules -q --all-copies --format jsonl --ledger ledger.json");
    let run = bench.harrier(&words(&line));
    let ledger = std::fs::read(bench.path("ledger.json")).unwrap_or_default();
    (run.code, run.hits(), serde_json::from_slice(&ledger).unwrap_or(Value::Null), run.err)
}

/// Every form of archive gives the hits of the folder that it was made from, whatever the threads.
#[test]
fn archives_give_the_hits_of_the_folder() {
    let bench = Bench::new();
    folder(&bench);
    let tar = tarred(&files());
    let zip = zipped(&files(), deflated());
    let one = |name: &str, content: &[u8]| vec![(name.to_owned(), content.to_vec())];
    let xz = {
        let options = lzma_rust2::XzOptions::with_preset(0);
        let mut xz = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
        xz.write_all(&tar).unwrap();
        xz.finish().unwrap()
    };
    let bzip2 = {
        let mut bz = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bz.write_all(&tar).unwrap();
        bz.finish().unwrap()
    };
    let zipcrypto = {
        use zip::unstable::write::FileOptionsExt as _;
        zipped(&files(), deflated().with_deprecated_encryption(b"infected").unwrap())
    };
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("stored.zip", zipped(&files(), stored())),
        ("deflated.zip", zip.clone()),
        ("zip64.zip", zipped(&files(), deflated().large_file(true))),
        ("aes.zip", aes("infected")),
        ("zipcrypto.zip", zipcrypto),
        ("plain.tar", tar.clone()),
        ("tar.gz", gzipped(&tar)),
        ("tar.zst", zstd::encode_all(tar.as_slice(), 1).unwrap()),
        ("tar.xz", xz),
        ("tar.bz2", bzip2),
        ("plain.7z", seven(&files(), None)),
        ("hidden.7z", seven(&files(), Some("infected"))),
        ("nested.zip", zipped(&one("in/data.zip", &zip), stored())),
        ("packed.zip", zipped(&one("in/data.zip", &zip), deflated())),
        ("deep.tar.gz", gzipped(&tarred(&one("x.zip", &zipped(&one("y.tar", &tar), deflated()))))),
        ("no-extension", zip.clone()),
    ];
    // A folder is walked in the order of its names, which is that of the archives.
    let (code, hits, ledger, err) = hunt(&bench, "folder");
    assert_eq!((code, hits.len()), (0, 2605), "{err}");
    let want = told(&hits);
    let met = ledger["totals"]["records"].clone();
    for (name, content) in rows {
        bench.file(&format!("case/{name}"), &content);
        for threads in [1, 8] {
            let (code, hits, ledger, err) =
                hunt(&bench, &format!("case/{name} --threads {threads}"));
            assert_eq!(code, 0, "{name}: {err}");
            assert!(told(&hits) == want, "{name}: {} hits, {err}", hits.len());
            let totals = &ledger["totals"];
            assert_eq!(totals["records"], met, "{name}");
            assert_eq!(totals["imbalances"], json!([]), "{name}");
            assert_eq!(totals["sources"]["read"], 4, "{name}");
            assert_eq!(totals["beside"]["other_files"], 1, "{name}");
            assert!(totals["beside"]["containers"].as_u64().unwrap() > 0, "{name}");
        }
        std::fs::remove_file(bench.path(&format!("case/{name}"))).unwrap();
    }
}

/// Passwords come from a file, the environment, or nowhere; one that is missing is told.
#[test]
fn passwords_are_taken_from_files_and_the_environment() {
    let bench = Bench::new();
    bench.file("aes.zip", &aes("open sesame"));
    bench.file("hidden.7z", &seven(&files(), Some("open sesame")));
    bench.file("right.txt", b"wrong\nopen sesame\n");
    bench.file("wrong.txt", b"wrong\n");
    for name in ["aes.zip", "hidden.7z"] {
        for (args, want) in
            [("", 1), ("--password-file wrong.txt", 1), ("--password-file right.txt", 0)]
        {
            let (code, hits, ledger, err) = hunt(&bench, &format!("{name} {args}"));
            assert_eq!(
                (code, hits.len()),
                (want, if want == 0 { 2605 } else { 0 }),
                "{args} {err}"
            );
            assert!(!err.contains("sesame"), "{err}");
            assert_eq!(ledger["totals"]["imbalances"], json!([]), "{args}");
            if want == 1 {
                assert!(err.contains("encrypted") && err.contains("--password-file"), "{err}");
                assert_eq!(ledger["totals"]["sources"]["encrypted"], 1, "{err}");
            }
        }
        let mut command =
            bench.command(&words(&format!("hunt {name} -r rules -q --all-copies --format jsonl")));
        let run = super::bench::run(command.env("HARRIER_PASSWORDS", "x\nopen sesame"));
        assert_eq!((run.code, run.hits().len()), (0, 2605), "{}", run.err);
    }
}

/// What is damaged is told with its name, the rest is read, and the bins add up.
#[test]
fn damaged_archives_are_told_and_the_rest_is_read() {
    let bench = Bench::new();
    let zip = zipped(&files(), deflated());
    let tar = tarred(&files());
    let gz = gzipped(&tar);
    let seven = seven(&files(), None);
    let mut flipped = zip.clone();
    // In the content of the large log.
    let large = zip.len() / 2;
    flipped[large..large + 16].fill(0x55);
    let cut = |bytes: &[u8]| bytes[..bytes.len() * 2 / 3].to_vec();
    for (name, content, least, says) in [
        ("cut.zip", cut(&zip), 0, "its directory cannot be read: it is cut off or damaged"),
        ("flipped.zip", flipped, 5, "large.evtx"),
        ("cut.tar", cut(&tar), 3, "cut off within C/Logs/large.evtx"),
        ("cut.tar.gz", cut(&gz), 3, "cut.tar.gz"),
        ("cut.7z", cut(&seven), 0, "its directory is not there"),
    ] {
        bench.file(&format!("case/{name}"), &content);
        let (code, hits, ledger, err) = hunt(&bench, &format!("case/{name}"));
        assert_eq!(code, 1, "{name}: {err}");
        assert!(hits.len() >= least, "{name}: {} {err}", hits.len());
        assert!(err.contains(says), "{name}: {err}");
        assert_eq!(ledger["totals"]["imbalances"], json!([]), "{name}");
        assert_eq!(ledger["totals"]["complete"], false, "{name}");
    }
}

/// Traps are told, and are over soon.
#[test]
fn traps_end_at_their_limits() {
    let bench = Bench::new();
    let mut deep = zipped(&files(), deflated());
    for n in 0..9 {
        deep = zipped(&vec![(format!("{n}.zip"), deep)], stored());
    }
    bench.file("deep.zip", &deep);
    let (code, hits, ledger, err) = hunt(&bench, "deep.zip");
    assert_eq!((code, hits.len()), (1, 0), "{err}");
    assert!(err.contains("in more than eight others"), "{err}");
    assert_eq!(ledger["totals"]["sources"]["unsupported"], 1);
    assert_eq!(ledger["totals"]["imbalances"], json!([]));
    // A member that says that it has twenty gigabytes.
    let mut header = tar::Header::new_gnu();
    header.set_path("huge.evtx").unwrap();
    header.set_size(20 << 30);
    header.set_cksum();
    let mut tar = tarred(&files()[..1].to_vec());
    tar.truncate(tar.len() - 1024);
    tar.extend_from_slice(header.as_bytes());
    tar.extend_from_slice(&[0; 4096]);
    bench.file("huge.tar", &tar);
    let (code, hits, ledger, err) = hunt(&bench, "huge.tar");
    assert_eq!((code, hits.len()), (1, 3), "{err}");
    assert!(err.contains("the limit: what comes after the first 1 members"), "{err}");
    assert_eq!(ledger["totals"]["imbalances"], json!([]));
}

/// Names are shown, never used: they lead nowhere and control no terminal.
#[test]
fn absurd_names_are_only_shown() {
    let bench = Bench::new();
    let one = files().swap_remove(0).1;
    let names = ["../../up.evtx", "/abs.evtx", r"C:\abs.evtx", "a\u{1b}[2Jb.evtx", "", "x!y.evtx"];
    let files: Files = names.iter().map(|name| ((*name).to_owned(), one.clone())).collect();
    bench.file("case.zip", &zipped(&files, stored()));
    let before = bench.snapshot(".");
    let (code, hits, _, err) = hunt(&bench, "case.zip");
    assert_eq!((code, hits.len()), (0, 3 * names.len()), "{err}");
    let table = bench.harrier(&words("hunt case.zip -r rules --columns evidence,rule"));
    assert!(!table.out.contains(&0x1b) && !table.err.contains('\u{1b}'), "{}", table.err);
    let after: Vec<_> =
        bench.snapshot(".").into_iter().filter(|f| !f.0.ends_with("ledger.json")).collect();
    assert!(before == after);
}

/// Members of one archive may have different passwords: each is read whose password is known.
#[test]
fn each_member_may_have_its_own_password() {
    let bench = Bench::new();
    let files = files();
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (at, password) in [(0, Some("first")), (3, Some("second")), (2, None), (4, Some("third"))] {
        let (name, content) = &files[at];
        let options = password.map_or_else(deflated, |password| {
            deflated().with_aes_encryption(zip::AesMode::Aes256, password)
        });
        zip.start_file(name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    bench.file("mixed.zip", &zip.finish().unwrap().into_inner());
    for (passwords, hits, read, code) in [
        ("first\nsecond\nthird", 5, 3, 0),
        ("third\nsecond\nfirst", 5, 3, 0),
        ("first", 3, 2, 1),
        ("second", 2, 2, 1),
        ("third", 0, 1, 1),
        ("none", 0, 1, 1),
    ] {
        bench.file("passwords.txt", passwords.as_bytes());
        let (got, found, ledger, err) = hunt(&bench, "mixed.zip --password-file passwords.txt");
        assert_eq!((got, found.len()), (code, hits), "{passwords}: {err}");
        let sources = &ledger["totals"]["sources"];
        assert_eq!(sources["read"], read, "{passwords}: {sources}");
        assert_eq!(sources["encrypted"].as_u64().unwrap() > 0, code == 1, "{passwords}: {sources}");
        assert_eq!(ledger["totals"]["imbalances"], json!([]), "{passwords}");
        // Nobody is there who could be asked.
        assert!(!err.contains("Password of"), "{err}");
    }
}

/// An archive that is cut off gives what stands before the cut, whoever wrote it.
#[test]
fn archives_that_are_cut_off_are_salvaged() {
    let bench = Bench::new();
    let whole = zipped(&files(), deflated());
    // The directory alone is gone; a log is cut off; two archives in one.
    let directory = whole.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    bench.file("gone.zip", &whole[..directory]);
    let inner = vec![("in/data.zip".to_owned(), whole[..directory].to_vec())];
    bench.file("inner.zip", &zipped(&inner, stored()));
    for name in ["gone.zip", "inner.zip"] {
        let (code, hits, ledger, err) = hunt(&bench, name);
        assert_eq!((code, hits.len()), (1, 2605), "{name}: {err}");
        assert!(err.contains("5 members were found by the headers in front of them"), "{err}");
        let text = ledger["sources"].to_string();
        assert!(text.contains("directory does not tell of it: found by the header"), "{text}");
        assert_eq!(ledger["totals"]["imbalances"], json!([]), "{name}");
    }
    let (_, all, ..) = hunt(&bench, "gone.zip");
    let mut before = 0;
    for part in [5, 6, 7] {
        bench.file("cut.zip", &whole[..directory * part / 8]);
        let (code, hits, ledger, err) = hunt(&bench, "cut.zip");
        assert_eq!(code, 1, "{err}");
        assert!(err.contains("large.evtx is cut off"), "{err}");
        assert_eq!(ledger["totals"]["imbalances"], json!([]));
        assert!(hits.len() >= before && hits.len() > 3 && hits.len() < 2605, "{}", hits.len());
        // The record that the cut goes through may be there in part.
        let whole = hits.len() - 1;
        assert!(told(&hits[..whole]) == told(&all[..whole]), "{part}");
        before = hits.len();
    }
}
