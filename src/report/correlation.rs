//! Findings of correlations: several events that are told of together.
//!
//! `harrier.correlation/1` is one JSON object a line and finding. Every key is always there, `null`
//! where there is nothing. `members` are the events, in the order of their times; only so many of them
//! are given as [`Correlation::members`] has, `members_total` says how many there are. A member that is
//! itself a finding has `correlation` with what is to be known of it, the rest is said of its last
//! event. In the other formats a finding is one line like a hit: what was counted stands among the
//! fields, and what is said of the event is said of the last.

use super::json::{Object, grouped, strings};
use super::{Hit, Kind, Place, RuleInfo, columns, jsonl};
use std::fmt::Write as _;

const SCHEMA: &str = "harrier.correlation/1";

/// So many members are named where all of a finding stands in one cell. The line of JSON has more.
const MEMBERS_NAMED: usize = 100;

/// Several events that are told of together. [`Hit::matched`] and [`Hit::data`] are what they have in
/// common, [`Hit::event`] and [`Hit::place`] are the last event's, the time, too; of different
/// computers none is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Correlation<'a> {
    /// The type, in Sigma's word.
    pub kind: &'a str,
    /// What was counted or computed, in words: `12 different TargetUserName`; empty if it is events.
    pub told: &'a str,
    /// The same as a decimal number.
    pub value: &'a str,
    /// How many events there are.
    pub count: u64,
    /// The timespan, as the correlation has it.
    pub timespan: Option<&'a str>,
    /// When the first was.
    pub first: Option<&'a str>,
    /// As [`Hit::local_time`].
    pub local_first: Option<&'a str>,
    /// From the first to the last, in units of 100 ns.
    pub span: Option<u64>,
    /// What it refers to, in its order.
    pub rules: &'a [RuleInfo<'a>],
    /// The first events.
    pub members: &'a [CorrelationMember<'a>],
}

/// An event of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CorrelationMember<'a> {
    /// Whose hit it is: places in [`Correlation::rules`].
    pub rules: &'a [u32],
    /// When it was.
    pub timestamp: Option<&'a str>,
    /// System/Computer
    pub computer: &'a str,
    /// System/Channel
    pub channel: &'a str,
    /// System/EventID
    pub event_id: &'a str,
    /// System/EventRecordID
    pub record_id: u64,
    /// Where it lies.
    pub place: Place<'a>,
    /// If it is a finding of another correlation: when that one's first event was, and how many it has.
    pub inner: Option<(Option<&'a str>, u64)>,
}

/// How many events in what time, and what was counted: `12 different TargetUserName, 37 events in
/// 4m12s`.
pub(super) fn summary(correlation: &Correlation<'_>) -> String {
    let Correlation { told, count, span, .. } = correlation;
    let between = if told.is_empty() { "" } else { ", " };
    let events = if *count == 1 { "event" } else { "events" };
    let span = span.map(|span| format!(" in {}", duration(span))).unwrap_or_default();
    format!("{told}{between}{count} {events}{span}")
}

/// A length of time in its greatest units: `4m12s`, `3d2h`, `250ms`.
pub(super) fn duration(ticks: u64) -> String {
    let (seconds, milliseconds) = (ticks / 10_000_000, ticks % 10_000_000 / 10_000);
    if seconds == 0 {
        return if milliseconds == 0 { "0s".to_owned() } else { format!("{milliseconds}ms") };
    }
    let mut text = String::new();
    let (mut left, mut units) = (seconds, 0);
    for (unit, name) in [(86_400, 'd'), (3600, 'h'), (60, 'm'), (1, 's')] {
        // Of days nobody wants seconds.
        if left >= unit && units < 3 {
            let _ = write!(text, "{}{name}", left / unit);
            left %= unit;
        }
        units += usize::from(!text.is_empty());
    }
    text
}

/// The members as texts: when, on which host, which event, where.
pub(super) fn members(correlation: &Correlation<'_>) -> Vec<String> {
    let member = |member: &CorrelationMember<'_>| {
        let time = member.timestamp.unwrap_or("-");
        let kind = columns::kind_of(member.channel, member.event_id);
        let text = format!(
            "{time} {} {kind} {} record {}",
            member.computer, member.place.path, member.record_id
        );
        match member.inner {
            Some((_, count)) => format!("{text} (last of {count})"),
            None => text,
        }
    };
    let mut texts: Vec<String> =
        correlation.members.iter().take(MEMBERS_NAMED).map(member).collect();
    let more = correlation.count.saturating_sub(texts.len() as u64);
    if more > 0 {
        texts.push(format!("(and {more} more events)"));
    }
    texts
}

/// The line of JSON.
pub(super) fn line(hit: &Hit<'_>, correlation: &Correlation<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.string("schema", Some(SCHEMA));
    object.string("timestamp", hit.timestamp);
    object.key("rule");
    jsonl::rule(&hit.rule, object.out);
    object.string("computer", hit.event.computer);
    object.key("correlation");
    about(hit, correlation, object.out);
    object.key("members");
    object.out.push(b'[');
    for (n, one) in correlation.members.iter().enumerate() {
        if n > 0 {
            object.out.push(b',');
        }
        member(correlation, one, object.out);
    }
    object.out.push(b']');
    object.integer("members_total", correlation.count);
    object.end();
}

/// What was counted, of what, and when.
pub(super) fn about(hit: &Hit<'_>, correlation: &Correlation<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.string("type", Some(correlation.kind));
    object.string("timespan", correlation.timespan);
    object.key("group_by");
    grouped(hit.matched.iter().map(|(name, value)| (*name, *value, Kind::Text)), object.out);
    object.key("value");
    object.out.extend_from_slice(correlation.value.as_bytes());
    object.integer("count", correlation.count);
    object.string("first", correlation.first);
    object.string("last", hit.timestamp);
    object.key("span_seconds");
    match correlation.span {
        // With all its digits: a float would lose some.
        Some(span) => {
            let text = format!("{}.{:07}", span / 10_000_000, span % 10_000_000);
            object.out.extend_from_slice(text.as_bytes());
        }
        None => object.out.extend_from_slice(b"null"),
    }
    object.string("summary", Some(&summary(correlation)));
    object.end();
}

fn member(correlation: &Correlation<'_>, member: &CorrelationMember<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.string("timestamp", member.timestamp);
    object.key("rules");
    object.out.push(b'[');
    let rules =
        member.rules.iter().filter_map(|n| correlation.rules.get(usize::try_from(*n).ok()?));
    for (n, info) in rules.enumerate() {
        if n > 0 {
            object.out.push(b',');
        }
        let mut rule = Object::begin(object.out);
        rule.string("id", info.id);
        rule.string("title", Some(info.title));
        rule.end();
    }
    object.out.push(b']');
    object.string("computer", Some(member.computer));
    object.string("channel", Some(member.channel));
    object.number("event_id", Some(member.event_id));
    object.integer("record_id", member.record_id);
    object.key("evidence");
    jsonl::evidence(&member.place, object.out);
    object.key("correlation");
    match member.inner {
        Some((first, count)) => {
            let mut inner = Object::begin(object.out);
            inner.string("first", first);
            inner.integer("count", count);
            inner.end();
        }
        None => object.out.extend_from_slice(b"null"),
    }
    object.end();
}

/// The members as an array of texts.
pub(super) fn member_strings(correlation: &Correlation<'_>, out: &mut Vec<u8>) {
    let members = members(correlation);
    strings(members.iter().map(String::as_str), out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        for (ticks, want) in [
            (0, "0s"),
            (9_999, "0s"),
            (10_000, "1ms"),
            (9_999_999, "999ms"),
            (10_000_000, "1s"),
            (2_520_000_000, "4m12s"),
            (600_000_000, "1m"),
            (36_010_000_000, "1h1s"),
            (864_000_000_000, "1d"),
            (864_000_000_000 + 36_610_000_000, "1d1h1m"),
            (864_000_000_000 + 10_000_000, "1d"),
        ] {
            assert_eq!(duration(ticks), want, "{ticks}");
        }
    }
}
