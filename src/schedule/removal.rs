//! Schedules to remove: only what pycstore wrote.

use super::cron;
use super::launchd::{self, Agent};
use super::scheduler::{JobScope, Scheduler, SchedulerError};
use super::systemd::{self, Units};
use crate::edits::{EditError, EditPlan, Receipt, TextPlace};
use crate::environment::Environment;

/// Schedules to remove.
#[derive(Debug)]
pub struct ScheduleRemoval {
    /// For whom they prune.
    pub scope: JobScope,
    /// The edits.
    pub plan: EditPlan,
    /// The schedulers that have something to remove.
    pub schedulers: Vec<Scheduler>,
}

impl ScheduleRemoval {
    /// Returns a removal of nothing.
    pub fn new(scope: JobScope) -> ScheduleRemoval {
        ScheduleRemoval { scope, plan: EditPlan::default(), schedulers: Vec::new() }
    }

    /// Adds a schedule, at its current place and at those in the receipt.
    ///
    /// # Errors
    /// If a file cannot be read or may not be changed, or our block in it is damaged.
    pub fn add(
        &mut self,
        environment: &Environment,
        receipt: &Receipt,
        scheduler: Scheduler,
    ) -> Result<(), EditError> {
        let before = self.plan.edits().count();
        let recorded = receipt.places(&self.scope.name_of(scheduler)).into_iter().map(|(place, _)| place);
        let added = match scheduler {
            Scheduler::Systemd => {
                let units = Units::new(environment, self.scope);
                let current = units.into_iter().flat_map(|units| [units.timer, units.service]);
                let mut places = current.map(TextPlace::File).chain(recorded);
                places.try_for_each(|place| self.plan.remove_block(&place, &systemd::BLOCK))
            }
            Scheduler::Cron => self.plan.remove_block(&cron::place(environment, self.scope), &cron::BLOCK),
            Scheduler::Launchd if self.scope == JobScope::System => Ok(()),
            Scheduler::Launchd => {
                let current = Agent::new(environment).into_iter().map(|agent| TextPlace::File(agent.path));
                let mut places = current.chain(recorded);
                // A property list that pycstore did not write stays.
                let others =
                    |text: Option<&[u8]>| text.filter(|text| !Agent::is_ours(text)).map(<[u8]>::to_vec);
                places.try_for_each(|place| self.plan.change(&place, |text| Ok(others(text))))
            }
        };
        if self.plan.edits().count() > before {
            self.schedulers.push(scheduler);
        }
        added
    }

    /// Returns what the schedulers are told, for people.
    pub fn lines(&self) -> Vec<String> {
        let line = || format!("disable and stop pycstore.timer ({})", systemd::program(self.scope));
        let stops = self.stops_timer().then(line);
        stops.into_iter().collect()
    }

    /// Whether the timer is removed. One with lines that pycstore did not write stays, and is not stopped.
    fn stops_timer(&self) -> bool {
        let is_timer =
            |place: &TextPlace| matches!(place, TextPlace::File(path) if path.ends_with(systemd::TIMER));
        self.plan.edits().any(|edit| is_timer(&edit.place) && edit.after.is_none())
    }

    /// Stops the timer, before its files are removed.
    ///
    /// # Errors
    /// If systemd refuses.
    pub fn stop(&self) -> Result<(), SchedulerError> {
        if self.stops_timer() { systemd::disable(self.scope) } else { Ok(()) }
    }

    /// Tells the schedulers that their files were removed; returns the errors.
    pub fn reload(&self) -> Vec<SchedulerError> {
        let reload = |scheduler: &Scheduler| match scheduler {
            Scheduler::Systemd if systemd::manager_runs(self.scope) => systemd::reload(self.scope),
            Scheduler::Systemd | Scheduler::Cron => Ok(()),
            Scheduler::Launchd => launchd::unload(),
        };
        self.schedulers.iter().filter_map(|scheduler| reload(scheduler).err()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::job::{Job, JobOptions};
    use super::*;
    use crate::edits::execute;
    use crate::schedule::ScheduleError;

    #[test]
    fn units_are_added_found_and_removed() {
        for scope in [JobScope::User, JobScope::System] {
            adds_finds_and_removes(scope);
        }
    }

    fn adds_finds_and_removes(scope: JobScope) {
        let (_temporary, home) = crate::temporary::directory();
        let program = std::env::current_exe().ok();
        let environment = Environment { executable: program, ..Environment::of_test(home.to_str().unwrap()) };
        let job = Job::new(&environment, JobOptions { threads: Some(3), ..JobOptions::default() }).unwrap();
        assert_eq!(job.arguments, ["--quiet", "--threads", "3", "schedule", "run"]);
        let units = Units::new(&environment, scope).unwrap();
        let mut plan = EditPlan::default();
        units.plan(&mut plan, &job).unwrap();
        plan.edits().try_for_each(execute).unwrap();
        let service = std::fs::read_to_string(&units.service).unwrap();
        assert!(service.contains(" --quiet --threads 3 schedule run\n"), "{service}");
        let mut removal = ScheduleRemoval::new(scope);
        removal.add(&environment, &Receipt::default(), Scheduler::Systemd).unwrap();
        assert_eq!((removal.schedulers.len(), removal.lines().len()), (1, 1));
        removal.plan.edits().try_for_each(execute).unwrap();
        assert!(!units.timer.exists() && !units.service.exists());

        std::fs::create_dir_all(units.service.parent().unwrap()).unwrap();
        std::fs::write(&units.service, "[Service]\n").unwrap();
        let refused = units.plan(&mut EditPlan::default(), &job).unwrap_err();
        assert!(matches!(&refused, ScheduleError::Refused(_)), "{refused}");
    }
}
