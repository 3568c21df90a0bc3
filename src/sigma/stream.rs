//! A file of rules: its documents one after another, with what they say about each other.
//!
//! `action: global` makes a document a template: each later one is read as if updated by it, map by
//! map, the template winning. `action: reset` ends that; `action: repeat` reads the previous
//! document again, updated by this one. All three are deprecated and still in old rule sets.
//!
//! Invariant: every document that is not empty lands in exactly one of rules, drafts of correlations
//! and filters, refused, not rules and templates. A document that could not be read and had an `action` takes along those behind it,
//! up to the next `reset`: without the template they would be other rules than their author wrote.
//!
//! Source of facts: pySigma `collection.py`.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::detection::Context;
use super::document::{self, Outcome};
use super::fault::{At, Fault, RefusalKind, Refused, Warning};
use super::lint::{self, Code, Finding, Findings};
use super::load::LoadOptions;
use super::resolve::Drafts;
use super::rule::{Rule, RuleFile};
use super::yaml::{self, Document, Kind, Source, Yaml};

/// Weight of all documents that were merged in one file, in nodes: merging makes a small file stand
/// for many large rules, and old rule sets that use it have a few dozen nodes.
const MAX_MERGED: usize = 4 * yaml::MAX_NODES;

/// What one file gave.
#[derive(Debug, Default)]
pub(super) struct FileRules {
    /// Its rules.
    pub rules: Vec<Rule>,
    /// Its correlations and filters, and what of its rules has an aggregation.
    pub drafts: Drafts,
    /// Its refused documents.
    pub refused: Vec<Refused>,
    /// What is odd about its rules.
    pub warnings: Vec<Warning>,
    /// Numbers of the documents that are no rules.
    pub not_rules: Vec<u32>,
    /// What is to be said of its documents, if that was asked for.
    pub findings: Vec<Finding>,
    /// How many documents only spoke about others.
    pub templates: u32,
    /// Of the lists for `expand`, those whose placeholder stands in the text.
    pub lists_used: BTreeSet<String>,
    /// Its text, if it was asked for.
    pub text: Option<String>,
}

/// Reads the bytes of a file.
pub(super) fn read_bytes(name: &Arc<RuleFile>, bytes: &[u8], options: &LoadOptions) -> FileRules {
    match yaml::decode(bytes) {
        Ok(text) => read_text(name, &text, options),
        Err(fault) => {
            let mut file = FileRules::default();
            file.refused.push(refused(name, 0, fault.about(Code::InvalidYaml), None));
            file
        }
    }
}

/// Reads the text of a file.
pub(super) fn read_text(name: &Arc<RuleFile>, text: &str, options: &LoadOptions) -> FileRules {
    let source = Source::new(text);
    let mut reader = Reader {
        name,
        source: &source,
        options,
        // Trees are kept for `repeat` only where the word occurs at all.
        actions: text.contains("action"),
        global: None,
        previous: None,
        broken: None,
        merged: 0,
        file: FileRules::default(),
    };
    yaml::documents(&source, |document| reader.document(document));
    let lists = options.expand.keys().filter(|name| text.contains(&format!("%{name}%")));
    reader.file.lists_used.extend(lists.cloned());
    reader.file.text = options.keep_text.then(|| text.to_owned());
    reader.file
}

fn refused(name: &Arc<RuleFile>, document: u32, fault: Fault, root: Option<&Yaml<'_>>) -> Refused {
    let text = |key| root.and_then(|root| document::text(root, key));
    Refused {
        origin: fault.at.origin(name, document),
        title: text("title"),
        id: text("id"),
        name: text("name"),
        reason: fault.reason,
        kind: fault.kind,
        code: fault.code,
    }
}

/// What to do with a document.
enum Action {
    Read,
    Global,
    Reset,
    Repeat,
}

struct Reader<'r, 'a> {
    name: &'r Arc<RuleFile>,
    source: &'r Source<'a>,
    options: &'r LoadOptions,
    actions: bool,
    global: Option<Yaml<'a>>,
    previous: Option<Yaml<'a>>,
    /// The line of a document that had an action and could not be read.
    broken: Option<u32>,
    merged: usize,
    file: FileRules,
}

impl<'a> Reader<'_, 'a> {
    fn document(&mut self, document: Document<'a>) {
        let number = document.number;
        let mut root = match document.root {
            Ok(root) => root,
            Err(fault) => {
                if document.had_action {
                    self.broken = Some(fault.at.line);
                }
                let fault = fault.about(Code::InvalidYaml);
                self.file.refused.push(refused(self.name, number, fault, None));
                return;
            }
        };
        if self.actions {
            match self.apply_action(root) {
                Ok(Some(ready)) => root = ready,
                Ok(None) => {
                    self.file.templates += 1;
                    return;
                }
                Err(failed) => {
                    let (fault, root) = *failed;
                    self.file.refused.push(refused(self.name, number, fault, Some(&root)));
                    return;
                }
            }
        }
        if self.options.lint {
            self.lint(&root, number);
        }
        self.rule(&root, number);
        if self.actions {
            self.previous = Some(root);
        }
    }

    /// Adds what is to be said of a document as it is written, whether it will be a rule or not.
    fn lint(&mut self, root: &Yaml<'a>, number: u32) {
        if document::is_left_out(root, self.options.include_inactive) {
            return;
        }
        let found = std::mem::take(&mut self.file.findings);
        let mut findings = Findings { file: self.name, document: number, found };
        lint::document(root, document::is_sigma(root), &mut findings);
        self.file.findings = findings.found;
    }

    fn rule(&mut self, root: &Yaml<'a>, number: u32) {
        let mut context = Context {
            source: self.source,
            file: self.name,
            document: number,
            lists: &self.options.expand,
            notes: Vec::new(),
        };
        let file = &mut self.file;
        let read = document::read(root, self.options.include_inactive, &mut context);
        let read = match read {
            Ok(Outcome::Rule(..) | Outcome::Correlation(_)) if self.options.only_filters => {
                Err(Fault::new(root.at, "only filters are taken here, and this is none"))
            }
            read => read,
        };
        match read {
            Ok(Outcome::Rule(rule, aggregation)) => {
                let place = file.rules.len();
                if place == 0 {
                    // Most files have one, and a vector that grows takes room for four.
                    file.rules.reserve_exact(1);
                }
                file.rules.push(*rule);
                file.drafts.aggregations.extend(aggregation.map(|draft| (place, draft)));
            }
            Ok(Outcome::Correlation(draft)) => file.drafts.correlations.push(*draft),
            Ok(Outcome::Filter(draft)) => file.drafts.filters.push(*draft),
            Ok(Outcome::NotARule) => return file.not_rules.push(number),
            Err(fault) => return file.refused.push(refused(self.name, number, fault, Some(root))),
        }
        let name = self.name;
        file.warnings.extend(context.notes.into_iter().map(|note| Warning {
            origin: note.at.origin(name, number),
            code: note.code,
            text: note.text,
        }));
    }

    /// Carries out a document's action. What comes back is the document to read, if any.
    fn apply_action(
        &mut self,
        mut root: Yaml<'a>,
    ) -> Result<Option<Yaml<'a>>, Box<(Fault, Yaml<'a>)>> {
        let action = match take_action(&mut root) {
            Ok(action) => action,
            Err(fault) => return Err(Box::new((fault, root))),
        };
        if let (Some(line), Action::Read | Action::Repeat) = (self.broken, &action) {
            let reason = format!(
                "the document may depend on the one with an `action` that could not be read \
                 (line {line})"
            );
            return Err(Box::new((Fault::new(root.at, reason), root)));
        }
        match action {
            Action::Read => {}
            Action::Reset => {
                self.global = None;
                self.broken = None;
                // A reset alone is no rule; with more in it, it is the next one.
                return Ok(document::is_sigma(&root).then_some(root));
            }
            Action::Global => {
                self.global = Some(root);
                return Ok(None);
            }
            Action::Repeat => match &self.previous {
                None => {
                    let reason = "`action: repeat` without a document before it";
                    return Err(Box::new((Fault::new(root.at, reason), root)));
                }
                Some(previous) => {
                    let mut repeated = Yaml { at: root.at, kind: previous.kind.clone() };
                    update(&mut repeated, &root);
                    root = repeated;
                    self.merged = self.merged.saturating_add(root.weight());
                }
            },
        }
        if let Some(global) = &self.global {
            update(&mut root, global);
            self.merged = self.merged.saturating_add(root.weight());
        }
        if self.merged > MAX_MERGED {
            let reason = format!("documents merged by `action` have more than {MAX_MERGED} values");
            return Err(Box::new((Fault::new(root.at, reason), root)));
        }
        Ok(Some(root))
    }
}

/// Takes the key `action` out of a document.
fn take_action(root: &mut Yaml<'_>) -> Result<Action, Fault> {
    let sigma = document::is_sigma(root);
    let Kind::Map(entries) = &mut root.kind else { return Ok(Action::Read) };
    let Some(position) = entries.iter().position(|(key, _)| key.text == "action") else {
        return Ok(Action::Read);
    };
    let word = entries.get(position).and_then(|(_, value)| value.text());
    let action = match word {
        Some("global") => Action::Global,
        Some("reset") => Action::Reset,
        Some("repeat") => Action::Repeat,
        _ if !sigma => return Ok(Action::Read),
        _ => {
            let at = entries.get(position).map_or(At::START, |(key, _)| key.at);
            let reason = "`action` is not one of `global`, `reset` and `repeat`";
            return Err(Fault::of(RefusalKind::Error, at, reason));
        }
    };
    entries.remove(position);
    Ok(action)
}

/// Updates a tree by another: maps key by key, all else replaced.
fn update<'a>(tree: &mut Yaml<'a>, by: &Yaml<'a>) {
    let (Kind::Map(entries), Kind::Map(updates)) = (&mut tree.kind, &by.kind) else {
        *tree = by.clone();
        return;
    };
    let known: HashMap<String, usize> =
        entries.iter().enumerate().map(|(i, (key, _))| (key.text.to_string(), i)).collect();
    for (key, value) in updates {
        match known.get(key.text.as_ref()).and_then(|position| entries.get_mut(*position)) {
            Some((_, old)) => update(old, value),
            None => entries.push((key.clone(), value.clone())),
        }
    }
}
