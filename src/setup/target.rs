//! The targets of `pycstore setup`: shells and other programs that can be told of the store, or told to hide `__pycache__`.

use clap::ValueEnum;
use std::fmt::{self, Display};

/// What can be set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// Login and interactive bash, also under ssh
    Bash,
    /// Every zsh, scripts included
    Zsh,
    /// Every fish, scripts included
    Fish,
    /// The file that the login shell reads
    Profile,
    /// Programs that systemd starts for you: desktop programs, IDEs, user units
    #[value(name = "environment.d")]
    EnvironmentD,
    /// The jobs of your crontab
    Cron,
    /// Ignore __pycache__ in all your repositories
    Git,
    /// Hide __pycache__ in VS Code and editors based on it (files.exclude)
    Vscode,
    /// A snippet for nvim-tree
    NvimTree,
    /// A snippet for NERDTree
    Nerdtree,
    /// A Dockerfile whose image has the bytecode
    Docker,
    /// Steps of a GitHub Actions workflow that cache the store
    GithubActions,
    /// Tasks of an Ansible role that installs pycstore and its schedule for every user
    Ansible,
    /// A target for a Makefile
    Make,
    /// Alerting rules of Prometheus for the files of --metrics
    Prometheus,
    /// A dashboard of Grafana for the same metrics
    Grafana,
}

/// As on the command line.
impl Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_possible_value().map_or(Ok(()), |value| formatter.write_str(value.get_name()))
    }
}

impl Target {
    /// The targets that edit files, in the order in which undo removes them.
    pub const EDITED: [Target; 8] = [
        Target::Bash,
        Target::Zsh,
        Target::Fish,
        Target::Profile,
        Target::EnvironmentD,
        Target::Cron,
        Target::Git,
        Target::Vscode,
    ];

    /// Whether the target sets `PYTHONPYCACHEPREFIX`, so that there has to be a store.
    pub fn sets_variable(self) -> bool {
        use Target::{Bash, Cron, EnvironmentD, Fish, Profile, Zsh};
        matches!(self, Bash | Zsh | Fish | Profile | EnvironmentD | Cron)
    }

    /// Whether the target is a snippet, which is only printed.
    pub fn is_snippet(self) -> bool {
        !Target::EDITED.contains(&self)
    }

    /// Says for which processes the target sets the variable, as the end of a sentence.
    pub fn reach(self) -> Option<&'static str> {
        Some(match self {
            Target::Bash => {
                "login and interactive bash, and programs started from them. For other programs: \
                 pycstore setup profile environment.d cron"
            }
            Target::Zsh | Target::Fish => {
                "every new shell, scripts included, and programs started from it. For other programs: \
                 pycstore setup profile environment.d cron"
            }
            Target::Profile => {
                "your next login and what it starts. For the jobs of cron: pycstore setup cron"
            }
            Target::EnvironmentD => {
                "what systemd starts for you (desktop programs, IDEs, user units), from your next login or \
                 `systemctl --user daemon-reload` on; not for logins by ssh, not for cron"
            }
            Target::Cron => "the jobs of this crontab; not those in /etc",
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_sets_the_variable_says_for_whom() {
        for target in Target::value_variants() {
            assert_eq!(target.reach().is_some(), target.sets_variable(), "{target}");
        }
    }
}
