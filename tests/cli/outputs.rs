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

    let table = bench.harrier(&words("hunt logs -r rules -q --format table"));
    for out in [run.out, table.out] {
        let text = String::from_utf8(out).unwrap();
        assert!(!text.chars().any(|c| c != '\n' && harrier::report::escape::is_unsafe(c)));
        assert!(text.lines().count() - want.len() <= 1);
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
}

/// A full disk is an error that names the file.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let bench = Bench::new();
    bench.log("logs/a.evtx", 3, 1);
    for args in ["hunt logs -r rules -q -o /dev/full", "hunt logs -r rules -q --ledger /dev/full"] {
        let run = bench.harrier(&words(args));
        assert_eq!(run.code, 2, "{args}: {}", run.err);
        assert!(run.err.contains("No space left"), "{args}: {}", run.err);
        assert_eq!(run.err.lines().count(), 1, "{args}: {}", run.err);
    }
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
