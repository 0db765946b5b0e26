//! Writes the history and the metrics of a run, and checks whether a run is due.

use super::{RemovalRun, ResultOutput};
use crate::cli::metrics;
use crate::cli::output::complain;
use crate::cli::selection::Selection;
use crate::cli::session::Session;
use pycstore::effect::outcome::Outcome;
use pycstore::environment::Environment;
use pycstore::exit::Exit;
use pycstore::exposition::{Exposition, MetricsError};
use pycstore::history::{Due, Journal, JournalError, Latest, Locked, Run};
use pycstore::json;
use pycstore::units::{Tally, date};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Whether the last successful run is old enough.
pub(super) fn is_due(
    session: &Session,
    selection: &Selection,
    journal: &Result<Journal, JournalError>,
) -> bool {
    let (Some(interval), Ok(journal)) = (selection.intervals.min_interval, journal) else { return true };
    match journal.due(interval, &selection.names, session.environment.now) {
        Ok(Due::Now) => true,
        Ok(Due::Later { last, next }) => {
            let (last, next) = (date::local(last), date::local(next));
            session.note(&format!("nothing to do: the last run was at {last}, the next is due at {next}"));
            false
        }
        // The last run is not known; an additional run does no harm.
        Err(error) => {
            complain::problem(&error);
            true
        }
    }
}

impl RemovalRun<'_> {
    /// Lets the run be recorded if the file system does not respond, as far as it is known then: what was removed, and that
    /// there is more.
    pub(super) fn record_overrun(&self) {
        let (environment, store) = (self.session.environment.clone(), &self.opened.store);
        let (names, none) = (&self.selection.names, Outcome::default());
        let run = Run::new(store, environment.now, Duration::ZERO, names, &none, Exit::Incomplete);
        let journal = self.journal.as_ref().ok().cloned();
        let (began, removed) = (self.began, self.removed.clone());
        let (file, output) = (self.options.metrics.clone(), self.options.output);
        let budget = metrics::budget(self.session, self.selection.policy.budget);
        self.opened.stop.on_overrun(Exit::Incomplete, move || {
            let run = run.unfinished(began.elapsed(), removed.tally());
            let mut latest = journal.as_ref().and_then(|it| it.latest().ok()).unwrap_or_default();
            latest.add(run.clone());
            let recorded = journal.map_or(Ok(()), |journal| journal.record(&run));
            let metrics = metrics::of_unresponsive(&run.store, budget, &latest);
            are_written(recorded, write(&metrics, file.as_deref(), output, &environment));
        });
    }

    /// Records a run. Returns its exit: `exit`, or incomplete where the record could not be written.
    pub(super) fn record(self, outcome: &Outcome, exit: Exit) -> Exit {
        self.opened.stop.begin_record();
        let store = &self.opened.store;
        let (started, names) = (self.session.environment.now, &self.selection.names);
        let run = Run::new(store, started, self.began.elapsed(), names, outcome, exit);
        let mut latest = latest(&self.journal);
        latest.add(run.clone());
        let recorded = self.journal.as_ref().map(|journal| journal.record(&run));
        let written = self.write_metrics(&latest);
        let recorded = match recorded {
            Ok(recorded) => recorded,
            Err(_) => self.journal.map(|_| ()),
        };
        if are_written(recorded, written) { exit } else { Exit::Incomplete }
    }

    /// Records and reports a run that did nothing because another process holds the lock.
    pub(super) fn skip(&self, locked: Locked) -> Exit {
        let (session, store) = (self.session, &self.opened.store);
        let exit = Exit::complete_if(self.when_locked == super::WhenLocked::Skip);
        let mut latest = latest(&self.journal);
        let locked_runs = latest.locked.as_ref().map_or(0, |locked| locked.runs).saturating_add(locked.runs);
        let holder = locked.holder();
        let locked = Locked { runs: locked_runs, ..locked };
        let run = Run::of_locked(store, session.environment.now, &self.selection.names, exit, locked);
        let recorded = self.journal.as_ref().map_or(Ok(()), |journal| journal.record(&run));
        latest.add(run);
        let written = self.write_metrics(&latest);
        let row = if locked_runs > 1 { format!(", {locked_runs} times in a row") } else { String::new() };
        let path = store.path().display();
        complain::note(&format!("nothing was done: {holder} holds the lock of {path}{row}"));
        if are_written(recorded, written) { exit } else { Exit::Incomplete }
    }

    /// Writes the metrics of a run that is not due.
    pub(super) fn postpone(&self) -> Exit {
        Exit::complete_if(are_written(Ok(()), self.write_metrics(&latest(&self.journal))))
    }

    fn write_metrics(&self, latest: &Latest) -> Result<(), MetricsError> {
        let (file, output) = (self.options.metrics.as_deref(), self.options.output);
        if file.is_none() && output != ResultOutput::Metrics {
            return Ok(());
        }
        let (session, stop) = (self.session, &self.opened.stop);
        // The store is counted in a scan of its own, which may wait for the file system too.
        let (store, budget) = (json::text(self.opened.store.real_path()), self.selection.policy.budget);
        let known = (metrics::budget(session, budget), latest.clone());
        let (path, environment) = (self.options.metrics.clone(), session.environment.clone());
        stop.on_overrun(Exit::Incomplete, move || {
            let metrics = metrics::of_unresponsive(&store, known.0, &known.1);
            are_written(Ok(()), write(&metrics, path.as_deref(), output, &environment));
        });
        let metrics = metrics::of_store(session, self.opened, budget, latest);
        stop.begin_record();
        write(&metrics, file, output, &session.environment)
    }
}

/// Writes metrics to a file, and to standard output for the process that started this one.
fn write(
    metrics: &Exposition,
    file: Option<&Path>,
    output: ResultOutput,
    environment: &Environment,
) -> Result<(), MetricsError> {
    if output == ResultOutput::Metrics {
        metrics.write_to(io::stdout())?;
    }
    file.map_or(Ok(()), |file| metrics.write(&environment.absolute(file)))
}

/// What a run has removed so far, counted by several threads. Of files with several links the bytes are not counted: one may
/// stay.
#[derive(Debug, Default)]
pub(super) struct RemovedSoFar {
    files: AtomicU64,
    bytes: AtomicU64,
    disk: AtomicU64,
}

impl RemovedSoFar {
    pub(super) fn add(&self, tally: Tally) {
        self.files.fetch_add(tally.files, Ordering::Relaxed);
        self.bytes.fetch_add(tally.bytes, Ordering::Relaxed);
        self.disk.fetch_add(tally.disk, Ordering::Relaxed);
    }

    fn tally(&self) -> Tally {
        let [files, bytes, disk] =
            [&self.files, &self.bytes, &self.disk].map(|it| it.load(Ordering::Relaxed));
        Tally { files, bytes, disk }
    }
}

/// The last runs on this store in the history; none if it cannot be read, which is reported when the run is recorded.
fn latest(journal: &Result<Journal, JournalError>) -> Latest {
    journal.as_ref().ok().and_then(|journal| journal.latest().ok()).unwrap_or_default()
}

/// Whether history and metrics were written; reports errors.
fn are_written(history: Result<(), JournalError>, metrics: Result<(), MetricsError>) -> bool {
    // Without a home there is no history.
    let history = history.err().filter(|error| !matches!(error, JournalError::Homeless));
    let problems = [history.map(anyhow::Error::from), metrics.err().map(anyhow::Error::from)];
    for problem in problems.iter().flatten() {
        complain::problem(problem.as_ref());
    }
    problems.iter().all(Option::is_none)
}
