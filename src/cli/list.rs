//! `harrier list`.
//!
//! The table is to be read on a terminal: a line for each log, under the folder that it is in, and
//! above them what the container is and how the disk in it is divided. CSV and JSON have a row for each
//! log, partition and container.

use super::args::{self, EvidenceArgs};
use super::custody::{self, About, Custody, CustodyArgs};
use super::output::{Accounts, Place};
use super::summary::{bytes, grouped};
use super::target::Target;
use super::{Exit, account, evidence, interrupt, passwords, say, say_error, threads};
use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use harrier::{
    engine::RuleSet,
    event::format_file_time,
    evidence::{Access, Partition, Walk},
    hunt::{Begun, CarvedChunk, Hunt, Inventory, LogEntry},
    ledger::{Aside, Ledger, SourceEntry, SourceState, Span},
    report::escape,
    taxonomy::{Options, Taxonomy},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::{self, ErrorKind, Write},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  harrier list case/
  harrier list DC01.E01 --format csv > logs.csv
  harrier list case/ --format json | jq 'select(.missing_ids > 0) | .path'

Whatever is there, in the order of the evidence: containers, the partitions of disks with what is in
them, logs, and what could not be looked at; and whether hunt reads it. The table has a line for each
log: records, size, from when to when it reaches, computer, name, and in brackets what is odd about it.
csv and json have more: how it was there (live, deleted, carved, slack), chunks and how many of them are
damaged, ids that are missing between the first and the last, channels, computers; of partitions
offset, size and file system. json is an object a line, schema harrier.list/1.

Exit codes: 0 all was looked at; 1 something could not be read or is damaged; 2 nothing was.")]
pub struct ListArgs {
    #[command(flatten)]
    pub evidence: EvidenceArgs,
    /// How the list looks
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = ListFormat::Table)]
    pub format: ListFormat,
    /// Write an account of every source, chunk and record to FILE, as JSON
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,

    #[command(flatten)]
    pub custody: CustodyArgs,

    /// How many threads; all processors if not given
    #[arg(long, value_name = "N", value_parser = args::threads)]
    pub threads: Option<usize>,
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

const COLUMNS: [&str; 25] = [
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
    "Holds",
    "Offset",
    "Scheme",
    "Logs",
    "Deleted",
    "ShadowCopies",
];

/// Tells what there is.
pub fn run(args: &ListArgs) -> Result<Exit> {
    args.custody.check()?;
    let paths = evidence::resolve(&args.evidence)?;
    let access = passwords::access(&args.evidence, args.quiet)?;
    let access = access.carving(evidence::carving(&args.evidence));
    let interrupt = interrupt::watch().context("interruptions cannot be handled")?;
    let accounts = Accounts::new(args.ledger.as_deref(), args.custody.manifest.as_deref());
    Place::check("the list", &Place::Stdout, &accounts, &paths)?;
    let ledger = accounts.ledger.as_ref().map(Place::open).transpose()?;
    let about = About {
        hash: args.custody.hash.hash,
        paths: &paths,
        access: &access,
        threads: threads(args.threads),
        interrupt: &interrupt,
        progress: !args.quiet,
        options: json!({
            "threads": threads(args.threads),
            "carve": evidence::carve_word(&args.evidence),
            "recover": args.evidence.recover,
        }),
        rules: None,
        inputs: custody::inputs_of_evidence(&args.evidence),
    };
    let manifest = accounts.manifest.as_ref().map(Place::open).transpose()?;
    let mut custody = Custody::begin(manifest, &about)?;
    let ledger = ledger.map(|ledger| custody.noted("ledger", ledger));
    let done = list(args, (&paths, access), &interrupt, ledger, &mut custody);
    custody.finish(done)
}

fn list(
    args: &ListArgs,
    (paths, access): (&[PathBuf], Access),
    interrupt: &Arc<AtomicBool>,
    ledger: Option<Target>,
    custody: &mut Custody,
) -> Result<Exit> {
    let (ledger_file, ledger_pending) = account::open_ledger(ledger)?;
    let rules = RuleSet::compile(Vec::new(), Taxonomy::builtin(Options::default()));
    let (recover, threads) = (args.evidence.recover, threads(args.threads));
    let hunt = Hunt { recover, threads, cancel: Some(interrupt), ..Hunt::new(&rules) };
    let walk = || Walk::new(paths).with(access.clone());
    let learned = evidence::learn(&args.evidence, &hunt, &walk)?;
    let hunt = Hunt { learned: learned.as_ref(), ..hunt };
    let out = custody.noting("list", "standard output", Box::new(io::stdout()));
    let mut list = List { format: args.format, out, ..List::new(Ledger::new(ledger_file)) };
    let written = list.begin().and_then(|()| {
        let told = hunt.inventory(walk(), true, &|_, _| Ok(()), &mut list)?;
        list.out.flush()?;
        Ok(told)
    });
    let told = match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            custody.because("the reader of the list went away");
            return Ok(Exit::Complete);
        }
        written => written.context("the list cannot be written")?,
    };
    custody.written("list");
    let interrupted = interrupt.load(Ordering::Relaxed);
    account::inventoried(&mut list.ledger, told, interrupted);
    custody.settle(Some(&mut list.ledger))?;
    custody.faults().iter().for_each(|fault| say_error(fault));
    if account::finish(&mut list.ledger, ledger_pending)?.is_break() {
        return Ok(Exit::Complete);
    }
    custody.written("ledger");
    if list.logs + list.others == 0 && !interrupted {
        bail!("{}: no event logs there: check the path", evidence::names(paths));
    }
    if !args.quiet {
        list.summary();
    }
    let balanced = account::balanced(&list.ledger);
    Ok(match interrupted {
        true => Exit::Interrupted,
        false if list.ledger.complete() && balanced => Exit::Complete,
        false => Exit::Incomplete,
    })
}

struct List {
    format: ListFormat,
    out: Box<dyn Write + Send>,
    /// The folder that was named last.
    folder: String,
    /// The partitions of the disks that are being told of, which are told already.
    partitions: Vec<String>,
    logs: u64,
    damaged: u64,
    others: u64,
    unread: u64,
    other_files: u64,
    shadow_copies: u64,
    ledger: Ledger,
}

impl List {
    fn new(ledger: Ledger) -> List {
        List {
            format: ListFormat::Table,
            out: Box::new(io::sink()),
            folder: String::new(),
            partitions: Vec::new(),
            logs: 0,
            damaged: 0,
            others: 0,
            unread: 0,
            other_files: 0,
            shadow_copies: 0,
            ledger,
        }
    }

    fn begin(&mut self) -> io::Result<()> {
        match self.format {
            ListFormat::Csv => self.csv(&COLUMNS.map(str::to_owned)),
            ListFormat::Table => {
                self.row("Records", "Size", ["First (UTC)", "Last", "Computer"], "Log")
            }
            ListFormat::Json => Ok(()),
        }
    }

    fn summary(&self) {
        let mut said = format!(
            "Logs       {}, {} of them damaged; {} could not be looked at; {} other files",
            grouped(self.logs),
            grouped(self.damaged),
            grouped(self.unread),
            grouped(self.other_files)
        );
        if self.shadow_copies > 0 {
            said += &format!("; {} shadow copies not read", grouped(self.shadow_copies));
        }
        say(&said);
    }

    fn json(&mut self, line: &Value) -> io::Result<()> {
        let mut text = Vec::new();
        escape::json_text(&line.to_string(), &mut text);
        text.push(b'\n');
        self.out.write_all(&text)
    }

    fn csv(&mut self, cells: &[String]) -> io::Result<()> {
        // What a spreadsheet would take for a formula is text.
        let cell = |cell: &String| {
            let formula = cell.trim_start().starts_with(['=', '+', '-', '@', '\t', '\r']);
            escape::lined(&if formula { format!("'{cell}") } else { cell.clone() })
        };
        let mut row = csv::Writer::from_writer(Vec::new());
        row.write_record(cells.iter().map(cell))?;
        let row = row.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
        self.out.write_all(&row)
    }

    /// A row of CSV of cells by their columns.
    fn cells(&mut self, cells: &[(&str, String)]) -> io::Result<()> {
        let of = |column: &&str| cells.iter().find(|(name, _)| name == column);
        let row: Vec<String> = COLUMNS
            .iter()
            .map(|column| of(column).map_or_else(String::new, |(_, cell)| cell.clone()))
            .collect();
        self.csv(&row)
    }

    fn line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{}", escape::lined(text).trim_end())
    }

    /// A line of the table. The name stands last, so that it needs no room that it does not take.
    fn row(
        &mut self,
        records: &str,
        size: &str,
        [first, last, computer]: [&str; 3],
        name: &str,
    ) -> io::Result<()> {
        let computer = cut(computer);
        self.line(&format!(
            "{records:>9} {size:>8}  {first:<16}  {last:<16}  {computer:<COMPUTER$}  {name}"
        ))
    }

    /// The name of something below the folder that it is in, which is told before the first in it.
    fn below<'p>(&mut self, path: &'p str) -> io::Result<&'p str> {
        let at = path.rfind(['/', '\\', '!']).map_or(0, |at| at + 1);
        let (folder, name) = path.split_at(at);
        if folder != self.folder {
            self.folder = folder.to_owned();
            self.line(if folder.is_empty() { "./" } else { folder })?;
        }
        Ok(name)
    }

    fn partition(&mut self, partition: &Partition, scheme: Option<&str>) -> io::Result<()> {
        let Partition { name, offset, size, holds, logs, deleted, shadow_copies, reason } =
            partition;
        self.shadow_copies += shadow_copies;
        let hunted = reason.is_none();
        match self.format {
            ListFormat::Json => self.json(&json!({
                "schema": "harrier.list/1",
                "path": name, "found": null, "kind": "partition", "hunted": hunted,
                "reason": reason, "size": size, "holds": holds, "offset": offset, "scheme": scheme,
                "logs": logs, "deleted": deleted, "shadow_copies": shadow_copies,
            })),
            ListFormat::Csv => self.cells(&[
                ("Path", name.clone()),
                ("Kind", "partition".to_owned()),
                ("Hunted", yes(hunted).to_owned()),
                ("Reason", reason.clone().unwrap_or_default()),
                ("Size", size.to_string()),
                ("Holds", (*holds).to_owned()),
                ("Offset", offset.to_string()),
                ("Scheme", scheme.unwrap_or_default().to_owned()),
                ("Logs", logs.to_string()),
                ("Deleted", deleted.to_string()),
                ("ShadowCopies", shadow_copies.to_string()),
            ]),
            ListFormat::Table => {
                let short = name.rsplit_once('#').map_or("volume", |(_, short)| short);
                let place = match scheme {
                    Some(_) => format!("{} at {}", bytes(*size as f64), bytes(*offset as f64)),
                    None => bytes(*size as f64),
                };
                let mut about = format!("  {short:<4} {holds}, {place}: ");
                match reason {
                    // What it is stands before it.
                    Some(reason) if reason.starts_with("not looked into") => about += reason,
                    Some(reason) => about += &format!("not hunted: {reason}"),
                    None => about += &counted(*logs, "log", "logs"),
                }
                if *deleted > 0 {
                    about += &format!(", {} deleted", grouped(*deleted));
                }
                if *shadow_copies > 0 {
                    let many = counted(*shadow_copies, "shadow copy", "shadow copies");
                    about += &format!(", {many} not read");
                }
                self.line(&about)
            }
        }
    }

    fn log_line(
        &mut self,
        entry: &LogEntry,
        channels: &[&str],
        computers: &[&str],
    ) -> io::Result<()> {
        let mut odd = Vec::new();
        if entry.raw {
            odd.push("raw bytes".to_owned());
            odd.push(counted(entry.chunks, "chunk", "chunks"));
        } else if entry.found != "live" {
            odd.push(entry.found.to_owned());
        }
        if entry.chunks_bad > 0 {
            let all = grouped(entry.chunks);
            odd.push(format!("{} of {all} chunks damaged", grouped(entry.chunks_bad)));
        }
        let more = [
            (entry.recovered, "recovered"),
            (entry.unreadable, "unreadable"),
            (entry.unrecoverable, "unrecoverable"),
            (entry.missing_ids, "ids missing"),
        ];
        let more = more.iter().filter(|(n, _)| *n > 0);
        odd.extend(more.map(|(n, what)| format!("{} {what}", grouped(*n))));
        // Chunks and records tell of most of it.
        let told = entry.chunks_bad > 0 || entry.unreadable > 0;
        if let Some(damage) = entry.damage.as_ref().filter(|_| !told) {
            odd.push(format!("damaged {damage}"));
        }
        let flags = [(entry.dirty, "dirty"), (entry.full, "full")];
        odd.extend(flags.iter().filter(|(is, _)| *is).map(|(_, what)| (*what).to_owned()));
        // The name of a file mostly tells the channel.
        if entry.raw && !channels.is_empty() {
            odd.push(few(channels));
        }
        let name = self.below(&entry.path)?.to_owned();
        let odd = if odd.is_empty() { String::new() } else { format!("  [{}]", odd.join(", ")) };
        let minute = |time: u64| format_file_time(time).chars().take(16).collect::<String>();
        let minute = |time: u64| minute(time).replace('T', " ");
        let (first, last) = entry
            .times
            .map_or_else(Default::default, |span| (minute(span.first), minute(span.last)));
        let (records, size) = (grouped(entry.records), bytes(entry.size as f64));
        self.row(&records, &size, [&first, &last, &few(computers)], &format!("{name}{odd}"))
    }
}

/// How wide the column of computers is.
const COMPUTER: usize = 15;

/// A text that fits the column of computers: those that differ differ at the start.
fn cut(text: &str) -> String {
    if text.chars().count() <= COMPUTER {
        return text.to_owned();
    }
    text.chars().take(COMPUTER - 1).chain(['…']).collect()
}

fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(n), if n == 1 { one } else { many })
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
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
        [first, rest @ ..] => format!("{first} +{}", rest.len()),
    }
}

fn span(times: Option<Span>) -> String {
    times.map_or_else(String::new, |span| {
        format!("{} to {}", format_file_time(span.first), format_file_time(span.last))
    })
}

impl Inventory for List {
    type Made = ();

    fn begun(&mut self, begun: &Begun) -> io::Result<()> {
        let Begun { path, size, format, layout } = begun;
        if self.format == ListFormat::Table {
            let packed = bytes(*size as f64);
            let about = match layout {
                Some(layout) => {
                    let scheme = layout.scheme.map_or_else(String::new, |s| format!(", {s}"));
                    format!(
                        "{}, {packed}, disk of {}{scheme}",
                        layout.image,
                        bytes(layout.size as f64)
                    )
                }
                None => format!("{format}, {packed}"),
            };
            self.line(&format!("{path}: {about}"))?;
            self.folder.clear();
        }
        let Some(layout) = layout else { return Ok(()) };
        for partition in &layout.partitions {
            self.partition(partition, layout.scheme)?;
            self.partitions.push(partition.name.clone());
        }
        Ok(())
    }

    fn chunk(&mut self, _: &str, _: CarvedChunk<'_>) -> io::Result<()> {
        Ok(())
    }

    fn log(&mut self, entry: LogEntry, source: SourceEntry, _: Option<()>) -> io::Result<()> {
        self.logs += 1;
        self.damaged += u64::from(source.damages.total > 0);
        self.ledger.source(source);
        let (channels, computers) = (names(&entry.channels), names(&entry.computers));
        let kind = if entry.raw { "raw bytes" } else { "log" };
        let (first, last) = entry.ids.unzip();
        match self.format {
            ListFormat::Json => self.json(&json!({
                "schema": "harrier.list/1",
                "path": entry.path, "stored_as": entry.stored_as, "host": entry.host,
                "found": entry.found, "kind": kind, "hunted": true,
                "reason": null, "size": entry.size, "dirty": entry.dirty, "full": entry.full,
                "chunks": entry.chunks, "chunks_bad": entry.chunks_bad,
                "records": entry.records, "recovered": entry.recovered,
                "unreadable": entry.unreadable, "unrecoverable": entry.unrecoverable, "damage": entry.damage, "first_id": first, "last_id": last,
                "missing_ids": entry.missing_ids, "channels": channels,
                "computers": computers,
                "first_time": entry.times.map(|span| format_file_time(span.first)),
                "last_time": entry.times.map(|span| format_file_time(span.last)),
            })),
            ListFormat::Csv => {
                let id = |id: Option<u64>| id.map_or_else(String::new, |id| id.to_string());
                self.cells(&[
                    ("Path", entry.path.clone()),
                    ("State", entry.found.to_owned()),
                    ("Kind", kind.to_owned()),
                    ("Hunted", yes(true).to_owned()),
                    ("Reason", entry.damage.clone().unwrap_or_default()),
                    ("Size", entry.size.to_string()),
                    ("Dirty", entry.dirty.to_string()),
                    ("Full", entry.full.to_string()),
                    ("Chunks", entry.chunks.to_string()),
                    ("ChunksBad", entry.chunks_bad.to_string()),
                    ("Records", entry.records.to_string()),
                    ("Recovered", entry.recovered.to_string()),
                    ("Unreadable", entry.unreadable.to_string()),
                    ("FirstID", id(first)),
                    ("LastID", id(last)),
                    ("MissingIDs", entry.missing_ids.to_string()),
                    ("Channel", channels.join(" | ")),
                    ("Computer", computers.join(" | ")),
                    ("TimeUTC", span(entry.times)),
                ])
            }
            ListFormat::Table => self.log_line(&entry, &channels, &computers),
        }
    }

    fn other(&mut self, entry: &SourceEntry) -> io::Result<()> {
        self.ledger.source(entry.clone());
        self.others += 1;
        let container = entry.container.is_some();
        let read = container && entry.state == SourceState::Read;
        self.unread += u64::from(!read);
        // A partition that is not looked into has its row.
        if let Some(at) = self.partitions.iter().position(|name| !container && *name == entry.path)
        {
            self.partitions.swap_remove(at);
            return Ok(());
        }
        if container {
            let within = |name: &String| name.starts_with(entry.path.as_str());
            self.partitions.retain(|name| !within(name));
        }
        let kind = entry.container.unwrap_or(entry.state.as_str());
        let reason = entry.reason.as_deref().unwrap_or("");
        match self.format {
            ListFormat::Json => self.json(&json!({
                "schema": "harrier.list/1",
                "path": entry.path, "found": entry.found, "kind": kind, "hunted": read,
                "reason": entry.reason, "size": entry.size,
                "shadow_copies": entry.shadow_copies,
            })),
            ListFormat::Csv => self.cells(&[
                ("Path", entry.path.clone()),
                ("State", entry.found.to_owned()),
                ("Kind", kind.to_owned()),
                ("Hunted", yes(read).to_owned()),
                ("Reason", reason.to_owned()),
                ("Size", entry.size.to_string()),
            ]),
            // What became of a container stands where it ends, if there is anything to say.
            ListFormat::Table if container && read => Ok(()),
            ListFormat::Table if container => {
                let part = match entry.state {
                    SourceState::Damaged => "hunted, but",
                    _ => "not hunted",
                };
                self.folder.clear();
                self.line(&format!("{}: {part}: {reason}", entry.path))
            }
            ListFormat::Table => {
                let size = bytes(entry.size as f64);
                let name = self.below(&entry.path)?.to_owned();
                // That it is not hunted says the same.
                let reason = reason.strip_prefix("not looked into: ").unwrap_or(reason);
                self.line(&format!("{:>9} {size:>8}  {name}: not hunted: {reason}", "-"))
            }
        }
    }

    fn aside(&mut self, aside: Aside) {
        self.ledger.aside(aside);
        self.other_files += 1;
    }
}
