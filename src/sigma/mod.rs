//! Sigma rules: from YAML to what they mean.
//!
//! [`load`] reads files, folders and zip archives into [`Rule`]s, in which modifiers and conditions
//! are resolved, and tells of every document that it did not take. What a rule means is decided
//! here; how it is matched is the engine's affair.
//!
//! - `yaml`: text to a tree that keeps source text, order and places
//! - `stream`: the documents of a file and their `action`s
//! - `document`, `detection`, `condition`: a tree to a rule
//! - `correlation`: what correlations and filters are; `drafts`, `timespan`: a tree to one of these;
//!   `resolve`: what they refer to; `select`: what of all that is evaluated and reported
//! - `modifiers`, `values`, `pattern`, `expression`: `Field|chain: value` to tests
//! - `lint`: what is doubtful about rules as they are written
//! - `load`: where the text comes from
//! - `log_sources`: files that say what log sources are
//! - `regression`: SigmaHQ's tests of rules
//! - `builtin`: the rules that Harrier brings along

mod builtin;
mod condition;
mod correlation;
mod detection;
mod digest;
mod document;
mod drafts;
mod expression;
mod fault;
mod lint;
mod load;
mod log_sources;
mod modifiers;
pub mod pattern;
mod regression;
mod resolve;
pub mod rule;
mod select;
mod stream;
mod timespan;
mod values;
mod yaml;

pub use builtin::{load_builtin, load_builtin_with};
pub use correlation::{
    Alias, Correlation, CorrelationKind, Filter, FilterRules, Member, RangeBound, RangeTest,
};
pub use digest::{RuleRoot, digest_of};
pub use expression::REGEX_SIZE_LIMIT;
pub use fault::{RefusalKind, Refused, Warning, WarningCode};
pub use lint::{Code, Finding, Severity, TACTICS};
pub use load::{
    LoadOptions, LoadedRules, NotARule, RulePathError, Unreadable, load, load_bytes, load_str,
};
pub use log_sources::{
    EntryCondition, EntryOrigin, FieldMapping, LogSourceEntry, LogSourceFault, LogSourceFile,
    read_log_sources,
};
pub use regression::{RegressionInfo, RegressionTest, read_regression_info};
pub use rule::*;
pub use select::Selection;
