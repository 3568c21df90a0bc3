//! Templates of the whole case: for records whose own chunk has lost theirs.
//!
//! A record names its template by the first four bytes of the GUID. Definitions are kept as they are
//! independent of chunks ([`super::template`]), names and all, so any chunk's serves any other's record.
//! Where several templates have the same id, the one with as many values as the record is taken.
//!
//! Invariants:
//! - What is known depends on what was met, not on the order or on threads: sets are merged, and of too
//!   many those with the smallest keys are kept.
//! - Memory is bounded by [`MAX_TEMPLATES`] times [`MAX_KEPT`].

use super::place::Context;
use hashbrown::HashMap;
use std::collections::BTreeSet;

/// How many templates are kept. A Windows host has some thousands, of which its logs use a part.
const MAX_TEMPLATES: usize = 16 * 1024;
/// The longest form that is kept; those of Windows have some kilobytes.
const MAX_KEPT: usize = 16 * 1024;

/// Templates that were met.
#[derive(Debug, Default, Clone)]
pub struct Templates {
    /// By a key that spreads them, id, context, and form.
    met: BTreeSet<(u32, u32, u8, Box<[u8]>)>,
    /// The forms by id and context; made when all are there.
    by_id: HashMap<(u32, u8), Vec<Box<[u8]>>>,
}

impl Templates {
    pub(super) fn meet(&mut self, id: u32, context: Context, canonical: &[u8]) {
        if canonical.len() > MAX_KEPT {
            return;
        }
        let key = crc32fast::hash(canonical);
        self.insert((key, id, context as u8, canonical.into()));
    }

    fn insert(&mut self, template: (u32, u32, u8, Box<[u8]>)) {
        self.met.insert(template);
        if self.met.len() > MAX_TEMPLATES {
            self.met.pop_last();
        }
    }

    /// Adds what another reader met.
    pub fn merge(&mut self, other: Templates) {
        other.met.into_iter().for_each(|template| self.insert(template));
    }

    /// Makes them ready to be asked for.
    #[must_use]
    pub fn ready(mut self) -> Templates {
        for (_, id, context, form) in std::mem::take(&mut self.met) {
            self.by_id.entry((id, context)).or_default().push(form);
        }
        self
    }

    /// How many ids are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The forms of the templates of this id.
    pub(super) fn of(&self, id: u32, context: Context) -> &[Box<[u8]>] {
        self.by_id.get(&(id, context as u8)).map_or(&[], |forms| forms)
    }
}
