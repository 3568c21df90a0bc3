//! Named values copied out of an event, in buffers that are used again for the next one.
//!
//! Several rules often hit the same record: its body is copied once and rendered for each of them.

use crate::event::Value;
use std::cell::OnceCell;
use std::ops::Range;

/// What a value is where the output tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text, and whatever has only a text form: hexadecimal numbers, GUIDs, SIDs, times, binary.
    Text,
    /// A decimal number; its text is one in JSON too.
    Number,
    /// `true` or `false`
    Bool,
}

impl Kind {
    /// What a value is.
    #[must_use]
    #[inline]
    pub fn of(value: Value<'_>) -> Kind {
        match value {
            Value::Signed(_) | Value::Unsigned(_) => Kind::Number,
            Value::Float32(x) if x.is_finite() => Kind::Number,
            Value::Float64(x) if x.is_finite() => Kind::Number,
            Value::Bool(_) => Kind::Bool,
            _ => Kind::Text,
        }
    }
}

/// Names and values in the order of the event.
#[derive(Debug, Default)]
pub struct Fields {
    /// Names and values; each is UTF-8.
    text: Vec<u8>,
    fields: Vec<Field>,
    /// The fields as they were rendered for the first of the rules.
    rendered: OnceCell<Vec<u8>>,
}

#[derive(Debug, Clone)]
struct Field {
    name: Range<usize>,
    value: Range<usize>,
    kind: Kind,
}

impl Fields {
    /// No fields.
    #[must_use]
    pub fn new() -> Fields {
        Fields::default()
    }

    /// Forgets all fields and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.fields.clear();
        self.rendered.take();
    }

    /// Adds a value. One name may have several.
    pub fn push(&mut self, name: &str, value: Value<'_>) {
        let mut text = Vec::new();
        value.append_text(&mut text);
        self.push_text(name, &text, Kind::of(value));
    }

    /// Adds a value by its text, and what it is.
    pub fn push_text(&mut self, name: &str, text: &[u8], kind: Kind) {
        self.rendered.take();
        let start = self.text.len();
        self.text.extend_from_slice(name.as_bytes());
        let middle = self.text.len();
        append_text(text, &mut self.text);
        self.fields.push(Field { name: start..middle, value: middle..self.text.len(), kind });
    }

    /// The fields as `render` appends them. It is called once, however often this is: all callers have
    /// to render alike.
    pub(super) fn rendered(&self, render: impl FnOnce(&Fields, &mut Vec<u8>)) -> &[u8] {
        self.rendered.get_or_init(|| {
            let mut out = Vec::new();
            render(self, &mut out);
            out
        })
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str, Kind)> + Clone {
        let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
        self.bytes().map(move |(name, value, kind)| (text(name), text(value), kind))
    }

    /// The same, as the bytes that they are.
    pub(super) fn bytes(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8], Kind)> + Clone {
        let bytes = |range: &Range<usize>| self.text.get(range.clone()).unwrap_or_default();
        self.fields.iter().map(move |field| (bytes(&field.name), bytes(&field.value), field.kind))
    }
}

/// Appends a value's text, and makes sure that it is UTF-8.
fn append_text(text: &[u8], out: &mut Vec<u8>) {
    // The text form is UTF-8; were it not, what is wrong would still be seen.
    if text.is_ascii() || std::str::from_utf8(text).is_ok() {
        out.extend_from_slice(text);
    } else {
        out.extend_from_slice(String::from_utf8_lossy(text).as_bytes());
    }
}
