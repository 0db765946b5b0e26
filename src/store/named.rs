//! What a path that is named means in a store: a place in it, a source, or a directory of sources in every spelling.
//!
//! Below a symbolic link, Python may have spelled a source through the link or by its real path, and so the store may
//! mirror one, the other, or both.

use super::Store;
use super::aliases::Aliases;
use crate::host::directory::{FileKind, ListBuffer};
use crate::pyc::name::{self, Name};
use crate::pyc::tags::Tag;
use crate::source::witness::real_path;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where a path leads to. A file that is a link is a source of its own: Python compiles it under its own name.
pub fn real_of_source(path: &Path) -> PathBuf {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if !path.is_dir() => real_path(parent).join(name),
        _ => real_path(path),
    }
}

impl Store {
    /// A path relative to the store's root; `None` outside the store.
    pub fn inside(&self, path: &Path) -> Option<PathBuf> {
        let below = |path: &Path, root: &Path| path.strip_prefix(root).map(Path::to_path_buf).ok();
        below(path, self.path())
            .or_else(|| below(path, self.real_path()))
            .or_else(|| below(&real_of_source(path), self.real_path()))
    }

    /// Whether the store has a mirror of a directory, or an entry of a source.
    pub fn mirrors(&self, path: &Path) -> bool {
        let relative = name::mirror_of(path);
        self.directory(relative).is_ok() || !self.names_of_entries(path).unwrap_or_default().is_empty()
    }

    /// The names of the entries of a source, in the store's mirror of its directory, in order of their tags.
    ///
    /// # Errors
    /// Where that cannot be read.
    pub fn names_of_entries(&self, source: &Path) -> io::Result<Vec<Vec<u8>>> {
        let (Some(parent), Some(source_name)) = (source.parent(), source.file_name()) else {
            return Ok(Vec::new());
        };
        let relative = name::mirror_of(parent);
        let mut names = Vec::new();
        self.directory(relative)?.list(&mut ListBuffer::default(), |name, kind| {
            let slot = Name::parse(name).slot();
            if kind == FileKind::Regular && slot.is_some_and(|slot| slot.holds(source_name.as_bytes())) {
                names.push(name.to_vec());
            }
        })?;
        let tag = |name: &[u8]| Name::parse(name).slot().map(|slot| Tag::from(slot.tag));
        names.sort_by_cached_key(|name| (tag(name), name.clone()));
        debug_assert!(name::source_directory(relative) == parent);
        Ok(names)
    }
}

impl Aliases {
    /// A path in every spelling that the store mirrors: as it is, where it leads to, through other links, and links to what
    /// is below it.
    pub fn all_spellings(&self, path: &Path) -> Vec<PathBuf> {
        let real = real_of_source(path);
        let mut spellings = vec![path.to_path_buf(), real.clone()];
        spellings.extend(self.spellings(&real));
        spellings.extend(self.leading_below(&real));
        spellings.sort();
        spellings.dedup();
        spellings
    }
}
