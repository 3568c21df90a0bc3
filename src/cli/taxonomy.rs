//! From the arguments about log sources to a taxonomy.

use super::args::RuleArgs;
use super::{say_error, say_warning};
use anyhow::{Context as _, Result, anyhow, bail};
use harrier::{
    sigma,
    taxonomy::{Options, Taxonomy},
};
use std::{fs::File, io::Read as _, path::Path};

/// Bytes of a file of log sources; SigmaHQ's has 20 kB.
const MAX_FILE: u64 = 4 << 20;

/// Something in a file of log sources that was not understood.
pub struct Doubt {
    /// What, with file and line.
    text: String,
    /// Whether a log source lacks events for it.
    pub lost: bool,
}

impl Doubt {
    /// Tells of it.
    pub fn say(&self) {
        if self.lost { say_error(&self.text) } else { say_warning(&self.text) }
    }
}

/// Reads what the arguments ask for.
pub fn read(args: &RuleArgs) -> Result<(Taxonomy, Vec<Doubt>)> {
    let mut taxonomy = if args.no_builtin_taxonomy {
        Taxonomy::without_log_sources()
    } else {
        Taxonomy::builtin(Options { optional_sources: args.extended_sources })
    };
    let mut doubts = Vec::new();
    for path in &args.taxonomy {
        let name = path.display();
        let bytes = bytes(path).with_context(|| format!("{name}: cannot be read"))?;
        let file = sigma::read_log_sources(&bytes).map_err(|fault| {
            anyhow!("{name}:{fault}: give log sources as SigmaHQ's thor.yml has them")
        })?;
        let meant = taxonomy.add(&file);
        doubts.extend(
            file.faults
                .iter()
                .chain(&meant)
                .map(|fault| Doubt { text: format!("{name}:{fault}"), lost: fault.entry_lost }),
        );
    }
    Ok((taxonomy, doubts))
}

fn bytes(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        bail!("larger than a file of log sources may be ({MAX_FILE} bytes)");
    }
    Ok(bytes)
}
