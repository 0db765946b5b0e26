//! Asks the user to confirm a plan that was shown.

use super::output::complain::{self, Complaint};
use super::stop;
use anyhow::Context;
use std::io::{self, BufRead, IsTerminal};

/// How the user agrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// By `--yes`.
    Given,
    /// By answering on the terminal.
    ToBeAsked,
}

impl Consent {
    /// The meaning of `--yes`.
    pub fn from_option(yes: bool) -> Consent {
        if yes { Consent::Given } else { Consent::ToBeAsked }
    }

    /// Without a terminal, fails before anything is shown. `what` is what would be done: `files would be changed`.
    ///
    /// # Errors
    /// When the user cannot be asked.
    pub fn of_terminal(what: &str) -> Result<Consent, Complaint> {
        if io::stdin().is_terminal() {
            return Ok(Consent::ToBeAsked);
        }
        let hint = "add --yes, or preview with --dry-run";
        Err(Complaint::new(format!("{what}: not a terminal, cannot ask"), hint))
    }
}

/// Returns whether the user agrees; asks on the terminal unless `--yes` was given.
///
/// # Errors
/// If no answer can be read.
pub fn confirmed(consent: Consent, question: &str) -> anyhow::Result<bool> {
    if consent == Consent::Given {
        return Ok(true);
    }
    complain::ask(&format!("{question} [y/N]"))?;
    let mut answer = String::new();
    stop::asking(|| io::stdin().lock().read_line(&mut answer)).context("cannot read the answer")?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
