//! The forge against the `evtx` crate: what is asked for is what a strict reader finds.
//!
//! The reader validates checksums, so a log that passes here is one that other tests can rely on.
//! What a record should read as is printed from the event by [`xml`], which knows nothing of
//! templates, slots or chunks.

mod catalog;
mod story;

use std::collections::BTreeSet;

use evtx::{EvtxParser, ParserSettings};
use forge::{
    Body, Element, Error, Event, Field, FileTime, Fragment, Guid, Instance, Layout, LogWriter,
    Node, Options, Provider, Rendering, Sid, Slack, SystemTime, Template, UserData, UserNode,
    Value, ValueType, damage, optional, slot,
};
use proptest::prelude::*;

/// A record as the `evtx` crate reads it.
#[derive(Debug, PartialEq)]
struct Read {
    id: u64,
    /// The time in the record's header, in microseconds of the Unix epoch.
    micros: i64,
    xml: String,
}

fn parser(log: &[u8]) -> EvtxParser<std::io::Cursor<Vec<u8>>> {
    let settings = ParserSettings::new().validate_checksums(true).num_threads(1).indent(false);
    EvtxParser::from_buffer(log.to_vec()).unwrap().with_configuration(settings)
}

/// Every record of a log in which nothing may be wrong.
fn read(log: &[u8]) -> Vec<Read> {
    let mut parser = parser(log);
    assert!(parser.header().validate_checksum(), "the file header's checksum");
    let records = parser.records().map(|record| {
        let record = record.unwrap();
        let xml = record.data.strip_prefix("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n");
        let xml = xml.unwrap_or(&record.data).trim_end().to_owned();
        Read { id: record.event_record_id, micros: record.timestamp.as_microsecond(), xml }
    });
    records.collect()
}

fn xmls(log: &[u8]) -> Vec<String> {
    read(log).into_iter().map(|record| record.xml).collect()
}

/// The ids of the records that can be read, and how many errors there were.
fn survivors(log: &[u8]) -> (Vec<u64>, usize) {
    let mut parser = parser(log);
    let (mut ids, mut errors) = (Vec::new(), 0);
    for record in parser.records() {
        match record {
            Ok(record) => ids.push(record.event_record_id),
            Err(_) => errors += 1,
        }
    }
    (ids, errors)
}

fn log_of<'a>(options: Options, events: impl IntoIterator<Item = &'a Event>) -> Vec<u8> {
    let mut log = LogWriter::in_memory(options);
    for event in events {
        log.push(event).unwrap();
    }
    log.into_bytes().unwrap()
}

fn one(event: &Event) -> String {
    xmls(&log_of(Options::new(), [event])).remove(0)
}

fn sysmon() -> Provider {
    let guid = Guid::literal("5770385f-c22a-43e0-bf4c-06f5698ffbd9");
    Provider::new("Microsoft-Windows-Sysmon", guid)
}

const START: &str = "2026-03-01T10:00:00.1234567Z";

fn base() -> Event {
    Event::new(sysmon(), 1, "Microsoft-Windows-Sysmon/Operational")
        .at(FileTime::literal(START))
        .on("WS-0417")
        .by(Sid::system())
        .execution(2804, 3676)
}

/// A numbered event with a text that makes it `size` bytes or more.
fn numbered(n: u32, size: usize) -> Event {
    base().data([("N", Value::from(n)), ("Text", "x".repeat(size / 2).into())])
}

fn escape(text: &str, in_attribute: bool) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' if in_attribute => out.push_str("&quot;"),
            '\'' if in_attribute => out.push_str("&apos;"),
            c => out.push(c),
        }
    }
    out
}

/// The reader leaves out attributes that are empty.
fn attribute(name: &str, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" {name}=\"{}\"", escape(text, true)) }
}

fn attributes(list: &[Field]) -> String {
    list.iter().map(|(name, value)| attribute(name, &value.text().unwrap_or_default())).collect()
}

/// `<name attributes>value</name>`; an array of strings is an element for each.
fn element(name: &str, attributes: &str, value: &Value) -> String {
    let one = |text: &str| format!("<{name}{attributes}>{}</{name}>", escape(text, false));
    match value {
        Value::Array(ValueType::String, items) if !items.is_empty() => {
            items.iter().map(|item| one(&item.text().unwrap())).collect()
        }
        value => one(&value.text().unwrap_or_default()),
    }
}

fn user_xml(node: &UserNode) -> String {
    let attributes = attributes(&node.attributes);
    if node.value.is_none() && node.children.is_empty() {
        return format!("<{}{attributes}/>", node.name);
    }
    let text = node.value.as_ref().and_then(Value::text).unwrap_or_default();
    let children: String = node.children.iter().map(user_xml).collect();
    format!("<{0}{attributes}>{1}{children}</{0}>", node.name, escape(&text, false))
}

fn body_xml(body: &Body) -> String {
    match body {
        Body::None | Body::Instance(_) | Body::Plain(_) => String::new(),
        Body::Data { title, fields, binary } => {
            let title = attribute("Name", title.as_deref().unwrap_or_default());
            let mut inner = String::new();
            for (name, value) in fields {
                inner += &element("Data", &attribute("Name", name), value);
            }
            if let Some(bytes) = binary {
                inner += &element("Binary", "", &Value::Binary(bytes.clone()));
            }
            format!("<EventData{title}>{inner}</EventData>")
        }
        Body::Unnamed(values) => {
            let inner: String = values.iter().map(|value| element("Data", "", value)).collect();
            format!("<EventData>{inner}</EventData>")
        }
        Body::Classic { strings, binary } => {
            let mut inner = String::new();
            if *strings != Value::Null {
                inner += &element("Data", "", strings);
            }
            if *binary != Value::Null {
                inner += &element("Binary", "", binary);
            }
            format!("<EventData>{inner}</EventData>")
        }
        Body::User(data) => {
            let root = UserNode {
                name: data.root.clone(),
                attributes: data.attributes.clone(),
                value: None,
                children: data.children.clone(),
            };
            format!("<UserData>{}</UserData>", user_xml(&root))
        }
    }
}

/// What the event reads as when its record has number `id`.
fn xml(event: &Event, id: u64) -> String {
    let layout = event.effective_layout();
    let full =
        layout != Layout::Classic && !(layout == Layout::Plain && event.provider.guid.is_none());
    let mut provider = vec![("Name".into(), Value::Str(event.provider.name.clone()))];
    provider.extend(event.provider.guid.map(|guid| ("Guid".into(), Value::Guid(guid))));
    if let (Some(source), true) = (&event.provider.source, layout != Layout::Shared) {
        provider.push(("EventSourceName".into(), Value::Str(source.clone())));
    }
    let some = |name: &'static str, value: Option<Value>| value.map(|v| (name.into(), v));
    let list = |fields: Vec<Option<Field>>| {
        attributes(&fields.into_iter().flatten().collect::<Vec<Field>>())
    };
    let mut out = String::from(
        "<Event xmlns=\"http://schemas.microsoft.com/win/2004/08/events/event\"><System>",
    );
    let mut put = |text: String| out += &text;
    put(format!("<Provider{}/>", attributes(&provider)));
    let qualifiers = list(vec![some("Qualifiers", event.qualifiers.map(Value::from))]);
    put(format!("<EventID{qualifiers}>{}</EventID>", event.event_id));
    if full {
        put(format!("<Version>{}</Version>", event.version));
    }
    put(format!("<Level>{}</Level><Task>{}</Task>", event.level, event.task));
    if full {
        put(format!("<Opcode>{}</Opcode>", event.opcode));
    }
    put(format!("<Keywords>{:#x}</Keywords>", event.keywords));
    put(format!("<TimeCreated SystemTime=\"{}\"/>", event.time));
    put(format!("<EventRecordID>{}</EventRecordID>", event.record_id.unwrap_or(id)));
    if full {
        let correlation = list(vec![
            some("ActivityID", event.activity.map(Value::Guid)),
            some("RelatedActivityID", event.related.map(Value::Guid)),
        ]);
        put(format!("<Correlation{correlation}/>"));
        put(format!(
            "<Execution ProcessID=\"{}\" ThreadID=\"{}\"/>",
            event.process_id, event.thread_id
        ));
    }
    put(element("Channel", "", &Value::Str(event.channel.clone())));
    put(element("Computer", "", &Value::Str(event.computer.clone())));
    put(format!("<Security{}/>", list(vec![some("UserID", event.user.clone().map(Value::Sid))])));
    put(format!("</System>{}", body_xml(&event.body)));
    if let Some(r) = &event.rendering {
        put(format!("<RenderingInfo{}>", attribute("Culture", &r.culture)));
        let texts = [&r.message, &r.level, &r.task, &r.opcode, &r.channel, &r.provider];
        let names = ["Message", "Level", "Task", "Opcode", "Channel", "Provider"];
        for (name, text) in names.into_iter().zip(texts) {
            put(element(name, "", &Value::Str(text.clone())));
        }
        let keywords = Value::strings(r.keywords.clone());
        let inner = if r.keywords.is_empty() { "/>" } else { ">" };
        put(format!("<Keywords{inner}"));
        if !r.keywords.is_empty() {
            put(format!("{}</Keywords>", element("Keyword", "", &keywords)));
        }
        put("</RenderingInfo>".into());
    }
    put("</Event>".into());
    out
}

/// Writes the events, reads them back, and compares every record.
fn round_trip(options: Options, events: &[Event]) -> Vec<u8> {
    let log = log_of(options, events);
    let records = read(&log);
    assert_eq!(records.len(), events.len());
    for ((event, record), id) in events.iter().zip(&records).zip(1..) {
        assert_eq!(record.id, id);
        let ticks = event.written.unwrap_or(event.time).0;
        let micros = i64::try_from(ticks / 10).unwrap() - 11_644_473_600_000_000;
        assert_eq!(record.micros, micros);
        assert_eq!(record.xml, xml(event, id));
    }
    log
}

/// Every value type, with values at the edges.
fn values() -> Vec<Value> {
    let guid = Guid::literal("0cce9215-69ae-11d9-bed3-505054503030");
    let time = FileTime::literal(START);
    let sid = Sid::literal("S-1-5-21-1587066498-1489273250-1035260531-1106");
    let system_time = SystemTime { year: 2026, month: 3, day: 1, hour: 10, ..time.system_time() };
    vec![
        Value::Null,
        Value::NullOf(ValueType::Sid),
        "".into(),
        "text with <markup> & \"quotes\", 'x', ünï 日本 😀 \r\n\t".into(),
        Value::Ansi(b"code page".to_vec()),
        (-128_i8).into(),
        255_u8.into(),
        i16::MIN.into(),
        u16::MAX.into(),
        i32::MIN.into(),
        u32::MAX.into(),
        i64::MIN.into(),
        u64::MAX.into(),
        1.5_f32.into(),
        (-0.25_f64).into(),
        true.into(),
        false.into(),
        vec![0_u8, 0xab, 0xff].into(),
        Value::Binary(Vec::new()),
        guid.into(),
        Guid::NIL.into(),
        Value::Size32(0x7ffe),
        Value::Size64(0x7ffe_0000_0000),
        Value::Pointer(0x1410),
        time.into(),
        system_time.into(),
        sid.clone().into(),
        Sid::nobody().into(),
        Value::Hex32(0xc000_006d),
        Value::Hex64(0x8020_0000_0000_0000),
        Value::strings(["one", "", "three <&>"]),
        Value::Array(ValueType::Guid, vec![guid.into(), Guid::NIL.into()]),
        Value::Array(ValueType::Sid, vec![sid.into(), Sid::system().into()]),
    ]
}

#[test]
fn every_value_type_in_every_layout() {
    let fields: Vec<Field> =
        values().into_iter().enumerate().map(|(i, v)| (format!("V{i}").into(), v)).collect();
    for layout in [Layout::Shared, Layout::Literal, Layout::Classic] {
        let scalars = fields.iter().filter(|f| !matches!(f.1, Value::Array(..))).cloned();
        round_trip(Options::new(), &[base().layout(layout).data(scalars)]);
    }
}

/// Arrays are left to the reader's taste: one element for each item, or a list of items. The
/// items themselves, their number and their order are the writer's.
#[test]
fn every_array_type() {
    let time = FileTime::literal(START);
    let arrays: Vec<(ValueType, Vec<Value>)> = vec![
        (ValueType::String, vec!["a".into(), "b c".into(), "d".into()]),
        (ValueType::AnsiString, vec![Value::Ansi(b"x".to_vec()), Value::Ansi(b"yz".to_vec())]),
        (ValueType::Int8, vec![(-1_i8).into(), 2_i8.into()]),
        (ValueType::UInt8, vec![1_u8.into(), 255_u8.into()]),
        (ValueType::Int16, vec![(-1_i16).into(), 2_i16.into()]),
        (ValueType::UInt16, vec![1_u16.into(), 65_535_u16.into()]),
        (ValueType::Int32, vec![(-1_i32).into(), 2_i32.into()]),
        (ValueType::UInt32, vec![1_u32.into(), u32::MAX.into()]),
        (ValueType::Int64, vec![(-1_i64).into(), 2_i64.into()]),
        (ValueType::UInt64, vec![1_u64.into(), u64::MAX.into()]),
        (ValueType::Real32, vec![0.5_f32.into(), 1.5_f32.into()]),
        (ValueType::Real64, vec![0.5_f64.into(), 1.5_f64.into()]),
        (ValueType::Bool, vec![true.into(), false.into()]),
        (ValueType::Guid, vec![Guid::derived(b"a").into(), Guid::derived(b"b").into()]),
        (ValueType::FileTime, vec![time.into(), time.plus_seconds(1).into()]),
        (ValueType::SystemTime, vec![time.system_time().into(), time.system_time().into()]),
        (ValueType::Sid, vec![Sid::system().into(), Sid::literal("S-1-5-32-544").into()]),
        (ValueType::HexInt32, vec![Value::Hex32(16), Value::Hex32(0xffff_ffff)]),
        (ValueType::HexInt64, vec![Value::Hex64(16), Value::Hex64(u64::MAX)]),
    ];
    for (of, items) in arrays {
        let texts: Vec<String> = items.iter().map(|item| item.text().unwrap()).collect();
        let event = base().data([("A", Value::Array(of, items))]);
        let read = one(&event);
        let (_, data) = read.split_once("<EventData><Data Name=\"A\">").expect(&read);
        let (data, _) = data.split_once("</Data></EventData>").expect(&read);
        let found: Vec<&str> = if data.contains("</Data>") {
            data.split("</Data><Data Name=\"A\">").collect()
        } else {
            data.split(',').collect()
        };
        assert_eq!(found, texts, "{of:?}");
    }
}

fn bodies() -> Vec<Body> {
    let user = UserData {
        root: "Operation_Started".into(),
        attributes: vec![
            ("xmlns".into(), "http://example.net/a".into()),
            ("Code".into(), Value::Hex32(5)),
        ],
        children: vec![
            UserNode::leaf("Text", "a & b").attr("kind", 7_u8),
            UserNode::group(
                "Inner",
                vec![UserNode::leaf("Sid", Sid::system()), UserNode::group("Empty", vec![])],
            ),
            UserNode::leaf("Text", "again"),
        ],
    };
    vec![
        Body::None,
        Body::data([("Threat Name", "a"), ("", "b"), ("Same", "c"), ("Same", "d")]),
        Body::data(Vec::<(&str, Value)>::new()),
        Body::Data {
            title: Some("TaskRegistered".into()),
            fields: vec![("TaskName".into(), r"\Updater".into())],
            binary: None,
        },
        Body::Data {
            title: None,
            fields: vec![("param1".into(), "EFS".into())],
            binary: Some(vec![0x45, 0, 0x46, 0, 0x53, 0]),
        },
        Body::Unnamed(vec!["a".into(), 2_u32.into(), "".into()]),
        Body::classic(["one", "two", ""], None),
        Body::classic(["one"], Some(vec![1, 2, 3])),
        Body::classic(Vec::<String>::new(), Some(vec![1])),
        Body::User(user),
    ]
}

#[test]
fn every_body_in_every_layout() {
    let mut events = Vec::new();
    for layout in [Layout::Shared, Layout::Literal, Layout::Classic, Layout::Plain] {
        for (body, n) in bodies().into_iter().zip(1..) {
            let mut event = base().layout(layout).body(body);
            event.event_id = n;
            events.push(event);
        }
    }
    round_trip(Options::new(), &events);
}

#[test]
fn every_system_field() {
    let mut event = base().data([("A", "b")]).record_id(77_000);
    event.provider = Provider::new("Service Control Manager", Guid::derived(b"scm"));
    event.provider.source = Some("Service Control Manager".into());
    event.qualifiers = Some(0x4000);
    (event.version, event.level, event.task, event.opcode) = (3, 2, 7, 11);
    event.keywords = 0x8080_0000_0000_0000;
    event.activity = Some(Guid::derived(b"activity"));
    event.related = Some(Guid::derived(b"related"));
    event.written = Some(event.time.plus_seconds(3600));
    let mut without_user = event.clone();
    without_user.user = None;
    without_user.channel = "System".into();
    let mut events = vec![event, without_user];
    for layout in [Layout::Shared, Layout::Literal, Layout::Classic, Layout::Plain] {
        events.push(events[0].clone().layout(layout));
    }
    round_trip(Options::new(), &events);
}

#[test]
fn layouts_are_chosen_as_windows_does() {
    let of = |provider: Provider, channel: &'static str| {
        Event::new(provider, 1, channel).effective_layout()
    };
    let auditing = || Provider::new("Microsoft-Windows-Security-Auditing", Guid::NIL);
    assert_eq!(of(sysmon(), "Microsoft-Windows-Sysmon/Operational"), Layout::Shared);
    assert_eq!(of(auditing(), "Security"), Layout::Shared);
    assert_eq!(
        of(Provider::new("Microsoft-Windows-Eventlog", Guid::NIL), "Security"),
        Layout::Literal
    );
    assert_eq!(of(Provider::classic("MsiInstaller"), "Application"), Layout::Classic);
}

#[test]
fn irregular_trees() {
    let root = Element::new("Event")
        .child(Element::new("Kept").attr_node("absent", optional(0, ValueType::String)))
        .child(Element::new("Gone").depends_on(0).text("never seen"))
        .child(Element::new("Here").depends_on(1).child(slot(1, ValueType::UInt32)))
        .child(Element {
            children: vec![
                Node::Text("a".into()),
                Node::Entity("amp".into()),
                Node::Char(0x42),
                slot(1, ValueType::UInt32),
                Node::Text("z".into()),
            ],
            ..Element::new("Mixed")
        })
        .child(Element { children: vec![Node::CData("raw <b>".into())], ..Element::new("Raw") })
        .child(
            // The reader prints no instruction that stands beside elements.
            Element::new("Pi").child(Node::Pi { target: "pi".into(), data: "some data".into() }),
        )
        .child(Element { open: true, ..Element::new("Open") })
        .child(Element::new("Nested").child(slot(2, ValueType::BinXml)));
    let inner = Template::new(Element::new("Inner").child(slot(0, ValueType::String)));
    let template = Template::new(root);
    let nested = Value::BinXml(Box::new(Fragment::of(&inner, vec!["deep".into()])));
    let plain = Value::BinXml(Box::new(Fragment::Plain(vec![
        Element::new("P").attr("a", "1").text("plain").into(),
        Element::new("Q").into(),
    ])));
    let mut log = LogWriter::in_memory(Options::new());
    let time = FileTime::literal(START);
    for value in [nested, plain, Value::Null] {
        let values = vec![Value::Null, 5_u32.into(), value];
        log.push_fragment(time, &Fragment::of(&template, values)).unwrap();
    }
    let whole = Element::new("Event").child(Element::new("OnlyPlain").text("no template"));
    log.push_fragment(time, &Fragment::Plain(vec![whole.into()])).unwrap();
    let read = xmls(&log.into_bytes().unwrap());
    let start = "<Event><Kept/><Here>5</Here><Mixed>a&amp;&#66;5z</Mixed>";
    for (record, tail) in read.iter().zip([
        "<Nested><Inner>deep</Inner></Nested></Event>",
        "<Nested><P a=\"1\">plain</P><Q/></Nested></Event>",
        "<Nested></Nested></Event>",
    ]) {
        assert!(record.starts_with(start), "{record}");
        let middle = "<Raw><![CDATA[raw <b>]]></Raw><Pi><?pi some data?></Pi><Open></Open>";
        assert!(record.contains(middle), "{record}");
        assert!(record.ends_with(tail), "{record}");
    }
    assert_eq!(read[3], "<Event><OnlyPlain>no template</OnlyPlain></Event>");
    assert_eq!(read.len(), 4);
}

#[test]
fn a_body_may_be_any_instance_or_plain() {
    let template = Template::new(Element::new("Own").child(slot(0, ValueType::String)));
    let instance = Instance { template, values: vec!["x".into()] };
    let plain = Body::Plain(vec![Element::new("Own").text("x").into()]);
    for body in [Body::Instance(instance), plain] {
        for layout in [Layout::Shared, Layout::Plain] {
            let read = one(&base().layout(layout).body(body.clone()));
            assert!(read.ends_with("</System><Own>x</Own></Event>"), "{read}");
        }
    }
}

#[test]
fn equal_guids_may_hide_different_templates() {
    let guid = Guid::derived(b"reused");
    let time = FileTime::literal(START);
    let mut log = LogWriter::in_memory(Options::new());
    for name in ["A", "B", "A"] {
        let root = Element::new("Event").child(Element::new(name).text("t"));
        let template = Template::with_guid(guid, root);
        log.push_fragment(time, &Fragment::of(&template, vec![])).unwrap();
    }
    let log = log.into_bytes().unwrap();
    assert_eq!(log.windows(16).filter(|bytes| bytes == guid.as_bytes()).count(), 2);
    let read = xmls(&log);
    assert_eq!(read, ["A", "B", "A"].map(|n| format!("<Event><{n}>t</{n}></Event>")));
}

#[test]
fn templates_are_shared_in_a_chunk_and_repeated_in_the_next() {
    let events: Vec<Event> = (0..300).map(|n| numbered(n, 1000)).collect();
    let log = round_trip(Options::new(), &events);
    let chunks = (log.len() - 4096) / 65_536;
    assert!((5..=8).contains(&chunks), "{chunks}");
    // The name of the second field stands in each chunk's one definition.
    let name: Vec<u8> = "Text".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(log.windows(8).filter(|bytes| *bytes == name).count(), chunks);
}

/// The hash that both tables of a chunk use.
fn hash(units: &[u8]) -> u16 {
    let unit = |pair: &[u8]| u32::from(u16::from_le_bytes([pair[0], pair[1]]));
    let next = |hash: u32, pair| hash.wrapping_mul(65_599).wrapping_add(unit(pair));
    units.chunks(2).fold(0_u32, next) as u16
}

/// Readers need the offsets only, but tools walk the tables: every name and every template hangs
/// in the chain of its bucket, once.
#[test]
fn the_tables_of_a_chunk_reach_everything() {
    let events: Vec<Event> = (0..40)
        .map(|n| base().on(format!("H{}", n % 9)).data([(format!("Field{n}"), Value::from(n))]))
        .collect();
    let mut log = round_trip(Options::new(), &events);
    let chunk = damage::chunk(&mut log, 0).to_vec();
    let number = |at: usize| u32::from_le_bytes(chunk[at..at + 4].try_into().unwrap()) as usize;
    let chain = |bucket: usize| {
        let step = |&at: &usize| Some(number(at)).filter(|&next| next != 0);
        std::iter::successors(Some(number(bucket)).filter(|&at| at != 0), step)
    };
    let mut names = BTreeSet::new();
    for bucket in 0..64 {
        for at in chain(0x80 + 4 * bucket) {
            let units = usize::from(u16::from_le_bytes([chunk[at + 6], chunk[at + 7]]));
            let text = &chunk[at + 8..at + 8 + 2 * units];
            assert_eq!(u16::from_le_bytes([chunk[at + 4], chunk[at + 5]]), hash(text));
            assert_eq!(usize::from(hash(text)) % 64, bucket);
            assert_eq!(chunk[at + 8 + 2 * units..][..2], [0, 0]);
            let text = text.chunks(2).map(|pair| char::from(pair[0])).collect::<String>();
            assert!(names.insert(text));
        }
    }
    // Those of the root template and of the body; the fields' names are values of an attribute.
    assert_eq!(names.len(), 28, "{names:?}");
    let mut templates = BTreeSet::new();
    for bucket in 0..32 {
        for at in chain(0x180 + 4 * bucket) {
            assert_eq!(usize::from(hash(&chunk[at + 4..at + 20])) % 32, bucket);
            assert!(templates.insert(chunk[at + 4..at + 20].to_vec()));
        }
    }
    // A root template for each computer, a body template for each shape.
    assert_eq!(templates.len(), 9 + 40);
}

#[test]
fn chunks_end_where_they_are_told_to() {
    let events: Vec<Event> = (0..10).map(|n| numbered(n, 100)).collect();
    let log = round_trip(Options::new().records_per_chunk(3), &events);
    assert_eq!(log.len(), 4096 + 4 * 65_536);
    assert_eq!([0, 3].map(|slot| damage::record_offsets(&log, slot).len()), [3, 1]);
    // Less than the first record takes: each chunk gets one.
    let log = round_trip(Options::new().chunk_bytes(1024), &events);
    assert_eq!(log.len(), 4096 + 10 * 65_536);
    let mut log = LogWriter::in_memory(Options::new());
    for event in &events {
        log.push(event).unwrap();
        log.end_chunk().unwrap();
        log.end_chunk().unwrap();
    }
    assert_eq!(log.bytes(), 4096 + 11 * 65_536);
    assert_eq!(log.into_bytes().unwrap().len(), 4096 + 10 * 65_536);
}

#[test]
fn record_ids_are_the_callers() {
    let mut log = LogWriter::in_memory(Options::new().first_record_id(500));
    assert_eq!(log.push(&numbered(0, 10)).unwrap().record_id, 500);
    log.skip_to(9000);
    let place = log.push(&numbered(1, 10)).unwrap();
    assert_eq!((place.record_id, place.slot), (9000, 0));
    assert_eq!(log.next_record_id(), 9001);
    let log = log.into_bytes().unwrap();
    assert_eq!(read(&log).iter().map(|record| record.id).collect::<Vec<u64>>(), [500, 9000]);
    assert_eq!(damage::record_offsets(&log, 0)[1], place.offset as usize);
    assert_eq!(parser(&log).header().next_record_id, 9001);
}

#[test]
fn a_ring_overwrites_its_oldest_chunk() {
    let events: Vec<Event> = (0..11).map(|n| numbered(n, 100)).collect();
    for slack in [Slack::Zero, Slack::Stale, Slack::Fill(0x2a)] {
        let options = Options::new().records_per_chunk(2).ring(4).slack(slack);
        let log = log_of(options, &events);
        assert_eq!(log.len(), 4096 + 4 * 65_536);
        // Six chunks were written; slots 0 and 1 hold the fifth and sixth.
        let header = parser(&log);
        let header = header.header();
        assert_eq!((header.first_chunk_number, header.last_chunk_number), (2, 1));
        assert_eq!((header.chunk_count, header.next_record_id), (4, 12));
        let ids: Vec<u64> = read(&log).iter().map(|record| record.id).collect();
        assert_eq!(ids.iter().copied().collect::<BTreeSet<u64>>(), (5..=11).collect());
        assert_eq!(damage::record_offsets(&log, 1).len(), 1, "records 11");
    }
}

#[test]
fn stale_slack_holds_old_records() {
    let mut events: Vec<Event> = (0..4).map(|n| numbered(n, 4000)).collect();
    events.push(numbered(4, 10));
    let options = Options::new().records_per_chunk(4).slack(Slack::Stale);
    let log = log_of(options.clone(), &events);
    assert_eq!(read(&log).len(), 5);
    let settings = ParserSettings::new().validate_checksums(true).recover_records(true);
    let mut parser = EvtxParser::from_buffer(log).unwrap().with_configuration(settings);
    let recovered = parser.records().filter(|r| r.as_ref().is_ok_and(|r| r.recovered)).count();
    assert!(recovered >= 2, "{recovered}");
    // And the last chunk of zeros has none.
    let log = log_of(options.slack(Slack::Zero), &events);
    let settings = ParserSettings::new().validate_checksums(true).recover_records(true);
    let mut parser = EvtxParser::from_buffer(log).unwrap().with_configuration(settings);
    assert_eq!(parser.records().count(), 5);
}

#[test]
fn flags_tail_and_emptiness() {
    let events: Vec<Event> = (0..3).map(|n| numbered(n, 100)).collect();
    let plain = round_trip(Options::new(), &events);
    let log = round_trip(Options::new().dirty(true).full(true).tail_chunks(2), &events);
    assert_eq!(log.len(), plain.len() + 2 * 65_536);
    assert!(log[plain.len()..].iter().all(|&byte| byte == 0));
    assert_eq!(parser(&log).header().flags.bits(), 3);
    let log = log_of(Options::new().dirty(true).stale_header(true).records_per_chunk(1), &events);
    assert_eq!(parser(&log).header().chunk_count, 1);
    assert_eq!(parser(&log).header().next_record_id, 1);
    assert_eq!(read(&log).len(), 3);
    let empty = log_of(Options::new(), []);
    assert_eq!(empty.len(), 4096 + 65_536);
    assert!(read(&empty).is_empty());
}

#[test]
fn a_log_may_do_without_checksums() {
    let events: Vec<Event> = (0..3).map(|n| numbered(n, 100)).collect();
    let log = round_trip(Options::new().unchecked(true), &events);
    assert_eq!(log[0x78..0x80], [4, 0, 0, 0, 0, 0, 0, 0]);
    let chunk = &log[damage::chunk_offset(0)..];
    assert_eq!(chunk[0x78..0x80], [4, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(chunk[0x34..0x38], [0; 4]);
}

#[test]
fn a_streamed_log_is_the_same_as_one_in_memory() {
    let events: Vec<Event> = (0..200).map(|n| numbered(n, 2000)).collect();
    let options = || Options::new().slack(Slack::Stale).tail_chunks(1);
    let mut log = LogWriter::new(tempfile::tempfile().unwrap(), options()).unwrap();
    for event in &events {
        log.push(event).unwrap();
    }
    let mut file = log.finish().unwrap();
    let mut bytes = Vec::new();
    std::io::Seek::rewind(&mut file).unwrap();
    std::io::Read::read_to_end(&mut file, &mut bytes).unwrap();
    assert_eq!(bytes, log_of(options(), &events));
}

#[test]
fn what_cannot_be_written_is_an_error_and_changes_nothing() {
    let mut log = LogWriter::in_memory(Options::new());
    log.push(&numbered(0, 10)).unwrap();
    let huge = log.push(&numbered(1, 70_000));
    assert!(matches!(huge, Err(Error::ValueTooLarge { .. })), "{huge:?}");
    let halves = [("A", "x".repeat(16_000)), ("B", "x".repeat(17_000))];
    let large = log.push(&base().data(halves));
    // Both values fit their own length fields, their BinXML does not fit that of the body.
    assert!(matches!(large, Err(Error::ValueTooLarge { .. })), "{large:?}");
    let mixed = Value::Array(ValueType::UInt8, vec![1_u16.into()]);
    assert!(matches!(log.push(&base().data([("A", mixed)])), Err(Error::MixedArray)));
    let raw = log.push_bytes(FileTime(0), &[0; 65_500]);
    assert!(matches!(raw, Err(Error::RecordTooLarge { .. })), "{raw:?}");
    log.push(&numbered(2, 20_000)).unwrap();
    let log = log.into_bytes().unwrap();
    // The record that was too large for any chunk had the first chunk ended.
    let read = read(&log);
    assert_eq!(read.iter().map(|r| r.id).collect::<Vec<u64>>(), [1, 2]);
    assert_eq!(read[1].xml, xml(&numbered(2, 20_000), 2));
}

#[test]
fn garbage_between_records() {
    let mut log = LogWriter::in_memory(Options::new());
    log.push(&numbered(0, 100)).unwrap();
    log.push_garbage(&[0xee; 64]).unwrap();
    log.push(&numbered(1, 100)).unwrap();
    log.push_bytes(FileTime::literal(START), &[0x0f, 1, 1, 0, 0xff]).unwrap();
    log.push(&numbered(3, 100)).unwrap();
    assert!(log.push_garbage(&[0; 65_536]).is_err());
    let log = log.into_bytes().unwrap();
    let (ids, errors) = survivors(&log);
    assert_eq!(ids, [1, 2, 4]);
    assert_eq!(errors, 2, "the garbage, and the record that is no BinXML");
}

#[test]
fn damage_is_what_it_says() {
    let events: Vec<Event> = (0..6).map(|n| numbered(n, 100)).collect();
    let whole = log_of(Options::new().records_per_chunk(2), &events);
    let check = |harm: &dyn Fn(&mut Vec<u8>), ids: &[u64], errors: usize| {
        let mut log = whole.clone();
        harm(&mut log);
        assert_ne!(log, whole);
        assert_eq!(survivors(&log), (ids.to_vec(), errors));
    };
    check(&|log| damage::break_header_checksum(log, 1), &[1, 2, 5, 6], 1);
    check(&|log| damage::break_records_checksum(log, 1), &[1, 2, 5, 6], 1);
    check(&|log| damage::break_chunk_magic(log, 0), &[3, 4, 5, 6], 1);
    let swapped = &mut whole.clone();
    damage::swap_chunks(swapped, 2, 0);
    assert_eq!(damage::chunk(swapped, 0), damage::chunk(&mut whole.clone(), 2));
    assert_eq!(damage::chunk(swapped, 2), damage::chunk(&mut whole.clone(), 0));
    assert_eq!(read(swapped).len(), 6);
    check(&|log| damage::flip(log, damage::chunk_offset(1) + 0x300, 1), &[1, 2, 5, 6], 1);
    check(&|log| damage::break_file_checksum(log), &[1, 2, 3, 4, 5, 6], 0);
    let second = damage::record_offsets(&whole, 1)[1];
    check(&|log| damage::tear_chunk(log, 1, second), &[1, 2, 5, 6], 1);
    let resealed = |log: &mut Vec<u8>| {
        damage::wipe_record(log, 1, 1, 0xcc);
        damage::reseal_chunk(log, 1);
    };
    check(&resealed, &[1, 2, 3, 5, 6], 1);
    // What a header does not know yet is no error; the last record of the others stays.
    check(&|log| damage::forget_records(log, 2, 1), &[1, 2, 3, 4, 5], 0);
    let mut log = whole.clone();
    log[0x18] = 99;
    assert!(!parser(&log).header().validate_checksum());
    damage::reseal_file(&mut log);
    assert!(parser(&log).header().validate_checksum());
}

#[test]
fn forwarded_events_keep_their_own_origin() {
    let rendering = |channel: &'static str| Rendering {
        culture: "en-US".into(),
        message: "A process was created.\r\n\r\nSubject: <x>".into(),
        level: "Information".into(),
        task: "Process Creation".into(),
        opcode: "Info".into(),
        channel: channel.into(),
        provider: "Microsoft Windows security auditing.".into(),
        keywords: vec!["Audit Success".into(), "Classic".into()],
    };
    let auditing = Provider::new("Microsoft-Windows-Security-Auditing", Guid::derived(b"a"));
    let mut events = Vec::new();
    for n in 0..40_u32 {
        let host = format!("HOST-{}.corp.example", n % 7);
        let (provider, channel) = match n % 3 {
            0 => (sysmon(), "Microsoft-Windows-Sysmon/Operational"),
            1 => (auditing.clone(), "Security"),
            _ => (Provider::classic("MsiInstaller"), "Application"),
        };
        let event = Event::new(provider, 1 + n as u16 % 5, channel).at(FileTime::literal(START));
        let mut event = event.on(host).data([("N", n)]).record_id(1000 + u64::from(n));
        event = event.forwarded(rendering(channel));
        if n % 4 == 0 {
            event = event.layout(Layout::Plain);
        }
        if n % 5 == 0 {
            event.rendering = Some(Rendering::default());
        }
        events.push(event);
    }
    round_trip(Options::new(), &events);
}

fn text() -> impl Strategy<Value = String> {
    // No controls: readers print those that XML forbids as something else.
    proptest::string::string_regex("[ -~\u{a0}-\u{d7ff}\u{10000}-\u{10ffff}]{0,40}").unwrap()
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(Value::from),
        Just(Value::Null),
        Just(Value::NullOf(ValueType::UInt32)),
        any::<i8>().prop_map(Value::from),
        any::<u8>().prop_map(Value::from),
        any::<i16>().prop_map(Value::from),
        any::<u16>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<u32>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Value::Binary),
        any::<[u8; 16]>().prop_map(|bytes| Guid::from_bytes(bytes).into()),
        any::<u32>().prop_map(Value::Hex32),
        any::<u64>().prop_map(Value::Hex64),
        any::<u64>().prop_map(Value::Pointer),
        // Up to the year 9999, beyond which no calendar text is agreed on.
        (0..2_650_467_743_999_999_999_u64).prop_map(|ticks| FileTime(ticks).into()),
        (0..1_u64 << 48, proptest::collection::vec(any::<u32>(), 0..=15))
            .prop_map(|(authority, parts)| Sid::new(authority, &parts).unwrap().into()),
    ]
}

fn name() -> impl Strategy<Value = String> {
    proptest::string::string_regex("[A-Za-z][A-Za-z0-9]{0,12}").unwrap()
}

fn body() -> impl Strategy<Value = Body> {
    let fields = proptest::collection::vec((text(), value()), 0..12);
    let leaf = (name(), proptest::collection::vec((name(), value()), 0..3), value()).prop_map(
        |(name, attributes, value)| UserNode {
            name: name.into(),
            // Distinct, since XML allows no attribute twice.
            attributes: attributes
                .into_iter()
                .enumerate()
                .map(|(i, (name, value))| (format!("{name}{i}").into(), value))
                .collect(),
            value: Some(value),
            children: Vec::new(),
        },
    );
    let node = leaf.prop_recursive(3, 12, 4, |inner| {
        (name(), proptest::collection::vec(inner, 1..4))
            .prop_map(|(name, children)| UserNode::group(name, children))
    });
    let user = (name(), proptest::collection::vec(node, 1..4)).prop_map(|(root, children)| {
        Body::User(UserData { root: root.into(), attributes: Vec::new(), children })
    });
    let bytes = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..30));
    prop_oneof![
        1 => Just(Body::None),
        5 => (fields, bytes.clone()).prop_map(|(fields, binary)| Body::Data {
            title: None,
            fields: fields.into_iter().map(|(name, value)| (name.into(), value)).collect(),
            binary,
        }),
        1 => proptest::collection::vec(value(), 0..6).prop_map(Body::Unnamed),
        1 => (proptest::collection::vec(text(), 0..6), bytes)
            .prop_map(|(strings, binary)| Body::classic(strings, binary)),
        2 => user,
    ]
}

prop_compose! {
    fn event()(
        (event_id, version, level, task) in any::<(u16, u8, u8, u16)>(),
        (opcode, keywords, process_id, thread_id) in any::<(u8, u64, u32, u32)>(),
        (provider, guid, channel, computer) in (text(), any::<Option<[u8; 16]>>(), text(), text()),
        (activity, related) in any::<(Option<[u8; 16]>, Option<[u8; 16]>)>(),
        (qualifiers, record_id) in any::<(Option<u16>, Option<u64>)>(),
        // From 1970 on, so that cutting to microseconds and rounding down are the same.
        ticks in 116_444_736_000_000_000..2_650_467_743_999_999_999_u64,
        layout in prop_oneof![
            4 => Just(Layout::Auto), 1 => Just(Layout::Shared), 1 => Just(Layout::Literal),
            1 => Just(Layout::Classic), 1 => Just(Layout::Plain),
        ],
        body in body(),
    ) -> Event {
        let provider =
            Provider { name: provider.into(), guid: guid.map(Guid::from_bytes), source: None };
        Event {
            event_id, version, level, task, opcode, keywords, process_id, thread_id,
            qualifiers, record_id, body, layout,
            activity: activity.map(Guid::from_bytes),
            related: related.map(Guid::from_bytes),
            ..Event::new(provider, 0, channel).at(ticks).on(computer)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_events_round_trip(
        events in proptest::collection::vec(event(), 1..12),
        records in 1..6_u32,
        chunk_bytes in 0x400..0x1_0000_usize,
    ) {
        let options = Options::new().records_per_chunk(records).chunk_bytes(chunk_bytes);
        round_trip(options, &events);
    }
}
