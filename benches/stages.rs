//! The stages of a hunt, each by itself, on one thread and in memory; and whole hunts.
//!
//! Every bench checks its answer before it is timed, against another way to get it wherever there is
//! one: the slow lane for values, all rules asked for hits, the scanner's own books for stages; and
//! each timed pass must give that answer again. What the numbers are, and how to get them, stands in
//! `benches/RESULTS.md`.
//!
//! Rules are the built-in ones, and SigmaHQ's if the corpora are there (`HARRIER_CORPORA`).

mod support;

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput};
use harrier::engine::Scanner;
use harrier::evtx::Reader;
use harrier::sigma::{self, LoadOptions};
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;
use std::time::Duration;
use support::{Logs, Rules, Stage, measured};

/// How large the log of everyday events is.
const LOG_BYTES: u64 = 8 << 20;
/// How much of it all rules are asked about, together with the evidence.
const FULL_BYTES: u64 = 256 << 10;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let events = support::everyday(LOG_BYTES);
    let mix = Logs::of(&events);
    println!("mix: {} records of {} bytes", mix.records, mix.bytes);
    let evidence = Logs::evidence();
    println!("evidence: {} records of {} bytes", evidence.records, evidence.bytes);
    reading(&mut criterion, &mix);
    loading(&mut criterion);
    let all = Rules::all();
    if all.iter().all(|rules| rules.name != "sigmahq") {
        println!("sigmahq: skipped, no corpora");
    }
    for rules in &all {
        compiling(&mut criterion, rules, &mix);
        for stage in Stage::ALL {
            one_stage(&mut criterion, rules, &events, stage);
        }
        full(&mut criterion, rules);
        for (name, logs) in [("mix", &mix), ("evidence", &evidence)] {
            let hits = scanning(&mut criterion, rules, name, logs);
            hunting(&mut criterion, rules, name, logs, hits);
        }
    }
    criterion.final_summary();
}

/// Times passes that must give `answer`.
fn bench(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    answer: u64,
    mut pass: impl FnMut() -> u64,
) {
    group.bench_function(name, |b| b.iter(|| assert_eq!(measured(&mut pass), answer)));
}

/// Chunks, records, values and plans, without rules.
fn reading(criterion: &mut Criterion, mix: &Logs) {
    let mut reader = Reader::default();

    let mut group = criterion.benchmark_group("read");
    group.throughput(Throughput::Bytes(mix.bytes));
    // Provider, channel and event id: a record of the mix has each once.
    let fields = 3 * mix.records;
    assert_eq!(support::gate_fields(&mut reader, mix), fields);
    bench(&mut group, "gate fields", fields, || support::gate_fields(&mut reader, mix));

    assert_eq!(support::gate_fields_with_new_plans(mix), fields);
    bench(&mut group, "gate fields, plans made for each chunk", fields, || {
        support::gate_fields_with_new_plans(mix)
    });

    let values = support::values_by_slow_lane(mix);
    assert_eq!(support::values(&mut reader, mix), values);
    println!("read: {values} values");
    bench(&mut group, "all values", values, || support::values(&mut reader, mix));
}

/// Rules from their files.
fn loading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("load rules");
    let builtin = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sigma/builtin");
    let (files, bytes) = yaml(&[builtin]);
    let load = || {
        let loaded = sigma::load_builtin();
        assert_eq!(loaded.files, files, "each file is embedded");
        (loaded.rules.len() + loaded.correlations.len()) as u64
    };
    let answer = load();
    assert!(answer >= files, "each file has a rule or a correlation");
    group.throughput(Throughput::Bytes(bytes));
    bench(&mut group, "builtin", answer, load);

    let Some(folders) = support::sigmahq_folders() else { return };
    let (files, bytes) = yaml(&folders);
    let load = || {
        let loaded = sigma::load(&folders, &LoadOptions::default()).expect("folders of rules");
        assert_eq!(loaded.files, files, "each file is read");
        loaded.rules.len() as u64
    };
    let answer = load();
    assert!(answer > 0);
    println!("load rules/sigmahq: {answer} rules of {files} files");
    group.throughput(Throughput::Bytes(bytes));
    bench(&mut group, "sigmahq", answer, load);
}

/// How many files of rules there are in folders, and how many bytes they have.
fn yaml(folders: &[PathBuf]) -> (u64, u64) {
    let mut sum = (0, 0);
    for file in folders.iter().flat_map(walkdir::WalkDir::new) {
        let file = file.expect("a readable folder");
        if file.path().extension().is_some_and(|e| e == "yml" || e == "yaml") {
            sum.0 += 1;
            sum.1 += file.metadata().expect("a readable file").len();
        }
    }
    sum
}

/// Compiling rules, and what is left of it for the first records of each kind.
fn compiling(criterion: &mut Criterion, rules: &Rules, mix: &Logs) {
    let mut group = criterion.benchmark_group(format!("compile/{}", rules.name));
    let answer = rules.set.predicate_count();
    println!("compile/{}: {} rules, {answer} predicates", rules.name, rules.rules.len());
    assert!(answer > 0);
    group.throughput(Throughput::Elements(rules.rules.len() as u64));
    group.bench_function("rules", |b| {
        b.iter_batched(
            || rules.rules.clone(),
            |rules| {
                let set = measured(|| support::compile(rules));
                assert_eq!(set.predicate_count(), answer);
                set
            },
            BatchSize::PerIteration,
        );
    });

    let mut reader = Reader::default();
    let hits = support::scan(&mut reader, &mut Scanner::new(&rules.set), mix);
    group.throughput(Throughput::Bytes(mix.bytes));
    group.bench_function("first scan of the mix", |b| {
        b.iter_batched_ref(
            || support::compile(rules.rules.clone()),
            |set| {
                let mut scanner = Scanner::new(set);
                assert_eq!(measured(|| support::scan(&mut reader, &mut scanner, mix)), hits);
            },
            BatchSize::PerIteration,
        );
    });
}

/// Records that come just so far.
fn one_stage(criterion: &mut Criterion, rules: &Rules, events: &[forge::Event], stage: Stage) {
    let name = format!("{}/{}", stage.name(), rules.name);
    let Some(logs) = support::by_stage(&rules.set, events, stage) else {
        println!("{name}: skipped, no record of the mix comes just so far");
        return;
    };
    let mut reader = Reader::default();
    let mut scanner = Scanner::new(&rules.set);
    let hits = support::scan(&mut reader, &mut scanner, &logs);
    let stats = scanner.stats();
    assert_eq!(stats.events, logs.records);
    assert_eq!(stats.matches, hits);
    assert!(stage.is_all_of(&stats), "{name}: {stats:?}");
    println!("{name}: {stats:?}");

    let mut group = criterion.benchmark_group(&name);
    group.throughput(Throughput::Bytes(logs.bytes));
    let fields = 3 * logs.records;
    assert_eq!(support::gate_fields(&mut reader, &logs), fields);
    bench(&mut group, "read", fields, || support::gate_fields(&mut reader, &logs));
    bench(&mut group, "scan", hits, || support::scan(&mut reader, &mut scanner, &logs));
}

/// All rules asked, for comparison.
fn full(criterion: &mut Criterion, rules: &Rules) {
    let logs = Logs::evidence().and(Logs::of(&support::everyday(FULL_BYTES)));
    let name = format!("full/{}", rules.name);
    let mut reader = Reader::default();
    let mut scanner = Scanner::new(&rules.set);
    let hits = support::scan_full(&mut reader, &mut scanner, &logs);
    println!("{name}: {:?}", scanner.stats());
    assert_eq!(support::scan(&mut reader, &mut Scanner::new(&rules.set), &logs), hits);
    assert!(hits > 0);

    let mut group = criterion.benchmark_group(&name);
    group.throughput(Throughput::Bytes(logs.bytes));
    let mut other = Scanner::new(&rules.set);
    bench(&mut group, "scan", hits, || support::scan(&mut reader, &mut other, &logs));
    bench(&mut group, "all rules", hits, || support::scan_full(&mut reader, &mut scanner, &logs));
}

/// All records of logs in memory, by one thread; nothing is done with the hits.
fn scanning(criterion: &mut Criterion, rules: &Rules, logs_name: &str, logs: &Logs) -> u64 {
    let mut reader = Reader::default();
    let mut scanner = Scanner::new(&rules.set);
    let hits = support::scan(&mut reader, &mut scanner, logs);
    let stats = scanner.stats();
    println!("scan/{}/{logs_name}: {stats:?}", rules.name);
    assert_eq!(stats.events, logs.records);
    assert_eq!(stats.matches, hits);

    let mut group = criterion.benchmark_group(format!("scan/{}", rules.name));
    group.throughput(Throughput::Bytes(logs.bytes));
    bench(&mut group, logs_name, hits, || support::scan(&mut reader, &mut scanner, logs));
    hits
}

/// From files to rendered hits and a ledger, with rules that are compiled and have met their events.
fn hunting(criterion: &mut Criterion, rules: &Rules, logs_name: &str, logs: &Logs, hits: u64) {
    let folder = logs.to_files();
    let mut group = criterion.benchmark_group(format!("hunt/{}/{logs_name}", rules.name));
    group.throughput(Throughput::Bytes(logs.bytes));
    let most = available_parallelism().map_or(1, usize::from);
    let counts = if most > 1 { vec![1, most] } else { vec![1] };
    for threads in counts {
        let hunt = || support::hunt(&rules.set, folder.path(), threads, logs.records);
        assert_eq!(hunt(), hits, "the hunt finds what the scan does");
        bench(&mut group, &format!("threads: {threads}"), hits, hunt);
    }
}
