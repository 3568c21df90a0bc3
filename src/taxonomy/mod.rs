//! Which events and which of their fields a Sigma rule speaks of.
//!
//! Sigma rules name a log source (`category: process_creation`) and fields (`Image`); Windows event
//! logs have channels, providers, event ids, and fields with names of their own. What connects the
//! two is data: the tables beside this file, part of the program, read once.
//!
//! - `logsources.csv`: log source → events ([`Taxonomy::sources`]);
//! - `fields.csv`: where a name does not simply mean the field of that name
//!   ([`Taxonomy::resolve`]);
//! - `titles.csv`: what well-known events are, in a few words ([`Taxonomy::title`]).
//!
//! Invariants: a [`Taxonomy`] does not change once it is read, and its answers depend on its
//! arguments alone. The tables are read strictly; that they can be read is tested.
//!
//! Source of facts: stated in each table's module.

mod field;
mod registry;
mod source;
mod table;
mod title;
mod transform;
mod view;

pub use field::FieldSource;
pub use source::{EventKey, Mapping, Options, Source, SourceCondition, Tier};
pub use transform::{HashKind, Inputs, Transform};
pub use view::View;

use crate::event::Layout;
use crate::sigma::rule::{Dialect, LogSource};
use field::Fields;
use source::Sources;
use title::Titles;

/// The tables.
#[derive(Debug)]
pub struct Taxonomy {
    sources: Sources,
    fields: Fields,
    titles: Titles,
}

impl Taxonomy {
    /// The tables that are part of the program.
    ///
    /// # Panics
    /// If a table is malformed; a test reads them.
    #[must_use]
    pub fn builtin(options: Options) -> Taxonomy {
        let read = || -> Result<Taxonomy, String> {
            let (sources, fields, titles) = (
                Sources::read(include_str!("logsources.csv"), options)
                    .map_err(|e| format!("logsources.csv: {e}"))?,
                Fields::read(include_str!("fields.csv")).map_err(|e| format!("fields.csv: {e}"))?,
                Titles::read(include_str!("titles.csv")).map_err(|e| format!("titles.csv: {e}"))?,
            );
            Ok(Taxonomy { sources, fields, titles })
        };
        match read() {
            Ok(taxonomy) => taxonomy,
            Err(error) => panic!("a table of the program is malformed: {error}"),
        }
    }

    /// What a rule's log source stands for.
    #[must_use]
    pub fn sources(&self, logsource: &LogSource, dialect: Dialect) -> Mapping {
        self.sources.mapping(logsource, dialect)
    }

    /// A channel of some log source as it is written, given its folded name.
    #[must_use]
    pub fn channel_name(&self, folded: &str) -> Option<&str> {
        self.sources.channel_name(folded)
    }

    /// What in an event answers to the field `name` of a rule that sees the event through `view`.
    /// Nothing: the event has no such field. Several: the field has the values of all.
    #[must_use]
    pub fn resolve(
        &self,
        view: View,
        name: &str,
        key: &EventKey<'_>,
        layout: &Layout,
    ) -> Vec<FieldSource> {
        self.fields.resolve(view, name, key, layout)
    }

    /// [`View::Plain`] if the field `name` is read through `view` as it is through that one, in
    /// every event; else `view`. Tests of fields are the same if their canonical views are.
    #[must_use]
    pub fn canonical_view(&self, view: View, name: &str) -> View {
        if self.fields.concerns(view, name) { view } else { View::Plain }
    }

    /// What an event is, in a few words.
    #[must_use]
    pub fn title(&self, channel: &str, provider: &str, event_id: u32) -> Option<&str> {
        self.titles.get(channel, provider, event_id)
    }
}
