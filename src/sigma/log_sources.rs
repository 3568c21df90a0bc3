//! Files that say what log sources are, as SigmaHQ keeps one for its checker (`tests/thor.yml`).
//!
//! ```yaml
//! logsources:
//!   anything:                  # a name for messages
//!     category: process_creation
//!     product: windows         # the log source that is explained
//!     conditions:
//!       EventID: 4688          # which of the events: each of these fields has one of its values
//!     rewrite:
//!       service: security      # what log source it comes from,
//!     fieldmappings:
//!       Image: NewProcessName  # what a rule's field is called there
//!   another:
//!     service: security
//!     sources:                 # or where its events are
//!       - 'WinEventLog:Security'
//! ```
//!
//! Here the file becomes plain data with places; what the data mean is the taxonomy's affair.
//! Several entries with one log source add up.
//!
//! Invariant: every key of the file is in an entry or in a [`LogSourceFault`] with its line, except
//! those that only describe the file ([`DESCRIBING`]). An entry of which some part is not understood
//! is left out as a whole: without the part it would stand for other events than its author meant.
//!
//! Source of facts: SigmaHQ's `tests/thor.yml`; the `sigmac` configurations that it comes from.

use std::fmt;

use super::fault::{At, Fault};
use super::rule::LogSource;
use super::yaml::{self, Document, Kind, Source, Yaml};

/// Keys of the file that say nothing of log sources.
const DESCRIBING: [&str; 3] = ["title", "order", "backends"];

/// What such a file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogSourceFile {
    /// The entries, in the order of the file.
    pub entries: Vec<LogSourceEntry>,
    /// What was not understood.
    pub faults: Vec<LogSourceFault>,
}

/// What is said of a log source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSourceEntry {
    /// Its name in the file.
    pub name: String,
    /// Where it begins.
    pub line: u32,
    /// The log source; what is not set is any.
    pub logsource: LogSource,
    /// What its events have to fulfil: all of these.
    pub conditions: Vec<EntryCondition>,
    /// Where its events are.
    pub origin: EntryOrigin,
    /// What rules call fields that have other names in these events; no name twice.
    pub fields: Vec<FieldMapping>,
}

/// Where the events of a log source are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryOrigin {
    /// In these places, for example `WinEventLog:Security`; never empty.
    Sources(Vec<String>),
    /// Where those of another log source are.
    Rewrite(LogSource),
}

/// A test that an entry makes of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryCondition {
    /// The field.
    pub field: String,
    /// Where it stands.
    pub line: u32,
    /// It has one of these values.
    pub values: Vec<String>,
    /// Or is absent (`null`).
    pub or_absent: bool,
}

/// What a rule's field is called in events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldMapping {
    /// Its name in rules.
    pub name: String,
    /// Where it stands.
    pub line: u32,
    /// Its names in events, never empty; with several it has the values of all.
    pub targets: Vec<String>,
}

/// Something in such a file that was not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSourceFault {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
    /// What is wrong.
    pub reason: String,
    /// Whether an entry was left out for it.
    pub entry_lost: bool,
}

impl LogSourceFault {
    fn of(fault: Fault, entry_lost: bool) -> LogSourceFault {
        let At { line, column } = fault.at;
        LogSourceFault { line, column, reason: fault.reason, entry_lost }
    }
}

impl fmt::Display for LogSourceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.reason)
    }
}

/// Reads a file of log sources.
///
/// # Errors
/// If it is none: not text, not YAML, or without `logsources`.
pub fn read_log_sources(bytes: &[u8]) -> Result<LogSourceFile, LogSourceFault> {
    let text = yaml::decode(bytes).map_err(|fault| LogSourceFault::of(fault, true))?;
    let source = Source::new(&text);
    let mut read = None;
    let mut more = Vec::new();
    yaml::documents(&source, |document: Document<'_>| match (&read, document.root) {
        (None, root) => read = Some(root.and_then(|root| file(&root))),
        (Some(_), Ok(root)) => {
            more.push(Fault::new(root.at, "a second document: only the first is read"));
        }
        (Some(_), Err(fault)) => more.push(fault),
    });
    let empty = || Err(Fault::new(At::START, "the file is empty"));
    let mut file = read.unwrap_or_else(empty).map_err(|fault| LogSourceFault::of(fault, true))?;
    file.faults.extend(more.into_iter().map(|fault| LogSourceFault::of(fault, true)));
    Ok(file)
}

fn file(root: &Yaml<'_>) -> Result<LogSourceFile, Fault> {
    let entries = map(root, "the file")?;
    let Some(logsources) = root.get("logsources") else {
        return Err(Fault::new(root.at, "there is no `logsources`"));
    };
    let mut file = LogSourceFile::default();
    let mut everywhere = Vec::new();
    for (key, value) in entries {
        match key.text.as_ref() {
            "logsources" => {}
            "fieldmappings" => match fields(value) {
                Ok(fields) => everywhere = fields,
                Err(fault) => file.faults.push(LogSourceFault::of(fault, true)),
            },
            known if DESCRIBING.contains(&known) => {}
            other => file.faults.push(unknown(key.at, other)),
        }
    }
    for (key, value) in map(logsources, "`logsources`")? {
        match entry(&key.text, key.at, value, &mut file.faults) {
            Ok(mut entry) => {
                let own = |mapping: &&FieldMapping| {
                    !entry.fields.iter().any(|own| same_name(&own.name, &mapping.name))
                };
                let more: Vec<_> = everywhere.iter().filter(own).cloned().collect();
                entry.fields.extend(more);
                file.entries.push(entry);
            }
            Err(mut fault) => {
                fault.reason = format!("`{}`: {}; it is left out", key.text, fault.reason);
                file.faults.push(LogSourceFault::of(fault, true));
            }
        }
    }
    Ok(file)
}

fn unknown(at: At, key: &str) -> LogSourceFault {
    LogSourceFault::of(Fault::new(at, format!("the key `{key}` is not known and ignored")), false)
}

fn entry(
    name: &str,
    at: At,
    value: &Yaml<'_>,
    faults: &mut Vec<LogSourceFault>,
) -> Result<LogSourceEntry, Fault> {
    let mut entry = LogSourceEntry {
        name: name.to_owned(),
        line: at.line,
        logsource: log_source(value)?,
        conditions: Vec::new(),
        origin: EntryOrigin::Sources(Vec::new()),
        fields: Vec::new(),
    };
    let (mut sources, mut rewrite) = (None, None);
    for (key, value) in map(value, "the entry")? {
        match key.text.as_ref() {
            "category" | "product" | "service" => {}
            "conditions" | "fieldmappings" if value.is_null() => {}
            "conditions" => entry.conditions = conditions(value)?,
            "fieldmappings" => entry.fields = fields(value)?,
            "sources" => sources = Some(texts(value, "`sources`")?),
            "rewrite" => {
                for (key, _) in map(value, "`rewrite`")? {
                    if !matches!(key.text.as_ref(), "category" | "product" | "service") {
                        faults.push(unknown(key.at, &key.text));
                    }
                }
                let to = log_source(value)?;
                if to == LogSource::default() {
                    return Err(Fault::new(value.at, "`rewrite` names no log source"));
                }
                rewrite = Some(to);
            }
            other => faults.push(unknown(key.at, other)),
        }
    }
    if entry.logsource == LogSource::default() {
        return Err(Fault::new(at, "it names no category, product or service"));
    }
    entry.origin = match (sources, rewrite) {
        (Some(sources), None) => EntryOrigin::Sources(sources),
        (None, Some(mut rewrite)) => {
            // The product is the entry's own unless it says otherwise.
            rewrite.product = rewrite.product.or_else(|| entry.logsource.product.clone());
            EntryOrigin::Rewrite(rewrite)
        }
        (None, None) => {
            return Err(Fault::new(at, "it has neither `sources` nor `rewrite`"));
        }
        (Some(_), Some(_)) => return Err(Fault::new(at, "it has both `sources` and `rewrite`")),
    };
    Ok(entry)
}

fn log_source(node: &Yaml<'_>) -> Result<LogSource, Fault> {
    let attribute = |key: &str| match node.get(key) {
        None => Ok(None),
        Some(value) if value.is_null() => Ok(None),
        Some(value) => match value.text() {
            Some(text) if !text.is_empty() => Ok(Some(text.to_lowercase())),
            _ => Err(Fault::new(value.at, format!("`{key}` is {}, not text", value.noun()))),
        },
    };
    Ok(LogSource {
        product: attribute("product")?,
        category: attribute("category")?,
        service: attribute("service")?,
    })
}

fn conditions(node: &Yaml<'_>) -> Result<Vec<EntryCondition>, Fault> {
    let mut conditions = Vec::new();
    for (key, value) in map(node, "`conditions`")? {
        if key.text.is_empty() || key.text.contains('|') {
            return Err(Fault::new(key.at, "a condition wants the name of a field"));
        }
        let mut condition = EntryCondition {
            field: key.text.to_string(),
            line: key.at.line,
            values: Vec::new(),
            or_absent: false,
        };
        for value in items(value) {
            let Some(scalar) = value.scalar() else {
                let reason = format!("a value of a condition is {}", value.noun());
                return Err(Fault::new(value.at, reason));
            };
            if scalar.is_null() {
                condition.or_absent = true;
            } else if scalar.text.contains(['*', '?']) {
                return Err(Fault::new(value.at, "wildcards in a condition are not understood"));
            } else {
                condition.values.push(scalar.text.to_string());
            }
        }
        if condition.values.is_empty() && !condition.or_absent {
            return Err(Fault::new(value.at, "a condition without a value"));
        }
        conditions.push(condition);
    }
    Ok(conditions)
}

fn fields(node: &Yaml<'_>) -> Result<Vec<FieldMapping>, Fault> {
    let mut fields: Vec<FieldMapping> = Vec::new();
    for (key, value) in map(node, "`fieldmappings`")? {
        if key.text.is_empty() {
            return Err(Fault::new(key.at, "a field without a name"));
        }
        if fields.iter().any(|known| same_name(&known.name, &key.text)) {
            let reason = format!("the field `{}` is mapped twice", key.text);
            return Err(Fault::new(key.at, reason));
        }
        let (name, line) = (key.text.to_string(), key.at.line);
        fields.push(FieldMapping { name, line, targets: texts(value, "a field's name")? });
    }
    Ok(fields)
}

/// Field names differ regardless of case.
fn same_name(a: &str, b: &str) -> bool {
    crate::utf16::folded(a) == crate::utf16::folded(b)
}

type Entries<'y, 'a> = &'y [(yaml::Key<'a>, Yaml<'a>)];

fn map<'y, 'a>(node: &'y Yaml<'a>, what: &str) -> Result<Entries<'y, 'a>, Fault> {
    match &node.kind {
        Kind::Map(entries) => Ok(entries),
        _ => Err(Fault::new(node.at, format!("{what} is {}, not a map", node.noun()))),
    }
}

/// The items of a list; a single value is a list of one.
fn items<'y, 'a>(node: &'y Yaml<'a>) -> &'y [Yaml<'a>] {
    match &node.kind {
        Kind::List(items) => items,
        _ => std::slice::from_ref(node),
    }
}

fn texts(node: &Yaml<'_>, what: &str) -> Result<Vec<String>, Fault> {
    let text = |item: &Yaml<'_>| match item.text() {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(Fault::new(item.at, format!("{what} is {}, not text", item.noun()))),
    };
    let texts: Vec<String> = items(node).iter().map(text).collect::<Result<_, _>>()?;
    if texts.is_empty() {
        return Err(Fault::new(node.at, format!("{what}: the list is empty")));
    }
    Ok(texts)
}

#[cfg(test)]
mod tests;
