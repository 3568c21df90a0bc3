//! The one place where text from evidence becomes safe to print.
//!
//! Event text is written by whoever was on the host. Printed as it is it can move a terminal's
//! cursor, hide a line, recolour it, or show its letters in another order. So control characters
//! (C0, DEL, C1), the marks that reorder text, line and paragraph separators, invisible marks and tag
//! characters never reach the output: JSON carries them as `\uXXXX`, which any reader turns back into
//! the same text, and a table shows them as `\n`, `\x1b`, `\u{202e}`.
//!
//! Source of facts: RFC 8259 section 7; Unicode 17.0 UAX #9 (directional marks) and
//! DerivedCoreProperties (default ignorable code points).

use std::io::Write as _;

/// Whether a character has to be shown by its number.
#[must_use]
pub fn is_unsafe(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}'
        | '\u{ad}' | '\u{61c}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Bytes at which a JSON string's text has to be looked at: those that JSON escapes, and the lead
/// bytes of UTF-8 under which some unsafe character lies.
const LOOK: [bool; 256] = {
    let mut look = [false; 256];
    let mut b = 0;
    while b < 0x20 {
        look[b] = true;
        b += 1;
    }
    look[b'"' as usize] = true;
    look[b'\\' as usize] = true;
    look[0x7f] = true;
    // U+0080..00BF, U+0600.., U+1000.., U+2000.., U+F000.., U+E0000..
    look[0xc2] = true;
    look[0xd8] = true;
    look[0xe1] = true;
    look[0xe2] = true;
    look[0xef] = true;
    look[0xf3] = true;
    look
};

/// Appends `text` as a JSON string, quotes included.
pub fn json_string(text: &str, out: &mut Vec<u8>) {
    json_bytes(text.as_bytes(), out);
}

/// The same for bytes that are UTF-8; what of them is not could become a string that is not either.
pub(super) fn json_bytes(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    match first_to_look_at(text) {
        None => out.extend_from_slice(text),
        Some(first) => escaped(text, first, out),
    }
    out.push(b'"');
}

/// Appends `text`, in which `first` is the first byte that has to be looked at. Where there is one, more
/// follow (the backslashes of a path): from there on eight bytes at a time are asked for the next.
fn escaped(text: &[u8], first: usize, out: &mut Vec<u8>) {
    let (before, mut rest) = text.split_at_checked(first).unwrap_or((text, &[]));
    out.extend_from_slice(before);
    while let Some((word, after)) = rest.split_first_chunk() {
        let start = out.len();
        out.extend_from_slice(word);
        match first_marked(*word) {
            None => rest = after,
            Some(at) => {
                out.truncate(start + at);
                rest = look_at(rest.get(at..).unwrap_or_default(), out);
            }
        }
    }
    while let Some(at) = rest.iter().position(|b| LOOK[usize::from(*b)]) {
        let (before, from) = rest.split_at(at);
        out.extend_from_slice(before);
        rest = look_at(from, out);
    }
    out.extend_from_slice(rest);
}

/// The first of eight bytes that is not plain, as [`is_plain`] has it.
#[inline]
fn first_marked(word: [u8; 8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x80 * ONES;
    let word = u64::from_le_bytes(word);
    // The top bit of each byte that is less than `n`; the lowest of them is right, what a borrow marks
    // wrongly stands above it.
    let below = |word: u64, n: u64| word.wrapping_sub(n * ONES) & !word & TOPS;
    let is = |b: u8| below(word ^ (u64::from(b) * ONES), 1);
    let marks = below(word, 0x20) | is(b'"') | is(b'\\') | is(0x7f) | word & TOPS;
    (marks != 0).then(|| (marks.trailing_zeros() / 8) as usize)
}

/// Appends what stands at the beginning of `from` as it has to be, and gives the rest: a character that
/// is looked at, or what is not plain and harmless all the same.
fn look_at<'t>(from: &'t [u8], out: &mut Vec<u8>) -> &'t [u8] {
    let done = match from.first() {
        Some(b @ (b'"' | b'\\')) => {
            out.extend_from_slice(&[b'\\', *b]);
            1
        }
        Some(b) if LOOK[usize::from(*b)] => {
            let (c, width) = first_char(from);
            json_char(c, out);
            width
        }
        _ => {
            let is_other = |b: &u8| *b < 0x80 || LOOK[usize::from(*b)];
            let harmless = from.iter().position(is_other).unwrap_or(from.len());
            out.extend_from_slice(from.get(..harmless).unwrap_or_default());
            harmless
        }
    };
    from.get(done..).unwrap_or_default()
}

/// How many bytes are asked at once whether one of them is to be looked at.
const BLOCK: usize = 16;

/// The first byte that has to be looked at.
fn first_to_look_at(text: &[u8]) -> Option<usize> {
    let (blocks, tail) = text.as_chunks::<BLOCK>();
    let is_plain = |block: &[u8; BLOCK]| block.iter().fold(true, |plain, b| plain & is_plain(*b));
    let is_to_go = |b: &u8| LOOK[usize::from(*b)];
    for (n, block) in blocks.iter().enumerate() {
        if !is_plain(block)
            && let Some(at) = block.iter().position(is_to_go)
        {
            return Some(n * BLOCK + at);
        }
    }
    // What is left is a block, too, with bytes before it that were asked already.
    if text.last_chunk().is_some_and(is_plain) {
        return None;
    }
    tail.iter().position(is_to_go).map(|at| text.len() - tail.len() + at)
}

/// Whether a byte needs no look, in a form of which the compiler makes vector code; there are some
/// more, which [`LOOK`] knows.
#[inline]
fn is_plain(b: u8) -> bool {
    (b >= 0x20) & (b != b'"') & (b != b'\\') & (b < 0x7f)
}

/// The character at the beginning, and its width in bytes.
fn first_char(text: &[u8]) -> (char, usize) {
    let width = match text.first() {
        Some(0xf0..) => 4,
        Some(0xe0..) => 3,
        Some(0xc0..) => 2,
        _ => 1,
    };
    let c = text.get(..width).and_then(|c| std::str::from_utf8(c).ok()?.chars().next());
    c.map_or((char::REPLACEMENT_CHARACTER, 1), |c| (c, width))
}

/// Appends a finished JSON text, its characters that are not to be printed escaped. They can only be
/// in its strings.
pub fn json_text(json: &str, out: &mut Vec<u8>) {
    within(json, is_unsafe, json_char, out);
}

/// Appends a finished XML text, its characters that are not to be printed as references; those that
/// XML has no reference for as `_`, as Windows writes them.
pub fn xml_text(xml: &str, out: &mut Vec<u8>) {
    let is_to_go = |c| is_unsafe(c) && !matches!(c, '\t' | '\n' | '\r');
    let reference = |c, out: &mut Vec<u8>| match c {
        '\0'..='\x1f' => out.push(b'_'),
        // Writing to memory cannot fail.
        c => drop(write!(out, "&#x{:x};", u32::from(c))),
    };
    within(xml, is_to_go, reference, out);
}

fn within(
    text: &str,
    is_to_go: impl Fn(char) -> bool,
    instead: impl Fn(char, &mut Vec<u8>),
    out: &mut Vec<u8>,
) {
    let mut rest = text;
    // Nearly all bytes need no look at the character; the quote and the backslash are no others here.
    while let Some((at, c)) = unsafe_char(rest, &is_to_go) {
        let (before, from) = rest.split_at(at);
        out.extend_from_slice(before.as_bytes());
        instead(c, out);
        rest = from.get(c.len_utf8()..).unwrap_or("");
    }
    out.extend_from_slice(rest.as_bytes());
}

/// The first character that is to go, and where it begins.
fn unsafe_char(text: &str, is_to_go: impl Fn(char) -> bool) -> Option<(usize, char)> {
    let mut from = 0;
    loop {
        let rest = text.get(from..)?;
        let at = rest.bytes().position(|b| LOOK[usize::from(b)] && b != b'"' && b != b'\\')?;
        let c = rest.get(at..)?.chars().next()?;
        if is_to_go(c) {
            return Some((from + at, c));
        }
        from += at + c.len_utf8();
    }
}

fn json_char(c: char, out: &mut Vec<u8>) {
    match c {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        c if is_unsafe(c) => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to memory cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
        c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// Appends `text` for a terminal or any reader of lines. A backslash stays as it is, Windows paths
/// being full of them: this form is to be read, not to be turned back.
pub fn line(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0'..='\x1f' | '\x7f' => {
                let _ = std::fmt::Write::write_fmt(out, format_args!("\\x{:02x}", u32::from(c)));
            }
            c if is_unsafe(c) => {
                let _ = std::fmt::Write::write_fmt(out, format_args!("\\u{{{:x}}}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
}

/// `text` as [`line()`] appends it.
#[must_use]
pub fn lined(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    line(text, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(text: &str) -> String {
        let mut out = Vec::new();
        json_string(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_unsafe_character_is_looked_at() {
        for c in (0..=0x10_ffff).filter_map(char::from_u32) {
            let text = format!("a{c}b");
            let json = json(&text);
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            if is_unsafe(c) {
                assert!(!json.contains(c), "{c:?}");
                assert!(!lined(&text).contains(c), "{c:?}");
            }
        }
    }

    /// Wherever in a word of eight bytes a character stands, and whatever stands before it.
    #[test]
    fn characters_are_looked_at_in_every_place() {
        let some = "\0\t\u{1f} !\"#[\\]~\u{7f}\u{80}\u{9f}\u{a0}\u{ad}éяא\u{61c}日\u{200b}\u{2028}\u{202e}\u{feff}\u{fffd}😀\u{e0041}";
        for before in some.chars() {
            for c in some.chars() {
                for place in 0..18 {
                    let text =
                        format!("{}{before}{c}{}", "x".repeat(place), "y".repeat(17 - place));
                    let json = json(&text);
                    assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
                    assert!(!json.contains(is_unsafe), "{text:?}");
                }
            }
        }
    }

    #[test]
    fn texts_look_as_expected() {
        for (text, as_json, as_line) in [
            ("", r#""""#, ""),
            (r"C:\a\b", r#""C:\\a\\b""#, r"C:\a\b"),
            ("say \"x\"", r#""say \"x\"""#, "say \"x\""),
            ("a\r\n\tb", r#""a\r\n\tb""#, r"a\r\n\tb"),
            ("\x1b[2J\0", r#""\u001b[2J\u0000""#, r"\x1b[2J\x00"),
            ("\u{9b}2J", r#""\u009b2J""#, r"\u{9b}2J"),
            ("a\u{202e}cod", r#""a\u202ecod""#, r"a\u{202e}cod"),
            ("\u{e0041}", r#""\udb40\udc41""#, r"\u{e0041}"),
            ("é日本\u{fffd}", "\"é日本\u{fffd}\"", "é日本\u{fffd}"),
        ] {
            assert_eq!(json(text), as_json);
            assert_eq!(lined(text), as_line);
        }
    }

    #[test]
    fn finished_texts_keep_their_meaning() {
        for c in (0..=0x10_ffff).filter_map(char::from_u32) {
            let quoted = serde_json::to_string(&format!("a\\{c}\"b")).unwrap();
            let (mut json, mut xml) = (Vec::new(), Vec::new());
            json_text(&quoted, &mut json);
            let json = String::from_utf8(json).unwrap();
            let read = |json: &str| serde_json::from_str::<String>(json).unwrap();
            assert_eq!(read(&json), read(&quoted));
            xml_text(&format!("<a>{c}\n</a>"), &mut xml);
            let xml = String::from_utf8(xml).unwrap();
            assert!(!is_unsafe(c) || matches!(c, '\t' | '\n' | '\r') || !xml.contains(c));
            assert!(!is_unsafe(c) || !json.contains(c));
            assert!(xml.starts_with("<a>") && xml.ends_with("\n</a>"));
        }
        let mut xml = Vec::new();
        xml_text("<a>\x1b\u{202e}\t&amp;é</a>", &mut xml);
        assert_eq!(String::from_utf8(xml).unwrap(), "<a>_&#x202e;\t&amp;é</a>");
    }

    proptest! {
        #[test]
        fn json_is_turned_back_into_the_same_text(text in any::<String>()) {
            prop_assert_eq!(serde_json::from_str::<String>(&json(&text)).unwrap(), text);
        }
    }
}
