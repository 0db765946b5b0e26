//! Units: moments in time as the file system keeps them, file counts and sizes ([`Tally`]), and the units that people write:
//! [`Age`] and [`Size`].
//!
//! Vocabulary only: no clock is read here. The current time is always an argument. Home of humantime and parse-size.
//!
//! # Invariants
//!
//! * No text makes parsing panic, and what [`Age`] and [`Size`] show is read back as the same value.

pub mod date;
pub mod human;
mod tally;

pub use tally::Tally;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment: whole seconds since 1970 (negative before) and nanoseconds within the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub seconds: i64,
    /// 0 – 999 999 999.
    pub nanoseconds: u32,
}

impl Moment {
    /// The whole seconds from `earlier` to this moment; negative when it lies after.
    pub fn seconds_since(self, earlier: Moment) -> i64 {
        self.seconds.saturating_sub(earlier.seconds)
    }

    /// The moment so many seconds before.
    #[must_use]
    pub fn earlier_by(self, seconds: i64) -> Moment {
        Moment { seconds: self.seconds.saturating_sub(seconds), ..self }
    }
}

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Moment {
        match time.duration_since(UNIX_EPOCH) {
            Ok(after) => Moment { seconds: after.as_secs() as i64, nanoseconds: after.subsec_nanos() },
            Err(before) => {
                let before = before.duration();
                let nanoseconds = (1_000_000_000 - before.subsec_nanos()) % 1_000_000_000;
                let borrow = i64::from(nanoseconds != 0);
                Moment { seconds: -(before.as_secs() as i64) - borrow, nanoseconds }
            }
        }
    }
}

/// A span of time as people write it: `90d`, `20h`, `10m`, `1h 30m`.
///
/// Units: `s`, `m` (minutes), `h`, `d`, `w`, `months` (30.44 days) and `y` (365.25 days), and their longer names.
/// A number alone has no unit and is refused, except `0`; so is `M`, which others take for minutes or for months.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Age(Duration);

/// Why a text is no [`Age`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgeError {
    /// Nothing is there.
    #[error("an age is a number and a unit, for example 90d")]
    Empty,
    /// A number without a unit.
    #[error("{0} has no unit: write {0}s, {0}m (minutes), {0}h or {0}d")]
    NoUnit(u64),
    /// The unit `M`.
    #[error("the unit M may mean minutes or months: write m or months")]
    Ambiguous,
    /// A thousand years or more.
    #[error("the number is too large")]
    TooLarge,
    /// Anything else.
    #[error("an age is a number and a unit (s, m, h, d, w, months, y), for example 90d")]
    Malformed,
}

/// A longer age than this, a thousand years in seconds, is a slip of the finger.
const LONGEST: u64 = 1000 * 31_557_600;

impl Age {
    /// An age in seconds.
    pub fn of_seconds(seconds: u64) -> Age {
        Age(Duration::from_secs(seconds))
    }

    /// The age as the standard library has it.
    pub fn duration(self) -> Duration {
        self.0
    }

    /// Whole seconds, for comparison with [`Moment::seconds_since`].
    pub fn seconds(self) -> i64 {
        i64::try_from(self.0.as_secs()).unwrap_or(i64::MAX)
    }
}

impl From<Duration> for Age {
    fn from(duration: Duration) -> Age {
        Age(duration)
    }
}

impl FromStr for Age {
    type Err = AgeError;

    fn from_str(text: &str) -> Result<Age, AgeError> {
        if text.split(|character: char| !character.is_alphabetic()).any(|unit| unit == "M") {
            return Err(AgeError::Ambiguous);
        }
        if !is_safe_to_sum(text) {
            return Err(AgeError::TooLarge);
        }
        let duration = humantime::parse_duration(text).map_err(|error| match error {
            humantime::DurationError::Empty => AgeError::Empty,
            humantime::DurationError::NumberOverflow => AgeError::TooLarge,
            humantime::DurationError::UnknownUnit { unit, value, .. } if unit.is_empty() => {
                AgeError::NoUnit(value)
            }
            _ => AgeError::Malformed,
        })?;
        if duration.as_secs() > LONGEST { Err(AgeError::TooLarge) } else { Ok(Age(duration)) }
    }
}

/// Whether the parts of an age cannot add up to 2⁶⁴ seconds, where humantime 2.4 may panic: three numbers of ten
/// digits are far below that, even in years.
fn is_safe_to_sum(text: &str) -> bool {
    let (mut all, mut in_number) = (0, 0);
    for character in text.chars().filter(|character| !character.is_whitespace()) {
        in_number = if character.is_ascii_digit() { in_number + 1 } else { 0 };
        all += usize::from(in_number > 0);
        if in_number > 10 || all > 32 {
            return false;
        }
    }
    true
}

impl<'de> Deserialize<'de> for Age {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Age, D::Error> {
        deserializer.deserialize_any(Quantity::new(["s", "m", "h", "d"]))
    }
}

impl Display for Age {
    /// In days, hours, minutes, seconds and nanoseconds, whichever are not zero: `90d`, `1h 30m`, `0s`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let parts = [
            (seconds / 86_400, "d"),
            (seconds / 3600 % 24, "h"),
            (seconds / 60 % 60, "m"),
            (seconds % 60, "s"),
            (u64::from(self.0.subsec_nanos()), "ns"),
        ];
        let mut shown: Vec<String> =
            parts.iter().filter(|part| part.0 > 0).map(|(number, unit)| format!("{number}{unit}")).collect();
        if shown.is_empty() {
            shown.push("0s".into());
        }
        formatter.pad(&shown.join(" "))
    }
}

/// A size in bytes as people write it: `500M` is 500 · 10⁶, `500MiB` is 500 · 2²⁰.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Size(pub u64);

/// Why a text is no [`Size`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// Nothing is there, or a unit alone.
    #[error("a size is a number and perhaps a unit, for example 5GiB")]
    Empty,
    /// 2⁶⁴ bytes or more.
    #[error("the number is too large")]
    TooLarge,
    /// A number alone.
    #[error("{0} has no unit: write {0}M, {0}GiB or {0}B")]
    NoUnit(u64),
    /// Anything else.
    #[error("a size is a number and a unit (k, M, G, T; KiB, MiB, GiB, TiB), for example 5GiB")]
    Malformed,
}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Size, SizeError> {
        let text = text.trim();
        let size = parse_size::parse_size(text).map(Size).map_err(|error| match error {
            parse_size::Error::Empty => SizeError::Empty,
            parse_size::Error::PosOverflow => SizeError::TooLarge,
            _ => SizeError::Malformed,
        })?;
        // Five bytes for a slip of the finger would empty a store.
        let has_unit = !text.ends_with(|last: char| last.is_ascii_digit());
        if has_unit || size.0 == 0 { Ok(size) } else { Err(SizeError::NoUnit(size.0)) }
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        deserializer.deserialize_any(Quantity::new(["B", "M", "GiB"]))
    }
}

/// Reads a number with a unit from a string. The error for a number without a unit shows how to write it.
struct Quantity<T, const N: usize> {
    units: [&'static str; N],
    kind: PhantomData<T>,
}

impl<T, const N: usize> Quantity<T, N> {
    fn new(units: [&'static str; N]) -> Self {
        Quantity { units, kind: PhantomData }
    }
}

impl<T: FromStr<Err: Display>, const N: usize> Visitor<'_> for Quantity<T, N> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        let written = self.units.map(|unit| format!("\"{number}{unit}\"")).join(" or ");
        Err(E::custom(format!("{number} has no unit: write {written}")))
    }
}

impl Display for Size {
    /// In the largest unit that gives a whole number: `5GiB`, `500MB`, `1234B`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u64); 13] = [
            ("EiB", 1 << 60),
            ("EB", 1_000_000_000_000_000_000),
            ("PiB", 1 << 50),
            ("PB", 1_000_000_000_000_000),
            ("TiB", 1 << 40),
            ("TB", 1_000_000_000_000),
            ("GiB", 1 << 30),
            ("GB", 1_000_000_000),
            ("MiB", 1 << 20),
            ("MB", 1_000_000),
            ("KiB", 1 << 10),
            ("kB", 1000),
            ("B", 1),
        ];
        let whole = UNITS.iter().find(|(_, unit)| self.0 >= *unit && self.0.is_multiple_of(*unit));
        let (name, unit) = whole.unwrap_or(&("B", 1));
        formatter.pad(&format!("{}{name}", self.0 / unit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn age(text: &str) -> Result<u64, AgeError> {
        text.parse::<Age>().map(|age| age.duration().as_secs())
    }

    fn size(text: &str) -> Result<u64, SizeError> {
        text.parse::<Size>().map(|size| size.0)
    }

    #[test]
    fn ages_are_read_as_people_mean_them() {
        for (text, seconds) in [
            ("90d", 90 * 86_400),
            ("20h", 20 * 3600),
            ("10m", 600),
            ("10 min", 600),
            ("1h 30m", 5400),
            ("1h30m", 5400),
            ("2w", 14 * 86_400),
            ("1month", 2_630_016),
            ("2months", 2 * 2_630_016),
            ("1y", 31_557_600),
            ("45s", 45),
            ("0", 0),
        ] {
            assert_eq!(age(text), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn what_is_no_age_is_told_apart() {
        for (text, error) in [
            ("", AgeError::Empty),
            ("  ", AgeError::Empty),
            ("90", AgeError::NoUnit(90)),
            ("3M", AgeError::Ambiguous),
            ("1d 3 M", AgeError::Ambiguous),
            ("M", AgeError::Ambiguous),
            ("-3d", AgeError::Malformed),
            ("d", AgeError::Malformed),
            ("3 fortnights", AgeError::Malformed),
            ("99999999999s", AgeError::TooLarge),
            ("1001y", AgeError::TooLarge),
            ("9 999 999 999y", AgeError::TooLarge),
            ("18446744073709551615s 1000000000ns", AgeError::TooLarge),
        ] {
            assert_eq!(age(text), Err(error), "{text}");
        }
    }

    #[test]
    fn ages_are_shown_in_units_that_are_read_back() {
        for (seconds, shown) in [
            (0, "0s"),
            (90 * 86_400, "90d"),
            (72_000, "20h"),
            (600, "10m"),
            (5400, "1h 30m"),
            (86_401, "1d 1s"),
        ] {
            assert_eq!(Age::of_seconds(seconds).to_string(), shown);
        }
        assert_eq!("250ms".parse::<Age>().unwrap().to_string(), "250000000ns");
        assert_eq!(format!("{:>6}", Age::of_seconds(600)), "   10m");
    }

    #[test]
    fn sizes_are_decimal_or_binary_as_written() {
        for (text, bytes) in [
            ("500M", 500_000_000),
            ("500MB", 500_000_000),
            ("500MiB", 500 << 20),
            ("500 MiB", 500 << 20),
            ("5GiB", 5 << 30),
            ("1.5G", 1_500_000_000),
            ("4k", 4000),
            ("1234B", 1234),
            ("0", 0),
            ("18446744073709551615B", u64::MAX),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for (text, error) in [
            ("", SizeError::Empty),
            ("5", SizeError::NoUnit(5)),
            ("MiB", SizeError::Empty),
            ("-1", SizeError::Malformed),
            ("5 apples", SizeError::Malformed),
            ("18446744073709551616", SizeError::TooLarge),
            ("99999EiB", SizeError::TooLarge),
        ] {
            assert_eq!(size(text), Err(error), "{text}");
        }
    }

    #[test]
    fn sizes_are_shown_in_the_largest_whole_unit() {
        for (bytes, shown) in [
            (0, "0B"),
            (1234, "1234B"),
            (5 << 30, "5GiB"),
            (500_000_000, "500MB"),
            (1536, "1536B"),
            (4000, "4kB"),
        ] {
            assert_eq!(Size(bytes).to_string(), shown);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_age_or_an_error(text in "\\PC*") {
            let _ = text.parse::<Age>();
            let _ = text.parse::<Size>();
        }

        #[test]
        fn any_text_of_numbers_and_units_is_an_age_or_an_error(
            text in "([0-9]{1,11}[ .]?(ns|us|ms|s|m|h|d|w|M|months|y|k|M|G|GiB|e9|EiB)?[ _]?){0,6}"
        ) {
            if let Ok(age) = text.parse::<Age>() {
                prop_assert_eq!(age.to_string().parse::<Age>(), Ok(age));
            }
            if let Ok(size) = text.parse::<Size>() {
                prop_assert_eq!(size.to_string().parse::<Size>(), Ok(size));
            }
        }

        #[test]
        fn what_is_shown_is_read_back(seconds in 0..LONGEST, bytes in any::<u64>(), shift in 0..64_u32) {
            let age = Age::of_seconds(seconds);
            prop_assert_eq!(age.to_string().parse::<Age>(), Ok(age));
            let size = Size(bytes >> shift << (shift / 2));
            prop_assert_eq!(size.to_string().parse::<Size>(), Ok(size));
        }
    }

    #[test]
    fn moments_before_1970_count_downwards() {
        let before = UNIX_EPOCH - Duration::from_millis(4500);
        assert_eq!(Moment::from(before), Moment { seconds: -5, nanoseconds: 500_000_000 });
        assert_eq!(Moment::from(UNIX_EPOCH - Duration::from_secs(2)), Moment { seconds: -2, nanoseconds: 0 });
    }
}
