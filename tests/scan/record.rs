//! Runs a scan and keeps all that it says.

use pycstore::host::pool::Threads;
use pycstore::pyc::{StatedMagics, UncheckedHashes};
use pycstore::source::Evidence;
use pycstore::store::scan::{Question, Scan, Trouble, Visit, Visitor};
use pycstore::store::{Purpose, Store};
use pycstore::verdict::status;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// What is known of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The status's name and its reason; `None` when the question did not go so far.
    pub status: Option<(&'static str, Option<&'static str>)>,
    /// Device, inode and length, if the question went so far.
    pub identity: Option<(u64, u64, u64)>,
}

/// All that a scan or a walk found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Every file.
    pub files: BTreeMap<PathBuf, Known>,
    /// Every directory that could be read, and how many directories it has.
    pub directories: BTreeMap<PathBuf, usize>,
    /// The paths of what could not be read.
    pub troubles: BTreeSet<PathBuf>,
}

/// How a scan is made.
#[derive(Debug, Clone, Copy)]
pub enum Resolving {
    /// As this machine's kernel allows it.
    AsUsual,
    /// As where it refuses `openat2`.
    ByComponents,
}

/// Both questions.
pub const QUESTIONS: [Question; 2] = [Question::Orphans, Question::Everything(UncheckedHashes::Trust)];

/// Every combination of question, way to resolve and number of threads that the tests go through.
pub fn manners() -> Vec<(Question, Resolving, Threads)> {
    let mut manners = Vec::new();
    for question in QUESTIONS {
        for resolving in [Resolving::AsUsual, Resolving::ByComponents] {
            for threads in [Threads::exactly(1), Threads::exactly(7), Threads::default()] {
                manners.push((question, resolving, threads));
            }
        }
    }
    manners
}

/// What one worker saw, in its order.
struct Recorder<'a> {
    store: &'a Store,
    files: Vec<(PathBuf, Known)>,
    directories: Vec<(PathBuf, usize)>,
    troubles: Vec<Trouble>,
}

impl Visitor for Recorder<'_> {
    fn directory(&mut self, visit: &Visit<'_>) {
        let path = self.store.shown(visit.relative, b"");
        assert!(visit.entries.is_sorted_by_key(|entry| entry.name), "{}: not sorted", path.display());
        // Whatever it is, finding out whose it is must not fail.
        assert!(visit.owner().root.is_absolute());
        for entry in visit.entries {
            let status = status::judge(entry, UncheckedHashes::Trust);
            let status = status.map(|status| (status.name(), status.reason()));
            let identity = entry.metadata.map(|it| (it.identity.0, it.identity.1, it.bytes));
            let file = path.join(OsStr::from_bytes(entry.name));
            self.files.push((file, Known { status, identity }));
        }
        self.directories.push((path, visit.directories));
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.troubles.push(trouble);
    }
}

/// A scan's answer, which may have what a [`Found`] has no place for: the same name twice.
pub struct Recorded {
    pub files: Vec<(PathBuf, Known)>,
    pub directories: Vec<(PathBuf, usize)>,
    pub troubles: Vec<Trouble>,
}

/// Scans the store at `path`.
pub fn scan(path: &Path, question: Question, resolving: Resolving, threads: Threads) -> Recorded {
    let mut store = Store::open(path, &[], Purpose::Look).unwrap();
    if let Resolving::ByComponents = resolving {
        store.set_resolver(pycstore::host::directory::Resolver::Components);
    }
    // Nothing is known of mounts: nothing there stands against a verdict.
    let evidence = Evidence { store: path.to_path_buf(), ..Evidence::default() };
    let stop = AtomicBool::new(false);
    let magics = StatedMagics::default();
    let scan = Scan {
        store: &store,
        evidence: &evidence,
        magics: &magics,
        question,
        threads,
        within: &[],
        stop: &stop,
    };
    let new_recorder =
        || Recorder { store: &store, files: Vec::new(), directories: Vec::new(), troubles: Vec::new() };
    let mut recorded = Recorded { files: Vec::new(), directories: Vec::new(), troubles: Vec::new() };
    for part in scan.run(new_recorder, |_| {}) {
        recorded.files.extend(part.files);
        recorded.directories.extend(part.directories);
        recorded.troubles.extend(part.troubles);
    }
    recorded
}

impl Recorded {
    /// The same as sets.
    ///
    /// # Panics
    /// Where the scan named something twice.
    #[track_caller]
    pub fn found(self) -> Found {
        let mut found = Found::default();
        for (path, known) in self.files {
            let shown = path.clone();
            assert!(found.files.insert(path, known).is_none(), "twice: {}", shown.display());
        }
        for (path, directories) in self.directories {
            let shown = path.clone();
            assert!(found.directories.insert(path, directories).is_none(), "twice: {}", shown.display());
        }
        for trouble in self.troubles {
            assert!(found.troubles.insert(trouble.path().to_path_buf()), "twice: {trouble}");
        }
        found
    }
}
