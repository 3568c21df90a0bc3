//! The events that a rule looks at, in words, and what its fields are there.

use crate::engine::{Applicability, Coverage, LiteralSet, RuleId, RuleSet};
use crate::report::explain::{CoveredEvent, FieldMap, Literals};
use crate::sigma::Rule;
use crate::taxonomy::{EventKey, ReadWhen, Reading, Source, SourceCondition, Taxonomy, Tier, View};

use super::notation;

/// What stands for the field of keywords.
const ANY_VALUE: &str = "(any value)";

/// The kinds of events, and why there are none, if so.
pub(super) fn covered(set: &RuleSet, id: RuleId) -> (Vec<CoveredEvent>, Option<String>) {
    let rule = set.rule(id);
    match set.applicability(id) {
        Applicability::Applicable => {}
        Applicability::NotApplicable(why) | Applicability::UnknownLogSource(why) => {
            return (Vec::new(), Some(format!("None: {why}.")));
        }
    }
    let fields = fields(rule);
    let covered = set.coverage(id);
    let none = covered.is_empty().then(|| {
        "None: the condition holds for none of the events that the log source stands for."
            .to_owned()
    });
    let events = covered.iter().map(|coverage| event(set.taxonomy(), coverage, &fields));
    (events.collect(), none)
}

/// The fields that a rule asks of, each once, in its order.
fn fields(rule: &Rule) -> Vec<&str> {
    let mut fields: Vec<&str> = Vec::new();
    notation::items(rule, &mut |_, item, _| {
        let referred = item.values.iter().filter_map(|test| match test {
            crate::sigma::Test::FieldRef { field, .. } => Some(field.as_str()),
            _ => None,
        });
        for field in item.field.as_deref().into_iter().chain(referred) {
            if !fields.contains(&field) {
                fields.push(field);
            }
        }
    });
    fields
}

fn event(taxonomy: &Taxonomy, coverage: &Coverage<'_>, fields: &[&str]) -> CoveredEvent {
    let Coverage { source, channels, providers, event_id, .. } = coverage;
    let first = |names: &[String]| names.first().cloned().unwrap_or_default();
    let (channel, provider) = (first(channels), first(providers));
    let key = EventKey { channel: &channel, provider: &provider, event_id: *event_id };
    let mut event = CoveredEvent {
        providers: providers.iter().map(|name| provider_name(taxonomy, name)).collect(),
        channels: channels.iter().map(|name| channel_name(taxonomy, name)).collect(),
        event_id: *event_id,
        title: event_id.and_then(|id| taxonomy.title(&channel, &provider, id)).map(str::to_owned),
        tier: match source.tier {
            Tier::Default => "default",
            Tier::Extended => "extended",
            Tier::Optional => "optional",
        },
        conditions: source.conditions.iter().map(condition).collect(),
        fields: Vec::new(),
        lacks: Vec::new(),
    };
    for field in fields {
        match reading(field, &taxonomy.readings(source.view, field, &key)) {
            Is::Itself => {}
            Is::Absent => event.lacks.push((*field).to_owned()),
            Is::Other(is) => event.fields.push(FieldMap { field: (*field).to_owned(), is }),
        }
    }
    event
}

/// What the taxonomy reads a field from in events of this kind, if not from the field of that name;
/// nothing if it says that there is none.
pub(super) fn read_from(
    taxonomy: &Taxonomy,
    view: View,
    field: &str,
    key: &EventKey<'_>,
) -> Option<String> {
    match reading(field, &taxonomy.readings(view, field, key)) {
        Is::Itself | Is::Absent => None,
        Is::Other(is) => Some(is),
    }
}

/// A source in a line: `Microsoft-Windows-Sysmon/Operational 1 or 5`.
pub(super) fn source_name(taxonomy: &Taxonomy, source: &Source) -> String {
    /// So many event ids are named.
    const NAMED: usize = 6;
    let channels: Vec<String> =
        source.channels.iter().map(|name| channel_name(taxonomy, name)).collect();
    let mut name = match channels.as_slice() {
        [] => "any channel".to_owned(),
        names => names.join(" or "),
    };
    if let Some(ids) = &source.event_ids {
        let shown: Vec<String> = ids.iter().take(NAMED).map(u32::to_string).collect();
        let more = if ids.len() > NAMED { " or others" } else { "" };
        name.push_str(&format!(" {}{more}", shown.join(" or ")));
    }
    name
}

/// A channel as it is written, or as it is known, folded.
fn channel_name(taxonomy: &Taxonomy, name: &str) -> String {
    taxonomy.channel_name(name).unwrap_or(name).to_owned()
}

fn provider_name(taxonomy: &Taxonomy, name: &str) -> String {
    taxonomy.provider_name(name).unwrap_or(name).to_owned()
}

/// What a source asks for besides.
pub(super) fn condition(condition: &SourceCondition) -> String {
    let SourceCondition { field, values, or_absent } = condition;
    let absent = if *or_absent { ", or absent" } else { "" };
    format!("{field} eq {}{absent}", values.join(" or "))
}

/// What a field is in some events.
enum Is {
    Itself,
    Absent,
    Other(String),
}

fn reading(field: &str, readings: &[Reading]) -> Is {
    let replaced = readings.iter().any(|reading| reading.when == ReadWhen::Instead);
    let is_absent =
        |reading: &Reading| reading.inputs.is_empty() && reading.when == ReadWhen::Instead;
    if readings.iter().all(is_absent) {
        return if readings.is_empty() { Is::Itself } else { Is::Absent };
    }
    let mut parts: Vec<String> = Vec::new();
    for reading in readings {
        let what = source_of(reading);
        parts.push(match reading.when {
            ReadWhen::Instead if parts.is_empty() => what,
            ReadWhen::Instead | ReadWhen::Otherwise => format!("or, if there is none, {what}"),
            ReadWhen::Besides => format!("and besides {what}"),
        });
    }
    if !replaced {
        parts.insert(0, "the field of that name".to_owned());
    }
    // System's own attributes are called so everywhere.
    let trivial = readings.len() == 1 && parts == [format!("System/{field}")];
    if trivial { Is::Itself } else { Is::Other(parts.join(" ")) }
}

/// `NewProcessId, as it is and by hex_to_decimal`
fn source_of(reading: &Reading) -> String {
    let inputs: Vec<String> =
        reading.inputs.iter().map(|input| input.replace('|', " or ")).collect();
    let inputs = inputs.join(" + ");
    match (&reading.transform, reading.raw) {
        (None, _) => inputs,
        (Some(transform), true) => format!("{inputs}, as it is and by {transform}"),
        (Some(transform), false) => format!("{inputs}, by {transform}"),
    }
}

/// What the prefilter wants of each kind of events; kinds that want the same come once.
pub(super) fn literals(set: &RuleSet, id: RuleId) -> Vec<Literals> {
    let mut rows: Vec<(Vec<String>, Vec<LiteralSet>)> = Vec::new();
    for Coverage { channels, event_id, literals, .. } in set.coverage(id) {
        let channel = channels.first().map(|name| channel_name(set.taxonomy(), name));
        let channel = channel.unwrap_or_else(|| "any channel".to_owned());
        let name = match event_id {
            Some(id) => format!("{channel} {id}"),
            None => channel,
        };
        match rows.iter_mut().find(|(_, known)| *known == literals) {
            Some((names, _)) if !names.contains(&name) => names.push(name),
            Some(_) => {}
            None => rows.push((vec![name], literals)),
        }
    }
    let row = |(names, sets): (Vec<String>, Vec<LiteralSet>)| Literals {
        events: names.join(", "),
        open: sets.is_empty().then(|| OPEN.to_owned()),
        sets: sets.into_iter().map(labelled).collect(),
    };
    rows.into_iter().map(row).collect()
}

/// Why a rule needs no literal.
pub(super) const OPEN: &str = "the condition can hold without any certain text, so the rule is asked of \
                               each such event";

/// A set of literals with the names of its fields.
pub(super) fn labelled(set: LiteralSet) -> (String, Vec<String>) {
    let name = |field: Option<String>| field.unwrap_or_else(|| ANY_VALUE.to_owned());
    let fields: Vec<String> = set.fields.into_iter().map(name).collect();
    (fields.join(" or "), set.any_of)
}
