//! What filters mean, as data: `tests/conformance/8-filters.txt`.
//!
//! An indented block is one filter, or several with `---` between them; `hit` and `miss` say what
//! becomes of an event that one of the file's rules matches, or does not.

use crate::conformance::event;
use crate::support::logs::{each_record, forged};
use crate::support::titles;
use harrier::engine::RuleSet;
use harrier::evtx::Reader;
use harrier::sigma::{LoadOptions, load_str};
use harrier::taxonomy::{Options, Taxonomy};
use std::fmt::Write as _;

const TEXT: &str = include_str!("conformance/8-filters.txt");

/// What filters are for.
const RULES: &str = "---
title: r
name: r
id: 11111111-2222-4333-8444-555555555555
logsource: {product: windows, category: process_creation}
detection:
  sel:
    F|contains: x
  condition: sel
---
title: s
name: s
logsource: {product: windows, service: sysmon}
detection:
  sel:
    F|contains: y
  condition: sel
";

fn rule_set(filters: &[&str]) -> RuleSet {
    let mut yaml = RULES.to_owned();
    for filter in filters.split(|line| *line == "---") {
        let lines = filter.iter().fold(String::new(), |lines, line| lines + line + "\n");
        write!(yaml, "---\ntitle: filter\n{lines}").unwrap();
    }
    let loaded = load_str("8-filters.txt", &yaml, &LoadOptions::default());
    assert!(loaded.refused.is_empty(), "{:#?}", loaded.refused);
    assert!(!loaded.filters.is_empty());
    let taxonomy = Taxonomy::builtin(Options::default());
    RuleSet::compile_filtered(loaded.rules, loaded.filters, taxonomy)
}

#[test]
fn filters() {
    let (mut sentence, mut block, mut open) = ("", Vec::new(), false);
    let mut set = None;
    let (mut cases, mut wrong) = (0, String::new());
    for (line, number) in TEXT.lines().zip(1..) {
        let was_open = std::mem::replace(&mut open, false);
        if let Some(heading) = line.strip_prefix("## ") {
            sentence = heading;
        } else if let Some(part) = line.strip_prefix("  ") {
            if !was_open {
                (block, set) = (Vec::new(), None);
            }
            block.push(part);
            open = true;
        } else if let Some((kind @ ("hit" | "miss"), fields)) = line.split_once(' ') {
            cases += 1;
            let set = set.get_or_insert_with(|| rule_set(&block));
            let mut hit = false;
            let log = forged([&event(fields.trim())]);
            each_record(&mut Reader::default(), &log, |record| {
                hit = !titles(set, record).is_empty();
            });
            if hit != (kind == "hit") {
                writeln!(wrong, "line {number}: no {kind}: {sentence}").unwrap();
            }
        } else {
            assert!(line.is_empty() || line.starts_with('#'), "line {number}: {line:?}");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(cases >= 25, "{cases}");
}
