//! Whole numbers as options take them, and what to say of what is none.

use std::num::{IntErrorKind, ParseIntError};
use std::str::FromStr;

/// A whole number.
///
/// # Errors
/// In words that people use, where it is none or too large.
pub fn whole<N: FromStr<Err = ParseIntError>>(text: &str) -> Result<N, String> {
    text.parse().map_err(|error: ParseIntError| match error.kind() {
        IntErrorKind::PosOverflow => "it is too large".into(),
        _ => "it is not a whole number, such as 10".into(),
    })
}

/// A number of threads.
///
/// # Errors
/// As [`whole`], and beyond what the program takes.
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
    fn what_is_no_number_is_said_in_words() {
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
