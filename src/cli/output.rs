//! Where hits and the ledger go, and how they look there.

use super::args::{ColorArg, FormatArg, OutputArgs};
use super::evidence::refuse_to_overwrite;
use anyhow::{Result, anyhow, bail};
use harrier::report::{Format, TableStyle};
use std::{
    fs::File,
    io::{self, IsTerminal as _, Write},
    path::{Path, PathBuf},
};

/// Where hits go.
pub struct Output {
    /// What takes them.
    pub writer: Box<dyn Write + Send>,
    /// How they look.
    pub format: Format,
    /// Whether they are shown on a terminal.
    pub on_terminal: bool,
    /// What errors call it.
    pub name: String,
}

/// Opens the output.
pub fn open(args: &OutputArgs, evidence: &[PathBuf]) -> Result<Output> {
    let on_terminal = args.output.is_none() && io::stdout().is_terminal();
    let format = match args.format {
        Some(FormatArg::Jsonl) => Format::Jsonl,
        Some(FormatArg::Table) => Format::Table(table(args.color, on_terminal)),
        None if on_terminal => Format::Table(table(args.color, true)),
        None => Format::Jsonl,
    };
    let (writer, name): (Box<dyn Write + Send>, _) = match &args.output {
        Some(path) => (Box::new(create(path, evidence)?), path.display().to_string()),
        None => (Box::new(io::stdout()), "standard output".to_owned()),
    };
    Ok(Output { writer, format, on_terminal, name })
}

/// Opens the ledger's file.
pub fn open_ledger(
    args: &OutputArgs,
    evidence: &[PathBuf],
) -> Result<Option<Box<dyn Write + Send>>> {
    let Some(path) = &args.ledger else { return Ok(None) };
    // What hits go to exists by now, so that two names of one file are seen to be that.
    let real = |path: &Path| std::fs::canonicalize(path).ok().filter(|path| path.is_file());
    if args
        .output
        .as_deref()
        .is_some_and(|output| real(output).is_some_and(|o| real(path) == Some(o)))
    {
        bail!("{}: is named for hits and ledger both: give two files", path.display());
    }
    Ok(Some(Box::new(io::BufWriter::new(create(path, evidence)?))))
}

fn create(path: &Path, evidence: &[PathBuf]) -> Result<File> {
    refuse_to_overwrite(path, evidence)?;
    File::create(path).map_err(|error| {
        anyhow!("{}: cannot be written: {error}: choose another file", path.display())
    })
}

fn table(colour: ColorArg, on_terminal: bool) -> TableStyle {
    let width = on_terminal.then(|| terminal_size::terminal_size().map(|(w, _)| usize::from(w.0)));
    TableStyle { colour: wants_colour(colour, on_terminal), width: width.flatten() }
}

/// Whether to colour something that goes to a terminal or not. See <https://no-color.org>.
pub fn wants_colour(colour: ColorArg, on_terminal: bool) -> bool {
    match colour {
        ColorArg::Always => true,
        ColorArg::Never => false,
        ColorArg::Auto => {
            let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
            on_terminal && set("NO_COLOR").is_none() && set("TERM").is_none_or(|t| t != "dumb")
        }
    }
}
