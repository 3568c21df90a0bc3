//! Takes the results of a hunt in evidence order and writes them in the order that is wanted.
//!
//! In evidence order hits are written as they come. In any other nothing is written before all of them
//! are known: they go through a [`Sorter`], by time, or, for groups, first by what they have in common
//! and then by the time of the first.
//!
//! Invariant: whatever is handed over is written, but for copies if they are not wanted, unless the hunt
//! ends with an error.

use super::copies::Copies;
use super::group;
use super::open::Settled;
use super::rendered::{At, Rendered};
use super::sequence::{Consumer, Flow};
use super::spill::{Sorter, malformed};
use super::time::{Ticks, local_text};
use super::work::{Finished, Note, OUTPUT_BYTES, rule_info};
use super::{Hunt, HuntError, Order, Output, Step, correlate};
use crate::event::format_file_time;
use crate::ledger::{Correlated, Ledger, Levels, SourceEntry, SourceState};
use crate::report::{EventInfo, Fields, Format, Hit, Place, Repeats, Subject};
use crate::sigma::About;
use jiff::tz::TimeZone;
use std::{
    io::{self, Write},
    ops::ControlFlow,
};

/// See the module.
pub(super) struct Collector<'a> {
    sinks: Vec<Sink<'a>>,
    pub(super) ledger: &'a mut Ledger,
    /// A log of which not all items came yet.
    open: Option<Box<SourceEntry>>,
    /// How many things workers met in containers.
    met: u64,
    arrange: Arrange,
    pub(super) copies: Copies,
    /// Is told what was done.
    progress: Option<&'a (dyn Fn(&Step<'_>) + Sync)>,
    /// The spans of time of which the context is wanted.
    around: Sorter,
    /// What correlations are to know.
    entries: Sorter,
    /// Why a temporary file could not be written or read.
    temporary: Option<io::Error>,
}

/// What is said of a source that was begun when somebody ended the run.
pub(super) const INTERRUPTED: &str = "the hunt was interrupted before its end";

/// What happens to hits before they are written.
enum Arrange {
    /// Nothing.
    Evidence,
    /// They are sorted by time and place, or by place alone.
    Sorted { sorter: Sorter, by_time: bool },
    /// They are sorted by what they have in common.
    Grouped(Sorter),
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

impl<'a> Collector<'a> {
    /// A collector for a hunt; `context` says whether the context of hits is wanted.
    pub(super) fn new(
        hunt: &Hunt<'a>,
        context: bool,
        outputs: &'a mut [Output<'_>],
        ledger: &'a mut Ledger,
    ) -> Collector<'a> {
        let bound = hunt.sort_memory;
        let arrange = match hunt.order {
            Order::Evidence if !context => Arrange::Evidence,
            Order::Grouped => Arrange::Grouped(Sorter::new(bound, Some(group::add))),
            order => {
                let by_time = order == Order::Time;
                Arrange::Sorted { sorter: Sorter::new(bound, None), by_time }
            }
        };
        let sinks = outputs.iter_mut().map(|output| Sink { writer: output.writer, error: None });
        Collector {
            sinks: sinks.collect(),
            ledger,
            open: None,
            met: 0,
            arrange,
            copies: Copies::new(hunt.once, hunt.rules.rules().count()),
            progress: hunt.progress,
            around: Sorter::new(bound, Some(longer)),
            entries: Sorter::new(bound, None),
            temporary: None,
        }
    }

    /// Writes what stands before the first hit.
    pub(super) fn begin(&mut self, formats: &[&Format]) {
        let mut begin = Rendered::new(self.sinks.len(), false);
        begin.begin(formats);
        self.write(&begin);
    }

    /// Writes to the outputs.
    fn write(&mut self, rendered: &Rendered) -> Flow {
        self.sinks.iter_mut().zip(rendered.outputs()).for_each(|(sink, output)| sink.write(output));
        self.flow()
    }

    fn flow(&self) -> Flow {
        if self.ends() { Flow::Stop } else { Flow::Go }
    }

    /// Whether nothing more can be written, or something not that is wanted.
    pub(super) fn ends(&self) -> bool {
        let failed = self.sinks.iter().any(|sink| sink.error.is_some() && !sink.left());
        let left = !self.sinks.is_empty() && self.sinks.iter().all(Sink::left);
        self.temporary.is_some() || failed || left
    }

    /// What ended the hunt: a temporary file, the first output that failed, or that was left if all
    /// were.
    pub(super) fn failure(&mut self) -> Option<HuntError> {
        if let Some(error) = self.temporary.take() {
            return Some(HuntError::Temporary(error));
        }
        if !self.ends() {
            return None;
        }
        let failed = self.sinks.iter().position(|sink| sink.error.is_some() && !sink.left());
        let which = failed.unwrap_or(0);
        let error = self.sinks.get_mut(which)?.error.take()?;
        Some(HuntError::Output { which, error })
    }

    /// Writes hits, or keeps them for later; those on copies are left out if that is wanted.
    fn take(&mut self, rendered: &Rendered) -> Flow {
        let copies = self.copies.sift(&rendered.records);
        let rest = (!copies.is_empty()).then(|| rendered.without(&copies, self.copies.left_out()));
        let rendered = rest.as_ref().unwrap_or(rendered);
        if let Err(error) = self.keep(rendered) {
            self.fail(error);
        }
        if matches!(self.arrange, Arrange::Evidence) { self.write(rendered) } else { self.flow() }
    }

    fn keep(&mut self, rendered: &Rendered) -> io::Result<()> {
        for span in rendered.spans() {
            self.around.push(&span.key(), &[&span.to.to_be_bytes()])?;
        }
        for (key, payload) in rendered.entries.iter() {
            self.entries.push(key, &[payload])?;
        }
        match &mut self.arrange {
            Arrange::Evidence => {}
            Arrange::Sorted { sorter, by_time } => {
                for (at, outputs) in rendered.marked() {
                    // Of each output the length and the bytes.
                    let lengths = outputs.iter().map(|output| (output.len() as u64).to_le_bytes());
                    let lengths: Vec<[u8; 8]> = lengths.collect();
                    let parts = lengths.iter().zip(outputs);
                    let parts: Vec<&[u8]> =
                        parts.flat_map(|(length, output)| [&length[..], output]).collect();
                    sorter.push(&at.key(*by_time), &parts)?;
                }
            }
            Arrange::Grouped(sorter) => {
                for (at, outputs) in rendered.marked() {
                    let [key] = outputs[..] else { return Err(malformed()) };
                    sorter.push(key, &[&group::sum(at)])?;
                }
            }
        }
        Ok(())
    }

    /// The spans of time of which the context is wanted; to be asked for once.
    pub(super) fn take_around(&mut self) -> Sorter {
        std::mem::replace(&mut self.around, Sorter::new(0, None))
    }

    /// Finds what correlations find in all that was read, and takes it like hits. Gives how many there
    /// are of each.
    pub(super) fn correlate(
        &mut self,
        hunt: &Hunt<'_>,
        formats: &[&Format],
        reach: Option<Ticks>,
    ) -> Vec<u64> {
        if hunt.rules.correlations().all().is_empty() {
            return Vec::new();
        }
        let entries = std::mem::replace(&mut self.entries, Sorter::new(0, None));
        let found = correlate::find(hunt, entries).and_then(|mut found| {
            let hits = std::mem::take(&mut found.hits);
            found.show(hunt, formats, reach, |shown| {
                self.ledger.found(shown.tally);
                self.ledger
                    .correlated(&Correlated { findings: shown.levels, ..Correlated::default() });
                match self.take(shown.rendered) {
                    Flow::Go => ControlFlow::Continue(()),
                    Flow::Stop => ControlFlow::Break(()),
                }
            })?;
            Ok(hits)
        });
        found.unwrap_or_else(|error| {
            self.fail(error);
            vec![0; hunt.rules.correlations().all().len()]
        })
    }

    /// Notes that a temporary file could not be written or read.
    pub(super) fn fail(&mut self, error: io::Error) {
        self.temporary.get_or_insert(error);
    }

    /// Writes what was kept, unless some of it was lost: that would look like all there is.
    pub(super) fn finish(&mut self, hunt: &Hunt<'_>, formats: &[&Format]) {
        if self.ends() {
            return;
        }
        let written = match std::mem::replace(&mut self.arrange, Arrange::Evidence) {
            Arrange::Evidence => Ok(()),
            Arrange::Sorted { sorter, .. } => self.write_sorted(sorter),
            Arrange::Grouped(sorter) => self.write_groups(sorter, hunt, formats),
        };
        if let Err(error) = written {
            self.temporary.get_or_insert(error);
        }
    }

    fn write_sorted(&mut self, sorter: Sorter) -> io::Result<()> {
        let mut batch = Rendered::new(self.sinks.len(), false);
        let mut context = 0;
        let mut last_hit = None;
        sorter.finish(|key, payload| {
            let at = At::of_key(key.try_into().map_err(|_| malformed())?);
            // A record that was hit needs no second look: its hits stand right before.
            let record = Some((at.item, at.record));
            if at.rule != At::CONTEXT {
                last_hit = record;
            } else if last_hit == record {
                return Ok(ControlFlow::Continue(()));
            } else {
                context += 1;
            }
            self.append(payload, &mut batch)
        })?;
        self.write(&batch);
        self.ledger.add_context(context);
        Ok(())
    }

    /// Adds what one thing looks like, and writes what has gathered if that is much.
    fn append(&mut self, mut payload: &[u8], batch: &mut Rendered) -> io::Result<ControlFlow<()>> {
        for which in 0..self.sinks.len() {
            let (length, rest) = payload.split_first_chunk::<8>().ok_or_else(malformed)?;
            let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
            let (output, rest) = rest.split_at_checked(length).ok_or_else(malformed)?;
            batch.append(which, output);
            payload = rest;
        }
        Ok(self.write_if_much(batch))
    }

    /// Writes what has gathered, if that is much.
    fn write_if_much(&mut self, batch: &mut Rendered) -> ControlFlow<()> {
        if batch.len() < OUTPUT_BYTES {
            return ControlFlow::Continue(());
        }
        let flow = self.write(batch);
        batch.clear();
        if flow == Flow::Go { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    /// Writes groups, those first whose first hit is.
    fn write_groups(
        &mut self,
        sorter: Sorter,
        hunt: &Hunt<'_>,
        formats: &[&Format],
    ) -> io::Result<()> {
        let mut by_time = Sorter::new(hunt.sort_memory, None);
        sorter.finish(|key, sum| {
            let group = group::read(key, sum).ok_or_else(malformed)?;
            // A group is told by the place of its first hit: a rule hits a record in one way only.
            let length = (key.len() as u64).to_le_bytes();
            by_time.push(&group.first.key(true), &[&length, key, sum])?;
            Ok(ControlFlow::Continue(()))
        })?;
        let rules = hunt.rules.rules().map(|(_, rule)| &rule.about);
        let correlations = hunt.rules.correlations().all().iter().map(|found| &found.about);
        let rules: Vec<&About> = rules.chain(correlations).collect();
        let mut batch = Rendered::new(self.sinks.len(), false);
        by_time.finish(|_, payload| {
            let group = payload.split_first_chunk::<8>().and_then(|(length, rest)| {
                let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
                let (key, sum) = rest.split_at_checked(length)?;
                group::read(key, sum)
            });
            let group = group.ok_or_else(malformed)?;
            let rule = usize::try_from(group.rule).ok().and_then(|rule| rules.get(rule));
            render(&group, rule.ok_or_else(malformed)?, hunt.zone, formats, &mut batch);
            Ok(self.write_if_much(&mut batch))
        })?;
        self.write(&batch);
        Ok(())
    }

    /// Notes that the rest of the evidence was not wanted any more: what remained of a log that was
    /// begun, or opened, and that the others were not met.
    pub(super) fn interrupted(&mut self, not_ended: Vec<SourceEntry>) {
        self.ledger.set_interrupted();
        for mut entry in self.open.take().map(|entry| *entry).into_iter().chain(not_ended) {
            entry.state = SourceState::Interrupted;
            entry.reason = Some(INTERRUPTED.to_owned());
            self.ledger.source(entry);
        }
    }

    /// How many things workers met in containers.
    pub(super) fn met(&self) -> u64 {
        self.met
    }

    fn note(&mut self, note: Note) {
        match note {
            Note::Settled(Settled::Aside(aside)) => self.ledger.aside(aside),
            Note::Settled(Settled::Source(entry)) => self.ledger.source(*entry),
            Note::Part { mut entry, last } => {
                let copies = self.copies.settle(&mut entry, last);
                if let (Some(progress), Some(copies)) = (self.progress, copies) {
                    let hits = Levels::default();
                    progress(&Step { source: &entry.path, bytes: 0, hits, copies });
                }
                let entry = match self.open.take() {
                    None => entry,
                    Some(mut whole) => {
                        whole.append(*entry);
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

/// Adds a group's line.
fn render(
    group: &group::Group<'_>,
    rule: &About,
    zone: Option<&TimeZone>,
    formats: &[&Format],
    batch: &mut Rendered,
) {
    let first = (group.first.time != At::TIMELESS).then_some(group.first.time);
    let text = |time: Option<Ticks>| time.map(format_file_time);
    let local = |time: Option<Ticks>| local_text(time?, zone?);
    let (first, local_first) = (text(first), local(first));
    let (last, local_last) = (text(group.last), local(group.last));
    let repeats =
        Repeats { count: group.count, last: last.as_deref(), local_last: local_last.as_deref() };
    let hit = Hit {
        subject: Subject::Group(repeats),
        timestamp: first.as_deref(),
        local_time: local_first.as_deref(),
        rule: rule_info(rule),
        event: EventInfo { computer: group.computer, ..EventInfo::default() },
        place: Place::default(),
        matched: &group.matched,
        system: &Fields::new(),
        body: "EventData",
        data: &Fields::new(),
        object: None,
    };
    batch.hit(formats, &hit, group.first);
}

/// Of two spans that begin at the same time, the longer.
fn longer(end: &mut [u8], other: &[u8]) {
    if other > &*end && other.len() == end.len() {
        end.copy_from_slice(other);
    }
}

impl Consumer for Collector<'_> {
    type Part = Rendered;
    type Piece = Finished;

    fn part(&mut self, rendered: &Rendered) -> Flow {
        self.take(rendered)
    }

    fn piece(&mut self, piece: Finished) -> Flow {
        let flow = self.take(&piece.rendered);
        piece.notes.into_iter().for_each(|note| self.note(note));
        self.ledger.found(piece.tally);
        self.ledger.correlated(&piece.correlated);
        self.ledger.taken(&piece.taken);
        let again = self.copies.end_item();
        self.ledger.found_again(again.tally, &again.taken, &again.correlated);
        self.met += piece.met;
        flow
    }
}
