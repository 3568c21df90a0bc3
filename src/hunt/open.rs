//! From a source to a log, to what is in it, or to the reason why it is neither.

use super::Hunt;
use super::work::Note;
use crate::bytes::ReadAt;
use crate::evidence::{Container, Found, Inside, Locked, Look, Outcome, Source};
use crate::evtx::{self, Log, OpenError};
use crate::ledger::{Aside, SourceEntry, SourceState};
use std::{io, sync::Arc};

/// A log that can be read.
pub(super) struct Opened {
    pub(super) source: Source,
    pub(super) bytes: Arc<dyn ReadAt>,
    pub(super) log: Log,
}

impl Opened {
    /// How many chunk slots it has.
    pub(super) fn slots(&self) -> u64 {
        self.log.slots
    }
}

/// What became of something of which there is nothing to read.
pub(super) enum Settled {
    /// A source that is in its bin.
    Source(Box<SourceEntry>),
    /// Something that is no source.
    Aside(Aside),
}

impl Settled {
    /// A source in its bin.
    pub(super) fn source(entry: SourceEntry) -> Settled {
        Settled::Source(Box::new(entry))
    }
}

/// What a source turned out to be.
pub(super) enum Opening {
    Log(Opened),
    Inside(Box<Inside>),
    Settled(Settled),
}

/// Opens a source and looks at what it is.
pub(super) fn open(source: Source) -> Opening {
    let unread = |size, state, reason| {
        let entry = SourceEntry::unread(source.name().to_owned(), size, state, reason);
        Opening::Settled(Settled::source(SourceEntry { found: source.state().as_str(), ..entry }))
    };
    let (bytes, log): (Arc<dyn ReadAt>, _) = match source.look() {
        // Without its content nobody knows whether it is a log: whatever its name, it is one that
        // could not be read.
        Err(error) => return unread(source.size(), state_of(&error), error.to_string()),
        Ok(Look::Inside(inside)) => return Opening::Inside(inside),
        // What may hold logs that nobody looked into is no mere other file.
        Ok(Look::Unsupported(what)) => {
            let reason = format!("not looked into: it is {what}");
            return unread(source.size(), SourceState::Unsupported, reason);
        }
        Ok(Look::Part) => return Opening::Settled(Settled::Aside(Aside::Part)),
        Ok(Look::Other(_)) if !source.claims_to_be_a_log() => {
            return Opening::Settled(Settled::Aside(Aside::OtherFile));
        }
        Ok(Look::Other(start)) => {
            let log = evtx::open(&start);
            (Arc::new(start), log)
        }
        Ok(Look::Log(bytes)) => {
            let log = evtx::open(&*bytes);
            (bytes, log)
        }
    };
    match log {
        Ok(log) => Opening::Log(Opened { source, bytes, log }),
        Err(error) => {
            let state = match error {
                OpenError::Empty => SourceState::Empty,
                OpenError::NotEvtx => SourceState::NotALog,
                _ => SourceState::Unreadable,
            };
            unread(source.size(), state, error.to_string())
        }
    }
}

/// A source that cannot be opened is encrypted, of a kind that nobody here knows, or unreadable.
fn state_of(error: &io::Error) -> SourceState {
    match error.kind() {
        _ if error.get_ref().is_some_and(|inner| inner.is::<Locked>()) => SourceState::Encrypted,
        io::ErrorKind::Unsupported => SourceState::Unsupported,
        _ => SourceState::Unreadable,
    }
}

/// What is to be written down of something that was met and is no source.
pub(super) fn settle(found: Found) -> Result<Source, Settled> {
    Err(match found {
        Found::Source(source) => return Ok(source),
        Found::Unreadable { name, error } => {
            let state = state_of(&error);
            Settled::source(SourceEntry::unread(name, 0, state, error.to_string()))
        }
        Found::Duplicate { .. } => Settled::Aside(Aside::Duplicate),
        Found::Link { .. } => Settled::Aside(Aside::Link),
        Found::Special { .. } => Settled::Aside(Aside::Special),
        Found::Container(container) => Settled::source(closed(container)),
    })
}

/// A container's entry.
fn closed(container: Container) -> SourceEntry {
    let Container { name, size, format, outcome, reason, notes, shadow_copies } = container;
    let state = match outcome {
        Outcome::Read => SourceState::Read,
        Outcome::Damaged => SourceState::Damaged,
        Outcome::Unreadable => SourceState::Unreadable,
        Outcome::Encrypted => SourceState::Encrypted,
    };
    let mut entry = SourceEntry::unread(name, size, state, String::new());
    (entry.container, entry.reason) = (Some(format), reason);
    entry.shadow_copies = shadow_copies;
    notes.into_iter().for_each(|note| entry.findings.push(0, || note));
    entry
}

/// A container that was begun and not read to its end.
pub(super) fn left(inside: &Inside) -> SourceEntry {
    let state = SourceState::Interrupted;
    let entry = SourceEntry::unread(inside.name().to_owned(), inside.size(), state, String::new());
    SourceEntry { container: Some(inside.format()), ..entry }
}

/// A source, or all that is in it if it is a container, one after the other.
pub(super) struct Whole {
    first: Option<Source>,
    within: Vec<Inside>,
    /// How many things were met in it, itself aside.
    pub(super) met: u64,
}

impl Whole {
    pub(super) fn new(source: Source) -> Whole {
        Whole { first: Some(source.by_itself()), within: Vec::new(), met: 0 }
    }

    /// Ends it: what was begun and not read to its end.
    pub(super) fn stop(self) -> impl Iterator<Item = SourceEntry> {
        self.within.into_iter().rev().map(|inside| left(&inside))
    }
}

impl Iterator for Whole {
    type Item = Result<Opened, Settled>;

    fn next(&mut self) -> Option<Result<Opened, Settled>> {
        loop {
            let source = match self.first.take() {
                Some(first) => first,
                None => {
                    let Some(found) = self.within.last_mut()?.next() else {
                        self.within.pop();
                        continue;
                    };
                    match found {
                        Found::Container(_) => drop(self.within.pop()),
                        _ => self.met += 1,
                    }
                    match settle(found) {
                        Ok(source) => source,
                        Err(settled) => return Some(Err(settled)),
                    }
                }
            };
            match open(source) {
                Opening::Log(log) => return Some(Ok(log)),
                Opening::Settled(settled) => return Some(Err(settled)),
                Opening::Inside(inside) => self.within.push(*inside),
            }
        }
    }
}

/// Hands each log of a source to `each`, that is the source itself or all that are in it, and notes
/// what became of everything; gives how many things were met in it, or nothing if `each` does.
pub(super) fn whole(
    hunt: &Hunt<'_>,
    source: Source,
    notes: &mut Vec<Note>,
    mut each: impl FnMut(&Opened) -> Option<Note>,
) -> Option<u64> {
    let mut whole = Whole::new(source);
    for opened in whole.by_ref() {
        notes.push(match opened {
            Ok(log) => each(&log)?,
            Err(settled) => Note::Settled(settled),
        });
        // A small container may have very much in it.
        if hunt.cancelled() {
            break;
        }
    }
    let met = whole.met;
    notes.extend(whole.stop().map(|entry| Note::Settled(Settled::source(entry))));
    Some(met)
}
