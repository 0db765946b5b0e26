//! The source beside a `NAME.pyc`, looked at again: the reason for which the file is superfluous.
//!
//! `NAME.pyc` without `NAME.py` is a module that Python imports, and may be the only copy of it. A source that was there
//! when the sweep was planned may be gone by now: a build removes the sources before it ships, a checkout switches.

use crate::host::directory::{Directory, ListBuffer};
use crate::source::listing::{Listing, UnknownKinds};
use crate::store::in_tree::found::{has_source, legacy_stem};
use crate::verdict::plan::PlannedDirectory;
use crate::verdict::victim::Victim;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What the directories under work list. Each is listed once, before the first of its files goes.
#[derive(Default)]
pub(crate) struct Companions {
    listed: Mutex<HashMap<Box<[u8]>, Arc<Listing>>>,
}

impl Companions {
    /// Whether the source is beside a victim, if it ever had to be: what has the name of an entry lies in a `__pycache__`,
    /// and there Python imports nothing that has no source.
    ///
    /// Both the listing and a look at the file count: on a case-insensitive file system a look finds `widget.py` for
    /// `Widget.pyc` too, and the listing may be older than the removal of the source.
    pub(crate) fn still_superfluous(
        &self,
        directory: &Directory,
        planned: &PlannedDirectory,
        victim: &Victim,
    ) -> bool {
        let Some((stem, _)) = legacy_stem(&victim.name) else { return true };
        let names = self.names(directory, planned, victim);
        names.is_some_and(|names| has_source(directory, &names, stem))
    }

    /// The names in the directory of a victim; none where it cannot be listed.
    fn names(
        &self,
        directory: &Directory,
        planned: &PlannedDirectory,
        victim: &Victim,
    ) -> Option<Arc<Listing>> {
        let known = || self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known().get(&planned.relative).cloned();
        let names = match found {
            Some(names) => names,
            None => {
                // The lock is not held meanwhile: other directories are under work.
                let mut names = Listing::default();
                names.read(directory, &mut ListBuffer::default(), UnknownKinds::LookUp).ok()?;
                let names = Arc::new(names);
                known().insert(planned.relative.clone(), names.clone());
                names
            }
        };
        // The victims of a directory are taken in their order by one thread.
        if planned.victims.last().is_some_and(|last| last.name == victim.name) {
            known().remove(&planned.relative);
        }
        Some(names)
    }
}
