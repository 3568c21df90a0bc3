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
