//! cron: a line in the user's crontab, or in a file in `/etc/cron.d`, whose lines also name the user: crontab(5), cron(8).
//!
//! In the command, `%` is a line break unless a backslash precedes it, whatever the quotes; the rest is for sh. The minute depends
//! on the machine and the user, so that machines that share a file server do not all start at the same time.

use super::job::{Job, MARK, NAME};
use super::scheduler::JobScope;
use crate::crontab::{CrontabLine, DailyTime, lines};
use crate::edits::{Block, TextPlace};
use crate::environment::Environment;
use crate::quoting::shell_word;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::Path;

/// Our block in the crontab.
pub const BLOCK: Block = Block { name: MARK, comment: "#" };

/// Returns the text with our line. cron ignores files in `cron.d` with a dot in their names.
pub fn place(environment: &Environment, scope: JobScope) -> TextPlace {
    match scope {
        JobScope::User => TextPlace::Crontab,
        JobScope::System => TextPlace::File(environment.system_configurations.join("cron.d").join(NAME)),
    }
}

/// Returns a time in the small hours, always the same for a user on a machine.
pub fn nightly_time(machine: &[u8], user: u32) -> DailyTime {
    let mut hasher = DefaultHasher::new();
    (machine, user).hash(&mut hasher);
    let number = hasher.finish();
    DailyTime { hour: 3 + (number / 60 % 2) as u8, minute: (number % 60) as u8 }
}

/// Returns the time of the job in our block.
pub fn time_in(block: &[u8]) -> Option<DailyTime> {
    lines(block).find_map(|(_, line)| match line {
        CrontabLine::Job(job) => DailyTime::parse(job),
        CrontabLine::Variable { .. } => None,
    })
}

/// Returns the line for a job, with its end.
pub fn line(job: &Job, time: DailyTime, scope: JobScope) -> Vec<u8> {
    let mut words: Vec<Vec<u8>> = match scope {
        JobScope::User => Vec::new(),
        JobScope::System => vec![b"root".to_vec()],
    };
    for (name, value) in &job.variables {
        words.push([name.as_bytes(), b"=", &shell_word(value.as_os_str())].concat());
    }
    words.push(b"nice -n 19".to_vec());
    // cron's own PATH is /usr/bin:/bin.
    if ["/usr/bin/ionice", "/bin/ionice"].iter().any(|path| Path::new(path).exists()) {
        words.push(b"ionice -c 3".to_vec());
    }
    words.push(shell_word(job.program.as_os_str()));
    words.extend(job.arguments.iter().map(|argument| shell_word(argument)));
    let mut line = format!("{} {} * * * ", time.minute, time.hour).into_bytes();
    for byte in words.join(&b' ') {
        if byte == b'%' {
            line.push(b'\\');
        }
        line.push(byte);
    }
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn a_line_has_the_time_and_the_command() {
        let job = Job {
            program: PathBuf::from("/home/me/it's 100%/pycstore"),
            arguments: vec!["--quiet".into(), "schedule".into(), "run".into()],
            variables: vec![("XDG_STATE_HOME", PathBuf::from("/state"))],
            writable: Vec::new(),
        };
        let time = DailyTime { hour: 3, minute: 7 };
        let line = String::from_utf8(line(&job, time, JobScope::User)).unwrap();
        assert!(line.starts_with("7 3 * * * XDG_STATE_HOME=/state nice -n 19 "), "{line}");
        assert!(line.ends_with(" \"/home/me/it's 100\\%/pycstore\" --quiet schedule run\n"), "{line}");
        assert_eq!(time_in(line.as_bytes()), Some(time));
        let line = String::from_utf8(super::line(&job, time, JobScope::System)).unwrap();
        assert!(line.starts_with("7 3 * * * root XDG_STATE_HOME=/state nice -n 19 "), "{line}");
        assert_eq!(time_in(line.as_bytes()), Some(time));
        assert_eq!(time_in(b"# 7 3 * * * x\nA=1\n@daily x\n"), None);
    }

    #[test]
    fn the_time_is_in_the_small_hours_and_not_the_same_everywhere() {
        let times: Vec<DailyTime> = (0..200).map(|user| nightly_time(b"machine", user)).collect();
        assert_eq!(times[7], nightly_time(b"machine", 7));
        assert!((0..200).any(|user| nightly_time(b"other", user) != times[user as usize]));
        assert!(times.iter().all(|time| (3..5).contains(&time.hour) && time.minute < 60));
        assert!(times.iter().any(|time| time.minute != times[0].minute));
    }
}
