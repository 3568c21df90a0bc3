//! `harrier extract`: the logs of the evidence as files, byte for byte, and what was carved as logs that
//! other programs read.
//!
//! Invariants:
//! - Nothing is written but below the folder that is named, and nothing there is overwritten: names
//!   from evidence are cut into parts, none of which leads anywhere ([`part`]).
//! - Nothing is written into evidence.
//! - The manifest has every file with its SHA-256, counted while it was written.
//! - What is written does not depend on threads: logs are copied by all of them, under names without
//!   meaning, and get their own in the order of the evidence.

use super::args::{self, EvidenceArgs};
use super::custody::{self, About, Custody, HashArgs};
use super::output::{Accounts, Place};
use super::summary::grouped;
use super::target::{Pending, Target};
use super::{Exit, account, evidence, interrupt, passwords, say, say_error, threads};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use harrier::{
    bytes::{ReadAt, hex},
    engine::RuleSet,
    evidence::{Access, Walk},
    hunt::{Begun, CarvedChunk, Hunt, Inventory, LogEntry},
    ledger::{Aside, Ledger, SourceEntry, SourceState},
    taxonomy::{Options, Taxonomy},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::{
    collections::{HashMap, HashSet},
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tempfile::NamedTempFile;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  harrier extract DC01.E01 -o logs/
  harrier extract memory.raw --carve -o carved/

Every event log is written as it is in the evidence, byte for byte, below DIR, under the path that it
has there with characters that file systems do not like replaced. With --carve the whole chunks that
are found are put together to logs, one for each channel and computer, in DIR/carved. DIR/manifest.json
has source, size, and SHA-256 of each file, and what 'harrier hunt --manifest' has. DIR must not exist,
or be empty, and not lie in evidence.

Exit codes: 0 all logs were written; 1 something could not be read; 2 nothing was written.")]
pub struct ExtractArgs {
    #[command(flatten)]
    pub evidence: EvidenceArgs,
    /// Write to this folder
    #[arg(short, long, value_name = "DIR", required = true)]
    pub output: PathBuf,
    /// Write an account of every source to FILE, as JSON; chunks and records are counted by 'list'
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,

    #[command(flatten)]
    pub hash: HashArgs,

    /// How many threads; all processors if not given
    #[arg(long, value_name = "N", value_parser = args::threads)]
    pub threads: Option<usize>,
    /// Say nothing but errors on standard error
    #[arg(short, long)]
    pub quiet: bool,
}

/// Writes all logs.
pub fn run(args: &ExtractArgs) -> Result<Exit> {
    let paths = evidence::resolve(&args.evidence)?;
    let access = passwords::access(&args.evidence, args.quiet)?;
    let access = access.carving(evidence::carving(&args.evidence));
    let interrupt = interrupt::watch().context("interruptions cannot be handled")?;
    let folder = &args.output;
    evidence::refuse(&folder.join(MANIFEST), &paths)?;
    evidence::refuse(folder, &paths)?;
    let name = folder.display();
    fs::create_dir_all(folder).with_context(|| format!("{name}: cannot be made"))?;
    evidence::refuse(&folder.join(MANIFEST), &paths)?;
    if fs::read_dir(folder).with_context(|| format!("{name}: cannot be read"))?.next().is_some() {
        bail!("{name}: is not empty: name a new folder");
    }
    let accounts = Accounts::new(args.ledger.as_deref(), Some(&folder.join(MANIFEST)));
    Place::check("the logs", &Place::File(folder.clone()), &accounts, &paths)?;
    let ledger = accounts.ledger.as_ref().map(Place::open).transpose()?;
    let target = Target::file(&folder.join(MANIFEST));
    let target = target.with_context(|| format!("{name}: cannot be written"))?;
    let about = About {
        hash: args.hash.hash,
        paths: &paths,
        access: &access,
        threads: threads(args.threads),
        interrupt: &interrupt,
        progress: !args.quiet,
        options: json!({
            "threads": threads(args.threads),
            "carve": evidence::carve_word(&args.evidence),
        }),
        rules: None,
        inputs: custody::inputs_of_evidence(&args.evidence),
    };
    let mut custody = Custody::begin(Some(target), &about)?;
    let ledger = ledger.map(|ledger| custody.noted("ledger", ledger));
    let (ledger_file, ledger_pending) = account::open_ledger(ledger)?;
    let mut out = Extract::new(folder, Ledger::new(ledger_file));
    let found = (paths.as_slice(), access);
    let done = extract(args, found, &interrupt, (&mut out, ledger_pending), &mut custody);
    custody.finish_with(&[("files", out.files)], done)
}

fn extract(
    args: &ExtractArgs,
    (paths, access): (&[PathBuf], Access),
    interrupt: &Arc<AtomicBool>,
    (out, ledger_pending): (&mut Extract<'_>, Option<Pending>),
    custody: &mut Custody,
) -> Result<Exit> {
    let folder = &args.output;
    let rules = RuleSet::compile(Vec::new(), Taxonomy::builtin(Options::default()));
    let hunt =
        Hunt { threads: threads(args.threads), cancel: Some(interrupt), ..Hunt::new(&rules) };
    let walk = || Walk::new(paths).with(access.clone());
    let learned = evidence::learn(&args.evidence, &hunt, &walk)?;
    let hunt = Hunt { learned: learned.as_ref(), ..hunt };
    let maker = |_: &str, bytes: &Arc<dyn ReadAt>| copied(folder, &**bytes);
    let told = hunt
        .inventory(walk(), false, &maker, out)
        .and_then(|told| out.finish().map(|()| told))
        .with_context(|| format!("{}: cannot be written", folder.display()))?;
    let interrupted = interrupt.load(Ordering::Relaxed);
    account::inventoried(&mut out.ledger, told, interrupted);
    custody.settle(Some(&mut out.ledger))?;
    custody.faults().iter().for_each(|fault| say_error(fault));
    // That nobody reads the ledger any more does not matter to the logs.
    if account::finish(&mut out.ledger, ledger_pending)?.is_continue() {
        custody.written("ledger");
    }
    if out.files.is_empty() && out.unread == 0 && !interrupted {
        bail!("{}: no event logs there: check the path", evidence::names(paths));
    }
    if !args.quiet {
        let (files, unread) = (grouped(out.files.len() as u64), grouped(out.unread));
        say(&format!("Extracted  {files} logs; {unread} things could not be read"));
    }
    let complete = out.ledger.complete() && account::balanced(&out.ledger);
    custody.set_complete(complete);
    Ok(match interrupted {
        true => Exit::Interrupted,
        false if complete => Exit::Complete,
        false => Exit::Incomplete,
    })
}

/// The account's name in the folder.
const MANIFEST: &str = "manifest.json";

struct Extract<'a> {
    folder: &'a Path,
    /// The paths that are taken, in small letters: where case does not matter they would be one.
    taken: HashSet<String>,
    files: Vec<Value>,
    carved: HashMap<(String, String), Carved>,
    /// In the order in which they began.
    order: Vec<(String, String)>,
    /// Chunks that were written: their checksums and first ids.
    seen: HashSet<[u8; 16]>,
    unread: u64,
    ledger: Ledger,
}

/// A log that was copied and has no name yet.
struct Copied {
    file: NamedTempFile,
    size: u64,
    sha256: String,
    /// Why not all of it is there.
    fault: Option<String>,
}

/// Copies a log. That it cannot be read is told of it; an error is that of writing.
fn copied(folder: &Path, bytes: &dyn ReadAt) -> io::Result<Copied> {
    // Beside where it will be, so that it gets its name without being copied once more.
    let mut file = tempfile::Builder::new().prefix(".log-").make_in(folder, |path| {
        OpenOptions::new().read(true).write(true).create_new(true).open(path)
    })?;
    let (mut at, mut hash, mut buffer) = (0, Sha256::new(), vec![0; 1 << 20]);
    let mut fault = None;
    while at < bytes.size() {
        let read = match bytes.read_at(at, &mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) => {
                fault = Some(error.to_string());
                break;
            }
        };
        let part = buffer.get(..read).unwrap_or(&[]);
        file.write_all(part)?;
        hash.update(part);
        at += read as u64;
    }
    if at < bytes.size() && fault.is_none() {
        fault = Some("it ends before its size".to_owned());
    }
    // What it was unpacked from may be at fault, which shows at its end.
    fault = fault.or(bytes.read_at(bytes.size(), &mut []).err().map(|error| error.to_string()));
    Ok(Copied { file, size: at, sha256: hex(&hash.finalize()), fault })
}

/// A log of carved chunks.
struct Carved {
    path: PathBuf,
    name: String,
    chunks: u16,
    next_id: u64,
}

impl<'a> Extract<'a> {
    fn new(folder: &'a Path, ledger: Ledger) -> Extract<'a> {
        Extract {
            folder,
            taken: HashSet::from([MANIFEST.to_owned(), format!("{MANIFEST}.partial")]),
            files: Vec::new(),
            carved: HashMap::new(),
            order: Vec::new(),
            seen: HashSet::new(),
            unread: 0,
            ledger,
        }
    }

    /// A path for this name, which is new, and how it is shown.
    fn place(&mut self, parts: &[String]) -> io::Result<(PathBuf, String)> {
        let Some((last, folders)) = parts.split_last() else {
            return Err(io::Error::other("a source has no name"));
        };
        let mut folder = self.folder.to_owned();
        folder.extend(folders);
        fs::create_dir_all(&folder)?;
        let (stem, extension) = last.rsplit_once('.').unwrap_or((last, "evtx"));
        for n in 1u32.. {
            let name = match n {
                1 => format!("{stem}.{extension}"),
                n => format!("{stem} ({n}).{extension}"),
            };
            let shown = folders.iter().chain([&name]).cloned().collect::<Vec<_>>().join("/");
            if self.taken.insert(shown.to_lowercase()) {
                return Ok((folder.join(&name), shown));
            }
        }
        Err(io::Error::other("too many files of one name"))
    }

    fn finish(&mut self) -> io::Result<()> {
        for key in std::mem::take(&mut self.order) {
            let Some(carved) = self.carved.remove(&key) else { continue };
            let mut file = OpenOptions::new().read(true).write(true).open(&carved.path)?;
            file.write_all(&header(carved.chunks, carved.next_id))?;
            file.seek(SeekFrom::Start(0))?;
            let (size, hash) = hashed(&mut file)?;
            let (channel, computer) = key;
            self.files.push(json!({
                "file": carved.name, "source": null, "found": "carved", "channel": channel,
                "computer": computer, "chunks": carved.chunks, "size": size, "sha256": hash,
            }));
        }
        Ok(())
    }
}

impl Inventory for Extract<'_> {
    type Made = Copied;

    fn begun(&mut self, _: &Begun) -> io::Result<()> {
        Ok(())
    }

    fn chunk(&mut self, _: &str, chunk: CarvedChunk<'_>) -> io::Result<()> {
        let CarvedChunk { channel, computer, bytes, .. } = chunk;
        let field = |at: usize| harrier::bytes::u64(bytes, at).unwrap_or_default();
        let mut key = [0; 16];
        let (a, b) = key.split_at_mut(8);
        a.copy_from_slice(&field(24).to_le_bytes());
        b.copy_from_slice(&field(48).to_le_bytes());
        if !self.seen.insert(key) {
            return Ok(());
        }
        let key = (channel.to_owned(), computer.to_owned());
        if self.carved.get(&key).is_none_or(|carved| carved.chunks == u16::MAX) {
            let parts = ["carved".to_owned(), part(computer), part(&format!("{channel}.evtx"))];
            let (path, name) = self.place(&parts)?;
            let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
            file.write_all(&[0; 4096])?;
            self.order.push(key.clone());
            self.carved.insert(key.clone(), Carved { path, name, chunks: 0, next_id: 1 });
        }
        let Some(carved) = self.carved.get_mut(&key) else { return Ok(()) };
        let mut file = OpenOptions::new().append(true).open(&carved.path)?;
        file.write_all(bytes)?;
        file.write_all(&vec![0; 65_536_usize.saturating_sub(bytes.len())])?;
        carved.chunks += 1;
        carved.next_id = carved.next_id.max(field(32).saturating_add(1));
        Ok(())
    }

    fn log(
        &mut self,
        entry: LogEntry,
        mut source: SourceEntry,
        made: Option<Copied>,
    ) -> io::Result<()> {
        let Some(Copied { file, size, sha256, fault }) = made else {
            self.ledger.source(source);
            return Ok(());
        };
        let (path, name) = self.place(&parts(&entry.path))?;
        file.persist_noclobber(path).map_err(|error| error.error)?;
        if let Some(fault) = &fault {
            self.unread += 1;
            let what = format!("{fault}: the rest is not extracted");
            say_error(&format!("{} at offset {size}: {what}", entry.path));
            source.damages.push(size, || what);
        }
        self.ledger.source(source);
        self.files.push(json!({
            "file": name, "source": entry.path, "found": entry.found, "size": size,
            "whole": fault.is_none(), "sha256": sha256,
        }));
        Ok(())
    }

    fn other(&mut self, entry: &SourceEntry) -> io::Result<()> {
        self.ledger.source(entry.clone());
        if entry.container.is_none() || entry.state != SourceState::Read {
            self.unread += 1;
            let reason = entry.reason.as_deref().unwrap_or(entry.state.as_str());
            say_error(&format!("{}: {reason}", entry.path));
        }
        Ok(())
    }

    fn aside(&mut self, aside: Aside) {
        self.ledger.aside(aside);
    }
}

/// The header of a log of so many chunks.
fn header(chunks: u16, next_id: u64) -> [u8; 128] {
    let mut header = [0; 128];
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(to) = header.get_mut(at..at + bytes.len()) {
            to.copy_from_slice(bytes);
        }
    };
    put(0, b"ElfFile\0");
    put(16, &u64::from(chunks.saturating_sub(1)).to_le_bytes());
    put(24, &next_id.to_le_bytes());
    // The size of these fields, version 3.1, the size of the block, and how many chunks follow.
    put(32, &128u32.to_le_bytes());
    put(36, &1u16.to_le_bytes());
    put(38, &3u16.to_le_bytes());
    put(40, &4096u16.to_le_bytes());
    put(42, &chunks.to_le_bytes());
    let crc = crc32fast::hash(header.get(..120).unwrap_or(&[]));
    if let Some(to) = header.get_mut(124..128) {
        to.copy_from_slice(&crc.to_le_bytes());
    }
    header
}

fn hashed(file: &mut File) -> io::Result<(u64, String)> {
    let (mut size, mut hash, mut buffer) = (0, Sha256::new(), vec![0; 1 << 20]);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((size, hex(&hash.finalize())));
        }
        hash.update(buffer.get(..read).unwrap_or(&[]));
        size += read as u64;
    }
}

/// The parts of a path in evidence, as names of folders and a file.
fn parts(path: &str) -> Vec<String> {
    let parts = path.split(['/', '\\', '!']).filter(|part| !matches!(*part, "" | "." | ".."));
    let mut parts: Vec<String> = parts.map(part).collect();
    if parts.is_empty() {
        parts.push("log.evtx".to_owned());
    }
    parts
}

/// A name that every file system takes and that leads nowhere.
fn part(name: &str) -> String {
    const LONGEST: usize = 120;
    const RESERVED: [&str; 4] = ["con", "prn", "aux", "nul"];
    let odd = |c: char| c.is_control() || "<>:\"/\\|?*".contains(c);
    let mut clean: String = name.chars().map(|c| if odd(c) { '_' } else { c }).collect();
    while clean.len() > LONGEST {
        // What tells files apart, the ending, stays.
        let at = clean.floor_char_boundary(LONGEST / 2);
        clean.remove(at);
    }
    let clean = clean.trim_end_matches(['.', ' ']).trim_start();
    let stem = clean.split('.').next().unwrap_or("").trim_end().to_lowercase();
    let numbered = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    let device = RESERVED.contains(&stem.as_str())
        || numbered.is_some_and(|n| n.chars().count() == 1 && !n.starts_with(char::is_alphabetic));
    if device || clean.is_empty() { format!("_{clean}") } else { clean.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_nowhere() {
        for (path, want) in [
            ("case.zip!C/Windows/Security.evtx", "case.zip|C|Windows|Security.evtx"),
            ("/cases/../../etc/./passwd", "cases|etc|passwd"),
            (r"C:\Logs\a.evtx", "C_|Logs|a.evtx"),
            ("disk.E01#p3/CON/aux.evtx", "disk.E01#p3|_CON|_aux.evtx"),
            ("a/COM1.evtx", "a|_COM1.evtx"),
            ("a/common.evtx", "a|common.evtx"),
            ("a/x. /y...", "a|x|y"),
            ("a/ /b", "a|_|b"),
            ("a/q?*\u{1}<.evtx", "a|q____.evtx"),
            ("..", "log.evtx"),
        ] {
            assert_eq!(parts(path).join("|"), want, "{path}");
        }
        let long = format!("{}ü.evtx", "é".repeat(200));
        let part = part(&long);
        assert!(part.len() <= 120 && part.ends_with("ü.evtx"), "{part}");
    }
}
