//! The columns of tables, CSV and Markdown: which there are, what stands in them, and named sets.
//!
//! A name that is no column of ours is a field of the event, so that every field can be a column:
//! `--columns TimeUTC,Computer,TargetObject`. `data.NAME` is always the event's field, also where we
//! have a column of that name.
//!
//! Invariant: the text of a column is one line that controls nothing ([`escape`]); whoever writes it
//! adds what its own format needs on top.

use super::account::Notion;
use super::{Hit, Subject, correlation, escape};
use std::borrow::Cow;

/// Columns, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns(Vec<Column>);

/// What columns are for: a person's eyes, or a spreadsheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Medium {
    /// A table on a terminal, or in a report.
    Page,
    /// CSV: one value in a column, all values in the last.
    Sheet,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Column {
    /// One of ours.
    Known(Known),
    /// A field of the event.
    Field(Box<str>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Time,
    /// In the reader's time zone, with its offset.
    LocalTime,
    /// Of a group: how many hits, and when the first and the last were.
    Count,
    First,
    LocalFirst,
    Last,
    LocalLast,
    Level,
    Rule,
    RuleId,
    Status,
    Tags,
    Techniques,
    RuleFile,
    /// The filters that took the hit away.
    FilteredBy,
    Computer,
    Channel,
    Provider,
    EventId,
    Event,
    Title,
    RecordId,
    Notion(Notion),
    Matched,
    /// The first, second, third field that matched.
    Match(usize),
    Fields,
    Details,
    Path,
    Chunk,
    Offset,
    HeaderRecordId,
    Recovered,
    Where,
}

/// Our columns by their names, as they are shown.
const KNOWN: &[(&str, Known)] = &[
    ("TimeUTC", Known::Time),
    ("Time", Known::LocalTime),
    ("Level", Known::Level),
    ("Rule", Known::Rule),
    ("Computer", Known::Computer),
    ("Event", Known::Event),
    ("Channel", Known::Channel),
    ("Provider", Known::Provider),
    ("EventID", Known::EventId),
    ("Title", Known::Title),
    ("RecordID", Known::RecordId),
    ("User", Known::Notion(Notion::User)),
    ("TargetUser", Known::Notion(Notion::TargetUser)),
    ("Process", Known::Notion(Notion::Process)),
    ("CommandLine", Known::Notion(Notion::CommandLine)),
    ("Parent", Known::Notion(Notion::Parent)),
    ("ParentCommandLine", Known::Notion(Notion::ParentCommandLine)),
    ("Target", Known::Notion(Notion::Target)),
    ("SourceIP", Known::Notion(Notion::SourceIp)),
    ("DestinationIP", Known::Notion(Notion::DestinationIp)),
    ("Match1", Known::Match(0)),
    ("Match2", Known::Match(1)),
    ("Match3", Known::Match(2)),
    ("Matched", Known::Matched),
    ("Fields", Known::Fields),
    ("Techniques", Known::Techniques),
    ("Tags", Known::Tags),
    ("Status", Known::Status),
    ("RuleID", Known::RuleId),
    ("RuleFile", Known::RuleFile),
    ("FilteredBy", Known::FilteredBy),
    ("Path", Known::Path),
    ("Chunk", Known::Chunk),
    ("Offset", Known::Offset),
    ("HeaderRecordID", Known::HeaderRecordId),
    ("Recovered", Known::Recovered),
    ("Where", Known::Where),
    ("Details", Known::Details),
];

/// The columns of groups and of findings of correlations; other hits have nothing in them.
const OF_GROUPS: &[(&str, Known)] = &[
    ("Count", Known::Count),
    ("FirstUTC", Known::First),
    ("First", Known::LocalFirst),
    ("LastUTC", Known::Last),
    ("Last", Known::LocalLast),
];

/// The named sets.
const PROFILES: [&str; 3] = ["minimal", "standard", "verbose"];

/// What a name means that is written before an event's field.
const DATA: &str = "data.";

impl Columns {
    /// Columns from names, each a column, a named set, or a field of the event. A column that comes
    /// again stays where it came first.
    ///
    /// # Errors
    /// What is wrong, if a name is empty or there is none.
    pub fn parse<S: AsRef<str>>(names: &[S], medium: Medium) -> Result<Columns, String> {
        let mut columns = Vec::new();
        for name in names {
            let name = name.as_ref().trim();
            if name.is_empty() || name == DATA {
                return Err("a column has no name".to_owned());
            }
            let profile = PROFILES.into_iter().find(|profile| profile.eq_ignore_ascii_case(name));
            match profile {
                Some(profile) => columns.extend(Columns::profile(profile, medium).0),
                None => columns.push(Column::parse(name)),
            }
        }
        if columns.is_empty() {
            return Err("there are no columns".to_owned());
        }
        let mut unique: Vec<Column> = Vec::with_capacity(columns.len());
        for column in columns {
            if !unique.contains(&column) {
                unique.push(column);
            }
        }
        Ok(Columns(unique))
    }

    /// What is shown if nothing else is asked for.
    #[must_use]
    pub fn standard(medium: Medium) -> Columns {
        Columns::profile("standard", medium)
    }

    /// What is shown of groups.
    #[must_use]
    pub fn grouped() -> Columns {
        use Known::{Computer, Count, First, Last, Level, Matched, Rule};
        let known = [Count, First, Last, Level, Rule, Computer, Matched];
        Columns(known.into_iter().map(Column::Known).collect())
    }

    /// The same with a column that tells which filters took a hit away.
    #[must_use]
    pub fn with_filtered(mut self) -> Columns {
        let column = Column::Known(Known::FilteredBy);
        if !self.0.contains(&column) {
            self.0.push(column);
        }
        self
    }

    /// The same with times in the reader's time zone.
    #[must_use]
    pub fn in_local_time(self) -> Columns {
        let local = |column| match column {
            Column::Known(Known::Time) => Column::Known(Known::LocalTime),
            Column::Known(Known::First) => Column::Known(Known::LocalFirst),
            Column::Known(Known::Last) => Column::Known(Known::LocalLast),
            column => column,
        };
        Columns(self.0.into_iter().map(local).collect())
    }

    fn profile(name: &str, medium: Medium) -> Columns {
        let names = match (name, medium) {
            ("minimal", Medium::Page) => "TimeUTC Level Rule Computer",
            ("verbose", Medium::Page) => {
                "TimeUTC Level Rule Computer Event Title Fields Where Techniques RuleFile Details"
            }
            (_, Medium::Page) => "TimeUTC Level Rule Computer Event Fields Where",
            ("minimal", Medium::Sheet) => "TimeUTC Level Rule Computer Channel EventID RecordID",
            ("verbose", Medium::Sheet) => {
                "TimeUTC Level Rule Computer Channel EventID Title User TargetUser Process \
                 CommandLine Parent ParentCommandLine Target SourceIP DestinationIP Match1 Match2 \
                 Match3 Techniques Tags Status Provider RecordID HeaderRecordID Recovered Path \
                 Chunk Offset RuleID RuleFile Details"
            }
            (_, Medium::Sheet) => {
                "TimeUTC Level Rule Computer Channel EventID Title User TargetUser Process \
                 CommandLine Parent ParentCommandLine Target SourceIP DestinationIP Match1 Match2 \
                 Match3 Techniques RecordID Path Offset RuleID RuleFile Details"
            }
        };
        Columns(names.split_whitespace().map(Column::parse).collect())
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Column> {
        self.0.iter()
    }

    /// The names of all columns that are not fields of events.
    pub fn names() -> impl Iterator<Item = &'static str> {
        KNOWN.iter().chain(OF_GROUPS).map(|(name, _)| *name)
    }
}

impl Column {
    fn parse(name: &str) -> Column {
        if let Some(field) = name.strip_prefix(DATA) {
            return Column::Field(field.into());
        }
        let mut known = KNOWN.iter().chain(OF_GROUPS);
        let known = known.find(|(known, _)| known.eq_ignore_ascii_case(name));
        known.map_or_else(|| Column::Field(name.into()), |(_, known)| Column::Known(*known))
    }

    /// What it is called.
    pub(super) fn name(&self) -> Cow<'_, str> {
        match self {
            // A field that one of our columns is called like is shown as it has to be asked for.
            Column::Field(name) if matches!(Column::parse(name), Column::Known(_)) => {
                Cow::Owned(format!("{DATA}{name}"))
            }
            Column::Field(name) => Cow::Owned(escape::lined(name)),
            Column::Known(known) => {
                let name = KNOWN.iter().chain(OF_GROUPS).find(|(_, other)| other == known);
                Cow::Borrowed(name.map_or("", |(name, _)| name))
            }
        }
    }

    /// What stands above it on a page.
    pub(super) fn heading(&self) -> Cow<'_, str> {
        match self {
            Column::Known(Known::Time) => Cow::Borrowed("Time (UTC)"),
            Column::Known(Known::First) => Cow::Borrowed("First (UTC)"),
            Column::Known(Known::Last) => Cow::Borrowed("Last (UTC)"),
            column => column.name(),
        }
    }

    /// What stands in it for a hit: nothing, a text, or several.
    pub(super) fn texts(&self, hit: &Hit<'_>) -> Vec<String> {
        match self {
            Column::Field(name) => field(hit, name),
            Column::Known(known) => known.texts(hit),
        }
    }
}

impl Known {
    fn texts(self, hit: &Hit<'_>) -> Vec<String> {
        let number = |n: u64| Some(Cow::Owned(n.to_string()));
        let text = |text| Some(Cow::Borrowed(text));
        let value = match self {
            Known::Matched => return hit.matched.iter().map(|(n, v)| pair(n, v)).collect(),
            Known::Fields => return fields(hit),
            Known::FilteredBy => {
                let Subject::Filtered(filters) = &hit.subject else { return Vec::new() };
                return filters.iter().map(|filter| escape::lined(filter)).collect();
            }
            Known::Details => return details(hit),
            Known::Where => return place(hit),
            Known::Tags => return hit.rule.tags.iter().map(|tag| escape::lined(tag)).collect(),
            Known::First if let Subject::Correlation(found) = &hit.subject => found.first.map(time),
            Known::LocalFirst if let Subject::Correlation(found) = &hit.subject => {
                local(found.local_first, found.first)
            }
            Known::Time | Known::First => hit.timestamp.map(time),
            Known::LocalTime | Known::LocalFirst => local(hit.local_time, hit.timestamp),
            Known::Count | Known::Last | Known::LocalLast => match &hit.subject {
                Subject::Group(repeats) if self == Known::Count => number(repeats.count),
                Subject::Group(repeats) if self == Known::Last => repeats.last.map(time),
                Subject::Group(repeats) => local(repeats.local_last, repeats.last),
                Subject::Correlation(found) if self == Known::Count => number(found.count),
                Subject::Correlation(_) if self == Known::Last => hit.timestamp.map(time),
                Subject::Correlation(_) => local(hit.local_time, hit.timestamp),
                Subject::Hit | Subject::Filtered(_) | Subject::Context => None,
            },
            Known::Level => text(hit.rule.level),
            Known::Rule => text(hit.rule.title),
            Known::RuleId => hit.rule.id.map(Cow::Borrowed),
            Known::Status => hit.rule.status.map(Cow::Borrowed),
            Known::Techniques => {
                let techniques: Vec<String> = techniques(hit).collect();
                (!techniques.is_empty()).then(|| Cow::Owned(techniques.join(" ")))
            }
            Known::RuleFile => text(hit.rule.source),
            Known::Computer => hit.event.computer.map(Cow::Borrowed),
            Known::Channel => hit.event.channel.map(Cow::Borrowed),
            Known::Provider => hit.event.provider.map(Cow::Borrowed),
            Known::EventId => hit.event.event_id.map(Cow::Borrowed),
            Known::Event => Some(Cow::Owned(event_kind(hit))),
            Known::Title => match &hit.subject {
                Subject::Correlation(found) => Some(Cow::Owned(correlation::summary(found))),
                _ => hit.event.title.map(Cow::Borrowed),
            },
            Known::RecordId => hit.event.record_id.map(Cow::Borrowed),
            Known::Notion(notion) => notion.of(hit),
            Known::Match(n) => {
                return hit.matched.get(n).map(|(n, v)| pair(n, v)).into_iter().collect();
            }
            Known::Path => text(hit.place.path),
            Known::Chunk => number(hit.place.chunk),
            Known::Offset => number(hit.place.offset),
            Known::HeaderRecordId => number(hit.place.record_id),
            Known::Recovered => text(if hit.place.recovered { "true" } else { "false" }),
        };
        value.map(|value| escape::lined(&value)).into_iter().collect()
    }
}

/// `2025-10-26T00:11:12.8808340Z` as `2025-10-26 00:11:12.8808340`, which spreadsheets know as a
/// time; what does not look like a time as it is.
fn time(time: &str) -> Cow<'_, str> {
    match (time.get(..10), time.get(10..11), time.get(11..).and_then(|t| t.strip_suffix('Z'))) {
        (Some(date), Some("T"), Some(clock)) => Cow::Owned(format!("{date} {clock}")),
        _ => Cow::Borrowed(time),
    }
}

/// A time with its offset, which is that of UTC if nothing else is given.
fn local<'t>(local: Option<&'t str>, utc: Option<&'t str>) -> Option<Cow<'t, str>> {
    let in_utc = |text| match time(text) {
        Cow::Owned(clock) => Cow::Owned(format!("{clock}+00:00")),
        odd => odd,
    };
    local.map(Cow::Borrowed).or_else(|| utc.map(in_utc))
}

/// Whether a column holds a time, and whether that has an offset.
pub(super) fn is_time(column: &Column) -> Option<bool> {
    match column {
        Column::Known(Known::Time | Known::First | Known::Last) => Some(false),
        Column::Known(Known::LocalTime | Known::LocalFirst | Known::LocalLast) => Some(true),
        _ => None,
    }
}

/// How many characters `+02:00` has.
pub(super) const OFFSET: usize = 6;

/// A time's text with no more digits than `width` columns take, an offset aside, which stays.
pub(super) fn shorten_time(time: &mut String, width: usize, has_offset: bool) {
    let end =
        time.len().checked_sub(OFFSET).filter(|end| has_offset && time.is_char_boundary(*end));
    let offset = end.map_or_else(String::new, |end| time.split_off(end));
    let width = width.saturating_sub(offset.len());
    if let Some((at, _)) = time.char_indices().nth(width) {
        time.truncate(at);
    }
    time.push_str(&offset);
}

/// The channel without what all of them share, and the event's number: `Sysmon/1`.
/// Of several events the type of what they are told of together by.
pub(super) fn event_kind(hit: &Hit<'_>) -> String {
    if let Subject::Correlation(found) = &hit.subject {
        return found.kind.to_owned();
    }
    let channel = hit.event.channel.or(hit.event.provider).unwrap_or("-");
    kind_of(channel, hit.event.event_id.unwrap_or("-"))
}

/// See [`event_kind`].
pub(super) fn kind_of(channel: &str, event_id: &str) -> String {
    let channel = channel.strip_prefix("Microsoft-Windows-").unwrap_or(channel);
    let channel = channel.strip_suffix("/Operational").unwrap_or(channel);
    format!("{channel}/{event_id}")
}

/// The techniques of ATT&CK among the rule's tags: `T1003.001`.
pub(super) fn techniques<'h>(hit: &Hit<'h>) -> impl Iterator<Item = String> + 'h {
    hit.rule.tags.iter().filter_map(|tag| {
        let id = tag.strip_prefix("attack.")?;
        let (t, number) = (id.get(..1)?, id.get(1..)?);
        let digits = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        (t.eq_ignore_ascii_case("t") && !number.is_empty() && digits).then(|| format!("T{number}"))
    })
}

/// The log, and which record of it.
fn place(hit: &Hit<'_>) -> Vec<String> {
    let header = itoa::Buffer::new().format(hit.place.record_id).to_owned();
    let record = escape::lined(hit.event.record_id.unwrap_or(&header));
    let recovered = if hit.place.recovered { ", recovered" } else { "" };
    vec![escape::lined(hit.place.path), format!("record {record}{recovered}")]
}

/// A field of the event; all its values. If the event has none, the rule's field of that name: what
/// an event of another kind calls so.
fn field(hit: &Hit<'_>, name: &str) -> Vec<String> {
    let data = hit.data.iter().filter(|(field, ..)| field.eq_ignore_ascii_case(name));
    let texts: Vec<String> = data.map(|(_, value, _)| escape::lined(value)).collect();
    if !texts.is_empty() {
        return texts;
    }
    let matched = hit.matched.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
    matched.map(|(_, value)| escape::lined(value)).collect()
}

/// So many fields are shown of an event that was hit for what it is, and not for a field of it.
const FIRST_FIELDS: usize = 8;

/// The fields that matched. What only says which kind of event it is has columns of its own and is
/// left out; if that is all a rule asks for, the event's first fields that say something.
fn fields(hit: &Hit<'_>) -> Vec<String> {
    if let Subject::Correlation(found) = &hit.subject {
        let group = hit.matched.iter().map(|(name, value)| pair(name, value));
        let summary = escape::lined(&correlation::summary(found));
        return std::iter::once(summary).chain(group).collect();
    }
    let matched = || hit.matched.iter().filter(|(name, _)| !is_kind(name));
    if matched().next().is_some() {
        return matched().map(|(name, value)| pair(name, value)).collect();
    }
    let telling = |(name, value, _): &(&str, &str, _)| is_telling(name, value);
    let mut telling = hit.data.iter().filter(telling);
    let mut texts: Vec<String> =
        telling.by_ref().take(FIRST_FIELDS).map(|(name, value, _)| pair(name, value)).collect();
    let more = telling.count();
    if more > 0 {
        texts.push(format!("(and {more} more)"));
    }
    texts
}

fn is_kind(name: &str) -> bool {
    ["EventID", "Provider_Name", "Channel", "Computer"].contains(&name)
}

/// Whether a field says something to a reader, other than an identifier of the log's own.
fn is_telling(name: &str, value: &str) -> bool {
    let id = ["Guid", "GUID", "Sid", "LogonId", "CorrelationID"];
    !value.is_empty()
        && value != "-"
        && name != "UtcTime"
        && !id.iter().any(|id| name.ends_with(id))
}

/// All fields: first those that matched, then those of the event.
fn details(hit: &Hit<'_>) -> Vec<String> {
    if let Subject::Correlation(found) = &hit.subject {
        let members = correlation::members(found);
        let members = members.iter().map(|member| escape::lined(member));
        return fields(hit).into_iter().chain(members).collect();
    }
    let matched = hit.matched.iter().filter(|(name, _)| !is_kind(name));
    let mut texts: Vec<String> = matched.clone().map(|(name, value)| pair(name, value)).collect();
    let rest = hit.data.iter().filter(|(name, value, _)| {
        !value.is_empty() && !matched.clone().any(|(n, v)| n == name && v == value)
    });
    texts.extend(rest.map(|(name, value, _)| pair(name, value)));
    texts
}

fn pair(name: &str, value: &str) -> String {
    let mut out = String::with_capacity(name.len() + 1 + value.len());
    escape::line(name, &mut out);
    out.push('=');
    escape::line(value, &mut out);
    out
}

/// One line of what the hit is about, for formats whose readers see little else at first.
pub(super) fn message(hit: &Hit<'_>) -> String {
    let title = hit.event.title.filter(|_| hit.subject != Subject::Context);
    let title = title.map_or_else(String::new, |title| format!("{title}, "));
    let filtered = match hit.subject {
        Subject::Filtered(filters) => format!(" [filtered by {}]", filters.join(", ")),
        _ => String::new(),
    };
    let about = format!("{}{filtered} ({title}{})", hit.rule.title, event_kind(hit));
    let fields = fields(hit);
    let end = if fields.is_empty() { "" } else { ": " };
    format!("{}{end}{}", escape::lined(&about), fields.join(" | "))
}
