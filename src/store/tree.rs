//! Trees that are reached from the descriptor of their root, downwards only: the store, and trees of sources.
//!
//! What removes from them needs no more than this, so that there is one executor for all.

use crate::host::directory::Directory;
use crate::store::Store;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A tree opened at its root.
pub trait Tree: Sync {
    /// The root's path as it was given: what is below it is shown under it.
    fn path(&self) -> &Path;

    /// Opens the directory `relative` below the root; `b""` is the root.
    ///
    /// # Errors
    /// Those of [`Directory::open_beneath`].
    fn directory(&self, relative: &[u8]) -> io::Result<Directory>;

    /// The path of something in the tree, for people to read: never opened again.
    fn shown(&self, relative: &[u8], name: &[u8]) -> PathBuf {
        let mut path = self.path().to_path_buf();
        for part in [relative, name].into_iter().filter(|part| !part.is_empty()) {
            path.push(OsStr::from_bytes(part));
        }
        path
    }
}

impl Tree for Store {
    fn path(&self) -> &Path {
        Store::path(self)
    }

    fn directory(&self, relative: &[u8]) -> io::Result<Directory> {
        Store::directory(self, relative)
    }
}
