//! Marks: which entries are to be removed. A mark on a row is one on every entry below it that may be marked.

use super::catalogue::Catalogue;
use super::file::{Bar, BytesCount, CatalogueEntry, Facet, Mark};
use super::node::ROOT;
use super::rows::Item;
use super::sums::{Cell, Sums, add_cell, unmark_cell};
use pycstore::store::entry::SeenEntry;
use pycstore::units::human;
use pycstore::verdict::policy::ChosenEntry;
use std::collections::BTreeMap;

/// What a change of marks did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct MarkChange {
    /// How many entries were marked by it.
    pub marked: u64,
    /// How many marks were removed.
    pub unmarked: u64,
    /// How many entries cannot be marked, by the reason.
    pub barred: BTreeMap<Bar, u64>,
}

/// What of the entries below a row is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// All that may be.
    All,
    /// What is reclaimable.
    Reclaimable,
}

impl Catalogue {
    /// Marks all entries below these items, or unmarks them if all that may be marked are.
    pub fn toggle(&mut self, items: &[Item], facet: Facet) -> MarkChange {
        self.toggle_those(items, facet, Part::All)
    }

    /// The same with the reclaimable entries only.
    pub fn toggle_reclaimable(&mut self, items: &[Item], facet: Facet) -> MarkChange {
        self.toggle_those(items, facet, Part::Reclaimable)
    }

    fn toggle_those(&mut self, items: &[Item], facet: Facet, part: Part) -> MarkChange {
        let mut change = MarkChange::default();
        let (mut marked, mut others) = (Vec::new(), Vec::new());
        let mut sort = |index: u32, entry: &CatalogueEntry| match (entry.facts.bar, entry.mark) {
            _ if !facet.has(entry) => {}
            _ if part == Part::Reclaimable && !entry.facts.is_reclaimable => {}
            (Some(bar), _) => *change.barred.entry(bar).or_default() += 1,
            (None, Mark::Marked) => marked.push(index),
            (None, _) => others.push(index),
        };
        let may_have = |sums: &Sums| part == Part::All || !sums.reclaimable.is_empty();
        for item in items {
            match *item {
                Item::Entry(index) => sort(index, &self.entries[index as usize]),
                Item::Node(node) => self.for_each_below(node, facet, may_have, &mut sort),
                Item::Facet(own) => self.for_each_below(ROOT, own, may_have, &mut sort),
            }
        }
        if others.is_empty() {
            change.unmarked = marked.len() as u64;
            self.set(&marked, Mark::None);
        } else {
            change.marked = others.len() as u64;
            self.set(&others, Mark::Marked);
        }
        change
    }

    /// Removes the marks of all but these entries.
    pub fn keep_marks_of(&mut self, entries: &[u32]) {
        self.unmark_all();
        self.set(entries, Mark::Marked);
    }

    /// Removes all marks; returns how many there were.
    pub fn unmark_all(&mut self) -> u64 {
        let mut marked = Vec::new();
        self.for_each_below(
            ROOT,
            Facet::default(),
            |sums| !sums.marked.is_empty(),
            |index, entry| {
                if entry.mark == Mark::Marked {
                    marked.push(index);
                }
            },
        );
        self.set(&marked, Mark::None);
        marked.len() as u64
    }

    /// Marks entries that are not marked, or unmarks entries that are, and changes the sums.
    fn set(&mut self, entries: &[u32], mark: Mark) {
        let mut rest = entries;
        while let Some(first) = rest.first() {
            let node = self.entries[*first as usize].node;
            let is_in_node = |entry: &&u32| self.entries[**entry as usize].node == node;
            let (of_node, others) = rest.split_at(rest.iter().take_while(is_in_node).count());
            rest = others;
            let mut cells = Vec::new();
            for index in of_node {
                let entry = &mut self.entries[*index as usize];
                entry.mark = Mark::Marked;
                let Cell { status, tag, sums } = Cell::of(entry);
                add_cell(
                    &mut cells,
                    &Cell { status, tag, sums: Sums { marked: sums.marked, ..Sums::default() } },
                );
                entry.mark = mark;
            }
            self.upwards(node, |at| match mark {
                Mark::Marked => cells.iter().for_each(|cell| add_cell(&mut at.cells, cell)),
                Mark::None | Mark::Removed => cells.iter().for_each(|cell| unmark_cell(&mut at.cells, cell)),
            });
        }
        self.settle_links();
    }

    /// The marked entries as a policy takes them, and their indexes in the same order.
    pub fn chosen(&self) -> (Vec<ChosenEntry>, Vec<u32>) {
        let mut directories: Vec<&super::catalogue::StoreDirectory> = self.directories.iter().collect();
        directories.sort_by(|one, other| one.relative.cmp(&other.relative));
        let (mut all, mut indexes) = (Vec::new(), Vec::new());
        for directory in directories {
            for index in directory.first..directory.first + directory.count {
                let entry = &self.entries[index as usize];
                if entry.mark != Mark::Marked {
                    continue;
                }
                let facts = &entry.facts;
                let name = self.name(index).into();
                let identity = (facts.identity, facts.bytes, facts.modified);
                let seen = SeenEntry::of_parts(directory.relative.clone(), name, identity);
                all.push(ChosenEntry { entry: seen, status: facts.status });
                indexes.push(index);
            }
        }
        (all, indexes)
    }

    /// Takes note of entries that were removed. The other names of their files have fewer links.
    pub fn remove(&mut self, entries: &[u32]) {
        for index in entries {
            let entry = &mut self.entries[*index as usize];
            entry.mark = Mark::Removed;
            let (identity, bytes) = (entry.facts.identity, entry.bytes);
            if bytes == BytesCount::ByFile {
                for name in self.inodes.names(identity).to_vec() {
                    let facts = &mut self.entries[name as usize].facts;
                    facts.links = facts.links.saturating_sub(1);
                }
            }
        }
        self.recount();
    }

    /// Why a file cannot be marked, in words.
    pub fn bar_in_words(&self, bar: Bar) -> String {
        match bar {
            Bar::Unknown => "unknown whether Python still uses it".into(),
            Bar::Foreign => "not written by Python".into(),
            Bar::Young => "less than an hour old: it may still be written".into(),
            Bar::Unreadable => "its first bytes cannot be read".into(),
            Bar::NotOurs => "the store belongs to another user".into(),
            Bar::Kept(glob) => format!("kept by {}", &self.globs[glob.into()]),
        }
    }

    /// The change in words.
    pub fn change_in_words(&self, change: &MarkChange) -> String {
        let mut parts = Vec::new();
        if change.marked > 0 {
            parts.push(format!("marked {}", human::counted(change.marked, "file")));
        }
        if change.unmarked > 0 {
            parts.push(format!("unmarked {}", human::counted(change.unmarked, "file")));
        }
        let barred: u64 = change.barred.values().sum();
        if barred > 0 {
            let reasons: Vec<String> = change.barred.keys().map(|bar| self.bar_in_words(*bar)).collect();
            parts.push(format!("{} cannot be marked: {}", human::count(barred), reasons.join("; ")));
        }
        if parts.is_empty() { "nothing to mark".into() } else { parts.join("; ") }
    }
}
