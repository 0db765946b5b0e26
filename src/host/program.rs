//! Starts programs from `PATH`: only those that nobody but the user and root may change.

use crate::host::directory::effective_user;
use crate::host::trust;
use crate::host::trust::program::{self, NotFound};
use crate::host::trust::runner::Runners;
use std::env::join_paths;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The directories that programs are searched in.
static SEARCH_PATH: OnceLock<Vec<PathBuf>> = OnceLock::new();

/// Sets the directories that programs are searched in, once for the process: those of `PATH`. Without it there are none.
pub fn search_in(directories: Vec<PathBuf>) {
    // A second call changes nothing: the path is that of the process.
    let _ = SEARCH_PATH.set(directories);
}

/// Returns a command for the first program of this name on `PATH` that nobody but the user and root may change. As root, the
/// program's own `PATH` has only directories that no other user may change.
///
/// # Errors
/// `NotFound` if there is none; `PermissionDenied`, with the reason, if others may change all that there are.
pub fn command(name: &str) -> io::Result<Command> {
    let (path, user) = (SEARCH_PATH.get().cloned().unwrap_or_default(), effective_user());
    let program = program::find(&path, user, name).map_err(|not_found| {
        let kind = match not_found {
            NotFound::Missing(_) => io::ErrorKind::NotFound,
            NotFound::PassedOver { .. } => io::ErrorKind::PermissionDenied,
        };
        io::Error::new(kind, not_found)
    })?;
    let mut command = Command::new(program);
    if user == 0 {
        let own = path.into_iter().filter(|directory: &PathBuf| is_trusted(directory));
        command.env("PATH", join_paths(own).unwrap_or_default());
    }
    Ok(command)
}

/// Returns a command for an interpreter. As root, nobody else may be able to change its standard library either.
///
/// # Errors
/// Those of [`command`].
pub fn interpreter(name: &str) -> io::Result<Command> {
    let command = command(name)?;
    let path = PathBuf::from(command.get_program());
    match Runners::default().trust(&path) {
        Ok(()) => Ok(command),
        Err(stranger) => {
            let not_found = NotFound::PassedOver { path, stranger };
            Err(io::Error::new(io::ErrorKind::PermissionDenied, not_found))
        }
    }
}

/// Whether nobody but the user and root may change what is at a path.
pub fn is_trusted(path: &Path) -> bool {
    trust::stranger(&trust::ways(path), effective_user()).is_none()
}
