//! `harrier.hit/1`: one JSON object a line and hit.
//!
//! Every key is always there, `null` where the event has nothing, so that a reader may rely on the
//! shape. `matched` and `data` are objects of what the event calls its fields: a name with several
//! values has an array. Integers that the log types as such are numbers, hexadecimal ones stay the
//! text that Windows shows. Written by hand and not by way of a tree of values: this runs for every
//! hit, and everything that is needed is a string escaper.
//!
//! Invariant: the line is valid JSON whatever the event holds, and its strings are the event's.

use super::{Hit, Kind, escape::json_string};

/// What a line says it is. The number changes when a key changes its meaning or goes.
const SCHEMA: &str = "harrier.hit/1";

/// Up to this many fields, names that repeat are found by comparing all with all, which for so few
/// is faster than a table; a crafted event may have 65,535.
const FEW: usize = 48;

pub(super) fn hit(hit: &Hit<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.string("schema", Some(SCHEMA));
    object.string("timestamp", hit.timestamp);
    object.key("rule");
    rule(hit, object.out);
    object.key("event");
    event(hit, object.out);
    object.key("evidence");
    evidence(hit, object.out);
    object.key("matched");
    grouped(hit.matched.iter().map(|(name, value)| (*name, *value, Kind::Text)), object.out);
    object.key("data");
    grouped(hit.data.iter(), object.out);
    object.end();
    out.push(b'\n');
}

fn rule(hit: &Hit<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.string("id", hit.rule.id);
    object.string("title", Some(hit.rule.title));
    object.string("level", Some(hit.rule.level));
    object.string("status", hit.rule.status);
    object.key("tags");
    object.out.push(b'[');
    for (n, tag) in hit.rule.tags.iter().enumerate() {
        if n > 0 {
            object.out.push(b',');
        }
        json_string(tag, object.out);
    }
    object.out.push(b']');
    object.string("source", Some(hit.rule.source));
    object.end();
}

fn event(hit: &Hit<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.string("provider", hit.event.provider);
    object.string("channel", hit.event.channel);
    object.number("event_id", hit.event.event_id);
    object.number("record_id", hit.event.record_id);
    object.string("computer", hit.event.computer);
    object.string("title", hit.event.title);
    object.end();
}

fn evidence(hit: &Hit<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.string("path", Some(hit.place.path));
    object.integer("chunk", hit.place.chunk);
    object.integer("offset", hit.place.offset);
    object.integer("record_id", hit.place.record_id);
    object.key("recovered");
    scalar(if hit.place.recovered { "true" } else { "false" }, Kind::Bool, object.out);
    object.end();
}

/// An object of names and values; the values of a name that comes again go into one array, in the
/// place of the first.
pub(super) fn grouped<'a>(
    fields: impl ExactSizeIterator<Item = (&'a str, &'a str, Kind)> + Clone,
    out: &mut Vec<u8>,
) {
    if fields.len() > FEW {
        return grouped_many(fields, out);
    }
    let mut object = Object::begin(out);
    for (n, (name, value, kind)) in fields.clone().enumerate() {
        if fields.clone().take(n).any(|(earlier, ..)| earlier == name) {
            continue;
        }
        object.key(name);
        let mut more = fields.clone().skip(n + 1).filter(|(later, ..)| *later == name).peekable();
        let repeated = more.peek().is_some();
        if repeated {
            object.out.push(b'[');
        }
        scalar(value, kind, object.out);
        for (_, value, kind) in more {
            object.out.push(b',');
            scalar(value, kind, object.out);
        }
        if repeated {
            object.out.push(b']');
        }
    }
    object.end();
}

fn grouped_many<'a>(
    fields: impl ExactSizeIterator<Item = (&'a str, &'a str, Kind)>,
    out: &mut Vec<u8>,
) {
    let mut groups: Vec<(&str, Vec<(&str, Kind)>)> = Vec::new();
    let mut by_name = hashbrown::HashMap::new();
    for (name, value, kind) in fields {
        let at = *by_name.entry(name).or_insert_with(|| {
            groups.push((name, Vec::new()));
            groups.len() - 1
        });
        if let Some((_, values)) = groups.get_mut(at) {
            values.push((value, kind));
        }
    }
    let mut object = Object::begin(out);
    for (name, values) in groups {
        object.key(name);
        if let [(value, kind)] = values[..] {
            scalar(value, kind, object.out);
            continue;
        }
        for (n, (value, kind)) in values.into_iter().enumerate() {
            object.out.push(if n == 0 { b'[' } else { b',' });
            scalar(value, kind, object.out);
        }
        object.out.push(b']');
    }
    object.end();
}

fn scalar(value: &str, kind: Kind, out: &mut Vec<u8>) {
    match kind {
        Kind::Text => json_string(value, out),
        Kind::Number | Kind::Bool => out.extend_from_slice(value.as_bytes()),
    }
}

/// A JSON object being written.
pub(super) struct Object<'o> {
    pub(super) out: &'o mut Vec<u8>,
    first: bool,
}

impl<'o> Object<'o> {
    pub(super) fn begin(out: &'o mut Vec<u8>) -> Object<'o> {
        out.push(b'{');
        Object { out, first: true }
    }

    pub(super) fn key(&mut self, key: &str) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        json_string(key, self.out);
        self.out.push(b':');
    }

    pub(super) fn string(&mut self, key: &str, value: Option<&str>) {
        self.key(key);
        match value {
            Some(value) => json_string(value, self.out),
            None => self.out.extend_from_slice(b"null"),
        }
    }

    /// A number of the System part: a number in JSON if it is one, else the text that stands there.
    /// Templates hold these as text too, and a reader wants one type.
    fn number(&mut self, key: &str, value: Option<&str>) {
        match value.filter(|value| value.parse::<u64>().is_ok_and(|n| n.to_string() == **value)) {
            Some(value) => {
                self.key(key);
                self.out.extend_from_slice(value.as_bytes());
            }
            None => self.string(key, value),
        }
    }

    fn integer(&mut self, key: &str, value: u64) {
        self.key(key);
        self.out.extend_from_slice(value.to_string().as_bytes());
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }
}
