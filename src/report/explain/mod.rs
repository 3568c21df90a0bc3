//! A rule taken apart, and what a rule made of a record: pages for whoever wants to know why.
//!
//! A [`RulePage`] is what a catalogue of detections says of a rule; an [`Outcome`] why a rule matched a
//! record or did not. Both are plain data; whoever fills them knows rules and engine, this module only
//! how they look. For a reader both become one document (`document`) of headings, facts,
//! tables and trees, which each medium shows in its way; a program gets JSON of the data themselves.
//!
//! Invariant: whatever text a rule or an event holds, nothing of it is a control sequence to a terminal,
//! markup in Markdown or HTML, or more than a string in JSON.

mod document;
mod html;
mod json;
mod markdown;
mod outcome;
mod page;
mod rule;
mod text;

pub use outcome::{Found, GateSource, Look, Miss, Outcome, Seen, SeenLiterals, Truth, TruthKind};
pub use page::{
    AttackRow, CoveredEvent, Exclusion, FieldMap, Indicator, Links, Literals, Part, Predicate,
    Regression, RegressionLog, Related, RulePage, Simulation, Stage, Use,
};

use document::Document;

/// How pages look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageFormat {
    /// For a terminal or a file of text.
    Text {
        /// How many columns there are.
        width: usize,
        /// Whether to colour.
        color: bool,
    },
    /// For a report or a ticket.
    Markdown,
    /// For a program.
    Json,
    /// A page for itself, for a browser or a printer.
    Html,
}

impl PageFormat {
    /// A rule's page.
    #[must_use]
    pub fn rule(self, page: &RulePage) -> Vec<u8> {
        match self {
            PageFormat::Json => json::rule(page),
            other => other.document(&rule::document(page)),
        }
    }

    /// Why a rule matched records, or did not.
    #[must_use]
    pub fn outcomes(self, outcomes: &[Outcome]) -> Vec<u8> {
        match self {
            PageFormat::Json => json::outcomes(outcomes),
            other => outcomes.iter().flat_map(|o| other.document(&outcome::document(o))).collect(),
        }
    }

    fn document(self, document: &Document) -> Vec<u8> {
        match self {
            PageFormat::Markdown => markdown::render(document),
            PageFormat::Html => html::render(document),
            PageFormat::Text { width, color } => text::render(document, width, color),
            // Who wants JSON gets the data.
            PageFormat::Json => Vec::new(),
        }
    }
}
