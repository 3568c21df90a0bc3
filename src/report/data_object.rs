//! An event's data as a JSON object, written straight from its values.
//!
//! Most of a JSON line is the event's data. Whoever wants nothing else of it need not have its texts
//! copied out first ([`Fields`](super::Fields)): here each value's text is appended to the object
//! itself, and only what has to be escaped is written twice.
//!
//! Invariant: the object is the one that [`json::grouped`](super::json::grouped) makes of the same
//! names and values, as long as no name is begun twice ([`DataObject::begin_name`]).

use super::escape::{escape_from, json_string};
use super::fields::Kind;
use crate::event::Value;

/// See the module.
#[derive(Debug, Default)]
pub struct DataObject {
    out: Vec<u8>,
    /// Text that is to be escaped.
    scratch: Vec<u8>,
    /// Where the name that was begun has its first value.
    value: usize,
    /// How many values it has.
    values: usize,
}

impl DataObject {
    /// A name as [`DataObject::begin_name`] wants it.
    #[must_use]
    pub fn name(name: &str) -> Vec<u8> {
        let mut out = Vec::new();
        json_string(name, &mut out);
        out.push(b':');
        out
    }

    /// Begins the next event's object.
    pub fn begin(&mut self) {
        self.out.clear();
        self.out.push(b'{');
    }

    /// Begins a name, made by [`DataObject::name`], whose values follow: if none does, it is not in
    /// the object. It must not be one that the object has.
    pub fn begin_name(&mut self, name: &[u8]) {
        if self.out.len() > 1 {
            self.out.push(b',');
        }
        self.out.extend_from_slice(name);
        (self.value, self.values) = (self.out.len(), 0);
    }

    /// Adds a value.
    pub fn value(&mut self, value: Value<'_>) {
        match self.values {
            0 => {}
            1 => {
                self.out.insert(self.value, b'[');
                self.out.push(b',');
            }
            _ => self.out.push(b','),
        }
        self.values += 1;
        if Kind::of(value) != Kind::Text {
            return value.append_text(&mut self.out);
        }
        self.out.push(b'"');
        let start = self.out.len();
        value.append_text(&mut self.out);
        escape_from(start, &mut self.out, &mut self.scratch);
        self.out.push(b'"');
    }

    /// Ends the name that was begun last, which `name` is.
    pub fn end_name(&mut self, name: &[u8]) {
        match self.values {
            0 => {
                self.out.truncate(self.value.saturating_sub(name.len()));
                self.out.pop_if(|last| *last == b',');
            }
            1 => {}
            _ => self.out.push(b']'),
        }
    }

    /// Ends the object.
    pub fn end(&mut self) {
        self.out.push(b'}');
    }

    /// The object.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Fields, json::grouped};
    use proptest::prelude::*;

    /// The object by both ways.
    fn both(fields: &[(String, Vec<Value<'_>>)]) -> (String, String) {
        let (mut object, mut copied) = (DataObject::default(), Fields::new());
        // What is left of another event does not matter.
        object.begin();
        object.value(Value::Bool(true));
        object.begin();
        for (name, values) in fields {
            let key = DataObject::name(name);
            object.begin_name(&key);
            for value in values {
                object.value(*value);
                copied.push(name, *value);
            }
            object.end_name(&key);
        }
        object.end();
        let mut want = Vec::new();
        grouped(copied.iter(), &mut want);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (text(object.as_bytes()), text(&want))
    }

    #[test]
    fn no_one_and_several_values() {
        let values = [Value::Text("a\\b\"\u{202e}é"), Value::Unsigned(7), Value::Bool(false)];
        for n in 0..4 {
            for m in 0..4 {
                let [a, b] = [n, m].map(|n| values[..n].to_vec());
                let (got, want) = both(&[("x".to_owned(), a), ("y, \"".to_owned(), b)]);
                assert_eq!(got, want);
            }
        }
    }

    proptest! {
        #[test]
        fn it_is_the_object_that_copied_fields_make(
            fields in prop::collection::btree_map(
                any::<String>(), prop::collection::vec(any::<Vec<u16>>(), 0..4), 0..6),
        ) {
            let units = |text: &Vec<u16>| text.iter().flat_map(|u| u.to_le_bytes()).collect();
            let raw: Vec<(String, Vec<Vec<u8>>)> = fields
                .into_iter()
                .map(|(name, values)| (name, values.iter().map(units).collect()))
                .collect();
            let fields: Vec<_> = raw
                .iter()
                .map(|(name, values)| {
                    (name.clone(), values.iter().map(|text| Value::Utf16(text)).collect())
                })
                .collect();
            let (got, want) = both(&fields);
            prop_assert_eq!(got, want);
        }
    }
}
