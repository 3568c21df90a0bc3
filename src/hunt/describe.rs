//! What is to be told of a record that is shown, copied out once, however many rules hit it.

use crate::engine::RuleSet;
use crate::event::{Event, LeafId, Section};
use crate::evidence::Source;
use crate::evtx::{Record, State};
use crate::report::{EventInfo, Fields, Place};
use std::ops::Range;

const TIME: usize = 0;
const PROVIDER: usize = 1;
const CHANNEL: usize = 2;
const EVENT_ID: usize = 3;
const RECORD_ID: usize = 4;
const COMPUTER: usize = 5;

/// An event's System texts and body, in buffers that are used again.
#[derive(Default)]
pub(super) struct Description {
    bytes: Vec<u8>,
    text: String,
    spans: [Option<Range<usize>>; 6],
    system: Fields,
    /// Whether the body is UserData.
    user_data: bool,
    data: Fields,
}

impl Description {
    /// Copies what is said of an event; its whole System part only if that is wanted.
    pub(super) fn read(&mut self, event: &impl Event, whole_system: bool) {
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
            self.bytes.clear();
            let start = self.text.len();
            *span = event.first_text(leaf, &mut self.bytes).then(|| {
                self.text.push_str(&String::from_utf8_lossy(&self.bytes));
                start..self.text.len()
            });
        }
        self.system.clear();
        self.data.clear();
        self.user_data = false;
        for (id, leaf) in event.layout().iter() {
            match leaf.section {
                // An element that has attributes alone says nothing by itself.
                Section::System if whole_system => {
                    event.values(id, |value| self.system.push_filled(&leaf.name, value));
                }
                Section::System => {}
                Section::EventData | Section::UserData => {
                    self.user_data |= leaf.section == Section::UserData;
                    event.values(id, |value| self.data.push(&leaf.name, value));
                }
            }
        }
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
        self.text.get(self.spans.get(which)?.clone()?)
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
