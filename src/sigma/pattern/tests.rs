//! The table of escapes, row by row, and what modifiers do to parsed values.

use proptest::prelude::*;

use super::*;

/// A pattern in one line: literals in brackets.
fn show(parts: &[Part]) -> String {
    let one = |part: &Part| match part {
        Part::Literal(text) => format!("[{text}]"),
        Part::AnyRun => "*".to_owned(),
        Part::AnyChar => "?".to_owned(),
        Part::Dash => "-".to_owned(),
    };
    parts.iter().map(one).collect()
}

#[test]
fn escapes() {
    let table = [
        (r"\*", r"[*]"),
        (r"\\*", r"[\]*"),
        (r"\\\*", r"[\*]"),
        (r"\\\\*", r"[\\]*"),
        (r"\\srv\s", r"[\srv\s]"),
        (r"\\\\srv\s", r"[\\srv\s]"),
        (r"\\\\\*\\IPC$", r"[\\*\IPC$]"),
        (r"a\", r"[a\]"),
        (r"a\\", r"[a\]"),
        (r"a\\\", r"[a\\]"),
        (r"a\\\\", r"[a\\]"),
        (r"C:\Windows\x", r"[C:\Windows\x]"),
        (r"C:\*\x", r"[C:*\x]"),
        (r"C:\\*\x", r"[C:\]*[\x]"),
        (r"\\?\C:", r"[\]?[\C:]"),
        (r"\\\?", r"[\?]"),
        (r"\?", r"[?]"),
        // Neighbours of the rows above.
        ("", ""),
        ("*", "*"),
        ("**", "*"),
        ("*?*", "*?*"),
        ("??", "??"),
        (r"\", r"[\]"),
        (r"\\", r"[\]"),
        (r"\%x%", r"[\%x%]"),
        ("100%", "[100%]"),
        ("é*ü?", "[é]*[ü]?"),
        (" a ", "[ a ]"),
        ("a\n*", "[a\n]*"),
    ];
    for (text, meaning) in table {
        assert_eq!(show(&parse(text)), meaning, "{text}");
    }
}

#[test]
fn wildcards_are_added_to_the_parsed_value() {
    let table = [
        (r"C:\Windows\", false, true, r"[C:\Windows\]*"),
        (r"C:\Windows\\*", false, true, r"[C:\Windows\]*"),
        (r"C:\Windows\*", false, true, r"[C:\Windows*]*"),
        (r"\cmd.exe", true, false, r"*[\cmd.exe]"),
        ("*a*", true, true, "*[a]*"),
        ("a*b", true, true, "*[a]*[b]*"),
        ("?a", true, false, "*?[a]"),
        ("", true, true, "*"),
        ("*", true, true, "*"),
        ("", false, false, ""),
    ];
    for (text, leading, trailing, meaning) in table {
        let mut parts = parse(text);
        open_ends(&mut parts, leading, trailing);
        assert_eq!(show(&parts), meaning, "{text}");
    }
}

#[test]
fn dashes_that_start_a_flag() {
    let table = [
        ("-x", "-[x]"),
        ("/x", "-[x]"),
        (" -enc ", "[ ]-[enc ]"),
        ("a-b", "[a-b]"),
        ("a -b-c /d", "[a ]-[b-c ]-[d]"),
        ("--x", "[-]-[x]"),
        ("-", "[-]"),
        ("- x", "[- x]"),
        ("/-x", "[/]-[x]"),
        ("_-x", "[_-x]"),
        ("é-x", "[é-x]"),
        ("\u{2013}x", "-[x]"),
        (" \u{2014}x \u{2015}y", "[ ]-[x ]-[y]"),
        // A wildcard is no word character.
        ("a*-x", "[a]*-[x]"),
        ("-*x", "[-]*[x]"),
    ];
    for (text, meaning) in table {
        assert_eq!(show(&windash(parse(text))), meaning, "{text}");
    }
}

#[test]
fn placeholders() {
    let show = |text: &str| -> String {
        parse_placeholders(text)
            .iter()
            .map(|piece| match piece {
                Piece::Part(part) => show(std::slice::from_ref(part)),
                Piece::Placeholder(name) => format!("<{name}>"),
            })
            .collect()
    };
    let table = [
        ("%a%", "<a>"),
        ("x%a%y%b-c.d%", "[x]<a>[y]<b-c.d>"),
        (r"\%a%", "[%a%]"),
        (r"\\%a%", r"[\]<a>"),
        ("%a b%", "[%a b%]"),
        ("100%", "[100%]"),
        ("%%", "[%%]"),
        ("%%a%", "[%]<a>"),
        ("*%a%?", "*<a>?"),
    ];
    for (text, meaning) in table {
        assert_eq!(show(text), meaning, "{text}");
    }
}

#[test]
fn texts_of_values_without_wildcards() {
    assert_eq!(texts(&parse("abc"), 1), Some(vec!["abc".to_owned()]));
    assert_eq!(texts(&parse(""), 1), Some(vec![String::new()]));
    assert_eq!(texts(&parse("a*"), 9), None);
    assert_eq!(texts(&windash(parse("-a /b")), 24), None);
    let all = texts(&windash(parse("-a /b")), 25).unwrap_or_default();
    assert_eq!(all.len(), 25);
    assert!(all.contains(&"-a -b".to_owned()) && all.contains(&"\u{2015}a /b".to_owned()));
}

proptest! {
    /// Whatever a text is, its escaped form means exactly it.
    #[test]
    fn escaped_text_is_that_text(text in any::<String>()) {
        let expected: Vec<Part> =
            if text.is_empty() { Vec::new() } else { vec![Part::Literal(text.clone())] };
        prop_assert_eq!(parse(&escape(&text)), expected);
    }

    /// Texts made of the characters that matter keep the promised form.
    #[test]
    fn patterns_are_in_normal_form(text in r"[\\*?%a-]{0,12}") {
        let mut parts = windash(parse(&text));
        open_ends(&mut parts, true, true);
        for pair in parts.windows(2) {
            let bad = matches!(
                pair,
                [Part::Literal(_), Part::Literal(_)] | [Part::AnyRun, Part::AnyRun]
            );
            prop_assert!(!bad, "{:?}", parts);
        }
        prop_assert!(!parts.contains(&Part::Literal(String::new())));
    }

    /// An independent reading of the rules: remove escapes from the right.
    #[test]
    fn agrees_with_a_character_by_character_reading(text in r"[\\*?ab]{0,10}") {
        let mut expected = Vec::new();
        let mut characters = text.chars().peekable();
        while let Some(c) = characters.next() {
            let part = match (c, characters.peek()) {
                ('\\', Some(&next @ ('\\' | '*' | '?'))) => {
                    characters.next();
                    Part::Literal(next.to_string())
                }
                ('*', _) => Part::AnyRun,
                ('?', _) => Part::AnyChar,
                (c, _) => Part::Literal(c.to_string()),
            };
            push(&mut expected, part);
        }
        prop_assert_eq!(parse(&text), expected);
    }
}
