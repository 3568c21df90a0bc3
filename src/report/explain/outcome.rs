//! Why a rule matched a record, or did not, and how that looks to a reader.

use super::document::{Block, Document, Line, Style, Table};
use super::rule::{ANY_VALUE, quoted};

/// What a rule made of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The rule's id.
    pub rule_id: Option<String>,
    /// Its title.
    pub rule_title: String,
    /// Its level, in Sigma's word.
    pub rule_level: &'static str,
    /// Where it stands.
    pub rule_file: String,
    /// The record.
    pub record: Found,
    /// Whether it matched.
    pub matched: bool,
    /// Why, in a sentence.
    pub why: String,
    /// The kinds of events that the rule's log source stands for, and which of them the record is.
    pub gate: Vec<GateSource>,
    /// What the rule saw, for each kind that the record is.
    pub looks: Vec<Look>,
}

/// A record, as far as it is told which one it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Its log.
    pub path: String,
    /// Where it stands in it.
    pub offset: u64,
    /// `EventRecordID`
    pub record_id: String,
    /// `TimeCreated`
    pub timestamp: Option<String>,
    /// `Computer`
    pub computer: Option<String>,
    /// `Channel`
    pub channel: Option<String>,
    /// `Provider`
    pub provider: Option<String>,
    /// `EventID`
    pub event_id: Option<String>,
    /// What such events are.
    pub title: Option<String>,
}

/// A kind of events that the log source stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateSource {
    /// Which events.
    pub source: String,
    /// Why the record is none of them, if so.
    pub refusal: Option<String>,
}

/// What a rule saw of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// As which kind of events.
    pub source: String,
    /// What had to be in the record for the rule to be asked.
    pub literals: Vec<SeenLiterals>,
    /// Why nothing had to, if so.
    pub open: Option<String>,
    /// What the condition came to.
    pub condition: Truth,
    /// What would have had to be otherwise for a match, if there was none.
    pub nearest_miss: Vec<Miss>,
}

/// Literals of which one is necessary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenLiterals {
    /// The field.
    pub field: String,
    /// Each literal, and whether it stands there.
    pub wanted: Vec<(String, bool)>,
}

/// A node of a condition, and what it came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// Whether it holds.
    pub holds: bool,
    /// What it is.
    pub kind: TruthKind,
    /// What it is made of.
    pub parts: Vec<Truth>,
}

/// What a node of a condition is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TruthKind {
    /// All parts.
    All,
    /// At least so many of them.
    AtLeast(usize),
    /// Not its only part.
    Not,
    /// A section, by its name.
    Named(String),
    /// What the log source asks for besides.
    Source,
    /// A filter, by its title.
    Filter(String),
    /// A field and what it is compared with.
    Test {
        /// The field; none for keywords.
        field: Option<String>,
        /// How.
        kind: String,
        /// Whether all of the values have to be found.
        all: bool,
        /// Whether it is turned around.
        negated: bool,
        /// The values, and whether each is found.
        values: Vec<(String, bool)>,
        /// What the event has.
        seen: Seen,
    },
}

/// What an event has of a field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The values; none: it does not have the field.
    pub values: Vec<String>,
    /// From where in the event they are, if that is not simply the field of the name.
    pub from: Option<String>,
    /// Of a field that is absent: names that the event has instead.
    pub near: Vec<String>,
}

/// Something that would have had to be otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Miss {
    /// The test.
    pub test: String,
    /// What it would have had to come to.
    pub wanted: bool,
}

/// So many values of a long list are shown, of those that were not found.
const VALUES_SHOWN: usize = 8;

/// So many of a field's values are shown, keywords having all of an event's.
const SEEN_SHOWN: usize = 6;

pub(super) fn document(outcome: &Outcome) -> Document {
    let (style, word) = match outcome.matched {
        true => (Style::True, "match"),
        false => (Style::False, "no match"),
    };
    let mut document = Document {
        title: outcome.rule_title.clone(),
        mark: Some((style, word.to_owned())),
        blocks: vec![Block::Facts(facts(outcome))],
    };
    document.section("Gate", vec![gate(outcome)]);
    for look in &outcome.looks {
        let of =
            if outcome.looks.len() > 1 { format!(", as {}", look.source) } else { String::new() };
        document.section(&format!("Prefilter{of}"), vec![prefilter(look)]);
        let mut lines = Vec::new();
        tree(&look.condition, 0, &mut lines);
        document.section(&format!("Condition{of}"), vec![Block::Tree(lines)]);
        let misses = look.nearest_miss.iter().map(|miss| {
            let wanted = if miss.wanted { "has to be true" } else { "has to be false" };
            format!("{wanted}: {}", miss.test)
        });
        document.section(&format!("Nearest miss{of}"), vec![Block::List(misses.collect())]);
    }
    document.blocks.push(Block::Paragraph("\n".to_owned()));
    document
}

fn facts(outcome: &Outcome) -> Vec<(&'static str, Vec<String>)> {
    let Found { path, offset, record_id, timestamp, computer, channel, provider, event_id, title } =
        &outcome.record;
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "(none)".to_owned());
    let event = [text(channel), text(event_id)].join(" ");
    let event = match title {
        Some(title) => format!("{event}: {title}"),
        None => event,
    };
    let rule = outcome.rule_id.clone().into_iter().chain([outcome.rule_file.clone()]);
    vec![
        ("Outcome", vec![outcome.why.clone()]),
        ("Rule", rule.collect()),
        ("Record", vec![format!("{record_id} in {path}, offset {offset:#x}")]),
        ("Time", timestamp.iter().cloned().collect()),
        ("Computer", computer.iter().cloned().collect()),
        ("Event", vec![event]),
        ("Provider", vec![text(provider)]),
    ]
}

fn gate(outcome: &Outcome) -> Block {
    let mut lines = Vec::new();
    for GateSource { source, refusal } in &outcome.gate {
        let mut spans = vec![verdict(refusal.is_none()), (Style::Plain, source.clone())];
        if let Some(why) = refusal {
            spans.push((Style::Aside, format!(": {why}")));
        }
        lines.push(Line::new(0, spans));
    }
    Block::Tree(lines)
}

fn prefilter(look: &Look) -> Block {
    if let Some(open) = &look.open {
        return Block::Paragraph(format!("open: {open}"));
    }
    let rows = look.literals.iter().map(|set| {
        let seen: Vec<String> =
            set.wanted.iter().filter(|(_, seen)| *seen).map(|(text, _)| quoted(text)).collect();
        let wanted = set.wanted.iter().take(VALUES_SHOWN).map(|(text, _)| quoted(text));
        let mut wanted: Vec<String> = wanted.collect();
        if set.wanted.len() > VALUES_SHOWN {
            wanted.push(format!("… {} more", set.wanted.len() - VALUES_SHOWN));
        }
        let seen = if seen.is_empty() { vec!["none".to_owned()] } else { seen };
        vec![vec![set.field.clone()], wanted, seen]
    });
    Block::Table(Table { columns: vec!["Field", "Needs one of", "Seen"], rows: rows.collect() })
}

fn verdict(holds: bool) -> (Style, String) {
    match holds {
        true => (Style::True, "true   ".to_owned()),
        false => (Style::False, "false  ".to_owned()),
    }
}

/// A node, one line for each part, and beside tests what the event has.
fn tree(truth: &Truth, depth: usize, lines: &mut Vec<Line>) {
    let mut spans = vec![verdict(truth.holds)];
    let word = |text: String| (Style::Word, text);
    match &truth.kind {
        TruthKind::All => spans.push(word("all of".to_owned())),
        TruthKind::AtLeast(1) => spans.push(word("any of".to_owned())),
        TruthKind::AtLeast(count) => spans.push(word(format!("at least {count} of"))),
        TruthKind::Not => spans.push(word("not".to_owned())),
        TruthKind::Named(name) => spans.push((Style::Plain, format!("{name}:"))),
        TruthKind::Source => spans.push((Style::Aside, "the log source asks for".to_owned())),
        TruthKind::Filter(title) => spans.push((Style::Aside, format!("filter: {title}"))),
        TruthKind::Test { .. } => return test(truth, depth, lines),
    }
    lines.push(Line::new(depth, spans));
    truth.parts.iter().for_each(|part| tree(part, depth + 1, lines));
}

fn test(truth: &Truth, depth: usize, lines: &mut Vec<Line>) {
    let TruthKind::Test { field, kind, all, negated, values, seen } = &truth.kind else { return };
    let name = field.as_deref().unwrap_or(ANY_VALUE);
    let mut spans = vec![verdict(truth.holds)];
    if *negated {
        spans.push((Style::Word, "not ".to_owned()));
    }
    spans.push((Style::Field, name.to_owned()));
    spans.push((Style::Plain, format!(" {kind}")));
    let listed = values.len() > 1;
    match values.as_slice() {
        [(value, _)] => spans.push((Style::Value, format!(" {}", quoted(value)))),
        [] => {}
        several => {
            let how = if *all { "all of" } else { "any of" };
            spans.push((Style::Word, format!(" {how} {}", several.len())));
        }
    }
    lines.push(Line::new(depth, spans));
    if listed {
        // Those that were found come first; of the others some are enough.
        let found = values.iter().filter(|(_, holds)| *holds);
        let others: Vec<_> = values.iter().filter(|(_, holds)| !*holds).collect();
        let more = others.len().saturating_sub(VALUES_SHOWN);
        for (value, holds) in found.chain(others.into_iter().take(VALUES_SHOWN)) {
            let spans = vec![verdict(*holds), (Style::Value, quoted(value))];
            lines.push(Line::new(depth + 1, spans));
        }
        if more > 0 {
            let spans = vec![(Style::Aside, format!("… {more} more, all false"))];
            lines.push(Line::new(depth + 1, spans));
        }
    }
    lines.push(Line::new(depth + 1, vec![(Style::Aside, event_has(name, field.is_none(), seen))]));
}

/// What the event has of a field, in words.
fn event_has(name: &str, keyword: bool, seen: &Seen) -> String {
    let from = seen.from.as_ref().map_or_else(String::new, |from| format!(" (from {from})"));
    if seen.values.is_empty() {
        let near = match seen.near.as_slice() {
            [] => String::new(),
            near => format!("; near: {}", near.join(", ")),
        };
        return format!("the event has no {name}{from}{near}");
    }
    if keyword {
        return format!("the event has {} values", seen.values.len());
    }
    let shown: Vec<String> =
        seen.values.iter().take(SEEN_SHOWN).map(|value| quoted(value)).collect();
    let more = seen.values.len().saturating_sub(SEEN_SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("is {}{more}{from}", shown.join(", "))
}
