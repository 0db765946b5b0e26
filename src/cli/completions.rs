//! `pycstore completions`: what a shell needs to complete our commands and options. Home of clap_complete.

use super::args::{self, CompletedShell, CompletionsOptions};
use clap_complete::{Shell, generate};
use pycstore::exit::Exit;
use std::io::{self, Write};

/// Runs `pycstore completions`.
pub fn run(options: &CompletionsOptions) -> anyhow::Result<Exit> {
    let shell = match options.shell {
        CompletedShell::Bash => Shell::Bash,
        CompletedShell::Zsh => Shell::Zsh,
        CompletedShell::Fish => Shell::Fish,
        CompletedShell::PowerShell => Shell::PowerShell,
    };
    // Into memory first: the generator takes a closed pipe for a defect of the program.
    let mut script = Vec::new();
    generate(shell, &mut args::visible(), "pycstore", &mut script);
    let mut out = io::stdout().lock();
    out.write_all(&script)?;
    out.flush()?;
    Ok(Exit::Done)
}
