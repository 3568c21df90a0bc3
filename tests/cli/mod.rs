//! The program as its users call it: exit codes, what it says, what it writes, what it leaves alone.

mod bench;
mod carve;
mod checker;
mod containers;
mod copies;
mod correlations;
mod custody;
mod damaged;
mod dump;
mod evidence;
mod filters;
mod hunts;
mod images;
mod inventory;
mod layouts;
mod outputs;
mod regression;
mod rule_filters;
mod rules;
mod surface;
mod timeline;
mod unsupported;
mod untouched;

use bench::{Bench, EVIL};

/// A call, the exit code it gives, and what its standard error says.
type Row = (&'static str, Vec<String>, i32, &'static str);

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Every way to fail that a user meets: one line, which says what to do.
#[test]
fn failures_have_a_code_and_one_line() {
    let bench = Bench::new();
    bench.log("logs/good.evtx", 3, 1);
    bench.log("quiet/good.evtx", 0, 3);
    bench.file("logs/notes.txt", b"hello");
    bench.file("empty/none.txt", b"hello");
    bench.file("bad/empty.evtx", b"");
    bench.file("bad2/text.evtx", b"this is no event log");
    bench.file("bad3/short.evtx", b"ElfFile\0\0\0");
    bench.file("norules/readme.txt", b"x");
    bench.file("broken/a.yml", b"title: [x\n");
    bench.file("mixed/broken.yml", b"title: broken\nlogsource: {product: windows}\n");
    bench.file("mixed/evil.yml", EVIL.as_bytes());
    bench.file("words.txt", b"a\nb\n");
    bench.file("packed/case.zip", b"PK\x03\x04 and more");
    bench.file("typo/typo.yml", EVIL.replace("process_creation", "process_creatoin").as_bytes());
    bench.file("typo/evil.yml", EVIL.as_bytes());
    let mut harmed = std::fs::read(bench.path("logs/good.evtx")).unwrap();
    // The chunk's checksum over its records.
    harmed[0x1000 + 0x34] ^= 0xFF;
    bench.file("harmed/good.evtx", &harmed);
    std::fs::create_dir(bench.path("void")).unwrap();
    let rows: Vec<Row> = vec![
        ("hits", words("hunt logs -r rules -q"), 0, ""),
        ("no hits", words("hunt quiet -r rules -q"), 0, ""),
        ("a named log", words("hunt logs/good.evtx -r rules -q"), 0, ""),
        ("no command", words(""), 2, "Usage: harrier <COMMAND>"),
        ("no evidence", words("hunt"), 2, "no evidence was named: give"),
        (
            "missing path",
            words("hunt nowhere -r rules"),
            2,
            "nowhere: no such file or folder: check",
        ),
        ("one path missing", words("hunt logs nowhere -r rules"), 2, "nowhere: no such file"),
        ("below a file", words("hunt logs/good.evtx/x -r rules"), 2, "part of the path is a file"),
        ("an empty list", words("hunt - -r rules"), 2, "there are no paths on the list"),
        ("empty folder", words("hunt void -r rules"), 2, "void: no event logs there: check"),
        ("folder without logs", words("hunt empty -r rules"), 2, "empty: no event logs there"),
        ("empty file", words("hunt bad -r rules -q"), 1, "empty.evtx: the file is empty: collect"),
        ("not a log", words("hunt bad2 -r rules -q"), 1, "text.evtx: this is no EVTX file"),
        (
            "not a log, named",
            words("hunt logs/notes.txt -r rules -q"),
            1,
            "notes.txt: this is no EVTX",
        ),
        (
            "cut in its header",
            words("hunt bad3 -r rules -q"),
            1,
            "short.evtx: the file ends within",
        ),
        ("a device", words("hunt /dev/null -r rules -q"), 1, "/dev/null: not a regular file: name"),
        ("rules missing", words("hunt logs -r nowhere"), 2, "rules: nowhere: "),
        ("no rules", words("hunt logs -r norules"), 2, "there are no rules: name Sigma rules"),
        ("a bad rule alone", words("hunt logs -r broken"), 2, "broken/a.yml:2:1: rule not loaded"),
        ("a bad rule alone, sum", words("hunt logs -r broken"), 2, "no rules left: 1 not loaded"),
        ("a bad rule", words("hunt logs -r mixed -q"), 1, "mixed/broken.yml:1:1: rule not"),
        ("none of that level", words("hunt logs -r rules --min-level critical"), 2, "1 left out"),
        ("bad option", words("hunt logs --frobnicate"), 2, "unexpected argument '--frobnicate'"),
        ("bad level", words("hunt logs --min-level loud"), 2, "[possible values: informational"),
        ("no threads", words("hunt logs --threads 0"), 2, "give a number from 1 to"),
        ("many threads", words("hunt logs --threads 100000"), 2, "give a number from 1 to"),
        ("bad expansion", words("hunt logs --expand words.txt"), 2, "give NAME=FILE"),
        ("no expansion", words("hunt logs --expand a=nowhere"), 2, "--expand a=nowhere: cannot be"),
        ("quiet and verbose", words("hunt logs -q -v"), 2, "cannot be used with"),
        (
            "output not there",
            words("hunt logs -r rules -o no/where.csv"),
            2,
            "no/where.csv: cannot be written",
        ),
        ("output a folder", words("hunt logs -r rules -o csv:void"), 2, "void: cannot be written"),
        (
            "an unknown ending",
            words("hunt logs -r rules -o hits.xml"),
            2,
            "hits.xml: no format is known by the ending .xml: end it in .csv, .jsonl, .md or .txt",
        ),
        (
            "one file twice",
            words("hunt logs -r rules -o x.csv -o jsonl:./void/../x.csv"),
            2,
            "./void/../x.csv: is named for hits twice",
        ),
        (
            "standard output twice",
            words("hunt logs -r rules -o csv:- -o -"),
            2,
            "standard output: is named for hits twice",
        ),
        (
            "hits and ledger to standard output",
            words("hunt logs -r rules --ledger -"),
            2,
            "standard output: is named for hits and ledger both",
        ),
        (
            "a format for several",
            words("hunt logs -r rules -o a.csv -o b.md --format ecs"),
            2,
            "--format: is for one output, and here are several",
        ),
        (
            "columns of JSON",
            words("hunt logs -r rules --columns Time"),
            2,
            "--columns: only table, csv and markdown have columns",
        ),
        (
            "no column",
            words("hunt logs -r rules --format csv --columns Time,,Rule"),
            2,
            "--columns: a column has no name",
        ),
        ("wide JSON", words("hunt logs -r rules --wide"), 2, "--wide: is for tables"),
        (
            "new in evidence",
            words("hunt logs -r rules -o logs/hits.csv"),
            2,
            "logs/hits.csv: would lie in the evidence (logs): name a place outside of it",
        ),
        (
            "new in evidence, second",
            words("hunt logs -r rules -o hits.csv -o logs/../logs/hits.md"),
            2,
            "would lie in the evidence (logs)",
        ),
        (
            "new in evidence, ledger",
            words("hunt logs -r rules -q --ledger logs/ledger.json"),
            2,
            "logs/ledger.json: would lie in the evidence",
        ),
        (
            "evidence all around",
            words("hunt . -r rules -o hits.csv"),
            2,
            "hits.csv: would lie in the evidence (.)",
        ),
        (
            "ledger not there",
            words("hunt logs -r rules --ledger no/where"),
            2,
            "no/where: cannot be",
        ),
        (
            "one file for two",
            words("hunt logs -r rules -o x.csv --ledger x.csv"),
            2,
            "x.csv: is named for hits and",
        ),
        (
            "over evidence",
            words("hunt logs -r rules -o logs/good.evtx"),
            2,
            "is part of the evidence",
        ),
        (
            "over evidence, other",
            words("hunt logs -r rules -o logs/notes.txt"),
            2,
            "is part of the evid",
        ),
        (
            "ledger over evidence",
            words("hunt logs -r rules --ledger logs/notes.txt"),
            2,
            "is part of",
        ),
        (
            "over another log",
            words("hunt empty -r rules -o logs/good.evtx"),
            2,
            "is an event log and",
        ),
        ("found", words("hunt logs -r rules -q --fail-on low"), 3, ""),
        ("found just so", words("hunt logs -r rules -q --fail-on medium"), 3, ""),
        ("not found", words("hunt logs -r rules -q --fail-on high"), 0, ""),
        (
            "found and damaged",
            words("hunt logs bad -r rules -q --fail-on low"),
            3,
            "the file is empty",
        ),
        (
            "an archive in a folder",
            words("hunt packed -r rules -q"),
            1,
            "case.zip: its directory cannot be read: it is cut off or damaged",
        ),
        (
            "an archive, named",
            words("hunt packed/case.zip -r rules -q"),
            1,
            "its directory cannot be read",
        ),
        (
            "an unknown log source",
            words("hunt logs -r typo"),
            0,
            "warning: typo/typo.yml:1:1: no event log is known for log source windows/process_creatoin/*",
        ),
        (
            "a wrong checksum",
            words("hunt harmed -r rules"),
            0,
            "Irregular  1 chunk read, but not as written",
        ),
        ("no tests", words("rules test -r rules"), 2, "no rule names tests"),
        ("tests without rules", words("rules test"), 2, "--rules <RULES>"),
        ("help", words("--help"), 0, ""),
        ("help on hunting", words("hunt --help"), 0, ""),
        ("version", words("--version"), 0, ""),
    ];
    for (name, args, code, says) in rows {
        let run = bench.harrier(&args);
        assert_eq!(run.code, code, "{name}: {}", run.err);
        assert!(run.err.contains(says), "{name}: {}", run.err);
        let errors = run.err.lines().filter(|line| line.starts_with("harrier: error: ")).count();
        if (code == 1 || code == 2) && name != "no command" {
            assert!(errors >= 1, "{name}: {}", run.err);
        } else if says.is_empty() {
            assert_eq!(run.err, "", "{name}");
        }
    }
}

/// No permission is told of, and the rest is hunted through.
#[cfg(unix)]
#[test]
fn what_may_not_be_read_is_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::new();
    bench.log("logs/a.evtx", 2, 1);
    bench.log("logs/closed.evtx", 2, 1);
    bench.log("logs/closed/b.evtx", 2, 1);
    let close = |path: &str, mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(bench.path(path), mode).unwrap();
    };
    close("logs/closed.evtx", 0o000);
    close("logs/closed", 0o000);
    if std::fs::File::open(bench.path("logs/closed.evtx")).is_ok() {
        crate::support::skipped("what_may_not_be_read_is_told", "this user may read everything");
        close("logs/closed", 0o755);
        return;
    }
    let run = bench.harrier(&words("hunt logs -r rules -q"));
    close("logs/closed", 0o755);
    assert_eq!(run.code, 1, "{}", run.err);
    assert_eq!(run.err.matches("Permission denied").count(), 2, "{}", run.err);
    assert_eq!(run.hits().len(), 2);
}

/// The summary is on standard error, hits alone on standard output.
#[test]
fn the_summary_tells_what_was_looked_at() {
    let bench = Bench::new();
    bench.log("logs/good.evtx", 3, 1);
    bench.file("logs/notes.txt", b"hello");
    bench.file("logs/empty.evtx", b"");
    let run = bench.harrier(&words("hunt logs -r rules"));
    for line in [
        "harrier: error: logs/empty.evtx: the file is empty: collect it again",
        "Hits       3 on 3 records (3 medium)",
        "Rules      1 evaluated, 1 hit",
        "Logs       1 read, 1 empty, 1 other files",
        "Records    4 read",
        "Top rules          3  medium         Evil Started",
    ] {
        assert!(run.err.contains(line), "{line}\n{}", run.err);
    }
    assert_eq!((run.code, run.hits().len()), (1, 3));
    let verbose = bench.harrier(&words("hunt logs -r rules -v --min-level low"));
    assert!(verbose.err.contains("Chunks     1 read"), "{}", verbose.err);
}
