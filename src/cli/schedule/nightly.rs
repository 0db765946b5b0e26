//! `pycstore schedule run`: prunes, then shares equal entries if the configuration says so.
//!
//! Prune and share take the lock one after the other. If the prune did nothing, because it is not due or another
//! process holds the lock, nothing is shared.
//!
//! The job always has a time limit: a file system that does not respond must not stop the following runs.

use crate::cli::output::complain;
use crate::cli::prune::PruneOptions;
use crate::cli::removal::{ResultOutput, RunEnd, RunOptions};
use crate::cli::selection::{MachineLimits, lesser};
use crate::cli::session::Session;
use crate::cli::share::{self, ShareOptions};
use crate::cli::stop::{self, Stop};
use pycstore::exit::Exit;
use pycstore::units::Age;
use std::time::{Duration, Instant};

/// Maximum time of the job where the policy has none: until the morning, if it began at night.
pub const LONGEST_NIGHT: Duration = Duration::from_secs(6 * 3600);

/// What the job may do.
#[derive(Debug, Clone, Default)]
pub struct NightlyOptions {
    /// It only shows what it would remove.
    pub dry_run: bool,
    /// The limits of a job for every user.
    pub limits: MachineLimits,
    /// What is printed.
    pub output: ResultOutput,
}

/// Runs the job. Returns the worse exit status of both, so that `share` does not hide the result of the prune.
pub fn run(session: &Session, options: NightlyOptions) -> anyhow::Result<Exit> {
    let began = Instant::now();
    let NightlyOptions { dry_run, mut limits, output } = options;
    let configured = session.configuration.prune.max_runtime.map(|limit| limit.value);
    if configured.is_none() {
        limits.max_runtime.get_or_insert(Age::from(LONGEST_NIGHT));
    }
    let metrics = session.configuration.metrics.as_ref().map(|file| file.value.clone()).filter(|_| !dry_run);
    let run = RunOptions { dry_run, metrics, output, ..RunOptions::default() };
    let prune = PruneOptions { run, limits, ..PruneOptions::default() };
    let pruned = match prune.carry_out(session)? {
        RunEnd::Finished(exit) if session.configuration.share.is_nightly() && !stop::is_signalled() => exit,
        end => return Ok(end.exit()),
    };
    let rest =
        lesser(configured, limits.max_runtime).map(|limit| limit.duration().saturating_sub(began.elapsed()));
    if rest.is_some_and(|rest| rest.is_zero()) {
        session.note("the prune took all of the maximum runtime: equal entries are left for the next run");
        return Ok(pruned);
    }
    let options = ShareOptions { dry_run, max_runtime: rest.map(Age::from), ..ShareOptions::default() };
    // The prune is over, and so is its limit.
    let session = Session { stop: Stop::default(), ..session.clone() };
    let shared = share::run(&session, &options).unwrap_or_else(|error| {
        complain::fatal(&complain::explained(error));
        Exit::Incomplete
    });
    Ok(pruned.max(shared))
}
