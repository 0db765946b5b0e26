//! Makes equal entries hard links of one file.
//!
//! One file of each group is kept and replaces the others: a link is made under a temporary name, then renamed. So
//! each path always has a complete entry, and an interruption leaves only a temporary. Just before the rename, both
//! files are checked again and compared byte by byte. Names that share a file already keep it where possible: with
//! many environments, each new one costs a link for each of its own entries, and not for those of all others.
//!
//! If Python writes an entry between the last check and the rename, the older entry replaces it. Its header does
//! not match the changed source, so that Python compiles the source again. Entries with unchecked hashes are left
//! alone for that reason.

mod blocks;
mod equal;

use super::new_entry::{NewLink, set_times};
use crate::host::directory::{Directory, FileKind, Links, Metadata, metadata_of};
use crate::host::pool::{self, Threads};
use crate::pyc::name::Name;
use crate::source::is_missing;
use crate::store::Store;
use crate::store::body::{Fingerprint, HeaderPart, are_equal, fingerprint};
use crate::store::scan::Trouble;
use crate::units::{Moment, Tally};
use crate::verdict::shareable::{NotShared, NotSharedCounts, ShareCandidate, ShareKind};
use equal::EqualEntries;
use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::hash::BuildHasher;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The result of sharing.
#[derive(Debug, Default)]
pub struct ShareOutcome {
    /// The entries that became links of another file, and what that freed.
    pub freed: Tally,
    /// How many files they are links of now.
    pub files: u64,
    /// The entries that this run made share blocks of the disk with another, and how many bytes.
    pub blocks: Tally,
    /// Entries that were left alone, by reason.
    pub left: NotSharedCounts,
    /// Files that could not be read or linked.
    pub troubles: Vec<Trouble>,
    /// Whether it was stopped before the end.
    pub is_stopped: bool,
    /// In a dry run, the files of which names would become links, and those that would get them, by device and inode.
    pub linked: FilesToLink,
}

/// Files by device and inode.
pub type FilesToLink = HashSet<(u64, u64)>;

/// Whether equal entries become links of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MakeLinks {
    /// They do.
    Yes,
    /// They are only compared, in a dry run.
    No,
}

/// One run.
#[derive(Debug, Clone, Copy)]
pub struct EntrySharing<'a> {
    /// The store.
    pub store: &'a Store,
    /// Whether anything is changed.
    pub links: MakeLinks,
    /// What is shared.
    pub kind: ShareKind,
    /// How many threads may work.
    pub threads: Threads,
    /// In a dry run, the files of which names would become links: they share no blocks as well.
    pub linked: &'a FilesToLink,
    /// Becomes true when the run is to stop; this run sets it on a read-only file system.
    pub stop: &'a AtomicBool,
}

/// The names of one file.
type LinkNames<'a> = &'a [ShareCandidate];

/// An entry that is open.
struct OpenEntry<'a> {
    candidate: &'a ShareCandidate,
    directory: Directory,
    file: File,
    metadata: Metadata,
}

impl OpenEntry<'_> {
    /// Whether it is still the file that the scan found.
    fn is_still(&self) -> bool {
        is_still(&self.candidate.metadata, &self.metadata)
    }
}

impl ShareOutcome {
    /// Adds another part.
    pub fn append(&mut self, other: ShareOutcome) {
        self.freed += other.freed;
        self.files += other.files;
        self.blocks += other.blocks;
        for (why, entries) in other.left {
            self.leave(why, entries);
        }
        self.troubles.extend(other.troubles);
        self.is_stopped |= other.is_stopped;
        self.linked.extend(other.linked);
    }

    fn leave(&mut self, why: NotShared, entries: u64) {
        if entries == 0 {
            return;
        }
        *self.left.entry(why).or_default() += entries;
    }

    /// Adds an error; a file that no longer exists counts as changed.
    fn trouble(&mut self, error: io::Error, trouble: impl FnOnce(io::Error) -> Trouble) {
        if is_missing(&error) {
            self.leave(NotShared::Changed, 1);
        } else {
            self.troubles.push(trouble(error));
        }
    }
}

impl EntrySharing<'_> {
    /// Shares the files of each group. Calls `progress` with the number of entries checked so far.
    pub fn run(&self, groups: Vec<Vec<ShareCandidate>>, mut progress: impl FnMut(u64)) -> ShareOutcome {
        let (seen, hashes) = (AtomicU64::new(0), RandomState::new());
        let threads = self.threads.for_jobs(groups.len());
        let work = |shared: &mut ShareOutcome, group: Vec<ShareCandidate>, _: &mut _| {
            self.group(&group, &hashes, shared);
            seen.fetch_add(group.len() as u64, Ordering::Relaxed);
        };
        let watch = || progress(seen.load(Ordering::Relaxed));
        let mut all = ShareOutcome::default();
        for part in pool::run(threads, groups, ShareOutcome::default, work, watch) {
            all.append(part);
        }
        all.troubles.extend(Trouble::of_lost(self.store));
        all.troubles.sort_by(|one, other| one.path().cmp(other.path()));
        all
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.store.is_lost()
    }

    /// Adds an error, unless the whole store cannot be read any more.
    fn trouble(
        &self,
        shared: &mut ShareOutcome,
        error: io::Error,
        trouble: impl FnOnce(io::Error) -> Trouble,
    ) {
        if self.store.note_error(&error) {
            shared.is_stopped = true;
        } else {
            shared.trouble(error, trouble);
        }
    }

    /// Shares the files of one group that are equal.
    fn group(&self, group: &[ShareCandidate], hashes: &RandomState, shared: &mut ShareOutcome) {
        let mut equal: BTreeMap<u64, Vec<LinkNames<'_>>> = BTreeMap::new();
        for names in group.chunk_by(|one, other| one.metadata.identity == other.metadata.identity) {
            if self.is_stopped() {
                shared.is_stopped = true;
                return;
            }
            match self.fingerprint(&names[0], hashes) {
                Ok(Some(Fingerprint::Hash(hash))) => equal.entry(hash).or_default().push(names),
                Ok(Some(Fingerprint::NotCorrected)) => {
                    shared.leave(NotShared::NotCorrected, names.len() as u64)
                }
                Ok(None) => shared.leave(NotShared::Changed, names.len() as u64),
                Err(error) => {
                    self.trouble(shared, error, |source| Trouble::File { path: self.path(&names[0]), source })
                }
            }
        }
        for mut files in equal.into_values() {
            if let [names] = files[..] {
                // Several names share their file already.
                if names.len() == 1 {
                    shared.leave(NotShared::Single, 1);
                }
                continue;
            }
            files.sort_by_key(|names| (names[0].metadata.modified, names.len()));
            match (self.kind, &files[..]) {
                (ShareKind::Files | ShareKind::Contents, _) => self.share_files(files, shared),
                // The oldest has the blocks that the others share already.
                (ShareKind::Blocks, [oldest, others @ ..]) => self.share_blocks(&oldest[0], others, shared),
                (_, []) => {}
            }
        }
    }

    /// Makes the names of equal files, sorted by the time of writing, links of one of them: the file with the most names, if
    /// it can take over the time of the newest; else the newest (`verdict/shareable.rs` has the reason).
    fn share_files(&self, mut files: Vec<LinkNames<'_>>, shared: &mut ShareOutcome) {
        let Some(&newest) = files.last() else { return };
        let all = files.clone();
        let equal = EqualEntries::new(&all);
        let most = (0..files.len()).max_by_key(|&at| files[at].len()).unwrap_or(0);
        let mut kept = None;
        if files[most].len() > newest.len() {
            kept = self.open_as_new(files[most], newest[0].metadata.modified, &equal).ok().flatten();
        }
        let names = files.remove(if kept.is_some() { most } else { files.len() - 1 });
        let mut kept = kept.or_else(|| self.open_kept(&names[0], &files, shared));
        let mut others = &files[..];
        while let Some(file) = kept {
            let rest = self.share_with(&file, others, &equal, shared);
            kept = rest.and_then(|(candidate, rest)| {
                others = rest;
                self.open_kept(candidate, rest, shared)
            });
        }
    }

    /// Opens the file that is kept, if it can get a later time of writing.
    fn open_as_new<'c>(
        &self,
        names: LinkNames<'c>,
        written: Moment,
        equal: &EqualEntries<'_>,
    ) -> io::Result<Option<OpenEntry<'c>>> {
        let mut entry = self.open(&names[0])?;
        if !entry.is_still() || !are_all_names(names, &entry.metadata) {
            return Ok(None);
        }
        for name in names {
            if !equal.may_have_time(name, written)? {
                return Ok(None);
            }
        }
        entry.metadata.modified = written;
        if self.links == MakeLinks::Yes {
            set_times(&entry.file, entry.metadata.accessed, written)?;
            entry.metadata = metadata_of(&entry.file)?;
        }
        Ok(Some(entry))
    }

    /// Opens the file that is kept for these others.
    fn open_kept<'c>(
        &self,
        candidate: &'c ShareCandidate,
        others: &[LinkNames<'_>],
        shared: &mut ShareOutcome,
    ) -> Option<OpenEntry<'c>> {
        match self.open(candidate) {
            Ok(entry) if entry.is_still() => return Some(entry),
            Ok(_) => shared.leave(NotShared::Changed, others.iter().map(|names| names.len() as u64).sum()),
            Err(error) => {
                self.trouble(shared, error, |source| Trouble::File { path: self.path(candidate), source })
            }
        }
        None
    }

    fn fingerprint(
        &self,
        candidate: &ShareCandidate,
        hashes: &RandomState,
    ) -> io::Result<Option<Fingerprint>> {
        let entry = self.open(candidate)?;
        if !entry.is_still() {
            return Ok(None);
        }
        let header = match self.kind {
            ShareKind::Files | ShareKind::Contents => HeaderPart::Counts,
            ShareKind::Blocks => HeaderPart::Ignored,
        };
        let format = (candidate.dialect, &*candidate.source_name);
        fingerprint(&entry.file, &entry.metadata, format, header, || hashes.build_hasher())
    }

    fn open<'c>(&self, candidate: &'c ShareCandidate) -> io::Result<OpenEntry<'c>> {
        let directory = self.store.directory(&candidate.relative)?;
        let file = directory.open_entry(&candidate.name)?;
        let metadata = metadata_of(&file)?;
        Ok(OpenEntry { candidate, directory, file, metadata })
    }

    /// Makes the names of the other files links of the kept one, the newest first. If the kept file can have no
    /// more links, the file that failed is kept for the rest.
    fn share_with<'c>(
        &self,
        kept: &OpenEntry<'_>,
        others: &'c [LinkNames<'_>],
        equal: &EqualEntries<'_>,
        shared: &mut ShareOutcome,
    ) -> Option<(&'c ShareCandidate, &'c [LinkNames<'c>])> {
        let before = shared.freed.files;
        let mut rest = None;
        for (at, names) in others.iter().enumerate().rev() {
            let mut linked = 0;
            for name in *names {
                if self.is_stopped() {
                    shared.is_stopped = true;
                    break;
                }
                match self.replace(kept, name, equal) {
                    Ok(Ok(())) => linked += 1,
                    Ok(Err(why)) => shared.leave(why, 1),
                    Err(error) if error.kind() == ErrorKind::TooManyLinks => {
                        shared.leave(NotShared::NoLinks, u64::from(at == 0));
                        rest = Some((name, &others[..at]));
                        break;
                    }
                    Err(error) => {
                        self.fail(shared, error, |source| Trouble::Link { path: self.path(name), source })
                    }
                }
            }
            // The bytes are freed with the last link, and some links may be outside this store.
            let Metadata { links, bytes, disk, .. } = names[0].metadata;
            if self.links == MakeLinks::No && linked > 0 {
                shared.linked.extend([kept.metadata.identity, names[0].metadata.identity]);
            }
            let size = if linked == links { (bytes, disk) } else { (0, 0) };
            shared.freed += Tally { files: linked, bytes: size.0, disk: size.1 };
            if rest.is_some() || shared.is_stopped {
                break;
            }
        }
        shared.files += u64::from(shared.freed.files > before);
        rest.filter(|(_, others)| !others.is_empty())
    }

    /// Makes one name a link of the kept file.
    fn replace(
        &self,
        kept: &OpenEntry<'_>,
        candidate: &ShareCandidate,
        equal: &EqualEntries<'_>,
    ) -> io::Result<Result<(), NotShared>> {
        let entry = self.open(candidate)?;
        let OpenEntry { directory, file, metadata, .. } = &entry;
        let is_wanted = entry.is_still()
            && is_of_same_slot(kept.candidate, candidate)
            && metadata.identity != kept.metadata.identity
            && metadata.identity.0 == kept.metadata.identity.0
            && are_equal(&kept.file, file, candidate.dialect, &candidate.source_name)?;
        if !is_wanted {
            return Ok(Err(NotShared::Changed));
        }
        if !equal.may_have_time(candidate, kept.metadata.modified)? {
            return Ok(Err(NotShared::Doubtful));
        }
        if self.links == MakeLinks::No {
            return Ok(Ok(()));
        }
        let link = match NewLink::create(directory, &candidate.name, (&kept.directory, &kept.candidate.name))
        {
            Ok(link) => link,
            Err(error) if makes_no_link(&error) => return Ok(Err(NotShared::NoLinks)),
            Err(error) => return Err(error),
        };
        // The kept file may be newer than the scan: a source that was deleted in between would seem to be out of sight.
        let now = link.metadata()?;
        let is_same = candidate.source().is_file()
            && is_still(&kept.metadata, &now)
            && is_still(metadata, &directory.metadata(&candidate.name, Links::Keep)?);
        if !is_same {
            return Ok(Err(NotShared::Changed));
        }
        // Before the rename, which an interruption may follow. If this fails, the file only appears to be unused for longer.
        if metadata.accessed > now.accessed {
            let _ = set_times(&kept.file, metadata.accessed, now.modified);
        }
        link.take_name()?;
        Ok(Ok(()))
    }

    /// Adds an error of a change. On a read-only file system all others would fail too: it ends the run.
    fn fail(&self, shared: &mut ShareOutcome, error: io::Error, trouble: impl FnOnce(io::Error) -> Trouble) {
        if error.kind() != ErrorKind::ReadOnlyFilesystem || !self.stop.swap(true, Ordering::Relaxed) {
            self.trouble(shared, error, trouble);
        }
    }

    fn path(&self, candidate: &ShareCandidate) -> PathBuf {
        self.store.shown(&candidate.relative, &candidate.name)
    }
}

/// Whether these are all names of a file, and have their sources: then it may get a later time of writing, for whatever is
/// deleted from now on is deleted after that.
pub(super) fn are_all_names(names: &[ShareCandidate], metadata: &Metadata) -> bool {
    metadata.links == names.len() as u64 && names.iter().all(|name| name.source().is_file())
}

/// Whether a file is still the one that the scan found, with the same permissions.
pub(super) fn is_still(seen: &Metadata, now: &Metadata) -> bool {
    let what = |it: &Metadata| (it.kind, it.identity, it.bytes, it.modified, it.mode, it.user, it.group);
    now.kind == FileKind::Regular && what(seen) == what(now)
}

/// Whether two names are equal in everything that a key is made of. Equal keys do not prove that: they are hashes.
fn is_of_same_slot(one: &ShareCandidate, other: &ShareCandidate) -> bool {
    let slot = |it: &ShareCandidate| {
        Name::parse(&it.name)
            .slot()
            .map(|slot| (slot.tag.to_string(), slot.optimization.to_string(), slot.form))
    };
    let rest = |it: &ShareCandidate| (it.metadata.mode, it.metadata.user, it.metadata.group, it.dialect);
    slot(one) == slot(other) && rest(one) == rest(other) && one.source_name == other.source_name
}

/// The error of link(2) on a file system without hard links, such as FAT. `EACCES`, of a directory that is not writable, is
/// also [`ErrorKind::PermissionDenied`], but a failure.
const EPERM: i32 = 1;

/// Whether an error means that the file system does not support hard links.
fn makes_no_link(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::CrossesDevices)
        || error.raw_os_error() == Some(EPERM)
}
