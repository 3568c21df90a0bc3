//! What is said on standard error after a hunt: what was found, what was looked at, what was not.

use super::{bars, say, say_error, sight};
use harrier::{
    ledger::{Host, Ledger, Levels, Problem, RuleEntry, RuleState, SourceState, reasons},
    report::escape,
    sigma::Level,
};
use std::{cmp::Reverse, collections::BTreeMap, time::Duration};

/// So many places that could not be read are named; the ledger's file names more.
const PROBLEMS_SHOWN: usize = 20;
/// So many rules with the most hits are named.
const TOP_RULES: usize = 5;
/// So many hosts with the most hits.
const HOSTS_SHOWN: usize = 5;
/// So many logs whose absence keeps rules from seeing, and so many kinds of these rules.
const BLIND_SHOWN: usize = 3;
const KINDS_SHOWN: usize = 3;

/// A line that goes on and on is cut here.
const LINE: usize = 88;

/// Names what could not be read.
pub fn problems(ledger: &Ledger, verbose: bool) {
    let shown = if verbose { usize::MAX } else { PROBLEMS_SHOWN };
    let mut named = 0;
    for problem in ledger.problems().iter().take(shown) {
        named += 1;
        let at = problem.offset.map_or_else(String::new, |offset| format!(" at offset {offset}"));
        let advice = advice(problem);
        say_error(&format!("{}{at}: {}{advice}", problem.path, problem.reason));
    }
    let more = ledger.problems_total().saturating_sub(named);
    if more > 0 {
        say_error(&format!("{more} more places could not be read: --ledger FILE names them"));
    }
}

/// What to do about a source of which nothing could be read.
fn advice(problem: &Problem) -> &'static str {
    let reason = |part| problem.reason.contains(part);
    match problem.state {
        _ if problem.offset.is_some() => "",
        SourceState::Unreadable if reason("denied") => ": run as a user who may read it",
        SourceState::Unreadable if reason("regular file") => ": name a file or a folder",
        SourceState::Unreadable | SourceState::Empty => {
            ": collect it again if it should hold events"
        }
        SourceState::NotALog => ": check what it is, or collect it again",
        SourceState::Read
        | SourceState::Damaged
        | SourceState::Interrupted
        | SourceState::Encrypted
        | SourceState::Unsupported => "",
    }
}

/// The summary.
pub fn summary(ledger: &Ledger, elapsed: Duration, verbose: bool) {
    let blind = blind(ledger, verbose);
    let mut blind = blind.iter();
    if ledger.counts().all_hits() == 0 {
        line("Hits", &nothing(ledger, blind.next()));
    } else {
        line("Hits", &hits(ledger));
        hosts(ledger, verbose);
        let tactics = ledger.tactics().into_iter();
        let tactics: Vec<String> =
            tactics.map(|(name, hits)| format!("{name} {}", grouped(hits))).collect();
        block("Tactics", lines_of(&tactics).into_iter());
        time(ledger, verbose);
        top_rules(ledger, verbose);
    }
    // Who asks for some events knows that there are others.
    if verbose || ledger.event_filter().is_none() || ledger.counts().all_hits() == 0 {
        block("Not seen", blind.cloned());
    }
    let mut about = Vec::new();
    rules(ledger, &mut about);
    about.into_iter().for_each(|(name, text)| line(name, &text));
    of_reading(ledger, elapsed, verbose);
    if ledger.cut_short() && !ledger.interrupted() {
        line("Cut short", "the hunt ended before the evidence did");
    }
}

/// What was looked at.
pub fn of_reading(ledger: &Ledger, elapsed: Duration, verbose: bool) {
    let mut about = Vec::new();
    looked_at(ledger, verbose, &mut about);
    if verbose {
        details(ledger, &mut about);
    }
    about.into_iter().for_each(|(name, text)| line(name, &text));
    let bytes_read = ledger.sources().bytes as f64;
    let seconds = elapsed.as_secs_f64();
    let rate = bytes(bytes_read / seconds.max(1e-9));
    line("Bytes", &format!("{} in {seconds:.2} s, {rate}/s", bytes(bytes_read)));
}

fn hits(ledger: &Ledger) -> String {
    let counts = ledger.counts();
    let (hits, records) = (grouped(counts.all_hits()), counted(counts.records_hit, "record"));
    let together = ledger.correlations().all_findings();
    if together == 0 {
        return format!("{hits} on {records} ({})", levels(&counts.hits));
    }
    let alone = match counts.all_hits() - together {
        0 => String::new(),
        alone => format!("{} on {records}, ", grouped(alone)),
    };
    let together = grouped(together);
    format!("{hits}: {alone}{together} of events together ({})", levels(&counts.hits))
}

/// Hits by level, the gravest first.
fn levels(hits: &Levels) -> String {
    let by_level = Level::ALL.iter().zip(hits).rev().filter(|(_, n)| **n > 0);
    let by_level = by_level.map(|(level, n)| format!("{} {}", grouped(*n), level.as_str()));
    by_level.collect::<Vec<_>>().join(", ")
}

/// What an empty result means: that nothing was there to be seen, or that it was looked at.
fn nothing(ledger: &Ledger, blind: Option<&String>) -> String {
    match blind {
        Some(blind) => format!("0 hits; {blind}"),
        None if ledger.cut_short() => "0 hits so far".to_owned(),
        None => {
            let rules = counted(ledger.rule_totals().loaded, "rule");
            format!("0 hits; there were events to look at for each of {rules}")
        }
    }
}

/// What is missing, and for which rules: a line for each thing that is, those with the most rules
/// first.
fn blind(ledger: &Ledger, verbose: bool) -> Vec<String> {
    let mut groups: BTreeMap<&str, BTreeMap<String, u64>> = BTreeMap::new();
    for rule in ledger.rules().iter().filter(|rule| rule.state == RuleState::Blind) {
        let kind = sight::kind(rule.about.as_deref().unwrap_or("other"));
        let group = groups.entry(rule.reason.as_deref().unwrap_or("")).or_default();
        *group.entry(kind).or_default() += 1;
    }
    let mut groups: Vec<(u64, &str, String)> = groups
        .into_iter()
        .map(|(missing, kinds)| (kinds.values().sum(), missing, kinds_of_rules(&kinds, verbose)))
        .collect();
    groups.sort_by_key(|(rules, missing, _)| (Reverse(*rules), *missing));
    // Of what could not be read nobody knows what it would have shown.
    let sources = ledger.sources();
    let whole = sources.state(SourceState::Read) == sources.all();
    let place = match ledger.event_filter() {
        Some(_) => "among the events asked for",
        None if whole => "in this evidence",
        None => "in what could be read",
    };
    let shown = if verbose { usize::MAX } else { BLIND_SHOWN };
    let mut lines: Vec<String> = groups
        .iter()
        .take(shown)
        .map(|(_, missing, rules)| format!("{missing} {place}: {rules} could not see"))
        .collect();
    let rest = groups.get(lines.len()..).unwrap_or(&[]);
    if !rest.is_empty() {
        let rules = counted(rest.iter().map(|(rules, ..)| rules).sum(), "rule");
        lines.push(format!("{} more logs: {rules} could not see: -v names them", rest.len()));
    }
    lines
}

/// `1,416 process rules`, or `412 rules for image load, file and 3 more`.
fn kinds_of_rules(kinds: &BTreeMap<String, u64>, verbose: bool) -> String {
    let all = kinds.values().sum();
    let mut names: Vec<(&String, u64)> = kinds.iter().map(|(name, n)| (name, *n)).collect();
    names.sort_by_key(|(_, rules)| Reverse(*rules));
    match names.as_slice() {
        [(name, _)] if name.as_str() == "other" => counted(all, "rule"),
        [(name, _)] => counted(all, &format!("{name} rule")),
        names => {
            let shown = if verbose { names.len() } else { KINDS_SHOWN };
            let named: Vec<&str> =
                names.iter().take(shown).map(|(name, _)| name.as_str()).collect();
            let more = names.len().saturating_sub(shown);
            let last = if more > 0 { Some(format!("{more} more")) } else { None };
            let (last, named) = match (&last, named.as_slice()) {
                (None, [named @ .., last]) => (*last, named),
                (last, named) => (last.as_deref().unwrap_or_default(), named),
            };
            format!("{} for {} and {last}", counted(all, "rule"), named.join(", "))
        }
    }
}

fn hosts(ledger: &Ledger, verbose: bool) {
    let tally = ledger.tally();
    let mut hosts: Vec<&Host> = tally.hosts().iter().collect();
    // A stable sort: hosts with as many hits stay in the order in which they were met.
    hosts.sort_by_key(|host| Reverse(host.all_hits()));
    let shown = if verbose { hosts.len() } else { HOSTS_SHOWN };
    let mut lines: Vec<String> = hosts.iter().take(shown).map(|host| host_line(host)).collect();
    let rest = hosts.get(lines.len()..).unwrap_or(&[]);
    let hits = rest.iter().map(|host| host.all_hits()).sum::<u64>() + tally.elsewhere();
    if hits > 0 {
        let number = match tally.elsewhere() {
            0 => grouped(rest.len() as u64),
            _ => format!("more than {}", grouped(rest.len() as u64)),
        };
        lines.push(format!("{:>9}  on {number} more hosts", grouped(hits)));
    }
    block("Hosts", lines.into_iter());
}

fn host_line(host: &Host) -> String {
    let name = escape::lined(&host.name);
    let name = if name.is_empty() { "(no name)" } else { &name };
    let span = host.span.map(|span| bars::between(span.first, span.last)).unwrap_or_default();
    format!("{:>9}  {name}  {span}", grouped(host.all_hits())).trim_end().to_owned()
}

fn time(ledger: &Ledger, verbose: bool) {
    let hits = ledger.tally().timeline();
    if verbose {
        block("Timeline", bars::lines(hits).into_iter());
    } else if let Some(bars) = bars::line(hits) {
        line("Timeline", &bars);
    }
    if hits.undated() > 0 {
        line("", &format!("{} on events without a time that can be", grouped(hits.undated())));
    }
}

/// With what the evidence was looked at.
fn rules(ledger: &Ledger, lines: &mut Vec<(&'static str, String)>) {
    let rules = ledger.rule_totals();
    let with_hits = ledger.rules().iter().filter(|rule| rule.hits > 0).count() as u64;
    lines.push((
        "Rules",
        with_rest(
            format!("{} evaluated, {} hit", grouped(rules.loaded), grouped(with_hits)),
            &[
                (rules.blind, "could not see"),
                (rules.refused, "not loaded"),
                (rules.not_applicable, "not applicable"),
                (rules.left_out, "left out"),
            ],
        ),
    ));
}

/// What was looked at.
fn looked_at(ledger: &Ledger, verbose: bool, lines: &mut Vec<(&'static str, String)>) {
    let (sources, counts) = (ledger.sources(), ledger.counts());
    let state = |state| sources.state(state);
    lines.push((
        "Logs",
        with_rest(
            format!("{} read", grouped(state(SourceState::Read))),
            &[
                (state(SourceState::Damaged), "damaged"),
                (state(SourceState::Interrupted), "read in part"),
                (state(SourceState::Empty), "empty"),
                (state(SourceState::NotALog), "not event logs"),
                (state(SourceState::Unreadable), "unreadable"),
                (state(SourceState::Encrypted), "encrypted"),
                (state(SourceState::Unsupported), "of a kind that cannot be read"),
                (sources.duplicates, "named twice"),
                (sources.parts, "parts of images"),
                (sources.other_files, "other files"),
            ],
        ),
    ));
    if sources.containers > 0 {
        let looked = format!("{} looked into", grouped(sources.containers));
        lines.push((
            "Containers",
            with_rest(
                looked,
                &[
                    (sources.containers_damaged, "damaged"),
                    (sources.shadow_copies, "shadow copies not read"),
                ],
            ),
        ));
    }
    if counts.chunks.irregular > 0 {
        let irregular = counted(counts.chunks.irregular, "chunk");
        let text = format!("{irregular} read, but not as written: --ledger says how");
        lines.push(("Irregular", text));
    }
    let records = &counts.records;
    let read = records.seen - records.unreadable - records.unrecoverable - records.filtered;
    lines.push((
        "Records",
        with_rest(
            format!("{} read", grouped(read)),
            &[
                (records.slow, "the slow way"),
                (records.recovered, "recovered"),
                (records.unrecoverable, "left over and overwritten in part"),
                (records.filtered, "left out by the event filter"),
                (records.unreadable, "unreadable"),
            ],
        ),
    ));
    let correlated = ledger.correlations();
    if correlated.met > 0 {
        lines.push((
            "Correlated",
            with_rest(
                format!("{} counted", counted(correlated.joined, "hit")),
                &[
                    (correlated.without_group, "without a field to group by"),
                    (correlated.without_value, "without what is counted"),
                    (correlated.without_time, "without a time"),
                    (correlated.copies, "of events that were counted before"),
                ],
            ),
        ));
    }
    filtered(ledger, verbose, lines);
    copies(ledger, lines);
    if ledger.context() > 0 {
        let events = counted(ledger.context(), "event");
        lines.push(("Context", format!("{events} around hits")));
    }
    if let Some(wanted) = ledger.event_filter() {
        lines.push(("Filter", escape::lined(wanted)));
    }
    if let Some(span) = counts.times {
        lines.push(("Time", format!("{} UTC", bars::between(span.first, span.last))));
    }
}

/// What filters took away.
fn filtered(ledger: &Ledger, verbose: bool, lines: &mut Vec<(&'static str, String)>) {
    let taken = ledger.counts().hits_filtered;
    let active = ledger.filters().iter().filter(|filter| filter.hits > 0).count() as u64;
    if taken > 0 {
        let (hits, filters) = (counted(taken, "hit"), counted(active, "filter"));
        lines.push((
            "Filtered",
            format!("{hits} taken away by {filters}: --show-filtered shows them"),
        ));
    }
    for filter in ledger.filters().iter().filter(|_| verbose) {
        let (hits, rules) = (counted(filter.hits, "hit"), counted(filter.rules, "rule"));
        let title = escape::lined(&filter.title);
        lines.push(("", format!("{title}: {hits} of {rules}")));
    }
}

/// What was found before, in another place.
fn copies(ledger: &Ledger, lines: &mut Vec<(&'static str, String)>) {
    let counts = ledger.counts();
    if counts.copies > 0 {
        let (hits, logs) = (counted(counts.copies, "hit"), ledger.sources().with_copies);
        let (records, logs) = (counted(counts.records_copied, "record"), counted(logs, "log"));
        lines.push((
            "Copies",
            format!("{hits} left out, on {records} found again in {logs}: --all-copies shows them"),
        ));
    }
    if ledger.forgotten() > 0 {
        let records = counted(ledger.forgotten(), "record");
        lines.push((
            "",
            format!("{records} with hits were too many to remember: copies of them are told again"),
        ));
    }
}

fn details(ledger: &Ledger, lines: &mut Vec<(&'static str, String)>) {
    let (sources, counts) = (ledger.sources(), ledger.counts());
    let chunks = &counts.chunks;
    lines.push((
        "Chunks",
        with_rest(
            format!("{} read", grouped(chunks.read)),
            &[
                (chunks.irregular, "irregular"),
                (chunks.unused, "unused"),
                (chunks.unreadable, "unreadable"),
            ],
        ),
    ));
    for (number, what) in [
        (sources.links, "links to folders or to nothing, not followed"),
        (sources.special, "pipes, sockets or devices"),
    ] {
        if number > 0 {
            lines.push(("Beside", format!("{} {what}", grouped(number))));
        }
    }
    for (title, state) in
        [("Left out", RuleState::LeftOut), ("No events", RuleState::NotApplicable)]
    {
        for (reason, rules) in reasons(ledger.rules(), state) {
            lines.push((title, format!("{}: {}", counted(rules, "rule"), escape::lined(reason))));
        }
    }
}

fn top_rules(ledger: &Ledger, verbose: bool) {
    let mut top: Vec<&RuleEntry> = ledger.rules().iter().filter(|rule| rule.hits > 0).collect();
    // A stable sort: rules with as many hits stay in the order of the rule set.
    top.sort_by_key(|rule| Reverse(rule.hits));
    let shown = if verbose { top.len() } else { TOP_RULES };
    let mut lines: Vec<String> = top
        .iter()
        .take(shown)
        .map(|rule| {
            let level = rule.level.and_then(|n| Level::ALL.get(n));
            let level = level.map_or("", |level| level.as_str());
            let title = escape::lined(rule.title.as_deref().unwrap_or(&rule.origin));
            format!("{:>9}  {level:<13}  {title}", grouped(rule.hits))
        })
        .collect();
    let more = top.len().saturating_sub(shown);
    if more > 0 {
        lines.push(format!("{:>9}  more rules hit", grouped(more as u64)));
    }
    block("Top rules", lines.into_iter());
}

/// Words with commas between them, cut into lines.
fn lines_of(words: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() <= LINE => {
                line.push_str(", ");
                line.push_str(word);
            }
            last => {
                if let Some(line) = last {
                    line.push(',');
                }
                lines.push(word.clone());
            }
        }
    }
    lines
}

/// Lines of which the first has the name.
fn block(name: &str, lines: impl Iterator<Item = String>) {
    for (n, text) in lines.enumerate() {
        line(if n == 0 { name } else { "" }, &text);
    }
}

fn line(name: &str, text: &str) {
    say(&format!("{name:<10} {text}"));
}

/// `first`, and of the rest what is not zero.
fn with_rest(first: String, rest: &[(u64, &str)]) -> String {
    rest.iter()
        .filter(|(number, _)| *number > 0)
        .fold(first, |text, (number, what)| format!("{text}, {} {what}", grouped(*number)))
}

fn counted(number: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// A number with a comma before every three digits.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Bytes in the unit that gives a number of one to four digits, decimal.
pub fn bytes(number: f64) -> String {
    let mut value = number;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1000.0 {
            return format!("{value:.*} {unit}", usize::from(unit != "B"));
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut_between_words() {
        let words: Vec<String> = (10..50).map(|n| format!("word {n}")).collect();
        let lines = lines_of(&words);
        assert!(lines.len() > 3 && lines.iter().all(|line| line.len() <= LINE + 3), "{lines:?}");
        assert_eq!(lines.join(" "), words.join(", "));
        assert_eq!(lines_of(&[]), [""; 0]);
    }

    #[test]
    fn numbers_are_readable() {
        for (number, want) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), want);
        }
        for (number, want) in
            [(0.0, "0 B"), (999.0, "999 B"), (69_632.0, "69.6 kB"), (2e10, "20.0 GB")]
        {
            assert_eq!(bytes(number), want);
        }
    }
}
