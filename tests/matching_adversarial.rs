//! Rules and events that nobody writes in good faith: large, deep, many, and strange. What matters is
//! that the two ways of scanning agree, that nothing takes long, and that no stack overflows.

use crate::support::{Made, rule_set, rules, titles};
use harrier::engine::{RuleSet, Scanner};
use harrier::event::{LeafKind, Section};
use harrier::sigma::{LoadOptions, LoadedRules, load_str};
use harrier::taxonomy::{Options, Taxonomy};
use std::time::{Duration, Instant};

/// The most that any one of these may take, in a build for tests on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = run();
    let took = start.elapsed();
    println!("{what}: {took:?}");
    assert!(took < PATIENCE, "{what}: {took:?}");
    result
}

fn rule(title: &str, section: &str) -> String {
    format!(
        "title: {title}\nlogsource: {{product: windows}}\ndetection:\n  s:\n{section}  condition: s\n"
    )
}

fn compile(loaded: LoadedRules) -> RuleSet {
    RuleSet::compile(loaded.rules, Taxonomy::builtin(Options::default()))
}

fn load(text: &str) -> LoadedRules {
    load_str("adversarial.yml", text, &LoadOptions::default())
}

#[test]
fn ten_thousand_values() {
    let value = |n: usize| format!("v{n}x{}", n * 7919 % 10_007);
    let values: Vec<String> = (0..10_000).map(value).collect();
    let list: String = values.iter().map(|v| format!("      - '{v}'\n")).collect();
    for (chain, wrap) in [
        ("", ("", "")),
        ("|contains", ("..", "..")),
        ("|endswith", ("..", "")),
        ("|startswith", ("", "..")),
        ("|contains|cased", ("..", "..")),
        ("|cased", ("", "")),
        ("|neq", ("", "")),
    ] {
        let text = rule("many", &format!("    F{chain}:\n{list}"));
        let set = timed(chain, || rule_set(&text));
        let at = |value: &str| Made::sysmon(1).data("F", &format!("{}{value}{}", wrap.0, wrap.1));
        let negated = chain == "|neq";
        for n in [0, 1, 4_999, 9_999] {
            assert_eq!(titles(&set, &at(&values[n])).is_empty(), negated, "{chain} {n}");
        }
        assert_eq!(titles(&set, &at("v1x1")).is_empty(), !negated, "{chain}");
    }
    let text = rule("all", &format!("    F|contains|all:\n{list}"));
    let set = timed("all", || rule_set(&text));
    let joined = values.join(" ");
    assert_eq!(titles(&set, &Made::sysmon(1).data("F", &joined)), ["all"]);
    assert!(titles(&set, &Made::sysmon(1).data("F", &joined[10..])).is_empty());
    let set = timed("keywords", || rule_set(&rule("words", &list.replace("      -", "    -"))));
    assert_eq!(titles(&set, &Made::sysmon(1).data("F", &format!("a {} b", values[77]))), ["words"]);
    let text = rule("base64", &format!("    F|base64offset|contains:\n{list}"));
    let set = timed("base64offset", || rule_set(&text));
    assert!(titles(&set, &Made::sysmon(1).data("F", "nothing")).is_empty());
}

#[test]
fn many_rules_of_the_same_kind() {
    let text: String = (0..5_000)
        .map(|n| rule(&format!("r{n}"), &format!("    F{n}|contains: value{n}\n")) + "---\n")
        .collect();
    let set = timed("5,000 fields", || rule_set(&text));
    let event = (0..300).fold(Made::sysmon(1), |event, n| {
        event.data(&format!("F{}", n * 16), &format!("a value{} b", n * 16))
    });
    let hits = timed("an event of 300 of them", || titles(&set, &event));
    assert_eq!(hits.len(), 300);
    let fields: String = (0..5_000).map(|n| format!("    F{n}|endswith: e{n}\n")).collect();
    let set = timed("5,000 fields in one", || rule_set(&rule("wide", &fields)));
    let event = (0..5_000).map(|n| (format!("F{n}"), format!("value{n}")));
    let leaves: Vec<(String, String)> = event.collect();
    let all = Made::wide(leaves.clone());
    assert_eq!(timed("all of them", || titles(&set, &all)), ["wide"]);
    assert!(titles(&set, &Made::wide(leaves[1..].to_vec())).is_empty());
}

#[test]
fn sixty_thousand_leaves() {
    let leaves = |from: usize| -> Vec<(String, String)> {
        (from..60_000).map(|n| (format!("Leaf {n}"), format!("text {n}"))).collect()
    };
    let text = [
        rule("last", "    Leaf59999: text 59999\n"),
        rule("first", "    'Leaf 0': text 0\n"),
        rule("word", "    - 'text 31415'\n"),
        rule("missing", "    NoLeaf: null\n"),
    ]
    .join("---\n");
    let set = rule_set(&text);
    let event = Made::wide(leaves(0));
    assert_eq!(
        timed("60,000 leaves", || titles(&set, &event)),
        ["last", "first", "word", "missing"]
    );
    assert_eq!(titles(&set, &Made::wide(leaves(1))), ["last", "word", "missing"]);
}

#[test]
fn deep_rules_are_refused_or_scanned() {
    let event = Made::sysmon(1).data("F", "x");
    for depth in [10, 60, 200, 1_000, 20_000] {
        let nots = format!("{}s", "not ".repeat(depth));
        let parens = format!("{}s{}", "(".repeat(depth), ")".repeat(depth));
        let tower = format!("{}s{}", "not (s and not (s or ".repeat(depth), "))".repeat(depth));
        for (what, condition) in [("not", nots), ("parentheses", parens), ("tower", tower)] {
            let text = format!(
                "title: t\nlogsource: {{product: windows}}\ndetection:\n  s: {{F: x}}\n  condition: '{condition}'\n"
            );
            let loaded = timed(&format!("{what} {depth}"), || load(&text));
            assert_eq!(loaded.documents(), 1);
            if loaded.rules.is_empty() {
                assert!(depth >= 60, "{what} {depth}: {:?}", loaded.refused);
                continue;
            }
            let hit = !titles(&compile(loaded), &event).is_empty();
            assert!(what == "tower" || hit, "{what} {depth}: depths are even");
        }
        let list = format!("    {}x{}\n", "[".repeat(depth), "]".repeat(depth));
        let maps = format!("    {}F: x{}\n", "- [{".repeat(0), "");
        for section in [list, maps] {
            let loaded = load(&rule("t", &section));
            assert_eq!(loaded.documents(), 1);
            if !loaded.rules.is_empty() {
                assert_eq!(titles(&compile(loaded), &event), ["t"]);
            }
        }
    }
    // Aliases that would unfold to more than memory holds.
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..12 {
        let list = vec![format!("*a{}", n - 1); 10].join(", ");
        bomb += &format!("a{n}: &a{n} [{list}]\n");
    }
    bomb += "title: t\nlogsource: {product: windows}\ndetection: {s: {F: *a11}, condition: s}\n";
    let loaded = timed("aliases", || load(&bomb));
    assert_eq!((loaded.rules.len(), loaded.refused.len()), (0, 1));
}

#[test]
fn huge_regular_expressions() {
    let wide = (0..10_000).map(|n| format!("w{n}q")).collect::<Vec<_>>().join("|");
    for (what, pattern, allowed) in [
        ("nested counts", "((a{100}){100}){100}".to_owned(), false),
        ("a large count", "(ab|cd){5000000}".to_owned(), false),
        ("words", r"(\w{1,64}\s){60}".to_owned(), false),
        ("alternatives", wide, true),
        ("backtracking bait", "(a+)+$".to_owned(), true),
        ("stars", "(.*a){20}".to_owned(), true),
        ("deep", format!("{}a{}", "(".repeat(5_000), ")".repeat(5_000)), false),
    ] {
        let text = rule("r", &format!("    F|re: '{pattern}'\n"));
        let loaded = timed(&format!("{what}, loaded"), || load(&text));
        assert_eq!(loaded.documents(), 1);
        if loaded.rules.is_empty() {
            assert!(!allowed, "{what}: {:?}", loaded.refused);
            assert!(!loaded.refused[0].reason.is_empty());
            continue;
        }
        let set = compile(loaded);
        let bait = format!("{}b w9999q", "a".repeat(30_000));
        let hits = timed(&format!("{what}, scanned"), || {
            titles(&set, &Made::sysmon(1).data("F", &bait)).len()
        });
        assert!(what != "alternatives" || hits == 1);
    }
}

#[test]
fn wildcards_do_not_backtrack() {
    let set = rule_set(&rule("w", &format!("    F: '{}b'\n", "*a?".repeat(50))));
    let text = "a".repeat(60_000);
    let hits = timed("fifty wildcards", || titles(&set, &Made::sysmon(1).data("F", &text)));
    assert!(hits.is_empty());
    let set = rule_set(&rule("w", &format!("    F|contains: '{}b'\n", "?".repeat(400))));
    let hits = timed("four hundred ?", || titles(&set, &Made::sysmon(1).data("F", &text)));
    assert!(hits.is_empty());
    let set = rule_set(&rule("w", &format!("    F|contains: '{}?b'\n", "a".repeat(400))));
    let hits = timed("a long start", || titles(&set, &Made::sysmon(1).data("F", &text)));
    assert!(hits.is_empty());
}

/// Rules that ask for what the gate knows of an event.
fn key_rules() -> String {
    [
        "{EventID: 1}",
        "{EventID: 4688}",
        "{EventID: '2'}",
        "{EventID|neq: 1}",
        "{EventID: null}",
        "{EventID|exists: true}",
        "{EventID: ''}",
        "{EventID|gte: 2}",
        "{EventID|contains: 8}",
        "{EventID|contains|all: [1, 4]}",
        "{EventID|re: '^[0-9]+$'}",
        "{EventID|cased: '1'}",
        "{Provider_Name: Other}",
        "{Provider_Name|contains: sysmon}",
        "{Provider_Name: null}",
        "{Channel: Security}",
        "{Channel: null}",
        "{Channel|neq: Security}",
    ]
    .iter()
    .enumerate()
    .flat_map(|(n, section)| {
        let sources = ["{product: windows}", "{category: process_creation}", "{service: security}"];
        sources.into_iter().flat_map(move |source| {
            ["", "ruletype: Hayabusa\n"].into_iter().map(move |dialect| {
                let text = if dialect.is_empty() { "s" } else { "s and c" };
                let channel =
                    if dialect.is_empty() { "" } else { "  c: {Channel: [Security, System]}\n" };
                format!(
                    "title: r{n}\n{dialect}logsource: {source}\ndetection:\n  s: {section}\n{channel}  condition: {text}\n---\n"
                )
            })
        })
    })
    .collect()
}

#[test]
fn strange_keys() {
    let set = compile(rules(&key_rules()));
    let mut hits = 0;
    let named = |event: Made, name: &str, values: &[&str]| {
        event.with(Section::System, LeafKind::Named, name, values)
    };
    let ids: &[&[&str]] = &[
        &["1"],
        &[" 1 "],
        &["+1"],
        &["01"],
        &["1.0"],
        &["0x1"],
        &["\u{ff11}"],
        &[""],
        &["abc"],
        &["99999999999999999999"],
        &["-1"],
        &["1\u{0}"],
        &["1\n"],
        &[],
        &["1", "4688"],
        &["4688", "1"],
        &["", "1"],
        &["\u{fe}\u{ff}", "1"],
    ];
    for id in ids {
        for id_name in ["EventID", "eventid", "Event_ID"] {
            for twice in [false, true] {
                for provider in [&["Microsoft-Windows-Sysmon"][..], &["x", "Other"], &[]] {
                    for channel in [
                        &["Security"][..],
                        &["System", "Security"],
                        &["Microsoft-Windows-Sysmon/Operational"],
                        &[],
                    ] {
                        let mut event = Made::wide(Vec::new()).with(
                            Section::System,
                            LeafKind::Attribute,
                            "Provider_Name",
                            provider,
                        );
                        event = named(event, id_name, id);
                        event = named(event, "Channel", channel);
                        if twice {
                            event = named(event, "EventID", &["4688"]);
                            event = named(event, "Channel", &["Security"]);
                        }
                        let mut scanner = Scanner::new(&set);
                        let fast = scanner.scan(&event).to_vec();
                        let full = scanner.scan_full(&event).to_vec();
                        assert_eq!(fast, full, "{event:?}");
                        hits += full.len();
                    }
                }
            }
        }
    }
    assert!(hits > 1_000, "{hits}");
}
