//! The names in a directory, as it lists them: of the store, of sources, of a `__pycache__`.
//!
//! # Invariants
//!
//! * Names are compared byte by byte: a case-insensitive file system finds more files than it lists.
//! * A listing that breaks off keeps the names that it got.

use crate::host::directory::{Directory, FileKind, Links, ListBuffer};
use crate::pyc::name::{Slot, SourceIndex};
use std::io;
use std::ops::Range;
use std::sync::OnceLock;

/// What is done about files whose kind the file system does not list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownKinds {
    /// Each is looked at.
    LookUp,
    /// Their kind stays unknown.
    Keep,
}

/// The names in a directory. Memory is kept from one directory to the next.
#[derive(Debug, Default)]
pub struct Listing {
    names: Vec<u8>,
    files: Vec<(Range<usize>, FileKind)>,
    directories: Vec<Range<usize>>,
    /// The order of the files by the slot that each is a source of.
    index: OnceLock<SourceIndex>,
}

impl Listing {
    /// Forgets all names.
    pub fn clear(&mut self) {
        self.names.clear();
        self.files.clear();
        self.directories.clear();
        self.index.take();
    }

    /// Lists a directory in place of what is there.
    ///
    /// # Errors
    /// What the system answers.
    pub fn read(
        &mut self,
        directory: &Directory,
        buffer: &mut ListBuffer,
        unknown: UnknownKinds,
    ) -> io::Result<()> {
        self.clear();
        let Listing { names, files, directories, .. } = self;
        let listed = directory.list(buffer, |name, kind| {
            let kind = match kind {
                FileKind::Unknown if unknown == UnknownKinds::LookUp => {
                    directory.metadata(name, Links::Keep).map_or(kind, |metadata| metadata.kind)
                }
                kind => kind,
            };
            let start = names.len();
            names.extend_from_slice(name);
            match kind {
                FileKind::Directory => directories.push(start..names.len()),
                kind => files.push((start..names.len(), kind)),
            }
        });
        files.sort_unstable_by(|(one, _), (other, _)| names[one.clone()].cmp(&names[other.clone()]));
        listed
    }

    /// The files, sorted by name: everything that is not a directory.
    pub fn files(&self) -> impl ExactSizeIterator<Item = (&[u8], FileKind)> + Clone {
        self.files.iter().map(|(range, kind)| (&self.names[range.clone()], *kind))
    }

    /// The directories.
    pub fn directories(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.directories.iter().map(|range| &self.names[range.clone()])
    }

    /// The kind of the file that is listed by exactly this name; `None` for a directory.
    pub fn kind(&self, name: &[u8]) -> Option<FileKind> {
        let found = self.files.binary_search_by(|(range, _)| self.names[range.clone()].cmp(name)).ok()?;
        Some(self.files[found].1)
    }

    /// Whether a file or a directory is listed by exactly this name.
    pub fn has(&self, name: &str) -> bool {
        self.kind(name.as_bytes()).is_some() || self.directories().any(|own| own == name.as_bytes())
    }

    /// The files and links that a slot can be compiled from.
    pub fn sources_of(&self, slot: &Slot<'_>) -> impl Iterator<Item = &[u8]> {
        let name = |at: usize| &self.names[self.files[at].0.clone()];
        let index = self.index.get_or_init(|| SourceIndex::new(self.files.len(), name));
        index.sources_of(slot, name).filter(|name| self.kind(name) != Some(FileKind::Other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::directory::Access;
    use crate::pyc::name::Name;

    #[test]
    fn names_are_compared_as_they_are_listed() {
        let temporary = tempfile::tempdir().unwrap();
        for name in ["widget.py", "Case.pyc", "m.pyw", "m.py"] {
            std::fs::write(temporary.path().join(name), "").unwrap();
        }
        std::fs::create_dir(temporary.path().join("case.py")).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(temporary.path().join("m.hy")).unwrap();
        let mut listing = Listing::default();
        for unknown in [UnknownKinds::LookUp, UnknownKinds::Keep] {
            let directory = Directory::open(temporary.path(), Access::List).unwrap();
            listing.read(&directory, &mut ListBuffer::default(), unknown).unwrap();
            let files: Vec<&[u8]> = listing.files().map(|(name, _)| name).collect();
            assert_eq!(files, [&b"Case.pyc"[..], b"m.hy", b"m.py", b"m.pyw", b"widget.py"]);
            assert_eq!(listing.directories().collect::<Vec<_>>(), [b"case.py"]);
            assert!(listing.kind(b"widget.py").is_some() && listing.has("case.py"));
            for name in ["Widget.py", "WIDGET.PY", "case.py", "Case.py", "widget.p"] {
                assert_eq!(listing.kind(name.as_bytes()), None, "{name}");
            }
            let slot = Name::parse(b"m.cpython-312.pyc").slot().unwrap();
            let sources: Vec<&[u8]> = listing.sources_of(&slot).collect();
            assert_eq!(sources, [&b"m.py"[..], b"m.pyw"], "a socket is no source");
        }
    }
}
