//! The crontab: the settings of its jobs (crontab(5)).
//!
//! cron does not pass on the user's environment. A line `NAME = VALUE` applies to the jobs below it; nothing in it is
//! expanded, neither `~` nor `$HOME`.

use super::ask::{AskError, Inquiry, ask, program};
use super::place::{Observed, PREFIX, Setting, VariablePlace};
use crate::crontab::{self, CrontabLine};
use crate::environment::Environment;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::time::Duration;

/// The user's crontab; empty where there is none, or no cron.
///
/// # Errors
/// If `crontab` does not answer.
pub fn crontab(environment: &Environment, timeout: Duration) -> Result<Vec<u8>, AskError> {
    let Some(crontab) = program(environment, "crontab") else { return Ok(Vec::new()) };
    let mut command = Command::new(crontab);
    command.arg("-l");
    let answer = ask(Inquiry { command, mark: None }, timeout)?;
    // It fails when the user has none.
    Ok(if answer.succeeded { answer.output } else { Vec::new() })
}

/// Whether the user has another job that prunes.
pub fn prunes(crontab: &[u8]) -> bool {
    let prunes = |job: &[u8]| find(job, "pycstore").is_some_and(|at| find(&job[at..], " prune").is_some());
    crontab::lines(crontab).any(|(_, line)| matches!(line, CrontabLine::Job(job) if prunes(job)))
}

fn find(line: &[u8], word: &str) -> Option<usize> {
    line.windows(word.len()).position(|window| window == word.as_bytes())
}

/// The settings that jobs have: one where all have the same, else each with its first line. Jobs that run pycstore,
/// or set the variable themselves, are skipped: the former find the store as its user would.
pub fn read(crontab: &[u8]) -> Vec<Observed> {
    let mut now = Setting::default();
    let mut settings: Vec<(usize, Setting)> = Vec::new();
    for (number, line) in crontab::lines(crontab) {
        match line {
            CrontabLine::Variable { name, value } => {
                let value = OsStr::from_bytes(value).to_os_string();
                if name == PREFIX.as_bytes() {
                    now.prefix = Some(value);
                } else if name == super::place::WRITES_NOTHING.as_bytes() {
                    now.writes_nothing = Some(value).filter(|value| !value.is_empty());
                }
            }
            CrontabLine::Job(job) => {
                let takes_care =
                    find(job, "pycstore").is_some() || find(job, &format!("{PREFIX}=")).is_some();
                if !takes_care && settings.iter().all(|(_, setting)| *setting != now) {
                    settings.push((number, now.clone()));
                }
            }
        }
    }
    // Without a job a variable does no harm and no good, but it may be wrong all the same.
    if settings.is_empty() && now != Setting::default() {
        settings.push((0, now));
    }
    let is_one = settings.len() == 1;
    let asked = |(line, setting)| (VariablePlace::Cron((!is_one).then_some(line)), Ok(setting));
    settings.into_iter().map(asked).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `place: prefix`
    fn told(crontab: &str) -> Vec<String> {
        let told = |(place, setting): Observed| {
            let prefix = setting.unwrap().prefix.map_or("-".into(), |it| it.into_string().unwrap());
            format!("{place}: {prefix}")
        };
        read(crontab.as_bytes()).into_iter().map(told).collect()
    }

    #[test]
    fn a_variable_holds_for_the_jobs_below_it() {
        for (crontab, expected) in [
            ("", &[][..]),
            ("# PYTHONPYCACHEPREFIX=/x\n@daily python a.py\n", &["cron: -"]),
            ("PYTHONPYCACHEPREFIX=/x\n@daily python a.py\n5 4 * * * b=c d\n", &["cron: /x"]),
            ("  PYTHONPYCACHEPREFIX = \" /x y \" \n* * * * * a\n", &["cron:  /x y "]),
            ("\"PYTHONPYCACHEPREFIX\"='~/x'\n* * * * * a\n", &["cron: ~/x"]),
            ("PYTHONPYCACHEPREFIX=\n* * * * * a\n", &["cron: "]),
            (
                "* * * * * a\n\nPYTHONPYCACHEPREFIX=/x\n* * * * * b\n* * * * * c",
                &["line 1 of the crontab: -", "line 4 of the crontab: /x"],
            ),
            ("PYTHONPYCACHEPREFIX=~/x\n", &["cron: ~/x"]),
            ("23 3 * * * pycstore prune -q\n", &[]),
            ("23 3 * * * PYTHONPYCACHEPREFIX=/x python a.py\n", &[]),
        ] {
            assert_eq!(told(crontab), expected, "{crontab}");
        }
        assert!(prunes(b"# x\n23 3 * * * nice pycstore -q prune --orphans\n"));
        assert!(!prunes(b"#23 3 * * * pycstore prune\n@daily pycstore du\n@daily prune pycstores\n"));
        let masked = read(b"PYTHONDONTWRITEBYTECODE=1\n@hourly a\n").remove(0).1.unwrap();
        assert_eq!(masked.writes_nothing, Some("1".into()));
    }
}
