//! `--manifest` and `--hash`: what was given, with what it was looked at, what was written, and when.

use super::bench::{Bench, EVIL, log};
use super::words;
use crate::images_support::unpacked;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Stdio;

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn manifest(bench: &Bench) -> Value {
    serde_json::from_slice(&std::fs::read(bench.path("m.json")).unwrap()).unwrap()
}

/// Evidence of each kind, as a name, the arguments and the files that are to be listed: name, kind and
/// what it is a part of.
type Row = (&'static str, &'static str, Vec<(&'static str, &'static str, Option<&'static str>)>);

fn evidence(bench: &Bench) -> Vec<Row> {
    bench.log("logs/a.evtx", 2, 1);
    bench.log("logs/b/c.bak", 1, 0);
    bench.file("logs/notes.txt", b"hello");
    bench.file("logs/empty.evtx", b"");
    let log = std::fs::read(bench.path("logs/a.evtx")).unwrap();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("C/a.evtx", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(&log).unwrap();
    let zip = zip.finish().unwrap().into_inner();
    bench.file("packed/case.zip", &zip);
    bench.file("packed/case.evtx.gz", &{
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&log).unwrap();
        gzip.finish().unwrap()
    });
    let half = zip.len() / 2;
    bench.file("split/case.zip.001", &zip[..half]);
    bench.file("split/case.zip.002", &zip[half..]);
    for n in 1..=4 {
        bench.file(&format!("e01/stored.E0{n}"), &unpacked(&format!("stored.E0{n}")));
    }
    for name in ["split.vmdk", "split-s001.vmdk"] {
        bench.file(&format!("vmdk/{name}"), &unpacked(name));
    }
    bench.file("raw/disk.raw", &unpacked("disk.raw"));
    let (e01, vmdk, zip) = ("E01 image", "VMDK image", "zip");
    let part = "part of an image";
    vec![
        (
            "a folder",
            "logs",
            vec![
                ("logs/a.evtx", "event log", None),
                ("logs/b/c.bak", "event log", None),
                ("logs/empty.evtx", "not an event log", None),
            ],
        ),
        ("a log twice", "logs/a.evtx logs/a.evtx", vec![("logs/a.evtx", "event log", None)]),
        (
            "packed",
            "packed",
            vec![("packed/case.evtx.gz", "gzip", None), ("packed/case.zip", zip, None)],
        ),
        (
            "an archive in parts",
            "split/case.zip.001",
            vec![
                ("split/case.zip.001", zip, None),
                ("split/case.zip.002", part, Some("split/case.zip.001")),
            ],
        ),
        (
            "segments in a folder",
            "e01",
            vec![
                ("e01/stored.E01", e01, None),
                ("e01/stored.E02", part, Some("e01/stored.E01")),
                ("e01/stored.E03", part, Some("e01/stored.E01")),
                ("e01/stored.E04", part, Some("e01/stored.E01")),
            ],
        ),
        (
            "segments behind the first, which alone is named",
            "e01/stored.E01",
            vec![
                ("e01/stored.E01", e01, None),
                ("e01/stored.E02", part, Some("e01/stored.E01")),
                ("e01/stored.E03", part, Some("e01/stored.E01")),
                ("e01/stored.E04", part, Some("e01/stored.E01")),
            ],
        ),
        (
            "an extent before its description",
            "vmdk",
            vec![
                ("vmdk/split-s001.vmdk", part, Some("vmdk/split.vmdk")),
                ("vmdk/split.vmdk", vmdk, None),
            ],
        ),
        ("a raw disk", "raw/disk.raw", vec![("raw/disk.raw", "raw image", None)]),
    ]
}

/// Each file that is given, with the digest that anybody else gets, and nothing of it but in the
/// manifest.
#[test]
fn every_file_is_listed_with_its_digest() {
    let bench = Bench::new();
    for (name, paths, want) in evidence(&bench) {
        let plain = bench.harrier(&words(&format!("hunt {paths} -r rules -q --ledger p.json")));
        let before = std::fs::read(bench.path("p.json")).unwrap();
        for (hash, hashed) in [("", false), ("--hash", true), ("--hash=all", true)] {
            let args = format!("hunt {paths} -r rules -q --ledger l.json --manifest m.json {hash}");
            let run = bench.harrier(&words(&args));
            assert_eq!(
                (run.code, &run.out),
                (plain.code, &plain.out),
                "{name} {hash}: {}",
                run.err
            );
            let ledger = std::fs::read(bench.path("l.json")).unwrap();
            let (before, ledger) =
                [&before, &ledger].map(|text| String::from_utf8_lossy(text).into_owned()).into();
            assert_eq!(before, ledger.replace("\"custody\":[]", "\"custody\":null"), "{name}");
            let manifest = manifest(&bench);
            assert_eq!(manifest["schema"], "harrier.manifest/1");
            let sources = manifest["sources"].as_array().unwrap();
            let told: Vec<_> = sources
                .iter()
                .map(|s| {
                    (
                        s["path"].as_str().unwrap(),
                        s["kind"].as_str().unwrap(),
                        s["part_of"].as_str(),
                    )
                })
                .collect();
            assert_eq!(told, want, "{name} {hash}");
            for source in sources {
                let bytes = std::fs::read(bench.path(source["path"].as_str().unwrap())).unwrap();
                assert_eq!(source["size"], bytes.len(), "{name}");
                let digest = if hashed { json!(sha256(&bytes)) } else { Value::Null };
                assert_eq!(source["sha256"], digest, "{name} {hash}");
                assert_eq!(source["faults"], json!([]), "{name} {hash}");
                let modified = std::fs::metadata(bench.path(source["path"].as_str().unwrap()));
                let modified = jiff::Timestamp::try_from(modified.unwrap().modified().unwrap());
                assert_eq!(source["modified"], modified.unwrap().to_string(), "{name}");
            }
            let state = if plain.code == 0 { "complete" } else { "incomplete" };
            assert_eq!(
                (&manifest["state"], &manifest["exit_code"]),
                (&state.into(), &run.code.into())
            );
            let time = |which: &str| -> jiff::Timestamp {
                manifest[which].as_str().unwrap().parse().unwrap()
            };
            assert!(time("started") <= time("ended"));
            let outputs = manifest["outputs"].as_array().unwrap();
            let hits = outputs.iter().find(|output| output["what"] == "hits").unwrap();
            assert_eq!(
                (&hits["sha256"], &hits["complete"]),
                (&sha256(&run.out).into(), &true.into())
            );
            let of_ledger = outputs.iter().find(|output| output["what"] == "ledger").unwrap();
            assert_eq!(of_ledger["sha256"], sha256(&std::fs::read(bench.path("l.json")).unwrap()));
        }
    }
}

/// `--hash=logs` has the digests of what `extract` writes; `--hash=all` compares an image with itself.
#[test]
fn logs_and_disks_are_hashed_on_request() {
    let bench = Bench::new();
    evidence(&bench);
    for paths in ["packed", "e01", "vmdk", "raw", "split/case.zip.001"] {
        let run = bench.harrier(&words(&format!("extract {paths} -o out -q")));
        assert!(run.code < 2, "{paths}: {}", run.err);
        let args = format!("hunt {paths} -r rules -q --manifest m.json --hash=logs");
        bench.harrier(&words(&args));
        let hashed = manifest(&bench);
        let logs = hashed["logs"].as_array().unwrap();
        assert!(!logs.is_empty(), "{paths}");
        let text = std::fs::read(bench.path("out/manifest.json")).unwrap();
        let extracted: Value = serde_json::from_slice(&text).unwrap();
        let both = |log: &Value, name: &str| (log[name].clone(), log["sha256"].clone());
        let logs: Vec<_> = logs.iter().map(|log| both(log, "path")).collect();
        let files = extracted["files"].as_array().unwrap();
        assert_eq!(logs, files.iter().map(|file| both(file, "source")).collect::<Vec<_>>());
        std::fs::remove_dir_all(bench.path("out")).unwrap();
    }
    let media = |bench: &Bench| {
        let run = bench.harrier(&words("hunt e01 -r rules -q --manifest m.json --hash=all"));
        (run.code, manifest(bench)["sources"][0].clone(), run.err)
    };
    let (_, first, err) = media(&bench);
    assert_eq!(first["media"]["verified"], true, "{first} {err}");
    assert!(first["media"]["md5"].as_str().is_some_and(|md5| md5.len() == 32), "{first}");
    // A digest in the image that is not that of the disk, with its own checksum right.
    let last = bench.path("e01/stored.E04");
    let mut bytes = std::fs::read(&last).unwrap();
    let spoilt = forge_digests(&mut bytes);
    assert!(spoilt > 0, "the image says no digests");
    std::fs::write(&last, bytes).unwrap();
    let (code, first, err) = media(&bench);
    assert_eq!((code, &first["media"]["verified"]), (1, &false.into()), "{first}");
    assert!(err.contains("the MD5 of its disk is"), "{err}");
}

/// Writes other digests into the sections of an image that have some; says how many.
fn forge_digests(bytes: &mut [u8]) -> usize {
    let adler = adler2::adler32_slice;
    let (mut at, mut spoilt) = (13, 0);
    loop {
        let header = bytes[at..at + 76].to_vec();
        let kind = header.split(|b| *b == 0).next().unwrap();
        let next = u64::from_le_bytes(header[16..24].try_into().unwrap()) as usize;
        let size = match kind {
            b"hash" => 36,
            b"digest" => 80,
            _ => 0,
        };
        if size > 0 {
            let data = &mut bytes[at + 76..at + 76 + size];
            data[0] ^= 1;
            let sum = adler(&data[..size - 4]);
            data[size - 4..].copy_from_slice(&sum.to_le_bytes());
            spoilt += 1;
        }
        if next <= at {
            return spoilt;
        }
        at = next;
    }
}

/// The digest of a rule set is that of the commands in `docs/evidence.md`, whatever the rules come in.
#[test]
fn the_digest_of_rules_is_what_anybody_gets() {
    let bench = Bench::new();
    bench.log("logs/a.evtx", 1, 0);
    bench.file("set/win/evil.yml", EVIL.as_bytes());
    let other = EVIL.replace("1111-2222", "1111-3333").replace("Evil", "Evil two");
    bench.file("set/a b/Zwei.YAML", other.as_bytes());
    bench.file("set/readme.md", b"# no rule");
    bench.file("set/broken.yml", b"title: [x\n");
    let mut lines: Vec<String> = [
        ("./win/evil.yml", EVIL.as_bytes()),
        ("./a b/Zwei.YAML", other.as_bytes()),
        ("./broken.yml", b"title: [x\n"),
    ]
    .iter()
    .map(|(name, text)| format!("{}  {name}\n", sha256(text)))
    .collect();
    lines.sort();
    let want = sha256(lines.concat().as_bytes());
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in
        [("broken.yml", "title: [x\n"), ("a b/Zwei.YAML", &other), ("win/evil.yml", EVIL)]
    {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    bench.file("set!.zip", &zip.finish().unwrap().into_inner());
    let digest = |args: &str| {
        let run = bench.harrier(&words(&format!("hunt logs {args} -q --manifest m.json")));
        assert!(run.code < 2, "{args}: {}", run.err);
        manifest(&bench)["rules"].clone()
    };
    for args in ["-r set", "-r ./set/", "-r set!.zip"] {
        let rules = digest(args);
        assert_eq!(
            (&rules["sha256"], &rules["files"]),
            (&want.as_str().into(), &3.into()),
            "{args}"
        );
        assert_eq!(rules["roots"][0]["sha256"], want.as_str());
        assert_eq!((&rules["loaded"], &rules["refused"]), (&2.into(), &1.into()));
    }
    let one = format!("{}  ./evil.yml\n", sha256(EVIL.as_bytes()));
    assert_eq!(digest("-r set/win/evil.yml")["sha256"], sha256(one.as_bytes()));
    // Two roots are their lines together, in whatever order.
    let both = digest("-r set -r rules");
    assert_eq!(both["sha256"], digest("-r rules -r set")["sha256"]);
    let mut all = lines;
    all.push(one);
    all.sort();
    assert_eq!(both["sha256"], sha256(all.concat().as_bytes()));
    let builtin = digest("");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sigma/builtin");
    assert_eq!(builtin["roots"][0]["path"], "(built-in)");
    let recipe = "find -L . -type f \\( -iname '*.yml' -o -iname '*.yaml' \\) -exec sha256sum {} + \
                  | LC_ALL=C sort | sha256sum";
    for (folder, want) in
        [(bench.path("set"), want.as_str().into()), (folder, builtin["sha256"].clone())]
    {
        let shell =
            std::process::Command::new("sh").args(["-c", recipe]).current_dir(folder).output();
        match shell {
            Ok(said) if said.status.success() && said.stdout.len() > 64 => {
                assert_eq!(want, String::from_utf8_lossy(&said.stdout)[..64]);
            }
            _ => eprintln!("skipped: there is no shell with sha256sum"),
        }
    }
}

/// What is a secret is in none of the accounts, not even as a digest.
#[test]
fn passwords_stay_out() {
    let bench = Bench::new();
    bench.log("logs/a.evtx", 1, 0);
    bench.file("words.txt", b"s3cret-of-the-file\n");
    bench.file("ids.txt", b"11111111-*\n");
    let args = "hunt logs -r rules -q --password-file words.txt --rule-id @ids.txt --manifest m.json \
                --ledger l.json --hash=all";
    let mut command = bench.command(&words(args));
    let run = super::bench::run(command.env("HARRIER_PASSWORDS", "s3cret-of-the-environment"));
    assert_eq!(run.code, 0, "{}", run.err);
    for file in ["m.json", "l.json"] {
        let text = std::fs::read_to_string(bench.path(file)).unwrap();
        assert!(!text.contains("s3cret"), "{file}");
        assert!(!text.contains(&sha256(b"s3cret-of-the-file\n")), "{file}");
    }
    let manifest = manifest(&bench);
    let command: Vec<&str> = manifest["command"]
        .as_array()
        .unwrap()
        .iter()
        .skip(1)
        .map(|a| a.as_str().unwrap())
        .collect();
    assert_eq!(command, args.split_whitespace().collect::<Vec<_>>());
    let input = json!({
        "option": "--rule-id", "path": "ids.txt", "sha256": sha256(b"11111111-*\n"), "note": null,
    });
    assert_eq!(manifest["inputs"], json!([input]));
    let program = std::fs::read(env!("CARGO_BIN_EXE_harrier")).unwrap();
    assert_eq!(manifest["tool"]["sha256"], sha256(&program));
}

/// A run that fails has a manifest that says so; one that never began has none.
#[test]
fn however_a_run_ends_the_manifest_says_it() {
    let bench = Bench::new();
    bench.log("logs/a.evtx", 3, 1);
    bench.file("bad/empty.evtx", b"");
    bench.file("none/notes.txt", b"x");
    let rows = [
        ("hunt logs -r rules -q --manifest m.json --fail-on low", 3, "complete", None),
        ("hunt logs bad -r rules -q --manifest m.json --fail-on low", 3, "incomplete", None),
        ("hunt bad -r rules -q --manifest m.json --hash", 1, "incomplete", None),
        ("hunt none -r rules -q --manifest m.json", 2, "failed", Some("no event logs there")),
        ("dump logs -q --manifest m.json --hash", 0, "complete", None),
        ("dump logs bad -q --manifest m.json --hash=all -o d.xml", 1, "incomplete", None),
        (
            "hunt logs -r rules -q --manifest m.json --from 2026-01-02 --to 2026-01-01",
            2,
            "failed",
            Some("is not before --to"),
        ),
    ];
    for (args, code, state, reason) in rows {
        let _ = std::fs::remove_file(bench.path("m.json"));
        let run = bench.harrier(&words(args));
        assert_eq!(run.code, code, "{args}: {}", run.err);
        let manifest = manifest(&bench);
        assert_eq!((&manifest["state"], &manifest["exit_code"]), (&state.into(), &code.into()));
        let said = manifest["reason"].as_str();
        assert_eq!(said.is_some(), reason.is_some(), "{args}: {said:?}");
        assert!(said.unwrap_or("").contains(reason.unwrap_or("")), "{args}: {said:?}");
        assert!(!bench.path("m.json.partial").exists());
    }
    if cfg!(target_os = "linux") {
        let run = bench
            .harrier(&words("hunt logs -r rules -q -o csv:/dev/full --manifest m.json --hash"));
        let manifest = manifest(&bench);
        assert_eq!((run.code, &manifest["state"]), (2, &"failed".into()), "{}", run.err);
        assert!(manifest["reason"].as_str().unwrap().contains("/dev/full: cannot be written"));
        assert_eq!(manifest["outputs"][0]["complete"], false);
    }
    let rows = [
        ("hunt logs -r rules --hash", "--hash: the digests stand in the manifest: give --manifest"),
        ("hunt logs -r rules --manifest logs/m.json", "logs/m.json: would lie in the evidence"),
        ("hunt logs -r rules --manifest logs/a.evtx", "is part of the evidence"),
        ("hunt logs -r rules --manifest x --ledger x", "x: is named for ledger and manifest both"),
        (
            "hunt logs -r rules --manifest x.csv -o x.csv",
            "x.csv: is named for hits and manifest both",
        ),
        ("dump logs --manifest x -o x", "x: is named for records and manifest both"),
        ("hunt logs -r rules --manifest no/where", "no/where: cannot be written"),
        ("hunt logs -r rules --manifest x --hash=some", "invalid value 'some'"),
    ];
    for (args, says) in rows {
        let run = bench.harrier(&words(args));
        assert_eq!((run.code, run.out.len()), (2, 0), "{args}");
        assert!(run.err.contains(says) && run.err.lines().count() == 1, "{args}: {}", run.err);
        assert!(!bench.path("x").exists() && !bench.path("x.partial").exists(), "{args}");
    }
}

/// A log that is written to while it is read is told of in manifest, ledger and exit code.
#[test]
fn what_changes_during_the_run_is_told() {
    let bench = Bench::new();
    let events = (0..400).map(|n| super::bench::event(n, r"C:\evil.exe", "x".repeat(900)));
    bench.file("logs/a.evtx", &log(events));
    bench.log("logs/b.evtx", 1, 0);
    for hash in ["", "--hash"] {
        let args = format!("hunt logs -r rules -q --ledger l.json --manifest m.json {hash}");
        let mut child = bench
            .command(&words(&args))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = child.stdout.take().unwrap();
        // The survey is before the first hit, and more hits come than a pipe holds.
        let mut first = [0; 1];
        out.read_exact(&mut first).unwrap();
        let path = bench.path("logs/b.evtx");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.push(0);
        std::fs::write(&path, &bytes).unwrap();
        let mut rest = Vec::new();
        out.read_to_end(&mut rest).unwrap();
        assert!(rest.len() > 100_000);
        let done = child.wait_with_output().unwrap();
        let err = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(1), "{err}");
        assert!(err.contains("logs/b.evtx: changed during the run: it had"), "{err}");
        let sources = manifest(&bench)["sources"].clone();
        assert_eq!(sources[0]["faults"], json!([]));
        assert!(sources[1]["faults"].to_string().contains("changed during the run"), "{sources}");
        let ledger = std::fs::read(bench.path("l.json")).unwrap();
        let ledger: Value = serde_json::from_slice(&ledger).unwrap();
        assert!(ledger["custody"].to_string().contains("changed during the run"));
        assert_eq!(ledger["totals"]["complete"], false);
    }
}
