//! `pycstore forget`: remove all entries of a project, environment or interpreter.

use super::consent::Consent;
use super::removal::{RunOptions, WhenLocked, carry_out};
use super::selection::Selection;
use super::session::Session;
use clap::Args;
use pycstore::exit::Exit;
use std::path::PathBuf;

/// Remove all entries of a project, environment or interpreter
///
/// Use it after `rm -rf .venv`, `pip uninstall` or `uv cache clean`. Removes every entry whose source is, or was,
/// at or below one of the paths, whatever its status, and the directories that become empty. Python recompiles the
/// sources that it still needs. If this would remove every entry of the store, forget asks on a terminal and needs
/// --yes without one.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Exit status: 0 success, also if there was nothing to forget; 1 something could not be read or removed, or \
                        another prune is running; 2 nothing was done."
)]
pub struct ForgetOptions {
    /// Directories or source files, existing or deleted; a path in the store stands for its source
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Do not ask before removing every entry of the store
    #[arg(short, long)]
    pub yes: bool,
    /// Only entries with this cache tag, such as cpython-39 (may be repeated)
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
    #[command(flatten)]
    pub run: RunOptions,
}

/// Runs `pycstore forget`.
pub fn run(session: &Session, options: &ForgetOptions) -> anyhow::Result<Exit> {
    let selection = Selection::of_forget(session, &options.paths, &options.tag, options.run.max_runtime);
    let consent = Consent::from_option(options.yes);
    Ok(carry_out(session, &selection, &options.run, consent, WhenLocked::Fail)?.exit())
}
