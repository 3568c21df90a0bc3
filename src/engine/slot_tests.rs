//! What the rules of a program ask of one slot's values alone.
//!
//! Of each rule's condition, the parts that speak of one slot have to hold, each by itself: these
//! *narrow* the rules to those that have all of theirs. Of the parts that speak of several slots (an
//! image's path or its original name), the rarest is *found* in one of the slots, or the rule cannot
//! match. Both are asked only where one of their literals stands in the values, and both depend on
//! the values alone, so that the answer, a slot's *verdict*, can be remembered for values that come
//! again (`memo`). A rule that is evaluated and refuted by a part of one slot is taken out of the
//! verdict on the values that did it.
//!
//! The literals are found by an [`Automaton`]. It is built when the slot was searched some hundred
//! times; until then they are looked for one by one, by the four bytes that each is best known by.
//!
//! Invariants: a rule that matches an event is left by the verdict on each of its slots, and found by
//! one of them if it has to be; looking one by one finds what the automaton finds (a test compares
//! them).

use super::atoms::{Atoms, Four};
use super::expr::{Expr, PredicateId};
use super::prefilter::Automaton;
use super::program::SlotId;
use super::ruleset::RuleSet;
use hashbrown::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// What the rules of a program ask of one slot's values alone.
#[derive(Debug)]
pub(super) struct SlotTests {
    pub(super) slot: SlotId,
    /// Whether these are the keywords: every value of the event.
    pub(super) keywords: bool,
    /// Whether the block filter covers all literals: no test holds in a clean block.
    pub(super) covered: bool,
    /// A bit for each rule that is not narrowed here: what is left if no test holds.
    pub(super) open: Box<[u64]>,
    /// A bit for each rule that is narrowed or found here, or that evaluation may take out: if none of
    /// these is left, the slot need not be looked at.
    pub(super) concerns: Box<[u64]>,
    tests: Box<[SlotTest]>,
    literals: Box<[Literal]>,
    automaton: OnceLock<Result<Automaton, Vec<u32>>>,
    searches: AtomicU32,
}

/// A part of some rules' conditions that speaks of one slot.
#[derive(Debug)]
struct SlotTest {
    expr: Expr,
    /// The rules that it narrows.
    narrows: Vec<u32>,
    /// The rules that are found by it.
    finds: Vec<u32>,
}

/// A literal of a test's predicates.
#[derive(Debug, Clone, Copy)]
struct Literal {
    predicate: PredicateId,
    /// Which of the predicate's atoms it is.
    atom: u32,
    test: u32,
    /// The hash of the four bytes that it is known by, as [`Fours`] has it; [`Literal::SHORT`] if it
    /// has not so many.
    hash: u16,
}

impl Literal {
    const SHORT: u16 = u16::MAX;

    fn bytes<'s>(&self, set: &'s RuleSet) -> &'s [u8] {
        self.atoms(set).and_then(|a| a.set.get(self.atom as usize)).map_or(&[], |atom| atom)
    }

    fn stands_in(&self, haystack: &[u8], fours: &Fours, set: &RuleSet) -> bool {
        let bytes = self.bytes(set);
        match self.four(set) {
            Some(four) => fours.has(haystack, bytes, four),
            None => memchr::memmem::find(haystack, bytes).is_some(),
        }
    }

    fn four(&self, set: &RuleSet) -> Option<Four> {
        *self.atoms(set)?.fours.get(self.atom as usize)?
    }

    fn atoms<'s>(&self, set: &'s RuleSet) -> Option<&'s Atoms> {
        set.predicates.get(self.predicate).atoms()
    }
}

/// Where in a short text each four bytes stand: lists of places by a small hash.
struct Fours {
    /// The last place of each hash, plus 1.
    heads: [u16; Fours::HEADS],
    /// For each place the one before it with the same hash, plus 1.
    before: [u16; LONGEST_WITHOUT_AUTOMATON],
}

impl Fours {
    const LOG_HEADS: u32 = 10;
    const HEADS: usize = 1 << Fours::LOG_HEADS;

    /// The places in `text`, which is no longer than [`LONGEST_WITHOUT_AUTOMATON`].
    fn of(text: &[u8]) -> Fours {
        let mut fours = Fours { heads: [0; Fours::HEADS], before: [0; LONGEST_WITHOUT_AUTOMATON] };
        let windows = text.windows(4).filter_map(<[u8]>::first_chunk::<4>);
        for ((place, four), before) in (1..).zip(windows).zip(&mut fours.before) {
            let head = &mut fours.heads[usize::from(Fours::hash(*four))];
            *before = std::mem::replace(head, place);
        }
        fours
    }

    #[inline]
    fn hash(four: [u8; 4]) -> u16 {
        // 2^32 over the golden ratio: its upper bits depend on all four bytes.
        (u32::from_le_bytes(four).wrapping_mul(0x9E37_79B1) >> (32 - Fours::LOG_HEADS)) as u16
    }

    /// Whether `literal`, which is known by `four`, stands in the text.
    fn has(&self, text: &[u8], literal: &[u8], four: Four) -> bool {
        let mut place = self.heads[usize::from(Fours::hash(four.bytes))];
        while let Some(at) = usize::from(place).checked_sub(1) {
            let start = at.checked_sub(four.offset).and_then(|start| text.get(start..));
            if start.is_some_and(|text| text.starts_with(literal)) {
                return true;
            }
            place = self.before.get(at).copied().unwrap_or(0);
        }
        false
    }
}

/// So often the literals are looked for one by one before an automaton is built: many kinds of events
/// come a few times only and many fields have few values, and then building costs more than searching.
const SEARCHES_BEFORE_AUTOMATON: u32 = 256;
/// In a longer text too many literals have their four bytes by chance.
const LONGEST_WITHOUT_AUTOMATON: usize = 512;

impl SlotTests {
    /// Whether no rule asks anything of the slot's values.
    pub(super) fn is_empty(&self) -> bool {
        self.tests.is_empty()
    }

    /// How many rules the slot concerns.
    pub(super) fn concerned(&self) -> u32 {
        self.concerns.iter().map(|word| word.count_ones()).sum()
    }

    /// Sets in `found` the bit of each test of which a literal stands in `haystack`.
    pub(super) fn search(&self, set: &RuleSet, haystack: &[u8], found: &mut Vec<u64>) {
        found.clear();
        found.resize(self.tests.len().div_ceil(64), 0);
        if haystack.len() <= LONGEST_WITHOUT_AUTOMATON
            && self.automaton.get().is_none()
            && self.searches.fetch_add(1, Ordering::Relaxed) < SEARCHES_BEFORE_AUTOMATON
        {
            let fours = Fours::of(haystack);
            for literal in &self.literals {
                let possible = fours.heads.get(usize::from(literal.hash)).is_none_or(|at| *at != 0);
                if possible && literal.stands_in(haystack, &fours, set) {
                    set_bit(found, literal.test);
                }
            }
            return;
        }
        match self.automaton.get_or_init(|| self.build(set)) {
            Ok(automaton) => automaton.search(haystack, found),
            // An automaton that cannot be built leaves its tests to be asked always.
            Err(tests) => tests.iter().for_each(|test| set_bit(found, *test)),
        }
    }

    fn build(&self, set: &RuleSet) -> Result<Automaton, Vec<u32>> {
        let mut by_atom: HashMap<&[u8], (Option<Four>, Vec<u32>)> = HashMap::new();
        for literal in &self.literals {
            let four = literal.four(set);
            let (_, tests) = by_atom.entry(literal.bytes(set)).or_insert((four, Vec::new()));
            if tests.last() != Some(&literal.test) {
                tests.push(literal.test);
            }
        }
        Automaton::new(by_atom)
    }

    /// Writes the verdict: of the tests in `found`, those that hold leave their rules or find them.
    /// An empty verdict says that none holds.
    pub(super) fn judge(
        &self,
        found: &[u64],
        verdict: &mut Vec<u64>,
        holds: &mut impl FnMut(&Expr) -> bool,
    ) {
        verdict.clear();
        for (word, bits) in found.iter().enumerate() {
            let mut bits = *bits;
            while bits != 0 {
                let index = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let Some(test) = self.tests.get(index).filter(|test| holds(&test.expr)) else {
                    continue;
                };
                if verdict.is_empty() {
                    verdict.extend_from_slice(&self.open);
                    verdict.resize(2 * self.open.len(), 0);
                }
                let (left, sought) = verdict.split_at_mut(self.open.len());
                test.narrows.iter().for_each(|rule| set_bit(left, *rule));
                test.finds.iter().for_each(|rule| set_bit(sought, *rule));
            }
        }
    }
}

pub(super) fn set_bit(bits: &mut [u64], bit: u32) {
    if let Some(word) = bits.get_mut(bit as usize / 64) {
        *word |= 1 << (bit % 64);
    }
}

pub(super) fn has_bit(bits: &[u64], bit: usize) -> bool {
    bits.get(bit / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)
}

/// The tests of a slot, each once.
#[derive(Debug, Default)]
pub(super) struct TestsBuilder {
    tests: Vec<SlotTest>,
    by_expr: HashMap<Expr, u32>,
    literals: Vec<(PredicateId, u32)>,
    /// The rules for which its verdicts are wanted even without a test: for what evaluation takes out
    /// of them.
    kept: Vec<u32>,
}

impl TestsBuilder {
    /// A rule that is narrowed by `expr`, of whose literals those predicates have one.
    pub(super) fn narrow(
        &mut self,
        rule: u32,
        expr: Expr,
        literals: impl Iterator<Item = PredicateId>,
    ) {
        self.test(expr, literals).narrows.push(rule);
    }

    /// A rule that is found by `expr`.
    pub(super) fn find(&mut self, rule: u32, expr: Expr, literal: PredicateId) {
        self.test(expr, std::iter::once(literal)).finds.push(rule);
    }

    /// A rule without a literal, which evaluation may take out of verdicts.
    pub(super) fn keep(&mut self, rule: u32) {
        self.kept.push(rule);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tests.is_empty() && self.kept.is_empty()
    }

    /// The tests of `slot`, for a program whose rules have `words` words of bits.
    pub(super) fn finish(
        self,
        set: &RuleSet,
        slot: SlotId,
        keywords: bool,
        words: usize,
    ) -> SlotTests {
        let covers = |predicate: &PredicateId| {
            let atoms = set.predicates.get(*predicate).atoms();
            let block = set.block.as_ref();
            atoms.zip(block).is_some_and(|(atoms, b)| atoms.set.iter().all(|a| b.covers(a)))
        };
        let narrowed = self.tests.iter().flat_map(|test| &test.narrows);
        let open = all_but(words, narrowed.clone().copied());
        let mut concerns = vec![0; words].into_boxed_slice();
        let found = self.tests.iter().flat_map(|test| &test.finds);
        narrowed.chain(found).chain(&self.kept).for_each(|rule| set_bit(&mut concerns, *rule));
        SlotTests {
            slot,
            keywords,
            covered: keywords
                && self.kept.is_empty()
                && self.literals.iter().all(|(predicate, _)| covers(predicate)),
            concerns,
            open,
            literals: literals(set, &self.literals),
            tests: self.tests.into(),
            automaton: OnceLock::new(),
            searches: AtomicU32::new(0),
        }
    }

    /// The test that asks this; `literals` are the predicates of which one has to hold for it.
    fn test(&mut self, expr: Expr, literals: impl Iterator<Item = PredicateId>) -> &mut SlotTest {
        let number = match self.by_expr.get(&expr) {
            Some(number) => *number,
            None => {
                let number = u32::try_from(self.tests.len()).unwrap_or(u32::MAX);
                self.by_expr.insert(expr.clone(), number);
                self.literals.extend(literals.map(|predicate| (predicate, number)));
                self.tests.push(SlotTest { expr, narrows: Vec::new(), finds: Vec::new() });
                number
            }
        };
        &mut self.tests[number as usize]
    }
}

/// A bit for everything but these.
pub(super) fn all_but(words: usize, without: impl Iterator<Item = u32>) -> Box<[u64]> {
    let mut bits = vec![u64::MAX; words].into_boxed_slice();
    for bit in without {
        if let Some(word) = bits.get_mut(bit as usize / 64) {
            *word &= !(1 << (bit % 64));
        }
    }
    bits
}

/// The literals of these predicates, with their tests.
fn literals(set: &RuleSet, predicates: &[(PredicateId, u32)]) -> Box<[Literal]> {
    let mut literals = Vec::new();
    for &(predicate, test) in predicates {
        let Some(atoms) = set.predicates.get(predicate).atoms() else { continue };
        for (four, atom) in atoms.fours.iter().zip(0u32..) {
            let hash = four.map_or(Literal::SHORT, |four| Fours::hash(four.bytes));
            literals.push(Literal { predicate, atom, test, hash });
        }
    }
    literals.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::program::{Instance, Program};
    use crate::engine::ruleset::RuleId;
    use crate::sigma::{LoadOptions, load_str};
    use crate::taxonomy::{Options, Taxonomy, View};
    use proptest::prelude::*;
    use std::sync::Arc;

    /// The tests of a field that has each of these literals somewhere, in one rule each.
    fn program(literals: &[(String, bool)]) -> (RuleSet, Arc<Program>) {
        let mut yaml = String::new();
        for (n, (literal, whole)) in literals.iter().enumerate() {
            let modifier = if *whole { "" } else { "|contains" };
            let literal = serde_json::to_string(literal).unwrap();
            yaml += &format!(
                "---\ntitle: Rule {n}\nlogsource:\n  product: windows\ndetection:\n  a:\n    \
                 Field{modifier}: {literal}\n  condition: a\n"
            );
        }
        let rules = load_str("rules.yml", &yaml, &LoadOptions::default()).rules;
        let set = RuleSet::compile(rules, Taxonomy::builtin(Options::default()));
        let instances: Vec<Instance> = (0u32..)
            .zip(&set.compiled)
            .map(|(id, rule)| Instance {
                rule: RuleId(id),
                view: View::Plain,
                residue: rule.expr.clone(),
            })
            .collect();
        let program = set.program(&instances);
        (set, program)
    }

    proptest! {
        #[test]
        fn looking_one_by_one_finds_what_the_automaton_finds(
            literals in prop::collection::vec(("[ab\\\\]{1,7}", any::<bool>()), 1..40),
            text in "[ab\\\\]{0,60}",
        ) {
            let (set, program) = program(&literals);
            for tests in &program.tests {
                let mut texts = crate::event::Texts::new();
                texts.push(text.as_bytes());
                let haystack = texts.haystack(0, 1);
                let (mut one_by_one, mut automaton) = (Vec::new(), Vec::new());
                tests.search(&set, haystack, &mut one_by_one);
                prop_assert!(tests.automaton.get().is_none());
                tests.searches.store(SEARCHES_BEFORE_AUTOMATON, Ordering::Relaxed);
                tests.search(&set, haystack, &mut automaton);
                prop_assert!(tests.automaton.get().is_some());
                prop_assert_eq!(one_by_one, automaton);
            }
        }
    }
}
