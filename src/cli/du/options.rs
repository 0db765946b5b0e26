//! The options of `pycstore du`: which files are shown, how they are grouped, and how they are written.

use crate::cli::options::{values, whole};
use clap::Args;
use pycstore::verdict::view::{Dimension, Order};
use std::path::PathBuf;

/// How `pycstore du` writes what it shows; a table without any of these.
#[derive(Debug, Default, Args)]
pub struct FormatOptions {
    /// Print one JSON document; its field `view` has the rows of a view other than the default, and `shared` the
    /// reason why the directory counts as shared with other programs: known-place, everyone or foreign-files
    #[arg(long, conflicts_with = "csv")]
    pub json: bool,
    /// Print comma-separated values: a line for each row and one for the total. Package names that a spreadsheet
    /// would read as a formula get an apostrophe before them; paths are unchanged
    #[arg(long)]
    pub csv: bool,
}

/// Which files `pycstore du` shows, and how they are grouped.
#[derive(Debug, Default, Args)]
pub struct ViewOptions {
    /// Only entries whose source is, or was, at or below PATH, as with --under
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Group by one of these, or by two separated by a comma [default: owner]
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = values(&DIMENSIONS, Dimension::name), help_heading = "View")]
    pub by: Vec<Dimension>,
    /// Show directories as a tree, N levels deep. A directory that contains only one directory shares its row and
    /// level, except in --json and --csv
    #[arg(long, value_name = "N", value_parser = whole::<usize>, help_heading = "View")]
    pub depth: Option<usize>,
    /// Sort the rows
    #[arg(
        long,
        value_name = "WHAT",
        default_value = "size",
        hide_default_value = true,
        value_parser = values(&ORDERS, Order::name),
        help_heading = "View"
    )]
    pub sort: Order,
    /// Show N rows, and sum up the others in one (in a tree: N rows for each directory)
    #[arg(long, value_name = "N", value_parser = whole::<usize>, help_heading = "View")]
    pub top: Option<usize>,
    /// Only entries whose source is, or was, at or below PATH (may be repeated)
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
    (Order::Size, "Largest first"),
    (Order::Files, "Most files first"),
    (Order::Reclaimable, "Most reclaimable first"),
    (Order::LastUsed, "Most recently used first"),
    (Order::Name, "By name"),
];
