//! What `prune --json` and `forget --json` say of a run, dry or not.

use super::{OwnerHead, SCHEMA, Sum, Total, bytes, text};
use pycstore::owner::Owner;
use pycstore::prune::Outcome;
use pycstore::tally::Tally;
use serde::Serialize;
use std::io;
use std::path::Path;

/// `prune --json`, dry or not.
#[derive(Debug, Serialize)]
pub struct PruneDocument {
    schema: u32,
    store: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    store_bytes: Option<String>,
    dry_run: bool,
    removed: Total,
    owners: Vec<OwnerRemoved>,
    skipped: Vec<SkippedLine>,
    failures: Vec<FailureLine>,
    left: Sum,
    over_budget: Sum,
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
}

impl FailureLine {
    pub(super) fn new(path: &Path, error: &io::Error, files: u64) -> FailureLine {
        FailureLine { path: text(path), path_bytes: bytes(path), error: error.to_string(), files }
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

impl PruneDocument {
    /// The document for a store at `store`.
    pub fn new(store: &Path, outcome: &Outcome, mode: Mode) -> PruneDocument {
        let owner =
            |(owner, tally): &(Owner, Tally)| OwnerRemoved { owner: owner.into(), sum: (*tally).into() };
        PruneDocument {
            schema: SCHEMA,
            store: text(store),
            store_bytes: bytes(store),
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
                .map(|it| FailureLine::new(&it.path, &it.source, it.files))
                .collect(),
            left: outcome.left.into(),
            over_budget: outcome.over_budget.into(),
        }
    }
}
