//! `--metrics`: the state of the store and the result of a prune, for the textfile collector of the Prometheus node
//! exporter.
//!
//! The collector reads only the classic text format (`expfmt.TextParser`); other programs read OpenMetrics. The file is
//! valid in both: only gauges, because the names of counters differ; one `# HELP` and one `# TYPE` before the samples
//! of each family; no timestamps, which the collector refuses; `# EOF` as the last line, which OpenMetrics requires and
//! the classic format treats as a comment.
//!
//! The collector reads files that end in `.prom`, as another user and at any time: so the mode is 0644 and the file is
//! replaced atomically.

use crate::edits::replace::replace;
use crate::history::Run;
use crate::pyc::tags::Tag;
use crate::verdict::census::{Census, TagShare};
use crate::verdict::status;
use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};

/// The metrics could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the metrics to {}", .path.display())]
pub struct MetricsError {
    /// The file.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

/// Maximum number of tags with their own metrics. Tags come from file names, which can be anything, and each one
/// creates a time series. The tags with the fewest files are summed up as `other`.
const MOST_TAGS: usize = 50;

/// The runs in the metrics.
#[derive(Debug, Clone, Copy, Default)]
pub struct Measured<'a> {
    /// The last run that had the lock.
    pub run: Option<&'a Run>,
    /// The last successful run.
    pub success: Option<&'a Run>,
    /// How many runs in a row did nothing since, because another process held the lock.
    pub locked_runs: u64,
}

/// Replaces the file at `path` by the metrics of runs on a store that held `census` when the last began. A census without
/// entries is left out.
///
/// # Errors
/// [`MetricsError`]; an old file is unchanged then.
pub fn write(path: &Path, census: &Census, store: &str, measured: Measured<'_>) -> Result<(), MetricsError> {
    replace(path, text(census, store, measured).as_bytes(), 0o644)
        .map_err(|source| MetricsError { path: path.to_path_buf(), source })
}

/// Returns the contents of the file that [`write`] writes.
pub fn text(census: &Census, store: &str, measured: Measured<'_>) -> String {
    let mut text = String::new();
    for (name, help, value) in BY_STATUS_AND_TAG {
        let mut family = Family { text: &mut text, name, help, is_open: false };
        for (tag, shares) in bounded(census) {
            for (status, share) in status::NAMES.iter().zip(&shares) {
                if !share.tally.is_empty() {
                    let labels = [("store", store), ("status", status), ("tag", &*tag)];
                    family.sample(&labels, value(share));
                }
            }
        }
    }
    let mut sample = |(name, help), value| {
        let mut family = Family { text: &mut text, name, help, is_open: false };
        family.sample(&[("store", store)], value);
    };
    for (name, help, value) in OF_THE_RUN {
        if let Some(run) = measured.run {
            sample((name, help), value(run));
        }
    }
    if let Some(run) = measured.success {
        sample(LAST_SUCCESS, end(run));
    }
    sample(LOCKED_RUNS, measured.locked_runs.to_string());
    text.push_str("# EOF\n");
    text
}

/// A name, its help and where its value is taken from.
type Metric<T> = (&'static str, &'static str, fn(&T) -> String);

const BY_STATUS_AND_TAG: [Metric<TagShare>; 6] = [
    ("pycstore_entries", "Files in the store when the last prune began.", |share| {
        share.tally.files.to_string()
    }),
    ("pycstore_bytes", "Lengths of the files in the store when the last prune began.", |share| {
        share.tally.bytes.to_string()
    }),
    ("pycstore_disk_bytes", "Room on disk of the files in the store when the last prune began.", |share| {
        share.tally.disk.to_string()
    }),
    ("pycstore_reclaimable_entries", "Files of no more use to Python when the last prune began.", |share| {
        share.reclaimable.files.to_string()
    }),
    ("pycstore_reclaimable_bytes", "Lengths of the files of no more use to Python.", |share| {
        share.reclaimable.bytes.to_string()
    }),
    ("pycstore_reclaimable_disk_bytes", "Room on disk of the files of no more use to Python.", |share| {
        share.reclaimable.disk.to_string()
    }),
];

const OF_THE_RUN: [Metric<Run>; 10] = [
    ("pycstore_prune_removed_entries", "Files that the last prune removed.", |run| {
        run.removed.files.to_string()
    }),
    ("pycstore_prune_removed_directories", "Emptied directories that the last prune removed.", |run| {
        run.removed.directories.to_string()
    }),
    ("pycstore_prune_removed_bytes", "Lengths of the removed files.", |run| run.removed.bytes.to_string()),
    ("pycstore_prune_removed_disk_bytes", "Room on disk of the removed files.", |run| {
        run.removed.disk.to_string()
    }),
    ("pycstore_prune_skipped_entries", "Files that a selector named and safety kept.", |run| {
        run.skipped.to_string()
    }),
    ("pycstore_prune_failures", "Files that could not be removed.", |run| run.failures.to_string()),
    ("pycstore_prune_left_entries", "Files that were left because the run was stopped.", |run| {
        run.left.map_or(0, |left| left.files).to_string()
    }),
    ("pycstore_prune_exit_status", "Exit status of the last prune: 0 done, 1 incomplete.", |run| {
        run.exit.to_string()
    }),
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
    let started = run.started.seconds as f64 + f64::from(run.started.nanoseconds) / 1e9;
    format!("{:.3}", started + run.duration().as_secs_f64())
}

/// A family; not written if it has no samples.
pub(super) struct Family<'a> {
    pub(super) text: &'a mut String,
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) is_open: bool,
}

impl Family<'_> {
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: String) {
        let Family { text, name, help, .. } = self;
        if !std::mem::replace(&mut self.is_open, true) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
        }
        let labels: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
        let _ = writeln!(text, "{name}{{{}}} {value}", labels.join(","));
    }
}

/// A label's value as both formats quote it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// The census with at most [`MOST_TAGS`] tags.
fn bounded(census: &Census) -> Vec<(Tag, [TagShare; status::NAMES.len()])> {
    let mut tags: Vec<_> = census.tags.iter().map(|(tag, shares)| (Tag::from(&**tag), *shares)).collect();
    tags.sort_by(|one, another| one.0.cmp(&another.0));
    if tags.len() <= MOST_TAGS {
        return tags;
    }
    let count = |shares: &[TagShare]| shares.iter().map(|share| share.tally.files).sum::<u64>();
    tags.sort_by_key(|(_, shares)| std::cmp::Reverse(count(shares)));
    let mut other = [TagShare::default(); status::NAMES.len()];
    for (_, shares) in tags.drain(MOST_TAGS..) {
        for (sum, share) in other.iter_mut().zip(shares) {
            sum.tally += share.tally;
            sum.reclaimable += share.reclaimable;
        }
    }
    tags.sort_by(|one, another| one.0.cmp(&another.0));
    tags.push(("other".into(), other));
    tags
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;
    use crate::history::tests;
    use crate::units::Tally;
    use crate::verdict::status::{Corrupt, Orphan, Status};
    use std::collections::{BTreeMap, BTreeSet};
    use std::os::unix::fs::MetadataExt;

    /// Name and labels → value, by a parser that takes only what the classic format (Prometheus, "Exposition
    /// formats", version 0.0.4) and OpenMetrics 1.0 both take.
    fn parsed(text: &str) -> BTreeMap<(String, Vec<(String, String)>), f64> {
        let body = text.strip_suffix("# EOF\n").expect("the last line is # EOF and ends in a line feed");
        let is_name = |name: &str| {
            name.starts_with(|first: char| first.is_ascii_lowercase())
                && name.chars().all(|rest| rest.is_ascii_lowercase() || rest.is_ascii_digit() || rest == '_')
        };
        let mut samples = BTreeMap::new();
        let mut families = BTreeSet::new();
        let mut family = "";
        let mut lines = body.lines();
        while let Some(line) = lines.next() {
            assert!(line == line.trim() && !line.is_empty() && !line.contains('\r'), "{line:?}");
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, words) = help.split_once(' ').expect("a help text");
                assert!(!words.contains(['\\', '"']), "what needs no escape is the same in both: {line}");
                assert_eq!(lines.next(), Some(&*format!("# TYPE {name} gauge")));
                assert!(is_name(name) && families.insert(name), "a family stands in one place: {line}");
                family = name;
                continue;
            }
            let (name, rest) = line.split_once('{').expect("labels");
            assert_eq!(name, family, "a gauge's samples have the family's name");
            let (labels, value) = labels(rest);
            let value = value.strip_prefix(' ').expect("one space");
            assert!(
                value.chars().all(|digit| digit.is_ascii_digit() || digit == '.'),
                "no timestamp: {line}"
            );
            let names: BTreeSet<&String> = labels.iter().map(|(name, _)| name).collect();
            assert!(names.len() == labels.len() && names.iter().all(|name| is_name(name)), "{line}");
            let before = samples.insert((name.to_string(), labels), value.parse().unwrap());
            assert_eq!(before, None, "twice: {line}");
        }
        samples
    }

    /// `a="b",c="d"} 1` → the labels, and ` 1`.
    fn labels(mut rest: &str) -> (Vec<(String, String)>, &str) {
        let mut labels = Vec::new();
        loop {
            let (name, quoted) = rest.split_once("=\"").expect("a label");
            let mut value = String::new();
            let mut characters = quoted.chars();
            loop {
                match characters.next().expect("a closing quote") {
                    '"' => break,
                    '\\' => value.push(match characters.next() {
                        Some('n') => '\n',
                        Some(escaped @ ('\\' | '"')) => escaped,
                        other => panic!("no escape: {other:?}"),
                    }),
                    character => value.push(character),
                }
            }
            labels.push((name.to_string(), value));
            rest = characters.as_str();
            match rest.chars().next() {
                Some(',') => rest = &rest[1..],
                Some('}') => return (labels, &rest[1..]),
                other => panic!("after a label: {other:?}"),
            }
        }
    }

    /// What is told of a run that had the lock and went well.
    fn told_of(run: &Run) -> Measured<'_> {
        Measured { run: Some(run), success: Some(run), locked_runs: 0 }
    }

    /// A store with a name that needs every escape, a census and a run.
    fn world(temporary: &tempfile::TempDir) -> (Census, Run) {
        let store = tests::store(temporary, "a \"b\" \\n \n é,{}=");
        let mut census = Census::default();
        census.add("cpython-312", Status::Fresh, Tally::file(100, 4096), None);
        census.add("cpython-312", Status::Fresh, Tally::file(200, 4096), None);
        census.add(
            "cpython-312",
            Status::Orphan(Orphan::Root),
            Tally::file(300, 8192),
            Some(Tally::file(300, 8192)),
        );
        census.add(
            "cpython-39",
            Status::Corrupt(Corrupt::Truncated),
            Tally::file(3, 0),
            Some(Tally::file(3, 0)),
        );
        census.add("", Status::Foreign, Tally::file(7, 4096), None);
        let run = tests::run(&store, 1_700_000_000, 5, Exit::Incomplete);
        (census, run)
    }

    #[test]
    fn both_formats_are_obeyed_and_every_number_is_there() {
        let temporary = tempfile::tempdir().unwrap();
        let (census, mut run) = world(&temporary);
        run.left.get_or_insert_default().files = 1;
        run.failures = 3;
        let samples = parsed(&text(&census, &run.store, told_of(&run)));
        let of = |name: &str, status: Option<(&str, &str)>| {
            let mut labels = vec![("store".to_string(), run.store.clone())];
            if let Some((status, tag)) = status {
                labels.push(("status".into(), status.into()));
                labels.push(("tag".into(), tag.into()));
            }
            samples.get(&(format!("pycstore_{name}"), labels)).copied()
        };
        let fresh = Some(("fresh", "cpython-312"));
        let orphan = Some(("orphan", "cpython-312"));
        assert_eq!((of("entries", fresh), of("bytes", fresh)), (Some(2.0), Some(300.0)));
        assert_eq!((of("disk_bytes", fresh), of("reclaimable_entries", fresh)), (Some(8192.0), Some(0.0)));
        assert_eq!((of("entries", orphan), of("reclaimable_entries", orphan)), (Some(1.0), Some(1.0)));
        assert_eq!(of("reclaimable_bytes", orphan), Some(300.0));
        assert_eq!(of("reclaimable_disk_bytes", orphan), Some(8192.0));
        assert_eq!(of("entries", Some(("foreign", ""))), Some(1.0));
        assert_eq!(of("entries", Some(("stale", "cpython-312"))), None);
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
        assert_eq!(samples.len(), 6 * 4 + 12);
        assert_eq!(parsed(&text(&Census::default(), &run.store, told_of(&run))).len(), 12, "an empty store");
    }

    #[test]
    fn runs_that_found_the_store_locked_are_counted_and_are_no_success() {
        let temporary = tempfile::tempdir().unwrap();
        let (_, success) = world(&temporary);
        let mut failed = success.clone();
        (failed.started.seconds, failed.exit) = (success.started.seconds + 1000, 1);
        let locked = Measured { run: Some(&failed), success: Some(&success), locked_runs: 7 };
        let value = |measured, name: &str| {
            let samples = parsed(&text(&Census::default(), &success.store, measured));
            let found = samples.iter().find(|((it, _), _)| *it == format!("pycstore_prune_{name}"));
            found.map(|(_, value)| *value)
        };
        assert_eq!(value(locked, "last_success_timestamp_seconds"), Some(1_700_000_001.234));
        assert_eq!(value(locked, "last_run_timestamp_seconds"), Some(1_700_001_001.234));
        assert_eq!((value(locked, "locked_runs"), value(locked, "exit_status")), (Some(7.0), Some(1.0)));
        let first = Measured { locked_runs: 1, ..Measured::default() };
        assert_eq!(value(first, "locked_runs"), Some(1.0));
        assert_eq!(value(first, "last_success_timestamp_seconds"), None, "nothing is known of one");
    }

    #[test]
    fn invented_tags_are_no_end_of_time_series() {
        let temporary = tempfile::tempdir().unwrap();
        let (mut census, run) = world(&temporary);
        for number in 0..200 {
            census.add(&format!("cpython-9{number}"), Status::Temporary, Tally::file(1, 0), None);
        }
        let samples = parsed(&text(&census, &run.store, told_of(&run)));
        let entries: Vec<_> = samples.iter().filter(|((name, _), _)| name == "pycstore_entries").collect();
        let tag_of = |labels: &[(String, String)]| labels[2].1.clone();
        let tags: BTreeSet<String> = entries.iter().map(|((_, labels), _)| tag_of(labels)).collect();
        assert_eq!(tags.len(), MOST_TAGS + 1);
        assert!(tags.contains("cpython-312") && tags.contains("other"), "{tags:?}");
        assert_eq!(entries.iter().map(|(_, value)| **value).sum::<f64>(), 205.0);
    }

    #[test]
    fn the_file_is_readable_for_the_collector() {
        let temporary = tempfile::tempdir().unwrap();
        let (census, run) = world(&temporary);
        let path = temporary.path().join("pycstore.prom");
        write(&path, &census, &run.store, told_of(&run)).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text(&census, &run.store, told_of(&run)));
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o644);
        let error = write(&temporary.path().join("no/such/place.prom"), &census, &run.store, told_of(&run))
            .unwrap_err();
        assert!(error.to_string().starts_with("cannot write the metrics to /"), "{error}");
    }
}
