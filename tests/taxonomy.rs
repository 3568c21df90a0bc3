//! Log sources and fields, through the public interface: what the tables say of each kind of event,
//! that nothing of the reference tables is missing, and that the rules of the corpora find their
//! events.

use harrier::event::{Layout, Leaf, LeafId, LeafKind, Section, Texts};
use harrier::sigma::rule::{Dialect, LogSource};
use harrier::taxonomy::{
    EventKey, FieldSource, Inputs, Mapping, Options, Source, Taxonomy, Tier, View,
};
use harrier::utf16::folded;
use std::path::PathBuf;
use std::sync::Arc;

const SECURITY: &str = "Microsoft-Windows-Security-Auditing";
const SYSMON: (&str, &str) = ("Microsoft-Windows-Sysmon/Operational", "Microsoft-Windows-Sysmon");

fn taxonomy() -> Taxonomy {
    Taxonomy::builtin(Options { optional_sources: true })
}

/// An [`EventKey`] that owns its texts.
struct Key {
    channel: String,
    provider: String,
    event_id: Option<u32>,
}

impl Key {
    fn get(&self) -> EventKey<'_> {
        let Key { channel, provider, event_id } = self;
        EventKey { channel, provider, event_id: *event_id }
    }
}

fn key(channel: &str, provider: &str, event_id: u32) -> Key {
    Key { channel: folded(channel), provider: folded(provider), event_id: Some(event_id) }
}

/// A leaf as tests write one: `S/x` System, `E/x` EventData, `U/x` UserData, with `@` before the
/// name an attribute; `Data` an unnamed value, `Binary` the binary ones.
fn leaf(spec: &str) -> Leaf {
    let (section, name) = match spec.split_once('/') {
        Some(("S", name)) => (Section::System, name),
        Some(("E", name)) => (Section::EventData, name),
        Some(("U", name)) => (Section::UserData, name),
        _ => (Section::EventData, spec),
    };
    let (kind, name) = match (name.strip_prefix('@'), spec) {
        (Some(name), _) => (LeafKind::Attribute, name),
        (_, "Data") => (LeafKind::Unnamed, name),
        (_, "Binary") => (LeafKind::Binary, name),
        _ => (LeafKind::Named, name),
    };
    Leaf { section, kind, name: name.into() }
}

fn layout<'s>(specs: impl IntoIterator<Item = &'s str>) -> Arc<Layout> {
    Layout::new(specs.into_iter().map(leaf).collect())
}

/// The leaves that sources draw on.
fn leaves(sources: &[FieldSource]) -> Vec<LeafId> {
    let of = |source: &FieldSource| match source {
        FieldSource::Leaf(leaf) => vec![*leaf],
        FieldSource::Derived { inputs, .. } => inputs.to_vec(),
    };
    sources.iter().flat_map(of).collect()
}

/// The values of a field in an event, as the engine would gather them. A leaf that is given several
/// times in a row is one with several values.
fn values(view: View, name: &str, key: &Key, event: &[(&str, &str)]) -> Vec<String> {
    let mut specs: Vec<&str> = event.iter().map(|(spec, _)| *spec).collect();
    specs.dedup();
    let layout = layout(specs);
    let mut of_leaf: Vec<Vec<&str>> = vec![Vec::new(); layout.leaves().len()];
    let mut at = 0;
    for (n, (spec, value)) in event.iter().enumerate() {
        if n > 0 && event[n - 1].0 != *spec {
            at += 1;
        }
        of_leaf[at].push(value);
    }
    let mut out = Texts::new();
    for source in taxonomy().resolve(view, name, &key.get(), &layout) {
        match source {
            FieldSource::Leaf(leaf) => {
                of_leaf[leaf.index()].iter().for_each(|t| out.push(t.as_bytes()));
            }
            FieldSource::Derived { transform, inputs } => {
                let (mut texts, mut ends) = (Texts::new(), Vec::new());
                for input in &inputs {
                    of_leaf[input.index()].iter().for_each(|t| texts.push(t.as_bytes()));
                    ends.push(texts.len());
                }
                transform.apply(&Inputs::new(&texts, &ends), &mut out);
            }
        }
    }
    out.range(0, out.len()).map(|t| String::from_utf8(t.to_vec()).unwrap()).collect()
}

fn log_source(product: &str, category: &str, service: &str) -> LogSource {
    let part = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    LogSource { product: part(product), category: part(category), service: part(service) }
}

fn sources(taxonomy: &Taxonomy, category: &str, service: &str) -> Vec<Source> {
    let logsource = log_source("windows", category, service);
    match taxonomy.sources(&logsource, Dialect::Sigma) {
        Mapping::Sources(sources) => sources,
        other => panic!("{logsource}: {other:?}"),
    }
}

fn admitted(sources: &[Source], key: &Key) -> Vec<View> {
    sources.iter().filter(|s| s.admits(&key.get())).map(|s| s.view).collect()
}

// Log sources

#[test]
fn a_source_is_a_channel_or_some_events_of_a_provider() {
    let taxonomy = taxonomy();
    let case = |category: &str, service: &str, event: (&str, &str, u32), want: &[View]| {
        let got = admitted(&sources(&taxonomy, category, service), &key(event.0, event.1, event.2));
        assert_eq!(got, want, "{category}/{service} {event:?}");
    };
    let (plain, process) = (&[View::Plain][..], &[View::ProcessCreation][..]);
    case("process_creation", "", (SYSMON.0, SYSMON.1, 1), plain);
    case("process_creation", "", ("Security", SECURITY, 4688), process);
    case("process_creation", "", ("security", SECURITY, 4688), process);
    case("process_creation", "", ("Security", SECURITY, 4689), &[]);
    case("process_creation", "", ("Security", SECURITY, 1), &[]);
    // Many providers have an event 1.
    case("process_creation", "", ("System", "Microsoft-Windows-Kernel-General", 1), &[]);
    case("process_creation", "", (SYSMON.0, "Microsoft-Windows-Kernel-General", 1), &[]);
    case("process_creation", "", (SYSMON.0, "", 1), plain);
    // A whole channel, whoever writes to it.
    case("", "security", ("Security", "Microsoft-Windows-Eventlog", 1102), plain);
    case("", "security", ("SECURITY", "anyone", 1), plain);
    case("", "security", ("System", SECURITY, 4624), &[]);
    case("", "system", ("System", "Service Control Manager", 7045), plain);
    case("", "smbclient-security", ("Microsoft-Windows-SMBClient/Security", "x", 31001), plain);
    case("", "dns-client", ("Microsoft-Windows-DNS-Client/Operational", "x", 3008), plain);
    case("", "vhdmp", ("Microsoft-Windows-VHDMP-Operational", "x", 1), plain);
    // Without a channel, by provider.
    case("process_creation", "", ("", SYSMON.1, 1), plain);
    case("process_creation", "", ("", "", 1), &[]);
    case("", "security", ("", SECURITY, 4624), plain);
    case("", "security", ("", "Microsoft-Windows-RPC", 6), &[]);
    case("", "system", ("", "Microsoft-Windows-RPC", 6), &[]);
    // The product alone is everything.
    case("", "", ("", "Microsoft-Windows-RPC", 6), plain);
    case("", "", ("Any", "", 0), plain);

    let no_id = Key { event_id: None, ..key("Security", SECURITY, 0) };
    assert_eq!(admitted(&sources(&taxonomy, "", "security"), &no_id), plain);
    assert_eq!(admitted(&sources(&taxonomy, "process_creation", ""), &no_id), &[]);
}

#[test]
fn registry_categories_are_told_apart_by_what_was_done() {
    let taxonomy = taxonomy();
    let conditions = |category: &str, key: &Key| -> Vec<String> {
        let sources = sources(&taxonomy, category, "");
        let admitting = sources.iter().filter(|s| s.admits(&key.get()));
        let text = |s: &Source| match &s.conditions[..] {
            [] => "any".to_owned(),
            [c] => format!("{}={}{}", c.field, c.values.join(","), ["", "?"][c.or_absent as usize]),
            more => panic!("{more:?}"),
        };
        admitting.map(|s| format!("{} {}", s.view.as_str(), text(s))).collect()
    };
    let sysmon = |id| key(SYSMON.0, SYSMON.1, id);
    let security = key("Security", SECURITY, 4657);
    for (category, key, want) in [
        ("registry_add", &sysmon(12), "plain EventType=createkey?"),
        ("registry_add", &security, "registry OperationType=%%1904"),
        ("registry_delete", &sysmon(12), "plain EventType=deletekey,deletevalue?"),
        ("registry_delete", &sysmon(14), "plain EventType=renamekey,renamevalue"),
        ("registry_delete", &security, "registry OperationType=%%1906"),
        ("registry_set", &sysmon(13), "plain any"),
        ("registry_set", &security, "registry OperationType=%%1904,%%1905"),
        ("registry_event", &sysmon(12), "plain any"),
        ("registry_event", &sysmon(13), "plain any"),
        ("registry_event", &sysmon(14), "plain any"),
        ("registry_event", &security, "registry any"),
        ("registry_rename", &sysmon(14), "plain any"),
    ] {
        assert_eq!(conditions(category, key), [want], "{category}");
    }
    assert!(conditions("registry_set", &sysmon(12)).is_empty());
    assert!(conditions("registry_delete", &sysmon(13)).is_empty());
}

#[test]
fn tiers_are_asked_for() {
    let logsource = log_source("windows", "network_connection", "");
    let ids = |optional_sources| {
        let taxonomy = Taxonomy::builtin(Options { optional_sources });
        let Mapping::Sources(sources) = taxonomy.sources(&logsource, Dialect::Sigma) else {
            panic!("no sources")
        };
        sources.iter().flat_map(|s| s.event_ids.clone().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(ids(false), [3, 5156]);
    assert_eq!(ids(true), [3, 5156, 5157]);
    assert_eq!(Options::default(), Options { optional_sources: false });
    let delete = sources(&Taxonomy::builtin(Options::default()), "registry_delete", "");
    assert!(delete.iter().any(|s| s.tier == Tier::Extended), "extended-on is on by default");
}

#[test]
fn category_product_and_service_narrow_each_other() {
    let taxonomy = taxonomy();
    let of = |product, category, service| {
        taxonomy.sources(&log_source(product, category, service), Dialect::Sigma)
    };
    let known = of("windows", "process_creation", "");
    assert_eq!(of("", "process_creation", ""), known, "no product is taken for Windows");
    assert_eq!(of("linux", "process_creation", ""), Mapping::OtherProduct);
    assert_eq!(of("zeek", "", "http"), Mapping::OtherProduct);
    assert_eq!(of("windows", "", "no-such"), Mapping::Unknown);
    assert_eq!(of("windows", "no_such", ""), Mapping::Unknown);
    assert_eq!(of("windows", "process_creation", "powershell"), Mapping::Unknown);
    assert_eq!(of("windows", "process_creation", "no-such"), Mapping::Unknown);
    assert_eq!(of("", "antivirus", ""), of("windows", "antivirus", "windefend"));

    let within = |service: &str| -> Vec<View> {
        sources(&taxonomy, "process_creation", service).iter().map(|s| s.view).collect()
    };
    assert_eq!(within("sysmon"), [View::Plain]);
    assert_eq!(within("security"), [View::ProcessCreation]);
    for category in ["file_access", "file_rename", "proxy", "webserver"] {
        assert!(
            matches!(of("", category, ""), Mapping::NeverInEvtx { reason } if !reason.is_empty())
        );
    }
}

#[test]
fn a_hayabusa_rule_is_not_held_to_its_log_source() {
    let taxonomy = taxonomy();
    for logsource in [log_source("windows", "", "security"), log_source("windows", "x", "y")] {
        let mapping = taxonomy.sources(&logsource, Dialect::Hayabusa);
        assert_eq!(mapping, Mapping::Sources(vec![Source::everything(View::Hayabusa)]));
    }
    let everything = Source::everything(View::Hayabusa);
    assert!(everything.is_everything() && everything.admits(&key("OAlerts", "x", 300).get()));
    assert!(everything.admits(&EventKey { channel: "", provider: "", event_id: None }));
}

// Fields

/// The places that answer to a name, for a layout of these leaves; the event is nothing special.
fn places(view: View, name: &str, specs: &[&str]) -> Vec<String> {
    let layout = layout(specs.iter().copied());
    let plain = key("Any", "Any", 1);
    let found = leaves(&taxonomy().resolve(view, name, &plain.get(), &layout));
    found.iter().map(|id| specs[id.index()].to_owned()).collect()
}

#[test]
fn names_are_looked_for_in_order() {
    for (name, specs, want) in [
        // the body before System, except for System's own names
        ("Channel", &["S/Channel", "U/Channel"][..], &["U/Channel"][..]),
        ("Channel", &["S/Channel"], &["S/Channel"]),
        ("Version", &["S/Version", "E/Version"], &["E/Version"]),
        ("EventID", &["S/EventID", "E/EventID"], &["S/EventID"]),
        ("Computer", &["S/Computer", "U/Computer"], &["S/Computer"]),
        ("Provider_Name", &["S/Provider_Name", "E/Provider_Name"], &["S/Provider_Name"]),
        ("ProviderName", &["S/Provider_Name", "U/ProviderName"], &["U/ProviderName"]),
        ("ProviderName", &["S/Provider_Name"], &["S/Provider_Name"]),
        ("ProcessId", &["S/Execution_ProcessID", "E/ProcessId"], &["E/ProcessId"]),
        ("ProcessId", &["S/Execution_ProcessID", "E/processId"], &["E/processId"]),
        ("ProcessId", &["S/Execution_ProcessID"], &["S/Execution_ProcessID"]),
        // EventData before UserData
        ("User", &["U/User", "E/User"], &["E/User"]),
        ("User", &["U/User"], &["U/User"]),
        // exact, then without case, then without blanks and underscores
        ("Name", &["E/name", "E/Name"], &["E/Name"]),
        ("Name", &["E/name", "U/Name"], &["U/Name"]),
        ("SamAccountName", &["E/SAMAccountName"], &["E/SAMAccountName"]),
        ("SourceProcessGuid", &["E/SourceProcessGUID"], &["E/SourceProcessGUID"]),
        ("ThreatName", &["E/Threat Name"], &["E/Threat Name"]),
        ("ThreatName", &["E/Threat Name", "E/threatname"], &["E/threatname"]),
        ("Feature_Name", &["E/Feature Name"], &["E/Feature Name"]),
        ("Threat Name", &["E/ThreatName"], &["E/ThreatName"]),
        ("SecurityUserID", &["S/Security_UserID"], &["S/Security_UserID"]),
        ("ExecutionProcessID", &["S/Execution_ProcessID"], &["S/Execution_ProcessID"]),
        // elements before attributes
        ("Name", &["E/@Name", "E/Name"], &["E/Name"]),
        ("subjectName", &["U/@subjectName"], &["U/@subjectName"]),
        // all of a name
        ("param", &["E/param", "E/other", "E/param"], &["E/param", "E/param"]),
        ("Data", &["Data", "Data", "E/Data"], &["Data", "Data", "E/Data"]),
        ("Binary", &["Data", "Binary"], &["Binary"]),
        // System's other names
        ("ComputerName", &["S/Computer"], &["S/Computer"]),
        ("ComputerName", &["S/Computer", "E/ComputerName"], &["E/ComputerName"]),
        ("Source", &["S/Provider_Name"], &["S/Provider_Name"]),
        ("UserID", &["S/Security_UserID"], &["S/Security_UserID"]),
        ("Guid", &["S/Provider_Guid"], &["S/Provider_Guid"]),
        ("SystemTime", &["S/TimeCreated_SystemTime"], &["S/TimeCreated_SystemTime"]),
        ("UtcTime", &["S/TimeCreated_SystemTime", "E/UtcTime"], &["E/UtcTime"]),
        // nothing
        ("Image", &["S/EventID", "E/ImageLoaded"], &[]),
        ("EventID", &["E/EventID"], &[]),
        ("", &["Data"], &[]),
    ] {
        assert_eq!(places(View::Plain, name, specs), want, "{name} in {specs:?}");
    }
}

#[test]
fn hayabusa_s_names_hold_where_no_field_has_them() {
    for (name, specs, want) in [
        ("Channel", &["S/Channel", "U/Channel"][..], &["S/Channel"][..]),
        ("LogFileClearedChannel", &["S/Channel", "U/Channel"], &["U/Channel"]),
        ("UserDataUser", &["U/User"], &["U/User"]),
        ("UserDataUser", &["U/User", "U/UserDataUser"], &["U/UserDataUser"]),
        ("Imphash", &["E/Hashes"], &["E/Hashes", "E/Hashes"]),
        ("Image", &["E/Image"], &["E/Image"]),
    ] {
        assert_eq!(places(View::Hayabusa, name, specs), want, "{name} in {specs:?}");
    }
    assert!(places(View::Plain, "UserDataUser", &["U/User"]).is_empty());
}

#[test]
fn a_view_matters_only_for_its_own_names() {
    let taxonomy = taxonomy();
    for (view, name, want) in [
        (View::ProcessCreation, "Image", View::ProcessCreation),
        (View::ProcessCreation, "image", View::ProcessCreation),
        (View::ProcessCreation, "OriginalFileName", View::ProcessCreation),
        (View::ProcessCreation, "CommandLine", View::Plain),
        (View::Registry, "EventID", View::Plain),
        (View::Hayabusa, "Channel", View::Hayabusa),
        (View::Plain, "Image", View::Plain),
    ] {
        assert_eq!(taxonomy.canonical_view(view, name), want, "{view:?} {name}");
    }
}

#[test]
fn security_4688_is_a_process_creation() {
    let event = &[
        ("S/Execution_ProcessID", "4"),
        ("E/SubjectUserSid", "S-1-5-18"),
        ("E/SubjectUserName", "PC01$"),
        ("E/SubjectDomainName", "EXAMPLE"),
        ("E/SubjectLogonId", "0x3e7"),
        ("E/NewProcessId", "0x9d4"),
        ("E/NewProcessName", r"C:\Windows\System32\cmd.exe"),
        ("E/TokenElevationType", "%%1936"),
        ("E/ProcessId", "0x38c"),
        ("E/CommandLine", ""),
        ("E/TargetUserSid", "S-1-0-0"),
        ("E/TargetUserName", "-"),
        ("E/TargetDomainName", "-"),
        ("E/TargetLogonId", "0x0"),
        ("E/ParentProcessName", r"C:\Windows\explorer.exe"),
        ("E/MandatoryLabel", "S-1-16-16384"),
    ][..];
    let before_windows_10 = &event[..10];
    let key = key("Security", SECURITY, 4688);
    let system: &[&str] = &[r"EXAMPLE\PC01$", r"NT AUTHORITY\SYSTEM"];
    for (name, event, want) in [
        ("Image", event, &[r"C:\Windows\System32\cmd.exe"][..]),
        ("ParentImage", event, &[r"C:\Windows\explorer.exe"]),
        ("ParentImage", before_windows_10, &[]),
        ("CommandLine", event, &[""]),
        ("CommandLine", &event[..9], &[]),
        ("ProcessId", event, &["0x9d4", "2516"]),
        ("processid", event, &["0x9d4", "2516"]),
        ("ParentProcessId", event, &["0x38c", "908"]),
        ("User", event, system),
        ("User", before_windows_10, system),
        ("LogonId", event, &["0x3e7"]),
        ("LogonId", before_windows_10, &["0x3e7"]),
        ("IntegrityLevel", event, &["S-1-16-16384", "System"]),
        ("NewProcessName", event, &[r"C:\Windows\System32\cmd.exe"]),
        ("OriginalFileName", event, &[]),
        ("ParentCommandLine", event, &[]),
        ("Hashes", event, &[]),
    ] {
        assert_eq!(values(View::ProcessCreation, name, &key, event), want, "{name}");
    }
    // A rule of service security speaks of the same event in its own names.
    assert_eq!(values(View::Plain, "ProcessId", &key, event), ["0x38c"]);
    assert!(values(View::Plain, "Image", &key, event).is_empty());
}

#[test]
fn security_4657_is_a_registry_event() {
    let event = &[
        ("E/SubjectUserSid", "S-1-5-21-1-2-3-1001"),
        ("E/SubjectUserName", "bob"),
        ("E/SubjectDomainName", "PC"),
        ("E/ObjectName", r"\REGISTRY\MACHINE\SOFTWARE\Microsoft\AMSI\Providers\{2781761E}"),
        ("E/ObjectValueName", "-"),
        ("E/OperationType", "%%1905"),
        ("E/NewValueType", "%%1876"),
        ("E/NewValue", "1"),
        ("E/ProcessId", "0x4"),
        ("E/ProcessName", r"C:\Windows\regedit.exe"),
    ][..];
    let key = key("Security", SECURITY, 4657);
    let of = |name: &str| values(View::Registry, name, &key, event);
    let path = r"HKLM\SOFTWARE\Microsoft\AMSI\Providers\{2781761E}";
    assert_eq!(of("TargetObject"), [format!(r"{path}\(Default)"), path.to_owned()]);
    assert_eq!(of("Details"), ["1", "DWORD (0x00000001)"]);
    assert_eq!(of("EventType"), ["SetValue"]);
    assert_eq!(of("OperationType"), ["%%1905"]);
    assert_eq!(of("Image"), [r"C:\Windows\regedit.exe"]);
    assert_eq!(of("User"), [r"PC\bob"]);
    assert_eq!(of("ProcessId"), ["0x4", "4"]);
    assert!(values(View::Plain, "TargetObject", &key, event).is_empty());
}

#[test]
fn security_5156_and_4689_are_sysmon_s_events_too() {
    let event = &[
        ("E/ProcessID", "1588"),
        ("E/Application", r"\device\harddiskvolume1\windows\system32\svchost.exe"),
        ("E/Direction", "%%14593"),
        ("E/SourceAddress", "10.0.2.17"),
        ("E/SourcePort", "49283"),
        ("E/DestAddress", "10.0.2.15"),
        ("E/DestPort", "88"),
        ("E/Protocol", "6"),
        ("E/RemoteUserID", "S-1-0-0"),
    ][..];
    let images = [event[1].1, r"C:\windows\system32\svchost.exe"];
    for id in [5156, 5157] {
        let key = key("Security", SECURITY, id);
        let of = |name: &str| values(View::NetworkConnection, name, &key, event);
        assert_eq!(of("Image"), images);
        assert_eq!(of("SourceIp"), ["10.0.2.17"]);
        assert_eq!(of("SourcePort"), ["49283"]);
        assert_eq!(of("DestinationIp"), ["10.0.2.15"]);
        assert_eq!(of("DestinationPort"), ["88"]);
        assert_eq!(of("Protocol"), ["6", "tcp"]);
        assert_eq!(of("Initiated"), ["true"]);
        assert_eq!(of("ProcessId"), ["1588"]);
        assert!(of("User").is_empty() && of("DestinationHostname").is_empty());
    }

    let event = &[
        ("E/SubjectUserSid", "S-1-5-19"),
        ("E/SubjectUserName", "LOCAL SERVICE"),
        ("E/SubjectDomainName", "NT AUTHORITY"),
        ("E/ProcessId", "0x10"),
        ("E/ProcessName", r"C:\a.exe"),
    ][..];
    let ended = key("Security", SECURITY, 4689);
    let of = |name: &str| values(View::ProcessTermination, name, &ended, event);
    assert_eq!(of("Image"), [r"C:\a.exe"]);
    assert_eq!(of("ProcessId"), ["0x10", "16"]);
    assert_eq!(of("User"), [r"NT AUTHORITY\LOCAL SERVICE"; 2]);
}

#[test]
fn values_of_some_events_have_a_second_form() {
    let kerberos = key("Security", SECURITY, 4769);
    let mapped = &[("E/IpAddress", "::ffff:10.0.2.17")][..];
    assert_eq!(
        values(View::Plain, "IpAddress", &kerberos, mapped),
        ["::ffff:10.0.2.17", "10.0.2.17"]
    );
    let logon = key("Security", SECURITY, 5140);
    assert_eq!(values(View::Plain, "IpAddress", &logon, mapped), ["::ffff:10.0.2.17"]);

    let directory = key("Security", SECURITY, 4662);
    let object = &[("E/ObjectType", "%{19195a5b-6da0-11d0-afd3-00c04fd930c9}")][..];
    let both = [object[0].1, "19195a5b-6da0-11d0-afd3-00c04fd930c9"];
    assert_eq!(values(View::Plain, "ObjectType", &directory, object), both);

    let any = key("System", "x", 1);
    assert_eq!(values(View::Plain, "Level", &any, &[("S/Level", "2")]), ["2", "Error"]);
    let own = &[("S/Level", "4"), ("E/Level", "2")][..];
    assert_eq!(values(View::Plain, "Level", &any, own), ["2"], "the body's is no event level");
    // What looks odd stays as it is: rules test it so.
    for (name, text) in [
        ("LogonProcessName", "NtLmSsp "),
        ("AccessList", "%%4416 %%4417"),
        ("SubcategoryGuid", "{0cce9210-69ae-11d9-bed3-505054503030}"),
        ("Destination", r#" "C:\\Windows\\x.exe""#),
        ("Initiated", "true"),
        ("GrantedAccess", "0x1410"),
        ("ServerAddress", "02000000C0A8007F"),
    ] {
        let spec = format!("E/{name}");
        let event = [(spec.as_str(), text)];
        assert_eq!(values(View::Plain, name, &any, &event), [text]);
        assert_eq!(values(View::Hayabusa, name, &any, &event), [text]);
    }
}

#[test]
fn sysmon_s_hashes_are_fields() {
    let text = "SHA1=A1,MD5=B2,SHA256=C3,IMPHASH=D4";
    let process = key(SYSMON.0, SYSMON.1, 1);
    let event = &[("E/Hashes", text)][..];
    for (name, want) in [("md5", "B2"), ("sha1", "A1"), ("sha256", "C3"), ("Imphash", "D4")] {
        assert_eq!(values(View::Plain, name, &process, event), [want]);
        let own = [("E/Hashes", text), (&*format!("E/{name}"), "own")];
        assert_eq!(values(View::Plain, name, &process, &own), ["own"]);
    }
    assert_eq!(values(View::Hayabusa, "Imphash", &process, event), [text, "D4"]);
    assert_eq!(values(View::Plain, "Hashes", &process, event), [text]);
    let stream = key(SYSMON.0, SYSMON.1, 15);
    let event = &[("E/Hash", "MD5=B2")][..];
    assert_eq!(values(View::Plain, "Hashes", &stream, event), ["MD5=B2"]);
    assert_eq!(values(View::Plain, "md5", &stream, event), ["B2"]);
    let other = &[("E/Hash", "B2")][..];
    assert!(values(View::Plain, "md5", &key("Other", "x", 1), other).is_empty());
}

#[test]
fn powershell_s_blocks_are_fields() {
    let classic = |id| key("Windows PowerShell", "PowerShell", id);
    let block = "\tNewEngineState=Available\r\n\tHostName=ConsoleHost\r\n\
        \tHostApplication=powershell.exe -enc x=\r\n\tEngineVersion=2.0\r\n";
    // One unnamed leaf with three values, as a string array makes it, or three leaves.
    let event = &[("Data", "Available"), ("Data", "None"), ("Data", block)][..];
    for id in [400, 403, 600] {
        let of = |name: &str| values(View::Plain, name, &classic(id), event);
        assert_eq!(of("HostApplication"), ["powershell.exe -enc x="]);
        assert_eq!(of("EngineVersion"), ["2.0"]);
        assert!(of("ScriptName").is_empty());
        assert_eq!(of("Data"), ["Available", "None", block], "and the whole is there still");
    }
    let apart = &[("Data", "a"), ("E/x", ""), ("Data", "b"), ("E/y", ""), ("Data", block)][..];
    assert_eq!(values(View::Plain, "HostName", &classic(400), apart), ["ConsoleHost"]);
    let own = &[("Data", "a"), ("Data", "b"), ("Data", block), ("E/HostName", "own")][..];
    assert_eq!(values(View::Plain, "HostName", &classic(400), own), ["own"]);
    let pipeline = "\tDetailSequence=1\r\n\tUserId=PC\\bob\r\n\tHostName=ConsoleHost\r\n";
    let event = &[("Data", "\tHostName=forged"), ("Data", pipeline), ("Data", "x")][..];
    assert_eq!(values(View::Plain, "HostName", &classic(800), event), ["ConsoleHost"]);
    assert_eq!(values(View::Plain, "UserId", &classic(800), event), [r"PC\bob"]);
    assert!(values(View::Plain, "HostName", &classic(501), event).is_empty());

    let module = key("PowerShellCore/Operational", "PowerShellCore", 4103);
    let context = "        Host Name = ConsoleHost\r\n        Host Application = pwsh\r\n";
    let event = &[("E/ContextInfo", context), ("E/UserData", ""), ("E/Payload", "p")][..];
    assert_eq!(values(View::Plain, "HostApplication", &module, event), ["pwsh"]);
    assert_eq!(values(View::Plain, "ContextInfo", &module, event), [context]);
    assert_eq!(values(View::Plain, "UserData", &module, event), [""]);
}

#[test]
fn other_events_have_their_fields() {
    let defender =
        ("Microsoft-Windows-Windows Defender/Operational", "Microsoft-Windows-Windows Defender");
    let defender = key(defender.0, defender.1, 1116);
    let event = &[("E/Threat Name", "Trojan:X"), ("E/Path", r"file:_C:\a.ps1; file:_C:\b")][..];
    let of = |name: &str| values(View::Antivirus, name, &defender, event);
    assert_eq!(of("Signature"), ["Trojan:X"]);
    assert_eq!(of("Filename"), [event[1].1, r"C:\a.ps1", r"C:\b"]);
    assert_eq!(values(View::Plain, "ThreatName", &defender, event), ["Trojan:X"]);
    assert!(values(View::Plain, "Signature", &defender, event).is_empty());

    let wmi =
        key("Microsoft-Windows-WMI-Activity/Operational", "Microsoft-Windows-WMI-Activity", 5861);
    let event = &[("U/PossibleCause", "Binding EventFilter")][..];
    assert_eq!(values(View::WmiEvent, "Destination", &wmi, event), ["Binding EventFilter"]);
    assert!(values(View::Plain, "Destination", &wmi, event).is_empty());

    let crash = key("Application", "Application Error", 1000);
    let data = ["w3wp.exe", "10.0", "5d1", "clr.dll", "4.8", "5e1", "c0000005", "0x1", "0x2a0"];
    let event: Vec<_> = data.iter().map(|t| ("Data", *t)).collect();
    for (name, want) in [
        ("AppName", "w3wp.exe"),
        ("ModuleName", "clr.dll"),
        ("ExceptionCode", "c0000005"),
        ("ProcessId", "0x2a0"),
    ] {
        assert_eq!(values(View::Plain, name, &crash, &event), [want]);
    }
    assert!(values(View::Plain, "AppPath", &crash, &event).is_empty());
    let named = &[("E/AppName", "a"), ("E/ProcessId", "1")][..];
    assert_eq!(values(View::Plain, "AppName", &crash, named), ["a"]);
    assert_eq!(values(View::Plain, "ProcessId", &crash, named), ["1"]);

    let any = key("Application", "MsiInstaller", 1033);
    let event = &[("S/Level", "4"), ("Data", "AteraAgent"), ("Data", "1.0")][..];
    assert_eq!(values(View::Plain, "Message", &any, event), ["AteraAgent\n1.0"]);
    let event = &[("E/Message", "m"), ("E/x", "1.0")][..];
    assert_eq!(values(View::Plain, "Message", &any, event), ["m"]);
}

#[test]
fn titles_are_by_channel_id_and_provider() {
    let taxonomy = taxonomy();
    let title = |channel, provider, id| taxonomy.title(channel, provider, id);
    assert_eq!(title("Security", SECURITY, 4688), Some("Process created"));
    assert_eq!(title("security", "microsoft-windows-eventlog", 1102), Some("Security log cleared"));
    assert_eq!(title("System", "Service Control Manager", 7045), Some("Service installed"));
    assert_eq!(title("System", "someone else", 7045), None);
    assert_eq!(title("system", "microsoft-windows-kernel-general", 1), Some("System time changed"));
    assert_eq!(title("Security", SECURITY, 1), None);
    assert_eq!(title("", "", 4688), None);
}

// Against the reference tables and the corpora

/// `HARRIER_CORPORA`, or `../shared/corpora` beside the crate; says so if there is none.
fn corpora() -> Option<PathBuf> {
    crate::support::corpora(&crate::support::this_test())
}

/// The rows of a table of the reference, which is kept beside the corpora, as (column, cell).
fn reference(name: &str) -> Option<Vec<Vec<(String, String)>>> {
    let path = corpora()?.parent()?.join("reference").join(name);
    if !path.is_file() {
        let why = format!("no {}", path.display());
        crate::support::skipped(&crate::support::this_test(), &why);
        return None;
    }
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(path).unwrap();
    let columns = reader.headers().unwrap().clone();
    let row = |row: csv::StringRecord| {
        columns.iter().map(str::to_owned).zip(row.iter().map(str::to_owned)).collect()
    };
    Some(reader.records().map(|record| row(record.unwrap())).collect())
}

fn cell<'r>(row: &'r [(String, String)], column: &str) -> &'r str {
    &row.iter().find(|(name, _)| name == column).unwrap().1
}

fn folded_set(text: &str) -> Vec<String> {
    let mut items: Vec<String> =
        text.split(';').filter(|t| !matches!(*t, "" | "*")).map(folded).collect();
    items.sort();
    items
}

#[test]
fn every_reference_log_source_is_known() {
    let Some(rows) = reference("logsources.csv") else { return };
    let taxonomy = taxonomy();
    let none = |text: &str| if text == "(none)" { String::new() } else { text.to_owned() };
    for row in &rows {
        let of = |column| cell(row, column);
        let logsource = log_source(&none(of("product")), of("category"), of("service"));
        let sources = match taxonomy.sources(&logsource, Dialect::Sigma) {
            Mapping::Sources(sources) => sources,
            Mapping::NeverInEvtx { .. } if of("channels") == "(none in EVTX)" => continue,
            other => panic!("{logsource}: {other:?}"),
        };
        let sorted = |items: &[String]| {
            let mut items = items.to_vec();
            items.sort();
            items
        };
        let same = |source: &Source| {
            let ids = source.event_ids.as_ref().map_or(String::from("*"), |ids| {
                ids.iter().map(u32::to_string).collect::<Vec<_>>().join(";")
            });
            let condition = |c: &harrier::taxonomy::SourceCondition| {
                format!("{}={}{}", c.field, c.values.join(";"), ["", "?"][c.or_absent as usize])
            };
            let conditions: String = source.conditions.iter().map(condition).collect();
            let tier = match source.tier {
                Tier::Default => "default",
                Tier::Extended => "extended-on",
                Tier::Optional => "optional",
            };
            sorted(&source.channels) == folded_set(of("channels"))
                && sorted(&source.providers) == folded_set(of("providers"))
                && ids == of("event_ids")
                && folded(&conditions) == folded(of("extra_conditions"))
                && tier == of("tier")
        };
        assert!(sources.iter().any(same), "{logsource}: {row:?} is not in {sources:#?}");
    }
    assert!(rows.len() > 100, "{}", rows.len());
}

/// The leaves that a cell `raw_location` of the reference names, as [`leaf`] reads them, for a field
/// of this name; `None`: it names none.
fn locations(raw: &str, name: &str) -> Option<Vec<String>> {
    let quoted = |text: &str| text.split('"').nth(1).map(str::to_owned);
    let system = |rest: &str| {
        let rest = rest.trim_end_matches("/text()");
        format!("S/{}", rest.replace("/@", "_"))
    };
    let one = |spec: String| Some(vec![spec]);
    let names = |list: &[&str]| Some(list.iter().map(|n| format!("E/{n}")).collect());
    match raw {
        "EventData/Data[not(@Name)]" | "EventData/Data unnamed" => one("Data".into()),
        "EventData/Binary" => one("Binary".into()),
        "EventData/Hashes_sha1" => names(&["Hashes"]),
        "EventData/Hashes (Hash in 15)" => names(&["Hashes"]),
        "EventData/ObjectName + \\ + ObjectValueName" => names(&["ObjectName", "ObjectValueName"]),
        "EventData/NewValue by NewValueType" => names(&["NewValue", "NewValueType"]),
        "EventData/TargetLogonId if not 0x0 else SubjectLogonId" => {
            names(&["TargetLogonId", "SubjectLogonId"])
        }
        "EventData/SubjectDomainName + \\ + SubjectUserName" => {
            names(&["SubjectUserSid", "SubjectDomainName", "SubjectUserName"])
        }
        "EventData/Data[@Name]" | "EventData/*" | "EventData/* or UserData" | "same names" => {
            one(format!("E/{name}"))
        }
        "UserData/Operation_*/<name>" | "UserData/EventXML/<name>" | "UserData/<Root>/<name>" => {
            one(format!("U/{name}"))
        }
        _ if raw.starts_with("EventData/TargetDomainName + ") => names(&[
            "TargetUserSid",
            "TargetDomainName",
            "TargetUserName",
            "SubjectUserSid",
            "SubjectDomainName",
            "SubjectUserName",
        ]),
        _ if raw.starts_with("EventData/Data[") && raw.contains("unnamed") => one("Data".into()),
        _ if raw.starts_with("EventData/Data[@Name=\"") => one(format!("E/{}", quoted(raw)?)),
        _ if raw.starts_with("System/") => one(system(raw.strip_prefix("System/")?)),
        _ if raw.starts_with("EventData/") => one(format!("E/{}", raw.strip_prefix("EventData/")?)),
        _ if raw.starts_with("UserData/") => one(format!("U/{}", raw.rsplit('/').next()?)),
        _ => None,
    }
}

/// The view of a cell `scope` of the reference.
fn view_of(scope: &str) -> View {
    match scope {
        "category process_creation" => View::ProcessCreation,
        "category process_termination" => View::ProcessTermination,
        "category registry_*" => View::Registry,
        "category network_connection" => View::NetworkConnection,
        "category antivirus" => View::Antivirus,
        "category wmi_event" => View::WmiEvent,
        "hayabusa-rules alias" => View::Hayabusa,
        _ => View::Plain,
    }
}

/// Rows of the reference that speak of no single field; what they ask is tested above.
const GENERAL_ROWS: [&str; 8] = [
    "<Name>",
    "<NameWithoutSpaces>",
    "<Name_With_Underscores>",
    "<Name> (UserData)",
    "Message",
    "(keyword, no field)",
    "(typed values)",
    "<any %%nnnn value>",
];

#[test]
fn every_reference_field_is_known() {
    let Some(rows) = reference("fieldmap.csv") else { return };
    let taxonomy = taxonomy();
    let mut checked = 0;
    for row in &rows {
        let of = |column| cell(row, column);
        if GENERAL_ROWS.contains(&of("sigma_field")) {
            continue;
        }
        let first = |text: &str| {
            text.split(';')
                .next()
                .unwrap_or("")
                .replace('*', "")
                .split("..")
                .next()
                .unwrap()
                .to_owned()
        };
        let id = first(of("event_id")).parse().unwrap_or(1);
        let key = key(&first(of("channel")), &first(of("provider")), id);
        let (scope, raw) = (of("scope"), of("raw_location"));
        for name in of("sigma_field").split(';').map(str::trim) {
            if matches!(name, "..." | "keywords" | "Image etc." | "Param1..4") {
                continue;
            }
            if raw == "(absent)" {
                let name = name.split(" in ").next().unwrap();
                let all = layout(["S/Level", "E/NewProcessName", "E/ProcessId", "Data"]);
                let found = taxonomy.resolve(view_of(scope), name, &key.get(), &all);
                assert_eq!(found, [], "{scope}: {name} is absent");
                checked += 1;
                continue;
            }
            let own;
            let specs = match (scope, locations(raw, name)) {
                ("filter/taxonomy", _) => {
                    // The field's real name stands at the same place of the other list.
                    let at = of("sigma_field").split(';').position(|n| n == name).unwrap();
                    own = format!("E/{}", raw.split(';').nth(at).unwrap());
                    vec![own]
                }
                (_, Some(specs)) => specs,
                (_, None) => panic!("{scope}: {name}: location {raw:?} is not understood"),
            };
            let layout = layout(specs.iter().map(String::as_str).chain(["S/Level", "E/decoy"]));
            let found = leaves(&taxonomy.resolve(view_of(scope), name, &key.get(), &layout));
            for (spec, at) in specs.iter().zip(0..) {
                assert!(found.contains(&LeafId(at)), "{scope}: {name} does not find {spec}");
            }
            checked += 1;
        }
    }
    assert!(rows.len() > 150 && checked > 200, "{} rows, {checked} fields", rows.len());
}

/// The log source of each rule in a YAML file, read as plainly as rules write it.
fn log_sources(text: &str) -> Vec<LogSource> {
    let mut found = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.trim_end() != "logsource:" {
            continue;
        }
        let mut logsource = LogSource::default();
        while let Some(line) = lines.next_if(|l| l.starts_with(' ') || l.trim().is_empty()) {
            let Some((name, value)) = line.trim().split_once(':') else { continue };
            let value = value.split(" #").next().unwrap_or("").trim().trim_matches(['\'', '"']);
            let value = Some(value.to_lowercase());
            match name {
                "product" => logsource.product = value,
                "category" => logsource.category = value,
                "service" => logsource.service = value,
                _ => {}
            }
        }
        found.push(logsource);
    }
    found
}

#[test]
fn every_rule_of_the_corpora_has_a_known_log_source() {
    let Some(corpora) = corpora() else { return };
    let taxonomy = Taxonomy::builtin(Options::default());
    let (mut mapped, mut never, mut other) = (0, 0, 0);
    for entry in walkdir::WalkDir::new(corpora).sort_by_file_name() {
        let entry = entry.unwrap();
        if entry.path().extension().is_none_or(|e| e != "yml") {
            continue;
        }
        for logsource in log_sources(&std::fs::read_to_string(entry.path()).unwrap()) {
            match taxonomy.sources(&logsource, Dialect::Sigma) {
                Mapping::Sources(_) => mapped += 1,
                Mapping::NeverInEvtx { .. } => never += 1,
                Mapping::OtherProduct => other += 1,
                Mapping::Unknown => panic!("{}: {logsource}", entry.path().display()),
            }
        }
    }
    eprintln!("{mapped} mapped, {never} never in event logs, {other} of other products");
    assert!(mapped > 3000, "{mapped}");
    assert!(never > 10 && other > 50, "{never} {other}");
}
