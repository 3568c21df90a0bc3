//! Log sources: which events a rule speaks of, by channel, provider, event id and now and then a
//! field.
//!
//! A log source is looked for by category, by service, or by both: with both set, it is the
//! category's sources as far as they come from the service's channels (`ps_script` with service
//! `powershell`, `antivirus` with `windefend`). The tables know Windows alone; a rule for another
//! product has no sources here, a rule without a product is taken for Windows.
//!
//! Invariant: an event that [`Source::admits`] refuses is none that the log source means; what it
//! admits may still fail [`Source::conditions`], which need the event's fields.
//!
//! Source of facts: Sigma taxonomy appendix, Microsoft's event documentation, and real logs where
//! the two disagree with them (channel paths; registry deletions are Sysmon event 12).

use super::{table, view::View};
use crate::sigma::rule::{Dialect, LogSource};
use crate::utf16;
use std::collections::BTreeMap;

/// The product that the tables describe.
const PRODUCT: &str = "windows";

/// By what an event is sent to the rules that may speak of it. Both texts are folded
/// ([`utf16::folded`]); an event that lacks one has the empty text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventKey<'a> {
    /// `System/Provider/@Name`, folded.
    pub provider: &'a str,
    /// `System/Channel`, folded.
    pub channel: &'a str,
    /// `System/EventID`, if its text is a number.
    pub event_id: Option<u32>,
}

/// How sure it is that a source belongs to its log source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// What everyone means by it.
    Default,
    /// Beyond what others map, with good reason: on as well.
    Extended,
    /// Beyond it, and a source of surprises: on request.
    Optional,
}

/// Which log sources are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Those of [`Tier::Optional`] too.
    pub optional_sources: bool,
}

/// A test that a source makes of an event's fields, by text, regardless of case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SourceCondition {
    /// The field, to be read through the source's view.
    pub field: String,
    /// One of its values is one of these.
    pub values: Vec<String>,
    /// Or the event has no such field.
    pub or_absent: bool,
}

/// A kind of events that a log source stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Source {
    /// Any of these channels, folded; none named: any.
    pub channels: Vec<String>,
    /// Providers of these events, folded; none named: any.
    pub providers: Vec<String>,
    /// Any of these event ids, ascending; `None`: any.
    pub event_ids: Option<Vec<u32>>,
    /// What the event's fields must fulfil besides: all of these.
    pub conditions: Vec<SourceCondition>,
    /// How field names are read in these events.
    pub view: View,
    /// How sure the source is.
    pub tier: Tier,
}

impl Source {
    /// Every event.
    #[must_use]
    pub fn everything(view: View) -> Source {
        Source {
            channels: Vec::new(),
            providers: Vec::new(),
            event_ids: None,
            conditions: Vec::new(),
            view,
            tier: Tier::Default,
        }
    }

    /// Whether every event is admitted.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.channels.is_empty() && self.providers.is_empty() && self.event_ids.is_none()
    }

    /// Whether the source is of this kind of events, its conditions aside.
    #[must_use]
    pub fn admits(&self, key: &EventKey<'_>) -> bool {
        admits(&self.channels, &self.providers, self.event_ids.as_deref(), key)
    }

    /// By what the event is told to be none of this kind, if it is none.
    #[must_use]
    pub fn refusal(&self, key: &EventKey<'_>) -> Option<Refusal> {
        refusal(&self.channels, &self.providers, self.event_ids.as_deref(), key)
    }

    /// The source as far as it comes from these channels; `None` if it does not.
    fn within(&self, channels: &[String]) -> Option<Source> {
        if self.channels.is_empty() {
            return Some(Source { channels: channels.to_vec(), ..self.clone() });
        }
        let kept: Vec<String> =
            self.channels.iter().filter(|channel| channels.contains(channel)).cloned().collect();
        (!kept.is_empty()).then(|| Source { channels: kept, ..self.clone() })
    }
}

/// Whether an event is one of these; see [`refusal`].
pub(super) fn admits(
    channels: &[String],
    providers: &[String],
    event_ids: Option<&[u32]>,
    key: &EventKey<'_>,
) -> bool {
    refusal(channels, providers, event_ids, key).is_none()
}

/// By what an event is told to be none of a source's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Its id is not one of them.
    EventId,
    /// It is of another channel.
    Channel,
    /// It is of another provider.
    Provider,
}

/// Why an event is none of these, if so.
///
/// Its channel decides. Event ids are a provider's own (nearly every provider has an event 1), so
/// where ids are given the provider has to be right too; a whole channel is taken as it is, since
/// more than one provider writes to it (1102 in Security is Microsoft-Windows-Eventlog's). An event
/// without a channel, as exported ETW traces have, goes by its provider.
fn refusal(
    channels: &[String],
    providers: &[String],
    event_ids: Option<&[u32]>,
    key: &EventKey<'_>,
) -> Option<Refusal> {
    if let Some(ids) = event_ids
        && !key.event_id.is_some_and(|id| ids.contains(&id))
    {
        return Some(Refusal::EventId);
    }
    let provider_named = providers.iter().any(|provider| provider == key.provider);
    if key.channel.is_empty() && !(channels.is_empty() && providers.is_empty()) {
        return (!provider_named).then_some(Refusal::Provider);
    }
    if !channels.is_empty() {
        if !channels.iter().any(|channel| channel == key.channel) {
            return Some(Refusal::Channel);
        }
        // A whole channel, whoever writes to it.
        event_ids?;
    }
    let right = providers.is_empty() || key.provider.is_empty() || provider_named;
    (!right).then_some(Refusal::Provider)
}

/// What a rule's log source stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mapping {
    /// These events; never empty.
    Sources(Vec<Source>),
    /// The log source is known, and no event log has such events.
    NeverInEvtx {
        /// Why, to be shown.
        reason: String,
    },
    /// It is of a product other than Windows.
    OtherProduct,
    /// Nothing is known of it.
    Unknown,
}

/// The table of log sources.
#[derive(Debug)]
pub(super) struct Sources {
    rows: Vec<Row>,
    /// Channels as the table writes them, by their folded names.
    channels: BTreeMap<String, String>,
    /// Providers the same way.
    providers: BTreeMap<String, String>,
}

/// A line of the table, or a part of what an entry of a file stands for.
#[derive(Debug)]
pub(super) struct Row {
    /// `None`: rules for Windows and rules that name no product.
    pub(super) product: Option<String>,
    pub(super) category: Option<String>,
    pub(super) service: Option<String>,
    pub(super) kind: RowKind,
}

#[derive(Debug)]
pub(super) enum RowKind {
    /// These events.
    Source(Source),
    /// None in event logs, and why.
    Never(String),
}

/// The product that a rule or a row is for.
pub(super) fn product_of(named: Option<&str>) -> &str {
    named.unwrap_or(PRODUCT)
}

impl Row {
    fn is_for(&self, product: &str, category: Option<&str>, service: Option<&str>) -> bool {
        self.category.as_deref() == category
            && self.service.as_deref() == service
            && product_of(self.product.as_deref()) == product
    }

    fn is_like(&self, other: &Row) -> bool {
        let product = product_of(other.product.as_deref());
        self.is_for(product, other.category.as_deref(), other.service.as_deref())
    }
}

impl Sources {
    /// Reads the table, leaving out what `options` do not ask for.
    pub(super) fn read(text: &str, options: Options) -> Result<Sources, String> {
        let columns = [
            "category",
            "service",
            "tier",
            "channels",
            "providers",
            "event_ids",
            "condition",
            "view",
            "note",
        ];
        let mut rows = Vec::new();
        let mut names = BTreeMap::new();
        let mut provider_names = BTreeMap::new();
        table::read(text, columns, |cells| {
            let [category, service, tier, channels, providers, ..] = cells;
            for name in channels.split(';') {
                names.insert(utf16::folded(name), name.to_owned());
            }
            for name in providers.split(';') {
                provider_names.insert(utf16::folded(name), name.to_owned());
            }
            let kind = match tier {
                "never" => RowKind::Never(note_of(cells)?),
                "default" => RowKind::Source(source(cells, Tier::Default)?),
                "extended-on" => RowKind::Source(source(cells, Tier::Extended)?),
                "optional" => RowKind::Source(source(cells, Tier::Optional)?),
                other => return Err(format!("tier {other:?}")),
            };
            let optional =
                matches!(&kind, RowKind::Source(source) if source.tier == Tier::Optional);
            if options.optional_sources || !optional {
                let name = |cell: &str| (!cell.is_empty()).then(|| cell.to_owned());
                let (category, service) = (name(category), name(service));
                rows.push(Row { product: None, category, service, kind });
            }
            Ok(())
        })?;
        Ok(Sources { rows, channels: names, providers: provider_names })
    }

    /// The categories of which some row, without a service and not optional, admits an event.
    pub(super) fn categories<'s>(&'s self, key: EventKey<'s>) -> impl Iterator<Item = &'s str> {
        let admits = move |row: &&Row| match &row.kind {
            RowKind::Source(source) => {
                row.service.is_none() && source.tier != Tier::Optional && source.admits(&key)
            }
            RowKind::Never(_) => false,
        };
        self.rows.iter().filter(admits).filter_map(|row| row.category.as_deref())
    }

    /// A channel as it is written, given its folded name.
    pub(super) fn channel_name(&self, folded: &str) -> Option<&str> {
        self.channels.get(folded).map(String::as_str)
    }

    /// A provider as it is written, given its folded name.
    pub(super) fn provider_name(&self, folded: &str) -> Option<&str> {
        self.providers.get(folded).map(String::as_str)
    }

    /// Forgets all but what a product alone stands for.
    pub(super) fn forget_named(&mut self) {
        self.rows.retain(|row| row.category.is_none() && row.service.is_none());
    }

    /// Adds rows in place of those for the same log sources.
    pub(super) fn replace(&mut self, rows: Vec<Row>) {
        self.rows.retain(|old| !rows.iter().any(|new| old.is_like(new)));
        self.rows.extend(rows);
    }

    /// What a log source stands for.
    pub(super) fn mapping(&self, logsource: &LogSource, dialect: Dialect) -> Mapping {
        if dialect == Dialect::Hayabusa {
            // Such a rule tests `Channel` itself, and its log source may say something else.
            return Mapping::Sources(vec![Source::everything(View::Hayabusa)]);
        }
        let product = product_of(logsource.product.as_deref());
        let (category, service) = (logsource.category.as_deref(), logsource.service.as_deref());
        match self.of_product(product, category, service) {
            Mapping::Unknown if product != PRODUCT => Mapping::OtherProduct,
            mapping => mapping,
        }
    }

    fn of_product(&self, product: &str, category: Option<&str>, service: Option<&str>) -> Mapping {
        let whole = self.named(product, category, service);
        if whole != Mapping::Unknown || category.is_none() || service.is_none() {
            return whole;
        }
        let mapping = self.named(product, category, None);
        let Mapping::Sources(sources) = &mapping else { return mapping };
        let Mapping::Sources(of_service) = self.named(product, None, service) else {
            return Mapping::Unknown;
        };
        if of_service.iter().any(|source| source.channels.is_empty()) {
            return mapping;
        }
        let channels: Vec<String> = of_service.into_iter().flat_map(|s| s.channels).collect();
        let within: Vec<Source> = sources.iter().filter_map(|s| s.within(&channels)).collect();
        if within.is_empty() { Mapping::Unknown } else { Mapping::Sources(within) }
    }

    /// The rows with exactly this product, category and service. That events are elsewhere is
    /// said if none are here.
    fn named(&self, product: &str, category: Option<&str>, service: Option<&str>) -> Mapping {
        let (mut sources, mut never) = (Vec::new(), None);
        for row in self.rows.iter().filter(|row| row.is_for(product, category, service)) {
            match &row.kind {
                RowKind::Source(source) if sources.contains(source) => {}
                RowKind::Source(source) => sources.push(source.clone()),
                RowKind::Never(reason) => never = Some(reason),
            }
        }
        match never {
            _ if !sources.is_empty() => Mapping::Sources(sources),
            Some(reason) => Mapping::NeverInEvtx { reason: reason.clone() },
            None => Mapping::Unknown,
        }
    }
}

fn note_of([.., note]: [&str; 9]) -> Result<String, String> {
    if note.is_empty() { Err("a reason is wanted".into()) } else { Ok(note.to_owned()) }
}

fn source(cells: [&str; 9], tier: Tier) -> Result<Source, String> {
    let [_, _, _, channels, providers, event_ids, conditions, view, _] = cells;
    Ok(Source {
        channels: table::folded_items(channels)?,
        providers: table::folded_items(providers)?,
        event_ids: table::event_ids(event_ids)?,
        conditions: if conditions.is_empty() { Vec::new() } else { vec![condition(conditions)?] },
        view: View::from_name(view).ok_or_else(|| format!("view {view:?}"))?,
        tier,
    })
}

/// `Field=value;value`, with `?` at its end if the field may be absent.
fn condition(cell: &str) -> Result<SourceCondition, String> {
    let (field, values) = cell.split_once('=').ok_or_else(|| format!("condition {cell:?}"))?;
    let (values, or_absent) = match values.strip_suffix('?') {
        Some(values) => (values, true),
        None => (values, false),
    };
    if field.is_empty() || field.trim() != field {
        return Err(format!("condition {cell:?}"));
    }
    Ok(SourceCondition {
        field: field.to_owned(),
        values: table::items(values)?.into_iter().map(utf16::folded).collect(),
        or_absent,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_strictly() {
        let read = |row: &str| {
            let header = "category,service,tier,channels,providers,event_ids,condition,view,note\n";
            Sources::read(&format!("{header}{row}\n"), Options::default()).map(|s| s.rows.len())
        };
        assert_eq!(read("c,,default,Ch,P,1;2,F=a;b?,plain,"), Ok(1));
        assert_eq!(read("c,,optional,Ch,P,1,,plain,"), Ok(0), "not asked for");
        assert_eq!(read("c,,never,*,*,*,,plain,because"), Ok(1));
        for bad in [
            "c,,usual,Ch,P,1,,plain,",
            "c,,never,*,*,*,,plain,",
            "c,,default,Ch,P,x,,plain,",
            "c,,default,,P,1,,plain,",
            "c,,default,Ch,P,1,,plane,",
            "c,,default,Ch,P,1,F,plain,",
            "c,,default,Ch,P,1,=a,plain,",
            "c,,default,Ch,P,1,F=,plain,",
            "c,,default,Ch,P,1,F=a;,plain,",
            "c,,optional,Ch,P,1,F,plain,",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
