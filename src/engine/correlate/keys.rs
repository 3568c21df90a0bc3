//! What a correlation is to know of an event: by which values it is grouped, and what is counted.
//!
//! Fields are read as the rule that hit saw the event: a 4688 event has an `Image`, and `Computer`,
//! `Channel` and `EventID` are fields, too. A field with several values gives all of them together:
//! two events are of one group if they have the same values in the same order, and their tuple counts
//! as one; numbers are each computed with. Texts are compared folded and shown as they are.
//!
//! An event that lacks a field that the correlation groups by is of no group; one that lacks what is
//! counted is not counted. Both are told of. For a rule's aggregation a missing field is a value like
//! others, as it always was; what it counts must be there.

use super::super::full::{self, Told};
use super::super::ruleset::{RuleId, RuleSet};
use super::super::scanner::FieldTexts;
use super::super::tables::with_key;
use super::decimal::Decimal;
use super::{Correlations, Part};
use crate::event::{Event, Texts};
use crate::sigma::CorrelationKind;
use crate::taxonomy::{FieldSource, View};
use hashbrown::HashMap;
use std::sync::Arc;

/// What a correlation is to know of an event.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Keys {
    /// The group: the folded values of its fields. Equal bytes are one group.
    pub group: Vec<u8>,
    /// The same as the event has them, for showing: see [`read_group`].
    pub shown: Vec<u8>,
    /// The folded tuple of what [`CorrelationKind::ValueCount`] counts; else empty.
    pub value: Vec<u8>,
    /// The numbers that other kinds compute with.
    pub numbers: Vec<Decimal>,
}

/// Whether an event is one of a correlation's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join<'k> {
    /// It is.
    Joins(&'k Keys),
    /// It lacks a field by which events are grouped.
    WithoutGroup,
    /// It lacks what is counted.
    WithoutValue,
}

/// One thread's scratch for reading keys.
#[derive(Debug, Default)]
pub(in super::super) struct Joiner {
    texts: FieldTexts,
    sources: HashMap<(u64, View, u32), Arc<[FieldSource]>>,
    keys: Keys,
}

/// How many fields of kinds of events are remembered before all are forgotten.
const MOST_SOURCES: usize = 1 << 14;

/// Hands to `each` what the correlations that refer to `rule`, which hit `event`, are to know of it.
/// `of` is as for [`full::matched`].
pub(in super::super) fn join<E: Event>(
    set: &RuleSet,
    event: &E,
    rule: RuleId,
    of: (u64, u64),
    (told, joiner): (&mut Told, &mut Joiner),
    each: &mut dyn FnMut(Part, Join<'_>),
) {
    let correlations = set.correlations();
    let parts = correlations.of_rule(rule);
    if parts.is_empty() {
        return;
    }
    let Some(view) = full::view(set, event, rule, of, told) else { return };
    if joiner.sources.len() > MOST_SOURCES {
        joiner.sources.clear();
    }
    for part in parts {
        let Joiner { texts, sources, keys } = &mut *joiner;
        texts.folded.clear();
        texts.original.clear();
        let mut read = |place: u32| {
            let sources = sources.entry((of.0, view, place)).or_insert_with(|| {
                let name = correlations.name(place);
                let layout = event.layout();
                with_key(event, |key| {
                    set.taxonomy().resolve(view, name, &key.event_key(), layout).into()
                })
            });
            let from = texts.folded.len();
            texts.push_folded(event, sources);
            texts.push_original(event, sources);
            (from, texts.folded.len())
        };
        let spans = correlations.fields(*part).map(|fields| {
            let group: Vec<_> = fields.group.iter().map(|place| read(*place)).collect();
            let values: Vec<_> = fields.values.iter().map(|place| read(*place)).collect();
            (group, values)
        });
        let Some((group, values)) = spans else { continue };
        let fields = |spans: &[(usize, usize)]| -> Vec<Field<'_>> {
            let field = |span: &(usize, usize)| Field {
                folded: slices(&texts.folded, *span),
                shown: slices(&texts.original, *span),
            };
            spans.iter().map(field).collect()
        };
        each(*part, keys.fill(correlations, *part, &fields(&group), &fields(&values)));
    }
}

fn slices(texts: &Texts, (from, to): (usize, usize)) -> Vec<&[u8]> {
    texts.range(from, to).collect()
}

/// The values of a field.
type Values<'t> = Vec<&'t [u8]>;

/// A field's values.
#[derive(Debug, Default, Clone)]
struct Field<'t> {
    folded: Values<'t>,
    shown: Values<'t>,
}

impl Keys {
    /// Writes down what `part` of a correlation is to know.
    fn fill(
        &mut self,
        correlations: &Correlations,
        part: Part,
        group: &[Field<'_>],
        values: &[Field<'_>],
    ) -> Join<'_> {
        let Some(correlation) = correlations.get(part.correlation) else {
            return Join::WithoutGroup;
        };
        let lacks = |fields: &[Field<'_>]| fields.iter().any(|field| field.folded.is_empty());
        if lacks(group) && !correlation.aggregation {
            return Join::WithoutGroup;
        }
        self.group.clear();
        self.shown.clear();
        self.value.clear();
        self.numbers.clear();
        for field in group {
            append_field(&field.folded, &mut self.group);
            append_field(&field.shown, &mut self.shown);
        }
        match correlation.kind {
            CorrelationKind::EventCount
            | CorrelationKind::Temporal
            | CorrelationKind::TemporalOrdered => {}
            CorrelationKind::ValueCount(_) => {
                if lacks(values) {
                    return Join::WithoutValue;
                }
                values.iter().for_each(|field| append_field(&field.folded, &mut self.value));
            }
            CorrelationKind::ValueSum(_)
            | CorrelationKind::ValueAvg(_)
            | CorrelationKind::ValuePercentile(..) => {
                let texts = values.iter().flat_map(|field| &field.shown);
                self.numbers.extend(texts.filter_map(|text| Decimal::parse(text)));
                if self.numbers.is_empty() {
                    return Join::WithoutValue;
                }
            }
        }
        Join::Joins(self)
    }
}

impl Correlations {
    /// Hands to `each` what the correlations that refer to another are to know of a finding of that
    /// one: it has the values that it is grouped by, under the names that it gives them, and nothing
    /// else.
    pub fn join_finding(&self, inner: usize, finding: &Keys, each: &mut dyn FnMut(Part, Join<'_>)) {
        let Some(names) = self.get(inner).map(|inner| &inner.group_by) else { return };
        let (folded, shown) = (read_group(&finding.group), read_group(&finding.shown));
        let field = |place: &u32| {
            let name = self.name(*place);
            let same = |other: &String| other == name;
            let like = |other: &String| other.eq_ignore_ascii_case(name);
            let at = names.iter().position(same).or_else(|| names.iter().position(like));
            Field {
                folded: at.and_then(|at| folded.get(at).cloned()).unwrap_or_default(),
                shown: at.and_then(|at| shown.get(at).cloned()).unwrap_or_default(),
            }
        };
        let mut keys = Keys::default();
        for part in self.of_correlation(inner) {
            let Some(fields) = self.fields(*part) else { continue };
            let group: Vec<Field<'_>> = fields.group.iter().map(field).collect();
            let values: Vec<Field<'_>> = fields.values.iter().map(field).collect();
            each(*part, keys.fill(self, *part, &group, &values));
        }
    }
}

/// How many values, and of each its length and bytes, so that no two fields give the same.
fn append_field(values: &[&[u8]], out: &mut Vec<u8>) {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_be_bytes();
    out.extend_from_slice(&number(values.len()));
    for value in values {
        out.extend_from_slice(&number(value.len()));
        out.extend_from_slice(value);
    }
}

/// The values of each of a group's fields; a field without any is missing.
#[must_use]
pub fn read_group(mut bytes: &[u8]) -> Vec<Vec<&[u8]>> {
    fn number(bytes: &mut &[u8]) -> Option<usize> {
        let (number, rest) = bytes.split_first_chunk::<4>()?;
        *bytes = rest;
        usize::try_from(u32::from_be_bytes(*number)).ok()
    }
    fn field<'b>(bytes: &mut &'b [u8]) -> Option<Vec<&'b [u8]>> {
        let mut values = Vec::new();
        for _ in 0..number(bytes)? {
            let length = number(bytes)?;
            let (value, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            values.push(value);
        }
        Some(values)
    }
    std::iter::from_fn(|| field(&mut bytes)).collect()
}
