//! A page for readers, before anyone knows on what it will be shown.

/// Headings, facts, tables and trees in the order in which they are read.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// What it is about.
    pub title: String,
    /// A word that stands beside the title, such as a level.
    pub mark: Option<(Style, String)>,
    pub blocks: Vec<Block>,
}

/// A piece of a document.
#[derive(Debug)]
pub(super) enum Block {
    Heading(String),
    /// Labels with what is said under them, one or several lines.
    Facts(Vec<(&'static str, Vec<String>)>),
    Paragraph(String),
    List(Vec<String>),
    Table(Table),
    Tree(Vec<Line>),
    /// Text as somebody wrote it.
    Code(String),
}

/// Rows of cells, each of one or several texts.
#[derive(Debug)]
pub(super) struct Table {
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<Vec<String>>>,
}

/// A line of a tree.
#[derive(Debug)]
pub(super) struct Line {
    pub depth: usize,
    pub spans: Vec<(Style, String)>,
}

/// What a piece of text is, for whoever colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    /// A word of the condition.
    Word,
    Field,
    Value,
    /// Said beside something.
    Aside,
    True,
    False,
    /// A level, from 0 for the least severe to 4.
    Level(u8),
}

impl Document {
    /// Appends a heading with what stands under it, unless that is nothing.
    pub(super) fn section(&mut self, heading: &str, blocks: Vec<Block>) {
        let mut blocks: Vec<Block> = blocks.into_iter().filter(|b| !b.is_empty()).collect();
        if !blocks.is_empty() {
            self.blocks.push(Block::Heading(heading.to_owned()));
            self.blocks.append(&mut blocks);
        }
    }
}

impl Block {
    fn is_empty(&self) -> bool {
        match self {
            Block::Heading(text) | Block::Paragraph(text) | Block::Code(text) => {
                text.trim().is_empty()
            }
            Block::Facts(facts) => facts.is_empty(),
            Block::List(items) => items.is_empty(),
            Block::Table(table) => table.rows.is_empty(),
            Block::Tree(lines) => lines.is_empty(),
        }
    }
}

impl Line {
    /// A line at this depth.
    pub(super) fn new(depth: usize, spans: Vec<(Style, String)>) -> Line {
        Line { depth, spans }
    }
}
