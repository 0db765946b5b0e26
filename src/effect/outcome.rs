//! What a removal did, or would do: what each worker counted, joined into one outcome. Pure.

use crate::source::owner::{Owner, Spellings};
use crate::units::Tally;
use crate::verdict::emptied::{EmptiedIn, sorted};
use crate::verdict::links::LinkedVictims;
use crate::verdict::plan::{HeldBack, Skipped};
use crate::verdict::status::Status;
use crate::verdict::victim::{Victim, VictimGroup};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a prune did, or in a dry run would do.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was removed: files by name, bytes with the last link of an inode.
    pub removed: Tally,
    /// How many emptied directories were removed.
    pub directories: u64,
    /// The same by name: each parent once, the deepest first. Empty for what is joined from several trees.
    pub emptied: Vec<EmptiedIn>,
    /// What was removed by owner, the largest disk usage first.
    pub owners: Vec<(Owner, Tally)>,
    /// The same by owner and status, the largest disk usage first.
    pub groups: Vec<RemovedGroup>,
    /// The files that a selector matched and a `keep` glob kept.
    pub held_back: HeldBack,
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

/// Removed files of one owner and status.
#[derive(Debug)]
pub struct RemovedGroup {
    /// Their owner.
    pub owner: Owner,
    /// Their status; none in a source tree.
    pub status: Option<Status>,
    /// Their number and sizes.
    pub tally: Tally,
    /// The part of them that is in packages, by package, the largest disk usage first.
    pub packages: Vec<(Arc<str>, Tally)>,
}

/// The files of a group by package.
type PackageSums = BTreeMap<Option<Arc<str>>, Tally>;

impl RemovedGroup {
    fn new(owner: Owner, status: Option<Status>, packages: PackageSums) -> RemovedGroup {
        let tally = packages.values().copied().sum();
        let mut packages: Vec<_> =
            packages.into_iter().filter_map(|(name, part)| Some((name?, part))).collect();
        packages.sort_by_key(|(_, part)| Reverse(part.disk));
        RemovedGroup { owner, status, tally, packages }
    }
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

/// ` (N files)`, for more than one.
pub(crate) fn of_files(files: u64) -> String {
    if files > 1 { format!(" ({files} files)") } else { String::new() }
}

fn of_names(files: u64, directories: u64) -> String {
    if directories > 1 { format!(" ({directories} directories)") } else { of_files(files) }
}

/// What one worker removed.
#[derive(Debug, Default)]
pub(crate) struct WorkerOutcome {
    pub(crate) groups: BTreeMap<VictimGroup, Tally>,
    pub(crate) emptied: Vec<EmptiedIn>,
    pub(crate) skipped: Vec<Skipped>,
    pub(crate) failures: Vec<Failure>,
    /// The directory of the last failure, where that is of files in it.
    failing: Option<PathBuf>,
    pub(crate) left: Tally,
    pub(crate) directories_left: u64,
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
            let group = |owner| VictimGroup { owner: Arc::new(owner), status: None, package: None };
            let groups = owners.into_iter().map(|(owner, tally)| (group(owner), tally)).collect();
            WorkerOutcome { groups, failures, left, directories_left, ..WorkerOutcome::default() }
        };
        let parts = outcomes.into_iter().map(part).collect();
        Outcome { directories: all_directories, ..Outcome::collect(parts, all_skipped) }
    }

    /// Whether everything that was planned happened.
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty()
    }

    /// Replaces the failures of a file system that is read-only or gone by one: there would be one for each file.
    pub(crate) fn join_failures(&mut self, root: &Path, is_same: impl Fn(&io::Error) -> bool) {
        let is_other = |failure: &Failure| !is_same(&failure.source);
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

    /// Adds up what all workers removed.
    pub(crate) fn collect(parts: Vec<WorkerOutcome>, skipped: Vec<Skipped>) -> Outcome {
        let mut outcome = Outcome { skipped, ..Outcome::default() };
        let mut owners: BTreeMap<Owner, Tally> = BTreeMap::new();
        let mut groups: BTreeMap<(Owner, Option<Status>), PackageSums> = BTreeMap::new();
        let spellings =
            Spellings::of(parts.iter().flat_map(|part| part.groups.keys().map(|group| &*group.owner)));
        for part in parts {
            for (VictimGroup { owner, status, package }, tally) in part.groups {
                let owner = spellings.head(&owner);
                *owners.entry(owner.clone()).or_default() += tally;
                *groups.entry((owner, status)).or_default().entry(package).or_default() += tally;
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
        let group = |((owner, status), packages)| RemovedGroup::new(owner, status, packages);
        outcome.groups = groups.into_iter().map(group).collect();
        outcome.groups.sort_by_key(|group| Reverse(group.tally.disk));
        outcome.skipped.sort();
        outcome.failures.sort_by(|one, other| one.path.cmp(&other.path));
        outcome
    }
}

impl WorkerOutcome {
    /// Adds what was removed of a group.
    pub(crate) fn count(&mut self, group: &VictimGroup, tally: Tally) {
        match self.groups.get_mut(group) {
            _ if tally == Tally::default() => {}
            Some(sum) => *sum += tally,
            None => drop(self.groups.insert(group.clone(), tally)),
        }
    }

    /// Adds what was removed of an owner in one directory, and what each victim freed.
    pub(crate) fn count_victims<'a>(
        &mut self,
        owner: &Arc<Owner>,
        removed: impl IntoIterator<Item = (&'a Victim, Tally)>,
    ) {
        // Grouped without the owner first, so that it is not compared for each file.
        let mut sums: BTreeMap<(Option<Status>, Option<&Arc<str>>), Tally> = BTreeMap::new();
        for (victim, tally) in removed {
            *sums.entry((victim.status, victim.package.as_ref())).or_default() += tally;
        }
        for ((status, package), tally) in sums {
            let group = VictimGroup { owner: owner.clone(), status, package: package.cloned() };
            self.count(&group, tally);
        }
    }

    /// Adds the bytes of the inodes of which no link stays.
    pub(crate) fn count_freed(&mut self, linked: &LinkedVictims) {
        linked.freed().for_each(|(group, freed)| self.count(group, freed));
    }

    /// Adds what another worker removed.
    pub(crate) fn merge(&mut self, other: WorkerOutcome) {
        other.groups.iter().for_each(|(group, tally)| self.count(group, *tally));
        self.emptied.extend(other.emptied);
        self.skipped.extend(other.skipped);
        self.failures.extend(other.failures);
        self.failing = None;
        self.left += other.left;
        self.directories_left += other.directories_left;
    }

    /// Adds the failure of a file; those of one directory that say the same are one.
    pub(crate) fn fail(&mut self, path: PathBuf, source: io::Error) {
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
    pub(crate) fn fail_directory(&mut self, failure: Failure) {
        self.failing = None;
        self.failures.push(failure);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::owner::directory_owner;
    use crate::verdict::policy::Spared;

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
        let mut part = WorkerOutcome::default();
        for (path, number) in failures {
            part.fail(path.into(), io::Error::from_raw_os_error(number));
        }
        let lines: Vec<String> = part.failures.iter().map(ToString::to_string).collect();
        let expected = ["s/a/b (2 files)", "s/a/three", "s/c/four", "s/c (2 files)"];
        assert_eq!(lines, expected.map(|path| format!("cannot remove {path}")));
    }

    fn failure(path: &str, files: u64, directories: u64, kind: io::ErrorKind) -> Failure {
        Failure { path: path.into(), files, directories, source: kind.into() }
    }

    /// Path, files and directories of each failure.
    fn failed(outcome: &Outcome) -> Vec<(&str, u64, u64)> {
        let failures = outcome.failures.iter();
        failures.map(|it| (it.path.to_str().unwrap(), it.files, it.directories)).collect()
    }

    #[test]
    fn a_failure_names_a_number_from_two_on() {
        for (files, directories, expected) in
            [(1, 0, "x"), (2, 0, "x (2 files)"), (0, 1, "x"), (0, 2, "x (2 directories)")]
        {
            let failure = failure("x", files, directories, io::ErrorKind::NotFound);
            assert_eq!(failure.to_string(), format!("cannot remove {expected}"));
        }
    }

    #[test]
    fn what_several_counted_adds_up() {
        let group = |path: &str| {
            let owner = Arc::new(directory_owner(Path::new(path)));
            VictimGroup { owner, status: None, package: None }
        };
        let skipped = |path: &str| Skipped { path: path.into(), why: Spared::Changed };
        let part = |count: u64, name: &str| {
            let mut part = WorkerOutcome::default();
            part.count(&group("/a"), Tally { files: count, bytes: 10 * count, disk: 100 * count });
            part.count(&group(&format!("/{name}")), Tally::file(7, 70));
            // What removed nothing names no owner.
            part.count(&group("/none"), Tally::default());
            part.left = Tally { files: 2 * count, bytes: 20 * count, disk: 200 * count };
            part.directories_left = 3 * count;
            part.skipped.push(skipped(name));
            part.fail_directory(failure(name, 0, 1, io::ErrorKind::NotFound));
            let mut emptied = EmptiedIn::new(b"parent");
            emptied.push(name.as_bytes());
            part.emptied.push(emptied);
            part
        };
        let parts = || vec![part(4, "z"), part(1, "y")];
        let merged = parts().into_iter().fold(WorkerOutcome::default(), |mut sum, part| {
            sum.merge(part);
            sum
        });
        let each = parts().into_iter().map(|part| Outcome::collect(vec![part], Vec::new()));
        for outcome in [
            Outcome::collect(parts(), Vec::new()),
            Outcome::collect(vec![merged], Vec::new()),
            Outcome::joined(each),
        ] {
            assert_eq!(outcome.removed, Tally { files: 7, bytes: 64, disk: 640 });
            let owners: Vec<(&Path, u64)> =
                outcome.owners.iter().map(|(owner, tally)| (&*owner.root, tally.files)).collect();
            assert_eq!(owners, [(Path::new("/a"), 5), (Path::new("/y"), 1), (Path::new("/z"), 1)]);
            assert_eq!(outcome.left, Tally { files: 10, bytes: 100, disk: 1000 });
            assert_eq!((outcome.directories, outcome.directories_left), (2, 15));
            assert_eq!(outcome.skipped, [skipped("y"), skipped("z")]);
            assert_eq!(failed(&outcome), [("y", 0, 1), ("z", 0, 1)]);
            assert!(!outcome.is_complete());
        }
    }

    #[test]
    fn a_read_only_file_system_is_one_failure() {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        let other = || failure("s/other", 3, 0, PermissionDenied);
        let files = || failure("s/a", 2, 0, ReadOnlyFilesystem);
        let directories = || failure("s/b", 0, 4, ReadOnlyFilesystem);
        let cases = [
            (vec![], (5, 6), vec![], (5, 6)),
            (vec![other()], (5, 6), vec![("s/other", 3, 0)], (5, 6)),
            (vec![files()], (0, 0), vec![("s", 2, 0)], (0, 0)),
            // Where files are named the directories are understood.
            (vec![files(), other(), directories()], (5, 6), vec![("s/other", 3, 0), ("s", 7, 0)], (0, 0)),
            (vec![directories()], (0, 6), vec![("s", 0, 10)], (0, 0)),
            (vec![directories(), directories()], (0, 0), vec![("s", 0, 8)], (0, 0)),
        ];
        for (failures, left, expected, still_left) in cases {
            let left = (Tally { files: left.0, bytes: left.0, disk: left.0 }, left.1);
            let mut outcome =
                Outcome { failures, left: left.0, directories_left: left.1, ..Outcome::default() };
            outcome.join_failures(Path::new("s"), |error| error.kind() == ReadOnlyFilesystem);
            assert_eq!(failed(&outcome), expected);
            assert_eq!((outcome.left.files, outcome.directories_left), still_left);
        }
    }
}
