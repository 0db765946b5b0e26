//! The screens before, during and after a removal: what would be removed, how far it is, and what happened.

use super::keys::{BrowserTask, PressedKey};
use super::rows::owner_name;
use crate::cli::removal::marked::MarkedOutcome;
use pycstore::effect::outcome::{Outcome, RemovedGroup};
use pycstore::units::{Tally, human};
use pycstore::verdict::policy::Spared;
use std::collections::BTreeMap;
use std::path::Path;

/// The word that is typed before a removal that empties the store.
pub const WORD: &str = "yes";

/// A row of the review: what is removed of an owner with a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewRow {
    /// Its files.
    pub tally: Tally,
    /// Their status and its reason.
    pub status: String,
    /// The owner, not escaped.
    pub owner: String,
}

/// What a removal would do, for confirmation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// The rows, the largest first.
    pub rows: Vec<ReviewRow>,
    /// All files.
    pub removed: Tally,
    /// The directories that are removed with them.
    pub directories: u64,
    /// What is to be known before, a sentence a line, not escaped.
    pub notes: Vec<String>,
    /// Whether no entry that Python may still use would be left.
    pub empties_store: bool,
    /// What was typed of [`WORD`].
    pub typed: String,
    /// The first row on the screen.
    pub offset: usize,
    /// Whether it was drawn: a key that was pressed before means something else.
    pub is_drawn: bool,
}

impl Review {
    /// The review of what was found out.
    pub fn new(foreseen: &MarkedOutcome, home: Option<&Path>) -> Review {
        let MarkedOutcome { outcome, troubles, changed, empties_store, .. } = foreseen;
        let mut notes = Vec::new();
        if *changed > 0 {
            let files = human::counted(*changed, "marked file");
            notes.push(format!("{files} changed since the scan and will be kept (r scans again)"));
        }
        notes.extend(kept(outcome));
        notes.extend(troubles.iter().map(ToString::to_string));
        let links = outcome.removed.files > 0 && outcome.removed.disk == 0;
        if links {
            notes.push("nothing is freed: other hard links of the files stay".into());
        }
        Review {
            rows: outcome.groups.iter().map(|group| row(group, home)).collect(),
            removed: outcome.removed,
            directories: outcome.directories,
            notes,
            empties_store: *empties_store,
            typed: String::new(),
            offset: 0,
            is_drawn: false,
        }
    }

    /// Whether the removal may begin.
    pub fn is_confirmed(&self) -> bool {
        !self.removed.is_empty() && (!self.empties_store || self.typed == WORD)
    }

    /// Does what a key says.
    pub fn key(&mut self, key: PressedKey) -> Option<BrowserTask> {
        match key {
            PressedKey::Confirm if self.is_confirmed() && self.is_drawn => {
                return Some(BrowserTask::Remove);
            }
            PressedKey::Escape => return Some(BrowserTask::Drop),
            PressedKey::Interrupt => return Some(BrowserTask::Quit),
            PressedKey::Backspace if self.empties_store => drop(self.typed.pop()),
            PressedKey::Character(character) if self.empties_store && self.typed.len() < 8 => {
                self.typed.push(character);
            }
            PressedKey::Character('q') => return Some(BrowserTask::Drop),
            _ => drop(key.scroll(&mut self.offset, self.rows.len())),
        }
        None
    }
}

fn row(group: &RemovedGroup, home: Option<&Path>) -> ReviewRow {
    ReviewRow {
        tally: group.tally,
        status: group.status.map_or_else(String::new, |status| status.to_string()),
        owner: owner_name(&group.owner, home),
    }
}

/// Sentences about the files that are kept, one for each reason.
fn kept(outcome: &Outcome) -> Vec<String> {
    let mut reasons: BTreeMap<Spared, u64> = BTreeMap::new();
    outcome.skipped.iter().for_each(|skipped| *reasons.entry(skipped.why).or_default() += 1);
    let sentence = |(why, files): (Spared, u64)| {
        format!("{} kept: {}", human::counted(files, "file"), why.explanation())
    };
    reasons.into_iter().map(sentence).collect()
}

/// A removal that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removing {
    /// How many files were removed.
    pub removed: u64,
    /// How many are to be removed.
    pub all: u64,
    /// Whether it was asked to stop.
    pub is_stopping: bool,
}

/// What happened, as lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovalReport {
    /// The lines, not escaped.
    pub lines: Vec<String>,
    /// The first on the screen.
    pub offset: usize,
}

impl RemovalReport {
    /// A message.
    pub fn new(lines: Vec<String>) -> RemovalReport {
        RemovalReport { lines, offset: 0 }
    }

    /// Does what a key says; returns whether the report is to be closed.
    pub fn key(&mut self, key: PressedKey) -> bool {
        key.scroll(&mut self.offset, self.lines.len()).is_none()
    }
}

/// What a removal did that the user has to know besides the sum; empty if all went as it was shown.
pub fn problems(done: &MarkedOutcome) -> Vec<String> {
    let MarkedOutcome { outcome, troubles, changed, .. } = done;
    let mut lines = Vec::new();
    if *changed > 0 {
        lines.push(format!(
            "{} changed since the scan and were kept",
            human::counted(*changed, "marked file")
        ));
    }
    lines.extend(
        outcome.skipped.iter().map(|it| format!("kept {}: {}", it.path.display(), it.why.explanation())),
    );
    let cause = |failure: &pycstore::effect::outcome::Failure| format!("{failure}: {}", failure.source);
    lines.extend(outcome.failures.iter().map(cause));
    lines.extend(troubles.iter().map(ToString::to_string));
    if !outcome.left.is_empty() || outcome.directories_left > 0 {
        lines.push(format!("stopped early: {} left", human::sum(outcome.left, outcome.directories_left)));
    }
    lines
}
