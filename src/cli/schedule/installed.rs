//! Which schedules are in place. Only files and the crontab are read: no manager need run.

use super::cron::{self, Time};
use super::job;
use super::{launchd, systemd};
use crate::cli::args::Scheduler;
use crate::cli::config;
use crate::cli::edits::{EditError, Place, Text};
use crate::cli::env::Environment;
use crate::cli::history::{self, Run};
use crate::cli::session::Session;

/// A schedule that is in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Who keeps the time.
    pub scheduler: Scheduler,
    /// Where it is said.
    pub place: Place,
    /// When it runs, where the text tells.
    pub time: Option<Time>,
}

/// The schedules in place, at most one of each kind. Where there is no `crontab`, none is in it.
///
/// # Errors
/// When the crontab or a file cannot be read.
pub fn installed(environment: &Environment) -> Result<Vec<Installed>, EditError> {
    let crontab = match Text::read(&Place::Crontab) {
        Err(EditError::NoCrontab(_)) => None,
        answer => answer?.contents,
    };
    installed_with(environment, &crontab.unwrap_or_default())
}

/// The same where the crontab has been read: no program is run.
///
/// # Errors
/// When a file cannot be read, or the block in the crontab is torn.
pub fn installed_with(environment: &Environment, crontab: &[u8]) -> Result<Vec<Installed>, EditError> {
    let mut found = Vec::new();
    if let Some(units) = systemd::Units::of(environment)
        && units.are_enabled()?
    {
        found.push(Installed { scheduler: Scheduler::Systemd, place: Place::File(units.timer), time: None });
    }
    let torn = |source| EditError::Block { place: Place::Crontab, source };
    if let Some(lines) = cron::BLOCK.lines_in(crontab).map_err(torn)? {
        let time = Time::of_block(&lines);
        found.push(Installed { scheduler: Scheduler::Cron, place: Place::Crontab, time });
    }
    if let Some(path) = launchd::place(environment) {
        let place = Place::File(path);
        let contents = Text::read(&place)?.contents.filter(|text| launchd::is_ours(text));
        if let Some(contents) = contents {
            found.push(Installed { scheduler: Scheduler::Launchd, place, time: launchd::time_in(&contents) });
        }
    }
    Ok(found)
}

/// The newest run on the effective store with the policy of the schedule, by whomever it was started.
///
/// # Errors
/// When the policy or the history cannot be read.
pub fn last_run(session: &Session) -> anyhow::Result<Option<Run>> {
    let (names, _) = job::described(session)?;
    let Some(store) = config::store(session).value else { return Ok(None) };
    let Some(state) = session.environment.state_directory.as_deref() else { return Ok(None) };
    Ok(history::newest(state, &store.canonicalize().unwrap_or(store), &names)?)
}
