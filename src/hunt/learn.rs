//! What is to be known of all evidence before a hunt for what is left of logs.
//!
//! A record that stands alone may need a template that lies anywhere, so all of the evidence is read
//! once before. That reading has looked through all raw bytes, too, and found nothing in most of them:
//! which these are is kept, so that the hunt does not read them again.

use super::feed::{Feed, Piece};
use super::open::{Opened, Readers, Whole};
use super::{Hunt, HuntError, pool};
use crate::evidence::Found;
use crate::evtx::{self, ChunkReport, Damage, Record, Templates};
use hashbrown::HashMap;
use std::{
    ops::{ControlFlow, Range},
    sync::{Arc, Mutex, PoisonError},
};

/// For so many windows of raw bytes it is kept what is in them: for 2 TiB, in some 20 MB.
const WINDOWS: usize = 512 << 10;

/// What [`Hunt::learn`] learns.
#[derive(Debug, Clone, Default)]
pub struct Learned {
    pub(super) templates: Arc<Templates>,
    pub(super) scouted: Arc<Scouted>,
}

/// The pieces of a window of raw bytes, a bit each.
pub(super) type Pieces = u16;

/// In which pieces of raw bytes something may begin.
///
/// It is kept by the name of the source. Should two have the same name, what is kept is of both
/// together: more pieces than need be are looked at, and never fewer.
#[derive(Debug, Default)]
pub(super) struct Scouted {
    /// By source, and by the number of the window.
    sources: HashMap<Box<str>, HashMap<u64, Pieces>>,
    windows: usize,
}

impl Scouted {
    /// Notes what was found of a window.
    pub(super) fn note(&mut self, source: &str, window: u64, pieces: Pieces) {
        if self.windows >= WINDOWS {
            return;
        }
        if !self.sources.contains_key(source) {
            self.sources.insert(source.into(), HashMap::new());
        }
        let Some(windows) = self.sources.get_mut(source) else { return };
        windows.entry(window).and_modify(|known| *known |= pieces).or_insert_with(|| {
            self.windows += 1;
            pieces
        });
    }

    /// What was found of a window, if it was looked at.
    pub(super) fn known(&self, source: &str, window: u64) -> Option<Pieces> {
        self.sources.get(source)?.get(&window).copied()
    }

    fn merge(&mut self, other: Scouted) {
        for (source, windows) in other.sources {
            windows.into_iter().for_each(|(window, pieces)| self.note(&source, window, pieces));
        }
    }
}

impl Hunt<'_> {
    /// Learns what helps to read what is left of logs in all that `walk` finds, for
    /// [`Hunt::learned`]: templates for records whose own are gone, and where in raw bytes nothing is.
    ///
    /// # Errors
    /// If threads cannot be started.
    pub fn learn(&self, walk: impl Iterator<Item = Found> + Send) -> Result<Learned, HuntError> {
        let feed = Mutex::new(Feed::new(walk));
        let met = pool(self.threads)?.broadcast(|_| {
            let mut readers = Readers::collecting();
            while !self.cancelled() {
                let item = feed.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(item) = item else { break };
                item.pieces.into_iter().for_each(|piece| learn(&mut readers, piece));
            }
            readers.into_learned()
        });
        let (mut templates, mut scouted) = (Templates::default(), Scouted::default());
        for (met, looked_at) in met {
            templates.merge(met);
            scouted.merge(looked_at);
        }
        Ok(Learned { templates: Arc::new(templates.ready()), scouted: Arc::new(scouted) })
    }
}

fn learn(readers: &mut Readers, piece: Piece) {
    // Nothing here ends the reading.
    let mut read = |opened: &Opened, slots: Range<u64>| {
        let _ = readers.read(opened, slots, &mut Nothing);
    };
    match piece {
        Piece::Settled(_) => {}
        Piece::Slots { log, slots } => read(&log, slots),
        Piece::Whole(source) => {
            Whole::new(source).flatten().for_each(|log| read(&log, 0..log.slots()));
        }
    }
}

/// Reading alone shows what is to be learned.
struct Nothing;

impl evtx::Sink for Nothing {
    fn record(&mut self, _: &Record<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn chunk(&mut self, _: ChunkReport) {}

    fn damage(&mut self, _: Damage) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_told_apart_from_nothing() {
        let (mut one, mut other) = (Scouted::default(), Scouted::default());
        one.note("a", 0, 0);
        one.note("a", 1, 0b10);
        other.note("a", 1, 0b100);
        other.note("b", 7, 0);
        one.merge(other);
        assert_eq!((one.known("a", 0), one.known("a", 1)), (Some(0), Some(0b110)));
        assert_eq!((one.known("b", 7), one.known("b", 0)), (Some(0), None));
        assert_eq!((one.known("c", 0), one.windows), (None, 3));
    }
}
