//! Conditions as the engine evaluates them: boolean trees over predicates.
//!
//! An [`Expr`] is a rule's condition with its sections put in place of their names. Parts of it are
//! often known before a record is looked at: its event id, its provider, that its layout has no such
//! field. [`Expr::fold`] puts those truths in and simplifies; what is left is the *residue* that has
//! to be evaluated, and a residue that is `false` means that the rule cannot match here at all.
//!
//! Invariants: folding never changes an expression's value for any truths that agree with what was
//! known; `And`, `Or` and `AtLeast` of a folded expression have two or more parts and no constants.

/// The index of a predicate in its rule set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PredicateId(pub(crate) u32);

impl PredicateId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A boolean tree over predicates.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Expr {
    Const(bool),
    Test(PredicateId),
    Not(Box<Expr>),
    And(Box<[Expr]>),
    Or(Box<[Expr]>),
    /// At least so many of these.
    AtLeast(usize, Box<[Expr]>),
}

impl Expr {
    /// The expression with what `known` says of its predicates put in, simplified.
    pub(crate) fn fold(&self, known: &impl Fn(PredicateId) -> Option<bool>) -> Expr {
        match self {
            Expr::Const(b) => Expr::Const(*b),
            Expr::Test(id) => known(*id).map_or(Expr::Test(*id), Expr::Const),
            Expr::Not(inner) => match inner.fold(known) {
                Expr::Const(b) => Expr::Const(!b),
                Expr::Not(twice) => *twice,
                other => Expr::Not(Box::new(other)),
            },
            Expr::And(parts) => Expr::and(parts.iter().map(|p| p.fold(known))),
            Expr::Or(parts) => Expr::or(parts.iter().map(|p| p.fold(known))),
            Expr::AtLeast(count, parts) => {
                Expr::at_least(*count, parts.iter().map(|p| p.fold(known)))
            }
        }
    }

    /// All of `parts`.
    pub(crate) fn and(parts: impl IntoIterator<Item = Expr>) -> Expr {
        let mut left = Vec::new();
        for part in parts {
            match part {
                Expr::Const(true) => {}
                Expr::Const(false) => return Expr::Const(false),
                Expr::And(inner) => left.extend(inner),
                other => left.push(other),
            }
        }
        match left.len() {
            0 => Expr::Const(true),
            1 => left.remove(0),
            _ => Expr::And(left.into()),
        }
    }

    /// One of `parts`.
    pub(crate) fn or(parts: impl IntoIterator<Item = Expr>) -> Expr {
        let mut left = Vec::new();
        for part in parts {
            match part {
                Expr::Const(false) => {}
                Expr::Const(true) => return Expr::Const(true),
                Expr::Or(inner) => left.extend(inner),
                other => left.push(other),
            }
        }
        match left.len() {
            0 => Expr::Const(false),
            1 => left.remove(0),
            _ => Expr::Or(left.into()),
        }
    }

    /// At least `count` of `parts`.
    pub(crate) fn at_least(count: usize, parts: impl IntoIterator<Item = Expr>) -> Expr {
        let mut needed = count;
        let mut left = Vec::new();
        for part in parts {
            match part {
                Expr::Const(true) => needed = needed.saturating_sub(1),
                Expr::Const(false) => {}
                other => left.push(other),
            }
        }
        match needed {
            0 => Expr::Const(true),
            n if n > left.len() => Expr::Const(false),
            1 => Expr::or(left),
            n if n == left.len() => Expr::and(left),
            n => Expr::AtLeast(n, left.into()),
        }
    }

    /// The expression's value, asking for each predicate at most where it matters.
    pub(crate) fn evaluate(&self, test: &mut impl FnMut(PredicateId) -> bool) -> bool {
        match self {
            Expr::Const(b) => *b,
            Expr::Test(id) => test(*id),
            Expr::Not(inner) => !inner.evaluate(test),
            Expr::And(parts) => parts.iter().all(|p| p.evaluate(test)),
            Expr::Or(parts) => parts.iter().any(|p| p.evaluate(test)),
            Expr::AtLeast(count, parts) => {
                let mut needed = *count;
                needed == 0
                    || parts.iter().any(|p| {
                        needed -= usize::from(p.evaluate(test));
                        needed == 0
                    })
            }
        }
    }

    /// Calls `visit` with each predicate in the tree.
    pub(crate) fn visit(&self, visit: &mut impl FnMut(PredicateId)) {
        match self {
            Expr::Const(_) => {}
            Expr::Test(id) => visit(*id),
            Expr::Not(inner) => inner.visit(visit),
            Expr::And(parts) | Expr::Or(parts) | Expr::AtLeast(_, parts) => {
                parts.iter().for_each(|p| p.visit(visit));
            }
        }
    }

    /// Puts cheap parts before dear ones, by the dearest predicate that a part may ask for.
    pub(crate) fn sort_by_cost(&mut self, cost: &impl Fn(PredicateId) -> u32) -> u32 {
        match self {
            Expr::Const(_) => 0,
            Expr::Test(id) => cost(*id),
            Expr::Not(inner) => inner.sort_by_cost(cost),
            Expr::And(parts) | Expr::Or(parts) | Expr::AtLeast(_, parts) => {
                let mut costed: Vec<(u32, Expr)> = std::mem::take(parts)
                    .into_iter()
                    .map(|mut p| (p.sort_by_cost(cost), p))
                    .collect();
                costed.sort_by_key(|(cost, _)| *cost);
                let total = costed.iter().map(|(cost, _)| *cost).fold(0, u32::saturating_add);
                *parts = costed.into_iter().map(|(_, p)| p).collect();
                total
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PREDICATES: u32 = 6;

    fn expr() -> impl Strategy<Value = Expr> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Expr::Const),
            (0..PREDICATES).prop_map(|n| Expr::Test(PredicateId(n))),
        ];
        leaf.prop_recursive(4, 40, 4, |inner| {
            let parts =
                || prop::collection::vec(inner.clone(), 0..4).prop_map(Vec::into_boxed_slice);
            prop_oneof![
                inner.clone().prop_map(|e| Expr::Not(Box::new(e))),
                parts().prop_map(Expr::And),
                parts().prop_map(Expr::Or),
                (0usize..5, parts()).prop_map(|(n, p)| Expr::AtLeast(n, p)),
            ]
        })
    }

    proptest! {
        #[test]
        fn folding_and_sorting_keep_the_value(
            expr in expr(),
            truths in prop::collection::vec(any::<bool>(), PREDICATES as usize),
            known in prop::collection::vec(any::<bool>(), PREDICATES as usize),
        ) {
            let want = expr.evaluate(&mut |id| truths[id.index()]);
            let mut folded = expr.fold(&|id| known[id.index()].then_some(truths[id.index()]));
            prop_assert_eq!(folded.evaluate(&mut |id| truths[id.index()]), want);
            let mut asks_for_known = false;
            folded.visit(&mut |id| asks_for_known |= known[id.index()]);
            prop_assert!(!asks_for_known);
            folded.sort_by_cost(&|id| 7 - id.0);
            prop_assert_eq!(folded.evaluate(&mut |id| truths[id.index()]), want);
        }
    }
}
