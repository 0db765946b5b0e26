//! Disk usage, statuses, tags and last use of a group of files.
//!
//! # Invariants
//!
//! * Nothing depends on the order in which the files are found.
//! * The bytes of a file with several hard links are in the tally of a group that has all its links in the store. Of other
//!   files, a group has links: they are in [`Share::shared`], and in the tally with their number alone.
//! * Joining two groups keeps both invariants: a file moves to the tally when the joined group has all its links.

use super::status::{self, Status};
use crate::store::entry::Metadata;
use crate::units::{Moment, Tally};
use std::collections::{BTreeSet, HashMap};

/// The sums of a group of files.
#[derive(Debug, Clone, Default)]
pub struct Share {
    /// All files, with the bytes that no other group has.
    pub tally: Tally,
    /// What a default prune may remove of them.
    pub reclaimable: Tally,
    /// By status, in the order of [`status::NAMES`].
    pub statuses: [Tally; status::NAMES.len()],
    /// The cache tags among them.
    pub tags: BTreeSet<String>,
    /// The last use of one of them: when it was read, or written if that was later. `None` without access times.
    pub last_used: Option<Moment>,
    /// The files of which other groups have links too.
    pub links: LinkedFiles,
}

/// Files with several hard links, by device and inode.
#[derive(Debug, Clone, Default)]
pub struct LinkedFiles(HashMap<(u64, u64), LinkedFile>);

/// The links of one file in a group.
#[derive(Debug, Clone, Copy)]
struct LinkedFile {
    bytes: u64,
    disk: u64,
    /// How many links it has, in the store or elsewhere.
    links: u32,
    /// How many of them are in the group.
    names: u32,
    /// How many of those are reclaimable.
    reclaimable: u32,
    /// The first of their statuses in the order of [`status::NAMES`].
    status: Status,
    /// The whole file, once all groups are known.
    whole: Option<WholeFile>,
}

/// All links of a file that were counted.
#[derive(Debug, Clone, Copy)]
struct WholeFile {
    names: u32,
    is_freed: bool,
}

impl LinkedFile {
    /// The bytes, with a count of no files: those are counted by name.
    fn size(&self) -> Tally {
        Tally { files: 0, bytes: self.bytes, disk: self.disk }
    }

    /// The links in the group, and the bytes.
    fn tally(&self) -> Tally {
        Tally { files: self.names.into(), ..self.size() }
    }

    fn join(&mut self, other: &LinkedFile) {
        self.names += other.names;
        self.reclaimable += other.reclaimable;
        if other.status.index() < self.status.index() {
            self.status = other.status;
        }
    }
}

impl LinkedFiles {
    fn add(&mut self, identity: (u64, u64), file: LinkedFile) {
        self.0.entry(identity).and_modify(|known| known.join(&file)).or_insert(file);
    }

    /// Adds the links of another group.
    pub(crate) fn extend(&mut self, other: &LinkedFiles) {
        other.0.iter().for_each(|(identity, file)| self.add(*identity, *file));
    }

    /// The number of links, and the bytes of the files, each once.
    pub fn tally(&self) -> Tally {
        self.0.values().map(LinkedFile::tally).sum()
    }

    /// What a prune frees of them: the files whose links are all reclaimable.
    pub fn reclaimable(&self) -> Tally {
        let is_freed = |file: &&LinkedFile| file.whole.is_some_and(|whole| whole.is_freed);
        self.0.values().filter(is_freed).map(LinkedFile::tally).sum()
    }
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
        other.links.0.into_iter().for_each(|(identity, file)| self.join_link(identity, file));
    }

    /// The files of which other groups have links too: their links in this group, and their bytes once.
    pub fn shared(&self) -> Tally {
        self.links.tally()
    }

    /// Everything that the group has, whether others have it too or not.
    pub fn held(&self) -> Tally {
        let mut held = self.tally;
        held += Tally { files: 0, ..self.shared() };
        held
    }

    /// Counts the files of which the group has all links, now that `all` counted links are known.
    pub(crate) fn settle(&mut self, all: &LinkedFiles) {
        for (identity, file) in std::mem::take(&mut self.links.0) {
            let whole = all.0.get(&identity);
            let whole = whole.map(|it| WholeFile { names: it.names, is_freed: it.reclaimable >= it.links });
            self.join_link(identity, LinkedFile { whole, ..file });
        }
    }

    fn join_link(&mut self, identity: (u64, u64), mut file: LinkedFile) {
        if let Some(known) = self.links.0.remove(&identity) {
            file.join(&known);
        }
        let Some(WholeFile { is_freed, .. }) = file.whole.filter(|whole| whole.names == file.names) else {
            self.links.0.insert(identity, file);
            return;
        };
        self.tally += file.size();
        self.statuses[file.status.index()] += file.size();
        if is_freed {
            self.reclaimable += file.size();
        }
    }

    pub(crate) fn add(&mut self, file: Counted<'_>) {
        let Counted { metadata, status, is_reclaimable, tag, used } = file;
        let size = if metadata.links > 1 {
            let links = u32::try_from(metadata.links).unwrap_or(u32::MAX);
            let Metadata { identity, bytes, disk, .. } = *metadata;
            let reclaimable = u32::from(is_reclaimable);
            let linked = LinkedFile { bytes, disk, links, names: 1, reclaimable, status, whole: None };
            self.links.add(identity, linked);
            Tally::file(0, 0)
        } else {
            Tally::file(metadata.bytes, metadata.disk)
        };
        self.tally += size;
        self.statuses[status.index()] += size;
        if is_reclaimable {
            self.reclaimable += size;
        }
        if let Some(tag) = tag
            && !self.tags.contains(tag)
        {
            self.tags.insert(tag.to_string());
        }
        self.last_used = self.last_used.max(used);
    }
}

/// A file as it is added to a share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counted<'a> {
    pub(crate) metadata: &'a Metadata,
    pub(crate) status: Status,
    pub(crate) is_reclaimable: bool,
    pub(crate) tag: Option<&'a str>,
    pub(crate) used: Option<Moment>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(inode: u64, links: u32, reclaimable: bool) -> ((u64, u64), LinkedFile) {
        let reclaimable = u32::from(reclaimable);
        let status = Status::Fresh;
        ((1, inode), LinkedFile { bytes: 100, disk: 4096, links, names: 1, reclaimable, status, whole: None })
    }

    #[test]
    fn a_file_counts_for_the_group_that_has_all_its_links() {
        // The second file has a link outside the store: no prune frees it.
        let all = [link(1, 3, true), link(1, 3, true), link(2, 3, true), link(2, 3, true), link(1, 3, true)];
        let groups = [&all[..2], &all[2..4], &all[4..]];
        let mut shares = groups.map(|links| {
            let mut share = Share::default();
            links.iter().for_each(|(identity, file)| share.links.add(*identity, *file));
            share
        });
        let mut whole = LinkedFiles::default();
        shares.iter().for_each(|share| whole.extend(&share.links));
        shares.iter_mut().for_each(|share| share.settle(&whole));
        let seen = |share: &Share| (share.tally.bytes, share.reclaimable.bytes, share.shared());
        let shared = |files| Tally { files, bytes: 100, disk: 4096 };
        assert_eq!(
            shares.each_ref().map(seen),
            [(0, 0, shared(2)), (100, 0, Tally::default()), (0, 0, shared(1))]
        );
        assert_eq!(shares[0].links.reclaimable().bytes, 100);
        // Together they have all links.
        let [mut joined, second, third] = shares;
        joined.join(second);
        joined.join(third);
        assert_eq!(seen(&joined), (200, 100, Tally::default()));
    }
}
