//! Predicates: the distinct items of all rules, each kept once.
//!
//! Many rules ask the same question of the same field (`Image|endswith: \cmd.exe` stands in 166 of
//! SigmaHQ's). Items that ask the same are one predicate here, whatever rule they come from, so that
//! a record answers each question once. What is dear to prepare (automata, sets) is prepared when a
//! predicate first takes part in a program: of 10,000 predicates a log with one kind of event needs
//! few.

use super::atoms::{Atoms, CommonFours};
use super::check::Checks;
use super::expr::PredicateId;
use crate::sigma::{Item, Test};
use hashbrown::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

/// The index of a field name in its rule set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FieldId(u32);

impl FieldId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A distinct item.
#[derive(Debug)]
pub(super) struct Predicate {
    pub(super) item: Item,
    /// The field it asks of; `None` for keywords.
    pub(super) field: Option<FieldId>,
    /// The fields that it refers to (`fieldref`), in the order of its values.
    pub(super) references: Box<[FieldId]>,
    checks: OnceLock<Checks>,
    atoms: OnceLock<Option<Atoms>>,
    common: Arc<CommonFours>,
}

impl Predicate {
    pub(super) fn checks(&self) -> &Checks {
        self.checks.get_or_init(|| Checks::new(&self.item))
    }

    /// The literals of which one is necessary, or `None` if it needs none.
    pub(super) fn atoms(&self) -> Option<&Atoms> {
        self.atoms.get_or_init(|| Atoms::of(&self.item, &self.common)).as_ref()
    }

    /// Its value for an event that does not have its field.
    pub(super) fn when_absent(&self) -> bool {
        fn holds(test: &Test) -> bool {
            match test {
                Test::Null | Test::Exists(false) => true,
                Test::AnyOf(tests) => tests.iter().any(holds),
                _ => false,
            }
        }
        let mut values = self.item.values.iter();
        self.item.negated ^ if self.item.all { values.all(holds) } else { values.any(holds) }
    }
}

/// All predicates and field names of a rule set.
#[derive(Debug, Default)]
pub(super) struct Predicates {
    list: Vec<Predicate>,
    fields: Vec<String>,
}

impl Predicates {
    pub(super) fn get(&self, id: PredicateId) -> &Predicate {
        &self.list[id.index()]
    }

    pub(super) fn field_name(&self, id: FieldId) -> &str {
        &self.fields[id.index()]
    }

    /// The names of all fields, by id.
    pub(super) fn field_names(&self) -> &[String] {
        &self.fields
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }
}

/// Gathers predicates, each once.
#[derive(Debug, Default)]
pub(super) struct Interner {
    common: Arc<CommonFours>,
    predicates: Predicates,
    by_meaning: HashMap<u64, Vec<PredicateId>>,
    by_name: HashMap<String, FieldId>,
}

impl Interner {
    /// The predicate that asks what `item` asks.
    pub(super) fn intern(&mut self, item: &Item) -> PredicateId {
        let mut hasher = std::hash::DefaultHasher::new();
        hash_item(item, &mut hasher);
        let hash = hasher.finish();
        let same = self.by_meaning.get(&hash).and_then(|ids| {
            ids.iter().copied().find(|id| same_meaning(&self.predicates.get(*id).item, item))
        });
        if let Some(id) = same {
            return id;
        }
        let field = item.field.as_ref().map(|name| self.field(name));
        let mut references = Vec::new();
        item.values.iter().for_each(|test| self.collect_references(test, &mut references));
        let id = PredicateId(u32::try_from(self.predicates.list.len()).unwrap_or(u32::MAX));
        self.predicates.list.push(Predicate {
            item: item.clone(),
            field,
            references: references.into(),
            checks: OnceLock::new(),
            atoms: OnceLock::new(),
            common: Arc::clone(&self.common),
        });
        self.by_meaning.entry(hash).or_default().push(id);
        id
    }

    /// What was gathered.
    pub(super) fn finish(self) -> Predicates {
        self.predicates
    }

    fn field(&mut self, name: &str) -> FieldId {
        if let Some(id) = self.by_name.get(name) {
            return *id;
        }
        let id = FieldId(u32::try_from(self.predicates.fields.len()).unwrap_or(u32::MAX));
        self.predicates.fields.push(name.to_owned());
        self.by_name.insert(name.to_owned(), id);
        id
    }

    fn collect_references(&mut self, test: &Test, references: &mut Vec<FieldId>) {
        match test {
            Test::FieldRef { field, .. } => references.push(self.field(field)),
            Test::AnyOf(tests) => tests.iter().for_each(|t| self.collect_references(t, references)),
            _ => {}
        }
    }
}

fn same_meaning(a: &Item, b: &Item) -> bool {
    a.field == b.field && a.all == b.all && a.negated == b.negated && a.values == b.values
}

/// Hashes what [`same_meaning`] compares, numbers by their text.
fn hash_item(item: &Item, hasher: &mut impl Hasher) {
    fn hash_test(test: &Test, hasher: &mut impl Hasher) {
        std::mem::discriminant(test).hash(hasher);
        match test {
            Test::Null | Test::Exists(_) => {}
            Test::Text(pattern) => pattern.hash(hasher),
            Test::Number(number) | Test::Compare(_, number) => number.text.hash(hasher),
            Test::Regex(regex) => regex.hash(hasher),
            Test::Cidr(net) => net.hash(hasher),
            Test::TimePart(part, how, n) => (part, how, n).hash(hasher),
            Test::FieldRef { field, how, cased } => (field, how, cased).hash(hasher),
            Test::AnyOf(tests) => tests.iter().for_each(|t| hash_test(t, hasher)),
        }
    }
    (&item.field, item.all, item.negated).hash(hasher);
    item.values.iter().for_each(|test| hash_test(test, hasher));
}
