//! `pycstore browse`: look at the store, mark, remove, on one screen.
//!
//! ```text
//!  collect ─► ScanBatch ─► Catalogue (sums, inodes, marks) ─► rows ─┐
//!  keys ─────────────────────────────────────────────► Browser ─┴─► draw, pane, dialogs ─► screen
//!                                                         │ BrowserTask
//!  removal::marked ◄──────────────────────────────────── app ──► work
//! ```
//!
//! `state` decides what a key does and touches neither terminal nor disk; `app` runs it on the terminal; `work` scans, plans,
//! removes and inspects in other threads. What is removed goes through the same plan, checks, executor, lock and history as in
//! a prune ([`super::removal::marked`]).
//!
//! Home of ratatui and crossterm.
//!
//! # Invariants
//!
//! * Nothing is removed but what the review showed, and by no other key than its own.
//! * The thread that draws never waits for the disk.
//! * The terminal is as before at the end, whatever ended it.

mod app;
mod canvas;
mod catalogue;
mod collect;
mod columns;
mod dialogs;
mod draw;
mod file;
mod inodes;
mod interned;
mod keys;
mod marks;
mod node;
mod palette;
mod pane;
mod press;
mod review;
mod rows;
mod screen;
mod sentences;
mod state;
mod sums;
#[cfg(test)]
mod tests;
mod work;

use super::output::complain::Complaint;
use super::selection::{ScopeOptions, Selection};
use super::session::Session;
use clap::Args;
use pycstore::exit::Exit;
use pycstore::store::Purpose;
use std::io::{self, IsTerminal};
use std::path::PathBuf;

/// Look at the store, mark what to remove, and remove it, on one screen
///
/// Shows the files by owner, by status or by cache tag. Space marks a row with everything below it, a marks all that is
/// reclaimable in the store, t and a letter mark the entries of one status in the current list; while / filters, a and t mark only what is shown. d then
/// shows what would be removed and how much that frees, and on that screen Ctrl+R removes it. ? shows all keys. The
/// screen opens at once and fills while the scan runs.
///
/// Entries of unknown status, files that Python did not write, temporaries that may still be written and what --keep or the
/// configuration keeps cannot be marked. Before a file is removed, it and its source are checked again, as in a prune: it is
/// kept if it changed. Python recompiles the sources that it still needs. A removal that would leave no entry that Python may
/// still use has to be confirmed by a word. pycstore history lists the removals.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Exit status: 0 success; 1 something could not be read or removed; 2 no store, or not a terminal. After \
                  SIGINT, SIGTERM, SIGHUP or SIGQUIT, pycstore finishes the current file, records the run, restores the \
                  terminal and ends by the signal."
)]
pub struct BrowseOptions {
    /// Only entries whose source is, or was, at or below PATH, as with --under
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Write metrics of the store and of this run to FILE, for the textfile collector of Prometheus' node exporter.
    /// The owner of the store must be able to write to FILE's directory, even if root runs the command
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    #[command(flatten)]
    pub scope: ScopeOptions,
}

impl BrowseOptions {
    /// The options with the paths among those of `--under`.
    pub fn with_paths(mut self) -> BrowseOptions {
        self.scope.under.append(&mut self.paths);
        self
    }
}

/// Runs `pycstore browse`.
pub fn run(session: Session, options: &BrowseOptions) -> anyhow::Result<Exit> {
    let is_dumb = super::env::is_dumb_terminal();
    if is_dumb || !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        let what = if is_dumb { "the terminal cannot move its cursor" } else { "not a terminal" };
        return Err(Complaint::new(what, "for a table or JSON: pycstore du").into());
    }
    let selection = Selection::of_browse(&session, &options.scope)?;
    let opened = session.open(Purpose::Look)?;
    app::run(work::Workshop::new(session, opened, selection, options.metrics.clone()))
}
