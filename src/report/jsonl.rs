//! `harrier.hit/1`: one JSON object a line and hit.
//!
//! Every key is always there, `null` where the event has nothing, so that a reader may rely on the
//! shape. `matched` and `data` are objects of what the event calls its fields: a name with several
//! values has an array. Integers that the log types as such are numbers, hexadecimal ones stay the
//! text that Windows shows.

use super::json::{Object, boolean, grouped, strings};
use super::mould::Mould;
use super::{EventInfo, Hit, Kind, Place, Repeats, RuleInfo, Subject, correlation};

/// What a line says it is. The number changes when a key changes its meaning or goes.
const SCHEMA: &str = "harrier.hit/1";
const CONTEXT_SCHEMA: &str = "harrier.context/1";
const GROUP_SCHEMA: &str = "harrier.group/1";

pub(super) fn hit(hit: &Hit<'_>, out: &mut Vec<u8>) {
    match &hit.subject {
        Subject::Hit => one(hit, &[], out),
        Subject::Filtered(filters) => one(hit, filters, out),
        Subject::Context => context(hit, out),
        Subject::Group(repeats) => group(hit, repeats, out),
        Subject::Correlation(correlation) => correlation::line(hit, correlation, out),
    }
    out.push(b'\n');
}

/// An event that no rule hit: what a hit has, but for the rule and what it matched by.
fn context(hit: &Hit<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.string("schema", Some(CONTEXT_SCHEMA));
    object.string("timestamp", hit.timestamp);
    object.key("context");
    boolean(true, object.out);
    object.key("event");
    event(&hit.event, object.out);
    object.key("evidence");
    evidence(&hit.place, object.out);
    object.key("data");
    data(hit, object.out);
    object.end();
}

/// Hits that say the same.
fn group(hit: &Hit<'_>, repeats: &Repeats<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.string("schema", Some(GROUP_SCHEMA));
    object.string("first", hit.timestamp);
    object.string("last", repeats.last);
    object.integer("count", repeats.count);
    object.key("rule");
    rule(&hit.rule, object.out);
    object.string("computer", hit.event.computer);
    object.key("matched");
    matched(hit, object.out);
    object.end();
}

fn one(hit: &Hit<'_>, filters: &[&str], out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.string("schema", Some(SCHEMA));
    object.string("timestamp", hit.timestamp);
    object.key("rule");
    rule(&hit.rule, object.out);
    if !filters.is_empty() {
        object.key("filtered_by");
        strings(filters.iter().copied(), object.out);
    }
    object.key("event");
    event(&hit.event, object.out);
    object.key("evidence");
    evidence(&hit.place, object.out);
    object.key("matched");
    matched(hit, object.out);
    object.key("data");
    data(hit, object.out);
    object.end();
}

pub(super) fn rule(rule: &RuleInfo<'_>, out: &mut Vec<u8>) {
    if let Some(kept) = rule.kept {
        return out.extend_from_slice(kept);
    }
    let mut object = Object::begin(out);
    object.string("id", rule.id);
    object.string("title", Some(rule.title));
    object.string("level", Some(rule.level));
    object.string("status", rule.status);
    object.key("tags");
    strings(rule.tags.iter().map(String::as_str), object.out);
    object.string("source", Some(rule.source));
    object.end();
}

fn matched(hit: &Hit<'_>, out: &mut Vec<u8>) {
    grouped(hit.matched.iter().map(|(name, value)| (*name, *value, Kind::Text)), out);
}

fn data(hit: &Hit<'_>, out: &mut Vec<u8>) {
    let made = || hit.data.rendered(|data, out| grouped(data.bytes(), out));
    out.extend_from_slice(hit.object.unwrap_or_else(made));
}

fn event(event: &EventInfo<'_>, out: &mut Vec<u8>) {
    let within = |out: &mut Vec<u8>| {
        let mut object = Object::resume(out);
        object.number("record_id", event.record_id);
        object.string("computer", event.computer);
    };
    match event.mould {
        Some(mould) => mould.cast(within, out),
        None => event_mould(event).cast(within, out),
    }
}

/// An event's object but for what tells it from others of its kind.
pub(super) fn event_mould(event: &EventInfo<'_>) -> Mould {
    let before = |out: &mut Vec<u8>| {
        let mut object = Object::begin(out);
        object.string("provider", event.provider);
        object.string("channel", event.channel);
        object.number("event_id", event.event_id);
    };
    let after = |out: &mut Vec<u8>| {
        let mut object = Object::resume(out);
        object.string("title", event.title);
        object.end();
    };
    Mould::new(before, after)
}

pub(super) fn evidence(place: &Place<'_>, out: &mut Vec<u8>) {
    let within = |out: &mut Vec<u8>| {
        let mut object = Object::resume(out);
        object.integer("chunk", place.chunk);
        object.integer("offset", place.offset);
        object.integer("record_id", place.record_id);
        object.key("recovered");
        boolean(place.recovered, object.out);
    };
    match place.mould {
        Some(mould) => mould.cast(within, out),
        None => place_mould(place).cast(within, out),
    }
}

/// A place's object but for what is of the record.
pub(super) fn place_mould(place: &Place<'_>) -> Mould {
    let before = |out: &mut Vec<u8>| Object::begin(out).string("path", Some(place.path));
    let after = |out: &mut Vec<u8>| {
        let mut object = Object::resume(out);
        object.string("state", Some(place.state));
        object.string("host", place.host);
        object.end();
    };
    Mould::new(before, after)
}
