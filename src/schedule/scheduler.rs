//! The schedulers that can run pycstore every night.

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

/// As on the command line.
impl Display for Scheduler {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_possible_value().map_or(Ok(()), |value| formatter.write_str(value.get_name()))
    }
}

/// A command to a scheduler that failed.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    /// It cannot be run.
    #[error("{command}")]
    NotRun {
        /// The command.
        command: String,
        /// The system's error.
        source: io::Error,
    },
    /// It refused.
    #[error("{command}: {message}")]
    Refused {
        /// The command.
        command: String,
        /// Its message, or its exit status if it printed none.
        message: String,
    },
}

/// Checks the result of a command to a scheduler.
pub fn check(command: &str, result: io::Result<Output>) -> Result<(), SchedulerError> {
    let command = command.to_string();
    let output = match result {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => output,
        Err(source) => return Err(SchedulerError::NotRun { command, source }),
    };
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().last().unwrap_or_default().trim();
    let message = if last.is_empty() { output.status.to_string() } else { last.to_string() };
    Err(SchedulerError::Refused { command, message })
}
