//! The programs that we start: found on `PATH`, and only those that nobody but the user and root may change.

use super::env::search_path;
use pycstore::directory::effective_user;
use pycstore::trust;
use pycstore::trust::program::{self, NotFound};
use pycstore::trust::runner::Runners;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A command that runs the first program of this name on `PATH` that nobody but the user and root may change. For root, the
/// program looks for others only where that holds as well.
///
/// # Errors
/// `NotFound` where there is none; `PermissionDenied` where one is there and not run, with why.
pub fn command(name: &str) -> io::Result<Command> {
    let (path, user) = (search_path(), effective_user());
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
        command.env("PATH", std::env::join_paths(own).unwrap_or_default());
    }
    Ok(command)
}

/// The same for an interpreter: for root, nobody else may change its library either.
///
/// # Errors
/// As of [`command`].
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
