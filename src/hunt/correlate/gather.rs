//! What a worker writes down for correlations when a rule hits.

use super::super::describe;
use super::super::rendered::At;
use super::super::time::{Ticks, event_time};
use super::Part;
use super::entry::{Entries, Reference, append_key, append_payload, narrow};
use crate::engine::{Correlations, Join, RuleId, Scanner};
use crate::event::{Event as _, LeafId};
use crate::evidence::Source;
use crate::evtx::Record;
use crate::ledger::Correlated;

/// What correlations made of the hits on a record.
#[derive(Debug, Default, Clone, Copy)]
pub(in super::super) struct Joined {
    met: u32,
    joined: u32,
    without_group: u32,
    without_value: u32,
    without_time: u32,
}

impl Joined {
    /// Whether correlations refer to any of them.
    pub(in super::super) fn any(self) -> bool {
        self.met > 0
    }

    /// Counts them.
    pub(in super::super) fn count(self, to: &mut Correlated) {
        to.add(&Correlated {
            met: self.met.into(),
            joined: self.joined.into(),
            without_group: self.without_group.into(),
            without_value: self.without_value.into(),
            without_time: self.without_time.into(),
            ..Correlated::default()
        });
    }
}

/// Writes down what correlations are to know of the hits of these rules on a record.
pub(in super::super) fn gather(
    (all, scanner): (&Correlations, &mut Scanner<'_>),
    record: &Record<'_>,
    rules: &[RuleId],
    source: &Source,
    entries: &mut Entries,
) -> Joined {
    let mut counts = Joined::default();
    let parts = rules.iter().map(|rule| all.of_rule(*rule).len());
    counts.met = narrow(parts.sum());
    let mut reference = None;
    scanner.join(record, rules, &mut |_, part, join| {
        let event = reference.get_or_insert_with(|| refer(record, source));
        *match enter(all, part, join, event, entries) {
            Entered::Yes => &mut counts.joined,
            Entered::WithoutGroup => &mut counts.without_group,
            Entered::WithoutValue => &mut counts.without_value,
            Entered::WithoutTime => &mut counts.without_time,
        } += 1;
    });
    counts
}

/// Whether an event has its part in a correlation.
pub(super) enum Entered {
    Yes,
    WithoutGroup,
    WithoutValue,
    WithoutTime,
}

/// Writes an entry, if the event has what it takes.
pub(super) fn enter(
    all: &Correlations,
    part: Part,
    join: Join<'_>,
    event: &Reference,
    entries: &mut Entries,
) -> Entered {
    let keys = match join {
        Join::Joins(keys) => keys,
        Join::WithoutGroup => return Entered::WithoutGroup,
        Join::WithoutValue => return Entered::WithoutValue,
    };
    let timed = all.get(part.correlation).is_some_and(|c| c.timespan.is_some());
    if timed && event.time == At::TIMELESS {
        return Entered::WithoutTime;
    }
    let rank = all.rank(part.correlation);
    entries.push(
        |out| append_key(rank, part, &keys.group, event, out),
        |out| append_payload(keys, event, out),
    );
    Entered::Yes
}

/// Where a record is to be found, and what it is.
fn refer(record: &Record<'_>, source: &Source) -> Reference {
    let place = describe::place(source, record);
    let system = *record.layout().system();
    let text = |leaf: Option<LeafId>| {
        let mut bytes = Vec::new();
        record.first_text(leaf, &mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let time: Option<Ticks> = event_time(record);
    Reference {
        time: time.unwrap_or(At::TIMELESS),
        computer: text(system.computer),
        channel: text(system.channel),
        record: text(system.record_id).trim().parse().unwrap_or(record.header_record_id()),
        path: place.path.to_owned(),
        offset: place.offset,
        chunk: place.chunk,
        header_record: place.record_id,
        recovered: place.recovered,
        state: place.state.to_owned(),
        host: place.host.map(str::to_owned),
        event_id: text(system.event_id),
        inner: None,
    }
}
