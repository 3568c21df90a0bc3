//! Records as text: rendered by the `evtx` crate, one that hit or all that are wanted of a chunk.
//!
//! The crate is shown a copy of the chunk in which the headers of records lead it to exactly those
//! that are asked for ([`super::slow`]). For one record that costs the copy; all of a chunk are
//! rendered in one pass, which also shares the crate's own tables of templates.
//!
//! Bounds: those of the slow lane. What is over the crate's budgets for a chunk is rendered on its
//! own, as long as there are not too many such records ([`MAX_RETRIES`]).

use super::Decline;
use super::record::Record;
use super::slow::{self, Target};
use super::walk::Found;
use evtx::ParserSettings;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// How many records of a chunk are tried a second time, each in a pass of its own.
const MAX_RETRIES: usize = 8;

/// How a record is rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As XML, indented.
    Xml,
    /// As JSON on one line.
    Json,
}

impl Format {
    fn settings(self) -> Arc<ParserSettings> {
        Arc::new(ParserSettings::new().indent(self == Format::Xml))
    }

    pub(super) fn render(self, record: evtx::EvtxRecord<'_>) -> Result<String, String> {
        let rendered = match self {
            Format::Xml => record.into_xml(),
            Format::Json => record.into_json(),
        };
        rendered.map(|rendered| rendered.data).map_err(|error| slow::chain(&error))
    }
}

/// Where a record stands in its chunk: what is needed to render it later, together with others.
#[derive(Debug, Clone, Copy)]
pub struct InChunk(Found);

impl InChunk {
    /// The place of a record.
    #[must_use]
    pub fn of(record: &Record<'_>) -> InChunk {
        InChunk(record.found())
    }
}

/// Renders a record of which its chunk is at hand.
pub(super) fn one(data: &[u8], found: Found, format: Format) -> Result<String, String> {
    let settings = format.settings();
    catch_unwind(|| alone(data, found, format, &settings))
        .unwrap_or_else(|_| Err("the evtx crate failed".to_owned()))
}

pub(super) fn alone(
    data: &[u8],
    found: Found,
    format: Format,
    settings: &Arc<ParserSettings>,
) -> Result<String, String> {
    let targets = [Target { found, declined: Decline::Asked }];
    let mut copy = Vec::new();
    let route = slow::route(data, &targets, &mut copy);
    slow::with_chunk(&copy, settings, |records| {
        let mut records = records?;
        let steps = route.first().copied().unwrap_or(0);
        slow::advance(&mut records, steps, |record| format.render(record))
    })
}

/// Renders many records, a chunk at a time.
pub struct Renderer {
    format: Format,
    settings: Arc<ParserSettings>,
    copy: Vec<u8>,
    targets: Vec<Target>,
}

impl std::fmt::Debug for Renderer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Renderer").field("format", &self.format).finish_non_exhaustive()
    }
}

impl Renderer {
    /// One for this format.
    #[must_use]
    pub fn new(format: Format) -> Renderer {
        let settings = format.settings();
        Renderer { format, settings, copy: Vec::new(), targets: Vec::new() }
    }

    /// Renders these records of a chunk, which come in the order in which they stand there, and hands
    /// each to `each`: its text, or why the crate cannot render it.
    pub fn render(
        &mut self,
        chunk: &[u8],
        records: impl Iterator<Item = InChunk>,
        mut each: impl FnMut(Result<&str, &str>),
    ) {
        let Renderer { format, settings, copy, targets } = self;
        targets.clear();
        targets.extend(records.map(|InChunk(found)| Target { found, declined: Decline::Asked }));
        if targets.is_empty() {
            return;
        }
        let route = slow::route(chunk, targets, copy);
        slow::with_chunk(copy, settings, |records| {
            let mut records = records;
            let mut retries = MAX_RETRIES;
            for (target, steps) in targets.iter().zip(route) {
                let text = step(&mut records, steps, *format).or_else(|why| {
                    retries = retries.checked_sub(1).ok_or(why)?;
                    alone_caught(chunk, target.found, *format, settings)
                });
                each(text.as_deref().map_err(String::as_str));
            }
        });
    }
}

/// The next record of a pass.
fn step(
    records: &mut Result<evtx::IterChunkRecords<'_>, String>,
    steps: usize,
    format: Format,
) -> Result<String, String> {
    let pass = records.as_mut().map_err(|reason| reason.clone())?;
    let render = || slow::advance(pass, steps, |record| format.render(record));
    catch_unwind(AssertUnwindSafe(render)).unwrap_or_else(|_| {
        let reason = "the evtx crate failed in this chunk".to_owned();
        *records = Err(reason.clone());
        Err(reason)
    })
}

fn alone_caught(
    data: &[u8],
    found: Found,
    format: Format,
    settings: &Arc<ParserSettings>,
) -> Result<String, String> {
    let render = || alone(data, found, format, settings);
    catch_unwind(AssertUnwindSafe(render))
        .unwrap_or_else(|_| Err("the evtx crate failed".to_owned()))
}
