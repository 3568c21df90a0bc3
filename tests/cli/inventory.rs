//! `harrier list` and `harrier extract`: what is there, and the logs as files.

use super::bench::{Bench, event, log};
use super::words;
use crate::images_support::unpacked;
use evtx::{EvtxParser, ParserSettings};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Logs that were exported may have no times in the headers of their records.
#[test]
fn times_are_those_of_events_where_records_have_none() {
    let bench = Bench::new();
    let with = |written: Option<u64>| {
        log((0..3).map(|n| {
            let mut event = event(n, r"C:\a.exe", "x");
            event.written = written.map(forge::FileTime);
            event
        }))
    };
    bench.file("logs/with.evtx", &with(None));
    bench.file("logs/without.evtx", &with(Some(0)));
    let rows = bench.harrier(&words("list logs --format json -q")).hits();
    let times = |row: &Value| (row["first_time"].clone(), row["last_time"].clone());
    assert_eq!((rows.len(), times(&rows[0])), (2, times(&rows[1])));
    assert!(rows[0]["first_time"].as_str().unwrap().starts_with("2026-03-01T10:00:00"));
    bench.harrier(&words("hunt logs -q -o hits --ledger ledger.json"));
    let ledger = std::fs::read(bench.path("ledger.json")).unwrap();
    let ledger: Value = serde_json::from_slice(&ledger).unwrap();
    let sources = ledger["sources"].as_array().unwrap();
    assert_eq!(sources.iter().map(times).collect::<Vec<_>>(), [times(&rows[0]), times(&rows[0])]);
}

#[test]
fn every_log_is_told_of() {
    let bench = Bench::new();
    let mut bytes = log((0..9).map(|n| event(n, r"C:\a.exe", "x")));
    // The fourth is gone.
    forge::damage::wipe_record(&mut bytes, 0, 3, 0xff);
    bench.file("logs/a.evtx", &bytes);
    bench.log("logs/=b.evtx", 2, 1);
    bench.file("logs/notes.txt", b"hello");
    bench.file("logs/empty.evtx", b"");
    let run = bench.harrier(&words("list logs --format json"));
    assert_eq!(run.code, 1, "{}", run.err);
    let rows = run.hits();
    let row = |path: &str| rows.iter().find(|row| row["path"] == path).unwrap();
    let a = row("logs/a.evtx");
    assert_eq!(
        (&a["records"], &a["missing_ids"], &a["chunks_bad"]),
        (&8.into(), &1.into(), &1.into())
    );
    assert_eq!((&a["first_id"], &a["last_id"]), (&1.into(), &9.into()));
    assert_eq!(a["channels"][0], "Microsoft-Windows-Sysmon/Operational");
    assert_eq!((&a["computers"][0], &a["found"]), (&"WS-01.example".into(), &"live".into()));
    assert_eq!(
        (&row("logs/=b.evtx")["records"], &row("logs/=b.evtx")["missing_ids"]),
        (&3.into(), &0.into())
    );
    assert_eq!(
        (&row("logs/empty.evtx")["hunted"], &row("logs/empty.evtx")["kind"]),
        (&false.into(), &"empty".into())
    );
    assert!(
        run.err.contains("2, 1 of them damaged; 1 could not be looked at; 1 other files"),
        "{}",
        run.err
    );
    let csv = bench.harrier(&words("list logs --format csv -q"));
    let mut reader = csv::Reader::from_reader(csv.out.as_slice());
    let lines: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(lines.len(), 3);
    assert!(lines.iter().all(|line| !line.iter().any(|cell| cell.starts_with('='))));
    let table = bench.harrier(&words("list logs -q"));
    let table = String::from_utf8(table.out).unwrap();
    let want = [
        "  Records     Size  First (UTC)       Last              Computer         Log",
        "logs/",
        "        3  69.6 kB  2026-03-01 10:00  2026-03-01 10:00  WS-01.example    =b.evtx",
        "        8  69.6 kB  2026-03-01 10:00  2026-03-01 10:00  WS-01.example    a.evtx  [1 of 1 chunks damaged, 1 ids missing]",
        "        -      0 B  empty.evtx: not hunted: the file is empty",
    ];
    assert_eq!(table.lines().collect::<Vec<_>>(), want);
    for (args, code, says) in
        [("list rules", 2, "no event logs there"), ("list nowhere", 2, "no such file")]
    {
        let run = bench.harrier(&words(args));
        assert_eq!(run.code, code);
        assert!(run.err.contains(says), "{}", run.err);
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn logs_are_extracted_byte_for_byte() {
    let bench = Bench::new();
    bench.log("case/C/a.evtx", 2, 3);
    bench.log("case/C/con.evtx", 1, 1);
    bench.log("case/d/Security.evtx", 1, 2);
    bench.file("case/notes.txt", b"hello");
    let before = bench.snapshot("case");
    let run = bench.harrier(&words("extract case -o out"));
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(before == bench.snapshot("case"));
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(bench.path("out/manifest.json")).unwrap()).unwrap();
    let files = manifest["files"].as_array().unwrap();
    assert_eq!(files.len(), 3);
    for file in files {
        let (name, source) = (file["file"].as_str().unwrap(), file["source"].as_str().unwrap());
        let written = std::fs::read(bench.path("out").join(name)).unwrap();
        assert_eq!(written, std::fs::read(bench.path(source)).unwrap());
        assert_eq!(file["sha256"].as_str().unwrap(), sha256(&written));
    }
    assert_eq!(files[1]["file"], "case/C/_con.evtx");
    for (args, says) in [
        ("extract case -o out", "is not empty: name a new folder"),
        ("extract case -o case/new", "would lie in the evidence"),
        ("extract case -o case", "would lie in the evidence"),
        ("extract rules -o none", "no event logs there"),
    ] {
        let run = bench.harrier(&words(args));
        assert_eq!(run.code, 2, "{args}");
        assert!(run.err.contains(says), "{args}: {}", run.err);
    }
}

/// Chunks that were carved become a log that the crate reads, its checksums included.
#[test]
fn carved_chunks_become_logs() {
    let bench = Bench::new();
    let one = log((0..300).map(|n| event(n, r"C:\a.exe", "x".repeat(300))));
    let other = log((0..20).map(|n| event(n, r"C:\b.exe", "y").on("WS-02.example")));
    let mut raw = vec![7; 12_345];
    for chunk in one[4096..].chunks_exact(65_536).chain(other[4096..].chunks_exact(65_536)) {
        raw.extend_from_slice(chunk);
        raw.extend_from_slice(&[9; 1000]);
    }
    // The same once more.
    raw.extend_from_slice(&one[4096..4096 + 65_536]);
    bench.file("memory.raw", &raw);
    let run = bench.harrier(&words("extract memory.raw --carve -o out"));
    assert_eq!(run.code, 0, "{}", run.err);
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(bench.path("out/manifest.json")).unwrap()).unwrap();
    let files = manifest["files"].as_array().unwrap();
    let records: Vec<usize> = files
        .iter()
        .map(|file| {
            let path = bench.path("out").join(file["file"].as_str().unwrap());
            assert_eq!(file["sha256"].as_str().unwrap(), sha256(&std::fs::read(&path).unwrap()));
            let settings = ParserSettings::new().validate_checksums(true).num_threads(1);
            let mut parser = EvtxParser::from_path(path).unwrap().with_configuration(settings);
            parser.records_json().inspect(|record| assert!(record.is_ok())).count()
        })
        .collect();
    assert_eq!(records, [300, 20]);
    assert_eq!(files[1]["computer"], "WS-02.example");
    // Harrier has nothing to say against them either.
    let run = bench.harrier(&words("dump out/carved -q"));
    assert_eq!((run.code, run.hits().len()), (0, 320), "{}", run.err);
}

/// What every kind of evidence looks like in the list, and in which order.
#[test]
fn containers_and_partitions_are_told_of() {
    let bench = Bench::new();
    for (file, name) in [
        ("disk/disk.raw", "disk.raw"),
        ("disk/stored.E01", "stored.E01"),
        ("disk/stored.E02", "stored.E02"),
        ("disk/stored.E03", "stored.E03"),
        ("disk/stored.E04", "stored.E04"),
        ("disk/fixed.vhd", "fixed.vhd"),
        ("gone/stored.E01", "stored.E01"),
        ("gone/stored.E03", "stored.E03"),
        ("gone/stored.E04", "stored.E04"),
    ] {
        bench.file(file, &unpacked(name));
    }
    let rows = |args: &str| {
        let run = bench.harrier(&words(args));
        (run.code, run.hits(), run.err)
    };
    let (code, disk, err) = rows("list disk --format json -q");
    assert_eq!(code, 1, "{err}");
    for path in ["disk/disk.raw", "disk/stored.E01", "disk/fixed.vhd"] {
        let of: Vec<&Value> =
            disk.iter().filter(|row| row["path"].as_str().unwrap().starts_with(path)).collect();
        let kinds: Vec<&str> = of.iter().map(|row| row["kind"].as_str().unwrap()).collect();
        // Partitions stand first, the container last, and in between what is in it.
        let first = kinds.iter().rposition(|kind| *kind == "partition").unwrap();
        assert!(kinds[..=first].iter().all(|kind| *kind == "partition"), "{path}: {kinds:?}");
        assert_eq!(kinds.last(), Some(&"disk image"), "{path}");
        let ntfs = of.iter().find(|row| row["holds"] == "NTFS").unwrap();
        let logs = kinds.iter().filter(|kind| **kind == "log").count();
        assert_eq!((&ntfs["hunted"], &ntfs["reason"]), (&true.into(), &Value::Null), "{path}");
        assert!(ntfs["logs"].as_u64().unwrap() as usize >= logs && logs > 0, "{path}: {ntfs}");
        for other in of.iter().filter(|row| row["kind"] == "partition" && row["holds"] != "NTFS") {
            assert_eq!(other["hunted"], false, "{other}");
            assert!(other["reason"].as_str().unwrap().contains("not looked into"), "{other}");
        }
    }
    let (code, gone, _) = rows("list gone --format json -q");
    let image =
        gone.iter().find(|row| row["path"] == "gone/stored.E01" && row["kind"] == "disk image");
    let reason = image.unwrap()["reason"].as_str().unwrap_or("");
    assert!(code == 1 && reason.contains("stored.E02 is missing"), "{gone:?}");
}

/// Any number of threads tells the same, and extracts the same.
#[test]
fn threads_do_not_matter() {
    let bench = Bench::new();
    for n in 0..40 {
        bench.log(&format!("case/{}/{n}.evtx", n % 3), n % 4, 3);
    }
    bench.file("case/disk.raw", &unpacked("disk.raw"));
    bench.file("case/empty.evtx", b"");
    let mut raw = vec![7; 100_000];
    for n in 0..200 {
        raw.extend_from_slice(&log((0..9).map(|k| event(n * 9 + k, r"C:\a.exe", "x")))[4096..]);
        raw.extend_from_slice(&[9; 777]);
    }
    bench.file("memory.raw", &raw);
    for format in ["table", "json", "csv"] {
        let of = |threads: u32| {
            let args =
                format!("list case memory.raw --carve --format {format} --threads {threads} -q");
            bench.harrier(&words(&args)).out
        };
        let one = of(1);
        assert!(one.len() > 2000, "{format}");
        for threads in [2, 8] {
            assert!(of(threads) == one, "{format} {threads}");
        }
    }
    let extracted = |threads: u32| {
        let args =
            format!("extract case memory.raw --carve --threads {threads} -o out{threads} -q");
        let run = bench.harrier(&words(&args));
        assert_eq!(run.code, 1, "{}", run.err);
        let text = std::fs::read(bench.path(&format!("out{threads}/manifest.json"))).unwrap();
        let manifest: Value = serde_json::from_slice(&text).unwrap();
        let root = bench.path(&format!("out{threads}"));
        let files: Vec<_> = bench
            .snapshot(&format!("out{threads}"))
            .into_iter()
            .filter(|(path, ..)| !path.ends_with("manifest.json"))
            .map(|(path, bytes, _)| (path.strip_prefix(&root).unwrap().to_owned(), bytes))
            .collect();
        (manifest["files"].clone(), files)
    };
    let one = extracted(1);
    assert_eq!(one.0.as_array().unwrap().len(), one.1.len());
    assert!(one.1.len() > 41);
    for threads in [2, 8] {
        assert!(extracted(threads) == one, "{threads}");
    }
}

/// The ledger of a list has what that of a hunt has; that of an extraction the same sources.
#[test]
fn ledgers_agree() {
    let bench = Bench::new();
    bench.log("case/a.evtx", 0, 300);
    bench.file("case/disk.raw", &unpacked("disk.raw"));
    bench.file("case/empty.evtx", b"");
    bench.file("case/notes.txt", b"hello");
    bench.file("case/x.7z", b"no archive");
    let mut harmed = log((0..200).map(|n| event(n, r"C:\a.exe", "x".repeat(300))));
    harmed[4096 + 65_536 + 0x200] ^= 0xff;
    let files = vec![("in/harmed.evtx".to_owned(), harmed), ("n.txt".to_owned(), vec![1])];
    bench.file("case/z.zip", &super::containers::zipped(&files, super::containers::deflated()));
    let ledger = |args: &str| -> (i32, Value) {
        let run = bench.harrier(&words(&format!("{args} -q --ledger l.json")));
        let text = std::fs::read(bench.path("l.json")).unwrap();
        std::fs::remove_file(bench.path("l.json")).unwrap();
        let ledger: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(ledger["totals"]["imbalances"], serde_json::json!([]), "{args}: {}", run.err);
        (run.code, ledger)
    };
    let of = |ledger: &Value, keys: &[&str]| -> Vec<Vec<Value>> {
        let sources = ledger["sources"].as_array().unwrap().iter();
        sources.map(|source| keys.iter().map(|key| source[key].clone()).collect()).collect()
    };
    let keys = ["path", "state", "reason", "size", "found", "container"];
    let all = [&keys[..], &["chunks", "records", "damages", "findings", "first_time"]].concat();
    for more in ["", "--carve", "--recover"] {
        let (code, hunted) = ledger(&format!("hunt case -r rules --all-copies {more}"));
        for threads in [1, 4] {
            let (same, listed) = ledger(&format!("list case {more} --threads {threads}"));
            assert_eq!(code, same);
            assert_eq!(of(&hunted, &all), of(&listed, &all), "{more}");
            assert_eq!(hunted["totals"]["sources"], listed["totals"]["sources"], "{more}");
        }
        let out = format!("out{more}");
        let (same, extracted) = ledger(&format!("extract case -o {out} {more}"));
        assert_eq!(code, same);
        // What is wrong with records is nothing that copying them shows.
        let read = |mut rows: Vec<Vec<Value>>| {
            for row in rows.iter_mut().filter(|row| row[1] == "damaged" && row[5].is_null()) {
                row[1] = "read".into();
            }
            rows
        };
        assert_eq!(read(of(&hunted, &keys)), read(of(&extracted, &keys)), "{more}");
    }
    for args in ["list case --ledger case/l.json", "extract case -o o2 --ledger case/l.json"] {
        let run = bench.harrier(&words(args));
        assert_eq!(run.code, 2, "{args}");
        assert!(run.err.contains("would lie in the evidence"), "{args}: {}", run.err);
    }
}
