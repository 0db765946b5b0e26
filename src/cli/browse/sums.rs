//! Sums of files, by status and tag.

use super::file::{BytesCount, CatalogueEntry, Mark};
use pycstore::units::Tally;

/// The sums of some files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    /// All of them.
    pub tally: Tally,
    /// Those that a default prune removes.
    pub reclaimable: Tally,
    /// Those that are marked: what is freed if they are removed.
    pub marked: Tally,
    /// How many can be marked.
    pub markable: u64,
    /// The last use of one of them, in seconds since 1970, if it is known.
    pub used: Option<i64>,
}

/// The sums of the files of one status and tag.
#[derive(Debug, Clone, Copy)]
pub struct Cell {
    /// The index of the status.
    pub status: u16,
    /// The index of the tag.
    pub tag: u16,
    /// The sums.
    pub sums: Sums,
}

impl Sums {
    /// Those of one entry. A file with several links has no bytes here: they are counted once for all its names.
    pub fn of(entry: &CatalogueEntry) -> Sums {
        let facts = &entry.facts;
        let tally = match entry.bytes {
            BytesCount::ByFile => Tally::file(0, 0),
            BytesCount::ByName => Tally::file(facts.bytes, facts.disk),
        };
        let only_if = |condition: bool| if condition { tally } else { Tally::default() };
        Sums {
            tally,
            reclaimable: only_if(facts.is_reclaimable),
            marked: only_if(entry.mark == Mark::Marked),
            markable: u64::from(facts.bar.is_none()),
            used: facts.used,
        }
    }

    /// Adds other files.
    pub fn add(&mut self, other: &Sums) {
        self.tally += other.tally;
        self.reclaimable += other.reclaimable;
        self.marked += other.marked;
        self.markable += other.markable;
        self.used = self.used.max(other.used);
    }
}

impl Cell {
    /// That of one entry.
    pub fn of(entry: &CatalogueEntry) -> Cell {
        Cell { status: entry.facts.status.index() as u16, tag: entry.tag, sums: Sums::of(entry) }
    }

    fn among<'a>(&self, cells: &'a mut [Cell]) -> Option<&'a mut Cell> {
        cells.iter_mut().find(|cell| (cell.status, cell.tag) == (self.status, self.tag))
    }
}

/// Adds sums to those of the same status and tag.
pub fn add_cell(cells: &mut Vec<Cell>, added: &Cell) {
    match added.among(cells) {
        Some(cell) => cell.sums.add(&added.sums),
        None => cells.push(*added),
    }
}

/// Takes what was marked away from the sums of the same status and tag.
pub fn unmark_cell(cells: &mut [Cell], unmarked: &Cell) {
    if let Some(cell) = unmarked.among(cells) {
        cell.sums.marked -= unmarked.sums.marked;
    }
}
