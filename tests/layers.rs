//! Lower layers do not know higher ones, siblings do not know each other: what each module of the
//! library may name is a table, and the sources are read against it.

use std::fs;
use std::path::{Path, PathBuf};

/// Module, layer. A module may name modules of lower layers only.
const LAYERS: &[(&str, u8)] = &[
    ("error", 0),
    ("bytes", 0),
    ("utf16", 0),
    ("attack", 0),
    ("event", 1),
    ("evidence", 2),
    ("evtx", 2),
    ("sigma", 2),
    ("report", 2),
    ("taxonomy", 3),
    ("engine", 4),
    ("custody", 5),
    ("ledger", 5),
    ("hunt", 5),
    ("explain", 6),
];

/// Siblings that may name each other all the same: the pipeline fills the ledger.
const ALLOWED: &[(&str, &str)] = &[("hunt", "ledger")];

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, layer)| *layer)
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The modules that a source names after `crate::`, in code that is not a test.
fn named(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or(text);
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut names = Vec::new();
    for line in lines {
        for (at, _) in line.match_indices("crate::") {
            let rest = &line[at + "crate::".len()..];
            let list: Vec<&str> = match rest.strip_prefix('{') {
                Some(list) => list.trim_end_matches([';', '}']).split(',').collect(),
                None => vec![rest],
            };
            for item in list {
                let end = item.trim().find(|c: char| !c.is_alphanumeric() && c != '_');
                let name = &item.trim()[..end.unwrap_or(item.trim().len())];
                names.push(name.to_owned());
            }
        }
    }
    names
}

#[test]
fn modules_name_only_lower_layers() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut checked = 0;
    for file in files {
        let relative = file.strip_prefix(&src).unwrap();
        let first = relative.components().next().unwrap().as_os_str().to_string_lossy();
        let module = first.trim_end_matches(".rs").to_owned();
        if matches!(module.as_str(), "lib" | "main" | "cli") {
            continue;
        }
        let own = layer(&module).unwrap_or_else(|| panic!("{module} has no layer"));
        for name in named(&fs::read_to_string(&file).unwrap()) {
            if name == module || ALLOWED.contains(&(module.as_str(), name.as_str())) {
                continue;
            }
            let other = layer(&name).unwrap_or_else(|| panic!("{name} in {file:?} has no layer"));
            assert!(other < own, "{file:?} (layer {own}) names {name} (layer {other})");
            checked += 1;
        }
    }
    assert!(checked > 20, "only {checked} names were found: the test reads the sources wrongly");
}
