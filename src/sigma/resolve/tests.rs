//! References over documents, files and loads.

use crate::sigma::{
    CorrelationKind, FilterRules, LoadOptions, LoadedRules, Member, RefusalKind, WarningCode,
    load_str,
};

fn rule(name: &str, more: &str) -> String {
    format!(
        "title: Title of {name}\nname: {name}\nid: id-{name}\n{more}logsource: {{product: windows}}\n\
         detection: {{s: {{F: x}}, condition: s}}\n---\n"
    )
}

fn correlation(name: &str, rules: &str) -> String {
    format!(
        "title: Title of {name}\nname: {name}\ncorrelation:\n  type: temporal\n  rules: [{rules}]\n  \
         timespan: 5m\n---\n"
    )
}

fn load(text: &str) -> LoadedRules {
    load_str("t.yml", text, &LoadOptions::default())
}

fn members(loaded: &LoadedRules) -> Vec<(&str, &[Member])> {
    loaded.correlations.iter().map(|c| (c.name.as_deref().unwrap_or(""), &*c.members)).collect()
}

#[test]
fn correlations_stand_behind_what_they_refer_to() {
    use Member::{Correlation as C, Rule as R};
    let text = [
        correlation("top", "middle, a"),
        rule("a", ""),
        correlation("middle", "ID-B, Title of low"),
        correlation("low", "a, b"),
        rule("b", ""),
    ];
    let loaded = load(&text.concat());
    assert!(loaded.refused.is_empty(), "{:?}", loaded.refused);
    let want = [("low", &[R(0), R(1)][..]), ("middle", &[R(1), C(0)]), ("top", &[C(1), R(0)])];
    assert_eq!(members(&loaded), want);
    assert_eq!(loaded.correlations[0].range.len(), 1);
    assert_eq!(loaded.documents(), 5);
}

#[test]
fn an_aggregation_is_referred_to_by_its_rule() {
    let counted = rule("counted", "").replace("condition: s", "condition: s | count() > 3");
    let loaded = load(&[correlation("c", "counted, a"), rule("a", ""), counted].concat());
    assert!(loaded.refused.is_empty(), "{:?}", loaded.refused);
    assert_eq!(
        members(&loaded),
        [("counted", &[Member::Rule(1)][..]), ("c", &[Member::Correlation(0), Member::Rule(0)])]
    );
    assert_eq!(loaded.correlations[0].kind, CorrelationKind::EventCount);
}

#[test]
fn what_refers_to_what_is_not_there_is_refused_and_all_else_stays() {
    let bad = rule("bad", "level: grave\n");
    let old = rule("old", "status: deprecated\n");
    let waiting = rule("waiting", "").replace("F: x", "F|expand: '%list%'");
    let text = [
        rule("a", ""),
        bad,
        old,
        waiting,
        correlation("one", "a, bad"),
        correlation("two", "old, a"),
        correlation("three", "waiting"),
        correlation("four", "a, nowhere"),
        correlation("five", "one"),
        correlation("six", "a"),
        correlation("seven", "seven"),
        correlation("eight", "nine"),
        correlation("nine", "ten"),
        correlation("ten", "eight"),
    ];
    let loaded = load(&text.concat());
    assert_eq!(members(&loaded), [("six", &[Member::Rule(0)][..])]);
    assert_eq!(loaded.documents(), 14);
    let refused: Vec<_> = loaded
        .refused
        .iter()
        .filter(|refused| refused.title.as_deref().is_some_and(|title| title.len() > 11))
        .map(|r| (r.name.as_deref().unwrap_or(""), r.kind, r.origin.column, r.reason.as_str()))
        .filter(|(name, ..)| !["bad", "old", "waiting"].contains(name))
        .collect();
    use RefusalKind::{Error, Placeholder, Status};
    let lost =
        |name: &str, why: &str| format!("it refers to `{name}`, which was not loaded: {why}");
    let level = "the level `grave` is not one of Sigma's";
    let back = |name: &str| format!("it refers to `{name}`, which refers back to it");
    let want = [
        ("one", Error, 14, lost("bad", level)),
        (
            "two",
            Status,
            11,
            lost("old", "the rule is deprecated, and such rules were not asked for"),
        ),
        ("three", Placeholder, 11, lost("waiting", "no list of values is given for %list%")),
        (
            "four",
            Error,
            14,
            "it refers to `nowhere`, and no rule has this id, name or title".to_owned(),
        ),
        ("five", Error, 11, lost("one", &lost("bad", level))),
        ("seven", Error, 11, back("seven")),
        ("ten", Error, 11, back("eight")),
        ("nine", Error, 11, lost("ten", &back("eight"))),
        ("eight", Error, 11, lost("nine", &back("eight"))),
    ];
    let want: Vec<_> = want.iter().map(|(n, k, c, r)| (*n, *k, *c, r.as_str())).collect();
    assert_eq!(refused, want);
}

#[test]
fn names_that_several_have_are_ambiguous() {
    let two = [rule("a", ""), rule("a", "").replace("id-a", "id-2"), correlation("c", "a")];
    let loaded = load(&two.concat());
    let [refused] = loaded.refused.as_slice() else { panic!("{loaded:?}") };
    assert!(
        refused.reason.contains("2 rules are called: at t.yml:1:1, at t.yml:7:1"),
        "{}",
        refused.reason
    );
    // An id decides, a name is before a title, and one that is loaded before one that is not.
    let id = load(&[&two[0], &*two[1], &correlation("c", "id-2")].concat());
    assert_eq!(members(&id), [("c", &[Member::Rule(1)][..])]);
    let title = rule("b", "").replace("Title of b", "a");
    let loaded = load(&[title, rule("a", ""), correlation("c", "a")].concat());
    assert_eq!(members(&loaded), [("c", &[Member::Rule(1)][..])]);
    let lost = rule("a", "level: grave\n");
    let loaded = load(&[lost, rule("a", ""), correlation("c", "a")].concat());
    assert_eq!(members(&loaded), [("c", &[Member::Rule(0)][..])]);
    // A correlation that is called like its rule means the rule.
    let same = correlation("c", "Title of a").replace("Title of c", "Title of a");
    assert_eq!(members(&load(&[rule("a", ""), same].concat())), [("c", &[Member::Rule(0)][..])]);
}

#[test]
fn references_reach_over_files_and_loads() {
    let options = LoadOptions::default();
    let counting = load_str("c.yml", &correlation("c", "a, b"), &options);
    assert_eq!((counting.refused.len(), counting.correlations.len()), (1, 0));
    let filter = "title: f\nlogsource: {product: windows}\nfilter: {rules: b, s: {F: y}, condition: not s}\n";
    let mut loaded = load_str("f.yml", filter, &options);
    assert_eq!(loaded.warnings.len(), 2);
    loaded.append(counting);
    assert_eq!((loaded.refused.len(), loaded.documents()), (1, 2));
    loaded.append(load_str("a.yml", &rule("a", ""), &options));
    loaded.append(load_str("b.yml", &rule("b", ""), &options));
    assert!(loaded.refused.is_empty() && loaded.warnings.is_empty(), "{loaded:?}");
    assert_eq!(members(&loaded), [("c", &[Member::Rule(0), Member::Rule(1)][..])]);
    assert_eq!(loaded.filters[0].rules, FilterRules::These(vec![1]));
    assert_eq!(loaded.documents(), 4);
    // The same file twice: each correlation means the rule beside it.
    let file = [rule("x", ""), correlation("d", "x")].concat();
    loaded.append(load_str("x.yml", &file, &options));
    loaded.append(load_str("x.yml", &file, &options));
    assert!(loaded.refused.is_empty(), "{:?}", loaded.refused);
    assert_eq!(members(&loaded)[1..], [("d", &[Member::Rule(2)][..]), ("d", &[Member::Rule(3)])]);
    let codes: Vec<_> = loaded.warnings.iter().map(|warning| warning.code).collect();
    assert_eq!(codes, [WarningCode::DuplicateId]);
}

#[test]
fn long_chains_and_many_names_are_no_trouble() {
    let mut text = rule("c0", "");
    for n in (1..3_000).rev() {
        text += &correlation(&format!("c{n}"), &format!("c{}", n - 1));
    }
    let loaded = load(&text);
    assert_eq!((loaded.refused.len(), loaded.correlations.len()), (0, 2_999));
    let loaded = load(&text.replacen("id-c0\n", "id-c0\nlevel: grave\n", 1));
    assert_eq!((loaded.refused.len(), loaded.correlations.len()), (3_000, 0));
    assert!(loaded.refused.iter().all(|refused| refused.reason.len() < 300));
    let long = "n".repeat(10_000);
    let loaded = load(&correlation("c", &long));
    assert!(loaded.refused[0].reason.len() < 300, "{}", loaded.refused[0].reason);
}
