//! Scanning with gate and prefilter gives what asking every rule gives: on generated rules and
//! events, one scanner over many events so that nothing of a record may linger.

use crate::support::Made;
use harrier::engine::{RuleSet, Scanner};
use harrier::event::{LeafKind, Section};
use harrier::sigma::{LoadOptions, load_str};
use harrier::taxonomy::{Options, Taxonomy};
use proptest::prelude::*;

/// Texts that rules and events share, near misses of each other in all that is special to either.
const POOL: &[&str] = &[
    "a",
    "A",
    "ab",
    "AB ",
    "ab ",
    "ab\u{0}",
    "xab",
    "abx",
    "",
    " ",
    "-a",
    "/A",
    " -a b",
    " \u{2014}a B",
    "10",
    "10 ",
    "010",
    "0x10",
    "é",
    "É",
    "k",
    "\u{212a}",
    "c:\\ab",
    "C:\\AB\\",
    "{0cce9210-69ae-11d9-bed3-505054503030}",
    "0CCE9210-69AE-11D9-BED3-505054503030",
    "::ffff:10.0.0.1",
    "10.0.0.1",
    "DeleteKey",
    "SetValue",
    "%%1905",
    "YWJhYmFi",
    "\\REGISTRY\\MACHINE\\ab",
    "HKLM\\ab",
    "1",
    "4688",
    "ab\nab",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::sample::select(POOL).prop_map(str::to_owned),
        1 => "[abAB ]{0,4}",
    ]
}

fn field() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        4 => Just("F"), 2 => Just("G"), 2 => Just("Data"), 1 => Just("Image"),
        1 => Just("EventID"), 1 => Just("Provider_Name"), 1 => Just("Channel"),
        1 => Just("ProcessId"), 1 => Just("TargetObject"), 1 => Just("EventType"),
        1 => Just("User"), 1 => Just("missing"),
    ]
}

/// A value of a rule, quoted for YAML.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\0', "\\0");
    format!("\"{}\"", escaped.replace('\n', "\\n"))
}

fn item() -> impl Strategy<Value = String> {
    let pattern = || {
        prop_oneof![
            4 => text().prop_map(|text| quoted(&text)),
            1 => (text(), prop_oneof![Just("*"), Just("?")], text()).prop_map(|(a, wild, b)| quoted(&format!("{a}{wild}{b}"))),
        ]
    };
    let values = prop_oneof![3 => prop::collection::vec(pattern(), 1..3), 1 => prop::collection::vec(pattern(), 6..9)].prop_map(|v| format!("[{}]", v.join(", ")));
    let modifier = prop_oneof![
        4 => Just(""),
        2 => Just("|contains"),
        1 => Just("|startswith"),
        1 => Just("|endswith"),
        1 => Just("|contains|all"),
        1 => Just("|cased"),
        1 => Just("|contains|windash"),
        1 => Just("|contains|cased"),
        1 => Just("|neq"),
        1 => Just("|endswith|neq"),
        1 => Just("|base64offset|contains"),
        1 => Just("|all"),
    ];
    prop_oneof![
        8 => (field(), modifier, values).prop_filter_map("no wildcards in base64", |(f, m, v)| {
            (!m.contains("base64") || !v.contains(['*', '?'])).then(|| format!("{f}{m}: {v}"))
        }),
        1 => field().prop_map(|f| format!("{f}: null")),
        1 => (field(), any::<bool>()).prop_map(|(f, b)| format!("{f}|exists: {b}")),
        1 => (field(), 0u32..20).prop_map(|(f, n)| format!("{f}: {n}")),
        1 => (field(), 0u32..20).prop_map(|(f, n)| format!("{f}|gte: {n}")),
        1 => (field(), field()).prop_map(|(f, g)| format!("{f}|fieldref: {g}")),
        1 => field().prop_map(|f| format!("{f}|re: '(?i)ab+|K'")),
        1 => field().prop_map(|f| format!("{f}|re: '^a(b|B)'")),
        1 => field().prop_map(|f| format!("{f}|cidr: 10.0.0.0/8")),
    ]
}

fn section() -> impl Strategy<Value = String> {
    let map = || {
        prop_oneof![
            2 => prop::collection::vec(item(), 1),
            1 => prop::collection::vec(item(), 2..4),
        ]
        .prop_filter_map("duplicate keys", |items| {
            let mut keys: Vec<_> =
                items.iter().map(|i| i.split(':').next().unwrap_or("")).collect();
            keys.sort_unstable();
            keys.dedup();
            (keys.len() == items.len()).then_some(items)
        })
    };
    prop_oneof![
        4 => map().prop_map(|items| {
            items.iter().map(|i| format!("    {i}\n")).collect()
        }),
        2 => prop::collection::vec(map(), 1..3).prop_map(|maps| {
            maps.iter()
                .map(|items| format!("    - {}\n", items.join("\n      ")))
                .collect()
        }),
        1 => prop::collection::vec(text().prop_filter("no empty keyword", |t| !t.is_empty()), 1..3)
            .prop_map(|words| words.iter().map(|w| format!("    - {}\n", quoted(w))).collect()),
    ]
}

pub fn rule() -> impl Strategy<Value = String> {
    let condition = prop_oneof![
        Just("s0"),
        Just("s0"),
        Just("s0 or s1"),
        Just("not s0"),
        Just("s0 and not s1"),
        Just("s0 or s1 and s2"),
        Just("1 of s*"),
        Just("all of s*"),
        Just("2 of them"),
        Just("not 1 of s*"),
        Just("s0 and not (s1 or s2)"),
        Just("not (s0 and not s1)"),
    ];
    let logsource = prop_oneof![
        Just("category: process_creation"),
        Just("category: registry_set"),
        Just("category: registry_delete"),
        Just("service: security"),
        Just("service: sysmon"),
        Just("product: windows"),
        Just("product: windows"),
        Just("product: windows"),
        Just("service: system"),
        Just("category: network_connection"),
    ];
    (logsource, [section(), section(), section()], condition).prop_map(|(source, s, condition)| {
        let [a, b, c] = s;
        format!(
            "title: t\nlogsource:\n  {source}\ndetection:\n  s0:\n{a}  s1:\n{b}  s2:\n{c}  condition: {condition}\n"
        )
    })
}

pub fn event() -> impl Strategy<Value = Made> {
    let key = prop_oneof![
        Just(("Microsoft-Windows-Sysmon/Operational", "Microsoft-Windows-Sysmon")),
        Just(("Security", "Microsoft-Windows-Security-Auditing")),
        Just(("System", "ab")),
        Just(("", "Microsoft-Windows-Sysmon")),
    ];
    let id = prop_oneof![
        Just(1u32),
        Just(4688),
        Just(12),
        Just(13),
        Just(14),
        Just(4657),
        Just(3),
        Just(7),
    ];
    let name = prop_oneof![
        Just("Image"),
        Just("F"),
        Just("G"),
        Just("ProcessId"),
        Just("TargetObject"),
        Just("EventType"),
        Just("image"),
        Just("Channel"),
        Just("NewProcessName"),
        Just("ObjectName"),
        Just("ObjectValueName"),
        Just("OperationType"),
        Just("User"),
    ];
    let leaf = (name, any::<bool>(), prop::collection::vec(text(), 0..3));
    (key, id, prop::collection::vec(leaf, 0..6)).prop_map(|((channel, provider), id, leaves)| {
        leaves.into_iter().fold(
            Made::new(channel, provider, id),
            |event, (name, unnamed, values)| {
                let values: Vec<&str> = values.iter().map(String::as_str).collect();
                if unnamed {
                    event.with(Section::EventData, LeafKind::Unnamed, "Data", &values)
                } else {
                    event.with(Section::EventData, LeafKind::Named, name, &values)
                }
            },
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn scan_is_scan_full(
        rules_text in prop::collection::vec(rule(), 1..6),
        events in prop::collection::vec(event(), 1..8),
    ) {
        // A value that a modifier refuses (too short for base64offset) only means fewer rules.
        let loaded = load_str("generated.yml", &rules_text.join("---\n"), &LoadOptions::default());
        let set = RuleSet::compile(loaded.rules, Taxonomy::builtin(Options::default()));
        let mut fast = Scanner::new(&set);
        let mut full = Scanner::new(&set);
        // Over and over: values are remembered at their second time and looked up from the third on.
        for event in std::iter::repeat_n(&events, 4).flatten() {
            prop_assert_eq!(fast.scan(event), full.scan_full(event), "{:?}", event);
        }
    }
}
