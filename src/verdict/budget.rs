//! Which of the evictable entries a budget evicts.
//!
//! A budget depends on the whole store, which may have millions of entries. So it takes two scans: the first keeps sixteen
//! bytes of each candidate and finds the evicted ones, the second plans their removal. The second scan does not rank again:
//! where `O_NOATIME` is refused (another user's files) or has no effect (network file systems whose server keeps the
//! times), the first scan changed the access times.
//!
//! # Hard links
//!
//! A budget of files counts names. A budget of bytes counts inodes, as `du` does: a file uses its disk space as long as
//! one of its names stays among the entries. So for a budget of bytes the names of a file are evicted together, at the
//! rank of the most valuable, and not at all if one of them must stay.
//!
//! # Invariants
//!
//! * A candidate's rank depends only on the candidate: a dry run and a real run evict the same entries.
//! * Entries that were created or rewritten between the two scans stay.

use super::judge::{Judge, Judged};
use super::policy::{Budget, Value, Verdict};
use crate::store::entry::Entry;
use crate::store::entry::Metadata;
use crate::store::scan::{Trouble, Visit, Visitor};
use crate::units::Tally;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Bytes in a unit of disk usage, as `stat` counts them.
const BLOCK: u64 = 512;

/// An entry that a budget may evict, by rank: the lowest is evicted first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct EvictionCandidate {
    value: Value,
    /// Disk usage in blocks of 512 bytes. Of equally valuable entries the largest go first: a tie keeps the smaller.
    blocks: Reverse<u32>,
    /// The file. Decides between equally large ones: arbitrary, but the same in each run.
    file: RankedFile,
}

/// A file as it was ranked: a hash of its identity, length and last modification, and in the lower half a hash of its
/// path. So the names of an inode are adjacent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RankedFile(u64);

impl RankedFile {
    /// The file of an entry; `None` if its metadata is unknown.
    pub(crate) fn of(visit: &Visit<'_>, entry: &Entry<'_>) -> Option<RankedFile> {
        let Metadata { identity, bytes, modified, .. } = entry.metadata?;
        let inode = hash((identity, bytes, modified.seconds, modified.nanoseconds));
        Some(RankedFile(inode >> 32 << 32 | hash((visit.relative, entry.name)) >> 32))
    }
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// The entries that are names of one inode with several links.
#[derive(Debug, Default)]
struct LinkedEntries {
    /// Disk usage.
    disk: u64,
    /// Those that may be evicted, with their values.
    names: Vec<(RankedFile, Value)>,
    /// Whether there is another one that may not be evicted.
    stays: bool,
}

impl LinkedEntries {
    fn candidates(&self, budget: &Budget) -> impl Iterator<Item = EvictionCandidate> {
        // Nothing is freed while one of them stays.
        let room = if self.stays { 0 } else { self.disk };
        let most_valuable = self.names.iter().map(|(_, value)| *value).max();
        let together = most_valuable.filter(|_| budget.disk.is_some());
        self.names
            .iter()
            .map(move |(file, own)| EvictionCandidate::new(together.unwrap_or(*own), room, *file))
    }
}

/// The number of names left, for inodes with several links whose names may all be evicted.
#[derive(Debug, Default)]
struct NamesLeft {
    inode: HashMap<RankedFile, usize>,
    left: Vec<usize>,
}

impl NamesLeft {
    fn add(&mut self, names: &[(RankedFile, Value)]) {
        self.inode.extend(names.iter().map(|(file, _)| (*file, self.left.len())));
        self.left.push(names.len());
    }

    /// Evicts a name; returns whether no name of its inode is left.
    fn evict(&mut self, file: RankedFile) -> bool {
        let Some(&inode) = self.inode.get(&file) else { return true };
        self.left[inode] -= 1;
        self.left[inode] == 0
    }
}

impl EvictionCandidate {
    fn new(value: Value, disk: u64, file: RankedFile) -> EvictionCandidate {
        EvictionCandidate { value, blocks: Reverse(u32::try_from(disk / BLOCK).unwrap_or(u32::MAX)), file }
    }

    fn disk(&self) -> u64 {
        u64::from(self.blocks.0) * BLOCK
    }
}

/// Collects and ranks the entries that a budget may evict; one for each worker.
#[derive(Debug)]
pub struct Weigher<'a> {
    judge: Judge<'a>,
    candidates: Vec<EvictionCandidate>,
    linked: HashMap<(u64, u64), LinkedEntries>,
    /// The total if nothing is evicted, without the bytes of files with several links.
    staying: Tally,
}

impl<'a> Weigher<'a> {
    /// Ranks the entries that this judge leaves.
    pub fn new(judge: Judge<'a>) -> Weigher<'a> {
        Weigher { judge, candidates: Vec::new(), linked: HashMap::new(), staying: Tally::default() }
    }

    /// Adds one of several names of an inode that stays if nothing is evicted.
    fn weigh_linked(&mut self, metadata: &Metadata, file: Option<RankedFile>, verdict: Verdict) {
        self.staying += Tally::file(0, 0);
        let linked = self.linked.entry(metadata.identity).or_default();
        linked.disk = metadata.disk;
        match (verdict, file) {
            (Verdict::Evictable(value), Some(file)) => linked.names.push((file, value)),
            _ => linked.stays = true,
        }
    }
}

impl Visitor for Weigher<'_> {
    fn directory(&mut self, visit: &Visit<'_>) {
        for entry in visit.entries {
            let judged = self.judge.verdict(visit, entry);
            let (Some(Judged { verdict, .. }), Some(metadata)) = (judged, entry.metadata) else { continue };
            if verdict.is_condemned() {
                continue;
            }
            if metadata.links > 1 {
                self.weigh_linked(&metadata, RankedFile::of(visit, entry), verdict);
                continue;
            }
            self.staying += Tally::file(metadata.bytes, metadata.disk);
            if let Verdict::Evictable(value) = verdict {
                let file = RankedFile::of(visit, entry);
                self.candidates.extend(file.map(|file| EvictionCandidate::new(value, metadata.disk, file)));
            }
        }
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.judge.troubles.push(trouble);
    }
}

/// What a budget evicts.
#[derive(Debug)]
pub struct CutOff {
    /// The evicted files, sorted.
    evicted: Vec<RankedFile>,
    /// By how much the budget is exceeded although everything evictable is evicted.
    pub over_budget: Tally,
    /// What could not be read.
    pub troubles: Vec<Trouble>,
}

impl CutOff {
    /// Joins the parts of all workers of a scan, and evicts until the rest fits the budget.
    pub fn find(parts: Vec<Weigher<'_>>, budget: &Budget) -> CutOff {
        let mut candidates = Vec::with_capacity(parts.iter().map(|part| part.candidates.len()).sum());
        let mut staying = Tally::default();
        let mut troubles = Vec::new();
        let mut linked: HashMap<(u64, u64), LinkedEntries> = HashMap::new();
        for part in parts {
            candidates.extend(part.candidates);
            staying += part.staying;
            troubles.extend(part.judge.troubles);
            for (identity, other) in part.linked {
                let entries = linked.entry(identity).or_default();
                entries.disk = other.disk;
                entries.names.extend(other.names);
                entries.stays |= other.stays;
            }
        }
        let mut names_left = NamesLeft::default();
        for linked in linked.into_values() {
            staying.disk += linked.disk;
            candidates.extend(linked.candidates(budget));
            if !linked.stays {
                names_left.add(&linked.names);
            }
        }
        CutOff { troubles, ..CutOff::among(candidates, names_left, staying, budget) }
    }

    fn among(
        mut candidates: Vec<EvictionCandidate>,
        mut names_left: NamesLeft,
        staying: Tally,
        budget: &Budget,
    ) -> CutOff {
        let Tally { mut files, mut disk, .. } = staying;
        let (most_files, most_disk) = (budget.files.unwrap_or(u64::MAX), budget.disk.unwrap_or(u64::MAX));
        candidates.sort_unstable();
        candidates.retain(|candidate| {
            // A budget of bytes gains nothing by an entry that takes no room.
            let goes = files > most_files || (disk > most_disk && candidate.disk() > 0);
            if goes {
                files = files.saturating_sub(1);
                if names_left.evict(candidate.file) {
                    disk = disk.saturating_sub(candidate.disk());
                }
            }
            goes
        });
        let mut evicted: Vec<RankedFile> = candidates.into_iter().map(|candidate| candidate.file).collect();
        evicted.sort_unstable();
        let over_budget =
            Tally { files: files.saturating_sub(most_files), bytes: 0, disk: disk.saturating_sub(most_disk) };
        CutOff { evicted, over_budget, troubles: Vec::new() }
    }

    /// Whether nothing is evicted.
    pub fn is_empty(&self) -> bool {
        self.evicted.is_empty()
    }

    /// Whether a file is evicted.
    pub(crate) fn evicts(&self, file: RankedFile) -> bool {
        self.evicted.binary_search(&file).is_ok()
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
            let all: Vec<EvictionCandidate> = entries
                .iter()
                .zip(0..)
                .map(|(&(class, used, blocks), number)| {
                    EvictionCandidate::new(Value::of_test(class, used), blocks * BLOCK, RankedFile(number))
                })
                .collect();
            let room = |entries: &[EvictionCandidate]| entries.iter().map(EvictionCandidate::disk).sum::<u64>();
            let staying = Tally {
                files: kept.0 + all.len() as u64,
                bytes: 0,
                disk: kept.1 * BLOCK + room(&all),
            };
            let cut_off = CutOff::among(all.clone(), NamesLeft::default(), staying, &Budget { disk, files });
            let (gone, left): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| cut_off.evicts(one.file));
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

    proptest! {
        /// For a budget of bytes the names of an inode go together, and no more than the budget wants.
        #[test]
        fn names_of_an_inode_go_together(
            inodes in proptest::collection::vec(
                (1..4_u64, proptest::collection::vec((0..7_usize, 0..3_i32), 2..5), any::<bool>()),
                0..15,
            ),
            most in 0..30_u64,
            files in proptest::option::of(0..40_u64),
        ) {
            let budget = Budget { disk: Some(most * BLOCK), files };
            let linked: Vec<LinkedEntries> = (1_u64..)
                .zip(&inodes)
                .map(|(inode, (blocks, names, stays))| LinkedEntries {
                    disk: blocks * BLOCK,
                    names: (0..)
                        .zip(names)
                        .map(|(name, (class, used))| (RankedFile(inode << 32 | name), Value::of_test(*class, *used)))
                        .collect(),
                    stays: *stays,
                })
                .collect();
            let mut names_left = NamesLeft::default();
            let mut staying = Tally::default();
            for it in &linked {
                staying += Tally { files: it.names.len() as u64, bytes: 0, disk: it.disk };
                if !it.stays {
                    names_left.add(&it.names);
                }
            }
            let candidates = linked.iter().flat_map(|it| it.candidates(&budget)).collect();
            let cut_off = CutOff::among(candidates, names_left, staying, &budget);
            let is_gone = |it: &LinkedEntries| it.names.iter().filter(|(file, _)| cut_off.evicts(*file)).count();
            let left: u64 = linked.iter().filter(|it| it.stays || is_gone(it) < it.names.len()).map(|it| it.disk).sum();
            prop_assert_eq!(cut_off.over_budget.disk, left.saturating_sub(most * BLOCK));
            let removable = linked.iter().filter(|it| !it.stays);
            prop_assert!(left <= most * BLOCK || removable.clone().all(|it| is_gone(it) == it.names.len()));
            if files.is_none() {
                prop_assert!(linked.iter().all(|it| [0, it.names.len()].contains(&is_gone(it))));
                prop_assert!(linked.iter().filter(|it| it.stays).all(|it| is_gone(it) == 0));
                // The last to go was needed: it is the most valuable, and among equals the smallest.
                let gone = removable.filter(|it| is_gone(it) > 0);
                if let Some(last) = gone.max_by_key(|it| it.candidates(&budget).max()) {
                    prop_assert!(left + last.disk > most * BLOCK);
                }
            }
        }
    }

    #[test]
    fn a_candidate_is_small() {
        assert_eq!(size_of::<EvictionCandidate>(), 16);
    }
}
