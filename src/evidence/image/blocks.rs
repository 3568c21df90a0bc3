//! A cache of decoded blocks for sources that are compressed block by block or looked up in tables.
//!
//! It is split in shards by key so that threads that read different blocks seldom wait for each
//! other, and is bounded by bytes, not by blocks: blocks are 32 KiB in one format and 2 MiB in
//! another. Nothing is decoded under a lock: two threads may decode the same block, which costs less
//! than waiting.

use std::sync::{Arc, Mutex, PoisonError};

/// Decoded blocks.
#[derive(Debug)]
pub(super) struct Cache {
    shards: Vec<Mutex<Shard>>,
    /// Blocks a shard.
    depth: usize,
}

/// Blocks by key, the last used last.
type Shard = Vec<(u64, Arc<[u8]>)>;

/// The most shards; more than threads that read at a time.
const SHARDS: usize = 32;

/// How many bytes a cache keeps, unless one block is larger: enough for every thread to go on in the
/// block where it was.
const BUDGET: u64 = 16 << 20;

impl Cache {
    /// A cache for blocks of this size.
    pub(super) fn new(block: u64) -> Cache {
        let blocks = usize::try_from(BUDGET / block.max(1)).unwrap_or(usize::MAX);
        let shards = blocks.clamp(1, SHARDS);
        let depth = (blocks / shards).clamp(1, 8);
        Cache { shards: (0..shards).map(|_| Mutex::default()).collect(), depth }
    }

    /// The block of this key, made by `make` if it is not there.
    pub(super) fn get<E>(
        &self,
        key: u64,
        make: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Arc<[u8]>, E> {
        let shard = usize::try_from(key % self.shards.len().max(1) as u64).unwrap_or(0);
        let Some(shard) = self.shards.get(shard) else { return make().map(Arc::from) };
        {
            let mut kept = shard.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(at) = kept.iter().position(|(known, _)| *known == key) {
                let found = kept.remove(at);
                let block = found.1.clone();
                kept.push(found);
                return Ok(block);
            }
        }
        let block: Arc<[u8]> = make()?.into();
        let mut kept = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.iter().all(|(known, _)| *known != key) {
            if kept.len() >= self.depth {
                kept.remove(0);
            }
            kept.push((key, block.clone()));
        }
        Ok(block)
    }
}

/// Copies from `at` in a block and says how much came.
pub(super) fn copy(block: &[u8], at: u64, buf: &mut [u8]) -> usize {
    let from = usize::try_from(at).ok().and_then(|at| block.get(at..)).unwrap_or_default();
    let len = from.len().min(buf.len());
    if let (Some(to), Some(from)) = (buf.get_mut(..len), from.get(..len)) {
        to.copy_from_slice(from);
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_what_was_used_last_and_no_more_than_its_budget() {
        let cache = Cache::new(1 << 20);
        let made = Mutex::new(0);
        let get = |key| {
            let make = || {
                *made.lock().unwrap() += 1;
                Ok::<_, ()>(vec![key as u8; 4])
            };
            assert_eq!(cache.get(key, make).unwrap()[0], key as u8);
        };
        (0..16).for_each(get);
        (0..16).for_each(get);
        assert_eq!(*made.lock().unwrap(), 16);
        get(16);
        get(0);
        assert_eq!(*made.lock().unwrap(), 18);
        let huge = Cache::new(u64::MAX);
        assert_eq!((huge.shards.len(), huge.depth), (1, 1));
        assert!(cache.get(99, || Err::<Vec<u8>, _>("no")).is_err());
    }
}
