//! JSON lines for Timesketch: one flat object a hit.
//!
//! `message`, `datetime` and `timestamp_desc` are what it requires. The event goes by the names that
//! Plaso gives a record of a Windows event log, with its `data_type`, so that analyzers and saved
//! searches find it: `event_identifier`, `source_name`, `computer_name`, `record_number`, `strings`.
//! The event's own fields stand beside these under their own names, all as text: OpenSearch gives a
//! field one type for all events, and refuses an event whose `ProcessId` is `0x1f4` where another's
//! was 500. A field whose name is taken is called `field_NAME`; a dot, which would make an object of
//! it, becomes `_`.
//!
//! Source of facts: Timesketch's guide to imports from JSONL, its `data/generic.mappings` and
//! analyzers; Plaso's `winevtx` parser and formatter.

use super::columns::{message, techniques};
use super::json::{Object, is_number, strings};
use super::time::micros;
use super::{Correlation, Hit, Kind, Subject, correlation};
use std::borrow::Cow;

/// What Plaso calls a record of an event log.
const DATA_TYPE: &str = "windows:evtx:record";

/// What Plaso calls the time at which a record was made, and that of one without.
const CREATED: &str = "Creation Time";
const NO_TIME: &str = "Not a time";

/// The same of several events together: it is the last one's.
const CORRELATION_TYPE: &str = "harrier:correlation";
const LAST: &str = "Last Event Time";

/// Names that an event's field may not have: those below, and those that Timesketch keeps.
const TAKEN: &str = "message datetime timestamp timestamp_desc data_type tag label strings \
    event_identifier source_name channel computer_name record_number event_title rule_title rule_id \
    rule_level rule_status rule_file rule_techniques filtered_by matched correlation_type correlation_value \
    correlation_count correlation_summary correlation_first correlation_last correlation_members display_name offset chunk recovered \
    comment timesketch_label __ts_timeline_id _id _index _source _type";

pub(super) fn hit(hit: &Hit<'_>, out: &mut Vec<u8>) {
    if let Subject::Correlation(found) = &hit.subject {
        return correlation(hit, found, out);
    }
    let mut object = Object::begin(out);
    required(hit, &mut object, (CREATED, DATA_TYPE));
    if hit.subject != Subject::Context {
        rule(hit, &mut object);
    }
    event(hit, &mut object);
    data(hit, &mut object);
    object.end();
    out.push(b'\n');
}

/// A finding of a correlation is no record of a log: analyzers of these leave it alone.
fn correlation(hit: &Hit<'_>, found: &Correlation<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    required(hit, &mut object, (LAST, CORRELATION_TYPE));
    rule(hit, &mut object);
    text(&mut object, "computer_name", hit.event.computer);
    object.string("correlation_type", Some(found.kind));
    object.string("correlation_value", Some(found.value));
    object.integer("correlation_count", found.count);
    object.string("correlation_summary", Some(&correlation::summary(found)));
    text(&mut object, "correlation_first", found.first);
    text(&mut object, "correlation_last", hit.timestamp);
    object.key("correlation_members");
    correlation::member_strings(found, object.out);
    object.string("display_name", Some(hit.place.path));
    data(hit, &mut object);
    object.end();
    out.push(b'\n');
}

/// What Timesketch wants of everything, with what the time is and what it is that has it.
fn required(hit: &Hit<'_>, object: &mut Object<'_>, (when, what): (&str, &str)) {
    let time = hit.timestamp.and_then(micros);
    object.string("message", Some(&message(hit)));
    object.string("datetime", Some(&datetime(time.unwrap_or(0))));
    object.key("timestamp");
    object.out.extend_from_slice(itoa::Buffer::new().format(time.unwrap_or(0)).as_bytes());
    object.string("timestamp_desc", Some(if time.is_some() { when } else { NO_TIME }));
    object.string("data_type", Some(what));
    object.key("tag");
    let marked = matches!(hit.subject, Subject::Filtered(_)).then_some("filtered");
    let tags = std::iter::once(hit.rule.level).chain(marked);
    let tags = tags.chain(hit.rule.tags.iter().map(String::as_str));
    strings(tags, object.out);
}

/// The event's own fields.
fn data(hit: &Hit<'_>, object: &mut Object<'_>) {
    let names: Vec<Cow<'_, str>> = hit.data.iter().map(|(name, ..)| own_name(name)).collect();
    let fields: Vec<(&str, &str, Kind)> = names
        .iter()
        .zip(hit.data.iter())
        .map(|(name, (_, v, _))| (&**name, v, Kind::Text))
        .collect();
    object.grouped(fields.iter().copied());
}

fn rule(hit: &Hit<'_>, object: &mut Object<'_>) {
    object.string("rule_title", Some(hit.rule.title));
    text(object, "rule_id", hit.rule.id);
    object.string("rule_level", Some(hit.rule.level));
    text(object, "rule_status", hit.rule.status);
    object.string("rule_file", Some(hit.rule.source));
    let techniques: Vec<String> = techniques(hit).collect();
    object.key("rule_techniques");
    strings(techniques.iter().map(String::as_str), object.out);
    let matched: Vec<String> = hit.matched.iter().map(|(n, v)| format!("{n}={v}")).collect();
    if let Subject::Filtered(filters) = hit.subject {
        object.key("filtered_by");
        strings(filters.iter().copied(), object.out);
    }
    object.key("matched");
    strings(matched.iter().map(String::as_str), object.out);
}

fn event(hit: &Hit<'_>, object: &mut Object<'_>) {
    // These are numbers to OpenSearch: an identifier that is none would be refused with its event.
    let number = |object: &mut Object<'_>, key, value: Option<&str>| match value {
        Some(value) if is_number(value) => object.number(key, Some(value)),
        Some(value) => object.string(&format!("field_{key}"), Some(value)),
        None => {}
    };
    number(object, "event_identifier", hit.event.event_id);
    text(object, "source_name", hit.event.provider);
    text(object, "channel", hit.event.channel);
    text(object, "computer_name", hit.event.computer);
    number(object, "record_number", hit.event.record_id);
    text(object, "event_title", hit.event.title);
    object.string("display_name", Some(hit.place.path));
    object.integer("chunk", hit.place.chunk);
    object.integer("offset", hit.place.offset);
    object.key("recovered");
    object.out.extend_from_slice(if hit.place.recovered { b"true" } else { b"false" });
    // Analyzers of logons take these by their places.
    object.key("strings");
    strings(hit.data.iter().map(|(_, value, _)| value), object.out);
}

/// A text that is there.
fn text(object: &mut Object<'_>, key: &str, value: Option<&str>) {
    if value.is_some() {
        object.string(key, value);
    }
}

/// What an event's field is called here.
fn own_name(name: &str) -> Cow<'_, str> {
    let taken = TAKEN.split_whitespace().any(|taken| taken == name);
    if taken || name.is_empty() || name.starts_with("field_") {
        Cow::Owned(format!("field_{}", name.replace('.', "_")))
    } else if name.contains('.') {
        own_name(&name.replace('.', "_")).into_owned().into()
    } else {
        Cow::Borrowed(name)
    }
}

/// ISO 8601 with an offset, to microseconds.
fn datetime(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros)
        .map(|time| time.strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string())
        .unwrap_or_else(|_| "1970-01-01T00:00:00.000000+00:00".to_owned())
}
