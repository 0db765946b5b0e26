//! Where a budget cuts: which of the entries that may be evicted are.
//!
//! A budget can only be met by who has seen all of the store, and there may be millions of entries. So a budget takes two
//! scans: the first keeps twelve bytes of each candidate and finds the cut-off; the second, which plans, asks of each
//! entry on which side of it it lies. What Python uses between the two is worth more by then, and stays.
//!
//! # Invariants
//!
//! * Candidates are ranked in a way that depends on nothing but themselves: a dry run and the real one evict the same.

use super::judge::Judge;
use super::policy::{Budget, Value, Verdict};
use crate::entry::Entry;
use crate::scan::{Trouble, Visit, Visitor};
use crate::tally::Tally;
use std::cmp::Reverse;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Bytes in a unit of room on disk, as `stat` counts them.
const BLOCK: u64 = 512;

/// An entry that a budget may evict, by rank: the least goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    value: Value,
    /// Room on disk in blocks of 512 bytes. Of equally valuable entries the largest go first: a tie keeps the smaller.
    blocks: Reverse<u32>,
    /// Of equally large ones, chance decides, the same at each run. Two in four thousand million go together.
    path: u32,
}

impl Candidate {
    /// The rank of an entry of this value; `None` where nothing is known of its size.
    pub(super) fn of(visit: &Visit<'_>, entry: &Entry<'_>, value: Value) -> Option<Candidate> {
        Some(Candidate::new(value, entry.metadata?.disk, (visit.relative, entry.name)))
    }

    fn new(value: Value, disk: u64, path: impl Hash) -> Candidate {
        let mut hasher = DefaultHasher::new();
        path.hash(&mut hasher);
        let blocks = u32::try_from(disk / BLOCK).unwrap_or(u32::MAX);
        Candidate { value, blocks: Reverse(blocks), path: hasher.finish() as u32 }
    }

    fn disk(&self) -> u64 {
        u64::from(self.blocks.0) * BLOCK
    }
}

/// Weighs what a budget may evict; one a worker.
#[derive(Debug)]
pub struct Weigher<'a> {
    judge: Judge<'a>,
    candidates: Vec<Candidate>,
    /// What stays if nothing is evicted.
    staying: Tally,
}

impl<'a> Weigher<'a> {
    /// A weigher of what this judge leaves.
    pub fn new(judge: Judge<'a>) -> Weigher<'a> {
        Weigher { judge, candidates: Vec::new(), staying: Tally::default() }
    }
}

impl Visitor for Weigher<'_> {
    fn directory(&mut self, visit: &Visit<'_>) {
        for entry in visit.entries {
            let verdict = self.judge.verdict(visit, entry);
            let (Some(verdict), Some(metadata)) = (verdict, entry.metadata) else { continue };
            if !verdict.is_condemned() {
                self.staying += Tally::file(metadata.bytes, metadata.disk);
            }
            if let Verdict::Evictable(value) = verdict {
                self.candidates.extend(Candidate::of(visit, entry, value));
            }
        }
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.judge.troubles.push(trouble);
    }
}

/// Where a budget cuts.
#[derive(Debug, Default)]
pub struct CutOff {
    /// The last to go for the number of files, if any goes.
    files: Option<Candidate>,
    /// The last to go for the room; entries that take none stay.
    disk: Option<Candidate>,
    /// By how much the budget is missed although everything goes that may.
    pub over_budget: Tally,
    /// What could not be read.
    pub troubles: Vec<Trouble>,
}

impl CutOff {
    /// Joins what the workers of a scan weighed, and cuts so that the rest fits the budget.
    pub fn find(parts: Vec<Weigher<'_>>, budget: &Budget) -> CutOff {
        let mut candidates = Vec::new();
        let mut staying = Tally::default();
        let mut troubles = Vec::new();
        for part in parts {
            candidates.extend(part.candidates);
            staying += part.staying;
            troubles.extend(part.judge.troubles);
        }
        CutOff { troubles, ..CutOff::among(candidates, staying, budget) }
    }

    fn among(mut candidates: Vec<Candidate>, staying: Tally, budget: &Budget) -> CutOff {
        let Tally { mut files, mut disk, .. } = staying;
        let (most_files, most_disk) = (budget.files.unwrap_or(u64::MAX), budget.disk.unwrap_or(u64::MAX));
        let mut cut_off = CutOff::default();
        candidates.sort_unstable();
        for candidate in candidates {
            if files > most_files {
                cut_off.files = Some(candidate);
            } else if disk > most_disk {
                // A budget of bytes gains nothing by an entry that takes no room.
                if candidate.disk() == 0 {
                    continue;
                }
                cut_off.disk = Some(candidate);
            } else {
                break;
            }
            files = files.saturating_sub(1);
            disk = disk.saturating_sub(candidate.disk());
        }
        cut_off.over_budget =
            Tally { files: files.saturating_sub(most_files), bytes: 0, disk: disk.saturating_sub(most_disk) };
        cut_off
    }

    /// Whether nothing is evicted.
    pub fn is_empty(&self) -> bool {
        self.files.is_none() && self.disk.is_none()
    }

    /// Whether a candidate is evicted.
    pub(super) fn evicts(&self, candidate: Candidate) -> bool {
        let for_files = self.files.is_some_and(|last| candidate <= last);
        let for_disk = candidate.disk() > 0 && self.disk.is_some_and(|last| candidate <= last);
        for_files || for_disk
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The least valuable go, as many as the budget wants and no more; of equally valuable ones the larger.
        #[test]
        fn a_budget_takes_the_least_valuable_and_no_more(
            entries in proptest::collection::vec((0..7_usize, 0..3_i32, 0..4_u64), 0..40),
            kept in (0..5_u64, 0..5_u64),
            files in proptest::option::of(0..30_u64),
            blocks in proptest::option::of(0..40_u64),
        ) {
            let disk = blocks.map(|blocks| blocks * BLOCK);
            let all: Vec<Candidate> = entries
                .iter()
                .enumerate()
                .map(|(number, &(class, used, blocks))| {
                    Candidate::new(Value::of_test(class, used), blocks * BLOCK, number)
                })
                .collect();
            let room = |entries: &[Candidate]| entries.iter().map(Candidate::disk).sum::<u64>();
            let staying = Tally {
                files: kept.0 + all.len() as u64,
                bytes: 0,
                disk: kept.1 * BLOCK + room(&all),
            };
            let cut_off = CutOff::among(all.clone(), staying, &Budget { disk, files });
            let (gone, left): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| cut_off.evicts(*one));
            prop_assert_eq!(cut_off.is_empty(), gone.is_empty());
            let (files_left, disk_left) = (kept.0 + left.len() as u64, kept.1 * BLOCK + room(&left));
            // It fits, or everything went that may.
            let (most_files, most_disk) = (files.unwrap_or(u64::MAX), disk.unwrap_or(u64::MAX));
            let over_files = files_left.saturating_sub(most_files);
            let over_disk = disk_left.saturating_sub(most_disk);
            prop_assert_eq!((cut_off.over_budget.files, cut_off.over_budget.disk), (over_files, over_disk));
            prop_assert!(over_files == 0 || left.is_empty());
            prop_assert!(over_disk == 0 || left.iter().all(|one| one.disk() == 0));
            // None went that is worth more than one that stays, except that what takes no room gives none.
            for one in &gone {
                let mut outlasted = left.iter().filter(|other| (other.value, other.blocks) < (one.value, one.blocks));
                prop_assert!(outlasted.all(|other| other.disk() == 0));
            }
            // The last to go was still needed.
            if let Some(last) = gone.iter().max() {
                prop_assert!(files_left + 1 > most_files || disk_left + last.disk() > most_disk);
            }
        }
    }

    #[test]
    fn a_candidate_is_small() {
        assert_eq!(size_of::<Candidate>(), 12);
    }
}
