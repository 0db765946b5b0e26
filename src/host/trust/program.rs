//! Finds programs on `PATH`: only those that nobody but the user and root may change.

use super::{Stranger, stranger, ways};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Why no program was found.
#[derive(Debug, thiserror::Error)]
pub enum NotFound {
    /// None is on `PATH`.
    #[error("{0} is not on PATH")]
    Missing(String),
    /// Others may change every program with this name.
    #[error("{} is not run: {stranger}", .path.display())]
    PassedOver {
        /// The first one.
        path: PathBuf,
        /// Who may change it.
        stranger: Stranger,
    },
}

/// Returns the first program of this name in these directories that nobody but `user` and root may change; skips others.
///
/// # Errors
/// When there is none.
pub fn find(directories: &[PathBuf], user: u32, name: &str) -> Result<PathBuf, NotFound> {
    let is_executable = |path: &Path| {
        path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    let mut not_found = NotFound::Missing(name.into());
    let absolute = directories.iter().filter(|directory| directory.is_absolute());
    for path in absolute.map(|directory| directory.join(name)).filter(|path| is_executable(path)) {
        match stranger(&ways(&path), user) {
            None => return Ok(path),
            Some(stranger) if matches!(not_found, NotFound::Missing(_)) => {
                not_found = NotFound::PassedOver { path, stranger };
            }
            Some(_) => {}
        }
    }
    Err(not_found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::directory::effective_user;

    #[test]
    fn what_everybody_may_change_is_passed_over() {
        let (_temporary, base) = crate::temporary::directory();
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let directories = ["a", "b", "c"].map(|name| base.join(name));
        for directory in &directories {
            std::fs::create_dir(directory).unwrap();
            std::fs::write(directory.join("tool"), "").unwrap();
            mode(&directory.join("tool"), 0o755);
        }
        let find = |name| find(&directories, effective_user(), name);
        assert_eq!(find("tool").unwrap(), base.join("a/tool"));
        mode(&base.join("a"), 0o777);
        mode(&base.join("b/tool"), 0o644);
        assert_eq!(find("tool").unwrap(), base.join("c/tool"));
        mode(&base.join("c/tool"), 0o757);
        let said = find("tool").unwrap_err().to_string();
        let why = "is not run: ".to_string()
            + &format!("{} may be written to by everybody", base.join("a").display());
        assert_eq!(said, format!("{} {why}", base.join("a/tool").display()));
        assert_eq!(find("other").unwrap_err().to_string(), "other is not on PATH");
    }
}
