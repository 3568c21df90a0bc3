//! An event's leaves out of its XML: the second half of the slow lane.
//!
//! The names and the order of leaves are those of [`super::place`], as in the fast lane; every value
//! is text. Entities and character references are resolved, white space stays as it is.

use super::place::{self, Attributes, Context, Role};
use super::plan::is_blank;
use crate::event::Leaf;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::ops::Range;

/// How deep elements may nest; the `evtx` crate renders no more than 512 levels a fragment.
const MAX_DEPTH: usize = 1024;
/// The most leaves of an event. The widest events of Windows have some hundreds, with arrays; a
/// record of 64 KiB cannot hold as many values, only templates that are used over and over can.
const MAX_LEAVES: usize = 16 * 1024;

/// The leaves of an event and their texts.
#[derive(Debug, Default)]
pub(super) struct Leaves {
    pub(super) leaves: Vec<Leaf>,
    /// Where in `text` the text of each leaf is.
    pub(super) spans: Vec<Range<usize>>,
    pub(super) text: String,
}

impl Leaves {
    fn push(&mut self, leaf: Leaf, text: &str) -> Result<(), String> {
        if self.leaves.len() >= MAX_LEAVES {
            return Err(format!("the event has more than {MAX_LEAVES} values"));
        }
        let start = self.text.len();
        self.text.push_str(text);
        self.leaves.push(leaf);
        self.spans.push(start..self.text.len());
        Ok(())
    }

    /// Reads an event's XML.
    pub(super) fn read(&mut self, xml: &str) -> Result<(), String> {
        self.leaves.clear();
        self.spans.clear();
        self.text.clear();
        let mut reader = Reader::from_str(xml);
        reader.config_mut().expand_empty_elements = true;
        reader.config_mut().allow_dangling_amp = true;
        let mut frames: Vec<Frame> = Vec::new();
        loop {
            let event =
                reader.read_event().map_err(|e| format!("its XML is not well formed: {e}"))?;
            let own = frames.last_mut().map(|frame| &mut frame.text);
            match (event, own) {
                (Event::Start(start), _) => {
                    if frames.len() >= MAX_DEPTH {
                        return Err("its elements nest too deeply".to_owned());
                    }
                    let frame = self.open(&start, frames.last_mut())?;
                    frames.push(frame);
                }
                (Event::End(_), _) => {
                    if let Some(frame) = frames.pop() {
                        self.close(&frame)?;
                    }
                }
                (Event::Text(text), Some(own)) => own.push_str(&text),
                (Event::CData(text), Some(own)) => own.push_str(&text),
                (Event::GeneralRef(name), Some(own)) => push_reference(&name, own),
                (Event::Eof, _) => return Ok(()),
                _ => {}
            }
        }
    }

    fn open(
        &mut self,
        start: &BytesStart<'_>,
        parent: Option<&mut Frame>,
    ) -> Result<Frame, String> {
        let outer = parent.map_or(Context::Document, |parent| {
            parent.children += 1;
            parent.inner
        });
        let name = place::local(start.name().into_inner()).to_owned();
        let (role, inner) = place::enter(outer, &name);
        let attributes = match role {
            Role::Leaf { attributes } => attributes,
            Role::Structure | Role::Ignored => Attributes::None,
        };
        let mut frame =
            Frame { name, outer, inner, role, data_name: None, text: String::new(), children: 0 };
        for attribute in start.attributes().with_checks(false) {
            // The crate writes damaged names as they are, and one that is no name ends the attributes,
            // but not the event.
            let Ok(attribute) = attribute else { break };
            let key = attribute.key.into_inner();
            let value = unescape(&attribute.value);
            if attributes == Attributes::NameOfData && place::local(key) == "Name" {
                frame.data_name = Some(value);
            } else if let Some(leaf) = place::attribute_leaf(outer, attributes, &frame.name, key) {
                self.push(leaf, &value)?;
            }
        }
        Ok(frame)
    }

    fn close(&mut self, frame: &Frame) -> Result<(), String> {
        let leaf = match frame.role {
            Role::Ignored => false,
            Role::Leaf { .. } if frame.children == 0 => true,
            Role::Leaf { .. } | Role::Structure => !is_blank(&frame.text),
        };
        if !leaf {
            return Ok(());
        }
        let leaf = place::element_leaf(frame.outer, &frame.name, frame.data_name.as_deref());
        self.push(leaf, &frame.text)
    }
}

/// An element that is open.
struct Frame {
    name: String,
    outer: Context,
    inner: Context,
    role: Role,
    data_name: Option<String>,
    text: String,
    children: usize,
}

/// Adds what `&name;` stands for; what is unknown stays as it is.
fn push_reference(name: &str, out: &mut String) {
    let number = name.strip_prefix('#').map(|digits| match digits.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => digits.parse(),
    });
    match (number, name) {
        (Some(Ok(n)), _) => out.push(char::from_u32(n).unwrap_or(char::REPLACEMENT_CHARACTER)),
        (_, "lt") => out.push('<'),
        (_, "gt") => out.push('>'),
        (_, "amp") => out.push('&'),
        (_, "quot") => out.push('"'),
        (_, "apos") => out.push('\''),
        _ => {
            out.push('&');
            out.push_str(name);
            out.push(';');
        }
    }
}

/// An attribute's value without references.
fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        match after.split_once(';') {
            Some((name, after)) => {
                push_reference(name, &mut out);
                rest = after;
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::LeafKind;

    fn read(xml: &str) -> Vec<(String, String)> {
        let mut leaves = Leaves::default();
        leaves.read(xml).unwrap();
        let texts = leaves.spans.iter().map(|span| leaves.text[span.clone()].to_owned());
        leaves.leaves.iter().map(|leaf| leaf.name.to_string()).zip(texts).collect()
    }

    #[test]
    fn leaves_are_named_by_where_they_stand() {
        let xml = "<Event xmlns='x'><System><Provider Name='P' Guid='{g}'/><EventID Qualifiers='2'>7\
            </EventID></System><EventData Name='no'><Data Name='a &amp; b' Type='no'>1&lt;&#50;</Data>\
            <Data/><Data Name='e'></Data><Binary>00</Binary></EventData><UserData><u:A xmlns:u='n' \
            u:k='v'><u:B>t</u:B></u:A></UserData><RenderingInfo><Level>no</Level></RenderingInfo>\
            </Event>";
        let want = [
            ("Provider_Name", "P"),
            ("Provider_Guid", "{g}"),
            ("Provider", ""),
            ("EventID_Qualifiers", "2"),
            ("EventID", "7"),
            ("a & b", "1<2"),
            ("Data", ""),
            ("e", ""),
            ("Binary", "00"),
            ("k", "v"),
            ("B", "t"),
        ];
        assert_eq!(read(xml), want.map(|(n, t)| (n.to_owned(), t.to_owned())));
    }

    #[test]
    fn text_beside_elements_is_not_lost() {
        let xml = "<Event><UserData><A>x<B> y </B></A>z</UserData></Event>";
        let want = [("B", " y "), ("A", "x"), ("UserData", "z")];
        assert_eq!(read(xml), want.map(|(n, t)| (n.to_owned(), t.to_owned())));
    }

    #[test]
    fn data_without_a_name_is_unnamed() {
        let mut leaves = Leaves::default();
        leaves
            .read("<Event><EventData><Data>x</Data><Data Name='Data'>y</Data></EventData></Event>")
            .unwrap();
        let kinds: Vec<_> = leaves.leaves.iter().map(|leaf| leaf.kind).collect();
        assert_eq!(kinds, [LeafKind::Unnamed, LeafKind::Named]);
    }

    #[test]
    fn a_damaged_attribute_costs_no_event() {
        let xml =
            "<Event><EventData><Data =\"x\">1</Data><Data Name='y'>2</Data></EventData></Event>";
        let want = [("Data", "1"), ("y", "2")];
        assert_eq!(read(xml), want.map(|(n, t)| (n.to_owned(), t.to_owned())));
    }

    #[test]
    fn what_is_no_xml_is_an_error() {
        for xml in ["<Event><A></Event>", "<Event"] {
            assert!(Leaves::default().read(xml).is_err(), "{xml}");
        }
    }
}
