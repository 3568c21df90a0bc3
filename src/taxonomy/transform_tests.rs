//! Each transform on values as real logs have them.

use super::*;

/// The texts that a transform makes of inputs with these values.
fn derived(transform: &Transform, inputs: &[&[&str]]) -> Vec<String> {
    let (mut texts, mut ends, mut out) = (Texts::new(), Vec::new(), Texts::new());
    for values in inputs {
        values.iter().for_each(|value| texts.push(value.as_bytes()));
        ends.push(texts.len());
    }
    transform.apply(&Inputs::new(&texts, &ends), &mut out);
    out.range(0, out.len()).map(|t| String::from_utf8(t.to_vec()).unwrap()).collect()
}

#[test]
fn inputs_keep_their_places() {
    let mut texts = Texts::new();
    ["a", "b", "c"].iter().for_each(|t| texts.push(t.as_bytes()));
    let inputs = Inputs::new(&texts, &[2, 2, 3]);
    assert_eq!(inputs.len(), 3);
    assert!(!inputs.is_empty());
    assert_eq!(inputs.values(0).collect::<Vec<_>>(), [b"a", b"b"]);
    assert_eq!(inputs.first(1), None);
    assert_eq!(inputs.first(2), Some(&b"c"[..]));
    assert_eq!(inputs.first(3), None);
    assert_eq!(inputs.all().count(), 3);
    let none = Inputs::new(&texts, &[]);
    assert!(none.is_empty() && none.all().next().is_none());
}

#[test]
fn values_are_translated_one_by_one() {
    use Transform as T;
    for (transform, text, want) in [
        (T::LevelName, "0", &["LogAlways"][..]),
        (T::LevelName, "2", &["Error"]),
        (T::LevelName, "4", &["Information"]),
        (T::LevelName, "6", &[]),
        (T::HexToDecimal, "0x7f0", &["2032"]),
        (T::HexToDecimal, "0XFFFFFFFFFFFFFFFF", &["18446744073709551615"]),
        (T::HexToDecimal, "0x1ffffffffffffffff", &[]),
        (T::HexToDecimal, "2032", &[]),
        (T::HexToDecimal, "0x", &[]),
        (T::HexToDecimal, "0x+1", &[]),
        (T::IntegrityLevel, "S-1-16-12288", &["High"]),
        (T::IntegrityLevel, "S-1-16-8448", &["Medium"]),
        (T::IntegrityLevel, "s-1-16-20480", &["Protected"]),
        (T::IntegrityLevel, "S-1-16-1", &[]),
        (T::RegistryOperation, "%%1905", &["SetValue"]),
        (T::DrivePath, r"\device\harddiskvolume12\windows\x.exe", &[r"C:\windows\x.exe"]),
        (T::DrivePath, r"\Device\HarddiskVolume2\a", &[r"C:\a"]),
        (T::DrivePath, r"\device\harddiskvolume\a", &[]),
        (T::DrivePath, r"\device\harddiskvolume2", &[]),
        (T::DrivePath, r"\device\mup\srv\a", &[]),
        (T::DrivePath, "System", &[]),
        (T::ProtocolName, "6", &["tcp"]),
        (T::ProtocolName, "17", &["udp"]),
        (T::ProtocolName, "1", &[]),
        (T::Initiated, "%%14593", &["true"]),
        (T::Initiated, "%%14592", &["false"]),
        (T::PlainIpv4, "::ffff:10.0.2.17", &["10.0.2.17"]),
        (T::PlainIpv4, "::FFFF:10.0.2.17", &["10.0.2.17"]),
        (T::PlainIpv4, "::ffff:abcd", &[]),
        (T::PlainIpv4, "::1", &[]),
        (
            T::BareGuid,
            "%{19195a5b-6da0-11d0-afd3-00c04fd930c9}",
            &["19195a5b-6da0-11d0-afd3-00c04fd930c9"],
        ),
        (T::BareGuid, "SAM_DOMAIN", &[]),
    ] {
        assert_eq!(derived(&transform, &[&[text]]), want, "{transform:?} {text}");
    }
    let levels = derived(&T::LevelName, &[&["2", "x"], &["3"]]);
    assert_eq!(levels, ["Error", "Warning"], "of each value");
}

#[test]
fn accounts_are_named_as_in_sysmon() {
    let user = ["S-1-5-21-1-2-3-1000", "MSEDGEWIN10", "IEUser"];
    let system = ["S-1-5-18", "WORKGROUP", "IEWIN7$"];
    let nobody = ["S-1-0-0", "-", "-"];
    let of = |[sid, domain, name]: [&str; 3]| {
        derived(&Transform::Account, &[&[sid], &[domain], &[name]])
    };
    assert_eq!(of(user), [r"MSEDGEWIN10\IEUser"]);
    assert_eq!(of(system), [r"WORKGROUP\IEWIN7$", r"NT AUTHORITY\SYSTEM"]);
    assert_eq!(of(["S-1-5-20", "", "HOST$"]), ["HOST$", r"NT AUTHORITY\NETWORK SERVICE"]);
    assert_eq!(of(nobody), [""; 0]);

    let process = |target: [&str; 3], subject: [&str; 3]| {
        let inputs: Vec<[&str; 1]> = target.iter().chain(&subject).map(|t| [*t]).collect();
        let inputs: Vec<&[&str]> = inputs.iter().map(|t| &t[..]).collect();
        derived(&Transform::ProcessAccount, &inputs)
    };
    assert_eq!(process(nobody, user), [r"MSEDGEWIN10\IEUser"]);
    assert_eq!(process(user, system), [r"MSEDGEWIN10\IEUser"]);
    assert_eq!(process(system, user), [r"WORKGROUP\IEWIN7$", r"NT AUTHORITY\SYSTEM"]);
    assert_eq!(process(["", "", ""], user), [r"MSEDGEWIN10\IEUser"]);

    let logon =
        |target: &str, subject: &str| derived(&Transform::ProcessLogonId, &[&[target], &[subject]]);
    assert_eq!(logon("0x0", "0x3e7"), ["0x3e7"]);
    assert_eq!(logon("0x16e3db3", "0x3e7"), ["0x16e3db3"]);
    assert_eq!(derived(&Transform::ProcessLogonId, &[&[], &["0x3e7"]]), ["0x3e7"]);
}

#[test]
fn registry_events_are_put_in_sysmon_s_words() {
    let path = derived(&Transform::RegistryPath, &[&[r"\REGISTRY\MACHINE\X"], &["v"]]);
    assert_eq!(path, [r"HKLM\X\v", r"HKLM\X"]);
    assert_eq!(derived(&Transform::RegistryPath, &[&[r"\REGISTRY\USER"]]), ["HKU"]);
    assert_eq!(derived(&Transform::RegistryPath, &[&[], &["v"]]), [""; 0]);
    let data = derived(&Transform::RegistryData, &[&["1089"], &["%%1876"]]);
    assert_eq!(data, ["1089", "DWORD (0x00000441)"]);
}

#[test]
fn a_threat_s_resources_are_paths() {
    let of = |text: &str| derived(&Transform::ThreatPath, &[&[text]]);
    assert_eq!(of(r"file:_C:\x\a.ps1"), [r"C:\x\a.ps1"]);
    assert_eq!(
        of(r"containerfile:_C:\a.jsp; file:_C:\a.jsp->(SCRIPT0005)"),
        [r"C:\a.jsp", r"C:\a.jsp->(SCRIPT0005)"]
    );
    assert_eq!(
        of(r"webfile:_C:\d\a.exe|http://x/a.exe|pid:4,ProcessStart:13"),
        [r"C:\d\a.exe|http://x/a.exe|pid:4,ProcessStart:13", r"C:\d\a.exe"]
    );
    assert_eq!(of(r"C:\plain.exe"), [""; 0], "the raw value is a value of the field anyway");
    assert_eq!(of(":_x"), [""; 0]);
    assert_eq!(of("; file:_; "), [""; 0]);
}

#[test]
fn hashes_are_told_apart() {
    let text = "SHA1=A1,MD5=B2,SHA256=C3,IMPHASH=D4";
    for (kind, want) in [
        (HashKind::Sha1, "A1"),
        (HashKind::Md5, "B2"),
        (HashKind::Sha256, "C3"),
        (HashKind::Imphash, "D4"),
    ] {
        assert_eq!(derived(&Transform::Hash(kind), &[&[text]]), [want]);
    }
    assert_eq!(derived(&Transform::Hash(HashKind::Md5), &[&["SHA1=A1", "Unknown"]]), [""; 0]);
}

#[test]
fn details_are_lines_that_begin_with_a_tab() {
    let block = "\tNewEngineState=Available\r\n\tPreviousEngineState=None\r\n\r\n\tSequenceNumber=13\
        \r\n\r\n\tHostName=ConsoleHost\r\n\tHostApplication=powershell -c \"a=1\r\nb=2\"\r\n\
        \tEngineVersion=5.1.19041.1\r\n\tCommandLine=";
    let data = ["Available", "None", block];
    let of = |nth: u8, key: &str| {
        derived(&Transform::Detail { nth, key: key.into() }, &[&data[..2], &data[2..]])
    };
    assert_eq!(of(3, "HostName"), ["ConsoleHost"]);
    assert_eq!(of(3, "hostapplication"), ["powershell -c \"a=1\r\nb=2\""]);
    assert_eq!(of(3, "SequenceNumber"), ["13"]);
    assert_eq!(of(3, "CommandLine"), [""]);
    assert_eq!(of(3, "b"), [""; 0]);
    assert_eq!(of(2, "HostName"), [""; 0]);
    assert_eq!(of(4, "HostName"), [""; 0]);
    assert_eq!(of(0, "HostName"), [""; 0]);
    let twice = Transform::Detail { nth: 1, key: "k".into() };
    assert_eq!(derived(&twice, &[&["\tk=1\n\tx=\n\tk=2"]]), ["1", "2"]);
}

#[test]
fn context_keys_have_blanks() {
    let text = "        Severity = Informational\r\n        Host Name = ConsoleHost\r\n        \
        Host Application = powershell -x=1\r\n        Host ID = 7d5c\r\n        Script Name = \r\n";
    let of = |key: &str| derived(&Transform::Context { key: key.into() }, &[&[text]]);
    assert_eq!(of("HostName"), ["ConsoleHost"]);
    assert_eq!(of("HostApplication"), ["powershell -x=1"]);
    assert_eq!(of("HostId"), ["7d5c"]);
    assert_eq!(of("ScriptName"), [""]);
    assert_eq!(of("Name"), [""; 0]);
}

#[test]
fn values_are_picked_and_joined() {
    let inputs: &[&[&str]] = &[&["a.exe", "1.0"], &[], &["ntdll.dll"]];
    assert_eq!(derived(&Transform::Nth(1), inputs), ["a.exe"]);
    assert_eq!(derived(&Transform::Nth(3), inputs), ["ntdll.dll"]);
    assert_eq!(derived(&Transform::Nth(4), inputs), [""; 0]);
    assert_eq!(derived(&Transform::Nth(0), inputs), [""; 0]);
    assert_eq!(derived(&Transform::Lines, inputs), ["a.exe\n1.0\nntdll.dll"]);
    assert_eq!(derived(&Transform::Lines, &[&[], &[]]), [""; 0]);
    assert_eq!(derived(&Transform::Lines, &[&[""]]), [""]);
}

#[test]
fn names_in_the_table_are_known_or_refused() {
    assert_eq!(Transform::from_name("nth(13)", "x"), Some(Transform::Nth(13)));
    let detail = Transform::Detail { nth: 2, key: "K".into() };
    assert_eq!(Transform::from_name("detail(2)", "K"), Some(detail));
    for bad in ["", "raw", "nth", "nth()", "nth(256)", "nth(1", "hash(crc)", "Lines", "detail(x)"] {
        assert_eq!(Transform::from_name(bad, "x"), None, "{bad}");
    }
}

/// One of every kind of transform.
fn every_transform() -> Vec<Transform> {
    let names = "level_name hex_to_decimal account process_account process_logon_id integrity_level \
        registry_path registry_data registry_operation drive_path protocol_name initiated \
        threat_path hash(md5) plain_ipv4 bare_guid nth(2) detail(1) context lines";
    names.split_whitespace().map(|name| Transform::from_name(name, "a").unwrap()).collect()
}

proptest::proptest! {
    #[test]
    fn any_text_gives_text(inputs in proptest::collection::vec(proptest::collection::vec(
        proptest::string::string_regex(
            "(\\PC|[-0a=;|%{}\\\\,. \r\n\t]|0x|::ffff:|\\\\REGISTRY\\\\MACHINE|\\\\SYSTEM\\\\ControlSet00|\
            file:_|; |\\\\device\\\\harddiskvolume1|%%18(75|76|83)){0,8}"
        ).unwrap(), 0..3), 0..7)) {
        let inputs: Vec<Vec<&str>> =
            inputs.iter().map(|values| values.iter().map(String::as_str).collect()).collect();
        let inputs: Vec<&[&str]> = inputs.iter().map(Vec::as_slice).collect();
        let read: usize = inputs.iter().copied().flatten().map(|text| text.len()).sum();
        for transform in every_transform() {
            // `derived` fails on what is no UTF-8. The factor is the number of forms of a registry
            // path; the constant covers the names that are put in.
            let written: usize = derived(&transform, &inputs).iter().map(String::len).sum();
            proptest::prop_assert!(written <= 4 * read + 256, "{:?}: {} of {}", transform, written, read);
        }
    }
}
