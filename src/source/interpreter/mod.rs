//! The Pythons on this machine: which cache tags and magics something here would still load.
//!
//! Read from the disk; no interpreter is run (one that hangs, or that is not what its name says, must not stop an
//! unattended prune). `version` reads names and texts, `installation` finds installations, `description` reads what their files
//! state, `environment` a virtualenv, `places` knows where the tools that install Pythons put them, `mirrored` what a store tells
//! of those that write to it.
//!
//! An interpreter that is missed makes its entries look dead, so every doubt is kept: a Python whose version cannot
//! be told, a directory that cannot be read, a tag of an implementation that would not be recognised.
//!
//! # Invariants
//!
//! * [`Interpreters::loads`] says [`Loads::No`] only of a tag of which the tables in `pyc/magic.rs` know all, and only when at least
//!   one interpreter was found, everything was looked into, and each one with that tag is known to load another magic.
//! * Whatever an interpreter states about its magic itself goes before the table of releases; one that may be a
//!   pre-release is never judged by that table.

mod description;
pub(crate) mod environment;
mod installation;
pub(crate) mod library;
mod places;
pub(crate) mod version;

#[cfg(any(test, fuzzing))]
pub(crate) use environment::stated_executables;
pub use library::MirroredLibrary;
pub use places::{FoundBy, Places, Reach, ToolDirectory};
pub use version::{Build, Implementation, Stage, Version};

use crate::pyc::{Loads, Magic, TaggedMagics};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// A Python on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// Its executable, links resolved; none for a library that is only embedded.
    pub executable: Option<PathBuf>,
    /// The root of the installation, links resolved (`sys.base_prefix`).
    pub prefix: PathBuf,
    /// Its implementation.
    pub implementation: Implementation,
    /// Its version.
    pub version: Version,
    /// How it was built.
    pub build: Build,
    /// Its cache tag; Python 2 has none.
    pub tag: Option<String>,
    /// The magic that it loads; none if that cannot be told.
    pub magic: Option<Magic>,
    /// Whether it uses a store at all.
    pub store_use: StoreUse,
    /// How it was found.
    pub found_by: BTreeSet<FoundBy>,
}

/// Whether an interpreter honours `PYTHONPYCACHEPREFIX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreUse {
    /// 3.8 and later: it reads and writes there.
    Uses,
    /// Before 3.8: it does neither.
    Ignores,
}

/// A place that could not be looked into.
#[derive(Debug, thiserror::Error)]
#[error("cannot look for interpreters in {}", .path.display())]
pub struct UnreadablePlace {
    /// The place.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// The Pythons on this machine.
#[derive(Debug, Default)]
pub struct Interpreters {
    /// Those that were found, by implementation, version and prefix; each once.
    pub found: Vec<Interpreter>,
    /// Executables that are a Python of which neither version nor tag could be told.
    pub unidentified: Vec<PathBuf>,
    /// Places that could not be looked into.
    pub unreadable: Vec<UnreadablePlace>,
    /// Standard libraries that a store has entries for, and that may be on a disk which is not mounted.
    pub out_of_reach: Vec<MirroredLibrary>,
}

impl Interpreters {
    /// Looks for them in all of these places.
    pub fn find(places: &Places) -> Interpreters {
        places.search()
    }

    /// The interpreters that an executable may be; for the executable of a virtualenv, those that it runs.
    pub fn of_executable(executable: &Path) -> Interpreters {
        let mut finder = installation::Finder::default();
        finder.executable(executable, FoundBy::Path);
        finder.finish()
    }

    /// Those that use a store and whose tag is known.
    pub fn with_store(&self) -> impl Iterator<Item = (&str, &Interpreter)> {
        self.found
            .iter()
            .filter(|interpreter| interpreter.store_use == StoreUse::Uses)
            .filter_map(|interpreter| Some((interpreter.tag.as_deref()?, interpreter)))
    }

    /// The magics that they state by their tags, for [`crate::pyc::StatedMagics`].
    pub fn stated(&self) -> TaggedMagics {
        self.with_store().filter_map(|(tag, it)| Some((tag.to_string(), it.magic?))).collect()
    }

    /// Their cache tags, each once, in order of implementation and version.
    pub fn tags(&self) -> Vec<&str> {
        let mut tags: Vec<&str> = self.with_store().map(|(tag, _)| tag).collect();
        tags.dedup();
        tags
    }

    /// Whether one of them loads an entry with this tag and magic, as far as these two decide it.
    pub fn loads(&self, tag: &str, magic: Magic) -> Loads {
        let same_tag = self.with_store().filter(|(own, _)| *own == tag);
        let magics: Vec<Option<Magic>> = same_tag.map(|(_, it)| it.magic).collect();
        let all_looked_at = self.unidentified.is_empty() && self.unreadable.is_empty();
        let any_found = self.with_store().next().is_some();
        let may_be_away = self.out_of_reach.iter().any(|library| library.tag == tag);
        if magics.contains(&Some(magic)) {
            Loads::Yes
        } else if magics.contains(&None) || may_be_away || !all_looked_at || !any_found {
            Loads::CannotTell
        } else if !Magic::knows_all_of_tag(tag) {
            // What this program does not know it does not judge.
            Loads::CannotTell
        } else {
            Loads::No
        }
    }
}
