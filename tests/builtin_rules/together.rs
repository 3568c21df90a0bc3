//! What the built-in correlations must find and what they must not: a log each, hunted through by
//! the program.

use super::other::{keller, origin};
use crate::support::logs::forged;
use forge::security::{Origin, Scope};
use forge::{Account, Event, FileTime, Sid, security};
use std::collections::BTreeSet;
use std::process::Command;

/// A case: correlation, whether it must find something, what happens, the events.
type Line = (&'static str, bool, &'static str, Vec<Event>);

/// `n` events, `seconds` apart.
fn series(n: u64, seconds: u64, event: impl Fn(u64, FileTime) -> Event) -> Vec<Event> {
    let start = FileTime::literal("2026-03-03T10:00:00Z");
    let made = |i| event(i, start.plus_seconds(i * seconds)).on("SRV-FS02.corp.example");
    (0..n).map(made).collect()
}

fn lines() -> Vec<Line> {
    [guesses(), tickets(), shares(), accounts()].concat()
}

fn guesses() -> Vec<Line> {
    const GUESSING: &str = "correlation_win_password_guessing";
    const SPRAYING: &str = "correlation_win_password_spraying";
    let failed = |at, who: &Account, ip: String| {
        let from = Origin::remote(ip, 50_000, "WS-0417");
        security::logon_failed(at, who, 3, &from)
    };
    let user = |i| Account::new("CORP", format!("user{i}"));
    let here = || "10.20.4.17".to_owned();
    let one = |n, seconds| series(n, seconds, |_, at| failed(at, &keller(), here()));
    let many = |n| series(n, 20, |i, at| failed(at, &user(i), here()));
    vec![
        (GUESSING, true, "twenty in ten minutes", one(20, 30)),
        (GUESSING, false, "nineteen", one(19, 30)),
        (GUESSING, false, "twenty in twenty minutes", one(20, 62)),
        (
            GUESSING,
            true,
            "at a domain controller",
            series(20, 20, |_, at| security::preauth_failed(at, &keller(), &origin())),
        ),
        (
            GUESSING,
            false,
            "a service of the computer itself",
            series(30, 5, |_, at| failed(at, &keller(), "-".to_owned())),
        ),
        (SPRAYING, true, "ten accounts", many(10)),
        (SPRAYING, false, "nine", many(9)),
        (SPRAYING, false, "one account", one(15, 20)),
        (
            SPRAYING,
            false,
            "ten addresses",
            series(10, 20, |i, at| failed(at, &user(i), format!("10.20.4.{i}"))),
        ),
        (
            SPRAYING,
            false,
            "computers",
            series(12, 20, |i, at| failed(at, &Account::new("CORP", format!("WS-{i}$")), here())),
        ),
    ]
}

fn tickets() -> Vec<Line> {
    const ROASTING: &str = "correlation_win_kerberoasting";
    let ticket = |at, service: String, encryption| {
        security::service_ticket(at, &keller(), service, encryption, &origin())
    };
    let services = |n, encryption| series(n, 2, |i, at| ticket(at, format!("svc-{i}"), encryption));
    vec![
        (ROASTING, true, "five services", services(5, 0x17)),
        (ROASTING, false, "four", services(4, 0x17)),
        (ROASTING, false, "AES", services(9, 0x12)),
        (ROASTING, false, "one service", series(9, 2, |_, at| ticket(at, "svc".to_owned(), 0x17))),
    ]
}

fn shares() -> Vec<Line> {
    const SHARES: &str = "correlation_win_admin_shares_of_many_hosts";
    let opened = |n, host: fn(u64) -> u64| -> Vec<Event> {
        let opened = |_, at| security::share_accessed(at, &keller(), r"\\*\ADMIN$", &origin());
        let events = series(n, 60, opened).into_iter();
        events.zip(0..).map(|(event, i)| event.on(format!("SRV-{}", host(i)))).collect()
    };
    vec![
        (SHARES, true, "five hosts", opened(5, |i| i)),
        (SHARES, false, "four hosts", opened(4, |i| i)),
        (SHARES, false, "one host", opened(9, |_| 1)),
    ]
}

fn accounts() -> Vec<Line> {
    const ADMIN: &str = "correlation_win_new_account_privileged";
    let made = Account::new("CORP", "svc-sync");
    let admins = Account {
        sid: Sid::literal("S-1-5-21-1-2-3-512"),
        ..Account::new("CORP", "Domain Admins")
    };
    let created = |at| security::user_created(at, &keller(), &made);
    let added =
        |at, who: &Account| security::member_added(at, &keller(), who, Scope::Global, &admins);
    let pair = |seconds, who: &Account| {
        series(2, seconds, |i, at| if i == 0 { created(at) } else { added(at, who) })
    };
    vec![
        (ADMIN, true, "at once", pair(5, &made)),
        (ADMIN, true, "after an hour", pair(3600, &made)),
        (ADMIN, false, "later", pair(3601, &made)),
        (ADMIN, false, "another account", pair(5, &keller())),
        (
            ADMIN,
            false,
            "a name that was a member before",
            series(2, 5, |i, at| if i == 1 { created(at) } else { added(at, &made) }),
        ),
    ]
}

/// The correlations that the program tells of, by their files' names.
fn found(log: &[u8]) -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Security.evtx");
    std::fs::write(&path, log).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_harrier"))
        .args(["hunt", "-q", "--format", "jsonl"])
        .arg(&path)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let findings =
        text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    findings
        .filter(|line| line["schema"] == "harrier.correlation/1")
        .map(|line| {
            let source = line["rule"]["source"].as_str().unwrap();
            source.trim_start_matches("builtin/").trim_end_matches(".yml").to_owned()
        })
        .collect()
}

#[test]
fn each_correlation_finds_what_it_is_for_and_no_near_miss() {
    let wrong: Vec<String> = lines()
        .into_iter()
        .filter(|(name, hits, _, events)| found(&forged(events)).contains(*name) != *hits)
        .map(|(name, hits, what, _)| format!("{name}: {what}: it should be {hits}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let names = |hits| -> BTreeSet<String> {
        lines().iter().filter(|line| line.1 == hits).map(|line| line.0.to_owned()).collect()
    };
    let loaded = harrier::sigma::load_builtin().correlations;
    let all = loaded.iter().map(|correlation| super::stem(&correlation.origin)).collect();
    assert_eq!(names(true), all);
    assert_eq!(names(false), all);
}
