//! `prune --json` and `forget --json`, dry or not.

use pycstore::effect::outcome::Outcome;
use pycstore::json::{FailureLine, Mode, OwnerHead, PathField, SCHEMA, SkippedLine, Sum, Total};
use pycstore::store::Store;
use pycstore::verdict::emptied::EmptiedIn;
use serde::ser::SerializeSeq;
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
        let mut paths = serializer.serialize_seq(None)?;
        for emptied in self.emptied {
            for name in emptied.names() {
                let path = self.store.shown(&emptied.parent, name);
                paths.serialize_element(&PathField::new("path", &path))?;
            }
        }
        paths.end()
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
