//! JSON as all formats of JSON lines write it: objects, strings, and fields of an event.
//!
//! Written by hand and not by way of a tree of values: this runs for every hit, and everything that
//! is needed is a string escaper.
//!
//! Invariant: what is written is valid JSON whatever the event holds, no key comes twice in an
//! object of fields, and the strings are the event's.

use super::{
    Kind,
    escape::{json_bytes, json_string},
};

/// Up to this many fields, names that repeat are found by comparing all with all, which for so few
/// is faster than a table; a crafted event may have 65,535.
const FEW: usize = 48;

/// An object of names and values, UTF-8; the values of a name that comes again go into one array, in
/// the place of the first.
pub(super) fn grouped<T: AsRef<[u8]> + Copy>(
    fields: impl ExactSizeIterator<Item = (T, T, Kind)> + Clone,
    out: &mut Vec<u8>,
) {
    let mut object = Object::begin(out);
    object.grouped(fields);
    object.end();
}

/// A value, UTF-8.
fn scalar(value: &[u8], kind: Kind, out: &mut Vec<u8>) {
    match kind {
        Kind::Text => json_bytes(value, out),
        Kind::Number | Kind::Bool => out.extend_from_slice(value),
    }
}

pub(super) fn boolean(value: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if value { b"true" } else { b"false" });
}

fn string(value: Option<&str>, out: &mut Vec<u8>) {
    match value {
        Some(value) => json_string(value, out),
        None => out.extend_from_slice(b"null"),
    }
}

/// A number of the System part: a number in JSON if it is one, else the text that stands there.
/// Templates hold these as text too, and a reader wants one type.
fn number(value: Option<&str>, out: &mut Vec<u8>) {
    match value.filter(|value| is_number(value)) {
        Some(value) => out.extend_from_slice(value.as_bytes()),
        None => string(value, out),
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

    /// Goes on with an object that was begun and has keys.
    pub(super) fn resume(out: &'o mut Vec<u8>) -> Object<'o> {
        Object { out, first: false }
    }

    /// A key of ours, which needs no escape.
    #[inline]
    pub(super) fn key(&mut self, key: &str) {
        debug_assert!(key.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\'));
        self.out.extend_from_slice(if self.first { b"\"" } else { b",\"" });
        self.first = false;
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// A key that the event has chosen.
    fn name(&mut self, name: &[u8]) {
        if !self.first {
            self.out.push(b',');
        }
        self.first = false;
        json_bytes(name, self.out);
        self.out.push(b':');
    }

    pub(super) fn string(&mut self, key: &str, value: Option<&str>) {
        self.key(key);
        string(value, self.out);
    }

    /// A number of the System part, as [`number`] has it.
    pub(super) fn number(&mut self, key: &str, value: Option<&str>) {
        self.key(key);
        number(value, self.out);
    }

    pub(super) fn integer(&mut self, key: &str, value: u64) {
        self.key(key);
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    /// Fields, grouped as [`grouped`] does.
    pub(super) fn grouped<T: AsRef<[u8]> + Copy>(
        &mut self,
        fields: impl ExactSizeIterator<Item = (T, T, Kind)> + Clone,
    ) {
        if fields.len() > FEW {
            return self.grouped_many(fields.map(|(name, value, kind)| (name, (value, kind))));
        }
        let mut signs = [0; FEW];
        for (sign, (name, ..)) in signs.iter_mut().zip(fields.clone()) {
            *sign = sign_of(name.as_ref());
        }
        let signs = signs.get(..fields.len()).unwrap_or(&signs);
        let came = |n: usize, sign| signs.iter().take(n).any(|earlier| *earlier == sign);
        if !signs.iter().enumerate().any(|(n, sign)| came(n, *sign)) {
            // As it is with nearly all events.
            for (name, value, kind) in fields {
                self.name(name.as_ref());
                scalar(value.as_ref(), kind, self.out);
            }
            return;
        }
        for (n, (name, value, kind)) in fields.clone().enumerate() {
            let name = name.as_ref();
            if fields.clone().take(n).any(|(earlier, ..)| earlier.as_ref() == name) {
                continue;
            }
            let more = fields.clone().skip(n + 1).filter(|(later, ..)| later.as_ref() == name);
            self.values(name, (value, kind), more.map(|(_, value, kind)| (value, kind)));
        }
    }

    fn grouped_many<T: AsRef<[u8]> + Copy>(
        &mut self,
        fields: impl Iterator<Item = (T, (T, Kind))>,
    ) {
        type Values<T> = Vec<(T, Kind)>;
        let mut groups: Vec<(Box<[u8]>, Values<T>)> = Vec::new();
        let mut by_name = hashbrown::HashMap::new();
        for (name, value) in fields {
            let name: Box<[u8]> = name.as_ref().into();
            let at = *by_name.entry_ref(&name).or_insert(groups.len());
            match groups.get_mut(at) {
                Some((_, values)) => values.push(value),
                None => groups.push((name, vec![value])),
            }
        }
        for (name, values) in groups {
            let mut values = values.into_iter();
            if let Some(first) = values.next() {
                self.values(&name, first, values);
            }
        }
    }

    /// A name with its values: the one, or an array of them.
    fn values<T: AsRef<[u8]>>(
        &mut self,
        name: &[u8],
        (value, kind): (T, Kind),
        mut more: impl Iterator<Item = (T, Kind)>,
    ) {
        self.name(name);
        let Some(second) = more.next() else { return scalar(value.as_ref(), kind, self.out) };
        self.out.push(b'[');
        scalar(value.as_ref(), kind, self.out);
        for (value, kind) in std::iter::once(second).chain(more) {
            self.out.push(b',');
            scalar(value.as_ref(), kind, self.out);
        }
        self.out.push(b']');
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }
}

/// A number that is the same for the same name, and mostly another for another.
fn sign_of(name: &[u8]) -> u64 {
    let eight = |part: Option<&[u8; 8]>| part.map(|part| u64::from_le_bytes(*part));
    let sign = match (eight(name.first_chunk()), eight(name.last_chunk())) {
        (Some(first), Some(last)) => first ^ last.rotate_left(5),
        _ => name.iter().fold(0, |sign, b| sign << 8 | u64::from(*b)),
    };
    sign ^ (name.len() as u64) << 48
}

/// Whether a text is an unsigned integer as JSON writes it, of 64 bits at the most.
pub(super) fn is_number(value: &str) -> bool {
    match value.as_bytes() {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => {
            rest.iter().all(u8::is_ascii_digit) && (rest.len() < 19 || value.parse::<u64>().is_ok())
        }
        _ => false,
    }
}
