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

/// The file that tells of the files.
pub(super) const UPLOADED: &str = "uploads.json";

/// A collection has one of these beside its folder of files.
pub(super) const MARKS: [&str; 3] = [CLIENT, UPLOADED, "collection_context.json"];

/// The folder of the files.
pub(super) const UPLOADS: &str = "uploads";

/// What the name of an index ends with.
pub(super) const INDEX: &str = ".idx";

/// The longest that is read of what tells of other files.
pub(super) const LONGEST: usize = 8 << 20;

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

/// The host in the name that UAC gives its archive: `uac-HOST-SYSTEM-TIME.tar.gz`.
pub(super) fn host_by_uac(name: &str) -> Option<String> {
    const SYSTEMS: [&str; 9] =
        ["aix", "esxi", "freebsd", "linux", "macos", "netbsd", "netscaler", "openbsd", "solaris"];
    let name = name.strip_prefix("uac-")?;
    let (name, time) = name.rsplit_once('-')?;
    let (time, extension) = time.split_once('.').unwrap_or((time, ""));
    let (host, system) = name.rsplit_once('-')?;
    let known = time.len() == 14
        && time.bytes().all(|byte| byte.is_ascii_digit())
        && ["", "tar", "tar.gz", "zip"].contains(&extension)
        && SYSTEMS.contains(&system);
    (known && !host.is_empty()).then(|| host.to_owned())
}

/// The host in the name that the offline collector gives its archive: `Collection-HOST-TIME.zip`, the
/// time as `2024-01-02T03_04_05Z`. Anything may be called so: it is for what is a collection.
pub(super) fn host_by_collector(name: &str) -> Option<String> {
    const TIME: &[u8] = b"-0000-00-00T00_00_00";
    let name = name.strip_prefix("Collection-")?;
    let is_time = |text: &[u8]| {
        text.iter().zip(TIME).all(|(byte, like)| match like {
            b'0' => byte.is_ascii_digit(),
            like => byte == like,
        })
    };
    let at = name.as_bytes().windows(TIME.len()).rposition(is_time)?;
    name.get(..at).filter(|host| !host.is_empty()).map(str::to_owned)
}

/// The indexes that `uploads.json` says were stored, by the decoded paths of their files.
pub(super) fn indexes(text: &[u8]) -> Vec<String> {
    let rows = serde_json::Deserializer::from_slice(text).into_iter::<Value>();
    let index = |row: Value| {
        let parts = row.get("_Components")?.as_array()?;
        let parts: Vec<&str> = parts.iter().map(Value::as_str).collect::<Option<_>>()?;
        let path = parts.join("/");
        (row.get("Type")? == "idx")
            .then(|| if path.ends_with(INDEX) { path } else { format!("{path}{INDEX}") })
    };
    rows.map_while(Result::ok).filter_map(index).collect()
}

/// What is no encoding stays as it is.
pub(super) fn percent_decoded(text: &str) -> String {
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

/// Where the pieces of a file that is stored without its holes were: what its `.idx` says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Index {
    /// By where they were; they do not overlap.
    pieces: Vec<Piece>,
    size: u64,
}

impl Index {
    /// How long the file was.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// How many pieces it has.
    pub(super) fn pieces(&self) -> usize {
        self.pieces.len()
    }

    /// What the text of an `.idx` says.
    ///
    /// # Errors
    /// Why it is none.
    pub(super) fn read(text: &[u8]) -> Result<Index, &'static str> {
        let index: Value = serde_json::from_slice(text).map_err(|_| "it is no JSON")?;
        let ranges = index.get("ranges").or_else(|| index.get("Ranges")).unwrap_or(&index);
        let ranges = ranges.as_array().filter(|ranges| !ranges.is_empty());
        let ranges = ranges.ok_or("it has no ranges")?;
        if ranges.len() > MAX_PIECES {
            return Err("it has too many ranges");
        }
        let mut index = Index::default();
        for range in ranges {
            index.add(range)?;
        }
        index.pieces.sort_by_key(|piece| piece.original);
        let overlap = |pair: &[Piece]| match pair {
            [a, b] => a.original.saturating_add(a.length) > b.original,
            _ => false,
        };
        if index.pieces.windows(2).any(overlap) {
            return Err("its ranges overlap");
        }
        Ok(index)
    }

    fn add(&mut self, range: &Value) -> Result<(), &'static str> {
        // What is zero may be left out; what is there and no number is damage.
        let number = |names: [&str; 2]| match names.iter().find_map(|name| range.get(name)) {
            None => Ok(0),
            Some(value) => value
                .as_u64()
                .or_else(|| value.as_str()?.parse().ok())
                .ok_or("a range is not one of numbers"),
        };
        let original = number(["OriginalOffset", "original_offset"])?;
        let stored = number(["FileOffset", "file_offset"])?;
        let length = number(["Length", "length"])?;
        // Of a hole nothing is stored.
        let there = number(["FileLength", "file_length"])?.min(length);
        if length == 0 {
            return Err("a range has no length");
        }
        let end = original.checked_add(length).ok_or("a range leads away")?;
        self.size = self.size.max(end);
        if there > 0 {
            self.pieces.push(Piece { original, stored, length: there });
        }
        Ok(())
    }

    /// How much is stored of the file.
    pub(super) fn stored(&self) -> u64 {
        let end = |piece: &Piece| piece.stored.saturating_add(piece.length);
        self.pieces.iter().map(end).max().unwrap_or(0)
    }
}

/// A file with the holes that its index tells of, as zeros.
pub(super) struct Sparse {
    stored: Arc<dyn ReadAt>,
    index: Arc<Index>,
}

impl Sparse {
    /// The file that is stored as `stored` with this index.
    pub(super) fn new(stored: Arc<dyn ReadAt>, index: Arc<Index>) -> Sparse {
        Sparse { stored, index }
    }
}

impl ReadAt for Sparse {
    fn size(&self) -> u64 {
        self.index.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.index.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = buf.len().min(left);
        let Some(buf) = buf.get_mut(..wanted) else { return Ok(0) };
        // The question whether all was well is for what is stored.
        if buf.is_empty() {
            return self.stored.read_at(self.stored.size(), buf);
        }
        buf.fill(0);
        let end = offset.saturating_add(wanted as u64);
        let pieces = &self.index.pieces;
        let first = pieces.partition_point(|p| p.original.saturating_add(p.length) <= offset);
        for piece in pieces.iter().skip(first).take_while(|piece| piece.original < end) {
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
    fn what_is_encoded_is_decoded() {
        for (path, want) in [
            ("auto/C%3A/a%254b.evtx", "auto/C:/a%4b.evtx"),
            ("ntfs/%5C%5C.%5CC%3A/a", r"ntfs/\\.\C:/a"),
            ("a%zz%", "a%zz%"),
            ("%ff", "%ff"),
            ("%", "%"),
        ] {
            assert_eq!(percent_decoded(path), want, "{path}");
        }
    }

    #[test]
    fn hosts_are_found_in_names_that_tools_give() {
        for (name, want) in [
            ("uac-web01-linux-20240102030405.tar.gz", Some("web01")),
            ("uac-a-b-c.example-macos-20240102030405", Some("a-b-c.example")),
            ("uac-x-linux-20240102030405.zip", Some("x")),
            ("uac--linux-20240102030405.tar", None),
            ("uac-x-beos-20240102030405.tar", None),
            ("uac-x-linux-2024010203040.tar", None),
            ("uac-x-linux-20240102030405-copy.tar", None),
            ("x-uac-y-linux-20240102030405.tar", None),
            ("case.zip", None),
        ] {
            assert_eq!(host_by_uac(name).as_deref(), want, "{name}");
        }
        for (name, want) in [
            ("Collection-DC01-2024-01-02T03_04_05Z.zip", Some("DC01")),
            ("Collection-a-b.example-2024-01-02T03_04_05_+0100.zip", Some("a-b.example")),
            ("Collection-DC01-2024-01-02T03_04_05Z", Some("DC01")),
            ("Collection-DC01.zip", None),
            ("Collection--2024-01-02T03_04_05Z.zip", None),
            ("Collection-DC01-2024-01-02.zip", None),
        ] {
            assert_eq!(host_by_collector(name).as_deref(), want, "{name}");
        }
    }

    #[test]
    fn uploads_tell_of_indexes() {
        let text = br#"{"_Components":["uploads","ntfs","\\\\.\\C:","a.evtx"],"Type":""}
{"_Components":["uploads","ntfs","\\\\.\\C:","a.evtx"],"Type":"idx"}
{"_Components":["uploads","auto","C:","b.idx"],"Type":"idx"}
{"_Components":"x","Type":"idx"}
{"_Components":["uploads","auto","c"],"Type":"idx"}
not JSON
{"_Components":["uploads","auto","d"],"Type":"idx"}"#;
        let want =
            [r"uploads/ntfs/\\.\C:/a.evtx.idx", "uploads/auto/C:/b.idx", "uploads/auto/c.idx"];
        assert_eq!(indexes(text), want);
    }

    #[test]
    fn holes_read_as_zeros_and_pieces_where_they_were() {
        let index = br#"{"ranges":[
            {"FileOffset":0,"OriginalOffset":0,"FileLength":4,"Length":4},
            {"FileOffset":4,"OriginalOffset":4,"FileLength":0,"Length":6},
            {"FileOffset":4,"OriginalOffset":10,"FileLength":3,"Length":3},
            {"FileOffset":7,"OriginalOffset":13,"FileLength":0,"Length":2}]}"#;
        let index = Arc::new(Index::read(index).unwrap());
        assert_eq!((index.size(), index.stored()), (15, 7));
        let file = Sparse::new(Arc::new(b"abcdefg".to_vec()), Arc::clone(&index));
        let want = b"abcd\0\0\0\0\0\0efg\0\0";
        for at in 0..=want.len() {
            for len in 0..20 {
                let mut buf = vec![9; len];
                let n = file.read_at(at as u64, &mut buf).unwrap();
                assert_eq!(&buf[..n], &want[at..want.len().min(at + len)], "{at} {len}");
            }
        }
        assert_eq!(file.size(), 15);
        let short = Sparse::new(Arc::new(b"abcd".to_vec()), index);
        assert!(short.read_at(9, &mut [0; 4]).unwrap_err().to_string().contains("shorter"));
    }

    #[test]
    fn an_index_that_is_none_is_refused() {
        for index in [
            &b""[..],
            b"{}",
            b"{\"ranges\":7}",
            b"[]",
            br#"[{"OriginalOffset":18446744073709551615,"Length":2,"FileLength":2}]"#,
            br#"[{"OriginalOffset":0,"Length":2,"FileLength":2},{"OriginalOffset":1,"Length":2,"FileLength":2}]"#,
            br#"[{"OriginalOffset":0,"Length":"x","FileLength":3}]"#,
            br#"[{"originaloffset":0}]"#,
        ] {
            assert!(Index::read(index).is_err(), "{}", String::from_utf8_lossy(index));
        }
        let texts = br#"{"ranges":[{"Length":"7","FileLength":"5"}]}"#;
        assert_eq!(Index::read(texts).unwrap().size(), 7);
    }
}
