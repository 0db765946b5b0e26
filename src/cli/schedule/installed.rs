//! Which schedules are in place. Only files and the crontab are read: no manager need run.

use super::cron::{self, Time};
use super::job;
use super::{launchd, systemd};
use crate::cli::args::Scheduler;
use crate::cli::edits::{EditError, Place, Text};
use crate::cli::session::Session;
use pycstore::environment::Environment;
use pycstore::history::{self, Run};

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

/// What is known of the schedules in place.
#[derive(Debug, Default)]
pub struct Found {
    /// Those in place, at most one of each kind.
    pub installed: Vec<Installed>,
    /// Where it could not be found out whether one is in place: one kind does not hide the others.
    pub unknown: Vec<(Scheduler, EditError)>,
}

/// The schedules in place. Where there is no `crontab`, none is in it.
pub fn installed(environment: &Environment) -> Found {
    installed_with(environment, Text::read(&Place::Crontab).map(|text| text.contents.unwrap_or_default()))
}

/// The same where the crontab has been asked for: no program is run.
pub fn installed_with(environment: &Environment, crontab: Result<Vec<u8>, EditError>) -> Found {
    let mut found = Found::default();
    let kinds = [
        (Scheduler::Systemd, in_units(environment)),
        (Scheduler::Cron, crontab.and_then(|crontab| in_crontab(&crontab))),
        (Scheduler::Launchd, in_agents(environment)),
    ];
    for (scheduler, answer) in kinds {
        match answer {
            Ok(installed) => found.installed.extend(installed),
            Err(error) if error.is_missing_crontab() => {}
            Err(error) => found.unknown.push((scheduler, error)),
        }
    }
    found
}

fn in_units(environment: &Environment) -> Result<Option<Installed>, EditError> {
    let Some(units) = systemd::Units::of(environment) else { return Ok(None) };
    let place = Place::File(units.timer.clone());
    Ok(units.are_enabled()?.then_some(Installed { scheduler: Scheduler::Systemd, place, time: None }))
}

fn in_crontab(crontab: &[u8]) -> Result<Option<Installed>, EditError> {
    let torn = |source| EditError::Block { place: Place::Crontab, source };
    let lines = cron::BLOCK.lines_in(crontab).map_err(torn)?;
    let installed = |lines: Vec<&[u8]>| {
        let time = Time::of_block(&lines);
        Installed { scheduler: Scheduler::Cron, place: Place::Crontab, time }
    };
    Ok(lines.map(installed))
}

fn in_agents(environment: &Environment) -> Result<Option<Installed>, EditError> {
    let Some(path) = launchd::place(environment) else { return Ok(None) };
    let place = Place::File(path);
    let contents = Text::read(&place)?.contents.filter(|text| launchd::is_ours(text));
    let time = contents.as_deref().map(launchd::time_in);
    Ok(time.map(|time| Installed { scheduler: Scheduler::Launchd, place, time }))
}

/// The newest run on the effective store with the policy of the schedule, by whomever it was started.
///
/// # Errors
/// When the policy or the history cannot be read.
pub fn last_run(session: &Session) -> anyhow::Result<Option<Run>> {
    let (names, _) = job::described(session)?;
    let Some(store) = session.store().value else { return Ok(None) };
    let Some(state) = session.environment.state_directory.as_deref() else { return Ok(None) };
    Ok(history::newest(state, &store.canonicalize().unwrap_or(store), &names)?)
}
