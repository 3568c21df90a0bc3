//! Hunts of many shapes give the same bytes however they are run.

use super::bench::{Bench, event, log};
use super::words;
use harrier::{
    engine::RuleSet,
    evidence::Walk,
    hunt::{Hunt, HuntError, Output, Step},
    ledger::Ledger,
    report::{Format, Table},
    sigma::{LoadOptions, load_str},
    taxonomy::{Options, Taxonomy},
};
use std::ffi::OsStr;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Evidence with a log that is cut into several items, whose hits are larger than an item's output
/// may get, between small ones, a damaged one, and files that are none.
fn evidence() -> Bench {
    let bench = Bench::new();
    let filler = "x".repeat(600);
    let large = (0..6000).map(|n| {
        let image = if n % 2 == 0 { r"C:\evil.exe" } else { r"C:\good.exe" };
        event(n, image, format!("{n} {filler}"))
    });
    bench.file("logs/m-large.evtx", &log(large));
    for n in 0..40 {
        bench.log(&format!("logs/{}/small.evtx", n % 7 * 100 + n), n % 3, 2);
    }
    let mut damaged = log((0..300).map(|n| event(n, r"C:\evil.exe", "x".repeat(900))));
    forge::damage::break_chunk_magic(&mut damaged, 1);
    forge::damage::tear_chunk(&mut damaged, 2, 30_000);
    forge::damage::break_records_checksum(&mut damaged, 3);
    bench.file("logs/n-damaged.evtx", &damaged);
    bench.file("logs/o.evtx", b"none");
    bench.file("logs/p.txt", b"none");
    bench
}

#[test]
fn output_and_ledger_are_the_same_bytes_with_any_number_of_threads() {
    let bench = evidence();
    let mut results = Vec::new();
    for options in ["--threads 1", "--threads 2", "--threads 8", "--full-scan", ""] {
        for format in ["jsonl", "table"] {
            let args = format!("hunt logs -r rules -q --ledger l --format {format} {options}");
            let run = bench.harrier(&words(&args));
            assert_eq!(run.code, 1, "{}", run.err);
            let ledger = std::fs::read(bench.path("l")).unwrap();
            results.push((options, format, run.out, ledger, run.err));
        }
    }
    let (_, _, out, ledger, _) = &results[0];
    assert!(out.len() > 3 << 20, "hits are to be larger than an item's output: {}", out.len());
    for (options, format, other, other_ledger, err) in &results[1..] {
        if *format == "jsonl" {
            assert!(out == other, "{options}: other hits");
        } else {
            assert!(results[1].2 == *other, "{options}: another table");
        }
        assert!(ledger == other_ledger, "{options} {format}: another ledger");
        assert_eq!(&results[0].4, err, "{options}");
    }
    let ledger: serde_json::Value = serde_json::from_slice(ledger).unwrap();
    assert_eq!(ledger["totals"]["imbalances"], serde_json::json!([]));
    let lines = out.split(|b| *b == b'\n').filter(|line| !line.is_empty()).count();
    assert_eq!(ledger["totals"]["hits"]["total"], lines);
    assert_eq!(ledger["totals"]["records"]["hit"], lines);
    assert_eq!(ledger["totals"]["met"], 44);
    assert_eq!(ledger["totals"]["sources"]["damaged"], 1);
    assert_eq!(ledger["totals"]["sources"]["not_an_event_log"], 1);
    assert_eq!(ledger["totals"]["beside"]["other_files"], 1);
}

/// The same for real logs and real rules.
#[test]
fn the_corpora_give_the_same_bytes_with_any_number_of_threads() {
    let name = "the_corpora_give_the_same_bytes_with_any_number_of_threads";
    let Some(corpora) = crate::support::corpora(name) else { return };
    let bench = Bench::new();
    let rules = corpora.join("sigma/rules/windows");
    let mut results = Vec::new();
    for threads in ["1", "8"] {
        let args = ["hunt", "-q", "--ledger", "l", "--threads", threads, "-r"].map(OsStr::new);
        let paths = [rules.as_os_str(), corpora.as_os_str()];
        let run = bench.harrier(&[&args[..], &paths[..]].concat());
        assert!(run.code == 0 || run.code == 1, "{}", run.err);
        results.push((run.out, std::fs::read(bench.path("l")).unwrap()));
    }
    assert!(results[0] == results[1]);
    let ledger: serde_json::Value = serde_json::from_slice(&results[0].1).unwrap();
    let totals = &ledger["totals"];
    assert_eq!(totals["imbalances"], serde_json::json!([]));
    assert!(totals["hits"]["total"].as_u64().unwrap() > 1000, "{totals}");
    println!("{totals}");
}

/// Hits come in the order of the evidence: path, chunk, record.
#[test]
fn hits_come_in_evidence_order() {
    let bench = evidence();
    let run = bench.harrier(&words("hunt logs -r rules -q --threads 8"));
    let places: Vec<(Vec<String>, u64, u64)> = run
        .hits()
        .iter()
        .map(|hit| {
            let evidence = &hit["evidence"];
            let path = evidence["path"].as_str().unwrap();
            let parts = path.split(['/', '\\']).map(str::to_owned).collect();
            (parts, evidence["chunk"].as_u64().unwrap(), evidence["offset"].as_u64().unwrap())
        })
        .collect();
    assert!(places.is_sorted());
    let chunks: std::collections::BTreeSet<_> = places.iter().map(|place| place.1).collect();
    assert!(chunks.len() > 64, "more than two items of one log: {}", chunks.len());
}

#[test]
fn two_thousand_small_logs_are_all_read() {
    let bench = Bench::new();
    let one = log([event(1, r"C:\evil.exe", "x"), event(2, r"C:\good.exe", "x")]);
    for n in 0..2000 {
        bench.file(&format!("logs/{:02}/{n}.evtx", n % 50), &one);
    }
    let run = bench.harrier(&words("hunt logs -r rules --all-copies --threads 3"));
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(run.hits().len(), 2000);
    assert!(run.err.contains("Logs       2,000 read\n"), "{}", run.err);
    assert!(run.err.contains("Records    4,000 read\n"), "{}", run.err);
    let paths: std::collections::BTreeSet<String> =
        run.hits().iter().map(|hit| hit["evidence"]["path"].to_string()).collect();
    assert_eq!(paths.len(), 2000);
    let run = bench.harrier(&words("hunt logs -r rules --threads 3"));
    assert_eq!((run.code, run.hits().len()), (0, 1), "{}", run.err);
    let copies = "1,999 hits left out, on 1,999 records found again in 1,999 logs";
    assert!(run.err.contains(copies), "{}", run.err);
}

const RULE: &str = super::EVIL;

fn rule_set() -> RuleSet {
    let rules = load_str("evil.yml", RULE, &LoadOptions::default()).rules;
    RuleSet::compile(rules, Taxonomy::builtin(Options::default()))
}

/// A thread that panics ends the hunt with its panic; the others do not wait for it for ever.
#[test]
fn a_panic_is_not_lost() {
    let bench = evidence();
    let rules = rule_set();
    for threads in [1, 2, 4] {
        let panics = |_: &Step<'_>| panic!("on purpose");
        let hunt = Hunt { threads, progress: Some(&panics), ..Hunt::new(&rules) };
        let walk = Walk::new(&[bench.path("logs")]);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut sink = io::sink();
            let mut outputs = [Output { format: &Format::Jsonl, writer: &mut sink }];
            hunt.run(walk, &mut outputs, &mut Ledger::new(None))
        }));
        assert!(result.is_err(), "{threads}");
    }
}

/// A hunt that is cancelled stops, and its ledger says so.
#[test]
fn a_hunt_can_be_cancelled() {
    let bench = evidence();
    let rules = rule_set();
    for (threads, at_once) in [(1, true), (3, true), (1, false), (3, false)] {
        let cancel = AtomicBool::new(at_once);
        let soon = |_: &Step<'_>| cancel.store(true, Ordering::Relaxed);
        let (cancel_by, told) = (Some(&cancel), Some(&soon as &(dyn Fn(&Step<'_>) + Sync)));
        let hunt = Hunt { threads, cancel: cancel_by, progress: told, ..Hunt::new(&rules) };
        let (mut out, mut ledger) = (Vec::new(), Ledger::new(None));
        let mut outputs = [Output { format: &Format::Jsonl, writer: &mut out }];
        let hits = hunt.run(Walk::new(&[bench.path("logs")]), &mut outputs, &mut ledger).unwrap();
        assert!(ledger.cut_short() && !ledger.complete());
        assert!(hits.iter().sum::<u64>() < 3000, "{hits:?}");
        assert!(!at_once || out.is_empty());
    }
}

/// A writer that fails once it has taken so many bytes.
struct Fails {
    after: usize,
    with: ErrorKind,
    taken: Vec<u8>,
}

impl Write for Fails {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.taken.len() >= self.after {
            return Err(self.with.into());
        }
        self.taken.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Each of several outputs gets what it would get alone. One that nobody reads any more does not end
/// the others, one that fails does, and then it is known which.
#[test]
fn several_outputs_get_what_each_gets_alone() {
    let bench = evidence();
    let rules = rule_set();
    let formats = [Format::Jsonl, Format::Table(Table::default())];
    let run = |threads, writers: &mut [(usize, Fails)]| {
        let hunt = Hunt { threads, ..Hunt::new(&rules) };
        let mut outputs: Vec<Output<'_>> = writers
            .iter_mut()
            .map(|(format, writer)| Output { format: &formats[*format], writer })
            .collect();
        let mut ledger = Ledger::new(None);
        let result = hunt.run(Walk::new(&[bench.path("logs")]), &mut outputs, &mut ledger);
        (result, ledger.cut_short())
    };
    let new = |after, with| Fails { after, with, taken: Vec::new() };
    let whole = || new(usize::MAX, ErrorKind::Other);
    let alone = [0, 1].map(|format| {
        let mut writers = [(format, whole())];
        assert!(!run(1, &mut writers).1);
        let [(_, writer)] = writers;
        writer.taken
    });
    assert!(alone.iter().all(|out| out.len() > 300_000), "enough for the limits below");
    for threads in [1, 2, 8] {
        let mut writers = [(0, whole()), (1, whole()), (0, whole())];
        let (result, cut_short) = run(threads, &mut writers);
        assert!(result.is_ok() && !cut_short);
        assert!(writers.iter().all(|(format, writer)| writer.taken == alone[*format]), "{threads}");

        let mut writers = [(1, new(100_000, ErrorKind::BrokenPipe)), (0, whole())];
        let (result, cut_short) = run(threads, &mut writers);
        assert!(result.is_ok() && !cut_short);
        assert!(writers[1].1.taken == alone[0], "{threads}");
        assert!(alone[1].starts_with(&writers[0].1.taken));

        let pipe = || new(100_000, ErrorKind::BrokenPipe);
        let (result, cut_short) = run(threads, &mut [(1, pipe()), (0, pipe())]);
        assert!(cut_short);
        let kind = match result {
            Err(HuntError::Output { error, .. }) => error.kind(),
            other => panic!("{other:?}"),
        };
        assert_eq!(kind, ErrorKind::BrokenPipe);

        let mut writers = [(0, whole()), (1, pipe()), (1, new(200_000, ErrorKind::StorageFull))];
        let (result, cut_short) = run(threads, &mut writers);
        assert!(cut_short);
        match result {
            Err(HuntError::Output { which: 2, error }) => {
                assert_eq!(error.kind(), ErrorKind::StorageFull);
            }
            other => panic!("{other:?}"),
        }
        assert!(writers[0].1.taken.len() < alone[0].len());

        let (result, cut_short) = run(threads, &mut []);
        assert!(result.unwrap().iter().sum::<u64>() > 3000 && !cut_short);
    }
}
