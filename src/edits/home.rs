//! The home whose files are edited: that of the user who runs pycstore, never another user's.

use crate::complaint::Complaint;
use crate::environment::Environment;
use crate::host::directory::effective_user;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Returns the home whose files are edited.
///
/// # Errors
/// If there is none, or it is another user's: `sudo` may keep their `HOME`.
pub fn home_of_user(environment: &Environment) -> Result<PathBuf, Complaint> {
    let home = environment.home.clone();
    let home =
        home.ok_or_else(|| Complaint::new("no home: HOME is not set", "set it: HOME=/home/me pycstore …"))?;
    let user = effective_user();
    match home.metadata() {
        Ok(metadata) if metadata.uid() != user => Err(Complaint::new(
            format!(
                "refused: {} is the home of user {}, and pycstore runs as user {user}",
                home.display(),
                metadata.uid()
            ),
            "run it as that user",
        )),
        Ok(_) => Ok(home),
        Err(error) => Err(Complaint::new(format!("no home at {}: {error}", home.display()), "set HOME")),
    }
}
