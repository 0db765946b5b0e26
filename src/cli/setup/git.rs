//! git: the list of what is ignored in every repository of the user.
//!
//! gitignore(5): `core.excludesFile`, else `$XDG_CONFIG_HOME/git/ignore`, else `~/.config/git/ignore`. git itself is
//! asked for the former, outside of any repository: what one repository says holds for it alone.

use super::work::Piece;
use crate::cli::output::complain::Complaint;
use pycstore::edits::{Placement, TextPlace};
use pycstore::environment::Environment;
use pycstore::host::program;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::Stdio;

/// What is ignored: directories of caches, and caches beside their sources.
const LINES: &[u8] = b"__pycache__/\n*.py[co]\n";

/// The block in the file that git reads.
///
/// # Errors
/// When git names no file that could be written.
pub fn piece(environment: &Environment) -> Result<Piece, Complaint> {
    let (path, why) = match configured()? {
        Some(path) => (path, "git's core.excludesFile names it"),
        None => {
            let hint = "set HOME, or core.excludesFile in git's configuration";
            let directory = environment.configurations.as_ref();
            let directory =
                directory.ok_or_else(|| Complaint::new("no directory for git's ignore file", hint))?;
            (directory.join("git/ignore"), "git reads it where core.excludesFile names no other")
        }
    };
    let (place, lines) = (TextPlace::File(path), LINES.to_vec());
    Ok(Piece { place, comment: "#", placement: Placement::End, lines, why: why.into() })
}

/// What git's configuration names; nothing where there is no git.
fn configured() -> Result<Option<PathBuf>, Complaint> {
    let asked = program::command("git").and_then(|mut git| {
        git.args(["config", "--type=path", "--null", "--get", "core.excludesFile"])
            // In no repository at all.
            .env("GIT_DIR", "/dev/null")
            .current_dir("/")
            .stdin(Stdio::null())
            .output()
    });
    let output = match asked {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(Complaint::caused(error, "put the directory of another git first on PATH"));
        }
        Err(_) => return Ok(None),
    };
    match output.status.code() {
        Some(0) => {
            let bytes = output.stdout.strip_suffix(b"\0").unwrap_or(&output.stdout).to_vec();
            if bytes.is_empty() {
                return Err(Complaint::new(
                    "git: core.excludesFile is set and empty: no file is read",
                    "git config --global --unset core.excludesFile",
                ));
            }
            let path = PathBuf::from(OsString::from_vec(bytes));
            if path.is_absolute() {
                return Ok(Some(path));
            }
            Err(Complaint::new(
                format!("git: core.excludesFile is the relative path {}", path.display()),
                format!("git config --global core.excludesFile '~/{}'", path.display()),
            ))
        }
        // git-config(1): the key is not there.
        Some(1) => Ok(None),
        _ => {
            let said = String::from_utf8_lossy(&output.stderr);
            let line = said.lines().next().unwrap_or("git config fails").to_string();
            Err(Complaint::new(format!("git: {line}"), "git config --global --list"))
        }
    }
}
