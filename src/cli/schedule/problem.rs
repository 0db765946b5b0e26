//! Messages about schedules that cannot be read or changed.

use crate::cli::output::complain::{self, Complaint};
use crate::cli::session::Session;
use pycstore::crontab::CrontabError;
use pycstore::edits::{EditError, TextPlace};
use pycstore::schedule::{Installed, ScheduleError, Scheduler, systemd};
use std::path::Path;

/// Reports that a schedule of this scheduler may be in place.
pub fn note_unknown(scheduler: Scheduler, error: &EditError) {
    let error = complain::one_line(error);
    complain::note(&format!("{error}; cannot determine whether {scheduler} has a schedule"));
}

/// Reports that a systemd timer is kept: pycstore did not write it.
pub fn advise_kept(session: &Session, installed: &Installed) {
    let environment = &session.environment;
    let configurations = environment.configurations.iter().chain([&environment.system_configurations]);
    let is_users = |path: &Path| configurations.clone().any(|directory| path.starts_with(directory));
    let origin = match &installed.place {
        TextPlace::File(path) if !is_users(path) => "belongs to a package",
        _ => "was installed by hand",
    };
    let hint = format!("{} disable --now pycstore.timer", systemd::program(installed.scope));
    complain::advise(&format!("{} {origin} and is kept", installed.place), &hint);
}

/// Adds a hint to the error, if there is one.
pub fn explained(error: impl Into<ScheduleError>) -> anyhow::Error {
    let error = match error.into() {
        ScheduleError::Refused(complaint) => return complaint.into(),
        ScheduleError::Edit(error) => error,
    };
    let hint = match &error {
        EditError::Block { place: TextPlace::Crontab, .. } => "fix it with `crontab -e`, then run this again",
        EditError::Crontab(CrontabError::NotRun(_)) => {
            "install cron, for example: apt install cron; or start a systemd user manager"
        }
        EditError::Crontab(CrontabError::Refused(_)) => {
            "ask the administrator to let you use crontab (cron.allow, cron.deny), or: pycstore schedule install --with systemd"
        }
        _ => return error.into(),
    };
    Complaint::caused(error, hint).into()
}
