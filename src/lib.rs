//! The harrier library.

pub mod sigma;
