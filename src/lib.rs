//! Harrier: hunts through Windows event logs with Sigma rules, offline.
//!
//! This library is what the program `harrier` consists of, without its command line: it finds logs,
//! reads their records, decides which rules hit, and writes the hits and an account of everything
//! that was met.
//!
//! # One way
//!
//! ```text
//! evidence ──► evtx ──► engine: gate ─► prefilter ─► confirm ──► report
//! (bytes)    (records)       ▲ RuleSet                           (hits)
//!                            │
//!                sigma ─► taxonomy ─► compile
//! ```
//!
//! 1. [`evidence`] finds files and hands on named bytes that are read at positions. It does not
//!    know what is in them.
//! 2. [`evtx`] cuts a log into chunks of 64 KiB and walks their records. Each is an
//!    [`event::Event`]: its fields are read where they stand, when they are asked for.
//! 3. [`sigma`] reads rules as they are written; [`taxonomy`] says which events and fields they
//!    speak of; [`engine`] compiles both into a [`RuleSet`](engine::RuleSet), which all threads
//!    share, and asks it through a [`Scanner`](engine::Scanner) of each thread, the cheapest test
//!    first.
//! 4. [`report`] says what hits look like: a table, CSV, JSON lines of several schemas, Markdown. It
//!    knows nothing of where they come from.
//! 5. [`hunt`] is the pipeline that brings these together, [`ledger`] its account, and [`custody`]
//!    which files it was of.
//!
//! A module names only modules of lower layers, in the order `bytes` and `utf16`; `event`;
//! `evidence`, `evtx`, `sigma` and `report`; `taxonomy`; `engine`; `hunt`, `ledger` and `custody`.
//! A test reads the sources for it.
//!
//! # What always holds
//!
//! - **Gate and prefilter let too much through, never too little**: for every event and every rule
//!   set, [`scan`](engine::Scanner::scan) gives what [`scan_full`](engine::Scanner::scan_full)
//!   gives, which asks every rule by its whole condition.
//! - **A value has one text form**, made in one place: what predicates compare is what the
//!   prefilter searched.
//! - **Both lanes give the same values**: a record of unusual shape is read the slow way, by the
//!   `evtx` crate, and gives the same event.
//! - **The output depends on evidence and rules alone**: not on the number of threads, the time, or
//!   the order in which threads finish.
//! - **Nothing is lost silently**: each source, chunk, record and rule is in exactly one bin of the
//!   [`Ledger`](ledger::Ledger), and the bins add up.
//! - **Memory is bounded by rules and threads**, not by the size of the evidence.
//! - **No bytes make it panic, hang or grow**: logs and rules are untrusted. Every offset is
//!   checked and every cap is a named constant.
//! - **Evidence is only read**: nothing is opened for writing.
//!
//! # Example
//!
//! All hits of the built-in rules in a folder of logs, as JSON lines:
//!
//! ```no_run
//! use harrier::engine::RuleSet;
//! use harrier::evidence::Walk;
//! use harrier::hunt::{Hunt, Output};
//! use harrier::ledger::Ledger;
//! use harrier::report::Format;
//! use harrier::sigma;
//! use harrier::taxonomy::{Options, Taxonomy};
//!
//! let loaded = sigma::load_builtin();
//! let rules = RuleSet::compile(loaded.rules, Taxonomy::builtin(Options::default()));
//! let hunt = Hunt { threads: 4, ..Hunt::new(&rules) };
//!
//! let mut outputs = [Output { format: &Format::Jsonl, writer: &mut std::io::stdout() }];
//! let mut ledger = Ledger::new(None);
//! let hits = hunt.run(Walk::new(&["Logs".into()]), &mut outputs, &mut ledger)?;
//! for ((_, rule), hits) in rules.rules().zip(hits) {
//!     eprintln!("{hits} {}", rule.title);
//! }
//! if ledger.problems_total() > 0 || ledger.sources().all() == 0 {
//!     eprintln!("no hits would not mean that there is nothing");
//! }
//! # Ok::<(), harrier::hunt::HuntError>(())
//! ```
//!
//! Rules of one's own come from [`sigma::load`]; what it could not load stands in
//! [`LoadedRules::refused`](sigma::LoadedRules::refused), and whether a rule speaks of anything
//! that is in Windows event logs says [`RuleSet::applicability`](engine::RuleSet::applicability).

pub mod attack;
pub mod bytes;
pub mod custody;
pub mod engine;
pub mod event;
pub mod evidence;
pub mod evtx;
pub mod explain;
pub mod hunt;
pub mod ledger;
pub mod report;
pub mod sigma;
pub mod taxonomy;
pub mod utf16;
