//! Writes the history and the metrics of a run, and checks whether a run is due.

use super::{RemovalRun, ResultOutput};
use crate::cli::metrics;
use crate::cli::output::complain;
use crate::cli::selection::Selection;
use crate::cli::session::Session;
use pycstore::effect::outcome::Outcome;
use pycstore::exit::Exit;
use pycstore::exposition::MetricsError;
use pycstore::history::{Due, Journal, JournalError, Latest, Locked, Run};
use pycstore::units::date;
use std::io;

/// Whether the last successful run is old enough.
pub(super) fn is_due(
    session: &Session,
    selection: &Selection,
    journal: &Result<Journal, JournalError>,
) -> bool {
    let (Some(interval), Ok(journal)) = (selection.min_interval, journal) else { return true };
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
    /// Records a run. Returns its exit: `exit`, or incomplete where the record could not be written.
    pub(super) fn record(self, outcome: &Outcome, exit: Exit) -> Exit {
        let store = &self.opened.store;
        let (started, names) = (self.session.environment.now, self.selection.names.iter().cloned());
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
        let names = self.selection.names.iter().cloned();
        let run = Run::of_locked(store, session.environment.now, names, exit, locked);
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
        let metrics = metrics::of_store(self.session, self.opened, self.selection.policy.budget, latest);
        if output == ResultOutput::Metrics {
            metrics.write_to(io::stdout())?;
        }
        file.map_or(Ok(()), |file| metrics.write(&self.session.environment.absolute(file)))
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
