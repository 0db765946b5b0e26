//! Disk usage, statuses, tags and last use of a group of files.

use super::status::{self, Status};
use crate::units::{Moment, Tally};
use std::collections::BTreeSet;

/// The sums of a group of files.
#[derive(Debug, Clone, Default)]
pub struct Share {
    /// All of them.
    pub tally: Tally,
    /// What a default prune may remove of them.
    pub reclaimable: Tally,
    /// By status, in the order of [`status::NAMES`].
    pub statuses: [Tally; status::NAMES.len()],
    /// The cache tags among them.
    pub tags: BTreeSet<String>,
    /// The last use of one of them: when it was read, or written if that was later. `None` without access times.
    pub last_used: Option<Moment>,
}

impl Share {
    /// Adds another share.
    pub fn join(&mut self, other: Share) {
        self.tally += other.tally;
        self.reclaimable += other.reclaimable;
        for (sum, part) in self.statuses.iter_mut().zip(other.statuses) {
            *sum += part;
        }
        self.tags.extend(other.tags);
        self.last_used = self.last_used.max(other.last_used);
    }

    pub(crate) fn add(&mut self, file: Counted<'_>) {
        self.tally += file.tally;
        self.statuses[file.status.index()] += file.tally;
        if let Some(reclaimable) = file.reclaimable {
            self.reclaimable += reclaimable;
        }
        if let Some(tag) = file.tag
            && !self.tags.contains(tag)
        {
            self.tags.insert(tag.to_string());
        }
        self.last_used = self.last_used.max(file.used);
    }
}

/// A file as it is added to a share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted<'a> {
    pub(crate) tally: Tally,
    pub(crate) status: Status,
    /// What it adds to the reclaimable part, if it is reclaimable.
    pub(crate) reclaimable: Option<Tally>,
    pub(crate) tag: Option<&'a str>,
    pub(crate) used: Option<Moment>,
}
