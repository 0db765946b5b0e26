//! Schedules to remove: only what pycstore wrote.

use super::cron;
use super::launchd::{self, Agent};
use super::scheduler::{Scheduler, SchedulerError};
use super::systemd::{self, Units};
use crate::edits::{EditError, EditPlan, Receipt, TextPlace};
use crate::environment::Environment;

/// Schedules to remove.
#[derive(Debug, Default)]
pub struct ScheduleRemoval {
    /// The edits.
    pub plan: EditPlan,
    /// The schedulers that have something to remove.
    pub schedulers: Vec<Scheduler>,
}

impl ScheduleRemoval {
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
        let recorded = receipt.places(&scheduler.to_string()).into_iter().map(|(place, _)| place);
        let added = match scheduler {
            Scheduler::Systemd => {
                let current =
                    Units::new(environment).into_iter().flat_map(|units| [units.timer, units.service]);
                let mut places = current.map(TextPlace::File).chain(recorded);
                places.try_for_each(|place| self.plan.remove_block(&place, &systemd::BLOCK))
            }
            Scheduler::Cron => self.plan.remove_block(&TextPlace::Crontab, &cron::BLOCK),
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
        let stops = self.stops_timer().then(|| "disable and stop pycstore.timer (systemctl --user)".into());
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
        if self.stops_timer() { systemd::disable() } else { Ok(()) }
    }

    /// Tells the schedulers that their files were removed; returns the errors.
    pub fn reload(&self) -> Vec<SchedulerError> {
        let reload = |scheduler: &Scheduler| match scheduler {
            Scheduler::Systemd if systemd::manager_runs() => systemd::reload(),
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
        let temporary = tempfile::tempdir().unwrap();
        let home = temporary.path().canonicalize().unwrap();
        let program = std::env::current_exe().ok();
        let environment = Environment { executable: program, ..Environment::of_test(home.to_str().unwrap()) };
        let job = Job::new(&environment, JobOptions { threads: Some(3), ..JobOptions::default() }).unwrap();
        assert_eq!(job.arguments, ["--quiet", "--threads", "3", "schedule", "run"]);
        let units = Units::new(&environment).unwrap();
        let mut plan = EditPlan::default();
        units.plan(&mut plan, &job).unwrap();
        plan.edits().try_for_each(execute).unwrap();
        let service = std::fs::read_to_string(&units.service).unwrap();
        assert!(service.contains(" --quiet --threads 3 schedule run\n"), "{service}");
        let mut removal = ScheduleRemoval::default();
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
