//! `pycstore schedule`: prunes the store every night.
//!
//! * `install`, `remove`: edit the files, and tell the scheduler.
//! * `nightly`: the scheduled job: a prune, then `share` if the configuration says so.
//! * `show`: prints the status, or a schedule for the user to install.
//! * `policy`: the command of the schedule, and what it removes.
//! * `problem`: messages about schedules that cannot be read or changed.

mod install;
mod nightly;
mod policy;
mod problem;
mod remove;
mod show;

pub use policy::last_run;

use super::output::complain::Complaint;
use super::session::Session;
use clap::{Args, ValueEnum};
use pycstore::exit::Exit;
use pycstore::schedule::Scheduler;

/// Schedule a nightly prune (systemd, cron or launchd).
///
/// install adds a timer to the systemd user manager, or else a line to the crontab (other lines stay unchanged), or
/// on macOS a launchd agent. remove removes it. status shows whether it is installed and when it runs. run starts
/// the scheduled job now.
///
/// The job prunes with the configuration's policy, or else removes orphans, stale, corrupt and temporary entries.
/// With `nightly = true` in the table [share] of the configuration, it then runs `pycstore share` in the time that
/// remains of the policy's max-runtime. The job has the lowest priority, starts at a different minute on each
/// machine, and is silent unless something fails: then cron sends mail, or the error is in the journal (journalctl
/// --user -u pycstore).
///
/// The job uses the values of --store, --config, --threads and --assume-gone that install was given. A unit or
/// property list that install did not write is left unchanged. The schedule of another scheduler is removed once
/// the new one is active. As root on another user's store, the job continues as that user, and install and status
/// check and show the policy in that user's configuration.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(
    after_help = "Exit status: 0 success, also if there was nothing to do; 1 something could not be done, or with status: \
                        no schedule is installed; 2 nothing was done. With run: as for prune."
)]
pub struct ScheduleOptions {
    /// What to do
    #[arg(value_name = "ACTION")]
    action: Action,
    /// The scheduler [default: systemd if its user manager runs, else cron; launchd on macOS]
    #[arg(long, value_name = "SCHEDULER")]
    pub with: Option<Scheduler>,
    /// With install: print the units, the line or the property list, and change nothing
    #[arg(long, conflicts_with_all = ["dry_run", "yes"])]
    pub print: bool,
    /// Show what would change, or with run what would be removed, and change nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// With install: remove the schedule, as remove does
    #[arg(long, conflicts_with_all = ["print", "json"])]
    pub undo: bool,
    /// With status: print one JSON document
    #[arg(long)]
    pub json: bool,
}

impl ScheduleOptions {
    /// Whether it runs the scheduled job, and not as a dry run.
    pub fn removes(&self) -> bool {
        self.action == Action::Run && !self.dry_run
    }

    /// Whether root continues as the owner of the store.
    pub fn continues_as_owner(&self) -> bool {
        matches!(self.action, Action::Run | Action::Policy)
    }
}

/// An action on the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Action {
    /// Add the schedule, or update it
    Install,
    /// Remove the schedule
    Remove,
    /// Show whether it is installed, when it runs next, and when it last ran
    Status,
    /// Run the scheduled job now
    Run,
    /// Print what it would do, for this program
    #[value(hide = true)]
    Policy,
}

/// Runs `pycstore schedule`.
pub fn run(session: &Session, options: &ScheduleOptions) -> anyhow::Result<Exit> {
    if options.print && options.action != Action::Install {
        return Err(
            Complaint::new("--print works only with install", "pycstore schedule install --print").into()
        );
    }
    if options.json && options.action != Action::Status {
        return Err(Complaint::new("--json works only with status", "pycstore schedule status --json").into());
    }
    if options.undo && !matches!(options.action, Action::Install | Action::Remove) {
        return Err(Complaint::new("--undo works only with install", "pycstore schedule remove").into());
    }
    match options.action {
        Action::Install if options.undo => remove::remove(session, options),
        Action::Run => nightly::run(session, options),
        Action::Status if options.json => show::status_as_json(session),
        Action::Status => show::status(session),
        Action::Policy => policy::print(session),
        Action::Install if options.print => show::print(session, options),
        Action::Install => install::install(session, options),
        Action::Remove => remove::remove(session, options),
    }
}
