//! `harrier rules check`: what is wrong or doubtful about rules.
//!
//! What is said is the library's ([`harrier::sigma::LoadedRules::findings`], [`harrier::engine::lint`]);
//! here it is chosen and written. Findings stand in the order of files and places, so the same rules
//! give the same bytes.

use super::args::RuleArgs;
use super::rule_filter::RuleFilter;
use super::rules::add_filters;
use super::{Exit, expand, json, sarif, say, say_error, say_warning, taxonomy};
use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use harrier::{
    engine::{self, RuleSet},
    report::escape,
    sigma::{self, About, Code, Finding, LoadOptions, LoadedRules, RefusalKind, Severity},
};
use serde_json::json;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io::{self, Write as _},
};

#[derive(Debug, Args)]
#[command(after_help = "A finding has a code, a severity, a place and advice:
  error    the document was not loaded: nothing is hunted with it
  warning  it is loaded, and probably does not do what it is meant to
  info     style, or good to know
docs/rules.md explains every code; --codes lists them.

Examples:
  harrier rules check -r mine/
  harrier rules check -r sigma/rules --min-severity warning --ignore filename-length,missing-placeholder
  harrier rules check -r mine/ --format sarif > rules.sarif      for code review tools
  harrier rules check -r mine/ --fail-on warning                 in a build

Exit codes: 0 no errors; 1 errors, or findings as severe as --fail-on says; 2 bad arguments, or no rules.")]
pub struct CheckArgs {
    #[command(flatten)]
    rules: RuleArgs,

    /// Leave out findings below this severity
    #[arg(
        long,
        value_enum,
        value_name = "SEVERITY",
        default_value_t = SeverityArg::Info,
        help_heading = "Findings"
    )]
    min_severity: SeverityArg,
    /// Leave out findings with these codes; errors count all the same
    #[arg(long, value_name = "LIST", value_delimiter = ',', help_heading = "Findings")]
    ignore: Vec<String>,
    /// Exit with 1 if there is a finding of this severity or above that is not left out
    #[arg(
        long,
        value_enum,
        value_name = "SEVERITY",
        default_value_t = SeverityArg::Error,
        help_heading = "Findings"
    )]
    fail_on: SeverityArg,
    /// How findings are written
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        default_value_t = FormatArg::Text,
        help_heading = "Output"
    )]
    format: FormatArg,
    /// List the codes, with severity and meaning, and check nothing
    #[arg(long, help_heading = "Output")]
    codes: bool,
    /// No summary
    #[arg(short, long, help_heading = "Output")]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SeverityArg {
    /// Everything
    Info,
    /// Warnings and errors
    Warning,
    /// Errors
    Error,
}

impl From<SeverityArg> for Severity {
    fn from(severity: SeverityArg) -> Severity {
        match severity {
            SeverityArg::Info => Severity::Info,
            SeverityArg::Warning => Severity::Warning,
            SeverityArg::Error => Severity::Error,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatArg {
    /// A line each: FILE:LINE:COLUMN: SEVERITY: what: what to do [CODE]
    Text,
    /// A JSON object on each line, schema harrier.finding/1
    #[value(alias = "jsonl")]
    Json,
    /// SARIF 2.1.0
    Sarif,
}

/// The schema of a line of JSON.
const SCHEMA: &str = "harrier.finding/1";

/// What is known of the rule that a finding is about.
#[derive(Default)]
struct Subject {
    title: Option<String>,
    id: Option<String>,
}

/// A document: its file as it can be opened, and its number there.
type Place = (String, u32);

/// Checks rules.
pub fn run(args: &CheckArgs) -> Result<Exit> {
    if args.codes {
        return print(&codes());
    }
    let ignored = ignored(&args.ignore)?;
    let filter = RuleFilter::build(&args.rules)?;
    let (taxonomy, doubts) = taxonomy::read(&args.rules)?;
    doubts.iter().for_each(taxonomy::Doubt::say);
    let options = LoadOptions {
        expand: expand::read(&args.rules.expand, &args.rules.expand_dir)?.values,
        include_inactive: filter.includes_inactive(),
        lint: true,
        ..LoadOptions::default()
    };
    let mut loaded = if args.rules.rules.is_empty() {
        sigma::load_builtin_with(&options)
    } else {
        sigma::load(&args.rules.rules, &options)
            .map_err(|error| anyhow::anyhow!("rules: {error}: check the path"))?
    };
    add_filters(&args.rules, &mut loaded, options)?;
    let unmet = filter.check(&loaded)?;
    unmet.always.iter().for_each(|warning| say_warning(warning));
    let left_out = left_out(&loaded, &filter);
    let counts = Counts::of(&loaded, left_out.len());
    if counts.met == 0 {
        bail!("there are no rules: name Sigma rules (.yml) with -r, or leave -r out");
    }
    let subjects = subjects(&loaded);
    let mut findings = loaded.findings();
    let wanted = loaded.rules.into_iter().filter(|rule| !left_out.contains(&place(&rule.origin)));
    let set = RuleSet::compile(wanted.collect(), taxonomy);
    findings.extend(engine::lint(&set));
    findings.retain(|finding| !left_out.contains(&place(&finding.origin)));
    findings.sort_by(|a, b| {
        let key =
            |f: &Finding| (f.origin.file.shown.clone(), f.origin.line, f.origin.column, f.code);
        key(a).cmp(&key(b)).then_with(|| a.text.cmp(&b.text))
    });
    let errors = findings.iter().filter(|f| f.code.severity() == Severity::Error).count();
    let least = Severity::from(args.min_severity);
    findings.retain(|f| f.code.severity() >= least && !ignored.contains(&f.code));
    let text = match args.format {
        FormatArg::Text => text(&findings),
        FormatArg::Json => findings.iter().map(|finding| line(finding, &subjects)).collect(),
        FormatArg::Sarif => sarif::document(&findings),
    };
    print(&text)?;
    if !args.quiet {
        summary(&findings, &counts);
    }
    let fails = Severity::from(args.fail_on);
    let failed = findings.iter().any(|finding| finding.code.severity() >= fails);
    if errors > 0 && !findings.iter().any(|f| f.code.severity() == Severity::Error) {
        say_error(&format!("{errors} documents were not loaded; --ignore hides which"));
    }
    Ok(if failed || errors > 0 { Exit::Incomplete } else { Exit::Complete })
}

fn print(text: &str) -> Result<Exit> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            bail!("standard output: cannot be written: {error}");
        }
        _ => Ok(Exit::Complete),
    }
}

/// The codes that are not wanted; one that there is not is a slip of the pen.
fn ignored(names: &[String]) -> Result<HashSet<Code>> {
    let code = |name: &String| {
        let wanted = name.trim();
        Code::ALL.iter().copied().find(|code| code.as_str() == wanted).ok_or_else(|| {
            let near = Code::ALL
                .iter()
                .min_by_key(|code| strsim::damerau_levenshtein(code.as_str(), wanted))
                .map_or("", |code| code.as_str());
            anyhow::anyhow!("--ignore {wanted}: there is no such code: near: {near}; see --codes")
        })
    };
    names.iter().map(code).collect()
}

/// How many documents of rules there were.
struct Counts {
    met: usize,
    checked: usize,
    by_status: usize,
    by_filter: usize,
}

impl Counts {
    fn of(loaded: &LoadedRules, by_filter: usize) -> Counts {
        let by_status =
            loaded.refused.iter().filter(|refused| refused.kind == RefusalKind::Status).count();
        let met = abouts(loaded).count() + loaded.refused.len() + loaded.unreadable.len();
        Counts { met, checked: met - by_status - by_filter, by_status, by_filter }
    }
}

/// What rules, correlations and filters say about themselves.
fn abouts(loaded: &LoadedRules) -> impl Iterator<Item = &About> {
    let correlations = loaded.correlations.iter().filter(|one| !one.aggregation);
    let rules = loaded.rules.iter().map(|rule| &rule.about);
    let filters = loaded.filters.iter().map(|one| &one.about);
    rules.chain(correlations.map(|one| &one.about)).chain(filters)
}

fn place(origin: &sigma::Origin) -> Place {
    (origin.file.shown.clone(), origin.document)
}

/// The documents that are not asked for.
fn left_out(loaded: &LoadedRules, filter: &RuleFilter) -> HashSet<Place> {
    let unwanted = filter.unwanted(loaded);
    let rules = loaded.rules.iter().map(|rule| &rule.about).zip(&unwanted.rules);
    let correlations = loaded.correlations.iter().map(|one| &one.about).zip(&unwanted.correlations);
    let both = rules.chain(correlations).filter(|(_, why)| why.is_some()).map(|(about, _)| about);
    let filters = loaded.filters.iter().map(|one| &one.about);
    let filters = filters.filter(|about| filter.left_out(about).is_some());
    both.chain(filters).map(|about| place(&about.origin)).collect()
}

fn subjects(loaded: &LoadedRules) -> HashMap<Place, Subject> {
    let known = abouts(loaded).map(|about| {
        let subject = Subject { title: Some(about.title.clone()), id: about.id.clone() };
        (place(&about.origin), subject)
    });
    let refused = loaded.refused.iter().map(|refused| {
        let subject = Subject { title: refused.title.clone(), id: refused.id.clone() };
        (place(&refused.origin), subject)
    });
    known.chain(refused).collect()
}

fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        escape::line(&finding.to_string(), &mut text);
        text.push('\n');
    }
    text
}

fn line(finding: &Finding, subjects: &HashMap<Place, Subject>) -> String {
    let Finding { origin, code, text } = finding;
    let subject = subjects.get(&place(&finding.origin));
    json::line(&json!({
        "schema": SCHEMA,
        "severity": code.severity().as_str(),
        "code": code.as_str(),
        "file": origin.file.shown,
        "document": origin.document,
        "line": origin.line,
        "column": origin.column,
        "title": subject.and_then(|subject| subject.title.as_ref()),
        "id": subject.and_then(|subject| subject.id.as_ref()),
        "text": text,
        "advice": code.advice(),
    }))
}

/// A line for each code.
fn codes() -> String {
    let width = Code::ALL.iter().map(|code| code.as_str().len()).max().unwrap_or(0);
    let line = |code: &Code| {
        let (name, severity) = (code.as_str(), code.severity().as_str());
        format!("{severity:<7}  {name:<width$}  {}\n", code.meaning())
    };
    Code::ALL.iter().map(line).collect()
}

/// How many findings of each code there are.
fn summary(findings: &[Finding], counts: &Counts) {
    let s = if counts.checked == 1 { "" } else { "s" };
    let mut first = format!("Checked    {} rule{s}", counts.checked);
    for (count, why) in [(counts.by_status, "by status"), (counts.by_filter, "by the filter")] {
        if count > 0 {
            first.push_str(&format!(", {count} left out {why}"));
        }
    }
    say(&first);
    for (severity, name) in
        [(Severity::Error, "Errors"), (Severity::Warning, "Warnings"), (Severity::Info, "Infos")]
    {
        let of = findings.iter().filter(|finding| finding.code.severity() == severity);
        let mut by_code: BTreeMap<Code, usize> = BTreeMap::new();
        of.for_each(|finding| *by_code.entry(finding.code).or_default() += 1);
        let total: usize = by_code.values().sum();
        if total > 0 {
            let mut counts: Vec<(Code, usize)> = by_code.into_iter().collect();
            counts.sort_by_key(|(code, count)| (std::cmp::Reverse(*count), *code));
            let counts: Vec<String> =
                counts.iter().map(|(code, count)| format!("{code} {count}")).collect();
            say(&format!("{name:<9}  {total}: {}", counts.join(", ")));
        }
    }
}
