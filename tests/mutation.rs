//! Harm done to logs at random, the same on every run: the reader and the scanner neither panic nor
//! hang, everything is counted in exactly one place, and chunks that were not harmed give what they
//! gave before.
//!
//! One reader and one scanner live through all of it, so what they learnt from a harmed chunk would
//! show in a sound one.

use crate::support::logs::{Told, each_record, evtx_files};
use crate::support::{corpora, rules};
use forge::{Rng, Slack, damage};
use harrier::engine::{RuleId, RuleSet, Scanner};
use harrier::event::Event;
use harrier::evtx::{Bin, DamageKind, Options, Reader, State};
use harrier::taxonomy::{self, Taxonomy};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::{Duration, Instant};

const HEADER: usize = 4096;
const CHUNK: usize = 65536;
/// How often a log is harmed and read again.
const ROUNDS: usize = 6_000;
/// The most that reading one harmed log of a few chunks may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is compared of a record.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    offset: u64,
    id: u64,
    state: State,
    content: u64,
    hits: Vec<RuleId>,
}

/// A log and what each of its chunks gives unharmed.
struct Subject {
    name: String,
    log: Vec<u8>,
    chunks: Vec<Vec<Seen>>,
}

fn content(event: &impl Event) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut text = Vec::new();
    for (id, leaf) in event.layout().iter() {
        event.values(id, |value| {
            text.clear();
            value.append_text(&mut text);
            (&*leaf.name, &text).hash(&mut hasher);
        });
    }
    hasher.finish()
}

/// Reads and scans a log. Where `check` says so, a chunk's records are scanned the slow way, too.
fn read(
    reader: &mut Reader,
    scanner: &mut Scanner<'_>,
    log: &[u8],
    check: impl Fn(usize) -> bool,
) -> (Vec<Vec<Seen>>, Told) {
    let mut chunks: Vec<Vec<Seen>> = Vec::new();
    let told = each_record(reader, log, |record| {
        let chunk = usize::try_from(record.chunk()).unwrap();
        if chunks.len() <= chunk {
            chunks.resize(chunk + 1, Vec::new());
            scanner.enter_block(record.in_chunk().0);
        }
        let hits = scanner.scan(record).to_vec();
        if check(chunk) {
            assert_eq!(hits, scanner.scan_full(record));
        }
        let (offset, id, state) = (record.offset(), record.header_record_id(), record.state());
        chunks[chunk].push(Seen { offset, id, state, content: content(record), hits });
    });
    scanner.leave_block();
    (chunks, told)
}

/// Every slot is reported once and in order, and every number is that of what was handed over.
fn check_bins(log: &[u8], chunks: &[Vec<Seen>], told: &Told) {
    let slots = log.len().saturating_sub(HEADER).div_ceil(CHUNK);
    assert_eq!(told.chunks.len(), slots);
    for (n, report) in told.chunks.iter().enumerate() {
        let (start, end) = ((HEADER + n * CHUNK) as u64, (HEADER + (n + 1) * CHUNK) as u64);
        assert_eq!((report.chunk, report.offset), (n as u64, start));
        let records = chunks.get(n).map_or(&[][..], |records| records);
        assert!(records.windows(2).all(|w| w[0].offset < w[1].offset), "each record once");
        assert!(records.iter().all(|r| (start..end).contains(&r.offset)));
        let damage: Vec<_> = told.damage.iter().filter(|d| d.chunk == n as u64).collect();
        assert!(damage.iter().all(|d| (start..end).contains(&d.offset) && !d.reason.is_empty()));
        let of = |is: fn(&DamageKind) -> bool| damage.iter().filter(|d| is(&d.kind)).count() as u64;
        let unreadable = of(|kind| matches!(kind, DamageKind::Record | DamageKind::LeftOver));
        let gaps = of(|kind| matches!(kind, DamageKind::Gap(_)));
        let whole = of(|kind| matches!(kind, DamageKind::Chunk));
        let recovered = records.iter().filter(|r| r.state == State::Recovered).count() as u64;
        match &report.bin {
            Bin::Read(counts) => {
                assert_eq!(counts.records, records.len() as u64);
                assert_eq!(counts.recovered, recovered);
                assert!(counts.declined <= counts.records);
                assert_eq!((counts.unreadable, counts.gaps, whole), (unreadable, gaps, 0));
            }
            Bin::Empty => assert!(records.is_empty() && damage.is_empty()),
            Bin::Orphans(_) => panic!("a slot is no orphan"),
            Bin::Unreadable(reason) => {
                assert!(records.is_empty() && !reason.is_empty());
                assert_eq!((unreadable, gaps, whole), (0, 0, 1));
            }
        }
    }
}

/// Harms one chunk, or cuts the log; says which chunk is no longer to be compared.
fn harm(rng: &mut Rng, log: &mut Vec<u8>, others: &[Vec<u8>]) -> usize {
    let chunks = (log.len() - HEADER) / CHUNK;
    let chunk = below(rng, chunks);
    let start = HEADER + chunk * CHUNK;
    let used = used(&log[start..start + CHUNK]);
    match rng.below(8) {
        // Bits anywhere in the used part.
        0 | 1 => {
            for _ in 0..=rng.below(8) {
                let at = start + below(rng, used);
                log[at] ^= 1 << rng.below(8);
            }
        }
        // Numbers that offsets and sizes are not meant to be.
        2 | 3 => {
            const ODD: [u32; 10] =
                [0, 1, 4, 0x7F, 0x200, 0xFFFF, 0x1_0000, 0x7FFF_FFFF, 0xFFFF_FFF8, u32::MAX];
            for _ in 0..=rng.below(3) {
                let at = start + below(rng, used - 4);
                let odd = ODD[below(rng, ODD.len())];
                log[at..at + 4].copy_from_slice(&odd.to_le_bytes());
            }
        }
        // A piece of another log, or of elsewhere in the chunk.
        4 | 5 => {
            let len = 1 + below(rng, 2000.min(used - 1));
            let to = start + below(rng, used - len);
            let piece = if rng.below(2) == 0 {
                let from = start + below(rng, used - len);
                log[from..from + len].to_vec()
            } else {
                let other = &others[below(rng, others.len())];
                let from = below(rng, other.len() - len);
                other[from..from + len].to_vec()
            };
            log[to..to + len].copy_from_slice(&piece);
        }
        // Whole tables of the chunk, all the same.
        6 => {
            let table = start + [128, 384][below(rng, 2)];
            let entry = u32::try_from(below(rng, used)).unwrap();
            for at in (0..256).step_by(4) {
                log[table + at..table + at + 4].copy_from_slice(&entry.to_le_bytes());
            }
        }
        // The log ends in the chunk.
        _ => log.truncate(start + below(rng, CHUNK)),
    }
    let whole = log.len() >= start + CHUNK;
    // What is wrong passes for right now and then; forge's seal needs the free space to be in place.
    let free = log.get(start + 48..start + 52).map(|b| u32::from_le_bytes(b.try_into().unwrap()));
    if whole && rng.below(3) == 0 && free.is_some_and(|f| (512..=65536).contains(&f)) {
        damage::reseal_chunk(log, chunk);
    }
    chunk
}

fn below(rng: &mut Rng, n: usize) -> usize {
    usize::try_from(rng.below(u32::try_from(n.max(1)).unwrap())).unwrap()
}

/// How much of a chunk is not zero at its end.
fn used(chunk: &[u8]) -> usize {
    chunk.iter().rposition(|b| *b != 0).map_or(16, |at| at + 1).max(2048)
}

/// Logs of several chunks: forged ones with stale slack and rings, and some of the samples.
fn logs() -> Vec<(String, Vec<u8>)> {
    let mut logs = Vec::new();
    let options = || forge::Options::new().records_per_chunk(25);
    for (n, options) in
        [options(), options().slack(Slack::Stale).ring(3), options().tail_chunks(1).dirty(true)]
            .into_iter()
            .enumerate()
    {
        let mut mix = forge::mix::Mix::new(n as u64);
        let mut log = forge::LogWriter::in_memory(options);
        for _ in 0..100 {
            log.push(&mix.next_event()).unwrap();
        }
        logs.push((format!("forged {n}"), log.into_bytes().unwrap()));
    }
    if let Some(root) = corpora("harmed samples") {
        let mut of_size: Vec<_> = evtx_files(&root)
            .into_iter()
            .map(|path| (path.display().to_string(), std::fs::read(path).unwrap()))
            .filter(|(_, log)| (HEADER + CHUNK..HEADER + 4 * CHUNK).contains(&log.len()))
            .collect();
        let step = (of_size.len() / 40).max(1);
        logs.extend(of_size.drain(..).step_by(step));
    }
    logs
}

#[test]
fn harm_is_told_and_stays_where_it_is() {
    let mut text = String::new();
    for (n, item) in [
        "Image|endswith: '.exe'",
        "CommandLine|contains: ' -'",
        "TargetUserName|re: '[a-z]'",
        "F: null",
        "EventID|gte: 4000",
        "Data|contains|all: [e, a]",
        "Image|fieldref|neq: ParentImage",
    ]
    .iter()
    .enumerate()
    {
        text += &format!(
            "title: t{n}\nlogsource: {{product: windows}}\ndetection:\n  s: {{{item}}}\n  condition: s\n---\n"
        );
    }
    text += "title: k\nlogsource: {product: windows}\ndetection:\n  s: [host, 'C:\\']\n  condition: s\n";
    let mut loaded = rules(&text);
    loaded.append(harrier::sigma::load_builtin());
    let set = RuleSet::compile(loaded.rules, Taxonomy::builtin(taxonomy::Options::default()));
    let lanes = [
        Options::default(),
        Options { recover: true, ..Options::default() },
        Options { slow_only: true, ..Options::default() },
    ];
    let logs = logs();
    let others: Vec<Vec<u8>> = logs.iter().map(|(_, log)| log.clone()).collect();
    let mut rng = Rng::new(42);
    let (mut records, mut compared, mut lost, mut slowest) = (0, 0, 0, Duration::ZERO);
    for (lane, options) in lanes.into_iter().enumerate() {
        let mut reader = Reader::new(options);
        let mut scanner = Scanner::new(&set);
        let subjects: Vec<Subject> = logs
            .iter()
            .map(|(name, log)| {
                let (chunks, _) = read(&mut reader, &mut scanner, log, |_| true);
                Subject { name: name.clone(), log: log.clone(), chunks }
            })
            .collect();
        // The slow lane takes its time.
        for round in 0..[ROUNDS, ROUNDS / 2, ROUNDS / 8][lane] {
            let subject = &subjects[below(&mut rng, subjects.len())];
            let mut log = subject.log.clone();
            let harmed = harm(&mut rng, &mut log, &others);
            let start = Instant::now();
            let (chunks, told) = read(&mut reader, &mut scanner, &log, |chunk| chunk == harmed);
            slowest = slowest.max(start.elapsed());
            check_bins(&log, &chunks, &told);
            let cut = log.len() < subject.log.len();
            for (n, before) in subject.chunks.iter().enumerate() {
                let now = chunks.get(n).map_or(&[][..], |records| records);
                records += now.len();
                if n == harmed || (cut && n > harmed) {
                    lost += before.len().saturating_sub(now.len());
                    continue;
                }
                compared += now.len();
                assert_eq!(now, before, "{}: lane {lane}, round {round}, chunk {n}", subject.name);
            }
        }
    }
    println!(
        "{} logs; {records} records read from harmed logs, {compared} of them compared, {lost} \
         lost; the slowest log took {slowest:?}",
        logs.len()
    );
    assert!(compared > 0 && lost > 0);
    assert!(slowest < PATIENCE, "{slowest:?}");
}
