//! `--carve`: what is left of logs in raw bytes is hunted through like them, and says what it is.

use super::bench::{Bench, event, log};
use super::words;
use serde_json::Value;

const CHUNK: usize = 65_536;

/// Raw bytes: a whole chunk at an odd place, the front of one, the tail of one.
fn raw(hits: bool) -> Vec<u8> {
    let image = if hits { r"C:\Temp\evil.exe" } else { r"C:\Temp\good.exe" };
    let events = (0..200).map(|n| event(n, image, "x".repeat(300)));
    let log = log(events);
    let chunk = &log[4096..4096 + CHUNK];
    assert!(log.len() > 4096 + CHUNK);
    let mut rng = forge::Rng::new(3);
    let mut noise = |len: usize| -> Vec<u8> {
        (0..len.div_ceil(8)).flat_map(|_| rng.next().to_le_bytes()).take(len).collect()
    };
    [
        noise(70_001),
        chunk.to_vec(),
        noise(5_000_000),
        chunk[..CHUNK / 2].to_vec(),
        noise(300_000),
        chunk[9000..].to_vec(),
        noise(100_000),
    ]
    .concat()
}

#[test]
fn an_unknown_file_that_is_named_is_searched() {
    let bench = Bench::new();
    bench.file("dump/memory.raw", &raw(true));
    let plain = bench.harrier(&words("hunt dump/memory.raw -r rules -q"));
    assert_eq!((plain.code, plain.hits().len()), (1, 0), "{}", plain.err);
    let mut first = None;
    for threads in ["1", "2", "8"] {
        let args = format!(
            "hunt dump/memory.raw -r rules -q --carve --all-copies --threads {threads} --ledger l"
        );
        let run = bench.harrier(&words(&args));
        assert_eq!(run.code, 0, "{}", run.err);
        let ledger = std::fs::read(bench.path("l")).unwrap();
        let (out, account) = first.get_or_insert_with(|| (run.out.clone(), ledger.clone()));
        assert!(*out == run.out && *account == ledger, "{threads}");
    }
    let (out, ledger) = first.unwrap();
    let hits: Vec<Value> = std::str::from_utf8(&out)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ledger: Value = serde_json::from_slice(&ledger).unwrap();
    assert_eq!(ledger["totals"]["imbalances"], serde_json::json!([]));
    assert_eq!(ledger["sources"][0]["found"], "carved");
    let records = &ledger["sources"][0]["records"];
    assert_eq!(
        (records["unrecoverable"].as_u64(), records["unreadable"].as_u64()),
        (Some(0), Some(0))
    );
    // Every record hits: those of the whole chunk, the torn one's and the tail's.
    assert_eq!(records["seen"], hits.len());
    let recovered = hits.iter().filter(|hit| hit["evidence"]["recovered"] == true).count();
    assert_eq!(records["recovered"], recovered);
    assert!(recovered > 50 && hits.len() > 120, "{recovered} of {}", hits.len());
    assert_eq!(hits[0]["evidence"]["offset"], 70_001 + 512);
    assert_eq!(ledger["sources"][0]["chunks"]["read"], 1);
    assert_eq!(ledger["sources"][0]["findings"].as_array().unwrap().len(), 1);
}

#[test]
fn what_has_lost_its_template_is_written_all_the_same() {
    let bench = Bench::new();
    bench.file("dump/memory.raw", &raw(false));
    let json = bench.harrier(&words("dump dump/memory.raw --carve -q"));
    let xml = bench.harrier(&words("dump dump/memory.raw --carve -q --format xml"));
    assert_eq!((json.code, xml.code), (0, 0), "{}", json.err);
    let records = json.hits();
    let text = String::from_utf8(xml.out).unwrap();
    assert_eq!(text.matches("<Event ").count(), records.len());
    let (live, found): (Vec<&Value>, Vec<&Value>) =
        records.iter().partition(|record| record.get("evidence").is_none());
    let by_id = |id: &Value| {
        let same = |record: &&&Value| record["Event"]["System"]["EventRecordID"] == *id;
        live.iter().find(same).copied()
    };
    let mut compared = 0;
    for record in found {
        // The same record is in the whole chunk, and looks the same.
        let live = by_id(&record["Event"]["System"]["EventRecordID"]).unwrap();
        assert_eq!(record["Event"], live["Event"]);
        compared += 1;
    }
    assert!(compared > 50, "{compared}");
}

/// With what code the list of this ends, and what it has of the raw bytes: records that are read, and that
/// cannot be. Its ledger has the same.
fn listed(bench: &Bench, evidence: &str) -> (i32, u64, u64) {
    let args = format!("list {evidence} --carve --format json -q --ledger list.json");
    let run = bench.harrier(&words(&args));
    let row = run.hits().into_iter().find(|row| row["kind"] == "raw bytes").unwrap();
    let number = |key: &str| row[key].as_u64().unwrap();
    let counts = (number("recovered"), number("unrecoverable"));
    let ledger = std::fs::read(bench.path("list.json")).unwrap();
    let ledger: Value = serde_json::from_slice(&ledger).unwrap();
    assert_eq!(ledger["totals"]["imbalances"], serde_json::json!([]));
    let source = &ledger["sources"][0]["records"];
    assert_eq!(source["recovered"].as_u64().zip(source["unrecoverable"].as_u64()), Some(counts));
    (run.code, counts.0, counts.1)
}

/// A record whose template is nowhere is told of, with what is known of it.
#[test]
fn what_cannot_be_read_is_counted() {
    let bench = Bench::new();
    let log = log((0..200).map(|n| event(n, r"C:\evil.exe", "x".repeat(300))));
    bench.file("tail.bin", &log[4096 + 9000..4096 + CHUNK]);
    let run = bench.harrier(&words("hunt tail.bin -r rules --carve --ledger l -v"));
    assert_eq!((run.code, run.hits().len()), (0, 0), "{}", run.err);
    let ledger: Value = serde_json::from_slice(&std::fs::read(bench.path("l")).unwrap()).unwrap();
    let records = &ledger["totals"]["records"];
    assert_eq!(records["seen"], records["unrecoverable"]);
    assert!(records["seen"].as_u64().unwrap() > 50);
    let first = ledger["sources"][0]["findings"][0]["reason"].as_str().unwrap();
    assert!(first.contains("stands alone, and its template is not known"), "{first}");
    // Their values are written, under a name of their own.
    let dumped = bench.harrier(&words("dump tail.bin --carve -q"));
    let partial = dumped.hits();
    assert_eq!(partial.len() as u64, records["seen"].as_u64().unwrap(), "{}", dumped.err);
    for (line, n) in partial.iter().zip(0..) {
        assert!(line.get("Event").is_none() && line["evidence"]["recovered"] == true);
        let values = line["Partial"]["Data"].as_array().unwrap();
        let has = |text: &str| values.iter().any(|value| value["value"] == text);
        assert!(has(r"C:\evil.exe"), "{n}: {line}");
        assert_eq!(line["Partial"]["EventID"], "1");
        assert_eq!(line["Partial"]["KnownBy"], "place");
    }
    let xml = bench.harrier(&words("dump tail.bin --carve -q --format xml"));
    let text = String::from_utf8(xml.out).unwrap();
    assert_eq!(text.matches("<Partial EventRecordID=").count(), partial.len());
    assert!(text.contains(r#"<Value Type="String">C:\evil.exe</Value>"#), "{text}");
    // With a filter nobody knows whether they are wanted.
    let some = bench.harrier(&words("dump tail.bin --carve -q --event-id 1"));
    assert!(some.out.is_empty(), "{}", some.err);
    // A list counts the same, and has no fault to tell.
    let seen = records["seen"].as_u64().unwrap();
    assert_eq!(listed(&bench, "tail.bin"), (0, 0, seen));
    // With the log beside it, which has the template, all are read.
    bench.log("logs/other.evtx", 0, 1);
    let run = bench.harrier(&words("hunt tail.bin logs -r rules --carve -q"));
    assert_eq!(run.hits().len() as u64, seen, "{}", run.err);
    let dumped = bench.harrier(&words("dump tail.bin logs --carve -q")).hits();
    let recovered = |record: &&Value| record["evidence"]["recovered"] == true;
    assert_eq!(dumped.iter().filter(recovered).count() as u64, seen);
    assert_eq!(listed(&bench, "tail.bin logs"), (0, seen, 0));
}

/// A log without its header is no log, but its chunks are there.
#[test]
fn a_log_without_its_header_is_searched() {
    let bench = Bench::new();
    let mut bytes = log((0..5).map(|n| event(n, r"C:\evil.exe", "x")));
    bytes[..4096].fill(0);
    bench.file("case/headless.evtx", &bytes);
    let run = bench.harrier(&words("hunt case -r rules -q"));
    assert_eq!(run.code, 1);
    assert!(run.err.contains("header is gone: search it with --carve"), "{}", run.err);
    let run = bench.harrier(&words("hunt case -r rules -q --carve"));
    assert_eq!((run.code, run.hits().len()), (0, 5), "{}", run.err);
}
