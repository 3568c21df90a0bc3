//! Text: UTF-16LE to UTF-8, and case folding, into buffers of the caller.
//!
//! Two forms exist of every text: the *original*, UTF-8 with each lone surrogate as U+FFFD, and the
//! *folded*, which is the original with Unicode simple case folding (statuses C and S of
//! CaseFolding.txt) applied to each scalar. Folding is the same function for rule literals and for
//! event text, maps one scalar to one scalar, and depends on no locale; two texts are equal without
//! regard to case exactly when their folded forms are the same bytes.
//!
//! Invariant: `append_folded_utf16(u)` is `append_folded(utf8(u))` for all bytes `u`; the fast path
//! for ASCII is only faster. A test checks it on random text.

/// How many UTF-16 units one round of the ASCII fast path converts: 16 fill one 128-bit register
/// once narrowed, and the compiler turns the loop over them into vector code.
const LANES: usize = 16;

/// A round of units that are neither NUL nor beyond ASCII.
const FILLED: [u8; 2 * LANES] = {
    let mut filled = [0; 2 * LANES];
    let mut at = 0;
    while at < filled.len() {
        filled[at] = 1;
        at += 2;
    }
    filled
};

/// Appends UTF-16LE text as UTF-8, up to its first NUL, where Windows ends a string; lone surrogates
/// become U+FFFD, an odd last byte is ignored.
pub fn append_utf8(units: &[u8], out: &mut Vec<u8>) {
    convert(units, out, |b| b, |c| c);
}

/// Appends UTF-16LE text as folded UTF-8, up to its first NUL.
pub fn append_folded_utf16(units: &[u8], out: &mut Vec<u8>) {
    convert(units, out, fold_ascii, fold_char);
}

/// Appends the folded form of `text`.
pub fn append_folded(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    if bytes.is_ascii() {
        out.extend(bytes.iter().map(|&b| fold_ascii(b)));
    } else {
        text.chars().for_each(|c| push_char(out, fold_char(c)));
    }
}

/// The folded form of `text`.
#[must_use]
pub fn folded(text: &str) -> String {
    text.chars().map(fold_char).collect()
}

/// Whether `folded` is the folded form of `text`.
#[must_use]
pub fn is_folded(text: &str, folded: &str) -> bool {
    // Equal as they are, or all but ASCII letters: the rest takes its time.
    if text.len() == folded.len() && text.is_ascii() {
        return text.bytes().map(fold_ascii).eq(folded.bytes());
    }
    text.chars().map(fold_char).eq(folded.chars())
}

/// Unicode simple case folding of one scalar.
#[must_use]
pub fn fold_char(c: char) -> char {
    if c.is_ascii() {
        return char::from(fold_ascii(c as u8));
    }
    unicode_case_mapping::case_folded(c).and_then(|n| char::from_u32(n.get())).unwrap_or(c)
}

#[inline]
fn fold_ascii(b: u8) -> u8 {
    b | (u8::from(b.wrapping_sub(b'A') < 26) << 5)
}

#[inline]
fn push_char(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Appends `units`, each ASCII byte through `ascii` and every other scalar through `scalar`.
#[inline]
fn convert(
    units: &[u8],
    out: &mut Vec<u8>,
    ascii: impl Fn(u8) -> u8 + Copy,
    scalar: impl Fn(char) -> char + Copy,
) {
    let done = convert_ascii_run(units, out, ascii);
    let rest = units.get(done * 2..).unwrap_or(&[]).chunks_exact(2);
    let rest = rest.map(|pair| u16::from_le_bytes([pair[0], pair[1]])).take_while(|&u| u != 0);
    for c in char::decode_utf16(rest) {
        push_char(out, scalar(c.unwrap_or(char::REPLACEMENT_CHARACTER)));
    }
}

/// Appends the leading units of `units` that are ASCII and not NUL, and says how many they were.
#[inline]
fn convert_ascii_run(units: &[u8], out: &mut Vec<u8>, ascii: impl Fn(u8) -> u8 + Copy) -> usize {
    let start = out.len();
    let total = units.len() / 2;
    let units = units.get(..2 * total).unwrap_or(units);
    let (rounds, tail) = units.as_chunks::<{ 2 * LANES }>();
    out.reserve((rounds.len() + 1) * LANES);
    let mut done = 0;
    for round in rounds {
        let (to, plain) = convert_round(round, ascii);
        if !plain {
            return done + append_plain(round, &to, out);
        }
        out.extend_from_slice(&to);
        done += LANES;
    }
    if tail.is_empty() {
        return total;
    }
    // The last units are converted as a whole round, too: most texts are short, and one round more costs
    // less than going through what is left of them. It begins with some that were converted already; if
    // there are none, it is filled up with what is neither NUL nor beyond ASCII.
    if let Some(last) = units.last_chunk() {
        let (to, plain) = convert_round(last, ascii);
        done = total - LANES;
        out.truncate(start + done);
        if !plain {
            return done + append_plain(last, &to, out);
        }
        out.extend_from_slice(&to);
    } else {
        let mut last = FILLED;
        last[..tail.len()].copy_from_slice(tail);
        let (to, plain) = convert_round(&last, ascii);
        if !plain {
            return append_plain(&last, &to, out);
        }
        out.extend_from_slice(&to);
        out.truncate(start + total);
    }
    total
}

/// Appends of a converted round what stands before its first unit that is NUL or beyond ASCII, and says
/// how many these are.
#[cold]
fn append_plain(round: &[u8; 2 * LANES], to: &[u8; LANES], out: &mut Vec<u8>) -> usize {
    let is_plain = |pair: &&[u8]| pair[1] == 0 && (1..0x80).contains(&pair[0]);
    let run = round.chunks_exact(2).take_while(is_plain).count();
    out.extend_from_slice(to.get(..run).unwrap_or(&[]));
    run
}

/// One round: the bytes if all units are ASCII and not NUL, and whether they are.
#[inline]
fn convert_round(round: &[u8; 2 * LANES], ascii: impl Fn(u8) -> u8) -> ([u8; LANES], bool) {
    let mut to = [0; LANES];
    let mut plain = true;
    for (d, pair) in to.iter_mut().zip(round.chunks_exact(2)) {
        let unit = u16::from_le_bytes([pair[0], pair[1]]);
        // NUL wraps around to the largest.
        plain &= unit.wrapping_sub(1) < 0x7f;
        *d = ascii(unit as u8);
    }
    (to, plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    fn folded_utf16(units: &[u8]) -> String {
        let mut out = Vec::new();
        append_folded_utf16(units, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn folding_is_simple_and_without_locale() {
        for (text, want) in [
            ("C:\\Windows\\System32\\CMD.EXE", "c:\\windows\\system32\\cmd.exe"),
            ("Администратор", "администратор"),
            ("ÉÀÜ", "éàü"),
            ("İ", "İ"), // U+0130 has only a full (F) and a Turkic (T) folding
            ("ſ", "s"), // long s
            ("K", "k"), // Kelvin sign
            ("ẞ", "ß"),
            ("Σς", "σσ"),
            ("😀", "😀"),
            ("@[`{", "@[`{"),
        ] {
            assert_eq!(folded(text), want, "{text}");
            assert_eq!(folded_utf16(&utf16(text)), want, "{text}");
        }
    }

    #[test]
    fn lone_surrogates_become_the_replacement_character() {
        let mut out = Vec::new();
        append_utf8(&[0x41, 0, 0x00, 0xD8, 0x42, 0, 0x00, 0xDC, 0x99], &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "A\u{FFFD}B\u{FFFD}");
    }

    #[test]
    fn a_string_ends_at_its_first_nul_unit() {
        for (text, want) in [("ab\0c", "ab"), ("\0", ""), ("é\0x", "é"), ("Ā\u{61}", "āa")] {
            assert_eq!(folded_utf16(&utf16(text)), want);
        }
        // The zero bytes of U+0100 U+0061 touch, but are no NUL.
        assert_eq!(folded_utf16(&[0, 1, 0x61, 0]), "āa");
        assert_eq!(folded_utf16(&[0x61, 0, 0, 0x61]), "a\u{6100}");
    }

    proptest! {
        #[test]
        fn utf16_and_utf8_fold_alike(units in prop::collection::vec(prop_oneof![
            4 => 0u16..0x80, 1 => any::<u16>()], 0..80)) {
            let bytes: Vec<u8> = units.iter().flat_map(|u| u.to_le_bytes()).collect();
            let end = units.iter().position(|&u| u == 0).unwrap_or(units.len());
            let text = String::from_utf16_lossy(&units[..end]);
            let mut plain = Vec::new();
            append_utf8(&bytes, &mut plain);
            prop_assert_eq!(&plain, text.as_bytes());
            let mut fold = Vec::new();
            append_folded(&text, &mut fold);
            let direct = folded_utf16(&bytes);
            prop_assert_eq!(direct.as_bytes(), &fold[..]);
            let again = folded(&text);
            prop_assert_eq!(again.as_bytes(), &fold[..]);
            let twice = folded(&again);
            prop_assert!(is_folded(&text, &again));
            prop_assert_eq!(is_folded(&text, &text), text == again);
            let longer = format!("{again}x");
            prop_assert!(!is_folded(&text, &longer));
            prop_assert_eq!(twice, again);
        }
    }
}
