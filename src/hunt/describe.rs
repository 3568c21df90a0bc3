//! What is to be told of a record that is shown, copied out once, however many rules hit it.

use super::by_layout::ByLayout;
use super::said::Said;
use crate::engine::RuleSet;
use crate::event::{Event, Layout, LeafId, Section};
use crate::evidence::Source;
use crate::evtx::{Record, State};
use crate::report::{DataObject, EventInfo, Fields, Format, Place};
use hashbrown::HashSet;

/// What is told of the System part of every event.
#[derive(Clone, Copy)]
enum Told {
    Time,
    Provider,
    Channel,
    EventId,
    RecordId,
    Computer,
}

/// An event's System texts and body, in buffers that are used again.
pub(super) struct Description {
    wants: Wants,
    plans: ByLayout<Plan>,
    said: Said,
    /// Where what is told of the System part stands among what was said.
    told: [Option<usize>; 6],
    system: Fields,
    /// Whether the body is UserData.
    user_data: bool,
    data: Fields,
    /// Whether `object_of_data` is the event's.
    has_object: bool,
    object_of_data: DataObject,
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

impl Description {
    /// What is needed for hits in these formats; with `all`, what is said tells all of an event.
    pub(super) fn new(formats: &[&Format], all: bool) -> Description {
        let any = |wants: fn(&Format) -> bool| formats.iter().any(|format| wants(format));
        Description {
            wants: Wants {
                system: any(Format::wants_system),
                fields: any(Format::wants_fields),
                object: any(Format::wants_object),
                all,
            },
            plans: ByLayout::default(),
            said: Said::default(),
            told: [None; 6],
            system: Fields::new(),
            user_data: false,
            data: Fields::new(),
            has_object: false,
            object_of_data: DataObject::default(),
        }
    }

    /// Copies what is said of an event.
    pub(super) fn read(&mut self, event: &impl Event) {
        let (wants, said) = (self.wants, &mut self.said);
        let plan = self.plans.of(event.layout(), |layout| Plan::new(layout, wants));
        said.read(event, plan.leaves.iter().copied());
        (self.told, self.user_data) = (plan.told, plan.user_data);
        self.system.clear();
        for (leaf, name) in &plan.system {
            // An element that has attributes alone says nothing by itself.
            for (text, kind) in said.of(*leaf).filter(|(text, _)| !text.is_empty()) {
                self.system.push_text(name, text, kind);
            }
        }
        self.has_object = plan.is_object;
        if self.has_object {
            let object = &mut self.object_of_data;
            object.begin();
            plan.object.iter().for_each(|(leaf, name)| object.values(name, said.of(*leaf)));
            object.end();
        }
        self.data.clear();
        for (leaf, name) in &plan.fields {
            said.of(*leaf).for_each(|(text, kind)| self.data.push_text(name, text, kind));
        }
    }

    /// All that the event says, if that was asked for.
    pub(super) fn said(&self) -> Option<&Said> {
        self.wants.all.then_some(&self.said)
    }

    /// The body as a JSON object, if that is wanted and it has no name twice.
    pub(super) fn object(&self) -> Option<&[u8]> {
        self.has_object.then(|| self.object_of_data.as_bytes())
    }

    /// Whether the body is wanted as a JSON object.
    pub(super) fn has_objects(&self) -> bool {
        self.wants.object
    }

    /// The System part, if it was asked for.
    pub(super) fn system(&self) -> &Fields {
        &self.system
    }

    /// What the body is called.
    pub(super) fn body(&self) -> &'static str {
        if self.user_data { "UserData" } else { "EventData" }
    }

    fn get(&self, which: Told) -> Option<&str> {
        self.said.first((*self.told.get(which as usize)?)?)
    }

    pub(super) fn timestamp(&self) -> Option<&str> {
        self.get(Told::Time)
    }

    pub(super) fn event<'d>(&'d self, rules: &'d RuleSet) -> EventInfo<'d> {
        let mut event = EventInfo {
            provider: self.get(Told::Provider),
            channel: self.get(Told::Channel),
            event_id: self.get(Told::EventId),
            record_id: self.get(Told::RecordId),
            computer: self.get(Told::Computer),
            title: None,
        };
        event.title = event.event_id.and_then(|id| id.parse().ok()).and_then(|id| {
            let (channel, provider) = (event.channel?, event.provider?);
            rules.taxonomy().title(channel, provider, id)
        });
        event
    }

    pub(super) fn computer(&self) -> &str {
        self.get(Told::Computer).unwrap_or("")
    }

    pub(super) fn data(&self) -> &Fields {
        &self.data
    }
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
    }
}

/// What is to be done with events of a layout. Leaves are spoken of by their places among those that
/// are read.
struct Plan {
    /// The leaves that are read, in their order.
    leaves: Vec<LeafId>,
    told: [Option<usize>; 6],
    /// The leaves of the System part, if they are wanted as fields.
    system: Vec<(usize, Box<str>)>,
    /// Those of the body, if they are wanted as fields.
    fields: Vec<(usize, Box<str>)>,
    /// The same with their names as [`DataObject`] has them, if they become an object.
    object: Vec<(usize, Vec<u8>)>,
    is_object: bool,
    user_data: bool,
}

impl Plan {
    fn new(layout: &Layout, wants: Wants) -> Plan {
        let system = layout.system();
        let told = [
            system.time,
            system.provider,
            system.channel,
            system.event_id,
            system.record_id,
            system.computer,
        ];
        let is_of_body = |section| section != Section::System;
        let is_read = |id: &LeafId, section| {
            wants.all || wants.system || is_of_body(section) || told.contains(&Some(*id))
        };
        let read: Vec<_> = layout.iter().filter(|(id, leaf)| is_read(id, leaf.section)).collect();
        let place = |id: LeafId| read.iter().position(|(read, _)| *read == id);
        let of = |body: bool| {
            let named = read
                .iter()
                .enumerate()
                .filter(move |(_, (_, leaf))| is_of_body(leaf.section) == body);
            named.map(|(place, (_, leaf))| (place, leaf.name.clone())).collect::<Vec<_>>()
        };
        let body = of(true);
        // An object has no name twice.
        let names = body.iter().map(|(_, name)| name).collect::<HashSet<_>>().len();
        let is_object = wants.object && names == body.len();
        let object = body.iter().filter(|_| is_object);
        Plan {
            told: told.map(|id| place(id?)),
            system: if wants.system { of(false) } else { Vec::new() },
            object: object.map(|(place, name)| (*place, DataObject::name(name))).collect(),
            is_object,
            user_data: read.iter().any(|(_, leaf)| leaf.section == Section::UserData),
            leaves: read.iter().map(|(id, _)| *id).collect(),
            fields: if wants.fields || wants.object && !is_object { body } else { Vec::new() },
        }
    }
}
