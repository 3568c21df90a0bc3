//! See `targets::container`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::container(data));
