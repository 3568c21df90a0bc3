//! Carving: chunks and records in raw bytes are found where they are, all of them and no others.

// Lists of ranges are what a carver takes, some of one.
#![allow(clippy::single_range_in_vec_init)]

use crate::support::logs::{each_record, evtx_files};
use crate::support::{corpora, skipped, this_test};
use forge::{LogWriter, Options, Rng};
use harrier::bytes::ReadAt;
use harrier::event::Event;
use harrier::evtx::{
    Carver, ChunkReport, Damage, Lost, PIECE, Partial, Reader, Record, Scout, Sink, State, Stretch,
};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::io;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

const CHUNK: usize = 65_536;

/// Names of fields and their values.
type Fields = Vec<(String, String)>;

/// What came of carving.
#[derive(Debug, Default)]
struct Carved {
    stretch: Stretch,
    /// Offset, whether it is an orphan, and the fields with their values.
    records: Vec<(u64, bool, Fields)>,
    damage: Vec<Damage>,
    lost: Vec<Lost>,
}

fn fields(event: &impl Event) -> Fields {
    let mut fields = Vec::new();
    for (id, leaf) in event.layout().iter() {
        event.values(id, |value| fields.push((leaf.name.to_string(), value.to_text())));
    }
    fields
}

impl Sink for Carved {
    fn record(&mut self, record: &Record<'_>) -> ControlFlow<()> {
        let orphan = record.state() == State::Orphan;
        self.records.push((record.offset(), orphan, fields(record)));
        ControlFlow::Continue(())
    }

    fn chunk(&mut self, _: ChunkReport) {}

    fn damage(&mut self, damage: Damage) {
        self.damage.push(damage);
    }
}

impl Carved {
    /// Where records were found, in order.
    fn offsets(&self, orphans: bool) -> Vec<u64> {
        let mut offsets: Vec<u64> =
            self.records.iter().filter(|r| r.1 == orphans).map(|r| r.0).collect();
        if orphans {
            offsets.extend(self.lost.iter().map(|lost| lost.offset));
        }
        offsets.sort_unstable();
        offsets
    }
}

/// Carves `ranges` in windows of this size.
fn carve(bytes: &[u8], ranges: &[Range<u64>], window: u64) -> Carved {
    let (mut carver, mut carved) = (Carver::new(), Carved::default());
    let source = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() as u64 {
        let end = at + window;
        let clip = |range: &Range<u64>| range.start.max(at)..range.end.min(end);
        let here: Vec<Range<u64>> =
            ranges.iter().map(clip).filter(|range| !range.is_empty()).collect();
        let mut lost = std::mem::take(&mut carved.lost);
        let (stretch, flow) = carver.read(&source, &here, &mut carved, &mut lost);
        assert!(flow.is_continue());
        carved.lost = lost;
        carved.stretch.add(stretch);
        at = end;
    }
    carved
}

/// The pieces of the bytes in which a scout says that something may begin, as ranges.
fn scouted(source: &dyn ReadAt, range: Range<u64>) -> Vec<Range<u64>> {
    let mut pieces = BTreeSet::new();
    Scout::new().look(source, std::slice::from_ref(&range), &mut |piece| {
        pieces.insert(piece);
    });
    let part = |piece: u64| range.start.max(piece * PIECE)..range.end.min((piece + 1) * PIECE);
    pieces.into_iter().map(part).collect()
}

/// All of the bytes, in windows of several sizes and where a scout sends, which must agree.
fn carve_all(bytes: &[u8]) -> Carved {
    let all = vec![0..bytes.len() as u64];
    let whole = carve(bytes, &all, u64::MAX / 2);
    let hot = scouted(&bytes.to_vec(), 0..bytes.len() as u64);
    for (ranges, window) in [(&all, 100_000), (&all, 1 << 20), (&hot, PIECE), (&hot, 1 << 22)] {
        let cut = carve(bytes, ranges, window);
        assert_eq!(cut.stretch, whole.stretch, "{window}");
        assert_eq!(cut.records.len(), whole.records.len(), "{window}");
        let sorted = |carved: &Carved| {
            let mut records = carved.records.clone();
            records.sort();
            records
        };
        assert!(sorted(&cut) == sorted(&whole), "{window}");
        assert_eq!(cut.offsets(true), whole.offsets(true), "{window}");
    }
    whole
}

/// A chunk and its records: where each stands in it, its size and its fields.
struct Piece {
    bytes: Vec<u8>,
    records: Vec<(usize, usize, Fields)>,
}

/// The chunks of a log that are whole, as the crate sees them: with checksums that fit.
fn pieces(log: &[u8]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for bytes in log[4096..].chunks_exact(CHUNK) {
        let parsed = evtx::EvtxChunkData::new(bytes.to_vec(), true);
        if !bytes.starts_with(b"ElfChnk\0") || parsed.is_err() {
            continue;
        }
        let alone = [&log[..4096], bytes].concat();
        let mut records = Vec::new();
        each_record(&mut Reader::default(), &alone, |record| {
            let at = usize::try_from(record.offset()).unwrap() - 4096;
            records.push((at, record.size() as usize, fields(record)));
        });
        pieces.push(Piece { bytes: bytes.to_vec(), records });
    }
    pieces
}

/// What is planted where, and what is to be found of it.
#[derive(Default)]
struct Blob {
    bytes: Vec<u8>,
    valid: Vec<u64>,
    torn: u64,
    /// Where something was planted.
    planted: Vec<Range<u64>>,
    /// Records of whole chunks, and others: offset and fields.
    records: Vec<(u64, Fields)>,
    orphans: Vec<(u64, Fields)>,
}

impl Blob {
    fn noise(&mut self, rng: &mut Rng, len: usize) {
        let words = (0..len.div_ceil(8)).flat_map(|_| rng.next().to_le_bytes());
        self.bytes.extend(words.take(len));
    }

    /// Plants some bytes of a chunk.
    fn plant(&mut self, piece: &Piece, range: Range<usize>) {
        let start = self.bytes.len() as u64;
        self.bytes.extend_from_slice(&piece.bytes[range.clone()]);
        // Behind its records a chunk has nothing that its checksums speak of.
        let free = u32::from_le_bytes(piece.bytes[0x30..0x34].try_into().unwrap()) as usize;
        let whole = range.start == 0 && range.end >= free;
        let there = piece
            .records
            .iter()
            .filter(|(at, size, _)| range.contains(at) && at + size <= range.end);
        self.planted.push(start..self.bytes.len() as u64);
        let there =
            there.map(|(at, _, fields)| (start + (at - range.start) as u64, fields.clone()));
        if whole {
            self.valid.push(start);
            self.records.extend(there);
        } else {
            self.torn += u64::from(range.start == 0);
            self.orphans.extend(there);
        }
    }
}

/// Fragments as on a disk whose logs were deleted: whole, at odd places, torn, without their front.
fn blob(pieces: &[Piece], most_between: u32) -> Blob {
    let mut rng = Rng::new(7);
    let mut blob = Blob::default();
    for (n, piece) in pieces.iter().enumerate() {
        let between = 1 + rng.below(most_between) as usize;
        blob.noise(&mut rng, between * 4096);
        match n % 8 {
            5 => {
                blob.noise(&mut rng, 137);
                blob.plant(piece, 0..CHUNK);
            }
            6 => {
                blob.plant(piece, 0..CHUNK / 2);
                blob.noise(&mut rng, 4096);
            }
            7 => blob.plant(piece, 8192..CHUNK),
            _ => blob.plant(piece, 0..CHUNK),
        }
    }
    // A magic alone is no chunk.
    blob.noise(&mut rng, 4096);
    blob.bytes.extend_from_slice(b"ElfChnk\0");
    blob.noise(&mut rng, 100_000);
    blob
}

/// Checks what was carved against what was planted, and gives how many orphans could be read.
fn check(blob: &Blob, carved: &Carved) -> usize {
    assert_eq!(carved.stretch.valid as usize, blob.valid.len());
    assert_eq!(carved.stretch.torn, blob.torn);
    let offsets =
        |records: &[(u64, Fields)]| -> Vec<u64> { records.iter().map(|record| record.0).collect() };
    assert_eq!(carved.offsets(false), offsets(&blob.records));
    assert_eq!(carved.damage, []);
    let mut found = carved.offsets(true);
    // What the slack of chunks has is found, too: in what was planted, and not in noise.
    let orphans = offsets(&blob.orphans);
    let slack = |at: &u64| {
        orphans.binary_search(at).is_err() && blob.planted.iter().any(|range| range.contains(at))
    };
    found.retain(|at| !slack(at));
    assert_eq!(found, orphans);
    let planted: std::collections::HashMap<u64, &Fields> =
        blob.records.iter().chain(&blob.orphans).map(|(at, fields)| (*at, fields)).collect();
    let mut read = 0;
    for (at, orphan, fields) in &carved.records {
        match planted.get(at) {
            Some(want) => assert_eq!(&fields, want, "at {at:#x}"),
            None => assert!(slack(at), "at {at:#x}"),
        }
        read += usize::from(*orphan && !slack(at));
    }
    read
}

/// Chunks of everyday events.
static EVERYDAY: LazyLock<Vec<Piece>> = LazyLock::new(|| pieces(&forged(17)));

fn forged(chunks: u64) -> Vec<u8> {
    let mut log = LogWriter::in_memory(Options::new());
    let mut mix = forge::mix::Mix::new(11);
    let mut place = 0;
    while place <= chunks {
        place = log.push(&mix.next_event()).unwrap().slot;
    }
    log.into_bytes().unwrap()
}

#[test]
fn planted_fragments_are_found_and_nothing_else() {
    let blob = blob(&EVERYDAY[..17], 20);
    let carved = carve_all(&blob.bytes);
    let read = check(&blob, &carved);
    assert_eq!(carved.damage, []);
    // All of the torn chunks' are read; of the tails those whose templates, and names, are there.
    let torn: Vec<&Range<u64>> = blob.planted.iter().skip(6).step_by(8).collect();
    let in_torn = |at: &u64| torn.iter().any(|range| range.contains(at));
    assert!(carved.lost.iter().all(|lost| !in_torn(&lost.offset)));
    assert!(blob.orphans.iter().filter(|(at, _)| in_torn(at)).count() <= read);
    assert_eq!(read + carved.lost.len(), blob.orphans.len());
}

/// The same with chunks of real logs.
#[test]
fn fragments_of_real_logs_are_found() {
    let Some(corpora) = corpora(&this_test()) else { return };
    let mut all = Vec::new();
    for log in evtx_files(&corpora.join("evtx")) {
        let full = |piece: &Piece| piece.records.last().is_some_and(|last| last.0 > 50_000);
        let pieces = pieces(&std::fs::read(log).unwrap());
        all.extend(pieces.into_iter().filter(full).take(4));
        if all.len() >= 40 {
            break;
        }
    }
    let blob = blob(&all[..all.len().min(40)], 30);
    let carved = carve_all(&blob.bytes);
    let read = check(&blob, &carved);
    assert!(read > 0 && blob.orphans.len() > 50, "{read} of {}", blob.orphans.len());
    // Of those whose template is gone, what is said of the event is right, and all values are there.
    let mut by_place = 0;
    for lost in &carved.lost {
        let partial = Partial::of(&lost.record);
        let Ok(which) = blob.orphans.binary_search_by_key(&lost.offset, |orphan| orphan.0) else {
            continue;
        };
        let fields = &blob.orphans[which].1;
        if let Some(event_id) = partial.event_id {
            by_place += 1;
            let is = |name: &str, text: &str| fields.iter().any(|f| f.0 == name && f.1 == text);
            assert!(is("EventID", &event_id.to_string()), "at {:#x}", lost.offset);
            assert!(partial.provider.is_none_or(|provider| is("Provider_Name", &provider)));
            assert!(partial.channel.is_none_or(|channel| is("Channel", &channel)));
        }
        let values = partial.system.iter().chain(&partial.data);
        let texts: BTreeSet<&str> = values.flat_map(|v| &v.texts).map(String::as_str).collect();
        // What is not among them stands in the template: names, and what is the same in each event.
        let missing = fields.iter().filter(|field| !texts.contains(field.1.as_str())).count();
        assert!(missing < fields.len(), "at {:#x}: {fields:?}", lost.offset);
    }
    println!("{by_place} of {} that cannot be read tell their event", carved.lost.len());
    assert!(by_place * 2 > carved.lost.len());
    println!(
        "{} whole, {} torn, {} orphans of which {read} were read",
        carved.stretch.valid,
        carved.stretch.torn,
        blob.orphans.len()
    );
}

/// The blob that `make_images.sh` makes, if the images are there: what it says of itself is found.
#[test]
fn the_blob_of_the_images_is_carved() {
    let Some(images) = std::env::var_os("HARRIER_IMAGES") else {
        return skipped(&this_test(), "HARRIER_IMAGES names no images");
    };
    let read = |name| std::fs::read(Path::new(&images).join(name)).unwrap();
    let truth: serde_json::Value = serde_json::from_slice(&read("carve.json")).unwrap();
    let of = |kinds: &[&str]| {
        let fragments = truth.as_array().unwrap().iter();
        fragments.filter(|f| kinds.contains(&f["kind"].as_str().unwrap())).count() as u64
    };
    let bytes = read("carve.bin");
    let all = vec![0..bytes.len() as u64];
    let carved = carve(&bytes, &all, 4 << 20);
    assert_eq!(carved.stretch.valid, of(&["whole", "whole_unaligned"]));
    assert_eq!(carved.stretch.torn, of(&["torn_first_32k"]));
    assert_eq!(carved.damage, []);
    let mut want = 0;
    for fragment in truth.as_array().unwrap() {
        let at = fragment["off"].as_u64().unwrap() as usize;
        let len = fragment["len"].as_u64().unwrap() as usize;
        let kind = fragment["kind"].as_str().unwrap();
        let data = &bytes[at..at + len];
        if kind.starts_with("whole") {
            let log = [&forged(1)[..4096], data].concat();
            want += pieces(&log)[0].records.len();
            assert!(carved.offsets(false).iter().any(|o| (at..at + len).contains(&(*o as usize))));
        } else if kind != "bare_magic" {
            // A record in a fragment ends there with its size.
            let records = memchr::memmem::find_iter(data, b"\x2a\x2a\0\0").filter(|n| {
                let size = data.get(n + 4..n + 8).unwrap_or(&[0; 4]).try_into().unwrap();
                let end = n + u32::from_le_bytes(size) as usize;
                end <= len && end > n + 8 && data.get(end - 4..end) == Some(&size)
            });
            want += records.count();
        }
    }
    // Orphans in the slack of whole chunks are more than the script counts.
    let whole = |at: &u64| {
        truth.as_array().unwrap().iter().any(|f| {
            let (off, len) = (f["off"].as_u64().unwrap(), f["len"].as_u64().unwrap());
            f["kind"].as_str().unwrap().starts_with("whole") && (off..off + len).contains(at)
        })
    };
    let orphans = carved.offsets(true);
    let orphans = orphans.iter().filter(|at| !whole(at)).count();
    assert_eq!(carved.offsets(false).len() + orphans, want);
}

/// Only what begins in the ranges is told of, with what is around them to help.
#[test]
fn ranges_bound_what_is_found() {
    let pieces = &*EVERYDAY;
    let mut blob = Blob::default();
    for piece in &pieces[..5] {
        blob.plant(piece, 0..CHUNK);
    }
    blob.plant(&pieces[5], 0..40_000);
    let chunk = CHUNK as u64;
    for (ranges, valid) in [
        (vec![0..chunk * 5], 5),
        (vec![1..chunk * 5], 4),
        (vec![chunk..chunk + 1, chunk * 3 - 1..chunk * 3 + 1], 2),
        (vec![chunk + 1..chunk * 2], 0),
    ] {
        let carved = carve(&blob.bytes, &ranges, u64::MAX / 2);
        assert_eq!((carved.stretch.valid, carved.stretch.orphans), (valid, 0), "{ranges:?}");
    }
    let all = carve(&blob.bytes, &[5 * chunk..6 * chunk], u64::MAX / 2);
    let orphans = all.offsets(true);
    assert_eq!(orphans.len(), blob.orphans.len());
    let (from, to) = (orphans[3], orphans[9]);
    let some = carve(&blob.bytes, &[from..to], u64::MAX / 2);
    assert_eq!(some.offsets(true), orphans[3..9]);
    assert_eq!(some.stretch.torn, 0);
    assert_eq!(some.lost.len(), 0);
}

/// A chunk whose front lies before the source.
#[test]
fn a_chunk_may_have_lost_its_front() {
    let piece = &EVERYDAY[0];
    for cut in [1, 600, 5000] {
        let mut blob = Blob::default();
        blob.plant(piece, cut..CHUNK);
        let carved = carve_all(&blob.bytes);
        check(&blob, &carved);
        assert_eq!(carved.stretch.orphans as usize, blob.orphans.len(), "{cut}");
    }
}

/// A record whose template was overwritten is not read with what stands there now.
#[test]
fn a_template_that_was_overwritten_is_not_used() {
    let piece = &EVERYDAY[0];
    let name: Vec<u8> = "Channel".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let start = memchr::memmem::find(&piece.bytes, &name).unwrap();
    for at in start..start + name.len() {
        let mut bytes = piece.bytes.clone();
        bytes[at] ^= 1;
        // The records' checksum is wrong now, the header's as it was.
        let carved = carve(&bytes, &[0..CHUNK as u64], u64::MAX / 2);
        assert_eq!(carved.stretch, Stretch { torn: 1, orphans: 61, ..Stretch::default() });
        assert_eq!((carved.records.len(), carved.lost.len()), (0, 61), "byte {at}");
        assert_eq!(carved.damage, []);
    }
}

/// A disk of which most is not stored, with a bad spot; counts what is read.
struct Sparse {
    data: Vec<u8>,
    at: u64,
    size: u64,
    bad: Range<u64>,
    read: AtomicU64,
}

impl ReadAt for Sparse {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let n = buf.len().min(usize::try_from(self.size.saturating_sub(offset)).unwrap());
        if offset < self.bad.end && offset + n as u64 > self.bad.start {
            return Err(io::Error::other("bad sector"));
        }
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        for (n, byte) in buf[..n].iter_mut().enumerate() {
            let at = (offset + n as u64).checked_sub(self.at).and_then(|at| at.try_into().ok());
            *byte = at.and_then(|at: usize| self.data.get(at)).copied().unwrap_or(0);
        }
        Ok(n)
    }

    fn zeros(&self, offset: u64) -> u64 {
        let end = self.at + self.data.len() as u64;
        match offset {
            offset if offset < self.at => self.at - offset,
            offset if offset < end => 0,
            offset => self.size.saturating_sub(offset),
        }
    }
}

/// A scout does not read what is known to be zeros, and sends the carver to what it cannot read.
#[test]
fn a_scout_reads_only_what_is_stored() {
    let piece = &EVERYDAY[0];
    for at in [40 * PIECE - 5, 40 * PIECE, 40 * PIECE + 100_000] {
        let (data, size) = (piece.bytes.clone(), 400 * PIECE);
        let bad = 300 * PIECE + 7..300 * PIECE + 8;
        let disk = Sparse { data, at, size, bad: bad.clone(), read: AtomicU64::new(0) };
        assert!(disk.read.load(Ordering::Relaxed) < 8 * PIECE);
        let hot = scouted(&disk, 0..size);
        assert!(hot.iter().any(|range| range.contains(&at)), "{at}");
        // Around the bad spot nothing is known to be zeros, as far as this range goes.
        let hot = scouted(&disk, bad.start..bad.end);
        assert_eq!(hot, [bad]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn planted_at_any_place_and_in_any_company(
        seed in any::<u64>(),
        gaps in prop::collection::vec((0usize..9000, 0usize..8, 0usize..4), 1..6),
    ) {
        let pieces = &*EVERYDAY;
        let mut rng = Rng::new(seed);
        let mut blob = Blob::default();
        for (gap, which, how) in gaps {
            blob.noise(&mut rng, gap);
            let range = match how {
                0 | 1 => 0..CHUNK,
                2 => 0..CHUNK / 2 + rng.below(30_000) as usize,
                _ => 600 + rng.below(30_000) as usize..CHUNK,
            };
            blob.plant(&pieces[which], range);
        }
        blob.noise(&mut rng, 3000);
        let carved = carve_all(&blob.bytes);
        check(&blob, &carved);
        prop_assert!(carved.damage.is_empty());
    }

    #[test]
    fn in_noise_there_is_nothing(seed in any::<u64>()) {
        let mut blob = Blob::default();
        blob.noise(&mut Rng::new(seed), 300_000);
        let carved = carve_all(&blob.bytes);
        prop_assert_eq!(carved.stretch, Stretch::default());
        prop_assert!(carved.records.is_empty() && carved.lost.is_empty());
    }
}
