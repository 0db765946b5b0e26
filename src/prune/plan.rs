//! What a policy comes to on a store: the victims by directory, and the directories that they leave empty.

use super::policy::{Policy, Spared, Verdict};
use crate::owner::{Owner, Presence};
use crate::prune::policy::Selector;
use crate::scan::{Trouble, Visit, Visitor};
use crate::status::{self, Status, UncheckedHashes};
use crate::tally::Tally;
use crate::units::Moment;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// What is to be removed. Nothing outside it ever is.
#[derive(Debug, Default)]
pub struct Plan {
    /// The victims, by directory, sorted by path.
    pub directories: Vec<PlannedDirectory>,
    /// The directories, relative to the root, that will be empty then; those below come before those above.
    pub emptied: Vec<Box<[u8]>>,
    /// What a selector names and safety keeps.
    pub skipped: Vec<Skipped>,
    /// What could not be read.
    pub troubles: Vec<Trouble>,
}

/// One directory's victims.
#[derive(Debug)]
pub struct PlannedDirectory {
    /// The path from the store's root.
    pub relative: Box<[u8]>,
    /// Whose bytes they are.
    pub owner: Arc<Owner>,
    /// The files.
    pub victims: Vec<Victim>,
}

/// A file to be removed, as it was when planned.
#[derive(Debug, Clone)]
pub struct Victim {
    /// Its name in the directory.
    pub name: Box<[u8]>,
    /// Why it goes.
    pub status: Status,
    /// Device and inode.
    pub identity: (u64, u64),
    /// Length in bytes.
    pub bytes: u64,
    /// Room on disk in bytes.
    pub disk: u64,
    /// Last modification.
    pub modified: Moment,
}

impl Victim {
    /// What its removal gives back.
    pub fn tally(&self) -> Tally {
        Tally::file(self.bytes, self.disk)
    }
}

/// A file that a selector names and that is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// Its path as shown.
    pub path: PathBuf,
    /// Why it is kept.
    pub why: Spared,
}

/// One worker's part of a [`Plan`].
#[derive(Debug)]
pub struct Planner<'a> {
    policy: &'a Policy,
    store: &'a crate::store::Store,
    now: Moment,
    directories: Vec<PlannedDirectory>,
    hollow: Vec<Hollow>,
    skipped: Vec<Skipped>,
    troubles: Vec<Trouble>,
}

/// A directory that keeps none of its files; it goes if all directories in it go.
#[derive(Debug)]
struct Hollow {
    relative: Box<[u8]>,
    directories: usize,
    /// Whether this run gives a reason to remove it; an empty directory of somebody else's stays.
    own_reason: bool,
}

impl<'a> Planner<'a> {
    /// An empty part.
    pub fn new(policy: &'a Policy, store: &'a crate::store::Store, now: Moment) -> Planner<'a> {
        Planner {
            policy,
            store,
            now,
            directories: Vec::new(),
            hollow: Vec::new(),
            skipped: Vec::new(),
            troubles: Vec::new(),
        }
    }
}

impl Visitor for Planner<'_> {
    fn directory(&mut self, visit: &Visit<'_>) {
        let mut victims = Vec::new();
        for entry in visit.entries {
            let Some(status) = status::judge(entry, UncheckedHashes::Trust) else { continue };
            match (self.policy.judge(entry, status, self.now), entry.metadata) {
                (Verdict::Condemn, Some(metadata)) => victims.push(Victim {
                    name: entry.name.into(),
                    status,
                    identity: metadata.identity,
                    bytes: metadata.bytes,
                    disk: metadata.disk,
                    modified: metadata.modified,
                }),
                (Verdict::Spare(why), _) => {
                    self.skipped.push(Skipped { path: self.store.shown(visit.relative, entry.name), why });
                }
                (Verdict::Keep | Verdict::Condemn, _) => {}
            }
        }
        if victims.len() == visit.entries.len() && !visit.relative.is_empty() {
            // What a run that was killed left empty belongs to the orphans whose directory it was.
            let is_orphaned =
                visit.sources == Presence::Absent && self.policy.selectors.contains(&Selector::Orphans);
            self.hollow.push(Hollow {
                relative: visit.relative.into(),
                directories: visit.directories,
                own_reason: !victims.is_empty() || is_orphaned,
            });
        }
        if !victims.is_empty() {
            victims.shrink_to_fit();
            let planned = PlannedDirectory { relative: visit.relative.into(), owner: visit.owner(), victims };
            self.directories.push(planned);
        }
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.troubles.push(trouble);
    }
}

impl Plan {
    /// Joins what the workers of a scan found.
    pub fn collect(parts: Vec<Planner<'_>>) -> Plan {
        let mut plan = Plan::default();
        let mut hollow = Vec::new();
        for part in parts {
            plan.directories.extend(part.directories);
            plan.skipped.extend(part.skipped);
            plan.troubles.extend(part.troubles);
            hollow.extend(part.hollow);
        }
        plan.directories.sort_by(|one, other| one.relative.cmp(&other.relative));
        plan.skipped.sort();
        plan.troubles.sort_by(|one, other| one.path().cmp(other.path()));
        plan.emptied = emptied(hollow);
        plan
    }

    /// The sum of all victims.
    pub fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        for victim in self.directories.iter().flat_map(|directory| &directory.victims) {
            sum += victim.tally();
        }
        sum
    }
}

/// The directories that will be empty, those below first.
fn emptied(mut hollow: Vec<Hollow>) -> Vec<Box<[u8]>> {
    let depth = |path: &[u8]| path.iter().filter(|&&byte| byte == b'/').count();
    hollow.sort_by_cached_key(|directory| {
        (std::cmp::Reverse(depth(&directory.relative)), directory.relative.clone())
    });
    let mut emptied_in: HashMap<Box<[u8]>, usize> = HashMap::new();
    let mut emptied = Vec::new();
    for directory in hollow {
        let below = emptied_in.remove(&directory.relative).unwrap_or(0);
        if below == directory.directories && (directory.own_reason || below > 0) {
            let parent = directory.relative.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
            *emptied_in.entry(directory.relative[..parent].into()).or_default() += 1;
            emptied.push(directory.relative);
        }
    }
    emptied
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hollow(relative: &str, directories: usize, own_reason: bool) -> Hollow {
        Hollow { relative: relative.as_bytes().into(), directories, own_reason }
    }

    #[test]
    fn directories_go_when_all_in_them_goes() {
        let paths = |hollow| -> Vec<String> {
            emptied(hollow).iter().map(|path| String::from_utf8(path.to_vec()).unwrap()).collect()
        };
        // `a/k` keeps a file and is therefore not hollow: `a` stays with it.
        let all = vec![
            hollow("a", 2, false),
            hollow("a/b", 1, false),
            hollow("a/b/c", 0, true),
            hollow("d", 0, true),
        ];
        assert_eq!(paths(all), ["a/b/c", "a/b", "d"]);
        // An empty directory that this run has no reason to remove stays, and what holds it.
        assert!(paths(vec![hollow("a", 1, false), hollow("a/b", 0, false)]).is_empty());
    }
}
