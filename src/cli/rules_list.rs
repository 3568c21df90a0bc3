//! `harrier rules list`: which rules there are, and which of them speak of event logs.
//!
//! One line a rule. Ties of an order are broken by file and place, so the same rules give the same lines,
//! however they were found.

use super::args::RuleArgs;
use super::rules::{Document, DocumentKind, Rules};
use super::{Exit, json, say};
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use harrier::{
    engine::Applicability,
    hunt::Glob,
    ledger::RuleState,
    report::{self, escape},
    sigma::{About, Level, Status},
    utf16::folded,
};
use serde_json::json;
use std::{
    cmp::Reverse,
    io::{self, Write},
};
use unicode_width::UnicodeWidthStr as _;

#[derive(Debug, Args)]
#[command(
    after_help = "Columns: level, status, kind (if there are correlations or filters), whether it speaks of \
Windows event logs (yes, no, unknown: its log source is not known), log source as product/category/service, \
title, ATT&CK techniques, id, file and line. CSV adds why not; JSON is an object on each line, schema \
harrier.rule/1, with all that a rule says about itself.

Examples:
  harrier rules list                                       the built-in rules
  harrier rules list -r sigma/rules --min-level high --sort level
  harrier rules list -r sigma/rules --logsource process_creation --find mimikatz
  harrier rules list -r sigma/rules --tag 'attack.t1003*' --format csv > credentials.csv
  harrier rules list -r sigma/rules --format json | jq -r 'select(.applicable == \"unknown\") | .file'

Exit codes: 0 all rules were loaded; 1 some were not: standard error says which and why; 2 bad arguments, \
or no rules."
)]
pub struct ListArgs {
    #[command(flatten)]
    rules: RuleArgs,

    /// Only rules of these log sources, with * and ?: a product, category or service, or all three
    /// as windows/process_creation/*
    #[arg(long, value_name = "LIST", value_delimiter = ',', help_heading = "Rules")]
    logsource: Vec<String>,
    /// Only rules in whose title, id, name, description, author, tags, log source or file TEXT
    /// stands; several times: all of them
    #[arg(long, value_name = "TEXT", help_heading = "Rules")]
    find: Vec<String>,
    /// In which order; those that are equal in it by file
    #[arg(
        long,
        value_enum,
        value_name = "ORDER",
        default_value_t = SortArg::Path,
        help_heading = "Output"
    )]
    sort: SortArg,
    /// How they look
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        default_value_t = FormatArg::Table,
        help_heading = "Output"
    )]
    format: FormatArg,
    /// Say nothing but errors on standard error
    #[arg(short, long, conflicts_with = "verbose", help_heading = "Output")]
    quiet: bool,
    /// Say more on standard error
    #[arg(short, long, help_heading = "Output")]
    verbose: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatArg {
    /// Aligned columns, a line a rule
    Table,
    /// A JSON object on each line
    #[value(alias = "jsonl")]
    Json,
    /// Comma-separated values
    Csv,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SortArg {
    /// By file, and as they stand in it
    Path,
    /// By title
    Title,
    /// The most severe first
    Level,
    /// By id, those without last
    Id,
    /// By when they were last changed, the newest first
    Date,
    /// By product, category, service
    Logsource,
}

/// The schema of a line of JSON.
const SCHEMA: &str = "harrier.rule/1";

/// The columns of table and CSV. What is widest stands last, so that a table stays narrow where it is
/// looked at first.
const COLUMNS: [&str; 9] =
    ["Level", "Status", "Kind", "Applicable", "LogSource", "Title", "Techniques", "ID", "File"];

/// Between two columns of a table.
const GAP: &str = "  ";

/// A rule, a correlation or a filter.
struct Listed<'r>(&'r Document);

/// Lists rules.
pub fn run(args: &ListArgs) -> Result<Exit> {
    let rules = Rules::load_to_list(&args.rules)?;
    rules.tell(args.verbose, args.quiet);
    if rules.entries.is_empty() && rules.documents.is_empty() {
        bail!("there are no rules: name Sigma rules (.yml) with -r, or leave -r out");
    }
    let sources: Vec<Glob> = args.logsource.iter().map(|pattern| Glob::new(pattern)).collect();
    let words: Vec<String> = args.find.iter().map(|word| folded(word)).collect();
    let mut listed: Vec<Listed<'_>> = rules.documents.iter().map(Listed).collect();
    let met = listed.len();
    listed.retain(|one| one.is_of(&sources) && words.iter().all(|word| one.mentions(word)));
    sort(&mut listed, args.sort);
    let text = match args.format {
        FormatArg::Table => table(&listed),
        FormatArg::Csv => csv(&listed),
        FormatArg::Json => listed.iter().map(Listed::json).collect(),
    };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            bail!("standard output: cannot be written: {error}");
        }
        _ => {}
    }
    if !args.quiet {
        say(&summary(&listed, met - listed.len(), &rules));
    }
    let whole = rules.count(RuleState::Refused) == 0 && rules.log_sources_complete();
    Ok(if whole { Exit::Complete } else { Exit::Incomplete })
}

fn sort(listed: &mut [Listed<'_>], by: SortArg) {
    // A sort that keeps the order of equals needs no more after this.
    let place = |one: &Listed<'_>| {
        let origin = &one.0.about.origin;
        (origin.file.shown.clone(), origin.document)
    };
    listed.sort_by_cached_key(place);
    match by {
        SortArg::Path => {}
        SortArg::Title => listed.sort_by_cached_key(|one| folded(&one.0.about.title)),
        SortArg::Level => listed.sort_by_key(|one| Reverse(one.0.about.level)),
        SortArg::Id => listed.sort_by_key(|one| (one.0.about.id.is_none(), &one.0.about.id)),
        SortArg::Date => listed.sort_by_cached_key(|one| Reverse(newest(&one.0.about))),
        SortArg::Logsource => listed.sort_by_cached_key(Listed::source_text),
    }
}

/// When a rule was last changed, in a form that sorts: old rules write `2020/05/12`.
fn newest(about: &About) -> Option<String> {
    let date = about.modified.as_ref().or(about.date.as_ref());
    date.map(|date| date.replace('/', "-"))
}

impl Listed<'_> {
    fn source_text(&self) -> String {
        self.0.logsource.as_ref().map(ToString::to_string).unwrap_or_default()
    }

    /// Whether its log source, or a part of it, is one of these.
    fn is_of(&self, sources: &[Glob]) -> bool {
        let Some(source) = &self.0.logsource else { return sources.is_empty() };
        let parts = [&source.product, &source.category, &source.service];
        let whole = source.to_string();
        let mut names = parts.into_iter().flatten().chain([&whole]);
        sources.is_empty() || names.any(|name| sources.iter().any(|glob| glob.is_match(name)))
    }

    /// Whether a word, folded, stands in what it says about itself.
    fn mentions(&self, word: &str) -> bool {
        let about = &self.0.about;
        let optional = [&about.id, &about.name, &about.description, &about.author];
        let mut texts = optional
            .into_iter()
            .flatten()
            .chain(&about.tags)
            .chain([&about.title, &about.origin.file.shown]);
        texts.any(|text| folded(text).contains(word)) || self.source_text().contains(word)
    }

    /// Whether it speaks of events in event logs, in a word, and why not.
    fn applicable(&self) -> (&'static str, Option<&str>) {
        match &self.0.applicability {
            None => ("", None),
            Some(Applicability::Applicable) => ("yes", None),
            Some(Applicability::NotApplicable(why)) => ("no", Some(why)),
            Some(Applicability::UnknownLogSource(why)) => ("unknown", Some(why)),
        }
    }

    /// The ATT&CK techniques that its tags name.
    fn techniques(&self) -> Vec<String> {
        let tags = self.0.about.tags.iter();
        let lower = tags.map(|tag| tag.to_ascii_lowercase());
        lower
            .filter_map(|tag| tag.strip_prefix("attack.").map(str::to_ascii_uppercase))
            .filter(|name| {
                let number = name.strip_prefix('T');
                number.is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
            })
            .collect()
    }

    fn status(&self) -> &'static str {
        self.0.about.status.map_or("", Status::as_str)
    }

    fn cells(&self) -> [String; 9] {
        let about = &self.0.about;
        [
            about.level.as_str().to_owned(),
            self.status().to_owned(),
            self.0.kind.as_str().to_owned(),
            self.applicable().0.to_owned(),
            self.source_text(),
            about.title.clone(),
            self.techniques().join(" "),
            about.id.clone().unwrap_or_default(),
            format!("{}:{}", about.origin.file.shown, about.origin.line),
        ]
    }

    fn json(&self) -> String {
        let about = &self.0.about;
        let (applicable, why) = self.applicable();
        let source = self.0.logsource.as_ref().map(|source| {
            json!({
                "product": source.product,
                "category": source.category,
                "service": source.service,
            })
        });
        json::line(&json!({
            "schema": SCHEMA,
            "kind": self.0.kind.as_str(),
            "title": about.title,
            "id": about.id,
            "name": about.name,
            "level": about.level.as_str(),
            "status": about.status.map(Status::as_str),
            "logsource": source,
            "applicable": (!applicable.is_empty()).then_some(applicable),
            "why_not": why,
            "description": about.description,
            "author": about.author,
            "date": about.date,
            "modified": about.modified,
            "tags": about.tags,
            "techniques": self.techniques(),
            "references": about.references,
            "file": about.origin.file.shown,
            "document": about.origin.document,
            "line": about.origin.line,
        }))
    }
}

/// Aligned columns, nothing cut: a line is a rule, for `grep` and for a terminal that scrolls.
fn table(listed: &[Listed<'_>]) -> String {
    let rows: Vec<[String; 9]> =
        listed.iter().map(|one| one.cells().map(|cell| escape::lined(&cell))).collect();
    // All rules are most often all rules: a column that says so of each says nothing.
    let kinds = listed.iter().any(|one| one.0.kind != DocumentKind::Rule);
    let shown: Vec<usize> = (0..COLUMNS.len()).filter(|n| *n != 2 || kinds).collect();
    let width = |n: usize| {
        let cells = rows.iter().map(|row| row[n].width());
        cells.max().unwrap_or(0).max(COLUMNS[n].len())
    };
    let widths: Vec<usize> = shown.iter().map(|n| width(*n)).collect();
    let mut text = String::new();
    let mut line = |cells: &[String; 9]| {
        let mut line = String::new();
        for (n, width) in shown.iter().zip(&widths) {
            line.push_str(&cells[*n]);
            line.push_str(&" ".repeat(width.saturating_sub(cells[*n].width())));
            line.push_str(GAP);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    };
    line(&COLUMNS.map(str::to_uppercase));
    rows.iter().for_each(line);
    text
}

fn csv(listed: &[Listed<'_>]) -> String {
    let mut out = Vec::new();
    let header = COLUMNS.into_iter().chain(["WhyNot"]);
    report::csv_row(header.map(str::to_owned), &mut out);
    for one in listed {
        let why = one.applicable().1.unwrap_or_default().to_owned();
        let cells = one.cells().into_iter().chain([why]);
        report::csv_row(cells.map(|cell| escape::lined(&cell)), &mut out);
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// How many there are, of which kinds, and what is not shown.
fn summary(listed: &[Listed<'_>], hidden: usize, rules: &Rules) -> String {
    let count = |is: &dyn Fn(&Listed<'_>) -> bool| listed.iter().filter(|one| is(one)).count();
    let mut parts = Vec::new();
    let mut part = |count: usize, what: &str| {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    };
    for level in Level::ALL.into_iter().rev() {
        part(count(&|one| one.0.about.level == level), level.as_str());
    }
    part(count(&|one| one.applicable().0 == "no"), "not about event logs");
    part(count(&|one| one.applicable().0 == "unknown"), "of unknown log sources");
    part(count(&|one| one.0.kind == DocumentKind::Correlation), "correlations");
    part(count(&|one| one.0.kind == DocumentKind::Filter), "filters");
    part(hidden, "not asked for");
    part(rules.count(RuleState::LeftOut), "left out");
    part(rules.count(RuleState::Refused), "not loaded");
    let s = if listed.len() == 1 { "" } else { "s" };
    let parts = parts.join(", ");
    let parts = if parts.is_empty() { parts } else { format!(": {parts}") };
    format!("{} rule{s}{parts}", listed.len())
}
