//! `harrier list`.

use super::args::EvidenceArgs;
use super::summary::{bytes, grouped};
use super::{Exit, evidence, interrupt, passwords, say};
use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use harrier::{
    bytes::ReadAt,
    engine::RuleSet,
    event::format_file_time,
    evidence::Walk,
    hunt::{CarvedChunk, Hunt, Inventory, LogEntry},
    ledger::{Aside, SourceEntry, SourceState, Span},
    report::escape,
    taxonomy::{Options, Taxonomy},
};
use serde_json::json;
use std::{
    collections::BTreeMap,
    io::{ErrorKind, Write},
    sync::Arc,
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  harrier list case/
  harrier list DC01.E01 --format csv > logs.csv
  harrier list case/ --format json | jq 'select(.missing_ids > 0) | .path'

A line for each log, container, and thing that could not be looked at, in the order of the evidence:
how it was there (live, deleted, carved, slack), what it is and whether hunt reads it, size, chunks and how
many of them are damaged, records, ids that are missing between the first and the last, channel,
computer, and from when to when it reaches. json is an object a line, schema harrier.list/1.

Exit codes: 0 all was looked at; 1 something could not be read or is damaged; 2 nothing was.")]
pub struct ListArgs {
    #[command(flatten)]
    pub evidence: EvidenceArgs,
    /// How the list looks
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = ListFormat::Table)]
    pub format: ListFormat,
    /// Say nothing but errors on standard error
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// To be read
    Table,
    /// A JSON object on each line
    Json,
    /// Comma-separated values
    Csv,
}

const COLUMNS: [&str; 19] = [
    "Path",
    "State",
    "Kind",
    "Hunted",
    "Reason",
    "Size",
    "Dirty",
    "Full",
    "Chunks",
    "ChunksBad",
    "Records",
    "Recovered",
    "Unreadable",
    "FirstID",
    "LastID",
    "MissingIDs",
    "Channel",
    "Computer",
    "TimeUTC",
];

/// Tells what there is.
pub fn run(args: &ListArgs) -> Result<Exit> {
    let paths = evidence::resolve(&args.evidence)?;
    let access = passwords::access(&args.evidence, args.quiet)?;
    let access = access.carving(evidence::carving(&args.evidence));
    let interrupt = interrupt::watch().context("interruptions cannot be handled")?;
    let rules = RuleSet::compile(Vec::new(), Taxonomy::builtin(Options::default()));
    let recover = args.evidence.recover;
    let hunt = Hunt { recover, cancel: Some(&interrupt), ..Hunt::new(&rules) };
    let mut list = List { format: args.format, out: Box::new(std::io::stdout()), ..List::new() };
    let written = list.begin().and_then(|()| {
        hunt.inventory(Walk::new(&paths).with(access), true, &mut list)?;
        list.out.flush()
    });
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(Exit::Complete),
        written => written.context("the list cannot be written")?,
    }
    if list.logs + list.others == 0 && !interrupt.load(std::sync::atomic::Ordering::Relaxed) {
        bail!("{}: no event logs there: check the path", evidence::names(&paths));
    }
    if !args.quiet {
        say(&format!(
            "Logs       {}, {} of them damaged; {} could not be looked at; {} other files",
            grouped(list.logs),
            grouped(list.damaged),
            grouped(list.unread),
            grouped(list.other_files)
        ));
    }
    Ok(match interrupt.load(std::sync::atomic::Ordering::Relaxed) {
        true => Exit::Interrupted,
        false if list.damaged + list.unread > 0 => Exit::Incomplete,
        false => Exit::Complete,
    })
}

struct List {
    format: ListFormat,
    out: Box<dyn Write>,
    logs: u64,
    damaged: u64,
    others: u64,
    unread: u64,
    other_files: u64,
}

impl List {
    fn new() -> List {
        List {
            format: ListFormat::Table,
            out: Box::new(std::io::sink()),
            logs: 0,
            damaged: 0,
            others: 0,
            unread: 0,
            other_files: 0,
        }
    }

    fn begin(&mut self) -> std::io::Result<()> {
        match self.format {
            ListFormat::Csv => self.csv(&COLUMNS.map(str::to_owned)),
            _ => Ok(()),
        }
    }

    fn csv(&mut self, cells: &[String]) -> std::io::Result<()> {
        // What a spreadsheet would take for a formula is text.
        let cell = |cell: &String| {
            let formula = cell.trim_start().starts_with(['=', '+', '-', '@', '\t', '\r']);
            escape::lined(&if formula { format!("'{cell}") } else { cell.clone() })
        };
        let mut row = csv::Writer::from_writer(Vec::new());
        row.write_record(cells.iter().map(cell))?;
        let row = row.into_inner().map_err(|error| std::io::Error::other(error.to_string()))?;
        self.out.write_all(&row)
    }
}

/// The names, those with the most records first.
fn names(names: &BTreeMap<String, u64>) -> Vec<&str> {
    let mut names: Vec<(&str, u64)> = names.iter().map(|(name, n)| (name.as_str(), *n)).collect();
    names.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    names.into_iter().map(|(name, _)| name).collect()
}

fn few(all: &[&str]) -> String {
    match all {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}

fn span(times: Option<Span>) -> String {
    times.map_or_else(String::new, |span| {
        format!("{} to {}", format_file_time(span.first), format_file_time(span.last))
    })
}

impl Inventory for List {
    fn chunk(&mut self, _: &str, _: CarvedChunk<'_>) -> std::io::Result<()> {
        Ok(())
    }

    fn log(&mut self, entry: LogEntry, _: &Arc<dyn ReadAt>) -> std::io::Result<()> {
        self.logs += 1;
        let damaged = entry.chunks_bad > 0 || entry.unreadable > 0;
        self.damaged += u64::from(damaged);
        let (channels, computers) = (names(&entry.channels), names(&entry.computers));
        let kind = if entry.raw { "raw bytes" } else { "log" };
        let (first, last) = entry.ids.unzip();
        match self.format {
            ListFormat::Json => {
                let line = json!({
                    "schema": "harrier.list/1",
                    "path": entry.path, "stored_as": entry.stored_as, "host": entry.host,
                    "found": entry.found, "kind": kind, "hunted": true,
                    "reason": null, "size": entry.size, "dirty": entry.dirty, "full": entry.full,
                    "chunks": entry.chunks, "chunks_bad": entry.chunks_bad,
                    "records": entry.records, "recovered": entry.recovered,
                    "unreadable": entry.unreadable, "first_id": first, "last_id": last,
                    "missing_ids": entry.missing_ids, "channels": channels,
                    "computers": computers,
                    "first_time": entry.times.map(|span| format_file_time(span.first)),
                    "last_time": entry.times.map(|span| format_file_time(span.last)),
                });
                let mut text = Vec::new();
                escape::json_text(&line.to_string(), &mut text);
                text.push(b'\n');
                self.out.write_all(&text)
            }
            ListFormat::Csv => {
                let id = |id: Option<u64>| id.map_or_else(String::new, |id| id.to_string());
                let row = [
                    entry.path.clone(),
                    entry.found.to_owned(),
                    kind.to_owned(),
                    "yes".to_owned(),
                    String::new(),
                    entry.size.to_string(),
                    entry.dirty.to_string(),
                    entry.full.to_string(),
                    entry.chunks.to_string(),
                    entry.chunks_bad.to_string(),
                    entry.records.to_string(),
                    entry.recovered.to_string(),
                    entry.unreadable.to_string(),
                    id(first),
                    id(last),
                    entry.missing_ids.to_string(),
                    channels.join(" | "),
                    computers.join(" | "),
                    span(entry.times),
                ];
                self.csv(&row)
            }
            ListFormat::Table => {
                let mut about = vec![
                    format!("{kind}, {}", entry.found),
                    bytes(entry.size as f64),
                    format!("{} chunks", grouped(entry.chunks)),
                    format!("{} records", grouped(entry.records)),
                ];
                let more = [
                    (entry.chunks_bad, "damaged chunks"),
                    (entry.recovered, "recovered"),
                    (entry.unreadable, "unreadable"),
                    (entry.missing_ids, "ids missing"),
                ];
                let more = more.iter().filter(|(n, _)| *n > 0);
                about.extend(more.map(|(n, what)| format!("{} {what}", grouped(*n))));
                let flags = [(entry.dirty, "dirty"), (entry.full, "full")];
                about
                    .extend(flags.iter().filter(|(is, _)| *is).map(|(_, what)| (*what).to_owned()));
                writeln!(self.out, "{}", escape::lined(&entry.path))?;
                writeln!(self.out, "    {}", about.join(", "))?;
                if let Some((first, last)) = entry.ids {
                    let (channels, computers) = (few(&channels), few(&computers));
                    let of = escape::lined(&format!("{channels} of {computers}"));
                    writeln!(self.out, "    {of}, ids {first} to {last}")?;
                    writeln!(self.out, "    {}", span(entry.times))?;
                }
                Ok(())
            }
        }
    }

    fn other(&mut self, entry: &SourceEntry) -> std::io::Result<()> {
        self.others += 1;
        let container = entry.container.is_some();
        let read = container && entry.state == SourceState::Read;
        self.unread += u64::from(!read);
        let kind = entry.container.unwrap_or(entry.state.as_str());
        let reason = entry.reason.as_deref().unwrap_or("");
        match self.format {
            ListFormat::Json => {
                let line = json!({
                    "schema": "harrier.list/1",
                    "path": entry.path, "found": entry.found, "kind": kind, "hunted": read,
                    "reason": entry.reason, "size": entry.size,
                });
                let mut text = Vec::new();
                escape::json_text(&line.to_string(), &mut text);
                text.push(b'\n');
                self.out.write_all(&text)
            }
            ListFormat::Csv => {
                let hunted = if read { "yes" } else { "no" };
                let mut row: Vec<String> =
                    [&entry.path, entry.found, kind, hunted, reason].map(str::to_owned).to_vec();
                row.push(entry.size.to_string());
                row.resize(COLUMNS.len(), String::new());
                self.csv(&row)
            }
            ListFormat::Table => {
                writeln!(self.out, "{}", escape::lined(&entry.path))?;
                let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
                let size = bytes(entry.size as f64);
                writeln!(self.out, "    {}", escape::lined(&format!("{kind}, {size}{why}")))
            }
        }
    }

    fn aside(&mut self, _: Aside) {
        self.other_files += 1;
    }
}
