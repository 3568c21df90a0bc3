//! Sigma rules.

pub mod rule;
