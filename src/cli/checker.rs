//! The program under the name `evtx-sigma-checker`: a drop-in for the checker that SigmaHQ's tests
//! call.
//!
//! A link of that name to Harrier takes the checker's arguments and prints its kind of lines, a
//! JSON object for each match. SigmaHQ's regression runner calls it once for every test, with the folder
//! of the rule; its false-positive jobs call it with all rules on large logs.
//!
//! What those scripts rely on, and what is kept here:
//! - flags `--log-source`, `--evtx-path`, `--rule-path`, `--rule-level`, with one dash or two;
//! - rules of `--rule-level` and above, `low` if it is not given: the false-positive jobs call it
//!   without, and know no informational matches;
//! - all rules whatever their status: the scripts sort out deprecated ones themselves;
//! - on standard output nothing but matches, `RuleId` before the text of the event, no blanks between
//!   tokens (they are searched with `grep`); everything else is said on standard error;
//! - exit code 0 if it ran, whatever it found.
//!
//! Source of facts: SigmaHQ/sigma, `tests/regression_tests_runner.py`, `tests/check-baseline-local.sh`,
//! `.github/workflows/goodlog-tests.yml`, `matchgrep.sh` and `known-FPs.csv` (2026-11); the guide to
//! the checker by its authors.

use super::args::{EvidenceArgs, LevelArg, RuleArgs};
use super::rules::Rules;
use super::{Exit, evidence, exit, say_warning, summary, usage};
use anyhow::{Result, bail};
use clap::Parser;
use harrier::{
    evidence::Walk,
    hunt::{Hunt, HuntError, Output},
    ledger::{Ledger, RuleState, reasons},
    report::Format,
};
use std::{
    ffi::{OsStr, OsString},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    thread::available_parallelism,
};

/// The names under which the checker is published.
const NAMES: [&str; 3] =
    ["evtx-sigma-checker", "evtx-sigma-checker-darwin", "evtx-sigma-checker-win"];

/// Its flags that take a value; with a single dash they are meant as well.
const FLAGS: [&str; 4] = ["log-source", "evtx-path", "rule-path", "rule-level"];

#[derive(Debug, Parser)]
#[command(
    name = "evtx-sigma-checker",
    version,
    about = "Checks Windows event logs with Sigma rules and prints a JSON object for each match",
    after_help = "This is Harrier under another name, for scripts that call SigmaHQ's checker. \
A line has RuleId, RuleTitle, RuleLevel, RulePath, EvtxPath, Match (the event as text) and Event.

Example, in a copy of SigmaHQ's repository:
  evtx-sigma-checker --log-source tests/thor.yml --evtx-path Logs/ --rule-path rules/windows

Exit codes: 0 it ran, whatever it found; 2 bad arguments, or the output cannot be written. \
Rules that were not loaded and logs that could not be read are told on standard error."
)]
struct CheckerArgs {
    /// What log sources are; Harrier's own log sources if not given
    #[arg(long, value_name = "FILE")]
    log_source: Vec<PathBuf>,
    /// Event logs: a file or a folder
    #[arg(long, value_name = "PATH", required = true)]
    evtx_path: Vec<PathBuf>,
    /// Sigma rules: a file or a folder
    #[arg(long, value_name = "PATH", required = true)]
    rule_path: Vec<PathBuf>,
    /// Rules of this level and above
    #[arg(long, value_name = "LEVEL", ignore_case = true, default_value = "low")]
    rule_level: LevelArg,
}

/// Whether the program was called by the checker's name.
pub fn is_called() -> bool {
    std::env::args_os().next().is_some_and(|called| is_name(&called))
}

fn is_name(called: &OsStr) -> bool {
    let stem = Path::new(called).file_stem().and_then(OsStr::to_str);
    stem.is_some_and(|stem| NAMES.iter().any(|name| stem.eq_ignore_ascii_case(name)))
}

/// Does what the checker does.
pub fn main() -> Exit {
    match CheckerArgs::try_parse_from(std::env::args_os().map(two_dashes)) {
        Ok(args) => exit(run(&args)),
        Err(error) => usage(&error, NAMES[0]),
    }
}

/// A known flag with two dashes instead of one.
fn two_dashes(arg: OsString) -> OsString {
    let flag = arg.to_str().and_then(|arg| arg.strip_prefix('-'));
    let name = flag.map(|flag| flag.split('=').next().unwrap_or(flag));
    if !name.is_some_and(|name| FLAGS.contains(&name)) {
        return arg;
    }
    let mut whole = OsString::from("-");
    whole.push(&arg);
    whole
}

fn run(args: &CheckerArgs) -> Result<Exit> {
    let logs = EvidenceArgs { evidence: args.evtx_path.clone(), ..EvidenceArgs::default() };
    let logs = evidence::resolve(&logs)?;
    let wanted = RuleArgs {
        rules: args.rule_path.clone(),
        min_level: Some(args.rule_level),
        taxonomy: args.log_source.clone(),
        no_builtin_taxonomy: !args.log_source.is_empty(),
        include_deprecated: true,
        include_unsupported: true,
        ..RuleArgs::default()
    };
    let rules = Rules::load(&wanted)?;
    report(&rules)?;
    let mut ledger = Ledger::new(None);
    let threads = available_parallelism().map_or(1, Into::into);
    let hunt = Hunt { threads, ..Hunt::new(&rules.set) };
    let mut stdout = io::stdout();
    let mut outputs = [Output { format: &Format::Checker, writer: &mut stdout }];
    match hunt.run(Walk::new(&logs), &mut outputs, &mut ledger) {
        // Whoever read the matches has seen enough.
        Err(HuntError::Output { error, .. }) if error.kind() == ErrorKind::BrokenPipe => {
            return Ok(Exit::Complete);
        }
        Err(HuntError::Output { error, .. }) => {
            bail!("standard output: cannot be written: {error}: matches are missing")
        }
        Err(error) => bail!("{error}"),
        Ok(_) => {}
    }
    summary::problems(&ledger, true);
    if ledger.sources().all() == 0 {
        let names: Vec<String> = logs.iter().map(|path| path.display().to_string()).collect();
        bail!("{}: no event logs there: check the path", names.join(", "));
    }
    // The system takes the memory back at once; piece by piece it is a tenth of a short run.
    std::mem::forget(rules);
    Ok(Exit::Complete)
}

/// Tells which rules are not evaluated, and why. Fails if there are no rules at all.
fn report(rules: &Rules) -> Result<()> {
    if rules.entries.is_empty() {
        bail!("there are no rules: name files or folders of Sigma rules with --rule-path");
    }
    rules.tell_errors(usize::MAX);
    rules.tell_log_sources(usize::MAX);
    for (what, state) in
        [("left out", RuleState::LeftOut), ("not applicable", RuleState::NotApplicable)]
    {
        let reasons = reasons(&rules.entries, state).into_iter();
        for (reason, count) in reasons.filter(|(reason, _)| !rules.is_told(reason)) {
            let rules = if count == 1 { "rule" } else { "rules" };
            say_warning(&format!("{count} {rules} {what}: {reason}"));
        }
    }
    if rules.count(RuleState::Loaded) == 0 {
        say_warning("no rule is left to check with");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_definition_is_sound() {
        CheckerArgs::command().debug_assert();
    }

    #[test]
    fn the_name_decides() {
        for (called, want) in [
            ("evtx-sigma-checker", true),
            ("./evtx-sigma-checker", true),
            ("/opt/bin/evtx-sigma-checker-darwin", true),
            ("tools/EVTX-Sigma-Checker.exe", true),
            ("harrier", false),
            ("evtx-sigma-checker/harrier", false),
            ("my-evtx-sigma-checker", false),
            ("", false),
        ] {
            assert_eq!(is_name(OsStr::new(called)), want, "{called}");
        }
    }

    #[test]
    fn flags_may_have_one_dash() {
        for (given, want) in [
            ("-log-source", "--log-source"),
            ("-evtx-path=a=b", "--evtx-path=a=b"),
            ("--rule-path", "--rule-path"),
            ("-rule-levels", "-rule-levels"),
            ("-", "-"),
            ("rule-path", "rule-path"),
        ] {
            assert_eq!(two_dashes(given.into()), OsString::from(want));
        }
    }
}
