//! Files with several hard links among those to remove: the bytes of an inode are freed with its last link.
//!
//! For each inode with several links the plan keeps one record: how many links there are, in the store or elsewhere,
//! and how many of them are removed.

use super::victim::{Victim, VictimGroup};
use crate::source::owner::Owner;
use crate::units::Tally;
use std::collections::HashMap;
use std::sync::Arc;

/// The inodes with several links of which at least one is removed.
#[derive(Debug, Default)]
pub struct LinkedVictims(HashMap<(u64, u64), Inode>);

#[derive(Debug)]
struct Inode {
    /// How many links it has.
    links: u64,
    /// How many of them are removed.
    going: u64,
    /// Its size, with a count of no files: those are counted by name.
    size: Tally,
    /// The first of their groups in order, so that it does not depend on which worker found them.
    group: VictimGroup,
}

impl LinkedVictims {
    /// Adds a file to remove, if it has several links.
    pub(crate) fn add(&mut self, victim: &Victim, owner: &Arc<Owner>) {
        if victim.links > 1 {
            let size = Tally { files: 0, ..victim.size() };
            let group = victim.group(owner);
            self.join(victim.identity, Inode { links: victim.links, going: 1, size, group });
        }
    }

    /// Removes a file that stays after all from the record.
    pub(crate) fn keep(&mut self, victim: &Victim) {
        if let Some(inode) = self.0.get_mut(&victim.identity) {
            inode.going = inode.going.saturating_sub(1);
        }
    }

    /// Adds what another worker found, or another tree has.
    pub(crate) fn append(&mut self, other: LinkedVictims) {
        other.0.into_iter().for_each(|(identity, inode)| self.join(identity, inode));
    }

    fn join(&mut self, identity: (u64, u64), other: Inode) {
        match self.0.get_mut(&identity) {
            Some(inode) => {
                inode.going += other.going;
                if other.group < inode.group {
                    inode.group = other.group;
                }
            }
            None => drop(self.0.insert(identity, other)),
        }
    }

    /// Returns the freed bytes by group: those of each inode whose last link is removed.
    pub(crate) fn freed(&self) -> impl Iterator<Item = (&VictimGroup, Tally)> {
        self.0.values().filter(|inode| inode.going >= inode.links).map(|inode| (&inode.group, inode.size))
    }
}

#[cfg(test)]
mod tests {
    use super::super::premise::Premise;
    use super::super::victim::Contents;
    use super::*;
    use crate::source::owner::directory_owner;
    use crate::units::Moment;
    use std::path::Path;

    fn victim(inode: u64, links: u64) -> Victim {
        Victim {
            name: b"m.cpython-312.pyc"[..].into(),
            contents: Contents::Known,
            identity: (1, inode),
            links,
            bytes: 100,
            disk: 4096,
            modified: Moment { seconds: 0, nanoseconds: 0 },
            premise: Premise::None,
            status: None,
            package: None,
        }
    }

    #[test]
    fn an_inode_is_freed_once_by_its_first_owner() {
        let found = [("/b", victim(1, 3)), ("/a", victim(1, 3)), ("/c", victim(1, 3)), ("/d", victim(2, 2))];
        let single = ("/e", victim(3, 1));
        // Whichever worker found what: alone, or all but one together.
        for turned in 0..found.len() {
            for split in 0..=found.len() {
                let mut found = found.clone();
                found.rotate_left(turned);
                let mut parts = [LinkedVictims::default(), LinkedVictims::default()];
                for (index, (owner, victim)) in found.iter().chain([&single]).enumerate() {
                    let owner = Arc::new(directory_owner(Path::new(owner)));
                    parts[usize::from(index >= split)].add(victim, &owner);
                }
                let [mut all, other] = parts;
                all.append(other);
                let freed: Vec<_> = all.freed().map(|(group, tally)| (&*group.owner.root, tally)).collect();
                assert_eq!(freed, [(Path::new("/a"), Tally { files: 0, bytes: 100, disk: 4096 })]);
                // One of its links stays after all.
                all.keep(&victim(1, 3));
                all.keep(&victim(4, 2));
                assert_eq!(all.freed().count(), 0);
            }
        }
    }
}
