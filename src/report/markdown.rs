//! Markdown: a table for a report or a ticket, as GitHub, GitLab and most others read it.
//!
//! What events and rules say must not become markup: no HTML, no links or images, no mentions, no
//! new cells. A text of nothing but letters, digits and a few harmless marks stands as it is; any
//! other goes into a code span, within which Markdown interprets nothing. Three things remain:
//! backticks, for which the span gets a longer fence; `|`, which ends a cell also within a span and
//! is escaped; and a `|` after a backslash, on which readers disagree, so that it is shown by its
//! number.
//!
//! Source of facts: CommonMark 0.31.2 section 6.1; GitHub Flavored Markdown 0.29 section 4.10.

use super::Hit;
use super::columns::{Columns, OFFSET, is_time, shorten_time};

pub(super) fn header(columns: &Columns, out: &mut Vec<u8>) {
    row(columns.iter().map(|column| heading(&column.heading())), out);
    row(columns.iter().map(|_| "---".to_owned()), out);
}

pub(super) fn hit(columns: &Columns, hit: &Hit<'_>, out: &mut Vec<u8>) {
    let cells = columns.iter().map(|column| {
        let texts = column.texts(hit);
        let time = is_time(column);
        let texts: Vec<String> = texts.iter().map(|text| shown(text, time)).collect();
        texts.join(" ")
    });
    row(cells, out);
}

fn row(cells: impl Iterator<Item = String>, out: &mut Vec<u8>) {
    for cell in cells {
        out.extend_from_slice(b"| ");
        out.extend_from_slice(cell.as_bytes());
        out.push(b' ');
    }
    out.extend_from_slice(b"|\n");
}

/// A column's name; ours may have parentheses.
fn heading(name: &str) -> String {
    if name.ends_with(" (UTC)") { name.to_owned() } else { cell(name) }
}

/// How many characters of a time are shown: to milliseconds.
const TIME: usize = "2025-10-26 00:11:12.880".len();

/// A text as it stands in the table. A time is no markup for all its marks.
fn shown(text: &str, time: Option<bool>) -> String {
    let of_time = |b: u8| b.is_ascii_digit() || b" -:.+".contains(&b);
    let Some(has_offset) = time.filter(|_| text.len() >= TIME && text.bytes().all(of_time)) else {
        return cell(text);
    };
    let mut time = text.to_owned();
    shorten_time(&mut time, if has_offset { TIME + OFFSET } else { TIME }, has_offset);
    time
}

/// A text that is nothing but text.
pub(super) fn cell(text: &str) -> String {
    let text = text.trim();
    if text.chars().all(|c| c.is_alphanumeric() || " ,'/-".contains(c)) {
        return text.to_owned();
    }
    let mut inside = String::with_capacity(text.len());
    let (mut run, mut longest) = (0, 0);
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
        match c {
            '|' if inside.ends_with('\\') => inside.push_str("\\x7c"),
            '|' => inside.push_str("\\|"),
            c => inside.push(c),
        }
    }
    let fence = "`".repeat(longest + 1);
    // A backtick at an end would lengthen the fence, a backslash there would escape the next bar.
    let edge = text.starts_with('`') || text.ends_with(['`', '\\']);
    let blank = if edge { " " } else { "" };
    format!("{fence}{blank}{inside}{blank}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_text() {
        for (text, want) in [
            ("", ""),
            ("Shadow Copies Deleted Or Starved", "Shadow Copies Deleted Or Starved"),
            ("Sysmon/1", "Sysmon/1"),
            ("ws01.example", "`ws01.example`"),
            (r"C:\a", r"`C:\a`"),
            (r"C:\a\", r"` C:\a\ `"),
            ("<img src=x onerror=alert(1)>", "`<img src=x onerror=alert(1)>`"),
            ("[a](http://x)", "`[a](http://x)`"),
            ("http://x", "`http://x`"),
            ("a | iex", r"`a \| iex`"),
            (r"a\|b", r"`a\\x7cb`"),
            (r"a\\|b", r"`a\\\x7cb`"),
            ("||", r"`\|\|`"),
            ("a`b", "``a`b``"),
            ("`a```b`", "```` `a```b` ````"),
            ("@admin #1", "`@admin #1`"),
            ("Müller", "Müller"),
        ] {
            assert_eq!(cell(text), want);
        }
    }
}
