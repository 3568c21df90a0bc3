//! `harrier dump`: every record as text, as the `evtx` crate writes it.

use super::bench::{Bench, event, log};
use super::words;
use crate::support::{corpora, this_test};
use evtx::{EvtxParser, ParserSettings};
use forge::{LogWriter, Options};
use serde_json::Value;
use std::path::Path;

/// What the crate makes of a log, or nothing if it stops in it.
fn by_the_crate(log: &Path, xml: bool) -> Option<Vec<String>> {
    let settings = ParserSettings::new().num_threads(1).indent(xml);
    let mut parser = EvtxParser::from_path(log).ok()?.with_configuration(settings);
    let texts: Result<Vec<_>, _> = match xml {
        true => parser.records().map(|record| record.map(|record| record.data)).collect(),
        false => parser.records_json().map(|record| record.map(|record| record.data)).collect(),
    };
    texts.ok()
}

/// What harrier's XML has between its first and its last lines, an event each.
fn events_of(document: &str) -> Vec<String> {
    let body = document.strip_prefix("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Events>\n");
    let body = body.unwrap().strip_suffix("</Events>\n").unwrap();
    let events = body.split_inclusive("</Event>\n");
    events.filter(|event| !event.is_empty()).map(str::to_owned).collect()
}

#[test]
fn records_are_as_the_crate_writes_them() {
    let bench = Bench::new();
    let mut compared = 0;
    let mut logs = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/evidence")];
    logs.extend(corpora(&this_test()).map(|root| root.join("evtx")));
    for log in logs.iter().flat_map(|root| crate::support::logs::evtx_files(root)) {
        let name = log.to_str().unwrap();
        let (Some(json), Some(xml)) = (by_the_crate(&log, false), by_the_crate(&log, true)) else {
            continue;
        };
        let run = bench.harrier(&["dump", name, "-q"]);
        let lines: Vec<&str> = std::str::from_utf8(&run.out).unwrap().lines().collect();
        // The crate leaves out records that a log in use wrote last.
        if lines.len() != json.len() {
            assert!(lines.len() > json.len(), "{name}");
            continue;
        }
        for (line, json) in lines.iter().zip(&json) {
            let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            assert!(*line == json || read(line) == read(json), "{name}\n{line}\n{json}");
        }
        let run = bench.harrier(&["dump", name, "-q", "--format", "xml"]);
        let events = events_of(std::str::from_utf8(&run.out).unwrap());
        assert_eq!(events.len(), xml.len(), "{name}");
        for (event, xml) in events.iter().zip(&xml) {
            let (_, xml) = xml.split_once("?>").unwrap();
            let shown = |c: char| !harrier::report::escape::is_unsafe(c) || "\r\n\t".contains(c);
            assert!(
                !xml.chars().all(shown) || event.trim() == xml.trim(),
                "{name}\n{event}\n{xml}"
            );
        }
        compared += lines.len();
    }
    assert!(compared > 400, "{compared}");
}

#[test]
fn the_place_is_said_on_request() {
    let bench = Bench::new();
    bench.log("logs/a.evtx", 2, 0);
    bench.log("logs/b&--.evtx", 1, 0);
    let plain = bench.harrier(&words("dump logs"));
    assert_eq!(plain.code, 0, "{}", plain.err);
    assert!(plain.err.contains("Records    3 read\n"), "{}", plain.err);
    assert!(!plain.err.contains("Hits") && !plain.err.contains("Rules"), "{}", plain.err);
    for record in plain.hits() {
        assert_eq!(record.as_object().unwrap().keys().collect::<Vec<_>>(), ["Event"]);
    }
    let placed = bench.harrier(&words("dump logs --with-place -q"));
    let places: Vec<Value> = placed.hits().iter().map(|hit| hit["evidence"].clone()).collect();
    assert_eq!(places[0]["path"], "logs/a.evtx");
    assert_eq!(places[0]["offset"], 4096 + 512);
    assert_eq!(places[1]["record_id"], 2);
    assert_eq!(places[2]["path"], "logs/b&--.evtx");
    assert_eq!(places[2]["recovered"], false);
    let run = bench.harrier(&words("dump logs --with-place -q --format xml"));
    let text = String::from_utf8(run.out).unwrap();
    let place = "<?evidence path=\"logs/b&amp;--.evtx\" chunk=\"0\" offset=\"4608\" \
                 record_id=\"1\" recovered=\"false\"?>";
    assert!(text.lines().any(|line| line == place), "{text}");
    let mut reader = quick_xml::Reader::from_str(&text);
    let mut events = 0;
    loop {
        match reader.read_event().unwrap() {
            quick_xml::events::Event::Start(tag) if tag.name().as_ref() == "Event" => events += 1,
            quick_xml::events::Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(events, 3);
}

#[test]
fn recovered_records_are_marked() {
    let bench = Bench::new();
    let mut log = LogWriter::in_memory(Options::new());
    for n in 0..9 {
        log.push(&event(n, r"C:\a.exe", "x")).unwrap();
    }
    let mut log = log.into_bytes().unwrap();
    forge::damage::forget_records(&mut log, 0, 6);
    // The first of those that are left gets another id: it does not follow.
    let at = forge::damage::chunk_offset(0) + {
        let whole = forge::damage::record_offsets(&log, 0);
        let last = *whole.last().unwrap();
        let size = u32::from_le_bytes(log[4096 + last + 4..][..4].try_into().unwrap());
        last + size as usize
    };
    log[at + 8] = 99;
    bench.file("logs/a.evtx", &log);
    let plain = bench.harrier(&words("dump logs -q"));
    assert_eq!((plain.code, plain.hits().len()), (0, 6), "{}", plain.err);
    let run = bench.harrier(&words("dump logs --recover"));
    let hits = run.hits();
    let marked: Vec<bool> = hits.iter().map(|hit| hit["evidence"]["recovered"] == true).collect();
    assert_eq!(marked, [false, false, false, false, false, false, true, true, true]);
    assert_eq!(hits[6]["evidence"]["offset"], at);
    assert!(run.err.contains("Records    9 read, 3 recovered"), "{}", run.err);
}

#[test]
fn the_output_is_the_same_with_any_number_of_threads() {
    let bench = Bench::new();
    for n in 0..5 {
        let many = (0..2500).map(|k| event(k, r"C:\some\program.exe", "y".repeat(700 + n)));
        bench.file(&format!("logs/{n}.evtx"), &log(many));
    }
    let mut damaged = log((0..300).map(|n| event(n, r"C:\evil.exe", "x".repeat(900))));
    damaged[70_000..90_000].fill(0xff);
    bench.file("logs/damaged.evtx", &damaged);
    for format in ["jsonl", "xml"] {
        let mut first = None;
        for threads in ["1", "2", "8"] {
            let run = bench.harrier(&[
                "dump",
                "logs",
                "--format",
                format,
                "--threads",
                threads,
                "-q",
                "--ledger",
                "l",
                "--with-place",
            ]);
            assert_eq!(run.code, 1, "{}", run.err);
            assert!(run.err.contains("logs/damaged.evtx at offset"), "{}", run.err);
            let ledger = std::fs::read(bench.path("l")).unwrap();
            let json: Value = serde_json::from_slice(&ledger).unwrap();
            assert_eq!(json["totals"]["imbalances"], serde_json::json!([]));
            let (out, account) = first.get_or_insert_with(|| (run.out.clone(), ledger.clone()));
            assert!(*out == run.out && *account == ledger, "{format} {threads}");
            assert!(run.out.len() > 5_000_000);
        }
    }
}

#[test]
fn filters_leave_out_records_and_say_so() {
    let bench = Bench::new();
    bench.log("logs/a.evtx", 2, 3);
    for (args, records, says) in [
        ("--event-id 1", 5, "Records    5 read\n"),
        ("--event-id 2", 0, "no event was looked at, all were left out"),
        ("--channel sysmon --computer ws-01", 5, "5 read"),
        ("--from 2026-03-02", 0, "Records    0 read, 5 left out by the event filter"),
        ("--from -1d", 5, "Filter     from 2026-02-28"),
    ] {
        let run = bench.harrier(&words(&format!("dump logs {args}")));
        assert_eq!((run.code, run.hits().len()), (0, records), "{args}: {}", run.err);
        assert!(run.err.contains(says), "{args}: {}", run.err);
    }
}

#[test]
fn a_file_is_whole_or_partial_and_never_evidence() {
    let bench = Bench::new();
    bench.log("logs/a.evtx", 2, 3);
    bench.file("empty/notes.txt", b"hello");
    for (args, code, says) in [
        ("logs -q -o out.jsonl", 0, ""),
        ("logs -q -o out.xml", 0, ""),
        ("logs -q -o out", 0, ""),
        ("logs -o out.csv", 2, "no format is known by the ending .csv: end it in .jsonl or .xml"),
        ("logs -o logs/out.jsonl", 2, "would lie in the evidence (logs)"),
        ("logs -o logs/a.evtx --format xml", 2, "is part of the evidence"),
        ("logs -o x.jsonl --ledger ./x.jsonl", 2, "named for records and ledger both"),
        ("logs -o no/where.xml", 2, "no/where.xml: cannot be written"),
        ("nowhere", 2, "nowhere: no such file or folder"),
        ("empty", 2, "empty: no event logs there"),
        ("logs --from 2026-03-02 --to 2026-03-01", 2, "is not before --to"),
        ("logs --rules rules", 2, "unexpected argument '--rules'"),
    ] {
        let run = bench.harrier(&words(&format!("dump {args}")));
        assert_eq!(run.code, code, "{args}: {}", run.err);
        assert!(run.err.contains(says), "{args}: {}", run.err);
        assert!(run.out.is_empty());
    }
    let read = |name: &str| std::fs::read_to_string(bench.path(name)).unwrap();
    assert_eq!(read("out.jsonl"), read("out"));
    assert_eq!(read("out").lines().count(), 5);
    assert_eq!(events_of(&read("out.xml")).len(), 5);
    let left = std::fs::read_dir(bench.path("")).unwrap();
    let partial = left.filter(|e| e.as_ref().unwrap().path().to_string_lossy().contains("partial"));
    assert_eq!(partial.count(), 0);
}
