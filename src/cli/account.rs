//! The ledger of a run, whatever the run does: its file, and what it says at the end.

use super::target::{Pending, Target, incomplete};
use super::{say_error, say_warning};
use anyhow::{Context as _, Result, bail};
use harrier::{
    hunt::Inventoried,
    ledger::{Ledger, LedgerFile},
};
use std::{
    io::{BufWriter, ErrorKind},
    ops::ControlFlow,
};

/// The ledger's file, begun, and what is left to do with it.
pub fn open_ledger(target: Option<Target>) -> Result<(Option<LedgerFile>, Option<Pending>)> {
    let Some(Target { writer, pending }) = target else { return Ok((None, None)) };
    let file = LedgerFile::begin(Box::new(BufWriter::new(writer)));
    Ok((Some(file.with_context(|| unwritten(&pending))?), Some(pending)))
}

fn unwritten(pending: &Pending) -> String {
    format!("{}: the ledger cannot be written", pending.name())
}

/// Notes what an inventory met, and what of it was begun when the run was stopped.
pub fn inventoried(ledger: &mut Ledger, told: Inventoried, interrupted: bool) {
    ledger.set_met(told.met);
    if interrupted {
        ledger.set_interrupted();
        told.not_ended.into_iter().for_each(|entry| ledger.source(entry));
    }
}

/// Ends the ledger's file. Breaks if its reader went away, who then has seen enough.
pub fn finish(ledger: &mut Ledger, pending: Option<Pending>) -> Result<ControlFlow<()>> {
    match (ledger.finish(), pending) {
        (Ok(()), Some(pending)) => pending.complete()?,
        (Err(error), _) if error.kind() == ErrorKind::BrokenPipe => {
            return Ok(ControlFlow::Break(()));
        }
        (Err(error), Some(pending)) => {
            let rest = incomplete(std::iter::once(&pending));
            bail!("{}: {error}{rest}", unwritten(&pending))
        }
        (done, None) => done.context("the ledger cannot be written")?,
    }
    Ok(ControlFlow::Continue(()))
}

/// Warns if the event filter left nothing to look at.
pub fn warn_of_filter(ledger: &Ledger) {
    let records = &ledger.counts().records;
    if records.filtered > 0
        && records.filtered == records.seen - records.unreadable - records.unrecoverable
    {
        let wanted = ledger.event_filter().unwrap_or_default();
        say_warning(&format!("no event was looked at, all were left out: {wanted}"));
    }
}

/// Whether the bins add up; says so if not.
pub fn balanced(ledger: &Ledger) -> bool {
    let imbalances = ledger.imbalances();
    for imbalance in &imbalances {
        say_error(&format!("the ledger does not add up, please report this: {imbalance}"));
    }
    imbalances.is_empty()
}
