//! The file of past runs of `prune` and `share` on a store, and when the next run is due.
//!
//! A record is a line, appended by one `write`. If a crash or a full disk truncated a record, reading skips and reports
//! it, and the next record begins a new line. The newest `MOST_LINES` are kept, and at most `MOST_BYTES`.
//!
//! The file is untrusted input: only a regular file of limited size is read, and nothing is appended through a symbolic
//! link. Root does not write a file that another user could have changed, and ignores it when deciding whether a run is
//! due.
//!
//! A store is identified by its real path. Whether a run is due also depends on device and inode, so that a store that
//! was deleted and created again does not count as pruned. If device numbers change at a reboot, one run comes too
//! early.
//!
//! # Invariants
//!
//! * [`Journal::record`] is called under the lock that `prune` holds on the store. A run that found the store locked is
//!   appended without it, which is harmless.
//! * A failure here never stops a prune: it is an error value.

use super::run::{Locked, Run};
use crate::edits::replace::replace;
use crate::environment::Environment;
use crate::host::input;
use crate::json;
use crate::pyc::{Magic, SourceHasher};
use crate::store::Store;
use crate::units::{Age, Moment};
use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Maximum number of lines that are kept.
const MOST_LINES: usize = 1000;

/// Maximum number of bytes that are kept and read. A line may have as many paths as a command line.
const MOST_BYTES: u64 = 16 << 20;

/// The name of the file in a store's directory of state.
const NAME: &str = "history.jsonl";

/// The name of the file beside it that a prune locks.
const LOCK: &str = "lock";

/// The past runs on one store.
#[derive(Debug, Clone)]
pub struct Journal {
    path: PathBuf,
    store: String,
    identity: (u64, u64),
}

/// Why past runs cannot be read or a run cannot be recorded.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// `XDG_STATE_HOME` is not set, and the user's home directory is unknown or does not exist.
    #[error("no directory for the history: XDG_STATE_HOME is not set, and there is no home directory")]
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

/// The lock on a store in the state directory.
#[derive(Debug)]
pub enum StateLock {
    /// It is ours as long as the file is open.
    Ours(File),
    /// Another process holds it; the file's device and inode.
    Others((u64, u64)),
}

/// The newest runs of `prune` in the order in which they were appended. Runs of `share` are not among them: they do not
/// show whether the store is pruned.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Latest {
    /// The last run that had the lock.
    pub run: Option<Run>,
    /// The last successful run that was not of named entries: a `forget` by hand does not show that the nightly prune runs.
    pub success: Option<Run>,
    /// Since then, the last run that found the store locked.
    pub locked: Option<Locked>,
}

impl Latest {
    /// Adds a newer run.
    pub fn add(&mut self, run: Run) {
        if run.locked.is_some() {
            self.locked = run.locked;
            return;
        }
        self.locked = None;
        if run.is_success() && !run.is_of_named_entries() {
            self.success = Some(run.clone());
        }
        self.run = Some(run);
    }
}

/// The contents of a history file.
#[derive(Debug, Default, PartialEq)]
pub struct Recorded {
    /// The runs, oldest first as they were appended.
    pub runs: Vec<Run>,
    /// The numbers, from 1, of lines that cannot be parsed.
    pub torn: Vec<usize>,
}

impl Journal {
    /// Returns the journal of this store; creates and reads nothing.
    ///
    /// # Errors
    /// [`JournalError::Homeless`].
    pub fn of_store(environment: &Environment, store: &Store) -> Result<Journal, JournalError> {
        Journal::new(environment, store.real_path(), store.metadata().identity)
    }

    /// Returns the last runs on a store with this real path that cannot be opened.
    ///
    /// # Errors
    /// [`JournalError::Homeless`] and [`JournalError::Read`].
    pub fn latest_at(environment: &Environment, store: &Path) -> Result<Latest, JournalError> {
        Journal::new(environment, store, Default::default())?.latest()
    }

    fn new(environment: &Environment, store: &Path, identity: (u64, u64)) -> Result<Journal, JournalError> {
        let state = environment.state_directory.as_ref().ok_or(JournalError::Homeless)?;
        // Names are limited to 255 bytes, paths are not.
        let mut hasher = SourceHasher::new("cpython-312", Magic::of(0));
        hasher.update(store.as_os_str().as_bytes());
        let name = format!("{:016x}", u64::from_le_bytes(hasher.finish()));
        Ok(Journal { path: state.join(name).join(NAME), store: json::text(store), identity })
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
        let file = self.append(run).map_err(|source| JournalError::Write { path: path.clone(), source })?;
        // Without the lock, later: another process may append meanwhile.
        let most_lines = if run.locked.is_some() { 2 * MOST_LINES } else { MOST_LINES };
        self.shorten(file, most_lines).map_err(|source| JournalError::Shorten { path, source })
    }

    /// Takes the lock beside the history, without waiting. Other users cannot open that directory, unlike the store, and
    /// so cannot hold its lock.
    ///
    /// # Errors
    /// Where the file cannot be made or locked.
    pub fn lock(&self) -> io::Result<StateLock> {
        self.prepare_directory()?;
        let file = input::open_to_append(&self.path.with_file_name(LOCK))?;
        match file.try_lock() {
            Ok(()) => Ok(StateLock::Ours(file)),
            Err(TryLockError::WouldBlock) => {
                let metadata = file.metadata()?;
                Ok(StateLock::Others((metadata.dev(), metadata.ino())))
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Whether a run is due at the moment `now`: whether the last successful run with the same selectors and scopes
    /// began at least one `interval` ago. Other runs do not count, because they may have covered only a part of the
    /// store. A run that began in the future (one of the clocks is wrong) is ignored.
    ///
    /// # Errors
    /// [`JournalError::Read`]: unknown whether a run is due.
    pub fn due(&self, interval: Age, selectors: &[String], now: Moment) -> Result<Due, JournalError> {
        let recorded = read(&self.path)?;
        let failed = |source| JournalError::Read { path: self.path.clone(), source };
        input::refuse_strangers(&self.path).map_err(failed)?;
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

    /// The newest runs of `prune` on this store.
    ///
    /// # Errors
    /// [`JournalError::Read`].
    pub fn latest(&self) -> Result<Latest, JournalError> {
        let mut latest = Latest::default();
        let prunes = |run: &Run| run.store == self.store && !run.is_share();
        read(&self.path)?.runs.into_iter().filter(prunes).for_each(|run| latest.add(run));
        Ok(latest)
    }

    fn prepare_directory(&self) -> io::Result<()> {
        input::refuse_strangers(&self.path)?;
        let directory = self.path.parent().unwrap_or(&self.path);
        DirBuilder::new().recursive(true).mode(0o700).create(directory)
    }

    fn append(&self, run: &Run) -> io::Result<File> {
        self.prepare_directory()?;
        let mut file = input::open_to_append(&self.path)?;
        write_line(&mut file, run)?;
        Ok(file)
    }

    fn shorten(&self, mut file: File, most_lines: usize) -> io::Result<()> {
        let length = file.metadata()?.len();
        let start = length.saturating_sub(MOST_BYTES);
        file.seek(SeekFrom::Start(start))?;
        let mut tail = Vec::new();
        file.take(MOST_BYTES).read_to_end(&mut tail)?;
        // It begins within a line, unless it is the whole file.
        let lines: Vec<&[u8]> = lines(&tail).skip(usize::from(start > 0)).collect();
        if start == 0 && lines.len() <= most_lines {
            return Ok(());
        }
        let mut kept = Vec::new();
        for line in newest_lines(lines) {
            kept.extend_from_slice(line);
            kept.push(b'\n');
        }
        replace(&self.path, &kept, 0o600)
    }
}

/// Appends a run as a line to a file that is open for appending.
fn write_line(file: &mut File, run: &Run) -> io::Result<()> {
    let length = file.metadata()?.len();
    let mut line = Vec::new();
    if length > 0 && !ends_in_newline(file, length)? {
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

/// Returns the [`MOST_LINES`] to keep. Of consecutive runs that found the store locked, only the last is kept: it has
/// their number.
fn newest_lines(lines: Vec<&[u8]>) -> Vec<&[u8]> {
    let is_locked = |line: &[u8]| json::parse::<Run>(line).is_ok_and(|run| run.locked.is_some());
    let are_locked: Vec<bool> = lines.iter().map(|line| is_locked(line)).collect();
    let is_repeated = |index: usize| are_locked[index..].starts_with(&[true, true]);
    let kept = lines.into_iter().enumerate().filter(|(index, _)| !is_repeated(*index));
    let mut kept: Vec<&[u8]> = kept.map(|(_, line)| line).collect();
    kept.split_off(kept.len().saturating_sub(MOST_LINES))
}

/// A history file and its contents.
pub type History = (PathBuf, Result<Recorded, JournalError>);

/// Returns the past runs on all stores, file by file; none if the state directory does not exist.
///
/// # Errors
/// If the state directory cannot be read. An error with one store is in the place of its runs.
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

/// The newest run on the store with this real path that had the lock, and these selectors and scopes.
///
/// # Errors
/// If the state directory or a history in it cannot be read.
pub fn newest(state: &Path, store: &Path, selectors: &[String]) -> Result<Option<Run>, JournalError> {
    let store = json::text(store);
    let mut newest: Option<Run> = None;
    for (_, recorded) in read_all(state)? {
        for run in recorded?.runs {
            let is_newer = newest.as_ref().is_none_or(|newest| run.started >= newest.started);
            let is_it = run.store == store && run.selectors == selectors && run.locked.is_none();
            if is_it && is_newer {
                newest = Some(run);
            }
        }
    }
    Ok(newest)
}

/// Reads a history file; empty if it does not exist.
fn read(path: &Path) -> Result<Recorded, JournalError> {
    let failed = |source| JournalError::Read { path: path.to_path_buf(), source };
    let contents = match input::read(path, MOST_BYTES) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Recorded::default());
        }
        answer => answer.map_err(failed)?,
    };
    Ok(Recorded::parse(&contents))
}

impl Recorded {
    /// Reads the contents of a history file. Skips lines that cannot be parsed.
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

/// Returns the lines, without an empty one after the last newline.
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
    use crate::exit::Exit;
    use crate::host::input::tests::hostile_files;
    use std::error::Error;
    use std::os::unix::fs::symlink;

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
        let mut full = File::options().append(true).open("/dev/full").unwrap();
        let error = write_line(&mut full, &Place::new().run(0, Exit::Done)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn whatever_is_in_the_place_of_the_history_is_an_error_and_nothing_waits() {
        let place = Place::new();
        let journal = place.journal();
        let directory = journal.path().parent().unwrap();
        std::fs::create_dir_all(directory).unwrap();
        for path in hostile_files(place.temporary.path()) {
            symlink(&path, journal.path()).unwrap();
            let error = journal.record(&place.run(0, Exit::Done)).unwrap_err();
            assert!(matches!(error, JournalError::Write { .. }), "{path:?}: {error:?}");
            assert!(matches!(read(journal.path()), Err(JournalError::Read { .. })), "{path:?}");
            assert!(journal.due(Age::of_seconds(60), &[], at(0)).is_err(), "{path:?}");
            std::fs::remove_file(journal.path()).unwrap();
        }
        // The same without a link.
        for name in ["pipe", "directory", "socket"] {
            std::fs::rename(place.temporary.path().join(name), journal.path()).unwrap();
            assert!(journal.record(&place.run(0, Exit::Done)).is_err(), "{name}");
            assert!(read(journal.path()).is_err(), "{name}");
            std::fs::rename(journal.path(), place.temporary.path().join(name)).unwrap();
        }
    }

    #[test]
    fn a_history_that_is_too_large_is_not_read_and_the_next_run_cuts_it() {
        let place = Place::new();
        let journal = place.journal();
        journal.record(&place.run(100, Exit::Done)).unwrap();
        let file = File::options().write(true).open(journal.path()).unwrap();
        file.set_len(100 << 30).unwrap();
        let error = read(journal.path()).unwrap_err();
        assert_eq!(error.source().unwrap().to_string(), "it has more than 16777216 bytes");
        journal.record(&place.run(200, Exit::Done)).unwrap();
        assert_eq!(
            read(journal.path()).unwrap(),
            Recorded { runs: vec![place.run(200, Exit::Done)], torn: vec![] }
        );
        // Lines that are as long as a command line may be.
        let long = Run { selectors: vec!["x".repeat(9 << 20)], ..place.run(300, Exit::Done) };
        for _ in 0..2 {
            journal.record(&long).unwrap();
        }
        assert!(journal.path().metadata().unwrap().len() <= MOST_BYTES);
        assert_eq!(seconds(&read(journal.path()).unwrap()), [300]);
    }

    fn locked(place: &Place, started: i64, runs: u64) -> Run {
        let locked = Locked { process: Some(7), user: Some(1), command: Some("x".into()), runs };
        Run { locked: Some(locked), ..place.run(started, Exit::Done) }
    }

    #[test]
    fn runs_that_found_the_store_locked_are_told_apart() {
        let place = Place::new();
        let journal = place.journal();
        assert_eq!(journal.latest().unwrap(), Latest::default());
        let (good, bad) = (place.run(100, Exit::Done), place.run(200, Exit::Incomplete));
        journal.record(&good).unwrap();
        journal.record(&bad).unwrap();
        for runs in 1..4 {
            journal.record(&locked(&place, 300, runs)).unwrap();
        }
        let latest = journal.latest().unwrap();
        assert_eq!((latest.run, latest.success), (Some(bad), Some(good.clone())));
        assert_eq!(latest.locked.unwrap().runs, 3);
        let later = Due::Later { last: at(100), next: at(1100) };
        assert_eq!(journal.due(Age::of_seconds(1000), &selectors(), at(400)).unwrap(), later);
        journal.record(&place.run(400, Exit::Done)).unwrap();
        assert_eq!(journal.latest().unwrap().locked, None);
    }

    #[test]
    fn a_store_that_stays_locked_displaces_no_other_run() {
        let place = Place::new();
        let journal = place.journal();
        for started in 0..3 {
            journal.record(&place.run(started, Exit::Done)).unwrap();
        }
        let line = |runs| {
            let mut line = Vec::new();
            json::print(&mut line, &locked(&place, 5, runs)).unwrap();
            line
        };
        let mut text = std::fs::read(journal.path()).unwrap();
        text.extend((1..=1998).flat_map(line));
        std::fs::write(journal.path(), &text).unwrap();
        journal.record(&locked(&place, 6, 1999)).unwrap();
        let recorded = read(journal.path()).unwrap();
        assert_eq!((seconds(&recorded), &recorded.torn[..]), (vec![0, 1, 2, 6], &[][..]));
        assert_eq!(journal.latest().unwrap().locked.unwrap().runs, 1999);
    }

    #[test]
    fn one_process_at_a_time_has_the_lock() {
        let place = Place::new();
        let journal = place.journal();
        let StateLock::Ours(file) = journal.lock().unwrap() else { panic!("nobody has it") };
        let metadata = file.metadata().unwrap();
        assert_eq!(metadata.mode() & 0o777, 0o600);
        let identity = (metadata.dev(), metadata.ino());
        assert!(matches!(journal.lock().unwrap(), StateLock::Others(other) if other == identity));
        drop(file);
        assert!(matches!(journal.lock().unwrap(), StateLock::Ours(_)));
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
