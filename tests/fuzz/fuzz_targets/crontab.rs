//! See `tests/hostile/library.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| pycstore::hostile::crontab(input));
