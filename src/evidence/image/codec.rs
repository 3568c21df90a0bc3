//! Codecs of blocks: zlib, bare deflate, zstd.
//!
//! The crates do the work: flate2 with zlib-rs, and zstd (its C library, for speed). A decoder's state is tens of
//! kilobytes, so decoders are kept and used again, one for each thread that decodes at a time.

use flate2::{Decompress, FlushDecompress, Status};
use std::sync::{Mutex, PoisonError};

/// How many decoders are kept.
const MAX_KEPT: usize = 64;

/// The largest window that a zstd frame may ask for, as a power of two: the blocks are 2 MiB at most,
/// so a larger one is of no use to an honest writer.
const MAX_WINDOW: u32 = 27;

/// Decodes zlib or bare deflate.
#[derive(Debug)]
pub(super) struct Inflater {
    zlib: bool,
    kept: Mutex<Vec<Decompress>>,
}

impl Inflater {
    /// For zlib: deflate with a header and a checksum, which is checked.
    pub(super) fn zlib() -> Inflater {
        Inflater { zlib: true, kept: Mutex::default() }
    }

    /// For bare deflate.
    pub(super) fn deflate() -> Inflater {
        Inflater { zlib: false, kept: Mutex::default() }
    }

    /// Decodes a stream and says how much it gave, if it is whole and fits into `out`.
    pub(super) fn decode(&self, input: &[u8], out: &mut [u8]) -> Option<usize> {
        self.run(input, out, |status, _| status == Status::StreamEnd)
    }

    /// Decodes a stream, of which what fills `out` is wanted.
    pub(super) fn decode_front(&self, input: &[u8], out: &mut [u8]) -> Option<usize> {
        let wanted = out.len() as u64;
        self.run(input, out, |status, len| status == Status::StreamEnd || len == wanted)
    }

    fn run(
        &self,
        input: &[u8],
        out: &mut [u8],
        is_whole: impl Fn(Status, u64) -> bool,
    ) -> Option<usize> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let decoder = kept().pop();
        let mut decoder = match decoder {
            Some(mut decoder) => {
                decoder.reset(self.zlib);
                decoder
            }
            None => Decompress::new(self.zlib),
        };
        let status = decoder.decompress(input, out, FlushDecompress::Finish);
        let len = decoder.total_out();
        let whole = status.is_ok_and(|status| is_whole(status, len));
        let mut kept = kept();
        if kept.len() < MAX_KEPT {
            kept.push(decoder);
        }
        usize::try_from(len).ok().filter(|_| whole)
    }
}

/// Decodes the zstd frame that `input` begins with, of which what fills `out` is wanted.
pub(super) fn zstd(input: &[u8], out: &mut [u8]) -> Option<usize> {
    use std::io::Read as _;
    let mut decoder = zstd::stream::read::Decoder::with_buffer(input).ok()?.single_frame();
    decoder.window_log_max(MAX_WINDOW).ok()?;
    let mut done = 0;
    while let Some(rest) = out.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match decoder.read(rest) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(_) => return None,
        }
    }
    Some(done)
}
