//! What was found: when, and on which hosts.
//!
//! A [`Tally`] is filled where hits are found, a piece of evidence at a time, and merged in the order
//! of the evidence. A record without a hit costs it nothing.
//!
//! Memory does not grow with the evidence: [`HOSTS_KEPT`] hosts, and a timeline of at most
//! [`BARS_KEPT`] bars, which are made wider when they do not reach.
//!
//! Invariant: the content depends on the hits and their order alone, not on how they were cut into
//! pieces. The timeline's width is the least on [`WIDTHS`] that its first and last hit allow; hosts
//! are those that come first.

use super::Levels;
use hashbrown::HashMap;
use std::collections::BTreeMap;

/// So many hosts are told apart. A large case has some thousands; only made-up evidence has more.
pub const HOSTS_KEPT: usize = 16_384;

/// How many bars a timeline has at most. More than are ever shown, so that bars of a handier width
/// can be put together from them: the shown ones are at least a hundred times as wide.
const BARS_KEPT: u64 = 4096;

/// How wide a bar may be, in seconds, each a multiple of the one before: from a second to 52 weeks.
const WIDTHS: [u64; 9] = [1, 10, 60, 600, 3600, DAY, 7 * DAY, 28 * DAY, 364 * DAY];
const DAY: u64 = 86_400;

/// Units of a FILETIME in a second.
const SECOND: u64 = 10_000_000;

/// Times before 2000 or after 2199 are no times at which a log of this kind was written: they come
/// from damaged records and clocks that were never set, and would hide everything else.
const BELIEVABLE: std::ops::Range<u64> = 125_911_584_000_000_000..189_025_920_000_000_000;

/// A first and a last time, as FILETIME: units of 100 ns since 1601, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

impl Span {
    /// Makes `span` reach to `time`, if that can be a time.
    #[inline]
    pub fn reach(span: &mut Option<Span>, time: u64) {
        if !BELIEVABLE.contains(&time) {
            return;
        }
        match span {
            Some(span) => {
                span.first = span.first.min(time);
                span.last = span.last.max(time);
            }
            None => *span = Some(Span { first: time, last: time }),
        }
    }

    /// Makes `span` reach over `other`.
    pub fn merge(span: &mut Option<Span>, other: Option<Span>) {
        if let Some(other) = other {
            Span::reach(span, other.first);
            Span::reach(span, other.last);
        }
    }
}

/// A host and what was found on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its name, as its events have it.
    pub name: String,
    /// Hits by level.
    pub hits: Levels,
    /// When the first and the last of the events that were hit were written.
    pub span: Option<Span>,
}

impl Host {
    /// All hits.
    #[must_use]
    pub fn all_hits(&self) -> u64 {
        self.hits.iter().sum()
    }
}

/// Hits by time.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// The place of the width on [`WIDTHS`].
    width: usize,
    /// Hits by level; the key counts widths since 1601.
    bars: BTreeMap<u64, Levels>,
    /// Hits on events without a time that can be.
    undated: u64,
}

impl Timeline {
    fn add(&mut self, time: Option<u64>, levels: &Levels) {
        match time.filter(|time| BELIEVABLE.contains(time)) {
            Some(time) => {
                add(self.bars.entry(time / SECOND / self.width()).or_default(), levels);
                self.fit();
            }
            None => self.undated += levels.iter().sum::<u64>(),
        }
    }

    fn merge(&mut self, mut other: Timeline) {
        self.undated += other.undated;
        self.widen(other.width);
        other.widen(self.width);
        for (bar, levels) in &other.bars {
            add(self.bars.entry(*bar).or_default(), levels);
        }
        self.fit();
    }

    /// Takes back these, which it has.
    fn again(&mut self, mut copies: Timeline) {
        self.undated = self.undated.saturating_sub(copies.undated);
        copies.widen(self.width);
        for (bar, levels) in &copies.bars {
            if let Some(own) = self.bars.get_mut(bar) {
                take(own, levels);
            }
        }
    }

    fn fit(&mut self) {
        while let Some((first, _)) = self.bars.first_key_value()
            && let Some((last, _)) = self.bars.last_key_value()
            && last - first >= BARS_KEPT
            && self.width + 1 < WIDTHS.len()
        {
            self.widen(self.width + 1);
        }
    }

    fn widen(&mut self, width: usize) {
        if width <= self.width {
            return;
        }
        let before = self.width();
        self.width = width;
        let factor = self.width() / before;
        let mut bars: BTreeMap<u64, Levels> = BTreeMap::new();
        for (bar, levels) in &self.bars {
            add(bars.entry(bar / factor).or_default(), levels);
        }
        self.bars = bars;
    }

    /// How many seconds a bar is wide.
    #[must_use]
    pub fn width(&self) -> u64 {
        WIDTHS.get(self.width).copied().unwrap_or(DAY)
    }

    /// The bars that are not empty: when each begins, in seconds since 1601, and its hits by level.
    pub fn bars(&self) -> impl DoubleEndedIterator<Item = (u64, &Levels)> {
        let width = self.width();
        self.bars.iter().map(move |(bar, levels)| (bar * width, levels))
    }

    /// Hits on events without a time that can be.
    #[must_use]
    pub fn undated(&self) -> u64 {
        self.undated
    }
}

/// What was found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tally {
    hosts: Vec<Host>,
    by_name: HashMap<String, usize>,
    /// Hits on hosts that are not kept.
    elsewhere: u64,
    timeline: Timeline,
}

impl Tally {
    /// Notes a record's hits.
    pub fn hit(&mut self, host: &str, time: Option<u64>, levels: &Levels) {
        self.timeline.add(time, levels);
        let span = time.and_then(|time| {
            let mut span = None;
            Span::reach(&mut span, time);
            span
        });
        self.host(host, levels, span);
    }

    fn host(&mut self, name: &str, levels: &Levels, span: Option<Span>) {
        let at = match self.by_name.get(name) {
            Some(at) => *at,
            None if self.hosts.len() >= HOSTS_KEPT => {
                self.elsewhere += levels.iter().sum::<u64>();
                return;
            }
            None => {
                self.by_name.insert(name.to_owned(), self.hosts.len());
                let (name, hits) = (name.to_owned(), Levels::default());
                self.hosts.push(Host { name, hits, span: None });
                self.hosts.len() - 1
            }
        };
        if let Some(host) = self.hosts.get_mut(at) {
            add(&mut host.hits, levels);
            Span::merge(&mut host.span, span);
        }
    }

    /// Adds what was found behind this.
    pub fn merge(&mut self, later: Tally) {
        self.elsewhere += later.elsewhere;
        self.timeline.merge(later.timeline);
        for host in later.hosts {
            self.host(&host.name, &host.hits, host.span);
        }
    }

    /// Takes back what was found on copies, all of which it has. Their hosts and times stay: those of
    /// the first of each are the same.
    pub(super) fn again(&mut self, copies: Tally) {
        self.timeline.again(copies.timeline);
        let mut elsewhere = copies.elsewhere;
        for copied in copies.hosts {
            let host = self.by_name.get(&copied.name).and_then(|at| self.hosts.get_mut(*at));
            elsewhere += host.map_or(copied.all_hits(), |own| take(&mut own.hits, &copied.hits));
        }
        self.elsewhere = self.elsewhere.saturating_sub(elsewhere);
    }

    /// The hosts with hits, in the order in which they were met.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Hits on hosts that are not kept.
    #[must_use]
    pub fn elsewhere(&self) -> u64 {
        self.elsewhere
    }

    /// Hits by time.
    #[must_use]
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }
}

fn add(to: &mut Levels, levels: &Levels) {
    to.iter_mut().zip(levels).for_each(|(to, n)| *to += n);
}

/// Takes away what is there; gives how much was not.
fn take(from: &mut Levels, levels: &Levels) -> u64 {
    let each = from.iter_mut().zip(levels).map(|(from, n)| {
        let there = (*from).min(*n);
        *from -= there;
        n - there
    });
    each.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-03-01 10:00 UTC.
    const BASE: u64 = 134_168_328_000_000_000;

    #[test]
    fn times_that_cannot_be_are_left_out() {
        let mut span = None;
        for time in [0, 1, u64::MAX, BELIEVABLE.end] {
            Span::reach(&mut span, time);
        }
        assert_eq!(span, None);
        for time in [BASE, BASE + 5, BASE - 5, 0, u64::MAX] {
            Span::reach(&mut span, time);
        }
        assert_eq!(span, Some(Span { first: BASE - 5, last: BASE + 5 }));
        let mut timeline = Timeline::default();
        for time in [None, Some(0), Some(u64::MAX), Some(BASE)] {
            timeline.add(time, &[0, 0, 1, 1, 0]);
        }
        assert_eq!((timeline.undated(), timeline.bars().count(), timeline.width()), (6, 1, 1));
    }

    #[test]
    fn widths_divide_each_other() {
        assert!(WIDTHS.windows(2).all(|two| two[1] > two[0] && two[1] % two[0] == 0));
        let years = (BELIEVABLE.end - BELIEVABLE.start) / SECOND;
        assert!(years / WIDTHS.last().unwrap() < BARS_KEPT, "everything fits at last");
    }

    /// However hits are cut into pieces, the tally is the same.
    #[test]
    fn pieces_make_the_same_whole() {
        for spread in [1, 100, 5000, 1 << 20, 1 << 26, 1 << 32] {
            let time = |n: u64| BASE + (n * 7919 % 1000) * (SECOND / 1000) * spread;
            let host = |n: u64| format!("HOST-{}", n * 31 % 7);
            let mut whole = Tally::default();
            (0..1000).for_each(|n| whole.hit(&host(n), Some(time(n)), &[n % 2, 0, 1, 0, 0]));
            for piece in [1, 3, 250, 999] {
                let mut merged = Tally::default();
                for start in (0..1000).step_by(piece) {
                    let mut part = Tally::default();
                    for n in start as u64..(start + piece).min(1000) as u64 {
                        part.hit(&host(n), Some(time(n)), &[n % 2, 0, 1, 0, 0]);
                    }
                    merged.merge(part);
                }
                assert!(merged == whole, "{spread} {piece}");
            }
            let bars: Vec<_> = whole.timeline().bars().collect();
            let hits: u64 = bars.iter().flat_map(|(_, levels)| levels.iter()).sum();
            assert_eq!(hits, 1500);
            let span = bars.last().unwrap().0 - bars[0].0;
            assert!(span / whole.timeline().width() < BARS_KEPT);
            assert!(spread > 4000 || whole.timeline().width() == 1);
        }
    }

    /// What is taken back of copies leaves what there was without them.
    #[test]
    fn copies_are_taken_back() {
        let hit = |tally: &mut Tally, n: u64| {
            let host = format!("HOST-{}", n % (HOSTS_KEPT as u64 + 3));
            tally.hit(&host, Some(BASE + n * n * SECOND), &[0, 1, n % 2, 0, 0]);
        };
        let (mut whole, mut once, mut copies) =
            (Tally::default(), Tally::default(), Tally::default());
        for n in 0..HOSTS_KEPT as u64 + 20 {
            hit(&mut whole, n);
            hit(&mut once, n);
        }
        // Of the last, hosts that are kept and hosts that are not; all of them came before.
        for n in HOSTS_KEPT as u64 - 5..HOSTS_KEPT as u64 + 20 {
            hit(&mut whole, n);
            hit(&mut copies, n);
        }
        assert!(whole != once && whole.elsewhere > 0);
        whole.again(copies);
        assert!(whole == once);
    }

    #[test]
    fn hosts_are_bounded() {
        let mut tally = Tally::default();
        for n in 0..HOSTS_KEPT + 10 {
            tally.hit(&n.to_string(), Some(BASE), &[0, 0, 0, 0, 2]);
        }
        tally.hit("3", Some(BASE + 1), &[1, 0, 0, 0, 0]);
        assert_eq!((tally.hosts().len(), tally.elsewhere()), (HOSTS_KEPT, 20));
        let host = &tally.hosts()[3];
        assert_eq!((host.all_hits(), host.span.unwrap().last), (3, BASE + 1));
    }
}
