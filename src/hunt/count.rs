//! What is counted of a log while its chunks are read, whatever is done with its records.
//!
//! Invariant: every record and slot that a reader reports is in one bin of the counts, and what could
//! not be read is a place in the damages.

use super::feed::CHUNK_BYTES;
use super::open::{Content, Opened};
use super::time::written;
use super::work::Note;
use super::{Hunt, Step};
use crate::evtx::{Bin, ChunkReport, Damage, DamageKind, Finding, Lane, Log, Record, State};
use crate::ledger::{Counts, Damages, Levels, SourceEntry, SourceState, Span};
use std::ops::Range;

/// The counts of some slots of a log.
#[derive(Default)]
pub(super) struct Counted {
    pub(super) counts: Counts,
    pub(super) damages: Damages,
    findings: Damages,
    damages_before_chunk: u64,
    /// Whether it is raw bytes, which have no slots but what chunks are found.
    raw: bool,
}

impl Counted {
    /// Begins with these slots of a log.
    pub(super) fn begin(opened: &Opened, slots: &Range<u64>) -> Counted {
        let mut counted = Counted::default();
        if slots.start == 0 {
            if let Content::Log(log) = &opened.content {
                header_findings(log, &mut counted.findings);
            }
            for note in opened.source.notes() {
                counted.findings.push(0, || note.clone());
            }
        }
        match &opened.content {
            Content::Log(_) => counted.counts.chunks.slots = slots.end - slots.start,
            Content::Raw(_) => counted.raw = true,
        }
        counted
    }

    /// Notes when a record was written.
    pub(super) fn met(&mut self, record: &Record<'_>) {
        if record.state() == State::Live {
            Span::reach(&mut self.counts.times, written(record));
        }
    }

    /// A record was read by a lane.
    pub(super) fn read(&mut self, state: State, lane: Lane) {
        let records = &mut self.counts.records;
        *match (state, lane) {
            (State::Recovered | State::Orphan, _) => &mut records.recovered,
            (State::Live, Lane::Fast) => &mut records.fast,
            (State::Live, Lane::Slow) => &mut records.slow,
        } += 1;
    }

    /// A slot was dealt with.
    pub(super) fn chunk(&mut self, report: &ChunkReport) {
        let chunks = &mut self.counts.chunks;
        let damaged = self.damages.total > self.damages_before_chunk;
        match &report.bin {
            Bin::Read(_) if damaged || !report.findings.is_empty() => chunks.irregular += 1,
            Bin::Read(_) => chunks.read += 1,
            Bin::Empty => chunks.unused += 1,
            Bin::Unreadable(_) => chunks.unreadable += 1,
            Bin::Orphans(_) => {}
        }
        if self.raw && !matches!(report.bin, Bin::Orphans(_)) {
            chunks.slots += 1;
        }
        if let Bin::Read(counts) | Bin::Orphans(counts) = &report.bin {
            self.counts.records.seen += counts.records + counts.unreadable;
        }
        // Records that ought to be there and are not are a loss, even if no byte was unreadable.
        for finding in &report.findings {
            let lost = !damaged && is_loss(finding);
            let places = if lost { &mut self.damages } else { &mut self.findings };
            places.push(report.offset, || finding.to_string());
        }
        self.damages_before_chunk = self.damages.total;
    }

    /// Something could not be read.
    pub(super) fn damage(&mut self, damage: Damage) {
        match damage.kind {
            // That it cannot be read any more is no damage of the log.
            DamageKind::LeftOver => {
                self.counts.records.unrecoverable += 1;
                self.findings.push(damage.offset, || damage.reason);
                return;
            }
            DamageKind::Record => self.counts.records.unreadable += 1,
            _ => {}
        }
        self.damages.push(damage.offset, || damage.reason);
    }

    /// The entry of the ledger, and tells whoever watches the hunt.
    pub(super) fn end(mut self, hunt: &Hunt<'_>, opened: &Opened, slots: &Range<u64>) -> Note {
        let Opened { source, bytes, content } = opened;
        let last = slots.end >= opened.slots();
        if let Content::Log(log) = content
            && last
            && u64::from(log.chunk_count) > log.slots
        {
            let (counted, there) = (log.chunk_count, log.slots);
            self.damages.push(bytes.size(), || {
                format!(
                    "the file is cut off: its header counts {counted} chunks, {there} are there"
                )
            });
        }
        // What it was unpacked from may be at fault, which shows at its end.
        if last && let Err(error) = bytes.read_at(bytes.size(), &mut []) {
            let what = error.to_string();
            // Chunks that could not be read for it have told it.
            if !self.damages.kept.iter().any(|damage| damage.reason.ends_with(&what)) {
                self.damages.push(bytes.size(), || what);
            }
        }
        if let Some(progress) = hunt.progress {
            let part = (slots.end - slots.start) * CHUNK_BYTES;
            let bytes = if slots.start == 0 && last { source.size() } else { part };
            let (source, hits) = (source.name(), self.counts.hits);
            progress(&Step { source, bytes, hits, copies: Levels::default() });
        }
        let Counted { counts, damages, findings, .. } = self;
        let entry = SourceEntry { counts, damages, findings, ..uncounted(opened) };
        Note::Part { entry: Box::new(entry), last }
    }
}

/// The entry of something that was opened, before anything is counted.
pub(super) fn uncounted(opened: &Opened) -> SourceEntry {
    let Opened { source, bytes, .. } = opened;
    SourceEntry {
        path: source.name().to_owned(),
        stored_as: source.stored_as().map(str::to_owned),
        host: source.host().map(str::to_owned),
        size: bytes.size(),
        container: None,
        found: source.state().as_str(),
        shadow_copies: 0,
        state: SourceState::Read,
        reason: None,
        counts: Counts::default(),
        damages: Damages::default(),
        findings: Damages::default(),
        firsts: Vec::new(),
    }
}

/// Whether a finding means that records, or parts of them, are missing; the others are oddities of
/// logs that were in use when they were copied.
fn is_loss(finding: &Finding) -> bool {
    matches!(
        finding,
        Finding::Truncated { .. }
            | Finding::FewerRecords { .. }
            | Finding::ZeroTail { .. }
            | Finding::WithoutEnd(_)
    )
}

/// What is to be known of a log's header.
fn header_findings(log: &Log, findings: &mut Damages) {
    for (is, what) in [
        (log.dirty, "the log was open when it was copied"),
        (log.full, "the log was full: records were overwritten or refused"),
        (!log.checksum_ok, "the file header's checksum does not fit"),
    ] {
        if is {
            findings.push(0, || what.to_owned());
        }
    }
}
