//! All public rules on every record of the sample logs: scanning gives what asking every rule gives,
//! and each of SigmaHQ's regression logs has the hit that it was recorded for.

use crate::support::corpora;
use crate::support::logs::{each_record, evtx_files};
use harrier::engine::{RuleId, RuleSet, Scanner};
use harrier::evtx::Reader;
use harrier::sigma::{self, LoadOptions};
use harrier::taxonomy::{Options, Taxonomy};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// SigmaHQ's and Hayabusa's rules together; folders that hold no rules are left out.
fn all_rules(root: &Path, options: Options) -> RuleSet {
    let folders = [
        "sigma/rules",
        "sigma/rules-emerging-threats",
        "sigma/rules-placeholder",
        "sigma/rules-threat-hunting",
        "hayabusa-rules",
    ];
    let paths: Vec<PathBuf> =
        folders.iter().map(|folder| root.join(folder)).filter(|path| path.is_dir()).collect();
    let loaded = sigma::load(&paths, &LoadOptions::default()).unwrap();
    assert!(loaded.rules.len() > 2_800, "only {} rules", loaded.rules.len());
    RuleSet::compile(loaded.rules, Taxonomy::builtin(options))
}

/// What one log gave.
struct Outcome {
    path: PathBuf,
    records: u64,
    hits: Vec<(u64, RuleId)>,
    differing: Vec<String>,
}

/// Scans a log in both ways. The scanner for the quick way may have seen other logs before.
fn compare(set: &RuleSet, scanner: &mut Scanner<'_>, reader: &mut Reader, path: &Path) -> Outcome {
    let mut full = Scanner::new(set);
    let mut outcome =
        Outcome { path: path.to_owned(), records: 0, hits: Vec::new(), differing: Vec::new() };
    let mut chunk = None;
    each_record(reader, &std::fs::read(path).unwrap(), |record| {
        outcome.records += 1;
        if chunk.replace(record.chunk()) != Some(record.chunk()) {
            scanner.enter_block(record.in_chunk().0);
        }
        let fast = scanner.scan(record);
        let all = full.scan_full(record);
        if fast != all {
            let titles = |ids: &[RuleId]| -> Vec<String> {
                ids.iter().map(|id| set.rule(*id).title.clone()).collect()
            };
            let at = record.offset();
            let (fast, all) = (titles(fast), titles(all));
            outcome.differing.push(format!("{}:{at:#x}: {fast:?}, not {all:?}", path.display()));
        }
        outcome.hits.extend(all.iter().map(|id| (record.offset(), *id)));
    });
    scanner.leave_block();
    outcome
}

/// Scans all logs on all threads; a thread keeps its scanner from log to log.
fn compare_all(set: &RuleSet, paths: &[PathBuf]) -> Vec<Outcome> {
    paths
        .par_iter()
        .map_init(
            || (Scanner::new(set), Reader::default()),
            |(scanner, reader), path| compare(set, scanner, reader, path),
        )
        .collect()
}

/// No record may differ; says how much was compared.
fn check(test: &str, set: &RuleSet, outcomes: &[Outcome]) {
    let records: u64 = outcomes.iter().map(|o| o.records).sum();
    let hits: usize = outcomes.iter().map(|o| o.hits.len()).sum();
    let rules: BTreeSet<_> = outcomes.iter().flat_map(|o| &o.hits).map(|(_, id)| *id).collect();
    println!(
        "{test}: {} rules, {} predicates, {} logs, {records} records, {hits} hits of {} rules",
        set.rules().count(),
        set.predicate_count(),
        outcomes.len(),
        rules.len()
    );
    let differing: Vec<_> = outcomes.iter().flat_map(|o| &o.differing).collect();
    differing.iter().take(20).for_each(|d| println!("{d}"));
    assert!(differing.is_empty(), "{} records differ", differing.len());
    assert!(hits > 0 && records > 0);
}

/// A regression log, the ids of the rules that it was recorded for, and how often they shall hit.
fn regression_tests(root: &Path) -> Vec<(PathBuf, String)> {
    let data = root.join("sigma/regression_data");
    let infos = walkdir::WalkDir::new(data).sort_by_file_name().into_iter().filter_map(Result::ok);
    let mut tests = Vec::new();
    for info in infos.filter(|e| e.file_name() == "info.yml") {
        let text = std::fs::read_to_string(info.path()).unwrap();
        // The files are flat and regular: `- id:` under `rule_metadata`, `path:` for each log.
        let after = |key: &'static str| {
            let lines = text.lines().map(str::trim);
            lines.filter_map(move |l| l.strip_prefix(key)).map(|v| v.trim().to_owned())
        };
        let id = after("- id:").next().expect("a rule id");
        for path in after("path:").filter(|p| p.ends_with(".evtx")) {
            tests.push((root.join("sigma").join(path), id.clone()));
        }
    }
    tests
}

#[test]
fn scanning_the_corpora_is_asking_every_rule() {
    let Some(root) = corpora("scanning_the_corpora_is_asking_every_rule") else { return };
    let set = all_rules(&root, Options::default());
    let outcomes = compare_all(&set, &evtx_files(&root));
    check("default sources", &set, &outcomes);

    // One scanner over everything, in another order, finds the same: nothing lingers.
    let mut scanner = Scanner::new(&set);
    let mut reader = Reader::default();
    // Over and over: what is remembered of values is put in at the second time and used from the
    // third on, and amended by what evaluation finds.
    for pass in 0..4 {
        for outcome in outcomes.iter().rev() {
            let mut hits = Vec::new();
            each_record(&mut reader, &std::fs::read(&outcome.path).unwrap(), |record| {
                hits.extend(scanner.scan(record).iter().map(|id| (record.offset(), *id)));
            });
            assert_eq!(hits, outcome.hits, "pass {pass}: {}", outcome.path.display());
        }
    }
    println!("one scanner: {:?}", scanner.stats());

    let by_path: BTreeMap<&Path, &Outcome> =
        outcomes.iter().map(|o| (o.path.as_path(), o)).collect();
    let tests = regression_tests(&root);
    let mut missed = Vec::new();
    for (path, id) in &tests {
        let Some(outcome) = by_path.get(path.as_path()) else {
            missed.push(format!("{} is not there", path.display()));
            continue;
        };
        let wanted = |hit: &RuleId| set.rule(*hit).id.as_deref() == Some(id);
        if !outcome.hits.iter().any(|(_, hit)| wanted(hit)) {
            missed.push(format!("{}: no hit of {id}", path.display()));
        }
    }
    println!("regression logs: {} of {} hit", tests.len() - missed.len(), tests.len());
    assert!(tests.len() >= 100, "only {} regression tests were found", tests.len());
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn optional_sources_too() {
    let Some(root) = corpora("optional_sources_too") else { return };
    let set = all_rules(&root, Options { optional_sources: true });
    let outcomes = compare_all(&set, &evtx_files(&root));
    check("optional sources", &set, &outcomes);
}
