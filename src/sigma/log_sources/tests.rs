//! What entries say, and what is said of those that say something else.

use super::*;

fn read(entries: &str) -> LogSourceFile {
    let indented: String = entries.lines().map(|line| format!("  {line}\n")).collect();
    read_log_sources(format!("logsources:\n{indented}").as_bytes()).expect("a file")
}

fn one(entry: &str) -> LogSourceEntry {
    let file = read(entry);
    assert!(file.faults.is_empty(), "{entry}: {:?}", file.faults);
    let [entry] = <[_; 1]>::try_from(file.entries).expect("one entry");
    entry
}

fn named(product: &str, category: &str, service: &str) -> LogSource {
    let part = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    LogSource { product: part(product), category: part(category), service: part(service) }
}

#[test]
fn an_entry_says_what_where_and_by_which_names() {
    let entry = one("\
proc:
  category: Process_Creation
  product: windows
  conditions:
    EventID: [4688, '4689']
    Type: [A, null]
    Flag: true
  rewrite:
    service: security
  fieldmappings:
    Image: NewProcessName
    User: [SubjectUserName, TargetUserName]
");
    assert_eq!((entry.name.as_str(), entry.line), ("proc", 2));
    assert_eq!(entry.logsource, named("windows", "process_creation", ""));
    assert_eq!(entry.origin, EntryOrigin::Rewrite(named("windows", "", "security")));
    let conditions: Vec<_> = entry
        .conditions
        .iter()
        .map(|c| (&*c.field, c.line, c.values.join("+"), c.or_absent))
        .collect();
    assert_eq!(
        conditions,
        [
            ("EventID", 6, "4688+4689".to_owned(), false),
            ("Type", 7, "A".to_owned(), true),
            ("Flag", 8, "true".to_owned(), false),
        ]
    );
    let fields: Vec<_> =
        entry.fields.iter().map(|f| (&*f.name, f.line, f.targets.join("+"))).collect();
    assert_eq!(
        fields,
        [
            ("Image", 12, "NewProcessName".to_owned()),
            ("User", 13, "SubjectUserName+TargetUserName".to_owned()),
        ]
    );

    let entry = one("web:\n  category: web\n  sources: ['WinEventLog:A/B', 'File:/x/*.log']\n");
    let places = ["WinEventLog:A/B".to_owned(), "File:/x/*.log".to_owned()];
    assert_eq!(entry.origin, EntryOrigin::Sources(places.into()));
    assert_eq!(entry.logsource, named("", "web", ""));
    let entry = one("web:\n  service: s\n  product:\n  conditions:\n  sources: WinEventLog:A\n");
    assert_eq!(entry.origin, EntryOrigin::Sources(vec!["WinEventLog:A".to_owned()]));
    assert_eq!(entry.logsource, named("", "", "s"));
    // A rewrite has the entry's product unless it names one.
    let entry =
        one("a:\n  product: p\n  category: c\n  rewrite: {product: windows, category: d}\n");
    assert_eq!(entry.origin, EntryOrigin::Rewrite(named("windows", "d", "")));
}

#[test]
fn mappings_of_the_whole_file_are_every_entry_s() {
    let file = read_log_sources(
        b"title: t\norder: 20\nbackends: [x]\nfieldmappings: {a: b, C: d}\nlogsources:\n\
          \x20 x: {service: x, sources: 'WinEventLog:X', fieldmappings: {c: e}}\n\
          \x20 y: {service: y, sources: 'WinEventLog:Y'}\n",
    )
    .expect("a file");
    assert_eq!(file.faults, []);
    let names = |n: usize| -> Vec<String> {
        file.entries[n].fields.iter().map(|f| format!("{}={}", f.name, f.targets[0])).collect()
    };
    assert_eq!(names(0), ["c=e", "a=b"]);
    assert_eq!(names(1), ["a=b", "C=d"]);
}

#[test]
fn what_is_not_understood_is_told_with_its_line() {
    let rest = "sources: 'WinEventLog:A'";
    for (entry, place, want, lost) in [
        (
            "{service: s, index: i, SOURCES}",
            "index: i",
            "the key `index` is not known and ignored",
            false,
        ),
        (
            "{service: s, rewrite: {service: t, index: i}}",
            "index: i",
            "the key `index` is not",
            false,
        ),
        ("{service: s}", "x:", "`x`: it has neither `sources` nor `rewrite`", true),
        (
            "{service: s, SOURCES, rewrite: {service: t}}",
            "x:",
            "both `sources` and `rewrite`",
            true,
        ),
        ("{SOURCES}", "x:", "names no category, product or service", true),
        ("{service: '', SOURCES}", "'', ", "`service` is a single value, not text", true),
        ("{service: [s], SOURCES}", "[s]", "`service` is a list, not text", true),
        ("service", "service", "the entry is a single value, not a map", true),
        ("{service: s, rewrite: {}}", "{}}", "`rewrite` names no log source", true),
        ("{service: s, rewrite: t}", "t}", "`rewrite` is a single value, not a map", true),
        ("{service: s, sources: []}", "[]", "`sources`: the list is empty", true),
        ("{service: s, sources: [[a]]}", "[a]", "`sources` is a list, not text", true),
        ("{service: s, sources: [null]}", "null", "`sources` is nothing, not text", true),
        (
            "{service: s, SOURCES, conditions: [a]}",
            "[a]}",
            "`conditions` is a list, not a map",
            true,
        ),
        ("{service: s, SOURCES, conditions: {a|re: b}}", "a|re", "wants the name of a field", true),
        ("{service: s, SOURCES, conditions: {a: 'b*'}}", "'b*'", "wildcards in a condition", true),
        ("{service: s, SOURCES, conditions: {a: []}}", "[]", "a condition without a value", true),
        ("{service: s, SOURCES, conditions: {a: {b: c}}}", "{b", "of a condition is a map", true),
        (
            "{service: s, SOURCES, fieldmappings: {a: {b: c}}}",
            "{b",
            "name is a map, not text",
            true,
        ),
        ("{service: s, SOURCES, fieldmappings: {a: b, A: c}}", "A: c", "`A` is mapped twice", true),
        ("{service: s, SOURCES, fieldmappings: {'': b}}", "'': b", "a field without a name", true),
    ] {
        let entry = entry.replace("SOURCES", rest);
        let file = read(&format!("x: {entry}"));
        let [fault] = &file.faults[..] else { panic!("{entry}: {:?}", file.faults) };
        let said = fault.to_string();
        let text = format!("  x: {entry}");
        let there = &text[fault.column as usize - 1..];
        assert!(fault.line == 2 && there.starts_with(place), "{entry}: {said}");
        assert!(said.contains(want), "{entry}: {said}");
        assert_eq!((fault.entry_lost, file.entries.is_empty()), (lost, lost), "{entry}");
    }
}

#[test]
fn a_bad_entry_does_not_take_others_along() {
    let file = read("a: {service: a}\nb: {service: b, sources: 'WinEventLog:B'}\n");
    assert_eq!(file.entries.len(), 1);
    assert_eq!(file.faults.len(), 1);
}

#[test]
fn a_file_is_one_map_with_log_sources() {
    for (text, want) in [
        ("", "1:1: the file is empty"),
        ("- a\n", "1:1: the file is a list, not a map"),
        ("title: x\n", "1:1: there is no `logsources`"),
        ("logsources: x\n", "1:13: `logsources` is a single value, not a map"),
        ("logsources: {\n", "2:1: YAML: "),
        ("logsources:\n  a: {}\n  a: {}\n", "3:3: the key `a` stands twice"),
    ] {
        let error = read_log_sources(text.as_bytes()).expect_err(text).to_string();
        assert!(error.starts_with(want), "{text:?}: {error}");
    }
    assert!(read_log_sources(b"logsources: \xff").is_err());
    let file = read_log_sources(b"logsources: {}\nindex: x\n---\nlogsources: {}\n---\n[\n");
    let faults: Vec<String> =
        file.expect("a file").faults.iter().map(ToString::to_string).collect();
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert_eq!(faults[0], "2:1: the key `index` is not known and ignored");
    assert_eq!(faults[1], "4:1: a second document: only the first is read");
    assert!(faults[2].contains("YAML: "), "{faults:?}");
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, text: String) {
        let _ = read_log_sources(&bytes);
        let _ = read_log_sources(text.as_bytes());
        let _ = read_log_sources(format!("logsources:\n  x:\n    {text}").as_bytes());
    }
}
