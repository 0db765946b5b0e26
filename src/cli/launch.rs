//! `pycstore launch`: what the program calls itself with, to start another apart from it.

use super::args::LaunchOptions;
use super::exit::Exit;
use anyhow::Context;
use pycstore::contained::{Containment, Identity, THIS_PROGRAM};
use std::io;
use std::path::PathBuf;

/// Runs `pycstore launch`: returns only if the program cannot be started.
pub fn run(options: &LaunchOptions) -> anyhow::Result<Exit> {
    let LaunchOptions { user, group, memory, processor_seconds, program, arguments } = options;
    let identity = user.zip(*group).map(|(user, group)| Identity { user, group });
    let containment = Containment { identity, memory: *memory, processor_seconds: *processor_seconds };
    let error = containment.launch(program, arguments);
    Err(error).with_context(|| match identity {
        None => format!("cannot start {}", program.display()),
        Some(Identity { user, .. }) => format!("cannot start {} as user {user}", program.display()),
    })
}

/// This program as a launcher, whatever became of its path since it was started.
///
/// # Errors
/// What the system says.
pub fn this_program() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") {
        // In the process that is to be the launcher it names the same file, and works for a user who may not search the
        // directories on the way to it.
        Ok(PathBuf::from(THIS_PROGRAM))
    } else {
        std::env::current_exe()
    }
}
