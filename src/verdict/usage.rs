//! Sizes by owner: each worker of a scan adds files to rows and a total at once, so that memory does not grow with the
//! store.
//!
//! # Invariants
//!
//! * The total of all rows and of what several of them share is the total of the files; with the disk usage of the
//!   directories it equals GNU `du -s -B1` of the store. As there, a file with several hard links counts once: in the row
//!   that has all its links in the store, or else as shared ([`super::share`]).
//! * Reclaimable is what a prune frees: the bytes of a file with several links only if all of them are removed.

use super::share::{Counted, LinkedFiles, Share};
use super::view::{self, Focus, Group, Key, View};
use crate::pyc::name::Name;
use crate::source::owner::{Owner, Spellings};
use crate::store::AccessTimes;
use crate::store::entry::Metadata;
use crate::store::scan::{Trouble, Visit, Visitor};
use crate::units::Moment;
use crate::units::Tally;
use crate::verdict::policy::{Circumstances, Policy};
use crate::verdict::status::{self, UncheckedHashes};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// What a store holds.
#[derive(Debug, Default)]
pub struct Usage {
    /// All files.
    pub total: Tally,
    /// The directories: their number, and their own disk usage.
    pub directories: Tally,
    /// What a default prune may remove.
    pub reclaimable: Tally,
    /// By status, in the order of [`status::NAMES`]; a file whose links have several has the first.
    pub statuses: [Tally; status::NAMES.len()],
    /// By owner, the largest disk usage first, including files that other owners have too.
    pub owners: Vec<Row>,
    /// The groups of the requested view, by their keys; empty without one.
    pub groups: Vec<Group>,
    /// What could not be read.
    pub troubles: Vec<Trouble>,
}

/// One owner and its share.
#[derive(Debug, Clone)]
pub struct Row {
    /// The owner.
    pub owner: Owner,
    /// Its files.
    pub share: Share,
}

impl Usage {
    /// Everything on disk, the directories included, in bytes: GNU `du -s -B1`.
    pub fn disk(&self) -> u64 {
        self.total.disk + self.directories.disk
    }

    /// Joins what the workers of a scan found.
    pub fn collect(surveys: Vec<Survey<'_>>) -> Usage {
        let mut usage = Usage::default();
        let mut owners: BTreeMap<Owner, Share> = BTreeMap::new();
        let spellings = Spellings::of(surveys.iter().flat_map(|survey| survey.shares.keys()));
        let mut view = None;
        let mut groups = Vec::new();
        for survey in surveys {
            usage.directories += survey.directories;
            usage.troubles.extend(survey.troubles);
            for (owner, share) in survey.shares {
                owners.entry(spellings.head(&owner)).or_default().join(share);
            }
            view = survey.view;
            groups.push(survey.groups);
        }
        let mut links = LinkedFiles::default();
        owners.values().for_each(|share| links.extend(&share.links));
        let mut whole = Share::default();
        for share in owners.values_mut() {
            share.settle(&links);
            whole.join(Share { tags: BTreeSet::new(), ..share.clone() });
        }
        (usage.total, usage.reclaimable, usage.statuses) = (whole.tally, whole.reclaimable, whole.statuses);
        usage.groups = view.map(|view| view.collect(groups, &spellings)).unwrap_or_default();
        usage.groups.iter_mut().for_each(|group| group.share.settle(&links));
        let rows = owners.into_iter().filter(|(_, share)| !share.tally.is_empty());
        usage.owners = rows.map(|(owner, share)| Row { owner, share }).collect();
        let key = |row: &Row| (Reverse(row.share.held().disk), row.owner.root.clone());
        usage.owners.sort_by_cached_key(key);
        usage.troubles.sort_by(|one, other| one.path().cmp(other.path()));
        usage
    }

    /// The files of which several owners have links.
    pub fn shared(&self) -> LinkedFiles {
        let mut shared = LinkedFiles::default();
        self.owners.iter().for_each(|row| shared.extend(&row.share.links));
        shared
    }

    /// Takes the groups of the requested view, of which there may be millions; without a view, the owners.
    pub fn take_groups(&mut self) -> Vec<Group> {
        let group = |row: &Row| Group {
            keys: vec![Key::Owner(Arc::new(row.owner.clone()))],
            share: row.share.clone(),
            depth: 0,
            is_rest: None,
        };
        if self.groups.is_empty() {
            self.owners.iter().map(group).collect()
        } else {
            std::mem::take(&mut self.groups)
        }
    }
}

/// Files with several hard links that were counted already, by device and inode; shared by the workers of a scan.
#[derive(Debug, Clone, Default)]
pub struct CountedLinks(Arc<Mutex<HashMap<(u64, u64), LinkCount>>>);

/// The links of a file that were counted so far.
#[derive(Debug, Clone, Copy)]
struct LinkCount {
    /// The number of links when the first was found.
    all: u64,
    /// The number of found links that are reclaimable.
    reclaimable: u64,
}

impl CountedLinks {
    /// Whether the file with this device and inode is found for the first time.
    pub(crate) fn is_first(&self, identity: (u64, u64)) -> bool {
        let mut met = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        met.insert(identity, LinkCount { all: 0, reclaimable: 0 }).is_none()
    }

    /// Returns what one name of a file adds to the total and to the reclaimable part. Other links may be removed
    /// during the scan, so that a file with a single link may have been counted before.
    pub(crate) fn count(&self, file: &Metadata, is_reclaimable: bool) -> (Tally, Option<Tally>) {
        let (name, whole) = (Tally::file(0, 0), Tally::file(file.bytes, file.disk));
        let mut met = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = !met.contains_key(&file.identity);
        if is_first && file.links < 2 {
            return (whole, is_reclaimable.then_some(whole));
        }
        let links = met.entry(file.identity).or_insert(LinkCount { all: file.links, reclaimable: 0 });
        links.reclaimable += u64::from(is_reclaimable);
        let is_freed = links.reclaimable == links.all;
        let sum = if is_first { whole } else { name };
        (sum, is_reclaimable.then_some(if is_freed { whole } else { name }))
    }
}

/// One worker's part of a [`Usage`].
#[derive(Debug)]
pub struct Survey<'a> {
    policy: &'a Policy,
    unchecked: UncheckedHashes,
    circumstances: Circumstances<'a>,
    directories: Tally,
    shares: HashMap<Owner, Share>,
    focus: Option<&'a Focus>,
    view: Option<&'a View>,
    groups: view::Groups,
    troubles: Vec<Trouble>,
    access_times: AccessTimes,
}

impl<'a> Survey<'a> {
    /// An empty part; `policy` says what is reclaimable.
    pub fn new(
        policy: &'a Policy,
        unchecked: UncheckedHashes,
        circumstances: Circumstances<'a>,
    ) -> Survey<'a> {
        Survey {
            policy,
            unchecked,
            circumstances,
            directories: Tally::default(),
            shares: HashMap::new(),
            focus: None,
            view: None,
            groups: HashMap::new(),
            troubles: Vec::new(),
            access_times: AccessTimes::Kept,
        }
    }

    /// Sets how accurate the store's access times are.
    #[must_use]
    pub fn with_access_times(self, access_times: AccessTimes) -> Survey<'a> {
        Survey { access_times, ..self }
    }

    /// Adds the groups of a view, with only the files that `focus` admits. Without dimensions there are none.
    #[must_use]
    pub fn grouped(self, view: &'a View, focus: &'a Focus) -> Survey<'a> {
        let focus = Some(focus).filter(|focus| !focus.is_everything());
        let view = Some(view).filter(|view| !view.dimensions.is_empty());
        Survey { view, focus, ..self }
    }
}

/// Returns when an entry was last used, if that is known. Writing counts as a use, but is known to be the last one only
/// if every read updates the access time.
pub fn last_use(metadata: &Metadata, access_times: AccessTimes) -> Option<Moment> {
    match access_times {
        AccessTimes::Kept => Some(metadata.accessed.max(metadata.modified)),
        AccessTimes::Partial => Some(metadata.accessed).filter(|accessed| *accessed > metadata.modified),
        AccessTimes::Lost => None,
    }
}

impl Visitor for Survey<'_> {
    fn directory(&mut self, visit: &Visit<'_>) {
        if let Some(metadata) = &visit.metadata
            && self.focus.is_none_or(|focus| focus.admits_directory(visit))
        {
            self.directories += Tally::file(metadata.bytes, metadata.disk);
        }
        if visit.entries.is_empty() || self.focus.is_some_and(|focus| !focus.admits_owner(&visit.owner())) {
            return;
        }
        let sources = self.focus.map(|_| visit.source_directory());
        let share = match self.shares.get_mut(&*visit.owner()) {
            Some(share) => share,
            None => self.shares.entry((*visit.owner()).clone()).or_default(),
        };
        for entry in visit.entries {
            if let (Some(focus), Some(sources)) = (self.focus, &sources)
                && !focus.admits_entry(entry, sources)
            {
                continue;
            }
            let (Some(metadata), Some(status)) = (&entry.metadata, status::judge(entry, self.unchecked))
            else {
                continue;
            };
            let tag = match entry.parsed {
                Name::Bytecode(slot) => Some(slot.tag),
                Name::Temporary(_) | Name::Foreign => None,
            };
            let is_reclaimable = self.policy.scope.admits_entry(visit, entry)
                && self.policy.judge(entry, status, &self.circumstances).is_condemned();
            let used = tag.and_then(|_| last_use(metadata, self.access_times));
            let file = Counted { metadata, status, is_reclaimable, tag, used };
            share.add(file);
            if let Some(view) = self.view {
                self.groups.entry(view.keys(visit, entry, status)).or_default().add(file);
            }
        }
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.troubles.push(trouble);
    }
}
