//! Aligned columns: what a person reads.
//!
//! Hits stream, so the widths are worked out once from the width of the page and not measured. As
//! many columns as fit stand side by side; those that do not follow below the row, indented and with
//! the whole width to themselves, which for command lines and paths reads better than a narrow
//! column would. Long cells are wrapped, and cut with `…` after some lines. Without a width
//! (`--wide`) a hit is one line, and nothing is wrapped or cut.
//!
//! Invariant: no line is wider than the page, unless the page is narrower than [`LEAST_PAGE`].

use super::Hit;
use super::columns::{Column, Columns, Known, OFFSET, is_time, shorten_time};
use super::wrap::{Cell, columns as width_of, wrap};

/// A table: which columns, and how wide each is.
#[derive(Debug, Clone)]
pub struct Table {
    colour: bool,
    /// The columns side by side.
    row: Vec<(Column, usize)>,
    /// The columns below.
    below: Vec<Column>,
    /// How wide the page is, if anything is to be wrapped.
    page: Option<usize>,
}

/// Between two columns.
const GAP: &str = "  ";

/// Before what stands below a row.
const INDENT: &str = "    ";

/// A page narrower than this is taken to be this wide: the terminal breaks its lines.
const LEAST_PAGE: usize = 40;

/// From this width on times have milliseconds.
const PAGE_FOR_MILLISECONDS: usize = 120;
const TIME_TO_SECONDS: usize = "2025-10-26 00:11:12".len();
const TIME_TO_MILLISECONDS: usize = "2025-10-26 00:11:12.880".len();

/// So many lines a cell may have in a row, and below it.
const LINES_IN_ROW: usize = 3;
const LINES_BELOW: usize = 4;
/// A path that is cut is no path: it gets as many lines as a very long one needs.
const LINES_OF_PATH: usize = 12;

impl Table {
    /// A table for a page of some width; without, a hit is one line however long.
    #[must_use]
    pub fn new(columns: &Columns, colour: bool, page: Option<usize>) -> Table {
        let page = page.map(|page| page.max(LEAST_PAGE));
        let (mut row, mut below) = (Vec::new(), Vec::new());
        let mut used = 0;
        for column in columns.iter().cloned() {
            let (least, ideal) = widths(&column, page);
            let Some(page) = page else {
                row.push((column, ideal));
                continue;
            };
            let gap = if row.is_empty() { 0 } else { GAP.len() };
            if below.is_empty() && used + gap + least <= page {
                used += gap + least;
                row.push((column, least));
            } else {
                below.push(column);
            }
        }
        if let Some(page) = page {
            widen(&mut row, page.saturating_sub(used), page);
        }
        Table { colour, row, below, page }
    }

    /// The names of the columns.
    pub(super) fn header(&self, out: &mut Vec<u8>) {
        let cells = self.row.iter().map(|(column, width)| {
            let name = column.heading().to_uppercase();
            match self.page {
                Some(_) => wrap(&[name], Cell::Words, *width, 1),
                None => vec![name],
            }
        });
        self.lines(&cells.collect::<Vec<_>>(), ["", ""], out);
    }

    pub(super) fn hit(&self, hit: &Hit<'_>, out: &mut Vec<u8>) {
        let cells = self.row.iter().map(|(column, width)| {
            let mut texts = texts(column, hit);
            if let Some(has_offset) = is_time(column) {
                texts.iter_mut().for_each(|time| shorten_time(time, *width, has_offset));
            }
            if texts.is_empty() {
                texts.push("-".to_owned());
            }
            match self.page {
                Some(_) if is_path(column) => wrap(&texts, Cell::Parts, *width, LINES_OF_PATH),
                Some(_) => {
                    let words = if is_short(column) { Cell::Words } else { Cell::Parts };
                    wrap(&texts, words, *width, LINES_IN_ROW)
                }
                None => vec![texts.join(GAP)],
            }
        });
        let cells: Vec<Vec<String>> = cells.collect();
        let colours = if self.colour { [level_colour(hit.rule.level), DIM] } else { ["", ""] };
        self.lines(&cells, colours, out);
        self.below(hit, colours, out);
    }

    /// The lines of a row of cells, with the colours of level and place.
    fn lines(&self, cells: &[Vec<String>], [level, place]: [&str; 2], out: &mut Vec<u8>) {
        for n in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
            let mut line = String::new();
            // Blanks that are still to be written, if anything follows.
            let mut blanks = 0;
            for ((column, width), cell) in self.row.iter().zip(cells) {
                let text = cell.get(n).map_or("", String::as_str);
                let colour = match column {
                    Column::Known(Known::Level | Known::Rule) => level,
                    Column::Known(Known::Where) => place,
                    _ => "",
                };
                if !text.is_empty() {
                    line.extend(std::iter::repeat_n(' ', blanks));
                    blanks = 0;
                    coloured(text, colour, &mut line);
                }
                blanks += width.saturating_sub(width_of(text)) + GAP.len();
            }
            line.push('\n');
            out.extend_from_slice(line.as_bytes());
        }
    }

    /// What stands below the row. Short ones share a line.
    fn below(&self, hit: &Hit<'_>, [_, place]: [&str; 2], out: &mut Vec<u8>) {
        let Some(page) = self.page else { return };
        let mut short: Vec<String> = Vec::new();
        let mut write = |texts: &[String], lines, colour| {
            for line in wrap(texts, Cell::Parts, page - INDENT.len(), lines) {
                out.extend_from_slice(INDENT.as_bytes());
                let mut text = String::new();
                coloured(&line, colour, &mut text);
                text.push('\n');
                out.extend_from_slice(text.as_bytes());
            }
        };
        for column in &self.below {
            let texts = labelled(column, texts(column, hit));
            if is_short(column) {
                short.extend(texts);
                continue;
            }
            write(&std::mem::take(&mut short), LINES_BELOW, "");
            let where_it_lies = matches!(column, Column::Known(Known::Where));
            let lines = if is_path(column) { LINES_OF_PATH } else { LINES_BELOW };
            write(&texts, lines, if where_it_lies { place } else { "" });
        }
        write(&short, LINES_BELOW, "");
    }
}

impl Default for Table {
    /// One line a hit, without colour.
    fn default() -> Table {
        Table::new(&Columns::standard(super::Medium::Page), false, None)
    }
}

/// The least and the ideal width of a column.
fn widths(column: &Column, page: Option<usize>) -> (usize, usize) {
    let Column::Known(known) = column else { return (16, 40) };
    let narrow = page.is_some_and(|page| page < PAGE_FOR_MILLISECONDS);
    let time = if narrow { TIME_TO_SECONDS } else { TIME_TO_MILLISECONDS };
    match known {
        Known::Time | Known::First | Known::Last => (time, time),
        Known::LocalTime | Known::LocalFirst | Known::LocalLast => (time + OFFSET, time + OFFSET),
        Known::Count => (7, 7),
        Known::Level => (5, 5),
        Known::Rule => (24, 60),
        Known::Computer => (22, 26),
        Known::Event => (12, 22),
        Known::EventId | Known::Status => (7, 7),
        Known::Chunk | Known::Recovered => (9, 9),
        Known::RecordId | Known::HeaderRecordId | Known::Offset => (14, 14),
        Known::Fields | Known::Matched | Known::Details => (80, 110),
        Known::Where | Known::Path => (50, 100),
        Known::Match(_) | Known::Notion(_) | Known::RuleFile | Known::RuleId => (24, 50),
        Known::FilteredBy => (16, 40),
        Known::Channel | Known::Provider | Known::Title => (16, 36),
        Known::Techniques | Known::Tags => (12, 24),
    }
}

/// Shares out the columns of the page that are left, by what each column would like to have.
fn widen(row: &mut [(Column, usize)], left: usize, page: usize) {
    let wish =
        |(column, width): &(Column, usize)| widths(column, Some(page)).1.saturating_sub(*width);
    let wishes: usize = row.iter().map(wish).sum();
    if wishes == 0 {
        return;
    }
    for cell in row.iter_mut() {
        let wish = wish(cell);
        cell.1 += wish.min(wish * left / wishes);
    }
}

/// What is short enough to share a line with others.
fn is_short(column: &Column) -> bool {
    matches!(
        column,
        Column::Known(
            Known::Rule
                | Known::Computer
                | Known::Event
                | Known::EventId
                | Known::Channel
                | Known::Provider
                | Known::Title
                | Known::RecordId
                | Known::Level
                | Known::Status
                | Known::Techniques
                | Known::Chunk
                | Known::Offset
                | Known::HeaderRecordId
                | Known::Recovered
        )
    )
}

fn is_path(column: &Column) -> bool {
    matches!(column, Column::Known(Known::Where | Known::Path))
}

/// A cell's texts, levels by their short words.
fn texts(column: &Column, hit: &Hit<'_>) -> Vec<String> {
    match column {
        Column::Known(Known::Level) => vec![short_level(hit.rule.level).to_owned()],
        column => column.texts(hit),
    }
}

/// Texts with the column's name, unless they say themselves what they are.
fn labelled(column: &Column, mut texts: Vec<String>) -> Vec<String> {
    let tells = matches!(
        column,
        Column::Known(
            Known::Time
                | Known::LocalTime
                | Known::Level
                | Known::Rule
                | Known::Computer
                | Known::Event
                | Known::Title
                | Known::Fields
                | Known::Matched
                | Known::Match(_)
                | Known::Details
                | Known::Where
                | Known::Techniques
                | Known::Tags
        )
    );
    if let (false, Some(first)) = (tells, texts.first_mut()) {
        first.insert_str(0, &format!("{}: ", column.name()));
    }
    texts
}

/// A level's short word.
fn short_level(level: &str) -> &str {
    match level {
        "critical" => "crit",
        "medium" => "med",
        "informational" => "info",
        "context" => "ctx",
        level => level,
    }
}

const DIM: &str = "\x1b[2m";

/// Bold red, red, yellow, cyan, none.
fn level_colour(level: &str) -> &'static str {
    match level {
        "critical" => "\x1b[1;31m",
        "high" => "\x1b[31m",
        "medium" => "\x1b[33m",
        "low" => "\x1b[36m",
        _ => "",
    }
}

fn coloured(text: &str, colour: &str, line: &mut String) {
    line.push_str(colour);
    line.push_str(text);
    if !colour.is_empty() {
        line.push_str("\x1b[0m");
    }
}
