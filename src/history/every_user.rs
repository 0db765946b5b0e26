//! The metrics of a job for every user: how the run of each ended, and the metrics that each run wrote, in one file.
//!
//! The texts come from processes of other users: only samples of families of ours are taken, and each text and the file have a
//! maximum length.

use crate::exposition::{END, Exposition};
use crate::units::Moment;
use std::time::Duration;

/// Maximum length of the metrics of one user, in bytes.
pub const MOST_OF_USER: u64 = 1 << 18;

/// Maximum length of the metrics of all users, in bytes. The metrics of the users after that are left out; how their runs ended is not.
const MOST: usize = 1 << 24;

/// Metrics of a user that are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricsLeftOut<'a> {
    /// The user's name.
    pub user: &'a str,
    /// The reason, after "metrics left out: ".
    pub why: &'static str,
}

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

/// Returns the metrics of the runs of all users, of which the last ended at `now`, and what is left out. A run that failed before
/// it wrote any has none.
pub fn metrics(runs: &[UserRun], now: Moment) -> (Exposition, Vec<MetricsLeftOut<'_>>) {
    let mut metrics = Exposition::new("");
    metrics.gauges(
        "pycstore_user_exit_status",
        "Exit status of the run for a user: 0 done, 1 incomplete, 2 nothing done, 3 ended by a signal.",
        runs.iter().map(|run| ([("user", &*run.user)], run.exit.unwrap_or(ENDED).to_string())),
    );
    metrics.gauges(
        "pycstore_user_duration_seconds",
        "How long the run for a user took.",
        runs.iter().map(|run| ([("user", &*run.user)], format!("{:.3}", run.took.as_secs_f64()))),
    );
    metrics.gauge(
        "pycstore_system_last_run_timestamp_seconds",
        "When the last run for every user ended, since 1970.",
        now.seconds,
    );
    let (mut length, mut texts, mut left_out) = (0, Vec::new(), Vec::new());
    for UserRun { user, metrics, .. } in runs.iter().filter(|run| !run.metrics.is_empty()) {
        length += metrics.len();
        // A text that was cut has no such end.
        let why = match std::str::from_utf8(metrics) {
            Ok(text) if text.ends_with(END) && length <= MOST => {
                texts.push(text);
                continue;
            }
            _ if length > MOST => "those of all users are longer than 16 MiB",
            _ if metrics.len() as u64 == MOST_OF_USER => "they are longer than 256 KiB",
            _ => "they are incomplete",
        };
        left_out.push(MetricsLeftOut { user, why });
    }
    metrics.join(texts);
    (metrics, left_out)
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
        let runs = [
            of("a\"b", "# HELP pycstore_x X.\n# TYPE pycstore_x gauge\npycstore_x{store=\"/a\"} 1\n# EOF\n"),
            of(
                "bob",
                "# HELP pycstore_y Y.\n# TYPE pycstore_y gauge\npycstore_y{store=\"/# HELP b\"} 3\n\
                     pycstore_y{a=\"\\x\"} 1\npycstore_y{a=\"b\",a=\"c\"} 1\npycstore_y{a=\"b} 1\npycstore_y 1 1\nz 1\n\
                     pycstore_yz 1\n# HELP pycstore_user_exit_status X\npycstore_user_exit_status{user=\"bob\"} x\n\
                     # HELP z Z.\n# TYPE z gauge\nz 1\n\
                     # HELP pycstore_x X.\n# TYPE pycstore_x gauge\npycstore_x{store=\"/a\"} 2\n\
                     pycstore_x{store=\"/b\"} 2\n# EOF\n",
            ),
            of("eve", "# HELP pycstore_x X.\n# TYPE pycstore_x gauge\npycstore_x{store=\"/e"),
        ];
        let (metrics, left_out) = metrics(&runs, Moment { seconds: 7, nanoseconds: 0 });
        assert_eq!(left_out, [MetricsLeftOut { user: "eve", why: "they are incomplete" }]);
        assert_eq!(
            crate::exposition::tests::parsed(&metrics.text().replace("_seconds 7", "_seconds{a=\"b\"} 7"))
                .len(),
            10
        );
        insta::assert_snapshot!(metrics.text(), @r#"
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
        pycstore_y{store="/# HELP b"} 3
        # EOF
        "#);
    }

    #[test]
    fn metrics_that_are_left_out_are_named() {
        let of = |user: usize, length: usize| UserRun {
            user: format!("u{user}"),
            exit: Some(0),
            took: Duration::ZERO,
            metrics: [" ".repeat(length - END.len()).as_bytes(), END.as_bytes()].concat(),
        };
        let longest = MOST_OF_USER as usize;
        let mut runs: Vec<UserRun> = (0..=MOST / longest).map(|user| of(user, longest)).collect();
        runs[0].metrics.fill(b' ');
        runs[1].metrics.clear();
        runs[2].metrics.pop();
        runs.push(of(99, longest));
        let (_, left_out) = metrics(&runs, Moment { seconds: 7, nanoseconds: 0 });
        let left_out: Vec<String> = left_out.iter().map(|it| format!("{}: {}", it.user, it.why)).collect();
        assert_eq!(
            left_out,
            [
                "u0: they are longer than 256 KiB",
                "u2: they are incomplete",
                "u99: those of all users are longer than 16 MiB"
            ]
        );
    }

    #[test]
    fn the_manual_page_names_every_family() {
        let page = include_str!("../../man/pycstore-metrics.5");
        let (_, page) = page.split_once(".SH \"EVERY USER\"").unwrap();
        let run = UserRun { user: "bob".into(), exit: None, took: Duration::ZERO, metrics: Vec::new() };
        let text = metrics(&[run], Moment { seconds: 7, nanoseconds: 0 }).0.text();
        let families: Vec<&str> =
            text.lines().filter_map(|it| it.strip_prefix("# TYPE ")?.strip_suffix(" gauge")).collect();
        let named = page.lines().filter_map(|line| line.strip_prefix("\\fBpycstore_")?.split("\\fR").next());
        let named: Vec<String> = named.map(|name| format!("pycstore_{name}")).collect();
        assert_eq!(families, named);
    }
}
