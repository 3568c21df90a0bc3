//! Looks at the evidence's paths before anything begins.

use anyhow::{Result, bail};
use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
};

/// Fails if a path is not there at all. One that may not be looked at is not fatal: the hunt goes
/// through the others and says so.
pub fn check(paths: &[PathBuf]) -> Result<()> {
    if paths.is_empty() {
        bail!("no evidence was named: give one or more event logs or folders");
    }
    for path in paths {
        let name = path.display();
        if path.as_os_str() == "-" {
            bail!("-: logs are read at positions, which standard input has not: give a file");
        }
        match std::fs::metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                bail!("{name}: no such file or folder: check the path");
            }
            Err(error) if error.kind() == ErrorKind::NotADirectory => {
                bail!("{name}: no such file or folder: part of the path is a file");
            }
            _ => {}
        }
    }
    Ok(())
}

/// Fails if writing to `target` would change evidence: if it is one of the named files, or an
/// existing file in one of the named folders, or any event log at all. A new file in a folder of
/// evidence is the user's wish, and changes none.
pub fn refuse_to_overwrite(target: &Path, evidence: &[PathBuf]) -> Result<()> {
    let Ok(real) = std::fs::canonicalize(target) else { return Ok(()) };
    let name = target.display();
    // A terminal or pipe such as /dev/stdout holds nothing.
    if !std::fs::metadata(&real).is_ok_and(|metadata| metadata.is_file()) {
        return Ok(());
    }
    for path in evidence {
        if std::fs::canonicalize(path).is_ok_and(|path| real.starts_with(path)) {
            bail!(
                "{name}: exists and is part of the evidence ({}): write to another place",
                path.display()
            );
        }
    }
    let mut start = Vec::new();
    let read = std::fs::File::open(&real)
        .and_then(|file| std::io::Read::read_to_end(&mut std::io::Read::take(file, 8), &mut start));
    if read.is_ok() && harrier::evidence::begins_like_a_log(&start).unwrap_or(false) {
        bail!("{name}: is an event log and would be lost: write to another file");
    }
    Ok(())
}
