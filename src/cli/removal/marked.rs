//! The removal of entries that were marked one by one, by the same steps as a prune: a scan of the directories that have them
//! makes the plan, and the same executor carries it out.
//!
//! It is made twice, first to be shown and then to be carried out, so that memory does not grow with the number of marks
//! ([`Overflow`]). Each time an entry is planned only if it is still the file that was marked, with the same status.

use super::lock::{self, Turn};
use super::scan::{ScanExtent, Scanned};
use super::whole_store::would_empty;
use super::{Judgement, RemovalRun, ResultOutput, RunOptions, Weighing, WhenLocked};
use crate::cli::selection::{Matched, Selection};
use crate::cli::session::Session;
use crate::cli::stop::{Cause, Stop};
use pycstore::effect::expectation::Expectation;
use pycstore::effect::outcome::Outcome;
use pycstore::effect::remove::{Execution, OnRemoved};
use pycstore::exit::Exit;
use pycstore::history::Journal;
use pycstore::json::Mode;
use pycstore::pyc::name;
use pycstore::store::Purpose;
use pycstore::store::scan::Trouble;
use pycstore::verdict::emptied::Leftovers;
use pycstore::verdict::plan::{MOST_HELD, Overflow, PlannedDirectory};
use pycstore::verdict::policy::{ChosenEntry, Policy};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;

/// What the removal of the marked entries does, or would do.
#[derive(Debug)]
pub struct MarkedOutcome {
    /// What is removed, kept and could not be removed.
    pub outcome: Outcome,
    /// What could not be read.
    pub troubles: Vec<Trouble>,
    /// How many marked entries are not planned: each changed or vanished since it was marked.
    pub changed: u64,
    /// Whether no entry that Python may still use would be left in the store.
    pub empties_store: bool,
    /// The exit of the run.
    pub exit: Exit,
}

/// The end of such a run.
#[derive(Debug)]
pub enum MarkedEnd {
    /// Another process holds the lock of the store: nothing was done.
    Locked,
    /// It was stopped before the plan was complete: nothing was done.
    Stopped,
    /// It did, or would do, this.
    Finished(Box<MarkedOutcome>),
}

/// Finds out what the removal of the entries of a selection ([`Selection::of_marks`]) would do, or carries it out.
///
/// `on_removed` is called after each removed file, or for each that would be removed, by several threads. `stop` ends the run early.
///
/// # Errors
/// When the store cannot be opened.
pub fn remove_marked(
    session: &Session,
    selection: &Selection,
    options: &RunOptions,
    stop: &Stop,
    on_removed: &OnRemoved<'_>,
) -> anyhow::Result<MarkedEnd> {
    debug_assert_eq!(options.output, ResultOutput::LeftToCaller);
    let began = Instant::now();
    let mode = if options.dry_run { Mode::DryRun } else { Mode::Real };
    let mut opened = session.open(Purpose::Remove)?;
    opened.stop = stop.clone();
    let journal = Journal::of_store(&session.environment, &opened.store);
    let opened = &opened;
    let when_locked = WhenLocked::Fail;
    let (lock, removed) = Default::default();
    let mut run =
        RemovalRun { session, selection, options, opened, journal, mode, when_locked, began, lock, removed };
    if mode == Mode::Real {
        match lock::take(opened, run.journal.as_ref().ok()) {
            Turn::Ours(lock) => run.lock = Some(lock),
            Turn::Others(locked) => {
                run.skip(locked);
                return Ok(MarkedEnd::Locked);
            }
        }
    }
    run.remove_marked(on_removed)
}

impl RemovalRun<'_> {
    fn remove_marked(mut self, on_removed: &OnRemoved<'_>) -> anyhow::Result<MarkedEnd> {
        let opened = self.opened;
        let (mut policy, _) = self.selection.policy_on(self.session, opened);
        policy.leftovers = Leftovers::Keep;
        policy.scope.mirrored = places(&policy.listed);
        let circumstances = opened.circumstances(self.session.environment.now, &|_, _| false);
        let empties_store =
            self.mode == Mode::DryRun && would_empty(opened, &whole(&policy), circumstances, None);
        let judgement = Judgement {
            policy: &policy,
            circumstances,
            cut_off: None,
            weighing: Weighing::Whole,
            matched: Matched::Unknown,
        };
        let execution = Execution::new(&opened.store, &policy, opened.stop.flag()).reporting(on_removed);
        let expectation = Expectation::default();
        let take = |planned: PlannedDirectory| match self.mode {
            Mode::DryRun => {
                tell(&planned, on_removed);
                expectation.add(&planned);
            }
            Mode::Real => execution.remove(&planned),
        };
        let overflow = Overflow::new(MOST_HELD, &take);
        let Scanned { plan, troubles, look } = self.look(judgement, Vec::new(), Some(&overflow));
        let planned =
            overflow.taken() + plan.directories.iter().map(|it| it.victims.len() as u64).sum::<u64>();
        let kept = plan.skipped.len() as u64;
        let changed = (policy.listed.len() as u64).saturating_sub(planned + kept);
        if look == ScanExtent::Partial && (self.mode == Mode::DryRun || overflow.taken() == 0) {
            return Ok(MarkedEnd::Stopped);
        }
        let outcome = match self.mode {
            Mode::DryRun => {
                plan.directories.iter().for_each(|planned| tell(planned, on_removed));
                expectation.finish(plan)
            }
            Mode::Real => execution.finish(plan, opened.threads(), |_| {}),
        };
        let is_done = outcome.is_complete() && opened.stop.cause() != Some(Cause::Signal);
        let mut exit = Exit::complete_if(crate::cli::output::complain::is_read(&troubles) && is_done);
        if self.mode == Mode::Real {
            let _lock = self.lock.take();
            exit = self.record(&outcome, exit);
        }
        Ok(MarkedEnd::Finished(Box::new(MarkedOutcome { outcome, troubles, changed, empties_store, exit })))
    }
}

/// Tells of all files of a directory that would be removed.
fn tell(planned: &PlannedDirectory, on_removed: &OnRemoved<'_>) {
    planned.victims.iter().for_each(|victim| on_removed(planned, victim));
}

/// The policy without a limit to the scan: whether a store is emptied depends on all of it.
fn whole(policy: &Policy) -> Policy {
    let mut policy = policy.clone();
    policy.scope.mirrored.clear();
    policy
}

/// Maximum number of directories that a scan is limited to: each directory of the store is compared with all of them.
const MOST_PLACES: usize = 64;

/// The directories of sources that have these entries, or a few above them.
fn places(listed: &[ChosenEntry]) -> Vec<PathBuf> {
    let mut places: BTreeSet<PathBuf> = BTreeSet::new();
    let mut last: Option<&[u8]> = None;
    for chosen in listed {
        if last != Some(&chosen.entry.relative) {
            places.insert(name::source_directory(&chosen.entry.relative));
            last = Some(&chosen.entry.relative);
        }
    }
    while places.len() > MOST_PLACES {
        let deepest = places.iter().map(|place| place.components().count()).max().unwrap_or(1);
        let is_deep = |place: &PathBuf| place.components().count() == deepest;
        let (deep, mut others): (BTreeSet<PathBuf>, BTreeSet<PathBuf>) =
            places.into_iter().partition(is_deep);
        others.extend(deep.into_iter().filter_map(|place| place.parent().map(PathBuf::from)));
        places = others;
    }
    places.into_iter().collect()
}
