//! Hits by time, in groups, with what is around them: against what one would make of a plain hunt.

use super::bench::{Bench, EVIL, event, log};
use super::words;
use forge::{Event, FileTime};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A rule that hits every event.
const EVERYTHING: &str = "title: Everything
id: eeeeeeee-2222-3333-4444-555555555555
status: test
level: informational
logsource:
    product: windows
detection:
    selection:
        EventID|exists: true
    condition: selection
";

/// Several logs of several hosts in which time runs in all directions: equal times, events without
/// one, one large log that is cut into items, and names of hosts in different case.
fn evidence() -> Bench {
    let bench = Bench::new();
    let made = |n: u64, log: u64, filler: &str| -> Event {
        let image = if n.is_multiple_of(3) { r"C:\evil.exe" } else { r"C:\good.exe" };
        let line = format!("{} {filler}", n % 11);
        let mut event = event(u32::try_from(n).unwrap(), image, line);
        // A permutation of seconds, each of them thrice.
        let second = (n * 7919 + log * 31) % 1500 / 3;
        event.time = match n % 97 {
            5 => FileTime(u64::MAX),
            _ => FileTime::literal("2026-03-01T10:00:00.1234567Z").plus_seconds(second),
        };
        let host = if n.is_multiple_of(2) { "WS-01" } else { "ws-01" };
        event.on(if n.is_multiple_of(5) { format!("SRV-{log}") } else { host.to_owned() })
    };
    let filler = "x".repeat(900);
    bench.file("logs/a/large.evtx", &log((0..4000).map(|n| made(n, 0, &filler))));
    for l in 1..6 {
        bench.file(&format!("logs/b/{l}.evtx"), &log((0..100).map(|n| made(n * 13 % 100, l, ""))));
    }
    bench.file("rules2/everything.yml", EVERYTHING.as_bytes());
    bench
}

/// Calls the program; it must read all there is. Gives the lines.
fn hunt(bench: &Bench, args: &str, more: &[PathBuf]) -> Vec<String> {
    let mut all: Vec<OsString> = words("hunt -q").into_iter().map(OsString::from).collect();
    all.extend(args.split_whitespace().map(OsString::from));
    all.extend(more.iter().map(OsString::from));
    let run = bench.harrier(&all);
    assert!(run.code == 0 || run.code == 1, "{args}: {}", run.err);
    String::from_utf8(run.out).unwrap().lines().map(str::to_owned).collect()
}

fn parsed(lines: &[String]) -> Vec<Value> {
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Of events without a time none is earlier.
fn time(hit: &Value) -> String {
    let time = hit["timestamp"].as_str().filter(|time| !time.starts_with("0000"));
    time.unwrap_or("9999").to_owned()
}

/// In which order hits come by their times.
fn order(hits: &[Value]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..hits.len()).collect();
    order.sort_by_key(|n| time(&hits[*n]));
    order
}

/// How the hunts are run that must all give the same.
const WAYS: [&str; 5] = [
    "--threads 1",
    "--threads 2 --sort-memory 5000",
    "--threads 8 --sort-memory 5000",
    "--threads 8",
    "--threads 2 --sort-memory 0",
];

#[test]
fn sorted_hits_are_the_plain_ones_sorted_in_every_format() {
    let bench = evidence();
    for format in ["jsonl", "csv", "table --wide", "markdown", "timesketch", "ecs"] {
        // Of those that have names above the columns.
        let header = match format {
            "csv" | "table --wide" => 1,
            "markdown" => 2,
            _ => 0,
        };
        let hits = parsed(&hunt(&bench, "logs -r rules --format jsonl", &[]));
        assert!(hits.len() > 1000 && order(&hits) != (0..hits.len()).collect::<Vec<_>>());
        let plain = hunt(&bench, &format!("logs -r rules --format {format}"), &[]);
        assert_eq!(plain.len(), hits.len() + header, "{format}");
        let (above, lines) = plain.split_at(header);
        let sorted = order(&hits).into_iter().map(|n| &lines[n]);
        let want: Vec<&String> = above.iter().chain(sorted).collect();
        // Each hit as a run of its own takes its time: once is enough.
        let ways = if format == "jsonl" { &WAYS[..] } else { &WAYS[1..4] };
        for way in ways {
            let args = format!("logs -r rules --sort time --format {format} {way}");
            assert!(hunt(&bench, &args, &[]).iter().eq(want.iter().copied()), "{args}");
        }
    }
}

/// Several outputs get the same order.
#[test]
fn all_outputs_are_sorted() {
    let bench = evidence();
    let args = "hunt logs -r rules -q --sort time --sort-memory 5000 -o a.csv -o b.jsonl";
    let run = bench.harrier(&words(args));
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let read = |name: &str| std::fs::read_to_string(bench.path(name)).unwrap();
    let ids = |text: String, id: &dyn Fn(&str) -> String| -> Vec<String> {
        text.lines().map(id).collect()
    };
    let of_json = ids(read("b.jsonl"), &|line| {
        let hit: Value = serde_json::from_str(line).unwrap();
        hit["data"]["ProcessId"].to_string()
    });
    let of_csv = ids(read("a.csv"), &|line| {
        let at = line.find("ProcessId=").map_or(line.len(), |at| at + "ProcessId=".len());
        line[at..].chars().take_while(char::is_ascii_digit).collect()
    });
    assert!(of_json.len() > 1000);
    assert_eq!(of_csv[1..], of_json);
}

/// What groups there are, made of hits.
fn groups(hits: &[Value]) -> Vec<Value> {
    let mut groups: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for n in order(hits) {
        let hit = &hits[n];
        let key = json!([hit["rule"], hit["event"]["computer"], hit["matched"]]);
        groups.entry(key.to_string()).or_default().push(hit);
    }
    let timestamp = |hit: &Value| match time(hit).as_str() {
        "9999" => Value::Null,
        _ => hit["timestamp"].clone(),
    };
    let mut groups: Vec<(usize, Value)> = groups
        .into_values()
        .map(|group| {
            let last = group.iter().map(|hit| timestamp(hit)).filter(|time| !time.is_null());
            let line = json!({
                "schema": "harrier.group/1",
                "first": timestamp(group[0]),
                "last": last.max_by_key(Value::to_string),
                "count": group.len(),
                "rule": group[0]["rule"],
                "computer": group[0]["event"]["computer"],
                "matched": group[0]["matched"],
            });
            let first = order(hits).into_iter().position(|n| std::ptr::eq(&hits[n], group[0]));
            (first.unwrap(), line)
        })
        .collect();
    groups.sort_by_key(|(first, _)| *first);
    groups.into_iter().map(|(_, line)| line).collect()
}

/// A rule whose matched values repeat.
fn repeating() -> String {
    EVIL.replace(
        r"        Image|endswith: '\evil.exe'",
        "        Image|endswith: '\\evil.exe'\n        CommandLine|contains: ' '",
    )
}

#[test]
fn groups_are_what_hits_add_up_to() {
    let bench = evidence();
    bench.file("rules/evil.yml", repeating().as_bytes());
    let hits = parsed(&hunt(&bench, "logs -r rules -r rules2 --format jsonl", &[]));
    let want = groups(&hits);
    assert!(want.len() > 20 && want.len() < hits.len() / 10, "{}", want.len());
    for way in WAYS {
        let args = format!("logs -r rules -r rules2 --group --format jsonl {way}");
        assert_eq!(parsed(&hunt(&bench, &args, &[])), want, "{args}");
        let table =
            hunt(&bench, &format!("logs -r rules -r rules2 --group --format csv {way}"), &[]);
        assert_eq!(table.len(), want.len() + 1, "{way}");
        assert_eq!(table[0], "Count,FirstUTC,LastUTC,Level,Rule,Computer,Matched");
        for (line, group) in table[1..].iter().zip(&want) {
            let shown = |time: &Value| {
                time.as_str().unwrap_or("").replace('T', " ").trim_end_matches('Z').to_owned()
            };
            let begin = format!(
                "{},{},{},{},{},",
                group["count"],
                shown(&group["first"]),
                shown(&group["last"]),
                group["rule"]["level"].as_str().unwrap(),
                group["rule"]["title"].as_str().unwrap(),
            );
            assert!(line.starts_with(&begin), "{line}\n{begin}");
        }
    }
    for format in ["table", "table --wide", "markdown"] {
        let lines = hunt(&bench, &format!("logs -r rules --group --format {format}"), &[]);
        assert!(lines[0].to_uppercase().contains("FIRST (UTC)"), "{}", lines[0]);
    }
}

/// What stands around hits, made of a hunt for everything: hits and context in the order of the
/// evidence, as JSON.
fn with_context(all: &[Value], hits: &[Value], reach: i64) -> Vec<Value> {
    let place = |hit: &Value| {
        let evidence = &hit["evidence"];
        (evidence["path"].to_string(), evidence["offset"].as_u64().unwrap())
    };
    let at = |hit: &Value| {
        let time: jiff::Timestamp = hit["timestamp"].as_str()?.parse().ok()?;
        Some((hit["event"]["computer"].as_str().unwrap_or("").to_lowercase(), time.as_nanosecond()))
    };
    let mut of_record: BTreeMap<_, Vec<&Value>> = BTreeMap::new();
    hits.iter().for_each(|hit| of_record.entry(place(hit)).or_default().push(hit));
    let around: BTreeSet<(String, i128)> = hits.iter().filter_map(at).collect();
    let reach = i128::from(reach) * 1_000_000_000;
    let mut lines = Vec::new();
    for event in all {
        if let Some(hits) = of_record.get(&place(event)) {
            lines.extend(hits.iter().map(|hit| (*hit).clone()));
            continue;
        }
        let Some((host, time)) = at(event) else { continue };
        let span = (host.clone(), time - reach)..=(host, time + reach);
        if around.range(span).next().is_some() {
            lines.push(json!({
                "schema": "harrier.context/1",
                "timestamp": event["timestamp"],
                "context": true,
                "event": event["event"],
                "evidence": event["evidence"],
                "data": event["data"],
            }));
        }
    }
    lines
}

/// Compares for some reaches, and says how many lines of context there were in all.
fn compare_context(bench: &Bench, evidence: &[PathBuf], rules: &str, reaches: &[i64]) -> usize {
    let all = parsed(&hunt(bench, "-r rules2 --format jsonl", evidence));
    let hits = parsed(&hunt(bench, &format!("{rules} --format jsonl"), evidence));
    let mut context = 0;
    for reach in reaches {
        let want = with_context(&all, &hits, *reach);
        context += want.len() - hits.len();
        for way in &WAYS[..4] {
            let args = format!("{rules} --format jsonl --context {reach} {way} --ledger l");
            let got = parsed(&hunt(bench, &args, evidence));
            assert!(got == want, "{args}: {} lines, not {}", got.len(), want.len());
            let ledger: Value =
                serde_json::from_slice(&std::fs::read(bench.path("l")).unwrap()).unwrap();
            assert_eq!(ledger["totals"]["context"], want.len() - hits.len());
            assert_eq!(ledger["totals"]["imbalances"], json!([]));
            let got = parsed(&hunt(bench, &format!("{args} --sort time"), evidence));
            let want: Vec<&Value> = order(&want).into_iter().map(|n| &want[n]).collect();
            assert!(got.iter().eq(want), "{args} --sort time");
        }
    }
    context
}

#[test]
fn context_is_what_is_around_hits() {
    let bench = evidence();
    let rare =
        EVIL.replace(r"        Image|endswith: '\evil.exe'", "        ProcessId: [99, 3000, 5]");
    bench.file("rules/evil.yml", rare.as_bytes());
    let context = compare_context(&bench, &[bench.path("logs")], "-r rules", &[0, 1, 20]);
    assert!(context > 100, "{context}");
}

#[test]
fn context_of_the_shipped_evidence() {
    let bench = evidence();
    let evidence = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/evidence");
    let rules = format!("-r {}", bench.plain_rules().display());
    let context = compare_context(&bench, &[evidence], &rules, &[20]);
    assert!(context > 50, "{context}");
}

#[test]
fn context_of_the_corpora() {
    let Some(corpora) = crate::support::corpora("context_of_the_corpora") else { return };
    let bench = evidence();
    let rules = format!("--min-level high -r {}", corpora.join("sigma/rules/windows").display());
    let context = compare_context(&bench, &[corpora.join("evtx")], &rules, &[5]);
    assert!(context > 1000, "{context}");
}

/// What is around a hit does not end where the filter of events does, nor at the edge of its log.
#[test]
fn context_is_taken_from_all_events() {
    let bench = Bench::new();
    let at = |second, image, host: &str| {
        let mut event = event(1, image, "x");
        event.time = FileTime::literal("2026-03-01T10:00:00Z").plus_seconds(second);
        event.on(host.to_owned())
    };
    let evil = r"C:\evil.exe";
    bench.file("logs/a.evtx", &log([at(100, evil, "WS-01"), at(111, "a", "WS-01")]));
    bench.file(
        "logs/b.evtx",
        &log([at(89, "b", "ws-01"), at(90, "c", "ws-01"), at(95, "d", "WS-02")]),
    );
    let mut other = at(110, "e", "WS-01");
    other.channel = "Other".into();
    bench.file("logs/c.evtx", &log([other, at(300, evil, "WS-01")]));
    let images = |args: &str| -> Vec<String> {
        let lines = hunt(&bench, &format!("logs -r rules --format jsonl {args}"), &[]);
        let lines = parsed(&lines);
        lines.iter().map(|line| line["data"]["Image"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(images("--context 10"), [evil, "c", "e", evil]);
    assert_eq!(images("--context 10 --sort time"), ["c", evil, "e", evil]);
    assert_eq!(images("--context 11s --sort time"), ["b", "c", evil, "e", "a", evil]);
    let filtered = "--context 10 --channel sysmon --to 2026-03-01T10:02Z --sort time";
    assert_eq!(images(filtered), ["c", evil, "e"]);
    let run = bench.harrier(&words("hunt logs -r rules --context 10 -o x.csv -o y.md"));
    assert!(run.err.contains("Context    2 events around hits"), "{}", run.err);
    let sheet = std::fs::read_to_string(bench.path("x.csv")).unwrap();
    assert_eq!(sheet.matches(",context,(Process created),").count(), 1, "{sheet}");
    assert_eq!(sheet.matches(",context,(context),").count(), 1, "{sheet}");
}

/// Context is told from hits in every format.
#[test]
fn context_is_marked_in_every_format() {
    let bench = Bench::new();
    bench.log("logs/a.evtx", 1, 2);
    for (format, path, of_hit, of_context) in [
        ("jsonl", "/context", json!(null), json!(true)),
        ("ecs", "/event/kind", json!("alert"), json!("event")),
        ("ecs", "/rule/name", json!("Evil Started"), json!(null)),
        ("timesketch", "/rule_title", json!("Evil Started"), json!(null)),
        ("timesketch", "/tag/0", json!("medium"), json!("context")),
    ] {
        let args = format!("logs -r rules --context 0 --format {format}");
        let lines = parsed(&hunt(&bench, &args, &[]));
        let got: Vec<Value> =
            lines.iter().map(|line| line.pointer(path).cloned().unwrap_or_default()).collect();
        assert_eq!(got, [of_hit, of_context.clone(), of_context], "{format} {path}");
    }
    for format in ["table", "table --wide", "csv", "markdown"] {
        let args = format!("logs -r rules --context 0 --format {format}");
        let text = hunt(&bench, &args, &[]).join("\n");
        assert_eq!(text.matches("(Process created)").count(), 2, "{text}");
    }
}

/// Times in another zone are the same times, with their offset.
#[test]
fn times_are_shown_in_the_zone_that_is_asked_for() {
    let bench = Bench::new();
    bench.log("logs/a.evtx", 1, 0);
    let shown = |args: &str| hunt(&bench, &format!("logs -r rules {args}"), &[]).join("\n");
    for (args, want) in [
        ("--format csv --time-zone Europe/Berlin", "2026-03-01 11:00:00.1234567+01:00,medium,"),
        ("--format csv --time-zone -03:30", "2026-03-01 06:30:00.1234567-03:30,medium,"),
        ("--format csv", "TimeUTC,"),
        ("--format csv --time-zone UTC", "2026-03-01 10:00:00.1234567,medium,"),
        ("--format csv --columns Time,Rule", "2026-03-01 10:00:00.1234567+00:00,Evil"),
        ("--format csv --columns TimeUTC --time-zone +01:00", "2026-03-01 11:00:00.1234567+01:00"),
        ("--format table --time-zone +01:00", "2026-03-01 11:00:00.123+01:00  med "),
        ("--format markdown --time-zone +01:00", "| 2026-03-01 11:00:00.123+01:00 |"),
        ("--format csv --group --time-zone +01:00", "Count,First,Last,"),
        (
            "--format csv --group --time-zone +01:00",
            "1,2026-03-01 11:00:00.1234567+01:00,2026-03-01 11",
        ),
        ("--format jsonl --time-zone +01:00", r#""timestamp":"2026-03-01T10:00:00.1234567Z""#),
    ] {
        let out = shown(args);
        assert!(out.contains(want), "{args}: {out}");
    }
}

/// Temporary files lie where the system wants them and go away, also when the hunt fails.
#[cfg(unix)]
#[test]
fn temporary_files_go_away() {
    let bench = evidence();
    std::fs::create_dir(bench.path("tmp")).unwrap();
    let before = bench.snapshot("logs");
    for (args, code, says) in [
        ("--sort time -o x.jsonl", 0, ""),
        ("--group -o x.jsonl", 0, ""),
        ("--context 3 -o x.jsonl", 0, ""),
        ("--sort time -o jsonl:/dev/full", 2, "/dev/full: cannot be written: "),
    ] {
        let args = format!("hunt logs -r rules -q --sort-memory 5000 {args}");
        let run = super::bench::run(bench.command(&words(&args)).env("TMPDIR", bench.path("tmp")));
        assert_eq!(run.code, code, "{args}: {}", run.err);
        assert!(run.err.contains(says), "{args}: {}", run.err);
        assert_eq!(std::fs::read_dir(bench.path("tmp")).unwrap().count(), 0, "{args}");
    }
    let args = words("hunt logs -r rules -q --sort time --sort-memory 5000");
    let run = super::bench::run(bench.command(&args).env("TMPDIR", bench.path("nowhere")));
    assert_eq!(run.code, 2, "{}", run.err);
    assert!(run.err.contains("nowhere: temporary files cannot be written: "), "{}", run.err);
    assert!(run.err.trim_end().ends_with("name a folder with room in TMPDIR"), "{}", run.err);
    assert_eq!((run.err.lines().count(), run.out.len()), (1, 0));
    assert!(before == bench.snapshot("logs"));
}

#[test]
fn mistakes_are_told() {
    let bench = Bench::new();
    bench.log("logs/a.evtx", 2, 1);
    for (args, says) in [
        ("--sort level", "[possible values: time]"),
        ("--context soon", "give seconds (30) or a span (5m, 1h)"),
        ("--context 5 --group", "cannot be used with"),
        ("--group --columns Rule --format csv", "--columns: groups have columns of their own"),
        ("--group --format ecs", "--group: timesketch and ecs have no form for groups: choose"),
        ("--group -o timesketch:x", "--group: timesketch and ecs have no form for groups: choose"),
    ] {
        let run = bench.harrier(&words(&format!("hunt logs -r rules {args}")));
        assert_eq!(run.code, 2, "{args}: {}", run.err);
        assert!(run.err.contains(says), "{args}: {}", run.err);
        assert_eq!((run.err.lines().count(), run.out.len()), (1, 0), "{args}: {}", run.err);
    }
}
