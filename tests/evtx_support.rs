//! What the tests of the EVTX reader share: the sample logs, the crate as oracle with a reading of
//! its XML that owes nothing to Harrier's, and sinks.

use harrier::bytes::ReadAt;
use harrier::event::{Event, LeafKind, Section};
use harrier::evtx::{ChunkReport, Damage, Reader, Record, Sink, State, open};
use quick_xml::events::Event as Xml;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// The folders with sample logs; `None`, with a note, where there are none.
pub fn corpora() -> Option<PathBuf> {
    let dir = std::env::var_os("HARRIER_CORPORA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora"),
        PathBuf::from,
    );
    if !dir.is_dir() {
        println!("skipped: there are no sample logs at {}", dir.display());
        return None;
    }
    Some(dir)
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
pub fn read(reader: &mut Reader, source: &dyn ReadAt) -> Heard {
    let mut heard = Heard::default();
    let log = open(source).unwrap();
    let flow = reader.read(source, &log, 0..u64::MAX, &mut heard);
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
    for part in &root.children {
        match part.name.as_str() {
            "System" => part.children.iter().for_each(|e| system(e, &mut out)),
            "EventData" => part.children.iter().for_each(|e| event_data(e, &mut out)),
            "UserData" => part.children.iter().for_each(|e| body(e, Section::UserData, &mut out)),
            "RenderingInfo" | "ProcessingErrorData" | "SubscriptionBookmarkEvent" => {}
            _ => body(part, Section::UserData, &mut out),
        }
    }
    Ok(out)
}

fn system(e: &Node, out: &mut Vec<Field>) {
    for (name, value) in e.attributes.iter().filter(|(n, _)| !is_namespace(n)) {
        let name = format!("{}_{name}", e.name);
        out.push((Section::System, LeafKind::Attribute, name, value.clone()));
    }
    assert!(e.children.is_empty());
    out.push((Section::System, LeafKind::Named, e.name.clone(), e.text.clone()));
}

fn event_data(e: &Node, out: &mut Vec<Field>) {
    if !e.children.is_empty() || !matches!(e.name.as_str(), "Data" | "Binary") {
        return body(e, Section::EventData, out);
    }
    let name = e.attributes.iter().find(|(n, _)| n == "Name").map(|(_, v)| v.clone());
    let (kind, name) = match (e.name.as_str(), name) {
        ("Data", Some(name)) => (LeafKind::Named, name),
        ("Data", None) => (LeafKind::Unnamed, "Data".to_owned()),
        _ => (LeafKind::Binary, "Binary".to_owned()),
    };
    out.push((Section::EventData, kind, name, e.text.clone()));
}

fn body(e: &Node, section: Section, out: &mut Vec<Field>) {
    for (name, value) in e.attributes.iter().filter(|(n, _)| !is_namespace(n)) {
        out.push((section, LeafKind::Attribute, bare(name), value.clone()));
    }
    e.children.iter().for_each(|child| body(child, section, out));
    if e.children.is_empty() {
        out.push((section, LeafKind::Named, bare(&e.name), e.text.clone()));
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
