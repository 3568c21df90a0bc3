//! Which records with hits were found before, and what is not to be counted because of it.
//!
//! Workers render and count all hits that they find; only he who takes their results, in evidence
//! order, knows what came before. So a worker says of each record with hits by what it is known, and
//! what it was counted as ([`Records`]); here those are found that came before, and what they were
//! counted as is added up, to be taken back ([`Copies`]).
//!
//! Memory: [`REMEMBERED`] records twice, 17 bytes each in tables of a power of two: 143 MB at the most,
//! and nothing for a hunt without hits. When a table is full the one before it is dropped, so that at
//! least the last [`REMEMBERED`] records with hits are known: copies of a log mostly lie near to it, in
//! the collection of one host. What is not remembered is no copy, it is told again; the ledger says how
//! many records were forgotten.
//!
//! Invariants:
//! - Nothing but a record that says the same as one before is a copy.
//! - What is taken back was counted; that a copy's hits are those of the first follows from what a
//!   [`Fingerprint`] is made of.

use super::correlate::Joined;
use super::fingerprint::Fingerprint;
use super::time::Ticks;
use crate::ledger::{Correlated, Counts, FIRSTS_KEPT, Levels, SourceEntry, Taken, Tally};
use hashbrown::HashTable;
use std::collections::{BTreeMap, VecDeque};

/// So many records are remembered at least: what fits into a table of 2^22 places. It is reached by
/// cases of tens of gigabytes, or by rules that hit nearly everything.
const REMEMBERED: usize = (1 << 22) / 8 * 7;

/// Of so many sources the paths are remembered, as of places in which records were found first. A
/// record of another one is a copy as well; only where the first is stands nowhere.
const PATHS_KEPT: usize = 16_384;

/// A record with hits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Met {
    /// By what it is known; without, it is no copy.
    pub(super) print: Option<Fingerprint>,
    /// Which of the item's logs it is of.
    pub(super) part: u32,
    pub(super) time: Ticks,
    /// What correlations made of its hits.
    pub(super) joined: Joined,
}

/// What is said of records with hits, one after the other.
#[derive(Debug, Default)]
pub(super) struct Records {
    met: Vec<Met>,
    /// Where the part of each ends in what follows.
    ends: Vec<[usize; 3]>,
    /// Hits that are told: the rule and its level.
    rules: Vec<(u32, u8)>,
    /// Hits that filters took away: the rule and the filter.
    taken: Vec<(u32, u32)>,
    computers: String,
}

/// What is said of one of them.
#[derive(Debug)]
struct Said<'r> {
    met: Met,
    rules: &'r [(u32, u8)],
    taken: &'r [(u32, u32)],
    computer: &'r str,
}

impl Records {
    /// A hit of this rule on the record that is ended next.
    pub(super) fn rule(&mut self, rule: usize, level: u8) {
        self.rules.push((number(rule), level));
    }

    /// One that a filter took away.
    pub(super) fn taken(&mut self, rule: usize, filter: usize) {
        self.taken.push((number(rule), number(filter)));
    }

    /// Ends a record.
    pub(super) fn end(&mut self, met: Met, computer: &str) {
        self.computers.push_str(computer);
        self.met.push(met);
        self.ends.push([self.rules.len(), self.taken.len(), self.computers.len()]);
    }

    /// How many bytes there are, about.
    pub(super) fn size(&self) -> usize {
        let each = size_of::<Met>() + size_of::<[usize; 3]>();
        self.met.len() * each + self.rules.len() * 8 + self.taken.len() * 8 + self.computers.len()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.met.len()
    }

    pub(super) fn clear(&mut self) {
        self.met.clear();
        self.ends.clear();
        self.rules.clear();
        self.taken.clear();
        self.computers.clear();
    }

    fn said(&self, at: usize) -> Option<Said<'_>> {
        let before = at.checked_sub(1).and_then(|at| self.ends.get(at));
        let [rules, taken, computer] = before.copied().unwrap_or_default();
        let [rules_end, taken_end, computer_end] = *self.ends.get(at)?;
        Some(Said {
            met: *self.met.get(at)?,
            rules: self.rules.get(rules..rules_end)?,
            taken: self.taken.get(taken..taken_end)?,
            computer: self.computers.get(computer..computer_end)?,
        })
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// What was counted of copies in one log.
#[derive(Debug, Default)]
struct OfLog {
    part: u32,
    /// What is to be taken back, and to be counted as copies instead.
    counts: Counts,
    /// In which sources the first of them are, by number, and how many in each.
    firsts: BTreeMap<u32, u64>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Copies {
    /// Whether copies are left out; if not, only correlations do without them.
    left_out: bool,
    known: Known,
    /// How many sources were ended.
    sources: u32,
    /// The paths of those with hits.
    paths: BTreeMap<u32, Box<str>>,
    by_rule: Vec<u64>,
    /// Of the item that is taken, in the order of its logs.
    of_logs: VecDeque<OfLog>,
    /// How many of its logs were ended.
    parts: u32,
    again: Again,
}

/// What an item's copies were counted as, besides what is in the counts of its logs.
#[derive(Debug, Default)]
pub(super) struct Again {
    pub(super) tally: Tally,
    pub(super) taken: Taken,
    pub(super) correlated: Correlated,
}

impl Copies {
    /// None yet.
    pub(super) fn new(left_out: bool, rules: usize) -> Copies {
        Copies {
            left_out,
            known: Known::new(REMEMBERED),
            sources: 0,
            paths: BTreeMap::new(),
            by_rule: vec![0; rules],
            of_logs: VecDeque::new(),
            parts: 0,
            again: Again::default(),
        }
    }

    /// Whether the output is without copies.
    pub(super) fn left_out(&self) -> bool {
        self.left_out
    }

    /// Remembers records; gives the places of those that were known, which are copies.
    pub(super) fn sift(&mut self, records: &Records) -> Vec<usize> {
        let mut copies = Vec::new();
        for at in 0..records.len() {
            let Some(said) = records.said(at) else { continue };
            let Some(print) = said.met.print else { continue };
            let source = self.sources.saturating_add(said.met.part);
            if let Some(first) = self.known.first(print, source) {
                copies.push(at);
                self.take_back(&said, first);
            }
        }
        copies
    }

    fn take_back(&mut self, said: &Said<'_>, first: u32) {
        said.met.joined.count(&mut self.again.correlated);
        if !self.left_out {
            return;
        }
        let part = said.met.part;
        if self.of_logs.back().is_none_or(|last| last.part != part) {
            self.of_logs.push_back(OfLog { part, ..OfLog::default() });
        }
        let Some(log) = self.of_logs.back_mut() else { return };
        let mut levels = Levels::default();
        for (rule, level) in said.rules {
            let by_rule = self.by_rule.get_mut(index(*rule));
            let level = usize::from(*level);
            let hits = [log.counts.hits.get_mut(level), levels.get_mut(level), by_rule];
            hits.into_iter().flatten().for_each(|hits| *hits += 1);
            log.counts.copies += 1;
        }
        for of_rule in said.taken.chunk_by(|(a, _), (b, _)| a == b) {
            let Some((rule, _)) = of_rule.first() else { continue };
            log.counts.hits_filtered += 1;
            self.again.taken.hit(index(*rule));
            of_rule.iter().for_each(|(_, filter)| self.again.taken.filter(index(*filter)));
        }
        if !said.rules.is_empty() {
            log.counts.records_hit += 1;
            log.counts.records_copied += 1;
            if log.firsts.len() < FIRSTS_KEPT || log.firsts.contains_key(&first) {
                *log.firsts.entry(first).or_default() += 1;
            }
            self.again.tally.hit(said.computer, Some(said.met.time), &levels);
        }
    }

    /// Counts copies in what is known of a log, or of a part of it, as copies; `last` says whether it
    /// ends here. Gives the hits that were some.
    pub(super) fn settle(&mut self, entry: &mut SourceEntry, last: bool) -> Option<Levels> {
        let part = self.parts;
        let mut copies = None;
        if let Some(log) = self.of_logs.pop_front_if(|log| log.part == part) {
            entry.counts.take_back(&log.counts);
            copies = Some(log.counts.hits);
            for (first, records) in log.firsts {
                let path = self.paths.get(&first).map(|path| &**path);
                // Its own path is not known yet, if it is the first.
                let own = (first == self.sources.saturating_add(part)).then_some(&*entry.path);
                if let Some(path) = own.or(path).map(str::to_owned) {
                    entry.add_first(path, records);
                }
            }
        }
        let number = self.sources.saturating_add(part);
        if entry.counts.records_hit > 0 && self.paths.len() < PATHS_KEPT {
            self.paths.entry(number).or_insert_with(|| entry.path.as_str().into());
        }
        // The rest of one that does not end here comes with the next item.
        self.parts += u32::from(last);
        copies
    }

    /// Ends an item; gives what is to be taken back of what else was counted in it.
    pub(super) fn end_item(&mut self) -> Again {
        self.sources = self.sources.saturating_add(std::mem::take(&mut self.parts));
        self.of_logs.clear();
        std::mem::take(&mut self.again)
    }

    /// How many hits of each rule were copies.
    pub(super) fn by_rule(&self) -> &[u64] {
        &self.by_rule
    }

    /// How many records are not remembered any more.
    pub(super) fn forgotten(&self) -> u64 {
        self.known.forgotten
    }
}

/// Where records were met first.
#[derive(Debug)]
struct Known {
    most: usize,
    young: HashTable<(Fingerprint, u32)>,
    old: HashTable<(Fingerprint, u32)>,
    forgotten: u64,
}

impl Known {
    /// One that remembers so many at least, and twice as many at the most.
    fn new(most: usize) -> Known {
        Known { most, young: HashTable::new(), old: HashTable::new(), forgotten: 0 }
    }

    /// The source in which a record was met first, if it was before; now it was, in `source`.
    fn first(&mut self, print: Fingerprint, source: u32) -> Option<u32> {
        let is = |(known, _): &(Fingerprint, u32)| *known == print;
        for table in [&self.young, &self.old] {
            if let Some((_, first)) = table.find(print.bits(), is) {
                return Some(*first);
            }
        }
        if self.young.len() >= self.most {
            self.forgotten += self.old.len() as u64;
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert_unique(print.bits(), (print, source), |(known, _)| known.bits());
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Layout, LeafId, Value};
    use crate::event::{Leaf, LeafKind, Section};
    use crate::hunt::fingerprint::{Fingerprinter, Key};
    use std::sync::Arc;

    /// An event with this record id and time, if it has any.
    struct Made {
        layout: Arc<Layout>,
        texts: [String; 2],
    }

    impl Event for Made {
        fn layout(&self) -> &Arc<Layout> {
            &self.layout
        }

        fn values<F: FnMut(Value<'_>)>(&self, leaf: LeafId, mut visit: F) {
            if let Some(text) = self.texts.get(leaf.index()) {
                visit(Value::Text(text));
            }
        }
    }

    fn made(id: &str, time: &str) -> Made {
        let leaf = |name: &str| Leaf {
            section: Section::System,
            kind: LeafKind::Named,
            name: name.into(),
        };
        let layout = Layout::new(vec![leaf("EventRecordID"), leaf("TimeCreated_SystemTime")]);
        Made { layout, texts: [id.to_owned(), time.to_owned()] }
    }

    fn prints(numbers: std::ops::Range<u64>, key: Key) -> Vec<Fingerprint> {
        let print = |n: u64| {
            let event = made(&n.to_string(), "2026-03-01T10:00:00Z");
            Fingerprinter::new(key).of(&event).unwrap()
        };
        numbers.map(print).collect()
    }

    #[test]
    fn the_last_ones_are_remembered() {
        let prints = prints(0..1000, Key::draw());
        for most in [1, 7, 100] {
            let mut known = Known::new(most);
            for (n, print) in prints.iter().enumerate() {
                assert_eq!(known.first(*print, number(n)), None);
                // At least so many, each with where it was first.
                for (before, print) in prints.iter().enumerate().take(n + 1).rev().take(most) {
                    assert_eq!(known.first(*print, 0), Some(number(before)));
                }
                assert!(known.young.len() <= most && known.old.len() <= most);
            }
            let there = (known.young.len() + known.old.len()) as u64;
            assert_eq!(known.forgotten + there, 1000);
            // What was forgotten is new.
            assert_eq!(known.first(prints[0], 5), None);
        }
    }

    #[test]
    fn tables_are_as_large_as_is_said() {
        let table: HashTable<(Fingerprint, u32)> = HashTable::with_capacity(REMEMBERED);
        assert_eq!((table.capacity(), size_of::<(Fingerprint, u32)>()), (REMEMBERED, 16));
    }

    #[test]
    fn who_lacks_an_id_or_a_time_is_no_copy() {
        let key = Key::draw();
        let print = |id, time| Fingerprinter::new(key).of(&made(id, time));
        let time = "2026-03-01T10:00:00Z";
        assert_eq!(print("1", time), print("1", time));
        assert_ne!(print("1", time), print("2", time));
        assert_ne!(print("1", time), Fingerprinter::new(Key::draw()).of(&made("1", time)));
        assert_ne!(print("1", time), print("1", time).map(Fingerprint::other));
        assert_eq!((print("", time), print("1", ""), print("1", "now")), (None, None, None));
    }

    /// What is taken back is what was counted, log by log.
    #[test]
    fn copies_are_counted_apart() {
        let prints = prints(0..10, Key::draw());
        let met = |n: usize, part| Met {
            print: (n < 10).then(|| prints[n]),
            part,
            time: 134_168_328_000_000_000,
            joined: Joined::default(),
        };
        let entry = |path: &str, hits, filtered| {
            let counts = Counts {
                hits: [0, 0, hits, 0, 0],
                hits_filtered: filtered,
                records_hit: hits,
                ..Counts::default()
            };
            let state = crate::ledger::SourceState::Read;
            SourceEntry { counts, ..SourceEntry::unread(path.to_owned(), 1, state, String::new()) }
        };
        let mut copies = Copies::new(true, 3);
        let mut records = Records::default();
        // The first log: 0 and 1, and 1 again; the second: 1, 2, and one that cannot be known.
        for (n, part) in [(0, 0), (1, 0), (1, 0), (1, 1), (2, 1), (10, 1), (10, 1)] {
            records.rule(1, 2);
            if n == 1 {
                records.taken(2, 0);
            }
            records.end(met(n, part), "WS-01");
        }
        assert_eq!(copies.sift(&records), [2, 3]);
        let (mut a, mut b) = (entry("a", 3, 2), entry("b", 4, 1));
        assert_eq!(copies.settle(&mut a, true), Some([0, 0, 1, 0, 0]));
        assert_eq!(copies.settle(&mut b, true), Some([0, 0, 1, 0, 0]));
        for (entry, hits, filtered) in [(&a, 2, 1), (&b, 3, 0)] {
            let counts = &entry.counts;
            assert_eq!((counts.hits[2], counts.records_hit), (hits, hits), "{}", entry.path);
            assert_eq!((counts.copies, counts.records_copied), (1, 1), "{}", entry.path);
            assert_eq!(counts.hits_filtered, filtered, "{}", entry.path);
            assert_eq!((entry.firsts[0].path.as_str(), entry.firsts[0].records), ("a", 1));
        }
        let again = copies.end_item();
        assert_eq!((again.tally.hosts()[0].all_hits(), again.taken.hits()), (2, 2));
        assert_eq!(copies.by_rule(), [0, 2, 0]);
        // A large log comes in several items.
        for (last, want) in [(false, None), (true, Some([0, 0, 1, 0, 0]))] {
            let mut records = Records::default();
            records.rule(0, 2);
            records.end(met(5, 0), "WS-01");
            assert_eq!(copies.sift(&records).is_empty(), want.is_none());
            let mut c = entry("c", 1, 0);
            assert_eq!(copies.settle(&mut c, last), want);
            assert_eq!(c.firsts.first().map(|first| &*first.path), want.map(|_| "c"));
            copies.end_item();
        }
    }
}
