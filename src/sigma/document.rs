//! A YAML document as a rule, a correlation or a filter.
//!
//! Strict where a guess would change what is hunted for (title, log source, detection, level,
//! taxonomy), lenient in everything that is only told to the reader: missing metadata is fine, keys
//! that Sigma does not know are kept for whoever knows them. The kinds of document are told apart by
//! their keys; one that has nothing of a rule is no rule and no error either.
//!
//! Source of facts: Sigma rules specification 2.1.0; pySigma `collection.py` for the kinds.

use super::detection::{self, Context};
use super::drafts::{self, AggregationDraft, CorrelationDraft, FilterDraft};
use super::fault::{At, Fault, Note, RefusalKind, WarningCode};
use super::lint::Code;
use super::rule::{About, Attribute, Custom, Dialect, Level, LogSource, Node, Rule, Status};
use super::yaml::{Kind, Yaml};

/// What a document turned out to be.
pub(super) enum Outcome {
    /// A rule, with what it counts if it has an aggregation.
    Rule(Box<Rule>, Option<AggregationDraft>),
    /// A correlation.
    Correlation(Box<CorrelationDraft>),
    /// A filter.
    Filter(Box<FilterDraft>),
    /// Nothing of a rule.
    NotARule,
}

/// The keys that make a document a rule, a correlation or a filter.
const KINDS: [&str; 3] = ["detection", "correlation", "filter"];

/// Keys at the top level that have a place of their own in what is read.
const KNOWN: [&str; 24] = [
    "title",
    "id",
    "name",
    "related",
    "status",
    "description",
    "references",
    "author",
    "date",
    "modified",
    "tags",
    "logsource",
    "detection",
    "correlation",
    "filter",
    "generate",
    "fields",
    "falsepositives",
    "level",
    "license",
    "scope",
    "taxonomy",
    "regression_tests_path",
    "action",
];

/// How much of a document's custom keys is kept, in nodes and their texts by 64 bytes: Hayabusa's
/// rules have a sample event of some 5 kB there.
const MAX_CUSTOM: usize = 1024;

/// Whether it has any of the keys that make a document one of Sigma's.
pub(super) fn is_sigma(root: &Yaml<'_>) -> bool {
    KINDS.iter().chain(&["logsource"]).any(|key| root.get(key).is_some())
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
    let mut kinds = KINDS.iter().filter_map(|key| Some((*key, key_at(root, key)?)));
    let kind = kinds.next();
    if let (Some((one, _)), Some((other, at))) = (kind, kinds.next()) {
        let reason = format!("the document has both `{one}` and `{other}`");
        return Err(Fault::new(at, reason));
    }
    match kind {
        Some(("correlation", _)) => correlation(root, inactive, context)
            .map_err(|fault| fault.about(Code::InvalidCorrelation)),
        Some(("filter", _)) => {
            filter(root, inactive, context).map_err(|fault| fault.about(Code::InvalidFilter))
        }
        _ => rule(root, inactive, context),
    }
}

fn rule(root: &Yaml<'_>, inactive: bool, context: &mut Context<'_>) -> Result<Outcome, Fault> {
    let (title, status) = start(root, "rule", inactive, context)?;
    let logsource = log_source(root, "rule")?;
    let level = level(root)?;
    let Some(node) = root.get("detection") else {
        return Err(Fault::new(root.at, "the rule has no `detection`"));
    };
    let (detection, counting) = detection::detection(node, context)?;
    let aggregation =
        counting.map(|counting| drafts::aggregation(counting, node.at)).transpose()?;
    let hayabusa = text(root, "ruletype").is_some_and(|t| t.eq_ignore_ascii_case("hayabusa"))
        && detection.sections.iter().any(|section| tests_channel(&section.body));
    let rule = Rule {
        about: about(root, title, level, status, context),
        logsource,
        dialect: if hayabusa { Dialect::Hayabusa } else { Dialect::Sigma },
        detection,
        quiet: aggregation.is_some(),
    };
    Ok(Outcome::Rule(Box::new(rule), aggregation))
}

fn correlation(
    root: &Yaml<'_>,
    inactive: bool,
    context: &mut Context<'_>,
) -> Result<Outcome, Fault> {
    let (title, status) = start(root, "correlation", inactive, context)?;
    let level = level(root)?;
    let about = about(root, title, level, status, context);
    let Some(node) = root.get("correlation") else { return Ok(Outcome::NotARule) };
    let draft = drafts::correlation(root, node, about, context)?;
    Ok(Outcome::Correlation(Box::new(draft)))
}

fn filter(root: &Yaml<'_>, inactive: bool, context: &mut Context<'_>) -> Result<Outcome, Fault> {
    let (title, status) = start(root, "filter", inactive, context)?;
    let logsource = log_source(root, "filter")?;
    let level = level(root)?;
    let about = about(root, title, level, status, context);
    let Some(node) = root.get("filter") else { return Ok(Outcome::NotARule) };
    let draft = drafts::filter(node, about, logsource, context)?;
    Ok(Outcome::Filter(Box::new(draft)))
}

/// What every document has to have, and what decides whether it is read at all.
fn start(
    root: &Yaml<'_>,
    noun: &str,
    inactive: bool,
    context: &mut Context<'_>,
) -> Result<(String, Option<Status>), Fault> {
    let title = title(root, noun)?.to_owned();
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
        let reason =
            format!("the {noun} is {}, and such rules were not asked for", status.as_str());
        return Err(Fault::of(RefusalKind::Status, at, reason));
    }
    Ok((title, status.map(|(status, _)| status)))
}

/// What a document says about itself.
fn about(
    root: &Yaml<'_>,
    title: String,
    level: Level,
    status: Option<Status>,
    context: &Context<'_>,
) -> About {
    About {
        origin: root.at.origin(context.file, context.document),
        title,
        id: text(root, "id"),
        name: text(root, "name"),
        level,
        status,
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
        license: text(root, "license"),
        scope: texts(root, "scope"),
        custom: custom(root, context),
    }
}

/// The keys that are not Sigma's, in the order of the file, as far as there is room for them.
fn custom(root: &Yaml<'_>, context: &Context<'_>) -> Vec<Custom> {
    let Kind::Map(entries) = &root.kind else { return Vec::new() };
    let mut room = MAX_CUSTOM;
    let others = entries.iter().filter(|(key, _)| !KNOWN.contains(&key.text.as_ref()));
    let mut kept = Vec::new();
    for (key, value) in others {
        let name = Yaml::text_weight(&key.text);
        let Some(left) = room.checked_sub(name) else { break };
        let weight = value.weight();
        let value = if weight <= left { attribute(value) } else { Attribute::TooLarge };
        room = left.saturating_sub(if value == Attribute::TooLarge { 1 } else { weight });
        kept.push(Custom {
            name: key.text.clone().into_owned(),
            origin: key.at.origin(context.file, context.document),
            value,
        });
    }
    kept
}

fn attribute(node: &Yaml<'_>) -> Attribute {
    match &node.kind {
        Kind::Scalar(scalar) if scalar.is_null() => Attribute::Null,
        Kind::Scalar(scalar) => Attribute::Text(scalar.text.clone().into_owned()),
        Kind::List(items) => Attribute::List(items.iter().map(attribute).collect()),
        Kind::Map(entries) => {
            let entry = |(key, value): &(super::yaml::Key<'_>, Yaml<'_>)| {
                (key.text.clone().into_owned(), attribute(value))
            };
            Attribute::Map(entries.iter().map(entry).collect())
        }
    }
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

fn title<'y>(root: &'y Yaml<'_>, noun: &str) -> Result<&'y str, Fault> {
    match root.get("title") {
        None => Err(Fault::new(root.at, format!("the {noun} has no `title`"))),
        Some(value) => match value.text() {
            Some(text) if !text.trim().is_empty() => Ok(text),
            _ => Err(Fault::new(value.at, format!("`title` is {}, not text", value.noun()))),
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

fn log_source(root: &Yaml<'_>, noun: &str) -> Result<LogSource, Fault> {
    let Some(node) = root.get("logsource") else {
        return Err(Fault::new(root.at, format!("the {noun} has no `logsource`")));
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
