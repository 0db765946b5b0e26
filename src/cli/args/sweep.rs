//! The options of `pycstore sweep`.

use clap::Args;
use std::path::PathBuf;

/// Options of `pycstore sweep`.
#[derive(Debug, Clone, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(
    after_help = "Exit status: 0 all done, nothing to sweep included; 1 something could not be read, moved or removed; \
                        2 nothing done: every PATH was refused. SIGINT, SIGTERM and SIGHUP stop it after the current file."
)]
pub struct SweepOptions {
    /// Directories of sources, a __pycache__, or an environment
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Show what would be removed, and remove nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Move what Python would still load into the store, where it will look for it: nothing is compiled again. The
    /// place is that of the source as PATH spells it
    #[arg(long)]
    pub adopt: bool,
    /// Remove NAME.pyc and NAME.pyo as well that have no NAME.py beside them: modules that Python imports
    #[arg(long)]
    pub sourceless: bool,
    /// Remove directories as well that hold nothing else than what is removed; never PATH itself
    #[arg(long)]
    pub empty_directories: bool,
    /// Ignore files and directories that match GLOB: a name alone anywhere, else a whole path; ** crosses directories
    /// (may be repeated)
    #[arg(long, value_name = "GLOB")]
    pub ignore: Vec<String>,
    /// Sweep the environments (pyvenv.cfg, conda-meta) below PATH as well
    #[arg(long)]
    pub include_environments: bool,
    /// Sweep what belongs to a package manager or to an installation of Python as well
    #[arg(long)]
    pub system: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}
