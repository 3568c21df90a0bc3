//! Fields that no event has that a rule speaks of.

use super::super::expr::Expr;
use super::super::ruleset::{Key, RuleId, RuleSet};
use crate::sigma::{Dialect, Item, Origin, Rule, Test};
use crate::taxonomy::{KnownEvent, KnownEvents, Source, View};
use crate::utf16::folded;
use strsim::damerau_levenshtein;

/// An event id that no event has.
const NO_EVENT: &str = "4294967295";

/// A name is near another if at most a third of it differs, and that is no more than this.
const MOST_DIFFERENT: usize = 4;

/// Events, each with the view through which it is seen.
pub(super) type Events<'k> = Vec<(View, &'k KnownEvent)>;

/// All events that a rule speaks of; nothing if some of them are not known.
pub(super) fn events<'k>(
    set: &RuleSet,
    id: RuleId,
    rule: &Rule,
    sources: &[Source],
    known: &'k KnownEvents,
) -> Option<Events<'k>> {
    let mut asked_for = None;
    let mut events = Vec::new();
    for source in sources {
        let ids = match &source.event_ids {
            Some(ids) => ids,
            None => asked_for.get_or_insert_with(|| only(set, id, rule)).as_ref()?,
        };
        let of_source = known.of_source(source, ids)?;
        events.extend(of_source.into_iter().map(|event| (source.view, event)));
    }
    (!events.is_empty()).then_some(events)
}

/// The event ids that a rule names, if it can hit no others.
fn only(set: &RuleSet, id: RuleId, rule: &Rule) -> Option<Vec<u32>> {
    let key = Key { provider: None, channel: None, event_id: Some(NO_EVENT), decides: true };
    let known = |predicate| {
        let field = set.predicates.get(predicate).item.field.as_deref();
        (field == Some("EventID"))
            .then(|| set.known_by_key(predicate, &key, Dialect::Sigma))
            .flatten()
    };
    if set.compiled.get(id.index())?.expr.fold(&known) != Expr::Const(false) {
        return None;
    }
    let mut ids = Vec::new();
    super::items(rule, &mut |item| ids.extend(super::event_ids(item)));
    ids.sort_unstable();
    ids.dedup();
    (!ids.is_empty()).then_some(ids)
}

/// The places of fields that none of the events has, and what to say.
pub(super) fn unknown<'r>(
    set: &RuleSet,
    rule: &'r Rule,
    events: &Events<'_>,
) -> Vec<(&'r Origin, String)> {
    let mut found: Vec<(&Origin, String)> = Vec::new();
    let mut right: Vec<&str> = Vec::new();
    super::items(rule, &mut |item| {
        for name in names(item) {
            if right.contains(&name) {
                continue;
            }
            if has(set, events, name) {
                right.push(name);
            } else {
                let near = nearest(events, name);
                let near =
                    near.map(|near| format!(", the nearest is `{near}`")).unwrap_or_default();
                let text = format!("no event of {} has a field `{name}`{near}", rule.logsource);
                found.push((&item.origin, text));
            }
        }
    });
    found
}

/// The fields that an item looks at.
fn names(item: &Item) -> Vec<&str> {
    fn references<'r>(test: &'r Test, names: &mut Vec<&'r str>) {
        match test {
            Test::FieldRef { field, .. } => names.push(field),
            Test::AnyOf(tests) => tests.iter().for_each(|test| references(test, names)),
            _ => {}
        }
    }
    let mut names: Vec<&str> = item.field.as_deref().into_iter().collect();
    item.values.iter().for_each(|test| references(test, &mut names));
    names
}

fn has(set: &RuleSet, events: &Events<'_>, name: &str) -> bool {
    let resolves = |(view, event): &(View, &KnownEvent)| {
        !set.taxonomy().resolve(*view, name, &event.key(), event.layout()).is_empty()
    };
    events.iter().any(resolves)
}

/// The field of the events whose name is nearest, if one is near.
fn nearest<'k>(events: &Events<'k>, name: &str) -> Option<&'k str> {
    let wanted = folded(name);
    let names = events.iter().flat_map(|(_, event)| event.names());
    let ranked = names.map(|name| (damerau_levenshtein(&wanted, &folded(name)), name));
    let (distance, name) = ranked.min()?;
    let most = (wanted.chars().count() / 3).min(MOST_DIFFERENT);
    (distance <= most).then_some(name)
}
