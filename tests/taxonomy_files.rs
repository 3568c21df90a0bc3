//! Files of log sources: what their entries come to mean, and that rules match by them.

use crate::support::{self, Made};
use harrier::engine::{Applicability, RuleSet};
use harrier::event::{Layout, Leaf, LeafKind, Section};
use harrier::sigma::rule::{Dialect, LogSource};
use harrier::sigma::{LogSourceFault, read_log_sources};
use harrier::taxonomy::{EventKey, FieldSource, Mapping, Options, Source, Taxonomy, View};

fn indented(entries: &str) -> String {
    let entries: String = entries.lines().map(|line| format!("  {line}\n")).collect();
    format!("logsources:\n{entries}")
}

/// Adds entries, and gives what was wrong with them.
fn add(taxonomy: &mut Taxonomy, entries: &str) -> Vec<LogSourceFault> {
    let file = read_log_sources(indented(entries).as_bytes()).expect(entries);
    assert_eq!(file.faults, [], "{entries}");
    taxonomy.add(&file)
}

/// These entries alone.
fn only(entries: &str) -> Taxonomy {
    let mut taxonomy = Taxonomy::without_log_sources();
    assert_eq!(add(&mut taxonomy, entries), []);
    taxonomy
}

/// The built-in taxonomy and these entries.
fn beside(entries: &str) -> Taxonomy {
    let mut taxonomy = Taxonomy::builtin(Options::default());
    assert_eq!(add(&mut taxonomy, entries), []);
    taxonomy
}

/// `product/category/service`
fn log_source(text: &str) -> LogSource {
    let mut parts = text.split('/').map(|part| (!part.is_empty()).then(|| part.to_owned()));
    let mut next = || parts.next().flatten();
    LogSource { product: next(), category: next(), service: next() }
}

/// What a log source means, a line for each source: channels, providers, event ids, conditions, view.
fn meaning(taxonomy: &Taxonomy, logsource: &str) -> Vec<String> {
    let any = |items: &[String]| if items.is_empty() { "*".into() } else { items.join("+") };
    let line = |source: Source| {
        let ids = source.event_ids.map_or_else(
            || "*".to_owned(),
            |ids| ids.iter().map(u32::to_string).collect::<Vec<_>>().join("+"),
        );
        let conditions = source.conditions.iter().map(|c| {
            format!(" {}={}{}", c.field, c.values.join("+"), if c.or_absent { "?" } else { "" })
        });
        let (channels, providers) = (any(&source.channels), any(&source.providers));
        let conditions: String = conditions.collect();
        format!("{channels} | {providers} | {ids}{conditions} | {}", source.view.as_str())
    };
    match taxonomy.sources(&log_source(logsource), Dialect::Sigma) {
        Mapping::Sources(sources) => sources.into_iter().map(line).collect(),
        Mapping::NeverInEvtx { reason } => vec![format!("never: {reason}")],
        Mapping::OtherProduct => vec!["other product".to_owned()],
        Mapping::Unknown => vec!["unknown".to_owned()],
    }
}

/// Own log sources with every construct that SigmaHQ's thor.yml has.
const ENTRIES: &str = r"start_a:
  category: start
  product: windows
  conditions: {EventID: 1}
  rewrite: {product: windows, service: agent}
start_b:
  category: start
  product: windows
  conditions: {EventID: 4688}
  rewrite: {product: windows, service: audit}
  fieldmappings: {Image: NewProcessName, ParentImage: ParentProcessName}
gone_key:
  category: gone
  product: windows
  conditions: {EventID: 12, EventType: DeleteKey}
  rewrite: {product: windows, service: agent}
gone_value:
  category: gone
  product: windows
  conditions: {EventID: 12, EventType: DeleteValue}
  rewrite: {product: windows, service: agent}
shell:
  category: shell
  product: windows
  conditions: {EventID: [40, 7, 40]}
  rewrite: {product: windows, service: shell}
malware:
  category: malware
  conditions: {EventID: [1116, 1006]}
  rewrite: {product: windows, service: guard}
  fieldmappings: {Signature: ThreatName, Filename: Path}
agent:
  product: windows
  service: agent
  sources: ['WinEventLog:Contoso-Agent/Operational']
audit:
  product: windows
  service: audit
  sources: ['wineventlog:Audit']
shell_logs:
  product: windows
  service: shell
  sources: ['WinEventLog:Shell/Operational', 'WinEventLog:ShellCore/Operational']
guard:
  product: windows
  service: guard
  sources: ['WinEventLog:Guard']
web:
  category: webserver
  sources: ['File:/var/log/web/*.log', 'File:/srv/*.log']
auth:
  product: linux
  service: auth
  sources: ['File:/var/log/auth.log']
mixed:
  product: windows
  service: mixed
  sources: ['File:C:\mixed.log', 'WinEventLog:Mixed']
all:
  product: windows
  service: all
  sources: ['WinEventLog:*']
";

#[test]
fn entries_become_sources() {
    let taxonomy = only(ENTRIES);
    for (logsource, want) in [
        (
            "windows/start/",
            &["contoso-agent/operational | * | 1 | plain", "audit | * | 4688 | mapped"][..],
        ),
        (
            "windows/gone/",
            &[
                "contoso-agent/operational | * | 12 EventType=deletekey | plain",
                "contoso-agent/operational | * | 12 EventType=deletevalue | plain",
            ],
        ),
        ("windows/shell/", &["shell/operational+shellcore/operational | * | 7+40 | plain"]),
        // Without a product the entry and the rule are taken for Windows.
        ("/malware/", &["guard | * | 1006+1116 | mapped"]),
        ("windows/malware/", &["guard | * | 1006+1116 | mapped"]),
        ("/start/", &["contoso-agent/operational | * | 1 | plain", "audit | * | 4688 | mapped"]),
        ("windows//audit", &["audit | * | * | plain"]),
        ("//audit", &["audit | * | * | plain"]),
        ("windows//mixed", &["mixed | * | * | plain"]),
        ("windows//all", &["* | * | * | plain"]),
        // Category and service narrow each other.
        ("windows/start/audit", &["audit | * | 4688 | mapped"]),
        (
            "windows/start/all",
            &["contoso-agent/operational | * | 1 | plain", "audit | * | 4688 | mapped"],
        ),
        ("windows/start/guard", &["unknown"]),
        // Elsewhere, and nowhere.
        (
            "/webserver/",
            &[
                "never: its events are said to be in File:/var/log/web/*.log, File:/srv/*.log, not in \
               Windows event logs",
            ],
        ),
        (
            "linux//auth",
            &[
                "never: its events are said to be in File:/var/log/auth.log, not in Windows event logs",
            ],
        ),
        ("linux/start/", &["other product"]),
        ("linux//audit", &["other product"]),
        ("macos/start/", &["other product"]),
        ("windows/process_creation/", &["unknown"]),
        ("windows//security", &["unknown"]),
        // A product alone is every event of Windows, and no file's affair.
        ("windows//", &["* | * | * | plain"]),
    ] {
        assert_eq!(meaning(&taxonomy, logsource), want, "{logsource}");
    }
}

#[test]
fn other_entries_become_what_they_say() {
    for (entries, logsource, want) in [
        // A rewrite of a rewrite: conditions add up, event ids are those of both.
        (
            "a: {category: a, conditions: {EventID: [1, 2]}, rewrite: {category: b}}\n\
             b: {category: b, conditions: {EventID: [2, 3], Kind: x}, rewrite: {service: c}}\n\
             c: {service: c, sources: 'WinEventLog:C'}\n",
            "windows/a/",
            &["c | * | 2 Kind=x | plain"][..],
        ),
        // A field that is absent, or has one of some values.
        (
            "a: {category: a, conditions: {Kind: [x, Y, null]}, sources: 'WinEventLog:A'}\n",
            "windows/a/",
            &["a | * | * Kind=x+y? | plain"],
        ),
        // The same twice is once.
        (
            "a: {service: a, sources: 'WinEventLog:A'}\nb: {service: a, sources: 'WinEventLog:A'}\n",
            "windows//a",
            &["a | * | * | plain"],
        ),
        // An entry for category and service both.
        (
            "a: {category: a, service: s, sources: 'WinEventLog:Both'}\n\
             b: {category: a, sources: 'WinEventLog:A'}\n",
            "windows/a/s",
            &["both | * | * | plain"],
        ),
        // Another product that writes to event logs.
        (
            "a: {product: Contoso, service: a, sources: 'WinEventLog:Contoso'}\n",
            "contoso//a",
            &["contoso | * | * | plain"],
        ),
        (
            "a: {product: contoso, service: a, sources: 'WinEventLog:C'}\n",
            "windows//a",
            &["unknown"],
        ),
        // A product alone.
        ("a: {product: windows, sources: 'WinEventLog:A'}\n", "windows//", &["a | * | * | plain"]),
    ] {
        assert_eq!(meaning(&only(entries), logsource), want, "{entries}");
    }
}

#[test]
fn a_file_beside_the_tables_replaces_what_it_names() {
    let taxonomy = beside(
        "sec: {product: windows, service: security, sources: 'WinEventLog:ForwardedEvents'}\n\
         mine: {category: mine, conditions: {EventID: 8}, rewrite: {service: sysmon}}\n\
         logon: {category: logon, conditions: {EventID: 4624}, rewrite: {service: security}}\n\
         start: {category: start, rewrite: {category: process_creation}, fieldmappings: {Exe: Image}}\n",
    );
    for (logsource, want) in [
        ("windows//security", &["forwardedevents | * | * | plain"][..]),
        (
            "windows/mine/",
            &["microsoft-windows-sysmon/operational | microsoft-windows-sysmon | 8 | plain"],
        ),
        // What a rewrite names is looked for in the file first.
        ("windows/logon/", &["forwardedevents | * | 4624 | plain"]),
        (
            "windows/start/",
            &[
                "microsoft-windows-sysmon/operational | microsoft-windows-sysmon | 1 | mapped",
                "security | microsoft-windows-security-auditing | 4688 | mapped",
            ],
        ),
        (
            "windows/process_creation/",
            &[
                "microsoft-windows-sysmon/operational | microsoft-windows-sysmon | 1 | plain",
                "security | microsoft-windows-security-auditing | 4688 | process_creation",
            ],
        ),
    ] {
        assert_eq!(meaning(&taxonomy, logsource), want, "{logsource}");
    }
    // A later file replaces an earlier one's.
    let mut taxonomy = taxonomy;
    assert_eq!(add(&mut taxonomy, "x: {service: security, sources: 'WinEventLog:X'}\n"), []);
    assert_eq!(meaning(&taxonomy, "windows//security"), ["x | * | * | plain"]);
}

#[test]
fn what_has_no_meaning_is_told_and_left_out() {
    let rest = "ok: {service: ok, sources: 'WinEventLog:OK'}\n";
    let circle =
        "a: {category: a, rewrite: {category: b}}\nb: {category: b, rewrite: {category: a}}\n";
    let many: String =
        (0..1001).map(|n| format!("a{n}: {{category: a, sources: 'WinEventLog:{n}'}}\n")).collect();
    let views: String = (0..201)
        .map(|n| {
            format!(
                "a{n}: {{service: s{n}, sources: 'WinEventLog:X', fieldmappings: {{a: f{n}}}}}\n"
            )
        })
        .collect();
    for (entries, line, want, count) in [
        ("a: {category: a, rewrite: {service: none}}\n", 2, "rewritten to */*/none, of which", 1),
        (
            "a: {product: linux, category: a, rewrite: {service: x}}\n",
            2,
            "to linux/*/x, of which",
            1,
        ),
        ("a: {category: a, rewrite: {category: a}}\n", 2, "goes round in a circle", 1),
        (circle, 2, "goes round in a circle", 2),
        ("a: {service: a, sources: 'WinEventLog:A*'}\n", 2, "wildcards in a channel", 1),
        ("a: {service: a, sources: 'Security'}\n", 2, "the source `Security` is not understood", 1),
        ("a: {service: a, sources: 'WinEventLog: '}\n", 2, "`WinEventLog: ` is not understood", 1),
        (
            "a:\n  service: a\n  sources: 'WinEventLog:A'\n  conditions:\n    EventID: many\n",
            6,
            "the event id `many` is no number",
            1,
        ),
        (
            "a:\n  service: a\n  sources: 'WinEventLog:A'\n  conditions:\n    eventid: [1, null]\n",
            6,
            "no event is without an event id",
            1,
        ),
        (
            "a: {category: a, conditions: {EventID: 1}, rewrite: {service: b}}\n\
             b: {service: b, conditions: {EventID: 2}, sources: 'WinEventLog:B'}\n",
            2,
            "its conditions leave no event id",
            1,
        ),
        (
            "a:\n  service: a\n  sources: 'WinEventLog:A'\n  fieldmappings:\n    EventID: Id\n",
            6,
            "`EventID` is the same in every event and cannot be mapped",
            1,
        ),
        (
            "a: {category: a, rewrite: {service: b}, fieldmappings: {kind: x}}\n\
             b: {service: b, conditions: {Kind: 2}, sources: 'WinEventLog:B'}\n",
            2,
            "`Kind` is mapped, and a condition of what is rewritten to asks for it",
            1,
        ),
        (&many, 1002, "for more than 1000 kinds of events", 1),
        (&views, 202, "more than 200 different mappings", 1),
    ] {
        let mut taxonomy = Taxonomy::without_log_sources();
        let faults = add(&mut taxonomy, &format!("{entries}{rest}"));
        assert_eq!(faults.len(), count, "{faults:?}");
        let said = faults[0].to_string();
        assert!(said.starts_with(&format!("{line}:1: `a")) && said.contains(want), "{said}");
        assert!(said.ends_with("; it is left out") && faults[0].entry_lost, "{said}");
        assert_eq!(meaning(&taxonomy, "windows//ok"), ["ok | * | * | plain"], "{entries}");
    }
    // What could not be replaced stays.
    let mut taxonomy = Taxonomy::builtin(Options::default());
    assert_eq!(add(&mut taxonomy, "a: {service: sysmon, sources: 'x'}\n").len(), 1);
    assert_ne!(meaning(&taxonomy, "windows//sysmon"), ["unknown"]);
}

/// Where a name of a rule leads in an event with these EventData fields.
fn leads(taxonomy: &Taxonomy, view: View, name: &str, fields: &[&str]) -> Vec<String> {
    let leaf = |name: &&str| Leaf {
        section: Section::EventData,
        kind: LeafKind::Named,
        name: (*name).into(),
    };
    let layout = Layout::new(fields.iter().map(leaf).collect());
    let key = EventKey { channel: "x", provider: "x", event_id: Some(1) };
    let found = taxonomy.resolve(view, name, &key, &layout).into_iter();
    let name = |source| match source {
        FieldSource::Leaf(id) => layout.leaves()[id.index()].name.to_string(),
        FieldSource::Derived { transform, .. } => format!("{transform:?}"),
    };
    found.map(name).collect()
}

fn view_of(taxonomy: &Taxonomy, logsource: &str, nth: usize) -> View {
    match taxonomy.sources(&log_source(logsource), Dialect::Sigma) {
        Mapping::Sources(sources) => sources[nth].view,
        other => panic!("{other:?}"),
    }
}

#[test]
fn mapped_names_lead_to_the_event_s() {
    let taxonomy = only(ENTRIES);
    let audit = view_of(&taxonomy, "windows/start/", 1);
    let malware = view_of(&taxonomy, "windows/malware/", 0);
    assert_ne!(audit, malware);
    for (view, name, fields, want) in [
        (audit, "Image", &["NewProcessName", "Image"][..], &["NewProcessName"][..]),
        (audit, "image", &["NewProcessName"], &["NewProcessName"]),
        (audit, "Image", &["Image"], &[]),
        (audit, "CommandLine", &["CommandLine"], &["CommandLine"]),
        (audit, "NewProcessName", &["NewProcessName"], &["NewProcessName"]),
        (malware, "Signature", &["Threat Name"], &["Threat Name"]),
        (malware, "Filename", &["Path"], &["Path"]),
        // What the tables know of every event holds all the same.
        (malware, "md5", &["Hashes"], &["Hash(Md5)"]),
        (View::Plain, "Image", &["NewProcessName", "Image"], &["Image"]),
    ] {
        assert_eq!(leads(&taxonomy, view, name, fields), want, "{name} in {fields:?}");
    }
    assert_eq!(taxonomy.canonical_view(audit, "IMAGE"), audit);
    assert_eq!(taxonomy.canonical_view(audit, "Signature"), View::Plain);
    assert_eq!(taxonomy.views().count(), View::ALL.len() + 2);

    // Mappings of a rewrite and of what it is rewritten to; several names are all the field.
    let taxonomy = only(
        "a: {category: a, rewrite: {category: b}, fieldmappings: {One: Two, Both: [Two, Four]}}\n\
         b: {category: b, rewrite: {service: c}, fieldmappings: {Two: Three, Five: Six}}\n\
         c: {service: c, sources: 'WinEventLog:C'}\n",
    );
    let view = view_of(&taxonomy, "windows/a/", 0);
    let fields = ["One", "Two", "Three", "Four", "Five", "Six"];
    for (name, want) in [
        ("One", &["Three"][..]),
        ("Two", &["Three"]),
        ("Both", &["Three", "Four"]),
        ("Five", &["Six"]),
        ("Four", &["Four"]),
    ] {
        assert_eq!(leads(&taxonomy, view, name, &fields), want, "{name}");
    }

    // Upon a view of the tables: what is not mapped is read as there.
    let taxonomy = beside(
        "x: {category: x, rewrite: {category: process_creation}, fieldmappings: {Exe: Image}}\n",
    );
    let view = view_of(&taxonomy, "windows/x/", 1);
    assert_eq!(taxonomy.canonical_view(view, "Exe"), view);
    assert_eq!(taxonomy.canonical_view(view, "ParentProcessId"), view);
    assert_eq!(taxonomy.canonical_view(view, "CommandLine"), View::Plain);
    let security = "microsoft-windows-security-auditing";
    let key = EventKey { channel: "security", provider: security, event_id: Some(4688) };
    let leaf =
        |name: &str| Leaf { section: Section::EventData, kind: LeafKind::Named, name: name.into() };
    let layout = Layout::new(vec![leaf("NewProcessName"), leaf("ProcessId")]);
    let first = |name: &str| taxonomy.resolve(view, name, &key, &layout).into_iter().next();
    let leaf_of = |n: u16| Some(FieldSource::Leaf(harrier::event::LeafId(n)));
    assert_eq!(first("Exe"), leaf_of(0));
    assert_eq!(first("Image"), leaf_of(0));
    assert_eq!(first("ParentProcessId"), leaf_of(1));
    assert_eq!(first("CommandLine"), None);
}

fn rule(title: &str, logsource: &str, test: &str) -> String {
    format!(
        "title: {title}\nlogsource: {logsource}\ndetection:\n  s:\n    {test}\n  condition: s\n---\n"
    )
}

#[test]
fn rules_match_by_a_file_s_log_sources() {
    let yaml = [
        rule("start", "{product: windows, category: start}", r"Image|endswith: '\evil.exe'"),
        rule("gone", "{product: windows, category: gone}", r"TargetObject|contains: '\Run'"),
        rule("malware", "{category: malware}", "Signature|contains: mimi"),
        rule("own name", "{product: windows, service: audit}", r"Image|endswith: '\evil.exe'"),
        rule("linux", "{product: linux, category: start}", r"Image|endswith: '\evil.exe'"),
        rule("not in the file", "{category: process_creation}", r"Image|endswith: '\evil.exe'"),
    ]
    .concat();
    let set = RuleSet::compile(support::rules(&yaml).rules, only(ENTRIES));
    let applicable: Vec<bool> =
        set.rules().map(|(id, _)| *set.applicability(id) == Applicability::Applicable).collect();
    assert_eq!(applicable, [true, true, true, true, false, false]);
    let agent = |id| Made::new("Contoso-Agent/Operational", "Contoso-Agent", id);
    let audit = |id| Made::new("Audit", "anyone", id);
    let evil = r"C:\evil.exe";
    let key = r"HKLM\x\Run\y";
    for (event, want) in [
        (agent(1).data("Image", evil), &["start"][..]),
        (agent(2).data("Image", evil), &[]),
        (agent(1).data("NewProcessName", evil), &[]),
        (audit(4688).data("NewProcessName", evil), &["start"]),
        (audit(4688).data("Image", evil), &["own name"]),
        (audit(4689).data("NewProcessName", evil), &[]),
        (Made::sysmon(1).data("Image", evil), &[]),
        (agent(12).data("TargetObject", key).data("EventType", "DeleteKey"), &["gone"]),
        (agent(12).data("TargetObject", key).data("EventType", "deletevalue"), &["gone"]),
        (agent(12).data("TargetObject", key).data("EventType", "CreateKey"), &[]),
        (agent(12).data("TargetObject", key), &[]),
        (Made::new("Guard", "Guard", 1116).data("Threat Name", "a Mimikatz"), &["malware"]),
        (Made::new("Guard", "Guard", 1117).data("Threat Name", "a Mimikatz"), &[]),
    ] {
        // By both ways of scanning, which must agree.
        assert_eq!(support::titles(&set, &event), want, "{event:?}");
    }
}

/// SigmaHQ's own file has nothing that is not understood, and says what the tables say, but for what
/// is listed here.
#[test]
fn sigmahq_s_file_is_understood() {
    let Some(corpora) = support::corpora("sigmahq_s_file_is_understood") else { return };
    let bytes = std::fs::read(corpora.join("sigma/tests/thor.yml")).expect("thor.yml");
    let file = read_log_sources(&bytes).expect("thor.yml");
    assert_eq!(file.faults, []);
    assert!(file.entries.len() > 90, "{}", file.entries.len());
    let mut thor = Taxonomy::without_log_sources();
    assert_eq!(thor.add(&file), []);
    let builtin = Taxonomy::builtin(Options::default());
    let mut compared = 0;
    for entry in &file.entries {
        let ours = builtin.sources(&entry.logsource, Dialect::Sigma);
        let theirs = thor.sources(&entry.logsource, Dialect::Sigma);
        match (&theirs, &ours) {
            (Mapping::Sources(theirs), Mapping::Sources(ours)) => {
                // Each event of theirs is one of ours.
                for source in theirs {
                    for channel in &source.channels {
                        for id in source.event_ids.clone().unwrap_or_else(|| vec![7]) {
                            let providers = ours.iter().flat_map(|s| &s.providers);
                            let providers: Vec<&str> =
                                providers.map(String::as_str).chain(["any"]).collect();
                            let known = providers.iter().any(|provider| {
                                let key = EventKey { channel, provider, event_id: Some(id) };
                                ours.iter().any(|s| s.admits(&key))
                            });
                            assert!(known, "{}: {channel} {id}", entry.logsource);
                            compared += 1;
                        }
                    }
                }
            }
            (Mapping::NeverInEvtx { .. }, Mapping::NeverInEvtx { .. } | Mapping::OtherProduct) => {}
            (Mapping::NeverInEvtx { .. }, Mapping::Unknown) => {
                let category = entry.logsource.category.as_deref();
                assert!(matches!(category, Some("logfile" | "appliance")), "{}", entry.logsource);
            }
            other => panic!("{}: {other:?}", entry.logsource),
        }
    }
    assert!(compared > 100, "{compared}");
}
