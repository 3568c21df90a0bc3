//! What the engine can ask of any event, and the one text form of every value.
//!
//! An event is a [`Layout`], the list of its *leaves* (the places in the event that can hold a
//! value), and for each leaf no, one or several [`Value`]s. Records with the same layout differ only
//! in values, so whatever follows from names alone (which leaf answers to which field of which rule)
//! is worked out once for a layout and kept beside it. Layouts are compared by identity: a reader
//! hands the same [`Arc`] to all records of the same make, and whoever keeps something for a layout
//! keeps its `Arc` too, so that an address is never taken for another.
//!
//! Invariants:
//! - A value's text is made by [`Value::append_text`] alone; the folded text is that text folded. What
//!   predicates compare and what the prefilter searches is therefore the same (invariant 2 of the
//!   design).
//! - A leaf without values is *absent*; an element that is there and empty has one value, the empty
//!   text.

mod texts;
mod value;

use std::sync::Arc;

pub use texts::{Span, Texts, VALUE_END, VALUE_START};
pub use value::{Value, format_file_time};

/// The index of a leaf in its layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeafId(pub u16);

impl LeafId {
    /// As an index.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The part of an event in which a leaf stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Section {
    /// `Event/System`: what Windows says of every event. Names are `Element` or
    /// `Element_Attribute`, for example `EventID`, `Provider_Name`, `TimeCreated_SystemTime`.
    System,
    /// `Event/EventData`
    EventData,
    /// `Event/UserData`, or any other body: flattened to the local names of its leaves.
    UserData,
}

/// What a leaf is in its section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LeafKind {
    /// An element with a name of its own: `<Data Name="x">`, a child of System or UserData.
    Named,
    /// `<Data>` without a name; its [`Leaf::name`] is `Data`.
    Unnamed,
    /// `<Binary>`; its name is `Binary`.
    Binary,
    /// An attribute of an element.
    Attribute,
}

/// A place in an event that can hold a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Leaf {
    /// Where it stands.
    pub section: Section,
    /// What it is there.
    pub kind: LeafKind,
    /// Its name, case and blanks as in the event.
    pub name: Box<str>,
}

/// The leaves of an event, in document order.
#[derive(Debug, PartialEq, Eq)]
pub struct Layout {
    leaves: Box<[Leaf]>,
    system: SystemLeaves,
}

/// Where the System values stand that Harrier itself asks for.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct SystemLeaves {
    /// `Provider_Name`
    pub provider: Option<LeafId>,
    /// `EventID`
    pub event_id: Option<LeafId>,
    /// `Channel`
    pub channel: Option<LeafId>,
    /// `Computer`
    pub computer: Option<LeafId>,
    /// `EventRecordID`
    pub record_id: Option<LeafId>,
    /// `TimeCreated_SystemTime`
    pub time: Option<LeafId>,
    /// `Level`
    pub level: Option<LeafId>,
}

impl Layout {
    /// The most leaves that a layout can have; an event with more is not laid out but declined.
    pub const MAX_LEAVES: usize = u16::MAX as usize;

    /// A layout of these leaves; those beyond [`Layout::MAX_LEAVES`] have no id, so a caller must
    /// not pass more.
    #[must_use]
    pub fn new(leaves: Vec<Leaf>) -> Arc<Layout> {
        debug_assert!(leaves.len() <= Layout::MAX_LEAVES);
        let find = |name: &str| {
            let at =
                leaves.iter().position(|l| l.section == Section::System && &*l.name == name)?;
            u16::try_from(at).ok().map(LeafId)
        };
        let system = SystemLeaves {
            provider: find("Provider_Name"),
            event_id: find("EventID"),
            channel: find("Channel"),
            computer: find("Computer"),
            record_id: find("EventRecordID"),
            time: find("TimeCreated_SystemTime"),
            level: find("Level"),
        };
        Arc::new(Layout { leaves: leaves.into(), system })
    }

    /// The leaves, in document order.
    #[must_use]
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// The leaves with their ids.
    pub fn iter(&self) -> impl Iterator<Item = (LeafId, &Leaf)> + Clone {
        self.leaves.iter().zip(0u16..).map(|(leaf, id)| (LeafId(id), leaf))
    }

    /// Where the well-known System values stand.
    #[must_use]
    pub fn system(&self) -> &SystemLeaves {
        &self.system
    }
}

/// An event, as the engine sees it.
pub trait Event {
    /// The leaves that it can have values for.
    fn layout(&self) -> &Arc<Layout>;

    /// Calls `visit` with each value of a leaf, in order; not at all if the leaf is absent.
    fn values<F: FnMut(Value<'_>)>(&self, leaf: LeafId, visit: F);

    /// Whether each text among the values stands as it is, in UTF-16LE, in the block of evidence that
    /// the event was read from: none is of another encoding or put together of parts. Values of
    /// other types do not matter.
    fn is_verbatim(&self) -> bool {
        false
    }

    /// Appends the text of a leaf's first value, and says whether there was one.
    fn first_text(&self, leaf: Option<LeafId>, out: &mut Vec<u8>) -> bool {
        let mut found = false;
        if let Some(leaf) = leaf {
            self.values(leaf, |value| {
                if !found {
                    value.append_text(out);
                    found = true;
                }
            });
        }
        found
    }
}
