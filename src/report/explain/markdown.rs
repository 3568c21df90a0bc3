//! A document in Markdown. What is markup and what is not says [`super::super::markdown`].

use super::super::escape;
use super::super::markdown::cell;
use super::document::{Block, Document, Line, Style, Table};

pub(super) fn render(document: &Document) -> Vec<u8> {
    let mut out = format!("# {}", text(&document.title));
    if let Some((_, mark)) = &document.mark {
        out.push_str(&format!(" ({})", text(mark)));
    }
    out.push_str("\n\n");
    for block in &document.blocks {
        self::block(block, &mut out);
    }
    while out.ends_with("\n\n") {
        out.pop();
    }
    out.into_bytes()
}

fn block(block: &Block, out: &mut String) {
    match block {
        Block::Heading(heading) => out.push_str(&format!("## {}\n\n", escape::lined(heading))),
        Block::Paragraph(paragraph) => {
            // Two blanks at its end break a line.
            let lines: Vec<String> = paragraph.trim_end().lines().map(text).collect();
            out.push_str(&format!("{}\n\n", lines.join("  \n")));
        }
        Block::List(items) => {
            items.iter().for_each(|item| out.push_str(&format!("- {}\n", text(item))));
            out.push('\n');
        }
        Block::Facts(facts) => {
            row(&["", ""].map(str::to_owned), out);
            row(&["---", "---"].map(str::to_owned), out);
            for (label, values) in facts {
                row(&[(*label).to_owned(), cells(values)], out);
            }
            out.push('\n');
        }
        Block::Table(Table { columns, rows }) => {
            let names: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
            row(&names, out);
            row(&vec!["---".to_owned(); columns.len()], out);
            for cells in rows {
                let cells: Vec<String> = cells.iter().map(|cell| self::cells(cell)).collect();
                row(&cells, out);
            }
            out.push('\n');
        }
        Block::Tree(lines) => {
            lines.iter().for_each(|l| line(l, out));
            out.push('\n');
        }
        Block::Code(code) => {
            let lines: Vec<String> = code.lines().map(escape::lined).collect();
            let fence = "`".repeat(longest_run(code).max(2) + 1);
            out.push_str(&format!("{fence}yaml\n{}\n{fence}\n\n", lines.join("\n")));
        }
    }
}

/// A text outside of tables: as in a cell of one, but that a sentence is let stand.
fn text(text: &str) -> String {
    let text = escape::lined(text);
    if is_sentence(&text) { text } else { cell(&text) }
}

/// Whether a text is words with marks that mean nothing in Markdown where they stand: no markup, no
/// address that becomes a link, nothing that begins a list, no name of a sign between colons.
fn is_sentence(text: &str) -> bool {
    let harmless = |c: char| c.is_alphanumeric() || " ,'/-.:;()+".contains(c);
    let colons = text.split(':').skip(1).all(|behind| behind.is_empty() || behind.starts_with(' '));
    let address = text.contains("://") || text.to_ascii_lowercase().contains("www.");
    let begins = text.starts_with(|c: char| c.is_alphabetic() || c == '(');
    text.chars().all(harmless) && colons && !address && begins && text.trim() == text
}

fn cells(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|one| text(one)).collect();
    texts.join("<br>")
}

fn row(cells: &[String], out: &mut String) {
    for cell in cells {
        out.push_str(&format!("| {cell} "));
    }
    out.push_str("|\n");
}

/// A line of a tree is an item of nested lists; fields and values are code.
fn line(line: &Line, out: &mut String) {
    out.push_str(&format!("{}- ", "  ".repeat(line.depth)));
    let mut code = String::new();
    let mut rest = String::new();
    for (style, span) in &line.spans {
        match style {
            Style::Aside if code.is_empty() => out.push_str(&format!("*{}* ", span.trim())),
            Style::Aside => rest.push_str(span),
            Style::True | Style::False => out.push_str(&format!("**{}** ", span.trim())),
            _ => code.push_str(span),
        }
    }
    out.push_str(&text(&code));
    if !rest.trim().is_empty() {
        out.push_str(&format!(" {}", text(&rest)));
    }
    out.push('\n');
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}
