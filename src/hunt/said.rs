//! What an event says: the texts of its values, made once for all that need them.
//!
//! A record with hits is told of, in one or several formats, and made known ([`super::fingerprint`]).
//! Both want its values as text, and to make texts costs more than anything that is done with them. So
//! they are made here, one after the other in one buffer, and looked at from then on.
//!
//! Invariant: the texts are those of [`Value::append_text`](crate::event::Value::append_text), which do
//! not depend on how the record was read.

use crate::event::{Event, LeafId};
use crate::report::Kind;

/// The values of some of an event's leaves. A leaf is spoken of by its place among those that were
/// read.
#[derive(Debug, Default)]
pub(super) struct Said {
    text: Vec<u8>,
    values: Vec<Span>,
    /// Where each leaf's values end.
    ends: Vec<usize>,
}

/// Where a value's text stands.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: usize,
    end: usize,
    kind: Kind,
}

impl Said {
    /// Reads these leaves; what was read before is forgotten.
    #[inline]
    pub(super) fn read(&mut self, event: &impl Event, leaves: impl Iterator<Item = LeafId>) {
        let Said { text, values, ends } = self;
        text.clear();
        values.clear();
        ends.clear();
        for leaf in leaves {
            event.values(leaf, |value| {
                let start = text.len();
                value.append_text(text);
                values.push(Span { start, end: text.len(), kind: Kind::of(value) });
            });
            ends.push(values.len());
        }
    }

    /// The texts of a leaf's values, and what they are.
    #[inline]
    pub(super) fn of(&self, leaf: usize) -> impl ExactSizeIterator<Item = (&[u8], Kind)> + Clone {
        let start = leaf.checked_sub(1).map_or(Some(&0), |before| self.ends.get(before));
        let spans = start.zip(self.ends.get(leaf)).and_then(|(a, b)| self.values.get(*a..*b));
        let text = |span: &Span| self.text.get(span.start..span.end).unwrap_or_default();
        spans.unwrap_or_default().iter().map(move |span| (text(span), span.kind))
    }

    /// The text of a leaf's first value, if it has one.
    #[inline]
    pub(super) fn first(&self, leaf: usize) -> Option<&[u8]> {
        self.of(leaf).next().map(|(text, _)| text)
    }

    /// For each leaf the lengths of its values' texts.
    #[inline]
    pub(super) fn lengths(&self) -> impl Iterator<Item = impl Iterator<Item = usize>> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let spans = self.values.get(std::mem::replace(&mut start, *end)..*end);
            spans.unwrap_or_default().iter().map(|span| span.end - span.start)
        })
    }

    /// All texts, one after the other.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }
}
