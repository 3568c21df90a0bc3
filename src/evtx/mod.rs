//! Reading EVTX: chunks, records and the values of their fields.
//!
//! A [`Log`] is opened once; a [`Reader`] is one thread's state and reads any range of the log's
//! slots of 64 KiB, which are independent of one another; what it finds goes to a [`Sink`]. A
//! [`Record`] is an [`crate::event::Event`], read by one of two lanes:
//!
//! - The **fast lane** (`instance`, `plan`) knows where in the chunk each value of the record
//!   stands, and decodes nothing before it is asked.
//! - The **slow lane** (`slow`) lets the `evtx` crate render the record and reads the XML. It takes
//!   what the fast lane declines: rare shapes, and damage.
//!
//! Invariants:
//! - *Both lanes give the same values*; a record is declined before anything of it is used. Tests
//!   compare every record of the sample corpora, each lane with the other and with the crate.
//! - *Nothing is lost silently*: every slot is in one [`Bin`], every record found is in one of
//!   [`Counts`], and what cannot be read is a [`Damage`] with its offset.
//! - *No bytes make it panic, hang or grow*: every offset is read through [`crate::bytes`], and every
//!   cap is a named constant.

mod carve;
mod chunk;
mod file;
mod instance;
mod intern;
mod known;
mod load;
mod partial;
mod place;
mod plan;
mod reader;
mod record;
mod render;
mod scout;
mod slow;
mod stencil;
mod template;
mod value;
mod walk;
mod xml;

pub use carve::{Carver, Lost, MARGIN, Stretch};
pub use chunk::Finding;
pub use file::{Log, OpenError, open};
pub use known::Templates;
pub use partial::{Outer, Partial, TypedValue};
pub use reader::{Bin, ChunkReport, Counts, Damage, DamageKind, Options, Reader, Sink};
pub use record::{Fast, Lane, Record, Slow};
pub use render::{Format, InChunk, Renderer};
pub use scout::{PIECE, Scout};
pub use slow::SlowEvent;
pub use walk::State;

use std::fmt;

/// Why the fast lane did not read a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Decline {
    /// It was asked not to ([`Options::slow_only`]).
    Asked,
    /// The record, or a value with elements, is no single template instance.
    Stream,
    /// The template's definition is damaged.
    Template,
    /// The template has a shape that plans cannot say.
    Shape,
    /// A length leads out of the record.
    Size,
    /// A value is not what its descriptor says, or of a type without a fast reading.
    Value,
    /// A value stands where the plan cannot place it.
    Place,
    /// A cap was reached.
    Limit,
    /// The record was left over, and its template is not there any more: no lane can read it.
    Stale,
}

impl fmt::Display for Decline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Decline::Asked => "the fast lane was not asked",
            Decline::Stream => "the record is not one template instance",
            Decline::Template => "the record's template is damaged",
            Decline::Shape => "the record's template has an unusual shape",
            Decline::Size => "a length leads out of the record",
            Decline::Value => "a value is not what its descriptor says",
            Decline::Place => "a value stands where it cannot",
            Decline::Limit => "the record is too complex",
            Decline::Stale => "the record was left over and its template has been overwritten",
        })
    }
}

/// A position that came as `u32`: every platform that Harrier runs on has at least 32-bit addresses.
#[inline]
fn index(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
