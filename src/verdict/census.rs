//! Entries by status, cache tag and kind of owner, for monitoring.
//!
//! # Invariants
//!
//! * The sum over all shares is the total of [`crate::verdict::usage`]: a file with several hard links counts
//!   its bytes once, and as reclaimable only if all its links are.

use crate::source::owner::OwnerKind;
use crate::store::scan::{Trouble, Visit, Visitor};
use crate::units::Tally;
use crate::verdict::policy::{Circumstances, Policy};
use crate::verdict::status::{self, Status, UncheckedHashes};
use crate::verdict::usage::CountedLinks;
use std::collections::BTreeMap;

/// The files of one status, tag and kind of owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TagShare {
    /// All of them.
    pub tally: Tally,
    /// What a default prune may remove of them.
    pub reclaimable: Tally,
}

/// The files of one tag and kind of owner, by status in the order of [`status::NAMES`].
pub type StatusShares = [TagShare; status::NAMES.len()];

/// The files of a store. Foreign files have no tag and are listed under the empty tag.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Census {
    /// By kind of owner and tag.
    pub shares: BTreeMap<(OwnerKind, String), StatusShares>,
}

/// One worker's part of a [`Census`]. The scan must ask for everything ([`crate::store::scan::Question::Everything`]): what
/// is not asked is not counted.
#[derive(Debug)]
pub struct Counting<'a> {
    census: Census,
    reclaimable: &'a Policy,
    circumstances: Circumstances<'a>,
    links: CountedLinks,
}

impl<'a> Counting<'a> {
    /// An empty part; `reclaimable` says what a default prune may remove ([`Policy::reclaimable`]).
    pub fn new(
        reclaimable: &'a Policy,
        circumstances: Circumstances<'a>,
        links: &CountedLinks,
    ) -> Counting<'a> {
        Counting { census: Census::default(), reclaimable, circumstances, links: links.clone() }
    }
}

impl Visitor for Counting<'_> {
    fn directory(&mut self, visit: &Visit<'_>) {
        if visit.entries.is_empty() {
            return;
        }
        let kind = visit.owner().kind;
        for entry in visit.entries {
            let (Some(metadata), Some(status)) =
                (&entry.metadata, status::judge(entry, UncheckedHashes::Trust))
            else {
                continue;
            };
            let tag = entry.parsed.slot().map_or("", |slot| slot.tag);
            let is_reclaimable = self.reclaimable.scope.admits_entry(visit, entry)
                && self.reclaimable.judge(entry, status, &self.circumstances).is_condemned();
            let (tally, reclaimable) = self.links.count(metadata, is_reclaimable);
            self.census.add((kind, tag), status, tally, reclaimable);
        }
    }

    /// Other parts of the scan report the errors.
    fn trouble(&mut self, _trouble: Trouble) {}
}

impl Census {
    /// Joins what the workers of a scan counted.
    pub fn collect<'a>(parts: impl IntoIterator<Item = Counting<'a>>) -> Census {
        let mut census = Census::default();
        for part in parts {
            for (key, shares) in part.census.shares {
                for (sum, share) in census.shares.entry(key).or_default().iter_mut().zip(shares) {
                    sum.tally += share.tally;
                    sum.reclaimable += share.reclaimable;
                }
            }
        }
        census
    }

    /// Counts one file; `reclaimable` is what a default prune frees by removing it, `None` if it keeps it.
    pub fn add(
        &mut self,
        (kind, tag): (OwnerKind, &str),
        status: Status,
        tally: Tally,
        reclaimable: Option<Tally>,
    ) {
        let shares = self.shares.entry((kind, tag.to_string())).or_default();
        let share = &mut shares[status.index()];
        share.tally += tally;
        if let Some(reclaimable) = reclaimable {
            share.reclaimable += reclaimable;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::pool::Threads;
    use crate::host::volumes::Mounts;
    use crate::pyc::StatedMagics;
    use crate::source::Evidence;
    use crate::store::scan::{Question, Scan};
    use crate::store::{Purpose, Store};
    use crate::units::Moment;
    use crate::verdict::policy::Clock;
    use crate::verdict::usage::{Survey, Usage};
    use std::path::{Path, PathBuf};
    use std::sync::atomic::AtomicBool;

    /// A timestamp entry's header with this magic; mtime and size are those of no source.
    fn header(magic: u16) -> Vec<u8> {
        [&magic.to_le_bytes()[..], b"\r\n", &[0; 12]].concat()
    }

    /// A store of `base/sources` with entries of every status; returns its root.
    fn store_with_every_status(base: &Path) -> PathBuf {
        let (sources, root) = (base.join("sources"), base.join("store"));
        let mirror = root.join(sources.strip_prefix("/").unwrap());
        std::fs::create_dir_all(&sources).unwrap();
        std::fs::create_dir_all(&mirror).unwrap();
        std::fs::write(sources.join("a.py"), "a = 1\n").unwrap();
        for (name, contents) in [
            ("a.cpython-312.pyc", header(3531)),
            ("a.cpython-313.pyc", header(3571)),
            ("b.cpython-313.pyc", header(3571)),
            ("c.cpython-313.pyc", header(3571)),
            ("a.cpython-311.pyc", b"short".to_vec()),
            ("a.cpython-312.pyc.17", header(3531)),
            ("notes.txt", b"mine".to_vec()),
        ] {
            std::fs::write(mirror.join(name), contents).unwrap();
        }
        std::fs::hard_link(mirror.join("notes.txt"), root.join("again.txt")).unwrap();
        root
    }

    #[test]
    fn every_file_is_counted_once_under_its_status_and_tag() {
        let (_temporary, base) = crate::temporary::directory();
        let root = store_with_every_status(&base);
        let store = Store::open(&root, &[], Purpose::Look).unwrap();
        let evidence = Evidence {
            mounts: Mounts::read().unwrap(),
            store: store.real_path().to_path_buf(),
            assumed_gone: vec![base],
        };
        let question = Question::Everything(UncheckedHashes::Trust);
        let stop = AtomicBool::new(false);
        let threads = Threads::exactly(2);
        let magics = StatedMagics::default();
        let scan = Scan {
            store: &store,
            evidence: &evidence,
            magics: &magics,
            question,
            threads,
            within: &[],
            stop: &stop,
        };
        let policy = Policy::reclaimable();
        let now = Moment::from(std::time::SystemTime::now());
        let circumstances = Circumstances { now, clock: Clock::Access, is_dead: &|_, _| false };
        let links = CountedLinks::default();
        let new_part = || {
            let survey = Survey::new(&policy, UncheckedHashes::Trust, circumstances);
            (survey, Some(Counting::new(&policy, circumstances, &links)))
        };
        let (surveys, countings): (Vec<_>, Vec<_>) = scan.run(new_part, |_| {}).into_iter().unzip();
        let census = Census::collect(countings.into_iter().flatten());
        let usage = Usage::collect(surveys);

        let mut counts: BTreeMap<(&str, &str), (u64, u64)> = BTreeMap::new();
        for ((_, tag), shares) in &census.shares {
            for (share, name) in shares.iter().zip(status::NAMES).filter(|(share, _)| share.tally.files > 0) {
                let (files, reclaimable) = counts.entry((tag, name)).or_default();
                *files += share.tally.files;
                *reclaimable += share.reclaimable.files;
            }
        }
        let expected = [
            (("", "foreign"), (2, 0)), // of two kinds of owner
            (("cpython-311", "corrupt"), (1, 1)),
            (("cpython-312", "stale"), (1, 1)),
            (("cpython-312", "temporary"), (1, 0)), // it is too young
            (("cpython-313", "orphan"), (2, 2)),
            (("cpython-313", "stale"), (1, 1)),
        ];
        assert_eq!(counts, expected.into());
        let (mut total, mut reclaimable) = (Tally::default(), Tally::default());
        for share in census.shares.values().flatten() {
            total += share.tally;
            reclaimable += share.reclaimable;
        }
        assert_eq!((total, reclaimable), (usage.total, usage.reclaimable));
        assert_eq!(total.bytes, 5 * 16 + 5 + 4, "the hard link counts no room");
    }
}
