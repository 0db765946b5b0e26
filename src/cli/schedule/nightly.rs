//! `pycstore schedule run`: prunes, then shares equal entries if the configuration says so.
//!
//! Prune and share take the lock one after the other. If the prune did nothing, because it is not due or another
//! process holds the lock, nothing is shared.

use super::ScheduleOptions;
use crate::cli::output::complain;
use crate::cli::prune::PruneOptions;
use crate::cli::removal::RunEnd;
use crate::cli::session::Session;
use crate::cli::share::{self, ShareOptions};
use crate::cli::stop;
use pycstore::exit::Exit;
use pycstore::units::Age;
use std::time::Instant;

/// Runs the job. Returns the worse exit status of both, so that `share` does not hide the result of the prune.
pub fn run(session: &Session, options: &ScheduleOptions) -> anyhow::Result<Exit> {
    let began = Instant::now();
    let mut prune = PruneOptions::default();
    prune.run.dry_run = options.dry_run;
    if options.removes() {
        prune.run.metrics = session.configuration.metrics.as_ref().map(|file| file.value.clone());
    }
    let pruned = match prune.carry_out(session)? {
        RunEnd::Finished(exit) if session.configuration.share.is_nightly() && !stop::is_signalled() => exit,
        end => return Ok(end.exit()),
    };
    let limit = session.configuration.prune.max_runtime;
    let rest = limit.map(|limit| limit.value.duration().saturating_sub(began.elapsed()));
    if rest.is_some_and(|rest| rest.is_zero()) {
        session.note("the prune took all of the maximum runtime: equal entries are left for the next run");
        return Ok(pruned);
    }
    let options = ShareOptions {
        dry_run: options.dry_run,
        max_runtime: rest.map(Age::from),
        ..ShareOptions::default()
    };
    let shared = share::run(session, &options).unwrap_or_else(|error| {
        complain::fatal(&complain::explained(error));
        Exit::Incomplete
    });
    Ok(pruned.max(shared))
}
