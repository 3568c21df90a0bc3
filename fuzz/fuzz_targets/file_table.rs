//! See `targets::file_table`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::file_table(data));
