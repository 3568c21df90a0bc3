//! What hits look like, hostile ones too.

use super::*;
use crate::event::Value;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

fn rendered(format: &Format, hit: &Hit<'_>) -> String {
    let mut out = Vec::new();
    format.hit(hit, &mut out);
    String::from_utf8(out).unwrap()
}

fn parsed(hit: &Hit<'_>) -> Json {
    let line = rendered(&Format::Jsonl, hit);
    assert_eq!(line.matches('\n').count(), 1, "{line:?}");
    serde_json::from_str(&line).unwrap()
}

fn sample<'a>(tags: &'a [String], data: &'a Fields, matched: &'a [(&'a str, &'a str)]) -> Hit<'a> {
    Hit {
        timestamp: Some("2025-10-26T00:11:12.8808340Z"),
        rule: RuleInfo {
            id: Some("8a2f4b1c-3d5e-4f7a-9b2c-1e4f6d8a9c2b"),
            title: "Run Key Set",
            level: "high",
            status: Some("test"),
            tags,
            source: "windows/registry/run.yml",
        },
        event: EventInfo {
            provider: Some("Microsoft-Windows-Sysmon"),
            channel: Some("Microsoft-Windows-Sysmon/Operational"),
            event_id: Some("13"),
            record_id: Some("16786799"),
            computer: Some("ws01.example"),
            title: Some("Registry value set"),
        },
        place: Place {
            path: "case/Sysmon.evtx",
            chunk: 3,
            offset: 123_456,
            record_id: 42,
            recovered: false,
        },
        matched,
        system: data,
        body: "EventData",
        data,
    }
}

#[test]
fn a_hit_is_a_line_of_json() {
    let mut data = Fields::new();
    data.push("TargetObject", Value::Text(r"HKLM\Run\x"));
    data.push("ProcessId", Value::Unsigned(u64::MAX));
    data.push("Delta", Value::Signed(-5));
    data.push("Status", Value::Hex(0xc000_006d));
    data.push("Ok", Value::Bool(true));
    data.push("Data", Value::Text("one"));
    data.push("Rate", Value::Float64(0.5));
    data.push("Data", Value::Unsigned(2));
    data.push("NaN", Value::Float64(f64::NAN));
    data.push("Nothing", Value::Empty);
    let tags = ["attack.t1547.001".to_owned(), "attack.persistence".to_owned()];
    let hit = sample(&tags, &data, &[("TargetObject", r"HKLM\Run\x"), ("A", "1"), ("A", "2")]);
    assert_eq!(
        parsed(&hit),
        json!({
            "schema": "harrier.hit/1",
            "timestamp": "2025-10-26T00:11:12.8808340Z",
            "rule": {
                "id": "8a2f4b1c-3d5e-4f7a-9b2c-1e4f6d8a9c2b", "title": "Run Key Set",
                "level": "high", "status": "test",
                "tags": ["attack.t1547.001", "attack.persistence"],
                "source": "windows/registry/run.yml",
            },
            "event": {
                "provider": "Microsoft-Windows-Sysmon",
                "channel": "Microsoft-Windows-Sysmon/Operational",
                "event_id": 13, "record_id": 16_786_799, "computer": "ws01.example",
                "title": "Registry value set",
            },
            "evidence": {
                "path": "case/Sysmon.evtx", "chunk": 3, "offset": 123_456, "record_id": 42,
                "recovered": false,
            },
            "matched": {"TargetObject": "HKLM\\Run\\x", "A": ["1", "2"]},
            "data": {
                "TargetObject": "HKLM\\Run\\x", "ProcessId": u64::MAX, "Delta": -5,
                "Status": "0xc000006d", "Ok": true, "Data": ["one", 2], "Rate": 0.5,
                "NaN": "NaN", "Nothing": "",
            },
        })
    );
}

#[test]
fn keys_are_there_when_values_are_not() {
    let data = Fields::new();
    let mut hit = sample(&[], &data, &[]);
    hit.timestamp = None;
    hit.rule.id = None;
    hit.rule.status = None;
    hit.event = EventInfo { event_id: Some("007"), ..EventInfo::default() };
    let json = parsed(&hit);
    for pointer in [
        "/timestamp",
        "/rule/id",
        "/rule/status",
        "/event/provider",
        "/event/channel",
        "/event/record_id",
        "/event/computer",
        "/event/title",
    ] {
        assert_eq!(json.pointer(pointer), Some(&Json::Null), "{pointer}");
    }
    // No number in JSON: it stays the text that it is.
    assert_eq!(json["event"]["event_id"], "007");
    assert_eq!(
        (&json["matched"], &json["data"], &json["rule"]["tags"]),
        (&json!({}), &json!({}), &json!([]))
    );
}

#[test]
fn many_fields_are_grouped_as_few_are() {
    let mut data = Fields::new();
    for n in 0..1000u64 {
        data.push(if n % 3 == 0 { "Data" } else { "Other" }, Value::Unsigned(n));
        data.push(&format!("F{n}"), Value::Text("x"));
    }
    let json = parsed(&sample(&[], &data, &[]));
    assert_eq!(json["data"]["Data"].as_array().unwrap().len(), 334);
    assert_eq!(json["data"]["Other"].as_array().unwrap().len(), 666);
    assert_eq!(json["data"].as_object().unwrap().len(), 1002);
    assert_eq!(json["data"].as_object().unwrap().keys().next().unwrap(), "Data");
}

#[test]
fn a_table_has_columns() {
    let data = Fields::new();
    let hit = sample(&[], &data, &[("Image", r"C:\x.exe"), ("CommandLine", "a b"), ("Empty", "")]);
    let plain = Format::Table(TableStyle::default());
    let mut header = Vec::new();
    plain.begin(&mut header);
    let (header, line) = (String::from_utf8(header).unwrap(), rendered(&plain, &hit));
    assert!(line.starts_with("2025-10-26 00:11:12.880  high   Run Key Set "), "{line}");
    assert!(
        line.contains("  Sysmon/13  ")
            && line.ends_with("  Image=C:\\x.exe CommandLine=\"a b\" Empty=\"\"\n"),
        "{line}"
    );
    assert_eq!(header.find("COMPUTER"), line.find("ws01.example"));
    assert_eq!(header.find("MATCHED"), line.find("Image="));

    for width in [1, 80, 100, 120, 200] {
        let style = TableStyle { colour: false, width: Some(width) };
        let line = rendered(&Format::Table(style), &hit);
        let columns = unicode_width::UnicodeWidthStr::width(line.trim_end());
        assert!(columns <= width.max(80), "{width}: {columns} {line}");
    }
    let style = TableStyle { colour: true, width: None };
    assert!(rendered(&Format::Table(style), &hit).contains("\x1b[31mhigh \x1b[0m"));
}

proptest! {
    /// Whatever an event or a rule holds, it is one line that controls nothing.
    #[test]
    fn hostile_text_is_one_line(
        a in "\\PC*|[\\x00-\\x9f\u{202a}-\u{202e}\\ud7ff\"\\\\]*",
        b in any::<String>(),
        width in proptest::option::of(1usize..300),
    ) {
        let tags = [a.clone()];
        let (a, b) = (a.as_str(), b.as_str());
        let matched = [(a, b)];
        let mut data = Fields::new();
        data.push(a, Value::Text(b));
        data.push(b, Value::Text(a));
        let mut hit = sample(&tags, &data, &matched);
        (hit.timestamp, hit.rule.title, hit.event.computer) = (Some(b), a, Some(b));
        (hit.event.channel, hit.event.event_id, hit.place.path) = (Some(a), Some(b), a);
        let json = parsed(&hit);
        prop_assert_eq!(json["evidence"]["path"].as_str(), Some(a));
        prop_assert_eq!(json["event"]["computer"].as_str(), Some(b));
        for format in [Format::Jsonl, Format::Table(TableStyle { colour: false, width })] {
            let line = rendered(&format, &hit);
            let line = line.strip_suffix('\n').unwrap();
            prop_assert!(!line.chars().any(escape::is_unsafe), "{:?}", line);
        }
    }
}
