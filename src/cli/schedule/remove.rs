//! `pycstore schedule remove`, also used by `install`: removes only what pycstore wrote.

use super::ScheduleOptions;
use super::problem::{advise_kept, explained, note_unknown};
use crate::cli::edit::{self, Agreement, Confirm, EditOutcome, agree, carry_out};
use crate::cli::output::complain;
use crate::cli::session::Session;
use clap::ValueEnum;
use pycstore::edits::home_of_user;
use pycstore::exit::Exit;
use pycstore::schedule::{self, Installed, ScheduleRemoval, Scheduler};

/// Runs `pycstore schedule remove`.
pub fn remove(session: &Session, options: &ScheduleOptions) -> anyhow::Result<Exit> {
    home_of_user(&session.environment)?;
    let mut receipt = edit::receipt(session);
    let scope = options.scope();
    let mut removal = ScheduleRemoval::new(scope);
    let mut known = Exit::Done;
    let schedulers = options.with.as_slice();
    let schedulers = if schedulers.is_empty() { Scheduler::value_variants() } else { schedulers };
    for &scheduler in schedulers {
        match removal.add(&session.environment, &receipt, scheduler) {
            Ok(()) => {}
            Err(error) if options.with.is_some() => return Err(explained(error)),
            // Without cron there is no crontab.
            Err(error) if error.is_missing_crontab() => {}
            Err(error) => {
                note_unknown(scheduler, &error);
                known = Exit::Incomplete;
            }
        }
    }
    for installed in schedule::installed(&session.environment).of(scope).installed {
        let Installed { scheduler, .. } = installed;
        if schedulers.contains(&scheduler) && !removal.schedulers.contains(&scheduler) {
            advise_kept(session, &installed);
            known = Exit::Incomplete;
        }
    }
    let confirm = Confirm::from_options(options.dry_run, options.yes);
    let exit = match agree(session, confirm, &[&removal.plan], &removal.lines())? {
        Agreement::Ended(outcome) => exit(&outcome),
        Agreement::Given => {
            let exit = remove_schedules(&removal);
            complain::is_done(receipt.settle());
            exit
        }
    };
    Ok(if exit == Exit::Done { known } else { exit })
}

/// Removes schedules and stops them. Reports failures.
pub fn remove_schedules(removal: &ScheduleRemoval) -> Exit {
    // Before the units are deleted.
    complain::is_done(removal.stop());
    let mut outcome = EditOutcome { edited: removal.lines().len(), ..EditOutcome::default() };
    carry_out(&removal.plan, &mut outcome);
    let errors = if outcome.edited > 0 { removal.reload() } else { Vec::new() };
    complain::problems(&errors);
    if errors.is_empty() { exit(&outcome) } else { Exit::Incomplete }
}

/// Returns the exit code for this outcome of a plan.
pub fn exit(outcome: &EditOutcome) -> Exit {
    match outcome.failures {
        0 => Exit::Done,
        _ if outcome.edited > 0 => Exit::Incomplete,
        _ => Exit::Nothing,
    }
}
