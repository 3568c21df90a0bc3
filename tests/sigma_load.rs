//! Loading of real rule sets.

use std::collections::BTreeMap;
use std::path::PathBuf;

use harrier::sigma::{self, LoadOptions, RefusalKind};

/// The folder of public corpora, if this machine has it.
fn corpora() -> Option<PathBuf> {
    let path = std::env::var_os("HARRIER_CORPORA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora"),
        PathBuf::from,
    );
    if path.is_dir() {
        Some(path)
    } else {
        println!("skipped: no corpora at {}", path.display());
        None
    }
}

#[test]
fn probe() {
    let Some(corpora) = corpora() else { return };
    for _ in 0..3 {
        let start = std::time::Instant::now();
        let l = sigma::load(&[corpora.join("sigma")], &LoadOptions::default()).unwrap();
        println!(
            "{:?} rules {} refused {} notrules {} other {} files {}",
            start.elapsed(),
            l.rules.len(),
            l.refused.len(),
            l.not_rules.len(),
            l.other_files,
            l.files
        );
    }
    let l = sigma::load(
        &[corpora.join("sigma"), corpora.join("hayabusa-rules")],
        &LoadOptions::default(),
    )
    .unwrap();
    let mut by: BTreeMap<RefusalKind, usize> = BTreeMap::new();
    for r in &l.refused {
        *by.entry(r.kind).or_default() += 1;
        println!("{:?} {r}", r.kind);
    }
    println!("{by:?} {:?}", l.unreadable);
    for w in &l.warnings {
        println!("W {:?} {w}", w.code);
    }
    for w in &l.not_rules {
        if !w.path.contains("regression_data") {
            println!("N {:?}", w);
        }
    }
}
