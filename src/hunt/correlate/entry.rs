//! Entries: what is kept of a rule's hit for a correlation, as bytes.
//!
//! An entry is a key and a payload, as a [`Sorter`](super::super::spill::Sorter) takes them. The key
//! sorts: by the correlation's rank, the correlation, the group, the time, the event, the rule. So the
//! entries of a group come together and in the order of their times, and those of an event together.
//! Events at the same time come by what they say of themselves and where they lie, never by when they
//! were met: a hunt finds the same in whatever order the evidence is named. The payload is what else is
//! needed. Events themselves are not kept.
//!
//! Invariant: nobody but this module writes or reads these bytes; what is written is read.

use super::super::rendered::At;
use super::super::time::Ticks;
use crate::engine::{Decimal, Keys, Occurrence, Part};
use std::ops::Range;

/// Where an event of a finding is to be found, and what it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct Reference {
    /// [`At::TIMELESS`] if it does not say.
    pub(in super::super) time: Ticks,
    pub(in super::super) computer: String,
    pub(in super::super) channel: String,
    /// EventRecordID; if the event has none that is a number, the header's.
    pub(in super::super) record: u64,
    pub(in super::super) path: String,
    pub(in super::super) offset: u64,
    pub(in super::super) chunk: u64,
    pub(in super::super) header_record: u64,
    pub(in super::super) recovered: bool,
    /// How the source is there, and the host that it was collected from.
    pub(in super::super) state: String,
    pub(in super::super) host: Option<String>,
    pub(in super::super) event_id: String,
    /// If it is a finding of another correlation: which; the rest is said of its last event.
    pub(in super::super) inner: Option<Inner>,
}

/// A finding that is an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Inner {
    pub(in super::super) correlation: u32,
    pub(in super::super) first: Ticks,
    pub(in super::super) group: Vec<u8>,
    /// How many events it has.
    pub(in super::super) count: u64,
}

/// What the start of a key says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Prefix<'k> {
    pub(super) rank: u32,
    pub(super) correlation: u32,
    pub(super) group: &'k [u8],
}

/// Bytes at the end of a key that tell which member hit.
const MEMBER: usize = 4;

/// Appends the key of an event's entry: which correlation and group, and which event.
pub(super) fn append_key(
    rank: u32,
    part: Part,
    group: &[u8],
    event: &Reference,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(&rank.to_be_bytes());
    out.extend_from_slice(&narrow(part.correlation).to_be_bytes());
    append(group, out);
    out.extend_from_slice(&event.time.to_be_bytes());
    match &event.inner {
        None => {
            out.push(0);
            append_place(event, out);
        }
        Some(inner) => {
            out.push(1);
            out.extend_from_slice(&inner.correlation.to_be_bytes());
            out.extend_from_slice(&inner.first.to_be_bytes());
            append(&inner.group, out);
        }
    }
    out.extend_from_slice(&part.member.to_be_bytes());
}

fn append_place(event: &Reference, out: &mut Vec<u8>) {
    append(event.computer.as_bytes(), out);
    append(event.channel.as_bytes(), out);
    out.extend_from_slice(&event.record.to_be_bytes());
    append(event.path.as_bytes(), out);
    out.extend_from_slice(&event.offset.to_be_bytes());
}

/// Appends the payload.
pub(super) fn append_payload(keys: &Keys, event: &Reference, out: &mut Vec<u8>) {
    append(&keys.shown, out);
    append(&keys.value, out);
    out.extend_from_slice(&narrow(keys.numbers.len()).to_be_bytes());
    keys.numbers.iter().for_each(|number| out.extend_from_slice(&number.to_bytes()));
    out.extend_from_slice(&event.chunk.to_be_bytes());
    out.extend_from_slice(&event.header_record.to_be_bytes());
    out.push(u8::from(event.recovered) | u8::from(event.host.is_some()) << 1);
    append(event.state.as_bytes(), out);
    append(event.host.as_deref().unwrap_or("").as_bytes(), out);
    append(event.event_id.as_bytes(), out);
    if let Some(inner) = &event.inner {
        out.extend_from_slice(&inner.count.to_be_bytes());
        append_place(event, out);
    }
}

/// Splits a key: what the entry is for, and the event with the member.
pub(super) fn split(key: &[u8]) -> Option<(Prefix<'_>, &[u8])> {
    let mut rest = key;
    let prefix = Prefix {
        rank: read_u32(&mut rest)?,
        correlation: read_u32(&mut rest)?,
        group: read(&mut rest)?,
    };
    Some((prefix, rest))
}

/// What tells an event of a group from others, of what stands behind a key's start.
pub(super) fn identity(tail: &[u8]) -> &[u8] {
    tail.split_last_chunk::<MEMBER>().map_or(tail, |(identity, _)| identity)
}

/// The rank in a key.
pub(super) fn rank(key: &[u8]) -> u32 {
    read_u32(&mut &*key).unwrap_or(0)
}

/// Adds what is counted of an entry to what is known of its event. The log is looked at only if it is
/// wanted.
pub(super) fn count(tail: &[u8], payload: &[u8], log: bool, to: &mut Occurrence) -> Option<()> {
    let mut rest = tail;
    to.time = read_u64(&mut rest)?;
    if log && to.members.is_empty() {
        let is_record = read_u8(&mut rest)? == 0;
        // Findings are of no log.
        if is_record {
            let whole = rest;
            read(&mut rest)?;
            read(&mut rest)?;
            to.log = whole.get(..whole.len() - rest.len())?.into();
            to.record = read_u64(&mut rest)?;
        }
    }
    let (_, member) = tail.split_last_chunk::<MEMBER>()?;
    to.members.push(u32::from_be_bytes(*member));
    let mut rest = payload;
    read(&mut rest)?;
    let value = read(&mut rest)?;
    if !value.is_empty() && !to.values.iter().any(|known| **known == *value) {
        to.values.push(value.into());
    }
    let count = read_u32(&mut rest)?;
    // An event counts once: its numbers are those of the first of its rules.
    for _ in 0..if to.numbers.is_empty() { count } else { 0 } {
        let (number, after) = rest.split_first_chunk::<16>()?;
        rest = after;
        to.numbers.push(Decimal::from_bytes(*number));
    }
    Some(())
}

/// The group as the event shows it.
pub(super) fn shown(payload: &[u8]) -> &[u8] {
    read(&mut &*payload).unwrap_or(&[])
}

/// Which event an entry is of.
pub(super) fn reference(tail: &[u8], payload: &[u8]) -> Option<Reference> {
    let mut rest = tail;
    let mut event = Reference { time: read_u64(&mut rest)?, ..Reference::default() };
    let inner = match read_u8(&mut rest)? {
        0 => {
            read_place(&mut rest, &mut event)?;
            None
        }
        _ => Some((read_u32(&mut rest)?, read_u64(&mut rest)?, read(&mut rest)?.to_vec())),
    };
    let mut rest = payload;
    read(&mut rest)?;
    read(&mut rest)?;
    for _ in 0..read_u32(&mut rest)? {
        rest.split_first_chunk::<16>().map(|(_, after)| rest = after)?;
    }
    event.chunk = read_u64(&mut rest)?;
    event.header_record = read_u64(&mut rest)?;
    let flags = read_u8(&mut rest)?;
    event.recovered = flags & 1 != 0;
    event.state = text(read(&mut rest)?);
    let host = text(read(&mut rest)?);
    event.host = (flags & 2 != 0).then_some(host);
    event.event_id = text(read(&mut rest)?);
    if let Some((correlation, first, group)) = inner {
        let count = read_u64(&mut rest)?;
        read_place(&mut rest, &mut event)?;
        event.inner = Some(Inner { correlation, first, group, count });
    }
    Some(event)
}

fn read_place(rest: &mut &[u8], event: &mut Reference) -> Option<()> {
    event.computer = text(read(rest)?);
    event.channel = text(read(rest)?);
    event.record = read_u64(rest)?;
    event.path = text(read(rest)?);
    event.offset = read_u64(rest)?;
    Some(())
}

/// The time, if there is one.
pub(in super::super) fn dated(time: Ticks) -> Option<Ticks> {
    (time != At::TIMELESS).then_some(time)
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(super) fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// The length and the bytes, so that nothing runs into what follows.
pub(super) fn append(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&narrow(bytes.len()).to_be_bytes());
    out.extend_from_slice(bytes);
}

pub(super) fn read<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = usize::try_from(read_u32(rest)?).ok()?;
    let (bytes, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(bytes)
}

pub(super) fn read_u8(rest: &mut &[u8]) -> Option<u8> {
    let (byte, after) = rest.split_first()?;
    *rest = after;
    Some(*byte)
}

pub(super) fn read_u32(rest: &mut &[u8]) -> Option<u32> {
    let (number, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    Some(u32::from_be_bytes(*number))
}

pub(super) fn read_u64(rest: &mut &[u8]) -> Option<u64> {
    let (number, after) = rest.split_first_chunk::<8>()?;
    *rest = after;
    Some(u64::from_be_bytes(*number))
}

/// Keys and payloads, one behind the other.
#[derive(Debug, Default)]
pub(in super::super) struct Entries {
    bytes: Vec<u8>,
    /// Where each key and each payload ends.
    ends: Vec<(usize, usize)>,
}

impl Entries {
    /// Adds an entry.
    pub(in super::super) fn push(
        &mut self,
        key: impl FnOnce(&mut Vec<u8>),
        payload: impl FnOnce(&mut Vec<u8>),
    ) {
        key(&mut self.bytes);
        let middle = self.bytes.len();
        payload(&mut self.bytes);
        self.ends.push((middle, self.bytes.len()));
    }

    /// The entries.
    pub(in super::super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.slices(&self.ends, 0)
    }

    fn slices<'e>(
        &'e self,
        ends: &'e [(usize, usize)],
        mut start: usize,
    ) -> impl Iterator<Item = (&'e [u8], &'e [u8])> {
        ends.iter().map(move |(middle, end)| {
            let start = std::mem::replace(&mut start, *end);
            let slice = |from, to| self.bytes.get(from..to).unwrap_or(&[]);
            (slice(start, *middle), slice(*middle, *end))
        })
    }

    /// Those of these places.
    pub(in super::super) fn iter_of(
        &self,
        places: Range<usize>,
    ) -> impl Iterator<Item = (&[u8], &[u8])> {
        let before = places.start.checked_sub(1).and_then(|before| self.ends.get(before));
        let start = before.map_or(0, |(_, end)| *end);
        self.slices(self.ends.get(places).unwrap_or(&[]), start)
    }

    /// Adds entries as they are.
    pub(in super::super) fn extend<'e>(
        &mut self,
        entries: impl Iterator<Item = (&'e [u8], &'e [u8])>,
    ) {
        for (key, payload) in entries {
            self.push(|out| out.extend_from_slice(key), |out| out.extend_from_slice(payload));
        }
    }

    /// How many there are.
    pub(in super::super) fn count(&self) -> usize {
        self.ends.len()
    }

    /// How many bytes there are.
    pub(in super::super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(in super::super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn references() -> impl Strategy<Value = Reference> {
        let inner = prop::option::of((
            any::<u32>(),
            any::<u64>(),
            prop::collection::vec(any::<u8>(), 0..4),
        ));
        let texts = ("[a-c]{0,3}", "[a-cä]{0,3}", "[a-c!/]{0,3}", "[0-9]{0,3}");
        let numbers = (0..4u64, 0..4u64, any::<u64>(), any::<u64>(), any::<u64>());
        (texts, numbers, any::<bool>(), inner).prop_map(|(texts, numbers, recovered, inner)| {
            Reference {
                time: numbers.0,
                computer: texts.0.clone(),
                channel: texts.1.clone(),
                record: numbers.1,
                path: texts.2.clone(),
                offset: numbers.2,
                chunk: numbers.3,
                header_record: numbers.4,
                recovered,
                state: texts.0.clone(),
                host: recovered.then(|| texts.1.clone()),
                event_id: texts.3.clone(),
                inner: inner.map(|(correlation, first, group)| Inner {
                    correlation,
                    first,
                    group,
                    count: numbers.2,
                }),
            }
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(event in references(), group in "[a-c]{0,4}", member in any::<u32>()) {
            let part = Part { correlation: 7, member };
            let numbers = ["1.5", "-2"].map(|n| Decimal::parse(n.as_bytes()).unwrap());
            let keys = Keys {
                group: group.clone().into_bytes(),
                shown: b"shown".to_vec(),
                value: b"value".to_vec(),
                numbers: numbers.to_vec(),
            };
            let mut entries = Entries::default();
            for _ in 0..2 {
                entries.push(
                    |out| append_key(3, part, &keys.group, &event, out),
                    |out| append_payload(&keys, &event, out),
                );
            }
            prop_assert_eq!(entries.iter().count(), 2);
            for (key, payload) in entries.iter() {
                let (prefix, tail) = split(key).unwrap();
                let want = Prefix { rank: 3, correlation: 7, group: group.as_bytes() };
                prop_assert_eq!(prefix, want);
                prop_assert_eq!(rank(key), 3);
                prop_assert_eq!(&reference(tail, payload).unwrap(), &event);
                prop_assert_eq!(shown(payload), b"shown");
                let mut occurrence = Occurrence::default();
                count(tail, payload, true, &mut occurrence).unwrap();
                count(tail, payload, true, &mut occurrence).unwrap();
                prop_assert_eq!(occurrence.time, event.time);
                prop_assert_eq!(&occurrence.members, &[member, member]);
                prop_assert_eq!(&occurrence.values, &[b"value".to_vec().into_boxed_slice()]);
                prop_assert_eq!(&occurrence.numbers, &numbers);
                let of_record = event.inner.is_none();
                prop_assert_eq!(occurrence.record, if of_record { event.record } else { 0 });
            }
        }

        /// Keys of one group come in the order of their times, and no two events are one.
        #[test]
        fn keys_sort_by_time(a in references(), b in references()) {
            let key = |event: &Reference| {
                let mut key = Vec::new();
                append_key(0, Part { correlation: 0, member: 0 }, b"group", event, &mut key);
                key
            };
            if a.time != b.time {
                prop_assert_eq!(key(&a).cmp(&key(&b)), a.time.cmp(&b.time));
            }
            let place = |event: &Reference| (event.computer.clone(), event.channel.clone(), event.path.clone(), event.record, event.offset);
            if a.inner.is_none() && b.inner.is_none() && (a.time, place(&a)) != (b.time, place(&b)) {
                prop_assert_ne!(key(&a), key(&b));
            }
        }
    }
}
