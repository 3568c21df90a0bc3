//! The pipeline: evidence in, hits out, and an account of both.
//!
//! The evidence is cut into items of about two megabytes (`feed`), which workers take one after the
//! other; a worker has its own reader and scanner and shares nothing while it reads (`work`). What
//! it found it renders itself, once for each output (`rendered`), and `sequence` puts the rendered
//! hits and the counts of all items back into evidence order.
//!
//! Invariants:
//! - The output is the same bytes with any number of threads (invariant 5 of the design): an item's
//!   output depends on nothing but the item, and items are written in their order.
//! - Memory is bounded by threads (invariant 7): see `WINDOW` and `work::OUTPUT_BYTES`.
//! - Everything handed out by the walk reaches the ledger, unless the hunt is stopped, which the
//!   ledger then says (invariant 6).

mod feed;
mod filter;
mod glob;
mod newest;
mod open;
mod rendered;
mod sequence;
mod time;
mod work;

use crate::engine::{Kinds, RuleSet};
use crate::evidence::Found;
use crate::ledger::{Ledger, Levels, SourceEntry, SourceState};
use crate::report::Format;
use feed::Feed;
use open::Settled;
use rendered::Rendered;
use sequence::{Consumer, Flow, Sequencer};
use std::{
    fmt, io,
    io::Write,
    sync::{Mutex, PoisonError, atomic::AtomicBool},
};
use work::{Finished, Note, Worker};

pub use filter::EventFilter;
pub use glob::Glob;
pub use time::{Ticks, first_tick, timestamp};

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
    /// How many threads; at least one.
    pub threads: usize,
    /// Whether every rule is evaluated on every event, without gate and prefilter.
    pub full_scan: bool,
    /// Whether to look for records in the slack of chunks, too: what the logs have deleted.
    pub recover: bool,
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
}

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
}

impl fmt::Display for HuntError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HuntError::Output { error, .. } => write!(f, "cannot write hits: {error}"),
            HuntError::Threads(error) => write!(f, "cannot start threads: {error}"),
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
            threads: 1,
            full_scan: false,
            recover: false,
            cancel: None,
            progress: None,
        }
    }

    /// Looks through all that `walk` finds, writes hits to all of `outputs` and everything else to
    /// `ledger`. Gives the number of hits of each rule, by its index.
    ///
    /// An output whose reader goes away (a broken pipe) gets nothing more; that ends the hunt only if
    /// no other output is left.
    ///
    /// # Errors
    /// If hits cannot be written, or no threads be started; the ledger then says that the hunt was
    /// cut short.
    ///
    /// # Panics
    /// Only if a thread of it does, which is a fault of the program.
    pub fn run(
        &self,
        walk: impl Iterator<Item = Found> + Send,
        outputs: &mut [Output<'_>],
        ledger: &mut Ledger,
    ) -> Result<Vec<u64>, HuntError> {
        let threads = self.threads.max(1);
        let pool = pool(threads)?;
        if let Some(filter) = self.filter.filter(|filter| !filter.wants_all()) {
            ledger.set_event_filter(filter.to_string());
        }
        let mut begin = Rendered::new(outputs.len());
        begin.begin(outputs.iter().map(|output| output.format));
        let formats: Vec<&Format> = outputs.iter().map(|output| output.format).collect();
        let sinks = outputs.iter_mut().map(|output| Sink { writer: output.writer, error: None });
        let mut collector = Collector { sinks: sinks.collect(), ledger, open: None };
        collector.write(&begin);
        let sequencer = Sequencer::new(collector, (threads * WINDOW) as u64);
        let feed = Mutex::new(Feed::new(walk));
        let hits = pool.broadcast(|_| {
            // A worker that panics must not leave the others waiting for its item.
            let guard = StopUnlessDone(&sequencer);
            let hits = self.work(&formats, &feed, &sequencer);
            std::mem::forget(guard);
            hits
        });
        let mut sum = vec![0; self.rules.rules().count()];
        let mut kinds = Kinds::default();
        for (hits, met) in hits {
            sum.iter_mut().zip(hits).for_each(|(sum, n): (&mut u64, u64)| *sum += n);
            kinds.merge(met);
        }
        let cut_short = sequencer.stopped();
        let feed = feed.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut error = None;
        if let Some(mut collector) = sequencer.into_consumer() {
            collector.ledger.set_met(feed.met());
            collector.ledger.set_kinds(kinds);
            error = collector.failure();
            if cut_short || error.is_some() {
                collector.ledger.set_cut_short();
            } else if feed.closed() {
                collector.interrupted(&feed);
            }
        }
        error.map_or(Ok(sum), |(which, error)| Err(HuntError::Output { which, error }))
    }

    /// What each thread does; gives its hits by rule, and the kinds of events that it met.
    fn work<I: Iterator<Item = Found>>(
        &self,
        formats: &[&Format],
        feed: &Mutex<Feed<I>>,
        sequencer: &Sequencer<Collector<'_>>,
    ) -> (Vec<u64>, Kinds) {
        let mut worker = Worker::new(self, formats);
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

/// Takes the results in evidence order.
struct Collector<'a> {
    sinks: Vec<Sink<'a>>,
    ledger: &'a mut Ledger,
    /// A log of which not all items came yet.
    open: Option<Box<SourceEntry>>,
}

/// An output, and why it takes nothing more.
struct Sink<'a> {
    writer: &'a mut (dyn Write + Send),
    error: Option<io::Error>,
}

impl Sink<'_> {
    fn write(&mut self, output: &[u8]) {
        if self.error.is_none() && !output.is_empty() {
            let written = self.writer.write_all(output).and_then(|()| self.writer.flush());
            self.error = written.err();
        }
    }

    /// Whether nobody reads any more what is written here.
    fn left(&self) -> bool {
        self.error.as_ref().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl Collector<'_> {
    fn write(&mut self, rendered: &Rendered) -> Flow {
        self.sinks.iter_mut().zip(rendered.outputs()).for_each(|(sink, output)| sink.write(output));
        if self.ends() { Flow::Stop } else { Flow::Go }
    }

    /// Whether nothing more can be written, or something not that is wanted.
    fn ends(&self) -> bool {
        let failed = self.sinks.iter().any(|sink| sink.error.is_some() && !sink.left());
        failed || !self.sinks.is_empty() && self.sinks.iter().all(Sink::left)
    }

    /// What ended the hunt: the first output that failed, or that was left if all were.
    fn failure(&mut self) -> Option<(usize, io::Error)> {
        if !self.ends() {
            return None;
        }
        let failed = self.sinks.iter().position(|sink| sink.error.is_some() && !sink.left());
        let which = failed.unwrap_or(0);
        self.sinks.get_mut(which)?.error.take().map(|error| (which, error))
    }

    /// Notes that the rest of the evidence was not wanted any more: what remained of a log that was
    /// begun, and that the others were not met.
    fn interrupted<I>(&mut self, feed: &Feed<I>) {
        self.ledger.set_interrupted();
        let begun = self.open.take();
        if let Some(mut entry) = begun.or_else(|| feed.not_begun().map(Box::new)) {
            entry.state = SourceState::Interrupted;
            entry.reason = Some("the hunt was interrupted before its end".to_owned());
            self.ledger.source(*entry);
        }
    }

    fn note(&mut self, note: Note) {
        match note {
            Note::Settled(Settled::Aside(aside)) => self.ledger.aside(aside),
            Note::Settled(Settled::Source(entry)) => self.ledger.source(*entry),
            Note::Part { entry, last } => {
                let entry = match self.open.take() {
                    None => entry,
                    Some(mut whole) => {
                        whole.counts.add(&entry.counts);
                        whole.damages.append(entry.damages);
                        whole.findings.append(entry.findings);
                        whole
                    }
                };
                if last {
                    self.ledger.source(*entry);
                } else {
                    self.open = Some(entry);
                }
            }
        }
    }
}

impl Consumer for Collector<'_> {
    type Part = Rendered;
    type Piece = Finished;

    fn part(&mut self, rendered: &Rendered) -> Flow {
        self.write(rendered)
    }

    fn piece(&mut self, piece: Finished) -> Flow {
        let flow = self.write(&piece.rendered);
        piece.notes.into_iter().for_each(|note| self.note(note));
        self.ledger.found(piece.tally);
        flow
    }
}
