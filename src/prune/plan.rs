//! What a policy comes to on a store: the victims by directory, and the directories that they leave empty.
//!
//! A plan is whole before anything of it is done, as long as it is of a size that people look through. A larger one goes
//! on in portions while the scan does ([`Overflow`]), so that a store of any size needs the same room: what decides over
//! an entry is known at the entry, and directories go when all is done.

use super::cut_off::{CutOff, File};
use super::emptied::{EmptiedIn, Hollow, Motive};
use super::judge::Judge;
use super::policy::{Circumstances, Policy, Spared, Verdict};
use super::victim::{Contents, Victim};
use crate::entry::Entry;
use crate::owner::Owner;
use crate::scan::{Threads, Trouble, Visit, Visitor, run_crew};
use crate::store::Store;
use crate::tally::Tally;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// So many files a plan that is only shown looks into.
pub const MOST_LOOKED_INTO: u64 = 10_000;

/// So many victims a plan holds before it goes on in portions: about four megabytes.
pub const MOST_HELD: u64 = 32_768;

/// What is to be removed. Nothing outside it ever is.
#[derive(Debug, Default)]
pub struct Plan {
    /// The victims, by directory, sorted by path; without what an [`Overflow`] took.
    pub directories: Vec<PlannedDirectory>,
    /// The directories that will be empty then, the deepest first.
    pub emptied: Vec<EmptiedIn>,
    /// What a selector names and safety keeps.
    pub skipped: Vec<Skipped>,
    /// What could not be read.
    pub troubles: Vec<Trouble>,
    /// By how much the budget is missed although everything went that may.
    pub over_budget: Tally,
    /// How many files of the store are in the policy's scope.
    pub in_scope: u64,
    /// Whether files go that are no bytecode.
    pub takes_anything: bool,
    /// How many files an [`Overflow`] took whose first bytes were to be read.
    pub gone_unread: u64,
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

impl PlannedDirectory {
    /// The sum of its victims.
    pub fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        self.victims.iter().for_each(|victim| sum += victim.tally());
        sum
    }

    /// How many of its victims are to be read before they are removed.
    fn unread(&self) -> u64 {
        self.victims.iter().filter(|victim| victim.contents == Contents::ToBeRead).count() as u64
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

/// Takes portions of a plan that would grow too large, while the scan goes on.
///
/// Files may be removed at once: those of a directory were all looked at when it is handed over, and whose they are is
/// known, as is the owner of everything on the way there. Directories stay until the end.
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

    /// One planner holds so many more. It hands over what is too much, the newest first, and no more than that: what is
    /// left at the end has all threads to itself.
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
    directories: Vec<PlannedDirectory>,
    hollow: Hollow,
    skipped: Vec<Skipped>,
    gone_unread: u64,
    /// How many files are in scope, also where nothing more of them was asked.
    admitted: u64,
}

impl<'a> Planner<'a> {
    /// An empty part, of what the policy's selectors take.
    pub fn new(policy: &'a Policy, store: &'a Store, circumstances: Circumstances<'a>) -> Planner<'a> {
        Planner {
            judge: Judge::new(policy, store, circumstances),
            cut_off: None,
            overflow: None,
            directories: Vec::new(),
            hollow: Hollow::default(),
            skipped: Vec::new(),
            gone_unread: 0,
            admitted: 0,
        }
    }

    /// The same; it takes what the policy's budget evicts as well. All planners of a scan have the same cut-off.
    #[must_use]
    pub fn with_cut_off(self, cut_off: Option<&'a CutOff>) -> Planner<'a> {
        Planner { cut_off, ..self }
    }

    /// The same; all planners of a scan hand what is too much to the same overflow.
    #[must_use]
    pub fn with_overflow(self, overflow: Option<&'a Overflow<'a>>) -> Planner<'a> {
        Planner { overflow, ..self }
    }

    /// The entry as a victim, if it is to go.
    fn victim(&mut self, visit: &Visit<'_>, entry: &Entry<'_>) -> Option<Victim> {
        let (verdict, premise) = self.judge.verdict(visit, entry)?;
        let victim = || Some(Victim { premise, ..Victim::of(entry)? });
        self.admitted += 1;
        match verdict {
            Verdict::Condemn => victim(),
            Verdict::Evictable(_) => {
                let file = File::of(visit, entry)?;
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

impl Visitor for Planner<'_> {
    fn directory(&mut self, visit: &Visit<'_>) {
        let mut victims: Vec<Victim> =
            visit.entries.iter().filter_map(|entry| self.victim(visit, entry)).collect();
        if victims.len() == visit.entries.len() {
            // An empty directory is what a killed run left. Python makes one again when it needs it.
            let is_leftover =
                visit.entries.is_empty() && self.judge.policy.scope.admits_directory(visit.relative);
            let motive = Motive::own_if(!victims.is_empty() || is_leftover);
            self.hollow.add(visit.relative, visit.directories, motive);
        }
        if victims.is_empty() {
            return;
        }
        victims.shrink_to_fit();
        let count = victims.len();
        // The owner first: it may depend on files that are there as long as nobody handed them over.
        self.directories.push(PlannedDirectory {
            owner: visit.owner(),
            relative: visit.relative.into(),
            victims,
        });
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
        let mut hollow = Hollow::default();
        for part in parts {
            plan.takes_anything = part.judge.policy.takes_anything();
            plan.over_budget = part.cut_off.map_or_else(Tally::default, |cut_off| cut_off.over_budget);
            plan.directories.extend(part.directories);
            hollow.append(part.hollow);
            plan.skipped.extend(part.skipped);
            plan.troubles.extend(part.judge.troubles);
            plan.in_scope += part.admitted;
            plan.gone_unread += part.gone_unread;
        }
        plan.directories.sort_unstable_by(|one, other| one.relative.cmp(&other.relative));
        plan.skipped.sort();
        plan.troubles.sort_by(|one, other| one.path().cmp(other.path()));
        plan.emptied = hollow.emptied();
        plan
    }

    /// Looks into the victims whose first bytes are to be read, as the executor does, and strikes out what is no
    /// bytecode: for a plan that is only shown. Directories that keep such a file stay with it.
    ///
    /// More than [`MOST_LOOKED_INTO`] files are not looked into, for that takes longer than all the rest; nor are those
    /// that an [`Overflow`] took. Returns how many were not.
    pub fn look_into(&mut self, store: &Store, threads: Threads) -> u64 {
        if self.takes_anything {
            return 0;
        }
        let unread_files = self.directories.iter().map(PlannedDirectory::unread).sum::<u64>();
        if self.gone_unread + unread_files > MOST_LOOKED_INTO {
            return self.gone_unread + unread_files;
        }
        let look = |found: &mut Vec<(Box<[u8]>, Vec<Skipped>)>, planned: &PlannedDirectory, _: &mut _| {
            let Ok(directory) = store.directory(&planned.relative) else { return };
            let spared = planned.victims.iter().filter_map(|victim| {
                let why = victim.look_again(&directory, false).ok()??;
                Some(Skipped { path: store.shown(&planned.relative, &victim.name), why })
            });
            let spared: Vec<Skipped> = spared.collect();
            if !spared.is_empty() {
                found.push((planned.relative.clone(), spared));
            }
        };
        let jobs: Vec<&PlannedDirectory> =
            self.directories.iter().filter(|planned| planned.unread() > 0).collect();
        let found: Vec<_> = run_crew(threads, jobs, Vec::new, look, || {}).into_iter().flatten().collect();
        for (relative, spared) in found {
            if let Ok(index) = self.directories.binary_search_by(|planned| planned.relative.cmp(&relative)) {
                let is_spared = |victim: &Victim| {
                    let path = store.shown(&relative, &victim.name);
                    spared.iter().any(|skipped| skipped.path == path)
                };
                self.directories[index].victims.retain(|victim| !is_spared(victim));
            }
            self.emptied.iter_mut().for_each(|emptied| emptied.keep(&relative));
            self.skipped.extend(spared);
        }
        self.skipped.sort();
        self.gone_unread
    }

    /// The sum of all victims.
    pub fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        self.directories.iter().for_each(|directory| sum += directory.tally());
        sum
    }
}
