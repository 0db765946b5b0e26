//! Schedules that prune the store every night: by systemd, cron or launchd; for one user, or as root for every user.
//!
//! * `scheduler`: the schedulers.
//! * `job`: the command that a schedule runs.
//! * `systemd`, `cron`, `launchd`: how each scheduler defines a job, and where.
//! * `installed`: the schedules that are in place.
//! * `users`: the users whose stores a job for every user prunes.
//! * `new`, `removal`: a schedule to add, schedules to remove.
//!
//! # Invariants
//!
//! * Every schedule runs `pycstore schedule run`, so a nightly run does what that command does now.
//! * The job sees the same file system as the user: a source that it cannot see would count as deleted.
//! * Only what pycstore wrote is changed or removed: a unit or property list that it did not write is refused.
//! * The schedule of another scheduler is removed only after the new one runs.

pub mod cron;
mod error;
mod installed;
mod job;
mod launchd;
mod new;
mod removal;
mod scheduler;
pub mod systemd;
pub mod users;

pub use error::ScheduleError;
pub use installed::{Installed, InstalledSchedules, installed, installed_with};
pub use job::{Job, JobOptions, SystemJobOptions};
pub use launchd::Agent;
pub use new::{NewSchedule, choose, time};
pub use removal::ScheduleRemoval;
pub use scheduler::{JobScope, Scheduler, SchedulerError};
