//! `harrier dump`.

use super::args::{self, EvidenceArgs};
use super::custody::{self, About, Custody, CustodyArgs};
use super::event_filter::{EventArgs, Events, Said};
use super::output::{Accounts, Place};
use super::progress::Progress;
use super::target::{Pending, Target, incomplete};
use super::{Exit, account, evidence, interrupt, passwords, say_warning, summary, threads};
use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use harrier::{
    engine::RuleSet,
    evidence::{Access, Walk},
    evtx::Format,
    hunt::{Dump, Hunt, HuntError, Step},
    ledger::Ledger,
    taxonomy::{Options, Taxonomy},
};
use serde_json::{Value, json};
use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
    time::Instant,
};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  harrier dump Security.evtx | jq .Event.System.EventID
  harrier dump case/ --event-id 4624,4625 --from -7d -o logons.jsonl
  harrier dump case/ --channel Sysmon --format xml -o sysmon.xml
  harrier dump Security.evtx --recover --with-place

Output:
  jsonl is what 'evtx_dump -o jsonl' writes: an object for each record, its only key Event. With
  --with-place there is a second one, evidence: the path of the log, and where in it the record stands.
  A record that is in no log any more (--recover) always has it, with \"recovered\": true.
  xml is one document, Events, with an Event for each record; before it stands, where JSON has
  evidence, <?evidence path=\"...\" chunk=\"...\" offset=\"...\" record_id=\"...\" recovered=\"...\"?>.
  Records come in the order of the evidence, the same bytes in every run; one that is in several
  places comes from each of them.
  A file is called FILE.partial until it is complete.
  Nothing is ever written into a folder of evidence.

Exit codes: 0 every record was written (or left out by the filter); 1 something could not be read,
standard error and the ledger say what; 2 nothing was read; 130 interrupted.")]
pub struct DumpArgs {
    #[command(flatten)]
    pub evidence: EvidenceArgs,

    #[command(flatten)]
    pub events: EventArgs,

    /// How records look, if the file's name does not tell
    #[arg(long, value_enum, value_name = "FORMAT", help_heading = "Output")]
    pub format: Option<DumpFormat>,
    /// Write records to FILE; - is standard output
    #[arg(short, long, value_name = "FILE", default_value = "-", help_heading = "Output")]
    pub output: PathBuf,
    /// Say of each record where it stands
    #[arg(long, help_heading = "Output")]
    pub with_place: bool,
    /// Write an account of every source, chunk and record to FILE, as JSON
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub ledger: Option<PathBuf>,
    /// Show no progress
    #[arg(long, help_heading = "Output")]
    pub no_progress: bool,
    /// Say nothing but errors on standard error
    #[arg(short, long, conflicts_with = "verbose", help_heading = "Output")]
    pub quiet: bool,
    /// Say more on standard error
    #[arg(short, long, help_heading = "Output")]
    pub verbose: bool,

    #[command(flatten)]
    pub custody: CustodyArgs,

    /// How many threads; all processors if not given
    #[arg(long, value_name = "N", value_parser = args::threads, help_heading = "Running")]
    pub threads: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DumpFormat {
    /// A JSON object on each line
    #[value(alias = "json")]
    Jsonl,
    /// One XML document
    Xml,
}

/// Writes all records and tells of it.
pub fn run(args: &DumpArgs) -> Result<Exit> {
    args.custody.check()?;
    let paths = evidence::resolve(&args.evidence)?;
    let access =
        passwords::access(&args.evidence, args.quiet)?.carving(evidence::carving(&args.evidence));
    let events = Events::build(&args.events)?;
    let interrupt = interrupt::watch().context("interruptions cannot be handled")?;
    let output = Place::new(&args.output);
    let dump = Dump { format: format(args.format, &output)?, with_place: args.with_place };
    let accounts = Accounts::new(args.ledger.as_deref(), args.custody.manifest.as_deref());
    Place::check("records", &output, &accounts, &paths)?;
    let target = output.open()?;
    let ledger = accounts.ledger.as_ref().map(Place::open).transpose()?;
    let manifest = accounts.manifest.as_ref().map(Place::open).transpose()?;
    let about = About {
        hash: args.custody.hash.hash,
        paths: &paths,
        access: &access,
        threads: threads(args.threads),
        interrupt: &interrupt,
        progress: !args.no_progress && !args.quiet,
        options: options(args),
        rules: None,
        inputs: inputs(args),
    };
    let mut custody = Custody::begin(manifest, &about)?;
    let target = custody.noted("records", target);
    let ledger = ledger.map(|ledger| custody.noted("ledger", ledger));
    let on_terminal = output.on_terminal();
    let begun = Begun { paths, access, events, dump, target, on_terminal, ledger, interrupt };
    let done = write(args, begun, &mut custody);
    custody.finish(done)
}

/// What a dump needs.
struct Begun {
    paths: Vec<PathBuf>,
    access: Access,
    events: Events,
    dump: Dump,
    target: Target,
    on_terminal: bool,
    ledger: Option<Target>,
    interrupt: Arc<AtomicBool>,
}

/// What is in effect of what changes what is written.
fn options(args: &DumpArgs) -> Value {
    json!({
        "threads": threads(args.threads),
        "carve": evidence::carve_word(&args.evidence),
        "recover": args.evidence.recover,
        "with_place": args.with_place,
    })
}

/// Files that options name.
fn inputs(args: &DumpArgs) -> Vec<(String, PathBuf)> {
    let mut inputs = custody::inputs_of_evidence(&args.evidence);
    inputs.append(&mut custody::inputs_of_events(&args.events));
    inputs
}

/// Writes with all that is there.
fn write(args: &DumpArgs, begun: Begun, custody: &mut Custody) -> Result<Exit> {
    let Begun { paths, access, events, dump, target, on_terminal, ledger, interrupt } = begun;
    let walk = || Walk::new(&paths).with(access.clone());
    let rules = RuleSet::compile(Vec::new(), Taxonomy::builtin(Options::default()));
    let hunt = Hunt {
        threads: threads(args.threads),
        recover: args.evidence.recover,
        cancel: Some(&interrupt),
        ..Hunt::new(&rules)
    };
    let said = Said { quiet: args.quiet, verbose: args.verbose };
    let filter = events.resolve(&args.events, &hunt, &walk, said)?;
    let (ledger_file, ledger_pending) = account::open_ledger(ledger)?;
    let mut ledger = Ledger::new(ledger_file);

    let begun = Instant::now();
    let mut progress = Progress::begin(!args.no_progress && !args.quiet, false, &paths);
    let pending = target.pending;
    let mut writer = if on_terminal { progress.beside(target.writer) } else { target.writer };
    let learned = evidence::learn(&args.evidence, &hunt, &walk)?;
    let advance = |step: &Step<'_>| progress.advance(step);
    let hunt =
        Hunt { learned: learned.as_ref(), filter: Some(&filter), progress: Some(&advance), ..hunt };
    let done = hunt.dump(walk(), dump, &mut *writer, &mut ledger);
    progress.finish();
    drop(writer);
    if let Err(error) = done {
        drop(ledger);
        custody.because("the reader of the records went away");
        return failed(error, &pending, ledger_pending.as_ref());
    }
    custody.settle(Some(&mut ledger))?;
    if ledger.sources().all() == 0 && !ledger.interrupted() {
        pending.discard();
    } else if ledger.cut_short() {
        let rest = incomplete(std::iter::once(&pending));
        say_warning(&format!("interrupted: what was read is written, the rest is not{rest}"));
    } else {
        pending.complete()?;
        custody.written("records");
    }
    custody.set_complete(ledger.complete());
    if account::finish(&mut ledger, ledger_pending)?.is_break() {
        return Ok(Exit::Complete);
    }
    custody.written("ledger");
    summary::problems(&ledger, args.verbose);
    if ledger.sources().all() == 0 && !ledger.interrupted() {
        bail!("{}: no event logs there: check the path", evidence::names(&paths));
    }
    if !args.quiet {
        summary::of_reading(&ledger, begun.elapsed(), args.verbose);
        account::warn_of_filter(&ledger);
    }
    let balanced = account::balanced(&ledger);
    Ok(match ledger.interrupted() {
        true => Exit::Interrupted,
        false if ledger.complete() && balanced => Exit::Complete,
        false => Exit::Incomplete,
    })
}

/// What is said if the run ended before the evidence did.
fn failed(error: HuntError, pending: &Pending, ledger: Option<&Pending>) -> Result<Exit> {
    let rest = |pending: &mut dyn Iterator<Item = &Pending>| incomplete(pending);
    match error {
        // Whoever read the records has seen enough.
        HuntError::Output { error, .. } if error.kind() == ErrorKind::BrokenPipe => {
            let rest = rest(&mut ledger.into_iter());
            if !rest.is_empty() {
                say_warning(&format!("the reader of the records went away{rest}"));
            }
            Ok(Exit::Complete)
        }
        HuntError::Output { error, .. } => {
            let rest = rest(&mut std::iter::once(pending).chain(ledger));
            bail!("{}: cannot be written: {error}: records are missing{rest}", pending.name())
        }
        error => bail!("{error}: try fewer with --threads"),
    }
}

/// The format that is asked for, or that the file's name ends in.
fn format(asked: Option<DumpFormat>, place: &Place) -> Result<Format> {
    let format = match (asked, place.path()) {
        (Some(format), _) => format,
        (None, None) => DumpFormat::Jsonl,
        (None, Some(path)) => by_ending(path)?,
    };
    Ok(match format {
        DumpFormat::Jsonl => Format::Json,
        DumpFormat::Xml => Format::Xml,
    })
}

fn by_ending(path: &Path) -> Result<DumpFormat> {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    match ending.as_deref() {
        None | Some("jsonl" | "ndjson" | "json") => Ok(DumpFormat::Jsonl),
        Some("xml") => Ok(DumpFormat::Xml),
        Some(ending) => bail!(
            "{}: no format is known by the ending .{ending}: end it in .jsonl or .xml, or give \
             --format",
            path.display()
        ),
    }
}
