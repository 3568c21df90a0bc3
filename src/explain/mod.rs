//! Taking rules and outcomes apart: pages for whoever wants to know what a rule looks for, and why it
//! matched a record or did not.
//!
//! - `notation`: items and conditions in one uniform notation
//! - `page`: what is said of a rule; `events` of the events that it looks at, `attack` of its tags,
//!   `indicators` of what it compares fields with
//! - `find`: which rule is meant
//! - `record`: what a rule made of a record, `miss` what was missing
//!
//! Pages are data of [`crate::report::explain`]; nothing is rendered here.
//!
//! Invariant: what a page says of events and literals comes from the compiled rule set
//! ([`RuleSet::coverage`](crate::engine::RuleSet::coverage)), so that it is what a hunt does.

mod attack;
mod events;
mod find;
mod indicators;
mod miss;
mod notation;
mod page;
mod record;

pub use find::{Candidate, NotFound, Subject, find};
pub use page::{Corpus, page};
pub use record::{Which, outcome};
