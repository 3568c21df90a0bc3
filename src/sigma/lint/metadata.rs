//! What a document says about itself.

use super::super::yaml::{Kind, Yaml};
use super::{Code, Findings, tag};
use strsim::damerau_levenshtein;

/// Keys that Sigma gives a meaning at the top of a document.
const KEYS: [&str; 23] = [
    "title",
    "id",
    "name",
    "related",
    "taxonomy",
    "status",
    "description",
    "license",
    "author",
    "references",
    "date",
    "modified",
    "logsource",
    "detection",
    "fields",
    "falsepositives",
    "level",
    "tags",
    "scope",
    "correlation",
    "filter",
    "generate",
    "action",
];

/// So many characters of a key may differ from one of [`KEYS`] for it to look like it; of a short one
/// only one, or half of it would be different.
const DIFFERENT: usize = 2;
const SHORT: usize = 5;

pub(super) fn lint(root: &Yaml<'_>, findings: &mut Findings<'_>) {
    let Kind::Map(entries) = &root.kind else { return };
    for (key, _) in entries {
        if let Some(meant) = looks_like(&key.text) {
            let text = format!("`{}` is no key of Sigma's, `{meant}` is", key.text);
            findings.add(key.at, Code::MisspeltKey, text);
        }
    }
    match root.get("id").map(|id| (id.at, id.text())) {
        None | Some((_, None)) => findings.add(root.at, Code::MissingId, "there is no `id`"),
        Some((at, Some(id))) if !is_uuid(id) => {
            findings.add(at, Code::InvalidId, format!("the id `{id}` is no UUID"));
        }
        _ => {}
    }
    if root.get("detection").is_some() && root.get("level").is_none_or(Yaml::is_null) {
        findings.add(root.at, Code::MissingLevel, "there is no `level`");
    }
    for key in ["date", "modified"] {
        if let Some((at, Some(date))) = root.get(key).map(|date| (date.at, date.text()))
            && !is_date(date)
        {
            let text = format!("`{key}` is `{date}`, which is no date as Sigma writes them");
            findings.add(at, Code::InvalidDate, text);
        }
    }
    repeated(root, "tags", Code::DuplicateTag, findings);
    repeated(root, "references", Code::DuplicateReference, findings);
    for tag in texts(root, "tags") {
        if let Some(fault) = tag.text().and_then(tag::fault) {
            findings.add(tag.at, Code::InvalidTag, fault);
        }
    }
}

/// The items of a list.
fn texts<'y, 'a>(root: &'y Yaml<'a>, key: &str) -> &'y [Yaml<'a>] {
    match root.get(key).map(|node| &node.kind) {
        Some(Kind::List(items)) => items,
        _ => &[],
    }
}

fn repeated(root: &Yaml<'_>, key: &str, code: Code, findings: &mut Findings<'_>) {
    let items = texts(root, key);
    let mut seen = std::collections::HashSet::new();
    for item in items {
        if let Some(text) = item.text()
            && !seen.insert(text)
        {
            findings.add(item.at, code, format!("`{text}` stands twice in `{key}`"));
        }
    }
}

/// The key of Sigma's that was probably meant by one that is none of them.
fn looks_like(key: &str) -> Option<&'static str> {
    if KEYS.contains(&key) || key.chars().nth(40).is_some() {
        return None;
    }
    let plain = key.to_lowercase().replace(['-', '_', ' '], "");
    let near = KEYS.into_iter().map(|known| (damerau_levenshtein(&plain, known), known));
    let (distance, known) = near.min()?;
    let allowed = if known.len() <= SHORT { DIFFERENT - 1 } else { DIFFERENT };
    // Of `id` half is left if one character differs.
    (distance <= allowed && (known.len() > allowed + 1 || distance == 0)).then_some(known)
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12])
        && parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// `YYYY-MM-DD`, or with slashes, as old rules have it.
fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split(if text.contains('/') { '/' } else { '-' }).collect();
    let [year, month, day] = parts.as_slice() else { return false };
    let number = |text: &str, digits: usize, range: std::ops::RangeInclusive<u16>| {
        let right = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
        right && text.parse().is_ok_and(|n| range.contains(&n))
    };
    number(year, 4, 1..=9999) && number(month, 2, 1..=12) && number(day, 2, 1..=31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_keys() {
        for (key, meant) in [
            ("refrences", Some("references")),
            ("Title", Some("title")),
            ("falsepostives", Some("falsepositives")),
            ("false_positives", Some("falsepositives")),
            ("realted", Some("related")),
            ("tag", Some("tags")),
            ("ID", Some("id")),
            ("detecion", Some("detection")),
            ("ruletype", None),
            ("details", None),
            ("tests", None),
            ("regression_tests_path", None),
            ("simulation", None),
            ("x", None),
            ("i", None),
        ] {
            assert_eq!(looks_like(key), meant, "{key}");
        }
    }

    #[test]
    fn dates_and_ids() {
        assert!(is_date("2026-11-22") && is_date("2020/05/01"));
        for wrong in
            ["2026-1-2", "2026-13-01", "22-11-2026", "2026-11", "", "2026-11-2x", "2026/11-02"]
        {
            assert!(!is_date(wrong), "{wrong}");
        }
        assert!(is_uuid("2b6c9a0c-6e5c-4240-98d1-5461978248f1"));
        for wrong in ["", "2b6c9a0c", "2b6c9a0c-6e5c-4240-98d1-5461978248fg", "x-y-z-a-b"] {
            assert!(!is_uuid(wrong), "{wrong}");
        }
    }
}
