//! The shipped evidence: that it is what the forge makes, and that it holds what it should.
//!
//! The two AMSI rules are restated here over the `evtx` crate's JSON, so that the list of
//! expectations is checked by something that shares no code with the forge or the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use forge::story::{AmsiRule, Story, build};
use serde_json::Value as Json;

use super::parser;

fn evidence() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/evidence")
}

fn story() -> Story {
    build().unwrap()
}

#[test]
fn the_shipped_evidence_is_what_the_forge_makes() {
    let story = story();
    let mut shipped = BTreeSet::new();
    for entry in walkdir::WalkDir::new(evidence()) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let path = entry.path().strip_prefix(evidence()).unwrap().to_owned();
            shipped.insert(
                path.components()
                    .map(|c| c.as_os_str().to_str().unwrap().to_owned())
                    .collect::<Vec<String>>()
                    .join("/"),
            );
        }
    }
    let made: BTreeSet<String> = story.files.iter().map(|file| file.path.clone()).collect();
    assert_eq!(shipped, made, "run: cargo run -p forge -- story fixtures/evidence");
    for file in &story.files {
        let bytes = std::fs::read(evidence().join(&file.path)).unwrap();
        assert!(bytes == file.bytes, "{} differs: run forge story fixtures/evidence", file.path);
    }
    // The repository carries it, so it has to stay small.
    let bytes: usize = story.files.iter().map(|file| file.bytes.len()).sum();
    assert!(bytes < 3_000_000, "{bytes}");
}

#[test]
fn every_log_reads_back_in_order() {
    for file in story().files {
        let mut ids = Vec::new();
        let mut times = Vec::new();
        for record in parser(&file.bytes).records_json_value() {
            let record = record.unwrap();
            let system = &record.data["Event"]["System"];
            assert_eq!(system["EventRecordID"], record.event_record_id);
            let host = system["Computer"].as_str().unwrap();
            assert!(file.path.starts_with(host.split('.').next().unwrap()), "{host}");
            ids.push(record.event_record_id);
            times.push(record.timestamp);
        }
        assert_eq!(ids.len() as u64, file.records, "{}", file.path);
        assert!(ids.windows(2).all(|pair| pair[1] == pair[0] + 1), "{}", file.path);
        assert!(times.is_sorted(), "{}", file.path);
    }
}

#[test]
fn the_acts_are_in_the_logs_that_would_show_them() {
    let mut found: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    for file in story().files {
        for record in parser(&file.bytes).records_json_value() {
            let id = &record.unwrap().data["Event"]["System"]["EventID"];
            let id = id.get("#text").unwrap_or(id).as_u64().unwrap();
            found.entry(file.path.clone()).or_default().insert(id);
        }
    }
    for (path, ids) in [
        (
            "WS-0417/Microsoft-Windows-Sysmon%4Operational.evtx",
            &[1, 3, 7, 10, 11, 12, 13, 15, 22][..],
        ),
        ("WS-0417/Security.evtx", &[4648, 4656, 4657, 4663, 4688, 4697, 4698, 5156]),
        ("WS-0417/System.evtx", &[104, 7036, 7045]),
        ("WS-0417/Microsoft-Windows-PowerShell%4Operational.evtx", &[4103, 4104]),
        ("WS-0417/Windows PowerShell.evtx", &[400, 403, 600, 800]),
        (
            "WS-0417/Microsoft-Windows-Windows Defender%4Operational.evtx",
            &[1116, 1117, 1121, 5001, 5007],
        ),
        ("WS-0417/Microsoft-Windows-TaskScheduler%4Operational.evtx", &[200]),
        ("SRV-FS02/Microsoft-Windows-Sysmon%4Operational.evtx", &[1, 11, 17, 18]),
        ("SRV-FS02/System.evtx", &[7036, 7045]),
        ("SRV-FS02/Security.evtx", &[1102]),
        (
            "SRV-FS02/Archive-Security-2026-03-03-09-31-12-418.evtx",
            &[4624, 4672, 4697, 4732, 5140, 5145],
        ),
    ] {
        let found = &found[path];
        for id in ids {
            assert!(found.contains(id), "{path}: {id} is not among {found:?}");
        }
    }
}

/// The event as both rules see it, whichever log it is from.
struct Registry {
    set: bool,
    removed: bool,
    image: String,
    /// The key, and for a value the key with the value's name, in lower case.
    objects: Vec<String>,
}

fn registry(event: &Json) -> Option<Registry> {
    let (system, data) = (&event["Event"]["System"], &event["Event"]["EventData"]);
    let text = |name: &str| data[name].as_str().unwrap_or_default().to_ascii_lowercase();
    let channel = system["Channel"].as_str()?;
    match (channel, system["EventID"].as_u64()?) {
        ("Microsoft-Windows-Sysmon/Operational", id @ 12..=14) => Some(Registry {
            set: id == 13,
            removed: id == 14 || (id == 12 && text("EventType").starts_with("delete")),
            image: text("Image"),
            objects: vec![text("TargetObject")],
        }),
        ("Security", 4657) => {
            let key = text("ObjectName").replace(r"\registry\machine", "hklm");
            let value = text("ObjectValueName");
            let operation = text("OperationType");
            Some(Registry {
                set: operation == "%%1904" || operation == "%%1905",
                removed: operation == "%%1906",
                image: text("ProcessName"),
                objects: vec![format!(r"{key}\{value}"), key],
            })
        }
        _ => None,
    }
}

/// The rules, restated.
fn judge(event: &Json) -> Option<AmsiRule> {
    let event = registry(event)?;
    let contains =
        |part: &str| event.objects.iter().any(|o| o.contains(&part.to_ascii_lowercase()));
    let ends = |part: &str| event.objects.iter().any(|o| o.ends_with(&part.to_ascii_lowercase()));
    let is = |image: &str| event.image == image.to_ascii_lowercase();
    if event.set
        && (contains(r"\SOFTWARE\Microsoft\AMSI\Providers\")
            || contains(r"\SOFTWARE\WOW6432Node\Microsoft\AMSI\Providers\"))
    {
        let avast = [
            r"C:\Program Files\AVG\Antivirus\RegSvr.exe",
            r"C:\Program Files\AVG\Antivirus\x86\RegSvr.exe",
            r"C:\Program Files\Avast Software\Avast\RegSvr.exe",
            r"C:\Program Files\Avast Software\Avast\x86\RegSvr.exe",
        ];
        let excepted = (avast.into_iter().any(is)
            && contains(r"\{FB904E4E-D2C7-4C8D-8492-B620BB9896B1}"))
            || (is(r"C:\Program Files\Avira\Endpoint Protection SDK\endpointprotection.exe")
                && contains(r"\{00000001-3DCC-4B48-A82E-E2071FE58E05}"));
        return (!excepted).then_some(AmsiRule::ProviderSet);
    }
    if event.removed
        && (ends("{2781761E-28E0-4109-99FE-B9D127C57AFE}")
            || ends("{A7C452EF-8E9F-42EB-9F2B-245613CA0DC9}"))
    {
        let folders = [
            r"c:\programdata\microsoft\windows defender\platform\",
            r"c:\program files\windows defender\",
            r"c:\program files (x86)\windows defender\",
        ];
        let excepted = event.image.ends_with(r"\msmpeng.exe")
            && folders.into_iter().any(|folder| event.image.starts_with(folder));
        return (!excepted).then_some(AmsiRule::ProviderDelete);
    }
    None
}

#[test]
fn the_expectations_are_those_of_the_rules() {
    let story = story();
    let expected: BTreeMap<(&str, u64), (Option<AmsiRule>, &str)> =
        story.amsi.iter().map(|e| ((e.path.as_str(), e.record_id), (e.hit, e.why))).collect();
    assert_eq!(expected.len(), story.amsi.len(), "each record is listed once");
    let mut seen = 0;
    for file in &story.files {
        for record in parser(&file.bytes).records_json_value() {
            let record = record.unwrap();
            let hit = judge(&record.data);
            match expected.get(&(file.path.as_str(), record.event_record_id)) {
                Some(&(wanted, why)) => {
                    assert_eq!(hit, wanted, "{why}: {}", record.data);
                    seen += 1;
                }
                None => assert_eq!(hit, None, "not listed: {}", record.data),
            }
        }
    }
    assert_eq!(seen, expected.len());
}

/// Every exception of both rules is there in both logs, and so are hits of both rules.
#[test]
fn no_exception_is_left_out() {
    let story = story();
    let mut quiet: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut loud = BTreeSet::new();
    for file in story.files.iter().filter(|file| file.path.starts_with("WS-0522/")) {
        let log = if file.path.ends_with("Security.evtx") { "audit" } else { "sysmon" };
        for record in parser(&file.bytes).records_json_value() {
            let record = record.unwrap();
            let event = registry(&record.data).unwrap();
            match judge(&record.data) {
                Some(rule) => loud.extend([(log, rule)]),
                None => quiet.entry(log).or_default().extend([event.image]),
            }
        }
    }
    for log in ["audit", "sysmon"] {
        assert!(loud.contains(&(log, AmsiRule::ProviderSet)), "{log}");
        assert!(loud.contains(&(log, AmsiRule::ProviderDelete)), "{log}");
        for image in [
            r"c:\program files\avg\antivirus\regsvr.exe",
            r"c:\program files\avg\antivirus\x86\regsvr.exe",
            r"c:\program files\avast software\avast\regsvr.exe",
            r"c:\program files\avast software\avast\x86\regsvr.exe",
            r"c:\program files\avira\endpoint protection sdk\endpointprotection.exe",
            r"c:\programdata\microsoft\windows defender\platform\4.18.26010.5-0\msmpeng.exe",
            r"c:\program files\windows defender\msmpeng.exe",
            r"c:\program files (x86)\windows defender\msmpeng.exe",
        ] {
            assert!(quiet[log].contains(image), "{log}: {image}");
        }
    }
}
