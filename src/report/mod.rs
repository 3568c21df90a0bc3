//! What is said of a hit, and how it looks.
//!
//! A [`Hit`] is plain borrowed data: whoever renders it knows neither the log format nor the rule
//! engine. Rendering appends to a buffer of the caller and keeps no state between hits, so that it is
//! done by whichever thread found the hit, and only the finished bytes have to be put in order.
//!
//! Invariant: whatever text an event holds, nothing of it is a control sequence to a terminal or the
//! end of a line ([`escape`]): a rendered hit is one line, but for a table that is wrapped to a page.

mod account;
mod checker;
mod columns;
mod correlation;
mod csv;
mod data_object;
mod ecs;
mod ecs_fields;
pub mod escape;
pub mod explain;
mod fields;
mod json;
mod jsonl;
mod markdown;
mod mould;
mod table;
mod time;
mod timesketch;
mod wrap;
pub mod xml;

pub use columns::{Columns, Medium};
pub use correlation::{Correlation, CorrelationMember};
pub use csv::row as csv_row;
pub use data_object::DataObject;
pub use fields::{Fields, Kind};
pub use mould::Mould;
pub use table::Table;

/// One rule on one record, or what is shown like it.
#[derive(Debug, Clone, Copy)]
pub struct Hit<'a> {
    /// What is shown.
    pub subject: Subject<'a>,
    /// The event's own time, System/TimeCreated, as its text form.
    pub timestamp: Option<&'a str>,
    /// The same in the reader's time zone, as RFC 3339 with a blank for its `T` and the offset at its
    /// end; if it is not given, that is UTC.
    pub local_time: Option<&'a str>,
    /// The rule.
    pub rule: RuleInfo<'a>,
    /// What the event says of itself.
    pub event: EventInfo<'a>,
    /// Where the record lies.
    pub place: Place<'a>,
    /// The fields and values by which the rule matched, in the order of the rule.
    pub matched: &'a [(&'a str, &'a str)],
    /// The event's System part; empty unless [`Format::wants_system`].
    pub system: &'a Fields,
    /// What the event's body is called: `EventData` or `UserData`.
    pub body: &'a str,
    /// The event's body; empty unless [`Format::wants_fields`].
    pub data: &'a Fields,
    /// The same as a JSON object, if [`Format::wants_object`] and somebody made it; if not, it is
    /// made of [`Hit::data`].
    pub object: Option<&'a [u8]>,
}

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// One rule on one record.
    Hit,
    /// A record that stands around a hit; in its rule's place is [`RuleInfo::CONTEXT`] with a title
    /// that says what the event is.
    Context,
    /// All hits of a rule on a computer by the same values. Of the event only the computer is given,
    /// the time is the first's.
    Group(Repeats<'a>),
    /// One rule on one record, taken away by the filters with these titles.
    Filtered(&'a [&'a str]),
    /// Several events together; the hit's rule is a correlation.
    Correlation(Correlation<'a>),
}

/// How often something was, and when last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeats<'a> {
    /// How often.
    pub count: u64,
    /// As [`Hit::timestamp`].
    pub last: Option<&'a str>,
    /// As [`Hit::local_time`].
    pub local_last: Option<&'a str>,
}

/// What is said of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleInfo<'a> {
    /// `id`
    pub id: Option<&'a str>,
    /// `title`
    pub title: &'a str,
    /// `level`, in Sigma's word.
    pub level: &'a str,
    /// `status`, in Sigma's word.
    pub status: Option<&'a str>,
    /// `tags`
    pub tags: &'a [String],
    /// Its path in the rule set.
    pub source: &'a str,
    /// All of this as a JSON object ([`RuleInfo::object`]), if somebody keeps it made.
    pub kept: Option<&'a [u8]>,
}

impl RuleInfo<'static> {
    /// What stands in a rule's place for a record that no rule hit.
    pub const CONTEXT: RuleInfo<'static> = RuleInfo {
        id: None,
        title: "(context)",
        level: "context",
        status: None,
        tags: &[],
        source: "",
        kept: None,
    };
}

impl RuleInfo<'_> {
    /// It as the JSON object that lines of hits have, to be kept where a rule is shown often.
    #[must_use]
    pub fn object(&self) -> Vec<u8> {
        let mut out = Vec::new();
        jsonl::rule(self, &mut out);
        out
    }
}

/// What an event says of itself in its System part, as text, and its title.
#[derive(Debug, Default, Clone, Copy)]
pub struct EventInfo<'a> {
    /// System/Provider/@Name
    pub provider: Option<&'a str>,
    /// System/Channel
    pub channel: Option<&'a str>,
    /// System/EventID
    pub event_id: Option<&'a str>,
    /// System/EventRecordID
    pub record_id: Option<&'a str>,
    /// System/Computer
    pub computer: Option<&'a str>,
    /// What events of this kind are called.
    pub title: Option<&'a str>,
    /// What of this is said of all events of the kind, if somebody keeps it made
    /// ([`EventInfo::mould`]).
    pub mould: Option<&'a Mould>,
}

impl EventInfo<'_> {
    /// The JSON object that lines of hits have of it, to be kept for other events that differ in nothing
    /// but their record id and computer.
    #[must_use]
    pub fn mould(&self) -> Mould {
        jsonl::event_mould(self)
    }
}

/// Where a record lies.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The source's path as found, containers with `!`.
    pub path: &'a str,
    /// The chunk's slot in the file.
    pub chunk: u64,
    /// The record's offset in the file.
    pub offset: u64,
    /// The record's number by its own header.
    pub record_id: u64,
    /// How the source is there: `live`, `deleted`, `carved`, `slack`.
    pub state: &'a str,
    /// The host that the source was collected from, if the collection says so.
    pub host: Option<&'a str>,
    /// Whether it is left over from before its chunk was used again, or was deleted.
    pub recovered: bool,
    /// What of this is said of all records of the source, if somebody keeps it made
    /// ([`Place::mould`]).
    pub mould: Option<&'a Mould>,
}

impl Place<'_> {
    /// The JSON object that lines of hits have of it, to be kept for other records of the source.
    #[must_use]
    pub fn mould(&self) -> Mould {
        jsonl::place_mould(self)
    }
}

/// How hits look.
#[derive(Debug, Clone)]
pub enum Format {
    /// One JSON object a line, schema `harrier.hit/1`.
    Jsonl,
    /// Aligned columns, for reading.
    Table(Table),
    /// Comma-separated values, for spreadsheets.
    Csv(Columns),
    /// A table in Markdown, for reports.
    Markdown(Columns),
    /// One JSON object a line, for Timesketch.
    Timesketch,
    /// One JSON object a line, in the Elastic Common Schema.
    Ecs,
    /// One JSON object a line, as SigmaHQ's checker has it.
    Checker,
}

impl Format {
    /// Whether hits are to have the event's whole System part.
    #[must_use]
    pub fn wants_system(&self) -> bool {
        matches!(self, Format::Checker)
    }

    /// Whether hits are to have the event's body as fields.
    #[must_use]
    pub fn wants_fields(&self) -> bool {
        !self.wants_object()
    }

    /// Whether hits are better given the event's body as a JSON object.
    #[must_use]
    pub fn wants_object(&self) -> bool {
        matches!(self, Format::Jsonl)
    }

    /// Appends what stands before the first hit.
    pub fn begin(&self, out: &mut Vec<u8>) {
        match self {
            Format::Jsonl | Format::Timesketch | Format::Ecs | Format::Checker => {}
            Format::Table(table) => table.header(out),
            Format::Csv(columns) => csv::header(columns, out),
            Format::Markdown(columns) => markdown::header(columns, out),
        }
    }

    /// Appends a hit.
    pub fn hit(&self, hit: &Hit<'_>, out: &mut Vec<u8>) {
        match self {
            Format::Jsonl => jsonl::hit(hit, out),
            Format::Table(table) => table.hit(hit, out),
            Format::Csv(columns) => csv::hit(columns, hit, out),
            Format::Markdown(columns) => markdown::hit(columns, hit, out),
            Format::Timesketch => timesketch::hit(hit, out),
            Format::Ecs => ecs::hit(hit, out),
            Format::Checker => checker::hit(hit, out),
        }
    }
}

#[cfg(test)]
mod tests;
