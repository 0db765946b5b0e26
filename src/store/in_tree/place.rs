//! A directory of sources on the way through a sweep: its path, and whose it is.

use super::repository::Repository;
use super::root::Root;
use crate::pyc::name::joined;
use crate::source::owner::{Owner, Ownership, directory_owner};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// A directory of sources. It lives as long as one below it is still to be looked at.
#[derive(Debug)]
pub struct SourcePlace {
    /// The path from the root of the sweep, without a leading slash; empty for the root.
    pub relative: Box<[u8]>,
    parent: Option<Arc<SourcePlace>>,
    /// Whether bytecode lies directly in it or in its `__pycache__`.
    holds_bytecode: OnceLock<bool>,
    ownership: OnceLock<Ownership>,
    /// The repositories that the directories above are in, and this one as well once that is known.
    around: Option<Arc<Repository>>,
    repository: OnceLock<Option<Arc<Repository>>>,
}

impl SourcePlace {
    pub(crate) fn root(root: &Root) -> SourcePlace {
        SourcePlace::new(Box::default(), None, Repository::around(&root.real_path))
    }

    pub(crate) fn below(parent: &Arc<SourcePlace>, name: &[u8]) -> SourcePlace {
        let around = parent.repository().cloned();
        SourcePlace::new(joined(&parent.relative, name).into(), Some(parent.clone()), around)
    }

    fn new(
        relative: Box<[u8]>,
        parent: Option<Arc<SourcePlace>>,
        around: Option<Arc<Repository>>,
    ) -> SourcePlace {
        let (holds_bytecode, ownership, repository) = Default::default();
        SourcePlace { relative, parent, holds_bytecode, ownership, around, repository }
    }

    /// Records that it is the root of a work tree; before anybody asks for the repository.
    pub(crate) fn begin_repository(&self, root: &Root) {
        let path = root.real_path.join(OsStr::from_bytes(&self.relative));
        let _ = self.repository.set(Some(Arc::new(Repository::new(path, self.around.clone()))));
    }

    /// The innermost repository that it is in.
    pub(crate) fn repository(&self) -> Option<&Arc<Repository>> {
        self.repository.get_or_init(|| self.around.clone()).as_ref()
    }

    /// Records what lies in it; once, before those below are begun.
    pub(crate) fn settle(&self, holds_bytecode: bool) {
        let _ = self.holds_bytecode.set(holds_bytecode);
    }

    /// Whose the bytecode here is; found out when first asked for.
    pub fn owner(&self, root: &Root) -> Arc<Owner> {
        // Downwards in a loop, not by recursion: the chain may be longer than a thread's stack.
        let unasked = |place: &&SourcePlace| place.ownership.get().is_none();
        let chain: Vec<&SourcePlace> =
            std::iter::successors(Some(self), |place| place.parent.as_deref()).take_while(unasked).collect();
        for place in chain.into_iter().rev() {
            place.ownership.get_or_init(|| place.own_territory(root));
        }
        match self.ownership.get().and_then(Ownership::owner) {
            Some(owner) => owner.clone(),
            None => Arc::new(directory_owner(&self.path(root))),
        }
    }

    /// The path as the root spells it.
    pub fn path(&self, root: &Root) -> PathBuf {
        // Joined with nothing, it would end in a slash.
        match &*self.relative {
            b"" => root.path().to_path_buf(),
            relative => root.path().join(OsStr::from_bytes(relative)),
        }
    }

    /// The ownership, given that of the parent; above the root, that of the directories on the way to it.
    fn own_territory(&self, root: &Root) -> Ownership {
        let path = self.path(root);
        let inherited = match &self.parent {
            Some(parent) => {
                let around = parent.ownership.get().cloned().unwrap_or(Ownership::Nobody);
                around.passed_on(&parent.path(root))
            }
            None => above(root.path()),
        };
        inherited.enter_present(&path, self.holds_bytecode.get().copied().unwrap_or(false))
    }
}

/// What the directories above a path pass on to it.
fn above(path: &Path) -> Ownership {
    let ancestors: Vec<&Path> = path.ancestors().skip(1).collect();
    ancestors.into_iter().rev().fold(Ownership::Nobody, |ownership, ancestor| {
        ownership.enter_present(ancestor, false).passed_on(ancestor)
    })
}
