//! What the unit tests of the history and of the metrics share: a store and a run.

use pycstore::effect::outcome::Outcome;
use pycstore::exit::Exit;
use pycstore::history::Run;
use pycstore::store::{Purpose, Store};
use pycstore::units::Moment;
use pycstore::units::Tally;
use std::time::Duration;

/// A store in a temporary directory.
pub fn store(temporary: &tempfile::TempDir, name: &str) -> Store {
    let path = temporary.path().canonicalize().unwrap().join(name);
    std::fs::create_dir_all(&path).unwrap();
    Store::open(&path, &[], Purpose::Look).unwrap()
}

/// A run that began at this second and removed so many files.
pub fn run(store: &Store, started: i64, files: u64, exit: Exit) -> Run {
    let removed = Tally { files, bytes: files * 10, disk: files * 4096 };
    let outcome = Outcome { removed, directories: 1, ..Outcome::default() };
    let started = Moment { seconds: started, nanoseconds: 0 };
    Run::new(
        store,
        started,
        Duration::from_millis(1234),
        &["orphans", "stale"].map(String::from),
        &outcome,
        exit,
    )
}
