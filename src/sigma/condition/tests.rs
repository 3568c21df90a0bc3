//! The grammar, its limits, and what it refuses and where.

use proptest::prelude::*;

use super::*;

const NAMES: [&str; 9] = [
    "selection",
    "filter_main",
    "filter_opt",
    "notepad",
    "_hidden",
    "_hidden2",
    "a.b-c",
    "order",
    "AND",
];

fn names() -> Names<'static> {
    Names::new(NAMES)
}

/// A condition with all parentheses, sections as their names.
fn show(condition: &Condition) -> String {
    let join = |terms: &[Condition], with: &str| {
        let terms: Vec<String> = terms.iter().map(show).collect();
        format!("({})", terms.join(with))
    };
    match condition {
        Condition::And(terms) => join(terms, " & "),
        Condition::Or(terms) => join(terms, " | "),
        Condition::Not(term) => format!("!{}", show(term)),
        Condition::Section(section) => NAMES[*section].to_owned(),
        Condition::AtLeast { count, sections, .. } => {
            let sections: Vec<&str> = sections.iter().map(|s| NAMES[*s]).collect();
            format!("{count}{{{}}}", sections.join(","))
        }
    }
}

#[test]
fn means() {
    let visible = "selection,filter_main,filter_opt,notepad,a.b-c,order,AND";
    let table = [
        ("selection", "selection".to_owned()),
        ("  selection\n", "selection".to_owned()),
        ("selection and not filter_main", "(selection & !filter_main)".to_owned()),
        ("selection or order and notepad", "(selection | (order & notepad))".to_owned()),
        ("(selection or order) and notepad", "((selection | order) & notepad)".to_owned()),
        ("not selection or order", "(!selection | order)".to_owned()),
        ("not (selection or order)", "!(selection | order)".to_owned()),
        ("not not selection", "selection".to_owned()),
        ("not not not selection", "!selection".to_owned()),
        ("selection and order and notepad", "(selection & order & notepad)".to_owned()),
        ("((selection))", "selection".to_owned()),
        ("not(selection)and(order)", "(!selection & order)".to_owned()),
        ("selection and\n   order\r\n\tor notepad", "((selection & order) | notepad)".to_owned()),
        // Words end at word borders.
        ("notepad", "notepad".to_owned()),
        ("order or notepad", "(order | notepad)".to_owned()),
        ("a.b-c", "a.b-c".to_owned()),
        ("_hidden", "_hidden".to_owned()),
        // Selectors.
        ("1 of filter_*", "1{filter_main,filter_opt}".to_owned()),
        ("any of filter_*", "1{filter_main,filter_opt}".to_owned()),
        ("all of filter_*", "2{filter_main,filter_opt}".to_owned()),
        ("2 of filter_*", "2{filter_main,filter_opt}".to_owned()),
        ("1 of them", format!("1{{{visible}}}")),
        ("all of them", format!("7{{{visible}}}")),
        ("1 of *", format!("1{{{visible}}}")),
        ("1 of selection", "1{selection}".to_owned()),
        ("all of selection", "1{selection}".to_owned()),
        ("1 of *_main", "1{filter_main}".to_owned()),
        ("1 of f*_*t", "1{filter_opt}".to_owned()),
        ("1 of *e*", "1{selection,filter_main,filter_opt,notepad,order}".to_owned()),
        ("1 of _*", "1{_hidden,_hidden2}".to_owned()),
        ("1 of _hidden*", "1{_hidden,_hidden2}".to_owned()),
        ("1 of *hidden", String::new()),
        ("not 1 of filter_*", "!1{filter_main,filter_opt}".to_owned()),
        (
            "1 of filter_* and selection or order",
            "((1{filter_main,filter_opt} & selection) | order)".to_owned(),
        ),
        // Upper case, as long as no section has the name.
        ("selection OR NOT order", "(selection | !order)".to_owned()),
        ("ALL OF filter_* Or order", "(2{filter_main,filter_opt} | order)".to_owned()),
        ("selection and AND", "(selection & AND)".to_owned()),
        ("not AND", "!AND".to_owned()),
    ];
    for (text, meaning) in table {
        let condition = parse(text, &names()).map(|(condition, _)| condition);
        if meaning.is_empty() {
            assert!(condition.is_err(), "{text}");
        } else {
            assert_eq!(condition.as_ref().map(show), Ok(meaning), "{text}");
        }
    }
}

#[test]
fn the_selector_is_kept_as_written() {
    let parsed = parse("not  1  of\n filter_*", &names());
    let Ok((Condition::Not(inner), None)) = parsed else { panic!("{parsed:?}") };
    let Condition::AtLeast { text, .. } = *inner else { panic!("{inner:?}") };
    assert_eq!(text, "1 of filter_*");
}

#[test]
fn refuses_with_the_place() {
    let table = [
        ("", 0, "ends where a name"),
        ("selection and", 13, "ends where a name"),
        ("selection order", 10, "expected `and` or `or` before `order`"),
        ("and selection", 0, "expected a name before `and`"),
        ("selection and or order", 14, "expected a name before `or`"),
        ("selection and x1", 14, "no section is named `x1`"),
        ("Selection", 0, "no section is named `Selection`"),
        ("selection and filter_*", 14, "a pattern needs `1 of`"),
        ("1 of filter2*", 5, "selects no section"),
        ("1 of Filter_*", 5, "selects no section"),
        ("not 1 of missing", 9, "selects no section"),
        ("1 of (selection)", 5, "behind `of`"),
        ("1 of", 4, "behind `of`"),
        ("some of them", 0, "before `of`: `some`"),
        ("selection of them", 0, "before `of`: `selection`"),
        ("99999999999999999999999999 of them", 0, "before `of`"),
        ("0 of them", 0, "`0 of` holds always"),
        ("3 of filter_*", 0, "can never hold"),
        ("(selection", 0, "never closed"),
        ("selection)", 9, "closes nothing"),
        ("()", 1, "expected a name before `)`"),
        ("selection and (order or)", 23, "expected a name before `)`"),
        ("(selection order)", 11, "expected `)` before `order`"),
        ("selection & order", 10, "`&` cannot stand"),
        ("'selection'", 0, "`\\'` cannot stand"),
        ("é and selection", 0, "no section is named `é`"),
        ("selection | count(x) by y", 25, "expected `by`, or one of"),
        ("nope | count() > 3", 0, "no section is named `nope`"),
        ("| count() > 3", 0, "ends where a name should be"),
        ("selection |", 10, "without an aggregation"),
        ("them", 0, "no section is named `them`"),
        ("all", 0, "no section is named `all`"),
        // A section named AND takes the word away from the operator.
        ("selection AND order", 10, "expected `and` or `or` before `AND`"),
    ];
    for (text, character, reason) in table {
        let Err(fault) = parse(text, &names()) else { panic!("accepted: {text}") };
        assert!(fault.reason.contains(reason), "{text}: {}", fault.reason);
        assert_eq!((fault.character, fault.not_supported), (character, false), "{text}");
    }
}

#[test]
fn what_is_counted_stands_behind_a_bar() {
    let parsed = parse("selection and\n not order | count(x) by y >= 3", &names());
    let Ok((Condition::And(_), Some(counted))) = parsed else { panic!("{parsed:?}") };
    assert_eq!((counted.field.as_deref(), counted.by), (Some("x"), vec!["y".to_owned()]));
    let Err(fault) = parse("selection | near order", &names()) else { panic!() };
    assert!(fault.not_supported && fault.reason.contains("`near`"), "{}", fault.reason);
    assert_eq!(fault.character, 12);
}

#[test]
fn nesting_and_length_are_capped() {
    let nested = |depth: usize| format!("{}selection{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse(&nested(MAX_NESTING), &names()).is_ok());
    assert!(parse(&nested(MAX_NESTING + 1), &names()).is_err());
    assert!(parse(&nested(7_000), &names()).is_err());
    let nots = format!("{}selection", "not ".repeat(4_000));
    assert_eq!(parse(&nots, &names()), Ok((Condition::Section(0), None)));
    assert!(parse(&"selection or ".repeat(2_000), &names()).is_err());
}

#[test]
fn patterns_over_names() {
    let table = [
        ("*", "", true),
        ("a*a", "a", false),
        ("a*a", "aa", true),
        ("a*b*c", "aXbYc", true),
        ("a*b*c", "acb", false),
        ("*b*b*", "b", false),
        ("**", "x", true),
        ("ab", "abc", false),
    ];
    for (pattern, name, fits) in table {
        assert_eq!(glob(pattern, name), fits, "{pattern} {name}");
    }
}

/// Indices and counts that the engine may rely on.
fn is_sound(condition: &Condition) -> bool {
    match condition {
        Condition::And(terms) | Condition::Or(terms) => {
            terms.len() > 1 && terms.iter().all(is_sound)
        }
        Condition::Not(term) => !matches!(**term, Condition::Not(_)) && is_sound(term),
        Condition::Section(section) => *section < NAMES.len(),
        Condition::AtLeast { count, sections, .. } => {
            (1..=sections.len()).contains(count) && sections.iter().all(|s| *s < NAMES.len())
        }
    }
}

proptest! {
    #[test]
    fn never_panics(text in any::<String>()) {
        if let Ok((condition, _)) = parse(&text, &names()) {
            prop_assert!(is_sound(&condition));
        }
    }

    #[test]
    fn never_panics_on_words(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "selection", "filter_*", "(", ")", "and", "or", "not", "1", "all", "of", "them",
                "notepad", "NOT", "|", "2", "\n", "é", "_*",
            ]),
            0..12,
        ),
    ) {
        let text = words.join(" ");
        match parse(&text, &names()) {
            Ok((condition, _)) => prop_assert!(is_sound(&condition)),
            Err(fault) => prop_assert!(fault.character <= text.chars().count()),
        }
    }

    /// A tree written out with all its parentheses is read as the same tree.
    #[test]
    fn reads_back_what_it_means(tree in tree()) {
        let parsed = parse(&written(&tree), &names());
        prop_assert_eq!(parsed.as_ref().map(|(parsed, _)| show(parsed)), Ok(show(&tree)));
    }
}

fn tree() -> impl Strategy<Value = Condition> {
    let leaf = (0..4_usize).prop_map(Condition::Section);
    leaf.prop_recursive(4, 24, 3, |inner| {
        let not = |c: Condition| match c {
            Condition::Not(c) => *c,
            c => Condition::Not(Box::new(c)),
        };
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Condition::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Condition::Or),
            inner.prop_map(not),
        ]
    })
}

fn written(tree: &Condition) -> String {
    let join = |terms: &[Condition], with: &str| {
        let terms: Vec<String> = terms.iter().map(|t| format!("({})", written(t))).collect();
        terms.join(with)
    };
    match tree {
        Condition::And(terms) => join(terms, " and "),
        Condition::Or(terms) => join(terms, " or "),
        Condition::Not(term) => format!("not ({})", written(term)),
        Condition::Section(section) => NAMES[*section].to_owned(),
        Condition::AtLeast { text, .. } => text.clone(),
    }
}
