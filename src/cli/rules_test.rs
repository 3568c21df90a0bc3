//! `harrier rules test`: do the regression tests that rules name pass?
//!
//! As SigmaHQ runs them: all rules are run on a test's log, and the rule that names the test has to
//! hit at least as often as the test says.

use super::args::{RuleArgs, TestArgs};
use super::regression::{find, roots};
use super::rules::Rules;
use super::{Exit, say_error};
use anyhow::{Result, bail};
use harrier::{
    engine::RuleSet,
    evidence::Walk,
    hunt::Hunt,
    ledger::{Ledger, RuleState, SourceState},
    report::escape,
    sigma::{self, About},
};
use rayon::prelude::*;
use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// How a test ended.
enum Verdict {
    /// As it says.
    Pass { found: u64 },
    /// Not as it says.
    Fail { found: u64, why: Option<String> },
    /// Its data is not there.
    Missing { what: String },
}

/// A test of a rule, run or found to be without data.
struct Outcome {
    title: String,
    expected: u64,
    verdict: Verdict,
}

/// A test to be run.
struct Case<'r> {
    rule: &'r About,
    expected: u64,
    log: PathBuf,
}

/// Runs the tests.
pub fn run(args: &TestArgs) -> Result<Exit> {
    let wanted = RuleArgs {
        rules: args.rules.clone(),
        include_deprecated: true,
        include_unsupported: true,
        ..RuleArgs::default()
    };
    let rules = Rules::load(&wanted)?;
    rules.report(false, args.quiet)?;
    let refused = rules.entries.iter().filter(|entry| entry.state == RuleState::Refused).count();
    let roots = roots(&args.rules, args.data.as_deref());
    let mut slots: Vec<Result<Case<'_>, Outcome>> = Vec::new();
    // A rule is tested for itself, also if a correlation speaks for it otherwise.
    let set = rules.set.outspoken();
    // What is said of an aggregation is said of its rule.
    let correlations = set.correlations().all().iter().filter(|found| !found.aggregation);
    let correlations = correlations.map(|found| &found.about);
    for rule in set.rules().map(|(_, rule)| &rule.about).chain(correlations) {
        if let Some(path) = &rule.regression_tests_path {
            cases(rule, path, &roots, &mut slots);
        }
    }
    if slots.is_empty() {
        bail!("no rule names tests (regression_tests_path): give SigmaHQ's rules with -r");
    }
    let hits = run_logs(&set, &slots);
    let outcomes = slots.into_iter().map(|slot| match slot {
        Ok(case) => judge(&case, &hits),
        Err(outcome) => outcome,
    });
    tell(&outcomes.collect::<Vec<_>>(), refused, args.quiet)
}

/// Reads a rule's tests.
fn cases<'r>(
    rule: &'r About,
    path: &str,
    roots: &[PathBuf],
    slots: &mut Vec<Result<Case<'r>, Outcome>>,
) {
    let outcome = |expected, verdict| Err(Outcome { title: rule.title.clone(), expected, verdict });
    let missing = |expected, what: &str| outcome(expected, Verdict::Missing { what: what.into() });
    let fail = |why| outcome(1, Verdict::Fail { found: 0, why: Some(why) });
    let Some(info) = find(path, roots) else {
        return slots.push(missing(1, path));
    };
    let read = std::fs::read(&info).map_err(|error| error.to_string());
    let info = match read.and_then(|bytes| sigma::read_regression_info(&bytes)) {
        Ok(info) => info,
        Err(error) => return slots.push(fail(format!("{path}: {error}"))),
    };
    if !info.rule_ids.iter().any(|id| Some(id) == rule.id.as_ref()) {
        return slots.push(fail(format!("{path} is about other rules")));
    }
    for test in info.tests {
        slots.push(match find(&test.path, roots) {
            _ if test.kind != "evtx" => {
                fail(format!("a test of type {} cannot be run, only evtx", test.kind))
            }
            None => missing(test.match_count, &test.path),
            Some(log) => Ok(Case { rule, expected: test.match_count, log }),
        });
    }
}

/// What running all rules on a log gave.
struct LogHits {
    /// Hits by the rule's id.
    by_id: BTreeMap<String, u64>,
    /// What of the log could not be read.
    problem: Option<String>,
}

/// Runs all rules on each log once.
fn run_logs(set: &RuleSet, slots: &[Result<Case<'_>, Outcome>]) -> BTreeMap<PathBuf, LogHits> {
    let mut logs: Vec<&PathBuf> = slots.iter().flatten().map(|case| &case.log).collect();
    logs.sort();
    logs.dedup();
    logs.par_iter().map(|log| ((*log).clone(), run_log(set, log))).collect()
}

fn run_log(set: &RuleSet, log: &Path) -> LogHits {
    let hunt = Hunt::new(set);
    let mut ledger = Ledger::new(None);
    let walk = Walk::new(&[log.to_owned()]);
    let hits = match hunt.run(walk, &mut [], &mut ledger) {
        Ok(hits) => hits,
        Err(error) => {
            return LogHits { by_id: BTreeMap::new(), problem: Some(error.to_string()) };
        }
    };
    let mut by_id = BTreeMap::new();
    let rules = set.rules().map(|(_, rule)| &rule.about);
    let correlations = set.correlations().all().iter().map(|found| &found.about);
    for (rule, hits) in rules.chain(correlations).zip(hits) {
        if let (Some(id), true) = (&rule.id, hits > 0) {
            *by_id.entry(id.clone()).or_default() += hits;
        }
    }
    let unread = ledger.sources().state(SourceState::Read) == 0;
    let problem = ledger.problems().first().filter(|_| unread).map(|p| p.reason.clone());
    LogHits { by_id, problem }
}

fn judge(case: &Case<'_>, hits: &BTreeMap<PathBuf, LogHits>) -> Outcome {
    let log = hits.get(&case.log);
    let by_id = log.map(|log| &log.by_id);
    let found = case.rule.id.as_ref().and_then(|id| by_id?.get(id)).copied().unwrap_or(0);
    let right = if case.expected == 0 { found == 0 } else { found >= case.expected };
    let problem = log.and_then(|log| log.problem.clone());
    let verdict = match problem {
        // Nothing found in a log that could not be read is no proof of anything.
        Some(why) if !right || case.expected == 0 => Verdict::Fail { found, why: Some(why) },
        _ if right => Verdict::Pass { found },
        why => Verdict::Fail { found, why },
    };
    Outcome { title: case.rule.title.clone(), expected: case.expected, verdict }
}

/// Prints a line for each test, and the sums.
fn tell(outcomes: &[Outcome], refused: usize, quiet: bool) -> Result<Exit> {
    let (mut passed, mut failed, mut missing) = (0, 0, 0);
    let mut text = String::new();
    for outcome in outcomes {
        match outcome.verdict {
            Verdict::Pass { .. } => passed += 1,
            Verdict::Fail { .. } => failed += 1,
            Verdict::Missing { .. } => missing += 1,
        }
        if !quiet || matches!(outcome.verdict, Verdict::Fail { .. }) {
            text.push_str(&escape::lined(&outcome.to_string()));
            text.push('\n');
        }
    }
    text.push_str(&format!("{passed} passed, {failed} failed, {missing} missing data\n"));
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            bail!("standard output: cannot be written: {error}");
        }
        _ => {}
    }
    if refused > 0 {
        say_error(&format!("{refused} rules were not loaded, their tests were not run"));
    }
    Ok(if failed > 0 || refused > 0 { Exit::Incomplete } else { Exit::Complete })
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = &self.title;
        let expected = match self.expected {
            0 => "none".to_owned(),
            n => format!("at least {n}"),
        };
        match &self.verdict {
            Verdict::Pass { found } => {
                write!(f, "PASS     {title}: expected {expected}, found {found}")
            }
            Verdict::Fail { found, why: None } => {
                write!(f, "FAIL     {title}: expected {expected}, found {found}")
            }
            Verdict::Fail { found, why: Some(why) } => {
                write!(f, "FAIL     {title}: expected {expected}, found {found}: {why}")
            }
            Verdict::Missing { what } => write!(f, "MISSING  {title}: {what}"),
        }
    }
}
