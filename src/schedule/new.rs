//! A schedule to add: its edits, and what its scheduler is told.

use super::cron;
use super::error::ScheduleError;
use super::installed::Installed;
use super::job::Job;
use super::launchd::{self, Agent};
use super::scheduler::{JobScope, Scheduler, SchedulerError};
use super::systemd::{self, Units};
use crate::complaint::Complaint;
use crate::crontab::DailyTime;
use crate::edits::{EditPlan, Placement};
use crate::environment::Environment;
use crate::host::directory::effective_user;

/// A schedule to add.
#[derive(Debug)]
pub struct NewSchedule {
    /// For whom it prunes.
    pub scope: JobScope,
    /// Its scheduler.
    pub scheduler: Scheduler,
    /// Its edits.
    pub plan: EditPlan,
    /// What its scheduler is told, for people.
    pub lines: Vec<String>,
}

/// Returns the scheduler to use: the one that the user wants, else the one in use, else the one that this machine has.
pub fn choose(wanted: Option<Scheduler>, scope: JobScope, installed: &[Installed]) -> Scheduler {
    let in_use = || installed.first().map(|installed| installed.scheduler);
    let available = || {
        if cfg!(target_os = "macos") {
            Scheduler::Launchd
        } else if systemd::manager_runs(scope) {
            Scheduler::Systemd
        } else {
            Scheduler::Cron
        }
    };
    wanted.or_else(in_use).unwrap_or_else(available)
}

/// Returns the time of an installed schedule, else that of this user on this machine.
pub fn time(installed: &[Installed], scheduler: Scheduler) -> DailyTime {
    let kept = installed.iter().find(|installed| installed.scheduler == scheduler).and_then(|it| it.time);
    // machine-id(5), else the name of the host.
    let files = ["/etc/machine-id", "/proc/sys/kernel/hostname"];
    let machine = || files.iter().find_map(|file| std::fs::read(file).ok()).unwrap_or_default();
    kept.unwrap_or_else(|| cron::nightly_time(&machine(), effective_user()))
}

impl NewSchedule {
    /// Plans a schedule for a job.
    ///
    /// # Errors
    /// If the scheduler does not run here, or its files cannot be changed or have lines that pycstore did not write.
    pub fn plan(
        environment: &Environment,
        scope: JobScope,
        scheduler: Scheduler,
        job: &Job,
        installed: &[Installed],
    ) -> Result<NewSchedule, ScheduleError> {
        let mut new = NewSchedule { scope, scheduler, plan: EditPlan::default(), lines: Vec::new() };
        match scheduler {
            Scheduler::Systemd => {
                systemd::check_manager(scope)?;
                let units = Units::new(environment, scope)?;
                units.plan(&mut new.plan, job)?;
                if !new.plan.is_empty() || units.enabled()?.is_none() {
                    new.lines.push(format!("enable and start pycstore.timer ({})", systemd::program(scope)));
                }
            }
            Scheduler::Cron => {
                let line = cron::line(job, time(installed, scheduler), scope);
                new.plan.insert_block(
                    &cron::place(environment, scope),
                    &cron::BLOCK,
                    &line,
                    Placement::End,
                )?;
            }
            Scheduler::Launchd if scope == JobScope::System => {
                let hint = "install it for each user: pycstore schedule install";
                return Err(Complaint::new("an agent of launchd is for one user", hint).into());
            }
            Scheduler::Launchd => {
                launchd::check_launchctl()?;
                let agent = Agent::new(environment)?;
                let list = agent.property_list(job, time(installed, scheduler))?;
                agent.plan(&mut new.plan, list)?;
                if !new.plan.is_empty() || !launchd::is_loaded() {
                    new.lines.push("load the agent into launchd (launchctl bootstrap)".into());
                }
            }
        }
        Ok(new)
    }

    /// Tells the scheduler of the new schedule, after its files were written.
    ///
    /// # Errors
    /// If the scheduler refuses.
    pub fn start(&self, environment: &Environment) -> Result<(), SchedulerError> {
        match self.scheduler {
            Scheduler::Systemd => systemd::enable(self.scope),
            Scheduler::Launchd => Agent::new(environment).map_or(Ok(()), |agent| agent.load()),
            Scheduler::Cron => Ok(()),
        }
    }
}
