//! Evidence of any kind is as it was after any command: its bytes, its times, and what lies beside it.

use super::bench::Bench;
use super::containers::{aes, deflated, files, gzipped, seven, stored, tarred, zipped};
use super::words;
use crate::images_support::unpacked;

#[test]
fn no_command_changes_evidence() {
    let bench = Bench::new();
    let all = files();
    for (name, content) in &all {
        bench.file(&format!("case/folder/{name}"), content);
    }
    let zip = zipped(&all, deflated());
    let tar = tarred(&all);
    bench.file("case/plain.zip", &zip);
    bench.file("case/nested.zip", &zipped(&vec![("in.zip".into(), zip.clone())], stored()));
    bench.file("case/cut.zip", &zip[..zip.len() * 2 / 3]);
    bench.file("case/locked.zip", &aes("infected"));
    bench.file("case/unknown.zip", &aes("nobody knows"));
    bench.file("case/logs.7z", &seven(&all, None));
    bench.file("case/logs.tar", &tar);
    bench.file("case/logs.tar.gz", &gzipped(&tar));
    bench.file("case/log.evtx.gz", &gzipped(&all[0].1));
    bench.file("case/disk.raw", &unpacked("disk.raw"));
    bench.file("case/memory.bin", &[&[7; 999][..], &all[0].1].concat());
    bench.file("case/c/client_info.json", br#"{"Hostname":"A"}"#);
    bench.file("case/c/uploads/auto/C%3A/a.evtx", &all[0].1);
    bench.file("case/c/uploads/auto/C%3A/a.evtx.idx", b"{");
    let before = bench.snapshot("case");
    for (n, command) in [
        "hunt case -r rules -q -o OUT.csv --ledger OUT.ledger",
        "hunt case -r rules -q -o OUT.csv --recover --carve=all --threads 4",
        "hunt case/disk.raw case/memory.bin -r rules -q -o OUT.csv --carve",
        "list case",
        "list case --carve --format json",
        "dump case -q",
        "dump case -q --carve --format xml",
        "extract case -o OUT",
        "extract case --carve -o OUT",
    ]
    .iter()
    .enumerate()
    {
        let run = bench.harrier(&words(&command.replace("OUT", &format!("out{n}"))));
        // Something in it is damaged on purpose.
        assert_eq!(run.code, 1, "{command}: {}", run.err);
        assert!(before == bench.snapshot("case"), "{command} changed the evidence");
    }
}
