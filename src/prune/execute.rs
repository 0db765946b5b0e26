//! Carries out a plan: the only file that deletes, from the store and from trees of sources.
//!
//! Read [`crate::prune`] first: what deleting obeys. `sweep` deletes by the same steps: `execute_in`.

use super::emptied::{DirectoryRule, EmptiedIn, joined, sorted};
use super::links::LinkedVictims;
use super::plan::{Plan, PlannedDirectory, Skipped};
use super::policy::{Policy, Spared};
use super::victim::Victim;
use crate::directory::{Directory, Links};
use crate::layout;
use crate::owner::{Owner, Spellings};
use crate::scan::{Threads, run_crew};
use crate::source::{Why, is_missing};
use crate::store::Store;
use crate::tally::Tally;
use crate::tree::Tree;
use crate::usage::CountedLinks;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a prune did, or in a dry run would do.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was removed: files by name, bytes with the last link of an inode.
    pub removed: Tally,
    /// How many emptied directories were removed.
    pub directories: u64,
    /// The same by name: each parent once, the deepest first. Empty for what is joined from several trees.
    pub emptied: Vec<EmptiedIn>,
    /// What was removed by owner, the most room on disk first.
    pub owners: Vec<(Owner, Tally)>,
    /// What a selector named and safety kept, sorted by path.
    pub skipped: Vec<Skipped>,
    /// What could not be removed, sorted by path.
    pub failures: Vec<Failure>,
    /// What was left when the run was told to stop: files by name, bytes by inode.
    pub left: Tally,
    /// How many emptied directories were left then.
    pub directories_left: u64,
    /// By how much the budget is missed although everything went that may.
    pub over_budget: Tally,
}

/// Something that could not be removed.
#[derive(Debug, thiserror::Error)]
#[error("cannot remove {}{}", .path.display(), of_names(*.files, *.directories))]
pub struct Failure {
    /// Its path; that of the directory where several names in it failed alike.
    pub path: PathBuf,
    /// How many files are meant; zero where directories are.
    pub files: u64,
    /// How many emptied directories are meant; zero where files are.
    pub directories: u64,
    /// What the system said.
    pub source: io::Error,
}

pub(crate) fn of_files(files: u64) -> String {
    if files > 1 { format!(" ({files} files)") } else { String::new() }
}

fn of_names(files: u64, directories: u64) -> String {
    if directories > 1 { format!(" ({directories} directories)") } else { of_files(files) }
}

/// What one worker removed.
#[derive(Debug, Default)]
struct Part {
    owners: BTreeMap<Owner, Tally>,
    emptied: Vec<EmptiedIn>,
    skipped: Vec<Skipped>,
    failures: Vec<Failure>,
    /// The directory of the last failure, where that is of files in it.
    failing: Option<PathBuf>,
    left: Tally,
    directories_left: u64,
}

impl Outcome {
    /// Several outcomes as one: those of several trees.
    pub(crate) fn joined(outcomes: impl IntoIterator<Item = Outcome>) -> Outcome {
        let mut all_skipped = Vec::new();
        let mut all_directories = 0;
        let part = |outcome: Outcome| {
            let Outcome { directories, owners, skipped, failures, left, directories_left, .. } = outcome;
            all_skipped.extend(skipped);
            all_directories += directories;
            let owners = owners.into_iter().collect();
            Part { owners, failures, left, directories_left, ..Part::default() }
        };
        let parts = outcomes.into_iter().map(part).collect();
        Outcome { directories: all_directories, ..Outcome::collect(parts, all_skipped) }
    }

    /// Whether everything that was planned happened.
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty()
    }

    /// Replaces the failures of a read-only file system by one: there would be one for each file.
    fn join_read_only(&mut self, root: &Path) {
        let is_other = |failure: &Failure| failure.source.kind() != io::ErrorKind::ReadOnlyFilesystem;
        let (others, same): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.failures).into_iter().partition(is_other);
        self.failures = others;
        let files = same.iter().map(|failure| failure.files).sum::<u64>() + self.left.files;
        let directories = same.iter().map(|failure| failure.directories).sum::<u64>() + self.directories_left;
        if let Some(first) = same.into_iter().next() {
            let directories = if files > 0 { 0 } else { directories };
            self.failures.push(Failure { path: root.to_path_buf(), files, directories, ..first });
            self.left = Tally::default();
            self.directories_left = 0;
        }
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
            outcome.emptied.extend(part.emptied);
            outcome.skipped.extend(part.skipped);
            outcome.failures.extend(part.failures);
            outcome.left += part.left;
            outcome.directories_left += part.directories_left;
        }
        outcome.emptied = sorted(std::mem::take(&mut outcome.emptied));
        outcome.directories = outcome.emptied.iter().map(EmptiedIn::count).sum();
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
            _ if tally == Tally::default() => {}
            Some(sum) => *sum += tally,
            None => drop(self.owners.insert(owner.clone(), tally)),
        }
    }

    fn count_freed(&mut self, linked: &LinkedVictims) {
        linked.freed().for_each(|(owner, freed)| self.count(owner, freed));
    }

    /// Adds what another worker removed.
    fn merge(&mut self, other: Part) {
        other.owners.iter().for_each(|(owner, tally)| self.count(owner, *tally));
        self.emptied.extend(other.emptied);
        self.skipped.extend(other.skipped);
        self.failures.extend(other.failures);
        self.failing = None;
        self.left += other.left;
        self.directories_left += other.directories_left;
    }

    /// Adds the failure of a file; those of one directory that say the same are one.
    fn fail(&mut self, path: PathBuf, source: io::Error) {
        // The error's number, not its kind: several errors of the file system have no kind of their own.
        let is_same = |last: &Failure| last.source.to_string() == source.to_string();
        if let Some(directory) = &self.failing
            && path.parent() == Some(directory)
            && let Some(last) = self.failures.last_mut().filter(|last| is_same(last))
        {
            last.path.clone_from(directory);
            last.files += 1;
        } else {
            self.failing = path.parent().map(PathBuf::from);
            self.failures.push(Failure { path, files: 1, directories: 0, source });
        }
    }

    /// Adds the failure of a whole directory.
    fn fail_directory(&mut self, failure: Failure) {
        self.failing = None;
        self.failures.push(failure);
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
///
/// What is added early has no bytes of files with several links; [`Plan::linked`] knows of those as well.
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
        let mut part = Part { emptied: plan.emptied, ..into_inner(self.part) };
        part.count_freed(&plan.linked);
        Outcome { over_budget: plan.over_budget, ..Outcome::collect(vec![part], plan.skipped) }
    }

    /// What is freed of files with several links, where the links of one may lie in several trees.
    pub(crate) fn of_linked(linked: &LinkedVictims) -> Outcome {
        let mut part = Part::default();
        part.count_freed(linked);
        Outcome::collect(vec![part], Vec::new())
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
        let rules = Rules { takes_anything: policy.takes_anything(), directories: policy.directory_rule() };
        Execution::of(store, &|_, _, _| Prepared::Remove, rules, stop)
    }

    fn of(tree: &'a dyn Tree, prepare: &'a Prepare<'a>, rules: Rules, stop: &'a AtomicBool) -> Execution<'a> {
        let (is_read_only, seen) = (AtomicBool::new(false), AtomicU64::new(0));
        let (turns, links_left) = (Turns::default(), CountedLinks::default());
        let removal = Removal { tree, prepare, stop, rules, is_read_only, seen, turns, links_left };
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
        outcome.join_read_only(removal.tree.path());
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
    let rules = Rules { takes_anything: plan.takes_anything, directories: plan.directory_rule };
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
    takes_anything: bool,
    directories: DirectoryRule,
}

/// Removals of links of one inode come one after another: else each of the last two would see the other link.
struct Turns([Mutex<()>; 64]);

impl Default for Turns {
    fn default() -> Turns {
        Turns(std::array::from_fn(|_| Mutex::new(())))
    }
}

struct Removal<'a> {
    tree: &'a dyn Tree,
    prepare: &'a Prepare<'a>,
    stop: &'a AtomicBool,
    rules: Rules,
    is_read_only: AtomicBool,
    seen: AtomicU64,
    turns: Turns,
    links_left: CountedLinks,
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
            planned.victims.iter().for_each(|victim| part.left += self.left(victim));
            return;
        }
        let directory = match self.tree.directory(&planned.relative) {
            Ok(directory) => directory,
            // Somebody else removed it all: nothing is left to do.
            Err(error) if is_missing(&error) && error.kind() != io::ErrorKind::NotADirectory => return,
            Err(source) => {
                let path = self.tree.shown(&planned.relative, b"");
                let files = planned.victims.len() as u64;
                part.fail_directory(Failure { path, files, directories: 0, source });
                return;
            }
        };
        let mirrored = layout::source_directory(&planned.relative);
        let mut removed = Tally::default();
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
                Ok(Removed::Yes(freed)) => removed += freed,
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

    /// What a victim that was left still takes: an inode with several links once.
    fn left(&self, victim: &Victim) -> Tally {
        if victim.links > 1 && !self.links_left.is_first(victim.identity) {
            return victim.tally();
        }
        victim.size()
    }

    /// Looks at the victim and its source again, and removes it if it is still the file that was planned and for the same
    /// reason. `mirrored` is the directory of sources that its directory mirrors.
    fn remove(&self, directory: &Directory, victim: &Victim, mirrored: &Path) -> io::Result<Removed> {
        let vanished = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => Ok(Removed::Vanished),
            _ => Err(error),
        };
        match victim.look_again(directory, self.rules.takes_anything) {
            Ok(None) => {}
            Ok(Some(why)) => return Ok(Removed::Kept(why)),
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
            return Ok(Removed::Kept(why));
        }
        directory.remove_file(&victim.name).map_or_else(vanished, |()| Ok(Removed::Yes(freed)))
    }

    /// Removes the emptied directories of one parent. One that has something in it again simply stays.
    fn remove_emptied(&self, part: &mut Part, emptied: &EmptiedIn) {
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
                    self.heed(&source);
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
            Ok(_) => {}
            Err(error) => return vanished(error),
        }
        if self.rules.directories == DirectoryRule::SourcesDeleted {
            let sources = layout::source_directory(&joined(&emptied.parent, name));
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

enum Removed {
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
    fn failures_are_joined_only_where_they_say_the_same() {
        const PERMISSION: i32 = 13;
        // Errors of a broken disk have no kind of their own.
        const INPUT_OUTPUT: i32 = 5;
        const NEEDS_CLEANING: i32 = 117;
        let failures = [
            ("s/a/b/one", PERMISSION),
            ("s/a/b/two", PERMISSION),
            ("s/a/three", PERMISSION),
            ("s/c/four", INPUT_OUTPUT),
            ("s/c/five", NEEDS_CLEANING),
            ("s/c/six", NEEDS_CLEANING),
        ];
        let mut part = Part::default();
        for (path, number) in failures {
            part.fail(path.into(), io::Error::from_raw_os_error(number));
        }
        let lines: Vec<String> = part.failures.iter().map(ToString::to_string).collect();
        let expected = ["s/a/b (2 files)", "s/a/three", "s/c/four", "s/c (2 files)"];
        assert_eq!(lines, expected.map(|path| format!("cannot remove {path}")));
    }
}
