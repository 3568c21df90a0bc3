//! Harrier: hunts through Windows event logs with Sigma rules, offline.

pub mod bytes;
pub mod engine;
pub mod event;
pub mod sigma;
pub mod taxonomy;
pub mod evtx;
pub mod utf16;
