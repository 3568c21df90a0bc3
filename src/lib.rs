//! Harrier: hunts through Windows event logs with Sigma rules, offline.

pub mod bytes;
pub mod event;
pub mod evtx;
pub mod utf16;
