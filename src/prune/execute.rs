//! Carries out a plan: the only file that deletes, from the store and from trees of sources.
//!
//! Read [`crate::prune`] first: what deleting obeys. `sweep` deletes by the same steps: `execute_in`.

use super::emptied::EmptiedIn;
use super::plan::{Plan, PlannedDirectory, Skipped};
use super::policy::{Policy, Spared};
use super::victim::Victim;
use crate::directory::Directory;
use crate::layout;
use crate::owner::{Owner, Spellings};
use crate::scan::{Threads, run_crew};
use crate::source::is_missing;
use crate::store::Store;
use crate::tally::Tally;
use crate::tree::Tree;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a prune did, or in a dry run would do.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was removed, in files.
    pub removed: Tally,
    /// How many emptied directories were removed.
    pub directories: u64,
    /// What was removed by owner, the most room on disk first.
    pub owners: Vec<(Owner, Tally)>,
    /// What a selector named and safety kept, sorted by path.
    pub skipped: Vec<Skipped>,
    /// What could not be removed, sorted by path.
    pub failures: Vec<Failure>,
    /// What was left when the run was told to stop, in files.
    pub left: Tally,
    /// How many emptied directories were left then.
    pub directories_left: u64,
    /// By how much the budget is missed although everything went that may.
    pub over_budget: Tally,
}

/// Something that could not be removed.
#[derive(Debug, thiserror::Error)]
#[error("cannot remove {}{}", .path.display(), of_files(*.files))]
pub struct Failure {
    /// Its path; the directory's where several of its files failed alike.
    pub path: PathBuf,
    /// How many files are meant; zero for a directory.
    pub files: u64,
    /// What the system said.
    pub source: io::Error,
}

pub(crate) fn of_files(files: u64) -> String {
    if files > 1 { format!(" ({files} files)") } else { String::new() }
}

/// What one worker removed.
#[derive(Debug, Default)]
struct Part {
    owners: BTreeMap<Owner, Tally>,
    directories: u64,
    skipped: Vec<Skipped>,
    failures: Vec<Failure>,
    left: Tally,
    directories_left: u64,
}

impl Outcome {
    /// Several outcomes as one: those of several trees.
    pub(crate) fn joined(outcomes: impl IntoIterator<Item = Outcome>) -> Outcome {
        let mut all_skipped = Vec::new();
        let part = |outcome: Outcome| {
            let Outcome { directories, owners, skipped, failures, left, directories_left, .. } = outcome;
            all_skipped.extend(skipped);
            let owners = owners.into_iter().collect();
            Part { owners, directories, skipped: Vec::new(), failures, left, directories_left }
        };
        let parts = outcomes.into_iter().map(part).collect();
        Outcome::collect(parts, all_skipped)
    }

    /// Whether everything that was planned happened.
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty()
    }

    fn collect(parts: Vec<Part>, skipped: Vec<Skipped>) -> Outcome {
        let mut outcome = Outcome { skipped, ..Outcome::default() };
        let mut owners: BTreeMap<Owner, Tally> = BTreeMap::new();
        let spellings = Spellings::of(parts.iter().flat_map(|part| part.owners.keys()));
        for part in parts {
            for (owner, tally) in part.owners {
                *owners.entry(spellings.head(&owner)).or_default() += tally;
                outcome.removed += tally;
            }
            outcome.directories += part.directories;
            outcome.skipped.extend(part.skipped);
            outcome.failures.extend(part.failures);
            outcome.left += part.left;
            outcome.directories_left += part.directories_left;
        }
        outcome.owners = owners.into_iter().collect();
        outcome.owners.sort_by(|(one, one_tally), (other, tally)| {
            (tally.disk, &one.root).cmp(&(one_tally.disk, &other.root))
        });
        outcome.skipped.sort();
        outcome.failures.sort_by(|one, other| one.path.cmp(&other.path));
        outcome
    }
}

impl Part {
    fn count(&mut self, owner: &Owner, tally: Tally) {
        match self.owners.get_mut(owner) {
            _ if tally.is_empty() => {}
            Some(sum) => *sum += tally,
            None => drop(self.owners.insert(owner.clone(), tally)),
        }
    }

    /// Adds what another worker removed.
    fn merge(&mut self, other: Part) {
        other.owners.iter().for_each(|(owner, tally)| self.count(owner, *tally));
        self.directories += other.directories;
        self.skipped.extend(other.skipped);
        self.failures.extend(other.failures);
        self.left += other.left;
        self.directories_left += other.directories_left;
    }

    /// Adds a failure; those of one directory that say the same are one.
    fn fail(&mut self, path: PathBuf, source: io::Error) {
        if let Some(last) = self.failures.last_mut()
            && last.source.kind() == source.kind()
            && last.files > 0
            && let Some(directory) = path.parent()
            && (last.path == directory || last.path.parent() == Some(directory))
        {
            last.path = directory.to_path_buf();
            last.files += 1;
        } else {
            self.failures.push(Failure { path, files: 1, source });
        }
    }
}

/// What is to become of a victim that was prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prepared {
    /// It is looked at again and removed.
    Remove,
    /// It stays; whoever prepared it says why.
    Keep,
}

/// What is done with a victim in its directory before it is looked at again and removed.
pub(crate) type Prepare<'a> = dyn Fn(&Directory, &PlannedDirectory, &Victim) -> Prepared + Sync + 'a;

/// Adds up what a plan would do if nothing changed meanwhile.
#[derive(Debug, Default)]
pub struct Expectation {
    part: Mutex<Part>,
}

impl Expectation {
    /// Adds one directory, before the plan is whole.
    pub fn add(&self, planned: &PlannedDirectory) {
        lock(&self.part).count(&planned.owner, planned.tally());
    }

    /// Adds the rest of the plan.
    pub fn finish(self, plan: Plan) -> Outcome {
        plan.directories.iter().for_each(|planned| self.add(planned));
        let part = Part {
            directories: plan.emptied.iter().map(|emptied| emptied.names().count() as u64).sum(),
            ..into_inner(self.part)
        };
        Outcome { over_budget: plan.over_budget, ..Outcome::collect(vec![part], plan.skipped) }
    }
}

/// A removal under way: what a plan hands over before it is whole, and at the end the rest of it.
///
/// It ends early when `stop` becomes true. A stop comes between two files; what is left of the plan is counted.
pub struct Execution<'a> {
    removal: Removal<'a>,
    early: Mutex<Part>,
}

impl std::fmt::Debug for Execution<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Execution").field("early", &self.early).finish_non_exhaustive()
    }
}

impl<'a> Execution<'a> {
    /// A removal of what this policy takes from a store.
    pub fn new(store: &'a Store, policy: &Policy, stop: &'a AtomicBool) -> Execution<'a> {
        Execution::of(store, &|_, _, _| Prepared::Remove, policy.takes_anything(), stop)
    }

    fn of(
        tree: &'a dyn Tree,
        prepare: &'a Prepare<'a>,
        takes_anything: bool,
        stop: &'a AtomicBool,
    ) -> Execution<'a> {
        let (is_read_only, seen) = (AtomicBool::new(false), AtomicU64::new(0));
        let removal = Removal { tree, prepare, stop, takes_anything, is_read_only, seen };
        Execution { removal, early: Mutex::default() }
    }

    /// Removes one directory's victims, before the plan is whole.
    pub fn remove(&self, planned: &PlannedDirectory) {
        let mut part = Part::default();
        self.removal.empty(&mut part, planned);
        lock(&self.early).merge(part);
    }

    /// Removes the rest of the plan, directories in parallel, and then the emptied ones. `progress` hears how many files
    /// were done so far.
    pub fn finish(self, plan: Plan, threads: Threads, mut progress: impl FnMut(u64)) -> Outcome {
        let Execution { removal, early } = self;
        let Plan { directories, emptied, skipped, over_budget, .. } = plan;
        let mut parts = run_crew(
            threads,
            directories,
            Part::default,
            |part, directory, _| removal.empty(part, &directory),
            || progress(removal.seen.load(Ordering::Relaxed)),
        );
        // A level must be gone before the next can go.
        for level in emptied.chunk_by(|one, other| one.depth() == other.depth()) {
            parts.extend(run_crew(
                threads,
                level.iter().collect(),
                Part::default,
                |part, emptied, _| removal.remove_emptied(part, emptied),
                || {},
            ));
        }
        parts.push(into_inner(early));
        let mut outcome = Outcome { over_budget, ..Outcome::collect(parts, skipped) };
        // One line says it all; there would be one a file.
        let is_other = |failure: &Failure| failure.source.kind() != io::ErrorKind::ReadOnlyFilesystem;
        let (others, same): (Vec<_>, Vec<_>) = outcome.failures.into_iter().partition(is_other);
        outcome.failures = others;
        let files = same.iter().map(|failure| failure.files).sum::<u64>() + outcome.left.files;
        if let Some(first) = same.into_iter().next() {
            outcome.failures.push(Failure { path: removal.tree.path().to_path_buf(), files, ..first });
            outcome.left = Tally::default();
            outcome.directories_left = 0;
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
    execute_in(store, plan, &|_, _, _| Prepared::Remove, threads, stop, progress)
}

/// Removes what is planned in any tree; each victim is prepared before.
pub(crate) fn execute_in(
    tree: &dyn Tree,
    plan: Plan,
    prepare: &Prepare<'_>,
    threads: Threads,
    stop: &AtomicBool,
    progress: impl FnMut(u64),
) -> Outcome {
    Execution::of(tree, prepare, plan.takes_anything, stop).finish(plan, threads, progress)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn into_inner<T>(mutex: Mutex<T>) -> T {
    mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
}

struct Removal<'a> {
    tree: &'a dyn Tree,
    prepare: &'a Prepare<'a>,
    stop: &'a AtomicBool,
    takes_anything: bool,
    is_read_only: AtomicBool,
    seen: AtomicU64,
}

impl Removal<'_> {
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.is_read_only.load(Ordering::Relaxed)
    }

    /// An error that ends the run: what comes after it would say the same.
    fn heed(&self, error: &io::Error) {
        if error.kind() == io::ErrorKind::ReadOnlyFilesystem {
            self.is_read_only.store(true, Ordering::Relaxed);
        }
    }

    /// Removes one directory's victims.
    fn empty(&self, part: &mut Part, planned: &PlannedDirectory) {
        if self.is_stopped() {
            planned.victims.iter().for_each(|victim| part.left += victim.tally());
            return;
        }
        let directory = match self.tree.directory(&planned.relative) {
            Ok(directory) => directory,
            // Somebody else removed it all: nothing is left to do.
            Err(error) if is_missing(&error) && error.kind() != io::ErrorKind::NotADirectory => return,
            Err(source) => {
                let path = self.tree.shown(&planned.relative, b"");
                part.failures.push(Failure { path, files: planned.victims.len() as u64, source });
                return;
            }
        };
        let mirrored = layout::source_directory(&planned.relative);
        let mut removed = Tally::default();
        for victim in &planned.victims {
            if self.is_stopped() {
                part.left += victim.tally();
                continue;
            }
            if (self.prepare)(&directory, planned, victim) == Prepared::Keep {
                continue;
            }
            let path = || self.tree.shown(&planned.relative, &victim.name);
            match remove(&directory, victim, &mirrored, self.takes_anything) {
                Ok(Removed::Yes) => removed += victim.tally(),
                Ok(Removed::Vanished) => {}
                Ok(Removed::Kept(why)) => part.skipped.push(Skipped { path: path(), why }),
                Err(error) => {
                    self.heed(&error);
                    part.fail(path(), error);
                }
            }
        }
        self.seen.fetch_add(planned.victims.len() as u64, Ordering::Relaxed);
        part.count(&planned.owner, removed);
    }

    /// Removes the emptied directories of one parent. One that has something in it again simply stays.
    fn remove_emptied(&self, part: &mut Part, emptied: &EmptiedIn) {
        let Ok(directory) = self.tree.directory(&emptied.parent) else { return };
        for name in emptied.names() {
            if self.is_stopped() {
                part.directories_left += 1;
                continue;
            }
            match directory.remove_directory(name) {
                Ok(()) => part.directories += 1,
                // POSIX lets a file system say EEXIST of a directory that is not empty.
                Err(error)
                    if is_missing(&error)
                        || matches!(
                            error.kind(),
                            io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
                        ) => {}
                Err(source) => {
                    self.heed(&source);
                    let path = self.tree.shown(&emptied.parent, name);
                    part.failures.push(Failure { path, files: 0, source });
                }
            }
        }
    }
}

enum Removed {
    Yes,
    Vanished,
    Kept(Spared),
}

/// Looks at the victim and its source again, and removes it if it is still the file that was planned and for the same
/// reason. `mirrored` is the directory of sources that its directory mirrors.
fn remove(
    directory: &Directory,
    victim: &Victim,
    mirrored: &Path,
    takes_anything: bool,
) -> io::Result<Removed> {
    match victim.look_again(directory, takes_anything) {
        Ok(None) => {}
        Ok(Some(why)) => return Ok(Removed::Kept(why)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Removed::Vanished),
        Err(error) => return Err(error),
    }
    // The last look before the file goes: its source may be there again.
    if let Some(why) = victim.look_at_source(mirrored) {
        return Ok(Removed::Kept(why));
    }
    match directory.remove_file(&victim.name) {
        Ok(()) => Ok(Removed::Yes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Removed::Vanished),
        Err(error) => Err(error),
    }
}
