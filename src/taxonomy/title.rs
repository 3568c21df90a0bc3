//! What well-known events are, in a few words, for showing.
//!
//! The words are ours: Windows has each event's text in a library of its provider, which is not in
//! the log. An event is known by channel and id; in channels to which many providers write, by
//! provider too.

use super::table;
use crate::utf16;
use hashbrown::HashMap;

/// The table of titles.
#[derive(Debug)]
pub(super) struct Titles {
    /// By event id: few channels have the same.
    by_id: HashMap<u32, Vec<Title>>,
}

#[derive(Debug)]
struct Title {
    /// Folded.
    channel: String,
    /// Folded; none: any.
    providers: Vec<String>,
    text: String,
}

impl Titles {
    /// Reads the table.
    pub(super) fn read(text: &str) -> Result<Titles, String> {
        let mut by_id: HashMap<_, Vec<Title>> = HashMap::new();
        table::read(text, ["channel", "providers", "event_ids", "title"], |cells| {
            let [channel, providers, event_ids, title] = cells;
            if channel.is_empty() || title.is_empty() {
                return Err("a channel and a title are wanted".into());
            }
            let ids = table::event_ids(event_ids)?.ok_or("event ids are wanted")?;
            for id in ids {
                let providers = table::folded_items(providers)?;
                let (channel, text) = (utf16::folded(channel), title.to_owned());
                by_id.entry(id).or_default().push(Title { channel, providers, text });
            }
            Ok(())
        })?;
        Ok(Titles { by_id })
    }

    /// The title of an event. (It is asked for with every hit.)
    pub(super) fn get(&self, channel: &str, provider: &str, event_id: u32) -> Option<&str> {
        let is_of = |title: &&Title| {
            let mut providers = title.providers.iter();
            utf16::is_folded(channel, &title.channel)
                && (title.providers.is_empty()
                    || providers.any(|one| utf16::is_folded(provider, one)))
        };
        self.by_id.get(&event_id)?.iter().find(is_of).map(|title| title.text.as_str())
    }
}
