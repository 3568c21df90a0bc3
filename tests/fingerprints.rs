//! By what events are known again: by all that they say, and by nothing else.

use crate::support::logs::{each_record, evtx_files};
use crate::support::{Made, corpora};
use harrier::event::{LeafKind, Section};
use harrier::evtx::{Options, Reader};
use harrier::hunt::{Fingerprint, Fingerprinter, Key};
use proptest::prelude::*;
use std::path::Path;

fn of(key: Key, made: &Made) -> Option<Fingerprint> {
    Fingerprinter::new(key).of(made)
}

#[test]
fn whatever_an_event_says_tells_it_from_others() {
    let key = Key::draw();
    let plain = |id: &str, time: &str| {
        Made::sysmon(1).with(Section::System, LeafKind::Named, "EventRecordID", &[id]).with(
            Section::System,
            LeafKind::Attribute,
            "TimeCreated_SystemTime",
            &[time],
        )
    };
    let base = || plain("7", "2026-03-01T10:00:00.0000000Z").data("a", "bc").data("d", "");
    let all = [
        base(),
        plain("8", "2026-03-01T10:00:00.0000000Z").data("a", "bc").data("d", ""),
        plain("7", "2026-03-01T10:00:00.0000001Z").data("a", "bc").data("d", ""),
        plain("7", "2026-03-01T10:00:00.0000000Z").data("ab", "c").data("d", ""),
        plain("7", "2026-03-01T10:00:00.0000000Z").data("a", "bcd").data("", ""),
        plain("7", "2026-03-01T10:00:00.0000000Z").data("a", "BC").data("d", ""),
        plain("7", "2026-03-01T10:00:00.0000000Z").data("d", "").data("a", "bc"),
        plain("7", "2026-03-01T10:00:00.0000000Z").data("a", "bc"),
        plain("7", "2026-03-01T10:00:00.0000000Z").user("a", "bc").data("d", ""),
        plain("7", "2026-03-01T10:00:00.0000000Z").unnamed(&["a", "bc"]),
        plain("7", "2026-03-01T10:00:00.0000000Z").unnamed(&["ab", "c"]),
        base().with(Section::System, LeafKind::Named, "Computer", &["other"]),
    ];
    let prints: Vec<Option<Fingerprint>> = all.iter().map(|made| of(key, made)).collect();
    for (n, print) in prints.iter().enumerate() {
        assert!(print.is_some(), "{:?}", all[n]);
        assert_eq!(prints.iter().position(|other| other == print), Some(n), "{:?}", all[n]);
    }
    assert_eq!(of(key, &base()), prints[0]);
    // Whether values of a name stand together does not matter: the lanes differ in it.
    let apart = plain("7", "2026-03-01T10:00:00.0000000Z").unnamed(&["a"]).unnamed(&["bc"]);
    assert_eq!(of(key, &apart), prints[9]);
}

/// A name in the data or the user's data, and its values.
type Field = (bool, String, Vec<String>);

/// Names and texts that are easily taken for each other when it is lost where one ends.
fn fields() -> impl Strategy<Value = Vec<Field>> {
    let text = prop_oneof!["[ab]{0,3}", "a{7,9}", Just(String::new())];
    let values = prop::collection::vec(text.clone(), 0..3);
    prop::collection::vec((any::<bool>(), text, values), 0..5)
}

fn saying(fields: &[Field]) -> Made {
    let base =
        Made::sysmon(1).with(Section::System, LeafKind::Named, "EventRecordID", &["7"]).with(
            Section::System,
            LeafKind::Attribute,
            "TimeCreated_SystemTime",
            &["2026-03-01T10:00:00.0000000Z"],
        );
    fields.iter().fold(base, |made, (user, name, values)| {
        let section = if *user { Section::UserData } else { Section::EventData };
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        made.with(section, LeafKind::Named, name, &values)
    })
}

proptest! {
    /// Two events have one fingerprint if they say the same, and not otherwise.
    #[test]
    fn events_are_one_if_they_say_the_same(
        a in fields(),
        b in fields(),
        (at, change) in (any::<prop::sample::Index>(), 0..4),
    ) {
        let mut near = a.clone();
        if !near.is_empty() {
            let at = at.index(near.len());
            let field = near[at].clone();
            match change {
                0 => near[at].0 = !field.0,
                1 => near.insert(at, field),
                2 => near[at].2.push(String::new()),
                // The same in two parts.
                _ => {
                    let values = near[at].2.split_off(field.2.len() / 2);
                    near.insert(at + 1, (field.0, field.1, values));
                }
            }
        }
        let told = |fields: &[Field]| -> Vec<(bool, String, String)> {
            let each = fields.iter().flat_map(|(user, name, values)| {
                values.iter().map(|value| (*user, name.clone(), value.clone()))
            });
            each.collect()
        };
        let key = Key::draw();
        let print = |fields: &[Field]| of(key, &saying(fields)).unwrap();
        for other in [&b, &near] {
            prop_assert_eq!(told(&a) == told(other), print(&a) == print(other));
        }
    }
}

/// An event is the same whichever lane read it.
#[test]
fn lanes_do_not_matter() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/evidence");
    let mut logs = evtx_files(&shipped);
    if let Some(corpora) = corpora("lanes_do_not_matter") {
        logs.extend(evtx_files(&corpora.join("evtx")).into_iter().take(60));
    }
    let key = Key::draw();
    let (mut known, mut records, mut masked) = (0, 0, 0);
    for path in logs {
        let log = std::fs::read(&path).unwrap();
        let prints = |slow_only| {
            let (mut made, mut prints) = (Fingerprinter::new(key), Vec::new());
            let options = Options { slow_only, ..Options::default() };
            each_record(&mut Reader::new(options), &log, |record| {
                let mut masked = false;
                let layout = harrier::event::Event::layout(record);
                for (id, _) in layout.iter() {
                    // The slow lane has `_` for what XML cannot carry.
                    harrier::event::Event::values(record, id, |value| {
                        masked |= value.to_text().contains(|c: char| c < ' ' || c == '\u{fffd}');
                    });
                }
                prints.push((masked, made.of(record)));
            });
            prints
        };
        for ((is_masked, fast), (_, slow)) in prints(false).iter().zip(prints(true)) {
            records += 1;
            known += usize::from(fast.is_some());
            masked += usize::from(*is_masked);
            assert!(*is_masked || *fast == slow, "{}", path.display());
        }
    }
    println!("{records} records, {known} of them known again, {masked} with control characters");
    assert!(records > 400 && known * 10 > records * 9);
}
