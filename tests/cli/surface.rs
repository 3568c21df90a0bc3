//! What a user sees and types beside hits: the summary, progress, lists of paths and patterns, shell
//! completions, the manual, records that were deleted.

use super::bench::{Bench, EVIL, event, log, run};
use super::words;
use crate::support::{skipped, this_test};
use forge::{Account, Event, FileTime, LogWriter, Options, Process, Slack};
use std::process::{Command, Stdio};

/// A rule of this category or service that nothing hits.
fn rule(name: &str, source: &str) -> (String, String) {
    let text = EVIL.replace("category: process_creation", source);
    (format!("rules/{name}.yml"), text.replace(r"\evil.exe", r"\nowhere.exe"))
}

/// Rules that look at different logs: three at processes, and one each.
fn sources() -> Bench {
    let bench = Bench::new();
    for (name, source) in [
        ("evil", "category: process_creation"),
        ("process", "category: process_creation"),
        ("process-too", "category: process_creation"),
        ("registry", "category: registry_set"),
        ("image", "category: image_load"),
        ("pipe", "category: pipe_created"),
        ("script", "category: ps_script"),
        ("security", "service: security"),
        ("defender", "service: windefend"),
    ] {
        let (path, text) = rule(name, source);
        bench.file(&path, text.as_bytes());
    }
    bench
}

/// What the summary says of what could not be seen, for evidence with these events.
fn not_seen(bench: &Bench, events: Vec<Event>, options: &str) -> Vec<String> {
    bench.file("case/a.evtx", &log(events));
    let run = bench.harrier(&words(&format!("hunt case -r rules {options}")));
    assert_eq!(run.code, 0, "{}", run.err);
    let lines = run.err.lines().skip_while(|line| !line.starts_with("Hits"));
    let lines = lines.take_while(|line| !line.starts_with("Rules"));
    lines.map(|line| line.get(11..).unwrap().to_owned()).collect()
}

#[test]
fn an_empty_result_says_what_could_not_be_seen() {
    let at = FileTime::literal("2026-03-01T10:00:00Z");
    let shell = Process::new(r"C:\Windows\cmd.exe", "cmd.exe", r"CORP\a");
    let user = Account::new("CORP", "a");
    let logon = || forge::security::logoff(at, &user, 3);
    let system = || forge::system::log_started(at);
    let security_process = || forge::security::process_create(at, &shell, &shell);
    let sysmon_process = || forge::sysmon::process_create(at, &shell, &shell);
    let sysmon_end = || forge::sysmon::process_terminated(at, &shell);
    let key = r"HKLM\SOFTWARE\X";
    let rest = || {
        vec![
            sysmon_process(),
            forge::sysmon::registry_set(at, &shell, key, "1"),
            forge::sysmon::image_load(at, &shell, r"C:\x.dll", None),
            forge::sysmon::pipe_created(at, &shell, r"\p"),
            forge::defender::realtime_disabled(at),
            logon(),
        ]
    };
    const PROCESS: &str = "no Sysmon and no 4688 in this evidence: 3 process rules could not see";
    let sysmon =
        "no Sysmon in this evidence: 2 rules for image load and pipe created could not see";
    let bench = sources();
    let script = "no PowerShell and no PowerShellCore";
    for (name, events, want) in [
        (
            "another log",
            vec![system()],
            vec![
                format!("0 hits; {PROCESS}"),
                sysmon.to_owned(),
                "no PowerShell and no PowerShellCore in this evidence: 1 script block rule could \
                 not see"
                    .to_owned(),
                "3 more logs: 3 rules could not see: -v names them".to_owned(),
            ],
        ),
        ("no records", Vec::new(), vec![format!("0 hits; {PROCESS}")]),
        (
            "Security without 4688",
            vec![logon()],
            vec![format!("0 hits; {PROCESS}"), sysmon.to_owned()],
        ),
        ("4688 alone", vec![security_process()], vec![format!("0 hits; {sysmon}")]),
        (
            "Sysmon, other events",
            vec![sysmon_end()],
            vec![
                "0 hits; no Sysmon 1 and no 4688 in this evidence: 3 process rules could not see"
                    .to_owned(),
                format!("{script} in this evidence: 1 script block rule could not see"),
            ],
        ),
        (
            "all but scripts",
            rest(),
            vec![format!("0 hits; {script} in this evidence: 1 script block rule could not see")],
        ),
        (
            "everything",
            rest()
                .into_iter()
                .chain([forge::powershell::script_block(at, &user, "x", "y", false)])
                .collect(),
            vec!["0 hits; there were events to look at for each of 9 rules".to_owned()],
        ),
    ] {
        for options in ["", "--full-scan", "--threads 1"] {
            let said = not_seen(&bench, events.clone(), options);
            assert_eq!(said[..want.len()], want, "{name} {options}: {said:?}");
            assert!(!name.starts_with("all but") && name != "everything" || said.len() == 1);
        }
    }
    // In full, each is named; and the ledger has them all.
    let said = not_seen(&bench, vec![system()], "-v --ledger ledger.json").join("\n");
    for part in ["no Security log", "no Windows Defender", "no Sysmon and no 4657", sysmon] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let ledger = std::fs::read(bench.path("ledger.json")).unwrap();
    let ledger: serde_json::Value = serde_json::from_slice(&ledger).unwrap();
    assert_eq!(ledger["totals"]["rules"]["blind"], 9);
    assert_eq!(ledger["totals"]["rules"]["loaded"], 0);
    assert_eq!(ledger["rules"][0]["state"], "blind");
    // Of what was not looked at, or could not be read, nothing is said that nobody knows.
    let said = not_seen(&bench, vec![sysmon_end()], "--event-id 4");
    assert!(said[0].contains("no Sysmon and no 4688 among the events asked for: 3"), "{said:?}");
    bench.file("case/b.evtx", b"");
    let run = bench.harrier(&words("hunt case -r rules"));
    assert!(run.err.contains("no Sysmon 1 and no 4688 in what could be read: 3 process"));
}

/// Hayabusa's rules name their channel in the condition.
#[test]
fn rules_that_name_their_channel_are_counted_too() {
    let bench = Bench::new();
    let rule = |channel: &str| {
        format!(
            "title: x\nlevel: low\nlogsource: {{product: windows}}\ndetection:\n  s:\n    \
             Channel: {channel}\n    EventID: 7777\n  condition: s\nruletype: Hayabusa\n"
        )
    };
    bench.file("hayabusa/a.yml", rule("System").as_bytes());
    bench.file("hayabusa/b.yml", rule("Microsoft-Windows-Sysmon/Operational").as_bytes());
    bench.file(
        "case/a.evtx",
        &log([forge::system::log_started(FileTime::literal("2026-03-01T10:00:00Z"))]),
    );
    let run = bench.harrier(&words("hunt case -r hayabusa"));
    let want = "Hits       0 hits; no log of the channels that they name in this evidence: 1 rule \
                could not see\n";
    assert!(run.err.starts_with(want), "{}", run.err);
}

/// A summary of hits tells when and where; quietly nothing is said at all.
#[test]
fn the_summary_tells_where_and_when() {
    let bench = Bench::new();
    let evil = |time: &str, host: &str| {
        event(1, r"C:\evil.exe", "x").at(FileTime::literal(time)).on(host.to_owned())
    };
    let mut events = vec![
        evil("2026-03-01T10:00:00Z", "A"),
        evil("2026-03-01T12:00:00Z", "B\x1b[2J"),
        evil("2026-03-01T11:00:00Z", "A"),
        event(1, r"C:\good.exe", "x").at(FileTime::literal("2026-03-09T11:00:00Z")),
    ];
    events.extend((0..9).map(|n| evil("2026-03-01T11:30:00Z", &format!("C{n}"))));
    bench.file("case/a.evtx", &log(events));
    let run = bench.harrier(&words("hunt case -r rules"));
    for line in [
        "Hits       12 on 12 records (12 medium)\n",
        "Hosts              2  A  2026-03-01 10:00:00 to 11:00:00\n",
        "                   1  B\\x1b[2J  2026-03-01 12:00:00 to 12:00:00\n",
        "                   6  on 6 more hosts\n",
        "Tactics    execution 12\n",
        "Timeline   2026-03-01 10:00 |▁           ▁     █     ▁| 12:05, 5 min a bar\n",
        "Time       2026-03-01 10:00:00 to 2026-03-09 11:00:00 UTC\n",
    ] {
        assert!(run.err.contains(line), "{line}\n{}", run.err);
    }
    let verbose = bench.harrier(&words("hunt case -r rules -v"));
    assert!(verbose.err.contains("  C8  "), "{}", verbose.err);
    assert!(verbose.err.contains("2026-03-01 11:30         9  ████"), "{}", verbose.err);
    assert_eq!(bench.harrier(&words("hunt case -r rules -q")).err, "");
}

/// Names of hits for a call, sorted and told apart by their log.
fn logs_hit(bench: &Bench, args: &[&str], input: &[u8]) -> (i32, Vec<String>, String) {
    let mut command = bench.command(args);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input).unwrap();
    let output = child.wait_with_output().unwrap();
    let run = super::bench::Run {
        code: output.status.code().unwrap(),
        out: output.stdout,
        err: String::from_utf8(output.stderr).unwrap(),
    };
    let path =
        |hit: &serde_json::Value| hit["evidence"]["path"].as_str().unwrap().replace('\\', "/");
    let paths = run.hits().iter().map(path).collect();
    (run.code, paths, run.err)
}

#[test]
fn lists_of_paths() {
    let bench = Bench::new();
    for name in ["a.evtx", "b c.evtx", "d/e.evtx", "*.evtx", "-"] {
        if cfg!(windows) && name.contains('*') {
            continue;
        }
        bench.log(name, 1, 1);
    }
    bench.file("lines", b"a.evtx\r\n\n./d\n");
    bench.file("nuls", b"b c.evtx\0a.evtx\0");
    let hunt = ["hunt", "-q", "--all-copies", "-r", "rules"];
    for (args, input, want) in [
        (&["-"][..], &b"d\na.evtx\n"[..], &["d/e.evtx", "a.evtx"][..]),
        (&["b c.evtx", "-"], b"a.evtx", &["b c.evtx", "a.evtx"]),
        (&["-", "b c.evtx"], b"a.evtx\na.evtx", &["a.evtx", "b c.evtx"]),
        (&["-0", "-"], b"a.evtx\0d/e.evtx", &["a.evtx", "d/e.evtx"]),
        (&["--files-from", "lines"], b"", &["a.evtx", "./d/e.evtx"]),
        (&["--files-from", "nuls", "--null"], b"", &["b c.evtx", "a.evtx"]),
        (&["--files-from", "-"], b"a.evtx", &["a.evtx"]),
        (
            &["d", "--files-from=lines", "--files-from=-"],
            b"b c.evtx",
            &["d/e.evtx", "a.evtx", "b c.evtx"],
        ),
        (&["./-"], b"", &["./-"]),
    ] {
        let (code, paths, err) = logs_hit(&bench, &[&hunt[..], args].concat(), input);
        assert_eq!((code, err.as_str()), (0, ""), "{args:?}");
        assert_eq!(paths, want, "{args:?}");
    }
    // What is not there any more is accounted for, and does not stop the rest.
    let (code, paths, err) = logs_hit(&bench, &[&hunt[..], &["-"]].concat(), b"gone.evtx\na.evtx");
    assert_eq!((code, paths.len()), (1, 1), "{err}");
    assert!(err.contains("gone.evtx: ") && err.lines().count() == 1, "{err}");
    for (args, input, says) in [
        (&["-"][..], &b"\n\n"[..], "there are no paths on the list"),
        (&["a.evtx", "-0"], b"", "--null is about lists of paths: give"),
        (&["--files-from", "nowhere"], b"", "--files-from nowhere: cannot be read: check the path"),
        (&["-"], b"ElfFile\0...", "is an event log, not a list of paths: name the file itself"),
    ] {
        let (code, _, err) = logs_hit(&bench, &[&hunt[..], args].concat(), input);
        assert_eq!(code, 2, "{args:?}");
        assert!(err.contains(says) && err.lines().count() == 1, "{args:?}: {err}");
    }
}

/// Names that are no text, or hold what separates lines.
#[cfg(unix)]
#[test]
fn lists_may_have_any_name() {
    use std::os::unix::ffi::OsStrExt as _;
    let bench = Bench::new();
    let content = log([event(1, r"C:\evil.exe", "x")]);
    let names: [&[u8]; 4] = [b"new\nline.evtx", b"cr\r", b"\xff\xfe.evtx", b"\xef\xbb\xbfbom"];
    let mut list = Vec::new();
    for name in names {
        let path = bench.path("").join(std::ffi::OsStr::from_bytes(name));
        if std::fs::write(&path, &content).is_err() {
            skipped(&this_test(), &format!("names such as {name:?} cannot be made here"));
            return;
        }
        list.extend_from_slice(b"./");
        list.extend_from_slice(name);
        list.push(0);
    }
    let args = ["hunt", "-q", "--all-copies", "-r", "rules", "-0", "-"];
    let (code, paths, err) = logs_hit(&bench, &args, &list);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(paths, ["./new\nline.evtx", "./cr\r", ".//xFF/xFE.evtx", "./\u{feff}bom"]);
    let (_, paths, _) = logs_hit(&bench, &args[..6], b"");
    assert!(paths.is_empty());
    // Without --null a line cannot hold a line's end.
    let args = ["hunt", "-q", "--all-copies", "-r", "rules", "-"];
    let (code, paths, _) = logs_hit(&bench, &args, b"./\xff\xfe.evtx\n./\xef\xbb\xbfbom\n");
    assert_eq!((code, paths.len()), (0, 2));
}

#[test]
fn patterns_that_the_shell_left_alone() {
    let bench = Bench::new();
    for name in ["h1/Security.evtx", "h2/Security.evtx", "h2/deep/System.evtx", "h3/x.txt"] {
        bench.log(name, 1, 0);
    }
    bench.log("odd[1].evtx", 1, 0);
    bench.log("odd1.evtx", 1, 0);
    let hunt = ["hunt", "-q", "--all-copies", "-r", "rules"];
    for (pattern, want) in [
        ("*/Security.evtx", &["h1/Security.evtx", "h2/Security.evtx"][..]),
        ("h?/*.evtx", &["h1/Security.evtx", "h2/Security.evtx"]),
        (
            "**/*.evtx",
            &[
                "h1/Security.evtx",
                "h2/Security.evtx",
                "h2/deep/System.evtx",
                "odd1.evtx",
                "odd[1].evtx",
            ],
        ),
        ("h[23]", &["h2/Security.evtx", "h2/deep/System.evtx", "h3/x.txt"]),
        // A file that is really called so wins.
        ("odd[1].evtx", &["odd[1].evtx"]),
        ("odd[0-9].evtx", &["odd1.evtx"]),
    ] {
        let (code, mut paths, err) = logs_hit(&bench, &[&hunt[..], &[pattern]].concat(), b"");
        assert_eq!((code, err.as_str()), (0, ""), "{pattern}");
        paths.sort();
        assert_eq!(paths, want, "{pattern}");
    }
    for (pattern, says) in [
        ("*.xyz", "*.xyz: no such file or folder, and nothing that matches: check the pattern"),
        ("a[", "a[: no such file or folder, and no pattern: "),
    ] {
        let (code, _, err) = logs_hit(&bench, &[&hunt[..], &[pattern]].concat(), b"");
        assert!(code == 2 && err.contains(says) && err.lines().count() == 1, "{err}");
    }
}

/// A list of very many paths costs no more than a folder of as many files.
#[test]
fn a_long_list_is_not_slow() {
    let bench = Bench::new();
    bench.log("a.evtx", 1, 0);
    let list: String =
        (0..50_000).map(|n| format!("none/{n}.evtx\n")).collect::<String>() + "a.evtx";
    let begun = std::time::Instant::now();
    let args = ["hunt", "-q", "--all-copies", "-r", "rules", "-"];
    let (code, paths, err) = logs_hit(&bench, &args, list.as_bytes());
    assert_eq!((code, paths.len()), (1, 1));
    assert!(err.contains("49,980 more places could not be read") || err.contains("more places"));
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}

/// The program, given to a shell of this kind to be checked; what it says if it is not content.
fn check(shell: &str, args: &[&str], text: &[u8]) -> Option<String> {
    let child = Command::new(shell)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        skipped(&this_test(), &format!("there is no {shell}"));
        return None;
    };
    // It may be content before it has read everything.
    let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), text);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{shell}: {said}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn completions_are_what_the_shells_take() {
    let bench = Bench::new();
    let help = String::from_utf8(bench.harrier(&["hunt", "--help"]).out).unwrap();
    let options = regex::Regex::new(r"--[a-z-]+").unwrap();
    let listed = help.split("Examples:").next().unwrap();
    let options: Vec<&str> = options.find_iter(listed).map(|found| found.as_str()).collect();
    assert!(options.len() > 15, "{options:?}");
    for (shell, checks) in [
        ("bash", Some(("bash", &["-n"][..]))),
        ("zsh", Some(("zsh", &["-n"]))),
        ("fish", Some(("fish", &["--no-execute"]))),
        ("powershell", None),
        ("elvish", None),
    ] {
        let run = bench.harrier(&["completions", shell]);
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{shell}");
        if let Some((program, args)) = checks {
            check(program, args, &run.out);
        }
        let text = String::from_utf8(run.out).unwrap();
        for option in &options {
            // fish names them without dashes.
            assert!(text.contains(option.trim_start_matches('-')), "{shell}: {option}");
        }
    }
    let run = bench.harrier(&["completions", "cmd"]);
    assert_eq!((run.code, run.err.lines().count()), (2, 1), "{}", run.err);
}

#[test]
fn the_manual_can_be_read() {
    let bench = Bench::new();
    for (args, name, says) in [
        (&["man"][..], "harrier", &["NAME", "hunt", "completions", "harrier-rules"][..]),
        (&["man", "hunt"], "harrier-hunt", &["--files-from", "--recover", "Exit codes", "130"]),
        (&["man", "rules", "test"], "harrier-rules-test", &["--data"]),
    ] {
        let run = bench.harrier(args);
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{args:?}");
        let text = String::from_utf8(run.out.clone()).unwrap().replace("\\-", "-");
        assert!(text.contains(&format!(".TH {name} 1")), "{text}");
        let rendered = check("man", &["-l", "-"], &run.out).unwrap_or(text);
        for part in says {
            assert!(rendered.replace('‐', "-").contains(part), "{args:?} {part}: {rendered}");
        }
    }
    let run = bench.harrier(&["man", "nothing"]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("there is no command 'harrier nothing'"), "{}", run.err);
}

/// A wrong word gets the right one, in the one line.
#[test]
fn slips_of_the_finger_get_a_hint() {
    let bench = Bench::new();
    bench.log("logs/a.evtx", 1, 1);
    bench.file("words.txt", b"a\n");
    let expand = EVIL.replace(r"endswith: '\evil.exe'", "expand: '%Lists%'");
    bench.file("expand/a.yml", expand.as_bytes());
    bench.file("expand/b.yml", expand.replace("%Lists%", "%Other%").as_bytes());
    bench.file("expand/evil.yml", EVIL.as_bytes());
    for (args, code, says) in [
        ("hunt logs --thread 3", 2, "a similar argument exists: '--threads'"),
        ("hunt logs --verbos", 2, "a similar argument exists: '--verbose'"),
        ("hutn logs", 2, "a similar subcommand exists: 'hunt'"),
        ("hunt logs --min-level hihg", 2, "a similar value exists: 'high'"),
        ("hunt", 2, "give event logs or folders, as in 'harrier hunt Logs/'"),
        (
            "hunt logs -r expand",
            0,
            "warning: 2 rules left out for want of lists of values for %Lists%, %Other%: give each \
             with --expand NAME=FILE",
        ),
        (
            "hunt logs -r expand --expand Lists=words.txt",
            0,
            "warning: 1 rule left out for want of lists of values for %Other%: give",
        ),
        (
            "hunt logs -r rules --expand Lists=words.txt",
            0,
            "warning: --expand Lists: no rule has a placeholder %Lists%",
        ),
    ] {
        let run = bench.harrier(&words(args));
        assert_eq!(run.code, code, "{args}: {}", run.err);
        let lines: Vec<&str> =
            run.err.lines().filter(|line| line.starts_with("harrier: ")).collect();
        assert!(lines.len() == 1 && lines[0].contains(says), "{args}: {}", run.err);
        assert!(code == 0 || run.err.lines().count() == 1, "{args}: {}", run.err);
        let quiet = bench.harrier(&words(&format!("{args} -q")));
        assert!(code == 2 || quiet.err.is_empty(), "{args}: {}", quiet.err);
    }
}

/// What the log has overwritten is found on request, and marked.
#[test]
fn deleted_records_are_recovered_on_request() {
    let bench = Bench::new();
    let options = Options::new().records_per_chunk(5).ring(3).slack(Slack::Stale);
    let mut log = LogWriter::in_memory(options);
    for n in 0..24 {
        // The tenth is what is left over behind the last chunk's four.
        let image = if n == 9 { r"C:\evil.exe" } else { r"C:\good.exe" };
        log.push(&event(n, image, "x")).unwrap();
    }
    let mut bytes = log.into_bytes().unwrap();
    bench.file("case/ring.evtx", &bytes);
    let plain = bench.harrier(&words("hunt case -r rules"));
    assert_eq!((plain.code, plain.hits().len()), (0, 0), "{}", plain.err);
    let run_ = bench.harrier(&words("hunt case -r rules --recover"));
    assert_eq!((run_.code, run_.hits().len()), (0, 1), "{}", run_.err);
    assert_eq!(run_.hits()[0]["evidence"]["recovered"], true);
    assert!(run_.err.contains("Records    15 read, 1 recovered\n"), "{}", run_.err);
    let full = bench.harrier(&words("hunt case -r rules --recover --full-scan -q"));
    assert_eq!(full.out, run_.out);
    let table = bench.harrier(&words("hunt case -r rules --recover --format table -q"));
    let table = String::from_utf8(table.out).unwrap();
    assert!(table.contains(", recovered\n"), "{table}");
    // One whose template is gone is read with that of another chunk.
    forge::damage::chunk(&mut bytes, 1)[forge::CHUNK_HEADER_SIZE + 38 + 4] ^= 0xFF;
    forge::damage::reseal_chunk(&mut bytes, 1);
    bench.file("case/ring.evtx", &bytes);
    let run_ = bench.harrier(&words("hunt case -r rules --recover"));
    assert_eq!((run_.code, run_.hits().len()), (0, 1), "{}", run_.err);
    // If that is gone everywhere, the record is counted; the log itself is whole.
    for slot in [0, 2] {
        forge::damage::chunk(&mut bytes, slot)[forge::CHUNK_HEADER_SIZE + 38 + 4] ^= 0xFF;
        forge::damage::reseal_chunk(&mut bytes, slot);
    }
    bench.file("case/ring.evtx", &bytes);
    let run_ = bench.harrier(&words("hunt case -r rules --recover --ledger l"));
    assert_eq!((run_.code, run_.hits().len()), (0, 0), "{}", run_.err);
    let line = "Records    14 read, 1 left over and overwritten in part\n";
    assert!(run_.err.contains(line), "{}", run_.err);
    let ledger: serde_json::Value =
        serde_json::from_slice(&std::fs::read(bench.path("l")).unwrap()).unwrap();
    assert_eq!(ledger["totals"]["records"]["unrecoverable"], 1);
    assert_eq!(ledger["totals"]["imbalances"], serde_json::json!([]));
    assert_eq!(ledger["sources"][0]["state"], "read");
}

/// What is said of a record that cannot be read is for who wants the record.
#[test]
fn damage_is_told_in_plain_words() {
    let bench = Bench::new();
    let mut bytes = log((0..10).map(|n| event(n, r"C:\evil.exe", "x".repeat(100))));
    // Bytes of the BinXML of some records.
    for at in [2000, 4000] {
        let chunk = forge::damage::chunk(&mut bytes, 0);
        chunk[at..at + 40].fill(0xEE);
    }
    bench.file("case/a.evtx", &bytes);
    let run = bench.harrier(&words("hunt case -r rules -q"));
    assert_eq!(run.code, 1);
    assert!(run.err.contains("case/a.evtx at offset "), "{}", run.err);
    for word in ["lane", "instance", "plan", "descriptor", "Some("] {
        assert!(!run.err.contains(word), "{word}: {}", run.err);
    }
}

/// On a terminal, a hunt that takes a while shows how far it is; nothing of it gets into the output.
#[cfg(target_os = "linux")]
#[test]
fn progress_is_for_terminals_and_long_hunts() {
    use std::io::Read as _;
    if Command::new("script").arg("--version").output().is_err() {
        return skipped(&this_test(), "there is no program `script`, which gives a terminal");
    }
    let bench = Bench::new();
    let some = log((0..500).map(|n| event(n, r"C:\evil.exe", "x".repeat(500))));
    for n in 0..8 {
        bench.file(&format!("logs/{n}a\nb.evtx"), &some);
    }
    let pipe = bench.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let program = env!("CARGO_BIN_EXE_harrier");
    // What the hunt says on its terminal, and what its output gets, which nobody reads at first.
    let hunt = |options: &str, wait: u64| {
        let call = format!("'{program}' hunt -r rules --all-copies -o pipe {options}");
        let mut command = Command::new("script");
        command.args(["-qec", &call, "/dev/null"]).current_dir(bench.path(""));
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut reader = std::fs::File::open(&pipe).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(wait));
        let mut out = String::new();
        reader.read_to_string(&mut out).unwrap();
        let said = child.wait_with_output().unwrap().stdout;
        (String::from_utf8(said).unwrap(), out)
    };
    let (long, out) = hunt("logs", 1500);
    for part in [" of ", " MB", "/s", " left", "medium"] {
        assert!(long.contains(part), "{part}: {long:?}");
    }
    assert!(long.contains("[=") || long.contains("[>"), "{long:?}");
    assert!(!long.contains("a\nb.evtx"), "names of logs are escaped: {long:?}");
    assert_eq!(out.lines().count(), 4000);
    assert!(!out.contains('\x1b') && out.lines().all(|line| line.starts_with("{\"schema\"")));
    bench.log("few/a.evtx", 3, 0);
    for (options, wait, hits) in
        [("logs --no-progress", 1500, 4000), ("logs -q", 1500, 4000), ("few", 0, 3)]
    {
        let (said, out) = hunt(options, wait);
        assert!(!said.contains("/s;") && !said.contains('['), "{options}: {said:?}");
        assert_eq!(out.lines().count(), hits);
    }
}

/// Evidence of more than the hunt takes in hand while nobody reads its output, and how many hits.
#[cfg(unix)]
fn much() -> (Bench, usize) {
    let bench = Bench::new();
    let one = log((0..4000).map(|n| event(n, r"C:\evil.exe", "x".repeat(500))));
    // In many logs, each larger than a piece of work, and in one: chunks do not know of each other.
    for n in 0..15 {
        bench.file(&format!("logs/{n:02}.evtx"), &one);
    }
    let (header, chunks) = one.split_at(forge::FILE_HEADER_SIZE);
    bench.file("one/one.evtx", &[header, &chunks.repeat(15)].concat());
    (bench, 15 * 4000)
}

/// Ctrl-C: what was found is whole, the rest is not looked at, and both are said.
#[cfg(unix)]
#[test]
fn an_interrupted_hunt_ends_cleanly() {
    use std::io::{BufRead as _, BufReader, Read as _};
    let (bench, all) = much();
    for (folder, signal, threads) in
        [("logs", "INT", "1"), ("one", "TERM", "3"), ("logs", "TERM", "3"), ("one", "INT", "1")]
    {
        let mut child = bench
            .command(&["hunt", folder, "-r", "rules", "--threads", threads, "--ledger", "l"])
            .args(["-o", "-", "-o", "hits.csv", "--manifest", "m.json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        reader.read_line(&mut text).unwrap();
        let kill = || Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
        assert!(kill().unwrap().success());
        std::thread::sleep(std::time::Duration::from_millis(200));
        reader.read_to_string(&mut text).unwrap();
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(130), "{signal}: {err}");
        let hits = text.lines().filter(|line| {
            serde_json::from_str::<serde_json::Value>(line).is_ok_and(|hit| hit.is_object())
        });
        let hits = hits.count();
        assert!(text.ends_with('\n') && hits == text.lines().count(), "all lines are whole");
        assert!(hits > 0 && hits < all, "{hits} of {all}");
        assert!(err.contains("interrupted: what was found is written"), "{err}");
        assert!(err.contains(", 1 read in part") || folder == "logs", "{err}");
        // A file that would pass for complete is not left behind.
        let partial = std::fs::read_to_string(bench.path("hits.csv.partial")).unwrap();
        assert_eq!(partial.lines().count(), hits + 1);
        assert!(err.contains("hits.csv.partial") && !bench.path("hits.csv").exists(), "{err}");
        let ledger = std::fs::read(bench.path("l")).unwrap();
        let ledger: serde_json::Value = serde_json::from_slice(&ledger).unwrap();
        let totals = &ledger["totals"];
        assert_eq!(totals["interrupted"], true);
        assert_eq!(totals["complete"], false);
        assert_eq!(totals["hits"]["total"], hits);
        assert_eq!(totals["imbalances"], serde_json::json!([]));
        assert_eq!(totals["rules"]["blind"], 0);
        let states: Vec<&str> = ledger["sources"]
            .as_array()
            .unwrap()
            .iter()
            .map(|source| source["state"].as_str().unwrap())
            .collect();
        assert!(folder == "logs" || states == ["interrupted"], "{states:?}");
        the_manifest_says_that_it_was_stopped(&bench, folder);
    }
}

/// What was looked at and written is in the manifest, and that it is not all.
#[cfg(unix)]
fn the_manifest_says_that_it_was_stopped(bench: &Bench, folder: &str) {
    let manifest = std::fs::read(bench.path("m.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!((&manifest["state"], &manifest["exit_code"]), (&"interrupted".into(), &130.into()));
    let sources = manifest["sources"].as_array().unwrap();
    assert_eq!(sources.len(), if folder == "one" { 1 } else { 15 });
    let outputs = manifest["outputs"].as_array().unwrap();
    let ledger = std::fs::read(bench.path("l")).unwrap().len();
    for (file, complete) in [("standard output", false), ("hits.csv", false), ("l", true)] {
        let output = outputs.iter().find(|output| output["file"] == file).unwrap();
        assert_eq!(output["complete"], complete, "{output}");
        assert!(file != "l" || output["size"] == ledger, "{output}");
        assert!(output["size"].as_u64().unwrap() > 0, "{output}");
    }
    assert!(manifest["ended"].as_str().unwrap() >= manifest["started"].as_str().unwrap());
}

/// A run is stopped, too, while the evidence is hashed, or by whoever stops `list`, `dump` or `extract`.
#[cfg(unix)]
#[test]
fn what_is_stopped_has_a_manifest() {
    let (bench, _) = much();
    for (args, manifest) in [
        ("list one --manifest m.json --format json", "m.json"),
        ("dump one --manifest m.json -q", "m.json"),
        ("hunt one -r rules --manifest m.json --hash=logs -q", "m.json"),
        ("extract one one.zip -o out", "out/manifest.json"),
    ] {
        if args.starts_with("extract") {
            let one = std::fs::read(bench.path("one/one.evtx")).unwrap();
            let files = (0..6).map(|n| (format!("{n}.evtx"), one.clone())).collect();
            bench
                .file("one.zip", &super::containers::zipped(&files, super::containers::deflated()));
        }
        let mut child = bench
            .command(&words(args))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // When the account is begun the handlers are there.
        let begun = bench.path(&format!("{manifest}.partial"));
        while !std::fs::metadata(&begun).is_ok_and(|begun| begun.len() > 0) {
            assert!(child.try_wait().unwrap().is_none(), "{args}: it ended before");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let kill = Command::new("kill").args(["-s", "INT", &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        let done = child.wait_with_output().unwrap();
        let err = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(130), "{args}: {err}");
        let text = std::fs::read(bench.path(manifest)).unwrap();
        let told: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!((&told["state"], &told["exit_code"]), (&"interrupted".into(), &130.into()));
        assert_eq!(told["sources"][0]["path"].as_str(), Some("one/one.evtx"), "{args}: {told}");
        std::fs::remove_file(bench.path(manifest)).unwrap();
    }
}

/// The second Ctrl-C does not wait for anything.
#[cfg(unix)]
#[test]
fn a_second_interruption_ends_at_once() {
    use std::io::Read as _;
    let (bench, _) = much();
    let mut child = bench
        .command(&["hunt", "logs", "-r", "rules", "-q"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut [0; 10]).unwrap();
    for _ in 0..2 {
        // Nobody reads on, so that the first alone cannot end it.
        assert!(child.try_wait().unwrap().is_none());
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-s", "INT", &id]).status().unwrap().success());
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
    let ended = child.try_wait().unwrap();
    if ended.is_none() {
        child.kill().unwrap();
    }
    assert_eq!(ended.and_then(|status| status.code()), Some(130));
    drop(out);
}

/// `rules test -q` names failures alone.
#[test]
fn quiet_tests_name_failures_alone() {
    let bench = Bench::new();
    let rule = format!("{EVIL}regression_tests_path: regression_data/none/info.yml\n");
    bench.file("repo/a.yml", rule.as_bytes());
    let quiet = run(&mut bench.command(&words("rules test -q -r repo")));
    assert_eq!(String::from_utf8(quiet.out).unwrap(), "0 passed, 0 failed, 1 missing data\n");
    let loud = run(&mut bench.command(&words("rules test -r repo")));
    assert!(loud.out.starts_with(b"MISSING"), "{}", loud.err);
}
