//! An event's data as a JSON object, written straight from the texts of its values.
//!
//! Most of a JSON line is the event's data. Whoever wants nothing else of it need not have its names and
//! texts copied into [`Fields`](super::Fields) first.
//!
//! Invariant: the object is the one that [`json::grouped`](super::json::grouped) makes of the same
//! names and values, as long as no name is added twice ([`DataObject::values`]).

use super::escape::{json_bytes, json_string};
use super::fields::Kind;

/// See the module.
#[derive(Debug, Default)]
pub struct DataObject {
    out: Vec<u8>,
}

impl DataObject {
    /// A name as [`DataObject::values`] wants it.
    #[must_use]
    pub fn name(name: &str) -> Vec<u8> {
        let mut out = vec![b','];
        json_string(name, &mut out);
        out.push(b':');
        out
    }

    /// Begins the next event's object.
    pub fn begin(&mut self) {
        self.out.clear();
        self.out.push(b'{');
    }

    /// Adds a name, made by [`DataObject::name`], with the texts of its values; if there are none, it
    /// is not in the object. It must not be one that the object has.
    #[inline]
    pub fn values<'v>(
        &mut self,
        name: &[u8],
        mut values: impl ExactSizeIterator<Item = (&'v [u8], Kind)>,
    ) {
        let several = values.len() > 1;
        let Some(first) = values.next() else { return };
        // Behind the first brace stands no comma.
        let skipped = usize::from(self.out.len() == 1);
        self.out.extend_from_slice(name.get(skipped..).unwrap_or_default());
        if !several {
            return self.value(first);
        }
        self.out.push(b'[');
        self.value(first);
        for value in values {
            self.out.push(b',');
            self.value(value);
        }
        self.out.push(b']');
    }

    fn value(&mut self, (text, kind): (&[u8], Kind)) {
        match kind {
            Kind::Text => json_bytes(text, &mut self.out),
            Kind::Number | Kind::Bool => self.out.extend_from_slice(text),
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
    use crate::event::Value;
    use crate::report::{Fields, json::grouped};
    use proptest::prelude::*;

    /// The object by both ways.
    fn both(fields: &[(String, Vec<Value<'_>>)]) -> (String, String) {
        let (mut object, mut copied) = (DataObject::default(), Fields::new());
        // What is left of another event does not matter.
        object.begin();
        object.values(&DataObject::name("left"), [(&b"true"[..], Kind::Bool)].into_iter());
        object.begin();
        for (name, values) in fields {
            let texts: Vec<_> = values.iter().map(|v| (v.to_text(), Kind::of(*v))).collect();
            let texts = texts.iter().map(|(text, kind)| (text.as_bytes(), *kind));
            object.values(&DataObject::name(name), texts);
            values.iter().for_each(|value| copied.push(name, *value));
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
