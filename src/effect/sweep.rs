//! Carries out the plans of a sweep, by the one executor that removes; or says what they would do.

use super::adopt::{Adopter, Done, NotAdopted};
use super::companion::Companions;
use crate::effect::expectation::Expectation;
use crate::effect::outcome::{Failure, Outcome};
use crate::effect::remove as removal;
use crate::effect::remove::Prepared;
use crate::host::directory::Directory;
use crate::host::pool::Threads;
use crate::source::owner::Owner;
use crate::store::Store;
use crate::store::in_tree::root::Root;
use crate::units::Tally;
use crate::verdict::links::LinkedVictims;
use crate::verdict::plan::PlannedDirectory;
use crate::verdict::policy::Spared;
use crate::verdict::sweep::{KeepReason, Kept, LeftAlone, Sourceless, SweepPlan};
use crate::verdict::victim::Victim;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a sweep did, or in a dry run would do.
#[derive(Debug, Default)]
pub struct SweepOutcome {
    /// What went, in files, what was moved included.
    pub removed: Tally,
    /// How much was moved into the store. Where a file could not be removed, it is in both places.
    pub adopted: Tally,
    /// How many emptied directories went.
    pub directories: u64,
    /// The same by owner, the largest disk usage first.
    pub owners: Vec<SweptOwner>,
    /// What stays and is worth a word, sorted by path.
    pub kept: Vec<Kept>,
    /// What was not entered, sorted by path.
    pub left_alone: Vec<LeftAlone>,
    /// What could not be removed, sorted by path.
    pub failures: Vec<Failure>,
    /// What could not be moved and therefore stays, sorted by path; of each root once what the store does not take.
    pub not_adopted: Vec<NotAdopted>,
    /// What was left when the run was told to stop, in files.
    pub left: Tally,
    /// How many emptied directories were left then.
    pub directories_left: u64,
}

/// One owner's share.
#[derive(Debug)]
pub struct SweptOwner {
    /// The owner.
    pub owner: Owner,
    /// What went.
    pub removed: Tally,
    /// How much of it was moved into the store.
    pub adopted: Tally,
}

/// What is to be done below a root. Its `removal` is handed to the executor.
type Planned = (Root, SweepPlan);

impl SweepOutcome {
    /// What the plans would do if nothing changed meanwhile.
    pub fn expected(plans: Vec<Planned>) -> SweepOutcome {
        let mut collected = Collected::default();
        let mut linked = LinkedVictims::default();
        for (_, mut plan) in plans {
            let adopted = plan.adopted();
            linked.append(std::mem::take(&mut plan.removal.linked));
            let outcome = Expectation::default().finish(std::mem::take(&mut plan.removal));
            collected.add(plan, outcome, Done { adopted, ..Done::default() });
        }
        collected.outcomes.push(Expectation::of_linked(&linked));
        collected.outcome()
    }

    /// Whether everything that was planned happened.
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty() && self.not_adopted.is_empty()
    }
}

/// Does what is planned, root by root, until done or until `stop` becomes true. `store` is where files are moved to.
///
/// `progress` hears how many files were done below the present root.
pub fn execute(
    plans: Vec<Planned>,
    store: Option<&Store>,
    threads: Threads,
    stop: &AtomicBool,
    mut progress: impl FnMut(u64),
) -> SweepOutcome {
    let mut collected = Collected::default();
    for (root, mut plan) in plans {
        let todo = std::mem::take(&mut plan.removal);
        let adoptions = std::mem::take(&mut plan.adoptions);
        let adopter = store.map(|store| Adopter { root: &root, store, adoptions, done: Mutex::default() });
        let (companions, bereft) = (Companions::default(), Mutex::new(Vec::new()));
        let prepare = |directory: &Directory, planned: &PlannedDirectory, victim: &Victim| {
            if plan.sourceless == Sourceless::Keep
                && !companions.still_superfluous(directory, planned, victim)
            {
                let path = root.shown(&planned.relative, &victim.name);
                lock(&bereft).push(Kept { path, why: KeepReason::SourceRemoved });
                return Prepared::Keep;
            }
            adopter.as_ref().map_or(Prepared::Remove, |it| it.prepare(directory, planned, victim))
        };
        let outcome = removal::execute_in(&root, todo, &prepare, threads, stop, &mut progress);
        plan.kept.append(&mut lock(&bereft));
        let done = adopter.map(|it| it.done.into_inner().unwrap_or_else(PoisonError::into_inner));
        collected.add(plan, outcome, done.unwrap_or_default());
    }
    collected.outcome()
}

/// What the roots came to so far.
#[derive(Default)]
struct Collected {
    outcomes: Vec<Outcome>,
    adopted: Vec<(Owner, Tally)>,
    rest: SweepOutcome,
}

impl Collected {
    fn add(&mut self, plan: SweepPlan, outcome: Outcome, done: Done) {
        self.outcomes.push(outcome);
        self.adopted.extend(done.adopted);
        self.rest.not_adopted.extend(done.failures.into_iter().chain(done.refused));
        self.rest.kept.extend(plan.kept);
        self.rest.left_alone.extend(plan.left_alone);
    }

    fn outcome(self) -> SweepOutcome {
        let Collected { outcomes, adopted, rest: mut outcome } = self;
        let joined = Outcome::joined(outcomes);
        // The executor names an owner by one of its spellings; by its real path it is the same.
        let mut by_root: BTreeMap<&Path, (&Owner, Tally)> = BTreeMap::new();
        for (owner, tally) in adopted.iter().filter(|(_, tally)| !tally.is_empty()) {
            by_root.entry(real_root(owner)).or_insert((owner, Tally::default())).1 += *tally;
            outcome.adopted += *tally;
        }
        outcome.owners.extend(joined.owners.into_iter().map(|(owner, removed)| {
            let adopted = by_root.remove(real_root(&owner)).map(|(_, adopted)| adopted).unwrap_or_default();
            SweptOwner { owner, removed, adopted }
        }));
        // What was moved, and could then not be removed where it was.
        outcome.owners.extend(by_root.into_values().map(|(owner, adopted)| {
            let (owner, removed) = (owner.clone(), Tally::default());
            SweptOwner { owner, removed, adopted }
        }));
        outcome.removed = joined.removed;
        outcome.directories = joined.directories;
        outcome.left = joined.left;
        outcome.directories_left = joined.directories_left;
        outcome.failures = joined.failures;
        outcome.kept.extend(joined.skipped.into_iter().map(|skipped| Kept {
            path: skipped.path,
            why: match skipped.why {
                Spared::NotBytecode => KeepReason::NotBytecode,
                Spared::Unreadable => KeepReason::Unreadable,
                Spared::Changed | Spared::SourceReturned | Spared::SourceChanged | Spared::SourceRecorded => {
                    KeepReason::Changed
                }
            },
        }));
        outcome.kept.sort();
        outcome.left_alone.sort();
        outcome.not_adopted.sort_by(|one, other| one.path.cmp(&other.path));
        outcome
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn real_root(owner: &Owner) -> &Path {
    owner.real_root.as_deref().unwrap_or(&owner.root)
}
