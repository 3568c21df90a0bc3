//! What is wrong or doubtful about rules as they are written.
//!
//! Loading refuses what has no meaning and warns of what is odd on the way; here is what can be said
//! besides, from the text of documents and over all of them. It needs the YAML, which nobody keeps, so
//! the loader asks for it while it has it ([`LoadOptions::lint`](super::LoadOptions::lint)). What
//! depends on events and their fields is the engine's to say; the codes of both stand together in
//! [`Code`].
//!
//! Why not the checks of `rsigma-parser` 0.23: they read a file a second time, through a YAML library
//! that loses how scalars were written (`'4688'` or `4688`, quotes, escapes); they find places by
//! looking for keys in the text again, so that a place is a whole line and can be that of another
//! section; and unused sections, wildcards, escapes, and all that needs a taxonomy are not among
//! them. Nor would their findings agree with what this loader refuses.
//!
//! Invariant: a finding says nothing of what a rule means; it changes no hit.
//!
//! Source of facts: pySigma's `validators/core`; Sigma's specification and its tags appendix 2.1.0.

mod across;
mod code;
mod detection;
mod metadata;
mod tag;

pub use code::{Code, Severity};
pub use tag::TACTICS;

use super::fault::{At, RefusalKind, WarningCode};
use super::load::LoadedRules;
use super::rule::{Origin, RuleFile};
use super::yaml::{Kind, Yaml};
use std::fmt;
use std::sync::Arc;

/// Something that is to be said against a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Where.
    pub origin: Origin,
    /// What it is about.
    pub code: Code,
    /// The same for this rule, in a sentence without the place.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { origin, code, text } = self;
        let (severity, advice) = (code.severity().as_str(), code.advice());
        write!(f, "{origin}: {severity}: {text}: {advice} [{code}]")
    }
}

/// The findings of one document.
pub(super) struct Findings<'f> {
    pub file: &'f Arc<RuleFile>,
    pub document: u32,
    pub found: Vec<Finding>,
}

impl Findings<'_> {
    fn add(&mut self, at: At, code: Code, text: impl Into<String>) {
        let origin = at.origin(self.file, self.document);
        self.found.push(Finding { origin, code, text: text.into() });
    }
}

/// What is to be said of a document by itself.
pub(super) fn document(root: &Yaml<'_>, is_sigma: bool, findings: &mut Findings<'_>) {
    if !is_sigma {
        return findings.add(root.at, Code::NotARule, "the document has nothing of a rule");
    }
    metadata::lint(root, findings);
    for key in ["detection", "filter"] {
        if let Some(Kind::Map(entries)) = root.get(key).map(|node| &node.kind) {
            detection::lint(entries, key == "filter", findings);
        }
    }
}

impl LoadedRules {
    /// All that is to be said of the rules as they are written, in the order of files and places.
    /// Complete only if they were loaded with [`LoadOptions::lint`](super::LoadOptions::lint).
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = self.linted.clone();
        // Whose status was not asked for was not looked at.
        let refused = self.refused.iter().filter(|refused| refused.kind != RefusalKind::Status);
        findings.extend(refused.map(|refused| Finding {
            origin: refused.origin.clone(),
            code: refused.code,
            text: refused.reason.clone(),
        }));
        findings.extend(self.warnings.iter().map(|warning| Finding {
            origin: warning.origin.clone(),
            code: of_warning(warning.code),
            text: warning.text.clone(),
        }));
        let whole_file = |path: &str, code, text: String| Finding {
            origin: At::START.origin(&RuleFile::named(path), 0),
            code,
            text,
        };
        findings.extend(
            self.unreadable
                .iter()
                .map(|file| whole_file(&file.path, Code::UnreadableFile, file.reason.clone())),
        );
        across::lint(self, &mut findings);
        findings.sort();
        findings.dedup();
        findings
    }
}

/// The code of what loading warns of.
fn of_warning(code: WarningCode) -> Code {
    match code {
        WarningCode::UnusedSection => Code::UnusedSection,
        WarningCode::RepeatedModifier => Code::RepeatedModifier,
        WarningCode::BareWide => Code::BareWide,
        WarningCode::HostBits => Code::HostBits,
        WarningCode::UnknownStatus => Code::UnknownStatus,
        WarningCode::DuplicateId => Code::DuplicateId,
        WarningCode::IdleTimeframe => Code::IdleTimeframe,
        WarningCode::FilterWithoutNot => Code::FilterWithoutNot,
        WarningCode::FilterReference => Code::FilterReference,
        WarningCode::IdleFilter => Code::IdleFilter,
    }
}
