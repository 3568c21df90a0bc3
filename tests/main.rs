//! Integration tests, one module a theme.

mod evtx_differential;
mod evtx_forged;
mod evtx_support;
mod forge;
