//! What the benches measure with: logs, rules, and passes over the ones with the others.
//!
//! Logs are made in memory, from a fixed seed, so that a bench needs no files and reads the same bytes
//! on every machine; only SigmaHQ's rules come from outside, and benches that need them say that they
//! skip when they are not there. A pass reads whole logs with one thread, as the pipeline does: blocks
//! are entered and left with their chunks.
//!
//! The stages of a scan cannot be called one by one, and should not be: so for each stage there is a
//! log of the records that come just so far ([`by_stage`]). What they cost to read is measured with
//! them; benches have a pass that only reads beside the one that scans.

use forge::mix::Mix;
use harrier::engine::{RuleSet, ScanStats, Scanner};
use harrier::event::Event as _;
use harrier::evidence::Walk;
use harrier::evtx::{ChunkReport, Damage, Options, Reader, Record, Sink, open};
use harrier::hunt::{Hunt, Output};
use harrier::ledger::Ledger;
use harrier::report::Format;
use harrier::sigma::{self, LoadOptions, Rule};
use harrier::taxonomy::{self, Taxonomy};
use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The seed of everyday events.
const SEED: u64 = 11;

/// Logs to measure with.
pub struct Logs {
    logs: Vec<Vec<u8>>,
    /// How many records they hold.
    pub records: u64,
    /// How many bytes these have: what throughput is counted in, as chunks may be nearly empty.
    pub bytes: u64,
}

impl Logs {
    /// Takes logs, which must be whole, and counts what is in them.
    pub fn new(logs: Vec<Vec<u8>>) -> Logs {
        let Size { records, bytes } = work(&mut Reader::default(), &logs, Size::default());
        Logs { logs, records, bytes }
    }

    /// A log of these events.
    pub fn of(events: &[forge::Event]) -> Logs {
        let mut log = forge::LogWriter::in_memory(forge::Options::new());
        for event in events {
            log.push(event).expect("an event that fits into a chunk");
        }
        let logs = Logs::new(vec![log.into_bytes().expect("a log in memory")]);
        assert_eq!(logs.records, events.len() as u64, "each event is a record");
        logs
    }

    /// The logs of the shipped evidence: an intrusion in three hosts.
    pub fn evidence() -> Logs {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/evidence");
        let files = walkdir::WalkDir::new(root).sort_by_file_name().into_iter();
        let paths = files.map(|f| f.expect("a readable folder").into_path());
        let paths = paths.filter(|path| path.extension().is_some_and(|e| e == "evtx"));
        Logs::new(paths.map(|path| std::fs::read(path).expect("a readable log")).collect())
    }

    /// The logs as files of a new folder.
    pub fn to_files(&self) -> TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (n, log) in self.logs.iter().enumerate() {
            std::fs::write(folder.path().join(format!("{n}.evtx")), log).expect("a writable file");
        }
        folder
    }

    /// These logs and those.
    pub fn and(mut self, other: Logs) -> Logs {
        self.logs.extend(other.logs);
        self.records += other.records;
        self.bytes += other.bytes;
        self
    }
}

/// Everyday events that make a log of so many bytes, or a little more.
pub fn everyday(bytes: u64) -> Vec<forge::Event> {
    let mut log = forge::LogWriter::in_memory(forge::Options::new());
    let mut mix = Mix::new(SEED);
    let mut events = Vec::new();
    while log.bytes() < bytes {
        let event = mix.next_event();
        log.push(&event).expect("an event that fits into a chunk");
        events.push(event);
    }
    events
}

/// Rules to measure with.
pub struct Rules {
    /// What benches call them.
    pub name: &'static str,
    /// As loaded.
    pub rules: Vec<Rule>,
    /// Compiled.
    pub set: RuleSet,
}

impl Rules {
    fn new(name: &'static str, rules: Vec<Rule>) -> Rules {
        Rules { name, set: compile(rules.clone()), rules }
    }

    /// The rules that Harrier brings along.
    pub fn builtin() -> Rules {
        Rules::new("builtin", sigma::load_builtin().rules)
    }

    /// SigmaHQ's rules, if they are there.
    pub fn sigmahq() -> Option<Rules> {
        let folders = sigmahq_folders()?;
        let loaded = sigma::load(&folders, &LoadOptions::default()).expect("folders of rules");
        Some(Rules::new("sigmahq", loaded.rules))
    }

    /// All that there are.
    pub fn all() -> Vec<Rules> {
        [Some(Rules::builtin()), Rules::sigmahq()].into_iter().flatten().collect()
    }
}

/// The rules compiled with the built-in tables.
pub fn compile(rules: Vec<Rule>) -> RuleSet {
    RuleSet::compile(rules, Taxonomy::builtin(taxonomy::Options::default()))
}

/// SigmaHQ's folders of rules, if they are there.
pub fn sigmahq_folders() -> Option<Vec<PathBuf>> {
    let root = match std::env::var_os("HARRIER_CORPORA") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora"),
    };
    let names = ["rules", "rules-emerging-threats", "rules-placeholder", "rules-threat-hunting"];
    let folders: Vec<_> = names.iter().map(|name| root.join("sigma").join(name)).collect();
    folders.iter().all(|folder| folder.is_dir()).then_some(folders)
}

/// Runs what is measured. Not inlined, so that a profiler can be told to count in here alone.
#[inline(never)]
pub fn measured<T>(pass: impl FnOnce() -> T) -> T {
    // A call in the last place would be a jump, and then nothing returns from here.
    black_box(pass())
}

/// What is done with the records of a log.
trait Work {
    /// A chunk with these bytes begins.
    fn begin(&mut self, _chunk: &[u8]) {}

    /// A record of it.
    fn record(&mut self, record: &Record<'_>);

    /// The chunk is over.
    fn end(&mut self) {}
}

/// Does the work on logs that have no damage.
struct Whole<'w, W> {
    work: &'w mut W,
    /// Whether a record of the chunk was met.
    begun: bool,
}

impl<W: Work> Sink for Whole<'_, W> {
    fn record(&mut self, record: &Record<'_>) -> ControlFlow<()> {
        if !std::mem::replace(&mut self.begun, true) {
            self.work.begin(record.in_chunk().0);
        }
        self.work.record(record);
        ControlFlow::Continue(())
    }

    fn chunk(&mut self, _: ChunkReport) {
        self.begun = false;
        self.work.end();
    }

    fn damage(&mut self, damage: Damage) {
        panic!("{damage}");
    }
}

/// Does the work on all records of logs.
fn work<W: Work>(reader: &mut Reader, logs: &[Vec<u8>], mut work: W) -> W {
    for log in logs {
        let opened = open(log).expect("a log");
        let flow = reader.read(
            log,
            &opened,
            0..opened.slots,
            &mut Whole { work: &mut work, begun: false },
        );
        assert!(flow.is_continue());
    }
    work
}

/// Counts records and their bytes.
#[derive(Default)]
struct Size {
    records: u64,
    bytes: u64,
}

impl Work for Size {
    fn record(&mut self, record: &Record<'_>) {
        self.records += 1;
        self.bytes += u64::from(record.size());
    }
}

/// Looks at the fields that the gate looks at.
#[derive(Default)]
struct GateFields(u64);

impl Work for GateFields {
    fn record(&mut self, record: &Record<'_>) {
        let system = *record.layout().system();
        for leaf in [system.provider, system.channel, system.event_id].into_iter().flatten() {
            record.values(leaf, |value| {
                black_box(value);
                self.0 += 1;
            });
        }
    }
}

/// How many fields that the gate looks at the records have.
pub fn gate_fields(reader: &mut Reader, logs: &Logs) -> u64 {
    work(reader, &logs.logs, GateFields::default()).0
}

/// The same by a new reader for each chunk, which has to make plans of its templates.
pub fn gate_fields_with_new_plans(logs: &Logs) -> u64 {
    let mut fields = GateFields::default();
    for log in &logs.logs {
        let opened = open(log).expect("a log");
        for slot in 0..opened.slots {
            let sink = &mut Whole { work: &mut fields, begun: false };
            assert!(Reader::default().read(log, &opened, slot..slot + 1, sink).is_continue());
        }
    }
    fields.0
}

/// Looks at each value of each leaf.
#[derive(Default)]
struct Values(u64);

impl Work for Values {
    fn record(&mut self, record: &Record<'_>) {
        for (leaf, _) in record.layout().iter() {
            record.values(leaf, |value| {
                black_box(value);
                self.0 += 1;
            });
        }
    }
}

/// How many values the records have.
pub fn values(reader: &mut Reader, logs: &Logs) -> u64 {
    work(reader, &logs.logs, Values::default()).0
}

/// The same, as the slow lane has it.
pub fn values_by_slow_lane(logs: &Logs) -> u64 {
    values(&mut Reader::new(Options { slow_only: true, ..Options::default() }), logs)
}

/// Scans each record.
struct Scan<'a, 's> {
    scanner: &'a mut Scanner<'s>,
    hits: u64,
}

impl Work for Scan<'_, '_> {
    fn begin(&mut self, chunk: &[u8]) {
        self.scanner.enter_block(chunk);
    }

    fn record(&mut self, record: &Record<'_>) {
        self.hits += self.scanner.scan(record).len() as u64;
    }

    fn end(&mut self) {
        self.scanner.leave_block();
    }
}

/// How many hits there are.
pub fn scan(reader: &mut Reader, scanner: &mut Scanner<'_>, logs: &Logs) -> u64 {
    work(reader, &logs.logs, Scan { scanner, hits: 0 }).hits
}

/// Scans each record by asking all rules.
struct ScanFull<'a, 's> {
    scanner: &'a mut Scanner<'s>,
    hits: u64,
}

impl Work for ScanFull<'_, '_> {
    fn record(&mut self, record: &Record<'_>) {
        self.hits += self.scanner.scan_full(record).len() as u64;
    }
}

/// How many hits there are if all rules are asked.
pub fn scan_full(reader: &mut Reader, scanner: &mut Scanner<'_>, logs: &Logs) -> u64 {
    work(reader, &logs.logs, ScanFull { scanner, hits: 0 }).hits
}

/// How many hits a whole hunt has that reads files and renders hits; `records` is how many it must
/// have read.
pub fn hunt(rules: &RuleSet, folder: &Path, threads: usize, records: u64) -> u64 {
    let hunt = Hunt { threads, ..Hunt::new(rules) };
    let mut outputs = [Output { format: &Format::Jsonl, writer: &mut std::io::sink() }];
    let mut ledger = Ledger::new(None);
    let walk = Walk::new(&[folder.to_owned()]);
    let hits = hunt.run(walk, &mut outputs, &mut ledger).expect("a hunt that ends");
    assert!(ledger.complete(), "{:?}", ledger.problems());
    assert_eq!(ledger.counts().records.seen, records);
    hits.iter().sum()
}

/// How far a record comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// No rule speaks of it.
    Gate,
    /// Rules do, but none of their atoms is in it.
    Prefilter,
    /// The conditions of rules are evaluated.
    Confirm,
}

impl Stage {
    /// All of them.
    pub const ALL: [Stage; 3] = [Stage::Gate, Stage::Prefilter, Stage::Confirm];

    /// What benches call it.
    pub fn name(self) -> &'static str {
        match self {
            Stage::Gate => "gate",
            Stage::Prefilter => "prefilter",
            Stage::Confirm => "confirm",
        }
    }

    /// Whether a scanner that did this has seen only records that come just so far.
    pub fn is_all_of(self, stats: &ScanStats) -> bool {
        match self {
            Stage::Gate => stats.gated == stats.events,
            Stage::Prefilter => stats.filtered == stats.events,
            Stage::Confirm => {
                stats.gated == 0 && stats.filtered == 0 && stats.candidates >= stats.events
            }
        }
    }
}

/// Notes how far each record comes.
struct Sort<'a, 's> {
    scanner: &'a mut Scanner<'s>,
    stages: Vec<Stage>,
}

impl Work for Sort<'_, '_> {
    fn begin(&mut self, chunk: &[u8]) {
        self.scanner.enter_block(chunk);
    }

    fn record(&mut self, record: &Record<'_>) {
        let before = self.scanner.stats();
        self.scanner.scan(record);
        let after = self.scanner.stats();
        self.stages.push(if after.gated > before.gated {
            Stage::Gate
        } else if after.filtered > before.filtered {
            Stage::Prefilter
        } else {
            Stage::Confirm
        });
    }

    fn end(&mut self) {
        self.scanner.leave_block();
    }
}

/// How far the record of each event comes.
fn stages(set: &RuleSet, events: &[forge::Event]) -> Vec<Stage> {
    let mut scanner = Scanner::new(set);
    let sort = Sort { scanner: &mut scanner, stages: Vec::new() };
    work(&mut Reader::default(), &Logs::of(events).logs, sort).stages
}

/// A log of those events whose records come just so far; `None` if there are none.
///
/// Whether the gate stops a record depends on the others of its chunk, which may hold a keyword. So
/// events are sorted again in the log that is made of them until all of it is of one stage.
pub fn by_stage(set: &RuleSet, events: &[forge::Event], stage: Stage) -> Option<Logs> {
    let mut events = events.to_vec();
    loop {
        let stages = stages(set, &events);
        let before = events.len();
        let sorted = events.into_iter().zip(stages);
        events = sorted.filter(|(_, s)| *s == stage).map(|(event, _)| event).collect();
        if events.is_empty() {
            return None;
        }
        if events.len() == before {
            return Some(Logs::of(&events));
        }
    }
}
