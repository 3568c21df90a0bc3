//! Which kinds of events a rule can match, and which literals each of them has to hold.
//!
//! What the gate and the prefilter do for an event that is there, done for all kinds of events that a
//! rule's log source stands for: for whoever wants to know what a rule looks at before there is any
//! evidence.
//!
//! Invariant: a kind of event that is not told is none that the rule can match, and the literals are
//! necessary (`atoms`): what is told is what the scanner goes by, as far as it depends on provider,
//! channel and event id. What it also knows of an event, which fields there are, can only make it ask
//! for more.

use super::atoms;
use super::expr::{Expr, PredicateId};
use super::predicate::Predicate;
use super::ruleset::{AdmittingSource, Key, RuleId, RuleSet};
use crate::event::{VALUE_END, VALUE_START};
use crate::sigma::{Dialect, Item, NumberValue, Part, Test};
use crate::taxonomy::Source;
use crate::utf16::folded;
use std::collections::BTreeSet;

/// So many event ids of a rule are looked at one by one. Public rules name some dozens at most.
const MAX_IDS: usize = 512;

/// A kind of events that a rule can match.
#[derive(Debug, Clone)]
pub struct Coverage<'s> {
    /// The source of the rule's log source that it is of.
    pub source: &'s Source,
    /// Channels, folded; none: any.
    pub channels: Vec<String>,
    /// Providers, folded; none: any.
    pub providers: Vec<String>,
    /// The event id; none: any that is not told by itself.
    pub event_id: Option<u32>,
    /// What has to be in such an event; nothing if the rule is asked each time.
    pub literals: Vec<LiteralSet>,
}

/// Literals of which one is necessary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiteralSet {
    /// In which of these fields; none is that of keywords, which any value may hold.
    pub fields: Vec<Option<String>>,
    /// Folded text.
    pub any_of: Vec<String>,
}

/// An event id as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Id {
    Is(u32),
    /// None of those that the rule names.
    Other,
    /// Nothing is known of it.
    Any,
}

impl RuleSet {
    /// Which kinds of events the rule can match; nothing if it is not applicable.
    #[must_use]
    pub fn coverage(&self, rule: RuleId) -> Vec<Coverage<'_>> {
        let mut covered = Vec::new();
        for gate in self.gates.iter().filter(|gate| gate.rules.binary_search(&rule).is_ok()) {
            gate.sources.iter().for_each(|source| self.cover(rule, source, &mut covered));
        }
        covered
    }

    fn cover<'s>(&'s self, rule: RuleId, of: &'s AdmittingSource, covered: &mut Vec<Coverage<'s>>) {
        let source = &of.source;
        let Some(compiled) = self.compiled.get(rule.index()) else { return };
        let dialect = self.rule(rule).dialect;
        let named = |field: &str| named(self, &compiled.expr, field);
        let ids = match &source.event_ids {
            Some(ids) => ids.iter().map(|id| Id::Is(*id)).collect(),
            None => ids_of(&named("EventID")),
        };
        let mut channels: Vec<Option<String>> = source.channels.iter().cloned().map(Some).collect();
        if channels.is_empty() && dialect == Dialect::Hayabusa {
            channels.extend(texts_of(&named("Channel")).into_iter().map(Some));
        }
        let mut providers: Vec<Option<String>> =
            source.providers.iter().cloned().map(Some).collect();
        if providers.is_empty() || source.event_ids.is_none() {
            let tested = texts_of(&named("Provider_Name")).into_iter().map(Some);
            let tested: Vec<_> = tested.filter(|name| !providers.contains(name)).collect();
            providers.extend(tested);
        }
        for list in [&mut channels, &mut providers] {
            if list.is_empty() {
                list.push(None);
            }
        }
        for id in ids {
            let mut left: Vec<Expr> = Vec::new();
            let mut row = Coverage {
                source,
                channels: Vec::new(),
                providers: Vec::new(),
                event_id: if let Id::Is(id) = id { Some(id) } else { None },
                literals: Vec::new(),
            };
            for channel in &channels {
                for provider in &providers {
                    let known = |of: PredicateId| self.known(of, provider, channel, id, dialect);
                    let whole = [&of.conditions, &compiled.expr];
                    let residue = Expr::and(whole.into_iter().map(|expr| expr.fold(&known)));
                    if residue == Expr::Const(false) {
                        continue;
                    }
                    for (list, name) in
                        [(&mut row.channels, channel), (&mut row.providers, provider)]
                    {
                        list.extend(
                            name.iter()
                                .filter(|name| !list.contains(name))
                                .cloned()
                                .collect::<Vec<_>>(),
                        );
                    }
                    if !left.contains(&residue) {
                        left.push(residue);
                    }
                }
            }
            if !left.is_empty() {
                row.literals = self.literals(&Expr::or(left));
                covered.push(row);
            }
        }
    }

    /// A predicate's value, as far as it is known.
    fn known(
        &self,
        id: PredicateId,
        provider: &Option<String>,
        channel: &Option<String>,
        event_id: Id,
        dialect: Dialect,
    ) -> Option<bool> {
        let item = &self.predicates.get(id).item;
        let text = if let Id::Is(id) = event_id { id.to_string() } else { String::new() };
        match item.field.as_deref()? {
            "EventID" => match event_id {
                Id::Is(_) => {}
                Id::Other => return when_other(item),
                Id::Any => return None,
            },
            "Provider_Name" => _ = provider.as_ref()?,
            "Channel" => _ = channel.as_ref()?,
            _ => return None,
        }
        let key = Key {
            provider: provider.as_deref(),
            channel: channel.as_deref(),
            event_id: Some(&text),
            decides: true,
        };
        self.known_by_key(id, &key, dialect)
    }

    /// The literals that a residue needs, for showing.
    fn literals(&self, residue: &Expr) -> Vec<LiteralSet> {
        let set = |predicates: Vec<&Predicate>| {
            let mut set = LiteralSet { fields: Vec::new(), any_of: Vec::new() };
            for predicate in predicates {
                if !set.fields.contains(&predicate.item.field) {
                    set.fields.push(predicate.item.field.clone());
                }
                let texts = predicate.atoms().into_iter().flat_map(|atoms| &atoms.set);
                set.any_of.extend(texts.map(|atom| shown(atom)));
            }
            set.any_of.sort();
            set.any_of.dedup();
            set
        };
        self.necessary(residue).into_iter().map(set).collect()
    }

    /// Sets of predicates, of each of which one must have one of its literals in its field, as `program`
    /// gives them to the slots: for the parts that one field's values decide, and one set for all others
    /// together.
    pub(super) fn necessary(&self, residue: &Expr) -> Vec<Vec<&Predicate>> {
        let parts = match residue {
            Expr::And(parts) => parts.to_vec(),
            one => vec![one.clone()],
        };
        // The slot of a part is its field, or none if it asks several; one source has one view.
        let mut groups: Vec<(Option<Option<String>>, Vec<Expr>)> = Vec::new();
        for part in parts {
            let slot = self.only_field(&part);
            match groups.iter_mut().find(|(known, _)| *known == slot) {
                Some((_, parts)) => parts.push(part),
                None => groups.push((slot, vec![part])),
            }
        }
        let atoms = |id: PredicateId| self.predicates.get(id).atoms();
        let chosen = groups
            .into_iter()
            .filter_map(|(_, parts)| atoms::choose(&Expr::and(parts), &atoms))
            .map(|(_, chosen)| chosen.into_iter().map(|id| self.predicates.get(id)).collect());
        chosen.collect()
    }

    /// The field whose values alone decide `expr`, if there is one.
    fn only_field(&self, expr: &Expr) -> Option<Option<String>> {
        let mut fields: Vec<Option<String>> = Vec::new();
        let mut refers = false;
        expr.visit(&mut |id| {
            let predicate: &Predicate = self.predicates.get(id);
            refers |= !predicate.references.is_empty();
            if !fields.contains(&predicate.item.field) {
                fields.push(predicate.item.field.clone());
            }
        });
        (fields.len() == 1 && !refers).then(|| fields.pop()).flatten()
    }
}

/// An atom's text, without its marks.
pub(super) fn shown(atom: &[u8]) -> String {
    let text = atom.strip_prefix(&[VALUE_START]).unwrap_or(atom);
    let text = text.strip_suffix(&[VALUE_END]).unwrap_or(text);
    String::from_utf8_lossy(text).into_owned()
}

/// The items that ask of a field by this name.
fn named<'s>(set: &'s RuleSet, expr: &Expr, field: &str) -> Vec<&'s Item> {
    let mut items = Vec::new();
    expr.visit(&mut |id| {
        let item = &set.predicates.get(id).item;
        if item.field.as_deref() == Some(field) {
            items.push(item);
        }
    });
    items
}

/// The event ids that items name, and that there are others; or that any will do.
fn ids_of(items: &[&Item]) -> Vec<Id> {
    if items.is_empty() {
        return vec![Id::Any];
    }
    let mut ids = BTreeSet::new();
    for test in items.iter().flat_map(|item| &item.values) {
        ids.extend(literal(test).and_then(|text| text.trim().parse::<u32>().ok()));
    }
    if ids.len() > MAX_IDS {
        return vec![Id::Any];
    }
    ids.into_iter().map(Id::Is).chain([Id::Other]).collect()
}

/// The texts that items name, folded.
fn texts_of(items: &[&Item]) -> Vec<String> {
    let tests = items.iter().flat_map(|item| &item.values);
    let mut texts: Vec<String> = tests.filter_map(literal).map(|text| folded(&text)).collect();
    texts.sort();
    texts.dedup();
    texts
}

/// The text that a value has to be equal to, if that is what the test asks.
fn literal(test: &Test) -> Option<String> {
    match test {
        Test::Number(number) => match number.value {
            NumberValue::Integer(n) => Some(n.to_string()),
            NumberValue::Float(_) => Some(number.text.clone()),
        },
        Test::Text(pattern) => match pattern.parts.as_slice() {
            [Part::Literal(text)] => Some(text.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// What an item says of an event id that is none of those that it names; nothing if it compares
/// otherwise than by equality.
fn when_other(item: &Item) -> Option<bool> {
    item.values.iter().all(|test| literal(test).is_some()).then_some(item.negated)
}
