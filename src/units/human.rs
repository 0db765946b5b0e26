//! Numbers for people. Home of humansize.

use super::Tally;
use humansize::{BINARY, format_size};
use std::time::Duration;

/// `117.74 MiB`: units of 1024, as IEC 80000-13 names them.
pub fn size(bytes: u64) -> String {
    format_size(bytes, BINARY)
}

/// `435 324`: groups of three, so that large counts can be read.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 file`, `2 files`.
pub fn counted(number: u64, noun: &str) -> String {
    let plural = match noun {
        "directory" => "directories".to_string(),
        "entry" => "entries".to_string(),
        noun => format!("{noun}s"),
    };
    format!("{} {}", count(number), if number == 1 { noun } else { &plural })
}

/// `12 files and 3 directories, 48 KiB`; no word of directories where there are none.
pub fn sum(files: Tally, directories: u64) -> String {
    let with_directories = match directories {
        0 => String::new(),
        some => format!(" and {}", counted(some, "directory")),
    };
    format!("{}{with_directories}, {}", counted(files.files, "file"), size(files.disk))
}

/// `0.25 s`, `12.3 s`, `3 min 20 s`, `1 h 05 min`: as exact as people want it.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    let whole = duration.as_secs();
    match whole {
        0 => format!("{seconds:.2} s"),
        1..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_can_be_read() {
        assert_eq!(size(1536), "1.50 KiB");
        assert_eq!((count(999), count(435_324)), ("999".into(), "435 324".into()));
        let shown = |milliseconds| duration(Duration::from_millis(milliseconds));
        assert_eq!(
            (shown(0), shown(250), shown(12_340)),
            ("0.00 s".into(), "0.25 s".into(), "12.3 s".into())
        );
        assert_eq!((shown(200_999), shown(3_900_000)), ("3 min 20 s".into(), "1 h 05 min".into()));
        assert_eq!(
            (counted(1, "directory"), counted(1200, "file")),
            ("1 directory".into(), "1 200 files".into())
        );
    }
}
