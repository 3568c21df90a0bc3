//! Text broken into lines of so many columns of a terminal.
//!
//! A cell is made of parts, such as `Image=C:\x.exe`. Parts stand in one line as long as they fit; a
//! part never begins in the middle of a line that it would have to leave, and what is left of a
//! long one is indented, so that no new line of a value looks like a part of its own.

use unicode_width::UnicodeWidthChar as _;

/// Between two parts in a line.
const GAP: &str = "  ";

/// Before what is left of a part.
const INDENT: &str = "  ";

/// After these a long text is broken rather than elsewhere: words, paths, lists, commands; not after
/// a dash, which belongs to what follows it.
const BREAKS: [char; 7] = [' ', '\\', '/', ',', ';', '|', '&'];

/// What a cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell {
    /// Words, such as a title, or a name with dots in it.
    Words,
    /// Parts, each of which may be long.
    Parts,
}

/// How many columns a text takes.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// At most `most` lines of at most `width` columns; if that is not all, the last ends in `…`.
pub(super) fn wrap(parts: &[String], cell: Cell, width: usize, most: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Lines { cell, width, most, done: Vec::new(), line: String::new() };
    for part in parts {
        if lines.done.len() > most {
            break;
        }
        lines.part(part);
    }
    lines.finish()
}

struct Lines {
    cell: Cell,
    width: usize,
    most: usize,
    done: Vec<String>,
    line: String,
}

impl Lines {
    fn part(&mut self, part: &str) {
        let used = columns(&self.line);
        let whole = columns(part);
        if used > 0 && used + GAP.len() + whole <= self.width {
            self.line.push_str(GAP);
            self.line.push_str(part);
            return;
        }
        self.end_line();
        let mut rest = part;
        let mut indent = "";
        while self.done.len() <= self.most {
            // Very narrow columns are not indented: nothing else would be left of them.
            let room = self.width.saturating_sub(indent.len());
            if columns(rest) <= room {
                self.line.push_str(indent);
                self.line.push_str(rest);
                return;
            }
            let (head, tail) = rest.split_at(self.break_at(rest, room));
            self.line.push_str(indent);
            self.line.push_str(head.trim_end());
            self.end_line();
            rest = tail.trim_start();
            let indented = self.cell == Cell::Parts && self.width > 4 * INDENT.len();
            indent = if indented { INDENT } else { "" };
        }
    }

    /// Where to break a text that is wider than `room`: after the last of [`BREAKS`] past a third of
    /// the room, or else after a dash within a name, or else where the room ends. Never at the beginning.
    fn break_at(&self, text: &str, room: usize) -> usize {
        let (mut used, mut end, mut at, mut dash, mut before) = (0, 0, None, None, ' ');
        for (start, c) in text.char_indices() {
            used += c.width().unwrap_or(0);
            // A blank at the end of a line takes no room.
            if used > room && !(c == ' ' && used == room + 1) {
                break;
            }
            end = start + c.len_utf8();
            let breaks = BREAKS.contains(&c) || self.cell == Cell::Words && c == '.';
            if breaks && used > room / 3 {
                at = Some(end);
            } else if c == '-' && before.is_alphanumeric() && used > room / 3 {
                dash = Some(end);
            }
            before = c;
        }
        let first = text.chars().next().map_or(0, char::len_utf8);
        at.or(dash).unwrap_or(end).max(first)
    }

    fn end_line(&mut self) {
        if !self.line.is_empty() {
            self.done.push(std::mem::take(&mut self.line));
        }
    }

    fn finish(mut self) -> Vec<String> {
        self.end_line();
        if self.done.len() > self.most {
            self.done.truncate(self.most);
            if let Some(last) = self.done.last_mut() {
                while columns(last) + 1 > self.width && last.pop().is_some() {}
                last.push('…');
            }
        }
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wrapped(parts: &[&str], width: usize, most: usize) -> Vec<String> {
        let parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        wrap(&parts, Cell::Parts, width, most)
    }

    #[test]
    fn parts_are_kept_together() {
        for (parts, width, most, want) in [
            (&[][..], 10, 3, &[][..]),
            (&["a=1", "b=2"], 10, 3, &["a=1  b=2"]),
            (&["a=1", "b=2 and"], 10, 3, &["a=1", "b=2 and"]),
            (&["one two three four"], 10, 3, &["one two", "  three", "  four"]),
            (&["Microsoft-Windows-Sysmon"], 20, 3, &["Microsoft-Windows-", "  Sysmon"]),
            (&["powershell.exe -EncodedCommand"], 20, 3, &["powershell.exe", "  -EncodedCommand"]),
            (&[r"C:\Windows\System32\cmd.exe"], 20, 3, &[r"C:\Windows\System32\", "  cmd.exe"]),
            (&["aaaaaaaaaaaaaaaaaaaaaaaaa"], 10, 2, &["aaaaaaaaaa", "  aaaaaaa…"]),
            (&["aaaa", "bbbb", "cccc"], 4, 2, &["aaaa", "bbb…"]),
            (&["日本語日本語"], 5, 3, &["日本", "語日", "本語"]),
            (&["日本"], 1, 3, &["日", "本"]),
        ] {
            assert_eq!(wrapped(parts, width, most), want, "{parts:?} {width}");
        }
    }

    #[test]
    fn words_are_not_indented() {
        for (text, want) in [
            ("Shadow Copies Deleted", &["Shadow Copies", "Deleted"][..]),
            ("SRV-FS02.corp.example", &["SRV-FS02.corp.", "example"]),
        ] {
            assert_eq!(wrap(&[text.to_owned()], Cell::Words, 16, 3), want);
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_too_wide(
            parts in proptest::collection::vec("[a-c日é\\\\ ,]{0,40}", 0..6),
            width in 2usize..50,
            words in any::<bool>(),
        ) {
            let cell = if words { Cell::Words } else { Cell::Parts };
            let blank = |text: &str| text.replace([' ', '…'], "");
            let whole: String = parts.iter().map(|part| blank(part)).collect();
            let lines = wrap(&parts, cell, width, usize::MAX - 1);
            prop_assert_eq!(blank(&lines.concat()), whole);
            for most in 1..4 {
                let lines = wrap(&parts, cell, width, most);
                prop_assert!(lines.len() <= most);
                for line in lines {
                    prop_assert!(columns(&line) <= width, "{:?}", line);
                }
            }
        }
    }
}
