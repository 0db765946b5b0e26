//! The options of the commands about single entries: `ls`, `which`, `source`, `inspect`.

use super::Unchecked;
use clap::Args;
use std::path::PathBuf;

/// Options of `pycstore ls`.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 all read, 1 something could not be read, 2 no store.")]
pub struct LsOptions {
    /// Only entries with this status (may be repeated)
    #[arg(long, value_name = "STATUS", value_parser = clap::builder::PossibleValuesParser::new(pycstore::verdict::status::NAMES))]
    pub status: Vec<String>,
    /// Only entries with this cache tag, such as cpython-312 (may be repeated)
    #[arg(long, value_name = "TAG")]
    pub tag: Vec<String>,
    /// Only entries whose source is, or would be, at or below PATH (may be repeated)
    #[arg(long, value_name = "PATH")]
    pub under: Vec<PathBuf>,
    /// Print one JSON object a line
    #[arg(long, conflicts_with = "null")]
    pub json: bool,
    /// Print paths only, each as it is and followed by a null byte, for xargs -0
    #[arg(short = '0', long = "null")]
    pub null: bool,
    /// How unchecked hashes are judged.
    #[command(flatten)]
    pub unchecked: Unchecked,
}

/// Options of `pycstore which`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 every source has an entry, 1 one has none, 2 no store. With --expected: 0 all told, \
                        1 no interpreter found, or something could not be looked into."
)]
pub struct WhichOptions {
    /// Source files, there or deleted, or entries to show with the others of their source
    #[arg(required = true, value_name = "SOURCE")]
    pub sources: Vec<PathBuf>,
    /// Show where each interpreter on this machine would put the entry, whether it is there or not
    #[arg(long)]
    pub expected: bool,
    /// Print one JSON object a line, as ls does
    #[arg(long)]
    pub json: bool,
}

/// Options of `pycstore source`.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 all found, 1 a path is no entry of the store, 2 no store.")]
pub struct SourceOptions {
    /// Entries of the store
    #[arg(required = true, value_name = "ENTRY")]
    pub entries: Vec<PathBuf>,
}

/// Options of `pycstore inspect`.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 all found, 1 a path is no file of the store, 2 no store.")]
pub struct InspectOptions {
    /// Entries of the store, or sources to show all entries of
    #[arg(required = true, value_name = "ENTRY")]
    pub entries: Vec<PathBuf>,
    /// Print one JSON object a line
    #[arg(long)]
    pub json: bool,
    /// How unchecked hashes are judged.
    #[command(flatten)]
    pub unchecked: Unchecked,
}
