//! What `prune --json` and `forget --json` say of a run, dry or not.

use super::{OwnerHead, SCHEMA, Sum, Total, bytes, text};
use pycstore::effect::outcome::Outcome;
use pycstore::source::owner::Owner;
use pycstore::store::Store;
use pycstore::units::Tally;
use pycstore::verdict::emptied::EmptiedIn;
use serde::{Serialize, Serializer};
use std::io;
use std::path::Path;

/// `prune --json`, dry or not.
#[derive(Debug, Serialize)]
pub struct PruneDocument<'a> {
    schema: u32,
    store: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    store_bytes: Option<String>,
    dry_run: bool,
    removed: Total,
    owners: Vec<OwnerRemoved>,
    skipped: Vec<SkippedLine>,
    failures: Vec<FailureLine>,
    left: Total,
    over_budget: Sum,
    removed_directories: Directories<'a>,
}

/// The directories that were removed, each by its path. There may be a hundred thousand: they are written one by one.
#[derive(Debug)]
struct Directories<'a> {
    store: &'a Store,
    emptied: &'a [EmptiedIn],
}

#[derive(Debug, Serialize)]
struct DirectoryLine {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
}

impl Serialize for Directories<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let in_parent = |emptied: &EmptiedIn| -> Vec<DirectoryLine> {
            let line = |name: &[u8]| {
                let path = self.store.shown(&emptied.parent, name);
                DirectoryLine { path: text(&path), path_bytes: bytes(&path) }
            };
            emptied.names().map(line).collect()
        };
        serializer.collect_seq(self.emptied.iter().flat_map(in_parent))
    }
}

#[derive(Debug, Serialize)]
struct OwnerRemoved {
    #[serde(flatten)]
    owner: OwnerHead,
    #[serde(flatten)]
    sum: Sum,
}

/// A file that is kept, or a directory that was not entered.
#[derive(Debug, Serialize)]
pub(super) struct SkippedLine {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
    why: &'static str,
}

impl SkippedLine {
    pub(super) fn new(path: &Path, why: &'static str) -> SkippedLine {
        SkippedLine { path: text(path), path_bytes: bytes(path), why }
    }
}

/// What could not be done.
#[derive(Debug, Serialize)]
pub(super) struct FailureLine {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
    error: String,
    /// How many files are meant; none for a directory.
    files: u64,
    /// How many directories are meant, where none of their files are.
    directories: u64,
}

impl FailureLine {
    pub(super) fn new(path: &Path, error: &io::Error, files: u64, directories: u64) -> FailureLine {
        FailureLine {
            path: text(path),
            path_bytes: bytes(path),
            error: error.to_string(),
            files,
            directories,
        }
    }
}

/// Whether a prune's document speaks of what was done or of what would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It was done.
    Real,
    /// Nothing was touched.
    DryRun,
}

impl<'a> PruneDocument<'a> {
    /// The document for a store.
    pub fn new(store: &'a Store, outcome: &'a Outcome, mode: Mode) -> PruneDocument<'a> {
        let owner =
            |(owner, tally): &(Owner, Tally)| OwnerRemoved { owner: owner.into(), sum: (*tally).into() };
        PruneDocument {
            schema: SCHEMA,
            store: text(store.path()),
            store_bytes: bytes(store.path()),
            dry_run: mode == Mode::DryRun,
            removed: Total {
                files: outcome.removed.files,
                directories: outcome.directories,
                bytes: outcome.removed.bytes,
                disk: outcome.removed.disk,
            },
            owners: outcome.owners.iter().map(owner).collect(),
            skipped: outcome.skipped.iter().map(|it| SkippedLine::new(&it.path, it.why.name())).collect(),
            failures: outcome
                .failures
                .iter()
                .map(|it| FailureLine::new(&it.path, &it.source, it.files, it.directories))
                .collect(),
            left: Total {
                files: outcome.left.files,
                directories: outcome.directories_left,
                bytes: outcome.left.bytes,
                disk: outcome.left.disk,
            },
            over_budget: outcome.over_budget.into(),
            removed_directories: Directories { store, emptied: &outcome.emptied },
        }
    }
}
