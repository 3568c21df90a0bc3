//! When the newest event of the evidence was.
//!
//! A look at the times alone, for bounds that are counted from it: no rule, nothing rendered, of each
//! record the one value. Every record has to be looked at, since neither a chunk's last record nor a
//! log's last chunk need hold its newest event.

use super::feed::{Feed, Piece};
use super::open::{Opened, Readers, Whole};
use super::time::{Ticks, event_time};
use super::{Hunt, HuntError, pool};
use crate::evidence::Found;
use crate::evtx::{self, ChunkReport, Damage, Record, State};
use std::{
    ops::{ControlFlow, Range},
    sync::{Mutex, PoisonError, atomic::Ordering},
};

impl Hunt<'_> {
    /// The time of the newest event in all that `walk` finds, whatever the filter; `None` if none says
    /// when it was. Records that were left over in a log do not count, and neither does what cannot be
    /// read: [`Hunt::run`] tells of that. A hunt that is cancelled gives what it has seen by then.
    ///
    /// # Errors
    /// If threads cannot be started.
    pub fn newest(
        &self,
        walk: impl Iterator<Item = Found> + Send,
    ) -> Result<Option<Ticks>, HuntError> {
        let feed = Mutex::new(Feed::new(walk));
        let newest = pool(self.threads)?.broadcast(|_| {
            let mut reader = Readers::new(&Hunt { recover: false, learned: None, ..*self });
            let mut newest = Newest(None);
            while !self.cancelled() {
                let item = feed.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(item) = item else { break };
                item.pieces.into_iter().for_each(|piece| newest.piece(&mut reader, piece));
            }
            newest.0
        });
        Ok(newest.into_iter().flatten().max())
    }

    pub(super) fn cancelled(&self) -> bool {
        self.cancel.is_some_and(|cancel| cancel.load(Ordering::Relaxed))
    }
}

struct Newest(Option<Ticks>);

impl Newest {
    fn piece(&mut self, reader: &mut Readers, piece: Piece) {
        match piece {
            Piece::Settled(_) => {}
            Piece::Slots { log, slots } => self.slots(reader, &log, slots),
            Piece::Whole(source) => {
                for log in Whole::new(source).flatten() {
                    self.slots(reader, &log, 0..log.slots());
                }
            }
        }
    }

    fn slots(&mut self, reader: &mut Readers, opened: &Opened, slots: Range<u64>) {
        // Nothing here ends the reading.
        let _ = reader.read(opened, slots, self);
    }
}

impl evtx::Sink for Newest {
    fn record(&mut self, record: &Record<'_>) -> ControlFlow<()> {
        if record.state() == State::Live {
            self.0 = self.0.max(event_time(record));
        }
        ControlFlow::Continue(())
    }

    fn chunk(&mut self, _: ChunkReport) {}

    fn damage(&mut self, _: Damage) {}
}
