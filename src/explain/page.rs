//! The pages of rules, correlations and filters.

use super::find::Subject;
use super::{attack, events, indicators, notation};
use crate::attack::{Attack, VERSION};
use crate::engine::{RuleId, RuleSet};
use crate::report::explain::{Links, Part, Related, RulePage, Simulation, Stage};
use crate::sigma::{
    About, Attribute, Condition, Correlation, CorrelationKind, Filter, FilterRules, Member,
    RangeBound, RangeTest, Rule, Section,
};

/// A rule set as pages are made from it.
#[derive(Debug, Clone, Copy)]
pub struct Corpus<'a> {
    /// The rules, compiled.
    pub set: &'a RuleSet,
    /// Its correlations, whose members are rules by their places in the set.
    pub correlations: &'a [Correlation],
    /// Its filters, likewise.
    pub filters: &'a [Filter],
    /// The names of ATT&CK.
    pub attack: &'a Attack,
}

impl Corpus<'_> {
    fn rule(&self, index: usize) -> Option<(RuleId, &Rule)> {
        self.set.rules().nth(index)
    }
}

/// The page of a rule, a correlation or a filter. What has to be read from files, the body and the
/// regression data, is not on it yet.
#[must_use]
pub fn page(subject: Subject, corpus: &Corpus<'_>) -> RulePage {
    match subject {
        Subject::Rule(id) => rule(id, corpus),
        Subject::Correlation(index) => {
            corpus.correlations.get(index).map(|of| correlation(of, corpus)).unwrap_or_default()
        }
        Subject::Filter(index) => {
            corpus.filters.get(index).map(|of| filter(of, corpus)).unwrap_or_default()
        }
    }
}

fn rule(id: RuleId, corpus: &Corpus<'_>) -> RulePage {
    let set = corpus.set;
    let rule = set.rule(id);
    let detection = &rule.detection;
    let (events, no_events) = events::covered(set, id);
    let literals = if events.is_empty() { Vec::new() } else { events::literals(set, id) };
    RulePage {
        kind: "rule",
        level: Some(rule.level.as_str()),
        log_source: Some(rule.logsource.to_string()),
        events,
        no_events,
        stages: stages(&detection.condition, &detection.sections),
        exclusions: indicators::exclusions(&detection.condition, &detection.sections),
        indicators: indicators::of_rule(rule, set.rules().map(|(_, rule)| rule)),
        corpus: set.rules().count(),
        literals,
        links: used_by(id.index(), rule, corpus),
        ..about(&rule.about, corpus)
    }
}

/// What every document says about itself.
fn about(about: &About, corpus: &Corpus<'_>) -> RulePage {
    let (attack, other_tags) = attack::coverage(corpus.attack, &about.tags);
    let related = about.related.iter().map(|(id, how)| Related {
        id: id.clone(),
        how: how.clone(),
        title: title_of(id, corpus),
    });
    RulePage {
        title: about.title.clone(),
        id: about.id.clone(),
        name: about.name.clone(),
        status: about.status.map(|status| status.as_str()),
        author: about.author.clone(),
        date: about.date.clone(),
        modified: about.modified.clone(),
        file: about.origin.path().to_owned(),
        description: about.description.clone(),
        references: about.references.clone(),
        related: related.collect(),
        attack_version: VERSION,
        attack,
        other_tags,
        falsepositives: about.falsepositives.clone(),
        simulation: simulation(about),
        ..RulePage::default()
    }
}

/// Tests that do what a rule looks for, as SigmaHQ's rules name them.
fn simulation(about: &About) -> Vec<Simulation> {
    let tests = about.custom("simulation").map_or(&[][..], Attribute::items).iter();
    let test = |test: &Attribute| {
        let text = |key| test.get(key).and_then(Attribute::text).map(str::to_owned);
        Simulation {
            kind: text("type").unwrap_or_default(),
            // What is no map is told as it is.
            name: text("name").or(test.text().map(str::to_owned)).unwrap_or_default(),
            technique: text("technique"),
            guid: text("atomic_guid"),
        }
    };
    tests.map(test).collect()
}

fn title_of(id: &str, corpus: &Corpus<'_>) -> Option<String> {
    let has = |about: &&About| about.id.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(id));
    let rules = corpus.set.rules().map(|(_, rule)| &rule.about);
    let mut all = rules.chain(corpus.correlations.iter().map(|c| &c.about));
    all.find(has).map(|about| about.title.clone())
}

/// The condition, then its conjuncts.
fn stages(condition: &Condition, sections: &[Section]) -> Vec<Stage> {
    let text = notation::words(condition, sections);
    let mut stages = vec![Stage { text, excludes: false, part: None }];
    let conjuncts = match condition {
        Condition::And(parts) => parts.as_slice(),
        one => std::slice::from_ref(one),
    };
    stages.extend(conjuncts.iter().map(|part| Stage {
        text: notation::words(part, sections),
        excludes: matches!(part, Condition::Not(_)),
        part: Some(below(part, sections)),
    }));
    stages
}

/// What stands below a stage's words: they name the section already if it is the only one.
fn below(condition: &Condition, sections: &[Section]) -> Part {
    match notation::condition(condition, sections) {
        Part::Section(_, inner) if matches!(condition, Condition::Section(_)) => *inner,
        other => other,
    }
}

/// The correlations that count a rule's hits, and the filters that are for it.
fn used_by(index: usize, rule: &Rule, corpus: &Corpus<'_>) -> Vec<Links> {
    let counts = corpus.correlations.iter().filter(|c| c.members.contains(&Member::Rule(index)));
    let (own, others): (Vec<_>, Vec<_>) = counts.partition(|correlation| correlation.aggregation);
    let mut links: Vec<Links> = own
        .into_iter()
        .map(|own| Links { heading: "Aggregation".to_owned(), lines: counted(own) })
        .collect();
    let mut list = |heading: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            links.push(Links { heading: heading.to_owned(), lines });
        }
    };
    list("Correlations", others.into_iter().map(|c| named(&c.about)).collect());
    let filters = corpus.filters.iter().filter(|filter| filter.is_for(index, rule));
    list("Filters", filters.map(|filter| named(&filter.about)).collect());
    links
}

/// A document in one line.
fn named(about: &About) -> String {
    match &about.id {
        Some(id) => format!("{} ({id})", about.title),
        None => about.title.clone(),
    }
}

fn correlation(of: &Correlation, corpus: &Corpus<'_>) -> RulePage {
    let member = |member: &Member| match member {
        Member::Rule(index) => corpus.rule(*index).map(|(_, rule)| named(&rule.about)),
        Member::Correlation(index) => {
            corpus.correlations.get(*index).map(|of| format!("{}, a correlation", named(&of.about)))
        }
    };
    let members = of.members.iter().filter_map(member);
    let aliases = of.aliases.iter().map(|alias| {
        let fields =
            alias.fields.iter().map(|(member, field)| format!("{field} of {}", member + 1));
        format!("{} is {}", alias.name, fields.collect::<Vec<_>>().join(", "))
    });
    let mut links = vec![
        Links { heading: "Correlation".to_owned(), lines: counted(of) },
        Links { heading: "Members".to_owned(), lines: members.collect() },
    ];
    if !of.aliases.is_empty() {
        links.push(Links { heading: "Aliases".to_owned(), lines: aliases.collect() });
    }
    let reported = if of.generate { "are reported, too" } else { "are only counted" };
    if let Some(first) = links.first_mut() {
        first.lines.push(format!("hits of the members {reported}"));
    }
    RulePage {
        kind: "correlation",
        level: Some(of.level.as_str()),
        links,
        ..about(&of.about, corpus)
    }
}

/// What a correlation counts, by what, within which time, and what that has to be.
fn counted(of: &Correlation) -> Vec<String> {
    let counts = match &of.kind {
        CorrelationKind::EventCount => "event_count: how many events there are".to_owned(),
        CorrelationKind::ValueCount(fields) => {
            format!("value_count: how many different values of {} there are", fields.join(" and "))
        }
        CorrelationKind::Temporal => {
            "temporal: that all members have hits, in any order".to_owned()
        }
        CorrelationKind::TemporalOrdered => {
            "temporal_ordered: that all members have hits, in their order".to_owned()
        }
        CorrelationKind::ValueSum(field) => format!("value_sum: the sum of {field}"),
        CorrelationKind::ValueAvg(field) => format!("value_avg: the mean of {field}"),
        CorrelationKind::ValuePercentile(field, percent) => {
            format!("value_percentile: the percentile {percent} of {field}")
        }
    };
    let window = match (&of.timespan_text, of.timespan) {
        (Some(text), _) => format!("window: {text}"),
        (None, Some(ticks)) => format!("window: {} seconds", ticks / 10_000_000),
        (None, None) => "window: the whole evidence".to_owned(),
    };
    let group = match of.group_by.as_slice() {
        [] => "group by: nothing, all events are one group".to_owned(),
        fields => format!("group by: {}", fields.join(", ")),
    };
    let range: Vec<String> = of.range.iter().map(|(test, bound)| range(*test, *bound)).collect();
    vec![counts, window, group, format!("range: {}", range.join(" and "))]
}

fn range(test: RangeTest, bound: RangeBound) -> String {
    let test = match test {
        RangeTest::Greater => "gt",
        RangeTest::GreaterOrEqual => "gte",
        RangeTest::Less => "lt",
        RangeTest::LessOrEqual => "lte",
        RangeTest::Equal => "eq",
        RangeTest::NotEqual => "neq",
    };
    match bound {
        RangeBound::Integer(n) => format!("{test} {n}"),
        RangeBound::Float(x) => format!("{test} {x}"),
    }
}

fn filter(of: &Filter, corpus: &Corpus<'_>) -> RulePage {
    let rules = match &of.rules {
        FilterRules::Any => {
            let covered =
                corpus.set.rules().filter(|(_, rule)| of.logsource.covers(&rule.logsource)).count();
            vec![format!("all of its log source: {covered} in the rule set")]
        }
        FilterRules::These(rules) => {
            let rules = rules.iter().filter_map(|index| corpus.rule(*index));
            rules.map(|(_, rule)| named(&rule.about)).collect()
        }
    };
    RulePage {
        kind: "filter",
        log_source: Some(of.logsource.to_string()),
        stages: stages(&of.condition, &of.sections),
        links: vec![Links { heading: "Rules".to_owned(), lines: rules }],
        ..about(&of.about, corpus)
    }
}
