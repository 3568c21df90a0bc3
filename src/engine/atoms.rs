//! Necessary literals: what must stand in a field's text for a predicate to be true.
//!
//! An *atom* is a piece of folded text, possibly bound to a value's start or end by the marks that
//! [`crate::event::Texts`] puts around values. The atoms of a predicate are a set of which at least
//! one occurs in the haystack of its field whenever the predicate is true. From these, [`choose`]
//! takes for a whole condition the predicates whose atoms together are necessary for it and rarest
//! by estimate.
//!
//! Soundness (invariant 1 of the design): every step may only weaken. A conjunction may keep any one
//! of its parts; a disjunction must keep all; whatever does not give a literal is *open* (`None`):
//! negation, `null`, `exists`, comparisons, `cidr`, `fieldref`, a pattern of wildcards alone. A text
//! that equals an integer holds its digits (`03`, ` 3`, `3.0` equal 3; exponents are no numbers), at
//! no certain place. Equality gives no end mark, because trailing blanks of the value are ignored.
//! Literals of case-sensitive tests are folded: text that contains one contains it folded, for
//! folding works scalar by scalar.

use super::check::{is_equality, other_guid_form};
use super::expr::{Expr, PredicateId};
use crate::event::{VALUE_END, VALUE_START};
use crate::sigma::{Item, Number, NumberValue, Part, Pattern, Regex, Test};
use crate::utf16::folded;
use hashbrown::HashSet;
use regex_syntax::hir::{Class, Hir, HirKind};

/// One atom: folded text with its marks.
pub(super) type Atom = Box<[u8]>;

/// The atoms of an item with what they cost.
#[derive(Debug)]
pub(super) struct Atoms {
    pub(super) set: Vec<Atom>,
    /// For each atom, the four bytes that it is best known by.
    pub(super) fours: Box<[Option<Four>]>,
    cost: f64,
}

/// The four bytes of an atom that are rarest in text by estimate, and where they stand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Four {
    pub(super) offset: usize,
    pub(super) bytes: [u8; 4],
}

impl Atoms {
    /// The atoms of an item, or `None` if it is open.
    pub(super) fn of(item: &Item, common: &CommonFours) -> Option<Atoms> {
        let set = of_item(item)?;
        let fours = set.iter().map(|atom| common.rarest(atom)).collect();
        Some(Atoms { cost: cost(&set), fours, set })
    }
}

/// The atoms alone, or `None` if the item is open.
pub(super) fn of_item(item: &Item) -> Option<Vec<Atom>> {
    if item.negated {
        return None;
    }
    let keyword = item.field.is_none();
    let mut sets = item.values.iter().map(|test| of_test(test, keyword));
    if item.all {
        return sets.flatten().min_by(|a, b| cost(a).total_cmp(&cost(b)));
    }
    let mut union = sets.try_fold(Vec::new(), |mut union, set| {
        union.extend(set?);
        Some(union)
    })?;
    union.sort();
    union.dedup();
    Some(union)
}

fn of_test(test: &Test, keyword: bool) -> Option<Vec<Atom>> {
    let set = match test {
        Test::Text(pattern) => of_pattern(pattern),
        Test::Number(number) if keyword => Some(vec![folded(&number.text).into_bytes().into()]),
        Test::Number(Number { value: NumberValue::Integer(n), .. }) => {
            Some(vec![n.unsigned_abs().to_string().into_bytes().into()])
        }
        Test::Regex(regex) => of_regex(regex),
        Test::AnyOf(tests) => {
            let sets: Option<Vec<_>> = tests.iter().map(|t| of_test(t, keyword)).collect();
            sets.map(|sets| sets.concat())
        }
        _ => None,
    }?;
    // The values of numbers are short too: there one byte is worth looking for.
    let short = |atom: &Atom| atom.len() < SHORTEST && !matches!(test, Test::Number(_));
    (!set.iter().any(short)).then_some(set)
}

/// A single byte stands in so many texts that to be open costs less than to be looked for, and the
/// automaton's filter knows atoms by two bytes at least.
pub(super) const SHORTEST: usize = 2;

/// The atom of a pattern: its rarest literal, with the marks that hold for it.
fn of_pattern(pattern: &Pattern) -> Option<Vec<Atom>> {
    let last = pattern.parts.len().checked_sub(1)?;
    let exact = is_equality(pattern);
    let candidates = pattern.parts.iter().enumerate().filter_map(|(n, part)| {
        let Part::Literal(text) = part else { return None };
        let mut atom = Vec::new();
        if n == 0 {
            atom.push(VALUE_START);
        }
        atom.extend_from_slice(folded(text).as_bytes());
        if n == last && !exact {
            atom.push(VALUE_END);
        }
        Some((atom.into_boxed_slice(), text))
    });
    let (atom, text) = candidates.max_by(|(a, _), (b, _)| rarity(a).total_cmp(&rarity(b)))?;
    let mut atoms = vec![atom];
    if exact && let Some(other) = other_guid_form(text) {
        let mut atom = vec![VALUE_START];
        atom.extend_from_slice(folded(&other).as_bytes());
        atoms.push(atom.into());
    }
    Some(atoms)
}

/// The atoms of a regular expression.
pub(super) fn of_regex(regex: &Regex) -> Option<Vec<Atom>> {
    let hir = regex_syntax::ParserBuilder::new()
        .case_insensitive(regex.ignore_case)
        .multi_line(regex.multi_line)
        .dot_matches_new_line(regex.dot_all)
        .utf8(false)
        .build()
        .parse(&regex.pattern)
        .ok()?;
    required(&hir).filter(|atoms| atoms.len() <= MAX_REGEX_ATOMS)
}

/// More alternatives than this are not worth their place in an automaton.
const MAX_REGEX_ATOMS: usize = 64;

/// A set of folded literals of which one stands in every text that `hir` matches.
fn required(hir: &Hir) -> Option<Vec<Atom>> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => None,
        HirKind::Literal(_) | HirKind::Class(_) => {
            let mut run = String::new();
            push_exact(hir, &mut run).then(|| vec![run.into_bytes().into()])
        }
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub),
        HirKind::Repetition(_) => None,
        HirKind::Alternation(branches) => {
            let sets: Option<Vec<_>> = branches.iter().map(required).collect();
            sets.map(|sets| sets.concat())
        }
        HirKind::Concat(parts) => {
            let mut best: Option<Vec<Atom>> = None;
            let mut offer = |set: Vec<Atom>| {
                if best.as_ref().is_none_or(|b| cost(&set) < cost(b)) {
                    best = Some(set);
                }
            };
            let mut run = String::new();
            for part in parts {
                if matches!(part.kind(), HirKind::Look(_) | HirKind::Empty)
                    || push_exact(part, &mut run)
                {
                    continue;
                }
                if !run.is_empty() {
                    offer(vec![std::mem::take(&mut run).into_bytes().into()]);
                }
                if let Some(set) = required(part) {
                    offer(set);
                }
            }
            if !run.is_empty() {
                offer(vec![run.into_bytes().into()]);
            }
            best
        }
    }
}

/// Appends what `hir` matches, folded, if that is always the same text once folded.
fn push_exact(hir: &Hir, run: &mut String) -> bool {
    /// A letter has few case variants; a class of more characters is not one letter.
    const MOST_VARIANTS: usize = 8;
    match hir.kind() {
        HirKind::Literal(literal) => {
            let Ok(text) = std::str::from_utf8(&literal.0) else { return false };
            run.push_str(&folded(text));
            true
        }
        HirKind::Class(Class::Unicode(class)) => {
            let size: usize =
                class.ranges().iter().map(regex_syntax::hir::ClassUnicodeRange::len).sum();
            if size == 0 || size > MOST_VARIANTS {
                return false;
            }
            let mut variants = class
                .ranges()
                .iter()
                .flat_map(|range| range.start()..=range.end())
                .map(crate::utf16::fold_char);
            let Some(first) = variants.next() else { return false };
            let one = variants.all(|c| c == first);
            if one {
                run.push(first);
            }
            one
        }
        HirKind::Capture(capture) => push_exact(&capture.sub, run),
        _ => false,
    }
}

/// Predicates whose atoms together are necessary for `expr`, with their cost; `None` if it is open.
pub(super) fn choose<'a>(
    expr: &Expr,
    atoms: &impl Fn(PredicateId) -> Option<&'a Atoms>,
) -> Option<(f64, Vec<PredicateId>)> {
    match expr {
        Expr::Const(_) | Expr::Not(_) => None,
        Expr::Test(id) => atoms(*id).map(|set| (set.cost, vec![*id])),
        Expr::And(parts) => parts
            .iter()
            .filter_map(|part| choose(part, atoms))
            .min_by(|(a, _), (b, _)| a.total_cmp(b)),
        Expr::Or(parts) => union(parts.iter().map(|part| choose(part, atoms))),
        // Of any (parts - count + 1) parts one must hold: take the cheapest so many.
        Expr::AtLeast(count, parts) => {
            let needed = (parts.len() + 1).checked_sub(*count)?;
            let mut sets: Vec<_> = parts.iter().filter_map(|part| choose(part, atoms)).collect();
            sets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
            (sets.len() >= needed).then(|| union(sets.into_iter().take(needed).map(Some)))?
        }
    }
}

fn union(
    sets: impl Iterator<Item = Option<(f64, Vec<PredicateId>)>>,
) -> Option<(f64, Vec<PredicateId>)> {
    let mut union = (0.0, Vec::new());
    for set in sets {
        let (cost, ids) = set?;
        union.0 += cost;
        union.1.extend(ids);
    }
    Some(union)
}

/// The estimated share of values in which one of `atoms` occurs, times a constant.
fn cost(atoms: &[Atom]) -> f64 {
    atoms.iter().map(|atom| (-rarity(atom)).exp2()).sum()
}

/// How rare an atom is: the negative binary logarithm of its estimated share of values.
fn rarity(atom: &[u8]) -> f64 {
    let text: &[u8] = atom.strip_prefix(&[VALUE_START]).unwrap_or(atom);
    let text = text.strip_suffix(&[VALUE_END]).unwrap_or(text);
    if text.is_empty() {
        return 0.0;
    }
    if memchr::memmem::find(COMMON.as_bytes(), text).is_some() {
        return 2.0 + text.len() as f64 / 64.0;
    }
    // Each byte of usual text tells two to five bits, and a value offers many places.
    let bits: f64 = text.iter().map(|b| bits_of(*b)).sum();
    let places = if text.len() < atom.len() { 0.0 } else { 5.0 };
    (bits - places).clamp(0.5, 24.0)
}

/// The pieces of four bytes that common text has, for telling many others how rare they are.
#[derive(Debug)]
pub(super) struct CommonFours(HashSet<[u8; 4]>);

impl Default for CommonFours {
    fn default() -> CommonFours {
        let mut fours = HashSet::new();
        for line in COMMON.lines() {
            // A value may start and end with any part of it.
            let edges = [&[VALUE_START], line.as_bytes(), &[VALUE_END]].concat();
            fours.extend(edges.windows(4).filter_map(|four| four.first_chunk::<4>().copied()));
            for three in line.as_bytes().windows(3) {
                if let [a, b, c] = *three {
                    fours.insert([VALUE_START, a, b, c]);
                    fours.insert([a, b, c, VALUE_END]);
                }
            }
        }
        CommonFours(fours)
    }
}

impl CommonFours {
    /// The four bytes of an atom that are rarest in text by estimate: of equals the first, from which
    /// the automaton gets to the rest.
    pub(super) fn rarest(&self, atom: &[u8]) -> Option<Four> {
        let bits = |bytes: &[u8; 4]| bytes.iter().map(|b| bits_of(*b)).sum::<f64>();
        let mut best: Option<(bool, f64, Four)> = None;
        for (offset, bytes) in atom.windows(4).filter_map(<[u8]>::first_chunk::<4>).enumerate() {
            let bits = bits(bytes);
            // Most are not rarer than the best so far, whether common or not.
            if best.is_some_and(|(rare, most, _)| rare && bits <= most) {
                continue;
            }
            let rare = !self.0.contains(bytes);
            if best.is_none_or(|(was, most, _)| (rare, bits) > (was, most)) {
                best = Some((rare, bits, Four { offset, bytes: *bytes }));
            }
        }
        best.map(|(.., four)| four)
    }
}

/// What two bytes beside each other tell, in bits: little, if common text has them.
pub(super) fn bits_of_pair(pair: [u8; 2]) -> f64 {
    let bits = bits_of(pair[0]) + bits_of(pair[1]);
    match memchr::memmem::find_iter(COMMON.as_bytes(), &pair).count() {
        0 => bits,
        count => (bits - COMMON_PAIR - (count as f64).log2()).max(0.0),
    }
}

/// How many bits less a pair tells that stands in common text once.
const COMMON_PAIR: f64 = 3.0;

/// What a byte tells, in bits, in the text of commands and paths.
pub(super) fn bits_of(byte: u8) -> f64 {
    match byte {
        b'e' | b's' | b'o' | b'i' | b't' | b'a' | b'n' | b'r' | b'\\' | b' ' => 3.0,
        b'a'..=b'z' | b'.' => 4.0,
        b'0'..=b'9' | b'-' | b'/' | b':' | b'"' => 4.5,
        _ => 6.0,
    }
}

/// Text that stands in the events of every healthy host: a piece of it tells little. One text, so
/// that one search answers; the line ends keep its parts apart.
const COMMON: &str = concat!(
    "c:\\windows\\system32\\svchost.exe -k netsvcs -p\n",
    "c:\\windows\\syswow64\\\n",
    "c:\\windows\\explorer.exe\n",
    "c:\\windows\\system32\\cmd.exe /c \"\n",
    "c:\\windows\\system32\\windowspowershell\\v1.0\\powershell.exe\n",
    "\"c:\\windows\\system32\\rundll32.exe\" \n",
    "c:\\program files (x86)\\\n",
    "c:\\program files\\windows defender\\msmpeng.exe\n",
    "c:\\programdata\\microsoft\\\n",
    "c:\\users\\administrator\\appdata\\local\\temp\\\n",
    "c:\\users\\public\\appdata\\roaming\\microsoft\\windows\\start menu\\programs\\startup\\\n",
    "hklm\\software\\microsoft\\windows nt\\currentversion\\\n",
    "hklm\\software\\microsoft\\windows\\currentversion\\run\n",
    "hklm\\system\\currentcontrolset\\services\\\n",
    "hku\\s-1-5-21-\n",
    "microsoft corporation\n",
    "microsoft\u{ae} windows\u{ae} operating system\n",
    "nt authority\\system\n",
    "windows command processor\n",
    "http://www.https://\n",
    ".dll.exe.sys.tmp.txt.log.ps1\n",
    "true\n",
    "false\n",
    "system\n",
    "dword (0x00000001)\n",
    "write-host new-object get-item set-content invoke- import-module -property\n",
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn regex_atoms(pattern: &str, ignore_case: bool) -> Option<Vec<String>> {
        let regex =
            Regex { pattern: pattern.into(), ignore_case, multi_line: false, dot_all: false };
        of_regex(&regex)
            .map(|set| set.iter().map(|a| String::from_utf8(a.to_vec()).unwrap()).collect())
    }

    #[test]
    fn regexes_give_the_literals_that_they_need() {
        for (pattern, ignore_case, want) in [
            ("net user .{2,}Administrator$", false, Some(vec!["net user "])),
            ("(?i)INVOKE-\\w+", false, Some(vec!["invoke-"])),
            ("Foo", true, Some(vec!["foo"])),
            ("(one|two)+", false, Some(vec!["one", "two"])),
            ("(one|)x?", false, None),
            ("[a-z]{5}", false, None),
            ("ab(?:cd|ef)", false, Some(vec!["cd", "ef"])),
            ("\\bkiwi\\b", false, Some(vec!["kiwi"])),
            ("a*", false, None),
        ] {
            let got = regex_atoms(pattern, ignore_case);
            let want = want.map(|w| w.into_iter().map(String::from).collect::<Vec<_>>());
            if pattern.starts_with("ab(") {
                // Either literal is right; which is rarer is an estimate.
                assert!(got.is_some(), "{pattern}");
            } else {
                assert_eq!(got, want, "{pattern}");
            }
        }
    }

    proptest! {
        /// Whatever a regex matches contains one of its atoms, folded.
        #[test]
        fn matches_contain_an_atom(
            pattern in "(\\(\\?i\\))?([a-cA-CéK]|[ab]|\\(a\\|Bc\\)|b\\+|c\\?|\\.|\\(É\\)\\{2\\}){1,6}",
            text in "[a-cA-CéÉkK\u{212a}]{0,12}",
        ) {
            if let Ok(regex) = regex::Regex::new(&pattern)
                && let Some(atoms) = regex_atoms(&pattern, false)
                && regex.is_match(&text)
            {
                let text = folded(&text);
                prop_assert!(atoms.iter().any(|a| text.contains(a)), "{} {:?}", pattern, atoms);
            }
        }
    }
}
