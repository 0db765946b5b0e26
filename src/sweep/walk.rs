//! The parallel walk over a tree of sources: what bytecode lies in it, and all that is known of it.
//!
//! By the same crew and the same descriptors as the scan of the store: one job a directory of sources, its `__pycache__`
//! included. Symbolic links are not followed, mount points not crossed.
//!
//! What is not entered: directories of version control and of other languages' packages, other environments, the
//! libraries of installations, the store, other roots of the same sweep, and what is to be ignored ([`Bounds`]).

use super::place::{Place, joined};
use super::root::{LIBRARY, Root, System, is_installations_by_place};
use crate::directory::{Directory, FileKind, LONGEST_PATH, Links, ListBuffer, Metadata, name_too_long};
use crate::entry::{Content, Entry};
use crate::layout::{Name, PYCACHE, Slot};
use crate::pyc::{UncheckedHashes, header};
use crate::scan::{Jobs, Threads, Trouble, compiled_name, hash_source, run_crew};
use crate::source::{Gone, Source, SourceFile, Why, is_missing};
use crate::store::Store;
use crate::tree::Tree;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Directories that hold no Python sources of the tree's own.
const NOT_ENTERED: [&[u8]; 6] = [b".git", b".hg", b".svn", b".bzr", b".jj", b"node_modules"];

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// It is an environment.
    Environment,
    /// It is the library of an installation.
    Installation,
    /// It is a symbolic link called `__pycache__`.
    Link,
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
pub trait Visitor: Send {
    /// One directory: a `__pycache__`, or one of sources.
    fn directory(&mut self, seen: &Seen<'_>);
    /// A directory that was not entered.
    fn left_alone(&mut self, path: PathBuf, reason: Reason);
    /// Something that could not be read.
    fn trouble(&mut self, trouble: Trouble);
}

/// One directory, as the walk saw it.
pub struct Seen<'a> {
    /// The root of the walk.
    pub root: &'a Root,
    /// The path from the root, without a leading slash.
    pub relative: &'a [u8],
    /// The directory of sources: this one, or that of this `__pycache__`.
    pub place: &'a Place,
    /// Whether this is a `__pycache__`.
    pub is_cache: bool,
    /// What may be bytecode, sorted by name; in a `__pycache__` everything that is no directory.
    pub files: &'a [File<'a>],
    /// How many other files it has: they stay.
    pub others: usize,
    /// How many directories it has, entered or not.
    pub directories: usize,
}

/// A file that may be bytecode.
#[derive(Debug)]
pub struct File<'a> {
    /// All that is known of it. In a directory of sources its name says nothing of a slot.
    pub entry: Entry<'a>,
    /// What kind of file it is.
    pub kind: FileKind,
    /// The way in which it is kept.
    pub form: Form,
    /// What the store has in its place; `None` where nobody asked.
    pub in_store: Option<InStore<'a>>,
}

/// The way in which bytecode is kept in a tree of sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// In a `__pycache__` (PEP 3147).
    Cached,
    /// There as well, and to be ignored.
    Ignored,
    /// As `NAME.pyc` or `NAME.pyo` beside `NAME.py`: never loaded while that is there.
    Beside(Companion),
    /// What an interrupted write of such a file left.
    BesideTemporary(Companion),
}

/// What became of the source of bytecode that lies beside sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Companion {
    /// It is there.
    Present,
    /// It is not: Python imports the bytecode itself.
    Missing,
}

/// What the store has in the place of a file.
#[derive(Debug)]
pub enum InStore<'a> {
    /// Nothing.
    Nothing,
    /// Another file, with its metadata and all that is known of it.
    Entry(Box<Entry<'a>>),
    /// It could not be told.
    Unknown,
}

struct Worker<V> {
    visitor: V,
    buffer: ListBuffer,
}

/// The names in a directory.
#[derive(Default)]
struct Names {
    files: Vec<(Vec<u8>, FileKind)>,
    directories: Vec<Vec<u8>>,
}

impl Names {
    fn of(directory: &Directory, buffer: &mut ListBuffer) -> (Names, io::Result<()>) {
        let mut names = Names::default();
        let listed = directory.list(buffer, |name, kind| {
            let kind = match kind {
                FileKind::Unknown => {
                    directory.metadata(name, Links::Keep).map_or(kind, |metadata| metadata.kind)
                }
                kind => kind,
            };
            match kind {
                FileKind::Directory => names.directories.push(name.to_vec()),
                kind => names.files.push((name.to_vec(), kind)),
            }
        });
        names.files.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        names.directories.sort_unstable();
        (names, listed)
    }

    fn has(&self, name: &str) -> bool {
        self.files.binary_search_by(|(own, _)| own.as_slice().cmp(name.as_bytes())).is_ok()
            || self.directories.binary_search_by(|own| own.as_slice().cmp(name.as_bytes())).is_ok()
    }
}

impl Walk<'_> {
    /// Walks the tree. `new_visitor` makes one visitor a worker; `progress` hears how many files were seen so far.
    pub fn run<V: Visitor>(
        &self,
        new_visitor: impl Fn() -> V + Sync,
        mut progress: impl FnMut(u64),
    ) -> Vec<V> {
        let seen = AtomicU64::new(0);
        let new_worker = || Worker { visitor: new_visitor(), buffer: ListBuffer::default() };
        let workers = run_crew(
            self.threads,
            vec![Arc::new(Place::root())],
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
            _ if !relative.is_empty() && crate::directory::is_link_loop(&source) => None,
            _ => Some(Trouble::Directory { path, source }),
        }
    }

    /// One directory of sources and its `__pycache__`; returns how many files they have.
    fn enter<V: Visitor>(
        &self,
        place: &Arc<Place>,
        worker: &mut Worker<V>,
        jobs: &mut Jobs<Arc<Place>>,
    ) -> u64 {
        let relative = &*place.relative;
        let directory = match self.root.directory(relative) {
            Ok(directory) => directory,
            Err(error) => {
                self.trouble(relative, error).into_iter().for_each(|it| worker.visitor.trouble(it));
                return 0;
            }
        };
        let (names, listed) = Names::of(&directory, &mut worker.buffer);
        let is_whole = listed.is_ok();
        if let Err(error) = listed {
            self.trouble(relative, error).into_iter().for_each(|it| worker.visitor.trouble(it));
        }
        let only_cache = self.root.only_cache && relative.is_empty();
        if let Some(reason) = self.reason_to_leave(place, &names) {
            worker.visitor.left_alone(self.shown(relative, b""), reason);
            return 0;
        }
        let files = if only_cache { Vec::new() } else { self.legacy(place, &directory, &names, worker) };
        let has_cache = names.directories.iter().any(|name| name == PYCACHE);
        let cache = match has_cache && (only_cache || self.is_meant(relative, PYCACHE)) {
            true => self.cache(place, worker),
            false => None,
        };
        if names.files.iter().any(|(name, kind)| name == PYCACHE && *kind == FileKind::Link) {
            worker.visitor.left_alone(self.shown(relative, PYCACHE), Reason::Link);
        }
        let cached = cache.as_ref().map_or(0, |cache| cache.names.files.len());
        place.settle(!files.is_empty() || cached > 0);
        if let Some(cache) = cache {
            let files = self.cached_files(place, &directory, &names, &cache, &mut worker.visitor);
            worker.visitor.directory(&Seen {
                root: self.root,
                relative: &joined(relative, PYCACHE),
                place,
                is_cache: true,
                files: &files,
                others: usize::from(!cache.is_whole),
                directories: cache.names.directories.len(),
            });
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
            others: names.files.len() - files.len() + usize::from(!is_whole),
            directories: names.directories.len(),
        });
        for name in names.directories.iter().filter(|name| self.is_entered(place, name)) {
            let below = Place::below(place, name);
            if below.relative.len() > LONGEST_PATH {
                let path = self.shown(&below.relative, b"");
                worker.visitor.trouble(Trouble::Directory { path, source: name_too_long() });
                continue;
            }
            jobs.push(Arc::new(below));
        }
        (names.files.len() + cached) as u64
    }

    /// Whether a directory is entered, as far as its name and its path tell.
    fn is_entered(&self, place: &Place, name: &[u8]) -> bool {
        if name == PYCACHE || NOT_ENTERED.contains(&name) {
            return false;
        }
        self.is_meant(&place.relative, name)
    }

    /// Whether a directory is neither the store, nor walked by itself, nor to be ignored.
    fn is_meant(&self, relative: &[u8], name: &[u8]) -> bool {
        let real = self.root.real_path.join(OsStr::from_bytes(&joined(relative, name)));
        !self.bounds.roots.contains(&real)
            && self.bounds.store != Some(&*real)
            && !(self.bounds.is_ignored)(&self.shown(relative, name))
    }

    /// Why a directory is left alone, as what is in it tells. A root is what was named.
    fn reason_to_leave(&self, place: &Place, names: &Names) -> Option<Reason> {
        if place.relative.is_empty() {
            return None;
        }
        let is_environment = names.has("pyvenv.cfg") || names.has("conda-meta");
        if is_environment && self.bounds.environments == Environments::Leave {
            return Some(Reason::Environment);
        }
        let is_installations = || {
            LIBRARY.iter().all(|name| names.has(name)) || is_installations_by_place(&place.path(self.root))
        };
        (self.bounds.system == System::Leave && is_installations()).then_some(Reason::Installation)
    }

    /// Bytecode that lies beside sources.
    fn legacy<'n, V: Visitor>(
        &self,
        place: &Place,
        directory: &Directory,
        names: &'n Names,
        worker: &mut Worker<V>,
    ) -> Vec<File<'n>> {
        let mut files = Vec::new();
        for (name, kind) in names.files.iter().filter(|(_, kind)| *kind == FileKind::Regular) {
            let Some((stem, is_temporary)) = legacy_stem(name) else { continue };
            if (self.bounds.is_ignored)(&self.shown(&place.relative, name)) {
                continue;
            }
            let source = [stem, b".py"].concat();
            let is_there = directory
                .metadata(&source, Links::Follow)
                .is_ok_and(|metadata| metadata.kind == FileKind::Regular);
            let companion = if is_there { Companion::Present } else { Companion::Missing };
            let form = if is_temporary { Form::BesideTemporary } else { Form::Beside }(companion);
            let entry = Entry::named(name, Name::Foreign);
            let file = File { entry, kind: *kind, form, in_store: None };
            files.extend(self.read(&place.relative, directory, file, &mut worker.visitor));
        }
        files
    }

    /// Opens and lists a `__pycache__`.
    fn cache<V: Visitor>(&self, place: &Place, worker: &mut Worker<V>) -> Option<Cache> {
        let relative = joined(&place.relative, PYCACHE);
        let opened = self.root.directory(&relative).map(|directory| {
            let (names, listed) = Names::of(&directory, &mut worker.buffer);
            (directory, names, listed)
        });
        let (directory, names, listed) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.trouble(&relative, error).into_iter().for_each(|it| worker.visitor.trouble(it));
                return None;
            }
        };
        let is_whole = listed.is_ok();
        if let Err(error) = listed {
            self.trouble(&relative, error).into_iter().for_each(|it| worker.visitor.trouble(it));
        }
        Some(Cache { directory, names, is_whole })
    }

    /// The files of a `__pycache__`, and what the store has in their places.
    fn cached_files<'n, V: Visitor>(
        &self,
        place: &Place,
        sources: &Directory,
        source_names: &Names,
        cache: &'n Cache,
        visitor: &mut V,
    ) -> Vec<File<'n>> {
        let relative = joined(&place.relative, PYCACHE);
        let mirror = self.mirror(place);
        let mut files = Vec::new();
        for (name, kind) in &cache.names.files {
            if (self.bounds.is_ignored)(&self.shown(&relative, name)) {
                let entry = Entry::named(name, Name::Foreign);
                files.push(File { entry, kind: *kind, form: Form::Ignored, in_store: None });
                continue;
            }
            let parsed = if *kind == FileKind::Regular { Name::parse(name) } else { Name::Foreign };
            let file =
                File { entry: Entry::named(name, parsed), kind: *kind, form: Form::Cached, in_store: None };
            let Some(mut file) = (match parsed {
                Name::Foreign => Some(file),
                _ => self.read(&relative, &cache.directory, file, visitor),
            }) else {
                continue;
            };
            if let (Name::Bytecode(slot), Some(mirror)) = (parsed, &mirror) {
                let look = Look { sources, source_names, cache: &cache.directory };
                look.source(&mut file.entry, &slot);
                file.in_store = Some(look.in_store(mirror, &file.entry, &slot));
            }
            files.push(file);
        }
        files
    }

    /// What is known of the store's directory that mirrors a place; nothing where nobody asks.
    fn mirror(&self, place: &Place) -> Option<Mirror> {
        match self.destination {
            Destination::Nowhere => None,
            Destination::Empty => Some(Mirror::Nothing),
            Destination::Store(store) => Some(match store.directory(&mirror_of(self.root, place)) {
                Ok(directory) => Mirror::Directory(directory),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Mirror::Nothing,
                Err(_) => Mirror::Unknown,
            }),
        }
    }

    /// A file with its metadata and what it begins with; `None` when it vanished meanwhile.
    fn read<'n, V: Visitor>(
        &self,
        relative: &[u8],
        directory: &Directory,
        mut file: File<'n>,
        visitor: &mut V,
    ) -> Option<File<'n>> {
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
struct Cache {
    directory: Directory,
    names: Names,
    is_whole: bool,
}

/// The store's directory that mirrors a directory of sources.
enum Mirror {
    Directory(Directory),
    Nothing,
    Unknown,
}

/// The path, from the store's root, of the directory that mirrors a place: by the path as it is spelled, as Python does.
pub fn mirror_of(root: &Root, place: &Place) -> Vec<u8> {
    let path = root.path.as_os_str().as_bytes();
    let start = path.iter().position(|&byte| byte != b'/').unwrap_or(path.len());
    joined(&path[start..], &place.relative)
}

/// The look from a file in a `__pycache__` at its source.
struct Look<'a> {
    sources: &'a Directory,
    source_names: &'a Names,
    cache: &'a Directory,
}

impl Look<'_> {
    /// Adds to an entry what became of its source.
    fn source(&self, entry: &mut Entry<'_>, slot: &Slot<'_>) {
        let usual = slot.usual_source();
        entry.source = self.named(&usual);
        if entry.source == Source::Absent(Gone::Source) && slot.pytest.is_none() {
            let is_other = |name: &&(Vec<u8>, FileKind)| slot.holds(&name.0) && name.0 != usual;
            let mut others = self.source_names.files.iter().filter(is_other).peekable();
            if others.peek().is_some()
                && let Some(compiled) = compiled_name(self.cache, entry.name, slot)
                && others.any(|other| other.0 == compiled)
            {
                entry.source = self.named(&compiled);
                entry.other_name = Some(compiled.into());
            }
        }
        self.hash(entry, slot);
    }

    fn named(&self, name: &[u8]) -> Source {
        match self.sources.metadata(name, Links::Follow) {
            Ok(metadata) if metadata.kind == FileKind::Regular => Source::Present(SourceFile::from(metadata)),
            Ok(_) => Source::Absent(Gone::Source),
            Err(error) if is_missing(&error) => Source::Absent(Gone::Source),
            Err(error) => Source::Unreachable(Why::of(&error)),
        }
    }

    /// Hashes the source where an import of the entry would.
    fn hash(&self, entry: &mut Entry<'_>, slot: &Slot<'_>) {
        let name = entry.source_name();
        let (Source::Present(file), Content::Read(Ok(header), _), Some(name)) =
            (&mut entry.source, entry.content, name)
        else {
            return;
        };
        file.hash = (header.checks_hash(UncheckedHashes::Trust) && header.magic.is_loaded_by(slot.tag))
            .then(|| hash_source(self.sources, &name, slot.tag, header.magic));
    }

    /// What the store has in the place of an entry, judged by the same source.
    fn in_store<'n>(&self, mirror: &Mirror, entry: &Entry<'n>, slot: &Slot<'_>) -> InStore<'n> {
        let directory = match mirror {
            Mirror::Directory(directory) => directory,
            Mirror::Nothing => return InStore::Nothing,
            Mirror::Unknown => return InStore::Unknown,
        };
        match directory.metadata(entry.name, Links::Keep) {
            Ok(metadata) if metadata.kind == FileKind::Regular => {}
            Ok(_) => return InStore::Unknown,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return InStore::Nothing,
            Err(_) => return InStore::Unknown,
        }
        match read_start(directory, entry.name) {
            Ok(Some((metadata, content))) => {
                let mut stored = Entry { metadata: Some(metadata), content, ..entry.clone() };
                self.hash(&mut stored, slot);
                InStore::Entry(Box::new(stored))
            }
            Ok(None) | Err(_) => InStore::Unknown,
        }
    }
}

/// The metadata of a regular file and what it begins with; `None` when it vanished, or something else took its name.
fn read_start(directory: &Directory, name: &[u8]) -> io::Result<Option<(Metadata, Content)>> {
    let mut start = [0; header::LENGTH];
    match directory.read_start(name, &mut start) {
        Ok((metadata, _)) if metadata.kind != FileKind::Regular => Ok(None),
        Ok((metadata, start)) => Ok(Some((metadata, Content::of(start)))),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The stem of `NAME.pyc` or `NAME.pyo`, and whether it is an interrupted write's `NAME.pyc.<decimal>`.
///
/// A name with a cache tag is none: such files lie in a `__pycache__`, or in some store.
fn legacy_stem(name: &[u8]) -> Option<(&[u8], bool)> {
    if Name::parse(name) != Name::Foreign {
        return None;
    }
    let of =
        |name: &'_ [u8]| name.strip_suffix(b".pyc").or_else(|| name.strip_suffix(b".pyo")).map(<[u8]>::len);
    let (length, is_temporary) = match of(name) {
        Some(length) => (length, false),
        None => {
            let dot = name.iter().rposition(|&byte| byte == b'.')?;
            let is_decimal =
                matches!(&name[dot + 1..], [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit));
            (is_decimal.then(|| of(&name[..dot]))??, true)
        }
    };
    (length > 0).then(|| (&name[..length], is_temporary))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_bytecode_beside_sources() {
        let stem = |name: &'static str| {
            legacy_stem(name.as_bytes())
                .map(|(stem, is_temporary)| (std::str::from_utf8(stem).unwrap(), is_temporary))
        };
        assert_eq!(stem("m.pyc"), Some(("m", false)));
        assert_eq!(stem("m.pyo"), Some(("m", false)));
        assert_eq!(stem("a.b.pyc"), Some(("a.b", false)));
        assert_eq!(stem("m.pyc.140123"), Some(("m", true)));
        for name in [
            ".pyc",
            "m.py",
            "m.pyc.0",
            "m.pyc.x",
            "m.pyc.",
            "m.cpython-312.pyc",
            "m.cpython-312.pyc.7",
            "m.PYC",
        ] {
            assert_eq!(stem(name), None, "{name}");
        }
    }
}
