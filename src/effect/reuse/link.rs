//! The entry that a source gets: one more link of a file of the store.

use super::wanted::{EntryPlace, WantedEntry};
use crate::effect::new_entry::{self, NewLink, set_times};
use crate::effect::share::{are_all_names, is_still};
use crate::host::directory::{Directory, Metadata};
use crate::source::opened::OpenSource;
use crate::store::Store;
use crate::verdict::shareable::ShareCandidate;
use std::fs::File;
use std::io;

/// How many names a file may have to get one more: for each new one, the sources of all are looked at.
pub(super) const MOST_NAMES: usize = 32;

/// The directory of the last new entry.
pub(super) struct LastDirectory {
    relative: Vec<u8>,
    pub mode: u32,
    pub directory: Directory,
    /// What a new file with this mode is like.
    new: Metadata,
}

/// An open file that may get one name more.
pub(super) struct SharedFile<'a> {
    /// Its names, as far as they were found.
    pub names: &'a [ShareCandidate],
    /// The directory and the name that it was opened by.
    pub from: (&'a Directory, &'a [u8]),
    pub file: &'a File,
    pub metadata: Metadata,
    /// Who gets it, and its source.
    pub wanted: (&'a WantedEntry, &'a OpenSource),
}

impl SharedFile<'_> {
    /// Makes the entry a link of the file, which gets the present time; returns the metadata then. `None` if the file is not
    /// like a new one, or not all its names are known and have the sources that they were compiled from.
    pub fn link(&self, to: &LastDirectory, name: &[u8]) -> io::Result<Option<Metadata>> {
        let rest = |it: &Metadata| (it.mode, it.user, it.group, it.identity.0);
        if rest(&self.metadata) != rest(&to.new)
            || self.names.len() > MOST_NAMES
            || !are_all_names(self.names, &self.metadata)
            || !self.names.iter().all(|name| self.wanted.0.may_get_later_time(self.wanted.1, name))
        {
            return Ok(None);
        }
        new_entry::check_free(&to.directory, name)?;
        // An entry that was copied a moment ago may be newer.
        let modified = to.new.modified.max(self.metadata.modified);
        set_times(self.file, to.new.accessed.max(self.metadata.accessed), modified)?;
        let link = NewLink::create(&to.directory, name, self.from)?;
        let metadata = link.metadata()?;
        if !is_still(&Metadata { modified, ..self.metadata }, &metadata) {
            return Ok(None);
        }
        link.take_name()?;
        Ok(Some(metadata))
    }
}

impl LastDirectory {
    /// Opens the directory of an entry; it stays open in `last` for the next one.
    pub fn open<'l>(
        last: &'l mut Option<LastDirectory>,
        store: &Store,
        place: &EntryPlace,
        mode: u32,
    ) -> io::Result<&'l LastDirectory> {
        let is_same = |last: &LastDirectory| last.relative == place.relative && last.mode == mode;
        let directory = match last.take().filter(is_same) {
            Some(last) => last,
            None => {
                let directory = new_entry::make_directories(store, &place.relative)?;
                let new = new_entry::metadata_of_new(&directory, &place.name, mode)?;
                LastDirectory { relative: place.relative.clone(), mode, directory, new }
            }
        };
        Ok(last.insert(directory))
    }
}
