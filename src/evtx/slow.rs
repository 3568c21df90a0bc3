//! The slow lane: the `evtx` crate renders a record, and its XML is read.
//!
//! It takes the records that the fast lane declines, and it is the reference for those that the fast
//! lane reads. What is lost on this way, and only on this way:
//! - Values are text, not typed (the text is the same; a test compares).
//! - Characters that XML does not allow come as `_`, as Windows writes them: C0 controls other than
//!   tab, line feed and carriage return; U+FFFE, U+FFFF; lone surrogates.
//! - Text in an ANSI code page is taken for Windows-1252.
//!
//! The crate walks a chunk's records by itself, along their sizes, and knows nothing of the records
//! that we found behind damage. So it gets a copy of the chunk in which the headers of records lead it
//! to exactly those that are asked for: each gets a size that ends where the next one begins, and the
//! chunk's first record one that ends where the first of them does. What a record's BinXML is does not
//! change, for that ends with a token of its own; one that lacks it, and so fails, is tried once more
//! with its real size. Only headers of records (24 bytes, which hold no template) and the chunk's own
//!
//!
//! Bounds: all records of a chunk are rendered in one pass, so that the crate's own budgets for a
//! chunk (64 MiB of output, a million nodes; per record 16 MiB and 262,144) bound time and memory;
//! what is over them is unreadable. There are few second tries ([`MAX_RETRIES`]). A panic in the
//! crate, which has none that we know of, is caught and costs the records of that chunk that are still
//! to come.

use super::chunk::{self, MAGIC};
use super::render::{self, Format};
use super::walk::{Found, MIN_RECORD};
use super::xml::Leaves;
use super::{Decline, index};
use crate::event::{Layout, Leaf, LeafId, Value};
use evtx::{EvtxChunk, EvtxChunkHeader, EvtxRecord, IterChunkRecords, ParserSettings};
use hashbrown::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// How many bytes of layouts to keep: they are shared between records of the same make, and dropped
/// when a chunk begins with more. An event has some dozens of leaves, each of about 100 bytes, twice.
const MAX_LAYOUTS: usize = 32 << 20;

/// How many records of a chunk are tried a second time, each in a pass of its own.
const MAX_RETRIES: usize = 8;

/// The last FILETIME that the crate takes for the time of a record: 9999-12-30T21:59:59.9999999Z.
const LAST_TIME: u64 = 2_650_466_807_999_999_999;

/// A record that the slow lane is to read, and why.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub(super) found: Found,
    pub(super) declined: Decline,
}

/// An event with the values as texts.
#[derive(Debug)]
pub struct SlowEvent {
    layout: Arc<Layout>,
    leaves: Leaves,
}

impl SlowEvent {
    pub(super) fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Every leaf has one value: an element that is repeated is a leaf each time.
    pub(super) fn values<F: FnMut(Value<'_>)>(&self, leaf: LeafId, mut visit: F) {
        let Some(span) = self.leaves.spans.get(leaf.index()) else { return };
        match self.leaves.text.get(span.clone()) {
            None | Some("") => visit(Value::Empty),
            Some(text) => visit(Value::Text(text)),
        }
    }
}

/// The slow lane's state.
pub(super) struct SlowLane {
    copy: Vec<u8>,
    settings: Arc<ParserSettings>,
    event: SlowEvent,
    layouts: HashMap<Box<[Leaf]>, Arc<Layout>>,
    layouts_cost: usize,
}

impl SlowLane {
    pub(super) fn new() -> SlowLane {
        SlowLane {
            copy: Vec::new(),
            settings: Arc::new(ParserSettings::new().indent(false)),
            event: SlowEvent { layout: Layout::new(Vec::new()), leaves: Leaves::default() },
            layouts: HashMap::new(),
            layouts_cost: 0,
        }
    }

    /// Lets `work` have the records `targets` of the chunk `data`, in order.
    pub(super) fn pass<R>(
        &mut self,
        data: &[u8],
        targets: &[Target],
        work: impl FnOnce(&mut SlowPass<'_, '_>) -> R,
    ) -> R {
        if self.layouts_cost > MAX_LAYOUTS {
            self.layouts.clear();
            self.layouts_cost = 0;
        }
        let route = route(data, targets, &mut self.copy);
        let SlowLane { copy, settings, event, layouts, layouts_cost } = self;
        let known = Known { event, layouts, layouts_cost };
        with_chunk(copy, settings, |records| {
            let records = records.map_err(|reason| reason.to_string());
            let retries = MAX_RETRIES;
            work(&mut SlowPass { data, targets, route: &route, records, retries, settings, known })
        })
    }
}

/// How many records the crate visits up to each target and with it, from the one before; 0 if it
/// cannot be reached.
pub(super) type Route = Vec<usize>;

/// Makes the copy of a chunk in which the records lead from target to target.
pub(super) fn route(data: &[u8], targets: &[Target], copy: &mut Vec<u8>) -> Route {
    copy.clear();
    copy.extend_from_slice(data.get(..chunk::SIZE).unwrap_or(data));
    copy.resize(chunk::SIZE, 0);
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(to) = copy.get_mut(at..at + bytes.len()) {
            to.copy_from_slice(bytes);
        }
    };
    // The rest of a header stays as it is, for a damaged record may take it for a value.
    let mut record = |at: usize, size: usize, found: Option<&Found>| {
        put(at, b"\x2a\x2a\0\0");
        put(at + 4, &u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes());
        // The highest id would be taken for the last record.
        if found.is_none_or(|found| found.id == u64::MAX) {
            put(at + 8, &0u64.to_le_bytes());
        }
        if found.is_none_or(|found| found.time > LAST_TIME) {
            put(at + 16, &0u64.to_le_bytes());
        }
    };
    let mut before: Option<&Found> = None;
    let mut route = Route::new();
    for Target { found, .. } in targets {
        let target = index(found.at);
        let steps = match before {
            Some(before) => {
                let at = index(before.at);
                record(at, target.saturating_sub(at), Some(before));
                1
            }
            None if target == chunk::HEADER => 1,
            None if target >= chunk::HEADER + MIN_RECORD => {
                record(chunk::HEADER, target - chunk::HEADER, None);
                2
            }
            // Too little room for a record before it.
            None => 0,
        };
        if steps > 0 {
            record(target, index(found.size), Some(found));
            before = Some(found);
        }
        route.push(steps);
    }
    route
}

/// Lets `work` have the crate's records of the chunk `copy`.
pub(super) fn with_chunk<R>(
    copy: &[u8],
    settings: &Arc<ParserSettings>,
    work: impl FnOnce(Result<IterChunkRecords<'_>, String>) -> R,
) -> R {
    let header = match header(copy) {
        Ok(header) => header,
        Err(reason) => return work(Err(reason)),
    };
    match EvtxChunk::new(copy, &header, Arc::clone(settings)) {
        Ok(mut chunk) => work(Ok(chunk.iter())),
        Err(e) => work(Err(chain(&e))),
    }
}

/// The chunk's header as the crate is to see it: records up to the end, none of them the last, and no
/// table of names.
fn header(copy: &[u8]) -> Result<EvtxChunkHeader, String> {
    const NAMES: std::ops::Range<usize> = 128..384;
    let mut raw = [0; chunk::HEADER];
    for (at, (to, from)) in raw.iter_mut().zip(copy).enumerate() {
        *to = if NAMES.contains(&at) { 0 } else { MAGIC.get(at).copied().unwrap_or(*from) };
    }
    let mut header = EvtxChunkHeader::from_bytes(&raw).map_err(|e| chain(&e))?;
    header.last_event_record_id = u64::MAX;
    header.free_space_offset = u32::MAX;
    Ok(header)
}

/// Goes `steps` records on and renders the last of them.
pub(super) fn advance(
    records: &mut IterChunkRecords<'_>,
    steps: usize,
    render: impl FnOnce(EvtxRecord<'_>) -> Result<String, String>,
) -> Result<String, String> {
    let last = steps.checked_sub(1).ok_or("the record cannot be reached")?;
    let record = records.nth(last);
    render(record.ok_or("the evtx crate does not see the record")?.map_err(|e| chain(&e))?)
}

struct Known<'s> {
    event: &'s mut SlowEvent,
    layouts: &'s mut HashMap<Box<[Leaf]>, Arc<Layout>>,
    layouts_cost: &'s mut usize,
}

/// One chunk's records on the slow lane.
pub(super) struct SlowPass<'s, 'c> {
    data: &'s [u8],
    settings: &'s Arc<ParserSettings>,
    retries: usize,
    targets: &'s [Target],
    route: &'s [usize],
    records: Result<IterChunkRecords<'c>, String>,
    known: Known<'s>,
}

impl SlowPass<'_, '_> {
    /// The record, if it is the next target: the event, or why it cannot be read.
    pub(super) fn next(&mut self, found: &Found) -> Option<(Decline, Result<&SlowEvent, String>)> {
        let (target, targets) = self.targets.split_first()?;
        if target.found.at != found.at {
            return None;
        }
        self.targets = targets;
        let (steps, route) = self.route.split_first()?;
        self.route = route;
        Some((target.declined, self.read(*steps, *found)))
    }

    fn read(&mut self, steps: usize, found: Found) -> Result<&SlowEvent, String> {
        let records = self.records.as_mut().map_err(|reason| reason.clone())?;
        let (data, settings, retries) = (self.data, self.settings, &mut self.retries);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            advance(records, steps, |record| Format::Xml.render(record)).or_else(|reason| {
                *retries = retries.checked_sub(1).ok_or(reason)?;
                render::alone(data, found, Format::Xml, settings)
            })
        }));
        let Ok(xml) = caught else {
            let reason = "the evtx crate failed in this chunk".to_owned();
            self.records = Err(reason.clone());
            return Err(reason);
        };
        let event = &mut *self.known.event;
        event.leaves.read(&xml?)?;
        let leaves = event.leaves.leaves.as_slice();
        event.layout = match self.known.layouts.get(leaves) {
            Some(layout) => Arc::clone(layout),
            None => {
                let layout = Layout::new(leaves.to_vec());
                let cost = |leaf: &Leaf| 2 * (size_of::<Leaf>() + leaf.name.len());
                *self.known.layouts_cost += leaves.iter().map(cost).sum::<usize>();
                self.known.layouts.insert(leaves.into(), Arc::clone(&layout));
                layout
            }
        };
        Ok(event)
    }
}

/// An error and what led to it, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{}: {cause}", text.trim_end_matches('.'));
        source = cause.source();
    }
    text
}
