//! The options of `pycstore du`: which files are shown, how they are grouped, and how they are written.

use crate::cli::options::whole;
use clap::{Args, ValueEnum};
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
    #[arg(long, value_name = "WHAT", value_delimiter = ',', help_heading = "View")]
    pub by: Vec<Grouping>,
    /// Show directories as a tree, N levels deep
    #[arg(long, value_name = "N", value_parser = whole::<usize>, help_heading = "View")]
    pub depth: Option<usize>,
    /// What comes first
    #[arg(
        long,
        value_name = "WHAT",
        default_value = "size",
        hide_default_value = true,
        help_heading = "View"
    )]
    pub sort: Sorting,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Grouping {
    /// The project, environment or interpreter that the source belongs to
    Owner,
    /// The installed distribution that the source belongs to
    Package,
    /// The cache tag
    Tag,
    /// The status
    Status,
    /// The kind of owner
    Kind,
    /// The directory of the source
    Directory,
}

impl From<Grouping> for Dimension {
    fn from(grouping: Grouping) -> Dimension {
        match grouping {
            Grouping::Owner => Dimension::Owner,
            Grouping::Package => Dimension::Package,
            Grouping::Tag => Dimension::Tag,
            Grouping::Status => Dimension::Status,
            Grouping::Kind => Dimension::Kind,
            Grouping::Directory => Dimension::Directory,
        }
    }
}

/// What `du --sort` sorts by.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sorting {
    /// The most room
    #[default]
    Size,
    /// The most files
    Files,
    /// The most room that can go
    Reclaimable,
    /// What was used last
    LastUsed,
    /// By name
    Name,
}

impl From<Sorting> for Order {
    fn from(sorting: Sorting) -> Order {
        match sorting {
            Sorting::Size => Order::Size,
            Sorting::Files => Order::Files,
            Sorting::Reclaimable => Order::Reclaimable,
            Sorting::LastUsed => Order::LastUsed,
            Sorting::Name => Order::Name,
        }
    }
}
