//! Integration tests, one module a theme.

mod sigma_load;
