//! Gives sources the entries of equal sources, so that no interpreter compiles them again.
//!
//! Two virtualenvs with the same packages have equal sources. If the store has an entry of one, the entry of the
//! other is a copy of it: the interpreter corrects `co_filename` when it loads the entry
//! ([`crate::pyc::marshal::Filenames`]). [`crate::verdict::shareable`] decides which entries may be copied, as for
//! links, and the header must be the one that the compiler would write. The interpreter's cache tag and magic
//! number are read from its installation; it is not started.
//!
//! # Why a copy, and then links
//!
//! A link to the other entry would be as old as that entry. But an entry must not be older than the last change of
//! its source's directories ([`crate::source::witness`]). So a new file is written. Then the other entries, which
//! are fresh, become links of the new file ([`super::share`]).
//!
//! # Invariants
//!
//! * The sources are one file, or were compared byte by byte, and both have the mtime and size or the hash of the header.
//! * Only this user and root may change the other source's path: the header alone does not prove which source an
//!   entry was compiled from.

use super::compile::{Compilation, IsFresh, LARGEST_SOURCE, SourceGroup, Task};
use super::compile::{is_fresh, place};
use super::new_entry;
use super::share::{EntrySharing, MakeLinks, is_still};
use crate::host::directory::{self, Links, Metadata, effective_user};
use crate::host::pool;
use crate::host::trust;
use crate::pyc::header::python_mtime;
use crate::pyc::name::{Name, source_directory};
use crate::pyc::{Header, InvalidationMode, Magic, SourceHasher};
use crate::source::interpreter::Interpreters;
use crate::store::body::with_corrected;
use crate::store::scan::Scan;
use crate::store::{Lock, Store};
use crate::units::Moment;
use crate::verdict::inspector::is_frozen;
use crate::verdict::scope::Scope;
use crate::verdict::shareable::{ShareCandidate, ShareKind, ShareSearch};
use std::cmp::Reverse;
use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// For fewer sources the store is not scanned: compiling them takes about as long as the scan of a large store.
pub const WORTH_A_SCAN: usize = 32;

/// How many entries with the same header are compared for one source.
const MOST_COMPARED: usize = 16;

/// Up to how many pairs of new and existing entries with the same header, the existing ones are sorted for each new one.
const MOST_SORTED: usize = 1 << 16;

/// If more entries than this would become links for each new one, they are left to `share`.
const MOST_LINKS_EACH: usize = 32;

/// One run.
#[derive(Debug, Clone, Copy)]
pub struct EntryReuse<'a> {
    /// A scan of the whole store, which also checks unchecked hashes.
    pub scan: Scan<'a>,
    /// Which entries may be copied, and become links.
    pub scope: &'a Scope,
}

/// The result of reusing entries.
#[derive(Debug, Default)]
pub struct Reuse {
    /// The sources that are left to compile.
    pub groups: Vec<SourceGroup>,
    /// The sources that need no compilation any more.
    pub done: Compilation,
    copied: usize,
    /// The new entries by key, each with the entries that may become links of it.
    equal: Vec<Vec<ShareCandidate>>,
}

/// A source that is to be compiled.
struct WantedEntry<'a> {
    /// Its place in the groups.
    index: (usize, usize),
    task: &'a Task,
    header: Header,
    key: u64,
    relative: Vec<u8>,
    name: Vec<u8>,
}

/// What one worker copied.
#[derive(Default)]
struct Copies {
    indexes: Vec<(usize, usize)>,
    equal: Vec<Vec<ShareCandidate>>,
    /// Whether others may change a directory of sources.
    directories: HashMap<PathBuf, bool>,
}

impl<'a> EntryReuse<'a> {
    /// Copies what it can. Calls `progress` with the number of entries of the store seen so far.
    pub fn run(&self, groups: Vec<SourceGroup>, is_fresh: &IsFresh<'_>, progress: impl FnMut(u64)) -> Reuse {
        let mut reuse = Reuse { groups, ..Reuse::default() };
        let tags: Vec<_> = reuse.groups.iter().map(interpreter_of).collect();
        reuse.drop_fresh(self.scan.store, &tags, is_fresh);
        let hashes = RandomState::new();
        let search = ShareSearch {
            store: self.scan.store,
            scope: self.scope,
            kind: ShareKind::Contents,
            keys: &hashes,
        };
        let mut wanted = BTreeMap::<u64, Vec<WantedEntry<'_>>>::new();
        let known =
            reuse.groups.iter().zip(&tags).map(|(group, tag)| tag.as_ref().map_or(0, |_| group.tasks.len()));
        if known.sum::<usize>() < WORTH_A_SCAN {
            return reuse;
        }
        for (at, (group, tag)) in reuse.groups.iter().zip(&tags).enumerate() {
            let Some((tag, magic)) = tag else { continue };
            for (index, task) in group.tasks.iter().enumerate() {
                if let Some(entry) = WantedEntry::new((at, index), task, (tag, *magic), &search) {
                    wanted.entry(entry.key).or_default().push(entry);
                }
            }
        }
        let copies = self.copy_all(wanted, search, progress);
        reuse.take(copies, &tags);
        reuse
    }

    /// Finds the entries of equal sources, and copies them.
    fn copy_all(
        &self,
        mut wanted: BTreeMap<u64, Vec<WantedEntry<'_>>>,
        search: ShareSearch<'_>,
        progress: impl FnMut(u64),
    ) -> Vec<Copies> {
        let keys: Vec<u64> = wanted.keys().copied().collect();
        let mut found = BTreeMap::<u64, Vec<ShareCandidate>>::new();
        for part in self.scan.run(|| search.gather(&keys), progress) {
            for candidate in part.candidates {
                found.entry(candidate.key).or_default().push(candidate);
            }
        }
        let jobs: Vec<_> =
            found.into_iter().filter_map(|(key, found)| Some((wanted.remove(&key)?, found))).collect();
        let work =
            |copies: &mut Copies, (wanted, found): (Vec<WantedEntry<'_>>, Vec<ShareCandidate>), _: &mut _| {
                self.copy_equal(&wanted, found, copies);
            };
        pool::run(self.scan.threads.for_jobs(jobs.len()), jobs, Copies::default, work, || {})
    }

    /// Copies entries to all sources with one key.
    fn copy_equal(&self, wanted: &[WantedEntry<'_>], mut found: Vec<ShareCandidate>, copies: &mut Copies) {
        let mut new = Vec::new();
        let own: HashSet<(&[u8], &[u8])> = wanted.iter().map(|own| (&*own.relative, &*own.name)).collect();
        found.retain(|it| !own.contains(&(&*it.relative, &*it.name)));
        // Thousands of empty sources may have one key.
        let is_sorted = wanted.len() * found.len() <= MOST_SORTED;
        for wanted in wanted {
            // The same file of the same package is most likely equal, so it comes first.
            if is_sorted {
                found.sort_by_cached_key(|it| Reverse(common_end(&it.relative, &wanted.relative)));
            }
            for candidate in found.iter().take(MOST_COMPARED) {
                if self.scan.stop.load(Ordering::Relaxed) {
                    break;
                }
                // If an entry cannot be copied, its source is compiled, which reports the error.
                if let Ok(Some(copy)) = self.copy(wanted, candidate, &mut copies.directories) {
                    copies.indexes.push(wanted.index);
                    new.push(copy);
                    break;
                }
            }
        }
        let Some(first) = new.first().map(|new| new.metadata) else { return };
        let rest = |it: &Metadata| (it.mode, it.user, it.group, it.identity.0);
        found.retain(|it| rest(&it.metadata) == rest(&first));
        found.extend(new);
        copies.equal.push(found);
    }

    /// Copies one entry, if it is that of an equal source.
    fn copy(
        &self,
        wanted: &WantedEntry<'_>,
        candidate: &ShareCandidate,
        directories: &mut HashMap<PathBuf, bool>,
    ) -> io::Result<Option<ShareCandidate>> {
        let store = self.scan.store;
        let file = store.directory(&candidate.relative)?.open_entry(&candidate.name)?;
        let source = source_directory(&candidate.relative).join(OsStr::from_bytes(&candidate.source_name));
        // Equal keys do not prove equality: they are hashes.
        let is_named = *candidate.name == *wanted.name
            && wanted.task.source.file_name() == Some(OsStr::from_bytes(&candidate.source_name));
        if !is_named
            || !is_still(&candidate.metadata, &directory::metadata_of(&file)?)
            || !is_ours(&source, directories)
        {
            return Ok(None);
        }
        let Some(mode) = wanted.mode_if_equal(&source, candidate.metadata.modified)? else { return Ok(None) };
        let written = with_corrected(&file, candidate.dialect, &candidate.source_name, |content| {
            if Header::parse(content) != Ok(wanted.header) {
                return Ok(false);
            }
            let mode = new_entry::mode(mode);
            new_entry::write(store, &wanted.relative, &wanted.name, mode, content).map(|()| true)
        })?;
        if !written.transpose()?.unwrap_or(false) {
            return Ok(None);
        }
        let metadata = store.directory(&wanted.relative)?.metadata(&wanted.name, Links::Keep)?;
        let (relative, name) = (wanted.relative.as_slice().into(), wanted.name.as_slice().into());
        Ok(Some(ShareCandidate { relative, name, metadata, ..candidate.clone() }))
    }
}

impl Reuse {
    /// Removes the tasks whose entries are fresh.
    fn drop_fresh(&mut self, store: &Store, tags: &[Option<(String, Magic)>], is_fresh_entry: &IsFresh<'_>) {
        for (group, tag) in self.groups.iter_mut().zip(tags) {
            let Some((tag, _)) = tag else { continue };
            let all = group.tasks.len();
            group.tasks.retain(|task| !is_fresh(store, task, tag, is_fresh_entry));
            let fresh = (all - group.tasks.len()) as u64;
            if fresh > 0 {
                self.done.row(&group.executable, tag).fresh += fresh;
            }
        }
    }

    /// Removes the tasks whose entries were copied.
    fn take(&mut self, copies: Vec<Copies>, tags: &[Option<(String, Magic)>]) {
        let mut indexes = HashSet::new();
        for part in copies {
            self.copied += part.indexes.len();
            indexes.extend(part.indexes);
            self.equal.extend(part.equal);
        }
        for (at, (group, tag)) in self.groups.iter_mut().zip(tags).enumerate() {
            let Some((tag, _)) = tag else { continue };
            let all = group.tasks.len();
            let mut index = 0..;
            group.tasks.retain(|_| index.next().is_none_or(|index| !indexes.contains(&(at, index))));
            let reused = (all - group.tasks.len()) as u64;
            if reused > 0 {
                self.done.row(&group.executable, tag).reused += reused;
            }
        }
    }

    /// Makes the entries that were copied links of their copies. A link that cannot be made is not an error:
    /// nothing needs it.
    pub fn link(self, sharing: &EntrySharing<'_>) {
        debug_assert_eq!(sharing.links, MakeLinks::Yes);
        let names: usize = self.equal.iter().map(Vec::len).sum();
        if self.copied == 0 || names > MOST_LINKS_EACH.saturating_mul(self.copied) {
            return;
        }
        // Without the lock, a prune may be removing the same entries.
        if !matches!(sharing.store.lock(), Ok(Lock::Ours)) {
            return;
        }
        let mut groups = self.equal;
        for group in &mut groups {
            group.sort_unstable_by_key(|it| it.metadata.identity);
        }
        sharing.run(groups, |_| {});
    }
}

impl<'a> WantedEntry<'a> {
    /// `None` if the source cannot be read, or nothing is as large.
    fn new(
        index: (usize, usize),
        task: &'a Task,
        (tag, magic): (&str, Magic),
        search: &ShareSearch<'_>,
    ) -> Option<WantedEntry<'a>> {
        let (file, metadata) = directory::open_file(&task.source).ok()?;
        if metadata.bytes > LARGEST_SOURCE {
            return None;
        }
        let (flags, pin) = match task.invalidation {
            InvalidationMode::Timestamp => (0b00, timestamp(&metadata)),
            InvalidationMode::CheckedHash | InvalidationMode::UncheckedHash => {
                let flags = if task.invalidation == InvalidationMode::CheckedHash { 0b11 } else { 0b01 };
                (flags, SourceHasher::new(tag, magic).hash(file.take(LARGEST_SOURCE)).ok()?)
            }
        };
        let header = Header { magic, flags, pin };
        let (relative, name) = place(task, tag);
        let source_name = task.source.file_name()?.as_bytes();
        let key = search.content_key(&Name::parse(&name).slot()?, source_name, &header);
        Some(WantedEntry { index, task, header, key, relative, name })
    }

    /// The mode of this source, if another is equal and was not changed since its entry was compiled.
    ///
    /// To make or remove a link changes a file too. Of that, only a link between the two sources is taken for the reason; a frozen
    /// mtime does not even say that.
    fn mode_if_equal(&self, other: &Path, compiled: Moment) -> io::Result<Option<u32>> {
        let (one, metadata) = directory::open_file(&self.task.source)?;
        let (other, of_other) = directory::open_file(other)?;
        let is_pinned = |metadata: &Metadata| {
            self.header.invalidation_mode() != InvalidationMode::Timestamp
                || timestamp(metadata) == self.header.pin
        };
        let is_link = metadata.identity == of_other.identity && !is_frozen(of_other.modified.seconds);
        let is_unchanged = self.header.invalidation_mode() != InvalidationMode::Timestamp
            || of_other.changed <= compiled
            || is_link;
        let is_equal = is_unchanged
            && is_pinned(&metadata)
            && is_pinned(&of_other)
            && metadata.bytes == of_other.bytes
            && (metadata.identity == of_other.identity || have_equal_bytes(one, other, metadata.bytes)?);
        Ok(is_equal.then_some(metadata.mode))
    }
}

/// Tag and magic of the interpreter of a group, if its installation states them.
fn interpreter_of(group: &SourceGroup) -> Option<(String, Magic)> {
    let found = Interpreters::of_executable(&group.executable);
    let mut all = found.with_store();
    let (Some((tag, interpreter)), None) = (all.next(), all.next()) else { return None };
    let is_wanted = group.tag.as_deref().is_none_or(|wanted| wanted == tag);
    Some((tag.to_string(), interpreter.magic.filter(|_| is_wanted)?))
}

/// Mtime and size as in a header.
fn timestamp(metadata: &Metadata) -> [u8; 8] {
    let mtime = python_mtime(metadata.modified.seconds, metadata.modified.nanoseconds) as u32;
    let mut pin = [0; 8];
    pin[..4].copy_from_slice(&mtime.to_le_bytes());
    pin[4..].copy_from_slice(&(metadata.bytes as u32).to_le_bytes());
    pin
}

/// Whether two files of this length are equal.
fn have_equal_bytes(mut one: File, mut other: File, length: u64) -> io::Result<bool> {
    const PORTION: u64 = 64 << 10;
    let (mut left, mut bytes, mut other_bytes) = (length, Vec::new(), Vec::new());
    while left > 0 {
        let portion = left.min(PORTION);
        for (file, bytes) in [(&mut one, &mut bytes), (&mut other, &mut other_bytes)] {
            bytes.clear();
            file.take(portion).read_to_end(bytes)?;
        }
        if bytes != other_bytes || bytes.len() as u64 != portion {
            return Ok(false);
        }
        left -= portion;
    }
    Ok(true)
}

/// Whether only this user and root may change a source's path. Another user who replaces a directory on the path
/// changes the source without leaving a trace.
fn is_ours(source: &Path, directories: &mut HashMap<PathBuf, bool>) -> bool {
    let user = effective_user();
    let Some(directory) = source.parent() else { return false };
    let ask = |path: &Path| trust::stranger_or_group(&trust::ways(path), user).is_none();
    let is_directory_ours = *directories.entry(directory.to_path_buf()).or_insert_with(|| ask(directory));
    let is_plain = |metadata: std::fs::Metadata| {
        metadata.is_file() && [0, user].contains(&metadata.uid()) && metadata.mode() & 0o022 == 0
    };
    is_directory_ours && (source.symlink_metadata().is_ok_and(is_plain) || ask(source))
}

/// The number of bytes that two paths have in common at their ends.
fn common_end(one: &[u8], other: &[u8]) -> usize {
    one.iter().rev().zip(other.iter().rev()).take_while(|(one, other)| one == other).count()
}
