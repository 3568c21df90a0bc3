//! Which events and which of their fields a Sigma rule speaks of.
//!
//! Sigma rules name a log source (`category: process_creation`) and fields (`Image`); Windows event
//! logs have channels, providers, event ids, and fields with names of their own. What connects the
//! two is data: the tables beside this file, part of the program, read once.
//!
//! - `logsources.csv`: log source → events ([`Taxonomy::sources`]);
//! - `fields.csv`: where a name does not simply mean the field of that name
//!   ([`Taxonomy::resolve`]);
//! - `event_fields.csv`: which fields well-known events have, for whoever writes rules
//!   ([`KnownEvents`]);
//! - `titles.csv`: what well-known events are, in a few words ([`Taxonomy::title`]).
//!
//! A file of log sources, as SigmaHQ keeps one for its checker, can stand beside the tables or in
//! place of their log sources ([`Taxonomy::add`]).
//!
//! Invariants: a [`Taxonomy`]'s answers depend on what was read into it and on their arguments
//! alone. The tables are read strictly; that they can be read is tested.
//!
//! Source of facts: stated in each table's module.

mod field;
mod file;
mod known;
mod mapped;
mod registry;
mod source;
mod table;
mod title;
mod transform;
mod view;

pub use field::{FieldSource, ReadWhen, Reading};
pub use known::{KnownEvent, KnownEvents};
pub use source::{EventKey, Mapping, Options, Refusal, Source, SourceCondition, Tier};
pub use transform::{HashKind, Inputs, Transform};
pub use view::View;

use crate::event::Layout;
use crate::sigma::rule::{Dialect, LogSource};
use crate::sigma::{LogSourceFault, LogSourceFile};
use field::Fields;
use mapped::MappedViews;
use source::Sources;
use title::Titles;

/// The tables.
#[derive(Debug)]
pub struct Taxonomy {
    sources: Sources,
    fields: Fields,
    mapped: MappedViews,
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
            Ok(Taxonomy { sources, fields, mapped: MappedViews::default(), titles })
        };
        match read() {
            Ok(taxonomy) => taxonomy,
            Err(error) => panic!("a table of the program is malformed: {error}"),
        }
    }

    /// The tables without their log sources, which a file is to say ([`Taxonomy::add`]). How names
    /// of fields are looked for in an event, what events are called, and that a product alone means
    /// every event, is not a file's affair and stays.
    ///
    /// # Panics
    /// If a table is malformed; a test reads them.
    #[must_use]
    pub fn without_log_sources() -> Taxonomy {
        let mut taxonomy = Taxonomy::builtin(Options::default());
        taxonomy.sources.forget_named();
        taxonomy
    }

    /// Adds the log sources of a file. A log source that was known under the same product, category
    /// and service is replaced. Gives what of the file has no meaning here: such an entry is left
    /// out.
    pub fn add(&mut self, file: &LogSourceFile) -> Vec<LogSourceFault> {
        file::add(file, &mut self.sources, &mut self.mapped)
    }

    /// All views through which [`Taxonomy::sources`] can say that events are seen.
    pub fn views(&self) -> impl Iterator<Item = View> + use<> {
        View::ALL.into_iter().chain(self.mapped.views())
    }

    /// What a rule's log source stands for.
    #[must_use]
    pub fn sources(&self, logsource: &LogSource, dialect: Dialect) -> Mapping {
        self.sources.mapping(logsource, dialect)
    }

    /// The categories that stand for an event, by what it is sent to rules: those that always do.
    pub fn categories<'t>(&'t self, key: &EventKey<'t>) -> impl Iterator<Item = &'t str> {
        self.sources.categories(*key)
    }

    /// A channel of some log source as it is written, given its folded name.
    #[must_use]
    pub fn channel_name(&self, folded: &str) -> Option<&str> {
        self.sources.channel_name(folded)
    }

    /// A provider of some log source as it is written, given its folded name.
    #[must_use]
    pub fn provider_name(&self, folded: &str) -> Option<&str> {
        self.sources.provider_name(folded)
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
        match self.mapped.names(view, name) {
            mapped::Names::Same(view) => self.fields.resolve(view, name, key, layout),
            mapped::Names::Others(names) => {
                let mut sources = Vec::new();
                for (view, name) in names {
                    for source in self.fields.resolve(view, name, key, layout) {
                        if !sources.contains(&source) {
                            sources.push(source);
                        }
                    }
                }
                sources
            }
        }
    }

    /// How the field `name` is read through `view` in events of this kind, for showing; nothing if it is
    /// simply the field of that name.
    #[must_use]
    pub fn readings(&self, view: View, name: &str, key: &EventKey<'_>) -> Vec<Reading> {
        match self.mapped.names(view, name) {
            mapped::Names::Same(view) => self.fields.readings(view, name, key),
            mapped::Names::Others(names) => {
                let mut readings = Vec::new();
                for (view, name) in names {
                    let of_name = self.fields.readings(view, name, key);
                    let itself = of_name.is_empty().then(|| Reading {
                        when: ReadWhen::Instead,
                        inputs: vec![name.to_owned()],
                        raw: true,
                        transform: None,
                    });
                    readings.extend(of_name.into_iter().chain(itself));
                }
                readings
            }
        }
    }

    /// [`View::Plain`] if the field `name` is read through `view` as it is through that one, in
    /// every event; else `view`. Tests of fields are the same if their canonical views are.
    #[must_use]
    pub fn canonical_view(&self, view: View, name: &str) -> View {
        match self.mapped.names(view, name) {
            mapped::Names::Same(base) if !self.fields.concerns(base, name) => View::Plain,
            _ => view,
        }
    }

    /// What an event is, in a few words.
    #[must_use]
    pub fn title(&self, channel: &str, provider: &str, event_id: u32) -> Option<&str> {
        self.titles.get(channel, provider, event_id)
    }
}
