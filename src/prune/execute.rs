//! Carries out a plan: the only file that deletes from the store.
//!
//! Read [`crate::prune`] first: what deleting obeys.

use super::plan::{Plan, PlannedDirectory, Skipped, Victim};
use super::policy::Spared;
use crate::directory::{Directory, FileKind, Links};
use crate::owner::Owner;
use crate::scan::{Threads, run_crew};
use crate::source::is_missing;
use crate::store::Store;
use crate::tally::Tally;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

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
    /// What was left when the run was told to stop.
    pub left: Tally,
}

/// Something that could not be removed.
#[derive(Debug, thiserror::Error)]
#[error("cannot remove {}", .path.display())]
pub struct Failure {
    /// Its path.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// What one worker removed.
#[derive(Default)]
struct Part {
    owners: BTreeMap<Owner, Tally>,
    directories: u64,
    skipped: Vec<Skipped>,
    failures: Vec<Failure>,
    left: Tally,
}

impl Outcome {
    /// What the plan would do if nothing changed meanwhile.
    pub fn expected(plan: Plan) -> Outcome {
        let mut part = Part::default();
        for directory in &plan.directories {
            for victim in &directory.victims {
                part.count(&directory.owner, victim);
            }
        }
        part.directories = plan.emptied.len() as u64;
        Outcome::collect(vec![part], plan.skipped)
    }

    /// Whether everything that was planned happened.
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty()
    }

    fn collect(parts: Vec<Part>, skipped: Vec<Skipped>) -> Outcome {
        let mut outcome = Outcome { skipped, ..Outcome::default() };
        let mut owners: BTreeMap<Owner, Tally> = BTreeMap::new();
        for part in parts {
            for (owner, tally) in part.owners {
                *owners.entry(Owner { environment: None, ..owner }).or_default() += tally;
                outcome.removed += tally;
            }
            outcome.directories += part.directories;
            outcome.skipped.extend(part.skipped);
            outcome.failures.extend(part.failures);
            outcome.left += part.left;
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
    fn count(&mut self, owner: &Owner, victim: &Victim) {
        match self.owners.get_mut(owner) {
            Some(tally) => *tally += victim.tally(),
            None => drop(self.owners.insert(owner.clone(), victim.tally())),
        }
    }
}

/// Removes what is planned, directories in parallel, until done or until `stop` becomes true.
///
/// A stop comes between two files; what is left is counted.
pub fn execute(store: &Store, plan: Plan, threads: Threads, stop: &AtomicBool) -> Outcome {
    let Plan { directories, emptied, skipped, .. } = plan;
    let removal = Removal { store, stop };
    let mut parts = run_crew(
        threads,
        directories,
        Part::default,
        |part, directory, _| removal.empty(part, &directory),
        || {},
    );
    for level in levels(emptied) {
        parts.extend(run_crew(
            threads,
            level,
            Part::default,
            |part, parent, _| removal.remove_emptied(part, &parent),
            || {},
        ));
    }
    Outcome::collect(parts, skipped)
}

/// A directory and the emptied ones in it.
struct Parent {
    relative: Box<[u8]>,
    names: Vec<Box<[u8]>>,
}

/// Emptied directories by the directory that holds them, the deepest level first: a level must be gone before
/// the next can go.
fn levels(emptied: Vec<Box<[u8]>>) -> Vec<Vec<Parent>> {
    type Names = Vec<Box<[u8]>>;
    let mut levels: BTreeMap<usize, BTreeMap<Box<[u8]>, Names>> = BTreeMap::new();
    for path in emptied {
        let depth = path.iter().filter(|&&byte| byte == b'/').count();
        let (parent, name) = match path.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&path[..0], &path[..]),
        };
        levels.entry(depth).or_default().entry(parent.into()).or_default().push(name.into());
    }
    let parents = |parents: BTreeMap<_, _>| {
        parents.into_iter().map(|(relative, names)| Parent { relative, names }).collect()
    };
    levels.into_values().rev().map(parents).collect()
}

struct Removal<'a> {
    store: &'a Store,
    stop: &'a AtomicBool,
}

impl Removal<'_> {
    /// Removes one directory's victims.
    fn empty(&self, part: &mut Part, planned: &PlannedDirectory) {
        let directory = match self.store.directory(&planned.relative) {
            Ok(directory) => directory,
            // Somebody else removed it all: nothing is left to do.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(source) => {
                part.failures.push(Failure { path: self.store.shown(&planned.relative, b""), source });
                return;
            }
        };
        for victim in &planned.victims {
            if self.stop.load(Ordering::Relaxed) {
                part.left += victim.tally();
                continue;
            }
            let path = || self.store.shown(&planned.relative, &victim.name);
            match remove(&directory, victim) {
                Ok(Removed::Yes) => part.count(&planned.owner, victim),
                Ok(Removed::Vanished) => {}
                Ok(Removed::Changed) => part.skipped.push(Skipped { path: path(), why: Spared::Changed }),
                Err(source) => part.failures.push(Failure { path: path(), source }),
            }
        }
    }

    /// Removes the emptied directories of one parent. One that has something in it again simply stays.
    fn remove_emptied(&self, part: &mut Part, parent: &Parent) {
        let Ok(directory) = self.store.directory(&parent.relative) else { return };
        for name in &parent.names {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            match directory.remove_directory(name) {
                Ok(()) => part.directories += 1,
                Err(error) if is_missing(&error) || error.kind() == io::ErrorKind::DirectoryNotEmpty => {}
                Err(source) => {
                    part.failures.push(Failure { path: self.store.shown(&parent.relative, name), source });
                }
            }
        }
    }
}

enum Removed {
    Yes,
    Vanished,
    Changed,
}

/// Looks at the victim again and removes it if it is still the file that was planned.
fn remove(directory: &Directory, victim: &Victim) -> io::Result<Removed> {
    let now = match directory.metadata(&victim.name, Links::Keep) {
        Ok(metadata) => metadata,
        Err(error) if is_missing(&error) => return Ok(Removed::Vanished),
        Err(error) => return Err(error),
    };
    let is_same = now.kind == FileKind::Regular
        && now.identity == victim.identity
        && now.bytes == victim.bytes
        && now.modified == victim.modified;
    if !is_same {
        return Ok(Removed::Changed);
    }
    match directory.remove_file(&victim.name) {
        Ok(()) => Ok(Removed::Yes),
        Err(error) if is_missing(&error) => Ok(Removed::Vanished),
        Err(error) => Err(error),
    }
}
