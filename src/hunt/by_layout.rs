//! What follows from the names of an event alone, worked out once for each layout.
//!
//! Layouts are known by their addresses; each is kept with what is known of it, so that an address is
//! never taken for another's.

use crate::event::Layout;
use hashbrown::HashMap;
use std::sync::Arc;

/// How many leaves there may be before all is dropped. Evidence has some hundreds of layouts with some
/// dozens of leaves; one that was made to have new ones in each record is to take some megabytes at the
/// most.
const MOST: usize = 1 << 16;

/// See the module.
#[derive(Debug)]
pub(super) struct ByLayout<T> {
    known: HashMap<usize, (Arc<Layout>, T)>,
    /// Leaves of all of them.
    leaves: usize,
}

impl<T> Default for ByLayout<T> {
    fn default() -> ByLayout<T> {
        ByLayout { known: HashMap::new(), leaves: 0 }
    }
}

impl<T> ByLayout<T> {
    /// What `make` makes of a layout.
    pub(super) fn of(&mut self, layout: &Arc<Layout>, make: impl FnOnce(&Layout) -> T) -> &mut T {
        if self.leaves > MOST {
            self.known.clear();
            self.leaves = 0;
        }
        let leaves = &mut self.leaves;
        let known = self.known.entry(Arc::as_ptr(layout).addr()).or_insert_with(|| {
            *leaves += layout.leaves().len() + 1;
            (Arc::clone(layout), make(layout))
        });
        &mut known.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Leaf, LeafKind, Section};

    #[test]
    fn each_layout_has_its_own_and_memory_is_bounded() {
        let layout = |leaves: usize| {
            let leaf = |n| Leaf {
                section: Section::EventData,
                kind: LeafKind::Named,
                name: format!("{n}").into(),
            };
            Layout::new((0..leaves).map(leaf).collect())
        };
        let (one, other) = (layout(1), layout(2));
        let mut known = ByLayout::default();
        let mut made = 0;
        for layout in [&one, &other, &one, &other] {
            let leaves = *known.of(layout, |layout| {
                made += 1;
                layout.leaves().len()
            });
            assert_eq!(leaves, layout.leaves().len());
        }
        assert_eq!(made, 2);
        for _ in 0..10 {
            known.of(&layout(MOST / 3), |_| 0);
            assert!(known.known.len() <= 6 && known.leaves <= 2 * MOST);
        }
    }
}
