//! Writes every record, hit or not: what is in the evidence, as text.
//!
//! A record is written as the `evtx` crate renders it, JSON on a line or XML, all records of a chunk in
//! one pass. One that the crate cannot render, though it was read, is told of like one that could not be
//! read: each is in the output or in the ledger.
//!
//! Invariants: those of the hunt, whose threads, order and ledger these are.

use super::collect::Collector;
use super::count::Counted;
use super::feed::{Item, Piece};
use super::filter::Screen;
use super::open::{Opened, Readers, whole};
use super::own;
use super::partial;
use super::rendered::{At, Rendered};
use super::sequence::Flow;
use super::work::{Finished, HandOn, Note, OUTPUT_BYTES, Work};
use super::{Hunt, HuntError, Output, Passed, pool};
use crate::engine::Kinds;
use crate::event::format_file_time;
use crate::evidence::Found;
use crate::evtx::{
    self, ChunkReport, Damage, DamageKind, Format, InChunk, Lane, Lost, Record, Renderer, State,
};
use crate::ledger::{Correlated, Ledger, Taken, Tally};
use crate::report::{escape, xml};
use std::{
    fmt::Write as _,
    io::Write,
    ops::{ControlFlow, Range},
};

/// What stands around the events of an XML document.
const XML_BEGIN: &[u8] = b"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Events>\n";
const XML_END: &[u8] = b"</Events>\n";

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dump {
    /// JSON lines, or one XML document.
    pub format: Format,
    /// Whether each record says where it stands: in JSON as the key `evidence`, as in
    /// `harrier.hit/1`; in XML as a processing instruction before the event.
    pub with_place: bool,
}

impl Hunt<'_> {
    /// Writes all records of what `walk` finds, those that the filter wants, in evidence order. The
    /// rules do not matter.
    ///
    /// # Errors
    /// As [`Hunt::run`].
    ///
    /// # Panics
    /// As [`Hunt::run`].
    pub fn dump<W: Iterator<Item = Found> + Send>(
        &self,
        walk: W,
        dump: Dump,
        writer: &mut (dyn Write + Send),
        ledger: &mut Ledger,
    ) -> Result<(), HuntError> {
        let (begin, end) = match dump.format {
            Format::Xml => (XML_BEGIN, XML_END),
            Format::Json => (&b""[..], &b""[..]),
        };
        let failed = |error| HuntError::Output { which: 0, error };
        writer.write_all(begin).map_err(failed)?;
        let pool = pool(self.threads)?;
        if let Some(filter) = self.filter.filter(|filter| !filter.wants_all()) {
            ledger.set_event_filter(filter.to_string());
        }
        // Of the format only this is used: nothing stands before the first record.
        let format = &crate::report::Format::Jsonl;
        let mut outputs = [Output { format, writer: &mut *writer }];
        let hunt = Hunt { order: super::Order::Evidence, ..*self };
        let collector = Collector::new(&hunt, false, &mut outputs, ledger);
        let passed = hunt.pass(&pool, walk, collector, || Dumper::new(&hunt, dump));
        let Passed { collector, rest, stopped, .. } = passed;
        if let Some(mut collector) = collector {
            collector.ledger.set_met(rest.met + collector.met());
            if rest.closed && !stopped {
                collector.interrupted(rest.not_ended);
            }
            let error = collector.failure();
            if stopped || error.is_some() {
                collector.ledger.set_cut_short();
            }
            error.map_or(Ok(()), Err)?;
        }
        writer.write_all(end).and_then(|()| writer.flush()).map_err(failed)
    }
}

/// A worker that renders records.
struct Dumper<'a> {
    hunt: &'a Hunt<'a>,
    dump: Dump,
    reader: Readers,
    renderer: Renderer,
    screen: Option<Screen<'a>>,
    rendered: Rendered,
    wanted: Vec<Wanted>,
}

/// A record that is to be rendered.
struct Wanted {
    at: InChunk,
    /// Its text, if the crate cannot make it.
    own: Option<String>,
    state: State,
    lane: Lane,
    chunk: u64,
    offset: u64,
    record_id: u64,
    time: u64,
}

impl<'a> Dumper<'a> {
    fn new(hunt: &'a Hunt<'a>, dump: Dump) -> Dumper<'a> {
        Dumper {
            hunt,
            dump,
            reader: Readers::new(hunt),
            renderer: Renderer::new(dump.format),
            screen: hunt.filter.filter(|filter| !filter.wants_all()).map(Screen::new),
            rendered: Rendered::new(1, false),
            wanted: Vec::new(),
        }
    }

    fn slots(&mut self, opened: &Opened, slots: Range<u64>, hand_on: HandOn<'_>) -> Option<Note> {
        self.wanted.clear();
        let mut visit = Visit {
            dump: self.dump,
            renderer: &mut self.renderer,
            screen: self.screen.as_mut(),
            rendered: &mut self.rendered,
            wanted: &mut self.wanted,
            path: opened.source.name(),
            hand_on,
            counted: Counted::begin(opened, &slots),
        };
        let flow = self.reader.read(opened, slots.clone(), &mut visit);
        let Visit { counted, .. } = visit;
        flow.is_continue().then(|| counted.end(self.hunt, opened, &slots))
    }
}

impl Work for Dumper<'_> {
    fn item(&mut self, item: Item, hand_on: HandOn<'_>) -> Option<Finished> {
        let mut notes = Vec::with_capacity(item.pieces.len());
        let (hunt, mut met) = (self.hunt, 0);
        for piece in item.pieces {
            match piece {
                Piece::Settled(settled) => notes.push(Note::Settled(settled)),
                Piece::Slots { log, slots } => notes.push(self.slots(&log, slots, hand_on)?),
                Piece::Whole(source) => {
                    let each = |log: &Opened| self.slots(log, 0..log.slots(), hand_on);
                    met += whole(hunt, source, &mut notes, each)?;
                }
            }
        }
        let rendered = self.rendered.take();
        Some(Finished {
            rendered,
            notes,
            tally: Tally::default(),
            correlated: Correlated::default(),
            taken: Taken::default(),
            met,
        })
    }

    fn finish(self) -> (Vec<u64>, Kinds) {
        (Vec::new(), Kinds::default())
    }
}

/// What is done with the records of some slots.
struct Visit<'v, 'a> {
    dump: Dump,
    renderer: &'v mut Renderer,
    screen: Option<&'v mut Screen<'a>>,
    rendered: &'v mut Rendered,
    wanted: &'v mut Vec<Wanted>,
    path: &'v str,
    hand_on: HandOn<'v>,
    counted: Counted,
}

impl evtx::Sink for Visit<'_, '_> {
    fn record(&mut self, record: &Record<'_>) -> ControlFlow<()> {
        self.counted.met(record);
        if self.screen.as_mut().is_some_and(|screen| !screen.wants(record)) {
            self.counted.counts.records.filtered += 1;
            return ControlFlow::Continue(());
        }
        self.wanted.push(Wanted {
            at: InChunk::of(record),
            own: record.is_borrowed().then(|| match self.dump.format {
                Format::Json => own::json(record),
                Format::Xml => own::xml(record),
            }),
            state: record.state(),
            lane: record.lane(),
            chunk: record.chunk(),
            offset: record.offset(),
            record_id: record.header_record_id(),
            time: record.header_time(),
        });
        ControlFlow::Continue(())
    }

    fn end(&mut self, chunk: &[u8]) -> ControlFlow<()> {
        let Visit { dump, renderer, rendered, wanted, path, hand_on, counted, .. } = self;
        let mut flow = Flow::Go;
        let mut write = |record: &Wanted, text: Result<&str, &str>| {
            match text {
                _ if flow == Flow::Stop => return,
                Ok(text) if !dump.can_write(text) => {
                    counted.damage(record.unrendered("its names are none"));
                }
                Ok(text) => {
                    counted.read(record.state, record.lane);
                    rendered.bytes(|out| dump.write(text, record, path, out), At::NOWHERE);
                }
                Err(why) => counted.damage(record.unrendered(why)),
            }
            if rendered.len() >= OUTPUT_BYTES {
                flow = hand_on(rendered);
                rendered.clear();
            }
        };
        let mut rest = wanted.iter().peekable();
        let by_crate = wanted.iter().filter(|record| record.own.is_none());
        renderer.render(chunk, by_crate.map(|record| record.at), |text| {
            while let Some(own) = rest.next_if(|record| record.own.is_some()) {
                write(own, Ok(own.own.as_deref().unwrap_or("")));
            }
            if let Some(record) = rest.next() {
                write(record, text);
            }
        });
        for own in rest {
            write(own, Ok(own.own.as_deref().unwrap_or("")));
        }
        wanted.clear();
        if flow == Flow::Go { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    fn chunk(&mut self, report: ChunkReport) {
        self.counted.chunk(&report);
    }

    fn damage(&mut self, damage: Damage) {
        self.counted.damage(damage);
    }

    /// Writes what is there of a record, if all records are wanted: what a filter asks for it cannot say.
    fn lost(&mut self, lost: &Lost) -> ControlFlow<()> {
        if self.screen.is_some() {
            return ControlFlow::Continue(());
        }
        let (path, format) = (self.path, self.dump.format);
        self.rendered.bytes(|out| partial::write(format, lost, path, out), At::NOWHERE);
        if self.rendered.len() < OUTPUT_BYTES {
            return ControlFlow::Continue(());
        }
        let flow = (self.hand_on)(self.rendered);
        self.rendered.clear();
        if flow == Flow::Go { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

impl Wanted {
    fn unrendered(&self, why: &str) -> Damage {
        let (id, time) = (self.record_id, format_file_time(self.time));
        Damage {
            offset: self.offset,
            chunk: self.chunk,
            record_id: Some(id),
            kind: match self.state {
                State::Live => DamageKind::Record,
                State::Recovered | State::Orphan => DamageKind::LeftOver,
            },
            reason: format!("record {id}, written {time}, was read and cannot be written: {why}"),
        }
    }
}

impl Dump {
    /// Whether a record says where it stands: one that is in no log any more says so always.
    fn says_place(self, record: &Wanted) -> bool {
        self.with_place || record.state != State::Live
    }

    /// Whether what the crate made is what it ought to be.
    fn can_write(self, text: &str) -> bool {
        self.format == Format::Json || xml::is_element(without_declaration(text))
    }

    fn write(self, text: &str, record: &Wanted, path: &str, out: &mut Vec<u8>) {
        match self.format {
            Format::Json => self.write_json(text, record, path, out),
            Format::Xml => self.write_xml(text, record, path, out),
        }
    }

    fn write_json(self, text: &str, record: &Wanted, path: &str, out: &mut Vec<u8>) {
        let object = text.trim_end().strip_suffix('}');
        match object.filter(|_| self.says_place(record)) {
            Some(object) => {
                let place = serde_json::json!({
                    "path": path,
                    "chunk": record.chunk,
                    "offset": record.offset,
                    "record_id": record.record_id,
                    "recovered": record.state != State::Live,
                });
                let comma = if object.ends_with('{') { "" } else { "," };
                let line = format!("{object}{comma}\"evidence\":{place}}}");
                escape::json_text(&line, out);
            }
            None => escape::json_text(text.trim_end(), out),
        }
        out.push(b'\n');
    }

    fn write_xml(self, text: &str, record: &Wanted, path: &str, out: &mut Vec<u8>) {
        if self.says_place(record) {
            let mut place = String::from("<?evidence path=\"");
            own::escaped(&escape::lined(path), &mut place);
            // Writing to a string cannot fail.
            let _ = writeln!(
                place,
                "\" chunk=\"{}\" offset=\"{}\" record_id=\"{}\" recovered=\"{}\"?>",
                record.chunk,
                record.offset,
                record.record_id,
                record.state != State::Live
            );
            out.extend_from_slice(place.as_bytes());
        }
        escape::xml_text(without_declaration(text).trim(), out);
        out.push(b'\n');
    }
}

/// An event without what makes it a document of its own.
fn without_declaration(text: &str) -> &str {
    let event = text.strip_prefix("<?xml").and_then(|rest| Some(rest.split_once("?>")?.1));
    event.unwrap_or(text)
}
