//! The parallel walk over a tree of sources: what bytecode lies in it, and all that is known of it.
//!
//! Uses the same pool and the same descriptors as the scan of the store: one job a directory of sources, its `__pycache__`
//! included. Symbolic links are not followed, mount points not crossed.
//!
//! What is not entered: directories of version control and of other languages' packages, other environments, the
//! libraries of installations, what belongs to a package manager, the store, other roots of the same sweep, and what is
//! to be ignored ([`Bounds`]).

use super::found::{Companion, InTreeFile, InTreeForm, Seen, has_source, legacy_stem};
use super::look::{Hashes, Mirror, SourceLook, mirror_of, read_start};
use super::place::SourcePlace;
use super::repository::Tracking;
use super::root::{LIBRARY, Root, System, is_packaged, is_standard_library_by_place};
use crate::host::directory::{Directory, FileKind, LONGEST_PATH, ListBuffer, name_too_long};
use crate::host::pool::{self, Jobs, Threads};
use crate::pyc::name::{Name, PYCACHE, joined};
use crate::source::listing::{Listing, UnknownKinds};
use crate::source::walk::NOT_SOURCES;
use crate::source::{Why, is_missing};
use crate::store::Store;
use crate::store::entry::{Content, Entry};
use crate::store::scan::Trouble;
use serde::Serialize;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Whether environments below the root are entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environments {
    /// They are left alone, unless they are roots themselves.
    Leave,
    /// They are part of the tree.
    Enter,
}

/// Whether a path is to be ignored, with all below it.
pub type IsIgnored<'a> = dyn Fn(&Path) -> bool + Sync + 'a;

/// What a walk does not enter.
#[derive(Clone, Copy)]
pub struct Bounds<'a> {
    /// The roots of the sweep, without symbolic links: each is walked by itself, whatever it is.
    pub roots: &'a [PathBuf],
    /// The store, without symbolic links.
    pub store: Option<&'a Path>,
    /// Whether environments are entered.
    pub environments: Environments,
    /// Whether the libraries of installations are entered.
    pub system: System,
    /// What else stays out.
    pub is_ignored: &'a IsIgnored<'a>,
}

/// Where bytecode may be moved to.
#[derive(Debug, Clone, Copy)]
pub enum Destination<'a> {
    /// Nowhere: no source is looked at.
    Nowhere,
    /// Into a store that is still to be made.
    Empty,
    /// Into this store.
    Store(&'a Store),
}

/// Why a directory was not entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// It is an environment.
    Environment,
    /// It is the library of an installation.
    Installation,
    /// It is a package manager's.
    Packaged,
    /// It is a symbolic link called `__pycache__`.
    Link,
}

impl Reason {
    /// In words, for a person.
    pub fn explanation(self) -> &'static str {
        match self {
            Reason::Environment => {
                "it is an environment; to sweep it: give its path, or --include-environments"
            }
            Reason::Installation => "it belongs to an installation of Python; --system sweeps it",
            Reason::Packaged => "it belongs to the package manager; --system sweeps it",
            Reason::Link => "it is a symbolic link",
        }
    }
}

/// What a walk is made of.
#[derive(Clone, Copy)]
pub struct Walk<'a> {
    /// Where it begins.
    pub root: &'a Root,
    /// What it does not enter.
    pub bounds: Bounds<'a>,
    /// Where bytecode may be moved to: then sources are looked at.
    pub destination: Destination<'a>,
    /// How many threads may work.
    pub threads: Threads,
    /// Becomes true when the walk is to stop; what it found until then is incomplete.
    pub stop: &'a AtomicBool,
}

/// Takes what a walk finds. Each worker has its own; they are returned when all is done.
pub trait WalkVisitor: Send {
    /// One directory: a `__pycache__`, or one of sources.
    fn directory(&mut self, seen: &Seen<'_>);
    /// A directory that was not entered.
    fn left_alone(&mut self, path: PathBuf, reason: Reason);
    /// Something that could not be read.
    fn trouble(&mut self, trouble: Trouble);
}

struct WalkWorker<V> {
    visitor: V,
    buffer: ListBuffer,
}

impl Walk<'_> {
    /// Walks the tree. `new_visitor` makes one visitor a worker; `progress` hears how many files were seen so far.
    pub fn run<V: WalkVisitor>(
        &self,
        new_visitor: impl Fn() -> V + Sync,
        mut progress: impl FnMut(u64),
    ) -> Vec<V> {
        let seen = AtomicU64::new(0);
        let new_worker = || WalkWorker { visitor: new_visitor(), buffer: ListBuffer::default() };
        let workers = pool::run(
            self.threads,
            vec![Arc::new(SourcePlace::root(self.root))],
            new_worker,
            |worker, place, jobs| {
                if !self.stop.load(Ordering::Relaxed) {
                    seen.fetch_add(self.enter(&place, worker, jobs), Ordering::Relaxed);
                }
            },
            || progress(seen.load(Ordering::Relaxed)),
        );
        workers.into_iter().map(|worker| worker.visitor).collect()
    }

    fn shown(&self, relative: &[u8], name: &[u8]) -> PathBuf {
        self.root.shown(relative, name)
    }

    /// What stands in the way of a directory; nothing for one that vanished, or whose name something else took.
    fn trouble(&self, relative: &[u8], source: io::Error) -> Option<Trouble> {
        let path = self.shown(relative, b"");
        match source.kind() {
            _ if !relative.is_empty() && is_missing(&source) => None,
            io::ErrorKind::CrossesDevices => Some(Trouble::MountPoint { path }),
            _ if !relative.is_empty() && crate::host::directory::is_link_loop(&source) => None,
            _ => Some(Trouble::Directory { path, source }),
        }
    }

    /// One directory of sources and its `__pycache__`; returns how many files they have.
    fn enter<V: WalkVisitor>(
        &self,
        place: &Arc<SourcePlace>,
        worker: &mut WalkWorker<V>,
        jobs: &mut Jobs<Arc<SourcePlace>>,
    ) -> u64 {
        let relative = &*place.relative;
        let Some(opened) = self.open(relative, worker) else { return 0 };
        let Listed { directory, names, is_whole } = &opened;
        if names.has(".git") {
            place.begin_repository(self.root);
        }
        let only_cache = self.root.only_cache && relative.is_empty();
        if let Some(reason) = self.reason_to_leave(place, names) {
            worker.visitor.left_alone(self.shown(relative, b""), reason);
            return 0;
        }
        let files = if only_cache { Vec::new() } else { self.legacy(place, directory, names, worker) };
        let has_cache = names.directories().any(|name| name == PYCACHE);
        let is_meant = has_cache && (only_cache || self.is_meant(relative, PYCACHE));
        let cache = if is_meant { self.open(&joined(relative, PYCACHE), worker) } else { None };
        if names.kind(PYCACHE) == Some(FileKind::Link) {
            worker.visitor.left_alone(self.shown(relative, PYCACHE), Reason::Link);
        }
        let cached = cache.as_ref().map_or(0, |cache| cache.names.files().len());
        place.settle(!files.is_empty() || cached > 0);
        if let Some(cache) = &cache {
            self.visit_cache(place, &opened, cache, worker);
        }
        if only_cache {
            return cached as u64;
        }
        worker.visitor.directory(&Seen {
            root: self.root,
            relative,
            place,
            is_cache: false,
            files: &files,
            others: names.files().len() - files.len() + usize::from(!is_whole),
            directories: names.directories().len(),
        });
        self.go_on(place, names, worker, jobs);
        (names.files().len() + cached) as u64
    }

    /// Hands a `__pycache__` to the visitor.
    fn visit_cache<V: WalkVisitor>(
        &self,
        place: &Arc<SourcePlace>,
        sources: &Listed,
        cache: &Listed,
        worker: &mut WalkWorker<V>,
    ) {
        let files = self.cached_files(place, &sources.directory, &sources.names, cache, &mut worker.visitor);
        worker.visitor.directory(&Seen {
            root: self.root,
            relative: &joined(&place.relative, PYCACHE),
            place,
            is_cache: true,
            files: &files,
            others: usize::from(!cache.is_whole),
            directories: cache.names.directories().len(),
        });
    }

    /// Makes a job of each directory that is entered.
    fn go_on<V: WalkVisitor>(
        &self,
        place: &Arc<SourcePlace>,
        names: &Listing,
        worker: &mut WalkWorker<V>,
        jobs: &mut Jobs<Arc<SourcePlace>>,
    ) {
        for name in names.directories().filter(|name| self.is_entered(place, name)) {
            let below = SourcePlace::below(place, name);
            if below.relative.len() > LONGEST_PATH {
                let path = self.shown(&below.relative, b"");
                worker.visitor.trouble(Trouble::Directory { path, source: name_too_long() });
                continue;
            }
            jobs.push(Arc::new(below));
        }
    }

    /// Whether a directory is entered, as far as its name and its path tell.
    fn is_entered(&self, place: &SourcePlace, name: &[u8]) -> bool {
        let holds_sources = name != PYCACHE && !NOT_SOURCES.iter().any(|foreign| foreign.as_bytes() == name);
        holds_sources && self.is_meant(&place.relative, name)
    }

    /// Whether a directory is neither the store, nor walked by itself, nor to be ignored.
    fn is_meant(&self, relative: &[u8], name: &[u8]) -> bool {
        let real = self.root.real_path.join(OsStr::from_bytes(&joined(relative, name)));
        !self.bounds.roots.contains(&real)
            && self.bounds.store != Some(&*real)
            && !(self.bounds.is_ignored)(&self.shown(relative, name))
    }

    /// Why a directory is left alone, as what is in it tells. A root is what was named.
    fn reason_to_leave(&self, place: &SourcePlace, names: &Listing) -> Option<Reason> {
        if place.relative.is_empty() {
            return None;
        }
        let is_environment = names.has("pyvenv.cfg") || names.has("conda-meta");
        if is_environment && self.bounds.environments == Environments::Leave {
            return Some(Reason::Environment);
        }
        if self.bounds.system == System::Leave
            && is_packaged(&self.root.real_path.join(OsStr::from_bytes(&place.relative)))
        {
            return Some(Reason::Packaged);
        }
        let is_standard_library = || {
            LIBRARY.iter().all(|name| names.has(name)) || is_standard_library_by_place(&place.path(self.root))
        };
        (self.bounds.system == System::Leave && is_standard_library()).then_some(Reason::Installation)
    }

    /// Bytecode that lies beside sources.
    fn legacy<'n, V: WalkVisitor>(
        &self,
        place: &SourcePlace,
        directory: &Directory,
        names: &'n Listing,
        worker: &mut WalkWorker<V>,
    ) -> Vec<InTreeFile<'n>> {
        let mut files = Vec::new();
        for (name, kind) in names.files().filter(|(_, kind)| *kind == FileKind::Regular) {
            let Some((stem, is_temporary)) = legacy_stem(name) else { continue };
            if (self.bounds.is_ignored)(&self.shown(&place.relative, name)) {
                continue;
            }
            let companion = match has_source(directory, names, stem) {
                true => Companion::Present,
                false => Companion::Missing,
            };
            let form = if is_temporary { InTreeForm::BesideTemporary } else { InTreeForm::Beside }(companion);
            let entry = Entry::named(name, Name::Foreign);
            let mut file = InTreeFile::new(entry, kind, form);
            file.tracking = self.tracking(place, &place.relative, name, &mut worker.visitor);
            files.extend(self.read(&place.relative, directory, file, &mut worker.visitor));
        }
        files
    }

    /// Whether git tracks a file; reports an index that cannot be read.
    fn tracking<V: WalkVisitor>(
        &self,
        place: &SourcePlace,
        relative: &[u8],
        name: &[u8],
        visitor: &mut V,
    ) -> Tracking {
        let Some(repository) = place.repository() else { return Tracking::Untracked };
        let path = self.root.real_path.join(OsStr::from_bytes(&joined(relative, name)));
        let tracking = repository.tracking(&path);
        if tracking == Tracking::Unknown {
            for (path, source) in repository.troubles() {
                visitor.trouble(Trouble::File { path, source });
            }
        }
        tracking
    }

    /// Opens and lists a directory.
    fn open<V: WalkVisitor>(&self, relative: &[u8], worker: &mut WalkWorker<V>) -> Option<Listed> {
        let mut report =
            |error| self.trouble(relative, error).into_iter().for_each(|it| worker.visitor.trouble(it));
        let directory = match self.root.directory(relative) {
            Ok(directory) => directory,
            Err(error) => {
                report(error);
                return None;
            }
        };
        let mut names = Listing::default();
        let listed = names.read(&directory, &mut worker.buffer, UnknownKinds::LookUp);
        let is_whole = listed.is_ok();
        if let Err(error) = listed {
            report(error);
        }
        Some(Listed { directory, names, is_whole })
    }

    /// The files of a `__pycache__`, and what the store has in their places.
    fn cached_files<'n, V: WalkVisitor>(
        &self,
        place: &SourcePlace,
        sources: &Directory,
        source_names: &Listing,
        cache: &'n Listed,
        visitor: &mut V,
    ) -> Vec<InTreeFile<'n>> {
        let relative = joined(&place.relative, PYCACHE);
        let mirror = self.mirror(place);
        let look = SourceLook { sources, source_names, cache: &cache.directory, hashes: Hashes::default() };
        let mut files = Vec::new();
        for (name, kind) in cache.names.files() {
            if (self.bounds.is_ignored)(&self.shown(&relative, name)) {
                let entry = Entry::named(name, Name::Foreign);
                files.push(InTreeFile::new(entry, kind, InTreeForm::Ignored));
                continue;
            }
            let parsed = if kind == FileKind::Regular { Name::parse(name) } else { Name::Foreign };
            let mut file = InTreeFile::new(Entry::named(name, parsed), kind, InTreeForm::Cached);
            let Some(mut file) = (match parsed {
                Name::Foreign => Some(file),
                _ => {
                    file.tracking = self.tracking(place, &relative, name, visitor);
                    self.read(&relative, &cache.directory, file, visitor)
                }
            }) else {
                continue;
            };
            if let (Name::Bytecode(slot), Some(mirror)) = (parsed, &mirror) {
                look.source(&mut file.entry, &slot);
                file.in_store = Some(look.in_store(mirror, &file.entry, &slot));
            }
            files.push(file);
        }
        files
    }

    /// What is known of the store's directory that mirrors a place; nothing where nobody asks.
    fn mirror(&self, place: &SourcePlace) -> Option<Mirror> {
        match self.destination {
            Destination::Nowhere => None,
            Destination::Empty => Some(Mirror::Nothing),
            Destination::Store(store) => {
                let directory = store.directory(&mirror_of(self.root, place));
                Some(directory.map_or(Mirror::Nothing, Mirror::Directory))
            }
        }
    }

    /// A file with its metadata and what it begins with; `None` when it vanished meanwhile.
    fn read<'n, V: WalkVisitor>(
        &self,
        relative: &[u8],
        directory: &Directory,
        mut file: InTreeFile<'n>,
        visitor: &mut V,
    ) -> Option<InTreeFile<'n>> {
        match read_start(directory, file.entry.name) {
            Ok(None) => return None,
            Ok(Some((metadata, content))) => {
                (file.entry.metadata, file.entry.content) = (Some(metadata), content);
            }
            Err(error) => {
                file.entry.content = Content::Unreadable(Why::of(&error));
                let path = self.shown(relative, file.entry.name);
                visitor.trouble(Trouble::File { path, source: error });
            }
        }
        Some(file)
    }
}

/// An open `__pycache__`.
struct Listed {
    directory: Directory,
    names: Listing,
    is_whole: bool,
}
