//! `--metrics` of the commands that prune or count: the contents of the store and the result of the last prune.
//!
//! All of them write the same families, so that one file of a store can be written by several of them: what a command did
//! not do itself it takes from the history, which survives failed runs, a lost file and a change of the file's path.

use crate::exposition::{Exposition, seconds};
use crate::history::{Latest, Run};
use crate::source::owner::OwnerKind;
use crate::units::Moment;
use crate::verdict::census::{Census, StatusShares, TagShare};
use crate::verdict::policy::Budget;
use crate::verdict::status;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

/// Maximum number of tags with their own metrics. Tags come from file names, which can be anything, and each one
/// creates time series: at most seven kinds of owner and seven statuses. The tags with the fewest files are summed up
/// as `other`.
const MOST_TAGS: usize = 20;

/// What is known of a store and its prunes.
#[derive(Debug)]
pub struct StoreMetrics<'a> {
    /// The store's real path; empty if the store is unknown.
    pub store: &'a str,
    /// Whether the command could use the store.
    pub is_up: bool,
    /// What the store holds, and when it was counted; `None` if it was not counted.
    pub counted: Option<(&'a Census, Moment)>,
    /// The limits of the store's size.
    pub budget: Budget,
    /// The last runs.
    pub latest: &'a Latest,
}

impl StoreMetrics<'_> {
    /// The metrics, to be written.
    pub fn exposition(&self) -> Exposition {
        let mut metrics = Exposition::new(self.store);
        let up = "Whether pycstore could use the store: 0 if it is missing or refused, its file system fails or does not respond, or the options or the configuration are invalid.";
        metrics.gauge("pycstore_up", up, u8::from(self.is_up));
        let version = ([("version", env!("CARGO_PKG_VERSION"))], "1".to_string());
        metrics.gauges("pycstore_build_info", "The version of pycstore; the value is 1.", [version]);
        if let Some((census, counted)) = self.counted {
            let shares = bounded(census);
            for (name, help, value) in CONTENTS {
                metrics.gauges(name, help, samples(&shares, value));
            }
            metrics.gauge(COUNTED.0, COUNTED.1, seconds(counted, Duration::ZERO));
        }
        let Budget { disk, files } = self.budget;
        for ((name, help), limit) in BUDGETS.into_iter().zip([disk, files]) {
            if let Some(limit) = limit {
                metrics.gauge(name, help, limit);
            }
        }
        if let Some(run) = &self.latest.run {
            for (name, help, value) in OF_THE_RUN {
                metrics.gauge(name, help, value(run));
            }
        }
        if let Some(run) = &self.latest.success {
            metrics.gauge(LAST_SUCCESS.0, LAST_SUCCESS.1, end(run));
        }
        let locked = self.latest.locked.as_ref().map_or(0, |locked| locked.runs);
        metrics.gauge(LOCKED_RUNS.0, LOCKED_RUNS.1, locked);
        metrics
    }
}

/// A name, its help and where its value is taken from.
type Metric<T> = (&'static str, &'static str, fn(&T) -> String);

/// By status, tag and kind of owner.
const CONTENTS: [Metric<TagShare>; 6] = [
    ("pycstore_entries", "Files in the store.", |share| share.tally.files.to_string()),
    ("pycstore_bytes", "Apparent size of the files in the store.", |share| share.tally.bytes.to_string()),
    ("pycstore_disk_bytes", "Disk usage of the files in the store.", |share| share.tally.disk.to_string()),
    ("pycstore_reclaimable_entries", "Files that a prune without selectors removes.", |share| {
        share.reclaimable.files.to_string()
    }),
    (
        "pycstore_reclaimable_bytes",
        "Apparent size of the files that a prune without selectors removes.",
        |share| share.reclaimable.bytes.to_string(),
    ),
    (
        "pycstore_reclaimable_disk_bytes",
        "Disk usage of the files that a prune without selectors removes.",
        |share| share.reclaimable.disk.to_string(),
    ),
];

const COUNTED: (&str, &str) =
    ("pycstore_counted_timestamp_seconds", "When the files in the store were counted, since 1970.");

const BUDGETS: [(&str, &str); 2] = [
    ("pycstore_budget_disk_bytes", "Maximum disk usage of the entries: max-size."),
    ("pycstore_budget_entries", "Maximum number of entries: max-files."),
];

const OF_THE_RUN: [Metric<Run>; 10] = [
    ("pycstore_prune_removed_entries", "Files that the last prune removed.", |run| {
        run.removed.files.to_string()
    }),
    ("pycstore_prune_removed_directories", "Empty directories that the last prune removed.", |run| {
        run.removed.directories.to_string()
    }),
    ("pycstore_prune_removed_bytes", "Apparent size of the files that the last prune removed.", |run| {
        run.removed.bytes.to_string()
    }),
    ("pycstore_prune_removed_disk_bytes", "Disk usage that the last prune freed.", |run| {
        run.removed.disk.to_string()
    }),
    ("pycstore_prune_skipped_entries", "Files that a selector matched and a safety rule kept.", |run| {
        run.skipped.to_string()
    }),
    ("pycstore_prune_failures", "Files that the last prune could not remove.", |run| {
        run.failures.to_string()
    }),
    ("pycstore_prune_left_entries", "Files that were left because the last prune was stopped.", |run| {
        run.left.map_or(0, |left| left.files).to_string()
    }),
    (
        "pycstore_prune_exit_status",
        "Exit status of the last prune: 0 done, 1 incomplete, 2 nothing done.",
        |run| run.exit.to_string(),
    ),
    ("pycstore_prune_duration_seconds", "How long the last prune took.", |run| {
        format!("{:.3}", run.duration().as_secs_f64())
    }),
    ("pycstore_prune_last_run_timestamp_seconds", "When the last prune ended, since 1970.", end),
];

const LAST_SUCCESS: (&str, &str) = (
    "pycstore_prune_last_success_timestamp_seconds",
    "When the last prune with exit status 0 ended, since 1970.",
);

const LOCKED_RUNS: (&str, &str) = (
    "pycstore_prune_locked_runs",
    "Number of the latest prunes in a row that did nothing because another process held the lock.",
);

/// When a run ended, in seconds since 1970.
fn end(run: &Run) -> String {
    seconds(run.started, run.duration())
}

/// Shares by kind of owner and tag.
type Shares<'a> = BTreeMap<(OwnerKind, &'a str), StatusShares>;

/// One sample for each kind, tag and status with files.
fn samples<'a>(
    shares: &'a Shares<'a>,
    value: fn(&TagShare) -> String,
) -> impl Iterator<Item = ([(&'a str, &'a str); 3], String)> {
    shares.iter().flat_map(move |((kind, tag), shares)| {
        let counted = status::NAMES.into_iter().zip(shares).filter(|(_, share)| !share.tally.is_empty());
        counted.map(move |(status, share)| {
            ([("status", status), ("tag", *tag), ("kind", kind.name())], value(share))
        })
    })
}

/// The census with at most [`MOST_TAGS`] tags and `other`.
fn bounded(census: &Census) -> Shares<'_> {
    let mut files: BTreeMap<&str, u64> = BTreeMap::new();
    for ((_, tag), shares) in &census.shares {
        *files.entry(tag).or_default() += shares.iter().map(|share| share.tally.files).sum::<u64>();
    }
    let mut tags: Vec<_> = files.into_iter().map(|(tag, files)| (Reverse(files), tag)).collect();
    tags.sort_unstable();
    tags.truncate(MOST_TAGS);
    let mut bounded = Shares::new();
    for ((kind, tag), shares) in &census.shares {
        // A file name may have the tag `other`, too.
        let tag = tags.iter().find(|(_, it)| it == tag).map_or("other", |(_, tag)| tag);
        for (sum, share) in bounded.entry((*kind, tag)).or_default().iter_mut().zip(shares) {
            sum.tally += share.tally;
            sum.reclaimable += share.reclaimable;
        }
    }
    bounded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;
    use crate::exposition::tests::parsed;
    use crate::history::tests;
    use crate::units::Tally;
    use crate::verdict::status::{Corrupt, Orphan, Status};
    use std::collections::BTreeSet;

    /// A store with a name that needs every escape, a census and a run.
    fn world(temporary: &tempfile::TempDir) -> (Census, Run) {
        let store = tests::store(temporary, "a \"b\" \\n \n é,{}=");
        let mut census = Census::default();
        let mut add =
            |kind, tag, status, tally, reclaimable| census.add((kind, tag), status, tally, reclaimable);
        let (project, build) = (OwnerKind::Project, OwnerKind::Build);
        add(project, "cpython-312", Status::Fresh, Tally::file(100, 4096), None);
        add(project, "cpython-312", Status::Fresh, Tally::file(200, 4096), None);
        let orphan = Tally::file(300, 8192);
        add(build, "cpython-312", Status::Orphan(Orphan::Root), orphan, Some(orphan));
        let short = Tally::file(3, 0);
        add(project, "cpython-39", Status::Corrupt(Corrupt::Truncated), short, Some(short));
        add(project, "", Status::Foreign, Tally::file(7, 4096), None);
        (census, tests::run(&store, 1_700_000_000, 5, Exit::Incomplete))
    }

    fn text(census: Option<&Census>, store: &str, budget: Budget, latest: &Latest) -> String {
        let counted =
            census.map(|census| (census, Moment { seconds: 1_600_000_000, nanoseconds: 500_000_000 }));
        StoreMetrics { store, is_up: census.is_some(), counted, budget, latest }.exposition().text()
    }

    #[test]
    fn every_number_is_there() {
        let temporary = tempfile::tempdir().unwrap();
        let (census, mut run) = world(&temporary);
        run.left.get_or_insert_default().files = 1;
        run.failures = 3;
        let latest = Latest { success: Some(run.clone()), run: Some(run.clone()), locked: None };
        let budget = Budget { disk: Some(1 << 30), files: None };
        let samples = parsed(&text(Some(&census), &run.store, budget, &latest));
        let of = |name: &str, shared: Option<[&str; 3]>| {
            let mut labels = vec![("store".to_string(), run.store.clone())];
            let names = ["status", "tag", "kind"].into_iter();
            labels.extend(
                names.zip(shared.into_iter().flatten()).map(|(name, value)| (name.into(), value.into())),
            );
            samples.get(&(format!("pycstore_{name}"), labels)).copied()
        };
        let fresh = Some(["fresh", "cpython-312", "project"]);
        let orphan = Some(["orphan", "cpython-312", "build"]);
        assert_eq!(
            (of("up", None), of("counted_timestamp_seconds", None)),
            (Some(1.0), Some(1_600_000_000.5))
        );
        assert_eq!((of("entries", fresh), of("bytes", fresh)), (Some(2.0), Some(300.0)));
        assert_eq!((of("disk_bytes", fresh), of("reclaimable_entries", fresh)), (Some(8192.0), Some(0.0)));
        assert_eq!((of("entries", orphan), of("reclaimable_entries", orphan)), (Some(1.0), Some(1.0)));
        assert_eq!(of("reclaimable_bytes", orphan), Some(300.0));
        assert_eq!(of("reclaimable_disk_bytes", orphan), Some(8192.0));
        assert_eq!(of("entries", Some(["foreign", "", "project"])), Some(1.0));
        assert_eq!(of("entries", Some(["stale", "cpython-312", "project"])), None);
        assert_eq!(
            (of("budget_disk_bytes", None), of("budget_entries", None)),
            (Some(1_073_741_824.0), None)
        );
        assert_eq!(of("prune_removed_entries", None), Some(5.0));
        assert_eq!(of("prune_removed_directories", None), Some(1.0));
        assert_eq!(of("prune_removed_bytes", None), Some(50.0));
        assert_eq!(of("prune_removed_disk_bytes", None), Some(20_480.0));
        assert_eq!((of("prune_left_entries", None), of("prune_failures", None)), (Some(1.0), Some(3.0)));
        assert_eq!(of("prune_skipped_entries", None), Some(0.0));
        assert_eq!(of("prune_exit_status", None), Some(1.0));
        assert_eq!(of("prune_duration_seconds", None), Some(1.234));
        assert_eq!(of("prune_last_run_timestamp_seconds", None), Some(1_700_000_001.234));
        assert_eq!(of("prune_last_success_timestamp_seconds", None), Some(1_700_000_001.234));
        assert_eq!(of("prune_locked_runs", None), Some(0.0));
        assert_eq!(samples.len(), 2 + 6 * 4 + 2 + 12);
        let empty = parsed(&text(Some(&Census::default()), &run.store, budget, &latest));
        assert_eq!(empty.len(), 4 + 12, "an empty store");
        let unknown = text(None, "", Budget::default(), &Latest::default());
        assert!(
            unknown.contains("\npycstore_up 0\n") && unknown.contains("\npycstore_prune_locked_runs 0\n")
        );
    }

    #[test]
    fn invented_tags_are_no_end_of_time_series() {
        let temporary = tempfile::tempdir().unwrap();
        let (mut census, run) = world(&temporary);
        let mut add = |tag: &str| {
            census.add((OwnerKind::Build, tag), Status::Temporary, Tally::file(1, 0), None);
        };
        for number in 0..200 {
            add(&format!("cpython-9{number}"));
        }
        // The sum has the name of a real tag.
        (0..3).for_each(|_| add("other"));
        let samples = parsed(&text(Some(&census), &run.store, Budget::default(), &Latest::default()));
        let entries: Vec<_> = samples.iter().filter(|((name, _), _)| name == "pycstore_entries").collect();
        let tag_of = |labels: &[(String, String)]| labels[2].1.clone();
        let tags: BTreeSet<String> = entries.iter().map(|((_, labels), _)| tag_of(labels)).collect();
        assert_eq!(tags.len(), MOST_TAGS);
        assert!(tags.contains("cpython-312") && tags.contains("other"), "{tags:?}");
        assert_eq!(entries.iter().map(|(_, value)| **value).sum::<f64>(), 208.0);
    }
}
