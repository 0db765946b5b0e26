//! Looks at every fresh entry of a scan: its body, and what its times are worth.

use super::finding::{Finding, What};
use crate::body::{Bodies, Body};
use crate::entry::{Content, Entry};
use crate::owner::Owner;
use crate::pyc::{InvalidationMode, Magic};
use crate::scan::{Trouble, Visit, Visitor};
use crate::source::{Source, SourceFile};
use crate::status::{self, Status, UncheckedHashes};
use crate::store::Store;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// From so many sources on, one mtime for all of them is no accident.
const TREE: u64 = 10;

/// What an inspection is asked.
#[derive(Debug, Clone, Copy)]
pub struct Inspection<'a> {
    /// The store.
    pub store: &'a Store,
    /// Only entries whose sources are at or below these absolute paths; all when empty.
    pub within: &'a [PathBuf],
    /// `SOURCE_DATE_EPOCH`, in seconds since 1970.
    pub epoch: Option<i64>,
}

/// One worker's part of an inspection.
#[derive(Debug)]
pub struct Inspector<'a> {
    inspection: Inspection<'a>,
    bodies: Bodies<'a>,
    /// What was found.
    pub findings: Vec<Finding>,
    /// What could not be read.
    pub troubles: Vec<Trouble>,
    /// The entries that a recompilation can prove: their bodies are loadable, as far as can be told.
    pub candidates: Vec<Candidate>,
    /// How many fresh entries were looked at.
    pub entries: u64,
    trees: BTreeMap<PathBuf, Tree>,
}

/// An entry whose source the owning interpreter can compile again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its directory, from the store's root.
    pub relative: Box<[u8]>,
    /// Its name.
    pub name: Box<[u8]>,
    /// Its source.
    pub source: PathBuf,
    /// Its cache tag.
    pub tag: Box<str>,
    /// Its magic.
    pub magic: Magic,
    /// Its optimization: empty, `1` or `2`.
    pub optimization: Box<str>,
    /// Whether its header could hide an edit of the source.
    pub pin: Pin,
}

/// What a matching header is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin {
    /// An edit of the source would show.
    Firm,
    /// An edit may have gone unnoticed.
    Loose,
}

/// The sources of one owner.
#[derive(Debug, Clone, Copy)]
struct Tree {
    mtime: i64,
    sources: u64,
    is_one: bool,
}

impl<'a> Inspector<'a> {
    /// A worker with nothing found.
    pub fn new(inspection: Inspection<'a>) -> Inspector<'a> {
        Inspector {
            inspection,
            bodies: Bodies::of(inspection.store),
            findings: Vec::new(),
            troubles: Vec::new(),
            candidates: Vec::new(),
            entries: 0,
            trees: BTreeMap::new(),
        }
    }

    /// Joins what all workers found; sorted by path.
    pub fn collect(parts: Vec<Inspector<'a>>, inspection: Inspection<'a>) -> Inspector<'a> {
        let mut all = Inspector::new(inspection);
        for part in parts {
            all.findings.extend(part.findings);
            all.troubles.extend(part.troubles);
            all.candidates.extend(part.candidates);
            all.entries += part.entries;
            for (root, tree) in part.trees {
                all.trees.entry(root).and_modify(|seen| seen.join(tree)).or_insert(tree);
            }
        }
        let frozen = all.trees.iter().filter(|(_, tree)| tree.is_one && tree.sources >= TREE);
        let frozen = frozen.filter(|(_, tree)| !inspection.is_frozen(tree.mtime)).map(|(root, tree)| {
            let what = What::FrozenTree { mtime: tree.mtime, sources: tree.sources };
            Finding { path: root.clone(), what }
        });
        all.findings.extend(frozen);
        all.findings.sort_by(|one, other| one.path.cmp(&other.path));
        all.troubles.sort_by(|one, other| one.path().cmp(other.path()));
        all.candidates.sort_by(|one, other| (&one.relative, &one.name).cmp(&(&other.relative, &other.name)));
        all
    }

    fn look_at(&mut self, visit: &Visit<'_>, entry: &Entry<'_>, source_path: &Path, source: &SourceFile) {
        let Some(slot) = entry.parsed.slot() else { return };
        let Content::Read(Ok(header), _) = entry.content else { return };
        self.entries += 1;
        let mut found = Vec::new();
        let mut is_loadable = false;
        match self.bodies.walk(visit.relative, entry.name, slot.tag, header.magic) {
            Ok(Body::Loadable(walked)) => {
                is_loadable = true;
                found.extend(moved(&walked.filename, source_path).map(What::Moved));
            }
            Ok(Body::Faulty(fault)) => found.push(What::Body(fault)),
            // Its interpreter may know.
            Ok(Body::NotChecked) => is_loadable = true,
            // Others use the store meanwhile.
            Err(error) if crate::source::is_missing(&error) => return,
            Err(error) => {
                let path = self.inspection.store.shown(visit.relative, entry.name);
                self.troubles.push(Trouble::File { path, source: error });
                return;
            }
        }
        let mut pin = Pin::Firm;
        if header.invalidation_mode() == InvalidationMode::Timestamp {
            let doubt = self.inspection.doubt(entry, source);
            pin = if doubt.is_some() { Pin::Loose } else { Pin::Firm };
            found.extend(doubt);
            let tree = Tree { mtime: source.python_mtime, sources: 1, is_one: true };
            let owner: std::sync::Arc<Owner> = visit.owner();
            let root = owner.environment.as_ref().unwrap_or(&owner.root);
            match self.trees.get_mut(root) {
                Some(seen) => seen.join(tree),
                None => drop(self.trees.insert(root.clone(), tree)),
            }
        } else if header.invalidation_mode() == InvalidationMode::UncheckedHash {
            pin = Pin::Loose;
        }
        // What import hooks write (pytest, typeguard) is not what the source compiles to.
        if is_loadable && slot.pytest.is_none() && matches!(slot.optimization, "" | "1" | "2") {
            self.candidates.push(Candidate {
                relative: visit.relative.into(),
                name: entry.name.into(),
                source: source_path.to_path_buf(),
                tag: slot.tag.into(),
                magic: header.magic,
                optimization: slot.optimization.into(),
                pin,
            });
        }
        let path = self.inspection.store.shown(visit.relative, entry.name);
        self.findings.extend(found.into_iter().map(|what| Finding { path: path.clone(), what }));
    }
}

impl Visitor for Inspector<'_> {
    fn directory(&mut self, visit: &Visit<'_>) {
        let sources = visit.source_directory();
        for entry in visit.entries {
            let (Some(Status::Fresh), Source::Present(source)) =
                (status::judge(entry, UncheckedHashes::Trust), entry.source)
            else {
                continue;
            };
            let Some(name) = entry.source_name() else { continue };
            let path = sources.join(OsStr::from_bytes(&name));
            if self.inspection.admits(&path) {
                self.look_at(visit, entry, &path, &source);
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

    fn is_frozen(&self, mtime: i64) -> bool {
        matches!(mtime, 0 | 1) || self.epoch == Some(mtime)
    }

    /// Why a timestamp that matches may not mean anything.
    fn doubt(&self, entry: &Entry<'_>, source: &SourceFile) -> Option<What> {
        if self.is_frozen(source.python_mtime) {
            return Some(What::Frozen(source.python_mtime));
        }
        let (changed, written) = (source.modified, entry.metadata?.modified);
        if (changed.seconds, changed.nanoseconds) > (written.seconds, written.nanoseconds) {
            Some(What::Racy)
        } else if changed.seconds == written.seconds {
            Some(What::SameSecond)
        } else {
            None
        }
    }
}

impl Tree {
    fn join(&mut self, other: Tree) {
        self.sources += other.sources;
        self.is_one &= other.is_one && self.mtime == other.mtime;
    }
}

/// The path in the code object where it is not that of the mirrored source. A relative one tells nothing: it began in
/// a working directory that nobody knows. Dots are resolved as the mirror's path resolves them.
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
    fn a_file_name_elsewhere_is_told() {
        let source = Path::new("/a/b.py");
        assert_eq!(moved(b"/a/b.py", source), None);
        assert_eq!(moved(b"/a/./c/../b.py", source), None);
        assert_eq!(moved(b"b.py", source), None);
        assert_eq!(moved(b"/old/b.py", source), Some("/old/b.py".into()));
        assert_eq!(moved(b"/a/b.pyw", source), Some("/a/b.pyw".into()));
    }
}
