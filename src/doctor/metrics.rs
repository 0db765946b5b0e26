//! `doctor --metrics`: the number of findings, for Prometheus.

use super::finding::{Finding, Severity};
use crate::exit::Exit;
use crate::exposition::{Exposition, MetricsError, seconds};
use crate::json;
use crate::units::Moment;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// A run of `doctor`.
#[derive(Debug)]
pub struct Examination<'a> {
    /// The store's real path; empty if there is none.
    pub store: &'a str,
    /// What was found; `None` if the run failed.
    pub findings: Option<&'a [Finding]>,
    /// The exit of the run.
    pub exit: Exit,
    /// When it began.
    pub started: Moment,
    /// How long it took.
    pub duration: Duration,
}

impl Examination<'_> {
    /// Replaces the file at `path`.
    ///
    /// # Errors
    /// [`MetricsError`]; an old file is unchanged then.
    pub fn write(&self, path: &Path) -> Result<(), MetricsError> {
        self.exposition().write(path)
    }

    fn exposition(&self) -> Exposition {
        let mut metrics = Exposition::new(self.store);
        let counts = self.findings.map(counts).unwrap_or_default();
        let samples = counts.iter().map(|((severity, finding), count)| {
            ([("severity", severity.name()), ("finding", &**finding)], count.to_string())
        });
        let help = "Findings of the last doctor; 0 with the finding none for a severity without any.";
        metrics.gauges("pycstore_doctor_findings", help, samples);
        let help = "Exit status of the last doctor: 0 no error or warning, 1 some, 2 it failed.";
        metrics.gauge("pycstore_doctor_exit_status", help, self.exit.code());
        let help = "How long the last doctor took.";
        metrics.gauge(
            "pycstore_doctor_duration_seconds",
            help,
            format!("{:.3}", self.duration.as_secs_f64()),
        );
        let help = "When the last doctor ended, since 1970.";
        metrics.gauge(
            "pycstore_doctor_last_run_timestamp_seconds",
            help,
            seconds(self.started, self.duration),
        );
        metrics
    }
}

/// The number of findings by severity and name: both are known in advance, so that their number is limited.
fn counts(findings: &[Finding]) -> BTreeMap<(Severity, String), u64> {
    let mut counts = BTreeMap::new();
    for finding in findings {
        let name = json::embedded(&finding.kind).unwrap_or_default();
        *counts.entry((finding.severity, name.trim_matches('"').to_string())).or_default() += 1;
    }
    for severity in [Severity::Error, Severity::Warning, Severity::Note] {
        if !findings.iter().any(|finding| finding.severity == severity) {
            counts.insert((severity, "none".into()), 0);
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::super::finding::Kind;
    use super::*;

    #[test]
    fn findings_are_counted_by_severity_and_name() {
        let finding = |severity, kind| Finding::new(severity, kind, "a\n\"detail\"", "a hint");
        let findings = [
            finding(Severity::Error, Kind::Writable),
            finding(Severity::Note, Kind::OtherStore),
            finding(Severity::Note, Kind::OtherStore),
        ];
        let run = |findings, exit| {
            let started = Moment { seconds: 1_700_000_000, nanoseconds: 0 };
            let duration = Duration::from_millis(1500);
            Examination { store: "/s", findings, exit, started, duration }.exposition().text()
        };
        let text = run(Some(&findings), Exit::Incomplete);
        assert_eq!(crate::exposition::tests::parsed(&text).len(), 6);
        for sample in [
            "pycstore_doctor_findings{store=\"/s\",severity=\"error\",finding=\"writable\"} 1\n",
            "pycstore_doctor_findings{store=\"/s\",severity=\"warning\",finding=\"none\"} 0\n",
            "pycstore_doctor_findings{store=\"/s\",severity=\"note\",finding=\"other-store\"} 2\n",
            "pycstore_doctor_exit_status{store=\"/s\"} 1\n",
            "pycstore_doctor_duration_seconds{store=\"/s\"} 1.500\n",
            "pycstore_doctor_last_run_timestamp_seconds{store=\"/s\"} 1700000001.500\n",
        ] {
            assert!(text.contains(sample), "{sample}{text}");
        }
        let failed = run(None, Exit::Nothing);
        assert!(
            failed.contains("pycstore_doctor_exit_status{store=\"/s\"} 2\n") && !failed.contains("findings")
        );
    }
}
