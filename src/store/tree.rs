//! A tree that is reached from the descriptor of its root, downwards only: the store, and trees of sources.
//!
//! What removes from them needs no more than this, so that there is one executor for all.

use crate::host::directory::{Access, Directory, ListBuffer, Metadata, Resolver, is_missing};
use crate::source::Why;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Errors that say nothing of the file system: EMFILE, ENFILE, ENOMEM.
const LIMITS: [i32; 3] = [24, 23, 12];

const EIO: i32 = 5;

/// A tree opened at its root.
#[derive(Debug)]
pub struct Tree {
    root: Directory,
    path: PathBuf,
    resolver: Resolver,
    /// The error of the root, once it cannot be read any more.
    lost: OnceLock<i32>,
}

/// A directory that was opened by a path to become the root of a tree, before it is vetted.
pub(crate) struct OpenedRoot {
    pub(crate) directory: Directory,
    pub(crate) metadata: Metadata,
    /// The path without symbolic links.
    pub(crate) real_path: PathBuf,
}

impl OpenedRoot {
    /// Opens the directory at the absolute path `path`; symbolic links are resolved.
    ///
    /// # Errors
    /// What the system answers.
    pub(crate) fn open(path: &Path) -> io::Result<OpenedRoot> {
        let directory = Directory::open(path, Access::List)?;
        let metadata = directory.own_metadata()?;
        let real_path = directory.real_path().or_else(|_| path.canonicalize())?;
        Ok(OpenedRoot { directory, metadata, real_path })
    }

    /// Whether it is the directory at another path.
    ///
    /// # Errors
    /// What opening that directory answers.
    pub(crate) fn is_at(&self, path: &Path) -> io::Result<bool> {
        let other = Directory::open(path, Access::LookUp)?.own_metadata()?;
        Ok(other.identity == self.metadata.identity)
    }

    /// Whether it is `/`, which cannot be excluded if `/` cannot be opened.
    pub(crate) fn may_be_root_directory(&self) -> bool {
        self.is_at(Path::new("/")).unwrap_or(true)
    }

    /// The tree below it; `path` is the path that it is shown under.
    pub(crate) fn into_tree(self, path: &Path) -> Tree {
        Tree::new(self.directory, path.to_path_buf())
    }
}

impl Tree {
    /// The tree below an open directory; `path` is the path that it was given by.
    pub(crate) fn new(root: Directory, path: PathBuf) -> Tree {
        let resolver = root.resolver();
        Tree { root, path, resolver, lost: OnceLock::new() }
    }

    /// The root's path as it was given: what is below it is shown under it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn root(&self) -> &Directory {
        &self.root
    }

    /// Resolves paths below the root this way from now on: for machines that refuse `openat2`, and their tests.
    pub fn set_resolver(&mut self, resolver: Resolver) {
        self.resolver = resolver;
    }

    /// Whether an error below the root comes from a file system that is gone: its server, its disk. Then the root cannot be read
    /// either, and all that follows would fail in the same way: see [`Tree::lost`].
    pub(crate) fn note_error(&self, error: &io::Error) -> bool {
        if self.is_lost() {
            return true;
        }
        let of_file_system = |error: &io::Error| {
            let is_limit = error.raw_os_error().is_some_and(|code| LIMITS.contains(&code));
            Why::of(error).is_fault() && !is_missing(error) && !is_limit
        };
        if !of_file_system(error) {
            return false;
        }
        let listed = self.directory(b"").and_then(|root| root.list(&mut ListBuffer::default(), |_, _| {}));
        if let Some(error) = listed.err().filter(of_file_system) {
            let _ = self.lost.set(error.raw_os_error().unwrap_or(EIO));
        }
        self.is_lost()
    }

    /// Whether the root could not be read any more when an error below it was looked into.
    pub fn is_lost(&self) -> bool {
        self.lost.get().is_some()
    }

    /// Why the root could not be read any more.
    pub fn lost(&self) -> Option<io::Error> {
        self.lost.get().map(|code| io::Error::from_raw_os_error(*code))
    }

    /// Opens the directory `relative` below the root; `b""` is the root.
    ///
    /// # Errors
    /// Those of [`Directory::open_beneath`].
    pub fn directory(&self, relative: &[u8]) -> io::Result<Directory> {
        self.root.open_beneath(relative, self.resolver)
    }

    /// Opens the directory `name` in a directory that this tree opened.
    ///
    /// # Errors
    /// Those of [`Directory::open_beneath`].
    pub fn directory_in(&self, parent: &Directory, name: &[u8]) -> io::Result<Directory> {
        parent.open_beneath(name, self.resolver)
    }

    /// The path of something in the tree, for people to read: never opened again.
    pub fn shown(&self, relative: &[u8], name: &[u8]) -> PathBuf {
        let mut path = self.path.clone();
        for part in [relative, name].into_iter().filter(|part| !part.is_empty()) {
            path.push(OsStr::from_bytes(part));
        }
        path
    }
}
