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
        subject: Subject::Hit,
        timestamp: Some("2025-10-26T00:11:12.8808340Z"),
        local_time: None,
        rule: RuleInfo {
            id: Some("8a2f4b1c-3d5e-4f7a-9b2c-1e4f6d8a9c2b"),
            title: "Run Key Set",
            level: "high",
            status: Some("test"),
            tags,
            source: "windows/registry/run.yml",
            kept: None,
        },
        event: EventInfo {
            provider: Some("Microsoft-Windows-Sysmon"),
            channel: Some("Microsoft-Windows-Sysmon/Operational"),
            event_id: Some("13"),
            record_id: Some("16786799"),
            computer: Some("ws01.example"),
            title: Some("Registry value set"),
            mould: None,
        },
        place: Place {
            path: "case/Sysmon.evtx",
            chunk: 3,
            offset: 123_456,
            record_id: 42,
            state: "live",
            host: None,
            recovered: false,
            mould: None,
        },
        matched,
        system: data,
        body: "EventData",
        data,
        object: None,
    }
}

/// What is kept made changes nothing.
#[test]
fn moulds_cast_what_is_written_without_them() {
    let (tags, data) = (Vec::new(), Fields::new());
    let hit = sample(&tags, &data, &[]);
    let ids = [None, Some("7"), Some("007"), Some("x\"y"), Some("18446744073709551616")];
    for (n, record_id) in (0..).zip(ids) {
        for text in [None, Some(""), Some("a\\b\"\u{202e}")] {
            // All that a mould is made of is of the first.
            let event = EventInfo {
                provider: text,
                channel: text,
                event_id: text,
                title: text,
                ..hit.event
            };
            let place = Place { path: text.unwrap_or("x"), host: text, ..hit.place };
            let (event_mould, place_mould) = (event.mould(), place.mould());
            let event = EventInfo { record_id, computer: text, ..event };
            let place = Place { chunk: n, offset: n * n, recovered: n % 2 == 0, ..place };
            for subject in [Subject::Hit, Subject::Context] {
                let lines = [(None, None), (Some(&event_mould), Some(&place_mould))].map(|kept| {
                    let event = EventInfo { mould: kept.0, ..event };
                    let place = Place { mould: kept.1, ..place };
                    rendered(&Format::Jsonl, &Hit { subject, event, place, ..hit })
                });
                assert_eq!(lines[0], lines[1]);
                let line: Json = serde_json::from_str(&lines[0]).unwrap();
                assert_eq!(line["event"]["computer"].as_str(), text);
                assert_eq!(line["evidence"]["offset"].as_u64(), Some(n * n));
            }
        }
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
                "state": "live",
                "host": null,
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

/// All formats, tables of several widths among them.
fn formats() -> Vec<Format> {
    let names = ["standard", "verbose", "data.Image", "Image", "Nowhere", "matched"];
    let mut formats = vec![Format::Jsonl, Format::Timesketch, Format::Ecs, Format::Checker];
    for medium in [Medium::Page, Medium::Sheet] {
        for columns in [Columns::standard(medium), Columns::parse(&names, medium).unwrap()] {
            formats.push(Format::Csv(columns.clone()));
            formats.push(Format::Markdown(columns.clone()));
            for page in [None, Some(1), Some(60), Some(100), Some(200)] {
                formats.push(Format::Table(Table::new(&columns, false, page)));
            }
        }
    }
    formats
}

fn begun(format: &Format) -> String {
    let mut out = Vec::new();
    format.begin(&mut out);
    String::from_utf8(out).unwrap()
}

fn page(width: usize) -> Format {
    Format::Table(Table::new(&Columns::standard(Medium::Page), false, Some(width)))
}

const LONG: &str =
    r#""C:\Program Files\Tool\tool.exe" --first one --second two --third three --fourth"#;

#[test]
fn a_table_fits_its_page() {
    let data = Fields::new();
    let matched = [("EventID", "13"), ("Image", r"C:\Windows\x.exe"), ("CommandLine", LONG)];
    let hit = sample(&[], &data, &matched);
    for (width, want) in [
        (
            60,
            [
                "TIME (UTC)           LEVEL  RULE",
                "2025-10-26 00:11:12  high   Run Key Set",
                "    ws01.example  Sysmon/13",
                r"    Image=C:\Windows\x.exe",
                r#"    CommandLine="C:\Program Files\Tool\tool.exe" --first one"#,
                "      --second two --third three --fourth",
                "    case/Sysmon.evtx  record 16786799",
                "",
            ]
            .join("\n"),
        ),
        (
            100,
            [
                "TIME (UTC)           LEVEL  RULE                             COMPUTER                EVENT",
                "2025-10-26 00:11:12  high   Run Key Set                      ws01.example            Sysmon/13",
                r"    Image=C:\Windows\x.exe",
                r#"    CommandLine="C:\Program Files\Tool\tool.exe" --first one --second two --third three --fourth"#,
                "    case/Sysmon.evtx  record 16786799",
                "",
            ]
            .join("\n"),
        ),
    ] {
        assert_eq!(begun(&page(width)) + &rendered(&page(width), &hit), want);
    }
    let wide = Format::Table(Table::default());
    let line = rendered(&wide, &hit);
    assert_eq!(line.lines().count(), 1);
    assert!(line.ends_with(&format!("CommandLine={LONG}  case/Sysmon.evtx  record 16786799\n")));
    assert_eq!(begun(&wide).find("COMPUTER"), line.find("ws01.example"));
    let page = Some(100);
    let coloured = Format::Table(Table::new(&Columns::standard(Medium::Page), true, page));
    let text = rendered(&coloured, &hit);
    assert!(text.contains("  \x1b[31mhigh\x1b[0m   \x1b[31mRun Key Set\x1b[0m "), "{text:?}");
    assert!(text.ends_with("    \x1b[2mcase/Sysmon.evtx  record 16786799\x1b[0m\n"), "{text:?}");
}

/// A value cannot look like a field: what is left of a long one is indented.
#[test]
fn a_value_is_seen_to_be_one() {
    let data = Fields::new();
    let text = format!("{} Image=C:\\good.exe", "x".repeat(90));
    let matched = [("A", text.as_str()), ("B", "2")];
    let hit = sample(&[], &data, &matched);
    let text = rendered(&page(100), &hit);
    let lines: Vec<&str> = text.lines().skip(1).take(2).collect();
    assert_eq!(
        lines,
        [format!("    A={}", "x".repeat(90)), "      Image=C:\\good.exe  B=2".to_owned()]
    );
}

/// If a rule asks only which kind of event it is, the event's fields are told.
#[test]
fn fields_say_something() {
    let mut data = Fields::new();
    for (name, value) in [
        ("SubjectUserSid", "S-1-5-18"),
        ("SubjectUserName", "eve"),
        ("Empty", ""),
        ("None", "-"),
        ("LogonId", "0x3e7"),
        ("Reason", "two words"),
    ] {
        data.push(name, Value::Text(value));
    }
    let kind = [("EventID", "1102"), ("Provider_Name", "x")];
    let columns = Columns::parse(&["Fields", "Matched", "Details"], Medium::Sheet).unwrap();
    let csv = Format::Csv(columns);
    assert_eq!(
        rendered(&csv, &sample(&[], &data, &kind)),
        "SubjectUserName=eve | Reason=two words,EventID=1102 | Provider_Name=x,SubjectUserSid=S-1-5-18 \
         | SubjectUserName=eve | None=- | LogonId=0x3e7 | Reason=two words\n"
    );
    let other = [("EventID", "1102"), ("SubjectUserName", "eve")];
    let cells = rendered(&csv, &sample(&[], &data, &other));
    assert!(cells.starts_with("SubjectUserName=eve,EventID=1102 | "), "{cells}");
    assert!(cells.contains(",SubjectUserName=eve | SubjectUserSid="), "{cells}");
}

#[test]
fn columns_are_what_is_asked_for() {
    let names = |spec: &str, medium| {
        let spec: Vec<&str> = spec.split(',').collect();
        Columns::parse(&spec, medium)
            .map(|columns| begun(&Format::Csv(columns)).trim_end().to_owned())
    };
    for (spec, want) in [
        ("minimal", "TimeUTC,Level,Rule,Computer"),
        ("timeutc,LEVEL, rule", "TimeUTC,Level,Rule"),
        ("time,LEVEL, rule", "Time,Level,Rule"),
        ("Rule,minimal,Image", "Rule,TimeUTC,Level,Computer,Image"),
        ("Process Name,data.User,User,Level,Level", "Process Name,data.User,User,Level"),
        ("=x", "'=x"),
    ] {
        assert_eq!(names(spec, Medium::Page).as_deref(), Ok(want), "{spec}");
    }
    for spec in ["", "a,,b", "data."] {
        assert_eq!(names(spec, Medium::Page), Err("a column has no name".to_owned()), "{spec}");
    }
    assert_eq!(Columns::parse::<&str>(&[], Medium::Page), Err("there are no columns".to_owned()));
    for medium in [Medium::Page, Medium::Sheet] {
        let verbose = names("verbose", medium).unwrap();
        assert!(verbose.ends_with(",Details"), "{verbose}");
        for name in names("standard", medium).unwrap().split(',') {
            assert!(verbose.split(',').any(|other| other == name), "{name}");
        }
        assert_eq!(
            names("standard", medium).unwrap(),
            begun(&Format::Csv(Columns::standard(medium))).trim_end()
        );
    }
    // Every column has a name that finds it.
    for name in Columns::names() {
        assert_eq!(names(name, Medium::Page).as_deref(), Ok(name));
    }
}

/// Fields by whichever of the two names they have, and what is made of several.
#[test]
fn columns_of_fields_have_their_values() {
    let mut data = Fields::new();
    for (name, value) in [
        ("NewProcessName", r"C:\a.exe"),
        ("SubjectUserName", "eve"),
        ("SubjectDomainName", "CORP"),
        ("TargetUserName", "-"),
        ("IpAddress", "10.0.0.1"),
        ("Data", "one"),
        ("Data", "two"),
        ("User", ""),
    ] {
        data.push(name, Value::Text(value));
    }
    let tags = ["attack.t1003.001", "attack.T1047", "attack.tool", "attack.g0007"];
    let tags = tags.map(str::to_owned);
    let hit = sample(&tags, &data, &[("Image", r"C:\a.exe")]);
    let spec = [
        "Process",
        "User",
        "TargetUser",
        "SourceIP",
        "data",
        "image",
        "Image",
        "Techniques",
        "Match1",
        "Match2",
        "data.User",
        "Where",
    ];
    let csv = Format::Csv(Columns::parse(&spec, Medium::Sheet).unwrap());
    assert_eq!(
        rendered(&csv, &hit),
        "C:\\a.exe,CORP\\eve,,10.0.0.1,one | two,C:\\a.exe,C:\\a.exe,T1003.001 T1047,\
         Image=C:\\a.exe,,,case/Sysmon.evtx | record 16786799\n"
    );
}

/// The fields that Timesketch requires and Plaso has, flat, and none of the event's in their place.
#[test]
fn timesketch_gets_what_it_requires() {
    let mut data = Fields::new();
    for (name, value) in [
        ("ProcessId", Value::Unsigned(500)),
        ("message", Value::Text("evil")),
        ("a.b", Value::Text("1")),
        ("a_b", Value::Text("2")),
        ("", Value::Text("3")),
        ("datetime", Value::Text("now")),
        ("field_message", Value::Text("4")),
    ] {
        data.push(name, value);
    }
    let tags = ["attack.t1547.001".to_owned()];
    let mut hit = sample(&tags, &data, &[("TargetObject", "x\ny")]);
    let json: Json = serde_json::from_str(&rendered(&Format::Timesketch, &hit)).unwrap();
    assert_eq!(
        json,
        json!({
            "message": "Run Key Set (Registry value set, Sysmon/13): TargetObject=x\\ny",
            "datetime": "2025-10-26T00:11:12.880834+00:00", "timestamp": 1_761_437_472_880_834u64,
            "timestamp_desc": "Creation Time", "data_type": "windows:evtx:record",
            "tag": ["high", "attack.t1547.001"],
            "rule_title": "Run Key Set", "rule_id": "8a2f4b1c-3d5e-4f7a-9b2c-1e4f6d8a9c2b",
            "rule_level": "high", "rule_status": "test", "rule_file": "windows/registry/run.yml",
            "rule_techniques": ["T1547.001"], "matched": ["TargetObject=x\ny"],
            "event_identifier": 13, "source_name": "Microsoft-Windows-Sysmon",
            "channel": "Microsoft-Windows-Sysmon/Operational", "computer_name": "ws01.example",
            "record_number": 16_786_799, "event_title": "Registry value set",
            "display_name": "case/Sysmon.evtx", "chunk": 3, "offset": 123_456, "recovered": false,
            "strings": ["500", "evil", "1", "2", "3", "now", "4"],
            "ProcessId": "500", "field_message": "evil", "a_b": ["1", "2"], "field_": "3",
            "field_datetime": "now", "field_field_message": "4",
        })
    );
    for (time, event_id) in [(None, None), (Some("yesterday"), Some("007"))] {
        (hit.timestamp, hit.event.event_id) = (time, event_id);
        let json: Json = serde_json::from_str(&rendered(&Format::Timesketch, &hit)).unwrap();
        assert_eq!(json["datetime"], "1970-01-01T00:00:00.000000+00:00");
        assert_eq!(
            (&json["timestamp"], &json["timestamp_desc"]),
            (&json!(0), &json!("Not a time"))
        );
        // A number or nothing: OpenSearch would refuse the event.
        assert_eq!(json.get("event_identifier"), None);
        assert_eq!(json.get("field_event_identifier").and_then(Json::as_str), event_id);
    }
}

/// The fields of the Elastic Common Schema that are used, and their types, by its documentation.
const ECS: &[(&str, &str)] = &[
    ("date", "@timestamp"),
    (
        "text",
        "message error.message ecs.version event.kind event.module event.dataset event.code \
         event.provider event.action event.outcome host.name host.os.type log.file.path rule.id \
         rule.name rule.ruleset threat.framework process.executable process.name \
         process.command_line process.entity_id process.working_directory \
         process.pe.original_file_name process.pe.imphash process.hash.md5 process.hash.sha1 \
         process.hash.sha256 process.parent.executable process.parent.name \
         process.parent.command_line process.parent.entity_id user.name user.domain user.id \
         source.domain destination.domain network.transport file.path file.name registry.path \
         dll.path dll.name dll.hash.md5 dll.hash.sha1 dll.hash.sha256 dll.pe.imphash \
         dns.question.name winlog.channel winlog.computer_name winlog.event_id \
         winlog.provider_name winlog.record_id harrier.rule.level harrier.rule.status \
         harrier.rule.file",
    ),
    (
        "texts",
        "tags event.category event.type threat.technique.id threat.technique.subtechnique.id \
         threat.tactic.name",
    ),
    (
        "long",
        "event.severity process.pid process.parent.pid source.port destination.port \
         harrier.evidence.chunk harrier.evidence.offset",
    ),
    ("ip", "source.ip destination.ip"),
    ("boolean", "harrier.evidence.recovered"),
    ("fields", "winlog.event_data harrier.matched"),
];

/// Checks a document against the schema and gives the paths that it has.
fn check_ecs(path: &str, json: &Json, found: &mut Vec<String>) {
    let kind = ECS.iter().find(|(_, paths)| paths.split_whitespace().any(|p| p == path));
    let Some((kind, _)) = kind else {
        let object = json.as_object().unwrap_or_else(|| panic!("{path} is no field: {json}"));
        assert!(!object.is_empty());
        for (name, value) in object {
            let dot = if path.is_empty() { "" } else { "." };
            check_ecs(&format!("{path}{dot}{name}"), value, found);
        }
        return;
    };
    found.push(path.to_owned());
    let text = |json: &Json| json.as_str().map(str::to_owned);
    let right = match *kind {
        "date" => text(json).is_some_and(|t| t.parse::<jiff::Timestamp>().is_ok()),
        "text" => json.is_string(),
        "texts" => json.as_array().is_some_and(|a| !a.is_empty() && a.iter().all(Json::is_string)),
        "long" => json.is_i64(),
        "ip" => text(json).is_some_and(|t| t.parse::<std::net::IpAddr>().is_ok()),
        "boolean" => json.is_boolean(),
        _ => json.as_object().is_some_and(|object| {
            let texts = |v: &Json| {
                v.is_string() || v.as_array().is_some_and(|a| a.iter().all(Json::is_string))
            };
            object.iter().all(|(name, v)| !name.is_empty() && !name.contains('.') && texts(v))
        }),
    };
    assert!(right, "{path} is no {kind}: {json}");
}

fn ecs(hit: &Hit<'_>) -> (Json, Vec<String>) {
    let json: Json = serde_json::from_str(&rendered(&Format::Ecs, hit)).unwrap();
    let mut found = Vec::new();
    check_ecs("", &json, &mut found);
    for required in ["@timestamp", "ecs.version", "message", "event.kind", "rule.name"] {
        assert!(found.iter().any(|path| path == required), "{required}");
    }
    (json, found)
}

/// Provider and channel, event, its fields, and what has to stand where.
type EcsRow = (
    (&'static str, &'static str),
    &'static str,
    &'static [(&'static str, &'static str)],
    Vec<(&'static str, Json)>,
);

#[test]
fn ecs_fields_have_their_types() {
    let sysmon = ("Microsoft-Windows-Sysmon", "Microsoft-Windows-Sysmon/Operational");
    let security = ("Microsoft-Windows-Security-Auditing", "Security");
    let rows: &[EcsRow] = &[
        (
            sysmon,
            "1",
            &[
                ("Image", r"C:\a\b.exe"),
                ("ProcessId", "12"),
                ("User", r"CORP\eve"),
                ("Hashes", "SHA1=12,MD5=AB,SHA256=CD,IMPHASH=EF,NEW=1"),
                ("ParentProcessId", "x"),
                ("ParentImage", r"C:\p.exe"),
                ("ParentCommandLine", "p"),
                ("a.b", "1"),
                ("", "2"),
                ("CommandLine", "b"),
                ("CurrentDirectory", r"C:\"),
                ("OriginalFileName", "B.EXE"),
                ("ProcessGuid", "{1}"),
                ("ParentProcessGuid", "{2}"),
            ],
            vec![
                ("/process/executable", json!(r"C:\a\b.exe")),
                ("/process/name", json!("b.exe")),
                ("/process/pid", json!(12)),
                ("/process/hash/md5", json!("ab")),
                ("/process/pe/imphash", json!("ef")),
                ("/process/parent/name", json!("p.exe")),
                ("/process/parent/pid", Json::Null),
                ("/user/name", json!("eve")),
                ("/user/domain", json!("CORP")),
                ("/event/category", json!(["intrusion_detection", "process"])),
                ("/event/type", json!(["info", "start"])),
                ("/winlog/event_data/a_b", json!("1")),
                ("/winlog/event_data/_", json!("2")),
                ("/winlog/event_id", json!("1")),
            ],
        ),
        (
            sysmon,
            "3",
            &[
                ("SourceIp", "10.0.0.1"),
                ("DestinationIp", "::ffff:10.0.0.2"),
                ("SourcePort", "80"),
                ("DestinationPort", "http"),
                ("Protocol", "TCP"),
                ("DestinationHostname", "h"),
                ("SourceHostname", "-"),
            ],
            vec![
                ("/source/ip", json!("10.0.0.1")),
                ("/destination/ip", json!("10.0.0.2")),
                ("/source/port", json!(80)),
                ("/destination/port", Json::Null),
                ("/network/transport", json!("tcp")),
                ("/source/domain", Json::Null),
            ],
        ),
        (
            sysmon,
            "7",
            &[
                ("ImageLoaded", r"C:\x.dll"),
                ("Hashes", "SHA1=AB,MD5=1,SHA256=2,IMPHASH=3"),
                ("Image", r"C:\a.exe"),
            ],
            vec![("/dll/name", json!("x.dll")), ("/dll/hash/sha1", json!("ab"))],
        ),
        (sysmon, "11", &[("TargetFilename", r"C:\x.txt")], vec![("/file/name", json!("x.txt"))]),
        (sysmon, "13", &[("TargetObject", r"HKLM\x")], vec![("/registry/path", json!(r"HKLM\x"))]),
        (
            sysmon,
            "22",
            &[("QueryName", "a.example")],
            vec![("/dns/question/name", json!("a.example"))],
        ),
        (
            security,
            "4688",
            &[
                ("NewProcessName", r"C:\n.exe"),
                ("NewProcessId", "0x1f4"),
                ("ProcessId", "0x10"),
                ("SubjectUserName", "eve"),
                ("SubjectUserSid", "S-1-5-18"),
                ("ParentProcessName", r"C:\p.exe"),
                ("TargetUserName", "-"),
                ("CommandLine", "n"),
            ],
            vec![
                ("/process/pid", json!(500)),
                ("/process/parent/pid", json!(16)),
                ("/process/executable", json!(r"C:\n.exe")),
                ("/user/name", json!("eve")),
                ("/user/id", json!("S-1-5-18")),
            ],
        ),
        (
            security,
            "4625",
            &[
                ("SubjectUserName", "-"),
                ("TargetUserName", "bob"),
                ("IpAddress", "LOCAL"),
                ("TargetDomainName", "CORP"),
                ("IpPort", "0"),
                ("WorkstationName", "W"),
            ],
            vec![
                ("/user/name", json!("bob")),
                ("/source/ip", Json::Null),
                ("/source/port", json!(0)),
                ("/source/domain", json!("W")),
                ("/event/outcome", json!("failure")),
                ("/event/category", json!(["intrusion_detection", "authentication"])),
            ],
        ),
        (
            security,
            "5156",
            &[
                ("Application", r"\device\x.exe"),
                ("ProcessID", "4"),
                ("SourceAddress", "fe80::1"),
                ("SourcePort", "1"),
                ("DestAddress", "10.0.0.3"),
                ("DestPort", "2"),
            ],
            vec![("/source/ip", json!("fe80::1")), ("/destination/port", json!(2))],
        ),
        (("Other", "Other/Operational"), "1", &[("Image", "x")], vec![("/process", Json::Null)]),
    ];
    let tags =
        ["attack.t1547.001", "attack.credential-access", "attack.command_and_control", "car.1"];
    let tags = tags.map(str::to_owned);
    let mut all = std::collections::BTreeSet::new();
    for ((provider, channel), id, fields, want) in rows {
        let mut data = Fields::new();
        fields.iter().for_each(|(name, value)| data.push(name, Value::Text(value)));
        let mut hit = sample(&tags, &data, &[("Image", "x")]);
        (hit.event.provider, hit.event.channel) = (Some(*provider), Some(*channel));
        hit.event.event_id = Some(id);
        let (json, found) = ecs(&hit);
        for (pointer, want) in want {
            assert_eq!(json.pointer(pointer).unwrap_or(&Json::Null), want, "{id} {pointer}");
        }
        for (name, value) in *fields {
            let name = if name.is_empty() { "_".to_owned() } else { name.replace('.', "_") };
            assert_eq!(json["winlog"]["event_data"][&name], *value);
        }
        all.extend(found);
        assert_eq!(json["threat"]["technique"]["id"], json!(["T1547"]));
        assert_eq!(json["threat"]["technique"]["subtechnique"]["id"], json!(["T1547.001"]));
        assert_eq!(
            json["threat"]["tactic"]["name"],
            json!(["Credential Access", "Command and Control"])
        );
    }
    let data = Fields::new();
    let mut hit = sample(&[], &data, &[]);
    hit.timestamp = None;
    let (json, found) = ecs(&hit);
    assert_eq!(json["error"]["message"], "the record has no time");
    all.extend(found);
    // The list above has no fields that nothing was seen to write.
    let mut listed: Vec<&str> =
        ECS.iter().flat_map(|(_, paths)| paths.split_whitespace()).collect();
    listed.retain(|path| !all.contains(*path));
    assert_eq!(listed, Vec::<&str>::new());
}

proptest! {
    /// Whatever an event or a rule holds, it stays in its place in every format.
    #[test]
    fn hostile_text_stays_in_its_place(
        a in "\\PC*|[\\x00-\\x9f\u{202a}-\u{202e}\\ud7ff\"\\\\|`;=+@<>-]*",
        b in any::<String>(),
    ) {
        let tags = [a.clone()];
        let (a, b) = (a.as_str(), b.as_str());
        let matched = [(a, b), (b, a)];
        let mut data = Fields::new();
        data.push(a, Value::Text(b));
        data.push(b, Value::Text(a));
        data.push("Image", Value::Text(a));
        data.push("SourceIp", Value::Text(b));
        let mut hit = sample(&tags, &data, &matched);
        (hit.timestamp, hit.rule.title, hit.event.computer) = (Some(b), a, Some(b));
        (hit.event.channel, hit.event.event_id, hit.place.path) = (Some(a), Some(b), a);
        for format in formats() {
            let text = rendered(&format, &hit);
            let text = text.strip_suffix('\n').unwrap();
            prop_assert!(!text.chars().any(|c| c != '\n' && escape::is_unsafe(c)), "{:?}", text);
            let lines = text.lines().count();
            match &format {
                Format::Jsonl => {
                    let json: Json = serde_json::from_str(text).unwrap();
                    prop_assert_eq!(json["evidence"]["path"].as_str(), Some(a));
                    prop_assert_eq!(json["event"]["computer"].as_str(), Some(b));
                }
                Format::Timesketch => {
                    let json: Json = serde_json::from_str(text).unwrap();
                    prop_assert_eq!(json["display_name"].as_str(), Some(a));
                    prop_assert_eq!(json["computer_name"].as_str(), Some(b));
                    prop_assert!(json.as_object().unwrap().values().all(|v| !v.is_object()));
                }
                Format::Ecs => {
                    let json = ecs(&hit).0;
                    prop_assert_eq!(json["log"]["file"]["path"].as_str(), Some(a));
                    prop_assert_eq!(json["host"]["name"].as_str(), Some(b));
                }
                Format::Checker => {
                    let json: Json = serde_json::from_str(text).unwrap();
                    prop_assert_eq!(json["RuleTitle"].as_str(), Some(a));
                    prop_assert_eq!(json["EvtxPath"].as_str(), Some(a));
                    prop_assert!(json["Match"].as_str().unwrap().contains(a));
                }
                Format::Csv(columns) => {
                    let mut reader =
                        ::csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
                    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
                    prop_assert_eq!(rows.len(), 1);
                    prop_assert_eq!(rows[0].len(), columns.iter().count());
                    for cell in &rows[0] {
                        let harmless = cell == "-" || cell.parse::<f64>().is_ok();
                        prop_assert!(harmless || !cell.starts_with(['=', '+', '-', '@']), "{}", cell);
                    }
                }
                Format::Markdown(columns) => {
                    // Bars that no backslash stands before are those between cells.
                    let bars = text.match_indices('|').filter(|(at, _)| !text[..*at].ends_with('\\'));
                    prop_assert_eq!(bars.count(), columns.iter().count() + 1, "{}", text);
                }
                Format::Table(_) => {}
            }
            if !matches!(format, Format::Table(_)) {
                prop_assert_eq!(lines, 1);
            }
        }
        for width in [40, 60, 100, 200] {
            for line in rendered(&page(width), &hit).lines() {
                prop_assert!(wrap::columns(line) <= width, "{:?}", line);
            }
        }
    }
}
