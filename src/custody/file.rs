//! `harrier.manifest/1`: which evidence, which rules, which program, when, as JSON.
//!
//! An object of which every entry, and every element of a list, stands on a line of its own. What is
//! known when the run begins is written then: what is left of one that was killed says that much.

use super::survey::{EvidenceFile, Survey};
use serde_json::{Value, json};
use std::{
    io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write},
    time::SystemTime,
};

/// The schema's name.
const SCHEMA: &str = "harrier.manifest/1";

/// The file of a manifest, begun.
pub struct ManifestFile {
    out: Box<dyn Write + Send>,
}

impl std::fmt::Debug for ManifestFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ManifestFile").finish_non_exhaustive()
    }
}

impl ManifestFile {
    /// Begins the file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin(mut out: Box<dyn Write + Send>) -> io::Result<ManifestFile> {
        write!(out, "{{\n\"schema\":\"{SCHEMA}\"")?;
        Ok(ManifestFile { out })
    }

    /// Hands on what was written so far.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// An entry.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn entry(&mut self, key: &str, value: &Value) -> io::Result<()> {
        write!(self.out, ",\n{}:{value}", Value::from(key))
    }

    /// An entry that is a list.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn list(&mut self, key: &str, values: impl Iterator<Item = Value>) -> io::Result<()> {
        self.lines(key, values.map(|value| Ok(value.to_string())))
    }

    /// The same, of what is JSON already.
    fn lines(
        &mut self,
        key: &str,
        lines: impl Iterator<Item = io::Result<String>>,
    ) -> io::Result<()> {
        write!(self.out, ",\n{}:[", Value::from(key))?;
        let mut between = "\n";
        for line in lines {
            write!(self.out, "{between}{}", line?)?;
            between = ",\n";
        }
        self.out.write_all(b"\n]")
    }

    /// The files of the evidence, and the logs in them if they were hashed.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn evidence(&mut self, survey: &Survey) -> io::Result<()> {
        self.list("sources", survey.files.iter().map(source))?;
        if let Some(mut logs) = survey.logs.as_ref() {
            logs.seek(SeekFrom::Start(0))?;
            self.lines("logs", BufReader::new(logs).lines())?;
        }
        self.entry("other_files", &json!(survey.other_files))
    }

    /// Ends the file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        self.out.write_all(b"\n}\n")?;
        self.out.flush()
    }
}

fn source(file: &EvidenceFile) -> Value {
    let media = file
        .media
        .as_ref()
        .map(|media| json!({"md5": media.md5, "sha1": media.sha1, "verified": media.verified}));
    json!({
        "path": file.name,
        "kind": file.kind,
        "part_of": file.part_of,
        "size": file.size,
        "modified": time(file.times.modified),
        "created": time(file.times.created),
        "accessed": time(file.times.accessed),
        "sha256": file.sha256,
        "media": media,
        "note": file.note,
        "faults": file.faults,
    })
}

/// A time as text, in UTC.
fn time(time: Option<SystemTime>) -> Option<String> {
    Some(jiff::Timestamp::try_from(time?).ok()?.to_string())
}
