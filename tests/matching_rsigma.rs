//! Matching against another evaluator, rsigma: each record of the sample logs by each of SigmaHQ's
//! rules that its log source admits.
//!
//! Both are asked the same question. Which rules may speak of a record, and which of its leaves is a
//! rule's field, is Harrier's answer for both (rsigma knows no event logs); fields that are put
//! together of others or read through another view are left out. What is compared is everything
//! after that: reading of rules, modifiers, values, conditions.
//!
//! The two differ where rsigma reads the specification otherwise than `tests/semantics.rs` does.
//! Each such difference is listed in [`Deviation`], as narrowly as it can be told; whatever is not
//! explained by one fails.

use crate::support::logs::{Kept, each_record, evtx_files};
use crate::support::{Made, corpora};
use harrier::engine::{RuleSet, Scanner};
use harrier::event::{Event, Layout, Section};
use harrier::evtx::Reader;
use harrier::sigma::{Item, LoadOptions, Node, Part, Rule, Test, load_str};
use harrier::taxonomy::{EventKey, FieldSource, Mapping, Options, Source, Taxonomy, View};
use rayon::prelude::*;
use rsigma_eval::{CompiledRule, EventValue, compile_rule, evaluate_rule};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A rule as both read it.
struct Pair {
    rule: Rule,
    theirs: CompiledRule,
    sources: Vec<Source>,
    fields: Vec<String>,
}

/// What rsigma sees of an event: the fields of the rules, each by its name in the rules, and every
/// value for keywords.
struct Flat {
    fields: HashMap<String, Vec<String>>,
    values: Vec<String>,
}

impl rsigma_eval::Event for Flat {
    fn get_field(&self, path: &str) -> Option<EventValue<'_>> {
        let text = |text: &String| EventValue::Str(Cow::Owned(text.clone()));
        match &self.fields.get(path)?[..] {
            [] => None,
            [one] => Some(text(one)),
            many => Some(EventValue::Array(many.iter().map(text).collect())),
        }
    }

    fn any_string_value(&self, pred: &dyn Fn(&str) -> bool) -> bool {
        self.values.iter().any(|value| pred(value))
    }

    fn all_string_values(&self) -> Vec<Cow<'_, str>> {
        self.values.iter().map(|value| Cow::Borrowed(value.as_str())).collect()
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
}

fn items<'r>(node: &'r Node, out: &mut Vec<&'r Item>) {
    match node {
        Node::All(parts) | Node::Any(parts) => parts.iter().for_each(|part| items(part, out)),
        Node::Item(item) => out.push(item),
    }
}

fn all_items(rule: &Rule) -> Vec<&Item> {
    let mut out = Vec::new();
    rule.detection.sections.iter().for_each(|section| items(&section.body, &mut out));
    out
}

fn tests<'r>(list: &'r [Test], visit: &mut impl FnMut(&'r Test)) {
    for test in list {
        visit(test);
        if let Test::AnyOf(inner) = test {
            tests(inner, visit);
        }
    }
}

/// A rule as both read it; `None` if no event log has its events.
fn pair(rule: &Rule, theirs: CompiledRule, taxonomy: &Taxonomy) -> Option<Pair> {
    let Mapping::Sources(sources) = taxonomy.sources(&rule.logsource, rule.dialect) else {
        return None;
    };
    let mut fields: Vec<String> = Vec::new();
    for item in all_items(rule) {
        fields.extend(item.field.clone());
        tests(&item.values, &mut |test| {
            if let Test::FieldRef { field, .. } = test {
                fields.push(field.clone());
            }
        });
    }
    fields.sort();
    fields.dedup();
    Some(Pair { rule: rule.clone(), theirs, sources, fields })
}

/// SigmaHQ's rules, with how many either side does not take.
fn pairs(root: &Path) -> (Vec<Pair>, BTreeMap<String, usize>) {
    let taxonomy = Taxonomy::builtin(Options::default());
    let mut files: Vec<PathBuf> = ["rules", "rules-emerging-threats", "rules-threat-hunting"]
        .iter()
        .flat_map(|folder| walkdir::WalkDir::new(root.join("sigma").join(folder)))
        .filter_map(Result::ok)
        .map(walkdir::DirEntry::into_path)
        .filter(|path| path.extension().is_some_and(|e| e == "yml"))
        .collect();
    files.sort();
    let mut left_out = BTreeMap::new();
    let mut pairs = Vec::new();
    for file in files {
        let mut leave = |why: String| *left_out.entry(why).or_default() += 1;
        let text = std::fs::read_to_string(&file).unwrap();
        let loaded = load_str(&file.display().to_string(), &text, &LoadOptions::default());
        let [rule] = &loaded.rules[..] else {
            leave("we do not load it".into());
            continue;
        };
        let parsed = rsigma_parser::parse_sigma_yaml(&text).ok();
        let theirs = parsed.as_ref().and_then(|all| all.rules.first()).map(compile_rule);
        let theirs = match theirs {
            Some(Ok(rule)) => rule,
            Some(Err(e)) => {
                leave(format!("rsigma does not compile it: {e}"));
                continue;
            }
            None => {
                leave("rsigma does not parse it".into());
                continue;
            }
        };
        match pair(rule, theirs, &taxonomy) {
            Some(pair) => pairs.push(pair),
            None => leave("it has no events here".into()),
        }
    }
    (pairs, left_out)
}

/// What is known of events with one key and layout: the rules that can be compared on them, and the
/// leaves of each field.
struct Kind {
    rules: Vec<usize>,
    fields: Vec<(String, Vec<usize>)>,
    admitted: usize,
}

fn kind(pairs: &[Pair], taxonomy: &Taxonomy, key: &EventKey<'_>, layout: &Layout) -> Kind {
    let mut resolved: HashMap<&str, Option<Vec<usize>>> = HashMap::new();
    let mut kind = Kind { rules: Vec::new(), fields: Vec::new(), admitted: 0 };
    for (n, pair) in pairs.iter().enumerate() {
        let admitting: Vec<&Source> = pair.sources.iter().filter(|s| s.admits(key)).collect();
        if admitting.is_empty() {
            continue;
        }
        kind.admitted += 1;
        let plain = |source: &&Source| source.view == View::Plain && source.conditions.is_empty();
        let leaves = |name: &String| {
            let sources = taxonomy.resolve(View::Plain, name, key, layout);
            let leaf = |source: FieldSource| match source {
                FieldSource::Leaf(id) => Some(id.index()),
                FieldSource::Derived { .. } => None,
            };
            sources.into_iter().map(leaf).collect::<Option<Vec<usize>>>()
        };
        let mut known = true;
        for name in &pair.fields {
            known &= resolved.entry(name).or_insert_with(|| leaves(name)).is_some();
        }
        if known && admitting.iter().all(plain) {
            kind.rules.push(n);
        }
    }
    let fields = resolved.into_iter();
    kind.fields = fields.filter_map(|(name, at)| Some((name.to_owned(), at?))).collect();
    kind
}

fn flat(event: &Kept, kind: &Kind) -> Flat {
    let leaves: Vec<Vec<String>> = event
        .layout()
        .iter()
        .map(|(id, _)| {
            let mut texts = Vec::new();
            event.values(id, |value| texts.push(value.to_text()));
            texts
        })
        .collect();
    let of = |at: &Vec<usize>| at.iter().flat_map(|n| leaves[*n].clone()).collect();
    let fields = kind.fields.iter().map(|(name, at)| (name.clone(), of(at))).collect();
    let searched = event
        .layout()
        .iter()
        .filter(|(_, leaf)| leaf.section != Section::System || &*leaf.name != "EventID_Qualifiers");
    let values = searched.flat_map(|(id, _)| leaves[id.index()].clone()).collect();
    Flat { fields, values }
}

#[derive(Default)]
struct Tally {
    records: u64,
    compared: u64,
    admitted: u64,
    both: BTreeMap<usize, u64>,
    explained: BTreeMap<&'static str, u64>,
    unexplained: Vec<String>,
}

impl Tally {
    fn add(mut self, other: Tally) -> Tally {
        self.records += other.records;
        self.compared += other.compared;
        self.admitted += other.admitted;
        other.both.into_iter().for_each(|(k, n)| *self.both.entry(k).or_default() += n);
        other.explained.into_iter().for_each(|(k, n)| *self.explained.entry(k).or_default() += n);
        self.unexplained.extend(other.unexplained);
        self
    }
}

fn folded_text(event: &Kept, leaf: Option<harrier::event::LeafId>) -> String {
    let mut text = Vec::new();
    event.first_text(leaf, &mut text);
    harrier::utf16::folded(&String::from_utf8(text).unwrap())
}

type Kinds = HashMap<(String, String, String, usize), (Arc<Layout>, Kind)>;

/// Compares the two on one event.
fn compare_event(
    pairs: &[Pair],
    set: &RuleSet,
    (scanner, kinds): (&mut Scanner<'_>, &mut Kinds),
    event: &Kept,
    name: &dyn Fn() -> String,
    tally: &mut Tally,
) {
    tally.records += 1;
    let system = event.layout().system();
    let provider = folded_text(event, system.provider);
    let channel = folded_text(event, system.channel);
    let id = folded_text(event, system.event_id);
    let address = Arc::as_ptr(event.layout()) as usize;
    let key = (provider, channel, id, address);
    let (_, kind) = kinds.entry(key).or_insert_with_key(|(provider, channel, id, _)| {
        let key = EventKey { provider, channel, event_id: id.parse().ok() };
        (Arc::clone(event.layout()), kind(pairs, set.taxonomy(), &key, event.layout()))
    });
    tally.admitted += kind.admitted as u64;
    let ours: Vec<usize> = scanner.scan(event).iter().map(|id| id.index()).collect();
    let flat = flat(event, kind);
    for n in &kind.rules {
        tally.compared += 1;
        let pair = &pairs[*n];
        let we = ours.contains(n);
        let they = evaluate_rule(&pair.theirs, &flat).is_some();
        if we && they {
            *tally.both.entry(*n).or_default() += 1;
        }
        if we != they {
            match Deviation::of(&pair.rule, &flat) {
                Some(deviation) => *tally.explained.entry(deviation).or_default() += 1,
                None => tally.unexplained.push(format!(
                    "{}: we {we}, they {they}: {}",
                    name(),
                    pair.rule.origin
                )),
            }
        }
    }
}

fn compare_log(
    pairs: &[Pair],
    set: &RuleSet,
    (scanner, reader, kinds): &mut (Scanner<'_>, Reader, Kinds),
    path: &Path,
) -> Tally {
    let mut tally = Tally::default();
    each_record(reader, &std::fs::read(path).unwrap(), |record| {
        let event = Kept::of(record);
        let name = || format!("{} at {:#x}", path.file_name().unwrap().display(), record.offset());
        compare_event(pairs, set, (scanner, kinds), &event, &name, &mut tally);
    });
    tally
}

/// Makes up events that a rule may well match.
struct Maker {
    state: u64,
}

impl Maker {
    fn below(&mut self, n: usize) -> usize {
        // Xorshift: the same events on every run.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state % n.max(1) as u64).unwrap()
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    fn literal(&mut self, text: &str, cased: bool) -> String {
        match self.below(4) {
            0 if !cased => text.to_lowercase(),
            1 if !cased => text.to_uppercase(),
            _ => text.to_owned(),
        }
    }

    /// A text for one test of a rule; `None` for none.
    fn text(&mut self, test: &Test, so_far: &BTreeMap<String, String>) -> Option<String> {
        Some(match test {
            Test::Null => return None,
            Test::Exists(_) => "there".into(),
            Test::Text(pattern) => {
                let mut text = String::new();
                for part in &pattern.parts {
                    match part {
                        Part::Literal(literal) => text += &self.literal(literal, pattern.cased),
                        Part::AnyRun => text += *self.pick(&["", "", "x", " y z ", "\\", "\n"]),
                        Part::AnyChar => text += *self.pick(&["q", "7", "\u{e9}"]),
                        Part::Dash => text += *self.pick(&["-", "/", "\u{2013}", "\u{2015}"]),
                    }
                }
                text
            }
            Test::Number(number) | Test::Compare(_, number) => number.text.clone(),
            Test::Regex(regex) => sample(&regex.pattern, self.state),
            Test::Cidr(net) => net.addr().to_string(),
            Test::TimePart(..) => "2026-03-01T10:00:00.0000000Z".into(),
            Test::FieldRef { field, .. } => so_far.get(field)?.clone(),
            Test::AnyOf(inner) => {
                let inner = self.pick(inner);
                self.text(inner, so_far)?
            }
        })
    }

    /// An event for the rule: each of its fields, or most of them, with a text that some of its
    /// values asks for; now and then a little different.
    fn event(&mut self, pair: &Pair) -> Option<Made> {
        let plain: Vec<&Source> = pair.sources.iter().filter(|s| s.view == View::Plain).collect();
        let source = *plain.get(self.below(plain.len()))?;
        let mut fields: BTreeMap<String, String> = BTreeMap::new();
        let mut keywords = Vec::new();
        for section in &pair.rule.detection.sections {
            let filter = section.name.starts_with("filter");
            let mut list = Vec::new();
            items(&section.body, &mut list);
            for item in list {
                if self.below(10) < if filter { 7 } else { 1 } {
                    continue;
                }
                let mut text = String::new();
                if item.all {
                    for test in &item.values {
                        text += &self.text(test, &fields).unwrap_or_default();
                        text += *self.pick(&["", " ", " x "]);
                    }
                } else {
                    let test = self.pick(&item.values);
                    let Some(one) = self.text(test, &fields) else { continue };
                    text = one;
                }
                match self.below(24) {
                    0 => text.push(' '),
                    1 => text.push('x'),
                    2 => text.insert(0, 'x'),
                    3 => _ = text.pop(),
                    _ => {}
                }
                match &item.field {
                    // Two items of one field: both at once, where both may stand inside.
                    Some(field) => match fields.get_mut(field) {
                        Some(old) if self.below(3) > 0 => {
                            *old = match self.below(2) {
                                0 => format!("{old}{text}"),
                                _ => format!("{text}{old}"),
                            }
                        }
                        _ => _ = fields.insert(field.clone(), text),
                    },
                    None => keywords.push(text),
                }
            }
        }
        let id = fields.remove("EventID").and_then(|id| id.parse().ok());
        let id = id.or_else(|| Some(*source.event_ids.as_ref()?.first()?)).unwrap_or(1);
        let provider = fields.remove("Provider_Name");
        let provider = provider.or_else(|| source.providers.first().cloned());
        let channel = source.channels.first().cloned().unwrap_or_default();
        let mut event = Made::new(&channel, provider.as_deref().unwrap_or("Some-Provider"), id);
        for (name, text) in &fields {
            event = event.data(name, text);
        }
        for text in &keywords {
            event = event.unnamed(&[text]);
        }
        Some(event)
    }
}

/// A text that the expression matches, if one can be made up easily.
fn sample(pattern: &str, seed: u64) -> String {
    use proptest::strategy::{Strategy, ValueTree};
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
    let bare = pattern.trim_start_matches('^').trim_end_matches('$');
    let Ok(strategy) = proptest::string::string_regex(bare) else { return pattern.to_owned() };
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    strategy.new_tree(&mut runner).map_or_else(|_| pattern.to_owned(), |tree| tree.current())
}

/// How rsigma reads the specification otherwise.
struct Deviation {
    name: &'static str,
    /// Whether it can be the reason for a difference by this item on this event.
    applies: fn(&Item, &Flat) -> bool,
}

/// The values of an item's field; all values for keywords.
fn values<'f>(item: &Item, event: &'f Flat) -> &'f [String] {
    match &item.field {
        Some(field) => event.fields.get(field).map_or(&[], |values| values),
        None => &event.values,
    }
}

/// Whether some test of the item is so, those inside others too.
fn any_test(item: &Item, is: impl Fn(&Test) -> bool) -> bool {
    let mut any = false;
    tests(&item.values, &mut |test| any |= is(test));
    any
}

fn is_anchored(item: &Item) -> bool {
    item.modifiers.iter().any(|m| matches!(m.as_str(), "startswith" | "endswith"))
}

/// Whether a pattern is more than a literal with `*` at its ends.
fn has_inner_wildcard(test: &Test) -> bool {
    let Test::Text(pattern) = test else { return false };
    let [_, inner @ .., _] = &pattern.parts[..] else { return false };
    pattern.parts.contains(&Part::AnyChar) || inner.contains(&Part::AnyRun)
}

const DEVIATIONS: &[Deviation] = &[
    Deviation {
        // Windows writes `NtLmSsp ` and `User32 `.
        name: "equality: we ignore blanks and NULs at the end of the event's value",
        applies: |item, event| {
            values(item, event).iter().any(|value| {
                let trimmed = value.trim_end_matches([' ', '\0']);
                let equal = |test: &Test| match test {
                    Test::Text(pattern) => {
                        let folded = harrier::utf16::folded;
                        matches!(&pattern.parts[..], [Part::Literal(text)] if folded(text) == folded(trimmed))
                    }
                    Test::Number(number) => number.text == trimmed,
                    _ => false,
                };
                trimmed != value && any_test(item, equal)
            })
        },
    },
    Deviation {
        name: "keywords with `all`: rsigma wants one value to be equal to all of them",
        applies: |item, _| item.field.is_none() && item.all,
    },
    Deviation {
        name: "startswith and endswith: rsigma binds a value with a wildcard in it to the other end",
        applies: |item, _| is_anchored(item) && any_test(item, has_inner_wildcard),
    },
    Deviation {
        name: "wildcards: rsigma's do not match a newline",
        applies: |item, event| {
            let lines = || values(item, event).iter().any(|value| value.contains('\n'));
            !is_anchored(item) && any_test(item, has_inner_wildcard) && lines()
        },
    },
    Deviation {
        // A flag's dash is any of five characters, a dash inside a word is none.
        name: "windash: rsigma takes each - of the rule, and no other dash",
        applies: |item, _| item.modifiers.iter().any(|m| m == "windash"),
    },
    Deviation {
        name: "base64offset: rsigma keeps the last character, which the next byte decides",
        applies: |item, _| item.modifiers.iter().any(|m| m == "base64offset"),
    },
    Deviation {
        name: "fieldref: rsigma compares no lists of values",
        applies: |item, event| {
            let several = |field: &String| event.fields.get(field).is_some_and(|v| v.len() > 1);
            any_test(item, |test| match test {
                Test::FieldRef { field, .. } => several(field) || item.field.iter().any(several),
                _ => false,
            })
        },
    },
    Deviation {
        name: "equality: a GUID is the same with and without braces",
        applies: |item, event| {
            let guid = |text: &str| text.len() >= 36 && text.matches('-').count() == 4;
            let is = |test: &Test| match test {
                Test::Text(pattern) => {
                    matches!(&pattern.parts[..], [Part::Literal(text)] if guid(text))
                }
                _ => false,
            };
            any_test(item, is) && values(item, event).iter().any(|value| guid(value))
        },
    },
    Deviation {
        name: "neq: rsigma's is false for an absent field",
        applies: |item, event| item.negated && values(item, event).is_empty(),
    },
    Deviation {
        name: "cidr and comparisons: we ignore blanks around an address or a number",
        applies: |item, event| {
            let blank = || values(item, event).iter().any(|value| value.trim() != value);
            let is =
                |test: &Test| matches!(test, Test::Cidr(_) | Test::Compare(..) | Test::Number(_));
            any_test(item, is) && blank()
        },
    },
];

impl Deviation {
    fn of(rule: &Rule, event: &Flat) -> Option<&'static str> {
        let items = all_items(rule);
        let mut known = DEVIATIONS.iter();
        known.find(|d| items.iter().any(|item| (d.applies)(item, event))).map(|d| d.name)
    }
}

fn report(test: &str, pairs: &[Pair], tally: &Tally) {
    println!(
        "{test}: {} rules; {} events; {} of {} admitted pairs compared, {} hits of both by {} \
         rules; deviations: {:#?}",
        pairs.len(),
        tally.records,
        tally.compared,
        tally.admitted,
        tally.both.values().sum::<u64>(),
        tally.both.len(),
        tally.explained
    );
    let mut seen = std::collections::HashSet::new();
    let mut one_a_rule = tally.unexplained.clone();
    one_a_rule.retain(|line| seen.insert(line.rsplit("/").next().unwrap_or_default().to_owned()));
    one_a_rule.iter().take(40).for_each(|line| println!("{line}"));
    assert!(tally.unexplained.is_empty(), "{} unexplained", tally.unexplained.len());
}

#[test]
fn rsigma_gives_the_same_or_a_known_deviation() {
    let Some(root) = corpora("rsigma_gives_the_same_or_a_known_deviation") else { return };
    let (pairs, left_out) = pairs(&root);
    println!("left out: {left_out:#?}");
    let rules = pairs.iter().map(|pair| pair.rule.clone()).collect();
    let set = RuleSet::compile(rules, Taxonomy::builtin(Options::default()));
    let tally = evtx_files(&root)
        .par_iter()
        .map_init(
            || (Scanner::new(&set), Reader::default(), Kinds::new()),
            |state, path| compare_log(&pairs, &set, state, path),
        )
        .reduce(Tally::default, Tally::add);
    report("sample logs", &pairs, &tally);
    assert!(tally.both.len() > 200);
}

/// Events that are made for each rule, so that every rule is seen to match, and to fail narrowly.
#[test]
fn rsigma_agrees_on_events_made_for_each_rule() {
    let Some(root) = corpora("rsigma_agrees_on_events_made_for_each_rule") else { return };
    let (pairs, _) = pairs(&root);
    let tally = pairs
        .par_chunks(16)
        .enumerate()
        .map(|(n, pairs)| {
            let rules = pairs.iter().map(|pair| pair.rule.clone()).collect();
            let set = RuleSet::compile(rules, Taxonomy::builtin(Options::default()));
            let mut tally = Tally::default();
            let mut maker = Maker { state: 0x9E37_79B9_7F4A_7C15 ^ (n as u64 + 1) };
            for pair in pairs {
                let mut scanner = Scanner::new(&set);
                for _ in 0..EVENTS_A_RULE {
                    let Some(event) = maker.event(pair) else { continue };
                    let event = Kept::of(&event);
                    let name = || format!("{:?}", crate::evtx_support::fields(&event));
                    let kinds = &mut Kinds::new();
                    compare_event(pairs, &set, (&mut scanner, kinds), &event, &name, &mut tally);
                }
            }
            // Rules are numbered within their piece.
            tally.both = tally.both.into_iter().map(|(k, hits)| (k + 16 * n, hits)).collect();
            tally
        })
        .reduce(Tally::default, Tally::add);
    report("made events", &pairs, &tally);
    let rarely: Vec<_> = (0..pairs.len()).filter(|n| !tally.both.contains_key(n)).collect();
    println!("{} rules never matched", rarely.len());
    assert!(rarely.len() < pairs.len() / 20);
}

/// How many events are made for a rule.
const EVENTS_A_RULE: usize = 24;

/// The rules of a text that both take.
fn pairs_of(text: &str) -> Vec<Pair> {
    let taxonomy = Taxonomy::builtin(Options::default());
    let loaded = load_str("made.yml", text, &LoadOptions::default());
    let [rule] = &loaded.rules[..] else { return Vec::new() };
    let Ok(parsed) = rsigma_parser::parse_sigma_yaml(text) else { return Vec::new() };
    let Some(Ok(theirs)) = parsed.rules.first().map(compile_rule) else { return Vec::new() };
    pair(rule, theirs, &taxonomy).into_iter().collect()
}

/// Generated rules use what SigmaHQ's do not: `neq`, `exists`, `cased`, comparisons, thresholds.
#[test]
fn rsigma_agrees_on_generated_rules() {
    use proptest::strategy::{Strategy, ValueTree};
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (rules, events) = (crate::oracle::rule(), crate::oracle::event());
    let mut tally = Tally::default();
    let mut compared = 0;
    for _ in 0..GENERATED_RULES {
        let text = rules.new_tree(&mut runner).unwrap().current();
        let pairs = pairs_of(&text);
        compared += pairs.len();
        let rules = pairs.iter().map(|pair| pair.rule.clone()).collect();
        let set = RuleSet::compile(rules, Taxonomy::builtin(Options::default()));
        let (mut scanner, mut kinds) = (Scanner::new(&set), Kinds::new());
        for _ in 0..8 {
            let event = Kept::of(&events.new_tree(&mut runner).unwrap().current());
            let name = || format!("{:?}\n{text}", crate::evtx_support::fields(&event));
            let state = (&mut scanner, &mut kinds);
            compare_event(&pairs, &set, state, &event, &name, &mut tally);
        }
    }
    println!("{compared} of {GENERATED_RULES} rules compared");
    report("generated rules", &[], &tally);
}

/// How many rules are generated.
const GENERATED_RULES: usize = 4000;
