//! `pycstore forget`: remove all entries of a project, environment or interpreter.

use super::args::ForgetOptions;
use super::consent::Yes;
use super::prune::{WhenLocked, carry_out};
use super::selection::Selection;
use super::session::Session;
use pycstore::exit::Exit;

/// Runs `pycstore forget`.
pub fn run(session: &Session, options: &ForgetOptions) -> anyhow::Result<Exit> {
    let selection = Selection::of_forget(session, &options.paths, &options.tag, options.run.max_runtime);
    carry_out(session, &selection, &options.run, Yes::from(options.yes), WhenLocked::Fail)
}
