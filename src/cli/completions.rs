//! `pycstore completions`: completion scripts for shells. Home of clap_complete and clap_complete_nushell.
//!
//! For fish, clap_complete completes options only. It does not complete the values of arguments, and no command after `help`:
//! its condition for them excludes a line with the word `help`. The script therefore ends with lines for both.

use clap::builder::PossibleValue;
use clap::{Arg, Args, Command, ValueEnum};
use clap_complete::{Shell, generate};
use clap_complete_nushell::Nushell;
use pycstore::exit::Exit;
use std::io::{self, Write};

/// Print a completion script for a shell.
///
/// Where to save it: bash, ~/.local/share/bash-completion/completions/pycstore; zsh, a file _pycstore in a directory of
/// $fpath; fish, ~/.config/fish/completions/pycstore.fish; PowerShell, a file that $PROFILE runs; Elvish, a file that
/// ~/.config/elvish/rc.elv evaluates; Nushell, a file that config.nu uses.
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
    /// Elvish
    Elvish,
    /// Nushell
    Nushell,
}

/// Runs `pycstore completions`.
pub fn run(options: &CompletionsOptions) -> anyhow::Result<Exit> {
    // Into memory first: the generator takes a closed pipe for a defect of the program.
    let mut script = Vec::new();
    let (mut program, name) = (super::visible(), "pycstore");
    match options.shell {
        CompletedShell::Bash => generate(Shell::Bash, &mut program, name, &mut script),
        CompletedShell::Zsh => generate(Shell::Zsh, &mut program, name, &mut script),
        CompletedShell::Fish => {
            generate(Shell::Fish, &mut program, name, &mut script);
            script.extend(fish_arguments(&program).bytes());
        }
        CompletedShell::PowerShell => generate(Shell::PowerShell, &mut program, name, &mut script),
        CompletedShell::Elvish => generate(Shell::Elvish, &mut program, name, &mut script),
        CompletedShell::Nushell => generate(Nushell, &mut program, name, &mut script),
    }
    let mut out = io::stdout().lock();
    out.write_all(&script)?;
    out.flush()?;
    Ok(Exit::Done)
}

/// A value with its help.
type Value = (String, String);

/// Returns the lines with which fish completes the arguments of each command of a program, and the commands after `help`.
/// Commands that take no path get no file names.
fn fish_arguments(program: &Command) -> String {
    let mut script = String::new();
    for command in program.get_subcommands() {
        let argument = command.get_positionals().next();
        let values = match argument {
            _ if command.get_name() == "help" => commands(program),
            Some(argument) => possible_values(argument),
            None => Vec::new(),
        };
        if values.is_empty() && argument.is_some() {
            continue; // a path
        }
        let used = format!("__fish_pycstore_using_subcommand {}", command.get_name());
        script.push_str(&format!("complete -c pycstore -n \"{used}\" -f\n"));
        let takes_several = argument.and_then(Arg::get_num_args).is_some_and(|count| count.max_values() > 1);
        let all = values.iter().map(|(value, _)| value.as_str()).collect::<Vec<_>>().join(" ");
        for (value, help) in &values {
            let given = if takes_several { value } else { &all };
            let help = help.replace('\\', r"\\").replace('\'', r"\'");
            script.push_str(&format!(
                "complete -c pycstore -n \"{used}; and not __fish_seen_subcommand_from {given}\" -a {value} -d '{help}'\n"
            ));
        }
    }
    script
}

fn possible_values(argument: &Arg) -> Vec<Value> {
    let values = argument.get_possible_values().into_iter().filter(|value| !value.is_hide_set());
    let help = |value: &PossibleValue| value.get_help().map(ToString::to_string).unwrap_or_default();
    values.map(|value| (value.get_name().to_string(), help(&value))).collect()
}

fn commands(program: &Command) -> Vec<Value> {
    let commands = program.get_subcommands().filter(|command| command.get_name() != "help");
    let about = |command: &Command| command.get_about().map(ToString::to_string).unwrap_or_default();
    commands.map(|command| (command.get_name().to_string(), about(command))).collect()
}
