//! Volume shadow copies: whether a volume keeps snapshots, and how many. They are counted, not read.
//!
//! A volume with snapshots has a header at 0x1e00 with an identifier, and from there a chain of
//! catalog blocks of 16 KiB with entries of 128 bytes, type 2 for each snapshot (libyal, "Volume
//! Shadow Snapshot (VSS) format", sections 3 and 4).

use super::read;
use crate::bytes::{self, ReadAt};

/// Where the header is.
const HEADER: u64 = 0x1e00;

/// {3808876b-c176-4e48-b7ae-04046e6cc752}
const IDENTIFIER: [u8; 16] = [
    0x6b, 0x87, 0x08, 0x38, 0x76, 0xc1, 0x48, 0x4e, 0xb7, 0xae, 0x04, 0x04, 0x6e, 0x6c, 0xc7, 0x52,
];

/// The size of a catalog block.
const BLOCK: usize = 16 << 10;

/// The size of an entry, and of a block's header.
const ENTRY: usize = 128;

/// The type of an entry that stands for a snapshot.
const SNAPSHOT: u64 = 2;

/// How many blocks are looked at: Windows keeps 512 snapshots at most, 63 a block.
const MAX_BLOCKS: u32 = 64;

/// How many snapshots the volume says that it has.
pub(super) fn count(volume: &dyn ReadAt) -> Result<u32, String> {
    if volume.size() < HEADER + 512 {
        return Ok(0);
    }
    // A volume whose header cannot be read is told of by whoever reads the rest.
    let Ok(header) = read::array::<128>(volume, HEADER) else { return Ok(0) };
    if bytes::array(&header, 0) != Some(IDENTIFIER) {
        return Ok(0);
    }
    let mut next = bytes::u64(&header, 48).unwrap_or(0);
    let mut snapshots = 0;
    let mut block = vec![0; BLOCK];
    for _ in 0..MAX_BLOCKS {
        if next == 0 {
            return Ok(snapshots);
        }
        read::exact(volume, next, &mut block)
            .map_err(|error| format!("their catalog cannot be read: {error}"))?;
        if bytes::array(&block, 0) != Some(IDENTIFIER) {
            return Err("their catalog is not where it should be".to_owned());
        }
        for entry in block.chunks_exact(ENTRY).skip(1) {
            snapshots += u32::from(bytes::u64(entry, 0) == Some(SNAPSHOT));
        }
        next = bytes::u64(&block, 40).unwrap_or(0);
    }
    Err("their catalog does not end".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(catalog: u64, next: u64) -> Vec<u8> {
        let mut volume = vec![0; 0x10000];
        volume[0x1e00..0x1e10].copy_from_slice(&IDENTIFIER);
        volume[0x1e30..0x1e38].copy_from_slice(&catalog.to_le_bytes());
        volume[0x4000..0x4010].copy_from_slice(&IDENTIFIER);
        volume[0x4028..0x4030].copy_from_slice(&next.to_le_bytes());
        for (entry, kind) in [(1, 2u64), (2, 3), (3, 2), (4, 3), (5, 1)] {
            volume[0x4000 + entry * 128] = kind as u8;
        }
        volume
    }

    #[test]
    fn snapshots_are_counted_by_their_catalog() {
        assert_eq!(count(&volume(0x4000, 0)), Ok(2));
        assert_eq!(count(&volume(0, 0)), Ok(0));
        assert_eq!(count(&vec![0; 0x10000]), Ok(0));
        assert_eq!(count(&vec![0; 10]), Ok(0));
        assert!(count(&volume(0x8000, 0)).unwrap_err().contains("not where"));
        assert!(count(&volume(0xff00, 0)).is_err());
        assert!(count(&volume(0x4000, 0x4000)).unwrap_err().contains("does not end"));
    }
}
