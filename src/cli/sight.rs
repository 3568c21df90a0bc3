//! What is missing for the rules that had nothing to look at, in words: `no Sysmon and no 4688`.
//!
//! That a rule did not hit says nothing if the evidence has none of the events that it speaks of. The
//! reader is told which events these are, as whoever collects logs calls them: by the log if there is
//! nothing of it at all, by event id if the log is there and such events are not in it.

use harrier::{
    engine::{Kinds, RuleSet},
    sigma::Rule,
    taxonomy::{Mapping, Source, Taxonomy},
};

/// So many channels or event ids of one source are named.
const NAMED: usize = 3;

/// The short name of Sysmon's log, and of Windows' own.
const SYSMON: &str = "Sysmon";
const SECURITY: &str = "Security";

/// What would have to be in the evidence for `rule` to see anything.
pub fn missing(rule: &Rule, set: &RuleSet, kinds: &Kinds) -> String {
    let taxonomy = set.taxonomy();
    let mut parts: Vec<String> = Vec::new();
    if let Mapping::Sources(sources) = taxonomy.sources(&rule.logsource, rule.dialect) {
        // Rules that look at every event name their channel themselves.
        let named = |source: &&Source| !source.is_everything() || kinds.iter().next().is_none();
        for source in sources.iter().filter(named) {
            for part in parts_of(source, taxonomy, kinds) {
                if !parts.contains(&part) {
                    parts.push(part);
                }
            }
        }
    }
    match parts.as_slice() {
        [] => "no log of the channels that they name".to_owned(),
        parts => parts.join(" and "),
    }
}

fn parts_of(source: &Source, taxonomy: &Taxonomy, kinds: &Kinds) -> Vec<String> {
    let ids = source.event_ids.as_deref().unwrap_or(&[]);
    let mut parts = Vec::new();
    for channel in source.channels.iter().take(NAMED) {
        let name = short(taxonomy.channel_name(channel).unwrap_or(channel));
        parts.push(match name {
            // Its events are known by their numbers.
            SECURITY if !ids.is_empty() => format!("no {}", list(ids)),
            name if !ids.is_empty() && kinds.has_channel(channel) => {
                format!("no {name} {}", list(ids))
            }
            SECURITY => "no Security log".to_owned(),
            SYSMON => "no Sysmon".to_owned(),
            name => format!("no {name}"),
        });
    }
    let more = source.channels.len().saturating_sub(NAMED);
    if more > 0 {
        parts.push(format!("none of {more} more channels"));
    }
    if source.channels.is_empty() {
        parts.push(match source.providers.first() {
            Some(provider) => format!("nothing of {provider}"),
            None => "no events".to_owned(),
        });
    }
    parts
}

/// The channel without what all of them share.
fn short(channel: &str) -> &str {
    let channel = channel.strip_prefix("Microsoft-Windows-").unwrap_or(channel);
    channel.strip_suffix("/Operational").unwrap_or(channel)
}

fn list(ids: &[u32]) -> String {
    let mut list: Vec<String> = ids.iter().take(NAMED).map(u32::to_string).collect();
    if ids.len() > NAMED {
        list.push("…".to_owned());
    }
    list.join("/")
}

/// What the rules of a category or service are called.
pub fn kind(about: &str) -> String {
    let known = match about {
        "process_creation" => "process",
        "process_termination" => "process end",
        "registry_set" | "registry_add" | "registry_delete" | "registry_event"
        | "registry_rename" => "registry",
        "file_event" | "file_change" | "file_delete" | "file_rename" | "file_access" => "file",
        "network_connection" => "network connection",
        "dns_query" => "DNS",
        "ps_script" => "script block",
        "ps_module" => "PowerShell module",
        "ps_classic_start" | "ps_classic_provider_start" | "ps_classic_script" => {
            "classic PowerShell"
        }
        "wmi_event" => "WMI",
        "windefend" => "Defender",
        other => return other.replace('_', " "),
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short() {
        for (channel, want) in [
            ("Microsoft-Windows-Sysmon/Operational", SYSMON),
            (SECURITY, SECURITY),
            ("Microsoft-Windows-AppLocker/EXE and DLL", "AppLocker/EXE and DLL"),
            ("DNS Server", "DNS Server"),
        ] {
            assert_eq!(short(channel), want);
        }
        assert_eq!(list(&[4688]), "4688");
        assert_eq!(list(&[1, 2, 3, 4]), "1/2/3/…");
        assert_eq!(kind("registry_set"), kind("registry_add"));
        assert_eq!(kind("create_remote_thread"), "create remote thread");
    }
}
