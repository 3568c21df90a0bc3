//! What the shell and `man` want to know: completions and the manual, from the definition of the
//! arguments.

use super::{Exit, args::Cli};
use anyhow::{Context as _, Result, bail};
use clap::CommandFactory as _;
use clap_complete::Shell;
use std::io::{ErrorKind, Write as _};

/// Prints the completions for a shell.
pub fn completions(shell: Shell) -> Result<Exit> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "harrier", &mut text);
    print(&text)
}

/// Prints the manual of the program, or of a command of it.
pub fn man(path: &[String]) -> Result<Exit> {
    let mut command = Cli::command();
    // Only with this do commands know their whole names.
    command.build();
    let mut name = "harrier".to_owned();
    for word in path {
        let Some(next) = command.find_subcommand(word) else {
            bail!("there is no command '{name} {word}': see '{name} --help'");
        };
        command = next.clone();
        name = format!("{name} {word}");
    }
    let mut text = Vec::new();
    let page = clap_mangen::Man::new(command);
    page.render(&mut text).context("the manual cannot be made")?;
    print(&text)
}

/// To standard output; that nobody reads on is no error.
pub fn print(text: &[u8]) -> Result<Exit> {
    match std::io::stdout().write_all(text) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            bail!("standard output: cannot be written: {error}")
        }
        _ => Ok(Exit::Complete),
    }
}
