//! From a file to a log, or to the reason why it is none.

use crate::bytes::ReadAt;
use crate::evidence::{Source, begins_like_a_log, container};
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

/// Opens a source and looks at what it is.
pub(super) fn open(source: Source) -> Result<Opened, Settled> {
    let unread = |size, state, reason| {
        Settled::source(SourceEntry::unread(source.name().to_owned(), size, state, reason))
    };
    // Without its content nobody knows whether it is a log: whatever its name, it is one that could
    // not be read.
    let unreadable =
        |error: io::Error| unread(source.size(), SourceState::Unreadable, error.to_string());
    let bytes = source.open().map_err(unreadable)?;
    let size = bytes.size();
    if !begins_like_a_log(&*bytes).map_err(unreadable)? {
        // What may hold logs that nobody looked into is no mere other file.
        if let Some(what) = container(&*bytes).map_err(unreadable)? {
            let reason = format!("not looked into: it is {what}");
            return Err(unread(size, SourceState::Unreadable, reason));
        }
        if !source.claims_to_be_a_log() {
            return Err(Settled::Aside(Aside::OtherFile));
        }
    }
    match evtx::open(&*bytes) {
        Ok(log) => Ok(Opened { source, bytes, log }),
        Err(error) => {
            let state = match error {
                OpenError::Empty => SourceState::Empty,
                OpenError::NotEvtx => SourceState::NotALog,
                _ => SourceState::Unreadable,
            };
            Err(unread(size, state, error.to_string()))
        }
    }
}
