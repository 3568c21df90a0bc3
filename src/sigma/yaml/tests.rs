//! Typing, places, faults and limits.

use super::*;

fn read(text: &str) -> Vec<(u32, Result<Yaml<'_>, Fault>)> {
    let source = Source::new(text);
    let mut all = Vec::new();
    documents(&source, |document| all.push((document.number, document.root)));
    all
}

fn one(text: &str) -> Yaml<'_> {
    let mut all = read(text);
    assert_eq!(all.len(), 1, "{text}");
    match all.pop() {
        Some((0, Ok(root))) => root,
        other => panic!("{text}: {other:?}"),
    }
}

/// The faults as `document line:column reason`.
fn faults(text: &str) -> Vec<String> {
    let show = |(number, root): (u32, Result<Yaml<'_>, Fault>)| {
        root.err().map(|f| format!("{number} {}:{} {}", f.at.line, f.at.column, f.reason))
    };
    read(text).into_iter().filter_map(show).collect()
}

#[test]
fn types_of_plain_scalars() {
    use Typed::{Bool, Float, Integer, Null, Text};
    let table = [
        ("", Null),
        ("~", Null),
        ("null", Null),
        ("NULL", Null),
        ("nULL", Text),
        ("true", Bool(true)),
        ("False", Bool(false)),
        ("yes", Text),
        ("off", Text),
        ("16", Integer(16)),
        ("-3", Integer(-3)),
        ("+3", Integer(3)),
        ("0", Integer(0)),
        ("-0", Integer(0)),
        ("00000429", Text),
        ("007", Text),
        ("0x1410", Text),
        ("0o17", Text),
        ("1_000", Text),
        ("1,5", Text),
        ("-", Text),
        ("+", Text),
        (".", Text),
        ("170141183460469231731687303715884105727", Integer(i128::MAX)),
        ("170141183460469231731687303715884105728", Text),
        ("1.10", Float(1.1)),
        ("-0.5", Float(-0.5)),
        (".5", Float(0.5)),
        ("1.", Text),
        ("1.5e3", Float(1500.0)),
        ("1.5E-3", Float(0.0015)),
        ("1.0e999", Text),
        ("12e4", Text),
        ("1.2.3", Text),
        ("10.0.0.0/8", Text),
        ("01.5", Text),
        (".inf", Text),
        (".nan", Text),
        ("1.5e", Text),
        ("2024-01-31", Text),
        ("2024/01/31", Text),
        ("12:30:45", Text),
        ("4688 ", Text),
        ("%x%", Text),
    ];
    for (text, typed) in table {
        assert_eq!(type_of(text), typed, "{text}");
    }
}

#[test]
fn scalars_keep_their_text_and_style() {
    let root = one("[1.10, '1.10', \"a\\tb\", 00000429, !!str 5, null, '']\n");
    let Kind::List(list) = &root.kind else { panic!("{root:?}") };
    let found: Vec<(&str, Style, Typed)> = list
        .iter()
        .filter_map(Yaml::scalar)
        .map(|s| (s.text.as_ref(), s.style, s.typed()))
        .collect();
    let expected = [
        ("1.10", Style::Plain, Typed::Float(1.1)),
        ("1.10", Style::Quoted, Typed::Text),
        ("a\tb", Style::Quoted, Typed::Text),
        ("00000429", Style::Plain, Typed::Text),
        ("5", Style::Quoted, Typed::Text),
        ("null", Style::Plain, Typed::Null),
        ("", Style::Quoted, Typed::Text),
    ];
    assert_eq!(found, expected);
}

#[test]
fn maps_keep_order_and_places() {
    let root = one("# comment\nb: 1\na:\n  - x\n  - é: y\nc:\n");
    let Kind::Map(entries) = &root.kind else { panic!("{root:?}") };
    let keys: Vec<(&str, u32, u32)> =
        entries.iter().map(|(k, _)| (k.text.as_ref(), k.at.line, k.at.column)).collect();
    assert_eq!(keys, [("b", 2, 1), ("a", 3, 1), ("c", 6, 1)]);
    let Some(Kind::List(list)) = root.get("a").map(|a| &a.kind) else { panic!("{root:?}") };
    let places: Vec<(u32, u32)> = list.iter().map(|i| (i.at.line, i.at.column)).collect();
    assert_eq!(places, [(4, 5), (5, 5)]);
    let y = list.get(1).and_then(|m| m.get("é")).expect("the value of é");
    assert_eq!((y.at.line, y.at.column, y.text()), (5, 8, Some("y")));
    assert!(root.get("c").is_some_and(Yaml::is_null));
}

#[test]
fn line_ends_and_tabs() {
    for text in ["a: 1\r\nb:\r\n  - 2\r\n", "a: 1\rb:\r  - 2\r", "a: 1\nb:\n  - 2"] {
        let root = one(text);
        let b = root.get("b").expect("b");
        let Kind::List(list) = &b.kind else { panic!("{text:?}") };
        let two = list.first().expect("an element");
        assert_eq!((two.at.line, two.at.column, two.text()), (3, 5, Some("2")), "{text:?}");
    }
    // Blanks at the end of a value in quotes stay, a tab after the colon is allowed.
    assert_eq!(one("a:\t' x '\t# c\n").get("a").and_then(Yaml::text), Some(" x "));
    let found = faults("a:\n\t- 1\n");
    assert!(found.len() == 1 && found[0].starts_with("0 2:"), "{found:?}");
}

#[test]
fn text_encodings() {
    let text = "title: é\n";
    let utf16 = |unit: fn(u16) -> [u8; 2], bom: [u8; 2]| -> Vec<u8> {
        bom.into_iter().chain(text.encode_utf16().flat_map(unit)).collect()
    };
    let cases = [
        text.as_bytes().to_vec(),
        [&[0xEF, 0xBB, 0xBF], text.as_bytes()].concat(),
        utf16(u16::to_le_bytes, [0xFF, 0xFE]),
        utf16(u16::to_be_bytes, [0xFE, 0xFF]),
    ];
    for bytes in cases {
        assert_eq!(decode(&bytes).as_deref(), Ok(text), "{bytes:x?}");
    }
    let table: [(&[u8], u32, u32, &str); 7] = [
        (b"ab\ncd\xFFe", 2, 3, "not UTF-8 text: invalid byte at offset 5"),
        (b"\xEF\xBB\xBFab\xC3", 1, 3, "not UTF-8 text: invalid byte at offset 5"),
        (b"a: 1\nb\0c", 2, 2, "NUL"),
        (b"t\0i\0t\0", 1, 2, "NUL"),
        (b"\xFF\xFEa\0\0", 1, 2, "odd number of bytes"),
        (b"\xFF\xFEa\0\x00\xD8b\0", 1, 2, "lone surrogate at offset 4"),
        (b"\xFE\xFF\xDC\x00", 1, 1, "lone surrogate at offset 2"),
    ];
    for (bytes, line, column, reason) in table {
        let fault = decode(bytes).expect_err("refused");
        assert_eq!((fault.at.line, fault.at.column), (line, column), "{bytes:x?}");
        assert!(fault.reason.contains(reason), "{}", fault.reason);
    }
}

#[test]
fn the_same_key_twice() {
    assert_eq!(
        faults("a: 1\nb:\n  c: 1\n  'c': 2\n"),
        ["0 4:3 the key `c` stands twice in one map"]
    );
    assert!(faults("a: 1\nb:\n  a: 2\nc:\n  - a: 1\n  - a: 2\n").is_empty());
    let mut many: String = (0..1000).map(|i| format!("k{i}: 1\n")).collect();
    assert!(faults(&many).is_empty());
    many.push_str("k3: 2\n");
    assert_eq!(faults(&many), ["0 1001:1 the key `k3` stands twice in one map"]);
}

#[test]
fn what_is_refused_by_name() {
    let table = [
        ("? [a]\n: b\n", "0 1:3 a map or list as a key"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", "0 3:3 merge keys"),
        ("a: !!int '3'\n", "0 1:4 the YAML tag"),
        ("a: !mine 3\n", "0 1:4 the YAML tag"),
        ("a: !mine [1]\n", "0 1:4 the YAML tag"),
        ("a: &x [*x]\n", "0 1:8 an alias inside the node"),
        ("a: *nobody\n", "0 1:4 YAML: "),
        ("a: [1\nb: 2\n", "YAML: "),
        ("a: 'x\n", "YAML: "),
        ("a: b: c\n", "0 1:5 YAML: "),
        ("a: 1\n b: 2\n", "YAML: "),
        ("@x\n", "0 1:1 YAML: "),
    ];
    for (text, expected) in table {
        let found = faults(text);
        assert!(found.len() == 1 && found[0].contains(expected), "{text:?}: {found:?}");
    }
}

#[test]
fn aliases_are_copies() {
    let root = one("a: &x [1, 2]\nb: *x\nc: &k key\n*k : v\n");
    let Some(Kind::List(list)) = root.get("b").map(|b| &b.kind) else { panic!("{root:?}") };
    assert_eq!(list.iter().filter_map(Yaml::text).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(root.get("key").and_then(Yaml::text), Some("v"));
}

#[test]
fn a_billion_laughs_ends_early() {
    let mut text = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..30 {
        let copies = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{copies}]\n"));
    }
    let found = faults(&text);
    assert!(found.len() == 1 && found[0].contains("more than 500000 values"), "{found:?}");
    // The same with few nodes and much text.
    let long = "x".repeat(1 << 20);
    let copies = "*l, ".repeat(1000);
    let found = faults(&format!("a: &l \"\\t{long}\"\nb: [{copies}]\n"));
    assert!(found.len() == 1 && found[0].contains("more than 500000 values"), "{found:?}");
}

#[test]
fn depth_is_capped() {
    let nested = |depth: usize| format!("a: {}{}\n", "[".repeat(depth), "]".repeat(depth));
    assert!(faults(&nested(MAX_DEPTH - 1)).is_empty());
    assert_eq!(faults(&nested(MAX_DEPTH)), ["0 1:67 maps and lists nested deeper than 64"]);
    for deep in ["[".repeat(100_000), "{a: ".repeat(50_000), "- ".repeat(50_000)] {
        let found = faults(&deep);
        assert!(found.len() == 1, "{found:?}");
    }
    // By aliases: each level doubles.
    let mut text = "a0: &a0 [x]\n".to_owned();
    for level in 1..70 {
        text.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    assert!(faults(&text)[0].contains("nested deeper"), "{:?}", faults(&text));
}

#[test]
fn documents_are_numbered_and_empty_ones_left_out() {
    let numbers = |text: &str| -> Vec<u32> { read(text).iter().map(|(n, _)| *n).collect() };
    assert_eq!(numbers(""), [] as [u32; 0]);
    assert_eq!(numbers("# only a comment\n"), [] as [u32; 0]);
    assert_eq!(numbers("a: 1\n---\nb: 2\n"), [0, 1]);
    assert_eq!(numbers("---\na: 1\n---\n---\nb: 2\n---\n"), [0, 2]);
    assert_eq!(numbers("a: 1\n...\n---\nb: 2\n...\n"), [0, 1]);
}

#[test]
fn a_broken_document_does_not_take_others_along() {
    let texts = [
        "a: 1\n---\nb: [1\n---\nc: 3\n",
        "a: 1\n---\nb: 'x\n---\nc: 3\n",
        "a: 1\n---\nb: 1\nb: 2\n---\nc: 3\n",
        "a: 1\n---\n@\n---\nc: 3\n",
        "a: 1\n---\n\tb\n  c\n: d\n---\nc: 3\n",
        "a: 1\n--- }\nx\n---\nc: 3\n",
    ];
    for text in texts {
        let all = read(text);
        let good = |root: &Result<Yaml<'_>, Fault>, key: &str| {
            root.as_ref().is_ok_and(|root| root.get(key).is_some())
        };
        assert!(all.first().is_some_and(|(n, root)| *n == 0 && good(root, "a")), "{text}: {all:?}");
        assert!(all.last().is_some_and(|(_, root)| good(root, "c")), "{text}: {all:?}");
        let bad: Vec<u32> =
            all.iter().filter_map(|(_, r)| r.as_ref().err()).map(|f| f.at.line).collect();
        assert!(!bad.is_empty() && bad.iter().all(|l| (2..=5).contains(l)), "{text}: {bad:?}");
        let c = all.last().and_then(|(_, r)| r.as_ref().ok()).expect("the last document");
        let line = u32::try_from(text.lines().count()).expect("few lines");
        assert_eq!(c.at.line, line, "{text}");
    }
}

#[test]
fn a_lost_action_is_noticed() {
    let had_action = |text: &str| {
        let source = Source::new(text);
        let mut found = Vec::new();
        documents(&source, |d| found.push((d.root.is_ok(), d.had_action)));
        found
    };
    assert_eq!(had_action("action: global\na: [\n---\nb: 1\n"), [(false, true), (true, false)]);
    assert_eq!(
        had_action("a: 1\na: 2\naction: global\n---\nb: 1\n"),
        [(false, true), (true, false)]
    );
    assert_eq!(had_action("a: [\n---\naction: global\n"), [(false, false), (true, false)]);
}

#[test]
fn documents_are_capped() {
    let found = faults(&"--- 1\n".repeat(100_010));
    assert_eq!(found.len(), 1);
    assert!(found[0].contains("more than 100000 documents"), "{found:?}");
    // Each of very many broken documents is told of, in linear time.
    assert_eq!(faults(&"--- [\n".repeat(20_000)).len(), 20_000);
}

#[test]
fn places_inside_scalars() {
    // Each text has the word `here`, whose place in the value is asked for.
    let texts = [
        "k: a and here\n",
        "k: 'a and here'\n",
        "k: \"a and here\"\n",
        "k: a and\n   b or\n\n   here\n",
        "k: >\n  a and\n  b here\n",
        "k: |-\n    a and\n    (here)\n",
        "k: |  # comment\n\n    a and\n\n    here\n",
        "k:\n  |\n  here\n",
        "k:\n    a and here\n",
        "k:\r\n  - é and\r\n    here\r\n",
        "# é\nk: { x: é here }\n",
    ];
    for text in texts {
        let source = Source::new(text);
        let mut place = None;
        documents(&source, |document| {
            let root = document.root.expect("valid");
            let node = root.get("k").expect("k");
            let node = match &node.kind {
                Kind::List(list) => list.first().expect("an element"),
                Kind::Map(_) => node.get("x").expect("x"),
                Kind::Scalar(_) => node,
            };
            let scalar = node.scalar().expect("a scalar");
            let value = &scalar.text;
            let offset = value.find("here").expect("the word");
            let character = value.char_indices().take_while(|(o, _)| *o < offset).count();
            place = Some(source.place_in(scalar, node.at, character));
        });
        let expected = at_offset(text, text.find("here").expect("the word"));
        assert_eq!(place, Some(expected), "{text:?}");
    }
}
