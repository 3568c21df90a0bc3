//! What the tests of the EVTX reader share: the sample logs, the crate as oracle with a reading of
//! its XML that owes nothing to Harrier's, and sinks.

use harrier::event::{Event, LeafKind, Section};
use harrier::evtx::{ChunkReport, Damage, Reader, Record, Sink, State, open};
use quick_xml::events::Event as Xml;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// The folders with sample logs; `None`, with a note, where there are none.
pub fn corpora() -> Option<PathBuf> {
    crate::support::corpora(&crate::support::this_test())
}

/// All sample logs, in order.
pub fn logs() -> Vec<(PathBuf, Vec<u8>)> {
    let Some(dir) = corpora() else { return Vec::new() };
    let mut paths: Vec<PathBuf> = walkdir::WalkDir::new(dir)
        .into_iter()
        .filter_map(Result::ok)
        .map(walkdir::DirEntry::into_path)
        .filter(|p| p.extension().is_some_and(|e| e.eq_ignore_ascii_case("evtx")))
        .collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let data = std::fs::read(&path).unwrap();
            (path, data)
        })
        .collect()
}

/// A value of an event: section, kind, name, text.
pub type Field = (Section, LeafKind, String, String);

/// A record as tests compare it.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub chunk: u64,
    pub offset: u64,
    pub id: u64,
    pub time: u64,
    pub recovered: bool,
    pub fields: Vec<Field>,
    pub declined: Option<harrier::evtx::Decline>,
}

/// All that a reader says of a source.
#[derive(Debug, Default)]
pub struct Heard {
    pub records: Vec<Seen>,
    pub chunks: Vec<ChunkReport>,
    pub damage: Vec<Damage>,
}

impl Sink for Heard {
    fn record(&mut self, record: &Record<'_>) -> ControlFlow<()> {
        self.records.push(Seen {
            chunk: record.chunk(),
            offset: record.offset(),
            id: record.header_record_id(),
            time: record.header_time(),
            recovered: record.state() == State::Recovered,
            fields: fields(record),
            declined: record.declined(),
        });
        ControlFlow::Continue(())
    }

    fn chunk(&mut self, report: ChunkReport) {
        self.chunks.push(report);
    }

    fn damage(&mut self, damage: Damage) {
        self.damage.push(damage);
    }
}

/// The fields of an event, in order.
pub fn fields(event: &impl Event) -> Vec<Field> {
    let mut fields = Vec::new();
    for (id, leaf) in event.layout().iter() {
        event.values(id, |value| {
            fields.push((leaf.section, leaf.kind, leaf.name.to_string(), value.to_text()));
        });
    }
    fields
}

/// Reads all slots of a source.
pub fn read(reader: &mut Reader, data: &[u8]) -> Heard {
    let mut heard = Heard::default();
    let source = data.to_vec();
    let log = open(&source).unwrap();
    let flow = reader.read(&source, &log, 0..u64::MAX, &mut heard);
    assert!(flow.is_continue());
    heard
}

/// An element of the oracle's XML.
#[derive(Debug, Default)]
struct Node {
    name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Node>,
    text: String,
}

fn resolve(name: &str) -> String {
    match name {
        "lt" => "<".into(),
        "gt" => ">".into(),
        "amp" => "&".into(),
        "quot" => "\"".into(),
        "apos" => "'".into(),
        _ => {
            let n = name.strip_prefix('#').and_then(|n| n.parse().ok()).and_then(char::from_u32);
            n.map_or(format!("&{name};"), String::from)
        }
    }
}

fn tree(xml: &str) -> Result<Node, String> {
    let mut reader = quick_xml::Reader::from_str(xml);
    let mut stack = vec![Node::default()];
    loop {
        match reader.read_event().map_err(|e| e.to_string())? {
            Xml::Eof => break,
            event @ (Xml::Start(_) | Xml::Empty(_)) => {
                let (Xml::Start(start) | Xml::Empty(start)) = &event else { unreachable!() };
                let mut node =
                    Node { name: start.name().into_inner().to_owned(), ..Node::default() };
                for a in start.attributes() {
                    let a = a.map_err(|e| e.to_string())?;
                    let value = quick_xml::escape::unescape(&a.value).map_err(|e| e.to_string())?;
                    node.attributes.push((a.key.into_inner().to_owned(), value.into_owned()));
                }
                if matches!(event, Xml::Empty(_)) {
                    stack.last_mut().unwrap().children.push(node);
                } else {
                    stack.push(node);
                }
            }
            Xml::End(_) => {
                let node = stack.pop().unwrap();
                stack.last_mut().ok_or("unbalanced")?.children.push(node);
            }
            Xml::Text(t) => stack.last_mut().unwrap().text.push_str(&t),
            Xml::CData(t) => stack.last_mut().unwrap().text.push_str(&t),
            Xml::GeneralRef(r) => stack.last_mut().unwrap().text.push_str(&resolve(&r)),
            _ => {}
        }
    }
    let mut root = stack.pop().ok_or("unbalanced")?;
    root.children.pop().ok_or_else(|| "no root".to_owned())
}

fn bare(name: &str) -> String {
    name.rsplit(':').next().unwrap().to_owned()
}

fn is_namespace(name: &str) -> bool {
    name == "xmlns" || name.starts_with("xmlns:")
}

/// The fields in the oracle's XML of an event.
pub fn oracle_fields(xml: &str) -> Result<Vec<Field>, String> {
    let root = tree(xml)?;
    let mut out = Vec::new();
    if root.name != "Event" {
        body(&root, Section::UserData, &mut out);
        return Ok(out);
    }
    for part in &root.children {
        match bare(&part.name).as_str() {
            "System" => part.children.iter().for_each(|e| system(e, &mut out)),
            "EventData" => part.children.iter().for_each(|e| event_data(e, &mut out)),
            "UserData" => part.children.iter().for_each(|e| body(e, Section::UserData, &mut out)),
            "RenderingInfo" | "ProcessingErrorData" | "SubscriptionBookmarkEvent" => continue,
            _ => {
                body(part, Section::UserData, &mut out);
                continue;
            }
        }
        own_text(part, Section::UserData, &mut out);
    }
    own_text(&root, Section::UserData, &mut out);
    Ok(out)
}

/// Text that stands beside elements, or where only elements should.
fn own_text(e: &Node, section: Section, out: &mut Vec<Field>) {
    if !e.text.trim_matches([' ', '\t', '\r', '\n']).is_empty() {
        out.push((section, LeafKind::Named, bare(&e.name), e.text.clone()));
    }
}

fn system(e: &Node, out: &mut Vec<Field>) {
    for (name, value) in e.attributes.iter().filter(|(n, _)| !is_namespace(n)) {
        let name = format!("{}_{}", bare(&e.name), bare(name));
        out.push((Section::System, LeafKind::Attribute, name, value.clone()));
    }
    e.children.iter().for_each(|child| system(child, out));
    leaf(e, Section::System, LeafKind::Named, &bare(&e.name), out);
}

fn event_data(e: &Node, out: &mut Vec<Field>) {
    let own = bare(&e.name);
    let name = e.attributes.iter().rfind(|(n, _)| bare(n) == "Name");
    let (kind, name) = match (own.as_str(), name) {
        ("Data", Some((_, name))) if !name.is_empty() => (LeafKind::Named, name.as_str()),
        ("Data", _) => (LeafKind::Unnamed, "Data"),
        ("Binary", _) => (LeafKind::Binary, "Binary"),
        _ => {
            attributes(e, Section::EventData, out);
            (LeafKind::Named, own.as_str())
        }
    };
    e.children.iter().for_each(|child| event_data(child, out));
    leaf(e, Section::EventData, kind, name, out);
}

fn body(e: &Node, section: Section, out: &mut Vec<Field>) {
    attributes(e, section, out);
    e.children.iter().for_each(|child| body(child, section, out));
    leaf(e, section, LeafKind::Named, &bare(&e.name), out);
}

fn attributes(e: &Node, section: Section, out: &mut Vec<Field>) {
    for (name, value) in e.attributes.iter().filter(|(n, _)| !is_namespace(n)) {
        out.push((section, LeafKind::Attribute, bare(name), value.clone()));
    }
}

fn leaf(e: &Node, section: Section, kind: LeafKind, name: &str, out: &mut Vec<Field>) {
    let blank = e.text.trim_matches([' ', '\t', '\r', '\n']).is_empty();
    if e.children.is_empty() || !blank {
        out.push((section, kind, name.to_owned(), e.text.clone()));
    }
}

/// A record as the `evtx` crate sees it: chunk, offset in the chunk, id, and the XML or an error.
pub struct OracleRecord {
    pub chunk: u64,
    pub at: u64,
    pub id: u64,
    pub xml: Result<String, String>,
}

/// All records that the crate sees, and the number of its errors that belong to no record.
pub fn oracle(data: &[u8]) -> (Vec<OracleRecord>, usize) {
    use evtx::{EvtxChunk, EvtxChunkHeader, ParserSettings};
    let settings = std::sync::Arc::new(ParserSettings::new().indent(false));
    let (mut records, mut errors) = (Vec::new(), 0);
    for (number, slot) in (0u64..).zip(data.get(4096..).unwrap_or(&[]).chunks(65536)) {
        let Ok(header) = EvtxChunkHeader::from_bytes(slot) else {
            errors += usize::from(slot.iter().any(|b| *b != 0));
            continue;
        };
        let Ok(mut chunk) = EvtxChunk::new(slot, &header, settings.clone()) else {
            errors += 1;
            continue;
        };
        for record in chunk.iter() {
            match record {
                Ok(record) => records.push(OracleRecord {
                    chunk: number,
                    at: record.binxml_offset - 24,
                    id: record.event_record_id,
                    xml: record.into_xml().map(|r| r.data).map_err(|e| e.to_string()),
                }),
                Err(_) => errors += 1,
            }
        }
    }
    (records, errors)
}

/// What XML cannot carry and the crate writes otherwise: masked, so that values can be compared.
fn as_in_xml(text: &str) -> String {
    let odd =
        |c: char| (c < ' ' && !"\t\r\n".contains(c)) || "\u{FFFE}\u{FFFF}\u{FFFD}".contains(c);
    text.chars().map(|c| if odd(c) { '_' } else { c }).collect()
}

/// How two readings of an event differ.
pub fn differences(ours: &[Field], theirs: &[Field]) -> Vec<String> {
    let mut out = Vec::new();
    if ours.len() != theirs.len() {
        out.push(format!("{} fields, not {}: {ours:?} {theirs:?}", ours.len(), theirs.len()));
    }
    for (a, b) in ours.iter().zip(theirs) {
        if (a.0, a.1, as_in_xml(&a.2)) != (b.0, b.1, as_in_xml(&b.2)) {
            out.push(format!("{a:?} is {b:?}"));
            break;
        }
        if a.3 != b.3 && as_in_xml(&a.3) != as_in_xml(&b.3) {
            out.push(format!("{:?} is {:?}, not {:?}", a.2, a.3, b.3));
        }
    }
    out
}

/// The bins of a reading add up: every slot is reported once and in order, every record and damage
/// is counted.
pub fn assert_adds_up(data: &[u8], heard: &Heard) {
    use harrier::evtx::{Bin, DamageKind};
    let slots: Vec<u64> = (0..(data.len() as u64 - 4096).div_ceil(65536)).collect();
    assert_eq!(heard.chunks.iter().map(|c| c.chunk).collect::<Vec<_>>(), slots);
    for chunk in &heard.chunks {
        let records: Vec<_> = heard.records.iter().filter(|r| r.chunk == chunk.chunk).collect();
        let damage = |wanted: fn(&DamageKind) -> bool| {
            let of = heard.damage.iter().filter(|d| d.chunk == chunk.chunk && wanted(&d.kind));
            of.count() as u64
        };
        let (gaps, unreadable) = (
            damage(|kind| matches!(kind, DamageKind::Gap(_))),
            damage(|kind| matches!(kind, DamageKind::Record | DamageKind::LeftOver)),
        );
        let chunks = damage(|kind| matches!(kind, DamageKind::Chunk));
        match &chunk.bin {
            Bin::Read(counts) => {
                assert_eq!(counts.records, records.len() as u64);
                let declined = records.iter().filter(|r| r.declined.is_some()).count();
                assert_eq!(counts.declined, declined as u64);
                let recovered = records.iter().filter(|r| r.recovered).count();
                assert_eq!(counts.recovered, recovered as u64);
                assert_eq!((counts.unreadable, counts.gaps, chunks), (unreadable, gaps, 0));
            }
            Bin::Empty => assert_eq!((records.len(), gaps, unreadable, chunks), (0, 0, 0, 0)),
            Bin::Orphans(_) => panic!("a slot is no orphan"),
            Bin::Unreadable(_) => {
                assert_eq!((records.len(), gaps, unreadable, chunks), (0, 0, 0, 1));
            }
        }
    }
    let offsets: Vec<u64> = heard.records.iter().map(|r| r.offset).collect();
    assert!(offsets.is_sorted() && offsets.windows(2).all(|w| w[0] != w[1]));
}

/// Reads a log with all lanes and compares every record that the crate sees with the crate's XML;
/// says why records were declined, in order.
pub fn assert_as_the_crate(data: &[u8]) -> Vec<Option<harrier::evtx::Decline>> {
    use harrier::evtx::Options;
    let fast = read(&mut Reader::default(), data);
    let slow = read(&mut Reader::new(Options { slow_only: true, ..Options::default() }), data);
    let (theirs, errors) = oracle(data);
    assert_eq!(errors, 0);
    for heard in [&fast, &slow] {
        assert_adds_up(data, heard);
        for record in &theirs {
            let offset = 4096 + record.chunk * 65536 + record.at;
            let found = heard.records.iter().find(|r| r.offset == offset);
            match &record.xml {
                Ok(xml) => {
                    let seen = found.unwrap_or_else(|| panic!("{offset:#x} is missing: {xml}"));
                    assert_eq!(seen.id, record.id);
                    let diff = differences(&seen.fields, &oracle_fields(xml).unwrap());
                    assert!(diff.is_empty(), "{:?} {diff:?}\n{xml}", seen.declined);
                }
                // The fast lane does not care for parts that give no leaves; the crate must be able
                // to render them.
                Err(e) => assert!(found.is_none_or(|r| r.declined.is_none()), "the crate says {e}"),
            }
        }
        let offset = |r: &OracleRecord| 4096 + r.chunk * 65536 + r.at;
        assert!(heard.records.iter().all(|r| theirs.iter().any(|t| offset(t) == r.offset)));
    }
    fast.records.iter().map(|r| r.declined).collect()
}
