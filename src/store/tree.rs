//! A tree that is reached from the descriptor of its root, downwards only: the store, and trees of sources.
//!
//! What removes from them needs no more than this, so that there is one executor for all.

use crate::host::directory::{Access, Directory, Metadata, Resolver};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A tree opened at its root.
#[derive(Debug)]
pub struct Tree {
    root: Directory,
    path: PathBuf,
    resolver: Resolver,
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
        Tree { root, path, resolver }
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
