//! A standard library that a store has entries for.

use super::version::LibraryName;
use crate::pyc::name;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// A standard library that a store has entries for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MirroredLibrary {
    /// Where it is, or was.
    pub directory: PathBuf,
    /// The cache tag of the entries.
    pub tag: String,
    pub(crate) sign: Sign,
}

/// How a directory is recognised as a standard library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Sign {
    /// Its name, `lib/python3.12`, or entries of its `encodings`.
    Certain,
    /// Entries for a module `os` or `site`: a project may have modules of these names too.
    Module,
}

impl MirroredLibrary {
    /// The library that `directory` is, by its name and by the tag of an entry of the store for a source directly
    /// in it. Whether it is still there is not asked here.
    ///
    /// Any source in it will do. `os.py` need not have an entry: it is frozen into CPython since 3.11.
    pub fn new(directory: &Path, tag: &str) -> Option<MirroredLibrary> {
        let library = directory.file_name().and_then(OsStr::to_str).and_then(LibraryName::parse)?;
        let is_own = name::python_of_tag(tag) == Some((library.major, library.minor));
        is_own.then(|| MirroredLibrary::with(directory, tag, Sign::Certain))
    }

    /// Whether nothing but a standard library has such entries.
    pub(crate) fn is_certain(&self) -> bool {
        self.sign == Sign::Certain
    }

    pub(crate) fn with(directory: &Path, tag: &str, sign: Sign) -> MirroredLibrary {
        MirroredLibrary { directory: directory.to_path_buf(), tag: tag.to_string(), sign }
    }
}
