//! `pycstore setup --undo`: removes what setup added, in this environment and in the files of the receipt.

use super::{SetupOptions, exit, shown};
use crate::cli::edit::{self, Confirm, Direction, EditOutcome, carry_through, report_failure};
use crate::cli::output::complain::{self, Complaint};
use crate::cli::session::Session;
use pycstore::edits::{EditPlan, Receipt, TextPlace};
use pycstore::exit::Exit;
use pycstore::setup::{self, Target};
use std::path::Path;

/// Plans to undo the targets, asks, and edits the files.
pub(super) fn undo(
    session: &Session,
    options: &SetupOptions,
    targets: &[Target],
    home: &Path,
) -> anyhow::Result<Exit> {
    let mut plan = EditPlan::default();
    let mut receipt = edit::receipt(session);
    let undone = |target: &&Target| plan_undo(session, options, **target, home, &receipt, &mut plan);
    let planned = targets.iter().filter(undone).count();
    let failures = targets.len() - planned;
    let mut outcome = EditOutcome::default();
    if planned > 0 {
        let confirm = Confirm::from_options(options.dry_run, options.yes);
        outcome = carry_through(session, confirm, &plan, &[], || Ok(()))?;
    }
    if outcome.edited > 0 {
        complain::is_done(receipt.settle());
        if targets.iter().any(|target| target.sets_variable()) {
            session.note("running shells keep the variable; to remove it there: unset PYTHONPYCACHEPREFIX");
            session.note("the store is kept; to empty it: pycstore prune --all");
        }
    }
    Ok(exit(&outcome, failures, false))
}

/// Plans to undo a target. Reports what cannot be undone, and returns whether everything can.
fn plan_undo(
    session: &Session,
    options: &SetupOptions,
    target: Target,
    home: &Path,
    receipt: &Receipt,
    plan: &mut EditPlan,
) -> bool {
    if target.is_snippet() {
        let message = format!("{target} is a snippet: setup only printed it and cannot remove it");
        complain::fatal(&Complaint::new(message, "remove it where you added it").into());
        return false;
    }
    let is_named = !options.targets.is_empty();
    let places = match places_to_undo(session, target, home, receipt) {
        Ok(places) => places,
        Err(complaint) => {
            // A program that is not on this machine was not set up.
            if is_named {
                complain::fatal(&complaint.into());
            }
            return !is_named;
        }
    };
    let mut is_planned = true;
    for place in places {
        match setup::undo(plan, target, &place) {
            Err(error) if is_named || !error.is_missing_crontab() => {
                report_failure(error, Direction::Undo);
                is_planned = false;
            }
            _ => {}
        }
    }
    is_planned
}

/// Returns the texts that a target may have changed: those of this environment, and those in the receipt.
fn places_to_undo(
    session: &Session,
    target: Target,
    home: &Path,
    receipt: &Receipt,
) -> Result<Vec<TextPlace>, Complaint> {
    let recorded = receipt.places(&target.to_string());
    let mut places = match setup::places_to_undo(&session.environment, target, home) {
        // The receipt is enough.
        Err(_) if !recorded.is_empty() => Vec::new(),
        places => places?,
    };
    for (place, when) in recorded {
        if places.iter().all(|it| it.real() != place.real()) {
            session.note(&format!("{target}: {}: set up at {when}", shown(session, &place)));
            places.push(place);
        }
    }
    Ok(places)
}
