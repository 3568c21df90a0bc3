//! Correlation rules and filters as documents, before it is known what they refer to.
//!
//! A reference may point into another file, so reading a document gives a draft, in which references
//! are texts with places; `resolve` makes correlations and filters of drafts once all files are
//! there. What can be wrong with a document alone is refused here.
//!
//! Strict throughout: a key of `correlation` that is not understood would change what is counted, so
//! it refuses the document. A condition that no number of events can meet does, too.
//!
//! Source of facts: Sigma correlation rules specification 2.1.0, Sigma filters specification 2.1.0;
//! pySigma `correlations.py` and `filters.py` where they leave room.

use super::correlation::{CorrelationKind, RangeBound, RangeTest};
use super::detection::{self, Context, Counting};
use super::fault::{At, Fault, Note, RefusalKind, WarningCode};
use super::rule::{About, Condition, Detection, LogSource, Origin};
use super::timespan::{self, Timespan};
use super::yaml::{Kind, Typed, Yaml, number};

/// Rules that a correlation names. The public one with the most has 3.
const MAX_RULES: usize = 256;

/// Rules that a filter names: whoever has more means `any`.
const MAX_FILTERED: usize = 10_000;

/// Fields of `group-by` and of `field`, and names under `aliases`.
const MAX_FIELDS: usize = 64;

/// A rule as a document refers to it: id, name or title.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    /// What is written.
    pub text: String,
    /// Where.
    pub origin: Origin,
}

/// Comparisons, all of which must hold.
pub(super) type Range = Vec<(RangeTest, RangeBound)>;

/// A name, and the field that it stands for with each of some rules.
pub(super) type AliasDraft = (String, Vec<(Reference, String)>);

/// A correlation of which the references are not resolved.
#[derive(Debug, Clone)]
pub(super) struct CorrelationDraft {
    pub about: About,
    pub kind: CorrelationKind,
    pub rules: Vec<Reference>,
    pub group_by: Vec<String>,
    pub timespan: Timespan,
    pub range: Range,
    pub aliases: Vec<AliasDraft>,
    pub generate: bool,
}

/// A filter of which the references are not resolved.
#[derive(Debug, Clone)]
pub(super) struct FilterDraft {
    pub about: About,
    pub logsource: LogSource,
    /// The rules that it names; all of its log source if it names none.
    pub rules: Option<Vec<Reference>>,
    pub detection: Detection,
}

/// What a rule with an aggregation stands for, besides the rule.
#[derive(Debug, Clone)]
pub(super) struct AggregationDraft {
    pub kind: CorrelationKind,
    pub group_by: Vec<String>,
    pub timespan: Option<Timespan>,
    pub range: Range,
}

/// An aggregation as what it counts; `at` is the place of the detection.
pub(super) fn aggregation(counting: Counting, at: At) -> Result<AggregationDraft, Fault> {
    let Counting { aggregation, timeframe } = counting;
    let range = vec![aggregation.range];
    check_range(&range, 1, u64::MAX, at)?;
    Ok(AggregationDraft {
        kind: match aggregation.field {
            Some(field) => CorrelationKind::ValueCount(vec![field]),
            None => CorrelationKind::EventCount,
        },
        group_by: unique(aggregation.by),
        timespan: timeframe,
        range,
    })
}

/// Reads the value of the key `correlation`; `root` is the document.
pub(super) fn correlation(
    root: &Yaml<'_>,
    node: &Yaml<'_>,
    about: About,
    context: &Context<'_>,
) -> Result<CorrelationDraft, Fault> {
    let Kind::Map(entries) = &node.kind else {
        return Err(Fault::new(node.at, format!("`correlation` is {}, not a map", node.noun())));
    };
    let (mut kind, mut rules, mut timespan, mut condition) = (None, None, None, None);
    let (mut group_by, mut aliases, mut generate) = (Vec::new(), Vec::new(), false);
    for (key, value) in entries {
        match key.text.as_ref() {
            "type" => kind = Some(value),
            "rules" => rules = Some(references(value, "rules", MAX_RULES, context)?),
            "group-by" if value.is_null() => {}
            "group-by" => group_by = unique(fields(value, "group-by")?),
            name @ ("timespan" | "timeframe") => {
                if timespan.is_some() {
                    return Err(Fault::new(key.at, "both `timespan` and `timeframe`"));
                }
                timespan = Some(timespan::read(value, name, key.at)?);
            }
            "condition" => condition = Some(value).filter(|value| !value.is_null()),
            "aliases" if value.is_null() => {}
            "aliases" => aliases = self::aliases(value, context)?,
            "generate" => generate |= boolean(value, "generate")?,
            other => {
                let reason = format!("`{other}` is no key of a correlation that is understood");
                return Err(Fault::new(key.at, reason));
            }
        }
    }
    if let Some(value) = root.get("generate") {
        generate |= boolean(value, "generate")?;
    }
    let Some(kind) = kind else {
        return Err(Fault::new(node.at, "the correlation has no `type`"));
    };
    let Some(rules) = rules else {
        return Err(Fault::new(node.at, "the correlation has no `rules`"));
    };
    let Some(timespan) = timespan else {
        return Err(Fault::new(node.at, "the correlation has no `timespan`"));
    };
    let (kind, range) = self::kind(kind, condition, rules.len(), node.at)?;
    Ok(CorrelationDraft { about, kind, rules, group_by, timespan, range, aliases, generate })
}

/// The type of a correlation and what its condition asks of it; `at` is the correlation's place.
fn kind(
    node: &Yaml<'_>,
    condition: Option<&Yaml<'_>>,
    rules: usize,
    at: At,
) -> Result<(CorrelationKind, Range), Fault> {
    let word = node.text().unwrap_or_default();
    let temporal = matches!(word, "temporal" | "temporal_ordered");
    let Some(kind) = Words::parse(word) else {
        let reason = match node.text() {
            Some(word) => format!("`{word}` is no type of correlation"),
            None => format!("`type` is {}, not a word", node.noun()),
        };
        return Err(Fault::new(node.at, reason));
    };
    let Some(condition) = condition else {
        if !temporal {
            let reason = format!("a correlation of the type `{word}` needs a `condition`");
            return Err(Fault::new(at, reason));
        }
        let all = i128::try_from(rules).unwrap_or(i128::MAX);
        return Ok((
            kind.without_fields(),
            vec![(RangeTest::GreaterOrEqual, RangeBound::Integer(all))],
        ));
    };
    let Parts { range, field, percentile } = parts(condition, temporal)?;
    let kind = kind.with(word, field, percentile, condition.at)?;
    let rules = u64::try_from(rules).unwrap_or(u64::MAX);
    match kind {
        CorrelationKind::EventCount | CorrelationKind::ValueCount(_) => {
            check_range(&range, 1, u64::MAX, condition.at)?;
        }
        CorrelationKind::Temporal => check_range(&range, 1, rules, condition.at)?,
        CorrelationKind::TemporalOrdered => {
            check_range(&range, rules, rules, condition.at)?;
            if rules > 1 && check_range(&range, 1, rules - 1, condition.at).is_ok() {
                let reason = "a correlation of the type `temporal_ordered` is about all of its \
                              rules: its condition cannot ask for fewer";
                return Err(Fault::new(condition.at, reason));
            }
        }
        _ => {}
    }
    Ok((kind, range))
}

/// The types by their words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Words {
    EventCount,
    ValueCount,
    Temporal,
    TemporalOrdered,
    Sum,
    Average,
    Percentile,
    Median,
}

impl Words {
    fn parse(word: &str) -> Option<Words> {
        Some(match word {
            "event_count" => Words::EventCount,
            "value_count" => Words::ValueCount,
            "temporal" => Words::Temporal,
            "temporal_ordered" => Words::TemporalOrdered,
            "value_sum" => Words::Sum,
            "value_avg" => Words::Average,
            "value_percentile" => Words::Percentile,
            "value_median" => Words::Median,
            _ => return None,
        })
    }

    /// For a type without a condition: one of the temporal ones.
    fn without_fields(self) -> CorrelationKind {
        match self {
            Words::TemporalOrdered => CorrelationKind::TemporalOrdered,
            _ => CorrelationKind::Temporal,
        }
    }

    fn with(
        self,
        word: &str,
        field: Option<(Vec<String>, At)>,
        percentile: Option<(f64, At)>,
        at: At,
    ) -> Result<CorrelationKind, Fault> {
        let unwanted = |name: &str, at| {
            let reason = format!("`{name}` has no meaning for the type `{word}`");
            Err(Fault::new(at, reason))
        };
        if let Some((_, at)) = percentile
            && self != Words::Percentile
        {
            return unwanted("percentile", at);
        }
        let fields = match (self, field) {
            (Words::EventCount | Words::Temporal | Words::TemporalOrdered, Some((_, at))) => {
                return unwanted("field", at);
            }
            (Words::EventCount, None) => return Ok(CorrelationKind::EventCount),
            (Words::Temporal | Words::TemporalOrdered, None) => return Ok(self.without_fields()),
            (_, None) => {
                let reason = format!("a condition of the type `{word}` needs a `field`");
                return Err(Fault::new(at, reason));
            }
            (Words::ValueCount, Some((fields, _))) => {
                return Ok(CorrelationKind::ValueCount(unique(fields)));
            }
            (_, Some(fields)) => fields,
        };
        let field = match <[String; 1]>::try_from(fields.0) {
            Ok([field]) => field,
            Err(_) => {
                let reason = format!("the type `{word}` computes with one field");
                return Err(Fault::new(fields.1, reason));
            }
        };
        Ok(match (self, percentile) {
            (Words::Sum, _) => CorrelationKind::ValueSum(field),
            (Words::Average, _) => CorrelationKind::ValueAvg(field),
            (Words::Percentile, Some((percentile, _))) => {
                CorrelationKind::ValuePercentile(field, percentile)
            }
            (Words::Percentile, None) => {
                let reason = "a condition of the type `value_percentile` needs a `percentile`";
                return Err(Fault::new(at, reason));
            }
            _ => CorrelationKind::ValuePercentile(field, 50.0),
        })
    }
}

/// The parts of a condition.
struct Parts {
    range: Range,
    field: Option<(Vec<String>, At)>,
    percentile: Option<(f64, At)>,
}

fn parts(condition: &Yaml<'_>, temporal: bool) -> Result<Parts, Fault> {
    let Kind::Map(entries) = &condition.kind else {
        if temporal && condition.text().is_some() {
            let reason = "a condition that is a formula over rules is not supported: only one that \
                          says how many of them, as in `gte: 2`";
            return Err(Fault::of(RefusalKind::NotSupported, condition.at, reason));
        }
        let reason = format!("`condition` is {}, not a map", condition.noun());
        return Err(Fault::new(condition.at, reason));
    };
    let mut parts = Parts { range: Vec::new(), field: None, percentile: None };
    for (key, value) in entries {
        let test = match key.text.as_ref() {
            "gt" => RangeTest::Greater,
            "gte" => RangeTest::GreaterOrEqual,
            "lt" => RangeTest::Less,
            "lte" => RangeTest::LessOrEqual,
            "eq" => RangeTest::Equal,
            "neq" => RangeTest::NotEqual,
            "field" => {
                parts.field = Some((fields(value, "field")?, value.at));
                continue;
            }
            "percentile" => {
                parts.percentile = Some((percentile(value)?, value.at));
                continue;
            }
            other => {
                let reason =
                    format!("`{other}` is no comparison: they are gt, gte, lt, lte, eq, neq");
                return Err(Fault::new(key.at, reason));
            }
        };
        parts.range.push((test, bound(value, &key.text)?));
    }
    if parts.range.is_empty() {
        return Err(Fault::new(
            condition.at,
            "the condition compares with nothing: gte is missing",
        ));
    }
    Ok(parts)
}

fn bound(value: &Yaml<'_>, key: &str) -> Result<RangeBound, Fault> {
    match value.text().and_then(|text| number(text.trim())) {
        Some(Typed::Integer(value)) => Ok(RangeBound::Integer(value)),
        Some(Typed::Float(value)) => Ok(RangeBound::Float(value)),
        _ => Err(Fault::new(value.at, format!("`{key}` is compared with a number"))),
    }
}

fn percentile(value: &Yaml<'_>) -> Result<f64, Fault> {
    let number = match bound(value, "percentile")? {
        RangeBound::Integer(number) => u8::try_from(number).ok().map(f64::from),
        RangeBound::Float(number) => Some(number),
    };
    number
        .filter(|number| (0.0..=100.0).contains(number))
        .ok_or_else(|| Fault::new(value.at, "`percentile` is a number from 0 to 100"))
}

/// Refuses a range that no count from `least` to `most` is in. What holds for any number of such a
/// range holds for one that is next to a bound, or at an end.
fn check_range(range: &Range, least: u64, most: u64, at: At) -> Result<(), Fault> {
    let near = range.iter().flat_map(|(_, bound)| {
        let bound = match bound {
            RangeBound::Integer(bound) => *bound,
            // Saturates, which is good enough for a number that no count reaches.
            RangeBound::Float(bound) => bound.floor() as i128,
        };
        [-1, 0, 1].map(|step| bound.saturating_add(step))
    });
    let within = |count: &i128| (i128::from(least)..=i128::from(most)).contains(count);
    let mut counts = near.chain([i128::from(least), i128::from(most)]).filter(within);
    if counts.any(|count| range.iter().all(|(test, bound)| holds(count, *test, *bound))) {
        return Ok(());
    }
    Err(Fault::new(at, "the condition can never hold: only what happened is counted"))
}

fn holds(count: i128, test: RangeTest, bound: RangeBound) -> bool {
    let order = match bound {
        RangeBound::Integer(bound) => Some(count.cmp(&bound)),
        RangeBound::Float(bound) => (count as f64).partial_cmp(&bound),
    };
    let Some(order) = order else { return false };
    match test {
        RangeTest::Greater => order.is_gt(),
        RangeTest::GreaterOrEqual => order.is_ge(),
        RangeTest::Less => order.is_lt(),
        RangeTest::LessOrEqual => order.is_le(),
        RangeTest::Equal => order.is_eq(),
        RangeTest::NotEqual => order.is_ne(),
    }
}

/// Names of fields: one, or a list.
fn fields(node: &Yaml<'_>, key: &str) -> Result<Vec<String>, Fault> {
    let items = match &node.kind {
        Kind::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    if items.is_empty() {
        return Err(Fault::new(node.at, format!("`{key}` is an empty list")));
    }
    if items.len() > MAX_FIELDS {
        return Err(Fault::new(node.at, format!("`{key}` has more than {MAX_FIELDS} fields")));
    }
    items.iter().map(|item| filled(item, key, "the name of a field")).collect()
}

/// Without what stands in it before.
fn unique(fields: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::with_capacity(fields.len());
    for field in fields {
        if !kept.contains(&field) {
            kept.push(field);
        }
    }
    kept
}

fn filled(node: &Yaml<'_>, key: &str, what: &str) -> Result<String, Fault> {
    match node.text() {
        Some(text) if !text.trim().is_empty() => Ok(text.to_owned()),
        Some(_) => Err(Fault::new(node.at, format!("`{key}` has an empty text for {what}"))),
        None => Err(Fault::new(node.at, format!("`{key}` has {} for {what}", node.noun()))),
    }
}

fn boolean(node: &Yaml<'_>, key: &str) -> Result<bool, Fault> {
    match node.scalar().map(super::yaml::Scalar::typed) {
        Some(Typed::Bool(value)) => Ok(value),
        _ => Err(Fault::new(node.at, format!("`{key}` is `true` or `false`, without quotes"))),
    }
}

/// References to rules: one, or a list.
fn references(
    node: &Yaml<'_>,
    key: &str,
    most: usize,
    context: &Context<'_>,
) -> Result<Vec<Reference>, Fault> {
    let items = match &node.kind {
        Kind::List(items) => items.as_slice(),
        _ => std::slice::from_ref(node),
    };
    if items.is_empty() {
        return Err(Fault::new(node.at, format!("`{key}` is an empty list")));
    }
    if items.len() > most {
        return Err(Fault::new(node.at, format!("`{key}` has more than {most} rules")));
    }
    let reference = |item: &Yaml<'_>| {
        let text = filled(item, key, "a rule's id or name")?;
        Ok(Reference { text, origin: item.at.origin(context.file, context.document) })
    };
    items.iter().map(reference).collect()
}

fn aliases(node: &Yaml<'_>, context: &Context<'_>) -> Result<Vec<AliasDraft>, Fault> {
    let Kind::Map(entries) = &node.kind else {
        return Err(Fault::new(node.at, format!("`aliases` is {}, not a map", node.noun())));
    };
    if entries.len() > MAX_FIELDS {
        return Err(Fault::new(node.at, format!("more than {MAX_FIELDS} aliases")));
    }
    let mut aliases = Vec::with_capacity(entries.len());
    for (name, value) in entries {
        let Kind::Map(fields) = &value.kind else {
            let reason = format!(
                "the alias `{}` is {}, not a map from rules to fields",
                name.text,
                value.noun()
            );
            return Err(Fault::new(value.at, reason));
        };
        if name.text.trim().is_empty() {
            return Err(Fault::new(name.at, "an alias without a name"));
        }
        let mut of_rules = Vec::with_capacity(fields.len());
        for (rule, field) in fields {
            let origin = rule.at.origin(context.file, context.document);
            let rule = Reference { text: rule.text.clone().into_owned(), origin };
            of_rules.push((rule, filled(field, "aliases", "the name of a field")?));
        }
        aliases.push((name.text.clone().into_owned(), of_rules));
    }
    Ok(aliases)
}

/// Reads the value of the key `filter`.
pub(super) fn filter(
    node: &Yaml<'_>,
    about: About,
    logsource: LogSource,
    context: &mut Context<'_>,
) -> Result<FilterDraft, Fault> {
    let detection = detection::filter(node, context)?;
    let Some(rules) = node.get("rules") else {
        return Err(Fault::new(node.at, "the filter has no `rules`: say which, or `any`"));
    };
    let rules = match &rules.kind {
        Kind::List(items) if items.is_empty() => None,
        Kind::Scalar(_) if rules.text().is_some_and(|text| text.eq_ignore_ascii_case("any")) => {
            None
        }
        _ => Some(references(rules, "rules", MAX_FILTERED, context)?),
    };
    if !has_not(&detection.condition) {
        context.notes.push(Note {
            at: node.get("condition").map_or(node.at, |condition| condition.at),
            code: WarningCode::FilterWithoutNot,
            text: "a filter's condition is what must hold besides the rule's, and this one has no \
                   `not`: all that it does not describe is taken away"
                .to_owned(),
        });
    }
    Ok(FilterDraft { about, logsource, rules, detection })
}

fn has_not(condition: &Condition) -> bool {
    match condition {
        Condition::Not(_) => true,
        Condition::And(terms) | Condition::Or(terms) => terms.iter().any(has_not),
        Condition::Section(_) | Condition::AtLeast { .. } => false,
    }
}

#[cfg(test)]
mod tests;
