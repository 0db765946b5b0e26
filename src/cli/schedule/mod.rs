//! `pycstore schedule`: prunes the store every night.
//!
//! * `install`, `remove`: edit the files, and tell the scheduler.
//! * `nightly`: the scheduled job: a prune, then `share` if the configuration says so.
//! * `show`: prints the status, alone with the next commands, or a schedule for the user to install.
//! * `system`: the job for every user: one process each.
//! * `policy`: the command of the schedule, and what it removes.
//! * `problem`: messages about schedules that cannot be read or changed.

mod install;
mod nightly;
mod policy;
mod problem;
mod remove;
mod show;
mod system;

pub use policy::last_run;

use super::output::complain::Complaint;
use super::removal::ResultOutput;
use super::selection::MachineLimits;
use super::session::Session;
use clap::{Args, ValueEnum};
use nightly::NightlyOptions;
use pycstore::exit::Exit;
use pycstore::host::directory::effective_user;
use pycstore::schedule::{JobScope, Scheduler};
use pycstore::units::{Age, Size};
use std::path::PathBuf;

/// Schedule a nightly prune (systemd, cron or launchd).
///
/// install adds a timer to the systemd user manager, or else a line to the crontab (other lines stay unchanged), or
/// on macOS a launchd agent. remove removes it. status shows whether it is installed and when it runs. run starts
/// the scheduled job now.
///
/// The job prunes with the configuration's policy, or else removes orphans, stale, corrupt and temporary entries.
/// With `nightly = true` in the table [share] of the configuration, it then runs `pycstore share` in the time that
/// remains of the policy's max-runtime, which is six hours if the policy has none. The job has the lowest priority, starts at a different minute on each
/// machine, and is silent unless something fails: then cron sends mail, or the error is in the journal (journalctl
/// --user -u pycstore).
///
/// The job uses the values of --store, --config, --threads and --assume-gone that install was given. A unit or
/// property list that install did not write is left unchanged. The schedule of another scheduler is removed once
/// the new one is active. As root on another user's store, the job continues as that user, and install and status
/// check and show the policy in that user's configuration.
///
/// With --system, root's job prunes the store of every user, one after another, each by a process of that user, with
/// that user's configuration: the store is the configuration's, else ~/.cache/cpython, and users without one are
/// skipped. The job does not know the PYTHONPYCACHEPREFIX of a user's shell: for another store, that user sets
/// `store` in the configuration. The users are those in /etc/passwd whose home belongs to them and is on a local
/// disk; homes on network file systems, FUSE and automounts are left alone and named. systemd confines the job
/// (ProtectSystem=strict and others): it writes only in the directories of the homes that there are at the time of
/// install, and of --metrics. A store elsewhere is refused, with a hint: a line ReadWritePaths= added by `systemctl
/// edit pycstore.service`. cron has the line in /etc/cron.d/pycstore. Options of install are those of each run.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(
    after_help = "Exit status: 0 success, also if there was nothing to do; 1 something could not be done, or with status: \
                        no schedule is installed; 2 nothing was done. With run: as for prune."
)]
pub struct ScheduleOptions {
    /// What to do [default: show the schedule and the next commands]
    #[arg(value_name = "ACTION")]
    action: Option<Action>,
    /// The scheduler [default: systemd if its user manager runs, else cron; launchd on macOS]
    #[arg(long, value_name = "SCHEDULER")]
    pub with: Option<Scheduler>,
    /// As root: for every user of this machine who has a store
    #[arg(long)]
    pub system: bool,
    /// With --system: also remove the least recently used entries of each user until their disk usage is at most SIZE
    #[arg(long, value_name = "SIZE", requires = "system")]
    pub max_size: Option<Size>,
    /// With --system: stop each user's run cleanly after DURATION, and end a process that does not respond [default: the
    /// user's max-runtime; processes are ended after 1h]
    #[arg(long, value_name = "DURATION", requires = "system")]
    pub max_runtime: Option<Age>,
    /// With --system: write metrics of all users to FILE, for the textfile collector of Prometheus' node exporter
    #[arg(long, value_name = "FILE", requires = "system")]
    pub metrics: Option<PathBuf>,
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
    /// Maximum time of the job for one store. The job for every user ends each user's process itself.
    pub fn time_limit(&self) -> Option<Age> {
        self.is_run_of_one_store().then(|| Age::from(nightly::LONGEST_NIGHT))
    }

    /// Whether it prunes one store, and not as a dry run.
    pub fn removes(&self) -> bool {
        (self.is_run_of_one_store() || self.action == Some(Action::RunForUser)) && !self.dry_run
    }

    /// Whether root's job for every user reads the metrics of this run from its standard output.
    pub fn prints_metrics(&self) -> bool {
        self.action == Some(Action::RunForUser) && self.metrics.is_some()
    }

    /// Whether root continues as the owner of the store.
    pub fn continues_as_owner(&self) -> bool {
        self.is_run_of_one_store() || self.is_for_this_program()
    }

    /// Whether this is root's job for every user, or about it.
    pub fn is_for_every_user(&self) -> bool {
        self.system && !self.is_for_this_program()
    }

    fn is_run_of_one_store(&self) -> bool {
        self.action == Some(Action::Run) && !self.system
    }

    /// Whether root's process asks it of a user's.
    fn is_for_this_program(&self) -> bool {
        matches!(self.action, Some(Action::Policy | Action::RunForUser))
    }

    fn scope(&self) -> JobScope {
        if self.system { JobScope::System } else { JobScope::User }
    }

    fn nightly(&self) -> NightlyOptions {
        let limits = MachineLimits { max_size: self.max_size, max_runtime: self.max_runtime };
        let output = if self.prints_metrics() { ResultOutput::Metrics } else { ResultOutput::Printed };
        NightlyOptions { dry_run: self.dry_run, limits, output }
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
    /// Run the job of one user, for this program
    #[value(hide = true)]
    RunForUser,
}

/// Runs `pycstore schedule`.
pub fn run(session: &Session, options: &ScheduleOptions) -> anyhow::Result<Exit> {
    let action = options.action;
    if options.print && action != Some(Action::Install) {
        return Err(
            Complaint::new("--print works only with install", "pycstore schedule install --print").into()
        );
    }
    if options.json && action != Some(Action::Status) {
        return Err(Complaint::new("--json works only with status", "pycstore schedule status --json").into());
    }
    if options.undo && !matches!(action, Some(Action::Install | Action::Remove)) {
        return Err(Complaint::new("--undo works only with install", "pycstore schedule remove").into());
    }
    if options.metrics.is_some() && options.dry_run && action != Some(Action::Install) {
        let hint = "a dry run writes no metrics: pycstore schedule run --system --dry-run";
        return Err(Complaint::new("--metrics does not work with --dry-run", hint).into());
    }
    if options.is_for_every_user() {
        check_system(session, options)?;
    }
    let Some(action) = action else { return show::overview(session, options.scope()) };
    match action {
        Action::Install if options.undo => remove::remove(session, options),
        Action::Run if options.system => system::run(session, options),
        Action::Status if options.system => show::system_status(session),
        Action::Policy | Action::RunForUser if options.system && !system::has_store(session) => {
            Ok(Exit::Done)
        }
        Action::Run => nightly::run(session, options.nightly()),
        Action::RunForUser => {
            if !options.dry_run {
                system::check_writable(session)?;
            }
            nightly::run(session, options.nightly())
        }
        Action::Status if options.json => show::status_as_json(session),
        Action::Status => show::status(session),
        Action::Policy => policy::print(session),
        Action::Install if options.print => show::print(session, options),
        Action::Install => install::install(session, options),
        Action::Remove => remove::remove(session, options),
    }
}

/// Refuses `--system` where it cannot work.
fn check_system(session: &Session, options: &ScheduleOptions) -> Result<(), Complaint> {
    if options.action == Some(Action::Status) && options.json {
        let hint = "pycstore schedule status --json shows the schedule for every user, too";
        return Err(Complaint::new("--json does not work with --system", hint));
    }
    if session.global.store.is_some() {
        let hint = "the store of each user is that of the user's configuration, else ~/.cache/cpython";
        return Err(Complaint::new("--store does not work with --system", hint));
    }
    if !cfg!(target_os = "linux") {
        let hint = "install it for each user: pycstore schedule install";
        return Err(Complaint::new("--system works only on Linux", hint));
    }
    // What is printed can be looked at by every user.
    if effective_user() != 0 && !options.print {
        return Err(Complaint::new("--system needs root", "sudo pycstore schedule … --system"));
    }
    Ok(())
}
