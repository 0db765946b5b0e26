//! `pycstore schedule install`: adds and starts the new schedule, then removes that of another scheduler.

use super::command::{agent, exit, explained, property_list, say_unknown, scheduler, time, units};
use super::job::{self, Job};
use super::remove::Removal;
use super::{Installed, cron, installed, launchd, systemd};
use crate::cli::args::{ScheduleOptions, Scheduler};
use crate::cli::edit::{self, Agreement, Confirm, EditOutcome, agree, carry_out};
use crate::cli::output::complain::{self, Complaint};
use crate::cli::session::Session;
use pycstore::edits::{EditError, EditPlan, Placement, Receipt, Text, TextPlace, home_of_user};
use pycstore::exit::Exit;
use pycstore::host::directory::effective_user;
use pycstore::host::trust;
use std::path::Path;

/// A schedule to add.
struct New {
    scheduler: Scheduler,
    plan: EditPlan,
    /// What is done to its scheduler, for people.
    lines: Vec<String>,
}

/// Runs `pycstore schedule install`.
pub fn install(session: &Session, options: &ScheduleOptions) -> anyhow::Result<Exit> {
    home_of_user(&session.environment)?;
    let found = installed(&session.environment);
    let scheduler = scheduler(options, &found.installed);
    let job = Job::of(session)?;
    runs_nobody_elses(&job)?;
    let (names, origin) = job::described(session)?;
    job::leaves_something(session)?;
    let new = planned(session, scheduler, &job, &found.installed)?;
    found.unknown.iter().filter(|(kind, _)| *kind != scheduler).for_each(say_unknown);
    // One schedule is enough: those of other schedulers are removed.
    let (mut old, mut receipt) = (Removal::default(), edit::receipt(session));
    for other in found.installed.iter().filter(|it| it.scheduler != scheduler) {
        old.take(session, &receipt, other.scheduler).map_err(explained)?;
        if !old.kinds.contains(&other.scheduler) {
            let hint = "systemctl --user disable --now pycstore.timer";
            complain::advise(&format!("{} was put in place by hand, and stays", other.place), hint);
        }
    }
    let lines = [&new.lines[..], &old.lines()].concat();
    let (exit, is_declined) = match agree(
        session,
        Confirm::from_options(options.dry_run, options.yes),
        &[&new.plan, &old.plan],
        &lines,
    )? {
        Agreement::Ended(outcome) => (exit(&outcome), outcome.is_declined),
        Agreement::Given => {
            note_places(session, &new, &mut receipt);
            let exit = switch(session, &new, &old)?;
            edit::say_unrecorded(receipt.settle());
            (exit, false)
        }
    };
    if exit == Exit::Done && !is_declined && !session.global.quiet {
        complain::note(&format!("each night: {} ({origin})", names.join(" ")));
        complain::note(where_troubles_are(scheduler));
    }
    Ok(exit)
}

/// Plans a schedule with this scheduler.
fn planned(session: &Session, scheduler: Scheduler, job: &Job, found: &[Installed]) -> anyhow::Result<New> {
    let mut new = New { scheduler, plan: EditPlan::default(), lines: Vec::new() };
    match scheduler {
        Scheduler::Systemd => {
            if !systemd::manager_runs() {
                return Err(Complaint::new(
                    "no systemd user manager runs here",
                    "pycstore schedule install --with cron; or --print --with systemd, and enable the timer yourself",
                )
                .into());
            }
            let units = units(session)?;
            put_unit(&mut new.plan, &units.service, &systemd::service(job))?;
            put_unit(&mut new.plan, &units.timer, &systemd::timer())?;
            if !new.plan.is_empty() || !units.are_enabled()? {
                new.lines.push("enable and start pycstore.timer (systemctl --user)".into());
            }
        }
        Scheduler::Cron => {
            let line = cron::line(job, time(found, scheduler));
            new.plan.put(&TextPlace::Crontab, &cron::BLOCK, &line, Placement::End).map_err(explained)?;
        }
        Scheduler::Launchd => {
            if !cfg!(target_os = "macos") {
                let hint = "pycstore schedule install --print --with launchd shows its property list";
                return Err(Complaint::new("launchd exists only on macOS", hint).into());
            }
            let (place, home) = agent(session)?;
            put_agent(&mut new.plan, &place, property_list(job, time(found, scheduler), &home)?)?;
        }
    }
    Ok(new)
}

/// Adds one of our units to a plan. Refuses a unit that we did not write, and one to which somebody added lines: a second
/// `[Service]` section would change what it does.
fn put_unit(plan: &mut EditPlan, path: &Path, lines: &[u8]) -> anyhow::Result<()> {
    let place = TextPlace::File(path.to_path_buf());
    let text = Text::read(&place)?.contents;
    if text.as_deref().is_some_and(systemd::is_others) {
        let (why, hint) = match text.as_deref().is_some_and(systemd::is_ours) {
            false => (
                "pycstore did not write it",
                "rename it, or schedule by cron: pycstore schedule install --with cron",
            ),
            true => (
                "it has lines that pycstore did not write",
                "move them to a drop-in: systemctl --user edit pycstore.service (or pycstore.timer)",
            ),
        };
        return Err(Complaint::caused(EditError::Contents { place, why: why.into() }, hint).into());
    }
    Ok(plan.put(&place, &systemd::BLOCK, lines, Placement::End)?)
}

/// Adds our agent to a plan. Refuses a property list that we did not write.
fn put_agent(plan: &mut EditPlan, path: &Path, list: Vec<u8>) -> anyhow::Result<()> {
    let place = TextPlace::File(path.to_path_buf());
    let not_ours = || EditError::Contents { place: place.clone(), why: "pycstore did not write it".into() };
    plan.change(&place, |text| match text {
        Some(text) if !launchd::is_ours(text) => Err(not_ours()),
        _ => Ok(Some(list)),
    })
    .map_err(|error| Complaint::caused(error, "rename it").into())
}

/// Records the files in the receipt before they are written.
fn note_places(session: &Session, new: &New, receipt: &mut Receipt) {
    for edit in new.plan.edits() {
        receipt.add(new.scheduler.name(), &edit.place, session.environment.now);
    }
    edit::say_unrecorded(receipt.write());
}

/// Adds and starts the new schedule, and removes the old one only if that succeeded.
fn switch(session: &Session, new: &New, old: &Removal) -> anyhow::Result<Exit> {
    let mut outcome = EditOutcome::default();
    carry_out(&new.plan, &mut outcome);
    let started = match (outcome.failures, new.scheduler) {
        (1.., _) => Err(None),
        (0, Scheduler::Systemd) => systemd::enable().map_err(Some),
        (0, Scheduler::Launchd) => launchd::load(&agent(session)?.0).map_err(Some),
        (0, Scheduler::Cron) => Ok(()),
    };
    let Err(why) = started else { return Ok(old.carry_out()) };
    if let Some(why) = &why {
        complain::note(why);
    }
    for kind in &old.kinds {
        complain::note(&format!("the schedule by {} stays", kind.name()));
    }
    Ok(if why.is_some() { Exit::Incomplete } else { exit(&outcome) })
}

fn where_troubles_are(scheduler: Scheduler) -> &'static str {
    match scheduler {
        Scheduler::Systemd => {
            "what goes wrong is in `journalctl --user -u pycstore`; while you are logged out it waits, unless \
             `loginctl enable-linger` keeps your manager running"
        }
        Scheduler::Cron => "what goes wrong cron sends you by mail, where mail is delivered on this machine",
        Scheduler::Launchd => "what goes wrong is in ~/Library/Logs/pycstore.log",
    }
}

/// As root, checks that no other user may change the program that would run each night, and what it would read and write.
fn runs_nobody_elses(job: &Job) -> Result<(), Complaint> {
    let user = effective_user();
    if user != 0 {
        return Ok(());
    }
    let configuration =
        job.arguments.iter().skip_while(|argument| *argument != "--config").nth(1).map(Path::new);
    // A device such as `/dev/null` is harmless, although everyone may write to it.
    let configuration = configuration.filter(|path| path.is_file());
    let directories = job.variables.iter().map(|(_, path)| path.as_path());
    let hint = "put it where only root may write, such as /usr/local/bin, and run it from there";
    let used_hint = "point XDG_CONFIG_HOME, XDG_STATE_HOME and --config at paths that only root can change";
    let used = directories.chain(configuration).map(|path| ("use", path, used_hint));
    for (verb, path, hint) in std::iter::once(("run", job.program.as_path(), hint)).chain(used) {
        if let Some(stranger) = trust::stranger(&trust::ways(path), user) {
            let message = format!("refused: root would {verb} {} each night, and {stranger}", path.display());
            return Err(Complaint::new(message, hint));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_somebody_else_wrote_is_left_alone() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("pycstore.schedule.plist");
        let job = Job { program: "/bin/pycstore".into(), arguments: Vec::new(), variables: Vec::new() };
        let time = cron::Time { hour: 3, minute: 0 };
        let list = property_list(&job, time, Path::new("/home/me")).unwrap();
        put_agent(&mut EditPlan::default(), &path, list.clone()).unwrap();
        let theirs = [
            "",
            "<plist><dict/></plist>",
            // Ours by a remark of theirs.
            "<plist><dict/></plist><!-- like what was made by `pycstore schedule install` -->",
            "<plist/>\n<!-- made by `pycstore schedule install` -->\n",
        ];
        for text in theirs {
            std::fs::write(&path, text).unwrap();
            let told = put_agent(&mut EditPlan::default(), &path, list.clone()).unwrap_err().to_string();
            assert!(told.ends_with("pycstore did not write it"), "{told}");
        }
        std::fs::write(&path, &list).unwrap();
        put_agent(&mut EditPlan::default(), &path, Vec::new()).unwrap();
    }
}
