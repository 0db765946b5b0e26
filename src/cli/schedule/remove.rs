//! `pycstore schedule remove`, also used by `install`: removes only what we wrote.

use super::command::{exit, explained, say_unknown, worse};
use super::{cron, launchd, systemd};
use crate::cli::args::{ScheduleOptions, Scheduler};
use crate::cli::edit::{self, Agreement, Confirm, EditOutcome, agree, carry_out};
use crate::cli::output::complain;
use crate::cli::session::Session;
use pycstore::edits::{EditError, EditPlan, Receipt, TextPlace, home_of_user};
use pycstore::exit::Exit;

/// Schedules to remove.
#[derive(Debug, Default)]
pub struct Removal {
    /// The edits.
    pub plan: EditPlan,
    /// The schedulers that have something to remove.
    pub kinds: Vec<Scheduler>,
}

/// Runs `pycstore schedule remove`.
pub fn remove(session: &Session, options: &ScheduleOptions) -> anyhow::Result<Exit> {
    home_of_user(&session.environment)?;
    let kinds = match options.with {
        Some(scheduler) => vec![scheduler],
        None => vec![Scheduler::Systemd, Scheduler::Cron, Scheduler::Launchd],
    };
    let (mut removal, mut receipt) = (Removal::default(), edit::receipt(session));
    let mut known = Exit::Done;
    for kind in kinds {
        match removal.take(session, &receipt, kind) {
            Ok(()) => {}
            Err(error) if options.with.is_some() => return Err(explained(error)),
            // Without cron there is no crontab.
            Err(error) if error.is_missing_crontab() => {}
            Err(error) => {
                say_unknown(&(kind, error));
                known = Exit::Incomplete;
            }
        }
    }
    let exit = match agree(
        session,
        Confirm::from_options(options.dry_run, options.yes),
        &[&removal.plan],
        &removal.lines(),
    )? {
        Agreement::Ended(outcome) => exit(&outcome),
        Agreement::Given => {
            let exit = removal.carry_out();
            edit::say_unrecorded(receipt.settle());
            exit
        }
    };
    Ok(if exit == Exit::Done { known } else { exit })
}

impl Removal {
    /// Adds a schedule, at its current place and at those in the receipt.
    ///
    /// # Errors
    /// When a file cannot be read or may not be changed, or our block in it is damaged.
    pub fn take(&mut self, session: &Session, receipt: &Receipt, kind: Scheduler) -> Result<(), EditError> {
        let before = self.plan.edits().count();
        let noted = receipt.places(kind.name()).into_iter().map(|(place, _)| place);
        let taken = match kind {
            Scheduler::Systemd => {
                let units = systemd::Units::of(&session.environment);
                let today = units.into_iter().flat_map(|units| [units.timer, units.service]);
                let mut places = today.map(TextPlace::File).chain(noted);
                places.try_for_each(|place| self.plan.take(&place, &systemd::BLOCK))
            }
            Scheduler::Cron => self.plan.take(&TextPlace::Crontab, &cron::BLOCK),
            Scheduler::Launchd => {
                let mut places =
                    launchd::place(&session.environment).map(TextPlace::File).into_iter().chain(noted);
                places.try_for_each(|place| {
                    self.plan.change(&place, |text| {
                        // Somebody else's stays.
                        Ok(text.filter(|text| !launchd::is_ours(text)).map(<[u8]>::to_vec))
                    })
                })
            }
        };
        if self.plan.edits().count() > before {
            self.kinds.push(kind);
        }
        taken
    }

    /// What is done to the schedulers, for people.
    pub fn lines(&self) -> Vec<String> {
        let stops = self.stops_timer().then(|| "disable and stop pycstore.timer (systemctl --user)".into());
        stops.into_iter().collect()
    }

    /// Whether the timer is removed. One with lines that we did not write is kept, and is not stopped.
    fn stops_timer(&self) -> bool {
        let is_timer =
            |place: &TextPlace| matches!(place, TextPlace::File(path) if path.ends_with(systemd::TIMER));
        self.plan.edits().any(|edit| is_timer(&edit.place) && edit.after.is_none())
    }

    /// Removes the schedules, and reloads their schedulers.
    pub fn carry_out(&self) -> Exit {
        // Before the units are deleted.
        if self.stops_timer()
            && let Err(why) = systemd::disable()
        {
            complain::note(&why);
        }
        let mut outcome = EditOutcome { edited: self.lines().len(), ..EditOutcome::default() };
        carry_out(&self.plan, &mut outcome);
        let exit = exit(&outcome);
        if outcome.edited == 0 {
            return exit;
        }
        self.kinds.iter().fold(exit, |exit, kind| {
            worse(
                exit,
                match kind {
                    Scheduler::Systemd if systemd::manager_runs() => systemd::reload(),
                    Scheduler::Systemd | Scheduler::Cron => Ok(()),
                    Scheduler::Launchd => launchd::unload(),
                },
            )
        })
    }
}
