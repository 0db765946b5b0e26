//! Makes entries share blocks of the disk, on file systems that copy on write.
//!
//! Virtualenvs that pip fills have equal sources with different mtimes. Their entries differ in the header too, so
//! that they cannot be one file. But the blocks after the first may be equal, if the paths of the sources are
//! equally long.
//!
//! An entry is replaced by a new file with the same bytes, times and permissions. It gets all blocks of another
//! entry, then the blocks that differ are written over them. Entries differ only in the header and the file names,
//! so that no fsync is needed: after a power failure each block is the entry's or the other's. Such a file is
//! stale, or it differs only in names that Python corrects.

use super::{EntrySharing, LinkNames, MakeLinks, OpenEntry, ShareOutcome, is_still};
use crate::effect::new_entry::NewEntry;
use crate::host::directory::{Links, Metadata, Over, metadata_of};
use crate::host::extents::{BLOCK, blocks, has_attributes};
use crate::store::body::with_pair;
use crate::store::scan::Trouble;
use crate::units::Tally;
use crate::verdict::shareable::{NotShared, ShareCandidate};
use std::fs::Permissions;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, PermissionsExt};

/// How an entry differs from the base.
#[derive(Default)]
struct Compared {
    /// Its own blocks: where they differ.
    own: Vec<(usize, Vec<u8>)>,
    /// The bytes of the other blocks that it does not share already.
    gained: u64,
}

impl EntrySharing<'_> {
    /// Gives the other files the blocks of the kept one, where they are equal.
    pub(super) fn share_blocks(
        &self,
        candidate: &ShareCandidate,
        others: &[LinkNames<'_>],
        shared: &mut ShareOutcome,
    ) {
        let base = match self.open(candidate) {
            Ok(base) => base,
            Err(error) => return self.trouble(shared, error, unreadable(self, candidate)),
        };
        for names in others {
            if self.is_stopped() {
                shared.is_stopped = true;
                return;
            }
            // The new file has one name.
            let [candidate] = names else { continue };
            if self.linked.contains(&candidate.metadata.identity) {
                continue;
            }
            let entry = self.open(candidate);
            match entry.and_then(|entry| self.rebuild(&base, &entry)) {
                Ok(Ok(0)) => {}
                Ok(Ok(bytes)) => shared.blocks += Tally::file(bytes, bytes),
                Ok(Err(why)) => shared.leave(why, 1),
                Err(error) => {
                    self.fail(shared, error, |source| Trouble::Blocks { path: self.path(candidate), source })
                }
            }
        }
    }

    /// Replaces an entry by a file with blocks of the base. Returns how many more bytes it shares than before.
    fn rebuild(&self, base: &OpenEntry<'_>, entry: &OpenEntry<'_>) -> io::Result<Result<u64, NotShared>> {
        if !base.is_still() || !entry.is_still() || entry.metadata.links != 1 || has_attributes(&entry.file)?
        {
            return Ok(Err(NotShared::Changed));
        }
        // Only one thread at a time holds two long entries: it releases them before it reads others.
        let compared = with_pair(&base.file, &entry.file, |base_bytes, bytes| {
            let length = bytes.len() as u64;
            let (base_blocks, own_blocks) = (blocks(&base.file, length)?, blocks(&entry.file, length)?);
            let is_shared = |at: usize| base_blocks[at].is_some() && base_blocks[at] == own_blocks[at];
            let mut compared = Compared::default();
            for (at, (base, own)) in base_bytes.chunks(BLOCK).zip(bytes.chunks(BLOCK)).enumerate() {
                if base != own {
                    compared.own.push((at, own.to_vec()));
                } else if !is_shared(at) {
                    compared.gained += own.len() as u64;
                }
            }
            Ok::<_, io::Error>((base_bytes.len() == bytes.len()).then_some(compared))
        })?;
        let Some(Compared { own, gained }) = compared.transpose()?.flatten() else {
            return Ok(Err(NotShared::Changed));
        };
        if gained == 0 || self.links == MakeLinks::No {
            return Ok(Ok(gained));
        }
        Ok(replace(base, entry, &own)?.map(|()| gained))
    }
}

/// The error of an entry.
fn unreadable<'a>(
    sharing: &'a EntrySharing<'_>,
    candidate: &'a ShareCandidate,
) -> impl FnOnce(io::Error) -> Trouble + 'a {
    let path = || sharing.store.shown(&candidate.relative, &candidate.name);
    move |source| Trouble::File { path: path(), source }
}

/// Replaces an entry by a file with the blocks of the base, and these over them.
fn replace(
    base: &OpenEntry<'_>,
    entry: &OpenEntry<'_>,
    own: &[(usize, Vec<u8>)],
) -> io::Result<Result<(), NotShared>> {
    let Metadata { mode, user, group, accessed, modified, .. } = entry.metadata;
    let mut new = NewEntry::create(&entry.directory, &entry.candidate.name, mode & 0o777)?;
    match new.share_blocks_of(&base.file) {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::Unsupported | ErrorKind::InvalidInput | ErrorKind::CrossesDevices
            ) =>
        {
            return Ok(Err(NotShared::NoLinks));
        }
        answer => answer?,
    }
    for (at, bytes) in own {
        new.file().write_all_at(bytes, (*at * BLOCK) as u64)?;
    }
    new.file().set_permissions(Permissions::from_mode(mode & 0o7777))?;
    new.set_times(accessed, modified)?;
    let now = metadata_of(new.file())?;
    let is_equal = (now.mode, now.user, now.group, now.bytes) == (mode, user, group, entry.metadata.bytes)
        && with_pair(&new.read()?, &entry.file, |new, old| new == old)?.unwrap_or(false);
    let is_still_there =
        is_still(&entry.metadata, &entry.directory.metadata(&entry.candidate.name, Links::Keep)?);
    if !is_equal || !is_still_there {
        return Ok(Err(NotShared::Changed));
    }
    new.take_name(Over::Anything)?;
    Ok(Ok(()))
}
