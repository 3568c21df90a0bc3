//! Which rule is meant: by id, by the beginning of an id, by title, by file.
//!
//! The ways are tried in this order, and the first by which anything is found decides. What is found must
//! be one: whoever asks for a rule and gets another would be misled, so several are listed instead.

use super::page::Corpus;
use crate::engine::RuleId;
use crate::sigma::About;
use crate::utf16::folded;

/// What a page is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A rule.
    Rule(RuleId),
    /// The correlation with this index.
    Correlation(usize),
    /// The filter with this index.
    Filter(usize),
}

/// Why nothing was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotFound {
    /// Several are meant: title, id or nothing, and file of each.
    Several(Vec<Candidate>),
    /// None is.
    None,
}

/// A rule that may be meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its title.
    pub title: String,
    /// Its id.
    pub id: Option<String>,
    /// Its file.
    pub file: String,
}

/// The rule, correlation or filter that `query` means. An aggregation is found by its rule.
///
/// # Errors
/// If it is not exactly one.
pub fn find(query: &str, corpus: &Corpus<'_>) -> Result<Subject, NotFound> {
    let rules = corpus.set.rules().map(|(id, rule)| (Subject::Rule(id), &rule.about));
    let correlations = corpus.correlations.iter().enumerate().filter(|(_, c)| !c.aggregation);
    let correlations = correlations.map(|(n, of)| (Subject::Correlation(n), &of.about));
    let filters = corpus.filters.iter().enumerate().map(|(n, of)| (Subject::Filter(n), &of.about));
    let all: Vec<(Subject, &About)> = rules.chain(correlations).chain(filters).collect();
    let query = folded(query.trim());
    if query.is_empty() {
        return Err(NotFound::None);
    }
    let ways: [fn(&About, &str) -> bool; 5] = [
        |about, query| about.id.as_deref().is_some_and(|id| folded(id) == query),
        |about, query| about.id.as_deref().is_some_and(|id| folded(id).starts_with(query)),
        |about, query| folded(&about.title) == query,
        |about, query| about.name.as_deref().is_some_and(|name| folded(name) == query),
        is_file,
    ];
    for way in ways {
        let found: Vec<&(Subject, &About)> =
            all.iter().filter(|(_, about)| way(about, &query)).collect();
        match found.as_slice() {
            [] => {}
            [(one, _)] => return Ok(*one),
            several => {
                let candidate = |(_, about): &&(Subject, &About)| Candidate {
                    title: about.title.clone(),
                    id: about.id.clone(),
                    file: about.origin.path().to_owned(),
                };
                return Err(NotFound::Several(several.iter().map(candidate).collect()));
            }
        }
    }
    Err(NotFound::None)
}

/// Whether a rule's file is this one: by its whole path or its last parts, with its ending or without.
fn is_file(about: &About, query: &str) -> bool {
    let query = query.replace('\\', "/");
    let query = query.strip_prefix("./").unwrap_or(&query);
    [&about.origin.file.path, &about.origin.file.shown].into_iter().any(|path| {
        let path = folded(path).replace('\\', "/");
        let bare = path.strip_suffix(".yml").or(path.strip_suffix(".yaml")).unwrap_or(&path);
        [path.as_str(), bare].into_iter().any(|path| {
            path.strip_suffix(query)
                .is_some_and(|before| before.is_empty() || before.ends_with(['/', '!']))
        })
    })
}
