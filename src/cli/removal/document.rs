//! `prune --json` and `forget --json`, dry or not.

use pycstore::effect::outcome::{Outcome, RemovedGroup};
use pycstore::json::{FailureLine, Mode, OwnerHead, PathField, SCHEMA, SkippedLine, Sum, Total};
use pycstore::store::Store;
use pycstore::units::Tally;
use pycstore::verdict::emptied::EmptiedIn;
use pycstore::verdict::status::Status;
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};
use std::sync::Arc;

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
    groups: Vec<GroupRemoved<'a>>,
    held_back: Vec<KeptByGlob<'a>>,
}

/// What was removed of an owner with a status.
#[derive(Debug, Serialize)]
struct GroupRemoved<'a> {
    #[serde(flatten)]
    owner: OwnerHead<'a>,
    status: Option<&'static str>,
    reason: Option<&'static str>,
    #[serde(flatten)]
    sum: Sum,
    packages: Vec<PackageRemoved<'a>>,
}

#[derive(Debug, Serialize)]
struct PackageRemoved<'a> {
    package: &'a str,
    #[serde(flatten)]
    sum: Sum,
}

#[derive(Debug, Serialize)]
struct KeptByGlob<'a> {
    glob: &'a str,
    #[serde(flatten)]
    sum: Sum,
}

impl<'a> From<&'a RemovedGroup> for GroupRemoved<'a> {
    fn from(group: &'a RemovedGroup) -> GroupRemoved<'a> {
        let package =
            |(package, tally): &'a (Arc<str>, Tally)| PackageRemoved { package, sum: (*tally).into() };
        GroupRemoved {
            owner: (&group.owner).into(),
            status: group.status.map(Status::name),
            reason: group.status.and_then(Status::reason),
            sum: group.tally.into(),
            packages: group.packages.iter().map(package).collect(),
        }
    }
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
        let held_back = outcome.held_back.iter();
        let held_back = held_back.map(|(glob, tally)| KeptByGlob { glob, sum: (*tally).into() });
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
            groups: outcome.groups.iter().map(GroupRemoved::from).collect(),
            held_back: held_back.collect(),
        }
    }
}
