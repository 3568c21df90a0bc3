//! `harrier rules list` and `harrier rules check`.

use super::EVIL;
use super::bench::Bench;
use crate::golden;
use crate::support::{corpora, this_test};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

/// Calls the program where the fixtures are.
fn harrier(call: &str) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_harrier"))
        .args(call.split_whitespace())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let text = |bytes| {
        let text = String::from_utf8(bytes).unwrap();
        // Paths are as found: with the platform's separators.
        ["list", "check"].into_iter().fold(text, |text, folder| {
            text.replace(&format!("{folder}\\\\"), &format!("{folder}/"))
                .replace(&format!("{folder}\\"), &format!("{folder}/"))
        })
    };
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// The forms of both, byte for byte.
#[test]
fn rules_look_like_the_golden_ones() {
    for (name, call, code) in [
        ("rules.list.txt", "rules list -r fixtures/rules/list", 0),
        ("rules.list.jsonl", "rules list -r fixtures/rules/list --format json", 0),
        ("rules.list.csv", "rules list -r fixtures/rules/list --format csv --sort title", 0),
        ("rules.check.txt", "rules check -r fixtures/rules/check", 1),
        ("rules.check.jsonl", "rules check -r fixtures/rules/check --format json", 1),
        ("rules.check.sarif", "rules check -r fixtures/rules/check --format sarif", 1),
    ] {
        let (got_code, out, _) = harrier(call);
        assert_eq!(got_code, code, "{call}");
        golden::compare(name, &out);
        assert_eq!(harrier(call).1, out, "{call}: another run");
    }
}

#[test]
fn a_list_has_what_was_asked_for_in_the_order_asked_for() {
    let titles = |call: &str| -> Vec<String> {
        let call = format!("rules list -r fixtures/rules/list --format json {call}");
        let (code, out, _) = harrier(&call);
        assert_eq!(code, 0, "{call}");
        let title = |line| {
            let value: Value = serde_json::from_str(line).unwrap();
            assert_eq!(value["schema"], "harrier.rule/1");
            // The first word of each is its own.
            value["title"].as_str().unwrap().split(' ').next().unwrap().to_owned()
        };
        out.lines().map(title).collect()
    };
    const BY_PATH: &str =
        "Scheduled Service Logon LSASS Certificate Registry Driver File Sudo Pipe Any";
    for (call, want) in [
        ("", BY_PATH),
        ("--sort path", BY_PATH),
        ("--sort id", BY_PATH),
        (
            "--sort title",
            "Any Certificate Driver File Logon LSASS Pipe Registry Scheduled Service Sudo",
        ),
        (
            "--sort level",
            "Service Pipe Scheduled LSASS Driver File Certificate Registry Sudo Logon Any",
        ),
        (
            "--sort date",
            "Service Certificate LSASS Scheduled Pipe Sudo File Driver Registry Logon Any",
        ),
        (
            "--sort logsource",
            "Sudo Logon Certificate Service Driver File Pipe LSASS Scheduled Any Registry",
        ),
        ("--logsource process_creation", "Scheduled Sudo"),
        ("--logsource windows/process_creation/*", "Scheduled"),
        ("--logsource *_set,SYSTEM", "Service Registry"),
        ("--logsource macos", ""),
        ("--find lsass", "LSASS Any"),
        ("--find lsass --find MENTIONS", "Any"),
        ("--find without_an", "Any"),
        ("--find t1078", "Logon"),
        ("--find 0000000a-", "Pipe"),
        ("--level medium", "Certificate Registry Sudo"),
        ("--level medium --logsource windows/*", "Certificate Registry"),
        ("--tag attack.t154*", "Service Registry Sudo"),
    ] {
        assert_eq!(titles(call).join(" "), want, "{call}");
    }
    assert_eq!(harrier("rules list -q").0, 0);
}

/// Why a rule has nothing to say of event logs, and what could not be loaded.
#[test]
fn a_list_says_what_is_not_applicable_and_what_is_not_loaded() {
    let bench = Bench::new();
    let sources = [
        ("yes", "category: process_creation"),
        ("no", "category: file_rename"),
        ("unknown", "category: process_creatoin"),
    ];
    for (n, (name, source)) in sources.iter().enumerate() {
        let rule = EVIL
            .replace("category: process_creation", source)
            .replace("Evil Started", &format!("Is {name}"))
            .replace("11111111", &format!("{n:08}"));
        bench.file(&format!("mine/{name}.yml"), rule.as_bytes());
    }
    bench.file("mine/broken.yml", b"title: x\nlogsource: {product: windows}\n");
    bench.file(
        "mine/retired.yml",
        EVIL.replace("status: test", "status: deprecated").replace("Evil", "Retired").as_bytes(),
    );
    let run = bench.harrier(&["rules", "list", "-r", "mine", "--format", "csv"]);
    assert_eq!(run.code, 1, "{}", run.err);
    let out = String::from_utf8(run.out).unwrap();
    for (name, _) in sources {
        let line = out.lines().find(|line| line.contains(&format!("Is {name}"))).unwrap();
        assert!(line.contains(&format!(",rule,{name},windows/")), "{line}");
        assert_eq!(line.ends_with(','), name == "yes", "{line}");
    }
    assert_eq!(out.lines().count(), 4, "{out}");
    assert!(run.err.contains("mine/broken.yml:1:1: rule not loaded: "), "{}", run.err);
    let last = run.err.lines().last().unwrap();
    assert!(
        last.ends_with(
            "1 not about event logs, 1 of unknown log sources, 1 left out, 1 not loaded"
        ),
        "{last}"
    );
    let run = bench.harrier(&["rules", "list", "-r", "mine", "-q", "--include-deprecated"]);
    assert!(String::from_utf8(run.out).unwrap().contains("Retired Started"));
}

/// Correlations and filters are listed with their kind, and rules that count as rules.
#[test]
fn a_list_tells_kinds_apart() {
    let bench = Bench::new();
    let counting = EVIL
        .replace("Evil", "Counting")
        .replace("11111111", "22222222")
        .replace("condition: selection", "condition: selection | count() > 5");
    let id = "11111111-2222-3333-4444-555555555555";
    let text = format!(
        "{EVIL}---\n{counting}---\n\
         title: Many\ncorrelation:\n    type: event_count\n    rules: {id}\n    group-by: [Computer]\n    \
         timespan: 5m\n    condition: {{gte: 3}}\n---\n\
         title: Fewer\nlogsource: {{category: process_creation}}\nfilter:\n    rules: [{id}]\n    \
         f: {{User: svc}}\n    condition: not f\n"
    );
    bench.file("mine/of_all_kinds.yml", text.as_bytes());
    let run = bench.harrier(&["rules", "list", "-r", "mine", "--format", "csv"]);
    let out = String::from_utf8(run.out).unwrap();
    let rows: Vec<Vec<&str>> = out.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let kinds: Vec<(&str, &str)> = rows.iter().map(|row| (row[2], row[5])).collect();
    assert_eq!(
        kinds,
        [
            ("rule", "Evil Started"),
            ("rule", "Counting Started"),
            ("correlation", "Many"),
            ("filter", "Fewer")
        ]
    );
    let table = bench.harrier(&["rules", "list", "-r", "mine"]).out;
    assert!(String::from_utf8(table).unwrap().starts_with("LEVEL          STATUS  KIND"));
}

/// Titles are anybody's text.
#[test]
fn text_of_rules_does_not_reach_the_terminal_as_it_is() {
    let bench = Bench::new();
    let rule = EVIL.replace("Evil Started", "\"=1+1\\e[2J \\u202e x\"");
    bench.file("mine/evil_rule_file.yml", rule.replace("Image", "Im\u{202e}age").as_bytes());
    for call in [
        "list",
        "list --format csv",
        "list --format json",
        "check",
        "check --format json",
        "check --format sarif",
    ] {
        let args: Vec<&str> =
            ["rules"].into_iter().chain(call.split(' ')).chain(["-r", "mine"]).collect();
        let run = bench.harrier(&args);
        let out = String::from_utf8(run.out).unwrap();
        assert!(!out.is_empty(), "{call}");
        assert!(!out.contains(['\u{1b}', '\u{202e}']), "{call}: {out}");
        if call == "list --format csv" {
            assert!(out.contains(",'=1+1"), "{out}");
        }
    }
}

/// Arguments, the exit code, what the last line of standard error begins with.
#[test]
fn codes_tell_what_was_found() {
    let bench = Bench::new();
    let rule = |edit: (&str, &str)| EVIL.replace(edit.0, edit.1).into_bytes();
    bench.file("clean/a_clean_rule.yml", &rule(("level: medium", "level: high")));
    bench.file("doubtful/a_doubtful_rule.yml", &rule(("Image", "Imaage")));
    bench.file(
        "style/a_styled_rule.yml",
        &rule(("Image|endswith: ", "Image: '*x'\n        CommandLine|contains: ")),
    );
    bench.file("broken/a_broken_rule.yml", &rule(("condition: ", "condition: not ")));
    bench.file("broken/one_more_rule.yml", &rule(("condition: ", "condition: and ")));
    bench.file("none/readme.txt", b"x");
    for (call, code, last) in [
        ("-r clean", 0, "Checked    1 rule"),
        ("-r doubtful", 0, "Warnings   1: unknown-field 1"),
        ("-r doubtful --fail-on warning", 1, "Warnings   1: "),
        ("-r doubtful --fail-on info", 1, "Warnings   1: "),
        ("-r doubtful --fail-on warning --ignore unknown-field", 0, "Checked"),
        ("-r doubtful --fail-on info --min-severity error", 0, "Checked"),
        ("-r style", 0, "Infos      1: "),
        ("-r style --fail-on warning", 0, "Infos      1: "),
        ("-r style --fail-on info", 1, "Infos      1: "),
        ("-r broken/one_more_rule.yml", 1, "Errors     1: invalid-condition 1"),
        ("-r broken/one_more_rule.yml --ignore invalid-condition", 1, "harrier: error: 1 document"),
        (
            "-r clean --ignore unknown-feild",
            2,
            "harrier: error: --ignore unknown-feild: there is no such code: near: unknown-field",
        ),
        ("-r none", 2, "harrier: error: there are no rules"),
        ("-r nowhere", 2, "harrier: error: rules: nowhere: "),
        ("-r clean --min-severity high", 2, "harrier: error: invalid value 'high'"),
        ("-r clean --format xml", 2, "harrier: error: invalid value 'xml'"),
        ("-r clean --rule-id nothing", 2, "harrier: error: --rule-id nothing: no rule has this id"),
    ] {
        let args: Vec<&str> = ["rules", "check"].into_iter().chain(call.split(' ')).collect();
        let run = bench.harrier(&args);
        assert_eq!(run.code, code, "{call}: {}", run.err);
        let said = run.err.lines().last().unwrap_or_default();
        assert!(said.starts_with(last), "{call}: {}", run.err);
        // All of them are checked alike by a list.
        if code == 2 && call.starts_with("-r no") {
            let list: Vec<&str> = ["rules", "list"].into_iter().chain(call.split(' ')).collect();
            assert_eq!(bench.harrier(&list).code, 2, "{call}");
        }
    }
    assert_eq!(bench.harrier(&["rules", "check", "-q", "-r", "clean"]).err, "");
    let codes = bench.harrier(&["rules", "check", "--codes"]);
    let lines = String::from_utf8(codes.out).unwrap();
    assert_eq!(lines.lines().count(), harrier::sigma::Code::ALL.len());
}

/// Only rules that are asked for are spoken of.
#[test]
fn findings_are_of_the_rules_that_are_wanted() {
    let bench = Bench::new();
    let with = |id: &str, edit: (&str, &str)| EVIL.replace("11111111", id).replace(edit.0, edit.1);
    let first = with("22222222", ("Image", "Imaage"));
    let second =
        with("33333333", ("Evil", "Other")).replace("level: medium", "level: low\nrefrences: []");
    bench.file("mine/several_rules.yml", format!("{first}---\n{second}").as_bytes());
    let found = |args: &[&str]| {
        let args: Vec<&str> = ["rules", "check", "-r", "mine", "--format", "json"]
            .iter()
            .chain(args)
            .copied()
            .collect();
        let run = bench.harrier(&args);
        assert_eq!(run.code, 0, "{}", run.err);
        let code = |line: &str| {
            let value: Value = serde_json::from_str(line).unwrap();
            assert_eq!(value["schema"], "harrier.finding/1");
            (
                value["code"].as_str().unwrap().to_owned(),
                value["title"].as_str().unwrap().to_owned(),
            )
        };
        let found: Vec<(String, String)> =
            String::from_utf8(run.out).unwrap().lines().map(code).collect();
        (found, run.err)
    };
    let field = ("unknown-field".to_owned(), "Evil Started".to_owned());
    let key = ("misspelt-key".to_owned(), "Other Started".to_owned());
    assert_eq!(found(&[]).0, [field.clone(), key.clone()]);
    let (only, err) = found(&["--rule-id", "22222222*"]);
    assert_eq!(only, [field]);
    assert!(err.contains("Checked    1 rule, 1 left out by the filter"), "{err}");
    assert_eq!(found(&["--level", "low"]).0, [key]);
}

/// What the standard demands of the parts that are written (SARIF 2.1.0: 3.13, 3.14, 3.19, 3.27, 3.49).
#[test]
fn sarif_is_as_the_standard_has_it() {
    let (_, out, _) = harrier("rules check -r fixtures/rules/check --format sarif -q");
    let (_, lines, _) = harrier("rules check -r fixtures/rules/check --format json -q");
    let document: Value = serde_json::from_str(&out).unwrap();
    let keys = |value: &Value, allowed: &[&str], needed: &[&str]| {
        let object = value.as_object().unwrap();
        assert!(object.keys().all(|key| allowed.contains(&key.as_str())), "{value}");
        assert!(needed.iter().all(|key| object.contains_key(*key)), "{value}");
    };
    let text = |value: &Value| {
        keys(value, &["text"], &["text"]);
        assert!(value["text"].as_str().unwrap().ends_with('.'), "{value}");
    };
    let level = |value: &Value| {
        assert!(["none", "note", "warning", "error"].contains(&value.as_str().unwrap()), "{value}");
    };
    keys(&document, &["$schema", "version", "runs"], &["version", "runs"]);
    assert_eq!(document["version"], "2.1.0");
    let [run] = document["runs"].as_array().unwrap().as_slice() else { panic!("one run") };
    keys(run, &["tool", "results", "columnKind"], &["tool", "results"]);
    assert_eq!(run["columnKind"], "unicodeCodePoints");
    let driver = &run["tool"]["driver"];
    keys(driver, &["name", "semanticVersion", "rules"], &["name"]);
    let rules = driver["rules"].as_array().unwrap();
    for rule in rules {
        keys(rule, &["id", "shortDescription", "help", "defaultConfiguration"], &["id"]);
        text(&rule["shortDescription"]);
        text(&rule["help"]);
        level(&rule["defaultConfiguration"]["level"]);
    }
    let ids: BTreeSet<&str> = rules.iter().map(|rule| rule["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), rules.len());
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), lines.lines().count());
    for (result, line) in results.iter().zip(lines.lines()) {
        keys(result, &["ruleId", "ruleIndex", "level", "message", "locations"], &["message"]);
        text(&result["message"]);
        level(&result["level"]);
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        let [location] = result["locations"].as_array().unwrap().as_slice() else { panic!("one") };
        let place = &location["physicalLocation"];
        let finding: Value = serde_json::from_str(line).unwrap();
        assert_eq!(place["artifactLocation"]["uri"], finding["file"]);
        assert_eq!(place["region"]["startLine"], finding["line"]);
        assert_eq!(place["region"]["startColumn"], finding["column"]);
        assert!(place["region"]["startLine"].as_u64().unwrap() > 0);
        assert!(place["region"]["startColumn"].as_u64().unwrap() > 0);
        assert_eq!(result["ruleId"], finding["code"]);
    }
}

/// The public rule sets: no rule of SigmaHQ's is refused, and a list has them all.
#[test]
fn public_rules_can_be_listed_and_checked() {
    let Some(corpora) = corpora(&this_test()) else { return };
    let path = corpora.join("sigma/rules");
    let call = |args: &[&str]| {
        let run = Command::new(env!("CARGO_BIN_EXE_harrier"))
            .args(["rules"])
            .args(args)
            .arg("-r")
            .arg(&path)
            .output()
            .unwrap();
        (run.status.code(), String::from_utf8(run.stdout).unwrap())
    };
    let (code, list) = call(&["list", "-q", "--format", "json"]);
    assert_eq!(code, Some(0));
    assert!(list.lines().count() > 2_000, "{}", list.lines().count());
    let (code, findings) = call(&["check", "-q"]);
    assert_eq!(code, Some(0));
    assert!((20..600).contains(&findings.lines().count()), "{}", findings.lines().count());
    let sorted: Vec<&str> = findings.lines().map(|line| line.split(':').next().unwrap()).collect();
    assert!(sorted.is_sorted());
}
