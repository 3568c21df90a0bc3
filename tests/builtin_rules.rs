//! Every built-in rule finds what it is for, in each log that can show it, and nothing else.
//!
//! The table has a line for each case: an event and whether its rule must hit. The events are
//! written to a log and read back by both lanes, with real names, types and layouts, and each is
//! scanned in both ways.

mod other;
mod table;
mod together;

use crate::support::logs::{each_record, forged};
use forge::mix::Mix;
use forge::security::RegistryOperation;
use forge::sysmon::RegistryAction;
use forge::{Account, Event, FileTime, Process, powershell, security, sysmon};
use harrier::engine::{RuleId, RuleSet, Scanner};
use harrier::evtx::{Options, Reader};
use harrier::sigma::{self, Origin};
use harrier::taxonomy::{self, Taxonomy};
use std::collections::{BTreeMap, BTreeSet};
use table::{DELETED, PROCESSES, RENAMED, SCRIPTS, VALUES};

/// A case: which rule, whether it must hit, in words what happens, and the event.
struct Case {
    rule: &'static str,
    hits: bool,
    what: String,
    event: Event,
}

/// When all of it happens.
fn at() -> FileTime {
    FileTime::literal("2026-03-03T10:00:00Z")
}

const USER: &str = r"CORP\m.keller";

/// A path as the table has it: what has no folder is in `System32`.
fn image(name: &str) -> String {
    if name.contains(':') { name.to_owned() } else { format!(r"C:\Windows\System32\{name}") }
}

fn add(cases: &mut Vec<Case>, rule: &'static str, hits: bool, what: &str, event: Event) {
    let event = event.on("WS-0417.corp.example");
    cases.push(Case { rule, hits, what: what.to_owned(), event });
}

fn processes(cases: &mut Vec<Case>) {
    for &(rule, hits, parent, program, command) in PROCESSES {
        let parent = Process::new(image(parent), parent, USER);
        let process = Process::new(image(program), command, USER);
        add(cases, rule, hits, command, sysmon::process_create(at(), &process, &parent));
        add(cases, rule, hits, command, security::process_create(at(), &process, &parent));
    }
    for &(rule, original, program, command) in RENAMED {
        let parent = match rule {
            "proc_creation_win_office_spawns_shell" => r"C:\Office\WINWORD.EXE".to_owned(),
            "proc_creation_win_wmiprvse_spawned_shell" => image(r"wbem\WmiPrvSE.exe"),
            _ => image("cmd.exe"),
        };
        let parent = Process::new(parent, "", USER);
        let process = Process::new(program, command, USER).original_name(original);
        add(cases, rule, true, command, sysmon::process_create(at(), &process, &parent));
        add(cases, rule, false, command, security::process_create(at(), &process, &parent));
    }
}

/// Key and value name as the Security log has them, of what Sysmon calls `object`.
fn audited(object: &str) -> (String, String) {
    let object = object
        .replace(r"HKLM\System\CurrentControlSet", r"\REGISTRY\MACHINE\SYSTEM\ControlSet001")
        .replace("HKLM", r"\REGISTRY\MACHINE")
        .replace("HKU", r"\REGISTRY\USER");
    // A value's name may have backslashes in it: an excluded path has.
    let end = object.find(r"\C:\").unwrap_or_else(|| object.rfind('\\').unwrap());
    let (key, name) = object.split_at(end);
    (key.to_owned(), name.trim_start_matches('\\').replace("(Default)", ""))
}

/// Security 4657 of a value that is created.
fn value_created(process: &Process, object: &str, details: &str) -> Event {
    let names = audited(object);
    let number = details.strip_prefix("DWORD (0x").and_then(|hex| hex.strip_suffix(')'));
    let new = match number {
        Some(hex) => u32::from_str_radix(hex, 16).unwrap().to_string(),
        None => details.to_owned(),
    };
    let created = RegistryOperation::Created;
    let event = security::registry_value(at(), process, created, names, ("-", new));
    // The types of a number and of a text.
    event.set("NewValueType", if number.is_some() { "%%1876" } else { "%%1873" })
}

fn registry(cases: &mut Vec<Case>) {
    let process = Process::new(image("reg.exe"), "reg", USER);
    for &(rule, hits, object, details) in VALUES {
        let event = sysmon::registry_set(at(), &process, object, details);
        add(cases, rule, hits, object, event);
        add(cases, rule, hits, object, value_created(&process, object, details));
    }
    for &(rule, hits, object) in DELETED {
        let event = sysmon::registry(at(), &process, RegistryAction::DeleteValue, object);
        add(cases, rule, hits, object, event);
        let (key, name) = match object.strip_suffix('}') {
            // A key: what goes is its default value.
            Some(_) => (object.replace("HKLM", r"\REGISTRY\MACHINE"), String::new()),
            None => audited(object),
        };
        let deleted = RegistryOperation::Deleted;
        let event = security::registry_value(at(), &process, deleted, (key, name), ("x", "-"));
        add(cases, rule, hits, object, event);
    }
}

fn scripts(cases: &mut Vec<Case>) {
    let user = Account::new("CORP", "m.keller");
    for &(rule, hits, text) in SCRIPTS {
        add(cases, rule, hits, text, powershell::script_block(at(), &user, text, "", hits));
    }
}

/// All cases.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    processes(&mut cases);
    registry(&mut cases);
    scripts(&mut cases);
    for (rule, hits, what, event) in other::events(at()) {
        add(&mut cases, rule, hits, what, event);
    }
    cases
}

/// The name of a built-in rule's file, without ending.
fn stem(origin: &Origin) -> String {
    origin.path().trim_start_matches("builtin/").trim_end_matches(".yml").to_owned()
}

fn name(set: &RuleSet, id: RuleId) -> String {
    stem(&set.rule(id).origin)
}

fn builtin() -> RuleSet {
    let loaded = sigma::load_builtin();
    assert!(loaded.refused.is_empty(), "{:?}", loaded.refused);
    RuleSet::compile(loaded.rules, Taxonomy::builtin(taxonomy::Options::default()))
}

/// The rules that hit each record of a log.
fn found(set: &RuleSet, log: &[u8], options: Options) -> Vec<BTreeSet<String>> {
    let mut scanner = Scanner::new(set);
    let mut found = Vec::new();
    each_record(&mut Reader::new(options), log, |record| {
        let fast = scanner.scan(record).to_vec();
        assert_eq!(fast, scanner.scan_full(record), "scan and scan_full differ");
        found.push(fast.into_iter().map(|id| name(set, id)).collect());
    });
    found
}

#[test]
fn each_finds_what_it_is_for_and_no_near_miss() {
    let (set, cases) = (builtin(), cases());
    let log = forged(cases.iter().map(|case| &case.event));
    let found_fast = found(&set, &log, Options::default());
    let slow = Options { slow_only: true, ..Options::default() };
    assert_eq!(found_fast, found(&set, &log, slow), "the lanes differ");
    assert_eq!(found_fast.len(), cases.len());
    let wrong: Vec<String> = cases
        .iter()
        .zip(&found_fast)
        .filter(|(case, found)| found.contains(case.rule) != case.hits)
        .map(|(case, found)| {
            let (id, channel) = (case.event.event_id, &case.event.channel);
            let should = if case.hits { "must hit" } else { "must not hit" };
            format!("{} {should} {channel}/{id} {}; {found:?} did", case.rule, case.what)
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// No rule is without a case of each kind, in every log that it looks at.
#[test]
fn the_table_is_complete() {
    let set = builtin();
    let names: BTreeSet<String> = set.rules().map(|(id, _)| name(&set, id)).collect();
    let mut seen: BTreeMap<(&str, bool), BTreeSet<String>> = BTreeMap::new();
    for case in cases() {
        assert!(names.contains(case.rule), "no such rule: {}", case.rule);
        let log = case.event.channel.rsplit('/').next().unwrap_or_default().to_owned();
        seen.entry((case.rule, case.hits)).or_default().insert(log);
    }
    for (id, rule) in set.rules() {
        let name = name(&set, id);
        let logs = |hits| seen.get(&(name.as_str(), hits)).cloned().unwrap_or_default();
        assert!(!logs(true).is_empty(), "{name} has no case that it hits");
        assert!(!logs(false).is_empty(), "{name} has no near miss");
        let category = rule.logsource.category.as_deref().unwrap_or_default();
        if category == "process_creation" || category.starts_with("registry_") {
            let both = BTreeSet::from(["Operational".to_owned(), "Security".to_owned()]);
            assert_eq!(logs(true), both, "{name}");
            assert_eq!(logs(false), both, "{name}");
        }
    }
}

/// Everyday events give no hit, and hardly any rule has to be evaluated for one of them.
#[test]
fn everyday_events_are_quiet_and_cheap() {
    const EVENTS: usize = 2_000;
    let events: Vec<Event> = Mix::new(11).take(EVENTS).collect();
    let log = forged(&events);
    let rules = sigma::load_builtin().select_all().rules;
    let mut noisy = Vec::new();
    // What is counted only may well be an everyday thing.
    for rule in rules.into_iter().filter(|rule| !rule.quiet) {
        let title = rule.title.clone();
        let taxonomy = Taxonomy::builtin(taxonomy::Options::default());
        let set = RuleSet::compile(vec![rule], taxonomy);
        let mut scanner = Scanner::new(&set);
        each_record(&mut Reader::new(Options::default()), &log, |record| {
            scanner.scan(record);
        });
        let stats = scanner.stats();
        assert_eq!(stats.events, EVENTS as u64);
        // One in a hundred: that would still be much for all rules together.
        if stats.matches > 0 || stats.candidates * 100 > stats.events {
            noisy.push(format!("{title}: {stats:?}"));
        }
    }
    assert!(noisy.is_empty(), "{}", noisy.join("\n"));
}

/// `rules check` has nothing to say of them, not even of their style.
#[test]
fn rules_check_finds_nothing() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_harrier"))
        .args(["rules", "check", "--fail-on", "info", "-q"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!((output.status.code(), text.as_str()), (Some(0), ""));
}
