//! Carries out a plan: the only file that deletes, from the store and from trees of sources.
//!
//! [`crate::effect`] has the rules that deletion follows. `sweep` deletes by the same steps: `execute_in`.

use super::outcome::{Failure, Outcome, WorkerOutcome};
use crate::host::directory::{Directory, Links};
use crate::host::pool::{self, Threads};
use crate::pyc::name;
use crate::source::{Why, is_missing};
use crate::store::Store;
use crate::store::tree::Tree;
use crate::units::Tally;
use crate::verdict::emptied::{DirectoryRule, EmptiedIn, owner_of_directories};
use crate::verdict::plan::{Plan, PlannedDirectory, Skipped};
use crate::verdict::policy::{Policy, Spared};
use crate::verdict::usage::CountedLinks;
use crate::verdict::victim::Victim;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is to become of a victim that was prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prepared {
    /// It is looked at again and removed.
    Remove,
    /// It stays; the preparation reports why.
    Keep,
}

/// What is done with a victim in its directory before it is looked at again and removed.
pub(crate) type Prepare<'a> = dyn Fn(&Directory, &PlannedDirectory, &Victim) -> Prepared + Sync + 'a;

/// Is called after each file that is removed, by several threads.
pub type OnRemoved<'a> = dyn Fn(&PlannedDirectory, &Victim) + Sync + 'a;

/// A removal under way: what a plan hands over before it is whole, and at the end the rest of it.
///
/// It ends early when `stop` becomes true. A stop comes between two files; what is left of the plan is counted.
pub struct Execution<'a> {
    removal: Removal<'a>,
    early: Mutex<WorkerOutcome>,
}

impl std::fmt::Debug for Execution<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Execution").field("early", &self.early).finish_non_exhaustive()
    }
}

impl<'a> Execution<'a> {
    /// A removal of what this policy takes from a store.
    pub fn new(store: &'a Store, policy: &Policy, stop: &'a AtomicBool) -> Execution<'a> {
        let rules =
            Rules { directories: policy.directory_rule(), owner_of_directories: owner_of_directories(store) };
        Execution::of(store, &|_, _, _| Prepared::Remove, rules, stop)
    }

    /// Calls `on_removed` after each file that is removed.
    #[must_use]
    pub fn reporting(mut self, on_removed: &'a OnRemoved<'a>) -> Execution<'a> {
        self.removal.on_removed = on_removed;
        self
    }

    fn of(tree: &'a Tree, prepare: &'a Prepare<'a>, rules: Rules, stop: &'a AtomicBool) -> Execution<'a> {
        let (is_read_only, seen) = (AtomicBool::new(false), AtomicU64::new(0));
        let (turns, links_left) = (Turns::default(), CountedLinks::default());
        let on_removed = &|_: &PlannedDirectory, _: &Victim| {};
        let removal =
            Removal { tree, prepare, on_removed, stop, rules, is_read_only, seen, turns, links_left };
        Execution { removal, early: Mutex::default() }
    }

    /// Removes one directory's victims, before the plan is whole.
    pub fn remove(&self, planned: &PlannedDirectory) {
        let mut part = WorkerOutcome::default();
        self.removal.empty(&mut part, planned);
        lock(&self.early).merge(part);
    }

    /// Removes the rest of the plan, directories in parallel, and then the emptied ones. `progress` hears how many files
    /// were done so far.
    pub fn finish(self, plan: Plan, threads: Threads, mut progress: impl FnMut(u64)) -> Outcome {
        let Execution { removal, early } = self;
        let Plan { directories, emptied, skipped, held_back, over_budget, .. } = plan;
        let mut parts = pool::run(
            threads.for_jobs(directories.len()),
            directories,
            WorkerOutcome::default,
            |part, directory, _| removal.empty(part, &directory),
            || progress(removal.seen.load(Ordering::Relaxed)),
        );
        // A level must be gone before the next can go.
        for level in emptied.chunk_by(|one, other| one.depth() == other.depth()) {
            parts.extend(pool::run(
                threads.for_jobs(level.len()),
                level.iter().collect(),
                WorkerOutcome::default,
                |part, emptied, _| removal.remove_emptied(part, emptied),
                || {},
            ));
        }
        parts.push(into_inner(early));
        let mut outcome = Outcome { over_budget, held_back, ..Outcome::collect(parts, skipped) };
        let is_read_only = |error: &io::Error| error.kind() == io::ErrorKind::ReadOnlyFilesystem;
        outcome.join_failures(removal.tree.path(), is_read_only);
        if removal.tree.is_lost() {
            outcome.join_failures(removal.tree.path(), |error| Why::of(error).is_fault());
        }
        outcome
    }
}

/// Removes what is planned from a store.
pub fn execute(
    store: &Store,
    plan: Plan,
    threads: Threads,
    stop: &AtomicBool,
    progress: impl FnMut(u64),
) -> Outcome {
    let rules = Rules { directories: plan.directory_rule, owner_of_directories: owner_of_directories(store) };
    Execution::of(store, &|_, _, _| Prepared::Remove, rules, stop).finish(plan, threads, progress)
}

/// Removes what is planned in any tree; each victim is prepared before.
pub(crate) fn execute_in(
    tree: &Tree,
    plan: Plan,
    prepare: &Prepare<'_>,
    threads: Threads,
    stop: &AtomicBool,
    progress: impl FnMut(u64),
) -> Outcome {
    let rules = Rules { directories: plan.directory_rule, owner_of_directories: None };
    Execution::of(tree, prepare, rules, stop).finish(plan, threads, progress)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn into_inner<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// What a policy lets a removal do.
#[derive(Debug, Clone, Copy)]
struct Rules {
    directories: DirectoryRule,
    /// Whose directories may go; `None`: everybody's.
    owner_of_directories: Option<u32>,
}

/// Removals of links of one inode come one after another: else each of the last two would see the other link.
struct Turns([Mutex<()>; 64]);

impl Default for Turns {
    fn default() -> Turns {
        Turns(std::array::from_fn(|_| Mutex::new(())))
    }
}

struct Removal<'a> {
    tree: &'a Tree,
    prepare: &'a Prepare<'a>,
    on_removed: &'a OnRemoved<'a>,
    stop: &'a AtomicBool,
    rules: Rules,
    is_read_only: AtomicBool,
    seen: AtomicU64,
    turns: Turns,
    links_left: CountedLinks,
}

impl Removal<'_> {
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.is_read_only.load(Ordering::Relaxed) || self.tree.is_lost()
    }

    /// An error that ends the run: what comes after it would say the same.
    fn note_fatal(&self, error: &io::Error) {
        if error.kind() == io::ErrorKind::ReadOnlyFilesystem {
            self.is_read_only.store(true, Ordering::Relaxed);
        }
        self.tree.note_error(error);
    }

    /// Removes one directory's victims.
    fn empty(&self, part: &mut WorkerOutcome, planned: &PlannedDirectory) {
        if self.is_stopped() {
            planned.victims.iter().for_each(|victim| part.left += self.left(victim));
            return;
        }
        let directory = match self.tree.directory(&planned.relative) {
            Ok(directory) => directory,
            // Another process removed everything: nothing is left to do.
            Err(error) if is_missing(&error) && error.kind() != io::ErrorKind::NotADirectory => return,
            Err(source) => {
                self.note_fatal(&source);
                let path = self.tree.shown(&planned.relative, b"");
                let files = planned.victims.len() as u64;
                part.fail_directory(Failure { path, files, directories: 0, source });
                return;
            }
        };
        let mirrored = name::source_directory(&planned.relative);
        let mut removed = Vec::new();
        for victim in &planned.victims {
            if self.is_stopped() {
                part.left += self.left(victim);
                continue;
            }
            if (self.prepare)(&directory, planned, victim) == Prepared::Keep {
                continue;
            }
            let path = || self.tree.shown(&planned.relative, &victim.name);
            match self.remove(&directory, victim, &mirrored) {
                Ok(RemovedEntry::Yes(freed)) => {
                    (self.on_removed)(planned, victim);
                    removed.push((victim, freed));
                }
                Ok(RemovedEntry::Vanished) => {}
                Ok(RemovedEntry::Kept(why)) => part.skipped.push(Skipped { path: path(), why }),
                Err(error) => {
                    self.note_fatal(&error);
                    part.fail(path(), error);
                }
            }
        }
        self.seen.fetch_add(planned.victims.len() as u64, Ordering::Relaxed);
        part.count_victims(&planned.owner, removed);
    }

    /// What a victim that was left still takes: an inode with several links once.
    fn left(&self, victim: &Victim) -> Tally {
        if victim.links > 1 && !self.links_left.is_first(victim.identity) {
            return victim.tally();
        }
        victim.size()
    }

    /// Looks at the victim and its source again, and removes it if it is still the file that was planned and for the same
    /// reason. `mirrored` is the directory of sources that its directory mirrors.
    fn remove(&self, directory: &Directory, victim: &Victim, mirrored: &Path) -> io::Result<RemovedEntry> {
        let vanished = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Ok(RemovedEntry::Vanished),
            _ => Err(error),
        };
        match victim.look_again(directory) {
            Ok(None) => {}
            Ok(Some(why)) => return Ok(RemovedEntry::Kept(why)),
            Err(error) => return vanished(error),
        }
        match victim.look_at_recorded(directory, mirrored) {
            Ok(None) => {}
            Ok(Some(why)) => return Ok(RemovedEntry::Kept(why)),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                return Ok(RemovedEntry::Kept(Spared::Unreadable));
            }
            Err(error) => return vanished(error),
        }
        let mut freed = victim.size();
        let turn = &self.turns.0[victim.identity.1 as usize % self.turns.0.len()];
        let _turn = (victim.links > 1).then(|| lock(turn));
        if victim.links > 1 {
            match directory.metadata(&victim.name, Links::Keep) {
                Ok(now) if now.links > 1 => freed = victim.tally(),
                Ok(_) => {}
                Err(error) => return vanished(error),
            }
        }
        // The last look before the file goes: its source may be there again.
        if let Some(why) = victim.look_at_source(mirrored) {
            return Ok(RemovedEntry::Kept(why));
        }
        directory.remove_file(&victim.name).map_or_else(vanished, |()| Ok(RemovedEntry::Yes(freed)))
    }

    /// Removes the emptied directories of one parent. One that has something in it again simply stays.
    fn remove_emptied(&self, part: &mut WorkerOutcome, emptied: &EmptiedIn) {
        if self.is_stopped() {
            part.directories_left += emptied.count();
            return;
        }
        let opened = self.tree.directory(&emptied.parent).and_then(|it| Ok((it.own_metadata()?, it)));
        let (parent, directory) = match opened {
            Ok(opened) => opened,
            // Another process removed it, with what was in it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(source) => {
                self.note_fatal(&source);
                let path = self.tree.shown(&emptied.parent, b"");
                part.fail_directory(Failure { path, files: 0, directories: emptied.count(), source });
                return;
            }
        };
        let mut removed = EmptiedIn::new(&emptied.parent);
        for name in emptied.names() {
            if self.is_stopped() {
                part.directories_left += 1;
                continue;
            }
            match self.remove_directory(&directory, parent.identity.0, emptied, name) {
                Ok(RemovedDirectory::Yes) => removed.push(name),
                Ok(RemovedDirectory::Kept) => {}
                Err(source) => {
                    self.note_fatal(&source);
                    let path = self.tree.shown(&emptied.parent, name);
                    part.fail_directory(Failure { path, files: 0, directories: 1, source });
                }
            }
        }
        part.emptied.push(removed);
    }

    /// Removes an emptied directory if it is still to go. `device` is that of its parent.
    fn remove_directory(
        &self,
        parent: &Directory,
        device: u64,
        emptied: &EmptiedIn,
        name: &[u8],
    ) -> io::Result<RemovedDirectory> {
        let vanished = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(RemovedDirectory::Kept),
            // POSIX lets a file system say EEXIST of a directory that is not empty.
            io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => Ok(RemovedDirectory::Kept),
            _ => Err(error),
        };
        match parent.metadata(name, Links::Keep) {
            // A btrfs subvolume: no mount point, and yet removed like a directory.
            Ok(metadata) if metadata.identity.0 != device => return Ok(RemovedDirectory::Kept),
            // Another process made it since.
            Ok(metadata) if self.rules.owner_of_directories.is_some_and(|owner| metadata.user != owner) => {
                return Ok(RemovedDirectory::Kept);
            }
            Ok(_) => {}
            Err(error) => return vanished(error),
        }
        if self.rules.directories == DirectoryRule::SourcesDeleted {
            let sources = name::source_directory(&name::joined(&emptied.parent, name));
            if !is_still_missing(&sources)? {
                return Ok(RemovedDirectory::Kept);
            }
        }
        parent.remove_directory(name).map_or_else(vanished, |()| Ok(RemovedDirectory::Yes))
    }
}

/// Whether there is still no directory at the path of a deleted directory of sources. An installation may have made it
/// again, and then Python may be about to write into its mirror.
fn is_still_missing(sources: &Path) -> io::Result<bool> {
    match std::fs::metadata(sources) {
        Ok(metadata) => Ok(!metadata.is_dir()),
        Err(error) if is_missing(&error) => Ok(true),
        Err(error) if Why::of(&error) != Why::Io => Ok(false),
        Err(error) => {
            let message = format!("cannot look at {}: {error}", sources.display());
            Err(io::Error::new(error.kind(), message))
        }
    }
}

enum RemovedEntry {
    /// It is removed; this was freed.
    Yes(Tally),
    Vanished,
    Kept(Spared),
}

enum RemovedDirectory {
    Yes,
    /// It is not there any more, holds something, or is not to go.
    Kept,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_missing_directory_of_sources_is_still_missing() {
        let temporary = tempfile::tempdir().unwrap();
        let base = temporary.path();
        std::fs::write(base.join("file"), "").unwrap();
        std::os::unix::fs::symlink("loop", base.join("loop")).unwrap();
        let too_long = "n".repeat(300);
        for (path, expected) in [
            ("", Some(false)),
            ("gone", Some(true)),
            ("file", Some(true)),
            ("file/below", Some(true)),
            // It may be there for other users or at other times.
            ("loop", Some(false)),
            ("loop/below", Some(false)),
            (&too_long, None),
        ] {
            let answer = is_still_missing(&base.join(path));
            assert_eq!(answer.as_ref().ok(), expected.as_ref(), "{path}: {answer:?}");
            if let Err(error) = answer {
                assert!(
                    error.to_string().starts_with(&format!("cannot look at {}", base.display())),
                    "{error}"
                );
            }
        }
    }
}
