//! `pycstore prune`: remove entries that Python cannot use any more; and the run that `forget` shares with it.

use super::args::{Account, PruneOptions, RunOptions};
use super::consent::{Consent, Yes, agreed};
use super::du::{is_read, owner, reclaimable, report};
use super::interpreters;
use super::lock::{self, PruneLock, Turn};
use super::output::complain;
use super::output::json::{self, Mode, PruneDocument};
use super::output::path;
use super::output::style::Tone;
use super::output::table::{Alignment, Column, Table};
use super::selection::{Matched, Selection};
use super::session::{Opened, Session};
use super::stop::Cause;
use super::whole_store::would_empty;
use pycstore::effect::outcome::Outcome;
use pycstore::effect::remove::{Execution, Expectation};
use pycstore::exit::Exit;
use pycstore::history::metrics;
use pycstore::history::{Due, Journal, JournalError, Latest, Locked, Run};
use pycstore::pyc::Loads;
use pycstore::source::owner::Life;
use pycstore::store::scan::{Question, Scan, Trouble};
use pycstore::store::{Purpose, Store};
use pycstore::units::Tally;
use pycstore::units::{date, human};
use pycstore::verdict::budget::{CutOff, Weigher};
use pycstore::verdict::census::{Census, Counting};
use pycstore::verdict::emptied::{Leftovers, topmost};
use pycstore::verdict::judge::Judge;
use pycstore::verdict::plan::{MOST_HELD, PlannedDirectory};
use pycstore::verdict::plan::{Overflow, Plan, Planner, Skipped};
use pycstore::verdict::policy::Spared;
use pycstore::verdict::policy::{Budget, Circumstances, Clock, Policy, Selector};
use pycstore::verdict::status::UncheckedHashes;
use pycstore::verdict::usage::CountedLinks;
use std::collections::BTreeMap;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::time::Instant;

/// Runs `pycstore prune`.
pub fn run(session: &Session, options: &PruneOptions) -> anyhow::Result<Exit> {
    let selection = Selection::of_prune(session, options)?;
    carry_out(session, &selection, &options.run, Yes::from(options.yes), WhenLocked::Skip)
}

/// What a run is worth that does nothing because another prune is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenLocked {
    /// As much as another: the other prune removes the same.
    Skip,
    /// It failed: what was named is still there.
    Fail,
}

/// Carries out a selection. What would empty the whole store needs a yes: by option, or from the user at the terminal.
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
    let mut consent = if needs_consent && takes_all {
        Consent::of_terminal("--all removes every entry")?
    } else {
        Consent::Given
    };
    let may_empty = needs_consent && !takes_all && selection.policy.may_empty_a_store();
    let opened = session.open(match mode {
        Mode::DryRun => Purpose::Look,
        Mode::Real => Purpose::Remove,
    })?;
    let is_shared = session.say_shared(&opened.store).is_some();
    let journal = Journal::of_store(&session.environment, &opened.store);
    if mode == Mode::Real && !is_due(session, selection, &journal) {
        return Ok(Exit::Done);
    }
    let mut held: Option<PruneLock> = None;
    let take_lock = |held: &mut Option<PruneLock>| match lock::take(&opened, journal.as_ref().ok()) {
        Turn::Ours(ours) => {
            *held = Some(ours);
            None
        }
        Turn::Others(locked) => {
            Some(skip(session, selection, options, &opened.store, &journal, locked, when_locked))
        }
    };
    // Not while the user thinks about a question: the nightly run must not wait for that.
    let may_ask = consent == Consent::ToBeAsked || (may_empty && io::stdin().is_terminal());
    if mode == Mode::Real
        && !may_ask
        && let Some(exit) = take_lock(&mut held)
    {
        return Ok(exit);
    }
    // As long as the user may still say no, a signal simply ends the process: nothing was removed yet.
    if !may_ask {
        opened.stop.on_signals()?;
    }
    if let Some(age) = selection.max_runtime {
        opened.stop.after(age);
    }

    let (mut policy, matched) = selection.policy_on(session, &opened);
    if is_shared {
        policy.leftovers = Leftovers::Keep;
    }
    let policy = &policy;
    let interpreters = policy.asks_interpreters().then(|| interpreters::of_store(session, &opened));
    if let Some(found) =
        interpreters.as_ref().filter(|_| policy.selectors.contains(&Selector::DeadInterpreters))
    {
        interpreters::complain_of(found);
    }
    let is_dead = |tag: &str, magic| {
        interpreters.as_ref().is_some_and(|interpreters| interpreters.loads(tag, magic) == Loads::No)
    };
    let circumstances = opened.circumstances(session.environment.now, &is_dead);
    if !session.global.quiet {
        say_once(policy, &circumstances);
    }
    let cut_off = weigh(session, &opened, policy, circumstances);
    if may_empty && would_empty(&opened, policy, circumstances, cut_off.as_ref()) {
        let names = selection.names.join(", ");
        consent = Consent::of_terminal(&format!("this removes every entry of the store ({names})"))?;
    }
    if may_ask && consent == Consent::Given {
        if let Some(exit) = take_lock(&mut held) {
            return Ok(exit);
        }
        opened.stop.on_signals()?;
    }
    let is_weighed = (cut_off.is_none() && !may_empty) || !opened.stop.has_looked_enough();
    let execution = Execution::new(&opened.store, policy, opened.stop.flag());
    let expectation = Expectation::default();
    let take = |planned: PlannedDirectory| match mode {
        Mode::DryRun => expectation.add(&planned),
        Mode::Real => execution.remove(&planned),
    };
    let overflow = Overflow::new(MOST_HELD, &take);
    // Who is asked is told all of it before.
    let overflow = (consent == Consent::Given).then_some(&overflow);

    let counts = options.metrics.is_some();
    let question = match (counts, &cut_off) {
        (true, _) => Question::Everything(UncheckedHashes::Trust),
        // Nothing is over the budget, and the rest of the policy asks for less.
        (false, Some(cut_off)) if cut_off.is_empty() => {
            Policy { budget: Budget::default(), ..policy.clone() }.question()
        }
        (false, _) => policy.question(),
    };
    // Metrics speak of the whole store, whatever is removed of it.
    let scan = if counts { opened.scan(question) } else { within_scope(&opened, policy, question) };
    let (reclaimable, links) = (reclaimable(session, &opened)?, CountedLinks::default());
    let new_visitors = || {
        let counting = || Counting::new(&reclaimable, circumstances, &links);
        let planner = Planner::new(policy, &opened.store, circumstances);
        (planner.with_cut_off(cut_off.as_ref()).with_overflow(overflow), counts.then(counting))
    };
    let (planners, countings): (Vec<_>, Vec<_>) = {
        let mut progress = session.progress("looking at");
        scan.run(new_visitors, |entries| progress.update(entries)).into_iter().unzip()
    };
    let mut plan = Plan::collect(planners);
    let weighing = cut_off.map(|cut_off| cut_off.troubles);
    let mut troubles = both(std::mem::take(&mut plan.troubles), weighing.unwrap_or_default());
    troubles = both(troubles, opened.troubles_of_aliases());
    let is_partial = opened.stop.has_looked_enough();
    if plan.in_scope == 0 && !policy.scope.is_everything() && !is_partial && matched == Matched::Unknown {
        selection.say_nothing_in_scope(session);
    }
    if consent == Consent::ToBeAsked && !is_partial {
        if !has_agreed(&opened, &plan)? {
            complain::note("nothing was removed");
            return Ok(Exit::Done);
        }
        if let Some(exit) = take_lock(&mut held) {
            return Ok(exit);
        }
        opened.stop.on_signals()?;
    }
    let is_stopped = opened.stop.cause().is_some();
    let has_begun = overflow.is_some_and(|overflow| overflow.taken() > 0);
    // A part of the store says nothing of a budget; of each entry in it, it says all.
    let is_in_vain = !is_weighed || consent == Consent::ToBeAsked || (is_stopped && !has_begun);
    let partly = match (is_in_vain, is_stopped) {
        (true, _) => "stopped before all entries were looked at: nothing was removed",
        (false, true) => "stopped before the end: what was not looked at is left for the next run",
        (false, false) => "half of the time is over: what was not looked at is left for the next run",
    };
    let outcome = if is_partial && is_in_vain {
        Outcome::default()
    } else {
        match mode {
            Mode::DryRun => {
                look_into(session, &opened, &mut plan);
                troubles = both(troubles, std::mem::take(&mut plan.troubles));
                expectation.finish(plan)
            }
            Mode::Real => {
                let mut progress = session.progress("removed");
                execution.finish(plan, opened.threads(), |entries| progress.update(entries))
            }
        }
    };

    // Recorded before any output: a reader may be slow, or end this process.
    let mut exit = exit(&opened, &outcome, &troubles);
    if mode == Mode::Real {
        let (started, names) = (session.environment.now, &selection.names);
        let run = Run::new(&opened.store, started, began.elapsed(), names.iter().cloned(), &outcome, exit);
        let latest = latest(&journal);
        let recorded = journal.and_then(|journal| journal.record(&run));
        // A part of the store says nothing of how much it holds.
        let countings = countings.into_iter().flatten().filter(|_| !is_partial);
        let census = Census::collect(countings);
        let success = if run.is_success() { Some(&run) } else { latest.success.as_ref() };
        let measured = metrics::Measured { run: Some(&run), success, locked_runs: 0 };
        let written = options.metrics.as_ref().map_or(Ok(()), |path| {
            metrics::write(&session.environment.absolute(path), &census, &run.store, measured)
        });
        opened.stop.end_work();
        if !are_written(recorded, written) {
            exit = Exit::Incomplete;
        }
    }
    opened.stop.end_work();
    if is_partial {
        complain::note(partly);
    }
    // The removal is complete: output that cannot be written is one more problem to report.
    let look = if is_partial { Look::Partial } else { Look::Whole };
    let is_written = complain::is_written(show(session, options, &opened, &outcome, mode, look));
    explain(&outcome);
    report(&troubles);
    Ok(if is_written { exit } else { Exit::Incomplete })
}

/// Finds out what the policy's budget evicts, if it has one.
fn weigh(
    session: &Session,
    opened: &Opened,
    policy: &Policy,
    circumstances: Circumstances<'_>,
) -> Option<CutOff> {
    if policy.budget.is_unlimited() {
        return None;
    }
    let new_weigher = || Weigher::new(Judge::new(policy, &opened.store, circumstances));
    let mut progress = session.progress("weighing");
    let scan = within_scope(opened, policy, policy.question());
    Some(CutOff::find(scan.run(new_weigher, |entries| progress.update(entries)), &policy.budget))
}

/// Strikes out of a plan that is only shown what the real run would find to be no bytecode.
fn look_into(session: &Session, opened: &Opened, plan: &mut Plan) {
    let unread = plan.look_into(&opened.store, opened.threads());
    if unread > 0 && !session.global.quiet {
        let files = human::counted(unread, "file");
        complain::note(&format!("{files} not looked into: what is no bytecode among them will be kept"));
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

/// Whether the last successful run is old enough.
fn is_due(session: &Session, selection: &Selection, journal: &Result<Journal, JournalError>) -> bool {
    let (Some(interval), Ok(journal)) = (selection.min_interval, journal) else { return true };
    match journal.due(interval, &selection.names, session.environment.now) {
        Ok(Due::Now) => true,
        Ok(Due::Later { last, next }) => {
            if !session.global.quiet {
                let (last, next) = (date::local(last), date::local(next));
                complain::note(&format!(
                    "nothing to do: the last run was at {last}, the next is due at {next}"
                ));
            }
            false
        }
        // Nobody knows when the last run was; one too many does no harm.
        Err(error) => {
            complain::problem(&error);
            true
        }
    }
}

/// Records and reports a run that another process's lock leaves undone.
fn skip(
    session: &Session,
    selection: &Selection,
    options: &RunOptions,
    store: &Store,
    journal: &Result<Journal, JournalError>,
    locked: Locked,
    when_locked: WhenLocked,
) -> Exit {
    let exit = Exit::complete_if(when_locked == WhenLocked::Skip);
    let latest = latest(journal);
    let locked_runs = latest.locked.map_or(0, |locked| locked.runs).saturating_add(locked.runs);
    let holder = locked.holder();
    let locked = Locked { runs: locked_runs, ..locked };
    let names = selection.names.iter().cloned();
    let run = Run::of_locked(store, session.environment.now, names, exit, locked);
    let recorded = journal.as_ref().map_or(Ok(()), |journal| journal.record(&run));
    let measured =
        metrics::Measured { run: latest.run.as_ref(), success: latest.success.as_ref(), locked_runs };
    let path = options.metrics.as_ref();
    let path = path.map(|path| session.environment.absolute(path));
    let written = path.map_or(Ok(()), |path| metrics::write(&path, &Census::default(), &run.store, measured));
    let row = if locked_runs > 1 { format!(", {locked_runs} times in a row") } else { String::new() };
    complain::note(&format!("nothing was done: {holder} holds the lock of {}{row}", store.path().display()));
    if are_written(recorded, written) { exit } else { Exit::Incomplete }
}

/// What the history has of this store's last runs; nothing where it cannot be read, which recording a run reports.
fn latest(journal: &Result<Journal, JournalError>) -> Latest {
    journal.as_ref().ok().and_then(|journal| journal.latest().ok()).unwrap_or_default()
}

/// Whether history and metrics were written; complains where they were not.
fn are_written(history: Result<(), JournalError>, metrics: Result<(), metrics::MetricsError>) -> bool {
    // Who has no home has no history.
    let history = history.err().filter(|error| !matches!(error, JournalError::Homeless));
    let problems = [history.map(anyhow::Error::from), metrics.err().map(anyhow::Error::from)];
    for problem in problems.iter().flatten() {
        complain::problem(problem.as_ref());
    }
    problems.iter().all(Option::is_none)
}

/// What the user should know before a policy is judged with it.
fn say_once(policy: &Policy, circumstances: &Circumstances<'_>) {
    let asks_last_use = policy.unused_for.is_some() || !policy.budget.is_unlimited();
    if asks_last_use && circumstances.clock == Clock::Modification {
        complain::note("this mount keeps no access times: the time of compilation counts as last use");
    }
}

/// Asks on the terminal.
fn has_agreed(opened: &Opened, plan: &Plan) -> anyhow::Result<bool> {
    let tally = plan.tally();
    let (files, size) = (human::counted(tally.files, "file"), human::size(tally.disk));
    let store = pycstore::quoting::escaped(&opened.store.path().to_string_lossy());
    agreed(Consent::ToBeAsked, &format!("Remove {files} ({size}) from {store}?"))
}

/// How much of the store was looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Whole,
    Partial,
}

/// Data, on standard output.
fn show(
    session: &Session,
    options: &RunOptions,
    opened: &Opened,
    outcome: &Outcome,
    mode: Mode,
    look: Look,
) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    if options.account == Account::LeftToCaller {
        return Ok(());
    }
    if options.json {
        json::print(&mut out, &PruneDocument::new(&opened.store, outcome, mode))?;
    } else if !session.global.quiet {
        print(session, &opened.store, outcome, mode, look, &mut out)?;
    }
    out.flush()
}

/// So many files that were kept for one reason are named; a mail from cron is not the place for thousands.
const MOST_KEPT_LINES: usize = 10;

/// What did not go as asked, on standard error.
fn explain(outcome: &Outcome) {
    let mut kept: BTreeMap<Spared, Vec<&Skipped>> = BTreeMap::new();
    outcome.skipped.iter().for_each(|skipped| kept.entry(skipped.why).or_default().push(skipped));
    for (why, skipped) in kept {
        for one in skipped.iter().take(MOST_KEPT_LINES) {
            complain::note(&format!("kept {}: {}", one.path.display(), why.explanation()));
        }
        if let Some(more) = skipped.len().checked_sub(MOST_KEPT_LINES).filter(|more| *more > 0) {
            complain::note(&format!(
                "kept {} more like that; --json names them all",
                human::count(more as u64)
            ));
        }
    }
    for failure in &outcome.failures {
        complain::problem(failure);
    }
    if !outcome.left.is_empty() || outcome.directories_left > 0 {
        complain::note(&format!(
            "stopped early: {} left",
            human::sum(outcome.left, outcome.directories_left)
        ));
    }
    if outcome.over_budget != Tally::default() {
        let Tally { files, disk, .. } = outcome.over_budget;
        let over = if files > 0 { human::counted(files, "file") } else { human::size(disk) };
        complain::note(&format!("still {over} over the budget: what is left is foreign, kept or too young"));
    }
}

/// A signal leaves work undone, the end of the allowed time is what was asked for.
fn exit(opened: &Opened, outcome: &Outcome, troubles: &[Trouble]) -> Exit {
    let is_done = outcome.is_complete() && opened.stop.cause() != Some(Cause::Signal);
    Exit::complete_if(is_read(troubles) && is_done)
}

fn print(
    session: &Session,
    store: &Store,
    outcome: &Outcome,
    mode: Mode,
    look: Look,
    out: &mut dyn Write,
) -> io::Result<()> {
    if !outcome.owners.is_empty() {
        let mut table = Table::new(
            vec![
                Column { heading: "SIZE", alignment: Alignment::Right, gives_way: 0 },
                Column { heading: "FILES", alignment: Alignment::Right, gives_way: 1 },
            ],
            "OWNER",
        );
        for (removed_owner, tally) in &outcome.owners {
            let tone = if removed_owner.life == Life::Gone { Tone::Gone } else { Tone::Normal };
            let cells = vec![human::size(tally.disk), human::count(tally.files)];
            table.row(cells, owner(session, removed_owner), tone);
        }
        table.print(out, &session.terminal, session.style())?;
    }
    // A dry run names the directories; a real run counts them.
    if mode == Mode::DryRun && !outcome.emptied.is_empty() {
        let column = Column { heading: "DIRECTORIES", alignment: Alignment::Right, gives_way: 1 };
        let mut table = Table::new(vec![column], "EMPTIED, WITH ALL BELOW");
        for (relative, count) in topmost(&outcome.emptied) {
            let path = store.shown(&relative, b"");
            table.row(vec![human::count(count)], path::shown(&path, &session.terminal), Tone::Normal);
        }
        table.print(out, &session.terminal, session.style())?;
    }
    let verb = match mode {
        Mode::DryRun => "would remove",
        Mode::Real => "removed",
    };
    let sum = match (outcome.removed.is_empty(), outcome.directories) {
        (true, 0) if look == Look::Partial || !outcome.is_complete() || !outcome.left.is_empty() => {
            "removed nothing".to_string()
        }
        (true, 0) => "nothing to remove".to_string(),
        (_, directories) => format!("{verb} {}", human::sum(outcome.removed, directories)),
    };
    out.write_all(&session.style().paint(sum.as_bytes(), Tone::Total))?;
    out.write_all(b"\n")
}
