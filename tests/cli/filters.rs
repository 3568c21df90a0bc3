//! Filters: what they leave is what one would pick out of an unfiltered hunt afterwards.

use super::bench::{Bench, EVIL, Run, event, log};
use super::words;
use forge::{Event, FileTime, Layout, Rendering};
use serde_json::Value;
use std::ffi::OsString;
use std::path::Path;

/// A filter as it is given, and whether a hit passes it.
struct Filter {
    args: Vec<String>,
    passes: Box<dyn Fn(&Value) -> bool>,
}

fn filter(args: &[&str], passes: impl Fn(&Value) -> bool + 'static) -> Filter {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    Filter { args, passes: Box::new(passes) }
}

fn text<'h>(hit: &'h Value, path: &str) -> &'h str {
    hit.pointer(path).and_then(Value::as_str).unwrap_or("")
}

fn lower(hit: &Value, path: &str) -> String {
    text(hit, path).to_lowercase()
}

/// All ways to filter by what this hit says; each alone lets the hit pass or, at the edge of the time,
/// just not.
fn filters(hit: &Value) -> Vec<Filter> {
    let channel = text(hit, "/event/channel").to_owned();
    let computer = text(hit, "/event/computer").to_owned();
    let host = computer.split('.').next().unwrap().to_lowercase();
    let short = channel.replace("Microsoft-Windows-", "").replace("/Operational", "");
    let id = hit["event"]["event_id"].as_u64().unwrap();
    let (time, tick) = (text(hit, "/timestamp").to_owned(), next_tick(text(hit, "/timestamp")));
    let (level, rule) = (text(hit, "/rule/level").to_owned(), text(hit, "/rule/id").to_owned());
    let status = text(hit, "/rule/status").to_owned();
    let mut all = vec![
        filter(&["--channel", &channel.to_uppercase()], {
            let channel = channel.clone();
            move |hit| text(hit, "/event/channel") == channel
        }),
        filter(&["--channel", &format!("nowhere,{short}")], {
            let channel = channel.clone();
            move |hit| text(hit, "/event/channel") == channel
        }),
        filter(&["--channel", "*w*s*s*"], |hit| {
            let channel = lower(hit, "/event/channel");
            let after = |text: &str, c| text.split_once(c).map(|(_, rest)| rest.to_owned());
            after(&channel, 'w').and_then(|r| after(&r, 's')).and_then(|r| after(&r, 's')).is_some()
        }),
        filter(&["--computer", &computer.to_lowercase()], {
            let computer = computer.clone();
            move |hit| text(hit, "/event/computer") == computer
        }),
        filter(&["--computer", &host], {
            let host = host.clone();
            move |hit| lower(hit, "/event/computer").split('.').next() == Some(&host)
        }),
        filter(&["--event-id", &id.to_string()], move |hit| hit["event"]["event_id"] == id),
        filter(&["--event-id", &format!("1,{id}-{}", id + 60)], move |hit| {
            let other = hit["event"]["event_id"].as_u64().unwrap();
            other == 1 || (id..=id + 60).contains(&other)
        }),
        filter(&["--from", &time], {
            let time = time.clone();
            move |hit| *text(hit, "/timestamp") >= *time
        }),
        filter(&["--to", &tick], {
            let time = time.clone();
            move |hit| *text(hit, "/timestamp") <= *time
        }),
        filter(&["--from", &time, "--to", &tick], {
            let time = time.clone();
            move |hit| *text(hit, "/timestamp") == *time
        }),
        filter(&["--to", &time.clone()], move |hit| *text(hit, "/timestamp") < *time),
        filter(&["--level", &level], {
            let level = level.clone();
            move |hit| text(hit, "/rule/level") == level
        }),
        filter(&["--level", &format!("low,{}", level.to_uppercase())], move |hit| {
            text(hit, "/rule/level") == level || text(hit, "/rule/level") == "low"
        }),
        filter(&["--rule-id", &rule.to_uppercase()], {
            let rule = rule.clone();
            move |hit| text(hit, "/rule/id") == rule
        }),
        filter(&["--exclude-rule", &rule], {
            let rule = rule.clone();
            move |hit| text(hit, "/rule/id") != rule
        }),
        filter(&["--rule-id", &format!("{}*", &rule[..1])], move |hit| {
            text(hit, "/rule/id").as_bytes()[0] == rule.as_bytes()[0]
        }),
    ];
    if !status.is_empty() {
        all.push(filter(&["--status", &status.clone()], move |hit| {
            text(hit, "/rule/status") == status
        }));
    }
    if let Some(tag) = hit["rule"]["tags"][0].as_str().map(str::to_owned) {
        let has = |hit: &Value, is: &dyn Fn(&str) -> bool| {
            hit["rule"]["tags"].as_array().unwrap().iter().any(|tag| is(tag.as_str().unwrap()))
        };
        let begins = format!("{}*", &tag[..tag.len() - 2].to_uppercase());
        let prefix = tag[..tag.len() - 2].to_owned();
        all.push(filter(&["--tag", &tag.clone()], move |hit| has(hit, &|other| other == tag)));
        all.push(filter(&["--tag", &begins], move |hit| {
            has(hit, &|other| other.starts_with(&prefix))
        }));
    }
    all
}

/// 100 ns later.
fn next_tick(time: &str) -> String {
    let time: jiff::Timestamp = time.parse().unwrap();
    (time + jiff::SignedDuration::from_nanos(100)).to_string()
}

fn hunt(bench: &Bench, evidence: &Path, rules: Option<&Path>, args: &[String]) -> (Run, Value) {
    let mut all: Vec<OsString> =
        words("hunt -q --ledger ledger --format jsonl").into_iter().map(OsString::from).collect();
    all.extend(args.iter().map(OsString::from));
    all.push(evidence.into());
    if let Some(rules) = rules {
        all.extend(["-r".into(), rules.as_os_str().to_owned()]);
    }
    let run = bench.harrier(&all);
    let ledger = std::fs::read(bench.path("ledger")).unwrap_or_default();
    (run, serde_json::from_slice(&ledger).unwrap_or_default())
}

fn lines(run: &Run) -> Vec<(String, Value)> {
    let text = std::str::from_utf8(&run.out).unwrap();
    text.lines().map(|l| (l.to_owned(), serde_json::from_str(l).unwrap())).collect()
}

/// Hunts with each of the filters that `rows` hits of an unfiltered hunt give, alone and some together,
/// and compares with picking. Says how many hunts that were.
fn compare(evidence: &Path, rules: Option<&Path>, rows: usize, every: usize) -> usize {
    let bench = Bench::new();
    let (all, ledger) = hunt(&bench, evidence, rules, &[]);
    let records = ledger["totals"]["records"]["seen"].clone();
    let all = lines(&all);
    assert!(all.len() > 20, "{} hits", all.len());
    let mut hunts = 0;
    for row in 0..rows {
        let (_, hit) = &all[row * (all.len() - 1) / rows.max(2).saturating_sub(1)];
        let filters = filters(hit);
        let alone = (0..filters.len()).map(|n| vec![n]);
        let two = (0..filters.len()).map(|n| vec![n, (n + 7) % filters.len()]);
        let three =
            (0..filters.len()).map(|n| vec![n, (n + 3) % filters.len(), (n + 8) % filters.len()]);
        for (n, which) in alone.chain(two).chain(three).enumerate() {
            if n % every != row % every {
                continue;
            }
            let chosen: Vec<&Filter> = which.iter().map(|n| &filters[*n]).collect();
            let args: Vec<String> = chosen.iter().flat_map(|filter| filter.args.clone()).collect();
            // An option for one time can be given once only, and of some no rule is left.
            let twice =
                ["--from", "--to"].iter().any(|o| args.iter().filter(|a| a == o).count() > 1);
            let empty =
                args.contains(&"--exclude-rule".into()) && args.contains(&"--rule-id".into());
            // Of one option any value is enough, of different ones all have to fit.
            let options = |filter: &Filter| filter.args[0].clone();
            let same =
                (1..chosen.len()).any(|n| (0..n).any(|m| options(chosen[n]) == options(chosen[m])));
            if twice || empty || same {
                continue;
            }
            hunts += 1;
            let want: Vec<&str> = all
                .iter()
                .filter(|(_, hit)| chosen.iter().all(|filter| (filter.passes)(hit)))
                .map(|(line, _)| line.as_str())
                .collect();
            let (run, ledger) = hunt(&bench, evidence, rules, &args);
            assert!(run.code < 2 || want.is_empty(), "{args:?}: {}", run.err);
            if run.code >= 2 {
                continue;
            }
            let got = lines(&run);
            let got: Vec<&str> = got.iter().map(|(line, _)| line.as_str()).collect();
            assert!(got == want, "{args:?}: {} hits, not {}", got.len(), want.len());
            let totals = &ledger["totals"];
            assert_eq!(totals["imbalances"], serde_json::json!([]), "{args:?}");
            assert_eq!(totals["records"]["seen"], records, "{args:?}");
            assert_eq!(totals["hits"]["total"], want.len(), "{args:?}");
        }
    }
    hunts
}

#[test]
fn filters_leave_what_one_would_pick_from_the_shipped_evidence() {
    let evidence = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/evidence");
    let rules = Bench::new();
    let hunts = compare(&evidence, Some(&rules.plain_rules()), 6, 1);
    assert!(hunts > 150, "{hunts}");
}

#[test]
fn filters_leave_what_one_would_pick_from_the_corpora() {
    let name = "filters_leave_what_one_would_pick_from_the_corpora";
    let Some(corpora) = crate::support::corpora(name) else { return };
    let hunts = compare(&corpora.join("evtx"), Some(&corpora.join("sigma/rules/windows")), 6, 8);
    assert!(hunts > 20, "{hunts}");
}

/// A collector's log: each event of another channel, computer and time, written days later, the first
/// record of a channel that nobody asks for.
fn collected() -> Vec<Event> {
    let forwarded = |n: u32, channel: &str| {
        let hour = |day: u32, hour: u32| format!("2026-03-{day:02}T{hour:02}:00:00Z");
        let mut event = event(n, r"C:\evil.exe", "x");
        event.channel = channel.to_owned().into();
        event.time = FileTime::literal(&hour(1 + n / 24, n % 24));
        event.written = Some(FileTime::literal(&hour(20, n % 24)));
        event.layout = [Layout::Auto, Layout::Plain, Layout::Literal][n as usize % 3];
        event
            .on(format!("WS-{:02}.example", n % 5))
            .forwarded(Rendering { message: "x".into(), ..Rendering::default() })
    };
    (0..96)
        .map(|n| {
            let sysmon = n > 0 && n % 2 == 0;
            forwarded(n, if sysmon { "Microsoft-Windows-Sysmon/Operational" } else { "Other" })
        })
        .collect()
}

/// Channels are asked of each record, times of the event and not of its record.
#[test]
fn forwarded_events_are_filtered_one_by_one() {
    let bench = Bench::new();
    bench.file("rules/evil.yml", EVIL.replace("category: process_creation", "").as_bytes());
    bench.file("logs/ForwardedEvents.evtx", &log(collected()));
    for (args, want, left_out) in [
        ("", 96, 0),
        ("--channel sysmon", 47, 49),
        ("--channel Other", 49, 47),
        ("--channel security", 0, 96),
        ("--computer ws-03", 19, 77),
        ("--computer WS-03,ws-04.example", 38, 58),
        ("--from 2026-03-04", 24, 72),
        ("--to 2026-03-02", 24, 72),
        ("--from 2026-03-02 --to 2026-03-03", 24, 72),
        ("--from 2026-03-02T00:00Z --to 2026-03-02T00:00:00.0000001Z", 1, 95),
        ("--from 2026-03-02T00:00:00.0000001Z --to 2026-03-02T01:00Z", 0, 96),
        ("--from 2026-03-10", 0, 96),
        ("--from 2026-03-02 --time-zone +02:00", 74, 22),
        ("--from 2026-03-02 --time-zone Europe/Berlin", 73, 23),
        // The newest event is of 2026-03-04T23:00.
        ("--from -1d", 25, 71),
        ("--from=-1d --to -0s", 24, 72),
        ("--from -1d12h --to -1d", 12, 84),
        ("--to now", 96, 0),
        ("--event-id 1", 96, 0),
        ("--event-id 2-99", 0, 96),
        ("--channel sysmon --computer ws-00 --from 2026-03-02", 7, 89),
    ] {
        let mut runs = Vec::new();
        for threads in ["--threads 1", "--threads 3", "--full-scan"] {
            let args = format!("hunt logs -r rules --ledger l {args} {threads}");
            runs.push((bench.harrier(&words(&args)), std::fs::read(bench.path("l")).unwrap()));
        }
        let (run, ledger) = &runs[0];
        assert_eq!((run.code, run.hits().len()), (0, want), "{args}: {}", run.err);
        // What `now` was stands in the ledger.
        let same = |l: &Vec<u8>| l == ledger || args.contains("now");
        assert!(runs.iter().all(|(other, l)| other.out == run.out && same(l)), "{args}");
        let ledger: Value = serde_json::from_slice(ledger).unwrap();
        let records = &ledger["totals"]["records"];
        assert_eq!(records["filtered"], left_out, "{args}");
        let (fast, slow) = (records["fast"].as_u64().unwrap(), records["slow"].as_u64().unwrap());
        assert_eq!(fast + slow + left_out, 96, "{args}");
        assert_eq!(ledger["totals"]["event_filter"].is_null(), args.is_empty(), "{args}");
        let said = format!("{left_out} left out by the event filter");
        assert_eq!(run.err.contains(&said), left_out > 0, "{args}: {}", run.err);
        let warned = run.err.contains("warning: no event was looked at, all were left out: ");
        assert_eq!(warned, left_out == 96, "{args}: {}", run.err);
    }
    let verbose = bench.harrier(&words("hunt logs -r rules -v --from -1d"));
    let says = "Newest     event of 2026-03-04T23:00:00.0000000Z, found in";
    assert!(verbose.err.contains(says), "{}", verbose.err);
    let says = "Filter     from 2026-03-03T23:00:00.0000000Z\n";
    assert!(verbose.err.contains(says), "{}", verbose.err);
}

/// An event that does not say when it was may have been at any time.
#[test]
fn events_without_a_time_are_not_left_out_by_one() {
    let bench = Bench::new();
    let mut timeless = event(1, r"C:\evil.exe", "x");
    timeless.time = FileTime(u64::MAX);
    bench.file("logs/a.evtx", &log([timeless.clone()]));
    for args in ["", "--from 2026-01-01", "--to 2026-01-01", "--from 2026-01-01 --to 2026-01-02"] {
        let run = bench.harrier(&words(&format!("hunt logs -r rules -q {args}")));
        assert_eq!((run.code, run.hits().len()), (0, 1), "{args}: {}", run.err);
    }
    let run = bench.harrier(&words("hunt logs -r rules --from -1d"));
    assert_eq!((run.code, run.hits().len()), (0, 1), "{}", run.err);
    assert!(run.err.contains("warning: no event says when it was"), "{}", run.err);
}

/// Each mistake is one line that says what to do, and nothing is written.
#[test]
fn mistakes_in_filters_are_told() {
    let bench = Bench::new();
    bench.log("logs/a.evtx", 2, 1);
    bench.file("none.txt", b"# nothing\n");
    bench.file("ids.txt", b"11111111-2222-3333-4444-555555555555 # mine\nelse # not here\n");
    bench.file("other.txt", b"else\nmore\n");
    let old = EVIL.replace("status: test", "status: deprecated").replace("11111111", "22222222");
    bench.file("rules/old.yml", old.as_bytes());
    for (args, code, says) in [
        ("--from yesterday", 2, "'--from <TIME>': give a date (2026-03-01), a time"),
        ("--from 2026-03-02 --to 2026-03-02", 2, "is not before --to 2026-03-02T00:00:00"),
        ("--from -1h --to -2h", 2, "error: --from 2026-03-01T09:00:00.1234567Z is not before --to"),
        ("--time-zone Mars", 2, "--time-zone Mars: no such time zone: give UTC, local,"),
        ("--event-id abc", 2, "--event-id abc: no number or range: give 4624 or 4700-4799"),
        ("--event-id 9-1", 2, "--event-id 9-1: no number or range"),
        ("--event-id ,", 2, "--event-id ,: the list is empty: name at least one"),
        ("--computer @nowhere", 2, "--computer @nowhere: cannot be read as text: "),
        ("--computer @none.txt", 2, "--computer @none.txt: the list is empty"),
        ("--level loud", 2, "[possible values: informational, low, medium, high, critical]"),
        ("--level low --min-level low", 2, "cannot be used with"),
        (
            "--level low",
            2,
            "there are no rules left: 0 not loaded, 2 left out (1: --level does not name its level; 1: the rule is deprecated",
        ),
        ("--status old", 2, "[possible values: stable, test, experimental"),
        (
            "--tag attack.excution",
            2,
            "--tag attack.excution: no rule has this tag: near: attack.execution",
        ),
        ("--tag attack.execution,x*", 2, "--tag x*: no rule has this tag: near: attack.execution"),
        (
            "--rule-id 11111111-2222-3333-4444-555555555556",
            2,
            "near: 11111111-2222-3333-4444-555555555555",
        ),
        ("--rule-id 22222222*", 2, "that rule was not loaded: the rule is deprecated"),
        ("--rule-id @other.txt", 2, "--rule-id: none of the 2 ids is that of a rule: check -r"),
        ("--rule-id 11111111* --exclude-rule 11111111*", 2, "1: --exclude-rule names it"),
        ("--rule-id @ids.txt", 0, "warning: --rule-id: 1 id is of no rule: else"),
        ("--exclude-rule typo", 0, "warning: --exclude-rule typo: no rule has this id: near: "),
        ("-q --exclude-rule @other.txt", 0, ""),
        ("-q --exclude-rule typo --channel nowhere", 0, ""),
        ("-q --tag ATTACK.*", 0, ""),
        ("-q --include-deprecated --rule-id 22222222*", 0, ""),
        ("-q --status deprecated", 0, ""),
        ("-v --exclude-rule @other.txt", 0, "--exclude-rule: 2 ids are of no rule: else, more"),
    ] {
        let run = bench.harrier(&words(&format!("hunt logs -r rules {args}")));
        assert_eq!(run.code, code, "{args}: {}", run.err);
        assert!(run.err.contains(says), "{args}: {}", run.err);
        if says.is_empty() {
            assert_eq!(run.err, "", "{args}");
        }
        let lines = run.err.lines().count();
        assert!(code != 2 || lines == 1, "{args}: {lines} lines: {}", run.err);
        let none = code == 2 || args.contains("nowhere");
        assert_eq!(run.hits().len(), if none { 0 } else { 2 }, "{args}");
    }
}
