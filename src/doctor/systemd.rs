//! The systemd user session: the environment of the programs that it starts (desktop programs, timers), and that of
//! environment.d(5), as systemd's own generator reads it.

use super::ask::{Inquiry, ask, program};
use super::place::{Setting, assignment};
use crate::environment::Environment;
use crate::host::program::is_trusted;
use crate::store::exposure::Guard;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The paths of the generator in distributions.
const GENERATORS: [&str; 2] = [
    "/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator",
    "/lib/systemd/user-environment-generators/30-systemd-environment-d-generator",
];

/// The environment of this user's running systemd; none if it does not run.
pub fn of_session(environment: &Environment, guard: Guard<'_>, timeout: Duration) -> Option<Setting> {
    let mut command = Command::new(program(environment, "systemctl")?);
    command.args(["--user", "--no-pager", "show-environment"]);
    // Neither cron nor sudo says where the session is.
    let runtime = PathBuf::from(format!("/run/user/{}", guard.user));
    if !environment.has_runtime_directory && runtime.is_dir() {
        command.env("XDG_RUNTIME_DIR", runtime);
    }
    let answer = ask(Inquiry { command, mark: None }, timeout).ok().filter(|answer| answer.succeeded)?;
    Some(read(&answer.output))
}

/// The environment in environment.d; none without systemd.
pub fn of_environment_d(environment: &Environment, home: &Path, timeout: Duration) -> Option<Setting> {
    let generator = GENERATORS.iter().map(Path::new).find(|path| path.exists() && is_trusted(path))?;
    let mut command = Command::new(generator);
    command.env_clear().env("HOME", home).current_dir("/");
    command.envs(environment.search_path.as_ref().map(|path| ("PATH", path)));
    command.envs(environment.configurations.as_ref().map(|directory| ("XDG_CONFIG_HOME", directory)));
    let answer = ask(Inquiry { command, mark: None }, timeout).ok().filter(|answer| answer.succeeded)?;
    Some(read(&answer.output))
}

/// Lines `NAME=VALUE`, the value quoted for a shell where it has to be: `"…"` or `$'…'`.
fn read(output: &[u8]) -> Setting {
    let variables = output.split(|&byte| byte == b'\n').filter_map(assignment);
    Setting::of(variables.map(|(name, value)| (name, OsString::from_vec(unquoted(value.as_bytes())))))
}

fn unquoted(value: &[u8]) -> Vec<u8> {
    let between = |start: &[u8], end: &[u8]| value.strip_prefix(start)?.strip_suffix(end);
    let Some(inner) = between(b"$'", b"'").or_else(|| between(b"\"", b"\"")) else { return value.to_vec() };
    let is_c_style = value.starts_with(b"$");
    let mut plain = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let Some((&escaped, after)) = rest.split_first().filter(|_| byte == b'\\') else {
            plain.push(byte);
            continue;
        };
        rest = after;
        plain.push(match escaped {
            b'n' if is_c_style => b'\n',
            b't' if is_c_style => b'\t',
            b'r' if is_c_style => b'\r',
            b'x' if is_c_style && rest.len() >= 2 => {
                let digits = std::str::from_utf8(&rest[..2]).ok();
                rest = &rest[2..];
                digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).unwrap_or(b'?')
            }
            other => other,
        });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_unquoted_as_systemd_quotes_them() {
        for (value, expected) in [
            ("/home/me/.cache/cpython", "/home/me/.cache/cpython"),
            ("$'~/x'", "~/x"),
            ("$'/a b/it\\'s\\n\\x7f'", "/a b/it's\n\u{7f}"),
            ("\"/a b/\\\"c\\\"\"", "/a b/\"c\""),
            ("", ""),
        ] {
            let line = format!("LANG=C\nPYTHONPYCACHEPREFIX={value}\n");
            assert_eq!(read(line.as_bytes()).prefix, Some(OsString::from(expected)), "{value}");
        }
        assert_eq!(read(b"LANG=C\n"), Setting::default());
    }
}
