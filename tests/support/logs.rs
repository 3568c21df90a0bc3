//! Logs as tests read them: the sample logs, a sink made of a closure, events that outlive their
//! record.

use harrier::event::{Event, Layout, LeafId, Value};
use harrier::evtx::{Bin, ChunkReport, Counts, Damage, Options, Reader, Record, Sink, open};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The sample logs below a folder, in order of their paths.
pub fn evtx_files(root: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = walkdir::WalkDir::new(root)
        .into_iter()
        .filter_map(Result::ok)
        .map(walkdir::DirEntry::into_path)
        .filter(|p| p.extension().is_some_and(|e| e.eq_ignore_ascii_case("evtx")))
        .collect();
    paths.sort();
    paths
}

/// What a reader says of a log beside its records.
#[derive(Debug, Default)]
pub struct Told {
    pub chunks: Vec<ChunkReport>,
    pub damage: Vec<Damage>,
}

/// Calls a closure with each record and gathers everything else.
struct Each<F> {
    each: F,
    told: Told,
}

impl<F: FnMut(&Record<'_>)> Sink for Each<F> {
    fn record(&mut self, record: &Record<'_>) -> ControlFlow<()> {
        (self.each)(record);
        ControlFlow::Continue(())
    }

    fn chunk(&mut self, report: ChunkReport) {
        self.told.chunks.push(report);
    }

    fn damage(&mut self, damage: Damage) {
        self.told.damage.push(damage);
    }
}

impl Told {
    /// The counts of all chunks together.
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for report in &self.chunks {
            if let Bin::Read(counts) = &report.bin {
                sum.records += counts.records;
                sum.declined += counts.declined;
                sum.recovered += counts.recovered;
                sum.unreadable += counts.unreadable;
                sum.gaps += counts.gaps;
            }
        }
        sum
    }
}

/// Reads a whole log, which must open, and hands each record to `each`.
pub fn each_record<F: FnMut(&Record<'_>)>(reader: &mut Reader, log: &[u8], each: F) -> Told {
    let mut sink = Each { each, told: Told::default() };
    let source = log.to_vec();
    let opened = open(&source).expect("a log");
    let flow = reader.read(&source, &opened, 0..u64::MAX, &mut sink);
    assert!(flow.is_continue());
    sink.told
}

/// An event kept after its record is gone: the values as text.
#[derive(Debug, Clone)]
pub struct Kept {
    layout: Arc<Layout>,
    values: Vec<Vec<String>>,
}

impl Kept {
    /// A copy of an event.
    pub fn of(event: &impl Event) -> Kept {
        let layout = Arc::clone(event.layout());
        let texts = |id| {
            let mut texts = Vec::new();
            event.values(id, |value| texts.push(value.to_text()));
            texts
        };
        let values = layout.iter().map(|(id, _)| texts(id)).collect();
        Kept { layout, values }
    }
}

impl Event for Kept {
    fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    fn values<F: FnMut(Value<'_>)>(&self, leaf: LeafId, mut visit: F) {
        self.values.get(leaf.index()).into_iter().flatten().for_each(|v| visit(Value::Text(v)));
    }
}

/// The events of a log as one lane reads them.
pub fn events(log: &[u8], options: Options) -> Vec<Kept> {
    let mut events = Vec::new();
    each_record(&mut Reader::new(options), log, |record| events.push(Kept::of(record)));
    events
}

/// A log of these events.
pub fn forged<'a>(events: impl IntoIterator<Item = &'a forge::Event>) -> Vec<u8> {
    let mut log = forge::LogWriter::in_memory(forge::Options::new());
    for event in events {
        log.push(event).unwrap();
    }
    log.into_bytes().unwrap()
}

/// The titles of the rules that match each record of a log: read by both lanes and scanned in both
/// ways, all of which must agree.
pub fn hits(rules: &str, log: &[u8]) -> Vec<Vec<String>> {
    let set = super::rule_set(rules);
    let scan = |options| {
        let mut hits = Vec::new();
        each_record(&mut Reader::new(options), log, |record| {
            hits.push(super::titles(&set, record));
        });
        hits
    };
    let fast = scan(Options::default());
    let slow = scan(Options { slow_only: true, ..Options::default() });
    assert_eq!(fast, slow, "the lanes differ");
    fast
}
