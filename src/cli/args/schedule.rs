//! The options of `pycstore schedule`.

use clap::{Args, ValueEnum};

/// Prune every night, by whoever keeps the time on this machine.
///
/// install puts a timer of the systemd user manager in place, else a line in the crontab (which is kept byte for
/// byte otherwise), on macOS an agent of launchd; remove takes it back; status says whether it is in place and when
/// it runs; run does now what it does. The policy is the configuration's, else orphans, stale, corrupt and temporary.
/// The job has the lowest priority, begins at another minute on each machine, and says nothing unless something is
/// wrong: by mail from cron, or in the journal (journalctl --user -u pycstore).
///
/// The job uses the store, --config, --threads and --assume-gone that are given to install. A unit or property list
/// that install did not write is left unchanged. The schedule of another scheduler is removed once the new one is active.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(
    after_help = "Exit status: 0 all done, nothing to do included; 1 something could not be done, of status: no \
                        schedule is in place; 2 nothing done. Of run: as of prune."
)]
pub struct ScheduleOptions {
    /// What to do
    #[arg(value_name = "ACTION")]
    pub action: Action,
    /// Who keeps the time [default: systemd where its user manager runs, else cron; launchd on macOS]
    #[arg(long, value_name = "WHO")]
    pub with: Option<Scheduler>,
    /// With install: print the units, the line or the property list; nothing is changed
    #[arg(long, conflicts_with_all = ["dry_run", "yes"])]
    pub print: bool,
    /// Show what would change, or with run what would be removed; nothing is changed
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// What is done about the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Action {
    /// Put it in place; once more: bring it up to date
    Install,
    /// Take it back
    Remove,
    /// Say whether it is in place, when it runs next, and when it last ran
    Status,
    /// Do now what it does
    Run,
}

/// Who keeps the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scheduler {
    /// A timer of the systemd user manager
    Systemd,
    /// A line in the crontab
    Cron,
    /// An agent of macOS
    Launchd,
}

impl Scheduler {
    /// As it is spelled on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Scheduler::Systemd => "systemd",
            Scheduler::Cron => "cron",
            Scheduler::Launchd => "launchd",
        }
    }
}
