//! What the README and the pages of `docs/` show is what the program does: every command in it is run and its output
//! compared, every option that it names exists, its picture is drawn anew.
//!
//! A block marked `console` holds commands (`$ `, continued on lines that begin with `> `) and what
//! they print, standard output and standard error together. `...` on a line of its own stands for any
//! lines, `…` within a line for any text: there is where a time or a rate would stand, too. Each
//! block starts in a folder of its own with nothing in it but `fixtures`.
//!
//! A block marked `sh` needs what the repository does not have (other logs, a network); of it only
//! the options are checked.

mod svg;

use crate::support::{skipped, this_test};
use std::path::Path;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn readme() -> String {
    page("README.md")
}

fn page(name: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(name)).unwrap().replace("\r\n", "\n")
}

/// The README and the pages of `docs/`, by name.
fn pages() -> Vec<(String, String)> {
    let mut names = vec!["README.md".to_owned()];
    for entry in std::fs::read_dir(Path::new(ROOT).join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") {
            names.push(format!("docs/{name}"));
        }
    }
    names.sort();
    assert!(names.len() > 1);
    names.into_iter().map(|name| (name.clone(), page(&name))).collect()
}

/// The blocks of this kind, with the line that each begins on.
fn blocks(text: &str, kind: &str) -> Vec<(usize, Vec<String>)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, Vec<String>)> = None;
    for (n, line) in text.lines().enumerate() {
        match &mut open {
            Some(_) if line == "```" => blocks.extend(open.take()),
            Some((_, lines)) => lines.push(line.to_owned()),
            None if line.strip_prefix("```") == Some(kind) => open = Some((n + 1, Vec::new())),
            None => {}
        }
    }
    assert!(open.is_none(), "a block does not end");
    blocks
}

/// A block's commands and what each prints.
fn commands(lines: &[String]) -> Vec<(String, Vec<String>)> {
    let mut commands: Vec<(String, Vec<String>)> = Vec::new();
    for line in lines {
        let last = commands.last_mut();
        if let Some(command) = line.strip_prefix("$ ") {
            commands.push((command.to_owned(), Vec::new()));
        } else if let (Some(more), Some((command, _))) = (line.strip_prefix("> "), last) {
            command.push('\n');
            command.push_str(more);
        } else {
            commands.last_mut().expect("a command comes first").1.push(line.clone());
        }
    }
    commands
}

/// Whether the lines are as shown.
fn is_shown(lines: &[&str], shown: &[String]) -> bool {
    match shown.split_first() {
        None => lines.is_empty(),
        Some((any, rest)) if any == "..." => {
            (0..=lines.len()).any(|n| lines.get(n..).is_some_and(|l| is_shown(l, rest)))
        }
        Some((first, rest)) => lines
            .split_first()
            .is_some_and(|(line, lines)| is_line(line, first) && is_shown(lines, rest)),
    }
}

fn is_line(line: &str, shown: &str) -> bool {
    let parts: Vec<String> = shown.split('…').map(regex::escape).collect();
    regex::Regex::new(&format!("^{}$", parts.join(".*"))).unwrap().is_match(line)
}

#[cfg(unix)]
#[test]
fn its_commands_print_what_it_shows() {
    use std::os::unix::fs::symlink;
    use std::process::{Command, Stdio};
    let tools = tempfile::tempdir().unwrap();
    symlink(env!("CARGO_BIN_EXE_harrier"), tools.path().join("harrier")).unwrap();
    let path = format!("{}:{}", tools.path().display(), std::env::var("PATH").unwrap_or_default());
    let (mut run, mut differing) = (0, Vec::new());
    let pages = pages();
    let all = pages.iter().flat_map(|(name, text)| {
        blocks(text, "console").into_iter().map(move |(line, block)| (name, line, block))
    });
    for (name, line, block) in all {
        let folder = tempfile::tempdir().unwrap();
        symlink(Path::new(ROOT).join("fixtures"), folder.path().join("fixtures")).unwrap();
        for (command, shown) in commands(&block) {
            // This is it.
            if command == "cargo test" {
                continue;
            }
            let command = command.replace("cargo run --release -- ", "harrier ");
            let output = Command::new("sh")
                .args(["-c", &format!("exec 2>&1\n{command}")])
                .current_dir(folder.path())
                .env("PATH", &path)
                .env_remove("NO_COLOR")
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
            run += 1;
            if !is_shown(&lines, &shown) {
                differing.push(format!("{name}, in the block of line {line}: $ {command}\n{text}"));
            }
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
    assert!(run >= 10, "{run} commands");
}

#[cfg(unix)]
#[test]
fn every_option_that_it_names_exists() {
    use std::os::unix::process::CommandExt as _;
    let mut known = String::new();
    let mut checker = std::process::Command::new(env!("CARGO_BIN_EXE_harrier"));
    let output = checker.arg0("evtx-sigma-checker").arg("--help").output().unwrap();
    known.push_str(&String::from_utf8(output.stdout).unwrap());
    let commands =
        ["", "hunt", "dump", "rules", "rules check", "rules explain", "rules list", "rules test"]
            .map(|command| command.split_whitespace().chain(["--help"]).collect::<Vec<&str>>());
    for command in commands {
        let mut harrier = std::process::Command::new(env!("CARGO_BIN_EXE_harrier"));
        let output = harrier.args(command).output().unwrap();
        known.push_str(&String::from_utf8(output.stdout).unwrap());
    }
    let option = regex::Regex::new(r"--[a-z][a-z-]+").unwrap();
    let known: std::collections::BTreeSet<&str> =
        option.find_iter(&known).map(|found| found.as_str()).collect();
    let others = ["--release", "--help", "--version"];
    let others_line = |line: &str| {
        line.starts_with("git ")
            || line.contains("forge bench")
            || line.contains("cargo ") && !line.contains("-- hunt")
    };
    let pages = pages();
    let lines = pages.iter().flat_map(|(_, text)| text.lines());
    for line in lines.filter(|line| !others_line(line)) {
        for found in option.find_iter(line).map(|found| found.as_str()) {
            assert!(known.contains(found) || others.contains(&found), "{found} in: {line}");
        }
    }
}

/// A number is quoted only as it was measured.
#[test]
fn its_numbers_are_those_of_the_benches() {
    let results = std::fs::read_to_string(Path::new(ROOT).join("benches/RESULTS.md")).unwrap();
    let results = results.replace("\r\n", "\n");
    let text = readme();
    let quoted = text.lines().filter(|l| l.starts_with("| mix |") || l.starts_with("| hot |"));
    let mut rows = 0;
    for row in quoted {
        assert!(results.lines().any(|line| line == row), "not in benches/RESULTS.md: {row}");
        rows += 1;
    }
    assert!(rows >= 4);
}

/// Files and headings that it points to are there.
#[test]
fn its_links_lead_somewhere() {
    let link = regex::Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let anchor = |line: &str| {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        heading.chars().filter(kept).collect::<String>().replace(' ', "-")
    };
    let mut links = 0;
    for (name, text) in pages() {
        for found in link.captures_iter(&text) {
            let target = &found[1];
            if target.starts_with("https://") {
                continue;
            }
            links += 1;
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let to = Path::new(&name).parent().unwrap().join(file);
            let to = if file.is_empty() { Path::new(&name).to_owned() } else { to };
            assert!(Path::new(ROOT).join(&to).exists(), "{name}: {target}");
            let has = heading.is_empty()
                || page(to.to_str().unwrap())
                    .lines()
                    .any(|line| line.starts_with('#') && anchor(line) == heading);
            assert!(has, "{name}: {target}");
        }
    }
    assert!(links >= 3);
}

/// The table of codes is that of the program.
#[test]
fn the_codes_are_those_of_the_program() {
    use harrier::sigma::Code;
    let text = page("docs/rules.md");
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| `")).collect();
    let row = |code: &Code| {
        let (meaning, advice) = (code.meaning(), code.advice());
        let advice = advice[..1].to_uppercase() + &advice[1..];
        format!("| `{code}` | {} | {meaning} {advice}. |", code.severity().as_str())
    };
    let want: Vec<String> = Code::ALL.iter().map(row).collect();
    assert_eq!(rows, want, "the table should be:\n{}\n", want.join("\n"));
}

/// The picture is what a terminal shows today; `HARRIER_GOLDEN=write` draws it anew.
#[cfg(target_os = "linux")]
#[test]
fn its_picture_is_current() {
    const COMMAND: &str =
        "harrier hunt fixtures/evidence --sort time --min-level high --computer WS-0417";
    let call = COMMAND.strip_prefix("harrier ").unwrap();
    let Some(shown) = crate::golden::in_terminal(112, call) else {
        return skipped(&this_test(), "no script(1) or stty(1)");
    };
    // How long it took is another each time.
    let lines: Vec<&str> = shown.lines().filter(|line| !line.starts_with("Bytes ")).collect();
    crate::golden::compare("terminal.svg", &svg::draw(COMMAND, &lines.join("\n")));
    assert!(readme().contains("](fixtures/golden/terminal.svg)"));
}

#[test]
fn what_is_shown_is_compared() {
    let shown = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    for (lines, want, is) in [
        ("a\nb", "a\nb", true),
        ("a\nb", "a", false),
        ("a\nb", "a\n...", true),
        ("a\nb\nc", "...\nc", true),
        ("a\nb\nc", "a\n...\nb\n...", true),
        ("a", "...\na\n...", true),
        ("took 0.13 s", "took … s", true),
        ("took 0.13 ms", "took … s", false),
        ("a.b", "axb", false),
    ] {
        let lines: Vec<&str> = lines.lines().collect();
        assert_eq!(is_shown(&lines, &shown(want)), is, "{lines:?} {want:?}");
    }
    let text = "x\n```console\n$ a \\\n> b\nc\n$ d\n```\n```sh\n$ e\n```\n";
    let found = blocks(text, "console");
    assert_eq!(found.len(), 1);
    assert_eq!(
        commands(&found[0].1),
        [("a \\\nb".to_owned(), vec!["c".to_owned()]), ("d".to_owned(), Vec::new())]
    );
}
