//! The program under the name of SigmaHQ's checker, and log sources from files.

use super::bench::{Bench, EVIL, Run, run};
use super::words;
use crate::support::corpora;
use rayon::prelude::*;
use serde_json::Value as Json;
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Log sources as SigmaHQ's file writes them, for what the benches' logs hold.
const SOURCES: &str = r"title: test
logsources:
  process_creation:
    category: process_creation
    product: windows
    conditions:
      EventID: 1
    rewrite:
      product: windows
      service: sysmon
  sysmon:
    product: windows
    service: sysmon
    sources:
      - 'WinEventLog:Microsoft-Windows-Sysmon/Operational'
";

const CHECKER: &str = "evtx-sigma-checker";

/// The program under another name.
fn link(bench: &Bench, name: &str) -> PathBuf {
    let path = bench.path(name);
    let program = env!("CARGO_BIN_EXE_harrier");
    #[cfg(unix)]
    std::os::unix::fs::symlink(program, &path).unwrap();
    #[cfg(not(unix))]
    std::fs::copy(program, &path).unwrap();
    path
}

fn call<S: AsRef<OsStr>>(program: &Path, folder: &Path, args: &[S]) -> Run {
    run(Command::new(program).args(args).current_dir(folder).stdin(Stdio::null()))
}

/// A bench with the link, [`SOURCES`] in `thor.yml`, and a log with three hits in `logs/`.
fn bench() -> (Bench, PathBuf) {
    let bench = Bench::new();
    bench.file("thor.yml", SOURCES.as_bytes());
    bench.log("logs/a.evtx", 3, 2);
    let program = link(&bench, CHECKER);
    (bench, program)
}

#[test]
fn a_match_is_a_line_that_sigmahq_s_scripts_can_read() {
    let (bench, program) = bench();
    for args in [
        "--log-source thor.yml --evtx-path logs --rule-path rules",
        "-log-source thor.yml -evtx-path logs/a.evtx -rule-path rules/evil.yml",
        "--log-source=thor.yml -evtx-path=logs --rule-path=rules -rule-level=Medium",
        "--evtx-path logs --rule-path rules --rule-level informational",
        "--rule-path rules --evtx-path logs --log-source thor.yml --log-source thor.yml",
    ] {
        let run = call(&program, &bench.path(""), &words(args));
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{args}");
        let lines = run.hits();
        assert_eq!(lines.len(), 3, "{args}");
        for line in &lines {
            assert_eq!(line["RuleId"], "11111111-2222-3333-4444-555555555555", "{args}");
            assert_eq!(line["RuleTitle"], "Evil Started");
            assert_eq!(line["RuleLevel"], "medium");
            assert_eq!(line["RulePath"], "evil.yml");
            assert!(line["EvtxPath"].as_str().unwrap().ends_with("a.evtx"));
            assert_eq!(line["Event"]["System"]["EventID"], 1);
            assert_eq!(line["Event"]["System"]["Computer"], "WS-01.example");
            let system = line["Event"]["System"].as_object().unwrap();
            assert!(system.values().all(|value| value != ""), "{system:?}");
            assert_eq!(line["Event"]["EventData"]["Image"], r"C:\Temp\evil.exe");
            assert_eq!(line["Event"]["EventData"]["LogonId"], "0x3e7");
        }
        // What is looked for with grep: the id without blanks, then text of the event.
        let text = String::from_utf8(run.out).unwrap();
        let first = text.lines().next().unwrap();
        let (_, behind) =
            first.split_once(r#""RuleId":"11111111-2222-3333-4444-555555555555""#).unwrap();
        for part in ["Computer: WS-01.example", "Level: 4  Task: ", "  CommandLine: evil.exe /run"]
        {
            assert!(behind.contains(part), "{part}: {behind}");
        }
        assert!(first.contains(r#""RuleLevel":"medium""#));
    }
}

#[test]
fn an_event_s_body_has_the_name_that_the_log_gives_it() {
    let (bench, program) = bench();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rule = root.join("src/sigma/builtin/win_security_audit_log_cleared.yml");
    let (rule, logs) = (rule.to_str().unwrap(), root.join("fixtures/evidence"));
    let args = ["--rule-path", rule, "--evtx-path", logs.to_str().unwrap()];
    let run = call(&program, &bench.path(""), &args);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let lines = run.hits();
    assert!(!lines.is_empty());
    for line in &lines {
        assert!(line["Event"]["UserData"]["SubjectUserName"].is_string(), "{line}");
        assert_eq!(line["Event"]["EventData"], Json::Null, "{line}");
        assert_eq!(line["Event"]["System"]["EventID"], 1102);
    }
}

#[test]
fn levels_are_that_and_above_and_low_by_default() {
    let (bench, program) = bench();
    let levels = ["informational", "low", "medium", "high", "critical"];
    for level in levels {
        let rule = EVIL.replace("level: medium", &format!("level: {level}"));
        bench.file(&format!("all/{level}.yml"), rule.replace("Evil", level).as_bytes());
    }
    // Whatever the status: SigmaHQ's scripts sort out deprecated rules themselves.
    let old =
        EVIL.replace("status: test", "status: deprecated").replace("level: medium", "level: high");
    bench.file("all/old.yml", old.as_bytes());
    for (level, want) in [
        ("", &["low", "medium", "high", "critical", "high"][..]),
        (
            "--rule-level informational",
            &["informational", "low", "medium", "high", "critical", "high"],
        ),
        ("--rule-level HIGH", &["high", "critical", "high"]),
        ("--rule-level critical", &["critical"]),
    ] {
        let args = format!("--log-source thor.yml --evtx-path logs --rule-path all {level}");
        let run = call(&program, &bench.path(""), &words(&args));
        assert_eq!(run.code, 0, "{}", run.err);
        let mut got: Vec<String> =
            run.hits().iter().map(|line| line["RuleLevel"].as_str().unwrap().to_owned()).collect();
        got.sort_unstable();
        let mut want: Vec<&str> = want.iter().flat_map(|level| [*level; 3]).collect();
        want.sort_unstable();
        assert_eq!(got, want, "{level}");
        let left_out = run.err.contains("left out: its level is below");
        assert_eq!(left_out, level != "--rule-level informational", "{}", run.err);
    }
}

/// A call, its exit code, how many matches, and what standard error says.
#[test]
fn what_cannot_be_used_is_told_on_standard_error() {
    let (bench, program) = bench();
    bench.file("mixed/evil.yml", EVIL.as_bytes());
    bench.file("mixed/sub/broken.yml", b"title: x\nlogsource: {product: windows}\n");
    let linux = EVIL.replace("product: windows", "product: linux").replace("Evil", "Linux");
    bench.file("linux/linux.yml", linux.as_bytes());
    bench.file("linux/mac.yml", linux.replace("linux", "macos").as_bytes());
    bench.file("other/x.yml", EVIL.replace("process_creation", "driver_load").as_bytes());
    bench.file("damaged/empty.evtx", b"");
    bench.file("damaged/good.evtx", &std::fs::read(bench.path("logs/a.evtx")).unwrap());
    bench.file("void/none.txt", b"");
    bench.file("bad.yml", b"logsources: [");
    bench.file("index.yml", format!("{SOURCES}    index: x\ndefaultindex: y\n").as_bytes());
    let lost = SOURCES.replace("service: sysmon\n    sources", "service: agent\n    sources");
    bench.file("lost.yml", lost.as_bytes());
    let all = "--log-source thor.yml --evtx-path logs --rule-path rules";
    for (name, args, code, matches, says) in [
        (
            "a bad rule",
            "--log-source thor.yml --evtx-path logs --rule-path mixed",
            0,
            3,
            "error: mixed/sub/broken.yml:1:1: rule not loaded: ",
        ),
        (
            "other systems",
            "--log-source thor.yml --evtx-path logs --rule-path linux",
            0,
            0,
            "1 rule not applicable: log source linux/process_creation/* is not of Windows",
        ),
        (
            "nothing left",
            "--log-source thor.yml --evtx-path logs --rule-path linux",
            0,
            0,
            "warning: no rule is left to check with",
        ),
        (
            "an unknown log source",
            "--log-source thor.yml --evtx-path logs --rule-path other",
            0,
            0,
            "warning: other/x.yml:1:1: no event log is known for log source windows/driver_load/*",
        ),
        ("known without the file", "--evtx-path logs --rule-path other", 0, 0, ""),
        (
            "a log that cannot be read",
            "--log-source thor.yml --evtx-path damaged --rule-path rules",
            0,
            3,
            "error: damaged/empty.evtx: the file is empty",
        ),
        (
            "unknown keys",
            "--log-source index.yml --evtx-path logs --rule-path rules",
            0,
            3,
            "warning: index.yml:16:5: the key `index` is not known and ignored",
        ),
        (
            "unknown keys above",
            "--log-source index.yml --evtx-path logs --rule-path rules",
            0,
            3,
            "warning: index.yml:17:1: the key `defaultindex` is not known",
        ),
        (
            "a log source lost",
            "--log-source lost.yml --evtx-path logs --rule-path rules",
            0,
            0,
            "error: lost.yml:3:1: `process_creation`: it is rewritten to windows/*/sysmon, of which nothing is known; it is left out",
        ),
        (
            "no log sources",
            "--log-source bad.yml --evtx-path logs --rule-path rules",
            2,
            0,
            "error: bad.yml:2:1: YAML: ",
        ),
        (
            "log sources missing",
            "--log-source none.yml --evtx-path logs --rule-path rules",
            2,
            0,
            "error: none.yml: cannot be read: ",
        ),
        (
            "logs missing",
            "--log-source thor.yml --evtx-path nowhere --rule-path rules",
            2,
            0,
            "error: nowhere: no such file or folder: check",
        ),
        (
            "no logs there",
            "--log-source thor.yml --evtx-path void --rule-path rules",
            2,
            0,
            "error: void: no event logs there: check",
        ),
        (
            "rules missing",
            "--log-source thor.yml --evtx-path logs --rule-path nowhere",
            2,
            0,
            "error: rules: nowhere: ",
        ),
        (
            "no rules there",
            "--log-source thor.yml --evtx-path logs --rule-path void",
            2,
            0,
            "error: there are no rules: name files or folders",
        ),
        (
            "no arguments",
            "",
            2,
            0,
            "error: the following required arguments were not provided: --evtx-path <PATH>; --rule-path <PATH>: see 'evtx-sigma-checker --help'",
        ),
        (
            "a flag too many",
            &format!("{all} --output x"),
            2,
            0,
            "error: unexpected argument '--output' found",
        ),
        (
            "a bad level",
            &format!("{all} --rule-level loud"),
            2,
            0,
            "error: invalid value 'loud' for '--rule-level <LEVEL>'",
        ),
        (
            "a word too many",
            &format!("{all} more"),
            2,
            0,
            "error: unexpected argument 'more' found",
        ),
        ("a harrier command", "hunt logs -r rules", 2, 0, "error: "),
    ] {
        let run = call(&program, &bench.path(""), &words(args));
        assert_eq!(run.code, code, "{name}: {}", run.err);
        assert_eq!(run.hits().len(), matches, "{name}: {}", run.err);
        assert!(run.err.contains(says), "{name}: {}", run.err);
        if says.is_empty() {
            assert_eq!(run.err, "", "{name}");
        }
    }
    for help in ["--help", "--version"] {
        let run = call(&program, &bench.path(""), &[help]);
        assert_eq!((run.code, run.err.as_str()), (0, ""));
        assert!(run.out.starts_with(b"evtx-sigma-checker") || run.out.starts_with(b"Checks "));
    }
}

#[test]
fn the_name_alone_makes_the_checker() {
    let bench = Bench::new();
    bench.log("logs/a.evtx", 1, 0);
    for (name, checker) in
        [("evtx-sigma-checker.exe", true), ("evtx-sigma-checker-win", true), ("hunter", false)]
    {
        let program = link(&bench, name);
        let run = call(&program, &bench.path(""), &words("--evtx-path logs --rule-path rules"));
        assert_eq!(
            (run.code, run.out.is_empty()),
            if checker { (0, false) } else { (2, true) },
            "{name}"
        );
    }
}

/// `harrier hunt` with log sources from files.
#[test]
fn a_hunt_takes_log_sources_from_files() {
    let bench = Bench::new();
    bench.log("logs/a.evtx", 3, 2);
    let agent = SOURCES.replace("Microsoft-Windows-Sysmon/Operational", "Contoso/Operational");
    bench.file("agent.yml", agent.as_bytes());
    bench.file("thor.yml", SOURCES.as_bytes());
    bench.file("other.yml", b"logsources:\n  x: {service: x, sources: 'WinEventLog:X'}\n");
    bench.file("lost.yml", b"logsources:\n  x: {service: x}\n");
    bench.file("key.yml", b"logsources: {}\nindex: x\n");
    for (args, code, hits, says) in [
        ("--taxonomy thor.yml", 0, 3, ""),
        ("--taxonomy thor.yml --no-builtin-taxonomy", 0, 3, ""),
        ("--taxonomy agent.yml", 0, 0, ""),
        ("--taxonomy agent.yml --taxonomy thor.yml", 0, 3, ""),
        ("--taxonomy other.yml", 0, 3, ""),
        (
            "--taxonomy other.yml --no-builtin-taxonomy",
            2,
            0,
            "no event log is known for log source windows/process_creation/*",
        ),
        (
            "--taxonomy lost.yml",
            1,
            3,
            "error: lost.yml:2:3: `x`: it has neither `sources` nor `rewrite`; it is left out",
        ),
        (
            "--taxonomy key.yml",
            0,
            3,
            "warning: key.yml:2:1: the key `index` is not known and ignored",
        ),
        ("--taxonomy nowhere", 2, 0, "error: nowhere: cannot be read: "),
        (
            "--taxonomy rules/evil.yml",
            2,
            0,
            "error: rules/evil.yml:1:1: there is no `logsources`: give log sources as SigmaHQ's thor.yml",
        ),
        ("--no-builtin-taxonomy", 2, 0, "--taxonomy <FILE>"),
    ] {
        let run = bench.harrier(&words(&format!("hunt logs -r rules {args}")));
        assert_eq!((run.code, run.hits().len()), (code, hits), "{args}: {}", run.err);
        assert!(run.err.contains(says), "{args}: {}", run.err);
        let told = run.err.lines().filter(|line| line.starts_with("harrier: ")).count();
        assert_eq!(told == 0, says.is_empty(), "{args}: {}", run.err);
    }
    let whole = bench.harrier(&words("hunt logs -r rules -q --taxonomy thor.yml --full-scan"));
    let fast = bench.harrier(&words("hunt logs -r rules -q --taxonomy thor.yml"));
    assert_eq!(whole.out, fast.out);
}

/// Two rule paths with files of one name: messages say which, hits keep the name in the rule set.
#[test]
fn messages_name_rules_as_they_can_be_opened() {
    let bench = Bench::new();
    bench.log("logs/a.evtx", 1, 0);
    bench.file("a/win/x.yml", EVIL.as_bytes());
    bench.file("b/win/x.yml", EVIL.replace("11111111", "22222222").as_bytes());
    bench.file("a/win/broken.yml", b"title: x\nlogsource: {product: windows}\n");
    bench.file("b/win/broken.yml", b"title: x\nlogsource: {product: windows}\n");
    let run =
        bench.harrier(&words("hunt logs -r a -r ./b/win -r b/win/broken.yml -q --ledger l.json"));
    for line in [
        "error: a/win/broken.yml:1:1: rule not loaded",
        "error: ./b/win/broken.yml:1:1: rule not loaded",
        "error: b/win/broken.yml:1:1: rule not loaded",
    ] {
        assert!(run.err.contains(line), "{line}: {}", run.err);
    }
    let sources: Vec<Json> = run.hits().iter().map(|hit| hit["rule"]["source"].clone()).collect();
    assert_eq!(sources, ["win/x.yml", "x.yml"]);
    let ledger: Json =
        serde_json::from_slice(&std::fs::read(bench.path("l.json")).unwrap()).unwrap();
    let rules = ledger["rules"].as_array().unwrap().iter();
    let rules: Vec<&str> = rules.map(|rule| rule["source"].as_str().unwrap()).collect();
    for name in ["a/win/x.yml:1:1", "./b/win/x.yml:1:1", "./b/win/broken.yml:1:1"] {
        assert!(rules.contains(&name), "{name}: {rules:?}");
    }
    // Every one of them can be opened.
    for rule in rules {
        let path = rule.rsplitn(3, ':').last().unwrap();
        assert!(bench.path(path).is_file(), "{rule}");
    }
}

/// What SigmaHQ's regression runner does, for every test whose log is here.
#[test]
fn sigmahq_s_runner_finds_what_it_expects() {
    let Some(corpora) = corpora("sigmahq_s_runner_finds_what_it_expects") else { return };
    let sigma = corpora.join("sigma");
    let bench = Bench::new();
    let program = link(&bench, CHECKER);
    let thor = sigma.join("tests/thor.yml");
    let mut tests: Vec<Test> = Vec::new();
    for entry in walkdir(&sigma) {
        let Ok(text) = std::fs::read_to_string(&entry) else { continue };
        let line = |key: &str| {
            let of_key = text.lines().find_map(|line| line.strip_prefix(key));
            of_key.map(|value| value.trim().to_owned())
        };
        let (Some(info), Some(id)) = (line("regression_tests_path:"), line("id:")) else {
            continue;
        };
        let Ok(info) = std::fs::read(sigma.join(info)) else { continue };
        for test in harrier::sigma::read_regression_info(&info).unwrap().tests {
            tests.push(Test {
                id: id.clone(),
                rule: entry.clone(),
                log: sigma.join(test.path),
                expected: test.match_count,
            });
        }
    }
    tests.retain(|test| test.log.is_file());
    assert!(tests.len() >= 104, "only {} tests", tests.len());
    let failures: Vec<String> =
        tests.par_iter().filter_map(|test| test.fails(&program, &thor)).collect();
    assert!(failures.is_empty(), "{failures:#?}");
    println!("{} tests passed as SigmaHQ runs them", tests.len());
}

struct Test {
    id: String,
    rule: PathBuf,
    log: PathBuf,
    expected: u64,
}

impl Test {
    /// Why it fails.
    fn fails(&self, program: &Path, thor: &Path) -> Option<String> {
        let (folder, log) = (self.rule.parent().unwrap(), self.log.as_path());
        let flag = |flag: &'static str, value: &Path| [flag.to_owned().into(), value.to_owned()];
        let args = [
            flag("--log-source", thor),
            flag("--evtx-path", log),
            flag("--rule-level", Path::new("informational")),
            flag("--rule-path", folder),
        ]
        .concat();
        let run = call(program, folder, &args);
        let found = run.hits().iter().filter(|line| line["RuleId"] == *self.id).count() as u64;
        let right = if self.expected == 0 { found == 0 } else { found >= self.expected };
        (run.code != 0 || !right).then(|| {
            format!(
                "{}: {found} of {}, exit {}: {}",
                self.rule.display(),
                self.expected,
                run.code,
                run.err
            )
        })
    }
}

/// The `.yml` files below a folder.
fn walkdir(folder: &Path) -> Vec<PathBuf> {
    let files = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().map(Result::unwrap);
    let files = files.map(walkdir::DirEntry::into_path);
    files.filter(|path| path.extension().is_some_and(|e| e == "yml")).collect()
}
