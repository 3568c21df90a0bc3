//! The rules that Harrier brings along, so that a first look needs nothing but evidence.
//!
//! A small set of our own, in our own words: what nearly every case asks first, on the log sources
//! that nearly every case has. They are ordinary Sigma files in `builtin/`, written to Sigma's
//! conventions, embedded as text and read by the same loader as everybody else's rules; a rule set
//! of SigmaHQ can be given beside them. Where a rule covers what a public rule covers, its `related`
//! names that rule.

use super::load::{LoadOptions, LoadedRules, load_str};

/// Name and text of each embedded rule, in the order of names.
const FILES: &[(&str, &str)] = &[
    (
        "builtin/posh_ps_amsi_bypass_strings.yml",
        include_str!("builtin/posh_ps_amsi_bypass_strings.yml"),
    ),
    ("builtin/posh_ps_download_cradle.yml", include_str!("builtin/posh_ps_download_cradle.yml")),
    (
        "builtin/proc_access_win_lsass_memory_read.yml",
        include_str!("builtin/proc_access_win_lsass_memory_read.yml"),
    ),
    (
        "builtin/proc_creation_win_office_spawns_shell.yml",
        include_str!("builtin/proc_creation_win_office_spawns_shell.yml"),
    ),
    (
        "builtin/proc_creation_win_powershell_download_cradle.yml",
        include_str!("builtin/proc_creation_win_powershell_download_cradle.yml"),
    ),
    (
        "builtin/proc_creation_win_powershell_encoded_command.yml",
        include_str!("builtin/proc_creation_win_powershell_encoded_command.yml"),
    ),
    (
        "builtin/proc_creation_win_rundll32_comsvcs_minidump.yml",
        include_str!("builtin/proc_creation_win_rundll32_comsvcs_minidump.yml"),
    ),
    (
        "builtin/proc_creation_win_schtasks_script_host.yml",
        include_str!("builtin/proc_creation_win_schtasks_script_host.yml"),
    ),
    (
        "builtin/proc_creation_win_shadow_copies_deleted.yml",
        include_str!("builtin/proc_creation_win_shadow_copies_deleted.yml"),
    ),
    (
        "builtin/registry_delete_amsi_provider_removed.yml",
        include_str!("builtin/registry_delete_amsi_provider_removed.yml"),
    ),
    (
        "builtin/registry_set_amsi_provider_registered.yml",
        include_str!("builtin/registry_set_amsi_provider_registered.yml"),
    ),
    (
        "builtin/registry_set_run_key_script_or_user_path.yml",
        include_str!("builtin/registry_set_run_key_script_or_user_path.yml"),
    ),
    (
        "builtin/win_defender_realtime_protection_disabled.yml",
        include_str!("builtin/win_defender_realtime_protection_disabled.yml"),
    ),
    (
        "builtin/win_security_audit_log_cleared.yml",
        include_str!("builtin/win_security_audit_log_cleared.yml"),
    ),
    (
        "builtin/win_system_eventlog_cleared.yml",
        include_str!("builtin/win_system_eventlog_cleared.yml"),
    ),
    (
        "builtin/win_system_service_install_psexesvc.yml",
        include_str!("builtin/win_system_service_install_psexesvc.yml"),
    ),
    (
        "builtin/win_system_service_install_suspicious_path.yml",
        include_str!("builtin/win_system_service_install_suspicious_path.yml"),
    ),
];

/// Loads the embedded rules. Their origins begin with `builtin/`.
#[must_use]
pub fn load_builtin() -> LoadedRules {
    let mut loaded = LoadedRules::default();
    // They are few, and whoever explains one wants to show it.
    let options = LoadOptions { keep_text: true, ..LoadOptions::default() };
    for (name, text) in FILES {
        loaded.append(load_str(name, text, &options));
    }
    loaded
}

#[cfg(test)]
mod tests;
