//! `harrier hunt`.

use super::args::HuntArgs;
use super::event_filter::Events;
use super::progress::Progress;
use super::rules::Rules;
use super::{Exit, evidence, output, say_error, say_warning, summary};
use anyhow::{Context as _, Result, bail};
use harrier::{
    evidence::Walk,
    hunt::{Hunt, HuntError, Output},
    ledger::{Ledger, LedgerFile},
    sigma::Level,
};
use std::{io::ErrorKind, thread::available_parallelism, time::Instant};

/// Hunts and tells of it.
pub fn run(args: &HuntArgs) -> Result<Exit> {
    let out = &args.output;
    evidence::check(&args.evidence)?;
    let events = Events::build(&args.events)?;
    let rules = Rules::load(&args.rules, out.verbose)?;
    rules.report(out.verbose)?;
    let output = output::open(out, &args.evidence)?;
    let ledger_file = output::open_ledger(out, &args.evidence)?;
    let ledger_file = ledger_file.map(LedgerFile::begin).transpose();
    let mut ledger = Ledger::new(ledger_file.context("the ledger cannot be written")?);

    let begun = Instant::now();
    let progress = Progress::begin(!out.no_progress && !out.quiet, &args.evidence);
    let mut writer =
        if output.on_terminal { progress.beside(output.writer) } else { output.writer };
    let advance = |bytes| progress.advance(bytes);
    let hunt = Hunt {
        rules: &rules.set,
        filter: None,
        threads: args.threads.unwrap_or_else(|| available_parallelism().map_or(1, Into::into)),
        full_scan: args.full_scan,
        cancel: None,
        progress: Some(&advance),
    };
    let filter = events.resolve(&args.events, &hunt, &args.evidence, out.verbose)?;
    let hunt = Hunt { filter: Some(&filter), ..hunt };
    let mut outputs = [Output { format: &output.format, writer: &mut *writer }];
    let hits = hunt.run(Walk::new(&args.evidence), &mut outputs, &mut ledger);
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
    let sources_complete = rules.log_sources_complete();
    ledger.set_rules(rules.with_hits(&hits));
    let exit = finish(args, &mut ledger, begun)?;
    Ok(if exit == Exit::Complete && !sources_complete { Exit::Incomplete } else { exit })
}

fn finish(args: &HuntArgs, ledger: &mut Ledger, begun: Instant) -> Result<Exit> {
    let out = &args.output;
    ledger.finish().context("the ledger cannot be written")?;
    summary::problems(ledger, out.verbose);
    if ledger.sources().all() == 0 {
        let names: Vec<String> =
            args.evidence.iter().map(|path| path.display().to_string()).collect();
        bail!("{}: no event logs there: check the path", names.join(", "));
    }
    if !out.quiet {
        summary::summary(ledger, begun.elapsed(), out.verbose);
    }
    let records = &ledger.counts().records;
    if records.filtered > 0 && records.filtered == records.seen - records.unreadable {
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
    Ok(if found.count() > 0 {
        Exit::Found
    } else if ledger.complete() && imbalances.is_empty() {
        Exit::Complete
    } else {
        Exit::Incomplete
    })
}
