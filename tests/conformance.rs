//! What Sigma means, sentence by sentence: rules and events as data, in `tests/conformance`.
//!
//! Each file is one chapter. Its rules are compiled together, its events are written to one log, and the
//! log is read by both lanes and scanned in both ways; each line that begins with `hit` or `miss` is a
//! case: this event under the rule above it.
//!
//! ```text
//! ## A sentence that the cases below belong to.
//!   F|contains: x              a detection, indented; without a condition it is one selection
//! hit   F=axb ; G=             fields of the event; {U+000A} is that character
//! miss  F:u32=5                a value of another type than text: see `value`
//! refused  WORDS | F|i: x      a detection that is refused for a reason with these words; ` ; ` is a
//!                              line's end
//! ```
//!
//! Fields are named data, unless they are called `unnamed` or begin with `user.` (UserData) or `@`
//! (Provider, Channel, Computer and EventID of System); `%sysmon=1` and `%security=4688` are short for
//! the events of these two. A detection may be preceded by a line with its log source. `F:absent=` is an element that the template has and the
//! record has not, `F:null=` one of no type in a slot that is always there.

use crate::support::logs::each_record;
use crate::support::titles;
use forge::{
    Body, Element, Event, FileTime, Instance, LogWriter, Options, Provider, Sid, Slot, Template,
    UserData, Value, ValueType,
};
use harrier::engine::RuleSet;
use harrier::evtx::{self, Reader};
use harrier::sigma::{LoadOptions, load_str};
use harrier::taxonomy::{self, Taxonomy};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// A rule's detection and the events that it is asked about.
struct Block {
    sentence: String,
    line: usize,
    detection: String,
    cases: Vec<(usize, bool, Event)>,
}

/// A detection that is not to load.
struct Refused {
    line: usize,
    words: String,
    detection: String,
}

struct Chapter {
    blocks: Vec<Block>,
    refused: Vec<Refused>,
}

impl Chapter {
    fn read(text: &str) -> Chapter {
        let mut chapter = Chapter { blocks: Vec::new(), refused: Vec::new() };
        let mut sentence = String::new();
        let mut open = false;
        for (line, number) in text.lines().zip(1..) {
            if let Some(heading) = line.strip_prefix("## ") {
                (sentence, open) = (heading.to_owned(), false);
            } else if line.starts_with("  ") {
                if !open {
                    let (sentence, detection, cases) = (sentence.clone(), String::new(), vec![]);
                    chapter.blocks.push(Block { sentence, line: number, detection, cases });
                    open = true;
                }
                let block = chapter.blocks.last_mut().unwrap();
                writeln!(block.detection, "{line}").unwrap();
            } else if let Some(refused) = line.strip_prefix("refused ") {
                let (words, detection) = refused.split_once(" | ").expect("words | detection");
                let detection = detection.split(" ; ").fold(String::new(), |mut lines, line| {
                    writeln!(lines, "  {line}").unwrap();
                    lines
                });
                let words = words.trim().to_owned();
                chapter.refused.push(Refused { line: number, words, detection });
                open = false;
            } else if let Some((kind @ ("hit" | "miss"), fields)) = line.split_once(' ') {
                let block = chapter.blocks.last_mut().expect("a rule above its cases");
                block.cases.push((number, kind == "hit", event(fields.trim())));
                open = false;
            } else {
                assert!(line.is_empty() || line.starts_with('#'), "line {number}: {line:?}");
                open = false;
            }
        }
        chapter
    }
}

/// The rule of this detection, under a title.
fn rule(title: &str, detection: &str) -> String {
    let (source, detection) = match detection.strip_prefix("  logsource: ") {
        Some(rest) => rest.split_once('\n').expect("a detection below the log source"),
        None => ("{product: windows}", detection),
    };
    let mut yaml = format!("---\ntitle: {title}\nlogsource: {source}\ndetection:\n");
    // What is refused for its condition has one section, called `a`.
    if detection.lines().any(|line| line.starts_with("  condition:") || line.starts_with("  a:")) {
        yaml.push_str(detection);
    } else {
        yaml.push_str("  selection:\n");
        detection.lines().for_each(|line| writeln!(yaml, "  {line}").unwrap());
        yaml.push_str("  condition: selection\n");
    }
    yaml
}

fn options() -> LoadOptions {
    let admins = ["alice", "bob"].map(str::to_owned).to_vec();
    LoadOptions { expand: [("admins".to_owned(), admins)].into(), ..LoadOptions::default() }
}

/// A text with its `{U+000A}` replaced.
fn unescaped(text: &str) -> String {
    let mut parts = text.split("{U+");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (hex, rest) = part.split_once('}').expect("{U+hex}");
        out.push(u32::from_str_radix(hex, 16).ok().and_then(char::from_u32).expect("a character"));
        out.push_str(rest);
    }
    out
}

fn value(kind: &str, text: &str) -> Value {
    let hex = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap();
    match kind {
        "" => unescaped(text).into(),
        "u32" => text.parse::<u32>().unwrap().into(),
        "u64" => text.parse::<u64>().unwrap().into(),
        "i32" => text.parse::<i32>().unwrap().into(),
        "i64" => text.parse::<i64>().unwrap().into(),
        "f64" => text.parse::<f64>().unwrap().into(),
        "hex32" => Value::Hex32(u32::try_from(hex(text)).unwrap()),
        "hex64" => Value::Hex64(hex(text)),
        "bool" => text.parse::<bool>().unwrap().into(),
        "guid" => text.parse::<forge::Guid>().unwrap().into(),
        "sid" => Sid::literal(text).into(),
        "binary" => {
            let digits: Vec<char> = text.chars().collect();
            let byte = |pair: &[char]| hex(&pair.iter().collect::<String>()) as u8;
            digits.chunks(2).map(byte).collect::<Vec<u8>>().into()
        }
        "null" | "absent" => Value::NullOf(ValueType::String),
        other => panic!("no such type: {other}"),
    }
}

/// The event of a case's fields.
pub fn event(fields: &str) -> Event {
    let (mut provider, mut channel, mut computer) = ("Example", "Application", "host.example");
    let mut id = 1;
    let mut data = Element::new("EventData");
    let (mut values, mut user) = (Vec::new(), Vec::new());
    for field in fields.split(" ; ") {
        let (name, text) = field.split_once('=').unwrap_or((field, ""));
        match name {
            "@Provider" => provider = text,
            "@Channel" => channel = text,
            "@Computer" => computer = text,
            "@EventID" => id = text.parse().unwrap(),
            "%sysmon" => {
                provider = "Microsoft-Windows-Sysmon";
                channel = "Microsoft-Windows-Sysmon/Operational";
                id = text.parse().unwrap();
            }
            "%security" => {
                (provider, channel) = ("Microsoft-Windows-Security-Auditing", "Security");
                id = text.parse().unwrap();
            }
            _ => {
                if let Some(name) = name.strip_prefix("user.") {
                    user.push((name.to_owned(), value("", text)));
                    continue;
                }
                let (name, kind) = name.split_once(':').unwrap_or((name, ""));
                let index = u16::try_from(values.len()).unwrap();
                let value = value(kind, text);
                let (optional, kind) = (kind == "absent", value.declared_type());
                let mut leaf = Element::new("Data");
                if name != "unnamed" {
                    leaf = leaf.attr("Name", name.to_owned());
                }
                if optional {
                    leaf = leaf.depends_on(index);
                }
                data = data.child(leaf.child(forge::Node::Slot(Slot { index, kind, optional })));
                values.push(value);
            }
        }
    }
    let mut event = Event::new(Provider::classic(provider.to_owned()), id, channel.to_owned())
        .at(FileTime::literal("2026-03-01T00:00:00Z"))
        .on(computer.to_owned());
    event.body = if user.is_empty() {
        Body::Instance(Instance { template: Template::new(data), values })
    } else {
        assert!(values.is_empty(), "{fields}: EventData or UserData");
        Body::User(UserData::new("Made", "urn:made", user))
    };
    event
}

/// Runs a chapter and gives the number of its cases.
fn conforms(file: &str, text: &str) -> usize {
    let chapter = Chapter::read(text);
    let mut yaml = String::new();
    for block in &chapter.blocks {
        yaml.push_str(&rule(&format!("line {}", block.line), &block.detection));
    }
    let loaded = load_str(file, &yaml, &options());
    assert!(loaded.refused.is_empty(), "{file}: {:#?}", loaded.refused);
    let set = RuleSet::compile(loaded.rules, Taxonomy::builtin(taxonomy::Options::default()));

    let cases: Vec<_> = chapter
        .blocks
        .iter()
        .flat_map(|block| block.cases.iter().map(move |case| (block, case)))
        .collect();
    let mut log = LogWriter::in_memory(Options::new());
    for (_, (_, _, event)) in &cases {
        log.push(event).unwrap();
    }
    let log = log.into_bytes().unwrap();

    let mut wrong = String::new();
    for slow_only in [false, true] {
        let options = evtx::Options { slow_only, ..evtx::Options::default() };
        let mut cases = cases.iter();
        each_record(&mut Reader::new(options), &log, |record| {
            let (block, (line, want, _)) = cases.next().expect("as many records as cases");
            let hits: BTreeSet<String> = titles(&set, record).into_iter().collect();
            if hits.contains(&format!("line {}", block.line)) != *want {
                let want = if *want { "hit" } else { "miss" };
                writeln!(wrong, "{file}:{line}: no {want}: {}", block.sentence).unwrap();
            }
        });
        assert!(cases.next().is_none(), "{file}: a case without a record");
    }
    for Refused { line, words, detection } in &chapter.refused {
        let loaded = load_str(file, &rule("refused", detection), &options());
        match &loaded.refused[..] {
            [refused] if refused.reason.contains(words) => {}
            other => writeln!(wrong, "{file}:{line}: not refused so: {other:?}").unwrap(),
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    cases.len() + chapter.refused.len()
}

macro_rules! chapters {
    ($($name:ident: $file:literal, $least:literal;)*) => {$(
        #[test]
        fn $name() {
            let cases = conforms($file, include_str!(concat!("conformance/", $file)));
            // Cases may be added; a chapter that lost most of its own is no chapter.
            assert!(cases >= $least, "{cases}");
        }
    )*};
}

chapters! {
    truth: "2-truth.txt", 50;
    values: "3-values.txt", 190;
    selections: "4-selections.txt", 60;
    modifiers: "5-modifiers.txt", 230;
    conditions: "6-conditions.txt", 80;
    sources: "10-sources.txt", 60;
}
