//! `pycstore generate`: the manual pages, from the definitions of the command line. Home of clap_mangen.
//!
//! One page a command, as man-pages(7) arranges them. What the help says after the options in the form
//! `Exit status: …` becomes a section of that name. The pages are committed in `man/`; a test compares them.

use anyhow::Context;
use clap::{Args, ValueEnum};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use pycstore::exit::Exit;
use std::io;
use std::path::{Path, PathBuf};

/// Write the manual pages
#[derive(Debug, Args)]
pub struct GenerateOptions {
    /// What to write
    pub what: Generated,
    /// The directory to write to
    pub directory: PathBuf,
}

/// What `generate` writes.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Generated {
    /// The manual pages
    Man,
}

/// The variables that the program asks, as `env.rs` and `output/style.rs` do. Those that only say where Pythons may
/// be are left to the page of `interpreters`.
const ENVIRONMENT: [(&str, &str); 8] = [
    ("PYTHONPYCACHEPREFIX", "The store, where --store does not name one. An empty value counts as unset."),
    (
        "PYCSTORE_CONFIG",
        "The configuration file, where --config does not name one. Set and empty: none is read.",
    ),
    (
        "XDG_CONFIG_HOME",
        "The directory of pycstore/config.toml and of the files that setup and schedule edit, instead of ~/.config.",
    ),
    ("XDG_STATE_HOME", "The directory of pycstore's history of past runs, instead of ~/.local/state."),
    (
        "HOME",
        "The store is looked for in $HOME/.cache/cpython when nothing names one; never taken for a store itself.",
    ),
    ("SHELL", "The login shell, which setup asks when no target is named."),
    ("ZDOTDIR", "The directory of zsh's files, for setup."),
    ("NO_COLOR", "No colours, unless --color asks for them."),
];

/// Runs `pycstore generate`.
pub fn run(options: &GenerateOptions) -> anyhow::Result<Exit> {
    let Generated::Man = options.what;
    write_pages(&options.directory)
        .with_context(|| format!("cannot write to {}", options.directory.display()))?;
    Ok(Exit::Done)
}

fn write_pages(directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let mut waiting = vec![super::definition()];
    while let Some(mut command) = waiting.pop() {
        waiting.extend(command.get_subcommands().filter(|command| !command.is_hide_set()).cloned());
        // Without the usage that the help shows, every option is spelled out in an order of its own.
        let usage = command.render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ").to_string();
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let is_program = command.get_version().is_some();
        let has_commands = command.has_subcommands();
        let page = Man::new(command.override_usage(usage).subcommand_help_heading("COMMANDS"))
            .date(" ") // an empty one is left out, and what follows takes its place
            .source(concat!("pycstore ", env!("CARGO_PKG_VERSION")))
            .manual("pycstore manual");
        let mut text = Vec::new();
        page.render_title(&mut text)?;
        page.render_name_section(&mut text)?;
        page.render_synopsis_section(&mut text)?;
        page.render_description_section(&mut text)?;
        if has_commands {
            page.render_subcommands_section(&mut text)?;
        }
        page.render_options_section(&mut text)?;
        let mut last = Roff::new();
        if let Some((heading, said)) = after.split_once(": ") {
            last.control("SH", [heading.to_uppercase().as_str()]).text([roman(said)]);
        }
        if is_program {
            last.control("SH", ["ENVIRONMENT"]);
            for (name, meaning) in ENVIRONMENT {
                last.control("TP", []).text([bold(name)]).text([roman(meaning)]);
            }
        } else {
            last.control("SH", ["SEE ALSO"]).text([bold("pycstore"), roman("(1)")]);
        }
        last.to_writer(&mut text)?;
        std::fs::write(directory.join(page.get_filename()), text)?;
    }
    Ok(())
}
