//! Plans: for each leaf of a template, where its value stands.
//!
//! A plan is compiled from a template's canonical form alone and says, for each place in the template
//! that can hold a value, from which substitutions and literals it comes, and on which substitutions
//! it depends. What a record then needs is a table of its values ([`super::instance`]).
//!
//! Presence follows the XML that the `evtx` crate renders, which follows Windows:
//! - An element is *absent* if it, or an element around it, depends on a value that is NullType
//!   ([MS-EVEN6] 2.2.12, DependencyId); the root of a template depends on nothing.
//! - Otherwise it is there, and *empty* if its value is NullType or empty, whether the substitution is
//!   optional or not: optional says only that no value is written.
//! - An attribute whose value renders to nothing is *absent*.
//! - An array of several items repeats its element: one leaf, several values.
//!
//! Templates that this cannot say are [`Decline::Shape`]: a `Data` whose name is substituted, text
//! beside child elements, an element whose children may all be left out (it would become a leaf), a
//! root other than `Event`.

use super::Decline;
use super::place::{self, Attributes, Context, Role};
use super::template::{NO_DEPENDENCY, token};
use crate::bytes;
use crate::event::Leaf;
use crate::utf16;

/// The most substitutions that a template can refer to; those of Windows have below 150. Each record
/// with fewer values still makes a table of this size possible in the plan.
const MAX_SLOTS: usize = 1024;
/// The most places of a template. The widest of Windows have about 200.
const MAX_ITEMS: usize = 2048;
/// How deep a template's elements nest; Windows' UserData goes 4 deep, CAPI2 10.
const MAX_DEPTH: usize = 64;
/// How many elements around a place can depend on values; Windows has one or two.
const MAX_DEPENDENCIES: usize = 8;
/// The most pieces of one value, literals and substitutions: a record puts them together on the
/// stack.
pub(super) const MAX_PARTS: usize = 16;

/// A piece of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Literal(Box<str>),
    Slot(u16),
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    Empty,
    /// Text that stands like this in the template.
    Literal(Box<str>),
    Slot(u16),
    /// Several pieces, at most [`MAX_PARTS`]; literal pieces that follow each other are joined.
    Parts(Box<[Part]>),
}

/// A place in a template, in document order.
#[derive(Debug)]
pub(super) struct Item {
    /// The leaf here; `None` if only elements of a nested instance can come here.
    pub(super) leaf: Option<Leaf>,
    /// Its value.
    pub(super) source: Source,
    /// The substitution in whose place an instance of another template may stand.
    pub(super) nest: Option<u16>,
    /// The substitutions that must not be NullType.
    pub(super) dependencies: Box<[u16]>,
    /// Whether it is absent when its value is empty.
    pub(super) attribute: bool,
}

impl Item {
    /// About how many bytes it takes.
    pub(super) fn cost(&self) -> usize {
        let text = |part: &Part| match part {
            Part::Literal(text) => 24 + text.len(),
            Part::Slot(_) => 24,
        };
        let source = match &self.source {
            Source::Empty | Source::Slot(_) => 0,
            Source::Literal(text) => text.len(),
            Source::Parts(parts) => parts.iter().map(text).sum(),
        };
        let name = self.leaf.as_ref().map_or(0, |leaf| leaf.name.len());
        size_of::<Item>() + 2 * self.dependencies.len() + source + name
    }
}

/// What a substitution is used for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SlotUse {
    /// In how many places it stands.
    pub(super) places: u16,
    /// What surrounds an instance of another template in its place, if one may stand there.
    pub(super) nest: Option<Context>,
    /// Whether some place cannot take an array of several items.
    pub(super) no_array: bool,
}

/// A compiled template.
#[derive(Debug)]
pub(super) struct Plan {
    /// The places, in document order.
    pub(super) items: Box<[Item]>,
    /// How each substitution is used.
    slots: Box<[SlotUse]>,
    /// The substitutions that stand among elements: their values must be elements or empty.
    pub(super) between_elements: Box<[u16]>,
    /// The dependencies of the places in which an instance may stand, by substitution.
    nests: Box<[(u16, usize)]>,
}

impl Plan {
    /// About how many bytes it takes.
    pub(super) fn cost(&self) -> usize {
        let items: usize = self.items.iter().map(Item::cost).sum();
        items + 8 * (self.slots.len() + self.between_elements.len()) + 16 * self.nests.len()
    }

    /// How many values it speaks of.
    pub(super) fn slot_count(&self) -> usize {
        self.slots.len()
    }

    /// How a substitution is used.
    #[inline]
    pub(super) fn slot(&self, id: usize) -> SlotUse {
        self.slots.get(id).copied().unwrap_or_default()
    }

    /// What the place of a nested instance depends on.
    pub(super) fn nest_dependencies(&self, slot: u16) -> &[u16] {
        let nest = self.nests.iter().find(|(id, _)| *id == slot);
        let item = nest.and_then(|(_, item)| self.items.get(*item));
        item.map_or(&[], |item| &item.dependencies)
    }

    /// Compiles the canonical form of a template.
    pub(super) fn compile(canonical: &[u8]) -> Result<Plan, Decline> {
        let (context, mut rest) = canonical.split_first().ok_or(Decline::Template)?;
        let context = [
            Context::Document,
            Context::Event,
            Context::System,
            Context::EventData,
            Context::Body,
            Context::Ignored,
        ]
        .into_iter()
        .find(|c| *c as u8 == *context)
        .ok_or(Decline::Template)?;
        let mut compiler = Compiler::new(context);
        while let Some((kind, after)) = rest.split_first() {
            rest = compiler.token(*kind, after)?;
        }
        compiler.finish()
    }
}

/// An element that is open.
struct Frame {
    name: Box<str>,
    outer: Context,
    inner: Context,
    role: Role,
    /// What `Name` says, if that names the element.
    data_name: Option<String>,
    /// How many dependencies it adds.
    dependencies: usize,
    /// Literals and substitutions directly in it.
    parts: Vec<Part>,
    /// How many items there were before its content.
    content: usize,
    /// Whether it has attributes that are leaves.
    has_leaf_attributes: bool,
    /// Child elements, and those of them that are always there.
    children: usize,
    certain_children: usize,
}

/// What tokens add to.
enum At {
    /// Before an element's start is closed: its attributes, with the one being read.
    Start { attribute: Option<(String, Vec<Part>)> },
    /// In the content of the innermost element.
    Content,
}

struct Compiler {
    context: Context,
    frames: Vec<Frame>,
    at: At,
    items: Vec<Item>,
    slots: Vec<SlotUse>,
    dependencies: Vec<u16>,
    between_elements: Vec<u16>,
    done: bool,
}

impl Compiler {
    fn new(context: Context) -> Compiler {
        Compiler {
            context,
            frames: Vec::new(),
            at: At::Content,
            items: Vec::new(),
            slots: Vec::new(),
            dependencies: Vec::new(),
            between_elements: Vec::new(),
            done: false,
        }
    }

    /// Takes one token, and says where the next starts.
    fn token<'c>(&mut self, kind: u8, rest: &'c [u8]) -> Result<&'c [u8], Decline> {
        match kind {
            token::OPEN => {
                let dependency = bytes::u16(rest, 0).ok_or(Decline::Template)?;
                let (name, rest) = text(rest.get(2..).unwrap_or(&[]))?;
                self.open(&checked_name(name)?, dependency)?;
                Ok(rest)
            }
            token::ATTRIBUTE => {
                let (name, rest) = text(rest)?;
                self.attribute(checked_name(name)?)?;
                Ok(rest)
            }
            token::TEXT => {
                let (text, rest) = text(rest)?;
                if !text.is_empty() {
                    self.part(Part::Literal(text.into()))?;
                }
                Ok(rest)
            }
            // An empty piece before it makes several of one.
            token::PIECE => self.part(Part::Literal(Box::default())).map(|()| rest),
            token::SUBSTITUTION => {
                let id = bytes::u16(rest, 0).ok_or(Decline::Template)?;
                self.part(Part::Slot(id))?;
                rest.get(3..).ok_or(Decline::Template)
            }
            token::CLOSE_START => self.close_start().map(|()| rest),
            token::CLOSE_EMPTY => {
                self.close_start()?;
                self.close().map(|()| rest)
            }
            token::CLOSE => {
                if matches!(self.at, At::Start { .. }) {
                    return Err(Decline::Template);
                }
                self.close().map(|()| rest)
            }
            _ => Err(Decline::Template),
        }
    }

    fn open(&mut self, name: &str, dependency: u16) -> Result<(), Decline> {
        if matches!(self.at, At::Start { .. }) || self.done {
            return Err(Decline::Template);
        }
        if self.frames.len() >= MAX_DEPTH {
            return Err(Decline::Limit);
        }
        let root = self.frames.is_empty();
        let outer = self.frames.last().map_or(self.context, |parent| parent.inner);
        let name: Box<str> = place::local(name).into();
        let (role, inner) = place::enter(outer, &name);
        if outer == Context::Document && inner != Context::Event {
            return Err(Decline::Shape);
        }
        let depends = !root && dependency != NO_DEPENDENCY;
        if let Some(parent) = self.frames.last_mut() {
            parent.children += 1;
            parent.certain_children += usize::from(!depends);
        }
        if depends {
            self.dependencies.push(dependency);
            if self.dependencies.len() > MAX_DEPENDENCIES {
                return Err(Decline::Limit);
            }
        }
        self.frames.push(Frame {
            name,
            outer,
            inner,
            role,
            data_name: None,
            dependencies: usize::from(depends),
            parts: Vec::new(),
            content: 0,
            has_leaf_attributes: false,
            children: 0,
            certain_children: 0,
        });
        self.at = At::Start { attribute: None };
        Ok(())
    }

    fn attribute(&mut self, name: String) -> Result<(), Decline> {
        let At::Start { attribute } = &mut self.at else { return Err(Decline::Template) };
        let before = attribute.replace((name, Vec::new()));
        self.end_attribute(before)
    }

    fn part(&mut self, part: Part) -> Result<(), Decline> {
        match &mut self.at {
            At::Start { attribute: Some((_, parts)) } => parts.push(part),
            // Values before any attribute belong to nothing and are not written.
            At::Start { attribute: None } => {}
            At::Content => {
                let (content, inner) = match self.frames.last_mut() {
                    Some(frame) => {
                        frame.parts.push(part.clone());
                        (frame.parts.len(), frame.inner)
                    }
                    None => return Err(Decline::Template),
                };
                if content > MAX_ITEMS {
                    return Err(Decline::Limit);
                }
                // Where it stands among child elements is known now, whether there are any later.
                if let (Part::Slot(id), false) = (part, inner == Context::Ignored) {
                    self.push(None, Source::Empty, Some(id), false)?;
                }
            }
        }
        Ok(())
    }

    fn push(
        &mut self,
        leaf: Option<Leaf>,
        source: Source,
        nest: Option<u16>,
        attribute: bool,
    ) -> Result<(), Decline> {
        if self.items.len() >= MAX_ITEMS {
            return Err(Decline::Limit);
        }
        let dependencies = self.dependencies.as_slice().into();
        self.items.push(Item { leaf, source, nest, dependencies, attribute });
        Ok(())
    }

    /// The use of a substitution.
    fn slot(&mut self, id: u16) -> Result<&mut SlotUse, Decline> {
        let at = usize::from(id);
        if at >= MAX_SLOTS {
            return Err(Decline::Limit);
        }
        if self.slots.len() <= at {
            self.slots.resize(at + 1, SlotUse::default());
        }
        let slot = self.slots.get_mut(at).ok_or(Decline::Limit)?;
        slot.places = slot.places.saturating_add(1);
        Ok(slot)
    }

    /// Notes that these parts' substitutions stand where neither elements nor arrays can.
    fn plain(&mut self, parts: &[Part]) -> Result<(), Decline> {
        for part in parts {
            if let Part::Slot(id) = part {
                self.slot(*id)?.no_array = true;
            }
        }
        Ok(())
    }

    fn end_attribute(&mut self, attribute: Option<(String, Vec<Part>)>) -> Result<(), Decline> {
        let (Some((name, parts)), Some(frame)) = (attribute, self.frames.last_mut()) else {
            return Ok(());
        };
        let attributes = match frame.role {
            Role::Ignored => return Ok(()),
            Role::Structure => Attributes::None,
            Role::Leaf { attributes } => attributes,
        };
        if attributes == Attributes::NameOfData && place::local(&name) == "Name" {
            let mut literal = String::new();
            for part in &parts {
                match part {
                    Part::Literal(text) => literal.push_str(text),
                    Part::Slot(_) => return Err(Decline::Shape),
                }
            }
            frame.data_name = Some(literal);
            return Ok(());
        }
        let leaf = place::attribute_leaf(frame.outer, attributes, &frame.name, &name);
        frame.has_leaf_attributes |= leaf.is_some();
        self.plain(&parts)?;
        match (leaf, source(&parts)?) {
            (None, _) | (_, Source::Empty) => Ok(()),
            (leaf, source) => self.push(leaf, source, None, true),
        }
    }

    fn close_start(&mut self) -> Result<(), Decline> {
        let At::Start { attribute } = std::mem::replace(&mut self.at, At::Content) else {
            return Err(Decline::Template);
        };
        self.end_attribute(attribute)?;
        if let Some(frame) = self.frames.last_mut() {
            frame.content = self.items.len();
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), Decline> {
        let frame = self.frames.pop().ok_or(Decline::Template)?;
        match frame.role {
            Role::Ignored => {}
            Role::Structure => self.close_container(&frame)?,
            Role::Leaf { .. } if frame.children > 0 => {
                if frame.certain_children == 0 {
                    return Err(Decline::Shape);
                }
                self.close_container(&frame)?;
            }
            Role::Leaf { .. } => self.close_leaf(&frame)?,
        }
        let left = self.dependencies.len().saturating_sub(frame.dependencies);
        self.dependencies.truncate(left);
        self.done = self.frames.is_empty();
        Ok(())
    }

    /// Closes an element that holds elements: its substitutions are places for more of them.
    fn close_container(&mut self, frame: &Frame) -> Result<(), Decline> {
        for part in &frame.parts {
            match part {
                Part::Literal(text) if is_blank(text) => {}
                Part::Literal(_) => return Err(Decline::Shape),
                Part::Slot(id) => {
                    let slot = self.slot(*id)?;
                    slot.nest = Some(frame.inner);
                    slot.no_array = true;
                    self.between_elements.push(*id);
                }
            }
        }
        Ok(())
    }

    /// Closes an element without child elements.
    fn close_leaf(&mut self, frame: &Frame) -> Result<(), Decline> {
        // The places of its substitutions become its own.
        self.items.truncate(frame.content);
        let source = source(&frame.parts)?;
        let nest = match (&source, frame.parts.as_slice()) {
            (Source::Slot(id), [Part::Slot(_)]) => {
                let slot = self.slot(*id)?;
                slot.nest = Some(frame.inner);
                slot.no_array |= frame.has_leaf_attributes;
                Some(*id)
            }
            _ => {
                self.plain(&frame.parts)?;
                None
            }
        };
        let leaf = place::element_leaf(frame.outer, &frame.name, frame.data_name.as_deref());
        self.push(Some(leaf), source, nest, false)
    }

    fn finish(self) -> Result<Plan, Decline> {
        if !self.done || !self.frames.is_empty() {
            return Err(Decline::Template);
        }
        let nests = self.items.iter().enumerate();
        let nests = nests.filter_map(|(at, item)| Some((item.nest?, at))).collect();
        Ok(Plan {
            items: self.items.into(),
            slots: self.slots.into(),
            between_elements: self.between_elements.into(),
            nests,
        })
    }
}

/// The value that pieces make.
fn source(parts: &[Part]) -> Result<Source, Decline> {
    let mut merged: Vec<Part> = Vec::new();
    let mut pieced = false;
    for part in parts {
        match (merged.last_mut(), part) {
            (Some(Part::Literal(before)), Part::Literal(text)) => {
                *before = format!("{before}{text}").into();
                pieced = true;
            }
            _ => merged.push(part.clone()),
        }
        if merged.len() > MAX_PARTS {
            return Err(Decline::Limit);
        }
    }
    Ok(match (merged.pop(), merged.is_empty()) {
        (None, _) => Source::Empty,
        (Some(Part::Literal(text)), true) if !pieced => Source::Literal(text),
        (Some(Part::Slot(id)), true) => Source::Slot(id),
        (Some(last), _) => {
            merged.push(last);
            Source::Parts(merged.into())
        }
    })
}

/// A text with its length before it, and what follows it.
fn text(bytes: &[u8]) -> Result<(String, &[u8]), Decline> {
    let (len, rest) = bytes.split_first_chunk::<2>().ok_or(Decline::Template)?;
    let len = usize::from(u16::from_le_bytes(*len));
    let (units, rest) = rest.split_at_checked(len).ok_or(Decline::Template)?;
    let mut text = Vec::new();
    utf16::append_utf8(units, &mut text);
    Ok((String::from_utf8(text).map_err(|_| Decline::Template)?, rest))
}

/// A name that is one in XML too, so that both lanes see the same: the crate writes names as they
/// are.
fn checked_name(name: String) -> Result<String, Decline> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || "<>&\"'/=!?\u{FFFD}".contains(c);
    if name.is_empty() || name.contains(odd) { Err(Decline::Shape) } else { Ok(name) }
}

/// Whether text beside elements is only there for the eye.
pub(super) fn is_blank(text: &str) -> bool {
    text.chars().all(|c| matches!(c, ' ' | '\t' | '\r' | '\n'))
}
