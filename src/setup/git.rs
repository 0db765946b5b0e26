//! git: the user's list of files to ignore in every repository.
//!
//! gitignore(5): `core.excludesFile`, else `$XDG_CONFIG_HOME/git/ignore`, else `~/.config/git/ignore`. git is asked for the
//! former outside of any repository: the configuration of a repository holds for that repository only.

use super::block_edit::BlockEdit;
use crate::complaint::Complaint;
use crate::edits::{Placement, TextPlace};
use crate::environment::Environment;
use crate::host::program;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::{Output, Stdio};

/// Ignores cache directories, and bytecode beside its sources.
const LINES: &[u8] = b"__pycache__/\n*.py[co]\n";

/// Returns the block in the file that git reads.
///
/// # Errors
/// If git cannot be asked, or names no file that could be written.
pub fn block_edit(environment: &Environment) -> Result<BlockEdit, Complaint> {
    let (path, why) = match configured()? {
        Some(path) => (path, "git's core.excludesFile names it"),
        None => {
            let hint = "set HOME, or core.excludesFile in git's configuration";
            let directory = environment.configurations.as_ref();
            let directory =
                directory.ok_or_else(|| Complaint::new("no directory for git's ignore file", hint))?;
            (directory.join("git/ignore"), "git reads it if core.excludesFile is not set")
        }
    };
    let (place, lines) = (TextPlace::File(path), LINES.to_vec());
    Ok(BlockEdit { place, placement: Placement::End, lines, why: why.into() })
}

/// Returns the `core.excludesFile` of git's configuration, if there is git and it is set.
fn configured() -> Result<Option<PathBuf>, Complaint> {
    let output = match ask_git() {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(Complaint::caused(error, "put the directory of another git first on PATH"));
        }
        Err(_) => return Ok(None),
    };
    match output.status.code() {
        Some(0) => absolute(output.stdout.strip_suffix(b"\0").unwrap_or(&output.stdout)).map(Some),
        // git-config(1): the key is not set.
        Some(1) => Ok(None),
        _ => {
            let said = String::from_utf8_lossy(&output.stderr);
            let line = said.lines().next().unwrap_or("git config fails");
            Err(Complaint::new(format!("git: {line}"), "git config --global --list"))
        }
    }
}

fn ask_git() -> io::Result<Output> {
    program::command("git")?
        .args(["config", "--type=path", "--null", "--get", "core.excludesFile"])
        // Outside of any repository.
        .env("GIT_DIR", "/dev/null")
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
}

fn absolute(configured: &[u8]) -> Result<PathBuf, Complaint> {
    if configured.is_empty() {
        return Err(Complaint::new(
            "git: core.excludesFile is set and empty: no file is read",
            "git config --global --unset core.excludesFile",
        ));
    }
    let path = PathBuf::from(OsString::from_vec(configured.to_vec()));
    if path.is_absolute() {
        return Ok(path);
    }
    Err(Complaint::new(
        format!("git: core.excludesFile is the relative path {}", path.display()),
        format!("git config --global core.excludesFile '~/{}'", path.display()),
    ))
}
