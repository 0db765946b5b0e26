//! What a policy comes to on a store: the victims by directory, and the directories that they leave empty.

use super::policy::{Budget, Circumstances, Policy, Selector, Spared, Value, Verdict};
use super::victim::{Contents, Victim};
use crate::body::{Bodies, Body};
use crate::entry::Entry;
use crate::layout::Name;
use crate::owner::Owner;
use crate::scan::{Threads, Trouble, Visit, Visitor, run_crew};
use crate::source::is_missing;
use crate::status::{self, Corrupt, Status, UncheckedHashes};
use crate::store::Store;
use crate::tally::Tally;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

/// So many files a plan that is only shown looks into.
pub const MOST_LOOKED_INTO: u64 = 10_000;

/// What is to be removed. Nothing outside it ever is.
#[derive(Debug, Default)]
pub struct Plan {
    /// The victims, by directory, sorted by path.
    pub directories: Vec<PlannedDirectory>,
    /// The directories, relative to the root, that will be empty then; those below come before those above.
    pub emptied: Vec<Box<[u8]>>,
    /// What a selector names and safety keeps.
    pub skipped: Vec<Skipped>,
    /// What could not be read.
    pub troubles: Vec<Trouble>,
    /// By how much the budget is missed although everything went that may.
    pub over_budget: Tally,
    /// How many files of the store are in the policy's scope.
    pub in_scope: u64,
    /// Whether files go that are no bytecode.
    pub takes_anything: bool,
}

/// One directory's victims.
#[derive(Debug)]
pub struct PlannedDirectory {
    /// The path from the store's root.
    pub relative: Box<[u8]>,
    /// Whose bytes they are.
    pub owner: Arc<Owner>,
    /// The files.
    pub victims: Vec<Victim>,
}

/// A file that a selector names and that is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// Its path as shown.
    pub path: PathBuf,
    /// Why it is kept.
    pub why: Spared,
}

/// One worker's part of a [`Plan`].
#[derive(Debug)]
pub struct Planner<'a> {
    policy: &'a Policy,
    store: &'a Store,
    circumstances: Circumstances<'a>,
    bodies: Bodies<'a>,
    directories: Vec<Part>,
    skipped: Vec<Skipped>,
    troubles: Vec<Trouble>,
    in_scope: Tally,
    /// How many files are in scope, also where nothing more of them was asked.
    admitted: u64,
}

/// A directory that has victims or entries that a budget may evict, or may be left empty.
#[derive(Debug)]
struct Part {
    relative: Box<[u8]>,
    /// The owner, where there is a victim or an evictable entry.
    owner: Option<Arc<Owner>>,
    /// Sorted by name; those with a value only if the budget says so.
    victims: Vec<Victim>,
    /// How many of its files stay in any case.
    kept: usize,
    /// How many directories it has.
    directories: usize,
    /// Whether it goes even if this run removes nothing in it: an empty directory is what a killed run left. Python
    /// makes one again when it needs it.
    is_leftover: bool,
}

impl<'a> Planner<'a> {
    /// An empty part.
    pub fn new(policy: &'a Policy, store: &'a Store, circumstances: Circumstances<'a>) -> Planner<'a> {
        Planner {
            policy,
            store,
            circumstances,
            bodies: Bodies::of(store),
            directories: Vec::new(),
            skipped: Vec::new(),
            troubles: Vec::new(),
            in_scope: Tally::default(),
            admitted: 0,
        }
    }

    fn is_in_scope(&self, visit: &Visit<'_>, entry: &Entry<'_>) -> bool {
        self.policy.scope.admits_entry(visit, entry)
    }

    /// The status of an entry after a look at its body, where the policy wants that. Python reads no others than the
    /// fresh ones.
    fn look_at_body(
        &mut self,
        visit: &Visit<'_>,
        entry: &Entry<'_>,
        status: Option<Status>,
    ) -> Option<Status> {
        let (Some(Status::Fresh), Some(slot)) = (status, entry.parsed.slot()) else { return status };
        if !self.policy.selectors.contains(&Selector::Bodies) || !self.is_in_scope(visit, entry) {
            return status;
        }
        match self.bodies.walk(visit.relative, entry.name, slot.tag) {
            Ok(Body::Faulty(_)) => Some(Status::Corrupt(Corrupt::Body)),
            Ok(Body::Loadable(_) | Body::UnknownDialect) => status,
            Err(error) if is_missing(&error) => status,
            Err(source) => {
                let path = self.store.shown(visit.relative, entry.name);
                self.troubles.push(Trouble::File { path, source });
                status
            }
        }
    }
}

impl Visitor for Planner<'_> {
    fn directory(&mut self, visit: &Visit<'_>) {
        let mut victims = Vec::new();
        let mut kept = 0;
        for entry in visit.entries {
            let status = status::judge(entry, UncheckedHashes::Trust);
            let status = self.look_at_body(visit, entry, status);
            let is_in_scope = entry.parsed != Name::Foreign && self.is_in_scope(visit, entry);
            self.admitted += u64::from(is_in_scope);
            let verdict = match status {
                Some(status) if is_in_scope => {
                    if let Some(metadata) = &entry.metadata {
                        self.in_scope += Tally::file(metadata.bytes, metadata.disk);
                    }
                    self.policy.judge(entry, status, &self.circumstances)
                }
                _ => Verdict::Keep,
            };
            let value = match verdict {
                Verdict::Evictable(value) => Some(value),
                _ => None,
            };
            let victim = match verdict {
                Verdict::Condemn | Verdict::Evictable(_) => Victim::of(entry, value),
                Verdict::Keep | Verdict::Spare(_) => None,
            };
            if let Verdict::Spare(why) = verdict {
                self.skipped.push(Skipped { path: self.store.shown(visit.relative, entry.name), why });
            }
            match victim {
                Some(victim) => victims.push(victim),
                None => kept += 1,
            }
        }
        let has_own = !victims.is_empty();
        if has_own || kept == 0 {
            victims.shrink_to_fit();
            self.directories.push(Part {
                relative: visit.relative.into(),
                owner: has_own.then(|| visit.owner()),
                victims,
                kept,
                directories: visit.directories,
                is_leftover: visit.entries.is_empty() && self.policy.scope.admits_directory(visit.relative),
            });
        }
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.troubles.push(trouble);
    }
}

impl Plan {
    /// Joins what the workers of a scan found, and makes it fit the policy's budget.
    pub fn collect(parts: Vec<Planner<'_>>, policy: &Policy) -> Plan {
        let mut plan = Plan { takes_anything: policy.takes_anything(), ..Plan::default() };
        let mut directories = Vec::new();
        let mut in_scope = Tally::default();
        for part in parts {
            directories.extend(part.directories);
            plan.skipped.extend(part.skipped);
            plan.troubles.extend(part.troubles);
            in_scope += part.in_scope;
            plan.in_scope += part.admitted;
        }
        directories.sort_by(|one, other| one.relative.cmp(&other.relative));
        plan.over_budget = evict(&mut directories, in_scope, &policy.budget);
        plan.skipped.sort();
        plan.troubles.sort_by(|one, other| one.path().cmp(other.path()));
        plan.emptied = emptied(hollow(&directories));
        for part in directories {
            if let (Some(owner), false) = (part.owner, part.victims.is_empty()) {
                plan.directories.push(PlannedDirectory {
                    relative: part.relative,
                    owner,
                    victims: part.victims,
                });
            }
        }
        plan
    }

    /// Looks into the victims whose first bytes are to be read, as the executor does, and strikes out what is no
    /// bytecode: for a plan that is only shown. Directories that keep such a file stay with it.
    ///
    /// More than [`MOST_LOOKED_INTO`] files are not looked into, for that takes longer than all the rest; their number
    /// is returned.
    pub fn look_into(&mut self, store: &Store, threads: Threads) -> u64 {
        let is_unread = |victim: &&Victim| victim.contents == Contents::ToBeRead;
        let victims = self.directories.iter().flat_map(|planned| &planned.victims);
        let unread_files = if self.takes_anything { 0 } else { victims.filter(is_unread).count() as u64 };
        if unread_files == 0 {
            return 0;
        }
        if unread_files > MOST_LOOKED_INTO {
            return unread_files;
        }
        let look = |found: &mut Vec<(Box<[u8]>, Vec<Skipped>)>, planned: &PlannedDirectory, _: &mut _| {
            let Ok(directory) = store.directory(&planned.relative) else { return };
            let spared = planned.victims.iter().filter_map(|victim| {
                let why = victim.look_again(&directory, false).ok()??;
                Some(Skipped { path: store.shown(&planned.relative, &victim.name), why })
            });
            let spared: Vec<Skipped> = spared.collect();
            if !spared.is_empty() {
                found.push((planned.relative.clone(), spared));
            }
        };
        let unread = |planned: &&PlannedDirectory| {
            planned.victims.iter().any(|victim| victim.contents == Contents::ToBeRead)
        };
        let jobs: Vec<&PlannedDirectory> = self.directories.iter().filter(unread).collect();
        let found: Vec<_> = run_crew(threads, jobs, Vec::new, look, || {}).into_iter().flatten().collect();
        for (relative, spared) in found {
            if let Ok(index) = self.directories.binary_search_by(|planned| planned.relative.cmp(&relative)) {
                let is_spared = |victim: &Victim| {
                    let path = store.shown(&relative, &victim.name);
                    spared.iter().any(|skipped| skipped.path == path)
                };
                self.directories[index].victims.retain(|victim| !is_spared(victim));
            }
            self.emptied.retain(|emptied| !is_at_or_below(&relative, emptied));
            self.skipped.extend(spared);
        }
        self.skipped.sort();
        0
    }

    /// The sum of all victims.
    pub fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        for victim in self.directories.iter().flat_map(|directory| &directory.victims) {
            sum += victim.tally();
        }
        sum
    }
}

fn is_at_or_below(path: &[u8], ancestor: &[u8]) -> bool {
    path.strip_prefix(ancestor).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

/// Turns evictable entries into victims until the rest fits the budget; answers by how much it does not.
///
/// The least valuable go first; of equally valuable ones the largest, so that a tie keeps the smaller.
fn evict(directories: &mut [Part], in_scope: Tally, budget: &Budget) -> Tally {
    let mut left = in_scope;
    let remove = |left: &mut Tally, disk: u64| {
        left.files = left.files.saturating_sub(1);
        left.disk = left.disk.saturating_sub(disk);
    };
    let victims = || {
        (0..).zip(directories.iter()).flat_map(|(place, part)| {
            (0..).zip(&part.victims).map(move |(index, victim)| (place, index, victim))
        })
    };
    let candidates =
        || victims().filter_map(|(place, index, victim)| Some((victim.value?, place, index, victim.disk)));
    victims()
        .filter(|(.., victim)| victim.value.is_none())
        .for_each(|(.., victim)| remove(&mut left, victim.disk));
    let excess = |left: &Tally| Tally {
        files: budget.files.map_or(0, |most| left.files.saturating_sub(most)),
        bytes: 0,
        disk: budget.disk.map_or(0, |most| left.disk.saturating_sub(most)),
    };
    // Their places, not themselves: there may be a million. Within a directory they are sorted by name.
    let mut evicted: Vec<(Value, Reverse<u64>, u32, u32)> = Vec::with_capacity(candidates().count());
    evicted.extend(candidates().map(|(value, place, index, disk)| (value, Reverse(disk), place, index)));
    evicted.sort_unstable();
    evicted.retain(|(_, Reverse(disk), ..)| {
        let now = excess(&left);
        // A budget of bytes alone gains nothing by an entry that takes no room.
        let goes = now.files > 0 || (now.disk > 0 && *disk > 0);
        if goes {
            remove(&mut left, *disk);
        }
        goes
    });
    evicted.sort_unstable_by_key(|&(.., place, index)| (place, index));
    let mut evicted = evicted.into_iter().map(|(.., place, index)| (place, index)).peekable();
    for (place, part) in (0_u32..).zip(directories) {
        let before = part.victims.len();
        let mut index = 0_u32..;
        part.victims.retain(|victim| {
            let here = index.next().map(|index| (place, index));
            victim.value.is_none() || evicted.next_if(|next| Some(*next) == here).is_some()
        });
        part.kept += before - part.victims.len();
    }
    excess(&left)
}

/// A directory of which no file stays.
#[derive(Debug)]
pub(crate) struct Hollow<'a> {
    /// The path from the root.
    pub relative: &'a [u8],
    /// How many directories it has.
    pub directories: usize,
    /// Whether it goes even if no directory in it does.
    pub has_reason: bool,
}

/// The directories of a plan of which no file stays.
fn hollow(directories: &[Part]) -> Vec<Hollow<'_>> {
    let hollow = directories.iter().filter(|part| part.kept == 0).map(|part| Hollow {
        relative: &part.relative,
        directories: part.directories,
        has_reason: !part.victims.is_empty() || part.is_leftover,
    });
    hollow.collect()
}

/// The directories that will be empty, those below first. The root is none of them.
pub(crate) fn emptied(mut hollow: Vec<Hollow<'_>>) -> Vec<Box<[u8]>> {
    let depth = |path: &[u8]| path.iter().filter(|&&byte| byte == b'/').count();
    hollow.retain(|part| !part.relative.is_empty());
    hollow.sort_by_key(|part| (Reverse(depth(part.relative)), part.relative));
    let mut emptied_in: HashMap<&[u8], usize> = HashMap::new();
    let mut emptied = Vec::new();
    for part in hollow {
        let below = emptied_in.remove(part.relative).unwrap_or(0);
        if below == part.directories && (part.has_reason || below > 0) {
            let parent = part.relative.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
            *emptied_in.entry(&part.relative[..parent]).or_default() += 1;
            emptied.push(part.relative.into());
        }
    }
    emptied
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Moment;
    use proptest::prelude::*;

    fn victim(name: &str, disk: u64) -> Victim {
        Victim {
            name: name.as_bytes().into(),
            value: None,
            contents: Contents::Known,
            identity: (1, 1),
            bytes: disk,
            disk,
            modified: Moment::default(),
        }
    }

    fn part(relative: &str, directories: usize, victims: usize) -> Part {
        Part {
            relative: relative.as_bytes().into(),
            owner: None,
            victims: (0..victims).map(|_| victim("m", 1)).collect(),
            kept: 0,
            directories,
            is_leftover: false,
        }
    }

    #[test]
    fn directories_go_when_all_in_them_goes() {
        let paths = |parts: Vec<Part>| -> Vec<String> {
            emptied(hollow(&parts)).iter().map(|path| String::from_utf8(path.to_vec()).unwrap()).collect()
        };
        // `a` has a second directory that keeps a file: it stays.
        let all =
            vec![part("", 2, 0), part("a", 2, 0), part("a/b", 1, 0), part("a/b/c", 0, 1), part("d", 0, 1)];
        assert_eq!(paths(all), ["a/b/c", "a/b", "d"]);
        // An empty directory that this run has no reason to remove stays, and what holds it.
        assert!(paths(vec![part("a", 1, 0), part("a/b", 0, 0)]).is_empty());
        let leftover = Part { is_leftover: true, ..part("a/b", 0, 0) };
        assert_eq!(paths(vec![part("a", 1, 0), leftover]), ["a/b", "a"]);
        let keeps = Part { kept: 1, ..part("a", 0, 1) };
        assert!(paths(vec![keeps]).is_empty());
    }

    proptest! {
        /// The least valuable go, as many as the budget wants and no more; of equally valuable ones the larger.
        #[test]
        fn a_budget_takes_the_least_valuable_and_no_more(
            entries in proptest::collection::vec((0..4_usize, 0..7_usize, 0..3_i32, 0..4_u64), 0..40),
            kept in (0..5_u64, 0..5_u64),
            files in proptest::option::of(0..30_u64),
            disk in proptest::option::of(0..40_u64),
        ) {
            let mut parts: Vec<Part> = ["a", "b", "c", "d"].iter().map(|path| part(path, 0, 0)).collect();
            let mut all = Vec::new();
            let mut in_scope = Tally { files: kept.0, bytes: 0, disk: kept.1 };
            for (number, &(directory, class, used, disk)) in entries.iter().enumerate() {
                let name = format!("{number:02}");
                let value = Value::of_test(class, used);
                parts[directory].victims.push(Victim { value: Some(value), ..victim(&name, disk) });
                in_scope += Tally::file(disk, disk);
                all.push((value, Reverse(disk), name));
            }
            let over = evict(&mut parts, in_scope, &Budget { disk, files });
            let gone: Vec<String> = parts
                .iter()
                .flat_map(|part| &part.victims)
                .map(|victim| String::from_utf8(victim.name.to_vec()).unwrap())
                .collect();
            prop_assert_eq!(gone.len() + parts.iter().map(|part| part.kept).sum::<usize>(), entries.len());
            let (gone, left): (Vec<_>, Vec<_>) = all.into_iter().partition(|(.., name)| gone.contains(name));
            let room = |entries: &[(Value, Reverse<u64>, String)]| entries.iter().map(|it| it.1.0).sum::<u64>();
            let (files_left, disk_left) = (kept.0 + left.len() as u64, kept.1 + room(&left));
            // It fits, or everything went that may.
            let (most_files, most_disk) = (files.unwrap_or(u64::MAX), disk.unwrap_or(u64::MAX));
            let over_files = files_left.saturating_sub(most_files);
            let over_disk = disk_left.saturating_sub(most_disk);
            prop_assert_eq!((over.files, over.disk), (over_files, over_disk));
            prop_assert!(over_files == 0 || left.is_empty());
            prop_assert!(over_disk == 0 || left.iter().all(|it| it.1.0 == 0));
            // None went that is worth more than one that stays, except that what takes no room gives none.
            for (value, size, _) in &gone {
                let outlasts = |it: &&(Value, Reverse<u64>, String)| (it.0, it.1) < (*value, *size);
                let gives_nothing = |it: &(Value, Reverse<u64>, String)| it.1.0 == 0;
                prop_assert!(left.iter().filter(outlasts).all(gives_nothing));
            }
            // The last to go was still needed.
            if let Some(last) = gone.iter().max_by_key(|(value, size, _)| (*value, *size)) {
                prop_assert!(files_left + 1 > most_files || disk_left + last.1.0 > most_disk);
            }
        }
    }
}
