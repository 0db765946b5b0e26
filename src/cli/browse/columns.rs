//! The columns of the list before the names. On a narrow screen the least important are left out.

use super::canvas::Look;
use super::rows::{Item, ListRow};
use super::state::Browser;
use crate::cli::output::bar::{bar, percentage};
use pycstore::units::{Moment, date, human};

/// A column.
#[derive(Debug, Clone, Copy)]
pub struct ListColumn {
    /// What it shows.
    pub kind: ColumnKind,
    pub heading: &'static str,
    /// Its width, enough for any of its cells.
    pub width: u16,
    /// The column with the highest rank is left out first; that of rank zero never.
    rank: u8,
}

/// What a column shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// The disk usage that no other row has.
    Size,
    /// Its share of the place, as a bar.
    Bar,
    /// The same as a percentage.
    Percentage,
    /// The disk usage of files of which other rows have links.
    Shared,
    /// The number of files.
    Files,
    /// What a default prune frees.
    Reclaimable,
    /// The last use.
    LastUsed,
    /// The status of an entry.
    Status,
}

impl ColumnKind {
    /// Whether it has text and not numbers.
    pub fn is_text(self) -> bool {
        matches!(self, ColumnKind::Bar | ColumnKind::LastUsed | ColumnKind::Status)
    }
}

const fn column(kind: ColumnKind, heading: &'static str, width: u16, rank: u8) -> ListColumn {
    ListColumn { kind, heading, width, rank }
}

const COLUMNS: [ListColumn; 8] = [
    column(ColumnKind::Size, "SIZE", 11, 0),
    column(ColumnKind::Bar, "SHARE", BAR as u16, 7),
    column(ColumnKind::Percentage, "", 5, 6),
    column(ColumnKind::Shared, "SHARED", 11, 1),
    column(ColumnKind::Files, "FILES", 9, 4),
    column(ColumnKind::Reclaimable, "RECLAIMABLE", 11, 2),
    column(ColumnKind::LastUsed, "LAST USED", 13, 5),
    column(ColumnKind::Status, "STATUS", 22, 3),
];

/// The cells of a bar at full length.
const BAR: usize = 10;

/// Columns from this rank on are left out before any name is cut.
const DECORATION: u8 = 6;

/// The least columns for a name before others are left out; before the last of those, the name becomes even shorter.
const LEAST_NAME: u16 = 22;
const SHORTEST_NAME: u16 = 12;

/// What stands before the columns: the cursor and the mark.
const MARGIN: u16 = 3;

/// The columns that fit.
pub fn fitting(width: u16, browser: &Browser) -> Vec<&'static ListColumn> {
    let has_shared = !browser.catalogue.inodes.is_empty();
    let has_entries = browser.rows.has_entries();
    let is_wanted = |column: &&ListColumn| match column.kind {
        ColumnKind::Shared => has_shared,
        ColumnKind::Status => has_entries,
        _ => true,
    };
    let mut columns: Vec<&ListColumn> = COLUMNS.iter().filter(is_wanted).collect();
    let longest = u16::try_from(browser.longest).unwrap_or(u16::MAX);
    let taken = |columns: &[&ListColumn]| columns.iter().map(|column| column.width + 2).sum::<u16>();
    while let Some(last) = columns.iter().map(|column| column.rank).max().filter(|rank| *rank > 0) {
        let name = match last {
            1 => longest.min(SHORTEST_NAME),
            DECORATION.. => longest,
            _ => longest.min(LEAST_NAME),
        };
        if taken(&columns).saturating_add(MARGIN).saturating_add(name) <= width {
            break;
        }
        columns.retain(|column| column.rank != last);
    }
    columns
}

/// The cell of a row.
pub fn cell(kind: ColumnKind, row: &ListRow, browser: &Browser, look: &Look) -> String {
    let (part, whole) = (size(row), browser.total.disk);
    match kind {
        ColumnKind::Size => human::size(part),
        ColumnKind::Bar => bar(part, whole, BAR, look.characters),
        ColumnKind::Percentage => percentage(part, whole),
        ColumnKind::Shared if row.shared == 0 => "-".into(),
        ColumnKind::Shared => human::size(row.shared),
        ColumnKind::Files => human::count(row.sums.tally.files),
        ColumnKind::Reclaimable if row.sums.reclaimable.is_empty() => "-".into(),
        ColumnKind::Reclaimable => human::size(row.sums.reclaimable.disk),
        ColumnKind::LastUsed => {
            let moment = row.sums.used.map(|seconds| Moment { seconds, nanoseconds: 0 });
            moment.map_or_else(|| "-".into(), |moment| date::ago(moment, look.now))
        }
        ColumnKind::Status => match row.item {
            Item::Entry(entry) => browser.catalogue.entries[entry as usize].facts.status.to_string(),
            Item::Facet(_) | Item::Node(_) => String::new(),
        },
    }
}

/// What a row takes on the disk: of an entry with several links all of it.
fn size(row: &ListRow) -> u64 {
    if let Item::Entry(_) = row.item { row.sums.tally.disk + row.shared } else { row.sums.tally.disk }
}
