//! Golden pages, and what the text of rules may not do.

use crate::golden;
use std::path::Path;
use std::process::{Command, Output};

/// Rules by id, and a name for their pages: built-in ones, and those beside this file.
const PAGES: &[(&str, &str, &str)] = &[
    ("c4e3f275-38b8-434b-b3b0-ca14ef27ab4c", "amsi-registered", ""),
    ("eb71beed-b3cf-43b1-b7eb-e5418312eb3d", "amsi-removed", ""),
    ("everything", "everything", "tests/explain/rules.yml"),
    ("Keywords Anywhere", "keywords", "tests/explain/rules.yml"),
    ("0a1b2c3d-0000-4000-8000-000000000003", "numbers", "tests/explain/rules.yml"),
    ("A FIELD LIKE ANOTHER", "field", "tests/explain/rules.yml"),
    ("0A1B2C3D-0000-4000-8000-000000000005", "not", "tests/explain/rules.yml"),
    ("Not For Event Logs", "foreign", "tests/explain/rules.yml"),
    ("Never True", "never", "tests/explain/rules.yml"),
    ("Names Its Channel Itself", "channel", "tests/explain/rules.yml"),
];

/// Those that are shown in every form; of the others the text and the data are enough.
const ALL_FORMS: &[&str] = &["amsi-registered", "everything", "keywords"];

fn explain(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_harrier"))
        .args(["rules", "explain"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap()
}

#[test]
fn pages_are_the_golden_ones() {
    for (rule, name, file) in PAGES {
        let forms = [("text", "txt"), ("json", "json"), ("markdown", "md"), ("html", "html")];
        let forms = forms.into_iter().take(if ALL_FORMS.contains(name) { 4 } else { 2 });
        for (format, ending) in forms {
            let mut arguments = vec![*rule, "--format", format];
            if !file.is_empty() {
                arguments.extend(["-r", *file]);
            }
            let output = explain(&arguments);
            assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{name}");
            assert_eq!(output.status.code(), Some(0), "{name}");
            let page = String::from_utf8(output.stdout).unwrap();
            golden::compare(&format!("explain/{name}.{ending}"), &page);
            // What the rule's author wrote is not broken, nor is an address without a place for it.
            let ours = page.lines().take_while(|line| *line != "Rule body");
            for line in ours.filter(|_| format == "text") {
                assert!(line.chars().count() <= 100 || line.contains("https://"), "{name}: {line}");
            }
        }
    }
}

/// A rule may come from anywhere: whatever it says stays text.
#[test]
fn text_of_rules_stays_text() {
    let folder = tempfile::tempdir().unwrap();
    let evil = "<script>alert(1)</script>\\u001b[31m\\u202e`|\\n</pre>]]>";
    let rule = format!(
        "title: \"{evil}\"\nid: evil\nauthor: \"{evil}\"\ndescription: \"{evil}\"\n\
         references: [\"{evil}\"]\nfalsepositives: [\"{evil}\"]\ntags: [\"{evil}\"]\n\
         date: \"{evil}\"\nregression_tests_path: \"{evil}\"\n\
         related: [{{id: \"{evil}\", type: \"{evil}\"}}]\n\
         simulation: [{{type: \"{evil}\", name: \"{evil}\", technique: \"{evil}\"}}]\n\
         logsource: {{product: windows, service: system}}\n\
         detection:\n  sel:\n    \"{evil}|contains\": \"{evil}\"\n  not_this:\n    a: \"{evil}\"\n\
         \x20 condition: sel and not not_this\n"
    );
    let path = folder.path().join("evil.yml");
    std::fs::write(&path, rule.replace("|contains", "X|contains").replace("`|\\n", "`\\n"))
        .unwrap();
    let file = path.to_str().unwrap();
    for format in ["text", "markdown", "json", "html"] {
        for color in ["always", "never"] {
            let output = explain(&["evil", "-r", file, "--format", format, "--color", color]);
            assert_eq!(
                output.status.code(),
                Some(0),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            let page = String::from_utf8(output.stdout).unwrap();
            assert!(page.contains("alert(1)"), "{format}");
            assert!(!page.contains('\u{202e}'), "{format}");
            // The colours of a terminal are ours alone: none is red in the way that the rule asks.
            assert!(!page.contains("\u{1b}[31m\\u{202e}"), "{format}");
            if format != "text" || color == "never" {
                assert!(!page.contains('\u{1b}'), "{format}");
            }
            match format {
                "html" => {
                    assert!(!page.contains("<script"), "{page}");
                    assert_eq!(page.matches("</pre>").count(), page.matches("<pre>").count());
                }
                "json" => {
                    let page: serde_json::Value = serde_json::from_str(&page).unwrap();
                    assert!(page["title"].as_str().unwrap().contains('\u{1b}'));
                }
                "markdown" => assert!(!outside_code(&page).contains("<script"), "{page}"),
                _ => {}
            }
        }
    }
}

/// What of a page in Markdown is neither in a fenced block nor in a code span.
fn outside_code(page: &str) -> String {
    let (mut outside, mut fence) = (String::new(), None);
    for line in page.lines() {
        let ticks = line.chars().take_while(|c| *c == '`').count();
        match fence {
            Some(open) if ticks == open && line.len() == ticks => fence = None,
            Some(_) => {}
            None if ticks >= 3 => fence = Some(ticks),
            None => {
                let mut rest = line;
                while let Some(at) = rest.find('`') {
                    outside.push_str(&rest[..at]);
                    let run = rest[at..].chars().take_while(|c| *c == '`').count();
                    let behind = &rest[at + run..];
                    // A span ends at a run of the same length; without one it is text.
                    let runs =
                        behind.match_indices('`').filter(|(n, _)| !behind[..*n].ends_with('`'));
                    let mut runs = runs
                        .map(|(n, _)| (n, behind[n..].chars().take_while(|c| *c == '`').count()));
                    rest = match runs.find(|(_, length)| *length == run) {
                        Some((n, length)) => &behind[n + length..],
                        None => {
                            outside.push_str(behind);
                            ""
                        }
                    };
                }
                outside.push_str(rest);
            }
        }
        outside.push('\n');
    }
    assert_eq!(fence, None, "a block does not end");
    outside
}

/// Which rule is meant, and what is said if it is none or several.
#[test]
fn a_rule_is_found_by_id_title_or_file() {
    let rules = "tests/explain/rules.yml";
    for (query, code, says) in [
        ("c4e3f275", 0, ""),
        ("C4E3F275-38B8-434B-B3B0-CA14EF27AB4C", 0, ""),
        ("amsi provider registered", 0, ""),
        ("registry_set_amsi_provider_registered", 0, ""),
        ("builtin/registry_set_amsi_provider_registered.yml", 0, ""),
        ("AMSI", 2, "no rule has this id, title or file: near: "),
        ("", 2, "no rule has this"),
    ] {
        let output = explain(&[query]);
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{query}: {err}");
        assert!(err.contains(says) && err.is_empty() == says.is_empty(), "{query}: {err}");
    }
    for (query, code, says) in [
        ("0a1b2c3d-0000-4000-8000-00000000000", 2, "8 rules are meant: give the id of one"),
        ("rules.yml", 2, "8 rules are meant"),
        ("everything", 0, ""),
    ] {
        let output = explain(&[query, "-r", rules]);
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{query}: {err}");
        assert!(err.contains(says), "{query}: {err}");
        let listed = err.lines().filter(|line| line.contains("0a1b2c3d-0000-4000-8000-00")).count();
        assert!(code == 0 || listed >= 8, "{query}: {err}");
    }
    let output = explain(&["everything", "-r", "no/where"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(Path::new(rules).is_relative());
}
