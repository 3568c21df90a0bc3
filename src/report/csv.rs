//! CSV: a row a hit, for spreadsheets and Timeline Explorer.
//!
//! As RFC 4180, with LF at the end of a line. A column has one value; all values together stand in
//! the last one. A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@` for a formula and
//! runs it, so such a cell gets a `'` before it, as OWASP advises; control characters, tabs and line
//! ends among them, are written out by [`escape`](super::escape), so a row is one line. Where `;` is
//! the list separator, a spreadsheet that is handed the file begins a new cell after each: what
//! follows one is looked at in the same way. What is a number stays a number.
//!
//! Source of facts: <https://owasp.org/www-community/attacks/CSV_Injection>.

use super::Hit;
use super::columns::Columns;
use std::fmt::Write as _;

/// More characters than this no cell of a spreadsheet holds: the rest would be lost or spill into
/// other cells, without a word. A longer text is cut and says so.
const CELL: usize = 32_767;

/// Room for the words about what was cut.
const CUT_NOTE: usize = 40;

/// Between several values in one cell.
const BETWEEN: &str = " | ";

pub(super) fn header(columns: &Columns, out: &mut Vec<u8>) {
    row(columns.iter().map(|column| column.name().into_owned()), out);
}

pub(super) fn hit(columns: &Columns, hit: &Hit<'_>, out: &mut Vec<u8>) {
    row(columns.iter().map(|column| column.texts(hit).join(BETWEEN)), out);
}

/// Appends a row of any cells, none of which a spreadsheet takes for a formula.
pub fn row(cells: impl Iterator<Item = String>, out: &mut Vec<u8>) {
    let mut writer = csv::WriterBuilder::new().buffer_capacity(1 << 10).from_writer(out);
    // Writing to memory cannot fail, and one row has no other row to be as long as.
    let _ = writer.write_record(cells.map(|cell| harmless(fitting(cell))));
    let _ = writer.flush();
}

/// A text of a length that a cell holds.
fn fitting(mut text: String) -> String {
    // Bytes are at least as many as the UTF-16 units that spreadsheets count.
    if text.len() <= CELL {
        return text;
    }
    let length = text.encode_utf16().count();
    if length > CELL {
        let mut units = 0;
        let end = text.char_indices().find(|(_, c)| {
            units += c.len_utf16();
            units > CELL - CUT_NOTE
        });
        text.truncate(end.map_or(text.len(), |(at, _)| at));
        let _ = write!(text, "… (cut, {length} characters)");
    }
    text
}

/// A text that no spreadsheet takes for a formula.
fn harmless(text: String) -> String {
    if !text.contains(['=', '+', '-', '@', '＝', '＋', '－', '＠']) || is_number(&text) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 1);
    for (n, cell) in text.split(';').enumerate() {
        if n > 0 {
            out.push(';');
        }
        // A dash alone says that there is nothing; at the start of more it may be a minus.
        if is_formula(cell) || n == 0 && cell == "-" && text != "-" {
            out.push('\'');
        }
        out.push_str(cell);
    }
    out
}

/// Whether a spreadsheet may take a cell for a formula; blanks and quotes before it do not help.
fn is_formula(cell: &str) -> bool {
    let cell = cell.trim_start_matches([' ', '"', '\'', '\u{a0}', '\u{3000}']);
    cell.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']) && cell != "-"
}

/// A plain decimal number, which no spreadsheet evaluates.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_text() {
        for (text, want) in [
            ("", ""),
            ("-", "-"),
            ("-5", "-5"),
            ("-5.5", "-5.5"),
            ("C:\\a-b=c", "C:\\a-b=c"),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-2+3", "'-2+3"),
            ("--", "'--"),
            ("-;", "'-;"),
            ("a;-", "a;-"),
            ("@SUM(A1)", "'@SUM(A1)"),
            (" =1", "' =1"),
            ("\"=1", "'\"=1"),
            ("＝1", "'＝1"),
            ("=cmd|'/c calc'!A1", "'=cmd|'/c calc'!A1"),
            ("a;=1;b;-x", "a;'=1;b;'-x"),
            ("a; =1", "a;' =1"),
            ("a=b", "a=b"),
        ] {
            assert_eq!(harmless(text.to_owned()), want);
        }
    }

    #[test]
    fn long_cells_are_cut_and_say_so() {
        for (text, whole) in [
            ("x".repeat(CELL), true),
            ("é".repeat(CELL), true),
            ("x".repeat(CELL + 1), false),
            ("🦅".repeat(CELL / 2 + 1), false),
        ] {
            let cell = fitting(text.clone());
            assert!(cell.encode_utf16().count() <= CELL);
            assert_eq!(cell == text, whole);
            assert_eq!(cell.ends_with(" characters)"), !whole);
        }
    }
}
