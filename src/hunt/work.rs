//! A worker: reads its items' records, asks the scanner, renders what hits, counts everything.
//!
//! Reader, scanner and buffers last from item to item. For a record without a hit nothing is done
//! here but to count it; what is needed of a record to tell of its hits is copied out once, however
//! many rules hit it.

use super::copies::Met;
use super::correlate::{Joined, gather};
use super::count::Counted;
use super::describe::{self, Describer};
use super::feed::{Item, Piece};
use super::filter::Screen;
use super::fingerprint::{Fingerprint, Fingerprinter, Key};
use super::group;
use super::open::{Opened, Readers, Settled, whole};
use super::rendered::{At, Rendered};
use super::sequence::Flow;
use super::time::{Ticks, event_time, local_text};
use super::{Hunt, Order, context};
use crate::engine::{Filtered, Kinds, RuleId, Scanner};
use crate::evidence::Source;
use crate::evtx::{self, ChunkReport, Damage, Record};
use crate::ledger::{Correlated, Levels, SourceEntry, Taken, Tally};
use crate::report::{Format, Hit, Mould, Place, RuleInfo, Subject};
use crate::sigma::About;
use std::ops::{ControlFlow, Range};

/// From this size on, for all outputs together, output of an item that is not finished waits for its
/// turn and is written, so that an item full of hits is not held in memory: a two-megabyte item in
/// which every record hits several rules gives twenty times as much. Ordinary items stay below.
pub(super) const OUTPUT_BYTES: usize = 1 << 20;

/// What came of an item.
pub(super) struct Finished {
    pub(super) rendered: Rendered,
    pub(super) notes: Vec<Note>,
    pub(super) tally: Tally,
    pub(super) correlated: Correlated,
    pub(super) taken: Taken,
    /// How many things were met in containers that were opened here.
    pub(super) met: u64,
}

/// What the ledger is to know, in evidence order.
pub(super) enum Note {
    /// Of something as a whole.
    Settled(Settled),
    /// Of some chunk slots of a log.
    Part { entry: Box<SourceEntry>, last: bool },
}

/// Hands on output of the item that is worked on, before it is finished.
pub(super) type HandOn<'h> = &'h mut dyn FnMut(&Rendered) -> Flow;

/// What works on items, one thread's.
pub(super) trait Work {
    /// Works on an item; nothing if the hunt is to end.
    fn item(&mut self, item: Item, hand_on: HandOn<'_>) -> Option<Finished>;

    /// Hits by rule, and the kinds of events that were met.
    fn finish(self) -> (Vec<u64>, Kinds);
}

/// What becomes of hits.
#[derive(Clone, Copy)]
pub(super) struct Purpose<'a> {
    pub(super) formats: &'a [&'a Format],
    /// How far around hits the context is wanted, if it is.
    pub(super) context: Option<Ticks>,
    /// With what records are made known, if some are to be.
    pub(super) prints: Option<Key>,
}

/// See the module.
pub(super) struct Worker<'a> {
    hunt: &'a Hunt<'a>,
    purpose: Purpose<'a>,
    reader: Readers,
    screen: Option<Screen<'a>>,
    scanner: Scanner<'a>,
    hits: Vec<u64>,
    tally: Tally,
    correlated: Correlated,
    taken: Taken,
    rendered: Rendered,
    describer: Describer<'a>,
    rule_objects: RuleObjects,
    /// The item that is worked on, and how many records of it were met.
    item: u64,
    record: u32,
    /// How many of its logs were begun.
    parts: u32,
    prints: Option<Fingerprinter>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(hunt: &'a Hunt<'a>, purpose: Purpose<'a>) -> Worker<'a> {
        // A group's line is made when all of its hits are known.
        let outputs = if hunt.order == Order::Grouped { 1 } else { purpose.formats.len() };
        let described = if hunt.order == Order::Grouped { &[][..] } else { purpose.formats };
        let marked = hunt.order != Order::Evidence || purpose.context.is_some();
        Worker {
            hunt,
            purpose,
            reader: Readers::new(hunt),
            screen: hunt.filter.filter(|filter| !filter.wants_all()).map(Screen::new),
            scanner: Scanner::new(hunt.rules),
            hits: vec![0; hunt.rules.rules().count()],
            tally: Tally::default(),
            correlated: Correlated::default(),
            taken: Taken::default(),
            rendered: Rendered::new(outputs, marked),
            // If copies are wanted, few records are made known.
            describer: Describer::new(hunt.rules, described, hunt.once && purpose.prints.is_some()),
            rule_objects: RuleObjects::new(hunt.rules.rules().count()),
            item: 0,
            record: 0,
            parts: 0,
            prints: purpose.prints.map(Fingerprinter::new),
        }
    }
}

impl Work for Worker<'_> {
    fn finish(self) -> (Vec<u64>, Kinds) {
        (self.hits, self.scanner.kinds().clone())
    }

    fn item(&mut self, item: Item, hand_on: HandOn<'_>) -> Option<Finished> {
        (self.item, self.record, self.parts) = (item.number, 0, 0);
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
        let (tally, correlated) =
            (std::mem::take(&mut self.tally), std::mem::take(&mut self.correlated));
        let taken = std::mem::take(&mut self.taken);
        Some(Finished { rendered, notes, tally, correlated, taken, met })
    }
}

impl Worker<'_> {
    /// Reads some slots of a log.
    fn slots(&mut self, opened: &Opened, slots: Range<u64>, hand_on: HandOn<'_>) -> Option<Note> {
        let source = &opened.source;
        let part = self.parts;
        self.parts = part.saturating_add(1);
        let mut visit = Visit {
            hunt: self.hunt,
            purpose: self.purpose,
            screen: self.screen.as_mut(),
            scanner: &mut self.scanner,
            entered: false,
            hits: &mut self.hits,
            tally: &mut self.tally,
            correlated: &mut self.correlated,
            taken: &mut self.taken,
            rendered: &mut self.rendered,
            describer: &mut self.describer,
            rule_objects: &mut self.rule_objects,
            item: self.item,
            record: &mut self.record,
            part,
            prints: self.prints.as_mut(),
            source,
            source_mould: None,
            hand_on,
            counted: Counted::begin(opened, &slots),
        };
        let flow = self.reader.read(opened, slots.clone(), &mut visit);
        let Visit { counted, .. } = visit;
        flow.is_continue().then(|| counted.end(self.hunt, opened, &slots))
    }
}

/// What is done with the records of some slots.
struct Visit<'v, 'a> {
    hunt: &'a Hunt<'a>,
    purpose: Purpose<'a>,
    screen: Option<&'v mut Screen<'a>>,
    scanner: &'v mut Scanner<'a>,
    /// Whether the scanner knows the chunk.
    entered: bool,
    hits: &'v mut Vec<u64>,
    tally: &'v mut Tally,
    correlated: &'v mut Correlated,
    taken: &'v mut Taken,
    rendered: &'v mut Rendered,
    describer: &'v mut Describer<'a>,
    rule_objects: &'v mut RuleObjects,
    item: u64,
    record: &'v mut u32,
    part: u32,
    prints: Option<&'v mut Fingerprinter>,
    source: &'v Source,
    /// What is said of the source in every place, when it was said once.
    source_mould: Option<Mould>,
    hand_on: HandOn<'v>,
    counted: Counted,
}

impl evtx::Sink for Visit<'_, '_> {
    fn record(&mut self, record: &Record<'_>) -> ControlFlow<()> {
        *self.record = self.record.saturating_add(1);
        self.counted.met(record);
        if self.screen.as_mut().is_some_and(|screen| !screen.wants(record)) {
            self.counted.counts.records.filtered += 1;
            return ControlFlow::Continue(());
        }
        // Looking through the chunk costs more than most records: it is done for the first that is
        // wanted.
        if !self.entered && !self.hunt.full_scan {
            self.scanner.enter_block(record.in_chunk().0);
            self.entered = true;
        }
        self.counted.read(record.state(), record.lane());
        let scanner = &mut *self.scanner;
        let rules =
            if self.hunt.full_scan { scanner.scan_full(record) } else { scanner.scan(record) };
        // The scanner is asked again for what each rule matched by. (Nothing is allocated for none.)
        let mut rules = rules.to_vec();
        let filtered = scanner.filtered();
        if rules.is_empty() && filtered.is_empty() {
            return ControlFlow::Continue(());
        }
        let filtered = filtered.to_vec();
        self.count_filtered(&filtered);
        let correlations = self.hunt.rules.correlations();
        let mut joined = Joined::default();
        if rules.iter().any(|rule| !correlations.of_rule(*rule).is_empty()) {
            let asked = (correlations, &mut *self.scanner);
            joined = gather(asked, record, &rules, self.source, &mut self.rendered.entries);
            joined.count(self.correlated);
        }
        rules.retain(|rule| !self.hunt.rules.rule(*rule).quiet);
        let shown = if self.shows_filtered() { filtered.as_slice() } else { &[] };
        let is_shown = !(rules.is_empty() && shown.is_empty());
        if is_shown {
            self.hit(record, &rules, shown);
        }
        self.end_record(record, (&rules, &filtered), joined, is_shown);
        self.hand_on()
    }

    fn chunk(&mut self, report: ChunkReport) {
        self.scanner.leave_block();
        self.entered = false;
        self.counted.chunk(&report);
    }

    fn damage(&mut self, damage: Damage) {
        self.counted.damage(damage);
    }
}

impl Visit<'_, '_> {
    fn shows_filtered(&self) -> bool {
        self.hunt.show_filtered && self.hunt.order != Order::Grouped
    }

    /// Counts what filters took away of the hits on a record.
    fn count_filtered(&mut self, filtered: &[Filtered]) {
        for of_rule in filtered.chunk_by(|a, b| a.rule == b.rule) {
            let Some(Filtered { rule, .. }) = of_rule.first() else { continue };
            self.counted.counts.hits_filtered += 1;
            self.taken.hit(rule.index());
            of_rule.iter().for_each(|filtered| self.taken.filter(filtered.filter.index()));
        }
    }

    /// Renders the hits of these rules on a record, and those that filters took away.
    fn hit(&mut self, record: &Record<'_>, rules: &[RuleId], filtered: &[Filtered]) {
        self.counted.counts.records_hit += u64::from(!rules.is_empty());
        let (set, at) = (self.hunt.rules, self.place(record, !rules.is_empty()));
        let has_objects = self.describer.has_objects();
        let told = self.describer.read(record);
        let place = describe::place(self.source, record);
        let mould = has_objects.then(|| &*self.source_mould.get_or_insert_with(|| place.mould()));
        let place = Place { mould, ..place };
        let zone = self.hunt.zone;
        let local_time = zone.and_then(|zone| local_text(event_time(record)?, zone));
        let mut levels = Levels::default();
        let all = with_filtered(rules, filtered);
        let ids: Vec<RuleId> = all.iter().map(|(id, _)| *id).collect();
        let matches = self.scanner.matched(record, &ids);
        for (n, &(id, filtered)) in all.iter().enumerate() {
            let rule = set.rule(id);
            if filtered.is_empty() {
                if let Some(hits) = self.hits.get_mut(id.index()) {
                    *hits += 1;
                }
                for hits in [&mut self.counted.counts.hits, &mut levels] {
                    if let Some(hits) = hits.get_mut(rule.level as usize) {
                        *hits += 1;
                    }
                }
            }
            let filters: Vec<&str> = filtered.iter().map(|f| set.filter_title(f.filter)).collect();
            let matched: Vec<(&str, &str)> = matches.of(n).collect();
            let at = At { rule: u32::try_from(id.index()).unwrap_or(At::CONTEXT), ..at };
            if self.hunt.order == Order::Grouped {
                let computer = told.event.computer;
                let key = |out: &mut Vec<u8>| group::append_key(at.rule, computer, &matched, out);
                self.rendered.bytes(key, at);
                continue;
            }
            let kept = if has_objects { self.rule_objects.of(id, rule) } else { None };
            let rule = RuleInfo { kept, ..rule_info(rule) };
            let hit = Hit {
                subject: match filters.as_slice() {
                    [] => Subject::Hit,
                    filters => Subject::Filtered(filters),
                },
                timestamp: told.timestamp,
                local_time: local_time.as_deref(),
                rule,
                event: told.event,
                place,
                matched: &matched,
                system: told.system,
                body: told.body,
                data: told.data,
                object: told.object,
            };
            self.rendered.hit(self.purpose.formats, &hit, at);
        }
        let time = event_time(record).unwrap_or(record.header_time());
        if !rules.is_empty() {
            self.tally.hit(told.event.computer.unwrap_or(""), Some(time), &levels);
        }
    }

    /// Says by what a record with hits is known, and what it was counted as, so that it can be left out
    /// if it is a copy.
    fn end_record(
        &mut self,
        record: &Record<'_>,
        (rules, filtered): (&[RuleId], &[Filtered]),
        joined: Joined,
        is_shown: bool,
    ) {
        let Some(prints) = &mut self.prints else { return };
        // If copies are wanted, only correlations have to know them.
        if !self.hunt.once && !joined.any() {
            return;
        }
        let print = match self.describer.said().filter(|_| is_shown) {
            Some(said) => prints.of_said(record, said),
            None => prints.of(record),
        };
        // What is shown nowhere may be shown as context.
        let print = if is_shown { print } else { print.map(Fingerprint::other) };
        let records = &mut self.rendered.records;
        for rule in rules {
            records.rule(rule.index(), self.hunt.rules.rule(*rule).level as u8);
        }
        filtered.iter().for_each(|f| records.taken(f.rule.index(), f.filter.index()));
        let time = event_time(record).unwrap_or(record.header_time());
        let computer = if is_shown { self.describer.computer() } else { "" };
        self.rendered.end_record(Met { print, part: self.part, time, joined }, computer);
    }

    /// Where a record's hits come, if that matters; notes that their context is wanted, if it is.
    /// (What filters took away has none.)
    fn place(&mut self, record: &Record<'_>, with_context: bool) -> At {
        let place = At {
            time: At::TIMELESS,
            item: self.item,
            record: self.record.saturating_sub(1),
            rule: 0,
        };
        let context = self.purpose.context;
        if self.hunt.order == Order::Evidence && context.is_none() {
            return place;
        }
        let Some(time) = event_time(record) else { return place };
        if let Some(reach) = context.filter(|_| with_context) {
            let mut host = Vec::new();
            context::host_of(record, &mut host);
            self.rendered.around(&host, time.saturating_sub(reach), time.saturating_add(reach));
        }
        At { time, ..place }
    }

    /// Hands on the output if it is large, and says whether to go on.
    fn hand_on(&mut self) -> ControlFlow<()> {
        if self.rendered.len() < OUTPUT_BYTES {
            return ControlFlow::Continue(());
        }
        let flow = (self.hand_on)(self.rendered);
        self.rendered.clear();
        if flow == Flow::Go { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

/// Hits, and hits that filters took away with these filters, in the order of rules.
fn with_filtered<'f>(rules: &[RuleId], filtered: &'f [Filtered]) -> Vec<(RuleId, &'f [Filtered])> {
    let none: &[Filtered] = &[];
    let taken = filtered.chunk_by(|a, b| a.rule == b.rule);
    let taken = taken.filter_map(|of_rule| Some((of_rule.first()?.rule, of_rule)));
    let mut all: Vec<_> = rules.iter().map(|rule| (*rule, none)).chain(taken).collect();
    all.sort_by_key(|(rule, _)| *rule);
    all
}

/// What is said of a rule, or a correlation.
pub(super) fn rule_info(rule: &About) -> RuleInfo<'_> {
    RuleInfo {
        id: rule.id.as_deref(),
        title: &rule.title,
        level: rule.level.as_str(),
        status: rule.status.map(|status| status.as_str()),
        tags: &rule.tags,
        source: rule.origin.path(),
        kept: None,
    }
}

/// The JSON objects of rules that were shown, by their indices.
struct RuleObjects(Vec<Option<Box<[u8]>>>);

impl RuleObjects {
    fn new(rules: usize) -> RuleObjects {
        RuleObjects(vec![None; rules])
    }

    fn of(&mut self, id: RuleId, rule: &About) -> Option<&[u8]> {
        let kept = self.0.get_mut(id.index())?;
        Some(kept.get_or_insert_with(|| rule_info(rule).object().into()))
    }
}
