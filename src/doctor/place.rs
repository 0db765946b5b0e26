//! The places that may set `PYTHONPYCACHEPREFIX`, and the setting of each.

use std::ffi::OsString;
use std::fmt::{self, Display};

/// A shell that is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shell {
    /// GNU Bash.
    Bash,
    /// The Z shell.
    Zsh,
    /// fish.
    Fish,
}

impl Shell {
    /// All of them.
    pub const ALL: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

    /// The program's name; `setup` calls its target the same.
    pub fn name(self) -> &'static str {
        match self {
            Shell::Bash => "bash",
            Shell::Zsh => "zsh",
            Shell::Fish => "fish",
        }
    }
}

/// How a shell is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Start {
    /// As by ssh, a console or tmux: a login shell that is interactive.
    Login,
    /// As by most terminal windows.
    Interactive,
}

/// A place that may set the variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum VariablePlace {
    /// The environment of this process.
    Here,
    /// A shell.
    Shell(Shell, Start),
    /// The running systemd of the user's session: what it starts has this.
    Session,
    /// The files of environment.d(5): what that systemd will have after the next login.
    EnvironmentD,
    /// `/etc/environment`, which PAM reads at every login.
    EtcEnvironment,
    /// The crontab, for the job in this line; for none in particular where it has only jobs of one kind.
    Cron(Option<usize>),
    /// The configuration file of pycstore, which Python does not read.
    Configuration,
}

impl VariablePlace {
    /// The target of `pycstore setup` that can fix it, if any.
    pub fn target(self) -> Option<&'static str> {
        match self {
            VariablePlace::Shell(shell, _) => Some(shell.name()),
            VariablePlace::Session | VariablePlace::EnvironmentD => Some("environment.d"),
            VariablePlace::Cron(_) => Some("cron"),
            VariablePlace::Here | VariablePlace::EtcEnvironment | VariablePlace::Configuration => None,
        }
    }
}

impl Display for VariablePlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VariablePlace::Here => formatter.write_str("this environment"),
            VariablePlace::Shell(shell, Start::Login) => write!(formatter, "login {}", shell.name()),
            VariablePlace::Shell(shell, Start::Interactive) => {
                write!(formatter, "interactive {}", shell.name())
            }
            VariablePlace::Session => formatter.write_str("the systemd user session"),
            VariablePlace::EnvironmentD => formatter.write_str("environment.d"),
            VariablePlace::EtcEnvironment => formatter.write_str("/etc/environment"),
            VariablePlace::Cron(None) => formatter.write_str("cron"),
            VariablePlace::Cron(Some(line)) => write!(formatter, "line {line} of the crontab"),
            VariablePlace::Configuration => formatter.write_str("the configuration"),
        }
    }
}

/// The setting of a place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Setting {
    /// `PYTHONPYCACHEPREFIX`, if it is set; it may be empty.
    pub prefix: Option<OsString>,
    /// The value of a shell variable of that name that is not exported.
    pub not_exported: Option<OsString>,
    /// `PYTHONDONTWRITEBYTECODE`, if it is set and not empty.
    pub writes_nothing: Option<OsString>,
}

/// The two variables.
pub const PREFIX: &str = "PYTHONPYCACHEPREFIX";
/// See [`PREFIX`].
pub const WRITES_NOTHING: &str = "PYTHONDONTWRITEBYTECODE";

impl Setting {
    /// The setting in an environment of such variables.
    pub fn of(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Setting {
        let mut setting = Setting::default();
        for (name, value) in variables {
            if name == PREFIX {
                setting.prefix = Some(value);
            } else if name == WRITES_NOTHING {
                setting.writes_nothing = Some(value).filter(|value| !value.is_empty());
            }
        }
        setting
    }
}

/// Parses `NAME=VALUE`.
pub fn assignment(line: &[u8]) -> Option<(OsString, OsString)> {
    use std::os::unix::ffi::OsStringExt;
    let equals = line.iter().position(|&byte| byte == b'=')?;
    let text = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    Some((text(&line[..equals]), text(&line[equals + 1..])))
}

/// The answer of a place, or why there is none.
pub type Observed = (VariablePlace, Result<Setting, String>);
