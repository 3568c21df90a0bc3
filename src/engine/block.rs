//! Keywords sought in a whole block of evidence at once.
//!
//! A rule of keywords without a channel (`product: windows`) asks for every text of every event. To
//! fold and search them all would cost more than all other rules together, for words that hardly any
//! log has. The texts of events stand in their chunk as UTF-16LE; so one search of the chunk's bytes
//! tells for all of its events that the words are not there.
//!
//! [`BlockFilter`] is that search: from each atom a *window* of two characters is taken whose case
//! variants are few; a packed (SIMD) searcher finds the windows, and around each the whole atom is
//! compared. A block in which no atom stands is *clean*.
//!
//! Soundness (invariant 1 of the design): in a clean block no text that stands in it verbatim holds an
//! atom, at any offset, in any case. This speaks only of texts, so an atom that the text form of a
//! number, GUID, SID, time, boolean or of binary data could hold is not taken
//! ([`BlockFilter::covers`] then says so), nor one of characters beyond ASCII. `k` and `s` have other
//! forms than the two ASCII ones (U+212A, U+017F), so they are compared folded and never stand in a
//! window.

use super::atoms::bits_of_pair;
use crate::utf16::fold_char;
use aho_corasick::packed::Searcher;
use hashbrown::{HashMap, HashSet};

/// How many byte patterns are sought. The packed searcher takes 64, but puts them into eight buckets
/// and looks closer wherever one of a bucket's may stand: with 16 that is a third as often as with
/// 32, and the rules that look at every event need no more.
const MAX_PATTERNS: usize = 16;

/// Characters that the text forms of typed values are made of, folded: digits and hexadecimal
/// digits, `0x`, signs and braces, the words `true` and `false`, `inf` and `nan`, `S-1-5`, the `T`
/// and `Z` of times.
const TYPED: &[u8] = b"0123456789abcdefx-+.:{}truefalseinfnanstz?";

/// Tells whether a block of evidence holds any of some atoms.
#[derive(Debug)]
pub(super) struct BlockFilter {
    searcher: Searcher,
    /// For each pattern of the searcher, the atoms that it is a window of, with the window's place.
    windows: Vec<Vec<(usize, usize)>>,
    atoms: Vec<Box<[u8]>>,
    covered: HashSet<Box<[u8]>>,
}

impl BlockFilter {
    /// The filter for as many of `atoms` as it can search for, first ones first; `None` for none.
    pub(super) fn new<'a>(atoms: impl IntoIterator<Item = &'a [u8]>) -> Option<BlockFilter> {
        let mut seen = HashSet::new();
        let candidates = atoms.into_iter().filter(|a| is_searchable(a) && seen.insert(*a));
        let mut patterns: Vec<Vec<u8>> = Vec::new();
        let mut numbers: HashMap<Vec<u8>, usize> = HashMap::new();
        let mut windows: Vec<Vec<(usize, usize)>> = Vec::new();
        let mut atoms: Vec<Box<[u8]>> = Vec::new();
        for atom in candidates {
            let Some((at, variants)) = best_window(atom, &numbers) else { continue };
            let new = variants.iter().filter(|v| !numbers.contains_key(*v)).count();
            if patterns.len() + new > MAX_PATTERNS {
                continue;
            }
            for variant in variants {
                let number = *numbers.entry(variant).or_insert_with_key(|variant| {
                    patterns.push(variant.clone());
                    windows.push(Vec::new());
                    patterns.len() - 1
                });
                windows[number].push((atoms.len(), at));
            }
            atoms.push(atom.into());
        }
        let (patterns, windows) = in_buckets(patterns, windows);
        let searcher = Searcher::new(&patterns)?;
        let covered = atoms.iter().cloned().collect();
        Some(BlockFilter { searcher, windows, atoms, covered })
    }

    /// Whether a clean block says that this atom is in none of its texts.
    pub(super) fn covers(&self, atom: &[u8]) -> bool {
        self.covered.contains(atom)
    }

    /// Whether no atom stands in `block` as UTF-16LE text.
    pub(super) fn is_clean(&self, block: &[u8]) -> bool {
        // The searcher skips over what it found; a window is three bytes, so going on one byte after
        // each find misses none.
        let mut from = 0;
        while let Some(rest) = block.get(from..)
            && let Some(found) = self.searcher.find(rest)
        {
            let at = from + found.start();
            let window = self.windows.get(found.pattern().as_usize());
            if window.is_some_and(|atoms| atoms.iter().any(|w| self.stands_at(block, at, *w))) {
                return false;
            }
            from = at + 1;
        }
        true
    }

    fn stands_at(&self, block: &[u8], at: usize, (atom, window): (usize, usize)) -> bool {
        let Some(atom) = self.atoms.get(atom) else { return false };
        let start = at.checked_sub(2 * window);
        let Some(text) = start.and_then(|start| crate::bytes::slice(block, start, 2 * atom.len()))
        else {
            return false;
        };
        text.chunks_exact(2).zip(atom).all(|(unit, want)| {
            let unit = u16::from_le_bytes([unit[0], unit[1]]);
            char::from_u32(u32::from(unit)).is_some_and(|c| fold_char(c) == char::from(*want))
        })
    }
}

/// Whether an atom can be searched for: ASCII, and nothing that a typed value's text could hold.
fn is_searchable(atom: &[u8]) -> bool {
    atom.len() >= 2
        && atom.iter().all(|b| (0x20..0x7F).contains(b))
        && !atom.iter().all(|b| TYPED.contains(b))
}

/// The window of an atom that is rarest in text and needs few new patterns, with its variants in
/// UTF-16LE; `None` if each two characters have a `k` or an `s` among them.
fn best_window(atom: &[u8], known: &HashMap<Vec<u8>, usize>) -> Option<(usize, Vec<Vec<u8>>)> {
    let windows = atom.windows(2).enumerate();
    let usable = windows.filter(|(_, w)| !w.iter().any(|b| matches!(b, b'k' | b's')));
    // Finds of windows that are no atom cost, and so does each pattern; a known one costs nothing.
    let value = |at: usize, window: &[u8]| {
        let variants = variants(window);
        let new = variants.iter().filter(|v| !known.contains_key(*v)).count();
        let bits = window.first_chunk().map_or(0.0, |pair| bits_of_pair(*pair));
        (bits - NEW_PATTERN * new as f64, at, variants)
    };
    usable
        .map(|(at, window)| value(at, window))
        .max_by(|(a, ..), (b, ..)| a.total_cmp(b))
        .map(|(_, at, variants)| (at, variants))
}

/// Puts patterns, with what belongs to each, in the order that suits the packed searcher best.
///
/// It knows a byte by its two halves, and puts patterns whose bytes have the same lower halves, as the
/// cases of a letter have, into one of eight buckets, the others into one after the other. A bucket with
/// two sorts of patterns takes for a find what has halves of either: five of six places that were looked
/// at closer were such (November 2026, `.o` and `c.` in one bucket). So the first of each sort come first.
fn in_buckets<T>(patterns: Vec<Vec<u8>>, of_each: Vec<T>) -> (Vec<Vec<u8>>, Vec<T>) {
    let mut seen = HashSet::new();
    let (mut first, others): (Vec<_>, Vec<_>) =
        patterns.into_iter().zip(of_each).partition(|(pattern, _)| {
            seen.insert(pattern.iter().map(|byte| byte & 0x0F).collect::<Vec<u8>>())
        });
    first.extend(others);
    first.into_iter().unzip()
}

/// How many bits rarer a window has to be for each new pattern that it needs.
const NEW_PATTERN: f64 = 0.75;

/// The bytes of two characters in UTF-16LE, in all cases; without the last, which is zero nearly
/// everywhere and would only cost.
fn variants(window: &[u8]) -> Vec<Vec<u8>> {
    let cases = |b: u8| {
        let upper = b.to_ascii_uppercase();
        if upper == b { vec![b] } else { vec![b, upper] }
    };
    let [a, b] = window else { return Vec::new() };
    let pairs = cases(*a).into_iter().flat_map(|a| cases(*b).into_iter().map(move |b| (a, b)));
    pairs.map(|(a, b)| vec![a, 0, b]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Value;
    use proptest::prelude::*;

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn only_k_and_s_have_forms_beyond_ascii() {
        for c in '\u{80}'..=char::MAX {
            let folded = fold_char(c);
            assert!(!folded.is_ascii() || matches!(folded, 'k' | 's'), "{c:?}");
        }
    }

    #[test]
    fn typed_values_are_made_of_the_characters_that_are_left_out() {
        let values = [
            Value::Signed(-12),
            Value::Unsigned(9),
            Value::Hex(0xABCDEF),
            Value::Float64(f64::NAN),
            Value::Float64(f64::NEG_INFINITY),
            Value::Float32(1e30),
            Value::Float64(-1e-30),
            Value::Bool(true),
            Value::Bool(false),
            Value::Binary(&[0xAB, 0xCD]),
            Value::Guid(&[0xEF; 16]),
            Value::FileTime(134_059_110_728_808_340),
            Value::SystemTime(&[0; 16]),
            Value::Sid(&[1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0]),
            Value::Sid(&[]),
        ];
        for value in values {
            let mut text = Vec::new();
            value.append_folded(&mut text);
            assert!(text.iter().all(|b| TYPED.contains(b)), "{value:?}");
        }
    }

    #[test]
    fn words_are_found_in_any_case_and_at_any_offset() {
        let atoms: [&[u8]; 4] = [b"sekurlsa::", b"mimikatz", b"kiwi printer", b"0xabc"];
        let filter = BlockFilter::new(atoms).unwrap();
        assert!(!filter.covers(b"0xabc"));
        assert!(filter.covers(b"mimikatz"));
        for (text, clean) in [
            ("nothing here ::1 fe80::2", true),
            ("MimiKatz", false),
            ("mimi\u{212a}atz", false),
            ("\u{17f}EKURLSA::logonpasswords", false),
            ("mimika tz", true),
            ("Kiwi Printer", false),
            ("ki", true),
        ] {
            for pad in 0..3 {
                let mut block = vec![0x41; pad];
                block.extend(utf16(text));
                assert_eq!(filter.is_clean(&block), clean, "{text} after {pad} bytes");
            }
        }
    }

    proptest! {
        #[test]
        fn a_clean_block_holds_no_covered_atom(
            atoms in prop::collection::vec("[aAkKs:m]{2,5}", 1..6),
            text in "[aAkKsSmM:\u{212a}]{0,40}",
        ) {
            let folded: Vec<String> = atoms.iter().map(|a| crate::utf16::folded(a)).collect();
            if let Some(filter) = BlockFilter::new(folded.iter().map(String::as_bytes)) {
                let has = folded.iter().any(|a| {
                    filter.covers(a.as_bytes()) && crate::utf16::folded(&text).contains(a.as_str())
                });
                prop_assert_eq!(filter.is_clean(&utf16(&text)), !has);
            }
        }
    }
}
