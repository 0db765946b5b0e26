//! The root of a sweep: a directory of sources, opened once and vetted.
//!
//! # Invariants
//!
//! * Never `/`, nor what lies in the store. As root, nobody else decides what is at the path ([`crate::host::path_owner`]). What belongs to a
//!   package manager or to an installation of Python is opened only for who asks for it ([`System`]).
//! * A [`Root`] holds a descriptor; the path is not resolved again, except to tell its owner.

use crate::host::directory::{self, FileKind, Links};
use crate::host::path_owner::{PathDoubt, check_root_alone};
use crate::pyc::name::PYCACHE;
use crate::source::owner::{OwnerKind, Ownership, prefix_of_library};
use crate::store::tree::{OpenedRoot, Tree};
use std::ffi::OsStr;
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Whether what belongs to the system is swept: to a package manager, or to an installation of Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// It is left alone.
    Leave,
    /// It is swept.
    Sweep,
}

/// Where package managers put what they own (FHS; Nix, Guix).
const PACKAGED: [&str; 5] = ["/usr", "/lib", "/lib64", "/nix/store", "/gnu/store"];

/// What is below one of these and not a package manager's.
const UNPACKAGED: [&str; 1] = ["/usr/local"];

/// A vetted root.
#[derive(Debug)]
pub struct Root {
    /// Under the path as it was spelled: Python mirrors sources in the store by their spelled paths.
    tree: Tree,
    /// The path without symbolic links, at the time of opening.
    pub real_path: PathBuf,
    /// Whether only its `__pycache__` is meant: that is what was named.
    pub only_cache: bool,
}

/// Why a directory is not swept.
#[derive(Debug, thiserror::Error)]
pub enum SweepRefusal {
    /// There is nothing at the path.
    #[error("{} does not exist", .0.display())]
    NotFound(PathBuf),
    /// It is a file.
    #[error("not a directory: {}", .0.display())]
    NotADirectory(PathBuf),
    /// `/`.
    #[error("refused: {} is the root directory", .0.display())]
    RootDirectory(PathBuf),
    /// It belongs to a package manager.
    #[error("refused: {} belongs to the package manager", .0.display())]
    Packaged(PathBuf),
    /// It lies in the library of an installation of Python.
    #[error("refused: {} belongs to an installation of Python", .0.display())]
    Installation(PathBuf),
    /// It lies in the store.
    #[error("refused: {} lies in the store", .0.display())]
    InStore(PathBuf),
    /// We are root, and others decide what is at the path.
    #[error("refused as root: {}: {doubt}", .path.display())]
    Doubtful {
        /// The path given.
        path: PathBuf,
        /// Who decides.
        doubt: PathDoubt,
    },
    /// It could not be opened.
    #[error("cannot open {}", .path.display())]
    Io {
        /// The path given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Root {
    /// Opens and vets the directory at the absolute path `path`. A symbolic link there is resolved once, here: whoever
    /// names one means what it leads to. A `__pycache__` is opened as the one in its parent.
    ///
    /// `store` is the store's real path.
    ///
    /// # Errors
    /// A [`SweepRefusal`].
    pub fn open(path: &Path, store: Option<&Path>, system: System) -> Result<Root, SweepRefusal> {
        let named = path.to_path_buf();
        let only_cache = path.file_name().is_some_and(|name| name.as_bytes() == PYCACHE);
        let path = path.parent().filter(|_| only_cache).unwrap_or(path);
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => SweepRefusal::NotFound(named.clone()),
            io::ErrorKind::NotADirectory => SweepRefusal::NotADirectory(named.clone()),
            _ => SweepRefusal::Io { path: named.clone(), source },
        };
        let opened = OpenedRoot::open(path).map_err(failed)?;
        let OpenedRoot { directory, metadata, real_path } = &opened;
        if opened.may_be_root_directory() {
            return Err(SweepRefusal::RootDirectory(named));
        }
        if only_cache {
            let found = directory.metadata(PYCACHE, Links::Keep).map_err(failed)?;
            if found.kind != FileKind::Directory {
                return Err(SweepRefusal::NotADirectory(named));
            }
        }
        if directory::effective_user() == 0 {
            check_root_alone(path, metadata.identity)
                .map_err(|doubt| SweepRefusal::Doubtful { path: named.clone(), doubt })?;
        }
        if store.is_some_and(|store| real_path.starts_with(store)) {
            return Err(SweepRefusal::InStore(named));
        }
        if system == System::Leave {
            if is_packaged(real_path) {
                return Err(SweepRefusal::Packaged(named));
            }
            if library_around(real_path).is_some() {
                return Err(SweepRefusal::Installation(named));
            }
        }
        let real_path = real_path.clone();
        Ok(Root { tree: opened.into_tree(path), real_path, only_cache })
    }
}

impl Root {
    /// What is swept, without symbolic links: the root, or its `__pycache__` alone.
    pub fn target(&self) -> PathBuf {
        if self.only_cache { self.real_path.join(OsStr::from_bytes(PYCACHE)) } else { self.real_path.clone() }
    }
}

impl Deref for Root {
    type Target = Tree;

    fn deref(&self) -> &Tree {
        &self.tree
    }
}

impl DerefMut for Root {
    fn deref_mut(&mut self) -> &mut Tree {
        &mut self.tree
    }
}

/// Whether a path without symbolic links is a package manager's.
pub(crate) fn is_packaged(path: &Path) -> bool {
    let is_below = |places: &[&str]| places.iter().any(|place| path.starts_with(place));
    is_below(&PACKAGED) && !is_below(&UNPACKAGED)
}

/// Whether a directory is the library of an installation: its standard library, or one of its `site-packages` beside
/// that (Debian's `/usr/local/lib/python3.11`, Homebrew's).
pub(crate) fn is_standard_library(directory: &Path) -> bool {
    let is_there = |name: &&str| directory.join(name).exists();
    LIBRARY.iter().all(is_there) || is_standard_library_by_place(directory)
}

/// The library of an installation that a path lies in.
fn library_around(path: &Path) -> Option<&Path> {
    path.ancestors().find(|ancestor| is_standard_library(ancestor))
}

/// What every standard library has in it.
pub(crate) const LIBRARY: [&str; 3] = ["os.py", "encodings", "importlib"];

/// Whether a directory is an installation's by its place: `PREFIX/lib/python3.12`.
pub(crate) fn is_standard_library_by_place(directory: &Path) -> bool {
    if prefix_of_library(directory).is_none() {
        return false;
    }
    // What Debian's packages bring for all of its Pythons, in a system that is not the running one as well.
    let is_debian_layout = directory.ends_with("python3") && directory.join("dist-packages").is_dir();
    let ownership = Ownership::Nobody.enter_present(directory, false);
    is_debian_layout || ownership.owner().is_some_and(|owner| owner.kind == OwnerKind::Interpreter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_package_managers_own_is_theirs_and_the_rest_is_not() {
        for path in ["/usr", "/usr/lib/python3/dist-packages", "/usr/share/x", "/lib/python3", "/nix/store/a"]
        {
            assert!(is_packaged(Path::new(path)), "{path}");
        }
        for path in ["/usr/local", "/usr/local/src/x", "/usrlocal", "/home/me", "/opt/x", "/srv/lib"] {
            assert!(!is_packaged(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn the_place_of_a_library_and_what_is_in_it_tell_whether_it_is_an_installations() {
        let temporary = tempfile::tempdir().unwrap();
        for (path, expected) in [
            ("a/lib/python3/dist-packages/", true),
            ("b/lib64/python3/dist-packages/", true),
            ("c/lib/python3.12/os.py", true),
            ("d/lib64/pypy3.11/os.py", true),
            ("e/lib/python3/site-packages/", false),
            ("f/lib/python3.12/dist-packages/", false),
            ("g/lib/other/dist-packages/", false),
            ("h/src/python3/dist-packages/", false),
            ("i/src/python3.12/os.py", false),
            ("j/lib/python/os.py", false),
            ("k/lib/pypy/os.py", false),
        ] {
            let path = temporary.path().join(path);
            let directory = path.parent().unwrap();
            if path.extension().is_some() {
                std::fs::create_dir_all(directory).unwrap();
                std::fs::write(&path, "").unwrap();
            } else {
                std::fs::create_dir_all(&path).unwrap();
            }
            assert_eq!(is_standard_library_by_place(directory), expected, "{}", path.display());
        }
    }

    #[test]
    fn roots_are_vetted() {
        let (_temporary, base) = crate::temporary::directory();
        let make = |path: &str| std::fs::create_dir_all(base.join(path)).unwrap();
        ["store/a", "p/__pycache__", "py/lib/python3.12/encodings", "py/lib/python3.12/importlib"]
            .into_iter()
            .for_each(make);
        make("py/lib/python3.12/site-packages/x");
        make("chroot/usr/lib/python3/dist-packages/y");
        std::fs::write(base.join("py/lib/python3.12/os.py"), "").unwrap();
        std::fs::write(base.join("file"), "").unwrap();
        std::os::unix::fs::symlink(base.join("p"), base.join("link")).unwrap();
        std::os::unix::fs::symlink("/", base.join("top")).unwrap();
        std::os::unix::fs::symlink(base.join("p/__pycache__"), base.join("__pycache__")).unwrap();
        let store = base.join("store");
        let open = |path: &str, system| {
            Root::open(&base.join(path), Some(&store), system).map_err(|refusal| refusal.to_string())
        };
        let refused = |path: &str| open(path, System::Leave).unwrap_err();
        assert!(refused("top").contains("root directory"));
        assert!(refused("missing").contains("does not exist"));
        assert!(refused("file").contains("not a directory"));
        assert!(refused("__pycache__").contains("not a directory"));
        assert!(refused("store/a").contains("lies in the store"));
        assert!(refused("py/lib/python3.12/site-packages/x").contains("installation of Python"));
        assert!(refused("chroot/usr/lib/python3/dist-packages/y").contains("installation of Python"));
        assert!(open("py/lib/python3.12/site-packages/x", System::Sweep).is_ok());
        let link = open("link", System::Leave).unwrap();
        assert_eq!(link.target(), base.join("p"));
        assert_eq!((link.path(), link.real_path.clone()), (&*base.join("link"), base.join("p")));
        let cache = open("p/__pycache__", System::Leave).unwrap();
        assert_eq!(cache.target(), base.join("p/__pycache__"));
        assert_eq!((cache.path(), cache.only_cache), (&*base.join("p"), true));
    }
}
