//! Why a rule matches an event, or does not: one rule and one event, asked piece by piece.
//!
//! A [`Probe`] answers what the scanner and [`Scanner::scan_full`](super::Scanner::scan_full) decide
//! without saying why: which of the rule's sources admit the event, which necessary literals are in it,
//! what each item finds. Items are compiled anew and asked of the same texts by the same tests, so an
//! answer is what the scanner's predicate would be; tests compare the outcome for many events.

use super::check::{Checks, FieldValues};
use super::coverage::shown;
use super::expr::{Expr, PredicateId};
use super::predicate::Predicate;
use super::ruleset::{AdmittingSource, RuleId, RuleSet, condition_item};
use super::scanner::FieldTexts;
use super::tables::{field_sources, with_key};
use crate::event::{Event, Section};
use crate::sigma::{Item, Origin, Test};
use crate::taxonomy::{FieldSource, Refusal, Source, View};

/// One event, to be asked about rules of a set.
#[derive(Debug)]
pub struct Probe<'a, E> {
    set: &'a RuleSet,
    event: &'a E,
}

/// One of the sources of a rule's log source, and whether it is for the event.
#[derive(Debug, Clone, Copy)]
pub struct Admission<'a> {
    /// The source.
    pub source: &'a Source,
    /// Why the event is none of it, if so.
    pub refusal: Option<Refusal>,
    of: &'a AdmittingSource,
}

/// What an item finds in an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whether the item holds.
    pub holds: bool,
    /// Whether each of its values is found, by itself.
    pub each: Vec<bool>,
    /// The field's values, or for keywords all of the event's.
    pub values: Vec<String>,
    /// The names of the event's own fields that these are from.
    pub fields: Vec<String>,
}

/// What the prefilter asks of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Needed {
    /// The kind of the event alone makes the condition false, whatever else is in it.
    Refuted,
    /// Of each set one literal has to be in one of its fields; none: the rule is asked each time.
    Literals(Vec<NeededSet>),
}

/// Literals of which one is necessary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededSet {
    /// In which of these fields; none is that of keywords.
    pub fields: Vec<Option<String>>,
    /// Each literal, folded, and whether it is there.
    pub any_of: Vec<(String, bool)>,
}

impl Admission<'_> {
    /// What the source asks for besides, as items of a rule that stands at `origin`.
    #[must_use]
    pub fn conditions(&self, origin: &Origin) -> Vec<Item> {
        self.source.conditions.iter().map(|condition| condition_item(condition, origin)).collect()
    }
}

impl<'a, E: Event> Probe<'a, E> {
    /// A probe of this event.
    #[must_use]
    pub fn new(set: &'a RuleSet, event: &'a E) -> Probe<'a, E> {
        Probe { set, event }
    }

    /// The sources of the rule's log source; none if it has none in event logs.
    #[must_use]
    pub fn admissions(&self, rule: RuleId) -> Vec<Admission<'a>> {
        with_key(self.event, |key| {
            let key = key.event_key();
            let gates = self.set.gates.iter();
            let gates = gates.filter(|gate| gate.rules.binary_search(&rule).is_ok());
            gates
                .flat_map(|gate| &gate.sources)
                .map(|of| Admission { source: &of.source, refusal: of.source.refusal(&key), of })
                .collect()
        })
    }

    /// Whether the rule matches the event as one of this source, by its whole condition and what the
    /// source asks for besides.
    #[must_use]
    pub fn holds(&self, rule: RuleId, admission: &Admission<'_>) -> bool {
        let Some(compiled) = self.set.compiled.get(rule.index()) else { return false };
        let view = admission.source.view;
        let mut test = |id: PredicateId| self.ask(&self.set.predicates.get(id).item, view).holds;
        admission.refusal.is_none()
            && admission.of.conditions.evaluate(&mut test)
            && compiled.expr.evaluate(&mut test)
    }

    /// What the prefilter asks for before the rule is asked about this event.
    #[must_use]
    pub fn needed(&self, rule: RuleId, admission: &Admission<'_>) -> Needed {
        let Some(compiled) = self.set.compiled.get(rule.index()) else { return Needed::Refuted };
        let dialect = self.set.rule(rule).dialect;
        let view = admission.source.view;
        let whole = [&admission.of.conditions, &compiled.expr];
        let residue = with_key(self.event, |key| {
            let known = |id| self.set.known_by_key(id, key, dialect);
            Expr::and(whole.into_iter().map(|expr| expr.fold(&known)))
        });
        // What asks for a field that the event's layout does not have is known, too.
        let absent = |id| {
            let predicate = self.set.predicates.get(id);
            let sources = self.sources(view, predicate.item.field.as_deref());
            sources.is_empty().then(|| predicate.when_absent())
        };
        let residue = residue.fold(&absent);
        if residue == Expr::Const(false) {
            return Needed::Refuted;
        }
        let sets = self.set.necessary(&residue);
        Needed::Literals(sets.into_iter().map(|set| self.seen(&set, view)).collect())
    }

    fn seen(&self, predicates: &[&Predicate], view: View) -> NeededSet {
        let mut set = NeededSet { fields: Vec::new(), any_of: Vec::new() };
        for predicate in predicates {
            let field = predicate.item.field.as_deref();
            if !set.fields.iter().any(|known| known.as_deref() == field) {
                set.fields.push(predicate.item.field.clone());
            }
            let mut texts = FieldTexts::default();
            texts.push_folded(self.event, &self.sources(view, field));
            let haystack = texts.folded.haystack(0, texts.folded.len());
            for atom in predicate.atoms().into_iter().flat_map(|atoms| &atoms.set) {
                let there = memchr::memmem::find(haystack, atom).is_some();
                let text = shown(atom);
                match set.any_of.iter_mut().find(|(known, _)| *known == text) {
                    Some((_, seen)) => *seen |= there,
                    None => set.any_of.push((text, there)),
                }
            }
        }
        set
    }

    /// What an item finds in the event, read through this view.
    #[must_use]
    pub fn ask(&self, item: &Item, view: View) -> Answer {
        let sources = self.sources(view, item.field.as_deref());
        let mut texts = FieldTexts::default();
        let own = self.push(&sources, &mut texts);
        let mut names = Vec::new();
        item.values.iter().for_each(|test| references(test, &mut names));
        let spans: Vec<_> = names
            .iter()
            .map(|name| self.push(&self.sources(view, Some(name)), &mut texts))
            .collect();
        let values = |(from, to, original_from)| FieldValues {
            folded: &texts.folded,
            from,
            to,
            original: &texts.original,
            original_from,
        };
        let all: Vec<FieldValues<'_>> = spans.into_iter().map(values).collect();
        let own = values(own);
        let mut used = 0;
        let each = item.values.iter().map(|test| {
            let mut of_test = Vec::new();
            references(test, &mut of_test);
            let mine = all.get(used..used + of_test.len()).unwrap_or(&[]);
            used += of_test.len();
            let alone =
                Item { values: vec![test.clone()], all: false, negated: false, ..item.clone() };
            Checks::new(&alone).holds(own, mine)
        });
        Answer {
            each: each.collect(),
            holds: Checks::new(item).holds(own, &all),
            values: own.original().map(|text| String::from_utf8_lossy(text).into_owned()).collect(),
            fields: sources.iter().map(|source| self.named(source)).collect(),
        }
    }

    /// Appends the texts of a field and says where they stand.
    fn push(&self, sources: &[FieldSource], texts: &mut FieldTexts) -> (usize, usize, usize) {
        let (from, original_from) = (texts.folded.len(), texts.original.len());
        texts.push_folded(self.event, sources);
        texts.push_original(self.event, sources);
        (from, texts.folded.len(), original_from)
    }

    fn sources(&self, view: View, field: Option<&str>) -> Vec<FieldSource> {
        with_key(self.event, |key| {
            field_sources(self.set, view, field, &key.event_key(), self.event.layout())
        })
    }

    /// The event's own name for where values are from.
    fn named(&self, source: &FieldSource) -> String {
        let leaves = self.event.layout().leaves();
        let name = |at: usize| match leaves.get(at) {
            Some(leaf) if leaf.section == Section::System => format!("System/{}", leaf.name),
            Some(leaf) => leaf.name.to_string(),
            None => String::new(),
        };
        match source {
            FieldSource::Leaf(leaf) => name(leaf.index()),
            FieldSource::Derived { inputs, .. } => {
                let names: Vec<String> = inputs.iter().map(|leaf| name(leaf.index())).collect();
                names.join(" + ")
            }
        }
    }
}

/// The fields that a test refers to, in order.
fn references<'t>(test: &'t Test, names: &mut Vec<&'t str>) {
    match test {
        Test::FieldRef { field, .. } => names.push(field),
        Test::AnyOf(tests) => tests.iter().for_each(|test| references(test, names)),
        _ => {}
    }
}
