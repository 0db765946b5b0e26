//! See `tests/hostile/terminal.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| pycstore::cli::hostile::crontab(input));
