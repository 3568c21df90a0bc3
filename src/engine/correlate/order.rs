//! Whether hits of several rules came in the order in which a correlation names the rules.
//!
//! A *chain* is hits of different rules, in the order of the list, none of them before the one that
//! it follows. Of two hits at the same time on one log, the one with the lower record number was
//! first; of two at the same time on different logs nobody knows, and either order is taken.
//!
//! A window moves over the hits, so that what is wanted of a chain is that its hits are all in the
//! window. That a hit has left the window is not undone anywhere: for each length and last rule, the
//! chain is remembered whose earliest hit is latest, and if that is not in the window, no such chain
//! is. So nothing is looked at twice, but for hits at the same time.

use hashbrown::HashMap;
use std::collections::BTreeMap;

/// A hit's number, from 1, in the order in which hits come.
type Number = u64;

/// No chain.
const NONE: Number = 0;

/// One rule's hit on an event.
#[derive(Debug)]
struct HitAt {
    member: usize,
    log: Box<[u8]>,
    record: u64,
    number: Number,
}

/// The best chain of a length, less one, that ends with a hit.
struct End<'h> {
    hit: &'h HitAt,
    length: usize,
    /// The least number of its hits.
    least: Number,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Order {
    /// For each length, less one, and each rule: of the chains of that length that end with this rule
    /// or one before it, the greatest of their least numbers.
    chains: Vec<Vec<Number>>,
    /// The hits at the last time, which are not in `chains` yet.
    last: Vec<HitAt>,
    last_time: u64,
}

impl Order {
    pub(super) fn new(members: usize) -> Order {
        Order { chains: vec![vec![NONE; members]; members], last: Vec::new(), last_time: 0 }
    }

    pub(super) fn clear(&mut self) {
        self.chains.iter_mut().for_each(|chain| chain.fill(NONE));
        self.last.clear();
    }

    /// Adds the hits of these rules on an event; events come in the order of their times.
    pub(super) fn enter(
        &mut self,
        members: &[u32],
        (time, log, record): (u64, &[u8], u64),
        number: Number,
    ) {
        if time != self.last_time {
            self.settle();
            self.last_time = time;
        }
        self.last.extend(members.iter().map(|member| HitAt {
            member: usize::try_from(*member).unwrap_or(usize::MAX),
            log: log.into(),
            record,
            number,
        }));
    }

    /// The length of the longest chain of hits from this number on.
    pub(super) fn longest(&mut self, from: Number) -> u64 {
        self.settle();
        let reach = |chain: &Vec<Number>| chain.last().is_some_and(|least| *least >= from.max(1));
        // A chain of a length has one of each lesser length in it.
        self.chains.partition_point(reach) as u64
    }

    /// Puts the hits at the last time into the chains.
    fn settle(&mut self) {
        if self.last.is_empty() {
            return;
        }
        let mut hits = std::mem::take(&mut self.last);
        // A chain has its rules in their order, so each is the end of chains before it is amid them.
        hits.sort_by_key(|hit| hit.member);
        let mut amid: Vec<Amid> = Vec::new();
        let mut ends: Vec<End<'_>> = Vec::new();
        for same in hits.chunk_by(|a, b| a.member == b.member) {
            // A chain has one hit of a rule: those of this one do not follow each other.
            let before = ends.len();
            for hit in same {
                for length in 0..self.chains.len().min(hit.member.saturating_add(1)) {
                    let least = match length.checked_sub(1) {
                        None => hit.number,
                        Some(shorter) => self.longest_before(shorter, hit, &amid).min(hit.number),
                    };
                    if least != NONE {
                        ends.push(End { hit, length, least });
                    }
                }
            }
            if same.len() == hits.len() {
                break;
            }
            for end in ends.get(before..).unwrap_or(&[]) {
                if amid.len() <= end.length {
                    amid.resize_with(end.length + 1, Amid::default);
                }
                if let Some(amid) = amid.get_mut(end.length) {
                    amid.add(end.hit, end.least);
                }
            }
        }
        for End { hit, length, least } in &ends {
            let from = self.chains.get_mut(*length).and_then(|chain| chain.get_mut(hit.member..));
            let raised = from.into_iter().flatten().take_while(|known| **known < *least);
            raised.for_each(|known| *known = *least);
        }
        hits.clear();
        self.last = hits;
    }

    /// Of the chains of this length, less one, that the hit can follow, the greatest least number.
    fn longest_before(&self, length: usize, hit: &HitAt, amid: &[Amid]) -> Number {
        let before = hit.member.checked_sub(1);
        let earlier =
            before.and_then(|before| self.chains.get(length)?.get(before)).copied().unwrap_or(NONE);
        amid.get(length).map_or(earlier, |amid| earlier.max(amid.before(hit)))
    }
}

/// Chains of one length that end with a hit at the time that is looked at.
#[derive(Debug, Default)]
struct Amid {
    /// The best on any log, and the best on another log than that.
    best: Option<(Box<[u8]>, Number)>,
    second: Number,
    /// By log, the record numbers at which a better one than all before ends.
    logs: HashMap<Box<[u8]>, BTreeMap<u64, Number>>,
}

impl Amid {
    fn add(&mut self, hit: &HitAt, least: Number) {
        match &mut self.best {
            Some((log, best)) if *log == hit.log => *best = least.max(*best),
            Some((_, best)) if *best >= least => self.second = self.second.max(least),
            best => {
                let before = best.replace((hit.log.clone(), least));
                self.second = before.map_or(NONE, |(_, best)| best);
            }
        }
        let steps = self.logs.entry(hit.log.clone()).or_default();
        let known = steps.range(..=hit.record).next_back().map_or(NONE, |(_, least)| *least);
        if known >= least {
            return;
        }
        while let Some((record, _)) =
            steps.range(hit.record..).next().filter(|(_, known)| **known <= least)
        {
            let record = *record;
            steps.remove(&record);
        }
        steps.insert(hit.record, least);
    }

    /// The best that the hit can follow.
    fn before(&self, hit: &HitAt) -> Number {
        let elsewhere = match &self.best {
            Some((log, _)) if *log == hit.log => self.second,
            Some((_, best)) => *best,
            None => NONE,
        };
        let steps = self.logs.get(&hit.log);
        let here = steps.and_then(|steps| steps.range(..=hit.record).next_back());
        elsewhere.max(here.map_or(NONE, |(_, least)| *least))
    }
}
