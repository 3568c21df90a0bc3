//! `harrier.ledger/1`: the ledger as JSON, a source and a rule a line.
//!
//! Sources are written as they are finished, so that the file of a run over a hundred thousand logs
//! needs no memory; totals stand at the end.

use super::{
    Counts, DamageEntry, Damages, FilterEntry, First, Host, Ledger, RuleEntry, SourceEntry,
    SourceState,
};
use crate::event::format_file_time as time;
use serde_json::{Value, json};
use std::io::{self, Write};

const SCHEMA: &str = "harrier.ledger/1";

/// The file of a ledger, begun.
pub struct LedgerFile {
    out: Box<dyn Write + Send>,
    sources: u64,
}

impl std::fmt::Debug for LedgerFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LedgerFile").field("sources", &self.sources).finish_non_exhaustive()
    }
}

impl LedgerFile {
    /// Begins the file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin(mut out: Box<dyn Write + Send>) -> io::Result<LedgerFile> {
        let version = env!("CARGO_PKG_VERSION");
        write!(out, "{{\n\"schema\":\"{SCHEMA}\",\n\"harrier\":\"{version}\",\n\"sources\":[")?;
        Ok(LedgerFile { out, sources: 0 })
    }

    pub(super) fn source(&mut self, entry: &SourceEntry) -> io::Result<()> {
        let line = json!({
            "path": entry.path,
            "stored_as": entry.stored_as,
            "host": entry.host,
            "size": entry.size,
            "container": entry.container,
            "found": entry.found,
            "state": entry.state.as_str(),
            "reason": entry.reason,
            "chunks": chunks(&entry.counts),
            "records": records(&entry.counts),
            "hits": entry.counts.all_hits(),
            "filtered_hits": entry.counts.hits_filtered,
            "copies": entry.counts.copies,
            "copies_of": entry.firsts.iter().map(first).collect::<Vec<_>>(),
            "more_copies": entry.more_firsts(),
            "first_time": entry.counts.times.map(|span| time(span.first)),
            "last_time": entry.counts.times.map(|span| time(span.last)),
            "damages": places(&entry.damages),
            "more_damages": entry.damages.rest(),
            "findings": places(&entry.findings),
            "more_findings": entry.findings.rest(),
        });
        self.sources += 1;
        item(&mut self.out, self.sources == 1, &line)
    }

    pub(super) fn finish(mut self, ledger: &Ledger) -> io::Result<()> {
        let out = &mut self.out;
        write!(out, "\n],\n\"rules\":[")?;
        for (n, rule) in ledger.rules.iter().enumerate() {
            item(out, n == 0, &rule_line(rule))?;
        }
        write!(out, "\n],\n\"filters\":[")?;
        for (n, filter) in ledger.filters.iter().enumerate() {
            item(out, n == 0, &filter_line(filter))?;
        }
        writeln!(out, "\n],\n\"custody\":{},", custody(ledger))?;
        writeln!(out, "\"totals\":{}\n}}", totals(ledger))?;
        out.flush()
    }
}

fn first(first: &First) -> Value {
    json!({"path": first.path, "records": first.records})
}

fn places(damages: &Damages) -> Vec<Value> {
    let place = |damage: &DamageEntry| json!({"offset": damage.offset, "reason": damage.reason});
    damages.kept.iter().map(place).collect()
}

fn item(out: &mut impl Write, first: bool, line: &Value) -> io::Result<()> {
    write!(out, "{}\n{line}", if first { "" } else { "," })
}

fn rule_line(rule: &RuleEntry) -> Value {
    json!({
        "source": rule.origin,
        "id": rule.id,
        "title": rule.title,
        "about": rule.about,
        "tactics": rule.tactics,
        "state": rule.state.as_str(),
        "reason": rule.reason,
        "hits": rule.hits,
        "filtered": rule.filtered,
    })
}

fn filter_line(filter: &FilterEntry) -> Value {
    json!({
        "source": filter.origin,
        "id": filter.id,
        "title": filter.title,
        "rules": filter.rules,
        "hits_taken": filter.hits,
    })
}

/// Null if nobody looked after the files.
fn custody(ledger: &Ledger) -> Value {
    let fault = |(path, reason): &(String, String)| json!({"path": path, "reason": reason});
    ledger.custody.as_ref().map(|faults| faults.iter().map(fault).collect::<Vec<_>>()).into()
}

fn chunks(counts: &Counts) -> Value {
    let chunks = &counts.chunks;
    json!({
        "slots": chunks.slots,
        "read": chunks.read,
        "irregular": chunks.irregular,
        "unused": chunks.unused,
        "unreadable": chunks.unreadable,
    })
}

fn records(counts: &Counts) -> Value {
    let records = &counts.records;
    json!({
        "seen": records.seen,
        "fast": records.fast,
        "slow": records.slow,
        "recovered": records.recovered,
        "unrecoverable": records.unrecoverable,
        "filtered": records.filtered,
        "unreadable": records.unreadable,
        "hit": counts.records_hit,
        "copied": counts.records_copied,
    })
}

fn host(host: &Host) -> Value {
    json!({
        "computer": host.name,
        "hits": host.all_hits(),
        "first_time": host.span.map(|span| time(span.first)),
        "last_time": host.span.map(|span| time(span.last)),
    })
}

fn correlations(ledger: &Ledger) -> Value {
    let correlated = &ledger.correlated;
    json!({
        "hits_met": correlated.met,
        "counted": correlated.joined,
        "without_group": correlated.without_group,
        "without_value": correlated.without_value,
        "without_time": correlated.without_time,
        "copies": correlated.copies,
        "findings": correlated.all_findings(),
    })
}

fn totals(ledger: &Ledger) -> Value {
    let (sources, rules) = (ledger.sources, ledger.rule_totals());
    let [informational, low, medium, high, critical] = ledger.counts.hits;
    json!({
        "complete": ledger.complete(),
        "cut_short": ledger.cut_short,
        "interrupted": ledger.interrupted,
        "event_filter": ledger.event_filter,
        "met": sources.met,
        "sources": {
            "all": sources.all(),
            "read": sources.state(SourceState::Read),
            "damaged": sources.state(SourceState::Damaged),
            "empty": sources.state(SourceState::Empty),
            "not_an_event_log": sources.state(SourceState::NotALog),
            "unreadable": sources.state(SourceState::Unreadable),
            "interrupted": sources.state(SourceState::Interrupted),
            "encrypted": sources.state(SourceState::Encrypted),
            "unsupported": sources.state(SourceState::Unsupported),
            "with_copies": sources.with_copies,
            "bytes": sources.bytes,
        },
        "beside": {
            "containers": sources.containers,
            "containers_damaged": sources.containers_damaged,
            "shadow_copies_not_read": sources.shadow_copies,
            "other_files": sources.other_files,
            "duplicates": sources.duplicates,
            "links_not_followed": sources.links,
            "special_files": sources.special,
            "parts_of_images": sources.parts,
        },
        "chunks": chunks(&ledger.counts),
        "records": records(&ledger.counts),
        "rules": {
            "all": rules.met,
            "loaded": rules.loaded,
            "blind": rules.blind,
            "left_out": rules.left_out,
            "not_applicable": rules.not_applicable,
            "refused": rules.refused,
        },
        "hits": {
            "total": ledger.counts.all_hits(),
            "critical": critical,
            "high": high,
            "medium": medium,
            "low": low,
            "informational": informational,
            "filtered": ledger.counts.hits_filtered,
            "copies": ledger.counts.copies,
        },
        "correlations": correlations(ledger),
        "context": ledger.context,
        "records_forgotten": ledger.forgotten,
        "first_time": ledger.counts.times.map(|span| time(span.first)),
        "last_time": ledger.counts.times.map(|span| time(span.last)),
        "tactics": ledger.tactics().into_iter().map(|(name, hits)| (name.to_owned(), hits.into()))
            .collect::<serde_json::Map<_, Value>>(),
        "hosts": ledger.tally.hosts().iter().map(host).collect::<Vec<_>>(),
        "hits_on_further_hosts": ledger.tally.elsewhere(),
        "problems": ledger.problems_total,
        "imbalances": ledger.imbalances(),
    })
}
