//! The pipeline: evidence in, hits out, and an account of both.
//!
//! The evidence is cut into items of about two megabytes (`feed`), which workers take one after the
//! other; a worker has its own reader and scanner and shares nothing while it reads (`work`). What
//! it found it renders itself, once for each output (`rendered`), and `sequence` puts the rendered
//! hits and the counts of all items back into evidence order; `collect` writes them, in that order or
//! in another (`spill`, `group`), and leaves out what was found before in another place (`copies`,
//! `fingerprint`). What is around hits takes a second reading (`context`), when the
//! newest event was one before (`newest`).
//!
//! Invariants:
//! - The output is the same bytes with any number of threads (invariant 5 of the design): an item's
//!   output depends on nothing but the item, and items are written in their order.
//! - Memory is bounded by threads (invariant 7): see `WINDOW` and `work::OUTPUT_BYTES`. What waits for
//!   its place in another order is bounded by [`Hunt::sort_memory`].
//! - Everything handed out by the walk reaches the ledger, unless the hunt is stopped, which the
//!   ledger then says (invariant 6).

mod by_layout;
mod collect;
mod context;
mod copies;
mod correlate;
mod count;
mod describe;
mod dump;
mod feed;
mod filter;
mod fingerprint;
mod glob;
mod group;
mod inventory;
mod learn;
mod newest;
mod open;
mod own;
mod partial;
mod rendered;
mod said;
mod sequence;
mod spill;
mod time;
mod visit;
mod work;

use crate::engine::{Kinds, RuleSet};
use crate::evidence::Found;
use crate::ledger::{Ledger, Levels, SourceEntry};
use crate::report::Format;
use collect::Collector;
use context::Surveyor;
use feed::Feed;
use jiff::tz::TimeZone;
use sequence::{Consumer, Flow, Sequencer};
use spill::Sorter;
use std::{
    fmt, io,
    io::Write,
    ops::ControlFlow,
    sync::{Mutex, PoisonError, atomic::AtomicBool},
    time::Duration,
};
use work::{Purpose, Work, Worker};

pub use dump::Dump;
pub use filter::EventFilter;
pub use fingerprint::{Fingerprint, Fingerprinter, Key};
pub use glob::Glob;
pub use inventory::{Begun, CarvedChunk, Inventoried, Inventory, LogEntry, Maker};
pub use learn::Learned;
pub use time::{Ticks, first_tick, timestamp};
pub use visit::{Visitor, visit};

/// How many items for each thread may be handed out before the first of them is written. Items of
/// one size take differently long, by a factor of ten between a quiet log and one full of hits; with
/// four the others do not wait for the slow one, and what waits in memory stays below
/// `threads * (WINDOW + 1) * OUTPUT_BYTES`.
const WINDOW: usize = 4;

/// A hunt, ready to run.
#[derive(Clone, Copy)]
pub struct Hunt<'a> {
    /// The rules.
    pub rules: &'a RuleSet,
    /// Which events are looked at; all if there is none.
    pub filter: Option<&'a EventFilter>,
    /// The time zone of [`Hit::local_time`](crate::report::Hit::local_time); UTC if there is none.
    pub zone: Option<&'a TimeZone>,
    /// In which order hits are written.
    pub order: Order,
    /// How many bytes of hits are held in memory, about, when they are not written in evidence order:
    /// more go to temporary files.
    pub sort_memory: usize,
    /// How many threads; at least one.
    pub threads: usize,
    /// Whether every rule is evaluated on every event, without gate and prefilter.
    pub full_scan: bool,
    /// Whether hits that filters took away are written, too, as such. Groups have none of them.
    pub show_filtered: bool,
    /// Whether an event that is found again, in a backup, an archive, free space, is left out: told and
    /// counted where it comes first in the evidence, and nowhere else. Two events are one if they say
    /// the same, record id and time included. Correlations count an event once in any case.
    pub once: bool,
    /// Whether to look for records in the slack of chunks, too: what the logs have deleted.
    pub recover: bool,
    /// What was learned of all evidence before ([`Hunt::learn`]): of use where what is left of logs is
    /// looked for.
    pub learned: Option<&'a Learned>,
    /// Set from outside to end the hunt before the evidence ends. What is begun is finished: about
    /// two megabytes for each thread.
    pub cancel: Option<&'a AtomicBool>,
    /// Is told what was done.
    pub progress: Option<&'a (dyn Fn(&Step<'_>) + Sync)>,
}

/// A piece of evidence that was done.
#[derive(Debug, Clone, Copy)]
pub struct Step<'s> {
    /// The source that it is of.
    pub source: &'s str,
    /// Its bytes.
    pub bytes: u64,
    /// Hits in it, by level.
    pub hits: Levels,
    /// Hits that were told of before and turned out to be copies.
    pub copies: Levels,
}

/// In which order hits are written. In each, hits on one record come in the order of the rules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    /// That of the evidence: path, chunk, record. Hits are written as they are found.
    #[default]
    Evidence,
    /// By the events' times over all evidence, where these are the same in that of the evidence;
    /// events that do not say when they were come last.
    Time,
    /// One line for all hits of a rule on a host by the same values, by the time of the first.
    Grouped,
}

/// What [`Hunt::sort_memory`] is unless somebody says otherwise. It holds some fifty thousand hits; a
/// temporary file costs little, so more would gain nothing.
pub const SORT_MEMORY: usize = 64 << 20;

impl fmt::Debug for Hunt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hunt").field("threads", &self.threads).finish_non_exhaustive()
    }
}

/// One of the places that hits go to, and how they look there.
pub struct Output<'o> {
    /// How hits look.
    pub format: &'o Format,
    /// What takes them.
    pub writer: &'o mut (dyn Write + Send),
}

impl fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("format", self.format).finish_non_exhaustive()
    }
}

/// Why a hunt ended before the evidence did.
#[derive(Debug)]
pub enum HuntError {
    /// Hits could not be written.
    Output {
        /// Which of the outputs, by its place.
        which: usize,
        /// What happened.
        error: io::Error,
    },
    /// Threads could not be started.
    Threads(String),
    /// A temporary file could not be written or read.
    Temporary(io::Error),
}

impl fmt::Display for HuntError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HuntError::Output { error, .. } => write!(f, "cannot write hits: {error}"),
            HuntError::Threads(error) => write!(f, "cannot start threads: {error}"),
            HuntError::Temporary(error) => {
                write!(f, "cannot keep hits in temporary files: {error}")
            }
        }
    }
}

impl std::error::Error for HuntError {}

impl<'a> Hunt<'a> {
    /// A hunt with these rules for all events, by one thread.
    #[must_use]
    pub fn new(rules: &'a RuleSet) -> Hunt<'a> {
        Hunt {
            rules,
            filter: None,
            zone: None,
            order: Order::default(),
            sort_memory: SORT_MEMORY,
            threads: 1,
            full_scan: false,
            show_filtered: false,
            once: false,
            recover: false,
            learned: None,
            cancel: None,
            progress: None,
        }
    }

    /// Looks through all that `walk` finds, writes hits to all of `outputs` and everything else to
    /// `ledger`. Gives the number of hits of each rule, by its index, and behind these of each
    /// correlation. Of quiet ones, which are only counted by correlations, none are told.
    ///
    /// An output whose reader goes away (a broken pipe) gets nothing more; that ends the hunt only if
    /// no other output is left.
    ///
    /// # Errors
    /// If hits cannot be written or kept, or no threads be started; the ledger then says that the hunt
    /// was cut short.
    ///
    /// # Panics
    /// Only if a thread of it does, which is a fault of the program.
    pub fn run<W: Iterator<Item = Found> + Send>(
        &self,
        walk: W,
        outputs: &mut [Output<'_>],
        ledger: &mut Ledger,
    ) -> Result<Vec<u64>, HuntError> {
        self.hunt::<W>(walk, None, outputs, ledger)
    }

    /// The same, with what else happened on the host of each hit, `reach` before it to `reach` after.
    /// For that the evidence is read a second time, so it is asked for twice. Groups have no context.
    ///
    /// # Errors
    /// As [`Hunt::run`].
    ///
    /// # Panics
    /// As [`Hunt::run`].
    pub fn run_with_context<W: Iterator<Item = Found> + Send>(
        &self,
        evidence: &dyn Fn() -> W,
        reach: Duration,
        outputs: &mut [Output<'_>],
        ledger: &mut Ledger,
    ) -> Result<Vec<u64>, HuntError> {
        let reach = Ticks::try_from(reach.as_nanos() / 100).unwrap_or(Ticks::MAX);
        let again = (self.order != Order::Grouped).then_some((reach, evidence));
        self.hunt(evidence(), again, outputs, ledger)
    }

    fn hunt<W: Iterator<Item = Found> + Send>(
        &self,
        walk: W,
        again: Option<(Ticks, &dyn Fn() -> W)>,
        outputs: &mut [Output<'_>],
        ledger: &mut Ledger,
    ) -> Result<Vec<u64>, HuntError> {
        let pool = pool(self.threads)?;
        if let Some(filter) = self.filter.filter(|filter| !filter.wants_all()) {
            ledger.set_event_filter(filter.to_string());
        }
        let formats: Vec<&Format> = outputs.iter().map(|output| output.format).collect();
        let prints = (self.once || !self.rules.correlations().all().is_empty()).then(Key::draw);
        let purpose = Purpose { formats: &formats, context: again.map(|(reach, _)| reach), prints };
        let mut collector = Collector::new(self, again.is_some(), outputs, ledger);
        collector.begin(&formats);
        let make = || Worker::new(self, purpose);
        let passed = self.pass(&pool, walk, collector, make);
        let Passed { mut collector, mut hits, kinds, rest, mut stopped } = passed;
        if let Some(collector) = collector.as_mut().filter(|_| !stopped) {
            let reach = again.map(|(reach, _)| reach);
            hits.extend(collector.correlate(self, &formats, reach));
            stopped = collector.ends();
        } else {
            hits.extend(self.rules.correlations().all().iter().map(|_| 0));
        }
        if let Some((_, evidence)) = again.filter(|_| !stopped && !rest.closed)
            && let Some(mut before) = collector.take()
        {
            let spans = before.take_around();
            let shown = (&*formats, prints);
            (collector, stopped) = self.survey(&pool, shown, evidence, spans, before);
        }
        let Some(mut collector) = collector else { return Ok(hits) };
        collector.ledger.set_met(rest.met + collector.met());
        collector.ledger.set_kinds(kinds);
        collector.ledger.set_forgotten(collector.copies.forgotten());
        let again = collector.copies.by_rule();
        hits.iter_mut().zip(again).for_each(|(hits, again)| *hits = hits.saturating_sub(*again));
        if rest.closed && !stopped {
            collector.interrupted(rest.not_ended);
        }
        collector.finish(self, &formats);
        let error = collector.failure();
        if stopped || error.is_some() {
            collector.ledger.set_cut_short();
        }
        error.map_or(Ok(hits), Err)
    }

    /// Reads the evidence again for the context of hits; says whether it was stopped.
    fn survey<'c, W: Iterator<Item = Found> + Send>(
        &self,
        pool: &rayon::ThreadPool,
        shown: (&[&Format], Option<Key>),
        evidence: &dyn Fn() -> W,
        spans: Sorter,
        collector: Collector<'c>,
    ) -> (Option<Collector<'c>>, bool) {
        let mut held = Some(collector);
        let (mut stopped, mut interrupted) = (false, false);
        let read = context::batches(spans, self.sort_memory, |around| {
            let Some(collector) = held.take() else { return ControlFlow::Break(()) };
            let make = || Surveyor::new(self, shown, around);
            let passed = self.pass(pool, evidence(), collector, make);
            held = passed.collector;
            stopped = passed.stopped;
            interrupted = passed.rest.closed;
            if stopped || interrupted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        // All hits are there, but not all that is around them.
        if let (Some(collector), true) = (&mut held, interrupted) {
            collector.ledger.set_interrupted();
        }
        if let (Some(collector), Err(error)) = (&mut held, read) {
            collector.fail(error);
        }
        (held, stopped)
    }

    /// Has all threads work through the evidence once.
    fn pass<'c, K: Work>(
        &self,
        pool: &rayon::ThreadPool,
        walk: impl Iterator<Item = Found> + Send,
        collector: Collector<'c>,
        make: impl Fn() -> K + Sync,
    ) -> Passed<'c> {
        let window = pool.current_num_threads().saturating_mul(WINDOW);
        let sequencer = Sequencer::new(collector, window as u64);
        let feed = Mutex::new(Feed::new(walk));
        let hits = pool.broadcast(|_| {
            // A worker that panics must not leave the others waiting for its item.
            let guard = StopUnlessDone(&sequencer);
            let hits = self.work(make(), &feed, &sequencer);
            std::mem::forget(guard);
            hits
        });
        let mut sum = vec![0; self.rules.rules().count()];
        let mut kinds = Kinds::default();
        for (hits, met) in hits {
            sum.iter_mut().zip(hits).for_each(|(sum, n): (&mut u64, u64)| *sum += n);
            kinds.merge(met);
        }
        let stopped = sequencer.stopped();
        let feed = feed.into_inner().unwrap_or_else(PoisonError::into_inner);
        let rest = Rest { met: feed.met(), closed: feed.closed(), not_ended: feed.not_ended() };
        Passed { collector: sequencer.into_consumer(), hits: sum, kinds, rest, stopped }
    }

    /// What each thread does; gives its hits by rule, and the kinds of events that it met.
    fn work<I: Iterator<Item = Found>>(
        &self,
        mut worker: impl Work,
        feed: &Mutex<Feed<I>>,
        sequencer: &Sequencer<Collector<'_>>,
    ) -> (Vec<u64>, Kinds) {
        while !sequencer.stopped() {
            let item = {
                let mut feed = feed.lock().unwrap_or_else(PoisonError::into_inner);
                if self.cancelled() {
                    // What was handed out is finished and written, so that all bins add up.
                    feed.close();
                }
                feed.next()
            };
            let Some(item) = item else { break };
            let number = item.number;
            if sequencer.admit(number) == Flow::Stop {
                break;
            }
            let done = worker.item(item, &mut |part| sequencer.part(number, part));
            match done {
                Some(finished) => {
                    sequencer.deliver(number, finished);
                }
                None => sequencer.stop(),
            }
        }
        worker.finish()
    }
}

/// What came of working through the evidence once.
struct Passed<'c> {
    /// There unless somebody panicked while handing results to it.
    collector: Option<Collector<'c>>,
    /// By rule.
    hits: Vec<u64>,
    /// The kinds of events that were met.
    kinds: Kinds,
    rest: Rest,
    /// Whether it failed before its end.
    stopped: bool,
}

/// How far the evidence was met.
struct Rest {
    /// How many things were met in it.
    met: u64,
    /// Whether there is more, which was not wanted any more.
    closed: bool,
    /// What was met and neither handed out nor read to its end.
    not_ended: Vec<SourceEntry>,
}

/// So many threads.
fn pool(threads: usize) -> Result<rayon::ThreadPool, HuntError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.max(1))
        .thread_name(|n| format!("hunt-{n}"))
        .build()
        .map_err(|error| HuntError::Threads(error.to_string()))
}

/// Ends the hunt if it is dropped.
struct StopUnlessDone<'s, C: Consumer>(&'s Sequencer<C>);

impl<C: Consumer> Drop for StopUnlessDone<'_, C> {
    fn drop(&mut self) {
        self.0.stop();
    }
}
