//! The schedulers that can run pycstore every night.

use crate::complaint::one_line;
use clap::ValueEnum;
use std::fmt::{self, Display};
use std::io;
use std::process::Output;

/// A scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scheduler {
    /// A timer of the systemd user manager
    Systemd,
    /// A line in the crontab
    Cron,
    /// An agent of macOS
    Launchd,
}

/// For whom a schedule prunes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobScope {
    /// For the user who installed it.
    User,
    /// For every user with a store: root's job continues as each of them.
    System,
}

impl JobScope {
    /// The name of a schedule in the receipt.
    pub fn name_of(self, scheduler: Scheduler) -> String {
        format!("{scheduler}{}", self.option())
    }

    /// The option of `pycstore schedule`, with a space before it.
    pub fn option(self) -> &'static str {
        match self {
            JobScope::User => "",
            JobScope::System => " --system",
        }
    }
}

/// As on the command line.
impl Display for Scheduler {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_possible_value().map_or(Ok(()), |value| formatter.write_str(value.get_name()))
    }
}

/// A command to a scheduler that failed.
#[derive(Debug, thiserror::Error)]
#[error("{command}: {message}")]
pub struct SchedulerError {
    command: String,
    /// Its last line on standard error, its exit status, or why it cannot be run.
    message: String,
}

/// Checks the result of a command to a scheduler.
pub fn check(command: &str, result: io::Result<Output>) -> Result<(), SchedulerError> {
    let message = match result {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            let last = text.lines().last().unwrap_or_default().trim();
            if last.is_empty() { output.status.to_string() } else { last.to_string() }
        }
        Err(error) => one_line(&error),
    };
    Err(SchedulerError { command: command.into(), message })
}
