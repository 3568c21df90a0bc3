//! The bins add up, and the file says so.

use super::*;
use serde_json::Value;
use std::io::Write;
use std::sync::{Arc, Mutex};

/// A file in memory.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A writer that takes so many bytes and then fails.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if buf.len() > self.0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0 -= buf.len();
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn counts(records: u64, hits: u64) -> Counts {
    Counts {
        chunks: Chunks { slots: 3, read: 1, irregular: 1, unused: 1, unreadable: 0 },
        records: Records { seen: records + 1, fast: records, unreadable: 1, ..Records::default() },
        hits: [0, 0, 0, hits, 0],
        records_hit: hits.min(records),
        ..Counts::default()
    }
}

fn source(path: &str, damages: u64) -> SourceEntry {
    let mut entry = SourceEntry {
        container: None,
        found: "live",
        shadow_copies: 0,
        path: path.to_owned(),
        stored_as: None,
        host: None,
        size: 100,
        state: SourceState::Read,
        reason: None,
        counts: counts(10, 2),
        damages: Damages::default(),
        findings: Damages::default(),
        firsts: Vec::new(),
    };
    (0..damages).for_each(|n| entry.damages.push(n, || format!("wrong {n}")));
    entry
}

fn rule(state: RuleState, hits: u64) -> RuleEntry {
    RuleEntry {
        origin: "a.yml:1:1".to_owned(),
        id: None,
        title: Some("A".to_owned()),
        level: Some(3),
        about: None,
        tactics: Vec::new(),
        state,
        reason: None,
        hits,
        filtered: 0,
    }
}

/// One of everything.
fn filled(file: Option<LedgerFile>) -> Ledger {
    let mut ledger = Ledger::new(file);
    ledger.source(source("one", 0));
    ledger.source(source("two \"\u{202e}", 40));
    for (host, hits) in [("A", 3), ("B", 1)] {
        let mut tally = Tally::default();
        tally.hit(host, None, &[0, 0, 0, hits, 0]);
        ledger.found(tally);
    }
    let unread = |state| SourceEntry::unread("x".to_owned(), 7, state, "why".to_owned());
    for state in [SourceState::Empty, SourceState::NotALog, SourceState::Unreadable] {
        ledger.source(unread(state));
    }
    for aside in [Aside::OtherFile, Aside::OtherFile, Aside::Duplicate, Aside::Link, Aside::Special]
    {
        ledger.aside(aside);
    }
    ledger.set_met(10);
    ledger.set_rules(vec![
        rule(RuleState::Loaded, 3),
        rule(RuleState::Loaded, 1),
        rule(RuleState::Refused, 0),
        rule(RuleState::NotApplicable, 0),
        rule(RuleState::LeftOut, 0),
    ]);
    ledger
}

#[test]
fn bins_add_up_and_it_shows_if_they_do_not() {
    assert_eq!(filled(None).imbalances(), [""; 0]);
    type Spoil = fn(&mut Ledger);
    let spoils: [(&str, Spoil); 9] = [
        ("sources: 11 met, 10", |ledger| ledger.set_met(11)),
        ("sources: 10 met, 11", |ledger| ledger.aside(Aside::Link)),
        ("chunks: 7 met, 6", |ledger| ledger.counts.chunks.slots += 1),
        ("records: 23 met, 22", |ledger| ledger.counts.records.seen += 1),
        ("hits of rules: 4 met, 3", |ledger| ledger.rules[0].hits -= 1),
        ("hits on hosts: 4 met, 5", |ledger| ledger.tally.hit("A", None, &[1, 0, 0, 0, 0])),
        ("records: 20 read, 21 hit", |ledger| ledger.counts.records_hit = 21),
        ("records: 20 read, 21 hit", |ledger| {
            (ledger.counts.copies, ledger.counts.records_copied) = (17, 17);
        }),
        ("copies: 2 records, 1 hits", |ledger| {
            (ledger.counts.copies, ledger.counts.records_copied) = (1, 2);
        }),
    ];
    for (want, spoil) in spoils {
        let mut ledger = filled(None);
        spoil(&mut ledger);
        let said = ledger.imbalances();
        assert!(said.len() == 1 && said[0].starts_with(want), "{want}: {said:?}");
    }
}

#[test]
fn only_a_run_that_saw_everything_is_complete() {
    let whole = || {
        let mut ledger = Ledger::new(None);
        ledger.source(source("one", 0));
        ledger.aside(Aside::OtherFile);
        ledger.set_met(2);
        ledger.set_rules(vec![rule(RuleState::Loaded, 2), rule(RuleState::NotApplicable, 0)]);
        ledger
    };
    assert!(whole().complete());
    type Spoil = fn(&mut Ledger);
    let spoils: [Spoil; 4] = [
        |ledger| ledger.source(source("two", 1)),
        |ledger| {
            let state = SourceState::Empty;
            ledger.source(SourceEntry::unread("e".into(), 0, state, "empty".into()));
        },
        |ledger| ledger.set_rules(vec![rule(RuleState::Refused, 0)]),
        |ledger| ledger.set_cut_short(),
    ];
    for (n, spoil) in spoils.into_iter().enumerate() {
        let mut ledger = whole();
        spoil(&mut ledger);
        assert!(!ledger.complete(), "{n}");
    }
}

#[test]
fn the_file_is_json_with_every_source_and_rule() {
    let memory = Memory::default();
    let mut ledger = filled(Some(LedgerFile::begin(Box::new(memory.clone())).unwrap()));
    ledger.finish().unwrap();
    let bytes = memory.0.lock().unwrap().clone();
    let json: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(json["schema"], "harrier.ledger/1");
    assert_eq!(json["sources"].as_array().unwrap().len(), 5);
    assert_eq!(json["sources"][1]["path"], "two \"\u{202e}");
    assert_eq!(json["sources"][1]["state"], "damaged");
    assert_eq!(json["sources"][1]["damages"].as_array().unwrap().len(), DAMAGES_KEPT);
    assert_eq!(json["sources"][1]["more_damages"], 8);
    assert_eq!(json["rules"].as_array().unwrap().len(), 5);
    for (pointer, want) in [
        ("/totals/complete", Value::Bool(false)),
        ("/totals/met", 10.into()),
        ("/totals/sources/all", 5.into()),
        ("/totals/sources/damaged", 1.into()),
        ("/totals/sources/bytes", 200.into()),
        ("/totals/beside/other_files", 2.into()),
        ("/totals/records/seen", 22.into()),
        ("/totals/rules/all", 5.into()),
        ("/totals/rules/refused", 1.into()),
        ("/totals/hits/high", 4.into()),
        ("/totals/problems", 43.into()),
        ("/totals/hosts/1/computer", "B".into()),
        ("/totals/hosts/0/hits", 3.into()),
        ("/totals/imbalances", Value::Array(Vec::new())),
    ] {
        assert_eq!(json.pointer(pointer), Some(&want), "{pointer}");
    }
}

#[test]
fn a_file_without_sources_is_json_too() {
    let memory = Memory::default();
    let mut ledger = Ledger::new(Some(LedgerFile::begin(Box::new(memory.clone())).unwrap()));
    ledger.finish().unwrap();
    let bytes = memory.0.lock().unwrap().clone();
    let json: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(json["sources"], Value::Array(Vec::new()));
}

#[test]
fn a_file_that_cannot_be_written_is_an_error() {
    assert!(LedgerFile::begin(Box::new(Full(3))).is_err());
    for room in [100, 500, 2000] {
        let mut ledger = filled(Some(LedgerFile::begin(Box::new(Full(room))).unwrap()));
        assert_eq!(ledger.finish().unwrap_err().kind(), io::ErrorKind::StorageFull, "{room}");
    }
}

#[test]
fn what_went_wrong_is_kept_up_to_a_cap() {
    let mut ledger = Ledger::new(None);
    for n in 0..10 {
        ledger.source(source(&format!("s{n}"), 100));
    }
    assert_eq!(ledger.problems().len(), PROBLEMS_KEPT);
    assert_eq!(ledger.problems_total(), 1000);
    assert_eq!(ledger.problems()[DAMAGES_KEPT].path, "s1");
}

#[test]
fn damages_are_merged_in_order() {
    let mut all = Damages::default();
    for part in 0..5u64 {
        let mut damages = Damages::default();
        (0..10).for_each(|n| damages.push(part * 10 + n, String::new));
        all.append(damages);
    }
    let offsets: Vec<u64> = all.kept.iter().map(|damage| damage.offset).collect();
    assert_eq!(offsets, (0..DAMAGES_KEPT as u64).collect::<Vec<_>>());
    assert_eq!((all.total, all.rest()), (50, 18));
}
