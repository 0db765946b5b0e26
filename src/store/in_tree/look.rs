//! The look from bytecode in a `__pycache__` at its source, and at what the store has in its place: facts for a verdict, by
//! the same rules as for the store's own entries ([`crate::store::scan`]).

use super::found::InStore;
use super::place::SourcePlace;
use super::root::Root;
use crate::host::directory::{Directory, FileKind, Links, Metadata};
use crate::pyc::name::{Slot, joined};
use crate::pyc::{Loads, Magic, UncheckedHashes, header};
use crate::source::listing::Listing;
use crate::source::{Gone, Source, SourceFile, Why, is_missing};
use crate::store::entry::{Content, Entry};
use crate::store::scan::{compiled_name, hash_source};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::os::unix::ffi::OsStrExt;

/// The store's directory that mirrors a directory of sources.
pub(crate) enum Mirror {
    Directory(Directory),
    /// It is missing, or cannot be opened: making it tells then what stands in the way.
    Nothing,
}

/// The path, from the store's root, of the directory that mirrors a place: by the path as it is spelled, as Python does.
pub fn mirror_of(root: &Root, place: &SourcePlace) -> Vec<u8> {
    let path = root.path().as_os_str().as_bytes();
    let start = path.iter().position(|&byte| byte != b'/').unwrap_or(path.len());
    joined(&path[start..], &place.relative)
}

/// The hashes of sources, or why there is none, by name and magic.
pub(crate) type Hashes = RefCell<HashMap<(Vec<u8>, Magic), Result<[u8; 8], Why>>>;

/// The look from a file in a `__pycache__` at its source.
pub(crate) struct SourceLook<'a> {
    pub(crate) sources: &'a Directory,
    pub(crate) source_names: &'a Listing,
    pub(crate) cache: &'a Directory,
    /// Those that are known: any number of entries may have the same source.
    pub(crate) hashes: Hashes,
}

impl SourceLook<'_> {
    /// Adds to an entry what became of its source.
    pub(crate) fn source(&self, entry: &mut Entry<'_>, slot: &Slot<'_>) {
        let usual = slot.usual_source();
        entry.source = self.named(&usual);
        if entry.source == Source::Absent(Gone::Source)
            && slot.pytest.is_none()
            && self.source_names.sources_of(slot).any(|name| name != usual)
            && let Some(compiled) = compiled_name(self.cache, entry.name, slot)
            && compiled != usual
            && slot.holds(&compiled)
            && self.source_names.kind(&compiled).is_some()
        {
            entry.source = self.named(&compiled);
            entry.other_name = Some(compiled.into());
        }
        self.hash(entry, slot);
    }

    fn named(&self, name: &[u8]) -> Source {
        // A case-insensitive file system would find a source for `Widget.cpython-312.pyc` in `widget.py`.
        if self.source_names.kind(name).is_none() {
            return Source::Absent(Gone::Source);
        }
        match self.sources.metadata(name, Links::Follow) {
            Ok(metadata) if metadata.kind == FileKind::Regular => Source::Present(SourceFile::from(metadata)),
            Ok(_) => Source::Absent(Gone::Source),
            Err(error) if is_missing(&error) => Source::Absent(Gone::Source),
            Err(error) => Source::Unreachable(Why::of(&error)),
        }
    }

    /// Hashes the source where an import of the entry would.
    fn hash(&self, entry: &mut Entry<'_>, slot: &Slot<'_>) {
        let name = entry.source_name();
        let (Source::Present(file), Content::Read(Ok(header), _), Some(name)) =
            (&mut entry.source, entry.content, name)
        else {
            return;
        };
        entry.loads = header.magic.is_loaded_by(slot.tag);
        file.hash = (header.checks_hash(UncheckedHashes::Trust) && entry.loads == Loads::Yes).then(|| {
            let hash = |(name, magic): &(Vec<u8>, Magic)| {
                hash_source(self.sources, name, slot.tag, *magic).map_err(|error| Why::of(&error))
            };
            let key = (name, header.magic);
            let known = self.hashes.borrow().get(&key).copied();
            known.unwrap_or_else(|| *self.hashes.borrow_mut().entry(key).or_insert_with_key(hash))
        });
    }

    /// What the store has in the place of an entry, judged by the same source.
    pub(crate) fn in_store<'n>(&self, mirror: &Mirror, entry: &Entry<'n>, slot: &Slot<'_>) -> InStore<'n> {
        let Mirror::Directory(directory) = mirror else { return InStore::Nothing };
        match read_start(directory, entry.name) {
            Ok(Some((metadata, content))) => {
                let mut stored = Entry { metadata: Some(metadata), content, ..entry.clone() };
                self.hash(&mut stored, slot);
                InStore::Entry(Box::new(stored))
            }
            Ok(None) | Err(_) => InStore::Nothing,
        }
    }
}

/// The metadata of a regular file and what it begins with; `None` when it vanished, or something else took its name.
pub(crate) fn read_start(directory: &Directory, name: &[u8]) -> io::Result<Option<(Metadata, Content)>> {
    let mut start = [0; header::LENGTH];
    match directory.read_start(name, &mut start) {
        Ok((metadata, _)) if metadata.kind != FileKind::Regular => Ok(None),
        Ok((metadata, start)) => Ok(Some((metadata, Content::of(start)))),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
