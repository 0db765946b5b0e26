//! `pycstore schedule install`: adds and starts the new schedule, then removes that of another scheduler.

use super::ScheduleOptions;
use super::policy::{NightlyPolicy, job};
use super::problem::{advise_kept, explained, note_unknown};
use super::remove::{exit, remove_schedules};
use super::system;
use crate::cli::edit::{self, Agreement, Confirm, EditOutcome, agree, carry_out};
use crate::cli::output::complain;
use crate::cli::session::Session;
use pycstore::edits::{Receipt, home_of_user};
use pycstore::exit::Exit;
use pycstore::schedule::{self, Installed, JobScope, NewSchedule, ScheduleRemoval, Scheduler};

/// Runs `pycstore schedule install`.
pub fn install(session: &Session, options: &ScheduleOptions) -> anyhow::Result<Exit> {
    let environment = &session.environment;
    home_of_user(environment)?;
    let scope = options.scope();
    let found = schedule::installed(environment).of(scope);
    let scheduler = schedule::choose(options.with, scope, &found.installed);
    let system = options.system.then(|| system::job_options(session, options)).transpose()?;
    let job = job(session, system)?;
    job.check_trust()?;
    let every_night = every_night(session, scope)?;
    let new = NewSchedule::plan(environment, scope, scheduler, &job, &found.installed).map_err(explained)?;
    for (other, error) in found.unknown.iter().filter(|(other, _)| *other != scheduler) {
        note_unknown(*other, error);
    }
    let mut receipt = edit::receipt(session);
    let old = others(session, scope, scheduler, &found.installed, &receipt)?;
    let lines = [&new.lines[..], &old.lines()].concat();
    let confirm = Confirm::from_options(options.dry_run, options.yes);
    let (exit, is_declined) = match agree(session, confirm, &[&new.plan, &old.plan], &lines)? {
        Agreement::Ended(outcome) => (exit(&outcome), outcome.is_declined),
        Agreement::Given => {
            record(session, &new, &mut receipt);
            let exit = switch(session, &new, &old);
            complain::is_done(receipt.settle());
            (exit, false)
        }
    };
    if exit == Exit::Done && !is_declined {
        session.note(&every_night);
        session.note(where_errors_are(scope, scheduler));
    }
    Ok(exit)
}

/// Says what the job does, after its policy was checked.
fn every_night(session: &Session, scope: JobScope) -> anyhow::Result<String> {
    if scope == JobScope::System {
        return Ok("every night, as each user who has a store: that user's policy".into());
    }
    let policy = NightlyPolicy::new(session)?;
    policy.check()?;
    let NightlyPolicy { names, origin, share, user, .. } = policy;
    let user = user.map(|user| format!(" as {user}")).unwrap_or_default();
    let then = if share { ", then share" } else { "" };
    Ok(format!("every night{user}: {}{then} ({origin})", names.join(" ")))
}

/// Plans to remove the schedules of other schedulers: one schedule is enough.
fn others(
    session: &Session,
    scope: JobScope,
    scheduler: Scheduler,
    installed: &[Installed],
    receipt: &Receipt,
) -> anyhow::Result<ScheduleRemoval> {
    let mut old = ScheduleRemoval::new(scope);
    for other in installed.iter().filter(|it| it.scheduler != scheduler) {
        old.add(&session.environment, receipt, other.scheduler).map_err(explained)?;
        if !old.schedulers.contains(&other.scheduler) {
            advise_kept(session, other);
        }
    }
    Ok(old)
}

/// Records the files in the receipt before they are written.
fn record(session: &Session, new: &NewSchedule, receipt: &mut Receipt) {
    for edit in new.plan.edits() {
        receipt.add(&new.scope.name_of(new.scheduler), &edit.place, session.environment.now);
    }
    complain::is_done(receipt.write());
}

/// Adds and starts the new schedule, and removes the old one only if that succeeded.
fn switch(session: &Session, new: &NewSchedule, old: &ScheduleRemoval) -> Exit {
    let mut outcome = EditOutcome::default();
    carry_out(&new.plan, &mut outcome);
    let exit = if outcome.failures > 0 {
        exit(&outcome)
    } else if complain::is_done(new.start(&session.environment)) {
        return remove_schedules(old);
    } else {
        Exit::Incomplete
    };
    for scheduler in &old.schedulers {
        complain::note(&format!("the {scheduler} schedule is kept"));
    }
    exit
}

fn where_errors_are(scope: JobScope, scheduler: Scheduler) -> &'static str {
    match scheduler {
        Scheduler::Systemd if scope == JobScope::System => "errors are logged in `journalctl -u pycstore`",
        Scheduler::Systemd => {
            "errors are logged in `journalctl --user -u pycstore`; the timer waits while you are logged out, \
             unless you run `loginctl enable-linger`"
        }
        Scheduler::Cron => "cron sends errors by mail, if this machine delivers mail",
        Scheduler::Launchd => "errors are logged in ~/Library/Logs/pycstore.log",
    }
}
