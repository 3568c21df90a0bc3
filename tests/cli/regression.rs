//! `harrier rules test`: SigmaHQ's regression tests.

use super::bench::Bench;
use super::{EVIL, words};
use crate::support::corpora;

/// A repository of rules with tests: each a name, a line of its info.yml, and how it ends.
fn repository(tests: &[(&str, &str)]) -> Bench {
    let bench = Bench::new();
    for (name, line) in tests {
        let id = format!("id-{name}");
        let rule = EVIL.replace("11111111-2222-3333-4444-555555555555", &id);
        let rule = rule.replace("Evil Started", &format!("Evil {name}"));
        let info = format!("regression_data/rules/{name}/info.yml");
        bench.file(
            &format!("repo/rules/windows/{name}.yml"),
            format!("{rule}regression_tests_path: {info}\n").as_bytes(),
        );
        let info_text = format!(
            "id: x\nrule_metadata:\n  - id: {id}\n    title: t\nregression_tests_info:\n  \
             - name: Test\n    type: evtx\n    provider: Microsoft-Windows-Sysmon\n{line}\n"
        );
        bench.file(&format!("repo/{info}"), info_text.as_bytes());
    }
    bench.log("repo/regression_data/three.evtx", 3, 2);
    bench.log("repo/regression_data/none.evtx", 0, 2);
    bench.file("repo/regression_data/broken.evtx", b"no log");
    bench
}

#[test]
fn tests_pass_fail_or_have_no_data() {
    let bench = repository(&[
        ("a", "    path: regression_data/three.evtx"),
        ("b", "    match_count: 3\n    path: regression_data/three.evtx"),
        ("c", "    match_count: 4\n    path: regression_data/three.evtx"),
        ("d", "    match_count: 0\n    path: regression_data/none.evtx"),
        ("e", "    match_count: 0\n    path: regression_data/three.evtx"),
        ("f", "    path: regression_data/none.evtx"),
        ("g", "    path: regression_data/absent.evtx"),
        ("h", "    path: regression_data/broken.evtx"),
        ("i", "    match_count: 0\n    path: regression_data/broken.evtx"),
        ("j", "    match_count: many\n    path: regression_data/three.evtx"),
    ]);
    let want = [
        "PASS     Evil a: expected at least 1, found 3",
        "PASS     Evil b: expected at least 3, found 3",
        "FAIL     Evil c: expected at least 4, found 3",
        "PASS     Evil d: expected none, found 0",
        "FAIL     Evil e: expected none, found 3",
        "FAIL     Evil f: expected at least 1, found 0",
        "MISSING  Evil g: regression_data/absent.evtx",
        "FAIL     Evil h: expected at least 1, found 0: this is no EVTX file",
        "FAIL     Evil i: expected none, found 0: this is no EVTX file",
        "FAIL     Evil j: expected at least 1, found 0: regression_data/rules/j/info.yml: line 9",
        "3 passed, 6 failed, 1 missing data",
    ];
    for args in [
        "rules test -r repo",
        "rules test -r repo/rules/windows",
        "rules test -r repo/rules --data repo",
        "rules test -r repo/rules --data repo/regression_data",
    ] {
        let run = bench.harrier(&words(args));
        assert_eq!(run.code, 1, "{args}: {}", run.err);
        let out = String::from_utf8(run.out).unwrap();
        assert_eq!(out.lines().count(), want.len(), "{args}: {out}");
        for (line, want) in out.lines().zip(want) {
            assert!(line.starts_with(want), "{args}: {line}");
        }
    }
    let quiet = bench.harrier(&words("rules test -r repo -q"));
    assert!(!String::from_utf8(quiet.out).unwrap().contains("PASS"));
}

#[test]
fn data_that_is_missing_fails_nothing() {
    let bench = repository(&[
        ("a", "    path: regression_data/three.evtx"),
        ("g", "    path: regression_data/absent.evtx"),
    ]);
    let run = bench.harrier(&words("rules test -r repo"));
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.out.ends_with(b"1 passed, 0 failed, 1 missing data\n"));
    let elsewhere = bench.harrier(&words("rules test -r repo --data rules"));
    assert!(elsewhere.out.ends_with(b"0 passed, 0 failed, 2 missing data\n"));
    // A rule that could not be loaded was not tested: that is no success.
    bench.file("repo/rules/broken.yml", b"title: x\nlogsource: {product: windows}\n");
    assert_eq!(bench.harrier(&words("rules test -r repo")).code, 1);
}

/// SigmaHQ's own.
#[test]
fn sigmahq_s_regression_tests_pass() {
    let Some(corpora) = corpora("sigmahq_s_regression_tests_pass") else { return };
    let rules = corpora.join("sigma");
    let run = Bench::new().harrier(&["rules", "test", "-q", "-r", rules.to_str().unwrap()]);
    let out = String::from_utf8(run.out).unwrap();
    assert!(!out.contains("FAIL "), "{out}");
    let summary = out.lines().last().unwrap();
    assert!(summary.contains(" passed, 0 failed, "), "{summary}");
    let passed: u32 = summary.split(' ').next().unwrap().parse().unwrap();
    assert!(passed >= 104, "{summary}");
    println!("{summary}");
}
