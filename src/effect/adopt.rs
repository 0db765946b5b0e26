//! Moves bytecode into the store.
//!
//! A file is put where Python would put it, as Python would ([`crate::effect::new_entry`]). The bytes are the same, and so are both
//! times: last use and last modification stay what they were. It is always a copy: the store may lie on another file system,
//! and a hard link would share the file with whoever holds another.
//!
//! The copy gets the times of its original when it has its final name, and not before: a prune that runs meanwhile takes
//! a temporary with an old modification time for one that nobody writes any more. Killed in between, the entry is valid,
//! and counts as used just now.
//!
//! # Invariants
//!
//! * What takes a name in the store that was free when planned takes it only while it is free; what replaces an entry
//!   replaces the one that was planned.
//! * The original is not removed here. What removes it looks at it again.

use crate::effect::new_entry::{self, NewEntry, make_directories};
use crate::effect::outcome::of_files;
use crate::effect::remove::Prepared;
use crate::host::directory::{self, Directory, Links, Metadata, Over};
use crate::pyc::name::PYCACHE;
use crate::source::owner::Owner;
use crate::store::Store;
use crate::store::in_tree::root::Root;
use crate::units::Tally;
use crate::verdict::plan::PlannedDirectory;
use crate::verdict::sweep::{Adoption, Adoptions};
use crate::verdict::victim::Victim;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// A file that could not be moved, and stays.
#[derive(Debug, thiserror::Error)]
#[error("cannot adopt {}{}", .path.display(), of_files(*.files))]
pub struct NotAdopted {
    /// Its path; the root's where it is the store that takes no more.
    pub path: PathBuf,
    /// How many files are meant.
    pub files: u64,
    /// What the system said.
    pub source: io::Error,
}

/// Moves the planned files of one root.
pub(crate) struct Adopter<'a> {
    pub root: &'a Root,
    pub store: &'a Store,
    pub adoptions: Adoptions,
    pub done: Mutex<Done>,
}

/// What was moved, by owner, and what could not be.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub adopted: BTreeMap<Owner, Tally>,
    pub failures: Vec<NotAdopted>,
    /// What the store does not take, being full or read-only: one line says it all, there would be one a file.
    pub refused: Option<NotAdopted>,
}

impl Adopter<'_> {
    /// Moves a victim if that is planned; it may then be removed. `cache` is its `__pycache__`.
    pub(crate) fn prepare(&self, cache: &Directory, planned: &PlannedDirectory, victim: &Victim) -> Prepared {
        let adoption = self.adoptions.get(&planned.relative).and_then(|names| names.get(&victim.name));
        let Some(adoption) = adoption else { return Prepared::Remove };
        let answer = self.adopt(cache, planned, victim, adoption);
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(Adopted::Yes) => *done.adopted.entry((*planned.owner).clone()).or_default() += victim.size(),
            // It is superfluous, or not the planned one any more: the executor finds out.
            Ok(Adopted::No) => {}
            Err(source) => {
                let path = self.root.shown(&planned.relative, &victim.name);
                match &mut done.refused {
                    Some(refused) if is_of_store(&source) => refused.files += 1,
                    refused @ None if is_of_store(&source) => {
                        *refused =
                            Some(NotAdopted { path: self.root.path().to_path_buf(), files: 1, source });
                    }
                    _ => done.failures.push(NotAdopted { path, files: 1, source }),
                }
                return Prepared::Keep;
            }
        }
        Prepared::Remove
    }

    fn adopt(
        &self,
        cache: &Directory,
        planned: &PlannedDirectory,
        victim: &Victim,
        adoption: &Adoption,
    ) -> io::Result<Adopted> {
        let mut original = match cache.open_entry(&victim.name) {
            Ok(original) => original,
            Err(error) => {
                // The planned one must stay: there is no copy of it.
                let is_planned = |now: Metadata| now.identity == victim.identity;
                let now = cache.metadata(&victim.name, Links::Keep);
                return if now.is_ok_and(is_planned) { Err(error) } else { Ok(Adopted::No) };
            }
        };
        let metadata = directory::metadata_of(&original)?;
        if (metadata.identity, metadata.bytes, metadata.modified)
            != (victim.identity, victim.bytes, victim.modified)
        {
            return Ok(Adopted::No);
        }
        let mirror = make_directories(self.store, &adoption.mirror)?;
        let mode = self.mode(planned, adoption, metadata.mode);
        let mut copy = NewEntry::create(&mirror, &victim.name, mode)?;
        let mut write = || -> io::Result<Adopted> {
            let length = io::copy(&mut (&mut original).take(victim.bytes + 1), copy.file())?;
            if length != victim.bytes {
                return Ok(Adopted::No);
            }
            match adoption.replaces {
                None => copy.take_name(Over::Nothing)?,
                Some(identity) => match mirror.metadata(&victim.name, Links::Keep) {
                    Ok(now) if now.identity == identity => copy.take_name(Over::Anything)?,
                    Ok(_) => return Err(io::ErrorKind::AlreadyExists.into()),
                    Err(_) => copy.take_name(Over::Nothing)?,
                },
            }
            copy.set_times(metadata.accessed, metadata.modified)?;
            Ok(Adopted::Yes)
        };
        let answer = write();
        answer.or_else(|error| match error.kind() {
            // An interpreter wrote one meanwhile.
            io::ErrorKind::AlreadyExists if is_file(&mirror, &victim.name) => Ok(Adopted::No),
            _ => Err(error),
        })
    }

    /// The mode that Python gives an entry. But who may not read the original may not read the copy either.
    fn mode(&self, planned: &PlannedDirectory, adoption: &Adoption, original: u32) -> u32 {
        let sources = planned.relative.strip_suffix(PYCACHE).unwrap_or_default();
        let sources = sources.strip_suffix(b"/").unwrap_or(sources);
        let source = self.root.directory(sources).and_then(|it| it.metadata(&adoption.source, Links::Follow));
        new_entry::mode(source.map_or(0o666, |source| source.mode) & original)
    }
}

/// Whether an error is of the store as a whole.
fn is_of_store(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), QuotaExceeded | ReadOnlyFilesystem | StorageFull)
}

enum Adopted {
    Yes,
    No,
}

fn is_file(directory: &Directory, name: &[u8]) -> bool {
    directory.metadata(name, Links::Keep).is_ok_and(|metadata| metadata.kind == directory::FileKind::Regular)
}
