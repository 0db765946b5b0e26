//! Gives sources the entries of equal sources, so that no interpreter compiles them again.
//!
//! Two virtualenvs with the same packages have equal sources. If the store has an entry of one, the other can have the
//! same file: the interpreter corrects `co_filename` when it loads the entry ([`crate::pyc::marshal::Filenames`]).
//! [`crate::verdict::shareable`] decides which entries may be shared, and the header must be the one that the compiler
//! would write. The interpreter's cache tag and magic number are read from its installation; it is not started.
//!
//! # A link, or a copy
//!
//! The entry becomes a hard link of the file, as `share` makes them ([`super::share`]). An entry must not be older than the
//! last change of its source's directories ([`crate::source::witness`]), so the file gets the present time. That needs all
//! its names: each must be an entry that is fresh and has its source, unchanged since or equal to the new one. Also, the
//! file must have the permissions and owners of a new one. Otherwise the entry is a copy.
//!
//! # Sources that repeat in one run
//!
//! If nothing in the store is equal, but several sources seem to be, one of them is compiled first
//! ([`Reuse::groups`]), and the others reuse its entry then ([`EntryReuse::repeat`]).
//!
//! # Memory
//!
//! Proportional to the number of sources, whatever the store holds: of its entries, up to [`MOST_CANDIDATES`] are held, or
//! one for each source.
//!
//! # Invariants
//!
//! * The sources are one file, or were compared byte by byte, and both have the mtime and size or the hash of the header.
//! * The entry was compiled from what its source holds: mtime and size do not prove that ([`crate::source::opened`]).
//! * Only this user and root may change the other source's path: the header alone does not prove which source an
//!   entry was compiled from.

mod link;
mod wanted;

use super::compile::{Compilation, IsFresh, SourceGroup, Task, is_fresh};
use super::new_entry;
use super::share::{MakeLinks, is_still};
use crate::host::directory::{self, Links, effective_user};
use crate::host::pool;
use crate::host::trust::OwnPaths;
use crate::pyc::marshal::Dialect;
use crate::pyc::name::Name;
use crate::pyc::{Header, InvalidationMode, Magic};
use crate::source::opened::OpenSource;
use crate::store::body::with_corrected;
use crate::store::scan::Scan;
use crate::store::{Lock, Store};
use crate::verdict::scope::Scope;
use crate::verdict::shareable::{MOST_CANDIDATES, ShareCandidate, ShareKind, ShareSearch, not_private};
use link::{LastDirectory, MOST_NAMES, SharedFile};
use std::cmp::Reverse;
use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use wanted::{EntryPlace, WantedEntry, interpreter_of};

/// For fewer sources the store is not scanned: compiling them takes about as long as the scan of a large store.
const WORTH_A_SCAN: usize = 32;

/// How many files with the same header are compared for one source.
const MOST_COMPARED: usize = 16;

/// Up to how many pairs of new entries and files with the same header, the files are sorted for each new one.
const MOST_SORTED: usize = 1 << 16;

/// One run.
#[derive(Debug, Clone, Copy)]
pub struct EntryReuse<'a> {
    /// A scan of the whole store, which also checks unchecked hashes.
    pub scan: Scan<'a>,
    /// Which entries may be reused.
    pub scope: &'a Scope,
}

/// The result of reusing entries.
#[derive(Debug, Default)]
pub struct Reuse {
    /// The sources that are left to compile.
    pub groups: Vec<SourceGroup>,
    /// The sources that need no compilation any more.
    pub done: Compilation,
    /// Sources that seem equal to one of `groups`, which comes first.
    repeats: Vec<(EntryPlace, Vec<WantedEntry>)>,
}

/// Sources with one key, and the files whose entries have it.
type ReuseJob = (Vec<WantedEntry>, Vec<FoundFile>);

/// The names of one file.
type FoundFile = Vec<ShareCandidate>;

/// What the workers have in common.
struct Common<'a> {
    groups: &'a [SourceGroup],
    paths: Mutex<OwnPaths>,
    /// Whether entries may become links.
    links: MakeLinks,
}

/// What one worker did.
#[derive(Default)]
struct ReuseWorker {
    done: Compilation,
    /// The sources that are left to compile, those with one key together.
    left: Vec<Vec<WantedEntry>>,
    last: Option<LastDirectory>,
}

impl EntryReuse<'_> {
    /// Reuses what the store has. Calls `progress` with the number of entries of the store seen so far.
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
        let known =
            reuse.groups.iter().zip(&tags).map(|(group, tag)| tag.as_ref().map_or(0, |_| group.tasks.len()));
        if known.sum::<usize>() < WORTH_A_SCAN {
            return reuse;
        }
        let mut wanted = reuse.take_wanted(&tags, &search);
        let found = self.find(&search, wanted.keys().copied().collect(), progress);
        let with_files =
            found.into_iter().filter_map(|(key, found)| Some((wanted.remove(&key)?, files(found))));
        let with_files: Vec<ReuseJob> = with_files.collect();
        let mut left = self.reuse_all(with_files, &mut reuse);
        left.extend(wanted.into_values());
        reuse.put_back(left);
        reuse
    }

    /// Reuses the entries that were compiled since, for the sources that seemed equal to theirs. Returns what is left.
    #[must_use]
    pub fn repeat(&self, reuse: Reuse) -> Reuse {
        let groups = reuse.groups.into_iter().map(|group| SourceGroup { tasks: Vec::new(), ..group });
        let mut rest = Reuse { groups: groups.collect(), ..Reuse::default() };
        let jobs = reuse.repeats.into_iter().map(|(first, wanted)| {
            let file = self.compiled(first, &wanted[0]).map(|entry| vec![entry]);
            (wanted, file.into_iter().collect())
        });
        let left = self.reuse_all(jobs.collect(), &mut rest);
        for wanted in left.into_iter().flatten() {
            rest.groups[wanted.group].tasks.push(wanted.task);
        }
        rest
    }

    /// Finds entries of the store with these sorted keys: for each key a limited number.
    fn find(
        &self,
        search: &ShareSearch<'_>,
        keys: Vec<u64>,
        progress: impl FnMut(u64),
    ) -> BTreeMap<u64, Vec<ShareCandidate>> {
        let most = (MOST_CANDIDATES / keys.len().max(1)).clamp(1, MOST_NAMES);
        let held: Vec<AtomicUsize> = keys.iter().map(|_| AtomicUsize::new(0)).collect();
        let mut found = BTreeMap::<u64, Vec<ShareCandidate>>::new();
        for part in self.scan.run(|| search.gather_up_to(most, &keys, &held), progress) {
            for candidate in part.candidates {
                found.entry(candidate.key).or_default().push(candidate);
            }
        }
        found
    }

    /// An entry that this run compiled; `None` if there is none that may be shared.
    fn compiled(&self, place: EntryPlace, wanted: &WantedEntry) -> Option<ShareCandidate> {
        let store = self.scan.store;
        let metadata = store.directory(&place.relative).ok()?.metadata(&place.name, Links::Keep).ok()?;
        if not_private(store, &metadata).is_some() {
            return None;
        }
        let dialect = Dialect::of(Name::parse(&place.name).slot()?.tag, wanted.header.magic)?;
        let source_name = wanted.task.source.file_name()?.as_bytes().into();
        let (relative, name) = (place.relative.into(), place.name.into());
        let mode = wanted.header.invalidation_mode();
        Some(ShareCandidate { key: wanted.key, relative, name, source_name, dialect, mode, metadata })
    }

    /// Does the jobs; returns the sources that are left to compile, those with one key together.
    fn reuse_all(&self, jobs: Vec<ReuseJob>, reuse: &mut Reuse) -> Vec<Vec<WantedEntry>> {
        // Those of one directory are one job: the last directory stays open.
        let mut by_directory = BTreeMap::<Vec<u8>, Vec<ReuseJob>>::new();
        for job in jobs {
            by_directory.entry(job.0[0].place.relative.clone()).or_default().push(job);
        }
        let jobs: Vec<_> = by_directory.into_values().collect();
        // Without the lock, a prune may be removing the same entries.
        let has_lock = !jobs.is_empty() && matches!(self.scan.store.lock(), Ok(Lock::Ours));
        let links = if has_lock { MakeLinks::Yes } else { MakeLinks::No };
        let paths = Mutex::new(OwnPaths::new(effective_user()));
        let common = Common { groups: &reuse.groups, paths, links };
        let work = |worker: &mut ReuseWorker, jobs: Vec<ReuseJob>, _: &mut _| {
            for (wanted, files) in jobs {
                self.reuse_equal(wanted, files, &common, worker);
            }
        };
        let threads = self.scan.threads.for_jobs(jobs.len());
        let workers = pool::run(threads, jobs, ReuseWorker::default, work, || {});
        if has_lock {
            self.scan.store.unlock();
        }
        let mut left = Vec::new();
        for worker in workers {
            reuse.done.append(worker.done);
            left.extend(worker.left);
        }
        left
    }

    /// Gives all sources with one key the entries of equal sources.
    fn reuse_equal(
        &self,
        wanted: Vec<WantedEntry>,
        mut files: Vec<FoundFile>,
        common: &Common<'_>,
        worker: &mut ReuseWorker,
    ) {
        let own: HashSet<(&[u8], &[u8])> =
            wanted.iter().map(|it| (&*it.place.relative, &*it.place.name)).collect();
        for file in &mut files {
            file.retain(|it| !own.contains(&(&*it.relative, &*it.name)));
        }
        files.retain(|file| !file.is_empty());
        // Thousands of empty sources may have one key.
        let is_sorted = wanted.len() * files.len() <= MOST_SORTED;
        let mut left = Vec::new();
        for wanted in wanted {
            if is_sorted {
                files.sort_by_cached_key(|names| order(names, &wanted));
            }
            let is_stopped = || self.scan.stop.load(Ordering::Relaxed);
            let mut candidates = files.iter_mut().take(MOST_COMPARED).take_while(|_| !is_stopped());
            // If an entry cannot be reused, its source is compiled, which reports the error.
            let reused =
                candidates.find_map(|names| self.reuse(&wanted, names, common, worker).ok().flatten());
            let Some(reused) = reused else {
                left.push(wanted);
                continue;
            };
            if let ReusedFile::Copied(copy) = reused {
                files.push(vec![*copy]);
            }
            let tag = Name::parse(&wanted.place.name).slot().map_or("", |slot| slot.tag).to_string();
            worker.done.row(&common.groups[wanted.group].executable, &tag).reused += 1;
        }
        worker.left.extend((!left.is_empty()).then_some(left));
    }

    /// Reuses a file, if one of its names is the entry of an equal source.
    fn reuse(
        &self,
        wanted: &WantedEntry,
        names: &mut FoundFile,
        common: &Common<'_>,
        worker: &mut ReuseWorker,
    ) -> io::Result<Option<ReusedFile>> {
        let store = self.scan.store;
        let mut nearest: Vec<&ShareCandidate> = names.iter().collect();
        nearest.sort_by_cached_key(|it| Reverse(common_end(&it.relative, &wanted.place.relative)));
        // A source may be deleted during the run, or changed.
        let own = OpenSource::open_to_compare(&wanted.task.source)?;
        let proof = |it| Some((it, wanted.proof(&own, it).filter(|_| common.is_ours(&it.source()))?));
        let Some((candidate, source)) = nearest.into_iter().find_map(proof) else { return Ok(None) };
        // Equal keys do not prove equality: they are hashes.
        let is_named = *candidate.name == *wanted.place.name
            && wanted.task.source.file_name() == Some(OsStr::from_bytes(&candidate.source_name));
        let from = store.directory(&candidate.relative)?;
        let file = from.open_entry(&candidate.name)?;
        let metadata = directory::metadata_of(&file)?;
        if !is_named || !is_still(&candidate.metadata, &metadata) || !wanted.is_equal(&own, &source)? {
            return Ok(None);
        }
        let mode = new_entry::mode(own.metadata.mode);
        let to = LastDirectory::open(&mut worker.last, store, &wanted.place, mode)?;
        let reused = with_corrected(&file, candidate.dialect, &candidate.source_name, |content| {
            if Header::parse(content) != Ok(wanted.header) {
                return Ok(None);
            }
            if common.links == MakeLinks::Yes {
                let from = (&from, &*candidate.name);
                let shared = SharedFile { names, from, file: &file, metadata, wanted: (wanted, &own) };
                if let Ok(Some(metadata)) = shared.link(to, &wanted.place.name) {
                    return Ok(Some(metadata));
                }
            }
            new_entry::write_in(&to.directory, &wanted.place.name, to.mode, content)?;
            to.directory.metadata(&wanted.place.name, Links::Keep).map(Some)
        })?;
        let Some(now) = reused.transpose()?.flatten() else { return Ok(None) };
        let (relative, name) = (wanted.place.relative.as_slice().into(), wanted.place.name.as_slice().into());
        let entry = ShareCandidate { relative, name, metadata: now, ..candidate.clone() };
        if now.identity != metadata.identity {
            return Ok(Some(ReusedFile::Copied(Box::new(entry))));
        }
        names.push(entry);
        for name in names {
            name.metadata = now;
        }
        Ok(Some(ReusedFile::Linked))
    }
}

/// How a file was reused.
enum ReusedFile {
    /// It has one name more.
    Linked,
    /// This entry is a copy.
    Copied(Box<ShareCandidate>),
}

impl Common<'_> {
    /// Whether only this user and root may change a source's path. Another user who replaces a directory on the path
    /// changes the source without leaving a trace.
    fn is_ours(&self, source: &Path) -> bool {
        let user = effective_user();
        let Some(directory) = source.parent() else { return false };
        let is_plain = |metadata: std::fs::Metadata| {
            metadata.is_file() && [0, user].contains(&metadata.uid()) && metadata.mode() & 0o022 == 0
        };
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        paths.has_directory(directory) && (source.symlink_metadata().is_ok_and(is_plain) || paths.has(source))
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

    /// Takes the tasks for which an entry may be reused out of the groups, by key.
    fn take_wanted(
        &mut self,
        tags: &[Option<(String, Magic)>],
        search: &ShareSearch<'_>,
    ) -> BTreeMap<u64, Vec<WantedEntry>> {
        let mut wanted = BTreeMap::<u64, Vec<WantedEntry>>::new();
        for (index, (group, tag)) in self.groups.iter_mut().zip(tags).enumerate() {
            let Some((tag, magic)) = tag else { continue };
            for task in std::mem::take(&mut group.tasks) {
                match WantedEntry::new(index, task, (tag, *magic), search) {
                    Ok(entry) => wanted.entry(entry.key).or_default().push(entry),
                    Err(task) => group.tasks.push(task),
                }
            }
        }
        wanted
    }

    /// Puts tasks back into the groups: of those with one key the first.
    fn put_back(&mut self, left: Vec<Vec<WantedEntry>>) {
        for mut same in left {
            // Python never checks these: nothing but their own compilation is trusted.
            let may_repeat = same[0].header.invalidation_mode() != InvalidationMode::UncheckedHash;
            let rest = if may_repeat { same.split_off(1) } else { Vec::new() };
            if !rest.is_empty() {
                self.repeats.push((same[0].place.clone(), rest));
            }
            for wanted in same {
                self.groups[wanted.group].tasks.push(wanted.task);
            }
        }
        for group in &mut self.groups {
            let order = |one: &Task, other: &Task| {
                (&one.source, one.optimization).cmp(&(&other.source, other.optimization))
            };
            group.tasks.sort_by(order);
        }
    }
}

/// The order in which files are compared: first those that can get one name more, then by path, because the same file of the
/// same package is most likely equal.
fn order(names: &[ShareCandidate], wanted: &WantedEntry) -> (bool, Reverse<usize>) {
    let is_full = names.len() > MOST_NAMES || names[0].metadata.links != names.len() as u64;
    let common = names.iter().map(|it| common_end(&it.relative, &wanted.place.relative)).max();
    (is_full, Reverse(common.unwrap_or(0)))
}

/// The candidates by file.
fn files(mut found: Vec<ShareCandidate>) -> Vec<FoundFile> {
    found.sort_by_key(|it| it.metadata.identity);
    found.chunk_by(|one, other| one.metadata.identity == other.metadata.identity).map(<[_]>::to_vec).collect()
}

/// The number of bytes that two paths have in common at their ends.
fn common_end(one: &[u8], other: &[u8]) -> usize {
    one.iter().rev().zip(other.iter().rev()).take_while(|(one, other)| one == other).count()
}
