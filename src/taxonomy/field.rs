//! Fields: what in an event answers to a name in a rule.
//!
//! The order in which a name is looked for, until something is found:
//! 1. `replace` rows of the table: in some events, or through some views, the name means something
//!    else than the field that has it (`ProcessId` of a process creation is 4688's `NewProcessId`),
//!    or nothing at all; `EventID`, `Provider_Name` and `Computer` are always System's;
//! 2. the event's body: by exact name, then regardless of case, then of blanks and underscores too
//!    (`ThreatName` is `Threat Name`); each time EventData before UserData, and elements before
//!    attributes. All leaves of the name are the field: it may have several values;
//! 3. `fallback` rows: other names for a field, and values that are derived from others;
//! 4. System, by the same comparisons.
//!
//! What was found in 2 or 4 may get further values by `add` rows (`Level` as a word, too).
//!
//! Invariant: what a name resolves to depends on view, name, event key and layout alone, and on the
//! view only where a row of that view bears the name ([`Fields::concerns`]).

use super::source::{self, EventKey};
use super::transform::Transform;
use super::{table, view::View};
use crate::event::{Layout, Leaf, LeafId, LeafKind, Section};
use crate::utf16;
use std::collections::HashMap;

/// Where a field's values come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FieldSource {
    /// The values of a leaf.
    Leaf(LeafId),
    /// What the transform makes of the values of these leaves.
    Derived {
        /// How.
        transform: Transform,
        /// Of what, in the order that the transform wants.
        inputs: Box<[LeafId]>,
    },
}

/// The table of fields.
#[derive(Debug)]
pub(super) struct Fields {
    rows: Vec<Row>,
    /// The rows that bear a name (folded), those for one view before those for any.
    by_name: HashMap<String, Vec<usize>>,
}

#[derive(Debug)]
struct Row {
    /// `None`: through any view.
    view: Option<View>,
    channels: Vec<String>,
    providers: Vec<String>,
    event_ids: Option<Vec<u32>>,
    how: How,
    inputs: Vec<Input>,
    /// Whether the inputs' own values are the field's.
    raw: bool,
    transform: Option<Transform>,
    /// The transform as the table calls it.
    transform_name: Option<String>,
}

/// How a name is read in some events, for showing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// When.
    pub when: ReadWhen,
    /// Of which fields of the event, all of which must be there; `|` between those of which the first
    /// counts.
    pub inputs: Vec<String>,
    /// Whether the inputs' own values are the field's.
    pub raw: bool,
    /// What is made of the inputs, as the table calls it.
    pub transform: Option<String>,
}

/// When a name is read so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadWhen {
    /// Always: whatever field has the name. Without inputs and transform the field is absent.
    Instead,
    /// If no field of the event's body has the name.
    Otherwise,
    /// Besides what the field has.
    Besides,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Replace,
    Fallback,
    Add,
}

#[derive(Debug)]
enum Input {
    /// A field of the body; the first of these names that there is.
    Body(Vec<String>),
    /// `System/x`
    System(String),
    /// `Data[]`: the values without a name.
    Unnamed,
    /// `*`: all of the body.
    WholeBody,
}

impl Fields {
    /// Reads the table.
    pub(super) fn read(text: &str) -> Result<Fields, String> {
        let columns = [
            "view",
            "channels",
            "providers",
            "event_ids",
            "names",
            "how",
            "inputs",
            "transform",
            "note",
        ];
        let mut fields = Fields { rows: Vec::new(), by_name: HashMap::new() };
        table::read(text, columns, |cells| {
            for name in table::items(cells[4])? {
                let row = row(cells, name)?;
                let at = fields.rows.len();
                fields.by_name.entry(utf16::folded(name)).or_default().push(at);
                fields.rows.push(row);
            }
            Ok(())
        })?;
        let Fields { rows, by_name } = &mut fields;
        for of_name in by_name.values_mut() {
            of_name.sort_by_key(|at| rows.get(*at).is_some_and(|row| row.view.is_none()));
        }
        Ok(fields)
    }

    /// Whether a name is read differently through this view than through [`View::Plain`], in some
    /// event.
    pub(super) fn concerns(&self, view: View, name: &str) -> bool {
        self.named(name).any(|row| row.view == Some(view))
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &Row> {
        let rows = self.by_name.get(&utf16::folded(name)).map_or(&[][..], Vec::as_slice);
        rows.iter().filter_map(|at| self.rows.get(*at))
    }

    /// How a name is read in events of this kind, if otherwise than by itself: in the order in which
    /// the table has it, of which the first that fits an event counts.
    pub(super) fn readings(&self, view: View, name: &str, key: &EventKey<'_>) -> Vec<Reading> {
        let rows: Vec<&Row> = self.named(name).filter(|row| row.applies(view, key)).collect();
        let replaced = rows.iter().any(|row| row.how == How::Replace);
        let counts = |row: &&&Row| !replaced || row.how == How::Replace;
        rows.iter().filter(counts).map(|row| row.reading()).collect()
    }

    /// What in an event answers to a name.
    pub(super) fn resolve(
        &self,
        view: View,
        name: &str,
        key: &EventKey<'_>,
        layout: &Layout,
    ) -> Vec<FieldSource> {
        let rows: Vec<&Row> = self.named(name).filter(|row| row.applies(view, key)).collect();
        let by = |how: How| rows.iter().filter(move |row| row.how == how);
        if by(How::Replace).next().is_some() {
            return by(How::Replace).find_map(|row| row.sources(layout)).unwrap_or_default();
        }
        let mut found = in_body(layout, name);
        if found.is_empty() {
            if let Some(sources) = by(How::Fallback).find_map(|row| row.sources(layout)) {
                return sources;
            }
            found = find(layout, name, |leaf| leaf.section == Section::System);
        }
        let mut sources: Vec<FieldSource> = found.iter().copied().map(FieldSource::Leaf).collect();
        for row in by(How::Add) {
            if row.leaves(layout).is_some_and(|leaves| leaves.concat() == found) {
                sources.extend(row.sources(layout).unwrap_or_default());
            }
        }
        sources
    }
}

impl Row {
    fn applies(&self, view: View, key: &EventKey<'_>) -> bool {
        self.view.is_none_or(|only| only == view)
            && source::admits(&self.channels, &self.providers, self.event_ids.as_deref(), key)
    }

    fn reading(&self) -> Reading {
        Reading {
            when: match self.how {
                How::Replace => ReadWhen::Instead,
                How::Fallback => ReadWhen::Otherwise,
                How::Add => ReadWhen::Besides,
            },
            inputs: self.inputs.iter().map(Input::name).collect(),
            raw: self.raw,
            transform: self.transform_name.clone(),
        }
    }

    /// The leaves of each input; `None` if one is not there.
    fn leaves(&self, layout: &Layout) -> Option<Vec<Vec<LeafId>>> {
        let leaves: Vec<_> = self.inputs.iter().map(|input| input.leaves(layout)).collect();
        leaves.iter().all(|of_input| !of_input.is_empty()).then_some(leaves)
    }

    /// `None` if an input is not there.
    fn sources(&self, layout: &Layout) -> Option<Vec<FieldSource>> {
        let leaves = self.leaves(layout)?;
        let mut sources = Vec::new();
        if self.raw {
            sources.extend(leaves.iter().flatten().copied().map(FieldSource::Leaf));
        }
        if let Some(transform) = &self.transform {
            // With several inputs each has its place, so each is the first of its leaves.
            let inputs = match &leaves[..] {
                [all] => all.clone(),
                several => several.iter().filter_map(|leaves| leaves.first().copied()).collect(),
            };
            let (transform, inputs) = (transform.clone(), inputs.into());
            sources.push(FieldSource::Derived { transform, inputs });
        }
        Some(sources)
    }
}

impl Input {
    /// As the table has it.
    fn name(&self) -> String {
        match self {
            Input::Body(names) => names.join("|"),
            Input::System(name) => format!("System/{name}"),
            Input::Unnamed => "Data[]".to_owned(),
            Input::WholeBody => "all of the body".to_owned(),
        }
    }

    fn leaves(&self, layout: &Layout) -> Vec<LeafId> {
        let all = |wanted: fn(&Leaf) -> bool| {
            layout.iter().filter(|(_, leaf)| wanted(leaf)).map(|(id, _)| id).collect()
        };
        match self {
            Input::Body(names) => {
                let mut found = names.iter().map(|name| in_body(layout, name));
                found.find(|leaves| !leaves.is_empty()).unwrap_or_default()
            }
            Input::System(name) => find(layout, name, |leaf| leaf.section == Section::System),
            Input::Unnamed => all(|leaf| leaf.kind == LeafKind::Unnamed),
            Input::WholeBody => all(|leaf| leaf.section != Section::System),
        }
    }
}

fn row(cells: [&str; 9], name: &str) -> Result<Row, String> {
    let [view, channels, providers, event_ids, _, how, inputs, transform, _] = cells;
    let view = match view {
        "any" => None,
        other => Some(View::from_name(other).ok_or_else(|| format!("view {other:?}"))?),
    };
    let mut row = Row {
        view,
        channels: table::folded_items(channels)?,
        providers: table::folded_items(providers)?,
        event_ids: table::event_ids(event_ids)?,
        how: match how {
            "replace" => How::Replace,
            "fallback" => How::Fallback,
            "add" => How::Add,
            other => return Err(format!("how {other:?}")),
        },
        inputs: Vec::new(),
        raw: false,
        transform: None,
        transform_name: None,
    };
    if transform == "absent" {
        let fits = inputs.is_empty() && row.how == How::Replace;
        return if fits { Ok(row) } else { Err("absent takes no input, and replaces".into()) };
    }
    row.inputs = table::items(inputs)?.into_iter().map(input).collect();
    for part in transform.split('+') {
        match part {
            "raw" => row.raw = true,
            // `add` keeps the field's own values anyway.
            _ if row.transform.is_some() => return Err(format!("two transforms: {transform:?}")),
            _ => {
                row.transform = Some(
                    Transform::from_name(part, name)
                        .ok_or_else(|| format!("transform {part:?}"))?,
                );
                row.transform_name = Some(part.to_owned());
            }
        }
    }
    if row.how == How::Add && row.raw {
        return Err("add keeps the field's own values anyway".into());
    }
    Ok(row)
}

fn input(text: &str) -> Input {
    match text {
        "Data[]" => Input::Unnamed,
        "*" => Input::WholeBody,
        _ => match text.strip_prefix("System/") {
            Some(name) => Input::System(name.to_owned()),
            None => Input::Body(text.split('|').map(str::to_owned).collect()),
        },
    }
}

fn in_body(layout: &Layout, name: &str) -> Vec<LeafId> {
    find(layout, name, |leaf| leaf.section != Section::System)
}

/// The leaves of the first comparison and place in which there are some.
fn find(layout: &Layout, name: &str, within: impl Fn(&Leaf) -> bool) -> Vec<LeafId> {
    let comparisons: [fn(&str, &str) -> bool; 3] =
        [|a, b| a == b, |a, b| folded(a).eq(folded(b)), same_squeezed];
    for same in comparisons {
        // EventData before UserData, elements before attributes: the least of these pairs.
        let place =
            |leaf: &Leaf| (leaf.section == Section::UserData, leaf.kind == LeafKind::Attribute);
        let named = || layout.iter().filter(|(_, leaf)| within(leaf) && same(&leaf.name, name));
        if let Some(first) = named().map(|(_, leaf)| place(leaf)).min() {
            return named().filter(|(_, leaf)| place(leaf) == first).map(|(id, _)| id).collect();
        }
    }
    Vec::new()
}

fn folded(name: &str) -> impl Iterator<Item = char> {
    name.chars().map(utf16::fold_char)
}

fn squeeze(name: &str) -> impl Iterator<Item = char> {
    folded(name).filter(|c| !matches!(c, ' ' | '_'))
}

fn same_squeezed(a: &str, b: &str) -> bool {
    squeeze(a).eq(squeeze(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_strictly() {
        let read = |row: &str| {
            let header = "view,channels,providers,event_ids,names,how,inputs,transform,note\n";
            Fields::read(&format!("{header}{row}\n")).map(|fields| fields.rows.len())
        };
        assert_eq!(read("any,*,*,*,a;b,fallback,c|d;System/E,raw,"), Ok(2));
        assert_eq!(read("plain,C,P,1;2,a,add,b,level_name,"), Ok(1));
        assert_eq!(read("registry,C,P,1,a,replace,,absent,"), Ok(1));
        assert_eq!(read("any,*,*,*,a,fallback,Data[],raw+nth(3),"), Ok(1));
        for bad in [
            "none,*,*,*,a,fallback,c,raw,",
            "any,*,*,*,,fallback,c,raw,",
            "any,*,*,*,a,always,c,raw,",
            "any,*,*,*,a,fallback,,raw,",
            "any,*,*,*,a,fallback,c,,",
            "any,*,*,*,a,fallback,c,row,",
            "any,*,*,*,a,fallback,c,lines+lines,",
            "any,*,*,*,a,add,c,raw+level_name,",
            "any,*,*,*,a,fallback,,absent,",
            "any,*,*,*,a,replace,c,absent,",
            "any,*,*,-,a,fallback,c,raw,",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_first_line_whose_inputs_are_there_counts() {
        let table = "view,channels,providers,event_ids,names,how,inputs,transform,note\n\
            any,*,*,*,x,fallback,a,raw,\n\
            plain,*,*,*,x,fallback,b;c,raw,\n\
            plain,*,*,*,x,fallback,d|e,raw,\n";
        let fields = Fields::read(table).unwrap();
        let key = EventKey { channel: "c", provider: "p", event_id: None };
        let resolve = |view, names: &[&str]| -> String {
            let leaf = |name: &&str| Leaf {
                section: Section::EventData,
                kind: LeafKind::Named,
                name: (*name).into(),
            };
            let layout = Layout::new(names.iter().map(leaf).collect());
            let name = |source: FieldSource| match source {
                FieldSource::Leaf(id) => names[id.index()],
                FieldSource::Derived { .. } => "derived",
            };
            fields.resolve(view, "X", &key, &layout).into_iter().map(name).collect()
        };
        assert_eq!(resolve(View::Plain, &["a", "b", "c"]), "bc", "the view's before any's");
        assert_eq!(resolve(View::Plain, &["a", "b", "e", "d"]), "d");
        assert_eq!(resolve(View::Plain, &["b", "e"]), "e");
        assert_eq!(resolve(View::Plain, &["a", "b"]), "a");
        assert_eq!(resolve(View::Hayabusa, &["a", "b", "c"]), "a");
        assert_eq!(resolve(View::Plain, &["a", "b", "c", "x"]), "x");
        assert_eq!(resolve(View::Plain, &["b"]), "");
    }
}
