//! All that a scan says of each file, for tests of single facts.

use pycstore::host::pool::Threads;
use pycstore::host::volumes::Mounts;
use pycstore::pyc::{StatedMagics, UncheckedHashes};
use pycstore::source::owner::{Life, OwnerKind, Presence};
use pycstore::source::{Ground, Source};
use pycstore::store::entry::Entry;
use pycstore::store::scan::{Question, Scan, Trouble, Visit, Visitor};
use pycstore::store::{Purpose, Store};
use pycstore::verdict::status;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// What is said of one file.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// The status's name, and its reason.
    pub status: Option<(&'static str, Option<&'static str>)>,
    /// Where its source is or was.
    pub source: Option<PathBuf>,
    /// Whether the source was hashed, and to what.
    pub hash: Option<Result<[u8; 8], &'static str>>,
    /// Whose it is, what that is, whether it is there, and the environment.
    pub owner: (PathBuf, OwnerKind, Life, Option<PathBuf>),
    /// What became of its directory of sources.
    pub sources: Presence,
}

/// What is said of an entry.
pub fn fact(visit: &Visit<'_>, entry: &Entry<'_>) -> Fact {
    let owner = visit.owner();
    Fact {
        status: status::judge(entry, UncheckedHashes::Trust).map(|status| (status.name(), status.reason())),
        source: entry.source_path(&visit.source_directory()),
        hash: match entry.source {
            Source::Present(source) => source.hash.map(|hash| hash.map_err(|why| why.name())),
            _ => None,
        },
        owner: (owner.root.clone(), owner.kind, owner.life, owner.environment.clone()),
        sources: visit.sources,
    }
}

/// What a scan said.
#[derive(Debug, Default)]
pub struct Facts {
    /// Of each file.
    pub files: BTreeMap<PathBuf, Fact>,
    /// The directories, and whether their metadata was asked for.
    pub directories: BTreeMap<PathBuf, (Presence, bool)>,
    /// What could not be read.
    pub troubles: Vec<Trouble>,
}

/// A worker's part, and what it does with each directory before anything else.
struct Recorder<'a> {
    store: &'a Store,
    act: &'a (dyn Fn(&Path) + Sync),
    facts: Facts,
}

impl Visitor for Recorder<'_> {
    fn directory(&mut self, visit: &Visit<'_>) {
        let path = self.store.shown(visit.relative, b"");
        for entry in visit.entries {
            self.facts.files.insert(path.join(OsStr::from_bytes(entry.name)), fact(visit, entry));
        }
        (self.act)(&path);
        self.facts.directories.insert(path, (visit.sources, visit.metadata.is_some()));
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.facts.troubles.push(trouble);
    }
}

/// A scan to be made.
pub struct Wanted<'a> {
    pub question: Question,
    /// Only the mirrors of these; everything when empty.
    pub within: &'a [PathBuf],
    /// What happens when a directory was seen, and those in it not yet.
    pub act: &'a (dyn Fn(&Path) + Sync),
}

impl Wanted<'_> {
    /// Everything of the whole store, and nothing happens.
    pub fn of(question: Question) -> Wanted<'static> {
        Wanted { question, within: &[], act: &|_| {} }
    }

    /// Makes the scan, with a single worker.
    pub fn scan(&self, store: &Path) -> Facts {
        let mut facts = Facts::default();
        with_scan(store, self.question, self.within, |scan| {
            let new = || Recorder { store: scan.store, act: self.act, facts: Facts::default() };
            for part in scan.run(new, |_| {}) {
                facts.files.extend(part.facts.files);
                facts.directories.extend(part.facts.directories);
                facts.troubles.extend(part.facts.troubles);
            }
        });
        facts
    }
}

/// Lets something be done with a scan of the store at `path`.
pub fn with_scan<R>(
    path: &Path,
    question: Question,
    within: &[PathBuf],
    act: impl FnOnce(&Scan<'_>) -> R,
) -> R {
    let store = Store::open(path, &[], Purpose::Look).unwrap();
    let ground = Ground { mounts: Mounts::default(), store: path.to_path_buf(), assumed_gone: Vec::new() };
    let (magics, stop) = (StatedMagics::default(), AtomicBool::new(false));
    let threads = Threads::exactly(1);
    act(&Scan { store: &store, ground: &ground, magics: &magics, question, threads, within, stop: &stop })
}
