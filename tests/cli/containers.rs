//! Evidence as it was collected: what is in an archive is hunted through as if it were a folder.

use super::bench::{Bench, event, log};
use super::words;
use serde_json::{Value, json};
use std::io::{Cursor, Write as _};
use zip::write::{SimpleFileOptions, ZipWriter};

/// Names and content, in the order of an archive.
type Files = Vec<(String, Vec<u8>)>;

/// Four logs and a text: one log small, one of several megabytes, one without hits, one by no name.
fn files() -> Files {
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

fn zipped(files: &Files, options: SimpleFileOptions) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn deflated() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated)
}

fn stored() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored)
}

fn aes(password: &str) -> Vec<u8> {
    let options = deflated().with_aes_encryption(zip::AesMode::Aes256, password);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files() {
        zip.start_file(name, options).unwrap();
        zip.write_all(&content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn tarred(files: &Files) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
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

fn seven(files: &Files, password: Option<&str>) -> Vec<u8> {
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

fn hunt(bench: &Bench, args: &str) -> (i32, Vec<Value>, Value, String) {
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

/// Velociraptor: names decoded, the host told, holes filled.
#[test]
fn collections_by_velociraptor_are_understood() {
    let bench = Bench::new();
    let whole = files().swap_remove(1).1;
    // The second chunk was a hole: it is stored without.
    let (from, to) = (4096 + 65_536, 4096 + 2 * 65_536);
    let stored_log = [&whole[..from], &whole[to..]].concat();
    let rest = whole.len() - to;
    let index = json!({"ranges": [
        {"FileOffset": 0, "OriginalOffset": 0, "FileLength": from, "Length": from},
        {"FileOffset": from, "OriginalOffset": from, "FileLength": 0, "Length": 65_536},
        {"FileOffset": from, "OriginalOffset": to, "FileLength": rest, "Length": rest},
    ]});
    let name = "uploads/ntfs/%5C%5C.%5CC%3A/Logs/Sysmon%254Operational.evtx";
    let files = vec![
        ("client_info.json".to_owned(), br#"{"Hostname":"DC01"}"#.to_vec()),
        (name.to_owned(), stored_log),
        (format!("{name}.idx"), index.to_string().into_bytes()),
    ];
    let mut holed = whole;
    holed[from..to].fill(0);
    bench.file("folder/holed.evtx", &holed);
    let (_, want, ..) = hunt(&bench, "folder");
    let collection = zipped(&files, deflated());
    let outer = vec![
        ("metadata.json".to_owned(), b"{}".to_vec()),
        ("data.zip".to_owned(), collection.clone()),
    ];
    bench.file("collection.zip", &collection);
    bench.file("outer.zip", &zipped(&outer, stored()));
    for archive in ["collection.zip", "outer.zip"] {
        let (_, hits, ledger, err) = hunt(&bench, archive);
        assert_eq!(hits.len(), want.len(), "{err}");
        for (hit, want) in hits.iter().zip(&want) {
            let place = &hit["evidence"];
            assert_eq!(place["host"], "DC01");
            let path = place["path"].as_str().unwrap();
            assert!(
                path.ends_with(r"!uploads/ntfs/\\.\C:/Logs/Sysmon%4Operational.evtx"),
                "{path}"
            );
            assert_eq!(
                (&hit["data"], &place["offset"]),
                (&want["data"], &want["evidence"]["offset"])
            );
        }
        assert_eq!(ledger["totals"]["imbalances"], json!([]));
    }
}
