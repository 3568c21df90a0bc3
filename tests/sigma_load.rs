//! Loading of real rule sets: what is taken, what is refused and why, and whether another reader of
//! Sigma sees the same in them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use harrier::sigma::{
    self, Condition, CorrelationKind, Dialect, Item, LoadOptions, LoadedRules, Node, Part, Pattern,
    RefusalKind, Rule, Test, pattern,
};
use rsigma_parser::{
    ConditionExpr, Detection, Modifier, Quantifier, SelectorPattern, SigmaRule, SigmaString,
    SigmaValue, SpecialChar, StringPart,
};

/// The folder of public corpora, if this machine has it.
fn corpora() -> Option<PathBuf> {
    crate::support::corpora(&crate::support::this_test())
}

fn load(path: &Path, options: &LoadOptions) -> LoadedRules {
    sigma::load(&[path], options).expect("the folder is there")
}

/// Lists with one value for every placeholder that a rule set was refused for.
fn lists_for(loaded: &LoadedRules) -> BTreeMap<String, Vec<String>> {
    let placeholders = loaded.refused.iter().filter(|r| r.kind == RefusalKind::Placeholder);
    placeholders
        .flat_map(|refused| refused.reason.split('%').skip(1).step_by(2))
        .map(|name| (name.to_owned(), vec!["value".to_owned()]))
        .collect()
}

/// Loads with a value for every placeholder.
fn load_expanded(path: &Path) -> LoadedRules {
    let mut options = LoadOptions { include_inactive: true, ..LoadOptions::default() };
    loop {
        let loaded = load(path, &options);
        let lists = lists_for(&loaded);
        if lists.is_empty() {
            return loaded;
        }
        options.expand.extend(lists);
    }
}

fn is_windows(rule: &Rule) -> bool {
    rule.logsource.product.as_deref() == Some("windows")
        || rule.logsource.category.as_deref() == Some("antivirus")
}

#[test]
fn all_of_sigmahq_loads_but_for_unresolved_placeholders() {
    let Some(corpora) = corpora() else { return };
    let (mut all, mut taken) = (0, 0);
    for folder in ["rules", "rules-emerging-threats", "rules-threat-hunting", "rules-placeholder"] {
        let path = corpora.join("sigma").join(folder);
        let loaded = load(&path, &LoadOptions::default());
        for refused in &loaded.refused {
            assert_eq!(refused.kind, RefusalKind::Placeholder, "{refused}");
        }
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        assert!(loaded.unreadable.is_empty(), "{:?}", loaded.unreadable);
        assert!(loaded.not_rules.is_empty(), "{:?}", loaded.not_rules);
        let expanded = load_expanded(&path);
        assert!(expanded.refused.is_empty(), "{:?}", expanded.refused);
        assert_eq!(expanded.rules.len(), loaded.rules.len() + loaded.refused.len());
        all += expanded.rules.iter().filter(|rule| is_windows(rule)).count();
        taken += loaded.rules.iter().filter(|rule| is_windows(rule)).count();
    }
    println!("Windows rules: {taken} of {all} load");
    assert_eq!((taken, all), (2865, 2881));
}

fn regexes<'r>(node: &'r Node, into: &mut Vec<&'r sigma::Regex>) {
    match node {
        Node::All(nodes) | Node::Any(nodes) => nodes.iter().for_each(|node| regexes(node, into)),
        Node::Item(item) => into.extend(item.values.iter().filter_map(|test| match test {
            Test::Regex(regex) => Some(regex),
            _ => None,
        })),
    }
}

/// The loader takes most expressions without compiling them: they have to compile all the same.
#[test]
fn every_expression_that_was_taken_compiles() {
    let Some(corpora) = corpora() else { return };
    let loaded = load_expanded(&corpora);
    let mut found = Vec::new();
    for section in loaded.rules.iter().flat_map(|rule| &rule.detection.sections) {
        regexes(&section.body, &mut found);
    }
    for regex in &found {
        let compiled = regex::RegexBuilder::new(&regex.pattern)
            .case_insensitive(regex.ignore_case)
            .multi_line(regex.multi_line)
            .dot_matches_new_line(regex.dot_all)
            .size_limit(sigma::REGEX_SIZE_LIMIT)
            .build();
        assert!(compiled.is_ok(), "{regex:?}: {compiled:?}");
    }
    println!("{} expressions compile", found.len());
    assert!(found.len() > 200);
}

#[test]
fn descriptions_of_regression_data_are_no_rules() {
    let Some(corpora) = corpora() else { return };
    let loaded = load(&corpora.join("sigma/regression_data"), &LoadOptions::default());
    assert!(loaded.rules.is_empty() && loaded.refused.is_empty(), "{:?}", loaded.refused);
    assert!(loaded.not_rules.len() >= 100);
    assert_eq!(loaded.documents(), loaded.files);
    assert!(loaded.not_rules.iter().all(|n| n.path.ends_with("info.yml")));
}

#[test]
fn hayabusas_rules_load() {
    let Some(corpora) = corpora() else { return };
    let loaded = load(&corpora.join("hayabusa-rules"), &LoadOptions::default());
    for refused in &loaded.refused {
        println!("{:?} {refused}", refused.kind);
    }
    let count = |kind| loaded.refused.iter().filter(|r| r.kind == kind).count();
    assert_eq!(count(RefusalKind::Status), 3, "deprecated aggregations");
    // Sec_4624_Info_Logon-Type-4-Batch.yml has no condition.
    assert_eq!(count(RefusalKind::Error), 1);
    assert_eq!(loaded.refused.len(), 4);
    assert_eq!(loaded.rules.len(), 189);
    let correlations: Vec<_> = loaded
        .correlations
        .iter()
        .map(|c| (&*c.title, c.members.len(), c.group_by.len(), c.aggregation))
        .collect();
    let want =
        [("User Guessing", 1, 6, false), ("PW Guessing", 1, 6, false), ("PW Spray", 1, 2, false)];
    assert_eq!(correlations, want);
    assert_eq!(loaded.documents(), 196);
    // One rule tests no channel and speaks of any event of Windows.
    let others = loaded.rules.iter().filter(|rule| rule.dialect != Dialect::Hayabusa);
    let others: Vec<String> = others.map(|rule| rule.logsource.to_string()).collect();
    assert_eq!(others, ["windows/*/*"]);

    let options = LoadOptions { include_inactive: true, ..LoadOptions::default() };
    let loaded = load(&corpora.join("hayabusa-rules"), &options);
    assert_eq!((loaded.refused.len(), loaded.rules.len()), (1, 192));
    assert_eq!(loaded.documents(), 196);
    let counting: Vec<_> = loaded
        .correlations
        .iter()
        .filter(|c| c.aggregation)
        .map(|c| (c.kind.clone(), c.group_by.join(" "), c.timespan_text.as_deref().unwrap_or("")))
        .collect();
    let user = || CorrelationKind::ValueCount(vec!["TargetUserName".to_owned()]);
    let ip = || "IpAddress".to_owned();
    let want =
        [(user(), ip(), "5m"), (CorrelationKind::EventCount, ip(), "5m"), (user(), ip(), "5m")];
    assert_eq!(counting, want);
}

#[test]
fn the_result_does_not_depend_on_threads() {
    let Some(corpora) = corpora() else { return };
    let path = corpora.join("sigma/rules-threat-hunting");
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| load(&path, &LoadOptions::default()))
    };
    let (one, many) = (with(1), with(7));
    assert_eq!(one.rules, many.rules);
    assert_eq!(one.refused, many.refused);
    let origins: Vec<(&str, u32)> =
        one.rules.iter().map(|r| (r.origin.path(), r.origin.document)).collect();
    assert!(origins.is_sorted(), "in the order of paths");
}

/// Prints what loading everything takes. The limit is loose on purpose: it is there to notice a
/// change of order of magnitude on a slow and busy machine, in an unoptimised build too.
#[test]
fn loading_is_fast() {
    let Some(corpora) = corpora() else { return };
    let path = corpora.join("sigma");
    let mut times: Vec<u128> = (0..5)
        .map(|_| {
            let start = Instant::now();
            let loaded = load(&path, &LoadOptions::default());
            assert!(loaded.rules.len() > 3_000);
            start.elapsed().as_millis()
        })
        .collect();
    times.sort_unstable();
    println!("loading {} took {times:?} ms", path.display());
    assert!(times.iter().min().is_some_and(|best| *best < 2_000), "{times:?}");
}

/// The embedded rules and a public set can be loaded together.
#[test]
fn the_embedded_rules_clash_with_no_public_one() {
    let Some(corpora) = corpora() else { return };
    let public = load_expanded(&corpora.join("sigma"));
    let ids: BTreeSet<&str> = public.rules.iter().filter_map(|r| r.id.as_deref()).collect();
    let titles: BTreeSet<&str> = public.rules.iter().map(|r| r.title.as_str()).collect();
    let descriptions: BTreeSet<&str> =
        public.rules.iter().filter_map(|r| r.description.as_deref()).map(str::trim).collect();
    let embedded = sigma::load_builtin().rules;
    let own: BTreeSet<&str> = embedded.iter().filter_map(|r| r.id.as_deref()).collect();
    for rule in &embedded {
        assert!(!ids.contains(rule.id.as_deref().expect("an id")), "{}", rule.title);
        assert!(!titles.contains(rule.title.as_str()), "{}", rule.title);
        assert!(!descriptions.contains(rule.description.as_deref().unwrap_or_default().trim()));
        for (related, _) in &rule.related {
            let known = ids.contains(related.as_str()) || own.contains(related.as_str());
            assert!(known, "{related}");
        }
    }
}

// What another reader of Sigma sees in the same files.

/// An item of either reader, in one form.
#[derive(Debug, PartialEq)]
struct Flat {
    field: Option<String>,
    modifiers: Vec<String>,
    values: usize,
    patterns: Vec<Vec<Part>>,
}

fn ours(node: &Node, into: &mut Vec<Flat>) {
    match node {
        Node::All(nodes) | Node::Any(nodes) => nodes.iter().for_each(|node| ours(node, into)),
        Node::Item(item) => into.push(our_item(item)),
    }
}

/// Modifiers after which the oracle's values are the same texts as ours.
const COMPARABLE: [&str; 6] = ["contains", "startswith", "endswith", "all", "cased", "neq"];

fn comparable(modifiers: &[String]) -> bool {
    modifiers.iter().all(|modifier| COMPARABLE.contains(&modifier.as_str()))
}

fn our_item(item: &Item) -> Flat {
    let patterns = item.values.iter().filter_map(|test| match test {
        Test::Text(Pattern { parts, .. }) => Some(parts.clone()),
        Test::Number(number) => Some(pattern::parse(&number.text)),
        _ => None,
    });
    let comparable = comparable(&item.modifiers);
    Flat {
        field: item.field.clone(),
        modifiers: item.modifiers.clone(),
        values: item.values.len(),
        patterns: if comparable { patterns.collect() } else { Vec::new() },
    }
}

fn theirs(detection: &Detection, into: &mut Vec<Flat>) {
    match detection {
        Detection::AllOf(items) => {
            for item in items {
                let modifiers: Vec<String> =
                    item.field.modifiers.iter().map(|m| spelled(*m).to_owned()).collect();
                let field = item.field.name.clone().filter(|name| !name.is_empty());
                into.push(their_item(field, modifiers, &item.values));
            }
        }
        Detection::AnyOf(parts) | Detection::And(parts) => {
            parts.iter().for_each(|part| theirs(part, into));
        }
        Detection::Keywords(values) => into.push(their_item(None, Vec::new(), values)),
        other => panic!("an extension of the oracle's own: {other:?}"),
    }
}

fn their_item(field: Option<String>, modifiers: Vec<String>, values: &[SigmaValue]) -> Flat {
    let has = |name: &str| modifiers.iter().any(|m| m == name);
    let inside = field.is_none() && !has("startswith") && !has("endswith");
    let leading = has("contains") || has("endswith") || inside;
    let trailing = has("contains") || has("startswith") || inside;
    let patterns = values.iter().filter_map(|value| {
        let mut parts = match value {
            SigmaValue::String(string) => their_parts(string),
            SigmaValue::Integer(number) => vec![Part::Literal(number.to_string())],
            SigmaValue::Float(number) => vec![Part::Literal(number.to_string())],
            SigmaValue::Bool(value) => vec![Part::Literal(value.to_string())],
            SigmaValue::Null => return None,
        };
        if leading && parts.first() != Some(&Part::AnyRun) {
            parts.insert(0, Part::AnyRun);
        }
        if trailing && parts.last() != Some(&Part::AnyRun) {
            parts.push(Part::AnyRun);
        }
        Some(parts)
    });
    let patterns = if comparable(&modifiers) { patterns.collect() } else { Vec::new() };
    Flat { field, modifiers, values: values.len(), patterns }
}

fn their_parts(string: &SigmaString) -> Vec<Part> {
    let part = |part: &StringPart| match part {
        StringPart::Plain(text) => Part::Literal(text.clone()),
        StringPart::Special(SpecialChar::WildcardMulti) => Part::AnyRun,
        StringPart::Special(SpecialChar::WildcardSingle) => Part::AnyChar,
    };
    let mut parts: Vec<Part> = string.parts.iter().map(part).collect();
    parts.dedup_by(|a, b| *a == Part::AnyRun && *b == Part::AnyRun);
    parts
}

fn spelled(modifier: Modifier) -> &'static str {
    match modifier {
        Modifier::Contains => "contains",
        Modifier::StartsWith => "startswith",
        Modifier::EndsWith => "endswith",
        Modifier::All => "all",
        Modifier::Base64 => "base64",
        Modifier::Base64Offset => "base64offset",
        Modifier::Wide => "wide",
        Modifier::WindAsh => "windash",
        Modifier::Re => "re",
        Modifier::Cidr => "cidr",
        Modifier::Cased => "cased",
        Modifier::Exists => "exists",
        Modifier::Expand => "expand",
        Modifier::FieldRef => "fieldref",
        Modifier::IgnoreCase => "i",
        other => panic!("not in the corpora: {other:?}"),
    }
}

/// Whether a condition holds, given which sections do.
fn we_hold(condition: &Condition, sections: &[bool]) -> bool {
    match condition {
        Condition::And(terms) => terms.iter().all(|term| we_hold(term, sections)),
        Condition::Or(terms) => terms.iter().any(|term| we_hold(term, sections)),
        Condition::Not(term) => !we_hold(term, sections),
        Condition::Section(section) => sections[*section],
        Condition::AtLeast { count, sections: which, .. } => {
            which.iter().filter(|s| sections[**s]).count() >= *count
        }
    }
}

fn they_hold(condition: &ConditionExpr, sections: &BTreeMap<&str, bool>) -> bool {
    match condition {
        ConditionExpr::And(terms) => terms.iter().all(|term| they_hold(term, sections)),
        ConditionExpr::Or(terms) => terms.iter().any(|term| they_hold(term, sections)),
        ConditionExpr::Not(term) => !they_hold(term, sections),
        ConditionExpr::Identifier(name) => sections[name.as_str()],
        ConditionExpr::Selector { quantifier, pattern } => {
            let hidden = matches!(pattern, SelectorPattern::Pattern(p) if p.starts_with('_'));
            let which = sections.iter().filter(|(name, _)| {
                pattern.matches_detection_name(name) && (hidden || !name.starts_with('_'))
            });
            let held: Vec<bool> = which.map(|(_, holds)| *holds).collect();
            let count = held.iter().filter(|holds| **holds).count();
            match quantifier {
                Quantifier::Any => count >= 1,
                Quantifier::All => count == held.len(),
                Quantifier::Count(wanted) => count >= usize::try_from(*wanted).expect("small"),
            }
        }
    }
}

/// Compares one rule, and says in which respects the two readers differ.
fn differences(rule: &Rule, oracle: &SigmaRule) -> Vec<String> {
    let mut found = Vec::new();
    let names: BTreeSet<&str> = rule.detection.sections.iter().map(|s| s.name.as_str()).collect();
    let their_names: BTreeSet<&str> = oracle.detection.named.keys().map(String::as_str).collect();
    if names != their_names {
        found.push(format!("sections {names:?} {their_names:?}"));
        return found;
    }
    if rule.title != oracle.title || rule.id != oracle.id {
        found.push(format!("title or id: {} {}", rule.title, oracle.title));
    }
    for section in &rule.detection.sections {
        let (mut mine, mut other) = (Vec::new(), Vec::new());
        ours(&section.body, &mut mine);
        theirs(&oracle.detection.named[&section.name], &mut other);
        if mine.len() != other.len() {
            found.push(format!("{}: {} items, {}", section.name, mine.len(), other.len()));
        }
        for (mine, other) in mine.iter().zip(&other).filter(|(mine, other)| mine != other) {
            found.push(format!("{}: {mine:?} {other:?}", section.name));
        }
    }
    // A fixed sequence of assignments; with up to six sections nearly every one occurs.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for _ in 0..256 {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let holds: Vec<bool> = (0..names.len()).map(|i| (state >> (8 + i % 56)) & 1 == 1).collect();
        let by_name: BTreeMap<&str, bool> = rule
            .detection
            .sections
            .iter()
            .zip(&holds)
            .map(|(section, holds)| (section.name.as_str(), *holds))
            .collect();
        let they = oracle.detection.conditions.iter().any(|c| they_hold(c, &by_name));
        if we_hold(&rule.detection.condition, &holds) != they {
            found.push(format!("condition under {by_name:?}"));
            break;
        }
    }
    found
}

#[test]
fn another_reader_sees_the_same_rules() {
    let Some(corpora) = corpora() else { return };
    let (mut compared, mut items, mut patterns) = (0, 0, 0);
    let mut deviations: Vec<String> = Vec::new();
    for folder in ["sigma", "hayabusa-rules"] {
        let root = corpora.join(folder);
        let loaded = load_expanded(&root);
        let mut by_path: BTreeMap<&str, Vec<&Rule>> = BTreeMap::new();
        // The other reader refuses rules with an aggregation.
        for rule in loaded.rules.iter().filter(|rule| !rule.quiet) {
            by_path.entry(rule.origin.path()).or_default().push(rule);
        }
        let refused: BTreeMap<&str, &str> =
            loaded.refused.iter().map(|r| (r.origin.path(), r.reason.as_str())).collect();
        let not_rules: BTreeSet<&str> = loaded.not_rules.iter().map(|n| n.path.as_str()).collect();
        for entry in walkdir::WalkDir::new(&root).sort_by_file_name() {
            let entry = entry.expect("readable");
            let path = entry.path().strip_prefix(&root).expect("below").to_string_lossy();
            if !path.ends_with(".yml") {
                continue;
            }
            let text = std::fs::read_to_string(entry.path()).expect("readable");
            let oracle = rsigma_parser::parse_sigma_yaml(&text);
            let oracle_rules = oracle.map(|collection| collection.rules).unwrap_or_default();
            let rules = by_path.get(path.as_ref()).cloned().unwrap_or_default();
            if not_rules.contains(path.as_ref()) {
                assert!(oracle_rules.is_empty(), "{path} is a rule to the oracle");
                continue;
            }
            if rules.len() != oracle_rules.len() {
                let reason = refused.get(path.as_ref()).copied().unwrap_or("?");
                let (mine, other) = (rules.len(), oracle_rules.len());
                deviations.push(format!("{path}: {mine} rules, {other} ({reason})"));
                continue;
            }
            for (rule, oracle) in rules.iter().zip(&oracle_rules) {
                compared += 1;
                let mut flat = Vec::new();
                rule.detection.sections.iter().for_each(|s| ours(&s.body, &mut flat));
                items += flat.len();
                patterns += flat.iter().map(|item| item.patterns.len()).sum::<usize>();
                let found = differences(rule, oracle);
                deviations.extend(found.into_iter().map(|what| format!("{path}: {what}")));
            }
        }
    }
    println!("{compared} rules compared, {} deviations", deviations.len());
    for deviation in &deviations {
        println!("  {deviation}");
    }
    assert!(compared > 3_200, "{compared}");
    assert!(deviations.is_empty(), "{deviations:#?}");
    println!("{items} items, {patterns} patterns");
    assert!(items > 10_000 && patterns > 30_000);
}
