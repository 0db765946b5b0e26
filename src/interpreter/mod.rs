//! The Pythons on this machine: which cache tags and magics something here would still load.
//!
//! Read from the disk; no interpreter is run (one that hangs, or that is not what its name says, must not stop an
//! unattended prune). `version` reads names and texts, `installation` an installation, `environment` a virtualenv,
//! `places` knows where the tools that install Pythons put them.
//!
//! An interpreter that is missed makes its entries look dead, so every doubt is kept: a Python whose version cannot
//! be told, a directory that cannot be read, a tag of an implementation that would not be recognised.
//!
//! # Invariants
//!
//! * [`Loads::No`] is said only when at least one interpreter was found, everything was looked into, and each one
//!   with that tag is known to load another magic.
//! * Whatever an interpreter states about its magic itself goes before the table of releases; one that may be a
//!   pre-release is never judged by that table.

mod environment;
mod installation;
mod mirrored;
mod places;
#[cfg(test)]
mod tests;
mod version;

pub use mirrored::MirroredInstallations;
pub use places::{FoundBy, MirroredLibrary, Places, ToolDirectory};
pub use version::{Build, Implementation, Stage, Version};

use crate::pyc::Magic;
use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

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

/// Whether an interpreter on this machine loads what has a certain tag and magic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loads {
    /// One does.
    Yes,
    /// None does.
    No,
    /// It cannot be told.
    CannotTell,
}

/// A place that could not be looked into.
#[derive(Debug, thiserror::Error)]
#[error("cannot look for interpreters in {}", .path.display())]
pub struct Unreadable {
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
    pub unreadable: Vec<Unreadable>,
}

impl Interpreters {
    /// Looks for them in all of these places.
    pub fn find(places: &Places) -> Interpreters {
        places.search()
    }

    /// Those that use a store and whose tag is known.
    pub fn with_store(&self) -> impl Iterator<Item = (&str, &Interpreter)> {
        self.found
            .iter()
            .filter(|interpreter| interpreter.store_use == StoreUse::Uses)
            .filter_map(|interpreter| Some((interpreter.tag.as_deref()?, interpreter)))
    }

    /// Their cache tags, each once, in order of implementation and version.
    pub fn tags(&self) -> Vec<&str> {
        let mut tags: Vec<&str> = self.with_store().map(|(tag, _)| tag).collect();
        tags.dedup();
        tags
    }

    /// Whether one of them loads an entry with this tag and magic, as far as these two decide it.
    pub fn loads(&self, tag: &str, magic: Magic) -> Loads {
        let mut same_tag =
            self.with_store().filter(|(own, _)| *own == tag).map(|(_, it)| it.magic).peekable();
        let is_installed = same_tag.peek().is_some();
        let magics: Vec<Option<Magic>> = same_tag.collect();
        let all_looked_at = self.unidentified.is_empty() && self.unreadable.is_empty();
        let any_found = self.with_store().next().is_some();
        if magics.contains(&Some(magic)) {
            Loads::Yes
        } else if magics.contains(&None) || !all_looked_at || !any_found {
            Loads::CannotTell
        } else if is_installed || Implementation::recognises(tag) {
            Loads::No
        } else {
            Loads::CannotTell
        }
    }
}
