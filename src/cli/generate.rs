//! `pycstore generate`: the manual pages, from the definitions of the command line. Home of clap_mangen.

use super::args::{Arguments, GenerateOptions, Generated};
use super::exit::Exit;
use anyhow::Context;
use clap::CommandFactory;

/// Runs `pycstore generate`.
pub fn run(options: &GenerateOptions) -> anyhow::Result<Exit> {
    let Generated::Man = options.what;
    std::fs::create_dir_all(&options.directory)
        .and_then(|()| clap_mangen::generate_to(Arguments::command(), &options.directory))
        .with_context(|| format!("cannot write to {}", options.directory.display()))?;
    Ok(Exit::Done)
}
