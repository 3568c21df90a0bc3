//! What else happened on a host around its hits.
//!
//! Which spans of time these are is known only when all hits are, so the evidence is read a second
//! time, and of each record no more than when and where it was; what lies in a span is rendered and goes
//! the way of hits. A record that was hit itself is told by its place and not shown again; nor, if
//! copies are left out, is one that says the same as one that was shown.
//!
//! Context is there to see what a hit stands in: it is taken from all events of the host, whatever the
//! event filter, and in whichever log they are.
//!
//! Bounds: spans are kept sorted by host ([`Sorter`]), those that meet are one. If there are more than
//! fit into memory, the evidence is read once for as many as do.

use super::copies::Met;
use super::correlate::Joined;
use super::describe::Describer;
use super::feed::{Item, Piece};
use super::fingerprint::{Fingerprinter, Key};
use super::open::{Opened, Readers, Whole};
use super::rendered::{Around, At, Rendered};
use super::sequence::Flow;
use super::spill::{Sorter, malformed};
use super::time::{Ticks, event_time, local_text};
use super::work::{Finished, HandOn, OUTPUT_BYTES, Work};
use super::{Hunt, describe};
use crate::engine::Kinds;
use crate::event::Event;
use crate::evidence::Source;
use crate::evtx::{self, ChunkReport, Damage, Record};
use crate::ledger::{Correlated, Taken, Tally};
use crate::report::{Format, Hit, RuleInfo, Subject};
use hashbrown::HashMap;
use std::{
    io,
    ops::{ControlFlow, Range},
};

/// Stands between a host's name and a time; no UTF-8 text has it.
const END_OF_HOST: u8 = 0xFF;

impl Around {
    /// Bytes that compare by host and then by time.
    pub(super) fn key(&self) -> Vec<u8> {
        [&self.host, &[END_OF_HOST][..], &self.from.to_be_bytes()].concat()
    }

    fn read(key: &[u8], to: &[u8]) -> Option<Around> {
        let (host, from) = key.split_last_chunk::<8>()?;
        let host = host.strip_suffix(&[END_OF_HOST])?.to_vec();
        let to = to.first_chunk::<8>()?;
        Some(Around { host, from: u64::from_be_bytes(*from), to: u64::from_be_bytes(*to) })
    }
}

/// Some spans of time, by host; those of a host in order and apart.
#[derive(Default)]
pub(super) struct Surroundings {
    hosts: HashMap<Box<[u8]>, Vec<(Ticks, Ticks)>>,
    /// From the start of the first to the end of the last.
    whole: Option<(Ticks, Ticks)>,
    bytes: usize,
}

impl Surroundings {
    fn push(&mut self, span: &Around) {
        let spans = match self.hosts.get_mut(&*span.host) {
            Some(spans) => spans,
            None => {
                self.bytes += span.host.len() + size_of::<Vec<(Ticks, Ticks)>>();
                self.hosts.entry(span.host.clone().into()).or_default()
            }
        };
        spans.push((span.from, span.to));
        self.bytes += size_of::<(Ticks, Ticks)>();
        let (from, to) = self.whole.unwrap_or((span.from, span.to));
        self.whole = Some((from.min(span.from), to.max(span.to)));
    }

    fn may_hold(&self, time: Ticks) -> bool {
        self.whole.is_some_and(|(from, to)| (from..=to).contains(&time))
    }

    /// Whether this time on this host is in a span; the name is folded.
    fn holds(&self, host: &[u8], time: Ticks) -> bool {
        let Some(spans) = self.hosts.get(host) else { return false };
        let after = spans.partition_point(|(from, _)| *from <= time);
        after.checked_sub(1).and_then(|at| spans.get(at)).is_some_and(|(_, to)| time <= *to)
    }
}

/// Hands on the spans, as many at a time as take `bound` bytes, until `each` breaks.
///
/// # Errors
/// If a temporary file cannot be written or read.
pub(super) fn batches(
    spans: Sorter,
    bound: usize,
    mut each: impl FnMut(&Surroundings) -> ControlFlow<()>,
) -> io::Result<()> {
    let mut batch = Surroundings::default();
    let mut open: Option<Around> = None;
    let mut flow = ControlFlow::Continue(());
    spans.finish(|key, to| {
        let span = Around::read(key, to).ok_or_else(malformed)?;
        match &mut open {
            Some(open) if open.host == span.host && span.from <= open.to => {
                open.to = open.to.max(span.to);
                return Ok(ControlFlow::Continue(()));
            }
            _ => {}
        }
        if let Some(done) = open.replace(span) {
            batch.push(&done);
        }
        if batch.bytes > bound {
            flow = each(&batch);
            batch = Surroundings::default();
        }
        Ok(flow)
    })?;
    if flow.is_continue() {
        batch.push_last(open);
        if batch.whole.is_some() {
            let _ = each(&batch);
        }
    }
    Ok(())
}

impl Surroundings {
    fn push_last(&mut self, span: Option<Around>) {
        if let Some(span) = span {
            self.push(&span);
        }
    }
}

/// A worker of the second reading.
pub(super) struct Surveyor<'a> {
    hunt: &'a Hunt<'a>,
    formats: &'a [&'a Format],
    around: &'a Surroundings,
    reader: Readers,
    rendered: Rendered,
    describer: Describer<'a>,
    host: Vec<u8>,
    /// By what records are known, if copies are left out.
    prints: Option<Fingerprinter>,
}

impl<'a> Surveyor<'a> {
    pub(super) fn new(
        hunt: &'a Hunt<'a>,
        (formats, prints): (&'a [&'a Format], Option<Key>),
        around: &'a Surroundings,
    ) -> Surveyor<'a> {
        let prints = prints.filter(|_| hunt.once).map(Fingerprinter::new);
        Surveyor {
            hunt,
            formats,
            around,
            reader: Readers::new(hunt),
            rendered: Rendered::new(formats.len(), true),
            describer: Describer::new(hunt.rules, formats, prints.is_some()),
            prints,
            host: Vec::new(),
        }
    }

    fn slots(
        &mut self,
        opened: &Opened,
        slots: Range<u64>,
        (item, record): (u64, &mut u32),
        hand_on: HandOn<'_>,
    ) -> ControlFlow<()> {
        let mut visit = Visit {
            hunt: self.hunt,
            formats: self.formats,
            around: self.around,
            rendered: &mut self.rendered,
            describer: &mut self.describer,
            host: &mut self.host,
            prints: self.prints.as_mut(),
            source: &opened.source,
            item,
            record,
            hand_on,
        };
        self.reader.read(opened, slots, &mut visit)
    }
}

impl Work for Surveyor<'_> {
    fn item(&mut self, item: Item, hand_on: HandOn<'_>) -> Option<Finished> {
        let mut record = 0;
        for piece in item.pieces {
            let place = (item.number, &mut record);
            let flow = match piece {
                Piece::Settled(_) => ControlFlow::Continue(()),
                Piece::Slots { log, slots } => self.slots(&log, slots, place, hand_on),
                Piece::Whole(source) => Whole::new(source).flatten().try_for_each(|log| {
                    let place = (place.0, &mut *place.1);
                    self.slots(&log, 0..log.slots(), place, hand_on)
                }),
            };
            if flow.is_break() {
                return None;
            }
        }
        let rendered = self.rendered.take();
        Some(Finished {
            rendered,
            notes: Vec::new(),
            tally: Tally::default(),
            correlated: Correlated::default(),
            taken: Taken::default(),
            met: 0,
        })
    }

    fn finish(self) -> (Vec<u64>, Kinds) {
        (Vec::new(), Kinds::default())
    }
}

struct Visit<'v, 'a> {
    hunt: &'a Hunt<'a>,
    formats: &'a [&'a Format],
    around: &'a Surroundings,
    rendered: &'v mut Rendered,
    describer: &'v mut Describer<'a>,
    host: &'v mut Vec<u8>,
    prints: Option<&'v mut Fingerprinter>,
    source: &'v Source,
    item: u64,
    record: &'v mut u32,
    hand_on: HandOn<'v>,
}

impl evtx::Sink for Visit<'_, '_> {
    fn record(&mut self, record: &Record<'_>) -> ControlFlow<()> {
        let number = *self.record;
        *self.record = number.saturating_add(1);
        let time = event_time(record).filter(|time| self.around.may_hold(*time));
        let Some(time) = time else { return ControlFlow::Continue(()) };
        host_of(record, self.host);
        if !self.around.holds(self.host, time) {
            return ControlFlow::Continue(());
        }
        let local_time = self.hunt.zone.and_then(|zone| local_text(time, zone));
        let told = self.describer.read(record);
        let title = format!("({})", told.event.title.unwrap_or("context"));
        let hit = Hit {
            subject: Subject::Context,
            timestamp: told.timestamp,
            local_time: local_time.as_deref(),
            rule: RuleInfo { title: &title, ..RuleInfo::CONTEXT },
            event: told.event,
            place: describe::place(self.source, record),
            matched: &[],
            system: told.system,
            body: told.body,
            data: told.data,
            object: told.object,
        };
        let at = At { time, item: self.item, record: number, rule: At::CONTEXT };
        self.rendered.hit(self.formats, &hit, at);
        if let Some(prints) = &mut self.prints {
            let print = match self.describer.said() {
                Some(said) => prints.of_said(record, said),
                None => prints.of(record),
            };
            let met = Met { print, part: 0, time, joined: Joined::default() };
            self.rendered.end_record(met, "");
        }
        if self.rendered.len() < OUTPUT_BYTES {
            return ControlFlow::Continue(());
        }
        let flow = (self.hand_on)(self.rendered);
        self.rendered.clear();
        if flow == Flow::Go { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn chunk(&mut self, _: ChunkReport) {}

    fn damage(&mut self, _: Damage) {}
}

/// The folded name of the computer that an event is of, empty if it names none.
pub(super) fn host_of(event: &impl Event, host: &mut Vec<u8>) {
    host.clear();
    let Some(leaf) = event.layout().system().computer else { return };
    let mut found = false;
    event.values(leaf, |value| {
        if !found {
            value.append_folded(host);
            found = true;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(host: &str, from: Ticks, to: Ticks) -> Around {
        Around { host: host.as_bytes().to_vec(), from, to }
    }

    /// What spans of each batch there are, with a memory of so many bytes.
    fn told(spans: &[Around], bound: usize) -> Vec<Vec<(String, Ticks, Ticks)>> {
        let mut sorter = Sorter::new(bound, None);
        for span in spans {
            sorter.push(&span.key(), &[&span.to.to_be_bytes()]).unwrap();
        }
        let mut told = Vec::new();
        let each = |batch: &Surroundings| {
            let mut spans: Vec<_> = batch
                .hosts
                .iter()
                .flat_map(|(host, spans)| {
                    let host = String::from_utf8(host.to_vec()).unwrap();
                    spans.iter().map(move |(from, to)| (host.clone(), *from, *to))
                })
                .collect();
            spans.sort();
            told.push(spans);
            ControlFlow::Continue(())
        };
        batches(sorter, bound, each).unwrap();
        told
    }

    #[test]
    fn spans_that_meet_are_one_and_batches_hold_all() {
        let spans = [
            span("b", 10, 20),
            span("a", 50, 60),
            span("a", 10, 20),
            span("ab", 15, 25),
            span("a", 20, 30),
            span("a", 12, 13),
            span("a", 31, 40),
            span("", 1, 2),
        ];
        let want = [
            ("", 1, 2),
            ("a", 10, 30),
            ("a", 31, 40),
            ("a", 50, 60),
            ("ab", 15, 25),
            ("b", 10, 20),
        ];
        let want = want.map(|(host, from, to)| (host.to_owned(), from, to));
        assert_eq!(told(&spans, 1 << 20), [want.to_vec()]);
        let small = told(&spans, 0);
        assert_eq!(small.len(), want.len());
        let mut all = small.concat();
        all.sort();
        assert_eq!(all, want);
        assert!(told(&[], 10).is_empty());
    }

    #[test]
    fn a_time_is_in_a_span_from_its_start_to_its_end() {
        let mut around = Surroundings::default();
        assert!(!around.may_hold(0));
        for span in [span("a", 10, 20), span("a", 30, 30), span("b", 5, 6)] {
            around.push(&span);
        }
        for (host, time, want) in [
            ("a", 9, false),
            ("a", 10, true),
            ("a", 20, true),
            ("a", 21, false),
            ("a", 30, true),
            ("a", 31, false),
            ("b", 5, true),
            ("b", 10, false),
            ("c", 10, false),
        ] {
            assert_eq!(around.holds(host.as_bytes(), time), want, "{host} {time}");
        }
        assert!(around.may_hold(5) && around.may_hold(30));
        assert!(!around.may_hold(4) && !around.may_hold(31));
    }
}
