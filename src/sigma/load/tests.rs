//! Documents, actions, places, and where files come from.

use std::fs;
use std::io::Write as _;

use proptest::prelude::*;

use super::*;
use crate::sigma::fault::{RefusalKind, WarningCode};
use crate::sigma::rule::{Attribute, Condition, Dialect, Level, LogSource, Status};

const RULE: &str = "title: A rule\nlogsource:\n  product: windows\ndetection:\n  sel:\n    F: x\n  \
                    condition: sel\n";

fn text(text: &str) -> LoadedRules {
    load_str("t.yml", text, &LoadOptions::default())
}

#[track_caller]
fn rule(yaml: &str) -> Rule {
    let mut loaded = text(yaml);
    assert!(loaded.refused.is_empty() && loaded.rules.len() == 1, "{yaml}: {loaded:?}");
    loaded.rules.pop().expect("one rule")
}

#[track_caller]
fn refused(yaml: &str) -> Refused {
    let mut loaded = text(yaml);
    assert!(loaded.rules.is_empty() && loaded.refused.len() == 1, "{yaml}: {loaded:?}");
    loaded.refused.pop().expect("one refusal")
}

fn titles(loaded: &LoadedRules) -> Vec<&str> {
    loaded.rules.iter().map(|rule| rule.title.as_str()).collect()
}

#[test]
fn metadata() {
    let rule = rule(
        "\
title: Whole rule
id: 0f2b9b9c-0000-4000-8000-000000000001
name: whole
status: stable
level: crit
description: |
  Two
  lines
author: [A, B]
date: 2024-01-31
modified: 2024/02/01
references:
  - https://example.org
tags: attack.t1059
falsepositives: [None]
fields: [Image, 5]
related:
  - id: abc
    type: similar
  - {id: def}
taxonomy: Sigma
regression_tests_path: a/b
my_own_key: {a: [b]}
license: MIT
scope: [server]
simulation:
  - type: atomic-red-team
    technique: T1217
    atomic_guid: 727dbcdb
    nothing:
logsource:
  category: Process_Creation
  PRODUCT: ignored
  product: Windows
  service:
  definition: 'Prose: anything'
detection:
  timeframe: 5m
  second: {B: 2}
  first: {A: 1}
  condition: first and second
",
    );
    assert_eq!(rule.title, "Whole rule");
    assert_eq!(rule.id.as_deref(), Some("0f2b9b9c-0000-4000-8000-000000000001"));
    assert_eq!(rule.name.as_deref(), Some("whole"));
    assert_eq!((rule.status, rule.level), (Some(Status::Stable), Level::Critical));
    assert_eq!(rule.description.as_deref(), Some("Two\nlines\n"));
    assert_eq!(rule.author.as_deref(), Some("A, B"));
    assert_eq!(rule.date.as_deref(), Some("2024-01-31"));
    assert_eq!(rule.modified.as_deref(), Some("2024/02/01"));
    assert_eq!(rule.references, ["https://example.org"]);
    assert_eq!(rule.tags, ["attack.t1059"]);
    assert_eq!(rule.falsepositives, ["None"]);
    assert_eq!(rule.fields, ["Image", "5"]);
    let related = [("abc".to_owned(), "similar".to_owned()), ("def".to_owned(), String::new())];
    assert_eq!(rule.related, related);
    assert_eq!(rule.regression_tests_path.as_deref(), Some("a/b"));
    assert_eq!(rule.license.as_deref(), Some("MIT"));
    assert_eq!(rule.scope, ["server"]);
    let custom: Vec<&str> = rule.custom.iter().map(|custom| custom.name.as_str()).collect();
    assert_eq!(custom, ["my_own_key", "simulation"]);
    let b = Attribute::List(vec![Attribute::Text("b".to_owned())]);
    assert_eq!(rule.about.custom("my_own_key").and_then(|own| own.get("a")), Some(&b));
    let simulation = rule.about.custom("simulation").map(Attribute::items);
    let [test] = simulation.unwrap_or_default() else { panic!("{simulation:?}") };
    assert_eq!(test.get("technique").and_then(Attribute::text), Some("T1217"));
    assert_eq!(test.get("nothing"), Some(&Attribute::Null));
    let expected = LogSource {
        product: Some("windows".to_owned()),
        category: Some("process_creation".to_owned()),
        service: None,
    };
    assert_eq!(rule.logsource, expected);
    assert_eq!(rule.dialect, Dialect::Sigma);
    let names: Vec<&str> = rule.detection.sections.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["second", "first"]);
    let condition = Condition::And(vec![Condition::Section(1), Condition::Section(0)]);
    assert_eq!(rule.detection.condition, condition);
    let origin = Origin { file: RuleFile::named("t.yml"), document: 0, line: 1, column: 1 };
    assert_eq!(rule.origin, origin);
}

#[test]
fn custom_keys_are_kept_up_to_a_limit() {
    let long = "x".repeat(100_000);
    let about = rule(&format!("a: 1\nbig: {long}\nb: [2]\n{RULE}")).about;
    let kinds: Vec<_> = about.custom.iter().map(|custom| (&*custom.name, &custom.value)).collect();
    let two = Attribute::List(vec![Attribute::Text("2".to_owned())]);
    let one = Attribute::Text("1".to_owned());
    assert_eq!(kinds, [("a", &one), ("big", &Attribute::TooLarge), ("b", &two)]);
    assert_eq!((about.custom[1].origin.line, about.custom[1].origin.column), (2, 1));
    let many: String = (0..5_000).map(|n| format!("k{n}: x\n")).collect();
    assert!(rule(&format!("{many}{RULE}")).custom.len() < 1_000);
}

#[test]
fn the_text_of_a_document_can_be_kept() {
    let other = RULE.replace("A rule", "B rule");
    let bad = "title: bad\nlogsource: {product: windows}\n";
    let file = format!("# first\n{RULE}--- # second\n{other}...\n---\n{bad}--- {{a: 1}}\n");
    let options = LoadOptions { keep_text: true, ..LoadOptions::default() };
    let loaded = load_str("t.yml", &file, &options);
    let texts: Vec<_> = loaded.rules.iter().map(|rule| loaded.text_of(&rule.origin)).collect();
    assert_eq!(texts, [Some(&*format!("# first\n{RULE}")), Some(&*other)]);
    assert_eq!(loaded.refused.len(), 1);
    assert_eq!(loaded.text_of(&loaded.refused[0].origin), Some(bad));
    let last = Origin { line: 21, ..loaded.refused[0].origin.clone() };
    assert_eq!(loaded.text_of(&last), Some("--- {a: 1}\n"));
    assert_eq!(text(&file).text_of(&last), None);
}

#[test]
fn little_metadata_is_enough() {
    let rule = rule(RULE);
    assert_eq!((rule.level, rule.status, rule.about.id), (Level::Informational, None, None));
}

#[test]
fn levels_and_statuses() {
    let level = |word: &str| text(&format!("level: {word}\n{RULE}"));
    for (word, expected) in [
        ("informational", Level::Informational),
        ("info", Level::Informational),
        ("low", Level::Low),
        ("medium", Level::Medium),
        ("med", Level::Medium),
        ("High", Level::High),
        ("critical", Level::Critical),
        ("crit", Level::Critical),
        ("", Level::Informational),
    ] {
        assert_eq!(level(word).rules.first().map(|r| r.level), Some(expected), "{word}");
    }
    let found = level("severe").refused;
    assert_eq!(found[0].to_string(), "t.yml:1:8: the level `severe` is not one of Sigma's");

    let status = |word: &str| text(&format!("status: {word}\n{RULE}"));
    for (word, expected) in [
        ("stable", Status::Stable),
        ("test", Status::Test),
        ("testing", Status::Test),
        ("Experimental", Status::Experimental),
    ] {
        assert_eq!(status(word).rules.first().map(|r| r.status), Some(Some(expected)), "{word}");
    }
    let odd = status("brandnew");
    assert_eq!(odd.rules.first().map(|r| r.status), Some(None));
    assert_eq!(odd.warnings.first().map(|w| w.code), Some(WarningCode::UnknownStatus));
}

#[test]
fn inactive_rules_only_on_request() {
    for word in ["deprecated", "unsupported"] {
        let yaml = format!("status: {word}\nid: x\n{RULE}");
        let found = refused(&yaml);
        assert_eq!(found.kind, RefusalKind::Status);
        assert_eq!((found.origin.line, found.origin.column), (1, 9));
        assert_eq!((found.title.as_deref(), found.id.as_deref()), (Some("A rule"), Some("x")));
        let options = LoadOptions { include_inactive: true, ..LoadOptions::default() };
        assert_eq!(load_str("t.yml", &yaml, &options).rules.len(), 1);
    }
}

#[test]
fn the_dialect_of_hayabusa() {
    let hayabusa = |body: &str| {
        format!(
            "title: t\nruletype: Hayabusa\nlogsource: {{product: windows}}\ndetection:\n  s:\n    \
             {body}\n  condition: s\n"
        )
    };
    assert_eq!(rule(&hayabusa("Channel: Security")).dialect, Dialect::Hayabusa);
    assert_eq!(rule(&hayabusa("- Channel: Security\n    - A: 1")).dialect, Dialect::Hayabusa);
    assert_eq!(rule(&hayabusa("EventID: 1")).dialect, Dialect::Sigma);
    let sigma = hayabusa("Channel: Security").replace("Hayabusa", "Sigma");
    assert_eq!(rule(&sigma).dialect, Dialect::Sigma);
}

#[test]
fn refusals_of_documents() {
    let logsource = "logsource: {product: windows}\n";
    let with = |detection: &str| format!("title: t\n{logsource}detection:{detection}");
    let table = [
        (format!("{logsource}detection: {{}}\n"), 1, 1, "the rule has no `title`"),
        (format!("title: ''\n{logsource}detection: {{}}\n"), 1, 8, "`title` is a single value"),
        (format!("title:\n{logsource}detection: {{}}\n"), 1, 6, "`title` is nothing"),
        (format!("title: [a]\n{logsource}detection: {{}}\n"), 1, 8, "`title` is a list"),
        (format!("title: t\n{logsource}"), 1, 1, "no `detection`"),
        ("title: t\ndetection: {}\n".to_owned(), 1, 1, "no `logsource`"),
        ("title: t\nlogsource: windows\ndetection: {}\n".to_owned(), 2, 12, "not a map"),
        ("title: t\nlogsource: {}\ndetection: {}\n".to_owned(), 2, 12, "names no product"),
        (
            "title: t\nlogsource: {definition: x}\ndetection: {}\n".to_owned(),
            2,
            12,
            "names no product",
        ),
        (
            "title: t\nlogsource: {product: [a]}\ndetection: {}\n".to_owned(),
            2,
            22,
            "`product` of the log source is a list",
        ),
        (format!("taxonomy: ecs\n{RULE}"), 1, 11, "the taxonomy `ecs` is not known"),
        (format!("status: [a]\n{RULE}"), 1, 9, "`status` is a list"),
        (with(" {}\n"), 3, 12, "no section"),
        (with("\n"), 3, 10, "`detection` is nothing"),
        (with(" []\n"), 3, 12, "`detection` is a list"),
        (with("\n  condition: x\n"), 4, 3, "no section"),
        (with("\n  timeframe: 5m\n  condition: x\n"), 4, 3, "no section"),
        (with("\n  s: {A: 1}\n"), 4, 3, "no `condition`"),
        (with("\n  s: {}\n  condition: s\n"), 4, 6, "an empty map"),
        (with("\n  s: []\n  condition: s\n"), 4, 6, "an empty list"),
        (with("\n  s:\n  condition: s\n"), 4, 3, "the section `s` is empty"),
        (with("\n  '': a\n  condition: s\n"), 4, 3, "without a name"),
        (with("\n  s: {A: 1}\n  condition:\n"), 5, 3, "`condition` is empty"),
        (with("\n  s: {A: 1}\n  condition: []\n"), 5, 14, "`condition` is empty"),
        (with("\n  s: {A: 1}\n  condition: {s: s}\n"), 5, 14, "`condition` is a map"),
        (with("\n  s: {A: 1}\n  condition: [s, [s]]\n"), 5, 18, "a condition is a list"),
        (with("\n  s: {A: 1}\n  condition: s and not x\n"), 5, 24, "no section is named `x`"),
        (with("\n  s: {A: 1}\n  condition: 's and x'\n"), 5, 21, "no section is named `x`"),
        (with("\n  s: {A: 1}\n  condition:\n    - s\n    - 1 of x*\n"), 7, 12, "selects no"),
        (with("\n  s: {A: 1}\n  condition: >\n    s and\n    x\n"), 7, 5, "is named `x`"),
        (with("\n  s: {A: 1}\n  condition: 1 of timeframe\n"), 5, 19, "selects no"),
        (with("\n  s: {A: 1}\n  s: {B: 1}\n  condition: s\n"), 5, 3, "the key `s` stands twice"),
        (with("\n  s: {A: 1, A: 2}\n  condition: s\n"), 4, 13, "the key `A` stands twice"),
        (with(" [\n"), 3, 12, "YAML: "),
    ];
    for (yaml, line, column, reason) in table {
        let found = refused(&yaml);
        assert!(found.reason.contains(reason), "{yaml}: {}", found.reason);
        assert_eq!(found.kind, RefusalKind::Error, "{yaml}");
        // Where a syntax error is noticed is the parser's affair.
        if !found.reason.starts_with("YAML") {
            assert_eq!((found.origin.line, found.origin.column), (line, column), "{yaml}");
        }
    }
}

#[test]
fn what_is_not_supported_is_told_apart() {
    let near = RULE.replace("condition: sel", "condition: sel | near other");
    let found = refused(&near);
    assert_eq!(found.kind, RefusalKind::NotSupported);
    assert_eq!((found.origin.line, found.origin.column), (7, 20));
}

#[test]
fn a_timeframe_without_an_aggregation_is_warned_of() {
    let loaded = text(&RULE.replace("  sel:", "  timeframe: 5m\n  sel:"));
    let found: Vec<_> = loaded.warnings.iter().map(|w| (w.code, w.origin.line)).collect();
    assert_eq!(found, [(WarningCode::IdleTimeframe, 5)]);
}

#[test]
fn what_is_no_rule_is_counted_apart() {
    let info = "id: x\ndescription: N/A\nregression_tests_info: []\n";
    for yaml in [info, "- a\n- b\n", "just text\n", "action: run\nx: 1\n"] {
        let loaded = text(yaml);
        let expected = NotARule { path: "t.yml".to_owned(), document: 0 };
        assert_eq!(loaded.not_rules, [expected], "{yaml}");
        assert!(loaded.rules.is_empty() && loaded.refused.is_empty());
    }
    let nothing = text("# nothing\n");
    assert_eq!((nothing.documents(), nothing.files), (0, 1));
}

#[test]
fn unused_sections_are_warned_of() {
    let yaml = RULE.replace("  sel:", "  spare: {G: y}\n  _spare: [a]\n  sel:");
    let loaded = text(&yaml);
    let found: Vec<(WarningCode, u32)> =
        loaded.warnings.iter().map(|w| (w.code, w.origin.line)).collect();
    assert_eq!(found, [(WarningCode::UnusedSection, 5), (WarningCode::UnusedSection, 6)]);
    assert!(loaded.warnings[0].text.contains("`spare`"));
}

#[test]
fn several_conditions_are_alternatives() {
    let yaml = RULE
        .replace("  sel:", "  other: {G: y}\n  sel:")
        .replace("condition: sel", "condition: [sel, not other]");
    let not_other = Condition::Not(Box::new(Condition::Section(0)));
    let expected = Condition::Or(vec![Condition::Section(1), not_other]);
    assert_eq!(rule(&yaml).detection.condition, expected);
}

#[test]
fn one_bad_document_does_not_stop_the_others() {
    let other = RULE.replace("A rule", "B rule");
    let bad = RULE.replace("F: x", "F|frobnicate: x");
    let broken = "title: [\n";
    let yaml = format!("{RULE}---\n{bad}---\n{broken}---\n{other}");
    let loaded = text(&yaml);
    assert_eq!(titles(&loaded), ["A rule", "B rule"]);
    let documents: Vec<u32> = loaded.rules.iter().map(|r| r.origin.document).collect();
    assert_eq!(documents, [0, 3]);
    let documents: Vec<u32> = loaded.refused.iter().map(|r| r.origin.document).collect();
    assert_eq!(documents, [1, 2]);
    assert_eq!(loaded.refused[0].origin.line, 14);
    assert_eq!(loaded.documents(), 4);
}

#[test]
fn global_documents_update_those_behind_them() {
    let yaml = "\
action: global
title: Shared
level: high
detection:
  condition: sel and not filter
  filter: {A: 1}
---
logsource: {product: windows, service: one}
level: low
detection:
  sel: {B: 1}
---
title: Mine loses
logsource: {product: windows, service: two}
detection:
  sel: {B: 2}
  filter: {A: 1, C: 3}
---
action: reset
---
title: Alone
logsource: {product: windows}
detection: {sel: {B: 3}, condition: sel}
";
    let loaded = text(yaml);
    assert_eq!(titles(&loaded), ["Shared", "Shared", "Alone"], "{loaded:?}");
    assert_eq!((loaded.templates, loaded.documents()), (2, 5));
    let levels: Vec<Level> = loaded.rules.iter().map(|r| r.level).collect();
    assert_eq!(levels, [Level::High, Level::High, Level::Informational]);
    let second = &loaded.rules[1];
    assert_eq!(second.logsource.service.as_deref(), Some("two"));
    let items: Vec<usize> = second
        .detection
        .sections
        .iter()
        .map(|section| match &section.body {
            super::super::rule::Node::All(nodes) => nodes.len(),
            _ => 1,
        })
        .collect();
    assert_eq!(items, [1, 2], "maps are merged, not replaced");
    assert_eq!((second.origin.document, second.origin.line), (2, 13));
}

#[test]
fn repeat_updates_the_previous_document() {
    let yaml = format!(
        "{RULE}---\naction: repeat\ntitle: Again\ndetection:\n  sel: {{F: y}}\n---\naction: \
         repeat\ntitle: Third\n"
    );
    let loaded = text(&yaml);
    assert_eq!(titles(&loaded), ["A rule", "Again", "Third"]);
    assert_eq!(loaded.rules[1].detection, {
        let mut expected = loaded.rules[2].detection.clone();
        for section in &mut expected.sections {
            section.origin.document = 1;
            if let super::super::rule::Node::Item(item) = &mut section.body {
                item.origin.document = 1;
            }
        }
        expected
    });
    assert!(refused(&format!("action: repeat\n{RULE}")).reason.contains("without a document"));
    let odd = refused(&format!("action: once\n{RULE}"));
    assert_eq!((odd.origin.line, odd.origin.column), (1, 1));
}

#[test]
fn a_lost_template_takes_its_rules_along() {
    let yaml = format!("action: global\nlevel: [\n---\n{RULE}---\naction: reset\n---\n{RULE}");
    let loaded = text(&yaml);
    assert_eq!(loaded.rules.len(), 1);
    assert_eq!(loaded.rules[0].origin.document, 3);
    assert_eq!(loaded.refused.len(), 2);
    assert!(loaded.refused[1].reason.contains("may depend on"), "{:?}", loaded.refused);
}

#[test]
fn merging_is_capped() {
    let list = vec!["x"; 20_000].join(", ");
    let mut yaml = format!("action: global\ntags: [{list}]\n");
    for _ in 0..400 {
        yaml.push_str("---\n");
        yaml.push_str(RULE);
    }
    let loaded = text(&yaml);
    assert_eq!(loaded.documents(), 401);
    assert!(!loaded.rules.is_empty() && !loaded.refused.is_empty());
    let last = loaded.refused.last().expect("a refusal");
    assert!(last.reason.contains("merged by `action`"), "{}", last.reason);
}

#[test]
fn sections_are_capped() {
    let sections: String = (0..1025).map(|i| format!("  s{i}: {{A: 1}}\n")).collect();
    let yaml =
        format!("title: t\nlogsource: {{product: x}}\ndetection:\n{sections}  condition: s0\n");
    assert!(refused(&yaml).reason.contains("more than 1024 sections"));
    let long = "n".repeat(257);
    assert!(refused(&RULE.replace("sel", &long)).reason.contains("more than 256 characters"));
}

#[test]
fn duplicate_ids_are_warned_of() {
    let with_id = format!("id: same\n{RULE}");
    let loaded = text(&format!("{with_id}---\n{with_id}---\nid: other\n{RULE}"));
    let [warning] = loaded.warnings.as_slice() else { panic!("{:?}", loaded.warnings) };
    assert_eq!((warning.code, warning.origin.document), (WarningCode::DuplicateId, 1));
    assert!(warning.text.contains("t.yml:1:1"), "{}", warning.text);
}

#[test]
fn bytes_that_are_no_text_are_refused_with_the_place() {
    let loaded = load_bytes("b.yml", b"title: a\nid: \xC3\x28\n", &LoadOptions::default());
    let found = loaded.refused.first().expect("a refusal");
    assert_eq!(found.to_string(), "b.yml:2:5: not UTF-8 text: invalid byte at offset 13");
    let utf16: Vec<u8> =
        [0xFF, 0xFE].into_iter().chain(RULE.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    assert_eq!(load_bytes("u.yml", &utf16, &LoadOptions::default()).rules.len(), 1);
    assert_eq!(text(&format!("\u{FEFF}{RULE}")).rules.len(), 1);
    assert_eq!(text(&RULE.replace('\n', "\r\n")).rules.len(), 1);
}

fn named(name: &str) -> String {
    RULE.replace("A rule", name)
}

#[test]
fn folders_are_read_in_order_of_their_paths() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, text).expect("written");
    };
    write("b.yml", &named("b"));
    write("a/z.YAML", &named("a/z"));
    write("a/b/c.yml", &named("a/b/c"));
    write("a.yml", &named("a"));
    write("readme.md", "no rule");
    write("info.yml", "id: 1\n");
    let options = LoadOptions::default();
    let loaded = load(&[folder.path()], &options).expect("loaded");
    assert_eq!(titles(&loaded), ["a", "a/b/c", "a/z", "b"]);
    let paths: Vec<&str> = loaded.rules.iter().map(|r| r.origin.path()).collect();
    assert_eq!(paths, ["a.yml", "a/b/c.yml", "a/z.YAML", "b.yml"]);
    assert_eq!((loaded.files, loaded.other_files, loaded.not_rules.len()), (5, 1, 1));

    // Several paths: in the order given; a file by its name, whatever its extension.
    write("single.rule", &named("single"));
    let paths = [folder.path().join("single.rule"), folder.path().join("a")];
    let loaded = load(&paths, &options).expect("loaded");
    assert_eq!(titles(&loaded), ["single", "a/b/c", "a/z"]);
    assert_eq!(loaded.rules[0].origin.path(), "single.rule");
    assert_eq!(loaded.rules[1].origin.path(), "b/c.yml");

    let missing = folder.path().join("missing");
    let error = load(&[folder.path(), missing.as_path()], &options).expect_err("no such path");
    assert_eq!(error.path(), missing);
    assert!(error.to_string().contains("missing"), "{error}");
}

#[cfg(unix)]
#[test]
fn links_are_followed_but_not_in_circles() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().expect("a folder");
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).expect("made");
    fs::write(inner.join("a.yml"), named("a")).expect("written");
    symlink(folder.path(), inner.join("loop")).expect("linked");
    symlink(folder.path().join("gone.yml"), inner.join("broken.yml")).expect("linked");
    let loaded = load(&[folder.path()], &LoadOptions::default()).expect("loaded");
    assert_eq!(titles(&loaded), ["a"]);
    let [broken] = loaded.unreadable.as_slice() else { panic!("{:?}", loaded.unreadable) };
    assert_eq!(broken.path, inner.join("broken.yml").display().to_string());
}

fn archive(members: &[(&str, &[u8])]) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".zip").tempfile().expect("a file");
    let mut writer = zip::ZipWriter::new(&mut file);
    for (name, content) in members {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).expect("started");
        writer.write_all(content).expect("written");
    }
    writer.finish().expect("finished");
    file
}

#[test]
fn archives_are_read_like_folders() {
    let (b, a, bad) = (named("b"), named("a"), "title: [");
    let file = archive(&[
        ("rules/b.yml", b.as_bytes()),
        ("rules/windows/a.yml", a.as_bytes()),
        ("rules/README.md", b"text"),
        ("bad.yml", bad.as_bytes()),
    ]);
    let loaded = load(&[file.path()], &LoadOptions::default()).expect("loaded");
    assert_eq!(titles(&loaded), ["b", "a"]);
    let name = file.path().file_name().expect("a name").to_string_lossy().into_owned();
    assert_eq!(loaded.rules[0].origin.path(), format!("{name}!rules/b.yml"));
    assert_eq!(loaded.refused[0].origin.path(), format!("{name}!bad.yml"));
    assert_eq!((loaded.files, loaded.other_files), (3, 1));

    fs::write(file.path(), b"PK\x03\x04 but no archive").expect("written");
    let error = load(&[file.path()], &LoadOptions::default()).expect_err("no archive");
    assert_eq!(error.path(), file.path());
}

#[test]
fn an_archive_bomb_is_told_and_left() {
    let zeros = vec![b' '; usize::try_from(MAX_FILE).expect("fits") + 1];
    let good = named("good");
    let file = archive(&[("bomb.yml", &zeros), ("good.yml", good.as_bytes())]);
    assert!(file.path().metadata().expect("there").len() < 1 << 20);
    let loaded = load(&[file.path()], &LoadOptions::default()).expect("loaded");
    assert_eq!(titles(&loaded), ["good"]);
    let [bomb] = loaded.unreadable.as_slice() else { panic!("{:?}", loaded.unreadable) };
    assert!(bomb.reason.contains("larger than"), "{}", bomb.reason);
}

#[test]
fn members_of_the_same_name_are_told_of() {
    let (a, b) = (named("a"), named("b"));
    let file = archive(&[("a.yml", a.as_bytes()), ("b.yml", b.as_bytes())]);
    let mut bytes = fs::read(file.path()).expect("read");
    while let Some(position) = bytes.windows(5).position(|window| window == b"b.yml") {
        bytes[position] = b'a';
    }
    fs::write(file.path(), bytes).expect("written");
    let loaded = load(&[file.path()], &LoadOptions::default()).expect("loaded");
    assert_eq!(loaded.rules.len(), 1);
    let [told] = loaded.unreadable.as_slice() else { panic!("{:?}", loaded.unreadable) };
    assert!(told.reason.contains("same name"), "{}", told.reason);
}

/// Every document that is not empty is in exactly one place.
fn is_accounted_for(loaded: &LoadedRules) -> bool {
    let mut documents: Vec<u32> = loaded.rules.iter().map(|r| r.origin.document).collect();
    documents.extend(loaded.refused.iter().map(|r| r.origin.document));
    documents.extend(loaded.not_rules.iter().map(|n| n.document));
    let count = documents.len();
    documents.sort_unstable();
    documents.dedup();
    documents.len() == count
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(is_accounted_for(&load_bytes("t", &bytes, &LoadOptions::default())));
    }

    #[test]
    fn no_text_makes_it_panic(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "title: t", "logsource:", "product: windows", "detection:", "condition: ", "sel",
                "\n", "\n  ", "\n    ", "\n---\n", "\n...\n", "- ", "? ", ": ", "[", "]", "{", "}",
                ", ", "&a ", "*a", "|\n", ">\n", "'", "\"", "\\", "# c", "!!str ", "!x ", "%TAG",
                "action: global", "action: repeat", "\t", "\r", "F|re: ", "F|contains: ", "<<: ",
                "null", "1.5", "é", "\u{FEFF}", "\u{2028}", "|", ">", "%", "@", "`", "~",
            ]),
            0..40,
        ),
    ) {
        let loaded = load_str("t", &pieces.concat(), &LoadOptions::default());
        prop_assert!(is_accounted_for(&loaded));
    }

    /// A valid rule with a few characters changed.
    #[test]
    fn no_small_damage_makes_it_panic(
        edits in prop::collection::vec((0..400_usize, any::<u8>(), 0..3_u8), 1..5),
    ) {
        let mut bytes = format!("{RULE}---\nstatus: test\n{RULE}").into_bytes();
        for (position, byte, kind) in edits {
            let position = position % bytes.len();
            match kind {
                0 => bytes[position] = byte & 0x7F,
                1 => bytes.insert(position, byte & 0x7F),
                _ => {
                    bytes.remove(position);
                }
            }
        }
        prop_assert!(is_accounted_for(&load_bytes("t", &bytes, &LoadOptions::default())));
    }
}
