//! Sizes by owner: a scan folded into rows and a total where it is found, so that memory stays flat.
//!
//! # Invariants
//!
//! * The total of all rows is the total of the files; with the directories' own room it is what GNU `du -s -B1`
//!   says of the store. A file with several hard links counts once, as there.

use crate::layout::Name;
use crate::owner::Owner;
use crate::prune::policy::{Circumstances, Policy};
use crate::scan::{Trouble, Visit, Visitor};
use crate::status::{self, UncheckedHashes};
use crate::tally::Tally;
use crate::units::Moment;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// What a store holds.
#[derive(Debug, Default)]
pub struct Usage {
    /// All files.
    pub total: Tally,
    /// The directories: their number, and the room that they take themselves.
    pub directories: Tally,
    /// What a default prune may remove.
    pub reclaimable: Tally,
    /// By status, in the order of [`status::NAMES`].
    pub statuses: [Tally; status::NAMES.len()],
    /// By owner, the most room on disk first.
    pub owners: Vec<Row>,
    /// What could not be read.
    pub troubles: Vec<Trouble>,
}

/// One owner's share.
#[derive(Debug, Clone)]
pub struct Row {
    /// The owner.
    pub owner: Owner,
    /// All its files.
    pub tally: Tally,
    /// What a default prune may remove of them.
    pub reclaimable: Tally,
    /// By status, in the order of [`status::NAMES`].
    pub statuses: [Tally; status::NAMES.len()],
    /// The cache tags among them.
    pub tags: BTreeSet<String>,
    /// The last access to one of them.
    pub last_used: Option<Moment>,
}

impl Usage {
    /// Everything on disk, the directories included, in bytes: GNU `du -s -B1`.
    pub fn disk(&self) -> u64 {
        self.total.disk + self.directories.disk
    }

    /// Joins what the workers of a scan found.
    pub fn collect(surveys: Vec<Survey<'_>>) -> Usage {
        let mut usage = Usage::default();
        let mut owners: BTreeMap<Owner, Row> = BTreeMap::new();
        for survey in surveys {
            usage.total += survey.total;
            usage.directories += survey.directories;
            usage.reclaimable += survey.reclaimable;
            for (sum, part) in usage.statuses.iter_mut().zip(survey.statuses) {
                *sum += part;
            }
            usage.troubles.extend(survey.troubles);
            for (owner, share) in survey.shares {
                // Environments of one project are shown with it.
                let key = Owner { environment: None, ..owner };
                let row = owners.entry(key).or_insert_with_key(|owner| Row {
                    owner: owner.clone(),
                    tally: Tally::default(),
                    reclaimable: Tally::default(),
                    statuses: Default::default(),
                    tags: BTreeSet::new(),
                    last_used: None,
                });
                row.tally += share.tally;
                row.reclaimable += share.reclaimable;
                for (sum, part) in row.statuses.iter_mut().zip(share.statuses) {
                    *sum += part;
                }
                row.tags.extend(share.tags);
                row.last_used = row.last_used.max(share.last_used);
            }
        }
        usage.owners = owners.into_values().collect();
        usage.owners.sort_by(|one, other| {
            (other.tally.disk, &one.owner.root).cmp(&(one.tally.disk, &other.owner.root))
        });
        usage.troubles.sort_by(|one, other| one.path().cmp(other.path()));
        usage
    }
}

/// Files with several hard links that were counted already, by device and inode; shared by the workers of a scan.
#[derive(Debug, Clone, Default)]
pub struct CountedLinks(Arc<Mutex<HashSet<(u64, u64)>>>);

impl CountedLinks {
    /// Whether the file with this device and inode is met for the first time.
    pub(crate) fn is_first(&self, identity: (u64, u64)) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(identity)
    }
}

/// One worker's part of a [`Usage`].
#[derive(Debug)]
pub struct Survey<'a> {
    policy: &'a Policy,
    unchecked: UncheckedHashes,
    circumstances: Circumstances<'a>,
    links: CountedLinks,
    total: Tally,
    directories: Tally,
    reclaimable: Tally,
    statuses: [Tally; status::NAMES.len()],
    shares: HashMap<Owner, Share>,
    troubles: Vec<Trouble>,
}

#[derive(Debug, Default)]
struct Share {
    tally: Tally,
    reclaimable: Tally,
    statuses: [Tally; status::NAMES.len()],
    tags: BTreeSet<String>,
    last_used: Option<Moment>,
}

impl<'a> Survey<'a> {
    /// An empty part; `policy` says what is reclaimable.
    pub fn new(
        policy: &'a Policy,
        unchecked: UncheckedHashes,
        circumstances: Circumstances<'a>,
        links: &CountedLinks,
    ) -> Survey<'a> {
        Survey {
            policy,
            unchecked,
            circumstances,
            links: links.clone(),
            total: Tally::default(),
            directories: Tally::default(),
            reclaimable: Tally::default(),
            statuses: [Tally::default(); status::NAMES.len()],
            shares: HashMap::new(),
            troubles: Vec::new(),
        }
    }
}

impl Visitor for Survey<'_> {
    fn directory(&mut self, visit: &Visit<'_>) {
        if let Some(metadata) = &visit.metadata {
            self.directories += Tally::file(metadata.bytes, metadata.disk);
        }
        if visit.entries.is_empty() {
            return;
        }
        let share = match self.shares.get_mut(&*visit.owner()) {
            Some(share) => share,
            None => self.shares.entry((*visit.owner()).clone()).or_default(),
        };
        for entry in visit.entries {
            let (Some(metadata), Some(status)) = (&entry.metadata, status::judge(entry, self.unchecked))
            else {
                continue;
            };
            let counts_room = metadata.links < 2 || self.links.is_first(metadata.identity);
            let (bytes, disk) = if counts_room { (metadata.bytes, metadata.disk) } else { (0, 0) };
            let tally = Tally::file(bytes, disk);
            self.total += tally;
            self.statuses[status.index()] += tally;
            share.tally += tally;
            share.statuses[status.index()] += tally;
            let is_condemned = || self.policy.judge(entry, status, &self.circumstances).is_condemned();
            if self.policy.scope.admits_entry(visit, entry) && is_condemned() {
                self.reclaimable += tally;
                share.reclaimable += tally;
            }
            if let Name::Bytecode(slot) = entry.parsed {
                if !share.tags.contains(slot.tag) {
                    share.tags.insert(slot.tag.to_string());
                }
                // Written and never read back is no use of it.
                let used = metadata.accessed.max(metadata.modified);
                share.last_used = share.last_used.max(Some(used));
            }
        }
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.troubles.push(trouble);
    }
}
