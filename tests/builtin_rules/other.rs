//! Cases of rules on events that only one log has.

use forge::security::{Origin, Scope};
use forge::{
    Account, Event, FileTime, Process, Sid, application, defender, operational, security, sysmon,
    system,
};

/// A case: rule, whether it must hit, what happens, the event.
type Line = (&'static str, bool, &'static str, Event);

/// All of them, at one time.
pub fn events(at: FileTime) -> Vec<Line> {
    [
        antivirus(at),
        logs(at),
        services(at),
        consumers(at),
        lsass(at),
        directory(at),
        accounts(at),
        shares(at),
        logons(at),
        application_log(at),
    ]
    .concat()
}

pub fn keller() -> Account {
    Account::new("CORP", "m.keller")
}

fn machine() -> Account {
    Account::machine("SRV-FS02", "CORP")
}

pub fn origin() -> Origin {
    Origin::remote("10.20.4.17", 51_006, "WS-0417")
}

fn antivirus(at: FileTime) -> Vec<Line> {
    const OFF: &str = "win_defender_realtime_protection_disabled";
    const SCAN: &str = "win_defender_scanning_disabled";
    const EXCLUSION: &str = "win_defender_exclusion_added";
    let key = r"HKLM\SOFTWARE\Microsoft\Windows Defender";
    let configured = |value: &str| defender::configured(at, "", format!(r"{key}\{value}"));
    vec![
        (OFF, true, "5001", defender::realtime_disabled(at)),
        (OFF, true, "a setting", configured(r"Real-Time Protection\DisableScriptScanning = 0x1")),
        (OFF, false, "back", configured(r"Real-Time Protection\DisableScriptScanning = 0x0")),
        (OFF, false, "scanning off", defender::virus_scan_disabled(at)),
        (SCAN, true, "viruses", defender::virus_scan_disabled(at)),
        (SCAN, true, "spyware", defender::spyware_scan_disabled(at)),
        (SCAN, false, "real-time protection off", defender::realtime_disabled(at)),
        (EXCLUSION, true, "a folder", configured(r"Exclusions\Paths\C:\Windows\Temp = 0x0")),
        (EXCLUSION, false, "another setting", configured("SignatureUpdateCount = 0x5")),
        (
            EXCLUSION,
            false,
            "one is taken away",
            defender::configured(at, format!(r"{key}\Exclusions\Paths\C:\Windows = 0x0"), ""),
        ),
    ]
}

fn logs(at: FileTime) -> Vec<Line> {
    const AUDIT: &str = "win_security_audit_log_cleared";
    const OTHER: &str = "win_system_eventlog_cleared";
    const STOPPED: &str = "win_security_event_logging_stopped";
    const POLICY: &str = "win_security_audit_policy_reduced";
    let reduced = security::audit_policy_changed(at, &machine());
    vec![
        (AUDIT, true, "the Security log", security::log_cleared(at, &keller())),
        (AUDIT, false, "another log", system::log_cleared(at, &keller(), "Application")),
        (AUDIT, false, "stopped", security::logging_stopped(at)),
        (OTHER, true, "a log", system::log_cleared(at, &keller(), "Application")),
        (OTHER, false, "the Security log", security::log_cleared(at, &keller())),
        (OTHER, false, "the log service starts", system::log_started(at)),
        (STOPPED, true, "the service stops", security::logging_stopped(at)),
        (STOPPED, false, "cleared", security::log_cleared(at, &keller())),
        (POLICY, true, "successes and failures go", reduced.clone()),
        (POLICY, true, "failures go", reduced.clone().set("AuditPolicyChanges", "%%8450")),
        (POLICY, false, "both come", reduced.set("AuditPolicyChanges", "%%8449, %%8451")),
    ]
}

fn services(at: FileTime) -> Vec<Line> {
    const PSEXEC: &str = "win_system_service_install_psexesvc";
    const SYSTEM: &str = "win_system_service_install_suspicious_path";
    const SECURITY: &str = "win_security_service_install_suspicious_path";
    const DISABLED: &str = "win_system_security_service_disabled";
    let user = keller();
    let mut lines: Vec<Line> = Vec::new();
    for (hits, image) in [
        (true, r"C:\Windows\Temp\svcupd.exe -s"),
        (true, r"%COMSPEC% /c powershell -enc SQBFAFgA"),
        (true, r"\\127.0.0.1\ADMIN$\aBcDeFgH.exe"),
        (false, r"C:\Program Files\Contoso\agent.exe"),
        (false, r"C:\ProgramData\Microsoft\Windows Defender\Definition Updates\MpKslDrv.sys"),
        (false, r"C:\Windows\System32\svchost.exe -k netsvcs"),
    ] {
        lines.push((SYSTEM, hits, image, system::service_installed(at, &user, "a", image)));
        lines.push((SECURITY, hits, image, security::service_installed(at, &user, "a", image)));
    }
    let installed = |name, image| system::service_installed(at, &user, name, image);
    let started = |name: (&'static str, &'static str), from, to| {
        system::start_type_changed(at, &user, name, (from, to))
    };
    let defender = ("Microsoft Defender Antivirus Service", "WinDefend");
    lines.extend([
        (PSEXEC, true, "by name", installed("PSEXESVC", r"%SystemRoot%\PSEXESVC.exe")),
        (PSEXEC, true, "by program", installed("upd", r"C:\Windows\PSEXESVC.exe")),
        (PSEXEC, false, "another", installed("PSExport", r"C:\App\psexport.exe")),
        (DISABLED, true, "Defender", started(defender, "auto start", "disabled")),
        (DISABLED, true, "in German", started(defender, "Automatisch starten", "Deaktiviert")),
        (DISABLED, true, "the log", started(("Windows Event Log", "EventLog"), "a", "disabled")),
        (DISABLED, false, "back", started(defender, "disabled", "auto start")),
        (
            DISABLED,
            false,
            "another service",
            started(("Background Intelligent Transfer Service", "BITS"), "auto start", "disabled"),
        ),
    ]);
    lines
}

fn consumers(at: FileTime) -> Vec<Line> {
    const SYSMON: &str = "sysmon_wmi_command_or_script_consumer";
    const BOUND: &str = "win_wmi_command_or_script_consumer_bound";
    let user = r"CORP\m.keller";
    let consumer = |kind| sysmon::wmi_consumer(at, user, "Updater", kind, r"C:\a.exe");
    let bound = |consumer: &'static str| operational::wmi_consumer_bound(at, "f", consumer, "p");
    let binding =
        sysmon::wmi_binding(at, user, "CommandLineEventConsumer.Name=\"a\"", "__EventFilter");
    vec![
        (SYSMON, true, "a command", consumer("Command Line")),
        (SYSMON, true, "a script", consumer("Script")),
        (SYSMON, false, "a log file", consumer("Log File")),
        (SYSMON, false, "deleted", consumer("Script").set("Operation", "Deleted")),
        (SYSMON, false, "a filter", sysmon::wmi_filter(at, user, "f", "SELECT * FROM x")),
        (SYSMON, false, "a binding", binding),
        (BOUND, true, "a command", bound("CommandLineEventConsumer=\"Updater\"")),
        (BOUND, true, "a script", bound("ActiveScriptEventConsumer=\"Updater\"")),
        (BOUND, false, "Windows' own", bound("NTEventLogEventConsumer=\"SCM Event Log Consumer\"")),
        (BOUND, false, "a provider", operational::wmi_provider_started(at, "CIMWin32", "c.dll")),
    ]
}

fn lsass(at: FileTime) -> Vec<Line> {
    const READ: &str = "proc_access_win_lsass_memory_read";
    let tool = Process::new(r"C:\Users\Public\a.exe", "a", r"CORP\m.keller");
    let lsass = Process::system(r"C:\Windows\System32\lsass.exe", "lsass.exe");
    let other = Process::system(r"C:\Windows\System32\svchost.exe", "svchost.exe");
    let engine = r"C:\ProgramData\Microsoft\Windows Defender\Platform\4.18.26010.5-0\MsMpEng.exe";
    let engine = Process::system(engine, "MsMpEng.exe");
    let access =
        |from: &Process, to: &Process, mask| sysmon::process_access(at, from, to, mask, "");
    vec![
        (READ, true, "read", access(&tool, &lsass, 0x1010)),
        (READ, true, "everything", access(&tool, &lsass, 0x1f_ffff)),
        (READ, false, "its name and times only", access(&tool, &lsass, 0x1000)),
        (READ, false, "another process", access(&tool, &other, 0x1010)),
        (READ, false, "Defender's engine", access(&engine, &lsass, 0x1010)),
    ]
}

fn directory(at: FileTime) -> Vec<Line> {
    const DCSYNC: &str = "win_security_dcsync";
    const RC4: &str = "win_security_kerberos_rc4_service_ticket";
    let (changes, all) =
        ("1131f6aa-9c07-11d1-f79f-00c04fc2dcd2", "1131f6ad-9c07-11d1-f79f-00c04fc2dcd2");
    let used = |who: &Account, right| security::directory_access(at, who, &[right]);
    let sync = Account::new("CORP", "MSOL_4f0e8b5d1e7c");
    let ticket = |service: &'static str, encryption| {
        security::service_ticket(at, &keller(), service, encryption, &origin())
    };
    vec![
        (DCSYNC, true, "a user", used(&keller(), changes)),
        (DCSYNC, true, "all, secrets too", used(&keller(), all)),
        (DCSYNC, false, "a domain controller", used(&machine(), all)),
        (DCSYNC, false, "Entra Connect", used(&sync, all)),
        (DCSYNC, false, "another right", used(&keller(), "00299570-246d-11d0-a768-00aa006e0529")),
        (RC4, true, "a service account", ticket("svc-sql", 0x17)),
        (RC4, false, "a computer", ticket("SRV-FS02$", 0x17)),
        (RC4, false, "AES", ticket("svc-sql", 0x12)),
        (RC4, false, "the ticket service", ticket("krbtgt", 0x17)),
        (RC4, false, "it failed", ticket("svc-sql", 0x17).set("Status", forge::Value::Hex32(0x1b))),
    ]
}

fn accounts(at: FileTime) -> Vec<Line> {
    const CREATED: &str = "win_security_user_account_created";
    const ADDED: &str = "win_security_privileged_group_member_added";
    let group = |name: &'static str, sid: &'static str| Account {
        sid: Sid::literal(sid),
        ..Account::new("CORP", name)
    };
    let added =
        |scope, group: &Account| security::member_added(at, &machine(), &keller(), scope, group);
    let domain_admins = group("Domain Admins", "S-1-5-21-1587066498-1489273250-1035260531-512");
    let users = group("Domain Users", "S-1-5-21-1587066498-1489273250-1035260531-513");
    let enterprise = group("Enterprise Admins", "S-1-5-21-1587066498-1489273250-1035260531-519");
    let desktop = group("Remote Desktop Users", "S-1-5-32-555");
    vec![
        (CREATED, true, "a user", security::user_created(at, &machine(), &keller())),
        (CREATED, false, "a member", security::admin_added(at, &machine(), &keller())),
        (ADDED, true, "Administrators", security::admin_added(at, &machine(), &keller())),
        (ADDED, true, "Domain Admins", added(Scope::Global, &domain_admins)),
        (ADDED, true, "Enterprise Admins", added(Scope::Universal, &enterprise)),
        (ADDED, false, "Domain Users", added(Scope::Global, &users)),
        (ADDED, false, "Remote Desktop Users", added(Scope::Local, &desktop)),
        (ADDED, false, "a new user", security::user_created(at, &machine(), &keller())),
    ]
}

fn shares(at: FileTime) -> Vec<Line> {
    const WRITTEN: &str = "win_security_admin_share_program_written";
    const OPENED: &str = "win_security_admin_share_accessed";
    const PIPE: &str = "win_security_psexec_pipe_accessed";
    let file = |share: &'static str, name: &'static str, mask| {
        security::share_file(at, &keller(), (share, name), mask, &origin())
    };
    let opened = |who: &Account, share: &'static str, from: &Origin| {
        security::share_accessed(at, who, share, from)
    };
    let itself = Origin::remote("127.0.0.1", 50_000, "SRV-FS02");
    vec![
        (WRITTEN, true, "a program", file(r"\\*\ADMIN$", r"Temp\a.exe", 0x2)),
        (WRITTEN, true, "a script", file(r"\\*\C$", r"Windows\Temp\a.bat", 0x12_019f)),
        (WRITTEN, false, "it is read", file(r"\\*\ADMIN$", r"Temp\a.exe", 0x1)),
        (WRITTEN, false, "a text", file(r"\\*\C$", r"Users\a.docx", 0x2)),
        (WRITTEN, false, "a share of the office", file(r"\\*\Projects", "a.exe", 0x2)),
        (OPENED, true, "ADMIN$", opened(&keller(), r"\\*\ADMIN$", &origin())),
        (OPENED, true, "C$", opened(&keller(), r"\\*\C$", &origin())),
        (OPENED, false, "a share of the office", opened(&keller(), r"\\*\Projects", &origin())),
        (OPENED, false, "a computer", opened(&machine(), r"\\*\ADMIN$", &origin())),
        (OPENED, false, "from itself", opened(&keller(), r"\\*\ADMIN$", &itself)),
        (PIPE, true, "PsExec", file(r"\\*\IPC$", "PSEXESVC", 0x3)),
        (PIPE, true, "renamed", file(r"\\*\IPC$", "upd-WS-0417-9004-stdin", 0x3)),
        (PIPE, false, "another pipe", file(r"\\*\IPC$", "srvsvc", 0x3)),
        (PIPE, false, "a file", file(r"\\*\C$", "log-stdout", 0x3)),
    ]
}

fn logons(at: FileTime) -> Vec<Line> {
    const FAILED: &str = "win_security_logon_failed";
    const KERBEROS: &str = "win_security_kerberos_preauth_failed";
    const LOOPBACK: &str = "win_security_rdp_logon_from_loopback";
    const TASK: &str = "win_security_scheduled_task_suspicious_action";
    let services = Process::system(r"C:\Windows\System32\services.exe", "services.exe");
    let logon = |kind, ip: &'static str| {
        let from = Origin::remote(ip, 50_000, "WS-0417");
        security::logon(at, &machine(), &keller(), kind, &from, &services)
    };
    let task = |command, arguments| {
        let content = security::task_xml("a", command, arguments);
        security::task_created(at, &keller(), r"\Refresh", content)
    };
    vec![
        (FAILED, true, "a user", security::logon_failed(at, &keller(), 3, &origin())),
        (FAILED, false, "here", security::logon_failed(at, &keller(), 2, &Origin::local())),
        (FAILED, false, "a computer", security::logon_failed(at, &machine(), 3, &origin())),
        (FAILED, false, "no failure", logon(3, "10.20.4.17")),
        (KERBEROS, true, "a user", security::preauth_failed(at, &keller(), &origin())),
        (KERBEROS, false, "a computer", security::preauth_failed(at, &machine(), &origin())),
        (
            KERBEROS,
            false,
            "locked out",
            security::preauth_failed(at, &keller(), &origin())
                .set("Status", forge::Value::Hex32(0x12)),
        ),
        (LOOPBACK, true, "IPv4", logon(10, "127.0.0.1")),
        (LOOPBACK, true, "IPv6", logon(10, "::1")),
        (LOOPBACK, false, "another computer", logon(10, "10.20.4.17")),
        (LOOPBACK, false, "no Remote Desktop", logon(3, "127.0.0.1")),
        (TASK, true, "a script host", task(r"C:\Windows\System32\cmd.exe", "/C dir > a.tmp")),
        (TASK, true, "a temporary folder", task(r"C:\Windows\Temp\svcupd.exe", "-t")),
        (TASK, false, "a program", task(r"C:\Program Files\Contoso\agent.exe", "/update")),
        (
            TASK,
            false,
            "deleted",
            security::task_deleted(at, &keller(), r"\Refresh", "cmd.exe powershell"),
        ),
    ]
}

fn application_log(at: FileTime) -> Vec<Line> {
    const DATABASE: &str = "win_application_ntds_database_copied";
    const CATALOG: &str = "win_application_backup_catalog_deleted";
    let copy = r"C:\Temp\Active Directory\ntds.dit";
    let other = r"C:\Windows\System32\LogFiles\Sum\Svc.mdb";
    let deleted = application::backup_catalog_deleted(at);
    vec![
        (DATABASE, true, "created", application::database(at, 325, "NTDS", copy)),
        (DATABASE, true, "attached", application::database(at, 326, "NTDS", copy)),
        (DATABASE, false, "another one", application::database(at, 326, "svchost", other)),
        (CATALOG, true, "524", deleted.clone()),
        (CATALOG, false, "another event", Event { event_id: 4, ..deleted }),
    ]
}
