//! The forge against the `evtx` crate: what is asked for is what a strict reader finds.
//!
//! The reader validates checksums, so a log that passes here is one that other tests can rely on.

use evtx::{EvtxParser, ParserSettings};
use forge::{Event, FileTime, Guid, Layout, LogWriter, Options, Provider, Sid, Value};

/// A record as the `evtx` crate reads it.
#[derive(Debug, PartialEq)]
struct Read {
    id: u64,
    time: String,
    xml: String,
}

fn parser(log: &[u8]) -> EvtxParser<std::io::Cursor<Vec<u8>>> {
    let settings = ParserSettings::new().validate_checksums(true).num_threads(1).indent(false);
    EvtxParser::from_buffer(log.to_vec()).unwrap().with_configuration(settings)
}

fn read(log: &[u8]) -> Vec<Read> {
    let mut parser = parser(log);
    assert!(parser.header().validate_checksum(), "file header");
    let records = parser.records().map(|record| {
        let record = record.unwrap();
        Read { id: record.event_record_id, time: record.timestamp.to_string(), xml: record.data }
    });
    records.collect()
}

fn sysmon() -> Provider {
    Provider::new("Microsoft-Windows-Sysmon", Guid::literal("5770385f-c22a-43e0-bf4c-06f5698ffbd9"))
}

fn base() -> Event {
    Event::new(sysmon(), 1, "Microsoft-Windows-Sysmon/Operational")
        .at(FileTime::literal("2026-03-01T10:00:00.1234567Z"))
        .on("WS-0417")
        .by(Sid::system())
        .execution(2804, 3676)
}

fn one(event: &Event) -> Vec<u8> {
    let mut log = LogWriter::in_memory(Options::new());
    log.push(event).unwrap();
    log.into_bytes().unwrap()
}

#[test]
fn the_first_record_reads_back() {
    for layout in [Layout::Shared, Layout::Literal, Layout::Plain] {
        let event = base().layout(layout).data([("Image", Value::from("a & b"))]);
        let records = read(&one(&event));
        assert_eq!(records.len(), 1);
        assert!(
            records[0]
                .xml
                .contains(r#"<EventData><Data Name="Image">a &amp; b</Data></EventData>"#)
        );
    }
}
