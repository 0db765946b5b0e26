//! The file of past runs that each store has, and when the next run is due.
//!
//! A line is appended by one `write`. One that a crash or a full disk has torn is passed over when reading, counted
//! and said; the next line begins on a line of its own. The newest [`MOST_LINES`] are kept.
//!
//! A store is known by its real path; whether a run was due is judged by device and inode as well, so that a store
//! that was deleted and made again is not taken for one that was pruned. Where device numbers change at a reboot,
//! a run comes too early once.
//!
//! # Invariants
//!
//! * [`Journal::record`] is called under the lock that `prune` holds on the store: nobody else appends meanwhile.
//! * A failure here never stops a prune: it is an error value.

use super::run::Run;
use crate::cli::env::Environment;
use crate::cli::output::json;
use crate::cli::replace::replace;
use pycstore::pyc::{Magic, SourceHasher};
use pycstore::store::Store;
use pycstore::units::{Age, Moment};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How many lines are kept.
const MOST_LINES: usize = 1000;

/// The name of the file in a store's directory of state.
const NAME: &str = "history.jsonl";

/// The past runs on one store.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    store: String,
    identity: (u64, u64),
}

/// Why past runs cannot be read or a run cannot be recorded.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Neither `XDG_STATE_HOME` nor a home directory is known.
    #[error("no directory for the history: neither XDG_STATE_HOME nor HOME is set")]
    Homeless,
    /// It cannot be read.
    #[error("cannot read the history {}", .path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be written: no permission, read-only, full.
    #[error("cannot record this run in {}", .path.display())]
    Write {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The run is recorded, but old ones cannot be dropped.
    #[error("cannot shorten the history {}", .path.display())]
    Shorten {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Whether a run is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// It is.
    Now,
    /// The last successful run is younger than the interval.
    Later {
        /// When that run began.
        last: Moment,
        /// When the next is due.
        next: Moment,
    },
}

/// What a history file says.
#[derive(Debug, Default, PartialEq)]
pub struct Recorded {
    /// The runs, oldest first as they were appended.
    pub runs: Vec<Run>,
    /// The numbers, from 1, of lines that cannot be understood.
    pub torn: Vec<usize>,
}

impl Journal {
    /// The journal of this store; nothing is made or read yet.
    ///
    /// # Errors
    /// [`JournalError::Homeless`].
    pub fn of_store(environment: &Environment, store: &Store) -> Result<Journal, JournalError> {
        let state = environment.state_directory.as_ref().ok_or(JournalError::Homeless)?;
        // Names are limited to 255 bytes, paths are not.
        let mut hasher = SourceHasher::new("cpython-312", Magic::of(0));
        hasher.update(store.real_path().as_os_str().as_bytes());
        let name = format!("{:016x}", u64::from_le_bytes(hasher.finish()));
        Ok(Journal {
            path: state.join(name).join(NAME),
            store: json::text(store.real_path()),
            identity: store.metadata().identity,
        })
    }

    /// The file's path.
    #[cfg(test)]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a run, and drops the oldest where there are too many.
    ///
    /// # Errors
    /// [`JournalError::Write`] or [`JournalError::Shorten`].
    pub fn record(&self, run: &Run) -> Result<(), JournalError> {
        let path = self.path.clone();
        self.append(run).map_err(|source| JournalError::Write { path: path.clone(), source })?;
        self.shorten().map_err(|source| JournalError::Shorten { path, source })
    }

    /// Whether a run is due at the moment `now` when it should come once an `interval`: measured from the beginning
    /// of the last successful run with the same selectors and scopes to `now`: what was removed by hand says nothing of
    /// the rest of the store. A run that began in the future, by a clock that was wrong then or is
    /// wrong now, holds up nothing.
    ///
    /// # Errors
    /// [`JournalError::Read`]: nobody knows.
    pub fn due(&self, interval: Age, selectors: &[String], now: Moment) -> Result<Due, JournalError> {
        let recorded = read(&self.path)?;
        let ours = |run: &&Run| {
            run.store == self.store && (run.device, run.inode) == self.identity && run.selectors == selectors
        };
        let Some(last) = recorded.runs.iter().filter(ours).rfind(|run| run.is_success()) else {
            return Ok(Due::Now);
        };
        let age = now.seconds_since(last.started);
        if age < 0 || age >= interval.seconds() {
            return Ok(Due::Now);
        }
        let seconds = last.started.seconds.saturating_add(interval.seconds());
        Ok(Due::Later { last: last.started, next: Moment { seconds, ..last.started } })
    }

    /// The newest run, however it ended.
    ///
    /// # Errors
    /// [`JournalError::Read`].
    pub fn last(&self) -> Result<Option<Run>, JournalError> {
        let runs = read(&self.path)?.runs;
        Ok(runs.into_iter().filter(|run| run.store == self.store).max_by_key(|run| run.started))
    }

    fn append(&self, run: &Run) -> io::Result<()> {
        if let Some(directory) = self.path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&self.path)?;
        let length = file.metadata()?.len();
        let mut line = Vec::new();
        if length > 0 && !ends_in_newline(&file, length)? {
            line.push(b'\n');
        }
        json::print(&mut line, run)?;
        let written = loop {
            match file.write(&line) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                answer => break answer?,
            }
        };
        if written < line.len() {
            // The disk is full: half a line helps nobody. If it cannot be taken back, readers pass over it.
            let _ = file.set_len(length);
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn shorten(&self) -> io::Result<()> {
        let contents = std::fs::read(&self.path)?;
        let lines: Vec<&[u8]> = lines(&contents).collect();
        if lines.len() <= MOST_LINES {
            return Ok(());
        }
        let mut newest = lines[lines.len() - MOST_LINES..].join(&b'\n');
        newest.push(b'\n');
        replace(&self.path, &newest, 0o600)
    }
}

/// A history file and what it says.
pub type History = (PathBuf, Result<Recorded, JournalError>);

/// The past runs on all stores, file by file. A directory of state that is not there has none.
///
/// # Errors
/// When the directory of state cannot be read; what fails for one store stands in its place.
pub fn read_all(state: &Path) -> Result<Vec<History>, JournalError> {
    let failed = |source| JournalError::Read { path: state.to_path_buf(), source };
    let entries = match std::fs::read_dir(state) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        answer => answer.map_err(failed)?,
    };
    let mut all = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path().join(NAME);
        all.push((path.clone(), read(&path)));
    }
    all.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(all)
}

/// The newest run on the store with this real path that had these selectors and scopes.
///
/// # Errors
/// When the directory of state or a history in it cannot be read.
pub fn newest(state: &Path, store: &Path, selectors: &[String]) -> Result<Option<Run>, JournalError> {
    let store = json::text(store);
    let mut newest: Option<Run> = None;
    for (_, recorded) in read_all(state)? {
        for run in recorded?.runs {
            let is_newer = newest.as_ref().is_none_or(|newest| run.started >= newest.started);
            if run.store == store && run.selectors == selectors && is_newer {
                newest = Some(run);
            }
        }
    }
    Ok(newest)
}

/// Reads a history file; one that is not there is empty.
fn read(path: &Path) -> Result<Recorded, JournalError> {
    let mut contents = Vec::new();
    match File::open(path).and_then(|mut file| file.read_to_end(&mut contents)) {
        Ok(_) => {}
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Recorded::default());
        }
        Err(source) => return Err(JournalError::Read { path: path.to_path_buf(), source }),
    }
    Ok(Recorded::parse(&contents))
}

impl Recorded {
    /// Reads the contents of a history file. A line that cannot be understood is passed over.
    pub fn parse(contents: &[u8]) -> Recorded {
        let mut recorded = Recorded::default();
        for (index, line) in lines(contents).enumerate() {
            match json::parse(line) {
                Ok(run) => recorded.runs.push(run),
                Err(_) => recorded.torn.push(index + 1),
            }
        }
        recorded
    }
}

/// The lines, without the nothing after the last newline.
fn lines(contents: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ended = contents.strip_suffix(b"\n").unwrap_or(contents);
    ended.split(|&byte| byte == b'\n').filter(move |_| !contents.is_empty())
}

fn ends_in_newline(file: &File, length: u64) -> io::Result<bool> {
    let mut last = [0];
    file.read_exact_at(&mut last, length - 1)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{run, store};
    use super::*;
    use crate::cli::exit::Exit;
    use std::os::unix::fs::{MetadataExt, symlink};

    struct Place {
        temporary: tempfile::TempDir,
        environment: Environment,
        store: Store,
    }

    impl Place {
        fn new() -> Place {
            let temporary = tempfile::tempdir().unwrap();
            let environment = Environment::of_test(temporary.path().to_str().unwrap());
            let store = store(&temporary, "store");
            Place { temporary, environment, store }
        }

        fn journal(&self) -> Journal {
            Journal::of_store(&self.environment, &self.store).unwrap()
        }

        fn run(&self, started: i64, exit: Exit) -> Run {
            run(&self.store, started, 1, exit)
        }
    }

    fn seconds(recorded: &Recorded) -> Vec<i64> {
        recorded.runs.iter().map(|run| run.started.seconds).collect()
    }

    fn at(seconds: i64) -> Moment {
        Moment { seconds, nanoseconds: 0 }
    }

    #[test]
    fn runs_are_appended_for_us_alone() {
        let place = Place::new();
        let journal = place.journal();
        assert!(journal.path().starts_with(place.temporary.path().join(".local/state/pycstore")));
        assert_eq!(read(journal.path()).unwrap(), Recorded::default());
        journal.record(&place.run(100, Exit::Done)).unwrap();
        journal.record(&place.run(200, Exit::Incomplete)).unwrap();
        let recorded = read(journal.path()).unwrap();
        assert_eq!(recorded.runs, [place.run(100, Exit::Done), place.run(200, Exit::Incomplete)]);
        let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
        assert_eq!(mode(journal.path()), 0o600);
        for directory in journal.path().ancestors().skip(1).take(4) {
            assert_eq!(mode(directory), 0o700, "{}", directory.display());
        }
    }

    #[test]
    fn each_store_has_its_own() {
        let place = Place::new();
        let other = store(&place.temporary, "other");
        let others = Journal::of_store(&place.environment, &other).unwrap();
        place.journal().record(&place.run(100, Exit::Done)).unwrap();
        others.record(&run(&other, 200, 1, Exit::Done)).unwrap();
        assert_ne!(others.path(), place.journal().path());
        let state = place.environment.state_directory.as_deref().unwrap();
        let all = read_all(state).unwrap();
        let mut starts: Vec<_> =
            all.iter().flat_map(|(_, recorded)| seconds(recorded.as_ref().unwrap())).collect();
        starts.sort();
        assert_eq!(starts, [100, 200]);
        assert_eq!(read_all(&state.join("missing")).unwrap().len(), 0);
    }

    #[test]
    fn a_torn_line_spoils_no_other() {
        let place = Place::new();
        let journal = place.journal();
        journal.record(&place.run(100, Exit::Done)).unwrap();
        let whole = std::fs::read(journal.path()).unwrap();
        for cut in [1, whole.len() / 2, whole.len() - 2] {
            let torn = [&whole[..], &whole[..cut]].concat();
            std::fs::write(journal.path(), torn).unwrap();
            let recorded = read(journal.path()).unwrap();
            assert_eq!((seconds(&recorded), &recorded.torn[..]), (vec![100], &[2][..]), "cut at {cut}");
            journal.record(&place.run(300, Exit::Done)).unwrap();
            let recorded = read(journal.path()).unwrap();
            assert_eq!((seconds(&recorded), &recorded.torn[..]), (vec![100, 300], &[2][..]), "cut at {cut}");
        }
        // Only the newline is missing: nothing is lost.
        std::fs::write(journal.path(), &whole[..whole.len() - 1]).unwrap();
        journal.record(&place.run(300, Exit::Done)).unwrap();
        let recorded = read(journal.path()).unwrap();
        assert_eq!((seconds(&recorded), recorded.torn.len()), (vec![100, 300], 0));
        // What a power cut leaves.
        std::fs::write(journal.path(), [&whole[..], &[0; 300]].concat()).unwrap();
        assert_eq!(read(journal.path()).unwrap().torn, [2]);
    }

    #[test]
    fn the_newest_thousand_are_kept() {
        let place = Place::new();
        let journal = place.journal();
        journal.record(&place.run(0, Exit::Done)).unwrap();
        let line = std::fs::read(journal.path()).unwrap();
        std::fs::write(journal.path(), line.repeat(MOST_LINES - 1)).unwrap();
        let inode = journal.path().metadata().unwrap().ino();
        journal.record(&place.run(1, Exit::Done)).unwrap();
        assert_eq!(read(journal.path()).unwrap().runs.len(), MOST_LINES);
        assert_eq!(journal.path().metadata().unwrap().ino(), inode, "nothing to drop yet");
        for started in 2..5 {
            journal.record(&place.run(started, Exit::Done)).unwrap();
        }
        let recorded = read(journal.path()).unwrap();
        assert_eq!((recorded.runs.len(), recorded.torn.len()), (MOST_LINES, 0));
        assert_eq!(seconds(&recorded)[MOST_LINES - 5..], [0, 1, 2, 3, 4]);
        assert_eq!(journal.path().metadata().unwrap().mode() & 0o777, 0o600);
        let names = std::fs::read_dir(journal.path().parent().unwrap()).unwrap();
        assert_eq!(names.count(), 1, "no temporary file stays");
    }

    #[test]
    fn what_cannot_be_written_is_an_error() {
        let place = Place::new();
        // A file where the directory should be stops root as well.
        std::fs::write(place.temporary.path().join(".local"), "").unwrap();
        let error = place.journal().record(&place.run(0, Exit::Done)).unwrap_err();
        assert!(matches!(error, JournalError::Write { .. }), "{error:?}");
        assert!(error.to_string().starts_with("cannot record this run in /"), "{error}");
        assert!(place.journal().due(Age::of_seconds(60), &[], at(0)).is_ok(), "and nobody recorded anything");
        let homeless = Environment { state_directory: None, ..place.environment };
        assert!(matches!(Journal::of_store(&homeless, &place.store), Err(JournalError::Homeless)));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error() {
        let place = Place::new();
        let journal = place.journal();
        std::fs::create_dir_all(journal.path().parent().unwrap()).unwrap();
        symlink("/dev/full", journal.path()).unwrap();
        match journal.record(&place.run(0, Exit::Done)).unwrap_err() {
            JournalError::Write { source, .. } => assert_eq!(source.kind(), io::ErrorKind::StorageFull),
            other => panic!("{other:?}"),
        }
    }

    /// Those of every [`Place::run`].
    fn selectors() -> Vec<String> {
        vec!["orphans".into(), "stale".into()]
    }

    #[test]
    fn a_run_is_due_when_the_last_successful_one_is_old_enough() {
        let place = Place::new();
        let journal = place.journal();
        let day = Age::of_seconds(86_400);
        let due = |now| journal.due(day, &selectors(), at(now)).unwrap();
        assert_eq!(due(1000), Due::Now, "nothing is recorded");
        journal.record(&place.run(1000, Exit::Incomplete)).unwrap();
        assert_eq!(due(1001), Due::Now, "that was no success");
        journal.record(&place.run(2000, Exit::Done)).unwrap();
        journal.record(&place.run(3000, Exit::Incomplete)).unwrap();
        let later = Due::Later { last: at(2000), next: at(88_400) };
        assert_eq!((due(2000), due(3001), due(88_399)), (later, later, later));
        assert_eq!(due(88_400), Due::Now);
        assert_eq!(journal.due(Age::default(), &selectors(), at(2000)).unwrap(), Due::Now, "no interval");
    }

    #[test]
    fn what_was_removed_by_hand_is_not_the_nightly_run() {
        let place = Place::new();
        let journal = place.journal();
        let by_hand = Run {
            selectors: vec!["orphans".into(), "under /home/me/one".into()],
            ..place.run(1000, Exit::Done)
        };
        journal.record(&by_hand).unwrap();
        assert_eq!(journal.due(Age::of_seconds(86_400), &selectors(), at(1001)).unwrap(), Due::Now);
    }

    #[test]
    fn a_wrong_clock_does_not_block() {
        let place = Place::new();
        let journal = place.journal();
        let day = Age::of_seconds(86_400);
        journal.record(&place.run(4_000_000_000, Exit::Done)).unwrap();
        assert_eq!(journal.due(day, &selectors(), at(1_700_000_000)).unwrap(), Due::Now);
        // From then on the line that was appended last counts, not the one with the latest date.
        journal.record(&place.run(1_700_000_000, Exit::Done)).unwrap();
        let later = Due::Later { last: at(1_700_000_000), next: at(1_700_086_400) };
        assert_eq!(journal.due(day, &selectors(), at(1_700_000_060)).unwrap(), later);
    }

    #[test]
    fn a_store_made_again_was_not_pruned() {
        let place = Place::new();
        let journal = place.journal();
        let day = Age::of_seconds(86_400);
        let elsewhere = Run { inode: u64::MAX, ..place.run(1000, Exit::Done) };
        journal.record(&elsewhere).unwrap();
        assert_eq!(journal.due(day, &selectors(), at(1001)).unwrap(), Due::Now);
        let another = Run { store: "/another".into(), ..place.run(1000, Exit::Done) };
        journal.record(&another).unwrap();
        assert_eq!(journal.due(day, &selectors(), at(1001)).unwrap(), Due::Now);
    }
}
