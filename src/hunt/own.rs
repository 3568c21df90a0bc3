//! An event as text, made from its fields.
//!
//! For records whose template came from elsewhere in the case: their chunk has it not, so the `evtx`
//! crate, which goes by the chunk, cannot render them. What comes out has the crate's form; elements
//! in UserData are flat, since only their names are known.

use crate::event::{Event, LeafKind, Section, Value};
use serde_json::{Map, Value as Json, json};

/// The namespace of Windows' events.
const NAMESPACE: &str = "http://schemas.microsoft.com/win/2004/08/events/event";

/// An element of the System part: its own value and its attributes.
#[derive(Default)]
struct Element {
    text: Option<Json>,
    attributes: Map<String, Json>,
}

/// The parts of an event, as they are written.
struct Parts {
    system: Vec<(String, Element)>,
    /// The name of the body, and its fields in order.
    body: &'static str,
    data: Vec<(Option<String>, Json)>,
}

fn parts(event: &impl Event) -> Parts {
    let mut parts = Parts { system: Vec::new(), body: "EventData", data: Vec::new() };
    for (id, leaf) in event.layout().iter() {
        match leaf.section {
            Section::System => event.values(id, |value| parts.system(&leaf.name, leaf.kind, value)),
            section => {
                if section == Section::UserData {
                    parts.body = "UserData";
                }
                let name = (leaf.kind != LeafKind::Unnamed).then(|| leaf.name.to_string());
                event.values(id, |value| parts.data.push((name.clone(), typed(value))));
            }
        }
    }
    parts
}

impl Parts {
    fn system(&mut self, name: &str, kind: LeafKind, value: Value<'_>) {
        let (element, attribute) = match (kind, name.split_once('_')) {
            (LeafKind::Attribute, Some((element, attribute))) => (element, Some(attribute)),
            _ => (name, None),
        };
        if self.system.last().is_none_or(|(last, _)| last != element) {
            self.system.push((element.to_owned(), Element::default()));
        }
        let Some((_, last)) = self.system.last_mut() else { return };
        match attribute {
            Some(attribute) => drop(last.attributes.insert(attribute.to_owned(), typed(value))),
            None => {
                last.text = Some(typed(value)).filter(|text| *text != Json::String(String::new()));
            }
        }
    }
}

/// A value as JSON has it.
fn typed(value: Value<'_>) -> Json {
    match value {
        Value::Unsigned(n) => json!(n),
        Value::Signed(n) => json!(n),
        Value::Bool(truth) => json!(truth),
        other => Json::String(other.to_text()),
    }
}

/// The event as JSON on one line.
pub(super) fn json(event: &impl Event) -> String {
    let Parts { system, body, data } = parts(event);
    let system: Map<String, Json> = system
        .into_iter()
        .map(|(name, Element { text, attributes })| {
            let value = match (text, attributes.is_empty()) {
                (text, true) => text.unwrap_or(Json::Null),
                (None, false) => json!({ "#attributes": attributes }),
                (Some(text), false) => json!({ "#attributes": attributes, "#text": text }),
            };
            (name, value)
        })
        .collect();
    let mut fields: Map<String, Json> = Map::new();
    for (name, value) in data {
        // Values of one name stand together.
        match fields.get_mut(name.as_deref().unwrap_or("Data")) {
            None => drop(fields.insert(name.unwrap_or_else(|| "Data".to_owned()), value)),
            Some(Json::Array(all)) => all.push(value),
            Some(first) => *first = Json::Array(vec![first.take(), value]),
        }
    }
    let event = json!({
        "#attributes": { "xmlns": NAMESPACE },
        "System": system,
        body: fields,
    });
    json!({ "Event": event }).to_string()
}

/// The event as XML.
pub(super) fn xml(event: &impl Event) -> String {
    let Parts { system, body, data } = parts(event);
    let mut out = format!("<Event xmlns=\"{NAMESPACE}\">\n  <System>\n");
    for (name, Element { text, attributes }) in system {
        out.push_str("    <");
        out.push_str(&name);
        for (attribute, value) in attributes {
            out.push(' ');
            out.push_str(&attribute);
            out.push_str("=\"");
            escaped(&plain(&value), &mut out);
            out.push('"');
        }
        close(&name, text.as_ref(), &mut out);
    }
    out.push_str("  </System>\n  <");
    out.push_str(body);
    out.push_str(">\n");
    for (name, value) in data {
        out.push_str("    <");
        match (&name, body) {
            (Some(name), "UserData") => {
                out.push_str(name);
                close(name, Some(&value), &mut out);
            }
            (Some(name), _) => {
                out.push_str("Data Name=\"");
                escaped(name, &mut out);
                out.push('"');
                close("Data", Some(&value), &mut out);
            }
            (None, _) => {
                out.push_str("Data");
                close("Data", Some(&value), &mut out);
            }
        }
    }
    out.push_str("  </");
    out.push_str(body);
    out.push_str(">\n</Event>");
    out
}

/// Ends an element's start, with what is in it.
fn close(name: &str, text: Option<&Json>, out: &mut String) {
    match text {
        None | Some(Json::Null) => out.push_str("/>\n"),
        Some(text) => {
            out.push('>');
            escaped(&plain(text), out);
            out.push_str("</");
            out.push_str(name);
            out.push_str(">\n");
        }
    }
}

fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Text as it stands in XML; what XML has no characters for becomes `_`, as Windows writes it.
pub(super) fn escaped(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push(c),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => out.push('_'),
            c => out.push(c),
        }
    }
}
