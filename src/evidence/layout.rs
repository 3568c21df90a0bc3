//! Collections by Velociraptor: what its archives and folders say beside the files in them.
//!
//! A collection has uploaded files below `uploads/`, with a folder for how each was read (`auto`,
//! `ntfs`, …) and then the path on the host, each of whose parts is percent-encoded. Files with holes
//! are stored without them, next to a `NAME.idx` that says where the pieces were. `client_info.json`
//! tells of the host.
//!
//! Source of facts: the collections that Velociraptor 0.6 to 0.7 writes, and its documentation of the
//! offline collector (`uploads`, `.idx`); all of it is untrusted.

use crate::bytes::ReadAt;
use serde_json::Value;
use std::{io, sync::Arc};

/// The file that tells of the host.
pub(super) const CLIENT: &str = "client_info.json";

/// The folder of the files.
const UPLOADS: &str = "uploads/";

/// How many pieces a file may have: that of a 64 GB file with a piece each 64 KiB.
const MAX_PIECES: usize = 1 << 20;

/// The name of the host that a `client_info.json` tells of.
pub(super) fn host(text: &[u8]) -> Option<String> {
    // One object, a list of them, or one on each line.
    let values = serde_json::Deserializer::from_slice(text).into_iter::<Value>();
    let first = values.map_while(Result::ok).next()?;
    let first = if let Value::Array(list) = &first { list.first()? } else { &first };
    let known = ["Fqdn", "fqdn", "Hostname", "hostname"];
    let of =
        |object: &Value| known.iter().find_map(|key| object.get(key)?.as_str().map(str::to_owned));
    of(first).or_else(|| of(first.get("os_info")?)).filter(|host| !host.is_empty())
}

/// A member's path with its parts decoded, if it is one of the files of a collection.
pub(super) fn decoded(path: &str) -> Option<String> {
    let at = path.find(UPLOADS)?;
    path.get(..at).filter(|before| before.is_empty() || before.ends_with('/'))?;
    let (before, rest) = path.split_at(at + UPLOADS.len());
    Some(format!("{before}{}", percent_decoded(rest)))
}

/// What is no encoding stays as it is.
fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code.filter(|_| *byte == b'%') {
            Some(code) => {
                out.push(code);
                rest = after.get(2..).unwrap_or(&[]);
            }
            None => {
                out.push(*byte);
                rest = after;
            }
        }
    }
    // What is not text then is shown as it was.
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

/// A piece of a file that is stored without its holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    /// Where it was in the file.
    original: u64,
    /// Where it is stored.
    stored: u64,
    length: u64,
}

/// A file with the holes that its index tells of, as zeros.
pub(super) struct Sparse {
    stored: Arc<dyn ReadAt>,
    /// By where they were; they do not overlap.
    pieces: Vec<Piece>,
    size: u64,
}

/// The file that is stored as `stored` with this index.
///
/// # Errors
/// If the index is none.
pub(super) fn sparse(stored: Arc<dyn ReadAt>, index: &[u8]) -> io::Result<Sparse> {
    let bad = |what: &str| {
        io::Error::new(io::ErrorKind::InvalidData, format!("its .idx cannot be used: {what}"))
    };
    let (pieces, size) = pieces(index).map_err(bad)?;
    Ok(Sparse { stored, pieces, size })
}

/// What an index says: the pieces, and how long the file was.
fn pieces(index: &[u8]) -> Result<(Vec<Piece>, u64), &'static str> {
    let index: Value = serde_json::from_slice(index).map_err(|_| "it is no JSON")?;
    let ranges = index.get("ranges").or_else(|| index.get("Ranges")).unwrap_or(&index);
    let ranges = ranges.as_array().ok_or("it has no ranges")?;
    if ranges.len() > MAX_PIECES {
        return Err("it has too many ranges");
    }
    let mut pieces = Vec::new();
    let mut size = 0u64;
    for range in ranges {
        let number = |names: [&str; 2]| names.iter().find_map(|name| range.get(name)?.as_u64());
        let original = number(["OriginalOffset", "original_offset"]).unwrap_or(0);
        let stored = number(["FileOffset", "file_offset"]).unwrap_or(0);
        let length = number(["Length", "length"]).unwrap_or(0);
        // Of a hole nothing is stored.
        let there = number(["FileLength", "file_length"]).unwrap_or(0).min(length);
        let end = original.checked_add(length).ok_or("a range leads away")?;
        size = size.max(end);
        if there > 0 {
            pieces.push(Piece { original, stored, length: there });
        }
    }
    pieces.sort_by_key(|piece| piece.original);
    let overlap = |pair: &[Piece]| match pair {
        [a, b] => a.original.saturating_add(a.length) > b.original,
        _ => false,
    };
    if pieces.windows(2).any(overlap) {
        return Err("its ranges overlap");
    }
    Ok((pieces, size))
}

impl ReadAt for Sparse {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = buf.len().min(left);
        let Some(buf) = buf.get_mut(..wanted) else { return Ok(0) };
        buf.fill(0);
        let end = offset.saturating_add(wanted as u64);
        let first = self.pieces.partition_point(|p| p.original.saturating_add(p.length) <= offset);
        for piece in self.pieces.iter().skip(first).take_while(|piece| piece.original < end) {
            let from = piece.original.max(offset);
            let to = piece.original.saturating_add(piece.length).min(end);
            let place = usize::try_from(from - offset).ok().zip(usize::try_from(to - offset).ok());
            let Some(part) = place.and_then(|(a, b)| buf.get_mut(a..b)) else { continue };
            let at = piece.stored.saturating_add(from - piece.original);
            let mut done = 0;
            while let Some(rest) = part.get_mut(done..).filter(|rest| !rest.is_empty()) {
                match self.stored.read_at(at.saturating_add(done as u64), rest)? {
                    0 => {
                        let what = "it is shorter than its .idx says";
                        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
                    }
                    n => done += n,
                }
            }
        }
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_found_in_the_forms_that_are_known() {
        for (text, want) in [
            (&br#"{"Hostname":"DC01"}"#[..], Some("DC01")),
            (br#"[{"Hostname":"DC01","Fqdn":"DC01.corp.example"}]"#, Some("DC01.corp.example")),
            (br#"{"client_id":"C.1","os_info":{"hostname":"WS"}}"#, Some("WS")),
            (b"{\"Hostname\":\"A\"}\n{\"Hostname\":\"B\"}", Some("A")),
            (b"{}", None),
            (br#"{"Hostname":""}"#, None),
            (br#"{"Hostname":7}"#, None),
            (b"\xff", None),
            (b"", None),
        ] {
            assert_eq!(host(text).as_deref(), want);
        }
    }

    #[test]
    fn paths_are_decoded_below_uploads_alone() {
        for (path, want) in [
            ("uploads/auto/C%3A/a%254b.evtx", Some("uploads/auto/C:/a%4b.evtx")),
            ("x/uploads/ntfs/%5C%5C.%5CC%3A/a", Some(r"x/uploads/ntfs/\\.\C:/a")),
            ("uploads/a%zz%", Some("uploads/a%zz%")),
            ("uploads/%ff", Some("uploads/%ff")),
            ("myuploads/C%3A", None),
            ("C/a%3A", None),
        ] {
            assert_eq!(decoded(path).as_deref(), want, "{path}");
        }
    }

    #[test]
    fn holes_read_as_zeros_and_pieces_where_they_were() {
        let index = br#"{"ranges":[
            {"FileOffset":0,"OriginalOffset":0,"FileLength":4,"Length":4},
            {"FileOffset":4,"OriginalOffset":4,"FileLength":0,"Length":6},
            {"FileOffset":4,"OriginalOffset":10,"FileLength":3,"Length":3},
            {"FileOffset":7,"OriginalOffset":13,"FileLength":0,"Length":2}]}"#;
        let file = sparse(Arc::new(b"abcdefg".to_vec()), index).unwrap();
        let want = b"abcd\0\0\0\0\0\0efg\0\0";
        for at in 0..=want.len() {
            for len in 0..20 {
                let mut buf = vec![9; len];
                let n = file.read_at(at as u64, &mut buf).unwrap();
                assert_eq!(&buf[..n], &want[at..want.len().min(at + len)], "{at} {len}");
            }
        }
        assert_eq!(file.size(), 15);
        let short = sparse(Arc::new(b"abcd".to_vec()), index).unwrap();
        assert!(short.read_at(9, &mut [0; 4]).unwrap_err().to_string().contains("shorter"));
    }

    #[test]
    fn an_index_that_is_none_is_refused() {
        for index in [
            &b""[..],
            b"{}",
            b"{\"ranges\":7}",
            br#"[{"OriginalOffset":18446744073709551615,"Length":2,"FileLength":2}]"#,
            br#"[{"OriginalOffset":0,"Length":2,"FileLength":2},{"OriginalOffset":1,"Length":2,"FileLength":2}]"#,
        ] {
            let file = sparse(Arc::new(Vec::new()), index);
            assert!(file.err().is_some_and(|error| error.to_string().contains(".idx")));
        }
    }
}
