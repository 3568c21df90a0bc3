//! `re` is a search by the `regex` crate in the event's text, and nothing that is done to be quicker
//! (required literals, expressions without Unicode for ASCII) may show. Both ways of scanning share
//! that code, so it is compared with the crate itself.

use crate::support::{Made, titles};
use harrier::engine::RuleSet;
use harrier::sigma::{LoadOptions, load_str};
use harrier::taxonomy::{Options, Taxonomy};
use proptest::prelude::*;

/// Pieces of expressions, most of them special to folding, anchors or classes.
fn piece() -> impl Strategy<Value = String> {
    let atom = prop_oneof![
        6 => prop::sample::select(&["a", "B", "ab", "k", "K", "s", "S", "\u{212a}", "\u{17f}", "\u{e9}", "\u{c9}", "5", " ", "\u{3c3}", "\u{3c2}"][..])
            .prop_map(str::to_owned),
        4 => prop::sample::select(&[".", r"\w", r"\d", r"\s", r"\W", r"\b", r"\B", "^", "$", "[a-k]", "[^a]", "[kK]", "[^s]", r"[\w.]", r"\.", r"\A", r"\z", "(?i)", "(?s-i)", "(?m:^b)", "(?i:s)", "[[:alpha:]]", r"\n", r"\x41"][..])
            .prop_map(str::to_owned),
    ];
    let count = prop_oneof![
        6 => Just(""), 1 => Just("*"), 1 => Just("+"), 1 => Just("?"), 1 => Just("{2}"), 1 => Just("*?"), 1 => Just("{0,2}")
    ];
    (atom, count).prop_map(|(atom, count)| {
        // A flag group or a word takes its count as a group.
        if count.is_empty() || atom.starts_with("(?i)") || atom.starts_with("(?s") {
            atom
        } else {
            format!("(?:{atom}){count}")
        }
    })
}

fn pattern() -> impl Strategy<Value = String> {
    let run = || prop::collection::vec(piece(), 1..5).prop_map(|pieces| pieces.concat());
    prop_oneof![
        4 => run(),
        2 => (run(), run()).prop_map(|(a, b)| format!("{a}|{b}")),
        2 => (run(), run(), run()).prop_map(|(a, b, c)| format!("{a}({b}|{c})")),
        1 => (run(), run(), run()).prop_map(|(a, b, c)| format!("({a}|{b})+{c}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn a_search_is_the_crate_s(
        pattern in pattern(),
        flags in prop::sample::select(&["", "|i", "|m", "|s", "|i|m|s"][..]),
        texts in prop::collection::vec("[aAbBkK\u{212a}sS\u{17f}\u{e9}\u{c9}5 \n\u{3c3}\u{3a3}]{0,10}", 6),
    ) {
        let rule = format!(
            "title: t\nlogsource: {{product: windows}}\ndetection:\n  s:\n    F|re{flags}: {}\n  condition: s\n",
            serde_json::Value::from(pattern.as_str())
        );
        let loaded = load_str("regex.yml", &rule, &LoadOptions::default());
        let crate_s = regex::RegexBuilder::new(&pattern)
            .case_insensitive(flags.contains("|i"))
            .multi_line(flags.contains("|m"))
            .dot_matches_new_line(flags.contains("|s"))
            .build();
        prop_assert_eq!(loaded.rules.len() == 1, crate_s.is_ok(), "{:?}", loaded.refused);
        if let Ok(crate_s) = crate_s {
            let set = RuleSet::compile(loaded.rules, Taxonomy::builtin(Options::default()));
            for text in &texts {
                let hit = !titles(&set, &Made::sysmon(1).data("F", text)).is_empty();
                prop_assert_eq!(hit, crate_s.is_match(text), "{:?}{} on {:?}", pattern, flags, text);
            }
        }
    }
}
