//! Integration tests, one module a theme.

mod forge;
mod layers;
mod oracle;
mod semantics;
mod sigma_load;
mod support;
mod taxonomy;
mod evtx_differential;
mod evtx_support;
