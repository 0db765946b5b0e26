//! The parallel walk over a store: from directories to [`Entry`] facts.
//!
//! One job a directory. A job opens its directory and the directory of sources that it mirrors once each; all
//! that follows is relative to the two descriptors, on short names (that saves about 40 % of the processor time
//! that whole paths cost). What is not asked for costs no system call:
//!
//! | asked | the store's directory | each entry | the sources |
//! |---|---|---|---|
//! | [`Question::Orphans`] | open, list; of a deleted one's mirror: stat | nothing; of an orphan: stat | open, list once |
//! | [`Question::Everything`] | open, list, stat | open, stat, read 16 bytes | open, stat of each |
//!
//! A directory of sources that is gone answers for its whole subtree without another system call.
//!
//! # What was tried
//!
//! Warm, on 2 cores, about 300 000 – 400 000 entries on ext4; processor seconds, because walls are shared:
//!
//! | tried | gave |
//! |---|---|
//! | walkdir, one thread, whole paths | 2.9 s forevery header and source; 42 s cold |
//! | walkdir and rayon's `par_bridge` | 4.0 s: more than walkdir alone |
//! | `ignore::WalkParallel` | 3.1 s, the best published walker; it hands out whole paths, as they all do |
//! | directory descriptors and short names | 1.9 s, and the same descriptors make removal safe |
//! | io_uring in batches of 64 | 2.7 s; at most 15 % better than plain calls with 16 – 32 threads on cold caches |
//! | opening directories from their parents' descriptors | 1.15 → 0.90 s for `--orphans` |
//! | listing the sources' directory instead of a `stat` each | half of the calls of `--orphans` |
//! | no header of an orphan before it is removed | 1.40 → 1.15 s for `--orphans`, and no data block read cold |
//! | no read-ahead of what follows a header (`fadvise`) | nothing warm; cold 11.0 → 9.7 s, half the pages of small entries |
//! | more threads than cores | nothing warm, but a cold scan lives from queue depth: 2 threads 192 s, 64 threads 12 s |
//!
//! So walkdir keeps the walks that want it ([`crate::source::walk`]), and io_uring is not used.
//!
//! # Invariants
//!
//! * Every name below the root is seen once, except below a mount point, a directory that cannot be read or a path
//!   longer than the system takes: each of those is a [`Trouble`].
//! * Files that vanish during the scan are not reported: others may use the store all the while.

mod compiled;
mod directory;
mod look;
mod place;
mod recorded;
mod sources;

use crate::host::directory::{Directory, LONGEST_PATH, Metadata, name_too_long};
use crate::host::pool::{self, Threads};
use crate::pyc::{StatedMagics, UncheckedHashes};
use crate::source::owner::{Life, Owner, Presence};
use crate::source::{Evidence, Source, Why};
use crate::store::Store;
use crate::store::body::{self, Body};
use crate::store::entry::{Content, Entry};
use place::Place;
use std::cell::OnceCell;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub(crate) use compiled::{compiled_name, hash_source};
pub(crate) use recorded::{may_be_file, may_record_a_source};

/// What a caller wants to know of each entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Whether its source is gone; the metadata of orphans only.
    Orphans,
    /// All that a verdict needs, and the metadata of everything.
    Everything(UncheckedHashes),
}

/// What a scan is made of.
#[derive(Debug, Clone, Copy)]
pub struct Scan<'a> {
    /// The store.
    pub store: &'a Store,
    /// What the question about sources rests on.
    pub evidence: &'a Evidence,
    /// Which magics the interpreters of the cache tags load.
    pub magics: &'a StatedMagics,
    /// What is asked.
    pub question: Question,
    /// How many threads may work.
    pub threads: Threads,
    /// Only directories on the way to and below the mirrors of these absolute paths; everywhere when empty.
    pub within: &'a [PathBuf],
    /// Becomes true when the scan is to stop; what it found until then is incomplete.
    pub stop: &'a AtomicBool,
}

/// Takes what a scan finds. Each worker has its own; they are returned when all is done.
pub trait Visitor: Send {
    /// One directory of the store with everything in it. Directories come in no order, a parent before those below.
    fn directory(&mut self, visit: &Visit<'_>);
    /// Something that could not be read.
    fn trouble(&mut self, trouble: Trouble);
}

/// Two visitors in one scan. The first may change what is scanned: the other sees each directory before it does.
impl<One: Visitor, Other: Visitor> Visitor for (One, Option<Other>) {
    fn directory(&mut self, visit: &Visit<'_>) {
        if let Some(other) = &mut self.1 {
            other.directory(visit);
        }
        self.0.directory(visit);
    }

    /// Troubles are the first one's.
    fn trouble(&mut self, trouble: Trouble) {
        self.0.trouble(trouble);
    }
}

/// One directory of the store, as the scan saw it.
#[derive(Debug)]
pub struct Visit<'a> {
    /// The path from the store's root, without a leading slash; empty for the root.
    pub relative: &'a [u8],
    /// The directory's own metadata, if everything was asked for or `sources` is absent.
    pub metadata: Option<Metadata>,
    /// Its files, sorted by name: everything that is not a directory.
    pub entries: &'a [Entry<'a>],
    /// How many directories it has.
    pub directories: usize,
    /// What became of the directory of sources that it mirrors. Of an empty directory, whose entries cannot tell, only that
    /// which was made before a deletion mirrors a deleted one.
    pub sources: Presence,
    place: &'a Place,
    store: &'a Store,
    directory: &'a Directory,
    owner: OnceCell<Arc<Owner>>,
}

impl Visit<'_> {
    /// The owner of the entries here; found out when first asked for. It is not called gone where entries show no trace of
    /// that.
    pub fn owner(&self) -> Arc<Owner> {
        self.owner.get_or_init(|| self.find_owner()).clone()
    }

    fn find_owner(&self) -> Arc<Owner> {
        let owner = self.place.owner(self.store);
        let has_no_trace = |entry: &Entry<'_>| entry.source == Source::Unreachable(Why::NoTrace);
        if owner.life == Life::Gone && self.entries.iter().any(has_no_trace) {
            return Arc::new(Owner { life: Life::Alive, ..(*owner).clone() });
        }
        owner
    }

    /// The body of an entry here, read now; `None` for what is no entry with a header.
    ///
    /// # Errors
    /// What the system says; `FileTooLarge` for what is longer than any entry.
    pub fn body(&self, entry: &Entry<'_>) -> io::Result<Option<Body>> {
        let (Some(slot), Content::Read(Ok(header), _)) = (entry.parsed.slot(), entry.content) else {
            return Ok(None);
        };
        body::walk(self.directory, entry.name, slot.tag, header.magic).map(Some)
    }

    /// The directory of sources that is mirrored here.
    pub fn source_directory(&self) -> PathBuf {
        self.place.sources()
    }
}

/// Something of the store that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// A directory.
    #[error("cannot read the directory {}", .path.display())]
    Directory {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file.
    #[error("cannot read {}", .path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A source, or a directory of sources.
    #[error("cannot read the metadata of the source {}", .path.display())]
    Source {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file that could not become a link of an equal one.
    #[error("cannot replace {} by a link of an equal entry", .path.display())]
    Link {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file that could not share blocks of the disk with another.
    #[error("cannot replace {} by a file with shared blocks", .path.display())]
    Blocks {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store itself, since the file system that it is on is gone: the rest was not read.
    #[error("lost access to the store {}", .path.display())]
    Lost {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A mount point, where the store ends.
    #[error("not entered: {} is a mount point", .path.display())]
    MountPoint {
        /// Its path.
        path: PathBuf,
    },
}

impl Trouble {
    /// The path in question.
    pub fn path(&self) -> &std::path::Path {
        match self {
            Trouble::Directory { path, .. }
            | Trouble::File { path, .. }
            | Trouble::Link { path, .. }
            | Trouble::Blocks { path, .. }
            | Trouble::Source { path, .. }
            | Trouble::Lost { path, .. }
            | Trouble::MountPoint { path } => path,
        }
    }

    /// The error behind it, if there is one.
    pub fn error(&self) -> Option<&io::Error> {
        match self {
            Trouble::Directory { source, .. }
            | Trouble::File { source, .. }
            | Trouble::Link { source, .. }
            | Trouble::Blocks { source, .. }
            | Trouble::Source { source, .. }
            | Trouble::Lost { source, .. } => Some(source),
            Trouble::MountPoint { .. } => None,
        }
    }

    /// What is said of a store that cannot be read any more; `None` while it can.
    pub(crate) fn of_lost(store: &Store) -> Option<Trouble> {
        Some(Trouble::Lost { path: store.path().to_path_buf(), source: store.lost()? })
    }
}

/// What a worker keeps from directory to directory.
struct ScanWorker<V> {
    visitor: V,
    buffers: directory::Buffers,
}

impl Scan<'_> {
    /// Walks the store. `new_visitor` makes one visitor a worker; `progress` hears how many files were seen so far.
    pub fn run<V: Visitor>(
        &self,
        new_visitor: impl Fn() -> V + Sync,
        mut progress: impl FnMut(u64),
    ) -> Vec<V> {
        let seen = AtomicU64::new(0);
        let new_worker = || ScanWorker { visitor: new_visitor(), buffers: directory::Buffers::default() };
        let workers = pool::run(
            self.threads,
            vec![Arc::new(Place::root())],
            new_worker,
            |worker, place, jobs| {
                if self.is_stopped() {
                    return;
                }
                let files = directory::scan(self, &place, &mut worker.buffers, &mut worker.visitor);
                seen.fetch_add(files, Ordering::Relaxed);
                for name in worker.buffers.directories() {
                    let below = Place::below(&place, name);
                    if !self.leads_within(&below) {
                        continue;
                    }
                    if below.relative.len() > LONGEST_PATH {
                        // Python cannot have made it. Whoever did may go on forever: a chain of directories costs
                        // memory by the square of its length.
                        let path = self.store.shown(&below.relative, b"");
                        worker.visitor.trouble(Trouble::Directory { path, source: name_too_long() });
                        continue;
                    }
                    jobs.push(Arc::new(below));
                }
            },
            || progress(seen.load(Ordering::Relaxed)),
        );
        let mut visitors: Vec<V> = workers.into_iter().map(|worker| worker.visitor).collect();
        if let (Some(visitor), Some(lost)) = (visitors.first_mut(), Trouble::of_lost(self.store)) {
            visitor.trouble(lost);
        }
        visitors
    }

    /// Whether the scan is to stop: it was told to, or the store cannot be read any more.
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.store.is_lost()
    }

    fn leads_within(&self, place: &Place) -> bool {
        if self.within.is_empty() {
            return true;
        }
        let path = place.sources();
        self.within.iter().any(|within| path.starts_with(within) || within.starts_with(&path))
    }

    /// Looks at one file of the store as a whole scan would: its facts and its owner, and nothing else of the store.
    ///
    /// `relative` is its path from the store's root. `None` when there is no such file.
    ///
    /// # Errors
    /// The [`Trouble`] that stands in the way.
    pub fn one<R>(
        &self,
        relative: &[u8],
        answer: impl FnOnce(&Visit<'_>, &Entry<'_>) -> R,
    ) -> Result<Option<R>, Trouble> {
        directory::one(self, relative, answer)
    }
}

fn trouble_with_directory(store: &Store, relative: &[u8], source: io::Error) -> Option<Trouble> {
    let path = store.shown(relative, b"");
    match source.kind() {
        io::ErrorKind::NotFound => None,
        io::ErrorKind::CrossesDevices => Some(Trouble::MountPoint { path }),
        _ => Some(Trouble::Directory { path, source }),
    }
}
