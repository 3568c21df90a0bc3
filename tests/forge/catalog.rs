//! The ready-made events: each is written, read back and compared with its fact sheet.

use std::collections::BTreeSet;

use forge::catalog::schemas;
use forge::defender::Threat;
use forge::mix::{Channel, Mix, write};
use forge::security::{Origin, RegistryOperation, Scope};
use forge::sysmon::{Endpoint, RegistryAction};
use forge::{
    Account, Body, Event, FileTime, Guid, LogWriter, Options, Process, Value, application,
    defender, operational, powershell, security, sysmon, system,
};

use super::{START, parser, round_trip, xml};

/// One event of every constructor.
fn every_event() -> Vec<Event> {
    let at = FileTime::literal(START);
    let p = Process::new(r"C:\Tools\a.exe", "a.exe -x", r"CORP\a.fischer");
    let q = Process::system(r"C:\Windows\System32\svchost.exe", "svchost.exe -k netsvcs");
    let (user, origin) = (p.account(), Origin::remote("10.1.2.3", 50_000, "WS-1"));
    let (from, to) = (Endpoint::new("10.1.2.3", 50_000), Endpoint::new("::1", 443).named("h"));
    let threat = Threat {
        name: "Trojan:Win32/A".into(),
        category: "Trojan".into(),
        process: "a.exe".into(),
        user: r"CORP\a".into(),
        path: r"file:_C:\a.exe".into(),
    };
    let mut events = vec![
        sysmon::process_create(at, &p, &q),
        sysmon::file_time(at, &p, "f", at.plus_seconds(5)),
        sysmon::network(at, &p, true, &from, &to),
        sysmon::process_terminated(at, &p),
        sysmon::driver_load(at, "d.sys", Some("Contoso")),
        sysmon::image_load(at, &p, "l.dll", None),
        sysmon::remote_thread(at, &p, &q),
        sysmon::process_access(at, &p, &q, 0x1410, "trace"),
        sysmon::file_create(at, &p, "f"),
        sysmon::registry(at, &p, RegistryAction::DeleteKey, "k"),
        sysmon::registry_set(at, &p, "k", "DWORD (0x00000001)"),
        sysmon::registry_rename(at, &p, "k", "n"),
        sysmon::stream(at, &p, "f:s", "c"),
        sysmon::pipe_created(at, &p, r"\pipe"),
        sysmon::pipe_connected(at, &p, r"\pipe"),
        sysmon::wmi_filter(at, r"CORP\a", "f", "SELECT * FROM x"),
        sysmon::wmi_consumer(at, r"CORP\a", "c", "Command Line", r"C:\a.exe"),
        sysmon::wmi_binding(at, r"CORP\a", "Consumer.Name=\"c\"", "__EventFilter.Name=\"f\""),
        sysmon::dns(at, &p, "n", "r"),
        sysmon::file_delete(at, &p, "f.exe"),
        sysmon::tampering(at, &p, "Image is replaced"),
        sysmon::file_delete_detected(at, &p, "f"),
        sysmon::error(at, "QUEUE", "lost"),
        security::logon(at, &Account::nobody(), &user, 3, &origin, &q),
        security::logon_failed(at, &user, 2, &Origin::local()),
        security::logoff(at, &user, 3),
        security::explicit_logon(at, &user, &user, "S", &p),
        security::handle_requested(at, &p, "Process", "lsass", 0x1410),
        security::registry_value(at, &p, RegistryOperation::Created, ("k", "v"), ("-", "n")),
        security::directory_access(at, &user, &["1131f6aa-9c07-11d1-f79f-00c04fc2dcd2"]),
        security::object_access(at, &p, "File", "f", 0x2),
        security::special_privileges(at, &user),
        security::process_create(at, &p, &q),
        security::process_exit(at, &p),
        security::service_installed(at, &user, "s", "f"),
        security::task_created(at, &user, r"\t", security::task_xml("a", "b", "c & <d>")),
        security::task_deleted(at, &user, r"\t", ""),
        security::audit_policy_changed(at, &user),
        security::user_created(at, &user, &Account::new("CORP", "new")),
        security::admin_added(at, &user, &Account::new("CORP", "new")),
        security::member_added(at, &user, &user, Scope::Global, &Account::new("CORP", "g")),
        security::member_added(at, &user, &user, Scope::Universal, &Account::new("CORP", "g")),
        security::tgt_requested(at, &user, &origin),
        security::service_ticket(at, &user, "S$", 0x17, &origin),
        security::preauth_failed(at, &user, &origin),
        security::ntlm_validated(at, &user, "WS-1"),
        security::share_accessed(at, &user, r"\\*\C$", &origin),
        security::share_file(at, &user, (r"\\*\C$", "f"), 0x2, &origin),
        security::connection(at, &p, true, ("10.1.2.3", 50_000), ("10.1.2.4", 53)),
        security::logging_stopped(at),
        security::log_cleared(at, &user),
        system::service_installed(at, &user, "s", "i"),
        system::start_type_changed(at, &user, ("S", "s"), ("auto start", "disabled")),
        system::service_state(at, "Windows Update", "wuauserv", "running"),
        system::restart(at, "H", r"CORP\a"),
        system::log_cleared(at, &user, "System"),
        system::log_started(at),
        application::crash(at, r"C:\a.exe", r"C:\b.dll"),
        application::crash_reported(at, "a.exe"),
        application::product_installed(at, "P", "1.0", "M"),
        application::database(at, 326, "NTDS", r"C:\ntds.dit"),
        application::backup_catalog_deleted(at),
        powershell::module(at, &user, "powershell.exe", "Get-Date", "none"),
        powershell::script_block(at, &user, "Get-Date", "", true),
        powershell::engine_started(at, "powershell.exe"),
        powershell::engine_stopped(at, "powershell.exe"),
        powershell::provider_started(at, "powershell.exe", "Registry"),
        powershell::pipeline(at, r"CORP\a", "powershell.exe", "Get-Date -Format o"),
        defender::found(at, &threat),
        defender::acted(at, &threat),
        defender::blocked(at, Guid::NIL, "p", "f", "u"),
        defender::realtime_disabled(at),
        defender::configured(at, "old", "new"),
        defender::spyware_scan_disabled(at),
        defender::virus_scan_disabled(at),
        operational::task_registered(at, r"\t", r"CORP\a"),
        operational::action_started(at, r"\t", "a.exe"),
        operational::wmi_provider_started(at, "CIMWin32", "cimwin32.dll"),
        operational::wmi_consumer_bound(at, "f", "c", "p"),
        operational::session_logon(at, r"CORP\a", 2, "10.1.2.3"),
        operational::session_disconnected(at, r"CORP\a", 2, "10.1.2.3"),
        operational::session_reconnected(at, r"CORP\a", 2, "10.1.2.3"),
        operational::transfer_started(at, "job", "https://www.example.com/f", 4096),
    ];
    for event in &mut events {
        event.computer = "WS-0417".into();
    }
    events
}

/// Checks the fields against the fact sheet of the event, if it has one, and returns its key.
fn check_types(event: &Event) -> Option<(&'static str, u16)> {
    let schema = schemas().find(|schema| {
        (schema.publisher.name, schema.channel, schema.event_id)
            == (&*event.provider.name, &*event.channel, event.event_id)
    })?;
    let found: Vec<(String, u8)> = match &event.body {
        Body::Data { fields, .. } => {
            fields.iter().map(|(name, value)| (name.to_string(), value.declared_type())).collect()
        }
        Body::User(data) => {
            let leaf = |leaf: &forge::UserNode| {
                let kind = leaf.value.as_ref().map(Value::declared_type);
                (leaf.name.to_string(), kind.unwrap())
            };
            data.children.iter().map(leaf).collect()
        }
        other => panic!("event {} has the body {other:?}", event.event_id),
    };
    let wanted: Vec<(String, u8)> =
        schema.fields.iter().map(|&(name, kind)| (name.to_owned(), kind as u8)).collect();
    assert_eq!(found, wanted, "event {} of {}", event.event_id, event.channel);
    Some((schema.channel, schema.event_id))
}

#[test]
fn every_ready_made_event_reads_back_as_its_fact_sheet_says() {
    let events = every_event();
    round_trip(Options::new(), &events);
    let made: BTreeSet<(&str, u16)> = events.iter().filter_map(check_types).collect();
    let known: BTreeSet<(&str, u16)> = schemas().map(|s| (s.channel, s.event_id)).collect();
    assert_eq!(made, known);
}

#[test]
fn fields_can_be_set_and_read() {
    let at = FileTime::literal(START);
    let p = Process::system("a", "b");
    let event = sysmon::file_create(at, &p, "f").set("TargetFilename", "g").set("Extra", 7_u32);
    assert_eq!(event.get("TargetFilename"), Some(&"g".into()));
    assert_eq!(event.get("Extra"), Some(&7_u32.into()));
    assert_eq!(event.get("Missing"), None);
    let event = security::log_cleared(at, &p.account()).set("SubjectUserName", "x");
    assert_eq!(event.get("SubjectUserName"), Some(&"x".into()));
    round_trip(Options::new(), &[event]);
}

#[test]
fn twenty_megabytes_of_the_mix_read_back_whole() {
    let mut out = std::io::Cursor::new(Vec::new());
    let written = write(&mut out, &mut Mix::new(7), 20_000_000).unwrap();
    let log = out.into_inner();
    assert_eq!(log.len() as u64, written.bytes);
    assert!((20_000_000..20_100_000).contains(&log.len()), "{}", log.len());
    let mut events = Mix::new(7);
    let mut records = 0;
    for (record, id) in parser(&log).records().zip(1..) {
        let record = record.unwrap();
        let event = events.next_event();
        assert_eq!(record.event_record_id, id);
        let (_, text) = record.data.split_once('\n').unwrap();
        assert_eq!(text.trim_end(), xml(&event, id));
        check_types(&event);
        records = id;
    }
    assert_eq!(records, written.records);
    assert!(records > 10_000, "{records}");
}

#[test]
fn the_mix_follows_from_its_seed() {
    let take = |seed| Mix::new(seed).take(500).collect::<Vec<Event>>();
    assert_eq!(take(3), take(3));
    assert_ne!(take(3), take(4));
    let times: Vec<FileTime> = take(3).iter().map(|event| event.time).collect();
    assert!(times.is_sorted());
}

#[test]
fn the_mix_has_every_channel_and_keeps_to_one_when_asked() {
    let file = |event: &Event| event.channel.replace('/', "%4") + ".evtx";
    let mixed: BTreeSet<String> = Mix::new(1).take(5000).map(|event| file(&event)).collect();
    assert_eq!(mixed, Channel::ALL.map(|channel| channel.file_name().to_owned()).into());
    for channel in Channel::ALL {
        let events: Vec<Event> = Mix::new(1).channel(channel).host("H").take(300).collect();
        assert!(events.iter().all(|event| file(event) == channel.file_name()));
        assert!(events.iter().all(|event| event.computer == "H"));
        let mut log = LogWriter::in_memory(Options::new());
        events.iter().for_each(|event| {
            log.push(event).unwrap();
        });
        assert_eq!(parser(&log.into_bytes().unwrap()).records().count(), 300);
    }
}
