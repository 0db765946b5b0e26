//! `pycstore schedule`: prune every night, by whoever keeps the time on this machine.
//!
//! * `command`: install, remove, status, run.
//! * `job`: what is run: the program, its options, its environment; and the policy.
//! * `systemd`, `cron`, `launchd`: how each says it, and where.
//! * `installed`: which schedules are in place.
//!
//! # Invariants
//!
//! * Each of them runs `pycstore schedule run`, so what runs at night is what that command does by day.
//! * The job sees the same file system as the user: a source that it cannot see would be taken for gone.
//! * Whatever goes wrong is said where the user looks: mail from cron, the journal, a log.

mod command;
pub(super) mod cron;
mod installed;
mod job;
mod launchd;
mod systemd;

pub use command::run;
pub use installed::{Installed, installed, installed_with, last_run};
