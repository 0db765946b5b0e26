//! `sweep --json`, dry or not: as `prune --json`, with the files moved into the store and the directories not entered.

use pycstore::effect::sweep::SweepOutcome;
use pycstore::json::{FailureLine, Mode, OwnerHead, PathField, SCHEMA, SkippedLine, Sum, Total};
use pycstore::store::in_tree::walk::Reason;
use pycstore::verdict::sweep::KeepReason;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// `sweep --json`.
#[derive(Debug, Serialize)]
pub(super) struct SweepDocument<'a> {
    schema: u32,
    paths: Vec<PathField<'a>>,
    /// Where files were moved to; `null` without `--adopt`.
    #[serde(flatten)]
    store: PathField<'a>,
    dry_run: bool,
    removed: Total,
    adopted: Sum,
    owners: Vec<OwnerSwept<'a>>,
    skipped: Vec<SkippedLine<'a, KeepReason>>,
    left_alone: Vec<SkippedLine<'a, Reason>>,
    failures: Vec<FailureLine<'a>>,
    left: Sum,
}

#[derive(Debug, Serialize)]
struct OwnerSwept<'a> {
    #[serde(flatten)]
    owner: OwnerHead<'a>,
    #[serde(flatten)]
    sum: Sum,
    adopted: Sum,
}

impl<'a> SweepDocument<'a> {
    /// The document of a sweep of these paths, into this store.
    pub(super) fn new(
        paths: &'a [PathBuf],
        store: Option<&'a Path>,
        outcome: &'a SweepOutcome,
        mode: Mode,
    ) -> SweepDocument<'a> {
        let owners = outcome.owners.iter().map(|row| OwnerSwept {
            owner: (&row.owner).into(),
            sum: row.removed.into(),
            adopted: row.adopted.into(),
        });
        let removal = outcome
            .failures
            .iter()
            .map(|it| FailureLine::new(&it.path, &it.source, it.files, it.directories));
        let adoption =
            outcome.not_adopted.iter().map(|it| FailureLine::new(&it.path, &it.source, it.files, 0));
        SweepDocument {
            schema: SCHEMA,
            paths: paths.iter().map(|path| PathField::new("path", path)).collect(),
            store: PathField { name: "store", path: store },
            dry_run: mode == Mode::DryRun,
            removed: Total::new(outcome.removed, outcome.directories),
            adopted: outcome.adopted.into(),
            owners: owners.collect(),
            skipped: outcome.kept.iter().map(|it| SkippedLine::new(&it.path, it.why)).collect(),
            left_alone: outcome.left_alone.iter().map(|it| SkippedLine::new(&it.path, it.reason)).collect(),
            failures: removal.chain(adoption).collect(),
            left: outcome.left.into(),
        }
    }
}
