//! The arguments as typed. Parsing does no I/O and decides nothing that needs it.

use super::custody::CustodyArgs;
use super::dump::DumpArgs;
use super::event_filter::EventArgs;
use super::extract::ExtractArgs;
use super::list::ListArgs as InventoryArgs;
use super::order::TimelineArgs;
use super::rules_check::CheckArgs;
use super::rules_explain::ExplainArgs;
use super::rules_list::ListArgs;
use clap::{Args, Parser, Subcommand, ValueEnum};
use harrier::sigma::{Level, Status};
use std::path::PathBuf;

#[derive(Debug, Parser)]
#[command(
    name = "harrier",
    version,
    about = "Hunts through Windows event logs with Sigma rules, offline",
    after_help = "Examples:
  harrier hunt Logs/                      every hit of the built-in rules, as a table
  harrier hunt case/ -r sigma/rules -o hits.jsonl --ledger ledger.json
  harrier dump Security.evtx              every record, as JSON lines
  harrier rules test -r sigma/            do SigmaHQ's own tests pass?
  harrier rules explain registry_set_amsi.yml -r sigma/  what does this rule look for?

'harrier COMMAND --help' tells more.",
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look for what rules describe in event logs
    Hunt(Box<HuntArgs>),
    /// Write every record as JSON lines or XML
    Dump(Box<DumpArgs>),
    /// Tell what logs there are
    List(InventoryArgs),
    /// Copy the logs out of the evidence
    Extract(ExtractArgs),
    /// Work with rules
    #[command(subcommand, arg_required_else_help = true)]
    Rules(RulesCommand),
    /// Print the completions for a shell
    #[command(after_help = COMPLETIONS_HELP)]
    Completions {
        /// The shell
        #[arg(value_enum, value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
    /// Print the manual page, of the program or of a command
    #[command(after_help = MAN_HELP)]
    Man {
        /// The command, for example: hunt
        #[arg(value_name = "COMMAND")]
        command: Vec<String>,
    },
}

const COMPLETIONS_HELP: &str = "Examples:
  harrier completions bash > ~/.local/share/bash-completion/completions/harrier
  harrier completions zsh > ~/.zfunc/_harrier       with fpath+=~/.zfunc before compinit
  harrier completions fish > ~/.config/fish/completions/harrier.fish
  harrier completions powershell >> $PROFILE";

const MAN_HELP: &str = "Examples:
  harrier man > /usr/local/share/man/man1/harrier.1
  harrier man hunt | man -l -";

#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Say what is wrong or doubtful about rules, with file, line and advice
    Check(Box<CheckArgs>),
    /// Take a rule apart: what it covers, looks at, compares, excludes, and what else does the same
    Explain(Box<ExplainArgs>),
    /// List rules, and which of them speak of event logs
    List(Box<ListArgs>),
    /// Run the regression tests that rules name (regression_tests_path, as SigmaHQ keeps them)
    Test(TestArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  harrier hunt Security.evtx                        one log, built-in rules
  harrier hunt triage/ -r sigma/rules -r mine.yml   folders, own rules
  harrier hunt triage/ -o hits.jsonl --ledger l.json --fail-on high
  harrier hunt triage/ -o hits.csv -o case.timesketch.jsonl -o -
  harrier hunt triage/ --columns Time,Computer,Rule,CommandLine -o hits.md
  harrier hunt triage/ | jq -r '[.timestamp, .rule.title] | @tsv'
  harrier hunt triage/ --from 2026-03-01 --to 2026-03-02 --computer 'WS-*'
  harrier hunt triage/ --from -7d --channel Security,Sysmon --event-id 1,4624-4625
  harrier hunt triage/ --sort time --context 30 --time-zone Europe/Berlin
  harrier hunt triage/ --group -o groups.csv
  harrier hunt triage/ -r sigma/rules --tag 'attack.t1562*' --exclude-rule @noisy.txt
  find / -name '*.evtx' -print0 | harrier hunt -0 -
  harrier hunt triage/ --explain eb71beed@8302      why does this rule (not) match this record?

Filters:
  LIST is a,b or the option given again. --from and --to are compared with the event's own time
  (TimeCreated); --from is included, --to is not. -7d counts from the newest event of the evidence,
  now-7d from now. An event that does not say when it was is looked at. What is left out, rules and
  records, is counted in the summary and the ledger.

Output:
  Hits go to standard output, or to the files that -o names. A file's name tells the format:
    .csv   .jsonl .json   .md   .txt (table)   .timesketch.jsonl   .ecs.jsonl
  The format may also stand before the file, -o ecs:hits.json, or be given with --format. A name
  without an ending is jsonl, and so is standard output, unless it is a terminal: that gets a table.
  A file is called FILE.partial until it is complete.
  Nothing is ever written into a folder of evidence.

Copies:
  An event that is found again in another place (a backup, an archive, a carved chunk) is reported once,
  where it comes first in the evidence; so name what you trust most first. Two events are one if they
  say the same: computer, channel, record id, time, and all else. How many copies were left out, and
  of which log each log has copies, stands in the summary and the ledger. --all-copies leaves none
  out; correlations count an event once all the same.

Columns, besides the events' own fields (data.NAME if a name is in this list):
  TimeUTC Time Level Rule Computer Event Channel Provider EventID Title RecordID User TargetUser
  Process CommandLine Parent ParentCommandLine Target SourceIP DestinationIP Match1 Match2 Match3
  Matched Fields Techniques Tags Status RuleID RuleFile FilteredBy Path Chunk Offset HeaderRecordID
  Recovered Where Details Count FirstUTC First LastUTC Last

Exit codes:
  0  everything was looked at
  1  something could not be read (a log, a record, a rule): standard error and the ledger say what
  2  nothing was hunted: bad arguments, no rules, no evidence, or the output cannot be written
  3  --fail-on: a hit of that level or above was found (also if something could not be read)
130  it was interrupted: what had been found was written, the rest was not looked at")]
pub struct HuntArgs {
    #[command(flatten)]
    pub evidence: EvidenceArgs,

    #[command(flatten)]
    pub rules: RuleArgs,

    #[command(flatten)]
    pub events: EventArgs,

    #[command(flatten)]
    pub timeline: TimelineArgs,

    #[command(flatten)]
    pub output: OutputArgs,

    #[command(flatten)]
    pub custody: CustodyArgs,

    /// How many threads; all processors if not given
    #[arg(long, value_name = "N", value_parser = threads, help_heading = "Running")]
    pub threads: Option<usize>,
    /// Hunt for nothing, but say why RULE (id, the beginning of one, title or file) matches a record or
    /// does not; a record is its EventRecordID, or PATH:OFFSET. Formats: text, json, markdown
    #[arg(long, value_name = "RULE@RECORD", help_heading = "Running")]
    pub explain: Option<String>,
    /// Evaluate every rule on every event, without the gate and the prefilter: slow, same hits
    #[arg(long, help_heading = "Running")]
    pub full_scan: bool,
}

#[derive(Debug, Default, Args)]
pub struct EvidenceArgs {
    /// Logs, folders, archives (zip, 7z, tar, gzip, zstd, xz) and disk images, known by their content,
    /// also one in the other. Patterns such as
    /// 'case/*/Security.evtx' or 'case/**/*.evtx'; '-' for a list of paths on standard input
    #[arg(value_name = "EVIDENCE")]
    pub evidence: Vec<PathBuf>,
    /// Paths as in FILE, one on each line; '-' for standard input
    #[arg(long, value_name = "FILE", help_heading = "Evidence")]
    pub files_from: Vec<PathBuf>,
    /// Paths on a list end with NUL, as 'find -print0' writes them
    #[arg(short = '0', long, help_heading = "Evidence")]
    pub null: bool,
    /// Passwords of encrypted archives, one on each line of FILE; also those in HARRIER_PASSWORDS,
    /// and 'infected' always. On a terminal others are asked for
    #[arg(long, value_name = "FILE", help_heading = "Evidence")]
    pub password_file: Vec<PathBuf>,
    /// Look for records in the slack of chunks, too: what the logs have deleted
    #[arg(long, help_heading = "Evidence")]
    pub recover: bool,
    /// Search raw bytes for chunks and records that are in no file: 'free', which is meant if nothing
    /// is said, the free space and file slack of images and named files of an unknown kind (memory,
    /// pagefile.sys); 'all', images as a whole
    #[arg(
        long,
        value_enum,
        value_name = "WHERE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "free",
        help_heading = "Evidence"
    )]
    pub carve: Option<CarveArg>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CarveArg {
    /// Where no file is
    Free,
    /// Everywhere but in the logs that are read
    All,
}

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Rules")]
pub struct RuleArgs {
    /// Sigma rules: a file, a folder, or a zip archive; the built-in ones if not given
    #[arg(short, long = "rules", value_name = "RULES")]
    pub rules: Vec<PathBuf>,
    /// Leave out rules below this level
    #[arg(long, value_name = "LEVEL", ignore_case = true)]
    pub min_level: Option<LevelArg>,
    /// Only rules of exactly these levels: informational,low,medium,high,critical
    #[arg(
        long,
        value_name = "LIST",
        ignore_case = true,
        value_delimiter = ',',
        hide_possible_values = true,
        conflicts_with = "min_level"
    )]
    pub level: Vec<LevelArg>,
    /// Only rules of these statuses: stable,test,experimental; deprecated and unsupported ones, which
    /// are loaded only on request, are so requested
    #[arg(
        long,
        value_name = "LIST",
        ignore_case = true,
        value_delimiter = ',',
        hide_possible_values = true
    )]
    pub status: Vec<StatusArg>,
    /// Only rules with any of these tags, with * and ?: attack.t1562*; @FILE: one on each line
    #[arg(long, value_name = "LIST")]
    pub tag: Vec<String>,
    /// Only rules with these ids, with * and ?; @FILE: one on each line
    #[arg(long, value_name = "LIST")]
    pub rule_id: Vec<String>,
    /// No rules with these ids, with * and ?; @FILE: one on each line, what follows # is a comment
    #[arg(long, value_name = "LIST")]
    pub exclude_rule: Vec<String>,
    /// Sigma filters: a file, a folder, or a zip archive. Filters among --rules are used, too
    #[arg(long = "filter", value_name = "FILTERS")]
    pub filters: Vec<PathBuf>,
    /// Take log sources in their wider sense: also events that not every host records that way
    #[arg(long)]
    pub extended_sources: bool,
    /// Take log sources and field names from FILE, as SigmaHQ's thor.yml has them, instead of the
    /// built-in ones for the same log sources
    #[arg(long, value_name = "FILE")]
    pub taxonomy: Vec<PathBuf>,
    /// Know no log sources but those of --taxonomy
    #[arg(long, requires = "taxonomy")]
    pub no_builtin_taxonomy: bool,
    /// Values for a placeholder %NAME% of rules with 'expand', one on each line of FILE
    #[arg(long, value_name = "NAME=FILE", value_parser = expansion)]
    pub expand: Vec<(String, PathBuf)>,
    /// A folder of such lists; a file's name without its ending is its placeholder's
    #[arg(long, value_name = "DIR")]
    pub expand_dir: Vec<PathBuf>,
    /// Load rules whose status is 'deprecated', too
    #[arg(long)]
    pub include_deprecated: bool,
    /// Load rules whose status is 'unsupported', too
    #[arg(long)]
    pub include_unsupported: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// How hits look, if the file's name does not tell
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<FormatArg>,
    /// Write hits to FILE, in the format that its name ends in or that stands before it; may be
    /// given several times; - is standard output
    #[arg(short, long, value_name = "[FORMAT:]FILE")]
    pub output: Vec<PathBuf>,
    /// Columns of table, csv and markdown: minimal, standard, verbose, or names, also of the
    /// events' fields
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub columns: Vec<String>,
    /// Tables: one line a hit, however long, and nothing cut
    #[arg(long)]
    pub wide: bool,
    /// Write the hits that filters took away, too, marked with the filters' titles
    #[arg(long, conflicts_with = "group")]
    pub show_filtered: bool,
    /// Write and count an event's hits wherever it is found: also again in backups, archives, shadow
    /// copies, free space. Without, only where it comes first in the evidence
    #[arg(long)]
    pub all_copies: bool,
    /// Write an account of every source, chunk, record and rule to FILE, as JSON; - is standard output
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
    /// Exit with 3 if there is a hit of this level or above
    #[arg(long, value_name = "LEVEL", ignore_case = true)]
    pub fail_on: Option<LevelArg>,
    /// When to colour
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = ColorArg::Auto)]
    pub color: ColorArg,
    /// Show no progress
    #[arg(long)]
    pub no_progress: bool,
    /// Say nothing but errors on standard error
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more on standard error
    #[arg(short, long)]
    pub verbose: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Each rule with a regression_tests_path names an info.yml, by its path from the root of \
the rules' repository; that root is found among the rule path and the folders above it, or given with \
--data. A test passes if the rule hits its log at least match_count times (once if the file does not \
say), or not at all if match_count is 0.

Example:
  harrier rules test -r sigma/rules

Exit codes: 0 all passed; 1 a test failed; 2 bad arguments, or no tests. Tests whose data is missing are
counted apart and fail nothing."
)]
pub struct TestArgs {
    /// The rules whose tests are run: a file or a folder
    #[arg(short, long = "rules", value_name = "RULES", required = true)]
    pub rules: Vec<PathBuf>,
    /// The folder in which regression_data lies
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Say only what failed, and the summary
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// Aligned columns, to be read
    #[value(alias = "txt")]
    Table,
    /// Comma-separated values, for spreadsheets and Timeline Explorer
    Csv,
    /// A JSON object on each line, schema harrier.hit/1
    #[value(alias = "json")]
    Jsonl,
    /// JSON lines for Timesketch
    Timesketch,
    /// JSON lines in the Elastic Common Schema
    Ecs,
    /// A table in Markdown, for reports and tickets
    #[value(alias = "md")]
    Markdown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorArg {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LevelArg {
    /// Everything
    #[value(alias = "info")]
    Informational,
    /// low, medium, high, critical
    Low,
    /// medium, high, critical
    #[value(alias = "med")]
    Medium,
    /// high, critical
    High,
    /// critical
    #[value(alias = "crit")]
    Critical,
}

impl From<LevelArg> for Level {
    fn from(level: LevelArg) -> Level {
        match level {
            LevelArg::Informational => Level::Informational,
            LevelArg::Low => Level::Low,
            LevelArg::Medium => Level::Medium,
            LevelArg::High => Level::High,
            LevelArg::Critical => Level::Critical,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatusArg {
    /// stable
    Stable,
    /// test
    Test,
    /// experimental
    Experimental,
    /// deprecated
    Deprecated,
    /// unsupported
    Unsupported,
}

impl From<StatusArg> for Status {
    fn from(status: StatusArg) -> Status {
        match status {
            StatusArg::Stable => Status::Stable,
            StatusArg::Test => Status::Test,
            StatusArg::Experimental => Status::Experimental,
            StatusArg::Deprecated => Status::Deprecated,
            StatusArg::Unsupported => Status::Unsupported,
        }
    }
}

/// More threads than this is a slip of the finger, and each costs memory.
const MOST_THREADS: usize = 1024;

pub fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if (1..=MOST_THREADS).contains(&n) => Ok(n),
        _ => Err(format!("give a number from 1 to {MOST_THREADS}")),
    }
}

pub fn expansion(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => {
            Ok((name.trim_matches('%').to_owned(), file.into()))
        }
        _ => Err("give NAME=FILE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_names_all_columns() {
        let mut command = Cli::command();
        let hunt = command.find_subcommand_mut("hunt").unwrap();
        let help = hunt.render_long_help().to_string();
        let list = help.split("in this list):").nth(1).unwrap().split("\n\n").next().unwrap();
        let listed: Vec<&str> = list.split_whitespace().collect();
        assert_eq!(listed, harrier::report::Columns::names().collect::<Vec<_>>());
    }
}
