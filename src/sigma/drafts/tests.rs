//! Correlations and filters as documents: what they mean, and what is wrong with them where.

use crate::sigma::correlation::{
    Correlation, CorrelationKind, Filter, FilterRules, Member, RangeBound, RangeTest,
};
use crate::sigma::rule::Condition;
use crate::sigma::{LoadOptions, LoadedRules, RefusalKind, WarningCode, load_str};

/// Three rules, the last line being the 18th.
const RULES: &str = "\
title: One
name: one
logsource: {product: windows, category: process_creation}
detection: {s: {F: x}, condition: s}
---
title: Two
name: two
logsource: {product: windows, category: process_creation}
detection: {s: {F: x}, condition: s}
---
title: Three
id: 0F2B9B9C-0000-4000-8000-000000000003
name: three
logsource: {product: windows, service: security}
detection: {s: {F: x}, condition: s}
---
";

fn load(document: &str) -> LoadedRules {
    load_str("t.yml", &format!("{RULES}{document}"), &LoadOptions::default())
}

/// A correlation with this body, two columns in.
fn body(body: &str) -> String {
    format!("title: c\ncorrelation:\n{body}")
}

#[track_caller]
fn correlation(text: &str) -> Correlation {
    let mut loaded = load(&body(text));
    assert!(loaded.refused.is_empty(), "{text}: {:?}", loaded.refused);
    loaded.correlations.pop().expect("a correlation")
}

const COUNT: &str = "  type: event_count\n  rules: one\n  timespan: 5m\n  condition: {gte: 3}\n";

#[test]
fn a_whole_correlation() {
    let document = "\
title: Many
id: many-id
name: many
status: test
level: high
tags: [attack.t1110]
generate: true
custom: 1
correlation:
  type: value_count
  rules:
    - one
    - 0f2b9b9c-0000-4000-8000-000000000003
  group-by: [User, Computer, User]
  timespan: 2h
  condition:
    gt: 3
    lte: 10.5
    field: [TargetUserName, IpAddress]
  aliases:
    User:
      one: SubjectUserName
      three: TargetUserName
";
    let mut loaded = load(document);
    assert!(loaded.refused.is_empty() && loaded.warnings.is_empty(), "{loaded:?}");
    assert_eq!(loaded.documents(), 4);
    let found = loaded.correlations.pop().expect("a correlation");
    assert_eq!((&*found.title, found.id.as_deref()), ("Many", Some("many-id")));
    assert_eq!((found.level.as_str(), found.tags.len(), found.custom.len()), ("high", 1, 1));
    assert_eq!((found.origin.document, found.origin.line), (3, 17));
    let fields = vec!["TargetUserName".to_owned(), "IpAddress".to_owned()];
    assert_eq!(found.kind, CorrelationKind::ValueCount(fields));
    assert_eq!(found.members, [Member::Rule(0), Member::Rule(2)]);
    assert_eq!(found.group_by, ["User", "Computer"]);
    assert_eq!(
        (found.timespan, found.timespan_text.as_deref()),
        (Some(72_000_000_000), Some("2h"))
    );
    let range = [
        (RangeTest::Greater, RangeBound::Integer(3)),
        (RangeTest::LessOrEqual, RangeBound::Float(10.5)),
    ];
    assert_eq!(found.range, range);
    assert_eq!(found.aliases.len(), 1);
    let fields = [(0, "SubjectUserName".to_owned()), (1, "TargetUserName".to_owned())];
    assert_eq!((&*found.aliases[0].name, &*found.aliases[0].fields), ("User", &fields[..]));
    assert!(found.generate && !found.aggregation && !found.quiet);
}

#[test]
fn types_and_their_conditions() {
    let field = || "F".to_owned();
    let gte = |n| vec![(RangeTest::GreaterOrEqual, RangeBound::Integer(n))];
    for (kind, condition, want, range) in [
        ("event_count", "{gte: 3}", CorrelationKind::EventCount, gte(3)),
        ("event_count", "{gte: '3'}", CorrelationKind::EventCount, gte(3)),
        ("value_count", "{gte: 3, field: F}", CorrelationKind::ValueCount(vec![field()]), gte(3)),
        ("value_sum", "{field: F, gte: 3}", CorrelationKind::ValueSum(field()), gte(3)),
        ("value_avg", "{field: [F], gte: 0}", CorrelationKind::ValueAvg(field()), gte(0)),
        (
            "value_percentile",
            "{field: F, percentile: 95, gte: 3}",
            CorrelationKind::ValuePercentile(field(), 95.0),
            gte(3),
        ),
        (
            "value_percentile",
            "{field: F, percentile: 99.9, gte: 3}",
            CorrelationKind::ValuePercentile(field(), 99.9),
            gte(3),
        ),
        (
            "value_median",
            "{field: F, gte: 3}",
            CorrelationKind::ValuePercentile(field(), 50.0),
            gte(3),
        ),
        ("temporal", "", CorrelationKind::Temporal, gte(2)),
        ("temporal", "{gte: 1}", CorrelationKind::Temporal, gte(1)),
        ("temporal_ordered", "", CorrelationKind::TemporalOrdered, gte(2)),
        ("temporal_ordered", "{gte: 2}", CorrelationKind::TemporalOrdered, gte(2)),
    ] {
        let text = format!(
            "  type: {kind}\n  rules: [one, two]\n  timespan: 5m\n  condition: {condition}\n"
        );
        let found = correlation(&text);
        assert_eq!((found.kind, found.range), (want, range), "{kind} {condition}");
    }
}

#[test]
fn small_things_may_be_written_otherwise() {
    assert_eq!(correlation(&COUNT.replace("one", "One")).members, [Member::Rule(0)], "title");
    assert_eq!(correlation(&COUNT.replace("timespan", "timeframe")).timespan, Some(3_000_000_000));
    let inside = correlation(&format!("{COUNT}  generate: true\n"));
    assert!(inside.generate && inside.group_by.is_empty());
    let one = correlation(&format!("{COUNT}  group-by: User\n  aliases:\n"));
    assert_eq!(one.group_by, ["User"]);
    assert_eq!(correlation(&format!("{COUNT}  group-by:\n")).group_by, [""; 0]);
}

#[test]
fn faults_of_correlations_have_their_places() {
    let count = |from: &str, to: &str| COUNT.replace(from, to);
    let of = |kind: &str, condition: &str| {
        count("event_count", kind).replace("{gte: 3}", condition).replace("one", "[one, two]")
    };
    // Lines and columns as in the document itself: line 3 is the first of the body.
    let table = [
        ("  []\n".to_owned(), 3, 3, "`correlation` is a list"),
        ("  rules: one\n".to_owned(), 3, 3, "no `type`"),
        (count("event_count", "frequency"), 3, 9, "`frequency` is no type"),
        (count("event_count", "[a]"), 3, 9, "`type` is a list"),
        (count("  rules: one\n", ""), 3, 3, "no `rules`"),
        (count("one", "[]"), 4, 10, "an empty list"),
        (count("one", "[one, [two]]"), 4, 16, "`rules` has a list for"),
        (count("one", "[one, one]"), 4, 16, "names `one` twice"),
        (count("one", "[one, One]"), 4, 16, "names `One` twice"),
        (count("one", "[one, four]"), 4, 16, "no rule has this id, name or title"),
        (count("  timespan: 5m\n", ""), 3, 3, "no `timespan`"),
        (count("5m", "5 minutes"), 5, 13, "whole number and one of the units"),
        (count("5m", "0s"), 5, 13, "no time at all"),
        (count("5m", "[5m]"), 5, 13, "a list, not a time"),
        (count("5m", ""), 5, 3, "nothing, not a time"),
        (count("timespan: 5m", "timespan: 5m\n  timeframe: 5m"), 6, 3, "both"),
        (count("  condition: {gte: 3}\n", ""), 3, 3, "needs a `condition`"),
        (count("{gte: 3}", "{}"), 6, 14, "compares with nothing"),
        (count("{gte: 3}", "one and two"), 6, 14, "not a map"),
        (count("gte: 3", "gte: many"), 6, 20, "compared with a number"),
        (count("gte: 3", "at_least: 3"), 6, 15, "`at_least` is no comparison"),
        (count("gte: 3", "gte: 3, field: F"), 6, 30, "`field` has no meaning"),
        (count("gte: 3", "gte: 3, percentile: 5"), 6, 35, "`percentile` has no meaning"),
        (count("gte: 3", "lt: 1"), 6, 14, "can never hold"),
        (count("gte: 3", "eq: 0"), 6, 14, "can never hold"),
        (count("gte: 3", "gt: 5, lt: 6"), 6, 14, "can never hold"),
        (count("gte: 3", "eq: 1.5"), 6, 14, "can never hold"),
        (of("temporal", "{gte: 3}"), 6, 14, "can never hold"),
        (of("temporal_ordered", "{gte: 1}"), 6, 14, "about all of its rules"),
        (of("temporal_ordered", "{lt: 2}"), 6, 14, "can never hold"),
        (of("value_count", "{gte: 3}"), 6, 14, "needs a `field`"),
        (of("value_count", "{gte: 3, field: []}"), 6, 30, "an empty list"),
        (of("value_count", "{gte: 3, field: ''}"), 6, 30, "an empty text"),
        (of("value_sum", "{gte: 3, field: [A, B]}"), 6, 30, "one field"),
        (of("value_percentile", "{gte: 3, field: F}"), 6, 14, "needs a `percentile`"),
        (of("value_percentile", "{gte: 3, field: F, percentile: 101}"), 6, 45, "from 0 to 100"),
        (of("value_median", "{gte: 3, field: F, percentile: 50}"), 6, 45, "no meaning"),
        (format!("{COUNT}  ordered: true\n"), 7, 3, "`ordered` is no key"),
        (format!("{COUNT}  generate: 'true'\n"), 7, 13, "without quotes"),
        (format!("{COUNT}  group-by: {{a: b}}\n"), 7, 13, "`group-by` has a map for"),
        (format!("{COUNT}  aliases: [a]\n"), 7, 12, "a list, not a map"),
        (format!("{COUNT}  aliases: {{a: b}}\n"), 7, 16, "not a map from rules"),
        (format!("{COUNT}  aliases: {{a: {{one: }}}}\n"), 7, 20, "nothing for the name"),
        (format!("{COUNT}  aliases: {{a: {{two: F}}}}\n"), 7, 17, "not among the correlation's"),
        (format!("{COUNT}  aliases: {{a: {{four: F}}}}\n"), 7, 17, "no rule has this"),
        (format!("{COUNT}generate: 1\n"), 7, 11, "`generate` is `true`"),
        (format!("{COUNT}detection: {{}}\n"), 2, 1, "both `detection` and `correlation`"),
        (format!("{COUNT}level: grave\n"), 7, 8, "the level `grave`"),
    ];
    for (text, line, column, reason) in table {
        let loaded = load(&body(&text));
        let [found] = loaded.refused.as_slice() else { panic!("{text}: {loaded:?}") };
        assert!(found.reason.contains(reason), "{text}: {}", found.reason);
        assert_eq!(found.kind, RefusalKind::Error, "{text}");
        let place = (found.origin.line - 16, found.origin.column);
        assert_eq!(place, (line, column), "{text}: {}", found.reason);
        assert_eq!((loaded.rules.len(), loaded.documents()), (3, 4), "{text}");
        assert!(loaded.rules.iter().all(|rule| !rule.quiet));
    }
    let formula = load(&body(&of("temporal", "a formula")));
    let [found] = formula.refused.as_slice() else { panic!("{formula:?}") };
    assert_eq!((found.kind, found.origin.column), (RefusalKind::NotSupported, 14));
    assert!(found.reason.contains("formula over rules"), "{}", found.reason);
}

#[test]
fn an_aggregation_makes_a_correlation_of_its_rule() {
    let rule = "title: Guessing\nid: g\nlevel: high\nlogsource: {service: security}\ndetection:\n  \
                s: {F: x}\n  timeframe: 30s\n  condition: s | count(User) by Ip, Host >= 5\n";
    let loaded = load(rule);
    assert!(loaded.refused.is_empty() && loaded.warnings.is_empty(), "{loaded:?}");
    assert_eq!((loaded.rules.len(), loaded.documents()), (4, 4));
    assert!(loaded.rules[3].quiet);
    let [found] = loaded.correlations.as_slice() else { panic!("{loaded:?}") };
    assert_eq!(found.about, loaded.rules[3].about);
    assert_eq!(found.kind, CorrelationKind::ValueCount(vec!["User".to_owned()]));
    assert_eq!((found.members.as_slice(), found.aggregation), (&[Member::Rule(3)][..], true));
    assert_eq!(found.group_by, ["Ip", "Host"]);
    assert_eq!((found.timespan, found.timespan_text.as_deref()), (Some(300_000_000), Some("30s")));
    assert_eq!(found.range, [(RangeTest::GreaterOrEqual, RangeBound::Integer(5))]);
    let ever = load(&rule.replace("  timeframe: 30s\n", ""));
    assert_eq!(ever.correlations[0].timespan, None);

    for (from, to, line, column, reason) in [
        ("30s", "often", 7, 14, "whole number"),
        (">= 5", "< 1", 6, 3, "can never hold"),
        ("s | count(User) by Ip, Host >= 5", "[s | count() > 5, s]", 8, 15, "one of several"),
        ("count(User)", "count(User", 8, 24, "never closed"),
    ] {
        let loaded = load(&rule.replace(from, to));
        let [found] = loaded.refused.as_slice() else { panic!("{to}: {loaded:?}") };
        assert!(found.reason.contains(reason), "{to}: {}", found.reason);
        assert_eq!((found.origin.line - 16, found.origin.column), (line, column), "{to}");
    }
    let only = load(
        &rule
            .replace("condition: s | count(User) by Ip, Host >= 5", "condition: [s | count() > 5]"),
    );
    assert_eq!(only.correlations.len(), 1);
}

const FILTER: &str = "title: f\nlogsource: {product: windows}\nfilter:\n  rules: [one]\n  \
                      s: {User|startswith: adm_}\n  condition: not s\n";

#[track_caller]
fn filter(text: &str) -> (Filter, Vec<WarningCode>) {
    let mut loaded = load(text);
    assert!(loaded.refused.is_empty(), "{text}: {:?}", loaded.refused);
    assert_eq!(loaded.documents(), 4);
    let codes = loaded.warnings.iter().map(|warning| warning.code).collect();
    (loaded.filters.pop().expect("a filter"), codes)
}

#[test]
fn filters_and_what_is_odd_about_them() {
    let (found, codes) = filter(FILTER);
    assert_eq!((&*found.title, found.rules.clone()), ("f", FilterRules::These(vec![0])));
    assert_eq!(found.condition, Condition::Not(Box::new(Condition::Section(0))));
    assert_eq!((found.sections.len(), codes), (1, vec![]));

    use WarningCode::{FilterReference, FilterWithoutNot, IdleFilter, UnusedSection};
    for (from, to, rules, want) in [
        ("[one]", "any", FilterRules::Any, &[][..]),
        ("[one]", "[]", FilterRules::Any, &[]),
        ("[one]", "three", FilterRules::These(vec![2]), &[]),
        ("[one]", "[two, one, two]", FilterRules::These(vec![0, 1]), &[]),
        ("[one]", "[two, four]", FilterRules::These(vec![1]), &[FilterReference]),
        ("[one]", "[Two]", FilterRules::These(vec![]), &[FilterReference, IdleFilter]),
        ("not s", "s", FilterRules::These(vec![0]), &[FilterWithoutNot]),
        (
            "{product: windows}",
            "{category: x}",
            FilterRules::These(vec![]),
            &[FilterReference, IdleFilter],
        ),
        ("  condition", "  t: {A: b}\n  condition", FilterRules::These(vec![0]), &[UnusedSection]),
    ] {
        let (found, codes) = filter(&FILTER.replace(from, to));
        assert_eq!((found.rules, codes.as_slice()), (rules, want), "{to}");
    }
    let any = FILTER.replace("[one]", "any").replace("product: windows", "product: linux");
    assert_eq!(filter(&any).1, [IdleFilter]);
    let aggregated = "title: g\nname: g\nlogsource: {product: windows}\ndetection: {s: {F: x}, condition: s | count() > 5}\n";
    let loaded = load(&format!("{aggregated}---\n{}", FILTER.replace("one", "g")));
    assert_eq!(loaded.filters[0].rules, FilterRules::These(vec![3]), "the rule that is counted");
    let many = body(&format!("{COUNT}name: many\n"));
    let loaded = load(&format!("{many}---\n{}", FILTER.replace("one", "many")));
    assert!(loaded.warnings[0].text.contains("is a correlation"), "{:?}", loaded.warnings);
}

#[test]
fn faults_of_filters_have_their_places() {
    for (from, to, line, column, reason) in [
        ("title: f\n", "", 1, 1, "the filter has no `title`"),
        ("logsource: {product: windows}\n", "", 1, 1, "the filter has no `logsource`"),
        ("  rules: [one]\n", "", 4, 3, "no `rules`"),
        ("[one]", "{a: b}", 4, 10, "`rules` has a map for"),
        ("[one]", "", 4, 8, "`rules` has nothing for"),
        ("  s: {User|startswith: adm_}\n", "", 4, 3, "no section"),
        ("adm_", "[adm_, {a: b}]", 5, 31, "a map where a single value"),
        ("startswith", "starts", 5, 12, "unknown modifier"),
        ("not s", "not t", 6, 18, "no section is named `t`"),
        ("not s", "not rules", 6, 18, "no section is named `rules`"),
        ("not s", "[not s]", 6, 14, "one condition"),
        ("not s", "not s | count() > 5", 6, 14, "cannot count"),
        ("  condition: not s\n", "", 4, 3, "no `condition`"),
    ] {
        let text = FILTER.replacen(from, to, 1);
        let loaded = load(&text);
        let [found] = loaded.refused.as_slice() else { panic!("{text}: {loaded:?}") };
        assert!(found.reason.contains(reason), "{text}: {}", found.reason);
        let place = (found.origin.line - 16, found.origin.column);
        assert_eq!((place, loaded.documents()), ((line, column), 4), "{text}: {}", found.reason);
    }
}
