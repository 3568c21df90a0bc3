//! Indicators are counted again by another parser of Sigma, over the files as they are.

use crate::support::{corpora, this_test};
use harrier::attack::{Attack, Named};
use harrier::engine::RuleSet;
use harrier::explain::{Corpus, Subject, find, page};
use harrier::sigma::{self, LoadOptions};
use harrier::taxonomy::{Options, Taxonomy};
use rsigma_parser::value::{SpecialChar, StringPart};
use rsigma_parser::{Detection, DetectionItem, Modifier, SigmaString, SigmaValue, Status};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The two rules about AMSI.
const PROVIDERS: &str = "33efc23c-6ea2-4503-8cfe-bdf82ce8f705";
const REMOVAL: &str = "41d1058a-aea7-4952-9293-29eaaf516465";

/// So many other rules lie between two that are counted: each goes through all of them.
const STEP: usize = 45;

/// Field, kind and value in small letters, of what is compared as text without wildcards.
type Key = (String, &'static str, String);

fn keys(item: &DetectionItem, found: &mut BTreeSet<Key>) {
    let Some(field) = &item.field.name else { return };
    let (mut before, mut behind) = (false, false);
    for modifier in &item.field.modifiers {
        match modifier {
            Modifier::Contains => (before, behind) = (true, true),
            Modifier::StartsWith => behind = true,
            Modifier::EndsWith => before = true,
            Modifier::All | Modifier::Neq => {}
            _ => return,
        }
    }
    for value in &item.values {
        let text = match value {
            SigmaValue::String(text) => text.clone(),
            // YAML takes it for a truth, Sigma for a word.
            SigmaValue::Bool(truth) => SigmaString::new(&truth.to_string()),
            _ => continue,
        };
        if let Some((kind, text)) = plain(&text, before, behind) {
            found.insert((field.to_lowercase(), kind, text.to_lowercase()));
        }
    }
}

/// The text as it has to stand in a value, and where, if there are wildcards at its ends alone.
fn plain(text: &SigmaString, before: bool, behind: bool) -> Option<(&'static str, String)> {
    let any = StringPart::Special(SpecialChar::WildcardMulti);
    let mut parts = text.parts.as_slice();
    let (mut before, mut behind) = (before, behind);
    if let Some(rest) = parts.strip_prefix(std::slice::from_ref(&any)) {
        (parts, before) = (rest, true);
    }
    if let Some(rest) = parts.strip_suffix(std::slice::from_ref(&any)) {
        (parts, behind) = (rest, true);
    }
    let text: Option<String> = parts
        .iter()
        .map(|part| match part {
            StringPart::Plain(text) => Some(text.as_str()),
            StringPart::Special(_) => None,
        })
        .collect();
    let kind = match (before, behind) {
        (false, false) => "eq",
        (true, true) => "contains",
        (true, false) => "endswith",
        (false, true) => "startswith",
    };
    text.filter(|text| kind == "eq" || !text.is_empty()).map(|text| (kind, text))
}

fn walk(detection: &Detection, found: &mut BTreeSet<Key>) {
    match detection {
        Detection::AllOf(items) => items.iter().for_each(|item| keys(item, found)),
        Detection::AnyOf(parts) => parts.iter().for_each(|part| walk(part, found)),
        _ => {}
    }
}

/// How many rules of a folder have each key, and how many rules there are.
fn count(root: &Path) -> (BTreeMap<Key, usize>, usize) {
    let (mut counts, mut rules) = (BTreeMap::new(), 0);
    let files = walkdir::WalkDir::new(root).into_iter().filter_map(Result::ok);
    let files = files.filter(|f| f.path().extension().is_some_and(|e| e == "yml"));
    for file in files {
        let text = std::fs::read_to_string(file.path()).unwrap();
        let collection = rsigma_parser::parse_sigma_yaml(&text).unwrap();
        for rule in &collection.rules {
            if matches!(rule.status, Some(Status::Deprecated | Status::Unsupported)) {
                continue;
            }
            rules += 1;
            let mut found = BTreeSet::new();
            rule.detection.named.values().for_each(|detection| walk(detection, &mut found));
            found.into_iter().for_each(|key| *counts.entry(key).or_insert(0) += 1);
        }
    }
    (counts, rules)
}

/// Every number beside an indicator is the one that the other parser gives.
#[test]
fn indicators_are_counted_right() {
    let Some(corpora) = corpora(&this_test()) else { return };
    let root = corpora.join("sigma/rules");
    let (counts, rules) = count(&root);
    let loaded = sigma::load(&[&root], &LoadOptions::default()).unwrap();
    let set = RuleSet::compile(loaded.rules, Taxonomy::builtin(Options::default()));
    let attack = Attack::builtin();
    let corpus = Corpus { set: &set, correlations: &[], filters: &[], attack: &attack };
    assert_eq!(set.rules().count(), rules);
    let amsi = [PROVIDERS, REMOVAL].map(|id| find(id, &corpus).unwrap());
    let others = set.rules().step_by(STEP).map(|(id, _)| Subject::Rule(id));
    let (mut compared, mut shared) = (0, 0);
    for subject in amsi.into_iter().chain(others) {
        let page = page(subject, &corpus);
        assert_eq!(page.corpus, rules);
        for indicator in &page.indicators {
            let predicate = &indicator.predicate;
            let known = ["eq", "contains", "startswith", "endswith"];
            let kind = known.into_iter().find(|kind| *kind == predicate.kind);
            let (Some(field), Some(kind), Some(value)) = (&predicate.field, kind, &predicate.value)
            else {
                continue;
            };
            let key = (field.to_lowercase(), kind, value.to_lowercase());
            // A number is not text to the other parser.
            if value.chars().all(|c| c.is_ascii_digit()) {
                continue;
            }
            assert_eq!(Some(&indicator.rules), counts.get(&key), "{}: {key:?}", page.title);
            compared += 1;
            shared += usize::from(indicator.rules > 1);
        }
    }
    assert!(compared > 200 && shared > 60, "{compared} compared, {shared} in several rules");
}

/// The AMSI rules as their published pages show them: events, stages, exclusions, indicators.
#[test]
fn the_amsi_rules_are_taken_apart_as_published() {
    let Some(corpora) = corpora(&this_test()) else { return };
    let root = corpora.join("sigma");
    let loaded = sigma::load(&[&root], &LoadOptions::default()).unwrap();
    let set = RuleSet::compile(loaded.rules, Taxonomy::builtin(Options::default()));
    let attack = Attack::builtin();
    let corpus = Corpus { set: &set, correlations: &[], filters: &[], attack: &attack };
    let providers = page(find(PROVIDERS, &corpus).unwrap(), &corpus);
    let removal = page(find(REMOVAL, &corpus).unwrap(), &corpus);
    let events = |page: &harrier::report::explain::RulePage| -> Vec<(String, Option<u32>, &str)> {
        page.events.iter().map(|e| (e.providers.join(" "), e.event_id, e.tier)).collect()
    };
    let (sysmon, security) = ("Microsoft-Windows-Sysmon", "Microsoft-Windows-Security-Auditing");
    let row = |provider: &str, id, tier| (provider.to_owned(), Some(id), tier);
    assert_eq!(events(&providers), [row(sysmon, 13, "default"), row(security, 4657, "default")]);
    let want = [(sysmon, 12, "default"), (security, 4657, "default"), (sysmon, 14, "extended")];
    assert_eq!(events(&removal), want.map(|(provider, id, tier)| row(provider, id, tier)));
    assert_eq!(
        removal.events[1].fields.iter().map(|f| &*f.field).collect::<Vec<_>>(),
        ["TargetObject", "Image"]
    );
    let stages = |page: &harrier::report::explain::RulePage| -> Vec<(String, bool)> {
        page.stages.iter().map(|stage| (stage.text.clone(), stage.excludes)).collect()
    };
    let text = |text: &str, excludes| (text.to_owned(), excludes);
    assert_eq!(
        stages(&providers),
        [
            text("selection and not 1 of filter_optional_*", false),
            text("selection", false),
            text("not 1 of filter_optional_*", true),
        ]
    );
    assert_eq!(stages(&removal)[2], text("not 1 of filter_main_*", true));
    let exclusions: Vec<(&str, &str, Vec<&str>)> = removal
        .exclusions
        .iter()
        .map(|e| (e.field.as_deref().unwrap(), &*e.kind, e.values.iter().map(|v| &**v).collect()))
        .collect();
    assert_eq!(
        exclusions,
        [
            (
                "Image",
                "startswith",
                vec![
                    r"C:\ProgramData\Microsoft\Windows Defender\Platform\",
                    r"C:\Program Files\Windows Defender\",
                    r"C:\Program Files (x86)\Windows Defender\",
                ]
            ),
            ("Image", "endswith", vec![r"\MsMpEng.exe"]),
        ]
    );
    assert_eq!(removal.attack[0].techniques[0].1, "Disable or Modify Tools");
    let corpus_of = |value: &str| {
        let found = providers
            .indicators
            .iter()
            .find(|i| i.predicate.value.as_deref() == Some(value) && i.predicate.kind == "eq");
        found.unwrap_or_else(|| panic!("{value}")).rules
    };
    for (value, want) in [
        (r"C:\Program Files\AVG\Antivirus\RegSvr.exe", 3),
        (r"C:\Program Files\AVG\Antivirus\x86\RegSvr.exe", 2),
        (r"C:\Program Files\Avast Software\Avast\RegSvr.exe", 3),
        (r"C:\Program Files\Avast Software\Avast\x86\RegSvr.exe", 2),
        (r"C:\Program Files\Avira\Endpoint Protection SDK\endpointprotection.exe", 1),
    ] {
        assert_eq!(corpus_of(value), want, "{value}");
    }
}

/// Every technique and tactic that a public rule tags has a name.
#[test]
fn tags_of_public_rules_have_names() {
    let Some(corpora) = corpora(&this_test()) else { return };
    let options = LoadOptions { include_inactive: true, ..LoadOptions::default() };
    let folders = ["sigma", "hayabusa-rules"].map(|folder| corpora.join(folder));
    let loaded = sigma::load(&folders, &options).unwrap();
    let attack = Attack::builtin();
    let mut nameless: BTreeSet<&str> = BTreeSet::new();
    let (mut tactics, mut techniques) = (BTreeSet::new(), BTreeSet::new());
    for tag in loaded.rules.iter().flat_map(|rule| &rule.tags) {
        match attack.tag(tag) {
            Some(Named::Tactic(tactic)) => _ = tactics.insert(tactic.name.to_owned()),
            Some(Named::Technique(technique)) => _ = techniques.insert(technique.id.to_owned()),
            Some(Named::Unknown(_)) => _ = nameless.insert(tag),
            None => {}
        }
    }
    assert!(nameless.is_empty(), "without a name: {nameless:?}");
    assert!(tactics.len() >= 14 && techniques.len() > 300, "{tactics:?} {}", techniques.len());
}
