//! What the built-in rules find in the shipped evidence, byte for byte, in every form.
//!
//! With `HARRIER_GOLDEN=write` the files are written anew; the difference then shows what a change
//! does to what users see.

use std::path::Path;
use std::process::Command;

/// A golden file and the arguments that give it.
const ROWS: &[(&str, &[&str])] = &[
    ("hits.jsonl", &["--format", "jsonl"]),
    ("hits.txt", &["--format", "table"]),
    ("ledger.json", &["--format", "jsonl", "--ledger"]),
];

fn hunt(options: &[&str]) -> (Option<i32>, Vec<u8>) {
    let output = Command::new(env!("CARGO_BIN_EXE_harrier"))
        .args(["hunt", "fixtures/evidence", "-q"])
        .args(options)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    (output.status.code(), output.stdout)
}

/// Paths are as found: with the platform's separators. Everything else is the same everywhere.
fn portable(text: Vec<u8>) -> String {
    let text = String::from_utf8(text).unwrap();
    if cfg!(windows) { text.replace("fixtures/evidence\\\\", "fixtures/evidence/") } else { text }
}

/// What is said after the hunt: short, and in full. How long it took is masked.
#[test]
fn the_summary_is_the_golden_one() {
    let time = regex::Regex::new(r"(?m) in \d+\.\d\d s, .*/s$").unwrap();
    for (name, option) in [("summary.txt", None), ("summary-verbose.txt", Some("-v"))] {
        let output = Command::new(env!("CARGO_BIN_EXE_harrier"))
            .args(["hunt", "fixtures/evidence"])
            .args(option)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{name}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(time.find_iter(&said).count(), 1, "{said}");
        compare(name, &time.replace(&said, " in N s, N/s"));
    }
}

#[test]
fn output_is_the_golden_one() {
    let folder = tempfile::tempdir().unwrap();
    for (name, options) in ROWS {
        let ledger = folder.path().join("ledger");
        let mut options = options.to_vec();
        let takes_ledger = options.last() == Some(&"--ledger");
        if takes_ledger {
            options.push(ledger.to_str().unwrap());
        }
        let (code, out) = hunt(&options);
        assert_eq!(code, Some(0), "{name}");
        let got = portable(if takes_ledger { std::fs::read(&ledger).unwrap() } else { out });
        compare(name, &got);
        assert!(got.lines().count() > 20, "{name} is nearly empty");
    }
}

/// Compares with a golden file, or writes it.
pub fn compare(name: &str, got: &str) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden");
    let path = golden.join(name);
    if std::env::var_os("HARRIER_GOLDEN").is_some_and(|value| value == "write") {
        std::fs::create_dir_all(&golden).unwrap();
        std::fs::write(&path, got).unwrap();
    }
    let want = std::fs::read_to_string(&path).unwrap();
    for (n, (got, want)) in got.lines().zip(want.lines()).enumerate() {
        assert_eq!(got, want, "{name}, line {}; HARRIER_GOLDEN=write writes it anew", n + 1);
    }
    let (got, want) = (got.lines().count(), want.lines().count());
    assert_eq!(got, want, "{name}; HARRIER_GOLDEN=write writes it anew");
}
