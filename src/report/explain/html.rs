//! A document as a page of HTML that needs nothing but itself: no script, no font, no picture from
//! elsewhere. It prints on paper as it looks.
//!
//! Every text goes through [`text()`], which leaves no character that HTML would take for markup, and
//! shows what would reorder or hide others by its number.

use super::super::escape;
use super::document::{Block, Document, Line, Style, Table};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;\
color:#1c1c1c;background:#fff}h1{font-size:1.6rem}h2{font-size:1.15rem;margin:1.8rem 0 .4rem;\
border-bottom:1px solid #bbb}table{border-collapse:collapse;width:100%}th,td{text-align:left;\
vertical-align:top;padding:.2rem .6rem .2rem 0;border-bottom:1px solid #e4e4e4;overflow-wrap:anywhere}\
th{font-weight:600}dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem}dt{color:#666}\
dd{margin:0;overflow-wrap:anywhere}pre,.tree{font:13px/1.5 ui-monospace,monospace}\
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f6f6f6;padding:.8rem}\
.tree div{overflow-wrap:anywhere}.mark{font-size:1rem;border:1px solid;border-radius:.3rem;padding:0 .4rem}\
.word{font-weight:600}.field{color:#0a5a8a}.value{color:#7a4a00}.aside{color:#777}.true{color:#186a2b}\
.false{color:#a11}.level0{color:#666}.level1{color:#1a56a0}.level2{color:#8a6100}.level3{color:#b03000}\
.level4{color:#a00;font-weight:700}@media print{body{margin:0;max-width:none;font-size:11px}\
h2{break-after:avoid}tr,.tree div{break-inside:avoid}pre{background:none;border:1px solid #ccc}}";

pub(super) fn render(document: &Document) -> Vec<u8> {
    let mut out =
        String::from("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    out.push_str("<meta name=\"viewport\" content=\"width=device-width\">\n<title>");
    text(&document.title, &mut out);
    out.push_str("</title>\n<style>");
    out.push_str(STYLE);
    out.push_str("</style>\n</head>\n<body>\n<h1>");
    text(&document.title, &mut out);
    if let Some((style, mark)) = &document.mark {
        out.push_str(&format!(" <span class=\"mark {}\">", class(*style)));
        text(mark, &mut out);
        out.push_str("</span>");
    }
    out.push_str("</h1>\n");
    document.blocks.iter().for_each(|b| block(b, &mut out));
    out.push_str("</body>\n</html>\n");
    out.into_bytes()
}

fn block(block: &Block, out: &mut String) {
    match block {
        Block::Heading(heading) => element("h2", heading, out),
        Block::Paragraph(paragraph) => {
            out.push_str("<p>");
            for (n, line) in paragraph.trim_end().lines().enumerate() {
                out.push_str(if n > 0 { "<br>\n" } else { "" });
                text(line, out);
            }
            out.push_str("</p>\n");
        }
        Block::List(items) => {
            out.push_str("<ul>\n");
            items.iter().for_each(|item| element("li", item, out));
            out.push_str("</ul>\n");
        }
        Block::Facts(facts) => {
            out.push_str("<dl>\n");
            for (label, values) in facts {
                element("dt", label, out);
                out.push_str("<dd>");
                texts(values, out);
                out.push_str("</dd>\n");
            }
            out.push_str("</dl>\n");
        }
        Block::Table(rows) => table(rows, out),
        Block::Tree(lines) => {
            out.push_str("<div class=\"tree\">\n");
            lines.iter().for_each(|l| line(l, out));
            out.push_str("</div>\n");
        }
        Block::Code(code) => {
            out.push_str("<pre>");
            for line in code.lines() {
                text(line, out);
                out.push('\n');
            }
            out.push_str("</pre>\n");
        }
    }
}

fn table(table: &Table, out: &mut String) {
    out.push_str("<table>\n<thead><tr>");
    for column in &table.columns {
        out.push_str("<th>");
        text(column, out);
        out.push_str("</th>");
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        out.push_str("<tr>");
        for cell in row {
            out.push_str("<td>");
            texts(cell, out);
            out.push_str("</td>");
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n");
}

fn line(line: &Line, out: &mut String) {
    out.push_str(&format!("<div style=\"padding-left:{}ch\">", 2 * line.depth));
    for (style, span) in &line.spans {
        match style {
            Style::Plain => text(span, out),
            style => {
                out.push_str(&format!("<span class=\"{}\">", class(*style)));
                text(span, out);
                out.push_str("</span>");
            }
        }
    }
    out.push_str("</div>\n");
}

fn class(style: Style) -> &'static str {
    match style {
        Style::Plain => "plain",
        Style::Word => "word",
        Style::Field => "field",
        Style::Value => "value",
        Style::Aside => "aside",
        Style::True => "true",
        Style::False => "false",
        Style::Level(0) => "level0",
        Style::Level(1) => "level1",
        Style::Level(2) => "level2",
        Style::Level(3) => "level3",
        Style::Level(_) => "level4",
    }
}

fn element(name: &str, content: &str, out: &mut String) {
    out.push_str(&format!("<{name}>"));
    text(content, out);
    out.push_str(&format!("</{name}>\n"));
}

fn texts(texts: &[String], out: &mut String) {
    for (n, one) in texts.iter().enumerate() {
        out.push_str(if n > 0 { "<br>" } else { "" });
        text(one, out);
    }
}

/// A text that is nothing but text.
fn text(text: &str, out: &mut String) {
    for c in escape::lined(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
}
