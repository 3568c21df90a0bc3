//! Nothing is allocated for a record that does not match: a target of its own, because it counts
//! what the whole process allocates.
//!
//! The first pass over the logs lets the reader and the scanner learn the kinds of events there are
//! and lets buffers grow; the second must find all of that in place. There is one test, so that no
//! other thread is at work meanwhile.

use forge::mix::{Channel, Mix};
use harrier::engine::{RuleSet, Scanner};
use harrier::evtx::{ChunkReport, Damage, Reader, Record, Sink, open};
use harrier::sigma::{self, LoadOptions};
use harrier::taxonomy::{Options, Taxonomy};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::io::Cursor;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How large each forged log is.
const LOG_BYTES: u64 = 2 << 20;
/// What the reader may allocate for a chunk: the report of it.
const A_CHUNK: usize = 2;

/// How often memory was taken since `region` began.
fn taken(region: &Region<'_, System>) -> usize {
    let change = region.change();
    change.allocations + change.reallocations
}

/// Scans each record and counts.
struct Counting<'a, 's> {
    scanner: &'a mut Scanner<'s>,
    /// Since the sink was last left.
    outside: Region<'static, System>,
    chunk: Option<u64>,
    records: u64,
    hits: u64,
    /// Allocations by the reader between two records of a chunk, and from chunk to chunk.
    reading: usize,
    chunks: usize,
    most_for_a_chunk: usize,
    /// Allocations by the scanner for records without and with hits.
    scanning: usize,
    matching: usize,
}

impl<'a, 's> Counting<'a, 's> {
    fn new(scanner: &'a mut Scanner<'s>) -> Counting<'a, 's> {
        Counting {
            scanner,
            outside: Region::new(ALLOCATOR),
            chunk: None,
            records: 0,
            hits: 0,
            reading: 0,
            chunks: 0,
            most_for_a_chunk: 0,
            scanning: 0,
            matching: 0,
        }
    }
}

impl Sink for Counting<'_, '_> {
    fn record(&mut self, record: &Record<'_>) -> ControlFlow<()> {
        let outside = taken(&self.outside);
        if self.chunk.replace(record.chunk()) == Some(record.chunk()) {
            self.reading += outside;
        } else {
            self.chunks += 1;
            self.most_for_a_chunk = self.most_for_a_chunk.max(outside);
            self.scanner.enter_block(record.in_chunk().0);
        }
        self.records += 1;
        let inside = Region::new(ALLOCATOR);
        let hits = self.scanner.scan(record).len();
        let inside = taken(&inside);
        if hits == 0 {
            self.scanning += inside;
        } else {
            self.hits += hits as u64;
            self.matching += inside;
        }
        self.outside = Region::new(ALLOCATOR);
        ControlFlow::Continue(())
    }

    fn chunk(&mut self, _: ChunkReport) {}

    fn damage(&mut self, damage: Damage) {
        panic!("{damage}");
    }
}

/// The corpora, if they are there.
fn corpora() -> Option<PathBuf> {
    let root = match std::env::var_os("HARRIER_CORPORA") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora"),
    };
    root.is_dir().then_some(root)
}

/// Everyday logs, one of each channel.
fn everyday() -> Vec<Vec<u8>> {
    let log = |channel| {
        let mut log = Cursor::new(Vec::new());
        forge::mix::write(&mut log, &mut Mix::new(7).channel(channel), LOG_BYTES).unwrap();
        log.into_inner()
    };
    Channel::ALL.into_iter().map(log).collect()
}

/// The sample logs that have no damage.
fn samples(root: &Path) -> Vec<Vec<u8>> {
    struct Whole(bool);
    impl Sink for Whole {
        fn record(&mut self, record: &Record<'_>) -> ControlFlow<()> {
            // The slow lane renders, which allocates.
            self.0 &= record.declined().is_none();
            ControlFlow::Continue(())
        }
        fn chunk(&mut self, report: ChunkReport) {
            self.0 &= report.findings.is_empty();
        }
        fn damage(&mut self, _: Damage) {
            self.0 = false;
        }
    }
    let mut paths: Vec<PathBuf> = walkdir::WalkDir::new(root)
        .into_iter()
        .filter_map(Result::ok)
        .map(walkdir::DirEntry::into_path)
        .filter(|path| path.extension().is_some_and(|e| e.eq_ignore_ascii_case("evtx")))
        .collect();
    paths.sort();
    let mut reader = Reader::default();
    let logs = paths.into_iter().map(|path| std::fs::read(path).unwrap());
    logs.filter(|log| {
        let mut whole = Whole(true);
        let opened = open(log).unwrap();
        _ = reader.read(log, &opened, 0..u64::MAX, &mut whole);
        whole.0
    })
    .collect()
}

fn check(name: &str, set: &RuleSet, logs: &[Vec<u8>]) {
    let mut reader = Reader::default();
    let mut scanner = Scanner::new(set);
    for pass in 0..2 {
        let mut counting = Counting::new(&mut scanner);
        for log in logs {
            let opened = open(log).unwrap();
            counting.chunk = None;
            assert!(reader.read(log, &opened, 0..u64::MAX, &mut counting).is_continue());
        }
        let Counting { records, hits, reading, chunks, scanning, matching, .. } = counting;
        let most = counting.most_for_a_chunk;
        println!(
            "{name}, pass {pass}: {records} records in {chunks} chunks, {hits} hits; allocations: \
             {reading} reading, at most {most} for a chunk, {scanning} scanning records without \
             hits, {matching} with"
        );
        if pass == 1 {
            assert!(records > 1_000 && hits < records);
            assert_eq!(reading, 0, "{name}: reading a record");
            assert_eq!(scanning, 0, "{name}: scanning a record without hits");
            assert!(most <= A_CHUNK, "{name}: {most} for a chunk");
        }
    }
}

#[test]
fn a_record_without_hits_allocates_nothing() {
    let root = corpora();
    let loaded = match &root {
        Some(root) => {
            let rules = [root.join("sigma/rules"), root.join("hayabusa-rules")];
            sigma::load(&rules, &LoadOptions::default()).unwrap()
        }
        None => sigma::load_builtin(),
    };
    let set = RuleSet::compile(loaded.rules, Taxonomy::builtin(Options::default()));
    check("everyday logs", &set, &everyday());
    match root {
        Some(root) => check("sample logs", &set, &samples(&root)),
        None => println!("sample logs: skipped, no corpora"),
    }
}
