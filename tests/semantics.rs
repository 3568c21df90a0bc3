//! What a rule means, decision by decision: rules as text against events made by hand, each by both
//! ways of scanning.

use crate::support::{Made, matches, matches_source};
use harrier::event::{LeafKind, Section};

/// A Sysmon process creation with one field.
fn with(field: &str, value: &str) -> Made {
    Made::sysmon(1).data(field, value)
}

fn selection(item: &str) -> String {
    format!("selection:\n  {item}\ncondition: selection")
}

#[track_caller]
fn check(item: &str, field: &str, value: &str, want: bool) {
    assert_eq!(matches(&selection(item), &with(field, value)), want, "{item} on {value:?}");
}

#[test]
fn text_is_the_whole_value_without_case() {
    for (item, value, want) in [
        ("F: cmd.exe", "cmd.exe", true),
        ("F: cmd.exe", "CMD.EXE", true),
        ("F: cmd.exe", "xcmd.exe", false),
        ("F: cmd.exe", "cmd.exe ", true),
        ("F: cmd.exe", "cmd.exe\u{0}", true),
        ("F: cmd.exe", " cmd.exe", false),
        ("F: cmd.exe", "cmd.exe\r\n", false),
        ("F: 'cmd.exe '", "cmd.exe", false),
        ("F: 'cmd.exe '", "cmd.exe ", true),
        ("F: ''", "", true),
        ("F: ''", " ", false),
        ("F: '*'", "", true),
        ("F: '*'", "x", true),
        ("F|contains: ''", "", true),
        ("F: a*c", "aBBc", true),
        ("F: a*c", "a\n\nc", true),
        ("F: a*c", "a c ", false),
        ("F: a?c", "aéc", true),
        ("F: a?c", "ac", false),
        ("F: 'АДМИН'", "админ", true),
        ("F|contains: 'ÉCOLE'", "l'école", true),
        ("F|endswith: 'STRASSE'", "straße", false),
        ("F|startswith: 'C:\\Windows\\'", "c:\\windows\\x", true),
        ("F|startswith: 'C:\\Windows\\'", "c:\\windows", false),
        ("F|endswith: '\\cmd.exe'", "C:\\x\\CMD.exe", true),
        ("F|endswith: 'c '", "a c ", true),
        ("F|endswith: 'c '", "a c", false),
        ("F|contains: 'a*c?d'", "xxabbcXdyy", true),
        ("F|endswith: '\\a?c'", "z\\abc", true),
        ("F|endswith: '\\a?c'", "z\\abcd", false),
    ] {
        check(item, "F", value, want);
    }
}

#[test]
fn many_values_are_tested_as_one_by_one() {
    let list = |modifier: &str, values: &[&str]| {
        let values: Vec<String> = values.iter().map(|v| format!("'{v}'")).collect();
        format!("F{modifier}: [{}]", values.join(", "))
    };
    let many = ["aa", "bb", "cc", "dd", "ee", "ff", "Long enough", "\\long.exe", "gg"];
    for (modifier, value, want) in [
        ("", "LONG ENOUGH", true),
        ("", "long enough  ", true),
        ("", "long enoug", false),
        ("|endswith", "x\\LONG.exe", true),
        ("|endswith", "xgg", true),
        ("|endswith", "long.exe.", false),
        ("|contains", "x..LONG ENOUGH..x", true),
        ("|contains", "a.b.c", false),
        ("|startswith", "ffx", true),
        ("|startswith", "xff", false),
    ] {
        check(&list(modifier, &many), "F", value, want);
    }
}

#[test]
fn guids_match_with_and_without_braces() {
    let bare = "0cce9210-69ae-11d9-bed3-505054503030";
    let braced = "{0cce9210-69ae-11d9-bed3-505054503030}";
    for (rule, value, want) in [
        (bare, braced, true),
        (braced, bare, true),
        (braced, "{0CCE9210-69AE-11D9-BED3-505054503030}", true),
        (bare, bare, true),
        (bare, "0cce9210-69ae-11d9-bed3-505054503031", false),
    ] {
        check(&format!("F: '{rule}'"), "F", value, want);
        check(&format!("F: ['{rule}', a, b, c, d, e, f, g]"), "F", value, want);
    }
}

#[test]
fn numbers_compare_by_value_in_decimal() {
    for (item, value, want) in [
        ("F: 16", "16", true),
        ("F: 16", " 16 ", true),
        ("F: 16", "16.0", true),
        ("F: 16", "016", true),
        ("F: 16", "0x10", false),
        ("F: 16", "160", false),
        ("F: '16'", "16", true),
        ("F: '16'", "16.0", false),
        ("F: 1.10", "1.1", true),
        ("F: 1.10", "1.10", true),
        ("F: 00000429", "00000429", true),
        ("F: 00000429", "429", false),
        ("F|contains: 1", "x1y", true),
        ("F|gt: 5", "6", true),
        ("F|gt: 5", "5", false),
        ("F|gte: 5", "5", true),
        ("F|lt: 5", "-1", true),
        ("F|lte: 5", "5.5", false),
        ("F|gt: 5", "0x10", false),
        ("F|gt: 5", "nan", false),
        ("F|gt: 5", "", false),
        ("F|lt: 99999999999999999999999", "18446744073709551615", true),
        ("F: true", "TRUE", true),
        ("F: 'true'", "true", true),
        ("F: false", "true", false),
    ] {
        check(item, "F", value, want);
    }
}

#[test]
fn absent_empty_and_null_are_three_things() {
    let absent = Made::sysmon(1).data("Other", "x");
    let empty = with("F", "");
    let there = with("F", "x");
    for (item, on_absent, on_empty, on_there) in [
        ("F: null", true, false, false),
        ("F: ''", false, true, false),
        ("F: [null, '']", true, true, false),
        ("F: [null, x]", true, false, true),
        ("F: []", true, false, false),
        ("F|exists: true", false, true, true),
        ("F|exists: false", true, false, false),
        ("F: x", false, false, true),
        ("F|neq: x", true, true, false),
        ("F|neq: [x, y]", true, true, false),
        ("F|contains: x", false, false, true),
        ("F|fieldref: Other", false, false, false),
        ("F|fieldref|neq: Other", true, true, true),
        ("F: '-'", false, false, false),
    ] {
        for (event, want) in [(&absent, on_absent), (&empty, on_empty), (&there, on_there)] {
            assert_eq!(matches(&selection(item), event), want, "{item}");
        }
    }
    // Two-valued: `not` over a missing field is true.
    let not = "selection:\n  Other: x\nfilter:\n  F: x\ncondition: selection and not filter";
    assert!(matches(not, &absent));
}

#[test]
fn a_field_of_several_values_matches_by_any() {
    let event = Made::sysmon(1).with(Section::EventData, LeafKind::Named, "F", &["one", "two"]);
    for (item, want) in [
        ("F: one", true),
        ("F: two", true),
        ("F: three", false),
        ("F|contains|all: [n, w]", true),
        ("F|contains|all: [on, ne, tw]", true),
        ("F|contains|all: [on, x]", false),
        ("F|neq: one", false),
        ("F|re: '^two$'", true),
    ] {
        assert_eq!(matches(&selection(item), &event), want, "{item}");
    }
}

#[test]
fn modifiers_mean_what_they_say() {
    for (item, value, want) in [
        ("F|windash|contains: ' -enc '", "x /enc y", true),
        ("F|contains|windash: ' -enc '", "x \u{2014}enc y", true),
        ("F|contains|windash: ' -enc '", "x -enc y", true),
        ("F|contains|windash: ' -a -b'", " /a \u{2013}b", true),
        ("F|endswith|windash: ' -s'", "x /S", true),
        ("F|contains|windash: 'up-to'", "up/to", false),
        ("F|re: 'ab+c$'", "xxabbc", true),
        ("F|re: 'ab+c'", "ABBC", false),
        ("F|re|i: 'ab+c'", "xABBCx", true),
        ("F|re|m: '^b$'", "a\nb\nc", true),
        ("F|re: '^b$'", "a\nb\nc", false),
        ("F|re|s: 'a.b'", "a\nb", true),
        ("F|re: 'a.b'", "a\nb", false),
        ("F|re: '(?i)ABC'", "abc", true),
        ("F|cased: Abc", "Abc", true),
        ("F|cased: Abc", "abc", false),
        ("F|contains|cased: Bc", "aBcd", true),
        ("F|contains|cased: Bc", "abcd", false),
        ("F|cidr: 10.0.0.0/8", "10.1.2.3", true),
        ("F|cidr: 10.0.0.0/8", "::ffff:10.1.2.3", true),
        ("F|cidr: 10.0.0.0/8", "11.1.2.3", false),
        ("F|cidr: 10.0.0.0/8", "host", false),
        ("F|cidr: fe80::/10", "[fe80::1%4]", true),
        ("F|cidr: 192.168.1.7", "192.168.1.7", true),
        ("F|base64|contains: whoami", "xd2hvYW1py", true),
        ("F|base64|contains: whoami", "XD2HVYW1PY", false),
        ("F|base64offset|contains: 'http://'", "aHR0cDovL2V4YW1wbGU=", true),
        ("F|base64offset|contains: 'http://'", "IGh0dHA6Ly9leA==", true),
        ("F|wide|base64offset|contains: 'ping'", "cABpAG4AZwA=", true),
        ("F|contains|all: [a, b]", "xbxa", true),
        ("F|contains|all: [a, b]", "xa", false),
        ("F|endswith|neq: x", "ax", false),
        ("F|hour: 13", "2026-03-01T13:59:59.1234567Z", true),
        ("F|hour|gte: 14", "2026-03-01T13:59:59.1234567Z", false),
        ("F|year|lt: 2027", "2026-03-01T13:59:59Z", true),
        ("F|week: 9", "2026-03-01T13:59:59Z", true),
    ] {
        check(item, "F", value, want);
    }
}

#[test]
fn field_references_compare_as_literal_text() {
    for (item, f, g, want) in [
        ("F|fieldref: G", "ABC", "abc", true),
        ("F|fieldref: G", "a*c", "abc", false),
        ("F|fieldref|cased: G", "ABC", "abc", false),
        ("F|fieldref|endswith: G", "xxabc", "ABC", true),
        ("F|fieldref|startswith: G", "abcx", "ABC", true),
        ("F|fieldref|contains: G", "xabcx", "ABC", true),
        ("F|fieldref|contains: G", "xabx", "ABC", false),
        ("F|fieldref: G", "abc ", "abc", false),
    ] {
        let event = with("F", f).data("G", g);
        assert_eq!(matches(&selection(item), &event), want, "{item} on {f:?}, {g:?}");
    }
}

#[test]
fn keywords_are_sought_in_each_value() {
    let event = Made::new("Application", "Prov\\ider", 7)
        .unnamed(&["first Value", "second \"quoted\" one", "42"])
        .data("FieldName", "c:\\x");
    for (detection, want) in [
        ("keywords:\n  - 'VALUE'\ncondition: keywords", true),
        ("keywords:\n  - FieldName\ncondition: keywords", false),
        ("keywords:\n  - 'c:\\x'\ncondition: keywords", true),
        ("keywords:\n  - 'prov\\ider'\ncondition: keywords", true),
        ("keywords:\n  - '\"quoted\"'\ncondition: keywords", true),
        ("keywords:\n  - 'Value second'\ncondition: keywords", false),
        ("keywords:\n  - 'f*value'\ncondition: keywords", true),
        ("keywords:\n  - 42\ncondition: keywords", true),
        ("keywords:\n  '|all':\n    - first\n    - quoted\ncondition: keywords", true),
        ("keywords:\n  '|all':\n    - first\n    - absent\ncondition: keywords", false),
        ("keywords:\n  '|re':\n    - '^first'\ncondition: keywords", true),
        ("keywords:\n  '|cased':\n    - 'first V'\ncondition: keywords", true),
        ("keywords:\n  '|cased':\n    - 'first v'\ncondition: keywords", false),
        ("keywords: quoted\ncondition: keywords", true),
        ("keywords:\n  - 7\n  - absent\ncondition: not keywords", false),
    ] {
        assert_eq!(matches(detection, &event), want, "{detection}");
    }
}

#[test]
fn conditions_follow_the_grammar() {
    let event = with("F", "x").data("G", "y");
    let sections = "yes: {F: x}\nno: {F: z}\nyes_2: {G: y}\n_hidden: {F: z}\nnotepad: {F: x}\n";
    for (condition, want) in [
        ("yes", true),
        ("not no", true),
        ("not not yes", true),
        ("no or yes and yes_2", true),
        ("yes and no or yes_2", true),
        ("not yes or yes_2", true),
        ("not (yes or yes_2)", false),
        ("1 of yes*", true),
        ("all of yes*", true),
        ("any of no*", true),
        ("1 of them", true),
        ("all of them", false),
        ("2 of them", true),
        ("4 of them", false),
        ("3 of them", true),
        ("1 of _hid*", false),
        ("notepad", true),
        ("notepad and not no", true),
        ("all of y*s*_2 and yes", true),
    ] {
        let detection = format!("{sections}condition: {condition}");
        assert_eq!(matches(&detection, &event), want, "{condition}");
    }
    let list = format!("{sections}condition:\n  - no\n  - yes");
    assert!(matches(&list, &event));
}

#[test]
fn maps_are_and_lists_are_or() {
    let event = with("F", "x").data("G", "y");
    for (detection, want) in [
        ("s:\n  F: x\n  G: y\ncondition: s", true),
        ("s:\n  F: x\n  G: z\ncondition: s", false),
        ("s:\n  - F: z\n  - G: y\ncondition: s", true),
        ("s:\n  - F: x\n    G: z\n  - F: z\n    G: y\ncondition: s", false),
        ("s:\n  F: [z, x]\ncondition: s", true),
        ("s:\n  - 'nothing'\n  - F: x\ncondition: s", true),
        ("s:\n  - 'y'\n  - F: z\ncondition: s", true),
        ("s:\n  F|contains: x\n  F|startswith: z\ncondition: s", false),
    ] {
        assert_eq!(matches(detection, &event), want, "{detection}");
    }
}

#[test]
fn field_names_fall_back_to_other_spellings() {
    let event = Made::new(
        "Microsoft-Windows-Windows Defender/Operational",
        "Microsoft-Windows-Windows Defender",
        1116,
    )
    .data("Threat Name", "Bad")
    .data("Feature Name", "f")
    .data("image", "lower")
    .data("Image2", "I");
    for (item, want) in [
        ("ThreatName: bad", true),
        ("'Threat Name': bad", true),
        ("Feature_Name: F", true),
        ("Image: lower", true),
        ("Image2: i", true),
        ("image2: i", true),
        ("Threat: bad", false),
    ] {
        assert_eq!(matches(&selection(item), &event), want, "{item}");
    }
    // The exact name wins over another spelling.
    let both = Made::sysmon(1).data("image", "lower").data("Image", "UPPER");
    assert!(matches(&selection("Image: upper"), &both));
    assert!(!matches(&selection("Image: lower"), &both));
}

#[test]
fn rules_see_only_the_events_of_their_log_source() {
    let rule = "selection:\n  CommandLine|contains: evil\ncondition: selection";
    let creation = |event: Made| event.data("CommandLine", "evil").data("NewProcessName", "x");
    for (logsource, event, want) in [
        ("product: windows, category: process_creation", Made::sysmon(1), true),
        ("product: windows, category: process_creation", Made::security(4688), true),
        ("product: windows, category: process_creation", Made::sysmon(3), false),
        ("product: windows, category: process_creation", Made::security(4624), false),
        ("product: windows, service: sysmon", Made::sysmon(99), true),
        ("product: windows, service: security", Made::sysmon(1), false),
        ("product: windows, service: security", Made::new("SECURITY", "x", 1), true),
        ("category: process_creation", Made::sysmon(1), true),
        ("product: windows", Made::new("Any/Channel", "p", 5), true),
        ("product: linux, category: process_creation", Made::sysmon(1), false),
        ("product: windows, category: unheard_of", Made::sysmon(1), false),
        // Without a channel the provider tells.
        (
            "product: windows, category: process_creation",
            Made::new("", "Microsoft-Windows-Sysmon", 1),
            true,
        ),
        ("product: windows, category: process_creation", Made::new("", "Other", 1), false),
    ] {
        assert_eq!(
            matches_source(logsource, rule, &creation(event.clone())),
            want,
            "{logsource} {event:?}"
        );
    }
}
