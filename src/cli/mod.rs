//! The command line: the only part of Harrier that prints to the terminal, reads the environment and
//! decides with which code the program exits.
//!
//! Arguments are parsed as typed ([`args`]), then each command builds what it needs and runs. Every
//! failure is one line, `harrier: error: what: what to do`, on standard error.

mod account;
mod args;
mod bars;
mod checker;
mod correlations;
mod custody;
mod dump;
mod event_filter;
mod evidence;
mod expand;
mod extract;
mod hunt;
mod hunt_explain;
mod interrupt;
mod json;
mod list;
mod lists;
mod order;
mod output;
mod passwords;
mod progress;
mod regression;
mod rule_filter;
mod rules;
mod rules_check;
mod rules_explain;
mod rules_list;
mod rules_test;
mod sarif;
mod shell;
mod sight;
mod summary;
mod target;
mod taxonomy;
mod when;

use args::{Cli, Command, RulesCommand};
use clap::Parser as _;
use std::io::Write as _;

/// With what the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything was looked at.
    Complete,
    /// Something could not be read, or a test failed.
    Incomplete,
    /// Nothing was done.
    Fatal,
    /// `--fail-on`: there is such a hit.
    Found,
    /// Ended by Ctrl-C or the like.
    Interrupted,
}

impl Exit {
    /// The word in a manifest; of what was found nobody knows by the code whether it is all.
    pub fn word(self, complete: bool) -> &'static str {
        match self {
            Exit::Complete => "complete",
            Exit::Found if complete => "complete",
            Exit::Found | Exit::Incomplete => "incomplete",
            Exit::Fatal => "failed",
            Exit::Interrupted => "interrupted",
        }
    }

    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Exit::Complete => 0,
            Exit::Incomplete => 1,
            Exit::Fatal => 2,
            Exit::Found => 3,
            Exit::Interrupted => interrupt::CODE,
        }
    }
}

/// Parses the arguments and does what they say.
pub fn run() -> Exit {
    if checker::is_called() {
        return checker::main();
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error, "harrier"),
    };
    exit(match &cli.command {
        Command::Hunt(args) => hunt::run(args),
        Command::Rules(RulesCommand::Check(args)) => rules_check::run(args),
        Command::Rules(RulesCommand::List(args)) => rules_list::run(args),
        Command::Rules(RulesCommand::Explain(args)) => rules_explain::run(args),
        Command::Dump(args) => dump::run(args),
        Command::List(args) => list::run(args),
        Command::Extract(args) => extract::run(args),
        Command::Rules(RulesCommand::Test(args)) => rules_test::run(args),
        Command::Completions { shell } => shell::completions(*shell),
        Command::Man { command } => shell::man(command),
    })
}

/// An error is told, and nothing was done.
fn exit(done: anyhow::Result<Exit>) -> Exit {
    done.unwrap_or_else(|error| {
        say_error(&format!("{error:#}"));
        Exit::Fatal
    })
}

/// Help goes to standard output and is no error; anything else becomes one line.
fn usage(error: &clap::Error, program: &str) -> Exit {
    if !error.use_stderr() {
        // The reader may have gone: that is no error either.
        let _ = error.print();
        return Exit::Complete;
    }
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = error.print();
        return Exit::Fatal;
    }
    let text = error.to_string();
    let lines: Vec<&str> =
        text.lines().map(str::trim).take_while(|l| !l.starts_with("Usage:")).collect();
    let lines: Vec<&str> = lines
        .into_iter()
        .filter(|line| !line.is_empty() && !line.starts_with("For more information"))
        .collect();
    let said = lines.join("; ").replace(":; ", ": ");
    let said = said.strip_prefix("error: ").unwrap_or(&said).to_owned();
    say_error(&format!("{said}: see '{program} --help'"));
    Exit::Fatal
}

/// How many threads: as many as there are processors, if nobody says.
pub fn threads(asked: Option<usize>) -> usize {
    asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, Into::into))
}

/// A line on standard error. That nobody listens is no reason to fail.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// An error's line.
pub fn say_error(what: &str) {
    say(&format!("harrier: error: {}", harrier::report::escape::lined(what)));
}

/// A warning's line.
pub fn say_warning(what: &str) {
    say(&format!("harrier: warning: {}", harrier::report::escape::lined(what)));
}
