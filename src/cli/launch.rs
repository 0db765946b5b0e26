//! `pycstore launch`: an internal command that starts another program as another user, in a new session and with limits.

use anyhow::Context;
use clap::Args;
use pycstore::exit::Exit;
use pycstore::host::contained::{Containment, UserAndGroup};
use std::ffi::OsString;
use std::path::PathBuf;

/// Start a program in a new session, with limits, or as another user.
#[derive(Debug, Args)]
pub struct LaunchOptions {
    /// As this user
    #[arg(long, value_name = "ID", requires = "group")]
    pub user: Option<u32>,
    /// With this group alone
    #[arg(long, value_name = "ID", requires = "user")]
    pub group: Option<u32>,
    /// With at most this many bytes of address space
    #[arg(long, value_name = "BYTES")]
    pub memory: Option<u64>,
    /// With at most this many seconds of processor time
    #[arg(long, value_name = "SECONDS")]
    pub processor_seconds: Option<u64>,
    /// The program
    pub program: PathBuf,
    /// Its arguments
    #[arg(last = false, allow_hyphen_values = true, trailing_var_arg = true)]
    pub arguments: Vec<OsString>,
}

/// Runs `pycstore launch`. Returns only if the program cannot be started.
pub fn run(options: &LaunchOptions) -> anyhow::Result<Exit> {
    let LaunchOptions { user, group, memory, processor_seconds, program, arguments } = options;
    let identity = user.zip(*group).map(|(user, group)| UserAndGroup { user, group });
    let containment = Containment { identity, memory: *memory, processor_seconds: *processor_seconds };
    let error = containment.launch(program, arguments);
    Err(error).with_context(|| match identity {
        None => format!("cannot start {}", program.display()),
        Some(UserAndGroup { user, .. }) => format!("cannot start {} as user {user}", program.display()),
    })
}
