//! Which fields well-known events have.
//!
//! For telling a rule's author that no event has a field of a name: a hunt asks the events themselves.
//! An event that is not in the table is one of which nothing is said.
//!
//! Source of facts: Sysmon's manifest (schema 4.90) and Microsoft's documentation of security events,
//! compared with the events of public sample logs.

use super::source::{EventKey, Source};
use super::table;
use crate::event::{Layout, Leaf, LeafKind, Section};
use std::sync::Arc;

/// What Windows says of every event.
const SYSTEM: [&str; 16] = [
    "Provider_Name",
    "Provider_Guid",
    "Provider_EventSourceName",
    "EventID",
    "EventID_Qualifiers",
    "Version",
    "Level",
    "Task",
    "Opcode",
    "Keywords",
    "TimeCreated_SystemTime",
    "EventRecordID",
    "Execution_ProcessID",
    "Channel",
    "Computer",
    "Security_UserID",
];

/// A value without a name, in the table.
const UNNAMED: &str = "Data[]";

/// An event of which is known which fields it has.
#[derive(Debug)]
pub struct KnownEvent {
    channel: String,
    provider: String,
    event_id: u32,
    layout: Arc<Layout>,
}

impl KnownEvent {
    /// By what it is sent to rules.
    #[must_use]
    pub fn key(&self) -> EventKey<'_> {
        EventKey { provider: &self.provider, channel: &self.channel, event_id: Some(self.event_id) }
    }

    /// All fields that it can have.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The names of the fields of its body.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let named = |leaf: &&Leaf| leaf.section != Section::System && leaf.kind == LeafKind::Named;
        self.layout.leaves().iter().filter(named).map(|leaf| &*leaf.name)
    }
}

/// The table of events.
#[derive(Debug)]
pub struct KnownEvents {
    events: Vec<KnownEvent>,
}

impl KnownEvents {
    /// The table that is part of the program.
    ///
    /// # Panics
    /// If it is malformed; a test reads it.
    #[must_use]
    pub fn builtin() -> KnownEvents {
        match KnownEvents::read(include_str!("event_fields.csv")) {
            Ok(events) => events,
            Err(error) => panic!("event_fields.csv is malformed: {error}"),
        }
    }

    fn read(text: &str) -> Result<KnownEvents, String> {
        let mut events = Vec::new();
        table::read(text, ["channels", "providers", "event_id", "fields"], |cells| {
            let [channels, providers, event_id, fields] = cells;
            let (channels, providers) =
                (table::folded_items(channels)?, table::folded_items(providers)?);
            let event_id = event_id.parse().map_err(|e| format!("event id {event_id:?}: {e}"))?;
            let fields = table::items(fields)?;
            if channels.is_empty() || channels.len() != providers.len() {
                return Err("each channel wants its provider".into());
            }
            for (channel, provider) in channels.into_iter().zip(providers) {
                let layout = layout(&fields);
                events.push(KnownEvent { channel, provider, event_id, layout });
            }
            Ok(())
        })?;
        Ok(KnownEvents { events })
    }

    /// The events with these ids that a source stands for; nothing if one of them is not known.
    #[must_use]
    pub fn of_source(&self, source: &Source, ids: &[u32]) -> Option<Vec<&KnownEvent>> {
        let mut found = Vec::new();
        for id in ids {
            let before = found.len();
            let of_id = self.events.iter().filter(|event| event.event_id == *id);
            found.extend(of_id.filter(|event| source.admits(&event.key())));
            if found.len() == before {
                return None;
            }
        }
        Some(found)
    }
}

fn layout(fields: &[&str]) -> Arc<Layout> {
    let leaf = |section, kind, name: &str| Leaf { section, kind, name: name.into() };
    let system = SYSTEM.map(|name| leaf(Section::System, LeafKind::Named, name));
    let body = fields.iter().map(|name| match *name {
        UNNAMED => leaf(Section::EventData, LeafKind::Unnamed, "Data"),
        name => leaf(Section::EventData, LeafKind::Named, name),
    });
    Layout::new(system.into_iter().chain(body).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_can_be_read_and_has_no_event_twice() {
        let events = KnownEvents::builtin().events;
        let mut seen = std::collections::HashSet::new();
        for event in &events {
            assert!(seen.insert(event.key()), "{event:?}");
            assert!(event.names().all(|name| name.trim() == name), "{event:?}");
        }
        assert!(events.len() > 80);
    }

    #[test]
    fn the_table_is_read_strictly() {
        let read =
            |row: &str| KnownEvents::read(&format!("channels,providers,event_id,fields\n{row}\n"));
        assert_eq!(read("A;B,p;q,1,x;Data[]").unwrap().events.len(), 2);
        for bad in ["A,p;q,1,x", "*,p,1,x", "A,p,one,x", "A,p,1,", "A,p,1,x;;y"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
