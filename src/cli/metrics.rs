//! `--metrics` of `prune`, `forget` and `du`, and `metrics` of the configuration: counts the store and writes the file, also
//! if the command fails before it can use the store.

use super::Command;
use super::config::Origin;
use super::options::Global;
use super::output::complain;
use super::selection::reclaimable;
use super::session::{Opened, Session, is_absent};
use pycstore::environment::Environment;
use pycstore::exposition::Exposition;
use pycstore::history::metrics::StoreMetrics;
use pycstore::history::{Journal, Latest, Run};
use pycstore::host::trust;
use pycstore::json;
use pycstore::source::witness::real_path;
use pycstore::store::scan::{Question, Scan};
use pycstore::verdict::census::{Census, Counting};
use pycstore::verdict::policy::Budget;
use pycstore::verdict::status::UncheckedHashes;
use pycstore::verdict::usage::CountedLinks;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Counts an open store and returns its metrics.
pub fn of_store(session: &Session, opened: &Opened, budget: Budget, latest: &Latest) -> Exposition {
    let census = count(session, opened);
    let metrics = StoreMetrics {
        store: &json::text(opened.store.real_path()),
        is_up: !opened.store.is_lost(),
        counted: census.as_ref().map(|census| (census, session.environment.now)),
        budget: self::budget(session, budget),
        latest,
    };
    metrics.exposition()
}

/// The metrics of a store whose file system does not respond.
pub fn of_unresponsive(store: &str, budget: Budget, latest: &Latest) -> Exposition {
    StoreMetrics { store, is_up: false, counted: None, budget, latest }.exposition()
}

/// The limits of a run, else those of the configuration.
pub fn budget(session: &Session, budget: Budget) -> Budget {
    if budget.is_unlimited() { configured_budget(session) } else { budget }
}

/// The limits of the configuration.
fn configured_budget(session: &Session) -> Budget {
    let table = &session.configuration.prune;
    Budget { disk: table.max_size.map(|it| it.value.0), files: table.max_files.map(|it| it.value) }
}

/// Counts the store in a scan of its own: after a removal, only that shows what is left. `None` if it was stopped: a part of
/// the store is not what the store holds.
fn count(session: &Session, opened: &Opened) -> Option<Census> {
    let (policy, links) = (reclaimable(session, opened).ok()?, CountedLinks::default());
    let circumstances = opened.circumstances(session.environment.now, &|_, _| false);
    let question = Question::Everything(UncheckedHashes::Trust);
    // Half of a limited time is for the scan before a removal.
    let scan = Scan { stop: opened.stop.flag(), ..opened.scan(question) };
    let new_count = || Counting::new(&policy, circumstances, &links);
    let parts = scan.run(new_count, session.progress("counting"));
    let is_whole = opened.stop.cause().is_none() && !opened.store.is_lost();
    is_whole.then(|| Census::collect(parts))
}

/// A command that writes metrics, for the case that it fails.
pub struct MeasuredCommand {
    global: Global,
    environment: Environment,
    /// The file; `None` if only the configuration names one.
    path: Option<PathBuf>,
    /// Whether root's job for every user reads the metrics from standard output.
    is_printed: bool,
    kind: MeasuredKind,
    began: Instant,
}

/// What a command that writes metrics does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum MeasuredKind {
    /// It removes entries.
    Prune,
    /// It counts them.
    Count,
}

impl MeasuredCommand {
    /// The command, if it writes metrics.
    pub fn new(global: &Global, environment: &Environment, command: &Command) -> Option<MeasuredCommand> {
        let (path, kind) = match command {
            Command::Prune(options) => (Some(options.run.metrics.clone()?), MeasuredKind::Prune),
            Command::Forget(options) => (Some(options.run.metrics.clone()?), MeasuredKind::Prune),
            Command::Du(options) => (Some(options.metrics.clone()?), MeasuredKind::Count),
            Command::Schedule(options) if options.removes() => (None, MeasuredKind::Prune),
            _ => return None,
        };
        let is_printed = matches!(command, Command::Schedule(options) if options.prints_metrics());
        let (global, environment) = (global.clone(), environment.clone());
        Some(MeasuredCommand { global, environment, path, is_printed, kind, began: Instant::now() })
    }

    /// Does so where root could not continue as the owner of the store: only to a directory that no other user can change.
    pub fn write_failure_as_root(self) {
        let path = self.path.as_deref().unwrap_or(Path::new("."));
        let path = self.environment.absolute(path);
        match trust::stranger(&trust::ways(path.parent().unwrap_or(&path)), 0) {
            None => self.write_failure(),
            Some(stranger) => {
                complain::note(&format!(
                    "refused as root: cannot write the metrics to {}: {stranger}",
                    path.display()
                ));
            }
        }
    }

    /// Writes that the command failed before it could use the store. The last success comes from the history.
    pub fn write_failure(self) {
        self.write_failure_at(real_path, |path| !is_absent(path));
    }

    /// The same where the file system of the store does not respond: its path is not looked at.
    pub fn write_unresponsive(self) {
        self.write_failure_at(Path::to_path_buf, |_| true);
    }

    fn write_failure_at(self, real_path: fn(&Path) -> PathBuf, exists: fn(&Path) -> bool) {
        let MeasuredCommand { global, environment, path, is_printed, kind, began } = self;
        let session = Session::configured(global.clone(), environment.clone())
            .unwrap_or_else(|_| Session::new(global, environment));
        let configured = session.configuration.metrics.as_ref().map(|it| it.value.clone());
        let path = path.map(|path| session.environment.absolute(&path)).or(configured);
        if path.is_none() && !is_printed {
            return;
        }
        let store = session.store();
        // An invalid configuration may name another store than the default.
        let is_known = |path: &PathBuf| store.origin != Origin::Default || exists(path);
        let store = store.value.filter(is_known).map(|path| real_path(&path));
        let latest = store.as_ref().map(|store| Journal::latest_at(&session.environment, store));
        let mut latest = latest.and_then(Result::ok).unwrap_or_default();
        if kind == MeasuredKind::Prune {
            latest.add(Run::of_failure(store.as_deref(), session.environment.now, began.elapsed()));
        }
        let metrics = StoreMetrics {
            store: &store.as_deref().map(json::text).unwrap_or_default(),
            is_up: false,
            counted: None,
            budget: configured_budget(&session),
            latest: &latest,
        };
        let metrics = metrics.exposition();
        if is_printed {
            complain::is_done(metrics.write_to(io::stdout()));
        }
        if let Some(path) = path {
            complain::is_done(metrics.write(&path));
        }
    }
}
