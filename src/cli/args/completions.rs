//! Options of `pycstore completions`.

use clap::{Args, ValueEnum};

/// Options of `pycstore completions`.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 written; 2 usage.")]
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
