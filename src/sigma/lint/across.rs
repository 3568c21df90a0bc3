//! What can only be seen over all rules: names that two have. Ids are looked at where rules are loaded.

use super::super::load::LoadedRules;
use super::super::rule::{About, RuleFile};
use super::{Code, Finding};
use crate::utf16::folded;
use std::collections::HashMap;

/// Characters that a file's name should have, `.yml` included.
const FILENAME: std::ops::RangeInclusive<usize> = 10..=90;

pub(super) fn lint(loaded: &LoadedRules, findings: &mut Vec<Finding>) {
    let correlations = loaded.correlations.iter().filter(|one| !one.aggregation);
    let abouts = || {
        let rules = loaded.rules.iter().map(|rule| &rule.about);
        let correlations = correlations.clone().map(|one| &one.about);
        rules.chain(correlations).chain(loaded.filters.iter().map(|one| &one.about))
    };
    titles(abouts(), findings);
    files(abouts(), findings);
}

fn titles<'r>(abouts: impl Iterator<Item = &'r About>, findings: &mut Vec<Finding>) {
    let mut first: HashMap<String, &About> = HashMap::new();
    for about in abouts {
        if let Some(other) = first.get(&folded(&about.title)) {
            findings.push(Finding {
                origin: about.origin.clone(),
                code: Code::DuplicateTitle,
                text: format!("the title `{}` is that of {} too", about.title, other.origin),
            });
        } else {
            first.insert(folded(&about.title), about);
        }
    }
}

fn files<'r>(abouts: impl Iterator<Item = &'r About>, findings: &mut Vec<Finding>) {
    let mut first: HashMap<&str, &RuleFile> = HashMap::new();
    for about in abouts {
        let file = &*about.origin.file;
        let name = name_of(&file.shown);
        let mut add = |code, text| {
            findings.push(Finding { origin: about.origin.clone(), code, text });
        };
        match first.get(name) {
            // More documents of the same file.
            Some(other) if *other == file => continue,
            Some(other) => {
                add(
                    Code::DuplicateFilename,
                    format!("`{name}` is also the name of {}", other.shown),
                );
            }
            None => {
                first.insert(name, file);
            }
        }
        let length = name.chars().count();
        if !FILENAME.contains(&length) {
            add(Code::FilenameLength, format!("the file's name `{name}` has {length} characters"));
        }
    }
}

/// The last part of a path, also inside an archive.
fn name_of(path: &str) -> &str {
    path.rsplit(['/', '\\', '!']).next().unwrap_or(path)
}
