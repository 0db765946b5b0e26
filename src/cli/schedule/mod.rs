//! `pycstore schedule`: prune every night, by whoever keeps the time on this machine.
//!
//! * `command`: print, status, run.
//! * `install`, `remove`: the edits, and what the scheduler is told.
//! * `job`: what is run: the program, its options, its environment.
//! * `policy`: what that removes, as it is shown and checked.
//! * `systemd`, `cron`, `launchd`: how each says it, and where.
//! * `installed`: which schedules are in place.
//!
//! # Invariants
//!
//! * Each of them runs `pycstore schedule run`, so what runs at night is what that command does by day.
//! * As root on another user's store the job continues as that user: the policy that is shown and checked is that user's.
//! * The job sees the same file system as the user: a source that it cannot see would be taken for gone.
//! * A file is changed only as far as we wrote it: a unit or an agent of somebody else's is refused, and stays.
//! * Where one scheduler takes the place of another, the old schedule goes when the new one runs.
//! * Whatever goes wrong is said where the user looks: mail from cron, the journal, a log.

mod command;
pub(super) mod cron;
mod install;
mod installed;
mod job;
mod launchd;
mod policy;
mod remove;
mod systemd;

pub use command::run;
pub use installed::{Installed, installed, installed_with, last_run};
