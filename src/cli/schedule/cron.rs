//! cron: a line in the user's crontab, crontab(5).
//!
//! In the command `%` means a line break unless a backslash stands before it, whatever quotes there are; the rest is
//! sh's. The minute is the machine's and the user's: machines that share a file server do not all begin at the same moment.

use super::job::{Job, MARK};
use pycstore::edits::Block;
use std::collections::hash_map::DefaultHasher;
use std::ffi::OsStr;
use std::hash::{Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Our block in the crontab.
pub const BLOCK: Block = Block { name: MARK, comment: "#" };

/// When, every day, in local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    /// The hour.
    pub hour: u8,
    /// The minute.
    pub minute: u8,
}

impl Time {
    /// A minute of the small hours: for one user of one machine always the same, so that what is shown is what is
    /// done, and for others another.
    pub fn of(machine: &[u8], user: u32) -> Time {
        let mut hasher = DefaultHasher::new();
        (machine, user).hash(&mut hasher);
        let number = hasher.finish();
        Time { hour: 3 + (number / 60 % 2) as u8, minute: (number % 60) as u8 }
    }

    /// The time of a line such as `17 3 * * * …`.
    pub fn of_line(line: &[u8]) -> Option<Time> {
        let line = String::from_utf8_lossy(line);
        let mut fields = line.split_ascii_whitespace();
        let (minute, hour) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let is_daily = fields.by_ref().take(3).eq(["*"; 3]);
        (is_daily && minute < 60 && hour < 24).then_some(Time { hour, minute })
    }

    /// The time in the lines of our block.
    pub fn of_block(lines: &[&[u8]]) -> Option<Time> {
        lines.iter().find_map(|line| Time::of_line(line))
    }
}

/// The line, its end included.
pub fn line(job: &Job, time: Time) -> Vec<u8> {
    let mut command = Vec::new();
    for (name, value) in &job.variables {
        command.extend(format!("{name}=").as_bytes());
        quote(&mut command, value.as_os_str());
        command.push(b' ');
    }
    command.extend(b"nice -n 19 ");
    // cron's own PATH is /usr/bin:/bin.
    if ["/usr/bin/ionice", "/bin/ionice"].iter().any(|path| Path::new(path).exists()) {
        command.extend(b"ionice -c 3 ");
    }
    quote(&mut command, job.program.as_os_str());
    for argument in &job.arguments {
        command.push(b' ');
        quote(&mut command, argument);
    }
    let mut line = format!("{} {} * * * ", time.minute, time.hour).into_bytes();
    for byte in command {
        if byte == b'%' {
            line.push(b'\\');
        }
        line.push(byte);
    }
    line.push(b'\n');
    line
}

/// For sh: single quotes around what is not plain.
fn quote(out: &mut Vec<u8>, text: &OsStr) {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./+:=,@".contains(byte);
    if !text.is_empty() && text.as_bytes().iter().all(is_plain) {
        out.extend(text.as_bytes());
        return;
    }
    out.push(b'\'');
    for &byte in text.as_bytes() {
        match byte {
            b'\'' => out.extend(b"'\\''"),
            _ => out.push(byte),
        }
    }
    out.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn a_line_says_when_and_what() {
        let job = Job {
            program: PathBuf::from("/home/me/it's 100%/pycstore"),
            arguments: vec!["--quiet".into(), "schedule".into(), "run".into()],
            variables: vec![("XDG_STATE_HOME", PathBuf::from("/state"))],
        };
        let line = String::from_utf8(line(&job, Time { hour: 3, minute: 7 })).unwrap();
        assert!(line.starts_with("7 3 * * * XDG_STATE_HOME=/state nice -n 19 "), "{line}");
        assert!(line.ends_with(" '/home/me/it'\\''s 100\\%/pycstore' --quiet schedule run\n"), "{line}");
        assert_eq!(Time::of_line(line.as_bytes()), Some(Time { hour: 3, minute: 7 }));
        for other in ["", "@daily x", "7 3 * * 1 x", "*/7 3 * * * x", "7 25 * * * x", "# 7 3 * * *"] {
            assert_eq!(Time::of_line(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn the_minute_is_of_the_small_hours_and_not_the_same_everywhere() {
        let times: Vec<Time> = (0..200).map(|user| Time::of(b"machine", user)).collect();
        assert_eq!(times[7], Time::of(b"machine", 7));
        assert!((0..200).any(|user| Time::of(b"other", user) != times[user as usize]));
        assert!(times.iter().all(|time| (3..5).contains(&time.hour) && time.minute < 60));
        assert!(times.iter().any(|time| time.minute != times[0].minute));
    }
}
