//! Finds the schedules that are in place. Reads only files and the crontab: no scheduler need run.

use super::cron;
use super::launchd::Agent;
use super::scheduler::{JobScope, Scheduler};
use super::systemd::Units;
use crate::crontab::{self, DailyTime};
use crate::edits::{EditError, Text, TextPlace};
use crate::environment::Environment;

/// A schedule that is in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// For whom it prunes.
    pub scope: JobScope,
    /// Its scheduler.
    pub scheduler: Scheduler,
    /// The text that defines it.
    pub place: TextPlace,
    /// The time at which it runs, if the text has it.
    pub time: Option<DailyTime>,
}

/// The schedules in place, as far as they can be found.
#[derive(Debug, Default)]
pub struct InstalledSchedules {
    /// Those in place, at most one for each scope and scheduler, those of the user first.
    pub installed: Vec<Installed>,
    /// The schedulers whose schedules cannot be read.
    pub unknown: Vec<(Scheduler, EditError)>,
}

impl InstalledSchedules {
    /// Returns these schedules without those of the other scope.
    #[must_use]
    pub fn of(mut self, scope: JobScope) -> InstalledSchedules {
        self.installed.retain(|installed| installed.scope == scope);
        self
    }
}

/// Finds the schedules in place. Runs `crontab -l`; without that program there is none in a crontab.
pub fn installed(environment: &Environment) -> InstalledSchedules {
    installed_with(environment, crontab::read().map(Option::unwrap_or_default).map_err(EditError::from))
}

/// Finds the schedules in place with a crontab that was read before. Runs no program.
pub fn installed_with(environment: &Environment, crontab: Result<Vec<u8>, EditError>) -> InstalledSchedules {
    use JobScope::{System, User};
    let mut found = InstalledSchedules::default();
    let crontab_of_all = || {
        let text = Text::read(&cron::place(environment, System))?;
        in_crontab(environment, System, &text.contents.unwrap_or_default())
    };
    let answers = [
        (Scheduler::Systemd, in_units(environment, User)),
        (Scheduler::Cron, crontab.and_then(|crontab| in_crontab(environment, User, &crontab))),
        (Scheduler::Launchd, in_agents(environment)),
        (Scheduler::Systemd, in_units(environment, System)),
        (Scheduler::Cron, crontab_of_all()),
    ];
    for (scheduler, answer) in answers {
        match answer {
            Ok(installed) => found.installed.extend(installed),
            Err(error) if error.is_missing_crontab() => {}
            Err(error) => found.unknown.push((scheduler, error)),
        }
    }
    found
}

fn in_units(environment: &Environment, scope: JobScope) -> Result<Option<Installed>, EditError> {
    let Ok(units) = Units::new(environment, scope) else { return Ok(None) };
    let (scheduler, time) = (Scheduler::Systemd, None);
    let installed = |timer| Installed { scope, scheduler, place: TextPlace::File(timer), time };
    Ok(units.enabled()?.map(installed))
}

fn in_crontab(
    environment: &Environment,
    scope: JobScope,
    crontab: &[u8],
) -> Result<Option<Installed>, EditError> {
    let place = cron::place(environment, scope);
    let damaged = |source| EditError::Block { place: place.clone(), source };
    let lines = cron::BLOCK.lines_in(crontab).map_err(damaged)?;
    let time = |lines: Vec<&[u8]>| cron::time_in(&lines.join(&b'\n'));
    Ok(lines.map(time).map(|time| Installed { scope, scheduler: Scheduler::Cron, place, time }))
}

fn in_agents(environment: &Environment) -> Result<Option<Installed>, EditError> {
    let Ok(agent) = Agent::new(environment) else { return Ok(None) };
    let place = TextPlace::File(agent.path);
    let contents = Text::read(&place)?.contents.filter(|text| Agent::is_ours(text));
    let time = contents.map(|text| Agent::time_in(&text));
    let (scope, scheduler) = (JobScope::User, Scheduler::Launchd);
    Ok(time.map(|time| Installed { scope, scheduler, place, time }))
}
