//! The evidence record by record, by one thread, in evidence order: for whoever looks for certain
//! records and not for hits.

use super::feed::{Feed, Piece};
use super::open::{Opened, Readers, Settled, Whole};
use crate::evidence::Found;
use crate::evtx::{self, ChunkReport, Damage, Record};
use std::ops::{ControlFlow, Range};

/// Takes records of all evidence, and what could not be read.
pub trait Visitor {
    /// A record of the log at `path`; [`ControlFlow::Break`] ends the visit.
    fn record(&mut self, path: &str, record: &Record<'_>) -> ControlFlow<()>;

    /// Something could not be read: a source, or a part of it.
    fn problem(&mut self, path: &str, reason: &str);
}

/// Hands all records that `walk` finds to `visitor`, those in the slack of chunks too if `recover` says
/// so.
pub fn visit<W: Iterator<Item = Found>>(walk: W, recover: bool, visitor: &mut impl Visitor) {
    let mut reader = Readers::with(recover, None);
    for piece in Feed::new(walk).flat_map(|item| item.pieces) {
        let flow = match piece {
            Piece::Slots { log, slots } => read(&mut reader, &log, slots, visitor),
            Piece::Whole(source) => Whole::new(source).try_for_each(|opened| match opened {
                Ok(log) => read(&mut reader, &log, 0..log.slots(), visitor),
                Err(settled) => {
                    problem(&settled, visitor);
                    ControlFlow::Continue(())
                }
            }),
            Piece::Settled(settled) => {
                problem(&settled, visitor);
                ControlFlow::Continue(())
            }
        };
        if flow.is_break() {
            return;
        }
    }
}

fn read(
    reader: &mut Readers,
    log: &Opened,
    slots: Range<u64>,
    visitor: &mut impl Visitor,
) -> ControlFlow<()> {
    let mut each = Each { path: log.source.name(), visitor };
    reader.read(log, slots, &mut each)
}

fn problem(settled: &Settled, visitor: &mut impl Visitor) {
    if let Settled::Source(entry) = settled
        && let Some(reason) = &entry.reason
    {
        visitor.problem(&entry.path, reason);
    }
}

struct Each<'e, V> {
    path: &'e str,
    visitor: &'e mut V,
}

impl<V: Visitor> evtx::Sink for Each<'_, V> {
    fn record(&mut self, record: &Record<'_>) -> ControlFlow<()> {
        self.visitor.record(self.path, record)
    }

    fn chunk(&mut self, _: ChunkReport) {}

    fn damage(&mut self, damage: Damage) {
        self.visitor.problem(self.path, &damage.to_string());
    }
}
