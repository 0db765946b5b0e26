//! `pycstore launch`: an internal command that starts another program as another user, in a new session and with limits.

use super::args::LaunchOptions;
use anyhow::Context;
use pycstore::exit::Exit;
use pycstore::host::contained::{Containment, Identity, THIS_PROGRAM};
use std::io;
use std::path::PathBuf;

/// Runs `pycstore launch`. Returns only if the program cannot be started.
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

/// Returns a path of this program that works even if its file was replaced or moved since it was started.
///
/// # Errors
/// When the system does not tell the path.
pub fn this_program() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") {
        // After fork(2) it names the same file, and it works for a user who may not search the directories on its path.
        Ok(PathBuf::from(THIS_PROGRAM))
    } else {
        std::env::current_exe()
    }
}
