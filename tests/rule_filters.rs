//! Filters in the engine: which hits they take away, by both ways of scanning, and which filter is
//! named for it.

use crate::support::{Made, rules};
use harrier::engine::{RuleSet, Scanner};
use harrier::sigma::Selection;
use harrier::taxonomy::{Options, Taxonomy};

/// Three rules; `Sysmon` and `4688` see the same fields in different events.
const RULES: &str = "\
title: Evil
name: evil
logsource: {product: windows, category: process_creation}
detection: {s: {Image|endswith: evil.exe}, condition: s}
---
title: Any process
name: process
logsource: {product: windows, category: process_creation}
detection: {s: {Image|exists: true}, condition: s}
---
title: Logon
name: logon
logsource: {product: windows, service: security}
detection: {s: {EventID: 4624}, condition: s}
---
";

fn filter(title: &str, logsource: &str, rules: &str, rest: &str) -> String {
    format!(
        "title: {title}\nlogsource: {{{logsource}}}\nfilter:\n  rules: {rules}\n  {rest}\n---\n"
    )
}

fn set(filters: &str) -> RuleSet {
    let Selection { rules, filters, .. } = rules(&format!("{RULES}{filters}")).select_all();
    RuleSet::compile_filtered(rules, filters, Taxonomy::builtin(Options::default()))
}

/// The titles of the rules that hit, and of the rules and filters of hits that were taken away.
fn scan(set: &RuleSet, event: &Made) -> (Vec<String>, Vec<(String, String)>) {
    let (mut scanner, mut other) = (Scanner::new(set), Scanner::new(set));
    let full = other.scan_full(event).to_vec();
    // Values are remembered from the second time on.
    for _ in 0..4 {
        assert_eq!(scanner.scan(event), full, "scan and scan_full");
        assert_eq!(scanner.filtered(), other.filtered());
    }
    let told = |rule| set.rule(rule).title.clone();
    let taken = scanner.filtered().iter();
    let taken = taken.map(|f| (told(f.rule), set.filter_title(f.filter).to_owned())).collect();
    // Another event in between leaves nothing behind.
    assert!(scanner.scan(&Made::security(1)).is_empty() && scanner.filtered().is_empty());
    (full.into_iter().map(told).collect(), taken)
}

fn sysmon(image: &str, user: &str) -> Made {
    Made::sysmon(1).data("Image", image).data("User", user)
}

fn security(image: &str, user: &str) -> Made {
    Made::security(4688).data("NewProcessName", image).data("SubjectUserName", user)
}

/// What it shows, filters, an event, the rules that hit, and rules with the filters that took their
/// hits away.
type Case<'c> = (&'c str, String, Made, &'c [&'c str], &'c [(&'c str, &'c str)]);

#[test]
fn filters_take_hits_away() {
    let windows = "product: windows";
    let users = "u: {User|startswith: adm_}\n  condition: not u";
    let table: &[Case<'_>] = &[
        ("none", String::new(), sysmon("a\\evil.exe", "adm_1"), &["Evil", "Any process"], &[]),
        (
            "listed",
            filter("f", windows, "evil", users),
            sysmon("a\\evil.exe", "adm_1"),
            &["Any process"],
            &[("Evil", "f")],
        ),
        (
            "another user",
            filter("f", windows, "evil", users),
            sysmon("a\\evil.exe", "bob"),
            &["Evil", "Any process"],
            &[],
        ),
        (
            "an absent field is not one that it names",
            filter("f", windows, "evil", users),
            Made::sysmon(1).data("Image", "evil.exe"),
            &["Evil", "Any process"],
            &[],
        ),
        (
            "any of its log source",
            filter("f", "category: process_creation", "any", users),
            sysmon("a\\evil.exe", "adm_1"),
            &[],
            &[("Evil", "f"), ("Any process", "f")],
        ),
        (
            "any of another log source",
            filter("f", "service: security", "any", users),
            sysmon("a\\evil.exe", "adm_1"),
            &["Evil", "Any process"],
            &[],
        ),
        (
            "listed, with another log source",
            filter(
                "f",
                "service: security",
                "[evil, logon]",
                "e: {EventID: 4624}\n  condition: not e",
            ),
            sysmon("a\\evil.exe", "adm_1"),
            &["Evil", "Any process"],
            &[],
        ),
        (
            "its condition is added as it is written",
            filter("f", windows, "evil", "u: {User: bob}\n  condition: u"),
            sysmon("a\\evil.exe", "adm_1"),
            &["Any process"],
            &[("Evil", "f")],
        ),
        (
            "all filters must let it through, and all that do not are named",
            [
                filter("f", windows, "evil", "u: {User: bob}\n  condition: not u"),
                filter("g", windows, "any", "i: {Image|contains: evil}\n  condition: not i"),
                filter("h", windows, "[evil, process]", "u: {User|re: '^b'}\n  condition: not u"),
            ]
            .concat(),
            sysmon("a\\evil.exe", "bob"),
            &[],
            &[
                ("Evil", "f"),
                ("Evil", "g"),
                ("Evil", "h"),
                ("Any process", "g"),
                ("Any process", "h"),
            ],
        ),
        (
            "names of sections are its own",
            filter(
                "f",
                windows,
                "evil",
                "s: {User: bob}\n  t: {User: tim}\n  condition: not 1 of them",
            ),
            sysmon("a\\evil.exe", "tim"),
            &["Any process"],
            &[("Evil", "f")],
        ),
        (
            "it sees the event as the rule does",
            filter("f", windows, "any", "i: {Image|endswith: '\\\\evil.exe'}\n  condition: not i"),
            security("C:\\evil.exe", "bob"),
            &[],
            &[("Evil", "f"), ("Any process", "f")],
        ),
        (
            "keywords",
            filter("f", windows, "any", "k: [Adm_, nobody]\n  condition: not k"),
            sysmon("a\\evil.exe", "ADM_1"),
            &[],
            &[("Evil", "f"), ("Any process", "f")],
        ),
    ];
    for (what, filters, event, want, taken) in table {
        let (hits, filtered) = scan(&set(filters), event);
        assert_eq!(hits, *want, "{what}");
        let filtered: Vec<_> = filtered.iter().map(|(r, f)| (r.as_str(), f.as_str())).collect();
        assert_eq!(filtered, *taken, "{what}");
    }
}

#[test]
fn rules_without_filters_are_as_before() {
    let set = set(&filter("f", "service: security", "logon", "u: {U: x}\n  condition: not u"));
    let of: Vec<usize> = set.rules().map(|(id, _)| set.filters_of(id).len()).collect();
    assert_eq!((of, set.filters().len()), (vec![0, 0, 1], 1));
    let (hits, taken) = scan(&set, &Made::security(4624).data("U", "x"));
    assert_eq!((hits.len(), taken.len()), (0, 1));
    let (hits, taken) = scan(&set, &Made::security(4624).data("U", "y"));
    assert_eq!((hits.len(), taken.len()), (1, 0));
}
