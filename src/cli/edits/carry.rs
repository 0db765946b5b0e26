//! The way of every plan: shown, agreed to, carried out.

use super::execute::execute;
use super::place::EditError;
use super::plan::Plan;
use crate::cli::consent::{Consent, agreed};
use crate::cli::output::complain::{self, Complaint};
use crate::cli::session::Session;
use std::io::{self, BufWriter, Write};

/// How far a plan goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Shown only.
    DryRun,
    /// Carried out when the user says yes.
    Asking,
    /// Carried out: the user said yes before.
    Agreed,
}

/// What became of a plan.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many texts were changed, and what was done before them.
    pub edited: usize,
    /// How many could not be changed.
    pub failures: usize,
    /// Nothing was left to do, or the user only wanted to look.
    pub is_settled: bool,
    /// The user said no.
    pub is_declined: bool,
}

impl Outcome {
    /// Whether everything is as it was asked for.
    pub fn is_done(&self) -> bool {
        self.failures == 0 && !self.is_declined && (self.edited > 0 || self.is_settled)
    }
}

/// What the user says to plans.
#[derive(Debug)]
pub enum Agreement {
    /// They are to be carried out.
    Given,
    /// They are not: what became of them.
    Ended(Outcome),
}

/// Shows a plan, asks, and carries it out; `first` is what has to be done before the files, described by `lines`.
pub fn carry_through(
    session: &Session,
    manner: Manner,
    plan: &Plan,
    lines: &[String],
    first: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Outcome> {
    if let Agreement::Ended(outcome) = agree(session, manner, &[plan], lines)? {
        return Ok(outcome);
    }
    first()?;
    let mut outcome = Outcome { edited: usize::from(!lines.is_empty()), ..Outcome::default() };
    carry_out(plan, &mut outcome);
    Ok(outcome)
}

/// Shows plans as one, and asks; `lines` describe what else is to be done.
pub fn agree(
    session: &Session,
    manner: Manner,
    plans: &[&Plan],
    lines: &[String],
) -> anyhow::Result<Agreement> {
    let settled = || Agreement::Ended(Outcome { is_settled: true, ..Outcome::default() });
    let mut out = BufWriter::new(io::stdout().lock());
    if plans.iter().all(|plan| plan.is_empty()) && lines.is_empty() {
        if !session.global.quiet {
            writeln!(out, "nothing to do")?;
        }
        out.flush()?;
        return Ok(settled());
    }
    let consent = match manner {
        Manner::DryRun | Manner::Agreed => Consent::Given,
        Manner::Asking => Consent::of_terminal("files would be changed")?,
    };
    if !session.global.quiet || manner != Manner::Agreed {
        let shown = show(session, plans, lines, &mut out).and_then(|()| out.flush());
        match shown {
            // What was agreed to is done, whether or not somebody reads on.
            Err(error) if manner == Manner::Agreed && error.kind() == io::ErrorKind::BrokenPipe => {}
            shown => shown?,
        }
    }
    if manner == Manner::DryRun {
        return Ok(settled());
    }
    if !agreed(consent, "Do this?")? {
        complain::note("nothing was changed");
        return Ok(Agreement::Ended(Outcome { is_declined: true, ..Outcome::default() }));
    }
    Ok(Agreement::Given)
}

/// Carries out a plan that was agreed to, and says what could not be changed.
pub fn carry_out(plan: &Plan, outcome: &mut Outcome) {
    for edit in plan.edits() {
        match execute(edit) {
            Ok(()) => outcome.edited += 1,
            Err(error) => {
                complain_of(error, Direction::Put);
                outcome.failures += 1;
            }
        }
    }
}

fn show(session: &Session, plans: &[&Plan], lines: &[String], out: &mut dyn Write) -> io::Result<()> {
    for line in lines {
        let line =
            if session.terminal.is_terminal() { pycstore::quoting::escaped(line) } else { line.clone() };
        writeln!(out, "{line}")?;
    }
    plans.iter().try_for_each(|plan| plan.show(out, &session.terminal, session.style()))
}

/// How a text was to be changed.
#[derive(Debug, Clone, Copy)]
pub enum Direction {
    /// By putting something there.
    Put,
    /// By taking it back.
    Take,
}

/// Says why a text was not changed, and what to do.
pub fn complain_of(error: EditError, direction: Direction) {
    let hint = match (&error, direction) {
        (EditError::NoCrontab(_), _) => "install cron, for example: apt install cron",
        (EditError::Crontab(_), _) => {
            "ask the administrator of this machine for crontab(1) (cron.allow, cron.deny)"
        }
        (EditError::Contents { .. }, Direction::Put) => {
            "change that by hand, or leave it; `--print` shows what would be added"
        }
        (EditError::Contents { .. } | EditError::Block { .. }, _) => {
            "put it right in an editor, and run this again"
        }
        (EditError::Changed(_), _) => "run it again",
        (EditError::Stranger { .. }, _) => "run it as that user",
        (
            EditError::NoFile(_)
            | EditError::ReadOnly(_)
            | EditError::SeveralNames { .. }
            | EditError::Lost { .. },
            _,
        ) => "edit it by hand; `--print` shows what would be added",
        _ => {
            complain::problem(&error);
            return;
        }
    };
    complain::fatal(&Complaint::caused(error, hint).into());
}
