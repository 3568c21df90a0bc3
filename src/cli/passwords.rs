//! Passwords of encrypted evidence: from files, from the environment, or asked for on a terminal.
//!
//! Never from an argument: those stand in the shell's history and in every list of processes. Nothing
//! here, and nothing that gets them, says what a password is.

use super::args::EvidenceArgs;
use super::{evidence, say_warning};
use anyhow::{Context as _, Result, bail};
use harrier::{
    evidence::{Access, Prompt},
    report::escape,
};
use std::io::{IsTerminal as _, Read as _, stderr, stdin};

/// Has passwords, one on each line.
const VARIABLE: &str = "HARRIER_PASSWORDS";

/// More than this is no list of passwords. Each is tried on each container that none before it fits.
const MAX_FILE: u64 = 1 << 20;

/// How evidence may be opened.
pub fn access(args: &EvidenceArgs, quiet: bool) -> Result<Access> {
    let mut passwords = Vec::new();
    for file in &args.password_file {
        let name = file.display();
        let mut text = String::new();
        std::fs::File::open(file)
            .and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text))
            .with_context(|| format!("--password-file {name}: cannot be read as text"))?;
        if text.len() as u64 > MAX_FILE {
            bail!("--password-file {name}: is no list of passwords: it has more than a megabyte");
        }
        let before = passwords.len();
        append(text.strip_prefix('\u{feff}').unwrap_or(&text), &mut passwords);
        if passwords.len() == before {
            bail!("--password-file {name}: has no password: write one on each line");
        }
    }
    if let Some(text) = std::env::var_os(VARIABLE) {
        let text = text.into_string();
        let Ok(text) = text else { bail!("{VARIABLE}: is no text in UTF-8") };
        append(&text, &mut passwords);
    }
    let asks = !quiet && stdin().is_terminal() && stderr().is_terminal();
    let access = Access::new(passwords, asks.then(|| Box::new(ask) as Prompt));
    Ok(access.carving(evidence::carving(args)))
}

/// Lines; blanks are part of a password.
fn append(text: &str, passwords: &mut Vec<String>) {
    for line in text.lines().filter(|line| !line.is_empty()) {
        if !passwords.iter().any(|known| known == line) {
            passwords.push(line.to_owned());
        }
    }
}

/// Asks for the password of a container; an empty answer is none.
fn ask(container: &str) -> Option<String> {
    let container = escape::lined(container);
    match rpassword::prompt_password(format!("Password of {container} (Enter for none): ")) {
        Ok(answer) => Some(answer).filter(|answer| !answer.is_empty()),
        Err(error) => {
            say_warning(&format!("{container}: the password cannot be asked for: {error}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_password_blanks_and_all() {
        let mut passwords = vec!["x".to_owned()];
        append("a b \r\n\n#c\nx\n d", &mut passwords);
        assert_eq!(passwords, ["x", "a b ", "#c", " d"]);
    }
}
