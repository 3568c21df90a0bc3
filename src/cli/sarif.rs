//! Findings as SARIF, the form that code review tools read.
//!
//! Written by hand: of the format a dozen properties are needed, and the crates for it make types of all
//! of it, with a build script and several derive macros. A test reads the output against the standard's
//! demands.
//!
//! Source of facts: OASIS, Static Analysis Results Interchange Format (SARIF) Version 2.1.0: 3.13 log
//! file, 3.14 run, 3.19 tool component, 3.27 result, 3.29 physical location, 3.30 region, 3.49 reporting
//! descriptor.

use super::json;
use harrier::sigma::{Code, Finding, Severity};
use serde_json::{Value, json};

/// The schema of the format, as documents name it.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The whole document.
pub fn document(findings: &[Finding]) -> String {
    // Only what there are findings of, or a document of no findings would be mostly rules.
    let mut codes: Vec<Code> = findings.iter().map(|finding| finding.code).collect();
    codes.sort_unstable();
    codes.dedup();
    let results: Vec<Value> = findings.iter().map(|finding| result(finding, &codes)).collect();
    let document = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {
                "driver": {
                    "name": "harrier rules check",
                    "semanticVersion": env!("CARGO_PKG_VERSION"),
                    "rules": codes.iter().map(|code| rule(*code)).collect::<Vec<_>>(),
                },
            },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    let text = serde_json::to_string_pretty(&document).unwrap_or_default();
    format!("{}\n", json::safe(&text))
}

/// What SARIF calls a rule: a kind of finding.
fn rule(code: Code) -> Value {
    json!({
        "id": code.as_str(),
        "shortDescription": { "text": code.meaning() },
        "help": { "text": sentence(code.advice()) },
        "defaultConfiguration": { "level": level(code.severity()) },
    })
}

fn result(finding: &Finding, codes: &[Code]) -> Value {
    let Finding { origin, code, text } = finding;
    let index = codes.iter().position(|known| known == code);
    json!({
        "ruleId": code.as_str(),
        "ruleIndex": index,
        "level": level(code.severity()),
        "message": { "text": sentence(text) },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": uri(&origin.file.shown) },
                "region": { "startLine": origin.line, "startColumn": origin.column },
            },
        }],
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

/// Messages are sentences (3.11.3).
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(char::to_uppercase);
    let text: String = first.into_iter().flatten().chain(characters).collect();
    if text.ends_with('.') { text } else { format!("{text}.") }
}

/// A path as a reference (RFC 3986): relative as it was given, or absolute with its scheme.
fn uri(path: &str) -> String {
    let path = if cfg!(windows) { path.replace('\\', "/") } else { path.to_owned() };
    let drive = path.as_bytes().get(1) == Some(&b':') && cfg!(windows);
    let mut uri = match path.strip_prefix('/') {
        Some(_) => "file://".to_owned(),
        None if drive => "file:///".to_owned(),
        None => String::new(),
    };
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b'!' => {
                uri.push(char::from(byte));
            }
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_references() {
        for (path, want) in [
            ("rules/a b.yml", "rules/a%20b.yml"),
            ("c:d.yml", "c%3Ad.yml"),
            ("rules.zip!a/é.yml", "rules.zip!a/%C3%A9.yml"),
            ("100%.yml", "100%25.yml"),
        ] {
            if !cfg!(windows) || !path.contains(':') {
                assert_eq!(uri(path), want);
            }
        }
        if cfg!(windows) {
            assert_eq!(uri("C:\\rules\\a.yml"), "file:///C%3A/rules/a.yml");
        } else {
            assert_eq!(uri("/rules/a.yml"), "file:///rules/a.yml");
        }
    }
}
