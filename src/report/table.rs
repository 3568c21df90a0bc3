//! A line of aligned columns for each hit: what a person reads.
//!
//! Hits stream, so the columns' widths are fixed and not measured. On a terminal of known width a
//! cell that is too long ends in `…` and a line never wraps; anywhere else nothing is cut, and a long
//! cell moves the rest of its line to the right. The cells of a line are two blanks apart.

use super::{Hit, escape};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// How a table looks.
#[derive(Debug, Clone, Copy, Default)]
pub struct TableStyle {
    /// Whether levels are coloured.
    pub colour: bool,
    /// How many columns a line has; as many as it needs if not known.
    pub width: Option<usize>,
}

const TITLES: [&str; 6] = ["TIME", "LEVEL", "RULE", "COMPUTER", "EVENT", "MATCHED"];
const GAP: &str = "  ";

/// A time in UTC with milliseconds, `2025-10-26 00:11:12.880`.
const TIME_WIDTH: usize = 23;
const LEVEL_WIDTH: usize = 5;
/// Rule, computer, event: what nearly all of them need.
const WIDE: [usize; 3] = [56, 24, 24];
/// On a terminal these parts of a hundred of what time and level leave; the last column has the rest.
const PARTS: [usize; 3] = [28, 12, 14];
/// No column gets narrower than this: a screen narrower still wraps.
const LEAST_WIDTH: usize = 8;

fn widths(style: &TableStyle) -> [usize; 5] {
    let taken = TIME_WIDTH + LEVEL_WIDTH + GAP.len() * (TITLES.len() - 1);
    let [rule, computer, event] = match style.width {
        None => WIDE,
        Some(width) => {
            let left = width.saturating_sub(taken);
            PARTS.map(|part| (left * part / 100).max(LEAST_WIDTH))
        }
    };
    [TIME_WIDTH, LEVEL_WIDTH, rule, computer, event]
}

pub(super) fn header(style: &TableStyle, out: &mut Vec<u8>) {
    let mut line = String::new();
    let [titles @ .., last] = TITLES;
    for (title, width) in titles.into_iter().zip(widths(style)) {
        cell(title, width, style.width.is_some(), &mut line);
        line.push_str(GAP);
    }
    line.push_str(last);
    line.push('\n');
    out.extend_from_slice(line.as_bytes());
}

pub(super) fn hit(style: &TableStyle, hit: &Hit<'_>, out: &mut Vec<u8>) {
    let cut = style.width.is_some();
    let [time_width, level_width, rule_width, computer_width, event_width] = widths(style);
    let mut line = String::with_capacity(256);
    cell(&short_time(hit.timestamp.unwrap_or("-")), time_width, cut, &mut line);
    line.push_str(GAP);
    let (level, colour) = short_level(hit.rule.level);
    let colour = if style.colour { colour } else { "" };
    line.push_str(colour);
    cell(level, level_width, cut, &mut line);
    if !colour.is_empty() {
        line.push_str("\x1b[0m");
    }
    for (text, width) in [
        (escape::lined(hit.rule.title), rule_width),
        (escape::lined(hit.event.computer.unwrap_or("-")), computer_width),
        (escape::lined(&event_kind(hit)), event_width),
    ] {
        line.push_str(GAP);
        cell(&text, width, cut, &mut line);
    }
    line.push_str(GAP);
    let matched = matched(hit);
    match style.width {
        Some(width) => {
            let used: usize = widths(style).iter().map(|width| width + GAP.len()).sum();
            push_cut(&matched, width.saturating_sub(used).max(LEAST_WIDTH), &mut line);
        }
        None => line.push_str(&matched),
    }
    line.truncate(line.trim_end().len());
    line.push('\n');
    out.extend_from_slice(line.as_bytes());
}

/// `2025-10-26T00:11:12.8808340Z` as `2025-10-26 00:11:12.880`; what does not look like a time as it
/// is.
fn short_time(time: &str) -> String {
    match (time.get(..10), time.get(10..11), time.get(11..TIME_WIDTH)) {
        (Some(date), Some("T"), Some(clock)) => escape::lined(&format!("{date} {clock}")),
        _ => escape::lined(time),
    }
}

/// A level's short word and its colour: bold red, red, yellow, cyan, none.
fn short_level(level: &str) -> (&str, &'static str) {
    match level {
        "critical" => ("crit", "\x1b[1;31m"),
        "high" => ("high", "\x1b[31m"),
        "medium" => ("med", "\x1b[33m"),
        "low" => ("low", "\x1b[36m"),
        _ => ("info", ""),
    }
}

/// The channel without what all of them share, and the event's number: `Sysmon/1`.
fn event_kind(hit: &Hit<'_>) -> String {
    let channel = hit.event.channel.or(hit.event.provider).unwrap_or("-");
    let channel = channel.strip_prefix("Microsoft-Windows-").unwrap_or(channel);
    let channel = channel.strip_suffix("/Operational").unwrap_or(channel);
    format!("{channel}/{}", hit.event.event_id.unwrap_or("-"))
}

/// `Field=value` after `Field=value`; a value with a blank in it is quoted.
fn matched(hit: &Hit<'_>) -> String {
    let mut out = String::new();
    if hit.place.recovered {
        // First, so that a narrow terminal shows it.
        out.push_str("[recovered] ");
    }
    for (n, (name, value)) in hit.matched.iter().enumerate() {
        if n > 0 {
            out.push(' ');
        }
        escape::line(name, &mut out);
        out.push('=');
        let quote = value.is_empty() || value.contains(char::is_whitespace);
        if quote {
            out.push('"');
        }
        escape::line(value, &mut out);
        if quote {
            out.push('"');
        }
    }
    out
}

/// Appends a cell, filled up to its width with blanks.
fn cell(text: &str, width: usize, cut: bool, line: &mut String) {
    let used = if cut {
        push_cut(text, width, line)
    } else {
        line.push_str(text);
        text.width()
    };
    line.extend(std::iter::repeat_n(' ', width.saturating_sub(used)));
}

/// Appends as much of `text` as `width` columns hold, with `…` if that is not all; says how many
/// columns it took.
fn push_cut(text: &str, width: usize, line: &mut String) -> usize {
    let whole = text.width();
    if whole <= width {
        line.push_str(text);
        return whole;
    }
    let mut used = 0;
    for c in text.chars() {
        let columns = c.width().unwrap_or(0);
        if used + columns > width.saturating_sub(1) {
            break;
        }
        line.push(c);
        used += columns;
    }
    line.push('…');
    used + 1
}
