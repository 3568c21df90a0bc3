//! Where hits and the accounts of a run go, and how hits look there.
//!
//! Nothing is opened before all of it is known to be sound: the formats, that no two outputs are one
//! file, that none is evidence.

use super::args::{ColorArg, FormatArg, OutputArgs};
use super::evidence::{real, refuse};
use super::target::{Pending, Target};
use anyhow::{Result, anyhow, bail};
use clap::ValueEnum as _;
use harrier::report::{Columns, Format, Medium, Table};
use std::{
    io::{self, IsTerminal as _, Write},
    path::{Path, PathBuf},
};

/// How wide a table is that goes to no terminal: fits a page of landscape and most screens.
const PAGE: usize = 160;

/// How wide text is that goes to no terminal: fits a page of paper.
pub const PAGE_OF_TEXT: usize = 100;

/// Where hits go, and the accounts.
pub struct Outputs {
    /// Hits: one place at least.
    pub hits: Vec<Output>,
    /// The ledger, if it is wanted.
    pub ledger: Option<Target>,
    /// The manifest, if it is wanted.
    pub manifest: Option<Target>,
}

/// One of the places that hits go to.
pub struct Output {
    /// What takes them.
    pub writer: Box<dyn Write + Send>,
    /// What has to be done once they are all there.
    pub pending: Pending,
    /// How they look.
    pub format: Format,
    /// Whether they are shown on a terminal.
    pub on_terminal: bool,
}

/// A place, as named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Standard output.
    Stdout,
    /// A file, or whatever has that name.
    File(PathBuf),
}

impl Place {
    /// `-` is standard output.
    pub fn new(path: &Path) -> Place {
        if path.as_os_str() == "-" { Place::Stdout } else { Place::File(path.to_owned()) }
    }

    fn name(&self) -> String {
        match self {
            Place::Stdout => "standard output".to_owned(),
            Place::File(path) => path.display().to_string(),
        }
    }

    /// Whether what is written here is seen on a terminal.
    pub fn on_terminal(&self) -> bool {
        *self == Place::Stdout && io::stdout().is_terminal()
    }
}

impl Place {
    /// The file's path.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Place::Stdout => None,
            Place::File(path) => Some(path),
        }
    }

    /// Opens it for writing.
    pub fn open(&self) -> Result<Target> {
        target(self)
    }

    /// Fails if output and accounts are one place, or one would touch evidence.
    pub fn check(
        what: &str,
        output: &Place,
        accounts: &Accounts,
        evidence: &[PathBuf],
    ) -> Result<()> {
        check(what, &[(None, output.clone())], accounts, evidence)
    }
}

/// Where accounts of a run go.
#[derive(Debug, Default)]
pub struct Accounts {
    /// The ledger.
    pub ledger: Option<Place>,
    /// The manifest.
    pub manifest: Option<Place>,
}

impl Accounts {
    /// As named.
    pub fn new(ledger: Option<&Path>, manifest: Option<&Path>) -> Accounts {
        Accounts { ledger: ledger.map(Place::new), manifest: manifest.map(Place::new) }
    }

    fn all(&self) -> impl Iterator<Item = (&'static str, &Place)> {
        let ledger = self.ledger.as_ref().map(|place| ("ledger", place));
        ledger.into_iter().chain(self.manifest.as_ref().map(|place| ("manifest", place)))
    }
}

/// What there is to be shown.
#[derive(Clone, Copy)]
pub struct Look {
    /// Groups of hits, not hits.
    pub grouped: bool,
    /// Times in a time zone of their own.
    pub local: bool,
    /// What filters took away.
    pub filtered: bool,
}

/// Opens all outputs.
pub fn open(
    args: &OutputArgs,
    manifest: Option<&Path>,
    evidence: &[PathBuf],
    look: Look,
) -> Result<Outputs> {
    let named = places(args);
    let accounts = Accounts::new(args.ledger.as_deref(), manifest);
    check("hits", &named, &accounts, evidence)?;
    let places = formats(named, args)?;
    let has_columns =
        |format| matches!(format, FormatArg::Table | FormatArg::Csv | FormatArg::Markdown);
    if !args.columns.is_empty() && !places.iter().any(|(_, format)| has_columns(*format)) {
        bail!("--columns: only table, csv and markdown have columns: choose one with --format");
    }
    if args.wide && !places.iter().any(|(_, format)| *format == FormatArg::Table) {
        bail!("--wide: is for tables: add --format table, or leave it out");
    }
    if !args.columns.is_empty() && look.grouped {
        bail!("--columns: groups have columns of their own: leave out --columns or --group");
    }
    let mut hits = Vec::with_capacity(places.len());
    for (place, format) in places {
        let on_terminal = place.on_terminal();
        let format = build(format, args, look, on_terminal)?;
        let Target { writer, pending } = target(&place)?;
        hits.push(Output { writer, pending, format, on_terminal });
    }
    let ledger = accounts.ledger.as_ref().map(target).transpose()?;
    let manifest = accounts.manifest.as_ref().map(target).transpose()?;
    Ok(Outputs { hits, ledger, manifest })
}

fn target(place: &Place) -> Result<Target> {
    let opened = match place {
        Place::Stdout => return Ok(Target::stdout()),
        Place::File(path) => Target::file(path),
    };
    opened.map_err(|error| {
        anyhow!("{}: cannot be written: {error}: choose another file", place.name())
    })
}

/// A place, and the format that was named with it.
type Named = (Option<FormatArg>, Place);

/// Each place, with the format that stands before it.
fn places(args: &OutputArgs) -> Vec<Named> {
    if args.output.is_empty() {
        return vec![(None, Place::Stdout)];
    }
    let split = args.output.iter().map(|path| split_format(path));
    split.map(|(format, path)| (format, Place::new(path))).collect()
}

/// Each place with its format: what stands before it, what `--format` says, what its name ends in.
fn formats(named: Vec<Named>, args: &OutputArgs) -> Result<Vec<(Place, FormatArg)>> {
    let alone = named.len() == 1;
    if args.format.is_some() && !alone && !named.iter().any(|(_, place)| *place == Place::Stdout) {
        bail!("--format: is for one output, and here are several: write -o FORMAT:FILE instead");
    }
    let with_format = named.into_iter().map(|(format, place)| {
        let chosen = format.or(args.format.filter(|_| alone || place == Place::Stdout));
        let format = match (chosen, &place) {
            (Some(format), _) => format,
            (None, Place::File(path)) => by_ending(path)?,
            (None, Place::Stdout) if place.on_terminal() => FormatArg::Table,
            (None, Place::Stdout) => FormatArg::Jsonl,
        };
        Ok((place, format))
    });
    with_format.collect()
}

/// The format that stands before a file, `csv:hits`, and the file. A drive's letter is no format.
fn split_format(path: &Path) -> (Option<FormatArg>, &Path) {
    let split = path.to_str().and_then(|text| text.split_once(':'));
    match split.and_then(|(name, file)| Some((FormatArg::from_str(name, true).ok()?, file))) {
        Some((format, file)) if !file.is_empty() => (Some(format), Path::new(file)),
        _ => (None, path),
    }
}

/// The format that a file's name ends in. One without an ending gets what a pipe gets.
fn by_ending(path: &Path) -> Result<FormatArg> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let mut endings = name.rsplit('.');
    Ok(match (endings.next().filter(|last| *last != name), endings.next()) {
        (Some("jsonl" | "ndjson" | "json"), Some("timesketch")) => FormatArg::Timesketch,
        (Some("jsonl" | "ndjson" | "json"), Some("ecs")) => FormatArg::Ecs,
        (None | Some("jsonl" | "ndjson" | "json"), _) => FormatArg::Jsonl,
        (Some("csv"), _) => FormatArg::Csv,
        (Some("md" | "markdown"), _) => FormatArg::Markdown,
        (Some("txt"), _) => FormatArg::Table,
        (Some(ending), _) => bail!(
            "{}: no format is known by the ending .{ending}: end it in .csv, .jsonl, .md or .txt, \
             or write -o FORMAT:FILE",
            path.display()
        ),
    })
}

/// Fails if two outputs are one, or one would touch evidence.
fn check(what: &str, outputs: &[Named], accounts: &Accounts, evidence: &[PathBuf]) -> Result<()> {
    // Where letters' case does not tell files apart, it may not tell outputs apart.
    let same_file = |path: &Path| match real(path) {
        Some(path) if cfg!(any(windows, target_os = "macos")) => {
            Some(path.to_string_lossy().to_lowercase().into())
        }
        real => real,
    };
    let same = |a: &Place, b: &Place| match (a, b) {
        (Place::File(a), Place::File(b)) => {
            // A device or a pipe may well take several.
            let apart = std::fs::metadata(a).is_ok_and(|metadata| !metadata.is_file());
            !apart && same_file(a).is_some_and(|a| same_file(b) == Some(a))
        }
        (a, b) => a == b,
    };
    for (n, (_, place)) in outputs.iter().enumerate() {
        if outputs.iter().take(n).any(|(_, other)| same(other, place)) {
            bail!("{}: is named for {what} twice: give two places", place.name());
        }
        if let Some((account, _)) = accounts.all().find(|(_, account)| same(account, place)) {
            bail!("{}: is named for {what} and {account} both: give two places", place.name());
        }
    }
    if let (Some(ledger), Some(manifest)) = (&accounts.ledger, &accounts.manifest)
        && same(ledger, manifest)
    {
        bail!("{}: is named for ledger and manifest both: give two places", ledger.name());
    }
    let accounts = accounts.all().map(|(_, place)| place);
    for place in outputs.iter().map(|(_, place)| place).chain(accounts) {
        if let Place::File(path) = place {
            refuse(path, evidence)?;
        }
    }
    Ok(())
}

/// A format as the arguments want it.
fn build(format: FormatArg, args: &OutputArgs, look: Look, on_terminal: bool) -> Result<Format> {
    let columns = |medium| {
        let columns = match &args.columns[..] {
            [] if look.grouped => Columns::grouped(),
            [] => Columns::standard(medium),
            names => Columns::parse(names, medium).map_err(|why| anyhow!("--columns: {why}"))?,
        };
        let columns = if look.filtered { columns.with_filtered() } else { columns };
        Ok::<_, anyhow::Error>(if look.local { columns.in_local_time() } else { columns })
    };
    Ok(match format {
        FormatArg::Timesketch | FormatArg::Ecs if look.grouped => {
            bail!(
                "--group: timesketch and ecs have no form for groups: choose another with --format"
            );
        }
        FormatArg::Jsonl => Format::Jsonl,
        FormatArg::Timesketch => Format::Timesketch,
        FormatArg::Ecs => Format::Ecs,
        FormatArg::Csv => Format::Csv(columns(Medium::Sheet)?),
        FormatArg::Markdown => Format::Markdown(columns(Medium::Page)?),
        FormatArg::Table => {
            let colour = wants_colour(args.color, on_terminal);
            let page = (!args.wide).then(|| if on_terminal { terminal() } else { PAGE });
            Format::Table(Table::new(&columns(Medium::Page)?, colour, page))
        }
    })
}

/// How wide the terminal is. One that does not know is taken to be a page.
pub fn terminal() -> usize {
    let width = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    width.filter(|width| *width > 0).unwrap_or(PAGE)
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
