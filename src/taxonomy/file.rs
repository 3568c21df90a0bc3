//! Log sources of a file as log sources of the tables.
//!
//! An entry's `sources` are channels; its `rewrite` stands for whatever the log source stands for that
//! it names: other entries of the file first, then what was known before. Conditions narrow that:
//! `EventID` to event ids, any other field by a test of its values; `fieldmappings` make a view.
//!
//! What a file says that Windows event logs cannot have: files of text (`File:/var/log/…`) are known
//! to be somewhere else, so that a rule for them is not applicable rather than unknown.
//!
//! Invariants: an entry is taken as a whole or not at all, and then there is a fault with its line;
//! rewriting ends, and what it makes is bounded ([`MAX_REWRITES`], [`MAX_SOURCES`], [`MAX_ROWS`]).
//!
//! Source of facts: SigmaHQ's `tests/thor.yml`.

use super::mapped::{MAX_VIEWS, MappedViews, NameMap};
use super::source::{Mapping, Row, RowKind, Source, SourceCondition, Sources, Tier, product_of};
use super::view::View;
use crate::sigma::rule::{Dialect, LogSource};
use crate::sigma::{EntryOrigin, LogSourceEntry, LogSourceFault, LogSourceFile};
use crate::utf16;
use std::collections::HashMap;

/// How often a log source may be rewritten; thor.yml does it once.
const MAX_REWRITES: usize = 8;

/// How many kinds of events a log source may stand for. The tables have three at most; a file in
/// which many entries rewrite to many could ask for any number.
const MAX_SOURCES: usize = 1000;

/// How many kinds of events a file may speak of in all; thor.yml has about a hundred.
const MAX_ROWS: usize = 10_000;

/// How a place in a Windows event log is written, before the channel's name.
const EVENT_LOG: &str = "WinEventLog:";

/// Fields that are System's in every event, whatever a file calls them.
const FIXED: [&str; 2] = ["eventid", "provider_name"];

/// Adds the file's log sources, and gives what has no meaning here.
pub(super) fn add(
    file: &LogSourceFile,
    sources: &mut Sources,
    mapped: &mut MappedViews,
) -> Vec<LogSourceFault> {
    let mut by_name: HashMap<Name, Vec<&LogSourceEntry>> = HashMap::new();
    for entry in &file.entries {
        by_name.entry(name(&entry.logsource)).or_default().push(entry);
    }
    let mut reader = Reader { by_name, before: sources, mapped, done: HashMap::new() };
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    let mut counts: HashMap<Name, usize> = HashMap::new();
    for entry in &file.entries {
        let count = counts.entry(name(&entry.logsource)).or_default();
        let row = |kind| Row {
            product: entry.logsource.product.clone(),
            category: entry.logsource.category.clone(),
            service: entry.logsource.service.clone(),
            kind,
        };
        let meaning = reader.entry(entry, 0).and_then(|meaning| {
            let more = if let Meaning::Sources(found) = &meaning { found.len() } else { 1 };
            *count += more;
            if *count > MAX_SOURCES || rows.len() + more > MAX_ROWS {
                return Err(Lost { line: entry.line, reason: too_many() });
            }
            Ok(meaning)
        });
        match meaning {
            Ok(Meaning::Sources(found)) => {
                rows.extend(found.into_iter().map(|source| row(RowKind::Source(source))));
            }
            Ok(Meaning::Elsewhere(reason)) => rows.push(row(RowKind::Never(reason))),
            Err(fault) => faults.push(LogSourceFault {
                line: fault.line,
                column: 1,
                reason: format!("`{}`: {}; it is left out", entry.name, fault.reason),
                entry_lost: true,
            }),
        }
    }
    sources.replace(rows);
    faults
}

/// A log source by which entries and rows are known: product, category, service.
type Name = (String, Option<String>, Option<String>);

fn name(logsource: &LogSource) -> Name {
    let product = product_of(logsource.product.as_deref()).to_owned();
    (product, logsource.category.clone(), logsource.service.clone())
}

/// What an entry stands for.
#[derive(Debug, Clone)]
enum Meaning {
    Sources(Vec<Source>),
    /// Nothing in event logs, and why.
    Elsewhere(String),
}

#[derive(Debug, Clone)]
struct Lost {
    line: u32,
    reason: String,
}

struct Reader<'f> {
    by_name: HashMap<Name, Vec<&'f LogSourceEntry>>,
    before: &'f Sources,
    mapped: &'f mut MappedViews,
    /// What the log sources stand for that some entry was rewritten to.
    done: HashMap<Name, Result<Meaning, String>>,
}

impl Reader<'_> {
    fn entry(&mut self, entry: &LogSourceEntry, depth: usize) -> Result<Meaning, Lost> {
        let lost = |line, reason: String| Lost { line, reason };
        let names: NameMap =
            entry.fields.iter().map(|f| (utf16::folded(&f.name), f.targets.clone())).collect();
        if let Some(fixed) = entry.fields.iter().find(|f| is_fixed(&f.name)) {
            let reason =
                format!("`{}` is the same in every event and cannot be mapped", fixed.name);
            return Err(lost(fixed.line, reason));
        }
        let found = match &entry.origin {
            EntryOrigin::Sources(places) => places_of(places),
            EntryOrigin::Rewrite(to) => self.log_source(to, depth),
        };
        let mut sources = match found.map_err(|reason| lost(entry.line, reason))? {
            Meaning::Sources(sources) => sources,
            elsewhere @ Meaning::Elsewhere(_) => return Ok(elsewhere),
        };
        for source in &mut sources {
            // What was asked before was asked in the names of the events as they were seen then.
            if let Some(condition) =
                source.conditions.iter().find(|c| names.contains_key(&utf16::folded(&c.field)))
            {
                let reason = format!(
                    "`{}` is mapped, and a condition of what is rewritten to asks for it",
                    condition.field
                );
                return Err(lost(entry.line, reason));
            }
            source.tier = Tier::Default;
            source.view = self.mapped.view(source.view, &names).ok_or_else(|| {
                lost(entry.line, format!("there are more than {MAX_VIEWS} different mappings"))
            })?;
        }
        for condition in &entry.conditions {
            let line = condition.line;
            if utf16::folded(&condition.field) == FIXED[0] {
                let ids = event_ids(&condition.values, condition.or_absent);
                let ids = ids.map_err(|reason| lost(line, reason))?;
                sources.iter_mut().for_each(|source| narrow(source, &ids));
            } else {
                let values = condition.values.iter().map(|value| utf16::folded(value)).collect();
                let (field, or_absent) = (condition.field.clone(), condition.or_absent);
                let condition = SourceCondition { field, values, or_absent };
                sources.iter_mut().for_each(|source| source.conditions.push(condition.clone()));
            }
        }
        let before = sources.len();
        sources.retain(|source| source.event_ids.as_ref().is_none_or(|ids| !ids.is_empty()));
        if sources.is_empty() && before > 0 {
            return Err(lost(entry.line, "its conditions leave no event id".to_owned()));
        }
        Ok(Meaning::Sources(sources))
    }

    /// What a log source stands for that an entry is rewritten to.
    fn log_source(&mut self, logsource: &LogSource, depth: usize) -> Result<Meaning, String> {
        let known_as = name(logsource);
        if let Some(done) = self.done.get(&known_as) {
            return done.clone();
        }
        if depth >= MAX_REWRITES {
            return Err(format!(
                "rewriting goes round in a circle, or beyond {MAX_REWRITES} steps"
            ));
        }
        let meaning = self.find(logsource, &known_as, depth);
        self.done.insert(known_as, meaning.clone());
        meaning
    }

    fn find(
        &mut self,
        logsource: &LogSource,
        known_as: &Name,
        depth: usize,
    ) -> Result<Meaning, String> {
        let Some(entries) = self.by_name.get(known_as).cloned() else {
            return match self.before.mapping(logsource, Dialect::Sigma) {
                Mapping::Sources(sources) => Ok(Meaning::Sources(sources)),
                Mapping::NeverInEvtx { reason } => Ok(Meaning::Elsewhere(reason)),
                Mapping::OtherProduct | Mapping::Unknown => {
                    Err(format!("it is rewritten to {logsource}, of which nothing is known"))
                }
            };
        };
        let (mut sources, mut elsewhere) = (Vec::new(), None);
        for entry in entries {
            match self.entry(entry, depth + 1).map_err(|lost| lost.reason)? {
                Meaning::Sources(more) => sources.extend(more),
                Meaning::Elsewhere(reason) => elsewhere = Some(reason),
            }
            if sources.len() > MAX_SOURCES {
                return Err(too_many());
            }
        }
        match elsewhere {
            Some(reason) if sources.is_empty() => Ok(Meaning::Elsewhere(reason)),
            _ => Ok(Meaning::Sources(sources)),
        }
    }
}

fn too_many() -> String {
    format!(
        "a log source with it would stand for more than {MAX_SOURCES} kinds of events, or the file \
         for more than {MAX_ROWS}"
    )
}

fn is_fixed(field: &str) -> bool {
    FIXED.contains(&&*utf16::folded(field))
}

/// The channels among these places.
fn places_of(places: &[String]) -> Result<Meaning, String> {
    let (mut channels, mut elsewhere) = (Vec::new(), Vec::new());
    for place in places {
        let channel = place
            .split_at_checked(EVENT_LOG.len())
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(EVENT_LOG))
            .map(|(_, channel)| channel.trim());
        match channel {
            None if place.contains(':') => elsewhere.push(place.as_str()),
            None | Some("") => return Err(format!("the source `{place}` is not understood")),
            Some("*") => return Ok(Meaning::Sources(vec![Source::everything(View::Plain)])),
            Some(channel) if channel.contains(['*', '?']) => {
                return Err(format!("wildcards in a channel (`{place}`) are not understood"));
            }
            Some(channel) => channels.push(utf16::folded(channel)),
        }
    }
    if channels.is_empty() {
        return Ok(Meaning::Elsewhere(format!(
            "its events are said to be in {}, not in Windows event logs",
            elsewhere.join(", ")
        )));
    }
    Ok(Meaning::Sources(vec![Source { channels, ..Source::everything(View::Plain) }]))
}

fn event_ids(values: &[String], or_absent: bool) -> Result<Vec<u32>, String> {
    if or_absent {
        return Err("no event is without an event id".to_owned());
    }
    let id = |text: &String| {
        text.trim().parse::<u32>().map_err(|_| format!("the event id `{text}` is no number"))
    };
    let mut ids = values.iter().map(id).collect::<Result<Vec<_>, _>>()?;
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// Leaves only these event ids.
fn narrow(source: &mut Source, ids: &[u32]) {
    match &mut source.event_ids {
        Some(known) => known.retain(|id| ids.contains(id)),
        open @ None => *open = Some(ids.to_vec()),
    }
}
