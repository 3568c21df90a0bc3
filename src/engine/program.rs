//! Programs: what has to be done for one kind of event.
//!
//! For events of one kind (the same provider, channel and event id, and a layout with the same of the
//! wanted fields) the same rules can match, with the same parts of their conditions still open. A
//! program holds these rules, the fields that they ask for as numbered *slots*, their predicates
//! numbered anew, and what they ask of each slot.
//!
//! What the rules ask of one slot's values alone is gathered in [`SlotTests`].
//!
//! Invariants: a rule whose residue is true for an event is left by the verdicts of all its slots, in
//! whatever order these are taken; program rules are in ascending order of rule id.

use super::atoms;
use super::check;
use super::expr::{Expr, PredicateId};
use super::predicate::FieldId;
use super::ruleset::{RuleId, RuleSet};
use super::slot_tests::{SlotTests, TestsBuilder, all_but, has_bit};
use crate::taxonomy::View;
use hashbrown::HashMap;
use std::cmp::Reverse;

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
    /// As [`in_order`] puts them; the keywords, which are dearest, last.
    pub(super) tests: Box<[SlotTests]>,
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
                tests_of(&mut self.tests, *slot).narrow(rule, expr, literals);
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
                tests_of(&mut self.tests, slot).find(rule, expr, global(local));
            }
            self.sought.push(rule);
            placed = true;
        }
        if !placed {
            // It is evaluated each time, unless the values of one of its slots are known to refute it.
            by_slot.iter().for_each(|(slot, _)| tests_of(&mut self.tests, *slot).keep(rule));
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
        let past = program.rules.len() as u32..(words * 64) as u32;
        program.words = words;
        program.unsought = all_but(words, sought.into_iter().chain(past));
        let mut all = Vec::new();
        for (index, built) in tests.into_iter().enumerate() {
            if built.is_empty() {
                continue;
            }
            let slot = SlotId(u32::try_from(index).unwrap_or(u32::MAX));
            let keywords = program.slots.get(index).is_some_and(|slot| slot.field.is_none());
            all.push(built.finish(set, slot, keywords, words));
        }
        program.tests = in_order(all, words).into();
        program
    }
}

/// Puts tests into the order in which they are best asked. Most rules that a slot narrows are gone when
/// it was asked, so the next is the one that concerns most of the others; what concerns none but rules
/// that are gone will not be asked at all.
fn in_order(mut tests: Vec<SlotTests>, words: usize) -> Vec<SlotTests> {
    tests.sort_by_key(|tests| (Reverse(tests.concerned()), tests.slot.0));
    let mut left = vec![u64::MAX; words];
    let mut ordered = Vec::with_capacity(tests.len());
    while !tests.is_empty() {
        let concerned = |tests: &SlotTests| -> u32 {
            let both = left.iter().zip(&tests.concerns);
            both.map(|(left, concerns)| (left & concerns).count_ones()).sum()
        };
        // The first of those that concern as many.
        let next = (0..tests.len())
            .min_by_key(|n| (tests[*n].keywords, Reverse(concerned(&tests[*n]))))
            .unwrap_or(0);
        let next = tests.remove(next);
        left.iter_mut().zip(&next.open).for_each(|(left, open)| *left &= open);
        ordered.push(next);
    }
    ordered
}

fn tests_of(tests: &mut Vec<TestsBuilder>, slot: SlotId) -> &mut TestsBuilder {
    if tests.len() <= slot.index() {
        tests.resize_with(slot.index() + 1, TestsBuilder::default);
    }
    &mut tests[slot.index()]
}
