//! The engine: which rules match an event.
//!
//! Rules are compiled once into a [`RuleSet`], which is shared and does not change; each thread asks
//! it through a [`Scanner`] of its own. The way is gate, prefilter, confirm: see `scanner`. The
//! engine sees events through [`crate::event::Event`] and knows nothing of where they come from or
//! where hits go.
//!
//! Invariant: for every event and every rule set, [`Scanner::scan`] gives what
//! [`Scanner::scan_full`] gives.
//!
//! Source of facts: Sigma rules specification 2.1.0.

mod atoms;
mod block;
mod check;
mod correlate;
mod coverage;
mod expr;
mod filters;
mod full;
mod kinds;
mod lint;
mod memo;
mod predicate;
mod prefilter;
mod probe;
mod program;
mod ruleset;
mod scanner;
mod slot_tests;
mod tables;
mod wildcard;

pub use correlate::{
    Correlations, Decimal, Findings, Join, Keys, Occurrence, Occurs, Part, Quantity, Queue,
    Windows, read_group,
};
pub use coverage::{Coverage, LiteralSet};
pub use filters::{FilterId, Filtered};
pub use full::Matches;
pub use kinds::Kinds;
pub use lint::lint;
pub use probe::{Admission, Answer, Needed, NeededSet, Probe};
pub use ruleset::{Applicability, RuleId, RuleSet};
pub use scanner::{ScanStats, Scanner};
pub(crate) use wildcard::Wildcard;
