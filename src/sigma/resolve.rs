//! What correlations and filters refer to, over all files that were loaded.
//!
//! A reference is looked up as an id, then as a name, then as a title, the first of these that any
//! document has. A correlation needs exactly one answer: with none, or several, it is refused, and
//! what it refers to stays as it is. Of several in different files the one in the reference's own
//! file is meant, so that loading a folder twice does not make every reference ambiguous. A filter
//! takes all that have the id or name.
//!
//! Invariants: the result is a function of the documents and their order; correlations stand behind
//! all that they refer to, without cycles; each draft gives a correlation or a refusal. Nothing here
//! recurses by what a file says: a chain may be as long as there are documents.
//!
//! Source of facts: Sigma correlation rules specification 2.1.0, Sigma filters specification 2.1.0;
//! titles as references: Hayabusa's rules.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::correlation::{Alias, Correlation, Filter, FilterRules, Member};
use super::drafts::{AggregationDraft, CorrelationDraft, FilterDraft, Reference};
use super::fault::{RefusalKind, Refused, Warning, WarningCode};
use super::lint::Code;
use super::rule::{About, Origin, Rule};
use crate::utf16::folded;

/// Characters of a reference that a message repeats.
const SHOWN: usize = 100;

/// Of so many documents with one name the one that is meant is looked for.
const MAX_CANDIDATES: usize = 64;

/// What is to be resolved.
#[derive(Debug, Default)]
pub(super) struct Drafts {
    pub correlations: Vec<CorrelationDraft>,
    pub filters: Vec<FilterDraft>,
    /// By the index of their rule.
    pub aggregations: Vec<(usize, AggregationDraft)>,
}

impl Drafts {
    /// Adds those of other rules, which now stand behind the first `rules`.
    pub fn append(&mut self, mut other: Drafts, rules: usize) {
        self.correlations.append(&mut other.correlations);
        self.filters.append(&mut other.filters);
        let aggregations = other.aggregations.into_iter();
        self.aggregations.extend(aggregations.map(|(rule, draft)| (rule + rules, draft)));
    }
}

/// What came of them.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub correlations: Vec<Correlation>,
    pub filters: Vec<Filter>,
    pub refused: Vec<Refused>,
    pub warnings: Vec<Warning>,
}

/// Resolves all references.
pub(super) fn resolve(rules: &[Rule], refused: &[Refused], drafts: &Drafts) -> Resolved {
    let mut resolver = Resolver {
        rules,
        refused,
        drafts,
        index: Index::new(rules, refused, drafts),
        states: vec![State::New; drafts.correlations.len()],
        resolved: Resolved::default(),
    };
    resolver.duplicates();
    for (rule, draft) in &drafts.aggregations {
        if let Some(aggregation) = resolver.aggregation(*rule, draft) {
            resolver.resolved.correlations.push(aggregation);
        }
    }
    for draft in 0..drafts.correlations.len() {
        resolver.correlation(draft);
    }
    for draft in &drafts.filters {
        resolver.filter(draft);
    }
    resolver.resolved
}

/// A document that a reference may mean, by its place among those of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Rule(usize),
    /// A rule with an aggregation.
    Aggregation(usize),
    Draft(usize),
    Refused(usize),
}

/// Who is called what.
#[derive(Default)]
struct Index<'a> {
    ids: HashMap<String, Vec<Target>>,
    names: HashMap<&'a str, Vec<Target>>,
    titles: HashMap<&'a str, Vec<Target>>,
}

impl<'a> Index<'a> {
    fn new(rules: &'a [Rule], refused: &'a [Refused], drafts: &'a Drafts) -> Index<'a> {
        let mut index = Index::default();
        let mut aggregations = drafts.aggregations.iter().map(|(rule, _)| *rule).enumerate();
        let mut next = aggregations.next();
        for (number, rule) in rules.iter().enumerate() {
            let target = match next {
                Some((aggregation, of)) if of == number => {
                    next = aggregations.next();
                    Target::Aggregation(aggregation)
                }
                _ => Target::Rule(number),
            };
            index.add(rule.id.as_deref(), rule.name.as_deref(), Some(&rule.title), target);
        }
        for (number, draft) in drafts.correlations.iter().enumerate() {
            let About { id, name, title, .. } = &draft.about;
            index.add(id.as_deref(), name.as_deref(), Some(title), Target::Draft(number));
        }
        for (number, refused) in refused.iter().enumerate() {
            let Refused { id, name, title, .. } = refused;
            let target = Target::Refused(number);
            index.add(id.as_deref(), name.as_deref(), title.as_deref(), target);
        }
        index
    }

    fn add(
        &mut self,
        id: Option<&'a str>,
        name: Option<&'a str>,
        title: Option<&'a str>,
        target: Target,
    ) {
        if let Some(id) = id {
            self.ids.entry(folded(id)).or_default().push(target);
        }
        if let Some(name) = name {
            self.names.entry(name).or_default().push(target);
        }
        if let Some(title) = title {
            self.titles.entry(title).or_default().push(target);
        }
    }

    /// All that a reference can mean: what has it as its id, or else as its name, or as its title.
    fn all(&self, text: &str, titles: bool) -> &[Target] {
        let title = self.titles.get(text).filter(|_| titles);
        let found = self.ids.get(&folded(text)).or_else(|| self.names.get(text)).or(title);
        found.map_or(&[], Vec::as_slice)
    }
}

/// How far a draft is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    /// Waiting for what it refers to.
    Open,
    /// It is this correlation.
    Done(usize),
    /// It is this refusal; the second is the refusal that all of it comes from.
    Failed(usize, usize),
}

/// Why a reference cannot be followed.
struct Miss {
    kind: RefusalKind,
    reason: String,
    /// The refusal that it comes from, if it is a draft's.
    root: Option<usize>,
}

impl Miss {
    fn new(reason: String) -> Miss {
        Miss { kind: RefusalKind::Error, reason, root: None }
    }
}

struct Resolver<'a> {
    rules: &'a [Rule],
    refused: &'a [Refused],
    drafts: &'a Drafts,
    index: Index<'a>,
    states: Vec<State>,
    resolved: Resolved,
}

impl<'a> Resolver<'a> {
    /// Warns of documents with the same id.
    fn duplicates(&mut self) {
        let mut first: HashMap<&str, &Origin> = HashMap::new();
        let rules = self.rules.iter().map(|rule| &rule.about);
        let correlations = self.drafts.correlations.iter().map(|draft| &draft.about);
        let filters = self.drafts.filters.iter().map(|draft| &draft.about);
        for about in rules.chain(correlations).chain(filters) {
            let Some(id) = about.id.as_deref() else { continue };
            match first.get(id) {
                None => {
                    first.insert(id, &about.origin);
                }
                Some(other) => self.resolved.warnings.push(Warning {
                    origin: about.origin.clone(),
                    code: WarningCode::DuplicateId,
                    text: format!("the id {id} is that of the rule at {other} too"),
                }),
            }
        }
    }

    fn aggregation(&self, rule: usize, draft: &AggregationDraft) -> Option<Correlation> {
        Some(Correlation {
            about: self.rules.get(rule)?.about.clone(),
            kind: draft.kind.clone(),
            members: vec![Member::Rule(rule)],
            group_by: draft.group_by.clone(),
            timespan: draft.timespan.as_ref().map(|timespan| timespan.ticks),
            timespan_text: draft.timespan.as_ref().map(|timespan| timespan.text.clone()),
            range: draft.range.clone(),
            aliases: Vec::new(),
            generate: false,
            quiet: false,
            aggregation: true,
        })
    }

    /// Brings a draft, and before it all that it refers to, to an end.
    fn correlation(&mut self, draft: usize) {
        let mut open = vec![(draft, 0)];
        while let Some((draft, next)) = open.pop() {
            let Some(of) = self.drafts.correlations.get(draft) else { continue };
            match self.states.get(draft) {
                Some(State::New) => self.set(draft, State::Open),
                Some(State::Open) if next > 0 => {}
                _ => continue,
            }
            // The first of its references that is no correlation in its final state.
            let waits = of.rules.iter().enumerate().skip(next).find_map(|(number, reference)| {
                match self.find(reference, draft) {
                    Ok(Target::Draft(inner)) => match self.states.get(inner) {
                        Some(State::New) => Some((number, inner)),
                        _ => None,
                    },
                    _ => None,
                }
            });
            if let Some((number, inner)) = waits {
                open.push((draft, number + 1));
                open.push((inner, 0));
                continue;
            }
            let state = match self.build(of, draft) {
                Ok(correlation) => {
                    self.resolved.correlations.push(correlation);
                    State::Done(self.resolved.correlations.len() - 1)
                }
                Err((origin, miss)) => {
                    let number = self.resolved.refused.len();
                    self.resolved.refused.push(Refused {
                        origin,
                        title: Some(of.about.title.clone()),
                        id: of.about.id.clone(),
                        name: of.about.name.clone(),
                        reason: miss.reason,
                        kind: miss.kind,
                        code: match miss.kind {
                            RefusalKind::Placeholder => Code::MissingPlaceholder,
                            _ => Code::UnresolvedReference,
                        },
                    });
                    State::Failed(number, miss.root.unwrap_or(number))
                }
            };
            self.set(draft, state);
        }
    }

    fn set(&mut self, draft: usize, state: State) {
        if let Some(slot) = self.states.get_mut(draft) {
            *slot = state;
        }
    }

    /// Makes a correlation of a draft whose references are all in their final states.
    fn build(&self, of: &CorrelationDraft, draft: usize) -> Result<Correlation, (Origin, Miss)> {
        let mut targets = Vec::with_capacity(of.rules.len());
        let mut members = Vec::with_capacity(of.rules.len());
        for reference in &of.rules {
            let at = |miss| (reference.origin.clone(), miss);
            let target = self.find(reference, draft).map_err(at)?;
            if targets.contains(&target) {
                let reason = format!("it names `{}` twice", shown(&reference.text));
                return Err(at(Miss::new(reason)));
            }
            targets.push(target);
            members.push(self.member(target, reference).map_err(at)?);
        }
        let mut aliases = Vec::with_capacity(of.aliases.len());
        for (name, fields) in &of.aliases {
            let mut by_member = Vec::with_capacity(fields.len());
            for (reference, field) in fields {
                let at = |miss| (reference.origin.clone(), miss);
                let target = self.find(reference, draft).map_err(at)?;
                let Some(member) = targets.iter().position(|known| *known == target) else {
                    let reason = format!(
                        "the alias `{}` is about `{}`, which is not among the correlation's rules",
                        shown(name),
                        shown(&reference.text)
                    );
                    return Err(at(Miss::new(reason)));
                };
                by_member.push((member, field.clone()));
            }
            by_member.sort();
            if by_member.windows(2).any(|pair| matches!(pair, [(a, _), (b, _)] if a == b)) {
                let reason = format!("the alias `{}` names a rule twice", shown(name));
                return Err((of.about.origin.clone(), Miss::new(reason)));
            }
            aliases.push(Alias { name: name.clone(), fields: by_member });
        }
        Ok(Correlation {
            about: of.about.clone(),
            kind: of.kind.clone(),
            members,
            group_by: of.group_by.clone(),
            timespan: Some(of.timespan.ticks),
            timespan_text: Some(of.timespan.text.clone()),
            range: of.range.clone(),
            aliases,
            generate: of.generate,
            quiet: false,
            aggregation: false,
        })
    }

    /// The one document that a reference of a correlation means, loaded or not.
    fn find(&self, reference: &Reference, draft: usize) -> Result<Target, Miss> {
        let all = self.index.all(&reference.text, true);
        let [first, rest @ ..] = all else {
            let reason = format!(
                "it refers to `{}`, and no rule has this id, name or title",
                shown(&reference.text)
            );
            return Err(Miss::new(reason));
        };
        if rest.is_empty() {
            return Ok(*first);
        }
        // Of several, what was loaded and is not the correlation itself, and among these what stands
        // in its own file.
        let narrowed = |wanted: &dyn Fn(&Target) -> bool, from: &[Target]| -> Vec<Target> {
            let some: Vec<Target> = from.iter().copied().filter(|target| wanted(target)).collect();
            if some.is_empty() { from.to_vec() } else { some }
        };
        let usable = |target: &Target| {
            !matches!(target, Target::Refused(_)) && *target != Target::Draft(draft)
        };
        let own = |target: &Target| {
            self.about(*target)
                .is_some_and(|(origin, _)| Arc::ptr_eq(&origin.file, &reference.origin.file))
        };
        let found = match all.len() {
            0..=MAX_CANDIDATES => narrowed(&own, &narrowed(&usable, all)),
            _ => all.to_vec(),
        };
        match found.as_slice() {
            [only] => Ok(*only),
            several => {
                let places: Vec<String> = several
                    .iter()
                    .take(2)
                    .filter_map(|target| Some(self.about(*target)?.0.to_string()))
                    .collect();
                let reason = format!(
                    "it refers to `{}`, which {} rules are called: at {}",
                    shown(&reference.text),
                    several.len(),
                    places.join(", at ")
                );
                Err(Miss::new(reason))
            }
        }
    }

    /// Where a document stands, and why it was refused, if it was.
    fn about(&self, target: Target) -> Option<(&'a Origin, Option<&'a Refused>)> {
        match target {
            Target::Rule(rule) => Some((&self.rules.get(rule)?.origin, None)),
            Target::Aggregation(number) => {
                let (rule, _) = self.drafts.aggregations.get(number)?;
                Some((&self.rules.get(*rule)?.origin, None))
            }
            Target::Draft(draft) => {
                Some((&self.drafts.correlations.get(draft)?.about.origin, None))
            }
            Target::Refused(number) => {
                let refused = self.refused.get(number)?;
                Some((&refused.origin, Some(refused)))
            }
        }
    }

    fn member(&self, target: Target, reference: &Reference) -> Result<Member, Miss> {
        let lost = |kind, reason: &str, root| Miss {
            kind,
            reason: format!(
                "it refers to `{}`, which was not loaded: {reason}",
                shown(&reference.text)
            ),
            root,
        };
        match target {
            Target::Rule(rule) => Ok(Member::Rule(rule)),
            Target::Aggregation(number) => Ok(Member::Correlation(number)),
            Target::Refused(number) => Err(match self.refused.get(number) {
                Some(refused) => {
                    let kind = match refused.kind {
                        kind @ (RefusalKind::Status | RefusalKind::Placeholder) => kind,
                        _ => RefusalKind::Error,
                    };
                    lost(kind, &refused.reason, None)
                }
                None => lost(RefusalKind::Error, "", None),
            }),
            Target::Draft(draft) => match self.states.get(draft) {
                Some(State::Done(correlation)) => Ok(Member::Correlation(*correlation)),
                Some(State::Failed(number, root)) => {
                    let kind = self.resolved.refused.get(*number).map(|refused| refused.kind);
                    let reason = self.resolved.refused.get(*root).map(|root| root.reason.as_str());
                    let kind = kind.unwrap_or(RefusalKind::Error);
                    Err(lost(kind, reason.unwrap_or_default(), Some(*root)))
                }
                _ => {
                    let reason = format!(
                        "it refers to `{}`, which refers back to it",
                        shown(&reference.text)
                    );
                    Err(Miss::new(reason))
                }
            },
        }
    }

    fn filter(&mut self, draft: &FilterDraft) {
        let rules = match &draft.rules {
            None => FilterRules::Any,
            Some(references) => {
                let (mut these, mut seen) = (Vec::new(), HashSet::new());
                for reference in references.iter().filter(|other| seen.insert(&other.text)) {
                    match self.filtered(draft, reference) {
                        Ok(mut found) => these.append(&mut found),
                        Err(why) => self.resolved.warnings.push(Warning {
                            origin: reference.origin.clone(),
                            code: WarningCode::FilterReference,
                            text: format!("the filter names `{}`, {why}", shown(&reference.text)),
                        }),
                    }
                }
                these.sort_unstable();
                these.dedup();
                FilterRules::These(these)
            }
        };
        let filter = Filter {
            about: draft.about.clone(),
            logsource: draft.logsource.clone(),
            rules,
            sections: draft.detection.sections.clone(),
            condition: draft.detection.condition.clone(),
        };
        if !self.rules.iter().enumerate().any(|(index, rule)| filter.is_for(index, rule)) {
            self.resolved.warnings.push(Warning {
                origin: filter.origin.clone(),
                code: WarningCode::IdleFilter,
                text: "the filter is for none of the rules that were loaded".to_owned(),
            });
        }
        self.resolved.filters.push(filter);
    }

    /// The rules that a filter means by a reference, or why there is none.
    fn filtered(&self, draft: &FilterDraft, reference: &Reference) -> Result<Vec<usize>, String> {
        let (mut found, mut why) = (Vec::new(), "which no rule has as its id or name".to_owned());
        for target in self.index.all(&reference.text, false) {
            let rule = match target {
                Target::Rule(rule) => *rule,
                Target::Aggregation(number) => match self.drafts.aggregations.get(*number) {
                    Some((rule, _)) => *rule,
                    None => continue,
                },
                Target::Draft(_) => {
                    why = "which is a correlation: filters are for the rules that one refers to"
                        .to_owned();
                    continue;
                }
                Target::Refused(number) => {
                    let reason = self.refused.get(*number).map(|refused| refused.reason.as_str());
                    why = format!("which was not loaded: {}", reason.unwrap_or_default());
                    continue;
                }
            };
            match self.rules.get(rule) {
                Some(of) if draft.logsource.covers(&of.logsource) => found.push(rule),
                Some(of) => {
                    why = format!(
                        "whose log source is {}, and the filter's is {}",
                        of.logsource, draft.logsource
                    );
                }
                None => {}
            }
        }
        if found.is_empty() { Err(why) } else { Ok(found) }
    }
}

/// A text from a file as a message repeats it.
fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
