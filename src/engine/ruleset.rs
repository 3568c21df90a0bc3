//! The rules, compiled: what all threads share.
//!
//! Compiling turns each rule's condition into an [`Expr`] over shared predicates and its log source
//! into the sources that admit events to it. Everything that depends on an event's kind, such as
//! which rules are left and which literals they need, is worked out when the first event of the kind
//! is met and kept in a cache that threads share. The cache changes no answer, only who waits; its
//! size is bounded, whatever the evidence.
//!
//! Invariant 1 of the design, its part here: a rule is left out for a kind of event only if its
//! sources do not admit it or its condition is false whatever the record's remaining values are.

use super::block::BlockFilter;
use super::check::FieldValues;
use super::correlate::Correlations;
use super::expr::{Expr, PredicateId};
use super::filters::{FilterId, Filters};
use super::predicate::{FieldId, Interner, Predicates};
use super::program::{Instance, Program, Slot};
use crate::event::Texts;
use crate::sigma::{
    Condition, Correlation, Dialect, Filter, Item, LogSource, Node, Part, Pattern, Rule, Test,
};
use crate::taxonomy::{EventKey, Mapping, Source, SourceCondition, Taxonomy, View};
use hashbrown::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// The index of a rule in its [`RuleSet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub(super) u32);

impl RuleId {
    /// As an index, in the order in which the rules were given.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Whether a rule can match anything in Windows event logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applicability {
    /// Its log source stands for some events.
    Applicable,
    /// It cannot, and why.
    NotApplicable(String),
    /// Nothing is known of its log source, which may be a slip of the pen: nothing is evaluated, and
    /// whoever gave the rule has to be told.
    UnknownLogSource(String),
}

impl Applicability {
    /// Of a rule, by its log source.
    #[must_use]
    pub fn of(rule: &Rule, taxonomy: &Taxonomy) -> Applicability {
        let mapping = taxonomy.sources(&rule.logsource, rule.dialect);
        Applicability::of_mapping(mapping, &rule.logsource)
    }

    fn of_mapping(mapping: Mapping, logsource: &LogSource) -> Applicability {
        match mapping {
            Mapping::Sources(_) => Applicability::Applicable,
            Mapping::OtherProduct => {
                Applicability::NotApplicable(format!("log source {logsource} is not of Windows"))
            }
            Mapping::Unknown => Applicability::UnknownLogSource(format!(
                "no event log is known for log source {logsource}"
            )),
            Mapping::NeverInEvtx { reason } => Applicability::NotApplicable(reason),
        }
    }
}

/// A rule's condition and the sources that admit events to it.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) expr: Expr,
    pub(super) applicability: Applicability,
}

/// The sources of one log source, with the rules that name it.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) sources: Vec<AdmittingSource>,
    pub(super) rules: Vec<RuleId>,
}

/// A source with its extra conditions as an expression.
#[derive(Debug)]
pub(super) struct AdmittingSource {
    pub(super) source: Source,
    pub(super) conditions: Expr,
}

/// What is known of an event before its body is looked at; texts are folded, `None` is absent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key<'a> {
    pub(super) provider: Option<&'a str>,
    pub(super) channel: Option<&'a str>,
    pub(super) event_id: Option<&'a str>,
    /// Whether these are all the values that rules see under these names.
    pub(super) decides: bool,
}

impl<'a> Key<'a> {
    pub(super) fn event_key(&self) -> EventKey<'a> {
        EventKey {
            provider: self.provider.unwrap_or(""),
            channel: self.channel.unwrap_or(""),
            event_id: self.event_id.and_then(|id| id.trim().parse().ok()),
        }
    }
}

/// The rules that can match events with one key.
#[derive(Debug, Default)]
pub(super) struct Admitted {
    pub(super) instances: Vec<Instance>,
}

/// Programs are made once and shared.
#[derive(Debug, Default)]
struct Cache {
    /// Raised each time the cache was emptied; scanners then empty theirs.
    generation: u64,
    admitted: HashMap<Box<[u8]>, Arc<Admitted>>,
    programs: HashMap<Vec<Instance>, Arc<OnceLock<Arc<Program>>>>,
    /// How many rule instances are held in all.
    weight: usize,
}

/// How many keys (provider, channel, event id) are remembered. A host has some thousands; evidence
/// made up to hold more only costs time.
pub(super) const MAX_KEYS: usize = 16_384;
/// How many rule instances the cache may hold in all. Thirty-five variants of process creation with
/// all of SigmaHQ's rules fit, where real evidence has a handful; at about 2 KiB an instance this is
/// 200 MiB at worst.
const MAX_INSTANCES: usize = 100_000;

impl Cache {
    /// Counts `instances` more, after emptying the cache if it would hold too many.
    fn make_room(&mut self, instances: usize) {
        if self.weight + instances > MAX_INSTANCES || self.admitted.len() >= MAX_KEYS {
            *self = Cache { generation: self.generation + 1, ..Cache::default() };
        }
        self.weight += instances;
    }
}

/// The rules, compiled and ready to be shared by threads.
#[derive(Debug)]
pub struct RuleSet {
    rules: Vec<Rule>,
    pub(super) compiled: Vec<Compiled>,
    pub(super) gates: Vec<Gate>,
    pub(super) predicates: Predicates,
    pub(super) taxonomy: Taxonomy,
    /// For each field, the views that read it otherwise than the plain one.
    own_views: Vec<Vec<View>>,
    /// Finds the keywords of rules in whole blocks.
    pub(super) block: Option<BlockFilter>,
    correlations: Correlations,
    pub(super) filters: Filters,
    cache: Mutex<Cache>,
}

impl RuleSet {
    /// Compiles `rules`, whose ids are their places in the list.
    #[must_use]
    pub fn compile(rules: Vec<Rule>, taxonomy: Taxonomy) -> RuleSet {
        RuleSet::compile_filtered(rules, Vec::new(), taxonomy)
    }

    /// The same with `filters`, whose indexes of rules are places in `rules`.
    #[must_use]
    pub fn compile_filtered(rules: Vec<Rule>, filters: Vec<Filter>, taxonomy: Taxonomy) -> RuleSet {
        let mut interner = Interner::default();
        let mut gates: Vec<Gate> = Vec::new();
        let mut by_source: HashMap<(LogSource, Dialect), Result<usize, Applicability>> =
            HashMap::new();
        let mut compiled = Vec::with_capacity(rules.len());
        for (rule, id) in rules.iter().zip(0u32..) {
            let gate = by_source
                .entry((rule.logsource.clone(), rule.dialect))
                .or_insert_with(|| {
                    let sources = sources(rule, &taxonomy, &mut interner)?;
                    gates.push(Gate { sources, rules: Vec::new() });
                    Ok(gates.len() - 1)
                })
                .clone();
            let applicability = match gate {
                Ok(gate) => {
                    gates[gate].rules.push(RuleId(id));
                    Applicability::Applicable
                }
                Err(why) => why,
            };
            let sections: Vec<Expr> = rule
                .detection
                .sections
                .iter()
                .map(|section| node(&section.body, &mut interner))
                .collect();
            let expr = condition(&rule.detection.condition, &sections);
            compiled.push(Compiled { expr, applicability });
        }
        let filters = Filters::new(filters, &rules, &mut interner);
        let predicates = interner.finish();
        let block = block_filter(&gates, &compiled, &predicates);
        let own = |name: &String| {
            let views = taxonomy.views();
            views.filter(|v| taxonomy.canonical_view(*v, name) != View::Plain).collect()
        };
        let own_views = predicates.field_names().iter().map(own).collect();
        RuleSet {
            rules,
            compiled,
            gates,
            predicates,
            taxonomy,
            block,
            own_views,
            correlations: Correlations::default(),
            filters,
            cache: Mutex::default(),
        }
    }

    /// The same with correlations over its rules: [`Member::Rule`] is a rule's place in the list that
    /// was compiled, [`Member::Correlation`] a place in `correlations` before the one that has it.
    ///
    /// [`Member::Rule`]: crate::sigma::Member::Rule
    /// [`Member::Correlation`]: crate::sigma::Member::Correlation
    #[must_use]
    pub fn with_correlations(self, correlations: Vec<Correlation>) -> RuleSet {
        let correlations = Correlations::new(correlations, self.rules.len());
        RuleSet { correlations, ..self }
    }

    /// The same in which everything reports, and no correlation speaks for others; but that rules with
    /// an aggregation have hits of their own is never so.
    #[must_use]
    pub fn outspoken(self) -> RuleSet {
        let RuleSet { mut rules, correlations, .. } = self;
        let counted = correlations.aggregated();
        for (at, rule) in rules.iter_mut().enumerate() {
            rule.quiet = counted.contains(&at);
        }
        RuleSet { rules, correlations: correlations.outspoken(), ..self }
    }

    /// The correlations over its rules.
    #[must_use]
    pub fn correlations(&self) -> &Correlations {
        &self.correlations
    }

    /// All filters, in the order in which they were given.
    #[must_use]
    pub fn filters(&self) -> &[Filter] {
        self.filters.all()
    }

    /// The title of a filter, by which it is told of.
    #[must_use]
    pub fn filter_title(&self, filter: FilterId) -> &str {
        self.filters.all().get(filter.index()).map_or("", |filter| filter.title.as_str())
    }

    /// The filters of a rule.
    #[must_use]
    pub fn filters_of(&self, rule: RuleId) -> &[FilterId] {
        self.filters.of_rule(rule)
    }

    /// The rule with this id.
    #[must_use]
    pub fn rule(&self, id: RuleId) -> &Rule {
        &self.rules[id.index()]
    }

    /// All rules with their ids.
    pub fn rules(&self) -> impl Iterator<Item = (RuleId, &Rule)> {
        self.rules.iter().zip(0u32..).map(|(rule, id)| (RuleId(id), rule))
    }

    /// Whether the rule can match anything in Windows event logs.
    #[must_use]
    pub fn applicability(&self, id: RuleId) -> &Applicability {
        &self.compiled[id.index()].applicability
    }

    /// The log sources and fields that the rules are read by.
    #[must_use]
    pub fn taxonomy(&self) -> &Taxonomy {
        &self.taxonomy
    }

    /// How many distinct predicates the rules have.
    #[must_use]
    pub fn predicate_count(&self) -> usize {
        self.predicates.len()
    }

    /// The rules that events with this key can match; `bytes` are the key's, for the cache.
    pub(super) fn admitted(&self, bytes: &[u8], key: &Key<'_>) -> Arc<Admitted> {
        if let Some(found) = self.cache().admitted.get(bytes) {
            return Arc::clone(found);
        }
        let made = Arc::new(self.admit(key));
        let mut cache = self.cache();
        cache.make_room(made.instances.len());
        Arc::clone(cache.admitted.entry(bytes.into()).or_insert(made))
    }

    pub(super) fn admit(&self, key: &Key<'_>) -> Admitted {
        let event_key = key.event_key();
        let mut instances = Vec::new();
        for gate in &self.gates {
            for AdmittingSource { source, conditions } in &gate.sources {
                if !source.admits(&event_key) {
                    continue;
                }
                for rule in &gate.rules {
                    let dialect = self.rule(*rule).dialect;
                    let known = |id| self.known_by_key(id, key, dialect);
                    let whole = [conditions, &self.compiled[rule.index()].expr];
                    let residue = Expr::and(whole.into_iter().map(|e| e.fold(&known)));
                    if residue != Expr::Const(false) {
                        instances.push(Instance { rule: *rule, view: source.view, residue });
                    }
                }
            }
        }
        instances.sort_by_key(|instance| instance.rule);
        Admitted { instances }
    }

    /// A predicate's value, if the key alone tells it. `EventID` and `Provider_Name` are System's in
    /// every view, `Channel` only for Hayabusa's rules: event 104 has a `Channel` of its own.
    pub(super) fn known_by_key(
        &self,
        id: PredicateId,
        key: &Key<'_>,
        dialect: Dialect,
    ) -> Option<bool> {
        let predicate = self.predicates.get(id);
        let text = match predicate.item.field.as_deref()? {
            "EventID" => key.event_id,
            "Provider_Name" => key.provider,
            "Channel" if dialect == Dialect::Hayabusa => key.channel,
            _ => return None,
        };
        let checks = predicate.checks();
        if !key.decides || checks.original || !predicate.references.is_empty() {
            return None;
        }
        let mut texts = Texts::new();
        if let Some(text) = text {
            texts.push(text.as_bytes());
        }
        let values = FieldValues {
            folded: &texts,
            from: 0,
            to: texts.len(),
            original: &texts,
            original_from: 0,
        };
        Some(checks.holds(values, &[]))
    }

    /// A field seen through a view; views that read the field alike give the same slot.
    pub(super) fn slot(&self, view: View, field: Option<FieldId>) -> Slot {
        let own = field.is_some_and(|field| {
            let views = self.own_views.get(field.index());
            views.is_some_and(|views| views.contains(&view))
        });
        Slot { view: if own { view } else { View::Plain }, field }
    }

    /// The program for these instances, made at the first call.
    pub(super) fn program(&self, instances: &[Instance]) -> Arc<Program> {
        let cell = {
            let mut cache = self.cache();
            match cache.programs.get(instances) {
                Some(cell) => Arc::clone(cell),
                None => {
                    let cell = Arc::default();
                    cache.make_room(instances.len());
                    cache.programs.insert(instances.to_owned(), Arc::clone(&cell));
                    cell
                }
            }
        };
        // Made outside the lock: other threads go on, those that need the same program wait for it.
        Arc::clone(cell.get_or_init(|| Arc::new(Program::new(self, instances))))
    }

    /// Raised each time programs were dropped from the cache.
    pub(super) fn generation(&self) -> u64 {
        self.cache().generation
    }

    /// The cache holds nothing that a panic could leave half made.
    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The filter for the keywords of rules: of those that look at events of every kind first, then of
/// those with few words.
fn block_filter(
    gates: &[Gate],
    compiled: &[Compiled],
    predicates: &Predicates,
) -> Option<BlockFilter> {
    let mut words: Vec<(bool, Vec<&[u8]>)> = Vec::new();
    for gate in gates {
        let everything = gate.sources.iter().any(|s| s.source.is_everything());
        for rule in &gate.rules {
            let mut of_rule: Vec<&[u8]> = Vec::new();
            compiled[rule.index()].expr.visit(&mut |id| {
                let predicate = predicates.get(id);
                if predicate.field.is_none() {
                    let atoms = predicate.atoms().into_iter();
                    of_rule.extend(atoms.flat_map(|atoms| atoms.set.iter().map(|a| &**a)));
                }
            });
            words.push((everything, of_rule));
        }
    }
    words.sort_by_key(|(everything, of_rule)| (!everything, of_rule.len()));
    BlockFilter::new(words.into_iter().flat_map(|(_, of_rule)| of_rule))
}

/// The sources of a rule, or why it has none.
fn sources(
    rule: &Rule,
    taxonomy: &Taxonomy,
    interner: &mut Interner,
) -> Result<Vec<AdmittingSource>, Applicability> {
    match taxonomy.sources(&rule.logsource, rule.dialect) {
        Mapping::Sources(sources) => Ok(sources
            .into_iter()
            .map(|source| {
                let conditions = source.conditions.iter();
                let conditions =
                    Expr::and(conditions.map(|c| source_condition(c, &rule.origin, interner)));
                AdmittingSource { source, conditions }
            })
            .collect()),
        mapping => Err(Applicability::of_mapping(mapping, &rule.logsource)),
    }
}

/// A source's extra condition as a predicate of the same kind as a rule's.
fn source_condition(
    condition: &SourceCondition,
    origin: &crate::sigma::Origin,
    interner: &mut Interner,
) -> Expr {
    Expr::Test(interner.intern(&condition_item(condition, origin)))
}

/// A source's extra condition as an item of a rule.
pub(super) fn condition_item(condition: &SourceCondition, origin: &crate::sigma::Origin) -> Item {
    let text = |value: &String| {
        Test::Text(Pattern { parts: vec![Part::Literal(value.clone())], cased: false })
    };
    let mut values: Vec<Test> = condition.values.iter().map(text).collect();
    if condition.or_absent {
        values.push(Test::Null);
    }
    Item {
        field: Some(condition.field.clone()),
        modifiers: Vec::new(),
        values,
        all: false,
        negated: false,
        origin: origin.clone(),
    }
}

pub(super) fn node(node: &Node, interner: &mut Interner) -> Expr {
    let mut all =
        |parts: &[Node]| parts.iter().map(|n| self::node(n, interner)).collect::<Vec<_>>();
    match node {
        Node::All(parts) => Expr::and(all(parts)),
        Node::Any(parts) => Expr::or(all(parts)),
        Node::Item(item) => Expr::Test(interner.intern(item)),
    }
}

pub(super) fn condition(condition: &Condition, sections: &[Expr]) -> Expr {
    let section = |index: &usize| sections.get(*index).cloned().unwrap_or(Expr::Const(false));
    let all = |parts: &[Condition]| {
        parts.iter().map(|c| self::condition(c, sections)).collect::<Vec<_>>()
    };
    match condition {
        Condition::And(parts) => Expr::and(all(parts)),
        Condition::Or(parts) => Expr::or(all(parts)),
        Condition::Not(inner) => {
            Expr::Not(Box::new(self::condition(inner, sections))).fold(&|_| None)
        }
        Condition::Section(index) => section(index),
        Condition::AtLeast { count, sections, .. } => {
            Expr::at_least(*count, sections.iter().map(section))
        }
    }
}
