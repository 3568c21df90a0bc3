//! What well-known events are, in a few words, for showing.
//!
//! The words are ours: Windows has each event's text in a library of its provider, which is not in
//! the log. An event is known by channel and id; in channels to which many providers write, by
//! provider too.

use super::table;
use crate::utf16;
use std::collections::HashMap;

/// The table of titles.
#[derive(Debug)]
pub(super) struct Titles {
    /// By channel (folded) and event id.
    by_event: HashMap<(String, u32), Vec<Title>>,
}

#[derive(Debug)]
struct Title {
    /// Folded; none: any.
    providers: Vec<String>,
    text: String,
}

impl Titles {
    /// Reads the table.
    pub(super) fn read(text: &str) -> Result<Titles, String> {
        let mut by_event: HashMap<_, Vec<Title>> = HashMap::new();
        table::read(text, ["channel", "providers", "event_ids", "title"], |cells| {
            let [channel, providers, event_ids, title] = cells;
            if channel.is_empty() || title.is_empty() {
                return Err("a channel and a title are wanted".into());
            }
            let ids = table::event_ids(event_ids)?.ok_or("event ids are wanted")?;
            for id in ids {
                let providers = table::folded_items(providers)?;
                let title = Title { providers, text: title.to_owned() };
                by_event.entry((utf16::folded(channel), id)).or_default().push(title);
            }
            Ok(())
        })?;
        Ok(Titles { by_event })
    }

    /// The title of an event.
    pub(super) fn get(&self, channel: &str, provider: &str, event_id: u32) -> Option<&str> {
        let provider = utf16::folded(provider);
        let titles = self.by_event.get(&(utf16::folded(channel), event_id))?;
        let fits =
            |title: &&Title| title.providers.is_empty() || title.providers.contains(&provider);
        titles.iter().find(fits).map(|title| title.text.as_str())
    }
}
