//! A growing list of texts in one buffer: the values of an event's fields, as matching needs them.
//!
//! Each text stands between [`VALUE_START`] and [`VALUE_END`], so that one search over the buffer of
//! several values can tell a literal at a value's start or end from one inside it. A value may itself
//! hold these bytes; a search that trusts them alone may thus find too much, never too little.

/// Stands before each text.
pub const VALUE_START: u8 = 0x01;
/// Stands after each text.
pub const VALUE_END: u8 = 0x02;

/// Where a text stands in its [`Texts`], without its marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

/// Texts in one buffer, reused from record to record.
#[derive(Debug, Default, Clone)]
pub struct Texts {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

impl Texts {
    /// No texts.
    #[must_use]
    pub fn new() -> Texts {
        Texts::default()
    }

    /// Forgets all texts and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
    }

    /// Adds the text that `write` appends.
    #[inline]
    pub fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.bytes.push(VALUE_START);
        let start = self.bytes.len();
        write(&mut self.bytes);
        let end = self.bytes.len();
        self.bytes.push(VALUE_END);
        // An event is at most 64 KiB and its texts a small multiple of that; positions that did not
        // fit would make the text empty, not wrong memory.
        let at = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.spans.push(Span { start: at(start), end: at(end) });
    }

    /// Adds a text.
    pub fn push(&mut self, text: &[u8]) {
        self.push_with(|out| out.extend_from_slice(text));
    }

    /// How many texts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The text with this index; empty if there is none.
    #[inline]
    #[must_use]
    pub fn get(&self, index: usize) -> &[u8] {
        self.spans.get(index).map_or(&[], |span| self.at(*span))
    }

    /// The texts with these indices.
    #[inline]
    pub fn range(&self, from: usize, to: usize) -> impl Iterator<Item = &[u8]> {
        self.spans.get(from..to).unwrap_or(&[]).iter().map(|span| self.at(*span))
    }

    /// The bytes of the texts with these indices, marks included.
    #[inline]
    #[must_use]
    pub fn haystack(&self, from: usize, to: usize) -> &[u8] {
        let Some([first, .., last] | [first @ last]) = self.spans.get(from..to) else { return &[] };
        let (start, end) = (first.start as usize, last.end as usize);
        start.checked_sub(1).and_then(|start| self.bytes.get(start..end + 1)).unwrap_or(&[])
    }

    #[inline]
    fn at(&self, span: Span) -> &[u8] {
        self.bytes.get(span.start as usize..span.end as usize).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stand_between_marks() {
        let mut texts = Texts::new();
        for text in ["ab", "", "c"] {
            texts.push(text.as_bytes());
        }
        assert_eq!(texts.len(), 3);
        assert_eq!(texts.get(0), b"ab");
        assert_eq!(texts.get(1), b"");
        assert_eq!(texts.get(3), b"");
        assert_eq!(texts.haystack(0, 3), b"\x01ab\x02\x01\x02\x01c\x02");
        assert_eq!(texts.haystack(2, 3), b"\x01c\x02");
        assert_eq!(texts.haystack(1, 1), b"");
        assert_eq!(texts.haystack(1, 9), b"");
        assert_eq!(texts.range(0, 2).collect::<Vec<_>>(), [&b"ab"[..], b""]);
    }
}
