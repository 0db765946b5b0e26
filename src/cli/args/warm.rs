//! The options of `pycstore warm`.

use clap::Args;
use std::path::PathBuf;

/// Options of `pycstore warm`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Exit status: 0 all compiled, or fresh already; 1 something could not be read or compiled; 2 nothing \
                        done. SIGINT, SIGTERM and SIGHUP stop it after the sources that are being compiled."
)]
pub struct WarmOptions {
    /// Projects, environments, other directories or source files [default: the working directory]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Compile what `ls --status stale` shows, each entry by an interpreter of its tag and with its optimization; PATH
    /// narrows that
    #[arg(long, conflicts_with = "python")]
    pub all_stale: bool,
    /// The interpreter for what no environment decides: a path, or a name on PATH
    #[arg(long, value_name = "PYTHON")]
    pub python: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
