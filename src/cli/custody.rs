//! `--manifest` and `--hash`: an account of a run for custody, whatever the run does.
//!
//! It says with what was looked (program, command line, rules), at what (files with sizes, times and
//! digests), what was written, and when: the one output in which the time of the run stands. The file
//! is begun when the run begins and completed however it ends, unless nothing was begun.
//!
//! Invariant: no password gets here. Nothing is taken from the environment, and of the files that the
//! command line names those with passwords are not hashed either: a digest is enough to try guesses.

use super::args::{EvidenceArgs, RuleArgs};
use super::event_filter::EventArgs;
use super::progress::Progress;
use super::rules::Rules;
use super::target::{Pending, Target};
use super::{Exit, say_error};
use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Args, ValueEnum};
use harrier::{
    bytes::hex,
    custody::{Depth, Hashing, ManifestFile, Survey},
    evidence::{Access, Walk, display_name},
    hunt::Step,
    ledger::{Ledger, RuleState},
    sigma::{RuleRoot, digest_of},
};
use jiff::{Timestamp, Unit};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::{
    fs::File,
    io::{self, BufWriter, Read as _, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Custody")]
pub struct CustodyArgs {
    /// Write an account for custody to FILE, as JSON: program, command line, rules and their digest,
    /// each file of the evidence with size and times, what was written, start and end
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    #[command(flatten)]
    pub hash: HashArgs,
}

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Custody")]
pub struct HashArgs {
    /// Hash the evidence for the manifest, with SHA-256: 'files', which is meant if nothing is said, as
    /// they were given; 'logs', also each log in archives and images; 'all', also compare the disks of
    /// E01 images with the MD5 and SHA-1 in them
    #[arg(
        long,
        value_enum,
        value_name = "WHAT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "files"
    )]
    pub hash: Option<HashArg>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HashArg {
    /// The files as they were given
    Files,
    /// Also the logs in containers
    Logs,
    /// Also the disks of images that say what their digests are
    All,
}

impl HashArg {
    fn depth(self) -> Depth {
        match self {
            HashArg::Files => Depth::Files,
            HashArg::Logs => Depth::Logs,
            HashArg::All => Depth::Media,
        }
    }

    /// What the digests in the manifest cover.
    fn covers(self) -> &'static str {
        match self {
            HashArg::Files => "files",
            HashArg::Logs => "files, logs in containers",
            HashArg::All => "files, logs in containers, disks",
        }
    }
}

impl CustodyArgs {
    /// Fails if something is asked for that has nowhere to go.
    pub fn check(&self) -> Result<()> {
        if self.hash.hash.is_some() && self.manifest.is_none() {
            bail!("--hash: the digests stand in the manifest: give --manifest FILE, too");
        }
        Ok(())
    }
}

/// What a run is, for its manifest.
pub struct About<'a> {
    /// What was hashed.
    pub hash: Option<HashArg>,
    /// The evidence.
    pub paths: &'a [PathBuf],
    /// How it is opened.
    pub access: &'a Access,
    /// How many threads.
    pub threads: usize,
    /// Set when the run is to end.
    pub interrupt: &'a Arc<AtomicBool>,
    /// Whether progress is shown.
    pub progress: bool,
    /// What is in effect, by the names of options.
    pub options: Value,
    /// The rules, if there are any.
    pub rules: Option<&'a Rules>,
    /// Files that options name, other than evidence and rules.
    pub inputs: Vec<(String, PathBuf)>,
}

/// The account of a run; nothing at all if none is wanted.
pub struct Custody(Option<Open>);

struct Open {
    file: ManifestFile,
    pending: Pending,
    survey: Option<Survey>,
    hashing: Option<JoinHandle<(Survey, io::Result<()>)>>,
    shared: Arc<Shared>,
    interrupt: Arc<AtomicBool>,
    progress: bool,
    outputs: Vec<Written>,
    /// Why the run is not complete, if it did not fail.
    reason: Option<String>,
    /// Which events were looked at, if not all.
    event_filter: Option<String>,
    /// Whether everything was looked at, if that is known.
    complete: bool,
    settled: bool,
    /// Whether hashing was interrupted.
    cut: bool,
}

/// What the hashing thread tells.
#[derive(Default)]
struct Shared {
    /// Nobody wants it any more.
    ended: AtomicBool,
    done: AtomicU64,
    /// How many bytes the files have.
    all: AtomicU64,
    last: Mutex<String>,
}

/// What was written to an output.
struct Written {
    name: String,
    what: &'static str,
    /// Whether all of it is there under that name.
    complete: bool,
    digest: Arc<Mutex<(Sha256, u64)>>,
}

impl Custody {
    /// Begins the account, if there is a place for it, and hashing.
    pub fn begin(target: Option<Target>, about: &About<'_>) -> Result<Custody> {
        let Some(Target { writer, pending }) = target else { return Ok(Custody(None)) };
        let begun = head(writer, about);
        let file = begun.map_err(|error| unwritten(&pending, &error))?;
        let survey = Survey::take(Walk::new(about.paths).with(about.access.clone()));
        let shared = Arc::new(Shared::default());
        shared.all.store(survey.bytes(), Ordering::Relaxed);
        let mut open = Open {
            file,
            pending,
            survey: None,
            hashing: None,
            shared: Arc::clone(&shared),
            interrupt: Arc::clone(about.interrupt),
            progress: about.progress,
            outputs: Vec::new(),
            reason: None,
            event_filter: None,
            complete: false,
            settled: false,
            cut: false,
        };
        match about.hash {
            None => open.survey = Some(survey),
            Some(hash) => {
                let (interrupt, threads) = (Arc::clone(about.interrupt), about.threads);
                let hashed = std::thread::Builder::new().name("custody".to_owned());
                let hashed = hashed
                    .spawn(move || digests(survey, hash.depth(), threads, &shared, &interrupt));
                open.hashing = Some(hashed.context("threads cannot be started for --hash")?);
            }
        }
        Ok(Custody(Some(open)))
    }

    /// A writer that notes what is written to an output.
    pub fn noting(
        &mut self,
        what: &'static str,
        name: &str,
        writer: Box<dyn Write + Send>,
    ) -> Box<dyn Write + Send> {
        let Some(open) = &mut self.0 else { return writer };
        let digest = Arc::new(Mutex::new((Sha256::new(), 0)));
        let name = name.to_owned();
        open.outputs.push(Written { name, what, complete: false, digest: Arc::clone(&digest) });
        Box::new(Noting { inner: writer, digest })
    }

    /// The same of a target.
    pub fn noted(&mut self, what: &'static str, target: Target) -> Target {
        let writer = self.noting(what, target.pending.name(), target.writer);
        Target { writer, ..target }
    }

    /// Notes that all outputs of this kind are complete.
    pub fn written(&mut self, what: &str) {
        let outputs = self.0.iter_mut().flat_map(|open| &mut open.outputs);
        outputs.filter(|output| output.what == what).for_each(|output| output.complete = true);
    }

    /// Waits for the digests, looks whether files changed, and tells the ledger.
    pub fn settle(&mut self, ledger: Option<&mut Ledger>) -> Result<()> {
        let Some(open) = &mut self.0 else { return Ok(()) };
        open.wait()?;
        if let (Some(survey), Some(ledger)) = (&open.survey, ledger) {
            let faults = survey.faults();
            let faults = faults.map(|(path, fault)| (path.to_owned(), fault.to_owned()));
            ledger.set_custody(faults.collect());
            open.event_filter = ledger.event_filter().map(str::to_owned);
        }
        Ok(())
    }

    /// Notes whether everything was looked at.
    pub fn set_complete(&mut self, complete: bool) {
        if let Some(open) = &mut self.0 {
            open.complete = complete;
        }
    }

    /// What is wrong with files, in words.
    pub fn faults(&self) -> Vec<String> {
        let survey = self.0.as_ref().and_then(|open| open.survey.as_ref());
        let faults = survey.into_iter().flat_map(Survey::faults);
        faults.map(|(path, fault)| format!("{path}: {fault}")).collect()
    }

    /// Says why a run is not complete that did not fail.
    pub fn because(&mut self, reason: &str) {
        if let Some(open) = &mut self.0 {
            open.reason = Some(reason.to_owned());
        }
    }

    /// Adds a list of the run's own, and ends the account: the run ended like this.
    pub fn finish_with(self, lists: &[(&str, Vec<Value>)], done: Result<Exit>) -> Result<Exit> {
        let Some(mut open) = self.0 else { return done };
        // Nobody waits for the digests of a run that failed.
        if done.is_err() {
            open.shared.ended.store(true, Ordering::Relaxed);
        }
        let waited = open.wait();
        let done = match done {
            Ok(_) if open.cut => Ok(Exit::Interrupted),
            done => done,
        };
        let name = open.pending.name().to_owned();
        let written = waited.and_then(|()| {
            open.write(lists, &done)
                .with_context(|| format!("{name}: the manifest cannot be written"))
        });
        match (written, done) {
            (Ok(()), done) => done,
            (Err(error), Ok(_)) => Err(error),
            (Err(error), Err(first)) => {
                say_error(&format!("{error:#}"));
                Err(first)
            }
        }
    }

    /// Ends the account: the run ended like this.
    pub fn finish(self, done: Result<Exit>) -> Result<Exit> {
        self.finish_with(&[], done)
    }
}

fn unwritten(pending: &Pending, error: &io::Error) -> anyhow::Error {
    anyhow!("{}: the manifest cannot be written: {error}", pending.name())
}

impl Open {
    /// Waits for the digests and looks at the files once more.
    fn wait(&mut self) -> Result<()> {
        if self.settled {
            return Ok(());
        }
        let survey = match self.hashing.take() {
            None => self.survey.take(),
            Some(hashing) => {
                self.show(&hashing);
                // Had it panicked, that would be a fault of the program.
                let joined = hashing.join().map_err(|_| anyhow!("--hash: the thread failed"))?;
                joined.1.context("--hash: the evidence cannot be hashed")?;
                self.cut = self.interrupt.load(Ordering::Relaxed);
                Some(joined.0)
            }
        };
        if let Some(mut survey) = survey {
            survey.settle();
            self.survey = Some(survey);
            self.settled = true;
        }
        Ok(())
    }

    /// Shows how far the digests are, until they are all there.
    fn show(&self, hashing: &JoinHandle<(Survey, io::Result<()>)>) {
        const TICK: Duration = Duration::from_millis(20);
        let shared = &self.shared;
        let before = shared.done.load(Ordering::Relaxed);
        let all = shared.all.load(Ordering::Relaxed);
        let mut progress = Progress::hashing(self.progress, all.saturating_sub(before));
        let mut shown = before;
        while !hashing.is_finished() {
            std::thread::sleep(TICK);
            let done = shared.done.load(Ordering::Relaxed);
            let name = shared.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let bytes = done.saturating_sub(shown);
            let (source, none) = (name.as_str(), [0; 5]);
            progress.advance(&Step { source, bytes, hits: none, copies: none });
            shown = done;
        }
        progress.finish();
    }

    fn write(mut self, lists: &[(&str, Vec<Value>)], done: &Result<Exit>) -> Result<()> {
        let file = &mut self.file;
        if let Some(survey) = &self.survey {
            file.evidence(survey)?;
        }
        for (key, values) in lists {
            file.list(key, values.iter().cloned())?;
        }
        file.list("outputs", self.outputs.iter().map(Written::value))?;
        file.entry("event_filter", &self.event_filter.into())?;
        let (state, code) = match done {
            Ok(exit) => (exit.word(self.complete), exit.code()),
            Err(_) => ("failed", Exit::Fatal.code()),
        };
        let reason = done.as_ref().err().map(|error| format!("{error:#}")).or(self.reason);
        file.entry("state", &state.into())?;
        file.entry("reason", &reason.into())?;
        file.entry("exit_code", &code.into())?;
        file.entry("ended", &now().into())?;
        self.file.finish()?;
        self.pending.complete()
    }
}

impl Written {
    fn value(&self) -> Value {
        let digest = self.digest.lock().unwrap_or_else(PoisonError::into_inner);
        let sha256 = hex(&digest.0.clone().finalize());
        json!({
            "file": self.name, "what": self.what, "complete": self.complete, "size": digest.1,
            "sha256": sha256,
        })
    }
}

/// What hashing does, by itself.
fn digests(
    mut survey: Survey,
    depth: Depth,
    threads: usize,
    shared: &Shared,
    interrupt: &AtomicBool,
) -> (Survey, io::Result<()>) {
    let ended = || shared.ended.load(Ordering::Relaxed) || interrupt.load(Ordering::Relaxed);
    let progress = |name: &str, bytes: u64| {
        shared.done.fetch_add(bytes, Ordering::Relaxed);
        let mut last = shared.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.clear();
        last.push_str(name);
    };
    let hashed = survey.hash(&Hashing { depth, threads, ended: &ended, progress: &progress });
    (survey, hashed)
}

/// Writes what is known when the run begins.
fn head(writer: Box<dyn Write + Send>, about: &About<'_>) -> io::Result<ManifestFile> {
    let mut file = ManifestFile::begin(Box::new(BufWriter::new(writer)))?;
    file.entry("tool", &tool())?;
    let args = std::env::args_os();
    file.entry("command", &args.map(|arg| display_name(Path::new(&arg))).collect())?;
    let folder = std::env::current_dir().ok().map(|folder| display_name(&folder));
    file.entry("working_directory", &folder.into())?;
    file.entry("started", &now().into())?;
    file.entry("options", &about.options)?;
    file.entry("hashed", &about.hash.map(HashArg::covers).into())?;
    file.entry("rules", &about.rules.map(rules).into())?;
    file.list("inputs", about.inputs.iter().map(|(option, path)| input(option, path)))?;
    file.flush()?;
    Ok(file)
}

/// The program itself.
fn tool() -> Value {
    let path = std::env::current_exe().ok();
    let sha256 = path.as_deref().and_then(|path| digest(path).ok());
    json!({
        "name": "harrier",
        "version": env!("CARGO_PKG_VERSION"),
        // Whoever builds it may say which sources it is made of.
        "commit": option_env!("HARRIER_COMMIT"),
        "platform": format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        "executable": path.as_deref().map(display_name),
        "sha256": sha256,
    })
}

fn rules(rules: &Rules) -> Value {
    let root = |root: &RuleRoot| {
        json!({
            "path": root.path, "only_filters": root.only_filters, "files": root.files(),
            "sha256": digest_of([root]),
        })
    };
    json!({
        "sha256": digest_of(&rules.roots),
        "files": rules.roots.iter().map(RuleRoot::files).sum::<usize>(),
        "roots": rules.roots.iter().map(root).collect::<Vec<_>>(),
        "loaded": rules.count(RuleState::Loaded),
        "left_out": rules.count(RuleState::LeftOut),
        "not_applicable": rules.count(RuleState::NotApplicable),
        "refused": rules.count(RuleState::Refused),
    })
}

/// Files that the arguments about rules name, other than rules.
pub fn inputs_of_rules(args: &RuleArgs) -> Vec<(String, PathBuf)> {
    let mut inputs: Vec<(String, PathBuf)> = Vec::new();
    inputs.extend(args.taxonomy.iter().map(|file| ("--taxonomy".to_owned(), file.clone())));
    let named = |(name, file): &(String, PathBuf)| (format!("--expand {name}"), file.clone());
    inputs.extend(args.expand.iter().map(named));
    for folder in &args.expand_dir {
        let files = folder.read_dir().into_iter().flatten().filter_map(Result::ok);
        let mut files: Vec<PathBuf> = files.map(|entry| entry.path()).collect();
        files.retain(|file| file.is_file());
        files.sort();
        inputs.extend(files.into_iter().map(|file| ("--expand-dir".to_owned(), file)));
    }
    for (option, values) in
        [("--tag", &args.tag), ("--rule-id", &args.rule_id), ("--exclude-rule", &args.exclude_rule)]
    {
        inputs.extend(lists(option, values));
    }
    inputs
}

/// Files that the arguments about events name.
pub fn inputs_of_events(args: &EventArgs) -> Vec<(String, PathBuf)> {
    let all = [
        ("--channel", &args.channel),
        ("--event-id", &args.event_id),
        ("--computer", &args.computer),
    ];
    all.into_iter().flat_map(|(option, values)| lists(option, values)).collect()
}

/// Lists of evidence.
pub fn inputs_of_evidence(args: &EvidenceArgs) -> Vec<(String, PathBuf)> {
    let files = args.files_from.iter().filter(|file| file.as_os_str() != "-");
    files.map(|file| ("--files-from".to_owned(), file.clone())).collect()
}

fn lists(option: &str, values: &[String]) -> Vec<(String, PathBuf)> {
    let files = values.iter().filter_map(|value| value.strip_prefix('@'));
    files.map(|file| (option.to_owned(), PathBuf::from(file))).collect()
}

fn input(option: &str, path: &Path) -> Value {
    let (sha256, note) = match digest(path) {
        Ok(digest) => (Some(digest), None),
        Err(error) => (None, Some(error.to_string())),
    };
    json!({"option": option, "path": display_name(path), "sha256": sha256, "note": note})
}

/// The digest of a file that is no evidence.
fn digest(path: &Path) -> io::Result<String> {
    let (mut file, mut digest) = (File::open(path)?, Sha256::new());
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hex(&digest.finalize()));
        }
        digest.update(buffer.get(..read).unwrap_or(&[]));
    }
}

/// The time, in UTC, to milliseconds.
fn now() -> String {
    let now = Timestamp::now();
    now.round(Unit::Millisecond).unwrap_or(now).to_string()
}

/// Notes what is written.
struct Noting {
    inner: Box<dyn Write + Send>,
    digest: Arc<Mutex<(Sha256, u64)>>,
}

impl Write for Noting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        let mut digest = self.digest.lock().unwrap_or_else(PoisonError::into_inner);
        digest.0.update(bytes.get(..written).unwrap_or(bytes));
        digest.1 += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
