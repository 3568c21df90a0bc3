//! Harrier: hunts through Windows event logs with Sigma rules, offline.

pub mod bytes;
pub mod engine;
pub mod event;
pub mod evidence;
pub mod evtx;
pub mod hunt;
pub mod ledger;
pub mod report;
pub mod sigma;
pub mod taxonomy;
pub mod utf16;
