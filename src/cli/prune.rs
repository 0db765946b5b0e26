//! `pycstore prune`: remove entries that Python cannot use any more.

use super::consent::Consent;
use super::removal::{RunEnd, RunOptions, WhenLocked, carry_out};
use super::selection::{Intervals, MachineLimits, ScopeOptions, Selection, SelectorOptions};
use super::session::Session;
use clap::Args;
use pycstore::exit::Exit;
use pycstore::units::Age;

/// Remove entries that Python cannot use any more.
///
/// Without a selector, the configuration's policy applies; without a policy, what du calls reclaimable is removed,
/// as with --orphans --stale --corrupt --temporary. Each selector adds entries to remove, and scopes limit them. An
/// entry is an orphan only if its source was definitely deleted: something on the source's path changed after the
/// entry was written. If the source is on an unmounted disk, in a container or cannot be looked up, the entry is
/// unknown, and only --unused-for, budgets, --dead-interpreters and --all remove it. A file that is not bytecode is
/// kept and reported, unless --corrupt is given. Each file and its source are checked again before the file is
/// removed: the file is kept if it changed, or if its source exists again.
///
/// An empty directory is removed if the directory that it mirrors was deleted. --all also removes the directories
/// that it empties. All other directories and the store itself are kept. --list, --dry-run and --json name the
/// directories.
///
/// The table has a row for each owner, status and reason, with the packages below the largest rows. Then come the
/// files that only --keep or the configuration's keep holds back, by glob. On a terminal, one row sums up the
/// smallest; --list prints every path.
///
/// A store on a network file system, or on one that this machine exports by NFS, may have entries of other machines: there a
/// missing source on a local disk never counts as deleted (other-host). Clocks may differ: on the network, a source counts
/// as deleted only if its directory changed ten minutes or more after the entry was written, and files count as ten
/// minutes younger. Most network file systems do not pass the lock on: two prunes by two machines do no harm, since each
/// file is checked again. If the file system fails, the run stops and removes nothing more.
///
/// Each hard link counts as a file, but its bytes count once: they are freed only when the last link, in the store
/// or elsewhere, is removed.
///
/// A run that would remove every entry of the store, although Python may still use some, asks on a terminal and
/// needs --yes without one. This can happen with --all, a budget of 0, --unused-for of less than a day, or a scope
/// that covers the store.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Exit status: 0 success, also if another prune is running or --max-runtime is reached; 1 something \
                  could not be read or removed; 2 nothing was done. After SIGINT, SIGTERM or SIGHUP, pycstore finishes \
                  the current file, records and reports the run, and ends by the signal."
)]
pub struct PruneOptions {
    // The help shows what follows a group under the group's heading: so the groups come last.
    /// Do not ask before removing every entry of the store
    #[arg(short, long)]
    pub yes: bool,
    /// Do nothing if the last successful run with the same selectors and scopes was less than AGE ago
    #[arg(long, value_name = "AGE")]
    pub min_interval: Option<Age>,
    #[command(flatten)]
    pub run: RunOptions,
    #[command(flatten)]
    pub selectors: SelectorOptions,
    #[command(flatten)]
    pub scope: ScopeOptions,
    /// The limits of a job for every user.
    #[arg(skip)]
    pub limits: MachineLimits,
}

impl PruneOptions {
    /// Returns what `pycstore prune` with these options removes.
    ///
    /// # Errors
    /// If a glob is wrong.
    pub fn selection(&self, session: &Session) -> anyhow::Result<Selection> {
        let intervals = Intervals { min_interval: self.min_interval, max_runtime: self.run.max_runtime };
        let selection = Selection::of_prune(session, &self.selectors, &self.scope, intervals)?;
        Ok(selection.within(self.limits))
    }

    /// Prunes, and returns whether it did.
    ///
    /// # Errors
    /// Those that end a run before it removes anything.
    pub fn carry_out(&self, session: &Session) -> anyhow::Result<RunEnd> {
        let selection = self.selection(session)?;
        carry_out(session, &selection, &self.run, Consent::from_option(self.yes), WhenLocked::Skip)
    }
}

/// Runs `pycstore prune`.
pub fn run(session: &Session, options: &PruneOptions) -> anyhow::Result<Exit> {
    Ok(options.carry_out(session)?.exit())
}
