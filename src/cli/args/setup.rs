//! The options of `pycstore setup`.

use clap::{Args, ValueEnum};

/// Put the prefix in place, and hide __pycache__ from git and editors.
///
/// Shells, systemd sessions and cron are told of the store. Shows what would change, asks, and changes it; a second
/// run finds nothing to do. What is added stands between two marks, and --undo takes exactly that back. The store is
/// made for you alone, and tagged as a cache for backups to pass by. A snippet, for what has no one file, is only
/// printed. A directory that other programs use too, such as /tmp or ~/.cache, is refused as a store.
///
/// An edited file keeps its owner, group, mode, ACL and extended attributes; if that is impossible, it is left
/// unchanged. Edited files are listed in $XDG_STATE_HOME/pycstore/edits.jsonl, else ~/.local/state/pycstore/edits.jsonl,
/// so that --undo finds them after ZDOTDIR, XDG_CONFIG_HOME or git's core.excludesFile has changed. Without that list,
/// --undo looks where setup would edit now.
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(
    after_help = "Exit status: 0 all done, nothing to do included; 1 something could not be changed; 2 nothing \
                        done: usage, no terminal to ask on, a file or a store that was refused."
)]
pub struct SetupOptions {
    /// What to set up [default: the shell in use]
    #[arg(value_name = "TARGET")]
    pub targets: Vec<Target>,
    /// Print what would be added, to put it somewhere yourself; nothing is changed
    #[arg(long, conflicts_with_all = ["undo", "dry_run", "yes"])]
    pub print: bool,
    /// Show what would change in which file, as a diff; nothing is changed
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Take back exactly what setup put there, without TARGET everything: the files are byte for byte what they were,
    /// and directories that were made for them go where they are empty. The store stays
    #[arg(long)]
    pub undo: bool,
}

/// What can be set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// As a login or interactive shell, and under ssh
    Bash,
    /// Every zsh, scripts included
    Zsh,
    /// Every fish, scripts included
    Fish,
    /// The file that the login shell reads, whichever it is
    Profile,
    /// What systemd starts for you: desktop programs, IDEs, user units
    #[value(name = "environment.d")]
    EnvironmentD,
    /// The jobs of your crontab
    Cron,
    /// Ignore __pycache__ in all your repositories
    Git,
    /// Hide __pycache__ in VS Code and its kin (files.exclude)
    Vscode,
    /// A snippet for nvim-tree
    NvimTree,
    /// A snippet for NERDTree
    Nerdtree,
    /// Lines for a Dockerfile
    Docker,
    /// A target for a Makefile
    Make,
}

impl Target {
    /// As it is spelled on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_string()).unwrap_or_default()
    }
}
