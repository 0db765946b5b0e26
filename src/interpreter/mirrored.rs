//! The interpreters that a store betrays: those whose standard library it mirrors, and those of the virtualenvs that
//! it mirrors. An interpreter that writes to the store shows up here, wherever it is installed.

use super::environment::CONFIGURATION;
use super::version::LibraryName;
use super::{Places, Unreadable};
use crate::directory::{FileKind, Links, ListBuffer};
use crate::layout::{self, Name};
use crate::store::Store;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A standard library that a store has entries for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MirroredLibrary {
    pub(super) directory: PathBuf,
    pub(super) tag: String,
}

impl MirroredLibrary {
    /// The library that `directory` is, by its name and by the tag of an entry of the store for a source directly
    /// in it. Whether it is still there is not asked here.
    ///
    /// Any source in it will do. `os.py` need not have an entry: it is frozen into CPython since 3.11.
    pub fn new(directory: &Path, tag: &str) -> Option<MirroredLibrary> {
        let library = directory.file_name().and_then(OsStr::to_str).and_then(LibraryName::parse)?;
        let is_own = layout::python_of_tag(tag) == Some((library.major, library.minor));
        is_own.then(|| MirroredLibrary { directory: directory.to_path_buf(), tag: tag.to_string() })
    }
}

/// Adds to the places what the store betrays. Only directories are listed, and none below `lib/python3.X`: there is
/// most of a store, and no other interpreter.
pub(super) fn add_those_of(store: &Store, places: &mut Places) -> Vec<Unreadable> {
    let mut unreadable = Vec::new();
    let mut buffer = ListBuffer::default();
    let mut pending: Vec<Vec<u8>> = vec![Vec::new()];
    while let Some(relative) = pending.pop() {
        let is_library = is_library(&relative);
        let mut tags: Vec<String> = Vec::new();
        let listed = store.directory(&relative).and_then(|directory| {
            directory.list(&mut buffer, |name, kind| {
                let kind = match kind {
                    FileKind::Unknown => directory.metadata(name, Links::Keep).map_or(kind, |it| it.kind),
                    kind => kind,
                };
                match (kind, Name::parse(name)) {
                    (FileKind::Directory, _) if !is_library => pending.push(joined(&relative, name)),
                    (FileKind::Regular, Name::Bytecode(slot)) if is_library => {
                        tags.push(slot.tag.to_string())
                    }
                    _ => {}
                }
            })
        });
        match listed {
            Ok(()) => {}
            // Gone meanwhile; or another file system, which is no part of the store.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::CrossesDevices) => {
            }
            Err(source) => unreadable.push(Unreadable { path: store.shown(&relative, b""), source }),
        }
        if is_library {
            let directory = layout::source_directory(&relative);
            places.configurations.extend(directory.ancestors().nth(2).map(|root| root.join(CONFIGURATION)));
            tags.sort();
            tags.dedup();
            places.libraries.extend(tags.iter().filter_map(|tag| MirroredLibrary::new(&directory, tag)));
        }
    }
    unreadable
}

fn joined(relative: &[u8], name: &[u8]) -> Vec<u8> {
    let separator: &[u8] = if relative.is_empty() { b"" } else { b"/" };
    [relative, separator, name].concat()
}

/// `…/lib/python3.12`, a standard library or the packages of a virtualenv.
fn is_library(relative: &[u8]) -> bool {
    let path = Path::new(OsStr::from_bytes(relative));
    let is_below_lib =
        path.parent().is_some_and(|parent| parent.ends_with("lib") || parent.ends_with("lib64"));
    is_below_lib && path.file_name().and_then(OsStr::to_str).and_then(LibraryName::parse).is_some()
}
