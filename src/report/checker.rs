//! A match as SigmaHQ's `evtx-sigma-checker` prints it: one JSON object a line.
//!
//! SigmaHQ's scripts read `RuleId`, `RuleTitle` and `RuleLevel` as JSON, and look through the line as
//! text: `"RuleLevel":"low"`, and `"RuleId":"..."` with words of the event somewhere behind it, such
//! as `Computer: WS-1` or `Level: 4  Task: 0`. So there is no blank between tokens, the rule comes
//! before the event, and the event is there twice: as text (`Match`), each field with its value, two
//! blanks between them, in the order of the event; and as an object (`Event`) for everyone else.
//!
//! Invariant: the line is valid JSON whatever the event holds, and its strings are the event's.
//!
//! Source of facts: SigmaHQ/sigma, `.github/workflows/matchgrep.sh` and `known-FPs.csv`,
//! `tests/regression_tests_runner.py`, `tests/windows_goodlog_baseline_runner.py`.

use super::json::{Object, grouped};
use super::{Fields, Hit, Subject, correlation};
use crate::event::Value;

/// Stands between two fields of the text.
const BETWEEN: &str = "  ";

pub(super) fn hit(hit: &Hit<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.string("RuleId", hit.rule.id);
    object.string("RuleTitle", Some(hit.rule.title));
    object.string("RuleLevel", Some(hit.rule.level));
    object.string("RulePath", Some(hit.rule.source));
    object.string("EvtxPath", Some(hit.place.path));
    if let Subject::Correlation(found) = &hit.subject {
        let mut fields = Fields::new();
        fields.push("Correlation", Value::Text(&correlation::summary(found)));
        object.string("Match", Some(&text(&[&fields, hit.data])));
        object.key("Correlation");
        correlation::about(hit, found, object.out);
        object.end();
        out.push(b'\n');
        return;
    }
    object.string("Match", Some(&text(&[hit.system, hit.data])));
    object.key("Event");
    let mut event = Object::begin(object.out);
    event.key("System");
    grouped(hit.system.iter(), event.out);
    event.key(hit.body);
    grouped(hit.data.iter(), event.out);
    event.end();
    object.end();
    out.push(b'\n');
}

fn text(parts: &[&Fields]) -> String {
    let mut text = String::new();
    for (name, value, _) in parts.iter().flat_map(|fields| fields.iter()) {
        if !text.is_empty() {
            text.push_str(BETWEEN);
        }
        text.push_str(name);
        text.push_str(": ");
        text.push_str(value);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::{EventInfo, Format, Place, RuleInfo};
    use super::*;
    use serde_json::{Value as Json, json};

    fn line(id: Option<&str>, system: &Fields, body: &str, data: &Fields) -> String {
        let tags = ["attack.t1070.001".to_owned()];
        let hit = Hit {
            subject: Subject::Hit,
            local_time: None,
            timestamp: Some("2026-03-01T10:00:00.0000000Z"),
            rule: RuleInfo {
                id,
                title: "Log \"Cleared\"",
                level: "low",
                status: None,
                tags: &tags,
                source: "win/cleared.yml",
                kept: None,
            },
            event: EventInfo::default(),
            place: Place {
                path: "case/Security.evtx",
                chunk: 0,
                offset: 4608,
                record_id: 7,
                recovered: false,
                ..Place::default()
            },
            matched: &[],
            system,
            body,
            data,
            object: None,
        };
        let mut out = Vec::new();
        Format::Checker.hit(&hit, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_match_is_a_line_in_the_order_that_scripts_search() {
        let (mut system, mut data) = (Fields::new(), Fields::new());
        system.push("EventID", Value::Unsigned(1102));
        system.push("Level", Value::Unsigned(4));
        system.push("Task", Value::Unsigned(0));
        system.push("Computer", Value::Text("WS-1"));
        data.push("SubjectUserName", Value::Text(r"CORP\a"));
        data.push("Data", Value::Text("one\n"));
        data.push("Data", Value::Text("two"));
        assert_eq!(
            line(Some("d99b79d2"), &system, "UserData", &data),
            concat!(
                r#"{"RuleId":"d99b79d2","RuleTitle":"Log \"Cleared\"","RuleLevel":"low","#,
                r#""RulePath":"win/cleared.yml","EvtxPath":"case/Security.evtx","#,
                r#""Match":"EventID: 1102  Level: 4  Task: 0  Computer: WS-1  "#,
                r#"SubjectUserName: CORP\\a  Data: one\n  Data: two","#,
                r#""Event":{"System":{"EventID":1102,"Level":4,"Task":0,"Computer":"WS-1"},"#,
                r#""UserData":{"SubjectUserName":"CORP\\a","Data":["one\n","two"]}}}"#,
                "\n"
            )
        );
    }

    #[test]
    fn hostile_events_stay_one_line_of_json() {
        let mut data = Fields::new();
        data.push("a\":\u{2028}", Value::Text("\u{1b}[31m\r\n\",\"RuleId\":\"x\u{202e}"));
        let line = line(None, &Fields::new(), "EventData", &data);
        assert_eq!(line.matches('\n').count(), 1, "{line:?}");
        assert!(!line.contains(['\u{1b}', '\r', '\u{202e}', '\u{2028}']), "{line:?}");
        // What an event says cannot be taken for the rule's id.
        assert_eq!(line.matches("\"RuleId\":").count(), 1, "{line}");
        let parsed: Json = serde_json::from_str(&line).unwrap();
        assert_eq!(parsed["RuleId"], Json::Null);
        assert_eq!(parsed["Event"]["System"], json!({}));
        let value = "\u{1b}[31m\r\n\",\"RuleId\":\"x\u{202e}";
        assert_eq!(parsed["Event"]["EventData"]["a\":\u{2028}"], value);
        assert_eq!(parsed["Match"], format!("a\":\u{2028}: {value}"));
    }
}
