//! Disk images from end to end: whatever a disk is kept in, hunting through it gives what the folder of
//! its logs gives, `extract` gives their bytes, and the deleted log is among them.
//!
//! The shipped images are unpacked; where qemu-img and ewfacquire are installed, others are made of
//! the shipped volume. `HARRIER_IMAGES` may name a folder of large images of real logs.

use super::bench::{Bench, Run, log};
use super::words;
use crate::images_support::{CONTAINERS, SET, container, has_tool, logs, unpacked};
use harrier::bytes::ReadAt;
use harrier::evidence::image::Ntfs;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// A rule that hits every record.
const ANY: &str = "title: Any Record
id: 22222222-2222-3333-4444-555555555555
logsource: {product: windows}
detection:
    selection:
        EventID|gte: 0
    condition: selection
level: low
";

/// Files on a disk by their paths there.
type Files = BTreeMap<String, Vec<u8>>;

/// A path within a disk: behind the volume, or the image if that is the volume.
fn within(path: &str) -> String {
    let path = path.replace('\\', "/");
    let inside = path.split_once("#p").and_then(|(_, rest)| rest.split_once('/'));
    let inside = inside.or_else(|| path.split_once('!'));
    inside
        .map_or_else(|| path.trim_start_matches("folder/").to_owned(), |(_, rest)| rest.to_owned())
}

/// Hits of a hunt in order of where they are in the disk, with their paths in it.
/// Those in `deleted`, and no others, say that they are.
fn hits(
    bench: &Bench,
    evidence: &str,
    rules: &Path,
    deleted: Option<&str>,
) -> Vec<(String, u64, String)> {
    let run = hunt(bench, evidence, rules, &["--all-copies"]);
    let mut hits: Vec<(String, u64, String)> =
        run.hits().into_iter().map(|hit| told(hit, deleted)).collect();
    hits.sort();
    hits
}

fn hunt(bench: &Bench, evidence: &str, rules: &Path, more: &[&str]) -> Run {
    let rules = rules.to_str().unwrap();
    let usual = ["hunt", evidence, "-r", rules, "-q", "--format", "jsonl"];
    let run = bench.harrier(&[&usual[..], more].concat());
    assert!(matches!(run.code, 0 | 1), "{}", run.err);
    run
}

/// What is told when copies are told once, in order, but for where: which of two is the copy depends
/// on the order in which the files of a folder and of a disk come.
fn once(bench: &Bench, evidence: &str, rules: &Path) -> Vec<String> {
    let mut hits = hunt(bench, evidence, rules, &[]).hits();
    hits.iter_mut().for_each(|hit| hit["evidence"] = Value::Null);
    let mut hits: Vec<String> = hits.iter().map(Value::to_string).collect();
    hits.sort();
    hits
}

fn told(mut hit: Value, deleted: Option<&str>) -> (String, u64, String) {
    let path = within(hit["evidence"]["path"].as_str().unwrap());
    let state = if deleted == Some(&path) { "deleted" } else { "live" };
    assert_eq!(hit["evidence"]["state"], state, "{path}");
    hit["evidence"]["state"] = Value::Null;
    hit["evidence"]["path"] = path.as_str().into();
    (path, hit["evidence"]["offset"].as_u64().unwrap(), hit.to_string())
}

/// What `extract` has of an image: hashes of files by their paths in the disk, and those deleted.
fn extracted(bench: &Bench, evidence: &str) -> (BTreeMap<String, String>, Vec<String>) {
    let out = bench.path("extracted");
    if out.exists() {
        std::fs::remove_dir_all(&out).unwrap();
    }
    let run = bench.harrier(&["extract", evidence, "-o", "extracted", "-q"]);
    assert!(matches!(run.code, 0 | 1), "{}", run.err);
    let manifest = std::fs::read(out.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let (mut hashes, mut deleted) = (BTreeMap::new(), Vec::new());
    for file in manifest["files"].as_array().unwrap() {
        let source = within(file["source"].as_str().unwrap());
        let bytes = std::fs::read(out.join(file["file"].as_str().unwrap())).unwrap();
        let hash = hex(&bytes);
        assert_eq!(file["sha256"], hash.as_str(), "{source}");
        if file["found"] == "deleted" {
            deleted.push(source.clone());
        }
        hashes.insert(source, hash);
    }
    (hashes, deleted)
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Checks images, by their paths, of a disk that has these files, of which one was deleted.
fn check(bench: &Bench, images: &[String], files: &Files, deleted: &str) {
    for (path, bytes) in files {
        bench.file(&format!("folder/{path}"), bytes);
    }
    bench.file("each/any.yml", ANY.as_bytes());
    let rules = bench.path("each");
    let want = hits(bench, "folder", &rules, None);
    assert!(want.iter().any(|hit| hit.0 == deleted), "the deleted log has a hit");
    let want_once = once(bench, "folder", &rules);
    assert!(want_once.len() < want.len(), "the deleted log has copies");
    let hashes: BTreeMap<String, String> =
        files.iter().map(|(path, bytes)| (path.clone(), hex(bytes))).collect();
    for image in images {
        let got = hits(bench, image, &rules, Some(deleted));
        assert_eq!(got.len(), want.len(), "{image}");
        assert!(got == want, "{image}");
        assert!(once(bench, image, &rules) == want_once, "{image}");
        assert_eq!(extracted(bench, image), (hashes.clone(), vec![deleted.to_owned()]), "{image}");
    }
}

/// The log that is on the small disk, and the same cut, which was deleted.
fn small() -> Files {
    let (log, _) = logs();
    let gone = log[..20_000].to_vec();
    [("Logs/Security.evtx".to_owned(), log), ("Logs/gone.evtx".to_owned(), gone)].into()
}

#[test]
fn shipped_images_give_what_the_folder_gives() {
    let bench = Bench::new();
    let mut images = vec!["raw/disk.raw".to_owned()];
    bench.file("raw/disk.raw", &unpacked("disk.raw"));
    for (name, _, others) in CONTAINERS {
        for (file, bytes) in container(name, others).files {
            bench.file(&format!("{name}.d/{file}"), &bytes);
        }
        images.push(format!("{name}.d/{name}"));
    }
    check(&bench, &images, &small(), "Logs/gone.evtx");
}

/// Images that the tools make here of the shipped disk.
#[test]
fn images_of_the_tools_give_what_the_folder_gives() {
    let bench = Bench::new();
    bench.file("raw/disk.raw", &unpacked("disk.raw"));
    let tool = |tool: &str, arguments: &[&str]| {
        let done = Command::new(tool).args(arguments).current_dir(bench.path("raw")).output();
        let done = done.unwrap();
        assert!(done.status.success(), "{tool}: {}", String::from_utf8_lossy(&done.stderr));
    };
    let mut images = Vec::new();
    if has_tool("qemu-img", "the hunt through virtual disks made here") {
        for (format, options, name) in [
            ("vpc", "subformat=dynamic,force_size=on", "dyn.vhd"),
            ("vpc", "subformat=fixed,force_size=on", "fixed.vhd"),
            ("vhdx", "subformat=dynamic", "dyn.vhdx"),
            ("vhdx", "subformat=fixed", "fixed.vhdx"),
            ("vmdk", "subformat=monolithicSparse", "sparse.vmdk"),
            ("vmdk", "subformat=streamOptimized", "stream.vmdk"),
            ("qcow2", "compat=1.1,extended_l2=on,cluster_size=128k", "extended.qcow2"),
            ("qcow2", "compat=0.10", "v2.qcow2"),
        ] {
            tool("qemu-img", &["convert", "-O", format, "-o", options, "disk.raw", name]);
            images.push(format!("raw/{name}"));
        }
    }
    if has_tool("ewfacquire", "the hunt through E01 images made here") {
        for (name, compression) in [("fast", "deflate:fast"), ("none", "deflate:none")] {
            let described = ["-C", "c", "-D", "d", "-E", "e", "-e", "x", "-N", "n", "-o", "0"];
            let how = ["-u", "-q", "-t", name, "-f", "encase6", "-c", compression, "-S", "1MiB"];
            let how = [&how[..], &["-m", "fixed", "-M", "physical"], &described[..]].concat();
            tool("ewfacquire", &[&how[..], &["disk.raw"]].concat());
            images.push(format!("raw/{name}.E01"));
        }
    }
    if !images.is_empty() {
        check(&bench, &images, &small(), "Logs/gone.evtx");
    }
}

/// The large images, if they are there.
#[test]
fn large_images_give_what_the_folder_gives() {
    let Some(folder) = std::env::var_os("HARRIER_IMAGES") else {
        println!("skipped: HARRIER_IMAGES names no folder of images");
        return;
    };
    let folder = Path::new(&folder);
    let bench = Bench::new();
    let big = std::fs::read(folder.join("stage/big.evtx")).unwrap();
    let mut files = Files::new();
    for entry in std::fs::read_dir(folder.join("stage/Logs")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let bytes = std::fs::read(entry.path()).unwrap();
        files.insert(format!("Windows/System32/winevt/Logs/{name}"), bytes);
    }
    let mut sparse = big[..69632].to_vec();
    sparse.resize(8 << 20, 0);
    sparse.extend_from_slice(&big[..65536]);
    files.insert("Lab/sparse.evtx".to_owned(), sparse);
    files.insert("Lab/deleted.evtx".to_owned(), big[..big.len().min(1_118_208)].to_vec());
    files.insert("Lab/lznt1/compressed.evtx".to_owned(), big);
    let names = ["ntfs.raw", "gpt.raw", "mbr.raw"].iter().chain(SET);
    let images: Vec<String> =
        names.map(|name| folder.join(name).to_str().unwrap().to_owned()).collect();
    check(&bench, &images, &files, "Lab/deleted.evtx");
}

/// A record in the slack of a file that has nothing to do with logs.
#[test]
fn file_slack_is_carved() {
    let volume = unpacked("volume.raw");
    let bytes: Arc<dyn ReadAt> = Arc::new(volume.clone());
    let ntfs = Ntfs::open(bytes).unwrap();
    let scan = ntfs.scan_with_slack();
    assert!(ntfs.scan().slack.is_empty(), "nobody asked for it");
    let inside =
        |a: &std::ops::Range<u64>, b: &std::ops::Range<u64>| a.start < b.end && b.start < a.end;
    for file in &scan.files {
        let live = file.state == harrier::evidence::image::State::Live;
        let held = file.held.iter().any(|held| scan.slack.iter().any(|slack| inside(slack, held)));
        assert!(!live || !held, "{}", file.path);
    }
    let free = ntfs.unallocated().unwrap();
    assert!(free.iter().all(|free| scan.slack.iter().all(|slack| !inside(slack, free))));

    // A record of a log that the volume has: its template is known, so it can be read.
    let evil = super::bench::event(7, r"C:\Temp\evil.exe", "evil.exe /slack");
    let other = log([super::bench::event(1, r"C:\Windows\good.exe", "good.exe"), evil]);
    let first = 4096 + 512;
    let size = |at: usize| u32::from_le_bytes(other[at + 4..at + 8].try_into().unwrap()) as usize;
    let second = first + size(first);
    let record = &other[second..second + size(second)];
    let room = scan.slack.iter().find(|slack| slack.end - slack.start >= record.len() as u64);
    let at = usize::try_from(room.unwrap().end).unwrap() - record.len();
    let mut disk = volume;
    disk[at..at + record.len()].copy_from_slice(record);
    let bench = Bench::new();
    bench.file("volume.raw", &disk);
    bench.file("other.evtx", &other);
    for (carve, path) in [("--carve", "volume.raw!(slack)"), ("--carve=all", "volume.raw!(all)")] {
        let args = format!("hunt volume.raw other.evtx -r rules -q {carve} --ledger l.json");
        let run = bench.harrier(&words(&args));
        let found: Vec<Value> = run.hits();
        let found: Vec<&Value> =
            found.iter().filter(|hit| hit["evidence"]["path"] == path).collect();
        assert_eq!(found.len(), 1, "{carve}: {}", run.err);
        assert_eq!(found[0]["evidence"]["offset"], at);
        assert_eq!(found[0]["evidence"]["recovered"], true);
    }
    let run = bench.harrier(&words("list volume.raw --carve --format json"));
    let slack = run
        .hits()
        .into_iter()
        .find(|entry| entry["path"].as_str().is_some_and(|path| path.ends_with("!(slack)")));
    assert_eq!(slack.unwrap()["found"], "slack", "{}", run.err);
    let run = bench.harrier(&words("hunt volume.raw other.evtx -r rules -q"));
    assert_eq!(run.hits().len(), 1, "{}", run.err);
}

/// The blob of fragments that `make_images.sh` makes of one log, if it is there: each record of which
/// all is there has its hit, at its place, and nothing else has one.
#[test]
fn fragments_have_the_hits_of_their_records() {
    let Some(folder) = std::env::var_os("HARRIER_IMAGES") else {
        println!("skipped: HARRIER_IMAGES names no folder of images");
        return;
    };
    let folder = Path::new(&folder);
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let bench = Bench::new();
    bench.file("each/any.yml", ANY.as_bytes());
    let (log, blob) = (path("stage/big.evtx"), path("carve.bin"));
    // Without its place, what a hit says is what the record says.
    let bare = |mut hit: Value| {
        let offset = usize::try_from(hit["evidence"]["offset"].as_u64().unwrap()).unwrap();
        hit["evidence"] = Value::Null;
        (offset, hit.to_string())
    };
    let all = |args: &[&str], of: &str| -> BTreeMap<usize, String> {
        let rest = ["-r", "each", "-q", "--format", "jsonl"];
        let run = bench.harrier(&[args, &rest].concat());
        let hits = run.hits().into_iter().filter(|hit| hit["evidence"]["path"] == of);
        hits.map(bare).collect()
    };
    let whole = all(&["hunt", &log], &log);
    let found = all(&["hunt", &blob, &log, "--carve"], &blob);
    let bytes = std::fs::read(&log).unwrap();
    let chunks = (4096..bytes.len() - 65535).step_by(65536);
    let mut chunks = chunks.filter(|at| bytes[*at..].starts_with(b"ElfChnk\0"));
    let truth: Value = serde_json::from_slice(&std::fs::read(path("carve.json")).unwrap()).unwrap();
    let mut want = BTreeMap::new();
    let mut planted = Vec::new();
    for fragment in truth.as_array().unwrap() {
        let number = |name: &str| usize::try_from(fragment[name].as_u64().unwrap()).unwrap();
        let (off, len) = (number("off"), number("len"));
        if fragment["kind"] == "bare_magic" {
            continue;
        }
        planted.push(off..off + len);
        let from =
            chunks.next().unwrap() + if fragment["kind"] == "headerless_tail" { 8192 } else { 0 };
        for (at, hit) in whole.range(from..from + len) {
            let size = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap()) as usize;
            if at + size <= from + len {
                want.insert(off + at - from, hit.clone());
            }
        }
    }
    assert!(!want.is_empty());
    for (at, hit) in &want {
        assert_eq!(found.get(at), Some(hit), "at {at}");
    }
    // In the slack of whole chunks there may be more.
    for at in found.keys().filter(|at| !want.contains_key(at)) {
        assert!(planted.iter().any(|range| range.contains(at)), "at {at}");
    }
    println!("{} hits, {} of them in slack", found.len(), found.len() - want.len());
}
