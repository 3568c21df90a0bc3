//! Windows: which events of one group are told of together.
//!
//! Events come in the order of their times. A window begins at an event and holds all that follow
//! within the timespan, both ends included. The first window begins at the first event. If what is
//! counted in it is as the correlation wants it, all of its events are a finding and the next window
//! begins at the first event behind it; if not, the next begins at the window's second event. A burst
//! thus gives one finding for each timespan, not one for each event. Without a timespan there is one
//! window: all events.
//!
//! What is counted is kept up to date as events come and go, so that a million events in one window
//! take the time of a million steps. The events of the window themselves wait in a [`Queue`] that the
//! caller gives, who decides how much of it is in memory. Besides, there is an entry for each distinct
//! value in the window.
//!
//! Source of facts: Sigma correlation rules specification 2.1.0 (sliding windows, both ends included);
//! windows that do not overlap are how hayabusa counts.

use super::decimal::{Decimal, Quantity, Sum};
use super::order::Order;
use super::ranked::Ranked;
use crate::sigma::{Correlation, CorrelationKind, RangeBound, RangeTest};
use hashbrown::HashMap;

/// An event of a group, as far as it is counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Occurrence {
    /// When it was.
    pub time: u64,
    /// Of which members of the correlation it is a hit, by their places; each once.
    pub members: Vec<u32>,
    /// What tells its log from others, and its number there: they tell which of two events at the
    /// same time was first.
    pub log: Box<[u8]>,
    /// See `log`.
    pub record: u64,
    /// The distinct tuples of values that [`CorrelationKind::ValueCount`] counts.
    pub values: Vec<Box<[u8]>>,
    /// The numbers that other kinds compute with.
    pub numbers: Vec<Decimal>,
}

/// Something with an [`Occurrence`].
pub trait Occurs {
    /// What of it is counted.
    fn occurrence(&self) -> &Occurrence;
}

impl Occurs for Occurrence {
    fn occurrence(&self) -> &Occurrence {
        self
    }
}

/// What comes out in the order in which it went in.
pub trait Queue<T> {
    /// Why it can fail.
    type Error;

    /// Puts something at the end.
    ///
    /// # Errors
    /// Those of the queue.
    fn push(&mut self, item: &T) -> Result<(), Self::Error>;

    /// Takes what was put in first.
    ///
    /// # Errors
    /// Those of the queue.
    fn pop(&mut self) -> Result<Option<T>, Self::Error>;
}

/// Is told of findings: what was counted, and the finding's events one by one.
pub trait Findings<T, Error> {
    /// Takes a finding; what it does not ask `next` for is lost.
    ///
    /// # Errors
    /// Its own.
    fn found(
        &mut self,
        quantity: Quantity,
        next: &mut dyn FnMut() -> Result<Option<T>, Error>,
    ) -> Result<(), Error>;
}

/// The windows of one correlation over one group.
#[derive(Debug)]
pub struct Windows<T, Q> {
    timespan: Option<u64>,
    range: Vec<(RangeTest, RangeBound)>,
    state: State,
    /// The window's first event; the others wait.
    first: Option<T>,
    waiting: Q,
    /// The number of the first event, from 1, and that of the next that comes.
    first_number: u64,
    next_number: u64,
}

impl<T: Occurs, Q: Queue<T>> Windows<T, Q> {
    /// Nothing yet, of a correlation.
    #[must_use]
    pub fn new(correlation: &Correlation, waiting: Q) -> Windows<T, Q> {
        Windows {
            timespan: correlation.timespan,
            range: correlation.range.clone(),
            state: State::new(correlation),
            first: None,
            waiting,
            first_number: 1,
            next_number: 1,
        }
    }

    /// Takes the next event, which is not before those that came.
    ///
    /// # Errors
    /// Those of the queue and of `findings`.
    pub fn push(
        &mut self,
        event: T,
        findings: &mut impl Findings<T, Q::Error>,
    ) -> Result<(), Q::Error> {
        let time = event.occurrence().time;
        while let (Some(first), Some(timespan)) = (&self.first, self.timespan)
            && time.saturating_sub(first.occurrence().time) > timespan
        {
            self.judge(findings)?;
        }
        self.state.enter(event.occurrence(), self.next_number);
        self.next_number += 1;
        match self.first {
            None => self.first = Some(event),
            Some(_) => self.waiting.push(&event)?,
        }
        Ok(())
    }

    /// Says that there are no more events of this group; the next is of another.
    ///
    /// # Errors
    /// Those of the queue and of `findings`.
    pub fn end(&mut self, findings: &mut impl Findings<T, Q::Error>) -> Result<(), Q::Error> {
        while self.first.is_some() {
            self.judge(findings)?;
        }
        self.state.clear();
        Ok(())
    }

    /// Decides about the window, which is whole, and begins the next.
    fn judge(&mut self, findings: &mut impl Findings<T, Q::Error>) -> Result<(), Q::Error> {
        let quantity = self.state.quantity(self.first_number);
        let quantity = quantity.filter(|quantity| quantity.is_in(&self.range));
        if quantity.is_some() || self.timespan.is_none() {
            let (first, waiting) = (&mut self.first, &mut self.waiting);
            let mut next = || match first.take() {
                Some(event) => Ok(Some(event)),
                None => waiting.pop(),
            };
            if let Some(quantity) = quantity {
                findings.found(quantity, &mut next)?;
            }
            while next()?.is_some() {}
            self.state.clear();
            self.first_number = self.next_number;
            return Ok(());
        }
        if let Some(first) = self.first.take() {
            self.state.leave(first.occurrence());
            self.first_number += 1;
        }
        self.first = self.waiting.pop()?;
        Ok(())
    }
}

/// What is counted of the events in a window.
#[derive(Debug)]
enum State {
    Events(u64),
    Values(HashMap<Box<[u8]>, u64>),
    /// How many hits each member has.
    Members(Vec<u64>),
    Order(Order),
    Sum(Sum),
    Mean(Sum),
    Percentile(Ranked),
}

impl State {
    fn new(correlation: &Correlation) -> State {
        let members = correlation.members.len();
        match &correlation.kind {
            CorrelationKind::EventCount => State::Events(0),
            CorrelationKind::ValueCount(_) => State::Values(HashMap::new()),
            CorrelationKind::Temporal => State::Members(vec![0; members]),
            CorrelationKind::TemporalOrdered => State::Order(Order::new(members)),
            CorrelationKind::ValueSum(_) => State::Sum(Sum::default()),
            CorrelationKind::ValueAvg(_) => State::Mean(Sum::default()),
            CorrelationKind::ValuePercentile(_, percent) => {
                State::Percentile(Ranked::new(Decimal::percent(*percent)))
            }
        }
    }

    fn enter(&mut self, event: &Occurrence, number: u64) {
        match self {
            State::Events(count) => *count += 1,
            State::Values(values) => {
                for value in &event.values {
                    match values.get_mut(value) {
                        Some(count) => *count += 1,
                        None => drop(values.insert(value.clone(), 1)),
                    }
                }
            }
            State::Members(counts) => {
                each_of(counts, &event.members, |count| *count += 1);
            }
            State::Order(order) => {
                order.enter(&event.members, (event.time, &event.log, event.record), number);
            }
            State::Sum(sum) | State::Mean(sum) => event.numbers.iter().for_each(|n| sum.add(*n)),
            State::Percentile(ranked) => event.numbers.iter().for_each(|n| ranked.add(*n)),
        }
    }

    fn leave(&mut self, event: &Occurrence) {
        match self {
            State::Events(count) => *count = count.saturating_sub(1),
            State::Values(values) => {
                for value in &event.values {
                    if let Some(count) = values.get_mut(value) {
                        *count = count.saturating_sub(1);
                        if *count == 0 {
                            values.remove(value);
                        }
                    }
                }
            }
            State::Members(counts) => {
                each_of(counts, &event.members, |count| *count = count.saturating_sub(1));
            }
            // What has left is told by its number.
            State::Order(_) => {}
            State::Sum(sum) | State::Mean(sum) => event.numbers.iter().for_each(|n| sum.take(*n)),
            State::Percentile(ranked) => event.numbers.iter().for_each(|n| ranked.take(*n)),
        }
    }

    fn clear(&mut self) {
        match self {
            State::Events(count) => *count = 0,
            State::Values(values) => *values = HashMap::new(),
            State::Members(counts) => counts.fill(0),
            State::Order(order) => order.clear(),
            State::Sum(sum) | State::Mean(sum) => *sum = Sum::default(),
            State::Percentile(ranked) => ranked.clear(),
        }
    }

    /// What is in the window that begins with the event of this number; nothing if there are no
    /// numbers to compute with.
    fn quantity(&mut self, first: u64) -> Option<Quantity> {
        match self {
            State::Events(count) => Some(Quantity::count(*count)),
            State::Values(values) => Some(Quantity::count(values.len() as u64)),
            State::Members(counts) => {
                Some(Quantity::count(counts.iter().filter(|count| **count > 0).count() as u64))
            }
            State::Order(order) => Some(Quantity::count(order.longest(first))),
            State::Sum(sum) => sum.sum(),
            State::Mean(sum) => sum.mean(),
            State::Percentile(ranked) => ranked.value().map(Quantity::number),
        }
    }
}

/// Changes the counts of these members.
fn each_of(counts: &mut [u64], members: &[u32], change: impl Fn(&mut u64)) {
    for member in members {
        let count = usize::try_from(*member).ok().and_then(|member| counts.get_mut(member));
        count.into_iter().for_each(&change);
    }
}

#[cfg(test)]
mod tests;
