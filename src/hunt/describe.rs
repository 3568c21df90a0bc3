//! What is to be told of a record that is shown, copied out once, however many rules hit it.

use super::by_layout::ByLayout;
use crate::engine::RuleSet;
use crate::event::{Event, Layout, LeafId, Section};
use crate::evidence::Source;
use crate::evtx::{Record, State};
use crate::report::{DataObject, EventInfo, Fields, Format, Place};
use hashbrown::HashSet;
use std::ops::Range;

const TIME: usize = 0;
const PROVIDER: usize = 1;
const CHANNEL: usize = 2;
const EVENT_ID: usize = 3;
const RECORD_ID: usize = 4;
const COMPUTER: usize = 5;

/// An event's System texts and body, in buffers that are used again.
pub(super) struct Description {
    /// Whether the whole System part is wanted, the body as fields, and as a JSON object.
    whole_system: bool,
    fields: bool,
    object: bool,
    bodies: ByLayout<Body>,
    text: Vec<u8>,
    spans: [Option<Range<usize>>; 6],
    system: Fields,
    /// Whether the body is UserData.
    user_data: bool,
    data: Fields,
    /// Whether `object_of_data` is the event's.
    has_object: bool,
    object_of_data: DataObject,
}

impl Description {
    /// What is needed for hits in these formats.
    pub(super) fn new(formats: &[&Format]) -> Description {
        let any = |wants: fn(&Format) -> bool| formats.iter().any(|format| wants(format));
        Description {
            whole_system: any(Format::wants_system),
            fields: any(Format::wants_fields),
            object: any(Format::wants_object),
            bodies: ByLayout::default(),
            text: Vec::new(),
            spans: Default::default(),
            system: Fields::new(),
            user_data: false,
            data: Fields::new(),
            has_object: false,
            object_of_data: DataObject::default(),
        }
    }

    /// Copies what is said of an event.
    pub(super) fn read(&mut self, event: &impl Event) {
        let system = *event.layout().system();
        let leaves: [Option<LeafId>; 6] = [
            system.time,
            system.provider,
            system.channel,
            system.event_id,
            system.record_id,
            system.computer,
        ];
        self.text.clear();
        for (span, leaf) in self.spans.iter_mut().zip(leaves) {
            let start = self.text.len();
            *span = event.first_text(leaf, &mut self.text).then_some(start..self.text.len());
        }
        self.system.clear();
        if self.whole_system {
            for (id, leaf) in event.layout().iter() {
                if leaf.section == Section::System {
                    // An element that has attributes alone says nothing by itself.
                    event.values(id, |value| self.system.push_filled(&leaf.name, value));
                }
            }
        }
        let body = self.bodies.of(event.layout(), Body::new);
        self.user_data = body.user_data;
        self.data.clear();
        self.has_object = self.object && !body.repeats;
        if self.has_object {
            let object = &mut self.object_of_data;
            object.begin();
            for (id, name) in &body.leaves {
                object.begin_name(name);
                event.values(*id, |value| object.value(value));
                object.end_name(name);
            }
            object.end();
        }
        if self.fields || self.object && !self.has_object {
            for (id, leaf) in event.layout().iter() {
                if leaf.section != Section::System {
                    event.values(id, |value| self.data.push(&leaf.name, value));
                }
            }
        }
    }

    /// The body as a JSON object, if that is wanted and it has no name twice.
    pub(super) fn object(&self) -> Option<&[u8]> {
        self.has_object.then(|| self.object_of_data.as_bytes())
    }

    /// Whether the body is wanted as a JSON object.
    pub(super) fn has_objects(&self) -> bool {
        self.object
    }

    /// The System part, if it was asked for.
    pub(super) fn system(&self) -> &Fields {
        &self.system
    }

    /// What the body is called.
    pub(super) fn body(&self) -> &'static str {
        if self.user_data { "UserData" } else { "EventData" }
    }

    fn get(&self, which: usize) -> Option<&str> {
        // The text form is UTF-8; were it not, that would be seen.
        let text = self.text.get(self.spans.get(which)?.clone()?)?;
        Some(std::str::from_utf8(text).unwrap_or("\u{fffd}"))
    }

    pub(super) fn timestamp(&self) -> Option<&str> {
        self.get(TIME)
    }

    pub(super) fn event<'d>(&'d self, rules: &'d RuleSet) -> EventInfo<'d> {
        let mut event = EventInfo {
            provider: self.get(PROVIDER),
            channel: self.get(CHANNEL),
            event_id: self.get(EVENT_ID),
            record_id: self.get(RECORD_ID),
            computer: self.get(COMPUTER),
            title: None,
        };
        event.title = event.event_id.and_then(|id| id.parse().ok()).and_then(|id| {
            let (channel, provider) = (event.channel?, event.provider?);
            rules.taxonomy().title(channel, provider, id)
        });
        event
    }

    pub(super) fn computer(&self) -> &str {
        self.get(COMPUTER).unwrap_or("")
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

/// What the bodies of events with a layout have in common.
struct Body {
    /// The leaves, with their names as [`DataObject`] wants them.
    leaves: Vec<(LeafId, Vec<u8>)>,
    user_data: bool,
    /// Whether a name comes twice.
    repeats: bool,
}

impl Body {
    fn new(layout: &Layout) -> Body {
        let of_body = layout.iter().filter(|(_, leaf)| leaf.section != Section::System);
        let mut names = HashSet::new();
        Body {
            user_data: of_body.clone().any(|(_, leaf)| leaf.section == Section::UserData),
            repeats: of_body.clone().any(|(_, leaf)| !names.insert(&*leaf.name)),
            leaves: of_body.map(|(id, leaf)| (id, DataObject::name(&leaf.name))).collect(),
        }
    }
}
