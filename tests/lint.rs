//! What `rules check` says: for each code a rule that has it and one that nearly has it, as data.
//!
//! Both are edits of a rule of which nothing is to be said, so that a row shows what matters and
//! nothing else.

use crate::support::{corpora, skipped, this_test};
use harrier::engine::{self, RuleSet};
use harrier::sigma::{self, Code, Finding, LoadOptions, LoadedRules, Severity};
use harrier::taxonomy::{Options, Taxonomy};
use std::collections::BTreeSet;

/// Nothing is to be said of this.
const CLEAN: &str = "title: Clean
id: 0f7c3d2a-94ab-4f0e-9a55-3c7f1f1d2b01
status: test
references:
    - https://example.org/a
date: 2026-11-22
tags:
    - attack.t1059
logsource:
    category: process_creation
    product: windows
detection:
    selection:
        Image|endswith: '\\evil.exe'
        CommandLine|contains:
            - one
            - two
    filter_main:
        ParentImage: 'C:\\good.exe'
    condition: selection and not 1 of filter_*
level: high
";

/// Text to be replaced, and by what.
type Edit = (&'static str, &'static str);

const VALUES: &str = "CommandLine|contains:\n            - one\n            - two\n";
const CONDITION: &str = "selection and not 1 of filter_*";
const FILTER: &str = "    filter_main:\n        ParentImage: 'C:\\good.exe'\n";
const ALL: &str = "Image|endswith: '\\evil.exe'\n        CommandLine|contains:\n            - one\n            - two\n";
const CATEGORY: &str = "category: process_creation";

/// Another document behind the rule.
const END: Edit = ("level: high\n", "level: high\n---\nSECOND");
const OTHER: &str = "title: Other
id: 0f7c3d2a-94ab-4f0e-9a55-3c7f1f1d2b01
logsource: {product: windows, category: process_creation}
detection: {s: {Image: aa}, condition: s}
level: low
";
const CORRELATION: &str = "title: Many
id: 2f7c3d2a-94ab-4f0e-9a55-3c7f1f1d2b01
correlation:
    type: event_count
    rules: [0f7c3d2a-94ab-4f0e-9a55-3c7f1f1d2b01]
    group-by: [Computer]
    timespan: 5m
    condition: {gte: 3}
level: low
";
const RULE_FILTER: &str = "title: Less
id: 3f7c3d2a-94ab-4f0e-9a55-3c7f1f1d2b01
logsource: {product: windows, category: process_creation}
filter:
    rules: [0f7c3d2a-94ab-4f0e-9a55-3c7f1f1d2b01]
    f: {User: svc}
    condition: not f
";

/// A code, the edits that give it, and edits that nearly do.
#[rustfmt::skip]
const ROWS: &[(Code, &[Edit], &[Edit])] = &[
    (Code::InvalidYaml, &[("title: Clean", "title: [Clean")], &[("title: Clean", "title: 'Clean'")]),
    (Code::InvalidRule, &[("level: high", "level: highest")], &[("level: high", "level: med")]),
    (Code::InvalidRule, &[("title: Clean\n", "")], &[]),
    (Code::UnknownModifier, &[("Image|endswith", "Image|endwith")], &[("Image|endswith", "Image|endswith|cased")]),
    (Code::InvalidModifier, &[("Image|endswith", "Image|endswith|re")], &[("Image|endswith", "Image|re|i")]),
    (Code::InvalidModifier, &[("Image|endswith", "Image|i")], &[]),
    (Code::InvalidValue, &[("Image|endswith: '\\evil.exe'", "Image|re: 'a('")], &[("Image|endswith: '\\evil.exe'", "Image|re: 'aa()'")]),
    (Code::InvalidCondition, &[(CONDITION, "selection and (not filter_main")], &[(CONDITION, "selection and (not filter_main)")]),
    (Code::InvalidCondition, &[(CONDITION, "[]")], &[(CONDITION, "[selection, selection and not filter_main]")]),
    (Code::UnknownSection, &[(CONDITION, "selection and not filter")], &[(CONDITION, "selection and not filter_main")]),
    (Code::UnknownSection, &[(CONDITION, "selection and not 1 of filters_*")], &[]),
    (Code::Unsupported, &[(CONDITION, "selection and not filter_main | near selection")], &[]),
    (Code::InvalidCorrelation, &[END, ("SECOND", CORRELATION), ("event_count", "event_sum")], &[END, ("SECOND", CORRELATION)]),
    (Code::InvalidFilter, &[END, ("SECOND", RULE_FILTER), ("condition: not f", "condition: [not f, not f]")], &[END, ("SECOND", RULE_FILTER)]),
    (Code::UnresolvedReference, &[END, ("SECOND", CORRELATION), ("rules: [0f7", "rules: [1f7")], &[END, ("SECOND", CORRELATION)]),
    (Code::IdleTimeframe, &[(CONDITION, "selection and not filter_main\n    timeframe: 5m")], &[(CONDITION, "selection and not filter_main | count() > 5\n    timeframe: 5m")]),
    (Code::FilterWithoutNot, &[END, ("SECOND", RULE_FILTER), ("condition: not f", "condition: f")], &[END, ("SECOND", RULE_FILTER)]),
    (Code::FilterReference, &[END, ("SECOND", RULE_FILTER), ("rules: [0f7", "rules: [any-other, 0f7")], &[END, ("SECOND", RULE_FILTER)]),
    (Code::IdleFilter, &[END, ("SECOND", RULE_FILTER), ("category: process_creation}", "category: file_event}")], &[END, ("SECOND", RULE_FILTER)]),
    (Code::MissingPlaceholder, &[(VALUES, "CommandLine|contains|expand: '%word%'\n")], &[(VALUES, "CommandLine|contains|expand: 'word%'\n")]),
    (Code::UnusedSection, &[(CONDITION, "selection")], &[(CONDITION, "all of them"), (FILTER, "")]),
    (Code::AllOfThem, &[(CONDITION, "all of them")], &[(CONDITION, "1 of them")]),
    (Code::RepeatedModifier, &[("Image|endswith", "Image|endswith|endswith")], &[("Image|endswith", "Image|endswith|cased")]),
    (Code::AllWithoutContains, &[("CommandLine|contains", "CommandLine|all")], &[("CommandLine|contains", "CommandLine|contains|all")]),
    (Code::AllWithoutContains, &[("CommandLine|contains", "CommandLine|windash|all")], &[("CommandLine|contains", "CommandLine|re|all")]),
    (Code::Base64offsetWithoutContains, &[("CommandLine|contains", "CommandLine|base64offset"), ("one", "one1")], &[("CommandLine|contains", "CommandLine|base64offset|contains"), ("one", "one1")]),
    (Code::WindashWithAll, &[("CommandLine|contains", "CommandLine|windash|contains|all")], &[("CommandLine|contains", "CommandLine|windash|contains")]),
    (Code::BareWide, &[("CommandLine|contains", "CommandLine|wide|contains")], &[("CommandLine|contains", "CommandLine|wide|base64offset|contains")]),
    (Code::ControlCharacter, &[("- one", "- \"\\temp\"")], &[("- one", "- '\\temp'")]),
    (Code::ControlCharacter, &[("- one", "- \"a\\nb\"")], &[("- one", "- |\n                a\n                b")]),
    (Code::EmptyList, &[("ParentImage: 'C:\\good.exe'", "ParentImage: []")], &[("ParentImage: 'C:\\good.exe'", "ParentImage: null")]),
    (Code::HostBits, &[(CATEGORY, "category: network_connection"), (ALL, "DestinationIp|cidr: 10.0.0.1/8\n        Image|endswith: x.exe\n"), ("ParentImage", "User")], &[(CATEGORY, "category: network_connection"), (ALL, "DestinationIp|cidr: 10.0.0.0/8\n        Image|endswith: x.exe\n"), ("ParentImage", "User")]),
    (Code::NullNeverAbsent, &[(CATEGORY, "category: create_remote_thread"), (ALL, "TargetImage: 'C:\\a.exe'\n        StartModule: null\n"), ("ParentImage", "SourceImage")], &[(CATEGORY, "category: create_remote_thread"), (ALL, "TargetImage: 'C:\\a.exe'\n        StartModule: ''\n"), ("ParentImage", "SourceImage")]),
    (Code::UnknownField, &[("Image|endswith", "Imagee|endswith")], &[("Image|endswith", "image|endswith")]),
    (Code::UnknownField, &[("ParentImage: 'C:\\good.exe'", "Image|fieldref: ParentImageName")], &[("ParentImage: 'C:\\good.exe'", "Image|fieldref: OriginalFileName")]),
    (Code::UnknownField, &[("    category: process_creation", "    service: security"), (ALL, "EventID: 4688\n        Image: aa\n"), ("ParentImage", "ParentProcessName")], &[("    category: process_creation", "    service: security"), (ALL, "EventID: 4688\n        NewProcessName: aa\n"), ("ParentImage", "ParentProcessName")]),
    // Of other events nothing is known.
    (Code::UnknownField, &[("Image|endswith", "ImagePath|endswith")], &[("    category: process_creation", "    service: security"), (CONDITION, "selection or filter_main")]),
    (Code::NeverMatches, &[("Image|endswith: '\\evil.exe'", "EventID: 4104")], &[("Image|endswith: '\\evil.exe'", "EventID: 4688")]),
    (Code::NeverMatches, &[("Image|endswith: '\\evil.exe'", "Provider_Name: Other")], &[("Image|endswith: '\\evil.exe'", "Provider_Name: Microsoft-Windows-Sysmon")]),
    (Code::UnknownLogSource, &[(CATEGORY, "category: process_creatoin")], &[(CATEGORY, "category: Process_Creation")]),
    (Code::SpecificLogSource, &[(CATEGORY, "service: sysmon"), ("Image|endswith", "EventID: 1\n        Image|endswith")], &[(CATEGORY, "service: sysmon"), (ALL, "EventID: 16\n        Configuration: ab\n"), ("ParentImage", "ConfigurationFileHash")]),
    (Code::UnknownStatus, &[("status: test", "status: tested")], &[("status: test", "status: stable")]),
    (Code::MissingId, &[("id: 0f7c3d2a-94ab-4f0e-9a55-3c7f1f1d2b01\n", "")], &[]),
    (Code::InvalidId, &[("0f7c3d2a-", "f7c3d2a-")], &[("0f7c3d2a-", "0F7C3D2A-")]),
    (Code::DuplicateId, &[END, ("SECOND", OTHER)], &[END, ("SECOND", OTHER), ("\nid: 0f7c3d2a-94ab-4f0e-9a55-3c7f1f1d2b01\nlog", "\nid: 1f7c3d2a-94ab-4f0e-9a55-3c7f1f1d2b01\nlog")]),
    (Code::DuplicateTitle, &[END, ("SECOND", OTHER), ("title: Other\nid: 0", "title: clean\nid: 1")], &[END, ("SECOND", OTHER), ("title: Other\nid: 0", "title: Cleaner\nid: 1")]),
    (Code::MissingLevel, &[("level: high\n", "")], &[("level: high", "level: informational")]),
    (Code::InvalidDate, &[("date: 2026-11-22", "date: 22.11.2026")], &[("date: 2026-11-22", "date: 2026/11/22")]),
    (Code::MisspeltKey, &[("level: high\n", "level: high\nfalsepositive:\n    - none\n")], &[("level: high\n", "level: high\nfalsepositives:\n    - none\n")]),
    (Code::InvalidTag, &[("attack.t1059", "attack.t1059.1")], &[("attack.t1059", "attack.t1059.001")]),
    (Code::InvalidTag, &[("attack.t1059", "mine.t1059")], &[("attack.t1059", "attack.execution")]),
    (Code::DuplicateTag, &[("- attack.t1059", "- attack.t1059\n    - attack.t1059")], &[("- attack.t1059", "- attack.t1059\n    - attack.t1059.001")]),
    (Code::DuplicateReference, &[("- https://example.org/a", "- https://example.org/a\n    - https://example.org/a")], &[("- https://example.org/a", "- https://example.org/a\n    - https://example.org/b")]),
    (Code::NotARule, &[("level: high\n", "level: high\n---\nnotes: none\n")], &[("level: high\n", "level: high\n---\n# notes: none\n")]),
    (Code::NotInEventLogs, &[("product: windows", "product: linux")], &[]),
    (Code::NotInEventLogs, &[(CATEGORY, "category: file_rename")], &[(CATEGORY, "category: file_event"), ("CommandLine", "TargetFilename"), ("ParentImage", "User")]),
    (Code::OpenPrefilter, &[(ALL, "Image|re: '^.{3}$'\n")], &[(ALL, "Image|re: '^ab.{3}$'\n")]),
    (Code::OpenPrefilter, &[(ALL, "Image|fieldref: ParentImage\n")], &[(ALL, "Image|fieldref: ParentImage\n        CommandLine|contains: ab\n")]),
    (Code::OpenPrefilter, &[(ALL, "Image|contains: a\n")], &[(ALL, "Image|contains: ab\n")]),
    (Code::OpenPrefilter, &[(ALL, "Image|neq: aaa\n")], &[(ALL, "Image|neq: aaa\n        EventID: 1\n")]),
    (Code::OpenPrefilter, &[(CONDITION, "not filter_main or selection")], &[]),
    (Code::OpenPrefilter, &[(ALL, "CommandLine: null\n")], &[]),
    (Code::OpenPrefilter, &[(ALL, "ProcessId|gt: 4\n")], &[(ALL, "ProcessId: 4\n")]),
    (Code::AllWithOneValue, &[(VALUES, "CommandLine|contains|all:\n            - one\n")], &[(VALUES, "CommandLine|contains|all:\n            - one\n            - two\n")]),
    (Code::NullInList, &[("ParentImage: 'C:\\good.exe'", "ParentImage:\n            - 'C:\\good.exe'\n            - null")], &[("ParentImage: 'C:\\good.exe'", "ParentImage:\n            - 'C:\\good.exe'\n            - ''")]),
    (Code::ThemSingleSection, &[(CONDITION, "1 of them"), (FILTER, "")], &[(CONDITION, "1 of them")]),
    (Code::DoubleWildcard, &[("- one", "- a**b")], &[("- one", "- a*b*c")]),
    (Code::EscapedWildcard, &[("- one", "- 'C:\\*\\x'")], &[("- one", "- 'C:\\\\*\\x'")]),
    (Code::NumberAsString, &[("ParentImage: 'C:\\good.exe'", "ProcessId: '4'")], &[("ParentImage: 'C:\\good.exe'", "ProcessId: 4")]),
    (Code::NumberAsString, &[("ParentImage: 'C:\\good.exe'", "ProcessId: [5, '4']")], &[("ParentImage: 'C:\\good.exe'", "ProcessId: '0x4'")]),
    (Code::WildcardInsteadOfModifier, &[("Image|endswith: '\\evil.exe'", "Image: '*evil.exe'")], &[("Image|endswith: '\\evil.exe'", "Image: '*evil*.exe'")]),
    (Code::WildcardInsteadOfModifier, &[("CommandLine|contains", "CommandLine"), ("- one", "- '*one*'"), ("- two", "- '*two*'")], &[("CommandLine|contains", "CommandLine"), ("- one", "- '*one*'"), ("- two", "- 'two*'")]),
    (Code::DeprecatedAggregation, &[(CONDITION, "selection and not filter_main | count() by Image > 5\n    timeframe: 5m")], &[]),
];

fn findings(loaded: LoadedRules) -> Vec<Finding> {
    let mut findings = loaded.findings();
    let taxonomy = Taxonomy::builtin(Options::default());
    findings.extend(engine::lint(&RuleSet::compile(loaded.rules, taxonomy)));
    findings
}

fn of_text(text: &str) -> Vec<Finding> {
    let options = LoadOptions { lint: true, ..LoadOptions::default() };
    findings(sigma::load_str("a_clean_rule.yml", text, &options))
}

fn edited(edits: &[Edit]) -> String {
    edits.iter().fold(CLEAN.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from:?} is not in {text}");
        text.replacen(from, to, 1)
    })
}

fn codes(findings: &[Finding]) -> BTreeSet<Code> {
    findings.iter().map(|finding| finding.code).collect()
}

#[test]
fn each_code_has_a_rule_that_has_it_and_one_that_nearly_has() {
    for second in ["", "---\n", CORRELATION, RULE_FILTER] {
        let separator = if second.is_empty() { "" } else { "---\n" };
        assert_eq!(of_text(&format!("{CLEAN}{separator}{second}")), []);
    }
    let mut covered = BTreeSet::new();
    let mut wrong = Vec::new();
    for (n, (code, with, without)) in ROWS.iter().enumerate() {
        let found = of_text(&edited(with));
        if !codes(&found).contains(code) {
            wrong.push(format!("row {n} lacks {code}: {found:#?}"));
        }
        let found = of_text(&edited(without));
        if codes(&found).contains(code) {
            wrong.push(format!("row {n} has {code} all the same: {found:#?}"));
        }
        covered.insert(*code);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // What depends on files is tested below.
    covered.extend([Code::UnreadableFile, Code::DuplicateFilename, Code::FilenameLength]);
    let all: BTreeSet<Code> = Code::ALL.iter().copied().collect();
    assert_eq!(all.difference(&covered).collect::<Vec<_>>(), Vec::<&Code>::new());
}

/// Findings that come of nothing but the edit.
#[test]
fn an_edit_gives_its_findings_and_no_others() {
    for (edits, want) in [
        (&[("Image|endswith", "Imagee|endswith")][..], &[(Code::UnknownField, 14, 9)][..]),
        (&[("- one", "- a**b")], &[(Code::DoubleWildcard, 16, 15)]),
        (
            &[("level: high\n", "levl: high\n")],
            &[(Code::MisspeltKey, 21, 1), (Code::MissingLevel, 1, 1)],
        ),
        (&[(CONDITION, "1 of filter_*")], &[(Code::UnusedSection, 13, 5)]),
        (
            &[("status: test", "status: tested"), ("attack.t", "t")],
            &[(Code::UnknownStatus, 3, 9), (Code::InvalidTag, 8, 7)],
        ),
        (&[("status: test", "status: deprecated"), ("attack.t", "t")], &[]),
        (
            &[("Image|endswith", "Image|endwith"), ("attack.t", "t")],
            &[(Code::UnknownModifier, 14, 15), (Code::InvalidTag, 8, 7)],
        ),
    ] {
        let found = of_text(&edited(edits));
        let place = |f: &Finding| (f.code, f.origin.line, f.origin.column);
        let found: BTreeSet<_> = found.iter().map(place).collect();
        assert_eq!(found, want.iter().copied().collect(), "{edits:?}");
    }
}

#[test]
fn files_are_looked_at_too() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, title: &str, id: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, CLEAN.replace("Clean", title).replace("0f7c3d2a", id)).unwrap();
    };
    write("a/some_rule_file.yml", "One", "10000000");
    write("b/some_rule_file.yml", "Two", "20000000");
    write("b/some_rule_files.yml", "Three", "30000000");
    write("c/short.yml", "Four", "40000000");
    write(&format!("c/{}.yml", "x".repeat(90)), "Five", "50000000");
    write(&format!("c/{}.yml", "x".repeat(86)), "Six", "60000000");
    let options = LoadOptions { lint: true, ..LoadOptions::default() };
    let found = findings(sigma::load(&[folder.path()], &options).unwrap());
    let name = |f: &Finding| {
        (f.code, f.origin.file.path.rsplit_once('/').unwrap().1.chars().take(5).collect::<String>())
    };
    let found: Vec<_> = found.iter().map(name).collect();
    assert_eq!(
        found,
        [
            (Code::DuplicateFilename, "some_".to_owned()),
            (Code::FilenameLength, "short".to_owned()),
            (Code::FilenameLength, "xxxxx".to_owned()),
        ]
    );
}

#[test]
fn a_file_that_cannot_be_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    // Larger than a file of rules may be.
    let file = std::fs::File::create(folder.path().join("a_large_file.yml")).unwrap();
    file.set_len((32 << 20) + 1).unwrap();
    let options = LoadOptions { lint: true, ..LoadOptions::default() };
    let found = findings(sigma::load(&[folder.path()], &options).unwrap());
    assert_eq!(codes(&found), BTreeSet::from([Code::UnreadableFile]));
    assert_eq!(found[0].code.severity(), Severity::Error);
}

/// Without being asked for, nothing is looked at; loading is the same either way.
#[test]
fn to_lint_changes_no_rule() {
    for (_, with, without) in ROWS {
        for edits in [with, without] {
            let text = edited(edits);
            let load = |lint| {
                let options = LoadOptions { lint, ..LoadOptions::default() };
                sigma::load_str("a_clean_rule.yml", &text, &options)
            };
            let (plain, linted) = (load(false), load(true));
            assert_eq!(plain.rules, linted.rules);
            assert_eq!(plain.refused, linted.refused);
            assert_eq!(plain.warnings, linted.warnings);
        }
    }
}

/// Whatever stands in a file, something or nothing is said of it, in order, and the same each time.
#[test]
fn any_text_can_be_checked() {
    const PIECES: [&str; 14] = [
        "|",
        "*",
        "\\",
        "'",
        "\"",
        ": ",
        "- ",
        "\n",
        "[",
        "]",
        "all of them",
        "null",
        "é\u{202e}",
        "\t",
    ];
    // A generator whose numbers are the same everywhere.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % n as u64).unwrap()
    };
    let mut loaded = 0;
    for _ in 0..200 {
        let mut text: Vec<char> = format!("{CLEAN}---\n{RULE_FILTER}").chars().collect();
        for _ in 0..=below(3) {
            let at = below(text.len());
            let to = (at + below(6)).min(text.len());
            text.splice(at..to, PIECES[below(PIECES.len())].chars());
        }
        let text: String = text.into_iter().collect();
        let found = of_text(&text);
        assert_eq!(of_text(&text), found, "{text}");
        loaded += usize::from(found.iter().all(|f| f.code.severity() < Severity::Error));
    }
    // Else only the refusal of broken YAML would have been tried.
    assert!((20..190).contains(&loaded), "{loaded}");
}

/// Public rules pass the checks of those who wrote them; what is said of them besides is of kinds that
/// those checks leave to others or exempt by name.
#[test]
fn public_rules_have_few_findings() {
    let Some(corpora) = corpora(&this_test()) else { return };
    let rules = corpora.join("sigma/rules");
    if !rules.is_dir() {
        return skipped(&this_test(), "no rules");
    }
    let options = LoadOptions { lint: true, ..LoadOptions::default() };
    let found = findings(sigma::load(&[rules], &options).unwrap());
    let expected = [
        Code::MissingPlaceholder,
        Code::UnknownField,
        Code::NullNeverAbsent,
        Code::NotInEventLogs,
        Code::OpenPrefilter,
        Code::EscapedWildcard,
        Code::NumberAsString,
    ];
    let others: Vec<_> = found.iter().filter(|f| !expected.contains(&f.code)).collect();
    assert!(others.is_empty(), "{others:#?}");
    let count = |code| found.iter().filter(|finding| finding.code == code).count();
    assert!((10..60).contains(&count(Code::UnknownField)), "{}", count(Code::UnknownField));
    assert_eq!(count(Code::NullNeverAbsent), 1);
    assert!(count(Code::OpenPrefilter) < 15, "{}", count(Code::OpenPrefilter));
}

/// Nothing is said against the rules that come along.
#[test]
fn the_built_in_rules_have_no_findings() {
    let options = LoadOptions { lint: true, ..LoadOptions::default() };
    assert_eq!(findings(sigma::load_builtin_with(&options)), []);
}
