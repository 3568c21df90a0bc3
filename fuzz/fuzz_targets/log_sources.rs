//! See `targets::log_sources`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::log_sources(data));
