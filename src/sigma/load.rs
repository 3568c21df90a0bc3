//! Rules from files, folders and zip archives.
//!
//! Files are read and parsed in parallel; the result is in the order of the paths given, below each
//! by path, in each file by document, whatever the threads do. One bad rule never stops the others:
//! it is in [`LoadedRules::refused`] with its place and reason. Only a path that was asked for and is
//! not there is an error of the whole.
//!
//! What correlations and filters refer to is looked up once all files are there, and again whenever
//! more are added ([`LoadedRules::append`]).
//!
//! Invariant: every file and every document is counted in exactly one place of [`LoadedRules`].
//!
//! A rule set may come from anywhere, so sizes are capped: of a file, of what an archive unpacks to,
//! of the number of its members.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::correlation::{Correlation, Filter};
use super::digest::{self, RuleRoot};
use super::fault::{Refused, Warning};
use super::lint::Finding;
use super::resolve::{self, Drafts, Resolved};
use super::rule::{Origin, Rule, RuleFile};
use super::stream::{self, FileRules};
use super::values::Lists;
use super::yaml::{self, Source};

/// Bytes of one file of rules. The largest public rule has 300 kB, all of SigmaHQ 10 MB.
const MAX_FILE: u64 = 32 << 20;

/// Bytes of all files of rules in one archive, unpacked.
const MAX_ARCHIVE: u64 = 256 << 20;

/// Members of an archive. SigmaHQ's largest release has about 3,500.
const MAX_MEMBERS: usize = 200_000;

/// What to load, and with what.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Lists for `expand`: the values that `%name%` stands for.
    pub expand: Lists,
    /// Whether to load rules with the status `deprecated` or `unsupported`.
    pub include_inactive: bool,
    /// Whether filters alone are wanted: other documents are refused.
    pub only_filters: bool,
    /// Whether to look for what is doubtful about documents, for [`LoadedRules::findings`].
    pub lint: bool,
    /// Whether to keep the text of files, for [`LoadedRules::text_of`].
    pub keep_text: bool,
    /// Whether to digest files, for [`LoadedRules::roots`].
    pub digest: bool,
}

/// All that was found.
#[derive(Debug, Default)]
pub struct LoadedRules {
    /// The rules.
    pub rules: Vec<Rule>,
    /// The correlations: first those that rules with an aggregation became, in the order of these,
    /// then those of documents, each behind what it refers to.
    pub correlations: Vec<Correlation>,
    /// The filters.
    pub filters: Vec<Filter>,
    /// Documents that were not loaded; last those that refer to what is not there.
    pub refused: Vec<Refused>,
    /// Oddities of rules that were loaded.
    pub warnings: Vec<Warning>,
    /// What is to be said of single documents as they are written, if [`LoadOptions::lint`] was set.
    pub(super) linted: Vec<Finding>,
    /// YAML documents that have nothing of a rule.
    pub not_rules: Vec<NotARule>,
    /// Files that could not be read.
    pub unreadable: Vec<Unreadable>,
    /// Documents that only spoke about others (`action: global`, `action: reset`).
    pub templates: u64,
    /// Files that were read.
    pub files: u64,
    /// Of the lists that were given for `expand`, those whose placeholder stands in a file.
    pub lists_used: BTreeSet<String>,
    /// Files in folders and archives that are not named `.yml` or `.yaml`; they were not read.
    pub other_files: u64,
    /// The paths that were given, with the digests of what was read below each, if
    /// [`LoadOptions::digest`] was set.
    pub roots: Vec<RuleRoot>,
    /// Correlations and filters as they were read.
    drafts: Drafts,
    /// How many of the last in `refused` and `warnings` came of resolving these.
    resolved: (usize, usize),
    /// The texts of files, if they were asked for.
    texts: BTreeMap<Arc<RuleFile>, String>,
}

impl LoadedRules {
    /// How many documents were looked at, empty ones aside.
    #[must_use]
    pub fn documents(&self) -> u64 {
        let correlations = self.correlations.iter().filter(|c| !c.aggregation).count();
        let lists = self.rules.len()
            + correlations
            + self.filters.len()
            + self.refused.len()
            + self.not_rules.len();
        u64::try_from(lists).unwrap_or(u64::MAX).saturating_add(self.templates)
    }

    /// Appends what another load found; correlations and filters then refer to what is in either.
    pub fn append(&mut self, mut other: LoadedRules) {
        self.unresolve();
        other.unresolve();
        self.drafts.append(other.drafts, self.rules.len());
        self.rules.append(&mut other.rules);
        self.refused.append(&mut other.refused);
        self.warnings.append(&mut other.warnings);
        self.linted.append(&mut other.linted);
        self.not_rules.append(&mut other.not_rules);
        self.unreadable.append(&mut other.unreadable);
        self.templates += other.templates;
        self.lists_used.append(&mut other.lists_used);
        self.files += other.files;
        self.other_files += other.other_files;
        self.roots.append(&mut other.roots);
        self.texts.append(&mut other.texts);
        self.resolve();
    }

    /// The text of the document in which a place is, without the lines that part it from others, if
    /// [`LoadOptions::keep_text`] was set.
    #[must_use]
    pub fn text_of(&self, origin: &Origin) -> Option<&str> {
        let text = self.texts.get(&origin.file)?;
        Some(yaml::document_around(&Source::new(text), origin.line))
    }

    fn add_file(&mut self, name: &Arc<RuleFile>, mut file: FileRules) {
        self.files += 1;
        self.drafts.append(file.drafts, self.rules.len());
        self.rules.append(&mut file.rules);
        self.refused.append(&mut file.refused);
        self.warnings.append(&mut file.warnings);
        self.linted.append(&mut file.findings);
        self.templates += u64::from(file.templates);
        self.lists_used.append(&mut file.lists_used);
        let not_rules = file.not_rules.into_iter();
        self.not_rules
            .extend(not_rules.map(|document| NotARule { path: name.path.clone(), document }));
        self.texts.extend(file.text.map(|text| (Arc::clone(name), text)));
    }

    /// Adds what can only be seen over all files.
    fn resolve(&mut self) {
        let resolved = resolve::resolve(&self.rules, &self.refused, &self.drafts);
        let Resolved { correlations, filters, mut refused, mut warnings } = resolved;
        self.correlations = correlations;
        self.filters = filters;
        self.resolved = (refused.len(), warnings.len());
        self.refused.append(&mut refused);
        self.warnings.append(&mut warnings);
    }

    /// Takes away what [`LoadedRules::resolve`] added.
    fn unresolve(&mut self) {
        let (refused, warnings) = std::mem::take(&mut self.resolved);
        self.refused.truncate(self.refused.len().saturating_sub(refused));
        self.warnings.truncate(self.warnings.len().saturating_sub(warnings));
        self.correlations.clear();
        self.filters.clear();
    }

    fn finish(mut self) -> LoadedRules {
        self.resolve();
        self
    }
}

/// A YAML document that has nothing of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotARule {
    /// Its file, as in [`RuleFile::path`].
    pub path: String,
    /// Its number in the file, from 0.
    pub document: u32,
}

/// A file that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The file, as in [`RuleFile::shown`].
    pub path: String,
    /// Why.
    pub reason: String,
}

/// A rule path that is not there or cannot be read at all.
#[derive(Debug)]
pub struct RulePathError {
    path: PathBuf,
    source: io::Error,
}

impl RulePathError {
    /// The path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl std::fmt::Display for RulePathError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.source)
    }
}

impl std::error::Error for RulePathError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Loads rules from files, folders and zip archives, in the order given.
///
/// # Errors
/// If one of the paths is not there or cannot be opened. A file below a folder that cannot be read
/// is no error of the whole but in [`LoadedRules::unreadable`].
pub fn load<P: AsRef<Path>>(
    paths: &[P],
    options: &LoadOptions,
) -> Result<LoadedRules, RulePathError> {
    let mut loaded = LoadedRules::default();
    let mut inputs = Vec::new();
    let mut ends = Vec::new();
    for path in paths {
        let path = path.as_ref();
        let result = find(path, &mut inputs, &mut loaded);
        result.map_err(|source| RulePathError { path: path.to_owned(), source })?;
        ends.push(inputs.len());
    }
    let of_bytes = |input: &Input, bytes: &[u8]| {
        let line = options.digest.then(|| digest::line(input.name_below(), bytes));
        (stream::read_bytes(&input.name, bytes, options), line)
    };
    let read: Vec<Result<_, io::Error>> = inputs
        .par_iter()
        .map(|input| match &input.bytes {
            Bytes::File(path) => Ok(of_bytes(input, &read_file(path)?)),
            Bytes::Member(bytes) => Ok(of_bytes(input, bytes)),
        })
        .collect();
    let root = |path: &P| RuleRoot::new(path.as_ref().display().to_string(), options.only_filters);
    let mut roots: Vec<RuleRoot> = paths.iter().map(root).collect();
    for (at, (input, result)) in inputs.iter().zip(read).enumerate() {
        match result {
            Ok((file, line)) => {
                loaded.add_file(&input.name, file);
                let root = roots.get_mut(ends.partition_point(|end| *end <= at));
                root.into_iter().for_each(|root| root.lines.extend(line.clone()));
            }
            Err(error) => {
                let (path, reason) = (input.name.shown.clone(), error.to_string());
                loaded.unreadable.push(Unreadable { path, reason });
            }
        }
    }
    loaded.roots = if options.digest { roots } else { Vec::new() };
    Ok(loaded.finish())
}

/// Loads rules from a text, under a name for messages.
#[must_use]
pub fn load_str(name: &str, text: &str, options: &LoadOptions) -> LoadedRules {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let mut loaded = LoadedRules::default();
    let name = RuleFile::named(name);
    loaded.add_file(&name, stream::read_text(&name, text, options));
    loaded.finish()
}

/// Loads rules from the bytes of a file, under a name for messages.
#[must_use]
pub fn load_bytes(name: &str, bytes: &[u8], options: &LoadOptions) -> LoadedRules {
    let mut loaded = LoadedRules::default();
    let name = RuleFile::named(name);
    loaded.add_file(&name, stream::read_bytes(&name, bytes, options));
    loaded.finish()
}

/// A file to read.
struct Input {
    name: Arc<RuleFile>,
    /// Where in its path the name of an archive's member begins.
    inner: Option<usize>,
    bytes: Bytes,
}

impl Input {
    /// The file's name below the path that was given: in an archive, that of the member.
    fn name_below(&self) -> &str {
        let path = &self.name.path;
        match self.bytes {
            Bytes::File(_) => path,
            Bytes::Member(_) => self.inner.and_then(|at| path.get(at..)).unwrap_or(path),
        }
    }
}

enum Bytes {
    /// On disk, not read yet.
    File(PathBuf),
    /// Unpacked from an archive.
    Member(Vec<u8>),
}

/// Finds the files that a path stands for.
fn find(path: &Path, inputs: &mut Vec<Input>, loaded: &mut LoadedRules) -> io::Result<()> {
    let metadata = path.metadata()?;
    if metadata.is_dir() {
        find_in_folder(path, inputs, loaded);
        return Ok(());
    }
    if !metadata.is_file() {
        return Err(io::Error::other("neither a file nor a folder"));
    }
    let name = path.file_name().map_or_else(|| portable(path), |n| portable(Path::new(n)));
    let mut file = File::open(path)?;
    let mut start = [0; 4];
    let is_zip = file.read(&mut start)? == start.len()
        && (start == *b"PK\x03\x04" || start == *b"PK\x05\x06");
    let name = RuleFile { path: name, shown: path.display().to_string() };
    if is_zip {
        find_in_archive(&name, File::open(path)?, inputs, loaded)
    } else {
        let bytes = Bytes::File(path.to_owned());
        inputs.push(Input { name: Arc::new(name), inner: None, bytes });
        Ok(())
    }
}

/// A path as messages show it: with `/` on every platform.
fn portable(path: &Path) -> String {
    let parts: Vec<_> = path.components().map(|c| c.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}

fn is_yaml(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    extension.is_some_and(|e| e.eq_ignore_ascii_case("yml") || e.eq_ignore_ascii_case("yaml"))
}

fn find_in_folder(folder: &Path, inputs: &mut Vec<Input>, loaded: &mut LoadedRules) {
    let start = inputs.len();
    let start_unreadable = loaded.unreadable.len();
    for entry in walkdir::WalkDir::new(folder).follow_links(true) {
        match entry {
            Ok(entry) if entry.file_type().is_file() => {
                let path = entry.into_path();
                let name = portable(path.strip_prefix(folder).unwrap_or(&path));
                if is_yaml(&name) {
                    let shown = path.display().to_string();
                    let name = Arc::new(RuleFile { path: name, shown });
                    inputs.push(Input { name, inner: None, bytes: Bytes::File(path) });
                } else {
                    loaded.other_files += 1;
                }
            }
            Ok(_) => {}
            // A link to a folder above: all that is behind it is being read anyway.
            Err(error) if error.loop_ancestor().is_some() => {}
            Err(error) => {
                let path = error.path().unwrap_or(folder).display().to_string();
                let reason = match error.io_error() {
                    Some(error) => error.to_string(),
                    None => error.to_string(),
                };
                loaded.unreadable.push(Unreadable { path, reason });
            }
        }
    }
    if let Some(found) = inputs.get_mut(start..) {
        found.sort_by(|a, b| a.name.cmp(&b.name));
    }
    if let Some(failed) = loaded.unreadable.get_mut(start_unreadable..) {
        failed.sort_by(|a, b| a.path.cmp(&b.path));
    }
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    read_capped(file, length)
}

/// Reads to the end, but not more than a file of rules may have.
fn read_capped(reader: impl Read, length: u64) -> io::Result<Vec<u8>> {
    // The length only saves growing: what is believed is what comes.
    let mut bytes = Vec::with_capacity(usize::try_from(length.min(1 << 20)).unwrap_or_default());
    reader.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_FILE {
        return Err(io::Error::other(format!("larger than a file of rules may be ({MAX_FILE})")));
    }
    Ok(bytes)
}

/// Unpacks the rule files of an archive.
fn find_in_archive(
    archive_name: &RuleFile,
    file: File,
    inputs: &mut Vec<Input>,
    loaded: &mut LoadedRules,
) -> io::Result<()> {
    let mut archive = zip::ZipArchive::new(io::BufReader::new(file))?;
    if archive.len() > MAX_MEMBERS {
        return Err(io::Error::other(format!("more than {MAX_MEMBERS} files in the archive")));
    }
    let start = inputs.len();
    let start_unreadable = loaded.unreadable.len();
    let mut unpacked: u64 = 0;
    for index in 0..archive.len() {
        let inner = match archive.name_for_index(index) {
            Some(Ok(name)) => name.replace('\\', "/"),
            _ => format!("#{index}.yml"),
        };
        if inner.ends_with('/') {
            continue;
        }
        if !is_yaml(&inner) {
            loaded.other_files += 1;
            continue;
        }
        let RuleFile { path, shown } = archive_name;
        let name = RuleFile { path: format!("{path}!{inner}"), shown: format!("{shown}!{inner}") };
        let result = if unpacked > MAX_ARCHIVE {
            Err(io::Error::other(format!("the archive unpacks to more than {MAX_ARCHIVE} bytes")))
        } else {
            archive.by_index(index).map_err(io::Error::from).and_then(|member| {
                let length = member.size();
                read_capped(member, length)
            })
        };
        match result {
            Ok(bytes) => {
                unpacked = unpacked.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
                let at = Some(path.len() + 1);
                let bytes = Bytes::Member(bytes);
                inputs.push(Input { name: Arc::new(name), inner: at, bytes });
            }
            Err(error) => {
                // What was unpacked in vain counts too, or many bombs would keep it busy for long.
                unpacked = unpacked.saturating_add(MAX_FILE);
                let (path, reason) = (name.shown, error.to_string());
                loaded.unreadable.push(Unreadable { path, reason });
            }
        }
    }
    if archive.has_duplicate_names() {
        // Only one member of each name can be reached.
        let reason = "members of the archive have the same name; not all were read".to_owned();
        loaded.unreadable.push(Unreadable { path: archive_name.shown.clone(), reason });
    }
    if let Some(found) = inputs.get_mut(start..) {
        found.sort_by(|a, b| a.name.cmp(&b.name));
    }
    if let Some(failed) = loaded.unreadable.get_mut(start_unreadable..) {
        failed.sort_by(|a, b| a.path.cmp(&b.path));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
