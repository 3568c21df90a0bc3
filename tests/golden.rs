//! What the built-in rules find in the shipped evidence, byte for byte, in every form.
//!
//! With `HARRIER_GOLDEN=write` the files are written anew; the difference then shows what a change
//! does to what users see.

use crate::images_support::unpacked;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A golden file and the arguments that give it.
const ROWS: &[(&str, &str)] = &[
    ("hits.jsonl", "--format jsonl"),
    ("hits.txt", "--format table"),
    ("hits.wide.txt", "--format table --wide --color always"),
    (
        "hits.columns.txt",
        "--format table --columns minimal,CommandLine,TargetObject,data.User,Path",
    ),
    ("hits.csv", "--format csv"),
    ("hits.verbose.csv", "--format csv --columns verbose"),
    ("hits.columns.csv", "--format csv --columns Time,Computer,Rule,Image,ScriptBlockText,Where"),
    ("hits.md", "--format markdown"),
    ("hits.columns.md", "--format markdown --columns Rule,CommandLine"),
    ("hits.timesketch.jsonl", "--format timesketch"),
    ("hits.ecs.jsonl", "--format ecs"),
    ("groups.txt", "--format table --group"),
    ("groups.jsonl", "--format jsonl --group"),
    ("timeline.txt", "--format table --sort time --context 1 --time-zone +01:00"),
    ("timeline.jsonl", "--format jsonl --sort time --context 1"),
    ("ledger.json", "--format jsonl --ledger"),
];

/// Any number of threads gives the same.
const THREADS: [&str; 3] = ["1", "2", "8"];

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

/// Where a golden file lies.
fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden").join(name)
}

/// Compares with a golden file, or writes it.
pub fn compare(name: &str, got: &str) {
    let path = golden(name);
    if std::env::var_os("HARRIER_GOLDEN").is_some_and(|value| value == "write") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, got).unwrap();
    }
    let want = std::fs::read_to_string(&path).unwrap();
    let (got_lines, want_lines) = (got.lines().count(), want.lines().count());
    for (n, (got, want)) in got.lines().zip(want.lines()).enumerate() {
        assert_eq!(got, want, "{name}, line {}; HARRIER_GOLDEN=write writes it anew", n + 1);
    }
    assert_eq!(got_lines, want_lines, "{name}; HARRIER_GOLDEN=write writes it anew");
    assert!(want_lines > 10, "{name} is nearly empty");
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

/// Something of each kind that there is, whole and not, in a folder, and raw bytes beside it.
fn case() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    };
    let logs = ["Security.evtx", "Microsoft-Windows-Sysmon%4Operational.evtx"].map(|name| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/evidence/WS-0522");
        (name, std::fs::read(path.join(name)).unwrap())
    });
    let [(_, security), (_, sysmon)] = &logs;
    // What is packed has another size with another version of a packer.
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in &logs {
        zip.start_file(format!("C/Logs/{name}"), stored).unwrap();
        std::io::Write::write_all(&mut zip, content).unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, format!("C/Logs/{name}"), content.as_slice()).unwrap();
    }
    let (zip, tar) = (zip.finish().unwrap().into_inner(), tar.into_inner().unwrap());
    let mut harmed = security.clone();
    harmed[4096 + 0x200] ^= 0xff;
    for (name, content) in [
        ("case/logs/Security.evtx", security.as_slice()),
        ("case/logs/cut.evtx", &security[..security.len() - 60_000]),
        ("case/logs/empty.evtx", b""),
        ("case/logs/harmed.evtx", &harmed),
        ("case/logs/none.evtx", b"no log at all"),
        ("case/logs/notes.txt", b"hello"),
        ("case/archives/case.zip", &zip),
        ("case/archives/cut.tar", &tar[..tar.len() - 20_000]),
        ("case/archives/misnamed.7z", b"no archive"),
        ("case/archives/packed.rar", b"Rar!\x1a\x07\x01\0 and more"),
        ("case/archives/whole.tar", &tar),
        ("memory.bin", &[&[7; 5000], &sysmon[4096..], &[9; 5000]].concat()),
    ] {
        put(name, content);
    }
    for name in ["disk.raw", "disk.vhdx", "overlay.qcow2", "sparse.vmdk", "volume.raw"] {
        put(&format!("case/images/{name}"), &unpacked(name));
    }
    for name in ["stored.E01", "stored.E03", "stored.E04"] {
        put(&format!("case/images/{name}"), &unpacked(name));
    }
    folder
}

/// The list of what there is, in each of its forms.
#[test]
fn the_list_is_the_golden_one() {
    let case = case();
    for (name, format) in [("list.txt", "table"), ("list.jsonl", "json"), ("list.csv", "csv")] {
        for threads in THREADS {
            let output = Command::new(env!("CARGO_BIN_EXE_harrier"))
                .args(["list", "case", "memory.bin", "--carve", "--format", format])
                .args(["--threads", threads])
                .current_dir(case.path())
                .output()
                .unwrap();
            let (out, err) =
                [output.stdout, output.stderr].map(|s| String::from_utf8(s).unwrap()).into();
            assert_eq!(output.status.code(), Some(1), "{name}: {err}");
            let got = if format == "table" { out + &err } else { out };
            let got = if cfg!(windows) {
                got.replace("case\\\\", "case/").replace("case\\", "case/")
            } else {
                got
            };
            compare(name, &got);
        }
    }
}

#[test]
fn output_is_the_golden_one() {
    let folder = tempfile::tempdir().unwrap();
    for (name, options) in ROWS {
        let mut first = None;
        for threads in THREADS {
            let ledger = folder.path().join("ledger");
            let mut options: Vec<&str> = options.split(' ').collect();
            let takes_ledger = options.last() == Some(&"--ledger");
            if takes_ledger {
                options.push(ledger.to_str().unwrap());
            }
            options.extend(["--threads", threads]);
            let (code, out) = hunt(&options);
            assert_eq!(code, Some(0), "{name}");
            let got = portable(if takes_ledger { std::fs::read(&ledger).unwrap() } else { out });
            compare(name, &got);
            assert_eq!(first.get_or_insert(got.clone()), &got, "{name}, {threads} threads");
        }
    }
}

/// All at once, into files, gives what each gives alone.
#[test]
fn files_are_the_golden_ones() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["hits.jsonl", "hits.txt", "hits.csv", "hits.md", "hits.timesketch.jsonl"];
    let names = [&names[..], &["hits.ecs.jsonl"]].concat();
    for threads in THREADS {
        let paths: Vec<String> = names
            .iter()
            .map(|name| folder.path().join(name).to_str().unwrap().to_owned())
            .collect();
        let mut options = vec!["--threads", threads];
        paths.iter().for_each(|path| options.extend(["-o", path]));
        assert_eq!(hunt(&options), (Some(0), Vec::new()));
        for (name, path) in names.iter().zip(&paths) {
            compare(name, &portable(std::fs::read(path).unwrap()));
        }
    }
}

/// On a terminal the table is as wide as that: no line is wider, and at 60 columns as at 200 every
/// hit says when, how bad, which rule, on which host, why, and where.
#[cfg(target_os = "linux")]
#[test]
fn a_terminal_is_filled_and_not_overflown() {
    for width in [60, 100, 200] {
        for (color, name) in [("never", Some(format!("terminal.{width}.txt"))), ("auto", None)] {
            let Some(got) = on_terminal(width, color) else {
                let test = "a_terminal_is_filled_and_not_overflown";
                return crate::support::skipped(test, "no script(1) or stty(1)");
            };
            assert_eq!(got.contains('\x1b'), color == "auto");
            let Some(name) = name else { continue };
            compare(&name, &got);
            let widest = got.lines().map(|line| line.chars().count()).max().unwrap();
            assert!((width - 12..=width).contains(&widest), "{width}: {widest}");
            for says in [
                "2026-03-03 09:40:29",
                "high",
                "Shadow",
                "SRV-FS02.corp.example",
                "vssadmin delete",
            ] {
                assert!(got.contains(says), "{width}: {says}");
            }
            let place = |line: &str| line.rsplit_once("record ").map(|(_, n)| n.parse::<u64>());
            let places = got.lines().filter_map(place).filter(Result::is_ok);
            let hits = std::fs::read_to_string(golden("hits.jsonl")).unwrap().lines().count();
            assert_eq!(places.count(), hits, "every hit says where it lies");
        }
    }
}

/// What a terminal of some width gets.
#[cfg(target_os = "linux")]
fn on_terminal(width: usize, color: &str) -> Option<String> {
    in_terminal(width, &format!("hunt fixtures/evidence -q --color {color}"))
}

/// What a terminal of some width gets of a call, standard error included; nothing if there is none.
#[cfg(target_os = "linux")]
pub fn in_terminal(width: usize, call: &str) -> Option<String> {
    let hunt = format!("'{}' {call}", env!("CARGO_BIN_EXE_harrier"));
    let output = Command::new("script")
        .args([
            "-q",
            "-e",
            "-c",
            &format!("stty cols {width} rows 50 -onlcr && {hunt}"),
            "/dev/null",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("NO_COLOR")
        .env("TERM", "xterm-256color")
        .stdin(std::process::Stdio::null())
        .output()
        .ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}
