//! Integration tests, one module a theme.

mod forge;
mod oracle;
mod semantics;
mod sigma_load;
mod support;
mod taxonomy;
