//! The rules that Harrier brings along, so that a first look needs nothing but evidence.
//!
//! A set of our own, in our own words: what nearly every case asks first, on the log sources
//! that nearly every case has. They are ordinary Sigma files in `builtin/`, written to Sigma's
//! conventions, embedded as text and read by the same loader as everybody else's rules; a rule set
//! of SigmaHQ can be given beside them. Where a rule covers what a public rule covers, its `related`
//! names that rule.

use super::digest::RuleRoot;
use super::load::{LoadOptions, LoadedRules, load_str};

/// Names and texts of files in `builtin/`.
macro_rules! files {
    ($($name:literal,)*) => {
        &[$((concat!("builtin/", $name, ".yml"), include_str!(concat!("builtin/", $name, ".yml")))),*]
    };
}

/// What the embedded rules are called where a path would stand.
const BUILTIN: &str = "(built-in)";

/// Name and text of each embedded rule, in the order of names.
const FILES: &[(&str, &str)] = files![
    "correlation_win_admin_shares_of_many_hosts",
    "correlation_win_kerberoasting",
    "correlation_win_new_account_privileged",
    "correlation_win_password_guessing",
    "correlation_win_password_spraying",
    "posh_ps_amsi_bypass_strings",
    "posh_ps_defender_tampering",
    "posh_ps_download_cradle",
    "posh_ps_script_block_logging_bypass",
    "proc_access_win_lsass_memory_read",
    "proc_creation_win_bitsadmin_transfer",
    "proc_creation_win_certutil_download_or_decode",
    "proc_creation_win_defender_tampering",
    "proc_creation_win_eventlog_cleared_or_disabled",
    "proc_creation_win_mshta_script_or_remote",
    "proc_creation_win_ntds_copied",
    "proc_creation_win_office_spawns_shell",
    "proc_creation_win_powershell_download_cradle",
    "proc_creation_win_powershell_encoded_command",
    "proc_creation_win_recovery_disabled",
    "proc_creation_win_registry_hive_saved",
    "proc_creation_win_regsvr32_scriptlet_or_remote",
    "proc_creation_win_rundll32_comsvcs_minidump",
    "proc_creation_win_rundll32_script_or_proxy",
    "proc_creation_win_schtasks_script_host",
    "proc_creation_win_security_service_stopped",
    "proc_creation_win_shadow_copies_deleted",
    "proc_creation_win_winrm_child_process",
    "proc_creation_win_wmic_process_remote_or_script",
    "proc_creation_win_wmiprvse_spawned_shell",
    "registry_delete_amsi_provider_removed",
    "registry_event_powershell_logging_disabled",
    "registry_set_amsi_provider_registered",
    "registry_set_defender_exclusion",
    "registry_set_defender_protection_disabled",
    "registry_set_remote_desktop_opened",
    "registry_set_run_key_script_or_user_path",
    "sysmon_wmi_command_or_script_consumer",
    "win_application_backup_catalog_deleted",
    "win_application_ntds_database_copied",
    "win_defender_exclusion_added",
    "win_defender_realtime_protection_disabled",
    "win_defender_scanning_disabled",
    "win_security_admin_share_accessed",
    "win_security_admin_share_program_written",
    "win_security_audit_log_cleared",
    "win_security_audit_policy_reduced",
    "win_security_dcsync",
    "win_security_event_logging_stopped",
    "win_security_kerberos_preauth_failed",
    "win_security_kerberos_rc4_service_ticket",
    "win_security_logon_failed",
    "win_security_privileged_group_member_added",
    "win_security_psexec_pipe_accessed",
    "win_security_rdp_logon_from_loopback",
    "win_security_scheduled_task_suspicious_action",
    "win_security_service_install_suspicious_path",
    "win_security_user_account_created",
    "win_system_eventlog_cleared",
    "win_system_security_service_disabled",
    "win_system_service_install_psexesvc",
    "win_system_service_install_suspicious_path",
    "win_wmi_command_or_script_consumer_bound",
];

/// Loads the embedded rules. Their origins begin with `builtin/`.
#[must_use]
pub fn load_builtin() -> LoadedRules {
    load_builtin_with(&LoadOptions::default())
}

/// Loads the embedded rules, with options.
#[must_use]
pub fn load_builtin_with(options: &LoadOptions) -> LoadedRules {
    let mut loaded = LoadedRules::default();
    for (name, text) in FILES {
        loaded.append(load_str(name, text, options));
    }
    if options.digest {
        let names = FILES.iter().map(|(name, text)| (name.trim_start_matches("builtin/"), *text));
        loaded.roots = vec![RuleRoot::of_texts(BUILTIN, names)];
    }
    loaded
}

#[cfg(test)]
mod tests;
