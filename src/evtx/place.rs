//! Which element of an event is what: the one place that names leaves, for both lanes.
//!
//! The fast lane walks a template, the slow lane an XML document; both ask here what an element is
//! and what its attributes are, so that they cannot disagree on names. The rules are those of the
//! schema of events ([MS-EVEN6] 3.1.4.7, `http://schemas.microsoft.com/win/2004/08/events/event`):
//!
//! - `Event` holds `System`, one body, and what a collector may have added to it: `RenderingInfo`,
//!   `ProcessingErrorData` and `SubscriptionBookmarkEvent` are not of the event itself and give no
//!   leaves.
//! - An element of `System` gives a leaf by its name, each of its attributes one by
//!   `Element_Attribute`.
//! - In `EventData`, `<Data Name="x">` is a leaf `x`, `<Data>` an unnamed one, `<Binary>` the binary
//!   one; their other attributes are no leaves.
//! - Anywhere else an element gives a leaf by its local name and so does each of its attributes.
//! - Declarations of namespaces are no attributes.
//! - An element with child elements is no leaf, unless it has text of its own beside them (which only
//!   the slow lane admits). `Event`, `System`, `EventData` and `UserData` are none when they are empty.

use crate::event::{Leaf, LeafKind, Section};

/// What surrounds an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(super) enum Context {
    /// Nothing: it is the record's root.
    Document,
    /// `Event`
    Event,
    /// `Event/System`, at any depth.
    System,
    /// `Event/EventData`, at any depth.
    EventData,
    /// Any other body, at any depth.
    Body,
    /// Something that gives no leaves.
    Ignored,
}

impl Context {
    /// The section of leaves here.
    pub(super) fn section(self) -> Section {
        match self {
            Context::System => Section::System,
            Context::EventData => Section::EventData,
            Context::Document | Context::Event | Context::Body | Context::Ignored => {
                Section::UserData
            }
        }
    }
}

/// What an element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It orders others and is no leaf when it is empty.
    Structure,
    /// A leaf, if it has no child elements; `attributes` says which of its attributes are leaves.
    Leaf { attributes: Attributes },
    /// Nothing in it is a leaf.
    Ignored,
}

/// Which attributes of an element are leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attributes {
    /// None.
    None,
    /// None: `Name` names the element's own leaf.
    NameOfData,
    /// All, as `Element_Attribute`.
    OfElement,
    /// All, by their names.
    Plain,
}

/// What the element `local` is where `context` surrounds it, and what surrounds its content.
pub(super) fn enter(context: Context, local: &str) -> (Role, Context) {
    let plain = Role::Leaf { attributes: Attributes::Plain };
    match context {
        Context::Document if local == "Event" => (Role::Structure, Context::Event),
        Context::Event => match local {
            "System" => (Role::Structure, Context::System),
            "EventData" => (Role::Structure, Context::EventData),
            "UserData" => (Role::Structure, Context::Body),
            "RenderingInfo" | "ProcessingErrorData" | "SubscriptionBookmarkEvent" => {
                (Role::Ignored, Context::Ignored)
            }
            _ => (plain, Context::Body),
        },
        Context::System => (Role::Leaf { attributes: Attributes::OfElement }, Context::System),
        Context::EventData => match local {
            "Data" => (Role::Leaf { attributes: Attributes::NameOfData }, Context::EventData),
            "Binary" => (Role::Leaf { attributes: Attributes::None }, Context::EventData),
            _ => (plain, Context::EventData),
        },
        Context::Document | Context::Body => (plain, Context::Body),
        Context::Ignored => (Role::Ignored, Context::Ignored),
    }
}

/// A name without its prefix.
pub(super) fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// Whether an attribute declares a namespace.
pub(super) fn declares_namespace(attribute: &str) -> bool {
    attribute == "xmlns" || attribute.starts_with("xmlns:")
}

/// The leaf of the element `local` in `context`; `name` is what its attribute `Name` says, if that
/// names it.
pub(super) fn element_leaf(context: Context, local: &str, name: Option<&str>) -> Leaf {
    let (kind, name) = match (context, local, name) {
        (Context::EventData, "Data", Some(name)) if !name.is_empty() => (LeafKind::Named, name),
        (Context::EventData, "Data", _) => (LeafKind::Unnamed, local),
        (Context::EventData, "Binary", _) => (LeafKind::Binary, local),
        _ => (LeafKind::Named, local),
    };
    Leaf { section: context.section(), kind, name: name.into() }
}

/// The leaf of an attribute of the element `element` in `context`.
pub(super) fn attribute_leaf(
    context: Context,
    attributes: Attributes,
    element: &str,
    attribute: &str,
) -> Option<Leaf> {
    if declares_namespace(attribute) {
        return None;
    }
    let name = match attributes {
        Attributes::None | Attributes::NameOfData => return None,
        Attributes::OfElement => format!("{element}_{}", local(attribute)),
        Attributes::Plain => local(attribute).to_owned(),
    };
    Some(Leaf { section: context.section(), kind: LeafKind::Attribute, name: name.into() })
}
