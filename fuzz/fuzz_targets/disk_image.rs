//! See `targets::disk_image`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::disk_image(data));
