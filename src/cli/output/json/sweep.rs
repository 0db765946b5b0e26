//! `sweep --json`, dry or not: as `prune --json`, with what was moved into the store and what was not entered.

use super::prune::{FailureLine, SkippedLine};
use super::{Mode, OwnerHead, SCHEMA, Sum, Total, bytes, text};
use pycstore::effect::sweep::Outcome;
use pycstore::store::in_tree::walk::Reason;
use pycstore::verdict::sweep::Why;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// `sweep --json`.
#[derive(Debug, Serialize)]
pub struct SweepDocument {
    schema: u32,
    paths: Vec<PathField>,
    /// Where files were moved to; `null` without `--adopt`.
    store: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store_bytes: Option<String>,
    dry_run: bool,
    removed: Total,
    adopted: Sum,
    owners: Vec<OwnerSwept>,
    skipped: Vec<SkippedLine>,
    left_alone: Vec<SkippedLine>,
    failures: Vec<FailureLine>,
    left: Sum,
}

#[derive(Debug, Serialize)]
struct PathField {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
}

#[derive(Debug, Serialize)]
struct OwnerSwept {
    #[serde(flatten)]
    owner: OwnerHead,
    #[serde(flatten)]
    sum: Sum,
    adopted: Sum,
}

impl SweepDocument {
    /// The document of a sweep of these paths, into this store.
    pub fn new(paths: &[PathBuf], store: Option<&Path>, outcome: &Outcome, mode: Mode) -> SweepDocument {
        let removal = outcome
            .failures
            .iter()
            .map(|it| FailureLine::new(&it.path, &it.source, it.files, it.directories));
        let adoption =
            outcome.not_adopted.iter().map(|it| FailureLine::new(&it.path, &it.source, it.files, 0));
        SweepDocument {
            schema: SCHEMA,
            paths: paths.iter().map(|path| PathField { path: text(path), path_bytes: bytes(path) }).collect(),
            store: store.map(text),
            store_bytes: store.and_then(bytes),
            dry_run: mode == Mode::DryRun,
            removed: Total {
                files: outcome.removed.files,
                directories: outcome.directories,
                bytes: outcome.removed.bytes,
                disk: outcome.removed.disk,
            },
            adopted: outcome.adopted.into(),
            owners: outcome
                .owners
                .iter()
                .map(|row| OwnerSwept {
                    owner: (&row.owner).into(),
                    sum: row.removed.into(),
                    adopted: row.adopted.into(),
                })
                .collect(),
            skipped: outcome
                .kept
                .iter()
                .map(|kept| SkippedLine::new(&kept.path, name_of(kept.why)))
                .collect(),
            left_alone: outcome
                .left_alone
                .iter()
                .map(|left| {
                    let why = match left.reason {
                        Reason::Environment => "environment",
                        Reason::Installation => "installation",
                        Reason::Packaged => "packaged",
                        Reason::Link => "link",
                    };
                    SkippedLine::new(&left.path, why)
                })
                .collect(),
            failures: removal.chain(adoption).collect(),
            left: outcome.left.into(),
        }
    }
}

fn name_of(why: Why) -> &'static str {
    match why {
        Why::NotBytecode => "not-bytecode",
        Why::Unreadable => "unreadable",
        Why::Changed => "changed",
        Why::SourceRemoved => "source-removed",
        Why::Sourceless => "sourceless",
        Why::Tracked => "tracked",
        Why::MaybeTracked => "maybe-tracked",
        Why::Numba => "numba",
        Why::Young => "young",
        Why::Foreign => "foreign",
    }
}
