//! A YAML file as a tree that forgets nothing that a rule can depend on.
//!
//! Every scalar keeps its text as written, its style and its place; maps keep their order; the same
//! key twice is an error, because "last one wins" silently drops a condition. What a plain scalar
//! *is* (null, bool, number, text) is decided here and not by a YAML library, because the libraries
//! disagree where rules need them to agree: `00000429` and `0x1410` are text here, `16` is a number
//! that still knows it was written `16`, a date is text.
//!
//! Why not `rsigma-parser`, which parses whole rules: it reads scalars through a serde value, so
//! `SigmaValue::Integer(i64)` and `Float(f64)` have lost what was written (`1.10`); its items and
//! sections carry no line or column; and its sections live in a `HashMap`, so their order, by which
//! a rule is shown and evaluated, is gone. (Checked in rsigma-parser 0.23.0: `value.rs`, `ast.rs`,
//! `parser/detection.rs`.) It serves as the oracle of the differential test instead.
//!
//! The bytes are anybody's. Nesting, nodes and documents are capped; aliases are copied against the
//! same cap of nodes, so that a "billion laughs" ends early; tags other than the plain ones and
//! merge keys are refused by name. A syntax error ends one document only: `---` at the start of a
//! line cannot occur inside a document (YAML 1.2.2, 9.1.2), so reading goes on at the next one.
//!
//! Source of facts: YAML 1.2.2; semantics of scalars as pySigma's corpora rely on them.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, StrInput, Tag};

use super::fault::{At, Fault};

/// Levels of maps and lists. The deepest rule of the public corpora has 6.
const MAX_DEPTH: usize = 64;

/// Scalars, maps and lists in one document, copies by alias included. The largest public rule
/// (drivers by hash) has about 4,000.
pub(super) const MAX_NODES: usize = 500_000;

/// Bytes of text that weigh as much as a node when one is copied: about the size of a node itself.
const NODE_TEXT: usize = 64;

/// Documents in one file: all public rules in a single stream are 7,000.
const MAX_DOCUMENTS: u32 = 100_000;

/// Maps with more keys than this look for duplicates in a hash set instead of pairwise.
const PAIRWISE_KEYS: usize = 16;

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Without quotes: its text decides its type.
    Plain,
    /// In single or double quotes: text.
    Quoted,
    /// A block (`|` or `>`): text.
    Block,
}

/// A scalar.
#[derive(Debug, Clone)]
pub(super) struct Scalar<'a> {
    /// Its text: as written if plain, without quotes and escapes otherwise.
    pub text: Cow<'a, str>,
    /// How it was written.
    pub style: Style,
}

/// What a scalar is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Typed {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A decimal integer without leading zeros.
    Integer(i128),
    /// A decimal fraction.
    Float(f64),
    /// Anything else.
    Text,
}

impl Scalar<'_> {
    /// What it is.
    pub fn typed(&self) -> Typed {
        if self.style == Style::Plain { type_of(&self.text) } else { Typed::Text }
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        self.style == Style::Plain && is_null(&self.text)
    }
}

/// A key of a map: always a scalar.
#[derive(Debug, Clone)]
pub(super) struct Key<'a> {
    /// Its text.
    pub text: Cow<'a, str>,
    /// Its place.
    pub at: At,
    /// Whether it was quoted (its text then starts one column further right).
    pub quoted: bool,
}

/// A node of the tree.
#[derive(Debug, Clone)]
pub(super) struct Yaml<'a> {
    /// Where it starts.
    pub at: At,
    /// What it is.
    pub kind: Kind<'a>,
}

/// The kinds of node.
#[derive(Debug, Clone)]
pub(super) enum Kind<'a> {
    /// A scalar.
    Scalar(Scalar<'a>),
    /// A list.
    List(Vec<Yaml<'a>>),
    /// A map, in the order of the file, no key twice.
    Map(Vec<(Key<'a>, Yaml<'a>)>),
}

impl<'a> Yaml<'a> {
    /// The value of a key, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Yaml<'a>> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|(k, _)| k.text == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The scalar, if it is one.
    pub fn scalar(&self) -> Option<&Scalar<'a>> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// Its text, if it is a scalar and not null.
    pub fn text(&self) -> Option<&str> {
        self.scalar().filter(|s| !s.is_null()).map(|s| s.text.as_ref())
    }

    /// Whether it is a null scalar.
    pub fn is_null(&self) -> bool {
        self.scalar().is_some_and(Scalar::is_null)
    }

    /// What to call it in a message.
    pub fn noun(&self) -> &'static str {
        match &self.kind {
            Kind::Scalar(s) if s.is_null() => "nothing",
            Kind::Scalar(_) => "a single value",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        }
    }

    /// What a copy of a text costs, as [`Yaml::weight`] counts.
    pub fn text_weight(text: &str) -> usize {
        1 + text.len() / NODE_TEXT
    }

    /// What a copy of it costs: its nodes, and its text in units of [`NODE_TEXT`].
    pub fn weight(&self) -> usize {
        let text = Yaml::text_weight;
        match &self.kind {
            Kind::Scalar(s) => text(&s.text),
            Kind::List(items) => 1 + items.iter().map(Yaml::weight).sum::<usize>(),
            Kind::Map(entries) => {
                1 + entries.iter().map(|(k, v)| text(&k.text) + v.weight()).sum::<usize>()
            }
        }
    }
}

/// A document, or why it has none.
pub(super) struct Document<'a> {
    /// Its number in the file, from 0; empty documents count.
    pub number: u32,
    /// Its content.
    pub root: Result<Yaml<'a>, Fault>,
    /// Whether its text has an `action` key as far as a look at its lines tells. Only set for a
    /// document that could not be read: what follows may have depended on it.
    pub had_action: bool,
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// What a plain scalar is.
pub(super) fn type_of(text: &str) -> Typed {
    match text {
        _ if is_null(text) => Typed::Null,
        "true" | "True" | "TRUE" => Typed::Bool(true),
        "false" | "False" | "FALSE" => Typed::Bool(false),
        _ => number(text).unwrap_or(Typed::Text),
    }
}

/// A decimal number: an integer or a fraction, with a sign, without redundant zeros before it.
///
/// An exponent needs a fraction before it (as in YAML 1.1): `12e4` is far more often a piece of a
/// hash than a number. What does not fit (`1.0e999`, 40 digits) stays text.
pub(super) fn number(text: &str) -> Option<Typed> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let whole_len = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, rest) = unsigned.split_at_checked(whole_len)?;
    if whole.len() > 1 && whole.starts_with('0') {
        return None;
    }
    if rest.is_empty() {
        return if whole.is_empty() { None } else { text.parse().ok().map(Typed::Integer) };
    }
    let fraction = rest.strip_prefix('.')?;
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, exponent) = fraction.split_at_checked(digits)?;
    if digits.is_empty() {
        return None;
    }
    if let Some(exponent) = exponent.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        if exponent.is_empty() || !exponent.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
    } else if !exponent.is_empty() {
        return None;
    }
    text.parse().ok().filter(|f: &f64| f.is_finite()).map(Typed::Float)
}

/// The bytes of a file as text: UTF-8 with or without a byte order mark, or UTF-16 with one.
pub(super) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, Fault> {
    let text = match bytes {
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest, 3)?,
        [0xFF, 0xFE, rest @ ..] => Cow::Owned(utf16(rest, u16::from_le_bytes)?),
        [0xFE, 0xFF, rest @ ..] => Cow::Owned(utf16(rest, u16::from_be_bytes)?),
        _ => utf8(bytes, 0)?,
    };
    // YAML forbids NUL, and parsers take it for the end of the text: all behind it would be lost.
    match text.find('\0') {
        Some(offset) => Err(Fault::new(at_offset(&text, offset), "a NUL character in the file")),
        None => Ok(text),
    }
}

fn utf8(bytes: &[u8], skipped: usize) -> Result<Cow<'_, str>, Fault> {
    std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|error| {
        let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let valid = String::from_utf8_lossy(valid);
        let offset = skipped + error.valid_up_to();
        Fault::new(
            at_offset(&valid, valid.len()),
            format!("not UTF-8 text: invalid byte at offset {offset}"),
        )
    })
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, Fault> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut text = String::with_capacity(bytes.len());
    let mut offset = 2_usize;
    for decoded in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        match decoded {
            Ok(c) => {
                text.push(c);
                offset += 2 * c.len_utf16();
            }
            Err(_) => {
                let at = at_offset(&text, text.len());
                let reason = format!("not UTF-16 text: lone surrogate at offset {offset}");
                return Err(Fault::new(at, reason));
            }
        }
    }
    if rest.is_empty() {
        Ok(text)
    } else {
        let at = at_offset(&text, text.len());
        Err(Fault::new(at, "not UTF-16 text: an odd number of bytes"))
    }
}

/// The place of a byte offset in a text.
fn at_offset(text: &str, offset: usize) -> At {
    let mut place = At::START;
    let mut previous = '\0';
    for (position, c) in text.char_indices() {
        if position >= offset {
            break;
        }
        step(&mut place, previous, c);
        previous = c;
    }
    place
}

/// Moves a place over a character. Breaks are LF, CR and CR LF, as YAML has them.
fn step(place: &mut At, previous: char, c: char) {
    match c {
        '\n' if previous == '\r' => {}
        '\n' | '\r' => *place = At { line: place.line.saturating_add(1), column: 1 },
        _ => place.column = place.column.saturating_add(1),
    }
}

/// A file's text and where its lines start.
pub(super) struct Source<'a> {
    /// The text.
    pub text: &'a str,
    /// Offsets of the lines, made when first asked for: files without a fault never need them.
    lines: OnceCell<Vec<usize>>,
}

impl<'a> Source<'a> {
    /// A text of which nothing is known yet.
    pub fn new(text: &'a str) -> Source<'a> {
        Source { text, lines: OnceCell::new() }
    }

    fn lines(&self) -> &[usize] {
        self.lines.get_or_init(|| {
            let bytes = self.text.as_bytes();
            let breaks = memchr::memchr2_iter(b'\n', b'\r', bytes)
                .filter(|&i| bytes.get(i..i + 2) != Some(b"\r\n"));
            std::iter::once(0).chain(breaks.map(|i| i + 1)).collect()
        })
    }

    /// The text from the start of a line (counted from 1) on.
    fn line_on(&self, line: u32) -> Option<&'a str> {
        let index = usize::try_from(line.checked_sub(1)?).ok()?;
        self.text.get(*self.lines().get(index)?..)
    }

    /// The text from the start of a line to the start of another, or to the end.
    fn between(&self, from: u32, to: Option<u32>) -> &'a str {
        let start = self.line_on(from).unwrap_or_default();
        let after = to.and_then(|to| self.line_on(to)).map_or(0, str::len);
        start.get(..start.len().saturating_sub(after)).unwrap_or_default()
    }

    /// The place in the file of a character of a scalar's text.
    ///
    /// YAML folds lines, strips indentation and removes quotes, so the offset in the value is not
    /// an offset in the file. What survives all that, and in order, are the characters that are not
    /// white space: the n-th such character of the value is the n-th of the scalar's source. (An
    /// escape in double quotes breaks that; the place is then a few columns off, in the right
    /// scalar.)
    pub fn place_in(&self, scalar: &Scalar<'_>, start: At, character: usize) -> At {
        let wanted = scalar.text.chars().take(character).filter(|c| !c.is_whitespace()).count();
        let mut place = At { line: start.line, column: 1 };
        let mut previous = '\0';
        let mut seen = 0;
        let mut quote = scalar.style == Style::Quoted;
        for c in self.line_on(start.line).unwrap_or_default().chars() {
            if (place.line, place.column) >= (start.line, start.column) {
                if quote {
                    quote = false;
                } else if !c.is_whitespace() {
                    if seen == wanted {
                        return place;
                    }
                    seen += 1;
                }
            }
            step(&mut place, previous, c);
            previous = c;
        }
        start
    }
}

/// Reads a text document by document, in order, and hands each on.
///
/// Empty documents are left out. After a syntax error reading goes on at the next `---`.
pub(super) fn documents<'a>(source: &Source<'a>, mut hand_on: impl FnMut(Document<'a>)) {
    let mut number = 0;
    let mut before = 0;
    loop {
        let Err(broken) = read_segment(source, before, &mut number, &mut hand_on) else { return };
        let next = broken.next(source, before);
        let had_action = has_action_line(source.between(broken.started, next));
        hand_on(Document { number, root: Err(broken.fault), had_action });
        number = number.saturating_add(1);
        match next {
            Some(line) if number < MAX_DOCUMENTS => before = line - 1,
            _ => return,
        }
    }
}

fn has_action_line(text: &str) -> bool {
    text.lines().any(|line| line.trim_start_matches(['"', '\'', '{', ' ']).starts_with("action"))
}

fn is_document_start(text: &str) -> bool {
    text.strip_prefix("---")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\r']))
}

/// The text of the document that has this line, without the lines that part it from others.
pub(super) fn document_around<'a>(source: &Source<'a>, line: u32) -> &'a str {
    let count = u32::try_from(source.lines().len()).unwrap_or(u32::MAX);
    let is_start = |n: &u32| source.line_on(*n).is_some_and(is_document_start);
    let is_end = |n: &u32| is_start(n) || source.line_on(*n).is_some_and(is_document_end);
    let start = (1..=line.min(count)).rev().find(is_start);
    let first = start.map_or(1, |start| {
        let marker = source.between(start, start.checked_add(1));
        let content = marker.trim_start_matches('-').trim_start();
        let bare = content.is_empty() || content.starts_with('#');
        if bare && start < line { start.saturating_add(1) } else { start }
    });
    let next = (line.saturating_add(1)..=count).find(is_end);
    source.between(first, next)
}

fn is_document_end(text: &str) -> bool {
    text.strip_prefix("...")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\r']))
}

/// A syntax error and the line where the document that has it began.
struct Broken {
    started: u32,
    fault: Fault,
}

impl Broken {
    /// The line of the first `---` that can begin another document than the broken one: behind the
    /// start of that one, and not before the place of the error.
    fn next(&self, source: &Source<'_>, before: u32) -> Option<u32> {
        let behind = self.started.max(before.saturating_add(1)).saturating_add(1);
        let first = behind.max(self.fault.at.line);
        let count = u32::try_from(source.lines().len()).unwrap_or(u32::MAX);
        (first..=count).find(|line| source.line_on(*line).is_some_and(is_document_start))
    }
}

/// Reads documents from behind the first `before` lines on, up to the end or a syntax error.
fn read_segment<'a>(
    source: &Source<'a>,
    before: u32,
    number: &mut u32,
    hand_on: &mut impl FnMut(Document<'a>),
) -> Result<(), Broken> {
    let text = if before == 0 { Some(source.text) } else { source.line_on(before + 1) };
    let mut parser = Parser::new(StrInput::new(text.unwrap_or_default()));
    let mut builder = Builder::default();
    let mut fault: Option<Fault> = None;
    let mut started = before + 1;
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(|error| Broken {
            started,
            fault: fault.take().unwrap_or_else(|| {
                Fault::new(place(*error.marker(), before), format!("YAML: {}", error.info()))
            }),
        })?;
        let at = place(span.start, before);
        match event {
            Event::DocumentStart(_) => {
                started = at.line;
                builder = Builder::default();
                fault = None;
            }
            Event::DocumentEnd => {
                let root = match (fault.take(), builder.root.take()) {
                    (Some(fault), _) => Some(Err(fault)),
                    (None, root) => root.filter(|root| !root.is_null()).map(Ok),
                };
                if let Some(root) = root {
                    let had_action =
                        root.is_err() && has_action_line(source.between(started, Some(at.line)));
                    hand_on(Document { number: *number, root, had_action });
                }
                *number = number.saturating_add(1);
                if *number >= MAX_DOCUMENTS {
                    let reason = format!("more than {MAX_DOCUMENTS} documents in one file");
                    // As if the rest were one broken document: nothing after it is read.
                    return Err(Broken { started, fault: Fault::new(at, reason) });
                }
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd => {}
            event => {
                if fault.is_none() {
                    fault = builder.add(event, at).err();
                }
            }
        }
    }
    Ok(())
}

fn place(marker: Marker, before: u32) -> At {
    let line = u32::try_from(marker.line()).unwrap_or(u32::MAX).saturating_add(before);
    let column = u32::try_from(marker.col()).unwrap_or(u32::MAX).saturating_add(1);
    At { line, column }
}

/// A map or list that is still open.
enum Frame<'a> {
    List { at: At, anchor: usize, items: Vec<Yaml<'a>> },
    Map { at: At, anchor: usize, entries: Vec<(Key<'a>, Yaml<'a>)>, keys: Keys<'a> },
}

/// The keys of an open map.
#[derive(Default)]
struct Keys<'a> {
    /// The key whose value comes next.
    pending: Option<Key<'a>>,
    /// All keys so far, once there are many.
    seen: HashSet<Cow<'a, str>>,
}

/// Builds the tree of one document from events.
#[derive(Default)]
struct Builder<'a> {
    open: Vec<Frame<'a>>,
    root: Option<Yaml<'a>>,
    anchors: HashMap<usize, Yaml<'a>>,
    nodes: usize,
}

impl<'a> Builder<'a> {
    fn add(&mut self, event: Event<'a>, at: At) -> Result<(), Fault> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let style = match (style, forced_text(tag.as_deref(), at)?) {
                    (ScalarStyle::Plain, false) => Style::Plain,
                    (ScalarStyle::Literal | ScalarStyle::Folded, _) => Style::Block,
                    _ => Style::Quoted,
                };
                self.finish(Yaml { at, kind: Kind::Scalar(Scalar { text, style }) }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                collection_tag(tag.as_deref(), "seq", at)?;
                self.open(Frame::List { at, anchor, items: Vec::new() }, at)
            }
            Event::MappingStart(anchor, tag) => {
                collection_tag(tag.as_deref(), "map", at)?;
                let (entries, keys) = (Vec::new(), Keys::default());
                self.open(Frame::Map { at, anchor, entries, keys }, at)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Frame::List { at, anchor, items }) => {
                    self.finish(Yaml { at, kind: Kind::List(items) }, anchor)
                }
                Some(Frame::Map { at, anchor, entries, .. }) => {
                    self.finish(Yaml { at, kind: Kind::Map(entries) }, anchor)
                }
                None => Err(Fault::new(at, "YAML: end of a map or list that never began")),
            },
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    return Err(Fault::new(at, "an alias inside the node that it names"));
                };
                // Counted before it is copied: this is what stops a "billion laughs".
                self.nodes = self.nodes.saturating_add(node.weight());
                if self.nodes > MAX_NODES {
                    return Err(too_many_nodes(at));
                }
                let node = Yaml { at, kind: node.kind.clone() };
                if self.open.len().saturating_add(depth(&node)) > MAX_DEPTH {
                    return Err(too_deep(at));
                }
                self.put(node)
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, frame: Frame<'a>, at: At) -> Result<(), Fault> {
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(at));
        }
        if let Some(Frame::Map { keys: Keys { pending: None, .. }, .. }) = self.open.last() {
            return Err(Fault::new(at, "a map or list as a key"));
        }
        self.open.push(frame);
        Ok(())
    }

    /// Takes a complete node of the file itself.
    fn finish(&mut self, node: Yaml<'a>, anchor: usize) -> Result<(), Fault> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(too_many_nodes(node.at));
        }
        if anchor != 0 {
            // Anchored nodes are held twice, so they count twice.
            self.nodes = self.nodes.saturating_add(node.weight());
            if self.nodes > MAX_NODES {
                return Err(too_many_nodes(node.at));
            }
            self.anchors.insert(anchor, node.clone());
        }
        self.put(node)
    }

    /// Puts a node where it belongs: as root, list item, key or value.
    fn put(&mut self, node: Yaml<'a>) -> Result<(), Fault> {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Frame::List { items, .. }) => items.push(node),
            Some(Frame::Map { entries, keys, .. }) => match keys.pending.take() {
                Some(key) => entries.push((key, node)),
                None => keys.pending = Some(new_key(node, entries, &mut keys.seen)?),
            },
        }
        Ok(())
    }
}

/// Makes a key of a node, unless it is none or the map has it already.
fn new_key<'a>(
    node: Yaml<'a>,
    entries: &[(Key<'a>, Yaml<'a>)],
    seen: &mut HashSet<Cow<'a, str>>,
) -> Result<Key<'a>, Fault> {
    let at = node.at;
    let Kind::Scalar(scalar) = node.kind else {
        return Err(Fault::new(at, "a map or list as a key"));
    };
    if scalar.style == Style::Plain && scalar.text == "<<" {
        return Err(Fault::new(at, "merge keys (`<<`) are not supported: write the keys out"));
    }
    let known = if entries.len() < PAIRWISE_KEYS {
        entries.iter().any(|(key, _)| key.text == scalar.text)
    } else {
        if seen.is_empty() {
            seen.extend(entries.iter().map(|(key, _)| key.text.clone()));
        }
        !seen.insert(scalar.text.clone())
    };
    if known {
        return Err(Fault::new(at, format!("the key `{}` stands twice in one map", scalar.text)));
    }
    Ok(Key { text: scalar.text, at, quoted: scalar.style == Style::Quoted })
}

fn depth(node: &Yaml<'_>) -> usize {
    match &node.kind {
        Kind::Scalar(_) => 0,
        Kind::List(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Kind::Map(entries) => 1 + entries.iter().map(|(_, v)| depth(v)).max().unwrap_or(0),
    }
}

fn too_deep(at: At) -> Fault {
    Fault::new(at, format!("maps and lists nested deeper than {MAX_DEPTH}"))
}

fn too_many_nodes(at: At) -> Fault {
    Fault::new(at, format!("more than {MAX_NODES} values in one document"))
}

/// Whether a scalar's tag makes it text whatever it looks like.
fn forced_text(tag: Option<&Tag>, at: At) -> Result<bool, Fault> {
    match tag {
        None => Ok(false),
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => Ok(true),
        Some(tag) => Err(Fault::new(at, format!("the YAML tag `{tag}` is not supported"))),
    }
}

fn collection_tag(tag: Option<&Tag>, allowed: &str, at: At) -> Result<(), Fault> {
    match tag {
        None => Ok(()),
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == allowed => Ok(()),
        Some(tag) => Err(Fault::new(at, format!("the YAML tag `{tag}` is not supported"))),
    }
}

#[cfg(test)]
mod tests;
