//! What is evaluated, and what of it speaks for itself.

use crate::sigma::{FilterRules, LoadOptions, LoadedRules, Member, Selection, load_str};

const RULES: &str = "\
title: a
logsource: {product: windows}
detection: {s: {F: x}, condition: s}
---
title: b
logsource: {product: windows}
detection: {s: {F: x}, condition: s}
---
title: counted
logsource: {product: windows}
detection: {s: {F: x}, condition: s | count() > 3}
---
title: d
logsource: {product: windows}
detection: {s: {F: x}, condition: s}
---
title: low
correlation: {type: temporal, rules: [a, b], timespan: 5m}
---
title: top
correlation: {type: temporal, rules: [low, d], timespan: 5m}
---
title: f
logsource: {product: windows}
filter: {rules: any, s: {F: y}, condition: not s}
";

fn load(text: &str) -> LoadedRules {
    let loaded = load_str("t.yml", text, &LoadOptions::default());
    assert!(loaded.refused.is_empty(), "{:?}", loaded.refused);
    loaded
}

/// Titles, quiet ones in brackets.
fn titles(selection: &Selection) -> (Vec<String>, Vec<String>) {
    let shown = |quiet, title: &str| if quiet { format!("({title})") } else { title.to_owned() };
    let rules = selection.rules.iter().map(|rule| shown(rule.quiet, &rule.title)).collect();
    let all = selection.correlations.iter();
    (rules, all.map(|correlation| shown(correlation.quiet, &correlation.title)).collect())
}

#[test]
fn what_is_kept_and_what_speaks() {
    let inner =
        RULES.replace("rules: [a, b], timespan: 5m", "rules: [a, b], timespan: 5m, generate: true");
    let outer = RULES
        .replace("rules: [low, d], timespan: 5m", "rules: [low, d], timespan: 5m, generate: true");
    // Rules a, b, counted, d; correlations counted, low, top.
    let all = [true; 4];
    type Case<'c> = (&'c str, [bool; 4], [bool; 3], &'c [&'c str], &'c [&'c str]);
    let table: &[Case<'_>] = &[
        (RULES, all, [true; 3], &["(a)", "(b)", "(counted)", "(d)"], &["counted", "(low)", "top"]),
        (RULES, all, [false; 3], &["a", "b", "d"], &[]),
        (RULES, all, [false, true, false], &["(a)", "(b)", "d"], &["low"]),
        (RULES, [false; 4], [false, false, true], &["(a)", "(b)", "(d)"], &["(low)", "top"]),
        (RULES, [false; 4], [true, false, false], &["(counted)"], &["counted"]),
        (RULES, [false, false, true, false], [false; 3], &[], &[]),
        (&inner, all, [true; 3], &["a", "b", "(counted)", "(d)"], &["counted", "(low)", "top"]),
        (&inner, [true, false, true, true], [false, true, false], &["a", "(b)", "d"], &["low"]),
        (&outer, all, [true; 3], &["(a)", "(b)", "(counted)", "d"], &["counted", "low", "top"]),
    ];
    for (text, rules, correlations, want_rules, want_correlations) in table {
        let selection = load(text).select(rules, correlations);
        let (rules, correlations) = titles(&selection);
        assert_eq!(rules, *want_rules, "{rules:?} {correlations:?}");
        assert_eq!(correlations, *want_correlations);
        assert_eq!(selection.rule_places.len(), rules.len());
        assert_eq!(selection.correlation_places.len(), correlations.len());
    }
    assert_eq!(titles(&load(RULES).select_all()), titles(&load(RULES).select(&all, &[true; 3])));
}

#[test]
fn indexes_are_those_of_the_selection() {
    let text = RULES.replace("rules: any", "rules: [b, counted, d]");
    let text = text
        .replace("title: b\n", "title: b\nname: b\n")
        .replace("title: d\n", "title: d\nid: d\n");
    let text = text.replace("title: counted\n", "title: counted\nname: counted\n");
    let selection = load(&text).select(&[false; 4], &[false, false, true]);
    assert_eq!(selection.rule_places, [0, 1, 3]);
    assert_eq!(selection.correlation_places, [1, 2]);
    assert_eq!(selection.correlations[0].members, [Member::Rule(0), Member::Rule(1)]);
    assert_eq!(selection.correlations[1].members, [Member::Correlation(0), Member::Rule(2)]);
    assert_eq!(selection.filters[0].rules, FilterRules::These(vec![1, 2]));
}

#[test]
fn rules_alone_are_not_silenced_by_what_is_not_evaluated() {
    // Whoever compiles `rules` without `select` gets the hits of all but those that only count.
    let quiet: Vec<bool> = load(RULES).rules.iter().map(|rule| rule.quiet).collect();
    assert_eq!(quiet, [false, false, true, false]);
}
