//! Once its templates are known, a record costs no allocation.

use crate::evtx_support::logs;
use harrier::event::{Event, Value};
use harrier::evtx::{ChunkReport, Damage, Reader, Record, Sink, open};
use std::ops::ControlFlow;

/// Looks at every value of every record.
#[derive(Default)]
struct Look {
    records: u64,
    values: u64,
}

impl Sink for Look {
    fn record(&mut self, record: &Record<'_>) -> ControlFlow<()> {
        self.records += 1;
        for (id, _) in record.layout().iter() {
            record.values(id, |value| self.values += u64::from(value != Value::Empty));
        }
        ControlFlow::Continue(())
    }

    fn chunk(&mut self, _: ChunkReport) {}

    fn damage(&mut self, _: Damage) {}
}

/// A made log with many kinds of events, and the sample logs where there are any.
fn sources() -> Vec<Vec<u8>> {
    let mut made = std::io::Cursor::new(Vec::new());
    forge::mix::write(&mut made, &mut forge::mix::Mix::new(1), 4 * 1024 * 1024).unwrap();
    let mut all = vec![made.into_inner()];
    all.extend(logs().into_iter().map(|(_, data)| data));
    all
}

#[test]
fn a_record_costs_no_allocation_once_its_templates_are_known() {
    let mut reader = Reader::default();
    let (mut look, mut measured) = (Look::default(), 0);
    for data in sources() {
        let log = open(&data).unwrap();
        let mut read = || assert!(reader.read(&data, &log, 0..u64::MAX, &mut look).is_continue());
        let cold = allocation_counter::measure(&mut read);
        assert!(measured > 0 || cold.count_total > 0, "nothing is counted");
        let cost = allocation_counter::measure(&mut read);
        assert_eq!(cost.count_total, 0, "{cost:?}");
        measured += 1;
    }
    println!("{measured} logs, {} records, {} values", look.records, look.values);
    assert!(look.records > 1000 && look.values > look.records);
}
