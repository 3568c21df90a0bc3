//! The harrier library.
