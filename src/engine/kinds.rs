//! Which kinds of events were met, and which rules had nothing to look at.
//!
//! A rule that speaks of process creations hits nothing in evidence without any, and that is no
//! answer to the question whether there was an evil process. A [`Scanner`](super::Scanner) notes each
//! kind of event (provider, channel, event id) when it meets the first one, which it has to look up
//! in its tables anyway; so for a record of a known kind nothing is done at all.
//!
//! Invariant: [`RuleSet::sighted`] says of no rule that it could not see if any event that was met
//! could have hit it. It may say too little: a rule for the Security log that asks for event 4720 has
//! seen, if there was a Security log without any.

use super::expr::Expr;
use super::ruleset::{Key, MAX_KEYS, RuleId, RuleSet};
use crate::sigma::Dialect;
use crate::taxonomy::EventKey;
use std::collections::BTreeSet;

/// What a kind of events is told by; texts are folded, absent ones empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    channel: String,
    provider: String,
    event_id: Option<u32>,
}

/// Kinds of events that were met.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Kinds {
    kinds: BTreeSet<Kind>,
    /// Whether there were more of them than are kept.
    more: bool,
}

impl Kinds {
    pub(super) fn note(&mut self, key: &EventKey<'_>) {
        self.insert(Kind {
            channel: key.channel.to_owned(),
            provider: key.provider.to_owned(),
            event_id: key.event_id,
        });
    }

    fn insert(&mut self, kind: Kind) {
        if self.kinds.contains(&kind) {
            return;
        }
        // As many as a scanner remembers; a host has some thousands.
        if self.kinds.len() >= MAX_KEYS {
            self.more = true;
        } else {
            self.kinds.insert(kind);
        }
    }

    /// Adds what was met elsewhere.
    pub fn merge(&mut self, other: Kinds) {
        self.more |= other.more;
        other.kinds.into_iter().for_each(|kind| self.insert(kind));
    }

    /// The kinds, in the order of their channels; nothing if there were too many to keep.
    pub fn iter(&self) -> impl Iterator<Item = EventKey<'_>> {
        let all = (!self.more).then_some(&self.kinds);
        all.into_iter().flatten().map(|kind| EventKey {
            provider: &kind.provider,
            channel: &kind.channel,
            event_id: kind.event_id,
        })
    }

    /// Whether all kinds that were met are known: from others nothing can be concluded.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        !self.more
    }

    /// Whether an event of this channel (folded) was met.
    #[must_use]
    pub fn has_channel(&self, channel: &str) -> bool {
        self.kinds.iter().any(|kind| kind.channel == channel)
    }
}

impl RuleSet {
    /// For each rule, by index: whether any kind of event that was met is one that it speaks of.
    #[must_use]
    pub fn sighted(&self, kinds: &Kinds) -> Vec<bool> {
        if !kinds.is_complete() {
            return vec![true; self.rules().count()];
        }
        let mut sighted = vec![false; self.rules().count()];
        let channels: BTreeSet<&str> = kinds.iter().map(|key| key.channel).collect();
        for gate in &self.gates {
            let admits = |key: &EventKey<'_>| gate.sources.iter().any(|s| s.source.admits(key));
            if !kinds.iter().any(|key| admits(&key)) {
                continue;
            }
            for rule in &gate.rules {
                if let Some(sighted) = sighted.get_mut(rule.index()) {
                    *sighted = self.allows_channel(*rule, &channels);
                }
            }
        }
        sighted
    }

    /// Whether the rule's condition leaves it open that it hits in one of these channels. Hayabusa's
    /// rules name their channel there and nowhere else.
    fn allows_channel(&self, rule: RuleId, channels: &BTreeSet<&str>) -> bool {
        let dialect = self.rule(rule).dialect;
        let Some(compiled) = self.compiled.get(rule.index()) else { return true };
        dialect != Dialect::Hayabusa
            || channels.iter().any(|channel| {
                let channel = Some(*channel).filter(|channel| !channel.is_empty());
                let key = Key { provider: None, channel, event_id: None, decides: true };
                let known = |id| {
                    let field = self.predicates.get(id).item.field.as_deref();
                    (field == Some("Channel"))
                        .then(|| self.known_by_key(id, &key, dialect))
                        .flatten()
                };
                compiled.expr.fold(&known) != Expr::Const(false)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(ids: std::ops::Range<u32>) -> Kinds {
        let mut kinds = Kinds::default();
        ids.for_each(|id| {
            kinds.note(&EventKey { provider: "p", channel: "c", event_id: Some(id) });
        });
        kinds
    }

    /// However many scanners met them, and even if there are too many to keep.
    #[test]
    fn merging_does_not_depend_on_who_met_what() {
        let most = u32::try_from(MAX_KEYS).unwrap();
        for (from, to, complete) in [(0, 10, true), (0, most, true), (0, most + 1, false)] {
            let middle = to / 2;
            let mut merged = kinds(from..middle);
            merged.merge(kinds(middle - 2..to));
            merged.merge(kinds(from..middle));
            assert_eq!(merged.is_complete(), complete);
            assert_eq!(merged.iter().count(), if complete { to as usize } else { 0 });
        }
        assert!(kinds(0..1).has_channel("c") && !kinds(0..1).has_channel("p"));
    }

    /// If not all kinds are known, nothing is said of any rule.
    #[test]
    fn nothing_is_concluded_from_some_kinds() {
        let text = "title: t\nlogsource: {category: process_creation}\ndetection:\n  s: {a: b}\n  \
                    condition: s\n";
        let rules = crate::sigma::load_str("t.yml", text, &crate::sigma::LoadOptions::default());
        let taxonomy = crate::taxonomy::Taxonomy::builtin(crate::taxonomy::Options::default());
        let set = RuleSet::compile(rules.rules, taxonomy);
        assert_eq!(set.sighted(&kinds(0..5)), [false]);
        assert_eq!(set.sighted(&kinds(0..u32::try_from(MAX_KEYS).unwrap() + 1)), [true]);
        let mut met = Kinds::default();
        let channel = "microsoft-windows-sysmon/operational";
        met.note(&EventKey { provider: "microsoft-windows-sysmon", channel, event_id: Some(1) });
        assert_eq!(set.sighted(&met), [true]);
    }
}
