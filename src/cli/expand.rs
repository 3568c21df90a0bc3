//! Lists of values for the placeholders of rules with `expand`.
//!
//! A list is a file of one value on each line. Its placeholder is named with it (`NAME=FILE`), or is
//! the file's own name without its ending, if a folder of lists is given. Lists of one name add up.

use anyhow::{Context as _, Result};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// The lists that were given.
pub struct Expansions {
    /// Their values, by the names of their placeholders.
    pub values: BTreeMap<String, Vec<String>>,
    /// The names that were typed: that no rule has one of these is most often a slip of the pen. A
    /// folder is kept for many rule sets.
    pub typed: BTreeSet<String>,
}

/// Reads them.
pub fn read(files: &[(String, PathBuf)], folders: &[PathBuf]) -> Result<Expansions> {
    let mut lists = Expansions { values: BTreeMap::new(), typed: BTreeSet::new() };
    for folder in folders {
        let unreadable =
            || format!("--expand-dir {}: cannot be read as a folder", folder.display());
        let mut files = Vec::new();
        for entry in folder.read_dir().with_context(unreadable)? {
            files.push(entry.with_context(unreadable)?.path());
        }
        files.sort();
        for file in files.iter().filter(|file| file.is_file()) {
            // Files that begin with a dot are those of systems and editors.
            let name = file.file_stem().map(|name| name.to_string_lossy().into_owned());
            let Some(name) = name.filter(|name| !name.starts_with('.')) else { continue };
            let values = list(file).with_context(|| {
                format!("--expand-dir: {}: cannot be read as text", file.display())
            })?;
            lists.values.entry(name).or_default().extend(values);
        }
    }
    for (name, file) in files {
        let values = list(file).with_context(|| {
            format!("--expand {name}={}: cannot be read as text", file.display())
        })?;
        lists.values.entry(name.clone()).or_default().extend(values);
        lists.typed.insert(name.clone());
    }
    Ok(lists)
}

/// The lines of a file, empty ones and those that begin with `#` aside.
fn list(file: &Path) -> std::io::Result<Vec<String>> {
    let text = std::fs::read_to_string(file)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines = text.lines().map(str::trim_end);
    Ok(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect())
}
