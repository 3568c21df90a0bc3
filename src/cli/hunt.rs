//! `harrier hunt`.

use super::account::{self, open_ledger};
use super::args::HuntArgs;
use super::custody::{self, About, Custody};
use super::event_filter::{Events, Said};
use super::order;
use super::output::Look;
use super::output::Outputs;
use super::progress::Progress;
use super::rules::Rules;
use super::target::{Pending, incomplete};
use super::{
    Exit, evidence, hunt_explain, interrupt, output, passwords, say_warning, summary, threads,
};
use anyhow::{Context as _, Result, bail};
use harrier::{
    evidence::{Access, Walk},
    hunt::{Hunt, HuntError, Order, Output, Step},
    ledger::Ledger,
    sigma::Level,
};
use serde_json::{Value, json};
use std::{
    io::ErrorKind,
    mem::ManuallyDrop,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::Instant,
};

/// Hunts and tells of it.
pub fn run(args: &HuntArgs) -> Result<Exit> {
    if let Some(what) = &args.explain {
        return hunt_explain::run(args, what);
    }
    let out = &args.output;
    args.custody.check()?;
    let paths = evidence::resolve(&args.evidence)?;
    let access =
        passwords::access(&args.evidence, out.quiet)?.carving(evidence::carving(&args.evidence));
    let events = Events::build(&args.events)?;
    let interrupt = interrupt::watch().context("interruptions cannot be handled")?;
    let rules = Rules::load_digested(&args.rules, args.custody.manifest.is_some())?;
    rules.report(out.verbose, out.quiet)?;
    let local = events.shown_zone().is_some();
    let look = Look { grouped: args.timeline.group, local, filtered: out.show_filtered };
    let mut outputs = output::open(out, args.custody.manifest.as_deref(), &paths, look)?;
    let about = About {
        hash: args.custody.hash.hash,
        paths: &paths,
        access: &access,
        threads: threads(args.threads),
        interrupt: &interrupt,
        progress: !out.no_progress && !out.quiet,
        options: options(args),
        rules: Some(&rules),
        inputs: inputs(args),
    };
    let mut custody = Custody::begin(outputs.manifest.take(), &about)?;
    // With the hunt the program ends: to take apart what rules are made of, piece by piece, is for
    // nothing.
    let rules = ManuallyDrop::new(rules);
    let done =
        look_into(args, Begun { paths, access, events, rules, outputs, interrupt }, &mut custody);
    custody.finish(done)
}

/// What a hunt needs.
struct Begun {
    paths: Vec<PathBuf>,
    access: Access,
    events: Events,
    rules: ManuallyDrop<Rules>,
    outputs: Outputs,
    interrupt: Arc<AtomicBool>,
}

/// What is in effect of what changes what is found, and how it is shown.
fn options(args: &HuntArgs) -> Value {
    json!({
        "threads": threads(args.threads),
        "carve": evidence::carve_word(&args.evidence),
        "recover": args.evidence.recover,
        "full_scan": args.full_scan,
        "all_copies": args.output.all_copies,
        "extended_sources": args.rules.extended_sources,
        "time_zone": args.events.time_zone,
        "order": match order::order(&args.timeline) {
            Order::Evidence => "evidence",
            Order::Time => "time",
            Order::Grouped => "grouped",
        },
        "context_seconds": args.timeline.context.map(|context| context.as_secs()),
    })
}

/// Files that options name.
fn inputs(args: &HuntArgs) -> Vec<(String, PathBuf)> {
    let mut inputs = custody::inputs_of_evidence(&args.evidence);
    inputs.append(&mut custody::inputs_of_rules(&args.rules));
    inputs.append(&mut custody::inputs_of_events(&args.events));
    inputs
}

/// Hunts with all that is there.
fn look_into(args: &HuntArgs, begun: Begun, custody: &mut Custody) -> Result<Exit> {
    let Begun { paths, access, events, mut rules, outputs, interrupt } = begun;
    let out = &args.output;
    let walk = || Walk::new(&paths).with(access.clone());
    let hunt = Hunt {
        threads: threads(args.threads),
        full_scan: args.full_scan,
        show_filtered: out.show_filtered,
        once: !out.all_copies,
        recover: args.evidence.recover,
        order: order::order(&args.timeline),
        sort_memory: args.timeline.sort_memory,
        cancel: Some(&interrupt),
        ..Hunt::new(&rules.set)
    };
    let said = Said { quiet: out.quiet, verbose: out.verbose };
    let filter = events.resolve(&args.events, &hunt, &walk, said)?;
    let ledger = outputs.ledger.map(|target| custody.noted("ledger", target));
    let (ledger_file, ledger_pending) = open_ledger(ledger)?;
    let mut ledger = Ledger::new(ledger_file);

    let begun = Instant::now();
    let mut progress = Progress::begin(!out.no_progress && !out.quiet, true, &paths);
    let (mut places, mut pending) = (Vec::new(), Vec::new());
    for output in outputs.hits {
        let beside = output.on_terminal;
        let writer = custody.noting("hits", output.pending.name(), output.writer);
        let writer = if beside { progress.beside(writer) } else { writer };
        places.push((output.format, writer));
        pending.push(output.pending);
    }
    let learned = evidence::learn(&args.evidence, &hunt, &walk)?;
    let advance = |step: &Step<'_>| progress.advance(step);
    let hunt = Hunt {
        learned: learned.as_ref(),
        filter: Some(&filter),
        zone: events.shown_zone(),
        progress: Some(&advance),
        ..hunt
    };
    let mut outputs: Vec<Output<'_>> = places
        .iter_mut()
        .map(|(format, writer)| Output { format, writer: &mut **writer })
        .collect();
    let hits = match args.timeline.context {
        Some(reach) => hunt.run_with_context(&walk, reach, &mut outputs, &mut ledger),
        None => hunt.run(walk(), &mut outputs, &mut ledger),
    };
    progress.finish();
    let hits = match hits {
        Ok(hits) => hits,
        // Whoever read the hits has seen enough.
        Err(HuntError::Output { error, .. }) if error.kind() == ErrorKind::BrokenPipe => {
            drop(ledger);
            let rest = incomplete(ledger_pending.iter());
            if !rest.is_empty() {
                say_warning(&format!("the reader of the hits went away{rest}"));
            }
            custody.because("the reader of the hits went away");
            return Ok(Exit::Complete);
        }
        Err(HuntError::Output { which, error }) => {
            drop(ledger);
            let name = pending.get(which).map_or("", Pending::name);
            let rest = incomplete(pending.iter().chain(&ledger_pending));
            bail!("{name}: cannot be written: {error}: hits are missing{rest}")
        }
        Err(HuntError::Temporary(error)) => {
            drop(ledger);
            let (folder, rest) =
                (std::env::temp_dir(), incomplete(pending.iter().chain(&ledger_pending)));
            bail!(
                "{}: temporary files cannot be written: {error}: hits are missing: name a folder with \
                 room in {}{rest}",
                folder.display(),
                if cfg!(windows) { "TEMP" } else { "TMPDIR" }
            )
        }
        Err(error) => bail!("{error}: try fewer with --threads"),
    };
    drop(places);
    custody.settle(Some(&mut ledger))?;
    let sources_complete = rules.log_sources_complete();
    ledger.set_filters(rules.filters(&ledger));
    ledger.set_rules(rules.take_entries(&hits, &ledger));
    if ledger.sources().all() == 0 && !ledger.interrupted() {
        pending.drain(..).for_each(Pending::discard);
    } else if ledger.cut_short() {
        let rest = incomplete(pending.iter());
        if ledger.interrupted() {
            let told = "interrupted: what was found is written, the rest was not looked at";
            say_warning(&format!("{told}{rest}"));
        } else if !rest.is_empty() {
            say_warning(&format!("the hunt ended early{rest}"));
        }
    } else {
        pending.drain(..).try_for_each(Pending::complete)?;
        custody.written("hits");
    }
    custody.set_complete(ledger.complete() && sources_complete);
    let exit = finish(args, &paths, &mut ledger, (ledger_pending, custody), begun)?;
    Ok(if exit == Exit::Complete && !sources_complete { Exit::Incomplete } else { exit })
}

fn finish(
    args: &HuntArgs,
    paths: &[PathBuf],
    ledger: &mut Ledger,
    (pending, custody): (Option<Pending>, &mut Custody),
    begun: Instant,
) -> Result<Exit> {
    let out = &args.output;
    if account::finish(ledger, pending)?.is_break() {
        return Ok(Exit::Complete);
    }
    custody.written("ledger");
    summary::problems(ledger, out.verbose);
    if ledger.sources().all() == 0 && !ledger.interrupted() {
        bail!("{}: no event logs there: check the path", evidence::names(paths));
    }
    if !out.quiet {
        summary::summary(ledger, begun.elapsed(), out.verbose);
    }
    if !out.quiet {
        account::warn_of_filter(ledger);
    }
    let balanced = account::balanced(ledger);
    let least = out.fail_on.map(Level::from);
    let found = Level::ALL.iter().zip(ledger.counts().hits);
    let found = found.filter(|(level, n)| *n > 0 && least.is_some_and(|least| **level >= least));
    Ok(if ledger.interrupted() {
        Exit::Interrupted
    } else if found.count() > 0 {
        Exit::Found
    } else if ledger.complete() && balanced {
        Exit::Complete
    } else {
        Exit::Incomplete
    })
}
