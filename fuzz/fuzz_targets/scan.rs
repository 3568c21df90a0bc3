//! See `targets::scan`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::scan(data));
