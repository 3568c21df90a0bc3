//! A record that stands alone and whose template is nowhere, as `dump` writes it: its values in order,
//! with types and without names, under a name of its own so that nobody takes it for an event.

use super::feed::CHUNK_BYTES;
use super::own;
use crate::event::format_file_time;
use crate::evtx::{Format, Lost, Outer, Partial, TypedValue};
use crate::report::escape;
use serde_json::{Map, Value as Json, json};
use std::fmt::Write as _;

/// Writes one.
pub(super) fn write(format: Format, lost: &Lost, path: &str, out: &mut Vec<u8>) {
    let partial = Partial::of(&lost.record);
    let known = known(lost, &partial);
    match format {
        Format::Json => json(lost, &partial, known, path, out),
        Format::Xml => xml(lost, &partial, &known, path, out),
    }
    out.push(b'\n');
}

/// What is known of it beside the values: names and texts.
fn known(lost: &Lost, partial: &Partial) -> Vec<(&'static str, String)> {
    let mut known = vec![
        ("EventRecordID", lost.record_id.to_string()),
        ("Written", format_file_time(lost.time)),
    ];
    let mut tell = |by: &str, parts: [Option<&str>; 4]| {
        let names = ["Provider", "EventID", "Channel", "Computer"];
        let parts = names.into_iter().zip(parts);
        known.extend(parts.filter_map(|(name, text)| Some((name, text?.to_owned()))));
        known.push(("KnownBy", by.to_owned()));
    };
    if let Some(Outer { provider, event_id, channel, computer }) = &lost.outer {
        let parts = [provider, event_id, channel, computer];
        tell("template", parts.map(|text| Some(text.as_str()).filter(|text| !text.is_empty())));
    } else if let Some(event_id) = partial.event_id {
        let event_id = event_id.to_string();
        let (provider, channel) = (partial.provider.as_deref(), partial.channel.as_deref());
        tell("place", [provider, Some(&event_id), channel, None]);
    }
    known
}

fn kind(value: &TypedValue) -> String {
    format!("{}{}", value.kind, if value.array { "[]" } else { "" })
}

fn json(
    lost: &Lost,
    partial: &Partial,
    known: Vec<(&'static str, String)>,
    path: &str,
    out: &mut Vec<u8>,
) {
    let values = |values: &[TypedValue]| -> Json {
        let one = |value: &TypedValue| {
            let text = match value.texts.as_slice() {
                [] => Json::Null,
                [one] if !value.array => json!(one),
                all => json!(all),
            };
            json!({"type": kind(value), "value": text})
        };
        values.iter().map(one).collect()
    };
    let mut event: Map<String, Json> =
        known.into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect();
    event.insert("System".to_owned(), values(&partial.system));
    event.insert("Data".to_owned(), values(&partial.data));
    let line = json!({
        "Partial": event,
        "evidence": {
            "path": path,
            "chunk": lost.offset / CHUNK_BYTES,
            "offset": lost.offset,
            "record_id": lost.record_id,
            "recovered": true,
        },
    });
    escape::json_text(&line.to_string(), out);
}

fn xml(
    lost: &Lost,
    partial: &Partial,
    known: &[(&'static str, String)],
    path: &str,
    out: &mut Vec<u8>,
) {
    let mut text = String::from("<?evidence path=\"");
    own::escaped(&escape::lined(path), &mut text);
    // Writing to a string cannot fail.
    let (offset, id) = (lost.offset, lost.record_id);
    let _ = write!(
        text,
        "\" chunk=\"{}\" offset=\"{offset}\" record_id=\"{id}\" recovered=\"true\"?>\n<Partial",
        offset / CHUNK_BYTES,
    );
    for (name, value) in known {
        let _ = write!(text, " {name}=\"");
        own::escaped(value, &mut text);
        text.push('"');
    }
    text.push('>');
    for (element, values) in [("System", &partial.system), ("Data", &partial.data)] {
        let _ = write!(text, "<{element}>");
        for value in values {
            let kind = kind(value);
            let _ = write!(text, "<Value Type=\"{kind}\">");
            for (n, item) in value.texts.iter().enumerate() {
                text.push_str(if n > 0 { ", " } else { "" });
                own::escaped(item, &mut text);
            }
            text.push_str("</Value>");
        }
        let _ = write!(text, "</{element}>");
    }
    text.push_str("</Partial>");
    escape::xml_text(&text, out);
}
