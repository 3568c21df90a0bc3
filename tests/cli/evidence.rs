//! Evidence is found whole, once, and left as it was.

use super::bench::{Bench, event, log};
use super::words;
use serde_json::{Value, json};

fn ledger(bench: &Bench, args: &str) -> (i32, Value, String) {
    let run =
        bench.harrier(&words(&format!("hunt {args} --all-copies -r rules -q --ledger l -o hits")));
    (run.code, serde_json::from_slice(&std::fs::read(bench.path("l")).unwrap()).unwrap(), run.err)
}

#[test]
fn evidence_is_left_as_it_was() {
    let bench = Bench::new();
    bench.log("logs/a.evtx", 3, 3);
    bench.log("logs/b/c.evtx", 3, 3);
    bench.file("logs/b/notes.txt", b"hello");
    let mut damaged = log((0..100).map(|n| event(n, r"C:\evil.exe", "x".repeat(900))));
    damaged[70_000..90_000].fill(0xff);
    bench.file("logs/d.evtx", &damaged);
    let before = bench.snapshot("logs");
    for args in [
        "hunt logs -r rules -q -o out --ledger l",
        "hunt logs -r rules -o logs/a.evtx",
        "hunt logs -r rules --ledger logs/b/c.evtx",
        "hunt logs/a.evtx -r rules -o logs/a.evtx",
        "hunt logs/b -r rules -o logs/a.evtx",
    ] {
        bench.harrier(&words(args));
        assert!(before == bench.snapshot("logs"), "{args}");
    }
}

/// Content decides in folders: a log by another name is read, a file that is none is not.
#[test]
fn logs_are_known_by_their_content() {
    let bench = Bench::new();
    bench.log("logs/a.evtx", 1, 0);
    bench.log("logs/b.bak", 1, 0);
    bench.log("logs/Security.evtx.1", 1, 0);
    bench.file("logs/c.txt", b"text");
    bench.file("logs/d", b"");
    let (code, json, _) = ledger(&bench, "logs");
    assert_eq!(code, 0);
    assert_eq!(json["totals"]["hits"]["total"], 3);
    assert_eq!(json["totals"]["sources"]["read"], 3);
    assert_eq!(json["totals"]["beside"]["other_files"], 2);
}

#[test]
fn what_is_named_twice_is_counted_once() {
    let bench = Bench::new();
    bench.log("logs/a.evtx", 1, 0);
    bench.log("logs/b/c.evtx", 1, 0);
    for (args, hits, duplicates) in [
        ("logs logs", 2, 1),
        ("logs logs/a.evtx", 2, 1),
        ("logs/a.evtx logs", 2, 1),
        ("logs/a.evtx ./logs/../logs/a.evtx", 1, 1),
        ("logs/b logs", 2, 1),
    ] {
        let (code, json, err) = ledger(&bench, args);
        assert_eq!(code, 0, "{args}: {err}");
        assert_eq!(json["totals"]["hits"]["total"], hits, "{args}");
        assert_eq!(json["totals"]["beside"]["duplicates"], duplicates, "{args}");
        assert_eq!(json["totals"]["imbalances"], json!([]), "{args}");
    }
}

#[cfg(unix)]
#[test]
fn links_lead_neither_in_circles_nor_away() {
    use std::os::unix::fs::symlink;
    let bench = Bench::new();
    bench.log("logs/a.evtx", 1, 0);
    bench.log("away/b.evtx", 1, 0);
    symlink(bench.path("logs"), bench.path("logs/loop")).unwrap();
    symlink(bench.path("away"), bench.path("logs/away")).unwrap();
    symlink("gone", bench.path("logs/gone")).unwrap();
    let (code, json, _) = ledger(&bench, "logs");
    assert_eq!(code, 0);
    assert_eq!(json["totals"]["hits"]["total"], 1);
    assert_eq!(json["totals"]["beside"]["links_not_followed"], 3);
}

/// Whatever is broken is named with its place, the rest is read, and the bins add up.
#[test]
fn damage_is_named_and_the_rest_is_read() {
    let honest = log((0..300).map(|n| event(n, r"C:\evil.exe", "x".repeat(900))));
    let chunks = (honest.len() - 4096) / 65_536;
    assert!(chunks >= 5);
    type Spoil = fn(&mut Vec<u8>);
    let rows: [(&str, Spoil, &str); 6] = [
        (
            "a chunk of garbage",
            |log| log[4096 + 65_536..4096 + 2 * 65_536].fill(0xa5),
            "offset 70144",
        ),
        ("a torn chunk", |log| forge::damage::tear_chunk(log, 2, 20_000), "offset 15"),
        (
            "a record of garbage",
            |log| {
                let at = 4096 + forge::damage::record_offsets(log, 1)[3];
                log[at + 65_536 + 24..at + 65_536 + 200].fill(0xee);
            },
            "offset ",
        ),
        ("cut in a chunk", |log| log.truncate(4096 + 3 * 65_536 + 30_000), "cut off"),
        ("cut between chunks", |log| log.truncate(4096 + 3 * 65_536), "the file is cut off"),
        (
            "a size that leads away",
            |log| {
                let at = 4096 + 65_536 + forge::damage::record_offsets(log, 1)[5];
                log[at + 4..at + 8].fill(0xff);
            },
            "offset ",
        ),
    ];
    for (name, spoil, says) in rows {
        let bench = Bench::new();
        let mut bytes = honest.clone();
        spoil(&mut bytes);
        bench.file("logs/bad.evtx", &bytes);
        bench.log("logs/good.evtx", 7, 0);
        let (code, json, err) = ledger(&bench, "logs");
        assert_eq!(code, 1, "{name}: {err}");
        assert!(err.contains("logs/bad.evtx") && err.contains(says), "{name}: {err}");
        assert_eq!(json["totals"]["imbalances"], json!([]), "{name}");
        assert_eq!(json["totals"]["complete"], false, "{name}");
        let (bad, good) = (&json["sources"][0], &json["sources"][1]);
        assert_eq!((&bad["state"], &good["state"]), (&json!("damaged"), &json!("read")), "{name}");
        assert!(bad["hits"].as_u64().unwrap() > 80, "{name}: {bad}");
        assert_eq!(good["hits"], 7, "{name}");
        let damage = &bad["damages"][0];
        assert!(damage["offset"].is_u64() && damage["reason"].is_string(), "{name}: {bad}");
    }
}

/// A log that was open when it was copied has stale headers and loses nothing.
#[test]
fn a_dirty_log_is_no_damage() {
    let bench = Bench::new();
    let options = forge::Options::new().dirty(true).stale_header(true).tail_chunks(3);
    let mut writer = forge::LogWriter::in_memory(options);
    for n in 0..200 {
        writer.push(&event(n, r"C:\evil.exe", "x".repeat(900))).unwrap();
    }
    bench.file("logs/a.evtx", &writer.into_bytes().unwrap());
    let (code, json, err) = ledger(&bench, "logs");
    assert_eq!(code, 0, "{err}");
    assert_eq!(json["totals"]["hits"]["total"], 200);
    assert_eq!(json["totals"]["chunks"]["unused"], 3);
    let findings = json["sources"][0]["findings"].to_string();
    assert!(findings.contains("the log was open when it was copied"), "{findings}");
}
