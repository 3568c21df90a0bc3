//! Where the regression data of rules lie, and what they are.

use harrier::{
    report::explain::{Regression, RegressionLog},
    sigma,
};
use std::path::{Path, PathBuf};

/// The folders from which `regression_data/…` may count: the one that was given, or the rule paths and
/// the folders above them.
pub fn roots(rules: &[PathBuf], data: Option<&Path>) -> Vec<PathBuf> {
    if let Some(data) = data {
        return vec![data.to_owned()];
    }
    let real = rules.iter().filter_map(|path| std::fs::canonicalize(path).ok());
    real.flat_map(|path| path.ancestors().map(Path::to_owned).collect::<Vec<_>>()).collect()
}

/// Finds a file by its path from the repository's root. A root may also be that folder
/// `regression_data` itself.
pub fn find(path: &str, roots: &[PathBuf]) -> Option<PathBuf> {
    let inside = path.strip_prefix("regression_data/");
    roots.iter().find_map(|root| {
        let whole = root.join(path);
        let part = inside.map(|inside| root.join(inside));
        std::iter::once(whole).chain(part).find(|candidate| candidate.is_file())
    })
}

/// What there is of the regression data of a rule with this id.
pub fn told(path: &str, id: Option<&str>, roots: &[PathBuf]) -> Regression {
    let not_read =
        |why: String| Regression { path: path.to_owned(), found: Err(why), logs: Vec::new() };
    let Some(file) = find(path, roots) else {
        return not_read("not there".to_owned());
    };
    let read = std::fs::read(&file).map_err(|error| error.to_string());
    let info = match read.and_then(|bytes| sigma::read_regression_info(&bytes)) {
        Ok(info) => info,
        Err(why) => return not_read(why),
    };
    let logs = info.tests.into_iter().map(|test| RegressionLog {
        there: find(&test.path, roots).is_some(),
        name: test.name,
        kind: test.kind,
        path: test.path,
        expected: (test.match_count > 0).then_some(test.match_count),
    });
    let about_it = info.rule_ids.iter().any(|known| Some(known.as_str()) == id);
    let found = if about_it { "for this rule" } else { "but for other rules" };
    Regression { path: path.to_owned(), found: Ok(found.to_owned()), logs: logs.collect() }
}
