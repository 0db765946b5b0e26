//! The other hard links of entries in the store, found by one scan for all entries.

use crate::cli::output::complain;
use crate::cli::session::{Opened, Session};
use pycstore::exit::Exit;
use pycstore::store::Store;
use pycstore::store::scan::{Question, Trouble, Visit, Visitor};
use pycstore::verdict::status::UncheckedHashes;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Maximum number of links that are shown.
const SHOWN: usize = 20;

/// The links of files in the store, by device and inode.
#[derive(Debug, Default)]
pub(super) struct LinksByFile(HashMap<(u64, u64), FoundLinks>);

#[derive(Debug, Default)]
struct FoundLinks {
    count: u64,
    /// The first links in order, and one more, because one may be the entry itself.
    first: BTreeSet<PathBuf>,
}

/// The other links of an entry's file.
#[derive(Debug)]
pub(super) struct OtherLinks<'a> {
    /// How many there are in the store.
    pub count: u64,
    /// The first of them.
    pub first: Vec<&'a Path>,
}

impl<'a> OtherLinks<'a> {
    /// These paths, of which the first are shown.
    pub(super) fn among(paths: &'a [PathBuf]) -> OtherLinks<'a> {
        let first = paths.iter().take(SHOWN).map(PathBuf::as_path).collect();
        OtherLinks { count: paths.len() as u64, first }
    }
}

struct LinkFinder<'a> {
    store: &'a Store,
    wanted: &'a HashSet<(u64, u64)>,
    found: LinksByFile,
    troubles: Vec<Trouble>,
}

impl Visitor for LinkFinder<'_> {
    fn directory(&mut self, visit: &Visit<'_>) {
        for entry in visit.entries {
            if let Some(metadata) = entry.metadata
                && self.wanted.contains(&metadata.identity)
            {
                let path = self.store.shown(visit.relative, entry.name);
                self.found.add(metadata.identity, 1, [path]);
            }
        }
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.troubles.push(trouble);
    }
}

impl LinksByFile {
    fn add(&mut self, identity: (u64, u64), count: u64, paths: impl IntoIterator<Item = PathBuf>) {
        let links = self.0.entry(identity).or_default();
        links.count += count;
        for path in paths {
            links.first.insert(path);
            if links.first.len() > SHOWN + 1 {
                links.first.pop_last();
            }
        }
    }

    /// The links of a file other than `own`; `None` if there are none.
    pub(super) fn of(&self, identity: (u64, u64), own: &Path) -> Option<OtherLinks<'_>> {
        let links = self.0.get(&identity).filter(|links| links.count > 1)?;
        let first = links.first.iter().map(PathBuf::as_path).filter(|path| *path != own).take(SHOWN);
        Some(OtherLinks { count: links.count - 1, first: first.collect() })
    }
}

/// Finds the links of these entries; scans nothing if each is the only link of its file.
pub(super) fn find(session: &Session, opened: &Opened, entries: &[PathBuf]) -> (LinksByFile, Exit) {
    let linked = entries.iter().filter_map(|entry| {
        let metadata = session.environment.absolute(entry).symlink_metadata().ok()?;
        (metadata.is_file() && metadata.nlink() > 1).then(|| (metadata.dev(), metadata.ino()))
    });
    let wanted: HashSet<(u64, u64)> = linked.collect();
    let mut all = LinksByFile::default();
    if wanted.is_empty() {
        return (all, Exit::Done);
    }
    let new_finder = || LinkFinder {
        store: &opened.store,
        wanted: &wanted,
        found: LinksByFile::default(),
        troubles: Vec::new(),
    };
    let scan = opened.scan(Question::Everything(UncheckedHashes::Trust));
    let mut troubles = Vec::new();
    for part in session.scan(&scan, new_finder) {
        troubles.extend(part.troubles);
        for (identity, links) in part.found.0 {
            all.add(identity, links.count, links.first);
        }
    }
    (all, complain::troubles(&troubles))
}
