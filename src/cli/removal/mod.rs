//! One run that removes entries of the store: that of `prune`, `forget` and `verify --fix`.
//!
//! * `lock`: one prune at a time.
//! * `whole_store`: whether a run would leave nothing.
//! * `record`: the history and the metrics.
//! * `show`, `document`: the result, for people and as JSON.

mod document;
mod lock;
mod record;
mod show;
mod whole_store;

use super::consent::{Consent, Yes, agreed};
use super::output::complain;
use super::output::json::Mode;
use super::selection::{Matched, Selection, reclaimable};
use super::session::{Opened, Session};
use super::stop::Cause;
use clap::Args;
use lock::{PruneLock, Turn};
use pycstore::effect::outcome::Outcome;
use pycstore::effect::remove::{Execution, Expectation};
use pycstore::exit::Exit;
use pycstore::history::{Journal, JournalError};
use pycstore::pyc::Loads;
use pycstore::source::interpreter::Interpreters;
use pycstore::store::Purpose;
use pycstore::store::scan::{Question, Scan, Trouble};
use pycstore::units::{Age, human};
use pycstore::verdict::budget::{CutOff, Weigher};
use pycstore::verdict::census::{Census, Counting};
use pycstore::verdict::emptied::Leftovers;
use pycstore::verdict::judge::Judge;
use pycstore::verdict::plan::{MOST_HELD, Overflow, Plan, PlannedDirectory, Planner};
use pycstore::verdict::policy::{Budget, Circumstances, Clock, Policy, Selector};
use pycstore::verdict::status::UncheckedHashes;
use pycstore::verdict::usage::CountedLinks;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::Instant;
use whole_store::would_empty;

/// How a removing run goes.
#[derive(Debug, Clone, Default, Args)]
pub struct RunOptions {
    /// Show what would be removed, and remove nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// Stop cleanly after AGE, at most half of which is spent on the scan, and report what is left
    #[arg(long, value_name = "AGE")]
    pub max_runtime: Option<Age>,
    /// Write metrics of the store and of this run to FILE, for the textfile collector of Prometheus' node exporter. The
    /// owner of the store must be able to write to FILE's directory, even if root runs the command
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub metrics: Option<PathBuf>,
    /// Which command prints the result.
    #[arg(skip)]
    pub account: Account,
}

/// Whether a removing run prints its result on standard output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Account {
    /// It does so.
    #[default]
    Given,
    /// The command that started it prints its own.
    LeftToCaller,
}

/// The result of a run that does nothing because another prune is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenLocked {
    /// Success: the other prune removes the same.
    Skip,
    /// Failure: the named entries still exist.
    Fail,
}

/// Carries out a selection. A run that would empty the whole store needs consent: `--yes`, or an answer on the
/// terminal.
pub fn carry_out(
    session: &Session,
    selection: &Selection,
    options: &RunOptions,
    yes: Yes,
    when_locked: WhenLocked,
) -> anyhow::Result<Exit> {
    let began = Instant::now();
    let mode = if options.dry_run { Mode::DryRun } else { Mode::Real };
    let needs_consent = mode == Mode::Real && yes == Yes::NotSaid;
    let takes_all = selection.policy.selectors.contains(&Selector::All);
    let consent = if needs_consent && takes_all {
        Consent::of_terminal("--all removes every entry")?
    } else {
        Consent::Given
    };
    let opened = session.open(match mode {
        Mode::DryRun => Purpose::Look,
        Mode::Real => Purpose::Remove,
    })?;
    let leftovers = match session.say_shared(&opened.store) {
        Some(_) => Leftovers::Keep,
        None => selection.policy.leftovers,
    };
    let journal = Journal::of_store(&session.environment, &opened.store);
    if mode == Mode::Real && !record::is_due(session, selection, &journal) {
        return Ok(Exit::Done);
    }
    let may_empty = needs_consent && !takes_all && selection.policy.may_empty_a_store();
    let opened = &opened;
    let run =
        RemovalRun { session, selection, options, opened, journal, mode, when_locked, began, lock: None };
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
}

/// What the verdict on entries depends on.
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

/// What a scan found.
struct Scanned {
    plan: Plan,
    troubles: Vec<Trouble>,
    /// Of the whole store, where metrics are written.
    census: Census,
    look: ScanExtent,
}

/// How much of the store was scanned.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ScanExtent {
    Whole,
    Partial,
}

impl RemovalRun<'_> {
    /// Gathers what the verdicts depend on, and removes. `may_empty`: the run may empty the store, and consent was not
    /// given.
    fn judge(mut self, mut consent: Consent, may_empty: bool, leftovers: Leftovers) -> anyhow::Result<Exit> {
        // Not while the user thinks about a question: the nightly run must not wait for that.
        let may_ask = consent == Consent::ToBeAsked || (may_empty && io::stdin().is_terminal());
        if !may_ask && let Some(exit) = self.begin()? {
            return Ok(exit);
        }
        if let Some(age) = self.selection.max_runtime {
            self.opened.stop.after(age);
        }
        let (policy, matched) = self.selection.policy_on(self.session, self.opened);
        let policy = Policy { leftovers, ..policy };
        let interpreters = self.interpreters(&policy);
        let is_dead = |tag: &str, magic| {
            interpreters.as_ref().is_some_and(|interpreters| interpreters.loads(tag, magic) == Loads::No)
        };
        let circumstances = self.opened.circumstances(self.session.environment.now, &is_dead);
        self.say_once(&policy, &circumstances);
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
            return Ok(exit);
        }
        let is_stopped = (cut_off.is_some() || may_empty) && self.opened.stop.has_looked_enough();
        let weighing = if is_stopped { Weighing::Stopped } else { Weighing::Whole };
        let judgement = Judgement { policy: &policy, circumstances, cut_off, weighing, matched };
        self.remove(judgement, weighed, consent)
    }

    /// Takes the lock of a run that removes. Until now a signal ended the process, because nothing was removed; from now on
    /// it asks to stop. Returns the exit code if another process holds the lock.
    fn begin(&mut self) -> anyhow::Result<Option<Exit>> {
        if self.mode == Mode::Real {
            match lock::take(self.opened, self.journal.as_ref().ok()) {
                Turn::Ours(lock) => self.lock = Some(lock),
                Turn::Others(locked) => return Ok(Some(self.skip(locked))),
            }
        }
        self.opened.stop.on_signals()?;
        Ok(None)
    }

    /// Plans what is judged, removes it or shows what would be removed, and records the run.
    fn remove(
        mut self,
        judgement: Judgement<'_>,
        weighed: Vec<Trouble>,
        consent: Consent,
    ) -> anyhow::Result<Exit> {
        let (opened, mode, policy) = (self.opened, self.mode, judgement.policy);
        let execution = Execution::new(&opened.store, policy, opened.stop.flag());
        let expectation = Expectation::default();
        let take = |planned: PlannedDirectory| match mode {
            Mode::DryRun => expectation.add(&planned),
            Mode::Real => execution.remove(&planned),
        };
        let overflow = Overflow::new(MOST_HELD, &take);
        // A user who is asked is shown the whole plan first: nothing is removed while it is made.
        let overflow = (consent == Consent::Given).then_some(&overflow);
        let Scanned { mut plan, mut troubles, census, look } = self.look(judgement, weighed, overflow)?;
        if plan.in_scope == 0 && look == ScanExtent::Whole {
            self.say_nothing_in_scope(judgement);
        }
        if consent == Consent::ToBeAsked && look == ScanExtent::Whole {
            if !has_agreed(opened, &plan)? {
                complain::note("nothing was removed");
                return Ok(Exit::Done);
            }
            if let Some(exit) = self.begin()? {
                return Ok(exit);
            }
        }
        let is_stopped = opened.stop.cause().is_some();
        let has_begun = overflow.is_some_and(|overflow| overflow.taken() > 0);
        // A part of the store says nothing of a budget; of each entry in it, it says all.
        let is_in_vain = judgement.weighing == Weighing::Stopped
            || consent == Consent::ToBeAsked
            || (is_stopped && !has_begun);
        let outcome = match mode {
            _ if look == ScanExtent::Partial && is_in_vain => Outcome::default(),
            Mode::DryRun => {
                self.look_into(&mut plan);
                troubles = both(troubles, std::mem::take(&mut plan.troubles));
                expectation.finish(plan)
            }
            Mode::Real => {
                let mut progress = self.session.progress("removed");
                execution.finish(plan, opened.threads(), |entries| progress.update(entries))
            }
        };
        let partly = (look == ScanExtent::Partial).then(|| partly(is_in_vain, is_stopped));
        Ok(self.finish(&outcome, &troubles, &census, partly))
    }

    /// Records the run, then shows it: a reader may be slow, or end this process.
    fn finish(
        mut self,
        outcome: &Outcome,
        troubles: &[Trouble],
        census: &Census,
        partly: Option<&str>,
    ) -> Exit {
        let _lock = self.lock.take();
        let (session, options, opened, mode) = (self.session, self.options, self.opened, self.mode);
        // A signal leaves work undone, the end of the allowed time is what was asked for.
        let is_done = outcome.is_complete() && opened.stop.cause() != Some(Cause::Signal);
        let mut exit = Exit::complete_if(complain::is_read(troubles) && is_done);
        if mode == Mode::Real {
            exit = self.record(outcome, census, exit);
        }
        opened.stop.end_work();
        if let Some(partly) = partly {
            complain::note(partly);
        }
        let look = if partly.is_some() { ScanExtent::Partial } else { ScanExtent::Whole };
        // The removal is complete: output that cannot be written is one more problem to report.
        let is_written = complain::is_written(show::show(session, options, opened, outcome, mode, look));
        show::explain(outcome);
        complain::troubles(troubles);
        if is_written { exit } else { Exit::Incomplete }
    }

    /// One scan: what is to be removed, and, where metrics are written, what the store holds.
    fn look(
        &self,
        judgement: Judgement<'_>,
        weighed: Vec<Trouble>,
        overflow: Option<&Overflow<'_>>,
    ) -> anyhow::Result<Scanned> {
        let Judgement { policy, circumstances, cut_off, .. } = judgement;
        let (session, opened) = (self.session, self.opened);
        let counts = self.options.metrics.is_some();
        let question = match (counts, cut_off) {
            (true, _) => Question::Everything(UncheckedHashes::Trust),
            // Nothing is over the budget, and the rest of the policy asks for less.
            (false, Some(cut_off)) if cut_off.is_empty() => {
                Policy { budget: Budget::default(), ..policy.clone() }.question()
            }
            (false, _) => policy.question(),
        };
        // Metrics count the whole store, even if only a part is in scope.
        let scan = if counts { opened.scan(question) } else { within_scope(opened, policy, question) };
        let (reclaimable, links) = (reclaimable(session, opened)?, CountedLinks::default());
        let new_visitors = || {
            let counting = || Counting::new(&reclaimable, circumstances, &links);
            let planner = Planner::new(policy, &opened.store, circumstances);
            (planner.with_cut_off(cut_off).with_overflow(overflow), counts.then(counting))
        };
        let (planners, countings): (Vec<_>, Vec<_>) = {
            let mut progress = session.progress("looking at");
            scan.run(new_visitors, |entries| progress.update(entries)).into_iter().unzip()
        };
        let look = if opened.stop.has_looked_enough() { ScanExtent::Partial } else { ScanExtent::Whole };
        // A part of the store says nothing of how much it holds.
        let countings = countings.into_iter().flatten().filter(|_| look == ScanExtent::Whole);
        let census = Census::collect(countings);
        let mut plan = Plan::collect(planners);
        let troubles = both(std::mem::take(&mut plan.troubles), weighed);
        let troubles = both(troubles, opened.troubles_of_aliases());
        Ok(Scanned { plan, troubles, census, look })
    }

    /// The interpreters, where the policy asks which there are.
    fn interpreters(&self, policy: &Policy) -> Option<Interpreters> {
        let found = policy.asks_interpreters().then(|| self.session.interpreters_with(self.opened))?;
        if policy.selectors.contains(&Selector::DeadInterpreters) {
            complain::interpreters(&found);
        }
        Some(found)
    }

    /// What the user should know before a policy is judged with it.
    fn say_once(&self, policy: &Policy, circumstances: &Circumstances<'_>) {
        let asks_last_use = policy.unused_for.is_some() || !policy.budget.is_unlimited();
        if asks_last_use && circumstances.clock == Clock::Modification && !self.session.global.quiet {
            complain::note("this mount keeps no access times: the time of compilation counts as last use");
        }
    }

    fn say_nothing_in_scope(&self, judgement: Judgement<'_>) {
        if !judgement.policy.scope.is_everything() && judgement.matched == Matched::Unknown {
            self.selection.say_nothing_in_scope(self.session);
        }
    }

    /// Finds out what the policy's budget evicts, if it has one.
    fn weigh(&self, policy: &Policy, circumstances: Circumstances<'_>) -> Option<CutOff> {
        if policy.budget.is_unlimited() {
            return None;
        }
        let new_weigher = || Weigher::new(Judge::new(policy, &self.opened.store, circumstances));
        let mut progress = self.session.progress("weighing");
        let scan = within_scope(self.opened, policy, policy.question());
        Some(CutOff::find(scan.run(new_weigher, |entries| progress.update(entries)), &policy.budget))
    }

    /// Removes from the plan of a dry run the files that a real run would find not to be bytecode.
    fn look_into(&self, plan: &mut Plan) {
        let unread = plan.look_into(&self.opened.store, self.opened.threads());
        if unread > 0 && !self.session.global.quiet {
            let files = human::counted(unread, "file");
            complain::note(&format!("{files} not looked into: what is no bytecode among them will be kept"));
        }
    }
}

/// The troubles of two scans, each path once.
fn both(mut troubles: Vec<Trouble>, others: Vec<Trouble>) -> Vec<Trouble> {
    troubles.extend(others);
    troubles.sort_by(|one, other| one.path().cmp(other.path()));
    troubles.dedup_by(|one, other| one.path() == other.path());
    troubles
}

/// A scan of the part of the store that a policy is about.
fn within_scope<'a>(opened: &'a Opened, policy: &'a Policy, question: Question) -> Scan<'a> {
    Scan { within: &policy.scope.mirrored, ..opened.scan(question) }
}

/// Asks on the terminal.
fn has_agreed(opened: &Opened, plan: &Plan) -> anyhow::Result<bool> {
    let tally = plan.tally();
    let (files, size) = (human::counted(tally.files, "file"), human::size(tally.disk));
    let store = pycstore::quoting::escaped(&opened.store.path().to_string_lossy());
    agreed(Consent::ToBeAsked, &format!("Remove {files} ({size}) from {store}?"))
}

/// The message about a run that scanned a part of the store.
fn partly(is_in_vain: bool, is_stopped: bool) -> &'static str {
    match (is_in_vain, is_stopped) {
        (true, _) => "stopped before all entries were looked at: nothing was removed",
        (false, true) => "stopped before the end: what was not looked at is left for the next run",
        (false, false) => "half of the time is over: what was not looked at is left for the next run",
    }
}
