//! A place to write to that is complete or not there.
//!
//! A file is written under another name, `FILE.partial`, and gets its own when all of it is on the
//! disk: whatever ends the hunt early, a full disk or a lost power line, nothing half-written looks
//! like the whole, and the file of an earlier run stays until there is a better one. Pipes, terminals
//! and devices are written to as they are.

use anyhow::{Result, anyhow};
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

/// What a file's name ends in until it is complete.
const PARTIAL: &str = ".partial";

/// An open place.
pub struct Target {
    /// Takes what is to be written.
    pub writer: Box<dyn Write + Send>,
    /// What is left to do.
    pub pending: Pending,
}

/// What is left to do when all is written. Dropped before that, it leaves the partial file where it
/// is, unless nothing is in it.
pub struct Pending {
    name: String,
    file: Option<Partial>,
}

struct Partial {
    file: File,
    partial: PathBuf,
    whole: PathBuf,
}

impl Target {
    /// Standard output.
    pub fn stdout() -> Target {
        let pending = Pending { name: "standard output".to_owned(), file: None };
        Target { writer: Box::new(io::stdout()), pending }
    }

    /// A file, or whatever is there under that name.
    pub fn file(path: &Path) -> io::Result<Target> {
        let name = path.display().to_string();
        // A link to a file stays a link: what it leads to is what gets replaced.
        let whole = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        match fs::metadata(&whole) {
            Ok(there) if there.is_file() => {
                // One that may not be written may not be replaced either.
                OpenOptions::new().write(true).open(&whole)?;
            }
            Ok(_) => {
                let file = OpenOptions::new().write(true).open(&whole)?;
                let pending = Pending { name, file: None };
                return Ok(Target { writer: Box::new(file), pending });
            }
            Err(_) => {}
        }
        let mut partial = OsString::from(&whole);
        partial.push(PARTIAL);
        let partial = PathBuf::from(partial);
        // What an earlier run left. Opened anew and not emptied: it might be a link to elsewhere.
        match fs::remove_file(&partial) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).open(&partial)?;
        let writer = Box::new(file.try_clone()?);
        Ok(Target {
            writer,
            pending: Pending { name, file: Some(Partial { file, partial, whole }) },
        })
    }
}

impl Pending {
    /// What errors call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes it what it is called: everything is written.
    pub fn complete(mut self) -> Result<()> {
        let Some(Partial { file, partial, whole }) = self.file.take() else { return Ok(()) };
        // A full disk may be told of only now.
        file.sync_all().and_then(|()| fs::rename(&partial, &whole)).map_err(|error| {
            let (name, partial) = (&self.name, partial.display());
            anyhow!("{name}: cannot be completed: {error}: what was written is in {partial}")
        })
    }

    /// Takes it back: nothing was to be written.
    pub fn discard(mut self) {
        if let Some(Partial { partial, .. }) = self.file.take() {
            // It is empty, or as good as that; should it stay, it is still no file of that name.
            let _ = fs::remove_file(partial);
        }
    }

    /// Where that lies which was written so far, if anything was and it is incomplete.
    pub fn partial(&self) -> Option<&Path> {
        let Partial { file, partial, .. } = self.file.as_ref()?;
        file.metadata().is_ok_and(|metadata| metadata.len() > 0).then_some(partial)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let empty = self.partial().is_none();
        if let Some(Partial { partial, .. }) = self.file.as_ref().filter(|_| empty) {
            let _ = fs::remove_file(partial);
        }
    }
}

/// `; incomplete: a.csv.partial, b.md.partial`, or nothing.
pub fn incomplete<'p>(pending: impl Iterator<Item = &'p Pending>) -> String {
    let partial: Vec<String> =
        pending.filter_map(Pending::partial).map(|path| path.display().to_string()).collect();
    match partial.is_empty() {
        true => String::new(),
        false => format!(": incomplete: {}", partial.join(", ")),
    }
}
