//! JSON as all formats of JSON lines write it: objects, strings, and fields of an event.
//!
//! Written by hand and not by way of a tree of values: this runs for every hit, and everything that
//! is needed is a string escaper.
//!
//! Invariant: what is written is valid JSON whatever the event holds, no key comes twice in an
//! object of fields, and the strings are the event's.

use super::{Kind, escape::json_string};

/// Up to this many fields, names that repeat are found by comparing all with all, which for so few
/// is faster than a table; a crafted event may have 65,535.
const FEW: usize = 48;

/// An object of names and values; the values of a name that comes again go into one array, in the
/// place of the first.
pub(super) fn grouped<'a>(
    fields: impl ExactSizeIterator<Item = (&'a str, &'a str, Kind)> + Clone,
    out: &mut Vec<u8>,
) {
    let mut object = Object::begin(out);
    object.grouped(fields);
    object.end();
}

/// A value.
pub(super) fn scalar(value: &str, kind: Kind, out: &mut Vec<u8>) {
    match kind {
        Kind::Text => json_string(value, out),
        Kind::Number | Kind::Bool => out.extend_from_slice(value.as_bytes()),
    }
}

/// An array of strings.
pub(super) fn strings<'a>(values: impl Iterator<Item = &'a str>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (n, value) in values.enumerate() {
        if n > 0 {
            out.push(b',');
        }
        json_string(value, out);
    }
    out.push(b']');
}

/// A JSON object being written.
pub(super) struct Object<'o> {
    /// Takes the value after [`Object::key`].
    pub(super) out: &'o mut Vec<u8>,
    first: bool,
}

impl<'o> Object<'o> {
    pub(super) fn begin(out: &'o mut Vec<u8>) -> Object<'o> {
        out.push(b'{');
        Object { out, first: true }
    }

    pub(super) fn key(&mut self, key: &str) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        json_string(key, self.out);
        self.out.push(b':');
    }

    pub(super) fn string(&mut self, key: &str, value: Option<&str>) {
        self.key(key);
        match value {
            Some(value) => json_string(value, self.out),
            None => self.out.extend_from_slice(b"null"),
        }
    }

    /// A number of the System part: a number in JSON if it is one, else the text that stands there.
    /// Templates hold these as text too, and a reader wants one type.
    pub(super) fn number(&mut self, key: &str, value: Option<&str>) {
        match value.filter(|value| is_number(value)) {
            Some(value) => {
                self.key(key);
                self.out.extend_from_slice(value.as_bytes());
            }
            None => self.string(key, value),
        }
    }

    pub(super) fn integer(&mut self, key: &str, value: u64) {
        self.key(key);
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    /// Fields, grouped as [`grouped`] does.
    pub(super) fn grouped<'a>(
        &mut self,
        fields: impl ExactSizeIterator<Item = (&'a str, &'a str, Kind)> + Clone,
    ) {
        if fields.len() > FEW {
            return self.grouped_many(fields);
        }
        for (n, (name, value, kind)) in fields.clone().enumerate() {
            if fields.clone().take(n).any(|(earlier, ..)| earlier == name) {
                continue;
            }
            self.key(name);
            let more = fields.clone().skip(n + 1).filter(|(later, ..)| *later == name);
            let mut more = more.peekable();
            let repeated = more.peek().is_some();
            if repeated {
                self.out.push(b'[');
            }
            scalar(value, kind, self.out);
            for (_, value, kind) in more {
                self.out.push(b',');
                scalar(value, kind, self.out);
            }
            if repeated {
                self.out.push(b']');
            }
        }
    }

    fn grouped_many<'a>(
        &mut self,
        fields: impl ExactSizeIterator<Item = (&'a str, &'a str, Kind)>,
    ) {
        let mut groups: Vec<(&str, Vec<(&str, Kind)>)> = Vec::new();
        let mut by_name = hashbrown::HashMap::new();
        for (name, value, kind) in fields {
            let at = *by_name.entry(name).or_insert_with(|| {
                groups.push((name, Vec::new()));
                groups.len() - 1
            });
            if let Some((_, values)) = groups.get_mut(at) {
                values.push((value, kind));
            }
        }
        for (name, values) in groups {
            self.key(name);
            if let [(value, kind)] = values[..] {
                scalar(value, kind, self.out);
                continue;
            }
            for (n, (value, kind)) in values.into_iter().enumerate() {
                self.out.push(if n == 0 { b'[' } else { b',' });
                scalar(value, kind, self.out);
            }
            self.out.push(b']');
        }
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }
}

/// Whether a text is an integer as JSON writes it.
pub(super) fn is_number(value: &str) -> bool {
    value.parse::<u64>().is_ok_and(|n| itoa::Buffer::new().format(n) == value)
}
