//! What is said on standard error after a hunt: what was found, what was looked at, what was not.

use super::{say, say_error};
use harrier::{
    ledger::{Ledger, Problem, RuleEntry, RuleState, SourceState, reasons},
    report::escape,
    sigma::Level,
};
use std::time::Duration;

/// So many places that could not be read are named; the ledger's file names more.
const PROBLEMS_SHOWN: usize = 20;
/// So many rules with the most hits are named.
const TOP_RULES: usize = 10;

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
        SourceState::Unreadable if reason("not looked into") => "",
        SourceState::Unreadable if reason("regular file") => ": name a file or a folder",
        SourceState::Unreadable | SourceState::Empty => {
            ": collect it again if it should hold events"
        }
        SourceState::NotALog => ": check what it is, or collect it again",
        SourceState::Read | SourceState::Damaged => "",
    }
}

/// The summary.
pub fn summary(ledger: &Ledger, elapsed: Duration, verbose: bool) {
    let (sources, counts) = (ledger.sources(), ledger.counts());
    let rules = ledger.rule_totals();
    let with_hits = ledger.rules().iter().filter(|rule| rule.hits > 0).count() as u64;
    let hits = if counts.all_hits() == 0 {
        "none".to_owned()
    } else {
        let by_level = Level::ALL.iter().zip(counts.hits).rev().filter(|(_, n)| *n > 0);
        let by_level = by_level.map(|(level, n)| format!("{} {}", grouped(n), level.as_str()));
        format!(
            "{} on {} ({})",
            grouped(counts.all_hits()),
            counted(counts.records_hit, "record"),
            by_level.collect::<Vec<_>>().join(", ")
        )
    };
    line("Hits", &hits);
    let applied = format!("{} evaluated, {} hit", grouped(rules.loaded), grouped(with_hits));
    line(
        "Rules",
        &with_rest(
            applied,
            &[
                (rules.refused, "not loaded"),
                (rules.not_applicable, "not applicable"),
                (rules.left_out, "left out"),
            ],
        ),
    );
    let state = |state| sources.state(state);
    line(
        "Logs",
        &with_rest(
            format!("{} read", grouped(state(SourceState::Read))),
            &[
                (state(SourceState::Damaged), "damaged"),
                (state(SourceState::Empty), "empty"),
                (state(SourceState::NotALog), "not event logs"),
                (state(SourceState::Unreadable), "unreadable"),
                (sources.duplicates, "named twice"),
                (sources.other_files, "other files"),
            ],
        ),
    );
    if counts.chunks.irregular > 0 {
        let irregular = counted(counts.chunks.irregular, "chunk");
        line("Irregular", &format!("{irregular} read, but not as written: --ledger says how"));
    }
    let records = &counts.records;
    let read = records.seen - records.unreadable - records.filtered;
    line(
        "Records",
        &with_rest(
            format!("{} read", grouped(read)),
            &[
                (records.slow, "by the slow lane"),
                (records.recovered, "recovered"),
                (records.filtered, "left out by the event filter"),
                (records.unreadable, "unreadable"),
            ],
        ),
    );
    if let Some(wanted) = ledger.event_filter() {
        line("Filter", &escape::lined(wanted));
    }
    let seconds = elapsed.as_secs_f64();
    let rate = sources.bytes as f64 / seconds.max(1e-9);
    line("Bytes", &format!("{} in {seconds:.2} s, {}/s", bytes(sources.bytes as f64), bytes(rate)));
    if verbose {
        details(ledger);
    }
    top_rules(ledger);
    if ledger.cut_short() {
        line("Cut short", "the hunt ended before the evidence did");
    }
}

fn details(ledger: &Ledger) {
    let (sources, counts) = (ledger.sources(), ledger.counts());
    let chunks = &counts.chunks;
    line(
        "Chunks",
        &with_rest(
            format!("{} read", grouped(chunks.read)),
            &[
                (chunks.irregular, "irregular"),
                (chunks.unused, "unused"),
                (chunks.unreadable, "unreadable"),
            ],
        ),
    );
    for (number, what) in [
        (sources.links, "links to folders or to nothing, not followed"),
        (sources.special, "pipes, sockets or devices"),
    ] {
        if number > 0 {
            line("Beside", &format!("{} {what}", grouped(number)));
        }
    }
    for (title, state) in
        [("Left out", RuleState::LeftOut), ("No events", RuleState::NotApplicable)]
    {
        for (reason, rules) in reasons(ledger.rules(), state) {
            line(title, &format!("{}: {}", counted(rules, "rule"), escape::lined(reason)));
        }
    }
}

fn top_rules(ledger: &Ledger) {
    let mut top: Vec<&RuleEntry> = ledger.rules().iter().filter(|rule| rule.hits > 0).collect();
    // A stable sort: rules with as many hits stay in the order of the rule set.
    top.sort_by_key(|rule| std::cmp::Reverse(rule.hits));
    for (n, rule) in top.iter().take(TOP_RULES).enumerate() {
        let level = rule.level.and_then(|n| Level::ALL.get(n)).map_or("", |level| level.as_str());
        let title = escape::lined(rule.title.as_deref().unwrap_or(&rule.origin));
        let name = if n == 0 { "Top rules" } else { "" };
        line(name, &format!("{:>9}  {level:<13}  {title}", grouped(rule.hits)));
    }
    if top.len() > TOP_RULES {
        line("", &format!("{:>9}  more rules hit", grouped((top.len() - TOP_RULES) as u64)));
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
fn grouped(number: u64) -> String {
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
fn bytes(number: f64) -> String {
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
