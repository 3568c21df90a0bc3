//! What the JSON objects of many records have in common, made once.
//!
//! Most of what is said of an event and of where it lies is the same for all events of a kind and of a
//! log. Escaping it anew for each hit is most of what a line costs besides the event's data.
//!
//! Invariant: what is cast is what would be written without a mould, byte for byte.

/// A JSON object but for something in its middle, which differs from record to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mould {
    bytes: Vec<u8>,
    gap: usize,
}

impl Mould {
    pub(super) fn new(
        before: impl FnOnce(&mut Vec<u8>),
        after: impl FnOnce(&mut Vec<u8>),
    ) -> Mould {
        let mut bytes = Vec::new();
        before(&mut bytes);
        let gap = bytes.len();
        after(&mut bytes);
        Mould { bytes, gap }
    }

    /// Appends the object with what `fill` appends in its middle.
    pub(super) fn cast(&self, fill: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
        let (before, after) = self.bytes.split_at_checked(self.gap).unwrap_or_default();
        out.extend_from_slice(before);
        fill(out);
        out.extend_from_slice(after);
    }
}
