//! Lets entries share blocks of the disk, where the file system copies on write.
//!
//! Environments that pip makes have equal sources with different mtimes: their entries differ in the header too, so that they
//! cannot be one file. But the blocks after the first may be equal, if the paths of the sources are equally long.
//!
//! An entry is replaced by a new file with the same bytes, the same times and the same permissions: all blocks of another
//! entry, and over them what is different. That is only the header and the names. So nothing has to wait for the disk: after a
//! power cut each block is the entry's or the other's, and such a file is stale, or is equal but for names that are corrected.

use super::{EntrySharing, LinkNames, MakeLinks, ShareOutcome, is_still};
use crate::effect::new_entry::NewEntry;
use crate::host::directory::{Directory, Links, Metadata, Over, metadata_of};
use crate::host::extents::{BLOCK, blocks, has_attributes};
use crate::store::body::with_pair;
use crate::store::scan::Trouble;
use crate::units::Tally;
use crate::verdict::shareable::{NotShared, ShareCandidate};
use std::fs::{File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, PermissionsExt};

/// An entry that is open.
struct OpenEntry<'a> {
    candidate: &'a ShareCandidate,
    directory: Directory,
    file: File,
    metadata: Metadata,
}

/// How an entry differs from the base.
#[derive(Default)]
struct Compared {
    /// Its own blocks: where they differ.
    own: Vec<(usize, Vec<u8>)>,
    /// The bytes of the other blocks, as far as it does not share them already.
    gained: u64,
}

impl EntrySharing<'_> {
    /// Lets the other files have the blocks of one, where they are equal.
    pub(super) fn share_blocks(
        &self,
        candidate: &ShareCandidate,
        others: &[LinkNames<'_>],
        shared: &mut ShareOutcome,
    ) {
        let base = match self.open_entry(candidate) {
            Ok(base) => base,
            Err(error) => return shared.trouble(error, unreadable(self, candidate)),
        };
        for names in others {
            if self.is_stopped() {
                shared.is_stopped = true;
                return;
            }
            // The new file has one name.
            let [candidate] = names else { continue };
            let entry = self.open_entry(candidate);
            match entry.and_then(|entry| self.rebuild(&base, &entry)) {
                Ok(Ok(0)) => {}
                Ok(Ok(bytes)) => shared.blocks += Tally::file(bytes, bytes),
                Ok(Err(why)) => shared.leave(why, 1),
                Err(error) => shared.trouble(error, unreadable(self, candidate)),
            }
        }
    }

    fn open_entry<'c>(&self, candidate: &'c ShareCandidate) -> io::Result<OpenEntry<'c>> {
        let (directory, file, metadata) = self.open(candidate)?;
        Ok(OpenEntry { candidate, directory, file, metadata })
    }

    /// Replaces an entry by a file with blocks of the base. Returns how many bytes it shares now and did not before.
    fn rebuild(&self, base: &OpenEntry<'_>, entry: &OpenEntry<'_>) -> io::Result<Result<u64, NotShared>> {
        let are_still = [base, entry].iter().all(|it| is_still(&it.candidate.metadata, &it.metadata));
        if !are_still || entry.metadata.links != 1 || has_attributes(&entry.file)? {
            return Ok(Err(NotShared::Changed));
        }
        // Only one thread at a time holds two long entries: it gives them back before it asks for others.
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

/// The trouble with an entry.
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
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::InvalidInput) => {
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
