//! The user's own crontab, through crontab(1): the spool is nobody's but its.
//!
//! `crontab -l` gives the bytes that were installed; it exits 1 and says `no crontab for …` where there is none, that of
//! BusyBox `can't open 'NAME': No such file or directory`.
//! `crontab -` takes the new text from standard input, checks it and refuses what cron would not read; `crontab -r`
//! removes it.

use super::place::EditError;
use pycstore::host::program;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::process::{Command, Output, Stdio};

/// The crontab; `None` where there is none.
pub fn read() -> Result<Option<Vec<u8>>, EditError> {
    let output = crontab("-l")
        .map_err(EditError::NoCrontab)?
        .stdin(Stdio::null())
        .output()
        .map_err(EditError::NoCrontab)?;
    match () {
        () if output.status.success() => Ok(Some(output.stdout)),
        () if says_none(&said(&output)) => Ok(None),
        () => Err(EditError::Crontab(said(&output))),
    }
}

/// Puts another in its place; `None` removes it.
pub fn write(contents: Option<&[u8]>) -> Result<(), EditError> {
    let output = match contents {
        None => crontab("-r")
            .map_err(EditError::NoCrontab)?
            .stdin(Stdio::null())
            .output()
            .map_err(EditError::NoCrontab)?,
        Some(contents) => fed("-", contents).map_err(EditError::NoCrontab)?,
    };
    if output.status.success() { Ok(()) } else { Err(EditError::Crontab(said(&output))) }
}

/// Whether `crontab -l` said that the user has none. BusyBox speaks so of the file in its spool; of the spool itself it
/// says something else.
fn says_none(said: &str) -> bool {
    said.contains("no crontab for")
        || said.contains("can't open '") && said.ends_with("No such file or directory")
}

fn fed(argument: &str, contents: &[u8]) -> io::Result<Output> {
    let mut child =
        crontab(argument)?.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let stdin = child.stdin.take();
    // It may have gone away without reading everything: then its exit status tells.
    let _ = stdin.map(|mut stdin| stdin.write_all(contents));
    child.wait_with_output()
}

fn crontab(argument: impl AsRef<OsStr>) -> io::Result<Command> {
    let mut command = program::command("crontab")?;
    command.env("LC_ALL", "C").arg(argument);
    Ok(command)
}

/// What it said on standard error, in one line.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() { output.status.to_string() } else { lines.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn having_none_is_told_from_being_refused() {
        for said in ["no crontab for me", "crontab: can't open 'me': No such file or directory"] {
            assert!(says_none(said), "{said}");
        }
        for said in [
            "You (me) are not allowed to use this program (crontab)",
            "crontab: must be suid to work properly",
            "crontab: can't change directory to '/var/spool/cron/crontabs': No such file or directory",
            "crontab: can't open 'me': Permission denied",
            "exit status: 1",
        ] {
            assert!(!says_none(said), "{said}");
        }
    }
}
