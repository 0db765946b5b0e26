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
use crate::source::interpreter::Interpreters;
use crate::source::walk::Unreadable;
use crate::store::Store;
use crate::store::scan::{Scan, Trouble, Visit, Visitor};
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
    entries: Vec<PathBuf>,
    troubles: Vec<Trouble>,
}

impl Visitor for Fresh<'_> {
    fn directory(&mut self, visit: &Visit<'_>) {
        let is_fresh = |status| status == Some(Status::Fresh);
        let fresh =
            visit.entries.iter().filter(|entry| is_fresh(status::judge(entry, UncheckedHashes::Trust)));
        self.entries.extend(fresh.map(|entry| self.store.shown(visit.relative, entry.name)));
    }

    fn trouble(&mut self, trouble: Trouble) {
        self.troubles.push(trouble);
    }
}

/// The fresh entries of sources at or below these paths, and whether all could be read.
fn fresh_below(planning: &mut Planning<'_>, paths: &[PathBuf]) -> (HashSet<PathBuf>, bool) {
    let scan = Scan { within: paths, ..planning.scan };
    let new_part = || Fresh { store: scan.store, entries: Vec::new(), troubles: Vec::new() };
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
