//! Findings, from the sorter to the outputs.

use super::super::rendered::{At, Rendered};
use super::super::spill::malformed;
use super::super::time::{Ticks, local_text};
use super::super::work::rule_info;
use super::super::{Hunt, Order, group};
use super::entry::{append, dated, read, read_u8, read_u32, read_u64, text};
use super::{Finding, Found, Inner, Reference, narrow};
use crate::engine::{RuleSet, read_group};
use crate::event::{Value, format_file_time};
use crate::ledger::{Levels, Tally};
use crate::report::{
    self, CorrelationMember, EventInfo, Fields, Format, Hit, Place, RuleInfo, Subject,
};
use crate::sigma::{Correlation, CorrelationKind, Member};
use std::io;
use std::ops::ControlFlow;

/// Between several values of one field.
const BETWEEN: &str = ", ";

/// The items of work that findings are shown as: behind all that there are.
const BEHIND: u64 = 1 << 63;

/// A finding, rendered.
pub(in super::super) struct Shown<'s> {
    /// What it looks like.
    pub(in super::super) rendered: &'s Rendered,
    /// Its part of what was found.
    pub(in super::super) tally: Tally,
    pub(in super::super) levels: Levels,
}

impl Found {
    /// Renders each finding, in the order of their first events, and hands it on until that breaks.
    /// `reach` is how far around its last event the context is wanted, if it is.
    ///
    /// # Errors
    /// If a temporary file cannot be written or read.
    pub(in super::super) fn show(
        self,
        hunt: &Hunt<'_>,
        formats: &[&Format],
        reach: Option<Ticks>,
        mut each: impl FnMut(Shown<'_>) -> ControlFlow<()>,
    ) -> io::Result<()> {
        let outputs = if hunt.order == Order::Grouped { 1 } else { formats.len() };
        let marked = hunt.order != Order::Evidence || reach.is_some();
        let mut rendered = Rendered::new(outputs, marked);
        let mut number = BEHIND;
        self.findings.finish(|key, payload| {
            let finding = Finding::read(key, payload).ok_or_else(malformed)?;
            rendered.clear();
            let at = finding.place(hunt, number);
            number += 1;
            if let (Some(reach), Some(time)) = (reach, dated(finding.last)) {
                let host = crate::utf16::folded(&finding.last_event.computer);
                let (from, to) = (time.saturating_sub(reach), time.saturating_add(reach));
                rendered.around(host.as_bytes(), from, to);
            }
            finding.render(hunt, formats, at, &mut rendered);
            let mut levels = Levels::default();
            let level = finding.of(hunt.rules).and_then(|c| levels.get_mut(c.level as usize));
            level.into_iter().for_each(|level| *level += 1);
            let mut tally = Tally::default();
            tally.hit(&finding.last_event.computer, dated(finding.last), &levels);
            Ok(each(Shown { rendered: &rendered, tally, levels }))
        })
    }
}

impl Finding {
    fn of<'r>(&self, set: &'r RuleSet) -> Option<&'r Correlation> {
        set.correlations().get(self.correlation)
    }

    /// Where it comes among hits: in evidence order behind all of them, by time at the time of its last
    /// event, behind the hits of the same time.
    fn place(&self, hunt: &Hunt<'_>, number: u64) -> At {
        let rules = hunt.rules.rules().count();
        let rule = narrow(rules.saturating_add(self.correlation)).min(At::CONTEXT - 1);
        At { time: self.last, item: number, record: 0, rule }
    }

    fn render(&self, hunt: &Hunt<'_>, formats: &[&Format], at: At, rendered: &mut Rendered) {
        let Some(correlation) = self.of(hunt.rules) else { return };
        let shown: Vec<String> =
            read_group(&self.shown).iter().map(|values| joined(values)).collect();
        let fields = read_group(&self.shown);
        let named = correlation.group_by.iter().zip(&fields).zip(&shown);
        let matched: Vec<(&str, &str)> = named
            .filter(|((_, values), _)| !values.is_empty())
            .map(|((name, _), text)| (name.as_str(), text.as_str()))
            .collect();
        let last = &self.last_event;
        let computer = self.one_computer.then_some(last.computer.as_str());
        if hunt.order == Order::Grouped {
            let key = |out: &mut Vec<u8>| group::append_key(at.rule, computer, &matched, out);
            return rendered.bytes(key, at);
        }
        let mut data = Fields::new();
        matched.iter().for_each(|(name, value)| data.push(name, Value::Text(value)));
        let times: Vec<Times> = self.members.iter().map(|(event, _)| Times::of(event)).collect();
        let members: Vec<CorrelationMember<'_>> = self
            .members
            .iter()
            .zip(&times)
            .map(|((event, rules), times)| member(event, rules, times))
            .collect();
        let rules: Vec<RuleInfo<'_>> = rules(hunt.rules, correlation);
        let told = told(correlation, &self.quantity);
        let time = |time: Ticks| dated(time).map(format_file_time);
        let local = |time: Ticks| local_text(dated(time)?, hunt.zone?);
        let (first, local_first) = (time(self.first), local(self.first));
        let (timestamp, local_time) = (time(self.last), local(self.last));
        let record = last.record.to_string();
        let hit = Hit {
            subject: Subject::Correlation(report::Correlation {
                kind: kind(correlation),
                told: &told,
                value: &self.quantity,
                count: self.count,
                timespan: correlation.timespan_text.as_deref(),
                first: first.as_deref(),
                local_first: local_first.as_deref(),
                span: dated(self.first)
                    .and_then(|first| dated(self.last).map(|last| last.saturating_sub(first))),
                rules: &rules,
                members: &members,
            }),
            timestamp: timestamp.as_deref(),
            local_time: local_time.as_deref(),
            rule: rule_info(correlation),
            event: EventInfo {
                provider: None,
                channel: Some(&last.channel),
                event_id: Some(&last.event_id),
                record_id: Some(&record),
                computer,
                title: None,
                mould: None,
            },
            place: place(last),
            matched: &matched,
            system: &Fields::new(),
            body: "EventData",
            data: &data,
            object: None,
        };
        rendered.hit(formats, &hit, at);
    }

    /// Key and payload for the sorter.
    pub(super) fn write(&self) -> (Vec<u8>, Vec<u8>) {
        let (mut key, mut out) = (Vec::new(), Vec::new());
        key.extend_from_slice(&self.first.to_be_bytes());
        key.extend_from_slice(&narrow(self.correlation).to_be_bytes());
        append(&self.group, &mut key);
        key.extend_from_slice(&self.last.to_be_bytes());
        append(&self.shown, &mut out);
        append(self.quantity.as_bytes(), &mut out);
        out.extend_from_slice(&self.count.to_be_bytes());
        out.push(u8::from(self.one_computer));
        write_event(&self.last_event, &mut out);
        for (event, members) in &self.members {
            write_event(event, &mut out);
            out.extend_from_slice(&narrow(members.len()).to_be_bytes());
            members.iter().for_each(|member| out.extend_from_slice(&member.to_be_bytes()));
        }
        (key, out)
    }

    fn read(mut key: &[u8], mut rest: &[u8]) -> Option<Finding> {
        let first = read_u64(&mut key)?;
        let correlation = usize::try_from(read_u32(&mut key)?).ok()?;
        let group = read(&mut key)?.to_vec();
        let mut finding = Finding {
            correlation,
            group,
            first,
            last: read_u64(&mut key)?,
            shown: read(&mut rest)?.to_vec(),
            quantity: text(read(&mut rest)?),
            count: read_u64(&mut rest)?,
            one_computer: read_u8(&mut rest)? != 0,
            last_event: read_event(&mut rest)?,
            members: Vec::new(),
        };
        while !rest.is_empty() {
            let event = read_event(&mut rest)?;
            let count = read_u32(&mut rest)?;
            let members = (0..count).map(|_| read_u32(&mut rest)).collect::<Option<Vec<u32>>>()?;
            finding.members.push((event, members));
        }
        Some(finding)
    }
}

fn write_event(event: &Reference, out: &mut Vec<u8>) {
    out.extend_from_slice(&event.time.to_be_bytes());
    for text in [&event.computer, &event.channel, &event.path, &event.event_id, &event.state] {
        append(text.as_bytes(), out);
    }
    append(event.host.as_deref().unwrap_or("").as_bytes(), out);
    for number in [event.record, event.offset, event.chunk, event.header_record] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    let flags = [event.recovered, event.inner.is_some(), event.host.is_some()];
    out.push(flags.iter().rev().fold(0, |all, flag| all << 1 | u8::from(*flag)));
    if let Some(inner) = &event.inner {
        out.extend_from_slice(&inner.correlation.to_be_bytes());
        out.extend_from_slice(&inner.first.to_be_bytes());
        append(&inner.group, out);
        out.extend_from_slice(&inner.count.to_be_bytes());
    }
}

fn read_event(rest: &mut &[u8]) -> Option<Reference> {
    let mut event = Reference {
        time: read_u64(rest)?,
        computer: text(read(rest)?),
        channel: text(read(rest)?),
        path: text(read(rest)?),
        event_id: text(read(rest)?),
        state: text(read(rest)?),
        host: Some(text(read(rest)?)),
        record: read_u64(rest)?,
        offset: read_u64(rest)?,
        chunk: read_u64(rest)?,
        header_record: read_u64(rest)?,
        ..Reference::default()
    };
    let flags = read_u8(rest)?;
    event.recovered = flags & 1 != 0;
    event.host = event.host.filter(|_| flags & 4 != 0);
    if flags & 2 != 0 {
        event.inner = Some(Inner {
            correlation: read_u32(rest)?,
            first: read_u64(rest)?,
            group: read(rest)?.to_vec(),
            count: read_u64(rest)?,
        });
    }
    Some(event)
}

/// A field's values as one text.
fn joined(values: &[&[u8]]) -> String {
    values.iter().map(|value| text(value)).collect::<Vec<_>>().join(BETWEEN)
}

/// When an event was, and when a finding began that is one, as texts.
struct Times {
    time: Option<String>,
    inner: Option<(Option<String>, u64)>,
}

impl Times {
    fn of(event: &Reference) -> Times {
        let time = |time: Ticks| dated(time).map(format_file_time);
        let inner = event.inner.as_ref().map(|inner| (time(inner.first), inner.count));
        Times { time: time(event.time), inner }
    }
}

fn member<'m>(event: &'m Reference, rules: &'m [u32], times: &'m Times) -> CorrelationMember<'m> {
    CorrelationMember {
        rules,
        timestamp: times.time.as_deref(),
        computer: &event.computer,
        channel: &event.channel,
        event_id: &event.event_id,
        record_id: event.record,
        place: place(event),
        inner: times.inner.as_ref().map(|(first, count)| (first.as_deref(), *count)),
    }
}

fn place(event: &Reference) -> Place<'_> {
    Place {
        path: &event.path,
        chunk: event.chunk,
        offset: event.offset,
        record_id: event.header_record,
        state: &event.state,
        host: event.host.as_deref(),
        recovered: event.recovered,
        mould: None,
    }
}

/// What a correlation refers to, in its order.
fn rules<'r>(set: &'r RuleSet, correlation: &'r Correlation) -> Vec<RuleInfo<'r>> {
    let all: Vec<_> = set.rules().map(|(_, rule)| rule).collect();
    let info = |member: &Member| match member {
        Member::Rule(rule) => all.get(*rule).map(|rule| rule_info(rule)),
        Member::Correlation(inner) => set.correlations().get(*inner).map(|inner| rule_info(inner)),
    };
    // One for each, so that places stay right.
    correlation.members.iter().map(|member| info(member).unwrap_or(RuleInfo::CONTEXT)).collect()
}

/// The type in Sigma's word.
fn kind(correlation: &Correlation) -> &'static str {
    match correlation.kind {
        CorrelationKind::EventCount => "event_count",
        CorrelationKind::ValueCount(_) => "value_count",
        CorrelationKind::Temporal => "temporal",
        CorrelationKind::TemporalOrdered => "temporal_ordered",
        CorrelationKind::ValueSum(_) => "value_sum",
        CorrelationKind::ValueAvg(_) => "value_avg",
        CorrelationKind::ValuePercentile(..) => "value_percentile",
    }
}

/// What was counted, in words; of events nothing, since their number is said anyway.
fn told(correlation: &Correlation, quantity: &str) -> String {
    let rules = if quantity == "1" { "rule" } else { "rules" };
    match &correlation.kind {
        CorrelationKind::EventCount => String::new(),
        CorrelationKind::ValueCount(fields) => {
            format!("{quantity} different {}", fields.join("+"))
        }
        CorrelationKind::Temporal => format!("{quantity} {rules}"),
        CorrelationKind::TemporalOrdered => format!("{quantity} {rules} in order"),
        CorrelationKind::ValueSum(field) => format!("sum of {field} {quantity}"),
        CorrelationKind::ValueAvg(field) => format!("mean of {field} {quantity}"),
        CorrelationKind::ValuePercentile(field, percent) => {
            format!("percentile {percent} of {field} {quantity}")
        }
    }
}
