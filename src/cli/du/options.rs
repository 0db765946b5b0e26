//! The options of `pycstore du`: which files are shown, how they are grouped, and how they are written.

use crate::cli::options::{values, whole};
use clap::Args;
use pycstore::verdict::view::{Dimension, Order};
use std::path::PathBuf;

/// How `pycstore du` writes what it shows; a table without any of these.
#[derive(Debug, Default, Args)]
pub struct FormatOptions {
    /// Print one JSON document; its field `view` has a view other than the default, `shared` why the directory counts as
    /// shared with other programs: known-place, everyone or foreign-files
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// Print comma-separated values: a line for each row and one for the total. A package name that a spreadsheet would
    /// read as a formula has an apostrophe before it; paths are unchanged
    #[arg(long)]
    pub csv: bool,
}

/// Which files `pycstore du` shows, and how they are grouped.
#[derive(Debug, Default, Args)]
pub struct ViewOptions {
    /// What the rows are: one of these, or two with a comma between them [default: owner]
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = values(&DIMENSIONS, Dimension::name), help_heading = "View")]
    pub by: Vec<Dimension>,
    /// Show directories as a tree, N levels deep
    #[arg(long, value_name = "N", value_parser = whole::<usize>, help_heading = "View")]
    pub depth: Option<usize>,
    /// What comes first
    #[arg(
        long,
        value_name = "WHAT",
        default_value = "size",
        hide_default_value = true,
        value_parser = values(&ORDERS, Order::name),
        help_heading = "View"
    )]
    pub sort: Order,
    /// Show N rows, and the rest in one (of a tree: N of each directory)
    #[arg(long, value_name = "N", value_parser = whole::<usize>, help_heading = "View")]
    pub top: Option<usize>,
    /// Only entries whose source is, or would be, at or below PATH (may be repeated)
    #[arg(long, value_name = "PATH", help_heading = "View")]
    pub under: Vec<PathBuf>,
    /// Show each source of the project, environment or interpreter at OWNER
    #[arg(long, value_name = "OWNER", conflicts_with_all = ["by", "depth"], help_heading = "View")]
    pub files_of: Option<PathBuf>,
}

/// What `du --by` groups by.
const DIMENSIONS: [(Dimension, &str); 6] = [
    (Dimension::Owner, "The project, environment or interpreter that the source belongs to"),
    (Dimension::Package, "The installed distribution that the source belongs to"),
    (Dimension::Tag, "The cache tag"),
    (Dimension::Status, "The status"),
    (Dimension::Kind, "The kind of owner"),
    (Dimension::Directory, "The directory of the source"),
];

/// What `du --sort` sorts by.
const ORDERS: [(Order, &str); 5] = [
    (Order::Size, "The most room"),
    (Order::Files, "The most files"),
    (Order::Reclaimable, "The most room that can go"),
    (Order::LastUsed, "What was used last"),
    (Order::Name, "By name"),
];
