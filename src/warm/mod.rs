//! Plans what to compile into the store ahead of use: `sources` below paths, or `stale` entries of the store, each by
//! the interpreter that will import it.

mod sources;
mod stale;

pub use sources::plan_sources;
pub use stale::plan_stale;

use crate::complaint::Complaint;
use crate::effect::compile::SourceGroup;
use crate::environment::Environment;
use crate::host::trust::runner::Runners;
use crate::pyc::InvalidationMode;
use crate::source::interpreter::Interpreters;
use crate::source::walk::Unreadable;
use crate::store::Store;
use crate::store::entry::Entry;
use crate::store::scan::{Question, Scan, Trouble, Visit, Visitor};
use crate::verdict::status::{self, Status, UncheckedHashes};
use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

/// What to compile.
#[derive(Debug, Default)]
pub struct WarmPlan {
    /// The sources, by interpreter.
    pub groups: Vec<SourceGroup>,
    /// The fresh entries of the store among these sources.
    pub fresh: HashSet<PathBuf>,
    /// Directories of programs and those that a path leaves by `..`: Python opens entries through their mirrors.
    pub program_directories: BTreeSet<PathBuf>,
    /// Whether everything requested is planned.
    pub is_whole: bool,
}

/// Which entries are made of each source.
#[derive(Debug, Clone)]
pub struct EntryChoice {
    /// How they are tied to it; a fresh entry of another mode is replaced. `None`: by timestamp, where no entry is fresh.
    pub invalidation: Option<InvalidationMode>,
    /// The optimizations: 0, 1 or 2.
    pub optimizations: BTreeSet<u8>,
}

/// A message about a plan.
#[derive(Debug)]
pub enum Remark {
    /// A path that is not compiled.
    Refused(Complaint),
    /// A part of a source tree that could not be read.
    Unreadable(Unreadable),
    /// A part of the store that could not be read.
    Trouble(Trouble),
    /// Something that is left out.
    Left(String),
    /// Sources whose interpreter may not be run, or does not exist.
    NoInterpreter(String),
    /// Something that is left out because it cannot be compiled here.
    Expected(String),
}

/// The inputs of a plan.
pub struct Planning<'a> {
    /// The surroundings.
    pub environment: &'a Environment,
    /// A scan of the whole store for everything.
    pub scan: Scan<'a>,
    /// Decides which interpreters may be run.
    pub runners: &'a Runners,
    /// Finds the interpreters that may use the store.
    pub interpreters: &'a dyn Fn() -> Interpreters,
    /// Starts a progress display, which gets the number of scanned entries; it ends with the scan.
    pub progress: &'a dyn Fn() -> Box<dyn FnMut(u64) + 'a>,
    /// Receives the messages.
    pub remarks: &'a mut dyn FnMut(Remark),
}

impl Planning<'_> {
    fn report(&mut self, remark: Remark) {
        (self.remarks)(remark);
    }
}

/// Collects the paths of the fresh entries.
struct Fresh<'a> {
    store: &'a Store,
    invalidation: Option<InvalidationMode>,
    entries: Vec<PathBuf>,
    troubles: Vec<Trouble>,
}

impl Visitor for Fresh<'_> {
    fn directory(&mut self, visit: &Visit<'_>) {
        let is_fresh = |entry: &&Entry<'_>| {
            status::judge(entry, unchecked_hashes(self.invalidation)) == Some(Status::Fresh)
                && self.invalidation.is_none_or(|wanted| entry.invalidation_mode() == Some(wanted))
        };
        let fresh = visit.entries.iter().filter(is_fresh);
        self.entries.extend(fresh.map(|entry| self.store.shown(visit.relative, entry.name)));
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.troubles.push(trouble);
    }
}

/// Imports trust an unchecked hash; whoever asks for one wants it of the source as it is.
fn unchecked_hashes(invalidation: Option<InvalidationMode>) -> UncheckedHashes {
    match invalidation {
        Some(InvalidationMode::UncheckedHash) => UncheckedHashes::Check,
        _ => UncheckedHashes::Trust,
    }
}

/// The fresh entries, of this invalidation mode if one is asked for, of sources at or below these paths, and whether all
/// could be read.
fn fresh_below(
    planning: &mut Planning<'_>,
    paths: &[PathBuf],
    invalidation: Option<InvalidationMode>,
) -> (HashSet<PathBuf>, bool) {
    let question = Question::Everything(unchecked_hashes(invalidation));
    let scan = Scan { within: paths, question, ..planning.scan };
    let new_part = || Fresh { store: scan.store, invalidation, entries: Vec::new(), troubles: Vec::new() };
    let parts = scan.run(new_part, (planning.progress)());
    let (mut all, mut is_whole) = (HashSet::new(), true);
    for Fresh { entries, troubles: of_part, .. } in parts {
        is_whole &= troubles(planning, of_part);
        all.extend(entries);
    }
    (all, is_whole)
}

/// Reports what could not be read; whether all was. A mount point is no fault.
fn troubles(planning: &mut Planning<'_>, troubles: Vec<Trouble>) -> bool {
    let is_read = troubles.iter().all(|trouble| matches!(trouble, Trouble::MountPoint { .. }));
    for trouble in troubles {
        planning.report(Remark::Trouble(trouble));
    }
    is_read
}
