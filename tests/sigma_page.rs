//! What `docs/sigma.md` shows is what the engine does: every example on the page is run.
//!
//! An example is a block marked `yaml` with a rule, and below it a table of events (columns `event`
//! and `hit`) or a line `Not loaded: REASON`. Events are written to a log, read back by both lanes,
//! and scanned in both ways. A table with the columns `time`, `event` and `found` is about
//! correlations: the program hunts through the log, and `found` is the number of the finding that an
//! event is part of.

use crate::support::logs::{each_record, forged};
use crate::support::titles;
use forge::{Body, Event, FileTime, Provider, UserData};
use harrier::engine::RuleSet;
use harrier::evtx::{Options, Reader};
use harrier::sigma::{LoadOptions, load_str};
use harrier::taxonomy::{self, Taxonomy};
use serde_json::Value as Json;
use std::path::Path;

const PAGE: &str = "docs/sigma.md";

/// A line of a table: where on the page, the event, and whether it is a hit.
struct Row {
    line: usize,
    event: Event,
    hit: bool,
}

/// An example.
struct Example {
    line: usize,
    yaml: String,
    rows: Vec<Row>,
    refused: Option<String>,
    timed: Vec<Timed>,
}

/// A line of a table about correlations: the event, and the number of the finding it is part of.
struct Timed {
    event: Event,
    found: Option<usize>,
}

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    std::fs::read_to_string(path).unwrap().replace("\r\n", "\n")
}

/// The texts between backticks.
fn code(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// A text with its `{U+000A}` replaced.
fn unescaped(text: &str) -> String {
    let mut parts = text.split("{U+");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (hex, rest) = part.split_once('}').expect("{U+hex}");
        out.push(u32::from_str_radix(hex, 16).ok().and_then(char::from_u32).expect("a character"));
        out.push_str(rest);
    }
    out
}

/// An event as a cell has it: `Sysmon 1`, if it matters, and the fields.
fn event(cell: &str) -> Event {
    let kind = cell.split('`').next().unwrap_or_default().trim();
    let (log, id) = kind.rsplit_once(' ').unwrap_or(("", "1"));
    let (provider, channel) = match log {
        "" => ("Example", "Application"),
        "Sysmon" => ("Microsoft-Windows-Sysmon", "Microsoft-Windows-Sysmon/Operational"),
        "System" => ("Service Control Manager", "System"),
        // The log service writes its own events there.
        "Security" if id == "1102" => ("Microsoft-Windows-Eventlog", "Security"),
        "Security" => ("Microsoft-Windows-Security-Auditing", "Security"),
        other => panic!("no such log: {other}"),
    };
    let mut fields: Vec<(String, String)> = code(cell)
        .into_iter()
        .map(|field| field.split_once('=').unwrap_or_else(|| panic!("no field: {field}")))
        .map(|(name, value)| (name.to_owned(), unescaped(value)))
        .collect();
    assert!(!fields.is_empty(), "{cell}");
    let computer = fields.iter().position(|(name, _)| name == "Computer");
    let computer = computer.map_or("host.example".to_owned(), |place| fields.remove(place).1);
    let event = Event::new(Provider::classic(provider), id.parse().unwrap(), channel)
        .at(FileTime::literal("2026-03-01T00:00:00Z"))
        .on(computer);
    // Classic events have unnamed data.
    if fields.iter().all(|(name, _)| name == "Data") {
        return event.body(Body::classic(fields.into_iter().map(|(_, value)| value), None));
    }
    if id == "1102" {
        return event.body(Body::User(UserData::new("LogFileCleared", "urn:made", fields)));
    }
    event.data(fields)
}

/// The rule, with what the page leaves out; several documents are written in full.
fn completed(yaml: &str, line: usize) -> String {
    if yaml.contains("title:") {
        return yaml.to_owned();
    }
    let mut rule = format!("title: line {line}\n");
    if !yaml.contains("logsource:") {
        rule.push_str("logsource:\n  product: windows\n");
    }
    rule.push_str(yaml);
    if !yaml.contains("  condition:") {
        rule.push_str("  condition: selection\n");
    }
    rule
}

fn examples(page: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut lines = (1..).zip(page.lines());
    while let Some((line, text)) = lines.next() {
        if text == "```yaml" {
            let block = lines.by_ref().map(|(_, text)| text).take_while(|text| *text != "```");
            let yaml = block.fold(String::new(), |yaml, text| yaml + text + "\n");
            examples.push(Example {
                line,
                yaml,
                rows: Vec::new(),
                refused: None,
                timed: Vec::new(),
            });
        } else if let Some(reason) = text.strip_prefix("Not loaded: ") {
            let example = examples.last_mut().expect("a rule above it");
            assert!(example.refused.is_none() && example.rows.is_empty(), "line {line}");
            example.refused = Some(code(reason)[0].to_owned());
        } else if text == "| time | event | found |" {
            let example = examples.last_mut().expect("a rule above it");
            let (_, rule) = lines.next().unwrap();
            assert_eq!(rule, "|---|---|---|");
            let rows = lines.by_ref().take_while(|(_, text)| text.starts_with('|'));
            example.timed = rows.map(|(_, text)| timed(text)).collect();
        } else if text == "| event | hit |" {
            let example = examples.last_mut().expect("a rule above it");
            assert!(example.refused.is_none() && example.rows.is_empty(), "line {line}");
            let (_, rule) = lines.next().unwrap();
            assert_eq!(rule, "|---|---|");
            let rows = lines.by_ref().take_while(|(_, text)| text.starts_with('|'));
            example.rows = rows
                .map(|(line, text)| {
                    let cells = text.trim_matches('|').rsplit_once(" | ");
                    let (fields, hit) = cells.unwrap_or_else(|| panic!("line {line}: {text}"));
                    let hit = match hit.trim() {
                        "yes" => true,
                        "no" => false,
                        other => panic!("line {line}: neither yes nor no: {other}"),
                    };
                    Row { line, event: event(fields.trim()), hit }
                })
                .collect();
        }
    }
    examples
}

fn timed(row: &str) -> Timed {
    let cells: Vec<&str> = row.split('|').map(str::trim).collect();
    let [_, time, cell, found, _] = cells[..] else { panic!("{row}") };
    let time = FileTime::literal(&format!("2026-03-01T{time}Z"));
    let found = (!found.is_empty()).then(|| found.parse().unwrap());
    Timed { event: event(cell).at(time), found }
}

/// The number of the finding that each record of a log is part of, by what the program writes.
fn findings(yaml: &str, log: &[u8], records: usize) -> Vec<Option<usize>> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yml"), yaml).unwrap();
    std::fs::write(folder.path().join("a.evtx"), log).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_harrier"))
        .args(["hunt", "a.evtx", "-r", "rules.yml", "-q", "--format", "jsonl"])
        .args(["--sort", "time"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), errors.as_str()), (Some(0), ""), "{yaml}");
    let mut of_records = vec![None; records];
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str(line).unwrap());
    let found = lines.filter(|line: &Json| line["schema"] == "harrier.correlation/1");
    for (number, found) in (1..).zip(found) {
        for member in found["members"].as_array().unwrap() {
            let record = member["record_id"].as_u64().unwrap() as usize;
            assert_eq!(of_records[record - 1].replace(number), None, "part of two findings");
        }
    }
    of_records
}

#[test]
fn every_correlation_holds() {
    let page = page();
    let mut tables = 0;
    for example in examples(&page).iter().filter(|example| !example.timed.is_empty()) {
        let log = forged(example.timed.iter().map(|timed| &timed.event));
        let found = findings(&example.yaml, &log, example.timed.len());
        let shown: Vec<Option<usize>> = example.timed.iter().map(|timed| timed.found).collect();
        assert_eq!(found, shown, "{PAGE}: the example of line {}", example.line);
        tables += 1;
    }
    assert!(tables >= 4, "{tables}");
}

#[test]
fn every_example_holds() {
    let lists = [("admins".to_owned(), vec!["alice".to_owned(), "bob".to_owned()])];
    let load = LoadOptions { expand: lists.into(), ..LoadOptions::default() };
    let mut wrong = Vec::new();
    let (mut yes, mut no, mut refused) = (0, 0, 0);
    let examples = examples(&page());
    for example in examples.iter().filter(|example| example.timed.is_empty()) {
        let line = example.line;
        let loaded = load_str("page.yml", &completed(&example.yaml, line), &load);
        if let Some(reason) = &example.refused {
            refused += 1;
            match &loaded.refused[..] {
                [one] if one.reason.contains(reason.as_str()) => {}
                other => wrong.push(format!("line {line}: not refused so: {other:?}")),
            }
            continue;
        }
        assert!(loaded.refused.is_empty(), "line {line}: {:?}", loaded.refused);
        assert!(!example.rows.is_empty(), "line {line}: an example without events");
        let taxonomy = Taxonomy::builtin(taxonomy::Options::default());
        let set = RuleSet::compile_filtered(loaded.rules, loaded.filters, taxonomy);
        let log = forged(example.rows.iter().map(|row| &row.event));
        for slow_only in [false, true] {
            let options = Options { slow_only, ..Options::default() };
            let mut rows = example.rows.iter();
            each_record(&mut Reader::new(options), &log, |record| {
                let row = rows.next().expect("as many records as rows");
                if titles(&set, record).is_empty() == row.hit {
                    wrong.push(format!("line {}: it says {}", row.line, row.hit));
                }
            });
            assert!(rows.next().is_none(), "line {line}: a row without a record");
        }
        yes += example.rows.iter().filter(|row| row.hit).count();
        no += example.rows.iter().filter(|row| !row.hit).count();
    }
    assert!(wrong.is_empty(), "{PAGE}: {}", wrong.join("\n"));
    assert!(yes >= 50 && no >= 50 && refused >= 4, "{yes} {no} {refused}");
}

/// Headings that the page's own links name are there.
#[test]
fn its_links_lead_somewhere() {
    let page = page();
    let anchor = |line: &str| {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        heading.replace(' ', "-").replace([',', '`'], "")
    };
    let headings: Vec<String> =
        page.lines().filter(|line| line.starts_with('#')).map(anchor).collect();
    let link = regex::Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let mut links = 0;
    for found in link.captures_iter(&page) {
        let target = &found[1];
        links += 1;
        if let Some(heading) = target.strip_prefix('#') {
            assert!(headings.iter().any(|h| h == heading), "{target}");
        } else if !target.starts_with("https://") {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(target);
            assert!(path.exists(), "{target}");
        }
    }
    assert!(links >= 20, "{links}");
}
