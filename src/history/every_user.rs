//! The metrics of a job for every user: how the run of each ended, and the metrics that each run wrote, in one file.
//!
//! A file of metrics has each family once, so the texts of the users are merged family by family. They come from processes of other
//! users: only lines of families of ours are taken, and each text and the file have a maximum length.

use super::metrics::{Family, MetricsError};
use crate::edits::replace::replace;
use crate::units::Moment;
use std::path::Path;
use std::time::Duration;

/// Maximum length of the metrics of one user, in bytes.
pub const MOST_OF_USER: u64 = 1 << 18;

/// Maximum length of the metrics of all users, in bytes. The metrics of the users after that are left out; how their runs ended is not.
const MOST: usize = 1 << 24;

/// How the run of one user ended.
#[derive(Debug, Clone, PartialEq)]
pub struct UserRun {
    /// The user's name.
    pub user: String,
    /// The exit status; `None` if the process was ended by a signal.
    pub exit: Option<u8>,
    /// How long it took.
    pub took: Duration,
    /// What the run wrote as its metrics.
    pub metrics: Vec<u8>,
}

/// The exit status of a process that was ended by a signal: that of a run that did nothing is 2.
const ENDED: u8 = 3;

/// Replaces the file at `path` by the metrics of the runs of all users, of which the last ended at `now`.
///
/// # Errors
/// [`MetricsError`]; an old file is unchanged then.
pub fn write(path: &Path, runs: &[UserRun], now: Moment) -> Result<(), MetricsError> {
    replace(path, text(runs, now).as_bytes(), 0o644)
        .map_err(|source| MetricsError { path: path.to_path_buf(), source })
}

fn text(runs: &[UserRun], now: Moment) -> String {
    let mut text = String::new();
    let mut family = |name, help, value: &dyn Fn(&UserRun) -> String| {
        let mut family = Family { text: &mut text, name, help, is_open: false };
        for run in runs {
            family.sample(&[("user", &run.user)], value(run));
        }
    };
    family(
        "pycstore_user_exit_status",
        "Exit status of the run for a user: 0 done, 1 incomplete, 2 nothing done, 3 ended by a signal.",
        &|run| run.exit.unwrap_or(ENDED).to_string(),
    );
    family("pycstore_user_duration_seconds", "How long the run for a user took.", &|run| {
        format!("{:.3}", run.took.as_secs_f64())
    });
    let (name, help) =
        ("pycstore_system_last_run_timestamp_seconds", "When the last run for every user ended, since 1970.");
    text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {}\n", now.seconds));
    for (head, samples) in merged(runs) {
        text.extend([head, samples]);
    }
    text.push_str("# EOF\n");
    text
}

/// Returns the families in the metrics of the users, each with its head and the samples of all users.
fn merged(runs: &[UserRun]) -> Vec<(String, String)> {
    let mut families: Vec<(String, String)> = Vec::new();
    let mut length = 0;
    for run in runs {
        length += run.metrics.len();
        let Ok(text) = std::str::from_utf8(&run.metrics) else { continue };
        // A text that was cut has no such end.
        let Some(text) = text.strip_suffix("# EOF\n").filter(|_| length <= MOST) else { continue };
        for block in text.split("# HELP ").filter(|block| block.starts_with("pycstore_")) {
            let mut lines = block.split_inclusive('\n');
            let head: String = lines.by_ref().take(2).collect();
            let head = format!("# HELP {head}");
            let at = families.iter().position(|(known, _)| *known == head).unwrap_or_else(|| {
                families.push((head, String::new()));
                families.len() - 1
            });
            families[at].1.extend(lines);
        }
    }
    families
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_stands_in_one_place() {
        let of = |user: &str, metrics: &str| UserRun {
            user: user.into(),
            exit: (user != "eve").then_some(0),
            took: Duration::from_millis(1500),
            metrics: metrics.into(),
        };
        let text = text(
            &[
                of(
                    "a\"b",
                    "# HELP pycstore_x X.\n# TYPE pycstore_x gauge\npycstore_x{store=\"/a\"} 1\n# EOF\n",
                ),
                of(
                    "bob",
                    "# HELP pycstore_y Y.\n# TYPE pycstore_y gauge\npycstore_y{store=\"/b\"} 3\n\
                     # HELP pycstore_x X.\n# TYPE pycstore_x gauge\npycstore_x{store=\"/b\"} 2\n# EOF\n",
                ),
                of("eve", "# HELP pycstore_x X.\n# TYPE pycstore_x gauge\npycstore_x{store=\"/e"),
            ],
            Moment { seconds: 7, nanoseconds: 0 },
        );
        insta::assert_snapshot!(text, @r#"
        # HELP pycstore_user_exit_status Exit status of the run for a user: 0 done, 1 incomplete, 2 nothing done, 3 ended by a signal.
        # TYPE pycstore_user_exit_status gauge
        pycstore_user_exit_status{user="a\"b"} 0
        pycstore_user_exit_status{user="bob"} 0
        pycstore_user_exit_status{user="eve"} 3
        # HELP pycstore_user_duration_seconds How long the run for a user took.
        # TYPE pycstore_user_duration_seconds gauge
        pycstore_user_duration_seconds{user="a\"b"} 1.500
        pycstore_user_duration_seconds{user="bob"} 1.500
        pycstore_user_duration_seconds{user="eve"} 1.500
        # HELP pycstore_system_last_run_timestamp_seconds When the last run for every user ended, since 1970.
        # TYPE pycstore_system_last_run_timestamp_seconds gauge
        pycstore_system_last_run_timestamp_seconds 7
        # HELP pycstore_x X.
        # TYPE pycstore_x gauge
        pycstore_x{store="/a"} 1
        pycstore_x{store="/b"} 2
        # HELP pycstore_y Y.
        # TYPE pycstore_y gauge
        pycstore_y{store="/b"} 3
        # EOF
        "#);
    }
}
