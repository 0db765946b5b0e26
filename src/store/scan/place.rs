//! A directory of the store on the way through the scan: its path, and what it hands down to those below.

use crate::host::directory::FileKind;
use crate::pyc::name;
use crate::source::owner::{MirrorNames, Owner, Ownership, Presence};
use crate::source::{Why, is_missing};
use crate::store::Store;
use crate::units::Moment;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// A directory of the store. It lives as long as one below it is still to be scanned.
#[derive(Debug)]
pub(super) struct Place {
    /// The path from the store's root, without a leading slash; empty for the root.
    pub relative: Box<[u8]>,
    parent: Option<Arc<Place>>,
    facts: OnceLock<PlaceFacts>,
    ownership: OnceLock<Ownership>,
    /// Whether a directory here mirrors a symbolic link.
    has_links: OnceLock<bool>,
    /// Whether an entry here, or below a deleted directory, records a path with `..`; known when one was asked.
    pub is_reached_by_dots: OnceLock<bool>,
}

/// What the scan found out about a place, before those below it are begun.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlaceFacts {
    /// What became of the directory of sources that it mirrors.
    pub mirrored: Mirrored,
    /// Whether it has entries of its own.
    pub holds_entries: bool,
}

/// What became of a mirrored directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mirrored {
    /// It is there.
    Present,
    /// It was deleted with all below it, as far as entries written before this moment are concerned.
    Absent(Moment),
    /// It cannot be told, nor can what is below it.
    Unreachable(Why),
    /// The path mirrors nothing: it has a `__pycache__` component.
    Nothing,
}

impl Mirrored {
    pub(super) fn presence(self) -> Presence {
        match self {
            Mirrored::Present => Presence::Present,
            Mirrored::Absent(_) => Presence::Absent,
            Mirrored::Unreachable(_) | Mirrored::Nothing => Presence::Unreachable,
        }
    }
}

impl Place {
    pub(super) fn root() -> Place {
        Place::new(Box::default(), None)
    }

    pub(super) fn below(parent: &Arc<Place>, name: &[u8]) -> Place {
        let mut relative = Vec::with_capacity(parent.relative.len() + 1 + name.len());
        relative.extend_from_slice(&parent.relative);
        if !relative.is_empty() {
            relative.push(b'/');
        }
        relative.extend_from_slice(name);
        let parent = Some(parent.clone());
        Place::new(relative.into(), parent)
    }

    fn new(relative: Box<[u8]>, parent: Option<Arc<Place>>) -> Place {
        let (facts, ownership, has_links) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Place { relative, parent, facts, ownership, has_links, is_reached_by_dots: OnceLock::new() }
    }

    /// Whether a path with `..` behind a symbolic link may lead here: CPython opens `STORE/a/link/../b/m.pyc`, so that
    /// directory of the store has to exist at `link`, here or above. Looked up when first asked for.
    pub(super) fn may_be_reached_by_dots(&self, store: &Store) -> bool {
        let above = std::iter::successors(Some(self), |place| place.parent.as_deref());
        above
            .filter(|place| place.facts.get().is_none_or(|facts| facts.mirrored == Mirrored::Present))
            .any(|place| *place.has_links.get_or_init(|| place.mirrors_a_link(store)))
    }

    fn mirrors_a_link(&self, store: &Store) -> bool {
        let sources = self.sources();
        let is_link = |name: &[u8]| {
            let metadata = std::fs::symlink_metadata(sources.join(OsStr::from_bytes(name)));
            metadata.map_or_else(|error| !is_missing(&error), |metadata| metadata.is_symlink())
        };
        let mut found = false;
        let listed = store.directory(&self.relative).and_then(|directory| {
            directory.list(&mut Default::default(), |name, kind| {
                found |= matches!(kind, FileKind::Directory | FileKind::Unknown) && is_link(name);
            })
        });
        // What cannot be read may hide one: then every entry is asked, which is only slower.
        found || listed.is_err()
    }

    /// Its name in its parent; empty for the root.
    pub(super) fn name(&self) -> &[u8] {
        let start = self.relative.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        &self.relative[start..]
    }

    /// Whether this place lies directly in that one.
    pub(super) fn is_in(&self, other: &Arc<Place>) -> bool {
        self.parent.as_ref().is_some_and(|parent| Arc::ptr_eq(parent, other))
    }

    /// The directory of sources that it mirrors.
    pub(super) fn sources(&self) -> PathBuf {
        name::source_directory(&self.relative)
    }

    /// What the parent's fate means for this one: an answer for all below it, or nothing.
    pub(super) fn handed_down(&self) -> Option<Mirrored> {
        match self.parent.as_ref()?.facts.get()?.mirrored {
            Mirrored::Present => None,
            settled => Some(settled),
        }
    }

    /// The topmost directory above this one that mirrors a missing one; this one itself where its parent is there.
    pub(super) fn topmost_missing(&self) -> &Place {
        let mut place = self;
        while let (Some(_), Some(parent)) = (place.handed_down(), place.parent.as_deref()) {
            place = parent;
        }
        place
    }

    /// Records the facts; once, by the scan, before those below are begun.
    pub(super) fn settle(&self, facts: PlaceFacts) {
        let _ = self.facts.set(facts);
    }

    /// Whose this place is. Looked up when first asked for, upwards only as far as nobody asked before.
    pub(super) fn ownership(&self, store: &Store) -> &Ownership {
        // Downwards in a loop, not by recursion: the chain may be as long as a path, longer than a thread's stack.
        let unasked = |place: &&Place| place.ownership.get().is_none();
        let chain = std::iter::successors(self.parent.as_deref(), |place| place.parent.as_deref())
            .take_while(unasked);
        for place in chain.collect::<Vec<_>>().into_iter().rev() {
            place.ownership.get_or_init(|| place.own_territory(store));
        }
        self.ownership.get_or_init(|| self.own_territory(store))
    }

    /// The ownership, given that of the parent.
    fn own_territory(&self, store: &Store) -> Ownership {
        let path = self.sources();
        let inherited = match &self.parent {
            Some(parent) => parent.ownership(store).passed_on(&parent.sources()),
            None => Ownership::Nobody,
        };
        let Some(facts) = self.facts.get() else { return inherited };
        let presence = facts.mirrored.presence();
        if self.handed_down().is_some_and(|handed_down| handed_down.presence() == presence) {
            return inherited;
        }
        match presence {
            Presence::Present => inherited.enter_present(&path, facts.holds_entries),
            Presence::Absent => inherited.enter_absent(&path, &StoreMirror(store)),
            Presence::Unreachable => inherited.enter_unreachable(&path),
        }
    }

    /// The owner of the entries here.
    pub(super) fn owner(&self, store: &Store) -> Arc<Owner> {
        match self.ownership(store).owner() {
            Some(owner) => owner.clone(),
            None => Arc::new(crate::source::owner::directory_owner(&self.sources())),
        }
    }
}

/// The store as it answers for vanished sources.
struct StoreMirror<'a>(&'a Store);

impl MirrorNames for StoreMirror<'_> {
    fn names(&self, directory: &Path) -> Vec<Vec<u8>> {
        let relative = name::mirror_of(directory);
        let mut names = Vec::new();
        if let Ok(directory) = self.0.directory(relative) {
            // A listing that breaks off tells less, which is all it may do here.
            let _ = directory.list(&mut Default::default(), |name, _| names.push(name.to_vec()));
        }
        names
    }
}
