//! Which rules these were, in a form that anybody can check: the digest of a rule set.
//!
//! It is what these commands print, in a folder of rules:
//!
//! ```text
//! find -L . -type f \( -iname '*.yml' -o -iname '*.yaml' \) -exec sha256sum {} + | LC_ALL=C sort | sha256sum
//! ```
//!
//! So each file is a line as `sha256sum` writes it, digest, two blanks, `./` and its path below the
//! folder with `/`; the lines are sorted by their bytes, and the SHA-256 of these is the digest. It
//! does not depend on where the rules lie and in which order they are met. A file that is given by
//! itself is a folder of one file, an archive is the folder that it unpacks to.

use crate::bytes::hex;
use sha2::{Digest as _, Sha256};

/// A path to rules as it was given, and what was read below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleRoot {
    /// The path, as it was given.
    pub path: String,
    /// Whether filters alone were wanted.
    pub only_filters: bool,
    /// A line for each file that was read.
    pub(super) lines: Vec<String>,
}

impl RuleRoot {
    pub(super) fn new(path: String, only_filters: bool) -> RuleRoot {
        RuleRoot { path, only_filters, lines: Vec::new() }
    }

    /// A root of these files, by names and texts.
    pub(super) fn of_texts<'t>(
        path: &str,
        texts: impl Iterator<Item = (&'t str, &'t str)>,
    ) -> RuleRoot {
        let lines = texts.map(|(name, text)| line(name, text.as_bytes())).collect();
        RuleRoot { path: path.to_owned(), only_filters: false, lines }
    }

    /// How many files were read.
    #[must_use]
    pub fn files(&self) -> usize {
        self.lines.len()
    }
}

/// The digest of all files that were read below these roots.
#[must_use]
pub fn digest_of<'r>(roots: impl IntoIterator<Item = &'r RuleRoot>) -> String {
    let mut lines: Vec<&str> =
        roots.into_iter().flat_map(|root| &root.lines).map(String::as_str).collect();
    // As `sort` compares them, without the ends of the lines.
    lines.sort_unstable_by_key(|line| line.trim_end_matches('\n'));
    let mut digest = Sha256::new();
    lines.iter().for_each(|line| digest.update(line));
    hex(&digest.finalize())
}

/// The line of a file, as `sha256sum` writes it: a name with a backslash or a line break is escaped,
/// and a backslash before the line says so.
pub(super) fn line(name: &str, bytes: &[u8]) -> String {
    let digest = hex(&Sha256::digest(bytes));
    if name.contains(['\\', '\n', '\r']) {
        let name = name.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r");
        return format!("\\{digest}  ./{name}\n");
    }
    format!("{digest}  ./{name}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn lines_are_those_of_sha256sum() {
        for (name, want) in [
            ("a b/c.yml", format!("{EMPTY}  ./a b/c.yml\n")),
            ("a\\b\nc.yml", format!("\\{EMPTY}  ./a\\\\b\\nc.yml\n")),
        ] {
            assert_eq!(line(name, b""), want);
        }
    }

    #[test]
    fn the_order_of_files_and_roots_does_not_matter() {
        let root = |lines: &[&str]| {
            let lines = lines.iter().map(|name| line(name, name.as_bytes())).collect();
            RuleRoot { path: "rules".to_owned(), only_filters: false, lines }
        };
        let (ab, ba) = (root(&["a.yml", "b.yml"]), root(&["b.yml", "a.yml"]));
        assert_eq!(digest_of([&ab]), digest_of([&ba]));
        let (a, b) = (root(&["a.yml"]), root(&["b.yml"]));
        assert_eq!(digest_of([&a, &b]), digest_of([&ab]));
        assert_eq!(digest_of([&b, &a]), digest_of([&ab]));
        assert_ne!(digest_of([&a]), digest_of([&a, &a]));
        assert_eq!(digest_of([]), EMPTY);
    }
}
