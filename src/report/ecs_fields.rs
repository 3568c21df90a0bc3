//! Which field of which event is which field of the Elastic Common Schema.
//!
//! Only what is certain: a row names provider and, where a field's meaning depends on it, the events.
//! A value of the wrong type is left out; it stands under `winlog.event_data` all the same.
//!
//! Source of facts: the manifests of Microsoft-Windows-Sysmon and
//! Microsoft-Windows-Security-Auditing; the field sets `process`, `user`, `source`, `destination`,
//! `file`, `registry`, `dll`, `dns`, `network` and `hash` of the schema.

use super::Hit;
use super::account::said;
use super::ecs::{Document, Leaf};
use std::net::IpAddr;

const SYSMON: &str = "Microsoft-Windows-Sysmon";
const SECURITY: &str = "Microsoft-Windows-Security-Auditing";

/// The type of a field, and what has to be done to the event's text.
#[derive(Clone, Copy)]
enum Type {
    Keyword,
    /// Lower case.
    Lower,
    /// Decimal or hexadecimal.
    Long,
    Ip,
    /// An executable's path, whose last part is a name.
    Executable(&'static str),
    /// `domain\name`
    Account,
}

use Type::{Account, Executable, Ip, Keyword, Long, Lower};

/// Events, the event's field, the schema's field, its type.
type Row = (&'static [&'static str], &'static str, &'static str, Type);

/// All events.
const ANY: &[&str] = &[];

const SYSMON_ROWS: &[Row] = &[
    (ANY, "Image", "process.executable", Executable("process.name")),
    (ANY, "ProcessId", "process.pid", Long),
    (ANY, "ProcessGuid", "process.entity_id", Keyword),
    (ANY, "SourceImage", "process.executable", Executable("process.name")),
    (ANY, "SourceProcessId", "process.pid", Long),
    (ANY, "SourceProcessGuid", "process.entity_id", Keyword),
    (ANY, "SourceProcessGUID", "process.entity_id", Keyword),
    (&["1"], "CommandLine", "process.command_line", Keyword),
    (&["1"], "CurrentDirectory", "process.working_directory", Keyword),
    (&["1"], "OriginalFileName", "process.pe.original_file_name", Keyword),
    (&["1"], "ParentImage", "process.parent.executable", Executable("process.parent.name")),
    (&["1"], "ParentProcessId", "process.parent.pid", Long),
    (&["1"], "ParentProcessGuid", "process.parent.entity_id", Keyword),
    (&["1"], "ParentCommandLine", "process.parent.command_line", Keyword),
    (ANY, "User", "user.name", Account),
    (ANY, "SourceUser", "user.name", Account),
    (&["3"], "SourceIp", "source.ip", Ip),
    (&["3"], "SourcePort", "source.port", Long),
    (&["3"], "SourceHostname", "source.domain", Keyword),
    (&["3"], "DestinationIp", "destination.ip", Ip),
    (&["3"], "DestinationPort", "destination.port", Long),
    (&["3"], "DestinationHostname", "destination.domain", Keyword),
    (&["3"], "Protocol", "network.transport", Lower),
    (&["7"], "ImageLoaded", "dll.path", Executable("dll.name")),
    (&["2", "11", "15", "23", "26"], "TargetFilename", "file.path", Executable("file.name")),
    (&["12", "13", "14"], "TargetObject", "registry.path", Keyword),
    (&["22"], "QueryName", "dns.question.name", Keyword),
];

const SECURITY_ROWS: &[Row] = &[
    (&["4688"], "NewProcessName", "process.executable", Executable("process.name")),
    (&["4688"], "NewProcessId", "process.pid", Long),
    (&["4688"], "CommandLine", "process.command_line", Keyword),
    (
        &["4688"],
        "ParentProcessName",
        "process.parent.executable",
        Executable("process.parent.name"),
    ),
    (&["4688"], "ProcessId", "process.parent.pid", Long),
    (ANY, "ProcessName", "process.executable", Executable("process.name")),
    (&["4624", "4625", "4648", "4656", "4657", "4663", "4689"], "ProcessId", "process.pid", Long),
    (&["4657"], "ObjectName", "registry.path", Keyword),
    // Who logs on, or tries to; elsewhere who does what is told of.
    (LOGONS, "TargetUserName", "user.name", Keyword),
    (LOGONS, "TargetDomainName", "user.domain", Keyword),
    (LOGONS, "TargetUserSid", "user.id", Keyword),
    (ANY, "SubjectUserName", "user.name", Keyword),
    (ANY, "SubjectDomainName", "user.domain", Keyword),
    (ANY, "SubjectUserSid", "user.id", Keyword),
    (ANY, "IpAddress", "source.ip", Ip),
    (ANY, "IpPort", "source.port", Long),
    (&["4624", "4625"], "WorkstationName", "source.domain", Keyword),
    (&["5156", "5157"], "Application", "process.executable", Executable("process.name")),
    (&["5156", "5157"], "ProcessID", "process.pid", Long),
    (&["5156", "5157"], "SourceAddress", "source.ip", Ip),
    (&["5156", "5157"], "SourcePort", "source.port", Long),
    (&["5156", "5157"], "DestAddress", "destination.ip", Ip),
    (&["5156", "5157"], "DestPort", "destination.port", Long),
];

/// Logons, logoffs, and tickets.
const LOGONS: &[&str] = &["4624", "4625", "4634", "4647", "4768", "4769", "4771", "4776"];

/// Provider, events, `event.category`, `event.type`.
const CATEGORIES: &[(&str, &[&str], &str, &str)] = &[
    (SYSMON, &["1"], "process", "start"),
    (SYSMON, &["5"], "process", "end"),
    (SYSMON, &["3"], "network", "connection"),
    (SYSMON, &["7"], "library", "start"),
    (SYSMON, &["2"], "file", "change"),
    (SYSMON, &["11", "15"], "file", "creation"),
    (SYSMON, &["23", "26"], "file", "deletion"),
    (SYSMON, &["12", "13", "14"], "registry", "change"),
    (SYSMON, &["22"], "network", "protocol"),
    (SECURITY, &["4688"], "process", "start"),
    (SECURITY, &["4689"], "process", "end"),
    (SECURITY, &["4624", "4625", "4768", "4769", "4771", "4776"], "authentication", "start"),
    (SECURITY, &["4634", "4647"], "authentication", "end"),
    (SECURITY, &["4657"], "registry", "change"),
    (SECURITY, &["5156"], "network", "allowed"),
    (SECURITY, &["5157"], "network", "denied"),
    (SECURITY, &["4720"], "iam", "creation"),
    (SECURITY, &["4722", "4725", "4738", "4781"], "iam", "change"),
    (SECURITY, &["4726"], "iam", "deletion"),
];

/// Sysmon's `Hashes`, by the event: whose they are.
const HASHES: &[(&str, &str, &str)] = &[
    ("1", "MD5", "process.hash.md5"),
    ("1", "SHA1", "process.hash.sha1"),
    ("1", "SHA256", "process.hash.sha256"),
    ("1", "IMPHASH", "process.pe.imphash"),
    ("7", "MD5", "dll.hash.md5"),
    ("7", "SHA1", "dll.hash.sha1"),
    ("7", "SHA256", "dll.hash.sha256"),
    ("7", "IMPHASH", "dll.pe.imphash"),
];

/// What an event is about, and what happened to it.
pub(super) fn category(hit: &Hit<'_>) -> (Option<&'static str>, Option<&'static str>) {
    let (Some(provider), Some(id)) = (hit.event.provider, hit.event.event_id) else {
        return (None, None);
    };
    let row = CATEGORIES.iter().find(|(p, ids, ..)| *p == provider && ids.contains(&id));
    row.map_or((None, None), |(_, _, category, kind)| (Some(*category), Some(*kind)))
}

/// Whether an attempt succeeded, where the event is about just that.
pub(super) fn outcome(hit: &Hit<'_>) -> Option<&'static str> {
    match (hit.event.provider?, hit.event.event_id?) {
        (SECURITY, "4624" | "4634" | "4647") => Some("success"),
        (SECURITY, "4625" | "4771") => Some("failure"),
        _ => None,
    }
}

/// Puts what an event says into a document.
pub(super) struct Put<'d, 'h>(pub(super) &'d mut Document<'h>);

/// Puts all that is known of an event.
pub(super) fn put<'h>(hit: &Hit<'h>, document: &mut Put<'_, 'h>) {
    let (Some(provider), Some(id)) = (hit.event.provider, hit.event.event_id) else { return };
    let rows = match provider {
        SYSMON => SYSMON_ROWS,
        SECURITY => SECURITY_ROWS,
        _ => return,
    };
    for (ids, field, path, kind) in rows {
        let applies = ids.is_empty() || ids.contains(&id);
        if let Some(value) = said(hit, field).filter(|_| applies) {
            document.value(path, *kind, value);
        }
    }
    if provider == SYSMON {
        for hash in said(hit, "Hashes").into_iter().flat_map(|hashes| hashes.split(',')) {
            let Some((name, value)) = hash.split_once('=') else { continue };
            let row = HASHES.iter().find(|(event, kind, _)| *event == id && *kind == name);
            if let Some((_, _, path)) = row {
                document.0.text(path, Some(value.to_ascii_lowercase()));
            }
        }
    }
}

impl<'h> Put<'_, 'h> {
    fn value(&mut self, path: &'static str, kind: Type, value: &'h str) {
        match kind {
            Keyword => self.0.text(path, Some(value)),
            Lower => self.0.text(path, Some(value.to_ascii_lowercase())),
            Long => {
                if let Some(n) = long(value) {
                    self.0.put(path, Leaf::Integer(n));
                }
            }
            Ip => {
                if let Ok(ip) = value.parse::<IpAddr>() {
                    self.0.text(path, Some(ip.to_canonical().to_string()));
                }
            }
            Executable(name) => {
                self.0.text(path, Some(value));
                self.0.text(name, value.rsplit(['\\', '/']).next());
            }
            Account => match value.split_once('\\') {
                Some((domain, user)) => {
                    self.0.text("user.domain", Some(domain));
                    self.0.text(path, Some(user));
                }
                None => self.0.text(path, Some(value)),
            },
        }
    }
}

/// A number, decimal or as Windows shows hexadecimal ones.
fn long(value: &str) -> Option<i64> {
    match value.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16).ok(),
        None => value.parse().ok(),
    }
}
