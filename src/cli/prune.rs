//! `pycstore prune`: remove entries that Python cannot use any more.

use super::consent::Yes;
use super::removal::{RunOptions, WhenLocked, carry_out};
use super::selection::{Intervals, ScopeOptions, Selection, SelectorOptions};
use super::session::Session;
use clap::Args;
use pycstore::exit::Exit;
use pycstore::units::Age;

/// Remove entries that Python cannot use any more.
///
/// Selectors add up, scopes narrow. Without a selector the configuration's policy holds; without that nothing is
/// done. An entry is an orphan only if its source was definitely deleted: something on the source's path changed
/// after the entry was written. A source on a disk that is not mounted, in a container or behind an error makes the
/// entry unknown, which only --unused-for, budgets, --dead-interpreters and --all remove. A file that is no bytecode
/// is kept and reported, unless --corrupt is given. Each file and its source are looked at again before it is
/// removed: it is kept if it changed, or if its source is there again.
///
/// An empty directory is removed when the directory that it mirrors is deleted. --all also removes the directories
/// that it empties. All other directories stay, and so does the store itself. --dry-run and --json name the
/// directories.
///
/// Files are counted by name, bytes by inode: a file with several hard links frees its bytes with its last link,
/// and nothing while a link stays, in the store or elsewhere.
///
/// A run that would remove every entry of the store, some of which Python may still use, asks on a terminal and needs
/// --yes without one: by --all, a budget of 0, --unused-for of less than a day, or a scope that covers the store.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Exit status: 0 all done, also when another prune is running or --max-runtime is over; 1 \
                        something could not be read or removed; 2 nothing done. After SIGINT, SIGTERM or SIGHUP \
                        the current file is finished, the run is recorded and reported, and the process ends by the signal."
)]
pub struct PruneOptions {
    // The help shows what follows a group under the group's heading: so the groups come last.
    /// Do not ask before removing every entry of the store
    #[arg(long)]
    pub yes: bool,
    /// Do nothing when the last successful run with the same selectors and scopes is younger than AGE
    #[arg(long, value_name = "AGE")]
    pub min_interval: Option<Age>,
    /// How the run goes.
    #[command(flatten)]
    pub run: RunOptions,
    /// What is taken.
    #[command(flatten)]
    pub selectors: SelectorOptions,
    /// What may be touched.
    #[command(flatten)]
    pub scope: ScopeOptions,
}

impl PruneOptions {
    /// What `pycstore prune` with these options removes.
    ///
    /// # Errors
    /// When nothing is selected, or a glob is wrong.
    pub fn selection(&self, session: &Session) -> anyhow::Result<Selection> {
        let intervals = Intervals { min_interval: self.min_interval, max_runtime: self.run.max_runtime };
        Selection::of_prune(session, &self.selectors, &self.scope, intervals)
    }
}

/// Runs `pycstore prune`.
pub fn run(session: &Session, options: &PruneOptions) -> anyhow::Result<Exit> {
    let selection = options.selection(session)?;
    carry_out(session, &selection, &options.run, Yes::from(options.yes), WhenLocked::Skip)
}
