//! Puts any number of entries into the order of their keys, in bounded memory.
//!
//! Entries gather in memory; when they take more than the bound, they are sorted and written to a
//! temporary file, a *run*. [`FAN_IN`] runs are merged into one of the next level, so that the files
//! that are open at once are few, however many entries there are. At the end what is in memory and the
//! runs are merged. Entries of equal keys can be made one on the way.
//!
//! The files lie in the system's temporary folder (`TMPDIR`, `TEMP`), never near evidence, and have
//! no name where the system allows it: whatever ends the program ends them. Nobody else can open
//! them, so what is read back is what was written.
//!
//! Invariant: the result depends on the entries alone, not on the bound or on the order in which they
//! were given, if keys differ or combining does not mind the order.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{self, BufReader, BufWriter, Read as _, Seek as _, Write as _},
    ops::{ControlFlow, Range},
};

/// How many runs of a level are merged into one of the next. With 64 MiB in memory a second level
/// begins at 2 GiB of entries and a third at 64 GiB: a hundred open files are enough for all there is,
/// where macOS allows 256.
const FAN_IN: usize = 32;

/// What reading or writing a run takes in one go; with [`FAN_IN`] runs on three levels, 6 MiB.
const BUFFER: usize = 64 << 10;

/// Makes one entry of two with equal keys: changes the first payload, which has the length of the
/// other.
pub(super) type Combine = fn(&mut [u8], &[u8]);

/// See the module.
pub(super) struct Sorter {
    bound: usize,
    combine: Option<Combine>,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    levels: Vec<Vec<File>>,
}

/// What is said of an entry that is not of the form in which it was put: a fault of the program, and an
/// error, since to leave the entry out would look like all there is.
pub(super) fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "what was kept does not read back")
}

/// Where in the bytes an entry's key and payload stand.
struct Entry {
    key: Range<usize>,
    payload: Range<usize>,
}

impl Sorter {
    /// Nothing yet; `bound` is how many bytes are held in memory, about.
    pub(super) fn new(bound: usize, combine: Option<Combine>) -> Sorter {
        Sorter { bound, combine, bytes: Vec::new(), entries: Vec::new(), levels: Vec::new() }
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// If a temporary file cannot be written.
    pub(super) fn push(&mut self, key: &[u8], payload: &[&[u8]]) -> io::Result<()> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let middle = self.bytes.len();
        payload.iter().for_each(|part| self.bytes.extend_from_slice(part));
        self.entries.push(Entry { key: start..middle, payload: middle..self.bytes.len() });
        if self.size() > self.bound { self.relieve() } else { Ok(()) }
    }

    /// Hands every entry to `each`, in order, until that breaks.
    ///
    /// # Errors
    /// If a temporary file cannot be written or read.
    pub(super) fn finish(
        mut self,
        each: impl FnMut(&[u8], &[u8]) -> io::Result<ControlFlow<()>>,
    ) -> io::Result<()> {
        if !self.levels.is_empty() {
            self.spill()?;
            let runs = self.levels.drain(..).flatten().collect();
            return merge(runs, self.combine, each);
        }
        self.sort(each)
    }

    fn size(&self) -> usize {
        self.bytes.len() + self.entries.len() * size_of::<Entry>()
    }

    /// Makes room: by combining, if that makes much, else by writing a run.
    fn relieve(&mut self) -> io::Result<()> {
        if self.combine.is_some() {
            let mut combined = Sorter::new(usize::MAX, None);
            self.sort(|key, payload| {
                combined.push(key, &[payload]).map(|()| ControlFlow::Continue(()))
            })?;
            (self.bytes, self.entries) = (combined.bytes, combined.entries);
            if self.size() <= self.bound / 2 {
                return Ok(());
            }
        }
        self.spill()
    }

    /// Sorts what is in memory and hands it on, combined.
    fn sort(
        &mut self,
        each: impl FnMut(&[u8], &[u8]) -> io::Result<ControlFlow<()>>,
    ) -> io::Result<()> {
        let bytes = &self.bytes;
        let slice = |range: &Range<usize>| bytes.get(range.clone()).unwrap_or(&[]);
        self.entries.sort_unstable_by(|a, b| slice(&a.key).cmp(slice(&b.key)));
        let mut joined = Joined::new(self.combine, each);
        for entry in &self.entries {
            if joined.push(slice(&entry.key), slice(&entry.payload))?.is_break() {
                return Ok(());
            }
        }
        joined.end().map(drop)
    }

    /// Writes what is in memory as a run.
    fn spill(&mut self) -> io::Result<()> {
        let mut run = Run::begin()?;
        self.sort(|key, payload| run.push(key, payload))?;
        self.bytes.clear();
        self.entries.clear();
        let mut file = run.end()?;
        let mut level = 0;
        loop {
            if self.levels.len() <= level {
                self.levels.push(Vec::new());
            }
            let Some(runs) = self.levels.get_mut(level) else { return Ok(()) };
            runs.push(file);
            if runs.len() < FAN_IN {
                return Ok(());
            }
            let mut run = Run::begin()?;
            let runs = std::mem::take(runs);
            merge(runs, self.combine, |key, payload| run.push(key, payload))?;
            file = run.end()?;
            level += 1;
        }
    }
}

/// Hands on entries that come in order, those of equal keys as one.
struct Joined<F> {
    combine: Option<Combine>,
    each: F,
    pending: Option<(Vec<u8>, Vec<u8>)>,
}

impl<F: FnMut(&[u8], &[u8]) -> io::Result<ControlFlow<()>>> Joined<F> {
    fn new(combine: Option<Combine>, each: F) -> Joined<F> {
        Joined { combine, each, pending: None }
    }

    fn push(&mut self, key: &[u8], payload: &[u8]) -> io::Result<ControlFlow<()>> {
        let Some(combine) = self.combine else { return (self.each)(key, payload) };
        if let Some((pending, first)) = &mut self.pending
            && pending == key
        {
            combine(first, payload);
            return Ok(ControlFlow::Continue(()));
        }
        let before = self.pending.replace((key.to_vec(), payload.to_vec()));
        match before {
            Some((key, payload)) => (self.each)(&key, &payload),
            None => Ok(ControlFlow::Continue(())),
        }
    }

    fn end(mut self) -> io::Result<ControlFlow<()>> {
        match self.pending.take() {
            Some((key, payload)) => (self.each)(&key, &payload),
            None => Ok(ControlFlow::Continue(())),
        }
    }
}

/// Merges runs, which this ends.
fn merge(
    runs: Vec<File>,
    combine: Option<Combine>,
    each: impl FnMut(&[u8], &[u8]) -> io::Result<ControlFlow<()>>,
) -> io::Result<()> {
    let mut cursors = Vec::with_capacity(runs.len());
    let mut heads = BinaryHeap::with_capacity(runs.len());
    for (n, mut run) in runs.into_iter().enumerate() {
        run.rewind()?;
        let mut cursor = Cursor::new(run);
        if let Some(key) = cursor.advance(Vec::new())? {
            heads.push(Reverse((key, n)));
        }
        cursors.push(cursor);
    }
    let mut joined = Joined::new(combine, each);
    while let Some(Reverse((key, n))) = heads.pop() {
        let Some(cursor) = cursors.get_mut(n) else { continue };
        if joined.push(&key, &cursor.payload)?.is_break() {
            return Ok(());
        }
        if let Some(key) = cursor.advance(key)? {
            heads.push(Reverse((key, n)));
        }
    }
    joined.end().map(drop)
}

/// A run being written: of each entry the lengths of key and payload, and both.
struct Run(BufWriter<File>);

impl Run {
    fn begin() -> io::Result<Run> {
        Ok(Run(BufWriter::with_capacity(BUFFER, tempfile::tempfile()?)))
    }

    fn push(&mut self, key: &[u8], payload: &[u8]) -> io::Result<ControlFlow<()>> {
        for length in [key.len(), payload.len()] {
            self.0.write_all(&(length as u64).to_le_bytes())?;
        }
        self.0.write_all(key)?;
        self.0.write_all(payload)?;
        Ok(ControlFlow::Continue(()))
    }

    fn end(self) -> io::Result<File> {
        self.0.into_inner().map_err(io::IntoInnerError::into_error)
    }
}

/// A run being read.
struct Cursor {
    file: BufReader<File>,
    payload: Vec<u8>,
}

impl Cursor {
    fn new(run: File) -> Cursor {
        Cursor { file: BufReader::with_capacity(BUFFER, run), payload: Vec::new() }
    }

    /// Reads the next entry, its key into `key`; nothing at the end.
    fn advance(&mut self, mut key: Vec<u8>) -> io::Result<Option<Vec<u8>>> {
        use std::io::BufRead as _;
        if self.file.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let mut lengths = [0; 16];
        self.file.read_exact(&mut lengths)?;
        let (key_length, payload_length) = lengths.split_at(8);
        self.fill(key_length, &mut key)?;
        let mut payload = std::mem::take(&mut self.payload);
        self.fill(payload_length, &mut payload)?;
        self.payload = payload;
        Ok(Some(key))
    }

    fn fill(&mut self, length: &[u8], into: &mut Vec<u8>) -> io::Result<()> {
        let length = length.try_into().map_or(0, u64::from_le_bytes);
        into.clear();
        let read = (&mut self.file).take(length).read_to_end(into)?;
        if read as u64 == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sorted(entries: &[(Vec<u8>, Vec<u8>)], bound: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut sorter = Sorter::new(bound, None);
        for (key, payload) in entries {
            let (a, b) = payload.split_at(payload.len() / 2);
            sorter.push(key, &[a, b]).unwrap();
        }
        let mut out = Vec::new();
        let each = |key: &[u8], payload: &[u8]| {
            out.push((key.to_vec(), payload.to_vec()));
            Ok(ControlFlow::Continue(()))
        };
        sorter.finish(each).unwrap();
        out
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_the_keys_whatever_the_bound(
            entries in prop::collection::hash_map(
                prop::collection::vec(any::<u8>(), 0..5),
                prop::collection::vec(any::<u8>(), 0..300),
                0..60,
            ),
            bound in prop::sample::select(vec![0usize, 1, 300, 3000, 1 << 20]),
        ) {
            let entries: Vec<_> = entries.into_iter().collect();
            let mut want = entries.clone();
            want.sort();
            prop_assert_eq!(sorted(&entries, bound), want);
        }

        #[test]
        fn equal_keys_are_combined_whatever_the_bound(
            keys in prop::collection::vec(0u8..9, 0..400),
            bound in prop::sample::select(vec![0usize, 100, 1000, 1 << 20]),
        ) {
            let add: Combine = |sum, more| {
                let n = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
                let total = n(sum) + n(more);
                sum.copy_from_slice(&total.to_le_bytes());
            };
            let mut sorter = Sorter::new(bound, Some(add));
            let mut want = std::collections::BTreeMap::new();
            for key in &keys {
                sorter.push(&[*key], &[&1u64.to_le_bytes()]).unwrap();
                *want.entry(*key).or_insert(0u64) += 1;
            }
            let mut got = std::collections::BTreeMap::new();
            let each = |key: &[u8], payload: &[u8]| {
                let count = u64::from_le_bytes(payload.try_into().unwrap());
                assert!(got.insert(key[0], count).is_none());
                Ok(ControlFlow::Continue(()))
            };
            sorter.finish(each).unwrap();
            prop_assert_eq!(got, want);
        }
    }

    /// A bound of nothing makes each entry a run: three levels of them, and few open files.
    #[test]
    fn runs_are_merged_so_that_few_files_are_open() {
        let n = FAN_IN * FAN_IN + FAN_IN + 1;
        let mut sorter = Sorter::new(0, None);
        for k in 0..n as u32 {
            sorter.push(&(k.wrapping_mul(2_654_435_761)).to_be_bytes(), &[]).unwrap();
            let open: usize = sorter.levels.iter().map(Vec::len).sum();
            assert!(open < 2 * FAN_IN, "{open}");
        }
        assert_eq!(sorter.levels.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
        let mut keys = Vec::new();
        let each = |key: &[u8], _: &[u8]| {
            keys.push(key.to_vec());
            Ok(ControlFlow::Continue(()))
        };
        sorter.finish(each).unwrap();
        assert!(keys.len() == n && keys.is_sorted());
    }

    #[test]
    fn whoever_takes_them_can_stop() {
        for bound in [0, 1 << 20] {
            let mut sorter = Sorter::new(bound, None);
            (0..100u8).for_each(|k| sorter.push(&[k], &[]).unwrap());
            let mut taken = 0;
            let each = |_: &[u8], _: &[u8]| {
                taken += 1;
                Ok(if taken == 7 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            };
            sorter.finish(each).unwrap();
            assert_eq!(taken, 7);
        }
    }
}
