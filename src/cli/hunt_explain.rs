//! `harrier hunt --explain RULE@RECORD`: why a rule matched a record, or did not.
//!
//! `@` may stand in titles and in paths: what stands before one of them has to be a rule, and behind it a
//! record; the first that is so counts.

use super::args::{FormatArg, HuntArgs};
use super::rules_explain::{PageArg, load, not_found, tell_refused};
use super::shell::print;
use super::taxonomy::{self, Doubt};
use super::{Exit, evidence, passwords, say_error, say_warning};
use anyhow::{Result, bail};
use harrier::{
    attack::Attack,
    engine::{RuleId, RuleSet},
    evidence::Walk,
    evtx::Record,
    explain::{Corpus, NotFound, Subject, Which, find, outcome},
    hunt::{Fingerprint, Fingerprinter, Key, Visitor, visit},
    report::explain::Outcome,
};
use std::{collections::HashSet, ops::ControlFlow};

/// So many records are explained; a number may be in each of hundreds of logs.
const MOST: usize = 20;

/// So many things that could not be read are named.
const PROBLEMS_SHOWN: usize = 10;

/// Explains.
pub fn run(args: &HuntArgs, what: &str) -> Result<Exit> {
    let format = page_format(args)?;
    let paths = evidence::resolve(&args.evidence)?;
    let access = passwords::access(&args.evidence, args.output.quiet)?;
    let (taxonomy, doubts) = taxonomy::read(&args.rules)?;
    doubts.iter().for_each(Doubt::say);
    let loaded = load(&args.rules)?;
    let incomplete = tell_refused(&loaded) || doubts.iter().any(|doubt| doubt.lost);
    let set = RuleSet::compile(loaded.rules.clone(), taxonomy);
    let attack = Attack::builtin();
    let corpus = Corpus {
        set: &set,
        correlations: &loaded.correlations,
        filters: &loaded.filters,
        attack: &attack,
    };
    let (rule, which) = match wanted(what, &corpus) {
        Ok(wanted) => wanted,
        Err(Unmet::Form) => bail!(
            "--explain {what}: give RULE@RECORD: a record is its EventRecordID, or PATH:OFFSET"
        ),
        Err(Unmet::NoRule(name)) => {
            bail!(
                "--explain {what}: it is about one event, and {name} is no rule for single events"
            )
        }
        Err(Unmet::Rule(query, why)) => {
            bail!("--explain {what}: {}", not_found(&query, &why, &loaded))
        }
    };
    let mut explaining = Explaining {
        corpus,
        rule,
        which,
        known: (!args.output.all_copies).then(|| (Fingerprinter::new(Key::draw()), HashSet::new())),
        outcomes: Vec::new(),
        more: 0,
        problems: Vec::new(),
    };
    let access = access.carving(evidence::carving(&args.evidence));
    visit(Walk::new(&paths).with(access), args.evidence.recover, &mut explaining);
    let Explaining { outcomes, more, problems, .. } = explaining;
    problems.iter().take(PROBLEMS_SHOWN).for_each(|problem| say_error(problem));
    let unnamed = problems.len().saturating_sub(PROBLEMS_SHOWN);
    if unnamed > 0 {
        say_error(&format!("{unnamed} more could not be read: a hunt with --ledger names them"));
    }
    if outcomes.is_empty() {
        bail!("--explain {what}: there is no such record in {}", evidence::names(&paths));
    }
    if more > 0 {
        say_warning(&format!(
            "{more} more records have this number: name one as PATH:OFFSET, or give less evidence"
        ));
    }
    print(&format.build(args.output.color).outcomes(&outcomes))?;
    let complete = !incomplete && problems.is_empty();
    Ok(if complete { Exit::Complete } else { Exit::Incomplete })
}

/// How it is to look.
fn page_format(args: &HuntArgs) -> Result<PageArg> {
    let out = &args.output;
    if !out.output.is_empty() || out.ledger.is_some() || out.fail_on.is_some() {
        bail!("--explain: prints no hits: leave out --output, --ledger and --fail-on");
    }
    Ok(match out.format {
        None | Some(FormatArg::Table) => PageArg::Text,
        Some(FormatArg::Jsonl) => PageArg::Json,
        Some(FormatArg::Markdown) => PageArg::Markdown,
        Some(_) => bail!("--explain: has the formats text, json and markdown"),
    })
}

/// Why it is not known what is to be explained.
enum Unmet {
    /// It is not RULE@RECORD.
    Form,
    /// The rule is a correlation or a filter.
    NoRule(String),
    /// There is no such rule, or there are several.
    Rule(String, NotFound),
}

fn wanted(what: &str, corpus: &Corpus<'_>) -> Result<(RuleId, Which), Unmet> {
    let mut why = Unmet::Form;
    for (at, _) in what.match_indices('@') {
        let (query, record) = (&what[..at], &what[at + 1..]);
        let Some(which) = Which::parse(record) else { continue };
        match find(query, corpus) {
            Ok(Subject::Rule(rule)) => return Ok((rule, which)),
            Ok(_) => why = Unmet::NoRule(query.to_owned()),
            Err(not_found) => why = Unmet::Rule(query.to_owned(), not_found),
        }
    }
    Err(why)
}

/// Gathers what the rule made of the records that are meant.
struct Explaining<'a> {
    corpus: Corpus<'a>,
    rule: RuleId,
    which: Which,
    /// The events that were met, if copies are left out.
    known: Option<(Fingerprinter, HashSet<Fingerprint>)>,
    outcomes: Vec<Outcome>,
    more: usize,
    problems: Vec<String>,
}

impl Visitor for Explaining<'_> {
    fn record(&mut self, path: &str, record: &Record<'_>) -> ControlFlow<()> {
        let (offset, id) = (record.offset(), record.header_record_id());
        if !self.which.is(path, offset, id, record) {
            return ControlFlow::Continue(());
        }
        if let Some((prints, known)) = &mut self.known
            && let Some(print) = prints.of(record)
            && !known.insert(print)
        {
            return ControlFlow::Continue(());
        }
        if self.outcomes.len() >= MOST {
            self.more += 1;
            return ControlFlow::Continue(());
        }
        let Corpus { set, filters, .. } = self.corpus;
        self.outcomes.push(outcome(set, filters, self.rule, record, (path, offset, id)));
        ControlFlow::Continue(())
    }

    fn problem(&mut self, path: &str, reason: &str) {
        self.problems.push(format!("{path}: {reason}"));
    }
}
