//! Which events are looked at at all, by what they say of themselves in their System part.
//!
//! A record that is not wanted goes no further than to here: of it nothing was read but the values
//! that decide, where they stand, and no rule was asked. It is counted in its own bin of the ledger.
//!
//! What is compared is the event, never its container or its record's header: a file's first record
//! says nothing of the others, since merged and forwarded logs mix channels and computers; and a
//! record is written later than its event is, by days in a collector's log. So no chunk is passed over
//! unread: nothing in its header bounds the times of its events.
//!
//! Invariant: an event is wanted or not by the same values that its hits show: the first of each
//! leaf. An event that does not say when it was passes every time: nobody can say that it lies outside.

use super::glob::Glob;
use super::time::{Ticks, event_time};
use crate::event::{Event, LeafId, Value};
use hashbrown::HashMap;
use std::fmt;
use std::ops::RangeInclusive;

/// How many names' verdicts a screen remembers; a collector's log names some thousands of computers.
const MAX_NAMES: usize = 4096;

/// Which events are wanted: those that every part wants; a part that is empty wants all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Any of these channels, by their whole names or as tables show them: without
    /// `Microsoft-Windows-` and `/Operational`.
    pub channels: Vec<Glob>,
    /// Any of these computers, by their whole names or, of a pattern without a dot, by what stands
    /// before the first dot.
    pub computers: Vec<Glob>,
    /// Any of these event ids.
    pub event_ids: Vec<RangeInclusive<u32>>,
    /// Events at this time or later.
    pub from: Option<Ticks>,
    /// Events before this time.
    pub to: Option<Ticks>,
}

impl EventFilter {
    /// Whether it wants all events.
    #[must_use]
    pub fn wants_all(&self) -> bool {
        *self == EventFilter::default()
    }
}

/// What it wants, in words.
impl fmt::Display for EventFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |names: &[Glob]| names.iter().map(Glob::as_str).collect::<Vec<_>>().join(", ");
        let id = |ids: &RangeInclusive<u32>| match (ids.start(), ids.end()) {
            (first, last) if first == last => first.to_string(),
            (first, last) => format!("{first}-{last}"),
        };
        let time = |time: Ticks| crate::event::format_file_time(time);
        let parts = [
            (!self.channels.is_empty()).then(|| format!("channel {}", names(&self.channels))),
            (!self.computers.is_empty()).then(|| format!("computer {}", names(&self.computers))),
            (!self.event_ids.is_empty()).then(|| {
                let ids: Vec<String> = self.event_ids.iter().map(id).collect();
                format!("event id {}", ids.join(", "))
            }),
            self.from.map(|from| format!("from {}", time(from))),
            self.to.map(|to| format!("before {}", time(to))),
        ];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join("; "))
    }
}

/// A filter with what a thread remembers of the names that it met.
pub(super) struct Screen<'a> {
    filter: &'a EventFilter,
    channels: Names<'a>,
    computers: Names<'a>,
}

impl<'a> Screen<'a> {
    pub(super) fn new(filter: &'a EventFilter) -> Screen<'a> {
        Screen {
            filter,
            channels: Names::new(&filter.channels, is_channel),
            computers: Names::new(&filter.computers, is_computer),
        }
    }

    /// Whether the event is wanted; the cheapest part first.
    #[inline]
    pub(super) fn wants<E: Event>(&mut self, event: &E) -> bool {
        let system = *event.layout().system();
        self.wants_id(event, system.event_id)
            && self.wants_time(event)
            && self.channels.want(event, system.channel)
            && self.computers.want(event, system.computer)
    }

    fn wants_id<E: Event>(&self, event: &E, leaf: Option<LeafId>) -> bool {
        let wanted = &self.filter.event_ids;
        if wanted.is_empty() {
            return true;
        }
        let id = first(event, leaf, |value| match value {
            Value::Unsigned(id) => u32::try_from(id).ok(),
            other => other.to_text().trim().parse().ok(),
        });
        id.flatten().is_some_and(|id| wanted.iter().any(|ids| ids.contains(&id)))
    }

    fn wants_time<E: Event>(&self, event: &E) -> bool {
        let EventFilter { from, to, .. } = self.filter;
        if from.is_none() && to.is_none() {
            return true;
        }
        event_time(event).is_none_or(|time| {
            from.is_none_or(|from| time >= from) && to.is_none_or(|to| time < to)
        })
    }
}

/// What `read` makes of a leaf's first value.
fn first<E: Event, T>(
    event: &E,
    leaf: Option<LeafId>,
    mut read: impl FnMut(Value<'_>) -> T,
) -> Option<T> {
    let mut found = None;
    event.values(leaf?, |value| {
        if found.is_none() {
            found = Some(read(value));
        }
    });
    found
}

/// Patterns for names, with the verdicts on the names that were met.
struct Names<'a> {
    patterns: &'a [Glob],
    /// Whether a pattern means a name; names are folded.
    means: fn(&Glob, &[u8]) -> bool,
    /// By the bytes in the log. The same bytes are other text in another encoding.
    utf16: HashMap<Box<[u8]>, bool>,
    utf8: HashMap<Box<[u8]>, bool>,
    folded: Vec<u8>,
}

impl<'a> Names<'a> {
    fn new(patterns: &'a [Glob], means: fn(&Glob, &[u8]) -> bool) -> Names<'a> {
        let (utf16, utf8) = (HashMap::new(), HashMap::new());
        Names { patterns, means, utf16, utf8, folded: Vec::new() }
    }

    /// Whether the name in this leaf is wanted; without one the name is empty.
    fn want<E: Event>(&mut self, event: &E, leaf: Option<LeafId>) -> bool {
        if self.patterns.is_empty() {
            return true;
        }
        let known = first(event, leaf, |value| self.judge(value));
        known.unwrap_or_else(|| self.judge(Value::Empty))
    }

    fn judge(&mut self, name: Value<'_>) -> bool {
        let known = match name {
            Value::Utf16(raw) => Some((&mut self.utf16, raw)),
            Value::Text(text) => Some((&mut self.utf8, text.as_bytes())),
            _ => None,
        };
        if let Some((names, raw)) = &known
            && let Some(verdict) = names.get(*raw)
        {
            return *verdict;
        }
        self.folded.clear();
        name.append_folded(&mut self.folded);
        let verdict = self.patterns.iter().any(|pattern| (self.means)(pattern, &self.folded));
        if let Some((names, raw)) = known {
            if names.len() >= MAX_NAMES {
                names.clear();
            }
            names.insert(raw.into(), verdict);
        }
        verdict
    }
}

fn is_channel(pattern: &Glob, name: &[u8]) -> bool {
    let short = name.strip_prefix(b"microsoft-windows-").unwrap_or(name);
    let short = short.strip_suffix(b"/operational").unwrap_or(short);
    pattern.is_match_folded(name) || pattern.is_match_folded(short)
}

fn is_computer(pattern: &Glob, name: &[u8]) -> bool {
    pattern.is_match_folded(name)
        || !pattern.as_str().contains('.')
            && pattern.is_match_folded(name.split(|byte| *byte == b'.').next().unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Layout, Leaf, LeafKind, Section};
    use std::sync::Arc;

    /// An event of System values; a name that comes again is a second value of the first's leaf.
    struct Made {
        layout: Arc<Layout>,
        values: Vec<Vec<Value<'static>>>,
    }

    impl Made {
        fn new(system: &[(&str, &[Value<'static>])]) -> Made {
            let leaf = |name: &str| Leaf {
                section: Section::System,
                kind: LeafKind::Named,
                name: name.into(),
            };
            let layout = Layout::new(system.iter().map(|(name, _)| leaf(name)).collect());
            Made { layout, values: system.iter().map(|(_, values)| values.to_vec()).collect() }
        }
    }

    impl Event for Made {
        fn layout(&self) -> &Arc<Layout> {
            &self.layout
        }

        fn values<F: FnMut(Value<'_>)>(&self, leaf: LeafId, visit: F) {
            self.values.get(leaf.index()).into_iter().flatten().copied().for_each(visit);
        }
    }

    fn names(patterns: &[&str]) -> Vec<Glob> {
        patterns.iter().map(|pattern| Glob::new(pattern)).collect()
    }

    /// Asked twice: the second answer comes from what is remembered.
    fn wants(filter: &EventFilter, event: &Made) -> bool {
        let mut screen = Screen::new(filter);
        let wanted = screen.wants(event);
        assert_eq!(screen.wants(event), wanted);
        wanted
    }

    #[test]
    fn names_are_matched_whole_or_as_they_are_shown() {
        let utf16 = Value::Utf16(b"W\0S\0-\x000\x001\0.\0c\0o\0r\0p\0");
        let sysmon = Value::Text("Microsoft-Windows-Sysmon/Operational");
        let event = Made::new(&[("Channel", &[sysmon]), ("Computer", &[utf16])]);
        for (channels, computers, want) in [
            (&[][..], &[][..], true),
            (&["sysmon"], &[], true),
            (&["Microsoft-Windows-sysmon/operational"], &[], true),
            (&["*mon"], &[], true),
            (&["Security", "s?smon"], &[], true),
            (&["Security"], &[], false),
            (&[], &["ws-01"], true),
            (&[], &["WS-01.corp"], true),
            (&[], &["ws-0*"], true),
            (&[], &["ws-0?.*"], true),
            (&[], &["ws-01.other"], false),
            (&[], &["ws-02", "corp"], false),
            (&["sysmon"], &["ws-02"], false),
            (&["security"], &["ws-01"], false),
        ] {
            let filter = EventFilter {
                channels: names(channels),
                computers: names(computers),
                ..EventFilter::default()
            };
            assert_eq!(wants(&filter, &event), want, "{channels:?} {computers:?}");
        }
        let nameless = Made::new(&[]);
        for (pattern, want) in [("*", true), ("", true), ("?*", false), ("a", false)] {
            let filter = EventFilter { channels: names(&[pattern]), ..EventFilter::default() };
            assert_eq!(wants(&filter, &nameless), want, "{pattern:?}");
        }
    }

    #[test]
    fn the_same_bytes_in_another_encoding_are_another_name() {
        let filter = EventFilter { channels: names(&["a"]), ..EventFilter::default() };
        let mut screen = Screen::new(&filter);
        let text = Made::new(&[("Channel", &[Value::Text("a\0")])]);
        let units = Made::new(&[("Channel", &[Value::Utf16(b"a\0")])]);
        for _ in 0..2 {
            assert!(!screen.wants(&text));
            assert!(screen.wants(&units));
        }
    }

    #[test]
    fn ids_are_numbers_however_they_stand_there() {
        let filter = EventFilter { event_ids: vec![1..=1, 4624..=4625], ..EventFilter::default() };
        for (values, want) in [
            (&[Value::Unsigned(1)][..], true),
            (&[Value::Unsigned(2)], false),
            (&[Value::Unsigned(4625)], true),
            (&[Value::Unsigned(4626)], false),
            (&[Value::Unsigned((1 << 32) + 1)], false),
            (&[Value::Text(" 4624 ")], true),
            (&[Value::Text("4624a")], false),
            (&[Value::Text("2"), Value::Text("1")], false),
            (&[], false),
        ] {
            assert_eq!(wants(&filter, &Made::new(&[("EventID", values)])), want, "{values:?}");
        }
        assert!(!wants(&filter, &Made::new(&[])));
    }

    #[test]
    fn the_time_is_half_open_and_an_event_without_one_passes() {
        let at = |from, to| EventFilter { from, to, ..EventFilter::default() };
        let event = Made::new(&[("TimeCreated_SystemTime", &[Value::FileTime(100)])]);
        for (from, to, want) in [
            (None, None, true),
            (Some(100), None, true),
            (Some(101), None, false),
            (None, Some(100), false),
            (None, Some(101), true),
            (Some(100), Some(101), true),
        ] {
            assert_eq!(wants(&at(from, to), &event), want, "{from:?} {to:?}");
        }
        for values in [&[][..], &[Value::Text("then")], &[Value::FileTime(u64::MAX)]] {
            let event = Made::new(&[("TimeCreated_SystemTime", values)]);
            assert!(wants(&at(Some(100), Some(101)), &event), "{values:?}");
        }
    }

    #[test]
    fn it_says_what_it_wants() {
        let filter = EventFilter {
            channels: names(&["Security", "*Sysmon*"]),
            computers: names(&["WS-*"]),
            event_ids: vec![1..=1, 4624..=4625],
            from: Some(134_059_110_728_808_340),
            to: None,
        };
        assert_eq!(
            filter.to_string(),
            "channel Security, *Sysmon*; computer WS-*; event id 1, 4624-4625; \
             from 2025-10-26T00:11:12.8808340Z"
        );
        assert!(EventFilter::default().wants_all() && !filter.wants_all());
    }
}
