//! The ledger: what became of every source, chunk, record and rule.
//!
//! "No hits" is an answer only if it is known what was looked at. Each thing is counted once when it
//! is met and once in the bin that says what became of it; the two counts are made in different
//! places, and [`Ledger::imbalances`] compares them.
//!
//! What is kept in memory does not grow with the evidence: totals, and the first few things that went
//! wrong. The list of all sources goes straight into the ledger's file, a source a line, as they are
//! finished; `file` writes it.
//!
//! Invariants:
//! - Every bin is exclusive, and the bins of a kind add up to what was met of it (invariant 6 of the
//!   design).
//! - The content depends on evidence and rules alone: sources come in evidence order, rules in the
//!   order of the rule set; no clock, no thread count (invariant 5).

mod correlated;
mod file;
mod filtered;
mod rules;
mod tally;

use crate::engine::Kinds;
use crate::sigma::TACTICS;
use std::io;

pub use correlated::Correlated;
pub use file::LedgerFile;
pub use filtered::{FilterEntry, Taken};
pub use rules::{RuleEntry, RuleState, RuleTotals, reasons, tactics};
pub use tally::{Host, Span, Tally, Timeline};

/// Of one source this many places are kept with offset and reason, the rest counted: a
/// source of nothing but damage has as many as records, and the first ones tell what is wrong.
pub const DAMAGES_KEPT: usize = 32;

/// So many things that went wrong are kept for the summary; all of them stand in the ledger's file.
pub const PROBLEMS_KEPT: usize = 64;

/// Of a source with copies this many places where records are first are named, the rest counted: copies
/// of a log are of one or a few, those in free space of all there are.
pub const FIRSTS_KEPT: usize = 32;

/// Bytes of a chunk.
const CHUNK_BYTES: u64 = 64 << 10;

/// What became of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SourceState {
    /// Read from end to end.
    Read,
    /// Read, and some of it could not be.
    Damaged,
    /// It has no bytes at all.
    Empty,
    /// It says that it is an event log and is none.
    NotALog,
    /// It could not be opened or read.
    Unreadable,
    /// The run was stopped before it was read to its end.
    Interrupted,
    /// It, or some of what is in it, is encrypted, and no password fits.
    Encrypted,
    /// It may hold event logs and is of a kind that cannot be looked into.
    Unsupported,
}

impl SourceState {
    /// The word in the ledger.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            SourceState::Read => "read",
            SourceState::Damaged => "damaged",
            SourceState::Empty => "empty",
            SourceState::NotALog => "not_an_event_log",
            SourceState::Unreadable => "unreadable",
            SourceState::Interrupted => "interrupted",
            SourceState::Encrypted => "encrypted",
            SourceState::Unsupported => "unsupported",
        }
    }
}

/// What was met in the evidence and is no log to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aside {
    /// A file in a folder or container that neither is an event log nor says that it is.
    OtherFile,
    /// The same file by another name.
    Duplicate,
    /// A link to a folder or to nothing, not followed.
    Link,
    /// A pipe, socket or device.
    Special,
    /// A part of an image, read with the file that the image begins in.
    Part,
}

/// Chunks: `slots` is what the sizes of the files say, the rest what became of each.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Chunks {
    /// How many slots of 64 KiB there are.
    pub slots: u64,
    /// Read as a whole.
    pub read: u64,
    /// Read, and something in it is not as it should be.
    pub irregular: u64,
    /// Never written to.
    pub unused: u64,
    /// Nothing of it could be read.
    pub unreadable: u64,
}

/// Records: `seen` is how many began, the rest what became of each.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Records {
    /// How many were met.
    pub seen: u64,
    /// Read by the fast lane.
    pub fast: u64,
    /// Declined by it and read by the slow one.
    pub slow: u64,
    /// Not in the log any more, and read nevertheless.
    pub recovered: u64,
    /// Not in the log any more, and not to be read: what they were made of has been overwritten.
    pub unrecoverable: u64,
    /// Left out by the caller's event filter: no rule was asked.
    pub filtered: u64,
    /// Not read.
    pub unreadable: u64,
}

/// Hits by level, from informational to critical.
pub type Levels = [u64; 5];

/// What was counted while reading.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Chunks.
    pub chunks: Chunks,
    /// Records.
    pub records: Records,
    /// Hits.
    pub hits: Levels,
    /// Hits that filters took away; they are none of `hits`.
    pub hits_filtered: u64,
    /// Records with at least one hit.
    pub records_hit: u64,
    /// Hits on records that were found before, in another place, and are left out; they are none of
    /// `hits`.
    pub copies: u64,
    /// Those records; they are none of `records_hit`.
    pub records_copied: u64,
    /// When the first and the last record were written, left-over ones aside.
    pub times: Option<Span>,
}

impl Counts {
    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Counts) {
        let (a, b) = (&mut self.chunks, &other.chunks);
        a.slots += b.slots;
        a.read += b.read;
        a.irregular += b.irregular;
        a.unused += b.unused;
        a.unreadable += b.unreadable;
        let (a, b) = (&mut self.records, &other.records);
        a.seen += b.seen;
        a.fast += b.fast;
        a.slow += b.slow;
        a.recovered += b.recovered;
        a.unrecoverable += b.unrecoverable;
        a.filtered += b.filtered;
        a.unreadable += b.unreadable;
        self.hits.iter_mut().zip(other.hits).for_each(|(a, b)| *a += b);
        self.hits_filtered += other.hits_filtered;
        self.records_hit += other.records_hit;
        self.copies += other.copies;
        self.records_copied += other.records_copied;
        Span::merge(&mut self.times, other.times);
    }

    /// Counts as copies what is counted as hits: takes back the hits, filtered ones, and records hit of
    /// `copied`, and adds the copies.
    pub fn take_back(&mut self, copied: &Counts) {
        let hits = self.hits.iter_mut().zip(copied.hits);
        hits.for_each(|(a, b)| *a = a.saturating_sub(b));
        self.hits_filtered = self.hits_filtered.saturating_sub(copied.hits_filtered);
        self.records_hit = self.records_hit.saturating_sub(copied.records_hit);
        self.copies += copied.copies;
        self.records_copied += copied.records_copied;
    }

    /// All hits.
    #[must_use]
    pub fn all_hits(&self) -> u64 {
        self.hits.iter().sum()
    }
}

/// A place in a source and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamageEntry {
    /// Where in the source.
    pub offset: u64,
    /// What is wrong.
    pub reason: String,
}

/// Places in a source: the first ones, and how many there are.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Damages {
    /// The first ones, in order.
    pub kept: Vec<DamageEntry>,
    /// How many there are in all.
    pub total: u64,
}

impl Damages {
    /// Adds a place; its reason is made only if it is kept.
    pub fn push(&mut self, offset: u64, reason: impl FnOnce() -> String) {
        self.total += 1;
        if self.kept.len() < DAMAGES_KEPT {
            self.kept.push(DamageEntry { offset, reason: reason() });
        }
    }

    /// Adds places that come after these.
    pub fn append(&mut self, later: Damages) {
        self.total += later.total;
        let room = DAMAGES_KEPT.saturating_sub(self.kept.len());
        self.kept.extend(later.kept.into_iter().take(room));
    }

    /// How many are not kept.
    #[must_use]
    pub fn rest(&self) -> u64 {
        self.total.saturating_sub(self.kept.len() as u64)
    }
}

/// A source in which records stand first of which others are copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct First {
    /// Its path.
    pub path: String,
    /// How many.
    pub records: u64,
}

/// A source and what became of it.
#[derive(Debug, Clone)]
pub struct SourceEntry {
    /// Its path as found.
    pub path: String,
    /// What it is called where it is stored, if a collection says that its path was another.
    pub stored_as: Option<String>,
    /// The host that it was collected from, if the collection says so.
    pub host: Option<String>,
    /// Its size in bytes.
    pub size: u64,
    /// What it is, if it is no log itself but other sources lie in it: `zip`, `tar`.
    pub container: Option<&'static str>,
    /// How it was there: `live`, `deleted`, `carved`, `slack`.
    pub found: &'static str,
    /// How many snapshots (volume shadow copies) it has, which were not looked into.
    pub shadow_copies: u64,
    /// What became of it; [`Ledger::source`] turns `Read` into `Damaged` if there is damage.
    pub state: SourceState,
    /// Why it is not `Read`, if that is to be said of it as a whole.
    pub reason: Option<String>,
    /// What was counted in it.
    pub counts: Counts,
    /// What of it could not be read.
    pub damages: Damages,
    /// What in it is not as it should be, though nothing is missing for it: a checksum that does not
    /// fit, a log that was open when it was copied.
    pub findings: Damages,
    /// Where the records with hits that are copies stand first: the first of these sources.
    pub firsts: Vec<First>,
}

impl SourceEntry {
    /// Notes where so many of its records stand first, if there is room.
    pub fn add_first(&mut self, path: String, records: u64) {
        if let Some(first) = self.firsts.iter_mut().find(|first| first.path == path) {
            first.records += records;
        } else if self.firsts.len() < FIRSTS_KEPT {
            self.firsts.push(First { path, records });
        }
    }

    /// Of how many copies it is not said where they stand first.
    #[must_use]
    pub fn more_firsts(&self) -> u64 {
        let told: u64 = self.firsts.iter().map(|first| first.records).sum();
        self.counts.records_copied.saturating_sub(told)
    }

    /// Adds what was met of it behind this.
    pub fn append(&mut self, later: SourceEntry) {
        self.counts.add(&later.counts);
        self.damages.append(later.damages);
        self.findings.append(later.findings);
        for first in later.firsts {
            self.add_first(first.path, first.records);
        }
    }

    /// A source of which nothing was read.
    #[must_use]
    pub fn unread(path: String, size: u64, state: SourceState, reason: String) -> SourceEntry {
        SourceEntry {
            path,
            stored_as: None,
            host: None,
            size,
            container: None,
            found: "live",
            shadow_copies: 0,
            state,
            reason: Some(reason),
            counts: Counts::default(),
            damages: Damages::default(),
            findings: Damages::default(),
            firsts: Vec::new(),
        }
    }
}

/// A thing that could not be read, for the summary.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The source's path.
    pub path: String,
    /// What became of the source.
    pub state: SourceState,
    /// Where, if not the source as a whole.
    pub offset: Option<u64>,
    /// What is wrong.
    pub reason: String,
}

/// How many sources ended in each bin, and what else was met.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Sources {
    /// How many files, links and so on the evidence has, as whoever looked for them counted.
    pub met: u64,
    /// By [`SourceState`], in its order.
    pub by_state: [u64; 8],
    /// Those with copies of records with hits.
    pub with_copies: u64,
    /// Containers whose content was looked at.
    pub containers: u64,
    /// Those of them of which some could not be.
    pub containers_damaged: u64,
    /// Snapshots in images, which were not looked into.
    pub shadow_copies: u64,
    /// The bytes of those that were read.
    pub bytes: u64,
    /// Files in folders that are no event logs.
    pub other_files: u64,
    /// The same files by other names.
    pub duplicates: u64,
    /// Links not followed.
    pub links: u64,
    /// Pipes, sockets, devices.
    pub special: u64,
    /// Parts of images, read with the files that the images begin in.
    pub parts: u64,
}

impl Sources {
    /// How many ended in this bin.
    #[must_use]
    pub fn state(&self, state: SourceState) -> u64 {
        self.by_state[state as usize]
    }

    /// All sources: what is a log, says that it is, or could not be looked at. Containers that could
    /// are not among them.
    #[must_use]
    pub fn all(&self) -> u64 {
        self.by_state.iter().sum()
    }
}

/// The account of one run.
#[derive(Debug, Default)]
pub struct Ledger {
    sources: Sources,
    counts: Counts,
    rules: Vec<RuleEntry>,
    problems: Vec<Problem>,
    problems_total: u64,
    file: Option<LedgerFile>,
    /// The first error of writing the file.
    error: Option<io::Error>,
    /// Whether the run ended before the evidence did.
    cut_short: bool,
    /// Whether it did because somebody wanted it to.
    interrupted: bool,
    tally: Tally,
    correlated: Correlated,
    taken: Taken,
    filters: Vec<FilterEntry>,
    kinds: Kinds,
    /// Which events the caller wanted, if not all.
    event_filter: Option<String>,
    /// Events that were shown for what is around them.
    context: u64,
    /// Files that changed or could not be hashed, if somebody looked for that.
    custody: Option<Vec<(String, String)>>,
    /// Records with hits that are not remembered any more.
    forgotten: u64,
}

impl Ledger {
    /// A ledger, written to `file` if there is one.
    #[must_use]
    pub fn new(file: Option<LedgerFile>) -> Ledger {
        Ledger { file, ..Ledger::default() }
    }

    /// Notes how many things were met in the evidence.
    pub fn set_met(&mut self, met: u64) {
        self.sources.met = met;
    }

    /// Puts a source into its bin.
    pub fn source(&mut self, mut entry: SourceEntry) {
        if entry.state == SourceState::Read && entry.damages.total > 0 {
            entry.state = SourceState::Damaged;
        }
        self.sources.shadow_copies += entry.shadow_copies;
        match (entry.container, entry.state) {
            (Some(_), SourceState::Read) => self.sources.containers += 1,
            (Some(_), SourceState::Damaged) => {
                self.sources.containers += 1;
                self.sources.containers_damaged += 1;
            }
            (_, state) => self.sources.by_state[state as usize] += 1,
        }
        self.sources.bytes += match entry.state {
            _ if entry.container.is_some() => 0,
            SourceState::Read | SourceState::Damaged => entry.size,
            SourceState::Interrupted => entry.counts.chunks.slots.saturating_mul(CHUNK_BYTES),
            _ => 0,
        };
        self.counts.add(&entry.counts);
        self.sources.with_copies += u64::from(entry.counts.records_copied > 0);
        self.keep_problems(&entry);
        self.write(|file| file.source(&entry));
    }

    fn keep_problems(&mut self, entry: &SourceEntry) {
        // That somebody ended the run is no fault of the source.
        let stopped = entry.state == SourceState::Interrupted;
        let whole = entry.reason.iter().filter(|_| !stopped).map(|reason| (None, reason));
        let parts = entry.damages.kept.iter().map(|damage| (Some(damage.offset), &damage.reason));
        for (offset, reason) in whole.chain(parts) {
            self.problems_total += 1;
            if self.problems.len() < PROBLEMS_KEPT {
                let (path, reason) = (entry.path.clone(), reason.clone());
                self.problems.push(Problem { path, state: entry.state, offset, reason });
            }
        }
        self.problems_total += entry.damages.rest();
    }

    /// Counts something that is no log to be read.
    pub fn aside(&mut self, aside: Aside) {
        *match aside {
            Aside::OtherFile => &mut self.sources.other_files,
            Aside::Duplicate => &mut self.sources.duplicates,
            Aside::Link => &mut self.sources.links,
            Aside::Special => &mut self.sources.special,
            Aside::Part => &mut self.sources.parts,
        } += 1;
    }

    /// Notes all rules, in the order of the rule set.
    pub fn set_rules(&mut self, rules: Vec<RuleEntry>) {
        self.rules = rules;
    }

    /// Notes which files of the evidence changed during the run or could not be hashed, by name, and what
    /// is wrong: what was read of them may not be what they are.
    pub fn set_custody(&mut self, faults: Vec<(String, String)>) {
        for (path, reason) in &faults {
            self.problems_total += 1;
            if self.problems.len() < PROBLEMS_KEPT {
                let (path, reason) = (path.clone(), reason.clone());
                let state = SourceState::Read;
                self.problems.push(Problem { path, state, offset: None, reason });
            }
        }
        self.custody = Some(faults);
    }

    /// Notes which events were looked at, if not all.
    pub fn set_event_filter(&mut self, wanted: String) {
        self.event_filter = Some(wanted);
    }

    /// Counts events that were shown for the hits that they stand around.
    pub fn add_context(&mut self, events: u64) {
        self.context += events;
    }

    /// Adds what was found in evidence that comes next.
    pub fn found(&mut self, tally: Tally) {
        self.tally.merge(tally);
    }

    /// Adds what became of hits that correlations count, and their findings, which are hits, too.
    pub fn correlated(&mut self, correlated: &Correlated) {
        self.correlated.add(correlated);
        let hits = self.counts.hits.iter_mut().zip(correlated.findings);
        hits.for_each(|(hits, found)| *hits += found);
    }

    /// Adds what filters took away.
    pub fn taken(&mut self, taken: &Taken) {
        self.taken.add(taken);
    }

    /// Takes back what was counted of copies besides what is in the counts of their sources.
    pub fn found_again(&mut self, tally: Tally, taken: &Taken, correlated: &Correlated) {
        self.tally.again(tally);
        self.taken.again(taken);
        self.correlated.again(correlated);
    }

    /// Notes how many records with hits are not remembered any more: copies of them were no copies.
    pub fn set_forgotten(&mut self, records: u64) {
        self.forgotten = records;
    }

    /// How many records with hits are not remembered any more.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Notes all filters, in the order of the rule set.
    pub fn set_filters(&mut self, filters: Vec<FilterEntry>) {
        self.filters = filters;
    }

    /// Notes the kinds of events that were met.
    pub fn set_kinds(&mut self, kinds: Kinds) {
        self.kinds = kinds;
    }

    /// Notes that the run failed before its end: what was not met is in no bin.
    pub fn set_cut_short(&mut self) {
        self.cut_short = true;
    }

    /// Notes that the run was stopped from outside: what was not met is in no bin, all else is.
    pub fn set_interrupted(&mut self) {
        self.cut_short = true;
        self.interrupted = true;
    }

    fn write(&mut self, write: impl FnOnce(&mut LedgerFile) -> io::Result<()>) {
        let Some(file) = &mut self.file else { return };
        if let Err(error) = write(file) {
            self.error = Some(error);
            self.file = None;
        }
    }

    /// Ends the file.
    ///
    /// # Errors
    /// If any of it could not be written.
    pub fn finish(&mut self) -> io::Result<()> {
        if let Some(file) = self.file.take() {
            file.finish(self)?;
        }
        self.error.take().map_or(Ok(()), Err)
    }

    /// Sources by bin.
    #[must_use]
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    /// What was counted in all sources.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// All rules.
    #[must_use]
    pub fn rules(&self) -> &[RuleEntry] {
        &self.rules
    }

    /// Rules by bin.
    #[must_use]
    pub fn rule_totals(&self) -> RuleTotals {
        RuleTotals::of(&self.rules)
    }

    /// The tactics of the rules that hit and how many hits each has, in the order of an attack. A rule
    /// of several tactics counts for each.
    #[must_use]
    pub fn tactics(&self) -> Vec<(&'static str, u64)> {
        let hits = |tactic: &'static str| {
            let of_it = self.rules.iter().filter(|rule| rule.tactics.contains(&tactic));
            (tactic, of_it.map(|rule| rule.hits).sum())
        };
        TACTICS.into_iter().map(hits).filter(|(_, hits)| *hits > 0).collect()
    }

    /// The first things that went wrong, in evidence order.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// How many things went wrong in all.
    #[must_use]
    pub fn problems_total(&self) -> u64 {
        self.problems_total
    }

    /// Whether the run ended before the evidence did.
    #[must_use]
    pub fn cut_short(&self) -> bool {
        self.cut_short
    }

    /// Whether it did because it was stopped from outside.
    #[must_use]
    pub fn interrupted(&self) -> bool {
        self.interrupted
    }

    /// What was found: when, and on which hosts.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What became of hits that correlations count.
    #[must_use]
    pub fn correlations(&self) -> &Correlated {
        &self.correlated
    }

    /// What filters took away.
    #[must_use]
    pub fn taken_away(&self) -> &Taken {
        &self.taken
    }

    /// All filters.
    #[must_use]
    pub fn filters(&self) -> &[FilterEntry] {
        &self.filters
    }

    /// The kinds of events that were met.
    #[must_use]
    pub fn kinds(&self) -> &Kinds {
        &self.kinds
    }

    /// Which events were looked at, in words; `None` for all.
    #[must_use]
    pub fn event_filter(&self) -> Option<&str> {
        self.event_filter.as_deref()
    }

    /// How many events were shown for the hits that they stand around.
    #[must_use]
    pub fn context(&self) -> u64 {
        self.context
    }

    /// Whether everything that was met could be read. Rules that could not be loaded count, too: what
    /// they look for was not looked for.
    #[must_use]
    pub fn complete(&self) -> bool {
        let sources = &self.sources;
        !self.cut_short
            && self.problems_total == 0
            && sources.state(SourceState::Read) == sources.all()
            && self.rule_totals().refused == 0
    }

    /// Where the bins do not add up, in words; empty unless the program has a fault. A run that was
    /// stopped has sources that were met and are in no bin.
    #[must_use]
    pub fn imbalances(&self) -> Vec<String> {
        let Counts { chunks, records, hits, records_hit, .. } = &self.counts;
        let read = records.fast + records.slow + records.recovered;
        let hosts: u64 = self.tally.hosts().iter().map(Host::all_hits).sum();
        let rule_hits: u64 = self.rules.iter().map(|rule| rule.hits).sum();
        let mut out = Vec::new();
        let mut check = |what: &str, met: u64, binned: u64| {
            if met != binned {
                out.push(format!("{what}: {met} met, {binned} accounted for"));
            }
        };
        if !self.cut_short || self.interrupted {
            let beside = self.sources;
            let beside = beside.containers
                + beside.other_files
                + beside.duplicates
                + beside.links
                + beside.special
                + beside.parts;
            check("sources", self.sources.met, self.sources.all() + beside);
            check("hits of rules", hits.iter().sum(), rule_hits);
        }
        check("hits on hosts", hits.iter().sum(), hosts + self.tally.elsewhere());
        check(
            "chunks",
            chunks.slots,
            chunks.read + chunks.irregular + chunks.unused + chunks.unreadable,
        );
        let unread = records.unrecoverable + records.filtered + records.unreadable;
        check("records", records.seen, read + unread);
        let correlated = &self.correlated;
        let counted = correlated.joined + correlated.left_out() + correlated.copies;
        check("hits for correlations", correlated.met, counted);
        check("filtered hits", self.counts.hits_filtered, self.taken.hits());
        if !self.taken.is_sound() {
            out.push("filtered hits: filters took away others than rules lost".to_owned());
        }
        let with_hits = records_hit + self.counts.records_copied;
        if with_hits > read {
            out.push(format!("records: {read} read, {with_hits} hit"));
        }
        if self.counts.copies < self.counts.records_copied {
            let (hits, records) = (self.counts.copies, self.counts.records_copied);
            out.push(format!("copies: {records} records, {hits} hits"));
        }
        out
    }
}

#[cfg(test)]
mod tests;
