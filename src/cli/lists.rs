//! Lists as they are typed: `a,b`, an option given several times, and `@FILE` with an entry a line.

use anyhow::{Context as _, Result, bail};

/// An entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The entry.
    pub text: String,
    /// Whether it stands in a file: such lists are kept for many rule sets, and name more than one
    /// of them has.
    pub from_file: bool,
}

/// The entries of all `values` of `option`.
///
/// In a file a line is an entry; what follows a `#` at its start or after a blank is a comment.
pub fn entries(option: &str, values: &[String]) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for value in values {
        let before = entries.len();
        match value.strip_prefix('@') {
            Some(file) => {
                let text = std::fs::read_to_string(file)
                    .with_context(|| format!("{option} @{file}: cannot be read as text"))?;
                let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
                push(text.lines().map(without_comment), true, &mut entries);
            }
            None => push(value.split(','), false, &mut entries),
        }
        if entries.len() == before {
            bail!("{option} {value}: the list is empty: name at least one");
        }
    }
    Ok(entries)
}

fn push<'a>(texts: impl Iterator<Item = &'a str>, from_file: bool, entries: &mut Vec<Entry>) {
    let texts = texts.map(str::trim).filter(|text| !text.is_empty());
    entries.extend(texts.map(|text| Entry { text: text.to_owned(), from_file }));
}

fn without_comment(line: &str) -> &str {
    let begins = |(at, _): &(usize, &str)| {
        line.get(..*at).is_some_and(|before| before.is_empty() || before.ends_with([' ', '\t']))
    };
    line.match_indices('#').find(begins).and_then(|(at, _)| line.get(..at)).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(values: &[&str]) -> Vec<(String, bool)> {
        let values: Vec<String> = values.iter().map(|v| (*v).to_owned()).collect();
        let entries = entries("--x", &values).unwrap();
        entries.into_iter().map(|entry| (entry.text, entry.from_file)).collect()
    }

    #[test]
    fn lists_are_typed_or_in_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ids, all.txt");
        std::fs::write(&file, "\u{feff}# ids\r\n\r\na1 # noisy\r\n  b#2\t#x\r\nc,d\r\n").unwrap();
        let at = format!("@{}", file.display());
        let got = texts(&["x, y,,z", "w", &at]);
        let want = [("x", false), ("y", false), ("z", false), ("w", false)];
        let want = want.into_iter().chain([("a1", true), ("b#2", true), ("c,d", true)]);
        assert_eq!(got, want.map(|(text, file)| (text.to_owned(), file)).collect::<Vec<_>>());
    }

    #[test]
    fn a_list_without_entries_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("none.txt");
        std::fs::write(&file, "# nothing\n").unwrap();
        for value in ["", " , ", &format!("@{}", file.display()), "@nowhere/at/all"] {
            let said = entries("--x", &[value.to_owned()]).unwrap_err().to_string();
            assert!(said.starts_with(&format!("--x {value}: ")), "{said}");
        }
    }
}
