//! What is damaged or is not what its name says: each is told once, with a place in the ledger and exit
//! code 1, however it is looked at.

use super::bench::{Bench, event, log};
use super::containers::{Files, deflated, gzipped, hunt, stored, tarred, zipped};
use super::words;
use serde_json::{Value, json};

fn evil(n: u32) -> Vec<u8> {
    log((0..n).map(|n| event(n, r"C:\evil.exe", format!("{n} evil.exe"))))
}

fn files() -> Files {
    vec![("C/a.evtx".into(), evil(3)), ("C/b.evtx".into(), evil(2))]
}

/// A container that does not begin as one is named, in a folder, by name, and in an archive; what can
/// be read of it for all that is.
#[test]
fn what_does_not_begin_as_its_name_says_is_told() {
    let noise = |n: usize| vec![0x5a; n];
    let broken = |mut bytes: Vec<u8>| {
        bytes[0] ^= 0xff;
        bytes
    };
    let mut tar = tarred(&files());
    tar[257] ^= 0xff;
    let rows: Vec<(&str, Vec<u8>, &str, usize)> = vec![
        ("DC01.E01", noise(9000), "named like an E01 image and does not begin so: copy it", 0),
        ("x.vhdx", noise(1 << 17), "a VHDX image and does not begin so", 0),
        ("x.vmdk", noise(512), "a VMDK image and does not begin so", 0),
        ("x.QCOW2", noise(1 << 17), "or search it by name with --carve", 0),
        ("x.7z", noise(500), "a 7z archive and does not begin so", 0),
        ("x.tar.gz", broken(gzipped(b"x")), "as if it were packed with gzip and does not", 0),
        ("x.dd", noise(2 << 20), "a raw image and no volume is known in it: search it by name", 0),
        ("x.zip", Vec::new(), "named like a zip archive and empty: copy it again", 0),
        ("x.zip", noise(500), "it does not begin like a zip archive; its directory cannot be", 0),
        ("x.zip", broken(zipped(&files(), deflated())), "it does not begin like a zip archive", 2),
        ("x.tar", tar, "it does not begin like a tar archive; at offset 0: a header is", 2),
        ("disk.002", noise(2 << 20), "the first part is not beside it: put them together", 0),
    ];
    for (name, content, says, least) in rows {
        let bench = Bench::new();
        bench.log("case/z/good.evtx", 1, 0);
        bench.file(&format!("case/{name}"), &content);
        let around = vec![(format!("up/{name}"), content.clone())];
        bench.file("outer.zip", &zipped(&around, deflated()));
        let packed = name != "disk.002";
        bench.file("outer.tar.gz", &gzipped(&tarred(&around)));
        let outer = ["outer.zip", "outer.tar.gz"].map(str::to_owned);
        let named = format!("case/{name}");
        let evidence = ["case".to_owned(), named].into_iter().chain(outer);
        for evidence in evidence.filter(|evidence| packed || evidence != "outer.tar.gz") {
            let (code, hits, ledger, err) = hunt(&bench, &evidence);
            assert_eq!(code, 1, "{evidence} {name}: {err}");
            assert!(hits.len() >= least, "{evidence} {name}: {err}");
            assert_eq!(err.matches(says).count(), 1, "{evidence} {name}: {err}");
            let totals = &ledger["totals"];
            assert_eq!(totals["imbalances"], json!([]), "{evidence} {name}");
            assert_eq!(totals["complete"], false, "{evidence} {name}");
            let of_it = |source: &&Value| source["path"].as_str().unwrap().ends_with(name);
            let source = ledger["sources"].as_array().unwrap().iter().find(of_it);
            let source = source.unwrap_or_else(|| panic!("{evidence} {name}: {ledger}"));
            assert_ne!(source["state"], "read", "{evidence} {name}");
            let list = bench.harrier(&words(&format!("list {evidence} --format csv")));
            let out = String::from_utf8(list.out).unwrap();
            assert_eq!((list.code, out.matches(says).count()), (1, 1), "{evidence} {name}: {out}");
        }
    }
}

/// Other things have such names, too.
#[test]
fn small_and_whole_things_of_such_names_are_no_faults() {
    let bench = Bench::new();
    bench.log("case/good.evtx", 1, 0);
    bench.file("case/counter.vhd", b"entity counter is port (clk : in bit); end;");
    bench.file("case/icon.img", &[7; 3000]);
    bench.file("case/app.log.002", b"a rotated log");
    bench.file("case/empty.tar", &[0; 10_240]);
    // The oldest form of an archive has no mark.
    let mut old = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_old();
    header.set_size(evil(2).len() as u64);
    old.append_data(&mut header, "old.evtx", evil(2).as_slice()).unwrap();
    bench.file("case/old.tar", &old.into_inner().unwrap());
    let (code, hits, _, err) = hunt(&bench, "case");
    assert_eq!((code, hits.len()), (0, 3), "{err}");
}

/// A tar archive that ends between two members looks like a whole one, but for the blocks behind it.
#[test]
fn a_tar_archive_that_ends_between_members_is_told() {
    let bench = Bench::new();
    let whole = tarred(&files());
    // One header and what one log takes.
    let first = 512 + evil(3).len().next_multiple_of(512);
    for (name, bytes, code, least) in [
        ("whole.tar", whole.clone(), 0, 5),
        ("cut.tar", whole[..first].to_vec(), 1, 3),
        ("cut.tar.gz", gzipped(&whole[..first]), 1, 3),
        // Whether a third was to follow nobody knows.
        ("noend.tar", whole[..whole.len() - 1024].to_vec(), 1, 5),
    ] {
        bench.file(name, &bytes);
        let (got, hits, _, err) = hunt(&bench, name);
        assert_eq!((got, hits.len()), (code, least), "{name}: {err}");
        let says = err.matches("it has no end mark: it is cut off after").count();
        assert_eq!(says, usize::from(code == 1), "{name}: {err}");
        let list = bench.harrier(&words(&format!("list {name} -q")));
        assert_eq!(list.code, code, "{name}");
    }
}

/// A zip archive of this log, with a wrong checksum in header and directory.
fn misfit(name: &str, content: &[u8], options: zip::write::SimpleFileOptions) -> Vec<u8> {
    let mut zip = zipped(&vec![(name.to_owned(), content.to_vec())], options);
    let crc = crc32fast::hash(content).to_le_bytes();
    let places: Vec<usize> = (0..zip.len() - 4).filter(|at| zip[*at..*at + 4] == crc).collect();
    assert_eq!(places.len(), 2, "header and directory");
    places.into_iter().for_each(|at| zip[at] ^= 1);
    zip
}

/// A wrong checksum of a member is told by whatever reads it, once.
#[test]
fn a_wrong_checksum_of_a_member_is_told_once() {
    const SAYS: &str = "its checksum in the archive does not fit";
    let inner = zipped(&files(), deflated());
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("deflated", misfit("C/a.evtx", &evil(3), deflated())),
        ("stored", misfit("C/a.evtx", &evil(3), stored())),
        (
            "within",
            zipped(&vec![("in.zip".into(), misfit("C/a.evtx", &evil(3), stored()))], deflated()),
        ),
        // The logs in these fit, the archive around them does not.
        ("deflated zip", misfit("in.zip", &inner, deflated())),
        ("stored zip", misfit("in.zip", &inner, stored())),
        ("stored tar", misfit("in.tar", &tarred(&files()), stored())),
    ];
    for (name, content) in rows {
        let bench = Bench::new();
        bench.file("case/x.zip", &content);
        for command in [
            "hunt case -r rules -q",
            "hunt case -r rules -q --threads 1 --full-scan",
            "dump case -q",
            "list case -q",
            "list case -q --format json",
            "extract case -o out -q",
        ] {
            let run = bench.harrier(&words(command));
            let said = run.err + &String::from_utf8(run.out).unwrap();
            assert_eq!(run.code, 1, "{name}: {command}: {said}");
            assert_eq!(said.matches(SAYS).count(), 1, "{name}: {command}: {said}");
        }
        let run = bench.harrier(&words("hunt case -r rules -q --manifest m.json --hash=logs"));
        assert_eq!((run.code, run.err.matches(SAYS).count() >= 1), (1, true), "{}", run.err);
        let files = std::fs::read(bench.path("out/manifest.json")).unwrap();
        let files: Value = serde_json::from_slice(&files).unwrap();
        let whole: Vec<&Value> =
            files["files"].as_array().unwrap().iter().map(|file| &file["whole"]).collect();
        let is_of_a_log = !name.ends_with("zip") && !name.ends_with("tar");
        assert!(whole.iter().all(|whole| **whole == !is_of_a_log), "{name}: {files}");
    }
}
