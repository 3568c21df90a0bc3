//! What scanning costs in memory: nothing for a record that does not match, once its kind is known;
//! and whatever the evidence, no more than the caps of the caches allow.

use crate::support::logs::{each_record, evtx_files};
use crate::support::{Made, corpora};
use allocation_counter::measure;
use forge::mix::{Channel, Mix};
use harrier::engine::{RuleSet, Scanner};
use harrier::evtx::Reader;
use harrier::sigma::{self, LoadOptions};
use harrier::taxonomy::{Options, Taxonomy};
use std::io::Cursor;

/// How large each forged log is.
const LOG_BYTES: u64 = 1 << 20;

/// SigmaHQ's and Hayabusa's rules, or those that Harrier has.
fn rules() -> RuleSet {
    let loaded = match corpora("public rules") {
        Some(root) => {
            let rules = [root.join("sigma/rules"), root.join("hayabusa-rules")];
            sigma::load(&rules, &LoadOptions::default()).unwrap()
        }
        None => sigma::load_builtin(),
    };
    RuleSet::compile(loaded.rules, Taxonomy::builtin(Options::default()))
}

/// Everyday logs, one of each channel, and the sample logs if they are there.
fn logs() -> Vec<Vec<u8>> {
    let log = |channel| {
        let mut log = Cursor::new(Vec::new());
        forge::mix::write(&mut log, &mut Mix::new(7).channel(channel), LOG_BYTES).unwrap();
        log.into_inner()
    };
    let mut logs: Vec<Vec<u8>> = Channel::ALL.into_iter().map(log).collect();
    if let Some(root) = corpora("sample logs") {
        logs.extend(evtx_files(&root).into_iter().map(|path| std::fs::read(path).unwrap()));
    }
    logs
}

#[test]
fn a_record_without_hits_allocates_nothing() {
    let set = rules();
    let logs = logs();
    let mut reader = Reader::default();
    let mut scanner = Scanner::new(&set);
    let mut counts = Vec::new();
    for pass in 0..MOST_PASSES {
        let (mut records, mut matched, mut without, mut with) = (0u64, 0u64, 0, 0);
        for log in &logs {
            let mut chunk = None;
            each_record(&mut reader, log, |record| {
                if chunk.replace(record.chunk()) != Some(record.chunk()) {
                    scanner.enter_block(record.in_chunk().0);
                }
                let mut hits = 0;
                let cost = measure(|| hits = scanner.scan(record).len()).count_total;
                records += 1;
                if hits == 0 {
                    without += cost;
                } else {
                    matched += 1;
                    with += cost;
                }
            });
            scanner.leave_block();
        }
        println!(
            "pass {pass}: {records} records, {matched} with hits; {without} allocations for \
             records without hits, {with} for those with"
        );
        assert!(records > 5_000 && matched < records);
        counts.push(without);
        if without == 0 {
            break;
        }
    }
    assert!(counts[0] > 0, "nothing is counted");
    assert_eq!(counts.last(), Some(&0), "{counts:?}");
}

/// So often the same records are scanned until nothing is new to the scanner: an automaton is built
/// when its literals were looked for some hundred times.
const MOST_PASSES: usize = 40;

/// Kinds of events without end: what a scanner and its rules keep of them is capped.
#[test]
fn many_kinds_of_events_take_bounded_memory() {
    /// As [`harrier::engine`] states of its caches, with the scanner's own share.
    const MOST: u64 = 400 << 20;
    let set = rules();
    let mut scanner = Scanner::new(&set);
    let fields = [
        "Image",
        "ParentImage",
        "CommandLine",
        "ParentCommandLine",
        "OriginalFileName",
        "User",
        "IntegrityLevel",
        "Hashes",
        "Description",
        "Product",
        "Company",
        "CurrentDirectory",
    ];
    let peak = |run: &mut dyn FnMut()| measure(run).bytes_max;
    // A few fields missing here and there give programs of their own, as large as they come.
    let programs = peak(&mut || {
        for n in 0..KINDS_OF_CREATION {
            let present = fields.iter().enumerate().filter(|(bit, _)| (n * 37) >> bit & 1 == 0);
            let event = present.fold(Made::sysmon(1), |e, (_, field)| e.data(field, "x"));
            scanner.scan(&event);
        }
    });
    // Providers, channels and layouts that no one has seen before.
    let kinds = peak(&mut || {
        for n in 0..60_000u32 {
            let event = Made::new(&format!("Channel {n}"), &format!("Provider {n}"), n)
                .data(&format!("Field {n}"), "x");
            scanner.scan(&event);
        }
    });
    println!("peaks: {} MiB for programs, {} MiB for keys", programs >> 20, kinds >> 20);
    assert!(programs < MOST && kinds < MOST);
}

/// How many variants of process creation there are: with all rules they are more than the cache holds.
const KINDS_OF_CREATION: usize = 120;

/// Templates without end: what a reader keeps of them is capped.
#[test]
fn many_templates_take_bounded_memory() {
    const MOST: u64 = 160 << 20;
    let provider = || forge::Provider::classic("Example");
    let mut reader = Reader::default();
    let mut records = 0;
    let cost = measure(|| {
        for round in 0..ROUNDS {
            let mut log = forge::LogWriter::in_memory(forge::Options::new());
            for n in 0..1_000 {
                let names = (0..10).map(|f| (format!("Name {round} {n} {f}"), "x"));
                log.push(&forge::Event::new(provider(), 1, "Example").data(names)).unwrap();
            }
            each_record(&mut reader, &log.into_bytes().unwrap(), |_| records += 1);
        }
    });
    let (peak, kept) = (cost.bytes_max >> 20, cost.bytes_current >> 20);
    println!("{records} records of as many templates: peak {peak} MiB, kept {kept} MiB");
    assert_eq!(records, ROUNDS * 1_000);
    assert!(cost.bytes_max < MOST);
}

/// Thousands of templates: more than the reader keeps.
const ROUNDS: u32 = 16;
