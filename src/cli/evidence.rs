//! From the evidence as named to the paths that are hunted through, before anything begins.
//!
//! A path stands for itself if there is such a file, whatever characters it has. Else, if it has any
//! of `*?[`, it is a pattern that the shell did not expand (it was quoted, or the shell is one of
//! Windows) and stands for all that match it, in the order of their names. `-` stands for a list of
//! paths on standard input. Paths on a list are taken as they are.
//!
//! Whoever types a path that does not exist is told so before the hunt begins. On a list, made a
//! moment ago by another program, such a path is evidence that could not be read.

use super::args::{CarveArg, EvidenceArgs};
use anyhow::{Context as _, Result, anyhow, bail};
use harrier::{
    evidence::{Carving, Walk, display_name},
    hunt::{Hunt, Learned},
};
use std::{
    ffi::OsString,
    io::{ErrorKind, Read as _},
    path::{Path, PathBuf},
};

/// More of a list than this is no list of paths: half a gigabyte holds four million long ones.
const MAX_LIST: u64 = 512 << 20;

/// The paths that the arguments stand for, in their order; those of lists in files after the others.
pub fn resolve(args: &EvidenceArgs) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    let mut lists = 0;
    for path in &args.evidence {
        if path.as_os_str() == "-" {
            lists += 1;
            stdin(args.null, &mut paths)?;
        } else {
            named(path, &mut paths)?;
        }
    }
    for file in &args.files_from {
        lists += 1;
        if file.as_os_str() == "-" {
            stdin(args.null, &mut paths)?;
        } else {
            let name = file.display();
            let open = std::fs::File::open(file);
            let open = open
                .with_context(|| format!("--files-from {name}: cannot be read: check the path"))?;
            list(open, args.null, &format!("--files-from {name}"), &mut paths)?;
        }
    }
    if args.null && lists == 0 {
        bail!("--null is about lists of paths: give '-' or --files-from FILE");
    }
    if paths.is_empty() && lists > 0 {
        bail!("no evidence was named: there are no paths on the list");
    }
    if paths.is_empty() {
        bail!(
            "no evidence was named: give event logs or folders, as in 'harrier hunt Logs/' (on a \
             Windows host: C:\\Windows\\System32\\winevt\\Logs); 'harrier hunt --help' tells more"
        );
    }
    Ok(paths)
}

/// Where raw bytes are searched.
pub fn carving(args: &EvidenceArgs) -> Carving {
    match args.carve {
        None => Carving::No,
        Some(CarveArg::Free) => Carving::Free,
        Some(CarveArg::All) => Carving::All,
    }
}

/// How that is called.
pub fn carve_word(args: &EvidenceArgs) -> Option<&'static str> {
    args.carve.map(|carve| match carve {
        CarveArg::Free => "free",
        CarveArg::All => "all",
    })
}

/// Learns what helps to read what is left of logs, if records may be met whose templates are elsewhere.
pub fn learn(
    args: &EvidenceArgs,
    hunt: &Hunt<'_>,
    walk: &dyn Fn() -> Walk,
) -> Result<Option<Learned>> {
    let needed = args.recover || args.carve.is_some();
    let learned = needed.then(|| hunt.learn(walk())).transpose();
    learned.map_err(|error| anyhow!("{error}: try fewer with --threads"))
}

/// The first few of these paths, to be named in a message.
pub fn names(paths: &[PathBuf]) -> String {
    const NAMED: usize = 3;
    let names: Vec<String> = paths.iter().take(NAMED).map(|path| display_name(path)).collect();
    let more = paths.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    names.join(", ") + &more
}

/// A path as typed.
fn named(path: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let name = display_name(path);
    match std::fs::metadata(path) {
        Err(error)
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidFilename)
                && is_pattern(path) =>
        {
            pattern(path, paths)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("{name}: no such file or folder: check the path");
        }
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            bail!("{name}: no such file or folder: part of the path is a file");
        }
        // One that may not be looked at is not fatal: the hunt goes through the others and says so.
        _ => {
            paths.push(path.to_owned());
            Ok(())
        }
    }
}

fn is_pattern(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().iter().any(|byte| b"*?[".contains(byte))
}

/// All that match a pattern.
fn pattern(path: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let name = display_name(path);
    let Some(text) = path.to_str() else {
        bail!("{name}: no such file or folder, and a pattern has to be UTF-8: check the path");
    };
    let options = glob::MatchOptions { case_sensitive: !cfg!(windows), ..Default::default() };
    let matches = glob::glob_with(text, options).map_err(|error| {
        anyhow::anyhow!("{name}: no such file or folder, and no pattern: {error}")
    })?;
    let before = paths.len();
    for found in matches {
        // A folder that may not be looked into is handed on: the hunt will say so.
        paths.push(found.unwrap_or_else(|error| error.path().to_owned()));
    }
    if paths.len() == before {
        bail!("{name}: no such file or folder, and nothing that matches: check the pattern");
    }
    Ok(())
}

fn stdin(null: bool, paths: &mut Vec<PathBuf>) -> Result<()> {
    list(std::io::stdin().lock(), null, "the list on standard input", paths)
}

fn list(from: impl std::io::Read, null: bool, what: &str, paths: &mut Vec<PathBuf>) -> Result<()> {
    let mut bytes = Vec::new();
    let read = from.take(MAX_LIST + 1).read_to_end(&mut bytes);
    read.with_context(|| format!("{what}: cannot be read"))?;
    if bytes.len() as u64 > MAX_LIST {
        bail!("{what}: has more than {} MB and is no list of paths", MAX_LIST >> 20);
    }
    // A log given by itself, as `harrier hunt - < Security.evtx`.
    if harrier::evidence::begins_like_a_log(&bytes).unwrap_or(false) {
        bail!("{what}: is an event log, not a list of paths: name the file itself");
    }
    paths.extend(entries(&bytes, null).map(path_of));
    Ok(())
}

/// The entries of a list: between NULs, or lines.
fn entries(bytes: &[u8], null: bool) -> impl Iterator<Item = &[u8]> {
    let separator = if null { 0 } else { b'\n' };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let entries = bytes.split(move |byte| *byte == separator);
    // Lines of Windows end in CR LF. A file whose name ends in CR can be named with --null.
    let entries = entries.map(move |e| e.strip_suffix(b"\r").filter(|_| !null).unwrap_or(e));
    entries.filter(|entry| !entry.is_empty())
}

#[cfg(unix)]
fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    OsString::from_vec(bytes.to_owned()).into()
}

#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> PathBuf {
    OsString::from(String::from_utf8_lossy(bytes).into_owned()).into()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_lines_or_nuls() {
        for (bytes, null, want) in [
            (&b""[..], false, &[][..]),
            (b"\n\n", false, &[]),
            (b"a\nb c\r\n\nd", false, &[&b"a"[..], b"b c", b"d"]),
            (b"a\0b\nc\r\0\0", true, &[b"a", b"b\nc\r"]),
            (b"a\0b", false, &[b"a\0b"]),
            (b"\xef\xbb\xbfa\n\xff\xfe", false, &[b"a", b"\xff\xfe"]),
        ] {
            assert_eq!(entries(bytes, null).collect::<Vec<_>>(), want, "{bytes:?}");
        }
    }

    #[test]
    fn few_paths_are_named() {
        let paths: Vec<PathBuf> = ["a", "b", "c", "d", "e"].map(Into::into).to_vec();
        assert_eq!(names(&paths), "a, b, c and 2 more");
        assert_eq!(names(&paths[..3]), "a, b, c");
    }
}
