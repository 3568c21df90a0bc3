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

/// Fails if writing to `target` would touch evidence: if it is one of the named files, or lies in one
/// of the named folders, there already or not, or is an event log.
pub fn refuse(target: &Path, evidence: &[PathBuf]) -> Result<()> {
    // What cannot be resolved cannot be written either, and that will be said then.
    let Some(real) = real(target) else { return Ok(()) };
    let name = target.display();
    // A terminal or pipe such as /dev/stdout holds nothing.
    let metadata = std::fs::metadata(&real);
    if metadata.as_ref().is_ok_and(|metadata| !metadata.is_file()) {
        return Ok(());
    }
    for path in evidence {
        if std::fs::canonicalize(path).is_ok_and(|path| real.starts_with(path)) {
            let evidence = path.display();
            if metadata.is_ok() {
                bail!(
                    "{name}: exists and is part of the evidence ({evidence}): name another place"
                );
            }
            bail!("{name}: would lie in the evidence ({evidence}): name a place outside of it");
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

/// A path without links, of a file that need not be there yet.
pub fn real(path: &Path) -> Option<PathBuf> {
    if let Ok(real) = std::fs::canonicalize(path) {
        return Some(real);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = std::fs::canonicalize(folder.unwrap_or(Path::new("."))).ok()?;
    Some(folder.join(path.file_name()?))
}
