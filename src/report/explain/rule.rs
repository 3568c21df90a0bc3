//! A rule's page as a document.

use super::document::{Block, Document, Line, Style, Table};
use super::page::{CoveredEvent, Part, Predicate, RulePage, Stage};

/// What stands in a predicate in place of a field, for keywords.
pub(super) const ANY_VALUE: &str = "(any value)";

pub(super) fn document(page: &RulePage) -> Document {
    let mut document = Document {
        title: page.title.clone(),
        mark: page.level.map(|level| (level_style(level), level.to_owned())),
        blocks: vec![Block::Facts(facts(page))],
    };
    let text = |text: &Option<String>| Block::Paragraph(text.clone().unwrap_or_default());
    document.section("Description", vec![text(&page.description)]);
    for links in &page.links {
        document.section(&links.heading, vec![Block::List(links.lines.clone())]);
    }
    let heading = format!("MITRE ATT&CK coverage (version {})", page.attack_version);
    document.section(&heading, vec![attack(page)]);
    document.section("Event coverage", vec![text(&page.no_events), events(page), fields(page)]);
    document.section("Stages and predicates", vec![Block::Tree(stages(&page.stages))]);
    document.section("Exclusions", vec![exclusions(page)]);
    document.section("Indicators", indicators(page));
    document.section("Required literals", vec![literals(page)]);
    document.section("False positives", vec![Block::List(page.falsepositives.clone())]);
    document.section("Simulation", vec![simulation(page)]);
    document.section("Regression data", regression(page));
    let references = page.references.clone();
    document.section("References", vec![Block::List(references)]);
    document.section("Rule body", vec![Block::Code(page.body.clone().unwrap_or_default())]);
    document
}

pub(super) fn level_style(level: &str) -> Style {
    Style::Level(match level {
        "low" => 1,
        "medium" => 2,
        "high" => 3,
        "critical" => 4,
        _ => 0,
    })
}

fn facts(page: &RulePage) -> Vec<(&'static str, Vec<String>)> {
    let mut facts = Vec::new();
    let mut fact = |label, value: Option<&str>| {
        if let Some(value) = value {
            facts.push((label, vec![value.to_owned()]));
        }
    };
    fact("Kind", (page.kind != "rule").then_some(page.kind));
    fact("Id", page.id.as_deref());
    fact("Name", page.name.as_deref());
    fact("Severity", page.level);
    fact("Status", page.status);
    fact("Author", page.author.as_deref());
    fact("Date", page.date.as_deref());
    fact("Modified", page.modified.as_deref());
    fact("Log source", page.log_source.as_deref());
    fact("File", Some(&page.file));
    let mut list = |label, values: Vec<String>| {
        if !values.is_empty() {
            facts.push((label, values));
        }
    };
    let related = page.related.iter().map(|related| {
        let title = match &related.title {
            Some(title) => title.as_str(),
            None => "not in the rule set",
        };
        let how = if related.how.is_empty() { "related" } else { &related.how };
        format!("{how}: {} ({title})", related.id)
    });
    list("Related", related.collect());
    list("Other tags", page.other_tags.clone());
    facts
}

fn attack(page: &RulePage) -> Block {
    let rows = page.attack.iter().map(|row| {
        let tactic = match &row.tactic {
            Some((id, name)) if row.tagged => format!("{name} ({id})"),
            Some((id, name)) => format!("{name} ({id}), by its techniques"),
            None => "(unknown)".to_owned(),
        };
        let techniques = row.techniques.iter().map(|(id, name)| format!("{id} {name}"));
        vec![vec![tactic], techniques.collect()]
    });
    Block::Table(Table { columns: vec!["Tactic", "Techniques"], rows: rows.collect() })
}

fn events(page: &RulePage) -> Block {
    let any = |what: &str, names: &[String]| match names {
        [] => vec![format!("any {what}")],
        names => names.to_vec(),
    };
    let rows = page.events.iter().map(|event| {
        let id = event.event_id.map_or_else(|| "any".to_owned(), |id| id.to_string());
        vec![
            vec![id],
            event.title.iter().cloned().collect(),
            any("channel", &event.channels),
            any("provider", &event.providers),
            vec![event.tier.to_owned()],
            event.conditions.clone(),
        ]
    });
    let columns = vec!["Event", "Title", "Channel", "Provider", "Tier", "Only if"];
    let mut table = Table { columns, rows: rows.collect() };
    if page.events.iter().all(|event| event.conditions.is_empty()) {
        table.columns.pop();
        table.rows.iter_mut().for_each(|row| {
            row.pop();
        });
    }
    Block::Table(table)
}

/// The events in which the rule's fields are not simply called as in the rule. Those that say the same
/// come once.
fn fields(page: &RulePage) -> Block {
    let told = |event: &&CoveredEvent| !(event.fields.is_empty() && event.lacks.is_empty());
    let mut rows: Vec<(Vec<String>, Vec<String>)> = Vec::new();
    for event in page.events.iter().filter(told) {
        let id = event.event_id.map_or_else(String::new, |id| format!(" {id}"));
        let log = event.channels.first().or(event.providers.first());
        let name = format!("{}{id}", log.map_or("any", String::as_str));
        let mut says: Vec<String> =
            event.fields.iter().map(|map| format!("{} is {}", map.field, map.is)).collect();
        if !event.lacks.is_empty() {
            says.push(format!("lacks {}", event.lacks.join(", ")));
        }
        match rows.iter_mut().find(|(_, known)| *known == says) {
            Some((names, _)) => names.push(name),
            None => rows.push((vec![name], says)),
        }
    }
    let rows = rows.into_iter().map(|(names, says)| vec![names, says]).collect();
    Block::Table(Table { columns: vec!["Event", "Fields there"], rows })
}

fn stages(stages: &[Stage]) -> Vec<Line> {
    let mut lines = Vec::new();
    for (n, stage) in stages.iter().enumerate() {
        let mut spans = vec![(Style::Aside, format!("Stage {n}: "))];
        if n == 0 {
            spans.push((Style::Aside, "condition: ".to_owned()));
        }
        spans.push((Style::Word, stage.text.clone()));
        if stage.excludes {
            spans.push((Style::Aside, "  (exclusion)".to_owned()));
        }
        lines.push(Line::new(0, spans));
        if let Some(part) = &stage.part {
            tree(part, 1, &mut lines);
        }
    }
    lines
}

/// A part, one line for each node; `not` and a section's name stand in the line of what they are of.
fn tree(part: &Part, depth: usize, lines: &mut Vec<Line>) {
    let mut spans = Vec::new();
    let mut part = part;
    loop {
        match part {
            Part::Not(inner) => {
                spans.push((Style::Word, "not ".to_owned()));
                part = inner;
            }
            Part::Section(name, inner) => {
                spans.push((Style::Plain, format!("{name}: ")));
                part = inner;
            }
            _ => break,
        }
    }
    let (words, parts) = match part {
        Part::All(parts) => ("all of".to_owned(), parts.as_slice()),
        Part::AtLeast(1, parts) => ("any of".to_owned(), parts.as_slice()),
        Part::AtLeast(count, parts) => (format!("at least {count} of"), parts.as_slice()),
        Part::Test(predicate) => {
            spans.extend(predicate_spans(predicate));
            lines.push(Line::new(depth, spans));
            return;
        }
        Part::Not(_) | Part::Section(..) => return,
    };
    spans.push((Style::Word, words));
    lines.push(Line::new(depth, spans));
    parts.iter().for_each(|part| tree(part, depth + 1, lines));
}

/// `Image endswith \cmd.exe`
pub(super) fn predicate_spans(predicate: &Predicate) -> Vec<(Style, String)> {
    let field = predicate.field.as_deref().unwrap_or(ANY_VALUE);
    let mut spans =
        vec![(Style::Field, field.to_owned()), (Style::Plain, format!(" {}", predicate.kind))];
    if let Some(value) = &predicate.value {
        spans.push((Style::Plain, " ".to_owned()));
        spans.push((Style::Value, quoted(value)));
    }
    spans
}

/// A value as it stands, or in quotes if its ends would not be seen.
pub(super) fn quoted(value: &str) -> String {
    let edge = |c: Option<char>| c.is_none_or(|c| c.is_whitespace() || c == '\'');
    if edge(value.chars().next()) || edge(value.chars().next_back()) {
        format!("'{value}'")
    } else {
        value.to_owned()
    }
}

fn exclusions(page: &RulePage) -> Block {
    let rows = page.exclusions.iter().map(|exclusion| {
        vec![
            vec![exclusion.section.clone()],
            vec![exclusion.field.clone().unwrap_or_else(|| ANY_VALUE.to_owned())],
            vec![exclusion.kind.clone()],
            exclusion.values.iter().map(|value| quoted(value)).collect(),
        ]
    });
    Block::Table(Table {
        columns: vec!["Section", "Field", "Kind", "Values"],
        rows: rows.collect(),
    })
}

fn indicators(page: &RulePage) -> Vec<Block> {
    if page.indicators.is_empty() {
        return Vec::new();
    }
    let rows = page.indicators.iter().map(|indicator| {
        let Predicate { field, kind, value } = &indicator.predicate;
        vec![
            vec![field.clone().unwrap_or_else(|| ANY_VALUE.to_owned())],
            vec![kind.clone()],
            value.iter().map(|value| quoted(value)).collect(),
            vec![indicator.role.as_str().to_owned()],
            vec![indicator.rules.to_string()],
        ]
    });
    let told = match page.corpus {
        1 => "The rule set has one rule.".to_owned(),
        rules => format!(
            "Corpus: in how many of the {rules} rules of the rule set the same field, kind and value \
             stand, this one included; 1 is specific to this rule."
        ),
    };
    let columns = vec!["Field", "Kind", "Value", "Use", "Corpus"];
    vec![Block::Paragraph(told), Block::Table(Table { columns, rows: rows.collect() })]
}

fn literals(page: &RulePage) -> Block {
    /// So many literals of a set are shown.
    const SHOWN: usize = 20;
    let rows = page.literals.iter().map(|literals| {
        let mut says = Vec::new();
        for (field, set) in &literals.sets {
            if let [one] = set.as_slice() {
                says.push(format!("{field}: {}", quoted(one)));
                continue;
            }
            says.push(format!("{field}: one of"));
            says.extend(set.iter().take(SHOWN).map(|text| format!("- {}", quoted(text))));
            if set.len() > SHOWN {
                says.push(format!("- and {} more", set.len() - SHOWN));
            }
        }
        says.extend(literals.open.iter().map(|why| format!("open: {why}")));
        vec![vec![literals.events.clone()], says]
    });
    Block::Table(Table { columns: vec!["Events", "Must hold"], rows: rows.collect() })
}

fn simulation(page: &RulePage) -> Block {
    let rows = page.simulation.iter().map(|test| {
        let or_none = |text: &Option<String>| text.iter().cloned().collect();
        vec![
            vec![test.kind.clone()],
            vec![test.name.clone()],
            or_none(&test.technique),
            or_none(&test.guid),
        ]
    });
    Block::Table(Table { columns: vec!["Type", "Test", "Technique", "Guid"], rows: rows.collect() })
}

fn regression(page: &RulePage) -> Vec<Block> {
    let Some(regression) = &page.regression else { return Vec::new() };
    let told = match &regression.found {
        Ok(at) => format!("{}: there, {at}", regression.path),
        Err(why) => format!("{}: {why}", regression.path),
    };
    let rows = regression.logs.iter().map(|log| {
        let expected = match log.expected {
            Some(n) => format!("at least {n}"),
            None => "none".to_owned(),
        };
        let there = if log.there { "there" } else { "missing" };
        vec![
            vec![log.name.clone()],
            vec![log.kind.clone()],
            vec![expected],
            vec![there.to_owned()],
            vec![log.path.clone()],
        ]
    });
    let columns = vec!["Test", "Type", "Hits", "Data", "Log"];
    vec![Block::Paragraph(told), Block::Table(Table { columns, rows: rows.collect() })]
}
