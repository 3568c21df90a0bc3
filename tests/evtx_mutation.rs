//! Damaged logs: nothing panics, the bins add up, what was not damaged is found, and what is read of
//! a damaged chunk is what the `evtx` crate reads.

use crate::evtx_support::{Heard, assert_adds_up, differences, logs, oracle, oracle_fields, read};
use forge::{Event, FileTime, LogWriter, Options as Writing, Rng, Slack};
use harrier::evtx::{Options, Reader};
use std::collections::BTreeMap;
use std::ops::Range;

const CHUNK: usize = 65536;
const FIRST: usize = 4096;

/// Damages `data` within `range`.
fn damage(rng: &mut Rng, data: &mut [u8], range: Range<usize>) {
    let a = range.start + rng_below(rng, range.len());
    let b = range.start + rng_below(rng, range.len());
    match rng_below(rng, 6) {
        0 => data[a] ^= 1 << rng_below(rng, 8),
        1 => data[a] = *rng.pick(&[0, 1, 0x7F, 0x80, 0xFF, 0x21, 0x81]),
        2 => {
            let value: [u8; 4] = rng.pick(&[0u32, 1, 28, 0xFFFF, 0x1_0000, u32::MAX]).to_le_bytes();
            let end = (a + 4).min(range.end);
            data[a..end].copy_from_slice(&value[..end - a]);
        }
        3 => {
            // A piece of the chunk elsewhere in it.
            let len = rng_below(rng, 200).min(range.end - a).min(range.end - b);
            data.copy_within(a..a + len, b);
        }
        4 => {
            let len = rng_below(rng, 4000).min(range.end - a);
            data[a..a + len].fill(0);
        }
        _ => {
            // A number in the tables that a reader follows: records' sizes, templates' offsets.
            let at = data[range.clone()].windows(4).position(|w| w == b"\x2a\x2a\0\0");
            if let Some(at) = at {
                let at = range.start + at + 4 + rng_below(rng, 60);
                if at < range.end {
                    data[at] ^= 1 << rng_below(rng, 8);
                }
            }
        }
    }
}

fn rng_below(rng: &mut Rng, n: usize) -> usize {
    rng.below(u32::try_from(n.max(1)).unwrap()) as usize
}

/// The sample logs, a few chunks of each, or made ones where there are none.
fn samples() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = logs().into_iter().map(|(_, data)| data).collect();
    all.iter_mut().for_each(|data| data.truncate(FIRST + 3 * CHUNK));
    let mut log = LogWriter::in_memory(Writing::new().records_per_chunk(12).slack(Slack::Stale));
    for n in 0..30u32 {
        let user = forge::Account::new("CORP", "jdoe");
        let event = forge::security::logon_failed(
            FileTime(134_168_328_001_234_567),
            &user,
            n,
            &forge::security::Origin::local(),
        );
        let event: Event = if n % 7 == 0 { event.layout(forge::Layout::Plain) } else { event };
        log.push(&event).unwrap();
    }
    all.push(log.into_bytes().unwrap());
    all
}

/// What is read of the chunks that are not in `damaged` is what was read before.
fn assert_elsewhere_is_as_before(before: &Heard, after: &Heard, damaged: u64) {
    let of = |heard: &Heard| {
        heard.records.iter().filter(|r| r.chunk != damaged).cloned().collect::<Vec<_>>()
    };
    assert_eq!(of(before), of(after));
}

#[test]
fn damage_stays_where_it_is() {
    let mut rng = Rng::new(7);
    let (mut fast, mut slow) = (
        Reader::new(Options { recover: true, ..Options::default() }),
        Reader::new(Options { slow_only: true, ..Options::default() }),
    );
    let (mut runs, mut records, mut compared, mut lost) = (0u64, 0u64, 0u64, 0u64);
    // Of damaged records that run over into the header of the next, the slow lane may show another
    // tail: it leads the crate by those headers.
    let mut overrun = 0u64;
    let mut slowest = std::time::Duration::ZERO;
    let mut problems = Vec::new();
    let rounds = std::env::var("HARRIER_MUTATIONS").map_or(6, |n| n.parse().unwrap());
    for clean in samples() {
        let before = read(&mut fast, &clean);
        let chunks = clean.len().saturating_sub(FIRST).div_ceil(CHUNK);
        for _ in 0..rounds {
            let mut data = clean.clone();
            let chunk = rng_below(&mut rng, chunks);
            let start = FIRST + chunk * CHUNK;
            let end = (start + CHUNK).min(data.len());
            for _ in 0..=rng_below(&mut rng, 4) {
                // Most of the damage where there is something to damage.
                let used = start + 512 + rng_below(&mut rng, CHUNK);
                damage(&mut rng, &mut data, start..used.min(end));
            }
            if rng_below(&mut rng, 8) == 0 {
                data.truncate(start + rng_below(&mut rng, end - start));
            }
            let started = std::time::Instant::now();
            let after = read(&mut fast, &data);
            slowest = slowest.max(started.elapsed());
            assert_adds_up(&data, &after);
            if data.len() == clean.len() {
                assert_elsewhere_is_as_before(&before, &after, chunk as u64);
            }
            let slowly = read(&mut slow, &data);
            assert_adds_up(&data, &slowly);
            let ours: BTreeMap<u64, _> = after.records.iter().map(|r| (r.offset, r)).collect();
            for record in oracle(&data).0.iter().filter(|r| r.chunk == chunk as u64) {
                let Ok(xml) = &record.xml else { continue };
                let offset = FIRST as u64 + record.chunk * CHUNK as u64 + record.at;
                match (ours.get(&offset), oracle_fields(xml)) {
                    (Some(seen), Ok(fields)) => {
                        compared += 1;
                        let diff = differences(&seen.fields, &fields);
                        if !diff.is_empty() && seen.declined.is_some() {
                            overrun += 1;
                        } else if !diff.is_empty() {
                            problems.push(format!("{:?} {diff:?}\n{xml}", seen.declined));
                        }
                    }
                    (None, Ok(_)) => {
                        lost += 1;
                        problems.push(format!("only the crate reads {offset:#x}\n{xml}"));
                    }
                    _ => {}
                }
            }
            runs += 1;
            records += after.records.len() as u64;
        }
    }
    println!(
        "{runs} damaged logs, {records} records, {compared} compared with the crate, {overrun} run \
         over into the next, {lost} that only the crate reads; the slowest took {slowest:?}"
    );
    problems.iter().take(12).for_each(|p| println!("{}", &p[..p.len().min(1500)]));
    assert!(overrun <= compared / 1000);
    assert!(problems.is_empty(), "{} differences", problems.len());
}

#[test]
fn bytes_that_mean_nothing_are_survived() {
    let mut rng = Rng::new(11);
    let mut reader = Reader::new(Options { recover: true, ..Options::default() });
    let sample = samples().pop().unwrap();
    for round in 0..60 {
        let mut data = vec![0u8; FIRST + CHUNK + rng_below(&mut rng, CHUNK)];
        for byte in &mut data {
            // Few different bytes, those that BinXML has tokens for.
            *byte = match round % 3 {
                0 => rng_below(&mut rng, 256) as u8,
                1 => *rng.pick(&[0, 1, 2, 3, 4, 5, 6, 0x0c, 0x0d, 0x0f, 0x2a, 0x41]),
                _ => *rng.pick(&[0, 0x2a, 1]),
            };
        }
        data[..FIRST].copy_from_slice(&sample[..FIRST]);
        if round % 2 == 0 {
            // With a header that makes sense.
            data[FIRST..FIRST + 512].copy_from_slice(&sample[FIRST..FIRST + 512]);
        }
        let heard = read(&mut reader, &data);
        assert_adds_up(&data, &heard);
    }
}

/// Records that name definitions at every byte of one template, of which each reaches as far as the
/// chunk does: the work for a chunk stays bounded, and every record is accounted for.
#[test]
fn overlapping_templates_cost_little() {
    const RECORD: u32 = 64;
    let sample = samples().pop().unwrap();
    let mut data = sample[..FIRST].to_vec();
    data.extend(b"ElfChnk\0");
    data.resize(FIRST + 512, 0);
    let count = (CHUNK as u32 - 512) / RECORD;
    for n in 0..count {
        let start = data.len();
        data.extend(b"\x2a\x2a\0\0");
        data.extend(RECORD.to_le_bytes());
        data.extend(u64::from(n).to_le_bytes());
        data.extend(134_168_328_001_234_567u64.to_le_bytes());
        data.extend([0x0f, 1, 1, 0, 0x0c, 1, 0, 0, 0, 0]);
        // The definition of one of the next records; its size is where 60,000 stands there.
        let definition = 512 + (n % 100) * RECORD + 18 + n % 3;
        data.extend(definition.to_le_bytes());
        data.extend(60_000u32.to_le_bytes());
        // Tokens that a definition may have: starts of elements without end.
        data.resize(start + RECORD as usize - 4, 0x02);
        data.extend(RECORD.to_le_bytes());
    }
    data.resize(FIRST + CHUNK, 0);
    let started = std::time::Instant::now();
    for slow_only in [false, true] {
        let mut reader = Reader::new(Options { slow_only, ..Options::default() });
        let heard = read(&mut reader, &data);
        assert_adds_up(&data, &heard);
        assert_eq!(heard.records.len() + heard.damage.len(), count as usize);
    }
    // A thousand times what it takes; work that grows with the square of the chunk takes more.
    assert!(started.elapsed() < std::time::Duration::from_secs(30));
}
