//! Edits of the user's files on the terminal: shown as a diff, confirmed, carried out, with a message for each failure.

use super::consent::{Consent, confirmed};
use super::output::complain::{self, Complaint};
use super::output::diff;
use super::output::path::escaped;
use super::session::Session;
use pycstore::crontab::CrontabError;
use pycstore::edits::{EditError, EditPlan, Receipt, execute};
use std::io::{self, BufWriter, Write};

/// Whether the user confirms a plan before it is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confirm {
    /// The plan is only shown (`--dry-run`).
    DryRun,
    /// The user is asked.
    Ask,
    /// The user confirmed before (`--yes`).
    Confirmed,
}

impl Confirm {
    /// The meaning of `--dry-run` and `--yes`.
    pub fn from_options(dry_run: bool, yes: bool) -> Confirm {
        if dry_run {
            Confirm::DryRun
        } else if yes {
            Confirm::Confirmed
        } else {
            Confirm::Ask
        }
    }
}

/// The result of a plan.
#[derive(Debug, Default)]
pub struct EditOutcome {
    /// The number of changed texts, plus one for each step before them.
    pub edited: usize,
    /// The number of texts that could not be changed.
    pub failures: usize,
    /// Nothing was left to do, or it was a dry run.
    pub is_settled: bool,
    /// The user declined.
    pub is_declined: bool,
}

impl EditOutcome {
    /// Whether everything is as requested.
    pub fn is_done(&self) -> bool {
        self.failures == 0 && !self.is_declined && (self.edited > 0 || self.is_settled)
    }
}

/// The user's answer to plans.
#[derive(Debug)]
pub enum Agreement {
    /// They are to be carried out.
    Given,
    /// They are not: their outcome.
    Ended(EditOutcome),
}

/// Shows a plan, asks, and carries it out. `first` is done before the files are changed; `lines` describe it.
pub fn carry_through(
    session: &Session,
    confirm: Confirm,
    plan: &EditPlan,
    lines: &[String],
    first: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<EditOutcome> {
    if let Agreement::Ended(outcome) = agree(session, confirm, &[plan], lines)? {
        return Ok(outcome);
    }
    first()?;
    let mut outcome = EditOutcome { edited: usize::from(!lines.is_empty()), ..EditOutcome::default() };
    carry_out(plan, &mut outcome);
    Ok(outcome)
}

/// Shows plans as one, and asks; `lines` describe what else is to be done.
pub fn agree(
    session: &Session,
    confirm: Confirm,
    plans: &[&EditPlan],
    lines: &[String],
) -> anyhow::Result<Agreement> {
    let settled = || Agreement::Ended(EditOutcome { is_settled: true, ..EditOutcome::default() });
    let mut out = BufWriter::new(io::stdout().lock());
    if plans.iter().all(|plan| plan.is_empty()) && lines.is_empty() {
        if !session.global.quiet {
            writeln!(out, "nothing to do")?;
        }
        out.flush()?;
        return Ok(settled());
    }
    let consent = match confirm {
        Confirm::DryRun | Confirm::Confirmed => Consent::Given,
        Confirm::Ask => Consent::of_terminal("files would be changed")?,
    };
    if !session.global.quiet || confirm != Confirm::Confirmed {
        let shown = show(session, plans, lines, &mut out).and_then(|()| out.flush());
        match shown {
            // A confirmed plan is carried out even if standard output is closed.
            Err(error) if confirm == Confirm::Confirmed && error.kind() == io::ErrorKind::BrokenPipe => {}
            shown => shown?,
        }
    }
    if confirm == Confirm::DryRun {
        return Ok(settled());
    }
    if !confirmed(consent, "Apply these changes?")? {
        complain::note("nothing was changed");
        return Ok(Agreement::Ended(EditOutcome { is_declined: true, ..EditOutcome::default() }));
    }
    Ok(Agreement::Given)
}

/// Carries out a confirmed plan, and reports the texts that could not be changed.
pub fn carry_out(plan: &EditPlan, outcome: &mut EditOutcome) {
    for edit in plan.edits() {
        match execute(edit) {
            Ok(()) => outcome.edited += 1,
            Err(error) => {
                report_failure(error, Direction::Put);
                outcome.failures += 1;
            }
        }
    }
}

fn show(session: &Session, plans: &[&EditPlan], lines: &[String], out: &mut dyn Write) -> io::Result<()> {
    for line in lines {
        let line = if session.terminal.is_terminal() { escaped(line) } else { line.clone() };
        writeln!(out, "{line}")?;
    }
    for edit in plans.iter().flat_map(|plan| plan.edits()) {
        diff::show(edit, out, &session.terminal, session.style())?;
    }
    Ok(())
}

/// The direction of a change.
#[derive(Debug, Clone, Copy)]
pub enum Direction {
    /// Something is added.
    Put,
    /// It is removed again.
    Undo,
}

/// Reports why a text was not changed, with a hint.
pub fn report_failure(error: EditError, direction: Direction) {
    match hint(&error, direction) {
        Some(hint) => complain::fatal(&Complaint::caused(error, hint).into()),
        None => complain::problem(&error),
    }
}

fn hint(error: &EditError, direction: Direction) -> Option<&'static str> {
    Some(match (error, direction) {
        (EditError::Crontab(CrontabError::NotRun(_)), _) => "install cron, for example: apt install cron",
        (EditError::Crontab(CrontabError::Refused(_)), _) => {
            "ask the administrator to let you use crontab (cron.allow, cron.deny)"
        }
        (EditError::Contents { .. }, Direction::Put) => "edit it by hand; `--print` shows what to add",
        (EditError::Contents { .. } | EditError::Block { .. }, _) => {
            "fix it in an editor, then run this again"
        }
        (EditError::Changed(_), _) => "run this again",
        (EditError::Stranger { .. }, _) => "run this as that user",
        (
            EditError::NoFile(_)
            | EditError::ReadOnly(_)
            | EditError::SeveralNames { .. }
            | EditError::Lost { .. },
            _,
        ) => "edit it by hand; `--print` shows what to add",
        (EditError::Read { .. } | EditError::Write { .. } | EditError::TooLarge(_), _) => return None,
    })
}

/// Reads the receipt. Reports one that cannot be trusted, and starts a new one.
pub fn receipt(session: &Session) -> Receipt {
    let directory = session.environment.state_directory.as_deref();
    Receipt::read(directory).unwrap_or_else(|error| {
        complain::problem(&error);
        Receipt::new(directory)
    })
}
