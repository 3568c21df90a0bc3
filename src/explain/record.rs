//! What a rule made of a record: gate, prefilter, condition, and what was missing.
//!
//! Invariant: [`Outcome::matched`] is what a hunt decides. The gate's and the condition's answers come
//! from [`Probe`], which asks with the engine's own tests; the tree is the rule's condition as it is
//! written, and what it comes to is compared with what the compiled condition comes to in tests.

use super::{events, miss, notation};
use crate::engine::{Applicability, Needed, Probe, RuleId, RuleSet};
use crate::event::{Event, Section};
use crate::report::explain::{
    Found, GateSource, Look, Outcome, Seen, SeenLiterals, Truth, TruthKind,
};
use crate::sigma::{Condition, Filter, Item, Node, Section as Part};
use crate::taxonomy::{EventKey, Refusal, View};
use crate::utf16::folded;

/// So many names that come near are told.
const NEAR: usize = 3;

/// Which records are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// Those with this `EventRecordID`, in any log.
    Id(u64),
    /// The one at this offset of this log, named by its whole path or its last parts.
    Place {
        /// The log.
        path: String,
        /// The offset.
        offset: u64,
    },
}

impl Which {
    /// `RECORD`: a number, or `PATH:OFFSET` with a decimal or hexadecimal (`0x`) offset.
    #[must_use]
    pub fn parse(text: &str) -> Option<Which> {
        if let Ok(id) = text.parse() {
            return Some(Which::Id(id));
        }
        let (path, offset) = text.rsplit_once(':').filter(|(path, _)| !path.is_empty())?;
        let offset = match offset.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok()?,
            None => offset.parse().ok()?,
        };
        Some(Which::Place { path: path.to_owned(), offset })
    }

    /// Whether a record of the log at `path` is meant.
    #[must_use]
    pub fn is(&self, path: &str, offset: u64, header_id: u64, event: &impl Event) -> bool {
        match self {
            Which::Id(id) => {
                let own = text(event, event.layout().system().record_id);
                own.map_or(header_id == *id, |own| own.trim().parse() == Ok(*id))
            }
            Which::Place { path: wanted, offset: at } => {
                let before = path.strip_suffix(wanted.as_str());
                *at == offset
                    && before.is_some_and(|b| b.is_empty() || b.ends_with(['/', '\\', '!']))
            }
        }
    }
}

/// What a rule made of a record. `filters` are those that the set's rules have; `path` and `offset` say
/// where the record stands, `header_id` is its number there.
#[must_use]
pub fn outcome<E: Event>(
    set: &RuleSet,
    filters: &[Filter],
    id: RuleId,
    event: &E,
    (path, offset, header_id): (&str, u64, u64),
) -> Outcome {
    let rule = set.rule(id);
    let filters: Vec<&Filter> = filters.iter().filter(|f| f.is_for(id.index(), rule)).collect();
    let record = found(set, event, path, offset, header_id);
    let probe = Probe::new(set, event);
    let admissions = probe.admissions(id);
    let taxonomy = set.taxonomy();
    let gate = admissions.iter().map(|admission| GateSource {
        source: events::source_name(taxonomy, admission.source),
        refusal: admission.refusal.map(|refusal| refused(refusal, &record)),
    });
    let gate: Vec<GateSource> = gate.collect();
    let mut looks = Vec::new();
    for admission in admissions.iter().filter(|admission| admission.refusal.is_none()) {
        let asker = Asker { set, event, probe: &probe, view: admission.source.view };
        let mut parts = Vec::new();
        let conditions = admission.conditions(&rule.origin);
        if !conditions.is_empty() {
            let parts_of = conditions.iter().map(|item| asker.item(item)).collect();
            parts.push(all(TruthKind::Source, parts_of));
        }
        let detection = &rule.detection;
        parts.push(asker.condition(&detection.condition, &detection.sections));
        for filter in &filters {
            let inner = asker.condition(&filter.condition, &filter.sections);
            parts.push(all(TruthKind::Filter(filter.title.clone()), vec![inner]));
        }
        let condition = if parts.len() == 1 { parts.remove(0) } else { all(TruthKind::All, parts) };
        let (literals, open) = prefilter(probe.needed(id, admission));
        looks.push(Look {
            source: events::source_name(taxonomy, admission.source),
            literals,
            open,
            nearest_miss: miss::nearest(&condition),
            condition,
        });
    }
    let matched = looks.iter().any(|look| look.condition.holds);
    Outcome {
        rule_id: rule.id.clone(),
        rule_title: rule.title.clone(),
        rule_level: rule.level.as_str(),
        rule_file: rule.origin.path().to_owned(),
        why: why(set.applicability(id), matched, &looks),
        record,
        matched,
        gate,
        looks,
    }
}

/// The outcome in a sentence.
fn why(applicability: &Applicability, matched: bool, looks: &[Look]) -> String {
    match applicability {
        Applicability::NotApplicable(why) | Applicability::UnknownLogSource(why) => {
            return format!("no match: the rule is asked of no event: {why}");
        }
        Applicability::Applicable => {}
    }
    let fewest = looks.iter().map(|look| look.nearest_miss.len()).min();
    match fewest {
        _ if matched => "match: a source admits the event and the condition is true".to_owned(),
        None => "no match: the event is none of the rule's log source".to_owned(),
        Some(1) => "no match: the condition is false, by one test".to_owned(),
        Some(tests) => format!("no match: the condition is false, by {tests} tests at least"),
    }
}

fn refused(refusal: Refusal, record: &Found) -> String {
    let (what, is) = match refusal {
        Refusal::EventId => ("event id", &record.event_id),
        Refusal::Channel => ("channel", &record.channel),
        Refusal::Provider => ("provider", &record.provider),
    };
    match is {
        Some(is) => format!("the {what} is {is}"),
        None => format!("the event has no {what}"),
    }
}

fn prefilter(needed: Needed) -> (Vec<SeenLiterals>, Option<String>) {
    let sets = match needed {
        Needed::Refuted => {
            let why = "the kind of the event alone makes the condition false";
            return (Vec::new(), Some(why.to_owned()));
        }
        Needed::Literals(sets) if sets.is_empty() => {
            return (Vec::new(), Some(events::OPEN.to_owned()));
        }
        Needed::Literals(sets) => sets,
    };
    let label = |field: &Option<String>| field.clone().unwrap_or_else(|| "(any value)".to_owned());
    let literals = sets.into_iter().map(|set| SeenLiterals {
        field: set.fields.iter().map(label).collect::<Vec<_>>().join(" or "),
        wanted: set.any_of,
    });
    (literals.collect(), None)
}

/// A node that holds if all of its parts do.
fn all(kind: TruthKind, parts: Vec<Truth>) -> Truth {
    Truth { holds: parts.iter().all(|part| part.holds), kind, parts }
}

fn at_least(count: usize, parts: Vec<Truth>) -> Truth {
    let holds = parts.iter().filter(|part| part.holds).count() >= count;
    Truth { holds, kind: TruthKind::AtLeast(count), parts }
}

fn found(set: &RuleSet, event: &impl Event, path: &str, offset: u64, header_id: u64) -> Found {
    let system = event.layout().system();
    let (channel, provider) = (text(event, system.channel), text(event, system.provider));
    let event_id = text(event, system.event_id);
    let number = event_id.as_deref().and_then(|id| id.trim().parse().ok());
    let title = number.and_then(|id| {
        set.taxonomy().title(
            channel.as_deref().unwrap_or(""),
            provider.as_deref().unwrap_or(""),
            id,
        )
    });
    Found {
        path: path.to_owned(),
        offset,
        record_id: text(event, system.record_id).unwrap_or_else(|| header_id.to_string()),
        timestamp: text(event, system.time),
        computer: text(event, system.computer),
        title: title.map(str::to_owned),
        channel,
        provider,
        event_id,
    }
}

/// A leaf's first text.
fn text(event: &impl Event, leaf: Option<crate::event::LeafId>) -> Option<String> {
    let mut out = Vec::new();
    event.first_text(leaf, &mut out).then(|| String::from_utf8_lossy(&out).into_owned())
}

/// An event to be asked through one view.
struct Asker<'a, E> {
    set: &'a RuleSet,
    event: &'a E,
    probe: &'a Probe<'a, E>,
    view: View,
}

impl<E: Event> Asker<'_, E> {
    fn condition(&self, condition: &Condition, sections: &[Part]) -> Truth {
        let parts = |parts: &[Condition]| -> Vec<Truth> {
            parts.iter().map(|part| self.condition(part, sections)).collect()
        };
        match condition {
            Condition::And(of) => all(TruthKind::All, parts(of)),
            Condition::Or(of) => at_least(1, parts(of)),
            Condition::Not(inner) => {
                let inner = self.condition(inner, sections);
                Truth { holds: !inner.holds, kind: TruthKind::Not, parts: vec![inner] }
            }
            Condition::Section(index) => match sections.get(*index) {
                Some(section) => self.section(section),
                None => at_least(1, Vec::new()),
            },
            Condition::AtLeast { count, sections: of, .. } => {
                let chosen = of.iter().filter_map(|index| sections.get(*index));
                at_least(*count, chosen.map(|section| self.section(section)).collect())
            }
        }
    }

    fn section(&self, section: &Part) -> Truth {
        all(TruthKind::Named(section.name.clone()), vec![self.node(&section.body)])
    }

    fn node(&self, node: &Node) -> Truth {
        match node {
            Node::All(parts) => {
                all(TruthKind::All, parts.iter().map(|part| self.node(part)).collect())
            }
            Node::Any(parts) => at_least(1, parts.iter().map(|part| self.node(part)).collect()),
            Node::Item(item) => self.item(item),
        }
    }

    fn item(&self, item: &Item) -> Truth {
        let answer = self.probe.ask(item, self.view);
        let field = item.field.as_deref();
        // The kind of all values, if it is one; else each value has its own.
        let mut kinds: Vec<String> = Vec::new();
        let mut values: Vec<(String, bool, String)> = Vec::new();
        for (test, holds) in item.values.iter().zip(&answer.each) {
            let predicates = notation::predicates(field, test);
            let texts: Vec<String> =
                predicates.iter().map(|p| p.value.clone().unwrap_or_default()).collect();
            let kind = predicates.first().map(|p| p.kind.clone()).unwrap_or_default();
            if !kinds.contains(&kind) {
                kinds.push(kind.clone());
            }
            values.push((texts.join(" or "), *holds, kind));
        }
        let one = kinds.len() == 1;
        let values = values.into_iter().map(|(value, holds, kind)| match one {
            true => (value, holds),
            false => (format!("{kind} {value}").trim_end().to_owned(), holds),
        });
        let kind = if one { kinds.remove(0) } else { "is".to_owned() };
        Truth {
            holds: answer.holds,
            kind: TruthKind::Test {
                field: field.map(str::to_owned),
                kind,
                all: item.all,
                negated: item.negated,
                values: values.collect(),
                seen: self.seen(field, answer.values, &answer.fields),
            },
            parts: Vec::new(),
        }
    }

    /// What the event has of a field, and if it has nothing, what it has instead.
    fn seen(&self, field: Option<&str>, values: Vec<String>, fields: &[String]) -> Seen {
        let Some(field) = field else { return Seen { values, ..Seen::default() } };
        let mut from: Vec<&String> = fields.iter().collect();
        from.dedup();
        let itself = from.iter().all(|name| *name == field);
        let mut seen = Seen { values, from: None, near: Vec::new() };
        if !itself {
            let names: Vec<&str> = from.iter().map(|name| name.as_str()).collect();
            seen.from = Some(names.join(" and "));
        }
        if seen.values.is_empty() {
            seen.near = self.near(field);
            let system = self.event.layout().system();
            let key = |leaf| folded(&text(self.event, leaf).unwrap_or_default());
            let (channel, provider) = (key(system.channel), key(system.provider));
            let event_id = text(self.event, system.event_id).and_then(|id| id.trim().parse().ok());
            let key = EventKey { channel: &channel, provider: &provider, event_id };
            let read = events::read_from(self.set.taxonomy(), self.view, field, &key);
            seen.from = seen.from.or(read);
        }
        seen
    }

    /// Fields of the event's body whose names are most like this one: with a common beginning or end of
    /// at least half of it, or one in the other.
    fn near(&self, field: &str) -> Vec<String> {
        let wanted: Vec<char> = folded(field).chars().collect();
        let likeness = |name: &str| {
            let name: Vec<char> = folded(name).chars().collect();
            let start = wanted.iter().zip(&name).take_while(|(a, b)| a == b).count();
            let end =
                wanted.iter().rev().zip(name.iter().rev()).take_while(|(a, b)| a == b).count();
            start.max(end)
        };
        let body = self.event.layout().leaves().iter().filter(|l| l.section != Section::System);
        let mut names: Vec<(usize, &str)> = body
            .map(|leaf| (likeness(&leaf.name), &*leaf.name))
            .filter(|(likeness, name)| 2 * likeness >= wanted.len().min(name.len()).max(4))
            .collect();
        names.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        names.dedup();
        names.into_iter().take(NEAR).map(|(_, name)| name.to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_named_by_number_or_place() {
        let place = |path: &str, offset| Some(Which::Place { path: path.to_owned(), offset });
        for (text, want) in [
            ("7", Some(Which::Id(7))),
            ("a.evtx:4096", place("a.evtx", 4096)),
            ("C:\\a b.evtx:0x1200", place("C:\\a b.evtx", 0x1200)),
            ("a.evtx", None),
            ("a.evtx:x", None),
            (":7", None),
            ("", None),
            ("-1", None),
        ] {
            assert_eq!(Which::parse(text), want, "{text}");
        }
    }
}
