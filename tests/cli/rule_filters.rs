//! Filters from end to end: what is written, counted and said, with any number of threads.

use super::bench::{Bench, event, log};
use super::words;
use serde_json::Value;

const ADMINS: &str = "title: Admins\nid: f1\nlogsource: {product: windows}\nfilter:\n  rules:\n    - \
                      11111111-2222-3333-4444-555555555555\n  admins: {CommandLine|contains: ' /adm'}\n  \
                      condition: not admins\n";

/// Logs of 4,000 events, of which each third hits, and of these each other is an administrator's.
fn bench() -> Bench {
    let bench = Bench::new();
    let filler = "x".repeat(700);
    let made = |n: u32| {
        let image = if n.is_multiple_of(3) { r"C:\evil.exe" } else { r"C:\good.exe" };
        let who = if n.is_multiple_of(2) { "/adm" } else { "/bob" };
        event(n, image, format!("run {who} {filler}"))
    };
    bench.file("logs/a.evtx", &log((0..3000).map(made)));
    bench.file("logs/b.evtx", &log((3000..4000).map(made)));
    bench.file("filters/admins.yml", ADMINS.as_bytes());
    bench.file("both/rule.yml", super::EVIL.as_bytes());
    bench.file("both/admins.yml", ADMINS.as_bytes());
    bench
}

fn filtered(hit: &Value) -> bool {
    hit["filtered_by"] == serde_json::json!(["Admins"])
}

#[test]
fn what_filters_take_away_is_counted_and_can_be_shown() {
    let bench = bench();
    let plain = bench.harrier(&words("hunt logs -r rules -q"));
    assert_eq!((plain.code, plain.hits().len()), (0, 1334));
    let mut outs = Vec::new();
    for ways in ["--threads 1", "--threads 2", "--threads 8", "--threads 2 --full-scan"] {
        let shown = words(&format!(
            "hunt logs -r rules --filter filters --show-filtered -q --ledger l.json {ways}"
        ));
        let shown = bench.harrier(&shown);
        assert_eq!(shown.code, 0, "{}", shown.err);
        let ledger: Value =
            serde_json::from_slice(&std::fs::read(bench.path("l.json")).unwrap()).unwrap();
        let quiet = bench.harrier(&words(&format!("hunt logs -r both -q {ways}")));
        assert_eq!((shown.hits().len(), quiet.hits().len()), (1334, 667), "{ways}");
        // What is shown is what there is without the filter, and what is left what is not marked.
        let mut left = shown.hits();
        left.retain(|hit| !filtered(hit));
        let mut rest = quiet.hits();
        rest.iter_mut().for_each(|hit| hit["rule"]["source"] = "evil.yml".into());
        assert_eq!(left, rest, "{ways}");
        let mut unmarked = shown.hits();
        for hit in &mut unmarked {
            assert_eq!(
                filtered(hit),
                hit["data"]["CommandLine"].as_str().unwrap().contains("/adm")
            );
            hit.as_object_mut().unwrap().remove("filtered_by");
        }
        assert_eq!(unmarked, plain.hits(), "{ways}");
        let totals = &ledger["totals"];
        assert_eq!(
            (&totals["hits"]["total"], &totals["hits"]["filtered"]),
            (&667.into(), &667.into())
        );
        assert_eq!(totals["imbalances"], serde_json::json!([]));
        let sources: u64 = ledger["sources"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s["filtered_hits"].as_u64().unwrap())
            .sum();
        assert_eq!(sources, 667);
        assert_eq!(ledger["rules"][0]["filtered"], 667);
        let filter = &ledger["filters"][0];
        assert_eq!((&filter["title"], &filter["id"]), (&"Admins".into(), &"f1".into()));
        assert_eq!((&filter["rules"], &filter["hits_taken"]), (&1.into(), &667.into()));
        outs.push((shown.out, quiet.out));
    }
    assert!(outs.windows(2).all(|pair| pair[0] == pair[1]), "the same bytes each time");
}

#[test]
fn every_format_marks_what_was_taken_away() {
    let bench = Bench::new();
    bench.file(
        "logs/a.evtx",
        &log([event(1, r"C:\evil.exe", "run /adm"), event(2, r"C:\evil.exe", "run")]),
    );
    bench.file("admins.yml", ADMINS.as_bytes());
    for (format, mark) in [
        ("jsonl", "\"filtered_by\":[\"Admins\"]"),
        ("timesketch", "\"filtered_by\":[\"Admins\"]"),
        ("ecs", "\"filtered_by\":[\"Admins\"]"),
        ("csv", ",Admins"),
        ("markdown", "Admins"),
        ("table", "Admins"),
        ("table --wide", "Admins"),
        ("csv --columns Rule,FilteredBy", "Evil Started,Admins"),
    ] {
        let call = format!("hunt logs -r rules --filter admins.yml -q --format {format}");
        let plain = bench.harrier(&words(&call));
        assert!(!String::from_utf8(plain.out).unwrap().contains("Admins"), "{format}");
        let shown = bench.harrier(&words(&format!("{call} --show-filtered")));
        let text = String::from_utf8(shown.out).unwrap();
        assert_eq!(text.matches(mark).count(), 1, "{format}: {text}");
    }
    let ecs = bench
        .harrier(&words("hunt logs -r rules --filter admins.yml -q --format ecs --show-filtered"));
    let kinds: Vec<_> = ecs.hits().iter().map(|hit| hit["event"]["kind"].clone()).collect();
    assert_eq!(kinds, ["event", "alert"]);
}

#[test]
fn filters_are_told_of() {
    let bench = Bench::new();
    bench.log("logs/a.evtx", 2, 0);
    let all = ADMINS.replace("' /adm'", "' /run'");
    bench.file("filters/all.yml", all.as_bytes());
    bench.file("keep.yml", all.replace("not admins", "admins").as_bytes());
    bench.file("lost.yml", all.replace("11111111-2222", "99999999-2222").as_bytes());
    let run = bench.harrier(&words("hunt logs -r rules --filter filters --no-progress"));
    assert_eq!((run.code, run.out.len()), (0, 0), "{}", run.err);
    assert!(
        run.err.contains("Filtered   2 hits taken away by 1 filter: --show-filtered"),
        "{}",
        run.err
    );
    let run = bench.harrier(&words("hunt logs -r rules --filter filters --no-progress -v"));
    assert!(run.err.contains("Admins: 2 hits of 1 rule"), "{}", run.err);
    let fail = bench
        .harrier(&words("hunt logs -r rules --filter filters -q --fail-on low --show-filtered"));
    assert_eq!(fail.code, 0, "what a filter takes away is no hit");
    for (args, code, told) in [
        ("--filter keep.yml", 0, "keep.yml:8:14: a filter's condition is what must hold"),
        ("--filter lost.yml", 0, "lost.yml:6:7: the filter names `99999999-2222"),
        ("--filter lost.yml", 0, "lost.yml:1:1: the filter is for none of the rules"),
        ("--filter rules", 1, "evil.yml:1:1: rule not loaded: only filters are taken here"),
        ("--filter nowhere", 2, "--filter: nowhere: "),
        ("--show-filtered --group", 2, "cannot be used with"),
    ] {
        let run = bench.harrier(&words(&format!("hunt logs -r rules --no-progress {args}")));
        assert!(run.err.contains(told) && run.code == code, "{args}: {} {}", run.code, run.err);
    }
}

#[test]
fn lists_may_come_from_a_folder() {
    let bench = Bench::new();
    bench.log("logs/a.evtx", 1, 1);
    let rule = super::EVIL.replace(r"endswith: '\evil.exe'", "endswith|expand: '%programs%'");
    bench.file("listed/rule.yml", rule.as_bytes());
    bench.file("lists/programs.txt", b"# ours\nevil.exe\n\n");
    bench.file("lists/other.csv", b"x\n");
    bench.file("lists/.hidden", b"\xFF\n");
    let run = bench.harrier(&words("hunt logs -r listed --expand-dir lists --no-progress"));
    assert_eq!((run.code, run.hits().len()), (0, 1), "{}", run.err);
    assert!(!run.err.contains("other"), "a folder may hold more lists: {}", run.err);
    bench.file("more.txt", b"good.exe\n");
    let both = bench
        .harrier(&words("hunt logs -r listed --expand-dir lists --expand programs=more.txt -q"));
    assert_eq!(both.hits().len(), 2, "lists of one name add up");
    let none = bench.harrier(&words("hunt logs -r listed"));
    assert_eq!(none.code, 2);
    assert!(none.err.contains("%programs%: give it with --expand or --expand-dir"), "{}", none.err);
    let bad = bench.harrier(&words("hunt logs -r listed --expand-dir nowhere"));
    assert!(
        bad.code == 2 && bad.err.contains("--expand-dir nowhere: cannot be read"),
        "{}",
        bad.err
    );
    bench.file("lists/bad.txt", b"\xFF\n");
    let bad = bench.harrier(&words("hunt logs -r listed --expand-dir lists"));
    assert!(bad.code == 2 && bad.err.contains("bad.txt: cannot be read as text"), "{}", bad.err);
}
