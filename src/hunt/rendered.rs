//! Rendered hits on their way from the worker that found them to the outputs.
//!
//! A hit is rendered once for each output, where it is found; from there on it is bytes. If hits are to
//! be written in another order than that of the evidence, each has a mark, which says where it comes in
//! that order and where its bytes end.
//!
//! Where copies are to be found out ([`super::copies`]), it is noted where what is of each record ends, so
//! that it can be left out.
//!
//! Invariant: every output gets the same hits in the same order.

use super::copies::{Met, Records};
use super::correlate::Entries;
use super::time::Ticks;
use super::work::OUTPUT_BYTES;
use crate::report::{Format, Hit};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Where something that is shown comes: by its event's time, and where events have the same, by where
/// they stand in the evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    /// When the event was; [`At::TIMELESS`] if it does not say.
    pub(super) time: Ticks,
    /// The item of work.
    pub(super) item: u64,
    /// The record's number in the item.
    pub(super) record: u32,
    /// The rule's index; [`At::CONTEXT`] if it is no hit.
    pub(super) rule: u32,
}

impl At {
    /// Later than any FILETIME that is a time.
    pub(super) const TIMELESS: Ticks = Ticks::MAX;
    /// Behind all rules.
    pub(super) const CONTEXT: u32 = u32::MAX;
    /// Of what is written as it comes.
    pub(super) const NOWHERE: At = At { time: At::TIMELESS, item: 0, record: 0, rule: 0 };
    /// Bytes of a key.
    pub(super) const KEY: usize = 24;

    /// Bytes that compare as what they are made of does.
    pub(super) fn key(&self, by_time: bool) -> [u8; At::KEY] {
        let time = if by_time { self.time } else { 0 };
        let number =
            u128::from(self.item) << 64 | u128::from(self.record) << 32 | u128::from(self.rule);
        let mut key = [0; At::KEY];
        let (first, rest) = key.split_at_mut(8);
        first.copy_from_slice(&time.to_be_bytes());
        rest.copy_from_slice(&number.to_be_bytes());
        key
    }

    /// What the key of this, by time, is made of.
    pub(super) fn of_key(key: &[u8; At::KEY]) -> At {
        let number = |range: Range<usize>| {
            let bytes = key.get(range).unwrap_or(&[]);
            bytes.iter().fold(0, |n: u64, byte| n << 8 | u64::from(*byte))
        };
        let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        At {
            time: number(0..8),
            item: number(8..16),
            record: narrow(number(16..20)),
            rule: narrow(number(20..24)),
        }
    }
}

/// A span of time on a host, of which the context is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Around {
    /// The host's name, folded.
    pub(super) host: Vec<u8>,
    pub(super) from: Ticks,
    /// Included.
    pub(super) to: Ticks,
}

/// What some hits look like, for each output.
pub(super) struct Rendered {
    outputs: Vec<Vec<u8>>,
    marks: Option<Vec<At>>,
    /// For each mark, where its bytes end in each output.
    ends: Vec<usize>,
    around: Vec<Around>,
    /// What correlations are to know.
    pub(super) entries: Entries,
    /// The records that all this is of, if copies are to be found out.
    pub(super) records: Records,
    /// For each of them, where what is of it ends: in each output, of the marks, of the entries.
    cuts: Vec<usize>,
    /// Where the outputs' buffers come from, and go back to.
    buffers: Arc<Buffers>,
}

impl Rendered {
    /// Nothing yet, for so many outputs.
    pub(super) fn new(outputs: usize, marked: bool) -> Rendered {
        Rendered {
            outputs: vec![Vec::new(); outputs],
            marks: marked.then(Vec::new),
            ends: Vec::new(),
            around: Vec::new(),
            entries: Entries::default(),
            records: Records::default(),
            cuts: Vec::new(),
            buffers: Arc::default(),
        }
    }

    /// What stands before the first hit.
    pub(super) fn begin(&mut self, formats: &[&Format]) {
        formats.iter().zip(&mut self.outputs).for_each(|(format, output)| format.begin(output));
    }

    /// Adds a hit.
    pub(super) fn hit(&mut self, formats: &[&Format], hit: &Hit<'_>, at: At) {
        formats.iter().zip(&mut self.outputs).for_each(|(format, output)| format.hit(hit, output));
        self.mark(at);
    }

    /// Adds bytes to an output, without a mark.
    pub(super) fn append(&mut self, which: usize, bytes: &[u8]) {
        if let Some(output) = self.outputs.get_mut(which) {
            output.extend_from_slice(bytes);
        }
    }

    /// Adds bytes, to the first output.
    pub(super) fn bytes(&mut self, write: impl FnOnce(&mut Vec<u8>), at: At) {
        if let Some(output) = self.outputs.first_mut() {
            write(output);
        }
        self.mark(at);
    }

    fn mark(&mut self, at: At) {
        if let Some(marks) = &mut self.marks {
            marks.push(at);
            self.ends.extend(self.outputs.iter().map(Vec::len));
        }
    }

    /// Notes that the context of a hit is wanted. Hits of a host mostly come close together.
    pub(super) fn around(&mut self, host: &[u8], from: Ticks, to: Ticks) {
        if let Some(last) = self.around.last_mut()
            && last.host == host
            && from <= last.to
            && to >= last.from
        {
            (last.from, last.to) = (last.from.min(from), last.to.max(to));
            return;
        }
        self.around.push(Around { host: host.to_vec(), from, to });
    }

    /// The spans of time of which the context is wanted.
    pub(super) fn spans(&self) -> &[Around] {
        &self.around
    }

    /// The bytes for each output.
    pub(super) fn outputs(&self) -> impl Iterator<Item = &[u8]> {
        self.outputs.iter().map(Vec::as_slice)
    }

    /// What is marked, with its bytes for each output.
    pub(super) fn marked(&self) -> impl Iterator<Item = (At, Vec<&[u8]>)> {
        let marks = self.marks.as_deref().unwrap_or(&[]);
        let mut from = vec![0; self.outputs.len()];
        marks.iter().zip(self.ends.chunks(self.outputs.len().max(1))).map(move |(at, ends)| {
            let bytes =
                self.outputs.iter().zip(ends).zip(&mut from).map(|((output, end), from)| {
                    let start = std::mem::replace(from, *end);
                    output.get(start..*end).unwrap_or(&[])
                });
            (*at, bytes.collect())
        })
    }

    /// Ends a record: all that was added since the last one was ended is of it.
    pub(super) fn end_record(&mut self, met: Met, computer: &str) {
        self.records.end(met, computer);
        self.cuts.extend(self.outputs.iter().map(Vec::len));
        self.cuts.extend([self.marks.as_ref().map_or(0, Vec::len), self.entries.count()]);
    }

    /// The same without what correlations are to know of some of the records, and, if `hits` says so,
    /// without their hits. These are their places, in order. Of the records nothing more is said.
    pub(super) fn without(&self, left_out: &[usize], hits: bool) -> Rendered {
        let outputs = self.outputs.len();
        let mut rest = Rendered::new(outputs, self.marks.is_some());
        rest.around.clone_from(&self.around);
        let none = vec![0; outputs + 2];
        let cut = |end: usize| {
            let at = end.checked_sub(1).map(|record| record * (outputs + 2));
            at.and_then(|at| self.cuts.get(at..at + outputs + 2)).unwrap_or(&none)
        };
        let mut from = 0;
        for to in left_out.iter().copied().chain([self.records.len()]) {
            let (start, end) = (cut(from), cut(to));
            if let ([.., entries], [.., entries_end]) = (start, end) {
                rest.entries.extend(self.entries.iter_of(*entries..*entries_end));
            }
            if hits {
                self.copy(start, end, &mut rest);
            }
            from = to.saturating_add(1);
        }
        if !hits {
            rest.outputs.clone_from(&self.outputs);
            rest.marks.clone_from(&self.marks);
            rest.ends.clone_from(&self.ends);
        }
        rest
    }

    /// Adds hits from one cut to another.
    fn copy(&self, start: &[usize], end: &[usize], to: &mut Rendered) {
        let outputs = self.outputs.len();
        let marks = start.get(outputs).copied()..end.get(outputs).copied();
        if let (Some(first), Some(last)) = (marks.start, marks.end) {
            let own = self.marks.as_deref().and_then(|marks| marks.get(first..last));
            if let (Some(to), Some(own)) = (&mut to.marks, own) {
                to.extend_from_slice(own);
            }
            let ends = self.ends.get(first * outputs..last * outputs).unwrap_or(&[]);
            for ends in ends.chunks(outputs.max(1)) {
                let moved = ends.iter().zip(start).zip(&to.outputs);
                to.ends
                    .extend(moved.map(|((end, start), to)| end.saturating_sub(*start) + to.len()));
            }
        }
        for ((own, to), span) in self.outputs.iter().zip(&mut to.outputs).zip(start.iter().zip(end))
        {
            to.extend_from_slice(own.get(*span.0..*span.1).unwrap_or(&[]));
        }
    }

    /// How many bytes there are for all outputs together, for correlations, and of records.
    pub(super) fn len(&self) -> usize {
        let outputs = self.outputs.iter().map(Vec::len).sum::<usize>();
        outputs + self.entries.len() + self.records.size() + self.cuts.len() * size_of::<usize>()
    }

    /// Forgets the hits and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.outputs.iter_mut().for_each(Vec::clear);
        self.marks.iter_mut().for_each(Vec::clear);
        self.ends.clear();
        self.around.clear();
        self.entries.clear();
        self.records.clear();
        self.cuts.clear();
    }

    /// Gives what there is; what comes next goes into buffers that were used before.
    pub(super) fn take(&mut self) -> Rendered {
        let buffers = &self.buffers;
        let outputs =
            self.outputs.iter_mut().map(|output| std::mem::replace(output, buffers.take()));
        Rendered {
            outputs: outputs.collect(),
            marks: self.marks.as_mut().map(std::mem::take),
            ends: std::mem::take(&mut self.ends),
            around: std::mem::take(&mut self.around),
            entries: std::mem::take(&mut self.entries),
            records: std::mem::take(&mut self.records),
            cuts: std::mem::take(&mut self.cuts),
            buffers: Arc::clone(&self.buffers),
        }
    }
}

impl Drop for Rendered {
    fn drop(&mut self) {
        self.outputs.drain(..).for_each(|output| self.buffers.give_back(output));
    }
}

/// Buffers of outputs that were written and can take the next. (To have the pages of a megabyte
/// cleared anew by the system for each item takes as long as rendering a fifth of its hits.)
///
/// There are never more than are in use at the same time, each of an item's output.
#[derive(Default)]
struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    /// Above this many bytes a buffer is not kept: one record's hits were far more than is usual.
    const MOST_BYTES: usize = 4 * OUTPUT_BYTES;

    fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn give_back(&self, mut buffer: Vec<u8>) {
        if (1..=Buffers::MOST_BYTES).contains(&buffer.capacity()) {
            buffer.clear();
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::correlate::Joined;
    use super::*;

    #[test]
    fn keys_compare_as_what_they_are_made_of() {
        let mut all = Vec::new();
        for time in [0, 1, 256, At::TIMELESS] {
            for item in [0, 1, 1 << 40] {
                for record in [0, 255, 256] {
                    for rule in [0, 65_536, At::CONTEXT] {
                        all.push(At { time, item, record, rule });
                    }
                }
            }
        }
        assert!(all.is_sorted_by_key(|at| at.key(true)));
        assert!(all.iter().all(|at| At::of_key(&at.key(true)) == *at));
        let evidence = |at: &At| (at.item, at.record, at.rule);
        all.sort_by_key(|at| at.key(false));
        assert!(all.is_sorted_by_key(evidence));
    }

    #[test]
    fn marked_bytes_are_cut_where_they_end() {
        let at = |rule| At { time: 1, item: 2, record: 3, rule };
        let mut rendered = Rendered::new(1, true);
        for (rule, text) in [(0, "ab"), (1, ""), (2, "c")] {
            rendered.bytes(|out| out.extend_from_slice(text.as_bytes()), at(rule));
        }
        let taken = rendered.take();
        let got: Vec<_> = taken.marked().collect();
        let want = [(at(0), vec![&b"ab"[..]]), (at(1), vec![&b""[..]]), (at(2), vec![&b"c"[..]])];
        assert_eq!(got, want);
        assert_eq!(rendered.marked().count(), 0);
        let mut unmarked = Rendered::new(1, false);
        unmarked.bytes(|out| out.push(b'x'), at(0));
        assert_eq!((unmarked.marked().count(), unmarked.len()), (0, 1));
    }

    /// What is of some records goes, and what stays is as if they had never been.
    #[test]
    fn records_are_left_out() {
        let met = Met { print: None, part: 0, time: 0, joined: Joined::default() };
        let add = |rendered: &mut Rendered, n: u32| {
            for rule in 0..n % 3 {
                let at = At { time: 1, item: 2, record: n, rule };
                rendered.bytes(|out| out.extend_from_slice(format!("{n}.{rule};").as_bytes()), at);
                rendered.append(1, format!("<{n}>").as_bytes());
                rendered.entries.push(|out| out.push(b'k'), |out| out.push(n as u8));
            }
            rendered.end_record(met, "WS-01");
        };
        type Bytes = Vec<Vec<u8>>;
        let told = |rendered: &Rendered| -> (Bytes, Vec<(At, Bytes)>, Bytes) {
            let marked = rendered.marked();
            let marked = marked.map(|(at, b)| (at, b.into_iter().map(<[u8]>::to_vec).collect()));
            let entries = rendered.entries.iter().map(|(k, v)| [k, v].concat()).collect();
            (rendered.outputs().map(<[u8]>::to_vec).collect(), marked.collect(), entries)
        };
        for marked in [true, false] {
            for left_out in [&[][..], &[0], &[9], &[1, 2, 3, 7], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]] {
                let (mut all, mut want) = (Rendered::new(2, marked), Rendered::new(2, marked));
                for n in 0..10 {
                    add(&mut all, n);
                    if !left_out.contains(&(n as usize)) {
                        add(&mut want, n);
                    }
                }
                let rest = all.without(left_out, true);
                assert_eq!(told(&rest), told(&want), "{left_out:?}");
                assert_eq!(rest.records.len(), 0);
                let (outputs, marks, _) = told(&all);
                let entries = told(&want).2;
                assert_eq!(told(&all.without(left_out, false)), (outputs, marks, entries));
            }
        }
    }

    #[test]
    fn buffers_come_again_and_empty() {
        let mut rendered = Rendered::new(2, false);
        let kept = Arc::clone(&rendered.buffers);
        let kept = || kept.0.lock().unwrap().iter().map(Vec::capacity).collect::<Vec<_>>();
        rendered.bytes(|out| out.extend_from_slice(&[1; 1000]), At::NOWHERE);
        drop(rendered.take());
        // Of two outputs one was never used: there is nothing to keep of it.
        let first = kept();
        assert!(first.len() == 1 && first[0] >= 1000, "{first:?}");
        rendered.take();
        assert_eq!(kept(), Vec::<usize>::new());
        rendered.bytes(|out| out.push(1), At::NOWHERE);
        let given = rendered.take();
        assert_eq!(given.outputs().map(<[u8]>::len).collect::<Vec<_>>(), [1, 0]);
        assert_eq!(given.outputs[0].capacity(), first[0]);
        rendered.bytes(|out| out.resize(Buffers::MOST_BYTES + 1, 1), At::NOWHERE);
        drop((given, rendered));
        assert_eq!(kept(), first);
    }

    #[test]
    fn spans_of_one_host_that_meet_are_one() {
        let mut rendered = Rendered::new(0, true);
        for (host, from, to) in [
            ("a", 10, 20),
            ("a", 15, 25),
            ("a", 25, 30),
            ("a", 5, 10),
            ("a", 40, 50),
            ("b", 40, 50),
        ] {
            rendered.around(host.as_bytes(), from, to);
        }
        let spans: Vec<_> = rendered.spans().iter().map(|s| (&*s.host, s.from, s.to)).collect();
        assert_eq!(spans, [(&b"a"[..], 5, 30), (b"a", 40, 50), (b"b", 40, 50)]);
    }
}
