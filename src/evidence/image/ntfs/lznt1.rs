//! LZNT1, the compression of NTFS ([MS-XCA] 2.5): chunks that each give 4096 bytes.
//!
//! A chunk has a header of two bytes, its length and whether it is compressed. A compressed chunk is
//! groups of a byte of flags and eight tokens, each a literal or a reference back of which the split
//! into distance and length depends on how much of the chunk is there already.

use crate::bytes;

/// How much a chunk gives.
const CHUNK: usize = 4096;

/// Decompresses `input` into all of `out`: what the input does not give is zero, a chunk that gives
/// less than 4096 bytes is filled up. `None` if the input is damaged; `out` holds what came before.
pub(super) fn decompress(input: &[u8], out: &mut [u8]) -> Option<()> {
    let mut rest = input;
    for (at, chunk) in out.chunks_mut(CHUNK).enumerate() {
        let header = match bytes::u16(rest, 0) {
            // The end. A unit of zeros would not be stored.
            None | Some(0) if at > 0 => {
                chunk.fill(0);
                rest = &[];
                continue;
            }
            None | Some(0) => return None,
            Some(header) => header,
        };
        let len = usize::from(header & 0x0fff) + 1;
        let data = bytes::slice(rest, 2, len)?;
        rest = rest.get(2 + len..)?;
        let done = if header & 0x8000 != 0 {
            decompress_chunk(data, chunk)?
        } else {
            let len = data.len().min(chunk.len());
            chunk.get_mut(..len)?.copy_from_slice(data.get(..len)?);
            len
        };
        chunk.get_mut(done..)?.fill(0);
    }
    Some(())
}

/// Decompresses one chunk and says how much it gave.
fn decompress_chunk(data: &[u8], out: &mut [u8]) -> Option<usize> {
    let (mut at, mut done) = (0, 0);
    while at < data.len() {
        let flags = *data.get(at)?;
        at += 1;
        for bit in 0..8 {
            if at >= data.len() || done >= out.len() {
                return Some(done);
            }
            if flags >> bit & 1 == 0 {
                *out.get_mut(done)? = *data.get(at)?;
                (at, done) = (at + 1, done + 1);
                continue;
            }
            let token = usize::from(bytes::u16(data, at)?);
            at += 2;
            // A chunk never begins with a reference.
            let last = done.checked_sub(1)?;
            // 12 bits of length while 16 bytes are there, one less for each doubling.
            let shift = 12 - (usize::BITS - (last >> 4).leading_zeros());
            let distance = (token >> shift) + 1;
            let length = (token & ((1 << shift) - 1)) + 3;
            let from = done.checked_sub(distance)?;
            let end = done.checked_add(length)?.min(out.len());
            if distance >= length {
                out.copy_within(from..from + (end - done), done);
            } else {
                // It repeats what it writes.
                for to in done..end {
                    *out.get_mut(to)? = *out.get(to - distance)?;
                }
            }
            done = end;
        }
    }
    Some(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What [MS-XCA] 3.3 gives as an example.
    #[test]
    fn the_example_of_the_specification_comes_out() {
        let input: [u8; 59] = [
            0x38, 0xb0, 0x88, 0x46, 0x23, 0x20, 0x00, 0x20, 0x47, 0x20, 0x41, 0x00, 0x10, 0xa2,
            0x47, 0x01, 0xa0, 0x45, 0x20, 0x44, 0x00, 0x08, 0x45, 0x01, 0x50, 0x79, 0x00, 0xc0,
            0x45, 0x20, 0x05, 0x24, 0x13, 0x88, 0x05, 0xb4, 0x02, 0x4a, 0x44, 0xef, 0x03, 0x58,
            0x02, 0x8c, 0x09, 0x16, 0x01, 0x48, 0x45, 0x00, 0xbe, 0x00, 0x9e, 0x00, 0x04, 0x01,
            0x18, 0x90, 0x00,
        ];
        let want = "F# F# G A A G F# E D D E F# F# E E F# F# G A A G F# E D D E F# E D D E E \
                    F# D E F# G F# D E F# G F# E D E A F# F# G A A G F# E D D E F# E D D\0";
        let mut out = vec![0xee; CHUNK];
        decompress(&input, &mut out).unwrap();
        assert_eq!(&out[..want.len()], want.as_bytes());
        assert!(out[want.len()..].iter().all(|b| *b == 0));
    }

    /// Literals, and references back to whatever was there before.
    fn compress(data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for chunk in data.chunks(CHUNK) {
            let mut packed = Vec::new();
            let mut at = 0;
            while at < chunk.len() {
                let flags_at = packed.len();
                packed.push(0);
                for bit in 0..8 {
                    if at >= chunk.len() {
                        break;
                    }
                    let shift = if at == 0 {
                        12
                    } else {
                        12 - (usize::BITS - ((at - 1) >> 4).leading_zeros())
                    };
                    let most = (1usize << shift) + 2;
                    let best = (1..=at.min(1 << (16 - shift)))
                        .map(|d| {
                            let same = |n: &usize| chunk.get(at + n) == chunk.get(at + n - d);
                            ((0..most.min(chunk.len() - at)).take_while(same).count(), d)
                        })
                        .max();
                    match best {
                        Some((len, distance)) if len >= 3 => {
                            packed[flags_at] |= 1 << bit;
                            let token = (distance - 1) << shift | (len - 3);
                            packed.extend_from_slice(&(token as u16).to_le_bytes());
                            at += len;
                        }
                        _ => {
                            packed.push(chunk[at]);
                            at += 1;
                        }
                    }
                }
            }
            let (flag, body) =
                if packed.len() < CHUNK { (0xb000, &packed[..]) } else { (0x3000, chunk) };
            out.extend_from_slice(&(flag | (body.len() - 1) as u16).to_le_bytes());
            out.extend_from_slice(body);
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_was_compressed_comes_back(
            seed in proptest::collection::vec(0u8..6, 1..600), times in 1usize..24
        ) {
            let data = seed.repeat(times);
            let mut out = vec![0xee; data.len()];
            decompress(&compress(&data), &mut out).unwrap();
            prop_assert_eq!(out, data);
        }

        #[test]
        fn any_bytes_are_taken(input in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut out = vec![0; 3 * CHUNK];
            let _ = decompress(&input, &mut out);
        }
    }
}
