//! A progress line on a terminal's standard error, erased at the end. Home of indicatif.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use pycstore::units::human;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// The delay before progress is shown.
const QUIET_FOR: Duration = Duration::from_millis(500);

/// Progress of one phase.
#[derive(Debug)]
pub struct Progress {
    began: Instant,
    what: &'static str,
    bar: Option<ProgressBar>,
    is_shown: bool,
}

/// Whether progress may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// On a terminal's standard error.
    OnTerminal,
    /// Not at all.
    Never,
}

impl Progress {
    /// Progress of work on entries, such as `looking at`.
    pub fn new(what: &'static str, visibility: Visibility) -> Progress {
        let is_shown = visibility == Visibility::OnTerminal && std::io::stderr().is_terminal();
        Progress { began: Instant::now(), what, bar: None, is_shown }
    }

    /// Shows the number of entries so far.
    pub fn update(&mut self, entries: u64) {
        let elapsed = self.began.elapsed();
        if !self.is_shown || elapsed < QUIET_FOR {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            // The template is a constant without fields that could be wrong.
            bar.set_style(
                ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            bar
        });
        let rate = entries as f64 / elapsed.as_secs_f64();
        bar.set_message(format!(
            "{} {} entries, {}/s",
            self.what,
            human::count(entries),
            human::count(rate as u64)
        ));
        bar.tick();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
