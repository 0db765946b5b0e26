//! Tables whose last column is a path: comfy-table aligns the others, the path follows unchanged.
//!
//! So a path is never padded, wrapped or forced into UTF-8; in a pipe it is complete. On a terminal everything is escaped. On a
//! narrow terminal, columns are hidden in the order of their rank, then the middle of the path is cut. Home of comfy-table.

use super::path;
use super::style::{Style, Tone};
use super::terminal::Terminal;
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ContentArrangement};
use pycstore::paragraph;
use std::io::{self, Write};

/// A column before the path.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub heading: &'static str,
    alignment: CellAlignment,
    /// Columns with a higher rank are hidden first on a narrow terminal; rank zero is never hidden.
    drop_priority: u8,
}

impl Column {
    /// The rank of decoration: it and the rank below are hidden before any path is cut.
    pub const DECORATION: u8 = 9;

    /// A column of text.
    pub fn left(heading: &'static str, drop_priority: u8) -> Column {
        Column { heading, alignment: CellAlignment::Left, drop_priority }
    }

    /// A column of numbers.
    pub fn right(heading: &'static str, drop_priority: u8) -> Column {
        Column { heading, alignment: CellAlignment::Right, drop_priority }
    }
}

/// A table to be printed.
#[derive(Debug)]
pub struct Table {
    columns: Vec<Column>,
    path_heading: &'static str,
    rows: Vec<TableRow>,
}

#[derive(Debug)]
struct TableRow {
    cells: Vec<String>,
    path: Vec<u8>,
    tone: Tone,
}

/// The minimum width of the path, in terminal columns, before a table column is hidden. Before the last column
/// (rank 1) is hidden, the path becomes even shorter.
const LEAST_PATH: usize = 24;
const SHORTEST_PATH: usize = 12;

impl Table {
    /// An empty table.
    pub fn new(columns: Vec<Column>, path_heading: &'static str) -> Table {
        Table { columns, path_heading, rows: Vec::new() }
    }

    /// Adds a row: a cell for each column, and the text of the last column, usually a path.
    pub fn row(&mut self, cells: Vec<String>, path: Vec<u8>, tone: Tone) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(TableRow { cells, path, tone });
    }

    /// Prints the table.
    pub fn print(&self, out: &mut dyn Write, terminal: &Terminal, style: Style) -> io::Result<()> {
        let kept = self.kept_columns(terminal);
        let mut table = comfy_table::Table::new();
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(kept.iter().map(|&index| self.columns[index].heading));
        for row in &self.rows {
            table.add_row(kept.iter().map(|&index| path::text_shown(&row.cells[index], terminal)));
        }
        for (column, &index) in table.column_iter_mut().zip(&kept) {
            column.set_padding((0, 2));
            column.set_cell_alignment(self.columns[index].alignment);
        }
        let paths = std::iter::once((self.path_heading.as_bytes(), Tone::Heading));
        let paths = paths.chain(self.rows.iter().map(|row| (row.path.as_slice(), row.tone)));
        for (cells, (path, tone)) in table.lines().zip(paths) {
            let mut line = cells.clone().into_bytes();
            match terminal.columns() {
                Some(columns) => {
                    let room = columns.saturating_sub(paragraph::width(&cells));
                    let path = path::escaped(&String::from_utf8_lossy(path));
                    line.extend(path::fitted(&path, room).bytes());
                }
                None => line.extend_from_slice(path),
            }
            let end = line.iter().rposition(|&byte| byte != b' ').map_or(0, |last| last + 1);
            let mut line = style.paint(&line[..end], tone);
            line.push(b'\n');
            out.write_all(&line)?;
        }
        Ok(())
    }

    fn kept_columns(&self, terminal: &Terminal) -> Vec<usize> {
        let mut kept: Vec<usize> = (0..self.columns.len()).collect();
        let Some(width) = terminal.columns() else { return kept };
        let column_width = |index: usize| {
            let cells = self.rows.iter().map(|row| paragraph::width(&row.cells[index])).max().unwrap_or(0);
            cells.max(paragraph::width(self.columns[index].heading)) + 2
        };
        let longest = self
            .rows
            .iter()
            .map(|row| paragraph::width(&String::from_utf8_lossy(&row.path)))
            .max()
            .unwrap_or(0);
        loop {
            let rank = |index: &usize| self.columns[*index].drop_priority;
            let is_decorated = kept.iter().any(|index| rank(index) + 1 >= Column::DECORATION);
            let is_last = kept.iter().all(|index| rank(index) <= 1);
            let wanted = match (is_decorated, is_last) {
                (true, _) => longest,
                (false, true) => longest.min(SHORTEST_PATH),
                (false, false) => longest.min(LEAST_PATH),
            };
            if kept.iter().map(|&index| column_width(index)).sum::<usize>() + wanted <= width {
                break;
            }
            match kept.iter().copied().max_by_key(rank).filter(|index| rank(index) > 0) {
                Some(next) => kept.retain(|&index| index != next),
                None => break,
            }
        }
        kept
    }
}
