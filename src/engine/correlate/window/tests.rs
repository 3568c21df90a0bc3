//! Windows against a reference that sorts, cuts out every window by its definition and counts anew.

use super::*;
use crate::engine::correlate::tests::correlation;
use crate::sigma::CorrelationKind as Kind;
use proptest::prelude::*;
use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;

impl<T: Clone> Queue<T> for VecDeque<T> {
    type Error = Infallible;

    fn push(&mut self, item: &T) -> Result<(), Infallible> {
        self.push_back(item.clone());
        Ok(())
    }

    fn pop(&mut self) -> Result<Option<T>, Infallible> {
        Ok(self.pop_front())
    }
}

/// A finding: what was counted, and its events.
type Found = (String, Vec<Occurrence>);

#[derive(Default)]
struct All(Vec<Found>);

impl Findings<Occurrence, Infallible> for All {
    fn found(
        &mut self,
        quantity: Quantity,
        next: &mut dyn FnMut() -> Result<Option<Occurrence>, Infallible>,
    ) -> Result<(), Infallible> {
        let events = std::iter::from_fn(|| next().unwrap()).collect();
        self.0.push((quantity.to_string(), events));
        Ok(())
    }
}

fn found(correlation: &Correlation, events: &[Occurrence]) -> Vec<Found> {
    let mut all = All::default();
    let mut windows = Windows::new(correlation, VecDeque::new());
    for event in events {
        windows.push(event.clone(), &mut all).unwrap();
    }
    windows.end(&mut all).unwrap();
    // What came before does not count any more.
    let once = all.0.len();
    for event in events {
        windows.push(event.clone(), &mut all).unwrap();
    }
    windows.end(&mut all).unwrap();
    let again = all.0.split_off(once);
    assert_eq!(all.0, again, "the second group is like the first");
    again
}

/// The same by the definition.
fn reference(correlation: &Correlation, events: &[Occurrence]) -> Vec<Found> {
    let mut out = Vec::new();
    let mut left = 0;
    while left < events.len() {
        let within = |event: &&Occurrence| {
            correlation.timespan.is_none_or(|span| event.time - events[left].time <= span)
        };
        let window: Vec<Occurrence> = events[left..].iter().take_while(within).cloned().collect();
        let counted = count(correlation, &window);
        match counted.filter(|(sum, divisor)| holds(correlation, *sum, *divisor)) {
            Some((sum, divisor)) => {
                left += window.len();
                out.push((shown(sum, divisor), window));
            }
            None if correlation.timespan.is_none() => break,
            None => left += 1,
        }
    }
    out
}

/// A sum and what it is divided by.
fn count(correlation: &Correlation, window: &[Occurrence]) -> Option<(f64, f64)> {
    let mut numbers: Vec<f64> = window
        .iter()
        .flat_map(|event| &event.numbers)
        .map(|n| Quantity::number(*n).to_string().parse().unwrap())
        .collect();
    let whole = |n: usize| Some((n as f64, 1.0));
    let some = !numbers.is_empty();
    match &correlation.kind {
        Kind::EventCount => whole(window.len()),
        Kind::ValueCount(_) => {
            whole(window.iter().flat_map(|event| &event.values).collect::<BTreeSet<_>>().len())
        }
        Kind::Temporal => {
            whole(window.iter().flat_map(|event| &event.members).collect::<BTreeSet<_>>().len())
        }
        Kind::TemporalOrdered => {
            let hits: Vec<(u32, &Occurrence)> = window
                .iter()
                .flat_map(|event| event.members.iter().map(move |member| (*member, event)))
                .collect();
            whole(hits.iter().map(|hit| longest(hit, &hits)).max().unwrap_or(0))
        }
        Kind::ValueSum(_) => some.then_some((numbers.iter().sum(), 1.0)),
        Kind::ValueAvg(_) => some.then_some((numbers.iter().sum(), numbers.len() as f64)),
        Kind::ValuePercentile(_, percent) => {
            numbers.sort_by(f64::total_cmp);
            let enough = |n: &f64| {
                let not_above = numbers.iter().filter(|m| *m <= n).count();
                not_above as f64 * 100.0 >= percent * numbers.len() as f64
            };
            numbers.iter().find(|n| enough(n)).map(|n| (*n, 1.0))
        }
    }
}

/// How many hits there are from this one on in the order of the members.
fn longest(hit: &(u32, &Occurrence), hits: &[(u32, &Occurrence)]) -> usize {
    let (member, event) = hit;
    let follows = |(other, next): &&(u32, &Occurrence)| {
        let tied = next.time == event.time;
        let in_order = !tied || next.log != event.log || next.record >= event.record;
        other > member && next.time >= event.time && in_order
    };
    1 + hits.iter().filter(follows).map(|next| longest(next, hits)).max().unwrap_or(0)
}

/// All numbers are halves and few, so that floats are exact here.
fn holds(correlation: &Correlation, sum: f64, divisor: f64) -> bool {
    correlation.range.iter().all(|(test, bound)| {
        let bound = match bound {
            RangeBound::Integer(n) => *n as f64,
            RangeBound::Float(x) => *x,
        } * divisor;
        match test {
            RangeTest::Greater => sum > bound,
            RangeTest::GreaterOrEqual => sum >= bound,
            RangeTest::Less => sum < bound,
            RangeTest::LessOrEqual => sum <= bound,
            RangeTest::Equal => sum == bound,
            RangeTest::NotEqual => sum != bound,
        }
    })
}

fn shown(sum: f64, divisor: f64) -> String {
    let text = format!("{:.9}", sum / divisor);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

const MEMBERS: usize = 4;

fn kinds() -> impl Strategy<Value = Kind> {
    let field = || "Field".to_owned();
    prop_oneof![
        Just(Kind::EventCount),
        Just(Kind::ValueCount(vec![field()])),
        Just(Kind::Temporal),
        Just(Kind::TemporalOrdered),
        Just(Kind::ValueSum(field())),
        Just(Kind::ValueAvg(field())),
        prop::sample::select(vec![0.0, 12.5, 50.0, 95.0, 100.0])
            .prop_map(move |percent| Kind::ValuePercentile(field(), percent)),
    ]
}

fn ranges() -> impl Strategy<Value = Vec<(RangeTest, RangeBound)>> {
    use RangeTest::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    let tests = vec![Greater, GreaterOrEqual, Less, LessOrEqual, Equal, NotEqual];
    let bound = prop_oneof![
        (0..6i128).prop_map(RangeBound::Integer),
        prop::sample::select(vec![-0.5, 0.5, 1.5, 2.5]).prop_map(RangeBound::Float),
    ];
    prop::collection::vec((prop::sample::select(tests), bound), 1..3)
}

fn correlations() -> impl Strategy<Value = Correlation> {
    let timespan = prop_oneof![1 => Just(None), 5 => (0..12u64).prop_map(Some)];
    (kinds(), timespan, ranges(), any::<bool>()).prop_map(|(kind, timespan, range, all)| {
        let ordered = matches!(kind, Kind::Temporal | Kind::TemporalOrdered);
        let every = vec![(RangeTest::GreaterOrEqual, RangeBound::Integer(MEMBERS as i128))];
        Correlation {
            timespan,
            range: if ordered && all { every } else { range },
            ..correlation(kind, MEMBERS)
        }
    })
}

/// Events close together, many of them at the same time, on two logs.
fn events() -> impl Strategy<Value = Vec<Occurrence>> {
    let event = (
        0..40u64,
        prop::collection::btree_set(0..MEMBERS as u32, 1..3),
        0..2u8,
        0..6u64,
        prop::collection::btree_set(0..4u8, 0..3),
        prop::collection::vec(-4..6i32, 0..3),
    );
    let event = event.prop_map(|(time, members, log, record, values, numbers)| Occurrence {
        time,
        members: members.into_iter().collect(),
        log: vec![log].into(),
        record,
        values: values.into_iter().map(|value| vec![value].into()).collect(),
        numbers: numbers
            .into_iter()
            .map(|n| Decimal::parse(format!("{}", f64::from(n) / 2.0).as_bytes()).unwrap())
            .collect(),
    });
    prop::collection::vec(event, 0..40).prop_map(|mut events| {
        events.sort_by(|a, b| (a.time, &a.log, a.record).cmp(&(b.time, &b.log, b.record)));
        events
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn windows_are_what_their_definition_says(correlation in correlations(), events in events()) {
        prop_assert_eq!(found(&correlation, &events), reference(&correlation, &events));
    }
}

fn at(time: u64, member: u32) -> Occurrence {
    Occurrence { time, members: vec![member], ..Occurrence::default() }
}

fn times(found: &[Found]) -> Vec<Vec<u64>> {
    found.iter().map(|(_, events)| events.iter().map(|event| event.time).collect()).collect()
}

#[test]
fn both_ends_of_a_window_belong_to_it() {
    let three = Correlation {
        timespan: Some(10),
        range: vec![(RangeTest::GreaterOrEqual, RangeBound::Integer(3))],
        ..correlation(Kind::EventCount, 1)
    };
    for (given, want) in [
        (&[0, 5, 10][..], &[&[0, 5, 10][..]][..]),
        (&[0, 5, 11], &[]),
        (&[0, 5, 11, 15], &[&[5, 11, 15]]),
        // A burst is told of once for each timespan.
        (&[0, 1, 2, 3, 10, 11, 12, 13, 30], &[&[0, 1, 2, 3, 10], &[11, 12, 13]]),
        (&[7, 7, 7], &[&[7, 7, 7]]),
        (&[], &[]),
    ] {
        let events: Vec<_> = given.iter().map(|time| at(*time, 0)).collect();
        assert_eq!(times(&found(&three, &events)), want, "{given:?}");
    }
}

/// An event that several rules hit is one event.
#[test]
fn an_event_counts_once() {
    let two = Correlation {
        timespan: Some(10),
        range: vec![(RangeTest::GreaterOrEqual, RangeBound::Integer(2))],
        ..correlation(Kind::EventCount, 2)
    };
    let both = Occurrence { members: vec![0, 1], ..at(0, 0) };
    assert_eq!(found(&two, std::slice::from_ref(&both)).len(), 0);
    assert_eq!(found(&two, &[both, at(1, 0)]).len(), 1);
}

/// Near-linear: a hundred thousand events in one window, whatever is counted, and none of them a finding, so
/// that the window begins at each of them once. Looking at each window anew would take 10^10 steps.
#[test]
fn many_events_in_one_window() {
    for kind in [
        Kind::EventCount,
        Kind::ValueCount(vec!["Field".into()]),
        Kind::Temporal,
        Kind::TemporalOrdered,
        Kind::ValueSum("Field".into()),
        Kind::ValueAvg("Field".into()),
        Kind::ValuePercentile("Field".into(), 95.0),
    ] {
        // The third member never hits, and no number is that large.
        let none = Correlation {
            timespan: Some(u64::MAX),
            range: vec![(RangeTest::GreaterOrEqual, RangeBound::Integer(1 << 62))],
            ..correlation(kind, 3)
        };
        let mut all = All::default();
        let mut windows = Windows::new(&none, VecDeque::new());
        // A tenth of them at the same time as the one before.
        for n in 0..100_000u64 {
            let event = Occurrence {
                time: n - u64::from(n % 10 == 9),
                members: vec![u32::from(n % 3 == 0)],
                values: vec![(n % 5000).to_be_bytes().to_vec().into()],
                numbers: vec![Decimal::parse((n % 777).to_string().as_bytes()).unwrap()],
                record: n,
                ..Occurrence::default()
            };
            windows.push(event, &mut all).unwrap();
        }
        windows.end(&mut all).unwrap();
        assert_eq!(all.0.len(), 0);
    }
}
