//! Correlations by their definition: everything sorted, every window cut out and counted anew.

use std::collections::{BTreeMap, BTreeSet};

/// Ticks in a second.
pub const SECOND: u64 = 10_000_000;

/// A made-up event.
#[derive(Debug, Clone)]
pub struct Made {
    pub ticks: u64,
    pub host: &'static str,
    pub id: u16,
    pub ip: Option<&'static str>,
    pub user: Option<&'static str>,
    pub size: Option<&'static str>,
}

/// A correlation, to be written as YAML and to be worked out.
#[derive(Debug, Clone)]
pub struct Spec {
    pub title: &'static str,
    pub kind: &'static str,
    pub rules: &'static [&'static str],
    pub group: &'static [&'static str],
    pub seconds: u64,
    /// Operators with their numbers; empty for the default of temporal ones.
    pub range: &'static [(&'static str, f64)],
    pub field: &'static str,
    pub percentile: f64,
    /// The name and, by rule, the field that it stands for.
    pub alias: Option<(&'static str, &'static [(&'static str, &'static str)])>,
}

impl Spec {
    /// As a document.
    pub fn yaml(&self) -> String {
        let mut condition: Vec<String> =
            self.range.iter().map(|(test, number)| format!("{test}: {number}")).collect();
        if !self.field.is_empty() {
            condition.push(format!("field: {}", self.field));
        }
        if self.kind == "value_percentile" {
            condition.push(format!("percentile: {}", self.percentile));
        }
        let condition = match condition.as_slice() {
            [] => String::new(),
            parts => format!("  condition: {{{}}}\n", parts.join(", ")),
        };
        let alias = self.alias.map_or_else(String::new, |(name, fields)| {
            let fields: Vec<String> =
                fields.iter().map(|(rule, field)| format!("{rule}: {field}")).collect();
            format!("  aliases:\n    {name}: {{{}}}\n", fields.join(", "))
        });
        let group = match self.group {
            [] => String::new(),
            group => format!("  group-by: [{}]\n", group.join(", ")),
        };
        format!(
            "title: {0}\nname: {0}\nlevel: high\ncorrelation:\n  type: {1}\n  rules: [{2}]\n{group}  \
             timespan: {3}s\n{condition}{alias}",
            self.title,
            self.kind,
            self.rules.join(", "),
            self.seconds
        )
    }
}

/// What orders events at the same time, and tells one from others.
type Identity = (u8, String, u64, String, u64);

/// An event of a group.
#[derive(Debug, Clone)]
struct Seen {
    ticks: u64,
    identity: Identity,
    log: String,
    members: BTreeSet<usize>,
    values: BTreeSet<String>,
    number: Option<f64>,
    /// What a member is shown as: path, record.
    place: (String, u64),
}

/// What is found, as the program tells it.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
pub struct Found {
    pub title: String,
    pub group: Vec<(String, String)>,
    pub value: f64,
    pub first: u64,
    pub last: u64,
    pub members: Vec<(u64, String, u64, Vec<String>)>,
}

/// A log: its path and its events.
pub type Log = (String, Vec<Made>);

/// What all of these find; those that others refer to come first.
pub fn all(specs: &[Spec], logs: &[Log]) -> Vec<Found> {
    let mut found: BTreeMap<&str, Vec<Found>> = BTreeMap::new();
    for spec in specs {
        let of_spec = one(spec, specs, logs, &found);
        found.insert(spec.title, of_spec);
    }
    found.into_values().flatten().collect()
}

/// The event ids of the rules.
fn hits(rule: &str, id: u16) -> bool {
    match rule {
        "failed" => id == 4625,
        "logon" => id == 4624,
        "explicit" => id == 4648,
        // Each event is a hit of this one, too.
        "any" => true,
        _ => false,
    }
}

fn field(event: &Made, name: &str) -> Option<String> {
    match name {
        "Computer" => Some(event.host.to_owned()),
        "EventID" => Some(event.id.to_string()),
        "IpAddress" => event.ip.map(str::to_owned),
        "TargetUserName" => event.user.map(str::to_owned),
        "Size" => event.size.map(str::to_owned),
        _ => None,
    }
}

fn one(
    spec: &Spec,
    specs: &[Spec],
    logs: &[Log],
    before: &BTreeMap<&str, Vec<Found>>,
) -> Vec<Found> {
    let named = |name: &str, rule: &str| -> String {
        let (alias, fields) = spec.alias.unwrap_or(("", &[]));
        let stands_for = fields.iter().find(|(of, _)| alias == name && *of == rule);
        stands_for.map_or(name, |(_, field)| field).to_owned()
    };
    // By group: the events, the same event once.
    let mut groups: BTreeMap<Vec<String>, Vec<Seen>> = BTreeMap::new();
    let mut shown: BTreeMap<(Vec<String>, Identity), Vec<String>> = BTreeMap::new();
    let mut enter = |member: usize, seen: Seen, get: &dyn Fn(&str) -> Option<String>| {
        let rule = spec.rules[member];
        let texts: Option<Vec<String>> =
            spec.group.iter().map(|name| get(&named(name, rule))).collect();
        let Some(texts) = texts else { return };
        let value = (!spec.field.is_empty()).then(|| get(&named(spec.field, rule)));
        let mut seen = Seen { members: BTreeSet::from([member]), ..seen };
        match (spec.kind, value) {
            (_, None) => {}
            (_, Some(None)) => return,
            ("value_count", Some(Some(text))) => {
                seen.values.insert(text.to_lowercase());
            }
            (_, Some(Some(text))) => match text.parse() {
                Ok(number) => seen.number = Some(number),
                Err(_) => return,
            },
        }
        let key: Vec<String> = texts.iter().map(|text| text.to_lowercase()).collect();
        shown.entry((key.clone(), seen.identity.clone())).or_insert(texts);
        let events = groups.entry(key).or_default();
        match events
            .iter_mut()
            .find(|event| event.identity == seen.identity && event.ticks == seen.ticks)
        {
            Some(event) => {
                event.members.insert(member);
                event.values.extend(seen.values);
            }
            None => events.push(seen),
        }
    };
    for (member, rule) in spec.rules.iter().enumerate() {
        for (path, events) in logs {
            for (event, record) in events.iter().zip(1u64..).filter(|(e, _)| hits(rule, e.id)) {
                let seen = Seen {
                    ticks: event.ticks,
                    identity: (0, event.host.to_owned(), record, path.clone(), 0),
                    log: event.host.to_owned(),
                    members: BTreeSet::new(),
                    values: BTreeSet::new(),
                    number: None,
                    place: (path.clone(), record),
                };
                enter(member, seen, &|name| field(event, name));
            }
        }
        let inner = specs.iter().find(|other| other.title == *rule);
        let findings = before.get(rule).map_or(&[][..], Vec::as_slice);
        for finding in findings {
            let last = finding.members.last().unwrap();
            let names = inner.unwrap().group;
            let seen = Seen {
                ticks: finding.last,
                identity: (
                    1,
                    (*rule).to_owned(),
                    finding.first,
                    String::new(),
                    rank(finding, findings),
                ),
                log: String::new(),
                members: BTreeSet::new(),
                values: BTreeSet::new(),
                number: None,
                place: (last.1.clone(), last.2),
            };
            let get = |name: &str| {
                let at = names.iter().position(|known| *known == name)?;
                Some(finding.group[at].1.clone())
            };
            enter(member, seen, &get);
        }
    }
    let mut found = Vec::new();
    for (key, mut events) in groups {
        events.sort_by(|a, b| (a.ticks, &a.identity).cmp(&(b.ticks, &b.identity)));
        let mut left = 0;
        while left < events.len() {
            let end = events[left].ticks + spec.seconds * SECOND;
            let window: Vec<&Seen> =
                events[left..].iter().take_while(|event| event.ticks <= end).collect();
            let Some(value) = count(spec, &window).filter(|value| holds(spec, *value)) else {
                left += 1;
                continue;
            };
            left += window.len();
            let texts = &shown[&(key.clone(), window[0].identity.clone())];
            let member = |event: &&Seen| {
                let rules = event.members.iter().map(|n| spec.rules[*n].to_owned()).collect();
                (event.ticks, event.place.0.clone(), event.place.1, rules)
            };
            found.push(Found {
                title: spec.title.to_owned(),
                group: spec.group.iter().map(|g| (*g).to_owned()).zip(texts.clone()).collect(),
                // As it is shown.
                value: (value * 1e9).round() / 1e9,
                first: window[0].ticks,
                last: window.last().unwrap().ticks,
                members: window.iter().map(member).collect(),
            });
        }
    }
    found
}

/// How many of the findings have a group that comes before this one's: the shorter first, then the one
/// that is less, value by value.
fn rank(finding: &Found, all: &[Found]) -> u64 {
    let order = |finding: &Found| {
        let texts = finding.group.iter().map(|(_, text)| text.to_lowercase());
        let texts: Vec<(usize, String)> = texts.map(|text| (text.len(), text)).collect();
        (texts.iter().map(|(length, _)| length).sum::<usize>(), texts)
    };
    let own = order(finding);
    all.iter().filter(|other| order(other) < own).count() as u64
}

fn count(spec: &Spec, window: &[&Seen]) -> Option<f64> {
    let mut numbers: Vec<f64> = window.iter().filter_map(|event| event.number).collect();
    let members = || window.iter().flat_map(|event| &event.members).collect::<BTreeSet<_>>();
    match spec.kind {
        "event_count" => Some(window.len() as f64),
        "value_count" => {
            Some(window.iter().flat_map(|e| &e.values).collect::<BTreeSet<_>>().len() as f64)
        }
        "temporal" => Some(members().len() as f64),
        "temporal_ordered" => {
            let hits: Vec<(usize, &Seen)> =
                window.iter().flat_map(|e| e.members.iter().map(|m| (*m, *e))).collect();
            let longest = hits.iter().map(|hit| chain(hit, &hits)).max();
            Some(longest.unwrap_or(0) as f64)
        }
        _ if numbers.is_empty() => None,
        "value_sum" => Some(numbers.iter().sum()),
        "value_avg" => Some(numbers.iter().sum::<f64>() / numbers.len() as f64),
        "value_percentile" => {
            numbers.sort_by(f64::total_cmp);
            let rank = (spec.percentile / 100.0 * numbers.len() as f64).ceil() as usize;
            Some(numbers[rank.max(1) - 1])
        }
        other => panic!("{other}"),
    }
}

/// How many hits, from this one on, come in the order of the rules.
fn chain(hit: &(usize, &Seen), hits: &[(usize, &Seen)]) -> usize {
    let (member, event) = hit;
    let follows = |next: &&(usize, &Seen)| {
        let tied = next.1.ticks == event.ticks;
        let one_log = next.1.log == event.log;
        let backwards = tied && one_log && next.1.identity.2 < event.identity.2;
        next.0 > *member && next.1.ticks >= event.ticks && !backwards
    };
    1 + hits.iter().filter(follows).map(|next| chain(next, hits)).max().unwrap_or(0)
}

fn holds(spec: &Spec, value: f64) -> bool {
    if spec.range.is_empty() {
        return value >= spec.rules.len() as f64;
    }
    spec.range.iter().all(|(test, bound)| match *test {
        "gt" => value > *bound,
        "gte" => value >= *bound,
        "lt" => value < *bound,
        "lte" => value <= *bound,
        "eq" => (value - bound).abs() < 1e-12,
        "neq" => (value - bound).abs() >= 1e-12,
        other => panic!("{other}"),
    })
}
