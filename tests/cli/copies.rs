//! Events that are found again: told once, counted once, and what was left out is accounted for.

use super::bench::{Bench, event};
use super::words;
use forge::{Event, FileTime, LogWriter, Options};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Write as _};

/// A rule that hits every event, a filter that takes some of its hits away, and a correlation that
/// counts all.
const RULES: [(&str, &str); 3] = [
    (
        "everything.yml",
        "title: Everything
id: eeeeeeee-2222-3333-4444-555555555555
name: everything
status: test
level: low
logsource:
    product: windows
detection:
    selection:
        EventID|exists: true
    condition: selection
",
    ),
    (
        "filter.yml",
        "title: Known Good
id: ffffffff-2222-3333-4444-555555555555
logsource:
    product: windows
filter:
    rules: [everything]
    selection:
        ProcessId|endswith: '7'
    condition: not selection
",
    ),
    (
        "many.yml",
        "title: Many
id: cccccccc-2222-3333-4444-555555555555
status: test
level: high
correlation:
    type: event_count
    rules: [everything]
    group-by: [Computer]
    timespan: 1h
    generate: true
    condition: {gte: 3}
",
    ),
];

/// An event; its number says all that it says.
fn made(n: u32) -> Event {
    let image = if n.is_multiple_of(2) { r"C:\Temp\evil.exe" } else { r"C:\Windows\good.exe" };
    let mut event = event(n, image, "x".repeat(60)).record_id(u64::from(n) + 1000);
    event.time = FileTime::literal("2026-03-01T10:00:00Z").plus_seconds(u64::from(n * 7919 % 600));
    event
}

fn written(events: impl IntoIterator<Item = Event>, options: Options) -> Vec<u8> {
    let mut log = LogWriter::in_memory(options);
    for event in events {
        log.push(&event).unwrap();
    }
    log.into_bytes().unwrap()
}

fn plain(events: std::ops::Range<u32>) -> Vec<u8> {
    written(events.map(made), Options::new())
}

fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for (name, content) in files {
        zip.start_file(*name, options).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn next_day(event: Event) -> Event {
    Event { time: event.time.plus_seconds(86_400), ..event }
}

/// Raw bytes with a chunk of a log, and the front of one.
fn raw(log: &[u8]) -> Vec<u8> {
    let chunk = &log[4096..4096 + 65_536];
    [&[0x55; 70_001][..], chunk, &[0xAA; 3000], &chunk[..20_000]].concat()
}

fn bench() -> Bench {
    let bench = Bench::new();
    for (name, rule) in RULES {
        bench.file(&format!("rules/{name}"), rule.as_bytes());
    }
    bench
}

/// Evidence: its files, the arguments, and how many events there are and how many are found again.
struct Row {
    name: &'static str,
    files: Vec<(&'static str, Vec<u8>)>,
    args: &'static str,
    events: usize,
    again: usize,
}

fn rows() -> Vec<Row> {
    let row = |name, files: Vec<(&'static str, Vec<u8>)>, args, events, again| Row {
        name,
        files,
        args,
        events,
        again,
    };
    let a = plain(0..40);
    let mut left = written((0..40).map(made), Options::new().records_per_chunk(20));
    forge::damage::forget_records(&mut left, 1, 5);
    let mut second_half_first = left.clone();
    forge::damage::swap_chunks(&mut second_half_first, 0, 1);
    let moved = Options::new().first_record_id(500).records_per_chunk(7);
    let other = |change: fn(Event) -> Event| written((0..40).map(made).map(change), Options::new());
    let timeless = || {
        let none = |event: Event| Event { time: FileTime(u64::MAX), ..event };
        written((0..4).map(made).map(none), Options::new())
    };
    // Chunks of which one was written twice, as a copy of a file that is being written may have it.
    let own = {
        let mut own = written((0..40).map(made), Options::new().records_per_chunk(20));
        let first = own[4096..4096 + 65_536].to_vec();
        own[4096 + 65_536..4096 + 2 * 65_536].copy_from_slice(&first);
        own
    };
    vec![
        row("alone", vec![("a.evtx", a.clone())], "a.evtx", 40, 0),
        row("twice", vec![("in/a.evtx", a.clone()), ("in/b.bak", a.clone())], "in", 40, 40),
        row(
            "thrice and more",
            vec![("in/a.evtx", a.clone()), ("in/b.evtx", plain(10..60)), ("in/c.evtx", a.clone())],
            "in",
            60,
            70,
        ),
        row(
            "the archive behind",
            vec![("a.evtx", a.clone()), ("z.zip", zipped(&[("C/a.evtx", &a)]))],
            "a.evtx z.zip",
            40,
            40,
        ),
        row(
            "the archive before",
            vec![("a.evtx", a.clone()), ("z.zip", zipped(&[("C/a.evtx", &a)]))],
            "z.zip a.evtx",
            40,
            40,
        ),
        row(
            "exported anew",
            vec![
                ("a.evtx", a.clone()),
                ("b.evtx", written((20..40).chain(0..20).map(made), moved)),
            ],
            "b.evtx a.evtx",
            40,
            40,
        ),
        row(
            "carved",
            vec![("a.evtx", a.clone()), ("memory.raw", raw(&a))],
            "a.evtx memory.raw --carve",
            40,
            40,
        ),
        row(
            "carved, first",
            vec![("a.evtx", a.clone()), ("memory.raw", raw(&a))],
            "memory.raw a.evtx --carve",
            40,
            40,
        ),
        row(
            "left over and live",
            vec![("a.evtx", a.clone()), ("left.evtx", left.clone())],
            "left.evtx a.evtx --recover",
            40,
            40,
        ),
        row(
            "left over, in another order",
            vec![("left.evtx", left), ("swapped.evtx", second_half_first)],
            "left.evtx swapped.evtx --recover",
            40,
            40,
        ),
        row("twice in one log", vec![("own.evtx", own)], "own.evtx", 20, 20),
        row(
            "another computer",
            vec![("a.evtx", a.clone()), ("b.evtx", other(|e| e.on("WS-02.example")))],
            "a.evtx b.evtx",
            80,
            0,
        ),
        row(
            "another value",
            vec![("a.evtx", a.clone()), ("b.evtx", other(|e| e.set("LogonId", 1u32)))],
            "a.evtx b.evtx",
            80,
            0,
        ),
        row(
            "another record id",
            vec![("a.evtx", a.clone()), ("b.evtx", other(|e| e.record_id(5)))],
            "a.evtx b.evtx",
            80,
            0,
        ),
        row(
            "another time",
            vec![("a.evtx", a), ("b.evtx", other(next_day))],
            "a.evtx b.evtx",
            80,
            0,
        ),
        row(
            "without a time",
            vec![("a.evtx", timeless()), ("b.evtx", timeless())],
            "a.evtx b.evtx",
            8,
            0,
        ),
    ]
}

fn lines(out: &[u8]) -> Vec<String> {
    std::str::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
}

/// Hits by what the event says, whatever place it is told of.
fn said(line: &str) -> String {
    let mut hit: Value = serde_json::from_str(line).unwrap();
    hit.as_object_mut().unwrap().remove("evidence");
    if let Some(members) = hit.pointer_mut("/correlation/members") {
        for member in members.as_array_mut().unwrap() {
            member.as_object_mut().unwrap().remove("evidence");
        }
    }
    hit.to_string()
}

fn is_finding(line: &str) -> bool {
    line.contains("\"correlation\":")
}

/// The first of each, in order.
fn firsts(all: &[String]) -> Vec<&String> {
    let mut known = BTreeSet::new();
    all.iter().filter(|line| is_finding(line) || known.insert(said(line))).collect()
}

#[test]
fn an_event_is_told_once_wherever_else_it_is() {
    for row in rows() {
        let bench = bench();
        row.files.iter().for_each(|(name, content)| bench.file(name, content));
        let hunt = |args: &str| {
            let args = format!("hunt {} -r rules --ledger l {args}", row.args);
            let run = bench.harrier(&words(&args));
            let ledger = std::fs::read(bench.path("l")).unwrap();
            let ledger: Value = serde_json::from_slice(&ledger).unwrap();
            assert_eq!(ledger["totals"]["imbalances"], json!([]), "{args}");
            (run.out, ledger, run.err)
        };
        let name = row.name;
        for order in ["", "--sort time", "--show-filtered", "--full-scan"] {
            let (all, all_ledger, _) = hunt(&format!("--all-copies --format jsonl {order}"));
            let all = lines(&all);
            let (once, ledger, err) = hunt(&format!("--format jsonl {order}"));
            let once = lines(&once);
            // In evidence order the first of each is told; by time the one that comes first in it.
            let told: Vec<&String> = once.iter().collect();
            match name {
                "without a time" => assert_eq!(told, all.iter().collect::<Vec<_>>(), "{name}"),
                _ => assert_eq!(told, firsts(&all), "{name} {order}"),
            }
            let totals = &ledger["totals"];
            let number = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
            // Every event that is not filtered away hits.
            let filtered = number(&totals["hits"]["filtered"]);
            assert!(filtered > 0 || row.events < 20, "{name}");
            let records = number(&totals["records"]["hit"]);
            assert!(records <= row.events && records + filtered >= row.events, "{name}");
            assert_eq!(
                number(&totals["hits"]["total"]) + number(&totals["hits"]["copies"]),
                number(&all_ledger["totals"]["hits"]["total"]),
                "{name}"
            );
            assert_eq!(
                number(&totals["records"]["hit"]) + number(&totals["records"]["copied"]),
                number(&all_ledger["totals"]["records"]["hit"]),
                "{name}"
            );
            assert_eq!(number(&all_ledger["totals"]["hits"]["copies"]), 0, "{name}");
            assert_eq!(number(&totals["hits"]["copies"]) > 0, row.again > 0, "{name}");
            let all_seen = number(&totals["records"]["seen"]);
            let unrecoverable = number(&totals["records"]["unrecoverable"]);
            assert!(all_seen - unrecoverable >= row.events + row.again, "{name} {all_seen}");
            if row.again > 0 {
                assert!(err.contains("--all-copies shows them"), "{name} {err}");
            }
            add_up(&ledger, name);
            // A rule's hits are those that are told, correlations among them.
            let mut told = BTreeMap::<String, usize>::new();
            for line in once.iter().filter(|line| !line.contains("\"filtered_by\"")) {
                let hit: Value = serde_json::from_str(line).unwrap();
                *told.entry(hit["rule"]["title"].as_str().unwrap().to_owned()).or_default() += 1;
            }
            for rule in ledger["rules"].as_array().unwrap() {
                let title = rule["title"].as_str().unwrap();
                assert_eq!(told.get(title).copied().unwrap_or(0), number(&rule["hits"]), "{name}");
            }
            // Correlations count events, not places.
            let finding = |lines: &[String]| -> Vec<String> {
                lines.iter().filter(|line| is_finding(line)).cloned().collect()
            };
            assert_eq!(finding(&once), finding(&all), "{name}");
            let correlations = &totals["correlations"];
            assert_eq!(correlations["findings"], all_ledger["totals"]["correlations"]["findings"]);
            assert_eq!(correlations["counted"], all_ledger["totals"]["correlations"]["counted"]);
        }
    }
}

/// What each source says of its copies adds up to the totals.
fn add_up(ledger: &Value, name: &str) {
    let sum = |of: &dyn Fn(&Value) -> u64| -> u64 {
        ledger["sources"].as_array().unwrap().iter().map(of).sum()
    };
    let totals = &ledger["totals"];
    let findings = totals["correlations"]["findings"].as_u64().unwrap();
    assert_eq!(sum(&|s| s["hits"].as_u64().unwrap()) + findings, totals["hits"]["total"], "{name}");
    assert_eq!(sum(&|s| s["copies"].as_u64().unwrap()), totals["hits"]["copies"], "{name}");
    assert_eq!(sum(&|s| s["filtered_hits"].as_u64().unwrap()), totals["hits"]["filtered"]);
    assert_eq!(
        sum(&|s| u64::from(s["records"]["copied"].as_u64().unwrap() > 0)),
        totals["sources"]["with_copies"]
    );
    for source in ledger["sources"].as_array().unwrap() {
        let of = source["copies_of"].as_array().unwrap();
        let told: u64 = of.iter().map(|first| first["records"].as_u64().unwrap()).sum();
        let all = told + source["more_copies"].as_u64().unwrap();
        assert_eq!(all, source["records"]["copied"].as_u64().unwrap(), "{name} {source}");
        assert_eq!(source["more_copies"], 0, "{name}");
        for first in of {
            let sources = ledger["sources"].as_array().unwrap();
            assert!(sources.iter().any(|source| source["path"] == first["path"]), "{name}");
        }
    }
}

/// In every order and format, with any number of threads: the same, and what is left out is left out.
#[test]
fn threads_change_nothing() {
    let bench = bench();
    let filler = |n: u32| made(n).set("CommandLine", "x".repeat(800));
    let large = written((0..1500).map(filler), Options::new());
    bench.file("in/a/large.evtx", &large);
    bench.file("in/b.zip", &zipped(&[("large.evtx", &large), ("b.evtx", &plain(0..50))]));
    for n in 0..9 {
        bench.file(&format!("in/c/{n}.evtx"), &plain(n..n + 60));
    }
    bench.file("in/d/again.evtx", &large);
    for options in [
        "--format jsonl",
        "--format csv",
        "--format table --sort time --sort-memory 5000",
        "--format jsonl --sort time",
        "--format jsonl --group",
        "--format jsonl --context 2 --rule-id 11111111*",
        "--format jsonl --show-filtered",
        "--format jsonl --all-copies",
        "--format ecs --sort time -o more.csv -o -",
    ] {
        let mut first = None;
        for threads in [1, 2, 8] {
            let args = format!("hunt in -r rules -q --ledger l --threads {threads} {options}");
            let run = bench.harrier(&words(&args));
            assert_eq!((run.code, run.err.as_str()), (0, ""), "{args}");
            let more = std::fs::read(bench.path("more.csv")).unwrap_or_default();
            let got = (run.out, std::fs::read(bench.path("l")).unwrap(), more);
            let want = first.get_or_insert_with(|| got.clone());
            assert!(*want == got, "{args}");
        }
        let ledger: Value = serde_json::from_slice(&first.unwrap().1).unwrap();
        assert_eq!(ledger["totals"]["imbalances"], json!([]), "{options}");
        assert!(ledger["totals"]["records"]["hit"].as_u64().unwrap() > 700, "{options}");
    }
}

/// Groups count events, and context shows each once.
#[test]
fn groups_and_context_have_events_once() {
    let bench = bench();
    bench.file("one/a.evtx", &plain(0..60));
    bench.file("two/a.evtx", &plain(0..60));
    bench.file("two/b.evtx", &plain(30..60));
    bench.file("two/c.zip", &zipped(&[("a.evtx", &plain(0..60))]));
    for options in [
        "--format jsonl --group",
        "--format csv --group",
        "--format table --sort time --columns Time,Rule,RecordID",
        "--format csv --columns Time,Rule,RecordID --context 3 --rule-id 11111111*",
        "--format csv --columns Time,Rule,RecordID --context 3 --sort time --level medium",
        "--format csv --columns Time,Rule,RecordID --context 3 --sort-memory 10 --level medium",
        "--format csv --columns Time,Rule,RecordID --context 3 --show-filtered --level low",
    ] {
        let run = |folder: &str, more: &str| {
            let args = format!("hunt {folder} -r rules -q {options} {more}");
            let run = bench.harrier(&words(&args));
            assert_eq!(run.code, 0, "{}", run.err);
            String::from_utf8(run.out).unwrap()
        };
        let one = run("one", "");
        assert!(one.lines().count() > 1, "{options}");
        assert_eq!(run("two", ""), one, "{options}");
        assert_ne!(run("two", "--all-copies"), one, "{options}");
    }
}

/// Rules that only correlations hear: an event in a backup does not count again, and is shown as what
/// stands around a hit.
#[test]
fn a_correlation_counts_an_event_once() {
    let bench = Bench::new();
    bench.file("rules/everything.yml", RULES[0].1.as_bytes());
    let many = RULES[2].1.replace("    generate: true\n", "").replace("gte: 3", "gte: 6");
    bench.file("rules/many.yml", many.as_bytes());
    bench.file("in/a.evtx", &plain(0..5));
    bench.file("in/b.evtx", &plain(0..5));
    for more in ["", "--all-copies", "--group", "--sort time"] {
        let run = bench.harrier(&words(&format!("hunt in -r rules {more} --ledger l")));
        let ledger: Value =
            serde_json::from_slice(&std::fs::read(bench.path("l")).unwrap()).unwrap();
        assert_eq!(ledger["totals"]["correlations"]["findings"], 0, "{more}");
        assert_eq!(ledger["totals"]["correlations"]["counted"], 5, "{more}");
        assert_eq!(ledger["totals"]["correlations"]["copies"], 5, "{more}");
        assert!(run.err.contains("5 of events that were counted before"), "{}", run.err);
    }
    bench.file("in/c.evtx", &plain(5..6));
    let run = bench.harrier(&words("hunt in -r rules --format jsonl --sort time --context 700 -q"));
    let found: Vec<Value> =
        run.hits().into_iter().filter(|hit| !hit["correlation"].is_null()).collect();
    assert_eq!(found[0]["correlation"]["count"], 6);
    // The six events, told as context, once each.
    assert_eq!(run.hits().len(), 7, "{}", String::from_utf8_lossy(&run.out));
}

#[test]
fn an_explanation_is_given_once() {
    let bench = Bench::new();
    bench.file("in/a.evtx", &plain(0..5));
    bench.file("in/b.evtx", &plain(0..5));
    let explained = |more: &str| {
        let args = format!("hunt in -r rules --explain 11111111@1003 --format json {more}");
        let run = bench.harrier(&words(&args));
        assert_eq!(run.code, 0, "{}", run.err);
        let text = String::from_utf8(run.out).unwrap();
        ["a.evtx", "b.evtx"].map(|name| text.contains(name))
    };
    assert_eq!((explained(""), explained("--all-copies")), ([true, false], [true, true]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// However logs are cut out of a history and named, each event is told once, where it is first.
    #[test]
    fn evidence_and_its_copies_are_the_evidence(
        // Of one event alone the filter might leave nothing.
        cuts in prop::collection::vec((0..60u32, 2..30u32), 1..5),
        again in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        threads in 1..4u32,
        by_time in any::<bool>(),
    ) {
        let bench = bench();
        let mut names = Vec::new();
        for (n, (from, len)) in cuts.iter().enumerate() {
            bench.file(&format!("in/{n}.evtx"), &plain(*from..from + len));
            names.push(format!("in/{n}.evtx"));
        }
        let order = if by_time { "--sort time" } else { "" };
        let hunt = |names: &[String], more: &str| {
            let args = format!(
                "hunt {} -r rules -q --format jsonl {order} --threads {threads} {more}",
                names.join(" ")
            );
            let run = bench.harrier(&words(&args));
            assert_eq!((run.code, run.err.as_str()), (0, ""));
            run.out
        };
        let once = hunt(&names, "");
        let all = lines(&hunt(&names, "--all-copies"));
        let told = lines(&once);
        prop_assert_eq!(told.iter().collect::<Vec<_>>(), firsts(&all));
        // Copies behind change nothing.
        let mut more = names.clone();
        for (n, index) in again.iter().enumerate() {
            let name = format!("in/copy{n}.evtx");
            let from: &String = index.get(&names);
            std::fs::copy(bench.path(from), bench.path(&name)).unwrap();
            more.push(name);
        }
        prop_assert!(hunt(&more, "") == once);
        prop_assert!(!once.is_empty());
    }
}
