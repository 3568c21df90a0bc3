//! The fast lane against the `evtx` crate, and the lanes against each other, on every record of the
//! sample logs.

use crate::evtx_support::{Seen, assert_adds_up, differences, logs, oracle, oracle_fields, read};
use harrier::evtx::{Options, Reader};
use std::collections::BTreeMap;

#[test]
fn every_record_is_as_the_crate_renders_it() {
    let mut reader = Reader::default();
    let (mut compared, mut values, mut fast, mut masked) = (0u64, 0u64, 0u64, 0u64);
    let (mut only_ours, mut only_theirs, mut oracle_errors, mut damage) = (0, 0, 0, 0);
    let mut declined = BTreeMap::<String, u64>::new();
    let mut findings = BTreeMap::<String, u64>::new();
    let mut problems = Vec::new();
    for (path, data) in logs() {
        let heard = read(&mut reader, &data);
        assert_adds_up(&data, &heard);
        let (theirs, errors) = oracle(&data);
        oracle_errors += errors;
        damage += heard.damage.len();
        for finding in heard.chunks.iter().flat_map(|c| &c.findings) {
            let name = format!("{finding:?}");
            let name = name.split(['(', ' ']).next().unwrap().to_owned();
            *findings.entry(name).or_default() += 1;
        }
        let mut ours: BTreeMap<u64, &Seen> = heard.records.iter().map(|r| (r.offset, r)).collect();
        assert_eq!(ours.len(), heard.records.len());
        for record in theirs {
            let offset = 4096 + record.chunk * 65536 + record.at;
            let Ok(xml) = &record.xml else {
                oracle_errors += 1;
                continue;
            };
            let Some(seen) = ours.remove(&offset) else {
                only_theirs += 1;
                problems.push(format!("{}: {offset:#x} is missing", path.display()));
                continue;
            };
            assert_eq!(seen.id, record.id);
            match seen.declined {
                None => fast += 1,
                Some(why) => *declined.entry(format!("{why:?}")).or_default() += 1,
            }
            let fields = oracle_fields(xml).unwrap();
            compared += 1;
            values += fields.len() as u64;
            masked += seen.fields.iter().zip(&fields).filter(|(a, b)| a.3 != b.3).count() as u64;
            for difference in differences(&seen.fields, &fields) {
                problems.push(format!("{}: {offset:#x}: {difference}", path.display()));
            }
        }
        only_ours += ours.len();
    }
    println!(
        "{compared} records, {values} values; {fast} on the fast lane, declined {declined:?}; \
         {masked} values with characters that XML cannot carry; {only_ours} records only ours, \
         {only_theirs} only theirs; {oracle_errors} errors of the crate, {damage} damages, \
         findings {findings:?}"
    );
    problems.iter().take(40).for_each(|p| println!("{p}"));
    assert!(problems.is_empty(), "{} differences", problems.len());
}

#[test]
fn the_lanes_agree() {
    let mut fast = Reader::default();
    let mut slow = Reader::new(Options { slow_only: true, ..Options::default() });
    let (mut records, mut problems) = (0, Vec::new());
    for (path, data) in logs() {
        let (a, b) = (read(&mut fast, &data), read(&mut slow, &data));
        for (a, b) in a.records.iter().zip(&b.records) {
            records += 1;
            assert_eq!(
                (a.offset, a.id, a.time, a.recovered),
                (b.offset, b.id, b.time, b.recovered)
            );
            for difference in differences(&a.fields, &b.fields) {
                problems.push(format!("{}: {:#x}: {difference}", path.display(), a.offset));
            }
        }
        if a.records.len() != b.records.len() {
            problems.push(format!(
                "{}: {} records, not {}",
                path.display(),
                a.records.len(),
                b.records.len()
            ));
        }
    }
    println!("{records} records through both lanes");
    problems.iter().take(40).for_each(|p| println!("{p}"));
    assert!(problems.is_empty(), "{} differences", problems.len());
}
