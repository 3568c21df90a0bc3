//! Programs: what has to be done for one kind of event.
//!
//! For events of one kind (the same provider, channel and event id, and a layout with the same of the
//! wanted fields) the same rules can match, with the same parts of their conditions still open. A
//! program holds these rules, the fields that they ask for as numbered *slots*, their predicates
//! numbered anew, and for each slot the automaton over the atoms of its rules.
//!
//! Invariants: a rule whose residue is true for an event has its bit in [`Program::always`] or one of
//! its atoms occurs in the haystack of its slot; program rules are in ascending order of rule id.

use super::atoms::{self, CommonFours};
use super::check;
use super::expr::{Expr, PredicateId};
use super::predicate::FieldId;
use super::prefilter::Automaton;
use super::ruleset::{RuleId, RuleSet};
use crate::taxonomy::View;
use hashbrown::HashMap;

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
    pub(super) expr: Expr,
}

/// What has to be done for one kind of event.
#[derive(Debug, Default)]
pub(super) struct Program {
    pub(super) slots: Vec<Slot>,
    pub(super) predicates: Vec<LocalPredicate>,
    pub(super) rules: Vec<ProgramRule>,
    /// A bit for each rule that has no necessary literal.
    pub(super) always: Vec<u64>,
    pub(super) automata: Vec<SlotAutomaton>,
}

/// An automaton and the slot that it searches.
#[derive(Debug)]
pub(super) struct SlotAutomaton {
    pub(super) slot: SlotId,
    pub(super) automaton: Automaton,
    /// Whether the block filter covers all its atoms: it finds nothing in a clean block.
    pub(super) covered: bool,
}

impl Program {
    /// Whether no rule can match a verbatim event of a clean block.
    pub(super) fn is_covered(&self) -> bool {
        self.automata.iter().all(|a| a.covered) && self.always.iter().all(|word| *word == 0)
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
    /// For each slot the atoms that were chosen, with the rules that need them.
    atoms: HashMap<usize, HashMap<&'a [u8], Vec<u32>>>,
}

impl<'a> Builder<'a> {
    fn new(set: &'a RuleSet) -> Builder<'a> {
        Builder {
            set,
            program: Program::default(),
            slots: HashMap::new(),
            locals: HashMap::new(),
            atoms: HashMap::new(),
        }
    }

    fn add(&mut self, instance: &Instance) {
        let index = self.program.rules.len();
        if index.is_multiple_of(64) {
            self.program.always.push(0);
        }
        let predicates = &self.set.predicates;
        match atoms::choose(&instance.residue, &|id| predicates.get(id).atoms()) {
            Some((_, chosen)) => {
                for id in chosen {
                    let slot = self.slot(instance.view, predicates.get(id).field);
                    let atoms = self.atoms.entry(slot.index()).or_default();
                    for atom in predicates.get(id).atoms().map_or(&[][..], |atoms| &atoms.set) {
                        let rules = atoms.entry(atom).or_default();
                        let index = u32::try_from(index).unwrap_or(u32::MAX);
                        if rules.last() != Some(&index) {
                            rules.push(index);
                        }
                    }
                }
            }
            None => {
                if let Some(word) = self.program.always.last_mut() {
                    *word |= 1 << (index % 64);
                }
            }
        }
        let mut expr = self.localize(&instance.residue, instance.view);
        let program = &self.program;
        expr.sort_by_cost(&|local| {
            check::cost(&predicates.get(program.predicates[local.index()].id).item)
        });
        self.program.rules.push(ProgramRule { rule: instance.rule, expr });
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

    fn finish(mut self) -> Program {
        // Slot order, not hash order: the program is the same on every run.
        let common = CommonFours::new();
        for index in 0..self.program.slots.len() {
            if let Some(atoms) = self.atoms.remove(&index) {
                let slot = SlotId(u32::try_from(index).unwrap_or(u32::MAX));
                let block = self.set.block.as_ref();
                let covered = self.program.slots.get(index).is_some_and(|s| s.field.is_none())
                    && block.is_some_and(|block| atoms.keys().all(|atom| block.covers(atom)));
                match Automaton::new(atoms, &common) {
                    Ok(automaton) => {
                        self.program.automata.push(SlotAutomaton { slot, automaton, covered });
                    }
                    // An automaton that cannot be built makes its rules candidates always.
                    Err(rules) => {
                        for rule in rules {
                            let rule = rule as usize;
                            if let Some(word) = self.program.always.get_mut(rule / 64) {
                                *word |= 1 << (rule % 64);
                            }
                        }
                    }
                }
            }
        }
        self.program
    }
}
