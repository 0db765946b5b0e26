//! What a policy removes from a store: the victims by directory, and the directories that they leave empty.
//!
//! A small plan is complete before its execution starts. A larger one is executed in portions while the scan continues
//! ([`Overflow`]), so that memory does not grow with the store. This is possible because each entry is decided alone;
//! directories are removed at the end.

use super::budget::{CutOff, RankedFile};
use super::emptied::{DirectoryRule, EmptiedIn, EmptyDirectories, Leftovers, owner_of_directories};
use super::judge::{Judge, Judged};
use super::links::LinkedVictims;
use super::policy::{Circumstances, Policy, Spared, Verdict};
use super::victim::{Contents, Victim};
use crate::source::owner::{Owner, Presence};
use crate::source::package::{PackagePlace, Packages};
use crate::store::Store;
use crate::store::entry::Entry;
use crate::store::scan::{Trouble, Visit, Visitor};
use crate::units::Tally;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Maximum number of files that a dry run opens.
pub const MOST_LOOKED_INTO: u64 = 10_000;

/// Maximum victims held in memory before deletion starts: about four megabytes.
pub const MOST_HELD: u64 = 32_768;

/// What is to be removed. Nothing else is removed.
#[derive(Debug, Default)]
pub struct Plan {
    /// The victims by directory, sorted by path, except those that an [`Overflow`] took.
    pub directories: Vec<PlannedDirectory>,
    /// The directories to remove after them, the deepest first, each parent once and its names sorted.
    pub emptied: Vec<EmptiedIn>,
    /// What must hold when one of them is removed.
    pub directory_rule: DirectoryRule,
    /// The victims with several hard links, those that an [`Overflow`] took included.
    pub linked: LinkedVictims,
    /// Files that a selector matches and a safety rule keeps.
    pub skipped: Vec<Skipped>,
    /// Files that a selector matches and a `keep` glob keeps.
    pub held_back: HeldBack,
    /// What could not be read.
    pub troubles: Vec<Trouble>,
    /// By how much the budget is exceeded although everything evictable is removed.
    pub over_budget: Tally,
    /// How many files of the store are in the policy's scope.
    pub in_scope: u64,
    /// How many files an [`Overflow`] took whose first bytes were to be read.
    pub gone_unread: u64,
}

/// Files that are kept, by glob.
pub type HeldBack = BTreeMap<Box<str>, Tally>;

/// One directory's victims.
#[derive(Debug)]
pub struct PlannedDirectory {
    /// The path from the store's root.
    pub relative: Box<[u8]>,
    /// The owner of the files.
    pub owner: Arc<Owner>,
    /// The files.
    pub victims: Vec<Victim>,
}

impl PlannedDirectory {
    /// The sum of its victims, without the bytes of those with several hard links ([`Plan::linked`]).
    pub fn tally(&self) -> Tally {
        self.victims.iter().map(Victim::tally).sum()
    }

    /// The number of its victims to read before they are removed.
    pub(crate) fn unread(&self) -> u64 {
        self.victims.iter().filter(|victim| victim.contents == Contents::ToBeRead).count() as u64
    }
}

/// A file that a selector matches and that is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// Its path as shown.
    pub path: PathBuf,
    /// Why it is kept.
    pub why: Spared,
}

/// Takes portions of a plan that would grow too large, while the scan continues.
///
/// Files may be removed at once: when a directory is handed over, all its files were judged, and their owner is known.
/// Directories stay until the end.
pub struct Overflow<'a> {
    most: u64,
    held: AtomicU64,
    take: &'a (dyn Fn(PlannedDirectory) + Sync),
    taken: AtomicU64,
}

impl std::fmt::Debug for Overflow<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Overflow").field("most", &self.most).field("held", &self.held).finish()
    }
}

impl<'a> Overflow<'a> {
    /// Hands directories over to `take` while all planners together hold more than `most` victims.
    pub fn new(most: u64, take: &'a (dyn Fn(PlannedDirectory) + Sync)) -> Overflow<'a> {
        Overflow { most, held: AtomicU64::new(0), take, taken: AtomicU64::new(0) }
    }

    /// How many victims were handed over.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Adds to the number of victims that all planners hold. The planner hands over only what exceeds the limit, the
    /// newest first: the rest is removed at the end by all threads.
    fn hold(&self, victims: usize, directories: &mut Vec<PlannedDirectory>, unread: &mut u64) {
        self.held.fetch_add(victims as u64, Ordering::Relaxed);
        while self.held.load(Ordering::Relaxed) > self.most
            && let Some(directory) = directories.pop()
        {
            let victims = directory.victims.len() as u64;
            self.held.fetch_sub(victims, Ordering::Relaxed);
            self.taken.fetch_add(victims, Ordering::Relaxed);
            *unread += directory.unread();
            (self.take)(directory);
        }
    }
}

/// One worker's part of a [`Plan`].
#[derive(Debug)]
pub struct Planner<'a> {
    judge: Judge<'a>,
    cut_off: Option<&'a CutOff>,
    overflow: Option<&'a Overflow<'a>>,
    packages: Option<&'a Packages>,
    directories: Vec<PlannedDirectory>,
    empty: EmptyDirectories,
    linked: LinkedVictims,
    skipped: Vec<Skipped>,
    held_back: HeldBack,
    gone_unread: u64,
    /// The number of files in scope, including those with no further facts.
    admitted: u64,
}

impl<'a> Planner<'a> {
    /// Returns an empty part for the policy's selectors.
    pub fn new(policy: &'a Policy, store: &'a Store, circumstances: Circumstances<'a>) -> Planner<'a> {
        Planner {
            judge: Judge::new(policy, store, circumstances),
            cut_off: None,
            overflow: None,
            packages: None,
            directories: Vec::new(),
            empty: EmptyDirectories::default(),
            linked: LinkedVictims::default(),
            skipped: Vec::new(),
            held_back: HeldBack::new(),
            gone_unread: 0,
            admitted: 0,
        }
    }

    /// Also takes what the policy's budget evicts. All planners of a scan have the same cut-off.
    #[must_use]
    pub fn with_cut_off(self, cut_off: Option<&'a CutOff>) -> Planner<'a> {
        Planner { cut_off, ..self }
    }

    /// Hands victims over the limit to this overflow, which all planners of a scan share.
    #[must_use]
    pub fn with_overflow(self, overflow: Option<&'a Overflow<'a>>) -> Planner<'a> {
        Planner { overflow, ..self }
    }

    /// Also determines the packages of the removed files.
    #[must_use]
    pub fn with_packages(self, packages: Option<&'a Packages>) -> Planner<'a> {
        Planner { packages, ..self }
    }

    /// The package of an entry's source, if it is asked for and in a site-packages.
    fn package(&self, visit: &Visit<'_>, entry: &Entry<'_>) -> Option<Arc<str>> {
        let (packages, name) = (self.packages?, entry.source_name()?);
        match packages.place(&visit.source_directory(), &name, &visit.owner()) {
            PackagePlace::In(package) => Some(package),
            PackagePlace::Elsewhere => None,
        }
    }

    /// Notes an entry that only a `keep` glob keeps.
    fn note_held_back(&mut self, visit: &Visit<'_>, entry: &Entry<'_>) {
        if let Some(glob) = self.judge.held_back(visit, entry)
            && let Some(victim) = Victim::of(entry)
        {
            *self.held_back.entry(glob.into()).or_default() += victim.tally();
        }
    }

    /// Returns the entry as a victim if it is to be removed.
    fn victim(&mut self, visit: &Visit<'_>, entry: &Entry<'_>) -> Option<Victim> {
        let Some(Judged { verdict, status, premise }) = self.judge.verdict(visit, entry) else {
            self.note_held_back(visit, entry);
            return None;
        };
        self.admitted += 1;
        let package = || self.package(visit, entry);
        let victim = || Some(Victim { premise, status, package: package(), ..Victim::of(entry)? });
        match verdict {
            Verdict::Condemn => victim(),
            Verdict::Evictable(_) => {
                let file = RankedFile::of(visit, entry)?;
                self.cut_off.filter(|cut_off| cut_off.evicts(file)).and_then(|_| victim())
            }
            Verdict::Spare(why) => {
                let path = self.judge.store.shown(visit.relative, entry.name);
                self.skipped.push(Skipped { path, why });
                None
            }
            Verdict::Keep => None,
        }
    }
}

impl Planner<'_> {
    /// Whether a directory is removed once it is empty: all its entries, if it has any, are to be removed.
    fn goes_when_empty(&self, visit: &Visit<'_>) -> bool {
        let Judge { policy, store, .. } = &self.judge;
        let is_ours = visit.metadata.is_some_and(|metadata| {
            metadata.identity.0 == store.metadata().identity.0
                && owner_of_directories(store).is_none_or(|owner| metadata.user == owner)
        });
        let is_emptied = !visit.entries.is_empty() || visit.directories > 0;
        let goes = match policy.directory_rule() {
            DirectoryRule::Emptied if is_emptied => true,
            // What a killed run left has no owner or tag any more.
            _ => {
                let is_leftover =
                    || policy.leftovers == Leftovers::Remove && policy.scope.admits_directory(visit.relative);
                visit.sources == Presence::Absent && (is_emptied || is_leftover())
            }
        };
        is_ours && goes
    }
}

impl Visitor for Planner<'_> {
    fn directory(&mut self, visit: &Visit<'_>) {
        let mut victims: Vec<Victim> =
            visit.entries.iter().filter_map(|entry| self.victim(visit, entry)).collect();
        if victims.len() == visit.entries.len() && self.goes_when_empty(visit) {
            self.empty.add(visit.relative, visit.directories);
        }
        if victims.is_empty() {
            return;
        }
        victims.shrink_to_fit();
        let count = victims.len();
        // The owner first: it may depend on files that are there as long as nobody handed them over.
        let owner = visit.owner();
        victims.iter().for_each(|victim| self.linked.add(victim, &owner));
        self.directories.push(PlannedDirectory { owner, relative: visit.relative.into(), victims });
        if let Some(overflow) = self.overflow {
            overflow.hold(count, &mut self.directories, &mut self.gone_unread);
        }
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.judge.troubles.push(trouble);
    }
}

impl Plan {
    /// Joins what the workers of a scan planned.
    pub fn collect(parts: Vec<Planner<'_>>) -> Plan {
        let mut plan = Plan::default();
        let mut empty = EmptyDirectories::default();
        for part in parts {
            plan.directory_rule = part.judge.policy.directory_rule();
            plan.over_budget = part.cut_off.map_or_else(Tally::default, |cut_off| cut_off.over_budget);
            plan.directories.extend(part.directories);
            empty.append(part.empty);
            plan.linked.append(part.linked);
            plan.skipped.extend(part.skipped);
            for (glob, tally) in part.held_back {
                *plan.held_back.entry(glob).or_default() += tally;
            }
            plan.troubles.extend(part.judge.troubles);
            plan.in_scope += part.admitted;
            plan.gone_unread += part.gone_unread;
        }
        plan.directories.sort_unstable_by(|one, other| one.relative.cmp(&other.relative));
        plan.skipped.sort();
        plan.troubles.sort_by(|one, other| one.path().cmp(other.path()));
        plan.emptied = empty.emptied();
        plan
    }

    /// Removes victims from the plan, by directory and name, and the directories that contain them.
    pub(crate) fn strike_out(&mut self, spared_in: &HashMap<Box<[u8]>, HashSet<Box<[u8]>>>) {
        let Plan { directories, linked, emptied, .. } = self;
        for planned in directories {
            let Some(spared) = spared_in.get(&planned.relative) else { continue };
            planned.victims.retain(|victim| {
                let is_spared = spared.contains(&victim.name);
                if is_spared {
                    linked.keep(victim);
                }
                !is_spared
            });
        }
        super::emptied::keep(emptied, spared_in.keys().map(|relative| &**relative));
    }

    /// The sum of all victims.
    pub fn tally(&self) -> Tally {
        let directories = self.directories.iter().map(PlannedDirectory::tally);
        directories.chain(self.linked.freed().map(|(_, freed)| freed)).sum()
    }
}
