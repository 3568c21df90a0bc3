//! The files that were given.

use super::Times;
use crate::evidence::{Found, Given, Source};
use std::{
    collections::HashMap,
    fs::{self, File, Metadata},
    path::{Path, PathBuf},
};

/// The files of the evidence that a hunt looks into.
#[derive(Debug, Default)]
pub struct Survey {
    pub(super) files: Vec<EvidenceFile>,
    pub(super) other_files: u64,
    /// What was told of logs in containers, a line each.
    pub(super) logs: Option<File>,
    /// Where parts of images stand in `files`: they may be met before what they are parts of.
    parts: HashMap<PathBuf, usize>,
}

/// A file of the evidence.
#[derive(Debug)]
pub struct EvidenceFile {
    /// Its name, as in the ledger.
    pub name: String,
    /// What it is.
    pub kind: &'static str,
    /// The file that it is read with, if it is no image by itself.
    pub part_of: Option<String>,
    /// Its size.
    pub size: u64,
    /// Its times.
    pub times: Times,
    /// The digest of all of it, as hexadecimal digits.
    pub sha256: Option<String>,
    /// What it says of the disk that it is an image of.
    pub media: Option<MediaDigests>,
    /// Why there is no digest or no size, if that is no fault of the file.
    pub note: Option<String>,
    /// What is wrong: it cannot be read, or it changed.
    pub faults: Vec<String>,
    /// `None` for what could not be looked at.
    pub(super) source: Option<Source>,
}

/// What an image says of the disk in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MediaDigests {
    /// MD5, as hexadecimal digits.
    pub md5: Option<String>,
    /// SHA-1.
    pub sha1: Option<String>,
    /// Whether that is so; `None` if nobody has calculated it.
    pub verified: Option<bool>,
}

impl Survey {
    /// Goes through what a walk finds. Nothing is read but the starts of files, and what tells of which
    /// files an image consists.
    pub fn take(walk: impl Iterator<Item = Found>) -> Survey {
        let mut survey = Survey::default();
        for found in walk {
            match found {
                Found::Source(source) => survey.source(source),
                Found::Unreadable { name, error } => {
                    let mut file = EvidenceFile::new(name, "unreadable");
                    file.note = Some(error.to_string());
                    survey.files.push(file);
                }
                // Met under another name, not followed, or not a file.
                Found::Duplicate { .. } | Found::Link { .. } | Found::Special { .. } => {}
                // A walk through folders finds none.
                Found::Container(_) => {}
            }
        }
        survey
    }

    fn source(&mut self, source: Source) {
        let Some(path) = source.path().map(Path::to_owned) else { return };
        if !self.parts.is_empty() && self.parts.contains_key(&real(&path)) {
            return;
        }
        // Before it is opened: that may change when it was last read.
        let metadata = fs::metadata(&path);
        let given = match source.given() {
            Ok(given) => given,
            Err(error) => {
                let mut file = EvidenceFile::of(source, "unreadable", metadata.ok().as_ref());
                file.note = Some(error.to_string());
                self.files.push(file);
                return;
            }
        };
        let Given { kind: Some(kind), beside, media } = given else {
            self.other_files += 1;
            return;
        };
        let mut file = EvidenceFile::of(source, kind, metadata.ok().as_ref());
        let hex = crate::bytes::hex;
        file.media = media.map(|media| MediaDigests {
            md5: media.digests.md5.map(|md5| hex(&md5)),
            sha1: media.digests.sha1.map(|sha1| hex(&sha1)),
            verified: None,
        });
        let whole = file.name.clone();
        if kind == Given::PART {
            self.parts.insert(real(&path), self.files.len());
        }
        self.files.push(file);
        for part in beside {
            self.part(part, &whole);
        }
    }

    /// Notes a file that is read with another.
    fn part(&mut self, part: Source, whole: &str) {
        let Some(path) = part.path().map(Path::to_owned) else { return };
        let known = self.parts.get(&real(&path)).and_then(|at| self.files.get_mut(*at));
        if let Some(known) = known {
            known.part_of.get_or_insert_with(|| whole.to_owned());
            return;
        }
        self.parts.insert(real(&path), self.files.len());
        let metadata = fs::metadata(&path).ok();
        let mut file = EvidenceFile::of(part, Given::PART, metadata.as_ref());
        file.part_of = Some(whole.to_owned());
        self.files.push(file);
    }

    /// Looks once more at sizes and times: what changed was changed while it was read.
    pub fn settle(&mut self) {
        for file in &mut self.files {
            let Some(path) = file.source.as_ref().and_then(Source::path) else { continue };
            let change = match fs::metadata(path) {
                Err(error) => Some(format!("it is not there any more: {error}")),
                Ok(now) if now.len() != file.size => {
                    Some(format!("it had {} bytes and has {} now", file.size, now.len()))
                }
                Ok(now) if now.modified().ok() != file.times.modified => {
                    Some("it was written to".to_owned())
                }
                Ok(_) => None,
            };
            file.faults.extend(change.map(|what| format!("changed during the run: {what}")));
        }
    }

    /// The files, in the order of the evidence.
    #[must_use]
    pub fn files(&self) -> &[EvidenceFile] {
        &self.files
    }

    /// How many bytes they have.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size))
    }

    /// What is wrong with files, by their names.
    pub fn faults(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .flat_map(|file| file.faults.iter().map(|fault| (file.name.as_str(), fault.as_str())))
    }
}

impl EvidenceFile {
    fn new(name: String, kind: &'static str) -> EvidenceFile {
        EvidenceFile {
            name,
            kind,
            part_of: None,
            size: 0,
            times: Times::default(),
            sha256: None,
            media: None,
            note: None,
            faults: Vec::new(),
            source: None,
        }
    }

    fn of(source: Source, kind: &'static str, metadata: Option<&Metadata>) -> EvidenceFile {
        let mut file = EvidenceFile::new(source.name().to_owned(), kind);
        file.size = metadata.map_or(source.size(), Metadata::len);
        if let Some(metadata) = metadata {
            file.times = Times {
                modified: metadata.modified().ok(),
                created: metadata.created().ok(),
                accessed: metadata.accessed().ok(),
            };
        }
        file.source = Some(source);
        file
    }
}

/// A path without links, so that a file has one.
fn real(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
