//! Correlations over all evidence of a hunt, in event time.
//!
//! A worker that finds a hit of a rule to which correlations refer writes an entry for each of them
//! (`entry`, `gather`): the group, the time, where the event lies. All entries go through a
//! [`Sorter`], so that whatever the order of files and threads, the events of a group come together and
//! in the order of their times; they are handed to the engine's windows one by one. What a window
//! holds waits in a [`ByteQueue`]. Findings are entries of the correlations that refer to this one, and,
//! unless it is quiet, go through a sorter of their own to the outputs (`show`).
//!
//! Correlations that others refer to are worked on first, by rank: each rank is a pass over what is
//! left. One that refers to rules alone is of the first, and hardly any rule set has a second.
//!
//! Invariants:
//! - What is found, and its members, depend on the events alone, not on the order in which evidence is
//!   named: ties in time are broken by what events say of themselves and by their paths.
//! - An event counts once, in how many places it ever is ([`super::copies`]); told is where it comes
//!   first in the evidence.
//! - Memory is bounded by [`Hunt::sort_memory`], but for one entry for each distinct value that a
//!   window counts, and up to [`MEMBERS_KEPT`] members of a finding.
//!
//! An event without a time is in no window: it is counted. To an aggregation over the whole evidence
//! its time does not matter, and it takes part.

mod entry;
mod gather;
mod queue;
mod show;

use super::Hunt;
use super::spill::{Sorter, malformed};
use super::time::Ticks;
use crate::engine::{Findings, Keys, Occurrence, Occurs, Part, Quantity, Queue, RuleSet, Windows};
use crate::sigma::{Correlation, CorrelationKind};
use entry::{Inner, Prefix, Reference, append, dated, narrow, read};
use queue::ByteQueue;
use std::io;
use std::ops::ControlFlow;

pub(super) use entry::Entries;
pub(super) use gather::{Joined, gather};

/// So many members of a finding are kept, and written in a line; of the others only how many there
/// are. A window over a case can have millions, and a thousand are more than anybody reads.
pub(super) const MEMBERS_KEPT: usize = 1000;

/// Findings, told to whoever writes them.
pub(super) struct Found {
    /// By the time of their first event.
    findings: Sorter,
    /// How many of each correlation, quiet ones left out.
    pub(super) hits: Vec<u64>,
}

/// Finds what the entries have in them.
///
/// # Errors
/// If a temporary file cannot be written or read.
pub(super) fn find(hunt: &Hunt<'_>, mut entries: Sorter) -> io::Result<Found> {
    let (set, bound) = (hunt.rules, hunt.sort_memory);
    let all = set.correlations();
    let last = (0..all.all().len()).map(|n| all.rank(n)).max().unwrap_or(0);
    let mut found = Found { findings: Sorter::new(bound, None), hits: vec![0; all.all().len()] };
    for rank in 0..=last {
        let mut pass = Pass {
            set,
            bound,
            found: &mut found,
            later: Sorter::new(bound, None),
            group: None,
            event: None,
        };
        entries.finish(|key, payload| {
            match entry::rank(key) > rank {
                true => pass.later.push(key, &[payload])?,
                false => pass.entry(key, payload)?,
            }
            Ok(ControlFlow::Continue(()))
        })?;
        pass.end_group()?;
        entries = pass.later;
    }
    Ok(found)
}

/// The work on correlations of one rank.
struct Pass<'p> {
    set: &'p RuleSet,
    bound: usize,
    found: &'p mut Found,
    /// Entries of correlations of higher ranks.
    later: Sorter,
    group: Option<Group<'p>>,
    /// The event of which not all entries came yet.
    event: Option<Event>,
}

/// The group whose entries come.
struct Group<'p> {
    correlation: &'p Correlation,
    index: usize,
    key: Vec<u8>,
    windows: Windows<Event, Waiting>,
}

impl<'p> Pass<'p> {
    fn entry(&mut self, key: &[u8], payload: &[u8]) -> io::Result<()> {
        let (prefix, tail) = entry::split(key).ok_or_else(malformed)?;
        if !self.group.as_ref().is_some_and(|group| group.is(&prefix)) {
            self.end_group()?;
            self.group = Some(self.begin_group(&prefix).ok_or_else(malformed)?);
        }
        if let Some(event) = self.event.as_mut().filter(|event| event.is(tail)) {
            return event.push(tail, payload).ok_or_else(malformed);
        }
        self.end_event()?;
        let log = self.group.as_ref().is_some_and(|group| looks_at_logs(group.correlation));
        self.event = Some(Event::begin(tail, payload, log).ok_or_else(malformed)?);
        Ok(())
    }

    fn begin_group(&self, prefix: &Prefix<'_>) -> Option<Group<'p>> {
        let index = usize::try_from(prefix.correlation).ok()?;
        let correlation = self.set.correlations().get(index)?;
        let queue = ByteQueue::new(self.bound);
        let waiting = Waiting { queue, log: looks_at_logs(correlation) };
        let windows = Windows::new(correlation, waiting);
        Some(Group { correlation, index, key: prefix.group.to_vec(), windows })
    }

    fn end_event(&mut self) -> io::Result<()> {
        let (Some(event), Some(group)) = (self.event.take(), &mut self.group) else {
            return Ok(());
        };
        let Group { correlation, index, key, windows } = group;
        let taker = Taker { set: self.set, correlation, index: *index, group: key };
        windows.push(event, &mut taker.of(self.found, &mut self.later))
    }

    fn end_group(&mut self) -> io::Result<()> {
        self.end_event()?;
        let Some(Group { correlation, index, key, mut windows }) = self.group.take() else {
            return Ok(());
        };
        let taker = Taker { set: self.set, correlation, index, group: &key };
        windows.end(&mut taker.of(self.found, &mut self.later))
    }
}

impl Group<'_> {
    fn is(&self, prefix: &Prefix<'_>) -> bool {
        narrow(self.index) == prefix.correlation && self.key == prefix.group
    }
}

/// Whether it matters in which log events are.
fn looks_at_logs(correlation: &Correlation) -> bool {
    correlation.kind == CorrelationKind::TemporalOrdered
}

/// An event of a group: its entries, and what of it is counted.
struct Event {
    /// Tail and payload of each entry, with their lengths.
    entries: Vec<u8>,
    occurrence: Occurrence,
    log: bool,
}

impl Event {
    fn begin(tail: &[u8], payload: &[u8], log: bool) -> Option<Event> {
        let mut event = Event { entries: Vec::new(), occurrence: Occurrence::default(), log };
        event.push(tail, payload).map(|()| event)
    }

    /// Whether an entry is of this event.
    fn is(&self, tail: &[u8]) -> bool {
        let own = read(&mut self.entries.as_slice()).map(entry::identity);
        own == Some(entry::identity(tail))
    }

    /// Adds an entry.
    fn push(&mut self, tail: &[u8], payload: &[u8]) -> Option<()> {
        append(tail, &mut self.entries);
        append(payload, &mut self.entries);
        entry::count(tail, payload, self.log, &mut self.occurrence)
    }

    fn read(entries: Vec<u8>, log: bool) -> Option<Event> {
        let mut occurrence = Occurrence::default();
        let mut rest = entries.as_slice();
        while !rest.is_empty() {
            let (tail, payload) = (read(&mut rest)?, read(&mut rest)?);
            entry::count(tail, payload, log, &mut occurrence)?;
        }
        Some(Event { entries, occurrence, log })
    }

    /// Which event it is, and the group as it shows it.
    fn reference(&self) -> Option<(Reference, &[u8])> {
        let mut rest = self.entries.as_slice();
        let (tail, payload) = (read(&mut rest)?, read(&mut rest)?);
        Some((entry::reference(tail, payload)?, entry::shown(payload)))
    }
}

impl Occurs for Event {
    fn occurrence(&self) -> &Occurrence {
        &self.occurrence
    }
}

/// The events of a window.
struct Waiting {
    queue: ByteQueue,
    log: bool,
}

impl Queue<Event> for Waiting {
    type Error = io::Error;

    fn push(&mut self, event: &Event) -> io::Result<()> {
        self.queue.push(&[&event.entries])
    }

    fn pop(&mut self) -> io::Result<Option<Event>> {
        let log = self.log;
        let Some(entries) = self.queue.pop()? else { return Ok(None) };
        Event::read(entries, log).map(Some).ok_or_else(malformed)
    }
}

/// Of which correlation and group findings are.
#[derive(Clone, Copy)]
struct Taker<'t> {
    set: &'t RuleSet,
    correlation: &'t Correlation,
    index: usize,
    group: &'t [u8],
}

impl<'t> Taker<'t> {
    fn of(self, found: &'t mut Found, later: &'t mut Sorter) -> Taking<'t> {
        Taking { taker: self, found, later }
    }
}

/// Takes findings.
struct Taking<'t> {
    taker: Taker<'t>,
    found: &'t mut Found,
    later: &'t mut Sorter,
}

/// What is known of a finding.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) correlation: usize,
    pub(super) group: Vec<u8>,
    /// As its first event has it.
    pub(super) shown: Vec<u8>,
    /// What was counted or computed, as a decimal number.
    pub(super) quantity: String,
    pub(super) count: u64,
    /// [`At::TIMELESS`] if no event says when it was.
    pub(super) first: Ticks,
    pub(super) last: Ticks,
    /// Whether all events are of one computer.
    pub(super) one_computer: bool,
    /// The first of them, each with the members whose hits it is.
    pub(super) members: Vec<(Reference, Vec<u32>)>,
    /// The last that has a time.
    pub(super) last_event: Reference,
}

impl Finding {
    fn add(&mut self, event: &Event) -> Option<()> {
        let (reference, shown) = event.reference()?;
        if self.count == 0 {
            self.shown = shown.to_vec();
            (self.first, self.last) = (reference.time, reference.time);
            self.one_computer = true;
        }
        self.count += 1;
        let same = self.last_event.computer.eq_ignore_ascii_case(&reference.computer);
        self.one_computer &= same || self.count == 1;
        if self.members.len() < MEMBERS_KEPT {
            self.members.push((reference.clone(), event.occurrence.members.clone()));
        }
        // Those without a time come last.
        if self.count == 1 || dated(reference.time).is_some() {
            self.last = reference.time;
            self.last_event = reference;
        }
        Some(())
    }
}

impl Findings<Event, io::Error> for Taking<'_> {
    fn found(
        &mut self,
        quantity: Quantity,
        next: &mut dyn FnMut() -> io::Result<Option<Event>>,
    ) -> io::Result<()> {
        let Taker { set, correlation, index, group } = self.taker;
        let mut finding = Finding {
            correlation: index,
            group: group.to_vec(),
            quantity: quantity.to_string(),
            ..Finding::default()
        };
        while let Some(event) = next()? {
            finding.add(&event).ok_or_else(malformed)?;
        }
        self.pass_on(set, &finding)?;
        if correlation.quiet {
            return Ok(());
        }
        if let Some(hits) = self.found.hits.get_mut(index) {
            *hits += 1;
        }
        let (key, payload) = finding.write();
        self.found.findings.push(&key, &[&payload])
    }
}

impl Taking<'_> {
    /// Hands a finding on to the correlations that refer to this one.
    fn pass_on(&mut self, set: &RuleSet, finding: &Finding) -> io::Result<()> {
        let all = set.correlations();
        if all.of_correlation(finding.correlation).is_empty() {
            return Ok(());
        }
        let event = Reference {
            time: finding.last,
            inner: Some(Inner {
                correlation: narrow(finding.correlation),
                first: finding.first,
                group: finding.group.clone(),
                count: finding.count,
            }),
            ..finding.last_event.clone()
        };
        let keys =
            Keys { group: finding.group.clone(), shown: finding.shown.clone(), ..Keys::default() };
        let mut entries = Entries::default();
        all.join_finding(finding.correlation, &keys, &mut |part, join| {
            gather::enter(all, part, join, &event, &mut entries);
        });
        entries.iter().try_for_each(|(key, payload)| self.later.push(key, &[payload]))
    }
}
