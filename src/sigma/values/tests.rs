//! Modifiers and values, from `Field|chain: value` as written to tests.

use crate::sigma::fault::{RefusalKind, Refused, WarningCode};
use crate::sigma::load::{LoadOptions, LoadedRules, load_str};
use crate::sigma::rule::{
    Comparison, Item, Node, NumberValue, Part, Pattern, Test, TextMatch, TimePart,
};

const HEAD: &str = "title: t\nlogsource: {product: windows}\ndetection:\n  condition: s\n  s:\n";

fn options() -> LoadOptions {
    let list = |values: &[&str]| values.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>();
    let mut options = LoadOptions::default();
    options.expand.insert("two".to_owned(), list(&["a", r"b*\?"]));
    options.expand.insert("one".to_owned(), list(&["x"]));
    options.expand.insert("none".to_owned(), Vec::new());
    options
}

/// Loads a rule whose section `s` is this text; it begins at line 6, column 5.
fn load(section: &str) -> LoadedRules {
    let indented: Vec<String> = section.lines().map(|line| format!("    {line}")).collect();
    load_str("t.yml", &format!("{HEAD}{}\n", indented.join("\n")), &options())
}

fn body(section: &str) -> Node {
    let mut loaded = load(section);
    assert!(loaded.refused.is_empty(), "{section}: {:?}", loaded.refused);
    let mut rule = loaded.rules.pop().expect("one rule");
    rule.detection.sections.pop().expect("one section").body
}

fn item(section: &str) -> Item {
    match body(section) {
        Node::Item(item) => item,
        other => panic!("{section}: {other:?}"),
    }
}

fn refused(section: &str) -> Refused {
    let mut loaded = load(section);
    assert!(loaded.rules.is_empty(), "{section} was accepted: {:?}", loaded.rules);
    assert_eq!(loaded.refused.len(), 1);
    loaded.refused.pop().expect("one refusal")
}

fn show_pattern(pattern: &Pattern) -> String {
    let one = |part: &Part| match part {
        Part::Literal(text) => format!("[{text}]"),
        Part::AnyRun => "*".to_owned(),
        Part::AnyChar => "?".to_owned(),
        Part::Dash => "-".to_owned(),
    };
    let parts: String = pattern.parts.iter().map(one).collect();
    if pattern.cased { format!("cased {parts}") } else { parts }
}

fn show_test(test: &Test) -> String {
    match test {
        Test::Null => "null".to_owned(),
        Test::Exists(wanted) => format!("exists {wanted}"),
        Test::Text(pattern) => show_pattern(pattern),
        Test::Number(number) => match number.value {
            NumberValue::Integer(value) => format!("int {value} {}", number.text),
            NumberValue::Float(value) => format!("float {value} {}", number.text),
        },
        Test::Regex(regex) => {
            let flag = |on, name| if on { name } else { "" };
            let flags = [
                flag(regex.ignore_case, "i"),
                flag(regex.multi_line, "m"),
                flag(regex.dot_all, "s"),
            ];
            format!("/{}/{}", regex.pattern, flags.concat())
        }
        Test::Cidr(net) => net.to_string(),
        Test::Compare(comparison, number) => format!("{} {}", sign(*comparison), number.text),
        Test::TimePart(part, comparison, value) => {
            format!("{part:?} {} {value}", sign(*comparison))
        }
        Test::FieldRef { field, how, cased } => {
            let cased = if *cased { " cased" } else { "" };
            format!("{how:?} {field}{cased}")
        }
        Test::AnyOf(tests) => {
            let tests: Vec<String> = tests.iter().map(show_test).collect();
            format!("({})", tests.join(" | "))
        }
    }
}

fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "=",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}

fn show(item: &Item) -> String {
    let values: Vec<String> = item.values.iter().map(show_test).collect();
    let all = if item.all { "all " } else { "" };
    let negated = if item.negated { "neq " } else { "" };
    format!("{negated}{all}{}", values.join(", "))
}

#[track_caller]
fn check(table: &[(&str, &str)]) {
    for (section, meaning) in table {
        assert_eq!(&show(&item(section)), meaning, "{section}");
    }
}

#[test]
fn values_without_modifiers() {
    check(&[
        ("F: abc", "[abc]"),
        ("F: 'a*c?'", "[a]*[c]?"),
        ("F: ''", ""),
        ("F: '*'", "*"),
        ("F: ' a '", "[ a ]"),
        (r"F: 'C:\Windows\*'", r"[C:\Windows*]"),
        (r#"F: "C:\\*""#, "[C:*]"),
        (r#"F: "C:\\\\*""#, r"[C:\]*"),
        ("F: 16", "int 16 16"),
        ("F: '16'", "[16]"),
        ("F: 0x10", "[0x10]"),
        ("F: 00000429", "[00000429]"),
        ("F: 1.10", "float 1.1 1.10"),
        ("F: null", "null"),
        ("F:", "null"),
        ("F: ~", "null"),
        ("F: 'null'", "[null]"),
        ("F: true", "[true]"),
        ("F: False", "[False]"),
        ("F: 2024-01-31", "[2024-01-31]"),
        ("F: [a, 1, null, '']", "[a], int 1 1, null, "),
        ("F: []", "null"),
        ("F: '-'", "[-]"),
    ]);
    // A lone dash is a list with nothing in it: null.
    assert_eq!(show(&item("F:\n  -")), "null");
}

#[test]
fn ends() {
    check(&[
        ("F|contains: a", "*[a]*"),
        ("F|startswith: a", "[a]*"),
        ("F|endswith: a", "*[a]"),
        (r"F|startswith: 'C:\Windows\'", r"[C:\Windows\]*"),
        (r"F|contains: '\*'", "*[*]*"),
        ("F|contains: '*a*'", "*[a]*"),
        ("F|contains: a*b", "*[a]*[b]*"),
        ("F|endswith: ''", "*"),
        ("F|contains: ''", "*"),
        ("F|contains: ' -enc '", "*[ -enc ]*"),
        ("F|startswith|endswith: a", "*[a]*"),
        // A number or boolean counts as it was written.
        ("F|contains: 1", "*[1]*"),
        ("F|contains: 1.10", "*[1.10]*"),
        ("F|contains: 00000429", "*[00000429]*"),
        ("F|startswith: TRUE", "[TRUE]*"),
        ("F|contains|all: [a, 2]", "all *[a]*, *[2]*"),
        ("F|all|contains: [a]", "all *[a]*"),
        ("F|all: a", "all [a]"),
        ("F|cased: Ab", "cased [Ab]"),
        ("F|contains|cased: Ab", "cased *[Ab]*"),
        ("F|cased|endswith: Ab", "cased *[Ab]"),
        ("F|cased: 5", "cased [5]"),
        ("F|neq: a", "neq [a]"),
        ("F|neq|contains: [a, b]", "neq *[a]*, *[b]*"),
        ("F|contains|all|neq: [a, b]", "neq all *[a]*, *[b]*"),
        ("F|neq: null", "neq null"),
        ("F|neq: 5", "neq int 5 5"),
    ]);
}

#[test]
fn windash_and_expand() {
    check(&[
        ("F|windash: -x", "-[x]"),
        ("F|windash|contains: ' -x'", "*[ ]-[x]*"),
        ("F|contains|windash: ' -x'", "*[ ]-[x]*"),
        ("F|endswith|windash: ' /x'", "*[ ]-[x]"),
        ("F|contains|all|windash: [-a, /b]", "all *-[a]*, *-[b]*"),
        ("F|windash: 5", "[5]"),
        ("F|expand: '%two%'", "([a] | [b]*[?])"),
        ("F|expand: 'p%two%-%one%'", "([pa-x] | [pb]*[?-x])"),
        ("F|expand|contains: '%one%'", "*[x]*"),
        ("F|contains|expand: '%two%'", "(*[a]* | *[b]*[?]*)"),
        (r"F|expand: '\%two%'", "[%two%]"),
        ("F|expand: plain", "[plain]"),
        ("F: '%two%'", "[%two%]"),
        ("F|all|expand|contains: ['%two%', z]", "all (*[a]* | *[b]*[?]*), *[z]*"),
        ("F|expand|windash: '-%one% /%one%'", "-[x ]-[x]"),
    ]);
}

#[test]
fn base64() {
    check(&[
        ("F|base64: foobar", "cased [Zm9vYmFy]"),
        ("F|base64: foo", "cased [Zm9v]"),
        ("F|base64: fo", "cased [Zm8=]"),
        (r"F|base64: 'a\*'", "cased [YSo=]"),
        ("F|base64|contains: foo", "cased *[Zm9v]*"),
        ("F|base64: 16", "cased [MTY=]"),
        (
            "F|base64offset|contains: foobar",
            "(cased *[Zm9vYmFy]* | cased *[Zvb2Jhc]* | cased *[mb29iYX]*)",
        ),
        ("F|wide|base64: a", "cased [YQA=]"),
        ("F|utf16le|base64: a", "cased [YQA=]"),
        ("F|utf16be|base64: a", "cased [AGE=]"),
        ("F|utf16|base64: a", "cased [//5hAA==]"),
        ("F|wide|base64|contains: é", "cased *[6QA=]*"),
        ("F|base64: é", "cased [w6k=]"),
        ("F|wide: ab", "[a\0b\0]"),
        ("F|wide: a*", "[a\0]*"),
        // windash before base64 stands for each of the dashes.
        (
            "F|windash|base64: -a",
            "(cased [LWE=] | cased [L2E=] | cased [4oCTYQ==] | cased [4oCUYQ==] | cased [4oCVYQ==])",
        ),
    ]);
}

/// Whatever stands before and behind a text, its base64 contains one of the three forms, and each
/// of the forms is needed.
#[test]
fn base64offset_finds_the_text_at_every_offset() {
    use ::base64::Engine as _;
    let encode = |bytes: &[u8]| ::base64::engine::general_purpose::STANDARD.encode(bytes);
    for text in ["foobar", "fooba", "foob", "http://", "é!", "ab", "xyz"] {
        for encoding in ["", "wide|"] {
            let item = item(&format!("F|{encoding}base64offset|contains: '{text}'"));
            let [Test::AnyOf(tests)] = item.values.as_slice() else { panic!("{item:?}") };
            let forms: Vec<&str> = tests
                .iter()
                .filter_map(|test| match test {
                    Test::Text(Pattern { parts, cased: true }) => match parts.as_slice() {
                        [Part::AnyRun, Part::Literal(text), Part::AnyRun] => Some(text.as_str()),
                        _ => None,
                    },
                    _ => None,
                })
                .collect();
            assert_eq!(forms.len(), 3, "{item:?}");
            let bytes: Vec<u8> = if encoding.is_empty() {
                text.bytes().collect()
            } else {
                text.encode_utf16().flat_map(u16::to_le_bytes).collect()
            };
            for before in 0..6 {
                for behind in 0..3 {
                    for filler in [0x00, 0x41, 0xFF] {
                        let mut all = vec![filler; before];
                        all.extend_from_slice(&bytes);
                        all.extend(std::iter::repeat_n(filler, behind));
                        let encoded = encode(&all);
                        let form = forms[before % 3];
                        assert!(
                            encoded.contains(form),
                            "{text} {before} {behind}: {encoded} {form}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn regular_expressions() {
    check(&[
        (r"F|re: '^a\\b[^\\]+$'", r"/^a\\b[^\\]+$/"),
        ("F|re: a*b", "/a*b/"),
        ("F|re|i: a", "/a/i"),
        ("F|re|i|m|s: a", "/a/ims"),
        ("F|re|ignorecase|multiline|dotall: a", "/a/ims"),
        ("F|re: (?i)a", "/(?i)a/"),
        ("F|re|contains: a", "/a/"),
        ("F|re|all: [a, b]", "all /a/, /b/"),
        ("F|all|re: [a, b]", "all /a/, /b/"),
        ("F|re|neq: a", "neq /a/"),
        ("F|re: 5", "/5/"),
        (r"F|re: '\<a\>'", "/<a>/"),
        (r"F|re: '\\\<a\\>'", r"/\\<a\\>/"),
        (r"F|re: '[\<\>]'", "/[<>]/"),
    ]);
}

#[test]
fn networks() {
    check(&[
        ("F|cidr: 10.0.0.0/8", "10.0.0.0/8"),
        ("F|cidr: 10.1.2.3", "10.1.2.3/32"),
        ("F|cidr: ::1", "::1/128"),
        ("F|cidr: 'fe80::/10'", "fe80::/10"),
        ("F|cidr: 10.1.2.3/8", "10.0.0.0/8"),
        ("F|cidr: '::ffff:10.0.0.0/104'", "10.0.0.0/8"),
        ("F|cidr: '::ffff:10.0.0.1'", "10.0.0.1/32"),
        ("F|cidr: [10.0.0.0/8, '::1/128']", "10.0.0.0/8, ::1/128"),
        ("F|cidr|neq: 10.0.0.0/8", "neq 10.0.0.0/8"),
    ]);
    let warnings = load("F|cidr: 10.1.2.3/8").warnings;
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].code, WarningCode::HostBits);
    assert_eq!((warnings[0].origin.line, warnings[0].origin.column), (6, 13));
    assert!(load("F|cidr: [10.0.0.0/8, 10.1.2.3]").warnings.is_empty());
}

#[test]
fn comparisons_and_times() {
    check(&[
        ("F|gt: 5", "> 5"),
        ("F|gte: -5", ">= -5"),
        ("F|lt: 5.5", "< 5.5"),
        ("F|lte: '10'", "<= 10"),
        ("F|gt: [1, 2]", "> 1, > 2"),
        ("F|gt|neq: 1", "neq > 1"),
        ("F|minute: 5", "Minute = 5"),
        ("F|hour: [1, 2]", "Hour = 1, Hour = 2"),
        ("F|day|gt: 5", "Day > 5"),
        ("F|week|gte: 5", "Week >= 5"),
        ("F|month|lt: 5", "Month < 5"),
        ("F|year|lte: 2026", "Year <= 2026"),
    ]);
    assert!(matches!(
        item("F|hour: 1").values.as_slice(),
        [Test::TimePart(TimePart::Hour, Comparison::Equal, 1)]
    ));
}

#[test]
fn existence_and_references() {
    check(&[
        ("F|exists: true", "exists true"),
        ("F|exists: false", "exists false"),
        ("F|fieldref: G", "Equals G"),
        ("F|fieldref: 'A B.c'", "Equals A B.c"),
        (r"F|fieldref: 'a\*'", "Equals a*"),
        ("F|fieldref|startswith: G", "StartsWith G"),
        ("F|fieldref|endswith: G", "EndsWith G"),
        ("F|fieldref|contains: G", "Contains G"),
        ("F|fieldref|neq: G", "neq Equals G"),
        ("F|fieldref|cased: G", "Equals G cased"),
        ("F|cased|fieldref|contains: G", "Contains G cased"),
        ("F|fieldref|all: [G, H]", "all Equals G, Equals H"),
        ("F|equalsfield: G", "Equals G"),
        ("F|endswithfield: G", "EndsWith G"),
    ]);
    let fold = item("F|fieldref: G");
    assert!(matches!(
        fold.values.as_slice(),
        [Test::FieldRef { how: TextMatch::Equals, cased: false, .. }]
    ));
}

#[test]
fn keywords() {
    check(&[
        ("- a\n- 'b*c'", "*[a]*, *[b]*[c]*"),
        ("a", "*[a]*"),
        ("- 5", "*[5]*"),
        ("- true", "*[true]*"),
        ("'|all':\n  - a\n  - b", "all *[a]*, *[b]*"),
        ("'|contains': a", "*[a]*"),
        ("'|contains|all': [a, b]", "all *[a]*, *[b]*"),
        ("'|re': a+", "/a+/"),
        ("'|cased': Ab", "cased *[Ab]*"),
        ("'|endswith': a", "*[a]"),
        ("'|base64': foo", "cased *[Zm9v]*"),
        ("'': a", "*[a]*"),
    ]);
    assert_eq!(item("- a\n- b").field, None);
    assert_eq!(item("'|all': [a]").modifiers, ["all"]);
}

#[test]
fn shapes_of_sections() {
    fn shape(node: &Node) -> String {
        let list = |nodes: &[Node]| nodes.iter().map(shape).collect::<Vec<_>>().join(" ");
        match node {
            Node::All(nodes) => format!("all({})", list(nodes)),
            Node::Any(nodes) => format!("any({})", list(nodes)),
            Node::Item(item) => {
                let field = item.field.as_deref().unwrap_or("keyword");
                format!("{field}={}", item.values.len())
            }
        }
    }
    let table = [
        ("A: 1", "A=1"),
        ("A: 1\nB: [1, 2]", "all(A=1 B=2)"),
        ("A|contains: 1\nA|endswith: 2", "all(A=1 A=1)"),
        ("- A: 1\n  B: 2\n- C: 3", "any(all(A=1 B=1) C=1)"),
        ("- A: 1", "A=1"),
        ("- a\n- b", "keyword=2"),
        ("- a\n- b\n- A: 1\n- c", "any(keyword=2 A=1 keyword=1)"),
        ("- - a\n  - A: 1\n- B: 2", "any(any(keyword=1 A=1) B=1)"),
        ("- - - a", "keyword=1"),
    ];
    for (section, expected) in table {
        assert_eq!(shape(&body(section)), expected, "{section}");
    }
    let item = item("Threat Name|contains|all: [a, b]");
    assert_eq!(item.field.as_deref(), Some("Threat Name"));
    assert_eq!(item.modifiers, ["contains", "all"]);
    assert_eq!((item.origin.line, item.origin.column), (6, 5));
}

#[test]
fn refusals_name_modifier_and_place() {
    let table = [
        // Unknown.
        ("F|frobnicate: a", 7, "unknown modifier `frobnicate`"),
        ("Field|contains|Contains: a", 20, "unknown modifier `Contains`"),
        ("'F|not': a", 8, "unknown modifier `not`"),
        ("'F|': a", 8, "empty modifier"),
        ("F|min_length: 5", 7, "`min_length` is Hayabusa's own"),
        ("F|regexes: x", 7, "`regexes` is Hayabusa's own"),
        ("F|allowlist: x", 7, "`allowlist` is Hayabusa's own"),
        // Order.
        ("F|contains|re: a", 16, "`re` needs the value as it is"),
        ("F|base64|re: a", 14, "`re` needs the value as it is"),
        ("F|windash|re: a", 15, "`re` needs the value as it is"),
        ("F|expand|cidr: a", 14, "`cidr` needs the value as it is"),
        ("F|contains|cidr: 10.0.0.0/8", 16, "`cidr` needs the value as it is"),
        ("F|contains|fieldref: G", 16, "`fieldref` needs the value as it is"),
        ("F|i: a", 7, "`i` is a flag of `re`"),
        ("F|contains|dotall: a", 16, "`dotall` is a flag of `re`"),
        ("F|i|re: a", 7, "`i` is a flag of `re`"),
        ("F|re|cased: a", 10, "`cased` does not go with `re`"),
        ("F|cased|re: a", 13, "`re` does not go with `cased`"),
        ("F|cidr|cased: 10.0.0.1", 12, "`cased` does not go with `cidr`"),
        ("F|cidr|contains: 10.0.0.1", 12, "`contains` does not go with `cidr`"),
        ("F|re|base64: a", 10, "`base64` does not go with `re`"),
        ("F|re|windash: a", 10, "`windash` does not go with `re`"),
        ("F|re|expand: a", 10, "`expand` does not go with `re`"),
        ("F|re|wide: a", 10, "`wide` does not go with `re`"),
        ("F|re|cidr: a", 10, "`cidr` does not go with `re`"),
        ("F|gt|hour: 5", 10, "`hour` does not go with a comparison"),
        ("F|gt|lt: 5", 10, "`lt` does not go with a comparison"),
        ("F|hour|gt|lt: 5", 15, "`lt` does not go with a part of a time"),
        ("F|hour|contains: 5", 12, "`contains` does not go with a part of a time"),
        ("F|contains|gt: 5", 16, "`gt` needs the value as it is"),
        ("F|contains|base64: a", 16, "`base64` has to stand before `contains`"),
        ("F|contains|wide|base64: a", 16, "`wide` has to stand before `contains`"),
        ("F|base64|wide: a", 14, "`wide` has to stand before `base64`"),
        ("F|wide|utf16be|base64: a", 12, "`utf16be` after another encoding"),
        ("F|base64|base64offset: a", 14, "exclude each other"),
        ("F|base64|expand: '%one%'", 14, "`expand` has to stand before"),
        ("F|fieldref|contains|endswith: G", 25, "`endswith` after another"),
        ("F|fieldref|windash: G", 16, "`windash` does not go with `fieldref`"),
        ("F|fieldref|re: G", 16, "`re` does not go with `fieldref`"),
        ("F|exists|neq: true", 14, "`exists` goes with no other modifier"),
        ("F|all|exists: true", 11, "`exists` goes with no other modifier"),
        // Values.
        ("F|contains: null", 17, "null does not go with a text modifier"),
        ("F|contains: [a, null]", 21, "null does not go with a text modifier"),
        ("F|contains: []", 17, "`F|contains` has an empty list"),
        ("F|re: null", 11, "`re` needs text, not null"),
        ("F|re: '('", 11, "invalid regular expression: unclosed group"),
        ("F|re: '(?=a)'", 11, "look-around"),
        ("F|re: 'a{1000}{1000}'", 11, "more than 10485760 bytes"),
        ("F|base64: 'a*'", 15, "base64 of a value with wildcards"),
        ("F|base64offset: 'a?b'", 21, "base64 of a value with wildcards"),
        ("F|base64offset|contains: a", 30, "too short for `base64offset`"),
        ("F|base64offset|contains: ''", 30, "too short for `base64offset`"),
        ("F|windash|base64: '-a -b -c -d -e -f'", 23, "too many flags for `windash`"),
        ("F|cidr: 10.0.0.0/33", 13, "`10.0.0.0/33` is no network address"),
        ("F|cidr: 10.0.0.*", 13, "is no network address"),
        ("F|cidr: ''", 13, "is no network address"),
        ("F|gt: five", 11, "`five` is not a number"),
        ("F|gt: 0x10", 11, "`0x10` is not a number"),
        ("F|gt: null", 11, "is not a number"),
        ("F|hour: 1.5", 13, "`1.5` is not a number"),
        ("F|year: 99999999999999999999", 13, "no part of a time is that large"),
        ("F|exists: 'true'", 15, "`exists` takes `true` or `false`"),
        ("F|exists: 1", 15, "`exists` takes `true` or `false`"),
        ("F|exists: [true]", 15, "`exists` takes one value"),
        ("F|fieldref: 'G*'", 17, "without wildcards"),
        ("F|fieldref: ''", 17, "needs the name of a field"),
        ("F|fieldref: null", 17, "`fieldref` needs text"),
        ("F|expand: '%none%'", 15, "placeholder is empty"),
        // Keywords.
        ("'|fieldref': G", 18, "needs a field"),
        ("'|exists': true", 16, "needs a field"),
        ("'|gt': 5", 12, "needs a field"),
        ("- null", 7, "null needs a field"),
        ("'|all': []", 13, "has an empty list"),
        // Shapes.
        ("F: {a: b}", 8, "`F` has a map where a value"),
        ("F: [a, [b]]", 12, "a list where a single value belongs"),
        ("F: [a, {b: c}]", 12, "a map where a single value belongs"),
        ("[]", 5, "an empty list"),
        ("{}", 5, "an empty map"),
        ("[a, {}]", 9, "an empty map"),
    ];
    for (section, column, reason) in table {
        let found = refused(section);
        assert!(found.reason.contains(reason), "{section}: {}", found.reason);
        let place = (found.origin.path(), found.origin.line, found.origin.column);
        assert_eq!(place, ("t.yml", 6, column), "{section}: {}", found.reason);
        assert_eq!(found.kind, RefusalKind::Error, "{section}");
        assert_eq!(found.title.as_deref(), Some("t"));
    }
}

#[test]
fn unresolved_placeholders() {
    let found = refused("F|expand: 'a%x%b%one%%y%'");
    assert_eq!(found.kind, RefusalKind::Placeholder);
    assert_eq!(found.reason, "no list of values is given for %x% and %y%");
    assert_eq!((found.origin.line, found.origin.column), (6, 15));
    let found = refused("F|contains|expand: ['%one%', '%DC-NAME%']");
    assert!(found.reason.contains("%DC-NAME%"), "{}", found.reason);
}

#[test]
fn expansion_is_capped() {
    let many: Vec<String> = (0..101).map(|i| i.to_string()).collect();
    let mut options = LoadOptions::default();
    options.expand.insert("m".to_owned(), many);
    let load =
        |value: &str| load_str("t.yml", &format!("{HEAD}    F|expand: '{value}'\n"), &options);
    assert_eq!(load("%m%").rules.len(), 1);
    let refused = load("%m%%m%").refused;
    assert!(refused[0].reason.contains("more than 10000 values"), "{refused:?}");
}

#[test]
fn oddities_are_warned_of() {
    let table = [
        ("F|contains|contains: a", WarningCode::RepeatedModifier, 16, "`contains` stands twice"),
        ("F|wide|utf16le|base64: a", WarningCode::RepeatedModifier, 12, "`utf16le`"),
        ("F|re|i|ignorecase: a", WarningCode::RepeatedModifier, 12, "`ignorecase`"),
        ("F|all|contains|all: [a, b]", WarningCode::RepeatedModifier, 20, "`all`"),
        ("F|wide: a", WarningCode::BareWide, 7, "UTF-16"),
        ("F|utf16|contains: a", WarningCode::BareWide, 7, "UTF-16"),
    ];
    for (section, code, column, text) in table {
        let loaded = load(section);
        assert_eq!(loaded.rules.len(), 1, "{section}: {:?}", loaded.refused);
        let [warning] = loaded.warnings.as_slice() else { panic!("{:?}", loaded.warnings) };
        assert_eq!((warning.code, warning.origin.column), (code, column), "{section}");
        assert!(warning.text.contains(text), "{}", warning.text);
    }
    assert!(load("F|wide|base64offset|contains: abc").warnings.is_empty());
}
