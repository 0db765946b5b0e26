//! The options that several commands share, and the numbers that options take.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use std::num::{IntErrorKind, ParseIntError};
use std::path::PathBuf;
use std::str::FromStr;

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The store [default: $PYTHONPYCACHEPREFIX, else the configuration's, else ~/.cache/cpython]
    #[arg(long, value_name = "DIR", global = true, help_heading = "Global options")]
    pub store: Option<PathBuf>,
    /// When to use colours
    #[arg(long, value_name = "WHEN", global = true, default_value = "auto", help_heading = "Global options")]
    pub color: Color,
    /// Do not report what was done, only what failed
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub quiet: bool,
    /// Use exactly this many threads [default: as many as the disk can use]
    #[arg(long, value_name = "N", global = true, value_parser = threads, help_heading = "Global options")]
    pub threads: Option<u16>,
    /// Treat missing sources at or below PATH as deleted, even if a disk may just be unmounted; sources that cannot be
    /// looked up because of an error are not affected (may be repeated)
    #[arg(long, value_name = "PATH", global = true, help_heading = "Global options")]
    pub assume_gone: Vec<PathBuf>,
    /// Read the configuration from FILE [default: $PYCSTORE_CONFIG, else ~/.config/pycstore/config.toml]
    #[arg(long, value_name = "FILE", global = true, help_heading = "Global options")]
    pub config: Option<PathBuf>,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// In a pipe as well
    Always,
    /// Not even on a terminal
    Never,
}

/// How entries with an unchecked hash are judged.
#[derive(Debug, Default, Clone, Copy, Args)]
pub struct Unchecked {
    /// Compare unchecked hashes with the source as well, as --check-hash-based-pycs=always does
    #[arg(long)]
    pub check_unchecked: bool,
}

impl From<Unchecked> for pycstore::verdict::status::UncheckedHashes {
    fn from(unchecked: Unchecked) -> Self {
        if unchecked.check_unchecked { Self::Check } else { Self::Trust }
    }
}

/// A parser for one of these values by its name. Each has a line of help.
pub fn values<T: Copy + Send + Sync>(
    values: &'static [(T, &'static str)],
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let possible = values.iter().map(move |(value, help)| PossibleValue::new(name(*value)).help(*help));
    PossibleValuesParser::new(possible).try_map(move |given| {
        let found = values.iter().find(|(value, _)| name(*value) == given);
        found.map(|(value, _)| *value).ok_or("it is not one of the possible values")
    })
}

/// A whole number.
///
/// # Errors
/// If it is not a whole number or too large; in plain words.
pub fn whole<N: FromStr<Err = ParseIntError>>(text: &str) -> Result<N, String> {
    text.parse().map_err(|error: ParseIntError| match error.kind() {
        IntErrorKind::PosOverflow => "it is too large".into(),
        _ => "it is not a whole number, such as 10".into(),
    })
}

/// A number of threads.
///
/// # Errors
/// As [`whole`], and if the number is out of range.
pub fn threads(text: &str) -> Result<u16, String> {
    match whole(text)? {
        threads @ 1..=512 => Ok(threads),
        _ => Err("it is not from 1 to 512".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_numbers_have_a_plain_message() {
        assert_eq!(whole("12"), Ok(12_u64));
        assert_eq!(threads("512"), Ok(512));
        for text in ["", "x", "-1", "1.5", "\u{661}"] {
            assert_eq!(whole::<usize>(text), Err("it is not a whole number, such as 10".into()), "{text:?}");
        }
        assert_eq!(whole::<u64>("18446744073709551616"), Err("it is too large".into()));
        for text in ["0", "513"] {
            assert_eq!(threads(text), Err("it is not from 1 to 512".into()), "{text:?}");
        }
    }
}
