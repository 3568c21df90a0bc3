//! Views that come from a file: another view, with other names for some of the fields.
//!
//! A file's `fieldmappings` say what a rule's field is called in the events of a log source. Where a
//! log source is rewritten to one that has mappings of its own, the names go through both.
//!
//! Invariant: the base of a view was made before it, so that following bases ends.

use super::view::View;
use crate::utf16;
use std::collections::HashMap;

/// How many such views a taxonomy may have; each costs time for every field that rules name. A file
/// with as many mappings as SigmaHQ has log sources stays below.
pub(super) const MAX_VIEWS: usize = 200;

/// Names that a field of a rule may have in events, by the rule's name (folded).
pub(super) type NameMap = HashMap<String, Vec<String>>;

/// The views that files made.
#[derive(Debug, Default)]
pub(super) struct MappedViews {
    views: Vec<Mapped>,
}

#[derive(Debug, PartialEq, Eq)]
struct Mapped {
    base: View,
    names: NameMap,
}

/// How a name is read through a view.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Names<'m> {
    /// By itself, through this view of the tables.
    Same(View),
    /// As each of these, through a view of the tables.
    Others(Vec<(View, &'m str)>),
}

impl MappedViews {
    /// The view in which the fields of `names` are called otherwise than in `base`; none if there are
    /// too many.
    pub(super) fn view(&mut self, base: View, names: &NameMap) -> Option<View> {
        if names.is_empty() {
            return Some(base);
        }
        let same = |known: &Mapped| known.base == base && known.names == *names;
        let at = self.views.iter().position(same).unwrap_or(self.views.len());
        if at == self.views.len() {
            if at >= MAX_VIEWS {
                return None;
            }
            self.views.push(Mapped { base, names: names.clone() });
        }
        u8::try_from(at).ok().map(View::Mapped)
    }

    /// All of them.
    pub(super) fn views(&self) -> impl Iterator<Item = View> + use<> {
        (0..=u8::MAX).take(self.views.len()).map(View::Mapped)
    }

    fn get(&self, view: View) -> Option<&Mapped> {
        match view {
            View::Mapped(at) => self.views.get(usize::from(at)),
            _ => None,
        }
    }

    /// How a name is read through a view.
    pub(super) fn names(&self, view: View, name: &str) -> Names<'_> {
        let Some(mapped) = self.get(view) else { return Names::Same(view) };
        let Some(targets) = mapped.names.get(&utf16::folded(name)) else {
            return self.names(mapped.base, name);
        };
        let mut names = Vec::new();
        for target in targets {
            match self.names(mapped.base, target) {
                Names::Same(view) => names.push((view, target.as_str())),
                Names::Others(others) => names.extend(others),
            }
        }
        Names::Others(names)
    }
}
