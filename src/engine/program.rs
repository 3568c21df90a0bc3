//! Programs: what has to be done for one kind of event.
//!
//! For events of one kind (the same provider, channel and event id, and a layout with the same of the
//! wanted fields) the same rules can match, with the same parts of their conditions still open. A
//! program holds these rules, the fields that they ask for as numbered *slots*, their predicates
//! numbered anew, and for each slot the automaton over the atoms of its rules.
//!
//! What a program asks of a slot's values alone is gathered in [`SlotTests`]. Of each rule's
//! condition, the parts that speak of one slot have to hold, each by itself: these *narrow* the
//! rules to those that have all of theirs. Of the parts that speak of several slots (an image's path
//! or its original name), the rarest is *found* in one of the slots, or the rule cannot match. Both
//! are asked only where one of their literals stands in the values, and both depend on the values
//! alone, so that the answer, a slot's *verdict*, can be remembered for values that come again. A rule
//! that is evaluated and refuted by such a part is taken out of the verdict on the values that did it.
//!
//! Invariants: a rule whose residue is true for an event is left by the verdicts of all its slots, in
//! whatever order these are taken; program rules are in ascending order of rule id.

use super::atoms::{self, Atoms, Four};
use super::check;
use super::expr::{Expr, PredicateId};
use super::predicate::FieldId;
use super::prefilter::Automaton;
use super::ruleset::{RuleId, RuleSet};
use crate::taxonomy::View;
use hashbrown::HashMap;
use std::cmp::Reverse;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// A rule that can match events of one kind, seen through one view, with what is left to decide.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Instance {
    pub(super) rule: RuleId,
    pub(super) view: View,
    pub(super) residue: Expr,
}

/// A field as a program asks for it: its name seen through a view; no name stands for every value of
/// the event (keywords).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Slot {
    pub(super) view: View,
    pub(super) field: Option<FieldId>,
}

/// The index of a slot in its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SlotId(u32);

impl SlotId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }

    pub(super) fn number(self) -> u32 {
        self.0
    }
}

/// A predicate as a program asks it.
#[derive(Debug)]
pub(super) struct LocalPredicate {
    pub(super) id: PredicateId,
    pub(super) slot: SlotId,
    pub(super) references: Box<[SlotId]>,
}

/// A rule of a program; the predicates in its expression are numbered as in
/// [`Program::predicates`].
#[derive(Debug)]
pub(super) struct ProgramRule {
    pub(super) rule: RuleId,
    /// All of these have to hold.
    pub(super) parts: Box<[RulePart]>,
}

/// A part of a rule's condition.
#[derive(Debug)]
pub(super) struct RulePart {
    pub(super) expr: Expr,
    /// The slot whose values alone decide it.
    pub(super) slot: Option<SlotId>,
}

/// What has to be done for one kind of event.
#[derive(Debug, Default)]
pub(super) struct Program {
    pub(super) slots: Vec<Slot>,
    pub(super) predicates: Vec<LocalPredicate>,
    pub(super) rules: Vec<ProgramRule>,
    /// How many words have a bit for each rule.
    pub(super) words: usize,
    /// A bit for each rule that need not be found in any slot.
    pub(super) unsought: Box<[u64]>,
    /// Those that concern most rules first; the keywords, which are dearest, last.
    pub(super) tests: Box<[SlotTests]>,
}

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

/// So often the literals are looked for one by one before an automaton is built, which costs about
/// as much as this: many kinds of events come a few times only, and many fields have few values.
const SEARCHES_BEFORE_AUTOMATON: u32 = 256;
/// In a longer text too many literals have their four bytes by chance.
const LONGEST_WITHOUT_AUTOMATON: usize = 512;

impl SlotTests {
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

fn set_bit(bits: &mut [u64], bit: u32) {
    if let Some(word) = bits.get_mut(bit as usize / 64) {
        *word |= 1 << (bit % 64);
    }
}

fn has_bit(bits: &[u64], bit: usize) -> bool {
    bits.get(bit / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)
}

impl Program {
    /// Whether no rule can match a verbatim event of a clean block: all are narrowed by keywords that
    /// the block filter covers.
    pub(super) fn is_covered(&self) -> bool {
        let covered = |rule: usize| {
            let mut keywords = self.tests.iter().filter(|tests| tests.covered);
            keywords.any(|tests| !has_bit(&tests.open, rule))
        };
        (0..self.rules.len()).all(covered)
    }

    /// The program for `instances`, which are in ascending order of rule id.
    pub(super) fn new(set: &RuleSet, instances: &[Instance]) -> Program {
        let mut builder = Builder::new(set);
        for instance in instances {
            builder.add(instance);
        }
        builder.finish()
    }
}

struct Builder<'a> {
    set: &'a RuleSet,
    program: Program,
    slots: HashMap<Slot, SlotId>,
    locals: HashMap<(PredicateId, SlotId, Box<[SlotId]>), PredicateId>,
    /// For each slot that has some, its tests.
    tests: Vec<TestsBuilder>,
    /// The rules that have to be found in some slot.
    sought: Vec<u32>,
}

/// The tests of a slot, each once.
#[derive(Debug, Default)]
struct TestsBuilder {
    tests: Vec<SlotTest>,
    by_expr: HashMap<Expr, u32>,
    literals: Vec<(PredicateId, u32)>,
    /// The rules for which its verdicts are wanted even without a test: for what evaluation takes out
    /// of them.
    kept: Vec<u32>,
}

impl TestsBuilder {
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

impl<'a> Builder<'a> {
    fn new(set: &'a RuleSet) -> Builder<'a> {
        Builder {
            set,
            program: Program::default(),
            slots: HashMap::new(),
            locals: HashMap::new(),
            tests: Vec::new(),
            sought: Vec::new(),
        }
    }

    fn add(&mut self, instance: &Instance) {
        let rule = u32::try_from(self.program.rules.len()).unwrap_or(u32::MAX);
        let mut expr = self.localize(&instance.residue, instance.view);
        let predicates = &self.set.predicates;
        let program = &self.program;
        expr.sort_by_cost(&|local| {
            check::cost(&predicates.get(program.predicates[local.index()].id).item)
        });
        let parts: Box<[RulePart]> = match expr {
            Expr::And(parts) => parts.into_iter().map(|expr| self.part(expr)).collect(),
            one => [self.part(one)].into(),
        };
        self.place(rule, &parts);
        self.program.rules.push(ProgramRule { rule: instance.rule, parts });
    }

    /// Gives the parts of a rule's condition to the slots that can answer them.
    fn place(&mut self, rule: u32, parts: &[RulePart]) {
        let set = self.set;
        let mut by_slot: Vec<(SlotId, Vec<Expr>)> = Vec::new();
        let mut several = Vec::new();
        for RulePart { expr, slot } in parts {
            match slot {
                Some(slot) => match by_slot.iter_mut().find(|(known, _)| known == slot) {
                    Some((_, parts)) => parts.push(expr.clone()),
                    None => by_slot.push((*slot, vec![expr.clone()])),
                },
                None => several.push(expr.clone()),
            }
        }
        let locals = &self.program.predicates;
        let global = |local: PredicateId| locals[local.index()].id;
        let atoms = |local: PredicateId| set.predicates.get(global(local)).atoms();
        let mut placed = false;
        for (slot, parts) in &by_slot {
            let expr = Expr::and(parts.iter().cloned());
            if let Some((_, chosen)) = atoms::choose(&expr, &atoms) {
                let literals = chosen.into_iter().map(global);
                tests_of(&mut self.tests, *slot).test(expr, literals).narrows.push(rule);
                placed = true;
            }
        }
        // A predicate that refers to other fields is not decided by one slot's values.
        let decided = |chosen: &Vec<PredicateId>| {
            chosen.iter().all(|local| locals[local.index()].references.is_empty())
        };
        let chosen = atoms::choose(&Expr::and(several), &atoms).map(|(_, chosen)| chosen);
        if let Some(chosen) = chosen.filter(decided) {
            for local in chosen {
                let slot = locals[local.index()].slot;
                let expr = Expr::Test(local);
                let literal = std::iter::once(global(local));
                tests_of(&mut self.tests, slot).test(expr, literal).finds.push(rule);
            }
            self.sought.push(rule);
            placed = true;
        }
        if !placed {
            // It is evaluated each time, unless the values of one of its slots are known to refute it.
            by_slot.iter().for_each(|(slot, _)| tests_of(&mut self.tests, *slot).kept.push(rule));
        }
    }

    fn part(&self, expr: Expr) -> RulePart {
        RulePart { slot: self.only_slot(&expr), expr }
    }

    /// The slot whose values alone decide `expr`, if there is one.
    fn only_slot(&self, expr: &Expr) -> Option<SlotId> {
        let mut slots = Vec::new();
        expr.visit(&mut |local| {
            let predicate = &self.program.predicates[local.index()];
            slots.push(predicate.slot);
            slots.extend(&predicate.references);
        });
        let first = *slots.first()?;
        slots.iter().all(|slot| *slot == first).then_some(first)
    }

    /// `expr` with its predicates numbered as in the program.
    fn localize(&mut self, expr: &Expr, view: View) -> Expr {
        let mut all = |parts: &[Expr]| parts.iter().map(|p| self.localize(p, view)).collect();
        match expr {
            Expr::Const(b) => Expr::Const(*b),
            Expr::And(parts) => Expr::And(all(parts)),
            Expr::Or(parts) => Expr::Or(all(parts)),
            Expr::AtLeast(count, parts) => Expr::AtLeast(*count, all(parts)),
            Expr::Not(inner) => Expr::Not(Box::new(self.localize(inner, view))),
            Expr::Test(id) => Expr::Test(self.local(*id, view)),
        }
    }

    fn local(&mut self, id: PredicateId, view: View) -> PredicateId {
        let predicate = self.set.predicates.get(id);
        let slot = self.slot(view, predicate.field);
        let references: Box<[SlotId]> =
            predicate.references.iter().map(|field| self.slot(view, Some(*field))).collect();
        let program = &mut self.program;
        *self.locals.entry((id, slot, references.clone())).or_insert_with(|| {
            let local = PredicateId(u32::try_from(program.predicates.len()).unwrap_or(u32::MAX));
            program.predicates.push(LocalPredicate { id, slot, references });
            local
        })
    }

    fn slot(&mut self, view: View, field: Option<FieldId>) -> SlotId {
        let slot = self.set.slot(view, field);
        if let Some(id) = self.slots.get(&slot) {
            return *id;
        }
        let id = SlotId(u32::try_from(self.program.slots.len()).unwrap_or(u32::MAX));
        self.program.slots.push(slot);
        self.slots.insert(slot, id);
        id
    }

    fn finish(self) -> Program {
        let Builder { set, mut program, tests, sought, .. } = self;
        let words = program.rules.len().div_ceil(64);
        let every = |without: &mut dyn Iterator<Item = u32>| {
            let mut bits = vec![u64::MAX; words].into_boxed_slice();
            for bit in without {
                if let Some(word) = bits.get_mut(bit as usize / 64) {
                    *word &= !(1 << (bit % 64));
                }
            }
            bits
        };
        let past = program.rules.len() as u32..(words * 64) as u32;
        program.words = words;
        program.unsought = every(&mut sought.into_iter().chain(past));
        let mut all = Vec::new();
        for (index, built) in tests.into_iter().enumerate() {
            if built.tests.is_empty() && built.kept.is_empty() {
                continue;
            }
            let keywords = program.slots.get(index).is_some_and(|slot| slot.field.is_none());
            let covers = |predicate: &PredicateId| {
                let atoms = set.predicates.get(*predicate).atoms();
                let block = set.block.as_ref();
                atoms.zip(block).is_some_and(|(atoms, b)| atoms.set.iter().all(|a| b.covers(a)))
            };
            all.push(SlotTests {
                slot: SlotId(u32::try_from(index).unwrap_or(u32::MAX)),
                keywords,
                covered: keywords
                    && built.kept.is_empty()
                    && built.literals.iter().all(|(predicate, _)| covers(predicate)),
                concerns: concerns(words, &built),
                open: every(&mut built.tests.iter().flat_map(|test| test.narrows.iter().copied())),
                tests: built.tests.into(),
                literals: literals(set, &built.literals),
                automaton: OnceLock::new(),
                searches: AtomicU32::new(0),
            });
        }
        let concerned =
            |tests: &SlotTests| tests.concerns.iter().map(|word| word.count_ones()).sum::<u32>();
        all.sort_by_key(|tests| (tests.keywords, Reverse(concerned(tests)), tests.slot.0));
        program.tests = all.into();
        program
    }
}

/// A bit for each rule that the tests concern.
fn concerns(words: usize, built: &TestsBuilder) -> Box<[u64]> {
    let mut bits = vec![0; words].into_boxed_slice();
    let of_tests = built.tests.iter().flat_map(|test| test.narrows.iter().chain(&test.finds));
    of_tests.chain(&built.kept).for_each(|rule| set_bit(&mut bits, *rule));
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

fn tests_of(tests: &mut Vec<TestsBuilder>, slot: SlotId) -> &mut TestsBuilder {
    if tests.len() <= slot.index() {
        tests.resize_with(slot.index() + 1, TestsBuilder::default);
    }
    &mut tests[slot.index()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sigma::{LoadOptions, load_str};
    use crate::taxonomy::{Options, Taxonomy};
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
