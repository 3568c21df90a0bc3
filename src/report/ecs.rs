//! JSON lines in the Elastic Common Schema: one document a hit, an alert about the event, which is
//! under `winlog` as Winlogbeat has it.
//!
//! Fields of the schema get values of the type that it gives them, or are left out: Elasticsearch
//! refuses a whole document for an address that is none. What the schema has no place for is under
//! `harrier`. An event's fields under `winlog.event_data` are text, as Winlogbeat's are; a dot in a
//! name, which would make an object of it, becomes `_`.
//!
//! Source of facts: Elastic Common Schema 8.17 (fields, their types, and the values allowed in
//! `event.kind`, `event.category`, `event.type`, `event.outcome`); Winlogbeat's exported fields.

use super::columns::{message, techniques};
use super::ecs_fields::{self, Put};
use super::json::{Object, grouped, strings};
use super::time::micros;
use super::{Correlation, Hit, Kind, Subject, correlation};
use std::borrow::Cow;

/// The version of the schema.
const VERSION: &str = "8.17.0";

/// What a document holds at a path.
pub(super) enum Leaf<'h> {
    Text(Cow<'h, str>),
    Texts(Vec<Cow<'h, str>>),
    Integer(i64),
    Bool(bool),
    /// The event's fields.
    Data,
    /// The fields that matched.
    Matched,
}

/// Paths and what they hold, in any order.
pub(super) struct Document<'h>(Vec<(&'static str, Leaf<'h>)>);

impl<'h> Document<'h> {
    /// Sets what is not set yet.
    pub(super) fn put(&mut self, path: &'static str, leaf: Leaf<'h>) {
        if !self.has(path) {
            self.0.push((path, leaf));
        }
    }

    pub(super) fn text(&mut self, path: &'static str, text: Option<impl Into<Cow<'h, str>>>) {
        if let Some(text) = text {
            self.put(path, Leaf::Text(text.into()));
        }
    }

    fn texts(&mut self, path: &'static str, texts: Vec<Cow<'h, str>>) {
        if !texts.is_empty() {
            self.put(path, Leaf::Texts(texts));
        }
    }

    fn has(&self, path: &str) -> bool {
        self.0.iter().any(|(other, _)| *other == path)
    }
}

pub(super) fn hit(hit: &Hit<'_>, out: &mut Vec<u8>) {
    let mut document = Document(Vec::with_capacity(64));
    base(hit, &mut document);
    if hit.subject != Subject::Context {
        rule(hit, &mut document);
    }
    winlog(hit, &mut document);
    if let Subject::Correlation(found) = &hit.subject {
        correlation(hit, found, &mut document);
    }
    ecs_fields::put(hit, &mut Put(&mut document));
    let mut leaves = document.0;
    // Objects are written as their paths come, so those of one object have to stand together.
    leaves.sort_by(|(a, _), (b, _)| a.split('.').cmp(b.split('.')));
    let leaves: Vec<_> = leaves.iter().map(|(path, leaf)| (*path, leaf)).collect();
    object(hit, &leaves, out);
    out.push(b'\n');
}

fn base<'h>(hit: &Hit<'h>, document: &mut Document<'h>) {
    let time = hit.timestamp.filter(|time| micros(time).is_some());
    // A document without a time is refused; one with a wrong one has to say so.
    document.text("@timestamp", Some(time.unwrap_or("1970-01-01T00:00:00.000Z")));
    if time.is_none() {
        document.text("error.message", Some("the record has no time"));
    }
    document.text("message", Some(message(hit)));
    document.text("ecs.version", Some(VERSION));
    let filters: &[&str] = match hit.subject {
        Subject::Filtered(filters) => filters,
        _ => &[],
    };
    let marked = (!filters.is_empty()).then_some(Cow::Borrowed("filtered"));
    let tags = hit.rule.tags.iter().map(|tag| Cow::Borrowed(tag.as_str()));
    document.texts("tags", marked.into_iter().chain(tags).collect());
    let filters = filters.iter().map(|filter| Cow::Borrowed(*filter));
    document.texts("harrier.filtered_by", filters.collect());
    let (kind, dataset, detection) = match hit.subject {
        Subject::Context => ("event", "harrier.context", None),
        Subject::Hit | Subject::Group(_) => ("alert", "harrier.hit", Some("intrusion_detection")),
        // What a filter took away alerts nobody.
        Subject::Filtered(_) => ("event", "harrier.filtered", None),
        Subject::Correlation(_) => ("alert", "harrier.correlation", Some("intrusion_detection")),
    };
    document.text("event.kind", Some(kind));
    document.text("event.module", Some("harrier"));
    document.text("event.dataset", Some(dataset));
    document.text("event.code", hit.event.event_id);
    document.text("event.provider", hit.event.provider);
    document.text("event.action", hit.event.title);
    document.put("event.severity", Leaf::Integer(severity(hit.rule.level)));
    let (category, kind) = ecs_fields::category(hit);
    let list = |first: Option<&'static str>, more: Option<&'static str>| {
        first.into_iter().chain(more).map(Cow::Borrowed).collect()
    };
    document.texts("event.category", list(detection, category));
    document.texts("event.type", list(Some("info"), kind));
    document.text("event.outcome", ecs_fields::outcome(hit));
    document.text("host.name", hit.event.computer);
    document.text("host.os.type", Some("windows"));
    document.text("log.file.path", Some(hit.place.path));
}

fn rule<'h>(hit: &Hit<'h>, document: &mut Document<'h>) {
    document.text("rule.id", hit.rule.id);
    document.text("rule.name", Some(hit.rule.title));
    document.text("rule.ruleset", Some("sigma"));
    let all: Vec<String> = techniques(hit).collect();
    let technique = |id: &String| Cow::Owned(id.split('.').next().unwrap_or(id).to_owned());
    let mut techniques: Vec<Cow<'_, str>> = all.iter().map(technique).collect();
    techniques.sort();
    techniques.dedup();
    let sub: Vec<_> = all.into_iter().filter(|id| id.contains('.')).map(Cow::Owned).collect();
    let tactics: Vec<_> = hit.rule.tags.iter().filter_map(|tag| tactic(tag)).collect();
    if !techniques.is_empty() || !tactics.is_empty() {
        document.text("threat.framework", Some("MITRE ATT&CK"));
    }
    document.texts("threat.technique.id", techniques);
    document.texts("threat.technique.subtechnique.id", sub);
    document.texts("threat.tactic.name", tactics);
    document.text("harrier.rule.level", Some(hit.rule.level));
    document.text("harrier.rule.status", hit.rule.status);
    document.text("harrier.rule.file", Some(hit.rule.source));
    document.put("harrier.matched", Leaf::Matched);
}

fn winlog<'h>(hit: &Hit<'h>, document: &mut Document<'h>) {
    document.text("winlog.channel", hit.event.channel);
    document.text("winlog.computer_name", hit.event.computer);
    document.text("winlog.event_id", hit.event.event_id);
    document.text("winlog.provider_name", hit.event.provider);
    document.text("winlog.record_id", hit.event.record_id);
    if !hit.data.is_empty() {
        document.put("winlog.event_data", Leaf::Data);
    }
    let integer = |n: u64| Leaf::Integer(i64::try_from(n).unwrap_or(i64::MAX));
    document.put("harrier.evidence.chunk", integer(hit.place.chunk));
    document.put("harrier.evidence.offset", integer(hit.place.offset));
    document.put("harrier.evidence.recovered", Leaf::Bool(hit.place.recovered));
}

/// What is said of several events together; all else is said of the last.
fn correlation<'h>(hit: &Hit<'h>, found: &Correlation<'h>, document: &mut Document<'h>) {
    let time = |time: Option<&'h str>| time.filter(|time| micros(time).is_some());
    document.text("event.start", time(found.first));
    document.text("event.end", time(hit.timestamp));
    if let Some(span) = found.span {
        let nanoseconds = i64::try_from(span.saturating_mul(100)).unwrap_or(i64::MAX);
        document.put("event.duration", Leaf::Integer(nanoseconds));
    }
    document.text("harrier.correlation.type", Some(found.kind));
    document.text("harrier.correlation.value", Some(found.value));
    let count = i64::try_from(found.count).unwrap_or(i64::MAX);
    document.put("harrier.correlation.count", Leaf::Integer(count));
    document.text("harrier.correlation.timespan", found.timespan);
    document.text("harrier.correlation.summary", Some(correlation::summary(found)));
    let members = correlation::members(found).into_iter().map(Cow::Owned).collect();
    document.texts("harrier.correlation.members", members);
}

/// The numbers that Elastic's own rules give their levels.
fn severity(level: &str) -> i64 {
    match level {
        "critical" => 99,
        "high" => 73,
        "medium" => 47,
        "low" => 21,
        _ => 1,
    }
}

/// A tactic of ATT&CK, by its name: `attack.credential-access` is "Credential Access". Tags that are
/// no tactic have a digit (techniques, groups, software).
fn tactic(tag: &str) -> Option<Cow<'static, str>> {
    let tactic = tag.strip_prefix("attack.")?;
    if tactic.is_empty() || tactic.contains(|c: char| !c.is_ascii_lowercase() && !"-_".contains(c))
    {
        return None;
    }
    let words = tactic.split(['-', '_']).map(|word| match word {
        "and" => word.to_owned(),
        _ => word.get(..1).unwrap_or("").to_ascii_uppercase() + word.get(1..).unwrap_or(""),
    });
    Some(Cow::Owned(words.collect::<Vec<_>>().join(" ")))
}

/// Writes an object of sorted paths.
fn object<'p>(hit: &Hit<'_>, mut leaves: &[(&'p str, &Leaf<'_>)], out: &mut Vec<u8>) {
    let mut object_out = Object::begin(out);
    while let Some(((path, leaf), rest)) = leaves.split_first() {
        let Some((name, _)) = path.split_once('.') else {
            object_out.key(path);
            write(hit, leaf, object_out.out);
            leaves = rest;
            continue;
        };
        let below = |path: &'p str| path.strip_prefix(name).and_then(|p| p.strip_prefix('.'));
        let inner: Vec<(&'p str, &Leaf<'_>)> =
            leaves.iter().map_while(|(path, leaf)| Some((below(path)?, *leaf))).collect();
        object_out.key(name);
        object(hit, &inner, object_out.out);
        leaves = leaves.get(inner.len()..).unwrap_or(&[]);
    }
    object_out.end();
}

fn write(hit: &Hit<'_>, leaf: &Leaf<'_>, out: &mut Vec<u8>) {
    match leaf {
        Leaf::Text(text) => super::escape::json_string(text, out),
        Leaf::Texts(texts) => strings(texts.iter().map(|text| &**text), out),
        Leaf::Integer(n) => out.extend_from_slice(itoa::Buffer::new().format(*n).as_bytes()),
        Leaf::Bool(b) => out.extend_from_slice(if *b { b"true" } else { b"false" }),
        Leaf::Data => named(hit.data.iter().map(|(name, value, _)| (name, value)), out),
        Leaf::Matched => named(hit.matched.iter().copied(), out),
    }
}

/// An object of fields whose names are names of one field each to Elasticsearch.
fn named<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>, out: &mut Vec<u8>) {
    let fields: Vec<(Cow<'_, str>, &str)> = fields
        .map(|(name, value)| match name {
            "" => (Cow::Borrowed("_"), value),
            name if name.contains('.') => (Cow::Owned(name.replace('.', "_")), value),
            name => (Cow::Borrowed(name), value),
        })
        .collect();
    grouped(fields.iter().map(|(name, value)| (&**name, *value, Kind::Text)), out);
}
