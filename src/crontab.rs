//! The user's crontab: crontab(1) reads and writes it, crontab(5) says what is in it.
//!
//! Only crontab(1) may touch the spool. `crontab -l` prints the bytes that were installed; without a crontab it exits with 1 and
//! says `no crontab for …`, that of BusyBox `can't open 'NAME': No such file or directory`. `crontab -` installs the text on
//! standard input, and refuses a text that cron could not read. `crontab -r` removes the crontab.

use crate::host::program;
use std::io::{self, Write};
use std::process::{Command, Output, Stdio};

/// Why the crontab was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum CrontabError {
    /// The program `crontab` cannot be run.
    #[error("cannot run crontab")]
    NotRun(#[from] io::Error),
    /// The program `crontab` failed: its message.
    #[error("crontab failed: {0}")]
    Refused(String),
}

impl CrontabError {
    /// Whether there is no program `crontab` on this machine: then no crontab has anything of ours.
    pub fn is_missing_program(&self) -> bool {
        matches!(self, CrontabError::NotRun(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

/// Returns the crontab, if the user has one.
///
/// # Errors
/// If `crontab` cannot be run, or fails for another reason than a missing crontab.
pub fn read() -> Result<Option<Vec<u8>>, CrontabError> {
    let output = command("-l")?.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(Some(output.stdout));
    }
    let message = message(&output);
    if is_no_crontab(&message) { Ok(None) } else { Err(CrontabError::Refused(message)) }
}

/// Installs these contents as the crontab, or removes the crontab.
///
/// # Errors
/// If `crontab` cannot be run, or refuses the contents: the old crontab stays.
pub fn write(contents: Option<&[u8]>) -> Result<(), CrontabError> {
    let output = match contents {
        None => command("-r")?.stdin(Stdio::null()).output()?,
        Some(contents) => install(contents)?,
    };
    if output.status.success() { Ok(()) } else { Err(CrontabError::Refused(message(&output))) }
}

fn install(contents: &[u8]) -> io::Result<Output> {
    let mut child =
        command("-")?.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // If it ends without reading everything, its exit status says why.
        let _ = stdin.write_all(contents);
    }
    child.wait_with_output()
}

fn command(argument: &str) -> io::Result<Command> {
    let mut command = program::command("crontab")?;
    command.env("LC_ALL", "C").arg(argument);
    Ok(command)
}

/// Whether `crontab -l` said that the user has no crontab. BusyBox names the user's file in the spool; a message about the spool
/// itself is another error.
fn is_no_crontab(message: &str) -> bool {
    message.contains("no crontab for")
        || message.contains("can't open '") && message.ends_with("No such file or directory")
}

/// Returns the standard error of a program in one line; its exit status if it said nothing.
fn message(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() { output.status.to_string() } else { lines.join("; ") }
}

/// A line of a crontab that has a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrontabLine<'t> {
    /// Sets a variable for the jobs below it. Nothing in the value is expanded, neither `~` nor `$HOME`.
    Variable {
        /// The name, without quotes.
        name: &'t [u8],
        /// The value, without the quotes around it and without blanks outside of them.
        value: &'t [u8],
    },
    /// A job: when it runs, and its command.
    Job(&'t [u8]),
}

/// Returns the lines of a crontab with their numbers from 1, without blank lines and comments.
pub fn lines(crontab: &[u8]) -> impl Iterator<Item = (usize, CrontabLine<'_>)> {
    let lines = crontab.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#"));
    lines.map(|(index, line)| (index + 1, variable(line).unwrap_or(CrontabLine::Job(line))))
}

/// A line that sets a variable: the name, an equals sign that may have blanks around it, and the value. Name and value may stand
/// in quotes.
fn variable(line: &[u8]) -> Option<CrontabLine<'_>> {
    let (name, rest) = match line.first()? {
        quote @ (b'"' | b'\'') => {
            let end = line[1..].iter().position(|byte| byte == quote)?;
            (&line[1..=end], &line[end + 2..])
        }
        _ => {
            let end = line.iter().position(|byte| *byte == b'=' || byte.is_ascii_whitespace())?;
            line.split_at(end)
        }
    };
    let value = rest.trim_ascii_start().strip_prefix(b"=")?.trim_ascii();
    let within = |quote: &[u8]| value.strip_prefix(quote)?.strip_suffix(quote);
    let value = within(b"\"").or_else(|| within(b"'")).unwrap_or(value);
    Some(CrontabLine::Variable { name, value })
}

/// A time of day, every day, in local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DailyTime {
    /// The hour, below 24.
    pub hour: u8,
    /// The minute, below 60.
    pub minute: u8,
}

impl DailyTime {
    /// Parses the time of a job that runs once a day, such as `17 3 * * * …`.
    pub fn parse(job: &[u8]) -> Option<DailyTime> {
        let job = String::from_utf8_lossy(job);
        let mut fields = job.split_ascii_whitespace();
        let (minute, hour) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let is_daily = fields.by_ref().take(3).eq(["*"; 3]);
        (is_daily && minute < 60 && hour < 24).then_some(DailyTime { hour, minute })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_crontab_is_told_from_an_error() {
        for message in ["no crontab for me", "crontab: can't open 'me': No such file or directory"] {
            assert!(is_no_crontab(message), "{message}");
        }
        for message in [
            "You (me) are not allowed to use this program (crontab)",
            "crontab: must be suid to work properly",
            "crontab: can't change directory to '/var/spool/cron/crontabs': No such file or directory",
            "crontab: can't open 'me': Permission denied",
            "exit status: 1",
        ] {
            assert!(!is_no_crontab(message), "{message}");
        }
    }

    #[test]
    fn lines_are_variables_and_jobs() {
        let crontab = b"# A=1\n\n  A = \" /x y \" \n'B'=~/b\nC=\n@daily a=b c\n5 4 * * * d=e f\nx";
        let variable = |name, value| CrontabLine::Variable { name, value };
        let expected = [
            (3, variable(b"A" as &[u8], b" /x y " as &[u8])),
            (4, variable(b"B", b"~/b")),
            (5, variable(b"C", b"")),
            (6, CrontabLine::Job(b"@daily a=b c")),
            (7, CrontabLine::Job(b"5 4 * * * d=e f")),
            (8, CrontabLine::Job(b"x")),
        ];
        assert!(lines(crontab).eq(expected));
    }

    #[test]
    fn a_daily_job_has_a_time() {
        assert_eq!(DailyTime::parse(b"7 3 * * * x y"), Some(DailyTime { hour: 3, minute: 7 }));
        for other in ["", "@daily x", "7 3 * * 1 x", "*/7 3 * * * x", "7 25 * * * x", "# 7 3 * * *"] {
            assert_eq!(DailyTime::parse(other.as_bytes()), None, "{other}");
        }
    }
}
