//! Regression tests of rules, as SigmaHQ keeps them: an `info.yml` beside each test's log.
//!
//! A rule names its `info.yml` with `regression_tests_path`. The file says which rules it is about
//! (`rule_metadata`) and lists tests (`regression_tests_info`), each a log and how often the rules are
//! to hit it. Paths in it count from the root of the rules' repository.
//!
//! Source of facts: SigmaHQ/sigma, `regression_data/`.

use super::yaml::{self, Kind, Source, Yaml};

/// What an `info.yml` holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegressionInfo {
    /// The ids of the rules that it is about.
    pub rule_ids: Vec<String>,
    /// Its tests.
    pub tests: Vec<RegressionTest>,
}

/// A test of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegressionTest {
    /// `name`
    pub name: String,
    /// `type`: of what kind the data is, for example `evtx`.
    pub kind: String,
    /// `path`: the data, from the root of the repository.
    pub path: String,
    /// `match_count`: how often the rule hits; at least once if it does not say, never if 0.
    pub match_count: u64,
}

/// Reads an `info.yml`.
///
/// # Errors
/// If it is not one: what is wrong, with line and column.
pub fn read_regression_info(bytes: &[u8]) -> Result<RegressionInfo, String> {
    let text = yaml::decode(bytes).map_err(|fault| fault.reason)?;
    let source = Source::new(&text);
    let mut found = None;
    yaml::documents(&source, |document| {
        found.get_or_insert_with(|| match document.root {
            Ok(root) => info(&root),
            Err(fault) => Err(at(fault.at.line, fault.at.column, &fault.reason)),
        });
    });
    found.unwrap_or_else(|| Err("the file is empty".to_owned()))
}

fn info(root: &Yaml<'_>) -> Result<RegressionInfo, String> {
    let ids = list(root, "rule_metadata")?.iter().filter_map(|rule| rule.get("id")?.text());
    let tests = list(root, "regression_tests_info")?.iter().map(test);
    Ok(RegressionInfo {
        rule_ids: ids.map(str::to_owned).collect(),
        tests: tests.collect::<Result<_, _>>()?,
    })
}

fn test(test: &Yaml<'_>) -> Result<RegressionTest, String> {
    let text = |key| test.get(key).and_then(Yaml::text).map(str::to_owned);
    let required =
        |key| text(key).ok_or_else(|| wrong(test, &format!("a test has no text `{key}`")));
    let match_count = match test.get("match_count") {
        None => 1,
        Some(count) => count
            .text()
            .and_then(|count| count.parse().ok())
            .ok_or_else(|| wrong(count, "`match_count` is no whole number"))?,
    };
    Ok(RegressionTest {
        name: text("name").unwrap_or_default(),
        kind: required("type")?,
        path: required("path")?,
        match_count,
    })
}

fn list<'y, 'a>(root: &'y Yaml<'a>, key: &str) -> Result<&'y [Yaml<'a>], String> {
    match root.get(key) {
        Some(Yaml { kind: Kind::List(items), .. }) => Ok(items),
        Some(other) => Err(wrong(other, &format!("`{key}` is no list"))),
        None => Err(wrong(root, &format!("there is no `{key}`"))),
    }
}

fn wrong(what: &Yaml<'_>, reason: &str) -> String {
    at(what.at.line, what.at.column, reason)
}

fn at(line: u32, column: u32, reason: &str) -> String {
    format!("line {line}, column {column}: {reason}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_read() {
        let info = read_regression_info(
            b"id: x\nrule_metadata:\n  - id: a\n    title: A\n  - id: b\nregression_tests_info:\n\
              \x20 - name: Positive\n    type: evtx\n    provider: P\n    match_count: 7\n    path: d/a.evtx\n\
              \x20 - name: Negative\n    type: evtx\n    match_count: 0\n    path: d/b.evtx\n\
              \x20 - type: json\n    path: d/c.json\n",
        )
        .unwrap();
        assert_eq!(info.rule_ids, ["a", "b"]);
        let tests: Vec<_> =
            info.tests.iter().map(|t| (&*t.name, &*t.kind, &*t.path, t.match_count)).collect();
        assert_eq!(
            tests,
            [
                ("Positive", "evtx", "d/a.evtx", 7),
                ("Negative", "evtx", "d/b.evtx", 0),
                ("", "json", "d/c.json", 1),
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, want) in [
            ("", "empty"),
            ("rule_metadata: [", "line 2, column 1: YAML: "),
            ("a: b", "there is no `rule_metadata`"),
            ("rule_metadata: x\n", "line 1, column 16: `rule_metadata` is no list"),
            (
                "rule_metadata: []\nregression_tests_info:\n  - type: evtx\n",
                "line 3, column 5: a test has no text `path`",
            ),
            (
                "rule_metadata: []\nregression_tests_info:\n  - {type: e, path: p, match_count: -1}\n",
                "`match_count` is no whole number",
            ),
        ] {
            let error = read_regression_info(text.as_bytes()).unwrap_err();
            assert!(error.contains(want), "{text:?}: {error}");
        }
    }
}
