//! `pycstore completions`: completion scripts for shells. Home of clap_complete.

use clap::{Args, ValueEnum};
use clap_complete::{Shell, generate};
use pycstore::exit::Exit;
use std::io::{self, Write};

/// Print a completion script for a shell.
///
/// Where to save it: bash, ~/.local/share/bash-completion/completions/pycstore; zsh, a file _pycstore in a directory of
/// $fpath; fish, ~/.config/fish/completions/pycstore.fish; PowerShell, a file that $PROFILE runs.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 success; 2 wrong usage.")]
pub struct CompletionsOptions {
    /// The shell
    pub shell: CompletedShell,
}

/// A shell that completes words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompletedShell {
    /// GNU Bash
    Bash,
    /// The Z shell
    Zsh,
    /// The friendly interactive shell
    Fish,
    /// PowerShell
    #[value(name = "powershell")]
    PowerShell,
}

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
    generate(shell, &mut super::visible(), "pycstore", &mut script);
    let mut out = io::stdout().lock();
    out.write_all(&script)?;
    out.flush()?;
    Ok(Exit::Done)
}
