//! What correlations and aggregations mean, as data: `tests/conformance/7-correlation.txt`.
//!
//! An indented block is what stands under `correlation:`; several of them, each under its name, are a
//! chain, and the last is the one that is asked about. `aggregation CONDITION` is a rule with that
//! condition over its section `sel`. `events` are times in seconds with fields; `finds` says what has
//! to come of them: `FIRST-LAST COUNT` of each finding, by the time of the first event.

use crate::conformance::event;
use forge::{FileTime, LogWriter, Options};
use harrier::engine::RuleSet;
use harrier::evidence::Walk;
use harrier::hunt::{Hunt, Output};
use harrier::ledger::Ledger;
use harrier::report::Format;
use harrier::sigma::{LoadOptions, LoadedRules, load_str};
use harrier::taxonomy::{self, Taxonomy};
use serde_json::Value as Json;
use std::fmt::Write as _;

const TEXT: &str = include_str!("conformance/7-correlation.txt");

/// The first tick of 2026-03-01.
const BEGIN: &str = "2026-03-01T00:00:00Z";
const SECOND: u64 = 10_000_000;

/// The rules that correlations speak of.
fn rules() -> String {
    let mut yaml = String::new();
    for name in ["a", "b", "c", "d"] {
        let head = format!("---\ntitle: {name}\nname: {name}\nlogsource: {{product: windows}}\n");
        writeln!(yaml, "{head}detection:\n  sel:\n    F: {name}\n  condition: sel").unwrap();
    }
    yaml + "---\ntitle: any\nname: any\nlogsource: {product: windows}\ndetection:\n  sel:\n    F: [a, b, c, d]\n  condition: sel\n"
}

/// The document of a block; the last of a chain is called `asked`.
fn documents(block: &[&str]) -> String {
    let mut yaml = String::new();
    let chained = block.iter().any(|line| !line.contains(':') && !line.contains(" | "));
    if let [aggregation] = block
        && let Some(condition) = aggregation.strip_prefix("aggregation ")
    {
        let head =
            "---\ntitle: asked\nlogsource: {product: windows}\ndetection:\n  sel:\n    F: a\n";
        return format!("{head}  timeframe: 10s\n  condition: '{condition}'\n");
    }
    let mut names = block.iter().filter(|line| !line.contains(':')).count();
    if !chained {
        yaml.push_str("---\ntitle: asked\ncorrelation:\n");
    }
    for line in block {
        if line.contains(':') {
            writeln!(yaml, "  {line}").unwrap();
        } else {
            names -= 1;
            let title = if names == 0 { "asked" } else { line };
            writeln!(yaml, "---\ntitle: {title}\nname: {line}\ncorrelation:").unwrap();
        }
    }
    yaml
}

fn load(block: &[&str]) -> LoadedRules {
    load_str("7-correlation.txt", &(rules() + &documents(block)), &LoadOptions::default())
}

/// A time in seconds, with up to seven digits behind the point, as ticks.
fn ticks(text: &str) -> u64 {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    whole.parse::<u64>().unwrap() * SECOND + format!("{part:0<7}").parse::<u64>().unwrap()
}

/// What is found among these events, and what was to be.
fn found(block: &[&str], events: &str) -> Vec<(u64, u64, u64)> {
    let begin = FileTime::literal(BEGIN).0;
    let mut log = LogWriter::in_memory(Options::new());
    for made in events.split(" | ").filter(|made| !made.is_empty()) {
        let (time, fields) = made.split_once(' ').expect("TIME FIELDS");
        let event = event(&fields.replace(';', " ; "));
        log.push(&event.at(FileTime(begin + ticks(time)))).unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("log.evtx"), log.into_bytes().unwrap()).unwrap();

    let loaded = load(block);
    assert!(loaded.refused.is_empty(), "{:#?}", loaded.refused);
    let taxonomy = Taxonomy::builtin(taxonomy::Options::default());
    let set = RuleSet::compile(loaded.rules, taxonomy).with_correlations(loaded.correlations);
    let run = |full_scan| {
        let mut out = Vec::new();
        let mut outputs = [Output { format: &Format::Jsonl, writer: &mut out }];
        let hunt = Hunt { full_scan, ..Hunt::new(&set) };
        let walk = Walk::new(&[folder.path().to_owned()]);
        hunt.run(walk, &mut outputs, &mut Ledger::new(None)).unwrap();
        out
    };
    let lines = run(false);
    assert_eq!(lines, run(true), "scan and full scan differ");
    let lines = String::from_utf8(lines).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    let asked = lines.filter(|line| line["rule"]["title"] == "asked");
    let time = |time: &Json| FileTime::literal(time.as_str().expect("a time")).0 - begin;
    asked
        .map(|line| {
            let told = &line["correlation"];
            (time(&told["first"]), time(&told["last"]), told["count"].as_u64().unwrap())
        })
        .collect()
}

#[test]
fn correlations() {
    let mut sentence = "";
    let mut block: Vec<&str> = Vec::new();
    let mut open = false;
    let mut events = "";
    let (mut cases, mut wrong) = (0, String::new());
    for (line, number) in TEXT.lines().zip(1..) {
        let was_open = std::mem::replace(&mut open, false);
        if let Some(heading) = line.strip_prefix("## ") {
            sentence = heading;
        } else if let Some(part) = line.strip_prefix("  ") {
            if !was_open {
                block.clear();
            }
            block.push(part);
            open = true;
        } else if let Some(made) = line.strip_prefix("events ") {
            events = made;
        } else if let Some(wanted) = line.strip_prefix("finds") {
            cases += 1;
            let got = found(&block, events);
            let wanted: Vec<&str> =
                wanted.split(';').map(str::trim).filter(|w| !w.is_empty()).collect();
            let equal = |(first, last, count): &(u64, u64, u64), wanted: &str| {
                let (span, number) = wanted.split_once(' ').unwrap();
                let (from, to) = span.split_once('-').unwrap();
                ticks(from) == *first
                    && ticks(to) == *last
                    && (number == "*" || number.parse() == Ok(*count))
            };
            if got.len() != wanted.len() || !got.iter().zip(&wanted).all(|(g, w)| equal(g, w)) {
                writeln!(wrong, "line {number}: {sentence}: {got:?}, not {wanted:?}").unwrap();
            }
        } else if let Some(refused) = line.strip_prefix("refused ") {
            cases += 1;
            let (words, document) = refused.split_once(" | ").unwrap();
            let block: Vec<&str> = document.split(" ; ").collect();
            match &load(&block).refused[..] {
                [refused] if refused.reason.contains(words.trim()) => {}
                other => writeln!(wrong, "line {number}: not refused so: {other:?}").unwrap(),
            }
        } else {
            assert!(line.is_empty() || line.starts_with('#'), "line {number}: {line:?}");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(cases >= 100, "{cases}");
}
