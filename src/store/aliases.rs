//! Symbolic links on the paths that a store mirrors: one directory of sources, spelled in several ways.
//!
//! Python spells a source as it was told to, and the store has one mirror for each spelling. Links cannot be found from
//! the directory they lead to, but every spelling that the store mirrors passes through the link: so the directories of the
//! store are walked, and each directory of sources is checked for being a link. Files are not looked at.

use crate::host::directory::{FileKind, ListBuffer};
use crate::host::pool::{self, Threads};
use crate::pyc::name;
use crate::source::{Why, is_missing};
use crate::store::Store;
use crate::store::scan::Trouble;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The links to directories on the paths that a store mirrors: as they are spelled, and where they lead.
#[derive(Debug, Default)]
pub struct Aliases {
    /// From a link as it is spelled to the real path of its directory.
    links: BTreeMap<PathBuf, PathBuf>,
    /// From a real path to the links that lead there.
    targets: BTreeMap<PathBuf, Vec<PathBuf>>,
    /// Paths that could not be looked at: links may be there and below.
    unknown: Vec<PathBuf>,
    /// Why not, until it is reported.
    troubles: Mutex<Vec<Trouble>>,
}

/// One worker's links, and its buffer for listings.
#[derive(Default)]
struct AliasWorker {
    links: Vec<(PathBuf, PathBuf)>,
    unknown: Vec<(PathBuf, Trouble)>,
    buffer: ListBuffer,
    names: Vec<Vec<u8>>,
}

impl Aliases {
    /// Walks the directories of a store. Errors are kept ([`Aliases::take_troubles`]): what only may not be looked at is no
    /// error, for nothing below it can be shown either.
    pub fn find(store: &Store, threads: Threads) -> Aliases {
        let work = |worker: &mut AliasWorker, relative: Vec<u8>, jobs: &mut pool::Jobs<Vec<u8>>| {
            let AliasWorker { links, unknown, buffer, names } = worker;
            names.clear();
            let listed = store.directory(&relative).and_then(|directory| {
                directory.list(buffer, |name, kind| {
                    if kind == FileKind::Directory {
                        names.push(name.to_vec());
                    }
                })
            });
            if let Err(source) = listed.or_else(unless_fault) {
                let path = store.shown(&relative, b"");
                unknown.push((name::source_directory(&relative), Trouble::Directory { path, source }));
            }
            for name in names.drain(..) {
                let path = name::joined(&relative, &name);
                if !name::mirrors_sources(&path) {
                    continue;
                }
                let sources = name::source_directory(&path);
                match link_at(&sources) {
                    Ok(At::Nothing) => continue,
                    Ok(At::Directory) => {}
                    Ok(At::Link(real)) => links.push((sources, real)),
                    Err(source) => {
                        unknown.push((sources.clone(), Trouble::Source { path: sources, source }));
                        continue;
                    }
                }
                jobs.push(path);
            }
        };
        let workers = pool::run(threads, vec![Vec::new()], AliasWorker::default, work, || {});
        let (mut links, mut unknown, mut troubles) = (BTreeMap::new(), Vec::new(), Vec::new());
        for worker in workers {
            links.extend(worker.links);
            for (path, trouble) in worker.unknown {
                unknown.push(path);
                troubles.push(trouble);
            }
        }
        let mut targets: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
        for (link, real) in &links {
            targets.entry(real.clone()).or_default().push(link.clone());
        }
        Aliases { links, targets, unknown, troubles: Mutex::new(troubles) }
    }

    /// Whether the store mirrors no links, as far as could be looked.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty() && self.unknown.is_empty()
    }

    /// Whether a link that could not be looked at may be on the way to a path.
    pub fn may_miss(&self, path: &Path) -> bool {
        self.unknown.iter().any(|unknown| path.starts_with(unknown))
    }

    /// What could not be read, each once.
    pub fn take_troubles(&self) -> Vec<Trouble> {
        std::mem::take(&mut *self.troubles.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A path that the store mirrors with its links resolved; `None` where it has none.
    pub fn real(&self, path: &Path) -> Option<PathBuf> {
        let (link, real) = path.ancestors().find_map(|ancestor| self.links.get_key_value(ancestor))?;
        Some(below(real, path.strip_prefix(link).ok()?))
    }

    /// All other spellings of the real path `real`.
    pub fn spellings(&self, real: &Path) -> Vec<PathBuf> {
        let mut spellings = Vec::new();
        for ancestor in real.ancestors() {
            let (Some(links), Ok(rest)) = (self.targets.get(ancestor), real.strip_prefix(ancestor)) else {
                continue;
            };
            spellings.extend(links.iter().map(|link| below(link, rest)));
        }
        spellings
    }

    /// Where the store may keep the entries of the real path `real` that Python reached through a link and `..`: for
    /// `LINK/../lib/m.py`, beside the link and not beside its target. Other sources may be mirrored there.
    pub fn beside_links(&self, real: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for (link, target) in &self.links {
            let above = link.ancestors().zip(target.ancestors()).skip(1);
            let rests = above.filter_map(|(link, target)| Some(below(link, real.strip_prefix(target).ok()?)));
            found.extend(rests.filter(|path| path != real));
        }
        found.sort();
        found.dedup();
        found
    }

    /// The links whose targets are below the real path `real`: paths through them are below it as well.
    pub fn leading_below(&self, real: &Path) -> Vec<PathBuf> {
        let is_below = |(_, target): &(&PathBuf, &PathBuf)| target.starts_with(real) && *target != real;
        self.links.iter().filter(is_below).map(|(link, _)| link.clone()).collect()
    }
}

/// What is at the path of a directory of sources.
enum At {
    /// Nothing, or nothing that may be looked at; then there is no link below it either.
    Nothing,
    /// A directory, or whatever else is no link to one.
    Directory,
    /// A link to the directory with this real path.
    Link(PathBuf),
}

/// Looks at the path of a directory of sources. A link that leads to no directory is nothing.
///
/// # Errors
/// Faults of the system.
fn link_at(sources: &Path) -> io::Result<At> {
    match sources.symlink_metadata() {
        Ok(metadata) if metadata.is_symlink() => {}
        Ok(_) => return Ok(At::Directory),
        Err(error) => return unless_fault(error).map(|()| At::Nothing),
    }
    match sources.canonicalize().and_then(|real| Ok((real.metadata()?.is_dir(), real))) {
        Ok((true, real)) => Ok(At::Link(real)),
        Ok((false, _)) => Ok(At::Nothing),
        Err(error) => unless_fault(error).map(|()| At::Nothing),
    }
}

/// The error, if it is a fault of the system, and not that something is missing, refused or on another mount.
fn unless_fault(error: io::Error) -> io::Result<()> {
    let is_fault = matches!(Why::of(&error), Why::Io | Why::StaleHandle);
    if is_fault && !is_missing(&error) && error.kind() != io::ErrorKind::CrossesDevices {
        Err(error)
    } else {
        Ok(())
    }
}

/// `rest` below `directory`, without a slash at the end where there is no rest.
fn below(directory: &Path, rest: &Path) -> PathBuf {
    if rest.as_os_str().is_empty() { directory.to_path_buf() } else { directory.join(rest) }
}

/// The source that an entry's path in the store mirrors; for the path of a directory, the directory of sources.
pub fn source_of(relative: &Path) -> PathBuf {
    let source = name::source_directory(relative.as_os_str().as_bytes());
    let name = source.file_name().map(|name| name::Name::parse(name.as_bytes()));
    match name.as_ref().and_then(name::Name::slot) {
        Some(slot) => source.with_file_name(OsStr::from_bytes(&slot.usual_source())),
        None => source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::witness::real_path;
    use crate::store::Purpose;
    use std::fs::create_dir_all;
    use std::os::unix::fs::symlink;

    #[test]
    fn every_spelling_that_the_store_mirrors_is_found() {
        let (_temporary, base) = crate::temporary::directory();
        create_dir_all(base.join("data/bob/work/p")).unwrap();
        create_dir_all(base.join("srv/lib")).unwrap();
        symlink("data/bob", base.join("bob")).unwrap();
        symlink(base.join("srv/lib"), base.join("data/bob/work/p/vendor")).unwrap();
        symlink("nowhere", base.join("dangling")).unwrap();
        symlink("data", base.join("unused")).unwrap();
        let store = base.join("store");
        let mirror = |path: &str| store.join(base.join(path).strip_prefix("/").unwrap());
        for path in [
            "bob/work/p/vendor",
            "bob/work/gone",
            "data/bob/work/p",
            "dangling/x",
            "bob/work/p/__pycache__/a",
        ] {
            create_dir_all(mirror(path)).unwrap();
        }
        let store = Store::open(&store, &[], Purpose::Look).unwrap();
        let aliases = Aliases::find(&store, Threads::exactly(2));
        let links: Vec<_> = aliases.links.keys().map(|link| link.strip_prefix(&base).unwrap()).collect();
        assert_eq!(links, [Path::new("bob"), Path::new("bob/work/p/vendor")]);
        let spellings = |path: &str| aliases.spellings(&base.join(path));
        assert_eq!(spellings("data/bob/work/p"), [base.join("bob/work/p")]);
        assert_eq!(spellings("data/bob"), [base.join("bob")]);
        assert_eq!(spellings("srv/lib/x.py"), [base.join("bob/work/p/vendor/x.py")]);
        let beside = aliases.beside_links(&base.join("data/tools/m.py"));
        assert!(beside.contains(&base.join("tools/m.py")), "as `bob/../tools/m.py`: {beside:?}");
        assert_eq!(aliases.leading_below(&base.join("srv")), [base.join("bob/work/p/vendor")]);
        assert_eq!(aliases.real(&base.join("bob/work/p/m.py")), Some(base.join("data/bob/work/p/m.py")));
        assert_eq!(aliases.real(&base.join("bob/work/p/vendor/m.py")), Some(base.join("srv/lib/m.py")));
        assert_eq!(aliases.real(&base.join("data/bob/m.py")), None);
        assert_eq!(real_path(&base.join("bob/work/gone/m.py")), base.join("data/bob/work/gone/m.py"));
    }

    #[test]
    fn what_cannot_be_looked_at_may_hide_a_link() {
        const INPUT_OUTPUT: i32 = 5;
        let error = io::Error::from_raw_os_error;
        for (number, is_fault) in
            [(INPUT_OUTPUT, true), (24, true), (107, true), (2, false), (13, false), (18, false)]
        {
            assert_eq!(unless_fault(error(number)).is_err(), is_fault, "{number}");
        }
        let aliases = Aliases { unknown: vec!["/a/b".into()], ..Aliases::default() };
        assert!(!aliases.is_empty() && aliases.may_miss(Path::new("/a/b/c/m.py")));
        assert!(!aliases.may_miss(Path::new("/a/bc/m.py")));
        let keep =
            crate::verdict::scope::Keep::of(["/real/**"]).unwrap().with_aliases(std::sync::Arc::new(aliases));
        assert!(keep.matches(Path::new("/a/b/m.py")), "it may be in /real");
        assert!(!keep.matches(Path::new("/a/m.py")));
    }

    #[test]
    fn an_entry_mirrors_its_source() {
        let source = |relative: &str| source_of(Path::new(relative));
        assert_eq!(source("a/b.cpython-312.pyc"), Path::new("/a/b.py"));
        assert_eq!(source("a/b.cpython-312.opt-2.pyc"), Path::new("/a/b.py"));
        assert_eq!(source("a/b"), Path::new("/a/b"));
        assert_eq!(source(""), Path::new("/"));
    }
}
