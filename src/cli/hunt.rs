//! `harrier hunt`.

use super::args::HuntArgs;
use super::event_filter::Events;
use super::progress::Progress;
use super::rules::Rules;
use super::{Exit, evidence, interrupt, output, say_error, say_warning, summary};
use anyhow::{Context as _, Result, bail};
use harrier::{
    evidence::Walk,
    hunt::{Hunt, HuntError, Output, Step},
    ledger::{Ledger, LedgerFile},
    sigma::Level,
};
use std::{io::ErrorKind, path::PathBuf, thread::available_parallelism, time::Instant};

/// Hunts and tells of it.
pub fn run(args: &HuntArgs) -> Result<Exit> {
    let out = &args.output;
    let paths = evidence::resolve(&args.evidence)?;
    let events = Events::build(&args.events)?;
    let interrupt = interrupt::watch().context("interruptions cannot be handled")?;
    let rules = Rules::load(&args.rules, out.verbose)?;
    rules.report(out.verbose, out.quiet)?;
    let output = output::open(out, &paths)?;
    let ledger_file = output::open_ledger(out, &paths)?;
    let ledger_file = ledger_file.map(LedgerFile::begin).transpose();
    let mut ledger = Ledger::new(ledger_file.context("the ledger cannot be written")?);

    let begun = Instant::now();
    let mut progress = Progress::begin(!out.no_progress && !out.quiet, &paths);
    let mut writer =
        if output.on_terminal { progress.beside(output.writer) } else { output.writer };
    let advance = |step: &Step<'_>| progress.advance(step);
    let hunt = Hunt {
        rules: &rules.set,
        filter: None,
        threads: args.threads.unwrap_or_else(|| available_parallelism().map_or(1, Into::into)),
        full_scan: args.full_scan,
        recover: args.evidence.recover,
        cancel: Some(&interrupt),
        progress: Some(&advance),
    };
    let filter = events.resolve(&args.events, &hunt, &paths, out.verbose)?;
    let hunt = Hunt { filter: Some(&filter), ..hunt };
    let mut outputs = [Output { format: &output.format, writer: &mut *writer }];
    let hits = hunt.run(Walk::new(&paths), &mut outputs, &mut ledger);
    progress.finish();
    let hits = match hits {
        Ok(hits) => hits,
        // Whoever read the hits has seen enough.
        Err(HuntError::Output { error, .. }) if error.kind() == ErrorKind::BrokenPipe => {
            return Ok(Exit::Complete);
        }
        Err(HuntError::Output { error, .. }) => {
            bail!("{}: cannot be written: {error}: hits are missing", output.name)
        }
        Err(error) => bail!("{error}: try fewer with --threads"),
    };
    ledger.set_rules(rules.with_hits(&hits, &ledger));
    finish(args, &paths, &mut ledger, begun)
}

fn finish(args: &HuntArgs, paths: &[PathBuf], ledger: &mut Ledger, begun: Instant) -> Result<Exit> {
    let out = &args.output;
    ledger.finish().context("the ledger cannot be written")?;
    summary::problems(ledger, out.verbose);
    if ledger.sources().all() == 0 && !ledger.interrupted() {
        bail!("{}: no event logs there: check the path", evidence::names(paths));
    }
    if !out.quiet {
        summary::summary(ledger, begun.elapsed(), out.verbose);
    }
    let records = &ledger.counts().records;
    if records.filtered > 0
        && records.filtered == records.seen - records.unreadable - records.unrecoverable
    {
        let wanted = ledger.event_filter().unwrap_or_default();
        say_warning(&format!("no event was looked at, all were left out: {wanted}"));
    }
    let imbalances = ledger.imbalances();
    for imbalance in &imbalances {
        say_error(&format!("the ledger does not add up, please report this: {imbalance}"));
    }
    let least = out.fail_on.map(Level::from);
    let found = Level::ALL.iter().zip(ledger.counts().hits);
    let found = found.filter(|(level, n)| *n > 0 && least.is_some_and(|least| **level >= least));
    Ok(if ledger.interrupted() {
        say_warning("interrupted: what was found is written, the rest was not looked at");
        Exit::Interrupted
    } else if found.count() > 0 {
        Exit::Found
    } else if ledger.complete() && imbalances.is_empty() {
        Exit::Complete
    } else {
        Exit::Incomplete
    })
}
