//! `prune --json` and `forget --json`, dry or not.

use crate::cli::output::json::{FailureLine, Mode, OwnerHead, PathField, SCHEMA, SkippedLine, Sum, Total};
use pycstore::effect::outcome::Outcome;
use pycstore::store::Store;
use pycstore::verdict::emptied::EmptiedIn;
use serde::{Serialize, Serializer};

/// `prune --json`, dry or not.
#[derive(Debug, Serialize)]
pub(super) struct PruneDocument<'a> {
    schema: u32,
    #[serde(flatten)]
    store: PathField<'a>,
    dry_run: bool,
    removed: Total,
    owners: Vec<OwnerRemoved<'a>>,
    skipped: Vec<SkippedLine<'a, &'static str>>,
    failures: Vec<FailureLine<'a>>,
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

impl Serialize for Directories<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let paths = self.emptied.iter().flat_map(|emptied| {
            emptied.names().map(|name| self.store.shown(&emptied.parent, name)).collect::<Vec<_>>()
        });
        serializer.collect_seq(paths.map(|path| Directory { path }))
    }
}

struct Directory {
    path: std::path::PathBuf,
}

impl Serialize for Directory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        PathField::new("path", &self.path).serialize(serializer)
    }
}

#[derive(Debug, Serialize)]
struct OwnerRemoved<'a> {
    #[serde(flatten)]
    owner: OwnerHead<'a>,
    #[serde(flatten)]
    sum: Sum,
}

impl<'a> PruneDocument<'a> {
    /// The document for a store.
    pub(super) fn new(store: &'a Store, outcome: &'a Outcome, mode: Mode) -> PruneDocument<'a> {
        let owners = outcome
            .owners
            .iter()
            .map(|(owner, tally)| OwnerRemoved { owner: owner.into(), sum: (*tally).into() });
        let failures = outcome
            .failures
            .iter()
            .map(|it| FailureLine::new(&it.path, &it.source, it.files, it.directories));
        PruneDocument {
            schema: SCHEMA,
            store: PathField::new("store", store.path()),
            dry_run: mode == Mode::DryRun,
            removed: Total::new(outcome.removed, outcome.directories),
            owners: owners.collect(),
            skipped: outcome.skipped.iter().map(|it| SkippedLine::new(&it.path, it.why.name())).collect(),
            failures: failures.collect(),
            left: Total::new(outcome.left, outcome.directories_left),
            over_budget: outcome.over_budget.into(),
            removed_directories: Directories { store, emptied: &outcome.emptied },
        }
    }
}
