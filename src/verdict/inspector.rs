//! Checks the body of every fresh entry of a scan, and whether its timestamps can be trusted.
//!
//! # Faults that headers do not show
//!
//! An entry can pass every test of its header and still break every import or run old code:
//!
//! * its **body** is not a code object: every import raises (`EOFError`, `ValueError`) until the entry is removed;
//! * its hash is one that Python leaves **unchecked**, and no longer that of the source;
//! * it is **racy**: the source was changed after it was compiled, but within the second and without a change of
//!   size (what git calls racily clean);
//! * the source's inode was **changed** after the entry was written, with the same mtime and size: rsync, tar and mutation
//!   testers set the mtime back. So do chmod and copying without an edit, and so does each hard link;
//! * the sources' mtime is **frozen** (0, 1, 1980-01-01, 2020-02-02, `SOURCE_DATE_EPOCH`), as Nix, OSTree, images and
//!   build back ends set it: a change that keeps the size is invisible to Python;
//! * it was **moved**: it was compiled from a source elsewhere;
//! * it is a **mismatch**: it is not what the source compiles to. Only the interpreter can prove that ([`crate::effect::prove`]).
//!
//! The body of a file with several hard links is walked once for all of them; each is compared with its own source.
//! Its code object names the source of only one of them, so that `moved` is not reported.
//!
//! Only fresh entries are checked: Python recompiles the others anyway. Entries with an unknown magic or format are not
//! checked.

use super::finding::{EntryFinding, What};
use crate::pyc::marshal::Fault;
use crate::pyc::{Header, InvalidationMode, Magic};
use crate::source::owner::Owner;
use crate::source::{Source, SourceFile, Why};
use crate::store::Store;
use crate::store::body::Body;
use crate::store::entry::{Content, Entry, SeenEntry};
use crate::store::scan::{Trouble, Visit, Visitor};
use crate::verdict::status::{self, Stale, Status, UncheckedHashes};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The number of entries of one owner from which changed inodes are one finding: a copy or `chmod -R` changes all.
const MANY_CHANGED: usize = 10;

/// mtimes that are not the time of an edit, in seconds since 1970: 0 (OSTree), 1 (Nix), 1980-01-01 (the oldest in ZIP, and
/// the default of several build back ends) and 2020-02-02 (hatchling's).
const FROZEN: [i64; 4] = [0, 1, 315_532_800, 1_580_601_600];

/// Whether an mtime, in seconds since 1970, is not the time of an edit.
fn is_frozen(mtime: i64) -> bool {
    FROZEN.contains(&mtime)
}

/// The parameters of an inspection.
#[derive(Debug, Clone, Copy)]
pub struct Inspection<'a> {
    /// The store.
    pub store: &'a Store,
    /// Only entries whose sources are at or below these absolute paths; all when empty.
    pub within: &'a [PathBuf],
    /// `SOURCE_DATE_EPOCH`, in seconds since 1970.
    pub epoch: Option<i64>,
    /// The bodies of files with several links; shared by the workers.
    pub walked: &'a WalkedBodies,
    /// Whether the entries that a recompilation can check are collected.
    pub candidates: Candidates,
}

/// Whether the entries that a recompilation can check are collected. They need several hundred bytes each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Candidates {
    /// They are collected, and no doubt about one of them is only counted.
    Collect,
    /// There is no recompilation: memory does not grow with the sound entries.
    Skip,
}

/// The walked bodies of files with several hard links, by device, inode, length and cache tag.
#[derive(Debug, Default)]
pub struct WalkedBodies(Mutex<HashMap<LinkedBody, WalkedBody>>);

type LinkedBody = ((u64, u64), u64, Box<str>);

/// The result of the walk over an entry's body.
#[derive(Debug, Clone)]
enum WalkedBody {
    /// It is a code object; with its path, if that differs from the source's.
    Loadable(Option<PathBuf>),
    /// It cannot be loaded.
    Faulty(Fault),
    /// The format is not known.
    NotChecked,
}

/// One worker's part of an inspection.
#[derive(Debug)]
pub struct Inspector<'a> {
    inspection: Inspection<'a>,
    /// What was found.
    pub findings: Vec<EntryFinding>,
    /// What could not be read.
    pub troubles: Vec<Trouble>,
    /// The entries that a recompilation can check: their bodies seem loadable. None with [`Candidates::Skip`].
    pub candidates: Vec<Candidate>,
    /// The number of checked fresh entries.
    pub entries: u64,
    /// How many entries have a magic or body of a format that is not known, by cache tag.
    pub not_checked: BTreeMap<Box<str>, u64>,
    owners: BTreeMap<PathBuf, Suspects>,
}

/// An entry whose source the owning interpreter can compile again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The entry.
    pub entry: SeenEntry,
    /// Its source.
    pub source: PathBuf,
    /// Its cache tag.
    pub tag: Box<str>,
    /// Its magic.
    pub magic: Magic,
    /// Its optimization: empty, `1` or `2`.
    pub optimization: Box<str>,
}

/// What makes the timestamps of one owner's entries doubtful.
#[derive(Debug, Default)]
struct Suspects {
    /// How many sources have each mtime of [`FROZEN`].
    frozen: BTreeMap<i64, u64>,
    /// The entries whose sources' inodes were changed after they were written.
    changed: Vec<EntryFinding>,
    /// How many more there are.
    more_changed: u64,
}

impl<'a> Inspector<'a> {
    /// A worker with nothing found.
    pub fn new(inspection: Inspection<'a>) -> Inspector<'a> {
        Inspector {
            inspection,
            findings: Vec::new(),
            troubles: Vec::new(),
            candidates: Vec::new(),
            entries: 0,
            not_checked: BTreeMap::new(),
            owners: BTreeMap::new(),
        }
    }

    /// Joins what all workers found.
    pub fn collect(parts: Vec<Inspector<'a>>, inspection: Inspection<'a>) -> Inspector<'a> {
        let mut all = Inspector::new(inspection);
        for part in parts {
            all.findings.extend(part.findings);
            all.troubles.extend(part.troubles);
            all.candidates.extend(part.candidates);
            all.entries += part.entries;
            for (tag, entries) in part.not_checked {
                *all.not_checked.entry(tag).or_default() += entries;
            }
            for (root, suspects) in part.owners {
                all.owners.entry(root).or_default().append(suspects);
            }
        }
        all.troubles.sort_by(|one, other| one.path().cmp(other.path()));
        let key = |candidate: &Candidate| (candidate.entry.relative.clone(), candidate.entry.name.clone());
        all.candidates.sort_by_cached_key(key);
        all
    }

    /// The findings, sorted by path, without the doubts about entries in `decided`: those that a recompilation compared
    /// with their sources.
    pub fn into_findings(mut self, decided: &BTreeSet<PathBuf>) -> Vec<EntryFinding> {
        self.findings.retain(|finding| !finding.what.is_doubt() || !decided.contains(&finding.path));
        for (root, mut suspects) in self.owners {
            suspects.changed.retain(|finding| !decided.contains(&finding.path));
            let about = |what| EntryFinding { path: root.clone(), what, entry: None };
            let frozen = suspects.frozen.into_iter();
            self.findings.extend(frozen.map(|(mtime, sources)| about(What::Frozen { mtime, sources })));
            match suspects.changed.len() as u64 + suspects.more_changed {
                many if many >= MANY_CHANGED as u64 => self.findings.push(about(What::ManyChanged(many))),
                _ => self.findings.append(&mut suspects.changed),
            }
        }
        let store = self.inspection.store.shown(b"", b"");
        self.findings.extend(self.not_checked.into_iter().map(|(tag, entries)| EntryFinding {
            path: store.clone(),
            what: What::NotChecked { tag, entries },
            entry: None,
        }));
        self.findings.sort_by(|one, other| one.path.cmp(&other.path));
        self.findings
    }

    /// Checks a fresh entry and adds findings.
    fn look_at(
        &mut self,
        visit: &Visit<'_>,
        entry: &Entry<'_>,
        source_path: &Path,
        source: &SourceFile,
    ) -> Option<()> {
        let slot = entry.parsed.slot()?;
        let Content::Read(Ok(header), _) = entry.content else { return None };
        let seen = SeenEntry::new(visit.relative, entry)?;
        let path = self.inspection.store.shown(visit.relative, entry.name);
        let finding = |what| EntryFinding { path: path.clone(), what, entry: Some(seen.clone()) };
        let is_loadable = match self.inspection.walk(visit, entry, source_path) {
            Ok(Some(WalkedBody::Loadable(moved))) => {
                self.findings.extend(moved.map(What::Moved).map(finding));
                true
            }
            Ok(Some(WalkedBody::Faulty(fault))) => {
                self.findings.push(finding(What::Body(fault)));
                false
            }
            Ok(Some(WalkedBody::NotChecked)) => {
                *self.not_checked.entry(slot.tag.into()).or_default() += 1;
                // Its interpreter may know.
                true
            }
            Ok(None) => return None,
            // Others use the store meanwhile.
            Err(error) if crate::source::is_missing(&error) => return None,
            Err(source) => {
                self.troubles.push(Trouble::File { path, source });
                return None;
            }
        };
        self.entries += 1;
        match doubt(entry, &header, source) {
            Some(What::Changed) => {
                let candidates = self.inspection.candidates;
                self.suspects(visit).add_changed(candidates, || finding(What::Changed));
            }
            Some(what) => self.findings.push(finding(what)),
            None => {}
        }
        // What import hooks write (pytest, typeguard) is not what the source compiles to.
        let is_candidate = is_loadable && self.inspection.candidates == Candidates::Collect;
        if is_candidate && slot.pytest.is_none() && matches!(slot.optimization, "" | "1" | "2") {
            self.candidates.push(Candidate {
                entry: seen,
                source: source_path.to_path_buf(),
                tag: slot.tag.into(),
                magic: header.magic,
                optimization: slot.optimization.into(),
            });
        }
        Some(())
    }

    /// The doubts about the entries of a directory's owner.
    fn suspects(&mut self, visit: &Visit<'_>) -> &mut Suspects {
        let owner: Arc<Owner> = visit.owner();
        let root = owner.environment.as_ref().unwrap_or(&owner.root);
        self.owners.entry(root.clone()).or_default()
    }
}

impl Visitor for Inspector<'_> {
    fn directory(&mut self, visit: &Visit<'_>) {
        let sources = visit.source_directory();
        // A source may have several entries, and counts once.
        let mut frozen: BTreeSet<PathBuf> = BTreeSet::new();
        for entry in visit.entries {
            let Some(path) = entry.source_path(&sources) else { continue };
            if !self.inspection.admits(&path) {
                continue;
            }
            match (status::judge(entry, UncheckedHashes::Trust), entry.source) {
                (Some(Status::Fresh), Source::Present(source)) => {
                    self.look_at(visit, entry, &path, &source);
                    if self.inspection.is_frozen(entry, &source) && frozen.insert(path) {
                        *self.suspects(visit).frozen.entry(source.python_mtime).or_default() += 1;
                    }
                }
                (Some(Status::Unknown(Why::Magic)), _) => {
                    let tag = entry.parsed.slot().map_or("", |slot| slot.tag);
                    *self.not_checked.entry(tag.into()).or_default() += 1;
                }
                _ => {}
            }
        }
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.troubles.push(trouble);
    }
}

impl Inspection<'_> {
    fn admits(&self, source: &Path) -> bool {
        self.within.is_empty() || self.within.iter().any(|within| source.starts_with(within))
    }

    /// Walks the body of an entry, or takes the result from another link of the file; `None` if it has no header.
    fn walk(&self, visit: &Visit<'_>, entry: &Entry<'_>, source: &Path) -> io::Result<Option<WalkedBody>> {
        let linked = entry.metadata.filter(|metadata| metadata.links > 1).zip(entry.parsed.slot());
        let linked = linked.map(|(metadata, slot)| (metadata.identity, metadata.bytes, slot.tag.into()));
        let known = || self.walked.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(walk) = linked.as_ref().and_then(|linked| known().get(linked).cloned()) {
            return Ok(Some(walk));
        }
        let Some(body) = visit.body(entry)? else { return Ok(None) };
        let walk = match body {
            Body::Loadable(walked) => {
                let is_compared = linked.is_none() && entry.recorded.is_none();
                WalkedBody::Loadable(moved(&walked.filename, source).filter(|_| is_compared))
            }
            Body::Faulty(fault) => WalkedBody::Faulty(fault),
            Body::NotChecked => WalkedBody::NotChecked,
        };
        if let Some(linked) = linked {
            known().insert(linked, walk.clone());
        }
        Ok(Some(walk))
    }

    /// Whether the entry depends on an mtime that is not the time of an edit.
    fn is_frozen(&self, entry: &Entry<'_>, source: &SourceFile) -> bool {
        let is_timestamp = matches!(entry.content, Content::Read(Ok(header), _)
            if header.invalidation_mode() == InvalidationMode::Timestamp);
        let mtime = source.python_mtime;
        is_timestamp && (is_frozen(mtime) || self.epoch == Some(mtime))
    }
}

impl Suspects {
    /// Adds an entry. Where all doubts count, the number is enough from [`MANY_CHANGED`] on.
    fn add_changed(&mut self, candidates: Candidates, finding: impl FnOnce() -> EntryFinding) {
        if candidates == Candidates::Skip && self.changed.len() >= MANY_CHANGED {
            self.more_changed += 1;
        } else {
            self.changed.push(finding());
        }
    }

    fn append(&mut self, other: Suspects) {
        for (mtime, sources) in other.frozen {
            *self.frozen.entry(mtime).or_default() += sources;
        }
        self.changed.extend(other.changed);
        self.more_changed += other.more_changed;
    }
}

/// Returns why a matching header may be wrong.
///
/// An edit always changes the inode, even if the mtime is set back: if the last change (`st_ctime`, which no program can
/// set) is not after the entry was written, there was no edit. A source with several links proves nothing, because creating
/// or removing any link is a change too (uv links from its cache into every environment).
pub(super) fn doubt(entry: &Entry<'_>, header: &Header, source: &SourceFile) -> Option<What> {
    match header.invalidation_mode() {
        InvalidationMode::UncheckedHash => {
            let is_old = status::judge(entry, UncheckedHashes::Check) == Some(Status::Stale(Stale::Hash));
            is_old.then_some(What::Unchecked)
        }
        InvalidationMode::CheckedHash => None,
        InvalidationMode::Timestamp => {
            let written = entry.metadata?.modified;
            if source.changed <= written {
                None
            } else if source.modified > written {
                Some(What::Racy)
            } else {
                (source.links == 1).then_some(What::Changed)
            }
        }
    }
}

/// Returns the path in the code object if it is not that of the mirrored source. A relative path is ignored: its
/// working directory is unknown. Dots are resolved as in the mirror's path.
pub fn moved(filename: &[u8], source: &Path) -> Option<PathBuf> {
    let filename = Path::new(OsStr::from_bytes(filename));
    if !filename.is_absolute() {
        return None;
    }
    let mut plain = PathBuf::new();
    for component in filename.components() {
        match component {
            Component::ParentDir => drop(plain.pop()),
            component => plain.push(component),
        }
    }
    (plain != source).then(|| filename.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_do_not_grow_with_the_changed_entries_of_an_owner() {
        let finding = || EntryFinding { path: "/a/b.pyc".into(), what: What::Changed, entry: None };
        let suspects = |candidates, entries| {
            let mut suspects = Suspects::default();
            (0..entries).for_each(|_| suspects.add_changed(candidates, finding));
            suspects
        };
        // Two workers met entries of the same owner.
        let mut both = suspects(Candidates::Skip, 70_000);
        both.append(suspects(Candidates::Skip, 30));
        assert_eq!((both.changed.len(), both.more_changed), (2 * MANY_CHANGED, 69_990 + 20));
        // A recompilation decides some of them.
        assert_eq!(suspects(Candidates::Collect, 70_000).changed.len(), 70_000);
    }

    #[test]
    fn a_file_name_elsewhere_is_told() {
        let source = Path::new("/a/b.py");
        assert_eq!(moved(b"/a/b.py", source), None);
        assert_eq!(moved(b"/a/./c/../b.py", source), None);
        assert_eq!(moved(b"b.py", source), None);
        assert_eq!(moved(b"/old/b.py", source), Some("/old/b.py".into()));
        assert_eq!(moved(b"/a/b.pyw", source), Some("/a/b.pyw".into()));
    }
}
