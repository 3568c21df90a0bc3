//! A YAML document as a rule.
//!
//! Strict where a guess would change what is hunted for (title, log source, detection, level,
//! taxonomy), lenient in everything that is only told to the reader: missing metadata is fine, keys
//! that Sigma does not know are allowed and ignored. A document of another kind is told apart by its
//! keys: correlation rules and filters are refused as not yet supported, a document that has nothing
//! of a rule is no rule and no error either.
//!
//! Source of facts: Sigma rules specification 2.1.0; pySigma `collection.py` for the kinds.

use super::detection::{self, Context};
use super::fault::{At, Fault, Note, RefusalKind, WarningCode};
use super::rule::{About, Dialect, Level, LogSource, Node, Rule, Status};
use super::yaml::{Kind, Yaml};

/// What a document turned out to be.
pub(super) enum Outcome {
    /// A rule.
    Rule(Box<Rule>),
    /// Nothing of a rule.
    NotARule,
}

/// Whether it has any of the keys that make a document one of Sigma's.
pub(super) fn is_sigma(root: &Yaml<'_>) -> bool {
    ["detection", "correlation", "filter", "logsource"].iter().any(|key| root.get(key).is_some())
}

/// Whether its status is one of those that are read only on request.
pub(super) fn is_left_out(root: &Yaml<'_>, inactive: bool) -> bool {
    let status = root.get("status").and_then(Yaml::text).and_then(status_of);
    !inactive && matches!(status, Some(Status::Deprecated | Status::Unsupported))
}

/// Reads a document. `inactive` says whether deprecated and unsupported rules are wanted.
pub(super) fn read(
    root: &Yaml<'_>,
    inactive: bool,
    context: &mut Context<'_>,
) -> Result<Outcome, Fault> {
    if !is_sigma(root) {
        return Ok(Outcome::NotARule);
    }
    for (key, what) in [("correlation", "correlation rules are"), ("filter", "filters are")] {
        if let Some(at) = key_at(root, key) {
            let reason = format!("{what} not supported yet");
            return Err(Fault::of(RefusalKind::NotYetSupported, at, reason));
        }
    }
    let title = required(root, "title")?.to_owned();
    if let Some(taxonomy) = root.get("taxonomy")
        && let Some(name) = taxonomy.text()
        && !name.eq_ignore_ascii_case("sigma")
    {
        let reason = format!("the taxonomy `{name}` is not known: only `sigma` is");
        return Err(Fault::new(taxonomy.at, reason));
    }
    let status = status(root, context)?;
    if let Some((status @ (Status::Deprecated | Status::Unsupported), at)) = status
        && !inactive
    {
        let reason = format!("the rule is {}, and such rules were not asked for", status.as_str());
        return Err(Fault::of(RefusalKind::Status, at, reason));
    }
    let logsource = log_source(root)?;
    let level = level(root)?;
    let Some(detection) = root.get("detection") else {
        return Err(Fault::new(root.at, "the rule has no `detection`"));
    };
    let detection = detection::detection(detection, context)?;
    let hayabusa = text(root, "ruletype").is_some_and(|t| t.eq_ignore_ascii_case("hayabusa"))
        && detection.sections.iter().any(|section| tests_channel(&section.body));
    Ok(Outcome::Rule(Box::new(Rule {
        about: About {
            origin: root.at.origin(context.file, context.document),
            title,
            id: text(root, "id"),
            name: text(root, "name"),
            level,
            status: status.map(|(status, _)| status),
            description: text(root, "description"),
            author: joined_texts(root, "author"),
            date: text(root, "date"),
            modified: text(root, "modified"),
            references: texts(root, "references"),
            tags: texts(root, "tags"),
            falsepositives: texts(root, "falsepositives"),
            fields: texts(root, "fields"),
            related: related(root),
            regression_tests_path: text(root, "regression_tests_path"),
        },
        logsource,
        dialect: if hayabusa { Dialect::Hayabusa } else { Dialect::Sigma },
        detection,
    })))
}

/// Hayabusa's own rules say in their detection which channel they are for.
fn tests_channel(node: &Node) -> bool {
    match node {
        Node::All(nodes) | Node::Any(nodes) => nodes.iter().any(tests_channel),
        Node::Item(item) => item.field.as_deref() == Some("Channel"),
    }
}

fn key_at(root: &Yaml<'_>, wanted: &str) -> Option<At> {
    match &root.kind {
        Kind::Map(entries) => entries.iter().find(|(k, _)| k.text == wanted).map(|(k, _)| k.at),
        _ => None,
    }
}

/// A single text, if there is one.
pub(super) fn text(root: &Yaml<'_>, key: &str) -> Option<String> {
    root.get(key).and_then(Yaml::text).map(str::to_owned)
}

fn required<'y>(root: &'y Yaml<'_>, key: &str) -> Result<&'y str, Fault> {
    match root.get(key) {
        None => Err(Fault::new(root.at, format!("the rule has no `{key}`"))),
        Some(value) => match value.text() {
            Some(text) if !text.trim().is_empty() => Ok(text),
            _ => Err(Fault::new(value.at, format!("`{key}` is {}, not text", value.noun()))),
        },
    }
}

/// A list of texts; a single one counts as a list of one.
fn texts(root: &Yaml<'_>, key: &str) -> Vec<String> {
    match root.get(key).map(|value| (&value.kind, value.text())) {
        Some((Kind::List(list), _)) => {
            list.iter().filter_map(Yaml::text).map(str::to_owned).collect()
        }
        Some((_, Some(text))) => vec![text.to_owned()],
        _ => Vec::new(),
    }
}

fn joined_texts(root: &Yaml<'_>, key: &str) -> Option<String> {
    let texts = texts(root, key);
    (!texts.is_empty()).then(|| texts.join(", "))
}

fn related(root: &Yaml<'_>) -> Vec<(String, String)> {
    let Some(Yaml { kind: Kind::List(list), .. }) = root.get("related") else { return Vec::new() };
    list.iter()
        .filter_map(|entry| Some((text(entry, "id")?, text(entry, "type").unwrap_or_default())))
        .collect()
}

fn status(root: &Yaml<'_>, context: &mut Context<'_>) -> Result<Option<(Status, At)>, Fault> {
    let Some(node) = root.get("status").filter(|node| !node.is_null()) else { return Ok(None) };
    let Some(word) = node.text() else {
        return Err(Fault::new(node.at, format!("`status` is {}, not a word", node.noun())));
    };
    let status = status_of(word);
    if status.is_none() {
        let text = format!("the status `{word}` is not one of Sigma's");
        context.notes.push(Note { at: node.at, code: WarningCode::UnknownStatus, text });
    }
    Ok(status.map(|status| (status, node.at)))
}

fn status_of(word: &str) -> Option<Status> {
    Some(match word.trim().to_ascii_lowercase().as_str() {
        "stable" => Status::Stable,
        "test" | "testing" => Status::Test,
        "experimental" => Status::Experimental,
        "deprecated" => Status::Deprecated,
        "unsupported" => Status::Unsupported,
        _ => return None,
    })
}

/// A level that Sigma does not know refuses the rule: under a wrong level it would be hidden by
/// whoever asks for high ones.
fn level(root: &Yaml<'_>) -> Result<Level, Fault> {
    let Some(node) = root.get("level").filter(|node| !node.is_null()) else {
        return Ok(Level::Informational);
    };
    let word = node.text().unwrap_or_default();
    Ok(match word.trim().to_ascii_lowercase().as_str() {
        "informational" | "info" => Level::Informational,
        "low" => Level::Low,
        "medium" | "med" => Level::Medium,
        "high" => Level::High,
        "critical" | "crit" => Level::Critical,
        _ => {
            let reason = format!("the level `{word}` is not one of Sigma's");
            return Err(Fault::new(node.at, reason));
        }
    })
}

fn log_source(root: &Yaml<'_>) -> Result<LogSource, Fault> {
    let Some(node) = root.get("logsource") else {
        return Err(Fault::new(root.at, "the rule has no `logsource`"));
    };
    if !matches!(node.kind, Kind::Map(_)) {
        return Err(Fault::new(node.at, format!("`logsource` is {}, not a map", node.noun())));
    }
    let attribute = |key: &str| match node.get(key) {
        None => Ok(None),
        Some(value) => match value.scalar() {
            Some(scalar) if scalar.is_null() || scalar.text.is_empty() => Ok(None),
            Some(scalar) => Ok(Some(scalar.text.to_lowercase())),
            None => {
                let reason = format!("`{key}` of the log source is {}, not text", value.noun());
                Err(Fault::new(value.at, reason))
            }
        },
    };
    let source = LogSource {
        product: attribute("product")?,
        category: attribute("category")?,
        service: attribute("service")?,
    };
    if source == LogSource::default() {
        let reason = "the log source names no product, category or service";
        return Err(Fault::new(node.at, reason));
    }
    Ok(source)
}
