//! `Tally`: how many files, and how much room they take.

use std::iter::Sum;
use std::ops::{AddAssign, SubAssign};

/// A sum over files: any split of a store sums to the same total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Number of files.
    pub files: u64,
    /// Their lengths in bytes (`st_size`, "apparent size").
    pub bytes: u64,
    /// What they occupy on disk, in bytes (`st_blocks` × 512, as `du` counts).
    pub disk: u64,
}

impl Tally {
    /// The tally of one file.
    pub fn file(bytes: u64, disk: u64) -> Tally {
        Tally { files: 1, bytes, disk }
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.files == 0
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.files += other.files;
        self.bytes += other.bytes;
        self.disk += other.disk;
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Tally>>(tallies: I) -> Tally {
        let mut sum = Tally::default();
        tallies.for_each(|tally| sum += tally);
        sum
    }
}

impl SubAssign for Tally {
    /// Takes away what was added before.
    fn sub_assign(&mut self, other: Tally) {
        self.files -= other.files;
        self.bytes -= other.bytes;
        self.disk -= other.disk;
    }
}
