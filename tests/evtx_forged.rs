//! Made logs: every type, shape and layout against the `evtx` crate, and logs as they are found.

use crate::evtx_support::{Heard, assert_adds_up, assert_as_the_crate, read};
use forge::{
    Body, CHUNK_HEADER_SIZE, CHUNK_SIZE, Element, Event, Field, FileTime, Fragment, Guid, Instance,
    Layout, LogWriter, Node, Options as Writing, Provider, Rendering, Sid, Slack, Template,
    UserData, UserNode, Value, ValueType, damage, optional, slot,
};
use harrier::evtx::{Bin, DamageKind, Decline, Finding, Options, Reader};
use proptest::prelude::*;
use std::sync::Arc;

/// 2026-03-01T10:00:00.1234567Z
const TIME: FileTime = FileTime(134_168_328_001_234_567);

fn base() -> Event {
    let guid = Guid::literal("5770385f-c22a-43e0-bf4c-06f5698ffbd9");
    let provider = Provider::new("Microsoft-Windows-Sysmon", guid);
    Event::new(provider, 1, "Microsoft-Windows-Sysmon/Operational")
        .at(TIME)
        .on("WS-0417")
        .by(Sid::system())
        .execution(2804, 3676)
}

fn log_of<'a>(options: Writing, events: impl IntoIterator<Item = &'a Event>) -> Vec<u8> {
    let mut log = LogWriter::in_memory(options);
    for event in events {
        log.push(event).unwrap();
    }
    log.into_bytes().unwrap()
}

fn log_of_fragments<'a>(fragments: impl IntoIterator<Item = &'a Fragment>) -> Vec<u8> {
    let mut log = LogWriter::in_memory(Writing::new());
    for fragment in fragments {
        log.push_fragment(TIME, fragment).unwrap();
    }
    log.into_bytes().unwrap()
}

/// One record of this template, with these values.
fn declined(root: Element, values: Vec<Value>) -> Option<Decline> {
    let log = log_of_fragments([&Fragment::of(&Template::new(root), values)]);
    let mut declined = assert_as_the_crate(&log);
    assert_eq!(declined.len(), 1);
    declined.remove(0)
}

fn body_of(child: Element) -> Element {
    Element::new("Event").child(Element::new("UserData").child(child))
}

fn scalars() -> Vec<Value> {
    vec![
        Value::Null,
        Value::NullOf(ValueType::Sid),
        "".into(),
        "text with <markup> & \"quotes\", 'x', ünï 日本 😀 \r\n\t \u{1}".into(),
        "ends\0here".into(),
        Value::Raw(0x01, vec![0x41, 0, 0x00, 0xD8, 0x42, 0]),
        Value::Ansi(b"code page".to_vec()),
        Value::Ansi(b"with an end\0\0".to_vec()),
        Value::Ansi(Vec::new()),
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
        1e300_f64.into(),
        f64::NAN.into(),
        true.into(),
        false.into(),
        Value::Raw(0x0d, vec![0xFE, 0xFF, 0xFF, 0xFF]),
        vec![0_u8, 0xab, 0xff].into(),
        Value::Binary(Vec::new()),
        Guid::derived(b"g").into(),
        Guid::NIL.into(),
        Value::Size32(0x7ffe),
        Value::Size64(0x7ffe_0000_0000),
        Value::Pointer(0x1410),
        TIME.into(),
        FileTime(u64::MAX).into(),
        TIME.system_time().into(),
        Value::Raw(0x12, vec![0; 16]),
        Sid::literal("S-1-5-21-1587066498-1489273250-1035260531-1106").into(),
        Sid::nobody().into(),
        Value::Hex32(0xc000_006d),
        Value::Hex64(0x8020_0000_0000_0000),
    ]
}

fn arrays() -> Vec<(ValueType, Vec<Value>)> {
    vec![
        (ValueType::String, vec!["a".into(), "".into(), "b c".into()]),
        (ValueType::String, vec!["".into()]),
        (ValueType::AnsiString, vec![Value::Ansi(b"x".to_vec()), Value::Ansi(Vec::new())]),
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
        (ValueType::Guid, vec![Guid::derived(b"a").into(), Guid::NIL.into()]),
        (ValueType::FileTime, vec![TIME.into(), TIME.plus_seconds(1).into()]),
        (ValueType::SystemTime, vec![TIME.system_time().into()]),
        (ValueType::Sid, vec![Sid::system().into(), Sid::literal("S-1-5-32-544").into()]),
        (ValueType::HexInt32, vec![Value::Hex32(16), Value::Hex32(0xffff_ffff)]),
        (ValueType::HexInt64, vec![Value::Hex64(16), Value::Hex64(u64::MAX)]),
        (ValueType::UInt32, vec![]),
        (ValueType::String, vec![]),
    ]
}

#[test]
fn every_type_reads_as_the_crate_renders_it() {
    let mut values = scalars();
    values.extend(arrays().into_iter().map(|(of, items)| Value::Array(of, items)));
    // Booleans of which one is none are numbers.
    values.push(Value::Raw(0x8d, [1_u32, 0, 7].iter().flat_map(|n| n.to_le_bytes()).collect()));
    let fields: Vec<Field> =
        (0..).zip(values.iter().cloned()).map(|(n, v)| (format!("V{n}").into(), v)).collect();
    for layout in [Layout::Shared, Layout::Literal, Layout::Classic] {
        let event = base().layout(layout).data(fields.clone());
        assert_eq!(assert_as_the_crate(&log_of(Writing::new(), [&event])), [None]);
    }
    // In UserData, alone, and as an attribute.
    for value in values {
        let user = UserData::new("Root", "urn:x", [("Leaf", value.clone())]);
        let event = base().body(Body::User(user));
        assert_eq!(assert_as_the_crate(&log_of(Writing::new(), [&event])), [None], "{value:?}");
        let leaf = UserNode::leaf("Leaf", "x").attr("a", value.clone());
        let user = UserData { root: "Root".into(), attributes: vec![], children: vec![leaf] };
        let event = base().body(Body::User(user));
        let many = matches!(&value, Value::Array(_, items) if items.len() > 1)
            || matches!(&value, Value::Raw(0x8d, _));
        let want = many.then_some(Decline::Place);
        assert_eq!(assert_as_the_crate(&log_of(Writing::new(), [&event])), [want], "{value:?}");
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
            binary: Some(vec![0x45, 0, 0x46, 0]),
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
    for layout in [Layout::Shared, Layout::Literal, Layout::Classic, Layout::Plain] {
        for rendering in [None, Some(Rendering { message: "x".into(), ..Rendering::default() })] {
            let events: Vec<Event> = (1..)
                .zip(bodies())
                .map(|(id, body)| {
                    let mut event = base().layout(layout).body(body);
                    event.event_id = id;
                    event.rendering = rendering.clone();
                    event
                })
                .collect();
            let declined = assert_as_the_crate(&log_of(Writing::new(), &events));
            let want = (layout == Layout::Plain).then_some(Decline::Stream);
            assert!(declined.iter().all(|d| *d == want), "{layout:?} {declined:?}");
        }
    }
}

#[test]
fn an_element_that_depends_on_null_is_absent_and_an_empty_one_is_not() {
    let string = ValueType::String;
    let data =
        |name: &'static str, n: u16| Element::new("Data").attr("Name", name).child(slot(n, string));
    let root = Element::new("Event").child(
        Element::new("EventData")
            .child(data("Kept", 0))
            .child(Element::new("Data").attr("Name", "Optional").child(optional(0, string)))
            .child(data("Gone", 0).depends_on(0))
            .child(data("Here", 1).depends_on(1))
            .child(data("Beyond", 9))
            .child(data("BeyondToo", 1).depends_on(9))
            .child(data("OfNothing", 2).depends_on(2)),
    );
    let template = Template::new(root);
    // An empty string is not NullType, an embedded fragment without bytes is.
    for (third, gone) in [(Value::from(""), false), (Value::Raw(0x21, vec![]), true)] {
        let fragment = Fragment::of(&template, vec![Value::Null, "v".into(), third]);
        let log = log_of_fragments([&fragment]);
        assert_eq!(assert_as_the_crate(&log), [None]);
        let heard = read(&mut Reader::default(), &log);
        let names: Vec<&str> = heard.records[0].fields.iter().map(|f| f.2.as_str()).collect();
        let mut want = vec!["Kept", "Optional", "Here", "Beyond", "BeyondToo"];
        if !gone {
            want.push("OfNothing");
        }
        assert_eq!(names, want);
    }
}

#[test]
fn nested_instances_are_left_out_with_what_is_around_them() {
    let inner = Template::new(Element::new("Inner").child(slot(0, ValueType::String)));
    let nested = || Value::BinXml(Box::new(Fragment::of(&inner, vec!["deep".into()])));
    let root = Element::new("Event").child(
        Element::new("UserData")
            .child(Element::new("Always"))
            .child(Element::new("If").depends_on(1).child(slot(0, ValueType::BinXml))),
    );
    let template = Template::new(root);
    let fragments =
        [Value::Null, 1_u8.into()].map(|flag| Fragment::of(&template, vec![nested(), flag]));
    let log = log_of_fragments(&fragments);
    assert_eq!(assert_as_the_crate(&log), [None, None]);
    let heard = read(&mut Reader::default(), &log);
    let count = |n: usize| heard.records[n].fields.len();
    assert_eq!((count(0), count(1)), (1, 2));
}

#[test]
fn instances_nest_to_a_depth_and_no_deeper() {
    let mut value = Value::from("end");
    for depth in 0..20 {
        let template = Template::new(Element::new("N").child(slot(0, value_type(&value))));
        let root = body_of(Element::new("Root").child(slot(0, value_type(&value))));
        let want = (depth > 8).then_some(Decline::Limit);
        assert_eq!(declined(root, vec![value.clone()]), want, "{depth}");
        value = Value::BinXml(Box::new(Fragment::of(&template, vec![value])));
    }
}

fn value_type(value: &Value) -> ValueType {
    if matches!(value, Value::BinXml(_)) { ValueType::BinXml } else { ValueType::String }
}

#[test]
fn unusual_shapes_go_to_the_slow_lane() {
    let text = || slot(0, ValueType::String);
    let shape = Some(Decline::Shape);
    let cases: Vec<(Element, Option<Decline>)> = vec![
        (body_of(Element::new("A").child(text())), None),
        (
            body_of(Element::new("A").text("x").child(text()).child(Node::Entity("amp".into()))),
            None,
        ),
        (body_of(Element::new("A").child(Node::CData("<raw>".into()))), None),
        (body_of(Element::new("A").child(Node::Char(0xE9))), None),
        (body_of(Element::new("A").text("").attr("b", "")), None),
        (body_of(Element::new("A").attr_node("b", Node::CData("".into()))), shape),
        (body_of(Element::new("A").child(Node::Char(1))), shape),
        (body_of(Element::new("A").child(Node::Entity("nbsp".into()))), shape),
        (
            body_of(Element::new("A").child(Node::Pi { target: "p".into(), data: "d".into() })),
            shape,
        ),
        (body_of(Element::new("A").text("beside").child(Element::new("B"))), shape),
        (body_of(Element::new("A").text(" \n").child(Element::new("B").text("b"))), None),
        (body_of(Element::new("A").child(text()).child(Element::new("B"))), Some(Decline::Place)),
        (body_of(Element::new("A").child(Element::new("B").depends_on(0))), shape),
        (
            Element::new("Event").child(Element::new("EventData").child(text())),
            Some(Decline::Place),
        ),
        (
            Element::new("Event").child(
                Element::new("EventData")
                    .child(Element::new("Data").attr_node("Name", text()).text("v")),
            ),
            shape,
        ),
        (Element::new("Other").child(text()), shape),
        (
            Element::new("Event")
                .child(Element::new("RenderingInfo").child(Element::new("Message").child(text()))),
            None,
        ),
        (Element::new("Event").child(Element::new("BinaryEventData").child(text())), None),
    ];
    for (root, want) in cases {
        let what = format!("{root:?}");
        assert_eq!(declined(root, vec!["v".into()]), want, "{what}");
    }
}

#[test]
fn fragments_that_are_no_single_instance_go_to_the_slow_lane() {
    let root = body_of(Element::new("Root").child(slot(0, ValueType::BinXml)));
    let plain = Fragment::Plain(vec![
        Element::new("P").attr("a", "1").text("plain").into(),
        Element::new("Q").into(),
    ]);
    let value = Value::BinXml(Box::new(plain));
    assert_eq!(declined(root, vec![value]), Some(Decline::Stream));
    let whole = Element::new("Event").child(Element::new("OnlyPlain").text("no template"));
    let log = log_of_fragments([&Fragment::Plain(vec![whole.into()])]);
    assert_eq!(assert_as_the_crate(&log), [Some(Decline::Stream)]);
}

#[test]
fn a_template_is_its_content_and_not_its_guid() {
    let guid = Guid::derived(b"reused");
    let mut log = LogWriter::in_memory(Writing::new().records_per_chunk(2));
    for name in ["A", "B", "A", "C", "B", "A"] {
        let root = body_of(Element::new(name).child(slot(0, ValueType::String)));
        let template = Template::with_guid(guid, root);
        log.push_fragment(TIME, &Fragment::of(&template, vec!["v".into()])).unwrap();
    }
    assert_eq!(assert_as_the_crate(&log.into_bytes().unwrap()), [None; 6]);
}

/// Text that the chunk does not hold as it is, in UTF-16LE, makes a record one that is not verbatim.
#[test]
fn a_record_is_verbatim_if_its_texts_stand_in_the_chunk() {
    struct Verbatim(Vec<bool>);
    impl harrier::evtx::Sink for Verbatim {
        fn record(&mut self, record: &harrier::evtx::Record<'_>) -> std::ops::ControlFlow<()> {
            use harrier::event::Event as _;
            let verbatim = record.is_verbatim();
            self.0.push(verbatim);
            for (id, _) in record.layout().iter().filter(|_| verbatim) {
                record.values(id, |value| {
                    use harrier::event::Value::{Text, Utf16};
                    if matches!(value, Text(_) | Utf16(_)) {
                        let text = value.to_text();
                        let units: Vec<u8> =
                            text.encode_utf16().flat_map(u16::to_le_bytes).collect();
                        let found =
                            record.in_chunk().0.windows(units.len().max(1)).any(|w| w == units);
                        assert!(found || units.is_empty(), "{text:?}");
                    }
                });
            }
            std::ops::ControlFlow::Continue(())
        }
        fn chunk(&mut self, _: harrier::evtx::ChunkReport) {}
        fn damage(&mut self, _: harrier::evtx::Damage) {}
    }
    let text = || slot(0, ValueType::String);
    let cases: Vec<(Element, Value, bool)> = vec![
        (Element::new("A").child(text()).text(""), "value".into(), true),
        (Element::new("A").text("literal").attr("a", "b"), "value".into(), true),
        (Element::new("A").child(Node::CData("<raw>".into())), "value".into(), true),
        (Element::new("A").text("x").child(text()), "value".into(), false),
        (Element::new("A").child(Node::Entity("lt".into())), "value".into(), false),
        (Element::new("A").text("x").child(Node::Char(0x41)), "value".into(), false),
        (Element::new("A").child(text()), Value::Ansi(b"code page".to_vec()), false),
    ];
    for (element, value, want) in cases {
        let what = format!("{element:?}");
        let log = log_of_fragments([&Fragment::of(&Template::new(body_of(element)), vec![value])]);
        let opened = harrier::evtx::open(&log).unwrap();
        let mut sink = Verbatim(Vec::new());
        assert!(Reader::default().read(&log, &opened, 0..1, &mut sink).is_continue());
        assert_eq!(sink.0, [want], "{what}");
    }
}

#[test]
fn records_of_one_make_share_their_layout() {
    struct Layouts(Vec<usize>);
    impl harrier::evtx::Sink for Layouts {
        fn record(&mut self, r: &harrier::evtx::Record<'_>) -> std::ops::ControlFlow<()> {
            use harrier::event::Event as _;
            self.0.push(Arc::as_ptr(r.layout()) as usize);
            std::ops::ControlFlow::Continue(())
        }
        fn chunk(&mut self, _: harrier::evtx::ChunkReport) {}
        fn damage(&mut self, _: harrier::evtx::Damage) {}
    }
    let events: Vec<Event> = (0..60)
        .map(|n: u32| match n % 3 {
            0 => base().data([("A", Value::from(n))]),
            1 => base().data([("A", Value::from(n)), ("B", "x".into())]),
            _ => base().body(Body::classic(["a"; 2], None)),
        })
        .collect();
    let log = log_of(Writing::new().records_per_chunk(7), &events);
    for slow_only in [false, true] {
        let mut reader = Reader::new(Options { slow_only, ..Options::default() });
        let mut layouts = Layouts(Vec::new());
        let opened = harrier::evtx::open(&log).unwrap();
        assert!(reader.read(&log, &opened, 0..99, &mut layouts).is_continue());
        for n in 3..60 {
            assert_eq!(layouts.0[n], layouts.0[n - 3], "{n} {slow_only}");
        }
        assert_ne!(layouts.0[0], layouts.0[1]);
    }
}

fn numbered(range: std::ops::Range<u32>) -> Vec<Event> {
    range.map(|n| base().data([("N", Value::from(n)), ("Text", "x".repeat(400).into())])).collect()
}

fn ids(heard: &Heard, recovered: bool) -> Vec<u64> {
    heard.records.iter().filter(|r| r.recovered == recovered).map(|r| r.id).collect()
}

fn recovering() -> Reader {
    Reader::new(Options { recover: true, ..Options::default() })
}

#[test]
fn a_header_that_is_stale_hides_nothing() {
    let options = Writing::new().records_per_chunk(5).dirty(true).stale_header(true).tail_chunks(2);
    let log = log_of(options, &numbered(0..18));
    let opened = harrier::evtx::open(&log).unwrap();
    assert!(opened.dirty && opened.checksum_ok);
    assert_eq!((opened.chunk_count, opened.slots), (1, 6));
    let heard = read(&mut Reader::default(), &log);
    assert_adds_up(&log, &heard);
    assert_eq!(ids(&heard, false), (1..=18).collect::<Vec<_>>());
    assert_eq!(heard.chunks.iter().filter(|c| c.bin == Bin::Empty).count(), 2);
    assert!(heard.damage.is_empty() && heard.chunks.iter().all(|c| c.findings.is_empty()));
}

#[test]
fn a_ring_holds_what_was_not_overwritten() {
    let options = Writing::new().records_per_chunk(5).ring(3).slack(Slack::Stale);
    let log = log_of(options, &numbered(0..24));
    let heard = read(&mut Reader::default(), &log);
    let mut live = ids(&heard, false);
    live.sort_unstable();
    assert_eq!(live, (11..=24).collect::<Vec<_>>());
    assert!(heard.damage.is_empty());
    // The last chunk has four records and, behind them, the fifth of the chunk before.
    let heard = read(&mut recovering(), &log);
    assert_adds_up(&log, &heard);
    assert_eq!(ids(&heard, true), [10]);
}

#[test]
fn a_left_over_record_whose_template_is_gone_is_not_read_with_another() {
    let options = Writing::new().records_per_chunk(5).ring(3).slack(Slack::Stale);
    let mut log = log_of(options, &numbered(0..24));
    // The first record of the last chunk holds the definition, 38 bytes in; its GUID is another now.
    damage::chunk(&mut log, 1)[CHUNK_HEADER_SIZE + 38 + 4] ^= 0xFF;
    damage::reseal_chunk(&mut log, 1);
    let heard = read(&mut recovering(), &log);
    assert_adds_up(&log, &heard);
    assert_eq!((heard.records.len(), ids(&heard, true).len()), (14, 0));
    assert_eq!(heard.damage.len(), 1);
    assert_eq!(heard.damage[0].record_id, Some(10));
    assert!(heard.damage[0].reason.ends_with(&Decline::Stale.to_string()));
    assert_eq!(heard.damage[0].kind, DamageKind::LeftOver);
}

/// A source that gives a few bytes at a time and fails in places.
struct Faulty {
    data: Vec<u8>,
    bad: std::ops::Range<u64>,
}

impl harrier::bytes::ReadAt for Faulty {
    fn size(&self) -> u64 {
        self.data.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<usize> {
        let len = buf.len().min(1 + offset as usize % 700);
        if offset < self.bad.end && offset + len as u64 > self.bad.start {
            return Err(std::io::Error::other("bad sector"));
        }
        self.data.read_at(offset, &mut buf[..len])
    }
}

#[test]
fn what_the_medium_does_not_give_is_lost_and_nothing_else() {
    let data = log_of(Writing::new().records_per_chunk(20), &numbered(0..60));
    let second = 4096 + 65536;
    let read_around = |bad: std::ops::Range<u64>| {
        let source = Faulty { data: data.clone(), bad };
        let opened = harrier::evtx::open(&source).unwrap();
        let mut heard = Heard::default();
        assert!(Reader::default().read(&source, &opened, 0..9, &mut heard).is_continue());
        assert_adds_up(&data, &heard);
        let others = ids(&heard, false).into_iter().filter(|id| *id <= 20 || *id > 40).count();
        assert_eq!(others, 40);
        heard
    };
    // A whole chunk.
    let heard = read_around(second..second + 65536);
    let Bin::Unreadable(reason) = &heard.chunks[1].bin else { panic!("{heard:?}") };
    assert_eq!(reason, "the chunk cannot be read: bad sector");
    assert_eq!((heard.damage[0].chunk, heard.damage[0].kind), (1, DamageKind::Chunk));
    // One sector of its records.
    let heard = read_around(second + 3 * 4096 + 7..second + 3 * 4096 + 9);
    assert_eq!(heard.damage[0].offset, second + 3 * 4096);
    assert_eq!(heard.damage[0].kind, DamageKind::Medium(4096));
    assert!(heard.chunks[1].findings.contains(&Finding::Lost { bytes: 4096 }));
    assert!((14..20).contains(&(heard.records.len() - 40)), "{}", heard.records.len());
    // Its header: the records are found without it.
    let heard = read_around(second..second + 1);
    assert_eq!((heard.records.len(), heard.damage.len()), (60, 1));
    assert!(heard.chunks[1].findings.contains(&Finding::Magic));
    // The sector that has the header and the first records, with the templates of the others.
    let heard = read_around(second..second + 4096);
    assert!(heard.damage.iter().filter(|d| d.kind == DamageKind::Record).count() >= 14);
    // Bytes that nothing stands in.
    let used = data[second as usize + 48..].first_chunk().map(|b| u32::from_le_bytes(*b)).unwrap();
    assert!(used < 60_000);
    let heard = read_around(second + 65_000..second + 65_536);
    assert_eq!((heard.records.len(), heard.damage.len()), (60, 0));
}

#[test]
fn a_sink_can_end_the_reading() {
    struct Stop(u32);
    impl harrier::evtx::Sink for Stop {
        fn record(&mut self, _: &harrier::evtx::Record<'_>) -> std::ops::ControlFlow<()> {
            self.0 += 1;
            if self.0 == 7 {
                std::ops::ControlFlow::Break(())
            } else {
                std::ops::ControlFlow::Continue(())
            }
        }
        fn chunk(&mut self, _: harrier::evtx::ChunkReport) {}
        fn damage(&mut self, _: harrier::evtx::Damage) {}
    }
    let log = log_of(Writing::new().records_per_chunk(5), &numbered(0..15));
    let opened = harrier::evtx::open(&log).unwrap();
    for slow_only in [false, true] {
        let mut stop = Stop(0);
        let mut reader = Reader::new(Options { slow_only, ..Options::default() });
        assert!(reader.read(&log, &opened, 0..9, &mut stop).is_break());
        assert_eq!(stop.0, 7);
    }
}

#[test]
fn records_that_the_chunk_header_does_not_know_yet_are_live() {
    let mut log = log_of(Writing::new(), &numbered(0..20));
    let offsets = damage::record_offsets(&log, 0);
    let chunk = damage::chunk(&mut log, 0);
    // As of record 8: last id, last offset, free space.
    chunk[32..40].copy_from_slice(&8u64.to_le_bytes());
    chunk[48..52].copy_from_slice(&(offsets[8] as u32).to_le_bytes());
    damage::reseal_chunk(&mut log, 0);
    let heard = read(&mut Reader::default(), &log);
    assert_adds_up(&log, &heard);
    assert_eq!(ids(&heard, false), (1..=20).collect::<Vec<_>>());
    assert_eq!(heard.chunks[0].findings, [Finding::RecordsAfterLast(12)]);
}

#[test]
fn checksums_are_reported_and_hide_nothing() {
    let clean = log_of(Writing::new().records_per_chunk(5), &numbered(0..15));
    let read_damaged = |harm: &dyn Fn(&mut [u8])| {
        let mut log = clean.clone();
        harm(&mut log);
        let heard = read(&mut Reader::default(), &log);
        assert_adds_up(&log, &heard);
        assert_eq!(ids(&heard, false), (1..=15).collect::<Vec<_>>());
        assert!(heard.damage.is_empty());
        heard.chunks[1].findings.clone()
    };
    let header = read_damaged(&|log| damage::break_header_checksum(log, 1));
    assert_eq!(header, [Finding::HeaderChecksum]);
    let records = read_damaged(&|log| damage::break_records_checksum(log, 1));
    assert_eq!(records, [Finding::DataChecksum]);
    let magic = read_damaged(&|log| damage::break_chunk_magic(log, 1));
    assert_eq!(magic, [Finding::Magic]);
    let free = read_damaged(&|log| {
        damage::chunk(log, 1)[48..52].copy_from_slice(&70_000u32.to_le_bytes());
    });
    assert_eq!(free, [Finding::HeaderChecksum, Finding::FreeSpaceOffset(70_000)]);
    let mut log = clean.clone();
    damage::break_file_checksum(&mut log);
    assert!(!harrier::evtx::open(&log).unwrap().checksum_ok);
}

#[test]
fn a_wiped_record_is_a_gap_and_the_others_are_read() {
    let clean = log_of(Writing::new(), &numbered(0..20));
    let offsets = damage::record_offsets(&clean, 0);
    // The first holds the templates: then all that need them are unreadable, one by one.
    for (n, byte) in [(7, 0xCC), (7, 0), (19, 0xAA), (19, 0)] {
        let mut log = clean.clone();
        damage::wipe_record(&mut log, 0, n, byte);
        let heard = read(&mut Reader::default(), &log);
        assert_adds_up(&log, &heard);
        let want: Vec<u64> = (1..=20).filter(|id| *id != n as u64 + 1).collect();
        assert_eq!(ids(&heard, false), want, "{n} {byte}");
        assert_eq!(heard.damage.len(), 1);
        assert_eq!(heard.damage[0].offset, 4096 + offsets[n] as u64);
        assert!(matches!(heard.damage[0].kind, DamageKind::Gap(len) if len > 800));
        let fewer = Finding::FewerRecords { named: 20, found: 19 };
        assert!(heard.chunks[0].findings.contains(&fewer));
    }
    let mut log = clean.clone();
    damage::wipe_record(&mut log, 0, 0, 0xCC);
    let heard = read(&mut Reader::default(), &log);
    assert_adds_up(&log, &heard);
    assert!(heard.records.is_empty());
    assert_eq!(heard.damage.len(), 20);
    assert!(heard.damage.iter().skip(1).all(|d| d.kind == DamageKind::Record));
    assert_eq!(heard.damage[5].record_id, Some(6));
}

#[test]
fn a_torn_chunk_gives_what_was_written() {
    let clean = log_of(Writing::new(), &numbered(0..20));
    let offsets = damage::record_offsets(&clean, 0);
    let mut log = clean.clone();
    damage::tear_chunk(&mut log, 0, offsets[10] + 100);
    let heard = read(&mut Reader::default(), &log);
    assert_adds_up(&log, &heard);
    // Record 11 lost its end; what there is of it is handed on. What followed it is lost.
    assert_eq!(ids(&heard, false), (1..=11).collect::<Vec<_>>());
    assert!(heard.chunks[0].findings.contains(&Finding::WithoutEnd(1)));
    assert_eq!(heard.damage.len(), 1);
    assert_eq!(heard.damage[0].offset, 4096 + offsets[11] as u64);
    // Cut off instead of torn.
    let cut = &clean[..4096 + offsets[10] + 100];
    let heard = read(&mut Reader::default(), cut);
    assert_adds_up(cut, &heard);
    assert_eq!(ids(&heard, false)[..10], (1..=10).collect::<Vec<_>>());
    assert_eq!(heard.records.len() + heard.damage.len(), 11);
    let size = (offsets[10] + 100) as u32;
    assert!(heard.chunks[0].findings.contains(&Finding::Truncated { size }));
    // Cut within the header of a chunk.
    let cut = &clean[..4096 + 100];
    let heard = read(&mut Reader::default(), cut);
    assert_adds_up(cut, &heard);
    assert!(matches!(heard.chunks[0].bin, Bin::Unreadable(_)));
}

#[test]
fn garbage_between_records_is_passed_over() {
    for len in [8, 24, 32, 400] {
        let mut log = LogWriter::in_memory(Writing::new());
        for (n, event) in numbered(0..10).iter().enumerate() {
            log.push(event).unwrap();
            if n == 4 {
                log.push_garbage(&vec![0xEE; len]).unwrap();
            }
        }
        let mut log = log.into_bytes().unwrap();
        for slow_only in [false, true] {
            let mut reader = Reader::new(Options { slow_only, ..Options::default() });
            let heard = read(&mut reader, &log);
            assert_adds_up(&log, &heard);
            assert_eq!(ids(&heard, false), (1..=10).collect::<Vec<_>>(), "{len} {slow_only}");
            assert_eq!(heard.damage.len(), 1);
        }
        // Records of an older round behind the gap are told apart by their ids.
        let offsets = 4096 + CHUNK_HEADER_SIZE;
        assert!(log.len() == 4096 + CHUNK_SIZE && log[offsets] == b'*');
        let heard = read(&mut Reader::default(), &log);
        let sixth = heard.records[5].offset as usize;
        log[sixth + 8..sixth + 16].copy_from_slice(&9000u64.to_le_bytes());
        let heard = read(&mut Reader::default(), &log);
        assert_eq!(ids(&heard, true), [9000]);
        assert_eq!(ids(&heard, false), [1, 2, 3, 4, 5, 7, 8, 9, 10]);
    }
}

#[test]
fn sources_that_are_no_logs_say_what_they_are() {
    let message = |bytes: &[u8]| harrier::evtx::open(&bytes.to_vec()).unwrap_err().to_string();
    assert_eq!(message(b""), "the file is empty");
    assert!(message(b"PK\x03\x04").contains("no EVTX file"));
    assert!(message(b"ElfFile\0").contains("after 8 bytes"));
    assert!(message(&[0; 70_000]).contains("no EVTX file"));
    let log = log_of(Writing::new(), &[]);
    let heard = read(&mut Reader::default(), &log);
    assert_eq!(heard.chunks.len(), 1);
    assert_eq!(heard.chunks[0].bin, Bin::Empty);
    assert!(heard.chunks[0].findings.is_empty(), "{:?}", heard.chunks[0].findings);
}

#[test]
fn a_record_can_be_rendered_whichever_lane_read_it() {
    struct Render(Vec<String>);
    impl harrier::evtx::Sink for Render {
        fn record(&mut self, record: &harrier::evtx::Record<'_>) -> std::ops::ControlFlow<()> {
            for format in [harrier::evtx::Format::Json, harrier::evtx::Format::Xml] {
                self.0.push(record.render(format).unwrap());
            }
            assert!(record.bytes().starts_with(b"**"));
            std::ops::ControlFlow::Continue(())
        }
        fn chunk(&mut self, _: harrier::evtx::ChunkReport) {}
        fn damage(&mut self, _: harrier::evtx::Damage) {}
    }
    let mut events = numbered(0..9);
    events[4] = events[4].clone().layout(Layout::Plain);
    let log = log_of(Writing::new(), &events);
    let opened = harrier::evtx::open(&log).unwrap();
    let mut sink = Render(Vec::new());
    assert!(Reader::default().read(&log, &opened, 0..9, &mut sink).is_continue());
    for (n, pair) in sink.0.chunks(2).enumerate() {
        assert!(
            pair[0].starts_with("{\"Event\"") && pair[0].contains(&format!("\"N\":{n}"))
                || pair[0].contains(&format!("\"N\":\"{n}\"")),
            "{}",
            pair[0]
        );
        assert!(pair[1].contains(&format!("<Data Name=\"N\">{n}</Data>")), "{}", pair[1]);
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let n = scalars().len();
    prop_oneof![
        6 => (0..n).prop_map(|n| scalars().swap_remove(n)),
        1 => (0..arrays().len()).prop_map(|n| {
            let (of, items) = arrays().swap_remove(n);
            Value::Array(of, items)
        }),
    ]
}

fn any_name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "System",
        "EventData",
        "UserData",
        "Data",
        "Data",
        "Binary",
        "RenderingInfo",
        "A",
        "B",
        "n:C",
    ])
}

fn any_piece() -> impl Strategy<Value = Node> {
    prop_oneof![
        6 => (0u16..9, any::<bool>()).prop_map(|(n, maybe)| {
            if maybe { optional(n, ValueType::String) } else { slot(n, ValueType::String) }
        }),
        2 => prop::sample::select(vec![" ", "lit", "<&>"]).prop_map(|t| Node::Text(t.into())),
        1 => Just(Node::Entity("lt".into())),
        1 => Just(Node::Char(0x41)),
    ]
}

fn any_element() -> impl Strategy<Value = Element> {
    let attributes = prop::collection::vec(
        (prop::sample::select(vec!["Name", "a", "x:b", "xmlns"]), any_piece()),
        0..3,
    );
    let leaf = (any_name(), attributes, prop::collection::vec(any_piece(), 0..3), 0u16..40)
        .prop_map(|(name, attributes, pieces, dependency)| {
            let mut element = Element::new(name);
            for (n, (name, piece)) in attributes.into_iter().enumerate() {
                // XML allows no attribute twice.
                let name = if n == 0 { name.to_owned() } else { format!("{name}{n}") };
                element = element.attr_node(name, piece);
            }
            element.children = pieces;
            if dependency < 9 { element.depends_on(dependency) } else { element }
        });
    leaf.prop_recursive(4, 24, 5, |inner| {
        (any_name(), prop::collection::vec(inner, 1..5), prop::option::weighted(0.1, any_piece()))
            .prop_map(|(name, children, piece)| {
                let mut element = Element::new(name);
                element.children.extend(piece);
                element.children.extend(children.into_iter().map(Node::Element));
                element
            })
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whatever a template looks like: what is read is what the crate renders.
    #[test]
    fn any_template_reads_as_the_crate_renders_it(
        parts in prop::collection::vec(any_element(), 1..4),
        inner in any_element(),
        values in prop::collection::vec(any_value(), 0..8),
        more in prop::collection::vec(any_value(), 0..8),
        place in 0usize..8,
    ) {
        let mut root = Element::new("Event");
        root.children.extend(parts.into_iter().map(Node::Element));
        let template = Template::new(root);
        let inner = Instance { template: Template::new(inner), values: values.clone() };
        let mut nested = more.clone();
        if let Some(value) = nested.get_mut(place) {
            *value = Value::BinXml(Box::new(Fragment::Instance(inner)));
        }
        let fragments = [values, more, nested].map(|values| Fragment::of(&template, values));
        assert_as_the_crate(&log_of_fragments(&fragments));
    }
}
