//! Correlations from rules and logs to what is written, against a reference that follows the
//! definition: whatever the order of files, the threads, the memory.

use super::bench::{Bench, log};
use super::words;
use crate::support;
use forge::{Event, FileTime, Guid, Provider, Value};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reference::{Found, Log, Made, SECOND, Spec};
use serde_json::{Value as Json, json};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

mod reference;

/// 2026-03-01 10:00 UTC.
const BASE: u64 = 134_168_328_000_000_000;

const RULES: [(&str, &str); 4] =
    [("failed", "4625"), ("logon", "4624"), ("explicit", "4648"), ("any", "'*'")];

/// A rule for each kind of event, and one for all.
fn rules() -> String {
    RULES.iter().map(rule).collect()
}

fn rule((name, id): &(&str, &str)) -> String {
    format!(
        "title: {name}\nname: {name}\nlevel: low\nlogsource: {{product: windows, service: security}}\n\
             detection: {{s: {{EventID: {id}}}, condition: s}}\n---\n"
    )
}

const NONE: Spec = Spec {
    title: "",
    kind: "",
    rules: &[],
    group: &[],
    seconds: 0,
    range: &[],
    field: "",
    percentile: 0.0,
    alias: None,
};

/// One of each type, with ranges, aliases and chains.
fn specs() -> Vec<Spec> {
    let by_ip: &[&str] = &["IpAddress"];
    let percentile = |title, percentile, range| Spec {
        title,
        kind: "value_percentile",
        rules: &["any"],
        group: &["Computer"],
        seconds: 20,
        range,
        field: "Size",
        percentile,
        ..NONE
    };
    let made =
        |title, kind, rules, group, seconds| Spec { title, kind, rules, group, seconds, ..NONE };
    vec![
        Spec { range: &[("gte", 3.0)], ..made("burst", "event_count", &["failed"], by_ip, 10) },
        // Most events are hits of both rules and count once.
        Spec {
            range: &[("gte", 4.0), ("lt", 9.0)],
            ..made("both", "event_count", &["failed", "any"], &["Computer", "IpAddress"], 15)
        },
        Spec { range: &[("eq", 2.0)], ..made("pair", "event_count", &["logon"], by_ip, 5) },
        Spec {
            range: &[("lte", 2.0)],
            ..made("few", "event_count", &["explicit"], &["EventID"], 30)
        },
        Spec { range: &[("gt", 0.0)], ..made("instant", "event_count", &["logon"], &[], 1) },
        Spec {
            range: &[("gte", 3.0)],
            field: "TargetUserName",
            ..made("spray", "value_count", &["failed", "explicit"], by_ip, 20)
        },
        Spec {
            field: "TargetUserName",
            range: &[("neq", 2.0)],
            ..made("notwo", "value_count", &["any"], &["Computer"], 3)
        },
        made("together", "temporal", &["failed", "logon", "explicit"], by_ip, 12),
        Spec {
            range: &[("gte", 2.0)],
            ..made("two", "temporal", &["failed", "logon", "explicit"], &["Computer"], 2)
        },
        made("inorder", "temporal_ordered", &["failed", "logon", "explicit"], by_ip, 20),
        made("ties", "temporal_ordered", &["explicit", "any", "failed"], &["Computer"], 1),
        Spec {
            range: &[("gt", 20.0)],
            field: "Size",
            ..made("much", "value_sum", &["any"], by_ip, 10)
        },
        Spec {
            range: &[("gte", 4.5)],
            field: "Size",
            ..made("mean", "value_avg", &["failed", "logon"], &["Computer"], 10)
        },
        percentile("p95", 95.0, &[("gte", 7.5)]),
        percentile("p50", 50.0, &[("lt", 2.0)]),
        // The user who failed is the name under which another event has the host.
        Spec {
            alias: Some(("who", &[("failed", "TargetUserName"), ("logon", "IpAddress")])),
            ..made("alias", "temporal", &["failed", "logon"], &["who"], 30)
        },
        // Chains: bursts by address, and a logon from there; two bursts of different addresses.
        made("break", "temporal_ordered", &["burst", "logon"], by_ip, 30),
        Spec {
            range: &[("gte", 2.0)],
            field: "IpAddress",
            ..made("wide", "value_count", &["burst"], &[], 40)
        },
        Spec { range: &[("gte", 1.0)], ..made("third", "event_count", &["break"], by_ip, 10) },
    ]
}

/// Everything that is wanted reports, so that all of it can be compared.
fn rule_file() -> String {
    let specs = specs();
    let documents: Vec<String> =
        specs.iter().map(|spec| format!("{}  generate: true\n", spec.yaml())).collect();
    // What is referred to may stand behind.
    format!("{}---\n{}", documents.join("---\n"), rules().trim_end_matches("---\n"))
}

fn event(made: &Made) -> Event {
    let provider = Provider::new(
        "Microsoft-Windows-Security-Auditing",
        Guid::literal("{54849625-5478-4994-a5ba-3e3b0328c30d}"),
    );
    let fields = [("IpAddress", made.ip), ("TargetUserName", made.user), ("Size", made.size)];
    let fields = fields.iter().filter_map(|(name, text)| Some((*name, Value::from((*text)?))));
    Event::new(provider, made.id, "Security").at(FileTime(made.ticks)).on(made.host).data(fields)
}

fn write(bench: &Bench, logs: &[Log]) {
    for (path, events) in logs {
        bench.file(path, &log(events.iter().map(event)));
    }
}

fn ticks(text: &str) -> u64 {
    harrier::hunt::first_tick(text.parse().unwrap())
}

/// The findings among lines of JSON.
fn found(out: &[u8]) -> Vec<Found> {
    let text = std::str::from_utf8(out).unwrap();
    let parsed = text.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    parsed.filter(|hit| hit["schema"] == "harrier.correlation/1").map(|hit| finding(&hit)).collect()
}

fn finding(hit: &Json) -> Found {
    let text = |value: &Json| value.as_str().unwrap().to_owned();
    let about = &hit["correlation"];
    let group = about["group_by"].as_object().unwrap();
    let members = hit["members"].as_array().unwrap();
    assert_eq!(hit["members_total"], members.len());
    assert_eq!(hit["members_total"], about["count"]);
    assert_eq!(hit["timestamp"], about["last"]);
    let member = |member: &Json| {
        let rules = member["rules"].as_array().unwrap().iter().map(|rule| text(&rule["title"]));
        let path = text(&member["evidence"]["path"]);
        let record = member["record_id"].as_u64().unwrap();
        (ticks(&text(&member["timestamp"])), path, record, rules.collect())
    };
    Found {
        title: text(&hit["rule"]["title"]),
        group: group.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        value: about["value"].as_f64().unwrap(),
        first: ticks(&text(&about["first"])),
        last: ticks(&text(&about["last"])),
        members: members.iter().map(member).collect(),
    }
}

/// Five logs of three hosts in which time runs in all directions and often stands still.
fn logs() -> impl Strategy<Value = Vec<Log>> {
    let some =
        |texts: &'static [&'static str]| prop::option::weighted(0.9, prop::sample::select(texts));
    let event = (
        0..60u64,
        prop::sample::select(&["WS-01", "WS-02", "SRV-1"][..]),
        prop::sample::select(&[4625u16, 4625, 4624, 4648][..]),
        some(&["10.0.0.1", "10.0.0.2", "ALICE", "::1"]),
        some(&["alice", "Alice", "bob", "carol", "dave"]),
        some(&["1", "2.5", "7", "-3", "10", "many"]),
    );
    let event = event.prop_map(|(time, host, id, ip, user, size)| Made {
        ticks: BASE + time * SECOND / 2,
        host,
        id,
        ip,
        user,
        size,
    });
    prop::collection::vec(prop::collection::vec(event, 0..25), 5).prop_map(|logs| {
        let path = |n: usize| format!("logs{n}/{n}.evtx");
        logs.into_iter().enumerate().map(|(n, events)| (path(n), events)).collect()
    })
}

/// How hunts are run that must all find the same: with other threads, with next to no memory, with the
/// logs named in another order.
const WAYS: [(&str, &str); 5] = [
    ("logs0 logs1 logs2 logs3 logs4", "--threads 1"),
    ("logs4 logs2 logs0 logs3 logs1", "--threads 2 --sort-memory 2000"),
    ("logs3/3.evtx logs1 logs4 logs0 logs2", "--threads 8 --sort-memory 0"),
    ("logs1 logs0 logs3 logs2 logs4", "--threads 8 --full-scan"),
    ("logs2 logs3 logs4 logs1 logs0", "--threads 2 --sort time --sort-memory 2000"),
];

#[test]
fn what_is_found_is_what_the_definition_says() {
    let bench = Bench::new();
    bench.file("all.yml", rule_file().as_bytes());
    let titles = RefCell::new(BTreeSet::new());
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        max_shrink_iters: 0,
        ..Config::with_cases(8)
    });
    let result = runner.run(&logs(), |logs| {
        write(&bench, &logs);
        let mut want = reference::all(&specs(), &logs);
        want.sort_by(|a, b| a.partial_cmp(b).unwrap());
        let mut first: Option<Vec<String>> = None;
        for (paths, options) in WAYS {
            let args = format!("hunt {paths} -r all.yml --format jsonl {options}");
            let run = bench.harrier(&words(&args));
            prop_assert_eq!(run.code, 0, "{}", run.err);
            let text = String::from_utf8(run.out).unwrap();
            let mut lines: Vec<String> = text
                .lines()
                .filter(|line| line.starts_with(r#"{"schema":"harrier.correlation/1""#))
                .map(str::to_owned)
                .collect();
            if options.contains("--sort time") {
                // The same lines, in another order.
                let times: Vec<Json> = text
                    .lines()
                    .map(|line| serde_json::from_str::<Json>(line).unwrap()["timestamp"].clone())
                    .collect();
                prop_assert!(times.is_sorted_by_key(|time| time.as_str().unwrap().to_owned()));
                lines.sort();
                first.as_mut().unwrap().sort();
            } else {
                let found: Vec<u64> = found(text.as_bytes()).iter().map(|f| f.first).collect();
                prop_assert!(found.is_sorted(), "by the time of the first event");
                let end: String = lines.iter().map(|line| line.to_owned() + "\n").collect();
                prop_assert!(text.ends_with(&end), "behind all other hits");
            }
            prop_assert_eq!(first.get_or_insert(lines.clone()), &lines, "{}", args);
        }
        let mut got = found(first.unwrap().join("\n").as_bytes());
        got.sort_by(|a, b| a.partial_cmp(b).unwrap());
        titles.borrow_mut().extend(got.iter().map(|found| found.title.clone()));
        for (got, want) in got.iter().zip(&want) {
            prop_assert_eq!(got, want);
        }
        prop_assert_eq!(got.len(), want.len());
        Ok(())
    });
    result.unwrap();
    let never: Vec<&str> = specs()
        .iter()
        .map(|spec| spec.title)
        .filter(|title| !titles.borrow().contains(*title))
        .collect();
    assert!(never.is_empty(), "nothing tested of {never:?}");
}

/// Six failures in a minute, one of another address, and one that does not say from where.
fn burst() -> Vec<Made> {
    let failed = |seconds, ip, user| Made {
        ticks: BASE + seconds * SECOND,
        host: "DC-01",
        id: 4625,
        ip,
        user: Some(user),
        size: None,
    };
    vec![
        failed(0, Some("10.0.0.5"), "alice"),
        failed(10, Some("10.0.0.5"), "bob"),
        failed(20, Some("10.0.0.9"), "bob"),
        failed(30, Some("10.0.0.5"), "Alice"),
        failed(31, None, "carol"),
        failed(60, Some("10.0.0.5"), "carol"),
    ]
}

const COUNT: &str = "title: Many Failures
id: 99999999-0000-4000-8000-000000000001
status: test
level: high
tags: [attack.credential-access, attack.t1110]
correlation:
    type: event_count
    rules: [failed]
    group-by: [IpAddress]
    timespan: 5m
    condition: {gte: 4}
";

fn burst_bench(correlation: &str) -> Bench {
    let bench = Bench::new();
    write(&bench, &[("logs/Security.evtx".to_owned(), burst())]);
    bench.file("c/count.yml", format!("{}{correlation}", rule(&RULES[0])).as_bytes());
    bench
}

/// In every format: what was counted, of what, when, and where it lies.
#[test]
fn a_finding_is_told_in_every_format() {
    let bench = burst_bench(COUNT);
    let mut all = String::new();
    for options in [
        "--format jsonl",
        "--format table",
        "--format table --wide --time-zone +01:00",
        "--format csv",
        "--format csv --columns TimeUTC,FirstUTC,LastUTC,Count,Rule,SourceIP,Fields",
        "--format markdown",
        "--format timesketch",
        "--format ecs",
        "--format table --group",
        "--format jsonl --group",
        "--format table --context 15 --sort time",
    ] {
        let mut first = None;
        for threads in [1, 8] {
            let args = format!("hunt logs -r c -q --threads {threads} {options}");
            let run = bench.harrier(&words(&args));
            assert_eq!((run.code, run.err.as_str()), (0, ""), "{args}");
            let out = String::from_utf8(run.out).unwrap();
            let out = if cfg!(windows) { out.replace("logs\\", "logs/") } else { out };
            assert_eq!(first.get_or_insert(out.clone()), &out, "{args}");
        }
        all += &format!("$ harrier hunt logs -r c {options}\n{}\n", first.unwrap());
    }
    crate::golden::compare("correlations.txt", &all);
}

#[test]
fn the_summary_and_the_ledger_count_findings() {
    let bench = burst_bench(COUNT);
    let run = bench.harrier(&words("hunt logs -r c --ledger ledger.json --fail-on high"));
    assert_eq!(run.code, 3, "{}", run.err);
    for line in [
        "Hits       1: 1 of events together (1 high)",
        "Hosts              1  DC-01",
        "Tactics    credential-access 1",
        "Top rules          1  high           Many Failures",
        "Rules      2 evaluated, 1 hit",
        "Correlated 5 hits counted, 1 without a field to group by",
    ] {
        assert!(run.err.contains(line), "{line}\n{}", run.err);
    }
    let ledger = std::fs::read(bench.path("ledger.json")).unwrap();
    let ledger: Json = serde_json::from_slice(&ledger).unwrap();
    assert_eq!(ledger["totals"]["imbalances"], json!([]));
    assert_eq!(ledger["totals"]["hits"]["total"], 1);
    let want = json!({
        "hits_met": 6, "counted": 5, "without_group": 1, "without_value": 0, "without_time": 0,
        "copies": 0, "findings": 1,
    });
    assert_eq!(ledger["totals"]["correlations"], want);
    let rules = ledger["rules"].as_array().unwrap();
    let entry = rules.iter().find(|rule| rule["title"] == "Many Failures").unwrap();
    assert_eq!((&entry["state"], &entry["hits"]), (&json!("loaded"), &json!(1)));
}

/// Rules that a correlation refers to are silent, unless one wants them to speak; other rules are not
/// concerned. What is below the least level is still counted.
#[test]
fn members_speak_when_they_are_told_to() {
    let loud = COUNT.replace("    timespan", "    generate: true\n    timespan");
    let other = COUNT
        .replace("gte: 4", "gte: 100")
        .replace("0001", "0002")
        .replace("title: ", "title: More ");
    for (correlation, options, failed, found) in [
        (COUNT.to_owned(), "", 0, 1),
        (loud.clone(), "", 6, 1),
        // One that wants to is enough.
        (format!("{loud}---\n{other}"), "", 6, 1),
        (format!("{other}---\n{loud}"), "", 6, 1),
        (loud.clone(), "--min-level high", 0, 1),
        (COUNT.to_owned(), "--min-level high", 0, 1),
        // Without the correlation the rule speaks for itself.
        (COUNT.to_owned(), "--level low", 6, 0),
        (COUNT.to_owned(), "--exclude-rule 99999999-0000-4000-8000-000000000001", 6, 0),
    ] {
        let bench = burst_bench(&correlation);
        let run = bench.harrier(&words(&format!("hunt logs -r c -q --format jsonl {options}")));
        assert_eq!(run.code, 0, "{}", run.err);
        let hits = run.hits();
        let of = |title: &str| hits.iter().filter(|hit| hit["rule"]["title"] == title).count();
        assert_eq!(
            (of("failed"), of("Many Failures")),
            (failed, found),
            "{options}\n{correlation}"
        );
    }
}

/// An aggregation groups events without its field, too; it may count the whole evidence, and then takes
/// events that do not say when they were.
#[test]
fn aggregations_count() {
    let rule = |condition: &str| {
        format!(
            "title: Counted\nlevel: high\nlogsource: {{product: windows, service: security}}\n\
             detection:\n  s: {{EventID: 4625}}\n  condition: s | {condition}\n"
        )
    };
    let timed = |condition: &str, span: &str| format!("{}  timeframe: {span}\n", rule(condition));
    for (rule, want) in [
        (rule("count() by IpAddress >= 4"), vec![(Some("10.0.0.5"), 4)]),
        (rule("count() by IpAddress == 1"), vec![(Some("10.0.0.9"), 1), (None, 1)]),
        (rule("count() > 6"), vec![(None, 7)]),
        (timed("count() > 5", "1h"), vec![(None, 6)]),
        (timed("count(TargetUserName) by IpAddress >= 3", "60s"), vec![(Some("10.0.0.5"), 4)]),
        (timed("count(TargetUserName) by IpAddress >= 3", "49s"), vec![]),
    ] {
        let bench = Bench::new();
        let mut events = burst();
        events.push(Made { ticks: u64::MAX, ip: Some("10.0.0.77"), ..events[0].clone() });
        // Alone, what has no time would be a group of one, too.
        if !rule.contains("> 6") {
            events.retain(|event| event.ticks != u64::MAX || rule.contains("timeframe"));
        }
        write(&bench, &[("logs/Security.evtx".to_owned(), events)]);
        bench.file("c/count.yml", rule.as_bytes());
        let run = bench.harrier(&words("hunt logs -r c -q --format jsonl"));
        assert_eq!(run.code, 0, "{}", run.err);
        let hits = run.hits();
        let got: Vec<(Option<&str>, u64)> = hits
            .iter()
            .map(|hit| {
                let about = &hit["correlation"];
                assert_eq!(hit["rule"]["title"], "Counted");
                (about["group_by"]["IpAddress"].as_str(), about["count"].as_u64().unwrap())
            })
            .collect();
        assert_eq!(got, want, "{rule}");
    }
}

/// Fields are read as the rule sees the event: a 4688 event has an `Image`.
#[test]
fn fields_are_those_of_the_rule() {
    let bench = Bench::new();
    let start = FileTime(BASE);
    let shell = forge::Process::new(r"C:\Windows\System32\cmd.exe", "cmd.exe", r"CORP\a");
    let parent = forge::Process::system(r"C:\Windows\explorer.exe", "explorer.exe");
    let security = forge::security::process_create(start, &shell, &parent).on("WS-01");
    let sysmon = forge::sysmon::process_create(start.plus_seconds(1), &shell, &parent).on("ws-01");
    bench.file("logs/Security.evtx", &log([security]));
    bench.file("logs/Sysmon.evtx", &log([sysmon]));
    let text = "title: Twice\nlevel: high\ncorrelation:\n  type: event_count\n  rules: started\n  group-by: \
                [Image, Computer]\n  timespan: 1m\n  condition: {gte: 2}\n---\ntitle: Started\nname: \
                started\nlogsource: {product: windows, category: process_creation}\ndetection:\n  s: \
                {Image|endswith: '\\cmd.exe'}\n  condition: s\n";
    bench.file("c/twice.yml", text.as_bytes());
    let run = bench.harrier(&words("hunt logs -r c -q --format jsonl"));
    let hits = run.hits();
    assert_eq!((run.code, hits.len()), (0, 1), "{}", run.err);
    let group = json!({"Image": r"C:\Windows\System32\cmd.exe", "Computer": "WS-01"});
    assert_eq!(hits[0]["correlation"]["group_by"], group);
    let channels: Vec<&Json> =
        hits[0]["members"].as_array().unwrap().iter().map(|member| &member["channel"]).collect();
    assert_eq!(channels, ["Security", "Microsoft-Windows-Sysmon/Operational"]);
}

/// Of a finding with very many events the first are written, and how many there are.
#[test]
fn members_are_capped_and_counted() {
    let bench = Bench::new();
    let event = |n: u64| Made { ticks: BASE + n, ..burst().remove(0) };
    write(&bench, &[("logs/Security.evtx".to_owned(), (0..2500).map(event).collect())]);
    bench.file("c/count.yml", format!("{}{COUNT}", rule(&RULES[0])).as_bytes());
    let run = bench.harrier(&words("hunt logs -r c -q --format jsonl --sort-memory 10000"));
    let hits = run.hits();
    assert_eq!((run.code, hits.len()), (0, 1), "{}", run.err);
    assert_eq!(hits[0]["members_total"], 2500);
    let members = hits[0]["members"].as_array().unwrap();
    assert_eq!(members.len(), 1000);
    assert!(members.iter().zip(1..).all(|(member, n)| member["record_id"] == n));
}

/// A correlation whose rules had nothing to look at could not see, and says so.
#[test]
fn a_correlation_can_be_blind() {
    let text = format!(
        "{}title: Both\nlevel: high\ncorrelation:\n  type: temporal\n  rules: [failed, other]\n  \
         group-by: [Computer]\n  timespan: 1m\n---\ntitle: Other\nname: other\nlogsource: {{product: \
         windows, category: process_creation}}\ndetection:\n  s: {{Image: a}}\n  condition: s\n",
        rule(&RULES[0])
    );
    let bench = burst_bench("");
    bench.file("c/count.yml", text.as_bytes());
    let run = bench.harrier(&words("hunt logs -r c -q --format jsonl --ledger l.json"));
    assert_eq!(run.code, 0, "{}", run.err);
    let ledger: Json =
        serde_json::from_slice(&std::fs::read(bench.path("l.json")).unwrap()).unwrap();
    let rules = ledger["rules"].as_array().unwrap();
    let both = rules.iter().find(|rule| rule["title"] == "Both").unwrap();
    assert_eq!(both["state"], "blind");
    assert_eq!(both["reason"], "no Sysmon and no 4688");
}

/// The rules of the corpora that count, on the sample logs, as they are and with lower thresholds:
/// what they find is what their plain conditions' hits add up to.
#[test]
fn counting_rules_of_the_corpora() {
    let Some(corpora) = support::corpora("counting_rules_of_the_corpora") else { return };
    let folder = corpora.join("hayabusa-rules/hayabusa/builtin/Security/LogonLogoff/Logon");
    // The file, its threshold and a lower one, fields, what is counted, minutes.
    type Row =
        (&'static str, [&'static str; 2], u64, u64, &'static [&'static str], Option<&'static str>);
    let rows: [Row; 6] = [
        (
            "Sec_4625_Med_LogonFail_WrongPW_PW-Guessing_Cnt_Deprecated.yml",
            [">= 5", ">= 1"],
            5,
            1,
            &["IpAddress"],
            None,
        ),
        (
            "Sec_4625_Med_LogonFail_UserGuessing_Cnt_Deprecated.yml",
            ["> 3", "> 0"],
            4,
            1,
            &["IpAddress"],
            Some("TargetUserName"),
        ),
        (
            "Sec_4648_Med_ExplicitLogon_PW-Spray_Cnt_Deprecated.yml",
            [">= 5", ">= 1"],
            5,
            1,
            &["IpAddress"],
            Some("TargetUserName"),
        ),
        (
            "Sec_4625_Med_LogonFail_UserGuessing_Correlation.yml",
            ["gt: 3", "gt: 0"],
            4,
            1,
            &[
                "IpAddress",
                "LogonType",
                "TargetDomainName",
                "ProcessName",
                "LogonProcessName",
                "WorkstationName",
            ],
            Some("TargetUserName"),
        ),
        (
            "Sec_4648_Med_ExplicitLogon_PW-Spray_Correlation.yml",
            ["gte: 5", "gte: 1"],
            5,
            1,
            &["IpAddress", "Computer"],
            Some("TargetUserName"),
        ),
        (
            "Sec_4625_Med_LogonFail_WrongPW_PW-Guessing_Correlation.yml",
            ["gte: 5", "gte: 1"],
            5,
            1,
            &[
                "TargetUserName",
                "TargetDomainName",
                "IpAddress",
                "LogonType",
                "ProcessName",
                "LogonProcessName",
            ],
            None,
        ),
    ];
    let bench = Bench::new();
    let mut all = 0;
    for (file, [threshold, lower], least, lower_least, group, counted) in rows {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        assert!(text.contains(threshold), "{file}");
        // The rule alone: without its aggregation, and without the correlation before it.
        let plain = text.split("\n---").last().unwrap();
        let plain: String = plain
            .lines()
            .filter(|line| !line.trim_start().starts_with("timeframe"))
            .map(|line| {
                line.split('|').next().filter(|_| line.contains("| count(")).unwrap_or(line)
            })
            .map(|line| format!("{line}\n"))
            .collect();
        bench.file("plain/rule.yml", plain.as_bytes());
        let logs = corpora.join("evtx");
        let hits = hunt_corpora(&bench, "plain", &logs);
        for (text, least) in [(text.clone(), least), (text.replace(threshold, lower), lower_least)]
        {
            bench.file("counting/rule.yml", text.as_bytes());
            let found = hunt_corpora(&bench, "counting", &logs);
            let want = bursts(&hits, group, counted, least, 300 * SECOND);
            let got: Vec<(u64, u64, usize)> = found
                .iter()
                .map(finding)
                .map(|found| (found.first, found.last, found.members.len()))
                .collect();
            assert_eq!(got, want, "{file}");
            all += got.len();
        }
    }
    assert!(all > 0, "nothing was found with low thresholds");
}

fn hunt_corpora(bench: &Bench, rules: &str, logs: &Path) -> Vec<Json> {
    let mut args = words(&format!("hunt -r {rules} -q --format jsonl --include-deprecated"));
    args.push(logs.to_str().unwrap().to_owned());
    let run = bench.harrier(&args);
    assert!(run.code == 0 || run.code == 1, "{}", run.err);
    run.hits()
}

/// By the fields of plain hits: first, last and number of events of each burst, by the first.
fn bursts(
    hits: &[Json],
    group: &[&str],
    counted: Option<&str>,
    least: u64,
    span: u64,
) -> Vec<(u64, u64, usize)> {
    let field = |hit: &Json, name: &str| match name {
        "Computer" => hit["event"]["computer"].to_string().to_lowercase(),
        name => hit["data"][name].to_string().to_lowercase(),
    };
    let mut groups: BTreeMap<Vec<String>, Vec<(u64, String)>> = BTreeMap::new();
    for hit in hits {
        let key = group.iter().map(|name| field(hit, name)).collect();
        let value = counted.map_or_else(String::new, |name| field(hit, name));
        let time = ticks(hit["timestamp"].as_str().unwrap());
        groups.entry(key).or_default().push((time, value));
    }
    let mut out = Vec::new();
    for mut events in groups.into_values() {
        events.sort();
        while let Some((start, _)) = events.first().cloned() {
            let end = events.iter().take_while(|(time, _)| time - start <= span).count();
            let distinct: BTreeSet<&String> =
                events[..end].iter().map(|(_, value)| value).collect();
            let number = if counted.is_some() { distinct.len() } else { end };
            if number as u64 >= least {
                out.push((start, events[end - 1].0, end));
                events.drain(..end);
            } else {
                events.remove(0);
            }
        }
    }
    out.sort();
    out
}
