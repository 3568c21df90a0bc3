//! What is to be told of a record that is shown, copied out once, however many rules hit it.

use super::by_layout::ByLayout;
use super::said::Said;
use crate::engine::RuleSet;
use crate::event::{Event, Layout, Leaf, LeafId, Section};
use crate::evidence::Source;
use crate::evtx::{Record, State};
use crate::report::{DataObject, EventInfo, Fields, Format, Mould, Place};
use hashbrown::HashSet;

/// What makes descriptions, in buffers that are used again.
pub(super) struct Describer<'a> {
    rules: &'a RuleSet,
    wants: Wants,
    plans: ByLayout<Plan<'a>>,
    said: Said,
    /// Where the computer stands in it.
    computer: Option<usize>,
    system: Fields,
    data: Fields,
    object: DataObject,
}

/// What is wanted of events.
#[derive(Clone, Copy)]
struct Wants {
    /// The whole System part as fields.
    system: bool,
    /// The body as fields, and as a JSON object.
    fields: bool,
    object: bool,
    /// All values, for others.
    all: bool,
}

/// What is to be told of an event.
#[derive(Clone, Copy)]
pub(super) struct Description<'d> {
    pub(super) timestamp: Option<&'d str>,
    pub(super) event: EventInfo<'d>,
    /// The System part, if it was asked for.
    pub(super) system: &'d Fields,
    /// What the body is called.
    pub(super) body: &'static str,
    pub(super) data: &'d Fields,
    /// The body as a JSON object, if that is wanted and it has no name twice.
    pub(super) object: Option<&'d [u8]>,
}

impl<'a> Describer<'a> {
    /// What is needed for hits in these formats; with `all`, what is said tells all of an event.
    pub(super) fn new(rules: &'a RuleSet, formats: &[&Format], all: bool) -> Describer<'a> {
        let any = |wants: fn(&Format) -> bool| formats.iter().any(|format| wants(format));
        Describer {
            rules,
            wants: Wants {
                system: any(Format::wants_system),
                fields: any(Format::wants_fields),
                object: any(Format::wants_object),
                all,
            },
            plans: ByLayout::default(),
            said: Said::default(),
            computer: None,
            system: Fields::new(),
            data: Fields::new(),
            object: DataObject::default(),
        }
    }

    /// Copies what is said of an event.
    pub(super) fn read(&mut self, event: &impl Event) -> Description<'_> {
        let (wants, rules) = (self.wants, self.rules);
        let plan = self.plans.of(event.layout(), |layout| Plan::new(layout, wants));
        let Describer { said, system, data, object, .. } = self;
        said.read(event, plan.leaves.iter().copied());
        system.clear();
        for (leaf, name) in &plan.system {
            // An element that has attributes alone says nothing by itself.
            for (text, kind) in said.of(*leaf).filter(|(text, _)| !text.is_empty()) {
                system.push_text(name, text, kind);
            }
        }
        if plan.is_object {
            object.begin();
            plan.object.iter().for_each(|(leaf, name)| object.values(name, said.of(*leaf)));
            object.end();
        }
        data.clear();
        for (leaf, name) in &plan.fields {
            said.of(*leaf).for_each(|(text, kind)| data.push_text(name, text, kind));
        }
        let said = &*said;
        let first = |leaf: Option<usize>| said.first(leaf?);
        self.computer = plan.told.computer;
        let kind = plan.told.kind.map(first);
        if plan.kind.as_ref().is_none_or(|known| !known.is(kind)) {
            plan.kind = KindOfEvent::new(kind, rules, wants.object);
        }
        let event = match &plan.kind {
            Some(known) => known.info(),
            None => {
                let of = kind.map(|of| of.map(text));
                let [provider, channel, event_id] = of;
                let title = title(of, rules);
                EventInfo { provider, channel, event_id, title, ..EventInfo::default() }
            }
        };
        Description {
            timestamp: first(plan.told.time).map(text),
            event: EventInfo {
                record_id: first(plan.told.record_id).map(text),
                computer: first(plan.told.computer).map(text),
                ..event
            },
            system,
            body: plan.body,
            data,
            object: plan.is_object.then(|| object.as_bytes()),
        }
    }

    /// All that the event says that was read last, if that was asked for.
    pub(super) fn said(&self) -> Option<&Said> {
        self.wants.all.then_some(&self.said)
    }

    /// The computer of the event that was read last, empty if it names none.
    pub(super) fn computer(&self) -> &str {
        self.computer.and_then(|leaf| self.said.first(leaf)).map_or("", text)
    }

    /// Whether bodies are wanted as JSON objects.
    pub(super) fn has_objects(&self) -> bool {
        self.wants.object
    }
}

/// A text as a string. The text form is UTF-8; were it not, that would be seen.
fn text(text: &[u8]) -> &str {
    std::str::from_utf8(text).unwrap_or("\u{fffd}")
}

/// What is told of the System part of every event, by where it stands among what is read.
#[derive(Clone, Copy)]
struct Told {
    time: Option<usize>,
    record_id: Option<usize>,
    computer: Option<usize>,
    /// Provider, channel and event id.
    kind: [Option<usize>; 3],
}

/// What is told of events that have provider, channel and event id in common: nearly all of a layout.
struct KindOfEvent<'a> {
    texts: [Option<Box<str>>; 3],
    title: Option<&'a str>,
    mould: Option<Mould>,
}

impl<'a> KindOfEvent<'a> {
    /// The longest texts, together, that are kept: twice what Windows has. One is kept for each layout,
    /// and texts that were made to be long are to cost no more than layouts do.
    const LONGEST: usize = 256;

    /// The kind with these texts, unless they are too long to be kept.
    fn new(of: [Option<&[u8]>; 3], rules: &'a RuleSet, with_mould: bool) -> Option<Self> {
        if of.iter().flatten().map(|text| text.len()).sum::<usize>() > Self::LONGEST {
            return None;
        }
        let texts = of.map(|of| of.map(|of| text(of).into()));
        let title = title(texts.each_ref().map(Option::as_deref), rules);
        let mut kind = KindOfEvent { texts, title, mould: None };
        kind.mould = with_mould.then(|| kind.info().mould());
        Some(kind)
    }

    fn is(&self, of: [Option<&[u8]>; 3]) -> bool {
        let known = self.texts.iter().map(|text| text.as_ref().map(|text| text.as_bytes()));
        known.eq(of)
    }

    fn info(&self) -> EventInfo<'_> {
        let [provider, channel, event_id] = self.texts.each_ref().map(Option::as_deref);
        let (title, mould) = (self.title, self.mould.as_ref());
        EventInfo { provider, channel, event_id, title, mould, ..EventInfo::default() }
    }
}

/// What events with this provider, channel and event id are called.
fn title<'r>(of: [Option<&str>; 3], rules: &'r RuleSet) -> Option<&'r str> {
    let [provider, channel, id] = of;
    rules.taxonomy().title(channel?, provider?, id?.parse().ok()?)
}

/// Where a record of the source at `path` lies.
pub(super) fn place<'p>(source: &'p Source, record: &Record<'_>) -> Place<'p> {
    Place {
        path: source.name(),
        state: source.state().as_str(),
        host: source.host(),
        chunk: record.chunk(),
        offset: record.offset(),
        record_id: record.header_record_id(),
        recovered: record.state() != State::Live,
        mould: None,
    }
}

/// What is to be done with events of a layout. Leaves are spoken of by their places among those that
/// are read.
struct Plan<'a> {
    /// The leaves that are read, in their order.
    leaves: Vec<LeafId>,
    told: Told,
    /// Of which kind the last event was.
    kind: Option<KindOfEvent<'a>>,
    /// The leaves of the System part, if they are wanted as fields.
    system: Vec<(usize, Box<str>)>,
    /// Those of the body, if they are wanted as fields.
    fields: Vec<(usize, Box<str>)>,
    /// The same with their names as [`DataObject`] has them, if they become an object.
    object: Vec<(usize, Vec<u8>)>,
    is_object: bool,
    body: &'static str,
}

impl Plan<'_> {
    fn new(layout: &Layout, wants: Wants) -> Self {
        let system = layout.system();
        let kind = [system.provider, system.channel, system.event_id];
        let own = [system.time, system.record_id, system.computer];
        let is_told = |id| own.contains(&id) || kind.contains(&id);
        let is_of_body = |leaf: &Leaf| leaf.section != Section::System;
        let is_read = |(id, leaf): &(LeafId, &Leaf)| {
            wants.all || wants.system || is_of_body(leaf) || is_told(Some(*id))
        };
        let read: Vec<_> = layout.iter().filter(is_read).collect();
        let place = |id: Option<LeafId>| read.iter().position(|(read, _)| Some(*read) == id);
        let named = |body: bool| -> Vec<(usize, Box<str>)> {
            let part = read.iter().enumerate().filter(|(_, (_, leaf))| is_of_body(leaf) == body);
            part.map(|(place, (_, leaf))| (place, leaf.name.clone())).collect()
        };
        let body = named(true);
        // An object has no name twice.
        let names = body.iter().map(|(_, name)| name).collect::<HashSet<_>>().len();
        let is_object = wants.object && names == body.len();
        let object = body.iter().filter(|_| is_object);
        let user_data = read.iter().any(|(_, leaf)| leaf.section == Section::UserData);
        Plan {
            told: Told {
                time: place(system.time),
                record_id: place(system.record_id),
                computer: place(system.computer),
                kind: kind.map(place),
            },
            kind: None,
            system: if wants.system { named(false) } else { Vec::new() },
            object: object.map(|(place, name)| (*place, DataObject::name(name))).collect(),
            is_object,
            body: if user_data { "UserData" } else { "EventData" },
            leaves: read.iter().map(|(id, _)| *id).collect(),
            fields: if wants.fields || wants.object && !is_object { body } else { Vec::new() },
        }
    }
}
