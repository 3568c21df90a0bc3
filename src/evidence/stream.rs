//! Compressed streams: gzip, zstd, xz, bzip2. One thing, packed by itself.

use super::access::Access;
use super::inside::most;
use super::sniff::{self, Kind};
use super::spool::{Spool, fill};
use super::window::Cursor;
use crate::bytes::ReadAt;
use std::{
    io::{self, Read},
    sync::Arc,
};

/// How a stream is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Gzip,
    Zstd,
    Xz,
    Bzip2,
}

/// How much memory a decoder may take for what it refers back to: `xz -9` takes 64 MiB, `zstd
/// --ultra -22` 128 MiB. A stream says so itself, and may say anything.
pub(super) const DICTIONARY_LOG: u32 = 27;
const DICTIONARY_KIB: u32 = (1 << (DICTIONARY_LOG - 10)) + (16 << 10);

/// Says of what a decoder finds wrong what it is that is damaged.
pub(super) struct Decoded<R> {
    from: R,
    what: &'static str,
}

impl<R> Decoded<R> {
    /// What comes out of a decoder of `what`.
    pub(super) fn new(from: R, what: &'static str) -> Decoded<R> {
        Decoded { from, what }
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.from.read(buf).map_err(|error| match error.kind() {
            // The medium's own is nothing that a decoder says.
            _ if error.raw_os_error().is_some() => error,
            io::ErrorKind::Interrupted => error,
            _ => {
                let what = format!("{} is cut off or damaged ({error})", self.what);
                io::Error::new(io::ErrorKind::InvalidData, what)
            }
        })
    }
}

/// What a stream unpacks to.
pub(super) fn decoder(bytes: Arc<dyn ReadAt>, codec: Codec) -> io::Result<Box<dyn Read + Send>> {
    let from = io::BufReader::with_capacity(64 << 10, Cursor::new(bytes));
    let (decoder, what): (Box<dyn Read + Send>, _) = match codec {
        // Each of these takes streams that follow one another as one, as the tools that write them do.
        Codec::Gzip => (Box::new(flate2::bufread::MultiGzDecoder::new(from)), "the gzip stream"),
        Codec::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(from)?;
            decoder.window_log_max(DICTIONARY_LOG)?;
            (Box::new(decoder), "the zstd stream")
        }
        Codec::Xz => {
            let decoder = lzma_rust2::XzReader::new_mem_limit(from, true, DICTIONARY_KIB);
            (Box::new(decoder), "the xz stream")
        }
        Codec::Bzip2 => (Box::new(bzip2::bufread::MultiBzDecoder::new(from)), "the bzip2 stream"),
    };
    Ok(Box::new(Decoded::new(decoder, what)))
}

/// The first bytes that come out of a stream.
pub(super) fn start(bytes: &Arc<dyn ReadAt>, codec: Codec, most: usize) -> io::Result<Vec<u8>> {
    let mut start = vec![0; most];
    let (n, read) = fill(&mut *decoder(Arc::clone(bytes), codec)?, &mut start);
    start.truncate(n);
    // Nobody knows what something is whose start is lost.
    if n == 0 || sniff::kind(&start) == Kind::Other {
        read?;
    }
    Ok(start)
}

/// All that comes out of a stream.
pub(super) fn open(bytes: &Arc<dyn ReadAt>, codec: Codec, access: &Access) -> io::Result<Spool> {
    let mut decoder = decoder(Arc::clone(bytes), codec)?;
    Ok(Spool::whole(&mut *decoder, most(bytes.size()), access))
}

/// What the thing in a stream is called: as the stream, without the extension that says how it is
/// packed.
pub(super) fn name_within(name: &str, codec: Codec) -> String {
    let extensions: &[&str] = match codec {
        Codec::Gzip => &["gz", "gzip"],
        Codec::Zstd => &["zst", "zstd"],
        Codec::Xz => &["xz"],
        Codec::Bzip2 => &["bz2", "bzip2"],
    };
    let last = name.rsplit(['/', '\\', '!']).next().unwrap_or(name);
    match last.rsplit_once('.') {
        Some((stem, extension))
            if !stem.is_empty()
                && extensions.iter().any(|known| known.eq_ignore_ascii_case(extension)) =>
        {
            stem.to_owned()
        }
        _ => "content".to_owned(),
    }
}

/// Whether a stream's name says that a tar archive is in it.
pub(super) fn is_tar(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let short = [".tgz", ".tzst", ".txz", ".tbz", ".tbz2"];
    let long = [".tar.gz", ".tar.zst", ".tar.xz", ".tar.bz2"];
    short.iter().chain(&long).any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thing_in_a_stream_has_its_name() {
        for (name, want) in [
            ("a/Security.evtx.gz", "Security.evtx"),
            (r"C:\x\b.GZ", "b"),
            ("case.zip!a.evtx.gz", "a.evtx"),
            ("a/noname", "content"),
            ("a/.gz", "content"),
            ("a/b.xz", "content"),
        ] {
            assert_eq!(name_within(name, Codec::Gzip), want, "{name}");
        }
    }
}
