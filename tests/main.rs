//! Integration tests, one module a theme.

mod forge;
mod sigma_load;
