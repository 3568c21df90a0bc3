//! What is written, and where: hostile text, pipes that close, disks that are full.

use super::bench::{Bench, event, log};
use super::words;
use forge::Value;
use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

/// UTF-16LE.
fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Text that tries to be something else: lines, JSON, terminal commands, another reading order.
#[test]
fn hostile_text_stays_text() {
    let texts = [
        "quotes \" and \\ and '",
        "lines\r\nand\ttabs\x0b\x0c",
        "\x1b[2J\x1b]0;title\x07\x1b[31mred",
        "\u{9b}31m csi \u{90} dcs",
        "right \u{202e}exe.txt\u{202c} \u{2066}isolate\u{2069}",
        "\u{2028}\u{2029}\u{feff}\u{200b}\u{61c}",
        "{\"schema\":\"harrier.hit/1\"}\n{\"x\":1}",
        "日本語 ünïcödé 🦅 \u{10ffff}",
        "=cmd|'/c calc'!A1",
        "\u{7f}\u{1}\u{2}",
    ];
    let bench = Bench::new();
    let lone: Vec<u8> = [utf16("lone "), vec![0x00, 0xd8], utf16(" surrogate")].concat();
    let nul: Vec<u8> = utf16("before\0after");
    let mut events: Vec<_> =
        texts.iter().map(|text| event(1, r"C:\evil.exe", (*text).to_owned())).collect();
    events.push(event(1, r"C:\evil.exe", Value::Raw(1, lone)));
    events.push(event(1, r"C:\evil.exe", Value::Raw(1, nul)));
    events.push(event(1, r"C:\evil.exe", "x").on("\x1b[1mhost\n"));
    bench.file("logs/a.evtx", &log(events));

    let run = bench.harrier(&words("hunt logs -r rules -q"));
    assert_eq!(run.code, 0, "{}", run.err);
    let hits = run.hits();
    let mut want: Vec<&str> = texts.to_vec();
    want.extend(["lone \u{fffd} surrogate", "before", "x"]);
    let got: Vec<_> = hits.iter().map(|hit| hit["data"]["CommandLine"].as_str().unwrap()).collect();
    assert_eq!(got, want);
    assert_eq!(hits[12]["event"]["computer"], "\x1b[1mhost\n");
    for hit in &hits {
        assert_eq!(hit["data"]["ProcessId"], 1);
        assert_eq!(hit["data"]["LogonId"], "0x3e7");
        assert_eq!(hit["event"]["event_id"], 1);
        assert_eq!(hit["timestamp"], "2026-03-01T10:00:00.1234567Z");
    }

    for (format, lines) in [
        ("jsonl", 0),
        ("timesketch", 0),
        ("ecs", 0),
        ("table --wide", 1),
        ("csv --columns data.CommandLine,Computer,Details", 1),
        ("markdown", 2),
    ] {
        let args = format!("hunt logs -r rules -q --format {format}");
        let text = String::from_utf8(bench.harrier(&words(&args)).out).unwrap();
        assert!(!text.chars().any(|c| c != '\n' && harrier::report::escape::is_unsafe(c)));
        assert_eq!(text.lines().count(), want.len() + lines, "{format}");
        match format.split(' ').next() {
            Some("jsonl" | "table" | "markdown") => {}
            Some("csv") => {
                let mut reader = csv::Reader::from_reader(text.as_bytes());
                for (row, want) in reader.records().zip(&want) {
                    // As it is, but for what is shown by its number, and one formula.
                    let shown = harrier::report::escape::lined(want);
                    let shown = if want.starts_with('=') { format!("'{shown}") } else { shown };
                    assert_eq!(row.unwrap()[0], shown);
                }
            }
            format => {
                for (line, want) in text.lines().zip(&want) {
                    let json: serde_json::Value = serde_json::from_str(line).unwrap();
                    let field = match format {
                        Some("ecs") => &json["winlog"]["event_data"]["CommandLine"],
                        _ => &json["CommandLine"],
                    };
                    assert_eq!(field, want);
                }
            }
        }
    }
}

/// Colour only where it is asked for: neither pipe nor file gets escape sequences.
#[test]
fn colour_is_for_terminals() {
    let bench = Bench::new();
    bench.log("logs/a.evtx", 1, 1);
    for (options, no_color, coloured) in [
        ("", None, false),
        ("--color never", None, false),
        ("--color always", None, true),
        ("--color always", Some("1"), true),
        ("--color auto", Some("1"), false),
    ] {
        let args = words(&format!("hunt logs -r rules -q --format table {options}"));
        let mut command = bench.command(&args);
        no_color.map(|value| command.env("NO_COLOR", value));
        let run = super::bench::run(&mut command);
        assert_eq!(run.out.contains(&0x1b), coloured, "{options} {no_color:?}");
    }
}

/// `harrier … | head -1`: the reader goes, and that is a quiet end.
#[test]
fn a_broken_pipe_is_a_quiet_end() {
    let bench = Bench::new();
    let events = (0..4000).map(|n| event(n, r"C:\evil.exe", "x".repeat(500)));
    bench.file("logs/a.evtx", &log(events));
    for threads in ["1", "4"] {
        let mut child = bench
            .command(&["hunt", "logs", "-r", "rules", "--threads", threads])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::with_capacity(64, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("{\"schema\":"));
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), err.as_str()), (Some(0), ""));
    }
    // A file beside it gets everything all the same; a ledger of half a hunt is called that.
    let whole = bench.harrier(&words("hunt logs -r rules -q"));
    let head = |args: &str| {
        let mut child = bench.command(&words(args));
        let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(head("hunt logs -r rules -q -o - -o all.jsonl"), (Some(0), String::new()));
    assert_eq!(std::fs::read(bench.path("all.jsonl")).unwrap(), whole.out);
    let (code, err) = head("hunt logs -r rules -q --ledger l.json");
    assert_eq!((code, err.lines().count()), (Some(0), 1), "{err}");
    assert!(err.contains("warning: the reader of the hits went away: incomplete: "), "{err}");
    assert!(bench.path("l.json.partial").exists() && !bench.path("l.json").exists());
    assert_eq!(head("hunt logs -r rules -q -o x.csv --ledger -"), (Some(0), String::new()));
    assert!(bench.path("x.csv").exists());
}

/// A full disk is an error that names the file, and what else is incomplete then.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let bench = Bench::new();
    bench.log("logs/a.evtx", 3, 1);
    for format in ["table", "csv", "jsonl", "timesketch", "ecs", "markdown"] {
        let args = format!("hunt logs -r rules -q -o {format}:/dev/full -o csv:rest");
        let run = bench.harrier(&words(&args));
        let want = "harrier: error: /dev/full: cannot be written: No space left on device (os error \
                    28): hits are missing: incomplete: ";
        assert_eq!((run.code, run.err.lines().count()), (2, 1), "{args}: {}", run.err);
        assert!(run.err.starts_with(want), "{args}: {}", run.err);
        assert!(run.err.ends_with("rest.partial\n"), "{args}: {}", run.err);
        assert!(!bench.path("rest").exists() && bench.path("rest.partial").exists());
    }
    let run = bench.harrier(&words("hunt logs -r rules -q --ledger /dev/full"));
    assert_eq!((run.code, run.err.lines().count()), (2, 1), "{}", run.err);
    assert!(run.err.contains("/dev/full: the ledger cannot be written: No space"), "{}", run.err);
    let mut full = bench.command(&words("hunt logs -r rules -q --ledger ledger.json"));
    full.stdout(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let output = full.stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), err.lines().count()), (Some(2), 1), "{err}");
    assert!(err.contains("standard output: cannot be written: No space"), "{err}");
    assert!(!bench.path("ledger.json").exists());
}

/// A file gets its name when it is complete; until then an earlier one stays.
#[test]
fn a_file_is_complete_or_called_partial() {
    let bench = Bench::new();
    bench.log("logs/a.evtx", 3, 1);
    std::fs::create_dir(bench.path("void")).unwrap();
    bench.file("hits.csv", b"earlier");
    bench.file("hits.csv.partial", b"from a run that was killed");
    let run = bench.harrier(&words("hunt logs -r rules -q -o hits.csv --ledger l.json"));
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert!(std::fs::read(bench.path("hits.csv")).unwrap().starts_with(b"TimeUTC,"));
    assert!(!bench.path("hits.csv.partial").exists() && bench.path("l.json").exists());

    // Nothing was hunted: nothing is left behind, nothing replaced.
    bench.file("hits.csv", b"earlier");
    for args in [
        "hunt void -r rules -o hits.csv -o new.md",
        "hunt logs -r rules -o hits.csv -o void/not/there.csv",
        "hunt logs -r rules -o hits.csv --ledger void",
        "hunt logs -r nowhere -o hits.csv",
    ] {
        let run = bench.harrier(&words(args));
        assert_eq!((run.code, run.err.lines().count()), (2, 1), "{args}: {}", run.err);
        assert_eq!(std::fs::read(bench.path("hits.csv")).unwrap(), b"earlier", "{args}");
        assert!(!bench.path("new.md").exists() && !bench.path("hits.csv.partial").exists());
    }
}

/// What may not be written is known before the hunt.
#[cfg(unix)]
#[test]
fn a_read_only_target_is_an_error() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::new();
    bench.log("logs/a.evtx", 3, 1);
    bench.file("closed/hits.csv", b"earlier");
    let mode = |path: &str, mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(bench.path(path), mode).unwrap();
    };
    mode("closed/hits.csv", 0o444);
    mode("closed", 0o555);
    // Who may write anywhere finds out by what nobody may write.
    let allowed = std::fs::File::create(bench.path("closed/new")).is_ok();
    let targets: &[&str] = match allowed {
        true => &["csv:/proc/version", "csv:/proc/new"],
        false => &["closed/hits.csv", "closed/new.csv"],
    };
    for target in targets {
        if allowed && !std::path::Path::new("/proc/version").exists() {
            crate::support::skipped(
                "a_read_only_target_is_an_error",
                "this user may write anywhere",
            );
            continue;
        }
        for args in [format!("-o {target}"), format!("--ledger {target}")] {
            let args = args.replace("--ledger csv:", "--ledger ");
            let run = bench.harrier(&words(&format!("hunt logs -r rules {args}")));
            assert_eq!((run.code, run.err.lines().count()), (2, 1), "{args}: {}", run.err);
            assert!(run.err.contains(": cannot be written: "), "{args}: {}", run.err);
            assert!(run.out.is_empty());
        }
    }
    mode("closed", 0o755);
    assert_eq!(std::fs::read(bench.path("closed/hits.csv")).unwrap(), b"earlier");
}

/// A link to a file stays one, and what it leads to is replaced.
#[cfg(unix)]
#[test]
fn a_link_stays_a_link() {
    use std::os::unix::fs::symlink;
    let bench = Bench::new();
    bench.log("logs/a.evtx", 3, 1);
    bench.file("there/hits.csv", b"earlier");
    bench.file("precious", b"precious");
    symlink(bench.path("there/hits.csv"), bench.path("link.csv")).unwrap();
    // Somebody else's trap: what is written first must not follow it.
    symlink(bench.path("precious"), bench.path("there/hits.csv.partial")).unwrap();
    let run = bench.harrier(&words("hunt logs -r rules -q -o link.csv"));
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    assert!(bench.path("link.csv").is_symlink());
    assert_eq!(std::fs::read_to_string(bench.path("there/hits.csv")).unwrap().lines().count(), 4);
    assert_eq!(std::fs::read(bench.path("precious")).unwrap(), b"precious");
    // A link into evidence is evidence.
    symlink(bench.path("logs"), bench.path("alias")).unwrap();
    let run = bench.harrier(&words("hunt logs -r rules -q -o alias/hits.csv"));
    assert_eq!(run.code, 2, "{}", run.err);
    assert!(run.err.contains("would lie in the evidence"), "{}", run.err);
}

/// Several outputs at once, each what it is alone; the name tells the format.
#[test]
fn several_outputs_are_written_at_once() {
    let bench = Bench::new();
    bench.log("logs/a.evtx", 5, 5);
    let all = "-o a.csv -o b.jsonl -o c.md -o d.txt -o e.timesketch.jsonl -o f.ECS.ndjson -o ecs:g.x \
               -o h -o csv:i.jsonl";
    let run = bench.harrier(&words(&format!("hunt logs -r rules -q {all} -o - --ledger l")));
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    for (file, format) in [
        ("a.csv", "csv"),
        ("b.jsonl", "jsonl"),
        ("c.md", "markdown"),
        ("d.txt", "table"),
        ("e.timesketch.jsonl", "timesketch"),
        ("f.ECS.ndjson", "ecs"),
        ("g.x", "ecs"),
        ("h", "jsonl"),
        ("i.jsonl", "csv"),
    ] {
        let alone = bench.harrier(&words(&format!("hunt logs -r rules -q --format {format}")));
        let got = std::fs::read(bench.path(file)).unwrap();
        assert!(!got.is_empty() && got == alone.out, "{file}");
    }
    assert_eq!(run.out, std::fs::read(bench.path("b.jsonl")).unwrap());
    // With --format standard output gets another.
    let run = bench.harrier(&words("hunt logs -r rules -q -o - -o z.jsonl --format csv"));
    assert_eq!(run.out, std::fs::read(bench.path("a.csv")).unwrap());
    // One output: --format outweighs its name.
    bench.harrier(&words("hunt logs -r rules -q -o y.md --format csv"));
    assert_eq!(run.out, std::fs::read(bench.path("y.md")).unwrap());
    let run = bench.harrier(&words("hunt logs -r rules -q -o w.csv --ledger -"));
    assert_eq!(run.out, std::fs::read(bench.path("l")).unwrap());
    assert!(!bench.path("-").exists());
}

/// `-o` writes what standard output would have got.
#[test]
fn a_file_gets_what_a_pipe_gets() {
    let bench = Bench::new();
    bench.log("logs/a.evtx", 5, 5);
    let piped = bench.harrier(&words("hunt logs -r rules -q"));
    let filed = bench.harrier(&words("hunt logs -r rules -q -o hits.jsonl"));
    assert_eq!((filed.code, filed.out.len()), (0, 0));
    assert_eq!(std::fs::read(bench.path("hits.jsonl")).unwrap(), piped.out);
    assert_eq!(piped.hits().len(), 5);
    // A second run replaces the first one's file.
    bench.harrier(&words("hunt logs/a.evtx -r rules -q -o hits.jsonl"));
    assert_eq!(std::fs::read_to_string(bench.path("hits.jsonl")).unwrap().lines().count(), 5);
}
