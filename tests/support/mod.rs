//! What several test modules need: events made by hand, rules from text, the corpora.

pub mod logs;

use harrier::engine::{RuleSet, Scanner};
use harrier::event::{Event, Layout, Leaf, LeafId, LeafKind, Section, Value};
use harrier::sigma::{LoadOptions, LoadedRules};
use harrier::taxonomy::{Options, Taxonomy};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An event made by hand: leaves with their values, as text.
#[derive(Debug, Clone)]
pub struct Made {
    leaves: Vec<(Leaf, Vec<String>)>,
    layout: Arc<Layout>,
}

impl Made {
    /// An event with System values only; an empty channel is an absent one.
    pub fn new(channel: &str, provider: &str, event_id: u32) -> Made {
        let mut made = Made { leaves: Vec::new(), layout: Layout::new(Vec::new()) };
        made.push(Section::System, LeafKind::Attribute, "Provider_Name", &[provider]);
        made.push(Section::System, LeafKind::Named, "EventID", &[&event_id.to_string()]);
        if !channel.is_empty() {
            made.push(Section::System, LeafKind::Named, "Channel", &[channel]);
        }
        made.push(Section::System, LeafKind::Named, "Computer", &["host.example"]);
        made
    }

    /// An event of so many EventData fields and nothing else.
    pub fn wide(fields: Vec<(String, String)>) -> Made {
        let leaf = |name: String| Leaf {
            section: Section::EventData,
            kind: LeafKind::Named,
            name: name.into(),
        };
        let leaves: Vec<_> =
            fields.into_iter().map(|(name, value)| (leaf(name), vec![value])).collect();
        let layout = Layout::new(leaves.iter().map(|(leaf, _)| leaf.clone()).collect());
        Made { leaves, layout }
    }

    /// A Sysmon event.
    pub fn sysmon(event_id: u32) -> Made {
        Made::new("Microsoft-Windows-Sysmon/Operational", "Microsoft-Windows-Sysmon", event_id)
    }

    /// A Security event.
    pub fn security(event_id: u32) -> Made {
        Made::new("Security", "Microsoft-Windows-Security-Auditing", event_id)
    }

    /// With an EventData field.
    pub fn data(self, name: &str, value: &str) -> Made {
        self.with(Section::EventData, LeafKind::Named, name, &[value])
    }

    /// With unnamed Data.
    pub fn unnamed(self, values: &[&str]) -> Made {
        self.with(Section::EventData, LeafKind::Unnamed, "Data", values)
    }

    /// With a UserData field.
    pub fn user(self, name: &str, value: &str) -> Made {
        self.with(Section::UserData, LeafKind::Named, name, &[value])
    }

    /// With a leaf.
    pub fn with(mut self, section: Section, kind: LeafKind, name: &str, values: &[&str]) -> Made {
        self.push(section, kind, name, values);
        self
    }

    fn push(&mut self, section: Section, kind: LeafKind, name: &str, values: &[&str]) {
        let leaf = Leaf { section, kind, name: name.into() };
        self.leaves.push((leaf, values.iter().map(|v| (*v).to_owned()).collect()));
        self.layout = Layout::new(self.leaves.iter().map(|(leaf, _)| leaf.clone()).collect());
    }
}

impl Event for Made {
    fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    fn values<F: FnMut(Value<'_>)>(&self, leaf: LeafId, mut visit: F) {
        for value in self.leaves.get(leaf.index()).map_or(&[][..], |(_, values)| values) {
            visit(Value::Text(value));
        }
    }
}

/// The rules of a YAML text; none may be refused.
pub fn rules(yaml: &str) -> LoadedRules {
    let loaded = harrier::sigma::load_str("test.yml", yaml, &LoadOptions::default());
    assert!(loaded.refused.is_empty(), "{:?}\n{yaml}", loaded.refused);
    loaded
}

/// The rules compiled with the built-in taxonomy.
pub fn rule_set(yaml: &str) -> RuleSet {
    RuleSet::compile(rules(yaml).rules, Taxonomy::builtin(Options::default()))
}

/// The titles of the rules that match, by both ways of scanning, which must agree.
pub fn titles<E: Event>(set: &RuleSet, event: &E) -> Vec<String> {
    let mut scanner = Scanner::new(set);
    let fast = scanner.scan(event).to_vec();
    let full = scanner.scan_full(event).to_vec();
    assert_eq!(fast, full, "scan and scan_full differ");
    fast.into_iter().map(|id| set.rule(id).title.clone()).collect()
}

/// Whether a rule with this `detection` (YAML, indented by any amount) matches.
pub fn matches(detection: &str, event: &Made) -> bool {
    matches_source("product: windows", detection, event)
}

/// Whether a rule with this log source and `detection` matches.
pub fn matches_source(logsource: &str, detection: &str, event: &Made) -> bool {
    let indent =
        |text: &str| -> String { text.lines().map(|line| format!("  {line}\n")).collect() };
    let yaml = format!(
        "title: t\nlogsource:\n{}detection:\n{}",
        indent(&logsource.replace(", ", "\n")),
        indent(detection)
    );
    !titles(&rule_set(&yaml), event).is_empty()
}

/// The corpora, if they are there; says that the test skips if they are not.
pub fn corpora(test: &str) -> Option<PathBuf> {
    let root = match std::env::var_os("HARRIER_CORPORA") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora"),
    };
    if root.is_dir() {
        return Some(root);
    }
    skipped(test, &format!("no corpora at {}", root.display()));
    None
}

/// The name of the test that runs: its thread's.
pub fn this_test() -> String {
    std::thread::current().name().unwrap_or("a test").to_owned()
}

/// Says that a test, or a part of it, is not run here. It goes past what the test harness captures,
/// so that a log of the tests shows it without further options.
pub fn skipped(test: &str, why: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{test}: skipped, {why}");
}
