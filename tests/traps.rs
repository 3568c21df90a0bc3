//! Ways in which hunters of this kind are known to go wrong, one test each: what is right, at the
//! layer where it is decided. Where the trap is about what stands in a log, the log is made for it
//! and read by both lanes; rules are scanned in both ways throughout.

use crate::support::logs::{each_record, events, forged, hits};
use crate::support::{Made, matches, matches_source, rule_set, titles};
use forge::catalog::{Account, Process, defender, powershell, security, sysmon, system};
use forge::{
    Body, Element, Event, FileTime, Fragment, Guid, LogWriter, Provider, Rendering, Template,
    UserData, UserNode, Value, ValueType, damage, slot,
};
use harrier::engine::Applicability;
use harrier::event::Event as _;
use harrier::evtx::{Options, Reader};
use harrier::sigma::{FilterRules, LoadOptions, Member, RefusalKind, load_str};

/// 2026-03-01, ten in the morning.
fn at() -> FileTime {
    FileTime::literal("2026-03-01T10:00:00.1234567Z")
}

/// A rule of one section `s`, given as the lines below it.
fn rule(title: &str, logsource: &str, section: &[&str], condition: &str) -> String {
    let lines: String = section.iter().map(|line| format!("  {line}\n")).collect();
    format!(
        "title: \"{title}\"\nlogsource: {{{logsource}}}\ndetection:\n{lines}  condition: {condition}\n"
    )
}

const CREATION: &str = "product: windows, category: process_creation";
const ANY: &str = "product: windows";

/// A rule of one item.
fn one(title: &str, logsource: &str, item: &str) -> String {
    rule(title, logsource, &[&format!("s: {{{item}}}")], "s")
}

/// Several rules.
fn all(rules: &[String]) -> String {
    rules.join("---\n")
}

/// Whether an item holds for a Sysmon process creation with `F` of this value.
fn item(item: &str, value: &str) -> bool {
    matches(&format!("s:\n  {item}\ncondition: s"), &Made::sysmon(1).data("F", value))
}

#[track_caller]
fn items(cases: &[(&str, &str, bool)]) {
    for (text, value, want) in cases {
        assert_eq!(item(text, value), *want, "{text} on {value:?}");
    }
}

/// An event of a provider of our own with these fields.
fn with_fields(fields: impl IntoIterator<Item = (&'static str, Value)>) -> Event {
    let guid = Guid::literal("{8a1c9a35-6a2c-4d0c-9a8e-6f1f1c1d2e3f}");
    let provider = Provider::new("Example-Provider", guid);
    Event::new(provider, 77, "Example/Operational").at(at()).on("WS-0417").data(fields)
}

fn shell() -> (Process, Process) {
    let parent = Process::new(r"C:\Program Files\Office\WINWORD.EXE", "winword", r"CORP\anna");
    let process = Process::new(r"C:\Windows\System32\cmd.exe", "cmd.exe /c whoami", r"CORP\anna");
    (process, parent)
}

#[test]
fn trap_01_aliases_on_4688() {
    let (process, parent) = shell();
    let log = forged(&[
        security::process_create(at(), &process, &parent),
        sysmon::process_create(at(), &process, &parent),
    ]);
    let rules = all(&[
        one("image", CREATION, r"Image|endswith: '\cmd.exe'"),
        one("parent", CREATION, r"ParentImage|endswith: '\winword.exe'"),
        one("user", CREATION, r"User: 'corp\ANNA'"),
        one("level", CREATION, "IntegrityLevel: Medium"),
        one("sid of level", CREATION, "IntegrityLevel: S-1-16-8192"),
        one("id", CREATION, &format!("ProcessId: {}", process.id)),
        one("parent's id", CREATION, &format!("ParentProcessId: {}", parent.id)),
        // 4688 has neither; where the rule needs one it is silent, where a filter asks, that is false.
        one("original name", CREATION, "OriginalFileName: cmd.exe"),
        one("hashes", CREATION, "Hashes|contains: SHA256"),
        rule(
            "filtered",
            CREATION,
            &[r"s: {Image|endswith: '\cmd.exe'}", "f: {OriginalFileName|contains: cmd}"],
            "s and not f",
        ),
        rule(
            "no image",
            CREATION,
            &[r"s: {CommandLine|contains: whoami}", "f: {Image: null}"],
            "s and f",
        ),
        // A rule that speaks of 4688 itself speaks its language.
        one(
            "own names",
            "product: windows, service: security",
            r"NewProcessName|endswith: '\cmd.exe'",
        ),
    ]);
    let found = hits(&rules, &log);
    let both = ["image", "parent", "user", "level", "id", "parent's id"];
    let with = |more: &[&str]| -> Vec<String> {
        let mut titles: Vec<String> = both.iter().chain(more).map(|t| (*t).to_owned()).collect();
        titles.sort();
        titles
    };
    let sorted = |mut titles: Vec<String>| {
        titles.sort();
        titles
    };
    assert_eq!(sorted(found[0].clone()), with(&["sid of level", "filtered", "own names"]));
    assert_eq!(sorted(found[1].clone()), with(&["original name", "hashes"]));
}

#[test]
fn trap_02_registry_values_in_4657() {
    use security::RegistryOperation::{Created, Deleted, Modified};
    let process = Process::system(r"C:\Windows\regedit.exe", "regedit");
    let set = |operation, key: &'static str, value: &'static str, data: &'static str| {
        security::registry_value(at(), &process, operation, (key, value), ("-", data))
    };
    let log = forged(&[
        set(Modified, r"\REGISTRY\MACHINE\SOFTWARE\Example\Run", "Updater", "evil.exe"),
        set(Created, r"\REGISTRY\USER\S-1-5-21-1-2-3-1001\Environment", "", "x"),
        set(Deleted, r"\REGISTRY\MACHINE\SYSTEM\ControlSet001\Services\Svc", "ImagePath", "-"),
        set(Modified, r"\REGISTRY\MACHINE\SOFTWARE\Example", "Count", "1")
            .set("NewValueType", "%%1876"),
    ]);
    let set = "product: windows, category: registry_set";
    let delete = "product: windows, category: registry_delete";
    let rules = all(&[
        one(
            "value path",
            set,
            r"TargetObject: 'HKLM\SOFTWARE\Example\Run\Updater', Details: evil.exe",
        ),
        one(
            "user hive",
            set,
            r"TargetObject|startswith: 'HKU\S-1-5-21-', TargetObject|endswith: '\(Default)'",
        ),
        one(
            "deleted",
            delete,
            r"TargetObject: 'HKLM\System\CurrentControlSet\Services\Svc\ImagePath'",
        ),
        one("numbered", delete, r"TargetObject|contains: '\ControlSet001\'"),
        one("set, not deleted", set, r"TargetObject|contains: '\Services\Svc'"),
        one("deleted, not set", delete, r"TargetObject|contains: '\Example'"),
        one("dword", set, "Details: DWORD (0x00000001)"),
        one("event type", "product: windows, category: registry_event", "EventType: DeleteValue"),
        one("kernel's name", set, r"TargetObject|startswith: '\REGISTRY\'"),
    ]);
    assert_eq!(
        hits(&rules, &log),
        [
            vec!["value path"],
            vec!["user hive"],
            vec!["deleted", "numbered", "event type"],
            vec!["dword"],
        ]
    );
}

#[test]
fn trap_03_windash_in_any_order_and_place() {
    for dash in ["-", "/", "\u{2013}", "\u{2014}", "\u{2015}"] {
        for written in ["-", "/", "\u{2013}", "\u{2014}", "\u{2015}"] {
            let value = format!("tool.exe {dash}enc {dash}Nop x");
            for chain in ["contains|windash", "windash|contains"] {
                assert!(item(&format!("F|{chain}: ' {written}enc {written}nop '"), &value));
                assert!(item(
                    &format!("F|{chain}|all: [' {written}enc ', ' {written}NOP ']"),
                    &value
                ));
            }
            let value = format!("tool.exe {dash}s");
            for chain in ["endswith|windash", "windash|endswith"] {
                assert!(item(&format!("F|{chain}: ' {written}S'"), &value));
            }
            let value = format!("{dash}s tool.exe");
            assert!(item(&format!("F|startswith|windash: '{written}S'"), &value));
        }
    }
    items(&[
        // Different dashes in one value are fine, a dash inside a word is text.
        ("F|contains|windash: ' -a -b -c'", " /a \u{2015}b -c", true),
        ("F|contains|windash: 'well-known'", "well/known", false),
        ("F|contains|windash: 'well-known'", "well-known", true),
        ("F|contains|windash: ' -a'", " +a", false),
        ("F|endswith|windash: ' -s'", "x /s ", false),
        ("F|contains: ' -a'", " /a", false),
    ]);
    // Nine and more dashes are no more than two.
    assert!(item(
        "F|contains|windash: '-a -b -c -d -e -f -g -h -i -j'",
        "/a -b /c -d /e -f /g -h /i -j"
    ));
}

#[test]
fn trap_04_wildcards_inside_modified_values() {
    items(&[
        ("F|contains: 'c*d.exe'", r"C:\x\cmd.exe /c", true),
        ("F|contains: 'find*386'", "x | findstr  lsass 386 y", true),
        ("F|contains: 'find*386'", "x | 386 findstr", false),
        ("F|startswith: 'C:\\\\*\\a'", r"c:\users\abc", true),
        ("F|startswith: 'C:\\\\*\\a'", r"xc:\users\abc", false),
        ("F|endswith: '\\u?d.exe'", r"C:\upd.exe", true),
        ("F|endswith: '\\u?d.exe'", r"C:\uppd.exe", false),
        ("F|endswith: '\\u?d.exe'", r"C:\upd.exe.bak", false),
        ("F|contains|all: ['a?c', 'd*f']", "x abc y dXXf z", true),
        ("F|contains|all: ['a?c', 'd*f']", "x abc y fXXd z", false),
    ]);
}

#[test]
fn trap_05_backslashes() {
    // Values in YAML's single quotes, so that Sigma sees them as they are here.
    let cases: &[(&str, &str, bool)] = &[
        (r"F: 'a\*'", "a*", true),
        (r"F: 'a\*'", "ab", false),
        (r"F: 'a\\*'", r"a\b", true),
        (r"F: 'a\\*'", "ab", false),
        (r"F: 'a\\\*'", r"a\*", true),
        (r"F: 'a\\\*'", r"a\b", false),
        (r"F: 'a\\\\*'", r"a\\b", true),
        (r"F: 'a\'", r"a\", true),
        (r"F: 'a\\'", r"a\", true),
        (r"F: 'a\\\'", r"a\\", true),
        (r"F: 'a\\\\'", r"a\\", true),
        (r"F: '\\srv\s'", r"\srv\s", true),
        (r"F: '\\srv\s'", r"\\srv\s", false),
        (r"F: '\\\\srv\s'", r"\\srv\s", true),
        (r"F: 'C:\*\x'", r"C:*\x", true),
        (r"F: 'C:\*\x'", r"C:\a\x", false),
        (r"F: 'C:\\*\x'", r"C:\a\x", true),
        (r"F: '\\\\\*\\IPC$'", r"\\*\IPC$", true),
        (r"F: '\\?\C:'", r"\x\C:", true),
        (r"F: '\\\?\C:'", r"\?\C:", true),
        (r"F: '\\\?\C:'", r"\x\C:", false),
        (r"F|startswith: 'C:\Windows\'", r"C:\Windows\x", true),
        (r"F|startswith: 'C:\Windows\'", r"C:\Windows*", false),
        (r"F|contains: '/Namespace:\\\\root\\'", r"wmic /namespace:\\root\cimv2", true),
        (r"F|contains: ' \\\\'", r"x \\host\share", true),
        (r"F|contains: ' \\\\'", r"x \host", false),
        // Double quotes: YAML takes its own backslashes first.
        (r#"F: "a\\\\*""#, r"a\b", true),
        (r#"F: "C:\\x""#, r"C:\x", true),
        // The same value in a list of many, where it may be compared another way.
        (r"F|contains: [z1, z2, z3, z4, z5, z6, '\\\\host\']", r"x \\HOST\s", true),
        (r"F|endswith: [z1, z2, z3, z4, z5, z6, '\\*']", "a*", false),
        (r"F: [z1, z2, z3, z4, z5, z6, 'a\\']", r"A\", true),
    ];
    items(cases);
}

#[test]
fn trap_06_wildcards_are_of_the_whole_value() {
    items(&[
        ("F: 'net*user'", "net group user", true),
        ("F: 'net*user'", "mynetXuser", false),
        ("F: 'net*user'", "netXuserZ", false),
        ("F: 'net*user'", "net\r\nuser", true),
        ("F: 'a?c'", "a\nc", true),
        ("F: '*net*'", "x\nnet\ny", true),
        ("F: 'net?'", "net", false),
        ("F: 'n?t*'", "xnet", false),
    ]);
}

#[test]
fn trap_07_values_are_not_operators() {
    items(&[
        ("F: '>5'", "6", false),
        ("F: '>5'", ">5", true),
        ("F: '<5'", "<5", true),
        ("F: '=5'", "5", false),
        ("F: '=5'", "=5", true),
        ("F: '!x'", "!x", true),
        ("F: '\"quoted\"'", "\"quoted\"", true),
        ("F: '\"quoted\"'", "quoted", false),
        ("F: '''x'''", "'x'", true),
        ("F|contains: '(a|b)'", "x (a|b)", true),
        ("F|contains: '(a|b)'", "x a", false),
        ("F: '/re/'", "/re/", true),
        ("F: 'a.c'", "abc", false),
        ("F: '[a]'", "[a]", true),
        ("F: '%x%'", "%x%", true),
        ("F: '#x'", "#x", true),
        ("F: 'i:x'", "i:x", true),
        ("F: '?re'", "xre", true),
        ("F: '?5'", "5", false),
        ("F: '>?5'", ">15", true),
    ]);
}

#[test]
fn trap_08_absent_null_and_empty() {
    // As it stands in BinXML: an element that depends on a NULL value is not there; NULL or an empty
    // text in an element is an empty element.
    let absent = Element::new("Data").attr("Name", "F").child(slot(0, ValueType::String));
    let root = Element::new("Event")
        .child(
            Element::new("System")
                .child(Element::new("Provider").attr("Name", "Example"))
                .child(Element::new("EventID").text("7"))
                .child(Element::new("Channel").text("Example/Operational")),
        )
        .child(
            Element::new("EventData")
                .child(absent.clone().depends_on(0))
                .child(Element::new("Data").attr("Name", "G").text("g")),
        );
    let optional = Template::new(root);
    let mut log = LogWriter::in_memory(forge::Options::new());
    for value in [Value::Null, Value::from(""), Value::from("x")] {
        log.push_fragment(at(), &Fragment::of(&optional, vec![value])).unwrap();
    }
    for value in [Value::Null, Value::from(""), Value::from("-")] {
        log.push(&with_fields([("F", value)])).unwrap();
    }
    let rules = all(&[
        one("null", ANY, "F: null"),
        one("empty", ANY, "F: ''"),
        one("either", ANY, "F: [null, '']"),
        one("exists", ANY, "F|exists: true"),
        one("missing", ANY, "F|exists: false"),
        one("any", ANY, "F: '*'"),
    ]);
    let missing = vec!["null", "either", "missing"];
    let empty = vec!["empty", "either", "exists", "any"];
    let there = vec!["exists", "any"];
    assert_eq!(
        hits(&rules, &log.into_bytes().unwrap()),
        [missing, empty.clone(), there.clone(), empty.clone(), empty, there]
    );
}

#[test]
fn trap_09_field_names_with_blanks() {
    let threat = defender::Threat {
        name: "Trojan:Win32/Example".into(),
        category: "Trojan".into(),
        process: r"C:\Windows\explorer.exe".into(),
        user: r"CORP\anna".into(),
        path: r"file:_C:\x.exe".into(),
    };
    let log = forged(&[defender::found(at(), &threat)]);
    let rules = all(&[
        one("sigma", ANY, "ThreatName|contains: Example"),
        one("as it is", ANY, "'Threat Name': 'Trojan:Win32/Example'"),
        one("underscore", ANY, "Threat_Name|startswith: Trojan"),
        one("lower", ANY, "threat name|contains: win32"),
        one("another", ANY, "ThreatNam|contains: Example"),
        one("null", ANY, "ThreatName: null"),
        one("generic", "category: antivirus", "Signature|contains: Example"),
    ]);
    assert_eq!(hits(&rules, &log), [["sigma", "as it is", "underscore", "lower", "generic"]]);
}

#[test]
fn trap_10_user_data_below_any_element() {
    let leaf = |name: &'static str, value: &'static str| UserNode::leaf(name, value);
    let deep = UserNode::group(
        "Inner",
        vec![UserNode::group("Most", vec![leaf("Operation", "Start IWbemServices")])],
    );
    let mut data = UserData::new(
        "Operation_ClientFailure",
        "http://example/wmi",
        [("User", Value::from("anna"))],
    );
    data.children.push(deep);
    data.children.push(leaf("Tag", "1").attr("kind", "attribute value"));
    let log = forged(&[with_fields([]).body(Body::User(data))]);
    let rules = all(&[
        one("first level", ANY, "User: anna"),
        one("deep", ANY, "Operation|startswith: 'Start IWbem'"),
        one("attribute", ANY, "kind: attribute value"),
        one("element name", ANY, "Inner|exists: true"),
        one("keyword", ANY, "Tag: 1"),
    ]);
    assert_eq!(hits(&rules, &log), [["first level", "deep", "attribute", "keyword"]]);
    // EventData wins where both have the name.
    let both = Made::sysmon(1).user("Name", "user data").data("Name", "event data");
    assert!(matches("s: {Name: event data}\ncondition: s", &both));
    assert!(!matches("s: {Name: user data}\ncondition: s", &both));
}

#[test]
fn trap_11_unnamed_data() {
    let classic =
        Event::new(Provider::classic("MSExchange CmdletLogs"), 1, "MSExchange Management")
            .at(at())
            .body(Body::classic(
                ["New-MailboxExportRequest", r"-FilePath \\localhost\C$", ""],
                None,
            ));
    let slots =
        with_fields([]).body(Body::Unnamed(vec!["one".into(), 2_u32.into(), "three".into()]));
    let engine = powershell::engine_started(at(), "powershell.exe -Version 2");
    let log = forged(&[classic, slots, engine]);
    let rules = all(&[
        one("all of it", ANY, r"Data|contains|all: [New-MailboxExport, '\\\\localhost\C$']"),
        one("one of it", ANY, "Data: 2"),
        one("in order", ANY, "Data|contains: 'onetwo'"),
        one("last", ANY, "Data|endswith: three"),
        one(
            "detail",
            "product: windows, category: ps_classic_start",
            "HostApplication|contains: ' -Version 2'",
        ),
        one("engine", ANY, "NewEngineState: Available"),
        rule("keyword", ANY, &["s: [New-MailboxExportRequest]"], "s"),
    ]);
    assert_eq!(
        hits(&rules, &log),
        [vec!["all of it", "keyword"], vec!["one of it", "last"], vec!["detail", "engine"]]
    );
}

#[test]
fn trap_12_guids_have_braces() {
    let guid = Guid::literal("{0CCE9210-69AE-11D9-BED3-505054503030}");
    let log = forged(&[with_fields([("SubcategoryGuid", Value::Guid(guid))])]);
    let rules = all(&[
        one("braces", ANY, "SubcategoryGuid: '{0CCE9210-69AE-11D9-BED3-505054503030}'"),
        one("bare", ANY, "SubcategoryGuid: 0cce9210-69ae-11d9-bed3-505054503030"),
        one("in text", ANY, "SubcategoryGuid|contains: '{0cce9210-'"),
        one("another", ANY, "SubcategoryGuid: '{0CCE9211-69AE-11D9-BED3-505054503030}'"),
        one("half", ANY, "SubcategoryGuid: '{0CCE9210-69AE-11D9-BED3-505054503030'"),
        rule(
            "filtered",
            ANY,
            &["s: {EventID: 77}", "f: {SubcategoryGuid: '{0CCE9210-69AE-11D9-BED3-505054503030}'}"],
            "s and not f",
        ),
    ]);
    assert_eq!(hits(&rules, &log), [["braces", "bare", "in text"]]);
}

#[test]
fn trap_13_blanks_are_kept() {
    items(&[
        ("F|contains: 'chcp '", "cmd /c chcp 65001", true),
        ("F|contains: 'chcp '", "cmd /c chcp", false),
        // A blank at the end of a value is there to be found.
        ("F|contains: ' -enc '", "powershell -enc ", true),
        ("F|contains: ' -enc '", "powershell -enc", false),
        ("F|endswith: ' '", "x ", true),
        ("F|endswith: '.exe'", "x.exe ", false),
        ("F|startswith: ' '", "x", false),
        // Equality forgives blanks at the end of the event's text, and nothing else.
        ("F: NtLmSsp", "NtLmSsp ", true),
        ("F: User32", "User32 ", true),
        ("F: User32", " User32", false),
        ("F: 'User32 '", "User32", false),
        ("F: 'a*'", " a", false),
        ("F: [1a, 2a, 3a, 4a, 5a, 6a, NtLmSsp]", "NtLmSsp ", true),
        ("F: ''", " ", false),
    ]);
    let log = forged(&[with_fields([("LogonProcessName", Value::from("NtLmSsp "))])]);
    let rules = all(&[
        one("equal", ANY, "LogonProcessName: NtLmSsp"),
        one("end", ANY, "LogonProcessName|endswith: 'Ssp '"),
    ]);
    assert_eq!(hits(&rules, &log), [["equal", "end"]]);
}

#[test]
fn trap_14_numbers() {
    let mut event = with_fields([
        ("LogonType", Value::from(3_u32)),
        ("Text", Value::from("3")),
        ("GrantedAccess", Value::Hex32(0x1410)),
        ("Big", Value::U64(u64::MAX)),
        ("Small", Value::I32(-5)),
        ("Elevation", Value::from("%%1936")),
        ("Flag", Value::Bool(true)),
    ]);
    event.qualifiers = Some(0x8000);
    let log = forged(&[event]);
    let rules = all(&[
        one("id", ANY, "EventID: 77"),
        one("id as text", ANY, "EventID: '77'"),
        one("integer", ANY, "LogonType: 3"),
        one("integer as text", ANY, "LogonType: '3'"),
        one("text as integer", ANY, "Text: 3"),
        one("text of integer", ANY, "LogonType|startswith: 3"),
        one("hexadecimal", ANY, "GrantedAccess: '0x1410'"),
        one("hexadecimal is text", ANY, "GrantedAccess: 5136"),
        one("large", ANY, "Big: 18446744073709551615"),
        one("compared", ANY, "Big|gt: 9223372036854775807"),
        one("negative", ANY, "Small|lt: 0"),
        one("code", ANY, "Elevation: '%%1936'"),
        one("code is text", ANY, "Elevation|gte: 0"),
        one("truth", ANY, "Flag: true"),
        one("truth as text", ANY, "Flag: 'True'"),
        one("truth is no number", ANY, "Flag: 1"),
    ]);
    assert_eq!(
        hits(&rules, &log),
        [[
            "id",
            "id as text",
            "integer",
            "integer as text",
            "text as integer",
            "text of integer",
            "hexadecimal",
            "large",
            "compared",
            "negative",
            "code",
            "truth",
            "truth as text",
        ]]
    );
}

#[test]
fn trap_15_case_beyond_ascii() {
    items(&[
        ("F: 'АДМИНИСТРАТОРЫ'", "Администраторы", true),
        ("F|contains: 'école'", "L'ÉCOLE", true),
        ("F|startswith: 'ÄÖÜ'", "äöüx", true),
        ("F|endswith: 'ΩΣ'", "xως", true),
        ("F: [a1, a2, a3, a4, a5, a6, 'ÉTÉ']", "été", true),
        ("F|contains: [a1, a2, a3, a4, a5, a6, 'ÉTÉ']", "x été", true),
        ("F|endswith: [a1, a2, a3, a4, a5, a6, 'É']", "x é", true),
        ("F|contains|windash: ' -É'", "x /é", true),
        ("F|re|i: 'É.É'", "été", true),
        // One character for one: no ß to ss, no composing of accents.
        ("F: 'STRASSE'", "straße", false),
        ("F: 'e\u{301}'", "é", false),
        // Characters that fold to ASCII are found by the prefilter as well.
        ("F|contains: 'kelvin'", "x \u{212a}elvin", true),
        ("F|contains: '\u{212a}elvin'", "x KELVIN", true),
        ("F|contains: 'ſ'", "S", true),
    ]);
    let set = rule_set(&rule("k", ANY, &["s: ['админ']"], "s"));
    assert_eq!(titles(&set, &Made::sysmon(1).data("F", "x АДМИН y")), ["k"]);
}

#[test]
fn trap_16_regular_expressions() {
    items(&[
        ("F|re: 'abc'", "xABCx", false),
        ("F|re: 'abc'", "xabcx", true),
        ("F|re|i: 'abc'", "xABCx", true),
        ("F|re: '(?i)abc'", "xABCx", true),
        ("F|re|i|m: '^b'", "a\nB", true),
        ("F|re|m|s: '^b.c'", "a\nb\nc", true),
        ("F|re: '^b'", "a\nb", false),
        ("F|re: 'C:\\\\x'", r"C:\x", true),
        ("F|re: 'a*'", "", true),
        ("F|re: ['x{3}', 'y{3}']", "yyy", true),
        ("F|re: '.{5,}'", "äöüß", false),
        // ASCII text, an expression that only folds to it.
        ("F|re|i: '\u{212a}elvin'", "kelvin", true),
        ("F|re: '(?i)\\x{17f}afe'", "SAFE", true),
    ]);
    // What cannot be said is refused with its place and reason, never taken for something else.
    for pattern in ["(?=x)y", r"(a)\1", "(?<!x)y", "(unclosed", "a{2000000000}"] {
        let text = one("bad", ANY, &format!("F|re: '{pattern}'"));
        let loaded = load_str("bad.yml", &text, &LoadOptions::default());
        assert!(loaded.rules.is_empty(), "{pattern}");
        let [refused] = &loaded.refused[..] else { panic!("{pattern}: {:?}", loaded.refused) };
        assert_eq!((refused.kind, refused.origin.line), (RefusalKind::Error, 4), "{pattern}");
        assert!(!refused.reason.is_empty());
    }
}

#[test]
fn trap_17_cased_and_base64() {
    items(&[
        ("F|cased: Abc", "Abc", true),
        ("F|cased: Abc", "abc", false),
        ("F|cased: 'A*c'", "AxxC", false),
        ("F|cased: 'A*c'", "Axxc", true),
        ("F|startswith|cased: Ab", "abc", false),
        ("F|cased: [Aa, Bb, Cc, Dd, Ee, Ff, Gg]", "gg", false),
        ("F|cased: [Aa, Bb, Cc, Dd, Ee, Ff, Gg]", "Gg", true),
        ("F|contains|all|cased: [Ab, Cd]", "abcd AbCd", true),
        ("F|contains|all|cased: [Ab, Cd]", "Abcd", false),
        // base64 alone: the whole value, as base64 is written.
        ("F|base64: 'foobar'", "Zm9vYmFy", true),
        ("F|base64: 'foobar'", "zm9vymfy", false),
        ("F|base64: 'foobar'", "xZm9vYmFy", false),
        ("F|base64|contains: 'foobar'", "x Zm9vYmFy y", true),
        ("F|base64: 'fooba'", "Zm9vYmE=", true),
    ]);
    for text in ["F|base64: 'a*b'", "F|i: x", "F|re|cased: x", "F|base65: x", "F|cidr: nonsense"] {
        let loaded = load_str("bad.yml", &one("bad", ANY, text), &LoadOptions::default());
        assert_eq!((loaded.rules.len(), loaded.refused.len()), (0, 1), "{text}");
    }
}

#[test]
fn trap_18_keywords_are_sought_in_values() {
    let event = with_fields([("Path", Value::from(r#"C:\Temp\"mimikatz""#)), ("Empty", "".into())])
        .forwarded(Rendering { message: "rendered text".into(), ..Rendering::default() });
    let log = forged(&[event]);
    let keyword = |title: &str, words: &str| rule(title, ANY, &[&format!("s: {words}")], "s");
    let rules = all(&[
        keyword("word", "[MIMIKATZ]"),
        keyword("path", r"['C:\Temp\']"),
        keyword("escaped as in JSON", r"['C:\\\\Temp']"),
        keyword("quotes", r#"['"mimikatz"']"#),
        keyword("quotes as in JSON", r#"['\"mimikatz\"', '&quot;']"#),
        keyword("field name", "[Path]"),
        keyword("element name", "[EventData]"),
        keyword("provider", "[example-provider]"),
        keyword("channel", "[Example/Operational]"),
        keyword("message", "[rendered text]"),
        keyword("across values", "['mimikatz\" 77']"),
        keyword("wildcard", r"['temp*katz']"),
        keyword("number", "[77]"),
        rule("all", ANY, &["s: {'|all': [mimikatz, ws-0417]}"], "s"),
        rule("not all", ANY, &["s: {'|all': [mimikatz, absent]}"], "s"),
        rule("none", ANY, &["s: [absent]", "t: {EventID: 77}"], "t and not s"),
    ]);
    assert_eq!(
        hits(&rules, &log),
        [["word", "path", "quotes", "provider", "channel", "wildcard", "number", "all", "none"]]
    );
}

#[test]
fn trap_19_selectors_and_lists_of_maps() {
    let event = Made::sysmon(1).data("F", "x").data("G", "y");
    for (sections, condition, want) in [
        ("selection_a: {F: x, G: no}\nselection_b: {F: no, G: y}", "1 of selection*", false),
        ("selection_a: {F: x, G: y}\nselection_b: {F: no}", "1 of selection_*", true),
        ("selection_a: {F: x}\nselection_b: {F: no}", "all of selection*", false),
        ("s: [{F: x, G: no}, {F: no, G: y}]", "s", false),
        ("s: [{F: x, G: no}, {F: x, G: y}]", "s", true),
        ("s: [{F: [x, z], G: [y]}]", "s", true),
        ("a: {F: x}\nb: {G: no}", "1 of them", true),
        ("a: {F: x}\nb: {G: no}", "all of them", false),
        ("a: {F: no}\n_b: {F: x}", "1 of them", false),
        ("a: {F: x}\nfilter_1: {G: no}\nfilter_2: {G: y}", "a and not 1 of filter_*", false),
        ("a: {F: x}\nfilter_1: {G: no}\nfilter_2: {G: y}", "a and not all of filter_*", true),
        ("a_x: {F: x}\nb_x: {G: y}\nc: {G: no}", "all of *_x", true),
        ("a: {F: x}\nb: {F: x}\nc: {G: no}", "2 of them", true),
        ("a: {F: x}\nb: {F: no}\nc: {G: no}", "2 of them", false),
    ] {
        assert_eq!(
            matches(&format!("{sections}\ncondition: {condition}"), &event),
            want,
            "{sections}: {condition}"
        );
    }
    // A selector that selects nothing is an error, not a part that is left out.
    let text = rule("x", ANY, &["a: {F: x}"], "a and 1 of b*");
    assert_eq!(load_str("x.yml", &text, &LoadOptions::default()).refused.len(), 1);
}

#[test]
fn trap_20_event_ids_are_a_provider_s_own() {
    let service = "product: windows, service: system";
    let detection = "s: {EventID: 7045, ServiceName: evil}\ncondition: s";
    let event = |channel, provider| Made::new(channel, provider, 7045).data("ServiceName", "evil");
    assert!(matches_source(service, detection, &event("System", "Service Control Manager")));
    assert!(matches_source(service, detection, &event("SYSTEM", "service control manager")));
    assert!(!matches_source(service, detection, &event("Application", "Service Control Manager")));
    assert!(!matches_source(service, detection, &event("Other/Operational", "Other")));

    let creation = "s: {CommandLine|contains: evil}\ncondition: s";
    let event = |channel, provider| Made::new(channel, provider, 1).data("CommandLine", "evil");
    let sysmon = "Microsoft-Windows-Sysmon/Operational";
    assert!(matches_source(CREATION, creation, &event(sysmon, "Microsoft-Windows-Sysmon")));
    assert!(!matches_source(CREATION, creation, &event(sysmon, "Impostor")));
    assert!(!matches_source(
        CREATION,
        creation,
        &event("System", "Microsoft-Windows-Kernel-General")
    ));
    assert!(!matches_source(CREATION, creation, &event("", "Microsoft-Windows-Kernel-General")));

    // The rule set says which rules can never match, and why.
    for (logsource, applicable) in [
        ("product: windows, service: system", true),
        ("product: linux, service: auditd", false),
        ("product: windows, service: unheard-of", false),
        ("product: windows, category: file_access", false),
    ] {
        let set = rule_set(&one("x", logsource, "F: x"));
        let (id, _) = set.rules().next().unwrap();
        match set.applicability(id) {
            Applicability::Applicable => assert!(applicable, "{logsource}"),
            Applicability::NotApplicable(why) | Applicability::UnknownLogSource(why) => {
                assert!(!applicable && !why.is_empty(), "{logsource}");
            }
        }
    }
}

#[test]
fn trap_21_names_in_both_system_and_body() {
    let cleared = system::log_cleared(at(), &Account::new("CORP", "anna"), "Windows PowerShell");
    let log = forged(&[cleared]);
    let hayabusa =
        |title: &str, items: &str| format!("ruletype: Hayabusa\n{}", one(title, ANY, items));
    let rules = all(&[
        one("the log that was cleared", ANY, "EventID: 104, Channel: Windows PowerShell"),
        one("the log it stands in", ANY, "EventID: 104, Channel: System"),
        one("service", "product: windows, service: system", "EventID: 104"),
        hayabusa("hayabusa", "Channel: System, EventID: 104"),
        hayabusa("not hayabusa", "Channel: Windows PowerShell, EventID: 104"),
        hayabusa("alias", "Channel: System, LogFileClearedChannel: Windows PowerShell"),
    ]);
    assert_eq!(hits(&rules, &log), [["the log that was cleared", "service", "hayabusa", "alias"]]);

    let log = forged(&[with_fields([
        ("ProcessID", 1234_u32.into()),
        ("Level", "body".into()),
        ("EventID", "9".into()),
    ])
    .execution(4, 8)]);
    let rules = all(&[
        one("body's process", ANY, "ProcessID: 1234"),
        one("system's process", ANY, "ProcessID: 4"),
        one("body's level", ANY, "Level: body"),
        one("system's id", ANY, "EventID: 77"),
        one("body's id", ANY, "EventID: 9"),
    ]);
    assert_eq!(hits(&rules, &log), [["body's process", "body's level", "system's id"]]);
}

/// A record without a channel, or with an empty one.
fn without_channel(provider: &str, element: Option<&str>) -> Fragment {
    let mut system = Element::new("System")
        .child(Element::new("Provider").attr("Name", provider.to_owned()))
        .child(Element::new("EventID").text("1"));
    if let Some(text) = element {
        let channel = Element::new("Channel");
        system =
            system.child(if text.is_empty() { channel } else { channel.text(text.to_owned()) });
    }
    let data = Element::new("Data").attr("Name", "CommandLine").text("evil.exe");
    let event = Element::new("Event").child(system).child(Element::new("EventData").child(data));
    Fragment::Plain(vec![event.into()])
}

#[test]
fn trap_22_records_without_a_channel_and_of_any_time() {
    let mut log = LogWriter::in_memory(forge::Options::new());
    for provider in ["Microsoft-Windows-Sysmon", "Microsoft-Windows-RPC"] {
        for channel in [None, Some("")] {
            log.push_fragment(at(), &without_channel(provider, channel)).unwrap();
        }
    }
    // Before Windows kept such logs, and before the epoch of Unix.
    let old = with_fields([("CommandLine", "evil.exe".into())]);
    for ticks in [0, 1, u64::MAX] {
        log.push(&old.clone().at(FileTime(ticks))).unwrap();
    }
    let rules = all(&[
        one("process", CREATION, "CommandLine: evil.exe"),
        one("any", ANY, "CommandLine|startswith: evil"),
        one("no channel", ANY, "Channel: null"),
        one("empty channel", ANY, "Channel: ''"),
    ]);
    let found = hits(&rules, &log.into_bytes().unwrap());
    assert_eq!(
        found,
        [
            vec!["process", "any", "no channel"],
            vec!["process", "any", "empty channel"],
            vec!["any", "no channel"],
            vec!["any", "empty channel"],
            vec!["any"],
            vec!["any"],
            vec!["any"],
        ]
    );
}

#[test]
fn trap_23_each_record_goes_by_its_own_channel() {
    let (process, parent) = shell();
    let mut log = LogWriter::in_memory(forge::Options::new());
    // With templates and in a chunk of its own: what refers to templates or names that stand in a
    // damaged record is lost with it.
    let first = with_fields([("F", "first".into())]).layout(forge::Layout::Literal);
    log.push(&first).unwrap();
    log.end_chunk().unwrap();
    log.push(&first).unwrap();
    log.push(&security::process_create(at(), &process, &parent)).unwrap();
    log.push(&system::service_installed(
        at(),
        &Account::new("CORP", "anna"),
        "svc",
        r"C:\evil.exe",
    ))
    .unwrap();
    log.push(&sysmon::process_create(at(), &process, &parent)).unwrap();
    let log = log.into_bytes().unwrap();
    let rules = all(&[
        one("process", CREATION, r"Image|endswith: '\cmd.exe'"),
        one("service", "product: windows, service: system", "EventID: 7045"),
    ]);
    let none = Vec::<&str>::new;
    let rest = [["process"], ["service"], ["process"]];
    assert_eq!(hits(&rules, &log)[..2], [none(), none()]);
    assert_eq!(hits(&rules, &log)[2..], rest);
    // The first record is damaged, in three ways; those after it are found, and the loss is told.
    for harm in 0..6 {
        let mut log = log.clone();
        let slot = usize::from(harm >= 4);
        let first = damage::chunk_offset(slot) + damage::record_offsets(&log, slot)[0];
        match harm {
            0 => damage::wipe_record(&mut log, 0, 0, 0xAA),
            1 => damage::break_chunk_magic(&mut log, 0),
            2 => log[first..first + 4].fill(0),
            3 => damage::chunk(&mut log, 0).fill(0x55),
            4 => log[first..first + 4].fill(0),
            _ => log[first + 24..first + 34].fill(0xFF),
        }
        let set = rule_set(&rules);
        let mut found = Vec::new();
        let sink =
            each_record(&mut Reader::default(), &log, |record| found.push(titles(&set, record)));
        let last = found.len().saturating_sub(3);
        assert_eq!(
            found.get(last..),
            Some(&rest.map(|t| t.map(str::to_owned).to_vec())[..]),
            "harm {harm}"
        );
        let found_fault = sink.chunks.iter().any(|chunk| !chunk.findings.is_empty());
        assert!(found_fault || !sink.damage.is_empty(), "harm {harm}");
    }
}

#[test]
fn trap_24_the_event_s_time_is_system_time() {
    let mut event = with_fields([("F", "x".into())]);
    event.written = Some(FileTime::literal("2026-03-02T23:30:00.0000000Z"));
    let log = forged(&[event]);
    let rules = all(&[
        one("hour", ANY, "SystemTime|hour: 10"),
        one("hour of the header", ANY, "SystemTime|hour: 23"),
        one("text", ANY, "TimeCreated_SystemTime|startswith: '2026-03-01T10:00:00.1234567'"),
        one("day of the header", ANY, "SystemTime|day: 2"),
    ]);
    assert_eq!(hits(&rules, &log), [["hour", "text"]]);
    each_record(&mut Reader::default(), &log, |record| {
        let mut text = Vec::new();
        assert!(record.first_text(record.layout().system().time, &mut text));
        assert_eq!(text, b"2026-03-01T10:00:00.1234567Z");
        assert_eq!(record.header_time(), FileTime::literal("2026-03-02T23:30:00.0000000Z").0);
    });
    let line = printed(&log, &one("any", ANY, "F: x"), "jsonl");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["timestamp"], "2026-03-01T10:00:00.1234567Z");
}

#[test]
fn trap_25_correlations_are_not_dropped_silently() {
    let text = "title: base\nname: base\nlogsource: {product: windows}\ndetection:\n  s: {F: x}\n  condition: s\n\
        ---\ntitle: many\nid: c0ffee00-0000-4000-8000-000000000000\ncorrelation:\n  type: event_count\n  rules: [base]\n  group-by: [User]\n  timespan: 5m\n  condition: {gte: 3}\n\
        ---\ntitle: counted\nlogsource: {product: windows}\ndetection:\n  s: {F: x}\n  timeframe: 5m\n  condition: s | count() by User > 5\n\
        ---\ntitle: filter\nlogsource: {product: windows}\nfilter:\n  rules: [base]\n  s: {User: admin}\n  condition: not s\n";
    let loaded = load_str("correlation.yml", text, &LoadOptions::default());
    let titles: Vec<_> = loaded.rules.iter().map(|r| r.title.as_str()).collect();
    assert_eq!(titles, ["base", "counted"]);
    let correlations: Vec<_> =
        loaded.correlations.iter().map(|c| (c.title.as_str(), &c.members[..])).collect();
    let base = [Member::Rule(0)];
    assert_eq!(correlations, [("counted", &[Member::Rule(1)][..]), ("many", &base[..])]);
    assert_eq!(loaded.filters[0].rules, FilterRules::These(vec![0]));
    assert_eq!((loaded.refused.len(), loaded.documents()), (0, 4));
    // Without the rule that it is about a correlation is refused, and says so.
    let loaded = load_str(
        "c.yml",
        &text.replace("title: base\nname: base", "title: other\nname: other"),
        &LoadOptions::default(),
    );
    let [refused] = loaded.refused.as_slice() else { panic!("{:?}", loaded.refused) };
    assert_eq!((refused.title.as_deref(), refused.origin.document), (Some("many"), 1));
    assert_eq!(refused.id.as_deref(), Some("c0ffee00-0000-4000-8000-000000000000"));
    assert!(refused.reason.contains("`base`") && refused.origin.line == 12, "{refused}");
    assert_eq!(loaded.documents(), 4);
}

#[test]
fn trap_26_other_rules_change_nothing() {
    // The rule is alone, then among many that share its fields, its literals or pieces of them.
    let mine = one(
        "mine",
        CREATION,
        r"CommandLine|contains: [' -enc ', hidden], Image|endswith: '\powershell.exe'",
    );
    let mut crowd = vec![mine.clone()];
    for n in 0..400 {
        let part = &" -enc hidden powershell.exe"[n % 20..n % 20 + 5];
        let field = ["CommandLine", "Image", "ParentImage", "User"][n % 4];
        let how = ["contains", "endswith", "startswith", "contains|cased"][n / 4 % 4];
        crowd.push(one(&format!("r{n}"), CREATION, &format!("{field}|{how}: '{part}'")));
        crowd.push(one(&format!("n{n}"), CREATION, &format!("{field}|neq: '{part}'")));
    }
    let (alone, among) = (rule_set(&mine), rule_set(&all(&crowd)));
    let image = r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe";
    for (line, image, want) in [
        ("powershell -enc AAAA", image, true),
        ("powershell -w HIDDEN", image, true),
        ("powershell -encode", image, false),
        ("powershell -enc AAAA", r"C:\x.exe", false),
        ("", image, false),
    ] {
        let event = Made::sysmon(1).data("Image", image).data("CommandLine", line);
        assert_eq!(titles(&alone, &event) == ["mine"], want, "{line}");
        assert_eq!(titles(&among, &event).iter().any(|t| t == "mine"), want, "{line}");
    }
}

#[test]
fn trap_27_field_references_ignore_case() {
    for (text, f, g, want) in [
        ("F|fieldref: G", "Anna", "ANNA", true),
        ("F|fieldref: G", "éa", "ÉA", true),
        ("F|fieldref|cased: G", "Anna", "ANNA", false),
        ("F|fieldref|cased: G", "Anna", "Anna", true),
        ("F|fieldref|endswith: G", r"C:\X\A.EXE", r"\a.exe", true),
        ("F|fieldref|startswith: G", "ABC", "ab", true),
        ("F|fieldref|contains: G", "xABCx", "abc", true),
        ("F|fieldref|contains|cased: G", "xABCx", "abc", false),
        ("F|fieldref|neq: G", "Anna", "ANNA", false),
        ("F|fieldref: Absent", "Anna", "ANNA", false),
        ("F|fieldref|neq: Absent", "Anna", "ANNA", true),
        // What the other field holds is text, not a pattern.
        ("F|fieldref: G", "abc", "a*c", false),
    ] {
        let event = Made::sysmon(1).data("F", f).data("G", g);
        assert_eq!(matches(&format!("s:\n  {text}\ncondition: s"), &event), want, "{text} {f} {g}");
    }
}

#[test]
fn trap_28_all_values_are_kept() {
    let double = with_fields([("F", "one".into()), ("F", "two".into()), ("G", "three".into())]);
    let array = with_fields([
        ("F", Value::strings(["one", "two", ""])),
        ("N", Value::Array(ValueType::UInt32, vec![1_u32.into(), 70_000_u32.into()])),
    ]);
    let complex =
        Element::new("ComplexData").attr("Name", "F").child(Element::new("Part").text("two"));
    let complex = with_fields([]).body(Body::Plain(vec![
        Element::new("EventData")
            .child(Element::new("Data").attr("Name", "F").text("one"))
            .child(complex)
            .into(),
    ]));
    let embedded = with_fields([(
        "F",
        Value::BinXml(Box::new(Fragment::Plain(vec![
            Element::new("Wrap").child(Element::new("Part").text("two")).into(),
        ]))),
    )]);
    let log = forged(&[double, array, complex, embedded]);
    let rules = all(&[
        one("first", ANY, "F: one"),
        one("second", ANY, "F: two"),
        one("both", ANY, "F|contains|all: [on, tw]"),
        one("joined", ANY, "F|contains: [onetwo, 'one,two', 'one two']"),
        one("number", ANY, "N: 70000"),
        one("empty too", ANY, "F: ''"),
        one("part", ANY, "Part: two"),
        rule("keyword", ANY, &["s: [two]"], "s"),
    ]);
    let found = hits(&rules, &log);
    assert_eq!(found[0], ["first", "second", "both", "keyword"]);
    assert_eq!(found[1], ["first", "second", "both", "number", "empty too", "keyword"]);
    assert_eq!(found[2], ["first", "part", "keyword"]);
    assert_eq!(found[3], ["part", "keyword"]);
}

/// An element in so many others.
fn nested(depth: usize) -> Element {
    let innermost = Element::new("Data").attr("Name", "F").text("deep");
    (0..depth).fold(innermost, |inner, _| Element::new("a").child(inner))
}

#[test]
fn trap_29_corrupt_structures_end_soon_and_are_told() {
    let good = with_fields([("F", "good".into())]);
    let deep = |depth| {
        let system = Element::new("System").child(Element::new("EventID").text("1"));
        let event = Element::new("Event").child(system).child(nested(depth));
        Fragment::Plain(vec![event.into()])
    };
    let mut log = LogWriter::in_memory(forge::Options::new());
    log.push(&good).unwrap();
    log.push_fragment(at(), &deep(1500)).unwrap();
    log.push_bytes(at(), &[0x0F, 1, 1, 0, 0x0C, 1]).unwrap();
    log.push_bytes(at(), &[]).unwrap();
    log.push_bytes(at(), &[0xFF; 64]).unwrap();
    log.push(&good).unwrap();
    log.end_chunk().unwrap();
    for _ in 0..3 {
        log.push(&good).unwrap();
    }
    let log = log.into_bytes().unwrap();
    let rules = one("good", ANY, "F: good");
    let count = |log: &[u8]| {
        let set = rule_set(&rules);
        let mut good = 0;
        let sink = each_record(&mut Reader::default(), log, |record| {
            good += titles(&set, record).len();
        });
        let counts = sink.counts();
        assert!(sink.damage.len() as u64 >= counts.unreadable + counts.gaps, "{counts:?}");
        let findings = sink.chunks.iter().filter(|c| !c.findings.is_empty()).count();
        (good, sink.damage.len() + findings)
    };
    assert_eq!(count(&log).0, 5);
    assert!(count(&log).1 >= 3, "three records are none");

    let chunk = damage::chunk_offset(0);
    let first = damage::record_offsets(&log, 0)[0];
    // The definition of the first template stands behind the first record's header and the token:
    // its offset to the next definition, and the size of its data.
    let token = chunk + first + 24 + 4;
    let definition = u32::from_le_bytes(log[token + 6..token + 10].try_into().unwrap());
    let harms: &[(&str, usize, &[u8])] = &[
        ("the free space is past the chunk", chunk + 48, &[0xFF; 4]),
        ("the free space is in the header", chunk + 48, &[1, 0, 0, 0]),
        ("the template's next is itself", chunk + definition as usize, &definition.to_le_bytes()),
        ("the template has no data", chunk + definition as usize + 20, &[0; 4]),
        ("the template is huge", chunk + definition as usize + 20, &[0xFF; 4]),
        ("the template is elsewhere", token + 6, &[0xF0, 0xFF, 0, 0]),
        ("the record's size is 0", chunk + first + 4, &[0; 4]),
        ("the record's size is huge", chunk + first + 4, &[0xFF; 4]),
        ("all string tables loop", chunk + 128, &[0; 256]),
        ("all templates point to the first record", chunk + 384, &[0x18, 2, 0, 0]),
    ];
    for (what, offset, bytes) in harms {
        let mut log = log.clone();
        log[*offset..*offset + bytes.len()].copy_from_slice(bytes);
        for reseal in [false, true] {
            if reseal && !what.starts_with("the free space") {
                damage::reseal_chunk(&mut log, 0);
            }
            let (good, told) = count(&log);
            assert!((3..=5).contains(&good), "{what}: {good}");
            assert!(told > 0 || good == 5, "{what}: lost without a word");
        }
    }
}

/// Runs the program over a log in a folder of its own, and gives what it prints.
fn printed(log: &[u8], rules: &str, format: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("log.evtx"), log).unwrap();
    std::fs::write(folder.path().join("rules.yml"), rules).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_harrier"))
        .args(["hunt", "log.evtx", "-r", "rules.yml", "-q", "--format"])
        .args(format.split(' '))
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn trap_30_text_of_evidence_is_safe_to_print() {
    const HOSTILE: &str = "a\u{1b}[2J\u{1b}]0;x\u{7}\r\nforged line\t\u{9b}31m\u{202e}fdp.exe\u{200b}\u{7f} =cmd|'/c calc'!A1 <script>\u{2028}\u{feff}";
    let mut event =
        with_fields([("F", Value::from(HOSTILE)), ("G\u{1b}[1m", "x".into())]).on(HOSTILE);
    event.provider.name = HOSTILE.into();
    let log = forged(&[event.clone(), event]);
    let rules = format!(
        "title: {}\nlogsource: {{product: windows}}\ndetection:\n  s: {{F|contains: forged}}\n  condition: s\n",
        serde_json::Value::from("red \u{1b}[31m title \u{202e}x")
    );
    for (format, header) in [
        ("table --wide", 1),
        ("csv --columns F,Computer,Rule", 1),
        ("markdown", 2),
        ("jsonl", 0),
        ("timesketch", 0),
        ("ecs", 0),
    ] {
        let text = printed(&log, &rules, format);
        let lines: Vec<&str> = text.split_terminator('\n').collect();
        assert_eq!(lines.len(), header + 2, "{format}: {text:?}");
        let bad = |c: char| c.is_control() || "\u{202e}\u{200b}\u{2028}\u{feff}".contains(c);
        assert!(!lines.iter().any(|line| line.contains(bad)), "{format}: {text:?}");
        // Nothing of it is lost: JSON gives the same text back.
        if header == 0 {
            let value: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
            assert!(value.to_string().contains(&serde_json::Value::from(HOSTILE).to_string()));
        } else {
            assert!(lines[header].contains("\\x1b"), "{text:?}");
        }
        if format == "markdown" {
            // In a code span, where it is no markup.
            let (before, _) = lines[header].split_once("<script>").unwrap();
            assert_eq!(before.matches('`').count() % 2, 1, "{text}");
        }
    }
    // A page's lines are its own: what the event says begins none.
    for line in printed(&log, &rules, "table").lines() {
        assert!(!line.trim_start().starts_with("forged line"), "{line}");
    }
    let formula = forged(&[with_fields([("F", Value::from("=forged|'/c calc'!A1"))])]);
    let text = printed(&formula, &rules, "csv --columns F");
    assert_eq!(text, "F\n'=forged|'/c calc'!A1\n");
}

/// The two lanes see the same in what the traps above are made of.
#[test]
fn the_lanes_read_odd_logs_alike() {
    let odd = with_fields([
        ("F", Value::Ansi(b"caf\xe9".to_vec())),
        ("G", Value::NullOf(ValueType::Guid)),
    ]);
    let log = forged(&[odd]);
    let fast = events(&log, Options::default());
    let slow = events(&log, Options { slow_only: true, ..Options::default() });
    assert_eq!(fast.len(), 1);
    for (a, b) in fast.iter().zip(&slow) {
        let fields = |e: &crate::support::logs::Kept| crate::evtx_support::fields(e);
        assert_eq!(fields(a), fields(b));
    }
}
