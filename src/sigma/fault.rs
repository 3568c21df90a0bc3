//! What can be wrong with a rule, and where.
//!
//! A fault never leaves this module's parents as a panic or as silence: it becomes a [`Refused`]
//! with file, document, line, column and reason, or a [`Warning`] beside a rule that loads anyway.
//! Inside the loader a position is only a line and a column ([`At`]); path and document number are
//! added once, where a document is finished, so that the parsers below need not know them.

use std::fmt;
use std::sync::Arc;

use super::lint::Code;
use super::rule::{Origin, RuleFile};

/// A place in a file: line and column from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

impl At {
    /// The start of a file.
    pub const START: At = At { line: 1, column: 1 };

    /// This place, `characters` further right on the same line.
    pub fn right(self, characters: usize) -> At {
        let characters = u32::try_from(characters).unwrap_or(u32::MAX);
        At { line: self.line, column: self.column.saturating_add(characters) }
    }

    /// This place in a file.
    pub fn origin(self, file: &Arc<RuleFile>, document: u32) -> Origin {
        Origin { file: Arc::clone(file), document, line: self.line, column: self.column }
    }
}

/// Why a document was refused, as far as a program needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefusalKind {
    /// The document is not a valid rule.
    Error,
    /// A valid document that asks for what is not evaluated: an aggregation other than `count`, a
    /// correlation whose condition is a formula over rules.
    NotSupported,
    /// A deprecated or unsupported rule, and such rules were not asked for; or a correlation that
    /// refers to one.
    Status,
    /// A rule with a `%placeholder%` for which no list of values was given; or a correlation that
    /// refers to one.
    Placeholder,
}

/// A fault inside a document, before it is known which document of which file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// Where.
    pub at: At,
    /// Its kind.
    pub kind: RefusalKind,
    /// What it is about.
    pub code: Code,
    /// What is wrong, without the place.
    pub reason: String,
}

impl Fault {
    /// An invalid document.
    pub fn new(at: At, reason: impl Into<String>) -> Fault {
        Fault::of(RefusalKind::Error, at, reason)
    }

    /// A fault of another kind.
    pub fn of(kind: RefusalKind, at: At, reason: impl Into<String>) -> Fault {
        let code = match kind {
            RefusalKind::Error | RefusalKind::Status => Code::InvalidRule,
            RefusalKind::NotSupported => Code::Unsupported,
            RefusalKind::Placeholder => Code::MissingPlaceholder,
        };
        Fault { at, kind, code, reason: reason.into() }
    }

    /// The same fault, which is about this if nothing more precise is known.
    pub fn about(mut self, code: Code) -> Fault {
        if self.code == Code::InvalidRule {
            self.code = code;
        }
        self
    }
}

/// A document that was not loaded, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The place of the fault.
    pub origin: Origin,
    /// The rule's title, if it could be read.
    pub title: Option<String>,
    /// The rule's id, if it could be read.
    pub id: Option<String>,
    /// The rule's name, if it could be read.
    pub name: Option<String>,
    /// What is wrong, in a sentence without the place.
    pub reason: String,
    /// What kind of refusal it is.
    pub kind: RefusalKind,
    /// What it is about.
    pub code: Code,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.reason)
    }
}

/// What a [`Warning`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WarningCode {
    /// A section that the condition does not use.
    UnusedSection,
    /// A modifier that stands twice in a chain; it counts once.
    RepeatedModifier,
    /// `wide`, `utf16le`, `utf16be` or `utf16` without `base64` or `base64offset` after it: event
    /// text is decoded, so such a value can hardly occur.
    BareWide,
    /// A network address with host bits set; they were cleared.
    HostBits,
    /// A `status` that Sigma does not know; the rule counts as one without a status.
    UnknownStatus,
    /// Two loaded documents have the same id.
    DuplicateId,
    /// A rule's `timeframe` without an aggregation: it has no meaning.
    IdleTimeframe,
    /// A filter whose condition has no `not`: it keeps what it names and takes everything else away.
    FilterWithoutNot,
    /// A filter that names a rule that it cannot be applied to: none is loaded, or it has another log
    /// source.
    FilterReference,
    /// A filter that is for none of the loaded rules.
    IdleFilter,
}

/// Something odd about a rule that was loaded nevertheless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where.
    pub origin: Origin,
    /// What it is about.
    pub code: WarningCode,
    /// The same in words.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.text)
    }
}

/// A warning before its file is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    /// Where.
    pub at: At,
    /// What about.
    pub code: WarningCode,
    /// In words.
    pub text: String,
}
