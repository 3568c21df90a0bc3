//! The embedded rules load, are complete, and say what they are meant to say.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::sigma::rule::{Dialect, Level, Node, Part, Rule, Status, Test};

#[test]
fn all_files_are_embedded_and_load() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sigma/builtin");
    let on_disk: BTreeSet<String> = std::fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".yml"))
        .map(|name| format!("builtin/{name}"))
        .collect();
    let embedded: BTreeSet<String> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(embedded, on_disk);
    let loaded = load_builtin();
    assert!(loaded.refused.is_empty(), "{:?}", loaded.refused);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert_eq!(loaded.rules.len() + loaded.correlations.len(), FILES.len());
}

#[test]
fn metadata_is_complete() {
    let loaded = load_builtin();
    let mut ids = BTreeSet::new();
    let mut titles = BTreeSet::new();
    for rule in &loaded.rules {
        assert_eq!(rule.dialect, Dialect::Sigma, "{}", rule.title);
        assert_eq!(rule.logsource.product.as_deref(), Some("windows"), "{}", rule.title);
    }
    let rules = loaded.rules.iter().map(|rule| &rule.about);
    for rule in rules.chain(loaded.correlations.iter().map(|correlation| &correlation.about)) {
        let id = rule.id.clone().expect("an id");
        let parts: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12], "{id}");
        assert!(id.chars().all(|c| c == '-' || c.is_ascii_hexdigit()), "{id}");
        assert_eq!(id.get(14..15), Some("4"), "{id}: not a random UUID");
        assert!(ids.insert(id) && titles.insert(rule.title.clone()), "{}", rule.title);
        assert!(rule.description.is_some(), "{}", rule.title);
        assert_eq!(rule.author.as_deref(), Some("Harrier"), "{}", rule.title);
        assert!(!rule.references.is_empty(), "{}", rule.title);
        assert!(!rule.falsepositives.is_empty(), "{}", rule.title);
        assert!(rule.tags.iter().any(|tag| tag.starts_with("attack.")), "{}", rule.title);
        assert_eq!(rule.status, Some(Status::Test), "{}", rule.title);
    }
}

/// Files are called after their log source, as Sigma's convention has it.
#[test]
fn files_are_named_by_their_log_source() {
    for rule in load_builtin().rules {
        let source = &rule.logsource;
        let prefix = match (source.category.as_deref(), source.service.as_deref()) {
            (Some("process_creation"), None) => "proc_creation_win_",
            (Some("process_access"), None) => "proc_access_win_",
            (Some("ps_script"), None) => "posh_ps_",
            (Some("wmi_event"), None) => "sysmon_wmi_",
            (Some("registry_set"), None) => "registry_set_",
            (Some("registry_delete"), None) => "registry_delete_",
            (Some("registry_event"), None) => "registry_event_",
            (None, Some("windefend")) => "win_defender_",
            (None, Some("security")) => "win_security_",
            (None, Some("system")) => "win_system_",
            (None, Some("application")) => "win_application_",
            (None, Some("wmi")) => "win_wmi_",
            other => panic!("{}: a new kind of log source: {other:?}", rule.title),
        };
        let path = rule.origin.path();
        let name = path.strip_prefix("builtin/").and_then(|path| path.strip_suffix(".yml"));
        let name = name.expect("the name of an embedded rule");
        assert!(name.starts_with(prefix) && name.len() <= 70, "{name}");
        let snake = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(name.chars().all(snake), "{name}");
    }
}

fn rule(file: &str) -> Rule {
    let name = format!("builtin/{file}.yml");
    let found = load_builtin().rules.into_iter().find(|rule| rule.origin.path() == name);
    found.expect("an embedded rule")
}

/// The literals of a field in a section, with `*` for wildcards, in order.
fn values(rule: &Rule, section: &str, field: &str) -> Vec<String> {
    let section = rule.detection.sections.iter().find(|s| s.name == section);
    let mut nodes = vec![&section.expect("the section").body];
    let mut found = Vec::new();
    while let Some(node) = nodes.pop() {
        match node {
            Node::All(inner) | Node::Any(inner) => nodes.extend(inner.iter().rev()),
            Node::Item(item) if item.field.as_deref() == Some(field) => {
                found.extend(item.values.iter().map(|test| {
                    match test {
                        Test::Text(pattern) => pattern
                            .parts
                            .iter()
                            .map(|part| match part {
                                Part::Literal(text) => text.as_str(),
                                _ => "*",
                            })
                            .collect(),
                        other => format!("{other:?}"),
                    }
                }));
            }
            Node::Item(_) => {}
        }
    }
    found
}

#[test]
fn a_new_amsi_provider() {
    let rule = rule("registry_set_amsi_provider_registered");
    assert_eq!(rule.level, Level::Medium);
    assert_eq!(rule.logsource.category.as_deref(), Some("registry_set"));
    let related = ("33efc23c-6ea2-4503-8cfe-bdf82ce8f705".to_owned(), "similar".to_owned());
    assert_eq!(rule.related, [related]);
    let keys = [
        r"*\SOFTWARE\Microsoft\AMSI\Providers\*",
        r"*\SOFTWARE\WOW6432Node\Microsoft\AMSI\Providers\*",
    ];
    assert_eq!(values(&rule, "selection", "TargetObject"), keys);
    let images = [
        r"C:\Program Files\AVG\Antivirus\RegSvr.exe",
        r"C:\Program Files\AVG\Antivirus\x86\RegSvr.exe",
        r"C:\Program Files\Avast Software\Avast\RegSvr.exe",
        r"C:\Program Files\Avast Software\Avast\x86\RegSvr.exe",
    ];
    assert_eq!(values(&rule, "filter_optional_avg_avast", "Image"), images);
    let object = values(&rule, "filter_optional_avg_avast", "TargetObject");
    assert_eq!(object, [r"*\{FB904E4E-D2C7-4C8D-8492-B620BB9896B1}*"]);
    let avira = r"C:\Program Files\Avira\Endpoint Protection SDK\endpointprotection.exe";
    assert_eq!(values(&rule, "filter_optional_avira", "Image"), [avira]);
    let object = values(&rule, "filter_optional_avira", "TargetObject");
    assert_eq!(object, [r"*\{00000001-3DCC-4B48-A82E-E2071FE58E05}*"]);
}

#[test]
fn a_removed_amsi_provider() {
    let rule = rule("registry_delete_amsi_provider_removed");
    assert_eq!(rule.level, Level::High);
    assert_eq!(rule.logsource.category.as_deref(), Some("registry_delete"));
    let related = ("41d1058a-aea7-4952-9293-29eaaf516465".to_owned(), "similar".to_owned());
    assert_eq!(rule.related, [related]);
    for tag in ["attack.t1562.001", "attack.t1685"] {
        assert!(rule.tags.iter().any(|t| t == tag), "{tag}");
    }
    let keys =
        ["*{2781761E-28E0-4109-99FE-B9D127C57AFE}", "*{A7C452EF-8E9F-42EB-9F2B-245613CA0DC9}"];
    assert_eq!(values(&rule, "selection", "TargetObject"), keys);
    let images = [
        r"C:\ProgramData\Microsoft\Windows Defender\Platform\*",
        r"C:\Program Files\Windows Defender\*",
        r"C:\Program Files (x86)\Windows Defender\*",
        r"*\MsMpEng.exe",
    ];
    assert_eq!(values(&rule, "filter_main_defender_itself", "Image"), images);
}

#[test]
fn backslashes_mean_what_they_should() {
    let rule = rule("win_system_service_install_suspicious_path");
    let places = values(&rule, "selection_place", "ImagePath");
    assert!(places.contains(&r"*\\127.0.0.1\*".to_owned()), "{places:?}");
}
