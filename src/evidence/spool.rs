//! What comes out of a decoder one byte after the other, to be read at positions.
//!
//! Unpacking is as lazy as it can be: a read at an offset unpacks as far as that. So looking at what a
//! packed thing is costs its first block, and the threads that read a large one each unpack what the
//! next part needs and then read it while another goes on unpacking. What was unpacked is kept in
//! memory as long as [`Access`] has some; then all of it goes to a temporary file without a name.
//!
//! Invariant: whatever the order of the reads, they give the same bytes; a fault stands at its place,
//! and what came before it can be read.

use super::Access;
use super::file::Positioned;
use crate::bytes::ReadAt;
use std::{
    io::{self, Read},
    sync::{
        Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// How much is unpacked at a time.
const BLOCK: usize = 64 << 10;

/// See the module.
pub(super) struct Spool {
    access: Access,
    /// How many bytes there are, as the container says. One that is read to its end knows.
    size: u64,
    /// How many were unpacked.
    made: AtomicU64,
    maker: Mutex<Maker>,
    kept: RwLock<Kept>,
}

struct Maker {
    /// Not there any more after the end, good or bad.
    from: Option<Box<dyn Read + Send>>,
    /// Why it ended before it should have.
    fault: Option<(io::ErrorKind, String)>,
    block: Vec<u8>,
}

enum Kept {
    /// Blocks of [`BLOCK`] bytes, but for the last.
    Memory(Vec<Box<[u8]>>),
    File(Positioned),
}

impl Spool {
    /// What comes `from` a decoder and is said to be `size` bytes. If it is more or less, that is a
    /// fault at the end.
    pub(super) fn lazy(from: Box<dyn Read + Send>, size: u64, access: &Access) -> Spool {
        let maker = Maker { from: Some(from), fault: None, block: Vec::new() };
        Spool {
            access: access.clone(),
            size,
            made: AtomicU64::new(0),
            maker: Mutex::new(maker),
            kept: RwLock::new(Kept::Memory(Vec::new())),
        }
    }

    /// What comes `from` a decoder that does not outlive this call, to its end, or `most` bytes of it:
    /// more is a fault.
    pub(super) fn whole(from: &mut dyn Read, most: u64, access: &Access) -> Spool {
        let mut spool = Spool::lazy(Box::new(io::empty()), u64::MAX, access);
        let mut block = vec![0; BLOCK];
        let mut fault = None;
        loop {
            let (n, ended) = match fill(from, &mut block) {
                (n, Ok(())) => (n, n < block.len()),
                (n, Err(error)) => {
                    fault = Some(told(&error));
                    (n, true)
                }
            };
            let part = block.get(..n).unwrap_or(&[]);
            if spool.made.load(Ordering::Relaxed).saturating_add(n as u64) > most {
                let what =
                    format!("unpacks to more than {most} bytes, the limit: the rest is left");
                fault = Some((io::ErrorKind::FileTooLarge, what));
                break;
            }
            if let Err(error) = spool.keep(part) {
                fault = Some(told(&error));
                break;
            }
            if ended {
                break;
            }
        }
        spool.size = spool.made.load(Ordering::Relaxed);
        let maker = spool.maker.get_mut().unwrap_or_else(PoisonError::into_inner);
        (maker.from, maker.fault) = (None, fault);
        spool
    }

    /// Unpacks until there are `end` bytes, or there is no more.
    fn make(&self, end: u64) {
        let mut maker = self.maker.lock().unwrap_or_else(PoisonError::into_inner);
        // One byte more than there should be shows whether there is more, and makes the decoder
        // look at its checksum.
        while self.made.load(Ordering::Acquire) < end || end >= self.size {
            let Some(mut from) = maker.from.take() else { return };
            let made = self.made.load(Ordering::Acquire);
            let left = self.size.saturating_sub(made);
            let wanted = BLOCK.min(usize::try_from(left).unwrap_or(BLOCK));
            let mut block = std::mem::take(&mut maker.block);
            block.resize(wanted.max(1), 0);
            let (n, read) = fill(&mut *from, &mut block);
            let good = block.get(..n.min(wanted)).unwrap_or(&[]);
            let kept = self.keep(good);
            let fault = match (read, kept) {
                (Err(error), _) | (_, Err(error)) => Some(told(&error)),
                _ if left == 0 && n > 0 => {
                    let what = format!("there is more than the {} bytes that it says", self.size);
                    Some((io::ErrorKind::InvalidData, what))
                }
                _ if n < wanted => {
                    let (size, made) = (self.size, made + n as u64);
                    let what = format!("ends after {made} of the {size} bytes that it says");
                    Some((io::ErrorKind::UnexpectedEof, what))
                }
                _ => None,
            };
            let ended = fault.is_some() || left == 0;
            maker.fault = fault;
            maker.block = block;
            if ended {
                maker.block = Vec::new();
                return;
            }
            maker.from = Some(from);
        }
    }

    /// Keeps a block.
    fn keep(&self, block: &[u8]) -> io::Result<()> {
        if block.is_empty() {
            return Ok(());
        }
        let made = self.made.load(Ordering::Acquire);
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if let Kept::Memory(blocks) = &mut *kept {
            if self.access.take_memory(BLOCK as u64) {
                blocks.push(block.into());
            } else {
                let file = Positioned::new(tempfile::tempfile()?);
                let mut at = 0;
                for block in blocks.iter() {
                    file.write_all_at(at, block)?;
                    at += block.len() as u64;
                }
                self.access.give_memory((blocks.len() * BLOCK) as u64);
                *kept = Kept::File(file);
            }
        }
        if let Kept::File(file) = &*kept {
            file.write_all_at(made, block)?;
        }
        self.made.store(made + block.len() as u64, Ordering::Release);
        Ok(())
    }

    fn fault(&self) -> Option<io::Error> {
        let maker: MutexGuard<'_, Maker> =
            self.maker.lock().unwrap_or_else(PoisonError::into_inner);
        maker.fault.as_ref().map(|(kind, what)| io::Error::new(*kind, what.clone()))
    }

    /// Reads what is kept.
    fn read(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let mut done = 0;
        while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = offset + done as u64;
            let n = match &*kept {
                Kept::File(file) => file.read_some(at, rest)?,
                Kept::Memory(blocks) => {
                    let which = usize::try_from(at / BLOCK as u64).ok();
                    let from = usize::try_from(at % BLOCK as u64).ok();
                    let block = which.and_then(|which| blocks.get(which)).zip(from);
                    let ready = block.and_then(|(block, from)| block.get(from..)).unwrap_or(&[]);
                    let n = ready.len().min(rest.len());
                    if let Some((to, from)) = rest.get_mut(..n).zip(ready.get(..n)) {
                        to.copy_from_slice(from);
                    }
                    n
                }
            };
            if n == 0 {
                break;
            }
            done += n;
        }
        Ok(done)
    }
}

impl ReadAt for Spool {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        // A read of nothing or at the end of all is a question whether all was well.
        let end = offset.saturating_add(buf.len() as u64).min(self.size);
        if self.made.load(Ordering::Acquire) < end || end >= self.size {
            self.make(end);
        }
        let made = self.made.load(Ordering::Acquire);
        if offset >= made {
            return self.fault().map_or(Ok(0), Err);
        }
        let there = usize::try_from(made - offset).unwrap_or(usize::MAX).min(buf.len());
        buf.get_mut(..there).map_or(Ok(0), |buf| self.read(offset, buf))
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        let kept = self.kept.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Kept::Memory(blocks) = kept {
            self.access.give_memory((blocks.len() * BLOCK) as u64);
        }
    }
}

fn told(error: &io::Error) -> (io::ErrorKind, String) {
    (error.kind(), error.to_string())
}

/// Reads until the buffer is full or there is no more; how many bytes came before a fault.
pub(super) fn fill(from: &mut dyn Read, buf: &mut [u8]) -> (usize, io::Result<()>) {
    let mut done = 0;
    while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (done, Err(error)),
        }
    }
    (done, Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(size: usize) -> Vec<u8> {
        (0..size).map(|n| (n * 7 % 253) as u8).collect()
    }

    /// Gives its bytes in odd portions, then an error.
    struct Faulty(Vec<u8>, usize);

    impl Read for Faulty {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let rest = &self.0[self.1..];
            let n = rest.len().min(buf.len()).min(777);
            if n == 0 && !buf.is_empty() {
                return Err(io::Error::other("bad sector"));
            }
            buf[..n].copy_from_slice(&rest[..n]);
            self.1 += n;
            Ok(n)
        }
    }

    /// Bytes that can be read, and the fault that stands at their end.
    fn read_all(spool: &Spool) -> (Vec<u8>, Option<String>) {
        let mut all = Vec::new();
        loop {
            let mut buf = vec![0; 100_000];
            match spool.read_at(all.len() as u64, &mut buf) {
                Ok(0) => return (all, None),
                Ok(n) => all.extend_from_slice(&buf[..n]),
                Err(error) => return (all, Some(error.to_string())),
            }
        }
    }

    #[test]
    fn reads_give_the_same_in_any_order_in_memory_and_in_a_file() {
        for (size, full) in
            [(0, false), (1, false), (BLOCK, true), (5 * BLOCK + 3, false), (5 * BLOCK + 3, true)]
        {
            let access = Access::default();
            // All memory is taken but for two blocks.
            let taken = if full { (160 << 20) - 2 * BLOCK as u64 } else { 0 };
            assert!(access.take_memory(taken));
            let content = content(size);
            let from = io::Cursor::new(content.clone());
            let spool = Spool::lazy(Box::new(from), size as u64, &access);
            let mut buf = vec![0; 9000];
            for at in [3 * BLOCK, 10, 4 * BLOCK + 5, 0, BLOCK - 1] {
                let n = spool.read_at(at as u64, &mut buf).unwrap();
                let want = &content[size.min(at)..size.min(at + buf.len())];
                assert_eq!(&buf[..n], want, "{at}");
            }
            assert_eq!(read_all(&spool), (content, None));
            drop(spool);
            access.give_memory(taken);
            assert!(access.take_memory(160 << 20), "all memory came back");
        }
    }

    #[test]
    fn only_what_is_asked_for_is_unpacked() {
        let access = Access::default();
        let spool = Spool::lazy(Box::new(Faulty(content(BLOCK), 0)), 9 * BLOCK as u64, &access);
        assert_eq!(spool.read_at(0, &mut [0; 4104]).unwrap(), 4104);
        assert_eq!(spool.made.load(Ordering::Relaxed), BLOCK as u64);
        assert!(spool.fault().is_none());
    }

    #[test]
    fn faults_stand_at_their_place() {
        let access = Access::default();
        let good = content(2 * BLOCK + 9);
        let len = good.len() as u64;
        for (from, size, kept, says) in [
            (
                Box::new(Faulty(good.clone(), 0)) as Box<dyn Read + Send>,
                len,
                good.len(),
                "bad sector",
            ),
            (Box::new(Faulty(good.clone(), 0)), len + 5, good.len(), "bad sector"),
            (Box::new(io::Cursor::new(good.clone())), len + 5, good.len(), "ends after 131081 of"),
            (
                Box::new(io::Cursor::new(good.clone())),
                len - 5,
                good.len() - 5,
                "there is more than",
            ),
        ] {
            let spool = Spool::lazy(from, size, &access);
            let (read, fault) = read_all(&spool);
            assert_eq!(read, good[..kept], "{says}");
            assert!(fault.as_ref().is_some_and(|fault| fault.contains(says)), "{fault:?}");
        }
        let whole = Spool::whole(&mut Faulty(good.clone(), 0), u64::MAX, &access);
        assert_eq!(read_all(&whole), (good.clone(), Some("bad sector".to_owned())));
        assert_eq!(whole.size(), len);
        let whole = Spool::whole(&mut io::Cursor::new(good), BLOCK as u64, &access);
        let (read, fault) = read_all(&whole);
        assert_eq!(read.len(), BLOCK);
        assert!(fault.unwrap().contains("the limit"));
    }

    #[test]
    fn many_threads_read_while_it_is_unpacked() {
        let access = Access::default();
        let content = content(40 * BLOCK + 11);
        let from = io::Cursor::new(content.clone());
        let spool = Spool::lazy(Box::new(from), content.len() as u64, &access);
        std::thread::scope(|scope| {
            for start in 0..4 {
                let (spool, content) = (&spool, &content);
                scope.spawn(move || {
                    let mut buf = vec![0; 50_000];
                    for at in (start * 12_000..content.len()).step_by(48_000) {
                        let n = spool.read_at(at as u64, &mut buf).unwrap();
                        assert_eq!(&buf[..n], &content[at..content.len().min(at + 50_000)]);
                    }
                });
            }
        });
    }
}
