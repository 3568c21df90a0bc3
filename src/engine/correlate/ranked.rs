//! A percentile of numbers that come and go.
//!
//! The numbers are kept in two parts: the least ones, up to the one that is asked for, and the rest.
//! When a number comes or goes, at most one has to change sides, so that each step takes the time of a
//! look into a sorted map, however many numbers there are.

use super::decimal::Decimal;
use std::collections::BTreeMap;

/// See the module.
#[derive(Debug)]
pub(super) struct Ranked {
    percent: Decimal,
    low: Part,
    high: Part,
}

/// Numbers, each with how often it is there.
#[derive(Debug, Default)]
struct Part {
    numbers: BTreeMap<Decimal, u64>,
    count: u64,
}

impl Part {
    fn add(&mut self, number: Decimal) {
        *self.numbers.entry(number).or_default() += 1;
        self.count += 1;
    }

    /// Takes the number away, if it is there.
    fn take(&mut self, number: Decimal) -> bool {
        let Some(count) = self.numbers.get_mut(&number) else { return false };
        *count -= 1;
        if *count == 0 {
            self.numbers.remove(&number);
        }
        self.count -= 1;
        true
    }

    fn least(&self) -> Option<Decimal> {
        self.numbers.first_key_value().map(|(number, _)| *number)
    }

    fn greatest(&self) -> Option<Decimal> {
        self.numbers.last_key_value().map(|(number, _)| *number)
    }
}

impl Ranked {
    pub(super) fn new(percent: Decimal) -> Ranked {
        Ranked { percent, low: Part::default(), high: Part::default() }
    }

    pub(super) fn add(&mut self, number: Decimal) {
        let is_low = self.low.greatest().is_some_and(|greatest| number <= greatest);
        let part = if is_low { &mut self.low } else { &mut self.high };
        part.add(number);
        self.level();
    }

    pub(super) fn take(&mut self, number: Decimal) {
        if !self.low.take(number) {
            self.high.take(number);
        }
        self.level();
    }

    pub(super) fn clear(&mut self) {
        (self.low, self.high) = (Part::default(), Part::default());
    }

    /// The number at the nearest rank.
    pub(super) fn value(&self) -> Option<Decimal> {
        self.low.greatest()
    }

    /// Makes the low part as large as the rank says.
    fn level(&mut self) {
        let all = self.low.count + self.high.count;
        let rank = if all == 0 { 0 } else { self.percent.nearest_rank(all) };
        while self.low.count > rank
            && let Some(number) = self.low.greatest()
        {
            self.low.take(number);
            self.high.add(number);
        }
        while self.low.count < rank
            && let Some(number) = self.high.least()
        {
            self.high.take(number);
            self.low.add(number);
        }
    }
}
