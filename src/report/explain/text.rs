//! A document as text: aligned, wrapped, coloured if that is wanted.

use super::super::escape;
use super::super::wrap::{Cell, columns, wrap};
use super::document::{Block, Document, Line, Style, Table};

/// Between two columns of a table, and before what stands under a heading.
const GAP: usize = 2;

/// A column is not made narrower than this for others.
const NARROW: usize = 8;

pub(super) fn render(document: &Document, width: usize, color: bool) -> Vec<u8> {
    let mut text = Text { width: width.max(40), color, out: String::new() };
    let title = escape::lined(&document.title);
    text.paint(BOLD, &title);
    if let Some((style, mark)) = &document.mark {
        text.out.push_str("  ");
        text.span(*style, &format!("[{}]", escape::lined(mark)));
    }
    text.out.push('\n');
    let mut before: Option<&Block> = None;
    for block in &document.blocks {
        // Tables are apart from what stands before them, but for a heading.
        if matches!(block, Block::Table(_)) && !matches!(before, Some(Block::Heading(_))) {
            text.out.push('\n');
        }
        text.block(block);
        before = Some(block);
    }
    text.out.into_bytes()
}

const BOLD: &str = "1";

struct Text {
    width: usize,
    color: bool,
    out: String,
}

impl Text {
    fn block(&mut self, block: &Block) {
        match block {
            Block::Heading(heading) => {
                self.out.push('\n');
                let heading = escape::lined(heading);
                self.paint(BOLD, &heading);
                self.out.push('\n');
            }
            Block::Paragraph(text) => {
                for line in text.trim_end().lines() {
                    self.out.push_str(if line.trim().is_empty() { "" } else { "  " });
                    self.hanging(GAP, line, Cell::Words);
                }
            }
            Block::List(items) => {
                for item in items {
                    self.out.push_str("  - ");
                    self.hanging(4, item, Cell::Words);
                }
            }
            Block::Facts(facts) => self.facts(facts),
            Block::Table(table) => self.table(table),
            Block::Tree(lines) => lines.iter().for_each(|line| self.line(line)),
            Block::Code(code) => {
                for line in code.lines() {
                    let line = escape::lined(line);
                    self.out.push_str(if line.is_empty() { "" } else { "  " });
                    self.out.push_str(&line);
                    self.out.push('\n');
                }
            }
        }
    }

    fn facts(&mut self, facts: &[(&'static str, Vec<String>)]) {
        let widest = facts.iter().map(|(label, _)| columns(label)).max().unwrap_or(0);
        for (label, values) in facts {
            for (n, value) in values.iter().enumerate() {
                let label = if n == 0 { label } else { "" };
                self.out.push_str(&format!("  {label:widest$}  "));
                self.hanging(widest + 2 * GAP, value, Cell::Words);
            }
        }
    }

    /// Text of which the first line's beginning is written already.
    fn hanging(&mut self, indent: usize, text: &str, cell: Cell) {
        let room = self.width.saturating_sub(indent).max(NARROW);
        let lines = wrap(&[escape::lined(text)], cell, room, usize::MAX - 1);
        for (n, line) in lines.iter().enumerate() {
            if n > 0 {
                self.out.push_str(&" ".repeat(indent));
            }
            self.out.push_str(line);
            self.out.push('\n');
        }
        if lines.is_empty() {
            self.out.push('\n');
        }
    }

    /// A line of a tree; what does not fit goes on below, further right.
    fn line(&mut self, line: &Line) {
        let indent = GAP * (line.depth + 1);
        let room = self.width.saturating_sub(indent).max(NARROW);
        let whole: String = line.spans.iter().map(|(_, text)| escape::lined(text)).collect();
        self.out.push_str(&" ".repeat(indent));
        if columns(&whole) <= room {
            for (style, text) in &line.spans {
                let text = escape::lined(text);
                self.span(*style, &text);
            }
            self.out.push('\n');
        } else {
            // Parts of a wrapped line are not coloured: a value would lose its colour at its second line.
            let lines = wrap(&[whole], Cell::Parts, room, usize::MAX - 1);
            for (n, line) in lines.iter().enumerate() {
                if n > 0 {
                    self.out.push_str(&" ".repeat(indent));
                }
                self.out.push_str(line);
                self.out.push('\n');
            }
        }
    }

    fn table(&mut self, table: &Table) {
        let widths = widths(table, self.width.saturating_sub(GAP));
        let header: Vec<Vec<String>> =
            table.columns.iter().map(|name| vec![(*name).to_owned()]).collect();
        self.row(&header, &widths, true);
        for row in &table.rows {
            let cells: Vec<Vec<String>> = row
                .iter()
                .zip(&widths)
                .map(|(texts, width)| {
                    let lines = texts.iter().flat_map(|text| {
                        wrap(&[escape::lined(text)], Cell::Parts, *width, usize::MAX - 1)
                    });
                    lines.collect()
                })
                .collect();
            self.row(&cells, &widths, false);
        }
    }

    fn row(&mut self, cells: &[Vec<String>], widths: &[usize], header: bool) {
        let height = cells.iter().map(Vec::len).max().unwrap_or(0).max(1);
        for n in 0..height {
            let mut line = String::new();
            for (cell, width) in cells.iter().zip(widths) {
                line.push_str(&" ".repeat(GAP));
                let text = cell.get(n).map_or("", String::as_str);
                line.push_str(text);
                line.push_str(&" ".repeat(width.saturating_sub(columns(text))));
            }
            let line = line.trim_end();
            if header {
                self.paint("4", line);
            } else {
                self.out.push_str(line);
            }
            self.out.push('\n');
        }
    }

    fn span(&mut self, style: Style, text: &str) {
        let code = match style {
            Style::Plain => "",
            Style::Word => "1",
            Style::Field => "36",
            Style::Value => "33",
            Style::Aside => "2",
            Style::True => "32",
            Style::False => "31",
            Style::Level(0) => "2",
            Style::Level(1) => "34",
            Style::Level(2) => "33",
            Style::Level(3) => "31",
            Style::Level(_) => "1;31",
        };
        self.paint(code, text);
    }

    fn paint(&mut self, code: &str, text: &str) {
        if !self.color || code.is_empty() || text.is_empty() {
            self.out.push_str(text);
            return;
        }
        // Blanks before the text are not underlined.
        let blank = text.len() - text.trim_start().len();
        let (blank, text) = text.split_at(blank);
        self.out.push_str(&format!("{blank}\x1b[{code}m{text}\x1b[0m"));
    }
}

/// How wide columns are: as wide as their content, and if that is too much, the widest are made
/// narrower until it fits.
fn widths(table: &Table, room: usize) -> Vec<usize> {
    let mut widths: Vec<usize> = table.columns.iter().map(|name| columns(name)).collect();
    for row in &table.rows {
        for (width, texts) in widths.iter_mut().zip(row) {
            let widest = texts.iter().map(|text| columns(&escape::lined(text))).max().unwrap_or(0);
            *width = (*width).max(widest);
        }
    }
    loop {
        let sum: usize = widths.iter().map(|width| width + GAP).sum();
        let excess = sum.saturating_sub(room + GAP);
        let Some(widest) = widths.iter().copied().max().filter(|w| excess > 0 && *w > NARROW)
        else {
            return widths;
        };
        // Down to the next widest, or as far as needed, whichever is less.
        let count = widths.iter().filter(|width| **width == widest).count();
        let next = widths.iter().copied().filter(|w| *w < widest).max().unwrap_or(0).max(NARROW);
        let less = excess.div_ceil(count).min(widest - next).max(1);
        widths.iter_mut().filter(|w| **w == widest).for_each(|w| *w = widest - less);
    }
}
