//! Filters: what takes hits of rules away.
//!
//! A rule with filters hits where its own condition holds and, for the same event seen the same way,
//! the condition of each of its filters. Gate and prefilter know nothing of filters: they find the
//! hits of the rules alone, of which there are few, and only these are asked for. So filters cannot
//! make a rule miss a candidate, and for each hit that is taken away it is known by which filters.
//!
//! Invariant: a hit that is taken away is named with at least one filter; one that is left, with none.
//!
//! Source of facts: Sigma filters specification 2.1.0; pySigma `filters.py`, which joins the
//! conditions with `and`.

use super::expr::Expr;
use super::predicate::Interner;
use super::ruleset::{RuleId, condition, node};
use crate::sigma::{Filter, FilterRules, Rule};

/// The index of a filter in its rule set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilterId(u32);

impl FilterId {
    /// As an index, in the order in which the filters were given.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A hit that a filter took away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Filtered {
    /// The rule that would have hit.
    pub rule: RuleId,
    /// The filter whose condition does not hold.
    pub filter: FilterId,
}

/// The filters of a rule set.
#[derive(Debug, Default)]
pub(super) struct Filters {
    all: Vec<Filter>,
    exprs: Vec<Expr>,
    /// For each rule its filters, ascending; empty if no rule has any.
    of_rules: Vec<Vec<FilterId>>,
}

impl Filters {
    /// Compiles `filters`, whose indexes of rules are into `rules`.
    pub(super) fn new(filters: Vec<Filter>, rules: &[Rule], interner: &mut Interner) -> Filters {
        let mut of_rules =
            if filters.is_empty() { Vec::new() } else { vec![Vec::new(); rules.len()] };
        let mut exprs = Vec::with_capacity(filters.len());
        for (filter, id) in filters.iter().zip((0u32..).map(FilterId)) {
            let sections: Vec<Expr> =
                filter.sections.iter().map(|section| node(&section.body, interner)).collect();
            exprs.push(condition(&filter.condition, &sections));
            let mut add = |index: usize| {
                let of = rules.get(index).zip(of_rules.get_mut(index));
                if let Some((_, of)) = of.filter(|(rule, _)| filter.is_for(index, rule)) {
                    of.push(id);
                }
            };
            match &filter.rules {
                FilterRules::Any => (0..rules.len()).for_each(&mut add),
                FilterRules::These(these) => these.iter().copied().for_each(&mut add),
            }
        }
        Filters { all: filters, exprs, of_rules }
    }

    /// All of them, in the order in which they were given.
    pub(super) fn all(&self) -> &[Filter] {
        &self.all
    }

    /// Those of a rule.
    pub(super) fn of_rule(&self, rule: RuleId) -> &[FilterId] {
        self.of_rules.get(rule.index()).map_or(&[], Vec::as_slice)
    }

    /// A filter's condition.
    pub(super) fn expr(&self, filter: FilterId) -> Option<&Expr> {
        self.exprs.get(filter.index())
    }
}
