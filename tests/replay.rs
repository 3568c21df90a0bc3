//! The fuzz targets over the seeds that are kept: small inputs made for them, and whatever a fuzzer
//! once broke Harrier with.

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::path::{Path, PathBuf};

fn seeds(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut seeds: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    seeds.sort();
    assert!(seeds.len() >= 4, "{target} has {} seeds", seeds.len());
    seeds
}

fn replay(target: &str, run: fn(&[u8])) {
    for seed in seeds(target) {
        println!("{}", seed.display());
        let data = std::fs::read(&seed).unwrap();
        run(&data);
        // Cut short and with a bit flipped here and there, it is an input of its own.
        let step = (data.len() / 24).max(1);
        for at in (0..data.len()).step_by(step) {
            run(&data[..at]);
            let mut data = data.clone();
            data[at] ^= 1 << (at % 8);
            run(&data);
        }
    }
}

#[test]
fn chunk() {
    replay("chunk", targets::chunk);
}

#[test]
fn carve() {
    // What is a log is as good raw bytes.
    replay("chunk", targets::carve);
}

#[test]
fn record() {
    replay("record", targets::record);
}

#[test]
fn rule() {
    replay("rule", targets::rule);
}

#[test]
fn scan() {
    replay("scan", targets::scan);
}

#[test]
fn container() {
    replay("container", targets::container);
}

#[test]
fn condition() {
    replay("condition", targets::condition);
}

#[test]
fn linked() {
    replay("linked", targets::linked);
}

#[test]
fn log_sources() {
    replay("log_sources", targets::log_sources);
}

#[test]
fn disk_image() {
    replay("disk_image", targets::disk_image);
}

#[test]
fn file_table() {
    replay("file_table", targets::file_table);
}

/// For so many seconds, if `HARRIER_FUZZ_SECONDS` says it, each of the targets for evidence over seeds
/// that are cut, spliced and changed in many places: for where no fuzzer is at hand.
#[test]
fn mutated_for_a_while() {
    let seconds = std::env::var("HARRIER_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    let Some(seconds) = seconds else {
        println!("skipped: HARRIER_FUZZ_SECONDS does not say for how long");
        return;
    };
    let only = std::env::var("HARRIER_FUZZ_TARGET").ok();
    for (folder, name, run) in [
        ("container", "container", targets::container as fn(&[u8])),
        ("chunk", "carve", targets::carve),
        ("file_table", "file_table", targets::file_table),
        ("disk_image", "disk_image", targets::disk_image),
    ] {
        if only.as_ref().is_none_or(|only| only == name) {
            mutate(folder, name, run, std::time::Duration::from_secs(seconds));
        }
    }
}

/// Runs a target over changed seeds; an input that breaks it is kept in the temporary folder.
fn mutate(folder: &str, name: &str, run: fn(&[u8]), time: std::time::Duration) {
    let seeds: Vec<Vec<u8>> =
        seeds(folder).iter().map(|path| std::fs::read(path).unwrap()).collect();
    let begun = std::time::Instant::now();
    let seed = begun.elapsed().as_nanos() as u64 ^ u64::from(std::process::id());
    let mut rng = forge::Rng::new(seed);
    let mut runs = 0u64;
    while begun.elapsed() < time {
        let input = changed(&seeds, &mut rng);
        let ran = std::panic::catch_unwind(|| run(&input));
        if ran.is_err() {
            let path = std::env::temp_dir().join(format!("harrier-{name}-{runs}"));
            std::fs::write(&path, &input).unwrap();
            panic!("{name}: {} breaks it", path.display());
        }
        runs += 1;
    }
    println!("{name}: {runs} inputs");
    assert!(runs > 0);
}

/// A seed with changes: bits, bytes, numbers that are often at the edge of something, parts of other
/// seeds or of itself, an end cut off.
fn changed(seeds: &[Vec<u8>], rng: &mut forge::Rng) -> Vec<u8> {
    const EDGES: [u64; 12] =
        [0, 1, 2, 7, 0x7f, 0x80, 0xff, 0xffff, 0x1_0000, 0x7fff_ffff, 0xffff_ffff, u64::MAX];
    let mut below = |n: usize| rng.below(u32::try_from(n.max(1)).unwrap()) as usize;
    let mut data = seeds[below(seeds.len())].clone();
    for _ in 0..1 + below(8) {
        if data.is_empty() {
            break;
        }
        let at = below(data.len());
        let len = data.len();
        match below(8) {
            0 | 1 => data[at] ^= 1 << below(8),
            2 => data[at] = below(256) as u8,
            3 | 4 => {
                let width = 1 << below(4);
                let number = EDGES[below(EDGES.len())].wrapping_sub(below(2) as u64);
                let mut bytes = number.to_le_bytes();
                if below(4) == 0 {
                    bytes[..width].reverse();
                }
                let end = (at + width).min(len);
                data[at..end].copy_from_slice(&bytes[..end - at]);
            }
            5 => {
                let other = &seeds[below(seeds.len())];
                if !other.is_empty() {
                    let from = below(other.len());
                    let n = (1 + below(4096)).min(other.len() - from).min(len - at);
                    data[at..at + n].copy_from_slice(&other[from..from + n]);
                }
            }
            6 => {
                let from = below(len);
                let n = (1 + below(512)).min(len - from).min(len - at);
                data.copy_within(from..from + n, at);
            }
            _ if below(4) == 0 => data.truncate(at),
            _ => {
                let n = (1 + below(64)).min(len - at);
                data[at..at + n].fill(below(2) as u8 * 0xff);
            }
        }
    }
    data
}
