//! Starts the shells as login and as interactive shells, in a clean environment, from the user's home.
//!
//! The startup files may print anything, so the answer is between marks. It is the environment that a program gets from
//! the shell, and the shell's own variable, which may be set without being exported.

use super::ask::{AskError, Inquiry, apart, ask_all, program};
use super::place::{Observed, Setting, Shell, Start, VariablePlace, assignment};
use crate::environment::Environment;
use crate::host::accounts::User;
use crate::host::program::is_trusted;
use crate::store::exposure::Guard;
use std::env::join_paths;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// This works in all three shells. `\0` is written by `printf`.
const SCRIPT: &str = "printf 'pycstore:begin\\0'; command env -0; \
                      printf 'pycstore:end\\0%s\\0pycstore:over\\0' \"$PYTHONPYCACHEPREFIX\"";

const BEGIN: &[u8] = b"pycstore:begin\0";
const END: &[u8] = b"pycstore:end\0";
const OVER: &[u8] = b"\0pycstore:over\0";

/// Files below the home: a user who has one of them uses the shell.
fn startup_files(shell: Shell) -> &'static [&'static str] {
    match shell {
        Shell::Bash => &[".bashrc", ".bash_profile", ".bash_login"],
        Shell::Zsh => &[".zshenv", ".zprofile", ".zshrc", ".zlogin"],
        Shell::Fish => &[],
    }
}

/// Whether the user uses a shell: it is the login shell, or has a startup file in the home, or a directory in the
/// user's configuration (fish).
fn is_in_use(shell: Shell, home: &Path, configuration: Option<&Path>, user: Option<&User>) -> bool {
    user.is_some_and(|user| user.shell.file_name() == Some(OsStr::new(shell.name())))
        || shell == Shell::Fish && configuration.is_some_and(|it| it.join("fish").is_dir())
        || startup_files(shell).iter().any(|file| home.join(file).symlink_metadata().is_ok())
}

/// Asks the shells that are installed and in use. `base` is the environment of every login, before any shell.
///
/// # Errors
/// The reason in words, if they cannot be asked.
pub fn ask(
    environment: &Environment,
    home: &Path,
    guard: Guard<'_>,
    base: &Setting,
    timeout: Duration,
) -> Result<Vec<Observed>, String> {
    let user = guard.accounts.user(guard.user);
    // Root's shells run neither a configuration nor a program that `sudo` kept the way to and others may change.
    let is_ours = |path: &Path| guard.user != 0 || is_trusted(path);
    let configuration = environment.configurations.as_deref().filter(|directory| is_ours(directory));
    let search_path = environment.places.path.iter().filter(|directory| is_ours(directory));
    let search_path = join_paths(search_path).ok().filter(|path| !path.is_empty());
    let in_use = Shell::ALL.into_iter().filter(|shell| is_in_use(*shell, home, configuration, user));
    let installed: Vec<(Shell, PathBuf)> =
        in_use.filter_map(|shell| Some((shell, program(environment, shell.name())?))).collect();
    if installed.is_empty() {
        return Ok(Vec::new());
    }
    let setsid = program(environment, "setsid").ok_or("setsid(1) of util-linux is not on PATH")?;
    let (mut places, mut questions) = (Vec::new(), Vec::new());
    for (shell, path) in installed {
        for (start, options) in [(Start::Login, &["-l", "-i"][..]), (Start::Interactive, &["-i"])] {
            let mut command = apart(&setsid, &path);
            command.args(options).args(["-c", SCRIPT]).env_clear().current_dir(home);
            command.env("HOME", home).env("SHELL", &path).env("TERM", "dumb");
            command.envs(search_path.as_ref().map(|path| ("PATH", path)));
            // What a session says once, no startup file of a shell says again.
            command.envs(configuration.map(|directory| ("XDG_CONFIG_HOME", directory)));
            command.envs(user.map(|user| ("USER", &user.name)));
            command.envs(user.map(|user| ("LOGNAME", &user.name)));
            command.envs(base.prefix.as_ref().map(|value| (super::place::PREFIX, value)));
            command.envs(base.writes_nothing.as_ref().map(|value| (super::place::WRITES_NOTHING, value)));
            places.push(VariablePlace::Shell(shell, start));
            questions.push(Inquiry { command, mark: Some(OVER) });
        }
    }
    let settings = ask_all(questions, timeout).into_iter().map(|answer| {
        let answer = answer.map_err(|error| error.to_string())?;
        read(&answer.output).ok_or_else(|| AskError::Ended.to_string())
    });
    Ok(places.into_iter().zip(settings).collect())
}

/// Returns the text between the marks.
fn read(output: &[u8]) -> Option<Setting> {
    let find = |bytes: &[u8], mark: &[u8]| bytes.windows(mark.len()).position(|window| window == mark);
    let output = &output[find(output, BEGIN)? + BEGIN.len()..];
    let end = find(output, END)?;
    let (environment, own) = (&output[..end], &output[end + END.len()..]);
    let own = &own[..find(own, OVER)?];
    // There is a home in it at least, unless env(1) was not found.
    let variables: Vec<_> = environment.split(|&byte| byte == 0).filter_map(assignment).collect();
    variables.first()?;
    let mut setting = Setting::of(variables);
    if setting.prefix.is_none() && !own.is_empty() {
        setting.not_exported = Some(OsString::from_vec(own.to_vec()));
    }
    Some(setting)
}

/// The variables of `/etc/environment` as PAM reads it (pam_env(8)): `NAME=VALUE`, perhaps after `export`, perhaps
/// quoted, nothing expanded.
pub fn read_etc_environment(text: &[u8]) -> Setting {
    let variable = |line: &[u8]| {
        let line = line.trim_ascii();
        let line = line.strip_prefix(b"export ").unwrap_or(line);
        let (name, value) = assignment(line)?;
        let value = value.as_bytes();
        let quoted =
            |quote: u8| value.strip_prefix(&[quote]).map(|it| it.strip_suffix(&[quote]).unwrap_or(it));
        let value = quoted(b'"').or_else(|| quoted(b'\'')).unwrap_or(value);
        Some((name, OsString::from_vec(value.to_vec())))
    };
    Setting::of(text.split(|&byte| byte == b'\n').filter_map(variable))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_stands_between_the_marks() {
        let read = |output: &str| {
            let setting = read(output.as_bytes())?;
            let text = |value: Option<OsString>| value.map(|value| value.into_string().unwrap());
            Some((text(setting.prefix), text(setting.not_exported), text(setting.writes_nothing)))
        };
        let some = |text: &str| Some(text.to_string());
        let welcome = "PYTHONPYCACHEPREFIX=/no\nwelcome\npycstore:begin\0";
        assert_eq!(
            read(&format!(
                "{welcome}A=1\0PYTHONPYCACHEPREFIX=/a b\nc\0pycstore:end\0/a b\nc\0pycstore:over\0bye"
            )),
            Some((some("/a b\nc"), None, None))
        );
        assert_eq!(
            read(&format!("{welcome}PYTHONDONTWRITEBYTECODE=1\0pycstore:end\0/a\0pycstore:over\0")),
            Some((None, some("/a"), some("1")))
        );
        assert_eq!(
            read(&format!(
                "{welcome}PYTHONPYCACHEPREFIX=\0PYTHONDONTWRITEBYTECODE=\0pycstore:end\0\0pycstore:over\0"
            )),
            Some((some(""), None, None))
        );
        assert_eq!(read(&format!("{welcome}A=1\0")), None);
        assert_eq!(read(&format!("{welcome}pycstore:end\0/a\0pycstore:over\0")), None);
        assert_eq!(read("nothing"), None);
    }

    #[test]
    fn the_file_of_every_login_is_read_as_pam_does() {
        for (text, expected) in [
            ("A=1\nPYTHONPYCACHEPREFIX=/x y\n", Some("/x y")),
            ("  export PYTHONPYCACHEPREFIX=\"/x\"", Some("/x")),
            ("PYTHONPYCACHEPREFIX='$HOME/x'\n", Some("$HOME/x")),
            ("# PYTHONPYCACHEPREFIX=/x\n", None),
        ] {
            let expected = expected.map(OsString::from);
            assert_eq!(read_etc_environment(text.as_bytes()).prefix, expected, "{text}");
        }
    }
}
