//! Whose files are edited: those of the user who runs us, and nobody else's.

use crate::cli::output::complain::Complaint;
use pycstore::environment::Environment;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// The home whose files are edited.
///
/// # Errors
/// Without one, and when it is another user's: `sudo` may keep their `HOME`.
pub fn home_of_user(environment: &Environment) -> Result<PathBuf, Complaint> {
    let home = environment.home.clone();
    let home = home
        .ok_or_else(|| Complaint::new("whose files? HOME is not set", "name it: HOME=/home/me pycstore …"))?;
    let user = pycstore::host::directory::effective_user();
    match home.metadata() {
        Ok(metadata) if metadata.uid() != user => Err(Complaint::new(
            format!(
                "refused: {} is the home of user {}, and we are user {user}",
                home.display(),
                metadata.uid()
            ),
            "run it as that user",
        )),
        Ok(_) => Ok(home),
        Err(error) => Err(Complaint::new(format!("no home at {}: {error}", home.display()), "set HOME")),
    }
}
