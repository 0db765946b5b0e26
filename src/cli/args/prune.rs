//! The options of the commands that remove: `prune` and `forget`.

use super::number::whole;
use clap::Args;
use pycstore::units::{Age, Size};
use std::path::PathBuf;

/// Options of `pycstore prune`.
#[derive(Debug, Clone, Default, Args)]
#[command(
    after_help = "Exit status: 0 all done, also when another prune is running or --max-runtime is over; 1 \
                        something could not be read or removed; 2 nothing done. After SIGINT, SIGTERM or SIGHUP \
                        the current file is finished, the run is recorded and reported, and the process ends by the signal."
)]
pub struct PruneOptions {
    // The help shows what follows a group under the group's heading: so the groups come last.
    /// Do not ask before removing every entry of the store
    #[arg(long)]
    pub yes: bool,
    /// Do nothing when the last successful run with the same selectors and scopes is younger than AGE
    #[arg(long, value_name = "AGE")]
    pub min_interval: Option<Age>,
    /// How the run goes.
    #[command(flatten)]
    pub run: RunOptions,
    /// What is taken.
    #[command(flatten)]
    pub selectors: SelectorOptions,
    /// What may be touched.
    #[command(flatten)]
    pub scope: ScopeOptions,
}

/// What is taken. Selectors add up.
#[derive(Debug, Clone, Default, Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(next_help_heading = "Selectors (they add up)")]
pub struct SelectorOptions {
    /// Remove entries whose source was definitely deleted
    #[arg(long)]
    pub orphans: bool,
    /// Remove entries that Python would recompile
    #[arg(long)]
    pub stale: bool,
    /// Remove what cannot be loaded at all: fewer than 16 bytes, or no bytecode whatever became of the source
    #[arg(long)]
    pub corrupt: bool,
    /// With --corrupt: read the body of every entry as well, and remove those at which an import fails
    #[arg(long, requires = "corrupt")]
    pub deep: bool,
    /// Remove what interrupted writes left, and copies of entries that synchronisers made, an hour old or more
    #[arg(long)]
    pub temporary: bool,
    /// Remove entries whose cache tag and magic number no interpreter on this machine loads
    #[arg(long)]
    pub dead_interpreters: bool,
    /// Remove entries not used for so long: 90d, 12w, 6months
    #[arg(long, value_name = "AGE")]
    pub unused_for: Option<Age>,
    /// Remove the least recently used until the disk usage of the entries is at most SIZE: 5GiB, 500M; hard links count
    /// once
    #[arg(long, value_name = "SIZE")]
    pub max_size: Option<Size>,
    /// Remove the least recently used until there are no more than N entries; each hard link counts
    #[arg(long, value_name = "N", value_parser = whole::<u64>)]
    pub max_files: Option<u64>,
    /// Remove every entry; asks on a terminal, needs --yes without one
    #[arg(long)]
    pub all: bool,
}

/// What may be touched. Scopes narrow what the selectors take.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Scopes (they narrow)")]
pub struct ScopeOptions {
    /// Only entries whose source is, or was, at or below PATH (may be repeated)
    #[arg(long, value_name = "PATH")]
    pub under: Vec<PathBuf>,
    /// Only entries of the project, environment or interpreter at PATH, as du names it (may be repeated)
    #[arg(long, value_name = "PATH")]
    pub owner: Vec<PathBuf>,
    /// Only entries with this cache tag, such as cpython-39 (may be repeated)
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
    /// No entry whose source, or a directory above it, matches GLOB; ** crosses directories (may be repeated)
    #[arg(long, value_name = "GLOB")]
    pub keep: Vec<String>,
}

/// How a removing run goes.
#[derive(Debug, Clone, Default, Args)]
pub struct RunOptions {
    /// Show what would be removed, and remove nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// Stop cleanly after AGE, at most half of it for looking, and say what is left
    #[arg(long, value_name = "AGE")]
    pub max_runtime: Option<Age>,
    /// Write figures of the store and this run to FILE, for the textfile collector of Prometheus' node exporter. The
    /// owner of the store must be able to write to FILE's directory, also when root runs the command
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub metrics: Option<PathBuf>,
    /// Which command prints the result.
    #[arg(skip)]
    pub account: Account,
}

/// Whether a removing run prints its result on standard output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Account {
    /// It does so.
    #[default]
    Given,
    /// The command that started it prints its own.
    LeftToCaller,
}

/// Options of `pycstore forget`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Exit status: 0 all done, nothing to forget included; 1 something could not be read or removed, \
                        or another prune is running; 2 nothing done."
)]
pub struct ForgetOptions {
    /// Directories or source files, there or deleted; a path in the store means its source
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Do not ask before removing every entry of the store
    #[arg(long)]
    pub yes: bool,
    /// Only entries with this cache tag, such as cpython-39 (may be repeated)
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
    /// How the run goes.
    #[command(flatten)]
    pub run: RunOptions,
}
