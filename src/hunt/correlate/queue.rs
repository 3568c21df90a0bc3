//! A queue of bytes that is as long as it has to be, in bounded memory.
//!
//! What does not fit waits in a temporary file between the end that is read, which is in memory, and
//! the end that is written, which is, too. A window of a correlation may hold every event of a case.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
};

/// What reading or writing the file takes in one go.
const BUFFER: usize = 64 << 10;

/// See the module.
#[derive(Debug)]
pub(super) struct ByteQueue {
    bound: usize,
    /// What comes out next, from `at` on.
    head: Vec<u8>,
    at: usize,
    /// What went in last.
    tail: Vec<u8>,
    /// What is between the two: the bytes from `read` to `written`.
    file: Option<File>,
    read: u64,
    written: u64,
}

impl ByteQueue {
    /// Nothing yet; `bound` is how many bytes are held in memory, about.
    pub(super) fn new(bound: usize) -> ByteQueue {
        ByteQueue {
            bound,
            head: Vec::new(),
            at: 0,
            tail: Vec::new(),
            file: None,
            read: 0,
            written: 0,
        }
    }

    /// Puts bytes in.
    ///
    /// # Errors
    /// If the temporary file cannot be written.
    pub(super) fn push(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        self.tail.extend_from_slice(&(length as u64).to_be_bytes());
        parts.iter().for_each(|part| self.tail.extend_from_slice(part));
        let held = self.head.len() - self.at + self.tail.len();
        if held > self.bound && self.tail.len() >= self.bound.min(BUFFER) {
            self.spill()?;
        }
        Ok(())
    }

    /// Takes out what went in first.
    ///
    /// # Errors
    /// If the temporary file cannot be read.
    pub(super) fn pop(&mut self) -> io::Result<Option<Vec<u8>>> {
        if !self.fill(8)? {
            return Ok(None);
        }
        let length = self.take(8)?;
        let length = length.iter().fold(0, |n: u64, byte| n << 8 | u64::from(*byte));
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if !self.fill(length)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.take(length).map(Some)
    }

    fn take(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let end = self.at.saturating_add(length);
        let bytes = self.head.get(self.at..end).ok_or(io::ErrorKind::UnexpectedEof)?.to_vec();
        self.at = end;
        Ok(bytes)
    }

    /// Makes sure that so many bytes are at the head, if there are so many.
    fn fill(&mut self, length: usize) -> io::Result<bool> {
        while self.head.len() - self.at < length {
            self.head.drain(..self.at);
            self.at = 0;
            let left = self.written - self.read;
            match &mut self.file {
                Some(file) if left > 0 => {
                    let wanted = left.min(length.max(BUFFER) as u64);
                    file.seek(SeekFrom::Start(self.read))?;
                    file.take(wanted).read_to_end(&mut self.head)?;
                    self.read += wanted;
                }
                _ if self.tail.is_empty() => return Ok(false),
                _ => self.head.append(&mut self.tail),
            }
        }
        Ok(true)
    }

    fn spill(&mut self) -> io::Result<()> {
        if self.read == self.written {
            // All of it was read: the file can be written from its start.
            (self.read, self.written) = (0, 0);
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(tempfile::tempfile()?),
        };
        file.seek(SeekFrom::Start(self.written))?;
        file.write_all(&self.tail)?;
        self.written += self.tail.len() as u64;
        self.tail.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    proptest! {
        /// Puts in (some length) and takes out (nothing) like a queue in memory.
        #[test]
        fn it_is_a_queue(
            steps in prop::collection::vec(prop::option::weighted(0.6, 0..300usize), 0..300),
            bound in prop::sample::select(vec![0, 10, 1000, 1 << 20]),
        ) {
            let mut queue = ByteQueue::new(bound);
            let mut want = VecDeque::new();
            for (n, step) in steps.iter().enumerate() {
                match step {
                    Some(length) => {
                        let bytes = vec![n as u8; *length];
                        let (a, b) = bytes.split_at(length / 2);
                        queue.push(&[a, b]).unwrap();
                        want.push_back(bytes);
                    }
                    None => prop_assert_eq!(queue.pop().unwrap(), want.pop_front()),
                }
            }
            while let Some(bytes) = want.pop_front() {
                prop_assert_eq!(queue.pop().unwrap(), Some(bytes));
            }
            prop_assert_eq!(queue.pop().unwrap(), None);
        }
    }
}
