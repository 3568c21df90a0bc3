//! A folder with rules and evidence, and the program to run in it.

use forge::{Event, FileTime, Guid, LogWriter, Options, Provider, Value};
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A rule that hits each process called evil.exe.
pub const EVIL: &str = r"title: Evil Started
id: 11111111-2222-3333-4444-555555555555
status: test
level: medium
tags: [attack.execution]
logsource:
    product: windows
    category: process_creation
detection:
    selection:
        Image|endswith: '\evil.exe'
    condition: selection
";

/// A folder that goes away by itself.
pub struct Bench {
    folder: tempfile::TempDir,
}

/// What a call gave.
pub struct Run {
    pub code: i32,
    pub out: Vec<u8>,
    pub err: String,
}

impl Run {
    /// The hits, parsed.
    pub fn hits(&self) -> Vec<serde_json::Value> {
        let text = std::str::from_utf8(&self.out).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Bench {
    /// A folder with [`EVIL`] in `rules/`.
    pub fn new() -> Bench {
        let bench = Bench { folder: tempfile::tempdir().unwrap() };
        bench.file("rules/evil.yml", EVIL.as_bytes());
        bench
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file.
    pub fn file(&self, name: &str, content: &[u8]) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// A folder of the built-in rules without the correlations: each speaks for itself, and what is
    /// found of a record depends on that record alone.
    pub fn plain_rules(&self) -> PathBuf {
        let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sigma/builtin");
        for entry in std::fs::read_dir(all).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if name.ends_with(".yml") && !name.starts_with("correlation_") {
                self.file(&format!("builtin/{name}"), &std::fs::read(entry.path()).unwrap());
            }
        }
        self.path("builtin")
    }

    /// Writes a log with so many events that hit and so many that do not.
    pub fn log(&self, name: &str, hits: u32, others: u32) {
        let evil = (0..hits).map(|n| event(n, r"C:\Temp\evil.exe", "evil.exe /run"));
        let good = (0..others).map(|n| event(n, r"C:\Windows\good.exe", "good.exe"));
        self.file(name, &log(evil.chain(good)));
    }

    /// The program, to be called in the folder, with nothing of this environment that matters.
    pub fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_harrier"));
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env_remove("NO_COLOR");
        command
    }

    /// Calls the program.
    pub fn harrier<S: AsRef<OsStr>>(&self, args: &[S]) -> Run {
        run(&mut self.command(args))
    }

    /// The folder's files with their content, by path.
    pub fn snapshot(&self, below: &str) -> Vec<(PathBuf, Vec<u8>, std::time::SystemTime)> {
        let mut files = Vec::new();
        collect(&self.path(below), &mut files);
        files.sort();
        files
    }
}

fn collect(folder: &Path, files: &mut Vec<(PathBuf, Vec<u8>, std::time::SystemTime)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
            files.push((path.clone(), std::fs::read(&path).unwrap(), modified));
        }
    }
}

pub fn run(command: &mut Command) -> Run {
    let output = command.output().unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        out: output.stdout,
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A process creation as Sysmon writes it.
pub fn event(process: u32, image: &str, command_line: impl Into<Value>) -> Event {
    let provider = Provider::new(
        "Microsoft-Windows-Sysmon",
        Guid::literal("{5770385f-c22a-43e0-bf4c-06f5698ffbd9}"),
    );
    Event::new(provider, 1, "Microsoft-Windows-Sysmon/Operational")
        .at(FileTime::literal("2026-03-01T10:00:00.1234567Z"))
        .on("WS-01.example")
        .data([
            ("ProcessId", Value::from(process)),
            ("Image", image.to_owned().into()),
            ("CommandLine", command_line.into()),
            ("LogonId", Value::Hex64(0x3e7)),
        ])
}

/// A log of these events.
pub fn log(events: impl IntoIterator<Item = Event>) -> Vec<u8> {
    let mut log = LogWriter::in_memory(Options::new());
    for event in events {
        log.push(&event).unwrap();
    }
    log.into_bytes().unwrap()
}
