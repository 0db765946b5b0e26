//! Symbolic links on the paths that a store mirrors: one directory of sources, spelled in several ways.
//!
//! Python spells a source as it was told to, and the store has one mirror for each spelling. Links cannot be found from
//! the directory they lead to, but every spelling that the store mirrors passes through the link: so the directories of the
//! store are walked, and each directory of sources is checked for being a link. Files are not looked at.

use crate::directory::{FileKind, ListBuffer};
use crate::layout;
use crate::scan::{Threads, run_crew};
use crate::store::Store;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The links to directories on the paths that a store mirrors: as they are spelled, and where they lead.
#[derive(Debug, Default)]
pub struct Aliases {
    /// From a link as it is spelled to the real path of its directory.
    links: BTreeMap<PathBuf, PathBuf>,
    /// From a real path to the links that lead there.
    targets: BTreeMap<PathBuf, Vec<PathBuf>>,
}

/// One worker's links, and its buffer for listings.
#[derive(Default)]
struct Worker {
    links: Vec<(PathBuf, PathBuf)>,
    buffer: ListBuffer,
    names: Vec<Vec<u8>>,
}

impl Aliases {
    /// Walks the directories of a store. Skips those that cannot be read: their entries cannot be shown either.
    pub fn find(store: &Store, threads: Threads) -> Aliases {
        let work = |worker: &mut Worker, relative: Vec<u8>, jobs: &mut crate::scan::Jobs<Vec<u8>>| {
            let Worker { links, buffer, names } = worker;
            names.clear();
            let Ok(directory) = store.directory(&relative) else { return };
            // A listing that fails halfway yields fewer links.
            let _ = directory.list(buffer, |name, kind| {
                if kind == FileKind::Directory {
                    names.push(name.to_vec());
                }
            });
            for name in names.drain(..) {
                let path = layout::joined(&relative, &name);
                if !layout::mirrors_sources(&path) {
                    continue;
                }
                let sources = layout::source_directory(&path);
                // A missing directory has no links below it.
                let Ok(metadata) = sources.symlink_metadata() else { continue };
                if metadata.is_symlink() {
                    let Some(real) = sources.canonicalize().ok().filter(|real| real.is_dir()) else {
                        continue;
                    };
                    links.push((sources, real));
                }
                jobs.push(path);
            }
        };
        let workers = run_crew(threads, vec![Vec::new()], Worker::default, work, || {});
        let links: BTreeMap<_, _> = workers.into_iter().flat_map(|worker| worker.links).collect();
        let mut targets: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
        for (link, real) in &links {
            targets.entry(real.clone()).or_default().push(link.clone());
        }
        Aliases { links, targets }
    }

    /// Whether the store mirrors no links.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
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

/// `rest` below `directory`, without a slash at the end where there is no rest.
fn below(directory: &Path, rest: &Path) -> PathBuf {
    if rest.as_os_str().is_empty() { directory.to_path_buf() } else { directory.join(rest) }
}

/// The source that an entry's path in the store mirrors; for the path of a directory, the directory of sources.
pub fn source_of(relative: &Path) -> PathBuf {
    let source = layout::source_directory(relative.as_os_str().as_bytes());
    let name = source.file_name().map(|name| layout::Name::parse(name.as_bytes()));
    match name.as_ref().and_then(layout::Name::slot) {
        Some(slot) => source.with_file_name(OsStr::from_bytes(&slot.usual_source())),
        None => source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Purpose;
    use crate::witness::real_path;
    use std::fs::create_dir_all;
    use std::os::unix::fs::symlink;

    #[test]
    fn every_spelling_that_the_store_mirrors_is_found() {
        let temporary = tempfile::tempdir().unwrap();
        let base = temporary.path().canonicalize().unwrap();
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
    fn an_entry_mirrors_its_source() {
        let source = |relative: &str| source_of(Path::new(relative));
        assert_eq!(source("a/b.cpython-312.pyc"), Path::new("/a/b.py"));
        assert_eq!(source("a/b.cpython-312.opt-2.pyc"), Path::new("/a/b.py"));
        assert_eq!(source("a/b"), Path::new("/a/b"));
        assert_eq!(source(""), Path::new("/"));
    }
}
