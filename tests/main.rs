//! Integration tests, one module a theme.

mod carving;
mod cli;
mod conformance;
mod evtx_allocations;
mod evtx_differential;
mod evtx_forged;
mod evtx_mutation;
mod evtx_support;
mod forge;
mod golden;
mod layers;
mod matching_adversarial;
mod matching_allocations;
mod matching_corpora;
mod matching_regex;
mod matching_rsigma;
mod mutation;
mod oracle;
mod readme;
mod replay;
mod semantics;
mod sigma_load;
mod support;
mod taxonomy;
mod taxonomy_files;
mod traps;
