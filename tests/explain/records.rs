//! Why rules match records or do not: never otherwise than a hunt decides.

use crate::support::logs::{each_record, evtx_files};
use crate::support::{corpora, skipped, this_test};
use harrier::engine::{Probe, RuleId, RuleSet, Scanner};
use harrier::evtx::Reader;
use harrier::explain::outcome;
use harrier::sigma::{self, LoadOptions};
use harrier::taxonomy::{Options, Taxonomy};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

const EVIDENCE: &str = "fixtures/evidence";

/// The built-in rules about AMSI, and SigmaHQ's.
const REGISTERED: [&str; 2] =
    ["c4e3f275-38b8-434b-b3b0-ca14ef27ab4c", "33efc23c-6ea2-4503-8cfe-bdf82ce8f705"];
const REMOVED: [&str; 2] =
    ["eb71beed-b3cf-43b1-b7eb-e5418312eb3d", "41d1058a-aea7-4952-9293-29eaaf516465"];

fn hunt(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_harrier"))
        .args(["hunt", EVIDENCE])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

/// The outcomes that are told of a rule and a record, as JSON.
fn outcomes(what: &str, rules: Option<&str>) -> Vec<Value> {
    let mut arguments = vec!["--explain", what, "--format", "json"];
    arguments.extend(rules.iter().flat_map(|rules| ["-r", rules]));
    let output = hunt(&arguments);
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{what}: {err}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["schema"], "harrier.explain/1");
    told["outcomes"].as_array().unwrap().clone()
}

/// In Sysmon's log and in Security's, a hit and a miss of each rule.
#[test]
fn hit_and_miss_of_the_amsi_rules_are_told() {
    let corpora = corpora(&this_test());
    let rules = corpora.map(|root| root.join("sigma/rules/windows/registry"));
    let (sysmon, security) = ("Microsoft-Windows-Sysmon%4Operational.evtx", "Security.evtx");
    for which in 0..2 {
        let file = match (which, &rules) {
            (0, _) => None,
            (_, Some(rules)) => Some(rules.to_str().unwrap()),
            (_, None) => continue,
        };
        for (rule, log, offset, matched, misses) in [
            (REGISTERED[which], sysmon, 87824, true, &[][..]),
            (REGISTERED[which], security, 43224, true, &[]),
            (REMOVED[which], sysmon, 83592, true, &[]),
            (REMOVED[which], security, 41064, true, &[]),
            // What the one rule finds is no event of the other's.
            (REMOVED[which], sysmon, 87824, false, &[]),
            (REGISTERED[which], security, 41064, false, &["OperationType eq any of 2"]),
            (REMOVED[which], security, 43224, false, &["OperationType eq %%1906"]),
        ] {
            let what = format!("{rule}@WS-0417/{log}:{offset}");
            let told = outcomes(&what, file);
            assert_eq!(told.len(), 1, "{what}");
            assert_eq!(told[0]["matched"], matched, "{what}");
            assert_eq!(told[0]["rule"]["id"], rule);
            let admitting = told[0]["gate"].as_array().unwrap().iter();
            let admitting = admitting.filter(|source| source["admits"] == true).count();
            let looks = told[0]["looks"].as_array().unwrap();
            assert_eq!(admitting, looks.len(), "{what}");
            assert!(matched || !misses.is_empty() || looks.is_empty(), "{what}");
            let missed = looks.iter().flat_map(|look| look["nearest_miss"].as_array().unwrap());
            let missed: Vec<&str> = missed.map(|miss| miss["test"].as_str().unwrap()).collect();
            for (got, want) in missed.iter().zip(misses) {
                assert!(got.starts_with(want), "{what}: {missed:?}");
            }
            assert!(missed.len() >= misses.len(), "{what}: {missed:?}");
        }
    }
    if rules.is_none() {
        skipped(&this_test(), "no rules of SigmaHQ's");
    }
}

/// An excluded installer: the exclusion is the nearest miss, and what the event has stands beside it.
#[test]
fn what_excludes_is_told() {
    let output = hunt(&["--explain", "AMSI Provider Registered@303388"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        "AMSI Provider Registered  [no match]",
        "  Outcome   no match: the condition is false, by one test",
        "  true   Microsoft-Windows-Sysmon/Operational 13",
        "  false  Security 4657: the event id is 13",
        "    true   selection:",
        "    false  not",
        r"              is C:\Program Files\AVG\Antivirus\RegSvr.exe",
        r"  - has to be false: Image eq any of 4 values, such as C:\Program Files\AVG\Antivirus\RegSvr.exe",
    ] {
        assert!(text.lines().any(|told| told == line), "{line}\n{text}");
    }
}

/// Several logs have a record of the same number; each is told.
#[test]
fn a_number_in_several_logs_is_told_of_each() {
    let mut paths: BTreeSet<String> = BTreeSet::new();
    let told = outcomes(&format!("{}@1", REMOVED[0]), None);
    for outcome in &told {
        paths.insert(outcome["record"]["path"].as_str().unwrap().to_owned());
    }
    assert_eq!(paths.len(), told.len());
}

#[test]
fn what_cannot_be_explained_is_said() {
    for (what, says) in [
        ("eb71beed", "give RULE@RECORD"),
        ("eb71beed@", "give RULE@RECORD"),
        ("eb71beed@x", "give RULE@RECORD"),
        ("eb71beed@999999999", "there is no such record in fixtures/evidence"),
        ("eb71beed@Security.evtx:1", "there is no such record"),
        ("nothing like it@1", "no rule has this id, title or file: near: "),
    ] {
        let output = hunt(&["--explain", what]);
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{what}: {err}");
        assert!(err.contains(says), "{what}: {err}");
        assert!(output.stdout.is_empty());
    }
    for options in [&["-o", "x.csv"][..], &["--format", "csv"], &["--ledger", "x"]] {
        let output = hunt(&[&["--explain", "eb71beed@1"], options].concat());
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{options:?}: {err}");
        assert!(err.contains("--explain: "), "{options:?}: {err}");
    }
}

/// So many rules lie between two that are asked of a record besides those that hit it.
const STEP: usize = 131;

/// Compares outcomes with what asking every rule gives, and says how many, and how many were hits.
fn compare(set: &RuleSet, log: &Path, shift: usize) -> (usize, usize) {
    let (mut compared, mut hits) = (0, 0);
    let mut scanner = Scanner::new(set);
    let bytes = std::fs::read(log).unwrap();
    let mut number = shift;
    each_record(&mut Reader::default(), &bytes, |record| {
        number += 1;
        let hit: Vec<RuleId> = scanner.scan_full(record).to_vec();
        // Of a large log with nothing in it a part is enough.
        if hit.is_empty() && !number.is_multiple_of(7) {
            return;
        }
        let others = set.rules().map(|(id, _)| id).skip(number % STEP).step_by(STEP);
        let ids: BTreeSet<RuleId> = hit.iter().copied().chain(others).collect();
        for id in ids {
            let told = outcome(set, &[], id, record, ("log", record.offset(), 0));
            let rule = set.rule(id);
            assert_eq!(
                told.matched,
                hit.contains(&id),
                "{log:?} {:#x}: {}",
                record.offset(),
                rule.title
            );
            let probe = Probe::new(set, record);
            let held = probe.admissions(id).iter().any(|a| probe.holds(id, a));
            assert_eq!(held, told.matched, "{log:?} {:#x}: {}", record.offset(), rule.title);
            // A hit has what the prefilter wants, and misses nothing; a miss misses something.
            for look in &told.looks {
                let seen = look.literals.iter().all(|set| set.wanted.iter().any(|(_, seen)| *seen));
                assert!(!look.condition.holds || seen, "{}: {:?}", rule.title, look.literals);
                assert_eq!(look.condition.holds, look.nearest_miss.is_empty(), "{}", rule.title);
            }
            compared += 1;
            hits += usize::from(told.matched);
        }
    });
    (compared, hits)
}

#[test]
fn an_outcome_is_what_a_hunt_decides() {
    let mut set =
        RuleSet::compile(sigma::load_builtin().rules, Taxonomy::builtin(Options::default()));
    let (mut compared, mut hits) = (0, 0);
    let mut add = |(more, of_these): (usize, usize)| {
        compared += more;
        hits += of_these;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(EVIDENCE);
    for (n, log) in evtx_files(&root).iter().enumerate() {
        add(compare(&set, log, n));
    }
    if let Some(corpora) = corpora(&this_test()) {
        let folders = ["sigma/rules", "hayabusa-rules"].map(|folder| corpora.join(folder));
        let loaded = sigma::load(&folders, &LoadOptions::default()).unwrap();
        set = RuleSet::compile(loaded.rules, Taxonomy::builtin(Options::default()));
        let logs = evtx_files(&corpora.join("sigma/regression_data"));
        for (n, log) in logs.iter().enumerate().step_by(3) {
            add(compare(&set, log, n));
        }
        assert!(compared > 1_000 && hits > 60, "{compared} compared, {hits} hits");
    }
    assert!(compared > 100 && hits > 20, "{compared} compared, {hits} hits");
}

/// A filter that takes a hit away is part of the condition.
#[test]
fn filters_count() {
    let text = "title: a\nid: a\nlogsource: {product: windows, category: process_creation}\n\
                detection: {sel: {Image|endswith: x.exe}, condition: sel}\n---\n\
                title: not by me\nlogsource: {product: windows, category: process_creation}\n\
                filter:\n  rules: [a]\n  mine: {User: me}\n  condition: not mine\n";
    let loaded = sigma::load_str("a.yml", text, &LoadOptions::default());
    assert_eq!((loaded.rules.len(), loaded.filters.len()), (1, 1), "{:?}", loaded.refused);
    let set = RuleSet::compile_filtered(
        loaded.rules.clone(),
        loaded.filters.clone(),
        Taxonomy::builtin(Options::default()),
    );
    let (id, _) = set.rules().next().unwrap();
    for (image, user, want) in
        [("x.exe", "you", true), ("x.exe", "me", false), ("y.exe", "you", false)]
    {
        let event = crate::support::Made::sysmon(1).data("Image", image).data("User", user);
        let told = outcome(&set, &loaded.filters, id, &event, ("log", 0, 0));
        let hit = Scanner::new(&set).scan_full(&event).contains(&id);
        assert_eq!((told.matched, hit), (want, want), "{image} {user}");
        assert_eq!(told.looks[0].condition.parts.len(), 2);
    }
}
