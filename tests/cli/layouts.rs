//! Evidence as tools lay it out: what a collection says of its files is used in every form of it.

use super::bench::Bench;
use super::containers::{Files, deflated, files, gzipped, hunt, seven, stored, tarred, zipped};
use super::words;
use serde_json::{Value, json};

const LOG: &str = "uploads/ntfs/%5C%5C.%5CC%3A/Logs/Sysmon%254Operational.evtx";

/// Where the second chunk of the large log is.
const HOLE: (usize, usize) = (4096 + 65_536, 4096 + 2 * 65_536);

/// The large log, and where its pieces are if the second chunk is a hole and not stored.
fn holed() -> (Vec<u8>, Value) {
    let whole = files().swap_remove(1).1;
    let (from, to) = HOLE;
    let rest = whole.len() - to;
    let index = json!({"ranges": [
        {"FileOffset": 0, "OriginalOffset": 0, "FileLength": from, "Length": from},
        {"FileOffset": from, "OriginalOffset": from, "FileLength": 0, "Length": 65_536},
        {"FileOffset": from, "OriginalOffset": to, "FileLength": rest, "Length": rest},
    ]});
    (whole, index)
}

/// A collection by Velociraptor, with this index or none.
fn collection(index: Option<&str>) -> Files {
    let whole = holed().0;
    let row = |kind| {
        let path = ["uploads", "ntfs", r"\\.\C:", "Logs", "Sysmon%4Operational.evtx"];
        json!({"_Components": path, "file_size": whole.len(), "Type": kind}).to_string()
    };
    let mut files = vec![
        ("client_info.json".to_owned(), br#"{"Hostname":"DC01"}"#.to_vec()),
        ("collection_context.json".to_owned(), b"{}".to_vec()),
        ("uploads.json".to_owned(), format!("{}\n{}\n", row(""), row("idx")).into_bytes()),
        (LOG.to_owned(), [&whole[..HOLE.0], &whole[HOLE.1..]].concat()),
    ];
    files.extend(index.map(|index| (format!("{LOG}.idx"), index.as_bytes().to_vec())));
    files
}

/// The collection in every form, below `case`: what to name, and what it has to be told as.
fn forms(bench: &Bench, files: &Files) -> Vec<(String, String)> {
    for (name, content) in files {
        bench.file(&format!("case/folder/{name}"), content);
    }
    let below = |prefix: &str| -> Files {
        files.iter().map(|(name, content)| (format!("{prefix}{name}"), content.clone())).collect()
    };
    let tar = tarred(files);
    let outer: Files = vec![
        ("metadata.json".into(), b"{}".to_vec()),
        ("data.zip".into(), zipped(files, deflated())),
    ];
    bench.file("case/c.zip", &zipped(files, deflated()));
    bench.file("case/below.zip", &zipped(&below("one/"), stored()));
    bench.file("case/outer.zip", &zipped(&outer, stored()));
    bench.file("case/c.tar", &tar);
    bench.file("case/dot.tar.gz", &gzipped(&tarred(&below("./"))));
    bench.file("case/c.tar.gz", &gzipped(&tar));
    bench.file("case/c.7z", &seven(files, None));
    let log = "uploads/ntfs/\\\\.\\C:/Logs/Sysmon%4Operational.evtx";
    [
        ("folder", "folder/"),
        ("folder/uploads", "folder/"),
        ("folder/uploads/ntfs/%5C%5C.%5CC%3A/Logs", "folder/"),
        ("folder/uploads/ntfs/%5C%5C.%5CC%3A/Logs/Sysmon%254Operational.evtx", "folder/"),
        ("c.zip", "c.zip!"),
        ("below.zip", "below.zip!one/"),
        ("outer.zip", "outer.zip!data.zip!"),
        ("c.tar", "c.tar!"),
        ("dot.tar.gz", "dot.tar.gz!"),
        ("c.tar.gz", "c.tar.gz!"),
        ("c.7z", "c.7z!"),
    ]
    .map(|(named, shown)| (format!("case/{named}"), format!("case/{shown}{log}")))
    .into()
}

#[test]
fn collections_by_velociraptor_are_understood_in_every_form() {
    let bench = Bench::new();
    let (mut whole, index) = holed();
    whole[HOLE.0..HOLE.1].fill(0);
    bench.file("holed.evtx", &whole);
    let (_, want, ..) = hunt(&bench, "holed.evtx");
    assert!(want.len() > 2000);
    for (named, shown) in forms(&bench, &collection(Some(&index.to_string()))) {
        for threads in [1, 4] {
            let (code, hits, ledger, err) = hunt(&bench, &format!("{named} --threads {threads}"));
            assert_eq!((code, hits.len()), (0, want.len()), "{named}: {err}");
            for (hit, want) in hits.iter().zip(&want) {
                let place = &hit["evidence"];
                assert_eq!(place["host"], "DC01", "{named}");
                assert_eq!(place["path"].as_str().unwrap().replace(r"case\", "case/"), shown);
                assert_eq!(
                    (&hit["data"], &place["offset"]),
                    (&want["data"], &want["evidence"]["offset"])
                );
            }
            assert_eq!(ledger["totals"]["imbalances"], json!([]), "{named}");
            let sources = ledger["sources"].as_array().unwrap();
            let log = sources.iter().find(|source| source["path"] == hits[0]["evidence"]["path"]);
            assert_eq!(log.unwrap()["host"], "DC01", "{named}");
        }
    }
}

/// What says where the holes were is damaged, or gone: the log is read as it is stored, and it is told.
#[test]
fn an_index_that_is_lost_is_told() {
    let short = holed().1["ranges"][0].to_string();
    for (index, says) in [
        (Some("{\"ranges\":[{"), "its .idx cannot be used: it is no JSON"),
        (Some("[]"), "it has no ranges"),
        (Some("{\"ranges\":7}"), "it has no ranges"),
        (None, "it is not there, and uploads.json tells of it"),
        (Some(&*format!("[{short}]")), ""),
    ] {
        let bench = Bench::new();
        for (named, _) in forms(&bench, &collection(index)) {
            let (code, hits, ledger, err) = hunt(&bench, &named);
            assert_eq!(ledger["totals"]["imbalances"], json!([]), "{named}");
            let told = format!("{err}{ledger}");
            if says.is_empty() {
                assert!(told.contains("bytes that are stored"), "{named}: {told}");
                continue;
            }
            // The hole was a chunk: all others are where they can be found.
            assert!((hits.len(), code) > (2000, 0), "{named}: {} {code} {err}", hits.len());
            assert!(err.contains(says.rsplit(": ").next().unwrap()), "{named}: {err}");
            assert!(ledger.to_string().contains(says), "{named}: {ledger}");
        }
    }
}

/// An index may claim any size: that is no reason to read for ever.
#[test]
fn an_index_does_not_make_a_log_endless() {
    let index =
        r#"[{"Length":5000,"FileLength":5000},{"OriginalOffset":5000,"Length":9000000000000000}]"#;
    let bench = Bench::new();
    for (named, _) in forms(&bench, &collection(Some(index))) {
        let (code, _, ledger, err) = hunt(&bench, &named);
        assert_eq!(code, 1, "{named}: {err}");
        assert!(err.contains("more than the limit"), "{named}: {err}");
        assert_eq!(ledger["totals"]["imbalances"], json!([]), "{named}");
    }
}

/// Nothing is decoded in what is no collection, and a host is taken from where it is sure alone.
#[test]
fn hosts_come_from_where_they_are_sure() {
    let bench = Bench::new();
    let log = files().swap_remove(0).1;
    let one = |name: &str| vec![(name.to_owned(), log.clone())];
    let windows = "C/Windows/System32/winevt/Logs/Security.evtx";
    let uac = "uac-web-01.example-linux-20240102030405";
    bench.file(&format!("{uac}.tar.gz"), &gzipped(&tarred(&one("[root]/srv/a.evtx"))));
    bench.file(&format!("{uac}/[root]/srv/a.evtx"), &log);
    bench.file("2024-01-02T030405_DC01.zip", &zipped(&one(windows), deflated()));
    bench.file("kape/C/Windows/System32/winevt/Logs/Security.evtx", &log);
    bench.file("plain/uploads/auto/C%3A/a.evtx", &log);
    bench.file("plain.zip", &zipped(&one("uploads/auto/C%3A/a.evtx"), deflated()));
    let named = "Collection-WS7.example-2024-01-02T03_04_05Z";
    let files =
        [one("uploads/auto/C%3A/a.evtx"), vec![("uploads.json".into(), Vec::new())]].concat();
    bench.file(&format!("{named}.zip"), &zipped(&files, deflated()));
    bench.file(&format!("{named}/uploads/auto/C%3A/a.evtx"), &log);
    bench.file(&format!("{named}/uploads.json"), b"");
    for (evidence, host, path) in [
        (format!("{uac}.tar.gz"), Some("web-01.example"), "[root]/srv/a.evtx"),
        (uac.to_owned(), Some("web-01.example"), "[root]/srv/a.evtx"),
        ("2024-01-02T030405_DC01.zip".into(), None, windows),
        ("kape".into(), None, windows),
        ("plain".into(), None, "uploads/auto/C%3A/a.evtx"),
        ("plain.zip".into(), None, "uploads/auto/C%3A/a.evtx"),
        (format!("{named}.zip"), Some("WS7.example"), "uploads/auto/C:/a.evtx"),
        (named.to_owned(), Some("WS7.example"), "uploads/auto/C:/a.evtx"),
    ] {
        let (code, hits, _, err) = hunt(&bench, &evidence);
        assert_eq!((code, hits.len()), (0, 3), "{evidence}: {err}");
        for hit in hits {
            let place = &hit["evidence"];
            assert_eq!(place["host"].as_str(), host, "{evidence}");
            let shown = place["path"].as_str().unwrap().replace('\\', "/");
            assert!(shown.ends_with(path), "{evidence}: {shown}");
        }
    }
    // A list of what is there tells the host, too.
    let run = bench.harrier(&words(&format!("list {named} --format json")));
    assert_eq!((run.code, &run.hits()[0]["host"]), (0, &"WS7.example".into()), "{}", run.err);
}
