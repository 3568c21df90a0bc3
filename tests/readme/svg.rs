//! A terminal's picture: text with colours as a terminal gets it, drawn as SVG.
//!
//! Only what Harrier writes is understood: lines of text, and the SGR sequences of its tables. The
//! letters are placed by the viewer's own monospaced font, each line stretched to its exact length,
//! so that columns stand under one another whatever that font is.

use std::fmt::Write as _;

/// A letter's width and a line's height, in pixels.
const LETTER: f64 = 7.2;
const LINE: usize = 17;
const MARGIN: usize = 14;
/// The bar at the top, with the command in it.
const BAR: usize = 30;

/// How a piece of text looks.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Look {
    colour: Option<&'static str>,
    bold: bool,
    dim: bool,
}

/// Draws what `command` wrote.
pub fn draw(command: &str, text: &str) -> String {
    let lines: Vec<Vec<(Look, String)>> = text.lines().map(pieces).collect();
    let columns = |line: &Vec<(Look, String)>| -> usize {
        line.iter().map(|(_, text)| text.chars().count()).sum()
    };
    let widest = lines.iter().map(columns).max().unwrap_or(0);
    let width = (widest as f64 * LETTER).ceil() as usize + 2 * MARGIN;
    let height = BAR + lines.len() * LINE + 2 * MARGIN;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"{}\">\n\
         <style>text {{ font: 12px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; \
         fill: #d4d8df }}</style>\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#14181f\"/>\n\
         <rect width=\"{width}\" height=\"{BAR}\" rx=\"8\" fill=\"#232a34\"/>\n\
         <text x=\"{MARGIN}\" y=\"20\" fill=\"#8fa1b8\">$ {}</text>\n",
        escaped(command),
        escaped(command),
    );
    for (n, line) in lines.iter().enumerate() {
        let y = BAR + MARGIN + 12 + n * LINE;
        let mut column = 0;
        for (look, text) in line {
            if !text.trim().is_empty() {
                piece(column, y, *look, text, &mut out);
            }
            column += text.chars().count();
        }
    }
    out.push_str("</svg>\n");
    out
}

fn piece(column: usize, y: usize, look: Look, text: &str, out: &mut String) {
    let blanks = text.chars().take_while(|c| *c == ' ').count();
    let text = text.trim();
    let x = MARGIN as f64 + (column + blanks) as f64 * LETTER;
    let length = text.chars().count() as f64 * LETTER;
    let _ = write!(out, "<text x=\"{x:.1}\" y=\"{y}\" textLength=\"{length:.1}\"");
    if let Some(colour) = look.colour {
        let _ = write!(out, " style=\"fill: {colour}\"");
    }
    if look.bold {
        out.push_str(" font-weight=\"bold\"");
    }
    if look.dim {
        out.push_str(" opacity=\"0.6\"");
    }
    // Of several blanks viewers draw one, unless they are of this kind.
    let _ = writeln!(out, ">{}</text>", escaped(text).replace(' ', "\u{a0}"));
}

/// A line cut where its look changes.
fn pieces(line: &str) -> Vec<(Look, String)> {
    let (mut look, mut out) = (Look::default(), Vec::new());
    for (n, part) in line.split("\x1b[").enumerate() {
        let text = match n {
            0 => part,
            _ => {
                let (codes, text) = part.split_once('m').expect("a sequence of colours");
                codes.split(';').for_each(|code| apply(code, &mut look));
                text
            }
        };
        if !text.is_empty() {
            out.push((look, text.to_owned()));
        }
    }
    out
}

fn apply(code: &str, look: &mut Look) {
    match code {
        "" | "0" => *look = Look::default(),
        "1" => look.bold = true,
        "2" => look.dim = true,
        "31" => look.colour = Some("#ff7b72"),
        "33" => look.colour = Some("#e3b341"),
        "36" => look.colour = Some("#56d4dd"),
        other => panic!("no such colour is known: {other}"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[test]
fn text_is_drawn_with_its_colours() {
    let svg = draw("a & b", "plain\n\x1b[1;31mcrit\x1b[0m  <x>\n");
    assert!(svg.contains("aria-label=\"a &amp; b\""));
    assert!(svg.contains("textLength=\"36.0\">plain</text>"));
    assert!(svg.contains(" style=\"fill: #ff7b72\" font-weight=\"bold\">crit</text>"));
    let blanks_and_place = format!("<text x=\"{:.1}\"", MARGIN as f64 + 6.0 * LETTER);
    assert!(svg.contains(&blanks_and_place) && svg.contains(">&lt;x&gt;</text>"));
    let mut reader = quick_xml::Reader::from_str(&svg);
    while reader.read_event().unwrap() != quick_xml::events::Event::Eof {}
}
