//! One run that removes entries of the store: that of `prune`, `forget` and `verify --fix`.
//!
//! * `lock`: one prune at a time.
//! * `whole_store`: whether a run would leave nothing.
//! * `scan`: finds the entries over the budget, and those to remove.
//! * `record`: the history and the metrics.
//! * `list`: each path, as soon as it is known.
//! * `show`, `document`: the result, as text and as JSON.
//! * `marked`: a run on entries that were marked one by one, whose result `browse` shows.

mod document;
mod list;
pub(super) mod lock;
pub(super) mod marked;
mod record;
mod scan;
mod show;
mod whole_store;

use super::consent::{Consent, confirmed};
use super::output::complain;
use super::selection::{Matched, Selection};
use super::session::{Opened, Session};
use super::stop::Cause;
use super::supervision;
use clap::Args;
use list::RemovalList;
use lock::{PruneLock, Turn};
use pycstore::effect::expectation::Expectation;
use pycstore::effect::outcome::Outcome;
use pycstore::effect::remove::Execution;
use pycstore::exit::Exit;
use pycstore::history::{Journal, JournalError};
use pycstore::json::Mode;
use pycstore::pyc::Loads;
use pycstore::source::interpreter::Interpreters;
use pycstore::store::Purpose;
use pycstore::store::scan::Trouble;
use pycstore::units::{Age, human};
use pycstore::verdict::budget::CutOff;
use pycstore::verdict::emptied::Leftovers;
use pycstore::verdict::plan::{MOST_HELD, Overflow, Plan, PlannedDirectory};
use pycstore::verdict::policy::{Circumstances, Clock, Policy, Selector};
use pycstore::verdict::victim::Victim;
use record::RemovedSoFar;
pub(super) use scan::both;
use scan::{ScanExtent, Scanned};
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use whole_store::would_empty;

/// Options of a run that removes entries.
#[derive(Debug, Clone, Default, Args)]
pub struct RunOptions {
    /// Show what would be removed, and remove nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Print each removed file and directory on one line, with its status and reason, instead of sums
    #[arg(long, conflicts_with = "json")]
    pub list: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// Stop cleanly after DURATION, at most half of which is spent on the scan, and report what is left. If a file system does
    /// not respond, pycstore records the run and ends five seconds later
    #[arg(long, value_name = "DURATION")]
    pub max_runtime: Option<Age>,
    /// Write metrics of the store and of this run to FILE (*.prom), for the textfile collector of Prometheus' node
    /// exporter, also if the run fails. The store is counted after the run. The owner of the store must be able to
    /// write to FILE's directory, even if root runs the command
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub metrics: Option<PathBuf>,
    /// Which command prints the result.
    #[arg(skip)]
    pub output: ResultOutput,
}

/// What a removing run prints on standard output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ResultOutput {
    /// Its result.
    #[default]
    Printed,
    /// The command that started it prints its own.
    LeftToCaller,
    /// It prints the metrics instead, for the process that started it.
    Metrics,
}

/// The result of a run that does nothing because another prune is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenLocked {
    /// Success: the other prune removes the same.
    Skip,
    /// Failure: the named entries still exist.
    Fail,
}

/// How a removing run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    /// It did nothing: it is not due, another process holds the lock, or the user declined.
    Skipped(Exit),
    /// It removed what it found, or part of it.
    Finished(Exit),
}

impl RunEnd {
    pub fn exit(self) -> Exit {
        let (RunEnd::Skipped(exit) | RunEnd::Finished(exit)) = self;
        exit
    }
}

/// Carries out a selection. A run that would empty the whole store needs `consent`, or an answer on the terminal.
pub fn carry_out(
    session: &Session,
    selection: &Selection,
    options: &RunOptions,
    consent: Consent,
    when_locked: WhenLocked,
) -> anyhow::Result<RunEnd> {
    let began = Instant::now();
    let mode = if options.dry_run { Mode::DryRun } else { Mode::Real };
    let needs_consent = mode == Mode::Real && consent == Consent::ToBeAsked;
    let takes_all = selection.policy.selectors.contains(&Selector::All);
    let consent = if needs_consent && takes_all {
        Consent::of_terminal("--all removes every entry")?
    } else {
        Consent::Given
    };
    if let Some(age) = selection.intervals.max_runtime {
        supervision::begin()?;
        session.stop.limit(age);
    }
    let opened = session.open(match mode {
        Mode::DryRun => Purpose::Look,
        Mode::Real => Purpose::Remove,
    })?;
    let leftovers = match session.note_shared(&opened.store) {
        Some(_) => Leftovers::Keep,
        None => selection.policy.leftovers,
    };
    let journal = Journal::of_store(&session.environment, &opened.store);
    let may_empty = needs_consent && !takes_all && selection.policy.may_empty_a_store();
    let opened = &opened;
    let (lock, removed) = Default::default();
    let run =
        RemovalRun { session, selection, options, opened, journal, mode, when_locked, began, lock, removed };
    if mode == Mode::Real && !record::is_due(session, selection, &run.journal) {
        return Ok(RunEnd::Skipped(run.postpone()));
    }
    run.judge(consent, may_empty, leftovers)
}

/// One run on an open store.
struct RemovalRun<'a> {
    session: &'a Session,
    selection: &'a Selection,
    options: &'a RunOptions,
    opened: &'a Opened,
    journal: Result<Journal, JournalError>,
    mode: Mode,
    when_locked: WhenLocked,
    began: Instant,
    lock: Option<PruneLock>,
    removed: Arc<RemovedSoFar>,
}

/// The facts that the verdict on entries depends on.
#[derive(Clone, Copy)]
struct Judgement<'a> {
    policy: &'a Policy,
    circumstances: Circumstances<'a>,
    cut_off: Option<&'a CutOff>,
    /// Whether the budget was computed, and the search for remaining entries was completed.
    weighing: Weighing,
    /// Whether the paths of the selection match anything.
    matched: Matched,
}

/// Whether the scans before the plan were complete.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Weighing {
    Whole,
    Stopped,
}

impl RemovalRun<'_> {
    /// Gathers what the verdicts depend on, and removes. `may_empty`: the run may empty the store, and consent was
    /// not given.
    fn judge(
        mut self,
        mut consent: Consent,
        may_empty: bool,
        leftovers: Leftovers,
    ) -> anyhow::Result<RunEnd> {
        // The lock is not held while a question is open: the nightly run must not wait for the answer.
        let may_ask = consent == Consent::ToBeAsked || (may_empty && io::stdin().is_terminal());
        if !may_ask && let Some(exit) = self.begin()? {
            return Ok(RunEnd::Skipped(exit));
        }
        if let Some(age) = self.selection.intervals.max_runtime {
            self.opened.stop.after(age);
        }
        let (policy, matched) = self.selection.policy_on(self.session, self.opened);
        let policy = Policy { leftovers, ..policy };
        let interpreters = self.interpreters(&policy);
        let is_dead = |tag: &str, magic| {
            interpreters.as_ref().is_some_and(|interpreters| interpreters.loads(tag, magic) == Loads::No)
        };
        let circumstances = self.opened.circumstances(self.session.environment.now, &is_dead);
        self.note_inaccurate_last_use(&policy, &circumstances);
        let mut cut_off = self.weigh(&policy, circumstances);
        let weighed =
            cut_off.as_mut().map(|cut_off| std::mem::take(&mut cut_off.troubles)).unwrap_or_default();
        let cut_off = cut_off.as_ref();
        if may_empty && would_empty(self.opened, &policy, circumstances, cut_off) {
            let names = self.selection.names.join(", ");
            consent = Consent::of_terminal(&format!("this removes every entry of the store ({names})"))?;
        }
        if may_ask
            && consent == Consent::Given
            && let Some(exit) = self.begin()?
        {
            return Ok(RunEnd::Skipped(exit));
        }
        let is_cut = self.opened.stop.is_scan_stopped() || self.opened.store.is_lost();
        let is_stopped = (cut_off.is_some() || may_empty) && is_cut;
        let weighing = if is_stopped { Weighing::Stopped } else { Weighing::Whole };
        let judgement = Judgement { policy: &policy, circumstances, cut_off, weighing, matched };
        self.remove(judgement, weighed, consent)
    }

    /// Takes the lock of a run that removes. Until now a signal ended the process, because nothing was removed;
    /// from now on it asks to stop. Returns the exit code if another process holds the lock.
    fn begin(&mut self) -> anyhow::Result<Option<Exit>> {
        if self.mode == Mode::Real {
            match lock::take(self.opened, self.journal.as_ref().ok()) {
                Turn::Ours(lock) => self.lock = Some(lock),
                Turn::Others(locked) => {
                    self.opened.stop.begin_record();
                    return Ok(Some(self.skip(locked)));
                }
            }
            self.record_overrun();
        }
        self.opened.stop.on_signals()?;
        Ok(None)
    }

    /// Plans the removal, removes the entries or lists them (dry run), and records the run.
    fn remove(
        mut self,
        judgement: Judgement<'_>,
        weighed: Vec<Trouble>,
        consent: Consent,
    ) -> anyhow::Result<RunEnd> {
        let (opened, mode, policy) = (self.opened, self.mode, judgement.policy);
        let list = RemovalList::new(self.session, &opened.store, self.options.list, &self.removed);
        let on_removed = |planned: &PlannedDirectory, victim: &Victim| list.file(planned, victim);
        let execution = Execution::new(&opened.store, policy, opened.stop.flag()).reporting(&on_removed);
        let expectation = Expectation::default();
        let take = |planned: PlannedDirectory| match mode {
            Mode::DryRun => {
                list.files(&planned);
                expectation.add(&planned);
            }
            Mode::Real => execution.remove(&planned),
        };
        let overflow = Overflow::new(MOST_HELD, &take);
        // A user who is asked is shown the whole plan first: nothing is removed while it is made.
        let overflow = (consent == Consent::Given).then_some(&overflow);
        let Scanned { mut plan, mut troubles, look } = self.look(judgement, weighed, overflow);
        if plan.in_scope == 0 && look == ScanExtent::Whole {
            self.note_nothing_in_scope(judgement);
        }
        let mut is_previewed = false;
        if consent == Consent::ToBeAsked && look == ScanExtent::Whole {
            is_previewed = show::preview(self.session, self.options, &plan)?;
            if !confirm(opened, &plan)? {
                return Ok(RunEnd::Skipped(Exit::Done));
            }
            if let Some(exit) = self.begin()? {
                return Ok(RunEnd::Skipped(exit));
            }
        }
        let is_stopped = opened.stop.cause().is_some() || opened.store.is_lost();
        let has_begun = overflow.is_some_and(|overflow| overflow.taken() > 0);
        // A partial scan cannot decide what a budget removes, but it can decide about each entry that it read.
        let removes_nothing = judgement.weighing == Weighing::Stopped
            || consent == Consent::ToBeAsked
            || (is_stopped && !has_begun);
        let mut outcome = match mode {
            _ if look == ScanExtent::Partial && removes_nothing => Outcome::default(),
            Mode::DryRun => {
                self.check_contents(&mut plan);
                troubles = both(troubles, std::mem::take(&mut plan.troubles));
                plan.directories.iter().for_each(|planned| list.files(planned));
                expectation.finish(plan)
            }
            Mode::Real => execution.finish(plan, opened.threads(), self.session.progress("removed")),
        };
        if is_previewed {
            (outcome.groups, outcome.held_back) = Default::default();
        }
        let partly = (look == ScanExtent::Partial).then(|| partial_note(removes_nothing, is_stopped));
        Ok(RunEnd::Finished(self.finish(&outcome, &troubles, partly, list)))
    }

    /// Records the run, then shows it: a reader may be slow, or end this process.
    fn finish(
        mut self,
        outcome: &Outcome,
        troubles: &[Trouble],
        partly: Option<&str>,
        list: RemovalList<'_>,
    ) -> Exit {
        let _lock = self.lock.take();
        let (session, options, opened, mode) = (self.session, self.options, self.opened, self.mode);
        // A signal makes the run incomplete; a time limit does not, because it was requested.
        let is_done = outcome.is_complete() && opened.stop.cause() != Some(Cause::Signal);
        let mut exit = Exit::complete_if(complain::is_read(troubles) && is_done);
        if mode == Mode::Real {
            exit = self.record(outcome, exit);
        }
        opened.stop.end_work();
        if let Some(partly) = partly {
            complain::note(partly);
        }
        let look = if partly.is_some() { ScanExtent::Partial } else { ScanExtent::Whole };
        // The removal is complete: output that cannot be written is one more problem to report.
        let written = list.finish(&outcome.emptied);
        let written = written.and_then(|()| show::show(session, options, opened, outcome, mode, look));
        let is_written = complain::is_written(written);
        show::explain(outcome);
        complain::troubles(troubles);
        if is_written { exit } else { Exit::Incomplete }
    }

    /// The interpreters, if the policy depends on them.
    fn interpreters(&self, policy: &Policy) -> Option<Interpreters> {
        let found = policy.asks_interpreters().then(|| self.session.interpreters_with(self.opened))?;
        if policy.selectors.contains(&Selector::DeadInterpreters) {
            complain::interpreters(&found);
        }
        Some(found)
    }

    /// Notes that the last use is inaccurate, if the policy depends on it.
    fn note_inaccurate_last_use(&self, policy: &Policy, circumstances: &Circumstances<'_>) {
        let needs_last_use = policy.unused_for.is_some() || !policy.budget.is_unlimited();
        if needs_last_use && circumstances.clock == Clock::Modification {
            self.session.note(
                "this mount does not record access times: the time of compilation counts as the last use",
            );
        }
    }

    fn note_nothing_in_scope(&self, judgement: Judgement<'_>) {
        if !judgement.policy.scope.is_everything() && judgement.matched == Matched::Unknown {
            self.selection.note_nothing_in_scope(self.session);
        }
    }
}

/// Asks on the terminal; says so if the answer is no.
fn confirm(opened: &Opened, plan: &Plan) -> anyhow::Result<bool> {
    let tally = plan.tally();
    let (files, size) = (human::counted(tally.files, "file"), human::size(tally.disk));
    let store = pycstore::quoting::escaped(&opened.store.path().to_string_lossy());
    let is_confirmed = confirmed(Consent::ToBeAsked, &format!("Remove {files} ({size}) from {store}?"))?;
    if !is_confirmed {
        complain::note("nothing was removed");
    }
    Ok(is_confirmed)
}

/// The message about a run that scanned a part of the store.
fn partial_note(removes_nothing: bool, is_stopped: bool) -> &'static str {
    match (removes_nothing, is_stopped) {
        (true, _) => "stopped before the scan was complete: nothing was removed",
        (false, true) => {
            "stopped before the scan was complete: the remaining files are left for the next run"
        }
        (false, false) => {
            "the scan took half of the maximum runtime: the remaining files are left for the next run"
        }
    }
}
