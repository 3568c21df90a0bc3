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

#[test]
fn output_is_the_golden_one() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden");
    let write = std::env::var_os("HARRIER_GOLDEN").is_some_and(|value| value == "write");
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
        let path = golden.join(name);
        if write {
            std::fs::create_dir_all(&golden).unwrap();
            std::fs::write(&path, &got).unwrap();
        }
        let want = std::fs::read_to_string(&path).unwrap();
        let (got_lines, want_lines) = (got.lines().count(), want.lines().count());
        for (n, (got, want)) in got.lines().zip(want.lines()).enumerate() {
            assert_eq!(got, want, "{name}, line {}; HARRIER_GOLDEN=write writes it anew", n + 1);
        }
        assert_eq!(got_lines, want_lines, "{name}; HARRIER_GOLDEN=write writes it anew");
        assert!(want_lines > 20, "{name} is nearly empty");
    }
}
