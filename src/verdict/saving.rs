//! Estimates for `doctor` how much `pycstore share` would free, without reading bodies.
//!
//! Entries with the same key ([`super::shareable`]) nearly always have equal bodies. So all files of a key but the
//! largest count as freed.
//!
//! # Invariants
//!
//! * Memory is bounded: a worker holds `MOST_HELD` files. If there are more, it holds only those of half of the
//!   keys, a quarter and so on, and multiplies the result. The sample is unbiased, because keys are hashes.

use super::shareable::{ShareSearch, Shareable};
use crate::store::scan::{Trouble, Visit, Visitor};

/// Maximum number of files that a worker holds.
const MOST_HELD: usize = 1 << 15;

/// One worker's part of the estimate.
#[derive(Debug)]
pub struct SavingSurvey<'a> {
    search: ShareSearch<'a>,
    sample: KeySample,
}

/// The files of the keys that begin with as many zero bits as there were halvings.
#[derive(Debug, Default)]
struct KeySample {
    halvings: u32,
    files: Vec<KeyedFile>,
}

/// A file with the key of its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct KeyedFile {
    key: u64,
    inode: u64,
    /// Disk usage in bytes.
    disk: u64,
}

impl<'a> SavingSurvey<'a> {
    /// An empty part.
    pub fn new(search: ShareSearch<'a>) -> SavingSurvey<'a> {
        SavingSurvey { search, sample: KeySample::default() }
    }

    /// About how many bytes of disk usage `share` would free, from the parts of all workers.
    pub fn estimate(parts: impl IntoIterator<Item = SavingSurvey<'a>>) -> u64 {
        let mut all = KeySample::default();
        for part in parts {
            all.halve_until(part.sample.halvings);
            all.files.extend(part.sample.files);
        }
        all.halve_until(all.halvings);
        all.saving()
    }
}

impl KeySample {
    fn add(&mut self, file: KeyedFile) {
        if file.key.leading_zeros() < self.halvings {
            return;
        }
        self.files.push(file);
        if self.files.len() > MOST_HELD {
            self.halve_until(self.halvings + 1);
        }
    }

    /// Drops the files whose keys do not remain after this number of halvings.
    fn halve_until(&mut self, halvings: u32) {
        self.halvings = self.halvings.max(halvings);
        self.files.retain(|file| file.key.leading_zeros() >= self.halvings);
    }

    fn saving(mut self) -> u64 {
        self.files.sort_unstable();
        self.files.dedup_by_key(|file| (file.key, file.inode));
        let of_key = |files: &[KeyedFile]| {
            let sizes = files.iter().map(|file| file.disk);
            sizes.clone().sum::<u64>() - sizes.max().unwrap_or(0)
        };
        let saving: u64 = self.files.chunk_by(|one, other| one.key == other.key).map(of_key).sum();
        saving.saturating_mul(1_u64.checked_shl(self.halvings).unwrap_or(u64::MAX))
    }
}

impl Visitor for SavingSurvey<'_> {
    fn directory(&mut self, visit: &Visit<'_>) {
        for entry in visit.entries {
            if let (Some(Ok(Shareable { key, .. })), Some(metadata)) =
                (self.search.candidate(visit, entry), entry.metadata)
            {
                self.sample.add(KeyedFile { key, inode: metadata.identity.1, disk: metadata.disk });
            }
        }
    }

    /// Other parts of the scan report the errors.
    fn trouble(&mut self, _trouble: Trouble) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::hash_map::RandomState;
    use std::hash::BuildHasher;

    fn file(key: u64, inode: u64, disk: u64) -> KeyedFile {
        KeyedFile { key, inode, disk }
    }

    #[test]
    fn of_each_key_the_largest_file_stays() {
        let mut sample = KeySample::default();
        // Two links of one file, two more files with the same key, and another key.
        for it in [file(1, 1, 8), file(1, 1, 8), file(1, 2, 4), file(1, 3, 2), file(2, 4, 100)] {
            sample.add(it);
        }
        assert_eq!(sample.saving(), 6);
        assert_eq!(KeySample::default().saving(), 0);
    }

    #[test]
    fn a_part_of_many_keys_stands_for_all() {
        let (hashes, mut sample) = (RandomState::new(), KeySample::default());
        for module in 0..50_000_u64 {
            for environment in 0..3 {
                sample.add(file(hashes.hash_one(module), module * 3 + environment, 4096));
            }
        }
        assert!(sample.files.len() <= MOST_HELD && sample.halvings >= 3);
        let (saving, all) = (sample.saving() as f64, f64::from(50_000 * 2 * 4096));
        assert!((saving / all - 1.0).abs() < 0.1, "{saving} of {all}");
    }

    #[test]
    fn a_key_of_too_many_files_ends() {
        let mut sample = KeySample::default();
        (0..70_000).for_each(|inode| sample.add(file(1, inode, 1)));
        assert!(sample.files.len() <= MOST_HELD);
        sample.saving();
    }
}
