//! Pages as JSON: the data themselves, with names that stay.

use super::super::escape::json_string;
use super::outcome::{Miss, Outcome, Truth, TruthKind};
use super::page::{CoveredEvent, Part, Predicate, Regression, RulePage, Stage};
use serde_json::{Map, Value, json};

/// What a page of a rule is called, and which edition of its fields it has.
const RULE_SCHEMA: &str = "harrier.rule-page/1";

/// The same of why a rule matched a record, or did not.
const OUTCOME_SCHEMA: &str = "harrier.explain/1";

pub(super) fn rule(page: &RulePage) -> Vec<u8> {
    let related = page.related.iter();
    let related = related.map(|r| json!({"id": r.id, "type": r.how, "title": r.title}));
    let attack = page.attack.iter().map(|row| {
        let tactic = row.tactic.as_ref().map(|(id, name)| json!({"id": id, "name": name}));
        let techniques = row.techniques.iter().map(|(id, name)| json!({"id": id, "name": name}));
        json!({"tactic": tactic, "tagged": row.tagged, "techniques": list(techniques)})
    });
    let exclusions = page.exclusions.iter().map(|exclusion| {
        json!({
            "section": exclusion.section,
            "field": exclusion.field,
            "kind": exclusion.kind,
            "values": exclusion.values,
        })
    });
    let indicators = page.indicators.iter().map(|indicator| {
        let mut object = predicate(&indicator.predicate);
        object["use"] = indicator.role.as_str().into();
        object["corpus"] = indicator.rules.into();
        object
    });
    let literals = page.literals.iter().map(|literals| {
        let sets = literals.sets.iter().map(|(field, any)| json!({"field": field, "any_of": any}));
        json!({"events": literals.events, "sets": list(sets), "open": literals.open})
    });
    let simulation = page.simulation.iter().map(|test| {
        json!({"type": test.kind, "name": test.name, "technique": test.technique, "guid": test.guid})
    });
    let links =
        page.links.iter().map(|links| json!({"heading": links.heading, "lines": links.lines}));
    let value = json!({
        "schema": RULE_SCHEMA,
        "kind": page.kind,
        "title": page.title,
        "id": page.id,
        "name": page.name,
        "level": page.level,
        "status": page.status,
        "author": page.author,
        "date": page.date,
        "modified": page.modified,
        "file": page.file,
        "log_source": page.log_source,
        "description": page.description,
        "references": page.references,
        "related": list(related),
        "attack_version": page.attack_version,
        "attack": list(attack),
        "other_tags": page.other_tags,
        "no_events": page.no_events,
        "events": list(page.events.iter().map(event)),
        "stages": list(page.stages.iter().map(stage)),
        "exclusions": list(exclusions),
        "corpus_rules": page.corpus,
        "indicators": list(indicators),
        "literals": list(literals),
        "false_positives": page.falsepositives,
        "simulation": list(simulation),
        "regression": page.regression.as_ref().map(regression),
        "links": list(links),
        "body": page.body,
    });
    written(&value)
}

fn list(values: impl Iterator<Item = Value>) -> Value {
    Value::Array(values.collect())
}

fn event(event: &CoveredEvent) -> Value {
    let fields: Map<String, Value> =
        event.fields.iter().map(|map| (map.field.clone(), map.is.clone().into())).collect();
    json!({
        "providers": event.providers,
        "channels": event.channels,
        "event_id": event.event_id,
        "title": event.title,
        "tier": event.tier,
        "conditions": event.conditions,
        "fields": fields,
        "lacks": event.lacks,
    })
}

fn stage(stage: &Stage) -> Value {
    let part = stage.part.as_ref().map(part);
    json!({"text": stage.text, "excludes": stage.excludes, "part": part})
}

fn part(part: &Part) -> Value {
    let all = |parts: &[Part]| list(parts.iter().map(self::part));
    match part {
        Part::Section(name, inner) => json!({"section": name, "part": self::part(inner)}),
        Part::All(parts) => json!({"all_of": all(parts)}),
        Part::AtLeast(count, parts) => json!({"at_least": count, "of": all(parts)}),
        Part::Not(inner) => json!({"not": self::part(inner)}),
        Part::Test(predicate) => self::predicate(predicate),
    }
}

fn predicate(predicate: &Predicate) -> Value {
    json!({"field": predicate.field, "kind": predicate.kind, "value": predicate.value})
}

fn regression(regression: &Regression) -> Value {
    let logs = regression.logs.iter().map(|log| {
        json!({
            "name": log.name,
            "type": log.kind,
            "path": log.path,
            "match_count": log.expected.unwrap_or(0),
            "there": log.there,
        })
    });
    json!({
        "path": regression.path,
        "found": regression.found.as_ref().ok(),
        "problem": regression.found.as_ref().err(),
        "logs": list(logs),
    })
}

pub(super) fn outcomes(outcomes: &[Outcome]) -> Vec<u8> {
    let value = json!({
        "schema": OUTCOME_SCHEMA,
        "outcomes": list(outcomes.iter().map(outcome)),
    });
    written(&value)
}

fn outcome(outcome: &Outcome) -> Value {
    let gate = outcome.gate.iter().map(|source| {
        json!({"source": source.source, "admits": source.refusal.is_none(), "why": source.refusal})
    });
    let looks = outcome.looks.iter().map(|look| {
        let literals = look.literals.iter().map(|set| {
            let seen = set.wanted.iter().filter(|(_, seen)| *seen).map(|(text, _)| text);
            let wanted: Vec<&String> = set.wanted.iter().map(|(text, _)| text).collect();
            let seen: Vec<&String> = seen.collect();
            json!({"field": set.field, "any_of": wanted, "seen": seen})
        });
        json!({
            "source": look.source,
            "literals": list(literals),
            "open": look.open,
            "condition": truth(&look.condition),
            "nearest_miss": list(look.nearest_miss.iter().map(miss)),
        })
    });
    let record = &outcome.record;
    json!({
        "rule": {
            "id": outcome.rule_id,
            "title": outcome.rule_title,
            "level": outcome.rule_level,
            "file": outcome.rule_file,
        },
        "record": {
            "path": record.path,
            "offset": record.offset,
            "record_id": record.record_id,
            "timestamp": record.timestamp,
            "computer": record.computer,
            "channel": record.channel,
            "provider": record.provider,
            "event_id": record.event_id,
            "title": record.title,
        },
        "matched": outcome.matched,
        "why": outcome.why,
        "gate": list(gate),
        "looks": list(looks),
    })
}

fn truth(truth: &Truth) -> Value {
    let mut object = match &truth.kind {
        TruthKind::All => json!({"is": "all_of"}),
        TruthKind::AtLeast(count) => json!({"is": "at_least", "count": count}),
        TruthKind::Not => json!({"is": "not"}),
        TruthKind::Named(name) => json!({"is": "section", "name": name}),
        TruthKind::Source => json!({"is": "source_condition"}),
        TruthKind::Filter(title) => json!({"is": "filter", "title": title}),
        TruthKind::Test { field, kind, all, negated, values, seen } => {
            let values = values.iter().map(|(text, holds)| json!({"value": text, "holds": holds}));
            json!({
                "is": "test",
                "field": field,
                "kind": kind,
                "all": all,
                "negated": negated,
                "values": list(values),
                "event_values": seen.values,
                "read_from": seen.from,
                "near": seen.near,
            })
        }
    };
    object["holds"] = truth.holds.into();
    if !truth.parts.is_empty() {
        object["parts"] = list(truth.parts.iter().map(self::truth));
    }
    object
}

fn miss(miss: &Miss) -> Value {
    json!({"test": miss.test, "would_have_to_be": miss.wanted})
}

/// With two blanks for each level, and a line end.
fn written(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write(value, 0, &mut out);
    out.push(b'\n');
    out
}

fn write(value: &Value, depth: usize, out: &mut Vec<u8>) {
    match value {
        Value::String(text) => json_string(text, out),
        Value::Array(items) if !items.is_empty() => {
            out.push(b'[');
            for (n, item) in items.iter().enumerate() {
                next(n, depth + 1, out);
                write(item, depth + 1, out);
            }
            new_line(depth, out);
            out.push(b']');
        }
        Value::Object(entries) if !entries.is_empty() => {
            out.push(b'{');
            for (n, (key, item)) in entries.iter().enumerate() {
                next(n, depth + 1, out);
                json_string(key, out);
                out.extend_from_slice(b": ");
                write(item, depth + 1, out);
            }
            new_line(depth, out);
            out.push(b'}');
        }
        // Numbers, truths, null and what is empty: nothing of it is anyone's text.
        other => out.extend_from_slice(other.to_string().as_bytes()),
    }
}

fn next(n: usize, depth: usize, out: &mut Vec<u8>) {
    if n > 0 {
        out.push(b',');
    }
    new_line(depth, out);
}

fn new_line(depth: usize, out: &mut Vec<u8>) {
    out.push(b'\n');
    out.extend(std::iter::repeat_n(b' ', 2 * depth));
}
